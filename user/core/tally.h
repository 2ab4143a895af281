/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tally.h - how good a predictor was: one way to count for ours and for all others.
 *
 * Shape    Prequential: a ranked list before each event, then the event. Hits are of the first 1, 3,
 *          5 and 10 guesses; a wrong or missing list counts as a miss. Calibration is the expected
 *          error over ten bins of probability, of first guesses and of all guesses.
 * Units    Probabilities; bits per event.
 * Bounds   Fixed size; pure.
 */
#ifndef CORE_TALLY_H
#define CORE_TALLY_H

#include "core/vomm.h"

#include <stddef.h>
#include <stdint.h>

enum { TALLY_BINS = 10, TALLY_RANKS = 4, TALLY_GUESSES = 10 };

struct tally_bins {
	double said[TALLY_BINS], came[TALLY_BINS];
	uint64_t n;
};

struct tally {
	uint64_t n;		     /* events */
	uint64_t covered_n;	     /* for which there was a guess at all */
	uint64_t hit_n[TALLY_RANKS]; /* among the first 1, 3, 5, 10 */
	uint64_t novel_n;
	double bits; /* sum; only of predictors that say probabilities */
	struct tally_bins first, all;
};

/* One event: the guesses made before it, likeliest first. */
void tally_event(struct tally *t, const struct vomm_guess *guesses, size_t guess_n,
		 uint32_t symbol);
/* What the event cost at probability p (> 0). */
void tally_cost(struct tally *t, double p);
void tally_bin(struct tally_bins *b, double p, int came);
/* Expected calibration error; 0 of nothing. */
double tally_ece(const struct tally_bins *b);
double tally_hit_percent(const struct tally *t, int rank_index);

#endif
