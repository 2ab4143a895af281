// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_list.c - who may come in a situation, and how heavy each is.
 *
 * Every context of the situation is looked up and says which symbols followed it (the candidates).
 * Interpolated absolute discounting over the suffix contexts gives each candidate a rough weight.
 */
#include "core/vomm_impl.h"

#include <assert.h>
#include <string.h>

#define SURE 0.51f /* nothing else can be as heavy: weights add up to 1, but for their rounding */

static uint32_t mark_home(uint32_t symbol)
{
	return (symbol * 0x9e3779b1u) >> 24;
}

/* The candidate with this number, or UINT32_MAX; added when asked to and there is room. */
static inline uint32_t candidate_find(const struct scratch *sc, uint32_t symbol, uint32_t *ret_i)
{
	uint32_t key = sc->mark_epoch << SYMBOL_BITS | symbol, i = mark_home(symbol);

	for (; sc->mark[i] != key; i = (i + 1) % MARKS) {
		if (sc->mark[i] >> SYMBOL_BITS != sc->mark_epoch) {
			*ret_i = i;
			return UINT32_MAX;
		}
	}
	return sc->mark_at[i];
}

static uint32_t candidate_add(struct scratch *sc, uint32_t symbol, uint32_t i)
{
	if (sc->candidate_n == VOMM_CANDIDATE_MAX)
		return UINT32_MAX;
	if (sc->candidate_n % 4 == 0) /* a lane more: nothing was counted there yet */
		for (uint32_t a = 0; a <= sc->opinion_n; a++)
			((mix_ints *)sc->count[a])[sc->candidate_n / 4] = (mix_ints){0};
	sc->mark[i] = sc->mark_epoch << SYMBOL_BITS | symbol;
	sc->mark_at[i] = (uint8_t)sc->candidate_n;
	sc->candidate[sc->candidate_n] = (struct candidate){.symbol = symbol};
	return sc->candidate_n++;
}

/* Finds it or adds it; UINT32_MAX: there is no room. */
static uint32_t candidate_at(struct scratch *sc, uint32_t symbol)
{
	uint32_t i, k = candidate_find(sc, symbol, &i);

	return k != UINT32_MAX ? k : candidate_add(sc, symbol, i);
}

uint32_t vomm_candidate_find(const struct scratch *sc, uint32_t symbol)
{
	uint32_t i;

	return candidate_find(sc, symbol, &i);
}

static void candidates_clear(struct scratch *sc)
{
	sc->candidate_n = 0;
	if (++sc->mark_epoch == 1u << (32 - SYMBOL_BITS)) {
		memset(sc->mark, 0, sizeof(sc->mark));
		sc->mark_epoch = 1;
	}
}

/* Adds up what followed the context, and how often symbol did. */
static void opinion_sum(const struct vomm *v, struct opinion *o, uint32_t symbol)
{
	const mix_ints edges = {0, 0, -1, -1}; /* of the first half of a cell */
	const int32_t top = (int32_t)(symbol << COUNT_BITS);
	mix_ints total = {0}, its = {0}; /* in its low byte: how many there are */
	const struct cell *c = o->cell;

	for (uint32_t e = 0;; c = vomm_cell_find(v, vomm_ext_hash(o->hash, e))) {
		if (c) {
			mix_ints a = ((const mix_ints *)c)[0] & edges, an = a & COUNT_MAX;
			mix_ints b = ((const mix_ints *)c)[1], bn = b & COUNT_MAX;

			total += an + bn;
			its -= (an != 0) + (bn != 0); /* true is -1 */
			its += ((an & ((a & ~COUNT_MAX) == top)) + (bn & ((b & ~COUNT_MAX) == top)))
			       << 8;
		}
		if (e++ == o->cell->ext_n)
			break;
	}
	o->total = o->rest = mix_sum(total);
	o->sure_n = mix_sum(its);
	o->distinct = o->sure_n & 255; /* at most VOMM_SUCCESSOR_MAX */
	o->sure_n >>= 8;
}

/* The context's successors become candidates. */
static void opinion_list(struct vomm *v, uint32_t at)
{
	struct scratch *sc = &v->scratch;
	const struct opinion *o = &sc->opinion[at];
	const struct cell *c = o->cell;
	uint32_t bit = 1u << at;

	for (uint32_t e = 0;; c = vomm_cell_find(v, vomm_ext_hash(o->hash, e))) {
		for (int i = 0; c && i < CELL_EDGES; i++) {
			uint32_t n = c->edge[i] & COUNT_MAX, symbol = c->edge[i] >> COUNT_BITS;
			uint32_t k, place;

			if (!n)
				continue;
			k = candidate_find(sc, symbol, &place);
			if (k == UINT32_MAX) {
				k = candidate_add(sc, symbol, place);
				if (k == UINT32_MAX)
					continue;
				__builtin_prefetch(&v->symbols[symbol]);
			}
			sc->count[at][k] = (int32_t)n;
			sc->candidate[k].known |= bit;
			if (!e && !i)
				sc->candidate[k].newest |= bit;
		}
		if (e++ == o->cell->ext_n)
			break;
	}
}

/* What the candidates are worth before any suffix is looked at: half by their own frequency, half
 * by what the contexts that are no suffixes say. */
static void weigh_base(struct vomm *v, uint32_t lanes)
{
	struct scratch *sc = &v->scratch;
	mix_lanes *weight = (mix_lanes *)sc->weight;
	uint32_t others = sc->opinion_n - sc->suffix_n;
	float base = (others ? 0.5f : 1.0f) / (float)(v->count_sum + v->symbol_n / 2 + 1);

	sc->unknown_weight = base;

	for (uint32_t k = 0; k < sc->candidate_n; k++) {
		const struct symbol *sy = &v->symbols[sc->candidate[k].symbol];

		sc->candidate[k].name = sy->name;
		sc->weight[k] = ((float)sy->count + 0.5f) * base;
	}
	for (uint32_t a = sc->suffix_n; a < sc->opinion_n; a++) {
		const mix_ints *count = (const mix_ints *)sc->count[a];
		float scale = 0.5f / ((float)others * (float)sc->opinion[a].total);

		for (uint32_t i = 0; i < lanes; i++)
			weight[i] += mix_floats(count[i]) * scale;
	}
}

/* Interpolated absolute discounting along the suffixes, shortest first; the discount of each order
 * from its counts of counts (Ney, Essen, Kneser). */
static void weigh(struct vomm *v)
{
	struct scratch *sc = &v->scratch;
	mix_lanes *weight = (mix_lanes *)sc->weight;
	uint32_t lanes = (sc->candidate_n + 3) / 4;

	weigh_base(v, lanes);
	for (uint32_t a = sc->suffix_n; a-- > 0;) {
		const struct opinion *o = &sc->opinion[a];
		const mix_ints *count = (const mix_ints *)sc->count[a];
		float d = v->discount[o->spec];
		float scale = 1.0f / (float)o->total;
		float down = d * (float)o->distinct * scale;

		sc->unknown_weight *= down;
		for (uint32_t i = 0; i < lanes; i++) {
			mix_lanes c = mix_floats(count[i]) - d;

			weight[i] = mix_max(c, (mix_lanes){0}) * scale + down * weight[i];
		}
	}
	for (uint32_t k = sc->candidate_n; k < lanes * 4; k++)
		sc->weight[k] = -1;
}

static uint32_t match_bin(uint32_t len)
{
	if (len < 16)
		return len;
	return len < 24 ? 16 : len < 32 ? 17 : len < 64 ? 18 : len < 256 ? 19 : 20;
}

/* What the long memory says comes next; 0: nothing. */
static uint32_t match_symbol(const struct vomm *v, const struct vomm_stream *s)
{
	const struct step *t = &v->trail[s->match & v->trail_mask];

	if (!s->match || v->trail_head - s->match >= v->trail_mask || t->symbol > v->symbol_n)
		return 0;
	return t->symbol;
}

static void match_gather(struct vomm *v, const struct vomm_stream *s)
{
	struct scratch *sc = &v->scratch;
	uint32_t symbol = match_symbol(v, s);

	sc->expected = symbol ? candidate_at(sc, symbol) : UINT32_MAX;
	sc->match_bin = symbol ? match_bin(s->match_len) : 0;
}

void vomm_prefetch(const struct vomm *v, const struct vomm_stream *s)
{
	for (uint32_t i = 0; i < vomm_spec_n && !vomm_specs[i].feature; i++)
		vomm_bucket_prefetch(v, s->context[i]);
	__builtin_prefetch(&v->trail[s->match & v->trail_mask]);
}

/* The contexts that know something: suffixes longest first, then the others. */
static void contexts_find(struct vomm *v)
{
	struct scratch *sc = &v->scratch;
	struct opinion *o = sc->opinion;

	for (uint32_t j = 0; j < vomm_spec_n; j++) {
		uint32_t i = j < VOMM_SUFFIXES ? VOMM_SUFFIXES - 1 - j : j;
		struct cell *c = sc->hash[i] ? vomm_cell_find(v, sc->hash[i]) : NULL;

		if (c) {
			o->cell = c;
			o->hash = sc->hash[i];
			o->spec = i;
			o->run = c->run;
			for (uint32_t e = 1; e <= c->ext_n; e++)
				vomm_bucket_prefetch(v, vomm_ext_hash(o->hash, e));
			o++;
		}
		if (j == VOMM_SUFFIXES - 1)
			sc->suffix_n = (uint32_t)(o - sc->opinion);
	}
	sc->opinion_n = (uint32_t)(o - sc->opinion);
}

static void contexts_sum(struct vomm *v, uint32_t symbol)
{
	struct scratch *sc = &v->scratch;
	uint32_t n = 0, suffix_n = 0;

	for (uint32_t a = 0; a < sc->opinion_n; a++) {
		opinion_sum(v, &sc->opinion[a], symbol);
		if (!sc->opinion[a].total) /* a forged state may have such */
			continue;
		if (n != a)
			sc->opinion[n] = sc->opinion[a];
		n++;
		suffix_n += a < sc->suffix_n;
	}
	sc->opinion_n = n;
	sc->suffix_n = suffix_n;
}

void vomm_list_all(struct vomm *v, const struct vomm_stream *s)
{
	struct scratch *sc = &v->scratch;
	struct candidate first = sc->candidate[0];

	candidates_clear(sc);
	for (uint32_t a = 0; a < sc->opinion_n; a++)
		opinion_list(v, a);
	match_gather(v, s);
	weigh(v);
	sc->listed = true;
	if (!sc->decided_n)
		return;
	assert(sc->candidate[0].symbol == first.symbol);
	sc->candidate[0].p_step = first.p_step;
	sc->candidate[0].p = first.p;
	sc->weight_rest = 1 - sc->weight[0];
	sc->weight[0] = -1;
}

/* Most situations have one symbol that outweighs all others together, so it is decided first, and
 * mostly it comes: then who the others are is never asked. It is what came last in the longest
 * suffix, so it is the first in the list of all as well. */
static bool list_sure(struct vomm *v, const struct vomm_stream *s, uint32_t symbol)
{
	struct scratch *sc = &v->scratch;
	uint32_t match = match_symbol(v, s);

	if (sc->opinion[0].sure_n * 2 <= sc->opinion[0].total || (match && match != symbol))
		return false;
	candidates_clear(sc);
	(void)candidate_at(sc, symbol); /* there is room */
	for (uint32_t a = 0; a < sc->opinion_n; a++) {
		const struct opinion *o = &sc->opinion[a];

		sc->count[a][0] = (int32_t)o->sure_n;
		sc->candidate[0].known |= (uint32_t)(o->sure_n != 0) << a;
		sc->candidate[0].newest |= (uint32_t)(o->cell->edge[0] >> COUNT_BITS == symbol)
					   << a;
	}
	match_gather(v, s);
	weigh(v);
	return sc->weight[0] > SURE;
}

/* All that a prediction depends on. */
static uint64_t situation_key(const struct vomm *v, const struct vomm_stream *s)
{
	const uint32_t *f = s->feature;
	uint64_t h = vomm_step64(s->whole + s->headless, v->observed_n);

	h = vomm_step64(h, (uint64_t)s->match << 32 | s->match_len);
	h = vomm_step64(h, (uint64_t)f[0] << 32 | f[1]);
	return vomm_step64(h, (uint64_t)f[2] << 32 | f[3]) | 1;
}

void vomm_situate(struct vomm *v, const struct vomm_stream *s)
{
	struct scratch *sc = &v->scratch;
	uint64_t key = situation_key(v, s);
	uint32_t sure;

	if (sc->key == key)
		return;
	sc->key = key;
	sc->decided_n = 0;
	sc->applies = vomm_contexts_hash(v, s, sc->hash);
	for (uint32_t i = 0; i < vomm_spec_n; i++)
		if (sc->hash[i])
			vomm_bucket_prefetch(v, sc->hash[i]);
	contexts_find(v);
	sure = sc->suffix_n ? sc->opinion[0].cell->edge[0] : 0;
	contexts_sum(v, sure >> COUNT_BITS);
	sc->rest = sc->weight_rest = 1;
	sc->escape.ready = false;
	sc->fallen = false;
	sc->listed = false;
	if (!(sure & COUNT_MAX) || !list_sure(v, s, sure >> COUNT_BITS))
		vomm_list_all(v, s);
}

/* A candidate that no context named; its weight is what the suffixes leave for such. */
static void fallback_add(struct vomm *v, uint32_t number)
{
	struct scratch *sc = &v->scratch;
	uint32_t was = sc->candidate_n, k = candidate_at(sc, number);

	if (k != was || sc->candidate_n == was)
		return; /* it was there, or there is no room: it is not needed then */
	sc->candidate[k].name = v->symbols[number].name;
	sc->weight[k] = ((float)v->symbols[number].count + 0.5f) * sc->unknown_weight;
	for (uint32_t i = k + 1; i % 4; i++)
		sc->weight[i] = -1;
}

void vomm_list_fallback(struct vomm *v, const struct vomm_stream *s)
{
	struct scratch *sc = &v->scratch;

	sc->fallen = true;
	for (uint32_t i = 1; i <= 8; i++)
		vomm_symbol_prefetch(v, s->history[(s->length - i) % VOMM_HISTORY]);
	for (uint32_t i = 1; i <= 8 && i <= s->length && sc->candidate_n < FALLBACK_MAX; i++) {
		uint32_t number = vomm_symbol_find(v, s->history[(s->length - i) % VOMM_HISTORY]);

		if (number)
			fallback_add(v, number);
	}
	for (uint32_t i = 0; i < HOT && v->hot[i] && sc->candidate_n < FALLBACK_MAX; i++)
		fallback_add(v, v->hot[i]);
}
