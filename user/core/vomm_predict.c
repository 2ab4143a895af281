// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_predict.c - from a situation to decisions.
 *
 * First every context of the situation is looked up and says which symbols followed it (the
 * candidates). Interpolated absolute discounting over the suffix contexts gives each candidate a
 * rough weight. Then, likeliest first, each is decided: is it this one, given it was none before?
 * The inputs are the state maps of all contexts, where "before" is taken out of their counts
 * (exclusion), the weight itself, the long match and how long ago the stream saw the symbol.
 */
#include "core/vomm_impl.h"

#include <assert.h>
#include <string.h>

#define SUFFIX(n, up)                                                                              \
	{                                                                                          \
		.order = n, .suffix = 1, .parent = up                                              \
	}
#define SKIP(n, bits)                                                                              \
	{                                                                                          \
		.order = n, .mask = bits, .parent = 0                                              \
	}
#define ANY(n, bits)                                                                               \
	{                                                                                          \
		.order = n, .mask = bits, .parent = 0, .any = 1                                    \
	}
#define FEATURE(n, bits, which)                                                                    \
	{                                                                                          \
		.order = n, .mask = bits, .feature = 1 + which, .parent = 255                      \
	}

enum { SUFFIXES = 11 };

#define SURE 0.51f /* nothing else can be as heavy: weights add up to 1, but for their rounding */

/* Suffixes by rising order first, what is made of features last. */
const struct spec vomm_specs[] = {
	SUFFIX(1, 255),
	SUFFIX(2, 0),
	SUFFIX(3, 1),
	SUFFIX(4, 2),
	SUFFIX(5, 3),
	SUFFIX(6, 4),
	SUFFIX(8, 5),
	SUFFIX(11, 6),
	SUFFIX(14, 7),
	SUFFIX(18, 8),
	SUFFIX(24, 9),
	SKIP(2, 2),		     /* 2 back */
	SKIP(3, 4),		     /* 3 back */
	SKIP(3, 6),		     /* 2 and 3 back */
	SKIP(3, 5),		     /* 1 and 3 back */
	ANY(4, 15),		     /* last 4 in any order */
	FEATURE(0, 0, VOMM_PROGRAM), /* program */
	FEATURE(1, 1, VOMM_PROGRAM), /* program, last 1 */
	FEATURE(1, 1, VOMM_PARENT),  /* parent, last 1 */
	FEATURE(2, 3, VOMM_BEFORE),  /* lineage before, last 2 */
};
const uint32_t vomm_spec_n = sizeof(vomm_specs) / sizeof(vomm_specs[0]);

_Static_assert(sizeof(vomm_specs) / sizeof(vomm_specs[0]) + IN_SPEC <= INPUTS, "inputs");
_Static_assert(sizeof(vomm_specs) / sizeof(vomm_specs[0]) < VOMM_CONTEXT_MAX, "one row to spare");

/* The symbol so many back (1: newest); before the start of the stream there is a mark. */
static uint64_t back(const struct vomm_stream *s, uint32_t n)
{
	return n <= s->length ? s->history[(s->length - n) % VOMM_HISTORY] : 1ull << 33;
}

/* One odd number for each place in the history: splitmix64 from 1. */
const uint64_t vomm_back_key[VOMM_ORDER_MAX] = {
	0x910a2dec89025cc1ull, 0xbeeb8da1658eec67ull, 0xf893a2eefb32555full, 0x71c18690ee42c90bull,
	0x71bb54d8d101b5b9ull, 0xc34d0bff90150281ull, 0xe099ec6cd7363ca5ull, 0x85e7bb0f12278575ull,
	0x491718de357e3da9ull, 0xcb435c8e74616797ull, 0x6775dc7701564f61ull, 0x9afcd44d14cf8bffull,
	0x7476cf8a4baa5dc1ull, 0x87b341d690d7a28bull, 0x6f9b6dae6f4c57a9ull, 0x2ac2ce17a5794a3bull,
	0xa534a6a6b7fd0b63ull, 0xd0bad0da572baaf1ull, 0xae84379630af89efull, 0xe263183773ef6509ull,
	0x10e2c46865e98747ull, 0x14d7973c5c2a449dull, 0x7ef1fd0ed1548fcdull, 0x1f8410633ef306adull,
};

/* Of a sum over the symbols that make the context. */
static uint64_t hash_spec(uint64_t sum, uint32_t i)
{
	return vomm_step64(sum, i + 1) | 1ull << 63;
}

/* Of a feature, or of nothing, and the symbols of the mask. */
static uint64_t hash_masked(const struct vomm_stream *s, uint64_t sum, uint32_t i)
{
	for (uint32_t left = vomm_specs[i].mask; left; left &= left - 1) {
		uint32_t k = (uint32_t)__builtin_ctz(left);
		uint64_t x = back(s, k + 1);

		sum += vomm_specs[i].any ? vomm_step64(0, x) : x * vomm_back_key[k];
	}
	return hash_spec(sum, i);
}

void vomm_stream_hash(struct vomm_stream *s)
{
	uint32_t i = 0, done = 0, at = s->length;
	uint64_t sum = 0;

	for (; i < SUFFIXES; i++) {
		uint32_t order = vomm_specs[i].order;

		if (order <= s->length)
			for (; done < order; done++)
				sum += s->history[--at % VOMM_HISTORY] * vomm_back_key[done];
		else
			for (; done < order; done++)
				sum += back(s, done + 1) * vomm_back_key[done];
		s->context[i] = hash_spec(sum, i);
	}
	for (; i < vomm_spec_n && !vomm_specs[i].feature; i++)
		s->context[i] = hash_masked(s, 0, i);
}

/* Of all contexts, 0 where it does not apply; bit i of what it returns: spec i does. */
static uint32_t hash_specs(const struct vomm *v, const struct vomm_stream *s, uint64_t *ret)
{
	uint32_t order_max = s->length + 1 - s->headless, applies = 0;

	if (order_max > v->limits.order_max)
		order_max = v->limits.order_max;
	for (uint32_t i = 0; i < vomm_spec_n; i++) {
		uint32_t feature = vomm_specs[i].feature;

		if (vomm_specs[i].order > order_max)
			ret[i] = 0;
		else if (!feature)
			ret[i] = s->context[i];
		else
			ret[i] =
				s->feature[feature - 1]
					? hash_masked(s, vomm_step64(0, s->feature[feature - 1]), i)
					: 0;
		applies |= (uint32_t)(ret[i] != 0) << i;
	}
	return applies;
}

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

static bool candidate_is(const struct scratch *sc, uint32_t symbol)
{
	uint32_t i;

	return candidate_find(sc, symbol, &i) != UINT32_MAX;
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
		uint32_t i = j < SUFFIXES ? SUFFIXES - 1 - j : j;
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
		if (j == SUFFIXES - 1)
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

/* Makes all that followed any of the contexts a candidate. */
static void list_all(struct vomm *v, const struct vomm_stream *s)
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
	sc->applies = hash_specs(v, s, sc->hash);
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
		list_all(v, s);
}

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

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The likeliest candidate not yet decided; there must be one. */
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

/* Where contexts know little, what is recent in the stream or frequent anywhere may come too. Most
 * situations are decided before this is asked for. */
static void fallback_gather(struct vomm *v, const struct vomm_stream *s)
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
		list_all(v, s);
	if (!sc->fallen && (j == DECIDE_SURE || j == sc->candidate_n))
		fallback_gather(v, s);
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

void vomm_escape(struct vomm *v)
{
	struct scratch *sc = &v->scratch;
	struct escape *e = &sc->escape;
	uint32_t deep = min_u32(sc->suffix_n, 15) * 4;
	double listed = 0;

	if (e->ready)
		return;
	*e = (struct escape){.ready = true};
	for (uint32_t k = 0; k < sc->candidate_n; k++) {
		listed += v->symbols[sc->candidate[k].symbol].count + 0.5;
		if (sc->weight[k] >= 0)
			e->tail_weight += sc->weight[k];
	}
	e->unlisted = (double)v->count_sum + 0.5 * v->symbol_n - listed;
	e->novel_cell = MAP_ESCAPE + deep + min_u32(sc->candidate_n / 4, 3);
	e->tail_cell = MAP_ESCAPE + 64 + deep + min_u32((sc->candidate_n - sc->decided_n) / 8, 3);
	if (sc->decided_n == sc->candidate_n)
		e->tail_cell = 0;
	else if (v->symbol_n > sc->candidate_n)
		e->tail = vomm_map_p(v, e->tail_cell);
	else
		e->tail = 1;
	if (v->symbol_n == sc->decided_n)
		e->novel = 1;
	else
		e->novel = vomm_map_p(v, e->novel_cell);
}

float vomm_p_tail(const struct vomm *v, uint32_t k)
{
	const struct scratch *sc = &v->scratch;
	const struct escape *e = &sc->escape;

	return sc->rest * (1 - e->novel) * e->tail * sc->weight[k] / e->tail_weight;
}

double vomm_p_escape(struct vomm *v, uint32_t number)
{
	const struct scratch *sc = &v->scratch;
	const struct escape *e = &sc->escape;
	uint32_t k, place;

	vomm_escape(v);
	if (!number)
		return sc->rest * e->novel;
	k = candidate_find(sc, number, &place);
	if (k != UINT32_MAX)
		return vomm_p_tail(v, k);
	return sc->rest * (1 - e->novel) * (1 - e->tail) * (v->symbols[number].count + 0.5) /
	       e->unlisted;
}

void vomm_escape_learn(struct vomm *v, uint32_t number)
{
	const struct scratch *sc = &v->scratch;
	struct escape *e = &v->scratch.escape;

	vomm_escape(v);
	if (v->symbol_n > sc->decided_n)
		mix_cell_learn(&v->map[e->novel_cell], !number, STATE_WINDOW);
	if (number && e->tail > 0 && e->tail < 1)
		mix_cell_learn(&v->map[e->tail_cell], candidate_is(sc, number), STATE_WINDOW);
}
