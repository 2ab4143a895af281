// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * graph_evict.c - what goes for want of room, and with it the lists it hung in.
 */
#include "core/graph_impl.h"

void graph_edge_link(struct graph *g, uint32_t slot)
{
	struct edge_slot *es = &g->edges[slot];
	struct node_slot *from = &g->nodes[es->e.from], *to = &g->nodes[es->e.to];

	es->out_prev = es->in_prev = 0;
	es->out_next = from->out_head;
	es->in_next = to->in_head;
	if (from->out_head)
		g->edges[from->out_head].out_prev = slot;
	if (to->in_head)
		g->edges[to->in_head].in_prev = slot;
	from->out_head = to->in_head = slot;
	from->n.out_n++;
	to->n.in_n++;
}

static void edge_unlink(struct graph *g, uint32_t slot)
{
	struct edge_slot *es = &g->edges[slot];
	struct node_slot *from = &g->nodes[es->e.from], *to = &g->nodes[es->e.to];

	if (es->out_prev)
		g->edges[es->out_prev].out_next = es->out_next;
	else
		from->out_head = es->out_next;
	if (es->out_next)
		g->edges[es->out_next].out_prev = es->out_prev;
	if (es->in_prev)
		g->edges[es->in_prev].in_next = es->in_next;
	else
		to->in_head = es->in_next;
	if (es->in_next)
		g->edges[es->in_next].in_prev = es->in_prev;
	from->n.out_n--;
	to->n.in_n--;
}

static void use_give(struct graph *g, struct edge_slot *es)
{
	struct use_slot *us = (struct use_slot *)(void *)es->e.use;

	if (!us)
		return;
	us->next_free = g->use_free;
	g->use_free = (uint32_t)(us - g->uses);
	es->e.use = NULL;
}

static void graph_edge_remove(struct graph *g, uint32_t slot, bool tell)
{
	struct edge_slot *es = &g->edges[slot];
	struct removal *r;
	uint32_t number;

	if (tell && es->s.state & SLOT_KNOWN && (r = graph_removal_push(g, &number))) {
		r->from = es->e.from;
		r->to = es->e.to;
		r->from_gen = g->nodes[es->e.from].gen;
		r->to_gen = g->nodes[es->e.to].gen;
		r->edge_kind = es->e.kind;
	}
	edge_unlink(g, slot);
	index_del(&g->edge_index, graph_edge_hash(g, &es->e), slot);
	use_give(g, es);
	slots_give(&g->edge_slots, slot);
}

/* The name goes over to the list of removals, or is freed. */
static void node_bury(struct graph *g, struct node_slot *ns)
{
	struct removal *r = NULL;
	uint32_t number;

	if (ns->s.state & SLOT_KNOWN)
		r = graph_removal_push(g, &number);
	if (r) {
		struct text_head *h = graph_text_head(graph_text_own(g, ns->n.name));

		r->n = ns->n;
		h->owner = OWNER_REMOVAL | number;
		g->removal_text_bytes += h->bytes;
	} else {
		graph_text_free(g, ns->n.name);
	}
}

static void node_remove(struct graph *g, uint32_t slot)
{
	struct node_slot *ns = &g->nodes[slot];

	while (ns->out_head)
		graph_edge_remove(g, ns->out_head, false);
	while (ns->in_head)
		graph_edge_remove(g, ns->in_head, false);
	node_bury(g, ns);
	index_del(&g->node_index, ns->hash, slot);
	ns->gen++;
	slots_give(&g->node_slots, slot);
}

static bool node_may_go(const void *ctx, uint32_t slot, uint64_t *ret_last_ns)
{
	const struct graph *g = ctx;

	*ret_last_ns = g->nodes[slot].n.last_ns;
	return !(g->nodes[slot].n.flags & NODE_F_PINNED);
}

int graph_evict_node(struct graph *g, uint64_t ts_ns)
{
	struct slots_among among = {.ctx = g, .may = node_may_go};
	struct slots *s = &g->node_slots;
	uint32_t slot = slots_least(s, &among, &s->hand, s->top, ts_ns);

	if (!slot)
		return GRAPH_FULL;
	node_remove(g, slot);
	return 0;
}

static bool edge_may_go(const void *ctx, uint32_t slot, uint64_t *ret_last_ns)
{
	const struct graph *g = ctx;

	*ret_last_ns = g->edges[slot].e.last_ns;
	return true;
}

void graph_evict_edge(struct graph *g, uint64_t ts_ns)
{
	struct slots_among among = {.ctx = g, .may = edge_may_go};
	struct slots *s = &g->edge_slots;

	graph_edge_remove(g, slots_least(s, &among, &s->hand, s->top, ts_ns), true);
}

static bool used_may_go(const void *ctx, uint32_t slot, uint64_t *ret_last_ns)
{
	const struct graph *g = ctx;

	return g->edges[slot].e.use && edge_may_go(g, slot, ret_last_ns);
}

static uint32_t use_owner(const void *ctx, uint32_t at)
{
	return ((const struct graph *)ctx)->uses[at].owner;
}

void graph_evict_use(struct graph *g, uint64_t ts_ns)
{
	struct slots_among among = {.ctx = g, .may = used_may_go, .slot_of = use_owner};
	uint32_t slot = slots_least(&g->edge_slots, &among, &g->use_hand, g->use_top, ts_ns);

	graph_edge_remove(g, slot, true);
}
