// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sqlite.c - the store as one SQLite file in WAL mode.
 *
 * synchronous=NORMAL: a commit writes to the log and does not wait for the disk; only a checkpoint
 * does. A killed process loses nothing that was committed, for the kernel has it; a power cut may
 * lose the last commits, never the file. FULL would pay an fsync each second for what a second of
 * looking at the host brings back.
 *
 * Rows refer to each other by number. The number of a name is looked up once and then kept in a
 * small cache under a 128-bit hash of the name, so a flush of things known costs no lookup. The
 * cache is dropped at a rollback, for numbers may have been rolled back with the rest.
 *
 * Corruption may show at any statement. It is noted, the batch fails, and the next begin renames
 * the file and goes on with a fresh one: a daemon that has all in memory does not stop for it.
 */
#include "store/pack.h"
#include "store/store.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>

enum {
	APPLICATION_ID = 0x46574d31, /* "FWM1" */
	SCHEMA_VERSION = 3,
	BUSY_TIMEOUT_MS = 1000,
	CHECK_MS_MAX = 500,
	GUESS_MAX = 100000,
	GUESS_PRUNE_EVERY = 4096,
	SCORE_MAX = 20160, /* minutes: two weeks */
	RANGES_CELLS_MAX =
		1 << 17, /* twice what the engine holds; a row counts as RANGES_ROW_CELLS more */
	RANGES_ROW_CELLS = 8,
	RANGES_PRUNE_EVERY = 1024,
	CACHE_MAX = 1 << 14,
	NAME_LEN_MAX = 4095,
};

/* quick_check goes through 164 MB in 0.4 s, and in this version of SQLite cannot be interrupted inside
 * a table (time sqlite3 FILE 'PRAGMA quick_check'); what is larger is found out by its use. */
#define CHECK_BYTES_MAX (128ll << 20)

extern const char schema_sql[];
/* The assembler takes the text in as it stands; the path is relative to where make runs. */
__asm__(".pushsection .rodata\n"
	".global schema_sql\n"
	"schema_sql: .incbin \"user/store/schema.sql\"\n"
	".byte 0\n"
	".popsection\n");

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
	STMT_PRUNE_GUESSES,
	STMT_PRUNE_WORDS,
	STMT_PRUNE_SCORES,
	STMT_PRUNE_RANGES,
	STMT_LOAD_NODES,
	STMT_LOAD_EDGES,
	STMT_LOAD_RANGES,
	STMT_LOAD_MODEL,
	STMT_LOAD_SCORE,
	STMT_LOAD_BLOCK_SCORES,
	STMT_MAX
};

#define EDGE_COLUMNS                                                                               \
	"from_id, to_id, kind, count, runs_n, fail_n, errno_last, first_ns, last_ns, "             \
	"latency_sum_ns, latency_p50_ns, latency_p99_ns, lead_sum_ns, lead_n, p_last, run_last, "  \
	"latency, use_n, life_sum_ns, cpu_sum_ns, rss_peak_bytes, read_sum_bytes, "                \
	"write_sum_bytes, majflt_sum, minflt_sum, flags"
#define GUESS_COLUMNS                                                                              \
	"epoch, id, block_id, via_id, dep_id, kind, outcome, acted, model_order, uid, pid, p, "    \
	"support, made_ns, lead_ns, deadline_ns, acted_ns, done_ns, ended_ns, read_bytes, "        \
	"saved_ns, value_us, price_us"

static const char *const stmt_sql[STMT_MAX] = {
	[STMT_BEGIN] = "BEGIN IMMEDIATE",
	[STMT_COMMIT] = "COMMIT",
	[STMT_EPOCH] = "INSERT OR REPLACE INTO meta(key, value) VALUES('epoch', ?1)",
	[STMT_NODE_UPDATE] =
		"UPDATE nodes SET flags = ?3, first_ns = ?4, last_ns = ?5, runs_n = ?6, "
		"size_bytes = ?7, dev = ?8, ino = ?9, uid = ?10 "
		"WHERE id = ?11 AND kind = ?1 AND name = ?2",
	[STMT_NODE_UPSERT] =
		"INSERT INTO nodes(kind, name, flags, first_ns, last_ns, runs_n, size_bytes, dev, "
		"ino, uid) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) "
		"ON CONFLICT(kind, name) DO UPDATE SET flags = ?3, first_ns = ?4, last_ns = ?5, "
		"runs_n = ?6, size_bytes = ?7, dev = ?8, ino = ?9, uid = ?10 RETURNING id",
	[STMT_NODE_ID] = "SELECT id FROM nodes WHERE kind = ?1 AND name = ?2",
	[STMT_NODE_DEL] = "DELETE FROM nodes WHERE id = ?1",
	[STMT_NODE_DEL_EDGES] = "DELETE FROM edges WHERE from_id = ?1 OR to_id = ?1",
	[STMT_NODE_DEL_RANGES] = "DELETE FROM ranges WHERE block_id = ?1 OR file_id = ?1",
	[STMT_NODE_DEL_SCORE] = "DELETE FROM block_scores WHERE block_id = ?1",
	[STMT_EDGE_UPSERT] =
		"INSERT INTO edges(" EDGE_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		"?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, "
		"?26) "
		"ON CONFLICT(from_id, to_id, kind) DO UPDATE SET count = ?4, runs_n = ?5, "
		"fail_n = ?6, errno_last = ?7, first_ns = ?8, last_ns = ?9, latency_sum_ns = ?10, "
		"latency_p50_ns = ?11, latency_p99_ns = ?12, lead_sum_ns = ?13, lead_n = ?14, "
		"p_last = ?15, run_last = ?16, latency = ?17, use_n = ?18, life_sum_ns = ?19, "
		"cpu_sum_ns = ?20, rss_peak_bytes = ?21, read_sum_bytes = ?22, "
		"write_sum_bytes = ?23, majflt_sum = ?24, minflt_sum = ?25, flags = ?26",
	[STMT_EDGE_DEL] = "DELETE FROM edges WHERE from_id = ?1 AND to_id = ?2 AND kind = ?3",
	[STMT_RANGES] =
		"INSERT OR REPLACE INTO ranges(block_id, file_id, saved_ns, cells_n, cells) "
		"VALUES(?1, ?2, ?3, ?4, ?5)",
	[STMT_MODEL] = "INSERT OR REPLACE INTO model(id, saved_ns, state) VALUES(1, ?1, ?2)",
	[STMT_WORD_ID] = "SELECT id FROM words WHERE word = ?1",
	[STMT_WORD_ADD] = "INSERT INTO words(word) VALUES(?1)",
	[STMT_GUESS] =
		"INSERT OR REPLACE INTO guesses(" GUESS_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, "
		"?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
		"?21, ?22, ?23)",
	[STMT_SCORE] = "INSERT OR REPLACE INTO scores VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		       "?10, ?11, ?12, ?13, ?14, ?15)",
	[STMT_BLOCK_SCORE] = "INSERT OR REPLACE INTO block_scores VALUES(?1, ?2, ?3, ?4, ?5, ?6, "
			     "?7, ?8, ?9, ?10)",
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
	[STMT_LOAD_NODES] = "SELECT id, kind, name, flags, first_ns, last_ns, runs_n, size_bytes, "
			    "dev, ino, uid FROM nodes",
	[STMT_LOAD_EDGES] = "SELECT " EDGE_COLUMNS " FROM edges",
	[STMT_LOAD_RANGES] = "SELECT b.name, f.name, r.cells FROM ranges r "
			     "JOIN nodes b ON b.id = r.block_id AND b.kind = 1 "
			     "JOIN nodes f ON f.id = r.file_id AND f.kind = 2 ORDER BY r.saved_ns",
	[STMT_LOAD_MODEL] = "SELECT state FROM model",
	[STMT_LOAD_SCORE] = "SELECT * FROM scores ORDER BY minute DESC LIMIT 1",
	[STMT_LOAD_BLOCK_SCORES] = "SELECT n.name, s.* FROM block_scores s "
				   "JOIN nodes n ON n.id = s.block_id AND n.kind = 1",
};

struct cached_id {
	XXH128_hash_t hash;
	int64_t id; /* 0: empty */
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmts[STMT_MAX];
	struct cached_id *cache; /* CACHE_MAX of them, each name has one place */
	uint64_t hash_seed;
	int64_t epoch, newer_version;
	bool epoch_saved, corrupt;
	uint32_t guesses_put_n, words_put_n, ranges_put_n; /* since the last pruning */
	uint64_t deadline_ns;				   /* of the check at open */
	char path[PATH_MAX];
	char aside[PATH_MAX];
	char message[PATH_MAX + 256];
};

/* Why a file cannot be used as it is. */
enum { FILE_CORRUPT = 1, FILE_NEWER = 2 };

/* --- errors ---------------------------------------------------------------------------------- */

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

/* Notes what rc of SQLite means, and returns it as a fault. */
static int sql_fault(struct store *s, int rc)
{
	int r = errno_of(s, rc);

	s->corrupt = s->corrupt || r == -EUCLEAN;
	snprintf(s->message, sizeof(s->message), "%s: %s", s->path,
		 s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
	return fault(r);
}

/* --- statements ------------------------------------------------------------------------------ */

/* All at once when the file is opened, so that a table that is not as it should be shows then. */
static int stmt_prepare_all(struct store *s)
{
	for (int i = 0; i < STMT_MAX; i++) {
		int rc = sqlite3_prepare_v3(s->db, stmt_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &s->stmts[i], NULL);

		if (rc)
			return sql_fault(s, rc);
	}
	return 0;
}

/* Runs to its end; ret_id, when not NULL, takes the number in the first column of its one row, and
 * is left alone when there is none. */
static int stmt_run(struct store *s, sqlite3_stmt *st, int64_t *ret_id)
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

static int run(struct store *s, enum stmt which)
{
	return stmt_run(s, s->stmts[which], NULL);
}

static int run_with(struct store *s, enum stmt which, int64_t arg)
{
	(void)sqlite3_bind_int64(s->stmts[which], 1, arg);
	return stmt_run(s, s->stmts[which], NULL);
}

/* Binding a number in range, or memory that stays, cannot fail. */
static void put_int(sqlite3_stmt *st, int at, uint64_t value)
{
	(void)sqlite3_bind_int64(st, at, (int64_t)value);
}

static void put_text(sqlite3_stmt *st, int at, const char *text)
{
	(void)sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void put_real(sqlite3_stmt *st, int at, double value)
{
	(void)sqlite3_bind_double(st, at, isfinite(value) ? value : 0);
}

/* --- ids of names ------------------------------------------------------------------------------ */

enum { WORD = 0 /* in place of an enum node_kind */ };

static struct cached_id *cache_place(struct store *s, int kind, const char *name,
				     XXH128_hash_t *ret_hash)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(name, strlen(name), s->hash_seed + (uint64_t)kind);

	*ret_hash = h;
	return &s->cache[h.low64 % CACHE_MAX];
}

static int64_t cache_get(struct store *s, int kind, const char *name)
{
	XXH128_hash_t hash;
	const struct cached_id *c = cache_place(s, kind, name, &hash);

	return c->id && XXH128_isEqual(c->hash, hash) ? c->id : 0;
}

/* id 0 forgets. */
static void cache_put(struct store *s, int kind, const char *name, int64_t id)
{
	XXH128_hash_t hash;
	struct cached_id *c = cache_place(s, kind, name, &hash);

	if (id || XXH128_isEqual(c->hash, hash))
		*c = (struct cached_id){.hash = hash, .id = id};
}

static void cache_clear(struct store *s)
{
	memset(s->cache, 0, CACHE_MAX * sizeof(*s->cache));
}

/* *ret_id is 0 when there is no such node. */
static int node_id(struct store *s, int kind, const char *name, int64_t *ret_id)
{
	sqlite3_stmt *st;
	int64_t id = cache_get(s, kind, name);
	int r;

	if (!id) {
		st = s->stmts[STMT_NODE_ID];
		put_int(st, 1, (uint64_t)kind);
		put_text(st, 2, name);
		r = stmt_run(s, st, &id);
		if (r)
			return r;
		if (id)
			cache_put(s, kind, name, id);
	}
	*ret_id = id;
	return 0;
}

static int word_id(struct store *s, const char *word, int64_t *ret_id)
{
	sqlite3_stmt *st;
	int64_t id = cache_get(s, WORD, word);
	int r;

	if (!id) {
		st = s->stmts[STMT_WORD_ID];
		put_text(st, 1, word);
		r = stmt_run(s, st, &id);
		if (r)
			return r;
	}
	if (!id) {
		st = s->stmts[STMT_WORD_ADD];
		put_text(st, 1, word);
		r = stmt_run(s, st, NULL);
		if (r)
			return r;
		id = sqlite3_last_insert_rowid(s->db);
	}
	cache_put(s, WORD, word, id);
	*ret_id = id;
	return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

static void db_close(struct store *s)
{
	for (int i = 0; i < STMT_MAX; i++) {
		(void)sqlite3_finalize(s->stmts[i]); /* repeats an error already reported */
		s->stmts[i] = NULL;
	}
	(void)sqlite3_close_v2(s->db);
	s->db = NULL;
}

static int db_exec(struct store *s, const char *sql)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc ? sql_fault(s, rc) : 0;
}

/* The number that a one-row query gives; 0 when it gives no row. */
static int db_number(struct store *s, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int64_t n = 0;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL), r;

	if (rc)
		return sql_fault(s, rc);
	r = stmt_run(s, st, &n);
	(void)sqlite3_finalize(st);
	if (!r)
		*ret = n;
	return r;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t); /* both clocks used here always exist */
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int check_progress(void *arg)
{
	const struct store *s = arg;

	return clock_ns(CLOCK_MONOTONIC) > s->deadline_ns;
}

/* Is the file's structure sound, as far as can be told in CHECK_MS_MAX? */
static int db_check(struct store *s)
{
	sqlite3_stmt *st = NULL;
	struct stat sb;
	const char *said = NULL;
	int rc, r = 0;

	if (stat(s->path, &sb) || sb.st_size > CHECK_BYTES_MAX)
		return 0;
	s->deadline_ns = clock_ns(CLOCK_MONOTONIC) + CHECK_MS_MAX * 1000000ull;
	sqlite3_progress_handler(s->db, 10000, check_progress, s);
	rc = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (!rc)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		said = (const char *)sqlite3_column_text(st, 0);
	if (rc == SQLITE_ROW && (!said || strcmp(said, "ok") != 0)) {
		s->corrupt = true;
		snprintf(s->message, sizeof(s->message), "%s: %s", s->path,
			 said ? said : "damaged");
		r = fault(-EUCLEAN);
	} else if (rc != SQLITE_ROW && (rc & 0xff) != SQLITE_INTERRUPT) {
		r = sql_fault(s, rc);
	}
	(void)sqlite3_finalize(st);
	sqlite3_progress_handler(s->db, 0, NULL, NULL);
	return r;
}

static int db_create(struct store *s)
{
	char sql[256];
	int r;

	snprintf(sql, sizeof(sql),
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; "
		 "INSERT INTO meta VALUES('created_ns', %llu);",
		 APPLICATION_ID, SCHEMA_VERSION, (unsigned long long)clock_ns(CLOCK_REALTIME));
	r = db_exec(s, "BEGIN IMMEDIATE");
	if (!r)
		r = db_exec(s, schema_sql);
	if (!r)
		r = db_exec(s, sql);
	if (!r)
		r = db_exec(s, "COMMIT");
	return r;
}

/* What version n - 1 lacks of version n, the views left out. */
static const char *const migrations[SCHEMA_VERSION + 1] = {
	[2] = "ALTER TABLE edges ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;"
	      "CREATE TABLE ranges(block_id INTEGER NOT NULL, file_id INTEGER NOT NULL, "
	      "saved_ns INTEGER NOT NULL, cells_n INTEGER NOT NULL, cells BLOB NOT NULL, "
	      "PRIMARY KEY(block_id, file_id)) WITHOUT ROWID;"
	      "CREATE INDEX ranges_by_file ON ranges(file_id);"
	      "CREATE INDEX ranges_by_time ON ranges(saved_ns);",
	[3] = "CREATE TABLE block_scores(block_id INTEGER PRIMARY KEY, hit_n INTEGER NOT NULL, "
	      "late_n INTEGER NOT NULL, wasted_n INTEGER NOT NULL, missed_n INTEGER NOT NULL, "
	      "resident_n INTEGER NOT NULL, dropped_n INTEGER NOT NULL, "
	      "read_bytes INTEGER NOT NULL, wasted_bytes INTEGER NOT NULL, "
	      "saved_ns INTEGER NOT NULL);",
};

/* Brings an older file up to date, in one transaction. The views hold nothing: made anew. */
static int db_migrate(struct store *s, int64_t version)
{
	char sql[64];
	int r;

	if (version == SCHEMA_VERSION)
		return 0;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d; COMMIT", SCHEMA_VERSION);
	r = db_exec(s, "BEGIN IMMEDIATE");
	for (int64_t v = version + 1; !r && v <= SCHEMA_VERSION; v++)
		r = db_exec(s, migrations[v]);
	if (!r)
		r = db_exec(s, "DROP VIEW IF EXISTS nodes_v; DROP VIEW IF EXISTS edges_v; "
			       "DROP VIEW IF EXISTS predictions_v; DROP VIEW IF EXISTS guesses_v; "
			       "DROP VIEW IF EXISTS block_scores_v");
	if (!r)
		r = db_exec(s, strstr(schema_sql, "CREATE VIEW")); /* they come last */
	if (!r)
		r = db_exec(s, sql);
	return r; /* not committed: closing the file rolls back */
}

/* What the file says it is: FILE_NEWER when we cannot know it, FILE_CORRUPT when it is not ours. */
static int db_identify(struct store *s, int64_t *ret_version)
{
	int64_t app = 0, version = 0, tables_n = 0;
	int r = db_number(s, "PRAGMA application_id", &app);

	if (!r)
		r = db_number(s, "PRAGMA user_version", &version);
	if (!r)
		r = db_number(s, "SELECT count(*) FROM sqlite_schema", &tables_n);
	if (r)
		return r;
	if (app == 0 && version == 0 && tables_n == 0) {
		*ret_version = 0;
		return 0;
	}
	if (app != APPLICATION_ID || version < 1) {
		snprintf(s->message, sizeof(s->message), "%s: not a database of forewarm", s->path);
		return FILE_CORRUPT;
	}
	*ret_version = version;
	if (version > SCHEMA_VERSION) {
		s->newer_version = version;
		snprintf(s->message, sizeof(s->message),
			 "%s: of schema version %lld, newer than %d", s->path, (long long)version,
			 SCHEMA_VERSION);
		return FILE_NEWER;
	}
	return 0;
}

static int db_setup(struct store *s)
{
	int64_t version = 0;
	int r;

	(void)sqlite3_extended_result_codes(s->db, 1);
	(void)sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	/* The file is data: it must not make us run what is in its schema. */
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	r = db_exec(s, "PRAGMA cell_size_check = ON; PRAGMA cache_size = -768");
	if (!r)
		r = db_identify(s, &version);
	if (r)
		return r;
	r = db_exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
		       "PRAGMA journal_size_limit = 16777216");
	if (!r)
		r = version ? db_check(s) : db_create(s);
	if (!r && version)
		r = db_migrate(s, version);
	if (!r)
		r = db_number(s, "SELECT value FROM meta WHERE key = 'epoch'", &s->epoch);
	if (!r)
		r = stmt_prepare_all(s);
	s->epoch = s->epoch < 0 || s->epoch >= INT32_MAX ? 1 : s->epoch + 1;
	s->epoch_saved = false;
	return r;
}

/* < 0 a fault, FILE_CORRUPT, FILE_NEWER with the version in *ret_version, or open. */
static int db_open(struct store *s)
{
	int fd, rc, r;

	s->corrupt = false;
	cache_clear(s);
	/* Made here and not by SQLite, for its mode: who ran what is nobody's business. */
	fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
	if (fd < 0) {
		r = fault_errno();
		snprintf(s->message, sizeof(s->message), "%s: %s", s->path, strerror(-r));
		return r;
	}
	(void)close(fd); /* before SQLite locks the file: closing would drop its locks */
	rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	r = rc ? sql_fault(s, rc) : db_setup(s);
	if (r) {
		/* What is set aside is left as it was found. */
		if (s->db)
			(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		db_close(s);
	}
	return r == -EUCLEAN ? FILE_CORRUPT : r;
}

/* --- setting aside --------------------------------------------------------------------------- */

/* Errors of rename as they are: EEXIST is looked at. */
static int move_suffix(const char *from, const char *to, const char *suffix)
{
	char f[PATH_MAX + 8], t[PATH_MAX + 8];

	snprintf(f, sizeof(f), "%s%s", from, suffix);
	snprintf(t, sizeof(t), "%s%s", to, suffix);
	if (renameat2(AT_FDCWD, f, AT_FDCWD, t, RENAME_NOREPLACE) && errno != ENOENT)
		return -errno;
	return 0;
}

/* Renames the file and its log to a name that was free. */
static int set_aside(struct store *s, int why)
{
	char stamp[64], name[PATH_MAX];
	time_t now = time(NULL);
	struct tm tm = {0};
	int r = -EEXIST, n;

	if (why == FILE_NEWER) {
		snprintf(stamp, sizeof(stamp), "newer-schema-%lld", (long long)s->newer_version);
	} else {
		(void)gmtime_r(&now, &tm);
		(void)strftime(stamp, sizeof(stamp), "corrupt-%Y%m%dT%H%M%S", &tm);
	}
	for (int try = 1; r == -EEXIST && try < 1000; try++) {
		n = try == 1 ? snprintf(name, sizeof(name), "%s.%s", s->path, stamp)
			     : snprintf(name, sizeof(name), "%s.%s-%d", s->path, stamp, try);
		if (n < 0 || (size_t)n >= sizeof(name))
			return fault(-ENAMETOOLONG);
		r = move_suffix(s->path, name, "");
	}
	/* A log without its database must not meet the fresh one. */
	if (!r)
		r = move_suffix(s->path, name, "-wal");
	if (!r)
		r = move_suffix(s->path, name, "-journal");
	if (!r)
		r = move_suffix(s->path, name, "-shm");
	if (r)
		return fault(r);
	memcpy(s->aside, name, sizeof(s->aside));
	return 0;
}

/* A fresh file in place of one that could not be opened, or was found corrupt while in use. */
static int replace(struct store *s, int why)
{
	int r;

	if (s->db) {
		(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		db_close(s);
	}
	r = set_aside(s, why);
	if (!r)
		r = db_open(s);
	return r > 0 ? fault(-EUCLEAN) : r;
}

/* Before each piece of work: what went wrong in the last one is put right now. */
static int ready(struct store *s)
{
	int r = 0, why = s->corrupt ? FILE_CORRUPT : 0;

	if (!why && s->db)
		return 0;
	if (!why)
		why = db_open(s);
	if (why < 0)
		return why;
	if (why)
		r = replace(s, why);
	return r ? r : why ? STORE_SET_ASIDE : 0;
}

/* --- public ---------------------------------------------------------------------------------- */

DEFINE_CLEANUP(struct store *, store_close)

int store_open(const char *path, char *ret_aside, struct store **ret)
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return fault(-ENOMEM);
	s->cache = calloc(CACHE_MAX, sizeof(*s->cache));
	if (!s->cache)
		return fault(-ENOMEM);
	/* Without entropy the seed is 0: then names that collide could be made, at 2^64 tries. */
	(void)!getrandom(&s->hash_seed, sizeof(s->hash_seed), GRND_NONBLOCK);
	if ((size_t)snprintf(s->path, sizeof(s->path), "%s", path) >= sizeof(s->path) - 64)
		return fault(-ENAMETOOLONG);
	r = ready(s);
	if (r < 0)
		return r;
	if (r)
		memcpy(ret_aside, s->aside, strlen(s->aside) + 1);
	*ret = TAKE_PTR(s);
	return r;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	if (s->db)
		db_close(s);
	free(s->cache);
	free(s);
	return NULL;
}

/* Of node rows: which node of the graph each became; in the order of rows. */
struct loaded {
	int64_t row;
	uint32_t id; /* 0: evicted again while later ones were loaded */
};

struct loading {
	struct loaded *nodes;
	uint32_t nodes_n, nodes_max;
	uint32_t *by_id; /* which of nodes got this id last */
	uint32_t id_max;
};

static void loading_fini(struct loading *l)
{
	free(l->nodes);
	free(l->by_id);
}

static int loading_add(struct loading *l, int64_t row, uint32_t id)
{
	if (l->nodes_n == l->nodes_max) {
		uint32_t max = l->nodes_max ? 2 * l->nodes_max : 1024;
		struct loaded *p = realloc(l->nodes, max * sizeof(*p));

		if (!p)
			return fault(-ENOMEM);
		l->nodes = p;
		l->nodes_max = max;
	}
	if (id >= l->id_max) {
		uint32_t max = l->id_max ? 2 * l->id_max : 1024, *p;

		max = max > id ? max : id + 1;
		p = realloc(l->by_id, max * sizeof(*p));
		if (!p)
			return fault(-ENOMEM);
		l->by_id = p;
		l->id_max = max;
	}
	l->by_id[id] = l->nodes_n;
	l->nodes[l->nodes_n++] = (struct loaded){row, id};
	return 0;
}

static void loading_drop_evicted(struct loading *l)
{
	for (uint32_t i = 0; i < l->nodes_n; i++)
		if (l->by_id[l->nodes[i].id] != i)
			l->nodes[i].id = 0;
}

/* 0 when there is no such node. Rows are numbered almost without gaps, so where a row must be is
 * guessed from its number; each guess that is off is followed by a halving. */
static uint32_t loading_get(const struct loading *l, int64_t row)
{
	uint32_t lo = 0, hi = l->nodes_n; /* in [lo, hi) */
	bool guess = true;

	while (lo < hi) {
		int64_t first = l->nodes[lo].row, last = l->nodes[hi - 1].row;
		uint32_t at = lo + (hi - lo) / 2;

		if (row < first || row > last)
			return 0;
		if (guess && last > first)
			at = lo + (uint32_t)((double)(row - first) / (double)(last - first) *
					     (hi - 1 - lo));
		guess = !guess;
		if (l->nodes[at].row == row)
			return l->nodes[at].id;
		if (l->nodes[at].row < row)
			lo = at + 1;
		else
			hi = at;
	}
	return 0;
}

static uint64_t column(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

/* Counts and sums: what is negative was never written by us. */
static uint64_t column_sum(sqlite3_stmt *st, int at)
{
	int64_t v = sqlite3_column_int64(st, at);

	return v < 0 ? 0 : (uint64_t)v;
}

static int load_nodes(struct store *s, struct graph *g, struct loading *l)
{
	sqlite3_stmt *st = s->stmts[STMT_LOAD_NODES];
	int rc, r = 0;

	while (!r && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 2);
		int name_len = sqlite3_column_bytes(st, 2);
		int64_t row = sqlite3_column_int64(st, 0), kind = sqlite3_column_int64(st, 1);
		struct node n = {
			.kind = (uint8_t)kind,
			.flags = (uint8_t)(column(st, 3) & ~(uint64_t)NODE_F_PINNED),
			.name = name,
			.first_ns = column_sum(st, 4),
			.last_ns = column_sum(st, 5),
			.runs_n = column_sum(st, 6),
			.size_bytes = column_sum(st, 7),
			.dev = column(st, 8),
			.ino = column(st, 9),
			.uid = (uint32_t)column(st, 10),
		};
		uint32_t id = 0;

		if (kind <= NODE_NONE || kind >= NODE_KIND_MAX || !name || name_len < 1 ||
		    name_len > NAME_LEN_MAX || strlen(name) != (size_t)name_len)
			continue;
		r = graph_restore_node(g, &n, &id);
		if (r == -EEXIST || r == GRAPH_FULL)
			r = 0;
		else if (!r)
			r = loading_add(l, row, id);
	}
	if (!r && rc != SQLITE_DONE)
		r = sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return r;
}

static void edge_of_row(sqlite3_stmt *st, struct edge *e, struct edge_use *use)
{
	double p = sqlite3_column_double(st, 14);

	*e = (struct edge){
		.kind = (uint8_t)column(st, 2),
		.count = column_sum(st, 3),
		.runs_n = column_sum(st, 4),
		.fail_n = column_sum(st, 5),
		.errno_last = sqlite3_column_int(st, 6),
		.first_ns = column_sum(st, 7),
		.last_ns = column_sum(st, 8),
		.latency_sum_ns = column_sum(st, 9),
		.lead_sum_ns = column_sum(st, 12),
		.lead_n = column_sum(st, 13),
		.p_last = p >= 0 && p <= 1 ? p : 0,
		.run_last = column_sum(st, 15),
		.flags = (uint8_t)column(st, 25),
	};
	if (sqlite3_column_bytes(st, 16) == sizeof(e->latency.bins))
		memcpy(e->latency.bins, sqlite3_column_blob(st, 16), sizeof(e->latency.bins));
	if (e->kind != EDGE_EXEC)
		return;
	*use = (struct edge_use){
		.use_n = column_sum(st, 17),
		.life_sum_ns = column_sum(st, 18),
		.cpu_sum_ns = column_sum(st, 19),
		.rss_peak_bytes = column_sum(st, 20),
		.read_sum_bytes = column_sum(st, 21),
		.write_sum_bytes = column_sum(st, 22),
		.majflt_sum = column_sum(st, 23),
		.minflt_sum = column_sum(st, 24),
	};
	e->use = use;
}

static int load_edges(struct store *s, struct graph *g, const struct loading *l)
{
	sqlite3_stmt *st = s->stmts[STMT_LOAD_EDGES];
	int64_t from_row = 0; /* rows come by it: look it up once */
	uint32_t from = 0;
	int rc, r = 0;

	while (!r && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t row = sqlite3_column_int64(st, 0), kind = sqlite3_column_int64(st, 2);
		struct edge_use use;
		struct edge e;

		if (kind <= EDGE_NONE || kind >= EDGE_KIND_MAX)
			continue;
		if (row != from_row) {
			from_row = row;
			from = loading_get(l, row);
		}
		edge_of_row(st, &e, &use);
		e.from = from;
		e.to = loading_get(l, sqlite3_column_int64(st, 1));
		if (!e.from || !e.to)
			continue;
		r = graph_restore_edge(g, &e);
		if (r == -EEXIST)
			r = 0;
	}
	if (!r && rc != SQLITE_DONE)
		r = sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return r;
}

static int load_model(struct store *s, void **ret_model, size_t *ret_model_n)
{
	sqlite3_stmt *st = s->stmts[STMT_LOAD_MODEL];
	_cleanup_(freep) void *model = NULL;
	size_t model_n = 0;
	int rc = sqlite3_step(st), r = 0;

	if (rc == SQLITE_ROW) {
		const void *state = sqlite3_column_blob(st, 0);

		model_n = (size_t)sqlite3_column_bytes(st, 0);
		if (state && model_n)
			r = unpack_bytes(state, model_n, &model, &model_n);
	} else if (rc != SQLITE_DONE) {
		r = sql_fault(s, rc);
	}
	(void)sqlite3_reset(st);
	if (r)
		return r;
	*ret_model_n = model ? model_n : 0;
	*ret_model = TAKE_PTR(model);
	return 0;
}

int store_load(struct store *s, struct graph *g, void **ret_model, size_t *ret_model_n)
{
	_cleanup_(loading_fini) struct loading l = {0};
	int r = ready(s), aside = r;

	if (r < 0)
		return r;
	r = load_nodes(s, g, &l);
	loading_drop_evicted(&l);
	if (!r)
		r = load_edges(s, g, &l);
	if (!r)
		r = load_model(s, ret_model, ret_model_n);
	if (r && s->corrupt) {
		r = replace(s, FILE_CORRUPT);
		aside = STORE_SET_ASIDE;
		if (!r) {
			*ret_model = NULL;
			*ret_model_n = 0;
		}
	}
	return r ? r : aside;
}

int store_load_ranges(struct store *s, const struct graph *g, store_ranges_fn fn, void *ctx)
{
	sqlite3_stmt *st;
	int rc, r = ready(s), aside = r;

	if (r < 0)
		return r;
	st = s->stmts[STMT_LOAD_RANGES];
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *block = (const char *)sqlite3_column_text(st, 0);
		const char *file = (const char *)sqlite3_column_text(st, 1);
		const void *cells = sqlite3_column_blob(st, 2);
		uint32_t block_id = block ? graph_find(g, NODE_BLOCK, block) : 0;
		uint32_t file_id = file ? graph_find(g, NODE_FILE, file) : 0;

		if (block_id && file_id && cells)
			fn(ctx, block_id, file_id, cells, (size_t)sqlite3_column_bytes(st, 2));
	}
	r = rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return r ? r : aside;
}

/* OUTCOME_HIT .. OUTCOME_DROPPED, in the order of the columns. */
enum { OUTCOMES = OUTCOME_DROPPED - OUTCOME_HIT + 1 };

static double column_share(sqlite3_stmt *st, int at)
{
	double v = sqlite3_column_double(st, at);

	return v > 0 && v <= 1 ? v : 0;
}

static void score_of_row(sqlite3_stmt *st, struct score *ret)
{
	double lambda = sqlite3_column_double(st, 14);

	*ret = (struct score){.guesses_n = column_sum(st, 1),
			      .acted_n = column_sum(st, 2),
			      .bytes_read = column_sum(st, 9),
			      .bytes_wasted = column_sum(st, 10),
			      .saved_ns = column_sum(st, 11),
			      .precision = column_share(st, 12),
			      .recall = column_share(st, 13),
			      .lambda = lambda > 0 ? lambda : 0};
	for (int i = 0; i < OUTCOMES; i++)
		ret->outcome_n[OUTCOME_HIT + i] = column_sum(st, 3 + i);
}

static uint32_t column_u32(sqlite3_stmt *st, int at)
{
	uint64_t v = column_sum(st, at);

	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void block_score_of_row(sqlite3_stmt *st, struct block_score *ret)
{
	*ret = (struct block_score){.bytes_read = column_sum(st, 8),
				    .bytes_wasted = column_sum(st, 9),
				    .saved_ns = column_sum(st, 10)};
	for (int i = 0; i < OUTCOMES; i++)
		ret->outcome_n[OUTCOME_HIT + i] = column_u32(st, 2 + i);
}

int store_load_scores(struct store *s, const struct graph *g, store_block_score_fn fn, void *ctx,
		      struct score *ret)
{
	sqlite3_stmt *st;
	int rc, r = ready(s), aside = r;

	*ret = (struct score){0};
	if (r < 0)
		return r;
	st = s->stmts[STMT_LOAD_SCORE];
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		score_of_row(st, ret);
	r = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	if (r)
		return r;
	st = s->stmts[STMT_LOAD_BLOCK_SCORES];
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *block = (const char *)sqlite3_column_text(st, 0);
		uint32_t id = block ? graph_find(g, NODE_BLOCK, block) : 0;
		struct block_score score;

		block_score_of_row(st, &score);
		if (id)
			fn(ctx, id, &score);
	}
	r = rc == SQLITE_DONE ? 0 : sql_fault(s, rc);
	(void)sqlite3_reset(st);
	return r ? r : aside;
}

int store_begin(struct store *s)
{
	int r = ready(s), aside = r;

	if (r < 0)
		return r;
	r = run(s, STMT_BEGIN);
	if (!r && !s->epoch_saved) {
		r = run_with(s, STMT_EPOCH, s->epoch);
		if (r)
			store_rollback(s);
	}
	return r ? r : aside;
}

static void bind_node(sqlite3_stmt *st, const struct node *n)
{
	put_int(st, 1, n->kind);
	put_text(st, 2, n->name);
	put_int(st, 3, n->flags & ~NODE_F_PINNED); /* said again by whoever needs it */
	put_int(st, 4, n->first_ns);
	put_int(st, 5, n->last_ns);
	put_int(st, 6, n->runs_n);
	put_int(st, 7, n->size_bytes);
	put_int(st, 8, n->dev);
	put_int(st, 9, n->ino);
	put_int(st, 10, n->uid);
}

int store_put_node(struct store *s, const struct node *n)
{
	int64_t id = cache_get(s, n->kind, n->name);
	sqlite3_stmt *st;
	int r;

	if (id) {
		st = s->stmts[STMT_NODE_UPDATE];
		bind_node(st, n);
		put_int(st, 11, (uint64_t)id);
		r = stmt_run(s, st, NULL);
		if (r || sqlite3_changes(s->db) == 1)
			return r;
		cache_put(s, n->kind, n->name, 0); /* somebody else deleted the row */
	}
	st = s->stmts[STMT_NODE_UPSERT];
	bind_node(st, n);
	id = 0;
	r = stmt_run(s, st, &id);
	if (!r)
		cache_put(s, n->kind, n->name, id);
	return r;
}

/* The row of n, made when it is not there. */
static int node_row(struct store *s, const struct node *n, int64_t *ret_id)
{
	int64_t id = 0;
	int r = node_id(s, n->kind, n->name, &id);

	if (!r && !id) {
		r = store_put_node(s, n);
		if (!r)
			r = node_id(s, n->kind, n->name, &id);
	}
	if (!r)
		*ret_id = id;
	return r;
}

static void bind_use(sqlite3_stmt *st, const struct edge_use *u)
{
	put_int(st, 18, u->use_n);
	put_int(st, 19, u->life_sum_ns);
	put_int(st, 20, u->cpu_sum_ns);
	put_int(st, 21, u->rss_peak_bytes);
	put_int(st, 22, u->read_sum_bytes);
	put_int(st, 23, u->write_sum_bytes);
	put_int(st, 24, u->majflt_sum);
	put_int(st, 25, u->minflt_sum);
}

int store_put_edge(struct store *s, const struct edge *e, const struct node *from,
		   const struct node *to)
{
	int64_t from_id = 0, to_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_EDGE_UPSERT];
	int r = node_row(s, from, &from_id);

	if (!r)
		r = node_row(s, to, &to_id);
	if (r)
		return r;
	put_int(st, 1, (uint64_t)from_id);
	put_int(st, 2, (uint64_t)to_id);
	put_int(st, 3, e->kind);
	put_int(st, 4, e->count);
	put_int(st, 5, e->runs_n);
	put_int(st, 6, e->fail_n);
	put_int(st, 7, (uint64_t)e->errno_last);
	put_int(st, 8, e->first_ns);
	put_int(st, 9, e->last_ns);
	put_int(st, 10, e->latency_sum_ns);
	put_int(st, 11, sketch_quantile(&e->latency, 0.5));
	put_int(st, 12, sketch_quantile(&e->latency, 0.99));
	put_int(st, 13, e->lead_sum_ns);
	put_int(st, 14, e->lead_n);
	put_real(st, 15, e->p_last);
	put_int(st, 16, e->run_last);
	(void)sqlite3_bind_blob(st, 17, e->latency.bins, sizeof(e->latency.bins), SQLITE_STATIC);
	put_int(st, 26, e->flags);
	if (e->use) /* what is not bound is NULL */
		bind_use(st, e->use);
	return stmt_run(s, st, NULL);
}

int store_del_node(struct store *s, enum node_kind kind, const char *name)
{
	int64_t id = 0;
	int r = node_id(s, (int)kind, name, &id);

	if (r || !id)
		return r;
	cache_put(s, (int)kind, name, 0);
	r = run_with(s, STMT_NODE_DEL_EDGES, id);
	if (!r)
		r = run_with(s, STMT_NODE_DEL_RANGES, id);
	if (!r)
		r = run_with(s, STMT_NODE_DEL_SCORE, id);
	return r ? r : run_with(s, STMT_NODE_DEL, id);
}

int store_del_edge(struct store *s, enum edge_kind kind, const struct node *from,
		   const struct node *to)
{
	int64_t from_id = 0, to_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_EDGE_DEL];
	int r = node_id(s, from->kind, from->name, &from_id);

	if (!r)
		r = node_id(s, to->kind, to->name, &to_id);
	if (r)
		return r;
	put_int(st, 1, (uint64_t)from_id);
	put_int(st, 2, (uint64_t)to_id);
	put_int(st, 3, kind);
	return stmt_run(s, st, NULL);
}

/* A later time as what has passed since made; unbound, that is NULL, when it has not come. */
static void put_since(sqlite3_stmt *st, int at, const struct guess *g, uint64_t ts_ns)
{
	if (ts_ns >= g->made_ns && ts_ns)
		put_int(st, at, ts_ns - g->made_ns);
}

int store_put_guess(struct store *s, const struct guess *g, const char *block, const char *via,
		    const char *dep, uint64_t made_wall_ns)
{
	int64_t block_id = 0, via_id = 0, dep_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_GUESS];
	int r = word_id(s, block, &block_id);

	if (!r)
		r = word_id(s, via, &via_id);
	if (!r)
		r = word_id(s, dep, &dep_id);
	if (r)
		return r;
	put_int(st, 1, (uint64_t)s->epoch);
	put_int(st, 2, g->id);
	put_int(st, 3, (uint64_t)block_id);
	put_int(st, 4, (uint64_t)via_id);
	put_int(st, 5, (uint64_t)dep_id);
	put_int(st, 6, g->kind);
	put_int(st, 7, g->outcome);
	put_int(st, 8, g->acted);
	put_int(st, 9, g->order);
	put_int(st, 10, g->uid);
	put_int(st, 11, g->pid);
	put_real(st, 12, g->p);
	put_int(st, 13, g->support);
	put_int(st, 14, made_wall_ns);
	put_int(st, 15, g->lead_ns);
	put_since(st, 16, g, g->deadline_ns);
	put_since(st, 17, g, g->acted_ns);
	put_since(st, 18, g, g->done_ns);
	put_since(st, 19, g, g->ended_ns);
	put_int(st, 20, g->bytes_read);
	put_int(st, 21, g->saved_ns);
	put_real(st, 22, g->value_us);
	put_real(st, 23, g->price_us);
	s->guesses_put_n++;
	return stmt_run(s, st, NULL);
}

int store_put_ranges(struct store *s, const struct node *block, const struct node *file,
		     const void *bytes, size_t n)
{
	int64_t block_id = 0, file_id = 0;
	sqlite3_stmt *st = s->stmts[STMT_RANGES];
	int r = node_row(s, block, &block_id);

	if (!r)
		r = node_row(s, file, &file_id);
	if (r)
		return r;
	put_int(st, 1, (uint64_t)block_id);
	put_int(st, 2, (uint64_t)file_id);
	put_int(st, 3, clock_ns(CLOCK_REALTIME));
	put_int(st, 4, n / RANGES_PACK_CELL);
	(void)sqlite3_bind_blob64(st, 5, bytes, n, SQLITE_STATIC); /* far below SQLite's 1 GB */
	s->ranges_put_n++;
	return stmt_run(s, st, NULL);
}

int store_put_model(struct store *s, const void *state, size_t n)
{
	sqlite3_stmt *st = s->stmts[STMT_MODEL];
	_cleanup_(freep) void *packed = NULL;
	int rc, r;

	put_int(st, 1, clock_ns(CLOCK_REALTIME));
	if (n) {
		r = pack_bytes(state, n, &packed, &n);
		if (r < 0)
			return r;
	}
	rc = n ? sqlite3_bind_blob64(st, 2, packed, n, SQLITE_STATIC)
	       : sqlite3_bind_zeroblob(st, 2, 0);
	if (rc) {
		(void)sqlite3_clear_bindings(st);
		return sql_fault(s, rc); /* larger than SQLite takes: 1 GB */
	}
	return stmt_run(s, st, NULL);
}

int store_put_score(struct store *s, uint64_t wall_ns, const struct score *score)
{
	sqlite3_stmt *st = s->stmts[STMT_SCORE];
	int r;

	put_int(st, 1, wall_ns / 60000000000ull);
	put_int(st, 2, score->guesses_n);
	put_int(st, 3, score->acted_n);
	for (int i = OUTCOME_HIT; i <= OUTCOME_DROPPED; i++)
		put_int(st, 3 + i, score->outcome_n[i]);
	put_int(st, 10, score->bytes_read);
	put_int(st, 11, score->bytes_wasted);
	put_int(st, 12, score->saved_ns);
	put_real(st, 13, score->precision);
	put_real(st, 14, score->recall);
	put_real(st, 15, score->lambda);
	r = stmt_run(s, st, NULL);
	return r ? r : run_with(s, STMT_PRUNE_SCORES, SCORE_MAX);
}

int store_put_block_score(struct store *s, const struct node *block,
			  const struct block_score *score)
{
	sqlite3_stmt *st = s->stmts[STMT_BLOCK_SCORE];
	int64_t id = 0;
	int r = node_row(s, block, &id);

	if (r)
		return r;
	put_int(st, 1, (uint64_t)id);
	for (int i = 0; i < OUTCOMES; i++)
		put_int(st, 2 + i, score->outcome_n[OUTCOME_HIT + i]);
	put_int(st, 8, score->bytes_read);
	put_int(st, 9, score->bytes_wasted);
	put_int(st, 10, score->saved_ns);
	return stmt_run(s, st, NULL);
}

static int prune_ranges(struct store *s)
{
	if (s->ranges_put_n < RANGES_PRUNE_EVERY)
		return 0;
	s->ranges_put_n = 0;
	put_int(s->stmts[STMT_PRUNE_RANGES], 2, RANGES_ROW_CELLS);
	return run_with(s, STMT_PRUNE_RANGES, RANGES_CELLS_MAX);
}

static int prune(struct store *s)
{
	int r = prune_ranges(s);

	if (r || s->guesses_put_n < GUESS_PRUNE_EVERY)
		return r;
	r = run_with(s, STMT_PRUNE_GUESSES, GUESS_MAX - 1);
	/* Words are dropped sixteen times less often: that reads all guesses. */
	s->words_put_n += s->guesses_put_n;
	if (!r && s->words_put_n >= 16 * GUESS_PRUNE_EVERY) {
		r = run(s, STMT_PRUNE_WORDS);
		cache_clear(s);
		s->words_put_n = 0;
	}
	s->guesses_put_n = 0;
	return r;
}

int store_commit(struct store *s)
{
	int r = prune(s);

	if (!r)
		r = run(s, STMT_COMMIT);
	if (!r)
		s->epoch_saved = true;
	return r;
}

void store_rollback(struct store *s)
{
	cache_clear(s);
	/* SQLite may have rolled back by itself, when the disk was full. */
	if (s->db && !sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL,
				   NULL); /* the batch's fault was told */
}

static uint64_t file_bytes(const char *path, const char *suffix)
{
	char name[PATH_MAX + 8];
	struct stat sb;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &sb) ? 0 : (uint64_t)sb.st_size;
}

const char *store_aside(const struct store *s)
{
	return s->aside;
}

uint64_t store_bytes(const struct store *s)
{
	return file_bytes(s->path, "") + file_bytes(s->path, "-wal");
}

const char *store_message(const struct store *s)
{
	return s->message;
}
