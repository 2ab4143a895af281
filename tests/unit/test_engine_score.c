// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How the engine keeps score of its guesses, and what it does about those that were wrong. */
#include "support/support.h"

#include "support/actions.h"
#include "support/host.h"

#include <errno.h>
#include <string.h>

#define S 1000000000ull

/* What came of guesses before a restart is in the sums, and the planner is as choosy as it was. */
static void test_engine_goes_on_with_a_kept_score(void **state)
{
	struct host *h = *state;
	const struct score kept = {.guesses_n = 1000,
				   .acted_n = 500,
				   .outcome_n = {0, 300, 20, 100, 10, 70, 500},
				   .bytes_read = 1ull << 40,
				   .bytes_wasted = 1ull << 38,
				   .saved_ns = 77,
				   .precision = 0.75,
				   .recall = 0.5,
				   .lambda = 1.8};
	const struct block_score kept_one = {{0, 3, 0, 1, 0, 0, 0}, 4096, 1024, 5};
	struct block_score one;
	struct engine_stats st;
	uint32_t block;

	engine_stats(h->engine, &st);
	assert_memory_equal(&st.score_all, &st.score, sizeof(st.score)); /* nothing was kept */
	host_run_script(h, "/bin/one");
	block = graph_find(engine_graph_const(h->engine), NODE_BLOCK, "/bin/one");
	engine_restore_score(h->engine, &kept);
	engine_restore_block_score(h->engine, block, &kept_one);
	engine_stats(h->engine, &st);
	assert_int_equal(st.score.acted_n, 0); /* since its start */
	assert_int_equal(st.score_all.acted_n, 500);
	assert_int_equal(st.score_all.outcome_n[OUTCOME_HIT], 300);
	assert_int_equal(st.score_all.outcome_n[OUTCOME_WASTED], 100);
	assert_int_equal(st.score_all.bytes_read, 1ull << 40);
	assert_int_equal(st.score_all.bytes_wasted, 1ull << 38);
	assert_int_equal(st.score_all.saved_ns, 77);
	assert_true(st.score.precision > 0.74 && st.score.precision < 0.76);
	assert_true(st.score.recall > 0.49 && st.score.recall < 0.51);
	assert_true(st.score.lambda > 1.79 && st.score.lambda < 1.81);
	engine_block_score(h->engine, block, &one);
	assert_int_equal(one.outcome_n[OUTCOME_HIT], 3);
	assert_int_equal(one.outcome_n[OUTCOME_WASTED], 1);
	assert_int_equal(one.bytes_read, 4096);
	assert_int_equal(one.bytes_wasted, 1024);
	assert_int_equal(one.saved_ns, 5);
}

static void test_engine_keeps_score(void **state)
{
	struct host *h = *state;
	struct engine_stats before, after;
	struct block_score of_one;
	struct action_list l;
	uint32_t pid, one;

	for (int i = 0; i < 5; i++) {
		host_run_script(h, "/bin/three");
		actions_carry_out(h, &l, true);
	}
	host_rest(h, 200 * S);
	actions_take(h, &l);
	engine_stats(h->engine, &before);

	/* Made ready, then needed: hits. Needed before it was ready: late. Never needed: wasted. */
	pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	actions_carry_out(h, &l, false);
	one = host_spawn(h, pid, "/bin/one", NULL);
	host_open(h, one, "/lib/bin/one.so", 0);
	engine_stats(h->engine, &after);
	assert_int_equal(after.score.outcome_n[OUTCOME_HIT] - before.score.outcome_n[OUTCOME_HIT],
			 2);
	assert_int_equal(after.score.saved_ns - before.score.saved_ns, 2000000);
	engine_block_score(h->engine,
			   graph_find(engine_graph_const(h->engine), NODE_BLOCK, "/bin/one"),
			   &of_one);
	assert_int_equal(of_one.outcome_n[OUTCOME_HIT], 2);
	assert_int_equal(of_one.saved_ns, 2000000);
	assert_int_equal(of_one.bytes_wasted, 0);
	host_rest(h, 300 * S);
	engine_stats(h->engine, &after);
	assert_true(after.score.outcome_n[OUTCOME_WASTED] > before.score.outcome_n[OUTCOME_WASTED]);
	assert_true(after.score.bytes_wasted >= 2 << 20);
	assert_int_equal(after.guesses_open_n, 0);
	actions_take(h, &l); /* what was wasted is to be released */
	assert_non_null(actions_find(&l, ACTION_CANCEL, ""));
	assert_non_null(actions_find(&l, ACTION_SETTLE, "")); /* and what came true is to be kept */

	before = after;
	pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	actions_take(h, &l);
	one = host_spawn(h, pid, "/bin/one", NULL);
	host_open(h, one, "/lib/bin/one.so", 0);
	engine_stats(h->engine, &after);
	assert_int_equal(after.score.outcome_n[OUTCOME_LATE],
			 before.score.outcome_n[OUTCOME_LATE]); /* it may have been in memory */
	h->cold = true;
	host_exit(h, one);
	engine_stats(h->engine, &after);
	assert_true(after.score.outcome_n[OUTCOME_LATE] > before.score.outcome_n[OUTCOME_LATE]);
}

/* The script ends after its first step: at once, and not seconds later, what was read for the others is
 * given up, and a second time nothing like as much is asked for. */
static void test_engine_gives_up_with_the_run(void **state)
{
	struct host *h = *state;
	struct engine_stats before, after;
	struct action_list l;
	size_t asked_n[4] = {0};

	for (int i = 0; i < 5; i++)
		host_run_script(h, "/bin/three");
	actions_take(h, &l);
	for (int i = 0; i < 4; i++) {
		uint32_t pid;

		host_rest(h, 10 * S);
		pid = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
		for (size_t j = 0; j < l.n; j++)
			asked_n[i] += strstr(l.names[j], "two") || strstr(l.names[j], "three");
		actions_finish(h, &l, false);
		engine_stats(h->engine, &before);
		host_exit(h, pid);
		engine_stats(h->engine, &after);
		actions_take(h, &l);
		if (i == 0) {
			assert_true(after.guesses_open_n < before.guesses_open_n);
			assert_non_null(actions_find(&l, ACTION_CANCEL, ""));
		}
	}
	assert_true(asked_n[0] >= 4);
	assert_int_equal(asked_n[3], 0);
}

static void test_engine_stops_when_only_wrong(void **state)
{
	struct host *h = *state;
	struct engine_stats stats;
	struct action_list l;
	size_t last_n = 0;

	for (int i = 0; i < 10; i++)
		host_run_script(h, "/bin/three");
	/* Whatever is asked for is read, and never needed: each time an edge of this size decays
	 * the script teaches it again, so only lambda can stop it. */
	for (int i = 0; i < 400; i++) {
		uint32_t pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");

		if (i % 2) {
			host_spawn(h, pid, "/bin/one", NULL);
			host_pass(h, 3 * S);
		}
		actions_take(h, &l);
		last_n = l.n;
		actions_finish(h, &l, false);
		host_exit(h, pid);
		host_rest(h, 4 * S);
		for (size_t j = 0; j < l.n; j++)
			last_n -= !l.actions[j].name[0];
	}
	engine_stats(h->engine, &stats);
	assert_true(last_n <= 2);
}

/* What a program takes when it has to wait for a disk, and when not, for each that runs it. */
static void test_engine_learns_what_cold_and_warm_cost(void **state)
{
	struct host *h = *state;
	const struct edge_use *use;
	const struct graph *g;

	for (int i = 0; i < 5; i++) {
		uint32_t pid = host_spawn(h, 1, "/bin/tool", NULL);

		h->cold = i < 2;
		h->life_ns = h->cold ? 230000000 : 40000000;
		host_exit(h, pid);
	}
	g = engine_graph_const(h->engine);
	use = graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/shell"),
			      graph_find(g, NODE_BLOCK, "/bin/tool"), EDGE_EXEC)
		      ->use;
	assert_int_equal(use->use_n, 5);
	assert_int_equal(use->cold_n, 2);
	assert_int_equal(use->cold_sum_ns, 2 * 230000000);
	assert_int_equal(use->life_sum_ns - use->cold_sum_ns, 3 * 40000000);
}

/* Ten cold starts of tool and ten warm ones; then: is its library read ahead? */
static bool reads_for_tool(uint64_t cold_ns, uint64_t warm_ns)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;
	bool reads;

	host_init(&h, &limits);
	for (int i = 0; i < 20; i++) {
		uint32_t pid = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh"), tool;

		host_pass(&h, 20000000);
		tool = host_spawn(&h, pid, "/bin/tool", NULL);
		host_open(&h, tool, "/lib/tool.so", 0);
		h.cold = i % 2;
		h.life_ns = h.cold ? cold_ns : warm_ns;
		host_exit(&h, tool);
		h.cold = false;
		host_exit(&h, pid);
		host_rest(&h, 10 * S);
	}
	(void)actions_of_start(&h, &l, "/bin/dash", "/srv/job.sh");
	reads = actions_find(&l, ACTION_WARM, "/lib/tool.so");
	assert_int_equal(host_decision(&h, "/lib/tool.so"),
			 reads ? DECISION_ACTED : DECISION_UNWORTHY);
	host_fini(&h);
	return reads;
}

/* What starts as fast cold as warm gains nothing from what it needs being there. */
static void test_engine_reads_nothing_where_nothing_is_gained(void **state)
{
	(void)state;
	assert_true(reads_for_tool(30000000, 4000000));
	assert_false(reads_for_tool(400000, 400000));
}

/* Why nothing is done about a guess is known of each. */
static void test_engine_says_why_it_did_nothing(void **state)
{
	struct engine_limits limits = host_limits();
	struct plan_policy policy = host_policy();
	struct pressure crowded = {.mem_available_bytes = 8ull << 30,
				   .mem_total_bytes = 16ull << 30,
				   .io_some_avg10 = policy.io_some_max};
	struct action_list l;
	struct host h;

	(void)state;
	policy.p_min = 0.05;
	host_init_with(&h, &limits, &policy);
	for (int i = 0; i < 10; i++) {
		uint32_t pid = host_spawn(&h, 1, "/bin/tool", NULL);

		host_open(&h, pid, "/data/always", 0);
		if (i < 3)
			host_open(&h, pid, "/data/seldom", 0);
		host_exit(&h, pid);
		host_rest(&h, 10 * S);
	}
	h.now_ns += 10 * S;
	assert_int_equal(engine_tick(h.engine, h.now_ns, &crowded, NULL), 0);
	(void)actions_of_start(&h, &l, "/bin/tool", NULL);
	assert_int_equal(host_decision(&h, "/data/always"), DECISION_WAITS);
	host_tick(&h);
	actions_take(&h, &l);
	assert_int_equal(host_decision(&h, "/data/always"), DECISION_ACTED);
	assert_int_equal(host_decision(&h, "/data/seldom"), DECISION_UNWORTHY);
	host_fini(&h);
}

/* What each life of a program used is added to the edge it was started by; a life that read is a cold one. */
static void test_engine_adds_up_what_programs_use(void **state)
{
	struct host *h = *state;
	static const struct obs_use use[] = {
		{.life_ns = 5000000,
		 .cpu_ns = 2000000,
		 .rss_peak_bytes = 4 << 20,
		 .write_bytes = 10,
		 .minflt_n = 100},
		{.life_ns = 90000000,
		 .cpu_ns = 3000000,
		 .rss_peak_bytes = 3 << 20,
		 .read_bytes = 1 << 20,
		 .write_bytes = 7,
		 .majflt_n = 9,
		 .minflt_n = 50},
	};
	const struct edge *edge = NULL;
	const struct graph *g;
	struct engine_stats st;
	uint32_t it = 0, block;
	uint64_t last_ns = 0;

	engine_wall_offset(h->engine, 1000 * S);
	for (size_t i = 0; i < 2; i++) {
		uint32_t pid = host_spawn(h, 1, "/bin/a", NULL);

		last_ns = h->now_ns;
		host_see(h, (struct obs){.kind = OBS_EXIT, .pid = pid, .use = use[i]});
	}
	g = engine_graph_const(h->engine);
	block = graph_find(g, NODE_BLOCK, "/bin/a");
	assert_int_equal(graph_node_const(g, block)->runs_n, 2);
	assert_true(graph_node_const(g, block)->last_ns >= last_ns + 1000 * S);
	assert_true(graph_node_const(g, block)->last_ns <= h->now_ns + 1000 * S);
	assert_true(graph_next_in(g, block, &it, &edge));
	assert_int_equal(edge->kind, EDGE_EXEC);
	assert_int_equal(edge->count, 2);
	assert_int_equal(edge->use->use_n, 2);
	assert_int_equal(edge->use->cold_n, 1);
	assert_int_equal(edge->use->life_sum_ns, 95000000);
	assert_int_equal(edge->use->cold_sum_ns, 90000000);
	assert_int_equal(edge->use->cpu_sum_ns, 5000000);
	assert_int_equal(edge->use->rss_peak_bytes, 4 << 20);
	assert_int_equal(edge->use->read_sum_bytes, 1 << 20);
	assert_int_equal(edge->use->write_sum_bytes, 17);
	assert_int_equal(edge->use->majflt_sum, 9);
	assert_int_equal(edge->use->minflt_sum, 150);
	/* What is not on a disk, and of whom nothing is known. */
	engine_stats(h->engine, &st);
	assert_int_equal(st.obs_ignored_n, 0);
	assert_int_equal(st.obs_orphan_n, 0);
	host_open(h, 1, "/proc/self/maps", 0);
	host_open(h, 4711, "/etc/passwd", 0);
	host_connect(h, 4711, "tcp:127.0.0.1:80");
	engine_stats(h->engine, &st);
	assert_int_equal(st.obs_ignored_n, 1);
	assert_int_equal(st.obs_orphan_n, 2);
	assert_int_equal(st.obs_n[OBS_EXIT], 2);
	assert_int_equal(st.obs_n[OBS_CONNECT], 1);
	assert_int_equal(engine_observe(h->engine, &(struct obs){.kind = OBS_NONE}), -EINVAL);
	assert_int_equal(engine_observe(h->engine, &(struct obs){.kind = OBS_KIND_MAX}), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_engine_goes_on_with_a_kept_score),
		WITH_HOST(test_engine_keeps_score),
		WITH_HOST(test_engine_gives_up_with_the_run),
		WITH_HOST(test_engine_stops_when_only_wrong),
		WITH_HOST(test_engine_learns_what_cold_and_warm_cost),
		cmocka_unit_test(test_engine_reads_nothing_where_nothing_is_gained),
		cmocka_unit_test(test_engine_says_why_it_did_nothing),
		WITH_HOST(test_engine_adds_up_what_programs_use),
	};

	return cmocka_run_group_tests_name("engine_score", tests, NULL, NULL);
}
