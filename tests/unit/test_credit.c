// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How much is read on the word of a habit, as it holds and breaks. */
#include "support/support.h"

#include "core/credit.h"

static void test_credit_grows_with_what_holds(void **state)
{
	struct credit *c;

	(void)state;
	assert_int_equal(credit_new(&c), 0);
	assert_int_equal(credit_bytes(c, 1, 2, 1), CREDIT_FIRST);
	assert_true(credit_bytes(c, 1, 2, 3) > 8 * CREDIT_FIRST);
	assert_int_equal(credit_bytes(c, 1, 2, 1000), CREDIT_MAX); /* known from before a restart */
	for (int i = 0; i < 10; i++)
		credit_outcome(c, 1, 2, 1, true);
	assert_int_equal(credit_bytes(c, 1, 2, 1), CREDIT_MAX);
	assert_int_equal(credit_bytes(c, 2, 1, 1), CREDIT_FIRST); /* another pair */
	(void)credit_free(c);
}

static void test_credit_is_lost_in_three_and_comes_back(void **state)
{
	struct credit *c;
	int n = 0;

	(void)state;
	assert_int_equal(credit_new(&c), 0);
	credit_outcome(c, 1, 2, 1000, false);
	assert_int_equal(credit_bytes(c, 1, 2, 1000), CREDIT_MAX / 16);
	assert_false(credit_spent(c, 1, 2));
	for (; credit_bytes(c, 1, 2, 1000); n++)
		credit_outcome(c, 1, 2, 1000, false);
	assert_in_range(n, 1, 2);
	for (int i = 0; i < 100; i++)
		credit_outcome(c, 1, 2, 1000, false);
	assert_true(credit_spent(c, 1, 2));
	assert_false(credit_spent(c, 2, 1));
	for (n = 0; credit_bytes(c, 1, 2, 1000) < CREDIT_MAX; n++)
		credit_outcome(c, 1, 2, 1000, true);
	assert_in_range(n, 4, 8);
	(void)credit_free(c);
}

/* What holds three times in four keeps all; what holds every other time loses all. */
static void test_credit_wants_two_of_three(void **state)
{
	struct credit *c;

	(void)state;
	assert_int_equal(credit_new(&c), 0);
	for (int i = 0; i < 400; i++) {
		credit_outcome(c, 1, 2, 1, i % 4 != 0);
		credit_outcome(c, 3, 4, 1, i % 2 != 0);
	}
	assert_int_equal(credit_bytes(c, 1, 2, 1), CREDIT_MAX);
	assert_true(credit_bytes(c, 3, 4, 1) <= CREDIT_MIN);
	(void)credit_free(c);
}

/* There are many more pairs than places: what one has earned, another that falls on its place has not. */
static void test_credit_is_of_a_pair_and_not_of_its_place(void **state)
{
	struct credit *c;

	(void)state;
	assert_int_equal(credit_new(&c), 0);
	assert_true(credit_memory(c) >= 1024);
	for (int i = 0; i < 10; i++)
		credit_outcome(c, 1, 2, 1, true);
	for (uint32_t n = 3; n < 200000; n++) {
		assert_int_equal(credit_bytes(c, 1, n, 1), CREDIT_FIRST);
		assert_int_equal(credit_bytes(c, n, 2, 1), CREDIT_FIRST);
	}
	assert_int_equal(credit_bytes(c, 1, 2, 1), CREDIT_MAX);
	(void)credit_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_credit_grows_with_what_holds),
		cmocka_unit_test(test_credit_is_lost_in_three_and_comes_back),
		cmocka_unit_test(test_credit_wants_two_of_three),
		cmocka_unit_test(test_credit_is_of_a_pair_and_not_of_its_place),
	};

	return cmocka_run_group_tests_name("credit", tests, NULL, NULL);
}
