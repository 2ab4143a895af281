// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is new or cold is looked at closely, and everything for a moment every now and then. */
#include "support/support.h"

#include "core/fresh.h"

#define SECOND 1000000000ull

static const struct fresh_limits limits = {.block_max = 1024,
					   .starts_n = 3,
					   .for_ns = 30 * SECOND,
					   .every_ns = 60 * SECOND,
					   .sample_ns = SECOND};

static struct fresh *begin(uint64_t now_ns)
{
	struct fresh *f = NULL;

	assert_int_equal(fresh_new(&limits, now_ns, &f), 0);
	return f;
}

static void start(struct fresh *f, uint64_t ts_ns, uint64_t ino)
{
	fresh_observe(f, &(struct obs){.kind = OBS_EXEC,
				       .ts_ns = ts_ns,
				       .name = "/bin/x",
				       .file = {.ino = ino, .dev = 1}});
}

static void test_first_starts_are_looked_at(void **state)
{
	uint64_t t = 1000 * SECOND;
	struct fresh *f = begin(t);

	(void)state;
	assert_true(fresh_wanted(f, t + 29 * SECOND)); /* all is cold at first */
	assert_false(fresh_wanted(f, t + 31 * SECOND));
	for (unsigned i = 0; i < limits.starts_n; i++) {
		t += 100 * SECOND;
		start(f, t, 7);
		assert_true(fresh_wanted(f, t + 29 * SECOND));
	}
	t = (1000 + 60 * 10 + 2) * SECOND; /* no sample at that time */
	start(f, t, 7);
	assert_false(fresh_wanted(f, t + SECOND));
	start(f, t, 8); /* another one */
	assert_true(fresh_wanted(f, t + SECOND));
	(void)fresh_free(f);
}

static void test_a_cold_process_is_followed_by_a_closer_look(void **state)
{
	struct obs o = {.kind = OBS_EXIT, .ts_ns = 95 * SECOND};
	struct fresh *f = begin(0);

	(void)state;
	fresh_observe(f, &o);
	assert_false(fresh_wanted(f, 96 * SECOND));
	o.use.read_bytes = 4096;
	fresh_observe(f, &o);
	assert_true(fresh_wanted(f, 96 * SECOND));
	assert_false(fresh_wanted(f, 126 * SECOND));
	o.ts_ns = 100 * SECOND;
	fresh_observe(f, &o);
	assert_true(fresh_wanted(f, 126 * SECOND));
	o.ts_ns = 110 * SECOND;
	o.use = (struct obs_use){.majflt_n = 1};
	fresh_observe(f, &o);
	assert_false(fresh_wanted(f, 131 * SECOND));
	o.use.read_bytes = 1;
	/* What was so when we came says nothing, and an older time does not end a newer one. */
	o.flags = OBS_F_SEED;
	o.ts_ns = 200 * SECOND;
	fresh_observe(f, &o);
	assert_false(fresh_wanted(f, 202 * SECOND));
	o.flags = 0;
	o.ts_ns = 97 * SECOND;
	fresh_observe(f, &o);
	assert_true(fresh_wanted(f, 128 * SECOND));
	(void)fresh_free(f);
}

static void test_samples_are_a_small_share(void **state)
{
	struct fresh *f = begin(SECOND);
	unsigned wanted_n = 0, n = 6000;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		wanted_n += fresh_wanted(f, 3601 * SECOND + i * SECOND / 10);
	assert_int_equal(wanted_n, n / 60); /* ten minutes of 100 ms steps */
	(void)fresh_free(f);
}

static void test_always_is_always(void **state)
{
	struct fresh_limits always = limits;
	struct fresh *f = NULL;

	(void)state;
	always.for_ns = 0;
	assert_int_equal(fresh_new(&always, SECOND, &f), 0);
	assert_true(fresh_wanted(f, 3002 * SECOND));
	(void)fresh_free(f);
	always.block_max = 1000;
	assert_true(fresh_new(&always, SECOND, &f) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_starts_are_looked_at),
		cmocka_unit_test(test_a_cold_process_is_followed_by_a_closer_look),
		cmocka_unit_test(test_samples_are_a_small_share),
		cmocka_unit_test(test_always_is_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
