// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * gaps.c - everything is one walk over the bins, with the survivors of the age in hand.
 *
 * While a bin is crossed its mass arrives evenly, so the time waited there is the survivors at
 * its start less half of what arrives, times its width.
 */
#include "core/gaps.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* Where bin i begins: 2^17 * 2^(i/4), the quarters as 4, 5, 6, 7 fourths of the octave. */
static uint64_t edge(unsigned i)
{
	return (uint64_t)(4 + i % 4) << (GAPS_FIRST_BIT - 2 + i / 4);
}

/* The bin age lies in; GAPS_BIN_N when it is beyond the last. */
static unsigned bin_of(uint64_t ns)
{
	unsigned octave;

	if (ns < edge(0))
		return 0;
	octave = 63 - (unsigned)__builtin_clzll(ns);
	if (octave >= GAPS_FIRST_BIT + GAPS_OCTAVE_N)
		return GAPS_BIN_N;
	return (octave - GAPS_FIRST_BIT) * 4 + ((ns >> (octave - 2)) & 3);
}

/* Mass of bin i that lies above age, and where it begins. */
static double above(const struct gaps *g, unsigned i, uint64_t age_ns, double *ret_from,
		    double *ret_width)
{
	double lo = i ? (double)edge(i) : 0, hi = (double)edge(i + 1);
	double from = (double)age_ns > lo ? (double)age_ns : lo;

	*ret_from = from;
	*ret_width = hi - from;
	return g->mass[i] * (hi - from) / (hi - lo);
}

static double survivors(const struct gaps *g, uint64_t age_ns)
{
	double sum = g->never, from, width;

	for (unsigned i = bin_of(age_ns); i < GAPS_BIN_N; i++)
		sum += above(g, i, age_ns, &from, &width);
	return sum;
}

void gaps_init(struct gaps *g)
{
	*g = (struct gaps){.never = 0.5f};
	for (unsigned i = 0; i < GAPS_BIN_N; i++)
		g->mass[i] = 0.5f / GAPS_BIN_N;
}

int gaps_valid(const struct gaps *g)
{
	if (!(g->observed >= 0 && g->observed <= GAPS_MEMORY + 1) ||
	    !(g->never >= 0 && g->never <= 1))
		return false;
	for (unsigned i = 0; i < GAPS_BIN_N; i++)
		if (!(g->mass[i] >= 0 && g->mass[i] <= GAPS_MEMORY + 2))
			return false;
	return true;
}

void gaps_add(struct gaps *g, uint64_t gap_ns)
{
	unsigned at = bin_of(gap_ns);
	float keep = 1;

	if (g->observed + 1 > GAPS_MEMORY)
		keep = (float)(GAPS_MEMORY - 1) / g->observed;
	g->observed *= keep;
	g->never *= keep;
	for (unsigned i = 0; i < GAPS_BIN_N; i++)
		g->mass[i] *= keep;
	g->observed += 1;
	if (at < GAPS_BIN_N)
		g->mass[at] += 1;
	else if (g->never < 1)
		g->never += (1 - g->never) / 2;
	/* The prior fades but never goes: what was not seen yet is still possible. */
	if (g->never < 0.02f)
		g->never = 0.02f;
}

uint64_t gaps_quantile_ns(const struct gaps *g, double share)
{
	double total = 0, sum = 0;

	if (g->observed <= 0)
		return 0;
	for (unsigned i = 0; i < GAPS_BIN_N; i++)
		total += g->mass[i];
	for (unsigned i = 0; i < GAPS_BIN_N; i++) {
		sum += g->mass[i];
		if (sum >= share * total)
			return edge(i + 1);
	}
	return edge(GAPS_BIN_N);
}

double gaps_remaining_ns(const struct gaps *g, uint64_t age_ns, uint64_t cap_ns)
{
	double alive = survivors(g, age_ns), left = alive, sum = 0;
	double end = (double)age_ns + (double)cap_ns, at = (double)age_ns;

	for (unsigned i = bin_of(age_ns); i < GAPS_BIN_N && at < end; i++) {
		double from, width, mass = above(g, i, age_ns, &from, &width);
		double part = from + width > end ? (end - from) / width : 1;

		sum += (left - mass * part / 2) * width * part;
		left -= mass * part;
		at = from + width * part;
	}
	if (at < end)
		sum += left * (end - at);
	return alive > 0 ? sum / alive : (double)cap_ns;
}

double gaps_best_rate(const struct gaps *g, uint64_t age_ns)
{
	double alive = survivors(g, age_ns), left = alive, came = 0, waited = 0, best = 0;

	for (unsigned i = bin_of(age_ns); i < GAPS_BIN_N; i++) {
		double from, width, mass = above(g, i, age_ns, &from, &width);

		waited += (left - mass / 2) * width;
		left -= mass;
		came += mass;
		if (waited > 0 && came / waited > best)
			best = came / waited;
	}
	return best;
}

uint64_t gaps_next_edge_ns(uint64_t age_ns)
{
	unsigned i = bin_of(age_ns);

	return i < GAPS_BIN_N ? edge(i + 1) : UINT64_MAX;
}
