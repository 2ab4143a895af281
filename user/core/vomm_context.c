// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_context.c - the kinds of contexts, and which of them a stream is in.
 */
#include "core/vomm_impl.h"

#define SUFFIX(n, up)                                                                              \
	{                                                                                          \
		.order = n, .suffix = 1, .parent = up                                              \
	}
#define SKIP(n, bits)                                                                              \
	{                                                                                          \
		.order = n, .mask = bits, .parent = 0                                              \
	}
#define ANY(n, bits)                                                                               \
	{                                                                                          \
		.order = n, .mask = bits, .parent = 0, .any = 1                                    \
	}
#define FEATURE(n, bits, which)                                                                    \
	{                                                                                          \
		.order = n, .mask = bits, .feature = 1 + which, .parent = 255                      \
	}

/* Suffixes by rising order first, what is made of features last. */
const struct spec vomm_specs[] = {
	SUFFIX(1, 255),
	SUFFIX(2, 0),
	SUFFIX(3, 1),
	SUFFIX(4, 2),
	SUFFIX(5, 3),
	SUFFIX(6, 4),
	SUFFIX(8, 5),
	SUFFIX(11, 6),
	SUFFIX(14, 7),
	SUFFIX(18, 8),
	SUFFIX(24, 9),
	SKIP(2, 2),		     /* 2 back */
	SKIP(3, 4),		     /* 3 back */
	SKIP(3, 6),		     /* 2 and 3 back */
	SKIP(3, 5),		     /* 1 and 3 back */
	ANY(4, 15),		     /* last 4 in any order */
	FEATURE(0, 0, VOMM_PROGRAM), /* program */
	FEATURE(1, 1, VOMM_PROGRAM), /* program, last 1 */
	FEATURE(1, 1, VOMM_PARENT),  /* parent, last 1 */
	FEATURE(2, 3, VOMM_BEFORE),  /* lineage before, last 2 */
};
const uint32_t vomm_spec_n = sizeof(vomm_specs) / sizeof(vomm_specs[0]);

_Static_assert(sizeof(vomm_specs) / sizeof(vomm_specs[0]) + IN_SPEC <= INPUTS, "inputs");
_Static_assert(sizeof(vomm_specs) / sizeof(vomm_specs[0]) < VOMM_CONTEXT_MAX, "one row to spare");

/* The symbol so many back (1: newest); before the start of the stream there is a mark. */
static uint64_t back(const struct vomm_stream *s, uint32_t n)
{
	return n <= s->length ? s->history[(s->length - n) % VOMM_HISTORY] : 1ull << 33;
}

/* One odd number for each place in the history: splitmix64 from 1. */
const uint64_t vomm_back_key[VOMM_ORDER_MAX] = {
	0x910a2dec89025cc1ull, 0xbeeb8da1658eec67ull, 0xf893a2eefb32555full, 0x71c18690ee42c90bull,
	0x71bb54d8d101b5b9ull, 0xc34d0bff90150281ull, 0xe099ec6cd7363ca5ull, 0x85e7bb0f12278575ull,
	0x491718de357e3da9ull, 0xcb435c8e74616797ull, 0x6775dc7701564f61ull, 0x9afcd44d14cf8bffull,
	0x7476cf8a4baa5dc1ull, 0x87b341d690d7a28bull, 0x6f9b6dae6f4c57a9ull, 0x2ac2ce17a5794a3bull,
	0xa534a6a6b7fd0b63ull, 0xd0bad0da572baaf1ull, 0xae84379630af89efull, 0xe263183773ef6509ull,
	0x10e2c46865e98747ull, 0x14d7973c5c2a449dull, 0x7ef1fd0ed1548fcdull, 0x1f8410633ef306adull,
};

/* Of a sum over the symbols that make the context. */
static uint64_t hash_spec(uint64_t sum, uint32_t i)
{
	return vomm_step64(sum, i + 1) | 1ull << 63;
}

/* Of a feature, or of nothing, and the symbols of the mask. */
static uint64_t hash_masked(const struct vomm_stream *s, uint64_t sum, uint32_t i)
{
	for (uint32_t left = vomm_specs[i].mask; left; left &= left - 1) {
		uint32_t k = (uint32_t)__builtin_ctz(left);
		uint64_t x = back(s, k + 1);

		sum += vomm_specs[i].any ? vomm_step64(0, x) : x * vomm_back_key[k];
	}
	return hash_spec(sum, i);
}

void vomm_stream_hash(struct vomm_stream *s)
{
	uint32_t i = 0, done = 0, at = s->length;
	uint64_t sum = 0;

	for (; i < VOMM_SUFFIXES; i++) {
		uint32_t order = vomm_specs[i].order;

		if (order <= s->length)
			for (; done < order; done++)
				sum += s->history[--at % VOMM_HISTORY] * vomm_back_key[done];
		else
			for (; done < order; done++)
				sum += back(s, done + 1) * vomm_back_key[done];
		s->context[i] = hash_spec(sum, i);
	}
	for (; i < vomm_spec_n && !vomm_specs[i].feature; i++)
		s->context[i] = hash_masked(s, 0, i);
}

uint32_t vomm_contexts_hash(const struct vomm *v, const struct vomm_stream *s, uint64_t *ret)
{
	uint32_t order_max = s->length + 1 - s->headless, applies = 0;

	if (order_max > v->limits.order_max)
		order_max = v->limits.order_max;
	for (uint32_t i = 0; i < vomm_spec_n; i++) {
		uint32_t feature = vomm_specs[i].feature;

		if (vomm_specs[i].order > order_max)
			ret[i] = 0;
		else if (!feature)
			ret[i] = s->context[i];
		else
			ret[i] =
				s->feature[feature - 1]
					? hash_masked(s, vomm_step64(0, s->feature[feature - 1]), i)
					: 0;
		applies |= (uint32_t)(ret[i] != 0) << i;
	}
	return applies;
}
