// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The replay: twice the same, different when anything differs, and benefit where there is a habit. */
#include "support/support.h"

#include "core/replay.h"
#include "support/host.h"

#include <errno.h>
#include <string.h>

#define S 1000000000ull

static int see(void *replay, const struct obs *o)
{
	return replay_observe(replay, o);
}

/* A job of two steps, the second some time after the first, rounds times. */
static void live(struct host *h, int rounds, const char *second)
{
	for (int i = 0; i < rounds; i++) {
		uint32_t job = host_spawn(h, 1, "/bin/job", NULL), step;

		step = host_spawn(h, job, "/bin/first", NULL);
		host_open(h, step, "/data/first", 0);
		host_exit(h, step);
		host_pass(h, 50000000);
		step = host_spawn(h, job, second, NULL);
		host_open(h, step, "/data/second", 0);
		host_exit(h, step);
		host_exit(h, job);
		host_pass(h, 30 * S);
	}
}

static struct replay_stats day_of(const struct replay_host *machine, int rounds, const char *second,
				  struct score *ret_score)
{
	struct engine_limits limits = host_limits();
	struct plan_policy policy = host_policy();
	struct host h = {.see = see, .cold = true, .file_bytes = 4 << 20};
	struct replay *replay;
	struct engine_stats e;
	struct replay_stats s;

	assert_int_equal(replay_new(&limits, &policy, machine, &replay), 0);
	h.ctx = replay;
	host_begin(&h);
	live(&h, rounds, second);
	assert_int_equal(replay_pass(replay, 60 * S), 0);
	engine_stats(replay_engine(replay), &e);
	*ret_score = e.score;
	replay_stats(replay, &s);
	replay_free(replay);
	return s;
}

static void test_replay_is_the_same_twice(void **state)
{
	struct replay_host host = replay_host_default();
	struct score score_a, score_b;
	struct replay_stats a = day_of(&host, 20, "/bin/second", &score_a);
	struct replay_stats b = day_of(&host, 20, "/bin/second", &score_b);

	(void)state;
	assert_int_equal(a.digest, b.digest);
	assert_int_equal(a.actions_n[ACTION_WARM], b.actions_n[ACTION_WARM]);
	assert_memory_equal(&score_a, &score_b, sizeof(score_a));
	assert_true(a.actions_n[ACTION_WARM] > 0);
}

static void test_replay_digest_tells_days_apart(void **state)
{
	struct replay_host host = replay_host_default();
	struct score score;
	uint64_t a = day_of(&host, 20, "/bin/second", &score).digest;

	(void)state;
	assert_int_not_equal(a, day_of(&host, 21, "/bin/second", &score).digest);
	assert_int_not_equal(a, day_of(&host, 20, "/bin/other", &score).digest);
}

static void test_replay_a_habit_is_hit_and_a_slow_disk_is_late(void **state)
{
	struct replay_host fast = replay_host_default(), slow = {.latency_ns = 5 * S};
	struct score hit, late;

	(void)state;
	slow.mem_available_bytes = slow.mem_total_bytes = 1ull << 30;
	(void)day_of(&fast, 20, "/bin/second", &hit);
	(void)day_of(&slow, 20, "/bin/second", &late);
	assert_true(hit.outcome_n[OUTCOME_HIT] >= 10);
	assert_true(hit.saved_ns > 0);
	assert_int_equal(late.outcome_n[OUTCOME_HIT], 0);
	assert_true(late.outcome_n[OUTCOME_LATE] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay_is_the_same_twice),
		cmocka_unit_test(test_replay_digest_tells_days_apart),
		cmocka_unit_test(test_replay_a_habit_is_hit_and_a_slow_disk_is_late),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
