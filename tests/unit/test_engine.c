// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The engine on a make-believe host: what it learns, what it asks for, and for whom. */
#include "support/support.h"

#include "support/actions.h"
#include "support/host.h"

#include <string.h>

#include <xxhash.h>

#define S 1000000000ull

static void test_engine_asks_for_later_steps_ahead(void **state)
{
	struct host *h = *state;
	struct action_list l;
	const struct action *a;
	uint32_t pid;

	for (int i = 0; i < 3; i++) {
		host_run_script(h, "/bin/three");
		actions_carry_out(h, &l, true);
	}
	host_rest(h, 10 * S);
	actions_take(h, &l);
	pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	host_spawn(h, pid, "/bin/one", NULL);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/lib/bin/two.so"));
	a = actions_find(&l, ACTION_WARM, "/lib/bin/three.so");
	assert_non_null(a);
	assert_true(a->p > 0.5 && a->p <= 1);
	assert_int_equal(a->bytes, 1 << 20);
	assert_true(a->lead_ns > 20000000 && a->lead_ns < 200000000);
	assert_non_null(actions_find(&l, ACTION_LOOKUP, "/etc/bin/three.conf"));
	assert_non_null(actions_find(&l, ACTION_WARM, "/bin/three"));
}

/* Are there open guesses of what path needs, or that it runs? */
static bool guessed_of(const struct host *h, const char *path)
{
	const struct graph *g = engine_graph_const(h->engine);
	const struct guess *guess;
	uint64_t it = 0;

	while (engine_next_guess(h->engine, &it, &guess))
		if (guess->outcome == OUTCOME_OPEN &&
		    strcmp(graph_node_const(g, guess->via)->name, path) == 0)
			return true;
	return false;
}

/* After /bin/first comes /bin/next; what was asked for then is settled. */
static void learn_next(struct host *h, struct action_list *l)
{
	for (int i = 0; i < 3; i++) {
		host_run_tool(h, 1, "/bin/first");
		host_run_tool(h, 1, "/bin/next");
		actions_carry_out(h, l, true);
		host_rest(h, 30 * S);
		actions_take(h, l);
	}
}

/* To guess what a shell will start took up to 5 ms, and meanwhile nothing was read for the shell itself. */
static void test_engine_asks_for_the_start_first(void **state)
{
	struct host *h = *state;
	struct action_list l;
	struct action a;

	learn_next(h, &l);
	host_spawn(h, 1, "/bin/first", NULL);
	assert_true(guessed_of(h, "/bin/first"));
	do {
		assert_false(guessed_of(h, "/bin/next"));
		assert_true(engine_next_action(h->engine, &a));
	} while (a.kind != ACTION_WARM);
	assert_string_equal(a.name, "/lib/bin/first.so");
	actions_take(h, &l);
	assert_true(guessed_of(h, "/bin/next"));
}

/* What follows a start is guessed all the same when nobody asks before something else is seen. */
static void test_engine_guesses_the_rest_unasked(void **state)
{
	struct host *h = *state;
	struct action_list l;

	learn_next(h, &l);
	host_exit(h, host_spawn(h, 1, "/bin/first", NULL));
	assert_true(guessed_of(h, "/bin/next"));
}

/* When what a shell starts next will be needed is known from the times between its commands. */
static void test_engine_tells_when_a_later_step_comes(void **state)
{
	struct host *h = *state;
	struct action_list l;
	const struct guess *g;
	uint64_t it = 0;

	for (int i = 0; i < 8; i++) {
		host_exit(h, host_spawn(h, 1, "/bin/near", NULL));
		host_pass(h, S / 2);
		host_exit(h, host_spawn(h, 1, "/bin/far", NULL));
		host_rest(h, 30 * S);
		actions_take(h, &l);
	}
	host_spawn(h, 1, "/bin/near", NULL);
	actions_take(h, &l);
	/* The newest. */
	assert_true(engine_next_guess(h->engine, &it, &g));
	assert_string_equal(graph_node_const(engine_graph_const(h->engine), g->dep)->name,
			    "/bin/far");
	assert_int_equal(g->made_ns, h->now_ns);
	assert_in_range(g->lead_ns, S / 4, S);
}

static void test_engine_follows_a_changed_habit(void **state)
{
	struct host *h = *state;
	struct action_list l;

	for (int i = 0; i < 30; i++)
		host_run_script(h, "/bin/three");
	for (int i = 0; i < 20; i++)
		host_run_script(h, "/bin/other");
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	assert_non_null(actions_find(&l, ACTION_WARM, "/lib/bin/other.so"));
	assert_null(actions_find(&l, ACTION_WARM, "/lib/bin/three.so"));
}

static void test_engine_keeps_users_apart(void **state)
{
	struct host *h = *state;
	struct action_list l;

	h->uid = 1000;
	for (int i = 0; i < 5; i++)
		host_run_script(h, "/bin/three");
	actions_take(h, &l);
	h->uid = 1001;
	host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	actions_take(h, &l);
	for (size_t i = 0; i < l.n; i++)
		assert_true(l.actions[i].kind == ACTION_CANCEL);
}

static void run_sum(struct host *h, uint32_t ppid, const char *path)
{
	uint32_t pid = host_spawn(h, ppid, "/bin/sum", NULL);

	host_open(h, pid, path, 0);
	host_exit(h, pid);
}

/* sum needs another file each time; which one, only the script above it knows. */
static void test_engine_tells_needs_to_the_script_above(void **state)
{
	struct host *h = *state;
	struct action_list l;
	char path[64];
	uint32_t pid;
	bool before;

	for (int i = 0; i < 12; i++) {
		pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
		host_pass(h, 30000000);
		run_sum(h, pid, "/data/of-the-job");
		host_exit(h, pid);
		for (int j = 0; j < 6; j++) {
			snprintf(path, sizeof(path), "/data/other-%d-%d", i, j);
			run_sum(h, 1, path);
		}
		host_rest(h, 10 * S);
	}
	/* Asked for when the job starts, or before, from what always follows what. */
	actions_take(h, &l);
	before = actions_find(&l, ACTION_WARM, "/data/of-the-job");
	host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	actions_take(h, &l);
	assert_true(before || actions_find(&l, ACTION_WARM, "/data/of-the-job"));
	for (size_t i = 0; i < l.n; i++)
		assert_null(strstr(l.names[i], "other"));
}

static void test_engine_guesses_services(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t pid;

	for (int i = 0; i < 4; i++) {
		pid = host_spawn(h, 1, "/bin/client", NULL);
		host_connect(h, pid, "tcp:127.0.0.1:5432");
		host_exit(h, pid);
		host_rest(h, 10 * S);
	}
	host_spawn(h, 1, "/bin/client", NULL);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_PRESTART, "tcp:127.0.0.1:5432"));
}

static uint64_t digest_of_a_day(void)
{
	struct engine_limits limits = host_limits();
	uint64_t digest = 0;
	struct action_list l;
	struct host h;

	host_init(&h, &limits);
	for (int i = 0; i < 40; i++) {
		host_run_script(&h, i % 3 ? "/bin/three" : "/bin/other");
		actions_take(&h, &l);
		for (size_t j = 0; j < l.n; j++) {
			digest = XXH3_64bits_withSeed(l.actions[j].name, strlen(l.actions[j].name),
						      digest);
			digest = XXH3_64bits_withSeed(&l.actions[j].p, sizeof(double), digest);
		}
		actions_finish(&h, &l, i & 1);
	}
	host_fini(&h);
	return digest;
}

static void test_engine_is_deterministic(void **state)
{
	(void)state;
	assert_true(digest_of_a_day() == digest_of_a_day());
}

static void test_engine_is_bounded(void **state)
{
	struct engine_limits limits = host_limits();
	struct engine_stats before, after;
	struct action_list l;
	char path[64];
	struct host h;

	(void)state;
	host_init(&h, &limits);
	engine_stats(h.engine, &before);
	for (uint32_t i = 0; i < 60000; i++) {
		uint32_t pid;

		snprintf(path, sizeof(path), "/bin/p%u", i);
		pid = host_spawn(&h, i % 7 ? 1 : h.next_pid - 1, path, NULL);
		snprintf(path, sizeof(path), "/data/f%u", i);
		host_open(&h, pid, path, 0);
		if (i % 3) /* the others are never seen to end */
			host_exit(&h, pid);
		if (i % 1000 == 0) {
			host_tick(&h);
			actions_take(&h, &l);
		}
	}
	engine_stats(h.engine, &after);
	assert_int_equal(before.bytes, after.bytes);
	assert_true(after.processes_n <= limits.process_max);
	assert_true(after.processes_evicted > 0 && after.graph.nodes_evicted > 0);
	assert_true(after.graph.nodes_n <= limits.graph.node_max);
	host_fini(&h);
}

/* One user's program needs three hundred files at once, another's needs one a little later: with room for
 * eight the second must not wait until the first has had all of its. */
static void test_engine_is_fair_between_users(void **state)
{
	struct engine_limits limits = host_limits();
	struct plan_policy policy = host_policy();
	struct action_list l;
	uint32_t greedy, modest;
	struct host h;
	char path[64];

	(void)state;
	policy.bytes_per_s_max = policy.bytes_inflight_max = 8 << 20;
	host_init_with(&h, &limits, &policy);
	for (int i = 0; i < 4; i++) {
		h.uid = 1000;
		greedy = host_spawn(&h, 1, "/bin/greedy", NULL);
		for (int f = 0; f < 300; f++) {
			snprintf(path, sizeof(path), "/home/a/%d", f);
			host_open(&h, greedy, path, 0);
		}
		host_exit(&h, greedy);
		h.uid = 1001;
		modest = host_spawn(&h, 1, "/bin/modest", NULL);
		host_pass(&h, S);
		host_open(&h, modest, "/home/b/only", 0);
		host_exit(&h, modest);
		host_rest(&h, 30 * S);
		actions_carry_out(&h, &l, true);
	}
	host_pass(&h, 30 * S);
	host_tick(&h);
	actions_take(&h, &l);
	h.uid = 1000;
	(void)host_spawn(&h, 1, "/bin/greedy", NULL);
	h.uid = 1001;
	(void)host_spawn(&h, 1, "/bin/modest", NULL);
	actions_take(&h, &l);
	assert_true(l.n > 1 && l.n < 50);
	assert_non_null(actions_find(&l, ACTION_WARM, "/home/b/only"));
	host_fini(&h);
}

/* A script, whose second program needs a hundred files, and then something that needs few. */
static uint32_t start_script(struct host *h)
{
	uint32_t script = host_spawn(h, 1, "/bin/sh", "/srv/pair.sh");

	host_exit(h, host_spawn(h, script, "/bin/tool", NULL));
	return script;
}

/* What is read ahead for the one that has yet to start takes all there is room for: the one that has started waits
 * for none of it. */
static void test_engine_reads_for_what_has_started_first(void **state)
{
	struct engine_limits limits = host_limits();
	struct plan_policy policy = host_policy();
	struct action_list l;
	uint32_t script, pid;
	struct host h;
	char path[64];
	size_t n = 0;

	(void)state;
	policy.bytes_per_s_max = policy.bytes_inflight_max = 8 << 20;
	host_init_with(&h, &limits, &policy);
	for (int i = 0; i < 6; i++) {
		script = start_script(&h);
		pid = host_spawn(&h, script, "/bin/later", NULL);
		for (int f = 0; f < 100; f++) {
			snprintf(path, sizeof(path), "/later/%d", f);
			host_open(&h, pid, path, 0);
		}
		host_exit(&h, pid);
		host_exit(&h, script);
		host_rest(&h, 30 * S);
		pid = host_spawn(&h, 1, "/bin/now", NULL);
		host_open(&h, pid, "/now/only", 0);
		host_exit(&h, pid);
		host_rest(&h, 30 * S);
		actions_carry_out(&h, &l, true);
	}
	host_pass(&h, 30 * S);
	host_tick(&h);
	actions_take(&h, &l);
	(void)start_script(&h);
	actions_take(&h, &l);
	for (size_t i = 0; i < l.n; i++) {
		n += l.actions[i].kind == ACTION_WARM;
		assert_true(l.actions[i].priority != WANT_NOW || !strstr(l.names[i], "/later/"));
	}
	assert_in_range(n, 4, 9); /* 1 MiB each: no more has room */
	(void)host_spawn(&h, 1, "/bin/now", NULL);
	actions_take(&h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/now/only"));
	assert_int_equal(actions_find(&l, ACTION_WARM, "/now/only")->priority, WANT_NOW);
	host_fini(&h);
}

/* A shell that is quiet while others open more files than the graph has room for is the same shell after. */
static void test_engine_keeps_what_runs(void **state)
{
	struct engine_limits limits = host_limits();
	const struct edge *edge;
	const struct graph *g;
	const struct node *n;
	uint32_t it = 0, out;
	struct host h;
	char path[32];

	(void)state;
	limits.graph.node_max = 512;
	host_init(&h, &limits);
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t pid = host_spawn(&h, 2, "/bin/busy", NULL);

		for (int f = 0; f < 400; f++) {
			snprintf(path, sizeof(path), "/data/%u/%d", i, f);
			host_open(&h, pid, path, 0);
		}
		host_exit(&h, pid);
	}
	host_exit(&h, host_spawn(&h, 1, "/bin/tool", NULL));
	g = engine_graph_const(h.engine);
	assert_non_null(graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/shell"),
					graph_find(g, NODE_BLOCK, "/bin/tool"), EDGE_EXEC));
	while (graph_next_node(g, &it, &n)) {
		out = 0;
		assert_true(n->kind == NODE_BLOCK || !graph_next_out(g, n->id, &out, &edge));
		assert_true(!(n->flags & NODE_F_PINNED) || strcmp(n->name, "/bin/shell") == 0);
	}
	host_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_engine_asks_for_later_steps_ahead),
		WITH_HOST(test_engine_asks_for_the_start_first),
		WITH_HOST(test_engine_guesses_the_rest_unasked),
		WITH_HOST(test_engine_tells_when_a_later_step_comes),
		WITH_HOST(test_engine_follows_a_changed_habit),
		WITH_HOST(test_engine_keeps_users_apart),
		WITH_HOST(test_engine_tells_needs_to_the_script_above),
		WITH_HOST(test_engine_guesses_services),
		cmocka_unit_test(test_engine_is_deterministic),
		cmocka_unit_test(test_engine_is_bounded),
		cmocka_unit_test(test_engine_is_fair_between_users),
		cmocka_unit_test(test_engine_reads_for_what_has_started_first),
		cmocka_unit_test(test_engine_keeps_what_runs),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
