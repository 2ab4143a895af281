// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* plain_vomm.c - what the plain model keeps and learns; see plain_vomm.h. */
#include "support/support.h"

#include "support/plain_vomm.h"

#include <string.h>

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

void plain_begin(struct plain *n, const struct plain_sizes *size)
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

uint32_t plain_number(const struct plain *n, uint32_t name)
{
	for (uint32_t i = 1; i <= n->known_n; i++)
		if (n->known[i].name == name)
			return i;
	return 0;
}

uint64_t plain_back(const struct plain_stream *s, uint32_t k)
{
	return k <= s->seen_n ? s->seen[s->seen_n - k] : UINT64_MAX;
}

/* --- contexts and their places ---------------------------------------------------------------- */

bool plain_identify(const struct plain *n, const struct plain_stream *s, uint32_t kind,
		    struct identity *ret)
{
	const struct kind *k = &kinds[kind];

	memset(ret, 0, sizeof(*ret));
	ret->kind = kind;
	ret->feature = k->feature ? s->feature[k->feature - 1] : 0;
	if (k->needs > least_of(s->seen_n + !s->headless, n->size.order))
		return false;
	for (uint32_t i = 0; i < k->back_n; i++)
		ret->symbol[i] = plain_back(s, kind < SUFFIX_KINDS ? i + 1 : k->back[i]);
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

static uint32_t bucket_of(const struct plain *n, const struct identity *is)
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

struct place *plain_find(struct plain *n, const struct identity *is, uint32_t more)
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
static struct place *make_place(struct plain *n, struct identity is, uint32_t more,
				const struct place *keep)
{
	struct place *at = plain_find(n, &is, more), *in[BUCKET] = {NULL};
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

static void halve(struct plain *n, const struct place *first)
{
	for (uint32_t m = 0; m <= first->more_n; m++) {
		struct place *p = plain_find(n, &first->is, m);

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
static struct place *find_slot(struct plain *n, struct place *first, uint32_t number,
			       uint32_t *ret_i, bool *ret_replaces)
{
	struct place *free_in = NULL, *least_in = NULL;
	uint32_t free_i = 0, least_i = 0, more_max = first->is.kind < SUFFIX_KINDS ? 15 : 7;

	*ret_replaces = false;
	for (uint32_t m = 0; m <= first->more_n; m++) {
		struct place *p = plain_find(n, &first->is, m);

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

static void place_learn(struct plain *n, struct place *first, uint32_t number)
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

bool plain_match(const struct plain *n, const struct plain_stream *s)
{
	return s->match && n->step_n + 1 - s->match < n->size.trail - 1;
}

/* --- learning --------------------------------------------------------------------------------- */

static void learn_step(struct plain *n, const struct step_of *d, bool yes)
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

static void learn_view(struct plain *n, const struct plain_view *w, uint32_t number)
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
static uint32_t number_make(struct plain *n, uint32_t name)
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

static void learn_contexts(struct plain *n, const struct plain_stream *s,
			   const struct plain_view *w, uint32_t number)
{
	struct identity was[KINDS], is;
	bool there[KINDS] = {false};

	for (uint32_t a = 0; a < w->opinion_n; a++)
		was[a] = w->opinion[a].place->is;
	for (uint32_t a = 0; a < w->opinion_n; a++) {
		struct place *p = plain_find(n, &was[a], 0);

		there[was[a].kind] = true;
		if (p) /* else it was driven out just now */
			place_learn(n, p, number);
	}
	for (uint32_t i = 0; i < KINDS; i++)
		if (!there[i] && plain_identify(n, s, i, &is) &&
		    (kinds[i].parent < 0 || there[kinds[i].parent]))
			place_learn(n, make_place(n, is, 0, NULL), number);
}

static void learn_hot(struct plain *n, uint32_t number)
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
static uint32_t home_of(const struct plain *n, const struct plain_stream *s)
{
	uint64_t h = 0;

	for (uint32_t i = 1; i <= 5; i++)
		h = (h + (i <= s->seen_n ? plain_back(s, i) : 0) + 1) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 32) % n->size.homes;
}

static void follow(const struct plain *n, struct plain_stream *s, uint32_t number)
{
	if (plain_match(n, s) && n->step[s->match].number == number) {
		s->match = n->step[s->match].next;
		s->match_len++;
	} else {
		s->match = 0;
	}
	if (!s->match)
		s->match_len = 0;
}

static void push(const struct plain *n, struct plain_stream *s, uint32_t name, uint32_t before)
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

void plain_advance(const struct plain *n, struct plain_stream *s, uint32_t name)
{
	follow(n, s, plain_number(n, name));
	push(n, s, name, n->step_n);
	s->trail = 0;
}

double plain_observe(struct plain *n, struct plain_stream *s, uint32_t name,
		     const struct plain_view *w)
{
	uint32_t number = plain_number(n, name), before = n->step_n, at;
	double p = plain_chance(n, w, number);

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
