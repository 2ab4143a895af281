/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lead.h - how long until the next symbol: three quantiles of a stream of durations.
 *
 * Shape    Eight bytes a pair of symbols: quantiles as eighths of octaves (log2 of ns), moved a step
 *          at a time towards what is seen. The step shrinks while the pair is young.
 * Units    ns; a mark is 8 * log2(ns), so 0..255 spans 1 ns to 3.9 s and each is 9 % wide.
 * Bounds   The caller's cells.
 * Source   Stochastic approximation of quantiles: Tierney, SIAM J. Sci. Stat. Comp. 4 (1983).
 */
#ifndef CORE_LEAD_H
#define CORE_LEAD_H

#include <stdbool.h>
#include <stdint.h>

struct lead_cell {
	uint32_t tag; /* of the pair it speaks for */
	uint8_t p10, p50, p90;
	uint8_t seen_n; /* saturates; 0: empty */
};

struct lead {
	uint64_t p10_ns, p50_ns, p90_ns;
};

uint64_t lead_ns_of(uint8_t mark);
uint8_t lead_mark_of(uint64_t ns);
/* Learns a duration; a cell of another pair is taken over when it is no better known. */
/* The least of them lately: a lesser one counts at once, of what is more an eighth. 0: none yet. */
uint8_t lead_least(uint8_t mark, uint64_t ns);

void lead_learn(struct lead_cell *cell, uint32_t tag, uint64_t ns);
/* False: the cell does not know this pair. */
bool lead_get(const struct lead_cell *cell, uint32_t tag, struct lead *ret);
/* What follows after. A slow moment of a host makes all of its durations long, so the quantiles add as
 * they are: the spread of a sum of independent ones would be too narrow. */
void lead_add(struct lead *sum, const struct lead *next);

#endif
