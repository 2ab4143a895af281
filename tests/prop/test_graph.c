// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The graph against plain arrays, over random calls: without limits it answers as the arrays do;
 * within limits it never breaks them, and a mirror fed only with its changes stays equal to it.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/graph.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

DEFINE_CLEANUP(struct graph *, graph_free)

enum { NAME_N = 200, STEP_N = 60000 };

static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static struct graph *graph_of(uint32_t node_max, uint32_t edge_max, uint32_t text_bytes_max)
{
	struct graph_limits l = {.node_max = node_max,
				 .edge_max = edge_max,
				 .use_max = edge_max,
				 .text_bytes_max = text_bytes_max};
	struct graph *g = NULL;

	assert_int_equal(graph_new(&l, &g), 0);
	return g;
}

/* Name number i: its length varies from 4 to 4,095 bytes when long_names is set. */
static const char *name_of(uint32_t i, bool long_names)
{
	static char name[4096];
	size_t n = (size_t)snprintf(name, sizeof(name), "/n/%u", i);

	if (long_names) {
		size_t want = 4 + (i * 2654435761u >> 7) % 4000;

		while (n < want)
			name[n++] = (char)('a' + i % 26);
		name[n] = 0;
	}
	return name;
}

static enum node_kind kind_of(uint32_t i)
{
	return (enum node_kind)(1 + i % 3);
}

/* --- without limits ---------------------------------------------------------------------------- */

struct plain {
	bool node[NAME_N];
	uint64_t last_ns[NAME_N];
	uint64_t count[NAME_N][NAME_N][EDGE_KIND_MAX];
};

static void compare(const struct graph *g, const struct plain *p)
{
	struct graph_stats st;
	uint32_t nodes_n = 0, edges_n = 0, ids[NAME_N];

	for (uint32_t i = 0; i < NAME_N; i++) {
		ids[i] = graph_find(g, kind_of(i), name_of(i, false));
		assert_int_equal(ids[i] != 0, p->node[i]);
		if (!ids[i])
			continue;
		nodes_n++;
		assert_int_equal(graph_node_const(g, ids[i])->last_ns, p->last_ns[i]);
		assert_string_equal(graph_node_const(g, ids[i])->name, name_of(i, false));
	}
	for (uint32_t i = 0; i < NAME_N; i++) {
		const struct edge *e;
		uint32_t it = 0, out_n = 0, in_n = 0, want_out = 0, want_in = 0;

		if (!ids[i])
			continue;
		for (uint32_t j = 0; j < NAME_N; j++) {
			for (uint32_t k = EDGE_EXEC; k < EDGE_KIND_MAX; k++) {
				want_out += p->count[i][j][k] != 0;
				want_in += p->count[j][i][k] != 0;
				e = graph_edge_find(g, ids[i], ids[j], (enum edge_kind)k);
				assert_int_equal(e ? e->count : 0, p->count[i][j][k]);
			}
		}
		while (graph_next_out(g, ids[i], &it, &e))
			out_n += e->from == ids[i];
		it = 0;
		while (graph_next_in(g, ids[i], &it, &e))
			in_n += e->to == ids[i];
		assert_int_equal(out_n, want_out);
		assert_int_equal(in_n, want_in);
		assert_int_equal(graph_node_const(g, ids[i])->out_n, want_out);
		assert_int_equal(graph_node_const(g, ids[i])->in_n, want_in);
		edges_n += want_out;
	}
	graph_stats(g, &st);
	assert_int_equal(st.nodes_n, nodes_n);
	assert_int_equal(st.edges_n, edges_n);
	assert_int_equal(st.nodes_evicted + st.edges_evicted, 0);
}

static void test_graph_equals_plain_arrays(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(NAME_N, NAME_N * NAME_N * 3, 65536);
	_cleanup_(freep) struct plain *p = calloc(1, sizeof(*p));

	(void)state;
	seed = 1;
	for (uint64_t step = 0; step < STEP_N; step++) {
		uint32_t i = rnd(NAME_N), j = rnd(NAME_N), k = 1 + rnd(EDGE_KIND_MAX - 1);
		uint32_t from = 0, to = 0;
		struct edge *e = NULL;

		assert_int_equal(graph_intern(g, kind_of(i), name_of(i, false), step, &from), 0);
		p->node[i] = true;
		p->last_ns[i] = step;
		if (rnd(4) == 0)
			continue;
		assert_int_equal(graph_intern(g, kind_of(j), name_of(j, false), step, &to), 0);
		p->node[j] = true;
		p->last_ns[j] = step;
		assert_int_equal(graph_edge(g, from, to, (enum edge_kind)k, step, &e), 0);
		assert_int_equal(e->count, p->count[i][j][k]);
		e->count++;
		p->count[i][j][k]++;
		if (step % 6000 == 0)
			compare(g, p);
	}
	compare(g, p);
}

/* --- within limits ----------------------------------------------------------------------------- */

/* What a store would hold: names, found by looking at all of them. */
struct mirror {
	bool node[NAME_N];
	bool edge[NAME_N][NAME_N][EDGE_KIND_MAX];
};

static uint32_t number_of(const struct node *n)
{
	return (uint32_t)atoi(n->name + 3);
}

static void apply(const struct graph *g, struct mirror *m, const struct graph_change *c)
{
	if (c->node) {
		uint32_t i = number_of(c->node);

		m->node[i] = !c->removed;
		if (c->removed) {
			memset(m->edge[i], 0, sizeof(m->edge[i]));
			for (uint32_t j = 0; j < NAME_N; j++)
				memset(m->edge[j][i], 0, sizeof(m->edge[j][i]));
		}
	} else {
		const struct node *from = graph_node_const(g, c->edge->from);
		const struct node *to = graph_node_const(g, c->edge->to);

		assert_non_null(from);
		assert_non_null(to);
		/* The store knows both ends by now. */
		assert_true(c->removed || (m->node[number_of(from)] && m->node[number_of(to)]));
		m->edge[number_of(from)][number_of(to)][c->edge->kind] = !c->removed;
	}
}

/* With removals lost, the mirror may hold more than the graph, never less. */
static void compare_mirror(const struct graph *g, const struct mirror *m, bool lost)
{
	const struct node *n;
	const struct edge *e;
	uint32_t it = 0, nodes_n = 0, edges_n = 0, m_nodes_n = 0, m_edges_n = 0;

	while (graph_next_node(g, &it, &n)) {
		uint32_t eit = 0, i = number_of(n);

		nodes_n++;
		assert_true(m->node[i]);
		while (graph_next_out(g, n->id, &eit, &e)) {
			edges_n++;
			assert_true(m->edge[i][number_of(graph_node_const(g, e->to))][e->kind]);
		}
	}
	for (uint32_t i = 0; i < NAME_N; i++) {
		m_nodes_n += m->node[i];
		for (uint32_t j = 0; j < NAME_N; j++)
			for (uint32_t k = 0; k < EDGE_KIND_MAX; k++)
				m_edges_n += m->edge[i][j][k];
	}
	assert_true(lost ? nodes_n <= m_nodes_n : nodes_n == m_nodes_n);
	assert_true(lost ? edges_n <= m_edges_n : edges_n == m_edges_n);
}

static void churn_within(uint32_t node_max, uint32_t edge_max, bool long_names)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(node_max, edge_max, 65536);
	_cleanup_(freep) struct mirror *m = calloc(1, sizeof(*m));
	struct graph_change c;
	struct graph_stats st;

	for (uint64_t step = 0; step < STEP_N; step++) {
		uint32_t i = rnd(NAME_N), j = rnd(NAME_N), k = 1 + rnd(EDGE_KIND_MAX - 1);
		uint32_t from = 0, to = 0;
		struct edge *e = NULL;

		/* Half of all calls touch a tenth of the names. */
		if (rnd(2))
			i %= NAME_N / 10;
		assert_int_equal(graph_intern(g, kind_of(i), name_of(i, long_names), step, &from),
				 0);
		assert_int_equal(graph_intern(g, kind_of(j), name_of(j, long_names), step, &to), 0);
		assert_string_equal(graph_node(g, from)->name, name_of(i, long_names));
		assert_int_equal(graph_edge(g, from, to, (enum edge_kind)k, step, &e), 0);
		e->count++;
		graph_stats(g, &st);
		assert_true(st.nodes_n <= node_max && st.edges_n <= edge_max);
		assert_true(st.text_bytes <= 65536);
		/* Taken in pieces, at any time, and now and then to the end. */
		for (uint32_t n = rnd(4); n && graph_next_change(g, &c); n--)
			apply(g, m, &c);
		if (step % 1000 == 0) {
			while (graph_next_change(g, &c))
				apply(g, m, &c);
			compare_mirror(g, m, st.removals_lost != 0);
		}
	}
	graph_stats(g, &st);
	assert_true(st.nodes_evicted > 100);
	/* Names of 2 KB fill the eighth of the arena that removals may take before they are told. */
	assert_int_equal(st.removals_lost != 0, long_names);
}

static void test_graph_changes_keep_a_mirror_equal(void **state)
{
	(void)state;
	for (seed = 1; seed < 4; seed++) {
		churn_within(16, 16, false);
		churn_within(60, 400, false);
	}
}

static void test_graph_changes_keep_a_mirror_equal_when_text_is_short(void **state)
{
	(void)state;
	seed = 9;
	churn_within(150, 400, true);
}

static long rss_pages(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/statm", "r");
	long size, rss;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &size, &rss), 2);
	return rss;
}

static void test_graph_memory_is_flat_over_a_million_names(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(20000, 40000, 2 << 20);
	struct graph_stats before, after;
	struct timespec t0, t1;
	long rss = 0;

	(void)state;
	graph_stats(g, &before);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint32_t from = 0, to = 0;
		char name[80];
		struct edge *e;

		snprintf(name, sizeof(name), "/usr/bin/prog%u", i % 977);
		assert_int_equal(graph_intern(g, NODE_BLOCK, name, i, &from), 0);
		snprintf(name, sizeof(name), "/var/lib/containers/%08x/merged/etc/%u.conf",
			 i * 2654435761u, i);
		assert_int_equal(graph_intern(g, NODE_FILE, name, i, &to), 0);
		assert_int_equal(graph_edge(g, from, to, EDGE_OPEN, i, &e), 0);
		if (i == 100000)
			rss = rss_pages();
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	graph_stats(g, &after);
	assert_int_equal(before.bytes, after.bytes);
	assert_true(rss_pages() <= rss + rss / 10);
	assert_int_equal(after.nodes_n, 20000);
	for (uint32_t i = 0; i < 977; i++) {
		char name[80];

		snprintf(name, sizeof(name), "/usr/bin/prog%u", i);
		assert_true(graph_find(g, NODE_BLOCK, name) != 0);
	}
	printf("# %.0f ns for two names and an edge, one of the names new each time\n",
	       ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / 1e6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph_equals_plain_arrays),
		cmocka_unit_test(test_graph_changes_keep_a_mirror_equal),
		cmocka_unit_test(test_graph_changes_keep_a_mirror_equal_when_text_is_short),
		cmocka_unit_test(test_graph_memory_is_flat_over_a_million_names),
	};

	return cmocka_run_group_tests_name("graph_prop", tests, NULL, NULL);
}
