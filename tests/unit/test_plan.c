// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_plan.c - what the planner lets through when it has become choosy. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/plan.h"

#include <string.h>

enum { FILE_ID = 1, SERVICE_ID = 2, LATE_ID = 3, ENDED_ID = 4 };

static const uint64_t now_ns = 1000000000;

static bool item(void *ctx, uint64_t id, struct plan_item *ret)
{
	(void)ctx;
	*ret = (struct plan_item){.late_ns = id == LATE_ID ? now_ns - 1 : now_ns + 1000,
				  .value_us = 80,
				  .price_us = 42,
				  .odds = PLAN_SURE};
	return id != ENDED_ID;
}

static struct plan *make(bool act)
{
	const struct plan_policy policy = {.act = act,
					   .io_some_max = 0.3,
					   .mem_some_max = 0.05,
					   .bytes_per_s_max = 1 << 20,
					   .bytes_inflight_max = 1 << 20};
	struct plan *p = NULL;

	assert_int_equal(plan_new(16, &policy, &p), 0);
	return p;
}

/* What was wasted on files, and how busy the disk is, says nothing against starting a service: on a host
 * that is busy with compilers it takes the longest to start. */
static void test_plan_service_waits_for_no_file(void **state)
{
	struct plan *p = make(true);
	const struct pressure busy = {.io_some_avg10 = 0.9, .mem_some_avg10 = -1};
	uint64_t id = 0;

	(void)state;
	assert_int_equal(plan_push(p, 0, false, now_ns, FILE_ID), 0);
	assert_true(plan_pop(p, now_ns, item, NULL, &id) && id == FILE_ID);
	for (int i = 0; i < 100; i++)
		plan_feedback(p, true, OUTCOME_WASTED, 1 << 20);
	assert_int_equal(plan_push(p, 0, false, now_ns, FILE_ID), 0);
	assert_int_equal(plan_push_service(p, now_ns + 500, SERVICE_ID), 0);
	assert_true(plan_pop(p, now_ns, item, NULL, &id) && id == SERVICE_ID);
	assert_false(plan_pop(p, now_ns, item, NULL, &id)); /* not worth it any more */
	plan_tick(p, now_ns, &busy);
	assert_int_equal(plan_push_service(p, now_ns + 500, SERVICE_ID), 0);
	assert_true(plan_pop(p, now_ns, item, NULL, &id) && id == SERVICE_ID);
	assert_null(plan_free(p));
}

static double gain_of(uint64_t cold_n, uint64_t cold_ms, uint64_t warm_n, uint64_t warm_ms,
		      uint64_t read_kib)
{
	const struct edge_use use = {
		.use_n = cold_n + warm_n,
		.life_sum_ns = (cold_n * cold_ms + warm_n * warm_ms) * 1000000,
		.cold_n = cold_n,
		.cold_sum_ns = cold_n * cold_ms * 1000000,
		.read_sum_bytes = cold_n * read_kib * 1024,
	};

	return plan_gain(&use);
}

/* What a cold start is seen to cost takes the place of what it may cost, the sooner the clearer it is. */
static void test_plan_learns_what_a_cold_start_costs(void **state)
{
	struct plan *p = make(true);
	const uint64_t bytes = 1 << 20;

	(void)state;
	/* Until both were seen it is what the device takes. */
	assert_true(gain_of(0, 0, 0, 0, 0) == 1);
	assert_true(gain_of(9, 200, 0, 0, 4096) == 1);
	assert_true(gain_of(0, 0, 9, 10, 0) == 1);
	/* As slow as reading it, much slower, no slower, and faster. */
	assert_float_equal(gain_of(2, 20, 2, 10, 4096), 1, 0.05);
	assert_true(gain_of(2, 200, 2, 10, 4096) > 1.7);
	assert_true(gain_of(20, 3, 20, 3, 4096) < 0.3);
	assert_true(gain_of(20, 2, 20, 3, 4096) < 0.3);
	/* As slow as reading it from a device three times as fast as one that is not known. */
	assert_float_equal(gain_of(20, 7, 20, 3, 4096), 1, 0.01);
	/* Of something that runs for minutes, or was seen once, it cannot be told. */
	assert_float_equal(gain_of(5, 60000, 5, 60010, 4096), 1, 0.01);
	assert_true(gain_of(1, 3, 1, 3, 1024) > gain_of(8, 3, 8, 3, 1024));
	/* So what gains nothing is not read, however sure; and no gain makes up for a bad guess. */
	assert_true(plan_worth(p, PLAN_SURE, plan_value_us(p, 0.9, 1, bytes),
			       plan_price_us(p, bytes, 0)));
	assert_false(plan_worth(p, PLAN_SURE,
				plan_value_us(p, 1, gain_of(20, 3, 20, 3, 4096), bytes),
				plan_price_us(p, bytes, 0)));
	assert_false(plan_worth(p, PLAN_SURE, plan_value_us(p, 0.3, 2, bytes),
				plan_price_us(p, bytes, 0)));
	assert_null(plan_free(p));
}

/* What was wasted bounds what may be wasted next: next to nothing in the end, and all again by what comes true or by
 * time. What runs already is none of it. */
static void test_plan_dares_less_after_a_loss(void **state)
{
	struct plan *p = make(true);
	struct plan_item it = {.bytes = 8 << 20, .odds = PLAN_SURE, .at_risk_bytes = 200 << 20};
	const struct plan_item small = {.bytes = 1 << 19, .odds = PLAN_SURE};
	int n;

	(void)state;
	assert_true(plan_dares(p, &it));
	it.at_risk_bytes = plan_stake(p, PLAN_SURE);
	assert_false(plan_dares(p, &it));
	it.at_risk_bytes = 0;
	for (n = 0; plan_dares(p, &it); n++)
		plan_risked(p, PLAN_SURE, it.bytes, false);
	assert_in_range(n, 2, 3);
	assert_true(plan_dares(p, &small));
	for (n = 0; n < 1000; n++) /* however much more: it is made up for as soon */
		plan_risked(p, PLAN_SURE, it.bytes, false);
	assert_false(plan_dares(p, &it));
	for (n = 0; !plan_dares(p, &it); n++)
		plan_risked(p, PLAN_SURE, small.bytes, true);
	assert_in_range(n, 2, 8);
	plan_risked(p, PLAN_SURE, 1 << 30, false);
	plan_tick(p, now_ns, NULL);
	assert_false(plan_dares(p, &it));
	plan_tick(p, now_ns + 300 * now_ns, NULL);
	assert_true(plan_dares(p, &it));
	it.odds = PLAN_RUNS;
	it.bytes = 1ull << 40;
	assert_true(plan_dares(p, &it));
	assert_null(plan_free(p));
}

/* What was unsure and did not come bounds what is unsure, and nothing that is sure. */
static void test_plan_dares_what_is_sure_after_what_was_not(void **state)
{
	struct plan *p = make(true);
	struct plan_item it = {.bytes = 21 << 20, .odds = PLAN_UNSURE};
	struct plan_stats stats;

	(void)state;
	plan_risked(p, PLAN_UNSURE, it.bytes, false);
	assert_false(plan_dares(p, &it));
	assert_false(plan_worth(p, PLAN_UNSURE, 2, 1));
	it.odds = PLAN_SURE;
	assert_true(plan_dares(p, &it));
	assert_true(plan_worth(p, PLAN_SURE, 2, 1));
	plan_stats(p, &stats);
	assert_int_equal(stats.stake_bytes, plan_stake(p, PLAN_SURE));
	plan_risked(p, PLAN_SURE, it.bytes, false);
	assert_false(plan_dares(p, &it));
	/* What comes makes up for both. */
	plan_risked(p, PLAN_SURE, 1 << 30, true);
	assert_true(plan_dares(p, &it));
	it.odds = PLAN_UNSURE;
	assert_true(plan_dares(p, &it));
	assert_null(plan_free(p));
}

static void test_plan_service_too_late_or_over(void **state)
{
	struct plan *p = make(true);
	struct plan_stats stats;
	uint64_t id = 0;

	(void)state;
	assert_int_equal(plan_push_service(p, now_ns, LATE_ID), 0);
	assert_int_equal(plan_push_service(p, now_ns + 1, ENDED_ID), 0);
	assert_int_equal(plan_push_service(p, now_ns + 2, SERVICE_ID), 0);
	plan_stats(p, &stats);
	assert_int_equal(stats.queued_n, 3);
	assert_true(plan_pop(p, now_ns, item, NULL, &id) && id == SERVICE_ID);
	assert_false(plan_pop(p, now_ns, item, NULL, &id));
	plan_stats(p, &stats);
	assert_int_equal(stats.late_n, 1);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(plan_push_service(p, now_ns, SERVICE_ID), 0);
	assert_int_equal(plan_push_service(p, now_ns, SERVICE_ID), PLAN_FULL);
	assert_null(plan_free(p));
	p = make(false);
	assert_int_equal(plan_push_service(p, now_ns, SERVICE_ID), 0);
	assert_false(plan_pop(p, now_ns, item, NULL, &id)); /* plan.act=no */
	assert_null(plan_free(p));
}

static bool near(double a, double b, double by)
{
	return a > b - by && a < b + by;
}

/* id: bytes, in KiB; all worth it. */
static bool sized(void *ctx, uint64_t id, struct plan_item *ret)
{
	(void)ctx;
	*ret = (struct plan_item){
		.bytes = id << 10, .late_ns = UINT64_MAX, .value_us = 80, .price_us = 42};
	return true;
}

static bool pops(struct plan *p, uint64_t want)
{
	uint64_t id = 0;
	bool any = plan_pop(p, now_ns, sized, NULL, &id);

	return any ? id == want : want == 0;
}

/* A second's bytes at most, fewer while others are under way; what was not read after all is given back. */
static void test_plan_bytes_are_bounded(void **state)
{
	struct plan *p = make(true);

	(void)state;
	plan_tick(p, now_ns, NULL);
	for (int i = 0; i < 8; i++)
		assert_int_equal(plan_push(p, 0, false, now_ns, 400), 0);
	assert_true(pops(p, 400) && pops(p, 400));
	assert_true(pops(p, 0)); /* 800 of 1024 under way */
	plan_learn(p, false, 400 << 10, 400 << 10, 1000000);
	assert_true(pops(p, 400) && pops(p, 0));
	plan_learn(p, false, 800 << 10, 800 << 10, 1000000);
	assert_true(pops(p, 0)); /* 1200 were begun in this second */
	plan_tick(p, now_ns + now_ns / 10, NULL);
	assert_true(pops(p, 0)); /* 102 came back of the 176 too many */
	plan_tick(p, now_ns + now_ns / 5, NULL);
	assert_true(pops(p, 400) && pops(p, 0));
	plan_learn(p, false, 400 << 10, 0, 0); /* it was there already */
	assert_true(pops(p, 400) && pops(p, 0));
	/* However long nothing was asked for, and whatever was given back since, no more than a second's. */
	plan_learn(p, false, 400 << 10, 0, 0);
	plan_tick(p, 99 * now_ns, NULL);
	assert_true(pops(p, 400));
	plan_tick(p, 100 * now_ns, NULL);
	plan_learn(p, false, 400 << 10, 0, 0);
	assert_int_equal(plan_push(p, 0, false, now_ns, 400), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(pops(p, 400));
		plan_learn(p, false, 400 << 10, 400 << 10, 1000000);
	}
	assert_int_equal(plan_push(p, 0, false, now_ns, 300), 0);
	assert_true(pops(p, 400));
	plan_learn(p, false, 400 << 10, 400 << 10, 1000000);
	assert_true(pops(p, 0));
	/* Larger than all of it: alone. */
	plan_tick(p, 200 * now_ns, NULL);
	assert_true(pops(p, 300));
	assert_int_equal(plan_push(p, 0, false, now_ns, 5000), 0);
	assert_true(pops(p, 0));
	plan_learn(p, false, 300 << 10, 300 << 10, 1000000);
	assert_true(pops(p, 5000));
	assert_null(plan_free(p));
}

enum { NOW = 1 << 20 };

/* id: as sized(), with NOW added for what is wanted now. */
static bool sized_now(void *ctx, uint64_t id, struct plan_item *ret)
{
	(void)sized(ctx, id % NOW, ret);
	ret->now = id & NOW;
	return true;
}

static void push(struct plan *p, uint32_t uid, uint64_t need_ns, uint64_t id)
{
	assert_int_equal(plan_push(p, uid, id & NOW, need_ns, id), 0);
}

static uint64_t pop(struct plan *p)
{
	uint64_t id;

	return plan_pop(p, now_ns, sized_now, NULL, &id) ? id : 0;
}

/* However much is under way ahead, and was read ahead in this second: what has started is read at once, within
 * bounds of its own. */
static void test_plan_waits_for_nothing_ahead(void **state)
{
	struct plan *p = make(true);

	(void)state;
	plan_tick(p, now_ns, NULL);
	for (int i = 0; i < 4; i++)
		push(p, 0, now_ns, 500);
	assert_int_equal(pop(p), 500);
	assert_int_equal(pop(p), 500);
	assert_int_equal(pop(p), 0);	   /* 1000 of 1024 under way */
	push(p, 0, now_ns + 9, NOW + 600); /* after what is ahead, by the time alone */
	push(p, 1, now_ns + 9, NOW + 400);
	push(p, 1, now_ns + 9, NOW + 100);
	assert_int_equal(pop(p), NOW + 600);
	assert_int_equal(pop(p), NOW + 400);
	assert_int_equal(pop(p), 0); /* 1000 of 1024 are wanted now */
	plan_learn(p, false, 500 << 10, 500 << 10, 1000000);
	assert_int_equal(pop(p), 0); /* what is ahead is not what it waits for */
	plan_learn(p, true, 400 << 10, 400 << 10, 1000000);
	assert_int_equal(pop(p), NOW + 100);
	/* 2100 were begun in this second, 1024 and as many of the next one's. */
	plan_learn(p, true, 700 << 10, 700 << 10, 1000000);
	push(p, 0, now_ns, NOW + 10);
	assert_int_equal(pop(p), 0);
	plan_tick(p, now_ns + now_ns / 2, NULL);
	assert_int_equal(pop(p), NOW + 10);
	plan_learn(p, false, 500 << 10, 500 << 10, 1000000);
	plan_learn(p, true, 10 << 10, 10 << 10, 1000000);
	assert_int_equal(pop(p), 0); /* what is ahead waits until all that is paid back */
	plan_tick(p, now_ns + now_ns, NULL);
	assert_int_equal(pop(p), 0);
	plan_tick(p, now_ns + 2 * now_ns, NULL);
	assert_int_equal(pop(p), 500);
	assert_null(plan_free(p));
}

static void test_plan_waits_for_room(void **state)
{
	static const struct {
		const char *name;
		struct pressure pr;
		bool roomy;
	} cases[] = {
		{"calm",
		 {.io_some_avg10 = 0.1, .mem_available_bytes = 50, .mem_total_bytes = 100},
		 true},
		{"not known", {.io_some_avg10 = -1, .mem_some_avg10 = -1}, true},
		{"the device is busy", {.io_some_avg10 = 0.31}, false},
		{"just not", {.io_some_avg10 = 0.29}, true},
		{"tasks wait for memory", {.mem_some_avg10 = 0.06}, false},
		{"a tenth is left", {.mem_available_bytes = 10, .mem_total_bytes = 100}, true},
		{"less than that", {.mem_available_bytes = 9, .mem_total_bytes = 100}, false},
	};
	const struct plan_policy policy = {.act = true,
					   .io_some_max = 0.3,
					   .mem_some_max = 0.05,
					   .mem_available_min = 0.1,
					   .bytes_per_s_max = 1 << 20,
					   .bytes_inflight_max = 1 << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct plan *p = NULL;

		assert_int_equal(plan_new(16, &policy, &p), 0);
		assert_int_equal(plan_push(p, 0, false, now_ns, 4), 0);
		plan_tick(p, now_ns, &cases[i].pr);
		if (!pops(p, cases[i].roomy ? 4 : 0))
			fail_msg("%s", cases[i].name);
		/* What is not told is as it was. */
		assert_int_equal(plan_push(p, 0, false, now_ns, 4), 0);
		plan_tick(p, now_ns, NULL);
		if (!pops(p, cases[i].roomy ? 4 : 0))
			fail_msg("%s, and then nothing", cases[i].name);
		assert_null(plan_free(p));
	}
}

static double lambda_of(const struct plan *p)
{
	struct plan_stats stats;

	plan_stats(p, &stats);
	return stats.lambda;
}

/* Three wasted for seven that came true is what we are content with; what ended otherwise says nothing, and time
 * forgives half in five minutes. */
static void test_plan_lambda_follows_what_came_true(void **state)
{
	struct plan *p = make(true);
	struct plan_stats stats;

	(void)state;
	for (int i = 0; i < 700; i++) {
		plan_feedback(p, true, OUTCOME_HIT, 1 << 20);
		plan_feedback(p, true, OUTCOME_LATE, 1 << 20);
		plan_feedback(p, true, OUTCOME_DROPPED, 1 << 20);
		plan_feedback(p, true, OUTCOME_WASTED, 0);
		if (i % 7 < 3)
			plan_feedback(p, true, OUTCOME_WASTED, 1 << 20);
		assert_true(i % 7 < 6 || lambda_of(p) < 1.1);
	}
	for (int i = 0; i < 700; i++) {
		plan_feedback(p, true, OUTCOME_HIT, 1 << 20);
		plan_feedback(p, true, OUTCOME_WASTED, 1 << 20);
	}
	assert_true(near(lambda_of(p), 7 / 3.0, 0.1));
	plan_tick(p, now_ns, NULL);
	plan_tick(p, now_ns + 150 * now_ns, NULL);
	assert_true(near(lambda_of(p), 7 / 3.0 / 1.4142, 0.1));
	plan_tick(p, now_ns + 3000 * now_ns, NULL);
	assert_true(near(lambda_of(p), 1, 1e-9));
	/* However much was wasted, a little that comes true soon makes up for it. */
	for (int i = 0; i < 10000; i++)
		plan_feedback(p, true, OUTCOME_WASTED, 1 << 20);
	assert_true(lambda_of(p) == 2.6);
	for (int i = 0; i < 1000; i++)
		plan_feedback(p, true, i % 2 ? OUTCOME_LATE : OUTCOME_DROPPED, 1 << 20);
	assert_true(lambda_of(p) == 2.6);
	for (int i = 0; i < 90; i++)
		plan_feedback(p, true, OUTCOME_HIT, 1 << 20);
	assert_true(lambda_of(p) < 1.1);
	/* What was lost ahead asks for more by itself; what runs has a measure of its own. */
	plan_risked(p, PLAN_SURE, 8 << 20, false);
	assert_true(near(lambda_of(p), 1.8, 1e-9));
	plan_restore(p, 2);
	plan_risked(p, PLAN_SURE, 1 << 30, true);
	assert_true(near(lambda_of(p), 2, 1e-9));
	assert_true(plan_worth(p, PLAN_RUNS, 1.01, 1) && !plan_worth(p, PLAN_SURE, 1.99, 1));
	assert_int_equal(plan_push(p, 0, false, now_ns, 1), 0);
	assert_int_equal(plan_push(p, 7, false, now_ns, 1), 0);
	assert_int_equal(plan_push_service(p, now_ns, 1), 0);
	plan_stats(p, &stats);
	assert_int_equal(stats.queued_n, 3);
	assert_int_equal(stats.unworthy_n, 0);
	assert_null(plan_free(p));
}

/* Dropped too late, or not worth it: each is counted as what it is. Just in time is in time. */
static bool odd(void *ctx, uint64_t id, struct plan_item *ret)
{
	(void)ctx;
	*ret = (struct plan_item){.late_ns = id == 1 ? now_ns - 1 : now_ns,
				  .value_us = id == 2 ? 10 : 80,
				  .price_us = 42};
	return id != 4;
}

static void test_plan_counts_what_it_drops(void **state)
{
	struct plan *p = make(true);
	struct plan_stats stats;
	uint64_t id = 0;

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		assert_int_equal(plan_push(p, 0, false, now_ns + (i == 3 ? 9 : i), i), 0);
	assert_int_equal(plan_push(p, 0, false, now_ns, 2), 0);
	assert_true(plan_pop(p, now_ns, odd, NULL, &id) && id == 3);
	plan_stats(p, &stats);
	assert_int_equal(stats.late_n, 1);
	assert_int_equal(stats.unworthy_n, 2);
	assert_int_equal(stats.queued_n, 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(plan_push(p, 0, false, now_ns, 3), 0);
	assert_int_equal(plan_push(p, 0, false, now_ns, 3), PLAN_FULL);
	assert_int_equal(plan_push(p, 1, false, now_ns, 3), 0); /* another's queue is his own */
	plan_stats(p, &stats);
	assert_int_equal(stats.refused_n, 1);
	assert_int_equal(stats.queued_n, 17);
	assert_null(plan_free(p));
}

/* Turns go by bytes: who asks for large files waits for who asks for small ones, and who comes late gets no more than
 * his share. */
static void test_plan_users_take_turns(void **state)
{
	struct plan *p = NULL;
	const struct plan_policy policy = {
		.act = true, .bytes_per_s_max = 1 << 30, .bytes_inflight_max = 1 << 30};
	uint64_t id, n[3] = {0};

	(void)state;
	assert_int_equal(plan_new(256, &policy, &p), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(plan_push(p, 0, false, now_ns, 1000), 0);
		assert_int_equal(plan_push(p, 1, false, now_ns, 200), 0);
	}
	while (n[1] < 100) {
		assert_true(plan_pop(p, now_ns, sized, NULL, &id));
		n[id == 200]++;
	}
	assert_in_range(n[0], 22, 26); /* (200 + 48) / (1000 + 48) of 100 */
	for (int i = 0; i < 200; i++)
		assert_int_equal(plan_push(p, 2, false, now_ns, 201), 0);
	memset(n, 0, sizeof(n));
	while (n[1] < 50) {
		assert_true(plan_pop(p, now_ns, sized, NULL, &id));
		n[id == 200 ? 1 : id == 201 ? 2 : 0]++;
	}
	assert_in_range(n[2], 48, 52);
	assert_null(plan_free(p));
}

/* Who was alone for long, and waits for nothing just when another comes, has no less of what follows. */
static void test_plan_users_take_turns_after_one_was_alone(void **state)
{
	struct plan *p = NULL;
	const struct plan_policy policy = {
		.act = true, .bytes_per_s_max = 1 << 30, .bytes_inflight_max = 1 << 30};
	uint64_t id, n[2] = {0};

	(void)state;
	assert_int_equal(plan_new(256, &policy, &p), 0);
	for (int i = 0; i < 200; i++) {
		push(p, 0, now_ns, 201);
		assert_true(plan_pop(p, now_ns, sized, NULL, &id));
		plan_learn(p, false, 201 << 10, 0, 0);
	}
	for (int i = 0; i < 100; i++) {
		push(p, 1, now_ns, 200);
		push(p, 0, now_ns, 201);
	}
	for (int i = 0; i < 100; i++) {
		assert_true(plan_pop(p, now_ns, sized, NULL, &id));
		n[id == 200]++;
	}
	assert_in_range(n[0], 48, 52);
	assert_null(plan_free(p));
}

static void test_plan_learns_the_device(void **state)
{
	struct plan *p = make(true);
	const uint64_t bytes = 1 << 20;
	double cold;

	(void)state;
	assert_true(near(plan_cold_us(p, 0), 120, 1e-9));
	assert_true(near(plan_cold_us(p, bytes), 2620, 1e-9));
	plan_learn(p, false, bytes, bytes / 8, 1); /* too little to tell */
	assert_true(near(plan_cold_us(p, bytes), 2620, 1e-9));
	plan_learn(p, false, bytes, bytes / 4, 125000); /* 500 us a quarter */
	assert_true(near(plan_cold_us(p, bytes), 120 + 2500 + 0.1 * (500 - 2500), 1e-6));
	/* A busy device is dearer, and so is holding memory for long. */
	cold = plan_cold_us(p, bytes);
	assert_true(near(plan_price_us(p, bytes, 0), 0.35 * cold, 1e-6));
	assert_true(near(plan_price_us(p, bytes, 3 * now_ns), 0.35 * cold + 30, 1e-6));
	plan_tick(p, now_ns, &(struct pressure){.io_some_avg10 = 0.15});
	assert_true(near(plan_price_us(p, bytes, 0), 0.6 * cold, 1e-6));
	assert_null(plan_free(p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_service_waits_for_no_file),
		cmocka_unit_test(test_plan_learns_what_a_cold_start_costs),
		cmocka_unit_test(test_plan_dares_less_after_a_loss),
		cmocka_unit_test(test_plan_dares_what_is_sure_after_what_was_not),
		cmocka_unit_test(test_plan_service_too_late_or_over),
		cmocka_unit_test(test_plan_bytes_are_bounded),
		cmocka_unit_test(test_plan_waits_for_nothing_ahead),
		cmocka_unit_test(test_plan_waits_for_room),
		cmocka_unit_test(test_plan_lambda_follows_what_came_true),
		cmocka_unit_test(test_plan_counts_what_it_drops),
		cmocka_unit_test(test_plan_users_take_turns),
		cmocka_unit_test(test_plan_users_take_turns_after_one_was_alone),
		cmocka_unit_test(test_plan_learns_the_device),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
