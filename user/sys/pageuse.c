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

struct pageuse_row {
	struct fwm_used_key key;
	struct fwm_used_row row;
};

/* Before rows are taken out of the map there is room for them. Most visits find few: what is as large as for all at
 * once is mapped anew each time, and unmapping it interrupts who runs on another CPU. */
static int make_room(struct pageuse_row **rows, size_t n, size_t *room)
{
	struct pageuse_row *more;

	if (n + BATCH <= *room)
		return 0;
	*room = *room ? 2 * *room : BATCH;
	more = realloc(*rows, *room * sizeof(**rows));
	if (!more)
		return fault(-ENOMEM);
	*rows = more;
	return 0;
}

/* Into p->rows; p->more: it paused, and there may be more. */
static int take_batches(int map_fd, size_t max, const struct pause *pause, struct pageuse *p)
{
	struct fwm_used_key keys[BATCH];
	struct fwm_used_row values[BATCH];
	uint32_t cursor = 0;
	bool more = true;
	size_t n = 0, room = 0;

	p->more = false;
	for (uint32_t round = 0; more && n < max; round++) {
		uint32_t count = max - n < BATCH ? (uint32_t)(max - n) : BATCH;
		int r;

		p->more = round && pause_wanted(pause);
		if (p->more)
			break;
		r = make_room(&p->rows, n, &room);
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
			p->rows[n++] = (struct pageuse_row){keys[i], values[i]};
	}
	p->rows_n = n;
	return 0;
}

/* By process, then file, then place. */
static int row_cmp(const void *a, const void *b)
{
	return memcmp(&((const struct pageuse_row *)a)->key, &((const struct pageuse_row *)b)->key,
		      sizeof(struct fwm_used_key));
}

static bool same_run(const struct fwm_used_key *a, const struct fwm_used_key *b)
{
	return !memcmp(a, b, offsetof(struct fwm_used_key, group));
}

/* The 64 pages of a row as cells of RANGES_CELL. Returns how many. */
static size_t row_cells(const struct pageuse_row *row, uint32_t page_bytes, struct ranges_use *ret)
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

static size_t cells_a_row(void)
{
	/* A row is 64 pages: with 64 KiB pages that is 64 cells. */
	return FWM_USED_PAGES * (size_t)sysconf(_SC_PAGESIZE) / RANGES_CELL;
}

/* The rows of one process and file, from at on. Returns where they end. */
static size_t tell_run(const struct pageuse *p, pageuse_run_fn run, void *ctx)
{
	uint32_t page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	const struct fwm_used_key *k = &p->rows[p->at].key;
	struct pageuse_run out = {.exec_ns = k->exec_ns,
				  .ino = k->ino,
				  .tgid = k->tgid,
				  .dev = makedev(k->dev >> 20, k->dev & 0xfffff),
				  .gen = k->gen,
				  .uses = p->uses};
	size_t end = p->at;

	for (; end < p->rows_n && same_run(k, &p->rows[end].key); end++) {
		out.uses_n += row_cells(&p->rows[end], page_bytes, p->uses + out.uses_n);
		out.rough = out.rough || (p->rows[end].row.flags & FWM_USED_ROUGH);
	}
	run(ctx, &out);
	return end;
}

int pageuse_go(struct pageuse *p, int map_fd, pageuse_run_fn run, void *ctx,
	       const struct pause *pause, size_t *ret_runs_n)
{
	size_t runs_n = 0;
	int r;

	if (!p->rows_n) {
		r = take_batches(map_fd, FWM_USED_MAX, pause, p);
		if (r < 0) {
			pageuse_fini(p);
			return r;
		}
		qsort(p->rows, p->rows_n, sizeof(*p->rows), row_cmp);
	}
	if (!p->uses)
		p->uses = malloc((p->rows_n ? p->rows_n : 1) * cells_a_row() * sizeof(*p->uses));
	if (!p->uses)
		return fault(-ENOMEM); /* the rows stay */
	for (bool more = true; more && p->at < p->rows_n; runs_n++) {
		p->at = tell_run(p, run, ctx);
		more = !pause_wanted(pause);
	}
	if (ret_runs_n)
		*ret_runs_n = runs_n;
	if (p->at < p->rows_n)
		return PAGEUSE_MORE;
	r = p->more ? PAGEUSE_MORE : 0;
	pageuse_fini(p);
	return r;
}

void pageuse_fini(struct pageuse *p)
{
	free(p->rows);
	free(p->uses);
	*p = (struct pageuse){0};
}

int pageuse_take(int map_fd, pageuse_run_fn run, void *ctx, size_t *ret_runs_n)
{
	struct pageuse p = {0};
	int r = pageuse_go(&p, map_fd, run, ctx, NULL, ret_runs_n);

	pageuse_fini(&p);
	return r;
}
