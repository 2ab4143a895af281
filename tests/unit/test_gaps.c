// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How long it takes until the next one comes. */
#include "support/svc_bed.h"

static void test_gaps_answers_are_probabilities(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gaps_answers_are_probabilities),
		cmocka_unit_test(test_gaps_forget_and_keep_a_prior),
		cmocka_unit_test(test_gaps_from_a_file_are_looked_at),
	};

	return cmocka_run_group_tests_name("gaps", tests, NULL, NULL);
}
