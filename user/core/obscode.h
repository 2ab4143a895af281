/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * obscode.h - observations as bytes and back: what is inside a frame of a trace.
 *
 * Shape    A frame is a sequence of records: a varint with the record's length, then its fields. A
 *          field that is 0 is left out and its bit in the mask is clear. A string is written the
 *          first time it comes in a frame and is a number after that; times are differences
 *          within the frame. So each frame is complete in itself.
 * Units    As in core/obs.h. Varints are LEB128, at most 10 bytes; differences are zigzag.
 * Bounds   A frame is at most OBSCODE_FRAME_MAX bytes and OBSCODE_STRING_MAX different strings.
 *          An encoder is 400 KiB, a decoder 64 KiB. O(bytes).
 * Owner    The caller owns both. A decoder borrows its frame; the strings it hands out lie in it.
 * Errors   -EBADMSG: not what an encoder writes; the decoder's `at` is where. OBSCODE_FULL,
 *          OBSCODE_END.
 * Threads  One owner at a time. No clock, global or I/O.
 * Trust    A frame may be anything: nothing outside it is read, nothing is allocated for it.
 */
#ifndef CORE_OBSCODE_H
#define CORE_OBSCODE_H

#include "core/obs.h"

#include <stddef.h>
#include <stdint.h>

enum { OBSCODE_FRAME_MAX = 65536, OBSCODE_STRING_MAX = 8192 };

enum {
	OBSCODE_FULL = 1, /* no room for this one: take the frame, reset, and put it again */
	OBSCODE_END = 2,  /* the frame has no more */
};

struct obs_encoder;

int obs_encoder_new(struct obs_encoder **ret);
struct obs_encoder *obs_encoder_free(struct obs_encoder *e);
/* -EINVAL when a string is longer than obs.h allows, missing where it says there is one, or the
 * kind is none; nothing is written then. */
int obs_encode(struct obs_encoder *e, const struct obs *o);
/* The frame so far, valid until the next call that is not const; 0 bytes when nothing was put. */
size_t obs_encoder_frame(const struct obs_encoder *e, const void **ret);
void obs_encoder_reset(struct obs_encoder *e);

struct obs_decoder {
	const uint8_t *frame;
	uint32_t frame_n, at;
	uint64_t ts_ns;
	uint32_t strings_n;
	uint32_t strings[OBSCODE_STRING_MAX]; /* where each begins: at its length */
};

/* frame_n is at most OBSCODE_FRAME_MAX. */
void obs_decoder_init(struct obs_decoder *d, const void *frame, size_t frame_n);
int obs_decode(struct obs_decoder *d, struct obs *ret);

#endif
