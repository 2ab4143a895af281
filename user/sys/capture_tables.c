// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture_tables.c - what the hooks look things up in, written from here: one call per table, each row
 * made by whoever knows what it means.
 */
#include "sys/capture_impl.h"

#include "base/err.h"

#include <bpf/bpf.h>

void capture_wake_new(struct capture *c)
{
	__atomic_store_n(&c->skel->bss->wake_new, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < FWM_TABLES; i++)
		__atomic_add_fetch(&c->skel->bss->tables_n[i], 1, __ATOMIC_SEQ_CST);
}

static int table_update(const struct bpf_map *map, const void *key, const void *row)
{
	int fd = bpf_map__fd(map);

	if (row)
		return bpf_map_update_elem(fd, key, row, BPF_ANY) < 0 ? fault_errno() : 0;
	if (bpf_map_delete_elem(fd, key) < 0 && errno != ENOENT)
		return fault_errno();
	return 0;
}

/* The exec hook keeps what it found there. */
void capture_table_changed(struct capture *c, uint64_t ino)
{
	__atomic_add_fetch(&c->skel->bss->tables_n[fwm_tables_of(ino)], 1, __ATOMIC_SEQ_CST);
}

int capture_guesses_update(struct capture *c, const struct fwm_block_key *key,
			   const struct fwm_guess_row *row)
{
	int r = table_update(c->skel->maps.guesses, key, row);

	capture_table_changed(c, key->ino);
	return r;
}

int capture_resident_update(struct capture *c, uint64_t dev, uint64_t ino, uint64_t what,
			    bool known)
{
	struct fwm_resident_key key = resident_key_of(dev, ino);
	int r;

	if (!c->resident)
		return CAPTURE_NO_PAGES;
	r = bpf_map__update_elem(c->skel->maps.resident, &key, sizeof(key), &what, sizeof(what),
				 known ? BPF_EXIST : BPF_ANY);
	return r == -ENOENT ? CAPTURE_NO_PAGES : r < 0 ? fault(r) : 0;
}

int capture_resident_get(struct capture *c, uint64_t dev, uint64_t ino, uint64_t *ret_what)
{
	struct fwm_resident_key key = resident_key_of(dev, ino);

	if (!c->resident || bpf_map__lookup_elem(c->skel->maps.resident, &key, sizeof(key),
						 ret_what, sizeof(*ret_what), 0) < 0)
		return CAPTURE_NO_PAGES;
	return 0;
}

void capture_resident_clear(struct capture *c)
{
	struct fwm_resident_key key, next;
	bool more = c->resident &&
		    bpf_map__get_next_key(c->skel->maps.resident, NULL, &next, sizeof(next)) == 0;

	while (more) {
		key = next;
		more = bpf_map__get_next_key(c->skel->maps.resident, &key, &next, sizeof(next)) ==
		       0;
		(void)bpf_map__delete_elem(c->skel->maps.resident, &key, sizeof(key), 0);
	}
	__atomic_add_fetch(&c->skel->bss->left_n, 1, __ATOMIC_SEQ_CST);
}

int capture_resident_left(const struct capture *c, uint32_t *ret_n)
{
	if (!c->resident)
		return CAPTURE_NO_PAGES;
	*ret_n = __atomic_load_n(&c->skel->bss->left_n, __ATOMIC_SEQ_CST);
	return 0;
}

int capture_known_update(struct capture *c, const struct fwm_block_key *key,
			 const struct fwm_known_row *row)
{
	int r = table_update(c->skel->maps.known, key, row);

	capture_table_changed(c, key->ino);
	return r;
}

int capture_edges_update(struct capture *c, uint32_t id, const struct fwm_edge_row *row)
{
	return table_update(c->skel->maps.edges, &id, row);
}

int capture_mark(struct capture *c, uint32_t tgid, uint32_t flags)
{
	struct fwm_mark m = {.flags = flags};
	int r;

	/* Too high for a moment is harmless, and for ever costs a lookup at the start of each process. */
	(void)__atomic_or_fetch(&c->skel->bss->marks_seen, 1ull << (tgid & 63), __ATOMIC_SEQ_CST);
	(void)__atomic_add_fetch(&c->skel->bss->marks_n, 1, __ATOMIC_SEQ_CST);
	if (bpf_map_update_elem(bpf_map__fd(c->skel->maps.marks), &tgid, &m, BPF_NOEXIST) == 0) {
		r = 0;
	} else {
		(void)__atomic_sub_fetch(&c->skel->bss->marks_n, 1, __ATOMIC_SEQ_CST);
		r = table_update(c->skel->maps.marks, &tgid, &m); /* 0 too: no row says nothing */
	}
	__atomic_add_fetch(&c->skel->data->marks_epoch, 1, __ATOMIC_SEQ_CST);
	return r;
}
