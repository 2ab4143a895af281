/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * plain_vomm.h - the model once more, written from the description in core/vomm_impl.h to be plain.
 *
 * Shape    It keeps whole contexts in a list and looks through all of it, decides every candidate
 *          always, and shares no code with the first, only its limits. plain_vomm.c learns,
 *          plain_vomm_look.c predicts.
 * Bounds   EVENTS, PLACES.
 * Threads  One owner at a time.
 */
#ifndef TESTS_PLAIN_VOMM_H
#define TESTS_PLAIN_VOMM_H

#include "core/vomm_impl.h"

#include <math.h>
#include <stdbool.h>

static inline uint32_t least_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* --- arithmetic: IEEE singles, so that both round alike --------------------------------------- */

static inline float horner(const float *c, int n, float x)
{
	float r = c[--n];

	while (n > 0)
		r = c[--n] + x * r;
	return r;
}

static inline float power_of_two(float x)
{
	static const float c[] = {0.9999999f,  0.69315449f, 0.24014182f,
				  0.05586034f, 0.00894959f, 0.00189375f};
	float whole = truncf(x < 0 ? x - 1 : x);

	return ldexpf(1, (int)whole) * horner(c, 6, x - whole);
}

static inline float log_two(float x)
{
	static const float c[] = {5.04785541f, -3.48987855f, 1.58947429f, -0.40251339f,
				  0.04300496f};
	int e;
	float m = 2 * frexpf(x, &e);

	return (float)(e - 1) - 2.78792621f + m * horner(c, 5, m);
}

static inline float squash(float x)
{
	return 1 / (1 + power_of_two(-1.44269504f * (x > 20 ? 20 : x < -20 ? -20 : x)));
}

static inline float stretch(float p)
{
	return 0.69314718f * (log_two(p) - log_two(1 - p));
}

/* How often the answer was yes: p in 1/2^22, and how many answers it heard. */
struct answer {
	int32_t p, n;
};

static inline struct answer answer_begin(float p)
{
	return (struct answer){(int32_t)(p * 4194303), 0};
}

static inline void answer_learn(struct answer *a, bool yes)
{
	a->p += (int32_t)((float)((yes ? 4194303 : 0) - a->p) / ((float)a->n + 1.6f));
	if (a->n < STATE_WINDOW)
		a->n++;
}

static inline float answer_p(struct answer a)
{
	return ((float)a.p + 0.5f) / 4194304;
}

/* In log-odds, by steps of 1/4096 of p. */
static inline float answer_says(struct answer a)
{
	int32_t step = a.p / 1024;

	return stretch(((float)step + 0.5f) / 4096);
}

/* --- what is kept ----------------------------------------------------------------------------- */

enum { EVENTS = 9000, PLACES = 9000, STREAMS = 4, KINDS = 20, SUFFIX_KINDS = 11 };

/* A context by all that it is, nothing hashed away. */
struct identity {
	uint32_t kind, feature, more; /* more: its so-manieth continuation; 0: itself */
	uint64_t symbol[24];
};

/* Where a context is kept: four share a bucket and drive each other out. */
struct place {
	struct identity is;
	uint32_t bucket, seat; /* seat 0..3 of the bucket */
	uint32_t use, run, more_n;
	struct {
		uint32_t number, count;
	} after[CELL_EDGES];
};

struct known {
	uint32_t name, count, last;
};

struct plain_stream {
	uint32_t feature[VOMM_FEATURE_MAX];
	uint32_t seen[EVENTS], seen_n;
	bool headless;
	uint32_t match, match_len, trail; /* steps of the long memory; 0: none */
};

struct plain_sizes {
	uint32_t buckets, symbols, order, trail, homes;
};

struct plain {
	struct plain_sizes size;
	struct place place[PLACES];
	uint32_t place_n;
	struct known known[EVENTS + 1]; /* from 1 */
	uint32_t known_n, hand, hot[HOT];
	struct {
		uint32_t number, next, home;
	} step[EVENTS + 1]; /* from 1 */
	uint32_t step_n;
	uint32_t observed, counted, driven_out;
	uint32_t singles[KINDS], doubles[KINDS];
	struct answer state[KINDS][STATES], match[2][32], recent[8][16], novel[16][4], tail[16][4];
	struct answer symbol[4][1 << SYMBOL_MAP_BITS], last[SELECT][APM_STEPS];
	float weight[SETS][SELECT][INPUTS], final[FINALS][SETS];
	uint32_t trained[SETS][SELECT];
};

/* --- predicting ------------------------------------------------------------------------------- */

/* A context that knows something, for one prediction. */
struct opinion_of {
	struct place *place;
	uint32_t total, rest, distinct;
	uint32_t count[VOMM_CANDIDATE_MAX];
	bool newest[VOMM_CANDIDATE_MAX];
};

struct choice {
	uint32_t number, name;
	float weight, p;
	bool decided;
};

/* One decision, as it will be learnt. */
struct step_of {
	uint32_t candidate, set[SETS], row;
	float x[INPUTS], dot[SETS], mixed;
	struct answer *heard[INPUTS + 1];
	uint32_t heard_n;
};

struct plain_view {
	struct opinion_of opinion[KINDS];
	struct choice choice[VOMM_CANDIDATE_MAX];
	struct step_of step[VOMM_CANDIDATE_MAX];
	uint32_t opinion_n, suffix_n, choice_n, step_n;
	int expected; /* choice that the match names; -1: none */
	uint32_t match_size;
	float unknown_weight, weight_rest, rest, novel, tail, tail_weight;
	double unlisted;
	struct answer *novel_from, *tail_from;
};

/* --- plain_vomm.c ---------------------------------------------------------------------------- */

void plain_begin(struct plain *n, const struct plain_sizes *size);
double plain_observe(struct plain *n, struct plain_stream *s, uint32_t name,
		     const struct plain_view *w);
void plain_advance(const struct plain *n, struct plain_stream *s, uint32_t name);

/* 0: not known. */
uint32_t plain_number(const struct plain *n, uint32_t name);
/* The symbol so many back; UINT64_MAX before the start. */
uint64_t plain_back(const struct plain_stream *s, uint32_t k);
/* False: the kind does not apply here. */
bool plain_identify(const struct plain *n, const struct plain_stream *s, uint32_t kind,
		    struct identity *ret);
/* Its so-manieth continuation, 0 itself; NULL: it is not there. */
struct place *plain_find(struct plain *n, const struct identity *is, uint32_t more);
/* Whether what the stream follows in the long memory is still there. */
bool plain_match(const struct plain *n, const struct plain_stream *s);

/* --- plain_vomm_look.c ----------------------------------------------------------------------- */

void plain_look(struct plain *n, const struct plain_stream *s, struct plain_view *w);
/* Of a symbol by its number; 0: of all that is new. */
double plain_chance(const struct plain *n, const struct plain_view *w, uint32_t number);

#endif
