// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* heap.c - an array whose entry i is not after its children 2i+1 and 2i+2. */
#include "base/heap.h"

#include "base/err.h"

#include <stdlib.h>

int heap_init(struct heap *h, uint32_t entry_max)
{
	*h = (struct heap){.entry_max = entry_max};
	h->entries = calloc(entry_max ? entry_max : 1, sizeof(*h->entries));
	return h->entries ? 0 : fault(-ENOMEM);
}

void heap_fini(struct heap *h)
{
	free(h->entries);
	*h = (struct heap){0};
}

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->key < b->key || (a->key == b->key && a->seq < b->seq);
}

/* In the place after the last. */
static void put(struct heap *h, struct heap_entry e)
{
	uint32_t i, up;

	for (i = h->used_n++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!before(&e, &h->entries[up]))
			break;
		h->entries[i] = h->entries[up];
	}
	h->entries[i] = e;
}

bool heap_push(struct heap *h, uint64_t key, uint64_t value)
{
	if (h->used_n == h->entry_max)
		return false;
	put(h, (struct heap_entry){.key = key, .seq = h->next_seq++, .value = value});
	return true;
}

void heap_keep(struct heap *h, heap_keep_fn keep, void *ctx)
{
	uint32_t n = h->used_n;

	h->used_n = 0;
	for (uint32_t i = 0; i < n; i++) /* what is kept moves down only */
		if (keep(ctx, h->entries[i].value))
			put(h, h->entries[i]);
}

bool heap_peek(const struct heap *h, uint64_t *ret_key, uint64_t *ret_value)
{
	if (!h->used_n)
		return false;
	*ret_key = h->entries[0].key;
	*ret_value = h->entries[0].value;
	return true;
}

bool heap_pop(struct heap *h, uint64_t *ret_key, uint64_t *ret_value)
{
	struct heap_entry last;
	uint32_t i, down;

	if (!heap_peek(h, ret_key, ret_value))
		return false;
	last = h->entries[--h->used_n];
	for (i = 0; (down = 2 * i + 1) < h->used_n; i = down) {
		if (down + 1 < h->used_n && before(&h->entries[down + 1], &h->entries[down]))
			down++;
		if (!before(&h->entries[down], &last))
			break;
		h->entries[i] = h->entries[down];
	}
	h->entries[i] = last;
	return true;
}
