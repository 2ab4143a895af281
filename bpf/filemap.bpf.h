/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * filemap.bpf.h - the map of used pages, and the kernel fields its hooks read.
 */
#ifndef FWM_FILEMAP_BPF_H
#define FWM_FILEMAP_BPF_H

#include "maps.bpf.h"

#include <forewarm/used.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct address_space {
	struct inode *host;
};

struct folio {
	struct address_space *mapping;
	unsigned long index;
};

#pragma clang attribute pop

struct used_pages_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWM_USED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fwm_used_key);
	__type(value, struct fwm_used_row);
};

#endif
