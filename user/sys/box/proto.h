/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * proto.h - what crosses the sockets between pool, filler and parked init.
 *
 * Shape    SOCK_SEQPACKET, one fixed header a message; strings follow as a blob of NUL-ended strings,
 *          in the message or, when BOX_F_BLOB_FD, in a memfd that is the first descriptor.
 * Bounds   BOX_MSG_MAX bytes a message, BOX_FD_MAX descriptors.
 * Trust    pool -> filler -> init go down in privilege: the lower side trusts the upper. The pool
 *          checks every length of what an init says.
 */
#ifndef SYS_BOX_PROTO_H
#define SYS_BOX_PROTO_H

#include <stdint.h>

enum {
	BOX_MSG_MAX = 96 << 10,
	BOX_INLINE_MAX = 64 << 10,
	BOX_FD_MAX = 240,
	BOX_HIER_MAX = 8,
	BOX_KNOB_MAX = 12,
	BOX_MOUNT_MAX = 64,
	BOX_RLIMIT_MAX = 16,
	BOX_GROUP_MAX = 1024,
	BOX_UPPER_MAX = 17,
	BOX_PATH_LEN = 256,
};

enum box_kind {
	BOX_SETUP = 1, /* pool -> filler, first; fds: hierarchies, filter 1, filter 2 */
	BOX_FILL,      /* pool -> filler -> stub; there with the net namespace as fd */
	BOX_STUB,      /* pool -> filler: make one more, when nothing else is to be done */
	BOX_FILLED,    /* filler -> pool; fds: ctl socket, pidfd of the init */
	BOX_REMOVE,    /* pool -> filler: sandbox id is dead, remove its groups */
	BOX_REMOVED,   /* filler -> pool */
	BOX_PARKED,    /* init -> pool */
	BOX_START,     /* pool -> init; fds: [blob], stdio, listen, mounts, [filters] */
	BOX_STARTED,   /* init -> pool; fd: pidfd of the command */
	BOX_FAILED,    /* filler or init -> pool: error, where */
	BOX_EXITED,    /* init -> pool */
	BOX_UPPER,     /* pool -> init, and back with fds */
};

enum {
	BOX_F_BLOB_FD = 1 << 0,
	BOX_F_NET_PRIVATE = 1 << 1,
	BOX_F_KEEP_TTY = 1 << 2,
	BOX_F_FILTER = 1 << 3,
	BOX_F_STDIN = 1 << 4, /* which of the three were passed */
	BOX_F_STDOUT = 1 << 5,
	BOX_F_STDERR = 1 << 6,
	BOX_F_NAMES = 1 << 8, /* blob ends with LISTEN_FDNAMES */
	BOX_F_STRICT = 1 << 9,
	BOX_F_USERS_SELF = 1 << 10, /* a user namespace with these in it */
	BOX_F_USERS_IDENTITY = 1 << 11,
	BOX_F_FILTER_2 = 1 << 12, /* another one, after the first */
	BOX_F_BOUNDED = 1 << 13,  /* caps are the bounding set, whoever it is */
	BOX_F_NICE = 1 << 14,
	BOX_F_OOM_SCORE = 1 << 15,
	BOX_F_SIGPIPE = 1 << 16,   /* ignored */
	BOX_F_PROC_PIDS = 1 << 17, /* nothing else in /proc */
};

struct box_knob {
	uint32_t hier;
	char file[40];
	char value[48];
};

struct box_setup {
	uint32_t kind, flags;
	uint32_t hier_n, v2;	 /* v2: hierarchy 0 is cgroup2 */
	uint32_t knob_n, stub_n; /* stub_n: attached ahead, see filler.c */
	uint64_t layer_bytes;
	uint64_t caps_keep;
	struct box_knob knobs[BOX_KNOB_MAX];
	char root[BOX_PATH_LEN];
};

struct box_msg { /* FILL, FILLED, REMOVE, REMOVED, PARKED, STARTED, FAILED, EXITED, UPPER */
	uint32_t kind, flags;
	uint32_t id;	 /* FILL, FILLED, FAILED: the pool's request; else the sandbox's number */
	uint32_t serial; /* FILLED: the sandbox's number, which names its groups */
	uint32_t pad;
	int32_t arg; /* FAILED: -errno; EXITED: wait status; STARTED: pid; UPPER: count */
	uint64_t cpu_ns, maxrss_bytes;
	char where[64];
};

struct box_upper {
	struct box_msg msg;
	char at[BOX_UPPER_MAX][BOX_PATH_LEN];
};

struct box_mount {
	uint32_t kind; /* enum sandbox_mount_kind */
	uint32_t optional;
};

struct box_rlimit {
	uint64_t cur, max;
	uint32_t resource, pad;
};

/* Followed by rlimits, mounts, groups (uint32), then the blob: path, cwd, mount paths, argv, env
 * (argc and envc strings each), names. */
struct box_start {
	uint32_t kind, flags, id;
	uint32_t uid, gid, umask;
	uint32_t argc, envc, group_n, listen_n, mount_n, rlimit_n;
	int32_t nice, oom_score;
	uint32_t hide_proc, pad; /* enum sandbox_proc */
	uint64_t caps, ambient;
	uint64_t blob_len;
};

#endif
