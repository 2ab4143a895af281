// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the engine wants of a file: which parts, for whom, and what its opens cost. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/actions.h"
#include "support/host.h"

#include <string.h>

#define S 1000000000ull

static void open_as(struct host *h, uint32_t pid, const char *path, uint32_t flags)
{
	h->open_flags = flags;
	host_open(h, pid, path, 0);
	h->open_flags = 0;
}

/* A compiler's temporary files have other names each time, and are one thing all the same: it is no need, and
 * the graph does not grow. A made-up name of something that nobody made is a name. */
static void test_engine_takes_temporary_names_as_one(void **state)
{
	struct host *h = *state;
	struct engine_stats first, last;
	struct action_list l;
	const struct node *n;
	const struct graph *g;

	for (unsigned i = 0; i < 40; i++) {
		uint32_t pid = host_spawn(h, 1, "/bin/cc", NULL), as;
		char path[64];

		snprintf(path, sizeof(path), "/tmp/ccXq%uaB%u.s", i % 10, i / 10);
		open_as(h, pid, path, OBS_F_WRITE);
		as = host_spawn(h, pid, "/bin/as", NULL);
		host_open(h, as, path, 0);
		host_open(h, as, "/tmp/inXq9aB3.h", 0);
		host_open(h, as, "/tmp/notes", 0);
		host_exit(h, as);
		host_exit(h, pid);
		host_rest(h, 10 * S);
		engine_stats(h->engine, i < 5 ? &first : &last);
	}
	assert_int_equal(first.graph.nodes_n, last.graph.nodes_n);
	assert_int_equal(first.graph.edges_n, last.graph.edges_n);
	g = engine_graph_const(h->engine);
	n = graph_node_const(g, graph_find(g, NODE_FILE, "/tmp/cc*.s"));
	assert_true(n && n->flags & NODE_F_TEMP);
	actions_of_start(h, &l, "/bin/cc", NULL);
	assert_non_null(actions_find(&l, ACTION_WARM, "/tmp/notes"));
	assert_non_null(actions_find(&l, ACTION_WARM, "/tmp/inXq9aB3.h"));
	assert_null(actions_find(&l, ACTION_WARM, "/tmp/cc*.s"));
}

/* What is opened for writing is needed too, unless it is made anew: a database, and what is read first. */
static void test_engine_reads_what_is_updated(void **state)
{
	struct host *h = *state;
	struct action_list l;

	for (int i = 0; i < 12; i++) {
		uint32_t pid = host_spawn(h, 1, "/bin/editor", NULL);

		open_as(h, pid, "/data/words.db", OBS_F_WRITE | OBS_F_UPDATE);
		open_as(h, pid, "/data/notes", 0);
		open_as(h, pid, "/data/notes", OBS_F_WRITE);
		open_as(h, pid, "/data/result", OBS_F_WRITE);
		open_as(h, pid, "/data/result", 0);
		host_exit(h, pid);
		host_rest(h, 10 * S);
	}
	actions_of_start(h, &l, "/bin/editor", NULL);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/words.db"));
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/notes"));
	assert_null(actions_find(&l, ACTION_WARM, "/data/result"));
}

/* A package manager puts a new file in the old one's place: it is the same node, with all that is known
 * of it, and the new file's number and size. */
static void test_engine_keeps_the_node_over_an_upgrade(void **state)
{
	struct host *h = *state;
	const struct graph *g;
	const struct edge *edge;
	const struct node *lib;
	uint32_t tool = 0;

	for (uint64_t i = 0; i < 6; i++) {
		struct obs o = {.kind = OBS_OPEN,
				.name = "/lib/it.so",
				.file = {.dev = 1, .ino = 70 + i / 3, .size = 1000 * (1 + i / 3)}};

		o.pid = host_spawn(h, 1, "/bin/tool", NULL);
		host_see(h, o);
		host_exit(h, o.pid);
	}
	g = engine_graph_const(h->engine);
	tool = graph_find(g, NODE_BLOCK, "/bin/tool"); /* another executable each time, at that */
	lib = graph_node_const(g, graph_find(g, NODE_FILE, "/lib/it.so"));
	assert_non_null(lib);
	assert_int_equal(graph_node_const(g, tool)->runs_n, 6);
	assert_int_equal(lib->ino, 71);
	assert_int_equal(lib->size_bytes, 2000);
	edge = graph_edge_find(g, tool, lib->id, EDGE_OPEN);
	assert_non_null(edge);
	assert_int_equal(edge->runs_n, 6);
}

static bool covers(const struct action *a, uint64_t off)
{
	for (size_t i = 0; i < a->range_n; i++)
		if (a->ranges[i].off <= off && off < a->ranges[i].off + a->ranges[i].len)
			return true;
	return false;
}

/* Opens a library and uses one page of it. */
static void run_part_of_library(struct host *h, uint32_t ppid, const char *exe, uint32_t cell)
{
	const struct ranges_use use = {.cell = cell, .units = 1, .first_us = 10};
	uint32_t pid = host_spawn(h, ppid, exe, NULL);
	uint64_t exec_ns = h->now_ns;

	host_open(h, pid, "/lib/all", 0);
	assert_int_equal(
		engine_observe_use(h->engine, pid, exec_ns, 1, strlen("/lib/all"), &use, 1), 0);
	host_exit(h, pid);
	host_pass(h, 20000000);
}

/* Of a library that each step uses another part of, all of these parts are wanted; also when the first
 * is there already. */
static void test_engine_wants_the_parts_each_step_uses(void **state)
{
	struct host *h = *state;
	bool one = false, two = false;
	struct action_list l;
	uint32_t pid;

	for (int i = 0; i < 4; i++) {
		pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
		run_part_of_library(h, pid, "/bin/one", 3);
		run_part_of_library(h, pid, "/bin/two", 9);
		host_exit(h, pid);
		actions_carry_out(h, &l, true);
		host_rest(h, 10 * S);
	}
	actions_take(h, &l);
	(void)host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	for (struct action a; engine_next_action(h->engine, &a);) {
		if (a.kind != ACTION_WARM || strcmp(a.name, "/lib/all") != 0)
			continue;
		one = one || covers(&a, 3 * RANGES_CELL);
		two = two || covers(&a, 9 * RANGES_CELL);
	}
	assert_true(one);
	assert_true(two);
}

/* That a file is there, as far as one program uses it, says nothing about what another does. */
static void test_engine_knows_for_whom_a_file_is_there(void **state)
{
	struct host *h = *state;
	static const char *const scripts[] = {"/srv/one.sh", "/srv/two.sh"};
	static const char *const programs[] = {"/bin/one", "/bin/two"};
	struct action_list l;
	uint32_t pid[2], of;

	for (uint32_t i = 0; i < 8; i++) {
		pid[0] = host_spawn(h, 1, "/bin/dash", scripts[i % 2]);
		run_part_of_library(h, pid[0], programs[i % 2], 3 + i % 2 * 6);
		host_exit(h, pid[0]);
		host_rest(h, 10 * S);
		actions_carry_out(h, &l, true);
	}
	pid[0] = host_spawn(h, 1, "/bin/dash", scripts[0]);
	pid[1] = host_spawn(h, 1, "/bin/dash", scripts[1]);
	host_rest(h, 100 * S);
	actions_take(h, &l);
	of = host_spawn(h, pid[0], programs[0], NULL);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/lib/all"));
	actions_finish(h, &l, false);
	host_open(h, of, "/lib/all", 0);
	actions_take(h, &l);
	(void)host_spawn(h, pid[1], programs[1], NULL);
	for (struct action a; engine_next_action(h->engine, &a);) {
		if (a.kind != ACTION_WARM || strcmp(a.name, "/lib/all") != 0)
			continue;
		assert_true(covers(&a, 9 * RANGES_CELL));
		return;
	}
	fail_msg("the parts of the second program were not asked for");
}

static const struct edge *edge_to_data(const struct host *h)
{
	const struct graph *g = engine_graph_const(h->engine);
	const struct edge *edge = graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/tool"),
						  graph_find(g, NODE_FILE, "/data/x"), EDGE_OPEN);

	assert_non_null(edge);
	return edge;
}

/* An open that was not timed changes nothing in what an open takes, whenever it came. */
static void test_engine_means_the_opens_that_were_timed(void **state)
{
	struct host *h = *state;
	static const uint64_t times_ns[] = {0, 0, 3000, 0, 5000, 0};
	struct obs o = {.kind = OBS_OPEN, .name = "/data/x", .count = 1};

	o.pid = host_spawn(h, 1, "/bin/tool", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(times_ns); i++) {
		host_pass(h, 1000);
		o.ts_ns = h->now_ns;
		o.latency_ns = times_ns[i];
		assert_true(engine_observe(h->engine, &o) >= 0);
		if (i == 1)
			assert_int_equal(edge_to_data(h)->latency_sum_ns, 0);
		if (i == 3)
			assert_int_equal(edge_to_data(h)->latency_sum_ns, 4 * 3000);
	}
	assert_int_equal(edge_to_data(h)->count, ARRAY_SIZE(times_ns));
	/* 5000 counts as one of five, not as one of two. */
	assert_int_equal(edge_to_data(h)->latency_sum_ns, 17000 + 17000 / 5);
	o.kind = OBS_FOLD;
	o.count = 10;
	o.latency_ns = 3000;
	o.ts_ns = h->now_ns + 1;
	assert_true(engine_observe(h->engine, &o) >= 0);
	assert_int_equal(edge_to_data(h)->latency_sum_ns, 17000 + 17000 / 5 + 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_engine_takes_temporary_names_as_one),
		WITH_HOST(test_engine_reads_what_is_updated),
		WITH_HOST(test_engine_keeps_the_node_over_an_upgrade),
		WITH_HOST(test_engine_wants_the_parts_each_step_uses),
		WITH_HOST(test_engine_knows_for_whom_a_file_is_there),
		WITH_HOST(test_engine_means_the_opens_that_were_timed),
	};

	return cmocka_run_group_tests_name("engine_file", tests, NULL, NULL);
}
