// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which CPUs others keep busy, from a /proc/stat of our own; and threads that go where they are told. */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "sys/cpus.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CPUS = 4, ALL = 0xf };

static char root[SCRATCH_DIR_MAX];
static unsigned int busy[CPUS], idle[CPUS]; /* since boot */

static void stat_write(void)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/stat", root);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "cpu  1 2 3 4 5 6 7 8 0 0\n");
	for (int i = 0; i < CPUS; i++)
		fprintf(f, "cpu%d %u 2 3 %u 5 6 7 8 0 0\n", i, 100 + busy[i], 200 + idle[i]);
	fprintf(f, "intr 53 0 0\nctxt 12\n");
	assert_int_equal(fclose(f), 0);
}

/* A tick in which each CPU was busy for so many of 100. */
static uint64_t after(struct cpus *c, const unsigned int share[CPUS])
{
	for (int i = 0; i < CPUS; i++) {
		busy[i] += share[i];
		idle[i] += 100 - share[i];
	}
	stat_write();
	return cpus_tick(c);
}

static int setup(void **state)
{
	char path[128];

	(void)state;
	assert_int_equal(scratch_make_on_disk(root, "cpus"), 0);
	snprintf(path, sizeof(path), "%s/proc", root);
	assert_int_equal(mkdir(path, 0700), 0);
	stat_write();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(root);
}

static void test_cpus_of_others_are_left(void **state)
{
	static const struct {
		const char *name;
		unsigned int share[CPUS];
		uint64_t to;
	} cases[] = {
		{"nobody does much", {5, 89, 0, 40}, ALL},
		{"one is taken", {5, 100, 0, 40}, ALL & ~2ull},
		{"and another", {90, 95, 0, 89}, ALL & ~3ull},
		{"all but one", {100, 100, 0, 100}, 4},
		{"all: where we were", {100, 100, 100, 100}, 4},
		{"one has room", {100, 0, 100, 100}, 2},
		{"nobody does much again", {0, 0, 0, 0}, ALL},
	};
	struct cpus *c;

	(void)state;
	assert_int_equal(cpus_new(root, ALL, &c), 0);
	assert_int_equal(cpus_tick(c), ALL); /* for how long is not known yet */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (after(c, cases[i].share) != cases[i].to)
			fail_msg("%s", cases[i].name);
	assert_null(cpus_free(c));
}

static void test_cpus_on_a_full_host_are_all_ours_in_time(void **state)
{
	static const unsigned int one[CPUS] = {0, 100, 100, 100}, full[CPUS] = {100, 100, 100, 100};
	struct cpus *c;

	(void)state;
	assert_int_equal(cpus_new(root, ALL, &c), 0);
	(void)cpus_tick(c);
	assert_int_equal(after(c, one), 1);
	for (int i = 1; i < CPUS_FULL_TICKS; i++)
		assert_int_equal(after(c, full), 1);
	assert_int_equal(after(c, full), ALL);
	assert_int_equal(after(c, one), 1);
	assert_null(cpus_free(c));
}

/* As the administrator has it: others are not looked at. */
static void test_cpus_are_those_we_were_given(void **state)
{
	static const unsigned int first[CPUS] = {100, 0, 0, 0}, both[CPUS] = {100, 100, 0, 0};
	struct cpus *c;

	(void)state;
	assert_int_equal(cpus_new(root, 3, &c), 0);
	(void)cpus_tick(c);
	assert_int_equal(after(c, first), 2);
	assert_int_equal(after(c, both), 2);
	assert_null(cpus_free(c));
}

static void test_cpus_without_a_file_are_all_ours(void **state)
{
	struct cpus *c;

	(void)state;
	assert_int_equal(cpus_new("/tmp/fwm-no-such-place", 5, &c), 0);
	assert_int_equal(cpus_tick(c), 5);
	assert_null(cpus_free(c));
	assert_null(cpus_free(NULL));
}

struct other {
	pthread_barrier_t moved;
	uint64_t ran_on;
};

static void *other_main(void *arg)
{
	struct other *o = arg;

	(void)pthread_barrier_wait(&o->moved); /* it is there */
	(void)pthread_barrier_wait(&o->moved); /* it was moved */
	o->ran_on = cpus_allowed();
	return NULL;
}

static void test_cpus_move_all_threads_but_the_first(void **state)
{
	const uint64_t all = cpus_allowed(), last = all & ~(all - 1);
	struct other o = {0};
	pthread_t thread;

	(void)state;
	if (!(all & (all - 1)))
		skip_because("of one CPU, or of more than CPUS_MAX, there is no choice");
	assert_int_equal(pthread_barrier_init(&o.moved, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, other_main, &o), 0);
	(void)pthread_barrier_wait(&o.moved);
	cpus_move(last);
	(void)pthread_barrier_wait(&o.moved);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(pthread_barrier_destroy(&o.moved), 0);
	assert_int_equal(o.ran_on, last);
	assert_int_equal(cpus_allowed(), all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cpus_of_others_are_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpus_on_a_full_host_are_all_ours_in_time,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpus_are_those_we_were_given, setup, teardown),
		cmocka_unit_test(test_cpus_without_a_file_are_all_ours),
		cmocka_unit_test(test_cpus_move_all_threads_but_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
