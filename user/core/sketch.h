/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sketch.h - a mergeable sketch of latencies.
 *
 * Shape    Two bins an octave from 128 ns to 17 s; the first and last bin take what is outside.
 * Units    ns.
 * Bounds   54 bytes. A quantile is right to within 21 %. At saturation of one bin all are halved.
 * Owner    The caller; all zeroes is empty.
 * Errors   none.
 * Threads  One owner at a time.
 * Source   Log-linear histogram as in HdrHistogram (G. Tene).
 */
#ifndef CORE_SKETCH_H
#define CORE_SKETCH_H

#include <stdint.h>

enum { SKETCH_BIN_MAX = 54 };

struct sketch {
	uint8_t bins[SKETCH_BIN_MAX];
};

void sketch_add(struct sketch *s, uint64_t ns);
/* The value below which share (0..1) of what was added lies; 0 when empty. */
uint64_t sketch_quantile(const struct sketch *s, double share);

#endif
