/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * mix.h - many opinions on one yes-or-no question, made into one probability.
 *
 * Shape    A state map says how often "yes" was right in a state it has met before; a weight set
 *          adds opinions up as log-odds. Both learn from every answer.
 * Units    Log-odds (natural) and probabilities are floats. A state map cell holds 22 bits of
 *          probability above 10 bits of the times it learnt.
 * Bounds   No memory of its own: the caller's arrays.
 * Threads  One owner at a time; pure but for the arrays passed in.
 * Source   Mahoney, lpaq1 (2007) and PAQ8: adaptive state maps, gated logistic mixing.
 */
#ifndef CORE_MIX_H
#define CORE_MIX_H

#include <stddef.h>
#include <stdint.h>

enum { MIX_STRETCH_N = 4096 };

/* 2^x for |x| < 126: polynomial on the fraction, relative error < 2e-7. No libm call, so the same
 * bits wherever IEEE 754 holds. */
static inline float mix_exp2(float x)
{
	int32_t whole = (int32_t)(x < 0 ? x - 1.0f : x);
	float f = x - (float)whole;
	union {
		int32_t i;
		float f;
	} scale = {.i = (whole + 127) * (1 << 23)};

	return scale.f *
	       (0.9999999f +
		f * (0.69315449f +
		     f * (0.24014182f + f * (0.05586034f + f * (0.00894959f + f * 0.00189375f)))));
}

/* log2(x) for normal x > 0, absolute error < 2e-5. */
static inline float mix_log2(float x)
{
	union {
		float f;
		int32_t i;
	} u = {.f = x};
	float e = (float)((u.i >> 23) - 127);
	float m;

	u.i = (u.i & 0x7fffff) | 0x3f800000;
	m = u.f;
	return e - 2.78792621f +
	       m * (5.04785541f +
		    m * (-3.48987855f + m * (1.58947429f + m * (-0.40251339f + m * 0.04300496f))));
}

static inline float mix_squash(float x)
{
	if (x > 20.0f)
		x = 20.0f;
	if (x < -20.0f)
		x = -20.0f;
	return 1.0f / (1.0f + mix_exp2(-1.44269504f * x));
}

static inline float mix_stretch(float p)
{
	return 0.69314718f * (mix_log2(p) - mix_log2(1.0f - p));
}

static inline uint32_t mix_cell(float p)
{
	return (uint32_t)(p * 4194303.0f) << 10;
}

/* Moves a cell towards the answer: as an average of all it saw at first, with a window of limit
 * answers later. */
static inline void mix_cell_learn(uint32_t *cell, int yes, uint32_t limit)
{
	uint32_t n = *cell & 1023;
	int32_t p = (int32_t)(*cell >> 10);
	int32_t target = yes ? 4194303 : 0;

	p += (int32_t)((float)(target - p) / ((float)n + 1.6f));
	*cell = ((uint32_t)p << 10) | (n < limit ? n + 1 : limit);
}

/* Four lanes: what every machine's vector unit has; n is a multiple of 4 and all is aligned so. */
typedef float mix_lanes __attribute__((vector_size(16)));

typedef int32_t mix_ints __attribute__((vector_size(16)));

static inline mix_lanes mix_max(mix_lanes a, mix_lanes b)
{
	mix_ints more = b > a;

	return (mix_lanes)(((mix_ints)b & more) | ((mix_ints)a & ~more));
}

static inline mix_lanes mix_floats(mix_ints n)
{
	return __builtin_convertvector(n, mix_lanes);
}

static inline uint32_t mix_sum(mix_ints n)
{
	n += __builtin_shufflevector(n, n, 2, 3, 0, 1);
	n += __builtin_shufflevector(n, n, 1, 0, 3, 2);
	return (uint32_t)n[0];
}

/* mix_squash() of four, the same bits. */
static inline mix_lanes mix_squash_lanes(mix_lanes x)
{
	mix_lanes limit = {20.0f, 20.0f, 20.0f, 20.0f}, one = {1.0f, 1.0f, 1.0f, 1.0f}, f;
	mix_ints whole;

	x = -1.44269504f * mix_max(-mix_max(-x, -limit), -limit);
	f = x - (mix_lanes)((mix_ints)one & (x < 0));
	whole = __builtin_convertvector(f, mix_ints);
	f = x - mix_floats(whole);
	f = (mix_lanes)((whole + 127) << 23) *
	    (0.9999999f +
	     f * (0.69315449f +
		  f * (0.24014182f + f * (0.05586034f + f * (0.00894959f + f * 0.00189375f)))));
	return one / (one + f);
}

/* mix_cell_learn() of four cells at once, no two of them the same. */
static inline void mix_cells_learn(uint32_t *cells, const uint32_t *at, int yes, int32_t limit)
{
	mix_ints was = {(int32_t)cells[at[0]], (int32_t)cells[at[1]], (int32_t)cells[at[2]],
			(int32_t)cells[at[3]]};
	mix_ints n = was & 1023, p = (was >> 10) & 4194303, more = n < limit;

	p += __builtin_convertvector(mix_floats((yes ? 4194303 : 0) - p) / (mix_floats(n) + 1.6f),
				     mix_ints);
	was = p << 10 | ((n + 1) & more) | (limit & ~more);
	for (int i = 0; i < 4; i++)
		cells[at[i]] = (uint32_t)was[i];
}

static inline float mix_dot(const float *x, const float *w, size_t n)
{
	const mix_lanes *xs = (const mix_lanes *)x, *ws = (const mix_lanes *)w;
	mix_lanes sum = {0};

	for (size_t i = 0; i < n / 4; i++)
		sum += xs[i] * ws[i];
	sum += __builtin_shufflevector(sum, sum, 1, 0, 3, 2);
	return sum[0] + sum[2];
}

static inline void mix_train(const float *x, float *w, size_t n, float step)
{
	const mix_lanes *xs = (const mix_lanes *)x;
	mix_lanes *ws = (mix_lanes *)w;
	mix_lanes by = {step, step, step, step};

	for (size_t i = 0; i < n / 4; i++)
		ws[i] += xs[i] * by;
}

#endif
