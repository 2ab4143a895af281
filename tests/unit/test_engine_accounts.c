// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What was asked for on the word of a guess is released, or left alone, and counted, whatever came between.
 */
#include "support/support.h"

#include "support/actions.h"

#include <errno.h>
#include <string.h>

#define MS 1000000ull
#define S (1000 * MS)

/* A program that needs a file, run by itself and by a script. */
static void learn(struct host *h)
{
	struct action_list l;
	uint32_t script, pid;

	for (int i = 0; i < 8; i++) {
		script = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
		host_pass(h, 400 * MS);
		pid = host_spawn(h, script, "/bin/second", NULL);
		host_open(h, pid, "/data/needed", 0);
		host_exit(h, pid);
		host_exit(h, script);
		host_rest(h, 30 * S);
		actions_carry_out(h, &l, true);
	}
	host_rest(h, 30 * S);
}

/* It starts, and its file is asked for. Returns its pid. */
static uint32_t asked(struct host *h, struct action *ret)
{
	struct action_list l;
	uint32_t pid = actions_of_start(h, &l, "/bin/second", NULL);
	const struct action *a = actions_find(&l, ACTION_WARM, "/data/needed");

	assert_non_null(a);
	*ret = *a;
	return pid;
}

static void told(struct host *h, const struct action *a, int err, uint64_t read)
{
	assert_int_equal(
		engine_result(h->engine, &(struct action_result){.guess_id = a->guess_id,
								 .err = err,
								 .bytes_read = read,
								 .now = a->priority == WANT_NOW,
								 .bytes_planned = a->bytes,
								 .done_ns = h->now_ns,
								 .took_ns = MS}),
		0);
}

/* A word of that kind about the guess of a. */
static bool said(struct host *h, const struct action *a, enum action_kind kind)
{
	struct action_list l;

	actions_take(h, &l);
	for (size_t i = 0; i < l.n; i++)
		if (l.actions[i].kind == kind && l.actions[i].guess_id == a->guess_id)
			return true;
	return false;
}

static enum outcome outcome_of(const struct host *h, const struct action *a)
{
	const struct guess *g;
	uint64_t it = 0;

	while (engine_next_guess(h->engine, &it, &g))
		if (g->id == a->guess_id)
			return (enum outcome)g->outcome;
	return OUTCOME_MAX;
}

static struct score score_of(const struct host *h)
{
	struct engine_stats s;

	engine_stats(h->engine, &s);
	return s.score;
}

/* It was read, and is wanted again a while later; before that is asked for, it comes true, or does not. */
static void test_engine_settles_what_it_wants_again(void **state)
{
	struct host *h = *state;
	struct action a;
	uint32_t pid;

	learn(h);
	pid = asked(h, &a);
	told(h, &a, 0, a.bytes);
	host_rest(h, 2 * S);
	(void)host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	host_open(h, pid, "/data/needed", 0);
	assert_int_equal(outcome_of(h, &a), OUTCOME_HIT);
	assert_true(said(h, &a, ACTION_SETTLE));
}

static void test_engine_releases_what_it_wants_again(void **state)
{
	struct host *h = *state;
	struct action a;

	learn(h);
	(void)asked(h, &a);
	told(h, &a, 0, a.bytes);
	host_rest(h, 2 * S);
	(void)host_spawn(h, 1, "/bin/dash", "/srv/job.sh");
	host_rest(h, 200 * S);
	assert_int_equal(outcome_of(h, &a), OUTCOME_WASTED);
	assert_true(said(h, &a, ACTION_CANCEL));
}

/* Its reading failed half way: that half is counted, and dropped again. */
static void test_engine_counts_what_was_read_in_part(void **state)
{
	struct score before, after;
	struct host *h = *state;
	struct action a;

	learn(h);
	before = score_of(h);
	(void)asked(h, &a);
	told(h, &a, ECANCELED, 300000);
	host_rest(h, 200 * S);
	after = score_of(h);
	assert_int_equal(outcome_of(h, &a), OUTCOME_WASTED);
	assert_int_equal(after.bytes_read - before.bytes_read, 300000);
	assert_int_equal(after.bytes_wasted - before.bytes_wasted, 300000);
	assert_true(said(h, &a, ACTION_CANCEL));
}

/* The same, but needed: it was not ready, and what was read of it is no one's to drop. */
static void test_engine_is_late_with_what_was_read_in_part(void **state)
{
	struct score before, after;
	struct host *h = *state;
	struct action a;
	uint32_t pid;

	learn(h);
	before = score_of(h);
	pid = asked(h, &a);
	told(h, &a, ECANCELED, 300000);
	host_open(h, pid, "/data/needed", 0);
	after = score_of(h);
	assert_int_equal(outcome_of(h, &a), OUTCOME_LATE);
	assert_int_equal(after.bytes_read - before.bytes_read, 300000);
	assert_int_equal(after.bytes_wasted, before.bytes_wasted);
	assert_true(said(h, &a, ACTION_SETTLE));
}

/* What a wrapper missed before it became another program was missed. */
static void test_engine_counts_what_was_missed_before_an_exec(void **state)
{
	static const char exe[] = "/bin/third";
	struct score before, after;
	struct host *h = *state;
	struct action a;
	uint32_t pid;

	learn(h);
	before = score_of(h);
	pid = asked(h, &a);
	told(h, &a, EBUSY, 0);
	host_open(h, pid, "/data/needed", 0);
	assert_int_equal(outcome_of(h, &a), OUTCOME_MISSED);
	host_see(h, (struct obs){.kind = OBS_EXEC,
				 .pid = pid,
				 .ppid = 1,
				 .name = exe,
				 .args = exe,
				 .args_len = sizeof(exe),
				 .file = {.dev = 1, .ino = 7, .size = 100000}});
	h->cold = true;
	host_exit(h, pid);
	after = score_of(h);
	/* Its own image as well, which nothing foretold. */
	assert_int_equal(after.outcome_n[OUTCOME_MISSED], before.outcome_n[OUTCOME_MISSED] + 2);
}

/* The graph is full and lets go of a file while that is read: its guess is not one of what comes in its place. */
static void let_go(const struct engine_limits *limits, size_t name_len)
{
	char path[4000], padding[3000] = {0};
	struct action a, first;
	struct host h;
	uint32_t pid;

	memset(padding, 'x', name_len);
	host_init(&h, limits);
	learn(&h);
	(void)asked(&h, &first);
	pid = host_spawn(&h, 1, "/bin/fill", NULL);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/srv/%s%d", padding, i);
		host_open(&h, pid, path, 0);
	}
	assert_int_equal(graph_find(engine_graph_const(h.engine), NODE_FILE, "/data/needed"), 0);
	told(&h, &first, 0, first.bytes);
	while (engine_next_action(h.engine, &a))
		assert_true(a.guess_id != first.guess_id || a.kind == ACTION_CANCEL);
	host_rest(&h, 200 * S);
	assert_int_equal(outcome_of(&h, &first), OUTCOME_WASTED);
	host_fini(&h);
}

static void test_engine_forgets_what_gave_way(void **state)
{
	struct engine_limits few = host_limits(), short_names = host_limits();

	(void)state;
	few.graph.node_max = 64;
	let_go(&few, 0);
	short_names.graph.text_bytes_max = 64 << 10; /* goes by the dozen, for one name */
	let_go(&short_names, 2900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_engine_settles_what_it_wants_again),
		WITH_HOST(test_engine_releases_what_it_wants_again),
		WITH_HOST(test_engine_counts_what_was_read_in_part),
		WITH_HOST(test_engine_is_late_with_what_was_read_in_part),
		WITH_HOST(test_engine_counts_what_was_missed_before_an_exec),
		cmocka_unit_test(test_engine_forgets_what_gave_way),
	};

	return cmocka_run_group_tests_name("engine accounts", tests, NULL, NULL);
}
