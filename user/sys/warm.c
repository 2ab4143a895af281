// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * warm.c - see warm.h: the threads, and what the owner calls. What waits is in warm_queue.c, what
 * holds a read back in warm_gate.c, one job's work in warm_work.c, what was read in warm_took.c.
 */
#include "sys/warm_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/schedattr.h"
#include "sys/warm_pages.h"
#include "sys/warm_path.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 256 << 10 };

void warm_limits_default(struct warm_limits *ret)
{
	*ret = (struct warm_limits){
		.thread_n = 8,
		.job_max = 8192,
		.took_max = 8192,
		.chunk_bytes = 1u << 20,
		.dir_entry_max = 65536,
		.bytes_per_s = 0,
		.inflight_bytes_max = 16ull << 20,
		.job_bytes_max = 256ull << 20,
		.held_bytes_max = 1ull << 30,
		.held_ns = 60ull * 1000000000,
		.remote_fs = false,
	};
}

static void thread_manners(const struct warm *w, bool ahead)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)prctl(PR_SET_NAME, "warm");
	(void)prctl(PR_SET_TIMERSLACK, 10000ul);
	/* What has time does not take the CPU from somebody by waking up. What is wanted now does: it asks
	 * the disk and sleeps again, and who started it is about to wait for the disk anyway. Neither is of
	 * the idle I/O class: mq-deadline keeps such a read back until nothing else is under way, 3 ms and
	 * more, and whoever needs that page, or a name of the directory it is of, waits with it. */
	if (!ahead)
		(void)schedattr_prompt(SCHEDATTR_PROMPT_NS, 0);
	if (!ahead || !w->limits.ahead_nice)
		return;
	(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), w->limits.ahead_nice);
}

static void work_lane(struct warm *w, struct lane *lane)
{
	struct warm_root root = WARM_ROOT_NONE;

	thread_manners(w, lane == &w->lanes[LANE_AHEAD]);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job *j;

		while (!w->stop && !warm_lane_ready(lane)) {
			if (warm_root_is_open(&root)) {
				pthread_mutex_unlock(&w->lock);
				warm_root_close(&root);
				pthread_mutex_lock(&w->lock);
				continue;
			}
			warm_lane_wait_locked(lane, &w->lock);
		}
		if (w->stop)
			break;
		j = warm_lane_next_locked(lane);
		warm_lane_wake_locked(lane);
		j->next = w->running;
		w->running = j;
		w->running_n++;
		pthread_mutex_unlock(&w->lock);

		warm_job_run(w, &root, j);

		pthread_mutex_lock(&w->lock);
		warm_running_remove_locked(w, j);
		warm_lane_done_locked(lane, j);
		warm_took_keep_locked(w, j);
		warm_job_finish_locked(w, j);
		pthread_cond_broadcast(&w->budget);
	}
	pthread_mutex_unlock(&w->lock);
	warm_root_close(&root);
}

static void *now_main(void *arg)
{
	struct warm *w = arg;

	work_lane(w, &w->lanes[LANE_NOW]);
	return NULL;
}

static void *ahead_main(void *arg)
{
	struct warm *w = arg;

	work_lane(w, &w->lanes[LANE_AHEAD]);
	return NULL;
}

static int threads_start(struct warm *w)
{
	pthread_attr_t attr;
	int r = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (w->thread_n < w->limits.thread_n + w->limits.ahead_thread_n && !r) {
		r = pthread_create(&w->threads[w->thread_n], &attr,
				   w->thread_n < w->limits.thread_n ? now_main : ahead_main, w);
		if (!r)
			w->thread_n++;
	}
	pthread_attr_destroy(&attr);
	return r ? fault(-r) : 0;
}

int warm_new(const struct warm_limits *limits, struct warm **ret)
{
	struct warm *w;
	pthread_condattr_t attr;
	int r;

	assert(limits->thread_n && limits->thread_n + limits->ahead_thread_n <= THREAD_MAX &&
	       limits->job_max);
	assert(limits->chunk_bytes && limits->chunk_bytes % 65536 == 0);
	w = calloc(1, sizeof(*w));
	if (!w)
		return fault(-ENOMEM);
	w->limits = *limits;
	w->tokens_ns = clock_ns(CLOCK_MONOTONIC);
	w->results_tail = &w->results;
	TAILQ_INIT(&w->tooks);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->budget, &attr);
	pthread_condattr_destroy(&attr);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->event_fd < 0 ? fault_errno() : 0;
	for (int i = 0; i < LANE_N; i++) {
		w->lanes[i].soon_max = limits->soon_thread_n ? limits->soon_thread_n : THREAD_MAX;
		pthread_cond_init(&w->lanes[i].work, NULL);
		for (int n = 0; n < WORK_N; n++) {
			struct queue *q = &w->lanes[i].queues[n];

			q->heap = calloc(limits->job_max, sizeof(struct job *));
			if (!r && !q->heap)
				r = fault(-ENOMEM);
		}
	}
	if (!r)
		r = mounts_new(&w->mounts);
	if (!r)
		r = threads_start(w);
	if (r) {
		warm_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

static void queue_free(struct queue *q)
{
	for (uint32_t i = 0; i < q->queued_n; i++)
		warm_job_free(q->heap[i]);
	free(q->heap);
}

struct warm *warm_free(struct warm *w)
{
	if (!w)
		return NULL;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	for (int i = 0; i < LANE_N; i++)
		pthread_cond_broadcast(&w->lanes[i].work);
	pthread_cond_broadcast(&w->budget);
	pthread_mutex_unlock(&w->lock);
	for (uint32_t i = 0; i < w->thread_n; i++)
		pthread_join(w->threads[i], NULL);
	for (int i = 0; i < LANE_N; i++) {
		for (int n = 0; n < WORK_N; n++)
			queue_free(&w->lanes[i].queues[n]);
		pthread_cond_destroy(&w->lanes[i].work);
	}
	while (w->results) {
		struct job *j = w->results;

		w->results = j->next;
		warm_job_free(j);
	}
	while (!TAILQ_EMPTY(&w->tooks)) {
		struct took *t = TAILQ_FIRST(&w->tooks);

		warm_took_unlink_locked(w, t);
		warm_took_free(t);
	}
	mounts_free(w->mounts);
	closep(&w->event_fd);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->budget);
	free(w);
	return NULL;
}

int warm_fd(const struct warm *w)
{
	return w->event_fd;
}

static uint32_t queued_locked(const struct warm *w)
{
	return warm_lane_queued(&w->lanes[LANE_NOW]) + warm_lane_queued(&w->lanes[LANE_AHEAD]);
}

static int job_queue(struct warm *w, const struct warm_job *job, enum job_kind kind,
		     uint64_t *ret_cookie)
{
	struct job *j = warm_job_new(w, job);
	int r = WARM_FULL;

	if (!j)
		return fault(-ENOMEM);
	j->job_kind = kind;
	pthread_mutex_lock(&w->lock);
	if (queued_locked(w) + w->running_n + w->results_n < w->limits.job_max) {
		j->seq = ++w->seq;
		j->result.cookie = j->seq;
		if (ret_cookie)
			*ret_cookie = j->seq;
		w->stats.submitted_n++;
		if (kind == JOB_RELEASE && !warm_running_has_locked(w, job->id) &&
		    !warm_took_find_locked(w,
					   job->id)) { /* nothing was read: no thread is needed */
			warm_result_end(j, WARM_RELEASED, 0);
			warm_job_finish_locked(w, j);
		} else {
			warm_lane_push(warm_lane_of(w, j), j);
			warm_lane_wake_locked(warm_lane_of(w, j));
		}
		r = 0;
	} else {
		w->stats.full_n++;
	}
	pthread_mutex_unlock(&w->lock);
	if (r)
		warm_job_free(j);
	return r;
}

int warm_submit(struct warm *w, const struct warm_job *job, uint64_t *ret_cookie)
{
	return job_queue(w, job, JOB_WARM, ret_cookie);
}

int warm_cancel(struct warm *w, uint64_t id)
{
	int n = 0;

	pthread_mutex_lock(&w->lock);
	for (struct job *j = warm_queued_next_locked(w, id, NULL), *next; j; j = next) {
		next = warm_queued_next_locked(w, id, j);
		warm_queued_take_locked(w, j);
		warm_result_end(j, WARM_CANCELLED, 0);
		warm_job_finish_locked(w, j);
		n++;
	}
	for (struct job *j = w->running; j; j = j->next) {
		if (j->job.id != id || j->job_kind != JOB_WARM)
			continue;
		atomic_store(&j->cancelled, true);
		n++;
	}
	pthread_cond_broadcast(&w->budget);
	pthread_mutex_unlock(&w->lock);
	return n;
}

static void hurry_locked(struct job *j, const struct warm_job *as)
{
	j->rank = as->priority;
	if (as->event_ns)
		j->result.event_ns = as->event_ns;
}

void warm_hurry(struct warm *w, const struct warm_job *as)
{
	pthread_mutex_lock(&w->lock);
	for (struct job *j = warm_queued_next_locked(w, as->id, NULL), *next; j; j = next) {
		next = warm_queued_next_locked(w, as->id, j);
		if (j->job.priority <= as->priority)
			continue;
		warm_queued_take_locked(w, j);
		hurry_locked(j, as);
		j->job.priority = as->priority;
		j->job.need_ns = as->need_ns;
		warm_lane_push(warm_lane_of(w, j), j);
		warm_lane_wake_locked(warm_lane_of(w, j));
	}
	for (struct job *j = w->running; j; j = j->next)
		if (j->job.id == as->id && j->job_kind == JOB_WARM && j->rank > as->priority)
			hurry_locked(j, as); /* and stays where it is */
	pthread_cond_broadcast(&w->budget);
	pthread_mutex_unlock(&w->lock);
}

int warm_next_result(struct warm *w, struct warm_result *ret)
{
	struct job *j;

	pthread_mutex_lock(&w->lock);
	j = w->results;
	if (j) {
		w->results = j->next;
		if (!w->results)
			w->results_tail = &w->results;
		w->results_n--;
	} else if (w->told) {
		uint64_t n;

		(void)!read(w->event_fd, &n, sizeof(n)); /* under the lock: no result slips by */
		w->told = false;
	}
	pthread_mutex_unlock(&w->lock);
	if (!j)
		return WARM_EMPTY;
	*ret = j->result;
	warm_job_free(j);
	return 0;
}

void warm_settle(struct warm *w, uint64_t id)
{
	struct took *t;

	pthread_mutex_lock(&w->lock);
	for (struct job *j = w->running; j; j = j->next)
		if (j->job.id == id)
			j->settled = true;
	for (struct job *j = NULL; (j = warm_queued_next_locked(w, id, j));)
		j->settled = true;
	while ((t = warm_took_find_locked(w, id))) {
		warm_took_unlink_locked(w, t);
		warm_took_free(t);
	}
	pthread_mutex_unlock(&w->lock);
}

int warm_release(struct warm *w, uint64_t id)
{
	const struct warm_job job = {.id = id, .path = "", .priority = UINT32_MAX};

	(void)warm_cancel(w, id);
	return job_queue(w, &job, JOB_RELEASE, NULL);
}

void warm_stats(struct warm *w, struct warm_stats *ret)
{
	pthread_mutex_lock(&w->lock);
	*ret = w->stats;
	ret->held_bytes = w->held_bytes;
	ret->queued_n = queued_locked(w);
	ret->running_n = w->running_n;
	ret->results_n = w->results_n;
	pthread_mutex_unlock(&w->lock);
}
