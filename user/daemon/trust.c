// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trust.c - on a host that does the same things all day nearly every guess is about a file that is in
 * memory. Looking costs an open and a mincore on a thread; asking here costs one map lookup.
 */
#include "daemon/trust.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <xxhash.h>

#define PENDING 0 /* of the map's value: a job is under way */

struct job {
	uint64_t guess_id, dev, ino, what;
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

/* Names the parts that are wanted; never PENDING. */
static uint64_t what_of(const struct action *a)
{
	uint64_t h = a->range_n ? XXH3_64bits(a->ranges, a->range_n * sizeof(*a->ranges)) : 1;

	return h == PENDING ? 1 : h;
}

bool trust_ask(struct trust *t, const struct action *a, const struct node *file)
{
	uint64_t what;

	return file->ino && capture_resident_get(t->capture, file->dev, file->ino, &what) == 0 &&
	       what == what_of(a);
}

void trust_begin(struct trust *t, const struct action *a, const struct node *file)
{
	struct job *j = &t->jobs[a->guess_id % TRUST_JOBS];

	*j = (struct job){
		.guess_id = a->guess_id, .dev = file->dev, .ino = file->ino, .what = what_of(a)};
	if (!file->ino || capture_resident_update(t->capture, j->dev, j->ino, PENDING, false) == 0)
		return;
	capture_resident_clear(t->capture); /* full: whoever is still needed comes back */
	*j = (struct job){0};
}

void trust_end(struct trust *t, uint64_t guess_id, bool whole)
{
	struct job *j = &t->jobs[guess_id % TRUST_JOBS];

	if (j->guess_id == guess_id && j->ino && whole) /* gone from the map: evicted meanwhile */
		(void)capture_resident_update(t->capture, j->dev, j->ino, j->what, true);
	if (j->guess_id == guess_id)
		*j = (struct job){0};
}
