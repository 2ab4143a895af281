// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What has time is not read at once: so that what turns out not to come was not read in vain.
 */
#include "support/support.h"

#include "support/actions.h"

#include <errno.h>

#define MS 1000000ull
#define S (1000 * MS)

/* A script whose second step comes after some time, and reads a file. Returns the script's pid. */
static uint32_t run_job(struct host *h, uint64_t after_ns)
{
	uint32_t script = host_spawn(h, 1, "/bin/dash", "/srv/job.sh"), pid;

	host_exit(h, host_spawn(h, script, "/bin/first", NULL));
	host_pass(h, after_ns);
	pid = host_spawn(h, script, "/bin/second", NULL);
	host_open(h, pid, "/data/needed", 0);
	host_connect(h, pid, "unix:/run/needed");
	host_exit(h, pid);
	return script;
}

static void learn(struct host *h, int n, uint64_t after_ns)
{
	struct action_list l;

	for (int i = 0; i < n; i++) {
		host_exit(h, run_job(h, after_ns));
		host_rest(h, 30 * S);
		actions_carry_out(h, &l, true);
	}
	host_rest(h, 30 * S);
}

static void test_engine_waits_while_there_is_time(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint64_t due_ns;

	learn(h, 8, 400 * MS);
	assert_int_equal(engine_due_ns(h->engine), 0);
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	assert_null(actions_find(&l, ACTION_WARM, "/data/needed"));
	assert_non_null(actions_find(&l, ACTION_PRESTART, "unix:/run/needed"));
	assert_int_equal(host_decision(h, "/data/needed"), DECISION_WAITS);
	due_ns = engine_due_ns(h->engine);
	assert_in_range(due_ns, h->now_ns + 50 * MS, h->now_ns + 150 * MS);
	h->now_ns = due_ns - 1;
	host_tick(h);
	actions_take(h, &l);
	assert_null(actions_find(&l, ACTION_WARM, "/data/needed"));
	h->now_ns = due_ns;
	assert_int_equal(engine_tick(h->engine, h->now_ns, NULL, NULL), 0);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
}

/* The script ends before: nothing was read, and nothing is any more. */
static void test_engine_reads_nothing_of_what_has_ended(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t pid;

	learn(h, 8, 400 * MS);
	pid = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	assert_true(engine_due_ns(h->engine) > 0);
	host_pass(h, 30 * MS);
	host_exit(h, pid);
	assert_int_equal(engine_due_ns(h->engine), 0);
	host_rest(h, S);
	actions_take(h, &l);
	assert_null(actions_find(&l, ACTION_WARM, "/data/needed"));
}

/* It comes sooner than ever: then it is read at once. */
static void test_engine_waits_no_longer_for_what_has_come(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t pid;

	learn(h, 8, 400 * MS);
	pid = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	host_pass(h, 10 * MS);
	(void)host_spawn(h, pid, "/bin/second", NULL);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
}

/* What a program that runs has not opened yet is needed by the next one, which has yet to start: whatever it counts as
 * then, its room is free again when it has been read. */
static void test_engine_frees_the_room_it_took(void **state)
{
	struct host *h = *state;
	struct engine_stats s;
	struct action_list l;

	learn(h, 8, 400 * MS);
	(void)actions_of_start(h, &l, "/bin/second", NULL);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
	actions_finish(h, &l, false);
	host_rest(h, 2 * S);
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
	engine_stats(h->engine, &s);
	assert_true(s.inflight_bytes > 0);
	actions_finish(h, &l, false);
	engine_stats(h->engine, &s);
	assert_int_equal(s.inflight_bytes, 0);
}

/* Whoever reads was busy, or had no room: that does not make it wait once more. */
static void test_engine_tries_again_without_waiting(void **state)
{
	struct host *h = *state;
	const struct action *a;
	struct action_list l;
	uint32_t pid;

	learn(h, 8, 400 * MS);
	pid = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	host_rest(h, 150 * MS);
	actions_take(h, &l);
	a = actions_find(&l, ACTION_WARM, "/data/needed");
	assert_non_null(a);
	assert_int_equal(engine_result(h->engine, &(struct action_result){.guess_id = a->guess_id,
									  .err = EBUSY,
									  .done_ns = h->now_ns}),
			 0);
	host_pass(h, 3 * S / 2);
	host_exit(h, host_spawn(h, pid, "/bin/first", NULL));
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
}

/* It was asked for before, and is not there yet: now a program waits for it. */
static void test_engine_hurries_what_has_come(void **state)
{
	struct host *h = *state;
	const struct action *a;
	struct action_list l;
	uint64_t guess_id;
	uint32_t pid;

	learn(h, 8, 400 * MS);
	pid = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	host_rest(h, 150 * MS);
	actions_take(h, &l);
	a = actions_find(&l, ACTION_WARM, "/data/needed");
	assert_non_null(a);
	assert_int_equal(a->priority, WANT_LATER);
	assert_int_equal(a->event_ns, 0);
	guess_id = a->guess_id;
	(void)host_spawn(h, pid, "/bin/second", NULL);
	actions_take(h, &l);
	for (a = l.actions; a->kind != ACTION_HURRY || a->guess_id != guess_id; a++)
		assert_true(a + 1 < l.actions + l.n);
	assert_int_equal(a->priority, WANT_NOW);
	assert_int_equal(a->event_ns, h->now_ns);
}

/* What was hurried has come by now: another start that will need it has time again. */
static void test_engine_hurries_no_more_what_is_there(void **state)
{
	struct host *h = *state;
	const struct action *a;
	struct action_list l;
	uint32_t pid;

	learn(h, 8, 400 * MS);
	pid = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	host_rest(h, 150 * MS);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
	(void)host_spawn(h, pid, "/bin/second", NULL);
	actions_finish(h, &l, false);
	host_rest(h, 3 * S / 2);
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	a = actions_find(&l, ACTION_WARM, "/data/needed");
	assert_non_null(a);
	assert_int_equal(a->priority, WANT_LATER);
	assert_in_range(a->need_ns, h->now_ns + 300 * MS, h->now_ns + 500 * MS);
}

/* More than so young a habit is trusted with: not read before the program runs, but then at once. */
static void test_engine_reads_for_who_runs_what_it_did_not_on_trust(void **state)
{
	struct host *h = *state;
	struct action_list l;
	uint32_t pid;

	h->file_bytes = 32 << 20;
	learn(h, 2, 400 * MS);
	pid = actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	host_rest(h, 150 * MS);
	actions_take(h, &l);
	assert_null(actions_find(&l, ACTION_WARM, "/data/needed"));
	assert_int_equal(host_decision(h, "/data/needed"), DECISION_UNTRUSTED);
	(void)host_spawn(h, pid, "/bin/second", NULL);
	actions_take(h, &l);
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
}

/* Of what came at once now and then is not known that it has time; that is forgotten after some twenty times. */
static void test_engine_waits_only_for_what_never_comes_sooner(void **state)
{
	struct host *h = *state;
	struct action_list l;

	learn(h, 8, 400 * MS);
	learn(h, 1, MS);
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	assert_non_null(actions_find(&l, ACTION_WARM, "/data/needed"));
	host_rest(h, 30 * S);
	learn(h, 25, 400 * MS);
	(void)actions_of_start(h, &l, "/bin/dash", "/srv/job.sh");
	assert_null(actions_find(&l, ACTION_WARM, "/data/needed"));
}

static bool yes(void *ctx)
{
	(void)ctx;
	return true;
}

/* Many guesses come to their end at once: one a call, where a start waits each time. */
static void test_engine_tick_pauses(void **state)
{
	const struct pause always = {.wanted = yes};
	struct host *h = *state;
	struct engine_stats s;
	struct action_list l;
	unsigned goes_n = 0;
	uint64_t open_n;

	for (int turn = 0; turn < 6; turn++) {
		uint32_t pid = host_spawn(h, 1, "/bin/many", NULL);

		for (int i = 0; i < 20; i++) {
			char name[64];

			snprintf(name, sizeof(name), "/data/many%02d", i);
			host_open(h, pid, name, 0);
		}
		host_exit(h, pid);
		host_rest(h, 30 * S);
		actions_carry_out(h, &l, true);
	}
	(void)actions_of_start(h, &l, "/bin/many", NULL);
	engine_stats(h->engine, &s);
	open_n = s.guesses_open_n;
	assert_true(open_n >= 20);
	host_pass(h, 300 * S);
	while (engine_tick(h->engine, h->now_ns, NULL, &always) == ENGINE_MORE) {
		goes_n++;
		engine_stats(h->engine, &s);
		assert_int_equal(s.guesses_open_n, open_n - goes_n);
	}
	assert_int_equal(goes_n, open_n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_engine_waits_while_there_is_time),
		WITH_HOST(test_engine_reads_nothing_of_what_has_ended),
		WITH_HOST(test_engine_waits_no_longer_for_what_has_come),
		WITH_HOST(test_engine_hurries_what_has_come),
		WITH_HOST(test_engine_hurries_no_more_what_is_there),
		WITH_HOST(test_engine_frees_the_room_it_took),
		WITH_HOST(test_engine_tries_again_without_waiting),
		WITH_HOST(test_engine_reads_for_who_runs_what_it_did_not_on_trust),
		WITH_HOST(test_engine_waits_only_for_what_never_comes_sooner),
		WITH_HOST(test_engine_tick_pauses),
	};

	return cmocka_run_group_tests_name("engine_wait", tests, NULL, NULL);
}
