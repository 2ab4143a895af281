// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "core/sketch.h"

enum { SKETCH_OCTAVE_MIN = 7 };

static uint32_t sketch_bin(uint64_t ns)
{
	uint32_t octave, bin;

	if (ns < (1ull << SKETCH_OCTAVE_MIN))
		return 0;
	octave = 63 - (uint32_t)__builtin_clzll(ns);
	bin = 2 * (octave - SKETCH_OCTAVE_MIN) + (uint32_t)(ns >> (octave - 1) & 1);
	return bin < SKETCH_BIN_MAX ? bin : SKETCH_BIN_MAX - 1;
}

void sketch_add(struct sketch *s, uint64_t ns)
{
	uint32_t bin = sketch_bin(ns);

	if (s->bins[bin] == UINT8_MAX)
		for (uint32_t i = 0; i < SKETCH_BIN_MAX; i++)
			s->bins[i] /= 2;
	s->bins[bin]++;
}

uint64_t sketch_quantile(const struct sketch *s, double share)
{
	uint64_t total = 0, below = 0, rank;
	uint32_t i;

	for (i = 0; i < SKETCH_BIN_MAX; i++)
		total += s->bins[i];
	if (!total)
		return 0;
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	rank = (uint64_t)(share * (double)total);
	rank = rank < total ? rank : total - 1;
	for (i = 0; below + s->bins[i] <= rank; i++)
		below += s->bins[i];
	/* The harmonic middle of [1, 1.5) and [1.5, 2): at most 20 % and 14.3 % off. */
	return (uint64_t)((double)(1ull << (SKETCH_OCTAVE_MIN + i / 2)) * (i & 1 ? 12.0 / 7 : 1.2));
}
