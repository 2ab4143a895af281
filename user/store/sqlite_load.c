// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sqlite_load.c - what was kept, read back at start. A row that makes no sense is left out.
 */
#include "store/pack.h"
#include "store/sqlite_columns.h"
#include "store/sqlite_impl.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LEN_MAX = 4095 };

/* Columns of a row count from 0, parameters from 1. */
#define COL(number) ((number)-1)

/* Of node rows: which node of the graph each became; in the order of rows. */
struct loaded {
	int64_t row;
	uint32_t id; /* 0: evicted again while later ones were loaded */
};

struct loading {
	struct loaded *nodes;
	uint32_t nodes_n, nodes_max;
	uint32_t *by_id; /* which of nodes got this id last */
	uint32_t id_max;
};

static void loading_fini(struct loading *l)
{
	free(l->nodes);
	free(l->by_id);
}

static int loading_add(struct loading *l, int64_t row, uint32_t id)
{
	if (l->nodes_n == l->nodes_max) {
		uint32_t max = l->nodes_max ? 2 * l->nodes_max : 1024;
		struct loaded *p = realloc(l->nodes, max * sizeof(*p));

		if (!p)
			return fault(-ENOMEM);
		l->nodes = p;
		l->nodes_max = max;
	}
	if (id >= l->id_max) {
		uint32_t max = l->id_max ? 2 * l->id_max : 1024, *p;

		max = max > id ? max : id + 1;
		p = realloc(l->by_id, max * sizeof(*p));
		if (!p)
			return fault(-ENOMEM);
		l->by_id = p;
		l->id_max = max;
	}
	l->by_id[id] = l->nodes_n;
	l->nodes[l->nodes_n++] = (struct loaded){row, id};
	return 0;
}

static void loading_drop_evicted(struct loading *l)
{
	for (uint32_t i = 0; i < l->nodes_n; i++)
		if (l->by_id[l->nodes[i].id] != i)
			l->nodes[i].id = 0;
}

/* 0 when there is no such node. Rows are numbered almost without gaps, so where a row must be is
 * guessed from its number; each guess that is off is followed by a halving. */
static uint32_t loading_get(const struct loading *l, int64_t row)
{
	uint32_t lo = 0, hi = l->nodes_n; /* in [lo, hi) */
	bool guess = true;

	while (lo < hi) {
		int64_t first = l->nodes[lo].row, last = l->nodes[hi - 1].row;
		/* As far apart as any two numbers of 64 bits may be: in a damaged file. */
		uint64_t in = (uint64_t)row - (uint64_t)first;
		uint64_t all = (uint64_t)last - (uint64_t)first;
		uint32_t at = lo + (hi - lo) / 2;

		if (row < first || row > last)
			return 0;
		if (guess && all)
			at = lo + (uint32_t)((double)in / (double)all * (hi - 1 - lo));
		guess = !guess;
		if (l->nodes[at].row == row)
			return l->nodes[at].id;
		if (l->nodes[at].row < row)
			lo = at + 1;
		else
			hi = at;
	}
	return 0;
}

static uint64_t column(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, COL(at));
}

/* Counts and sums: what is negative was never written by us. */
static uint64_t column_sum(sqlite3_stmt *st, int at)
{
	int64_t v = sqlite3_column_int64(st, COL(at));

	return v < 0 ? 0 : (uint64_t)v;
}

/* What loading comes to that ended with r. A file that was found corrupt is set aside: there is no more in the fresh
 * one. */
static int load_end(struct store *s, int r, int aside)
{
	if (r < 0 && s->corrupt)
		return file_ready(s);
	return r ? r : aside;
}

static int load_nodes(struct store *s, struct graph *g, struct loading *l)
{
	sqlite3_stmt *st = s->stmts[STMT_LOAD_NODES];
	int rc, r = 0;

	while (!r && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, COL(NODES_name));
		int name_len = sqlite3_column_bytes(st, COL(NODES_name));
		int64_t row = sqlite3_column_int64(st, COL(NODES_ROW)),
			kind = sqlite3_column_int64(st, COL(NODES_kind));
		struct node n = {
			.kind = (uint8_t)kind,
			.flags = (uint8_t)(column(st, NODES_flags) & ~(uint64_t)NODE_F_PINNED),
			.name = name,
			.first_ns = column_sum(st, NODES_first_ns),
			.last_ns = column_sum(st, NODES_last_ns),
			.runs_n = column_sum(st, NODES_runs_n),
			.size_bytes = column_sum(st, NODES_size_bytes),
			.dev = column(st, NODES_dev),
			.ino = column(st, NODES_ino),
			.uid = (uint32_t)column(st, NODES_uid),
		};
		uint32_t id = 0;

		if (kind <= NODE_NONE || kind >= NODE_KIND_MAX || !name || name_len < 1 ||
		    name_len > NAME_LEN_MAX || strlen(name) != (size_t)name_len)
			continue;
		r = graph_restore_node(g, &n, &id);
		if (r == -EEXIST || r == GRAPH_FULL)
			r = 0;
		else if (!r)
			r = loading_add(l, row, id);
	}
	if (!r && rc != SQLITE_DONE)
		r = sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return r;
}

static void edge_of_row(sqlite3_stmt *st, struct edge *e, struct edge_use *use)
{
	double p = sqlite3_column_double(st, COL(EDGES_p_last));

	*e = (struct edge){
		.kind = (uint8_t)column(st, EDGES_kind),
		.count = column_sum(st, EDGES_count),
		.runs_n = column_sum(st, EDGES_runs_n),
		.fail_n = column_sum(st, EDGES_fail_n),
		.errno_last = sqlite3_column_int(st, COL(EDGES_errno_last)),
		.first_ns = column_sum(st, EDGES_first_ns),
		.last_ns = column_sum(st, EDGES_last_ns),
		.latency_sum_ns = column_sum(st, EDGES_latency_sum_ns),
		.lead_sum_ns = column_sum(st, EDGES_lead_sum_ns),
		.lead_n = column_sum(st, EDGES_lead_n),
		.p_last = p >= 0 && p <= 1 ? p : 0,
		.run_last = column_sum(st, EDGES_run_last),
		.flags = (uint8_t)column(st, EDGES_flags),
	};
	if (sqlite3_column_bytes(st, COL(EDGES_latency)) == sizeof(e->latency.bins))
		memcpy(e->latency.bins, sqlite3_column_blob(st, COL(EDGES_latency)),
		       sizeof(e->latency.bins));
	if (e->kind != EDGE_EXEC)
		return;
	*use = (struct edge_use){
		.use_n = column_sum(st, EDGES_use_n),
		.life_sum_ns = column_sum(st, EDGES_life_sum_ns),
		.cpu_sum_ns = column_sum(st, EDGES_cpu_sum_ns),
		.rss_peak_bytes = column_sum(st, EDGES_rss_peak_bytes),
		.read_sum_bytes = column_sum(st, EDGES_read_sum_bytes),
		.write_sum_bytes = column_sum(st, EDGES_write_sum_bytes),
		.majflt_sum = column_sum(st, EDGES_majflt_sum),
		.minflt_sum = column_sum(st, EDGES_minflt_sum),
		.cold_n = column_sum(st, EDGES_cold_n),
		.cold_sum_ns = column_sum(st, EDGES_cold_sum_ns),
	};
	e->use = use;
}

static int load_edges(struct store *s, struct graph *g, const struct loading *l)
{
	sqlite3_stmt *st = s->stmts[STMT_LOAD_EDGES];
	int64_t from_row = 0; /* rows come by it: look it up once */
	uint32_t from = 0;
	int rc, r = 0;

	while (!r && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t row = sqlite3_column_int64(st, COL(EDGES_from_id)),
			kind = sqlite3_column_int64(st, COL(EDGES_kind));
		struct edge_use use;
		struct edge e;

		if (kind <= EDGE_NONE || kind >= EDGE_KIND_MAX)
			continue;
		if (row != from_row) {
			from_row = row;
			from = loading_get(l, row);
		}
		edge_of_row(st, &e, &use);
		e.from = from;
		e.to = loading_get(l, sqlite3_column_int64(st, COL(EDGES_to_id)));
		if (!e.from || !e.to)
			continue;
		r = graph_restore_edge(g, &e);
		if (r == -EEXIST)
			r = 0;
	}
	if (!r && rc != SQLITE_DONE)
		r = sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return r;
}

static int load_model(struct store *s, void **ret_model, size_t *ret_model_n)
{
	sqlite3_stmt *st = s->stmts[STMT_LOAD_MODEL];
	_cleanup_(freep) void *model = NULL;
	size_t model_n = 0;
	int rc = sqlite3_step(st), r = 0;

	if (rc == SQLITE_ROW) {
		const void *state = sqlite3_column_blob(st, 0);

		model_n = (size_t)sqlite3_column_bytes(st, 0);
		if (state && model_n)
			r = unpack_bytes(state, model_n, &model, &model_n);
	} else if (rc != SQLITE_DONE) {
		r = sql_fault(s, rc);
	}
	(void)sqlite3_reset(st);
	if (r)
		return r;
	*ret_model_n = model ? model_n : 0;
	*ret_model = TAKE_PTR(model);
	return 0;
}

int store_load(struct store *s, struct graph *g, void **ret_model, size_t *ret_model_n)
{
	_cleanup_(loading_fini) struct loading l = {0};
	int r = file_ready(s), aside = r;

	if (r < 0)
		return r;
	r = load_nodes(s, g, &l);
	loading_drop_evicted(&l);
	if (!r)
		r = load_edges(s, g, &l);
	if (!r)
		r = load_model(s, ret_model, ret_model_n);
	if (r) {
		*ret_model = NULL;
		*ret_model_n = 0;
	}
	return load_end(s, r, aside);
}

int store_load_ranges(struct store *s, const struct graph *g, store_ranges_fn fn, void *ctx)
{
	sqlite3_stmt *st;
	int rc, r = file_ready(s), aside = r;

	if (r < 0)
		return r;
	st = s->stmts[STMT_LOAD_RANGES];
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *block = (const char *)sqlite3_column_text(st, 0);
		const char *file = (const char *)sqlite3_column_text(st, 1);
		const void *cells = sqlite3_column_blob(st, 2);
		uint32_t block_id = block ? graph_find(g, NODE_BLOCK, block) : 0;
		uint32_t file_id = file ? graph_find(g, NODE_FILE, file) : 0;

		if (block_id && file_id && cells)
			fn(ctx, block_id, file_id, cells, (size_t)sqlite3_column_bytes(st, 2));
	}
	r = rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return load_end(s, r, aside);
}

static double column_share(sqlite3_stmt *st, int at)
{
	double v = sqlite3_column_double(st, COL(at));

	return v > 0 && v <= 1 ? v : 0;
}

static uint32_t column_u32(sqlite3_stmt *st, int at)
{
	uint64_t v = column_sum(st, at);

	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint32_t node_of(const struct graph *g, enum node_kind kind, sqlite3_stmt *st, int at)
{
	const char *name = (const char *)sqlite3_column_text(st, at);

	return name ? graph_find(g, kind, name) : 0;
}

/* Kept as what had passed since made_ns; NULL: it had not come. */
static uint64_t column_since(sqlite3_stmt *st, int at, uint64_t made_ns)
{
	return sqlite3_column_type(st, COL(at)) == SQLITE_NULL ? 0 : made_ns + column_sum(st, at);
}

/* The words come after the columns. false: it makes no sense, or is about what is not known any more. */
static bool guess_of_row(const struct graph *g, sqlite3_stmt *st, struct guess *ret)
{
	uint64_t kind = column_sum(st, GUESSES_kind), outcome = column_sum(st, GUESSES_outcome);
	uint64_t made_ns = column_sum(st, GUESSES_made_ns);
	uint64_t decision = column_sum(st, GUESSES_decision);
	enum node_kind dep = kind == EDGE_EXEC				   ? NODE_BLOCK
			     : kind == EDGE_CONNECT || kind == EDGE_LISTEN ? NODE_SERVICE
									   : NODE_FILE;

	*ret = (struct guess){.block = node_of(g, NODE_BLOCK, st, GUESSES_N),
			      .via = node_of(g, NODE_BLOCK, st, GUESSES_N + 1),
			      .dep = node_of(g, dep, st, GUESSES_N + 2),
			      .kind = (uint8_t)kind,
			      .outcome = (uint8_t)outcome,
			      .acted = column_sum(st, GUESSES_acted) != 0,
			      .order = (uint8_t)column_sum(st, GUESSES_model_order),
			      .uid = column_u32(st, GUESSES_uid),
			      .pid = column_u32(st, GUESSES_pid),
			      .p = column_share(st, GUESSES_p),
			      .support = column_sum(st, GUESSES_support),
			      .made_ns = made_ns,
			      .lead_ns = column_sum(st, GUESSES_lead_ns),
			      .deadline_ns = column_since(st, GUESSES_deadline_ns, made_ns),
			      .acted_ns = column_since(st, GUESSES_acted_ns, made_ns),
			      .done_ns = column_since(st, GUESSES_done_ns, made_ns),
			      .ended_ns = column_since(st, GUESSES_ended_ns, made_ns),
			      .bytes_read = column_sum(st, GUESSES_read_bytes),
			      .saved_ns = column_sum(st, GUESSES_saved_ns),
			      .value_us = sqlite3_column_double(st, COL(GUESSES_value_us)),
			      .price_us = sqlite3_column_double(st, COL(GUESSES_price_us)),
			      .decision = (uint8_t)decision,
			      .err = (int32_t)column_u32(st, GUESSES_err)};
	if (!ret->dep && kind == EDGE_BELOW) /* of a service, too */
		ret->dep = node_of(g, NODE_SERVICE, st, GUESSES_N + 2);
	return ret->block && ret->via && ret->dep && made_ns && kind > 0 && kind < EDGE_KIND_MAX &&
	       outcome > OUTCOME_OPEN && outcome < OUTCOME_MAX && decision < DECISION_MAX &&
	       ret->err >= 0;
}

int store_load_guesses(struct store *s, const struct graph *g, uint32_t guess_max,
		       store_guess_fn fn, void *ctx)
{
	sqlite3_stmt *st;
	int rc, r = file_ready(s), aside = r;

	if (r < 0)
		return r;
	st = s->stmts[STMT_LOAD_GUESSES];
	put_int(st, 1, guess_max);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct guess guess;

		if (guess_of_row(g, st, &guess))
			fn(ctx, &guess);
	}
	r = rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return load_end(s, r, aside);
}

static void score_of_row(sqlite3_stmt *st, struct score *ret)
{
	double lambda = sqlite3_column_double(st, COL(SCORES_lambda));

	*ret = (struct score){.guesses_n = column_sum(st, SCORES_guesses_n),
			      .acted_n = column_sum(st, SCORES_acted_n),
			      .bytes_read = column_sum(st, SCORES_read_bytes),
			      .bytes_wasted = column_sum(st, SCORES_wasted_bytes),
			      .saved_ns = column_sum(st, SCORES_saved_ns),
			      .precision = column_share(st, SCORES_precision),
			      .recall = column_share(st, SCORES_recall),
			      .lambda = lambda > 0 ? lambda : 0};
	for (int i = 0; i < OUTCOMES; i++)
		ret->outcome_n[OUTCOME_HIT + i] = column_sum(st, SCORES_hit_n + i);
}

static void block_score_of_row(sqlite3_stmt *st, struct block_score *ret)
{
	*ret = (struct block_score){.bytes_read = column_sum(st, BLOCK_SCORES_read_bytes),
				    .bytes_wasted = column_sum(st, BLOCK_SCORES_wasted_bytes),
				    .saved_ns = column_sum(st, BLOCK_SCORES_saved_ns)};
	for (int i = 0; i < OUTCOMES; i++)
		ret->outcome_n[OUTCOME_HIT + i] = column_u32(st, BLOCK_SCORES_hit_n + i);
}

int store_load_scores(struct store *s, const struct graph *g, store_block_score_fn fn, void *ctx,
		      struct score *ret)
{
	sqlite3_stmt *st;
	int rc, r = file_ready(s), aside = r;

	*ret = (struct score){0};
	if (r < 0)
		return r;
	st = s->stmts[STMT_LOAD_SCORE];
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		score_of_row(st, ret);
	r = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	if (r)
		return load_end(s, r, aside);
	st = s->stmts[STMT_LOAD_BLOCK_SCORES];
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *block = (const char *)sqlite3_column_text(st, BLOCK_SCORES_N);
		uint32_t id = block ? graph_find(g, NODE_BLOCK, block) : 0;
		struct block_score score;

		block_score_of_row(st, &score);
		if (id)
			fn(ctx, id, &score);
	}
	r = rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return load_end(s, r, aside);
}

int store_load_images(struct store *s, store_image_fn fn, void *ctx)
{
	sqlite3_stmt *st;
	int rc, r = file_ready(s), aside = r;

	if (r < 0)
		return r;
	st = s->stmts[STMT_LOAD_IMAGES];
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, IMAGES_name - 1);
		const char *layers = (const char *)sqlite3_column_text(st, IMAGES_layers - 1);

		if (name && layers)
			fn(ctx, name, layers,
			   (uint64_t)sqlite3_column_int64(st, IMAGES_seen_ns - 1));
	}
	r = rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return load_end(s, r, aside);
}
