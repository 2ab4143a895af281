/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * maps.bpf.h - the maps all hook families share; bpf/maps.bpf.c defines them and says why each
 * has its size and what happens when it is full.
 */
#ifndef FWM_MAPS_BPF_H
#define FWM_MAPS_BPF_H

#include "kernel.bpf.h"

#include <forewarm/event.h>
#include <forewarm/table.h>

#define PENDING_MAX 32768  /* power of two */
#define PROCS_MAX 32768	   /* power of two */
#define NAME_SETS_MAX 8192 /* power of two */
#define NAME_WAYS 4
#define CONNS_MAX 8192
#define PAGE_STARTS_MAX 16384 /* power of two */

/* A system call on its way, between its enter and its exit hook. */
struct pending {
	__u64 pid_tgid; /* whose; another value: the slot was taken over */
	__u64 ts_ns;
	__u64 text;   /* user pointer: the path, or the socket address */
	__s32 dfd;    /* directory, or the socket */
	__u32 oflags; /* of open, or the length of the address */
	__u32 hook;   /* enum fwm_hook, or PENDING_NONE */
	__u32 state;  /* PENDING_* */
	__u64 zero[3];
};
#define PENDING_NONE FWM_HOOK_MAX
#define PENDING_HANDSHAKE (1u << 0) /* connect: TCP's own tracepoint has taken over */
#define PENDING_IN_ROOT (1u << 1)   /* openat2 with RESOLVE_IN_ROOT */

/* What the hooks know of a process: a cache line. */
struct proc {
	union {
		struct {
			__u32 tgid; /* 0: free */
			__u32 flags; /* FWM_MARK_*, PROC_NEW; of one without a slot they are in marks */
		};
		__u64 owner; /* both at once, for another may take the slot meanwhile */
	};
	__u64 exec_ns;	 /* of one that is gone: when it went */
	__u32 epoch;	 /* of the marks it was last compared with */
	__u32 exec_tgid; /* who executed at exec_ns: itself, or the one it was forked from */
	__u32 looks_n;	 /* lookups told, see bpf/look.bpf.c */
	__u16 pages;	 /* not 0: what it uses of files is to be learnt */
	__u16 row;	 /* not 0: marks has a row of it */
	/* The file it opened last, 0: none; and how often since that was told. A lookup in vain: a hash of it in
	 * place of the inode, LAST_MISS of the device, and in place of gen whether missed has it. */
	__u64 last_ino;
	__u32 last_dev, last_gen, last_name;
	__u32 again_n;
	__u64 told_jiffies;
};

#define PROC_GONE (1u << 31) /* of tgid: it ended, and nobody has taken the slot */
#define PROC_NEW (1u << 31)  /* of flags: that it was made is still to be told */

#define LAST_MISS (~0u) /* no device */

/* The lookup in vain that a process repeats: a struct fwm_miss of a short path. */
#define MISSED_MAX 4096 /* power of two */
#define MISSED_PATH 128
struct missed {
	struct fwm_hdr hdr;
	struct fwm_file base;
	__u32 latency_ns, oflags, err, path_len, mntns, zero;
	char path[MISSED_PATH];
	__u32 tgid; /* whose; 0: free */
	__u32 zero2;
};

_Static_assert(offsetof(struct missed, path) == offsetof(struct fwm_miss, path), "sent as it is");

/* A file whose path user space has. All but the last line together say "the same file by the same
 * path"; a rename of a directory above it, or a mount, makes only inval differ. */
struct name_slot {
	__u64 dentry, mnt, parent,
		hash_len; /* kernel pointers, and the last component's hash and length */
	__u64 ino;
	__u32 gen;
	__u32 dev;
	__u64 chain; /* hash over all dentries and mounts on the way to the root */
	__u32 inval; /* of name_inval when it was last found right */
	__u32 flags; /* NAME_SLOT_*, and name_epoch above */
};
#define NAME_SLOT_PSEUDO (1u << 0)  /* on a pseudo file system: never reported */
#define NAME_SLOT_DELETED (1u << 1) /* without a name in its directory, or a root */
#define NAME_SLOT_EPOCH(e) ((e) << 8)

struct name_set {
	struct name_slot way[NAME_WAYS];
};

struct dentry_head {
	__u64 pprev; /* 0: not hashed, so deleted, or never had a name */
	__u64 parent;
	__u64 hash_len;
	__u64 name;
};

struct walk {
	const struct dentry *dentry;
	const struct dentry *mnt_root;
	const struct dentry *leaf_root; /* of the file's own mount */
	__u64 mnt;			/* struct vfsmount, inside a struct mount */
	__u64 chain;
	__u32 pos;
	__u32 flags; /* FWM_F_* */
	__u32 done;
	__u32 mntns_found;
};

/* A path being resolved; per CPU because it is far too big for the stack, of which hook, name_send()
 * and its step have 512 bytes together before kernel 6.13. */
struct name_scratch {
	struct fwm_name rec;
	struct dentry_head leaf, step;
	struct walk walk;
	__u64 chain;
	__u32 victim;
	__u32 zero;
};

/* A TCP handshake under way. */
struct conn {
	__u64 ts_ns;
	__u64 pid_tgid;
};

/* An address a socket that is not connected was seen to send to. */
struct send_key {
	__u64 cookie; /* of the socket: never used again */
	__u8 addr[16];
	__u64 port; /* or a hash of the path of a UNIX socket */
};

/* A request of io_uring under way. */
#define URING_TEXT_MAX 256
struct uring_op {
	__u64 ts_ns;
	__u64 pid_tgid;
	__s32 dfd;
	__u32 oflags;
	__u32 slot;
	__u8 code;
	__u8 zero;
	__u16 proto;
	__u32 text_len;
	char text[URING_TEXT_MAX]; /* the path, or the socket address */
};

struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
};

struct counts_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FWM_HOOK_MAX);
	__type(key, __u32);
	__type(value, struct fwm_counts);
};

struct pending_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PENDING_MAX);
	__type(key, __u32);
	__type(value, struct pending);
};

struct procs_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROCS_MAX);
	__type(key, __u32);
	__type(value, struct proc);
};

struct missed_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MISSED_MAX);
	__type(key, __u32);
	__type(value, struct missed);
};

struct names_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NAME_SETS_MAX);
	__type(key, __u32);
	__type(value, struct name_set);
};

struct name_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct name_scratch);
};

/* Where an open file, or a directory of a process, is: kernel pointers. */
struct place {
	__u64 mnt, dentry, inode;
};

/* A record being built, and the root directory last looked at: mostly it is the next one's too. */
struct miss_scratch {
	struct fwm_miss rec;
	__u64 root_mnt, root_dentry;
	struct fwm_file root;
	__u32 root_inval; /* of name_inval then; 0: none */
	__u32 chroot;	  /* it is not that of the mount namespace */
	struct place room;
};

struct miss_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct miss_scratch);
};

struct sock_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwm_sock);
};

/* Off the stack too; only under overload. */
struct fold_scratch {
	struct fwm_fold_key key;
	struct fwm_fold_row fresh;
};

struct fold_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fold_scratch);
};

struct exec_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwm_exec);
};

struct conns_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONNS_MAX);
	__type(key, __u64);
	__type(value, struct conn);
};

struct sends_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct send_key);
	__type(value, __u8);
};

struct urings_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct uring_op);
};

struct uring_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct uring_op);
};

struct marks_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWM_MARKS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct fwm_mark);
};

struct guesses_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWM_GUESSES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fwm_block_key);
	__type(value, struct fwm_guess_row);
};

struct known_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWM_GUESSES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fwm_block_key);
	__type(value, struct fwm_known_row);
};

struct page_starts_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PAGE_STARTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
};

struct edges_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWM_EDGES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct fwm_edge_row);
};

struct folds_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWM_FOLDS_MAX);
	__type(key, struct fwm_fold_key);
	__type(value, struct fwm_fold_row);
};

extern struct ring_map ring SEC(".maps");
extern struct counts_map counts SEC(".maps");
extern struct pending_map pending SEC(".maps");
extern struct procs_map procs SEC(".maps");
extern struct missed_map missed SEC(".maps");
extern struct names_map names SEC(".maps");
extern struct name_scratch_map name_scratch SEC(".maps");
extern struct miss_scratch_map miss_scratch SEC(".maps");
extern struct sock_scratch_map sock_scratch SEC(".maps");
extern struct fold_scratch_map fold_scratch SEC(".maps");
extern struct exec_scratch_map exec_scratch SEC(".maps");
extern struct conns_map conns SEC(".maps");
extern struct sends_map sends SEC(".maps");
extern struct urings_map urings SEC(".maps");
extern struct uring_scratch_map uring_scratch SEC(".maps");
extern struct marks_map marks SEC(".maps");
extern struct guesses_map guesses SEC(".maps");
extern struct known_map known SEC(".maps");
extern struct page_starts_map page_starts SEC(".maps");
extern struct edges_map edges SEC(".maps");
extern struct folds_map folds0 SEC(".maps");
extern struct folds_map folds1 SEC(".maps");

/* Set before load. */
extern const volatile __u32 own_tgid;	    /* the daemon: never traced */
extern const volatile __u32 own_children;   /* not 0: what own_tgid forks is traced all the same */
extern const volatile __u32 arguments_only; /* not 0: of a start without any, argv[0] is not told */
extern const volatile __u32 only_targets;   /* not 0: trace only FWM_MARK_TARGET */
extern const volatile __u32 keep_pseudo;    /* not 0: report /proc, /sys and their like too */
extern const volatile __u32 uring_cqe;	    /* io_uring_complete has a pointer to the completion */
extern const volatile __u32 name_sets_mask; /* sets in names - 1, a power of two - 1 */
extern const volatile __u32 procs_mask;	    /* slots in procs - 1, likewise */
extern const volatile __u32 host_mntns; /* not 0: of a start in any other, tell whose root it has */
extern const volatile __u32 host_root_dev;
extern const volatile __u64 host_root_ino;
extern const volatile __u64 wake_bytes; /* this much unread data wakes the reader */
extern const volatile __u64 fold_bytes; /* with this much unread data opens are folded */

/* Changed while running, by both sides. */
extern __u32 wake_sent;	   /* the reader was woken and has not drained since */
extern __u32 waits_n;	   /* counts records with FWM_F_WAITS */
extern __u32 name_inval;   /* counts what can change a path: renames, mounts */
extern __u32 name_epoch;   /* counts the reader's requests to send every path again */
extern __u32 marks_epoch;  /* counts the reader's changes of marks */
extern __u32 marks_n;	   /* rows there are, or a little more */
extern __u64 marks_seen;   /* of all there were, tgid & 63 */
extern __u64 begun_ns;	   /* all hooks were on; what was made before is known by other means */
extern __u32 ring_pressed; /* there was much unread when a hook last looked */
extern __u32 folds_side;   /* which of folds0 and folds1 is written */
extern __u32 folds_used;   /* there is something in the side that is written */
extern __u32 sampling;	   /* not 0: the known table is obeyed */
extern __u64 again_lost;   /* opens kept as a count for which there was no room in the end */
extern __u32 uring_used;   /* a request of interest was ever submitted */
extern __u64 timed_since;  /* calls are timed from then on; 0: not at all */
extern __u32 wake_starts;  /* so many first starts of a block wake the reader */
extern __u32 left_n;	   /* files known to be resident that left memory */
extern __u64 learn_ns;	   /* what pages a process uses is noted for so long; 0: not at all */
extern __u32 wake_new;	   /* not 0: so does that of one without a row in guesses */
extern __u32 tables_n[FWM_TABLES]; /* counts what the reader changed in guesses and known */
extern __u32 wake_unknown;	   /* not 0: the start of a block not in known wakes the reader */

#endif
