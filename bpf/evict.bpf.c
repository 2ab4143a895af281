// SPDX-License-Identifier: GPL-2.0-only
/*
 * evict.bpf.c - which files that were seen resident are no more.
 *
 *   tp_btf/mm_filemap_delete_from_page_cache   fires for each folio that leaves the page cache:
 *                                              reclaim, truncation, POSIX_FADV_DONTNEED, unlink
 *
 * The daemon puts a file into `resident` when it has verified what a block needs of it; the first folio
 * that goes takes the file out again. While it is in there, nobody needs to look. Nothing is sent. It
 * runs with the page cache's lock held and interrupts off: one hash lookup, nothing else.
 *
 * Misses   pages which were never in the cache; what was verified says which were.
 */
#include "filemap.bpf.h"

#include <bpf/bpf_tracing.h>

/* Full: the daemon is told so by the update that fails, and starts over with an empty map. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWM_RESIDENT_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fwm_resident_key);
	__type(value, __u64);
} resident SEC(".maps");

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(on_evict, struct folio *folio)
{
	struct fwm_resident_key key = {};
	struct inode *inode = folio->mapping->host;

	key.ino = inode->i_ino;
	key.dev = inode->i_sb->s_dev;
	/* A lookup takes no lock, and mostly it is all. */
	if (bpf_map_lookup_elem(&resident, &key) && !bpf_map_delete_elem(&resident, &key))
		__sync_fetch_and_add(&left_n, 1);
	return 0;
}
