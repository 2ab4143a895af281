/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * schedattr.h - how the kernel shares its processors with a thread of ours.
 *
 * Shape    schedattr_get() and schedattr_set() as the system calls have it. schedattr_prompt(): the calling
 *          thread, which sleeps most of the time and then runs for a moment, asks for a short
 *          slice. So it runs when it is woken, and not once who has the processor used up a slice of
 *          its own, some ms. Of the time it has no more than before, unless a lower nice value is asked for,
 *          too: then it is not put off either once it has run for as long as the others.
 * Units    ns; nice values as in getpriority(2).
 * Owner    Nothing is kept.
 * Errors   < 0 -errno. Before Linux 6.12 the slice is ignored, and nothing is an error.
 * Threads  No state. What the thread makes after schedattr_prompt() begins with an ordinary slice, and with a
 *          nice value of 0 where its own is below.
 * Source   sched_setattr(2); EEVDF: Stoica and Abdel-Wahab, 1995.
 */
#ifndef SYS_SCHEDATTR_H
#define SYS_SCHEDATTR_H

#include <stdint.h>
#include <sys/types.h>

#define SCHEDATTR_PROMPT_NS 100000ull /* the kernel takes nothing below */

/* As in linux/sched/types.h, which cannot be had beside sched.h. */
struct schedattr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns; /* runtime_ns: of SCHED_OTHER, the slice */
	uint32_t util_min, util_max;
};

/* tid 0: the calling thread. */
int schedattr_get(pid_t tid, struct schedattr *ret);
int schedattr_set(pid_t tid, const struct schedattr *a);

/* slice_ns: at least SCHEDATTR_PROMPT_NS. Who has the shorter one goes first. nicer: so much lower a nice value than
 * it has, but not where somebody gave it one above 0; without the right to (CAP_SYS_NICE) the slice alone. */
int schedattr_prompt(uint64_t slice_ns, int nicer);

#endif
