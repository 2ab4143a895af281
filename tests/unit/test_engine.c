// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The engine on a make-believe host: what it learns, what it asks for, how it keeps score. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/host.h"

#include <errno.h>
#include <string.h>

#include <xxhash.h>

#define S 1000000000ull

struct action_list {
	struct action actions[512];
	char names[512][128];
	size_t n;
};

static void take_actions(struct host *h, struct action_list *ret)
{
	ret->n = 0;
	while (ret->n < ARRAY_SIZE(ret->actions) &&
	       engine_next_action(h->engine, &ret->actions[ret->n])) {
		struct action *a = &ret->actions[ret->n];

		snprintf(ret->names[ret->n], sizeof(ret->names[0]), "%s", a->name ? a->name : "");
		a->name = ret->names[ret->n++];
	}
}

static const struct action *find_action(const struct action_list *l, enum action_kind kind,
					const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->actions[i].kind == kind && strcmp(l->actions[i].name, name) == 0)
			return &l->actions[i];
	return NULL;
}

/* Carries every action out at once; `resident` says that nothing had to be read. */
static void finish_actions(struct host *h, const struct action_list *l, bool resident)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!l->actions[i].name[0]) /* a word about an earlier one */
			continue;
		assert_int_equal(
			engine_result(h->engine,
				      &(struct action_result){
					      .guess_id = l->actions[i].guess_id,
					      .resident = resident,
					      .bytes_read = resident ? 0 : l->actions[i].bytes,
					      .done_ns = h->now_ns,
					      .took_ns = 1000000}),
			0);
	}
}

/* What is asked for is done at once. */
static void carry_out(struct host *h, struct action_list *l, bool resident)
{
	take_actions(h, l);
	finish_actions(h, l, resident);
}

/* Starts a program of process 1; l is what is asked for because of that. */
static uint32_t start_and_ask(struct host *h, struct action_list *l, const char *exe,
			      const char *arg)
{
	uint32_t pid;

	take_actions(h, l);
	pid = host_spawn(h, 1, exe, arg);
	take_actions(h, l);
	return pid;
}

static void run_tool(struct host *h, uint32_t ppid, const char *exe)
{
	uint32_t pid = host_spawn(h, ppid, exe, NULL);
	char path[128];

	snprintf(path, sizeof(path), "/lib%s.so", exe);
	host_open(h, pid, path, 0);
	snprintf(path, sizeof(path), "/etc%s.conf", exe);
	host_open(h, pid, path, ENOENT);
	host_exit(h, pid);
}

/* A script of three tools, each with a library and a config file that is not there. */
static void run_script(struct host *h, const char *third)
{
	uint32_t pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");

	run_tool(h, pid, "/bin/one");
	host_pass(h, 20000000);
	run_tool(h, pid, "/bin/two");
	host_pass(h, 20000000);
	run_tool(h, pid, third);
	host_exit(h, pid);
	host_rest(h, 10 * S);
}

static void test_engine_asks_for_later_steps_ahead(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	const struct action *a;
	struct host h;
	uint32_t pid;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 3; i++) {
		run_script(&h, "/bin/three");
		carry_out(&h, &l, true);
	}
	host_rest(&h, 10 * S);
	take_actions(&h, &l);
	pid = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
	host_spawn(&h, pid, "/bin/one", NULL);
	take_actions(&h, &l);
	assert_non_null(find_action(&l, ACTION_WARM, "/lib/bin/two.so"));
	a = find_action(&l, ACTION_WARM, "/lib/bin/three.so");
	assert_non_null(a);
	assert_true(a->p > 0.5 && a->p <= 1);
	assert_int_equal(a->bytes, 1 << 20);
	assert_true(a->lead_ns > 20000000 && a->lead_ns < 200000000);
	assert_non_null(find_action(&l, ACTION_LOOKUP, "/etc/bin/three.conf"));
	assert_non_null(find_action(&l, ACTION_WARM, "/bin/three"));
	host_fini(&h);
}

static void test_engine_follows_a_changed_habit(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 30; i++)
		run_script(&h, "/bin/three");
	for (int i = 0; i < 20; i++)
		run_script(&h, "/bin/other");
	(void)start_and_ask(&h, &l, "/bin/dash", "/srv/job.sh");
	assert_non_null(find_action(&l, ACTION_WARM, "/lib/bin/other.so"));
	assert_null(find_action(&l, ACTION_WARM, "/lib/bin/three.so"));
	host_fini(&h);
}

/* What came of guesses before a restart is in the sums, and the planner is as choosy as it was. */
static void test_engine_goes_on_with_a_kept_score(void **state)
{
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
	struct engine_limits limits = host_limits();
	struct block_score one;
	struct engine_stats st;
	struct host h;
	uint32_t block;

	(void)state;
	host_init(&h, &limits);
	engine_stats(h.engine, &st);
	assert_memory_equal(&st.score_all, &st.score, sizeof(st.score)); /* nothing was kept */
	run_script(&h, "/bin/one");
	block = graph_find(engine_graph_const(h.engine), NODE_BLOCK, "/bin/one");
	engine_restore_score(h.engine, &kept);
	engine_restore_block_score(h.engine, block, &kept_one);
	engine_stats(h.engine, &st);
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
	engine_block_score(h.engine, block, &one);
	assert_int_equal(one.outcome_n[OUTCOME_HIT], 3);
	assert_int_equal(one.outcome_n[OUTCOME_WASTED], 1);
	assert_int_equal(one.bytes_read, 4096);
	assert_int_equal(one.bytes_wasted, 1024);
	assert_int_equal(one.saved_ns, 5);
	host_fini(&h);
}

static void test_engine_keeps_score(void **state)
{
	struct engine_limits limits = host_limits();
	struct engine_stats before, after;
	struct block_score of_one;
	struct action_list l;
	struct host h;
	uint32_t pid, one;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 5; i++) {
		run_script(&h, "/bin/three");
		carry_out(&h, &l, true);
	}
	host_rest(&h, 200 * S);
	take_actions(&h, &l);
	engine_stats(h.engine, &before);

	/* Made ready, then needed: hits. Needed before it was ready: late. Never needed: wasted. */
	pid = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
	carry_out(&h, &l, false);
	one = host_spawn(&h, pid, "/bin/one", NULL);
	host_open(&h, one, "/lib/bin/one.so", 0);
	engine_stats(h.engine, &after);
	assert_int_equal(after.score.outcome_n[OUTCOME_HIT] - before.score.outcome_n[OUTCOME_HIT],
			 2);
	assert_int_equal(after.score.saved_ns - before.score.saved_ns, 2000000);
	engine_block_score(h.engine,
			   graph_find(engine_graph_const(h.engine), NODE_BLOCK, "/bin/one"),
			   &of_one);
	assert_int_equal(of_one.outcome_n[OUTCOME_HIT], 2);
	assert_int_equal(of_one.saved_ns, 2000000);
	assert_int_equal(of_one.bytes_wasted, 0);
	host_rest(&h, 300 * S);
	engine_stats(h.engine, &after);
	assert_true(after.score.outcome_n[OUTCOME_WASTED] > before.score.outcome_n[OUTCOME_WASTED]);
	assert_true(after.score.bytes_wasted >= 2 << 20);
	assert_int_equal(after.guesses_open_n, 0);
	take_actions(&h, &l); /* what was wasted is to be released */
	assert_non_null(find_action(&l, ACTION_CANCEL, ""));
	assert_non_null(find_action(&l, ACTION_SETTLE, "")); /* and what came true is to be kept */

	before = after;
	pid = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
	take_actions(&h, &l);
	one = host_spawn(&h, pid, "/bin/one", NULL);
	host_open(&h, one, "/lib/bin/one.so", 0);
	engine_stats(h.engine, &after);
	assert_int_equal(after.score.outcome_n[OUTCOME_LATE],
			 before.score.outcome_n[OUTCOME_LATE]); /* it may have been in memory */
	h.cold = true;
	host_exit(&h, one);
	engine_stats(h.engine, &after);
	assert_true(after.score.outcome_n[OUTCOME_LATE] > before.score.outcome_n[OUTCOME_LATE]);
	host_fini(&h);
}

/* The script ends after its first step: at once, and not seconds later, what was read for the others is
 * given up, and a second time nothing like as much is asked for. */
static void test_engine_gives_up_with_the_run(void **state)
{
	struct engine_limits limits = host_limits();
	struct engine_stats before, after;
	struct action_list l;
	size_t asked_n[4] = {0};
	struct host h;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 5; i++)
		run_script(&h, "/bin/three");
	take_actions(&h, &l);
	for (int i = 0; i < 4; i++) {
		uint32_t pid;

		host_rest(&h, 10 * S);
		pid = start_and_ask(&h, &l, "/bin/dash", "/srv/job.sh");
		for (size_t j = 0; j < l.n; j++)
			asked_n[i] += strstr(l.names[j], "two") || strstr(l.names[j], "three");
		finish_actions(&h, &l, false);
		engine_stats(h.engine, &before);
		host_exit(&h, pid);
		engine_stats(h.engine, &after);
		take_actions(&h, &l);
		if (i == 0) {
			assert_true(after.guesses_open_n < before.guesses_open_n);
			assert_non_null(find_action(&l, ACTION_CANCEL, ""));
		}
	}
	assert_true(asked_n[0] >= 4);
	assert_int_equal(asked_n[3], 0);
	host_fini(&h);
}

static void test_engine_stops_when_only_wrong(void **state)
{
	struct engine_limits limits = host_limits();
	struct engine_stats stats;
	struct action_list l;
	struct host h;
	size_t last_n = 0;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 10; i++)
		run_script(&h, "/bin/three");
	/* Whatever is asked for is read, and never needed: each time an edge of this size decays
	 * the script teaches it again, so only lambda can stop it. */
	for (int i = 0; i < 400; i++) {
		uint32_t pid = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");

		if (i % 2) {
			host_spawn(&h, pid, "/bin/one", NULL);
			host_pass(&h, 3 * S);
		}
		take_actions(&h, &l);
		last_n = l.n;
		finish_actions(&h, &l, false);
		host_exit(&h, pid);
		host_rest(&h, 4 * S);
		for (size_t j = 0; j < l.n; j++)
			last_n -= !l.actions[j].name[0];
	}
	engine_stats(h.engine, &stats);
	assert_true(last_n <= 2);
	host_fini(&h);
}

/* What a program takes when it has to wait for a disk, and when not, for each that runs it. */
static void test_engine_learns_what_cold_and_warm_cost(void **state)
{
	struct engine_limits limits = host_limits();
	const struct edge_use *use;
	const struct graph *g;
	struct host h;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 5; i++) {
		uint32_t pid = host_spawn(&h, 1, "/bin/tool", NULL);

		h.cold = i < 2;
		h.life_ns = h.cold ? 230000000 : 40000000;
		host_exit(&h, pid);
	}
	g = engine_graph_const(h.engine);
	use = graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/shell"),
			      graph_find(g, NODE_BLOCK, "/bin/tool"), EDGE_EXEC)
		      ->use;
	assert_int_equal(use->use_n, 5);
	assert_int_equal(use->cold_n, 2);
	assert_int_equal(use->cold_sum_ns, 2 * 230000000);
	assert_int_equal(use->life_sum_ns - use->cold_sum_ns, 3 * 40000000);
	host_fini(&h);
}

static void open_as(struct host *h, uint32_t pid, const char *path, uint32_t flags)
{
	h->open_flags = flags;
	host_open(h, pid, path, 0);
	h->open_flags = 0;
}

/* What is opened for writing is needed too, unless it is made anew: a database, and what is read first. */
static void test_engine_reads_what_is_updated(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 12; i++) {
		uint32_t pid = host_spawn(&h, 1, "/bin/editor", NULL);

		open_as(&h, pid, "/data/words.db", OBS_F_WRITE | OBS_F_UPDATE);
		open_as(&h, pid, "/data/notes", 0);
		open_as(&h, pid, "/data/notes", OBS_F_WRITE);
		open_as(&h, pid, "/data/result", OBS_F_WRITE);
		open_as(&h, pid, "/data/result", 0);
		host_exit(&h, pid);
		host_rest(&h, 10 * S);
	}
	start_and_ask(&h, &l, "/bin/editor", NULL);
	assert_non_null(find_action(&l, ACTION_WARM, "/data/words.db"));
	assert_non_null(find_action(&l, ACTION_WARM, "/data/notes"));
	assert_null(find_action(&l, ACTION_WARM, "/data/result"));
	host_fini(&h);
}

static void test_engine_keeps_users_apart(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;

	(void)state;
	host_init(&h, &limits);
	h.uid = 1000;
	for (int i = 0; i < 5; i++)
		run_script(&h, "/bin/three");
	take_actions(&h, &l);
	h.uid = 1001;
	host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
	take_actions(&h, &l);
	for (size_t i = 0; i < l.n; i++)
		assert_true(l.actions[i].kind == ACTION_CANCEL);
	host_fini(&h);
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
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;
	char path[64];
	uint32_t pid;
	bool before;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 12; i++) {
		pid = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
		host_pass(&h, 30000000);
		run_sum(&h, pid, "/data/of-the-job");
		host_exit(&h, pid);
		for (int j = 0; j < 6; j++) {
			snprintf(path, sizeof(path), "/data/other-%d-%d", i, j);
			run_sum(&h, 1, path);
		}
		host_rest(&h, 10 * S);
	}
	/* Asked for when the job starts, or before, from what always follows what. */
	take_actions(&h, &l);
	before = find_action(&l, ACTION_WARM, "/data/of-the-job");
	host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
	take_actions(&h, &l);
	assert_true(before || find_action(&l, ACTION_WARM, "/data/of-the-job"));
	for (size_t i = 0; i < l.n; i++)
		assert_null(strstr(l.names[i], "other"));
	host_fini(&h);
}

static void test_engine_guesses_services(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;
	uint32_t pid;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 4; i++) {
		pid = host_spawn(&h, 1, "/bin/client", NULL);
		host_connect(&h, pid, "tcp:127.0.0.1:5432");
		host_exit(&h, pid);
		host_rest(&h, 10 * S);
	}
	host_spawn(&h, 1, "/bin/client", NULL);
	take_actions(&h, &l);
	assert_non_null(find_action(&l, ACTION_PRESTART, "tcp:127.0.0.1:5432"));
	host_fini(&h);
}

static uint64_t digest_of_a_day(void)
{
	struct engine_limits limits = host_limits();
	uint64_t digest = 0;
	struct action_list l;
	struct host h;

	host_init(&h, &limits);
	for (int i = 0; i < 40; i++) {
		run_script(&h, i % 3 ? "/bin/three" : "/bin/other");
		take_actions(&h, &l);
		for (size_t j = 0; j < l.n; j++) {
			digest = XXH3_64bits_withSeed(l.actions[j].name, strlen(l.actions[j].name),
						      digest);
			digest = XXH3_64bits_withSeed(&l.actions[j].p, sizeof(double), digest);
		}
		finish_actions(&h, &l, i & 1);
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
			take_actions(&h, &l);
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
	host_init(&h, &limits);
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
		carry_out(&h, &l, true);
	}
	host_pass(&h, 30 * S);
	policy.bytes_per_s_max = policy.bytes_inflight_max = 8 << 20;
	engine_policy(h.engine, &policy);
	host_tick(&h);
	take_actions(&h, &l);
	h.uid = 1000;
	(void)host_spawn(&h, 1, "/bin/greedy", NULL);
	h.uid = 1001;
	(void)host_spawn(&h, 1, "/bin/modest", NULL);
	take_actions(&h, &l);
	assert_true(l.n > 1 && l.n < 50);
	assert_non_null(find_action(&l, ACTION_WARM, "/home/b/only"));
	host_fini(&h);
}

/* One run of a tool that asks about two files and opens the second of them. */
static uint32_t ask_and_open(struct host *h)
{
	uint32_t pid = host_spawn(h, 1, "/bin/tool", NULL);

	host_look(h, pid, "/data/asked");
	host_look(h, pid, "/data/opened");
	host_open(h, pid, "/data/opened", 0);
	return pid;
}

static void test_engine_looks_up_what_is_only_asked_about(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	const struct action *a;
	const struct graph *g;
	const struct edge *edge;
	struct host h;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 4; i++) {
		host_exit(&h, ask_and_open(&h));
		carry_out(&h, &l, true);
		host_rest(&h, 10 * S);
	}
	g = engine_graph_const(h.engine);
	edge = graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/tool"),
			       graph_find(g, NODE_FILE, "/data/opened"), EDGE_OPEN);
	assert_non_null(edge);
	assert_int_equal(edge->flags & EDGE_F_LOOKUP, 0);
	assert_int_equal(edge->runs_n, 4); /* asking first took nothing away from its opening */
	(void)start_and_ask(&h, &l, "/bin/tool", NULL);
	a = find_action(&l, ACTION_LOOKUP, "/data/asked");
	assert_non_null(a);
	assert_int_equal(a->bytes, 0);
	assert_false(a->list);
	assert_null(find_action(&l, ACTION_WARM, "/data/asked"));
	assert_non_null(find_action(&l, ACTION_WARM, "/data/opened"));
	assert_null(find_action(&l, ACTION_LOOKUP, "/data/opened"));
	host_fini(&h);
}

/* A job whose tool is another one each time: what that asks about, and what it asks about before it reads it, the
 * job above it knows. */
static void test_engine_tells_lookups_to_the_script_above(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	char tool[32];
	struct host h;
	uint32_t pid;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 6; i++) {
		uint32_t script = start_and_ask(&h, &l, "/bin/dash", "/srv/job.sh");

		if (i) {
			assert_non_null(find_action(&l, ACTION_LOOKUP, "/data/asked"));
			assert_non_null(find_action(&l, ACTION_WARM, "/data/opened"));
		}
		snprintf(tool, sizeof(tool), "/bin/tool-%c", 'a' + i);
		pid = host_spawn(&h, script, tool, NULL);
		host_look(&h, pid, "/data/asked");
		host_look(&h, pid, "/data/opened");
		host_open(&h, pid, "/data/opened", 0);
		host_exit(&h, pid);
		host_exit(&h, script);
		carry_out(&h, &l, true);
		host_rest(&h, 10 * S);
	}
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

/* What was decided about the newest guess of that file. */
static enum decision decision_about(const struct host *h, const char *path)
{
	uint32_t id = graph_find(engine_graph_const(h->engine), NODE_FILE, path);
	const struct guess *g;
	uint64_t it = 0;

	while (engine_next_guess(h->engine, &it, &g))
		if (g->dep == id)
			return g->decision;
	return DECISION_MAX;
}

/* How much may be read is learnt, from little: that much of it is files keeps no lookup waiting. */
static void test_engine_looks_up_beside_what_it_reads(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;
	uint32_t script, pid;
	char path[32];

	(void)state;
	host_init(&h, &limits);
	h.file_bytes = 8192;
	script = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
	host_pass(&h, 30000000);
	pid = host_spawn(&h, script, "/bin/tool", NULL);
	host_look(&h, pid, "/data/asked");
	for (int i = 0; i < 80; i++) {
		snprintf(path, sizeof(path), "/data/file-%d", i);
		host_open(&h, pid, path, 0);
	}
	host_exit(&h, pid);
	host_exit(&h, script);
	host_rest(&h, 10 * S);
	(void)start_and_ask(&h, &l, "/bin/dash", "/srv/job.sh");
	assert_non_null(find_action(&l, ACTION_WARM, "/data/file-79"));
	assert_null(find_action(&l, ACTION_WARM, "/data/file-0"));
	assert_non_null(find_action(&l, ACTION_LOOKUP, "/data/asked"));
	assert_int_equal(decision_about(&h, "/data/file-79"), DECISION_ACTED);
	assert_int_equal(decision_about(&h, "/data/file-0"), DECISION_UNTRUSTED);
	host_fini(&h);
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
	host_init(&h, &limits);
	engine_policy(h.engine, &policy);
	for (int i = 0; i < 10; i++) {
		uint32_t pid = host_spawn(&h, 1, "/bin/tool", NULL);

		host_open(&h, pid, "/data/always", 0);
		if (i < 3)
			host_open(&h, pid, "/data/seldom", 0);
		host_exit(&h, pid);
		host_rest(&h, 10 * S);
	}
	h.now_ns += 10 * S;
	assert_int_equal(engine_tick(h.engine, h.now_ns, &crowded), 0);
	(void)start_and_ask(&h, &l, "/bin/tool", NULL);
	assert_int_equal(decision_about(&h, "/data/always"), DECISION_WAITS);
	host_tick(&h);
	take_actions(&h, &l);
	assert_int_equal(decision_about(&h, "/data/always"), DECISION_ACTED);
	assert_int_equal(decision_about(&h, "/data/seldom"), DECISION_UNWORTHY);
	host_fini(&h);
}

/* A driver asks about a large file each time before the program it starts reads it, and is the surer of the
 * two: what it asks makes the pages worth no less. */
static void test_engine_wants_pages_of_what_is_asked_about_first(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;
	uint32_t script, pid;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 12; i++) {
		script = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
		host_pass(&h, 100000000);
		pid = host_spawn(&h, script, "/bin/driver", NULL);
		host_look(&h, pid, "/data/both");
		if (i % 6) {
			uint32_t reader = host_spawn(&h, pid, "/bin/reader", NULL);

			host_open(&h, reader, "/data/both", 0);
			host_exit(&h, reader);
		}
		host_exit(&h, pid);
		host_exit(&h, script);
		host_rest(&h, 30 * S);
		carry_out(&h, &l, true);
	}
	host_rest(&h, 10 * S);
	(void)start_and_ask(&h, &l, "/bin/dash", "/srv/job.sh");
	assert_non_null(find_action(&l, ACTION_WARM, "/data/both"));
	host_fini(&h);
}

/* One script only asks about a file, a second one reads it: when both are about to, its pages count. */
static void test_engine_wants_pages_where_anyone_does(void **state)
{
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;
	uint32_t pid, one, other; /* shells of their own: neither program foretells the other */

	(void)state;
	host_init(&h, &limits);
	one = host_spawn(&h, 1, "/bin/one", NULL);
	other = host_spawn(&h, 1, "/bin/other", NULL);
	for (int i = 0; i < 4; i++) {
		pid = host_spawn(&h, one, "/bin/asks", NULL);
		host_look(&h, pid, "/data/both");
		host_exit(&h, pid);
		host_rest(&h, 30 * S);
		pid = host_spawn(&h, other, "/bin/reads", NULL);
		host_open(&h, pid, "/data/both", 0);
		host_exit(&h, pid);
		host_rest(&h, 30 * S);
		take_actions(&h, &l);
	}
	(void)host_spawn(&h, one, "/bin/asks", NULL);
	take_actions(&h, &l);
	assert_non_null(find_action(&l, ACTION_LOOKUP, "/data/both"));
	finish_actions(&h, &l, false);
	(void)host_spawn(&h, other, "/bin/reads", NULL);
	take_actions(&h, &l);
	assert_non_null(find_action(&l, ACTION_WARM, "/data/both"));
	host_fini(&h);
}

/* Lists a directory and asks about its entries: in that order, or first the latter. */
static void run_lister(struct host *h, bool list_first, int entries_n)
{
	uint32_t pid = host_spawn(h, 1, "/bin/lister", NULL);
	char path[64];

	if (list_first)
		host_list(h, pid, "/data/dir");
	for (int i = 0; i < entries_n; i++) {
		snprintf(path, sizeof(path), "/data/dir/%d", i);
		host_look(h, pid, path);
	}
	if (!list_first)
		host_list(h, pid, "/data/dir");
	host_exit(h, pid);
	host_rest(h, 10 * S);
}

/* What is asked about each entry of a directory is one need, and ends with the habit. */
static void test_engine_sweeps_what_is_asked_about_entry_by_entry(void **state)
{
	struct engine_limits limits = host_limits();
	const struct action *a;
	struct action_list l;
	const struct graph *g;
	const struct edge *edge;
	struct host h;

	(void)state;
	for (int list_first = 0; list_first < 2; list_first++) {
		host_init(&h, &limits);
		for (int i = 0; i < 8; i++)
			run_lister(&h, list_first, 200);
		g = engine_graph_const(h.engine);
		edge = graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/lister"),
				       graph_find(g, NODE_FILE, "/data/dir"), EDGE_OPEN);
		assert_non_null(edge);
		assert_true(edge->last_ns > edge->first_ns); /* which noting it does not change */
		(void)start_and_ask(&h, &l, "/bin/lister", NULL);
		a = find_action(&l, ACTION_LOOKUP, "/data/dir");
		assert_non_null(a);
		assert_true(a->list && a->sweep);
		/* Before the directory was known its entries were, once. */
		assert_null(find_action(&l, ACTION_LOOKUP, "/data/dir/150"));
		for (int i = 0; i < 12; i++)
			run_lister(&h, list_first, 0);
		(void)start_and_ask(&h, &l, "/bin/lister", NULL);
		a = find_action(&l, ACTION_LOOKUP, "/data/dir");
		assert_non_null(a);
		assert_true(a->list && !a->sweep);
		host_fini(&h);
	}
}

/* That a directory is swept is told to the store once, not for each entry that is asked about. */
static void test_engine_stores_a_sweep_once(void **state)
{
	struct engine_limits limits = host_limits();
	struct graph_change c;
	struct graph *g;
	struct host h;
	uint32_t pid;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 4; i++)
		run_lister(&h, true, 200);
	pid = host_spawn(&h, 1, "/bin/lister", NULL);
	host_list(&h, pid, "/data/dir");
	host_look(&h, pid, "/data/dir/0");
	g = engine_graph(h.engine);
	while (graph_next_change(g, &c))
		;
	host_look(&h, pid, "/data/dir/1");
	assert_false(graph_next_change(g, &c));
	host_fini(&h);
}

/* Who asks about very many things is only seen to begin with it: it sweeps what it lists after that. */
static void test_engine_takes_who_asks_much_as_sweeping(void **state)
{
	struct engine_limits limits = host_limits();
	const struct action *a;
	struct action_list l;
	struct host h;
	char path[64];
	uint32_t pid;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 3; i++) {
		pid = host_spawn(&h, 1, "/bin/lister", NULL);
		host_list(&h, pid, "/data/before");
		for (int n = 0; n < 300; n++) {
			snprintf(path, sizeof(path), "/data/%d/%d", n, n);
			host_look(&h, pid, path);
		}
		host_list(&h, pid, "/data/after");
		host_exit(&h, pid);
		host_rest(&h, 10 * S);
	}
	(void)start_and_ask(&h, &l, "/bin/lister", NULL);
	a = find_action(&l, ACTION_LOOKUP, "/data/after");
	assert_true(a && a->sweep);
	a = find_action(&l, ACTION_LOOKUP, "/data/before");
	assert_true(a && !a->sweep);
	host_fini(&h);
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
	struct engine_limits limits = host_limits();
	bool one = false, two = false;
	struct action_list l;
	struct host h;
	uint32_t pid;

	(void)state;
	host_init(&h, &limits);
	for (int i = 0; i < 4; i++) {
		pid = host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
		run_part_of_library(&h, pid, "/bin/one", 3);
		run_part_of_library(&h, pid, "/bin/two", 9);
		host_exit(&h, pid);
		carry_out(&h, &l, true);
		host_rest(&h, 10 * S);
	}
	take_actions(&h, &l);
	(void)host_spawn(&h, 1, "/bin/dash", "/srv/job.sh");
	for (struct action a; engine_next_action(h.engine, &a);) {
		if (a.kind != ACTION_WARM || strcmp(a.name, "/lib/all") != 0)
			continue;
		one = one || covers(&a, 3 * RANGES_CELL);
		two = two || covers(&a, 9 * RANGES_CELL);
	}
	assert_true(one);
	assert_true(two);
	host_fini(&h);
}

/* That a file is there, as far as one program uses it, says nothing about what another does. */
static void test_engine_knows_for_whom_a_file_is_there(void **state)
{
	static const char *const scripts[] = {"/srv/one.sh", "/srv/two.sh"};
	static const char *const programs[] = {"/bin/one", "/bin/two"};
	struct engine_limits limits = host_limits();
	struct action_list l;
	struct host h;
	uint32_t pid[2], of;

	(void)state;
	host_init(&h, &limits);
	for (uint32_t i = 0; i < 8; i++) {
		pid[0] = host_spawn(&h, 1, "/bin/dash", scripts[i % 2]);
		run_part_of_library(&h, pid[0], programs[i % 2], 3 + i % 2 * 6);
		host_exit(&h, pid[0]);
		host_rest(&h, 10 * S);
		carry_out(&h, &l, true);
	}
	pid[0] = host_spawn(&h, 1, "/bin/dash", scripts[0]);
	pid[1] = host_spawn(&h, 1, "/bin/dash", scripts[1]);
	host_rest(&h, 100 * S);
	take_actions(&h, &l);
	of = host_spawn(&h, pid[0], programs[0], NULL);
	take_actions(&h, &l);
	assert_non_null(find_action(&l, ACTION_WARM, "/lib/all"));
	finish_actions(&h, &l, false);
	host_open(&h, of, "/lib/all", 0);
	take_actions(&h, &l);
	(void)host_spawn(&h, pid[1], programs[1], NULL);
	for (struct action a; engine_next_action(h.engine, &a);) {
		if (a.kind != ACTION_WARM || strcmp(a.name, "/lib/all") != 0)
			continue;
		assert_true(covers(&a, 9 * RANGES_CELL));
		host_fini(&h);
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
	static const uint64_t times_ns[] = {0, 0, 3000, 0, 5000, 0};
	struct engine_limits limits = host_limits();
	struct obs o = {.kind = OBS_OPEN, .name = "/data/x", .count = 1};
	struct host h;

	(void)state;
	host_init(&h, &limits);
	o.pid = host_spawn(&h, 1, "/bin/tool", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(times_ns); i++) {
		host_pass(&h, 1000);
		o.ts_ns = h.now_ns;
		o.latency_ns = times_ns[i];
		assert_true(engine_observe(h.engine, &o) >= 0);
		if (i == 1)
			assert_int_equal(edge_to_data(&h)->latency_sum_ns, 0);
		if (i == 3)
			assert_int_equal(edge_to_data(&h)->latency_sum_ns, 4 * 3000);
	}
	assert_int_equal(edge_to_data(&h)->count, ARRAY_SIZE(times_ns));
	/* 5000 counts as one of five, not as one of two. */
	assert_int_equal(edge_to_data(&h)->latency_sum_ns, 17000 + 17000 / 5);
	o.kind = OBS_FOLD;
	o.count = 10;
	o.latency_ns = 3000;
	o.ts_ns = h.now_ns + 1;
	assert_true(engine_observe(h.engine, &o) >= 0);
	assert_int_equal(edge_to_data(&h)->latency_sum_ns, 17000 + 17000 / 5 + 30000);
	host_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_is_fair_between_users),
		cmocka_unit_test(test_engine_wants_the_parts_each_step_uses),
		cmocka_unit_test(test_engine_sweeps_what_is_asked_about_entry_by_entry),
		cmocka_unit_test(test_engine_stores_a_sweep_once),
		cmocka_unit_test(test_engine_takes_who_asks_much_as_sweeping),
		cmocka_unit_test(test_engine_knows_for_whom_a_file_is_there),
		cmocka_unit_test(test_engine_looks_up_what_is_only_asked_about),
		cmocka_unit_test(test_engine_tells_lookups_to_the_script_above),
		cmocka_unit_test(test_engine_looks_up_beside_what_it_reads),
		cmocka_unit_test(test_engine_keeps_what_runs),
		cmocka_unit_test(test_engine_says_why_it_did_nothing),
		cmocka_unit_test(test_engine_wants_pages_of_what_is_asked_about_first),
		cmocka_unit_test(test_engine_wants_pages_where_anyone_does),
		cmocka_unit_test(test_engine_asks_for_later_steps_ahead),
		cmocka_unit_test(test_engine_means_the_opens_that_were_timed),
		cmocka_unit_test(test_engine_follows_a_changed_habit),
		cmocka_unit_test(test_engine_keeps_score),
		cmocka_unit_test(test_engine_goes_on_with_a_kept_score),
		cmocka_unit_test(test_engine_gives_up_with_the_run),
		cmocka_unit_test(test_engine_stops_when_only_wrong),
		cmocka_unit_test(test_engine_learns_what_cold_and_warm_cost),
		cmocka_unit_test(test_engine_reads_what_is_updated),
		cmocka_unit_test(test_engine_keeps_users_apart),
		cmocka_unit_test(test_engine_tells_needs_to_the_script_above),
		cmocka_unit_test(test_engine_guesses_services),
		cmocka_unit_test(test_engine_is_deterministic),
		cmocka_unit_test(test_engine_is_bounded),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
