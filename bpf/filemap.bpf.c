// SPDX-License-Identifier: GPL-2.0-only
/*
 * filemap.bpf.c - which pages of a file a program really uses, in its first seconds.
 *
 *   tp_btf/mm_filemap_get_pages    read() and its like: exactly the pages asked for
 *   tp_btf/mm_filemap_fault        a page fault that had to look for its page: exactly that page
 *   tp_btf/mm_filemap_map_pages    a page fault that mapped what was there around it: up to 64 KiB
 *   tp_btf/mm_filemap_add_to_page_cache   where the three above do not exist (before 6.10 or so): what
 *                                  was read in for the program, read-ahead included: ROUGH
 *
 * These events come by the hundred thousand a second, so none is ever sent: bits are set in a map
 * row for 64 pages. A process past learn_ns, a known one (QUIET), one whose block was learnt from
 * already (see exec.bpf.c), and everyone while learn_ns is 0 cost one array lookup. Read-ahead that
 * nobody touched sets no bit: replaying what the kernel read ahead would grow with each generation
 * (ChromeOS saw a fifth of waste).
 *
 * Sees     the pages the new image itself touches, and those of its children until they execute another. Misses the first page of the executable and its
 *          interpreter, which execve() reads before the process becomes the new program; they are
 *          in the first fault-around of each all the same.
 */
#include "filemap.bpf.h"
#include "filter.bpf.h"

/* Rows until the daemon comes by, each second: 32,768 x 64 pages are 8 GiB of working set. Full:
 * counted in used_full, and that part is learnt in a later run. */
struct used_pages_map used_pages SEC(".maps");

__u64 learn_ns = 0;
/* Updates that found the map full. */
__u64 used_full = 0;

/* One call spans at most 9 rows, 2 MiB: what a read() copies between two of its calls. */
#define GROUPS_A_CALL 9

static __always_inline void used_add(struct fwm_used_key *key, __u64 pages, __u32 first_us,
				     __u32 flags)
{
	struct fwm_used_row *row = bpf_map_lookup_elem(&used_pages, key);
	struct fwm_used_row fresh = {.pages = pages, .first_us = first_us, .flags = flags};

	if (row) {
		if ((row->pages & pages) != pages)
			__sync_fetch_and_or(&row->pages, pages);
		return;
	}
	/* EEXIST: another thread was faster; its row takes our bits. */
	if (!bpf_map_update_elem(&used_pages, key, &fresh, BPF_NOEXIST))
		return;
	row = bpf_map_lookup_elem(&used_pages, key);
	if (row)
		__sync_fetch_and_or(&row->pages, pages);
	else
		__sync_fetch_and_add(&used_full, 1);
}

/* Pages [first, last] of mapping were used by the current process. typed: mapping is one the verifier
 * follows. */
static __always_inline int used(struct address_space *mapping, __u64 first, __u64 last, __u32 flags,
				bool typed)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	const struct proc *p = learn_ns ? proc_peek(tgid) : NULL;
	struct fwm_used_key key = {};
	struct inode *inode;
	__u64 age_ns;

	if (!p || !p->pages || (p->flags & FWM_MARK_QUIET))
		return 0;
	age_ns = bpf_ktime_get_ns() - p->exec_ns;
	if (age_ns > learn_ns || !wanted(tgid, p))
		return 0;
	key.exec_ns = p->exec_ns;
	if (typed) { /* plain loads */
		inode = mapping->host;
		key.ino = inode->i_ino;
		key.dev = inode->i_sb->s_dev;
		key.gen = inode->i_generation;
	} else {
		inode = BPF_CORE_READ(mapping, host);
		key.ino = BPF_CORE_READ(inode, i_ino);
		key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		key.gen = BPF_CORE_READ(inode, i_generation);
	}
	key.tgid = p->exec_tgid;
	key.group = first / FWM_USED_PAGES;
	for (int i = 0; i < GROUPS_A_CALL && first <= last; i++, key.group++) {
		__u64 from = first % FWM_USED_PAGES, end = first - from + FWM_USED_PAGES;
		__u64 pages = ~0ull << from;

		if (last + 1 < end)
			pages &= ~0ull >> (end - last - 1);
		used_add(&key, pages, age_ns / 1000, flags);
		first = end;
	}
	return 0;
}

SEC("tp_btf/mm_filemap_get_pages")
int BPF_PROG(on_get_pages, struct address_space *mapping, unsigned long first, unsigned long last)
{
	return used(mapping, first, last, 0, true);
}

SEC("tp_btf/mm_filemap_map_pages")
int BPF_PROG(on_map_pages, struct address_space *mapping, unsigned long first, unsigned long last)
{
	return used(mapping, first, last, 0, true);
}

SEC("tp_btf/mm_filemap_fault")
int BPF_PROG(on_fault, struct address_space *mapping, unsigned long index)
{
	return used(mapping, index, index, 0, true);
}

/* The argument is a folio since 5.16, and a page before; index and mapping are at the same places. */
SEC("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(on_add_page, struct folio *folio)
{
	unsigned long index = BPF_CORE_READ(folio, index);

	return used(BPF_CORE_READ(folio, mapping), index, index, FWM_USED_ROUGH, false);
}

char LICENSE[] SEC("license") = "GPL";
