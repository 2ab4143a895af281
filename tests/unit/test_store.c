// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store on real files: what goes in comes out, for programs and for people, and no more than the bounds. */
#include "support/support.h"

#include "base/clock.h"
#include "store/pack.h"
#include "support/store_bed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BENCH_EDGES = 50000 };
#else
enum { BENCH_EDGES = 200000 };
#endif

static void test_store_brings_back_what_was_put(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(1000, 4000);
	struct store *s = bed_open(0);
	struct graph_change c;

	(void)state;
	bed_fill(g, 20, 30);
	bed_flush(s, g);
	for (int round = 0; round < 3; round++) {
		_cleanup_(graph_freep) struct graph *back = NULL;

		if (round == 1) /* from the file alone, without a log */
			s = (store_close(s), bed_open(0));
		if (round == 2) { /* the same edges with other totals */
			bed_fill(g, 10, 31);
			bed_flush(s, g);
		}
		back = bed_loaded(s);
		bed_assert_same(g, back);
		assert_false(graph_next_change(back, &c));
	}
	store_close(s);
}

static void test_store_forgets_what_was_removed(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(64, 200), *back = NULL;
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct graph_stats st;

	(void)state;
	for (uint32_t round = 0; round < 5; round++) { /* each evicts much of the one before */
		bed_fill(g, 5 + round * 9, 20);
		bed_flush(s, g);
	}
	graph_stats(g, &st);
	assert_true(st.nodes_evicted > 50 && st.edges_evicted > 100);
	back = bed_loaded(s);
	bed_assert_same(g, back);
	assert_int_equal(bed_query("SELECT count(*) FROM edges", NULL, 0), st.edges_n);
	assert_int_equal(bed_query("SELECT count(*) FROM nodes", NULL, 0), st.nodes_n);
}

static void test_store_loads_into_a_smaller_graph(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(1000, 4000), *back = bed_graph(50, 100);
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct graph_stats st;
	void *model;
	size_t n;

	(void)state;
	bed_fill(g, 20, 30);
	bed_flush(s, g);
	assert_int_equal(store_load(s, back, &model, &n), 0);
	graph_stats(back, &st);
	assert_int_equal(st.nodes_n, 50);
	/* No edge is hung on an id that was given to another name meanwhile. */
	bed_flush(s, back);
	assert_int_equal(bed_query("SELECT count(*) FROM nodes", NULL, 0), 50);
	assert_int_equal(bed_query("SELECT count(*) FROM edges", NULL, 0), st.edges_n);
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
	_cleanup_(graph_freep) struct graph *g = bed_graph(1000, 4000), *back = NULL;
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct node extra = {.kind = NODE_FILE, .name = "/never"};

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_node(s, &extra), 0);
	store_rollback(s);
	store_rollback(s);
	bed_fill(g, 3, 3); /* rows get the numbers which were rolled back */
	bed_flush(s, g);
	back = bed_loaded(s);
	bed_assert_same(g, back);
}

static void test_store_puts_the_ends_of_an_edge(void **state)
{
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct node a = {.kind = NODE_BLOCK, .name = "a"}, f = {.kind = NODE_FILE, .name = "f"};
	struct edge e = {.kind = EDGE_OPEN, .count = 1, .p_last = 0.0 / 0.0};

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_edge(s, &e, &a, &f), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(bed_query("SELECT count(*) FROM edges_v WHERE block = 'a'", NULL, 0), 1);
}

static void test_store_keeps_the_model(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(16, 16);
	_cleanup_(freep) char *big = malloc(3 << 20);
	struct store *s = bed_open(0);
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
		s = (store_close(s), bed_open(0));
		if (!round) /* a file is no larger than it has to be */
			assert_int_equal(
				bed_query("SELECT length(state) < 100000 FROM model", NULL, 0), 1);
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

		bed_sql(put[round]);
		assert_int_equal(store_load(s, g, &model, &n), 0);
		assert_int_equal(n, 12);
		assert_memory_equal(model, round ? "\x28\xb5" : "fw", 2);
		free(model);
	}
	store_close(s);
}

static void test_store_is_for_people_too(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(1000, 4000);
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct guess guess = {.id = 7,
			      .kind = EDGE_OPEN,
			      .p = 0.875,
			      .outcome = OUTCOME_HIT,
			      .decision = DECISION_UNWORTHY,
			      .made_ns = 5000000,
			      .done_ns = 7000000};
	struct score score = {.guesses_n = 3, .lambda = 1.5};
	struct stat sb;
	char text[256];

	(void)state;
	bed_fill(g, 2, 3);
	bed_flush(s, g);
	assert_int_equal(store_begin(s), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_put_guess(s, &guess, "/bin/a", "/bin/b", "/etc/c", BED_T0),
				 0);
	for (uint64_t i = 0; i < 100; i++) /* seconds, from 20 s into a minute */
		assert_int_equal(store_put_score(s, BED_T0 + i * 1000000000, &score), 0);
	assert_int_equal(store_commit(s), 0);
	bed_query("SELECT block || '|' || needs || '|' || dependency || '|' || count || '|' || "
		  "share_of_runs || '|' || latency_p50_us || '|' || rss_peak_kib FROM edges_v "
		  "WHERE needs = 'exec'",
		  text, sizeof(text));
	assert_string_equal(text, "/usr/bin/prog0 --sub|exec|/usr/lib/0.so\xff\x01|100|0.1|0|0");
	/* Every edge but the listening ones foretells something, with a chance between 0 and 1. */
	assert_int_equal(
		bed_query("SELECT count(*) FROM predictions_v WHERE probability BETWEEN 0 AND 1",
			  NULL, 0),
		bed_query("SELECT count(*) FROM edges WHERE kind != 4", NULL, 0));
	assert_true(bed_query("SELECT count(*) FROM predictions_v", NULL, 0) > 0);
	bed_query(
		"SELECT made_utc || '|' || block || '|' || via || '|' || dependency || '|' || p || "
		"'|' || outcome || '|' || decision || '|' || done_after_ms || '|' || "
		"(ended_after_ms IS NULL) "
		"FROM guesses_v",
		text, sizeof(text));
	assert_string_equal(text,
			    "2023-11-14 22:13:20|/bin/a|/bin/b|/etc/c|0.875|hit|unworthy|2.0|1");
	assert_int_equal(bed_query("SELECT count(*) FROM guesses", NULL, 0), 1);
	assert_int_equal(bed_query("SELECT count(*) FROM scores", NULL, 0), 2);
	assert_int_equal(bed_query("SELECT count(*) FROM nodes_v WHERE last_utc > '2023'", NULL, 0),
			 8);
	assert_int_equal(bed_query("PRAGMA application_id", NULL, 0), 0x46574d31);
	assert_true(store_bytes(s) > 4096);
	assert_int_equal(stat(bed_path, &sb), 0);
	assert_int_equal(sb.st_mode & 07, 0);
}

static void test_store_keeps_the_newest_guesses_and_scores(void **state)
{
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct guess g = {.kind = EDGE_OPEN};
	struct score score = {0};
	char dep[32];

	(void)state;
	assert_int_equal(store_begin(s), 0);
	for (uint64_t i = 1; i <= 135000; i++) {
		snprintf(dep, sizeof(dep), "/f/%u", (uint32_t)(i / 10));
		g.id = i;
		assert_int_equal(store_put_guess(s, &g, "a", "a", dep, BED_T0 + i), 0);
		if (i % 5000 == 0) {
			assert_int_equal(store_commit(s), 0);
			assert_int_equal(store_begin(s), 0);
		}
	}
	for (uint64_t i = 0; i < 20200; i++)
		assert_int_equal(store_put_score(s, BED_T0 + i * 60000000000ull, &score), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(bed_query("SELECT count(*) FROM guesses", NULL, 0), 100000);
	assert_int_equal(bed_query("SELECT min(id) FROM guesses", NULL, 0), 35001);
	assert_int_equal(bed_query("SELECT count(*) FROM scores", NULL, 0), 20160);
	/* Words go with them, some guesses later. */
	assert_in_range(bed_query("SELECT count(*) FROM words", NULL, 0), 10000, 13600);
}

static void test_store_tells_runs_apart(void **state)
{
	struct guess g = {.id = 1, .kind = EDGE_OPEN};

	(void)state;
	for (int i = 0; i < 3; i++) { /* ids start again with each run */
		_cleanup_(store_closep) struct store *s = bed_open(0);

		assert_int_equal(store_begin(s), 0);
		assert_int_equal(store_put_guess(s, &g, "a", "a", "f", BED_T0), 0);
		assert_int_equal(store_commit(s), 0);
	}
	assert_int_equal(bed_query("SELECT count(DISTINCT epoch) FROM guesses", NULL, 0), 3);
}

/* However short each of its runs is, and however little there is to put in one. */
static void test_store_prunes_in_short_runs(void **state)
{
	enum { RUNS = 16 };
	struct guess g = {.id = 1, .kind = EDGE_OPEN};

	(void)state;
	store_close(bed_open(0));
	bed_sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100100) "
		"INSERT INTO guesses SELECT 0, i, 1, 1, 1, 2, 1, 1, 0, 0, 0, 0.5, 1, i, 0, NULL, "
		"NULL, "
		"NULL, NULL, 0, 0, 0, 0, 2, 0 FROM n; "
		"INSERT INTO words VALUES(1, 'a'), (2, 'nobody''s'); "
		"INSERT INTO nodes SELECT i, 2, i, 0, 1, 1, 0, 0, 0, 0, 0 FROM (SELECT id AS i "
		"FROM "
		"guesses LIMIT 300); "
		"INSERT INTO ranges SELECT id, id, id, 1000, x'00' FROM nodes");
	for (int i = 0; i < RUNS; i++) {
		_cleanup_(store_closep) struct store *s = bed_open(0);

		assert_int_equal(store_begin(s), 0);
		assert_int_equal(store_put_guess(s, &g, "a", "a", "a", BED_T0), 0);
		assert_int_equal(store_commit(s), 0);
		assert_int_equal(bed_query("SELECT count(*) FROM guesses", NULL, 0), 100000);
		assert_int_equal(bed_query("SELECT count(*) FROM ranges", NULL, 0), 130);
	}
	assert_int_equal(bed_query("SELECT count(*) FROM words", NULL, 0), 1);
}

/* All tables, indexes and views with their columns, as one text. */
static void columns_of(char *ret, size_t size)
{
	bed_query(
		"SELECT group_concat(l, ' ') FROM (SELECT m.type || ':' || m.name || ':' || "
		"ifnull(p.name, '') AS l FROM sqlite_schema m LEFT JOIN pragma_table_info(m.name) "
		"p ORDER BY l)",
		ret, size);
	assert_true(strlen(ret) < size - 1);
}

static void test_store_brings_the_first_schema_up_to_date(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(100, 100), *back = NULL;
	struct store *s = bed_open(0);
	static char fresh[8192], updated[8192];
	struct graph_stats was, is;

	(void)state;
	columns_of(fresh, sizeof(fresh));
	bed_fill(g, 3, 5);
	bed_flush(s, g);
	store_close(s);
	bed_sql("DROP VIEW predictions_v; DROP VIEW edges_v; DROP VIEW block_scores_v; DROP VIEW "
		"guesses_v; ALTER TABLE guesses DROP COLUMN decision; ALTER TABLE guesses DROP "
		"COLUMN "
		"err; DROP TABLE "
		"block_scores; "
		"DROP TABLE ranges; DROP TABLE images; ALTER TABLE edges DROP COLUMN flags; "
		"ALTER TABLE edges DROP COLUMN cold_n; ALTER TABLE edges DROP COLUMN cold_sum_ns; "
		"CREATE VIEW mine AS SELECT 1 AS one; PRAGMA user_version = 1");
	s = bed_open(0);
	bed_sql("DROP VIEW mine"); /* what is not ours was left alone */
	columns_of(updated, sizeof(updated));
	assert_string_equal(updated, fresh);
	back = bed_loaded(s);
	graph_stats(g, &was);
	graph_stats(back, &is);
	assert_int_equal(is.nodes_n, was.nodes_n);
	assert_int_equal(is.edges_n, was.edges_n);
	store_close(s);
}

/* Their own numbers do not matter, and in a damaged file they are any. */
static void test_store_loads_rows_however_they_are_numbered(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(100, 1000), *back = NULL;
	struct store *s = bed_open(0);

	(void)state;
	bed_fill(g, 20, 30);
	bed_flush(s, g);
	store_close(s);
	bed_sql("CREATE TEMP TABLE far AS SELECT id, CASE id % 4 WHEN 0 THEN id - "
		"9223372036854775807 "
		"WHEN 1 THEN 9223372036854775807 - id ELSE id - 20 END AS new FROM nodes; "
		"UPDATE edges SET from_id = (SELECT new FROM far WHERE id = from_id), "
		"to_id = (SELECT new FROM far WHERE id = to_id); "
		"UPDATE nodes SET id = id + 1000000; "
		"UPDATE nodes SET id = (SELECT new FROM far WHERE far.id = nodes.id - 1000000)");
	s = bed_open(0);
	back = bed_loaded(s);
	bed_assert_same(g, back);
	store_close(s);
}

struct images {
	char text[2048];
	uint32_t n;
};

static void image_see(void *ctx, const char *name, const char *layers, uint64_t seen_ns)
{
	struct images *seen = ctx;

	if (seen->n++ < 2)
		snprintf(seen->text + strlen(seen->text), sizeof(seen->text) - strlen(seen->text),
			 "%s %s %llu\n", name, layers, (unsigned long long)(seen_ns - BED_T0));
}

/* Where layers are is known after a restart, of the images seen last. */
static void test_store_keeps_where_layers_are(void **state)
{
	struct images seen = {0};
	struct store *s = bed_open(0);
	char name[32];

	(void)state;
	assert_int_equal(store_begin(s), 0);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "image:%012u", i);
		assert_int_equal(store_put_image(s, name, "/b\\:2:/a", BED_T0 + i), 0);
	}
	assert_int_equal(store_put_image(s, "image:000000000044", "/c", BED_T0 + 1000), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	s = bed_open(0);
	assert_int_equal(store_load_images(s, image_see, &seen), 0);
	assert_int_equal(seen.n, 256);
	assert_string_equal(seen.text, "image:000000000045 /b\\:2:/a 45\n"
				       "image:000000000046 /b\\:2:/a 46\n");
	store_close(s);
}

static void guess_see(void *ctx, const struct guess *g)
{
	struct guess *seen = ctx;

	while (seen->id)
		seen++;
	*seen = *g;
	seen->id = 1;
}

/* What was guessed, and why nothing was done about it, is known after a restart; what makes no sense is not. */
static void test_store_keeps_what_was_guessed(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(100, 100);
	_cleanup_(store_closep) struct store *s = bed_open(0);
	uint32_t block = bed_intern(g, NODE_BLOCK, "/bin/a"), dep = bed_intern(g, NODE_FILE, "/c");
	struct guess guess = {.id = 1,
			      .kind = EDGE_OPEN,
			      .outcome = OUTCOME_MISSED,
			      .decision = DECISION_FAILED,
			      .err = EACCES,
			      .p = 0.5,
			      .support = 9,
			      .made_ns = 5000,
			      .ended_ns = 7000,
			      .value_us = 12.5};
	struct guess seen[4] = {{0}};

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_guess(s, &guess, "/bin/a", "/bin/a", "/c", BED_T0), 0);
	guess.id = 2;
	guess.decision = DECISION_LATE;
	assert_int_equal(store_put_guess(s, &guess, "/bin/a", "/bin/a", "/c", BED_T0 + 1), 0);
	guess.id = 3;
	assert_int_equal(store_put_guess(s, &guess, "/bin/a", "/bin/a", "/gone", BED_T0 + 2), 0);
	guess.id = 4;
	guess.outcome = OUTCOME_OPEN;
	assert_int_equal(store_put_guess(s, &guess, "/bin/a", "/bin/a", "/c", BED_T0 + 3), 0);
	guess.id = 5;
	guess.decision = 77;
	guess.outcome = OUTCOME_HIT;
	assert_int_equal(store_put_guess(s, &guess, "/bin/a", "/bin/a", "/c", BED_T0 + 4), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_load_guesses(s, g, 100, guess_see, seen), 0);
	assert_true(seen[1].id && !seen[2].id);
	assert_int_equal(seen[0].block, block);
	assert_int_equal(seen[0].dep, dep);
	assert_int_equal(seen[0].outcome, OUTCOME_MISSED);
	assert_int_equal(seen[0].decision, DECISION_FAILED);
	assert_int_equal(seen[0].err, EACCES);
	assert_int_equal(seen[0].support, 9);
	assert_true(seen[0].p == 0.5 && seen[0].value_us == 12.5);
	assert_int_equal(seen[0].made_ns, BED_T0);
	assert_int_equal(seen[0].ended_ns, BED_T0 + 2000);
	assert_int_equal(seen[0].done_ns, 0);
	assert_int_equal(seen[1].decision, DECISION_LATE);
	memset(seen, 0, sizeof(seen));
	assert_int_equal(store_load_guesses(s, g, 4, guess_see, seen), 0); /* the newest */
	assert_int_equal(seen[0].decision, DECISION_LATE);
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
	_cleanup_(graph_freep) struct graph *g = bed_graph(100, 100), *back = NULL;
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct ranges_seen seen = {0};
	const struct node *block, *file;
	uint8_t bytes[44];

	(void)state;
	block = graph_node(g, bed_intern(g, NODE_BLOCK, "/usr/bin/gcc -c"));
	file = graph_node(g, bed_intern(g, NODE_FILE, "/usr/lib/cc1"));
	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_ranges(s, block, file, "old", 3), 0);
	assert_int_equal(store_put_ranges(s, block, file, bytes, sizeof(bytes)), 0);
	assert_int_equal(store_commit(s), 0);
	back = bed_loaded(s);
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
	_cleanup_(graph_freep) struct graph *g = bed_graph(100, 100), *back = NULL;
	struct store *s = bed_open(0);
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
	block = graph_node(g, bed_intern(g, NODE_BLOCK, "/usr/bin/gcc -c"));
	older.acted_n = 1;
	other.saved_ns = 1;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_score(s, BED_T0 + 120000000000ull, &all), 0);
	assert_int_equal(store_put_score(s, BED_T0, &older), 0);
	assert_int_equal(store_put_block_score(s, block, &other), 0);
	assert_int_equal(store_put_block_score(s, block, &of_block), 0);
	assert_int_equal(store_commit(s), 0);
	/* A clock that was ahead, and was put right since. */
	older.guesses_n--;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_score(s, BED_T0 + 999000000000ull, &older), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	s = bed_open(0);
	back = bed_loaded(s);
	assert_int_equal(store_load_scores(s, back, block_score_see, &seen, &got), 0);
	assert_memory_equal(&got, &all, sizeof(all)); /* the newest */
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.block, graph_find(back, NODE_BLOCK, block->name));
	for (int i = 0; i < OUTCOME_MAX; i++)
		assert_int_equal(seen.score.outcome_n[i], of_block.outcome_n[i]);
	assert_int_equal(seen.score.bytes_read, 700);
	assert_int_equal(seen.score.bytes_wasted, 80);
	assert_int_equal(seen.score.saved_ns, 9);
	assert_int_equal(bed_query("SELECT count(*) FROM block_scores_v WHERE block = "
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
	_cleanup_(graph_freep) struct graph *g = bed_graph(FILES + 10, 100);
	_cleanup_(store_closep) struct store *s = bed_open(0);
	static uint8_t bytes[8 + 12 * CELLS];
	struct ranges_seen seen = {0};
	uint32_t block = bed_intern(g, NODE_BLOCK, "/usr/bin/tar"), last = 0;

	(void)state;
	for (uint32_t i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/f%u", i);
		last = bed_intern(g, NODE_FILE, name);
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

static double now_s(clockid_t clock)
{
	return (double)clock_ns(clock) / 1e9;
}

/* FWM_STORE_EDGES=1000000 for a million, which takes 10 s to put. */
static void test_store_loads_many_edges(void **state)
{
	enum { BLOCKS = 5000, FILES = 100000 };
	const char *asked = getenv("FWM_STORE_EDGES");
	const uint32_t edges = asked ? (uint32_t)atoi(asked) : BENCH_EDGES, deps = edges / BLOCKS;
	_cleanup_(graph_freep) struct graph *g = bed_graph(BLOCKS + FILES, edges);
	_cleanup_(graph_freep) struct graph *back = bed_graph(BLOCKS + FILES, edges);
	struct store *s = bed_open(0);
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
		from = bed_intern(g, NODE_BLOCK, name);
		for (uint32_t j = 0; j < deps; j++) {
			struct edge *e;

			snprintf(name, sizeof(name), "/usr/lib/x86_64-linux-gnu/package/file-%u",
				 (uint32_t)((i * 17 + j * j * 131) % FILES));
			assert_int_equal(graph_edge(g, from, bed_intern(g, NODE_FILE, name),
						    EDGE_OPEN, BED_T0, &e),
					 0);
			e->count = (uint64_t)random() % 1000000;
			e->latency_sum_ns = (uint64_t)random();
			sketch_add(&e->latency, (uint64_t)random() % 1000000);
		}
	}
	graph_stats(g, &st);
	t0 = now_s(CLOCK_MONOTONIC);
	bed_flush(s, g);
	put_s = now_s(CLOCK_MONOTONIC) - t0;
	store_close(s);
	t0 = now_s(CLOCK_MONOTONIC);
	s = bed_open(0);
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

/* Packed and back; what was never packed, or is packed badly, comes back as it is. */
static void test_store_packs_bytes(void **state)
{
	static uint8_t bytes[100000];
	void *packed = NULL, *got = NULL;
	size_t n = 0, got_n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i / 100);
	assert_int_equal(pack_bytes(bytes, sizeof(bytes), &packed, &n), 0);
	assert_true(n < sizeof(bytes) / 10);
	assert_int_equal(unpack_bytes(packed, n, &got, &got_n), 0);
	assert_int_equal(got_n, sizeof(bytes));
	assert_memory_equal(got, bytes, sizeof(bytes));
	free(got);
	got_n = 0;
	assert_int_equal(unpack_bytes(packed, n - 9, &got, &got_n), 0); /* cut off */
	assert_int_equal(got_n, n - 9);
	assert_memory_equal(got, packed, n - 9);
	free(got);
	free(packed);
	got_n = 0;
	assert_int_equal(unpack_bytes(bytes + 100, 5000, &got, &got_n), 0);
	assert_int_equal(got_n, 5000);
	assert_memory_equal(got, bytes + 100, 5000);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(test_store_brings_back_what_was_put),
		BED_TEST(test_store_forgets_what_was_removed),
		BED_TEST(test_store_loads_into_a_smaller_graph),
		BED_TEST(test_store_rolls_back),
		BED_TEST(test_store_puts_the_ends_of_an_edge),
		BED_TEST(test_store_keeps_the_model),
		BED_TEST(test_store_is_for_people_too),
		BED_TEST(test_store_keeps_the_newest_guesses_and_scores),
		BED_TEST(test_store_tells_runs_apart),
		BED_TEST(test_store_prunes_in_short_runs),
		BED_TEST(test_store_brings_the_first_schema_up_to_date),
		BED_TEST(test_store_loads_rows_however_they_are_numbered),
		BED_TEST(test_store_keeps_where_layers_are),
		BED_TEST(test_store_keeps_what_was_guessed),
		BED_TEST(test_store_keeps_ranges),
		BED_TEST(test_store_keeps_scores),
		BED_TEST(test_store_keeps_ranges_within_bounds),
		BED_TEST(test_store_loads_many_edges),
		cmocka_unit_test(test_store_packs_bytes),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
