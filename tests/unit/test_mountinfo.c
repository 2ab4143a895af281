/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines of mountinfo: their words, those with characters written as \ooo, and what is none.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "sys/mountinfo.h"

#include <stdbool.h>
#include <string.h>

static void test_mountinfo_lines_are_told_and_others_left_out(void **state)
{
	static const char text[] =
		"21 1 254:1 / / rw,relatime shared:1 master:2 - ext4 /dev/vda "
		"rw,errors=remount-ro\n"
		"garbage\n"
		"22 21 0:x / /y rw - ext4 /dev/vda rw\n"
		" - \n"
		"\n"
		"23 21 0:2 /a\\040b /c\\134d\\011\\012 rw - fuse.x  ro,name=e\\054f\n"
		"24 21 0:3 /no\\04 /not\\477octal\\ rw - none";
	static const struct mountinfo are[] = {
		{21, 254u << 20 | 1, "/", "/", "ext4", "rw,errors=remount-ro"},
		{23, 2, "/a b", "/c\\d\t\n", "fuse.x", "ro,name=e\\054f"},
		{24, 3, "/no\\04", "/not\\477octal\\", "none", ""},
	};
	_cleanup_(fclosep) FILE *f = fmemopen((char *)text, sizeof(text) - 1, "r");
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(are); i++) {
		assert_int_equal(mountinfo_next(f, &m), 0);
		assert_int_equal(m.id, are[i].id);
		assert_int_equal(m.dev, are[i].dev);
		assert_string_equal(m.dir, are[i].dir);
		assert_string_equal(m.point, are[i].point);
		assert_string_equal(m.type, are[i].type);
		assert_string_equal(m.options, are[i].options);
	}
	assert_string_equal(m.line, "24 21 0:3 /no\\04 /not\\477octal\\ rw - none");
	assert_int_equal(mountinfo_next(f, &m), MOUNTINFO_END);
}

/* A container of many layers names them all in one line. */
static void test_mountinfo_a_line_may_be_long(void **state)
{
	_cleanup_(freep) char *text = NULL;
	size_t size, len = 20000;
	_cleanup_(fclosep) FILE *f = open_memstream(&text, &size);
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};

	(void)state;
	fprintf(f, "1 0 0:1 / / rw - tmpfs none rw\n2 1 0:2 / /x rw - overlay o rw,lowerdir=%0*d\n",
		(int)len, 0);
	fclose(f);
	f = fmemopen(text, size, "r");
	assert_int_equal(mountinfo_next(f, &m), 0);
	assert_int_equal(mountinfo_next(f, &m), 0);
	assert_int_equal(strlen(m.options), strlen("rw,lowerdir=") + len);
}

static void test_mountinfo_of_our_own_has_a_root(void **state)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};
	bool root = false;

	(void)state;
	while (mountinfo_next(f, &m) == 0)
		root |= !strcmp(m.point, "/");
	assert_true(root);
}

static void test_mountinfo_unescape_stops_where_the_text_does(void **state)
{
	char text[] = "a\\134b\\040";

	(void)state;
	mountinfo_unescape(text, 9, text); /* cut within the second */
	assert_string_equal(text, "a\\b\\04");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mountinfo_lines_are_told_and_others_left_out),
		cmocka_unit_test(test_mountinfo_a_line_may_be_long),
		cmocka_unit_test(test_mountinfo_of_our_own_has_a_root),
		cmocka_unit_test(test_mountinfo_unescape_stops_where_the_text_does),
	};

	return cmocka_run_group_tests_name("mountinfo", tests, NULL, NULL);
}
