/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * table.h - what is in the pinned maps: read with bpftool, written by the daemon or the hooks.
 *
 *   bpftool map dump pinned /sys/fs/bpf/forewarm/guesses
 *
 * Shape    guesses: which program starts are worth waking the daemon for, and what it would do.
 *          edges:   the strongest edges of the graph, for reading only.
 *          marks:   processes the hooks treat in a special way.
 *          folds:   edge counts which were kept in the kernel while the ring was under pressure.
 *          foldable: starts that are only counted while all that runs is known and much is started,
 *          makers:  and these counts, by who starts them.
 * Bounds   the maxima below; each map says in bpf/maps.bpf.c what happens when it is full.
 */
#ifndef FWM_TABLE_H
#define FWM_TABLE_H

#include <forewarm/event.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

#define FWM_GUESS_TOP 4	     /* guesses shown per block */
#define FWM_GUESSES_MAX 8192 /* blocks */
#define FWM_EDGES_MAX 2048
#define FWM_MARKS_MAX 16384 /* processes */
#define FWM_FIRST_STARTS 8  /* so many of a block are its first: looked at closer, pages noted */
#define FWM_FOLDS_MAX 16384
#define FWM_RESIDENT_MAX 16384 /* files */
#define FWM_FOLDABLE_MAX 512   /* starts */
#define FWM_MAKERS_MAX 1024    /* processes, a power of two */
#define FWM_TEXT_MAX 64	       /* of a name in a table; the end of a longer one, after "..." */

/* How the exec hook finds a block: the file that runs and a hash of argv[1] (0: whatever it is). */
struct fwm_block_key {
	__u64 ino;
	__u32 dev; /* as the kernel has it: major << 20 | minor */
	__u32 arg; /* fwm_arg_hash() of argv[1] */
};

/* Changes of the two tables below are counted by the files of the blocks they are of, in so many counts. */
#define FWM_TABLES 16

static inline __u32 fwm_tables_of(__u64 ino)
{
	return (__u32)((ino * 0x9e3779b97f4a7c15ull) >> 60);
}

enum fwm_wake {
	FWM_WAKE_NO,
	FWM_WAKE_YES,
	/* Only if a file of fwm_resident_key left memory since there were left_n: all that was needed, time and
	 * again, was there. */
	FWM_WAKE_LEFT,
	/* The same of what was started a moment ago: what it needed then was seen to. */
	FWM_WAKE_AGAIN,
};

struct fwm_guess {
	__u32 p_ppm;   /* probability, millionths */
	__u32 lead_us; /* how long after the block starts it is usually needed */
	__u32 support; /* times seen */
	__u32 value;   /* what acting on it is worth, us */
	char needs[FWM_TEXT_MAX];
};

struct fwm_guess_row {
	char block[FWM_TEXT_MAX];
	__u32 wake; /* enum fwm_wake: does the start of this block wake the daemon at once? */
	__u32 guess_n;
	__u32 left_n; /* FWM_WAKE_LEFT, FWM_WAKE_AGAIN; as of the last start that woke, for each says as much */
	__u32 zero_;
	struct fwm_guess guesses[FWM_GUESS_TOP];
};

/* How well a block is known: the open hooks look at nothing else. */
struct fwm_known_row {
	__u32 every;	/* report the opens of one start out of so many; 0: of all */
	__u32 starts_n; /* counted by the exec hook */
};

struct fwm_edge_row {
	char block[FWM_TEXT_MAX];
	char needs[FWM_TEXT_MAX];
	__u64 count;
	__u32 p_ppm;
	__u32 p50_us, p99_us; /* latency */
	__u32 lead_us;
};

#define FWM_MARK_IGNORE (1u << 0) /* not traced, nor what it forks */
#define FWM_MARK_TARGET (1u << 1) /* traced when only targets are; so is what it forks */
#define FWM_MARK_QUIET                                                                             \
	(1u << 2) /* set by the exec hook: known well enough, opens are not reported */

struct fwm_mark {
	__u32 flags; /* FWM_MARK_* */
};

/* Opens of one file by one process, while the ring was too full to tell each. */
struct fwm_fold_key {
	__u64 ino; /* the file; of a lookup in vain the directory it starts from, or 0 */
	__u32 dev;
	__u32 gen;
	__u32 name; /* as in struct fwm_file */
	__u32 path; /* hash of fwm_fold_row::path for a lookup in vain, else 0 */
	__u32 tgid;
	__u32 err;
	__u64 exec_ns; /* tells users of one pid apart: when it was executed, or 0 */
};

#define FWM_FOLD_PATH 112

struct fwm_fold_row {
	__u64 count;
	__u64 timed_n;	  /* of these */
	__u64 latency_ns; /* sum over the timed ones */
	__u64 first_ns, last_ns;
	char path[FWM_FOLD_PATH]; /* as asked for; longer ones with the same start count as one */
};

/* A start that need not be told: which file by which path, by whom, with which arguments. */
struct fwm_foldable_key {
	__u64 ino;
	__u32 dev;
	__u32 name; /* as in struct fwm_file */
	__u64 args; /* fwm_args_hash() of all of argv */
	__u32 uid;
	__u32 zero;
};

/* Its number: what is told of it is told with that. Above the lowest bits the phase it was given in, and in
 * another it is told again. */
#define FWM_START_BITS 10
#define FWM_START_PHASE(start) ((start) >> FWM_START_BITS)

/* What a living process started since the reader looked, by the number of the start. */
struct fwm_maker_row {
	__u32 count, ends_n;
	__u64 life_ns, cpu_ns; /* sums over those that ended */
};

struct fwm_maker {
	__u32 tgid; /* 0: free */
	__u32 zero;
	__u32 start[FWM_STARTS_TOP]; /* 0: no row */
	__u64 zero_[3];
	struct fwm_maker_row rows[FWM_STARTS_TOP];
};

/* A file of which all that was asked for is in memory; the value says what was asked for. */
struct fwm_resident_key {
	__u64 ino;
	__u32 dev;
	__u32 zero_;
};

/* The start of an argument, zero-padded, its last byte 0: what distinguishes invocations. */
union fwm_arg_head {
	char text[48];
	__u64 words[6];
};

/* Never 0. One multiplication a word, so that the verifier sees no loop over bytes. */
static inline __u32 fwm_arg_hash(const union fwm_arg_head *head)
{
	__u64 h = 0x9e3779b97f4a7c15ull;
	__u32 i;

	for (i = 0; i < 6; i++) {
		h = (h ^ head->words[i]) * 0xbf58476d1ce4e5b9ull;
		h ^= h >> 29;
	}
	return (__u32)(h >> 32) ? (__u32)(h >> 32) : 1;
}

/* All of argv, each argument with its NUL, zero-padded; with more a start is told always. */
#define FWM_FOLD_ARGS 64

static inline __u64 fwm_args_hash(const __u64 words[FWM_FOLD_ARGS / 8])
{
	__u64 h = 0x9e3779b97f4a7c15ull;
	__u32 i;

	for (i = 0; i < FWM_FOLD_ARGS / 8; i++) {
		h = (h ^ words[i]) * 0xbf58476d1ce4e5b9ull;
		h ^= h >> 29;
	}
	return h;
}

_Static_assert(sizeof(struct fwm_foldable_key) == 32, "fwm_foldable_key is ABI");
_Static_assert(sizeof(struct fwm_maker) == 256, "fwm_maker is ABI");
_Static_assert(sizeof(struct fwm_block_key) == 16, "fwm_block_key is ABI");
_Static_assert(sizeof(struct fwm_guess_row) == 80 + FWM_GUESS_TOP * 80, "fwm_guess_row is ABI");
_Static_assert(sizeof(struct fwm_edge_row) == 152, "fwm_edge_row is ABI");
_Static_assert(sizeof(struct fwm_fold_row) == 152, "fwm_fold_row is ABI");
_Static_assert(sizeof(struct fwm_resident_key) == 16, "fwm_resident_key is ABI");
_Static_assert(sizeof(struct fwm_fold_key) == 40, "fwm_fold_key is ABI");

#pragma GCC diagnostic pop

#endif /* FWM_TABLE_H */
