// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What wrong guesses may cost, and that they end: ten scripts, each of which runs a tool of its own with a dozen
 * files. All that is asked for is read at once; nothing of it was in memory.
 */
#include "support/support.h"

#include "support/actions.h"

#include <stdio.h>

#define S 1000000000ull
#define MIB (1ull << 20)

enum { SCRIPTS = 10, FILES = 12, TOOLS = 40 };
#define TOOL_BYTES (FILES * MIB) /* host_open() has files of 1 MiB */

static void run_tool(struct host *h, uint32_t parent, int tool)
{
	char path[64];
	uint32_t pid;

	snprintf(path, sizeof(path), "/bin/tool%d", tool);
	pid = host_spawn(h, parent, path, NULL);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "/lib/tool%d/%d.so", tool, i);
		host_open(h, pid, path, 0);
	}
	host_exit(h, pid);
}

static uint32_t random_state; /* the same in each test */

static uint32_t chance(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 16) % n;
}

/* Carries out what is asked for; what was read since the script began is in memory. Returns the bytes read. */
static uint64_t carry_out(struct host *h, bool in_memory[TOOLS][FILES])
{
	static struct action_list l;
	uint64_t bytes = 0;
	int tool, file;

	actions_take(h, &l);
	for (size_t i = 0; i < l.n; i++) {
		const struct action *a = &l.actions[i];
		bool *there = sscanf(l.names[i], "/lib/tool%d/%d.so", &tool, &file) == 2
				      ? &in_memory[tool][file]
				      : NULL;
		uint64_t read = there && !*there ? a->bytes : 0;

		if (!a->name[0])
			continue;
		if (there)
			*there = true;
		bytes += read;
		assert_int_equal(
			engine_result(h->engine,
				      &(struct action_result){.guess_id = a->guess_id,
							      .resident = !read,
							      .bytes_read = read,
							      .now = a->priority == WANT_NOW,
							      .bytes_planned = a->bytes,
							      .done_ns = h->now_ns,
							      .took_ns = 1000000}),
			0);
	}
	return bytes;
}

/* Runs a script, which runs tool; tool < 0: something else, without a file. Returns what was read for it ahead. */
static uint64_t run_script(struct host *h, int script, int tool)
{
	bool in_memory[TOOLS][FILES] = {0};
	char name[64];
	uint64_t bytes;
	uint32_t pid;

	snprintf(name, sizeof(name), "/srv/job%d.sh", script);
	pid = host_spawn(h, 1, "/bin/dash", name);
	bytes = carry_out(h, in_memory);
	host_pass(h, S / 20);
	if (tool >= 0)
		run_tool(h, pid, tool);
	else
		host_exit(h, host_spawn(h, pid, "/bin/else", NULL));
	host_exit(h, pid);
	(void)carry_out(h, in_memory);
	host_rest(h, 2 * S);
	return bytes;
}

/* All scripts, of which the first wrong_n run something else; what was read for those, and for the others. */
static void run_all(struct host *h, int wrong_n, uint64_t *ret_vain, uint64_t *ret_good)
{
	int order[SCRIPTS];

	*ret_vain = *ret_good = 0;
	for (int i = 0; i < SCRIPTS; i++)
		order[i] = i;
	for (int i = 0; i < SCRIPTS; i++) { /* in no order that could be learnt */
		int at = i + (int)chance((uint32_t)(SCRIPTS - i)), script = order[at];

		order[at] = order[i];
		*(script < wrong_n ? ret_vain : ret_good) +=
			run_script(h, script, script < wrong_n ? -1 : script);
	}
}

static void learn(struct host *h)
{
	struct engine_limits limits = host_limits();
	uint64_t vain, good;

	host_init(h, &limits);
	for (int i = 0; i < 12; i++)
		run_all(h, 0, &vain, &good);
	assert_true(good >= SCRIPTS * TOOL_BYTES);
}

/* All was right for long, and all is wrong at once: what is lost is that of two or three of the ten; it ends
 * by itself, and begins again when it is right again. */
static void test_wrong_after_long_right(void **state)
{
	uint64_t vain, good, sum = 0;
	struct host h;
	int i;

	(void)state;
	random_state = 1;
	learn(&h);
	for (i = 0; i < 20; i++) {
		run_all(&h, SCRIPTS, &vain, &good);
		sum += vain;
		if (i >= 3)
			assert_int_equal(vain, 0);
	}
	assert_true(sum > 0);
	assert_true(sum <= 3 * TOOL_BYTES);
	for (i = 0; i < 20; i++) {
		run_all(&h, 0, &vain, &good);
		if (good >= SCRIPTS * TOOL_BYTES)
			break;
	}
	assert_in_range(i, 1, 10);
	host_fini(&h);
}

/* What was never right: each time another tool. */
static void test_wrong_from_the_beginning(void **state)
{
	struct engine_limits limits = host_limits();
	uint64_t sum = 0, late = 0;
	struct host h;

	(void)state;
	random_state = 1;
	host_init(&h, &limits);
	for (int i = 0; i < 400; i++) {
		uint64_t bytes;

		bytes = run_script(&h, (int)chance(SCRIPTS), (int)chance(TOOLS));
		sum += bytes;
		late += i >= 200 ? bytes : 0;
	}
	assert_true(sum <= 3 * TOOL_BYTES);
	assert_true(late <= TOOL_BYTES);
	host_fini(&h);
}

/* Three of ten turn wrong: they end, and hardly anything is taken from the seven others. */
static void test_wrong_beside_right(void **state)
{
	uint64_t vain, good, vain_sum = 0, good_sum = 0;
	struct host h;

	(void)state;
	random_state = 1;
	learn(&h);
	for (int i = 0; i < 20; i++) {
		run_all(&h, 3, &vain, &good);
		vain_sum += vain;
		good_sum += good;
		if (i >= 3) {
			assert_int_equal(vain, 0);
			assert_true(good >= 7 * TOOL_BYTES);
		}
	}
	assert_true(vain_sum <= 5 * TOOL_BYTES);
	assert_true(good_sum >= 20 * 7 * TOOL_BYTES * 9 / 10);
	host_fini(&h);
}

/* One more script runs one of three tools, the first of them a little more often: what is read for it in vain
 * as often as not is no reason to read less for those that are right each time. */
static int unsure(void)
{
	uint32_t n = chance(16);

	return SCRIPTS + (n < 7 ? 0 : n < 12 ? 1 : 2);
}

static void test_wrong_unsure_beside_right(void **state)
{
	uint64_t unsure_sum = 0, good_sum = 0;
	struct host h;

	(void)state;
	random_state = 1;
	learn(&h);
	for (int i = 0; i < 40; i++)
		(void)run_script(&h, SCRIPTS, unsure());
	for (int i = 0; i < 40; i++) {
		for (int k = 0; k < 4; k++)
			unsure_sum += run_script(&h, SCRIPTS, unsure());
		good_sum += run_script(&h, i % SCRIPTS, i % SCRIPTS);
	}
	assert_true(unsure_sum >= 40 * TOOL_BYTES);
	assert_true(good_sum >= 40 * TOOL_BYTES * 95 / 100);
	host_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_after_long_right),
		cmocka_unit_test(test_wrong_from_the_beginning),
		cmocka_unit_test(test_wrong_beside_right),
		cmocka_unit_test(test_wrong_unsure_beside_right),
	};

	return cmocka_run_group_tests_name("wrong", tests, NULL, NULL);
}
