// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_keep.c - a flush that pauses after each step: it ends, what changes meanwhile is put too, and nothing is lost.
 * Time is what the test says it is (the linker puts us between).
 */
#include "daemon/keep.h"
#include "support/support.h"

#include "base/clock.h"
#include "store/store.h"
#include "support/host.h"
#include "support/store_bed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRAMS = 60, STEP_US = 10000, STEPS_MAX = 2000 };

static time_t ahead_s; /* of the clock */

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = __real_clock_gettime(clock, ret);

	ret->tv_sec += clock == CLOCK_MONOTONIC ? ahead_s : 0;
	return r;
}

/* Of the file that is being loaded a part is found to be missing. */
static bool damaged;

int __real_store_load_ranges(struct store *s, const struct graph *g, store_ranges_fn fn, void *ctx);
int __wrap_store_load_ranges(struct store *s, const struct graph *g, store_ranges_fn fn, void *ctx);

int __wrap_store_load_ranges(struct store *s, const struct graph *g, store_ranges_fn fn, void *ctx)
{
	if (damaged)
		bed_sql("DROP TABLE ranges");
	damaged = false;
	return __real_store_load_ranges(s, g, fn, ctx);
}

static bool yes(void *ctx)
{
	++*(unsigned *)ctx;
	return true;
}

/* Each opens files of its own and one of all, of which it uses a part. */
static void run_program(struct host *h, unsigned i, const char *also)
{
	const struct ranges_use use = {.cell = i % 8, .units = 1, .first_us = 10};
	char exe[64], own[64];
	uint64_t exec_ns;
	uint32_t pid;

	snprintf(exe, sizeof(exe), "/bin/program%03u", i);
	snprintf(own, sizeof(own), "/data/%s/%03u", also, i);
	pid = host_spawn(h, 1, exe, NULL);
	exec_ns = h->now_ns;
	host_open(h, pid, "/lib/all", 0);
	host_open(h, pid, own, 0);
	assert_int_equal(
		engine_observe_use(h->engine, pid, exec_ns, 1, strlen("/lib/all"), &use, 1), 0);
	host_exit(h, pid);
	host_rest(h, 1000000000);
}

static int64_t sum_of_counts(const struct graph *g)
{
	const struct node *n;
	const struct edge *e;
	uint32_t it = 0;
	int64_t sum = 0;

	while (graph_next_node(g, &it, &n))
		for (uint32_t out = 0; graph_next_out(g, n->id, &out, &e);)
			sum += (int64_t)e->count;
	return sum;
}

/* By the writer's thread, some time. */
static void assert_comes(const char *sql, int64_t want)
{
	int64_t n = -1;

	for (int i = 0; i < STEPS_MAX && (n = bed_query(sql, NULL, 0)) != want; i++)
		(void)usleep(STEP_US);
	if (n != want)
		fail_msg("%s: %lld, not %lld", sql, (long long)n, (long long)want);
}

static void assert_graph_kept(struct host *h)
{
	struct engine_stats s;

	engine_stats(h->engine, &s);
	assert_comes("SELECT sum(count) FROM edges", sum_of_counts(engine_graph(h->engine)));
	assert_comes("SELECT count(*) FROM nodes", s.graph.nodes_n);
	assert_comes("SELECT count(*) FROM edges", s.graph.edges_n);
}

static void assert_kept(struct host *h)
{
	assert_graph_kept(h);
	assert_comes("SELECT count(*) FROM ranges", PROGRAMS);
	assert_comes("SELECT count(*) FROM model", 1);
	assert_true(bed_query("SELECT count(*) FROM block_scores", NULL, 0) > 0);
	assert_true(bed_query("SELECT count(*) FROM scores", NULL, 0) > 0);
	assert_true(bed_query("SELECT count(*) FROM guesses", NULL, 0) > 0);
}

/* What is kept of a host whose programs have run, and all of it is due. */
struct kept {
	struct host host;
	struct layers *layers;
	struct keep *keep;
};

static void kept_open(struct kept *ret)
{
	struct engine_limits limits = host_limits();
	struct config config = {.limits = limits};

	ahead_s = 0;
	snprintf(config.state_dir, sizeof(config.state_dir), "%s", bed_dir);
	host_init(&ret->host, &limits);
	assert_int_equal(layers_new(8, false, &ret->layers), 0);
	assert_int_equal(keep_open(&config, ret->host.engine, ret->layers, &ret->keep), 0);
}

static void kept_init(struct kept *ret)
{
	kept_open(ret);
	for (unsigned turn = 0; turn < 3; turn++)
		for (unsigned i = 0; i < PROGRAMS; i++)
			run_program(&ret->host, i, "before");
	ahead_s += 1000;
}

static void kept_fini(struct kept *k)
{
	assert_null(layers_free(k->layers));
	host_fini(&k->host);
}

static void test_keep_pauses_and_loses_nothing(void **state)
{
	unsigned asked_n = 0, goes_n = 0;
	const struct pause pause = {yes, &asked_n};
	struct engine_stats s;
	struct kept k;

	(void)state;
	kept_init(&k);
	for (; !keep_flush(k.keep, k.host.engine, &pause); goes_n++) {
		assert_int_equal(asked_n, goes_n + 1); /* once is enough */
		if (goes_n % 10 == 0 && goes_n < 10 * PROGRAMS)
			run_program(&k.host, goes_n / 10, "meanwhile");
		assert_true(goes_n < 10 * STEPS_MAX);
	}
	engine_stats(k.host.engine, &s);
	assert_true(goes_n > s.graph.nodes_n + s.graph.edges_n + PROGRAMS);
	ahead_s += 1000;
	assert_true(keep_flush(k.keep, k.host.engine, NULL)); /* what changed behind its back */
	assert_kept(&k.host);
	assert_null(keep_close(k.keep, k.host.engine));
	kept_fini(&k);
}

/* What is left when it ends in the middle. */
static void test_keep_closes_what_paused(void **state)
{
	unsigned asked_n = 0;
	const struct pause pause = {yes, &asked_n};
	struct kept k;

	(void)state;
	kept_init(&k);
	for (int i = 0; i < 100; i++)
		assert_false(keep_flush(k.keep, k.host.engine, &pause));
	assert_null(keep_close(k.keep, k.host.engine));
	assert_kept(&k.host);
	kept_fini(&k);
}

/* The daemon has all in memory: so has the file that takes the place of one that cannot be used any more. */
static void test_keep_puts_all_into_a_fresh_file(void **state)
{
	struct kept k;

	(void)state;
	kept_init(&k);
	layers_restore(k.layers, &(struct layers_kept){"image:0123456789ab", "/layer", BED_T0});
	assert_true(keep_flush(k.keep, k.host.engine, NULL));
	assert_kept(&k.host);
	bed_sql("DROP VIEW edges_v; DROP TABLE edges");
	run_program(&k.host, 0, "after");
	for (int i = 0; i < 40; i++) {
		ahead_s += 1000;
		assert_true(keep_flush(k.keep, k.host.engine, NULL));
		(void)usleep(STEP_US);
	}
	assert_kept(&k.host);
	assert_comes("SELECT count(*) FROM images", 1);
	assert_null(keep_close(k.keep, k.host.engine));
	kept_fini(&k);
}

/* The same in its last moment. */
static void test_keep_closes_into_a_fresh_file(void **state)
{
	struct kept k;
	int64_t scores_n;

	(void)state;
	kept_init(&k);
	assert_true(keep_flush(k.keep, k.host.engine, NULL));
	assert_kept(&k.host);
	scores_n = bed_query("SELECT count(*) FROM block_scores", NULL, 0);
	bed_sql("DROP VIEW edges_v; DROP TABLE edges");
	run_program(&k.host, 0, "after");
	assert_null(keep_close(k.keep, k.host.engine));
	assert_kept(&k.host);
	assert_comes("SELECT count(*) FROM block_scores", scores_n);
	kept_fini(&k);
}

/* What could be read of it is not lost with the file. */
static void test_keep_opens_what_is_damaged(void **state)
{
	struct kept k;
	int64_t nodes_n;

	(void)state;
	kept_init(&k);
	assert_null(keep_close(k.keep, k.host.engine));
	nodes_n = bed_query("SELECT count(*) FROM nodes", NULL, 0);
	kept_fini(&k);
	damaged = true;
	kept_open(&k);
	assert_false(damaged);
	assert_null(keep_close(k.keep, k.host.engine));
	assert_graph_kept(&k.host);
	assert_int_equal(bed_query("SELECT count(*) FROM nodes", NULL, 0), nodes_n);
	assert_int_equal(bed_query("SELECT count(*) FROM model", NULL, 0), 1);
	kept_fini(&k);
}

enum { LONG_FILES = 20, LONG_BYTES = 3000 };

/* All that is asked for is read at once. */
static void run_long(struct host *h)
{
	uint32_t pid = host_spawn(h, 1, "/bin/long", NULL);
	struct action a;

	host_tick(h);
	while (engine_next_action(h->engine, &a))
		if (a.name)
			assert_int_equal(
				engine_result(h->engine,
					      &(struct action_result){.guess_id = a.guess_id,
								      .bytes_read = 4096,
								      .now = a.priority == WANT_NOW,
								      .bytes_planned = a.bytes,
								      .done_ns = h->now_ns}),
				0);
	for (int i = 0; i < LONG_FILES; i++) {
		char path[LONG_BYTES + 1];

		memset(path, 'x', sizeof(path));
		snprintf(path + LONG_BYTES - 4, 5, "%04d", i);
		path[0] = '/';
		host_open(h, pid, path, 0);
	}
	host_exit(h, pid);
	host_rest(h, 2000000000);
}

static int64_t done_guesses(const struct engine *e)
{
	const struct guess *g;
	uint64_t it = 0;
	int64_t n = 0;

	while (engine_next_ended(e, &it, &g))
		n += g->acted && g->outcome != OUTCOME_DROPPED;
	return n;
}

static int64_t run_long_often(struct kept *k)
{
	int64_t done_n;

	for (int i = 0; i < 60; i++)
		run_long(&k->host);
	done_n = done_guesses(k->host.engine);
	assert_true(done_n * LONG_BYTES > 2 << 20);
	return done_n;
}

#define DONE_GUESSES "SELECT count(*) FROM guesses WHERE acted AND outcome != 6"

/* After the disk was full for long. */
static void test_keep_puts_more_guesses_than_have_room(void **state)
{
	struct kept k;
	int64_t done_n;

	(void)state;
	kept_open(&k);
	done_n = run_long_often(&k);
	for (int i = 0; i < 10; i++) {
		assert_true(keep_flush(k.keep, k.host.engine, NULL));
		(void)usleep(10 * STEP_US);
	}
	assert_comes(DONE_GUESSES, done_n);
	assert_null(keep_close(k.keep, k.host.engine));
	kept_fini(&k);
}

static void test_keep_closes_with_more_guesses_than_have_room(void **state)
{
	struct kept k;
	int64_t done_n;

	(void)state;
	kept_open(&k);
	done_n = run_long_often(&k);
	assert_null(keep_close(k.keep, k.host.engine));
	assert_comes(DONE_GUESSES, done_n);
	kept_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(test_keep_pauses_and_loses_nothing),
		BED_TEST(test_keep_closes_what_paused),
		BED_TEST(test_keep_puts_all_into_a_fresh_file),
		BED_TEST(test_keep_closes_into_a_fresh_file),
		BED_TEST(test_keep_opens_what_is_damaged),
		BED_TEST(test_keep_puts_more_guesses_than_have_room),
		BED_TEST(test_keep_closes_with_more_guesses_than_have_room),
	};

	return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
