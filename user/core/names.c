// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * names.c - entries found by an index, kept in a list by last use; text in a chain of chunks.
 */
#include "core/names.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define NONE UINT32_MAX
#define TEXT_MAX 4095

struct chunk {
	uint32_t next;
	char text[28];
};

struct entry {
	struct names_key key;
	struct names_info info;
	uint32_t first; /* chunk */
	uint32_t len;
	uint32_t older, newer; /* names::newest .. oldest; older also links names::spare */
};

struct names {
	struct index index;
	struct entry *entries;
	struct chunk *chunks;
	uint32_t name_max, newest, oldest, spare, spare_chunk, spare_chunk_n;
	struct names_stats stats;
};

static uint64_t key_hash(const struct names_key *k)
{
	return hash_mix2(hash_mix2(k->ino, k->name), (uint64_t)k->dev << 32 | k->gen);
}

static bool key_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct names *n = ctx;
	const struct names_key *a = &n->entries[slot].key, *b = key;

	return a->ino == b->ino && a->dev == b->dev && a->gen == b->gen && a->name == b->name;
}

static void list_take(struct names *n, uint32_t i)
{
	struct entry *e = &n->entries[i];

	*(e->newer == NONE ? &n->newest : &n->entries[e->newer].older) = e->older;
	*(e->older == NONE ? &n->oldest : &n->entries[e->older].newer) = e->newer;
}

static void list_push(struct names *n, uint32_t i)
{
	struct entry *e = &n->entries[i];

	e->newer = NONE;
	e->older = n->newest;
	*(n->newest == NONE ? &n->oldest : &n->entries[n->newest].newer) = i;
	n->newest = i;
}

static void text_drop(struct names *n, struct entry *e)
{
	while (e->first != NONE) {
		uint32_t c = e->first;

		e->first = n->chunks[c].next;
		n->chunks[c].next = n->spare_chunk;
		n->spare_chunk = c;
		n->spare_chunk_n++;
	}
	e->len = 0;
}

static void evict_oldest(struct names *n)
{
	uint32_t i = n->oldest;
	struct entry *e = &n->entries[i];

	text_drop(n, e);
	list_take(n, i);
	index_del(&n->index, key_hash(&e->key), i);
	e->older = n->spare;
	n->spare = i;
	n->stats.used_n--;
	n->stats.evicted_n++;
}

static bool text_is(const struct names *n, const struct entry *e, const char *text, size_t len)
{
	uint32_t c = e->first;

	if (e->len != len)
		return false;
	for (size_t at = 0; at < len; at += sizeof(n->chunks->text), c = n->chunks[c].next) {
		size_t part =
			len - at < sizeof(n->chunks->text) ? len - at : sizeof(n->chunks->text);

		if (memcmp(n->chunks[c].text, text + at, part))
			return false;
	}
	return true;
}

static void text_set(struct names *n, struct entry *e, const char *text, size_t len)
{
	uint32_t *link = &e->first;

	e->first = NONE;
	e->len = (uint32_t)len;
	for (size_t at = 0; at < len; at += sizeof(n->chunks->text)) {
		size_t part =
			len - at < sizeof(n->chunks->text) ? len - at : sizeof(n->chunks->text);
		uint32_t c = n->spare_chunk;

		n->spare_chunk = n->chunks[c].next;
		n->spare_chunk_n--;
		memcpy(n->chunks[c].text, text + at, part);
		n->chunks[c].next = NONE;
		*link = c;
		link = &n->chunks[c].next;
	}
}

int names_new(uint32_t name_max, uint32_t chunk_max, struct names **ret)
{
	_cleanup_(freep) struct names *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return fault(-ENOMEM);
	if (!name_max || chunk_max < TEXT_MAX / sizeof(n->chunks->text) + 1)
		return fault(-EINVAL);
	r = index_init(&n->index, name_max);
	if (r < 0)
		return r;
	n->entries = calloc(name_max, sizeof(*n->entries));
	n->chunks = calloc(chunk_max, sizeof(*n->chunks));
	if (!n->entries || !n->chunks) {
		(void)names_free(TAKE_PTR(n));
		return fault(-ENOMEM);
	}
	n->name_max = name_max;
	n->newest = n->oldest = NONE;
	for (uint32_t i = 0; i < name_max; i++)
		n->entries[i] =
			(struct entry){.first = NONE, .older = i + 1 < name_max ? i + 1 : NONE};
	for (uint32_t i = 0; i < chunk_max; i++)
		n->chunks[i].next = i + 1 < chunk_max ? i + 1 : NONE;
	n->spare_chunk_n = chunk_max;
	*ret = TAKE_PTR(n);
	return 0;
}

struct names *names_free(struct names *n)
{
	if (!n)
		return NULL;
	index_fini(&n->index);
	free(n->entries);
	free(n->chunks);
	free(n);
	return NULL;
}

int names_put(struct names *n, const struct names_key *key, const struct names_info *info,
	      const char *text, size_t len)
{
	uint64_t h = key_hash(key);
	uint32_t i = index_get(&n->index, h, key_eq, n, key);
	uint32_t need = (uint32_t)((len + sizeof(n->chunks->text) - 1) / sizeof(n->chunks->text));
	struct entry *e;

	if (len > TEXT_MAX)
		return fault(-ENAMETOOLONG);
	n->stats.told_n++;
	if (i != INDEX_NONE) {
		list_take(n, i);
		list_push(n, i);
		e = &n->entries[i];
		e->info = *info;
		if (text_is(n, e, text, len))
			return 0;
		text_drop(n, e);
		n->stats.renamed_n++;
	}
	/* The entry itself is the newest and has no text now, so it is the last to go. */
	while (n->spare_chunk_n < need || (i == INDEX_NONE && n->spare == NONE)) {
		assert(n->oldest != i);
		evict_oldest(n);
	}
	if (i == INDEX_NONE) {
		i = n->spare;
		e = &n->entries[i];
		n->spare = e->older;
		e->key = *key;
		e->info = *info;
		list_push(n, i);
		index_put(&n->index, h, i);
		n->stats.used_n++;
	}
	text_set(n, &n->entries[i], text, len);
	return 0;
}

int names_get(struct names *n, const struct names_key *key, char *buf, size_t *ret_len,
	      struct names_info *ret_info)
{
	uint32_t i = index_get(&n->index, key_hash(key), key_eq, n, key);
	struct entry *e;
	size_t at = 0;

	if (i == INDEX_NONE) {
		n->stats.unknown_n++;
		return NAMES_UNKNOWN;
	}
	if (n->newest != i) {
		list_take(n, i);
		list_push(n, i);
	}
	e = &n->entries[i];
	for (uint32_t c = e->first; c != NONE; c = n->chunks[c].next) {
		size_t part = e->len - at < sizeof(n->chunks->text) ? e->len - at
								    : sizeof(n->chunks->text);

		memcpy(buf + at, n->chunks[c].text, part);
		at += part;
	}
	buf[at] = 0;
	*ret_len = at;
	if (ret_info)
		*ret_info = e->info;
	return 0;
}

const struct names_stats *names_stats(const struct names *n)
{
	return &n->stats;
}
