// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_save.c - the model out to bytes and back, bit for bit, or not at all.
 *
 * Layout   struct head, the learnt part of struct vomm, the five arrays as they are, then the
 *          checksum of all that. Native byte order and struct layout: the head says which, and a
 *          state of another machine is refused, like a damaged one.
 * Trust    After the checksum every number that is used as an index is checked as well: whoever
 *          can write the file can write its checksum.
 */
#include "core/vomm_impl.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

enum { STATE_VERSION = 5 };

struct head {
	char magic[8];
	uint32_t version, byte_order;
	uint64_t bytes, learnt_bytes;
	struct vomm_limits limits;
	uint32_t bucket_n, symbol_mask, trail_mask, trail_index_mask;
	uint32_t spec_n, cell_bytes;
};

struct part {
	void *at;
	size_t len;
};

enum { PARTS = 7 };

static void parts_of(const struct vomm *v, struct part *ret)
{
	ret[0] = (struct part){(void *)&v->learnt_begin,
			       offsetof(struct vomm, learnt_end) -
				       offsetof(struct vomm, learnt_begin)};
	ret[1] = (struct part){v->symbols, (v->limits.symbol_max + 1u) * sizeof(struct symbol)};
	ret[2] = (struct part){v->symbol_index, (v->symbol_mask + 1u) * sizeof(uint32_t)};
	ret[3] = (struct part){v->trail, (v->trail_mask + 1u) * sizeof(struct step)};
	ret[4] = (struct part){v->trail_index, (v->trail_index_mask + 1u) * sizeof(uint32_t)};
	ret[5] = (struct part){v->cells, (size_t)v->bucket_n * BUCKET * sizeof(struct cell)};
	ret[6] = (struct part){v->leads, (v->lead_mask + 1u) * sizeof(struct lead_cell)};
}

static void head_of(const struct vomm *v, struct head *ret)
{
	memset(ret, 0, sizeof(*ret)); /* padding too: it is compared and written */
	memcpy(ret->magic, "fwmvomm", 8);
	ret->version = STATE_VERSION;
	ret->byte_order = 0x01020304;
	ret->bytes = v->bytes;
	ret->learnt_bytes = offsetof(struct vomm, learnt_end) - offsetof(struct vomm, learnt_begin);
	ret->limits.bytes_max = v->limits.bytes_max;
	ret->limits.order_max = v->limits.order_max;
	ret->limits.symbol_max = v->limits.symbol_max;
	ret->bucket_n = v->bucket_n;
	ret->symbol_mask = v->symbol_mask;
	ret->trail_mask = v->trail_mask;
	ret->trail_index_mask = v->trail_index_mask;
	ret->spec_n = vomm_spec_n;
	ret->cell_bytes = sizeof(struct cell);
}

int vomm_save(const struct vomm *v, vomm_put_fn put, void *ctx)
{
	struct part parts[PARTS];
	struct head head;
	uint64_t digest;
	int r;

	head_of(v, &head);
	parts_of(v, parts);
	digest = XXH64(&head, sizeof(head), 0); /* each part's sum is the seed of the next */
	r = put(ctx, &head, sizeof(head));
	for (int i = 0; r >= 0 && i < PARTS; i++) {
		digest = XXH64(parts[i].at, parts[i].len, digest);
		r = put(ctx, parts[i].at, parts[i].len);
	}
	if (r >= 0)
		r = put(ctx, &digest, sizeof(digest));
	return r < 0 ? r : 0;
}

static bool symbols_sound(const struct vomm *v)
{
	uint64_t count_sum = 0;
	uint32_t indexed = 0;

	if (v->symbol_n > v->limits.symbol_max || v->symbol_hand > v->limits.symbol_max)
		return false;
	for (uint32_t i = 0; i <= v->symbol_mask; i++) {
		if (v->symbol_index[i] > v->symbol_n)
			return false;
		indexed += v->symbol_index[i] != 0;
	}
	if (indexed != v->symbol_n || indexed > v->symbol_mask)
		return false;
	for (uint32_t i = 1; i <= v->symbol_n; i++) {
		if (vomm_symbol_find(v, v->symbols[i].name) != i)
			return false;
		count_sum += v->symbols[i].count;
	}
	for (uint32_t i = 0; i < HOT; i++)
		if (v->hot[i] > v->symbol_n)
			return false;
	return count_sum == v->count_sum;
}

static bool cells_sound(const struct vomm *v)
{
	for (size_t i = 0; i < (size_t)v->bucket_n * BUCKET; i++) {
		const struct cell *c = &v->cells[i];

		if (!c->check)
			continue;
		if (c->ext_n > EXT_MAX || (c->kind >= vomm_spec_n && c->kind != 0xff))
			return false;
		for (int e = 0; e < CELL_EDGES; e++)
			if (c->edge[e] >> COUNT_BITS > v->symbol_n ||
			    (c->edge[e] && !(c->edge[e] >> COUNT_BITS)))
				return false;
	}
	for (uint32_t i = 0; i <= v->trail_mask; i++)
		if (v->trail[i].symbol > v->symbol_n)
			return false;
	return v->trail_head != 0;
}

static bool weights_sound(const struct vomm *v)
{
	const float *w = &v->weight[0][0][0];

	for (size_t i = 0; i < sizeof(v->weight) / sizeof(float); i++)
		if (!(fabsf(w[i]) < 1e6f))
			return false;
	w = &v->final[0][0];
	for (size_t i = 0; i < sizeof(v->final) / sizeof(float); i++)
		if (!(fabsf(w[i]) < 1e6f))
			return false;
	return true;
}

int vomm_load(const struct vomm_limits *limits, vomm_get_fn get, void *ctx, struct vomm **ret)
{
	_cleanup_(vomm_freep) struct vomm *v = NULL;
	struct part parts[PARTS];
	struct head head, ours;
	uint64_t digest, saved = 0;
	int r;

	r = vomm_new(limits, &v);
	if (r < 0)
		return r;
	r = get(ctx, &head, sizeof(head));
	if (r < 0)
		return r;
	head_of(v, &ours);
	if (memcmp(&head, &ours, sizeof(head)) != 0)
		return VOMM_REFUSED;
	parts_of(v, parts);
	digest = XXH64(&head, sizeof(head), 0); /* each part's sum is the seed of the next */
	for (int i = 0; i < PARTS; i++) {
		r = get(ctx, parts[i].at, parts[i].len);
		if (r < 0)
			return r;
		digest = XXH64(parts[i].at, parts[i].len, digest);
	}
	r = get(ctx, &saved, sizeof(saved));
	if (r < 0)
		return r;
	if (saved != digest || !symbols_sound(v) || !cells_sound(v) || !weights_sound(v))
		return VOMM_REFUSED;
	vomm_derive(v);
	*ret = TAKE_PTR(v);
	return 0;
}
