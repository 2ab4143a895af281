// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * obscode.c - one table of number fields, walked by both sides, so that they cannot disagree.
 *
 * A record:  length  kind  mask  ts-difference  the numbers whose bit is set  the strings likewise
 * A string:  0 length bytes NUL   when new; it gets the next number, from 1
 *            number               when it was there before
 */
#include "core/obscode.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

enum { VARINT_MAX = 10 };

/* A number of struct obs: where it is and how wide. Signed ones come back by their width. */
struct field {
	uint16_t at;
	uint8_t bytes;
};

#define FIELD(member)                                                                              \
	{                                                                                          \
		offsetof(struct obs, member), sizeof(((struct obs *)NULL)->member)                 \
	}

/* The bit in the mask is the place in the table; a new field is a new version of the trace. */
static const struct field fields[] = {
	FIELD(err),
	FIELD(cgroup),
	FIELD(pid),
	FIELD(ppid),
	FIELD(uid),
	FIELD(peer),
	FIELD(flags),
	FIELD(mntns),
	FIELD(latency_ns),
	FIELD(count),
	FIELD(file.dev),
	FIELD(file.ino),
	FIELD(file.gen),
	FIELD(file.mode),
	FIELD(file.size),
	FIELD(use.life_ns),
	FIELD(use.cpu_ns),
	FIELD(use.rss_peak_bytes),
	FIELD(use.read_bytes),
	FIELD(use.write_bytes),
	FIELD(use.majflt_n),
	FIELD(use.minflt_n),
	FIELD(use.exit_code),
};

enum {
	FIELD_N = ARRAY_SIZE(fields),
	BIT_NAME = FIELD_N,
	BIT_SCRIPT,
	BIT_ARGS,
	BIT_END,
};

/* The longest record: everything set, all strings new and of full length. */
#define RECORD_MAX ((FIELD_N + 4 + 3 * 2) * VARINT_MAX + 2 * OBS_NAME_MAX + OBS_ARGS_MAX + 3)

_Static_assert(RECORD_MAX + VARINT_MAX < (int)OBSCODE_FRAME_MAX, "a frame holds any observation");

static bool needs_name(enum obs_kind kind)
{
	return kind == OBS_EXEC || kind == OBS_OPEN || kind == OBS_CONNECT || kind == OBS_LISTEN;
}

static uint64_t number_get(const struct obs *o, const struct field *f)
{
	const char *p = (const char *)o + f->at;
	uint64_t v64;
	uint32_t v32;

	if (f->bytes == 4) {
		memcpy(&v32, p, 4);
		return v32;
	}
	memcpy(&v64, p, 8);
	return v64;
}

static bool number_set(struct obs *o, const struct field *f, uint64_t v)
{
	char *p = (char *)o + f->at;
	uint32_t v32 = (uint32_t)v;

	if (f->bytes == 8) {
		memcpy(p, &v, 8);
		return true;
	}
	memcpy(p, &v32, 4);
	return v <= UINT32_MAX;
}

/* --- encoding -------------------------------------------------------------------------------- */

struct obs_encoder {
	uint32_t used;
	uint32_t strings_n;
	uint64_t ts_ns;
	struct index index;		      /* of strings */
	uint32_t strings[OBSCODE_STRING_MAX]; /* where each lies in the frame, after its length */
	uint32_t lens[OBSCODE_STRING_MAX];
	uint8_t frame[OBSCODE_FRAME_MAX];
	uint8_t record[RECORD_MAX];
};

struct text {
	const char *s;
	size_t len; /* without the NUL that is written behind it */
};

int obs_encoder_new(struct obs_encoder **ret)
{
	_cleanup_(freep) struct obs_encoder *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return fault(-ENOMEM);
	r = index_init(&e->index, OBSCODE_STRING_MAX);
	if (r)
		return r;
	*ret = TAKE_PTR(e);
	return 0;
}

struct obs_encoder *obs_encoder_free(struct obs_encoder *e)
{
	if (!e)
		return NULL;
	index_fini(&e->index);
	free(e);
	return NULL;
}

void obs_encoder_reset(struct obs_encoder *e)
{
	e->used = 0;
	e->strings_n = 0;
	e->ts_ns = 0;
	index_clear(&e->index);
}

size_t obs_encoder_frame(const struct obs_encoder *e, const void **ret)
{
	*ret = e->frame;
	return e->used;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

static bool text_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct obs_encoder *e = ctx;
	const struct text *t = key;

	return e->lens[slot] == t->len && !memcmp(e->frame + e->strings[slot], t->s, t->len);
}

/* Strings of one record that are new: they are indexed when the record has found room. */
struct fresh {
	struct text t;
	uint64_t hash;
	uint32_t at; /* in the record */
};

struct record {
	struct obs_encoder *e;
	uint8_t *at;
	struct fresh fresh[3];
	uint32_t fresh_n;
};

static void put_text(struct record *r, struct text t)
{
	uint64_t hash = XXH3_64bits(t.s, t.len);
	uint32_t slot = index_get(&r->e->index, hash, text_eq, r->e, &t);

	if (slot != INDEX_NONE) {
		r->at = put_varint(r->at, slot + 1ull);
		return;
	}
	for (uint32_t i = 0; i < r->fresh_n; i++) {
		if (r->fresh[i].t.len == t.len && !memcmp(r->fresh[i].t.s, t.s, t.len)) {
			r->at = put_varint(r->at, r->e->strings_n + i + 1ull);
			return;
		}
	}
	r->at = put_varint(r->at, 0);
	r->at = put_varint(r->at, t.len);
	r->fresh[r->fresh_n++] = (struct fresh){t, hash, (uint32_t)(r->at - r->e->record)};
	memcpy(r->at, t.s, t.len);
	r->at += t.len;
	*r->at++ = 0;
}

/* The record is in e->record: moves it into the frame behind its length. */
static int place(struct record *r)
{
	struct obs_encoder *e = r->e;
	uint32_t n = (uint32_t)(r->at - e->record), start;

	if (e->strings_n + r->fresh_n > OBSCODE_STRING_MAX ||
	    e->used + n + VARINT_MAX > OBSCODE_FRAME_MAX)
		return OBSCODE_FULL;
	start = (uint32_t)(put_varint(e->frame + e->used, n) - e->frame);
	memcpy(e->frame + start, e->record, n);
	e->used = start + n;
	for (uint32_t i = 0; i < r->fresh_n; i++) {
		uint32_t slot = e->strings_n++;

		e->strings[slot] = start + r->fresh[i].at;
		e->lens[slot] = (uint32_t)r->fresh[i].t.len;
		index_put(&e->index, r->fresh[i].hash, slot);
	}
	return 0;
}

/* Is s a string of at most max bytes, NUL included? Empty ones are not told from none. */
static bool text_of(const char *s, size_t max, struct text *ret)
{
	ret->s = s;
	ret->len = s ? strnlen(s, max) : 0;
	return ret->len < max;
}

int obs_encode(struct obs_encoder *e, const struct obs *o)
{
	struct record r = {.e = e, .at = e->record};
	struct text texts[3];
	uint64_t mask = 0, since = o->ts_ns - e->ts_ns;
	int full;

	if (o->kind <= OBS_NONE || o->kind >= OBS_KIND_MAX ||
	    !text_of(o->name, OBS_NAME_MAX, &texts[0]) ||
	    !text_of(o->script, OBS_NAME_MAX, &texts[1]) || o->args_len > OBS_ARGS_MAX ||
	    (needs_name(o->kind) && !texts[0].len))
		return fault(-EINVAL);
	texts[2] = (struct text){o->args, o->args ? o->args_len : 0};
	for (uint32_t i = 0; i < FIELD_N; i++)
		mask |= (uint64_t)(number_get(o, &fields[i]) != 0) << i;
	for (uint32_t i = 0; i < ARRAY_SIZE(texts); i++)
		mask |= (uint64_t)(texts[i].len != 0) << (BIT_NAME + i);
	r.at = put_varint(r.at, (uint64_t)o->kind);
	r.at = put_varint(r.at, mask);
	r.at = put_varint(r.at, since << 1 ^ (since >> 63 ? ~0ull : 0));
	for (uint32_t i = 0; i < FIELD_N; i++)
		if (mask >> i & 1)
			r.at = put_varint(r.at, number_get(o, &fields[i]));
	for (uint32_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].len)
			put_text(&r, texts[i]);
	assert(r.at <= e->record + sizeof(e->record));
	full = place(&r);
	if (full)
		return full;
	e->ts_ns = o->ts_ns;
	return 0;
}

/* --- decoding -------------------------------------------------------------------------------- */

void obs_decoder_init(struct obs_decoder *d, const void *frame, size_t frame_n)
{
	assert(frame_n <= OBSCODE_FRAME_MAX);
	d->frame = frame;
	d->frame_n = (uint32_t)frame_n;
	d->at = 0;
	d->ts_ns = 0;
	d->strings_n = 0;
}

/* Reads up to end; a varint has one form only, so that what is read is what would be written. */
static bool get_varint(struct obs_decoder *d, uint32_t end, uint64_t *ret)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < VARINT_MAX && d->at < end; i++) {
		uint8_t b = d->frame[d->at++];

		if (i == VARINT_MAX - 1 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		*ret = v;
		return b != 0 || i == 0;
	}
	return false;
}

/* A string of at most max bytes, NUL included; with inner NULs only where nul says so. */
static bool get_text(struct obs_decoder *d, uint32_t end, size_t max, bool nul, struct text *ret)
{
	uint64_t number, len;
	uint32_t back;

	if (!get_varint(d, end, &number))
		return false;
	if (number > d->strings_n)
		return false;
	if (number) {
		/* Its length stands before it and was checked when it was new. */
		back = d->at;
		d->at = d->strings[number - 1];
		(void)get_varint(d, end, &len);
		ret->s = (const char *)d->frame + d->at;
		d->at = back;
	} else {
		if (d->strings_n == OBSCODE_STRING_MAX)
			return false;
		back = d->at;
		if (!get_varint(d, end, &len) || !len || len >= end - d->at ||
		    d->frame[d->at + len])
			return false;
		d->strings[d->strings_n++] = back;
		ret->s = (const char *)d->frame + d->at;
		d->at += (uint32_t)len + 1;
	}
	ret->len = len;
	return len < max && (nul || !memchr(ret->s, 0, len));
}

static bool get_texts(struct obs_decoder *d, uint32_t end, uint64_t mask, struct obs *o)
{
	struct text t;

	if (mask >> BIT_NAME & 1) {
		if (!get_text(d, end, OBS_NAME_MAX, false, &t))
			return false;
		o->name = t.s;
	}
	if (mask >> BIT_SCRIPT & 1) {
		if (!get_text(d, end, OBS_NAME_MAX, false, &t))
			return false;
		o->script = t.s;
	}
	if (mask >> BIT_ARGS & 1) {
		if (!get_text(d, end, OBS_ARGS_MAX + 1, true, &t))
			return false;
		o->args = t.s;
		o->args_len = t.len;
	}
	return true;
}

static bool get_record(struct obs_decoder *d, uint32_t end, struct obs *o)
{
	uint64_t kind, mask, since, v;

	if (!get_varint(d, end, &kind) || kind <= OBS_NONE || kind >= OBS_KIND_MAX)
		return false;
	if (!get_varint(d, end, &mask) || mask >> BIT_END || !get_varint(d, end, &since))
		return false;
	d->ts_ns += since >> 1 ^ (since & 1 ? ~0ull : 0);
	*o = (struct obs){.kind = (enum obs_kind)kind, .ts_ns = d->ts_ns};
	for (uint32_t i = 0; i < FIELD_N; i++)
		if (mask >> i & 1 &&
		    (!get_varint(d, end, &v) || !v || !number_set(o, &fields[i], v)))
			return false;
	return get_texts(d, end, mask, o) && (o->name || !needs_name(o->kind));
}

int obs_decode(struct obs_decoder *d, struct obs *ret)
{
	uint64_t n;
	uint32_t end;
	struct obs o;

	if (d->at == d->frame_n)
		return OBSCODE_END;
	if (!get_varint(d, d->frame_n, &n) || n > d->frame_n - d->at)
		return fault(-EBADMSG);
	end = d->at + (uint32_t)n;
	if (!get_record(d, end, &o) || d->at != end)
		return fault(-EBADMSG);
	*ret = o;
	return 0;
}
