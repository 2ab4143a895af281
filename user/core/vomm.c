// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm.c - the model as its callers see it: making one, observing, predicting.
 */
#include "core/vomm_impl.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	MATCH_ORDER = 5, /* symbols that must agree before the long memory is asked */
	HUGE_PAGE = 2 << 20,
};

static uint32_t pow2_below(uint64_t n)
{
	uint32_t p = 1;

	while ((uint64_t)p * 2 <= n)
		p *= 2;
	return p;
}

/* How bytes_max is shared out; offsets from the start of the allocation. */
struct shares {
	uint32_t symbol_max, symbol_mask, trail_mask, trail_index_mask, lead_mask, bucket_n;
	size_t symbols, symbol_index, trail, trail_index, leads, cells, bytes;
};

static size_t align_up(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

/* At most an eighth for symbols and a sixteenth for the long memory; contexts get what is left. */
static int share_out(const struct vomm_limits *l, struct shares *ret)
{
	size_t used = align_up(sizeof(struct vomm)), left;
	struct shares s = {.symbol_max = l->symbol_max};

	if (l->bytes_max < used + 65536)
		return fault(-EINVAL);
	left = l->bytes_max - used;
	if (!s.symbol_max)
		s.symbol_max = (uint32_t)(left / 8 / 24 < VOMM_SYMBOL_LIMIT ? left / 8 / 24
									    : VOMM_SYMBOL_LIMIT);
	s.symbol_mask = pow2_below((uint64_t)s.symbol_max * 3) - 1;
	s.trail_mask = pow2_below(left / 24 / sizeof(struct step)) - 1;
	s.trail_index_mask = pow2_below(left / 48 / sizeof(uint32_t)) - 1;
	s.lead_mask = pow2_below(left / 24 / sizeof(struct lead_cell)) - 1;
	s.symbols = used;
	used = align_up(used + ((size_t)s.symbol_max + 1) * sizeof(struct symbol));
	s.symbol_index = used;
	used = align_up(used + ((size_t)s.symbol_mask + 1) * sizeof(uint32_t));
	s.trail = used;
	used = align_up(used + ((size_t)s.trail_mask + 1) * sizeof(struct step));
	s.trail_index = used;
	used = align_up(used + ((size_t)s.trail_index_mask + 1) * sizeof(uint32_t));
	s.leads = used;
	used = align_up(used + ((size_t)s.lead_mask + 1) * sizeof(struct lead_cell));
	s.cells = used;
	if (l->bytes_max < used + BUCKET * sizeof(struct cell) * 64)
		return fault(-EINVAL);
	s.bucket_n = (uint32_t)((l->bytes_max - used) / (BUCKET * sizeof(struct cell)));
	s.bytes = used + (size_t)s.bucket_n * BUCKET * sizeof(struct cell);
	*ret = s;
	return 0;
}

/* Before anything was learnt a state says what its counts say. */
static float state_begin(uint32_t state)
{
	static const uint8_t typical[8] = {0, 1, 2, 3, 4, 5, 8, 14};
	uint32_t grid = state / 5;
	float n, m;

	if (grid < 64) {
		n = typical[grid / 8];
		m = typical[grid % 8];
		return (n + 0.1f + (state % 5 ? 0.2f : 0)) / (n + m + 0.8f);
	}
	n = mix_exp2((float)((grid - 64) % ODDS_STEPS) * 0.5f - (float)ODDS_STEPS / 4 + 0.125f);
	return n / (n + 1);
}

static void begin(struct vomm *v)
{
	for (uint32_t i = 0; i < VOMM_CONTEXT_MAX; i++)
		for (uint32_t j = 0; j < STATES; j++)
			v->map[MAP_STATE + i * STATES + j] = mix_cell(state_begin(j));
	for (uint32_t i = 0; i < 128; i++)
		v->map[MAP_ESCAPE + i] = mix_cell(0.5f);
	for (uint32_t i = 0; i < 64; i++) {
		v->map[MAP_MATCH + i] = mix_cell(i < 32 ? 0.7f : 0.1f);
	}
	for (uint32_t i = 0; i < FEEDBACK_STEPS; i++)
		v->map[MAP_FEEDBACK + i] = mix_cell((float)i / (FEEDBACK_STEPS - 1)) | 8;
	for (uint32_t i = 0; i < 4 << SYMBOL_MAP_BITS; i++)
		v->map[MAP_SYMBOL + i] = mix_cell(0.3f);
	for (uint32_t i = 0; i < SELECT * APM_STEPS; i++)
		v->map[MAP_APM + i] = mix_cell(mix_squash(((float)(i % APM_STEPS) - 16) / 2));
	for (uint32_t i = 0; i < 128; i++)
		v->map[MAP_RECENT + i] = mix_cell(0.3f);
	for (uint32_t i = 0; i < SETS; i++)
		for (uint32_t j = 0; j < SELECT; j++)
			for (uint32_t k = 0; k < INPUTS; k++)
				v->weight[i][j][k] = k == IN_WEIGHT ? 0.4f
						     : k == IN_BIAS ? 0
								    : 0.1f;
	for (uint32_t i = 0; i < FINALS; i++)
		for (uint32_t j = 0; j < SETS; j++)
			v->final[i][j] = 1.0f / SETS;
	v->trail_head = 1;
}

void vomm_derive(struct vomm *v)
{
	for (uint32_t i = 0; i < MIX_STRETCH_N; i++)
		v->stretch[i] = mix_stretch(((float)i + 0.5f) / MIX_STRETCH_N);
	for (uint32_t i = 0; i < VOMM_CONTEXT_MAX; i++)
		vomm_discount(v, i);
}

int vomm_new(const struct vomm_limits *limits, struct vomm **ret)
{
	struct shares sh = {0};
	struct vomm *v;
	void *arena;
	int r;

	if (limits->order_max > VOMM_ORDER_MAX || limits->symbol_max > VOMM_SYMBOL_LIMIT)
		return fault(-EINVAL);
	r = share_out(limits, &sh);
	if (r < 0)
		return r;
	/* Where the caller asks for huge pages, all of it can be in them. */
	if (posix_memalign(&arena, sh.bytes >= HUGE_PAGE ? HUGE_PAGE : 64, sh.bytes))
		return fault(-ENOMEM);
	v = memset(arena, 0, sh.bytes);
	v->limits = *limits;
	v->limits.symbol_max = sh.symbol_max;
	if (!v->limits.order_max)
		v->limits.order_max = VOMM_ORDER_MAX;
	v->bytes = sh.bytes;
	v->symbol_mask = sh.symbol_mask;
	v->trail_mask = sh.trail_mask;
	v->trail_index_mask = sh.trail_index_mask;
	v->lead_mask = sh.lead_mask;
	v->leads = (void *)((char *)v + sh.leads);
	v->bucket_n = sh.bucket_n;
	v->symbols = (void *)((char *)v + sh.symbols);
	v->symbol_index = (void *)((char *)v + sh.symbol_index);
	v->trail = (void *)((char *)v + sh.trail);
	v->trail_index = (void *)((char *)v + sh.trail_index);
	v->cells = (void *)((char *)v + sh.cells);
	begin(v);
	vomm_derive(v);
	*ret = v;
	return 0;
}

struct vomm *vomm_free(struct vomm *v)
{
	free(v);
	return NULL;
}

size_t vomm_bytes(const struct vomm *v)
{
	return v->bytes;
}

void vomm_stats(const struct vomm *v, struct vomm_stats *ret)
{
	*ret = (struct vomm_stats){
		.observed_n = v->observed_n,
		.novel_n = v->novel_n,
		.context_forgotten_n = v->context_forgotten_n,
		.symbol_forgotten_n = v->symbol_forgotten_n,
		.successor_forgotten_n = v->successor_forgotten_n,
		.symbol_n = v->symbol_n,
		.symbol_max = v->limits.symbol_max,
		.context_n = v->context_n,
		.context_max = v->bucket_n * BUCKET,
		.bytes = v->bytes,
	};
}

void vomm_stream_init(struct vomm_stream *s, const uint32_t *features)
{
	memset(s, 0, sizeof(*s));
	if (features)
		memcpy(s->feature, features, sizeof(s->feature));
	vomm_stream_hash(s);
}

void vomm_stream_headless(struct vomm_stream *s)
{
	s->headless = 1;
}

void vomm_stream_feature(struct vomm_stream *s, enum vomm_feature which, uint32_t value)
{
	s->feature[which] = value;
}

/* --- learning -------------------------------------------------------------------------------- */

static float step_of(uint32_t *trained)
{
	float n = (float)*trained;

	if (*trained < 65535)
		++*trained;
	return 0.003f + 0.02f / (1.0f + n / 256.0f);
}

static void learn_decision(struct vomm *v, const struct decision *d, bool yes)
{
	mix_lanes said = mix_squash_lanes(*(const mix_lanes *)d->dot);
	float y = yes ? 1.0f : 0.0f;
	uint32_t n = 0;

	for (; n + 4 <= d->state_n; n += 4)
		mix_cells_learn(v->map, &d->state[n], yes, STATE_WINDOW);
	for (; n < d->state_n; n++)
		mix_cell_learn(&v->map[d->state[n]], yes, STATE_WINDOW);
	mix_cell_learn(&v->map[d->apm], yes, STATE_WINDOW);
	for (uint32_t i = 0; i < SETS; i++) {
		mix_train(d->x, v->weight[i][d->set[i]], INPUTS,
			  (y - said[i]) * step_of(&v->trained[i][d->set[i]]));
		v->final[d->final][i] += 0.0005f * (y - d->p_mix) * d->dot[i];
	}
}

/* Decides as far as the symbol; its place among the decisions, or decided_n: it is none. */
static uint32_t decide_until(struct vomm *v, const struct vomm_stream *s, uint32_t number)
{
	struct scratch *sc = &v->scratch;
	uint32_t j = 0;

	for (; j < sc->decided_n || vomm_decide(v, s); j++)
		if (sc->candidate[sc->order[j]].symbol == number)
			break;
	return j;
}

/* All is decided before anything is learnt: looking at a prediction does not change it. */
static double learn_decisions(struct vomm *v, const struct vomm_stream *s, uint32_t number)
{
	struct scratch *sc = &v->scratch;
	uint32_t j = decide_until(v, s, number);
	bool decided = j < sc->decided_n;
	double p = decided ? sc->candidate[sc->order[j]].p : vomm_p_escape(v, number);

	for (uint32_t i = 0; i < sc->decided_n && i <= j; i++)
		learn_decision(v, &sc->decision[i], i == j);
	if (!decided)
		vomm_escape_learn(v, number);
	return p;
}

/* Contexts that are there learn; one more is made where its shorter one was there already. */
static void learn_contexts(struct vomm *v, uint32_t number)
{
	struct scratch *sc = &v->scratch;
	uint32_t there = 0, missing = sc->applies;

	for (uint32_t a = 0; a < sc->opinion_n; a++) {
		struct opinion *o = &sc->opinion[a];

		there |= 1u << o->spec;
		if (o->cell->check == vomm_check(o->hash)) /* not forgotten for another */
			vomm_cell_learn(v, o->cell, o->hash, number);
	}
	for (missing &= ~there; missing; missing &= missing - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(missing), parent = vomm_specs[i].parent;
		struct cell *c;

		if (parent != 255 && !(there >> parent & 1))
			continue;
		c = vomm_cell_make(v, sc->hash[i], (uint8_t)i, NULL);
		vomm_cell_learn(v, c, sc->hash[i], number);
	}
}

/* The symbol was counted: one place up if it overtook, or in at the end. */
static void learn_hot(struct vomm *v, uint32_t number)
{
	uint32_t n = v->symbols[number].count, i = 0;
	mix_ints is = {0}, some;

	for (uint32_t k = 0; k < HOT; k += 4) {
		memcpy(&some, &v->hot[k], sizeof(some));
		is |= some == (int32_t)number;
	}
	if (!mix_sum(is) && v->hot[HOT - 1])
		i = HOT;
	while (i < HOT && v->hot[i] && v->hot[i] != number)
		i++;
	if (i == HOT) {
		if (n > v->symbols[v->hot[HOT - 1]].count)
			v->hot[HOT - 1] = number;
		return;
	}
	v->hot[i] = number;
	if (i && v->symbols[v->hot[i - 1]].count < n) {
		v->hot[i] = v->hot[i - 1];
		v->hot[i - 1] = number;
	}
}

/* Where the long memory finds the stream again, once the symbol came. */
static uint32_t *trail_home(const struct vomm *v, const struct vomm_stream *s, uint32_t symbol)
{
	uint64_t h = (symbol + 1ull) * 0x9e3779b97f4a7c15ull;

	for (uint32_t i = 1; i < MATCH_ORDER; i++)
		h = (h + s->history[(s->length - i) % VOMM_HISTORY] + 1) * 0x9e3779b97f4a7c15ull;
	return &v->trail_index[(uint32_t)(h >> 32) & v->trail_index_mask];
}

/* Follows the long memory: was it right, and if not, where were we before? */
static void follow(const struct vomm *v, struct vomm_stream *s, uint32_t number)
{
	if (s->match && v->trail_head - s->match < v->trail_mask &&
	    v->trail[s->match & v->trail_mask].symbol == number) {
		s->match = v->trail[s->match & v->trail_mask].next;
		s->match_len++;
	} else {
		s->match = 0;
	}
	if (!s->match)
		s->match_len = 0;
}

static void find_match(const struct vomm *v, struct vomm_stream *s, const uint32_t *home)
{
	uint32_t at;

	if (s->match || s->length < MATCH_ORDER)
		return;
	at = *home;
	if (!at || v->trail_head - at >= v->trail_mask)
		return;
	s->match = v->trail[at & v->trail_mask].next;
}

static void stream_push(struct vomm_stream *s, uint32_t symbol, uint64_t t_ns)
{
	uint32_t h = symbol * 0x9e3779b1u;

	s->history[s->length % VOMM_HISTORY] = symbol;
	s->length++;
	s->whole = vomm_step64(s->whole, symbol);
	s->recent[h >> 24] = (struct vomm_recent){(uint16_t)(h >> 8), (uint16_t)s->length};
	if (!s->recent[h >> 24].at)
		s->recent[h >> 24].at = 1;
	s->last_ns = t_ns;
	vomm_stream_hash(s);
}

void vomm_advance(const struct vomm *v, struct vomm_stream *s, uint32_t symbol, uint64_t t_ns)
{
	const uint32_t *home = trail_home(v, s, symbol);

	follow(v, s, vomm_symbol_find(v, symbol));
	stream_push(s, symbol, t_ns);
	find_match(v, s, home);
	s->trail = 0; /* what comes next was not learnt as following what was */
}

static void remember(struct vomm *v, struct vomm_stream *s, uint32_t number)
{
	uint32_t at = v->trail_head++;

	if (!v->trail_head)
		v->trail_head = 1;
	v->trail[at & v->trail_mask] = (struct step){.symbol = number};
	if (s->trail && at - s->trail < v->trail_mask)
		v->trail[s->trail & v->trail_mask].next = at;
	s->trail = at;
}

static uint32_t newest(const struct vomm_stream *s)
{
	return s->length ? s->history[(s->length - 1) % VOMM_HISTORY] : 0;
}

static void learn_lead(struct vomm *v, const struct vomm_stream *s, uint32_t number, uint64_t t_ns)
{
	struct lead_cell *cell;
	uint32_t tag;

	if (!s->length || !s->last_ns || t_ns < s->last_ns)
		return;
	cell = vomm_lead_cell(v, newest(s), v->symbols[number].name, &tag);
	lead_learn(cell, tag, t_ns - s->last_ns);
}

int vomm_observe(struct vomm *v, struct vomm_stream *s, uint32_t symbol, uint64_t t_ns,
		 double *ret_p)
{
	uint32_t *home = trail_home(v, s, symbol), number, tag;
	bool novel;
	double p;

	__builtin_prefetch(home);
	__builtin_prefetch(vomm_lead_cell(v, newest(s), symbol, &tag));
	vomm_symbol_prefetch(v, symbol);
	vomm_situate(v, s);
	number = vomm_symbol_find(v, symbol);
	novel = !number;
	p = learn_decisions(v, s, number);
	if (novel) {
		number = vomm_symbol_make(v, symbol);
		v->novel_n++;
	}
	learn_contexts(v, number);
	v->symbols[number].count++;
	v->symbols[number].last = (uint32_t)v->observed_n;
	learn_hot(v, number);
	v->count_sum++;
	v->observed_n++;
	learn_lead(v, s, number, t_ns);
	follow(v, s, number);
	remember(v, s, number);
	stream_push(s, symbol, t_ns);
	find_match(v, s, home);
	if (s->length >= MATCH_ORDER)
		*home = s->trail;
	vomm_prefetch(v, s); /* there is time until the stream goes on, and none then */
	v->scratch.key = 0;
	if (ret_p)
		*ret_p = p;
	return novel ? VOMM_NOVEL : 0;
}

/* --- predicting ------------------------------------------------------------------------------ */

double vomm_prob(struct vomm *v, const struct vomm_stream *s, uint32_t symbol)
{
	struct scratch *sc = &v->scratch;
	uint32_t number = vomm_symbol_find(v, symbol), j;

	vomm_situate(v, s);
	j = decide_until(v, s, number);
	return j < sc->decided_n ? sc->candidate[sc->order[j]].p : vomm_p_escape(v, number);
}

bool vomm_knows(const struct vomm *v, uint32_t symbol)
{
	return vomm_symbol_find(v, symbol) != 0;
}

static void guess_fill(const struct vomm *v, const struct vomm_stream *s, uint32_t k,
		       struct vomm_guess *ret)
{
	const struct scratch *sc = &v->scratch;
	const struct candidate *c = &sc->candidate[k];
	const struct lead_cell *cell;
	struct lead lead = {0};
	uint32_t known = sc->candidate[k].known & ((1u << sc->suffix_n) - 1), tag;

	*ret = (struct vomm_guess){.symbol = c->name, .depth = 1, .p = c->p, .p_path = c->p};
	cell = vomm_lead_cell(v, newest(s), ret->symbol, &tag);
	if (lead_get(cell, tag, &lead)) {
		ret->lead_p10_ns = lead.p10_ns;
		ret->lead_p50_ns = lead.p50_ns;
		ret->lead_p90_ns = lead.p90_ns;
	}
	if (known) {
		uint32_t longest = (uint32_t)__builtin_ctz(known);

		ret->support = (uint32_t)sc->count[longest][k];
		ret->order = vomm_specs[sc->opinion[longest].spec].order;
	}
}

/* The likeliest candidates so far, in order. */
struct best {
	uint16_t at[VOMM_CANDIDATE_MAX];
	size_t n, max;
};

/* False: it is not among them. */
static bool best_add(struct best *b, const struct scratch *sc, uint32_t k)
{
	float p = sc->candidate[k].p;
	size_t at;

	if (b->n == b->max && p <= sc->candidate[b->at[b->n - 1]].p)
		return false;
	at = b->n < b->max ? b->n++ : b->n - 1;
	for (; at > 0 && sc->candidate[b->at[at - 1]].p < p; at--)
		b->at[at] = b->at[at - 1];
	b->at[at] = (uint16_t)k;
	return true;
}

/* Decides until what is left cannot matter; true: all is decided, and the tail is next. */
static bool best_decided(struct vomm *v, const struct vomm_stream *s, float p_min, struct best *b)
{
	struct scratch *sc = &v->scratch;

	for (uint32_t j = 0;; j++) {
		if (j == sc->decided_n) {
			if (sc->rest < p_min)
				return false;
			if (b->n == b->max && sc->rest <= sc->candidate[b->at[b->n - 1]].p)
				return false;
			if (!vomm_decide(v, s))
				return true;
		}
		if (sc->candidate[sc->order[j]].p >= p_min)
			(void)best_add(b, sc, sc->order[j]); /* false: others are likelier */
	}
}

/* The heaviest of the tail take part. Taking one hides its weight for a while. */
static void best_tail(struct vomm *v, struct best *b)
{
	struct scratch *sc = &v->scratch;
	struct candidate *c = sc->candidate;
	float weight[VOMM_CANDIDATE_MAX];
	uint16_t taken[VOMM_CANDIDATE_MAX];
	uint32_t n = 0, tail_n = sc->candidate_n - sc->decided_n;

	vomm_escape(v);
	while (n < tail_n && n < b->max) {
		uint32_t k = vomm_next_candidate(sc);

		c[k].p = vomm_p_tail(v, k);
		taken[n] = (uint16_t)k;
		weight[n++] = sc->weight[k];
		sc->weight[k] = -1;
		if (!best_add(b, sc, k))
			break;
	}
	for (uint32_t i = 0; i < n; i++)
		sc->weight[taken[i]] = weight[i];
}

int vomm_predict_above(struct vomm *v, const struct vomm_stream *s, double p_min, size_t guess_max,
		       struct vomm_guess *ret_guesses, size_t *ret_n)
{
	struct scratch *sc = &v->scratch;
	struct best b = {.max = guess_max < VOMM_CANDIDATE_MAX ? guess_max : VOMM_CANDIDATE_MAX};
	uint32_t tag;

	vomm_situate(v, s);
	if (!guess_max)
		return VOMM_COLD;
	if (best_decided(v, s, (float)p_min, &b) && p_min <= 0)
		best_tail(v, &b);
	if (!b.n)
		return VOMM_COLD;
	for (size_t i = 0; i < b.n; i++)
		__builtin_prefetch(vomm_lead_cell(v, newest(s), sc->candidate[b.at[i]].name, &tag));
	for (size_t i = 0; i < b.n; i++)
		guess_fill(v, s, b.at[i], &ret_guesses[i]);
	*ret_n = b.n;
	return 0;
}

int vomm_predict(struct vomm *v, const struct vomm_stream *s, size_t guess_max,
		 struct vomm_guess *ret_guesses, size_t *ret_n)
{
	return vomm_predict_above(v, s, 0, guess_max, ret_guesses, ret_n);
}

void vomm_feedback(struct vomm *v, const struct vomm_guess *guess, bool hit)
{
	float at = (float)guess->p_path * (FEEDBACK_STEPS - 1);
	uint32_t i = (uint32_t)(at + 0.5f);

	mix_cell_learn(&v->map[MAP_FEEDBACK + (i < FEEDBACK_STEPS ? i : FEEDBACK_STEPS - 1)], hit,
		       FEEDBACK_WINDOW);
}

double vomm_corrected(const struct vomm *v, double p)
{
	float at = (float)p * (FEEDBACK_STEPS - 1);
	uint32_t i = at < FEEDBACK_STEPS - 2 ? (uint32_t)at : FEEDBACK_STEPS - 2;
	float w = at - (float)i;

	return vomm_map_p(v, MAP_FEEDBACK + i) * (1 - w) + vomm_map_p(v, MAP_FEEDBACK + i + 1) * w;
}
