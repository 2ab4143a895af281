// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The graph's promises one by one: names, walks, sketches, what goes at a limit, changes. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

DEFINE_CLEANUP(struct graph *, graph_free)

#define SECOND 1000000000ull
#define DAY (24 * 3600 * SECOND)

static struct graph *graph_of(uint32_t node_max, uint32_t edge_max, uint32_t text_bytes_max)
{
	struct graph_limits l = {.node_max = node_max,
				 .edge_max = edge_max,
				 .use_max = 16,
				 .text_bytes_max = text_bytes_max,
				 .hash_seed = 1};
	struct graph *g = NULL;

	assert_int_equal(graph_new(&l, &g), 0);
	return g;
}

static uint32_t intern(struct graph *g, enum node_kind kind, const char *name, uint64_t ts_ns)
{
	uint32_t id = 0;

	assert_int_equal(graph_intern(g, kind, name, ts_ns, &id), 0);
	assert_true(id > 0);
	return id;
}

static struct edge *edge(struct graph *g, uint32_t from, uint32_t to, uint64_t ts_ns)
{
	struct edge *e = NULL;

	assert_int_equal(graph_edge(g, from, to, EDGE_OPEN, ts_ns, &e), 0);
	return e;
}

static void test_graph_refuses_limits_it_cannot_keep(void **state)
{
	static const struct graph_limits bad[] = {{15, 16, 16, 65536, 0},
						  {16, 15, 16, 65536, 0},
						  {16, 16, 15, 65536, 0},
						  {16, 16, 16, 65535, 0},
						  {1u << 31, 16, 16, 65536, 0}};
	struct graph *g = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(graph_new(&bad[i], &g), -EINVAL);
	assert_null(g);
}

static void test_graph_interns_by_kind_and_name(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 64, 65536);
	uint32_t a = intern(g, NODE_FILE, "/bin/sh", 1), b = intern(g, NODE_BLOCK, "/bin/sh", 2);
	char longest[4097];

	(void)state;
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	assert_int_equal(intern(g, NODE_FILE, "/bin/sh", 9), a);
	assert_int_equal(graph_node(g, a)->first_ns, 1);
	assert_int_equal(graph_node(g, a)->last_ns, 9);
	assert_int_equal(graph_find(g, NODE_BLOCK, "/bin/sh"), b);
	assert_int_equal(graph_find(g, NODE_SERVICE, "/bin/sh"), 0);
	assert_null(graph_node(g, 0));
	assert_null(graph_node_const(g, 3));

	memset(longest, 'x', sizeof(longest));
	longest[4096] = 0;
	assert_int_equal(graph_intern(g, NODE_FILE, longest, 1, &a), -ENAMETOOLONG);
	longest[4095] = 0;
	assert_string_equal(graph_node(g, intern(g, NODE_FILE, longest, 1))->name, longest);
	assert_int_equal(graph_intern(g, NODE_FILE, "", 1, &a), -EINVAL);
	assert_int_equal(graph_intern(g, NODE_NONE, "x", 1, &a), -EINVAL);
	assert_int_equal(graph_intern(g, NODE_KIND_MAX, "x", 1, &a), -EINVAL);
}

static void test_graph_may_be_given_its_own_names(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 64, 65536);
	char name[4096];
	uint32_t id = 0;

	(void)state;
	/* Each step makes room by evicting and sliding names, the given one among them. */
	for (int i = 0; i < 500; i++) {
		memset(name, 'a' + i % 26, sizeof(name));
		name[1000 + i] = 0;
		id = intern(g, NODE_FILE, name, (uint64_t)i);
		id = intern(g, NODE_BLOCK, graph_node(g, id)->name, (uint64_t)i);
		assert_string_equal(graph_node(g, id)->name, name);
	}
}

static void test_graph_walks_both_ways(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 64, 65536);
	uint32_t a = intern(g, NODE_BLOCK, "a", 1), b = intern(g, NODE_BLOCK, "b", 1);
	uint32_t f = intern(g, NODE_FILE, "f", 1), h = intern(g, NODE_FILE, "h", 1), it = 0, n = 0;
	const struct edge *e;
	const struct node *node;
	struct edge *made;

	(void)state;
	edge(g, a, f, 5)->count++;
	edge(g, a, h, 6);
	edge(g, b, f, 7);
	edge(g, a, f, 8)->count++;
	edge(g, a, a, 8);
	assert_int_equal(graph_edge(g, a, 77, EDGE_OPEN, 1, &made), -ENOENT);
	assert_int_equal(graph_edge(g, 0, f, EDGE_OPEN, 1, &made), -ENOENT);
	assert_int_equal(graph_edge(g, a, f, EDGE_NONE, 1, &made), -EINVAL);

	assert_int_equal(graph_edge_find(g, a, f, EDGE_OPEN)->count, 2);
	assert_int_equal(graph_edge_find(g, a, f, EDGE_OPEN)->first_ns, 5);
	assert_int_equal(graph_edge_find(g, a, f, EDGE_OPEN)->last_ns, 8);
	assert_null(graph_edge_find(g, a, f, EDGE_EXEC));
	assert_int_equal(graph_node(g, a)->out_n, 3);
	assert_int_equal(graph_node(g, a)->in_n, 1);
	assert_int_equal(graph_node(g, f)->in_n, 2);
	for (it = n = 0; graph_next_out(g, a, &it, &e); n++)
		assert_int_equal(e->from, a);
	assert_int_equal(n, 3);
	for (it = n = 0; graph_next_in(g, f, &it, &e); n++)
		assert_int_equal(e->to, f);
	assert_int_equal(n, 2);
	for (it = n = 0; graph_next_node(g, &it, &node); n++)
		assert_non_null(node->name);
	assert_int_equal(n, 4);
	it = 0;
	assert_false(graph_next_out(g, 99, &it, &e));
}

static void test_sketch_quantiles_are_right_to_21_percent(void **state)
{
	static const uint64_t one[] = {128, 181, 1000, 1500, 999999, 5 * SECOND, 17 * SECOND};
	struct sketch s = {0};

	(void)state;
	assert_int_equal(sketch_quantile(&s, 0.5), 0);
	for (size_t i = 0; i < ARRAY_SIZE(one); i++) {
		struct sketch u = {0};
		double q;

		sketch_add(&u, one[i]);
		q = (double)sketch_quantile(&u, 0.5);
		if (q < 0.79 * (double)one[i] || q > 1.21 * (double)one[i])
			fail_msg("%llu comes back as %.0f", (unsigned long long)one[i], q);
	}
	for (uint64_t i = 1; i <= 1000; i += 2) /* 1 us .. 1 ms, evenly, and no bin is ever full */
		sketch_add(&s, i * 1000);
	for (int share = 5; share <= 99; share++) {
		double q = (double)sketch_quantile(&s, share / 100.0), want = share * 10000.0;

		if (q < 0.75 * want || q > 1.25 * want)
			fail_msg("p%d of 1..1000 us is %.0f ns", share, q);
	}
	sketch_add(&s, 0);
	sketch_add(&s, UINT64_MAX);
	assert_true(sketch_quantile(&s, 0) < 200);
	assert_true(sketch_quantile(&s, 1) > 8 * SECOND);
}

static void test_sketch_halves_when_a_bin_is_full(void **state)
{
	struct sketch s = {0};

	(void)state;
	sketch_add(&s, 1000000);
	for (int i = 0; i < 300000; i++)
		sketch_add(&s, 1000);
	assert_in_range(sketch_quantile(&s, 0.5), 800, 1210);
	assert_in_range(sketch_quantile(&s, 1), 800, 1210); /* what was once is forgotten */
	for (int i = 0; i < 100000; i++)		    /* one in 50 is slow, for ever */
		sketch_add(&s, i % 50 ? 1000 : 1000000);
	assert_in_range(sketch_quantile(&s, 0.5), 800, 1210);
	assert_in_range(sketch_quantile(&s, 0.99), 800000, 1210000);
}

static void test_graph_exec_edges_have_uses_and_a_limit(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 64, 65536);
	uint32_t a = intern(g, NODE_BLOCK, "a", 1), it = 0, n = 0;
	struct edge *e = NULL, given;
	struct edge_use use = {.use_n = 7, .life_sum_ns = 9};
	const struct edge *seen;
	char name[64];

	(void)state;
	assert_null(edge(g, a, intern(g, NODE_FILE, "f", 1), 1)->use);
	for (int i = 0; i < 60; i++) {
		uint32_t b;

		snprintf(name, sizeof(name), "b%d", i);
		b = intern(g, NODE_BLOCK, name, 1);
		assert_int_equal(graph_edge(g, a, b, EDGE_EXEC, (uint64_t)i, &e), 0);
		assert_int_equal(e->use->use_n, 0);
		e->use->use_n = b;
	}
	while (graph_next_out(g, a, &it, &seen)) {
		if (seen->kind != EDGE_EXEC)
			continue;
		n++;
		assert_int_equal(seen->use->use_n, seen->to);
	}
	assert_int_equal(n, 16);
	given = (struct edge){.from = a, .to = a, .kind = EDGE_EXEC, .count = 1, .use = &use};
	assert_int_equal(graph_restore_edge(g, &given), 0);
	seen = graph_edge_find(g, a, a, EDGE_EXEC);
	assert_ptr_not_equal(seen->use, &use);
	assert_int_equal(seen->use->life_sum_ns, 9);
}

static void test_graph_keeps_the_useful_under_churn(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(256, 256, 65536);
	struct graph_stats st;
	uint32_t kept = 0;
	char name[64];

	(void)state;
	for (int i = 0; i < 128; i++) { /* half the table is in use all the time */
		snprintf(name, sizeof(name), "/useful/%d", i);
		for (int j = 0; j < 20; j++)
			intern(g, NODE_FILE, name, SECOND);
	}
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "/tmp/churn.%d", i);
		intern(g, NODE_FILE, name, 2 * SECOND);
	}
	for (int i = 0; i < 128; i++) {
		snprintf(name, sizeof(name), "/useful/%d", i);
		kept += graph_find(g, NODE_FILE, name) != 0;
	}
	graph_stats(g, &st);
	assert_int_equal(kept, 128);
	assert_int_equal(st.nodes_n, 256);
	assert_int_equal(st.nodes_evicted, 20000 + 128 - 256);
}

static void test_graph_lets_newcomers_in_and_old_habits_go(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(256, 256, 65536);
	uint32_t kept = 0, new_kept = 0;
	char name[64];

	(void)state;
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "/old/%d", i);
		for (int j = 0; j < 20; j++)
			intern(g, NODE_FILE, name, DAY);
	}
	/* A month later other files are used, each less often than the old ones were. */
	for (int j = 0; j < 10; j++) {
		for (int i = 0; i < 200; i++) {
			snprintf(name, sizeof(name), "/new/%d", i);
			intern(g, NODE_FILE, name, 31 * DAY);
		}
	}
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "/old/%d", i);
		kept += graph_find(g, NODE_FILE, name) != 0;
		snprintf(name, sizeof(name), "/new/%d", i);
		new_kept += graph_find(g, NODE_FILE, name) != 0;
	}
	assert_int_equal(new_kept, 200);
	assert_int_equal(kept, 56);
}

static void test_graph_keeps_what_is_being_used_together(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 64, 65536);
	char name[64];

	(void)state;
	for (int i = 0; i < 64; i++) { /* everything here looks more useful than a newcomer */
		snprintf(name, sizeof(name), "/established/%d", i);
		for (int j = 0; j < 50; j++)
			intern(g, NODE_FILE, name, 1);
	}
	for (int i = 0; i < 5000; i++) {
		uint32_t from, to;

		snprintf(name, sizeof(name), "block %d", i);
		from = intern(g, NODE_BLOCK, name, 2);
		snprintf(name, sizeof(name), "/file/%d", i);
		to = intern(g, NODE_FILE, name, 2);
		edge(g, from, to, 2)->count++;
	}
}

static void test_graph_never_evicts_the_pinned(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(16, 16, 65536);
	char name[64];
	uint32_t id;

	(void)state;
	for (int i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "/pinned/%d", i);
		graph_node(g, intern(g, NODE_FILE, name, 1))->flags |= NODE_F_PINNED;
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "/other/%d", i);
		intern(g, NODE_FILE, name, 2);
	}
	for (int i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "/pinned/%d", i);
		assert_true(graph_find(g, NODE_FILE, name) != 0);
	}
	graph_node(g, graph_find(g, NODE_FILE, "/other/999"))->flags |= NODE_F_PINNED;
	assert_int_equal(graph_intern(g, NODE_FILE, "/one/more", 3, &id), GRAPH_FULL);
	assert_int_equal(graph_find(g, NODE_FILE, "/one/more"), 0);
}

static void test_graph_a_node_takes_its_edges_along(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(16, 64, 65536);
	struct graph_stats st;
	uint32_t hub = intern(g, NODE_BLOCK, "hub", 1), victim = 0;
	char name[64];

	(void)state;
	graph_node(g, hub)->flags |= NODE_F_PINNED;
	for (int i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "/f/%d", i);
		victim = intern(g, NODE_FILE, name, 1);
		edge(g, hub, victim, 1);
		edge(g, victim, hub, 1);
	}
	graph_stats(g, &st);
	assert_int_equal(st.edges_n, 30);
	intern(g, NODE_FILE, "/f/new", 2);
	graph_stats(g, &st);
	assert_int_equal(st.edges_n, 28);
	assert_int_equal(graph_node(g, hub)->out_n, 14);
	assert_int_equal(graph_node(g, hub)->in_n, 14);
}

static void test_graph_hands_out_each_change_once(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 64, 65536);
	uint32_t a = intern(g, NODE_BLOCK, "a", 1), f = intern(g, NODE_FILE, "f", 1);
	struct graph_change c;

	(void)state;
	edge(g, a, f, 1)->count = 1;
	edge(g, a, f, 2)->count = 2;
	intern(g, NODE_BLOCK, "a", 3);
	assert_true(graph_next_change(g, &c));
	assert_string_equal(c.node->name, "a");
	assert_int_equal(c.node->last_ns, 3);
	assert_true(graph_next_change(g, &c));
	assert_string_equal(c.node->name, "f");
	assert_true(graph_next_change(g, &c));
	assert_int_equal(c.edge->count, 2);
	assert_false(c.removed);
	assert_false(graph_next_change(g, &c));
	graph_touch_node(g, f);
	graph_touch_node(g, f);
	graph_touch_node(g, 63);
	assert_true(graph_next_change(g, &c));
	assert_ptr_equal(c.node, graph_node(g, f));
	assert_false(graph_next_change(g, &c));
}

/* What was taken often and is taken once more can wait; what is new cannot, nor what stands in the place of another. */
static void test_graph_tells_news_first(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(16, 16, 65536);
	uint32_t a = intern(g, NODE_BLOCK, "a", 1), f = intern(g, NODE_FILE, "f", 1), id;
	struct graph_change c;
	uint32_t n;

	(void)state;
	graph_node(g, a)->runs_n = 100;
	edge(g, a, f, 1)->count = 100;
	for (n = 0; graph_next_news(g, &c); n++)
		;
	assert_int_equal(n, 3);
	intern(g, NODE_BLOCK, "a", 2);
	intern(g, NODE_FILE, "f", 2);
	edge(g, a, f, 2)->count = 101;
	assert_false(graph_next_news(g, &c));
	id = intern(g, NODE_FILE, "new", 3);
	edge(g, a, id, 3)->count = 1;
	assert_true(graph_next_news(g, &c) && c.node && c.node->id == id);
	assert_true(graph_next_news(g, &c) && c.edge && c.edge->to == id);
	edge(g, a, id, 4)->count = 2; /* seldom yet */
	assert_true(graph_next_news(g, &c) && c.edge && c.edge->to == id);
	assert_false(graph_next_news(g, &c));
	for (n = 0; graph_next_change(g, &c); n++)
		assert_true(c.node ? c.node->id != id : c.edge->count == 101);
	assert_int_equal(n, 3);
	for (int i = 0; i < 100; i++) { /* they go while they wait, and their places are taken */
		char name[32];

		snprintf(name, sizeof(name), "/more/%d", i);
		id = intern(g, NODE_FILE, name, 6);
		edge(g, a, id, 6)->count = 1;
		while (graph_next_news(g, &c)) {
			bool is = c.edge && !c.removed && c.edge->to == id;

			n = is ? 1000 : n;
		}
		assert_int_equal(n, 1000);
		n = 0;
		intern(g, NODE_FILE, name, 7);
		assert_false(graph_next_news(g, &c));
	}
}

static void test_graph_tells_removals_of_what_was_known(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(16, 16, 65536);
	struct graph_change c;
	char name[64];
	uint32_t id, removed_n = 0, put_n = 0;

	(void)state;
	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "/first/%d", i);
		intern(g, NODE_FILE, name, 1);
	}
	while (graph_next_change(g, &c))
		assert_false(c.removed);
	for (int i = 0; i < 1000; i++) { /* most of these come and go unseen by the store */
		snprintf(name, sizeof(name), "/second/%d", i);
		intern(g, NODE_FILE, name, 2);
	}
	intern(g, NODE_FILE, "/first/3", 3); /* gone and back: first the removal, then the node */
	while (graph_next_change(g, &c)) {
		if (c.removed) {
			assert_int_equal(put_n, 0);
			assert_memory_equal(c.node->name, "/first/", 7);
			removed_n++;
		} else {
			put_n++;
		}
	}
	assert_int_equal(removed_n, 16);
	assert_int_equal(put_n, 16);
	id = graph_find(g, NODE_FILE, "/first/3");
	assert_true(id != 0);
}

static void test_graph_tells_removed_edges(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 16, 65536);
	uint32_t a = intern(g, NODE_BLOCK, "a", 1), removed_n = 0, put_n = 0;
	struct graph_change c;
	char name[64];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 16; i++) {
			snprintf(name, sizeof(name), "/%d/%d", round, i);
			edge(g, a, intern(g, NODE_FILE, name, 1), 1);
		}
		for (removed_n = put_n = 0; graph_next_change(g, &c);) {
			removed_n += c.edge && c.removed;
			put_n += c.edge && !c.removed;
			if (c.removed)
				assert_int_equal(c.edge->from, a);
		}
		/* What the store has now is what is there. */
		assert_int_equal(16, round ? 16 - removed_n + put_n : put_n);
		assert_true(round ? removed_n >= 8 : removed_n == 0);
	}
}

static void test_graph_restores_clean(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 64, 65536);
	struct node n = {.kind = NODE_BLOCK, .name = "a", .first_ns = 5, .last_ns = 9, .runs_n = 3};
	struct edge e = {.kind = EDGE_OPEN, .count = 4, .first_ns = 6, .last_ns = 7};
	struct graph_change c;

	(void)state;
	assert_int_equal(graph_restore_node(g, &n, &e.from), 0);
	assert_int_equal(graph_restore_node(g, &n, &e.from), -EEXIST);
	n.name = "f";
	n.kind = NODE_FILE;
	n.flags = NODE_F_ABSENT;
	assert_int_equal(graph_restore_node(g, &n, &e.to), 0);
	assert_int_equal(graph_restore_edge(g, &e), 0);
	assert_int_equal(graph_restore_edge(g, &e), -EEXIST);
	e.to = 50;
	assert_int_equal(graph_restore_edge(g, &e), -ENOENT);
	e.kind = EDGE_NONE; /* what a file of another version may hold */
	assert_int_equal(graph_restore_edge(g, &e), -EINVAL);
	e.kind = EDGE_KIND_MAX;
	assert_int_equal(graph_restore_edge(g, &e), -EINVAL);
	assert_false(graph_next_change(g, &c));
	assert_int_equal(graph_node(g, e.from)->runs_n, 3);
	assert_int_equal(graph_node(g, e.from)->first_ns, 5);
	assert_int_equal(graph_node(g, e.from)->out_n, 1);
	assert_int_equal(graph_node(g, graph_find(g, NODE_FILE, "f"))->flags, NODE_F_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph_refuses_limits_it_cannot_keep),
		cmocka_unit_test(test_graph_interns_by_kind_and_name),
		cmocka_unit_test(test_graph_may_be_given_its_own_names),
		cmocka_unit_test(test_graph_walks_both_ways),
		cmocka_unit_test(test_sketch_quantiles_are_right_to_21_percent),
		cmocka_unit_test(test_sketch_halves_when_a_bin_is_full),
		cmocka_unit_test(test_graph_exec_edges_have_uses_and_a_limit),
		cmocka_unit_test(test_graph_keeps_the_useful_under_churn),
		cmocka_unit_test(test_graph_lets_newcomers_in_and_old_habits_go),
		cmocka_unit_test(test_graph_keeps_what_is_being_used_together),
		cmocka_unit_test(test_graph_never_evicts_the_pinned),
		cmocka_unit_test(test_graph_a_node_takes_its_edges_along),
		cmocka_unit_test(test_graph_hands_out_each_change_once),
		cmocka_unit_test(test_graph_tells_news_first),
		cmocka_unit_test(test_graph_tells_removals_of_what_was_known),
		cmocka_unit_test(test_graph_tells_removed_edges),
		cmocka_unit_test(test_graph_restores_clean),
	};

	return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
