// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Services somebody is foretold for: started and thawed ahead, and what comes of it. */
#include "support/svc_bed.h"

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

static void run_until(struct svc *s, uint64_t now)
{
	svc_run(s, now, 0);
	if (strstr(todo(s), "check0"))
		send(s, 0, now, .kind = SVC_EV_CHECKED);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_svc_guess_starts_ahead_and_is_scored),
		cmocka_unit_test(test_svc_guess_that_fails_refreezes),
		cmocka_unit_test(test_svc_thawed_for_a_guess_is_left_alone_until_it_comes_true),
		cmocka_unit_test(test_svc_guess_under_pressure_starts_nothing),
		cmocka_unit_test(test_svc_guess_undoes_a_freeze),
		cmocka_unit_test(test_svc_foretold_is_not_frozen),
		cmocka_unit_test(test_svc_guessed_and_used_is_no_waste),
		cmocka_unit_test(test_svc_observed_ends_idle_time_and_guess),
		cmocka_unit_test(test_svc_lead_is_learnt),
		cmocka_unit_test(test_svc_past_guess_adds_no_value),
	};

	return cmocka_run_group_tests_name("svc-guess", tests, NULL, NULL);
}
