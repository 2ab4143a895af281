// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Of the reads for one start the earliest counts, once. */
#include "support/support.h"

#include "core/firstread.h"

#define MS 1000000ull
#define S (1000 * MS)

static void test_firstread_counts_a_start_once_it_is_over(void **state)
{
	struct firstread_view v;
	struct firstread *f;

	(void)state;
	assert_int_equal(firstread_new(&f), 0);
	firstread_note(f, 10 * S, 10 * S + 7 * MS);
	firstread_note(f, 10 * S, 10 * S + 3 * MS - 1); /* asked for before, done after */
	firstread_note(f, 10 * S, 10 * S + 9 * MS);
	firstread_note(f, 0, 10 * S);
	firstread_note(f, 10 * S, 0);
	firstread_view(f, 11 * S, 5 * S, &v);
	assert_int_equal(v.starts_n, 0);
	firstread_view(f, 16 * S, 5 * S, &v);
	assert_int_equal(v.starts_n, 1);
	assert_int_equal(v.p50_ns, 3 * MS);
	assert_int_equal(v.p99_ns, 3 * MS);
	firstread_view(f, 30 * S, 5 * S, &v);
	assert_int_equal(v.starts_n, 1);
	assert_null(firstread_free(f));
}

static void test_firstread_is_none_of_what_was_read_ahead(void **state)
{
	struct firstread_view v;
	struct firstread *f;

	(void)state;
	assert_int_equal(firstread_new(&f), 0);
	firstread_note(f, 10 * S, 10 * S + 30 * MS);
	firstread_note(f, 10 * S, 10 * S - MS); /* of what was under way for it */
	firstread_view(f, 16 * S, 5 * S, &v);
	assert_int_equal(v.starts_n, 0);
	assert_null(firstread_free(f));
}

static void test_firstread_quantiles(void **state)
{
	struct firstread_view v;
	struct firstread *f;

	(void)state;
	assert_int_equal(firstread_new(&f), 0);
	for (uint64_t i = 1; i <= 20000; i++) /* far more than there is room for at a time */
		firstread_note(f, i * S, i * S + (i % 100 < 97 ? 1 : 20) * MS - 1);
	firstread_note(f, 90000 * S, 90001 * S); /* beyond the last bin */
	firstread_view(f, 100000 * S, 5 * S, &v);
	assert_int_equal(v.starts_n, 20001);
	assert_int_equal(v.p50_ns, 1 * MS);
	assert_int_equal(v.p99_ns, 20 * MS);
	assert_null(firstread_free(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firstread_counts_a_start_once_it_is_over),
		cmocka_unit_test(test_firstread_is_none_of_what_was_read_ahead),
		cmocka_unit_test(test_firstread_quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
