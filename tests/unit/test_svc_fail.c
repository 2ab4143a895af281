// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Services that fail: they are held back, and heal. */
#include "support/svc_bed.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_svc_crash_loop_backs_off_and_heals),
		cmocka_unit_test(test_svc_client_of_a_crash_loop_is_counted_once),
		cmocka_unit_test(test_svc_restart_is_as_asked),
		cmocka_unit_test(test_svc_short_clean_runs_in_vain_are_failures),
		cmocka_unit_test(test_svc_failures_heal_one_a_minute),
	};

	return cmocka_run_group_tests_name("svc-fail", tests, NULL, NULL);
}
