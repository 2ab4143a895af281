// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * predict_told.c - what would be guessed were a block to start now, for whoever asks; nothing is done
 * about it.
 */
#include "core/predict_impl.h"

/* Is a before b: likelier, or as likely and sooner? */
static bool rank_before(const struct rank *a, const struct rank *b)
{
	return a->p != b->p ? a->p > b->p : a->lead_ns < b->lead_ns;
}

/* Would one like that be among the best? */
static bool rank_wanted(const struct engine *e, size_t used_n, size_t max, const struct rank *r)
{
	return used_n < max || rank_before(r, &e->ranks[max - 1]);
}

/* Puts g among the used_n best, most likely first, then the soonest; of one dependency only the likelier guess stays.
 * Moves its rank alone: list is in no order. Returns the new number. */
static size_t put_best(struct engine *e, struct guess *list, size_t used_n, size_t max,
		       const struct guess *g)
{
	struct rank r = {.p = g->p, .lead_ns = g->lead_ns, .dep = g->dep};
	size_t at;

	if (!rank_wanted(e, used_n, max, &r))
		return used_n;
	for (at = 0; at < used_n && e->ranks[at].dep != g->dep; at++)
		;
	if (at < used_n && e->ranks[at].p >= g->p)
		return used_n;
	if (at == used_n && used_n == max)
		at = max - 1;
	r.at = at < used_n ? e->ranks[at].at : (uint32_t)used_n++;
	for (; at > 0 && rank_before(&r, &e->ranks[at - 1]); at--)
		e->ranks[at] = e->ranks[at - 1];
	e->ranks[at] = r;
	list[r.at] = *g;
	return used_n;
}

/* Puts list in the order of the ranks. */
static void sort_best(struct engine *e, struct guess *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct guess first = list[i];
		size_t to = i, from = e->ranks[i].at;

		for (; from != i; from = e->ranks[from].at) {
			list[to] = list[from];
			e->ranks[to].at = (uint32_t)to;
			to = from;
		}
		list[to] = first;
		e->ranks[to].at = (uint32_t)to;
	}
}

/* What would become of a guess of c that reads so many bytes, were it made now. */
static enum decision decision_on(const struct engine *e, const struct guess *g,
				 const struct candidate *c, uint64_t bytes)
{
	if (guess_is_ahead(g) && (candidate_credit(e, g->block, c, g) < credit_charge(bytes) ||
				  plan_stake(e->plan, guess_odds(g)) < bytes))
		return DECISION_UNTRUSTED;
	return plan_worth(e->plan, guess_odds(g), g->value_us, g->price_us) ? DECISION_NONE
									    : DECISION_UNWORTHY;
}

size_t engine_predict_block(struct engine *e, uint32_t block, struct guess *ret, size_t max)
{
	const struct node *n = graph_node_const(e->graph, block);
	size_t used_n = 0;

	if (!n || n->kind != NODE_BLOCK || !max)
		return 0;
	max = max < BEST_MAX ? max : BEST_MAX;
	candidates_of_block(e, block);
	for (size_t i = 0; i < e->candidate_n; i++) {
		const struct candidate *c = &e->candidates[i];
		struct guess g = {.block = block,
				  .via = c->block,
				  .dep = c->block,
				  .kind = EDGE_EXEC,
				  .p = c->p,
				  .gain = block_gain(e, c->parent, c->block),
				  .support = c->support,
				  .lead_ns = c->lead_ns};
		const struct edge *edge;
		uint64_t bytes;
		uint32_t it = 0;

		n = graph_node_const(e->graph, c->block);
		if (c->depth > 0)
			used_n = put_best(e, ret, used_n, max, &g);
		while (graph_next_out(e->graph, c->block, &it, &edge)) {
			const struct node *dep = graph_node_const(e->graph, edge->to);

			g.p = c->p * edge_chance(e, edge, n->runs_n + 1);
			if (!edge_is_need(edge) || !dep || g.p < e->policy.p_min)
				continue;
			g.dep = edge->to;
			g.kind = edge->kind;
			g.support = edge->runs_n;
			g.lead_ns = c->lead_ns + edge_lead_ns(edge);
			if (!rank_wanted(e, used_n, max,
					 &(struct rank){.p = g.p, .lead_ns = g.lead_ns}))
				continue;
			g.due_ns = dep->kind == NODE_SERVICE ? 0 : candidate_wait_ns(c, edge);
			g.lookup = edge->flags & EDGE_F_LOOKUP;
			g.via = candidate_via(e, c, edge);
			bytes = g.lookup ? 0 : block_bytes(e, g.via, dep);
			guess_worth(e, &g, bytes, g.lead_ns);
			g.decision = dep->kind == NODE_SERVICE
					     ? DECISION_NONE
					     : (uint8_t)decision_on(e, &g, c, bytes);
			used_n = put_best(e, ret, used_n, max, &g);
		}
	}
	sort_best(e, ret, used_n);
	return used_n;
}
