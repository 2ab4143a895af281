// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * warm_took.c - what was read in for which guess, so that it can be dropped when the guess was wrong.
 *
 * A took is what one job read in, kept until its guess is settled, released or old: it is what
 * warm_release() may drop. Room is bounded in bytes (held_bytes_max) and in number (took_max).
 */
#include "sys/warm_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sys/warm_pages.h"

#include <stdlib.h>
#include <string.h>

enum { TOOK_PART_MAX = 64 };

static struct took_bucket *took_bucket(struct warm *w, uint64_t id)
{
	return &w->took_buckets[id % TOOK_BUCKETS];
}

void warm_took_unlink_locked(struct warm *w, struct took *t)
{
	TAILQ_REMOVE(&w->tooks, t, by_age);
	LIST_REMOVE(t, by_id);
	w->held_bytes -= t->bytes;
	w->stats.took_n--;
}

void warm_took_free(struct took *t)
{
	free(t->parts);
	free(t);
}

struct took *warm_took_find_locked(struct warm *w, uint64_t id)
{
	struct took *t;

	LIST_FOREACH(t, took_bucket(w, id), by_id)
	if (t->id == id)
		return t;
	return NULL;
}

/* What is older than held_ns counts as settled. */
static void took_expire_locked(struct warm *w)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct took *t;

	while ((t = TAILQ_FIRST(&w->tooks)) && now - t->at_ns > w->limits.held_ns) {
		warm_took_unlink_locked(w, t);
		warm_took_free(t);
	}
}

/* Remembers what a job took; where there is no room the oldest goes, as settled. */
void warm_took_keep_locked(struct warm *w, struct job *j)
{
	size_t path_bytes = strlen(j->job.path) + 1;
	struct took *t;

	if (!j->took_bytes)
		return;
	took_expire_locked(w);
	t = j->job.id && !j->settled && w->limits.took_max ? malloc(sizeof(*t) + path_bytes) : NULL;
	if (!t) {
		w->held_bytes -= j->took_bytes;
		return;
	}
	if (w->stats.took_n >= w->limits.took_max) {
		struct took *oldest = TAILQ_FIRST(&w->tooks);

		warm_took_unlink_locked(w, oldest);
		warm_took_free(oldest);
		w->stats.took_lost_n++;
	}
	*t = (struct took){
		.id = j->job.id,
		.at_ns = clock_ns(CLOCK_MONOTONIC),
		.bytes = j->took_bytes,
		.root_pid = j->job.root_pid,
		.dev = j->dev,
		.ino = j->ino,
		.part_n = j->part_n,
		.parts = TAKE_PTR(j->parts),
	};
	memcpy(t->path, j->job.path, path_bytes);
	memcpy(t->root_image, j->job.root_image, sizeof(t->root_image));
	TAILQ_INSERT_TAIL(&w->tooks, t, by_age);
	LIST_INSERT_HEAD(took_bucket(w, t->id), t, by_id);
	w->stats.took_n++;
}

/* Room for held_bytes_max, after what is old was let go. */
bool warm_held_room_locked(struct warm *w, uint64_t bytes)
{
	if (w->held_bytes + bytes > w->limits.held_bytes_max)
		took_expire_locked(w);
	return w->held_bytes + bytes <= w->limits.held_bytes_max;
}

/* Parts that touch are one; beyond TOOK_PART_MAX they are not remembered, hence not released. */
void warm_took_note(void *ctx, const struct file_range *part)
{
	struct job *j = ctx;
	struct file_range *last = j->part_n ? &j->parts[j->part_n - 1] : NULL;

	j->took_bytes += part->len;
	if (last && last->off + last->len == part->off) {
		last->len += part->len;
		return;
	}
	if (j->part_n == TOOK_PART_MAX)
		return;
	if (j->part_n == j->part_room) {
		uint32_t room = j->part_room ? j->part_room * 4 : 4;
		struct file_range *more = realloc(j->parts, room * sizeof(*more));

		if (!more)
			return;
		j->parts = more;
		j->part_room = room;
	}
	j->parts[j->part_n++] = *part;
}
