/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * graph.h - what depends on what, and at what cost.
 *
 * Shape    Nodes (blocks, files, services) interned by kind and name; directed edges from a block
 *          to what it needed (a block it ran, a file it opened or looked up in vain, a service it
 *          connected to). Ids are dense, from 1; 0 is "none" and never a node.
 * Units    ns, bytes, exact counts. ts_ns is ns of CLOCK_REALTIME, so that it means the same after
 *          a restart; the caller converts.
 * Bounds   node_max nodes, edge_max edges, text_bytes_max of names, all taken at graph_new(). At a
 *          limit the least useful (old and seldom) goes and is counted in struct graph_stats.
 *          What was touched within the last node_max/4 (edge_max/4) new ones goes only when there
 *          is nothing else, so ids used together in one step stay valid. An id is used again
 *          as late as possible. Every call is O(1) amortised; an eviction looks at 16
 *          candidates. A node that has edges goes with them.
 * Owner    The caller owns struct graph. Names and edges handed out are borrowed until the next
 *          mutating call.
 * Errors   < 0 -errno; GRAPH_FULL: everything in the way is pinned, nothing was added.
 * Threads  One owner at a time.
 */
#ifndef CORE_GRAPH_H
#define CORE_GRAPH_H

#include "core/sketch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GRAPH_FULL = 1 };

enum node_kind { NODE_NONE, NODE_BLOCK, NODE_FILE, NODE_SERVICE, NODE_KIND_MAX };
enum edge_kind {
	EDGE_NONE,
	EDGE_EXEC,    /* block ran block */
	EDGE_OPEN,    /* block opened file, or looked for it in vain */
	EDGE_CONNECT, /* block connected to service */
	EDGE_LISTEN,  /* block answers at service */
	EDGE_BELOW,   /* a program that block started, at any depth, needed file or service */
	EDGE_KIND_MAX
};

struct node {
	uint32_t id;
	uint8_t kind;
	uint8_t flags; /* NODE_F_* */
	uint16_t name_len;
	const char *name; /* NUL-terminated, borrowed */
	uint64_t first_ns, last_ns;
	uint64_t runs_n;      /* BLOCK: times it was started */
	uint64_t size_bytes;  /* FILE: last seen size */
	uint64_t dev, ino;    /* FILE: last seen identity */
	uint32_t uid;	      /* who ran or touched it last */
	uint32_t out_n, in_n; /* edges; kept by the graph */
};

#define NODE_F_ABSENT (1u << 0) /* FILE: its last lookup failed with ENOENT */
#define NODE_F_TEMP (1u << 1)	/* FILE: stands for all temporary ones of its kind: "/tmp/cc*.s" */
#define NODE_F_PINNED (1u << 2) /* BLOCK: it runs; never evicted */
#define NODE_F_DIR (1u << 3)	/* FILE: a directory */
#define NODE_F_SHARED (1u << 4) /* more than one user ran or touched it */

/* Of the programs run over an EXEC edge, summed up at their ends. */
struct edge_use {
	uint64_t use_n, life_sum_ns, cpu_sum_ns, rss_peak_bytes, read_sum_bytes, write_sum_bytes;
	uint64_t majflt_sum, minflt_sum;
	uint64_t cold_n,
		cold_sum_ns; /* lives of those that had to wait for a disk; the others were warm */
};

/* Sums over all times the edge was taken; a mean is sum / n. */
struct edge {
	uint32_t from, to;
	uint8_t kind;	   /* enum edge_kind */
	uint8_t flags;	   /* EDGE_F_* */
	uint8_t unswept_n; /* EDGE_F_SWEEP: opened so often since an entry was asked about; not kept */
	uint8_t soon; /* how soon, at least, it is taken lately: see core/lead.h; 0: not known, for it is not kept */
	int32_t errno_last; /* 0, or why it failed last time */
	uint64_t count;	    /* times taken, failures too */
	uint64_t runs_n;    /* runs of `from` in which it was taken at least once */
	uint64_t fail_n;
	uint64_t first_ns, last_ns;
	uint64_t latency_sum_ns;
	uint64_t lead_sum_ns, lead_n; /* since the block started, first touch of each run */
	/* The chance that a run of `from` takes it, by exponential forgetting: p_last held right after
	 * run number run_last (of node.runs_n; EDGE_F_LOOKUP: of those in which was told what is asked about)
	 * took it, and shrinks with each run that does not. */
	double p_last;
	uint64_t run_last;
	struct edge_use *use; /* EXEC: never NULL; others: NULL. Owned by the graph */
	struct sketch latency;
};

#define EDGE_F_SWEEP (1u << 2)	/* OPEN, of a directory: its entries are asked about one by one */
#define EDGE_F_LOOKUP (1u << 1) /* OPEN, BELOW: was only ever asked about (stat), never opened */
#define EDGE_F_WRITE                                                                               \
	(1u                                                                                        \
	 << 0) /* OPEN: in the last run it was written without being read, so there is nothing to warm */

struct graph_limits {
	uint32_t node_max, edge_max;
	uint32_t use_max;	 /* EXEC edges among the edges */
	uint32_t text_bytes_max; /* at least 64 KiB; an eighth of it is slack for compaction */
	uint64_t hash_seed;	 /* random in a daemon, so that names cannot be made to collide */
};

struct graph_stats {
	uint32_t nodes_n, edges_n;
	uint64_t text_bytes, bytes; /* bytes: all memory of the graph */
	uint64_t nodes_evicted, edges_evicted;
	uint64_t removals_lost; /* not told to the store: it keeps a stale row */
};

struct graph;

/* -EINVAL when a limit is below 16 nodes, edges and uses or 64 KiB. */
int graph_new(const struct graph_limits *limits, struct graph **ret);
struct graph *graph_free(struct graph *g);
void graph_stats(const struct graph *g, struct graph_stats *ret);

/* The node of that kind and name, made when new; last_ns is set, and it is marked changed.
 * -EINVAL for no name, -ENAMETOOLONG above 4,095 bytes. */
int graph_intern(struct graph *g, enum node_kind kind, const char *name, uint64_t ts_ns,
		 uint32_t *ret_id);
/* 0 when there is none. */
uint32_t graph_find(const struct graph *g, enum node_kind kind, const char *name);
/* NULL when id is not a living node. The caller may change fields, but not id, kind and name, and
 * says so with graph_touch_node(). */
struct node *graph_node(struct graph *g, uint32_t id);
const struct node *graph_node_const(const struct graph *g, uint32_t id);
void graph_touch_node(struct graph *g, uint32_t id);

/* The edge, made when new with all counts 0; last_ns is set, and it is marked changed. -ENOENT when
 * an end is no living node. */
int graph_edge(struct graph *g, uint32_t from, uint32_t to, enum edge_kind kind, uint64_t ts_ns,
	       struct edge **ret);
const struct edge *graph_edge_find(const struct graph *g, uint32_t from, uint32_t to,
				   enum edge_kind kind);
/* The same, to change what is noted of it, which is no use of it. */
struct edge *graph_edge_note(struct graph *g, uint32_t from, uint32_t to, enum edge_kind kind);

/* Walks: out-edges of a block, in-edges of a dependency, all nodes. Start with *it = 0; false at
 * the end. No mutating call in between. */
bool graph_next_out(const struct graph *g, uint32_t from, uint32_t *it, const struct edge **ret);
bool graph_next_in(const struct graph *g, uint32_t to, uint32_t *it, const struct edge **ret);
/* *it of a walk of from's out-edges that stands at this one, to go on after a mutating call; 0: it is
 * gone. */
uint32_t graph_out_at(const struct graph *g, uint32_t from, uint32_t to, enum edge_kind kind);
bool graph_next_node(const struct graph *g, uint32_t *it, const struct node **ret);

/* What changed since it was last handed out, for the store: each changed node and edge once, with
 * its present totals and marked clean by this call. Removals come first (removed set; only what
 * had been handed out or restored before), then nodes, then edges, so both ends of an edge are
 * always known. Of a removed node kind and name count (its edges went with it and are not listed),
 * of a removed edge from, to and kind, both ends being alive. false when nothing is left.
 * Removals are kept in a bounded list; when it overflows, stats say so and the store keeps
 * stale rows, which is harmless. */
struct graph_change {
	const struct node *node; /* one of the two is set */
	const struct edge *edge;
	bool removed;
};
bool graph_next_change(struct graph *g, struct graph_change *ret);
/* The same, without what can wait: nodes and edges that were handed out before and have only been taken once more, as
 * many times before. */
bool graph_next_news(struct graph *g, struct graph_change *ret);
/* The store has nothing of it any more: all of it is to be handed out again. */
void graph_changed_all(struct graph *g);

/* Loading what a store kept: names are promised, ids are not; the result is marked clean. An edge
 * is given with from and to already translated to living ids; what e->use points to is copied.
 * -EEXIST when it is there. */
int graph_restore_node(struct graph *g, const struct node *n, uint32_t *ret_id);
int graph_restore_edge(struct graph *g, const struct edge *e);

#endif
