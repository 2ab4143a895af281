// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sqlite_stmt.c - the statements of the store, and what it means when one fails.
 */
#include "store/sqlite_columns.h"
#include "store/sqlite_impl.h"

#include "base/err.h"

#include <errno.h>
#include <stdio.h>

/* clang-format off */
#define NAMES(table) table(SQL_NAME_F, SQL_NAME, )
#define PARAMS(table) table(SQL_PARAM_F, SQL_PARAM, )
#define SETS(table) table(SQL_SET_F, SQL_SET, )
#define SELECT(table, from) "SELECT " NAMES(table) from
#define UPDATE(into, table, where) "UPDATE " into " SET " SETS(table##_REST) where
#define INSERT(into, table) " INTO " into "(" NAMES(table) ") VALUES(" PARAMS(table) ")"
#define UPSERT(into, table) \
	"INSERT" INSERT(into, table) " ON CONFLICT(" NAMES(table##_KEY) ") DO UPDATE SET " SETS(table##_REST)
#define PUT(into, table) "INSERT OR REPLACE" INSERT(into, table)
#define WORD(id) "(SELECT word FROM words w WHERE w.id = " #id ")"
#define NEWEST_GUESSES " FROM guesses ORDER BY made_ns DESC LIMIT ?1"
#define PARAM_(n) "?" #n
#define PARAM(n) PARAM_(n)
/* clang-format on */

static const char *const stmt_sql[STMT_MAX] = {
	[STMT_BEGIN] = "BEGIN IMMEDIATE",
	[STMT_COMMIT] = "COMMIT",
	[STMT_EPOCH] = "INSERT OR REPLACE INTO meta(key, value) VALUES('epoch', ?1)",
	[STMT_NODE_UPDATE] = UPDATE("nodes", NODES,
				    " WHERE id = " PARAM(NODES_ROW) " AND kind = ?1 AND name = ?2"),
	[STMT_NODE_UPSERT] = UPSERT("nodes", NODES) " RETURNING id",
	[STMT_NODE_ID] = "SELECT id FROM nodes WHERE kind = ?1 AND name = ?2",
	[STMT_NODE_DEL] = "DELETE FROM nodes WHERE id = ?1",
	[STMT_NODE_DEL_EDGES] = "DELETE FROM edges WHERE from_id = ?1 OR to_id = ?1",
	[STMT_NODE_DEL_RANGES] = "DELETE FROM ranges WHERE block_id = ?1 OR file_id = ?1",
	[STMT_NODE_DEL_SCORE] = "DELETE FROM block_scores WHERE block_id = ?1",
	[STMT_EDGE_UPSERT] = UPSERT("edges", EDGES),
	[STMT_EDGE_DEL] = "DELETE FROM edges WHERE from_id = ?1 AND to_id = ?2 AND kind = ?3",
	[STMT_RANGES] = PUT("ranges", RANGES),
	[STMT_MODEL] = "INSERT OR REPLACE INTO model(id, saved_ns, state) VALUES(1, ?1, ?2)",
	[STMT_WORD_ID] = "SELECT id FROM words WHERE word = ?1",
	[STMT_WORD_ADD] = "INSERT INTO words(word) VALUES(?1)",
	[STMT_GUESS] = PUT("guesses", GUESSES),
	[STMT_SCORE] = PUT("scores", SCORES),
	[STMT_BLOCK_SCORE] = PUT("block_scores", BLOCK_SCORES),
	[STMT_IMAGE] = PUT("images", IMAGES),
	[STMT_PRUNE_GUESSES] = "DELETE FROM guesses WHERE made_ns < (SELECT made_ns FROM guesses "
			       "ORDER BY made_ns DESC LIMIT 1 OFFSET ?1)",
	[STMT_PRUNE_WORDS] = "DELETE FROM words WHERE id NOT IN (SELECT block_id FROM guesses "
			     "UNION ALL SELECT via_id FROM guesses "
			     "UNION ALL SELECT dep_id FROM guesses)",
	[STMT_PRUNE_SCORES] = "DELETE FROM scores WHERE minute <= (SELECT minute FROM scores "
			      "ORDER BY minute DESC LIMIT 1 OFFSET ?1)",
	[STMT_PRUNE_RANGES] =
		"DELETE FROM ranges WHERE saved_ns <= (SELECT saved_ns FROM (SELECT saved_ns, "
		"sum(cells_n + ?2) OVER (ORDER BY saved_ns DESC) AS total FROM ranges) "
		"WHERE total > ?1 ORDER BY saved_ns DESC LIMIT 1)",
	[STMT_PRUNE_IMAGES] = "DELETE FROM images WHERE seen_ns < (SELECT seen_ns FROM images "
			      "ORDER BY seen_ns DESC LIMIT 1 OFFSET ?1)",
	[STMT_LOAD_NODES] = SELECT(NODES, ", id FROM nodes ORDER BY id"),
	[STMT_LOAD_EDGES] = SELECT(EDGES, " FROM edges"),
	[STMT_LOAD_RANGES] = "SELECT b.name, f.name, r.cells FROM ranges r "
			     "JOIN nodes b ON b.id = r.block_id AND b.kind = 1 "
			     "JOIN nodes f ON f.id = r.file_id AND f.kind = 2 ORDER BY r.saved_ns",
	[STMT_LOAD_GUESSES] = "SELECT * FROM (" SELECT(
		GUESSES, ", " WORD(block_id) ", " WORD(via_id) ", " WORD(dep_id)
				 NEWEST_GUESSES) ") ORDER BY made_ns, epoch, id",
	[STMT_LOAD_MODEL] = "SELECT state FROM model",
	/* Sums only grow, but the clock may have been ahead. */
	[STMT_LOAD_SCORE] = SELECT(
		SCORES, " FROM scores ORDER BY guesses_n + hit_n + late_n + wasted_n + missed_n "
			"+ resident_n + dropped_n DESC, minute DESC LIMIT 1"),
	[STMT_LOAD_BLOCK_SCORES] =
		SELECT(BLOCK_SCORES,
		       ", n.name FROM block_scores JOIN nodes n ON n.id = block_id AND n.kind = 1"),
	[STMT_LOAD_IMAGES] = SELECT(IMAGES, " FROM images ORDER BY seen_ns"),
};

/* SQLite knows ENOSPC; a quota or a limit on file sizes is a full disk as well, but shows only in the
 * errno that the file, or the log, kept of its last failure. */
static bool disk_is_full(struct store *s)
{
	sqlite3_file *log = NULL;
	int errs[2] = {0};

	(void)sqlite3_file_control(s->db, "main", SQLITE_FCNTL_LAST_ERRNO, &errs[0]);
	(void)sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (log && log->pMethods)
		(void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &errs[1]);
	for (int i = 0; i < 2; i++)
		if (errs[i] == ENOSPC || errs[i] == EDQUOT || errs[i] == EFBIG)
			return true;
	return false;
}

static int errno_of(struct store *s, int rc)
{
	int sys = s->db ? sqlite3_system_errno(s->db) : 0;

	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_CANTOPEN:
		return sys ? -sys : -ENOENT;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_NOMEM)
			return -ENOMEM;
		if (rc == SQLITE_IOERR_SHORT_READ || rc == SQLITE_IOERR_CORRUPTFS)
			return -EUCLEAN;
		return s->db && disk_is_full(s) ? -ENOSPC : -EIO;
	default:
		/* CORRUPT, NOTADB; and what our statements cannot cause on a sound file: a table
		 * that is missing, a constraint that does not hold. */
		return -EUCLEAN;
	}
}

int sql_fault(struct store *s, int rc)
{
	int r = errno_of(s, rc);

	s->corrupt = s->corrupt || r == -EUCLEAN;
	snprintf(s->message, sizeof(s->message), "%s: %s", s->path,
		 s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
	return fault(r);
}

int sql_prepare_all(struct store *s)
{
	for (int i = 0; i < STMT_MAX; i++) {
		int rc = sqlite3_prepare_v3(s->db, stmt_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &s->stmts[i], NULL);

		if (rc)
			return sql_fault(s, rc);
	}
	return 0;
}

int sql_step(struct store *s, sqlite3_stmt *st, int64_t *ret_id)
{
	int rc = sqlite3_step(st), r = 0;

	if (rc == SQLITE_ROW && ret_id)
		*ret_id = sqlite3_column_int64(st, 0);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = sql_fault(s, rc);
	/* reset() repeats the error of step(). */
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return r;
}

int sql_run(struct store *s, enum stmt which)
{
	return sql_step(s, s->stmts[which], NULL);
}

int sql_run_with(struct store *s, enum stmt which, int64_t arg)
{
	(void)sqlite3_bind_int64(s->stmts[which], 1, arg);
	return sql_step(s, s->stmts[which], NULL);
}
