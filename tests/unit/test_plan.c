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
		cmocka_unit_test(test_plan_service_too_late_or_over),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
