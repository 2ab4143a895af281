// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sqlite_put.c - a flush: one transaction of rows put and deleted, and of what is pruned with them.
 */
#include "store/pack.h"
#include "store/sqlite_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "core/ranges.h"

#include <math.h>

enum {
	GUESS_MAX = 100000,
	GUESS_PRUNE_EVERY = 4096,
	SCORE_MAX = 20160, /* minutes: two weeks */
	RANGES_CELLS_MAX =
		1 << 17, /* twice what the engine holds; a row counts as RANGES_ROW_CELLS more */
	RANGES_ROW_CELLS = 8,
	RANGES_PRUNE_EVERY = 1024,
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
	put_int(st, 1, n->kind);
	put_text(st, 2, n->name);
	put_int(st, 3, n->flags & ~NODE_F_PINNED); /* said again by whoever needs it */
	put_int(st, 4, n->first_ns);
	put_int(st, 5, n->last_ns);
	put_int(st, 6, n->runs_n);
	put_int(st, 7, n->size_bytes);
	put_int(st, 8, n->dev);
	put_int(st, 9, n->ino);
	put_int(st, 10, n->uid);
}

int store_put_node(struct store *s, const struct node *n)
{
	int64_t id = ids_get(s, n->kind, n->name);
	sqlite3_stmt *st;
	int r;

	if (id) {
		st = s->stmts[STMT_NODE_UPDATE];
		bind_node(st, n);
		put_int(st, 11, (uint64_t)id);
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
	put_int(st, 18, u->use_n);
	put_int(st, 19, u->life_sum_ns);
	put_int(st, 20, u->cpu_sum_ns);
	put_int(st, 21, u->rss_peak_bytes);
	put_int(st, 22, u->read_sum_bytes);
	put_int(st, 23, u->write_sum_bytes);
	put_int(st, 24, u->majflt_sum);
	put_int(st, 25, u->minflt_sum);
	put_int(st, 27, u->cold_n);
	put_int(st, 28, u->cold_sum_ns);
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
	put_int(st, 1, (uint64_t)from_id);
	put_int(st, 2, (uint64_t)to_id);
	put_int(st, 3, e->kind);
	put_int(st, 4, e->count);
	put_int(st, 5, e->runs_n);
	put_int(st, 6, e->fail_n);
	put_int(st, 7, (uint64_t)e->errno_last);
	put_int(st, 8, e->first_ns);
	put_int(st, 9, e->last_ns);
	put_int(st, 10, e->latency_sum_ns);
	put_int(st, 11, sketch_quantile(&e->latency, 0.5));
	put_int(st, 12, sketch_quantile(&e->latency, 0.99));
	put_int(st, 13, e->lead_sum_ns);
	put_int(st, 14, e->lead_n);
	put_real(st, 15, e->p_last);
	put_int(st, 16, e->run_last);
	(void)sqlite3_bind_blob(st, 17, e->latency.bins, sizeof(e->latency.bins), SQLITE_STATIC);
	put_int(st, 26, e->flags);
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
	put_int(st, 1, (uint64_t)from_id);
	put_int(st, 2, (uint64_t)to_id);
	put_int(st, 3, kind);
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
	put_int(st, 1, (uint64_t)s->epoch);
	put_int(st, 2, g->id);
	put_int(st, 3, (uint64_t)block_id);
	put_int(st, 4, (uint64_t)via_id);
	put_int(st, 5, (uint64_t)dep_id);
	put_int(st, 6, g->kind);
	put_int(st, 7, g->outcome);
	put_int(st, 8, g->acted);
	put_int(st, 9, g->order);
	put_int(st, 10, g->uid);
	put_int(st, 11, g->pid);
	put_real(st, 12, g->p);
	put_int(st, 13, g->support);
	put_int(st, 14, made_wall_ns);
	put_int(st, 15, g->lead_ns);
	put_since(st, 16, g, g->deadline_ns);
	put_since(st, 17, g, g->acted_ns);
	put_since(st, 18, g, g->done_ns);
	put_since(st, 19, g, g->ended_ns);
	put_int(st, 20, g->bytes_read);
	put_int(st, 21, g->saved_ns);
	put_real(st, 22, g->value_us);
	put_real(st, 23, g->price_us);
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
	put_int(st, 1, (uint64_t)block_id);
	put_int(st, 2, (uint64_t)file_id);
	put_int(st, 3, clock_ns(CLOCK_REALTIME));
	put_int(st, 4, n / RANGES_PACK_CELL);
	(void)sqlite3_bind_blob64(st, 5, bytes, n, SQLITE_STATIC); /* far below SQLite's 1 GB */
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

	put_int(st, 1, wall_ns / 60000000000ull);
	put_int(st, 2, score->guesses_n);
	put_int(st, 3, score->acted_n);
	for (int i = OUTCOME_HIT; i <= OUTCOME_DROPPED; i++)
		put_int(st, 3 + i, score->outcome_n[i]);
	put_int(st, 10, score->bytes_read);
	put_int(st, 11, score->bytes_wasted);
	put_int(st, 12, score->saved_ns);
	put_real(st, 13, score->precision);
	put_real(st, 14, score->recall);
	put_real(st, 15, score->lambda);
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
	put_int(st, 1, (uint64_t)id);
	for (int i = 0; i < OUTCOMES; i++)
		put_int(st, 2 + i, score->outcome_n[OUTCOME_HIT + i]);
	put_int(st, 8, score->bytes_read);
	put_int(st, 9, score->bytes_wasted);
	put_int(st, 10, score->saved_ns);
	return sql_step(s, st, NULL);
}

static int prune_ranges(struct store *s)
{
	if (s->ranges_put_n < RANGES_PRUNE_EVERY)
		return 0;
	s->ranges_put_n = 0;
	put_int(s->stmts[STMT_PRUNE_RANGES], 2, RANGES_ROW_CELLS);
	return sql_run_with(s, STMT_PRUNE_RANGES, RANGES_CELLS_MAX);
}

static int prune(struct store *s)
{
	int r = prune_ranges(s);

	if (r || s->guesses_put_n < GUESS_PRUNE_EVERY)
		return r;
	r = sql_run_with(s, STMT_PRUNE_GUESSES, GUESS_MAX - 1);
	/* Words are dropped sixteen times less often: that reads all guesses. */
	s->words_put_n += s->guesses_put_n;
	if (!r && s->words_put_n >= 16 * GUESS_PRUNE_EVERY) {
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
