/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pageuse.h - takes from the kernel which pages of which file each process used.
 *
 * Shape    pageuse_go() empties the kernel's map "used_pages" (include/forewarm/used.h) into a run at
 *          a time: one process, one file, all its pages used since the last visit. The hooks which
 *          fill it are switched by capture_learn_pages().
 * Units    struct ranges_use of core/ranges.h, whatever the kernel's page size.
 * Bounds   FWM_USED_MAX rows a visit; while it runs 24 KiB, for all of them about 2 MiB, none in between
 *          unless it paused.
 * Owner    The caller's struct pageuse; pageuse_fini() frees what it holds.
 * Errors   < 0 -errno.
 * Threads  any; one at a time for a map.
 */
#ifndef SYS_PAGEUSE_H
#define SYS_PAGEUSE_H

#include "base/pause.h"
#include "core/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cells of one file used by one process since the last visit. Borrowed. */
struct pageuse_run {
	uint64_t exec_ns;  /* ts_ns of the observation of its exec */
	uint64_t dev, ino; /* as stat() gives them */
	uint32_t tgid, gen;
	bool rough; /* read-ahead may be among it */
	const struct ranges_use *uses;
	size_t uses_n;
};
/* What was taken and not told yet; zeroed at first. */
struct pageuse {
	struct pageuse_row *rows;
	struct ranges_use *uses;
	size_t rows_n, at;
	bool more; /* some were left in the map */
};
typedef void (*pageuse_run_fn)(void *ctx, const struct pageuse_run *run);

/* Calls run for each (process, file) with something new, in no order; map_fd is of used_pages.
 * *ret_runs_n (may be NULL) says how many. */
int pageuse_go(struct pageuse *p, int map_fd, pageuse_run_fn run, void *ctx,
	       const struct pause *pause, size_t *ret_runs_n);
enum { PAGEUSE_MORE = 1 /* it paused: the rest with the next call */ };
void pageuse_fini(struct pageuse *p);
/* The same, all at once. */
int pageuse_take(int map_fd, pageuse_run_fn run, void *ctx, size_t *ret_runs_n);

#endif
