/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * obs.h - one observation of the host, decoded: the only input of the core.
 *
 * Shape    What happened, to which process, with the names in text. Live records, recorded traces
 *          and the start-up snapshot of running processes all become this, so the core cannot
 *          tell them apart.
 * Units    Times in ns of CLOCK_MONOTONIC, sizes in bytes, err a positive errno (0: it worked).
 * Owner    All strings are borrowed from the decoder and live until its next call. name is never
 *          NULL for EXEC, OPEN, CONNECT and LISTEN.
 * Trust    The numbers are the kernel's; the strings are whoever's ran the program: any byte but
 *          NUL, any length up to OBS_NAME_MAX.
 */
#ifndef CORE_OBS_H
#define CORE_OBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBS_NAME_MAX 4096 /* PATH_MAX: NUL included */
#define OBS_ARGS_MAX 1024

enum obs_kind {
	OBS_NONE,
	OBS_FORK,    /* pid was made by ppid */
	OBS_EXEC,    /* pid is now the program name, with args */
	OBS_EXIT,    /* the last thread of pid is gone; use is filled in */
	OBS_OPEN,    /* pid opened name, or failed to (err) */
	OBS_CONNECT, /* pid connected to the service name, or failed to */
	OBS_LISTEN,  /* pid answers at the service name */
	OBS_FOLD, /* pid opened name count times, single times not known: under overload, or the same again */
	OBS_STARTS, /* pid started name count times, single times not known, and nothing of those it started */
	OBS_ENDS, /* count of these ended; use is what they used together */
	OBS_GAP,  /* pid started programs that come as such counts: before what it starts next */
	OBS_KIND_MAX
};

/* What a process used in its whole life, as the kernel sums it up at its end. */
struct obs_use {
	uint64_t life_ns; /* from its exec (or fork) to its end */
	uint64_t cpu_ns;
	uint64_t rss_peak_bytes;
	uint64_t read_bytes, write_bytes; /* from and to storage */
	uint64_t majflt_n, minflt_n;
	int32_t exit_code; /* as wait(2) gives it */
};

/* A file's identity; all 0 when unknown (a failed open). */
struct obs_file {
	uint64_t dev, ino;
	uint32_t gen;
	uint32_t mode; /* S_IFMT and permission bits */
	uint64_t size; /* bytes */
	uint64_t real_dev,
		real_ino; /* of an overlay's file: the one below, which has its pages; 0: itself */
};

struct obs {
	enum obs_kind kind;
	int32_t err;
	uint64_t ts_ns;
	uint64_t cgroup; /* cgroup v2 id, 0 unknown */
	uint32_t pid, ppid, uid;
	uint32_t peer;	     /* CONNECT: the process that listens there on this host; 0 unknown */
	uint32_t flags;	     /* OBS_F_* */
	uint32_t mntns;	     /* EXEC: inode number of its mount namespace; 0 unknown */
	uint64_t latency_ns; /* of the open or connect; 0 unknown */
	uint64_t count;	     /* how many alike this stands for: 1, or more for FOLD */
	const char *name;    /* absolute path, or a service: "tcp:127.0.0.1:80" "udp:[::1]:53"
			        "unix:/run/x" "unix:@abstract" */
	const char *script;  /* EXEC through "#!": the script; else NULL */
	const char *image;   /* EXEC: what its root is made of (core/naming.h); NULL: not told */
	const char *args;    /* EXEC: argv, each with its NUL, from argv[0]; args_len bytes */
	size_t args_len;
	struct obs_file file;
	struct obs_use use; /* EXIT */
};

#define OBS_F_CUT (1u << 0)    /* name or args were longer than what is here */
#define OBS_F_WRITE (1u << 1)  /* OPEN for writing, or creating */
#define OBS_F_MAPPED (1u << 2) /* OPEN: reached by exec or as its interpreter, not by open(2) */
#define OBS_F_DIR (1u << 3)    /* OPEN of a directory */
#define OBS_F_SEED (1u << 4)   /* was already so when the daemon started */
#define OBS_F_LOOKUP                                                                               \
	(1u                                                                                        \
	 << 6) /* OPEN: only asked about (stat, access, exec in vain), not opened; err 0: not known */
#define OBS_F_UPDATE (1u << 7) /* OPEN with OBS_F_WRITE: also of what it has, as a database is */
#define OBS_F_QUIET (1u << 5)  /* EXEC: well known, so its opens are not reported this time */
#define OBS_F_READY (1u << 8)  /* EXEC: what it needs is in memory, as at its last starts */

#define OBS_F_COUNTED (1u << 9) /* EXEC: it is in an OBS_STARTS too */

/* What is made by who opens it: there is nothing in it that is needed. */
static inline bool obs_produces(const struct obs *o)
{
	return (o->flags & (OBS_F_WRITE | OBS_F_UPDATE)) == OBS_F_WRITE;
}

#endif
