// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_table.c - the row that says whether a start wakes the daemon: written when it would say something else, and
 * for whoever looks now and then. The kernel's map is counted here (the linker puts us between).
 */
#include "daemon/table.h"
#include "support/support.h"

#include "base/cleanup.h"
#include "support/host.h"

#include <string.h>

DEFINE_CLEANUP(struct table *, table_free)

#define MS 1000000ull
#define S (1000 * MS)
#define TOOL "/bin/tool"

static unsigned written_n;
static uint32_t wake; /* as written last */
static uint32_t left_n;

int __wrap_capture_guesses_update(struct capture *c, const struct fwm_block_key *key,
				  const struct fwm_guess_row *row);
int __wrap_capture_edges_update(struct capture *c, uint32_t id, const struct fwm_edge_row *row);
int __wrap_capture_resident_left(struct capture *c, uint32_t *ret_n);

int __wrap_capture_guesses_update(struct capture *c, const struct fwm_block_key *key,
				  const struct fwm_guess_row *row)
{
	(void)c, (void)key;
	wake = row->wake;
	written_n++;
	return 0;
}

enum { EDGES = 512 };

static struct fwm_edge_row edges[EDGES + 1]; /* by id */
static unsigned edges_written_n;

int __wrap_capture_edges_update(struct capture *c, uint32_t id, const struct fwm_edge_row *row)
{
	(void)c;
	assert_in_range(id, 1, EDGES);
	edges[id] = *row;
	edges_written_n++;
	return 0;
}

int __wrap_capture_resident_left(struct capture *c, uint32_t *ret_n)
{
	(void)c;
	*ret_n = left_n;
	return 0;
}

/* So long after the one before, with the ticks between. How often was the map written to? */
static unsigned start(struct host *h, struct table *t, uint64_t after_ns, uint64_t ino)
{
	unsigned before = written_n;
	struct obs o = {.kind = OBS_EXEC, .name = TOOL, .file.ino = ino};
	uint32_t pid;

	for (; after_ns; after_ns -= 100 * MS) {
		host_pass(h, 100 * MS);
		table_tick(t, h->engine, NULL, h->now_ns, NULL);
	}
	pid = host_spawn(h, 1, TOOL, NULL);
	o.ts_ns = h->now_ns;
	table_note(t, h->engine, NULL, &o);
	host_open(h, pid, "/data/tool", 0);
	host_exit(h, pid);
	return written_n - before;
}

static void test_table_writes_what_says_something_else(void **state)
{
	static const uint64_t after_ns[] = {100 * MS, 1500 * MS, 600 * MS, 1500 * MS, 100 * MS};
	_cleanup_(table_freep) struct table *t = NULL;
	struct host *h = *state;

	left_n = 0;
	assert_int_equal(table_new(host_limits().graph.node_max, S, &t), 0);
	for (int i = 0; i < 12; i++)
		(void)start(h, t, 2 * S, 7);
	assert_true(start(h, t, 11 * S, 7) > 0); /* for whoever looks */
	assert_true(wake == FWM_WAKE_LEFT || wake == FWM_WAKE_IDLE);
	for (size_t i = 0; i < ARRAY_SIZE(after_ns); i++)
		assert_int_equal(start(h, t, after_ns[i], 7), 0);
	left_n++;
	assert_true(start(h, t, 600 * MS, 7) > 0);
	assert_int_equal(start(h, t, 1500 * MS, 7), 0);
	assert_true(start(h, t, 1500 * MS, 8) > 0); /* another file by that name */
	h->cold = true;
	assert_int_equal(start(h, t, 600 * MS, 8), 0);
	h->cold = false;
	written_n = 0;
	for (int i = 0; i < 10; i++) {
		host_pass(h, 100 * MS);
		table_tick(t, h->engine, NULL, h->now_ns, NULL);
	}
	assert_true(written_n > 0); /* it read from a disk: the next one may be worth it */
	assert_true(wake != FWM_WAKE_LEFT && wake != FWM_WAKE_IDLE);
}

static bool yes(void *ctx)
{
	(void)ctx;
	return true;
}

static const struct pause always = {.wanted = yes};

/* Program i runs i + 1 times, and each time opens a file of its own, and once one that it shares. */
static void run_many(struct host *h, unsigned programs_n)
{
	for (unsigned i = 0; i < programs_n; i++) {
		char exe[64], own[64];

		snprintf(exe, sizeof(exe), "/bin/many%03u", i);
		snprintf(own, sizeof(own), "/data/many%03u", i);
		for (unsigned n = 0; n <= i; n++) {
			uint32_t pid = host_spawn(h, 1, exe, NULL);

			host_open(h, pid, own, 0);
			host_exit(h, pid);
			host_pass(h, 10 * MS);
		}
	}
}

/* In goes of one step: the same rows, and what goes away meanwhile does no harm. */
static void test_table_edges_pause(void **state)
{
	_cleanup_(table_freep) struct table *t = NULL;
	_cleanup_(table_freep) struct table *at_once = NULL;
	static struct fwm_edge_row paused[EDGES + 1];
	struct host *h = *state;
	unsigned goes_n = 0, rows_n;

	assert_int_equal(table_new(host_limits().graph.node_max, S, &t), 0);
	assert_int_equal(table_new(host_limits().graph.node_max, S, &at_once), 0);
	run_many(h, 40);
	memset(edges, 0, sizeof(edges));
	for (edges_written_n = 0; !table_edges(t, h->engine, NULL, &always); goes_n++)
		assert_true(edges_written_n <= goes_n + 1);
	rows_n = edges_written_n;
	assert_true(goes_n > rows_n && rows_n > 80);
	memcpy(paused, edges, sizeof(paused));
	memset(edges, 0, sizeof(edges));
	edges_written_n = 0;
	assert_true(table_edges(at_once, h->engine, NULL, NULL));
	assert_int_equal(edges_written_n, rows_n);
	assert_memory_equal(paused, edges, sizeof(paused));
	edges_written_n = 0;
	assert_true(table_edges(t, h->engine, NULL, NULL)); /* a round of its own: nothing is new */
	assert_int_equal(edges_written_n, 0);
}

static void test_table_edges_pause_while_the_graph_changes(void **state)
{
	_cleanup_(table_freep) struct table *t = NULL;
	struct host h;
	struct engine_limits limits = host_limits();
	unsigned goes_n = 0;

	(void)state;
	limits.graph.node_max = 64;
	limits.graph.edge_max = 128;
	host_init(&h, &limits);
	assert_int_equal(table_new(limits.graph.node_max, S, &t), 0);
	run_many(&h, 20);
	for (unsigned round = 0; round < 3; round++) {
		for (; !table_edges(t, h.engine, NULL, &always); goes_n++) {
			char exe[64];
			uint32_t pid;

			snprintf(exe, sizeof(exe), "/bin/other%u", goes_n);
			pid = host_spawn(&h, 1, exe, NULL);
			host_open(&h, pid, exe, 0);
			host_exit(&h, pid);
			assert_true(goes_n < 3 * (64 + EDGES));
		}
	}
	assert_true(goes_n > 64);
	host_fini(&h);
}

/* One row a go, all of them in the end. */
static void test_table_tick_pauses(void **state)
{
	_cleanup_(table_freep) struct table *t = NULL;
	struct host *h = *state;
	unsigned goes_n = 0, at_once_n;

	left_n = 0;
	h->cold = true;
	assert_int_equal(table_new(host_limits().graph.node_max, S, &t), 0);
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 10 * 20; i++) {
			char exe[64];
			struct obs o = {.kind = OBS_EXEC, .name = exe, .file.ino = 1000 + i % 20};
			uint32_t pid;

			snprintf(exe, sizeof(exe), "/bin/busy%02u", i % 20);
			pid = host_spawn(h, 1, exe, NULL);
			o.ts_ns = h->now_ns;
			table_note(t, h->engine, NULL, &o);
			host_open(h, pid, exe, 0);
			host_exit(h, pid);
		}
		host_pass(h, 2 * S);
		written_n = 0;
		if (round == 0) {
			assert_true(table_tick(t, h->engine, NULL, h->now_ns, NULL));
			at_once_n = written_n;
			continue;
		}
		while (!table_tick(t, h->engine, NULL, h->now_ns, &always)) {
			goes_n++;
			assert_int_equal(written_n,
					 2 * goes_n); /* with its argument, and without */
			assert_true(goes_n <= 20);
		}
		assert_int_equal(goes_n, 20);
		assert_int_equal(written_n, at_once_n);
	}
}

static void test_table_edges_are_looked_at_seldom_where_it_takes_long_but_each_minute(void **state)
{
	(void)state;
	assert_int_equal(table_edges_rest(0), 5 * S);
	assert_int_equal(table_edges_rest(MS), 5 * S);
	assert_int_equal(table_edges_rest(8 * MS), 40 * S);
	assert_int_equal(table_edges_rest(12 * MS), 60 * S);
	assert_int_equal(table_edges_rest(13 * MS), 60 * S);
	assert_int_equal(table_edges_rest(UINT64_MAX / 2), 60 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_table_writes_what_says_something_else),
		WITH_HOST(test_table_edges_pause),
		cmocka_unit_test(test_table_edges_pause_while_the_graph_changes),
		WITH_HOST(test_table_tick_pauses),
		cmocka_unit_test(
			test_table_edges_are_looked_at_seldom_where_it_takes_long_but_each_minute),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
