/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * behind.h - lets a thread step behind everybody else while it does what can wait.
 *
 * Shape    The thread waits in a loop, as whatever it is, and so is woken as fast as any. What can wait it
 *          does between behind_begin() and behind_end(), under SCHED_IDLE: the kernel then takes its CPU for
 *          an idle one, and whoever wakes there has it at once. A thread of ours sees to it that this never
 *          keeps anything waiting: as soon as the loop has something else to do, or the work has taken
 *          BEHIND_LATE_MS, as it does where no CPU is ever idle, it fetches the thread back. After the
 *          latter the thread stays as it is for BEHIND_HOLD_S, and twice as long each time in a row.
 * Units    ms, s.
 * Bounds   Six system calls for each piece of work. In the middle of one the loop's thread can be kept
 *          waiting for BEHIND_LATE_MS, with what locks it holds.
 * Owner    The caller owns struct behind; the descriptor of the loop is borrowed until behind_free().
 * Errors   < 0 -errno, > 0 BEHIND_ outcomes.
 * Threads  behind_begin() and behind_end() are for the thread that called behind_new().
 *          What that makes meanwhile, a process or a thread, is SCHED_IDLE for good: SCHED_RESET_ON_FORK is
 *          for real-time policies. So behind_end() before.
 * Source   sched(7), sched_setattr(2).
 */
#ifndef SYS_BEHIND_H
#define SYS_BEHIND_H

enum { BEHIND_LATE_MS = 150, BEHIND_HOLD_S = 1, BEHIND_HOLD_MAX_S = 64 };

enum {
	BEHIND_OWN = 1, /* somebody gave this thread a policy, and that stays */
	BEHIND_REFUSED, /* who is SCHED_IDLE could not come back */
};

struct behind;

/* loop_fd: readable when the loop has something to do other than by the time, as an epoll set is. */
int behind_new(int loop_fd, struct behind **ret);
struct behind *behind_free(struct behind *b);

/* b may be NULL: nothing is done. Neither may be called twice in vain: that does nothing either. */
void behind_begin(struct behind *b);
void behind_end(struct behind *b);

#endif
