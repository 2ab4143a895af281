// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * graph_change.c - what the store has yet to hear of: removals first, in their order, then what is dirty.
 */
#include "core/graph_impl.h"

struct removal *graph_removal_push(struct graph *g, uint32_t *ret_number)
{
	uint32_t number = (g->removal_head + g->removals_n) % g->removal_max;

	if (g->removals_n == g->removal_max) {
		g->removals_lost++;
		return NULL;
	}
	g->removals_n++;
	*ret_number = number;
	g->removals[number] = (struct removal){0};
	return &g->removals[number];
}

struct removal graph_removal_pop(struct graph *g)
{
	struct removal r = g->removals[g->removal_head];

	g->removal_head = (g->removal_head + 1) % g->removal_max;
	g->removals_n--;
	if (r.n.kind != NODE_NONE) {
		g->removal_text_bytes -= graph_text_head(graph_text_own(g, r.n.name))->bytes;
		graph_text_free(g, r.n.name);
	}
	return r;
}

static bool next_removal(struct graph *g, struct graph_change *ret)
{
	while (g->removals_n) {
		struct removal r = graph_removal_pop(g);

		if (r.n.kind != NODE_NONE) {
			g->removed_node = r.n;
			*ret = (struct graph_change){.node = &g->removed_node, .removed = true};
			return true;
		}
		/* When an end has gone since, the removal of that node says it too. */
		if (g->nodes[r.from].gen != r.from_gen || g->nodes[r.to].gen != r.to_gen)
			continue;
		g->removed_edge = (struct edge){.from = r.from, .to = r.to, .kind = r.edge_kind};
		if (r.edge_kind == EDGE_EXEC)
			g->removed_edge.use = &g->removed_use;
		*ret = (struct graph_change){.edge = &g->removed_edge, .removed = true};
		return true;
	}
	return false;
}

static bool next_change(struct graph *g, bool all, struct graph_change *ret)
{
	uint32_t slot;

	if (next_removal(g, ret))
		return true;
	slot = slots_next_dirty(&g->node_slots, all);
	if (slot) {
		g->nodes[slot].s.state |= SLOT_KNOWN;
		*ret = (struct graph_change){.node = &g->nodes[slot].n};
		return true;
	}
	slot = slots_next_dirty(&g->edge_slots, all);
	if (!slot)
		return false;
	g->edges[slot].s.state |= SLOT_KNOWN;
	*ret = (struct graph_change){.edge = &g->edges[slot].e};
	return true;
}

bool graph_next_change(struct graph *g, struct graph_change *ret)
{
	return next_change(g, true, ret);
}

bool graph_next_news(struct graph *g, struct graph_change *ret)
{
	return next_change(g, false, ret);
}

static void changed_all(struct slots *s)
{
	for (uint32_t slot = 1; slot <= s->top; slot++) {
		if (!slots_alive(s, slot))
			continue;
		slots_at(s, slot)->state &= (uint8_t)~SLOT_KNOWN;
		slots_dirty(s, slot, false);
	}
}

void graph_changed_all(struct graph *g)
{
	changed_all(&g->node_slots);
	changed_all(&g->edge_slots);
}
