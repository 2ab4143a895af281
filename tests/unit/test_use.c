/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From pids and inodes to blocks and files, however these come and go. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/use.h"

#include <stdlib.h>

DEFINE_CLEANUP(struct use *, use_free)

static struct use *fresh(void)
{
	const struct ranges_limits limits = {.set_max = 64, .cell_max = 1024};
	struct use *u = NULL;

	assert_int_equal(use_new(&limits, 100, &u), 0);
	return u;
}

static const struct ranges_use one = {.cell = 3, .units = 0xff, .first_us = 10};

static void test_use_names_the_block_and_its_program(void **state)
{
	_cleanup_(use_freep) struct use *u = fresh();
	struct file_range part;
	size_t n;

	(void)state;
	use_exec(u, 4711, 1000, 5, 6);
	use_file(u, 9, 0xfe00, 77);
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 77, &one, 1), 0);
	assert_int_equal(use_bytes(u, 5, 6, 9), 32768);
	assert_int_equal(use_bytes(u, 8, 6, 9), 32768); /* another invocation of that program */
	assert_int_equal(use_bytes(u, 8, 7, 9), 0);
	assert_int_equal(use_plan(u, 8, 6, 9, 0.5, &part, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(part.off, 3 * RANGES_CELL);
	assert_int_equal(use_plan(u, 8, 7, 9, 0.5, &part, 1, &n), USE_UNKNOWN);
}

static void test_use_takes_no_one_for_another(void **state)
{
	_cleanup_(use_freep) struct use *u = fresh();

	(void)state;
	use_exec(u, 4711, 1000, 5, 5);
	use_file(u, 9, 0xfe00, 77);
	assert_int_equal(use_learn(u, 4711, 1001, 0xfe00, 77, &one, 1),
			 USE_UNKNOWN); /* pid reused */
	assert_int_equal(use_learn(u, 4712, 1000, 0xfe00, 77, &one, 1), USE_UNKNOWN);
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe01, 77, &one, 1), USE_UNKNOWN);
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 78, &one, 1), USE_UNKNOWN);
	use_file(u, 9, 0, 0); /* not told this time: it is the one it was */
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 77, &one, 1), 0);
	use_file(u, 9, 0xfe00, 78); /* replaced by a new version */
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 77, &one, 1), USE_UNKNOWN);
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 78, &one, 1), 0);
	use_file(u, 10, 0xfe00, 78); /* a hard link: the later name counts */
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 78, &one, 1), 0);
	assert_int_equal(use_bytes(u, 5, 0, 10), 32768);
	use_node_gone(u, 10);
	use_node_gone(u, 10);
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 78, &one, 1), USE_UNKNOWN);
}

/* A graph uses its ids again: the ranges of one file must not become another's. */
static void test_use_forgets_with_the_node(void **state)
{
	const struct ranges_limits limits = {.set_max = 16, .cell_max = 64};
	_cleanup_(use_freep) struct use *u = NULL;

	(void)state;
	assert_int_equal(use_new(&limits, 100, &u), 0);
	use_exec(u, 4711, 1000, 7, 7);
	use_file(u, 10, 0xfe00, 77);
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 77, &one, 1), 0);
	assert_int_equal(use_bytes(u, 7, 0, 10), 8 * 4096);
	use_file(u, 10, 0xfe00, 78); /* replaced by another version: most likely used alike */
	assert_int_equal(use_bytes(u, 7, 0, 10), 8 * 4096);
	use_node_gone(u, 10);
	assert_int_equal(use_bytes(u, 7, 0, 10), 0);
}

/* What one block needs besides what another one does: no byte twice. */
static void test_use_adds_what_is_not_there(void **state)
{
	_cleanup_(use_freep) struct use *u = fresh();
	const struct ranges_use wide = {.cell = 3, .units = 0xfff0, .first_us = 10};
	struct file_range parts[8] = {{0, 4096},
				      {3 * RANGES_CELL + 6 * RANGES_UNIT, RANGES_UNIT},
				      {3 * RANGES_CELL + 15 * RANGES_UNIT, 2 * RANGES_UNIT}};
	size_t n = 3;

	(void)state;
	use_exec(u, 4711, 1000, 5, 5);
	use_file(u, 9, 0xfe00, 77);
	assert_int_equal(use_plan_also(u, 5, 0, 9, 0.5, parts, 8, &n), 0); /* nothing is known */
	assert_int_equal(n, 3);
	assert_int_equal(use_learn(u, 4711, 1000, 0xfe00, 77, &wide, 1), 0);
	assert_int_equal(use_plan_also(u, 5, 0, 9, 0.5, parts, 8, &n), 10 * RANGES_UNIT);
	assert_int_equal(n, 5);
	assert_int_equal(parts[3].off, 3 * RANGES_CELL + 4 * RANGES_UNIT);
	assert_int_equal(parts[3].len, 2 * RANGES_UNIT);
	assert_int_equal(parts[4].off, 3 * RANGES_CELL + 7 * RANGES_UNIT);
	assert_int_equal(parts[4].len, 8 * RANGES_UNIT);
	assert_int_equal(use_plan_also(u, 5, 0, 9, 0.5, parts, 8, &n), 0); /* all is there now */
	n = 3;
	assert_int_equal(use_plan_also(u, 5, 0, 9, 0.5, parts, 4, &n), 2 * RANGES_UNIT); /* room */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_use_names_the_block_and_its_program),
		cmocka_unit_test(test_use_takes_no_one_for_another),
		cmocka_unit_test(test_use_forgets_with_the_node),
		cmocka_unit_test(test_use_adds_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
