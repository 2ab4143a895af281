// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What services count and learn, and the moves few of them make, to the number. */
#include "support/svc_bed.h"

static bool near(double a, double b)
{
	return a > b * 0.999 - 1e-9 && a < b * 1.001 + 1e-9;
}

/* 16 MB held, in MB*s. */
#define HELD(ns) (16.0 * (double)(ns) / 1e9)

static struct svc_config without_freeze(uint64_t release_after_ns)
{
	struct svc_config c = config;

	c.freeze = false;
	c.release_after_ns = release_after_ns;
	return c;
}

static void run_until(struct svc *s, uint64_t now)
{
	svc_run(s, now, 0);
	if (strstr(todo(s), "check0"))
		send(s, 0, now, .kind = SVC_EV_CHECKED);
}

static void test_svc_holds_only_what_has_nobody(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
	send(s, 0, t += 10 * SEC, .kind = SVC_EV_CHECKED, .connection_n = 1);
	assert_true(view_of(s, 0, t).figures.held_mbs == 0);
	/* The last one ended some time since the last look: held from then. */
	send(s, 0, t += SEC, .kind = SVC_EV_CHECKED);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	assert_non_null(strstr(todo(s), "freeze0"));
	send(s, 0, t += MS, .kind = SVC_EV_FROZEN);
	send(s, 0, t += 2 * SEC, .kind = SVC_EV_CONNECTION);
	assert_true(near(view_of(s, 0, t).figures.held_mbs, HELD(2 * SEC + 21 * MS)));
	assert_true(view_of(s, 0, t).figures.wasted_mbs == 0);
	/* Not twice for the same wait. */
	send(s, 0, t += 5 * SEC, .kind = SVC_EV_CHECKED, .connection_n = 1);
	assert_true(near(view_of(s, 0, t).figures.held_mbs, HELD(2 * SEC + 21 * MS)));
	send(s, 0, t += SEC, .kind = SVC_EV_CHECKED);
	send(s, 0, t += 3 * SEC, .kind = SVC_EV_EXITED, .clean = true);
	assert_true(near(view_of(s, 0, t).figures.held_mbs, HELD(5 * SEC + 21 * MS)));
	assert_true(near(view_of(s, 0, t).figures.wasted_mbs, HELD(3 * SEC)));
	assert_int_equal(view_of(s, 0, t).figures.release_n, 1);
	assert_int_equal(view_of(s, 0, t).figures.evict_n, 0);
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_EXITED);
	(void)todo(s);
}

/* READY, and somebody comes: what was held until then was of use. */
static void test_svc_guessed_and_used_is_no_waste(void **state)
{
	static const bool polled[] = {true, false};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(polled); i++) {
		_cleanup_(svc_freep) struct svc *s = with_one(&config);
		uint64_t t = SEC;
		struct svc_view v;

		send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
		assert_int_equal(view_of(s, 0, t).figures.guess_n, 1);
		assert_string_equal(todo(s), "start0 ");
		send(s, 0, t += 30 * MS, .kind = SVC_EV_READY);
		(void)todo(s);
		t += 20 * MS;
		if (polled[i])
			send(s, 0, t, .kind = SVC_EV_CONNECTION);
		else
			send(s, 0, t, .kind = SVC_EV_OBSERVED, .at_ns = t);
		v = view_of(s, 0, t);
		assert_int_equal(v.state, SVC_ACTIVE);
		assert_int_equal(v.figures.class_n[SVC_CLASS_PREDICTED], 1);
		assert_int_equal(v.figures.guess_outcome_n[SVC_GUESS_HIT], 1);
		assert_true(near(v.figures.held_mbs, HELD(20 * MS)));
		assert_true(v.figures.wasted_mbs == 0);
		/* 50 ms from the guess to the connection, in a bin a fifth wide. */
		assert_in_range(v.lead_ns, 50 * MS, 63 * MS);
		(void)todo(s);
	}
}

/* Seen at last by a look: as if it had been polled. */
static void test_svc_connection_quicker_than_the_poll(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;
	struct svc_view v;

	(void)state;
	svc_adopt(s, 0, t, SVC_READY);
	(void)todo(s);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED, .connection_n = 1);
	v = view_of(s, 0, t);
	assert_int_equal(v.state, SVC_ACTIVE);
	assert_int_equal(v.figures.class_n[SVC_CLASS_WARM], 1);
	assert_int_equal(v.connection_n, 1);
	assert_true(near(v.figures.held_mbs, HELD(20 * MS)));
	assert_true(v.figures.wasted_mbs == 0);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED, .connection_n = 1);
	assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_WARM], 1);
	(void)todo(s);
}

/* Busy without a connection is not idle: only what did nothing for its window is frozen. */
static void test_svc_who_works_or_has_somebody_is_not_frozen(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC, cpu = 0;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	(void)todo(s);
	for (int i = 0; i < 5; i++) {
		send(s, 0, t += 50 * MS, .kind = SVC_EV_CHECKED, .cpu_ns = cpu += 2 * MS);
		assert_string_equal(todo(s), "");
	}
	for (int i = 0; i < 5; i++) {
		send(s, 0, t += 50 * MS, .kind = SVC_EV_CHECKED, .cpu_ns = cpu, .connection_n = 1);
		assert_string_equal(todo(s), "");
	}
	/* A timer or two of its own: idle. */
	send(s, 0, t += 19 * MS, .kind = SVC_EV_CHECKED, .cpu_ns = cpu += 10000);
	assert_string_equal(todo(s), "");
	send(s, 0, t += MS, .kind = SVC_EV_CHECKED, .cpu_ns = cpu += 10000);
	assert_string_equal(todo(s), "freeze0 watch0=2 ");
}

/* What is foretold soon is not frozen for the moment in between. */
static void test_svc_foretold_is_not_frozen(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	(void)todo(s);
	send(s, 0, t += MS, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = 100 * MS);
	(void)todo(s);
	send(s, 0, t += 40 * MS, .kind = SVC_EV_CHECKED);
	send(s, 0, t += 40 * MS, .kind = SVC_EV_CHECKED);
	assert_string_equal(todo(s), "");
	assert_true(view_of(s, 0, t).guessed);
	/* The same foretold again is the same: the older guess is let go, the likelier one is kept. */
	send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.5, .lead_ns = 100 * MS);
	assert_true(view_of(s, 0, t).guess_p == 0.9);
	assert_int_equal(view_of(s, 0, t).figures.guess_n, 2);
	assert_int_equal(view_of(s, 0, t).figures.guess_outcome_n[SVC_GUESS_DROPPED], 1);
	/* 2 x 100 ms and the slack, from the second one: then it came to nothing. */
	run_until(s, t += 699 * MS);
	assert_true(view_of(s, 0, t).guessed);
	run_until(s, t += MS);
	assert_false(view_of(s, 0, t).guessed);
	assert_int_equal(view_of(s, 0, t).figures.guess_outcome_n[SVC_GUESS_DROPPED], 2);
}

static void test_svc_without_freezing_is_released_in_time(void **state)
{
	const struct svc_config c = without_freeze(SEC), kept = {.weight = 100,
								 .timeout_start_ns = SEC,
								 .timeout_stop_ns = SEC,
								 .freeze_after_ns = MS,
								 .release_after_ns = MS};
	_cleanup_(svc_freep) struct svc *s = with_one(&c), *other = with_one(&kept);
	uint64_t t = SEC;

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	send(s, 0, t, .kind = SVC_EV_READY);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	send(s, 0, t = SEC + 999 * MS, .kind = SVC_EV_CHECKED);
	assert_null(strstr(todo(s), "release"));
	send(s, 0, t += MS, .kind = SVC_EV_CHECKED);
	assert_string_equal(todo(s), "release0 ");
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_IDLE);

	/* Neither may be done with this one. */
	svc_adopt(other, 0, t, SVC_ACTIVE);
	(void)todo(other);
	for (int i = 0; i < 20; i++) {
		svc_run(other, t += 600 * SEC, 0);
		assert_string_equal(todo(other), "check0 ");
		send(other, 0, t, .kind = SVC_EV_CHECKED);
	}
	svc_run(other, t += SEC, 1);
	assert_string_equal(todo(other), "check0 ");
}

static void test_svc_without_freezing_is_released_by_value(void **state)
{
	const struct svc_config c = without_freeze(SVC_NEVER);
	_cleanup_(svc_freep) struct svc *s = with_one(&c);
	uint64_t t = SEC, held;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	for (held = 0; held < 86400; held++) {
		svc_run(s, t += SEC, 0);
		send(s, 0, t, .kind = SVC_EV_CHECKED);
		if (strstr(todo(s), "release0"))
			break;
	}
	/* 50 ms saved for 16 MB, and nothing known of its rhythm. */
	assert_in_range(held, 10, 30);
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_IDLE);
}

static void test_svc_restart_is_as_asked(void **state)
{
	static const struct {
		bool clean, restart;
	} cases[] = {{true, false}, {true, true}, {false, false}, {false, true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(svc_freep) struct svc *s = with_one(&config);
		uint64_t t = SEC;

		svc_adopt(s, 0, t, SVC_ACTIVE);
		(void)todo(s);
		send(s, 0, t += 5 * SEC, .kind = SVC_EV_EXITED, .clean = cases[i].clean,
		     .restart = cases[i].restart);
		assert_string_equal(todo(s), "release0 ");
		send(s, 0, t += MS, .kind = SVC_EV_GONE);
		assert_int_equal(view_of(s, 0, t).fail_row_n, !cases[i].clean);
		if (cases[i].clean)
			assert_string_equal(todo(s),
					    cases[i].restart ? "start0 watch0=2 " : "watch0=2 ");
		svc_run(s, t += 100 * MS, 0); /* the hold of a failure */
		if (!cases[i].clean)
			assert_string_equal(todo(s),
					    cases[i].restart ? "start0 watch0=2 " : "watch0=2 ");
		if (cases[i].restart)
			assert_int_equal(view_of(s, 0, t).why, SVC_WHY_RESTART);
	}
}

/* Ends at once, clean, and leaves somebody waiting, again and again: a crash loop all the same. */
static void test_svc_short_clean_runs_in_vain_are_failures(void **state)
{
	static const struct {
		uint64_t run_ns;
		bool waiting;
		uint32_t fail_n;
	} cases[] = {{MS, true, 2}, {MS, false, 0}, {SEC, true, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(svc_freep) struct svc *s = with_one(&config);
		uint64_t t = SEC;

		for (int n = 0; n < 4; n++) {
			send(s, 0, t += SEC, .kind = SVC_EV_CONNECTION);
			assert_non_null(strstr(todo(s), "start0"));
			send(s, 0, t += MS, .kind = SVC_EV_READY);
			send(s, 0, t += cases[i].run_ns, .kind = SVC_EV_EXITED, .clean = true,
			     .waiting = cases[i].waiting);
			(void)todo(s);
			send(s, 0, t += MS, .kind = SVC_EV_GONE);
			svc_run(s, t += SEC, 0);
			(void)todo(s);
		}
		assert_int_equal(view_of(s, 0, t).figures.fail_n, cases[i].fail_n);
	}
}

static void fail_once(struct svc *s, uint64_t *t)
{
	send(s, 0, *t, .kind = SVC_EV_CONNECTION);
	assert_non_null(strstr(todo(s), "start0"));
	send(s, 0, *t, .kind = SVC_EV_EXITED);
	send(s, 0, *t, .kind = SVC_EV_GONE);
	(void)todo(s);
}

/* A minute each, and the minutes of one are not the minutes of the next. */
static void test_svc_failures_heal_one_a_minute(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	for (int i = 0; i < 5; i++, t += 10 * SEC)
		fail_once(s, &t);
	t -= 10 * SEC;
	assert_int_equal(view_of(s, 0, t).fail_row_n, 5);
	assert_true(view_of(s, 0, t).hold_until_ns == t + 1600 * MS); /* 100, 200, 400 .. */
	t += 60 * SEC - 1;
	fail_once(s, &t);
	assert_int_equal(view_of(s, 0, t).fail_row_n, 6);
	t += 150 * SEC; /* two of them healed */
	fail_once(s, &t);
	assert_int_equal(view_of(s, 0, t).fail_row_n, 5);
	assert_true(view_of(s, 0, t).hold_until_ns == t + 1600 * MS);
}

/* The delay is counted from the first who waited. */
static void test_svc_delay_is_that_of_the_first(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION, .at_ns = t - 10 * MS);
	send(s, 0, t += 90 * MS, .kind = SVC_EV_CONNECTION);
	send(s, 0, t += 100 * MS, .kind = SVC_EV_READY);
	assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_COLD], 1);
	assert_in_range(sketch_quantile(&view_of(s, 0, t).figures.class_delay[SVC_CLASS_COLD], 0.5),
			134 * MS, 200 * MS);
	assert_true(view_of(s, 0, t).cold_ns == 190 * MS);
	(void)todo(s);
}

/* Thawed at once, but nobody came, then somebody does: what is observed is not counted with what was
 * polled, and ends the idle time and the guess. */
static void test_svc_observed_ends_idle_time_and_guess(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;
	struct svc_view v;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	(void)todo(s);
	send(s, 0, t += 10 * MS, .kind = SVC_EV_CHECKED);
	assert_true(view_of(s, 0, t).idle_since_ns == SEC);
	send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = 100 * MS);
	t += 200 * MS;
	send(s, 0, t, .kind = SVC_EV_OBSERVED, .at_ns = t - MS);
	v = view_of(s, 0, t);
	assert_int_equal(v.figures.class_n[SVC_CLASS_WARM], 1);
	assert_int_equal(v.figures.guess_outcome_n[SVC_GUESS_HIT], 1);
	assert_true(near(v.figures.held_mbs, HELD(210 * MS)) && v.figures.wasted_mbs == 0);
	assert_true(v.idle_since_ns == t - MS);
	(void)todo(s);
	/* It worked just now: frozen a window later, not before. */
	send(s, 0, t += 18 * MS, .kind = SVC_EV_CHECKED);
	assert_string_equal(todo(s), "");
	send(s, 0, t += MS, .kind = SVC_EV_CHECKED);
	assert_string_equal(todo(s), "freeze0 watch0=2 ");
}

static void test_svc_retired_goes_and_stays_away(void **state)
{
	static const enum svc_state from[] = {SVC_STARTING, SVC_READY, SVC_ACTIVE, SVC_FROZEN};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		_cleanup_(svc_freep) struct svc *s = with_one(&config);
		uint64_t t = SEC;

		svc_adopt(s, 0, t, from[i]);
		(void)todo(s);
		svc_retire(s, 0, t += MS);
		assert_non_null(strstr(todo(s), "release0 "));
		assert_int_equal(view_of(s, 0, t).why, SVC_WHY_DROPPED);
		svc_retire(s, 0, t += MS); /* once more: it is going */
		assert_string_equal(todo(s), "");
		assert_int_equal(view_of(s, 0, t).figures.release_n, 1);
		send(s, 0, t += MS, .kind = SVC_EV_GONE);
		assert_int_equal(view_of(s, 0, t).state, SVC_COLD);
		assert_int_equal(view_of(s, 0, t).watch, SVC_WATCH_NONE);
		send(s, 0, t += MS, .kind = SVC_EV_CONNECTION);
		send(s, 0, t, .kind = SVC_EV_GUESS, .p = 1, .lead_ns = MS);
		svc_run(s, t += SEC, 0);
		assert_string_equal(todo(s), "");
	}
}

/* A restart that was asked for is not done once its unit is gone. */
static void test_svc_retired_does_not_restart(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	send(s, 0, t += 5 * SEC, .kind = SVC_EV_EXITED, .restart = true);
	send(s, 0, t += MS, .kind = SVC_EV_GONE);
	(void)todo(s);
	svc_retire(s, 0, t += MS);
	svc_run(s, t += SEC, 0);
	assert_null(strstr(todo(s), "start"));
	assert_int_equal(view_of(s, 0, t).watch, SVC_WATCH_NONE);
	assert_int_equal(view_of(s, 0, t).figures.release_n, 1);
	assert_int_equal(view_of(s, 0, t).figures.start_n, 0);
}

/* One that was told to start, perhaps: it has a second to show it, not its whole time. */
static void test_svc_adopted_start_has_a_second(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_STARTING);
	(void)todo(s);
	assert_true(svc_deadline_ns(s) == t + SVC_ADOPT_NS);
	svc_run(s, t + SVC_ADOPT_NS - 1, 0);
	assert_string_equal(todo(s), "");
	svc_run(s, t += SVC_ADOPT_NS, 0);
	assert_string_equal(todo(s), "release0 watch0=0 ");
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_TIMEOUT);
	assert_int_equal(view_of(s, 0, t).figures.fail_n, 1);
}

/* One that cannot be frozen in time goes on, and is not tried again for a minute. */
static void test_svc_freeze_that_takes_too_long_is_given_up(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	assert_non_null(strstr(todo(s), "freeze0"));
	assert_true(svc_deadline_ns(s) == t + SEC);
	svc_run(s, t + SEC - 1, 0);
	assert_string_equal(todo(s), "");
	svc_run(s, t += SEC, 0);
	assert_string_equal(todo(s), "thaw0 watch0=0 ");
	assert_int_equal(view_of(s, 0, t).state, SVC_ACTIVE);
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_TIMEOUT);
	send(s, 0, t += 60 * SEC - 1, .kind = SVC_EV_CHECKED);
	assert_string_equal(todo(s), "");
	send(s, 0, t += 1, .kind = SVC_EV_CHECKED);
	assert_string_equal(todo(s), "freeze0 watch0=2 ");
}

/* One is foretold while it is being frozen: it stays. */
static void test_svc_guess_undoes_a_freeze(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	assert_non_null(strstr(todo(s), "freeze0"));
	send(s, 0, t += MS, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	assert_string_equal(todo(s), "thaw0 watch0=1 ");
	send(s, 0, t += MS, .kind = SVC_EV_CONNECTION);
	assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_PREDICTED], 1);
	(void)todo(s);
}

/* The clean-up of a habit from disk: each field by itself. */
static void test_svc_habit_is_taken_whole_or_not(void **state)
{
	struct svc_habit good;
	_cleanup_(svc_freep) struct svc *s = with_one(&config);

	(void)state;
	svc_habit(s, 0, &good);
	assert_int_equal(good.version, SVC_HABIT_VERSION);
	assert_true(good.idle.never == 0.5f && good.lead.never == 0.5f);
	good.cold_ns = 123 * MS;
	good.memory_bytes = 7 << 20;
	good.thaw_ns = 0;
	for (int i = 0; i < 10; i++) {
		struct svc_habit h = good;
		_cleanup_(svc_freep) struct svc *t = NULL;
		bool ok = i == 0;
		uint32_t id;

		if (i == 1)
			h.version++;
		if (i == 2)
			h.memory_bytes = 0;
		if (i == 3)
			h.memory_bytes = 1e15;
		if (i == 4)
			h.cold_ns = 0;
		if (i == 5)
			h.cold_ns = 1e15;
		if (i == 6)
			h.thaw_ns = -1;
		if (i == 7)
			h.thaw_ns = 1e12;
		if (i == 8)
			h.idle.never = 2;
		if (i == 9)
			h.lead.mass[GAPS_BIN_N - 1] = -1;
		assert_int_equal(svc_new(&limits, &t), 0);
		assert_int_equal(svc_add(t, 0, &config, &h, &id), 0);
		assert_true(view_of(t, id, 0).cold_ns == (ok ? 123 : 50) * MS);
		assert_true(view_of(t, id, 0).cold_known == ok);
		assert_true(view_of(t, id, 0).memory_bytes == (ok ? 7 : 16) << 20);
	}
}

/* Foretold again and again, each time 300 ms ahead: the next one is acted on, and given up, by what was
 * learnt, however far ahead it says it is. */
static void test_svc_lead_is_learnt(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_ACTIVE);
	for (int i = 0; i < 24; i++) {
		send(s, 0, t += SEC, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = 10 * SEC);
		t += 300 * MS;
		send(s, 0, t, .kind = SVC_EV_OBSERVED, .at_ns = t);
		assert_int_equal(view_of(s, 0, t).figures.guess_outcome_n[SVC_GUESS_HIT], i + 1);
	}
	assert_in_range(view_of(s, 0, t).lead_ns, 300 * MS, 375 * MS);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	send(s, 0, t, .kind = SVC_EV_FROZEN);
	assert_int_equal(view_of(s, 0, t).state, SVC_FROZEN);
	(void)todo(s);
	send(s, 0, t += SEC, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = 10 * SEC);
	svc_run(s, t + 200 * MS, 0);
	assert_string_equal(todo(s), "");
	svc_run(s, t + 300 * MS, 0);
	assert_string_equal(todo(s), "thaw0 watch0=1 ");
	svc_run(s, t + 500 * MS, 0);
	assert_true(view_of(s, 0, t).guessed);
	svc_run(s, t + 700 * MS, 0);
	assert_int_equal(view_of(s, 0, t).figures.guess_outcome_n[SVC_GUESS_WASTED], 1);
	(void)todo(s);
}

/* What a guess said counts only while it is open. */
static void test_svc_past_guess_adds_no_value(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config), *never = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	svc_adopt(s, 0, t, SVC_FROZEN);
	svc_adopt(never, 0, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.19, .lead_ns = MS); /* too little to thaw it */
	assert_true(view_of(s, 0, t).value > view_of(never, 0, t).value);
	svc_run(s, t += SEC, 0);
	assert_false(view_of(s, 0, t).guessed);
	assert_true(view_of(s, 0, t).value == view_of(never, 0, t).value);
	assert_string_equal(todo(s), "");
}

/* Idle since its last connection, whatever is done with it meanwhile. */
static void test_svc_idle_time_is_not_cut_by_freezing(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);
	uint64_t t = SEC;

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	send(s, 0, t += 7 * MS, .kind = SVC_EV_CHECKED, .connection_n = 1);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	assert_true(view_of(s, 0, t).idle_since_ns == SEC + 8 * MS);
	send(s, 0, t += 20 * MS, .kind = SVC_EV_CHECKED);
	assert_non_null(strstr(todo(s), "freeze0"));
	send(s, 0, t += MS, .kind = SVC_EV_FROZEN);
	assert_true(view_of(s, 0, t).idle_since_ns == SEC + 8 * MS);
	svc_run(s, t = SEC + 8 * MS + 60 * SEC - 1, 0);
	assert_string_equal(todo(s), "");
	assert_true(svc_deadline_ns(s) == t + 1);
	svc_run(s, t += 1, 0);
	assert_string_equal(todo(s), "release0 watch0=0 ");
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_IDLE);
	send(s, 0, t += MS, .kind = SVC_EV_GONE);
	assert_true(view_of(s, 0, t).idle_since_ns == SEC + 8 * MS);
	(void)todo(s);
}

/* Frozen, and it stays: its unit says so, or somebody is foretold though not surely enough. */
static void test_svc_frozen_is_kept_where_it_must_be(void **state)
{
	struct svc_config c = config;
	uint64_t t = SEC;

	(void)state;
	for (int guessed = 0; guessed < 2; guessed++) {
		c.release = guessed;
		_cleanup_(svc_freep) struct svc *s = with_one(&c);

		svc_adopt(s, 0, t, SVC_FROZEN);
		(void)todo(s);
		if (guessed)
			send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.1, .lead_ns = 50 * SEC);
		svc_run(s, t + 90 * SEC, 0);
		assert_string_equal(todo(s), "");
		assert_int_equal(view_of(s, 0, t).state, SVC_FROZEN);
	}
}

/* Pressure is acted on when it comes, not when something would have been looked at anyway. */
static void test_svc_pressure_is_felt_at_once(void **state)
{
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	struct svc_habit habit;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	c.release_after_ns = SVC_NEVER;
	s = with_one(&c);
	svc_habit(s, 0, &habit);
	s = svc_free(s);
	for (int i = 0; i < 40; i++)
		gaps_add(&habit.idle, 300 * SEC);
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &c, &habit, &id), 0);
	svc_adopt(s, id, t, SVC_FROZEN);
	svc_run(s, t += SEC, 0.1);
	(void)todo(s);
	t += 1000;
	assert_true(svc_deadline_ns(s) > t);
	svc_run(s, t, 0.8);
	assert_string_equal(todo(s), "release0 watch0=0 ");
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_PRESSURE);
}

static void test_svc_adopted_is_looked_at_soon(void **state)
{
	_cleanup_(svc_freep) struct svc *s = with_one(&config);

	(void)state;
	svc_adopt(s, 0, SEC, SVC_ACTIVE);
	assert_string_equal(todo(s), "watch0=0 ");
	assert_true(svc_deadline_ns(s) == SEC + MS);
	svc_run(s, SEC + MS, 0);
	assert_string_equal(todo(s), "check0 ");
	assert_true(svc_deadline_ns(s) == 2 * SEC + MS); /* if no answer comes */
}

/* A window of its own is learnt, but no longer than is allowed. */
static void test_svc_learnt_window_has_a_limit(void **state)
{
	struct svc_config c = config;

	(void)state;
	c.freeze_after_ns = SVC_NEVER;
	c.freeze_max_ns = 5 * MS;
	for (int limited = 0; limited < 2; limited++, c.freeze_after_ns = 20 * MS) {
		_cleanup_(svc_freep) struct svc *s = with_one(&c);

		assert_true(view_of(s, 0, 0).freeze_after_ns == (limited ? 20 : 5) * MS);
	}
	c.freeze = false;
	_cleanup_(svc_freep) struct svc *s = with_one(&c);

	assert_true(view_of(s, 0, 0).freeze_after_ns == SVC_NEVER);
}

static void test_gaps_forget_and_keep_a_prior(void **state)
{
	struct gaps g;
	double mass = 0;

	(void)state;
	gaps_init(&g);
	for (int i = 0; i < GAPS_BIN_N; i++)
		mass += (double)g.mass[i];
	assert_true(near(mass, 0.5) && g.never == 0.5f && g.observed == 0);
	assert_true(gaps_quantile_ns(&g, 0.5) == 0);
	for (int i = 1; i <= GAPS_MEMORY; i++) {
		gaps_add(&g, SEC);
		assert_true(near((double)g.observed, i) && g.never == 0.5f);
	}
	for (int i = 0; i < 400; i++) {
		float before = g.never;

		gaps_add(&g, SEC);
		assert_true(near((double)g.observed, GAPS_MEMORY));
		assert_true(g.never < before || g.never == 0.02f);
	}
	assert_true(g.never == 0.02f);
	/* Beyond the last bin is never, as far as can be told; half of the doubt each time. */
	gaps_add(&g, UINT64_MAX);
	assert_true(near((double)g.never, 0.02 + 0.98 / 2 - 0.01 * (1.0 / 24)) ||
		    (g.never > 0.5f && g.never < 0.52f));
	assert_true(gaps_valid(&g));
	assert_true(gaps_next_edge_ns(UINT64_MAX) == UINT64_MAX);
	/* The old habit has lost after as many of a new one. */
	gaps_init(&g);
	for (int i = 0; i < 200; i++)
		gaps_add(&g, SEC);
	for (int i = 0; i < GAPS_MEMORY; i++)
		gaps_add(&g, 60 * SEC);
	assert_true(gaps_quantile_ns(&g, 0.5) > 50 * SEC);
}

static void test_gaps_from_a_file_are_looked_at(void **state)
{
	struct gaps good, g;

	(void)state;
	gaps_init(&good);
	for (int i = 0; i < 500; i++)
		gaps_add(&good, SEC);
	assert_true(gaps_valid(&good));
	for (int i = 0; i < 6; i++) {
		g = good;
		if (i == 0)
			g.observed = -1;
		if (i == 1)
			g.observed = GAPS_MEMORY + 1.5f;
		if (i == 2)
			g.never = -0.1f;
		if (i == 3)
			g.never = 1.1f;
		if (i == 4)
			g.mass[0] = -1;
		if (i == 5)
			g.mass[GAPS_BIN_N - 1] = GAPS_MEMORY + 3;
		assert_false(gaps_valid(&g));
	}
}

static void test_svc_names_are_all_different(void **state)
{
	(void)state;
	for (int i = 0; i <= SVC_WHY_MAX; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(svc_why_name((enum svc_why)i),
						svc_why_name((enum svc_why)k));
	for (int i = 0; i <= SVC_STATE_MAX; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(svc_state_name((enum svc_state)i),
						svc_state_name((enum svc_state)k));
	for (int i = 0; i <= SVC_CLASS_MAX; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(svc_class_name((enum svc_class)i),
						svc_class_name((enum svc_class)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_svc_holds_only_what_has_nobody),
		cmocka_unit_test(test_svc_guessed_and_used_is_no_waste),
		cmocka_unit_test(test_svc_connection_quicker_than_the_poll),
		cmocka_unit_test(test_svc_who_works_or_has_somebody_is_not_frozen),
		cmocka_unit_test(test_svc_foretold_is_not_frozen),
		cmocka_unit_test(test_svc_without_freezing_is_released_in_time),
		cmocka_unit_test(test_svc_without_freezing_is_released_by_value),
		cmocka_unit_test(test_svc_restart_is_as_asked),
		cmocka_unit_test(test_svc_short_clean_runs_in_vain_are_failures),
		cmocka_unit_test(test_svc_failures_heal_one_a_minute),
		cmocka_unit_test(test_svc_delay_is_that_of_the_first),
		cmocka_unit_test(test_svc_observed_ends_idle_time_and_guess),
		cmocka_unit_test(test_svc_retired_goes_and_stays_away),
		cmocka_unit_test(test_svc_retired_does_not_restart),
		cmocka_unit_test(test_svc_adopted_start_has_a_second),
		cmocka_unit_test(test_svc_freeze_that_takes_too_long_is_given_up),
		cmocka_unit_test(test_svc_guess_undoes_a_freeze),
		cmocka_unit_test(test_svc_habit_is_taken_whole_or_not),
		cmocka_unit_test(test_svc_lead_is_learnt),
		cmocka_unit_test(test_svc_past_guess_adds_no_value),
		cmocka_unit_test(test_svc_idle_time_is_not_cut_by_freezing),
		cmocka_unit_test(test_svc_frozen_is_kept_where_it_must_be),
		cmocka_unit_test(test_svc_pressure_is_felt_at_once),
		cmocka_unit_test(test_svc_adopted_is_looked_at_soon),
		cmocka_unit_test(test_svc_learnt_window_has_a_limit),
		cmocka_unit_test(test_gaps_forget_and_keep_a_prior),
		cmocka_unit_test(test_gaps_from_a_file_are_looked_at),
		cmocka_unit_test(test_svc_names_are_all_different),
	};

	return cmocka_run_group_tests_name("svc-figures", tests, NULL, NULL);
}
