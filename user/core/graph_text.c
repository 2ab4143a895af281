// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * graph_text.c - the names, behind each other in one arena, each behind a header that names its owner.
 *
 * Freeing only marks; when the end is reached, the living are slid down. That happens only with an eighth
 * of the arena to win (nodes are evicted to get there), so a byte of name costs at most eight
 * bytes of sliding, amortised.
 */
#include "core/graph_impl.h"

#include <assert.h>
#include <string.h>

static uint64_t text_need(size_t name_len)
{
	return (sizeof(struct text_head) + name_len + 1 + 7) & ~7ull;
}

void graph_text_free(struct graph *g, const char *name)
{
	struct text_head *h = graph_text_head(graph_text_own(g, name));

	h->owner = 0;
	g->text_live -= h->bytes;
}

static void text_compact(struct graph *g)
{
	uint64_t to = 0;

	for (uint64_t from = 0; from < g->text_top;) {
		struct text_head h;
		char *name;

		memcpy(&h, g->text + from, sizeof(h));
		if (h.owner) {
			memmove(g->text + to, g->text + from, h.bytes);
			name = g->text + to + sizeof(h);
			if (h.owner & OWNER_REMOVAL)
				g->removals[h.owner & ~OWNER_REMOVAL].n.name = name;
			else
				g->nodes[h.owner].n.name = name;
			to += h.bytes;
		}
		from += h.bytes;
	}
	assert(to == g->text_live);
	g->text_top = to;
}

int graph_text_room(struct graph *g, size_t len, uint64_t ts_ns)
{
	uint64_t need = text_need(len), live_max = g->text_max - g->text_max / 8;

	if (g->text_top + need <= g->text_max)
		return 0;
	while (g->text_live + need > live_max) {
		/* Names the store has not heard of yet may take an eighth, no more. */
		if (g->removal_text_bytes > g->text_max / 8) {
			(void)graph_removal_pop(g);
			g->removals_lost++;
			continue;
		}
		int r = graph_evict_node(g, ts_ns);

		if (r)
			return r;
	}
	text_compact(g);
	return 0;
}

const char *graph_text_put(struct graph *g, uint32_t owner, const struct node_key *k)
{
	struct text_head h = {.owner = owner, .bytes = (uint32_t)text_need(k->len)};
	char *name = g->text + g->text_top + sizeof(h);

	memcpy(g->text + g->text_top, &h, sizeof(h));
	memcpy(name, k->name, k->len);
	name[k->len] = 0;
	g->text_top += h.bytes;
	g->text_live += h.bytes;
	return name;
}
