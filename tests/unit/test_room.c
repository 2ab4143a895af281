// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_room.c - under pressure no sandbox is made ahead, and what is idle goes. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/room.h"

static void test_room_level_and_refill(void **state)
{
	static const struct {
		const char *name;
		struct pressure p;
		double level;
		bool waits;
	} cases[] = {
		{"calm", {80, 100, 0, 0, 0}, 0, false},
		{"unknown", {0, 0, -1, -1, -1}, 0, false},
		{"an eighth is free", {125, 1000, 0, 0, 0}, 0.5, true},
		{"nearly a fifth is free", {18, 100, 0, 0, 0}, 2 / 15.0, false},
		{"nothing is free", {0, 100, 0, 0, 0}, 1, true},
		{"tasks wait for memory", {80, 100, 10, 0, 0}, 0.5, true},
		{"and for nothing else", {80, 100, 100, 0, 0}, 1, true},
		{"a little", {80, 100, 4, 0, 0}, 0.2, false},
		{"the disk is busy", {80, 100, 0, 90, 0}, 0, false},
		{"the processors are", {80, 100, 0, 0, 61}, 0, true},
		{"half of the time", {80, 100, 0, 0, 50}, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double d = room_level(&cases[i].p) - cases[i].level;

		if (!(d < 1e-9 && d > -1e-9) || room_refill_waits(&cases[i].p) != cases[i].waits)
			fail_msg("%s: level %g", cases[i].name, room_level(&cases[i].p));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_level_and_refill),
	};

	return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
