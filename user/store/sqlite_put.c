// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sqlite_put.c - a flush: one transaction of rows put and deleted, and of what is pruned with them.
 */
#include "store/pack.h"
#include "store/sqlite_columns.h"
#include "store/sqlite_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "core/ranges.h"

#include <math.h>

enum {
	GUESS_MAX = 100000,
	GUESS_PRUNE_EVERY = 4096,
	WORDS_EVERY = 16,
	SCORE_MAX = 20160, /* minutes: two weeks */
	RANGES_CELLS_MAX =
		1 << 17, /* twice what the engine holds; a row counts as RANGES_ROW_CELLS more */
	RANGES_ROW_CELLS = 8,
	RANGES_PRUNE_EVERY = 1024,
	IMAGE_MAX = 256,
};

static void put_real(sqlite3_stmt *st, int at, double value)
{
	(void)sqlite3_bind_double(st, at, isfinite(value) ? value : 0);
}

int store_begin(struct store *s)
{
	int r = file_ready(s), aside = r;

	if (r < 0)
		return r;
	r = sql_run(s, STMT_BEGIN);
	if (!r && !s->epoch_saved) {
		r = sql_run_with(s, STMT_EPOCH, s->epoch);
		if (r)
			store_rollback(s);
	}
	return r ? r : aside;
}

static void bind_node(sqlite3_stmt *st, const struct node *n)
{
	put_int(st, NODES_kind, n->kind);
	put_text(st, NODES_name, n->name);
	put_int(st, NODES_flags, n->flags & ~NODE_F_PINNED); /* said again by whoever needs it */
	put_int(st, NODES_first_ns, n->first_ns);
	put_int(st, NODES_last_ns, n->last_ns);
	put_int(st, NODES_runs_n, n->runs_n);
	put_int(st, NODES_size_bytes, n->size_bytes);
	put_int(st, NODES_dev, n->dev);
	put_int(st, NODES_ino, n->ino);
	put_int(st, NODES_uid, n->uid);
}

int store_put_node(struct store *s, const struct node *n)
{
	int64_t id = ids_get(s, n->kind, n->name);
	sqlite3_stmt *st;
	int r;

	if (id) {
		st = s->stmts[STMT_NODE_UPDATE];
		bind_node(st, n);
		put_int(st, NODES_ROW, (uint64_t)id);
		r = sql_step(s, st, NULL);
		if (r || sqlite3_changes(s->db) == 1)
			return r;
		ids_put(s, n->kind, n->name, 0); /* somebody else deleted the row */
	}
	st = s->stmts[STMT_NODE_UPSERT];
	bind_node(st, n);
	id = 0;
	r = sql_step(s, st, &id);
	if (!r)
		ids_put(s, n->kind, n->name, id);
	return r;
}

/* The row of n, made when it is not there. */
static int node_row(struct store *s, const struct node *n, int64_t *ret_id)
{
	int64_t id = 0;
	int r = ids_node(s, n->kind, n->name, &id);

	if (!r && !id) {
		r = store_put_node(s, n);
		if (!r)
			r = ids_node(s, n->kind, n->name, &id);
	}
	if (!r)
		*ret_id = id;
	return r;
}

static void bind_use(sqlite3_stmt *st, const struct edge_use *u)
{
	put_int(st, EDGES_use_n, u->use_n);
	put_int(st, EDGES_life_sum_ns, u->life_sum_ns);
	put_int(st, EDGES_cpu_sum_ns, u->cpu_sum_ns);
	put_int(st, EDGES_rss_peak_bytes, u->rss_peak_bytes);
	put_int(st, EDGES_read_sum_bytes, u->read_sum_bytes);
	put_int(st, EDGES_write_sum_bytes, u->write_sum_bytes);
	put_int(st, EDGES_majflt_sum, u->majflt_sum);
	put_int(st, EDGES_minflt_sum, u->minflt_sum);
	put_int(st, EDGES_cold_n, u->cold_n);
	put_int(st, EDGES_cold_sum_ns, u->cold_sum_ns);
}

int store_put_edge(struct store *s, const struct edge *e, const struct node *from,
		   const struct node *to)
{
	int64_t from_id = 0, to_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_EDGE_UPSERT];
	int r = node_row(s, from, &from_id);

	if (!r)
		r = node_row(s, to, &to_id);
	if (r)
		return r;
	put_int(st, EDGES_from_id, (uint64_t)from_id);
	put_int(st, EDGES_to_id, (uint64_t)to_id);
	put_int(st, EDGES_kind, e->kind);
	put_int(st, EDGES_count, e->count);
	put_int(st, EDGES_runs_n, e->runs_n);
	put_int(st, EDGES_fail_n, e->fail_n);
	put_int(st, EDGES_errno_last, (uint64_t)e->errno_last);
	put_int(st, EDGES_first_ns, e->first_ns);
	put_int(st, EDGES_last_ns, e->last_ns);
	put_int(st, EDGES_latency_sum_ns, e->latency_sum_ns);
	put_int(st, EDGES_latency_p50_ns, sketch_quantile(&e->latency, 0.5));
	put_int(st, EDGES_latency_p99_ns, sketch_quantile(&e->latency, 0.99));
	put_int(st, EDGES_lead_sum_ns, e->lead_sum_ns);
	put_int(st, EDGES_lead_n, e->lead_n);
	put_real(st, EDGES_p_last, e->p_last);
	put_int(st, EDGES_run_last, e->run_last);
	(void)sqlite3_bind_blob(st, EDGES_latency, e->latency.bins, sizeof(e->latency.bins),
				SQLITE_STATIC);
	put_int(st, EDGES_flags, e->flags);
	if (e->use) /* what is not bound is NULL */
		bind_use(st, e->use);
	return sql_step(s, st, NULL);
}

int store_del_node(struct store *s, enum node_kind kind, const char *name)
{
	int64_t id = 0;
	int r = ids_node(s, (int)kind, name, &id);

	if (r || !id)
		return r;
	ids_put(s, (int)kind, name, 0);
	r = sql_run_with(s, STMT_NODE_DEL_EDGES, id);
	if (!r)
		r = sql_run_with(s, STMT_NODE_DEL_RANGES, id);
	if (!r)
		r = sql_run_with(s, STMT_NODE_DEL_SCORE, id);
	return r ? r : sql_run_with(s, STMT_NODE_DEL, id);
}

int store_del_edge(struct store *s, enum edge_kind kind, const struct node *from,
		   const struct node *to)
{
	int64_t from_id = 0, to_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_EDGE_DEL];
	int r = ids_node(s, from->kind, from->name, &from_id);

	if (!r)
		r = ids_node(s, to->kind, to->name, &to_id);
	if (r)
		return r;
	put_int(st, EDGES_from_id, (uint64_t)from_id);
	put_int(st, EDGES_to_id, (uint64_t)to_id);
	put_int(st, EDGES_kind, kind);
	return sql_step(s, st, NULL);
}

/* A later time as what has passed since made; unbound, that is NULL, when it has not come. */
static void put_since(sqlite3_stmt *st, int at, const struct guess *g, uint64_t ts_ns)
{
	if (ts_ns >= g->made_ns && ts_ns)
		put_int(st, at, ts_ns - g->made_ns);
}

int store_put_guess(struct store *s, const struct guess *g, const char *block, const char *via,
		    const char *dep, uint64_t made_wall_ns)
{
	int64_t block_id = 0, via_id = 0, dep_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_GUESS];
	int r = ids_word(s, block, &block_id);

	if (!r)
		r = ids_word(s, via, &via_id);
	if (!r)
		r = ids_word(s, dep, &dep_id);
	if (r)
		return r;
	put_int(st, GUESSES_epoch, (uint64_t)s->epoch);
	put_int(st, GUESSES_id, g->id);
	put_int(st, GUESSES_block_id, (uint64_t)block_id);
	put_int(st, GUESSES_via_id, (uint64_t)via_id);
	put_int(st, GUESSES_dep_id, (uint64_t)dep_id);
	put_int(st, GUESSES_kind, g->kind);
	put_int(st, GUESSES_outcome, g->outcome);
	put_int(st, GUESSES_acted, g->acted);
	put_int(st, GUESSES_model_order, g->order);
	put_int(st, GUESSES_uid, g->uid);
	put_int(st, GUESSES_pid, g->pid);
	put_real(st, GUESSES_p, g->p);
	put_int(st, GUESSES_support, g->support);
	put_int(st, GUESSES_made_ns, made_wall_ns);
	put_int(st, GUESSES_lead_ns, g->lead_ns);
	put_since(st, GUESSES_deadline_ns, g, g->deadline_ns);
	put_since(st, GUESSES_acted_ns, g, g->acted_ns);
	put_since(st, GUESSES_done_ns, g, g->done_ns);
	put_since(st, GUESSES_ended_ns, g, g->ended_ns);
	put_int(st, GUESSES_read_bytes, g->bytes_read);
	put_int(st, GUESSES_saved_ns, g->saved_ns);
	put_real(st, GUESSES_value_us, g->value_us);
	put_real(st, GUESSES_price_us, g->price_us);
	put_int(st, GUESSES_decision, g->decision);
	put_int(st, GUESSES_err, (uint64_t)g->err);
	s->guesses_put_n++;
	return sql_step(s, st, NULL);
}

int store_put_ranges(struct store *s, const struct node *block, const struct node *file,
		     const void *bytes, size_t n)
{
	int64_t block_id = 0, file_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_RANGES];
	int r = node_row(s, block, &block_id);

	if (!r)
		r = node_row(s, file, &file_id);
	if (r)
		return r;
	put_int(st, RANGES_block_id, (uint64_t)block_id);
	put_int(st, RANGES_file_id, (uint64_t)file_id);
	put_int(st, RANGES_saved_ns, clock_ns(CLOCK_REALTIME));
	put_int(st, RANGES_cells_n, n / RANGES_PACK_CELL);
	(void)sqlite3_bind_blob64(st, RANGES_cells, bytes, n,
				  SQLITE_STATIC); /* far below SQLite's 1 GB */
	s->ranges_put_n++;
	return sql_step(s, st, NULL);
}

int store_put_model(struct store *s, const void *state, size_t n)
{
	sqlite3_stmt *st = s->stmts[STMT_MODEL];
	_cleanup_(freep) void *packed = NULL;
	int rc, r;

	put_int(st, 1, clock_ns(CLOCK_REALTIME));
	if (n) {
		r = pack_bytes(state, n, &packed, &n);
		if (r < 0)
			return r;
	}
	rc = n ? sqlite3_bind_blob64(st, 2, packed, n, SQLITE_STATIC)
	       : sqlite3_bind_zeroblob(st, 2, 0);
	if (rc) {
		(void)sqlite3_clear_bindings(st);
		return sql_fault(s, rc); /* larger than SQLite takes: 1 GB */
	}
	return sql_step(s, st, NULL);
}

int store_put_score(struct store *s, uint64_t wall_ns, const struct score *score)
{
	sqlite3_stmt *st = s->stmts[STMT_SCORE];
	int r;

	put_int(st, SCORES_minute, wall_ns / 60000000000ull);
	put_int(st, SCORES_guesses_n, score->guesses_n);
	put_int(st, SCORES_acted_n, score->acted_n);
	for (int i = 0; i < OUTCOMES; i++)
		put_int(st, SCORES_hit_n + i, score->outcome_n[OUTCOME_HIT + i]);
	put_int(st, SCORES_read_bytes, score->bytes_read);
	put_int(st, SCORES_wasted_bytes, score->bytes_wasted);
	put_int(st, SCORES_saved_ns, score->saved_ns);
	put_real(st, SCORES_precision, score->precision);
	put_real(st, SCORES_recall, score->recall);
	put_real(st, SCORES_lambda, score->lambda);
	r = sql_step(s, st, NULL);
	return r ? r : sql_run_with(s, STMT_PRUNE_SCORES, SCORE_MAX);
}

int store_put_block_score(struct store *s, const struct node *block,
			  const struct block_score *score)
{
	sqlite3_stmt *st = s->stmts[STMT_BLOCK_SCORE];
	int64_t id = 0;
	int r = node_row(s, block, &id);

	if (r)
		return r;
	put_int(st, BLOCK_SCORES_block_id, (uint64_t)id);
	for (int i = 0; i < OUTCOMES; i++)
		put_int(st, BLOCK_SCORES_hit_n + i, score->outcome_n[OUTCOME_HIT + i]);
	put_int(st, BLOCK_SCORES_read_bytes, score->bytes_read);
	put_int(st, BLOCK_SCORES_wasted_bytes, score->bytes_wasted);
	put_int(st, BLOCK_SCORES_saved_ns, score->saved_ns);
	return sql_step(s, st, NULL);
}

int store_put_image(struct store *s, const char *name, const char *layers, uint64_t seen_ns)
{
	sqlite3_stmt *st = s->stmts[STMT_IMAGE];
	int r;

	put_text(st, IMAGES_name, name);
	put_text(st, IMAGES_layers, layers);
	put_int(st, IMAGES_seen_ns, seen_ns);
	r = sql_step(s, st, NULL);
	return r ? r : sql_run_with(s, STMT_PRUNE_IMAGES, IMAGE_MAX - 1);
}

/* The first flush after it was opened: who is often started anew, and has little to put each time, prunes then. */
static bool is_first(const struct store *s)
{
	return !s->epoch_saved;
}

static int prune_ranges(struct store *s)
{
	if (s->ranges_put_n < RANGES_PRUNE_EVERY && !is_first(s))
		return 0;
	s->ranges_put_n = 0;
	put_int(s->stmts[STMT_PRUNE_RANGES], 2, RANGES_ROW_CELLS);
	return sql_run_with(s, STMT_PRUNE_RANGES, RANGES_CELLS_MAX);
}

static int prune(struct store *s)
{
	int r = prune_ranges(s);

	if (r || (s->guesses_put_n < GUESS_PRUNE_EVERY && !is_first(s)))
		return r;
	r = sql_run_with(s, STMT_PRUNE_GUESSES, GUESS_MAX - 1);
	/* Words are dropped sixteen times less often: that reads all guesses. */
	s->words_put_n += s->guesses_put_n;
	if (!r && (s->words_put_n >= WORDS_EVERY * GUESS_PRUNE_EVERY ||
		   (is_first(s) && s->epoch % WORDS_EVERY == 0))) {
		r = sql_run(s, STMT_PRUNE_WORDS);
		ids_clear(s);
		s->words_put_n = 0;
	}
	s->guesses_put_n = 0;
	return r;
}

int store_commit(struct store *s)
{
	int r = prune(s);

	if (!r)
		r = sql_run(s, STMT_COMMIT);
	if (!r)
		s->epoch_saved = true;
	return r;
}

void store_rollback(struct store *s)
{
	ids_clear(s);
	/* SQLite may have rolled back by itself, when the disk was full. */
	if (s->db && !sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL,
				   NULL); /* the batch's fault was told */
}
