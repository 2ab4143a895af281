// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_plan.c - what the planner lets through when it has become choosy. */
#include "support/support.h"

#include "core/plan.h"

enum { FILE_ID = 1, SERVICE_ID = 2, LATE_ID = 3, ENDED_ID = 4 };

static const uint64_t now_ns = 1000000000;

static bool item(void *ctx, uint64_t id, struct plan_item *ret)
{
	(void)ctx;
	*ret = (struct plan_item){.late_ns = id == LATE_ID ? now_ns - 1 : now_ns + 1000,
				  .value_us = 80,
				  .price_us = 42,
				  .ahead = true};
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
	assert_int_equal(plan_push(p, 0, now_ns, FILE_ID), 0);
	assert_true(plan_pop(p, now_ns, item, NULL, &id) && id == FILE_ID);
	for (int i = 0; i < 100; i++)
		plan_feedback(p, true, OUTCOME_WASTED, 1 << 20);
	assert_int_equal(plan_push(p, 0, now_ns, FILE_ID), 0);
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
	assert_true(
		plan_worth(p, true, plan_value_us(p, 0.9, 1, bytes), plan_price_us(p, bytes, 0)));
	assert_false(plan_worth(p, true, plan_value_us(p, 1, gain_of(20, 3, 20, 3, 4096), bytes),
				plan_price_us(p, bytes, 0)));
	assert_false(
		plan_worth(p, true, plan_value_us(p, 0.3, 2, bytes), plan_price_us(p, bytes, 0)));
	assert_null(plan_free(p));
}

/* What was wasted bounds what may be wasted next: next to nothing in the end, and all again by what comes true or by
 * time. What runs already is none of it. */
static void test_plan_dares_less_after_a_loss(void **state)
{
	struct plan *p = make(true);
	struct plan_item it = {.bytes = 8 << 20, .ahead = true, .at_risk_bytes = 200 << 20};
	const struct plan_item small = {.bytes = 1 << 19, .ahead = true};
	int n;

	(void)state;
	assert_true(plan_dares(p, &it));
	it.at_risk_bytes = plan_stake(p);
	assert_false(plan_dares(p, &it));
	it.at_risk_bytes = 0;
	for (n = 0; plan_dares(p, &it); n++)
		plan_risked(p, it.bytes, false);
	assert_in_range(n, 2, 3);
	assert_true(plan_dares(p, &small));
	for (n = 0; n < 1000; n++) /* however much more: it is made up for as soon */
		plan_risked(p, it.bytes, false);
	assert_false(plan_dares(p, &it));
	for (n = 0; !plan_dares(p, &it); n++)
		plan_risked(p, small.bytes, true);
	assert_in_range(n, 2, 8);
	plan_risked(p, 1 << 30, false);
	plan_tick(p, now_ns, NULL);
	assert_false(plan_dares(p, &it));
	plan_tick(p, now_ns + 300 * now_ns, NULL);
	assert_true(plan_dares(p, &it));
	it.ahead = false;
	it.bytes = 1ull << 40;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_service_waits_for_no_file),
		cmocka_unit_test(test_plan_learns_what_a_cold_start_costs),
		cmocka_unit_test(test_plan_dares_less_after_a_loss),
		cmocka_unit_test(test_plan_service_too_late_or_over),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
