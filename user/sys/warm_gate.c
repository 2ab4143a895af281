// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * warm_gate.c - may this chunk be read now? The byte rate, what is in flight, what is held, others at the
 * same disk, a guess taken back, a deadline.
 *
 * Asked by warm_pages.c for each chunk, from the thread of the job.
 */
#include "sys/warm_impl.h"

#include "base/clock.h"
#include "sys/warm_pages.h"

#include <errno.h>
#include <time.h>

/* While others read: so much at a time, which keeps the disk busy for some 0.1 ms here. */
#define YIELD_BYTES (256ull << 10)
/* Whether others read is seen only where we do not: so often all of ours lands first. */
#define LOOK_NS 4000000ull
#define LOOK_AGAIN_NS 1000000ull

bool warm_job_late(const struct job *j)
{
	return j->job.deadline_ns && clock_ns(CLOCK_MONOTONIC) > j->job.deadline_ns;
}

bool warm_gate_stopped(void *ctx)
{
	struct job *j = ctx;

	return atomic_load(&j->cancelled) || j->warm->stop || warm_job_late(j);
}

static void tokens_refill_locked(struct warm *w)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	double burst = (double)w->limits.bytes_per_s / 10; /* 100 ms worth, but always one chunk */

	if (burst < w->limits.chunk_bytes)
		burst = w->limits.chunk_bytes;
	w->tokens += (double)(now - w->tokens_ns) / 1e9 * (double)w->limits.bytes_per_s;
	if (w->tokens > burst)
		w->tokens = burst;
	w->tokens_ns = now;
}

void warm_budget_wait_locked(struct warm *w, uint64_t ns)
{
	struct timespec t;
	uint64_t at = clock_ns(CLOCK_MONOTONIC) + ns;

	t.tv_sec = (time_t)(at / 1000000000ull);
	t.tv_nsec = (long)(at % 1000000000ull);
	(void)pthread_cond_timedwait(&w->budget, &w->lock, &t);
}

/* Looks whether others read at the disk, where it is time to; false: not before all of ours is there. */
static bool lane_look_locked(struct warm *w, struct lane *l, dev_t dev)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	uint32_t n;

	if (now - l->looked_ns < (l->yields ? LOOK_AGAIN_NS : LOOK_NS))
		return true;
	if (w->inflight_of[WARM_AHEAD])
		return false;
	if (w->inflight_bytes) /* that is ours: nothing can be seen */
		return true;
	l->looked_ns = now;
	pthread_mutex_unlock(&w->lock);
	n = w->limits.disk_reads(w->limits.disk_ctx, dev);
	pthread_mutex_lock(&w->lock);
	l->yields = n > 0;
	return true;
}

static bool over(uint64_t inflight, uint64_t bytes, uint64_t max)
{
	return inflight && max && inflight + bytes > max;
}

/* Must what has time wait? May ask for less. */
static bool ahead_slow_locked(struct warm *w, struct lane *l, const struct job *j, uint64_t *bytes)
{
	const uint64_t inflight = w->inflight_of[WARM_AHEAD];

	if (w->limits.disk_reads && !lane_look_locked(w, l, j->dev))
		return true;
	if (w->limits.disk_reads && l->yields) {
		*bytes = *bytes < YIELD_BYTES ? *bytes : YIELD_BYTES;
		return inflight;
	}
	return over(inflight, *bytes, w->limits.ahead_inflight_max);
}

static bool has_time(const struct warm *w, const struct lane *l, const struct job *j)
{
	return l == &w->lanes[LANE_AHEAD] && j->rank >= WARM_AHEAD;
}

/* Must it wait for others of its rank? What is wanted now never does. */
static bool rank_slow_locked(struct warm *w, struct lane *l, const struct job *j, uint64_t *bytes)
{
	if (has_time(w, l, j))
		return ahead_slow_locked(w, l, j, bytes);
	return j->rank != WARM_NOW &&
	       over(w->inflight_of[WARM_SOON], *bytes, w->limits.soon_inflight_max);
}

static void rank_flies_locked(struct warm *w, uint32_t rank, uint64_t bytes)
{
	uint64_t *peak = &w->stats.inflight_peak[rank];

	w->inflight_of[rank] += bytes;
	*peak = w->inflight_of[rank] > *peak ? w->inflight_of[rank] : *peak;
}

int warm_gate_ask(void *ctx, uint64_t *ret_bytes, uint32_t flight_n)
{
	struct job *j = ctx;
	struct warm *w = j->warm;
	struct lane *lane = warm_lane_of(w, j);
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	int r = PAGES_STOP;

	pthread_mutex_lock(&w->lock);
	while (!warm_gate_stopped(j)) {
		uint64_t bytes = *ret_bytes;
		bool slow = rank_slow_locked(w, lane, j, &bytes);

		if (w->limits.bytes_per_s) {
			tokens_refill_locked(w);
			slow = slow || w->tokens < (double)bytes;
		}
		/* With nothing under way anywhere, one chunk may always go. */
		if (w->inflight_bytes && w->inflight_bytes + bytes > w->limits.inflight_bytes_max)
			slow = true;
		if (!slow && !warm_held_room_locked(w, bytes)) {
			j->result.err = EDQUOT;
			break;
		}
		if (!slow) {
			w->inflight_bytes += bytes;
			rank_flies_locked(w, warm_rank(j), bytes);
			w->held_bytes += bytes;
			if (w->limits.bytes_per_s)
				w->tokens -= (double)bytes;
			w->stats.yielded_n += has_time(w, lane, j) && lane->yields;
			*ret_bytes = bytes;
			r = 0;
			break;
		}
		if (flight_n) {
			r = PAGES_WAIT;
			break;
		}
		warm_budget_wait_locked(w, 1000000);
	}
	w->stats.throttled_ns += clock_ns(CLOCK_MONOTONIC) - began;
	pthread_mutex_unlock(&w->lock);
	return r;
}

void warm_gate_landed(void *ctx, uint64_t bytes)
{
	struct job *j = ctx;
	struct warm *w = j->warm;
	uint64_t *of = &w->inflight_of[warm_rank(j)];

	pthread_mutex_lock(&w->lock);
	w->inflight_bytes -= bytes < w->inflight_bytes ? bytes : w->inflight_bytes;
	*of -= bytes < *of ? bytes : *of;
	pthread_cond_broadcast(&w->budget);
	pthread_mutex_unlock(&w->lock);
}
