/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * heap.h - a bounded binary min-heap of (key, value) pairs.
 *
 * Shape    Equal keys come out in the order they went in.
 * Bounds   entry_max pairs, memory taken by heap_init() and never after. push and pop O(log n), keep O(n log n).
 * Owner    heap_fini() frees; it takes a zeroed struct.
 * Errors   heap_init() -ENOMEM; heap_push() false when full: nothing was added.
 * Threads  One owner at a time.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct heap_entry {
	uint64_t key;
	uint64_t seq; /* order of arrival, breaks ties */
	uint64_t value;
};

struct heap {
	struct heap_entry *entries;
	uint32_t used_n, entry_max;
	uint64_t next_seq;
};

int heap_init(struct heap *h, uint32_t entry_max);
void heap_fini(struct heap *h);
bool heap_push(struct heap *h, uint64_t key, uint64_t value);
/* The least key without and with removing it; false when empty. */
bool heap_peek(const struct heap *h, uint64_t *ret_key, uint64_t *ret_value);
bool heap_pop(struct heap *h, uint64_t *ret_key, uint64_t *ret_value);
/* Removes all pairs but those whose value is to be kept. */
typedef bool (*heap_keep_fn)(void *ctx, uint64_t value);
void heap_keep(struct heap *h, heap_keep_fn keep, void *ctx);

#endif
