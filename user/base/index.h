/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * index.h - a fixed-size hash index from a 64-bit hash to the caller's own array slots.
 *
 * Shape    Open addressing with linear probing and backward-shift deletion: no tombstones, so
 *          it never degrades and never needs a rebuild. It stores slot numbers; the entries, and
 *          the comparison of keys, are the caller's.
 * Bounds   entry_max entries, memory (8 bytes x the next power of two above 1.5 x entry_max) taken
 *          by index_init() and never after.
 * Owner    index_fini() frees; it takes a zeroed struct.
 * Errors   index_init() -ENOMEM; index_put() asserts the bound: the caller evicts first.
 * Threads  One owner at a time. Deterministic: same calls, same layout.
 */
#ifndef BASE_INDEX_H
#define BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_cell {
	uint32_t tag;  /* upper half of the hash */
	uint32_t slot; /* INDEX_NONE: empty */
};

struct index {
	struct index_cell *cells;
	uint32_t mask; /* cells - 1 */
	uint32_t used_n, entry_max;
};

/* Says whether the caller's entry at slot has the key looked for. */
typedef bool (*index_eq_fn)(const void *ctx, uint32_t slot, const void *key);

int index_init(struct index *ix, uint32_t entry_max);
void index_fini(struct index *ix);
void index_clear(struct index *ix);

/* The slot whose entry equals key, or INDEX_NONE. */
uint32_t index_get(const struct index *ix, uint64_t hash, index_eq_fn eq, const void *ctx,
		   const void *key);
/* Adds slot under hash; the key must not be present yet. */
void index_put(struct index *ix, uint64_t hash, uint32_t slot);
/* Removes the cell which holds slot under hash; asserts that there is one. */
void index_del(struct index *ix, uint64_t hash, uint32_t slot);

/* A well-mixed hash of one or two numbers (the finaliser of splitmix64, Steele et al. 2014). */
static inline uint64_t hash_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t hash_mix2(uint64_t a, uint64_t b)
{
	return hash_mix(hash_mix(a) ^ b);
}

#endif
