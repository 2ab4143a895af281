// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * starts.c - two halves of a table, the one of this phase and the one of the phase before.
 *
 * A key has one place in a half: of two that share it the first is kept, and the other is told each time.
 */
#include "core/starts.h"

#include "base/err.h"
#include "base/index.h"

#include <stdlib.h>
#include <string.h>

#define PLACE(start) ((start) & ((1u << FWM_START_BITS) - 1))

struct kept {
	uint32_t start; /* 0: free */
	struct fwm_foldable_key key;
	struct obs o;
	char text[STARTS_TEXT];
};

struct starts {
	uint32_t phase;
	struct kept half[2][STARTS_MAX]; /* by the lowest bit of the phase */
};

_Static_assert(STARTS_MAX < 1u << FWM_START_BITS, "a number holds a place");

int starts_new(struct starts **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : fault(-ENOMEM);
}

struct starts *starts_free(struct starts *s)
{
	free(s);
	return NULL;
}

uint32_t starts_phase(struct starts *s)
{
	struct kept *half;

	s->phase = FWM_START_PHASE((s->phase + 1) << FWM_START_BITS);
	s->phase += !s->phase;
	half = s->half[s->phase & 1];
	for (size_t i = 0; i < STARTS_MAX; i++)
		if (half[i].start)
			half[i].start = 0;
	return s->phase;
}

/* Moves a text into the room that is left; false: there is not enough. */
static bool put(struct kept *k, size_t *used, const char **text, size_t n)
{
	if (!*text)
		return true;
	if (n > STARTS_TEXT - *used)
		return false;
	memcpy(k->text + *used, *text, n);
	*text = k->text + *used;
	*used += n;
	return true;
}

uint32_t starts_keep(struct starts *s, const struct obs *o, const struct fwm_foldable_key *key)
{
	uint64_t h = hash_mix2(hash_mix2(key->ino, (uint64_t)key->dev << 32 | key->name),
			       key->args ^ key->uid);
	uint32_t place = (uint32_t)(h & (STARTS_MAX - 1));
	struct kept *k = &s->half[s->phase & 1][place];
	struct kept new = {.o = *o, .key = *key};
	size_t used = 0;

	if (!s->phase || o->kind != OBS_EXEC || o->script)
		return 0;
	if (k->start)
		return memcmp(&k->key, key, sizeof(*key)) == 0 ? k->start : 0;
	if (strlen(o->name) + (o->image ? strlen(o->image) : 0) + o->args_len + 2 > STARTS_TEXT)
		return 0;
	*k = new;
	if (!put(k, &used, &k->o.name, strlen(o->name) + 1) ||
	    !put(k, &used, &k->o.image, o->image ? strlen(o->image) + 1 : 0) ||
	    !put(k, &used, &k->o.args, o->args_len))
		return 0;
	k->start = s->phase << FWM_START_BITS | (place + 1);
	return k->start;
}

static const struct kept *kept(const struct starts *s, uint32_t start)
{
	uint32_t place = PLACE(start);
	const struct kept *k;

	if (!place || place > STARTS_MAX)
		return NULL;
	k = &s->half[FWM_START_PHASE(start) & 1][place - 1];
	return k->start == start ? k : NULL;
}

const struct fwm_foldable_key *starts_key(const struct starts *s, uint32_t start)
{
	const struct kept *k = kept(s, start);

	return k ? &k->key : NULL;
}

int starts_rows(const struct starts *s, uint32_t maker, uint64_t ts_ns,
		const struct fwm_starts_row rows[FWM_STARTS_TOP], obs_fn fn, void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < FWM_STARTS_TOP; i++) {
		const struct fwm_starts_row *row = &rows[i];
		const struct kept *k = kept(s, row->start);
		struct obs o;

		if (!row->count && !row->ends_n)
			continue;
		if (!k) {
			r = DECODE_UNNAMED;
			continue;
		}
		o = k->o;
		o.ts_ns = ts_ns;
		o.pid = maker;
		o.ppid = 0;
		o.latency_ns = 0;
		o.flags = OBS_F_QUIET;
		if (row->count) {
			o.kind = OBS_STARTS;
			o.count = row->count;
			fn(ctx, &o);
		}
		if (row->ends_n) {
			o.kind = OBS_ENDS;
			o.count = row->ends_n;
			o.use.life_ns = row->life_ns;
			o.use.cpu_ns = row->cpu_ns;
			fn(ctx, &o);
		}
	}
	return r;
}

int starts_decode(const struct starts *s, const struct fwm_starts *e, obs_fn fn, void *ctx)
{
	fn(ctx, &(struct obs){.kind = OBS_GAP,
			      .ts_ns = e->hdr.ts_ns,
			      .pid = e->hdr.tgid,
			      .count = 1});
	return starts_rows(s, e->hdr.tgid, e->hdr.ts_ns, e->rows, fn, ctx);
}

int starts_late_decode(const struct starts *s, const struct fwm_late *e, obs_fn fn, void *ctx)
{
	const struct kept *k = kept(s, e->start);
	struct obs o = {.kind = OBS_FORK,
			.ts_ns = e->hdr.ts_ns,
			.pid = e->hdr.tgid,
			.ppid = e->parent,
			.count = 1};

	fn(ctx, &o);
	if (!k)
		return DECODE_UNNAMED;
	o = k->o;
	o.ts_ns = e->hdr.ts_ns;
	o.pid = e->hdr.tgid;
	o.ppid = e->parent;
	o.latency_ns = 0;
	o.flags = OBS_F_QUIET | OBS_F_COUNTED;
	fn(ctx, &o);
	return 0;
}
