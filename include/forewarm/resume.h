/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * resume.h - a stopped service that is to be resumed by whoever connects to it.
 *
 * Shape    One slot a service, in an array both sides have mapped. The daemon fills a slot and sets
 *          "armed" last; whoever takes "armed" from 1 to 0, the kernel side on the first connection or
 *          the daemon, resumes the service. Who rests is not resumed: done_ns stays 0. Which slot a client means is in a table of names beside it,
 *          a cache line each: after some rest every line costs its time.
 * Units    ns of CLOCK_MONOTONIC; start in ticks of 10 ms since boot, as in /proc/PID/stat.
 */
#ifndef FWM_RESUME_H
#define FWM_RESUME_H

#include <linux/types.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

#define FWM_RESUME_PATH 128 /* 108 of them, so that a mask bounds it */
#define FWM_RESUME_LINE 5   /* names of a cache line */
#define FWM_RESUME_LINES 1024

struct fwm_resume {
	__u32 armed;
	__s32 pid;   /* of the process, as the host counts; 0: none is stopped, tell only */
	__u64 start; /* its start: a pid alone may be somebody else's by now */
	__u64 seen_ns, done_ns;
	__u64 zero[4]; /* a cache line */
};
_Static_assert(sizeof(struct fwm_resume) == 64, "fwm_resume is ABI");

/* What a client names when it connects; of a UNIX socket with a path that alone. */
struct fwm_resume_name {
	__u64 netns;			 /* its cookie */
	__u32 family;			 /* AF_INET for both */
	__u32 port;			 /* in network order */
	__u64 path[FWM_RESUME_PATH / 8]; /* zeros behind; abstract: after a 0 */
};
_Static_assert(sizeof(struct fwm_resume_name) == 144, "fwm_resume_name is ABI");

/* The names of one table line, by their hashes; 0: none. What looks equal and is not costs a service
 * its rest, no more. */
struct fwm_resume_line {
	__u64 hash[FWM_RESUME_LINE];
	__u32 slot[FWM_RESUME_LINE];
	__u32 zero;
};
_Static_assert(sizeof(struct fwm_resume_line) == 64, "fwm_resume_line is a cache line");

/* FNV-1a by words. Never 0. */
static inline __attribute__((always_inline)) __u64
fwm_resume_hash(const struct fwm_resume_name *name)
{
	__u64 h = 0xcbf29ce484222325ull;

	h = (h ^ name->netns) * 0x100000001b3ull;
	h = (h ^ ((__u64)name->family << 32 | name->port)) * 0x100000001b3ull;
	for (int i = 0; i < 108 / 8 + 1; i++) {
		h = (h ^ name->path[i]) * 0x100000001b3ull;
		h ^= h >> 32;
	}
	return h | 1;
}

#pragma GCC diagnostic pop

#endif
