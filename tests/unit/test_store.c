// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The store on real files: what goes in comes out; a full disk loses nothing; a file that is
 * damaged, foreign or newer is set aside and never brings us down.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "store/store.h"
#include "support/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

DEFINE_CLEANUP(struct graph *, graph_free)
DEFINE_CLEANUP(struct store *, store_close)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BENCH_EDGES = 50000, DAMAGE_N = 60 };
#else
enum { BENCH_EDGES = 200000, DAMAGE_N = 300 };
#endif

#define T0 1700000000000000000ull

static char dir[SCRATCH_DIR_MAX], path[96], aside[PATH_MAX];

static int setup(void **state)
{
	(void)state;
	if (scratch_make(dir, "store"))
		return -1;
	snprintf(path, sizeof(path), "%s/forewarm.db", dir);
	aside[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

static struct graph *graph_of(uint32_t node_max, uint32_t edge_max)
{
	struct graph_limits l = {.node_max = node_max,
				 .edge_max = edge_max,
				 .use_max = edge_max,
				 .text_bytes_max = 64 * node_max + 65536};
	struct graph *g = NULL;

	assert_int_equal(graph_new(&l, &g), 0);
	return g;
}

static struct store *open_store(int want)
{
	struct store *s = NULL;

	assert_int_equal(store_open(path, aside, &s), want);
	assert_non_null(s);
	return s;
}

/* Gives all changes of g to the batch that is open. */
static int put_changes(struct store *s, struct graph *g)
{
	struct graph_change c;
	int r = 0;

	while (!r && graph_next_change(g, &c)) {
		if (c.node && c.removed)
			r = store_del_node(s, c.node->kind, c.node->name);
		else if (c.node)
			r = store_put_node(s, c.node);
		else if (c.removed)
			r = store_del_edge(s, c.edge->kind, graph_node(g, c.edge->from),
					   graph_node(g, c.edge->to));
		else
			r = store_put_edge(s, c.edge, graph_node(g, c.edge->from),
					   graph_node(g, c.edge->to));
	}
	return r;
}

static void flush(struct store *s, struct graph *g)
{
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(put_changes(s, g), 0);
	assert_int_equal(store_commit(s), 0);
}

static struct graph *loaded(struct store *s)
{
	struct graph *g = graph_of(1000, 4000);
	void *model = NULL;
	size_t n;

	assert_int_equal(store_load(s, g, &model, &n), 0);
	free(model);
	return g;
}

static uint32_t intern(struct graph *g, enum node_kind kind, const char *name)
{
	uint32_t id = 0;

	assert_int_equal(graph_intern(g, kind, name, T0, &id), 0);
	return id;
}

/* Nodes and edges with a different value in each field. */
static void fill(struct graph *g, uint32_t blocks_n, uint32_t deps_n)
{
	for (uint32_t i = 0; i < blocks_n; i++) {
		char name[64];
		uint32_t from;

		snprintf(name, sizeof(name), "/usr/bin/prog%u --sub", i);
		from = intern(g, NODE_BLOCK, name);
		graph_node(g, from)->runs_n = 10 + i;
		graph_node(g, from)->uid = i;
		for (uint32_t j = 0; j < deps_n; j++) {
			enum edge_kind kind = (enum edge_kind)(1 + j % 3);
			struct edge *e;
			uint32_t to;

			snprintf(name, sizeof(name), "/usr/lib/%u.so\xff\x01", i % 7 + j * 13);
			to = intern(g, (enum node_kind)kind, name);
			graph_node(g, to)->size_bytes = 4096 * j;
			graph_node(g, to)->dev = UINT64_MAX - j;
			graph_node(g, to)->ino = j;
			graph_node(g, to)->flags = j % 2 ? NODE_F_ABSENT : NODE_F_DIR;
			assert_int_equal(graph_edge(g, from, to, kind, T0 + j, &e), 0);
			e->count = 100 + j;
			e->runs_n = 1 + j;
			e->fail_n = j;
			e->errno_last = (int32_t)j % 40;
			e->latency_sum_ns = 1000 * j;
			e->lead_sum_ns = 77 * j;
			e->lead_n = 2 + j;
			e->p_last = 1.0 / (1 + j);
			e->run_last = 5 + j;
			sketch_add(&e->latency, 1000ull << j % 10);
			if (e->use)
				*e->use = (struct edge_use){j,	   2 + j, 3 + j, 4 + j,
							    5 + j, 6 + j, 7 + j, 8 + j};
		}
	}
}

/* b has what a has, whatever the ids. */
static void assert_within(const struct graph *a, const struct graph *b)
{
	const struct node *n;
	uint32_t it = 0;

	while (graph_next_node(a, &it, &n)) {
		const struct node *m = graph_node_const(b, graph_find(b, n->kind, n->name));
		const struct edge *e;
		struct node same;
		uint32_t eit = 0;

		assert_non_null(m);
		same = *m;
		same.id = n->id;
		same.name = n->name;
		assert_memory_equal(&same, n, sizeof(same));
		while (graph_next_out(a, n->id, &eit, &e)) {
			const struct node *to = graph_node_const(a, e->to);
			const struct edge *f = graph_edge_find(
				b, m->id, graph_find(b, to->kind, to->name), e->kind);
			struct edge alike;

			assert_non_null(f);
			alike = *f;
			alike.from = e->from;
			alike.to = e->to;
			alike.use = e->use;
			assert_memory_equal(&alike, e, sizeof(alike));
			if (e->use)
				assert_memory_equal(e->use, f->use, sizeof(*e->use));
		}
	}
}

static void assert_same(const struct graph *a, const struct graph *b)
{
	assert_within(a, b);
	assert_within(b, a);
}

static int64_t query(const char *sql, char *ret_text, size_t text_max)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW) {
		n = sqlite3_column_int64(st, 0);
		if (ret_text)
			snprintf(ret_text, text_max, "%s",
				 (const char *)sqlite3_column_text(st, 0));
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* --- round trip -------------------------------------------------------------------------------- */

static void test_store_brings_back_what_was_put(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(1000, 4000);
	struct store *s = open_store(0);
	struct graph_change c;

	(void)state;
	fill(g, 20, 30);
	flush(s, g);
	for (int round = 0; round < 3; round++) {
		_cleanup_(graph_freep) struct graph *back = NULL;

		if (round == 1) /* from the file alone, without a log */
			s = (store_close(s), open_store(0));
		if (round == 2) { /* the same edges with other totals */
			fill(g, 10, 31);
			flush(s, g);
		}
		back = loaded(s);
		assert_same(g, back);
		assert_false(graph_next_change(back, &c));
	}
	store_close(s);
}

static void test_store_forgets_what_was_removed(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(64, 200), *back = NULL;
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct graph_stats st;

	(void)state;
	for (uint32_t round = 0; round < 5; round++) { /* each evicts much of the one before */
		fill(g, 5 + round * 9, 20);
		flush(s, g);
	}
	graph_stats(g, &st);
	assert_true(st.nodes_evicted > 50 && st.edges_evicted > 100);
	back = loaded(s);
	assert_same(g, back);
	assert_int_equal(query("SELECT count(*) FROM edges", NULL, 0), st.edges_n);
	assert_int_equal(query("SELECT count(*) FROM nodes", NULL, 0), st.nodes_n);
}

static void test_store_loads_into_a_smaller_graph(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(1000, 4000), *back = graph_of(50, 100);
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct graph_stats st;
	void *model;
	size_t n;

	(void)state;
	fill(g, 20, 30);
	flush(s, g);
	assert_int_equal(store_load(s, back, &model, &n), 0);
	graph_stats(back, &st);
	assert_int_equal(st.nodes_n, 50);
	/* No edge is hung on an id that was given to another name meanwhile. */
	flush(s, back);
	assert_int_equal(query("SELECT count(*) FROM nodes", NULL, 0), 50);
	assert_int_equal(query("SELECT count(*) FROM edges", NULL, 0), st.edges_n);
	for (uint32_t id = 1; id <= 50; id++) {
		const struct node *from = graph_node(back, id), *to;
		const struct edge *e;
		uint32_t it = 0;

		while (graph_next_out(back, id, &it, &e)) {
			to = graph_node(back, e->to);
			e = graph_edge_find(g, graph_find(g, from->kind, from->name),
					    graph_find(g, to->kind, to->name), e->kind);
			assert_non_null(e);
		}
	}
}

static void test_store_rolls_back(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(1000, 4000), *back = NULL;
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct node extra = {.kind = NODE_FILE, .name = "/never"};

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_node(s, &extra), 0);
	store_rollback(s);
	store_rollback(s);
	fill(g, 3, 3); /* rows get the numbers which were rolled back */
	flush(s, g);
	back = loaded(s);
	assert_same(g, back);
}

static void test_store_puts_the_ends_of_an_edge(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct node a = {.kind = NODE_BLOCK, .name = "a"}, f = {.kind = NODE_FILE, .name = "f"};
	struct edge e = {.kind = EDGE_OPEN, .count = 1, .p_last = 0.0 / 0.0};

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_edge(s, &e, &a, &f), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(query("SELECT count(*) FROM edges_v WHERE block = 'a'", NULL, 0), 1);
}

static void test_store_keeps_the_model(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(16, 16);
	_cleanup_(freep) char *big = malloc(3 << 20);
	struct store *s = open_store(0);
	void *model = (void *)-1;
	size_t n = 1;

	(void)state;
	assert_int_equal(store_load(s, g, &model, &n), 0);
	assert_null(model);
	assert_int_equal(n, 0);
	for (size_t i = 0; i < 3 << 20; i++)
		big[i] = (char)(i * 31 >> 7);
	for (int round = 0; round < 3; round++) {
		static const size_t size[] = {3 << 20, 5, 0};

		assert_int_equal(store_begin(s), 0);
		assert_int_equal(store_put_model(s, big, size[round]), 0);
		assert_int_equal(store_commit(s), 0);
		s = (store_close(s), open_store(0));
		if (!round) /* a file is no larger than it has to be */
			assert_int_equal(query("SELECT length(state) < 100000 FROM model", NULL, 0),
					 1);
		assert_int_equal(store_load(s, g, &model, &n), 0);
		assert_int_equal(n, size[round]);
		if (n)
			assert_memory_equal(model, big, n);
		free(model);
	}
	/* What is no frame, as it was written once, or a damaged one, comes back as it is. */
	for (int round = 0; round < 2; round++) {
		static const char *const put[] = {
			"INSERT OR REPLACE INTO model VALUES(1, 0, x'66776d766f6d6d0001020304')",
			"INSERT OR REPLACE INTO model VALUES(1, 0, x'28b52ffd200c610000010203')"};
		sqlite3 *db = NULL;

		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, put[round], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		assert_int_equal(store_load(s, g, &model, &n), 0);
		assert_int_equal(n, 12);
		assert_memory_equal(model, round ? "\x28\xb5" : "fw", 2);
		free(model);
	}
	store_close(s);
}

static void test_store_is_for_people_too(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(1000, 4000);
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct guess guess = {.id = 7,
			      .kind = EDGE_OPEN,
			      .p = 0.875,
			      .outcome = OUTCOME_HIT,
			      .made_ns = 5000000,
			      .done_ns = 7000000};
	struct score score = {.guesses_n = 3, .lambda = 1.5};
	struct stat sb;
	char text[256];

	(void)state;
	fill(g, 2, 3);
	flush(s, g);
	assert_int_equal(store_begin(s), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_put_guess(s, &guess, "/bin/a", "/bin/b", "/etc/c", T0), 0);
	for (uint64_t i = 0; i < 100; i++) /* seconds, from 20 s into a minute */
		assert_int_equal(store_put_score(s, T0 + i * 1000000000, &score), 0);
	assert_int_equal(store_commit(s), 0);
	query("SELECT block || '|' || needs || '|' || dependency || '|' || count || '|' || "
	      "share_of_runs || '|' || latency_p50_us || '|' || rss_peak_kib FROM edges_v "
	      "WHERE needs = 'exec'",
	      text, sizeof(text));
	assert_string_equal(text, "/usr/bin/prog0 --sub|exec|/usr/lib/0.so\xff\x01|100|0.1|0|0");
	/* Every edge but the listening ones foretells something, with a chance between 0 and 1. */
	assert_int_equal(
		query("SELECT count(*) FROM predictions_v WHERE probability BETWEEN 0 AND 1", NULL,
		      0),
		query("SELECT count(*) FROM edges WHERE kind != 4", NULL, 0));
	assert_true(query("SELECT count(*) FROM predictions_v", NULL, 0) > 0);
	query("SELECT made_utc || '|' || block || '|' || via || '|' || dependency || '|' || p || "
	      "'|' || outcome || '|' || done_after_ms || '|' || (ended_after_ms IS NULL) "
	      "FROM guesses_v",
	      text, sizeof(text));
	assert_string_equal(text, "2023-11-14 22:13:20|/bin/a|/bin/b|/etc/c|0.875|hit|2.0|1");
	assert_int_equal(query("SELECT count(*) FROM guesses", NULL, 0), 1);
	assert_int_equal(query("SELECT count(*) FROM scores", NULL, 0), 2);
	assert_int_equal(query("SELECT count(*) FROM nodes_v WHERE last_utc > '2023'", NULL, 0), 8);
	assert_int_equal(query("PRAGMA application_id", NULL, 0), 0x46574d31);
	assert_true(store_bytes(s) > 4096);
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 07, 0);
}

static void test_store_keeps_the_newest_guesses_and_scores(void **state)
{
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct guess g = {.kind = EDGE_OPEN};
	struct score score = {0};
	char dep[32];

	(void)state;
	assert_int_equal(store_begin(s), 0);
	for (uint64_t i = 1; i <= 135000; i++) {
		snprintf(dep, sizeof(dep), "/f/%u", (uint32_t)(i / 10));
		g.id = i;
		assert_int_equal(store_put_guess(s, &g, "a", "a", dep, T0 + i), 0);
		if (i % 5000 == 0) {
			assert_int_equal(store_commit(s), 0);
			assert_int_equal(store_begin(s), 0);
		}
	}
	for (uint64_t i = 0; i < 20200; i++)
		assert_int_equal(store_put_score(s, T0 + i * 60000000000ull, &score), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(query("SELECT count(*) FROM guesses", NULL, 0), 100000);
	assert_int_equal(query("SELECT min(id) FROM guesses", NULL, 0), 35001);
	assert_int_equal(query("SELECT count(*) FROM scores", NULL, 0), 20160);
	/* Words go with them, some guesses later. */
	assert_in_range(query("SELECT count(*) FROM words", NULL, 0), 10000, 13600);
}

static void test_store_tells_runs_apart(void **state)
{
	struct guess g = {.id = 1, .kind = EDGE_OPEN};

	(void)state;
	for (int i = 0; i < 3; i++) { /* ids start again with each run */
		_cleanup_(store_closep) struct store *s = open_store(0);

		assert_int_equal(store_begin(s), 0);
		assert_int_equal(store_put_guess(s, &g, "a", "a", "f", T0), 0);
		assert_int_equal(store_commit(s), 0);
	}
	assert_int_equal(query("SELECT count(DISTINCT epoch) FROM guesses", NULL, 0), 3);
}

/* --- faults ------------------------------------------------------------------------------------ */

static void test_store_full_disk_loses_nothing(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(4000, 20000),
					    *back = graph_of(4000, 20000);
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct rlimit was, tight;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	int refused_n = 0, r;
	void *model;
	size_t n;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	fill(g, 10, 10);
	flush(s, g);
	for (rlim_t kib = 100; kib < 8192; kib += 400) {
		_cleanup_(graph_freep) struct graph *batch = graph_of(4000, 20000);

		fill(batch, 60, 80);
		tight = (struct rlimit){.rlim_cur = kib * 1024, .rlim_max = was.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
		r = store_begin(s);
		if (!r)
			r = put_changes(s, batch);
		if (!r)
			r = store_commit(s);
		if (r) {
			assert_int_equal(r, -ENOSPC);
			assert_true(strlen(store_message(s)) > 0);
			store_rollback(s);
			refused_n++;
		}
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
		if (r && refused_n == 1) { /* what was there before is there still */
			_cleanup_(graph_freep) struct graph *seen = loaded(s);

			assert_same(g, seen);
		}
	}
	assert_true(refused_n > 0);
	fill(g, 60, 80);
	flush(s, g);
	assert_int_equal(store_load(s, back, &model, &n), 0);
	assert_same(g, back);
	(void)signal(SIGXFSZ, handler);
}

static void test_store_that_cannot_be_opened_says_why(void **state)
{
	struct store *s = NULL;
	char bad[PATH_MAX];

	(void)state;
	snprintf(bad, sizeof(bad), "%s/no/such/dir/f.db", dir);
	assert_int_equal(store_open(bad, aside, &s), -ENOENT);
	assert_int_equal(store_open(dir, aside, &s), -EISDIR);
	memset(bad, 'x', sizeof(bad));
	bad[sizeof(bad) - 1] = 0;
	assert_int_equal(store_open(bad, aside, &s), -ENAMETOOLONG);
	assert_null(s);
}

static void copy_file(const char *from, const char *to)
{
	_cleanup_(fclosep) FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	char buf[65536];
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), in)))
		assert_int_equal(fwrite(buf, 1, n, out), n);
}

static void assert_equal_files(const char *a, const char *b)
{
	_cleanup_(fclosep) FILE *x = fopen(a, "r"), *y = fopen(b, "r");
	int c;

	assert_non_null(x);
	assert_non_null(y);
	do
		assert_int_equal(c = getc(x), getc(y));
	while (c != EOF);
}

static void sql_run(const char *sql)
{
	sqlite3 *db = NULL;
	char *message = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message))
		fail_msg("%s: %s", sql, message);
	(void)sqlite3_close(db);
}

/* All columns of all tables and views, as one text. */
static void columns_of(char *ret, size_t size)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db,
				   "SELECT group_concat(l, ' ') FROM (SELECT m.type || ':' "
				   "|| m.name || ':' || p.name AS l FROM sqlite_schema m, "
				   "pragma_table_info(m.name) p ORDER BY l)",
				   -1, &st, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	snprintf(ret, size, "%s", sqlite3_column_text(st, 0));
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
}

static void test_store_brings_the_first_schema_up_to_date(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(100, 100), *back = NULL;
	struct store *s = open_store(0);
	static char fresh[8192], updated[8192];
	struct graph_stats was, is;

	(void)state;
	columns_of(fresh, sizeof(fresh));
	fill(g, 3, 5);
	flush(s, g);
	store_close(s);
	sql_run("DROP VIEW predictions_v; DROP VIEW block_scores_v; DROP TABLE block_scores; "
		"DROP TABLE ranges; ALTER TABLE edges DROP COLUMN flags; "
		"CREATE VIEW mine AS SELECT 1 AS one; PRAGMA user_version = 1");
	s = open_store(0);
	sql_run("DROP VIEW mine"); /* what is not ours was left alone */
	columns_of(updated, sizeof(updated));
	assert_string_equal(updated, fresh);
	back = loaded(s);
	graph_stats(g, &was);
	graph_stats(back, &is);
	assert_int_equal(is.nodes_n, was.nodes_n);
	assert_int_equal(is.edges_n, was.edges_n);
	store_close(s);
}

/* What store_load_ranges() gave last, and how often it gave anything. */
struct ranges_seen {
	uint32_t block, file, n;
	size_t bytes_n;
	uint8_t bytes[64];
};

static void ranges_see(void *ctx, uint32_t block, uint32_t file, const void *bytes, size_t n)
{
	struct ranges_seen *seen = ctx;

	seen->block = block;
	seen->file = file;
	seen->n++;
	seen->bytes_n = n;
	memcpy(seen->bytes, bytes, n < sizeof(seen->bytes) ? n : sizeof(seen->bytes));
}

static void test_store_keeps_ranges(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(100, 100), *back = NULL;
	_cleanup_(store_closep) struct store *s = open_store(0);
	struct ranges_seen seen = {0};
	const struct node *block, *file;
	uint8_t bytes[44];

	(void)state;
	block = graph_node(g, intern(g, NODE_BLOCK, "/usr/bin/gcc -c"));
	file = graph_node(g, intern(g, NODE_FILE, "/usr/lib/cc1"));
	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_ranges(s, block, file, "old", 3), 0);
	assert_int_equal(store_put_ranges(s, block, file, bytes, sizeof(bytes)), 0);
	assert_int_equal(store_commit(s), 0);
	back = loaded(s);
	assert_int_equal(store_load_ranges(s, back, ranges_see, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.block, graph_find(back, NODE_BLOCK, block->name));
	assert_int_equal(seen.file, graph_find(back, NODE_FILE, file->name));
	assert_int_equal(seen.bytes_n, sizeof(bytes));
	assert_memory_equal(seen.bytes, bytes, sizeof(bytes));
	/* With the file they go, too. */
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_del_node(s, NODE_FILE, file->name), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_load_ranges(s, back, ranges_see, &seen), 0);
	assert_int_equal(seen.n, 1);
}

struct block_score_seen {
	uint32_t block, n;
	struct block_score score;
};

static void block_score_see(void *ctx, uint32_t block, const struct block_score *score)
{
	struct block_score_seen *seen = ctx;

	seen->block = block;
	seen->score = *score;
	seen->n++;
}

static void test_store_keeps_scores(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(100, 100), *back = NULL;
	struct store *s = open_store(0);
	struct block_score of_block = {{0, 1, 2, 3, 4, 5, 6}, 700, 80, 9}, other = of_block;
	struct score all = {.guesses_n = 50,
			    .acted_n = 40,
			    .outcome_n = {0, 11, 12, 13, 14, 15, 16},
			    .bytes_read = 1ull << 40,
			    .bytes_wasted = 3,
			    .saved_ns = 1ull << 50,
			    .precision = 0.75,
			    .recall = 0.5,
			    .lambda = 1.5},
		     older = all, got;
	struct block_score_seen seen = {0};
	const struct node *block;

	(void)state;
	assert_int_equal(store_load_scores(s, g, block_score_see, &seen, &got), 0);
	assert_int_equal(got.acted_n, 0); /* there is none yet */
	block = graph_node(g, intern(g, NODE_BLOCK, "/usr/bin/gcc -c"));
	older.acted_n = 1;
	other.saved_ns = 1;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_score(s, T0 + 120000000000ull, &all), 0);
	assert_int_equal(store_put_score(s, T0, &older), 0);
	assert_int_equal(store_put_block_score(s, block, &other), 0);
	assert_int_equal(store_put_block_score(s, block, &of_block), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	s = open_store(0);
	back = loaded(s);
	assert_int_equal(store_load_scores(s, back, block_score_see, &seen, &got), 0);
	assert_memory_equal(&got, &all, sizeof(all)); /* the newest */
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.block, graph_find(back, NODE_BLOCK, block->name));
	for (int i = 0; i < OUTCOME_MAX; i++)
		assert_int_equal(seen.score.outcome_n[i], of_block.outcome_n[i]);
	assert_int_equal(seen.score.bytes_read, 700);
	assert_int_equal(seen.score.bytes_wasted, 80);
	assert_int_equal(seen.score.saved_ns, 9);
	assert_int_equal(query("SELECT count(*) FROM block_scores_v WHERE block = "
			       "'/usr/bin/gcc -c' AND precision = 0.25 AND recall = 0.143",
			       NULL, 0),
			 1);
	/* With its block it goes, too. */
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_del_node(s, NODE_BLOCK, block->name), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_load_scores(s, back, block_score_see, &seen, &got), 0);
	assert_int_equal(seen.n, 1);
	store_close(s);
}

static void test_store_keeps_ranges_within_bounds(void **state)
{
	enum { FILES = 4000, CELLS = 120 }; /* 128 together with what a row costs: 1,024 fit */
	_cleanup_(graph_freep) struct graph *g = graph_of(FILES + 10, 100);
	_cleanup_(store_closep) struct store *s = open_store(0);
	static uint8_t bytes[8 + 12 * CELLS];
	struct ranges_seen seen = {0};
	uint32_t block = intern(g, NODE_BLOCK, "/usr/bin/tar"), last = 0;

	(void)state;
	for (uint32_t i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/f%u", i);
		last = intern(g, NODE_FILE, name);
		if (i % 100 == 0)
			assert_int_equal(store_begin(s), 0);
		assert_int_equal(store_put_ranges(s, graph_node(g, block), graph_node(g, last),
						  bytes, sizeof(bytes)),
				 0);
		if (i % 100 == 99)
			assert_int_equal(store_commit(s), 0);
	}
	assert_int_equal(store_load_ranges(s, g, ranges_see, &seen), 0);
	assert_in_range(seen.n, 1000, 1024 + 1124); /* pruned at each 1,024th, at a commit */
	assert_int_equal(seen.file, last);
}

static void test_store_sets_a_newer_schema_aside(void **state)
{
	char copy[PATH_MAX], want[PATH_MAX];
	sqlite3 *db;

	(void)state;
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	for (int i = 1; i <= 2; i++) {
		store_close(open_store(0));
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 7", NULL, NULL, NULL), 0);
		sqlite3_close(db);
		copy_file(path, copy);
		store_close(open_store(STORE_SET_ASIDE));
		snprintf(want, sizeof(want), "%s.newer-schema-7%s", path, i == 1 ? "" : "-2");
		assert_string_equal(aside, want);
		assert_equal_files(aside, copy);
	}
}

static void test_store_sets_foreign_files_aside(void **state)
{
	sqlite3 *db;
	FILE *f;

	(void)state;
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		fputs("Dear diary, this is not a database.\n", f);
	fclose(f);
	store_close(open_store(STORE_SET_ASIDE));
	assert_non_null(strstr(aside, "forewarm.db.corrupt-20"));
	assert_int_equal(unlink(path), 0);

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE diary(day)", NULL, NULL, NULL), 0);
	sqlite3_close(db);
	store_close(open_store(STORE_SET_ASIDE));
	assert_int_equal(unlink(path), 0);

	/* It says it is ours, and lacks a column. */
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "PRAGMA application_id = 0x46574d31; PRAGMA user_version = 1;"
				      "CREATE TABLE meta(key, value); CREATE TABLE nodes(id);",
				      NULL, NULL, NULL),
			 0);
	sqlite3_close(db);
	store_close(open_store(STORE_SET_ASIDE));

	/* Nothing at all is a fresh start. */
	assert_int_equal(truncate(path, 0), 0);
	store_close(open_store(0));
}

static void damage(uint32_t how)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat sb;
	char bytes[4096];
	off_t at;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &sb), 0);
	at = random() % sb.st_size;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)random();
	switch (how % 5) {
	case 0: /* a few bytes here and there */
		for (int i = 0; i < 20; i++)
			assert_int_equal(pwrite(fd, bytes + i, 1, random() % sb.st_size), 1);
		break;
	case 1: /* one byte of the first pages: header and schema */
		assert_int_equal(pwrite(fd, bytes, 1, random() % 12288), 1);
		break;
	case 2: /* a page of noise */
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at & ~4095), sizeof(bytes));
		break;
	case 3: /* a page of nothing */
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at & ~4095), sizeof(bytes));
		break;
	default: /* the end is missing */
		assert_int_equal(ftruncate(fd, at), 0);
	}
}

static void test_store_survives_damage(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of(1000, 4000);
	uint32_t at_open_n = 0, later_n = 0, unnoticed_n = 0;
	char copy[PATH_MAX];
	struct store *s = open_store(0);

	(void)state;
	fill(g, 40, 40);
	flush(s, g);
	store_close(s);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	copy_file(path, copy);
	srandom(42);
	for (uint32_t i = 0; i < DAMAGE_N; i++) {
		_cleanup_(graph_freep) struct graph *back = graph_of(1000, 4000);
		void *model = NULL;
		size_t n = 0;
		bool aside_open, aside_later = false;
		int r;

		copy_file(copy, path);
		damage(i);
		s = NULL;
		r = store_open(path, aside, &s);
		assert_true(r == 0 || r == STORE_SET_ASIDE);
		aside_open = r == STORE_SET_ASIDE;
		r = store_load(s, back, &model, &n);
		assert_true(r == 0 || r == STORE_SET_ASIDE);
		aside_later = r == STORE_SET_ASIDE;
		free(model);
		/* A batch may fail once; then it must not any more. */
		fill(back, 40, 40);
		for (int try = 0; try < 2; try++) {
			struct graph_change c;

			r = store_begin(s);
			assert_true(r == 0 || r == STORE_SET_ASIDE);
			aside_later |= r == STORE_SET_ASIDE;
			r = put_changes(s, back);
			if (!r)
				r = store_commit(s);
			if (!r)
				break;
			assert_int_equal(r, -EUCLEAN);
			assert_int_equal(try, 0);
			store_rollback(s);
			fill(back, 40, 40);
			(void)c;
		}
		at_open_n += aside_open;
		later_n += aside_later;
		unnoticed_n += !aside_open && !aside_later;
		store_close(s);
		(void)teardown(NULL);
		assert_int_equal(mkdir(dir, 0700), 0);
		store_close(open_store(0));
		flush(s = open_store(0), g);
		fill(g, 40, 40);
		flush(s, g);
		store_close(s);
		copy_file(path, copy);
	}
	printf("# %u damaged files: %u found out at open, %u later, %u not at all\n",
	       (unsigned)DAMAGE_N, at_open_n, later_n, unnoticed_n);
	assert_true(at_open_n > DAMAGE_N / 2);
}

/* --- how fast ---------------------------------------------------------------------------------- */

static double now_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* FWM_STORE_EDGES=1000000 for a million, which takes 10 s to put. */
static void test_store_loads_many_edges(void **state)
{
	enum { BLOCKS = 5000, FILES = 100000 };
	const char *asked = getenv("FWM_STORE_EDGES");
	const uint32_t edges = asked ? (uint32_t)atoi(asked) : BENCH_EDGES, deps = edges / BLOCKS;
	_cleanup_(graph_freep) struct graph *g = graph_of(BLOCKS + FILES, edges);
	_cleanup_(graph_freep) struct graph *back = graph_of(BLOCKS + FILES, edges);
	struct store *s = open_store(0);
	struct graph_stats st;
	double t0, c0, put_s, open_s, load_s, load_cpu_s;
	void *model;
	size_t n;
	char name[128];

	(void)state;
	srandom(1);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		uint32_t from;

		snprintf(name, sizeof(name), "/usr/bin/program-number-%u", i);
		from = intern(g, NODE_BLOCK, name);
		for (uint32_t j = 0; j < deps; j++) {
			struct edge *e;

			snprintf(name, sizeof(name), "/usr/lib/x86_64-linux-gnu/package/file-%u",
				 (uint32_t)((i * 17 + j * j * 131) % FILES));
			assert_int_equal(
				graph_edge(g, from, intern(g, NODE_FILE, name), EDGE_OPEN, T0, &e),
				0);
			e->count = (uint64_t)random() % 1000000;
			e->latency_sum_ns = (uint64_t)random();
			sketch_add(&e->latency, (uint64_t)random() % 1000000);
		}
	}
	graph_stats(g, &st);
	t0 = now_s(CLOCK_MONOTONIC);
	flush(s, g);
	put_s = now_s(CLOCK_MONOTONIC) - t0;
	store_close(s);
	t0 = now_s(CLOCK_MONOTONIC);
	s = open_store(0);
	open_s = now_s(CLOCK_MONOTONIC) - t0;
	t0 = now_s(CLOCK_MONOTONIC);
	c0 = now_s(CLOCK_THREAD_CPUTIME_ID);
	assert_int_equal(store_load(s, back, &model, &n), 0);
	load_s = now_s(CLOCK_MONOTONIC) - t0;
	load_cpu_s = now_s(CLOCK_THREAD_CPUTIME_ID) - c0;
	/* A limit of time would be one of this machine's: it is printed, not asserted. */
	printf("# %u nodes, %u edges, %.0f MB: put in %.2f s, opened in %.2f s, loaded in %.2f s "
	       "(%.2f s of CPU)\n",
	       st.nodes_n, st.edges_n, (double)store_bytes(s) / 1e6, put_s, open_s, load_s,
	       load_cpu_s);
	graph_stats(back, &st);
	assert_true(st.edges_n > edges * 9 / 10);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_store_brings_back_what_was_put, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_forgets_what_was_removed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_loads_into_a_smaller_graph, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_rolls_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_puts_the_ends_of_an_edge, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_keeps_the_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_is_for_people_too, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_keeps_the_newest_guesses_and_scores,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_tells_runs_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_full_disk_loses_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_that_cannot_be_opened_says_why, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_brings_the_first_schema_up_to_date,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_keeps_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_keeps_scores, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_keeps_ranges_within_bounds, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_sets_a_newer_schema_aside, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_sets_foreign_files_aside, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_store_survives_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_loads_many_edges, setup, teardown),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
