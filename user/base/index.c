// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * index.c - linear probing, where a cell's home is hash & mask.
 *
 * A cell keeps only the hash's upper half, so the home of a cell that is moved back at a deletion
 * must come from somewhere: the lower bits of tag are used for the home too (home = mixed tag), so
 * that tag alone decides both.
 */
#include "base/index.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash_mix(hash) >> 32);
}

int index_init(struct index *ix, uint32_t entry_max)
{
	uint64_t want = (uint64_t)entry_max + entry_max / 2 + 1;
	uint64_t n = 8;

	while (n < want)
		n <<= 1;
	if (n > (1ull << 31))
		return fault(-EINVAL);
	*ix = (struct index){.mask = (uint32_t)(n - 1), .entry_max = entry_max};
	ix->cells = malloc(n * sizeof(*ix->cells));
	if (!ix->cells)
		return fault(-ENOMEM);
	index_clear(ix);
	return 0;
}

void index_fini(struct index *ix)
{
	free(ix->cells);
	*ix = (struct index){0};
}

void index_clear(struct index *ix)
{
	for (uint64_t i = 0; i <= ix->mask; i++)
		ix->cells[i] = (struct index_cell){.slot = INDEX_NONE};
	ix->used_n = 0;
}

uint32_t index_get(const struct index *ix, uint64_t hash, index_eq_fn eq, const void *ctx,
		   const void *key)
{
	uint32_t tag = tag_of(hash);

	for (uint32_t i = tag & ix->mask;; i = (i + 1) & ix->mask) {
		const struct index_cell *c = &ix->cells[i];

		if (c->slot == INDEX_NONE)
			return INDEX_NONE;
		if (c->tag == tag && eq(ctx, c->slot, key))
			return c->slot;
	}
}

void index_put(struct index *ix, uint64_t hash, uint32_t slot)
{
	uint32_t tag = tag_of(hash), i = tag & ix->mask;

	assert(ix->used_n < ix->entry_max && slot != INDEX_NONE);
	while (ix->cells[i].slot != INDEX_NONE)
		i = (i + 1) & ix->mask;
	ix->cells[i] = (struct index_cell){.tag = tag, .slot = slot};
	ix->used_n++;
}

void index_del(struct index *ix, uint64_t hash, uint32_t slot)
{
	uint32_t tag = tag_of(hash), i = tag & ix->mask, j;

	while (ix->cells[i].slot != slot || ix->cells[i].tag != tag) {
		assert(ix->cells[i].slot != INDEX_NONE);
		i = (i + 1) & ix->mask;
	}
	/* Pull back every follower whose home lies at or before the hole (Knuth 6.4, algorithm R). */
	for (j = (i + 1) & ix->mask; ix->cells[j].slot != INDEX_NONE; j = (j + 1) & ix->mask) {
		uint32_t home = ix->cells[j].tag & ix->mask;

		if (((j - home) & ix->mask) >= ((j - i) & ix->mask)) {
			ix->cells[i] = ix->cells[j];
			i = j;
		}
	}
	ix->cells[i].slot = INDEX_NONE;
	ix->used_n--;
}
