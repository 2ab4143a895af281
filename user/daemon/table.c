// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * table.c - a start is worth a wakeup when what it foretells could take longer from disk than the wakeup
 * costs by far, and when it was not started a moment ago: then all it needs is in memory.
 */
#include "daemon/table.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/heap.h"
#include "core/block.h"

#include <stdio.h>
#include <string.h>

/* A wakeup took 3-6 us here (make bench-capture); a tenth of a percent of this much is that. */
#define WAKE_WORTH_US 1000.0
/* A row is written at a start of its block, but not when it is younger than this: to look up what a block
 * needs for each of a thousand starts a second would cost more than it tells. */
#define ROW_OLD_NS 500000000ull
#define LOOK_MAX 64
/* Of a block for whose starts nothing had to be done, time and again: what is in its row besides whether it wakes is
 * for whoever looks. */
#define ROW_IDLE_OLD_NS (10ull * 1000 * 1000 * 1000)
/* After so many starts on account of which nothing was read from a disk, one is not worth it unless something
 * that was in memory has left it. */
#define IDLE_STARTS 8

struct seen {
	uint64_t start_ns, row_ns; /* its last start, and the one its row was written at */
	uint64_t row_ino;	   /* of the file it was then, on */
	uint32_t row_dev;
	float worth_us;	    /* as its row was written */
	enum fwm_wake wake; /* likewise, and */
	uint32_t row_left_n;
	uint32_t left_n; /* files that had left memory when its needs were last looked after */
	bool looked;	 /* they were, and the kernel tells what leaves */
	bool wakes;
	bool busy; /* in the list of those */
};

struct busy {
	uint32_t block;
	struct fwm_block_key key;
};

#define EDGE_ROWS 512
#define EDGES_NS (5000ull * 1000 * 1000)
/* Whoever looks at the edges with bpftool waits longer where it takes longer to find the busiest: a 5000th of the
 * time goes into that, unless they would be older than a minute. */
#define EDGES_SHARE 5000
#define EDGES_MAX_NS (60000ull * 1000 * 1000)

/* What a row of an edge is made of, as far as it says whether that changed. */
struct row {
	uint32_t from, to;
	uint64_t count, runs_n;
};

/* An edge by what it is called: it may go while the others are looked at. */
struct named {
	uint32_t from, to;
	enum edge_kind kind;
};

struct table {
	struct heap
		top; /* the EDGE_ROWS edges taken most often, the least of them first: places in named */
	struct named named[EDGE_ROWS];
	uint32_t looked;   /* the node whose edges were looked at last; 0: none yet */
	bool found;	   /* all were: rows are being written */
	struct seen *seen; /* by graph id of the block */
	struct busy busy[TABLE_BUSY];
	struct row rows[EDGE_ROWS + 1]; /* by id, as written last */
	uint32_t node_max, busy_n;
	uint64_t recheck_ns, refused_n;
};

int table_new(uint32_t node_max, uint64_t recheck_ns, struct table **ret)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return fault(-ENOMEM);
	t->node_max = node_max;
	t->recheck_ns = recheck_ns;
	t->seen = calloc((size_t)node_max + 1, sizeof(*t->seen));
	if (!t->seen || heap_init(&t->top, EDGE_ROWS) < 0) {
		(void)table_free(t);
		return fault(-ENOMEM);
	}
	*ret = t;
	return 0;
}

struct table *table_free(struct table *t)
{
	if (!t)
		return NULL;
	heap_fini(&t->top);
	free(t->seen);
	free(t);
	return NULL;
}

/* The end of a long name says more than its beginning. */
static void put_text(char to[FWM_TEXT_MAX], const char *name)
{
	size_t n = strlen(name);

	if (n < FWM_TEXT_MAX)
		memcpy(to, name, n + 1);
	else
		snprintf(to, FWM_TEXT_MAX, "...%s", name + n - (FWM_TEXT_MAX - 4));
}

static uint32_t saturate(double v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void fill_row(struct engine *e, uint32_t block, struct fwm_guess_row *row, double *ret_worth)
{
	const struct graph *g = engine_graph_const(e);
	struct guess best[LOOK_MAX];
	size_t n = engine_predict_block(e, block, best, LOOK_MAX);

	*row = (struct fwm_guess_row){0};
	*ret_worth = 0;
	put_text(row->block, graph_node_const(g, block)->name);
	for (size_t i = 0; i < n; i++) {
		if (best[i].decision == DECISION_NONE) /* else it would not be acted on */
			*ret_worth += best[i].value_us;
		if (i >= FWM_GUESS_TOP)
			continue;
		row->guesses[i] = (struct fwm_guess){
			.p_ppm = (uint32_t)(best[i].p * 1e6),
			.lead_us = saturate((double)best[i].lead_ns / 1e3),
			.support = saturate((double)best[i].support),
			.value = saturate(best[i].value_us),
		};
		put_text(row->guesses[i].needs, graph_node_const(g, best[i].dep)->name);
	}
	row->guess_n = n < FWM_GUESS_TOP ? (uint32_t)n : FWM_GUESS_TOP;
}

static enum fwm_wake wake_of(const struct seen *s, double worth_us, uint32_t idle_starts,
			     bool seldom)
{
	bool idle = s->looked && idle_starts > IDLE_STARTS;

	if (worth_us < WAKE_WORTH_US)
		return idle ? FWM_WAKE_IDLE : FWM_WAKE_NO;
	if (idle)
		return FWM_WAKE_LEFT;
	if (seldom)
		return FWM_WAKE_YES;
	return s->looked ? FWM_WAKE_AGAIN : FWM_WAKE_NO;
}

static void write_row(struct table *t, struct engine *e, struct capture *c, uint32_t block,
		      struct fwm_block_key key, bool seldom)
{
	struct seen *s = &t->seen[block];
	struct fwm_guess_row row;
	double worth;

	fill_row(e, block, &row, &worth);
	row.wake = wake_of(s, worth, engine_idle_starts(e, block), seldom);
	row.left_n = s->left_n;
	s->wakes = seldom;
	s->worth_us = (float)worth;
	s->wake = row.wake;
	s->row_left_n = row.left_n;
	s->row_ino = key.ino;
	s->row_dev = key.dev;
	if (capture_guesses_update(c, &key, &row) < 0)
		t->refused_n++;
	key.arg = 0; /* however else it is called: better than nothing */
	if (capture_guesses_update(c, &key, &row) < 0)
		t->refused_n++;
}

/* Its row says the same as it would now: whether it was started a moment ago makes no difference to one that only
 * wakes when something has left memory. */
static bool row_holds(const struct seen *s, const struct fwm_block_key *key, uint32_t idle_starts,
		      uint64_t now_ns, bool seldom)
{
	return s->row_ns && now_ns - s->row_ns < ROW_IDLE_OLD_NS && s->row_ino == key->ino &&
	       s->row_dev == key->dev && (s->wake == FWM_WAKE_LEFT || s->wake == FWM_WAKE_IDLE) &&
	       s->row_left_n == s->left_n &&
	       wake_of(s, s->worth_us, idle_starts, seldom) == s->wake;
}

void table_note(struct table *t, struct engine *e, struct capture *c, const struct obs *o)
{
	struct fwm_block_key key = block_key_of(&o->file, o->args, o->args_len);
	char name[BLOCK_NAME_MAX];
	const struct node *n;
	struct seen *s;
	uint32_t block;
	bool seldom;

	(void)block_name(o, name);
	block = graph_find(engine_graph_const(e), NODE_BLOCK, name);
	if (!block || !key.ino)
		return;
	n = graph_node_const(engine_graph_const(e), block);
	s = &t->seen[block];
	if (!(o->flags & OBS_F_READY))
		s->looked = capture_resident_left(c, &s->left_n) == 0;
	seldom = o->ts_ns - s->start_ns >= t->recheck_ns;
	s->start_ns = o->ts_ns;
	if (n->runs_n < 2 || (seldom == s->wakes && s->row_ns && o->ts_ns - s->row_ns < ROW_OLD_NS))
		return;
	if (row_holds(s, &key, engine_idle_starts(e, block), o->ts_ns, seldom)) {
		s->wakes = seldom;
	} else {
		s->row_ns = o->ts_ns;
		write_row(t, e, c, block, key, seldom);
	}
	if (!seldom && !s->busy && t->busy_n < TABLE_BUSY) {
		s->busy = true;
		t->busy[t->busy_n++] = (struct busy){block, key};
	}
}

bool table_tick(struct table *t, struct engine *e, struct capture *c, uint64_t now_ns,
		const struct pause *pause)
{
	for (uint32_t i = 0; i < t->busy_n;) {
		const struct busy b = t->busy[i];
		struct seen *s = &t->seen[b.block];
		const struct node *n = graph_node_const(engine_graph_const(e), b.block);

		/* Somewhat before: until the next tick a start would be told by the timer only. */
		if (n && n->kind == NODE_BLOCK && now_ns - s->start_ns < t->recheck_ns / 4 * 3) {
			i++;
			continue;
		}
		s->busy = false;
		t->busy[i] = t->busy[--t->busy_n];
		if (!n || n->kind != NODE_BLOCK || s->wakes ||
		    row_holds(s, &b.key, engine_idle_starts(e, b.block), now_ns, true))
			continue;
		s->row_ns = now_ns;
		write_row(t, e, c, b.block, b.key, true);
		if (pause_wanted(pause))
			return false;
	}
	return true;
}

static void fill_edge(const struct graph *g, const struct edge *edge, struct fwm_edge_row *row)
{
	const struct node *from = graph_node_const(g, edge->from);
	double share = from->runs_n ? (double)edge->runs_n / (double)from->runs_n : 0;

	*row = (struct fwm_edge_row){
		.count = edge->count,
		.p_ppm = (uint32_t)((share < 1 ? share : 1) * 1e6),
		.p50_us = saturate((double)sketch_quantile(&edge->latency, 0.5) / 1e3),
		.p99_us = saturate((double)sketch_quantile(&edge->latency, 0.99) / 1e3),
		.lead_us = edge->lead_n ? saturate((double)edge->lead_sum_ns /
						   (double)edge->lead_n / 1e3)
					: 0,
	};
	put_text(row->block, from->name);
	put_text(row->needs, graph_node_const(g, edge->to)->name);
}

static void note_top(struct table *t, const struct edge *edge)
{
	uint64_t least, at = t->top.used_n;

	if (at == EDGE_ROWS) {
		(void)heap_peek(&t->top, &least, &at);
		if (edge->count <= least)
			return;
		(void)heap_pop(&t->top, &least, &at);
	}
	t->named[at] = (struct named){edge->from, edge->to, (enum edge_kind)edge->kind};
	(void)heap_push(&t->top, edge->count, at);
}

static bool find_top(struct table *t, const struct graph *g, const struct pause *pause)
{
	const struct edge *edge;
	const struct node *n;

	while (!t->found && graph_next_node(g, &t->looked, &n)) {
		uint32_t it = 0;

		if (n->kind != NODE_BLOCK)
			continue;
		while (graph_next_out(g, n->id, &it, &edge))
			if (edge->kind != EDGE_BELOW) /* its own row says the same */
				note_top(t, edge);
		if (pause_wanted(pause))
			return false;
	}
	t->found = true;
	return true;
}

static bool row_changed(struct table *t, const struct graph *g, uint32_t id,
			const struct edge *edge)
{
	const struct row now = {edge->from, edge->to, edge->count,
				graph_node_const(g, edge->from)->runs_n};
	struct row *was = &t->rows[id];

	if (was->from == now.from && was->to == now.to && was->count == now.count &&
	    was->runs_n == now.runs_n)
		return false;
	*was = now;
	return true;
}

bool table_edges(struct table *t, struct engine *e, struct capture *c, const struct pause *pause)
{
	const struct graph *g = engine_graph_const(e);
	struct fwm_edge_row row;
	uint64_t count, at;

	if (!find_top(t, g, pause))
		return false;
	for (uint32_t id = t->top.used_n; id > 0 && heap_pop(&t->top, &count, &at); id--) {
		const struct named *named = &t->named[at];
		const struct edge *edge = graph_edge_find(g, named->from, named->to, named->kind);

		if (!edge || !row_changed(t, g, id, edge))
			continue;
		fill_edge(g, edge, &row);
		if (capture_edges_update(c, id, &row) < 0)
			t->refused_n++;
		if (id > 1 && pause_wanted(pause))
			return false;
	}
	t->looked = 0;
	t->found = false;
	return true;
}

uint64_t table_edges_rest(uint64_t took_ns)
{
	uint64_t rest_ns =
		took_ns < EDGES_MAX_NS / EDGES_SHARE ? took_ns * EDGES_SHARE : EDGES_MAX_NS;

	return rest_ns > EDGES_NS ? rest_ns : EDGES_NS;
}

uint64_t table_refused(const struct table *t)
{
	return t->refused_n;
}
