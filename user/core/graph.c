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
 *
 * What goes at a limit: the least used of 16 candidates, where use halves with each half-life. The
 * uses are integers and the half-lives are counted from the epoch, so the decay is a shift, done
 * when a slot is touched or compared. Eight candidates are new, found by a hand that passes over
 * all slots in golden-section strides, so that a run of good slots does not fill them; eight are
 * the worst left over from last time. With half the table in use and half churn, that loses none
 * of the useful, where 16 consecutive slots lost a third (tests/unit/test_graph.c).
 * Frequency alone would let established names keep every newcomer out for ever; so whatever was
 * touched within the last quarter-table of insertions is no candidate at all.
 *
 * Changes for the store are two queues of slots. A slot stays in its queue until it is taken from
 * it, whatever happens to it meanwhile, so neither eviction nor reuse has to search a queue.
 */
#include "core/graph.h"

#include "base/err.h"
#include "base/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Three days: what is done each weekday outlives a weekend at half its weight. */
#define HALF_LIFE_NS (3ull * 24 * 3600 * 1000000000ull)

enum {
	NAME_MAX_BYTES = 4096, /* NUL included */
	CANDIDATE_MAX = 16,
	KEEP_MAX = 8,  /* of them are left over for next time */
	USE_ONE = 256, /* one use, so that six half-lives still tell one from none */
	SLOT_MIN = 16,
	TEXT_MIN = 64 * 1024,
	REMOVAL_MIN = 256,
	REMOVAL_MAX = 65536,
};

/* How useful a slot is. */
struct aged {
	uint32_t use;	/* in USE_ONEs, as of epoch */
	uint32_t epoch; /* half-lives since 1970 */
	uint32_t seq;	/* insertions there had been when it was last touched */
};

enum { SLOT_ALIVE = 1, SLOT_DIRTY = 2, SLOT_QUEUED = 4, SLOT_KNOWN = 8 /* to the store */ };

struct node_slot {
	struct node n;
	uint64_t hash;
	struct aged age;
	uint32_t gen; /* told apart from the former owner of this slot */
	uint32_t out_head, in_head;
	uint32_t next_dirty, next_free;
	uint8_t state; /* SLOT_* */
};

struct edge_slot {
	struct edge e;
	struct aged age;
	uint32_t out_prev, out_next, in_prev, in_next;
	uint32_t next_dirty, next_free;
	uint8_t state;
};

/* What only EXEC edges have. */
struct use_slot {
	struct edge_use u;
	uint32_t owner, next_free; /* owner: the edge's slot */
};

/* Finds candidates among the slots 1..top of an array. */
struct hand {
	uint32_t at, stride, stride_top; /* stride: coprime to stride_top, see step_hand() */
	uint32_t kept[KEEP_MAX], kept_n; /* nodes or edges that were candidates */
};

/* Slots of one kind, except for the array itself. */
struct pool {
	struct index index;
	struct hand hand;
	uint32_t max, top; /* top: the highest slot ever used */
	uint32_t used_n;
	uint32_t free_head, free_tail;
	uint32_t dirty_head, dirty_tail;
	uint32_t insert_seq;
	uint64_t evicted_n;
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
	struct pool node_pool, edge_pool;
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

/* --- sketch ---------------------------------------------------------------------------------- */

enum { SKETCH_OCTAVE_MIN = 7 };

static uint32_t sketch_bin(uint64_t ns)
{
	uint32_t octave, bin;

	if (ns < (1ull << SKETCH_OCTAVE_MIN))
		return 0;
	octave = 63 - (uint32_t)__builtin_clzll(ns);
	bin = 2 * (octave - SKETCH_OCTAVE_MIN) + (uint32_t)(ns >> (octave - 1) & 1);
	return bin < SKETCH_BIN_MAX ? bin : SKETCH_BIN_MAX - 1;
}

void sketch_add(struct sketch *s, uint64_t ns)
{
	uint32_t bin = sketch_bin(ns);

	if (s->bins[bin] == UINT8_MAX)
		for (uint32_t i = 0; i < SKETCH_BIN_MAX; i++)
			s->bins[i] /= 2;
	s->bins[bin]++;
}

void sketch_merge(struct sketch *into, const struct sketch *from)
{
	uint32_t most = 0, shift = 0;

	for (uint32_t i = 0; i < SKETCH_BIN_MAX; i++) {
		uint32_t n = (uint32_t)into->bins[i] + from->bins[i];

		most = n > most ? n : most;
	}
	if (most > UINT8_MAX)
		shift = 1;
	for (uint32_t i = 0; i < SKETCH_BIN_MAX; i++) {
		uint32_t n = (uint32_t)into->bins[i] + from->bins[i];

		into->bins[i] = (uint8_t)(n >> shift);
	}
}

uint64_t sketch_quantile(const struct sketch *s, double share)
{
	uint64_t total = 0, below = 0, rank;
	uint32_t i;

	for (i = 0; i < SKETCH_BIN_MAX; i++)
		total += s->bins[i];
	if (!total)
		return 0;
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	rank = (uint64_t)(share * (double)total);
	rank = rank < total ? rank : total - 1;
	for (i = 0; below + s->bins[i] <= rank; i++)
		below += s->bins[i];
	/* The harmonic middle of [1, 1.5) and [1.5, 2): at most 20 % and 14.3 % off. */
	return (uint64_t)((double)(1ull << (SKETCH_OCTAVE_MIN + i / 2)) * (i & 1 ? 12.0 / 7 : 1.2));
}

/* --- age ------------------------------------------------------------------------------------- */

static uint32_t epoch_of(uint64_t ts_ns)
{
	return (uint32_t)(ts_ns / HALF_LIFE_NS);
}

static uint32_t use_at(const struct aged *a, uint32_t epoch)
{
	uint32_t halvings = epoch > a->epoch ? epoch - a->epoch : 0;

	return halvings < 32 ? a->use >> halvings : 0;
}

static void age_use(struct aged *a, uint64_t ts_ns, uint64_t uses, uint32_t seq)
{
	uint32_t epoch = epoch_of(ts_ns), kept = use_at(a, epoch);
	uint64_t use = kept + uses * USE_ONE;

	a->use = use > UINT32_MAX ? UINT32_MAX : (uint32_t)use;
	a->epoch = epoch > a->epoch ? epoch : a->epoch;
	a->seq = seq;
}

/* --- pools ----------------------------------------------------------------------------------- */

static int pool_init(struct pool *p, uint32_t max)
{
	*p = (struct pool){.max = max};
	return index_init(&p->index, max);
}

static bool pool_full(const struct pool *p)
{
	return p->used_n == p->max;
}

/* Of the last quarter-table of insertions: no candidate while there are others. */
static bool pool_young(const struct pool *p, uint32_t seq)
{
	return p->insert_seq - seq < p->max / 4;
}

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
	uint32_t slot = index_get(&g->edge_pool.index, edge_hash(g, key), edge_eq, g, key);

	return slot == INDEX_NONE ? 0 : slot;
}

static bool node_alive(const struct graph *g, uint32_t id)
{
	return id && id <= g->node_pool.top && g->nodes[id].state & SLOT_ALIVE;
}

/* --- changes --------------------------------------------------------------------------------- */

static void node_dirty(struct graph *g, uint32_t slot)
{
	struct node_slot *ns = &g->nodes[slot];
	struct pool *p = &g->node_pool;

	ns->state |= SLOT_DIRTY;
	if (ns->state & SLOT_QUEUED)
		return;
	ns->state |= SLOT_QUEUED;
	ns->next_dirty = 0;
	if (p->dirty_tail)
		g->nodes[p->dirty_tail].next_dirty = slot;
	else
		p->dirty_head = slot;
	p->dirty_tail = slot;
}

static void edge_dirty(struct graph *g, uint32_t slot)
{
	struct edge_slot *es = &g->edges[slot];
	struct pool *p = &g->edge_pool;

	es->state |= SLOT_DIRTY;
	if (es->state & SLOT_QUEUED)
		return;
	es->state |= SLOT_QUEUED;
	es->next_dirty = 0;
	if (p->dirty_tail)
		g->edges[p->dirty_tail].next_dirty = slot;
	else
		p->dirty_head = slot;
	p->dirty_tail = slot;
}

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
	struct pool *p = &g->edge_pool;
	struct removal *r;
	uint32_t number;

	if (tell && es->state & SLOT_KNOWN && (r = removal_push(g, &number))) {
		r->from = es->e.from;
		r->to = es->e.to;
		r->from_gen = g->nodes[es->e.from].gen;
		r->to_gen = g->nodes[es->e.to].gen;
		r->edge_kind = es->e.kind;
	}
	edge_unlink(g, slot);
	index_del(&p->index, edge_hash(g, &es->e), slot);
	use_give(g, es);
	es->state &= SLOT_QUEUED;
	es->next_free = 0;
	if (p->free_tail)
		g->edges[p->free_tail].next_free = slot;
	else
		p->free_head = slot;
	p->free_tail = slot;
	p->used_n--;
	p->evicted_n++;
}

/* The name goes over to the list of removals, or is freed. */
static void node_bury(struct graph *g, struct node_slot *ns)
{
	struct removal *r = NULL;
	uint32_t number;

	if (ns->state & SLOT_KNOWN)
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
	struct pool *p = &g->node_pool;

	while (ns->out_head)
		edge_remove(g, ns->out_head, false);
	while (ns->in_head)
		edge_remove(g, ns->in_head, false);
	node_bury(g, ns);
	index_del(&p->index, ns->hash, slot);
	ns->state &= SLOT_QUEUED;
	ns->gen++;
	ns->next_free = 0;
	if (p->free_tail)
		g->nodes[p->free_tail].next_free = slot;
	else
		p->free_head = slot;
	p->free_tail = slot;
	p->used_n--;
	p->evicted_n++;
}

struct candidate {
	uint32_t slot, use;
	uint64_t last_ns;
};

/* Candidates, least useful first. */
struct choice {
	struct candidate c[CANDIDATE_MAX];
	uint32_t n;
	uint32_t young_slot, young_age; /* the one longest untouched, if nothing else will do */
};

static bool less_useful(const struct candidate *a, const struct candidate *b)
{
	return a->use != b->use ? a->use < b->use : a->last_ns < b->last_ns;
}

static void choice_add(struct choice *ch, const struct pool *p, const struct aged *age,
		       struct candidate c)
{
	uint32_t untouched = p->insert_seq - age->seq, i;

	if (pool_young(p, age->seq)) {
		if (!ch->young_slot || untouched > ch->young_age) {
			ch->young_slot = c.slot;
			ch->young_age = untouched;
		}
		return;
	}
	for (i = 0; i < ch->n; i++)
		if (ch->c[i].slot == c.slot)
			return;
	for (i = ch->n++; i && less_useful(&c, &ch->c[i - 1]); i--)
		ch->c[i] = ch->c[i - 1];
	ch->c[i] = c;
}

/* The one to go, or 0; the next worst are kept for next time. */
static uint32_t choice_take(struct choice *ch, struct hand *h)
{
	h->kept_n = 0;
	for (uint32_t i = 1; i < ch->n && h->kept_n < KEEP_MAX; i++)
		h->kept[h->kept_n++] = ch->c[i].slot;
	return ch->n ? ch->c[0].slot : ch->young_slot;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The next slot under the hand; top steps visit each slot once. */
static uint32_t step_hand(struct hand *h, uint32_t top)
{
	if (h->stride_top != top) {
		h->stride_top = top;
		h->stride = (uint32_t)(top * 0.6180339887) | 1;
		while (gcd(h->stride, top) != 1)
			h->stride++;
	}
	h->at = (uint32_t)(((uint64_t)h->at + h->stride) % top);
	return h->at + 1;
}

static void consider_node(const struct graph *g, struct choice *ch, uint32_t slot, uint64_t ts_ns)
{
	const struct node_slot *ns = &g->nodes[slot];

	if (ns->state & SLOT_ALIVE && !(ns->n.flags & NODE_F_PINNED))
		choice_add(
			ch, &g->node_pool, &ns->age,
			(struct candidate){slot, use_at(&ns->age, epoch_of(ts_ns)), ns->n.last_ns});
}

/* GRAPH_FULL when all that is there is pinned. */
static int evict_node(struct graph *g, uint64_t ts_ns)
{
	struct pool *p = &g->node_pool;
	struct choice ch = {0};
	uint32_t slot, kept_n;

	for (uint32_t i = 0; i < p->hand.kept_n; i++)
		consider_node(g, &ch, p->hand.kept[i], ts_ns);
	kept_n = ch.n;
	for (uint32_t i = 0; i < p->top && ch.n < kept_n + CANDIDATE_MAX - KEEP_MAX; i++)
		consider_node(g, &ch, step_hand(&p->hand, p->top), ts_ns);
	slot = choice_take(&ch, &p->hand);
	if (!slot)
		return GRAPH_FULL;
	node_remove(g, slot);
	return 0;
}

static void consider_edge(const struct graph *g, struct choice *ch, uint32_t slot, uint64_t ts_ns)
{
	const struct edge_slot *es = &g->edges[slot];

	if (es->state & SLOT_ALIVE)
		choice_add(
			ch, &g->edge_pool, &es->age,
			(struct candidate){slot, use_at(&es->age, epoch_of(ts_ns)), es->e.last_ns});
}

static void evict_edge(struct graph *g, uint64_t ts_ns)
{
	struct pool *p = &g->edge_pool;
	struct choice ch = {0};
	uint32_t kept_n;

	for (uint32_t i = 0; i < p->hand.kept_n; i++)
		consider_edge(g, &ch, p->hand.kept[i], ts_ns);
	kept_n = ch.n;
	for (uint32_t i = 0; i < p->top && ch.n < kept_n + CANDIDATE_MAX - KEEP_MAX; i++)
		consider_edge(g, &ch, step_hand(&p->hand, p->top), ts_ns);
	edge_remove(g, choice_take(&ch, &p->hand), true);
}

/* Of the EXEC edges one: they have a limit of their own. All uses are taken when it is called. */
static void evict_use(struct graph *g, uint64_t ts_ns)
{
	struct hand *h = &g->use_hand;
	struct choice ch = {0};
	uint32_t kept_n;

	for (uint32_t i = 0; i < h->kept_n; i++)
		if (g->edges[h->kept[i]].e.use)
			consider_edge(g, &ch, h->kept[i], ts_ns);
	kept_n = ch.n;
	for (uint32_t i = 0; i < g->use_top && ch.n < kept_n + CANDIDATE_MAX - KEEP_MAX; i++)
		consider_edge(g, &ch, g->uses[step_hand(h, g->use_top)].owner, ts_ns);
	edge_remove(g, choice_take(&ch, h), true);
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
	r = pool_init(&g->node_pool, limits->node_max);
	if (!r)
		r = pool_init(&g->edge_pool, limits->edge_max);
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
	g->bytes += (g->node_pool.index.mask + 1ull) * sizeof(struct index_cell);
	g->bytes += (g->edge_pool.index.mask + 1ull) * sizeof(struct index_cell);
	*ret = g;
	return 0;
}

struct graph *graph_free(struct graph *g)
{
	if (!g)
		return NULL;
	index_fini(&g->node_pool.index);
	index_fini(&g->edge_pool.index);
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
		.nodes_n = g->node_pool.used_n,
		.edges_n = g->edge_pool.used_n,
		.text_bytes = g->text_live,
		.bytes = g->bytes,
		.nodes_evicted = g->node_pool.evicted_n,
		.edges_evicted = g->edge_pool.evicted_n,
		.removals_lost = g->removals_lost,
	};
}

static uint32_t node_slot_of(const struct graph *g, const struct node_key *k, uint64_t hash)
{
	uint32_t slot = index_get(&g->node_pool.index, hash, node_eq, g, k);

	return slot == INDEX_NONE ? 0 : slot;
}

static uint32_t node_slot_take(struct graph *g)
{
	struct pool *p = &g->node_pool;
	uint32_t slot = p->free_head;

	if (slot) {
		p->free_head = g->nodes[slot].next_free;
		if (!p->free_head)
			p->free_tail = 0;
	} else {
		slot = ++p->top;
	}
	p->used_n++;
	p->insert_seq++;
	return slot;
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
	struct node_slot *ns;
	uint32_t slot;
	int r;

	memcpy(g->name, k.name, k.len);
	k.name = g->name;
	r = make_text_room(g, k.len, ts_ns);
	if (!r && pool_full(&g->node_pool))
		r = evict_node(g, ts_ns);
	if (r)
		return r;
	slot = node_slot_take(g);
	ns = &g->nodes[slot];
	*ns = (struct node_slot){
		.n = {.id = slot,
		      .kind = (uint8_t)k.kind,
		      .name_len = (uint16_t)k.len,
		      .first_ns = ts_ns,
		      .last_ns = ts_ns},
		.hash = hash,
		.gen = ns->gen,
		.next_dirty = ns->next_dirty,
		.state = SLOT_ALIVE | (ns->state & SLOT_QUEUED),
	};
	ns->n.name = text_put(g, slot, &k);
	index_put(&g->node_pool.index, hash, slot);
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
	age_use(&g->nodes[slot].age, ts_ns, 1, g->node_pool.insert_seq);
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
	struct pool *p = &g->edge_pool;
	struct edge_slot *es;
	uint32_t slot;
	bool used;

	if (e->kind == EDGE_EXEC && !g->use_free && g->use_top == g->use_max)
		evict_use(g, ts_ns);
	if (pool_full(p))
		evict_edge(g, ts_ns);
	slot = p->free_head;
	used = slot != 0;
	if (used) {
		p->free_head = g->edges[slot].next_free;
		if (!p->free_head)
			p->free_tail = 0;
	} else {
		slot = ++p->top;
	}
	p->used_n++;
	p->insert_seq++;
	es = &g->edges[slot];
	*es = (struct edge_slot){
		.e = *e,
		/* Fresh memory is not read before it is written: that would cost a second fault. */
		.next_dirty = used ? es->next_dirty : 0,
		.state = SLOT_ALIVE | (used ? es->state & SLOT_QUEUED : 0),
	};
	es->e.use = NULL;
	if (e->kind == EDGE_EXEC) {
		es->e.use = use_take(g, slot);
		if (e->use)
			*es->e.use = *e->use;
	}
	edge_link(g, slot);
	index_put(&p->index, edge_hash(g, e), slot);
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
	age_use(&g->edges[slot].age, ts_ns, 1, g->edge_pool.insert_seq);
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

bool graph_next_node(const struct graph *g, uint32_t *it, const struct node **ret)
{
	for (uint32_t slot = *it + 1; slot <= g->node_pool.top; slot++) {
		if (!(g->nodes[slot].state & SLOT_ALIVE))
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

bool graph_next_change(struct graph *g, struct graph_change *ret)
{
	struct pool *p = &g->node_pool;
	uint32_t slot;

	if (next_removal(g, ret))
		return true;
	while ((slot = p->dirty_head)) {
		struct node_slot *ns = &g->nodes[slot];
		bool dirty = ns->state & SLOT_DIRTY;

		p->dirty_head = ns->next_dirty;
		if (!p->dirty_head)
			p->dirty_tail = 0;
		ns->state &= (uint8_t) ~(SLOT_DIRTY | SLOT_QUEUED);
		if (!dirty)
			continue;
		ns->state |= SLOT_KNOWN;
		*ret = (struct graph_change){.node = &ns->n};
		return true;
	}
	p = &g->edge_pool;
	while ((slot = p->dirty_head)) {
		struct edge_slot *es = &g->edges[slot];
		bool dirty = es->state & SLOT_DIRTY;

		p->dirty_head = es->next_dirty;
		if (!p->dirty_head)
			p->dirty_tail = 0;
		es->state &= (uint8_t) ~(SLOT_DIRTY | SLOT_QUEUED);
		if (!dirty)
			continue;
		es->state |= SLOT_KNOWN;
		*ret = (struct graph_change){.edge = &es->e};
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
	age_use(&g->nodes[slot].age, n->last_ns, 1 + (n->runs_n < 1000 ? n->runs_n : 1000),
		g->node_pool.insert_seq);
	g->nodes[slot].state |= SLOT_KNOWN;
	*ret_id = slot;
	return 0;
}

int graph_restore_edge(struct graph *g, const struct edge *e)
{
	uint64_t uses = e->count < 1000 ? e->count : 1000;
	struct node_slot *to;
	uint32_t slot;

	if (e->kind <= EDGE_NONE || e->kind >= EDGE_KIND_MAX)
		return fault(-EINVAL);
	if (!node_alive(g, e->from) || !node_alive(g, e->to))
		return fault(-ENOENT);
	if (edge_slot_of(g, e))
		return fault(-EEXIST);
	slot = edge_make(g, e, e->last_ns);
	age_use(&g->edges[slot].age, e->last_ns, uses, g->edge_pool.insert_seq);
	g->edges[slot].state |= SLOT_KNOWN;
	/* A file has no runs: what it was used for stands in its edges. */
	to = &g->nodes[e->to];
	age_use(&to->age, e->last_ns, uses, to->age.seq);
	return 0;
}
