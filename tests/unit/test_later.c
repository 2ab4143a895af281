// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What can wait: put off while somebody waits who cannot, but not for ever, and then in short goes. */
#include "daemon/later.h"
#include "support/support.h"

#include "base/clock.h"

static bool is(void *ctx)
{
	return *(const bool *)ctx;
}

static void test_later_is_not_begun_while_somebody_waits(void **state)
{
	bool waits = false;
	struct later l;

	(void)state;
	later_init(&l, (struct pause){is, &waits});
	for (int i = 0; i < 3; i++)
		assert_true(later_begin(&l));
	waits = true;
	assert_false(later_begin(&l));
	waits = false;
	assert_true(later_begin(&l));
}

static void test_later_is_not_put_off_for_ever(void **state)
{
	bool waits = true;
	struct later l;

	(void)state;
	later_init(&l, (struct pause){is, &waits});
	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < LATER_MAX; i++)
			assert_false(later_begin(&l));
		assert_true(later_begin(&l));
	}
}

static void test_later_goes_are_short_only_while_somebody_waits(void **state)
{
	bool waits = false;
	struct later l;
	uint64_t began_ns, steps_n = 1;

	(void)state;
	later_init(&l, (struct pause){is, &waits});
	assert_true(later_begin(&l));
	began_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns < 3 * LATER_GO_NS)
		assert_false(pause_wanted(later_pause(&l)));
	waits = true;
	while (!pause_wanted(later_pause(&l)))
		steps_n++;
	assert_true(steps_n <= LATER_STEPS);
	waits = false;
	assert_true(later_begin(&l));
	waits = true;
	began_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (steps_n = 1; !pause_wanted(later_pause(&l)); steps_n++)
		;
	assert_true(steps_n > 1); /* something is done in each go */
	assert_true(clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns >= LATER_GO_NS / 2);
}

static void test_nobody_who_could_wait_is_no_pause(void **state)
{
	(void)state;
	assert_false(pause_wanted(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_is_not_begun_while_somebody_waits),
		cmocka_unit_test(test_later_is_not_put_off_for_ever),
		cmocka_unit_test(test_later_goes_are_short_only_while_somebody_waits),
		cmocka_unit_test(test_nobody_who_could_wait_is_no_pause),
	};

	return cmocka_run_group_tests_name("later", tests, NULL, NULL);
}
