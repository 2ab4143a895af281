/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * store_bed.h - a store on a file of the test's own, and graphs to put into it.
 *
 * Owner    The test frees what it is given. BED_TEST() makes the folder and takes it away.
 * Errors   A fault fails the test, where the function does not return one.
 */
#ifndef TESTS_STORE_BED_H
#define TESTS_STORE_BED_H

#include "base/cleanup.h"
#include "store/store.h"
#include "support/scratch.h"

#include <limits.h>

DEFINE_CLEANUP(struct graph *, graph_free)
DEFINE_CLEANUP(struct store *, store_close)

#define BED_T0 1700000000000000000ull
#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)

/* bed_aside is where store_open() last said it has set a file aside to. */
extern char bed_dir[SCRATCH_DIR_MAX], bed_path[96], bed_aside[PATH_MAX];

int bed_setup(void **state);
int bed_teardown(void **state);

struct graph *bed_graph(uint32_t node_max, uint32_t edge_max);
uint32_t bed_intern(struct graph *g, enum node_kind kind, const char *name);
/* Nodes and edges with a different value in each field. */
void bed_fill(struct graph *g, uint32_t blocks_n, uint32_t deps_n);
/* Whatever the ids. */
void bed_assert_same(const struct graph *a, const struct graph *b);

/* The store at bed_path, opened with 0 or STORE_SET_ASIDE. */
struct store *bed_open(int want);
/* Gives all changes of g to the batch that is open. */
int bed_put_changes(struct store *s, struct graph *g);
void bed_flush(struct store *s, struct graph *g);
struct graph *bed_loaded(struct store *s);

/* The first column of the first row as a number, -1 when there is none, and as text. */
int64_t bed_query(const char *sql, char *ret_text, size_t text_max);
void bed_sql(const char *sql);

#endif
