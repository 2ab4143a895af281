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

#define DIGEST "e0f3af585347d957f1e7ac29d39a6e880193bda30530472a9136378b50cacef7"

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
		{DIGEST "/diff", 69, DIGEST "/diff"},
		{"/var/lib/docker/overlay2/" DIGEST "/diff", 49,
		 "/var/lib/docker/overlay2/e0f3af585347.../diff"},
		{"/var/lib/containers/storage/overlay/" DIGEST "/diff", 49,
		 "/var/lib/.../overlay/e0f3af585347.../diff"},
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

/* The first and last of each length, and what must not be taken for a character. */
static void test_text_utf8_takes_only_what_is(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		uint32_t point;
	} cases[] = {
		{"a", 1, 'a'},
		{"\x7f", 1, 0x7f},
		{"\xc2\x80", 2, 0x80},
		{"\xdf\xbf", 2, 0x7ff},
		{"\xe0\xa0\x80", 3, 0x800},
		{"\xe2\x82\xac", 3, 0x20ac},
		{"\xed\x9f\xbf", 3, 0xd7ff},
		{"\xee\x80\x80", 3, 0xe000},
		{"\xef\xbf\xbf", 3, 0xffff},
		{"\xf0\x90\x80\x80", 4, 0x10000},
		{"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
		{"", 0, 0},
		{"\x80", 0, 0},		    /* nothing begins so */
		{"\xc1\xbf", 0, 0},	    /* longer than it need be */
		{"\xe0\x9f\xbf", 0, 0},	    /* the same */
		{"\xf0\x8f\xbf\xbf", 0, 0}, /* the same */
		{"\xed\xa0\x80", 0, 0},	    /* half a pair */
		{"\xed\xbf\xbf", 0, 0},	    /* the other half */
		{"\xf4\x90\x80\x80", 0, 0}, /* beyond the last */
		{"\xf5\x80\x80\x80", 0, 0}, /* far beyond */
		{"\xe2\x82", 0, 0},	    /* cut off */
		{"\xe2\x82"
		 "a",
		 0, 0}, /* broken off */
		{"\xf0\x90\x80\xc0", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t point = 0;
		size_t len = text_utf8(cases[i].in, strlen(cases[i].in), &point);

		if (len != cases[i].len || point != cases[i].point)
			fail_msg("case %zu: %zu bytes, U+%04x", i, len, point);
	}
}

/* What a terminal obeys, or hides, is shown as what it is; what is next to it is not touched. */
static void test_text_escape_shows_what_deceives(void **state)
{
	static const uint32_t hidden[] = {0x80,	  0x9f,	  0x200b, 0x200f,  0x2028, 0x202e,
					  0x2060, 0x206f, 0xfeff, 0xe0000, 0xe007f},
			      shown[] = {0xa0,	 0x200a, 0x2010, 0x2027,  0x202f, 0x205f,
					 0x2070, 0xfefe, 0xff01, 0xdfffd, 0xe0080};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hidden) + ARRAY_SIZE(shown); i++) {
		const bool hide = i < ARRAY_SIZE(hidden);
		const uint32_t c = hide ? hidden[i] : shown[i - ARRAY_SIZE(hidden)];
		char in[5] = {0}, out[64];

		if (c < 0x800) {
			in[0] = (char)(0xc0 | c >> 6);
			in[1] = (char)(0x80 | (c & 0x3f));
		} else if (c < 0x10000) {
			in[0] = (char)(0xe0 | c >> 12);
			in[1] = (char)(0x80 | (c >> 6 & 0x3f));
			in[2] = (char)(0x80 | (c & 0x3f));
		} else {
			in[0] = (char)(0xf0 | c >> 18);
			in[1] = (char)(0x80 | (c >> 12 & 0x3f));
			in[2] = (char)(0x80 | (c >> 6 & 0x3f));
			in[3] = (char)(0x80 | (c & 0x3f));
		}
		text_escape(in, out, sizeof(out));
		if (hide == (strcmp(in, out) == 0))
			fail_msg("U+%04x: %s", c, out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_parses_units),
		cmocka_unit_test(test_text_shows_numbers_short),
		cmocka_unit_test(test_text_escape_is_safe_for_any_bytes),
		cmocka_unit_test(test_text_utf8_takes_only_what_is),
		cmocka_unit_test(test_text_escape_shows_what_deceives),
		cmocka_unit_test(test_text_fit_keeps_the_last_name),
		cmocka_unit_test(test_text_nearest_is_a_slip_of_the_finger),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
