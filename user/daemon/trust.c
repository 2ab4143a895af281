// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trust.c - on a host that does the same things all day nearly every guess is about a file that is in
 * memory. Looking costs an open and a mincore on a thread; asking here costs one map lookup.
 */
#include "daemon/trust.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <xxhash.h>

/* The map's value: of the last four sets of parts that were verified, 16 bits of a hash each: blocks that
 * use different parts of a library take turns. 0: none; a job is under way. */
#define PENDING 0
#define WHAT_BITS 16

struct job {
	uint64_t guess_id, dev, ino;
	uint16_t what;
};

struct trust {
	struct capture *capture;
	struct job jobs[TRUST_JOBS]; /* by guess id */
};

int trust_new(struct capture *c, struct trust **ret)
{
	struct trust *t = calloc(1, sizeof(*t));

	if (!t)
		return fault(-ENOMEM);
	t->capture = c;
	*ret = t;
	return 0;
}

struct trust *trust_free(struct trust *t)
{
	free(t);
	return NULL;
}

/* Names the parts that are wanted; never 0. */
static uint16_t what_of(const struct action *a)
{
	uint64_t h = a->range_n ? XXH3_64bits(a->ranges, a->range_n * sizeof(*a->ranges)) : 1;

	return (uint16_t)h ? (uint16_t)h : 1;
}

static bool has_what(uint64_t all, uint16_t what)
{
	for (; all; all >>= WHAT_BITS)
		if ((uint16_t)all == what)
			return true;
	return false;
}

bool trust_ask(struct trust *t, const struct action *a, const struct node *file)
{
	uint64_t all;

	return file->ino && capture_resident_get(t->capture, file->dev, file->ino, &all) == 0 &&
	       has_what(all, what_of(a));
}

void trust_begin(struct trust *t, const struct action *a, const struct node *file)
{
	struct job *j = &t->jobs[a->guess_id % TRUST_JOBS];
	bool twice = j->guess_id == a->guess_id;
	uint64_t all;

	*j = (struct job){
		.guess_id = a->guess_id, .dev = file->dev, .ino = file->ino, .what = what_of(a)};
	if (twice) /* whose end comes first is not known */
		j->ino = 0;
	if (!j->ino || capture_resident_get(t->capture, j->dev, j->ino, &all) == 0)
		return;
	if (capture_resident_update(t->capture, j->dev, j->ino, PENDING, false) == 0)
		return;
	capture_resident_clear(t->capture); /* full: whoever is still needed comes back */
	*j = (struct job){0};
}

void trust_end(struct trust *t, uint64_t guess_id, bool whole)
{
	struct job *j = &t->jobs[guess_id % TRUST_JOBS];
	uint64_t all;

	/* Gone from the map: evicted meanwhile. */
	if (j->guess_id == guess_id && j->ino && whole &&
	    capture_resident_get(t->capture, j->dev, j->ino, &all) == 0 && !has_what(all, j->what))
		(void)capture_resident_update(t->capture, j->dev, j->ino,
					      all << WHAT_BITS | j->what, true);
	if (j->guess_id == guess_id)
		*j = (struct job){0};
}
