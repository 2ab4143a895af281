/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sqlite_columns.h - the columns of what is written and read back, each with its number, once.
 *
 * Shape    X(T, number, name) a column of T, F the first of a list; the number is that of the
 *          parameter it is bound to, and from 1 that of the column in the rows that sqlite_load.c
 *          reads. The SQL in sqlite_stmt.c is made of these lists, and EDGES_count and its like are
 *          the numbers.
 * Bounds   a number that is missing or there twice does not compile.
 * Source   schema.sql, which has their types and what they mean.
 */
#ifndef STORE_SQLITE_COLUMNS_H
#define STORE_SQLITE_COLUMNS_H

/* clang-format off */
/* What a row is found by; then the others. */
#define NODES_KEY(F, X, T) F(T, 1, kind) X(T, 2, name)
#define NODES_REST(F, X, T) \
	F(T, 3, flags) X(T, 4, first_ns) X(T, 5, last_ns) X(T, 6, runs_n) \
	X(T, 7, size_bytes) X(T, 8, dev) X(T, 9, ino) X(T, 10, uid)
#define NODES(F, X, T) NODES_KEY(F, X, T) NODES_REST(X, X, T)

#define EDGES_KEY(F, X, T) F(T, 1, from_id) X(T, 2, to_id) X(T, 3, kind)
#define EDGES_REST(F, X, T) \
	F(T, 4, count) X(T, 5, runs_n) X(T, 6, fail_n) X(T, 7, errno_last) \
	X(T, 8, first_ns) X(T, 9, last_ns) X(T, 10, latency_sum_ns) \
	X(T, 11, latency_p50_ns) X(T, 12, latency_p99_ns) X(T, 13, lead_sum_ns) \
	X(T, 14, lead_n) X(T, 15, p_last) X(T, 16, run_last) X(T, 17, latency) \
	X(T, 18, use_n) X(T, 19, life_sum_ns) X(T, 20, cpu_sum_ns) X(T, 21, rss_peak_bytes) \
	X(T, 22, read_sum_bytes) X(T, 23, write_sum_bytes) X(T, 24, majflt_sum) \
	X(T, 25, minflt_sum) X(T, 26, flags) X(T, 27, cold_n) X(T, 28, cold_sum_ns)
#define EDGES(F, X, T) EDGES_KEY(F, X, T) EDGES_REST(X, X, T)

#define RANGES(F, X, T) \
	F(T, 1, block_id) X(T, 2, file_id) X(T, 3, saved_ns) X(T, 4, cells_n) \
	X(T, 5, cells)

#define GUESSES(F, X, T) \
	F(T, 1, epoch) X(T, 2, id) X(T, 3, block_id) X(T, 4, via_id) X(T, 5, dep_id) \
	X(T, 6, kind) X(T, 7, outcome) X(T, 8, acted) X(T, 9, model_order) X(T, 10, uid) \
	X(T, 11, pid) X(T, 12, p) X(T, 13, support) X(T, 14, made_ns) X(T, 15, lead_ns) \
	X(T, 16, deadline_ns) X(T, 17, acted_ns) X(T, 18, done_ns) X(T, 19, ended_ns) \
	X(T, 20, read_bytes) X(T, 21, saved_ns) X(T, 22, value_us) X(T, 23, price_us) \
	X(T, 24, decision) X(T, 25, err)

#define SCORES(F, X, T) \
	F(T, 1, minute) X(T, 2, guesses_n) X(T, 3, acted_n) X(T, 4, hit_n) X(T, 5, late_n) \
	X(T, 6, wasted_n) X(T, 7, missed_n) X(T, 8, resident_n) X(T, 9, dropped_n) \
	X(T, 10, read_bytes) X(T, 11, wasted_bytes) X(T, 12, saved_ns) X(T, 13, precision) \
	X(T, 14, recall) X(T, 15, lambda)

#define BLOCK_SCORES(F, X, T) \
	F(T, 1, block_id) X(T, 2, hit_n) X(T, 3, late_n) X(T, 4, wasted_n) \
	X(T, 5, missed_n) X(T, 6, resident_n) X(T, 7, dropped_n) X(T, 8, read_bytes) \
	X(T, 9, wasted_bytes) X(T, 10, saved_ns)

#define IMAGES(F, X, T) F(T, 1, name) X(T, 2, seen_ns) X(T, 3, layers)
/* clang-format on */

/* "a, b", "?1, ?2" and "a = ?1, b = ?2" */
#define SQL_NAME_F(T, n, c) #c
#define SQL_NAME(T, n, c) ", " #c
#define SQL_PARAM_F(T, n, c) "?" #n
#define SQL_PARAM(T, n, c) ", ?" #n
#define SQL_SET_F(T, n, c) #c " = ?" #n
#define SQL_SET(T, n, c) ", " #c " = ?" #n

#define SQL_NUMBER(T, n, c) T##_##c = n,
#define SQL_ONE(T, n, c) +1
#define SQL_SUM(T, n, c) +(n)
#define SQL_NUMBERS(T)                                                                             \
	enum { T(SQL_NUMBER, SQL_NUMBER, T) T##_N = 0 T(SQL_ONE, SQL_ONE, T) };                    \
	_Static_assert((0 T(SQL_SUM, SQL_SUM, T)) == T##_N * (T##_N + 1) / 2, "each number once")

SQL_NUMBERS(NODES);
SQL_NUMBERS(EDGES);
SQL_NUMBERS(RANGES);
SQL_NUMBERS(GUESSES);
SQL_NUMBERS(SCORES);
SQL_NUMBERS(BLOCK_SCORES);
SQL_NUMBERS(IMAGES);

#define NODES_ROW 11 /* the row's own number: after the columns, as parameter and as column */
_Static_assert(NODES_ROW == NODES_N + 1, "after the columns");

#endif
