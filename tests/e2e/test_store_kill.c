// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A writer is killed with SIGKILL at 100 random moments and starts again each time on the same file.
 * Each flush is numbered: the number goes into every edge of the batch, and into shared memory
 * before the flush and after its commit. So after each kill we know what must be there: all of the
 * last committed flush, perhaps the one that was under way, whole or not at all.
 */
#include "support/support.h"
#include "support/built.h"

#include "store/store.h"
#include "support/scratch.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILL_N = 100, BLOCK_N = 20, DEP_N = 25, FLUSH_GAP_US = 2000 };

struct shared {
	_Atomic uint64_t begun, committed;
};

static char dir[SCRATCH_DIR_MAX], path[96];

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

/* Every edge gets count = seq; each flush adds one new node too. */
static int flush(struct store *s, struct graph *g, uint64_t seq)
{
	struct graph_change c;
	char name[64];
	uint32_t id;
	int r;

	for (uint32_t i = 0; i < BLOCK_N; i++) {
		for (uint32_t j = 0; j < DEP_N; j++) {
			uint32_t from = 0, to = 0;
			struct edge *e;

			snprintf(name, sizeof(name), "/bin/%u", i);
			(void)graph_intern(g, NODE_BLOCK, name, seq, &from);
			snprintf(name, sizeof(name), "/lib/%u", j);
			(void)graph_intern(g, NODE_FILE, name, seq, &to);
			r = graph_edge(g, from, to, EDGE_OPEN, seq, &e);
			if (r)
				return r;
			e->count = seq;
		}
	}
	snprintf(name, sizeof(name), "/tmp/seq.%llu", (unsigned long long)seq);
	(void)graph_intern(g, NODE_FILE, name, seq, &id);
	r = store_begin(s);
	while (!r && graph_next_change(g, &c)) {
		if (c.removed)
			r = c.node ? store_del_node(s, c.node->kind, c.node->name) : -EINVAL;
		else
			r = c.node ? store_put_node(s, c.node)
				   : store_put_edge(s, c.edge, graph_node(g, c.edge->from),
						    graph_node(g, c.edge->to));
	}
	return r ? r : store_commit(s);
}

/* Continues after the highest number in the file, until it is killed; exits only at a fault. */
static void write_for_ever(struct shared *sh)
{
	struct graph_limits l = {
		.node_max = 400, .edge_max = 2000, .use_max = 16, .text_bytes_max = 65536};
	struct graph *g = NULL;
	struct store *s = NULL;
	char aside[PATH_MAX];
	void *model;
	size_t n;

	if (graph_new(&l, &g))
		_exit(1);
	if (store_open(path, aside, &s))
		_exit(2);
	if (store_load(s, g, &model, &n))
		_exit(3);
	for (uint64_t seq = atomic_load(&sh->begun) + 1;; seq++) {
		atomic_store(&sh->begun, seq);
		if (flush(s, g, seq))
			_exit(4);
		atomic_store(&sh->committed, seq);
		usleep(FLUSH_GAP_US);
	}
}

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* Returns the number of the flush that is in the file. */
static uint64_t check_file(void)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	uint64_t seq;

	assert_int_equal(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(st, 0), "ok");
	sqlite3_finalize(st);
	/* Killed before anything was made, it is empty: also a file that opens. */
	if (!number(db, "SELECT count(*) FROM sqlite_schema")) {
		sqlite3_close(db);
		return 0;
	}
	seq = (uint64_t)number(db, "SELECT ifnull(max(count), 0) FROM edges");
	if (seq) {
		assert_int_equal(number(db, "SELECT min(count) FROM edges"), seq);
		assert_int_equal(number(db, "SELECT count(*) FROM edges"), BLOCK_N * DEP_N);
		assert_int_equal(number(db, "SELECT count(*) FROM edges_v"), BLOCK_N * DEP_N);
	}
	sqlite3_close(db);
	return seq;
}

static void test_store_survives_kill_at_any_moment(void **state)
{
	struct shared *sh =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* A slow machine: fewer kills, further apart. */
	const int scale = (int)built_scale(), kill_n = KILL_N / scale;
	uint64_t flushes_n = 0, under_way_n = 0, kept_n = 0;

	(void)state;
	assert_ptr_not_equal(sh, MAP_FAILED);
	assert_int_equal(scratch_make_on_disk(dir, "kill"), 0);
	snprintf(path, sizeof(path), "%s/forewarm.db", dir);
	srandom(3);
	for (int i = 0; i < kill_n; i++) {
		uint64_t start = atomic_load(&sh->begun), begun, committed, stored;
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid)
			write_for_ever(sh);
		/* Some die before they have opened the file, some after many flushes. */
		usleep((useconds_t)(random() % (i % 4 ? 120000 : 10000) * scale));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status))
			fail_msg("the writer exited with %d", WEXITSTATUS(status));
		begun = atomic_load(&sh->begun);
		committed = atomic_load(&sh->committed);
		stored = check_file();
		if (stored != committed && stored != begun)
			fail_msg("kill %d: begun %llu, committed %llu, in the file %llu", i,
				 (unsigned long long)begun, (unsigned long long)committed,
				 (unsigned long long)stored);
		assert_true(begun - start <= 1 || committed > start);
		flushes_n += begun - start;
		under_way_n += begun != committed;
		kept_n += begun != committed && stored == begun;
		/* The next writer counts on from what was begun. */
		atomic_store(&sh->committed, stored);
	}
	printf("# %d kills over %llu flushes, %llu of them in the middle of one: %llu of those are "
	       "in the file, the others are not, none in part\n",
	       kill_n, (unsigned long long)flushes_n, (unsigned long long)under_way_n,
	       (unsigned long long)kept_n);
	assert_true(flushes_n > (uint64_t)kill_n && under_way_n > 0);
	(void)munmap(sh, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_store_survives_kill_at_any_moment, teardown),
	};

	return cmocka_run_group_tests_name("store_kill", tests, NULL, NULL);
}
