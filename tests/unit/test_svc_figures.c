// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What services count and learn, to the number. */
#include "support/svc_bed.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_svc_holds_only_what_has_nobody),
		cmocka_unit_test(test_svc_delay_is_that_of_the_first),
		cmocka_unit_test(test_svc_idle_time_is_not_cut_by_freezing),
		cmocka_unit_test(test_svc_first_measure_replaces_what_was_assumed),
		cmocka_unit_test(test_svc_learns_an_hourly_rhythm),
		cmocka_unit_test(test_svc_freeze_window_follows_the_rhythm),
		cmocka_unit_test(test_svc_learnt_window_has_a_limit),
		cmocka_unit_test(test_svc_habit_that_is_no_habit_is_refused),
		cmocka_unit_test(test_svc_habit_is_taken_whole_or_not),
	};

	return cmocka_run_group_tests_name("svc-figures", tests, NULL, NULL);
}
