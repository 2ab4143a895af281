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

/* 16 MB held, in MB*s. */
#define HELD(ns) (16.0 * (double)(ns) / 1e9)

static struct svc_config without_freeze(uint64_t release_after_ns)
{
	struct svc_config c = config;

	c.freeze = false;
	c.release_after_ns = release_after_ns;
	return c;
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
		cmocka_unit_test(test_svc_cold_ready_frozen_thawed_released),
		cmocka_unit_test(test_svc_remembers_its_moves),
		cmocka_unit_test(test_svc_resting_is_frozen_in_all_but_name),
		cmocka_unit_test(test_svc_freeze_is_undone_by_an_accepted_connection),
		cmocka_unit_test(test_svc_freeze_that_takes_too_long_is_given_up),
		cmocka_unit_test(test_svc_frozen_is_kept_where_it_must_be),
		cmocka_unit_test(test_svc_who_works_or_has_somebody_is_not_frozen),
		cmocka_unit_test(test_svc_connection_quicker_than_the_poll),
		cmocka_unit_test(test_svc_observed_connections_are_counted_once),
		cmocka_unit_test(test_svc_without_freezing_is_released_in_time),
		cmocka_unit_test(test_svc_without_freezing_is_released_by_value),
		cmocka_unit_test(test_svc_start_and_stop_have_a_limit),
		cmocka_unit_test(test_svc_retired_goes_and_stays_away),
		cmocka_unit_test(test_svc_retired_does_not_restart),
		cmocka_unit_test(test_svc_adopted_start_has_a_second),
		cmocka_unit_test(test_svc_adopted_is_looked_at_soon),
		cmocka_unit_test(test_svc_idle_is_seldom_looked_at),
		cmocka_unit_test(test_svc_names_are_all_different),
	};

	return cmocka_run_group_tests_name("svc", tests, NULL, NULL);
}
