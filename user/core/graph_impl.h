/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * graph_impl.h - what the files of the graph share. For these only.
 *
 * Shape    graph.c has the arrays and their indexes; graph_text.c the arena of names; graph_evict.c what
 *          goes for want of room; graph_change.c what the store has yet to hear of.
 *          A slot number is the id. Edges hang in two doubly linked lists by slot number, one of their
 *          `from` (out) and one of their `to` (in); 0 ends a list.
 * Owner    struct graph is graph_new()'s.
 */
#ifndef CORE_GRAPH_IMPL_H
#define CORE_GRAPH_IMPL_H

#include "base/index.h"
#include "core/graph.h"
#include "core/slots.h"

enum { NAME_MAX_BYTES = 4096 /* NUL included */ };
enum { SLOT_KNOWN = 16 /* to the store */ };

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

static inline uint64_t graph_edge_hash(const struct graph *g, const struct edge *e)
{
	return hash_mix2(g->hash_seed ^ ((uint64_t)e->from << 32 | e->to), e->kind);
}

struct node_key {
	enum node_kind kind;
	size_t len;
	const char *name;
};

/* --- graph_text.c -------------------------------------------------------------------------------- */

static inline struct text_head *graph_text_head(char *name)
{
	return (struct text_head *)(void *)(name - sizeof(struct text_head));
}

/* The arena is ours to write, though the node shows its name as const. */
static inline char *graph_text_own(const struct graph *g, const char *name)
{
	return g->text + (name - g->text);
}

void graph_text_free(struct graph *g, const char *name);
/* Room for a name of len bytes, evicting for it. GRAPH_FULL when all that is there is pinned. */
int graph_text_room(struct graph *g, size_t len, uint64_t ts_ns);
/* After graph_text_room(). Returns the graph's copy. */
const char *graph_text_put(struct graph *g, uint32_t owner, const struct node_key *k);

/* --- graph_evict.c ------------------------------------------------------------------------------- */

void graph_edge_link(struct graph *g, uint32_t slot);
/* Each makes room for one more. GRAPH_FULL when all nodes are pinned. */
int graph_evict_node(struct graph *g, uint64_t ts_ns);
void graph_evict_edge(struct graph *g, uint64_t ts_ns);
/* Of the EXEC edges one: they have a limit of their own. All uses are taken when it is called. */
void graph_evict_use(struct graph *g, uint64_t ts_ns);

/* --- graph_change.c ------------------------------------------------------------------------------ */

/* NULL when the list is full; the loss is counted. */
struct removal *graph_removal_push(struct graph *g, uint32_t *ret_number);
/* The oldest; its name stays readable until the arena is next compacted. */
struct removal graph_removal_pop(struct graph *g);

#endif
