// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Paths that stand for file numbers: which number is whose, what is told again, what makes room. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/names.h"

#include <string.h>

DEFINE_CLEANUP(struct names *, names_free)

static const char *name_of(struct names *n, const struct names_key *key)
{
	static char buf[4096];
	size_t len;

	if (names_get(n, key, buf, &len, NULL) != 0)
		return NULL;
	assert_int_equal(strlen(buf), len);
	return buf;
}

static void put(struct names *n, const struct names_key *key, const char *text)
{
	assert_true(names_put(n, key, &(struct names_info){0}, text, strlen(text)) >= 0);
}

/* An inode number that is used again is another file: its device, its generation and its path count. */
static void test_names_are_by_device_inode_generation_and_path(void **state)
{
	static const struct names_key keys[] = {
		{.ino = 7, .dev = 1, .gen = 1, .name = 1},
		{.ino = 8, .dev = 1, .gen = 1, .name = 1},
		{.ino = 7, .dev = 2, .gen = 1, .name = 1},
		{.ino = 7, .dev = 1, .gen = 2, .name = 1},
		{.ino = 7, .dev = 1, .gen = 1, .name = 2},
	};
	_cleanup_(names_freep) struct names *n = NULL;
	char text[16];

	(void)state;
	assert_int_equal(names_new(1024, 4096, &n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_null(name_of(n, &keys[i]));
		snprintf(text, sizeof(text), "/file/%zu", i);
		put(n, &keys[i], text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		snprintf(text, sizeof(text), "/file/%zu", i);
		assert_string_equal(name_of(n, &keys[i]), text);
	}
	assert_int_equal(names_stats(n)->used_n, ARRAY_SIZE(keys));
}

/* The kernel tells a path once, and again when it was renamed: that is the name from then on. */
static void test_names_told_again_are_renamed(void **state)
{
	const struct names_key key = {.ino = 7, .dev = 1, .gen = 1, .name = 1};
	_cleanup_(names_freep) struct names *n = NULL;

	(void)state;
	assert_int_equal(names_new(1024, 4096, &n), 0);
	put(n, &key, "/a");
	put(n, &key, "/a");
	assert_int_equal(names_stats(n)->renamed_n, 0);
	put(n, &key, "/b");
	assert_string_equal(name_of(n, &key), "/b");
	assert_int_equal(names_stats(n)->renamed_n, 1);
	assert_int_equal(names_stats(n)->used_n, 1);
}

static void test_names_forget_what_was_asked_for_longest_ago(void **state)
{
	_cleanup_(names_freep) struct names *n = NULL;

	(void)state;
	assert_int_equal(names_new(64, 4096, &n), 0);
	for (uint64_t i = 1; i <= 200; i++) {
		put(n, &(struct names_key){.ino = i}, "/x");
		assert_non_null(name_of(n, &(struct names_key){.ino = 1}));
	}
	assert_null(name_of(n, &(struct names_key){.ino = 2}));
	assert_non_null(name_of(n, &(struct names_key){.ino = 200}));
	assert_int_equal(names_stats(n)->used_n, 64);
	assert_int_equal(names_stats(n)->evicted_n, 136);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_by_device_inode_generation_and_path),
		cmocka_unit_test(test_names_told_again_are_renamed),
		cmocka_unit_test(test_names_forget_what_was_asked_for_longest_ago),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
