// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * predict_next.c - which blocks come, how likely, how soon, and what each would gain from a warm start.
 *
 * They come from two sources. The graph's exec edges say what a block that has just started will start
 * itself, at any depth. The model says, from the sequence of programs a run has started so far,
 * what it starts next.
 */
#include "core/predict_impl.h"

#define CHAIN_STEPS 12
#define DEPTH_MAX 6
#define USERS_MAX 64 /* looked at, of those that need one file */

static void candidate_add(struct engine *e, const struct candidate *c)
{
	for (size_t i = 0; i < e->candidate_n; i++) {
		struct candidate *old = &e->candidates[i];

		if (old->block != c->block)
			continue;
		if (c->p > old->p)
			*old = *c;
		return;
	}
	if (e->candidate_n < CANDIDATE_MAX)
		e->candidates[e->candidate_n++] = *c;
}

/* Adds what the candidates from `first` on start themselves, breadth first. */
static void descend(struct engine *e, size_t first)
{
	for (size_t i = first; i < e->candidate_n; i++) {
		const struct candidate c = e->candidates[i];
		const struct node *n = graph_node_const(e->graph, c.block);
		const struct edge *edge;
		uint32_t it = 0;

		if (!n || c.depth >= DEPTH_MAX)
			continue;
		while (graph_next_out(e->graph, c.block, &it, &edge)) {
			double p;

			if (edge->kind != EDGE_EXEC || edge->to == c.block)
				continue;
			p = c.p * edge_chance(e, edge, n->runs_n + 1);
			if (p < e->policy.p_min)
				continue;
			candidate_add(e, &(struct candidate){
						 .block = edge->to,
						 .from = c.from,
						 .parent = c.block,
						 .support = (uint32_t)edge->runs_n,
						 .order = c.order,
						 .depth = (uint8_t)(c.depth + 1),
						 .p = p,
						 .lead_ns = c.lead_ns + edge_lead_ns(edge),
						 .soon_ns = c.soon_ns + edge_soon_ns(edge),
					 });
		}
	}
}

/* What the run will start next, given what it has started so far. */
static void add_next(struct engine *e, uint32_t run)
{
	const struct run *rn = lineage_run(e->lineage, run);
	size_t n = 0, first = e->candidate_n;

	if (vomm_chain(e->model, &rn->stream, e->policy.p_min, CHAIN_STEPS, CANDIDATE_MAX,
		       e->guesses, &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct vomm_guess *g = &e->guesses[i];
		uint32_t block = g->symbol == SYMBOL_END ? 0 : engine_block_of_symbol(e, g->symbol);

		if (!block)
			continue;
		candidate_add(e, &(struct candidate){
					 .block = block,
					 .from = run,
					 .parent = rn->block,
					 .support = g->support,
					 .order = (uint8_t)g->order,
					 .depth = 1,
					 .p = g->p,
					 .p_model = g->p_path,
					 .lead_ns = g->lead_p50_ns,
					 .soon_ns = g->lead_p10_ns,
				 });
	}
	descend(e, first);
}

void candidate_of_run(struct engine *e, uint32_t run)
{
	const struct run *rn = lineage_run(e->lineage, run);
	uint32_t parent = lineage_parent(e->lineage, run);

	e->candidate_n = 0;
	candidate_add(
		e, &(struct candidate){.block = rn->block,
				       .from = run,
				       .parent = parent == RUN_NONE
							 ? 0
							 : lineage_run(e->lineage, parent)->block,
				       .p = 1});
}

void candidates_of_run(struct engine *e, uint32_t run)
{
	uint32_t parent = lineage_parent(e->lineage, run);

	candidate_of_run(e, run);
	descend(e, 0);
	if (parent != RUN_NONE)
		add_next(e, parent);
}

void candidates_of_block(struct engine *e, uint32_t block)
{
	e->candidate_n = 0;
	candidate_add(e, &(struct candidate){.block = block, .p = 1});
	descend(e, 0);
}

/* The block that needed dep last, by its edges: after a restart there is nothing else to go by. One whose
 * parts of the file are known comes before one that has it open for some other reason. */
static uint32_t user_of(const struct engine *e, uint32_t dep)
{
	const struct edge *edge, *last = NULL;
	bool last_ranged = false;
	uint32_t it = 0;

	for (int i = 0; i < USERS_MAX && graph_next_in(e->graph, dep, &it, &edge); i++) {
		bool ranged;

		if (!edge_is_need(edge) || edge->kind == EDGE_BELOW)
			continue;
		ranged = use_bytes(e->use, edge->from, 0, dep) > 0;
		if (last && (last_ranged > ranged ||
			     (last_ranged == ranged && edge->last_ns <= last->last_ns)))
			continue;
		last = edge;
		last_ranged = ranged;
	}
	return last ? last->from : 0;
}

uint32_t candidate_via(struct engine *e, const struct candidate *c, const struct edge *edge)
{
	struct node_aux *a = &e->aux[edge->to];
	const struct node *n;

	if (edge->kind != EDGE_BELOW)
		return c->block;
	if (!a->user)
		a->user = user_of(e, edge->to);
	n = graph_node_const(e->graph, a->user);
	return n && n->kind == NODE_BLOCK ? a->user : c->block;
}

double block_gain(const struct engine *e, uint32_t parent, uint32_t block)
{
	const struct edge *edge =
		parent ? graph_edge_find(e->graph, parent, block, EDGE_EXEC) : NULL;
	struct edge_use all = {0};
	uint32_t it = 0;

	if (edge && edge->use->cold_n && edge->use->cold_n < edge->use->use_n)
		return plan_gain(edge->use);
	for (int i = 0; i < USERS_MAX && graph_next_in(e->graph, block, &it, &edge); i++) {
		if (edge->kind != EDGE_EXEC)
			continue;
		all.use_n += edge->use->use_n;
		all.life_sum_ns += edge->use->life_sum_ns;
		all.cold_n += edge->use->cold_n;
		all.cold_sum_ns += edge->use->cold_sum_ns;
		all.read_sum_bytes += edge->use->read_sum_bytes;
	}
	return plan_gain(&all);
}
