/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * duty.h - what is so well known that it need not be watched each time.
 *
 * Shape    A block is calm when its starts bring nothing new: no file, no service that it had not
 *          needed before. After calm_n calm starts in a row only one start out of `every` has its
 *          opens reported; as those stay calm too, every grows; one that is not ends it at once.
 * Units    ns of the observations' clock.
 * Bounds   block_max blocks, need_max needs, process_max processes, taken by duty_new(). Where two share
 *          a place the older is forgotten, and so is watched again: never the other way round.
 * Owner    The caller owns struct duty. Nothing passed in is kept.
 * Errors   < 0 -errno; DUTY_CHANGED.
 * Threads  One owner at a time. No clock, global or I/O.
 */
#ifndef CORE_DUTY_H
#define CORE_DUTY_H

#include "core/obs.h"

#include <forewarm/table.h>

#include <stdbool.h>
#include <stdint.h>

enum { DUTY_CHANGED = 1 /* the row returned must be written where the hooks look */ };

struct duty_limits {
	uint32_t block_max, need_max, process_max; /* powers of two */
	uint32_t calm_n;			   /* calm starts before the first is left out */
	uint32_t every_max;
	uint64_t settle_ns; /* this long without anything new: all that runs is known */
};

struct duty_stats {
	uint64_t starts_n, quiet_n, calm_n, fresh_n;
	uint64_t known_n; /* blocks of which not every start is reported */
};

struct duty;

int duty_new(const struct duty_limits *limits, struct duty **ret);
struct duty *duty_free(struct duty *d);

/* DUTY_CHANGED: *ret_key is to be reported as *ret_row says; every 0 means always, and no row at all. */
int duty_observe(struct duty *d, const struct obs *o, struct fwm_block_key *ret_key,
		 struct fwm_known_row *ret_row);
/* Of one that has just started: it is known, and of all its starts lately none did anything but to open files, and
 * was soon over. Then it need not be told at all. */
bool duty_leaf(const struct duty *d, uint32_t pid);
/* Nothing that was watched has been new for settle_ns. */
bool duty_settled(const struct duty *d, uint64_t now_ns);
const struct duty_stats *duty_stats(const struct duty *d);

#endif
