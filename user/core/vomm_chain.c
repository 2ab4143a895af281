// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_chain.c - what is needed soon: paths through the model, likeliest first.
 *
 * One step ahead leaves 0.1 ms to act; the prize is further on. Every path carries a copy of the
 * stream as it would be there. The likeliest open path is taken up, its successors become guesses
 * of the chain and, while they are likely enough, open paths themselves. Different paths to the
 * same symbol exclude each other, so their probabilities add.
 */
#include "core/vomm_impl.h"

#include <assert.h>
#include <string.h>

enum { STEP_GUESSES = 8 };

#define FOLLOW 0.25 /* paths this much less likely than p_min still add up to a guess */

struct chain {
	struct vomm *v;
	double p_follow; /* a path less likely than this is not followed */
	uint32_t depth_max;
	size_t guess_max, guess_n;
	struct vomm_guess *guesses;
};

/* Did the symbol come on the path itself, in the last depth symbols? */
static bool on_path(const struct vomm_stream *s, uint32_t depth, uint32_t symbol)
{
	for (uint32_t i = 1; i <= depth && i <= VOMM_HISTORY && i <= s->length; i++)
		if (s->history[(s->length - i) % VOMM_HISTORY] == symbol)
			return true;
	return false;
}

/* When all places are taken, a likelier guess gets that of the least likely. */
static void chain_add(struct chain *ch, const struct vomm_guess *g)
{
	struct vomm_guess *least = ch->guesses;

	for (size_t i = 0; i < ch->guess_n; i++) {
		struct vomm_guess *old = &ch->guesses[i];

		if (old->symbol == g->symbol) {
			old->p = old->p + g->p < 1 ? old->p + g->p : 1;
			return; /* lead and depth stay those of its likeliest path, which was first */
		}
		if (old->p < least->p)
			least = old;
	}
	if (ch->guess_n < ch->guess_max)
		ch->guesses[ch->guess_n++] = *g;
	else if (ch->guess_max && least->p < g->p)
		*least = *g;
}

/* A place for a new path: a free one, or that of a less likely path. */
static struct path *path_place(struct vomm *v, double p)
{
	struct path *least = &v->path[0];

	if (v->path_n < PATH_MAX_N)
		return &v->path[v->path_n++];
	for (uint32_t i = 1; i < v->path_n; i++)
		if (v->path[i].p < least->p)
			least = &v->path[i];
	return least->p < p ? least : NULL;
}

/* Takes the likeliest path out of the open ones into *ret. */
static bool path_take(struct vomm *v, struct path *ret)
{
	uint32_t best = 0;

	if (!v->path_n)
		return false;
	for (uint32_t i = 1; i < v->path_n; i++)
		if (v->path[i].p > v->path[best].p)
			best = i;
	*ret = v->path[best];
	v->path[best] = v->path[--v->path_n];
	return true;
}

static void expand(struct chain *ch, const struct path *from)
{
	struct vomm_guess next[STEP_GUESSES];
	size_t n = 0;

	if (vomm_predict_above(ch->v, &from->stream, ch->p_follow / from->p, STEP_GUESSES, next,
			       &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct lead lead = {next[i].lead_p10_ns, next[i].lead_p50_ns, next[i].lead_p90_ns};
		struct path *to;

		next[i].p *= from->p;
		if (from->depth)
			lead_add(&lead, &from->lead);
		next[i].depth = from->depth + 1;
		next[i].lead_p10_ns = lead.p10_ns;
		next[i].lead_p50_ns = lead.p50_ns;
		next[i].lead_p90_ns = lead.p90_ns;
		if (!on_path(&from->stream, from->depth, next[i].symbol))
			chain_add(ch, &next[i]);
		if (from->depth + 1 >= ch->depth_max)
			continue;
		to = path_place(ch->v, next[i].p);
		if (!to)
			continue;
		*to = *from;
		to->p = next[i].p;
		to->depth = from->depth + 1;
		to->lead = lead;
		vomm_advance(ch->v, &to->stream, next[i].symbol, from->stream.last_ns);
	}
}

static size_t keep_likely(const struct vomm *v, struct vomm_guess *guesses, size_t n, double p_min)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (guesses[i].p >= p_min) {
			guesses[kept] = guesses[i];
			guesses[kept].p_path = guesses[i].p;
			guesses[kept].p = vomm_corrected(v, guesses[i].p);
			kept++;
		}
	}
	return kept;
}

int vomm_chain(struct vomm *v, const struct vomm_stream *s, double p_min, uint32_t depth_max,
	       size_t guess_max, struct vomm_guess *ret_guesses, size_t *ret_n)
{
	struct chain ch = {v, p_min * FOLLOW, depth_max, guess_max, 0, ret_guesses};
	struct path from = {.stream = *s, .p = 1};

	v->path_n = 0;
	for (uint32_t i = 0; i < EXPANSION_MAX; i++) {
		expand(&ch, &from);
		if (!path_take(v, &from))
			break;
	}
	ch.guess_n = keep_likely(v, ret_guesses, ch.guess_n, p_min);
	if (!ch.guess_n)
		return VOMM_COLD;
	for (size_t i = 1; i < ch.guess_n; i++) { /* likeliest first */
		struct vomm_guess g = ret_guesses[i];
		size_t at = i;

		for (; at > 0 && ret_guesses[at - 1].p < g.p; at--)
			ret_guesses[at] = ret_guesses[at - 1];
		ret_guesses[at] = g;
	}
	*ret_n = ch.guess_n;
	return 0;
}
