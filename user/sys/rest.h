/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rest.h - whether processes sleep by themselves, so that nothing need be stopped.
 *
 * Shape    rest_look(): each thread of each process sleeps in a call that waits for somebody else and
 *          has no timeout, or one of REST_LONG_S at least, and no timer that /proc shows (timerfd, POSIX)
 *          runs out sooner. What cannot be seen (setitimer, SO_RCVTIMEO, a peer that calls) is found
 *          out by what they do: a mark differs once any thread of them has been given a processor, or a
 *          thread or process has come or gone, and says how much processor time they had.
 * Units    ns of processor time.
 * Bounds   REST_THREAD_MAX threads and REST_FD_MAX descriptors in all; of more it is not known. Three
 *          small files of /proc are read for each thread, and a link for each descriptor.
 * Errors   Whatever cannot be read says no.
 * Threads  No state.
 * Source   proc(5): syscall, schedstat, timers, fdinfo.
 */
#ifndef SYS_REST_H
#define SYS_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { REST_THREAD_MAX = 64, REST_FD_MAX = 512, REST_LONG_S = 5 };

struct rest_mark {
	uint64_t runs; /* to be compared only */
	uint64_t cpu_ns;
};

/* What runs after the look has begun differs from ret_mark. */
bool rest_look(const pid_t *pids, size_t n, struct rest_mark *ret_mark);

struct rest_wait {
	pid_t pid, tid; /* 0: none */
	long call;
	unsigned long long args[6];
};

/* The same, but for one thread at most whose timeout is shorter: *ret is what it sleeps in. */
bool rest_look_but(const pid_t *pids, size_t n, struct rest_mark *ret_mark, struct rest_wait *ret);
bool rest_mark(const pid_t *pids, size_t n, struct rest_mark *ret);
/* How often the thread has been given a processor; 0: not to be had. */
uint64_t rest_runs(pid_t pid, pid_t tid);

#endif
