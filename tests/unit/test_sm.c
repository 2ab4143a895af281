// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_sm.c - moves are the table's, and the sandbox's table is the one in DESIGN. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/sm.h"
#include "sys/sandbox_impl.h"

#include <string.h>

static unsigned checked_n;

static bool count_check(const void *owner, uint32_t state)
{
	checked_n++;
	return owner != NULL || state != 2;
}

static const struct sm_state door[] = {
	{"shut", SM_TO(1)}, {"ajar", SM_TO(0) | SM_TO(2)}, {"open", 0}};
static const struct sm_def door_def = {"door", door, 3, count_check};

static void test_sm_moves_only_where_the_table_says(void **state)
{
	struct sm sm;

	(void)state;
	sm_init(&sm, &door_def, 0);
	assert_true(sm_may(&sm, 1));
	assert_false(sm_may(&sm, 0));
	assert_false(sm_may(&sm, 2));
	assert_false(sm_may(&sm, 3));
	assert_false(sm_may(&sm, 77));
	checked_n = 0;
	sm_move(&sm, &sm, 1);
	sm_move(&sm, &sm, 0);
	sm_move(&sm, &sm, 1);
	sm_move(&sm, &sm, 2);
	assert_int_equal(checked_n, 4);
	assert_int_equal(sm.moves_n, 4);
}

static void test_sm_def_sound_finds_what_cannot_be_reached(void **state)
{
	static const struct sm_state island[] = {{"a", SM_TO(1)}, {"b", 0}, {"c", SM_TO(1)}};
	static const struct sm_state trap[] = {{"a", SM_TO(1) | SM_TO(2)}, {"b", 0}, {"c", 0}};
	static const struct sm_state nameless[] = {{"a", SM_TO(1)}, {NULL, 0}};
	const struct sm_def bad[] = {{"island", island, 3, NULL},
				     {"trap", trap, 3, NULL},
				     {"nameless", nameless, 2, NULL}};

	(void)state;
	assert_true(sm_def_sound(&door_def));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(sm_def_sound(&bad[i]));
}

static void test_sm_sandbox_table_is_the_designed_one(void **state)
{
	static const struct {
		uint32_t from, to;
	} allowed[] = {
		{SANDBOX_EMPTY, SANDBOX_FILLING},    {SANDBOX_EMPTY, SANDBOX_READY}, /* adopted */
		{SANDBOX_EMPTY, SANDBOX_FROZEN},     {SANDBOX_EMPTY, SANDBOX_STARTING},
		{SANDBOX_FILLING, SANDBOX_PARKED},   {SANDBOX_FILLING, SANDBOX_RELEASING},
		{SANDBOX_PARKED, SANDBOX_STARTING},  {SANDBOX_PARKED, SANDBOX_RELEASING},
		{SANDBOX_STARTING, SANDBOX_READY},   {SANDBOX_STARTING, SANDBOX_RELEASING},
		{SANDBOX_READY, SANDBOX_FROZEN},     {SANDBOX_READY, SANDBOX_ACTIVE},
		{SANDBOX_READY, SANDBOX_RELEASING},  {SANDBOX_ACTIVE, SANDBOX_FROZEN},
		{SANDBOX_ACTIVE, SANDBOX_RELEASING}, {SANDBOX_FROZEN, SANDBOX_ACTIVE},
		{SANDBOX_FROZEN, SANDBOX_RELEASING}, {SANDBOX_RELEASING, SANDBOX_EMPTY},
	};
	uint32_t want[SANDBOX_STATE_MAX] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		want[allowed[i].from] |= SM_TO(allowed[i].to);
	assert_int_equal(sandbox_sm.state_n, SANDBOX_STATE_MAX);
	assert_true(sm_def_sound(&sandbox_sm));
	for (uint32_t s = 0; s < SANDBOX_STATE_MAX; s++)
		assert_int_equal(sandbox_sm.states[s].next_mask, want[s]);
}

static void test_sm_sandbox_invariant_catches_a_leaked_descriptor(void **state)
{
	struct sandbox sb = {.ctl = -1, .init_pidfd = -1, .command_pidfd = -1};

	(void)state;
	assert_true(sandbox_sm.invariant(&sb, SANDBOX_EMPTY));
	assert_false(sandbox_sm.invariant(&sb, SANDBOX_PARKED));
	sb.ctl = 7;
	assert_false(sandbox_sm.invariant(&sb, SANDBOX_EMPTY));
	sb.init_pidfd = 8;
	assert_true(sandbox_sm.invariant(&sb, SANDBOX_PARKED));
	assert_true(sandbox_sm.invariant(&sb, SANDBOX_FROZEN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sm_moves_only_where_the_table_says),
		cmocka_unit_test(test_sm_def_sound_finds_what_cannot_be_reached),
		cmocka_unit_test(test_sm_sandbox_table_is_the_designed_one),
		cmocka_unit_test(test_sm_sandbox_invariant_catches_a_leaked_descriptor),
	};

	return cmocka_run_group_tests_name("sm", tests, NULL, NULL);
}
