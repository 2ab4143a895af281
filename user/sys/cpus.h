/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cpus.h - keeps our threads off the CPUs that others keep busy.
 *
 * Shape    Woken while no CPU is idle, a thread goes where it was before, and there takes somebody's for
 *          up to a tick of the kernel's (4 ms at 250 Hz), whatever its nice value. A CPU is taken that did
 *          nothing else for CPUS_TAKEN of the time between two ticks of ours; our threads may run on those
 *          that are not. Where all are taken they stay where they are, and after CPUS_FULL_TICKS go
 *          everywhere again: then nobody has a CPU to himself.
 * Units    ns of CLOCK_MONOTONIC; shares.
 * Bounds   CPUS_MAX of them; a host with more has one idle nearly always, and is left alone. A tick is one
 *          read of /proc/stat, and only a change costs a call for each thread.
 * Owner    The caller owns struct cpus. root is copied.
 * Errors   < 0 -errno only from cpus_new(). What cannot be read is not taken.
 * Threads  One at a time.
 * Source   proc(5), /proc/stat; sched_setaffinity(2).
 */
#ifndef SYS_CPUS_H
#define SYS_CPUS_H

#include <stdbool.h>
#include <stdint.h>

enum { CPUS_MAX = 64, CPUS_FULL_TICKS = 8 };
#define CPUS_TAKEN 0.9

struct cpus;

/* all: those we may run on at all, one bit each. root is put before /proc/stat: "" on a live host, a folder
 * in tests. */
int cpus_new(const char *root, uint64_t all, struct cpus **ret);
struct cpus *cpus_free(struct cpus *c);

/* The CPUs our threads should run on from now; never 0 if all was not. */
uint64_t cpus_tick(struct cpus *c);

/* Those that this process may run on; 0: more than CPUS_MAX. */
uint64_t cpus_allowed(void);
/* Has the threads of this process run there, but for the first: what that one starts would stay there with
 * it. */
void cpus_move(uint64_t to);

#endif
