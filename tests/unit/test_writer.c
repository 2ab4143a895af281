// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The writer's thread and queue: order, what happens when it is full, when the disk is, at the end. */
#include "support/support.h"

#include "base/cleanup.h"
#include "store/store.h"
#include "store/writer.h"
#include "support/scratch.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

DEFINE_CLEANUP(struct graph *, graph_free)
DEFINE_CLEANUP(struct store *, store_close)

static char dir[SCRATCH_DIR_MAX], path[96], aside[PATH_MAX];
static const struct writer_limits small = {.batch_max = 3, .batch_bytes = 65536};

static int setup(void **state)
{
	(void)state;
	if (scratch_make(dir, "writer"))
		return -1;
	snprintf(path, sizeof(path), "%s/forewarm.db", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

static struct graph *graph_of(void)
{
	struct graph_limits l = {
		.node_max = 5000, .edge_max = 20000, .use_max = 5000, .text_bytes_max = 1 << 20};
	struct graph *g = NULL;

	assert_int_equal(graph_new(&l, &g), 0);
	return g;
}

static void grow(struct graph *g, uint32_t step)
{
	for (uint32_t i = 0; i < 40; i++) {
		struct edge *e = NULL;
		uint32_t from = 0, to = 0;
		char name[64];

		snprintf(name, sizeof(name), "/bin/%u", (step + i) % 50);
		assert_int_equal(graph_intern(g, NODE_BLOCK, name, 1, &from), 0);
		snprintf(name, sizeof(name), "/lib/%u.%u", step, i);
		assert_int_equal(graph_intern(g, NODE_FILE, name, 1, &to), 0);
		assert_int_equal(graph_edge(g, from, to, i % 2 ? EDGE_OPEN : EDGE_EXEC, 1, &e), 0);
		e->count++;
		if (e->use)
			e->use->use_n = step;
	}
}

/* As much as there is room for; the rest stays with the graph. */
static uint32_t put_changes(struct writer *w, struct graph *g)
{
	struct graph_change c;
	uint32_t n = 0;

	for (; writer_room(w) && graph_next_change(g, &c); n++)
		writer_put_change(w, g, &c);
	writer_push(w);
	return n;
}

static void assert_stored(struct graph *g)
{
	_cleanup_(graph_freep) struct graph *back = graph_of();
	_cleanup_(store_closep) struct store *s = NULL;
	struct graph_stats a, b;
	const struct node *n;
	uint32_t it = 0;
	void *model;
	size_t model_n;

	assert_int_equal(store_open(path, aside, &s), 0);
	assert_int_equal(store_load(s, back, &model, &model_n), 0);
	free(model);
	graph_stats(g, &a);
	graph_stats(back, &b);
	assert_int_equal(a.nodes_n, b.nodes_n);
	assert_int_equal(a.edges_n, b.edges_n);
	while (graph_next_node(g, &it, &n)) {
		uint32_t id = graph_find(back, n->kind, n->name), eit = 0;
		const struct edge *e, *f;

		assert_true(id != 0);
		while (graph_next_out(g, n->id, &eit, &e)) {
			const struct node *to = graph_node_const(g, e->to);

			f = graph_edge_find(back, id, graph_find(back, to->kind, to->name),
					    e->kind);
			assert_non_null(f);
			assert_int_equal(f->count, e->count);
			if (e->use)
				assert_int_equal(f->use->use_n, e->use->use_n);
		}
	}
}

static void test_writer_writes_what_was_put(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	_cleanup_(store_closep) struct store *s = NULL;
	struct writer *w = NULL;
	struct writer_stats st;
	uint32_t lost_n = 9;

	(void)state;
	assert_int_equal(store_open(path, aside, &s), 0);
	assert_int_equal(writer_start(s, &small, &w), 0);
	for (uint32_t step = 0; step < 60; step++) {
		grow(g, step);
		(void)put_changes(w, g);
	}
	/* More than the queue takes at once: what had no room comes with the next push. */
	do
		assert_int_equal(writer_flush_wait(w, 20000), 0);
	while (put_changes(w, g));
	writer_stats(w, &st);
	assert_int_equal(st.faults_n, 0);
	assert_true(st.committed_n > 3);
	assert_int_equal(st.queued_n, 0);
	assert_true(st.store_bytes > 65536);
	w = writer_stop(w, &lost_n);
	assert_null(w);
	assert_int_equal(lost_n, 0);
	s = store_close(s);
	assert_stored(g);
}

/* What came back, and how often. */
struct carried {
	struct guess guess;
	struct block_score block_score;
	uint32_t guess_n, ranges_n, block_score_n, block, file;
	size_t bytes_n;
	uint8_t bytes[4];
};

static void guess_see(void *ctx, const struct guess *guess)
{
	struct carried *c = ctx;

	c->guess = *guess;
	c->guess_n++;
}

static void ranges_see(void *ctx, uint32_t block, uint32_t file, const void *bytes, size_t n)
{
	struct carried *c = ctx;

	c->block = block;
	c->file = file;
	c->bytes_n = n;
	memcpy(c->bytes, bytes, n < sizeof(c->bytes) ? n : sizeof(c->bytes));
	c->ranges_n++;
}

static void block_score_see(void *ctx, uint32_t block, const struct block_score *score)
{
	struct carried *c = ctx;

	c->block = block;
	c->block_score = *score;
	c->block_score_n++;
}

static void test_writer_carries_guesses_scores_and_the_model(void **state)
{
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_(graph_freep) struct graph *g = graph_of(), *back = graph_of();
	struct guess guess = {.id = 5, .kind = EDGE_OPEN, .outcome = OUTCOME_HIT, .p = 0.5};
	struct score score = {.guesses_n = 7, .bytes_read = 123, .lambda = 2}, got;
	struct block_score of_block = {.bytes_read = 77, .saved_ns = 8};
	struct carried seen = {0};
	const struct node *block, *via, *file;
	struct writer *w = NULL;
	char long_name[5000];
	void *model = NULL;
	uint32_t id = 0;
	size_t n = 0;

	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	long_name[4095] = 0;
	assert_int_equal(graph_intern(g, NODE_BLOCK, long_name, 1, &id), 0);
	block = graph_node_const(g, id);
	assert_int_equal(graph_intern(g, NODE_BLOCK, "/bin/via", 1, &id), 0);
	via = graph_node_const(g, id);
	long_name[0] = '/';
	assert_int_equal(graph_intern(g, NODE_FILE, long_name, 1, &id), 0);
	file = graph_node_const(g, id);
	assert_int_equal(store_open(path, aside, &s), 0);
	assert_int_equal(writer_start(s, &small, &w), 0);
	assert_int_equal(put_changes(w, g), 3);
	for (int i = 0; i < 3; i++) {
		assert_true(writer_room(w));
		guess.id++;
		writer_put_guess(w, &guess, block->name, via->name, file->name, 1000 + guess.id);
		assert_true(writer_room_ranges(w, 3));
		writer_put_ranges(w, block, file, i ? "two" : "one", 3);
		assert_true(writer_room(w));
		writer_put_score(w, 1, &score);
		assert_true(writer_room(w));
		writer_put_block_score(w, block, &of_block);
		assert_true(writer_room(w));
		writer_take_model(w, strdup(i ? "second" : "first"), 6);
	}
	w = writer_stop(w, NULL); /* pushes, commits, ends */
	assert_int_equal(store_load(s, back, &model, &n), 0);
	assert_int_equal(n, 6);
	assert_memory_equal(model, "second", 6);
	free(model);
	assert_int_equal(store_load_guesses(s, back, 10, guess_see, &seen), 0);
	assert_int_equal(seen.guess_n, 3);
	assert_int_equal(seen.guess.block, graph_find(back, NODE_BLOCK, block->name));
	assert_int_equal(seen.guess.via, graph_find(back, NODE_BLOCK, "/bin/via"));
	assert_int_equal(seen.guess.dep, graph_find(back, NODE_FILE, file->name));
	assert_true(seen.guess.p == 0.5 && seen.guess.made_ns == 1008);
	assert_int_equal(store_load_ranges(s, back, ranges_see, &seen), 0);
	assert_int_equal(seen.ranges_n, 1);
	assert_int_equal(seen.block, graph_find(back, NODE_BLOCK, block->name));
	assert_int_equal(seen.file, graph_find(back, NODE_FILE, file->name));
	assert_int_equal(seen.bytes_n, 3);
	assert_memory_equal(seen.bytes, "two", 3);
	assert_int_equal(store_load_scores(s, back, block_score_see, &seen, &got), 0);
	assert_int_equal(seen.block_score_n, 1);
	assert_int_equal(seen.block_score.bytes_read, 77);
	assert_int_equal(seen.block_score.saved_ns, 8);
	assert_int_equal(got.guesses_n, 7);
	assert_int_equal(got.bytes_read, 123);
	assert_true(got.lambda == 2);
}

/* Ranges are as long as they are: what does not fit in what is left of a batch opens the next one, and what
 * fits in none is refused. */
static void test_writer_ranges_fill_batches(void **state)
{
	static uint8_t bytes[65536];
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_(graph_freep) struct graph *g = graph_of(), *back = graph_of();
	struct node file = {.kind = NODE_FILE};
	struct carried seen = {0};
	const struct node *block;
	struct writer *w = NULL;
	struct writer_stats st;
	uint32_t id = 0, largest = sizeof(bytes);
	void *model = NULL;
	char name[32];
	size_t n;

	(void)state;
	assert_int_equal(graph_intern(g, NODE_BLOCK, "/bin/a", 1, &id), 0);
	block = graph_node_const(g, id);
	assert_int_equal(store_open(path, aside, &s), 0);
	assert_int_equal(writer_start(s, &small, &w), 0);
	while (largest && !writer_room_ranges(w, largest))
		largest--;
	assert_in_range(largest, 30000, sizeof(bytes) - 1);
	for (int i = 0; i < 20; i++) {
		file.name = name;
		snprintf(name, sizeof(name), "/lib/%d", i);
		n = i % 2 ? largest : largest / 3;
		while (!writer_room_ranges(w, n))
			assert_int_equal(writer_flush_wait(w, 20000), 0);
		memset(bytes, i, sizeof(bytes));
		writer_put_ranges(w, block, &file, bytes, n);
	}
	assert_int_equal(writer_flush_wait(w, 20000), 0);
	writer_stats(w, &st);
	assert_true(st.committed_n >= 10);
	assert_int_equal(st.faults_n, 0);
	w = writer_stop(w, NULL);
	assert_int_equal(store_load(s, back, &model, &n), 0);
	free(model);
	assert_int_equal(store_load_ranges(s, back, ranges_see, &seen), 0);
	assert_int_equal(seen.ranges_n, 20);
}

/* Somebody else holds the file: nothing can be committed. */
static struct writer *writer_of_held_file(struct store **ret_store, sqlite3 **ret_holder)
{
	struct writer *w = NULL;

	assert_int_equal(store_open(path, aside, ret_store), 0);
	assert_int_equal(writer_start(*ret_store, &small, &w), 0);
	assert_int_equal(sqlite3_open(path, ret_holder), SQLITE_OK);
	assert_int_equal(sqlite3_exec(*ret_holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return w;
}

static void test_writer_full_queue_leaves_changes_with_the_caller(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	_cleanup_(store_closep) struct store *s = NULL;
	struct writer *w = NULL;
	struct writer_stats st;
	uint32_t lost_n = 9;
	sqlite3 *other;

	(void)state;
	w = writer_of_held_file(&s, &other);
	for (uint32_t step = 0; step < 40; step++) {
		grow(g, step);
		(void)put_changes(w, g);
	}
	assert_false(writer_room(w));
	assert_int_equal(writer_flush_wait(w, 50), WRITER_BEHIND);
	for (int i = 0; i < 100; i++) { /* the busy timeout of a statement is 1 s */
		writer_stats(w, &st);
		if (st.faults_n)
			break;
		usleep(100000);
	}
	assert_int_equal(st.fault_last, -EBUSY);
	assert_true(st.faults_n > 0);
	assert_int_equal(st.queued_n, 3);
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	do
		assert_int_equal(writer_flush_wait(w, 20000), 0);
	while (put_changes(w, g));
	writer_stats(w, &st);
	assert_int_equal(st.fault_last, 0);
	w = writer_stop(w, &lost_n);
	assert_int_equal(lost_n, 0);
	s = store_close(s);
	assert_stored(g);
}

static void test_writer_full_disk_loses_nothing(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	_cleanup_(store_closep) struct store *s = NULL;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct writer *w = NULL;
	struct writer_stats st;
	struct rlimit was, tight;
	uint32_t lost_n = 9;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	tight = (struct rlimit){.rlim_cur = 200 << 10, .rlim_max = was.rlim_max};
	assert_int_equal(store_open(path, aside, &s), 0);
	assert_int_equal(writer_start(s, &small, &w), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (uint32_t step = 0; step < 100; step++) {
		grow(g, step);
		(void)put_changes(w, g);
		(void)writer_flush_wait(w, 50);
		writer_stats(w, &st);
		if (st.fault_last)
			break;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(st.fault_last, -ENOSPC);
	assert_true(strlen(st.message) > 0);
	do
		assert_int_equal(writer_flush_wait(w, 20000), 0);
	while (put_changes(w, g));
	w = writer_stop(w, &lost_n);
	assert_int_equal(lost_n, 0);
	s = store_close(s);
	assert_stored(g);
	(void)signal(SIGXFSZ, handler);
}

static void test_writer_tells_at_the_end_what_was_lost(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	_cleanup_(store_closep) struct store *s = NULL;
	struct writer *w = NULL;
	uint32_t lost_n = 0;
	sqlite3 *other;

	(void)state;
	w = writer_of_held_file(&s, &other);
	grow(g, 1);
	(void)put_changes(w, g);
	w = writer_stop(w, &lost_n);
	assert_int_equal(lost_n, 1);
	sqlite3_close(other);
	assert_null(writer_stop(NULL, NULL));
}

static void test_writer_goes_on_with_a_fresh_file(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	_cleanup_(store_closep) struct store *s = NULL;
	struct writer *w = NULL;
	struct writer_stats st;
	sqlite3 *other;

	(void)state;
	assert_int_equal(store_open(path, aside, &s), 0);
	assert_int_equal(writer_start(s, &small, &w), 0);
	/* Somebody drops a table behind our back. */
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(other, "DROP VIEW edges_v; DROP TABLE edges", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(other);
	grow(g, 1);
	(void)put_changes(w, g);
	assert_int_equal(writer_flush_wait(w, 20000), 0);
	writer_stats(w, &st);
	assert_int_equal(st.set_aside_n, 1);
	assert_non_null(strstr(st.aside, ".corrupt-"));
	assert_int_equal(access(st.aside, F_OK), 0);
	w = writer_stop(w, NULL);
	s = store_close(s);
	assert_stored(g);
}

/* It is told whatever came of the batch: at that moment there may be no room for a fresh one. */
static void test_writer_tells_what_was_set_aside_on_a_full_disk(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	_cleanup_(store_closep) struct store *s = NULL;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct rlimit was, tight;
	struct writer *w = NULL;
	struct writer_stats st;
	sqlite3 *other;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	tight = (struct rlimit){.rlim_cur = 1024, .rlim_max = was.rlim_max};
	assert_int_equal(store_open(path, aside, &s), 0);
	assert_int_equal(writer_start(s, &small, &w), 0);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(other, "DROP VIEW edges_v; DROP TABLE edges", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(other);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	grow(g, 1);
	(void)put_changes(w, g);
	(void)writer_flush_wait(w, 200);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	writer_stats(w, &st);
	assert_true(st.faults_n > 0);
	assert_int_equal(writer_flush_wait(w, 20000), 0);
	writer_stats(w, &st);
	assert_int_equal(st.set_aside_n, 1);
	assert_non_null(strstr(st.aside, ".corrupt-"));
	w = writer_stop(w, NULL);
	s = store_close(s);
	assert_stored(g);
	(void)signal(SIGXFSZ, handler);
}

static void test_writer_refuses_limits_it_cannot_keep(void **state)
{
	struct writer_limits bad[] = {{0, 65536}, {1, 65535}};
	struct writer *w = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(writer_start(NULL, &bad[i], &w), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_writer_writes_what_was_put, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writer_carries_guesses_scores_and_the_model,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_writer_ranges_fill_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_writer_full_queue_leaves_changes_with_the_caller, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writer_full_disk_loses_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_writer_tells_at_the_end_what_was_lost, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_writer_goes_on_with_a_fresh_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_writer_tells_what_was_set_aside_on_a_full_disk,
						setup, teardown),
		cmocka_unit_test(test_writer_refuses_limits_it_cannot_keep),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
