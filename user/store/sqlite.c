// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sqlite.c - the store as one SQLite file in WAL mode.
 *
 * synchronous=NORMAL: a commit writes to the log and does not wait for the disk; only a checkpoint
 * does. A killed process loses nothing that was committed, for the kernel has it; a power cut may
 * lose the last commits, never the file. FULL would pay an fsync each second for what a second of
 * looking at the host brings back.
 *
 * Corruption may show at any statement. It is noted, the batch fails, and the next begin renames
 * the file and goes on with a fresh one: a daemon that has all in memory does not stop for it.
 */
#include "store/sqlite_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	APPLICATION_ID = 0x46574d31, /* "FWM1" */
	SCHEMA_VERSION = 6,
	BUSY_TIMEOUT_MS = 1000,
	CHECK_MS_MAX = 500,
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

/* Why a file cannot be used as it is. */
enum { FILE_CORRUPT = 1, FILE_NEWER = 2 };

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
	r = sql_step(s, st, &n);
	(void)sqlite3_finalize(st);
	if (!r)
		*ret = n;
	return r;
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

/* What CREATE IF NOT EXISTS does not bring: columns that tables of table_since lack before version since. */
static const struct {
	int table_since, since;
	const char *sql;
} columns_added[] = {
	{1, 2, "ALTER TABLE edges ADD COLUMN flags INTEGER NOT NULL DEFAULT 0"},
	{1, 4, "ALTER TABLE edges ADD COLUMN cold_n INTEGER"},
	{1, 4, "ALTER TABLE edges ADD COLUMN cold_sum_ns INTEGER"},
	{1, 5, "ALTER TABLE guesses ADD COLUMN decision INTEGER NOT NULL DEFAULT 2"},
	{1, 5, "ALTER TABLE guesses ADD COLUMN err INTEGER NOT NULL DEFAULT 0"},
};

/* Brings a file of an older version, 0 when it is empty, to ours in one transaction. */
static int db_update(struct store *s, int64_t version)
{
	char sql[256];
	int r = db_exec(s, "BEGIN IMMEDIATE");

	for (size_t i = 0; !r && i < ARRAY_SIZE(columns_added); i++)
		if (version >= columns_added[i].table_since && version < columns_added[i].since)
			r = db_exec(s, columns_added[i].sql);
	if (!r)
		r = db_exec(s, schema_sql);
	snprintf(sql, sizeof(sql),
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; "
		 "INSERT OR IGNORE INTO meta VALUES('created_ns', %llu); COMMIT",
		 APPLICATION_ID, SCHEMA_VERSION, (unsigned long long)clock_ns(CLOCK_REALTIME));
	return r ? r : db_exec(s, sql); /* not committed: closing the file rolls back */
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
		r = version ? db_check(s) : 0;
	if (!r && version < SCHEMA_VERSION)
		r = db_update(s, version);
	if (!r)
		r = db_number(s, "SELECT value FROM meta WHERE key = 'epoch'", &s->epoch);
	if (!r)
		r = sql_prepare_all(s);
	s->epoch = s->epoch < 0 || s->epoch >= INT32_MAX ? 1 : s->epoch + 1;
	s->epoch_saved = false;
	return r;
}

/* < 0 a fault, FILE_CORRUPT, FILE_NEWER with the version in *ret_version, or open. */
static int db_open(struct store *s)
{
	int fd, rc, r;

	s->corrupt = false;
	ids_clear(s);
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

int file_ready(struct store *s)
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
	s->ids = calloc(IDS_MAX, sizeof(*s->ids));
	if (!s->ids)
		return fault(-ENOMEM);
	/* Without entropy the seed is 0: then names that collide could be made, at 2^64 tries. */
	(void)!getrandom(&s->hash_seed, sizeof(s->hash_seed), GRND_NONBLOCK);
	if ((size_t)snprintf(s->path, sizeof(s->path), "%s", path) >= sizeof(s->path) - 64)
		return fault(-ENAMETOOLONG);
	r = file_ready(s);
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
	free(s->ids);
	free(s);
	return NULL;
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
