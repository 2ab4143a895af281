// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * graph.c - two arrays of slots and an index over each.
 *
 * Freed slots are queued and reused oldest first, so that an id held a little too long by somebody
 * means nothing rather than something else.
 */
#include "core/graph_impl.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	SLOT_MIN = 16,
	TEXT_MIN = 64 * 1024,
	REMOVAL_MIN = 256,
	REMOVAL_MAX = 65536,
};

/* An edge the store knows that was taken so often says next to nothing new when it is taken again. */
#define OFTEN 16

static uint64_t node_hash(const struct graph *g, const struct node_key *k)
{
	return XXH3_64bits_withSeed(k->name, k->len, g->hash_seed + (uint64_t)k->kind);
}

static bool node_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct graph *g = ctx;
	const struct node_key *k = key;
	const struct node *n = &g->nodes[slot].n;

	return n->kind == k->kind && n->name_len == k->len && !memcmp(n->name, k->name, k->len);
}

static bool edge_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct graph *g = ctx;
	const struct edge *k = key, *e = &g->edges[slot].e;

	return e->from == k->from && e->to == k->to && e->kind == k->kind;
}

static uint32_t edge_slot_of(const struct graph *g, const struct edge *key)
{
	uint32_t slot = index_get(&g->edge_index, graph_edge_hash(g, key), edge_eq, g, key);

	return slot == INDEX_NONE ? 0 : slot;
}

static bool node_alive(const struct graph *g, uint32_t id)
{
	return slots_alive(&g->node_slots, id);
}

static void *take(struct graph *g, uint64_t n, uint64_t size)
{
	void *p = calloc(n, size); /* untouched pages stay unbacked */

	if (p)
		g->bytes += n * size;
	return p;
}

int graph_new(const struct graph_limits *limits, struct graph **ret)
{
	struct graph *g;
	int r;

	if (limits->node_max < SLOT_MIN || limits->edge_max < SLOT_MIN ||
	    limits->use_max < SLOT_MIN || limits->node_max >= OWNER_REMOVAL ||
	    limits->text_bytes_max < TEXT_MIN)
		return fault(-EINVAL);
	g = calloc(1, sizeof(*g));
	if (!g)
		return fault(-ENOMEM);
	g->hash_seed = limits->hash_seed;
	g->bytes = sizeof(*g);
	g->use_max = limits->use_max;
	g->text_max = limits->text_bytes_max & ~7u;
	g->removal_max = limits->node_max / 8;
	if (g->removal_max < REMOVAL_MIN)
		g->removal_max = REMOVAL_MIN;
	if (g->removal_max > REMOVAL_MAX)
		g->removal_max = REMOVAL_MAX;
	r = index_init(&g->node_index, limits->node_max);
	if (!r)
		r = index_init(&g->edge_index, limits->edge_max);
	if (!r) {
		g->nodes = take(g, limits->node_max + 1ull, sizeof(*g->nodes));
		g->edges = take(g, limits->edge_max + 1ull, sizeof(*g->edges));
		g->uses = take(g, limits->use_max + 1ull, sizeof(*g->uses));
		g->removals = take(g, g->removal_max, sizeof(*g->removals));
		g->text = take(g, g->text_max, 1);
		if (!g->nodes || !g->edges || !g->uses || !g->removals || !g->text)
			r = fault(-ENOMEM);
	}
	if (r) {
		(void)graph_free(g);
		return r;
	}
	g->node_slots = (struct slots){
		.base = (char *)g->nodes, .size = sizeof(*g->nodes), .max = limits->node_max};
	g->edge_slots = (struct slots){
		.base = (char *)g->edges, .size = sizeof(*g->edges), .max = limits->edge_max};
	g->bytes += (g->node_index.mask + 1ull) * sizeof(struct index_cell);
	g->bytes += (g->edge_index.mask + 1ull) * sizeof(struct index_cell);
	*ret = g;
	return 0;
}

struct graph *graph_free(struct graph *g)
{
	if (!g)
		return NULL;
	index_fini(&g->node_index);
	index_fini(&g->edge_index);
	free(g->nodes);
	free(g->edges);
	free(g->uses);
	free(g->removals);
	free(g->text);
	free(g);
	return NULL;
}

void graph_stats(const struct graph *g, struct graph_stats *ret)
{
	*ret = (struct graph_stats){
		.nodes_n = g->node_slots.used_n,
		.edges_n = g->edge_slots.used_n,
		.text_bytes = g->text_live,
		.bytes = g->bytes,
		.nodes_evicted = g->node_slots.evicted_n,
		.edges_evicted = g->edge_slots.evicted_n,
		.removals_lost = g->removals_lost,
	};
}

static uint32_t node_slot_of(const struct graph *g, const struct node_key *k, uint64_t hash)
{
	uint32_t slot = index_get(&g->node_index, hash, node_eq, g, k);

	return slot == INDEX_NONE ? 0 : slot;
}

/* Makes the node of key k, which must not exist. */
static int node_make(struct graph *g, struct node_key k, uint64_t hash, uint64_t ts_ns,
		     uint32_t *ret_slot)
{
	struct slot head;
	struct node_slot *ns;
	uint32_t slot;
	int r;

	memcpy(g->name, k.name, k.len);
	k.name = g->name;
	r = graph_text_room(g, k.len, ts_ns);
	if (!r && slots_full(&g->node_slots))
		r = graph_evict_node(g, ts_ns);
	if (r)
		return r;
	slot = slots_take(&g->node_slots, &head);
	ns = &g->nodes[slot];
	*ns = (struct node_slot){
		.s = head,
		.n = {.id = slot,
		      .kind = (uint8_t)k.kind,
		      .name_len = (uint16_t)k.len,
		      .first_ns = ts_ns,
		      .last_ns = ts_ns},
		.hash = hash,
		.gen = ns->gen,
	};
	ns->n.name = graph_text_put(g, slot, &k);
	index_put(&g->node_index, hash, slot);
	*ret_slot = slot;
	return 0;
}

static int node_key_of(enum node_kind kind, const char *name, struct node_key *ret)
{
	size_t len = name ? strnlen(name, NAME_MAX_BYTES) : 0;

	if (len == 0 || kind <= NODE_NONE || kind >= NODE_KIND_MAX)
		return -EINVAL;
	if (len == NAME_MAX_BYTES)
		return -ENAMETOOLONG;
	*ret = (struct node_key){.kind = kind, .len = len, .name = name};
	return 0;
}

static void node_dirty(struct graph *g, uint32_t slot)
{
	const struct node_slot *ns = &g->nodes[slot];

	slots_dirty(&g->node_slots, slot,
		    ns->s.state & SLOT_KNOWN &&
			    (ns->n.kind != NODE_BLOCK || ns->n.runs_n >= OFTEN));
}

static void edge_dirty(struct graph *g, uint32_t slot)
{
	const struct edge_slot *es = &g->edges[slot];

	slots_dirty(&g->edge_slots, slot, es->s.state & SLOT_KNOWN && es->e.count >= OFTEN);
}

int graph_intern(struct graph *g, enum node_kind kind, const char *name, uint64_t ts_ns,
		 uint32_t *ret_id)
{
	struct node_key k;
	uint64_t hash;
	uint32_t slot;
	int r = node_key_of(kind, name, &k);

	if (r)
		return fault(r);
	hash = node_hash(g, &k);
	slot = node_slot_of(g, &k, hash);
	if (!slot) {
		r = node_make(g, k, hash, ts_ns, &slot);
		if (r)
			return r;
	}
	g->nodes[slot].n.last_ns = ts_ns;
	slots_use(&g->node_slots, slot, ts_ns, 1);
	node_dirty(g, slot);
	*ret_id = slot;
	return 0;
}

uint32_t graph_find(const struct graph *g, enum node_kind kind, const char *name)
{
	struct node_key k;

	if (node_key_of(kind, name, &k))
		return 0;
	return node_slot_of(g, &k, node_hash(g, &k));
}

struct node *graph_node(struct graph *g, uint32_t id)
{
	return node_alive(g, id) ? &g->nodes[id].n : NULL;
}

const struct node *graph_node_const(const struct graph *g, uint32_t id)
{
	return node_alive(g, id) ? &g->nodes[id].n : NULL;
}

void graph_touch_node(struct graph *g, uint32_t id)
{
	if (node_alive(g, id))
		node_dirty(g, id);
}

static struct edge_use *use_take(struct graph *g, uint32_t owner)
{
	uint32_t slot = g->use_free;
	struct use_slot *us;

	if (slot)
		g->use_free = g->uses[slot].next_free;
	else
		slot = ++g->use_top;
	us = &g->uses[slot];
	*us = (struct use_slot){.owner = owner};
	return &us->u;
}

static uint32_t edge_make(struct graph *g, const struct edge *e, uint64_t ts_ns)
{
	struct edge_slot *es;
	uint32_t slot;
	struct slot head;

	if (e->kind == EDGE_EXEC && !g->use_free && g->use_top == g->use_max)
		graph_evict_use(g, ts_ns);
	if (slots_full(&g->edge_slots))
		graph_evict_edge(g, ts_ns);
	slot = slots_take(&g->edge_slots, &head);
	es = &g->edges[slot];
	*es = (struct edge_slot){.s = head, .e = *e};
	es->e.use = NULL;
	if (e->kind == EDGE_EXEC) {
		es->e.use = use_take(g, slot);
		if (e->use)
			*es->e.use = *e->use;
	}
	graph_edge_link(g, slot);
	index_put(&g->edge_index, graph_edge_hash(g, e), slot);
	return slot;
}

int graph_edge(struct graph *g, uint32_t from, uint32_t to, enum edge_kind kind, uint64_t ts_ns,
	       struct edge **ret)
{
	struct edge key = {.from = from, .to = to, .kind = (uint8_t)kind, .first_ns = ts_ns};
	uint32_t slot;

	if (kind <= EDGE_NONE || kind >= EDGE_KIND_MAX)
		return fault(-EINVAL);
	if (!node_alive(g, from) || !node_alive(g, to))
		return fault(-ENOENT);
	slot = edge_slot_of(g, &key);
	if (!slot)
		slot = edge_make(g, &key, ts_ns);
	g->edges[slot].e.last_ns = ts_ns;
	slots_use(&g->edge_slots, slot, ts_ns, 1);
	edge_dirty(g, slot);
	*ret = &g->edges[slot].e;
	return 0;
}

const struct edge *graph_edge_find(const struct graph *g, uint32_t from, uint32_t to,
				   enum edge_kind kind)
{
	struct edge key = {.from = from, .to = to, .kind = (uint8_t)kind};
	uint32_t slot = edge_slot_of(g, &key);

	return slot ? &g->edges[slot].e : NULL;
}

struct edge *graph_edge_note(struct graph *g, uint32_t from, uint32_t to, enum edge_kind kind)
{
	struct edge key = {.from = from, .to = to, .kind = (uint8_t)kind};
	uint32_t slot = edge_slot_of(g, &key);

	if (!slot)
		return NULL;
	edge_dirty(g, slot);
	return &g->edges[slot].e;
}

bool graph_next_out(const struct graph *g, uint32_t from, uint32_t *it, const struct edge **ret)
{
	uint32_t slot;

	if (!node_alive(g, from))
		return false;
	slot = *it ? g->edges[*it].out_next : g->nodes[from].out_head;
	if (!slot)
		return false;
	*it = slot;
	*ret = &g->edges[slot].e;
	return true;
}

bool graph_next_in(const struct graph *g, uint32_t to, uint32_t *it, const struct edge **ret)
{
	uint32_t slot;

	if (!node_alive(g, to))
		return false;
	slot = *it ? g->edges[*it].in_next : g->nodes[to].in_head;
	if (!slot)
		return false;
	*it = slot;
	*ret = &g->edges[slot].e;
	return true;
}

uint32_t graph_out_at(const struct graph *g, uint32_t from, uint32_t to, enum edge_kind kind)
{
	return edge_slot_of(g, &(struct edge){.from = from, .to = to, .kind = (uint8_t)kind});
}

bool graph_next_node(const struct graph *g, uint32_t *it, const struct node **ret)
{
	for (uint32_t slot = *it + 1; slot <= g->node_slots.top; slot++) {
		if (!(g->nodes[slot].s.state & SLOT_ALIVE))
			continue;
		*it = slot;
		*ret = &g->nodes[slot].n;
		return true;
	}
	return false;
}

int graph_restore_node(struct graph *g, const struct node *n, uint32_t *ret_id)
{
	struct node_key k;
	struct node *own;
	uint64_t hash;
	uint32_t slot;
	int r = node_key_of(n->kind, n->name, &k);

	if (r)
		return fault(r);
	hash = node_hash(g, &k);
	if (node_slot_of(g, &k, hash))
		return fault(-EEXIST);
	r = node_make(g, k, hash, n->last_ns, &slot);
	if (r)
		return r;
	own = &g->nodes[slot].n;
	own->flags = n->flags;
	own->first_ns = n->first_ns;
	own->runs_n = n->runs_n;
	own->size_bytes = n->size_bytes;
	own->dev = n->dev;
	own->ino = n->ino;
	own->uid = n->uid;
	slots_use(&g->node_slots, slot, n->last_ns, 1 + (n->runs_n < 1000 ? n->runs_n : 1000));
	g->nodes[slot].s.state |= SLOT_KNOWN;
	*ret_id = slot;
	return 0;
}

int graph_restore_edge(struct graph *g, const struct edge *e)
{
	uint64_t uses = e->count < 1000 ? e->count : 1000;
	uint32_t slot;

	if (e->kind <= EDGE_NONE || e->kind >= EDGE_KIND_MAX)
		return fault(-EINVAL);
	if (!node_alive(g, e->from) || !node_alive(g, e->to))
		return fault(-ENOENT);
	if (edge_slot_of(g, e))
		return fault(-EEXIST);
	slot = edge_make(g, e, e->last_ns);
	slots_use(&g->edge_slots, slot, e->last_ns, uses);
	g->edges[slot].s.state |= SLOT_KNOWN;
	/* A file has no runs: what it was used for stands in its edges. */
	slots_use_old(&g->node_slots, e->to, e->last_ns, uses);
	return 0;
}
