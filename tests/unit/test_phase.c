// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Boots and logins on a make-believe host: what they always need is asked for when the next one begins. */
#include "support/support.h"

#include "support/host.h"

#include <string.h>

#define S 1000000000ull

/* Is there an action of that kind for path? Takes and finishes all that wait. */
static bool asks(struct host *h, enum action_kind kind, const char *path)
{
	struct action a;
	bool found = false;

	while (engine_next_action(h->engine, &a)) {
		if (a.kind == ACTION_CANCEL)
			continue;
		found = found || (a.kind == kind && !strcmp(a.name, path));
		assert_int_equal(
			engine_result(h->engine,
				      &(struct action_result){.guess_id = a.guess_id,
							      .bytes_read = a.bytes,
							      .now = a.priority == WANT_NOW,
							      .bytes_planned = a.bytes,
							      .done_ns = h->now_ns,
							      .took_ns = 1000000}),
			0);
	}
	return found;
}

static bool warms(struct host *h, const char *path)
{
	return asks(h, ACTION_WARM, path);
}

/* Asks about path and about another that is not opened, and opens path. */
static void run(struct host *h, const char *exe, const char *path)
{
	uint32_t pid = host_spawn(h, 1, exe, NULL);
	char asked[64];

	snprintf(asked, sizeof(asked), "%s.d", path);
	host_look(h, pid, asked);
	host_look(h, pid, path);
	host_open(h, pid, path, 0);
	host_exit(h, pid);
}

static void later(struct host *h, uint64_t ns)
{
	host_pass(h, ns);
	host_tick(h);
}

/* Two programs start soon after, one when the day has begun. */
static void boot(struct host *h)
{
	assert_int_equal(engine_boot(h->engine, h->now_ns), 0);
	later(h, 5 * S);
	run(h, "/sbin/one", "/etc/one.conf");
	later(h, 20 * S);
	run(h, "/sbin/two", "/etc/two.conf");
	later(h, 100 * S);
	run(h, "/bin/much-later", "/etc/later.conf");
	(void)warms(h, "");
	later(h, 600 * S);
	(void)warms(h, "");
}

static void test_phase_boot_asks_for_what_boots_need(void **state)
{
	struct host *h = *state;
	const struct graph *g;
	uint32_t block;

	engine_phases(h->engine, 60 * S, true);
	for (int i = 0; i < 3; i++)
		boot(h);
	g = engine_graph_const(h->engine);
	block = graph_find(g, NODE_BLOCK, "boot");
	assert_int_not_equal(block, 0);
	assert_int_equal(graph_node_const(g, block)->runs_n, 3);
	assert_null(
		graph_edge_find(g, block, graph_find(g, NODE_FILE, "/etc/later.conf"), EDGE_BELOW));
	assert_int_equal(engine_boot(h->engine, h->now_ns), 0);
	assert_true(warms(h, "/etc/two.conf"));
	later(h, 600 * S);
	(void)warms(h, "");
	assert_int_equal(engine_boot(h->engine, h->now_ns), 0);
	assert_true(asks(h, ACTION_LOOKUP, "/etc/two.conf.d"));
}

static void test_phase_off_learns_nothing(void **state)
{
	struct host *h = *state;

	engine_phases(h->engine, 0, true);
	for (int i = 0; i < 3; i++)
		boot(h);
	assert_int_equal(graph_find(engine_graph_const(h->engine), NODE_BLOCK, "boot"), 0);
}

/* A shell that lives as long as the session, and a program that reads the user's notes. */
static void login(struct host *h, uint32_t uid, const char *notes)
{
	uint32_t shell;

	h->uid = uid;
	shell = host_spawn(h, 1, "/bin/bash", NULL);
	later(h, 10 * S);
	run(h, "/bin/mail", notes);
	(void)warms(h, "");
	host_exit(h, shell);
	h->uid = 0;
	later(h, 600 * S);
	(void)warms(h, "");
}

static void test_phase_login_is_of_one_user(void **state)
{
	struct host *h = *state;
	const struct graph *g;
	uint32_t shell;

	engine_phases(h->engine, 60 * S, true);
	for (int i = 0; i < 3; i++) {
		login(h, 1000, "/home/a/notes");
		login(h, 1001, "/home/b/notes");
	}
	g = engine_graph_const(h->engine);
	assert_int_equal(graph_node_const(g, graph_find(g, NODE_BLOCK, "login:1000"))->runs_n, 3);
	h->uid = 1000;
	shell = host_spawn(h, 1, "/bin/true", NULL); /* nothing that would say which notes */
	assert_true(warms(h, "/home/a/notes"));
	later(h, 600 * S);
	(void)warms(h, "");
	/* Not a login: something of the user runs. */
	(void)host_spawn(h, 1, "/bin/true", NULL);
	assert_false(warms(h, "/home/a/notes"));
	assert_int_equal(graph_node_const(g, graph_find(g, NODE_BLOCK, "login:1000"))->runs_n, 4);
	host_exit(h, shell);
	h->uid = 1002;
	(void)host_spawn(h, 1, "/bin/true", NULL);
	assert_false(warms(h, "/home/a/notes"));
}

/* A start that is well known tells nothing of what it opens: it is taken to need what it usually does. */
static void test_phase_knows_what_quiet_starts_need(void **state)
{
	struct host *h = *state;
	const struct graph *g;
	uint32_t block;

	engine_phases(h->engine, 60 * S, false);
	for (int i = 0; i < 6; i++) {
		uint32_t pid = host_spawn(h, 1, "/sbin/one", NULL);

		host_open(h, pid, "/etc/one.conf", 0);
		host_look(h, pid, "/etc/one.asked");
		if (i == 0)
			host_open(h, pid, "/etc/one.once", 0);
		h->open_flags = OBS_F_WRITE;
		host_open(h, pid, "/var/one.log", 0);
		h->open_flags = 0;
		host_exit(h, pid);
		later(h, 300 * S);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(engine_boot(h->engine, h->now_ns), 0);
		later(h, 5 * S);
		h->exec_flags = OBS_F_QUIET;
		host_exit(h, host_spawn(h, 1, "/sbin/one", NULL));
		h->exec_flags = 0;
		later(h, 600 * S);
		(void)warms(h, "");
	}
	g = engine_graph_const(h->engine);
	block = graph_find(g, NODE_BLOCK, "boot");
	assert_int_not_equal(block, 0);
	assert_non_null(
		graph_edge_find(g, block, graph_find(g, NODE_FILE, "/etc/one.conf"), EDGE_BELOW));
	assert_null(
		graph_edge_find(g, block, graph_find(g, NODE_FILE, "/etc/one.once"), EDGE_BELOW));
	assert_null(
		graph_edge_find(g, block, graph_find(g, NODE_FILE, "/etc/one.asked"), EDGE_BELOW));
	assert_null(
		graph_edge_find(g, block, graph_find(g, NODE_FILE, "/var/one.log"), EDGE_BELOW));
	assert_int_equal(engine_boot(h->engine, h->now_ns), 0);
	assert_true(warms(h, "/etc/one.conf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_phase_boot_asks_for_what_boots_need),
		WITH_HOST(test_phase_off_learns_nothing),
		WITH_HOST(test_phase_login_is_of_one_user),
		WITH_HOST(test_phase_knows_what_quiet_starts_need),
	};

	return cmocka_run_group_tests_name("phase", tests, NULL, NULL);
}
