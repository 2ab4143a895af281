/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pack.h - large state in fewer bytes on disk.
 *
 * Shape    One zstd frame that knows its length, at the fastest level: a third to a sixth of a model.
 * Owner    The caller frees what it got.
 * Errors   < 0 -errno.
 * Threads  Any.
 */
#ifndef STORE_PACK_H
#define STORE_PACK_H

#include <stddef.h>

int pack_bytes(const void *from, size_t n, void **ret, size_t *ret_n);
/* Bytes that are no such frame, or a damaged one, are returned as they are: whoever reads them knows
 * what to think of them, and states were once kept so. */
int unpack_bytes(const void *from, size_t n, void **ret, size_t *ret_n);

#endif
