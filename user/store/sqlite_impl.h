/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sqlite_impl.h - what the files of the SQLite store share; for them alone.
 *
 * Shape    sqlite.c opens the file, brings it up to date and sets it aside; sqlite_stmt.c has the
 *          statements, and what a failed one means; sqlite_ids.c the numbers of names; sqlite_put.c
 *          a flush; sqlite_load.c the way back.
 * Errors   As in store.h; SQLite's codes end in sql_fault().
 */
#ifndef STORE_SQLITE_IMPL_H
#define STORE_SQLITE_IMPL_H

#include "store/store.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

enum stmt {
	STMT_BEGIN,
	STMT_COMMIT,
	STMT_EPOCH,
	STMT_NODE_UPDATE,
	STMT_NODE_UPSERT,
	STMT_NODE_ID,
	STMT_NODE_DEL,
	STMT_NODE_DEL_EDGES,
	STMT_NODE_DEL_RANGES,
	STMT_NODE_DEL_SCORE,
	STMT_EDGE_UPSERT,
	STMT_EDGE_DEL,
	STMT_RANGES,
	STMT_MODEL,
	STMT_WORD_ID,
	STMT_WORD_ADD,
	STMT_GUESS,
	STMT_SCORE,
	STMT_BLOCK_SCORE,
	STMT_IMAGE,
	STMT_PRUNE_GUESSES,
	STMT_PRUNE_WORDS,
	STMT_PRUNE_SCORES,
	STMT_PRUNE_RANGES,
	STMT_PRUNE_IMAGES,
	STMT_LOAD_NODES,
	STMT_LOAD_EDGES,
	STMT_LOAD_RANGES,
	STMT_LOAD_GUESSES,
	STMT_LOAD_MODEL,
	STMT_LOAD_SCORE,
	STMT_LOAD_BLOCK_SCORES,
	STMT_LOAD_IMAGES,
	STMT_MAX
};

/* OUTCOME_HIT .. OUTCOME_DROPPED, in the order of the columns. */
enum { OUTCOMES = OUTCOME_DROPPED - OUTCOME_HIT + 1 };

enum { IDS_MAX = 1 << 14 };

struct cached_id {
	XXH128_hash_t hash;
	int64_t id; /* 0: empty */
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmts[STMT_MAX];
	struct cached_id *ids; /* IDS_MAX of them, each name has one place */
	uint64_t hash_seed;
	int64_t epoch, newer_version;
	bool epoch_saved, corrupt;
	uint32_t guesses_put_n, words_put_n, ranges_put_n; /* since the last pruning */
	uint64_t deadline_ns;				   /* of the check at open */
	char path[PATH_MAX];
	char aside[PATH_MAX];
	char message[PATH_MAX + 256];
};

/* --- sqlite.c --- */

/* Before each piece of work: what went wrong in the last one is put right now. 0, STORE_SET_ASIDE. */
int file_ready(struct store *s);

/* --- sqlite_stmt.c --- */

/* Notes what rc of SQLite means, and returns it as a fault. */
int sql_fault(struct store *s, int rc);

/* All at once when the file is opened, so that a table that is not as it should be shows then. */
int sql_prepare_all(struct store *s);

/* Runs to its end; ret_id, when not NULL, takes the number in the first column of its one row, and
 * is left alone when there is none. */
int sql_step(struct store *s, sqlite3_stmt *st, int64_t *ret_id);
int sql_run(struct store *s, enum stmt which);
int sql_run_with(struct store *s, enum stmt which, int64_t arg);

/* Binding a number in range, or memory that stays, cannot fail. */
static inline void put_int(sqlite3_stmt *st, int at, uint64_t value)
{
	(void)sqlite3_bind_int64(st, at, (int64_t)value);
}

static inline void put_text(sqlite3_stmt *st, int at, const char *text)
{
	(void)sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

/* --- sqlite_ids.c --- */

/* The kept number of a name of a kind of node, 0 when it is not kept; putting 0 forgets it. */
int64_t ids_get(struct store *s, int kind, const char *name);
void ids_put(struct store *s, int kind, const char *name, int64_t id);
void ids_clear(struct store *s);

/* The row of a node, 0 when there is none; of a word, made when it is not there. */
int ids_node(struct store *s, int kind, const char *name, int64_t *ret_id);
int ids_word(struct store *s, const char *word, int64_t *ret_id);

#endif
