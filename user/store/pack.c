// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pack.c - zstd around a blob.
 */
#include "store/pack.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* No state is larger: see [model] memory. */
#define UNPACKED_MAX (1ull << 30)

int pack_bytes(const void *from, size_t n, void **ret, size_t *ret_n)
{
	size_t max = ZSTD_compressBound(n), packed_n;
	_cleanup_(freep) void *packed = malloc(max);

	if (!packed)
		return fault(-ENOMEM);
	packed_n = ZSTD_compress(packed, max, from, n, 1);
	if (ZSTD_isError(packed_n))
		return fault(-ENOMEM); /* the only way to fail with enough room */
	*ret = TAKE_PTR(packed);
	*ret_n = packed_n;
	return 0;
}

int unpack_bytes(const void *from, size_t n, void **ret, size_t *ret_n)
{
	unsigned long long size = ZSTD_getFrameContentSize(from, n);
	bool packed = size > 0 && size <= UNPACKED_MAX;
	_cleanup_(freep) void *bytes = malloc(packed ? (size_t)size : n);

	if (!bytes)
		return fault(-ENOMEM);
	if (packed && ZSTD_decompress(bytes, (size_t)size, from, n) == size) {
		*ret_n = (size_t)size;
		*ret = TAKE_PTR(bytes);
		return 0;
	}
	if (packed) {
		free(bytes);
		bytes = malloc(n);
		if (!bytes)
			return fault(-ENOMEM);
	}
	memcpy(bytes, from, n);
	*ret_n = n;
	*ret = TAKE_PTR(bytes);
	return 0;
}
