/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sqlite_columns.h - the columns of what is written and read back, each with its number, once.
 *
 * Shape    X(number, name) a column, F the first of a list; the number is that of the parameter it is
 *          bound to, and from 1 that of the column in the rows that sqlite_load.c reads. The SQL in
 *          sqlite_stmt.c is made of these lists, and EDGES_count and its like are the numbers.
 * Bounds   a number that is missing or there twice does not compile.
 * Source   schema.sql, which has their types and what they mean.
 */
#ifndef STORE_SQLITE_COLUMNS_H
#define STORE_SQLITE_COLUMNS_H

/* clang-format off */
/* What a row is found by; then the others. */
#define NODES_KEY(F, X) F(1, kind) X(2, name)
#define NODES_REST(F, X) \
	F(3, flags) X(4, first_ns) X(5, last_ns) X(6, runs_n) X(7, size_bytes) X(8, dev) \
	X(9, ino) X(10, uid)
#define NODES(F, X) NODES_KEY(F, X) NODES_REST(X, X)

#define EDGES_KEY(F, X) F(1, from_id) X(2, to_id) X(3, kind)
#define EDGES_REST(F, X) \
	F(4, count) X(5, runs_n) X(6, fail_n) X(7, errno_last) X(8, first_ns) X(9, last_ns) \
	X(10, latency_sum_ns) X(11, latency_p50_ns) X(12, latency_p99_ns) X(13, lead_sum_ns) \
	X(14, lead_n) X(15, p_last) X(16, run_last) X(17, latency) X(18, use_n) \
	X(19, life_sum_ns) X(20, cpu_sum_ns) X(21, rss_peak_bytes) X(22, read_sum_bytes) \
	X(23, write_sum_bytes) X(24, majflt_sum) X(25, minflt_sum) X(26, flags) X(27, cold_n) \
	X(28, cold_sum_ns)
#define EDGES(F, X) EDGES_KEY(F, X) EDGES_REST(X, X)

#define RANGES(F, X) F(1, block_id) X(2, file_id) X(3, saved_ns) X(4, cells_n) X(5, cells)

#define GUESSES(F, X) \
	F(1, epoch) X(2, id) X(3, block_id) X(4, via_id) X(5, dep_id) X(6, kind) \
	X(7, outcome) X(8, acted) X(9, model_order) X(10, uid) X(11, pid) X(12, p) \
	X(13, support) X(14, made_ns) X(15, lead_ns) X(16, deadline_ns) X(17, acted_ns) \
	X(18, done_ns) X(19, ended_ns) X(20, read_bytes) X(21, saved_ns) X(22, value_us) \
	X(23, price_us)

#define SCORES(F, X) \
	F(1, minute) X(2, guesses_n) X(3, acted_n) X(4, hit_n) X(5, late_n) X(6, wasted_n) \
	X(7, missed_n) X(8, resident_n) X(9, dropped_n) X(10, read_bytes) X(11, wasted_bytes) \
	X(12, saved_ns) X(13, precision) X(14, recall) X(15, lambda)

#define BLOCK_SCORES(F, X) \
	F(1, block_id) X(2, hit_n) X(3, late_n) X(4, wasted_n) X(5, missed_n) \
	X(6, resident_n) X(7, dropped_n) X(8, read_bytes) X(9, wasted_bytes) X(10, saved_ns)
/* clang-format on */

/* "a, b", "?1, ?2" and "a = ?1, b = ?2" */
#define SQL_NAME_F(n, c) #c
#define SQL_NAME(n, c) ", " #c
#define SQL_PARAM_F(n, c) "?" #n
#define SQL_PARAM(n, c) ", ?" #n
#define SQL_SET_F(n, c) #c " = ?" #n
#define SQL_SET(n, c) ", " #c " = ?" #n

#define SQL_SUM(n, c) +(n)
#define SQL_ONE(n, c) +1

#define SQL_NUMBER(n, c) NODES_##c = n,
enum { NODES(SQL_NUMBER, SQL_NUMBER) NODES_N = 0 NODES(SQL_ONE, SQL_ONE) };
#undef SQL_NUMBER
_Static_assert((0 NODES(SQL_SUM, SQL_SUM)) == NODES_N * (NODES_N + 1) / 2, "each number once");

#define SQL_NUMBER(n, c) EDGES_##c = n,
enum { EDGES(SQL_NUMBER, SQL_NUMBER) EDGES_N = 0 EDGES(SQL_ONE, SQL_ONE) };
#undef SQL_NUMBER
_Static_assert((0 EDGES(SQL_SUM, SQL_SUM)) == EDGES_N * (EDGES_N + 1) / 2, "each number once");

#define SQL_NUMBER(n, c) RANGES_##c = n,
enum { RANGES(SQL_NUMBER, SQL_NUMBER) RANGES_N = 0 RANGES(SQL_ONE, SQL_ONE) };
#undef SQL_NUMBER
_Static_assert((0 RANGES(SQL_SUM, SQL_SUM)) == RANGES_N * (RANGES_N + 1) / 2, "each number once");

#define SQL_NUMBER(n, c) GUESSES_##c = n,
enum { GUESSES(SQL_NUMBER, SQL_NUMBER) GUESSES_N = 0 GUESSES(SQL_ONE, SQL_ONE) };
#undef SQL_NUMBER
_Static_assert((0 GUESSES(SQL_SUM, SQL_SUM)) == GUESSES_N * (GUESSES_N + 1) / 2,
	       "each number once");

#define SQL_NUMBER(n, c) SCORES_##c = n,
enum { SCORES(SQL_NUMBER, SQL_NUMBER) SCORES_N = 0 SCORES(SQL_ONE, SQL_ONE) };
#undef SQL_NUMBER
_Static_assert((0 SCORES(SQL_SUM, SQL_SUM)) == SCORES_N * (SCORES_N + 1) / 2, "each number once");

#define SQL_NUMBER(n, c) BLOCK_SCORES_##c = n,
enum { BLOCK_SCORES(SQL_NUMBER, SQL_NUMBER) BLOCK_SCORES_N = 0 BLOCK_SCORES(SQL_ONE, SQL_ONE) };
#undef SQL_NUMBER
_Static_assert((0 BLOCK_SCORES(SQL_SUM, SQL_SUM)) == BLOCK_SCORES_N * (BLOCK_SCORES_N + 1) / 2,
	       "each number once");

#define NODES_ROW 11 /* the row's own number: after the columns, as parameter and as column */
_Static_assert(NODES_ROW == NODES_N + 1, "after the columns");

#endif
