// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The life of services, told step by step on a made-up clock. */
#include "support/svc_bed.h"

static void test_svc_cold_ready_frozen_thawed_released(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;
	struct svc_view v;

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "start0 watch0=0 ");
	send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
	assert_int_equal(view_of(s, 0, t).state, SVC_ACTIVE);
	assert_string_equal(todo(s), "");

	svc_run(s, t += 20 * MS, 0);
	assert_string_equal(todo(s), "check0 ");
	send(s, 0, t, .kind = SVC_EV_CHECKED, .connection_n = 1, .cpu_ns = 9 * MS);
	assert_string_equal(todo(s), "");
	svc_run(s, t += SEC, 0);
	assert_string_equal(todo(s), "check0 ");
	send(s, 0, t, .kind = SVC_EV_CHECKED, .cpu_ns = 20 * MS); /* it worked since */
	assert_string_equal(todo(s), "");
	svc_run(s, t += 20 * MS, 0);
	assert_string_equal(todo(s), "check0 ");
	send(s, 0, t, .kind = SVC_EV_CHECKED, .cpu_ns = 20 * MS);
	assert_string_equal(todo(s), "freeze0 watch0=2 ");
	send(s, 0, t += MS, .kind = SVC_EV_FROZEN);
	assert_int_equal(view_of(s, 0, t).state, SVC_FROZEN);
	assert_string_equal(todo(s), "");

	t += 10 * SEC;
	send(s, 0, t, .kind = SVC_EV_CONNECTION, .at_ns = t - 40000);
	assert_string_equal(todo(s), "thaw0 watch0=0 ");
	svc_run(s, t += 20 * MS, 0);
	send(s, 0, t, .kind = SVC_EV_CHECKED, .cpu_ns = 20 * MS);
	assert_string_equal(todo(s), "freeze0 watch0=2 ");
	send(s, 0, t, .kind = SVC_EV_FROZEN);
	svc_run(s, t += 59 * SEC, 0);
	assert_string_equal(todo(s), "");
	svc_run(s, t += 2 * SEC, 0);
	assert_string_equal(todo(s), "release0 watch0=0 ");
	send(s, 0, t, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "watch0=2 ");

	v = view_of(s, 0, t);
	assert_int_equal(v.state, SVC_COLD);
	assert_int_equal(v.why, SVC_WHY_IDLE);
	assert_int_equal(v.figures.class_n[SVC_CLASS_COLD], 1);
	assert_int_equal(v.figures.class_n[SVC_CLASS_THAWED], 1);
	assert_in_range(sketch_quantile(&v.figures.class_delay[SVC_CLASS_COLD], 0.5), 20 * MS,
			40 * MS);
	assert_in_range(sketch_quantile(&v.figures.class_delay[SVC_CLASS_THAWED], 0.5), 25000,
			60000);
	assert_true(v.figures.wasted_mbs > 0 && v.figures.wasted_mbs < v.figures.held_mbs + 1);
}

/* The latest moves, newest first; what was on the way only is replaced by where it led. */
static void test_svc_remembers_its_moves(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	struct svc_move m[SVC_MOVE_MAX];
	uint64_t t = SEC;

	(void)state;
	assert_int_equal(svc_story(s, 0, m), 0);
	send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.75, .lead_ns = 90 * MS);
	send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
	send(s, 0, t += 30 * MS, .kind = SVC_EV_CONNECTION);
	svc_run(s, t += 20 * MS, 0);
	send(s, 0, t, .kind = SVC_EV_CHECKED);
	send(s, 0, t += MS, .kind = SVC_EV_FROZEN, .resting = true);
	assert_int_equal(svc_story(s, 0, m), 4);
	assert_true(m[0].to == SVC_FROZEN && m[0].why == SVC_WHY_IDLE && m[0].resting);
	assert_true(m[0].at_ns == t);
	assert_true(m[1].to == SVC_ACTIVE && m[1].why == SVC_WHY_CONNECTION && !m[1].resting);
	assert_true(m[2].to == SVC_READY && m[3].to == SVC_STARTING);
	assert_true(m[3].why == SVC_WHY_GUESS && m[3].p > 0.74 && m[3].lead_ns == 90 * MS);
	for (int i = 0; i < 40; i++) {
		send(s, 0, t += SEC, .kind = SVC_EV_CONNECTION);
		svc_run(s, t += 20 * MS, 0);
		send(s, 0, t, .kind = SVC_EV_CHECKED);
		send(s, 0, t += MS, .kind = SVC_EV_FROZEN);
	}
	assert_int_equal(svc_story(s, 0, m), SVC_MOVE_MAX);
	for (int i = 0; i < SVC_MOVE_MAX; i++)
		assert_int_equal(m[i].to, i % 2 ? SVC_ACTIVE : SVC_FROZEN);
	assert_true(m[0].at_ns == t);
}

/* Nothing was stopped: not a thaw, and no delay to learn. When it must be frozen after all, it is. */
static void test_svc_resting_is_frozen_in_all_but_name(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;
	struct svc_view v;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	for (int i = 0; i < 3; i++) {
		svc_run(s, t += 20 * MS, 0);
		send(s, 0, t, .kind = SVC_EV_CHECKED);
		svc_run(s, t += 20 * MS, 0);
		send(s, 0, t, .kind = SVC_EV_CHECKED);
		(void)todo(s);
		send(s, 0, t, .kind = SVC_EV_FROZEN, .resting = true);
		assert_int_equal(view_of(s, 0, t).state, SVC_FROZEN);
		assert_true(view_of(s, 0, t).resting);
		t += 100 * MS;
		if (i == 2)
			break;
		send(s, 0, t, .kind = SVC_EV_CONNECTION, .at_ns = t - 40000);
		assert_string_equal(todo(s), "thaw0 watch0=0 ");
		assert_false(view_of(s, 0, t).resting);
	}
	v = view_of(s, 0, t);
	assert_int_equal(v.figures.class_n[SVC_CLASS_RESTING], 2);
	assert_int_equal(v.figures.class_n[SVC_CLASS_THAWED], 0);
	assert_int_equal(v.figures.rest_n, 3);
	assert_int_equal(v.figures.thaw_n, 0);
	send(s, 0, t, .kind = SVC_EV_FROZEN);
	v = view_of(s, 0, t);
	assert_int_equal(v.state, SVC_FROZEN);
	assert_false(v.resting);
	assert_int_equal(v.figures.freeze_n, 4);
	assert_string_equal(todo(s), "");
	/* And somebody was half served when it was. */
	send(s, 0, t += MS, .kind = SVC_EV_FROZEN, .connection_n = 1);
	assert_int_equal(view_of(s, 0, t).state, SVC_ACTIVE);
	assert_string_equal(todo(s), "thaw0 watch0=0 ");
	assert_int_equal(view_of(s, 0, t).figures.thaw_n, 1);
}

static void test_svc_guess_starts_ahead_and_is_scored(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;
	struct svc_view v;

	(void)state;
	/* A minute ahead, 50 ms to start: holding it for so long is not worth the certainty. */
	send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = 60 * SEC);
	svc_run(s, t += 50 * SEC, 0);
	assert_string_equal(todo(s), "");
	svc_run(s, t += 9 * SEC, 0);
	assert_string_equal(todo(s), "start0 ");
	send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
	assert_string_equal(todo(s), "watch0=1 ");
	send(s, 0, t += 30 * MS, .kind = SVC_EV_CONNECTION);
	v = view_of(s, 0, t);
	assert_int_equal(v.state, SVC_ACTIVE);
	assert_int_equal(v.figures.class_n[SVC_CLASS_PREDICTED], 1);
	assert_int_equal(v.figures.guess_outcome_n[SVC_GUESS_HIT], 1);
	assert_false(v.guessed);
}

static void test_svc_guess_that_fails_refreezes(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.1, .lead_ns = MS);
	svc_run(s, t + MS, 0);
	assert_string_equal(todo(s), ""); /* too unlikely */
	send(s, 0, t += 2 * SEC, .kind = SVC_EV_GUESS, .p = 0.8, .lead_ns = MS);
	assert_string_equal(todo(s), "thaw0 watch0=1 ");
	for (int i = 0; i < 60 && view_of(s, 0, t).state == SVC_READY; i++) {
		svc_run(s, t += 20 * MS, 0);
		if (strstr(todo(s), "check0"))
			send(s, 0, t, .kind = SVC_EV_CHECKED);
	}
	assert_string_equal(todo(s), "freeze0 watch0=2 ");
	assert_int_equal(view_of(s, 0, t).figures.guess_outcome_n[SVC_GUESS_WASTED], 1);
	assert_in_range(t, 3 * SEC + 500 * MS, 3 * SEC + 700 * MS);
}

/* A look would be in the way of the client that is about to come, and decide nothing. */
static void test_svc_thawed_for_a_guess_is_left_alone_until_it_comes_true(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.8, .lead_ns = MS);
	assert_string_equal(todo(s), "thaw0 watch0=1 ");
	for (int i = 0; i < 49; i++) {
		svc_run(s, t += 10 * MS, 0);
		assert_string_equal(todo(s), "");
	}
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch0=0 ");
	svc_run(s, t += 20 * MS, 0);
	assert_string_equal(todo(s), "check0 ");
}

static void test_svc_guess_under_pressure_starts_nothing(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);

	(void)state;
	svc_run(s, SEC, 0.8);
	send(s, 0, SEC, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	svc_run(s, SEC + MS, 0.8);
	assert_string_equal(todo(s), "");
	send(s, 0, SEC + 2 * MS, .kind = SVC_EV_CONNECTION); /* a real one always does */
	assert_string_equal(todo(s), "start0 watch0=0 ");
}

/* A connection that the service accepted just before it froze must not be left half served. */
static void test_svc_freeze_is_undone_by_an_accepted_connection(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	svc_run(s, t += 40 * MS, 0);
	send(s, 0, t, .kind = SVC_EV_CHECKED);
	assert_non_null(strstr(todo(s), "freeze0"));
	send(s, 0, t += MS, .kind = SVC_EV_FROZEN, .connection_n = 1);
	assert_string_equal(todo(s), "thaw0 watch0=0 ");
	assert_int_equal(view_of(s, 0, t).state, SVC_ACTIVE);
}

static void test_svc_crash_loop_backs_off_and_heals(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC, hold = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		struct svc_view v;

		send(s, 0, t, .kind = SVC_EV_CONNECTION);
		assert_non_null(strstr(todo(s), "start0"));
		send(s, 0, t += MS, .kind = SVC_EV_EXITED);
		assert_non_null(strstr(todo(s), "release0"));
		send(s, 0, t += MS, .kind = SVC_EV_GONE);
		v = view_of(s, 0, t);
		assert_true(v.hold_until_ns - t + 2 * MS >= hold || hold == SVC_HOLD_MAX_NS);
		hold = v.hold_until_ns - t + MS;
		assert_true(hold <= SVC_HOLD_MAX_NS);
		assert_int_equal(v.watch, SVC_WATCH_NONE);
		assert_true(svc_deadline_ns(s) == v.hold_until_ns);
		svc_run(s, t = v.hold_until_ns, 0);
		assert_string_equal(todo(s), "watch0=2 ");
	}
	assert_true(hold == SVC_HOLD_MAX_NS);
	/* Twenty quiet minutes later a failure costs as little as the first one. */
	send(s, 0, t += 2400 * SEC, .kind = SVC_EV_CONNECTION);
	(void)todo(s);
	send(s, 0, t, .kind = SVC_EV_EXITED);
	(void)todo(s);
	send(s, 0, t, .kind = SVC_EV_GONE);
	assert_true(view_of(s, 0, t).hold_until_ns == t + 100 * MS);
}

/* It takes nobody up and crashes; the same client is there each time. */
static uint64_t crash_on(struct svc *s, uint64_t t, bool restart)
{
	assert_int_equal(view_of(s, 0, t).state, SVC_STARTING);
	send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
	if (view_of(s, 0, t).state == SVC_READY) /* seen a moment later */
		send(s, 0, t, .kind = SVC_EV_CONNECTION);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_EXITED, .waiting = true, .restart = restart);
	(void)todo(s);
	send(s, 0, t += MS, .kind = SVC_EV_GONE);
	(void)todo(s);
	svc_run(s, t = view_of(s, 0, t).hold_until_ns, 0);
	return t;
}

static void test_svc_client_of_a_crash_loop_is_counted_once(void **state)
{
	for (int restart = 0; restart < 2; restart++) {
		_cleanup_(svc_freep) struct svc *s = with_one(&config);
		struct svc_habit habit;
		struct svc_view v;
		uint64_t t = SEC;

		(void)state;
		send(s, 0, t, .kind = SVC_EV_CONNECTION);
		for (int i = 0; i < 12; i++) {
			t = crash_on(s, t, restart);
			(void)todo(s);
			if (!restart)
				send(s, 0, t += MS, .kind = SVC_EV_CONNECTION);
			(void)todo(s);
		}
		send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
		send(s, 0, t, .kind = SVC_EV_CONNECTION);
		v = view_of(s, 0, t);
		assert_int_equal(v.state, SVC_ACTIVE);
		assert_int_equal(v.figures.start_n, 13);
		assert_int_equal(v.figures.class_n[SVC_CLASS_COLD], 1);
		assert_int_equal(v.figures.class_n[SVC_CLASS_WARM], 0);
		svc_habit(s, 0, &habit);
		assert_true(habit.idle.observed <= 0); /* nor has anybody come again */
		/* It was taken up; who waits at the next crash is another. */
		send(s, 0, t += SEC, .kind = SVC_EV_CHECKED);
		send(s, 0, t += SEC, .kind = SVC_EV_EXITED, .waiting = true);
		send(s, 0, t += MS, .kind = SVC_EV_GONE);
		t = view_of(s, 0, t).hold_until_ns;
		send(s, 0, t, .kind = SVC_EV_CONNECTION);
		(void)todo(s);
		t = crash_on(s, t, false);
		assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_COLD], 2);
		(void)todo(s);
		/* That one gives up. Whoever comes in an hour has not waited for an hour. */
		send(s, 0, t += 3600 * SEC, .kind = SVC_EV_CONNECTION);
		(void)todo(s);
		send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
		v = view_of(s, 0, t);
		assert_int_equal(v.figures.class_n[SVC_CLASS_COLD], 3);
		assert_in_range(sketch_quantile(&v.figures.class_delay[SVC_CLASS_COLD], 0.99),
				20 * MS, 40 * MS);
	}
}

static void test_svc_start_and_stop_have_a_limit(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	(void)todo(s);
	assert_true(svc_deadline_ns(s) == t + 5 * SEC);
	svc_run(s, t += 5 * SEC, 0);
	assert_string_equal(todo(s), "release0 ");
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_TIMEOUT);
	svc_run(s, t += 2 * SEC, 0);
	assert_string_equal(todo(s), "kill0 ");
	svc_run(s, t += 2 * SEC, 0);
	assert_string_equal(todo(s), "");
}

/* Two places, three services: whoever waits gets the place of the least valuable idle one. */
static void test_svc_full_host_evicts_the_least_valuable(void **state)
{
	struct svc_config often = config, rare = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	struct svc_habit habit;
	uint64_t t = 10 * SEC;
	uint32_t id;

	(void)state;
	often.release_after_ns = rare.release_after_ns = SVC_NEVER;
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &often, NULL, &id), 0);
	svc_habit(s, id, &habit);
	for (int i = 0; i < 20; i++)
		gaps_add(&habit.idle, 3 * SEC);
	s = svc_free(s);
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &often, &habit, &id), 0);
	for (int i = 0; i < 40; i++)
		gaps_add(&habit.idle, 300 * SEC);
	assert_int_equal(svc_add(s, t, &rare, &habit, &id), 0);
	assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
	svc_adopt(s, 0, t, SVC_FROZEN);
	svc_adopt(s, 1, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch2=0 release1 watch1=0 ");
	assert_int_equal(view_of(s, 1, t).why, SVC_WHY_ROOM);
	assert_true(view_of(s, 2, t).queued);
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start2 watch1=2 ");
}

static void test_svc_queue_is_fair_by_weight(void **state)
{
	struct svc_limits one = limits;
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id, started[2] = {0};

	(void)state;
	one.run_max = one.start_max = 1;
	assert_int_equal(svc_new(&one, &s), 0);
	c.weight = 300;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	c.weight = 100;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	for (int i = 0; i < 400; i++) {
		struct svc_action a;
		uint32_t who = 2;

		/* Both always have someone waiting; each instance serves one and ends. */
		send(s, 0, t, .kind = SVC_EV_CONNECTION);
		send(s, 1, t, .kind = SVC_EV_CONNECTION);
		while (svc_next(s, &a))
			if (a.kind == SVC_DO_START)
				who = a.id;
		assert_in_range(who, 0, 1);
		started[who]++;
		send(s, who, t += MS, .kind = SVC_EV_READY);
		send(s, who, t += MS, .kind = SVC_EV_EXITED, .clean = true);
		(void)todo(s);
		send(s, who, t, .kind = SVC_EV_CONNECTION);
		send(s, who, t += MS, .kind = SVC_EV_GONE);
	}
	assert_in_range(started[0], 295, 305);
}

/* service_n of the usual kind, all cold. */
static struct svc *svc_of(uint64_t t, int service_n, uint32_t run_max, uint32_t start_max)
{
	struct svc_limits l = limits;
	struct svc *s;
	uint32_t id;

	l.run_max = run_max;
	l.start_max = start_max;
	assert_int_equal(svc_new(&l, &s), 0);
	for (int i = 0; i < service_n; i++)
		assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
	(void)todo(s);
	return s;
}

/* One start at a time: the others wait for their turn, first come first. */
static void test_svc_starts_beyond_the_limit_are_queued(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 3, 4, 1);

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		send(s, i, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "start0 watch2=0 watch0=0 watch1=0 ");
	assert_true(view_of(s, 1, t).queued && view_of(s, 2, t).queued);
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	assert_non_null(strstr(todo(s), "start1 "));
	send(s, 1, t += MS, .kind = SVC_EV_EXITED); /* that one fails: the next all the same */
	assert_non_null(strstr(todo(s), "start2 "));
}

/* However much is guessed, who connects finds a place to start in, and his turn before that of guesses. */
static void test_svc_guesses_keep_nobody_waiting(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 4, 4, 3);

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		send(s, i, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	send(s, 3, t += MS, .kind = SVC_EV_CONNECTION);
	assert_int_equal(view_of(s, 2, t).state, SVC_COLD);
	assert_string_equal(todo(s), "start3 watch3=0 start0 start1 ");
	send(s, 3, t += MS, .kind = SVC_EV_READY);
	assert_null(strstr(todo(s), "start"));
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	assert_non_null(strstr(todo(s), "start2 "));
}

/* A start for a mere guess holds no place that somebody waits for; what it might have accepted is looked
 * at first, and the least valuable gives way. */
static void test_svc_guessed_start_gives_way_to_a_connection(void **state)
{
	struct svc_limits l = limits;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;

	(void)state;
	l.start_max = 4;
	assert_int_equal(svc_new(&l, &s), 0);
	for (uint32_t i = 0, id; i < 4; i++) {
		struct svc_config c = config;

		c.memory_bytes = i == 1 ? 64 << 20 : 16 << 20;
		assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	}
	(void)todo(s);
	for (uint32_t i = 0; i < 2; i++)
		send(s, i, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	assert_string_equal(todo(s), "start0 start1 ");
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "release1 watch1=0 watch2=0 ");
	assert_int_equal(view_of(s, 1, t).why, SVC_WHY_ROOM);
	assert_true(view_of(s, 2, t).queued);
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start2 watch1=2 ");
	assert_int_equal(view_of(s, 1, t).figures.guess_outcome_n[SVC_GUESS_WASTED], 1);
	assert_int_equal(view_of(s, 1, t).figures.evict_n, 1);
	/* Whom somebody waits for is not given up, though it was begun for a guess. */
	send(s, 0, t += MS, .kind = SVC_EV_CONNECTION);
	send(s, 3, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch3=0 watch0=0 ");
	assert_true(view_of(s, 3, t).queued);
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_PREDICTED], 1);
}

/* Kept: it starts on as before, and after a while, unless somebody came, it is asked again. */
static void test_svc_guessed_start_is_kept_for_its_own_connection(void **state)
{
	static const bool came[] = {true, false};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(came); i++) {
		uint64_t t = SEC;
		_cleanup_(svc_freep) struct svc *s = svc_of(t, 4, 1, 4);

		send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
		assert_string_equal(todo(s), "start0 ");
		send(s, 1, t += MS, .kind = SVC_EV_CONNECTION);
		assert_string_equal(todo(s), "release0 watch0=0 watch1=0 ");
		send(s, 0, t, .kind = SVC_EV_KEPT, .waiting = came[i]);
		assert_int_equal(view_of(s, 0, t).state, SVC_STARTING);
		assert_int_equal(view_of(s, 0, t).waiting, came[i]);
		assert_int_equal(view_of(s, 0, t).figures.evict_n, 0);
		assert_string_equal(todo(s), came[i] ? "" : "watch0=2 ");
		if (!came[i])
			assert_true(svc_deadline_ns(s) == t + 5 * MS);
		svc_run(s, t += 5 * MS, 0);
		assert_string_equal(todo(s), came[i] ? "" : "release0 watch0=0 ");
		if (!came[i])
			continue;
		/* Its time runs from when it was started. */
		send(s, 0, t = SEC + 40 * MS, .kind = SVC_EV_READY);
		assert_in_range(view_of(s, 0, t).cold_ns, 40 * MS, 40 * MS);
		assert_int_equal(view_of(s, 0, t).state, SVC_ACTIVE);
		assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_PREDICTED], 1);
	}
}

/* The same where there is room, but too much is starting: only a start gives way to a start. */
static void test_svc_guessed_start_gives_way_to_a_start(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 4, 4, 2);

	(void)state;
	svc_adopt(s, 3, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 0, t += MS, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	send(s, 1, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "start1 start0 watch1=0 ");
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch2=0 release0 watch0=0 ");
	send(s, 0, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start2 watch0=2 ");
}

/* Each who waits has one make room for him at once; who takes too long is not waited for. */
static void test_svc_room_is_made_for_all_who_wait(void **state)
{
	struct svc_limits l = {
		.service_max = 6, .run_max = 3, .start_max = 4, .memory_max_bytes = 1ull << 30};
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	assert_int_equal(svc_new(&l, &s), 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
	for (uint32_t i = 0; i < 3; i++)
		svc_adopt(s, i, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 3, t += MS, .kind = SVC_EV_CONNECTION);
	send(s, 4, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "release0 watch0=0 release1 watch1=0 watch3=0 watch4=0 ");
	assert_int_equal(view_of(s, 2, t).state, SVC_FROZEN);
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start3 watch1=2 ");
	svc_run(s, t += SVC_LEAVE_NS, 0);
	assert_string_equal(todo(s), "release2 watch2=0 ");
	send(s, 2, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start4 watch2=2 ");
	assert_int_equal(view_of(s, 0, t).state, SVC_RELEASING);
}

/* All are busy: that one of them ends is seen soon, and not when it would have been looked at. */
static void test_svc_queue_looks_at_the_busy(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 2, 1, 1);

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	for (int i = 0; i < 12; i++) {
		svc_run(s, t += SEC, 0);
		send(s, 0, t, .kind = SVC_EV_CHECKED, .connection_n = 1);
	}
	(void)todo(s);
	assert_true(svc_deadline_ns(s) > t + 900 * MS);
	send(s, 1, t += MS, .kind = SVC_EV_CONNECTION);
	assert_true(svc_deadline_ns(s) <= t + 20 * MS);
	svc_run(s, t += 20 * MS, 0);
	assert_string_equal(todo(s), "check0 watch1=0 ");
	send(s, 0, t, .kind = SVC_EV_CHECKED, .connection_n = 1);
	assert_true(svc_deadline_ns(s) <= t + 20 * MS);
}

/* All of them frozen, all but one foretold: the one that somebody waits for is thawed the first, whichever. */
static void test_svc_thaws_whom_somebody_waits_for_first(void **state)
{
	struct svc_limits more = limits;

	(void)state;
	more.run_max = 4;
	for (uint32_t awaited = 0; awaited < 4; awaited++) {
		_cleanup_(svc_freep) struct svc *s = NULL;
		char first[16];
		uint64_t t = SEC;
		uint32_t id;

		assert_int_equal(svc_new(&more, &s), 0);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
			svc_adopt(s, id, t, SVC_FROZEN);
		}
		(void)todo(s);
		for (uint32_t i = 0; i < 4; i++)
			if (i != awaited)
				send(s, i, t += MS, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
		send(s, awaited, t += MS, .kind = SVC_EV_CONNECTION);
		(void)snprintf(first, sizeof(first), "thaw%u ", awaited);
		assert_memory_equal(todo(s), first, strlen(first));
	}
}

/* There is a place, but not the memory: the third waits until one of the busy ones is gone. */
static void test_svc_memory_is_bounded(void **state)
{
	struct svc_limits small = limits;
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	small.run_max = 4;
	small.memory_max_bytes = 40 << 20;
	c.memory_bytes = 16 << 20;
	assert_int_equal(svc_new(&small, &s), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	for (uint32_t i = 0; i < 2; i++) {
		send(s, i, t += MS, .kind = SVC_EV_CONNECTION);
		send(s, i, t += MS, .kind = SVC_EV_READY);
		send(s, i, t += MS, .kind = SVC_EV_CHECKED, .connection_n = 1,
		     .memory_bytes = 16 << 20);
	}
	(void)todo(s);
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch2=0 ");
	assert_true(view_of(s, 2, t).queued);
	send(s, 0, t += MS, .kind = SVC_EV_EXITED, .clean = true);
	assert_string_equal(todo(s), "release0 ");
	send(s, 0, t += MS, .kind = SVC_EV_GONE);
	assert_non_null(strstr(todo(s), "start2"));
}

/* What is worth its memory on an idle host is not when the memory is wanted, long before all goes. */
static void test_svc_pressure_raises_the_price(void **state)
{
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	struct svc_habit habit;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	c.release_after_ns = SVC_NEVER;
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	svc_habit(s, id, &habit);
	s = svc_free(s);
	assert_int_equal(svc_new(&limits, &s), 0);
	for (int i = 0; i < 40; i++)
		gaps_add(&habit.idle, 300 * SEC); /* 50 ms each 300 s for 16 MB: 1e-5 */
	assert_int_equal(svc_add(s, t, &c, &habit, &id), 0);
	svc_adopt(s, id, t, SVC_FROZEN);
	svc_run(s, t += SEC, 0.1);
	assert_null(strstr(todo(s), "release"));
	svc_run(s, t += SEC, 0.8);
	assert_non_null(strstr(todo(s), "release0"));
}

static void test_svc_pressure_gives_up_one_after_the_other(void **state)
{
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	c.release_after_ns = SVC_NEVER;
	assert_int_equal(svc_new(&limits, &s), 0);
	c.memory_bytes = 8 << 20;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	c.memory_bytes = 256 << 20;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	svc_adopt(s, 0, t, SVC_FROZEN);
	svc_adopt(s, 1, t, SVC_FROZEN);
	(void)todo(s);
	svc_run(s, t += MS, 0.95);
	assert_string_equal(todo(s), "release1 watch1=0 "); /* the large one */
	svc_run(s, t += MS, 0.95);
	assert_string_equal(todo(s), ""); /* it is not gone yet */
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	svc_run(s, t += MS, 0.95);
	assert_string_equal(todo(s), "watch1=2 release0 watch0=0 ");
}

/* Once an hour, on the hour: given up soon after, started again shortly before. */
static void test_svc_learns_an_hourly_rhythm(void **state)
{
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC, hour = 3600 * SEC, started = 0, released = 0;
	uint32_t id;

	(void)state;
	c.release_after_ns = SVC_NEVER;
	c.memory_bytes = 256 << 20;
	c.cold_ns = 2 * SEC;
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	for (int i = 1; i <= 30; i++) {
		uint64_t due = (uint64_t)i * hour;

		started = released = 0;
		while (t < due) {
			struct svc_action a;
			uint64_t next = svc_deadline_ns(s);

			t = next < due ? next : due;
			svc_run(s, t, 0);
			while (svc_next(s, &a)) {
				if (a.kind == SVC_DO_START && !started)
					started = t;
				if (a.kind == SVC_DO_RELEASE && !released)
					released = t;
				if (a.kind == SVC_DO_START)
					send(s, id, t += 2 * SEC, .kind = SVC_EV_READY);
				if (a.kind == SVC_DO_CHECK)
					send(s, id, t, .kind = SVC_EV_CHECKED);
				if (a.kind == SVC_DO_FREEZE)
					send(s, id, t, .kind = SVC_EV_FROZEN);
				if (a.kind == SVC_DO_RELEASE)
					send(s, id, t, .kind = SVC_EV_GONE);
			}
		}
		send(s, id, t, .kind = SVC_EV_CONNECTION);
		(void)todo(s);
		if (view_of(s, id, t).state == SVC_STARTING)
			send(s, id, t += 2 * SEC, .kind = SVC_EV_READY);
	}
	assert_true(released != 0 && released < 29 * hour + 1800 * SEC);
	assert_true(started > 29 * hour + 1800 * SEC && started < 30 * hour);
	assert_true(view_of(s, id, t).figures.held_mbs < 30 * 3600.0 * 256 / 2);
}

static void test_svc_freeze_window_follows_the_rhythm(void **state)
{
	struct gaps often, rare;

	(void)state;
	gaps_init(&often);
	gaps_init(&rare);
	for (int i = 0; i < 50; i++) {
		gaps_add(&often, 30 * MS);
		gaps_add(&rare, 60 * SEC);
	}
	/* Known to come every 30 ms: freezing in between is a loss, after that it is not. */
	assert_true(svc_freeze_window_ns(&often, 0) > 30 * MS);
	assert_true(svc_freeze_window_ns(&rare, 0) == 10 * MS);
	/* The more it burns while idle, the sooner. */
	assert_true(svc_freeze_window_ns(&often, 0.5) <= svc_freeze_window_ns(&often, 0));
}

static void test_svc_observed_connections_are_counted_once(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_FROZEN);
	t += SEC;
	send(s, 0, t, .kind = SVC_EV_CONNECTION, .at_ns = t - 50000);
	send(s, 0, t + 100, .kind = SVC_EV_OBSERVED, .at_ns = t - 60000); /* the same, seen later */
	send(s, 0, t + 200, .kind = SVC_EV_OBSERVED, .at_ns = t + 150);	  /* another */
	assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_THAWED], 1);
	assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_WARM], 1);
	(void)todo(s);
}

/* How often a service that has served one connection and then does nothing is looked at until the
 * time is up or it is given up; then at_ns is when. */
static uint32_t looks_when_idle(const struct svc_config *c, uint64_t for_ns, bool guess,
				bool cannot_freeze, uint64_t *at_ns)
{
	_cleanup_(svc_freep) struct svc *s = with_one(c);
	const uint64_t from = SEC;
	struct svc_action a;
	uint64_t t = from;
	uint32_t n = 0;

	svc_adopt(s, 0, t, SVC_ACTIVE);
	(void)todo(s);
	if (guess)
		send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = 20 * SEC);
	*at_ns = 0;
	while (t < from + for_ns && !*at_ns) {
		t = svc_deadline_ns(s);
		svc_run(s, t, 0);
		while (svc_next(s, &a)) {
			assert_true(a.kind != SVC_DO_FREEZE || c->freeze);
			if (a.kind == SVC_DO_CHECK && ++n)
				send(s, 0, t, .kind = SVC_EV_CHECKED);
			if (a.kind == SVC_DO_FREEZE && !cannot_freeze)
				*at_ns = t - from;
			if (a.kind == SVC_DO_RELEASE)
				*at_ns = t - from;
		}
	}
	return n;
}

/* Once a second at most, whatever keeps it from being frozen; and what is due is done when it is. */
static void test_svc_idle_is_seldom_looked_at(void **state)
{
	struct svc_config c = config;
	const uint64_t hour = 3600 * SEC;
	uint64_t at;

	(void)state;
	assert_in_range(looks_when_idle(&c, hour, false, false, &at), 1, 5);
	assert_in_range(at, 20 * MS, 25 * MS);
	/* Foretold: left as it is until then. */
	assert_in_range(looks_when_idle(&c, hour, true, false, &at), 1, 100);
	assert_in_range(at, 20 * SEC, 90 * SEC);
	/* It does not freeze: once a minute that is tried. */
	assert_in_range(looks_when_idle(&c, hour, false, true, &at), 60, 3700);

	c.freeze = false;
	c.freeze_after_ns = SVC_NEVER;
	assert_in_range(looks_when_idle(&c, hour, false, false, &at), 55, 70);
	assert_in_range(at, 60 * SEC, 60 * SEC + 20 * MS);
	c.release_after_ns = SVC_NEVER; /* by its value */
	(void)looks_when_idle(&c, hour, false, false, &at);
	assert_true(at > 0);
	assert_true(looks_when_idle(&c, hour, false, false, &at) <= at / SEC + 3);
	c.release = false;
	assert_in_range(looks_when_idle(&c, hour, false, false, &at), 1, 3610);
	assert_int_equal(at, 0);
}

static void test_svc_habit_that_is_no_habit_is_refused(void **state)
{
	_cleanup_(svc_freep) struct svc *s = NULL;
	struct svc_habit bad;
	struct svc_view v;
	uint32_t id;

	(void)state;
	memset(&bad, 0xff, sizeof(bad)); /* NaN everywhere */
	bad.version = SVC_HABIT_VERSION;
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, 0, &config, &bad, &id), 0);
	v = view_of(s, id, 0);
	assert_true(v.cold_ns > 0 && v.cold_ns < 1e10);
	for (uint32_t i = 1; i < limits.service_max; i++)
		assert_int_equal(svc_add(s, 0, &config, NULL, &id), 0);
	assert_int_equal(svc_add(s, 0, &config, NULL, &id), SVC_FULL);
}

static void test_svc_gaps_answers_are_probabilities(void **state)
{
	struct gaps g;

	(void)state;
	gaps_init(&g);
	for (int i = 0; i < 2000; i++)
		gaps_add(&g, (uint64_t)i % 7 * SEC + SEC);
	assert_true(gaps_valid(&g));
	assert_in_range(gaps_quantile_ns(&g, 0.5), 4 * SEC, 6 * SEC);
	/* Of a wait that ends within 7 s no more than 7 s can be left, bins being a fifth wide. */
	assert_true(gaps_remaining_ns(&g, 0, 100 * SEC) < 7e9);
	assert_true(gaps_remaining_ns(&g, 0, 100 * SEC) > 3e9);
	for (uint64_t age = MS; age < 100 * SEC; age = gaps_next_edge_ns(age)) {
		double cap = gaps_remaining_ns(&g, age, SEC);

		assert_true(cap >= 0 && cap <= 1e9 + 1);
		assert_true(gaps_best_rate(&g, age) > 0);
	}
}

/* What is assumed of a service until it has run once is not told as measured, nor mixed into it. */
static void test_svc_first_measure_replaces_what_was_assumed(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	assert_false(view_of(s, 0, t).memory_known || view_of(s, 0, t).cold_known);
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
	send(s, 0, t += MS, .kind = SVC_EV_CHECKED, .connection_n = 1);
	assert_false(view_of(s, 0, t).memory_known);
	send(s, 0, t += MS, .kind = SVC_EV_CHECKED, .connection_n = 1, .memory_bytes = 400 << 10);
	assert_true(view_of(s, 0, t).memory_known && view_of(s, 0, t).cold_known);
	assert_true(view_of(s, 0, t).memory_bytes == 400 << 10);
	send(s, 0, t += MS, .kind = SVC_EV_CHECKED, .connection_n = 1, .memory_bytes = 800 << 10);
	assert_true(view_of(s, 0, t).memory_bytes < 800 << 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_svc_cold_ready_frozen_thawed_released),
		cmocka_unit_test(test_svc_remembers_its_moves),
		cmocka_unit_test(test_svc_resting_is_frozen_in_all_but_name),
		cmocka_unit_test(test_svc_guess_starts_ahead_and_is_scored),
		cmocka_unit_test(test_svc_guess_that_fails_refreezes),
		cmocka_unit_test(test_svc_thawed_for_a_guess_is_left_alone_until_it_comes_true),
		cmocka_unit_test(test_svc_guess_under_pressure_starts_nothing),
		cmocka_unit_test(test_svc_freeze_is_undone_by_an_accepted_connection),
		cmocka_unit_test(test_svc_crash_loop_backs_off_and_heals),
		cmocka_unit_test(test_svc_client_of_a_crash_loop_is_counted_once),
		cmocka_unit_test(test_svc_start_and_stop_have_a_limit),
		cmocka_unit_test(test_svc_full_host_evicts_the_least_valuable),
		cmocka_unit_test(test_svc_queue_is_fair_by_weight),
		cmocka_unit_test(test_svc_starts_beyond_the_limit_are_queued),
		cmocka_unit_test(test_svc_guesses_keep_nobody_waiting),
		cmocka_unit_test(test_svc_guessed_start_gives_way_to_a_connection),
		cmocka_unit_test(test_svc_guessed_start_is_kept_for_its_own_connection),
		cmocka_unit_test(test_svc_guessed_start_gives_way_to_a_start),
		cmocka_unit_test(test_svc_room_is_made_for_all_who_wait),
		cmocka_unit_test(test_svc_queue_looks_at_the_busy),
		cmocka_unit_test(test_svc_thaws_whom_somebody_waits_for_first),
		cmocka_unit_test(test_svc_memory_is_bounded),
		cmocka_unit_test(test_svc_pressure_raises_the_price),
		cmocka_unit_test(test_svc_pressure_gives_up_one_after_the_other),
		cmocka_unit_test(test_svc_learns_an_hourly_rhythm),
		cmocka_unit_test(test_svc_freeze_window_follows_the_rhythm),
		cmocka_unit_test(test_svc_observed_connections_are_counted_once),
		cmocka_unit_test(test_svc_idle_is_seldom_looked_at),
		cmocka_unit_test(test_svc_habit_that_is_no_habit_is_refused),
		cmocka_unit_test(test_svc_gaps_answers_are_probabilities),
		cmocka_unit_test(test_svc_first_measure_replaces_what_was_assumed),
	};

	return cmocka_run_group_tests_name("svc", tests, NULL, NULL);
}
