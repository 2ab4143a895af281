// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The engine on a make-believe host: what is not looked after any more, as it is there, or never comes. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/actions.h"
#include "support/host.h"

#include <errno.h>
#include <string.h>

#define S 1000000000ull

static uint32_t block_of(struct host *h, const char *name)
{
	uint32_t id = graph_find(engine_graph_const(h->engine), NODE_BLOCK, name);

	assert_true(id > 0);
	return id;
}

static void run_once(struct host *h, struct action_list *l, bool resident)
{
	uint32_t pid = actions_of_start(h, l, "/bin/dash", "/srv/idle.sh"), tool;

	actions_finish(h, l, resident);
	host_open(h, pid, "/srv/idle.conf", 0);
	host_open(h, pid, "/srv/idle.none", ENOENT);
	tool = host_spawn(h, pid, "/bin/tool", NULL);
	host_open(h, tool, "/data/idle", 0);
	host_exit(h, tool);
	host_exit(h, pid);
	host_rest(h, 10 * S);
}

/* Starts on account of which nothing was read from a disk, ahead or by what ran, are counted. */
static void test_engine_counts_starts_that_read_nothing(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t script;

	for (int i = 0; i < 6; i++)
		run_once(h, &l, true);
	script = block_of(h, "/bin/dash /srv/idle.sh");
	assert_int_equal(engine_idle_starts(h->engine, script), 6);
	run_once(h, &l, false); /* read ahead for it */
	assert_int_equal(engine_idle_starts(h->engine, script), 0);
	run_once(h, &l, true);
	run_once(h, &l, true);
	assert_int_equal(engine_idle_starts(h->engine, script), 2);
	h->cold = true; /* what it runs had to read */
	run_once(h, &l, true);
	assert_int_equal(engine_idle_starts(h->engine, script), 0);
}

/* One that had to read could have been foretold by what was started before it, if that were asked. */
static void test_engine_who_comes_before_a_reader_is_not_idle(void **state)
{
	static const char *const names[] = {"/bin/first", "/bin/second", "/bin/reader"};
	struct host *h = *state;
	uint32_t shell = host_spawn(h, 1, "/bin/dash", NULL);

	for (int i = 0; i < 6; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			uint32_t pid = host_spawn(h, shell, names[k], NULL);

			h->cold = i == 5 && k == 2;
			host_exit(h, pid);
			h->cold = false;
		}
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			assert_int_equal(engine_idle_starts(h->engine, block_of(h, names[k])),
					 i < 5 ? i + 1 : 0);
	}
}

/* Is there an open guess about it? */
static bool guessed(struct host *h, const char *name)
{
	const struct guess *g;
	uint64_t it = 0;

	while (engine_next_guess(h->engine, &it, &g)) {
		const struct node *n = graph_node_const(engine_graph_const(h->engine), g->dep);

		if (g->outcome == OUTCOME_OPEN && n && !strcmp(n->name, name))
			return true;
	}
	return false;
}

/* Of one start in four that find all in memory the programs are guessed: whether they come still says something. Of none
 * what those need is. */
static void test_engine_looks_after_no_needs_that_are_ready(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t pid, guessed_n = 0;

	for (int i = 0; i < 6; i++)
		run_once(h, &l, true);
	h->exec_flags = OBS_F_READY;
	for (int i = 0; i < 4; i++) {
		pid = actions_of_start(h, &l, "/bin/dash", "/srv/idle.sh");
		assert_int_equal(l.n, 0);
		guessed_n += guessed(h, "/bin/tool");
		assert_false(guessed(h, "/srv/idle.conf"));
		assert_false(guessed(h, "/data/idle"));
		host_exit(h, pid);
		host_rest(h, 10 * S);
	}
	assert_int_equal(guessed_n, 1);
	h->exec_flags = 0;
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/idle.sh");
	assert_non_null(actions_find(&l, ACTION_WARM, "/srv/idle.conf"));
}

/* The longer that is so the more rarely: what it starts is what it was. When it has to read again, it is as at
 * first. */
static void test_engine_guesses_ever_more_rarely_what_is_ready(void **state)
{
	struct host *h = *state;
	uint32_t guessed_n = 0, counted[3];
	struct action_list l;

	for (int i = 0; i < 6; i++)
		run_once(h, &l, true);
	h->exec_flags = OBS_F_READY;
	for (uint32_t i = 0; i < 3; i++) {
		guessed_n = 0;
		for (uint32_t n = 0; n < 64; n++) {
			uint32_t pid = actions_of_start(h, &l, "/bin/dash", "/srv/idle.sh");

			guessed_n += guessed(h, "/bin/tool");
			host_exit(h, host_spawn(h, pid, "/bin/tool", NULL));
			h->cold = i == 1 && n == 63;
			host_exit(h, pid);
			h->cold = false;
			host_rest(h, 200 * S);
		}
		counted[i] = guessed_n;
	}
	assert_int_equal(counted[0],
			 15); /* the 8th to the 60th, and the 64th: from there on one in 16 */
	assert_int_equal(counted[1], 4);
	assert_int_equal(counted[2], 16);
}

/* What was seen in memory a moment ago is not looked at again, but when something has left memory since. */
static void test_engine_looks_again_after_something_left(void **state)
{
	struct engine_limits limits = host_limits();
	struct plan_policy policy = host_policy();
	struct action_list l;
	struct host h;
	uint32_t pid;

	(void)state;
	policy.recheck_ns = S;
	host_init_with(&h, &limits, &policy);
	for (int i = 0; i < 6; i++)
		run_once(&h, &l, true);
	for (uint32_t i = 0; i < 4; i++) {
		engine_left(h.engine, i / 2);
		pid = actions_of_start(&h, &l, "/bin/dash", "/srv/idle.sh");
		assert_int_equal(actions_find(&l, ACTION_WARM, "/srv/idle.conf") != NULL,
				 i % 2 == 0);
		assert_int_equal(actions_find(&l, ACTION_LOOKUP, "/srv/idle.none") != NULL, i == 0);
		actions_finish(&h, &l, true);
		host_exit(&h, pid);
	}
	host_fini(&h);
}

/* A step that does not come, time and again, is hoped for on; what it would need is not even looked through, and
 * that it would not be acted on is told beforehand. */
static void test_engine_gives_a_habit_up(void **state)
{
	struct host *h = *state;
	struct guess list[64];
	struct action_list l;
	uint32_t pid;
	size_t n;

	for (int i = 0; i < 40; i++)
		run_once(h, &l, true);
	for (int i = 0; i < 8;
	     i++) { /* not so often that the step is not thought likely any more */
		pid = actions_of_start(h, &l, "/bin/dash", "/srv/idle.sh");
		assert_true(guessed(h, "/bin/tool"));
		assert_int_equal(guessed(h, "/data/idle"), i < 4);
		actions_finish(h, &l, true);
		host_open(h, pid, "/srv/idle.conf", 0);
		host_exit(h, pid);
		host_rest(h, 10 * S);
	}
	n = engine_predict_block(h->engine, block_of(h, "/bin/dash /srv/idle.sh"), list,
				 ARRAY_SIZE(list));
	for (size_t i = 0; i < n; i++) {
		const char *name =
			graph_node_const(engine_graph_const(h->engine), list[i].dep)->name;

		if (!strcmp(name, "/data/idle"))
			assert_int_equal(list[i].decision, DECISION_UNTRUSTED);
		if (!strcmp(name, "/srv/idle.conf"))
			assert_int_equal(list[i].decision, DECISION_NONE);
	}
}

/* What is asked for again so long after it was found to be there. */
static size_t asked_after(struct host *h, struct action_list *l, uint64_t ns, uint32_t left_n)
{
	uint32_t pid;

	host_rest(h, ns);
	if (left_n)
		engine_left(h->engine, left_n);
	pid = actions_of_start(h, l, "/bin/dash", "/srv/idle.sh");
	actions_finish(h, l, true);
	host_open(h, pid, "/srv/idle.conf", 0);
	host_look(h, pid, "/srv/idle.asked");
	host_exit(h, pid);
	return l->n;
}

/* While nothing is told to have left memory nothing is looked for again and again. */
static void test_engine_looks_no_more_while_nothing_leaves(void **state)
{
	struct host *h = *state;
	struct action_list l;

	for (int i = 0; i < 8; i++)
		(void)asked_after(h, &l, 10 * S, 0);
	assert_true(asked_after(h, &l, 10 * S, 0) > 0); /* nobody tells */
	assert_true(asked_after(h, &l, 10 * S, 7) > 0); /* as of before */
	assert_int_equal(asked_after(h, &l, 10 * S, 7), 0);
	assert_true(asked_after(h, &l, 10 * S, 8) > 0);
	assert_true(asked_after(h, &l, 40 * S, 8) > 0); /* not for ever */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_engine_counts_starts_that_read_nothing),
		WITH_HOST(test_engine_who_comes_before_a_reader_is_not_idle),
		WITH_HOST(test_engine_looks_after_no_needs_that_are_ready),
		WITH_HOST(test_engine_guesses_ever_more_rarely_what_is_ready),
		cmocka_unit_test(test_engine_looks_again_after_something_left),
		WITH_HOST(test_engine_gives_a_habit_up),
		WITH_HOST(test_engine_looks_no_more_while_nothing_leaves),
	};

	return cmocka_run_group_tests_name("engine_idle", tests, NULL, NULL);
}
