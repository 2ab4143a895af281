// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Services that share a host: who has room, who waits, and who gives way. */
#include "support/svc_bed.h"

/* Two places, three services: whoever waits gets the place of the least valuable idle one. */
static void test_svc_full_host_evicts_the_least_valuable(void **state)
{
	struct svc_config often = config, rare = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	struct svc_habit habit;
	uint64_t t = 10 * SEC;
	uint32_t id;

	(void)state;
	often.release_after_ns = rare.release_after_ns = SVC_NEVER;
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &often, NULL, &id), 0);
	svc_habit(s, id, &habit);
	for (int i = 0; i < 20; i++)
		gaps_add(&habit.idle, 3 * SEC);
	s = svc_free(s);
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &often, &habit, &id), 0);
	for (int i = 0; i < 40; i++)
		gaps_add(&habit.idle, 300 * SEC);
	assert_int_equal(svc_add(s, t, &rare, &habit, &id), 0);
	assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
	svc_adopt(s, 0, t, SVC_FROZEN);
	svc_adopt(s, 1, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch2=0 release1 watch1=0 ");
	assert_int_equal(view_of(s, 1, t).why, SVC_WHY_ROOM);
	assert_true(view_of(s, 2, t).queued);
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start2 watch1=2 ");
}

static void test_svc_queue_is_fair_by_weight(void **state)
{
	struct svc_limits one = limits;
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id, started[2] = {0};

	(void)state;
	one.run_max = one.start_max = 1;
	assert_int_equal(svc_new(&one, &s), 0);
	c.weight = 300;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	c.weight = 100;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	for (int i = 0; i < 400; i++) {
		struct svc_action a;
		uint32_t who = 2;

		/* Both always have someone waiting; each instance serves one and ends. */
		send(s, 0, t, .kind = SVC_EV_CONNECTION);
		send(s, 1, t, .kind = SVC_EV_CONNECTION);
		while (svc_next(s, &a))
			if (a.kind == SVC_DO_START)
				who = a.id;
		assert_in_range(who, 0, 1);
		started[who]++;
		send(s, who, t += MS, .kind = SVC_EV_READY);
		send(s, who, t += MS, .kind = SVC_EV_EXITED, .clean = true);
		(void)todo(s);
		send(s, who, t, .kind = SVC_EV_CONNECTION);
		send(s, who, t += MS, .kind = SVC_EV_GONE);
	}
	assert_in_range(started[0], 295, 305);
}

/* service_n of the usual kind, all cold. */
static struct svc *svc_of(uint64_t t, int service_n, uint32_t run_max, uint32_t start_max)
{
	struct svc_limits l = limits;
	struct svc *s;
	uint32_t id;

	l.run_max = run_max;
	l.start_max = start_max;
	assert_int_equal(svc_new(&l, &s), 0);
	for (int i = 0; i < service_n; i++)
		assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
	(void)todo(s);
	return s;
}

/* One start at a time: the others wait for their turn, first come first. */
static void test_svc_starts_beyond_the_limit_are_queued(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 3, 4, 1);

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		send(s, i, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "start0 watch2=0 watch0=0 watch1=0 ");
	assert_true(view_of(s, 1, t).queued && view_of(s, 2, t).queued);
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	assert_non_null(strstr(todo(s), "start1 "));
	send(s, 1, t += MS, .kind = SVC_EV_EXITED); /* that one fails: the next all the same */
	assert_non_null(strstr(todo(s), "start2 "));
}

/* However much is guessed, who connects finds a place to start in, and his turn before that of guesses. */
static void test_svc_guesses_keep_nobody_waiting(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 4, 4, 3);

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		send(s, i, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	send(s, 3, t += MS, .kind = SVC_EV_CONNECTION);
	assert_int_equal(view_of(s, 2, t).state, SVC_COLD);
	assert_string_equal(todo(s), "start3 watch3=0 start0 start1 ");
	send(s, 3, t += MS, .kind = SVC_EV_READY);
	assert_null(strstr(todo(s), "start"));
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	assert_non_null(strstr(todo(s), "start2 "));
}

/* A start for a mere guess holds no place that somebody waits for; what it might have accepted is looked
 * at first, and the least valuable gives way. */
static void test_svc_guessed_start_gives_way_to_a_connection(void **state)
{
	struct svc_limits l = limits;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;

	(void)state;
	l.start_max = 4;
	assert_int_equal(svc_new(&l, &s), 0);
	for (uint32_t i = 0, id; i < 4; i++) {
		struct svc_config c = config;

		c.memory_bytes = i == 1 ? 64 << 20 : 16 << 20;
		assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	}
	(void)todo(s);
	for (uint32_t i = 0; i < 2; i++)
		send(s, i, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	assert_string_equal(todo(s), "start0 start1 ");
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "release1 watch1=0 watch2=0 ");
	assert_int_equal(view_of(s, 1, t).why, SVC_WHY_ROOM);
	assert_true(view_of(s, 2, t).queued);
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start2 watch1=2 ");
	assert_int_equal(view_of(s, 1, t).figures.guess_outcome_n[SVC_GUESS_WASTED], 1);
	assert_int_equal(view_of(s, 1, t).figures.evict_n, 1);
	/* Whom somebody waits for is not given up, though it was begun for a guess. */
	send(s, 0, t += MS, .kind = SVC_EV_CONNECTION);
	send(s, 3, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch3=0 watch0=0 ");
	assert_true(view_of(s, 3, t).queued);
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_PREDICTED], 1);
}

/* Kept: it starts on as before, and after a while, unless somebody came, it is asked again. */
static void test_svc_guessed_start_is_kept_for_its_own_connection(void **state)
{
	static const bool came[] = {true, false};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(came); i++) {
		uint64_t t = SEC;
		_cleanup_(svc_freep) struct svc *s = svc_of(t, 4, 1, 4);

		send(s, 0, t, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
		assert_string_equal(todo(s), "start0 ");
		send(s, 1, t += MS, .kind = SVC_EV_CONNECTION);
		assert_string_equal(todo(s), "release0 watch0=0 watch1=0 ");
		send(s, 0, t, .kind = SVC_EV_KEPT, .waiting = came[i]);
		assert_int_equal(view_of(s, 0, t).state, SVC_STARTING);
		assert_int_equal(view_of(s, 0, t).waiting, came[i]);
		assert_int_equal(view_of(s, 0, t).figures.evict_n, 0);
		assert_string_equal(todo(s), came[i] ? "" : "watch0=2 ");
		if (!came[i])
			assert_true(svc_deadline_ns(s) == t + 5 * MS);
		svc_run(s, t += 5 * MS, 0);
		assert_string_equal(todo(s), came[i] ? "" : "release0 watch0=0 ");
		if (!came[i])
			continue;
		/* Its time runs from when it was started. */
		send(s, 0, t = SEC + 40 * MS, .kind = SVC_EV_READY);
		assert_in_range(view_of(s, 0, t).cold_ns, 40 * MS, 40 * MS);
		assert_int_equal(view_of(s, 0, t).state, SVC_ACTIVE);
		assert_int_equal(view_of(s, 0, t).figures.class_n[SVC_CLASS_PREDICTED], 1);
	}
}

/* The same where there is room, but too much is starting: only a start gives way to a start. */
static void test_svc_guessed_start_gives_way_to_a_start(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 4, 4, 2);

	(void)state;
	svc_adopt(s, 3, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 0, t += MS, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
	send(s, 1, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "start1 start0 watch1=0 ");
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch2=0 release0 watch0=0 ");
	send(s, 0, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start2 watch0=2 ");
}

/* Each who waits has one make room for him at once; who takes too long is not waited for. */
static void test_svc_room_is_made_for_all_who_wait(void **state)
{
	struct svc_limits l = {
		.service_max = 6, .run_max = 3, .start_max = 4, .memory_max_bytes = 1ull << 30};
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	assert_int_equal(svc_new(&l, &s), 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
	for (uint32_t i = 0; i < 3; i++)
		svc_adopt(s, i, t, SVC_FROZEN);
	(void)todo(s);
	send(s, 3, t += MS, .kind = SVC_EV_CONNECTION);
	send(s, 4, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "release0 watch0=0 release1 watch1=0 watch3=0 watch4=0 ");
	assert_int_equal(view_of(s, 2, t).state, SVC_FROZEN);
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start3 watch1=2 ");
	svc_run(s, t += SVC_LEAVE_NS, 0);
	assert_string_equal(todo(s), "release2 watch2=0 ");
	send(s, 2, t += MS, .kind = SVC_EV_GONE);
	assert_string_equal(todo(s), "start4 watch2=2 ");
	assert_int_equal(view_of(s, 0, t).state, SVC_RELEASING);
}

/* All are busy: that one of them ends is seen soon, and not when it would have been looked at. */
static void test_svc_queue_looks_at_the_busy(void **state)
{
	uint64_t t = SEC;
	_cleanup_(svc_freep) struct svc *s = svc_of(t, 2, 1, 1);

	(void)state;
	send(s, 0, t, .kind = SVC_EV_CONNECTION);
	send(s, 0, t += MS, .kind = SVC_EV_READY);
	for (int i = 0; i < 12; i++) {
		svc_run(s, t += SEC, 0);
		send(s, 0, t, .kind = SVC_EV_CHECKED, .connection_n = 1);
	}
	(void)todo(s);
	assert_true(svc_deadline_ns(s) > t + 900 * MS);
	send(s, 1, t += MS, .kind = SVC_EV_CONNECTION);
	assert_true(svc_deadline_ns(s) <= t + 20 * MS);
	svc_run(s, t += 20 * MS, 0);
	assert_string_equal(todo(s), "check0 watch1=0 ");
	send(s, 0, t, .kind = SVC_EV_CHECKED, .connection_n = 1);
	assert_true(svc_deadline_ns(s) <= t + 20 * MS);
}

/* All of them frozen, all but one foretold: the one that somebody waits for is thawed the first, whichever. */
static void test_svc_thaws_whom_somebody_waits_for_first(void **state)
{
	struct svc_limits more = limits;

	(void)state;
	more.run_max = 4;
	for (uint32_t awaited = 0; awaited < 4; awaited++) {
		_cleanup_(svc_freep) struct svc *s = NULL;
		char first[16];
		uint64_t t = SEC;
		uint32_t id;

		assert_int_equal(svc_new(&more, &s), 0);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(svc_add(s, t, &config, NULL, &id), 0);
			svc_adopt(s, id, t, SVC_FROZEN);
		}
		(void)todo(s);
		for (uint32_t i = 0; i < 4; i++)
			if (i != awaited)
				send(s, i, t += MS, .kind = SVC_EV_GUESS, .p = 0.9, .lead_ns = MS);
		send(s, awaited, t += MS, .kind = SVC_EV_CONNECTION);
		(void)snprintf(first, sizeof(first), "thaw%u ", awaited);
		assert_memory_equal(todo(s), first, strlen(first));
	}
}

/* There is a place, but not the memory: the third waits until one of the busy ones is gone. */
static void test_svc_memory_is_bounded(void **state)
{
	struct svc_limits small = limits;
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	small.run_max = 4;
	small.memory_max_bytes = 40 << 20;
	c.memory_bytes = 16 << 20;
	assert_int_equal(svc_new(&small, &s), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	for (uint32_t i = 0; i < 2; i++) {
		send(s, i, t += MS, .kind = SVC_EV_CONNECTION);
		send(s, i, t += MS, .kind = SVC_EV_READY);
		send(s, i, t += MS, .kind = SVC_EV_CHECKED, .connection_n = 1,
		     .memory_bytes = 16 << 20);
	}
	(void)todo(s);
	send(s, 2, t += MS, .kind = SVC_EV_CONNECTION);
	assert_string_equal(todo(s), "watch2=0 ");
	assert_true(view_of(s, 2, t).queued);
	send(s, 0, t += MS, .kind = SVC_EV_EXITED, .clean = true);
	assert_string_equal(todo(s), "release0 ");
	send(s, 0, t += MS, .kind = SVC_EV_GONE);
	assert_non_null(strstr(todo(s), "start2"));
}

/* What is worth its memory on an idle host is not when the memory is wanted, long before all goes. */
static void test_svc_pressure_raises_the_price(void **state)
{
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	struct svc_habit habit;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	c.release_after_ns = SVC_NEVER;
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	svc_habit(s, id, &habit);
	s = svc_free(s);
	assert_int_equal(svc_new(&limits, &s), 0);
	for (int i = 0; i < 40; i++)
		gaps_add(&habit.idle, 300 * SEC); /* 50 ms each 300 s for 16 MB: 1e-5 */
	assert_int_equal(svc_add(s, t, &c, &habit, &id), 0);
	svc_adopt(s, id, t, SVC_FROZEN);
	svc_run(s, t += SEC, 0.1);
	assert_null(strstr(todo(s), "release"));
	svc_run(s, t += SEC, 0.8);
	assert_non_null(strstr(todo(s), "release0"));
}

static void test_svc_pressure_gives_up_one_after_the_other(void **state)
{
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	c.release_after_ns = SVC_NEVER;
	assert_int_equal(svc_new(&limits, &s), 0);
	c.memory_bytes = 8 << 20;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	c.memory_bytes = 256 << 20;
	assert_int_equal(svc_add(s, t, &c, NULL, &id), 0);
	svc_adopt(s, 0, t, SVC_FROZEN);
	svc_adopt(s, 1, t, SVC_FROZEN);
	(void)todo(s);
	svc_run(s, t += MS, 0.95);
	assert_string_equal(todo(s), "release1 watch1=0 "); /* the large one */
	svc_run(s, t += MS, 0.95);
	assert_string_equal(todo(s), ""); /* it is not gone yet */
	send(s, 1, t += MS, .kind = SVC_EV_GONE);
	svc_run(s, t += MS, 0.95);
	assert_string_equal(todo(s), "watch1=2 release0 watch0=0 ");
}

/* Pressure is acted on when it comes, not when something would have been looked at anyway. */
static void test_svc_pressure_is_felt_at_once(void **state)
{
	struct svc_config c = config;
	_cleanup_(svc_freep) struct svc *s = NULL;
	struct svc_habit habit;
	uint64_t t = SEC;
	uint32_t id;

	(void)state;
	c.release_after_ns = SVC_NEVER;
	s = with_one(&c);
	svc_habit(s, 0, &habit);
	s = svc_free(s);
	for (int i = 0; i < 40; i++)
		gaps_add(&habit.idle, 300 * SEC);
	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, t, &c, &habit, &id), 0);
	svc_adopt(s, id, t, SVC_FROZEN);
	svc_run(s, t += SEC, 0.1);
	(void)todo(s);
	t += 1000;
	assert_true(svc_deadline_ns(s) > t);
	svc_run(s, t, 0.8);
	assert_string_equal(todo(s), "release0 watch0=0 ");
	assert_int_equal(view_of(s, 0, t).why, SVC_WHY_PRESSURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_svc_full_host_evicts_the_least_valuable),
		cmocka_unit_test(test_svc_queue_is_fair_by_weight),
		cmocka_unit_test(test_svc_starts_beyond_the_limit_are_queued),
		cmocka_unit_test(test_svc_guesses_keep_nobody_waiting),
		cmocka_unit_test(test_svc_guessed_start_gives_way_to_a_connection),
		cmocka_unit_test(test_svc_guessed_start_is_kept_for_its_own_connection),
		cmocka_unit_test(test_svc_guessed_start_gives_way_to_a_start),
		cmocka_unit_test(test_svc_room_is_made_for_all_who_wait),
		cmocka_unit_test(test_svc_queue_looks_at_the_busy),
		cmocka_unit_test(test_svc_thaws_whom_somebody_waits_for_first),
		cmocka_unit_test(test_svc_memory_is_bounded),
		cmocka_unit_test(test_svc_pressure_raises_the_price),
		cmocka_unit_test(test_svc_pressure_gives_up_one_after_the_other),
		cmocka_unit_test(test_svc_pressure_is_felt_at_once),
	};

	return cmocka_run_group_tests_name("svc-room", tests, NULL, NULL);
}
