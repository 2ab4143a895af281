// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The model against a second one, written from the description in core/vomm_impl.h to be plain: it
 * keeps whole contexts in a list and looks through all of it, decides every candidate always, and
 * shares no code with the first, only its limits. Both must give every symbol the same probability
 * after every event, to the last bit.
 */
#include "support/support.h"

#include "core/vomm_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(((seed >> 32) * n) >> 32);
}

static uint32_t least_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* --- arithmetic: IEEE singles, so that both round alike --------------------------------------- */

static float horner(const float *c, int n, float x)
{
	float r = c[--n];

	while (n > 0)
		r = c[--n] + x * r;
	return r;
}

static float power_of_two(float x)
{
	static const float c[] = {0.9999999f,  0.69315449f, 0.24014182f,
				  0.05586034f, 0.00894959f, 0.00189375f};
	float whole = truncf(x < 0 ? x - 1 : x);

	return ldexpf(1, (int)whole) * horner(c, 6, x - whole);
}

static float log_two(float x)
{
	static const float c[] = {5.04785541f, -3.48987855f, 1.58947429f, -0.40251339f,
				  0.04300496f};
	int e;
	float m = 2 * frexpf(x, &e);

	return (float)(e - 1) - 2.78792621f + m * horner(c, 5, m);
}

static float squash(float x)
{
	return 1 / (1 + power_of_two(-1.44269504f * (x > 20 ? 20 : x < -20 ? -20 : x)));
}

static float stretch(float p)
{
	return 0.69314718f * (log_two(p) - log_two(1 - p));
}

static void test_vomm_arithmetic_is_as_exact_as_it_says(void **state)
{
	(void)state;
	for (float x = -40; x < 40; x += 0.0137f) {
		assert_true(fabs((double)power_of_two(x) / exp2((double)x) - 1) < 2e-7);
		assert_true(power_of_two(x) == mix_exp2(x) && squash(x) == mix_squash(x));
	}
	for (float p = 1e-5f; p < 0.9999f; p += 0.00037f) {
		assert_true(fabs((double)log_two(p) - log2((double)p)) < 2e-5);
		assert_true(log_two(p) == mix_log2(p) && stretch(p) == mix_stretch(p));
	}
}

/* How often the answer was yes: p in 1/2^22, and how many answers it heard. */
struct answer {
	int32_t p, n;
};

static struct answer answer_begin(float p)
{
	return (struct answer){(int32_t)(p * 4194303), 0};
}

static void answer_learn(struct answer *a, bool yes)
{
	a->p += (int32_t)((float)((yes ? 4194303 : 0) - a->p) / ((float)a->n + 1.6f));
	if (a->n < STATE_WINDOW)
		a->n++;
}

static float answer_p(struct answer a)
{
	return ((float)a.p + 0.5f) / 4194304;
}

/* In log-odds, by steps of 1/4096 of p. */
static float answer_says(struct answer a)
{
	int32_t step = a.p / 1024;

	return stretch(((float)step + 0.5f) / 4096);
}

/* --- what is kept ----------------------------------------------------------------------------- */

enum { EVENTS = 9000, PLACES = 9000, STREAMS = 4, KINDS = 20, SUFFIX_KINDS = 11 };

/* How a context is made: which symbols back, of which feature, in whatever order. */
static const struct kind {
	uint32_t needs;	  /* symbols of history */
	int parent;	  /* kind that must know something; -1: none */
	uint32_t feature; /* 1 + which */
	bool sorted;
	uint32_t back_n; /* of the newest, or those named here */
	uint32_t back[4];
} kinds[KINDS] = {
	{1, -1, 0, 0, 1, {0}},
	{2, 0, 0, 0, 2, {0}},
	{3, 1, 0, 0, 3, {0}},
	{4, 2, 0, 0, 4, {0}},
	{5, 3, 0, 0, 5, {0}},
	{6, 4, 0, 0, 6, {0}},
	{8, 5, 0, 0, 8, {0}},
	{11, 6, 0, 0, 11, {0}},
	{14, 7, 0, 0, 14, {0}},
	{18, 8, 0, 0, 18, {0}},
	{24, 9, 0, 0, 24, {0}},
	{2, 0, 0, 0, 1, {2}},
	{3, 0, 0, 0, 1, {3}},
	{3, 0, 0, 0, 2, {2, 3}},
	{3, 0, 0, 0, 2, {1, 3}},
	{4, 0, 0, 1, 4, {1, 2, 3, 4}},
	{0, -1, 1 + VOMM_PROGRAM, 0, 0, {0}},
	{1, -1, 1 + VOMM_PROGRAM, 0, 1, {1}},
	{1, -1, 1 + VOMM_PARENT, 0, 1, {1}},
	{2, -1, 1 + VOMM_BEFORE, 0, 2, {1, 2}},
};

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

struct stream {
	uint32_t feature[VOMM_FEATURE_MAX];
	uint32_t seen[EVENTS], seen_n;
	bool headless;
	uint32_t match, match_len, trail; /* steps of the long memory; 0: none */
};

struct sizes {
	uint32_t buckets, symbols, order, trail, homes;
};

struct naive {
	struct sizes size;
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

static struct answer state_first(uint32_t i)
{
	static const float typical[] = {0, 1, 2, 3, 4, 5, 8, 14};
	uint32_t recency = i % 5, counts = i / 5;
	float odds;

	if (counts < 64) {
		float n = typical[counts / 8], m = typical[counts % 8];

		return answer_begin((n + 0.1f + (recency ? 0.2f : 0)) / (n + m + 0.8f));
	}
	odds = power_of_two((float)((counts - 64) % 32) * 0.5f - 8 + 0.125f);
	return answer_begin(odds / (odds + 1));
}

static void naive_begin(struct naive *n, const struct sizes *size)
{
	memset(n, 0, sizeof(*n));
	n->size = *size;
	for (uint32_t k = 0; k < KINDS; k++)
		for (uint32_t i = 0; i < STATES; i++)
			n->state[k][i] = state_first(i);
	for (uint32_t i = 0; i < 32; i++) {
		n->match[0][i] = answer_begin(0.7f);
		n->match[1][i] = answer_begin(0.1f);
	}
	for (uint32_t i = 0; i < 8 * 16; i++)
		n->recent[i / 16][i % 16] = answer_begin(0.3f);
	for (uint32_t i = 0; i < 16 * 4; i++)
		n->novel[i / 4][i % 4] = n->tail[i / 4][i % 4] = answer_begin(0.5f);
	for (uint32_t i = 0; i < 4 << SYMBOL_MAP_BITS; i++)
		n->symbol[i >> SYMBOL_MAP_BITS][i % (1 << SYMBOL_MAP_BITS)] = answer_begin(0.3f);
	for (uint32_t i = 0; i < SELECT; i++)
		for (uint32_t j = 0; j < APM_STEPS; j++)
			n->last[i][j] = answer_begin(squash(((float)j - 16) / 2));
	for (uint32_t i = 0; i < SETS * SELECT; i++) {
		float *w = n->weight[i / SELECT][i % SELECT];

		for (uint32_t k = 0; k < INPUTS; k++)
			w[k] = 0.1f;
		w[IN_BIAS] = 0;
		w[IN_WEIGHT] = 0.4f;
	}
	for (uint32_t i = 0; i < FINALS * SETS; i++)
		n->final[i / SETS][i % SETS] = 1.0f / SETS;
}

static uint32_t number_of(const struct naive *n, uint32_t name)
{
	for (uint32_t i = 1; i <= n->known_n; i++)
		if (n->known[i].name == name)
			return i;
	return 0;
}

/* The symbol so many back; UINT64_MAX before the start. */
static uint64_t back(const struct stream *s, uint32_t k)
{
	return k <= s->seen_n ? s->seen[s->seen_n - k] : UINT64_MAX;
}

/* --- contexts and their places ---------------------------------------------------------------- */

/* False: the kind does not apply here. */
static bool identify(const struct naive *n, const struct stream *s, uint32_t kind,
		     struct identity *ret)
{
	const struct kind *k = &kinds[kind];

	memset(ret, 0, sizeof(*ret));
	ret->kind = kind;
	ret->feature = k->feature ? s->feature[k->feature - 1] : 0;
	if (k->needs > least_of(s->seen_n + !s->headless, n->size.order))
		return false;
	for (uint32_t i = 0; i < k->back_n; i++)
		ret->symbol[i] = back(s, kind < SUFFIX_KINDS ? i + 1 : k->back[i]);
	for (uint32_t i = 1; k->sorted && i < k->back_n; i++)
		for (uint32_t j = i; j > 0 && ret->symbol[j - 1] > ret->symbol[j]; j--) {
			uint64_t t = ret->symbol[j];

			ret->symbol[j] = ret->symbol[j - 1];
			ret->symbol[j - 1] = t;
		}
	return !k->feature || ret->feature;
}

static uint64_t stir(uint64_t h, uint64_t x)
{
	h = (h ^ (x + 0x9e3779b97f4a7c15ull)) * 0xd6e8feb86659fd93ull;
	return h ^ (h >> 32);
}

static uint32_t bucket_of(const struct naive *n, const struct identity *is)
{
	const struct kind *k = &kinds[is->kind];
	uint64_t h = is->feature ? stir(0, is->feature) : 0;

	for (uint32_t i = 0; i < k->back_n; i++) {
		uint64_t x = is->symbol[i] == UINT64_MAX ? 1ull << 33 : is->symbol[i];
		uint32_t at = is->kind < SUFFIX_KINDS ? i : k->back[i] - 1;

		h += k->sorted ? stir(0, x) : x * vomm_back_key[at];
	}
	h = stir(h, is->kind + 1) | 1ull << 63;
	if (is->more) {
		h += is->more * 0x9e3779b97f4a7c15ull;
		h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
		h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
		h ^= h >> 31;
	}
	return (uint32_t)(((h & UINT32_MAX) * n->size.buckets) >> 32);
}

/* Its so-manieth continuation, 0 itself; NULL: it is not there. */
static struct place *find_more(struct naive *n, const struct identity *is, uint32_t more)
{
	struct identity want = *is;

	want.more = more;
	for (uint32_t i = 0; i < n->place_n; i++)
		if (n->place[i].is.kind == is->kind &&
		    !memcmp(&n->place[i].is, &want, sizeof(want)))
			return &n->place[i];
	return NULL;
}

/* An empty place; `keep` is not driven out for it. */
static struct place *make_place(struct naive *n, struct identity is, uint32_t more,
				const struct place *keep)
{
	struct place *at = find_more(n, &is, more), *in[BUCKET] = {NULL};
	uint32_t bucket, seat = 0;

	is.more = more;
	bucket = bucket_of(n, &is);
	for (uint32_t i = 0; i < n->place_n; i++)
		if (n->place[i].bucket == bucket)
			in[n->place[i].seat] = &n->place[i];
	while (!at && seat < BUCKET && in[seat])
		seat++;
	if (!at && seat < BUCKET) {
		at = &n->place[n->place_n++];
		assert_true(n->place_n < PLACES);
	} else if (!at) {
		for (uint32_t i = 0; i < BUCKET; i++)
			if (in[i] != keep && (!at || in[i]->use < at->use))
				at = in[i];
		for (uint32_t i = 0; i < BUCKET; i++)
			if (in[i] != at && in[i]->use)
				in[i]->use--;
		n->driven_out++;
		seat = at->seat;
	} else {
		seat = at->seat;
	}
	*at = (struct place){.is = is, .bucket = bucket, .seat = seat};
	return at;
}

static void halve(struct naive *n, const struct place *first)
{
	for (uint32_t m = 0; m <= first->more_n; m++) {
		struct place *p = find_more(n, &first->is, m);

		for (uint32_t i = 0; p && i < CELL_EDGES; i++) {
			uint32_t was = p->after[i].count, now = was / 2;

			n->singles[first->is.kind] += now == 1;
			n->singles[first->is.kind] -= was == 1;
			n->doubles[first->is.kind] += now == 2;
			n->doubles[first->is.kind] -= was == 2;
			p->after[i].count = now;
			if (!now)
				p->after[i].number = 0;
		}
	}
}

/* Where the symbol is counted, or would be; NULL: a continuation is needed for it. */
static struct place *find_slot(struct naive *n, struct place *first, uint32_t number,
			       uint32_t *ret_i, bool *ret_replaces)
{
	struct place *free_in = NULL, *least_in = NULL;
	uint32_t free_i = 0, least_i = 0, more_max = first->is.kind < SUFFIX_KINDS ? 15 : 7;

	*ret_replaces = false;
	for (uint32_t m = 0; m <= first->more_n; m++) {
		struct place *p = find_more(n, &first->is, m);

		for (uint32_t i = 0; p && i < CELL_EDGES; i++) {
			uint32_t count = p->after[i].count;

			if (count && p->after[i].number == number) {
				p->use = first->use;
				*ret_i = i;
				return p;
			}
			if (!count && !free_in) {
				free_in = p;
				free_i = i;
			}
			if (count && (m || i) &&
			    (!least_in || count < least_in->after[least_i].count)) {
				least_in = p;
				least_i = i;
			}
		}
		if (p)
			p->use = first->use;
	}
	*ret_i = free_in ? free_i : least_i;
	if (free_in)
		return free_in;
	*ret_replaces = first->more_n == more_max;
	return *ret_replaces ? least_in : NULL;
}

static void place_learn(struct naive *n, struct place *first, uint32_t number)
{
	uint32_t i = 0, count, was_number, was_count;
	struct place *p;
	bool replaces;

	if (first->use < 255)
		first->use++;
	p = find_slot(n, first, number, &i, &replaces);
	if (!p) {
		p = make_place(n, first->is, first->more_n + 1, first);
		p->use = first->use;
		first->more_n++;
		i = 0;
	}
	if (replaces || !p->after[i].count) {
		p->after[i].number = number;
		p->after[i].count = 0;
	}
	count = ++p->after[i].count;
	n->singles[first->is.kind] += count == 1;
	n->singles[first->is.kind] -= count == 2;
	n->doubles[first->is.kind] += count == 2;
	n->doubles[first->is.kind] -= count == 3;
	if (count == COUNT_MAX)
		halve(n, first);
	if (p == first && i == 0) {
		first->run += first->run < 255;
		return;
	}
	/* The newest comes first. */
	was_number = first->after[0].number;
	was_count = first->after[0].count;
	first->run = 0;
	first->after[0] = p->after[i];
	p->after[i].number = was_number;
	p->after[i].count = was_count;
}

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

struct view {
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

static int choose(struct view *w, const struct naive *n, uint32_t number)
{
	for (uint32_t k = 0; k < w->choice_n; k++)
		if (w->choice[k].number == number)
			return (int)k;
	if (w->choice_n == VOMM_CANDIDATE_MAX)
		return -1;
	w->choice[w->choice_n] = (struct choice){.number = number, .name = n->known[number].name};
	return (int)w->choice_n++;
}

static void gather(struct naive *n, const struct stream *s, struct view *w)
{
	for (uint32_t i = 0; i < KINDS; i++) {
		uint32_t kind = i < SUFFIX_KINDS ? SUFFIX_KINDS - 1 - i : i;
		struct opinion_of *o = &w->opinion[w->opinion_n];
		struct identity is;

		o->place = identify(n, s, kind, &is) ? find_more(n, &is, 0) : NULL;
		for (uint32_t m = 0; o->place && m <= o->place->more_n; m++) {
			struct place *p = find_more(n, &is, m);

			for (uint32_t e = 0; p && e < CELL_EDGES; e++) {
				o->total += p->after[e].count;
				o->distinct += p->after[e].count != 0;
			}
		}
		o->rest = o->total;
		w->suffix_n += o->total && kind < SUFFIX_KINDS;
		w->opinion_n += o->total != 0;
	}
	for (uint32_t a = 0; a < w->opinion_n; a++) {
		struct opinion_of *o = &w->opinion[a];

		for (uint32_t m = 0; m <= o->place->more_n; m++) {
			struct place *p = find_more(n, &o->place->is, m);

			for (uint32_t e = 0; p && e < CELL_EDGES; e++) {
				int k = p->after[e].count ? choose(w, n, p->after[e].number) : -1;

				if (k < 0)
					continue;
				o->count[k] = p->after[e].count;
				o->newest[k] = !m && !e;
			}
		}
	}
}

static bool match_is_there(const struct naive *n, const struct stream *s)
{
	return s->match && n->step_n + 1 - s->match < n->size.trail - 1;
}

static void gather_match(struct naive *n, const struct stream *s, struct view *w)
{
	uint32_t len = s->match_len;

	w->expected = -1;
	if (!match_is_there(n, s))
		return;
	w->expected = choose(w, n, n->step[s->match].number);
	w->match_size = len < 16    ? len
			: len < 24  ? 16
			: len < 32  ? 17
			: len < 64  ? 18
			: len < 256 ? 19
				    : 20;
}

/* Interpolated absolute discounting, from what is frequent at all up to the longest suffix. */
static void weigh(const struct naive *n, struct view *w)
{
	uint32_t others = w->opinion_n - w->suffix_n;
	float base = (others ? 0.5f : 1.0f) / (float)(n->counted + n->known_n / 2 + 1);

	w->unknown_weight = base;
	for (uint32_t k = 0; k < w->choice_n; k++)
		w->choice[k].weight = ((float)n->known[w->choice[k].number].count + 0.5f) * base;
	for (uint32_t a = w->suffix_n; a < w->opinion_n; a++)
		for (uint32_t k = 0; k < w->choice_n; k++)
			w->choice[k].weight +=
				(float)w->opinion[a].count[k] *
				(0.5f / ((float)others * (float)w->opinion[a].total));
	for (uint32_t a = w->suffix_n; a-- > 0;) {
		const struct opinion_of *o = &w->opinion[a];
		float ones = (float)n->singles[o->place->is.kind];
		float twos = (float)n->doubles[o->place->is.kind];
		float d = (ones + 1) / (ones + 2 * twos + 1.5f), one = 1 / (float)o->total;
		float down = d * (float)o->distinct * one;

		w->unknown_weight *= down;
		for (uint32_t k = 0; k < w->choice_n; k++) {
			float over = (float)o->count[k] - d;

			w->choice[k].weight =
				(over > 0 ? over : 0) * one + down * w->choice[k].weight;
		}
	}
}

static void fall_back(struct naive *n, const struct stream *s, struct view *w)
{
	for (uint32_t i = 0; i < 8 + HOT && w->choice_n < FALLBACK_MAX; i++) {
		uint32_t number = i >= 8	  ? n->hot[i - 8]
				  : i < s->seen_n ? number_of(n, (uint32_t)back(s, i + 1))
						  : 0;
		uint32_t was = w->choice_n;

		if (i >= 8 && !number)
			break;
		if (number && choose(w, n, number) == (int)was)
			w->choice[was].weight =
				((float)n->known[number].count + 0.5f) * w->unknown_weight;
	}
}

static uint32_t count_class(uint32_t n)
{
	return n < 6 ? n : n == 6 ? 5 : n < 11 ? 6 : 7;
}

/* Four times log2(n + 1/2), rounded; of large n the lowest hex digits do not count. */
static int quarters(uint32_t n)
{
	int up = 0;

	for (; n > 255; n /= 16)
		up += 16;
	return up + (int)lrint(4 * log2(n + 0.5));
}

static uint32_t state_at(uint32_t n, uint32_t rest, bool newest, uint32_t run)
{
	uint32_t recency = !newest ? 0 : run == 0 ? 1 : run == 1 ? 2 : run < 4 ? 3 : 4;
	int odds;

	if (rest < STATE_EXACT)
		return (count_class(n) * 8 + count_class(rest - n)) * 5 + recency;
	odds = quarters(n) - quarters(rest - n) + 32;
	odds = odds < 0 ? 0 : odds > 63 ? 63 : odds;
	return (64 + (rest < 64 ? 0u : rest < 512 ? 32u : 64u) + (uint32_t)odds / 2) * 5 + recency;
}

/* How long ago the stream saw the symbol, unless another that shares its mark came since. */
static uint32_t recency_of(const struct stream *s, uint32_t name)
{
	uint32_t h = name * 0x9e3779b1u;

	for (uint32_t ago = 1; ago <= s->seen_n; ago++) {
		uint32_t other = (uint32_t)back(s, ago) * 0x9e3779b1u;

		if (other >> 24 != h >> 24)
			continue;
		if ((other >> 8 & 0xffff) != (h >> 8 & 0xffff))
			return 0;
		return ago < 5 ? ago : ago < 9 ? 5 : ago < 33 ? 6 : 7;
	}
	return 0;
}

static uint32_t symbol_bin(uint32_t a, uint32_t b)
{
	return (a * 0x9e3779b1u + b * 0x85ebca6bu) * 0xc2b2ae35u >> (32 - SYMBOL_MAP_BITS);
}

static void hear(struct step_of *d, uint32_t input, struct answer *a)
{
	d->heard[d->heard_n++] = a;
	d->x[input] = answer_says(*a);
}

struct regard_of {
	uint32_t longest, match, recent, newest, others, deep;
};

static struct regard_of regard(const struct stream *s, const struct view *w, uint32_t k)
{
	struct regard_of g = {.recent = recency_of(s, w->choice[k].name),
			      .deep = least_of(w->suffix_n, 15)};

	for (uint32_t a = 0; a < w->opinion_n; a++) {
		const struct opinion_of *o = &w->opinion[a];

		if (a >= w->suffix_n) {
			g.others += o->count[k] != 0;
			continue;
		}
		g.newest += o->newest[k];
		if (o->count[k] && !g.longest)
			g.longest = o->place->is.kind + 1;
	}
	if (w->expected >= 0 && !w->choice[w->expected].decided)
		g.match = w->expected == (int)k ? 1 : 2;
	return g;
}

static void hear_all(struct naive *n, const struct stream *s, struct view *w, struct step_of *d,
		     const struct regard_of *g)
{
	uint32_t k = d->candidate, name = w->choice[k].name, length = w->match_size;
	uint32_t newest = s->seen_n ? (uint32_t)back(s, 1) : 0;
	float weight = w->choice[k].weight, least = weight + 1e-5f;
	float p = weight / (w->weight_rest > least ? w->weight_rest : least);

	d->x[IN_BIAS] = 0.4f;
	d->x[IN_WEIGHT] = stretch(p < 1e-5f ? 1e-5f : p > 0.9999f ? 0.9999f : p);
	if (g->match)
		hear(d, IN_MATCH, &n->match[g->match - 1][length]);
	hear(d, IN_RECENT, &n->recent[g->recent][g->deep]);
	for (uint32_t a = 0; a < w->opinion_n; a++) {
		struct opinion_of *o = &w->opinion[a];
		uint32_t kind = o->place->is.kind;

		if (!o->rest)
			continue; /* all that it knows is ruled out */
		hear(d, IN_SPEC + kind,
		     &n->state[kind][state_at(o->count[k], o->rest, o->newest[k], o->place->run)]);
		o->rest -= o->count[k];
	}
	hear(d, IN_SYMBOL, &n->symbol[0][symbol_bin(name, least_of(w->step_n, 3))]);
	hear(d, IN_PAIR, &n->symbol[1][symbol_bin(name, newest + 1)]);
	hear(d, IN_SYMBOL_ORDER, &n->symbol[2][symbol_bin(name, g->longest)]);
	hear(d, IN_SYMBOL_MATCH, &n->symbol[3][symbol_bin(name, g->match == 1 ? 1 + length : 0)]);
}

/* Four sums, of every fourth product each, then those. */
static float dot_of(const float *x, const float *w)
{
	float sum[4] = {0};

	for (uint32_t i = 0; i < INPUTS; i++)
		sum[i % 4] += x[i] * w[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static float last_look(struct naive *n, struct step_of *d, float x)
{
	float at = (x < -7.99f ? -7.99f : x > 7.99f ? 7.99f : x) * 2 + 16;
	uint32_t i = (uint32_t)at;
	float above = at - (float)i;
	struct answer *a = &n->last[d->set[2]][i];
	float p = ((float)a[0].p * (1 - above) + (float)a[1].p * above) / 4194304;

	d->heard[d->heard_n++] = above > 0.5f ? &a[1] : &a[0];
	p = d->mixed * 0.67f + p * 0.33f;
	return p < 1e-5f ? 1e-5f : p > 1 - 1e-5f ? 1 - 1e-5f : p;
}

/* The likeliest choice is decided: is it this one, given that it is none before? */
static bool decide(struct naive *n, const struct stream *s, struct view *w)
{
	uint32_t j = w->step_n, k = UINT32_MAX;
	struct step_of *d = &w->step[j];
	struct regard_of g;
	float x = 0, p;

	if (j == DECIDE_MAX || (j >= DECIDE_SURE && w->rest < 0.003f))
		return false;
	if (j == DECIDE_SURE || j == w->choice_n)
		fall_back(n, s, w); /* it adds nothing a second time */
	if (j == w->choice_n)
		return false;
	for (uint32_t i = 0; i < w->choice_n; i++)
		if (!w->choice[i].decided &&
		    (k == UINT32_MAX || w->choice[i].weight > w->choice[k].weight))
			k = i;
	if (j >= DECIDE_SURE && w->rest * w->choice[k].weight < 0.001f * w->weight_rest)
		return false;
	memset(d, 0, sizeof(*d));
	d->candidate = k;
	g = regard(s, w, k);
	d->set[0] = least_of(j, 7) * 16 + g.deep;
	d->set[1] = least_of(g.others, 7) * 64 +
		    least_of(g.newest > 2 ? 2 + g.newest / 4 : g.newest, 7) * 8 +
		    least_of(g.longest, 7);
	d->set[2] = g.match * 64 + g.recent * 8 + (g.match ? least_of(w->match_size / 3, 7) : 0);
	d->row = least_of(j, FINALS - 1);
	hear_all(n, s, w, d, &g);
	for (uint32_t i = 0; i < SETS; i++) {
		float dot = dot_of(d->x, n->weight[i][d->set[i]]);

		d->dot[i] = dot > 12 ? 12 : dot < -12 ? -12 : dot;
		x += d->dot[i] * n->final[d->row][i];
	}
	d->mixed = squash(x);
	p = last_look(n, d, x);
	w->choice[k].p = w->rest * p;
	w->choice[k].decided = true;
	w->rest *= 1 - p;
	w->weight_rest -= w->choice[k].weight;
	w->step_n++;
	return true;
}

/* What is left is for the new, for the choices not decided, and for all else that is known. */
static void leave(struct naive *n, struct view *w)
{
	uint32_t deep = least_of(w->suffix_n, 15);
	double listed = 0;

	for (uint32_t k = 0; k < w->choice_n; k++) {
		listed += n->known[w->choice[k].number].count + 0.5;
		if (!w->choice[k].decided)
			w->tail_weight += w->choice[k].weight;
	}
	w->unlisted = n->counted + 0.5 * n->known_n - listed;
	if (n->known_n > w->step_n)
		w->novel_from = &n->novel[deep][least_of(w->choice_n / 4, 3)];
	if (n->known_n > w->choice_n && w->step_n < w->choice_n)
		w->tail_from = &n->tail[deep][least_of((w->choice_n - w->step_n) / 8, 3)];
	w->novel = w->novel_from ? answer_p(*w->novel_from) : 1;
	w->tail = w->tail_from ? answer_p(*w->tail_from) : w->step_n < w->choice_n;
}

static void look(struct naive *n, const struct stream *s, struct view *w)
{
	memset(w, 0, sizeof(*w));
	gather(n, s, w);
	gather_match(n, s, w);
	weigh(n, w);
	w->rest = w->weight_rest = 1;
	while (decide(n, s, w))
		;
	leave(n, w);
}

/* Of a symbol by its number; 0: of all that is new. */
static double chance(const struct naive *n, const struct view *w, uint32_t number)
{
	if (!number)
		return w->rest * w->novel;
	for (uint32_t k = 0; k < w->choice_n; k++) {
		const struct choice *c = &w->choice[k];

		if (c->number == number)
			return c->decided ? c->p
					  : w->rest * (1 - w->novel) * w->tail * c->weight /
						    w->tail_weight;
	}
	return w->rest * (1 - w->novel) * (1 - w->tail) * (n->known[number].count + 0.5) /
	       w->unlisted;
}

/* --- learning --------------------------------------------------------------------------------- */

static void learn_step(struct naive *n, const struct step_of *d, bool yes)
{
	for (uint32_t i = 0; i < d->heard_n; i++)
		answer_learn(d->heard[i], yes);
	for (uint32_t i = 0; i < SETS; i++) {
		uint32_t *trained = &n->trained[i][d->set[i]];
		float rate = 0.003f + 0.02f / (1 + (float)*trained / 256);
		float by = ((yes ? 1.0f : 0.0f) - squash(d->dot[i])) * rate;

		*trained += *trained < 65535;
		for (uint32_t k = 0; k < INPUTS; k++)
			n->weight[i][d->set[i]][k] += d->x[k] * by;
		n->final[d->row][i] += 0.0005f * ((yes ? 1.0f : 0.0f) - d->mixed) * d->dot[i];
	}
}

static void learn_view(struct naive *n, const struct view *w, uint32_t number)
{
	bool chosen = false;

	for (uint32_t j = 0; j < w->step_n; j++) {
		bool yes = w->choice[w->step[j].candidate].number == number;

		learn_step(n, &w->step[j], yes);
		if (yes)
			return;
	}
	for (uint32_t k = 0; k < w->choice_n; k++)
		chosen |= number && w->choice[k].number == number;
	if (w->novel_from)
		answer_learn(w->novel_from, !number);
	if (number && w->tail_from)
		answer_learn(w->tail_from, chosen);
}

/* The number of a new symbol: when all are taken, that of the least used of the next 16. */
static uint32_t number_make(struct naive *n, uint32_t name)
{
	bool is_full = n->known_n == n->size.symbols;
	uint32_t number = is_full ? 0 : ++n->known_n;

	for (int i = 0; i < 16 && is_full; i++) {
		const struct known *k, *least;

		n->hand = n->hand % n->size.symbols + 1;
		k = &n->known[n->hand];
		least = &n->known[number];
		if (!number || k->count < least->count ||
		    (k->count == least->count && k->last < least->last))
			number = n->hand;
	}
	n->counted -= n->known[number].count;
	n->known[number] = (struct known){.name = name};
	return number;
}

static void learn_contexts(struct naive *n, const struct stream *s, const struct view *w,
			   uint32_t number)
{
	struct identity was[KINDS], is;
	bool there[KINDS] = {false};

	for (uint32_t a = 0; a < w->opinion_n; a++)
		was[a] = w->opinion[a].place->is;
	for (uint32_t a = 0; a < w->opinion_n; a++) {
		struct place *p = find_more(n, &was[a], 0);

		there[was[a].kind] = true;
		if (p) /* else it was driven out just now */
			place_learn(n, p, number);
	}
	for (uint32_t i = 0; i < KINDS; i++)
		if (!there[i] && identify(n, s, i, &is) &&
		    (kinds[i].parent < 0 || there[kinds[i].parent]))
			place_learn(n, make_place(n, is, 0, NULL), number);
}

static void learn_hot(struct naive *n, uint32_t number)
{
	uint32_t i = 0, t;

	while (i < HOT && n->hot[i] && n->hot[i] != number)
		i++;
	if (i == HOT) {
		if (n->known[number].count > n->known[n->hot[HOT - 1]].count)
			n->hot[HOT - 1] = number;
		return;
	}
	n->hot[i] = number;
	if (i && n->known[n->hot[i - 1]].count < n->known[number].count) {
		t = n->hot[i - 1];
		n->hot[i - 1] = n->hot[i];
		n->hot[i] = t;
	}
}

/* --- the long memory -------------------------------------------------------------------------- */

/* Where the last five symbols lead; before the start they count as 0. */
static uint32_t home_of(const struct naive *n, const struct stream *s)
{
	uint64_t h = 0;

	for (uint32_t i = 1; i <= 5; i++)
		h = (h + (i <= s->seen_n ? back(s, i) : 0) + 1) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 32) % n->size.homes;
}

static void follow(const struct naive *n, struct stream *s, uint32_t number)
{
	if (match_is_there(n, s) && n->step[s->match].number == number) {
		s->match = n->step[s->match].next;
		s->match_len++;
	} else {
		s->match = 0;
	}
	if (!s->match)
		s->match_len = 0;
}

static void push(const struct naive *n, struct stream *s, uint32_t name, uint32_t before)
{
	s->seen[s->seen_n++] = name;
	if (s->match || s->seen_n < 5)
		return;
	/* The newest step that was there when it came, and that went on since, if it is not too old. */
	for (uint32_t i = before; i > 0; i--) {
		if (n->step[i].home != home_of(n, s) + 1)
			continue;
		if (n->step_n + 1 - i < n->size.trail - 1)
			s->match = n->step[i].next;
		return;
	}
}

static void naive_advance(const struct naive *n, struct stream *s, uint32_t name)
{
	follow(n, s, number_of(n, name));
	push(n, s, name, n->step_n);
	s->trail = 0;
}

static double naive_observe(struct naive *n, struct stream *s, uint32_t name, const struct view *w)
{
	uint32_t number = number_of(n, name), before = n->step_n, at;
	double p = chance(n, w, number);

	learn_view(n, w, number);
	if (!number)
		number = number_make(n, name);
	learn_contexts(n, s, w, number);
	n->known[number].count++;
	n->known[number].last = n->observed++;
	n->counted++;
	learn_hot(n, number);
	follow(n, s, number);
	at = ++n->step_n;
	n->step[at].number = number;
	if (s->trail && at - s->trail < n->size.trail - 1)
		n->step[s->trail].next = at;
	s->trail = at;
	push(n, s, name, before);
	if (s->seen_n >= 5)
		n->step[at].home = home_of(n, s) + 1;
	return p;
}

/* --- side by side ----------------------------------------------------------------------------- */

enum { NAMES_MAX = 400, ODD_NAME = 77777 };

/* The next symbol of a stream. */
typedef uint32_t (*next_fn)(uint32_t who, uint32_t i);

struct scenario {
	const char *name;
	next_fn next;
	uint32_t events, streams, names;
	uint32_t every; /* all symbols are compared after so many events */
	uint32_t symbol_max, order_max;
	bool tight; /* so little memory that contexts drive each other out */
	bool moves; /* features change, streams begin anew or only advance */
};

static uint32_t any_of_three(uint32_t who, uint32_t i)
{
	(void)who, (void)i;
	return 10 + dice(3);
}

/* Two always, one of them now and then followed by a third: counts reach their limit. */
static uint32_t long_run(uint32_t who, uint32_t i)
{
	(void)who;
	return dice(300) == 0 ? dice(20) : 30 + i % 2;
}

static uint32_t noisy_loop(uint32_t who, uint32_t i)
{
	return dice(8) ? 100 + (i * (who + 1)) % 9 : dice(40);
}

static uint32_t many_after_one(uint32_t who, uint32_t i)
{
	(void)who;
	return i % 2 ? 1 + dice(dice(2) ? 20 : 250) : 0;
}

static uint32_t mostly_new(uint32_t who, uint32_t i)
{
	(void)who;
	return dice(3) ? dice(12) : i % NAMES_MAX;
}

/* A cycle, and after a while another cycle of the same symbols. */
static uint32_t habit_changes(uint32_t who, uint32_t i)
{
	(void)who;
	return dice(25) == 0 ? 50 + dice(5) : i < 250 ? i % 13 : (i * 5) % 13;
}

static const struct scenario scenarios[] = {
	{"any of three", any_of_three, 600, 1, 20, 1, 0, 0, false, false},
	{"any of three, short contexts", any_of_three, 600, 1, 20, 1, 0, 3, false, false},
	{"a noisy loop", noisy_loop, 800, 1, 120, 3, 0, 0, false, false},
	{"lineages with features", noisy_loop, 1500, 3, 120, 5, 0, 0, false, true},
	{"a habit changes", habit_changes, 600, 1, 60, 5, 0, 0, false, false},
	{"counts are halved", long_run, 8900, 1, 40, 50, 0, 2, false, false},
	{"many after one", many_after_one, 900, 1, 260, 20, 0, 3, false, false},
	{"symbols are forgotten", mostly_new, 600, 1, 400, 10, 30, 4, false, false},
	{"contexts drive each other out", noisy_loop, 2500, 2, 120, 10, 60, 0, true, true},
	{"all is forgotten", mostly_new, 1000, 2, 400, 20, 50, 12, true, true},
};

static struct naive naive;
static struct view view;

static void compare_all(struct vomm *v, const struct vomm_stream *s, const struct scenario *sc,
			uint32_t at)
{
	double sum = chance(&naive, &view, 0);
	struct vomm_guess g[10];
	uint32_t likelier = 0;
	size_t n = 0;

	assert_true(vomm_novelty(v, s) == sum);
	for (uint32_t i = 0; i <= sc->names; i++) {
		uint32_t name = i < sc->names ? i : ODD_NAME, number = number_of(&naive, name);
		double ours = vomm_prob(v, s, name), plain = chance(&naive, &view, number);

		if (ours != plain)
			fail_msg("%s, event %u: symbol %u has %.9g, plainly %.9g", sc->name, at,
				 name, ours, plain);
		sum += number ? plain : 0;
	}
	assert_float_equal(sum, 1, 2e-5);
	if (vomm_predict(v, s, 10, g, &n) != 0)
		n = 0;
	assert_int_equal(n, least_of(view.choice_n, 10));
	for (size_t i = 0; i < n; i++)
		assert_true(g[i].p == chance(&naive, &view, number_of(&naive, g[i].symbol)));
	for (uint32_t k = 0; n && k < view.choice_n; k++)
		likelier += chance(&naive, &view, view.choice[k].number) > g[n - 1].p;
	assert_true(n == 0 || likelier < n);
}

static void compare_memory(const struct vomm *v, const struct scenario *sc)
{
	struct vomm_stats st;

	vomm_stats(v, &st);
	assert_int_equal(st.context_n, naive.place_n);
	assert_int_equal(st.context_forgotten_n, naive.driven_out);
	assert_int_equal(st.symbol_n, naive.known_n);
	assert_int_equal(st.observed_n, naive.observed);
	assert_true(!sc->tight || st.context_forgotten_n > 1000);
	assert_true(!sc->symbol_max || sc->next != mostly_new || st.symbol_forgotten_n > 50);
	assert_true(sc->next != many_after_one || st.successor_forgotten_n > 50);
}

/* What happens to a stream between two events. */
static void move(struct vomm *v, struct vomm_stream *s, struct stream *t)
{
	uint32_t what = dice(40), which = dice(VOMM_FEATURE_MAX), value = dice(4), name = dice(9);

	if (what == 0) {
		vomm_stream_init(s, NULL);
		memset(t, 0, sizeof(*t));
	} else if (what == 1) {
		vomm_stream_headless(s);
		t->headless = true;
	} else if (what < 6) {
		vomm_stream_feature(s, which, value);
		t->feature[which] = value;
	} else if (what == 6) {
		vomm_advance(v, s, 100 + name, 0);
		naive_advance(&naive, t, 100 + name);
	}
}

static void run(const struct scenario *sc)
{
	struct vomm_limits limits = {.bytes_max = sc->tight ? sizeof(struct vomm) + 68000 : 4 << 20,
				     .order_max = sc->order_max,
				     .symbol_max = sc->symbol_max};
	static struct stream plain[STREAMS];
	struct vomm_stream streams[STREAMS];
	struct vomm *v = NULL;
	struct sizes size;

	seed = sc->events + sc->names;
	assert_int_equal(vomm_new(&limits, &v), 0);
	size = (struct sizes){v->bucket_n, v->limits.symbol_max, v->limits.order_max,
			      v->trail_mask + 1, v->trail_index_mask + 1};
	naive_begin(&naive, &size);
	memset(plain, 0, sizeof(plain));
	for (uint32_t i = 0; i < STREAMS; i++)
		vomm_stream_init(&streams[i], NULL);
	for (uint32_t i = 0; i < sc->events; i++) {
		uint32_t who = dice(sc->streams), x = sc->next(who, i);
		struct vomm_stream *s = &streams[who];
		double p, q;

		if (sc->moves)
			move(v, s, &plain[who]);
		look(&naive, &plain[who], &view);
		if (i % sc->every == 0)
			compare_all(v, s, sc, i);
		(void)vomm_observe(v, s, x, 0, &p);
		q = naive_observe(&naive, &plain[who], x, &view);
		if (p != q)
			fail_msg("%s, event %u: %u came at %.9g, plainly %.9g", sc->name, i, x, p,
				 q);
	}
	compare_memory(v, sc);
	v = vomm_free(v);
}

static void test_vomm_is_bit_for_bit_what_a_plain_one_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		run(&scenarios[i]);
		print_message("%s: %u places, %u driven out\n", scenarios[i].name, naive.place_n,
			      naive.driven_out);
	}
}

/* Two streams whose contexts are all alike, but not what they saw before: asked one after the other,
 * each gets an answer of its own. */
static void test_vomm_tells_streams_of_equal_contexts_apart(void **state)
{
	struct vomm_limits limits = {.bytes_max = 4 << 20};
	struct vomm_stream a, b;
	struct vomm *v = NULL;
	double of_a, of_b;

	(void)state;
	assert_int_equal(vomm_new(&limits, &v), 0);
	vomm_stream_init(&a, NULL);
	for (uint32_t i = 0; i < 600; i++)
		(void)vomm_observe(v, &a, i % 10, 0, NULL);
	vomm_stream_init(&a, NULL);
	b = a;
	vomm_advance(v, &a, 7, 0);
	vomm_advance(v, &b, 8, 0);
	for (uint32_t i = 0; i < 30; i++) {
		vomm_advance(v, &a, 300 + i, 0);
		vomm_advance(v, &b, 300 + i, 0);
	}
	of_b = vomm_prob(v, &b, 8);
	(void)vomm_prob(v, &a, 100); /* another situation in between */
	of_a = vomm_prob(v, &a, 8);
	assert_true(vomm_prob(v, &b, 8) == of_b);
	assert_true(of_a != of_b);
	v = vomm_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vomm_tells_streams_of_equal_contexts_apart),
		cmocka_unit_test(test_vomm_arithmetic_is_as_exact_as_it_says),
		cmocka_unit_test(test_vomm_is_bit_for_bit_what_a_plain_one_is),
	};

	return cmocka_run_group_tests_name("vomm_naive", tests, NULL, NULL);
}
