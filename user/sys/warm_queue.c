// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * warm_queue.c - jobs and where they are: a heap by priority, deadline, order in each of two lanes, the
 * list of those that run, the results.
 *
 * A job is in exactly one of these places. job_max counts all three, so a result always has room and
 * none is ever lost.
 */
#include "sys/warm_impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lane *warm_lane_of(struct warm *w, const struct job *j)
{
	return &w->lanes[w->limits.ahead_thread_n && j->job.priority ? LANE_AHEAD : LANE_NOW];
}

static bool job_before(const struct job *a, const struct job *b)
{
	uint64_t da = a->job.deadline_ns ? a->job.deadline_ns : UINT64_MAX;
	uint64_t db = b->job.deadline_ns ? b->job.deadline_ns : UINT64_MAX;

	if (a->job.priority != b->job.priority)
		return a->job.priority < b->job.priority;
	return da != db ? da < db : a->seq < b->seq;
}

static void heap_up(struct lane *l, uint32_t i)
{
	while (i && job_before(l->heap[i], l->heap[(i - 1) / 2])) {
		struct job *j = l->heap[i];

		l->heap[i] = l->heap[(i - 1) / 2];
		l->heap[(i - 1) / 2] = j;
		i = (i - 1) / 2;
	}
}

static void heap_down(struct lane *l, uint32_t i)
{
	for (;;) {
		uint32_t least = i, left = 2 * i + 1, right = left + 1;
		struct job *j;

		if (left < l->queued_n && job_before(l->heap[left], l->heap[least]))
			least = left;
		if (right < l->queued_n && job_before(l->heap[right], l->heap[least]))
			least = right;
		if (least == i)
			return;
		j = l->heap[i];
		l->heap[i] = l->heap[least];
		l->heap[least] = j;
		i = least;
	}
}

void warm_heap_push(struct lane *l, struct job *j)
{
	l->heap[l->queued_n] = j;
	heap_up(l, l->queued_n++);
}

struct job *warm_heap_take(struct lane *l, uint32_t i)
{
	struct job *j = l->heap[i];

	l->heap[i] = l->heap[--l->queued_n];
	if (i < l->queued_n) {
		heap_down(l, i);
		heap_up(l, i);
	}
	return j;
}

/*
 * One thread at a time is woken for what is queued, and that one wakes the next if there is more: most jobs
 * are a lookup or two, and are done sooner than another thread is there.
 */
void warm_lane_wake_locked(struct lane *l)
{
	if (!l->queued_n || l->coming_n || !l->waiting_n)
		return;
	l->coming_n++;
	pthread_cond_signal(&l->work);
}

void warm_lane_wait_locked(struct lane *l, pthread_mutex_t *lock)
{
	l->waiting_n++;
	pthread_cond_wait(&l->work, lock);
	l->waiting_n--;
	l->coming_n -= l->coming_n > 0; /* by a signal, or for no reason: then one more is woken */
}

void warm_job_finish_locked(struct warm *w, struct job *j)
{
	uint64_t one = 1;

	j->next = NULL;
	*w->results_tail = j;
	w->results_tail = &j->next;
	w->results_n++;
	w->stats.outcome_n[j->result.outcome]++;
	if (j->result.outcome == WARM_RELEASED) {
		w->stats.bytes_released += j->result.bytes_read;
	} else {
		w->stats.bytes_read += j->result.bytes_read;
		w->stats.bytes_resident += j->result.bytes_resident;
	}
	(void)!write(w->event_fd, &one, sizeof(one)); /* EAGAIN at 2^64: it is readable anyway */
}

void warm_job_free(struct job *j)
{
	free(j->parts);
	free(j);
}

void warm_result_end(struct job *j, enum warm_outcome outcome, int err)
{
	j->result.outcome = outcome;
	j->result.err = err;
}

/* One block of memory with the job, its ranges and its path. */
struct job *warm_job_new(struct warm *w, const struct warm_job *job)
{
	size_t path_bytes = strnlen(job->path, PATH_MAX) + 1; /* a longer one is refused later */
	size_t range_bytes = job->ranges ? job->range_n * sizeof(*job->ranges) : 0;
	struct job *j = calloc(1, sizeof(*j) + range_bytes + path_bytes);
	char *tail;

	if (!j)
		return NULL;
	tail = (char *)(j + 1);
	j->job = *job;
	if (job->ranges) {
		memcpy(tail, job->ranges, range_bytes);
		j->job.ranges = (const struct file_range *)(void *)tail;
	}
	memcpy(tail + range_bytes, job->path, path_bytes - 1);
	j->job.path = tail + range_bytes;
	j->warm = w;
	j->result.id = job->id;
	j->result.tag = job->tag;
	j->result.event_ns = job->event_ns;
	j->result.kind = job->kind;
	return j;
}

bool warm_running_has_locked(const struct warm *w, uint64_t id)
{
	for (const struct job *j = w->running; j; j = j->next)
		if (j->job.id == id && j->job_kind == JOB_WARM)
			return true;
	return false;
}

void warm_running_remove_locked(struct warm *w, struct job *j)
{
	struct job **at = &w->running;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	w->running_n--;
}
