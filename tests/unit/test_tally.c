// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_tally.c - hits, bits and calibration, counted by hand. */
#include "support/support.h"

#include "core/tally.h"

static bool near(double a, double b)
{
	return a > b - 1e-9 && a < b + 1e-9;
}

/* Guess i is symbol i + 1. */
static void list_of(struct vomm_guess *guesses, double p)
{
	for (uint32_t i = 0; i < TALLY_GUESSES; i++)
		guesses[i] = (struct vomm_guess){.symbol = i + 1, .p = p};
}

static void test_tally_counts_hits_by_rank(void **state)
{
	static const uint64_t want[TALLY_RANKS] = {1, 3, 5, 10};
	struct vomm_guess guesses[TALLY_GUESSES];
	struct tally t = {0};

	(void)state;
	assert_true(tally_hit_percent(&t, 0) == 0);
	list_of(guesses, 0.1);
	for (uint32_t symbol = 1; symbol <= 20; symbol++)
		tally_event(&t, guesses, TALLY_GUESSES, symbol);
	for (int r = 0; r < TALLY_RANKS; r++) {
		assert_int_equal(t.hit_n[r], want[r]);
		assert_true(near(tally_hit_percent(&t, r), 5.0 * (double)want[r]));
	}
	tally_event(&t, guesses, 0, 1); /* no guess: a miss */
	tally_event(&t, guesses, 2, 3); /* too short a list: a miss too */
	assert_int_equal(t.n, 22);
	assert_int_equal(t.covered_n, 21);
	assert_int_equal(t.hit_n[TALLY_RANKS - 1], 10);
	assert_int_equal(t.first.n, 21);
	assert_int_equal(t.all.n, 202);
}

static void test_tally_measures_calibration(void **state)
{
	struct tally_bins b = {0};
	struct vomm_guess one = {.symbol = 1, .p = 0.8};
	struct tally t = {0};

	(void)state;
	assert_true(tally_ece(&b) == 0);
	/* Eight of ten, of those said to be 0.8, and all of those said to be sure. */
	for (int i = 0; i < 10; i++)
		tally_bin(&b, 0.8, i < 8);
	for (int i = 0; i < 10; i++)
		tally_bin(&b, 1, 1);
	assert_true(near(tally_ece(&b), 0));
	/* Never, of those said to be 0.05: by 0.05, over a third of all. */
	for (int i = 0; i < 10; i++)
		tally_bin(&b, 0.05, 0);
	assert_true(near(tally_ece(&b), 0.05 / 3));
	/* An error one way in one bin is not made up for by one the other way in the next. */
	for (int i = 0; i < 30; i++) {
		tally_bin(&b, 0.35, i < 15);
		tally_bin(&b, 0.45, i < 9);
	}
	assert_true(near(tally_ece(&b), (0.5 + 15 * 0.15 * 2 + 15 * 0.15 * 2) / 90));
	/* First guesses and all of them are kept apart. */
	for (uint32_t i = 0; i < 10; i++) {
		struct vomm_guess two[2] = {one, {.symbol = 2, .p = 0.2}};

		tally_event(&t, two, 2, i < 8 ? 1 : 3);
	}
	assert_true(near(tally_ece(&t.first), 0));
	assert_true(near(tally_ece(&t.all), 0.2 * 10 / 20));
	/* What is no probability is in the outermost bins, not outside of them. */
	tally_bin(&t.all, -0.5, 0);
	tally_bin(&t.all, 7, 1);
	assert_int_equal(t.all.n, 22);
}

static void test_tally_counts_bits(void **state)
{
	struct tally t = {0};

	(void)state;
	tally_cost(&t, 0.5);
	tally_cost(&t, 0.125);
	tally_cost(&t, 1);
	assert_true(near(t.bits, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tally_counts_hits_by_rank),
		cmocka_unit_test(test_tally_measures_calibration),
		cmocka_unit_test(test_tally_counts_bits),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
