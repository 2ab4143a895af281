/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm_pages.h - part of warm: makes pages of an open regular file resident, and drops them again.
 *
 * Shape    The ranges, less holes, less what is there, are asked for by readahead()
 *          in chunks, of calls no larger than the window of a device as Linux sets it up; a chunk is
 *          done when mincore() says that all of it is there. What a smaller window left out all the
 *          same is asked for again, in smaller pieces.
 * Bounds   PAGES_FLIGHT_MAX chunks of one file under way; a chunk that makes no progress for
 *          PAGES_STALL_NS is given up. The file may shrink meanwhile: what is gone is not waited for.
 * Errors   < 0 -errno; > 0 what the gate said to stop it.
 * Threads  any, one file each.
 */
#ifndef SYS_WARM_PAGES_H
#define SYS_WARM_PAGES_H

#include "core/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGES_FLIGHT_MAX = 16 };
#define PAGES_STALL_NS 2000000000ull

enum {
	PAGES_WAIT = 1, /* from the gate: let a chunk of yours land first */
	PAGES_STOP = 2, /* from the gate: enough */
};

struct pages_gate {
	/* May so many more bytes be asked for? It may say fewer. flight_n chunks of this file are under
	 * way; with none the gate blocks rather than answer PAGES_WAIT. */
	int (*ask)(void *ctx, uint64_t *bytes, uint32_t flight_n);
	/* These are no longer under way. */
	void (*landed)(void *ctx, uint64_t bytes);
	/* Was absent, and we asked for it. */
	void (*took)(void *ctx, const struct file_range *part);
	bool (*stopped)(void *ctx);
	void *ctx;
};

struct pages_count {
	uint64_t bytes_wanted, bytes_resident, bytes_read, bytes_missing;
	uint64_t first_io_ns;
	uint64_t reads_n, reissued_n;
};

/* Makes the ranges of fd resident, at most bytes_max newly read. *count is added to, whatever the
 * return. */
int pages_read(int fd, const struct file_range *ranges, size_t n, uint32_t chunk_bytes,
	       uint64_t bytes_max, const struct pages_gate *gate, struct pages_count *count);

/* Drops the resident pages of the ranges that no one has mapped or used (see warm_release in
 * warm.h). -EPERM: the kernel does not tell us. */
int pages_drop(int fd, const struct file_range *ranges, size_t n, uint64_t *ret_dropped);

#endif
