/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm_impl.h - what the files of warm share; nobody else includes it.
 *
 * Shape    warm.c has the threads and what the owner calls; warm_queue.c the jobs that wait, run and are
 *          done; warm_gate.c whether a chunk may be read now; warm_work.c the work of one job;
 *          warm_root.c the container it is in; warm_took.c what was read in for a guess.
 * Owner    struct warm is warm_new()'s. A job is its queue's, then its thread's, then the results'.
 * Threads  _locked: w->lock is held. The others take it themselves, or touch their own job only.
 */
#ifndef SYS_WARM_IMPL_H
#define SYS_WARM_IMPL_H

#include "sys/warm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum { THREAD_MAX = 64, TOOK_BUCKETS = 1024, JOB_BUCKETS = 1024 };

enum job_kind { JOB_WARM, JOB_RELEASE };

/* What one job read in. */
struct took {
	TAILQ_ENTRY(took) by_age;
	LIST_ENTRY(took) by_id;
	uint64_t id;
	uint64_t at_ns, bytes;
	char root_image[WARM_IMAGE_MAX];
	uint32_t root_pid;
	dev_t dev;
	ino_t ino;
	uint32_t part_n;
	struct file_range *parts;
	char path[];
};
TAILQ_HEAD(took_age, took);
LIST_HEAD(took_bucket, took);

struct job {
	struct job *next;      /* in the list of results, or of jobs under way */
	LIST_ENTRY(job) by_id; /* while it is queued; */
	uint32_t at;	       /* then its place in the queue's heap */
	uint64_t seq;
	enum job_kind job_kind;
	struct warm_job job;
	atomic_bool cancelled;
	uint32_t rank; /* under the lock: its priority, unless it is more urgent since it runs */
	bool settled;  /* under the lock: what it takes is not ours to drop */
	struct warm_result result;
	struct warm *warm;
	/* what it took so far */
	uint64_t took_bytes;
	dev_t dev;
	ino_t ino;
	uint32_t part_n, part_room;
	struct file_range *parts;
	/* then the path and the ranges */
};
LIST_HEAD(job_bucket, job);

/* What is wanted now, and what has time. */
enum { LANE_NOW, LANE_AHEAD, LANE_N };
/* What reads pages, and all else: a read takes as long as many lookups, and one start asks for hundreds of
 * those. */
enum { WORK_PAGES, WORK_NAMES, WORK_N };

struct queue {
	struct job **heap;
	uint32_t queued_n;
	uint32_t running_n; /* threads of the lane that are at one of these */
};

struct lane {
	struct queue queues[WORK_N];
	int turn;		   /* of which it is, where as many threads are at either */
	uint32_t soon_n, soon_max; /* threads that are at what is wanted soon, and may be */
	pthread_cond_t work;	   /* something was queued, or the engine stops */
	uint32_t waiting_n;	   /* threads that wait for it */
	uint32_t coming_n;	   /* of those, woken and not here yet */
	/* Of what has time: */
	bool yields; /* others read */
	uint64_t looked_ns;
};

struct warm {
	struct warm_limits limits;
	struct mounts *mounts;
	int event_fd;

	pthread_mutex_t lock;
	pthread_cond_t budget; /* tokens, flight room, cancel, stop */
	atomic_bool stop;      /* also read by a thread in the middle of a job, without the lock */

	struct lane lanes[LANE_N];
	struct job_bucket job_buckets[JOB_BUCKETS]; /* those in the lanes */
	struct job *running;			    /* list */
	uint32_t running_n;
	struct job *results, **results_tail;
	uint32_t results_n;
	bool told; /* event_fd is readable */
	uint64_t seq;

	struct took_age tooks; /* oldest first */
	struct took_bucket took_buckets[TOOK_BUCKETS];
	uint64_t held_bytes; /* of all tooks, and of the jobs that are running */

	uint64_t inflight_bytes, inflight_of[WARM_RANKS]; /* these by priority */
	double tokens;					  /* bytes that may be asked for now */
	uint64_t tokens_ns;

	struct warm_stats stats;
	pthread_t threads[THREAD_MAX];
	uint32_t thread_n;
};

/* warm_queue.c: lanes, the list of those that run, results */
struct lane *warm_lane_of(struct warm *w, const struct job *j);
uint32_t warm_lane_queued(const struct lane *l);
/* A thread that has nothing to do may take the next. */
bool warm_lane_ready(const struct lane *l);
void warm_lane_push(struct lane *l, struct job *j);
/* What is to be done next, the lane is ready; it runs until warm_lane_done_locked(). */
struct job *warm_lane_next_locked(struct lane *l);
void warm_lane_done_locked(struct lane *l, const struct job *j);
/* The jobs of guess id that wait, one after the other: NULL first, and at the end. A start brings hundreds of
 * guesses, each of which is hurried, settled or cancelled. */
struct job *warm_queued_next_locked(struct warm *w, uint64_t id, const struct job *before);
void warm_queued_take_locked(struct warm *w, struct job *j);
void warm_lane_wake_locked(struct lane *l);
void warm_lane_wait_locked(struct lane *l, pthread_mutex_t *lock);
bool warm_running_has_locked(const struct warm *w, uint64_t id);
void warm_running_remove_locked(struct warm *w, struct job *j);
struct job *warm_job_new(struct warm *w, const struct warm_job *job);
void warm_job_free(struct job *j);
void warm_result_end(struct job *j, enum warm_outcome outcome, int err);
/* Puts it to the results. */
void warm_job_finish_locked(struct warm *w, struct job *j);

/* Of priorities, that which the job is counted with. */
static inline uint32_t warm_rank(const struct job *j)
{
	return j->job.priority < WARM_AHEAD ? j->job.priority : WARM_AHEAD;
}

/* warm_gate.c: struct pages_gate of a job, which is the ctx */
int warm_gate_ask(void *ctx, uint64_t *ret_bytes, uint32_t flight_n);
void warm_gate_landed(void *ctx, uint64_t bytes);
bool warm_gate_stopped(void *ctx);
bool warm_job_late(const struct job *j);
/* Until something changed, at most ns. */
void warm_budget_wait_locked(struct warm *w, uint64_t ns);

/* warm_took.c */
/* Part of that gate: the job in ctx read this part in. */
void warm_took_note(void *ctx, const struct file_range *part);
void warm_took_keep_locked(struct warm *w, struct job *j);
struct took *warm_took_find_locked(struct warm *w, uint64_t id);
void warm_took_unlink_locked(struct warm *w, struct took *t);
void warm_took_free(struct took *t);
bool warm_held_room_locked(struct warm *w, uint64_t bytes);

/* warm_root.c: one each thread has, for the job it is at and the next in the same container */
struct warm_root {
	int fd; /* -1: none */
	struct mounts *mounts;
	uint32_t pid;
	char image[WARM_IMAGE_MAX];
	uint64_t until_ns;
};
#define WARM_ROOT_NONE                                                                             \
	{                                                                                          \
		.fd = -1                                                                           \
	}

static inline bool warm_root_is_open(const struct warm_root *r)
{
	return r->fd >= 0;
}

/* The root of process pid, if that is made of image, and its mounts. -ESRCH: it is not, or no longer. */
int warm_root_open(struct warm_root *r, uint32_t pid, const char *image);
/* Closes one of another process, or one that has been kept long enough. */
void warm_root_leave(struct warm_root *r, uint32_t pid, const char *image);
void warm_root_close(struct warm_root *r);

/* warm_work.c: fills j->result */
void warm_job_run(struct warm *w, struct warm_root *root, struct job *j);

#endif
