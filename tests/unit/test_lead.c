// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_lead.c - three quantiles of durations in eight bytes: where they come to rest, and whose they are. */
#include "support/support.h"

#include "core/lead.h"

#include <stdlib.h>

#define MS 1000000ull

static void test_lead_marks_are_a_twelfth_wide(void **state)
{
	(void)state;
	assert_int_equal(lead_mark_of(0), 0);
	assert_int_equal(lead_mark_of(1), 0);
	assert_int_equal(lead_mark_of(2), 8);
	assert_int_equal(lead_mark_of(UINT64_MAX), 255);
	for (unsigned mark = 0; mark < 256; mark++)
		if (mark > 40) /* below, steps are smaller than a ns */
			assert_int_equal(lead_mark_of(lead_ns_of((uint8_t)mark)), mark);
	for (uint64_t ns = 100; ns < 3 * 1000 * MS; ns = ns * 9 / 7)
		assert_in_range(lead_ns_of(lead_mark_of(ns)), ns * 95 / 100, ns * 105 / 100);
}

/* Uniform in octaves from 1 to 16 ms: the quantiles are known, and the order of what comes is not. */
static void test_lead_quantiles_come_to_rest(void **state)
{
	struct lead_cell cell = {0};
	struct lead got, sum = {1, 2, 3};
	uint64_t in[3] = {0};

	(void)state;
	srandom(7);
	assert_false(lead_get(&cell, 0, &got));
	for (int i = 0; i < 4000; i++) {
		uint64_t ns = lead_ns_of((uint8_t)(160 + random() % 33));

		lead_learn(&cell, 5, ns);
		assert_true(lead_get(&cell, 5, &got));
		assert_true(got.p10_ns <= got.p50_ns && got.p50_ns <= got.p90_ns);
		if (i < 500)
			continue;
		in[0] += ns <= got.p10_ns;
		in[1] += ns <= got.p50_ns;
		in[2] += ns <= got.p90_ns;
	}
	assert_in_range(in[0], 3500 * 3 / 100, 3500 * 25 / 100);
	assert_in_range(in[1], 3500 * 40 / 100, 3500 * 60 / 100);
	assert_in_range(in[2], 3500 * 75 / 100, 3500 * 97 / 100);
	lead_add(&sum, &got);
	lead_add(&sum, &got);
	assert_true(sum.p10_ns == 1 + 2 * got.p10_ns && sum.p50_ns == 2 + 2 * got.p50_ns &&
		    sum.p90_ns == 3 + 2 * got.p90_ns);
}

/* The first is all that is known; a new habit is followed quickly while young, and steadily later. */
static void test_lead_follows_what_changes(void **state)
{
	struct lead_cell cell = {0};
	struct lead got;
	int n;

	(void)state;
	lead_learn(&cell, 5, 10 * MS);
	assert_true(lead_get(&cell, 5, &got));
	assert_in_range(got.p50_ns, 95 * MS / 10, 105 * MS / 10);
	assert_in_range(got.p10_ns, 10 * MS * 65 / 100, 10 * MS * 75 / 100);
	assert_in_range(got.p90_ns, 10 * MS * 135 / 100, 10 * MS * 150 / 100);
	for (n = 0; got.p50_ns > 2 * MS; n++) { /* 19 marks down: 4 a step while young, then 2 */
		lead_learn(&cell, 5, MS);
		assert_true(lead_get(&cell, 5, &got));
	}
	assert_in_range(n, 5, 8);
	for (int i = 0; i < 300; i++)
		lead_learn(&cell, 5, 10 * MS);
	for (n = 0; got.p50_ns > MS * 3 / 2 || n == 0; n++) {
		lead_learn(&cell, 5, MS);
		assert_true(lead_get(&cell, 5, &got));
		assert_true(got.p10_ns <= got.p50_ns && got.p50_ns <= got.p90_ns);
	}
	assert_in_range(n, 18, 30);
}

/* Two pairs, one cell: the better known one gives up half of what it knows each time. */
static void test_lead_cell_goes_to_who_comes_oftener(void **state)
{
	struct lead_cell cell = {0};
	struct lead got;
	int n;

	(void)state;
	for (int i = 0; i < 8; i++)
		lead_learn(&cell, 5, MS);
	assert_false(lead_get(&cell, 6, &got));
	for (n = 0; !lead_get(&cell, 6, &got); n++) {
		assert_true(lead_get(&cell, 5, &got));
		assert_in_range(got.p50_ns, MS * 9 / 10, MS * 11 / 10);
		lead_learn(&cell, 6, 100 * MS);
	}
	assert_int_equal(n, 4); /* 8, 4, 2, 1: then it is its */
	assert_in_range(got.p50_ns, 90 * MS, 110 * MS);
	assert_false(lead_get(&cell, 5, &got));
	/* However long it was known: it saturates. */
	for (int i = 0; i < 10000; i++)
		lead_learn(&cell, 5, MS);
	assert_true(lead_get(&cell, 5, &got));
	for (n = 0; !lead_get(&cell, 6, &got); n++)
		lead_learn(&cell, 6, 100 * MS);
	assert_in_range(n, 8, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lead_marks_are_a_twelfth_wide),
		cmocka_unit_test(test_lead_quantiles_come_to_rest),
		cmocka_unit_test(test_lead_follows_what_changes),
		cmocka_unit_test(test_lead_cell_goes_to_who_comes_oftener),
	};

	return cmocka_run_group_tests_name("lead", tests, NULL, NULL);
}
