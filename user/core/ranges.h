/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ranges.h - which parts of which file a block really uses, merged over its runs.
 *
 * Shape    A set for each (block, file): cells of 64 KiB in file order, each with the units of 4 KiB
 *          in it that were used, the share of runs that used it, and when after the start of the
 *          block it was first needed. A run may be learnt in several parts, as it goes.
 * Units    bytes in struct file_range; microseconds since the exec of the block; probabilities in
 *          [0, 1], given that the block uses the file at all.
 * Bounds   set_max sets, cell_max cells for all of them, RANGES_SET_CELLS for one, all taken at
 *          ranges_new(). Where there is no room the set learnt longest ago goes, and is counted.
 *          learn is O(cells of the set + cells of the run), plan O(n log n) of the set.
 * Owner    The caller owns struct ranges. Ids are the caller's and mean nothing here; 0 is none.
 * Errors   < 0 -errno; > 0 RANGES_UNKNOWN.
 * Threads  One owner at a time. No clock, lock, global or I/O.
 * Source   64 KiB is what a page fault maps at most at a time (fault_around_bytes), so nothing finer
 *          is seen of a mapped file; what is read() is known to the page.
 */
#ifndef CORE_RANGES_H
#define CORE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGES_UNKNOWN = 1 /* nothing was learnt of that file */ };

#define RANGES_UNIT 4096u	/* bytes of a unit */
#define RANGES_CELL_UNITS 16u	/* units of a cell */
#define RANGES_CELL 65536u	/* bytes of a cell */
#define RANGES_SET_CELLS 16384u /* cells of a set: 1 GiB of one file */

/* A part of a file. */
struct file_range {
	uint64_t off, len;
};

/* What one run used of one cell. */
struct ranges_use {
	uint32_t cell;	   /* offset / RANGES_CELL */
	uint16_t units;	   /* bit i: unit i of the cell */
	uint32_t first_us; /* after the start of the block */
};

struct ranges_limits {
	uint32_t set_max;
	uint32_t cell_max;
};

struct ranges_stats {
	uint32_t sets_n, cells_n;
	uint64_t sets_evicted, cells_dropped;
	uint64_t bytes; /* memory, all of it */
};

struct ranges;

int ranges_new(const struct ranges_limits *limits, struct ranges **ret);
struct ranges *ranges_free(struct ranges *r);

/* A run of block used these cells of file, in any order; several entries may be of one cell. run
 * tells runs apart: the next call with the same one adds to the same run. */
int ranges_learn(struct ranges *r, uint32_t block, uint32_t file, uint64_t run,
		 const struct ranges_use *uses, size_t n);

/* How many bytes a run most likely uses: the units of cells used in at least half of the runs. 0:
 * nothing was learnt of that file. O(1). */
uint64_t ranges_bytes(const struct ranges *r, uint32_t block, uint32_t file);

/* The parts used with at least p_min, in the order of first use; parts less than 16 KiB apart are
 * one, none is longer than 1 MiB. At most max parts and bytes_max bytes: the latest are left out.
 * *ret_first_us (may be NULL) is the earliest first use. RANGES_UNKNOWN: see above. */
int ranges_plan(struct ranges *r, uint32_t block, uint32_t file, double p_min, uint64_t bytes_max,
		struct file_range *ret, size_t max, size_t *ret_n, uint32_t *ret_first_us);

/* Forgets all sets with that block or file; O(set_max). */
void ranges_forget_id(struct ranges *r, uint32_t id);

/* The next set that changed since it was last handed out, marked clean by this call; false when nothing
 * is left. What unpack put there is clean. O(set_max) for all of them, O(1) when there is none. */
bool ranges_next_change(struct ranges *r, uint32_t *ret_block, uint32_t *ret_file);
/* There was no room for it: to be handed out again. */
void ranges_changed(struct ranges *r, uint32_t block, uint32_t file);
void ranges_changed_all(struct ranges *r);

/* A set as bytes for the store: little endian, versioned, RANGES_PACK_MAX at most. pack writes to
 * buf of size and returns RANGES_UNKNOWN, or -ENOSPC with *ret_len what it takes. unpack replaces
 * the set, -EBADMSG (nothing changed) when the bytes are not a set. */
#define RANGES_PACK_HEAD 8u
#define RANGES_PACK_CELL 12u
#define RANGES_PACK_MAX (RANGES_PACK_HEAD + RANGES_SET_CELLS * RANGES_PACK_CELL)
int ranges_pack(const struct ranges *r, uint32_t block, uint32_t file, uint8_t *buf, size_t size,
		size_t *ret_len);
int ranges_unpack(struct ranges *r, uint32_t block, uint32_t file, const uint8_t *buf, size_t len);

void ranges_stats(const struct ranges *r, struct ranges_stats *ret);

#endif
