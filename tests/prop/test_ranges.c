/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Merged page ranges against a naive reference, and against the claims of their header. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

DEFINE_CLEANUP(struct ranges *, ranges_free)

static uint64_t seed = 20250131;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static struct ranges *fresh(uint32_t sets, uint32_t cells)
{
	const struct ranges_limits limits = {sets, cells};
	struct ranges *r = NULL;

	assert_int_equal(ranges_new(&limits, &r), 0);
	return r;
}

enum { UNITS = 4096, RUNS = 12 };

/* Every unit used in a share of runs >= p_min is in the plan; no unit never used is, but for short
 * gaps; parts do not overlap and are in order of first use. */
static void test_ranges_plan_covers_what_runs_used(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		_cleanup_(ranges_freep) struct ranges *r = fresh(4, 4096);
		static uint8_t cell_runs[UNITS / 16], ever[UNITS], planned[UNITS];
		static struct file_range parts[UNITS];
		size_t n = 0;
		double p_min = 0.25 + rnd(3) * 0.25;

		memset(cell_runs, 0, sizeof(cell_runs));
		memset(ever, 0, sizeof(ever));
		memset(planned, 0, sizeof(planned));
		for (int run = 0; run < RUNS; run++) {
			struct ranges_use uses[300];
			size_t uses_n = 1 + rnd(299);
			uint8_t seen[UNITS / 16] = {0};

			for (size_t i = 0; i < uses_n; i++) {
				uint32_t cell = rnd(UNITS / 16) / (1 + rnd(4));

				uses[i] = (struct ranges_use){cell, (uint16_t)(1 + rnd(65535)),
							      cell * 10 + 5};
				seen[cell] = 1;
				for (uint32_t u = 0; u < 16; u++)
					if (uses[i].units >> u & 1)
						ever[cell * 16 + u] = 1;
			}
			for (size_t c = 0; c < UNITS / 16; c++)
				cell_runs[c] = (uint8_t)(cell_runs[c] + seen[c]);
			assert_int_equal(ranges_learn(r, 1, 2, (uint64_t)run + 1, uses, uses_n), 0);
		}
		assert_int_equal(ranges_plan(r, 1, 2, p_min, UINT64_MAX, parts, UNITS, &n, NULL),
				 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(parts[i].off % RANGES_UNIT, 0);
			assert_in_range(parts[i].len, 1, 1 << 20);
			for (uint64_t o = 0; o < parts[i].len; o += RANGES_UNIT)
				assert_int_equal(planned[(parts[i].off + o) / RANGES_UNIT]++, 0);
		}
		for (size_t u = 0; u < UNITS; u++) {
			double share = (double)cell_runs[u / 16] / RUNS;

			if (ever[u] && share > p_min + 0.02)
				assert_true(planned[u]);
			/* Never used, so in a gap of at most 4 units between two that were. */
			for (size_t d = 1; !ever[u] && planned[u] && d <= 5; d++) {
				assert_in_range(d, 1, 4);
				if (ever[u - d])
					break;
			}
		}
	}
}

static void test_ranges_are_in_order_of_first_use(void **state)
{
	_cleanup_(ranges_freep) struct ranges *r = fresh(4, 64);
	const struct ranges_use uses[] = {{0, 0xffff, 300}, {40, 1, 100}, {80, 3, 200}};
	struct file_range parts[4];
	uint32_t first;
	size_t n;

	(void)state;
	assert_int_equal(ranges_learn(r, 1, 2, 1, uses, 3), 0);
	assert_int_equal(ranges_plan(r, 1, 2, 0.5, UINT64_MAX, parts, 4, &n, &first), 0);
	assert_int_equal(n, 3);
	assert_int_equal(first, 100);
	assert_int_equal(parts[0].off, 40 * RANGES_CELL);
	assert_int_equal(parts[1].off, 80 * RANGES_CELL);
	assert_int_equal(parts[1].len, 8192);
	assert_int_equal(parts[2].off, 0);
	assert_int_equal(ranges_plan(r, 1, 2, 0.5, 6000, parts, 4, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(parts[1].len, 6000 - 4096);
	assert_int_equal(ranges_plan(r, 1, 2, 0.5, UINT64_MAX, parts, 1, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ranges_plan(r, 9, 2, 0.5, UINT64_MAX, parts, 1, &n, NULL), RANGES_UNKNOWN);
}

static void test_ranges_forget_a_habit_that_ended(void **state)
{
	_cleanup_(ranges_freep) struct ranges *r = fresh(4, 64);
	const struct ranges_use before = {3, 0xffff, 1}, after = {9, 0xffff, 1};
	struct file_range part;
	struct ranges_stats st;
	uint64_t run = 0;
	size_t n;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(ranges_learn(r, 1, 2, ++run, &before, 1), 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(ranges_learn(r, 1, 2, ++run, &after, 1), 0);
	assert_int_equal(ranges_plan(r, 1, 2, 0.5, UINT64_MAX, &part, 1, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(part.off, 9 * RANGES_CELL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ranges_learn(r, 1, 2, ++run, &after, 1), 0);
	ranges_stats(r, &st);
	assert_int_equal(st.cells_n, 1);
}

/* A run in two parts is the same as a run at once. */
static void test_ranges_learn_a_run_in_parts(void **state)
{
	_cleanup_(ranges_freep) struct ranges *whole = fresh(4, 4096), *parts = fresh(4, 4096);
	struct file_range a[400], b[400];
	size_t a_n, b_n;

	(void)state;
	for (uint64_t run = 1; run < 40; run++) {
		struct ranges_use uses[60];
		size_t cut = 1 + rnd(58);

		for (size_t i = 0; i < 60; i++)
			uses[i] = (struct ranges_use){rnd(100) * (1 + rnd(2)), 0xffff, 7};
		assert_int_equal(ranges_learn(whole, 1, 2, run, uses, 60), 0);
		assert_int_equal(ranges_learn(parts, 1, 2, run, uses, cut), 0);
		assert_int_equal(ranges_learn(parts, 1, 2, run, uses + cut, 60 - cut), 0);
		for (double p = 0.1; p < 1; p += 0.2) {
			assert_int_equal(
				ranges_plan(whole, 1, 2, p, UINT64_MAX, a, 400, &a_n, NULL), 0);
			/* Rounding loses a few millionths a run. */
			assert_int_equal(
				ranges_plan(parts, 1, 2, p - 0.001, UINT64_MAX, b, 400, &b_n, NULL),
				0);
			assert_true(b_n > 0 || a_n == 0);
			for (size_t i = 0, k = 0; i < a_n; i++) {
				for (k = 0; k < b_n; k++)
					if (b[k].off <= a[i].off &&
					    b[k].off + b[k].len >= a[i].off + a[i].len)
						break;
				assert_true(k < b_n);
			}
		}
	}
	assert_true(ranges_bytes(whole, 1, 2) > 0);
	assert_int_equal(ranges_bytes(whole, 1, 3), 0);
}

/* Any sequence of calls keeps within the bounds, and the books balance. */
static void test_ranges_are_bounded(void **state)
{
	_cleanup_(ranges_freep) struct ranges *r = fresh(16, 200);
	static uint8_t buf[RANGES_PACK_MAX];
	struct ranges_stats st;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct ranges_use uses[64];
		uint32_t n = 1 + rnd(64), sets = 0, cells = 0;

		for (uint32_t k = 0; k < n; k++)
			uses[k] =
				(struct ranges_use){rnd(1000), (uint16_t)(1 + rnd(65535)), rnd(9)};
		if (rnd(10) == 0)
			ranges_forget_id(r, 1 + rnd(6));
		else
			assert_int_equal(ranges_learn(r, 1 + rnd(6), 1 + rnd(6), rnd(3), uses, n),
					 0);
		ranges_stats(r, &st);
		if (i % 16)
			continue;
		for (uint32_t k = 0; k < 36; k++) {
			size_t len;

			if (ranges_pack(r, 1 + k / 6, 1 + k % 6, buf, sizeof(buf), &len) != 0)
				continue;
			sets++;
			cells += (uint32_t)(len - RANGES_PACK_HEAD) / RANGES_PACK_CELL;
		}
		assert_int_equal(sets, st.sets_n);
		assert_int_equal(cells, st.cells_n);
		assert_in_range(sets, 0, 16);
		assert_in_range(cells, 0, 200);
	}
	assert_true(st.sets_evicted > 0);
}

static void test_ranges_survive_being_packed(void **state)
{
	_cleanup_(ranges_freep) struct ranges *a = fresh(4, 1024), *b = fresh(4, 1024);
	static uint8_t buf[RANGES_PACK_MAX], again[RANGES_PACK_MAX];
	struct ranges_use uses[200];
	size_t len = 0, len2 = 0;

	(void)state;
	for (int run = 0; run < 5; run++) {
		for (size_t i = 0; i < 200; i++)
			uses[i] = (struct ranges_use){rnd(500), (uint16_t)(1 + rnd(65535)),
						      rnd(1000)};
		assert_int_equal(ranges_learn(a, 1, 2, (uint64_t)run + 1, uses, 200), 0);
	}
	assert_int_equal(ranges_pack(a, 1, 2, buf, 10, &len), -ENOSPC);
	assert_int_equal(ranges_pack(a, 1, 3, buf, sizeof(buf), &len), RANGES_UNKNOWN);
	assert_int_equal(ranges_pack(a, 1, 2, buf, sizeof(buf), &len), 0);
	assert_int_equal(ranges_unpack(b, 7, 8, buf, len), 0);
	assert_int_equal(ranges_pack(b, 7, 8, again, sizeof(again), &len2), 0);
	assert_int_equal(len, len2);
	assert_memory_equal(buf, again, len);
	/* Not a set: cut, of another version, cells out of order, noise. */
	for (size_t cut = 0; cut < len; cut += 7)
		assert_int_equal(ranges_unpack(b, 7, 8, buf, cut), -EBADMSG);
	for (int i = 0; i < 2000; i++) {
		memcpy(again, buf, len);
		for (uint32_t k = 0; k <= rnd(8); k++)
			again[rnd((uint32_t)len)] = (uint8_t)rnd(256);
		(void)ranges_unpack(b, 7, 8, again, len);
		assert_int_equal(ranges_learn(b, 7, 8, rnd(3), uses, 200), 0);
	}
}

static void test_ranges_tell_what_changed(void **state)
{
	_cleanup_(ranges_freep) struct ranges *r = fresh(4, 1024);
	const struct ranges_use use = {3, 1, 10};
	uint32_t block, file;
	uint8_t buf[64];
	size_t len = 0;
	int n = 0;

	(void)state;
	assert_false(ranges_next_change(r, &block, &file));
	for (uint32_t i = 1; i <= 3; i++)
		for (uint64_t run = 1; run <= 2; run++)
			assert_int_equal(ranges_learn(r, i, 10 + i, run, &use, 1), 0);
	ranges_forget_id(r, 12); /* with block 2 */
	while (ranges_next_change(r, &block, &file)) {
		assert_int_equal(file, 10 + block);
		assert_int_not_equal(block, 2);
		n++;
	}
	assert_int_equal(n, 2);
	ranges_changed(r, 3, 13);
	assert_true(ranges_next_change(r, &block, &file));
	assert_int_equal(block, 3);
	/* What comes from the store need not go back there. */
	assert_int_equal(ranges_pack(r, 1, 11, buf, sizeof(buf), &len), 0);
	assert_int_equal(ranges_unpack(r, 1, 12, buf, len), 0);
	assert_false(ranges_next_change(r, &block, &file));
	/* Sets that are pushed out take their mark along. */
	for (uint32_t i = 1; i <= 40; i++)
		assert_int_equal(ranges_learn(r, i, 100, 1, &use, 1), 0);
	for (n = 0; ranges_next_change(r, &block, &file); n++)
		;
	assert_int_equal(n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_plan_covers_what_runs_used),
		cmocka_unit_test(test_ranges_are_in_order_of_first_use),
		cmocka_unit_test(test_ranges_forget_a_habit_that_ended),
		cmocka_unit_test(test_ranges_learn_a_run_in_parts),
		cmocka_unit_test(test_ranges_are_bounded),
		cmocka_unit_test(test_ranges_survive_being_packed),
		cmocka_unit_test(test_ranges_tell_what_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
