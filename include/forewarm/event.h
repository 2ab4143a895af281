/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * event.h - the records the kernel side hands to the daemon, byte for byte.
 *
 * Shape   a fwm_hdr, then the body its kind names; hdr.size bytes in all, and what follows them in the
 *         room it comes in means nothing. Variable text comes last and is cut to its exact length. A
 *         file is a number (struct fwm_file); the text that belongs to it came before, once, in a
 *         FWM_EVENT_NAME.
 * Units   times in ns of CLOCK_MONOTONIC, sizes in bytes, ids as the kernel's first pid and user
 *         namespace give them. err is 0 or a positive errno.
 * Errors  none cross here: a record that was not sent is counted, see struct fwm_counts.
 * Trust   the layout is ours; the text belongs to whoever ran the program.
 * Source  one hook each, named in bpf/exec.bpf.c, bpf/open.bpf.c, bpf/connect.bpf.c.
 *
 * Both sides include this, so: fixed-width types, no pointers, no implicit padding.
 */
#ifndef FWM_EVENT_H
#define FWM_EVENT_H

#include <linux/types.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

#define FWM_PATH_MAX 4096 /* PATH_MAX: NUL included */
#define FWM_ARGS_MAX 512  /* of argv, each argument with its NUL; more is cut and flagged */
#define FWM_SUN_MAX 108	  /* sun_path of sockaddr_un */
/* Components of a path, leaf first, each with its NUL, and room for one more of the longest. */
#define FWM_COMPS_MAX (FWM_PATH_MAX + 256)

enum fwm_event_kind {
	FWM_EVENT_NONE, /* never sent: a record of this kind is a bug */
	FWM_EVENT_NAME,
	FWM_EVENT_FORK,
	FWM_EVENT_EXEC,
	FWM_EVENT_EXIT,
	FWM_EVENT_OPEN,
	FWM_EVENT_MISS,
	FWM_EVENT_CONNECT,
	FWM_EVENT_LISTEN,
	FWM_EVENT_KIND_MAX,
};

/* Flags of any record. */
#define FWM_F_CUT (1u << 0)	/* the text was longer than what is here */
#define FWM_F_DELETED (1u << 1) /* NAME: the file has no name any more */
#define FWM_F_LOST (1u << 2)	/* NAME: the walk ended outside the mount tree */
#define FWM_F_CHROOT                                                                               \
	(1u << 3) /* MISS: base is the root of the process, put it before an absolute path */
#define FWM_F_EXEC (1u << 4)  /* MISS: of execve, not of open */
#define FWM_F_URING (1u << 5) /* came through io_uring */
#define FWM_F_NO_LATENCY (1u << 6)
#define FWM_F_QUIET (1u << 8) /* EXEC: well known, so the opens of this start are not reported */
#define FWM_F_LOOKUP                                                                               \
	(1u << 9) /* MISS: only asked about (stat, access); whether it is there is not told */
#define FWM_F_GONE (1u << 7)   /* LISTEN: nobody listens there any more */
#define FWM_F_AGAIN (1u << 10) /* OPEN, MISS: latency_ns says how often again, after it was told */

#define FWM_F_READY                                                                                \
	(1u                                                                                        \
	 << 11) /* EXEC: what it needs was in memory at its last starts, and nothing left since */
#define FWM_F_NEW (1u << 12)   /* EXEC, EXIT: the first told of this process; parent made it */
#define FWM_F_WAITS (1u << 13) /* EXEC: the reader was woken for it */

struct fwm_hdr {
	__u64 ts_ns; /* when the hook ran */
	__u32 tgid;  /* the process: what user space calls its pid */
	__u32 tid;   /* the thread */
	__u16 size;  /* of the whole record, this header included */
	__u16 kind;  /* enum fwm_event_kind */
	__u32 flags; /* FWM_F_* */
};

/* Which file, and by which of its paths: what a name is resolved for once. All 0: none. */
struct fwm_file {
	__u64 ino;
	__u32 dev; /* as the kernel has it: major << 20 | minor */
	__u32 gen; /* i_generation, tells reuses of an inode number apart where the file system keeps it */
	__u32 name; /* hash over the dentries and mounts on the way to the root: links, bind mounts, renames */
	__u32 zero;
};

/* From now on this file has this path. Sent before the first record which carries the file. */
struct fwm_name {
	struct fwm_hdr hdr;
	struct fwm_file file;
	__u64 size;  /* bytes */
	__u32 mode;  /* S_IFMT and permissions */
	__u32 magic; /* of the file system, as statfs gives it */
	__u32 mntns; /* inode number of the mount namespace the path is valid in, 0 unknown */
	__u32 comps_len;
	__u64 real_ino; /* of an overlay's file: the one below, which has its pages; 0: itself */
	__u32 real_dev;
	__u32 zero;
	char comps[FWM_COMPS_MAX]; /* "ls\0bin\0usr\0" is /usr/bin/ls; nothing is / */
};

/* Of a process that does something else before it executes or ends, and so before what it does; of one whose
 * parent executes or ends first, before that. Else the first record of it has FWM_F_NEW. */
struct fwm_fork {
	struct fwm_hdr hdr; /* tgid: the child; ts_ns: when it was told */
	__u32 parent;
	__u32 zero;
};

/* What the root directory of a process is made of, the same for every container of one image. */
enum fwm_image {
	FWM_IMAGE_UNKNOWN, /* not asked for, or not to be told */
	FWM_IMAGE_HOST,	   /* the host's own root */
	FWM_IMAGE_OVERLAY, /* hash of the directories below, without those made for one container */
	FWM_IMAGE_ROOT, /* hash of a directory: the root, or where the program's file system is bound
			    * from when the root is only in memory */
};
#define FWM_IMAGE(kind, hash) ((__u64)(kind) << 48 | (hash) >> 16)
#define FWM_IMAGE_BITS 0xffffffffffffull

/* Adds a directory to such a hash, which begins with 1. */
static inline __u64 fwm_image_hash(__u64 h, __u32 dev, __u64 ino)
{
	h = (h ^ dev) * 0x9e3779b97f4a7c15ull;
	h = (h ^ ino) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

struct fwm_exec {
	struct fwm_hdr hdr;
	struct fwm_file exe;	/* what runs: of a script its interpreter */
	struct fwm_file loader; /* ld.so or another ELF interpreter */
	struct fwm_file cwd;	/* only when script is relative */
	__u64 cgroup;		/* v2 id */
	__u64 image;		/* FWM_IMAGE_* << 48 | hash: whose files these are */
	__u32 parent;
	__u32 uid;
	__u32 mntns;	  /* inode number of the mount namespace */
	__u32 latency_ns; /* from the entry of execve, saturated */
	__u16 args_len;	  /* the text starts with so many bytes of argv */
	__u16 script_len; /* then the path of the script as it was asked for, NUL included; 0: no script */
	__u32 zero;
	char text[FWM_ARGS_MAX + FWM_PATH_MAX];
};

struct fwm_exit {
	struct fwm_hdr hdr;
	__u64 life_ns;		       /* since its first thread started */
	__u64 cpu_ns;		       /* time on a CPU as the scheduler counts it */
	__u64 rss_peak;		       /* pages */
	__u64 read_bytes, write_bytes; /* from and to storage */
	__u64 majflt_n, minflt_n;
	__u32 exit_code; /* as wait(2) gives it */
	__u32 parent;	 /* by now: of one that outlived its own another */
};

struct fwm_open {
	struct fwm_hdr hdr;
	struct fwm_file file;
	__u32 latency_ns; /* saturated */
	__u32 oflags;	  /* of open(2) */
};

/* A lookup in vain; or, with err 0, a file only known by the name it was asked for (FWM_F_URING). */
struct fwm_miss {
	struct fwm_hdr hdr;
	struct fwm_file base; /* directory a relative path starts from; see FWM_F_CHROOT too */
	__u32 latency_ns;
	__u32 oflags;
	__u32 err;
	__u32 path_len; /* NUL included */
	__u32 mntns;	/* inode number of the mount namespace it was looked for in */
	__u32 zero;
	char path[FWM_PATH_MAX];
};

/* CONNECT and LISTEN. */
struct fwm_sock {
	struct fwm_hdr hdr;
	struct fwm_file file; /* AF_UNIX: the socket's inode when it has one, and ino 0 else */
	struct fwm_file base; /* AF_UNIX with a relative path that failed: what it is relative to */
	__u32 latency_ns;     /* of the handshake, saturated */
	__u32 err;
	__u32 peer;   /* AF_UNIX: the process that listens; 0 unknown */
	__u32 netns;  /* inode number of the network namespace */
	__u16 family; /* AF_INET, AF_INET6, AF_UNIX */
	__u16 proto;  /* IPPROTO_TCP, IPPROTO_UDP; 0 for AF_UNIX */
	__u16 port;   /* host order */
	__u16 path_len;
	__u8 addr[16]; /* network order; AF_INET: the first 4 */
	char path
		[FWM_SUN_MAX]; /* AF_UNIX: sun_path, abstract ones start with NUL; path_len bytes */
	__u32 zero_;
};

/* Hooks, each with its own counters. */
enum fwm_hook {
	FWM_HOOK_FORK, /* not a hook of its own: each process told before it executed or ended */
	FWM_HOOK_EXEC,
	FWM_HOOK_EXIT,
	FWM_HOOK_EXECVE, /* the system calls; only failures become records */
	FWM_HOOK_OPEN,
	FWM_HOOK_OPENAT,
	FWM_HOOK_OPENAT2,
	FWM_HOOK_CREAT,
	FWM_HOOK_HANDLE, /* open_by_handle_at */
	FWM_HOOK_CONNECT,
	FWM_HOOK_BIND,
	FWM_HOOK_SEND,	/* UDP on a socket that is not connected */
	FWM_HOOK_STATE, /* inet_sock_set_state */
	FWM_HOOK_URING,
	FWM_HOOK_NAME,	 /* not a hook of its own: each path that had to be resolved */
	FWM_HOOK_LOOK,	 /* stat, access, readlink while they are learnt */
	FWM_HOOK_RENAME, /* whatever makes known paths doubtful: rename, mount; nothing is sent */
	FWM_HOOK_MAX,
};

/* What became of each run of a hook, per CPU. With no hook in flight the sums over all CPUs
 * satisfy seen == filtered + unreadable + ring_full + sent + folded; tests hold us to it. */
struct fwm_counts {
	__u64 seen;
	__u64 filtered; /* not wanted: own processes, threads, pseudo file systems, known programs */
	__u64 unreadable; /* something the hook needed could not be read */
	__u64 ring_full;  /* lost: no room in the ring, and none to fold it either */
	__u64 sent;
	__u64 folded; /* kept as a count only, see struct fwm_fold */
};

_Static_assert(sizeof(struct fwm_hdr) == 24, "fwm_hdr is ABI");
_Static_assert(sizeof(struct fwm_file) == 24, "fwm_file is ABI");
_Static_assert(sizeof(struct fwm_name) == 88 + FWM_COMPS_MAX, "fwm_name is ABI");
_Static_assert(sizeof(struct fwm_fork) == 32, "fwm_fork is ABI");
_Static_assert(sizeof(struct fwm_exec) == 136 + FWM_ARGS_MAX + FWM_PATH_MAX, "fwm_exec is ABI");
_Static_assert(sizeof(struct fwm_exit) == 88, "fwm_exit is ABI");
_Static_assert(sizeof(struct fwm_open) == 56, "fwm_open is ABI");
_Static_assert(sizeof(struct fwm_miss) == 72 + FWM_PATH_MAX, "fwm_miss is ABI");
_Static_assert(__builtin_offsetof(struct fwm_miss, latency_ns) ==
		       __builtin_offsetof(struct fwm_open, latency_ns),
	       "FWM_F_AGAIN is read of either");
_Static_assert(sizeof(struct fwm_sock) == 224, "fwm_sock is ABI");

#pragma GCC diagnostic pop

#endif /* FWM_EVENT_H */
