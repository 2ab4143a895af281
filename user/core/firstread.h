/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * firstread.h - how long after a program's start, or after it was due, the first read for it was asked for.
 * Of a start for which something was read before it, none is: it did not wait.
 *
 * Shape    Jobs of one start end in any order: which read was the first is known when another start takes
 *          the place of this one, or when it is long over. Then it is counted, in a histogram.
 * Units    ns of CLOCK_MONOTONIC; bins of 0.1 ms, the last has all above 0.1 s.
 * Bounds   FIRSTREAD_STARTS starts at a time; two that fall on one place push each other out.
 * Owner    The caller owns struct firstread.
 * Errors   -ENOMEM at new; nothing later.
 * Threads  One owner at a time. No clock or I/O.
 */
#ifndef CORE_FIRSTREAD_H
#define CORE_FIRSTREAD_H

#include <stdint.h>

enum { FIRSTREAD_STARTS = 256, FIRSTREAD_BINS = 1024 };
#define FIRSTREAD_BIN_NS 100000ull

struct firstread_view {
	uint64_t starts_n, p50_ns, p99_ns; /* the upper end of the bin */
};

struct firstread;

int firstread_new(struct firstread **ret);
struct firstread *firstread_free(struct firstread *f);

/* Something was read for what happened at event_ns; either 0: nothing was. */
void firstread_note(struct firstread *f, uint64_t event_ns, uint64_t first_io_ns);
/* Counts what is older than over_ns, too. */
void firstread_view(struct firstread *f, uint64_t now_ns, uint64_t over_ns,
		    struct firstread_view *ret);

#endif
