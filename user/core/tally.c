// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tally.c - counting hits, bits and calibration.
 */
#include "core/tally.h"

#include <math.h>

static const uint32_t ranks[TALLY_RANKS] = {1, 3, 5, 10};

void tally_bin(struct tally_bins *b, double p, int came)
{
	int i = (int)(p * TALLY_BINS);

	i = i < 0 ? 0 : i < TALLY_BINS ? i : TALLY_BINS - 1;
	b->said[i] += p;
	b->came[i] += came;
	b->n++;
}

double tally_ece(const struct tally_bins *b)
{
	double sum = 0;

	for (int i = 0; i < TALLY_BINS; i++)
		sum += fabs(b->said[i] - b->came[i]);
	return b->n ? sum / (double)b->n : 0;
}

void tally_event(struct tally *t, const struct vomm_guess *guesses, size_t guess_n, uint32_t symbol)
{
	t->n++;
	t->covered_n += guess_n > 0;
	for (size_t i = 0; i < guess_n && i < TALLY_GUESSES; i++) {
		int came = guesses[i].symbol == symbol;

		tally_bin(&t->all, guesses[i].p, came);
		if (!i)
			tally_bin(&t->first, guesses[i].p, came);
		for (int r = 0; came && r < TALLY_RANKS; r++)
			t->hit_n[r] += i < ranks[r];
	}
}

void tally_cost(struct tally *t, double p)
{
	t->bits -= log2(p);
}

double tally_hit_percent(const struct tally *t, int rank_index)
{
	return t->n ? 100.0 * (double)t->hit_n[rank_index] / (double)t->n : 0;
}
