// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_decide.c - from a situation to decisions.
 *
 * Likeliest first, each candidate is decided: is it this one, given it was none before? The inputs are
 * the state maps of all contexts, where "before" is taken out of their counts (exclusion), the weight
 * itself, the long match and how long ago the stream saw the symbol.
 */
#include "core/vomm_impl.h"

#include <string.h>

/* Exact to 4, then wider and wider. */
static const uint8_t count_bins[STATE_EXACT] = {
	0, 1, 2, 3, 4, 5, 5, [7 ... 10] = 6, [11 ... STATE_EXACT - 1] = 7,
};

static uint32_t count_bin(uint32_t n)
{
	return count_bins[n];
}

/* Four times the binary logarithm of x + 1/2, rounded. */
static const int8_t quarter_log2[256] = {
	-4, 2,	5,  7,	9,  10, 11, 12, 12, 13, 14, 14, 15, 15, 15, 16, 16, 17, 17, 17, 17, 18,
	18, 18, 18, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 21, 21, 21, 21, 21, 21, 22, 22, 22,
	22, 22, 22, 22, 22, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 24, 24, 24, 24, 24, 24, 24,
	24, 24, 24, 24, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 26, 26, 26, 26, 26,
	26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
	27, 27, 27, 27, 27, 27, 27, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	28, 28, 28, 28, 28, 28, 28, 28, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29,
	29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 29, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
	30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 31,
	31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
	31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 32, 32, 32, 32, 32, 32, 32,
	32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
};

static int32_t quarters(uint32_t n)
{
	int32_t up = 0;

	for (; n >= 256; n >>= 4)
		up += 16;
	return quarter_log2[n] + up;
}

/* What context and symbol are to each other. Small counts are states as they are; of large ones
 * the odds count, in half octaves. */
static uint32_t state_of(uint32_t n, uint32_t rest, uint32_t newest, uint32_t run)
{
	static const uint8_t runs[5] = {1, 2, 3, 3, 4};
	uint32_t recency = newest ? runs[run < 4 ? run : 4] : 0, band;
	int32_t odds;

	if (rest < STATE_EXACT)
		return (count_bin(n) * 8 + count_bin(rest - n)) * 5 + recency;
	odds = quarters(n) - quarters(rest - n) + ODDS_STEPS;
	odds = odds < 0 ? 0 : odds / 2 < ODDS_STEPS ? odds / 2 : ODDS_STEPS - 1;
	band = rest >= 512 ? 2 : rest >= 64;
	return (8 * 8 + band * ODDS_STEPS + (uint32_t)odds) * 5 + recency;
}

static uint32_t recent_bin(const struct vomm_stream *s, uint32_t name)
{
	uint32_t h = name * 0x9e3779b1u;
	const struct vomm_recent *r = &s->recent[h >> 24];
	uint32_t ago;

	if (r->tag != ((h >> 8) & 0xffff) || !r->at)
		return 0;
	ago = (uint16_t)(s->length + 1 - r->at);
	return ago < 5 ? ago : ago < 9 ? 5 : ago < 33 ? 6 : 7;
}

static void opine(struct decision *d, uint32_t in, const struct vomm *v, uint32_t cell)
{
	d->state[d->state_n++] = cell;
	d->x[in] = v->stretch[v->map[cell] >> 20];
}

uint32_t vomm_next_candidate(const struct scratch *sc)
{
	const mix_lanes *w = (const mix_lanes *)sc->weight;
	uint32_t lanes = (sc->candidate_n + 3) / 4, k = 0;
	mix_lanes top = w[0];
	float best = 0;

	for (uint32_t i = 1; i < lanes; i++)
		top = mix_max(top, w[i]);
	for (uint32_t i = 0; i < 4; i++)
		best = top[i] > best ? top[i] : best;
	while (sc->weight[k] != best)
		k++;
	return k;
}

/* What is worth knowing of the candidate for choosing weights. */
struct regard {
	uint32_t longest; /* suffix, 1 + spec, that knows it; 0: none */
	uint32_t match;	  /* 0: no match, 1: it is the expected one, 2: another is */
	uint32_t recent;
	uint32_t newest_n; /* suffixes of which it is the newest successor */
	uint32_t other_n;  /* contexts that are no suffixes and know it */
};

static uint32_t hash_bin(uint32_t a, uint32_t b)
{
	return ((a * 0x9e3779b1u) + b * 0x85ebca6bu) * 0xc2b2ae35u >> (32 - SYMBOL_MAP_BITS);
}

/* What is known of the symbol as such: does it come when it is offered? Alone, after the newest
 * symbol, by the order that knows it, by the length of the match. */
static void opine_symbol(struct decision *d, const struct vomm *v, const uint32_t *cells)
{
	opine(d, IN_SYMBOL, v, cells[0]);
	opine(d, IN_PAIR, v, cells[1]);
	opine(d, IN_SYMBOL_ORDER, v, cells[2]);
	opine(d, IN_SYMBOL_MATCH, v, cells[3]);
}

static void symbol_cells(const struct vomm *v, const struct vomm_stream *s, uint32_t name,
			 uint32_t j, const struct regard *g, uint32_t *ret)
{
	uint32_t newest = s->length ? s->history[(s->length - 1) % VOMM_HISTORY] : 0;
	uint32_t match = g->match == 1 ? 1 + v->scratch.match_bin : 0;
	uint32_t size = 1u << SYMBOL_MAP_BITS;

	ret[0] = MAP_SYMBOL + hash_bin(name, min_u32(j, 3));
	ret[1] = MAP_SYMBOL + size + hash_bin(name, newest + 1);
	ret[2] = MAP_SYMBOL + 2 * size + hash_bin(name, g->longest);
	ret[3] = MAP_SYMBOL + 3 * size + hash_bin(name, match);
	for (int i = 0; i < 4; i++)
		__builtin_prefetch(&v->map[ret[i]]);
}

static void opine_weight(struct decision *d, float weight, float rest)
{
	float p = weight / (rest > weight + 1e-5f ? rest : weight + 1e-5f);

	d->x[IN_BIAS] = 0.4f;
	d->x[IN_WEIGHT] = mix_stretch(p < 1e-5f ? 1e-5f : p > 0.9999f ? 0.9999f : p);
}

/* First where all of them are, then what they say: so the cells are waited for together. */
static void opine_contexts(struct vomm *v, struct decision *d, uint32_t k)
{
	struct scratch *sc = &v->scratch;
	uint32_t newest = sc->candidate[k].newest, opinion_n = sc->opinion_n, n = d->state_n;
	uint32_t in[VOMM_CONTEXT_MAX], first = n;

	for (uint32_t a = 0; a < opinion_n; a++) {
		struct opinion *o = &sc->opinion[a];
		uint32_t count = (uint32_t)sc->count[a][k], cell;

		if (!o->rest)
			continue;
		cell = MAP_STATE + o->spec * STATES +
		       state_of(count, o->rest, newest >> a & 1, o->run);
		__builtin_prefetch(&v->map[cell]);
		in[n - first] = IN_SPEC + o->spec;
		d->state[n++] = cell;
		o->rest -= count;
	}
	for (uint32_t i = first; i < n; i++)
		d->x[in[i - first]] = v->stretch[v->map[d->state[i]] >> 20];
	d->state_n = n;
}

/* How many bits are set; the builtin is a call where the processor may lack the instruction. */
static uint32_t ones(uint32_t x)
{
	x -= x >> 1 & 0x55555555;
	x = (x & 0x33333333) + (x >> 2 & 0x33333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f;
	return x * 0x01010101 >> 24;
}

static struct regard regard_of(const struct scratch *sc, const struct vomm_stream *s, uint32_t k)
{
	const struct candidate *c = &sc->candidate[k];
	uint32_t suffixes = (1u << sc->suffix_n) - 1, known = c->known & suffixes;
	bool matched = sc->expected != UINT32_MAX && sc->candidate[sc->expected].p_step <= 0;

	return (struct regard){
		.longest = known ? sc->opinion[__builtin_ctz(known)].spec + 1 : 0,
		.match = !matched	     ? 0
			 : sc->expected == k ? 1
					     : 2,
		.recent = recent_bin(s, c->name),
		.newest_n = ones(c->newest & suffixes),
		.other_n = ones(c->known & ~suffixes),
	};
}

/* Which weights decide: by place and depth of the situation, by what speaks for the candidate, by
 * the match and how recent it is. */
static void select_sets(const struct vomm *v, struct decision *d, uint32_t j,
			const struct regard *g)
{
	const struct scratch *sc = &v->scratch;
	uint32_t newest = g->newest_n > 2 ? 2 + g->newest_n / 4 : g->newest_n;

	d->set[0] = min_u32(j, 7) * 16 + min_u32(sc->suffix_n, 15);
	d->set[1] = (min_u32(g->other_n, 7) * 8 + min_u32(newest, 7)) * 8 + min_u32(g->longest, 7);
	d->set[2] = (g->match * 8 + g->recent) * 8 + (g->match ? min_u32(sc->match_bin / 3, 7) : 0);
	d->final = min_u32(j, FINALS - 1);
	for (uint32_t i = 0; i < SETS; i++) {
		const float *w = v->weight[i][d->set[i]];

		__builtin_prefetch(w);
		__builtin_prefetch(w + 16);
		__builtin_prefetch(w + INPUTS - 1);
	}
}

/* A last look: when the mix said so much in such a situation, how often was it true? */
static float refine(const struct vomm *v, struct decision *d, float x)
{
	float at = (x < -7.99f ? -7.99f : x > 7.99f ? 7.99f : x) * 2 + 16;
	uint32_t i = (uint32_t)at, base = MAP_APM + d->set[2] * APM_STEPS + i;
	float w = at - (float)i;
	float p = ((float)(v->map[base] >> 10) * (1 - w) + (float)(v->map[base + 1] >> 10) * w) /
		  4194304.0f;

	d->apm = base + (w > 0.5f);
	p = d->p_mix * 0.67f + p * 0.33f;
	return p < P_MIN ? P_MIN : p > 1 - P_MIN ? 1 - P_MIN : p;
}

bool vomm_decide(struct vomm *v, const struct vomm_stream *s)
{
	struct scratch *sc = &v->scratch;
	uint32_t j = sc->decided_n, k, cells[4];
	struct candidate *c;
	struct regard g;
	struct decision *d;
	float x = 0;

	if (j == DECIDE_MAX || (j >= DECIDE_SURE && sc->rest < DECIDE_REST))
		return false;
	if (j && !sc->listed)
		vomm_list_all(v, s);
	if (!sc->fallen && (j == DECIDE_SURE || j == sc->candidate_n))
		vomm_list_fallback(v, s);
	if (j == sc->candidate_n)
		return false;
	k = vomm_next_candidate(sc);
	if (j >= DECIDE_SURE && sc->rest * sc->weight[k] < DECIDE_WORTH * sc->weight_rest)
		return false;
	sc->order[j] = (uint16_t)k;
	c = &sc->candidate[k];
	d = &sc->decision[j];
	g = regard_of(sc, s, k);
	symbol_cells(v, s, c->name, j, &g, cells);
	select_sets(v, d, j, &g);
	memset(d->x, 0, sizeof(d->x));
	d->state_n = 0;
	if (g.match)
		opine(d, IN_MATCH, v, MAP_MATCH + (g.match - 1) * 32 + sc->match_bin);
	opine(d, IN_RECENT, v, MAP_RECENT + g.recent * 16 + min_u32(sc->suffix_n, 15));
	opine_weight(d, sc->weight[k], sc->weight_rest);
	opine_contexts(v, d, k);
	opine_symbol(d, v, cells);
	for (uint32_t i = 0; i < SETS; i++) {
		float dot = mix_dot(d->x, v->weight[i][d->set[i]], INPUTS);

		d->dot[i] = dot > 12 ? 12 : dot < -12 ? -12 : dot;
		x += d->dot[i] * v->final[d->final][i];
	}
	d->p_mix = mix_squash(x);
	c->p_step = refine(v, d, x);
	c->p = sc->rest * c->p_step;
	sc->rest *= 1 - c->p_step;
	sc->weight_rest -= sc->weight[k];
	sc->weight[k] = -1;
	sc->decided_n++;
	return true;
}
