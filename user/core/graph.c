// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * graph.c - two arrays of slots, an index over each, and one arena of names.
 *
 * A slot number is the id. Edges hang in two doubly linked lists by slot number, one of their
 * `from` (out) and one of their `to` (in). Freed slots are queued and reused oldest first, so
 * that an id held a little too long by somebody means nothing rather than something else.
 *
 * Names lie behind each other in one arena, each behind a header that names its owner. Freeing
 * only marks; when the end is reached, the living are slid down. That happens only with an eighth
 * of the arena to win (nodes are evicted to get there), so a byte of name costs at most eight
 * bytes of sliding, amortised.
 */
#include "core/graph.h"

#include "base/err.h"
#include "base/index.h"
#include "core/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	NAME_MAX_BYTES = 4096, /* NUL included */
	SLOT_MIN = 16,
	TEXT_MIN = 64 * 1024,
	REMOVAL_MIN = 256,
	REMOVAL_MAX = 65536,
};

enum { SLOT_KNOWN = 16 /* to the store */ };

/* An edge the store knows that was taken so often says next to nothing new when it is taken again. */
#define OFTEN 16

struct node_slot {
	struct slot s;
	struct node n;
	uint64_t hash;
	uint32_t gen; /* told apart from the former owner of this slot */
	uint32_t out_head, in_head;
};

struct edge_slot {
	struct slot s;
	struct edge e;
	uint32_t out_prev, out_next, in_prev, in_next;
};

/* What only EXEC edges have. */
struct use_slot {
	struct edge_use u;
	uint32_t owner, next_free; /* owner: the edge's slot */
};

struct removal {
	struct node n; /* kind != NODE_NONE: a node, its name in the arena */
	uint32_t from, to, from_gen, to_gen;
	uint8_t edge_kind;
};

/* Before each name in the arena. */
struct text_head {
	uint32_t owner; /* 0 dead; a node's slot; or a removal's number with OWNER_REMOVAL */
	uint32_t bytes; /* of head and name, a multiple of 8 */
};

#define OWNER_REMOVAL (1u << 31)

struct graph {
	struct node_slot *nodes; /* [0] unused, as in edges */
	struct edge_slot *edges;
	struct use_slot *uses;
	struct hand use_hand; /* walks uses, keeps edges */
	uint32_t use_max, use_top, use_free;
	struct slots node_slots, edge_slots;
	struct index node_index, edge_index;
	struct removal *removals; /* a ring */
	uint32_t removal_max, removal_head, removals_n;
	uint64_t removals_lost;
	uint64_t removal_text_bytes;
	char *text;
	uint64_t text_max, text_top, text_live;
	uint64_t bytes, hash_seed;
	struct node removed_node; /* what graph_next_change() lends out */
	struct edge removed_edge;
	struct edge_use removed_use; /* always 0 */
	char name[NAME_MAX_BYTES];   /* of the node being made: the caller's may lie in our arena */
};

/* --- text ------------------------------------------------------------------------------------ */

static struct text_head *text_head(char *name)
{
	return (struct text_head *)(void *)(name - sizeof(struct text_head));
}

static uint64_t text_need(size_t name_len)
{
	return (sizeof(struct text_head) + name_len + 1 + 7) & ~7ull;
}

/* The arena is ours to write, though the node shows its name as const. */
static char *text_own(const struct graph *g, const char *name)
{
	return g->text + (name - g->text);
}

static void text_free(struct graph *g, const char *name)
{
	struct text_head *h = text_head(text_own(g, name));

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

/* --- links ----------------------------------------------------------------------------------- */

static void edge_link(struct graph *g, uint32_t slot)
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

/* --- keys ------------------------------------------------------------------------------------ */

struct node_key {
	enum node_kind kind;
	size_t len;
	const char *name;
};

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

static uint64_t edge_hash(const struct graph *g, const struct edge *e)
{
	return hash_mix2(g->hash_seed ^ ((uint64_t)e->from << 32 | e->to), e->kind);
}

static bool edge_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct graph *g = ctx;
	const struct edge *k = key, *e = &g->edges[slot].e;

	return e->from == k->from && e->to == k->to && e->kind == k->kind;
}

static uint32_t edge_slot_of(const struct graph *g, const struct edge *key)
{
	uint32_t slot = index_get(&g->edge_index, edge_hash(g, key), edge_eq, g, key);

	return slot == INDEX_NONE ? 0 : slot;
}

static bool node_alive(const struct graph *g, uint32_t id)
{
	return slots_alive(&g->node_slots, id);
}

/* --- changes --------------------------------------------------------------------------------- */

/* NULL when the list is full; the loss is counted. */
static struct removal *removal_push(struct graph *g, uint32_t *ret_number)
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

/* The oldest; its name stays readable until the arena is next compacted. */
static struct removal removal_pop(struct graph *g)
{
	struct removal r = g->removals[g->removal_head];

	g->removal_head = (g->removal_head + 1) % g->removal_max;
	g->removals_n--;
	if (r.n.kind != NODE_NONE) {
		g->removal_text_bytes -= text_head(text_own(g, r.n.name))->bytes;
		text_free(g, r.n.name);
	}
	return r;
}

/* --- eviction -------------------------------------------------------------------------------- */

static void use_give(struct graph *g, struct edge_slot *es)
{
	struct use_slot *us = (struct use_slot *)(void *)es->e.use;

	if (!us)
		return;
	us->next_free = g->use_free;
	g->use_free = (uint32_t)(us - g->uses);
	es->e.use = NULL;
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

static void edge_remove(struct graph *g, uint32_t slot, bool tell)
{
	struct edge_slot *es = &g->edges[slot];
	struct removal *r;
	uint32_t number;

	if (tell && es->s.state & SLOT_KNOWN && (r = removal_push(g, &number))) {
		r->from = es->e.from;
		r->to = es->e.to;
		r->from_gen = g->nodes[es->e.from].gen;
		r->to_gen = g->nodes[es->e.to].gen;
		r->edge_kind = es->e.kind;
	}
	edge_unlink(g, slot);
	index_del(&g->edge_index, edge_hash(g, &es->e), slot);
	use_give(g, es);
	slots_give(&g->edge_slots, slot);
}

/* The name goes over to the list of removals, or is freed. */
static void node_bury(struct graph *g, struct node_slot *ns)
{
	struct removal *r = NULL;
	uint32_t number;

	if (ns->s.state & SLOT_KNOWN)
		r = removal_push(g, &number);
	if (r) {
		struct text_head *h = text_head(text_own(g, ns->n.name));

		r->n = ns->n;
		h->owner = OWNER_REMOVAL | number;
		g->removal_text_bytes += h->bytes;
	} else {
		text_free(g, ns->n.name);
	}
}

static void node_remove(struct graph *g, uint32_t slot)
{
	struct node_slot *ns = &g->nodes[slot];

	while (ns->out_head)
		edge_remove(g, ns->out_head, false);
	while (ns->in_head)
		edge_remove(g, ns->in_head, false);
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

/* GRAPH_FULL when all that is there is pinned. */
static int evict_node(struct graph *g, uint64_t ts_ns)
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

static void evict_edge(struct graph *g, uint64_t ts_ns)
{
	struct slots_among among = {.ctx = g, .may = edge_may_go};
	struct slots *s = &g->edge_slots;

	edge_remove(g, slots_least(s, &among, &s->hand, s->top, ts_ns), true);
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

/* Of the EXEC edges one: they have a limit of their own. All uses are taken when it is called. */
static void evict_use(struct graph *g, uint64_t ts_ns)
{
	struct slots_among among = {.ctx = g, .may = used_may_go, .slot_of = use_owner};
	uint32_t slot = slots_least(&g->edge_slots, &among, &g->use_hand, g->use_top, ts_ns);

	edge_remove(g, slot, true);
}

/* Room for a name of len bytes at text_top. */
static int make_text_room(struct graph *g, size_t len, uint64_t ts_ns)
{
	uint64_t need = text_need(len), live_max = g->text_max - g->text_max / 8;

	if (g->text_top + need <= g->text_max)
		return 0;
	while (g->text_live + need > live_max) {
		/* Names the store has not heard of yet may take an eighth, no more. */
		if (g->removal_text_bytes > g->text_max / 8) {
			(void)removal_pop(g);
			g->removals_lost++;
			continue;
		}
		int r = evict_node(g, ts_ns);

		if (r)
			return r;
	}
	text_compact(g);
	return 0;
}

/* --- public ---------------------------------------------------------------------------------- */

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

static const char *text_put(struct graph *g, uint32_t owner, const struct node_key *k)
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
	r = make_text_room(g, k.len, ts_ns);
	if (!r && slots_full(&g->node_slots))
		r = evict_node(g, ts_ns);
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
	ns->n.name = text_put(g, slot, &k);
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

static uint32_t edge_make(struct graph *g, const struct edge *e, uint64_t ts_ns)
{
	struct edge_slot *es;
	uint32_t slot;
	struct slot head;

	if (e->kind == EDGE_EXEC && !g->use_free && g->use_top == g->use_max)
		evict_use(g, ts_ns);
	if (slots_full(&g->edge_slots))
		evict_edge(g, ts_ns);
	slot = slots_take(&g->edge_slots, &head);
	es = &g->edges[slot];
	*es = (struct edge_slot){.s = head, .e = *e};
	es->e.use = NULL;
	if (e->kind == EDGE_EXEC) {
		es->e.use = use_take(g, slot);
		if (e->use)
			*es->e.use = *e->use;
	}
	edge_link(g, slot);
	index_put(&g->edge_index, edge_hash(g, e), slot);
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

static bool next_removal(struct graph *g, struct graph_change *ret)
{
	while (g->removals_n) {
		struct removal r = removal_pop(g);

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
