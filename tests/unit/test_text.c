// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Numbers and names for people: units both ways, escaping, and what a column can hold. */
#include "support/support.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_text_parses_units(void **state)
{
	static const struct {
		const char *s;
		int r;
		uint64_t want;
	} bytes[] =
		{
			{"0", 0, 0},
			{"512", 0, 512},
			{"64 KiB", 0, 65536},
			{"1.5MiB", 0, 1572864},
			{"2G", 0, 2ull << 30},
			{"", -EINVAL, 0},
			{"-1", -EINVAL, 0},
			{"1 KB", -EINVAL, 0},
			{"0x10", -EINVAL, 0},
			{"1e3KiB", 0, 1024000},
			{"inf", -EINVAL, 0},
			{"9e99GiB", -ERANGE, 0},
			{"1KiB x", -EINVAL, 0},
		},
	  times[] = {
		  {"0", 0, 0},	      {"10ms", 0, 10000000},	    {"2 s", 0, 2000000000},
		  {"1.5us", 0, 1500}, {"1d", 0, 86400000000000ull}, {"10", -EINVAL, 0},
		  {"s", -EINVAL, 0},  {"1e30s", -ERANGE, 0},
	  };
	uint64_t got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		int r = text_parse_bytes(bytes[i].s, &got);

		if (r != bytes[i].r || (r == 0 && got != bytes[i].want))
			fail_msg("'%s': %d, %llu", bytes[i].s, r, (unsigned long long)got);
	}
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		int r = text_parse_ns(times[i].s, &got);

		if (r != times[i].r || (r == 0 && got != times[i].want))
			fail_msg("'%s': %d, %llu", times[i].s, r, (unsigned long long)got);
	}
}

static void test_text_shows_numbers_short(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(text_bytes(0, buf, sizeof(buf)), "0 B");
	assert_string_equal(text_bytes(1023, buf, sizeof(buf)), "1023 B");
	assert_string_equal(text_bytes(1536, buf, sizeof(buf)), "1.5 KiB");
	assert_string_equal(text_bytes(1023 * 1024, buf, sizeof(buf)), "1.0 MiB");
	assert_string_equal(text_bytes(UINT64_MAX, buf, sizeof(buf)), "16 EiB");
	assert_string_equal(text_ns(0, buf, sizeof(buf)), "0");
	assert_string_equal(text_ns(999, buf, sizeof(buf)), "999 ns");
	assert_string_equal(text_ns(1500, buf, sizeof(buf)), "1.5 us");
	assert_string_equal(text_ns(999999, buf, sizeof(buf)), "1.0 ms");
	assert_string_equal(text_ns(90000000000, buf, sizeof(buf)), "90 s");
	assert_string_equal(text_ns(UINT64_MAX, buf, sizeof(buf)), "213504 d");
	assert_string_equal(text_count(9999, buf, sizeof(buf)), "9999");
	assert_string_equal(text_count(10123, buf, sizeof(buf)), "10.1k");
	assert_string_equal(text_count(1234567, buf, sizeof(buf)), "1.2M");
	assert_string_equal(text_count(UINT64_MAX, buf, sizeof(buf)), "18.4E");
}

/* Whatever bytes go in: what comes out is UTF-8 of printing characters, and fits. */
static void test_text_escape_is_safe_for_any_bytes(void **state)
{
	char in[64], out[300], fit[300];

	(void)state;
	srandom(3);
	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)random() % (sizeof(in) - 1), max = 1 + (size_t)random() % 299,
		       left;
		const char *p;

		for (size_t i = 0; i < n; i++)
			in[i] = (char)(random() % 3 ? 1 + random() % 255
						    : "/\xe2\x80\xae\xc2\x9b\033"[random() % 7]);
		in[n] = '\0';
		text_escape(in, out, max);
		assert_true(strlen(out) < max);
		for (p = out, left = strlen(out); left;) {
			uint32_t c;
			size_t len = text_utf8(p, left, &c);

			assert_true(len > 0);
			assert_true(c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) &&
				    c != 0x202e);
			p += len;
			left -= len;
		}
		max = 1 + (size_t)random() % 60;
		text_fit(in, max, fit, sizeof(fit));
		assert_true(text_columns(fit) <= max);
	}
}

static void test_text_fit_keeps_the_last_name(void **state)
{
	static const struct {
		const char *in;
		size_t columns;
		const char *want;
	} cases[] = {
		{"/usr/bin/git", 12, "/usr/bin/git"},
		{"/usr/lib/x86_64-linux-gnu/libc.so.6", 24, "/usr/lib/.../libc.so.6"},
		{"/usr/lib/gcc/x86_64-linux-gnu/12/cc1", 30, "/usr/lib/gcc/.../12/cc1"},
		{"no-slash-at-all-but-very-long-indeed", 20, "no-sla...long-indeed"},
		{"/srv/\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97/x", 10, "/srv/.../x"},
	};
	char buf[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		text_fit(cases[i].in, cases[i].columns, buf, sizeof(buf));
		if (strcmp(buf, cases[i].want) != 0)
			fail_msg("'%s' in %zu: '%s', wanted '%s'", cases[i].in, cases[i].columns,
				 buf, cases[i].want);
	}
}

static void test_text_nearest_is_a_slip_of_the_finger(void **state)
{
	static const char *const words[] = {"status", "deps", "needs", "top", "why"};

	(void)state;
	assert_string_equal(text_nearest("stauts", words, 5), "status");
	assert_string_equal(text_nearest("stat", words, 5), "status");
	assert_string_equal(text_nearest("dep", words, 5), "deps");
	assert_string_equal(text_nearest("tpo", words, 5), "top");
	assert_null(text_nearest("", words, 5));
	assert_null(text_nearest("commit", words, 5));
	assert_null(text_nearest("a-word-that-is-longer-than-any-command-can-be", words, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_parses_units),
		cmocka_unit_test(test_text_shows_numbers_short),
		cmocka_unit_test(test_text_escape_is_safe_for_any_bytes),
		cmocka_unit_test(test_text_fit_keeps_the_last_name),
		cmocka_unit_test(test_text_nearest_is_a_slip_of_the_finger),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
