// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sqlite_ids.c - the number of a name: looked up once, then kept in a small cache under a 128-bit
 * hash of the name, so that a flush of things known costs no lookup. The cache is dropped at a
 * rollback, for numbers may have been rolled back with the rest.
 */
#include "store/sqlite_impl.h"

#include <string.h>

enum { WORD = 0 /* in place of an enum node_kind */ };

static struct cached_id *ids_place(struct store *s, int kind, const char *name,
				   XXH128_hash_t *ret_hash)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(name, strlen(name), s->hash_seed + (uint64_t)kind);

	*ret_hash = h;
	return &s->ids[h.low64 % IDS_MAX];
}

int64_t ids_get(struct store *s, int kind, const char *name)
{
	XXH128_hash_t hash;
	const struct cached_id *c = ids_place(s, kind, name, &hash);

	return c->id && XXH128_isEqual(c->hash, hash) ? c->id : 0;
}

void ids_put(struct store *s, int kind, const char *name, int64_t id)
{
	XXH128_hash_t hash;
	struct cached_id *c = ids_place(s, kind, name, &hash);

	if (id || XXH128_isEqual(c->hash, hash))
		*c = (struct cached_id){.hash = hash, .id = id};
}

void ids_clear(struct store *s)
{
	memset(s->ids, 0, IDS_MAX * sizeof(*s->ids));
}

int ids_node(struct store *s, int kind, const char *name, int64_t *ret_id)
{
	sqlite3_stmt *st;
	int64_t id = ids_get(s, kind, name);
	int r;

	if (!id) {
		st = s->stmts[STMT_NODE_ID];
		put_int(st, 1, (uint64_t)kind);
		put_text(st, 2, name);
		r = sql_step(s, st, &id);
		if (r)
			return r;
		if (id)
			ids_put(s, kind, name, id);
	}
	*ret_id = id;
	return 0;
}

int ids_word(struct store *s, const char *word, int64_t *ret_id)
{
	sqlite3_stmt *st;
	int64_t id = ids_get(s, WORD, word);
	int r;

	if (!id) {
		st = s->stmts[STMT_WORD_ID];
		put_text(st, 1, word);
		r = sql_step(s, st, &id);
		if (r)
			return r;
	}
	if (!id) {
		st = s->stmts[STMT_WORD_ADD];
		put_text(st, 1, word);
		r = sql_step(s, st, NULL);
		if (r)
			return r;
		id = sqlite3_last_insert_rowid(s->db);
	}
	ids_put(s, WORD, word, id);
	*ret_id = id;
	return 0;
}
