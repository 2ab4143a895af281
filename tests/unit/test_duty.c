// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Calm blocks are watched ever more seldom, and anything new ends that at once. */
#include "support/support.h"

#include "core/duty.h"

#include <string.h>

static const struct duty_limits limits = {.block_max = 64,
					  .need_max = 4096,
					  .process_max = 64,
					  .calm_n = 8,
					  .every_max = 8,
					  .settle_ns = 1000};
static uint64_t clock_ns;
static struct fwm_block_key key;
static struct fwm_known_row row;

static int tell(struct duty *d, enum obs_kind kind, uint32_t pid, const char *name, uint32_t flags)
{
	struct obs o = {.kind = kind,
			.ts_ns = ++clock_ns,
			.pid = pid,
			.ppid = 1,
			.flags = flags,
			.count = 1,
			.name = name,
			.args = "x",
			.args_len = 2,
			.file = {.ino = 7, .dev = 1}};

	return duty_observe(d, &o, &key, &row);
}

/* One start that needs those files; returns how often a row was to be written. */
static int start(struct duty *d, const char *const *needs, uint32_t flags)
{
	int changed = 0;

	changed += tell(d, OBS_EXEC, 5, "/bin/x", flags) == DUTY_CHANGED;
	for (; *needs && !(flags & OBS_F_QUIET); needs++)
		changed += tell(d, OBS_OPEN, 5, *needs, 0) == DUTY_CHANGED;
	changed += tell(d, OBS_EXIT, 5, NULL, 0) == DUTY_CHANGED;
	return changed;
}

static struct duty *fresh(void)
{
	struct duty *d = NULL;

	clock_ns = 0;
	assert_int_equal(duty_new(&limits, &d), 0);
	return d;
}

static void test_calm_starts_make_a_block_known(void **state)
{
	static const char *const needs[] = {"/a", "/b", NULL};
	struct duty *d = fresh();

	(void)state;
	for (uint32_t i = 0; i < 1 + limits.calm_n - 1; i++)
		assert_int_equal(start(d, needs, 0), 0);
	assert_int_equal(start(d, needs, 0), 1);
	assert_int_equal(row.every, 2);
	assert_int_equal(key.ino, 7);
	for (uint32_t want = 4; want <= limits.every_max; want *= 2) {
		int changed = 0;

		for (uint32_t i = 0; i < limits.calm_n / 2; i++)
			changed += start(d, needs, 0);
		assert_int_equal(changed, 1);
		assert_int_equal(row.every, want);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(start(d, needs, 0), 0); /* no further */
	assert_int_equal(duty_stats(d)->known_n, 1);
	duty_free(d);
}

static void test_a_new_need_ends_it(void **state)
{
	static const char *const needs[] = {"/a", NULL}, *const more[] = {"/a", "/new", NULL};
	struct duty *d = fresh();

	(void)state;
	for (int i = 0; i < 20; i++)
		start(d, needs, 0);
	assert_int_equal(duty_stats(d)->known_n, 1);
	assert_int_equal(start(d, more, 0), 1);
	assert_int_equal(row.every, 0);
	assert_int_equal(duty_stats(d)->known_n, 0);
	assert_int_equal(start(d, more, 0), 0);
	duty_free(d);
}

static void test_quiet_starts_prove_nothing(void **state)
{
	static const char *const needs[] = {"/a", NULL};
	struct duty *d = fresh();

	(void)state;
	start(d, needs, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(start(d, needs, OBS_F_QUIET), 0);
	assert_int_equal(duty_stats(d)->known_n, 0);
	assert_int_equal(duty_stats(d)->quiet_n, 100);
	duty_free(d);
}

static void test_temporary_files_are_no_news(void **state)
{
	struct duty *d = fresh();

	(void)state;
	for (int i = 0; i < 20; i++) {
		char tmp[32];

		/* Not where files are temporary anyway: that it was written is what tells. */
		(void)snprintf(tmp, sizeof(tmp), "/srv/build/%d.s", i);
		tell(d, OBS_EXEC, 5, "/bin/x", 0);
		tell(d, OBS_OPEN, 5, tmp, OBS_F_WRITE);
		tell(d, OBS_OPEN, 5, tmp, 0);
		tell(d, OBS_EXIT, 5, NULL, 0);
	}
	assert_int_equal(duty_stats(d)->known_n, 1);
	duty_free(d);
}

static void test_temporary_files_of_unseen_writers_are_no_news(void **state)
{
	struct duty *d = fresh();
	char tmp[32];

	(void)state;
	for (uint32_t i = 0; i < limits.calm_n + 1; i++) {
		(void)snprintf(tmp, sizeof(tmp), "/tmp/cc%u.s", i);
		tell(d, OBS_EXEC, 5, "/bin/x", 0);
		tell(d, OBS_OPEN, 5, tmp, 0);
		tell(d, OBS_EXIT, 5, NULL, 0);
	}
	assert_int_equal(duty_stats(d)->known_n, 1);
	duty_free(d);
}

/* A compiler looks for its headers in a dozen directories. */
static void test_a_block_of_many_needs_becomes_known(void **state)
{
	struct duty *d = fresh();
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < limits.calm_n + 1; i++) {
		tell(d, OBS_EXEC, 5, "/bin/x", 0);
		for (uint32_t k = 0; k < limits.need_max / 16; k++) {
			(void)snprintf(name, sizeof(name), "/usr/include/%u.h", k);
			tell(d, OBS_OPEN, 5, name, 0);
		}
		tell(d, OBS_EXIT, 5, NULL, 0);
	}
	assert_int_equal(duty_stats(d)->known_n, 1);
	duty_free(d);
}

static void test_it_settles_when_nothing_is_new(void **state)
{
	static const char *const needs[] = {"/a", NULL};
	struct duty *d = fresh();

	(void)state;
	assert_false(duty_settled(d, 5000)); /* nothing was seen at all */
	start(d, needs, 0);
	assert_false(duty_settled(d, clock_ns + 10));
	assert_true(duty_settled(d, clock_ns + 2000));
	clock_ns += 2000;
	tell(d, OBS_EXEC, 6, "/bin/x", 0);
	tell(d, OBS_OPEN, 6, "/other", 0);
	assert_false(duty_settled(d, clock_ns + 10));
	duty_free(d);
}

/* Processes share places by their number: what ends, or is done, by one that is not known says nothing of another. */
static void test_others_are_not_taken_for_it(void **state)
{
	struct duty *d = fresh();

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		tell(d, OBS_EXEC, 5, "/bin/x", 0);
		tell(d, OBS_OPEN, 5, "/a", 0);
		for (uint32_t pid = 100; pid < 1000; pid++) {
			tell(d, OBS_OPEN, pid, "/of/another", 0);
			tell(d, OBS_EXIT, pid, NULL, 0);
		}
		tell(d, OBS_EXIT, 5, NULL, 0);
		tell(d, OBS_EXIT, 5, NULL, 0); /* it had ended */
		assert_int_equal(duty_stats(d)->starts_n, i);
		assert_int_equal(duty_stats(d)->calm_n, i - 1); /* all but the first */
		assert_int_equal(duty_stats(d)->fresh_n, 1);
	}
	duty_free(d);
}

/* Whether the next start need not be told. */
static bool leaf(struct duty *d)
{
	bool r;

	tell(d, OBS_EXEC, 5, "/bin/x", OBS_F_QUIET);
	r = duty_leaf(d, 5);
	tell(d, OBS_EXIT, 5, NULL, 0);
	return r;
}

/* From when on its starts need not be told: after so many in which it did nothing else. */
static unsigned rest(struct duty *d)
{
	unsigned n = 0;

	while (!leaf(d))
		assert_true(++n < 1000);
	return n;
}

static void test_what_does_more_than_open_files_is_no_leaf(void **state)
{
	static const char *const needs[] = {"/a", "/b", NULL};
	struct duty *d = fresh();
	struct obs late = {.kind = OBS_EXIT, .ts_ns = 1, .pid = 5, .use.life_ns = 1000000000};
	unsigned quarantine;

	(void)state;
	assert_false(leaf(d)); /* it is not known */
	for (uint32_t i = 0; i < 2 * limits.calm_n; i++)
		start(d, needs, 0);
	assert_true(leaf(d));

	tell(d, OBS_EXEC, 5, "/bin/x", OBS_F_QUIET);
	assert_int_equal(duty_observe(d,
				      &(struct obs){.kind = OBS_EXEC,
						    .ts_ns = ++clock_ns,
						    .pid = 6,
						    .ppid = 5,
						    .count = 1,
						    .name = "/bin/child",
						    .file = {.ino = 8, .dev = 1}},
				      &key, &row),
			 0);
	tell(d, OBS_EXIT, 5, NULL, 0);
	quarantine = rest(d);
	assert_true(quarantine > 16);

	tell(d, OBS_EXEC, 5, "/bin/x", OBS_F_QUIET);
	tell(d, OBS_CONNECT, 5, "/a", 0);
	tell(d, OBS_EXIT, 5, NULL, 0);
	assert_int_equal(rest(d), quarantine);

	tell(d, OBS_EXEC, 5, "/bin/x", OBS_F_QUIET); /* it lives long */
	assert_int_equal(duty_observe(d, &late, &key, &row), 0);
	assert_int_equal(rest(d), quarantine);

	tell(d, OBS_EXEC, 5, "/bin/x", OBS_F_QUIET | OBS_F_COUNTED);
	tell(d, OBS_EXIT, 5, NULL, 0);
	assert_int_equal(rest(d), quarantine);

	tell(d, OBS_EXEC, 5, "/bin/x", OBS_F_QUIET);
	tell(d, OBS_EXEC, 5, "/bin/x", OBS_F_QUIET); /* in its place */
	tell(d, OBS_EXIT, 5, NULL, 0);
	assert_false(leaf(d));
	duty_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calm_starts_make_a_block_known),
		cmocka_unit_test(test_a_new_need_ends_it),
		cmocka_unit_test(test_quiet_starts_prove_nothing),
		cmocka_unit_test(test_temporary_files_are_no_news),
		cmocka_unit_test(test_temporary_files_of_unseen_writers_are_no_news),
		cmocka_unit_test(test_a_block_of_many_needs_becomes_known),
		cmocka_unit_test(test_others_are_not_taken_for_it),
		cmocka_unit_test(test_what_does_more_than_open_files_is_no_leaf),
		cmocka_unit_test(test_it_settles_when_nothing_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
