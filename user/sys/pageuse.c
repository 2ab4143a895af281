/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pageuse.c - see pageuse.h.
 *
 * Rows are taken out in batches; a bit that a hook sets between the copy and the delete of its row
 * is lost, which costs one page in one run. Sorted by (process, file) they become runs.
 */
#include "sys/pageuse.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <bpf/bpf.h>
#include <forewarm/used.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { BATCH = 512 /* 24 KiB of stack */ };

struct row {
	struct fwm_used_key key;
	struct fwm_used_row row;
};

/* Before rows are taken out of the map there is room for them. Most visits find few: what is as large as for all at
 * once is mapped anew each time, and unmapping it interrupts who runs on another CPU. */
static int make_room(struct row **rows, size_t n, size_t *room)
{
	struct row *more;

	if (n + BATCH <= *room)
		return 0;
	*room = *room ? 2 * *room : BATCH;
	more = realloc(*rows, *room * sizeof(**rows));
	if (!more)
		return fault(-ENOMEM);
	*rows = more;
	return 0;
}

static int take_batches(int map_fd, size_t max, struct row **ret, size_t *ret_n)
{
	struct fwm_used_key keys[BATCH];
	struct fwm_used_row values[BATCH];
	uint32_t cursor = 0;
	bool more = true;
	size_t n = 0, room = 0;

	for (uint32_t round = 0; more && n < max; round++) {
		uint32_t count = max - n < BATCH ? (uint32_t)(max - n) : BATCH;
		int r = make_room(ret, n, &room);

		if (r == 0)
			r = bpf_map_lookup_and_delete_batch(map_fd, round ? &cursor : NULL, &cursor,
							    keys, values, &count, NULL);
		if (r < 0 && r != -ENOENT) {
			if (!n)
				return fault(r);
			break;
		}
		more = r == 0;
		for (uint32_t i = 0; i < count; i++)
			(*ret)[n++] = (struct row){keys[i], values[i]};
	}
	*ret_n = n;
	return 0;
}

/* By process, then file, then place. */
static int row_cmp(const void *a, const void *b)
{
	return memcmp(&((const struct row *)a)->key, &((const struct row *)b)->key,
		      sizeof(struct fwm_used_key));
}

static bool same_run(const struct fwm_used_key *a, const struct fwm_used_key *b)
{
	return !memcmp(a, b, offsetof(struct fwm_used_key, group));
}

/* The 64 pages of a row as cells of RANGES_CELL. Returns how many. */
static size_t row_cells(const struct row *row, uint32_t page_bytes, struct ranges_use *ret)
{
	uint32_t units_a_page = page_bytes / RANGES_UNIT;
	uint64_t first = (uint64_t)row->key.group * FWM_USED_PAGES * units_a_page;
	size_t n = 0;

	for (uint32_t i = 0; i < FWM_USED_PAGES; i++) {
		if (!(row->row.pages >> i & 1))
			continue;
		for (uint32_t u = 0; u < units_a_page; u++) {
			uint64_t unit = first + i * units_a_page + u;
			uint32_t cell = (uint32_t)(unit / RANGES_CELL_UNITS);

			if (!n || ret[n - 1].cell != cell)
				ret[n++] = (struct ranges_use){cell, 0, row->row.first_us};
			ret[n - 1].units |= (uint16_t)(1u << unit % RANGES_CELL_UNITS);
		}
	}
	return n;
}

int pageuse_take(int map_fd, pageuse_run_fn run, void *ctx, size_t *ret_runs_n)
{
	_cleanup_(freep) struct row *rows = NULL;
	_cleanup_(freep) struct ranges_use *uses = NULL;
	uint32_t page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	/* A row is 64 pages: with 64 KiB pages that is 64 cells. */
	size_t cells_a_row = FWM_USED_PAGES * (size_t)page_bytes / RANGES_CELL, n = 0, runs_n = 0;
	int r;

	r = take_batches(map_fd, FWM_USED_MAX, &rows, &n);
	if (r < 0)
		return r;
	uses = malloc((n ? n : 1) * cells_a_row * sizeof(*uses));
	if (!uses)
		return fault(-ENOMEM);
	qsort(rows, n, sizeof(*rows), row_cmp);
	for (size_t i = 0, end; i < n; i = end, runs_n++) {
		const struct fwm_used_key *k = &rows[i].key;
		struct pageuse_run out = {.exec_ns = k->exec_ns,
					  .ino = k->ino,
					  .tgid = k->tgid,
					  .dev = makedev(k->dev >> 20, k->dev & 0xfffff),
					  .gen = k->gen,
					  .uses = uses};

		for (end = i; end < n && same_run(k, &rows[end].key); end++) {
			out.uses_n += row_cells(&rows[end], page_bytes, uses + out.uses_n);
			out.rough = out.rough || (rows[end].row.flags & FWM_USED_ROUGH);
		}
		run(ctx, &out);
	}
	if (ret_runs_n)
		*ret_runs_n = runs_n;
	return 0;
}
