// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * warm_work.c - one job, in a thread of its own: a file's pages, an entry, a directory, or the release of
 * what a wrong guess read. What is done to a path is in warm_path.c, to pages in warm_pages.c.
 */
#include "sys/warm_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sys/layers.h"
#include "sys/warm_pages.h"
#include "sys/warm_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What this thread has had the disk read, and since when. */
struct asked {
	uint64_t ns;
	long blocks_n;
};

static long blocks_read(void)
{
	struct rusage u = {0};

	(void)getrusage(RUSAGE_THREAD, &u);
	return u.ru_inblock;
}

static struct asked asked_from_now(void)
{
	return (struct asked){clock_ns(CLOCK_MONOTONIC), blocks_read()};
}

/* A name that is not cached may be found in blocks that are: only what made the thread read counts. */
static void asked_note(const struct asked *a, struct job *j)
{
	if (!j->result.first_io_ns && blocks_read() > a->blocks_n)
		j->result.first_io_ns = a->ns;
}

static void work_file(struct warm *w, struct job *j, const struct path_end *end)
{
	static const struct file_range whole = {0, UINT64_MAX};
	const struct pages_gate gate = {warm_gate_ask, warm_gate_landed, warm_took_note,
					warm_gate_stopped, j};
	struct pages_count count = {0};
	struct warm_result *res = &j->result;
	uint64_t max = w->limits.job_bytes_max;
	_cleanup_(closep) int fd = -1;
	int r;

	if (!S_ISREG(end->st.st_mode))
		return warm_result_end(j, WARM_REFUSED, EINVAL);
	if (end->class == MOUNT_MEMORY)
		return warm_result_end(j, WARM_RESIDENT, 0);
	fd = path_open(end->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return warm_result_end(j, WARM_REFUSED, -fd);
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
	res->first_pages_ns = count.first_io_ns;
	if (!res->first_io_ns)
		res->first_io_ns = count.first_io_ns;
	pthread_mutex_lock(&w->lock);
	w->stats.reads_n += count.reads_n;
	w->stats.reissued_n += count.reissued_n;
	pthread_mutex_unlock(&w->lock);
	if (r < 0)
		return warm_result_end(j, WARM_REFUSED, -r);
	if (r == PAGES_STOP && atomic_load(&j->cancelled))
		return warm_result_end(j, WARM_CANCELLED, 0);
	if (r == PAGES_STOP && !res->err && warm_job_late(j))
		return warm_result_end(j, WARM_LATE, 0);
	if (r == PAGES_STOP && !res->err)
		return warm_result_end(j, WARM_DONE, EFBIG); /* bytes_max reached */
	if (res->err && !count.reads_n)
		return warm_result_end(j, WARM_REFUSED, res->err);
	warm_result_end(j, count.reads_n ? WARM_DONE : WARM_RESIDENT, res->err);
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
static void dir_read(struct warm *w, struct job *j, const struct path_end *end)
{
	_cleanup_(freep) char *buf = malloc(DIR_BUF);
	_cleanup_(closep) int fd = -1;
	bool sweep = j->job.kind == WARM_SWEEP;
	uint32_t entries_n = 0;

	if (!S_ISDIR(end->st.st_mode))
		return warm_result_end(j, WARM_REFUSED, ENOTDIR);
	if (end->class == MOUNT_MEMORY)
		return warm_result_end(j, WARM_RESIDENT, 0);
	fd = path_open(end->fd, O_RDONLY | O_NONBLOCK | O_DIRECTORY);
	if (fd < 0 || !buf)
		return warm_result_end(j, WARM_REFUSED, fd < 0 ? -fd : ENOMEM);
	while (entries_n < w->limits.dir_entry_max) {
		long n = syscall(SYS_getdents64, fd, buf, DIR_BUF);

		if (n < 0)
			return warm_result_end(j, WARM_REFUSED, errno);
		if (n == 0)
			return warm_result_end(j, WARM_DONE, 0);
		if (sweep && !entries_n && sample_cached(fd, buf, n))
			return warm_result_end(j, WARM_RESIDENT, 0);
		for (long at = 0; at < n; entries_n++) {
			const struct dirent64 *d = (const void *)(buf + at);

			at += d->d_reclen;
			if (sweep && entry_named(d))
				(void)path_look(fd, d->d_name, false);
			if (entries_n % 64 == 0 && warm_gate_stopped(j))
				return warm_result_end(
					j, atomic_load(&j->cancelled) ? WARM_CANCELLED : WARM_LATE,
					0);
		}
	}
	warm_result_end(j, WARM_DONE, EFBIG);
}

static int walk_layers(struct warm *w, const char *image, const char *path, struct layers_end *ret,
		       int *ret_why)
{
	struct layer_dirs *dirs;
	int r = w->limits.layers ? layers_open(w->limits.layers, image, &dirs) : -ESRCH;

	if (r == 0) {
		r = layers_walk(dirs, path, ret, ret_why);
		(void)layers_close(dirs);
	}
	return r;
}

/* path_walk() from the host's root, or from that of a container: of process *root_pid, or, where that is 0 as
 * it is when the process is gone, by its layers. */
static int walk_from(struct warm *w, struct warm_root *root, uint32_t *root_pid, const char *image,
		     const char *path, struct layers_end *ret, int *ret_why)
{
	int r;

	if (!image[0])
		return path_walk(w->mounts, path, w->limits.remote_fs, &ret->end, ret_why);
	r = *root_pid ? warm_root_open(root, *root_pid, image) : -ESRCH;
	if (r == -ESRCH) {
		*root_pid = 0;
		return walk_layers(w, image, path, ret, ret_why);
	}
	if (r < 0)
		return r;
	return path_walk_in(root->mounts, root->fd, path, w->limits.remote_fs, &ret->end, ret_why);
}

/* In a container, who made its root decides where its names lead. */
static bool may_read(const struct warm_job *j, const struct stat *st)
{
	return !j->root_image[0] || !j->uid || st->st_uid == j->uid || (st->st_mode & S_IROTH);
}

static void work_dir(struct warm *w, struct job *j, const struct path_end *end)
{
	const struct asked asked = asked_from_now();

	dir_read(w, j, end);
	asked_note(&asked, j);
}

/* A directory of an image is what all its layers have of it. */
static void work_dirs(struct warm *w, struct job *j, const struct layers_end *e)
{
	bool done;

	work_dir(w, j, &e->end);
	done = j->result.outcome == WARM_DONE;
	for (uint32_t i = 0; i < e->more_n && j->result.outcome <= WARM_RESIDENT; i++) {
		struct path_end more = {
			.fd = e->more[i], .class = MOUNT_DISK, .cached = e->end.cached};

		if (fstat(more.fd, &more.st) < 0)
			continue;
		work_dir(w, j, &more);
		done |= j->result.outcome == WARM_DONE;
	}
	if (done && j->result.outcome == WARM_RESIDENT)
		warm_result_end(j, WARM_DONE, 0);
}

static void work_warm(struct warm *w, struct warm_root *root, struct job *j)
{
	struct layers_end e;
	const struct asked asked = asked_from_now();
	int why = 0, r;

	e.end = (struct path_end){.fd = -1};
	e.more_n = 0;
	r = walk_from(w, root, &j->job.root_pid, j->job.root_image, j->job.path, &e, &why);
	if (!e.end.cached)
		asked_note(&asked, j);
	if (r < 0)
		return warm_result_end(j, WARM_REFUSED, -r);
	if (r == PATH_REFUSED)
		return warm_result_end(j, WARM_REFUSED, why);
	if (r == PATH_ABSENT) {
		if (j->job.kind == WARM_DENTRY)
			return warm_result_end(j, e.end.cached ? WARM_RESIDENT : WARM_DONE, ENOENT);
		return warm_result_end(j, WARM_GONE, ENOENT);
	}
	if (!may_read(&j->job, &e.end.st)) {
		layers_end_close(&e);
		return warm_result_end(j, WARM_REFUSED, EACCES);
	}
	switch (j->job.kind) {
	case WARM_FILE:
		work_file(w, j, &e.end);
		break;
	case WARM_DIR:
	case WARM_SWEEP:
		work_dirs(w, j, &e);
		break;
	case WARM_DENTRY:
		warm_result_end(j, e.end.cached ? WARM_RESIDENT : WARM_DONE, 0);
		break;
	}
	layers_end_close(&e);
}

static void release_one(struct warm *w, struct warm_root *root, struct job *j, const struct took *t)
{
	uint32_t root_pid = t->root_pid;
	uint64_t dropped = 0;
	_cleanup_(layers_end_close) struct layers_end e = {.end.fd = -1};
	_cleanup_(closep) int fd = -1;
	int why = 0, r = walk_from(w, root, &root_pid, t->root_image, t->path, &e, &why);

	/* Another file by now: what we read is no longer to be had by this name. */
	if (r || e.end.st.st_dev != t->dev || e.end.st.st_ino != t->ino ||
	    !S_ISREG(e.end.st.st_mode))
		return;
	fd = path_open(e.end.fd, O_RDONLY | O_NONBLOCK);
	r = fd < 0 ? fd : pages_drop(fd, t->parts, t->part_n, &dropped);
	if (r < 0)
		j->result.err = -r;
	j->result.bytes_wanted += t->bytes;
	j->result.bytes_read += dropped;
}

static void work_release(struct warm *w, struct warm_root *root, struct job *j)
{
	struct took *t;

	pthread_mutex_lock(&w->lock);
	/* The cancelled jobs of this guess end at their next chunk; what they took is ours too. */
	while (!w->stop && warm_running_has_locked(w, j->job.id))
		warm_budget_wait_locked(w, 10000000);
	while (!w->stop && (t = warm_took_find_locked(w, j->job.id))) {
		warm_took_unlink_locked(w, t);
		pthread_mutex_unlock(&w->lock);
		release_one(w, root, j, t);
		warm_took_free(t);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	warm_result_end(j, WARM_RELEASED, j->result.err);
}

void warm_job_run(struct warm *w, struct warm_root *root, struct job *j)
{
	j->result.began_ns = clock_ns(CLOCK_MONOTONIC);
	warm_root_leave(root, j->job.root_pid, j->job.root_image);
	if (j->job_kind == JOB_RELEASE)
		work_release(w, root, j);
	else if (atomic_load(&j->cancelled))
		warm_result_end(j, WARM_CANCELLED, 0);
	else if (warm_job_late(j))
		warm_result_end(j, WARM_LATE, 0);
	else
		work_warm(w, root, j);
	j->result.took_ns = clock_ns(CLOCK_MONOTONIC) - j->result.began_ns;
}
