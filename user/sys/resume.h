/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * resume.h - a stopped service runs on from inside its client's connect(), with nobody in between.
 *
 * Shape    resume_arm() names listening sockets and the stopped process behind them. The first
 *          connection to any of them sends it SIGCONT in the kernel (bpf/resume.bpf.c). Nobody is told: resume_fired()
 *          finds it, at no cost but that of reading memory.
 * Units    ns of CLOCK_MONOTONIC; start in ticks, as in /proc/PID/stat.
 * Bounds   slot_max slots of RESUME_SOCKET_MAX sockets each.
 * Owner    resume_open() to resume_close().
 * Errors   < 0 -errno; what the kernel does not offer is an error of resume_open().
 * Threads  The caller's lock.
 * Source   sk_data_ready, Linux 6.4; bpf_send_signal_task, 6.13.
 */
#ifndef SYS_RESUME_H
#define SYS_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RESUME_SOCKET_MAX = 16 };

struct resume;

struct resume_target {
	pid_t pid;
	uint64_t start;
	int pidfd;
	bool rests; /* nobody is stopped: a connection is told of, and no more */
};

int resume_open(uint32_t slot_max, struct resume **ret);
struct resume *resume_close(struct resume *r);

/* It has the signal; without it whoever rests is all that there can be. */
bool resume_stops(const struct resume *r);

/* From the next connection on; one that waits already is the caller's to find. */
int resume_arm(struct resume *r, uint32_t slot, const int *fds, size_t fd_n,
	       const struct resume_target *t);
/* True: a connection has resumed it since it was armed. */
bool resume_fired(struct resume *r, uint32_t slot, uint64_t *ret_seen_ns, uint64_t *ret_done_ns);
/* True: not resumed by a connection, and no longer will be. */
bool resume_disarm(struct resume *r, uint32_t slot);
/* With nothing armed: takes the programs off, so that nobody's connections pay for them until the next
 * resume_arm(). */
void resume_rest(struct resume *r);
bool resume_rests(const struct resume *r);

#endif
