// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* plain_vomm_look.c - what the plain model makes of where a stream stands; see plain_vomm.h. */
#include "support/support.h"

#include "support/plain_vomm.h"

#include <string.h>

static int choose(struct plain_view *w, const struct plain *n, uint32_t number)
{
	for (uint32_t k = 0; k < w->choice_n; k++)
		if (w->choice[k].number == number)
			return (int)k;
	if (w->choice_n == VOMM_CANDIDATE_MAX)
		return -1;
	w->choice[w->choice_n] = (struct choice){.number = number, .name = n->known[number].name};
	return (int)w->choice_n++;
}

static void gather(struct plain *n, const struct plain_stream *s, struct plain_view *w)
{
	for (uint32_t i = 0; i < KINDS; i++) {
		uint32_t kind = i < SUFFIX_KINDS ? SUFFIX_KINDS - 1 - i : i;
		struct opinion_of *o = &w->opinion[w->opinion_n];
		struct identity is;

		o->place = plain_identify(n, s, kind, &is) ? plain_find(n, &is, 0) : NULL;
		for (uint32_t m = 0; o->place && m <= o->place->more_n; m++) {
			struct place *p = plain_find(n, &is, m);

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
			struct place *p = plain_find(n, &o->place->is, m);

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

static void gather_match(struct plain *n, const struct plain_stream *s, struct plain_view *w)
{
	uint32_t len = s->match_len;

	w->expected = -1;
	if (!plain_match(n, s))
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
static void weigh(const struct plain *n, struct plain_view *w)
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

static void fall_back(struct plain *n, const struct plain_stream *s, struct plain_view *w)
{
	for (uint32_t i = 0; i < 8 + HOT && w->choice_n < FALLBACK_MAX; i++) {
		uint32_t number = i >= 8	  ? n->hot[i - 8]
				  : i < s->seen_n ? plain_number(n, (uint32_t)plain_back(s, i + 1))
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
static uint32_t recency_of(const struct plain_stream *s, uint32_t name)
{
	uint32_t h = name * 0x9e3779b1u;

	for (uint32_t ago = 1; ago <= s->seen_n; ago++) {
		uint32_t other = (uint32_t)plain_back(s, ago) * 0x9e3779b1u;

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

static struct regard_of regard(const struct plain_stream *s, const struct plain_view *w, uint32_t k)
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

static void hear_all(struct plain *n, const struct plain_stream *s, struct plain_view *w,
		     struct step_of *d, const struct regard_of *g)
{
	uint32_t k = d->candidate, name = w->choice[k].name, length = w->match_size;
	uint32_t newest = s->seen_n ? (uint32_t)plain_back(s, 1) : 0;
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

static float last_look(struct plain *n, struct step_of *d, float x)
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
static bool decide(struct plain *n, const struct plain_stream *s, struct plain_view *w)
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
static void leave(struct plain *n, struct plain_view *w)
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

void plain_look(struct plain *n, const struct plain_stream *s, struct plain_view *w)
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

double plain_chance(const struct plain *n, const struct plain_view *w, uint32_t number)
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
