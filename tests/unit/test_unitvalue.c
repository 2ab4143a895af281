// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Values in unit files: words, spans of time, sizes, addresses, as systemd has them. */
#include "support/support.h"

#include "core/unitvalue.h"
#include "core/unitfile.h"

#include <errno.h>
#include <string.h>

/* The examples of systemd.service(5), "Command lines", and our own edge cases. */
static void test_unitvalue_words_are_quoted_as_in_systemd(void **state)
{
	static const struct {
		const char *text;
		const char *words[5];
		int end;
	} cases[] = {
		{"/bin/echo / >/dev/null", {"/bin/echo", "/", ">/dev/null"}, UNIT_VALUE_END},
		{"echo \"TWO=2 2\" 'x y'", {"echo", "TWO=2 2", "x y"}, UNIT_VALUE_END},
		{"a \\x20 \\040 \\s", {"a", " ", " ", " "}, UNIT_VALUE_END},
		{"a\\tb \\u00e9 \\U0001f600",
		 {"a\tb", "\xc3\xa9", "\xf0\x9f\x98\x80"},
		 UNIT_VALUE_END},
		{"pre'mid dle'post", {"premid dlepost"}, UNIT_VALUE_END},
		{"\"it's\" 'say \"x\"'", {"it's", "say \"x\""}, UNIT_VALUE_END},
		{"'' \"\"", {"", ""}, UNIT_VALUE_END},
		{"  ", {NULL}, UNIT_VALUE_END},
		{"a \\", {"a"}, UNIT_VALUE_BAD},
		{"\\x00", {NULL}, UNIT_VALUE_BAD},
		{"\\ud800", {NULL}, UNIT_VALUE_BAD},
		{"\\400", {NULL}, UNIT_VALUE_BAD},
		{"'a\" b", {NULL}, UNIT_VALUE_BAD},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		char word[64];
		bool quoted;

		for (size_t w = 0; w < 5 && cases[i].words[w]; w++) {
			assert_int_equal(unitvalue_word(&text, word, sizeof(word), &quoted), 0);
			assert_string_equal(word, cases[i].words[w]);
		}
		assert_int_equal(unitvalue_word(&text, word, sizeof(word), &quoted), cases[i].end);
	}
}

static void test_unitvalue_spans_and_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0: refused */
	} spans[] = {
		{"2", 2000000000u},
		{"1.5s", 1500000000u},
		{"5min 20s", 320000000000u},
		{"300ms20us", 300020000u},
		{"1h30m", 5400000000000u},
		{"infinity", UINT64_MAX},
		{"1 d", 86400000000000u},
		{".5", 500000000u},
		{"", 0},
		{"5 parsecs", 0},
		{"-1", 0},
		{"99999999999w", 0},
		{"1.", 0},
		{"18446744073709551616", 0},
	};
	uint64_t v;
	uint32_t share;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		int r = unitvalue_span_ns(spans[i].text, &v);

		if (r != (spans[i].ns ? 0 : UNIT_VALUE_BAD) || (!r && v != spans[i].ns))
			fail_msg("%s: %d %llu", spans[i].text, r, (unsigned long long)v);
	}
	assert_int_equal(unitvalue_size("4K", &v), 0);
	assert_true(v == 4096);
	assert_int_equal(unitvalue_size("16E", &v), UNIT_VALUE_BAD);
	assert_int_equal(unitvalue_size("4KB", &v), UNIT_VALUE_BAD);
	assert_int_equal(unitvalue_percent("12.5%", 1000, &share), 0);
	assert_int_equal(share, 125);
	assert_int_equal(unitvalue_percent("101%", 1000, &share), UNIT_VALUE_BAD);
}

static void test_unitvalue_ipv6_literals(void **state)
{
	static const struct {
		const char *text;
		const char *hex; /* NULL: refused */
	} cases[] = {
		{"::", "00000000000000000000000000000000"},
		{"::1", "00000000000000000000000000000001"},
		{"1::", "00010000000000000000000000000000"},
		{"fe80::1:2", "fe800000000000000000000000010002"},
		{"1:2:3:4:5:6:7:8", "00010002000300040005000600070008"},
		{"::ffff:10.0.0.1", "00000000000000000000ffff0a000001"},
		{"1:2:3:4:5:6:7::", "00010002000300040005000600070000"},
		{"1:2:3:4:5:6:7", NULL},
		{"1::2::3", NULL},
		{":1", NULL},
		{"1:", NULL},
		{"12345::", NULL},
		{"::1%eth0", NULL},
		{"1:2:3:4:5:6:7:8:9", NULL},
		{"", NULL},
		{"::1.2.3", NULL},
		{"::1.2.3.256", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char hex[33];
		uint8_t ip[16];
		int r = unitvalue_ipv6(cases[i].text, ip);

		for (size_t b = 0; b < 16 && !r; b++)
			(void)snprintf(hex + 2 * b, 3, "%02x", ip[b]);
		if (r ? cases[i].hex != NULL : !cases[i].hex || strcmp(hex, cases[i].hex) != 0)
			fail_msg("%s: %d %s", cases[i].text, r, r ? "" : hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unitvalue_words_are_quoted_as_in_systemd),
		cmocka_unit_test(test_unitvalue_spans_and_sizes),
		cmocka_unit_test(test_unitvalue_ipv6_literals),
	};

	return cmocka_run_group_tests_name("unitvalue", tests, NULL, NULL);
}
