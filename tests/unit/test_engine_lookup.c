// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the engine makes of names that are only asked about, as by stat(2). */
#include "support/support.h"

#include "support/actions.h"
#include "support/host.h"

#include <errno.h>

#define MS 1000000ull
#define S (1000 * MS)

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
	struct host *h = *state;
	struct action_list l;
	const struct action *a;
	const struct graph *g;
	const struct edge *edge;

	for (int i = 0; i < 4; i++) {
		host_exit(h, ask_and_open(h));
		actions_carry_out(h, &l, true);
		host_rest(h, 10 * S);
	}
	g = engine_graph_const(h->engine);
	edge = graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/tool"),
			       graph_find(g, NODE_FILE, "/data/opened"), EDGE_OPEN);
	assert_non_null(edge);
	assert_int_equal(edge->flags & EDGE_F_LOOKUP, 0);
	assert_int_equal(edge->runs_n, 4); /* asking first took nothing away from its opening */
	(void)actions_of_start(h, &l, "/bin/tool", NULL);
	a = actions_find(&l, ACTION_LOOKUP, "/data/asked");
	assert_non_null(a);
	assert_int_equal(a->bytes, 0);
	assert_false(a->list);
	assert_null(actions_find(&l, ACTION_WARM, "/data/asked"));
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/opened"));
	assert_null(actions_find(&l, ACTION_LOOKUP, "/data/opened"));
}

/* A job whose tool is another one each time: what that asks about, and what it asks about before it reads it, the
 * job above it knows. */
static void test_engine_tells_lookups_to_the_script_above(void **state)
{
	struct host *h = *state;
	struct action_list l;
	char tool[32];
	uint32_t pid;

	for (int i = 0; i < 6; i++) {
		uint32_t script = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");

		if (i) {
			assert_non_null(actions_find(&l, ACTION_LOOKUP, "/data/asked"));
			assert_non_null(actions_find(&l, ACTION_WARM, "/data/opened"));
		}
		snprintf(tool, sizeof(tool), "/bin/tool-%c", 'a' + i);
		pid = host_spawn(h, script, tool, NULL);
		host_look(h, pid, "/data/asked");
		host_look(h, pid, "/data/opened");
		host_open(h, pid, "/data/opened", 0);
		host_exit(h, pid);
		host_exit(h, script);
		actions_carry_out(h, &l, true);
		host_rest(h, 10 * S);
	}
}

/* How much may be read is learnt, from little: that much of it is files keeps no lookup waiting. */
static void test_engine_looks_up_beside_what_it_reads(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t script, pid;
	char path[32];

	h->file_bytes = 8192;
	script = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	host_pass(h, 30000000);
	pid = host_spawn(h, script, "/bin/tool", NULL);
	host_look(h, pid, "/data/asked");
	for (int i = 0; i < 80; i++) {
		snprintf(path, sizeof(path), "/data/file-%d", i);
		host_open(h, pid, path, 0);
	}
	host_exit(h, pid);
	host_exit(h, script);
	host_rest(h, 10 * S);
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/file-79"));
	assert_null(actions_find(&l, ACTION_WARM, "/data/file-0"));
	assert_non_null(actions_find(&l, ACTION_LOOKUP, "/data/asked"));
	assert_int_equal(host_decision(h, "/data/file-79"), DECISION_ACTED);
	assert_int_equal(host_decision(h, "/data/file-0"), DECISION_UNTRUSTED);
}

/* A driver asks about a large file each time before the program it starts reads it, and is the surer of the
 * two: what it asks makes the pages worth no less. */
static void test_engine_wants_pages_of_what_is_asked_about_first(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t script, pid;

	for (int i = 0; i < 12; i++) {
		script = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
		host_pass(h, 100000000);
		pid = host_spawn(h, script, "/bin/driver", NULL);
		host_look(h, pid, "/data/both");
		if (i % 6) {
			uint32_t reader = host_spawn(h, pid, "/bin/reader", NULL);

			host_open(h, reader, "/data/both", 0);
			host_exit(h, reader);
		}
		host_exit(h, pid);
		host_exit(h, script);
		host_rest(h, 30 * S);
		actions_carry_out(h, &l, true);
	}
	host_rest(h, 10 * S);
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	host_rest(h, 50 * MS); /* it has time */
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/both"));
}

/* What is asked about, or looked for in vain to be executed, is told of some runs only: the others say nothing of
 * it, but for their opens. */
static void test_engine_takes_no_answer_for_none(void **state)
{
	struct host *h = *state;
	const struct graph *g;
	struct action_list l;
	uint32_t pid, dep;

	for (int i = 0; i < 4; i++) {
		pid = ask_and_open(h);
		host_see(h, (struct obs){.kind = OBS_OPEN,
					 .pid = pid,
					 .name = "/usr/local/bin/cc",
					 .err = ENOENT,
					 .flags = OBS_F_LOOKUP | OBS_F_MAPPED});
		host_exit(h, pid);
	}
	for (int i = 0; i < 30; i++) {
		pid = host_spawn(h, 1, "/bin/tool", NULL);
		host_open(h, pid, "/data/other", 0);
		host_exit(h, pid);
	}
	actions_carry_out(h, &l, true);
	host_rest(h, 100 * S);
	(void)actions_of_start(h, &l, "/bin/tool", NULL);
	assert_non_null(actions_find(&l, ACTION_LOOKUP, "/data/asked"));
	assert_non_null(actions_find(&l, ACTION_LOOKUP, "/usr/local/bin/cc"));
	assert_null(actions_find(&l, ACTION_WARM, "/data/opened"));
	g = engine_graph_const(h->engine);
	dep = graph_find(g, NODE_FILE, "/usr/local/bin/cc");
	assert_true(graph_node_const(g, dep)->flags & NODE_F_ABSENT);
}

/* One script only asks about a file, a second one reads it: when both are about to, its pages count. */
static void test_engine_wants_pages_where_anyone_does(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t pid, one, other; /* shells of their own: neither program foretells the other */

	one = host_spawn(h, 1, "/bin/one", NULL);
	other = host_spawn(h, 1, "/bin/other", NULL);
	for (int i = 0; i < 4; i++) {
		pid = host_spawn(h, one, "/bin/asks", NULL);
		host_look(h, pid, "/data/both");
		host_exit(h, pid);
		host_rest(h, 30 * S);
		pid = host_spawn(h, other, "/bin/reads", NULL);
		host_open(h, pid, "/data/both", 0);
		host_exit(h, pid);
		host_rest(h, 30 * S);
		actions_take(h, &l);
	}
	(void)host_spawn(h, one, "/bin/asks", NULL);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_LOOKUP, "/data/both"));
	actions_finish(h, &l, false);
	(void)host_spawn(h, other, "/bin/reads", NULL);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/both"));
}

/* Lists a directory and asks about its entries: in that order, or first the latter. */
static void run_lister(struct host *h, bool list_first, int entries_n)
{
	uint32_t pid = host_spawn(h, 1, "/bin/lister", NULL);
	char path[64];

	host_look(h, pid, "/etc/ld.so.preload"); /* as all do: what it asks about is told */
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
	struct host *h = *state;
	const struct action *a;
	struct action_list l;
	const struct graph *g;
	const struct edge *edge;

	for (int list_first = 0; list_first < 2; list_first++) {
		for (int i = 0; i < 8; i++)
			run_lister(h, list_first, 200);
		g = engine_graph_const(h->engine);
		edge = graph_edge_find(g, graph_find(g, NODE_BLOCK, "/bin/lister"),
				       graph_find(g, NODE_FILE, "/data/dir"), EDGE_OPEN);
		assert_non_null(edge);
		assert_true(edge->last_ns > edge->first_ns); /* which noting it does not change */
		(void)actions_of_start(h, &l, "/bin/lister", NULL);
		a = actions_find(&l, ACTION_LOOKUP, "/data/dir");
		assert_non_null(a);
		assert_true(a->list && a->sweep);
		/* Before the directory was known its entries were, once. */
		assert_null(actions_find(&l, ACTION_LOOKUP, "/data/dir/150"));
		for (int i = 0; i < 12; i++)
			run_lister(h, list_first, 0);
		(void)actions_of_start(h, &l, "/bin/lister", NULL);
		a = actions_find(&l, ACTION_LOOKUP, "/data/dir");
		assert_non_null(a);
		assert_true(a->list && !a->sweep);
	}
}

/* That a directory is swept is told to the store once, not for each entry that is asked about. */
static void test_engine_stores_a_sweep_once(void **state)
{
	struct host *h = *state;
	struct graph_change c;
	struct graph *g;
	uint32_t pid;

	for (int i = 0; i < 4; i++)
		run_lister(h, true, 200);
	pid = host_spawn(h, 1, "/bin/lister", NULL);
	host_list(h, pid, "/data/dir");
	host_look(h, pid, "/data/dir/0");
	g = engine_graph(h->engine);
	while (graph_next_change(g, &c))
		;
	host_look(h, pid, "/data/dir/1");
	assert_false(graph_next_change(g, &c));
}

/* Who asks about very many things is only seen to begin with it: it sweeps what it lists after that. */
static void test_engine_takes_who_asks_much_as_sweeping(void **state)
{
	struct host *h = *state;
	const struct action *a;
	struct action_list l;
	char path[64];
	uint32_t pid;

	for (int i = 0; i < 3; i++) {
		pid = host_spawn(h, 1, "/bin/lister", NULL);
		host_list(h, pid, "/data/before");
		for (int n = 0; n < 300; n++) {
			snprintf(path, sizeof(path), "/data/%d/%d", n, n);
			host_look(h, pid, path);
		}
		host_list(h, pid, "/data/after");
		host_exit(h, pid);
		host_rest(h, 10 * S);
	}
	(void)actions_of_start(h, &l, "/bin/lister", NULL);
	a = actions_find(&l, ACTION_LOOKUP, "/data/after");
	assert_true(a && a->sweep);
	a = actions_find(&l, ACTION_LOOKUP, "/data/before");
	assert_true(a && !a->sweep);
}

/* A program is quicker than whoever looks after what it needs: what comes of that is known all the same. */
static void test_engine_knows_what_was_there_for_who_was_quicker(void **state)
{
	struct host *h = *state;
	struct action_list l, again;
	uint32_t pid;

	for (int i = 0; i < 4; i++) {
		host_exit(h, ask_and_open(h));
		actions_carry_out(h, &l, true);
		host_rest(h, 10 * S);
	}
	pid = actions_of_start(h, &l, "/bin/tool", NULL);
	assert_non_null(actions_find(&l, ACTION_LOOKUP, "/data/asked"));
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/opened"));
	host_look(h, pid, "/data/asked");
	host_open(h, pid, "/data/opened", 0);
	actions_finish(h, &l, true);
	host_exit(h, pid);
	pid = actions_of_start(h, &again, "/bin/tool", NULL);
	assert_null(actions_find(&again, ACTION_LOOKUP, "/data/asked"));
	assert_null(actions_find(&again, ACTION_WARM, "/data/opened"));
	host_exit(h, pid);
	host_rest(h, 10 * S);
	(void)actions_of_start(h, &again, "/bin/tool", NULL); /* for so long it is not believed */
	assert_non_null(actions_find(&again, ACTION_LOOKUP, "/data/asked"));
	assert_non_null(actions_find(&again, ACTION_WARM, "/data/opened"));
}

/* What is read for a guess that turned out wrong is dropped again: that it was there says nothing. */
static void test_engine_believes_nothing_that_is_given_back(void **state)
{
	struct host *h = *state;
	struct action_list l, again;

	for (int i = 0; i < 4; i++) {
		host_exit(h, ask_and_open(h));
		actions_carry_out(h, &l, true);
		host_rest(h, 10 * S);
	}
	host_exit(h, actions_of_start(h, &l, "/bin/tool", NULL)); /* needs nothing of it */
	host_rest(h, 10 * S);
	actions_finish(h, &l, false);
	(void)actions_of_start(h, &again, "/bin/tool", NULL);
	assert_non_null(actions_find(&again, ACTION_WARM, "/data/opened"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_engine_looks_up_what_is_only_asked_about),
		WITH_HOST(test_engine_tells_lookups_to_the_script_above),
		WITH_HOST(test_engine_looks_up_beside_what_it_reads),
		WITH_HOST(test_engine_wants_pages_of_what_is_asked_about_first),
		WITH_HOST(test_engine_takes_no_answer_for_none),
		WITH_HOST(test_engine_wants_pages_where_anyone_does),
		WITH_HOST(test_engine_sweeps_what_is_asked_about_entry_by_entry),
		WITH_HOST(test_engine_stores_a_sweep_once),
		WITH_HOST(test_engine_takes_who_asks_much_as_sweeping),
		WITH_HOST(test_engine_knows_what_was_there_for_who_was_quicker),
		WITH_HOST(test_engine_believes_nothing_that_is_given_back),
	};

	return cmocka_run_group_tests_name("engine_lookup", tests, NULL, NULL);
}
