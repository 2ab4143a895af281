/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * trace.h - observations in a file, for `forewarm record` and `forewarm replay`.
 *
 * Shape    A header of 48 bytes, then frames. All numbers are little-endian.
 *            header  "FWMTRACE"  u32 version  u32 flags  i64 wall_offset_ns  u64 host
 *                    u64 reserved (0)  u64 xxh64 of the 40 bytes before
 *            frame   u32 bytes packed  u32 bytes unpacked  u64 xxh64 of the packed bytes, seeded with
 *                    the two lengths  the packed bytes (zstd); inside, what core/obscode.h writes
 *          A frame stands alone: a trace that was cut off is good up to its last whole frame.
 * Units    ns of CLOCK_MONOTONIC of the recording host; wall_offset_ns makes them CLOCK_REALTIME.
 * Bounds   A frame unpacks to at most 64 KiB, so both sides use less than 1 MiB whatever is in the
 *          file. A writer stops at bytes_max.
 * Owner    The caller owns writer and reader; the descriptor is theirs from open on. What a reader
 *          hands out lives until its next call.
 * Errors   < 0 -errno. -EBADMSG: not a trace, or damaged: trace_read_offset() says where,
 *          trace_read_message() what. TRACE_END, TRACE_FULL.
 * Threads  One owner at a time.
 */
#ifndef STORE_TRACE_H
#define STORE_TRACE_H

#include "core/obs.h"

#include <stdint.h>

enum {
	TRACE_END = 1,	/* no more */
	TRACE_FULL = 2, /* bytes_max is reached: this one and all later ones are not written */
};

#define TRACE_F_ANONYMOUS (1u << 0) /* names went through core/anon.h */

struct trace_info {
	uint32_t flags;		/* TRACE_F_* */
	int64_t wall_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC when it was opened */
	uint64_t host;		/* a hash that tells hosts apart; 0: not said */
};

struct trace_writer;
struct trace_reader;

/* Takes fd, also when it fails. bytes_max 0: no limit. */
int trace_write_open(int fd, const struct trace_info *info, uint64_t bytes_max,
		     struct trace_writer **ret);
int trace_write_put(struct trace_writer *w, const struct obs *o);
/* What was put is in the file after this (not yet on the disk). */
int trace_write_flush(struct trace_writer *w);
uint64_t trace_write_bytes(const struct trace_writer *w);
/* Flushes; *ret_err, when not NULL, is 0 or the fault. Takes NULL. */
struct trace_writer *trace_write_close(struct trace_writer *w, int *ret_err);

/* Takes fd, also when it fails; a pipe will do. ret_info may be NULL. ret_message, when not NULL, takes
 * 128 bytes and says what was wrong when it fails. */
int trace_read_open(int fd, struct trace_info *ret_info, char *ret_message,
		    struct trace_reader **ret);
int trace_read_next(struct trace_reader *t, struct obs *ret);
/* Where the frame that is being read begins in the file. */
uint64_t trace_read_offset(const struct trace_reader *t);
const char *trace_read_message(const struct trace_reader *t);
struct trace_reader *trace_read_close(struct trace_reader *t);

#endif
