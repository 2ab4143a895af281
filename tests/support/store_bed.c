// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "support/store_bed.h"

#include "base/cleanup.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

char bed_dir[SCRATCH_DIR_MAX], bed_path[96], bed_aside[PATH_MAX];

int bed_setup(void **state)
{
	(void)state;
	if (scratch_make(bed_dir, "store"))
		return -1;
	snprintf(bed_path, sizeof(bed_path), "%s/forewarm.db", bed_dir);
	bed_aside[0] = 0;
	return 0;
}

int bed_teardown(void **state)
{
	(void)state;
	return scratch_remove(bed_dir);
}

struct graph *bed_graph(uint32_t node_max, uint32_t edge_max)
{
	struct graph_limits l = {.node_max = node_max,
				 .edge_max = edge_max,
				 .use_max = edge_max,
				 .text_bytes_max = 64 * node_max + 65536};
	struct graph *g = NULL;

	assert_int_equal(graph_new(&l, &g), 0);
	return g;
}

struct store *bed_open(int want)
{
	struct store *s = NULL;

	assert_int_equal(store_open(bed_path, bed_aside, &s), want);
	assert_non_null(s);
	return s;
}

int bed_put_changes(struct store *s, struct graph *g)
{
	struct graph_change c;
	int r = 0;

	while (!r && graph_next_change(g, &c)) {
		if (c.node && c.removed)
			r = store_del_node(s, c.node->kind, c.node->name);
		else if (c.node)
			r = store_put_node(s, c.node);
		else if (c.removed)
			r = store_del_edge(s, c.edge->kind, graph_node(g, c.edge->from),
					   graph_node(g, c.edge->to));
		else
			r = store_put_edge(s, c.edge, graph_node(g, c.edge->from),
					   graph_node(g, c.edge->to));
	}
	return r;
}

void bed_flush(struct store *s, struct graph *g)
{
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(bed_put_changes(s, g), 0);
	assert_int_equal(store_commit(s), 0);
}

struct graph *bed_loaded(struct store *s)
{
	struct graph *g = bed_graph(1000, 4000);
	void *model = NULL;
	size_t n;

	assert_int_equal(store_load(s, g, &model, &n), 0);
	free(model);
	return g;
}

uint32_t bed_intern(struct graph *g, enum node_kind kind, const char *name)
{
	uint32_t id = 0;

	assert_int_equal(graph_intern(g, kind, name, BED_T0, &id), 0);
	return id;
}

void bed_fill(struct graph *g, uint32_t blocks_n, uint32_t deps_n)
{
	for (uint32_t i = 0; i < blocks_n; i++) {
		char name[64];
		uint32_t from;

		snprintf(name, sizeof(name), "/usr/bin/prog%u --sub", i);
		from = bed_intern(g, NODE_BLOCK, name);
		graph_node(g, from)->runs_n = 10 + i;
		graph_node(g, from)->uid = i;
		for (uint32_t j = 0; j < deps_n; j++) {
			enum edge_kind kind = (enum edge_kind)(1 + j % 3);
			struct edge *e;
			uint32_t to;

			snprintf(name, sizeof(name), "/usr/lib/%u.so\xff\x01", i % 7 + j * 13);
			to = bed_intern(g, (enum node_kind)kind, name);
			graph_node(g, to)->size_bytes = 4096 * j;
			graph_node(g, to)->dev = UINT64_MAX - j;
			graph_node(g, to)->ino = j;
			graph_node(g, to)->flags = j % 2 ? NODE_F_ABSENT : NODE_F_DIR;
			assert_int_equal(graph_edge(g, from, to, kind, BED_T0 + j, &e), 0);
			e->count = 100 + j;
			e->runs_n = 1 + j;
			e->fail_n = j;
			e->errno_last = (int32_t)j % 40;
			e->latency_sum_ns = 1000 * j;
			e->lead_sum_ns = 77 * j;
			e->lead_n = 2 + j;
			e->p_last = 1.0 / (1 + j);
			e->run_last = 5 + j;
			sketch_add(&e->latency, 1000ull << j % 10);
			if (e->use)
				*e->use = (struct edge_use){j,	   2 + j, 3 + j, 4 + j, 5 + j,
							    6 + j, 7 + j, 8 + j, j / 2, 9 + j};
		}
	}
}

/* b has what a has, whatever the ids. */
static void assert_within(const struct graph *a, const struct graph *b)
{
	const struct node *n;
	uint32_t it = 0;

	while (graph_next_node(a, &it, &n)) {
		const struct node *m = graph_node_const(b, graph_find(b, n->kind, n->name));
		const struct edge *e;
		struct node same;
		uint32_t eit = 0;

		assert_non_null(m);
		same = *m;
		same.id = n->id;
		same.name = n->name;
		assert_memory_equal(&same, n, sizeof(same));
		while (graph_next_out(a, n->id, &eit, &e)) {
			const struct node *to = graph_node_const(a, e->to);
			const struct edge *f = graph_edge_find(
				b, m->id, graph_find(b, to->kind, to->name), e->kind);
			struct edge alike;

			assert_non_null(f);
			alike = *f;
			alike.from = e->from;
			alike.to = e->to;
			alike.use = e->use;
			assert_memory_equal(&alike, e, sizeof(alike));
			if (e->use)
				assert_memory_equal(e->use, f->use, sizeof(*e->use));
		}
	}
}

void bed_assert_same(const struct graph *a, const struct graph *b)
{
	assert_within(a, b);
	assert_within(b, a);
}

int64_t bed_query(const char *sql, char *ret_text, size_t text_max)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	assert_int_equal(sqlite3_open_v2(bed_path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW) {
		n = sqlite3_column_int64(st, 0);
		if (ret_text)
			snprintf(ret_text, text_max, "%s",
				 (const char *)sqlite3_column_text(st, 0));
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

void bed_sql(const char *sql)
{
	sqlite3 *db = NULL;
	char *message = NULL;

	assert_int_equal(sqlite3_open(bed_path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message))
		fail_msg("%s: %s", sql, message);
	(void)sqlite3_close(db);
}
