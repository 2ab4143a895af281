// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trace.c - frames around what core/obscode.h makes of observations.
 *
 * Lengths are checked against the largest frame before anything is read, the checksum before
 * anything is unpacked, and it is unpacked into a buffer that is there already: whatever a file
 * says, no memory is taken for it.
 */
#include "store/trace.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "core/obscode.h"

#include <endian.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

enum {
	TRACE_VERSION = 1,
	HEADER_BYTES = 48,
	FRAME_HEAD_BYTES = 16,
	PACKED_MAX = ZSTD_COMPRESSBOUND(OBSCODE_FRAME_MAX),
	LEVEL = 1, /* 340 ns of CPU and 20 bytes an open; level 3: 630 and 17 (test_trace) */
	MESSAGE_MAX = 128,
};

static const char magic[8] = "FWMTRACE";

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static uint64_t frame_sum(const void *packed, uint32_t packed_n, uint32_t unpacked_n)
{
	return XXH64(packed, packed_n, (uint64_t)packed_n << 32 | unpacked_n);
}

/* --- writing --------------------------------------------------------------------------------- */

struct trace_writer {
	int fd, err; /* err: the fault after which the file is not to be trusted */
	uint64_t bytes, bytes_max;
	struct obs_encoder *encoder;
	ZSTD_CCtx *zstd;
	uint8_t out[FRAME_HEAD_BYTES + PACKED_MAX];
};

static struct trace_writer *writer_free(struct trace_writer *w)
{
	closep(&w->fd);
	obs_encoder_free(w->encoder);
	(void)ZSTD_freeCCtx(w->zstd);
	free(w);
	return NULL;
}

DEFINE_CLEANUP(struct trace_writer *, writer_free)

static int write_all(struct trace_writer *w, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t done = write(w->fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			w->err = fault_errno();
			return w->err;
		}
		p += done;
		n -= (size_t)done;
		w->bytes += (uint64_t)done;
	}
	return 0;
}

int trace_write_open(int fd, const struct trace_info *info, uint64_t bytes_max,
		     struct trace_writer **ret)
{
	_cleanup_(writer_freep) struct trace_writer *w = calloc(1, sizeof(*w));
	uint8_t head[HEADER_BYTES] = {0};
	int r;

	if (!w) {
		(void)close(fd);
		return fault(-ENOMEM);
	}
	w->fd = fd;
	w->bytes_max = bytes_max ? bytes_max : UINT64_MAX;
	w->zstd = ZSTD_createCCtx();
	if (!w->zstd)
		return fault(-ENOMEM);
	r = obs_encoder_new(&w->encoder);
	if (r)
		return r;
	memcpy(head, magic, sizeof(magic));
	put32(head + 8, TRACE_VERSION);
	put32(head + 12, info->flags);
	put64(head + 16, (uint64_t)info->wall_offset_ns);
	put64(head + 24, info->host);
	put64(head + 40, XXH64(head, 40, 0));
	r = write_all(w, head, sizeof(head));
	if (r)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

int trace_write_flush(struct trace_writer *w)
{
	const void *frame;
	size_t n = obs_encoder_frame(w->encoder, &frame), packed_n;

	if (w->err)
		return w->err;
	if (!n)
		return 0;
	packed_n =
		ZSTD_compressCCtx(w->zstd, w->out + FRAME_HEAD_BYTES, PACKED_MAX, frame, n, LEVEL);
	if (ZSTD_isError(packed_n))
		return w->err = fault(-ENOMEM); /* the buffer is large enough for any frame */
	obs_encoder_reset(w->encoder);
	if (w->bytes + FRAME_HEAD_BYTES + packed_n > w->bytes_max) {
		w->bytes_max = 0; /* nothing after a gap */
		return TRACE_FULL;
	}
	put32(w->out, (uint32_t)packed_n);
	put32(w->out + 4, (uint32_t)n);
	put64(w->out + 8, frame_sum(w->out + FRAME_HEAD_BYTES, (uint32_t)packed_n, (uint32_t)n));
	return write_all(w, w->out, FRAME_HEAD_BYTES + packed_n);
}

int trace_write_put(struct trace_writer *w, const struct obs *o)
{
	int r;

	if (w->err)
		return w->err;
	if (!w->bytes_max)
		return TRACE_FULL;
	r = obs_encode(w->encoder, o);
	if (r == OBSCODE_FULL) {
		r = trace_write_flush(w);
		if (r)
			return r;
		r = obs_encode(w->encoder, o);
	}
	return r;
}

uint64_t trace_write_bytes(const struct trace_writer *w)
{
	return w->bytes;
}

struct trace_writer *trace_write_close(struct trace_writer *w, int *ret_err)
{
	int r;

	if (!w)
		return NULL;
	r = trace_write_flush(w);
	if (close(TAKE_FD(w->fd)) && r >= 0)
		r = fault_errno();
	if (ret_err)
		*ret_err = r < 0 ? r : 0;
	return writer_free(w);
}

/* --- reading --------------------------------------------------------------------------------- */

struct trace_reader {
	int fd;
	bool in_frame;
	uint64_t bytes, frame_at; /* read so far; where the present frame begins */
	struct obs_decoder decoder;
	ZSTD_DCtx *zstd;
	uint8_t packed[PACKED_MAX];
	uint8_t frame[OBSCODE_FRAME_MAX];
	char message[MESSAGE_MAX];
};

struct trace_reader *trace_read_close(struct trace_reader *t)
{
	if (!t)
		return NULL;
	closep(&t->fd);
	(void)ZSTD_freeDCtx(t->zstd);
	free(t);
	return NULL;
}

DEFINE_CLEANUP(struct trace_reader *, trace_read_close)

static int damaged(struct trace_reader *t, const char *what)
{
	snprintf(t->message, sizeof(t->message), "at byte %" PRIu64 ": %s", t->frame_at, what);
	return fault(-EBADMSG);
}

/* Exactly n bytes. TRACE_END when there is nothing at all. */
static int read_all(struct trace_reader *t, uint8_t *p, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = read(t->fd, p + have, n - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			snprintf(t->message, sizeof(t->message), "at byte %" PRIu64 ": %s",
				 t->bytes, strerror(errno));
			return fault_errno();
		}
		if (got == 0)
			return have ? damaged(t, "the file ends in the middle") : TRACE_END;
		have += (size_t)got;
		t->bytes += (uint64_t)got;
	}
	return 0;
}

static int read_header(struct trace_reader *t, struct trace_info *ret)
{
	uint8_t head[HEADER_BYTES];
	int r = read_all(t, head, sizeof(head));

	if (r == TRACE_END)
		return damaged(t, "the file is empty");
	if (r)
		return r;
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return damaged(t, "not a trace of forewarm");
	if (get64(head + 40) != XXH64(head, 40, 0))
		return damaged(t, "the header's checksum differs");
	if (get32(head + 8) != TRACE_VERSION) {
		snprintf(t->message, sizeof(t->message), "at byte 8: version %" PRIu32 ", not %d",
			 get32(head + 8), TRACE_VERSION);
		return fault(-EBADMSG);
	}
	*ret = (struct trace_info){
		.flags = get32(head + 12),
		.wall_offset_ns = (int64_t)get64(head + 16),
		.host = get64(head + 24),
	};
	return 0;
}

int trace_read_open(int fd, struct trace_info *ret_info, char *ret_message,
		    struct trace_reader **ret)
{
	_cleanup_(trace_read_closep) struct trace_reader *t = calloc(1, sizeof(*t));
	struct trace_info info;
	int r;

	if (!t) {
		(void)close(fd);
		return fault(-ENOMEM);
	}
	t->fd = fd;
	t->zstd = ZSTD_createDCtx();
	if (!t->zstd)
		return fault(-ENOMEM);
	r = read_header(t, &info);
	if (r && ret_message)
		memcpy(ret_message, t->message, sizeof(t->message));
	if (r)
		return r;
	if (ret_info)
		*ret_info = info;
	*ret = TAKE_PTR(t);
	return 0;
}

/* Makes the next frame the present one. */
static int read_frame(struct trace_reader *t)
{
	uint8_t head[FRAME_HEAD_BYTES];
	uint32_t packed_n, unpacked_n;
	int r;

	t->frame_at = t->bytes;
	r = read_all(t, head, sizeof(head));
	if (r)
		return r;
	packed_n = get32(head);
	unpacked_n = get32(head + 4);
	if (!packed_n || packed_n > PACKED_MAX || !unpacked_n || unpacked_n > OBSCODE_FRAME_MAX)
		return damaged(t, "a frame of impossible length");
	r = read_all(t, t->packed, packed_n);
	if (r == TRACE_END)
		return damaged(t, "the file ends in the middle");
	if (r)
		return r;
	if (get64(head + 8) != frame_sum(t->packed, packed_n, unpacked_n))
		return damaged(t, "a frame's checksum differs");
	if (ZSTD_decompressDCtx(t->zstd, t->frame, sizeof(t->frame), t->packed, packed_n) !=
	    unpacked_n)
		return damaged(t, "a frame does not unpack");
	obs_decoder_init(&t->decoder, t->frame, unpacked_n);
	t->in_frame = true;
	return 0;
}

int trace_read_next(struct trace_reader *t, struct obs *ret)
{
	int r;

	for (;;) {
		if (!t->in_frame) {
			r = read_frame(t);
			if (r)
				return r;
		}
		r = obs_decode(&t->decoder, ret);
		if (r < 0) {
			t->in_frame = false;
			return damaged(t, "a frame holds no observations");
		}
		if (r != OBSCODE_END)
			return 0;
		t->in_frame = false;
	}
}

uint64_t trace_read_offset(const struct trace_reader *t)
{
	return t->frame_at;
}

const char *trace_read_message(const struct trace_reader *t)
{
	return t->message;
}
