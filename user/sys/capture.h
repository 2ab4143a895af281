/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * capture.h - the hooks in the kernel and the ring they write to; the only user of the skeleton.
 *
 * Shape    open loads, attaches and pins; drain hands over what has come since; the tables the
 *          hooks look things up in are written here. Everything observable is a struct obs.
 * Units    bytes; counters are exact sums over all CPUs.
 * Bounds   kernel memory is that of bpf/maps.bpf.c; here name_max paths (core/names.h). drain
 *          handles at most budget records and returns.
 * Owner    The caller owns struct capture. capture_close() detaches and removes the pins unless keep
 *          was asked for. Strings of an observation live until the callback returns.
 * Errors   < 0 -errno; opts->why then says in a sentence what is missing and what to do.
 * Threads  One owner at a time; its callbacks run inside drain.
 */
#ifndef SYS_CAPTURE_H
#define SYS_CAPTURE_H

#include "core/decode.h"
#include "core/obs.h"

#include <forewarm/event.h>
#include <forewarm/table.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What hooks on system calls are attached to; both see the same. */
enum capture_tier {
	CAPTURE_BEST, /* the calls themselves where this kernel allows it, else tracepoints */
	CAPTURE_TRACEPOINTS, /* what every kernel has */
};

struct capture_opts {
	const char *pin_dir; /* on a bpf file system, made when missing; NULL: nothing is pinned */
	uint32_t ring_bytes; /* power of two; 0: 2 MiB */
	uint32_t name_max;   /* paths remembered; 0: 40,960 */
	uint32_t proc_slots; /* power of two: processes the hooks remember at once; 0: 32,768 */
	uint32_t own_tgid;   /* never traced, nor its children; 0: this process */
	bool trace_children; /* only own_tgid itself is not traced */
	bool only_targets; /* trace only what capture_mark() marked FWM_MARK_TARGET, and its children */
	bool arguments_only; /* of a start without arguments nothing of argv is told: args_len is 0 */
	bool keep_pseudo;    /* report /proc, /sys and their like too */
	bool keep;	     /* leave programs attached and pinned at close */
	decoder_image_fn
		image_of; /* names containers' files by their image; NULL: not told apart */
	enum capture_tier tier;
	char *why;		       /* at least CAPTURE_WHY_MAX bytes, or NULL */
	void (*log)(const char *line); /* what libbpf says; NULL: nowhere */
};
#define CAPTURE_WHY_MAX 256

enum capture_mode {
	CAPTURE_LEARN,	/* every open is reported */
	CAPTURE_SAMPLE, /* of blocks in the known table only one start out of so many */
	CAPTURE_DETACHED, /* nothing is on any system call; a start of an unknown block wakes the reader */
};

struct capture_counters {
	struct fwm_counts hook[FWM_HOOK_MAX];
	uint64_t
		unnamed_n; /* events of files whose path was not known: dropped, and asked for again */
	uint64_t malformed_n;	/* records that were none: 0 unless there is a bug */
	uint64_t records_n;	/* taken from the ring */
	uint64_t folded_n;	/* events that came as counts */
	uint64_t backlog_bytes; /* in the ring now */
	struct names_stats names;
};

/* One program in the kernel: what it is attached to, and how it fares. */
struct capture_prog {
	const char *name;
	const char *section; /* "tp/syscalls/sys_enter_openat" */
	int err;	     /* 0: attached; else why not */
	bool off;	     /* detached on purpose */
	uint64_t missed_n;   /* runs the kernel left out, as it was in this program already */
	uint32_t id;
	uint64_t run_n, run_ns; /* while kernel.bpf_stats_enabled is 1 */
};

enum { CAPTURE_NO_PAGES = 1 /* this kernel does not tell, or nothing is known */ };

struct capture;

int capture_open(const struct capture_opts *opts, struct capture **ret);
struct capture *capture_close(struct capture *c);

/* Readable when a watermark is passed or an exec is worth acting on; drain on a timer besides. */
int capture_fd(const struct capture *c);
/* Hands over at most budget records. Returns how many it took; budget: there may be more. */
int capture_drain(struct capture *c, size_t budget, obs_fn fn, void *ctx);
/* Since that began it was to wake us again. What it was for may have been taken in the same breath, and then
 * nothing will be readable, and nobody woken: drain again. */
bool capture_woken(const struct capture *c);
/* The start of a program for which something is to be done is in the ring, or about to be. */
bool capture_start_waits(const struct capture *c);
int capture_counters(struct capture *c, struct capture_counters *ret);

/* CAPTURE_MORE: the mode is this one, and capture_attach() is to be called, again and again while it returns that. */
int capture_set_mode(struct capture *c, enum capture_mode mode);
/* Detaching one hook keeps the kernel busy for 40-80 ms, in which none can be attached, and attaching all
 * of them takes 3 ms: so come off one at a time, and set the mode after the last. */
int capture_detach_step(struct capture *c);
/* Takes back what capture_detach_step() did. CAPTURE_MORE: some hooks are busy still, call again soon. */
int capture_attach(struct capture *c);
enum { CAPTURE_MORE = 1 /* there are more to detach, or to attach */ };

/* What is opened, connected to and executed is always told. Closer: how long each call takes, too (else
 * latency_ns is 0), which programs are looked for in vain, what is only asked about, and the pages used, the
 * last two as capture_learn_looks() and capture_learn_pages() asked for. That is what most of the hooks' cost is
 * for. On from the start. Off is done one hook at a time, as by capture_detach_step(), and on does not wait for
 * hooks that are busy: again while it returns CAPTURE_MORE. While off the first wake_starts starts of each
 * block wake the reader. CAPTURE_ALWAYS: this kernel tells nothing of a call without timing it. */
int capture_closer(struct capture *c, bool on, uint32_t wake_starts);
enum { CAPTURE_ALWAYS = 2 };

/* Notes which pages of which files a process uses, for_ns after its exec; 0: not any more, and the
 * hooks are detached. CAPTURE_NO_PAGES: see above. What was noted is taken with sys/pageuse.h, from
 * the map that capture_used_pages() returns the descriptor of; borrowed. */
int capture_learn_pages(struct capture *c, uint64_t for_ns);
int capture_used_pages(const struct capture *c, uint64_t *ret_full_n);
/* Tells what a process only asks about (OBS_F_LOOKUP), for_ns after its exec, while looking closer; 0: not any
 * more. */
int capture_learn_looks(struct capture *c, uint64_t for_ns);

/* Files whose pages were seen in memory, until the kernel says that one left: what names the pages
 * meant, in the caller's way. known: only if it is still there. -E2BIG: full; clear and go on.
 * CAPTURE_NO_PAGES: not there, or this kernel does not tell. */
int capture_resident_update(struct capture *c, uint64_t dev, uint64_t ino, uint64_t what,
			    bool known);
int capture_resident_get(struct capture *c, uint64_t dev, uint64_t ino, uint64_t *ret_what);
/* Counts as if all had left. */
void capture_resident_clear(struct capture *c);
/* How many left so far, to compare with: it wraps. CAPTURE_NO_PAGES: this kernel does not tell. */
int capture_resident_left(const struct capture *c, uint32_t *ret_n);

/* The tables the hooks look up. row NULL removes. -E2BIG: full. */
int capture_guesses_update(struct capture *c, const struct fwm_block_key *key,
			   const struct fwm_guess_row *row);
int capture_known_update(struct capture *c, const struct fwm_block_key *key,
			 const struct fwm_known_row *row);
int capture_edges_update(struct capture *c, uint32_t id, const struct fwm_edge_row *row);
/* From now on the start of a block without a row of guesses wakes the reader too. */
void capture_wake_new(struct capture *c);
/* Sets the FWM_MARK_* of a process and, from now on, of its children. */
int capture_mark(struct capture *c, uint32_t tgid, uint32_t flags);

/* An observation of the start-up snapshot: services in it are joined to who connects later. */
void capture_seed(struct capture *c, const struct obs *o);

/* CAPTURE_TRACEPOINTS, or CAPTURE_BEST: the calls themselves. */
enum capture_tier capture_tier(const struct capture *c);

/* Takes the hook with this name off, and puts it on again: what the self-test must notice. -ENOENT: no
 * such program here. */
int capture_switch(struct capture *c, const char *name, bool on);

/* The programs, at most max; returns how many there are. */
size_t capture_progs(struct capture *c, struct capture_prog *progs, size_t max);

#endif
