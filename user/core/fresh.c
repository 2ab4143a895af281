// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fresh.c - a counter for each block, by a hash of it, and the time until which something is fresh.
 */
#include "core/fresh.h"

#include "base/err.h"
#include "base/index.h"
#include "core/decode.h"

#include <stdlib.h>

struct fresh {
	struct fresh_limits limits;
	uint64_t begun_ns, until_ns;
	uint8_t *starts;
};

int fresh_new(const struct fresh_limits *l, uint64_t now_ns, struct fresh **ret)
{
	struct fresh *f;

	if (!l->block_max || (l->block_max & (l->block_max - 1)) || l->starts_n > UINT8_MAX ||
	    !l->every_ns)
		return fault(-EINVAL);
	f = calloc(1, sizeof(*f));
	if (!f)
		return fault(-ENOMEM);
	f->limits = *l;
	f->starts = calloc(l->block_max, 1);
	if (!f->starts) {
		(void)fresh_free(f);
		return fault(-ENOMEM);
	}
	f->begun_ns = now_ns;
	f->until_ns = now_ns + l->for_ns; /* what was kept may be of another boot: all is cold */
	*ret = f;
	return 0;
}

struct fresh *fresh_free(struct fresh *f)
{
	if (!f)
		return NULL;
	free(f->starts);
	free(f);
	return NULL;
}

static bool first_starts(struct fresh *f, const struct obs *o)
{
	struct fwm_block_key key = block_key_of(&o->file, o->args, o->args_len);
	uint64_t h = hash_mix2(key.ino, (uint64_t)key.dev << 32 | key.arg);
	uint8_t *n = &f->starts[h & (f->limits.block_max - 1)];

	if (*n >= f->limits.starts_n)
		return false;
	++*n;
	return true;
}

void fresh_observe(struct fresh *f, const struct obs *o)
{
	bool fresh = false;

	if (o->flags & OBS_F_SEED)
		return;
	if (o->kind == OBS_EXEC)
		fresh = first_starts(f, o);
	else if (o->kind == OBS_EXIT)
		fresh = o->use.read_bytes; /* a major fault alone is another's read it waited for */
	if (fresh && o->ts_ns + f->limits.for_ns > f->until_ns)
		f->until_ns = o->ts_ns + f->limits.for_ns;
}

bool fresh_wanted(const struct fresh *f, uint64_t now_ns)
{
	if (!f->limits.for_ns || now_ns < f->until_ns || now_ns < f->begun_ns)
		return true;
	return (now_ns - f->begun_ns) % f->limits.every_ns < f->limits.sample_ns;
}
