// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * warm_queue.c - jobs and where they are: in each of two lanes a heap by priority, need, deadline, order of what
 * reads pages and one of all else; the list of those that run; the results.
 *
 * Neither of the two waits for the other: a thread takes from that which fewer threads are at, and where as
 * many are at either, in turn. In one heap, files waited 46 to 125 ms for hundreds of lookups of the same
 * start. Priority goes before that: no guess of what may start keeps a program that runs.
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
	return &w->lanes[w->limits.ahead_thread_n && j->job.priority >= WARM_AHEAD ? LANE_AHEAD
										   : LANE_NOW];
}

static bool job_before(const struct job *a, const struct job *b)
{
	uint64_t da = a->job.deadline_ns ? a->job.deadline_ns : UINT64_MAX;
	uint64_t db = b->job.deadline_ns ? b->job.deadline_ns : UINT64_MAX;

	if (a->job.priority != b->job.priority)
		return a->job.priority < b->job.priority;
	if (a->job.need_ns != b->job.need_ns)
		return a->job.need_ns < b->job.need_ns;
	return da != db ? da < db : a->seq < b->seq;
}

static void put_at(struct queue *q, uint32_t i, struct job *j)
{
	q->heap[i] = j;
	j->at = i;
}

/* Puts j at place i, which is free, or as far above it as it belongs. */
static void heap_up(struct queue *q, uint32_t i, struct job *j)
{
	for (; i && job_before(j, q->heap[(i - 1) / 2]); i = (i - 1) / 2)
		put_at(q, i, q->heap[(i - 1) / 2]);
	put_at(q, i, j);
}

/* Likewise, below it. */
static void heap_down(struct queue *q, uint32_t i, struct job *j)
{
	for (uint32_t next; (next = 2 * i + 1) < q->queued_n; i = next) {
		if (next + 1 < q->queued_n && job_before(q->heap[next + 1], q->heap[next]))
			next++;
		if (!job_before(q->heap[next], j))
			break;
		put_at(q, i, q->heap[next]);
	}
	put_at(q, i, j);
}

static struct job_bucket *bucket_of(struct warm *w, uint64_t id)
{
	return &w->job_buckets[id % JOB_BUCKETS];
}

static struct queue *queue_of(struct lane *l, const struct job *j)
{
	return &l->queues[j->job_kind == JOB_WARM && j->job.kind == WARM_FILE ? WORK_PAGES
									      : WORK_NAMES];
}

uint32_t warm_lane_queued(const struct lane *l)
{
	return l->queues[WORK_PAGES].queued_n + l->queues[WORK_NAMES].queued_n;
}

void warm_lane_push(struct lane *l, struct job *j)
{
	struct queue *q = queue_of(l, j);

	LIST_INSERT_HEAD(bucket_of(j->warm, j->job.id), j, by_id);
	q->queued_n++;
	heap_up(q, q->queued_n - 1, j);
}

static void take(struct queue *q, struct job *j)
{
	struct job *last = q->heap[--q->queued_n];

	LIST_REMOVE(j, by_id);
	if (last == j)
		return;
	heap_down(q, j->at, last);
	heap_up(q, last->at, last);
}

static int lane_choose(const struct lane *l)
{
	const struct queue *pages = &l->queues[WORK_PAGES], *names = &l->queues[WORK_NAMES];

	if (!pages->queued_n || !names->queued_n)
		return pages->queued_n ? WORK_PAGES : WORK_NAMES;
	if (pages->heap[0]->job.priority != names->heap[0]->job.priority)
		return pages->heap[0]->job.priority < names->heap[0]->job.priority ? WORK_PAGES
										   : WORK_NAMES;
	if (pages->running_n != names->running_n)
		return pages->running_n < names->running_n ? WORK_PAGES : WORK_NAMES;
	return l->turn;
}

bool warm_lane_ready(const struct lane *l)
{
	const struct job *j;

	if (!warm_lane_queued(l))
		return false;
	j = l->queues[lane_choose(l)].heap[0];
	return j->job.priority != WARM_SOON || l->soon_n < l->soon_max;
}

struct job *warm_lane_next_locked(struct lane *l)
{
	int work = lane_choose(l);
	struct queue *q = &l->queues[work];
	struct job *j = q->heap[0];

	l->turn = work == WORK_PAGES ? WORK_NAMES : WORK_PAGES;
	q->running_n++;
	l->soon_n += j->job.priority == WARM_SOON;
	take(q, j);
	return j;
}

void warm_lane_done_locked(struct lane *l, const struct job *j)
{
	queue_of(l, j)->running_n--;
	l->soon_n -= j->job.priority == WARM_SOON;
}

struct job *warm_queued_next_locked(struct warm *w, uint64_t id, const struct job *before)
{
	struct job *j = before ? LIST_NEXT(before, by_id) : LIST_FIRST(bucket_of(w, id));

	while (j && (j->job.id != id || j->job_kind != JOB_WARM))
		j = LIST_NEXT(j, by_id);
	return j;
}

void warm_queued_take_locked(struct warm *w, struct job *j)
{
	take(queue_of(warm_lane_of(w, j), j), j);
}

/*
 * One thread at a time is woken for what is queued, and that one wakes the next if there is more: most jobs
 * are a lookup or two, and are done sooner than another thread is there.
 */
void warm_lane_wake_locked(struct lane *l)
{
	if (!warm_lane_ready(l) || l->coming_n || !l->waiting_n)
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
	if (!w->told) /* readable already: whoever reads results takes this one, too */
		(void)!write(w->event_fd, &one, sizeof(one));
	w->told = true;
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
	j->rank = job->priority;
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
