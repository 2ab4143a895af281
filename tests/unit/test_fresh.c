// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is new or cold is looked at closely, and everything for a moment every now and then. */
#include "support/support.h"

#include "core/fresh.h"

#define SECOND 1000000000ull

static const struct fresh_limits limits = {.block_max = 16384,
					   .starts_n = 3,
					   .cold_bytes = 65536,
					   .for_ns = 30 * SECOND,
					   .every_ns = 60 * SECOND,
					   .sample_ns = SECOND};

static struct fresh *begin(uint64_t now_ns)
{
	struct fresh *f = NULL;

	assert_int_equal(fresh_new(&limits, now_ns, &f), 0);
	return f;
}

static void start_with(struct fresh *f, uint64_t ts_ns, uint64_t ino, const char *arg)
{
	char args[64];
	int n = snprintf(args, sizeof(args), "x%c%s", 0, arg ? arg : "");

	fresh_observe(f, &(struct obs){.kind = OBS_EXEC,
				       .ts_ns = ts_ns,
				       .pid = 100 + (uint32_t)ino,
				       .name = "/bin/x",
				       .args = args,
				       .args_len = arg ? (size_t)n + 1 : 2,
				       .file = {.ino = ino, .dev = 1}});
}

static void start(struct fresh *f, uint64_t ts_ns, uint64_t ino)
{
	start_with(f, ts_ns, ino, NULL);
}

/* Ends what start() began. */
static void end(struct fresh *f, uint64_t ts_ns, uint64_t ino, uint64_t read_bytes)
{
	fresh_observe(f, &(struct obs){.kind = OBS_EXIT,
				       .ts_ns = ts_ns,
				       .pid = 100 + (uint32_t)ino,
				       .use = {.read_bytes = read_bytes, .majflt_n = 1}});
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

/* None of its first starts any more, and at no time of a sample. */
static uint64_t known(struct fresh *f, uint64_t ino)
{
	for (unsigned i = 0; i < limits.starts_n; i++) {
		start(f, i, ino);
		end(f, i, ino, 0);
	}
	assert_false(fresh_wanted(f, 90 * SECOND));
	return 90 * SECOND;
}

static void test_a_cold_process_is_followed_by_a_closer_look(void **state)
{
	struct fresh *f = begin(0);
	uint64_t t = known(f, 7);

	(void)state;
	start(f, t, 7);
	end(f, t, 7, 0); /* a major fault alone is another's read */
	assert_false(fresh_wanted(f, t + SECOND));
	start(f, t, 7);
	end(f, t, 7, 65535); /* a directory, a page that was taken back */
	assert_false(fresh_wanted(f, t + SECOND));
	start(f, t, 7);
	end(f, t, 7, 65536);
	assert_true(fresh_wanted(f, t + 29 * SECOND));
	assert_false(fresh_wanted(f, t + 31 * SECOND));
	start(f, t, 7);
	end(f, t + 5 * SECOND, 7, 1 << 20);
	assert_true(fresh_wanted(f, t + 34 * SECOND));
	/* What was so when we came says nothing, and an older time does not end a newer one. */
	start(f, t, 8);
	fresh_observe(f, &(struct obs){.kind = OBS_EXIT,
				       .ts_ns = t + 200 * SECOND,
				       .pid = 108,
				       .flags = OBS_F_SEED,
				       .use = {.read_bytes = 1 << 20}});
	assert_false(fresh_wanted(f, t + 202 * SECOND));
	end(f, t + 2 * SECOND, 8, 1 << 20);
	assert_true(fresh_wanted(f, t + 34 * SECOND));
	(void)fresh_free(f);
}

/* A host that takes pages back all the time makes each start a cold one. */
static void test_what_cold_starts_cost_is_known_after_some(void **state)
{
	struct fresh *f = begin(0);
	uint64_t t = known(f, 7);
	unsigned fresh_n = 0;

	(void)state;
	(void)known(f, 8);
	for (unsigned i = 0; i < 100; i++, t += 60 * SECOND) {
		start(f, t, 7);
		end(f, t, 7, 1 << 20);
		fresh_n += fresh_wanted(f, t + 3 * SECOND);
	}
	assert_int_equal(fresh_n, limits.starts_n);
	start(f, t, 8);
	end(f, t, 8, 1 << 20);
	assert_true(fresh_wanted(f, t + 3 * SECOND)); /* another one */
	(void)fresh_free(f);
}

/* Of touch(1) each start has an argument that never was, of an interpreter some come again. */
static void test_arguments_that_never_return_are_no_news(void **state)
{
	struct fresh *f = begin(0);
	uint64_t t = 90 * SECOND;
	unsigned touch_n = 0, script_n = 0;
	char arg[32];

	(void)state;
	for (unsigned i = 0; i < 200; i++, t += 60 * SECOND) {
		(void)snprintf(arg, sizeof(arg), "file-%u", i);
		start_with(f, t, 7, arg);
		touch_n += fresh_wanted(f, t + 3 * SECOND);
	}
	assert_in_range(touch_n, 8, 24);
	for (unsigned i = 0; i < 200; i++, t += 60 * SECOND) {
		(void)snprintf(arg, sizeof(arg), "script-%u", i / 2);
		start_with(f, t, 8, arg);
		script_n += fresh_wanted(f, t + 3 * SECOND);
	}
	assert_true(script_n > 190);
	/* One that does come again is news then. */
	start_with(f, t, 7, "file-199");
	assert_true(fresh_wanted(f, t + 3 * SECOND));
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
		cmocka_unit_test(test_what_cold_starts_cost_is_known_after_some),
		cmocka_unit_test(test_arguments_that_never_return_are_no_news),
		cmocka_unit_test(test_samples_are_a_small_share),
		cmocka_unit_test(test_always_is_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
