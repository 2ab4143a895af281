/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * gaps.h - how long it takes until something comes again, as a forgetting histogram.
 *
 * Shape    Four bins an octave from 131 us to 39 h, uniform inside a bin, plus the mass of "never
 *          again". A prior of one observation, half of it "never" and half spread evenly over the bins,
 *          is what is believed of something never seen.
 * Units    ns. Rates are per ns.
 * Bounds   Fixed size; every call is O(GAPS_BIN_N). A new observation takes 1/GAPS_MEMORY of the
 *          weight, so a new habit has won after about that many.
 * Errors   None.
 * Threads  One owner at a time.
 * Source   The idle-time histogram of Shahrad et al., "Serverless in the Wild" (ATC 2020); the
 *          best rate over all horizons is the index of Gittins (1979) for stopping a wait.
 */
#ifndef CORE_GAPS_H
#define CORE_GAPS_H

#include <stdint.h>

enum {
	GAPS_FIRST_BIT = 17, /* the first bin begins at 2^17 ns */
	GAPS_OCTAVE_N = 30,
	GAPS_BIN_N = GAPS_OCTAVE_N * 4,
	GAPS_MEMORY = 24,
};

struct gaps {
	float mass[GAPS_BIN_N];
	float never;	/* of the prior */
	float observed; /* weight of what was really seen, at most GAPS_MEMORY */
};

void gaps_init(struct gaps *g);
void gaps_add(struct gaps *g, uint64_t gap_ns);
/* Whether what is in *g can be used: for bytes that come from a file. */
int gaps_valid(const struct gaps *g);

/* The gap that share of the observed gaps do not pass; 0 when nothing was observed. */
uint64_t gaps_quantile_ns(const struct gaps *g, double share);
/* Having waited age_ns: expected further wait, counted up to cap_ns. */
double gaps_remaining_ns(const struct gaps *g, uint64_t age_ns, uint64_t cap_ns);
/* Having waited age_ns: the largest, over all horizons, of the probability that it comes within
 * the horizon divided by the time waited for it, per ns. */
double gaps_best_rate(const struct gaps *g, uint64_t age_ns);
/* The next age at which the answers above may turn: the edge of the bin, or UINT64_MAX. */
uint64_t gaps_next_edge_ns(uint64_t age_ns);

#endif
