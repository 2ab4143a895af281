/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm.c - see warm.h: the queue, the threads, the bounds. What is done to one path is in
 * warm_path.c, to its pages in warm_pages.c.
 *
 * A job is in exactly one place: the heap (queued), a thread (running), the results. job_max counts
 * all three, so a result always has room and none is ever lost. A took is what one job read in, kept
 * until its guess is settled, released or old: it is what warm_release() may drop.
 */
#include "sys/warm.h"
#include "sys/procfs.h"
#include "sys/warm_pages.h"
#include "sys/warm_path.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/* While others read: so much at a time, which keeps the disk busy for some 0.1 ms here. */
#define YIELD_BYTES (256ull << 10)
/* Whether others read is seen only where we do not: so often all of ours lands first. */
#define LOOK_NS 4000000ull
#define LOOK_AGAIN_NS 1000000ull

enum { THREAD_MAX = 64, TOOK_PART_MAX = 64, TOOK_BUCKETS = 1024, STACK_BYTES = 256 << 10 };

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
	struct job *next; /* in the list of results, or of jobs under way */
	uint64_t seq;
	enum job_kind job_kind;
	struct warm_job job;
	atomic_bool cancelled;
	bool hurried; /* under the lock: runs as one that has time, and has none any more */
	bool settled; /* under the lock: what it takes is not ours to drop */
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

/* What is wanted now, and what has time. */
enum { LANE_NOW, LANE_AHEAD, LANE_N };

struct lane {
	struct job **heap;
	uint32_t queued_n;
	uint64_t inflight_bytes;
	pthread_cond_t work; /* something was queued, or the engine stops */
	uint32_t waiting_n;  /* threads that wait for it */
	uint32_t coming_n;   /* of those, woken and not here yet */
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
	bool paused;

	struct lane lanes[LANE_N];
	struct job *running; /* list */
	uint32_t running_n;
	struct job *results, **results_tail;
	uint32_t results_n;
	uint64_t seq;

	struct took_age tooks; /* oldest first */
	struct took_bucket took_buckets[TOOK_BUCKETS];
	uint64_t held_bytes; /* of all tooks, and of the jobs that are running */

	uint64_t bytes_per_s, inflight_bytes;
	double tokens; /* bytes that may be asked for now */
	uint64_t tokens_ns;

	struct warm_stats stats;
	pthread_t threads[THREAD_MAX];
	uint32_t thread_n;
};

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

/* --- the queue: a heap by priority, deadline, order ------------------------------------------- */

static struct lane *lane_of(struct warm *w, const struct job *j)
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

static void heap_push(struct lane *l, struct job *j)
{
	l->heap[l->queued_n] = j;
	heap_up(l, l->queued_n++);
}

static struct job *heap_take(struct lane *l, uint32_t i)
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
static void lane_wake_locked(struct lane *l)
{
	if (!l->queued_n || l->coming_n || !l->waiting_n)
		return;
	l->coming_n++;
	pthread_cond_signal(&l->work);
}

static void lane_wait_locked(struct lane *l, pthread_mutex_t *lock)
{
	l->waiting_n++;
	pthread_cond_wait(&l->work, lock);
	l->waiting_n--;
	l->coming_n -= l->coming_n > 0; /* by a signal, or for no reason: then one more is woken */
}

/* --- results ---------------------------------------------------------------------------------- */

static void job_finish_locked(struct warm *w, struct job *j)
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

static void job_free(struct job *j)
{
	free(j->parts);
	free(j);
}

static void result_end(struct job *j, enum warm_outcome outcome, int err)
{
	j->result.outcome = outcome;
	j->result.err = err;
}

/* --- what was taken --------------------------------------------------------------------------- */

static struct took_bucket *took_bucket(struct warm *w, uint64_t id)
{
	return &w->took_buckets[id % TOOK_BUCKETS];
}

static void took_unlink_locked(struct warm *w, struct took *t)
{
	TAILQ_REMOVE(&w->tooks, t, by_age);
	LIST_REMOVE(t, by_id);
	w->held_bytes -= t->bytes;
	w->stats.took_n--;
}

static void took_free(struct took *t)
{
	free(t->parts);
	free(t);
}

static struct took *took_find_locked(struct warm *w, uint64_t id)
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
	uint64_t now = pages_now_ns();
	struct took *t;

	while ((t = TAILQ_FIRST(&w->tooks)) && now - t->at_ns > w->limits.held_ns) {
		took_unlink_locked(w, t);
		took_free(t);
	}
}

/* Remembers what a job took; where there is no room the oldest goes, as settled. */
static void took_keep_locked(struct warm *w, struct job *j)
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

		took_unlink_locked(w, oldest);
		took_free(oldest);
		w->stats.took_lost_n++;
	}
	*t = (struct took){
		.id = j->job.id,
		.at_ns = pages_now_ns(),
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
static bool held_room_locked(struct warm *w, uint64_t bytes)
{
	if (w->held_bytes + bytes > w->limits.held_bytes_max)
		took_expire_locked(w);
	return w->held_bytes + bytes <= w->limits.held_bytes_max;
}

/* --- the gate: rate, flight, cancel, deadline ------------------------------------------------- */

static bool job_late(const struct job *j)
{
	return j->job.deadline_ns && pages_now_ns() > j->job.deadline_ns;
}

static bool gate_stopped(void *ctx)
{
	struct job *j = ctx;

	return atomic_load(&j->cancelled) || j->warm->stop || job_late(j);
}

static void tokens_refill_locked(struct warm *w)
{
	uint64_t now = pages_now_ns();
	double burst = (double)w->bytes_per_s / 10; /* 100 ms worth, but always one chunk */

	if (burst < w->limits.chunk_bytes)
		burst = w->limits.chunk_bytes;
	w->tokens += (double)(now - w->tokens_ns) / 1e9 * (double)w->bytes_per_s;
	if (w->tokens > burst)
		w->tokens = burst;
	w->tokens_ns = now;
}

static void budget_wait_locked(struct warm *w, uint64_t ns)
{
	struct timespec t;
	uint64_t at = pages_now_ns() + ns;

	t.tv_sec = (time_t)(at / 1000000000ull);
	t.tv_nsec = (long)(at % 1000000000ull);
	(void)pthread_cond_timedwait(&w->budget, &w->lock, &t);
}

/* Looks whether others read at the disk, where it is time to; false: not before all of ours is there. */
static bool lane_look_locked(struct warm *w, struct lane *l, dev_t dev)
{
	uint64_t now = pages_now_ns();
	uint32_t n;

	if (now - l->looked_ns < (l->yields ? LOOK_AGAIN_NS : LOOK_NS))
		return true;
	if (l->inflight_bytes)
		return false;
	if (w->lanes[LANE_NOW].inflight_bytes) /* that is ours: nothing can be seen */
		return true;
	l->looked_ns = now;
	pthread_mutex_unlock(&w->lock);
	n = w->limits.disk_reads(w->limits.disk_ctx, dev);
	pthread_mutex_lock(&w->lock);
	l->yields = n > 0;
	return true;
}

/* Must what has time wait? May ask for less. */
static bool ahead_slow_locked(struct warm *w, struct lane *l, const struct job *j, uint64_t *bytes)
{
	const uint64_t max = w->limits.ahead_inflight_max;

	if (w->limits.disk_reads && !lane_look_locked(w, l, j->dev))
		return true;
	if (w->limits.disk_reads && l->yields) {
		*bytes = *bytes < YIELD_BYTES ? *bytes : YIELD_BYTES;
		return l->inflight_bytes;
	}
	return l->inflight_bytes && max && l->inflight_bytes + *bytes > max;
}

static int gate_ask(void *ctx, uint64_t *ret_bytes, uint32_t flight_n)
{
	struct job *j = ctx;
	struct warm *w = j->warm;
	struct lane *lane = lane_of(w, j);
	uint64_t began = pages_now_ns();
	int r = PAGES_STOP;

	pthread_mutex_lock(&w->lock);
	while (!gate_stopped(j)) {
		bool has_time = lane == &w->lanes[LANE_AHEAD] && !j->hurried;
		uint64_t bytes = *ret_bytes;
		bool slow = has_time && ahead_slow_locked(w, lane, j, &bytes);

		if (w->bytes_per_s) {
			tokens_refill_locked(w);
			slow = slow || w->tokens < (double)bytes;
		}
		/* With nothing under way anywhere, one chunk may always go. */
		if (w->inflight_bytes && w->inflight_bytes + bytes > w->limits.inflight_bytes_max)
			slow = true;
		if (!slow && !held_room_locked(w, bytes)) {
			j->result.err = EDQUOT;
			break;
		}
		if (!slow) {
			w->inflight_bytes += bytes;
			lane->inflight_bytes += bytes;
			w->held_bytes += bytes;
			if (w->bytes_per_s)
				w->tokens -= (double)bytes;
			w->stats.yielded_n += has_time && lane->yields;
			*ret_bytes = bytes;
			r = 0;
			break;
		}
		if (flight_n) {
			r = PAGES_WAIT;
			break;
		}
		budget_wait_locked(w, 1000000);
	}
	w->stats.throttled_ns += pages_now_ns() - began;
	pthread_mutex_unlock(&w->lock);
	return r;
}

static void gate_landed(void *ctx, uint64_t bytes)
{
	struct job *j = ctx;
	struct warm *w = j->warm;
	struct lane *lane = lane_of(w, j);

	pthread_mutex_lock(&w->lock);
	w->inflight_bytes -= bytes < w->inflight_bytes ? bytes : w->inflight_bytes;
	lane->inflight_bytes -= bytes < lane->inflight_bytes ? bytes : lane->inflight_bytes;
	pthread_cond_broadcast(&w->budget);
	pthread_mutex_unlock(&w->lock);
}

/* Parts that touch are one; beyond TOOK_PART_MAX they are not remembered, hence not released. */
static void gate_took(void *ctx, const struct file_range *part)
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

/* --- the work --------------------------------------------------------------------------------- */

static void work_file(struct warm *w, struct job *j, const struct path_end *end)
{
	static const struct file_range whole = {0, UINT64_MAX};
	const struct pages_gate gate = {gate_ask, gate_landed, gate_took, gate_stopped, j};
	struct pages_count count = {0};
	struct warm_result *res = &j->result;
	uint64_t max = w->limits.job_bytes_max;
	_cleanup_(closep) int fd = -1;
	int r;

	if (!S_ISREG(end->st.st_mode))
		return result_end(j, WARM_REFUSED, EINVAL);
	if (end->class == MOUNT_MEMORY)
		return result_end(j, WARM_RESIDENT, 0);
	fd = path_open(end->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return result_end(j, WARM_REFUSED, -fd);
	if (j->job.bytes_max && j->job.bytes_max < max)
		max = j->job.bytes_max;
	j->dev = end->st.st_dev;
	j->ino = end->st.st_ino;
	r = pages_read(fd, j->job.ranges ? j->job.ranges : &whole,
		       j->job.ranges ? j->job.range_n : 1, w->limits.chunk_bytes, max, &gate,
		       &count);
	res->bytes_wanted = count.bytes_wanted;
	res->bytes_resident = count.bytes_resident;
	res->bytes_read = count.bytes_read;
	res->bytes_missing = count.bytes_missing;
	res->first_io_ns = count.first_io_ns;
	pthread_mutex_lock(&w->lock);
	w->stats.reads_n += count.reads_n;
	w->stats.reissued_n += count.reissued_n;
	pthread_mutex_unlock(&w->lock);
	if (r < 0)
		return result_end(j, WARM_REFUSED, -r);
	if (r == PAGES_STOP && atomic_load(&j->cancelled))
		return result_end(j, WARM_CANCELLED, 0);
	if (r == PAGES_STOP && !res->err && job_late(j))
		return result_end(j, WARM_LATE, 0);
	if (r == PAGES_STOP && !res->err)
		return result_end(j, WARM_DONE, EFBIG); /* bytes_max reached */
	if (res->err && !count.reads_n)
		return result_end(j, WARM_REFUSED, res->err);
	result_end(j, count.reads_n ? WARM_DONE : WARM_RESIDENT, res->err);
}

/* Of a directory's first entries so many are asked whether they are cached: if so, so are the others. */
enum { SWEEP_SAMPLE = 4, DIR_BUF = 32768 };

static bool entry_named(const struct dirent64 *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* The first entries of a listing are cached: then nothing is done about the others. */
static bool sample_cached(int fd, const char *buf, long n)
{
	int asked_n = 0;

	for (long at = 0; at < n && asked_n < SWEEP_SAMPLE;) {
		const struct dirent64 *d = (const void *)(buf + at);

		at += d->d_reclen;
		if (!entry_named(d))
			continue;
		if (!path_look(fd, d->d_name, true))
			return false;
		asked_n++;
	}
	return true;
}

/* Listing a directory reads its blocks; for a sweep the entries themselves are looked up as well. */
static void work_dir(struct warm *w, struct job *j, const struct path_end *end)
{
	_cleanup_(freep) char *buf = malloc(DIR_BUF);
	_cleanup_(closep) int fd = -1;
	bool sweep = j->job.kind == WARM_SWEEP;
	uint32_t entries_n = 0;

	if (!S_ISDIR(end->st.st_mode))
		return result_end(j, WARM_REFUSED, ENOTDIR);
	if (end->class == MOUNT_MEMORY)
		return result_end(j, WARM_RESIDENT, 0);
	fd = path_open(end->fd, O_RDONLY | O_NONBLOCK | O_DIRECTORY);
	if (fd < 0 || !buf)
		return result_end(j, WARM_REFUSED, fd < 0 ? -fd : ENOMEM);
	if (!end->cached)
		j->result.first_io_ns = pages_now_ns();
	while (entries_n < w->limits.dir_entry_max) {
		long n = syscall(SYS_getdents64, fd, buf, DIR_BUF);

		if (n < 0)
			return result_end(j, WARM_REFUSED, errno);
		if (n == 0)
			return result_end(j, WARM_DONE, 0);
		if (sweep && !entries_n && sample_cached(fd, buf, n))
			return result_end(j, WARM_RESIDENT, 0);
		for (long at = 0; at < n; entries_n++) {
			const struct dirent64 *d = (const void *)(buf + at);

			at += d->d_reclen;
			if (sweep && entry_named(d))
				(void)path_look(fd, d->d_name, false);
			if (entries_n % 64 == 0 && gate_stopped(j))
				return result_end(
					j, atomic_load(&j->cancelled) ? WARM_CANCELLED : WARM_LATE,
					0);
		}
	}
	result_end(j, WARM_DONE, EFBIG);
}

/* The root of process pid, if that is made of image, and its mounts. /proc/PID, once open, is of that
 * process for ever: as it can be asked for its root after it was looked at, it was the one. */
static int root_open(uint32_t pid, const char *image, int *ret_fd, struct mounts **ret_mounts)
{
	_cleanup_(closep) int proc = -1, root = -1;
	char path[32], is[WARM_IMAGE_MAX];
	int mountinfo, r;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = proc < 0 ? -ESRCH : procfs_image(pid, is, sizeof(is));
	if (r < 0 || strncmp(is, image, sizeof(is)) != 0)
		return -ESRCH;
	root = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mountinfo = openat(proc, "mountinfo", O_RDONLY | O_CLOEXEC);
	if (root < 0 || mountinfo < 0) {
		closep(&mountinfo);
		return -ESRCH;
	}
	r = mounts_new_of(mountinfo, ret_mounts);
	if (r == 0)
		*ret_fd = TAKE_FD(root);
	return r;
}

/* path_walk() from the host's root, or from that of a container. */
static int walk_from(struct warm *w, uint32_t root_pid, const char *image, const char *path,
		     struct path_end *end, int *ret_why)
{
	_cleanup_(closep) int root = -1;
	struct mounts *mounts = NULL;
	int r;

	if (!image[0])
		return path_walk(w->mounts, path, w->limits.remote_fs, end, ret_why);
	r = root_open(root_pid, image, &root, &mounts);
	if (r < 0)
		return r;
	r = path_walk_in(mounts, root, path, w->limits.remote_fs, end, ret_why);
	mounts_free(mounts);
	return r;
}

/* In a container, who made its root decides where its names lead. */
static bool may_read(const struct warm_job *j, const struct stat *st)
{
	return !j->root_image[0] || !j->uid || st->st_uid == j->uid || (st->st_mode & S_IROTH);
}

static void work_warm(struct warm *w, struct job *j)
{
	struct path_end end = {.fd = -1};
	int why = 0, r = walk_from(w, j->job.root_pid, j->job.root_image, j->job.path, &end, &why);

	if (r < 0)
		return result_end(j, WARM_REFUSED, -r);
	if (r == PATH_REFUSED)
		return result_end(j, WARM_REFUSED, why);
	if (r == PATH_ABSENT) {
		if (j->job.kind == WARM_DENTRY)
			return result_end(j, end.cached ? WARM_RESIDENT : WARM_DONE, ENOENT);
		return result_end(j, WARM_GONE, ENOENT);
	}
	if (!may_read(&j->job, &end.st)) {
		close(end.fd);
		return result_end(j, WARM_REFUSED, EACCES);
	}
	switch (j->job.kind) {
	case WARM_FILE:
		work_file(w, j, &end);
		break;
	case WARM_DIR:
	case WARM_SWEEP:
		work_dir(w, j, &end);
		break;
	case WARM_DENTRY:
		result_end(j, end.cached ? WARM_RESIDENT : WARM_DONE, 0);
		break;
	}
	close(end.fd);
}

static void release_one(struct warm *w, struct job *j, const struct took *t)
{
	struct path_end end = {.fd = -1};
	uint64_t dropped = 0;
	int why = 0, r = walk_from(w, t->root_pid, t->root_image, t->path, &end, &why);
	_cleanup_(closep) int path_fd = end.fd, fd = -1;

	/* Another file by now: what we read is no longer to be had by this name. */
	if (r || end.st.st_dev != t->dev || end.st.st_ino != t->ino || !S_ISREG(end.st.st_mode))
		return;
	fd = path_open(path_fd, O_RDONLY | O_NONBLOCK);
	r = fd < 0 ? fd : pages_drop(fd, t->parts, t->part_n, &dropped);
	if (r < 0)
		j->result.err = -r;
	j->result.bytes_wanted += t->bytes;
	j->result.bytes_read += dropped;
}

static bool running_has_locked(const struct warm *w, uint64_t id)
{
	for (const struct job *j = w->running; j; j = j->next)
		if (j->job.id == id && j->job_kind == JOB_WARM)
			return true;
	return false;
}

static void work_release(struct warm *w, struct job *j)
{
	struct took *t;

	pthread_mutex_lock(&w->lock);
	/* The cancelled jobs of this guess end at their next chunk; what they took is ours too. */
	while (!w->stop && running_has_locked(w, j->job.id))
		budget_wait_locked(w, 10000000);
	while (!w->stop && (t = took_find_locked(w, j->job.id))) {
		took_unlink_locked(w, t);
		pthread_mutex_unlock(&w->lock);
		release_one(w, j, t);
		took_free(t);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	result_end(j, WARM_RELEASED, j->result.err);
}

static void job_run(struct warm *w, struct job *j)
{
	j->result.began_ns = pages_now_ns();
	if (j->job_kind == JOB_RELEASE)
		work_release(w, j);
	else if (atomic_load(&j->cancelled))
		result_end(j, WARM_CANCELLED, 0);
	else if (job_late(j))
		result_end(j, WARM_LATE, 0);
	else
		work_warm(w, j);
	j->result.took_ns = pages_now_ns() - j->result.began_ns;
}

static void running_remove_locked(struct warm *w, struct job *j)
{
	struct job **at = &w->running;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	w->running_n--;
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
	if (!ahead || !w->limits.ahead_nice)
		return;
	(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), w->limits.ahead_nice);
}

static void work_lane(struct warm *w, struct lane *lane)
{
	thread_manners(w, lane == &w->lanes[LANE_AHEAD]);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job *j;

		while (!w->stop && (!lane->queued_n || w->paused))
			lane_wait_locked(lane, &w->lock);
		if (w->stop)
			break;
		j = heap_take(lane, 0);
		lane_wake_locked(lane);
		j->next = w->running;
		w->running = j;
		w->running_n++;
		pthread_mutex_unlock(&w->lock);

		job_run(w, j);

		pthread_mutex_lock(&w->lock);
		running_remove_locked(w, j);
		took_keep_locked(w, j);
		job_finish_locked(w, j);
		pthread_cond_broadcast(&w->budget);
	}
	pthread_mutex_unlock(&w->lock);
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

/* --- calls ------------------------------------------------------------------------------------ */

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
	w->bytes_per_s = limits->bytes_per_s;
	w->tokens_ns = pages_now_ns();
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
		pthread_cond_init(&w->lanes[i].work, NULL);
		w->lanes[i].heap = calloc(limits->job_max, sizeof(struct job *));
		if (!r && !w->lanes[i].heap)
			r = fault(-ENOMEM);
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
		for (uint32_t n = 0; n < w->lanes[i].queued_n; n++)
			job_free(w->lanes[i].heap[n]);
		free(w->lanes[i].heap);
		pthread_cond_destroy(&w->lanes[i].work);
	}
	while (w->results) {
		struct job *j = w->results;

		w->results = j->next;
		job_free(j);
	}
	while (!TAILQ_EMPTY(&w->tooks)) {
		struct took *t = TAILQ_FIRST(&w->tooks);

		took_unlink_locked(w, t);
		took_free(t);
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

/* One block of memory with the job, its ranges and its path. */
static struct job *job_new(struct warm *w, const struct warm_job *job)
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

static int job_queue(struct warm *w, const struct warm_job *job, enum job_kind kind,
		     uint64_t *ret_cookie)
{
	struct job *j = job_new(w, job);
	int r = WARM_FULL;

	if (!j)
		return fault(-ENOMEM);
	j->job_kind = kind;
	pthread_mutex_lock(&w->lock);
	if (w->lanes[LANE_NOW].queued_n + w->lanes[LANE_AHEAD].queued_n + w->running_n +
		    w->results_n <
	    w->limits.job_max) {
		j->seq = ++w->seq;
		j->result.cookie = j->seq;
		if (ret_cookie)
			*ret_cookie = j->seq;
		w->stats.submitted_n++;
		if (kind == JOB_RELEASE && !running_has_locked(w, job->id) &&
		    !took_find_locked(w, job->id)) { /* nothing was read: no thread is needed */
			result_end(j, WARM_RELEASED, 0);
			job_finish_locked(w, j);
		} else {
			heap_push(lane_of(w, j), j);
			lane_wake_locked(lane_of(w, j));
		}
		r = 0;
	} else {
		w->stats.full_n++;
	}
	pthread_mutex_unlock(&w->lock);
	if (r)
		job_free(j);
	return r;
}

int warm_submit(struct warm *w, const struct warm_job *job, uint64_t *ret_cookie)
{
	return job_queue(w, job, JOB_WARM, ret_cookie);
}

static int lane_cancel_locked(struct warm *w, struct lane *lane, uint64_t id)
{
	int n = 0;

	for (uint32_t i = 0; i < lane->queued_n;) {
		struct job *j = lane->heap[i];

		if (j->job.id != id || j->job_kind != JOB_WARM) {
			i++;
			continue;
		}
		/* heap_take() may move an unseen job to a place before i: look at all again. */
		heap_take(lane, i);
		i = 0;
		result_end(j, WARM_CANCELLED, 0);
		job_finish_locked(w, j);
		n++;
	}
	return n;
}

int warm_cancel(struct warm *w, uint64_t id)
{
	int n;

	pthread_mutex_lock(&w->lock);
	n = lane_cancel_locked(w, &w->lanes[LANE_NOW], id) +
	    lane_cancel_locked(w, &w->lanes[LANE_AHEAD], id);
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

void warm_hurry(struct warm *w, uint64_t id)
{
	struct lane *now = &w->lanes[LANE_NOW], *ahead = &w->lanes[LANE_AHEAD];

	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i < ahead->queued_n; i++) {
		struct job *j = ahead->heap[i];

		if (j->job.id != id || j->job_kind != JOB_WARM)
			continue;
		heap_take(ahead, i);
		i = UINT32_MAX; /* from the start again: it may have moved an unseen one */
		j->job.priority = 0;
		heap_push(now, j);
		lane_wake_locked(now);
	}
	for (struct job *j = w->running; j; j = j->next)
		if (j->job.id == id)
			j->hurried = true;
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
	} else {
		uint64_t n;

		(void)!read(w->event_fd, &n, sizeof(n)); /* under the lock: no result slips by */
	}
	pthread_mutex_unlock(&w->lock);
	if (!j)
		return WARM_EMPTY;
	*ret = j->result;
	job_free(j);
	return 0;
}

void warm_settle(struct warm *w, uint64_t id)
{
	struct took *t;

	pthread_mutex_lock(&w->lock);
	for (struct job *j = w->running; j; j = j->next)
		if (j->job.id == id)
			j->settled = true;
	for (int i = 0; i < LANE_N; i++)
		for (uint32_t n = 0; n < w->lanes[i].queued_n; n++)
			if (w->lanes[i].heap[n]->job.id == id)
				w->lanes[i].heap[n]->settled = true;
	while ((t = took_find_locked(w, id))) {
		took_unlink_locked(w, t);
		took_free(t);
	}
	pthread_mutex_unlock(&w->lock);
}

int warm_release(struct warm *w, uint64_t id)
{
	const struct warm_job job = {.id = id, .path = "", .priority = UINT32_MAX};

	(void)warm_cancel(w, id);
	return job_queue(w, &job, JOB_RELEASE, NULL);
}

void warm_rate(struct warm *w, uint64_t bytes_per_s, bool paused)
{
	pthread_mutex_lock(&w->lock);
	tokens_refill_locked(w);
	w->bytes_per_s = bytes_per_s;
	w->paused = paused;
	for (int i = 0; i < LANE_N; i++)
		pthread_cond_broadcast(&w->lanes[i].work);
	pthread_cond_broadcast(&w->budget);
	pthread_mutex_unlock(&w->lock);
}

void warm_stats(struct warm *w, struct warm_stats *ret)
{
	pthread_mutex_lock(&w->lock);
	*ret = w->stats;
	ret->held_bytes = w->held_bytes;
	ret->queued_n = w->lanes[LANE_NOW].queued_n + w->lanes[LANE_AHEAD].queued_n;
	ret->running_n = w->running_n;
	ret->results_n = w->results_n;
	pthread_mutex_unlock(&w->lock);
}

const char *warm_outcome_name(enum warm_outcome o)
{
	static const char *const names[WARM_OUTCOME_MAX] = {
		[WARM_DONE] = "done",		[WARM_RESIDENT] = "resident",
		[WARM_REFUSED] = "refused",	[WARM_GONE] = "gone",
		[WARM_CANCELLED] = "cancelled", [WARM_LATE] = "late",
		[WARM_RELEASED] = "released",
	};

	return o < WARM_OUTCOME_MAX ? names[o] : "?";
}
