/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fresh.h - when to look closer: how long calls take, and which pages are used.
 *
 * Shape    What is opened is always told; its cost only has to be seen where it is not known yet, or has
 *          changed. So: for a while after one of the first starts of a block, after one of its first
 *          that read from a disk what a start reads (what is cold is what costs), and in a short
 *          sample every now and then. On a host that takes pages back all the time nearly every
 *          start reads something; once it is known what that costs, it is no reason to look again.
 * Units    ns of the observations' clock; bytes.
 * Bounds   6 block_max bytes and 32 KiB, taken by fresh_new(). Two blocks that share a place are one: the
 *          second is looked at less.
 * Owner    The caller owns struct fresh. Nothing passed in is kept.
 * Errors   < 0 -errno.
 * Threads  One owner at a time. No clock, global or I/O.
 */
#ifndef CORE_FRESH_H
#define CORE_FRESH_H

#include "core/obs.h"

#include <stdbool.h>
#include <stdint.h>

struct fresh_limits {
	uint32_t block_max; /* power of two */
	uint32_t starts_n; /* so many starts of a block are its first, and cold ones; at most 255 */
	uint64_t cold_bytes;	      /* who read so much from a disk was cold */
	uint64_t for_ns;	      /* after each; 0: always */
	uint64_t every_ns, sample_ns; /* once in every_ns for sample_ns */
};

struct fresh;

int fresh_new(const struct fresh_limits *limits, uint64_t now_ns, struct fresh **ret);
struct fresh *fresh_free(struct fresh *f);
void fresh_observe(struct fresh *f, const struct obs *o);
/* Look closer now? */
bool fresh_wanted(const struct fresh *f, uint64_t now_ns);

#endif
