/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The warming engine on real files: what it makes resident, what it refuses, what it gives back. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/pages.h"
#include "support/warm_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Warms it and again; whether it was there and left alone. Some hosts take a few pages of so large a file
 * back within seconds, which is no defect of one try. */
static bool stays_whole(struct warm_bed *f, const char *p, uint64_t bytes)
{
	struct warm_result r = bed_run(f, (struct warm_job){.id = 7, .kind = WARM_FILE, .path = p});
	bool whole = pages_of_file(p) == bytes;

	assert_int_equal(r.id, 7);
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_missing, 0);
	assert_int_equal(r.bytes_read, bytes);
	r = bed_run(f, (struct warm_job){.id = 8, .kind = WARM_FILE, .path = p});
	return whole && r.outcome == WARM_RESIDENT && r.bytes_read == 0;
}

static void test_warm_makes_a_whole_file_resident(void **state)
{
	struct warm_bed *f = *state;
	bool whole = false;
	const char *p;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "big", 24 * MIB + 777);
	for (int i = 0; i < 5 && !whole; i++) {
		bed_evict(p);
		assert_int_equal(pages_of_file(p), 0);
		whole = stays_whole(f, p, 24 * MIB + 4096);
	}
	assert_true(whole);
}

static void test_warm_reads_the_ranges_and_no_more(void **state)
{
	const struct file_range ranges[] = {{12 * MIB, 128 << 10}, {100, 5000}, {30 * MIB, MIB}};
	struct warm_bed *f = *state;
	struct warm_result r;
	const char *p;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "parts", 16 * MIB);
	r = bed_run(f,
		    (struct warm_job){
			    .id = 1, .kind = WARM_FILE, .path = p, .ranges = ranges, .range_n = 3});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_read, (128 << 10) + 8192);
	assert_int_equal(pages_of_file(p), (128 << 10) + 8192);
}

static void test_warm_stops_at_bytes_max(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	const char *p;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "big", 8 * MIB);
	r = bed_run(f,
		    (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p, .bytes_max = 3 * MIB});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.err, EFBIG);
	assert_int_equal(pages_of_file(p), 3 * MIB);
}

static void test_warm_skips_holes_of_a_huge_sparse_file(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	const char *p;
	int fd;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "sparse", MIB);
	fd = open(p, O_WRONLY);
	assert_int_equal(ftruncate(fd, 8ll << 40), 0);
	assert_int_equal(pwrite(fd, "end", 3, 4ll << 40), 3);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	bed_evict(p);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_wanted, MIB + 4096);
	assert_int_equal(r.bytes_missing, 0);
	assert_true(r.took_ns < 5000000000ull);
}

/* Its blocks are there, and nothing is in them. */
static void test_warm_skips_what_was_allocated_and_never_written(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	const char *p;
	bool tells;
	int fd;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "allocated", MIB);
	fd = open(p, O_WRONLY);
	tells = fallocate(fd, 0, MIB, 4 * MIB) == 0 && fsync(fd) == 0 &&
		lseek(fd, MIB, SEEK_DATA) < 0;
	close(fd);
	if (!tells)
		skip_because("this file system does not tell what was never written");
	bed_evict(p);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_wanted, MIB);
}

static void test_warm_refuses_what_it_must_not_open(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	char deep[5000];

	bed_start(f);
	assert_int_equal(mkfifo(bed_at(f, "fifo"), 0644), 0);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = bed_at(f, "fifo")});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = "/dev/null"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = "/proc/kcore"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = bed_run(f, (struct warm_job){
			       .id = 1, .kind = WARM_FILE, .path = "/proc/self/root/etc/passwd"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = f->dir});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = "relative"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = ""});
	assert_int_equal(r.outcome, WARM_REFUSED);
	memset(deep, 'a', sizeof(deep) - 1);
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = deep});
	assert_int_equal(r.outcome, WARM_REFUSED);
	assert_int_equal(symlink("loop", bed_at(f, "loop")), 0);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = bed_at(f, "loop")});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = bed_run(f,
		    (struct warm_job){.id = 1, .kind = WARM_FILE, .path = bed_at(f, "not there")});
	assert_int_equal(r.outcome, WARM_GONE);
}

static void test_warm_never_opens_a_fifo(void **state)
{
	struct warm_bed *f = *state;

	bed_start(f);
	assert_int_equal(mkfifo(bed_at(f, "fifo"), 0644), 0);
	for (int i = 0; i < 50; i++) {
		bed_run(f,
			(struct warm_job){.id = 1, .kind = WARM_FILE, .path = bed_at(f, "fifo")});
		/* A writer that does not block finds a reader only if someone has it open. */
		assert_int_equal(open(bed_at(f, "fifo"), O_WRONLY | O_NONBLOCK), -1);
		assert_int_equal(errno, ENXIO);
	}
}

static void test_warm_follows_symlinks_and_dotdot(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	const char *p;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "real", MIB);
	assert_int_equal(mkdir(bed_at(f, "sub"), 0755), 0);
	assert_int_equal(symlink("../real", bed_at(f, "sub/up")), 0);
	assert_int_equal(symlink(bed_at(f, "sub/up"), bed_at(f, "abs")), 0);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = bed_at(f, "abs")});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(pages_of_file(p), MIB);
	bed_evict(p);
	r = bed_run(f, (struct warm_job){.id = 1,
					 .kind = WARM_FILE,
					 .path = bed_at(f, "sub/.././/sub/../real")});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(pages_of_file(p), MIB);
}

static void test_warm_caches_entries_and_absences(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;

	bed_start(f);
	r = bed_run(f, (struct warm_job){
			       .id = 1, .kind = WARM_DENTRY, .path = bed_at(f, "no/such/thing")});
	assert_int_equal(r.err, ENOENT);
	r = bed_run(f,
		    (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = bed_at(f, "nothing")});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.err, ENOENT);
	r = bed_run(f,
		    (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = bed_at(f, "nothing")});
	assert_int_equal(r.outcome, WARM_RESIDENT);
	assert_int_equal(r.err, ENOENT);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = f->dir});
	assert_int_equal(r.outcome, WARM_RESIDENT);
	assert_int_equal(r.err, 0);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_DIR, .path = f->dir});
	assert_int_equal(r.outcome, WARM_DONE);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_DIR, .path = "/proc"});
	assert_int_equal(r.outcome, WARM_REFUSED);
}

static void test_warm_leaves_times_alone(void **state)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct warm_bed *f = *state;
	struct stat st;
	const char *p;

	bed_start(f);
	p = bed_file(f, "old", MIB);
	assert_int_equal(utimensat(AT_FDCWD, p, old, 0), 0);
	bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p});
	bed_run(f, (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = p});
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(utimensat(AT_FDCWD, f->dir, old, 0), 0);
	bed_run(f, (struct warm_job){.id = 1, .kind = WARM_DIR, .path = f->dir});
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
}

static void test_warm_cancels_and_is_late(void **state)
{
	struct warm_bed *f = *state;
	uint32_t n[WARM_OUTCOME_MAX] = {0};
	const char *p;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	bed_plug(f, 1, 0);
	p = bed_file(f, "big", 8 * MIB);
	bed_use(p);
	for (uint64_t i = 0; i < 100; i++) {
		struct warm_job j = {.id = i % 2 + 1, .kind = WARM_FILE, .path = p};

		assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	}
	assert_int_equal(warm_cancel(f->w, 1), 50);
	assert_int_equal(warm_cancel(f->w, 3), 0);
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	for (int i = 0; i < 101; i++) {
		struct warm_result r = bed_take(f);

		n[r.outcome]++;
		assert_int_equal(r.outcome == WARM_CANCELLED, r.id == 1 || r.id == PLUG);
	}
	assert_int_equal(n[WARM_CANCELLED], 51);
	assert_int_equal(n[WARM_RESIDENT], 50);
	assert_int_equal(
		bed_run(f,
			(struct warm_job){.id = 9, .kind = WARM_FILE, .path = p, .deadline_ns = 1})
			.outcome,
		WARM_LATE);
}

/* Of a name: pages that are there may be gone a moment later, and without a byte to spend they do not come back. */
static void test_warm_hurries_what_had_time(void **state)
{
	enum { JOBS = 40 };
	struct warm_bed *f = *state;
	const char *p;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = f->limits.ahead_thread_n = 1;
	bed_plug(f, 1, WARM_AHEAD);
	p = bed_file(f, "there", 4096);
	for (uint64_t i = 1; i <= JOBS; i++) {
		const struct warm_job j = {
			.id = i, .kind = WARM_DENTRY, .path = p, .priority = WARM_AHEAD};

		assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	}
	warm_hurry(f->w, &(struct warm_job){.id = JOBS});
	assert_int_equal(bed_take(f).id, JOBS); /* it was the last */
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	for (int i = 1; i < JOBS; i++)
		assert_int_not_equal(bed_take(f).id, JOBS);
}

enum { NAMES = 40, FILES = 8 };

/* Each later one is due sooner, names have the ids from 1, files those after them. */
static void names_and_files(struct warm_bed *f)
{
	const char *p = bed_file(f, "there", 4096);

	bed_use(p);
	for (uint64_t i = 1; i <= NAMES + FILES; i++) {
		struct warm_job j = {.id = i,
				     .kind = i <= NAMES ? WARM_DENTRY : WARM_FILE,
				     .path = p,
				     .deadline_ns = UINT64_MAX - i};

		assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	}
}

/* Both by deadline; of one thread, a name after each file. */
static void test_warm_has_files_and_names_in_turn(void **state)
{
	struct warm_bed *f = *state;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	bed_plug(f, 1, 0);
	bed_running(f, 1);
	names_and_files(f);
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	assert_int_equal(bed_take(f).id, PLUG);
	for (uint64_t i = 0; i < FILES; i++) {
		assert_int_equal(bed_take(f).id,
				 NAMES - i); /* the last to have its turn was a file */
		assert_int_equal(bed_take(f).id, NAMES + FILES - i);
	}
	for (uint64_t i = FILES; i < NAMES; i++)
		assert_int_equal(bed_take(f).id, NAMES - i);
}

struct queued {
	uint64_t id, cookie, deadline_ns;
	uint32_t priority;
};

static int by_turn(const void *a, const void *b)
{
	const struct queued *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x->deadline_ns != y->deadline_ns)
		return x->deadline_ns < y->deadline_ns ? -1 : 1;
	return x->cookie < y->cookie ? -1 : 1;
}

/* Out of the midst of hundreds some are cancelled and some hurried: all others keep their order. */
static void test_warm_any_of_those_queued_is_found(void **state)
{
	enum { QUEUED = 600, IDS = 200 };
	struct queued left[QUEUED];
	struct warm_bed *f = *state;
	uint32_t left_n = 0;
	const char *p;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	f->limits.ahead_thread_n = 0;
	bed_plug(f, 1, 0);
	bed_running(f, 1);
	p = bed_file(f, "there", 4096);
	srandom(1);
	for (int i = 0; i < QUEUED; i++) {
		struct queued q = {.id = 1 + (uint64_t)random() % IDS,
				   .deadline_ns = UINT64_MAX / 2 + (uint64_t)random() % 100,
				   .priority = (uint32_t)random() % WARM_RANKS};
		struct warm_job j = {.id = q.id,
				     .kind = WARM_DENTRY,
				     .path = p,
				     .priority = q.priority,
				     .deadline_ns = q.deadline_ns};

		assert_int_equal(warm_submit(f->w, &j, &q.cookie), 0);
		if (q.id % 5 == 0)
			continue;
		if (q.id % 7 == 0)
			q.priority = 0;
		left[left_n++] = q;
	}
	for (uint64_t id = 1; id <= IDS; id++) {
		if (id % 7 == 0)
			warm_hurry(f->w, &(struct warm_job){.id = id});
		if (id % 5)
			continue;
		for (int n = warm_cancel(f->w, id); n > 0; n--) {
			struct warm_result r = bed_take(f);

			assert_true(r.id == id && r.outcome == WARM_CANCELLED);
		}
	}
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	assert_int_equal(bed_take(f).id, PLUG);
	qsort(left, left_n, sizeof(left[0]), by_turn);
	for (uint32_t i = 0; i < left_n; i++)
		assert_int_equal(bed_take(f).cookie, left[i].cookie);
}

/* While a thread is at a file for long, the other has the names done. */
static void test_warm_names_do_not_wait_for_a_long_read(void **state)
{
	struct warm_bed *f = *state;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = 2;
	bed_plug(f, 1, 0);
	assert_int_equal(warm_submit(f->w,
				     &(struct warm_job){.id = PLUG + 1,
							.kind = WARM_FILE,
							.path = bed_file(f, "second plug", MIB)},
				     NULL),
			 0);
	bed_running(f, 2);
	names_and_files(f);
	assert_int_equal(warm_cancel(f->w, PLUG + 1), 1);
	assert_int_equal(bed_take(f).id, PLUG + 1);
	for (uint64_t i = 0; i < NAMES; i++)
		assert_int_equal(bed_take(f).id, NAMES - i);
	for (uint64_t i = 0; i < FILES; i++)
		assert_int_equal(bed_take(f).id, NAMES + FILES - i);
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	assert_int_equal(bed_take(f).id, PLUG);
}

/* However many are done before somebody comes for them. */
static void test_warm_tells_of_results_once(void **state)
{
	struct warm_bed *f = *state;
	const struct warm_job job = {.id = 1, .kind = WARM_DENTRY, .path = bed_at(f, "nothing")};
	struct warm_stats s = {0};
	uint64_t told;

	bed_start(f);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8; i++)
			assert_int_equal(warm_submit(f->w, &job, NULL), 0);
		for (int ms = 0; ms < 20000 && s.results_n < 8; ms++) {
			usleep(1000);
			warm_stats(f->w, &s);
		}
		assert_int_equal(s.results_n, 8);
		assert_int_equal(read(warm_fd(f->w), &told, sizeof(told)), sizeof(told));
		assert_int_equal(told, 1);
		for (int i = 0; i < 8; i++)
			(void)bed_take(f);
		assert_int_equal(warm_next_result(f->w, &(struct warm_result){0}), WARM_EMPTY);
		s.results_n = 0;
	}
}

/* Settled before it was read: it stays all the same. */
static void test_warm_keeps_what_is_settled_early(void **state)
{
	struct warm_bed *f = *state;
	const char *p;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	bed_plug(f, 16 * MIB, 0);
	p = bed_file(f, "early", 2 * MIB);
	assert_int_equal(
		warm_submit(f->w, &(struct warm_job){.id = 7, .kind = WARM_FILE, .path = p}, NULL),
		0);
	warm_settle(f->w, 7);
	(void)warm_cancel(f->w, PLUG);
	assert_int_equal(bed_take(f).id, PLUG);
	assert_int_equal(bed_take(f).bytes_read, 2 * MIB);
	assert_int_equal(warm_release(f->w, 7), 0);
	assert_int_equal(bed_take(f).bytes_read, 0);
	assert_int_equal(pages_of_file(p), 2 * MIB);
}

static void test_warm_keeps_to_its_rate(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	const char *p;

	bed_skip_on_tmpfs(f);
	f->limits.bytes_per_s = 20 * MIB;
	bed_start(f);
	p = bed_file(f, "big", 12 * MIB);
	r = bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.outcome, WARM_DONE);
	/* 12 MiB at 20 MiB/s, less a burst of 2 MiB: half a second. */
	assert_true(r.took_ns > 450000000);
	assert_true(r.took_ns < 3000000000ull);
}

static void test_warm_is_bounded(void **state)
{
	struct warm_bed *f = *state;
	struct warm_job j = {.id = 1, .kind = WARM_DENTRY, .path = "/"};
	struct warm_stats st;

	f->limits.job_max = 5;
	bed_start(f);
	for (int i = 0; i < 5; i++)
		assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	assert_int_equal(warm_submit(f->w, &j, NULL), WARM_FULL);
	for (int i = 0; i < 5; i++)
		bed_take(f);
	assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	bed_take(f);
	warm_stats(f->w, &st);
	assert_int_equal(st.submitted_n, 6);
	assert_int_equal(st.full_n, 1);
}

static void test_warm_holds_no_more_than_allowed(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	const char *p;

	bed_skip_on_tmpfs(f);
	f->limits.held_bytes_max = 4 * MIB;
	bed_start(f);
	p = bed_file(f, "a", 3 * MIB);
	assert_int_equal(
		bed_run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p}).outcome,
		WARM_DONE);
	p = bed_file(f, "b", 3 * MIB);
	r = bed_run(f, (struct warm_job){.id = 2, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.err, EDQUOT);
	assert_int_equal(pages_of_file(p), MIB);
	warm_settle(f->w, 1);
	r = bed_run(f, (struct warm_job){.id = 3, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.err, 0);
	assert_int_equal(pages_of_file(p), 3 * MIB);
}

static struct warm_result release(struct warm_bed *f, uint64_t id)
{
	struct warm_result r;

	assert_int_equal(warm_release(f->w, id), 0);
	r = bed_take(f);
	assert_int_equal(r.outcome, WARM_RELEASED);
	return r;
}

static void test_warm_releases_only_what_no_one_used(void **state)
{
	struct warm_bed *f = *state;
	struct warm_result r;
	static char buf[1 << 20];
	const char *p;
	char *map;
	int fd;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "wrong", 8 * MIB);
	bed_run(f, (struct warm_job){.id = 5, .kind = WARM_FILE, .path = p});
	r = release(f, 5);
	if (r.err == EPERM)
		skip_because("no CAP_SYS_ADMIN: /proc/kpageflags is hidden");
	assert_int_equal(pages_of_file(p), 0);
	/* A host that reclaims pages may have taken some of them before. */
	assert_in_range(r.bytes_read, 7 * MIB, 8 * MIB);

	/* Someone reads 1 MiB, maps and touches another, and keeps a third mapped. */
	bed_run(f, (struct warm_job){.id = 6, .kind = WARM_FILE, .path = p});
	fd = open(p, O_RDONLY);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	map = mmap(NULL, 8 * MIB, PROT_READ, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < MIB; i += 4096)
		buf[0] = (char)(buf[0] + map[2 * MIB + i]);
	munmap(map, 8 * MIB);
	map = mmap(NULL, 8 * MIB, PROT_READ, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < MIB; i += 4096)
		buf[0] = (char)(buf[0] + map[5 * MIB + i]);
	release(f, 6);
	/* A large folio goes or stays as a whole, so a little more may stay. */
	assert_in_range(pages_of_file(p), 3 * MIB, 5 * MIB);
	assert_int_equal(mincore(map, MIB, (unsigned char *)buf), 0);
	assert_true(buf[0] & buf[255] & 1);
	assert_int_equal(mincore(map + 2 * MIB, MIB, (unsigned char *)buf), 0);
	assert_true(buf[0] & buf[255] & 1);
	assert_int_equal(mincore(map + 5 * MIB, MIB, (unsigned char *)buf), 0);
	assert_true(buf[0] & buf[255] & 1);
	munmap(map, 8 * MIB);
	close(fd);
	warm_settle(f->w, 6);
	assert_int_equal(release(f, 6).bytes_read, 0);
}

static void test_warm_releases_nothing_that_was_there_before(void **state)
{
	struct warm_bed *f = *state;
	static char buf[1 << 20];
	const char *p;
	int fd;

	bed_skip_on_tmpfs(f);
	bed_start(f);
	p = bed_file(f, "half", 4 * MIB);
	fd = open(p, O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	close(fd);
	bed_run(f, (struct warm_job){.id = 5, .kind = WARM_FILE, .path = p});
	assert_int_equal(pages_of_file(p), 4 * MIB);
	if (release(f, 5).err == EPERM)
		skip_because("no CAP_SYS_ADMIN: /proc/kpageflags is hidden");
	/* A host that reclaims may have taken a few pages of its own. */
	assert_in_range(pages_of_file(p), MIB - 64 * 1024, 2 * MIB);
}

static uint32_t reads_of_others(void *ctx, dev_t dev)
{
	(void)dev;
	return *(uint32_t *)ctx;
}

/* What has time goes in small pieces while others read, and in large ones else; what has none, always. */
static void test_warm_yields_to_those_who_read(void **state)
{
	static const struct {
		const char *name;
		uint32_t others, priority;
		bool yields;
	} cases[] = {
		{"nobody else reads", 0, WARM_AHEAD, false},
		{"others read", 1, WARM_AHEAD, true},
		{"others read, and it is wanted soon", 1, WARM_SOON, false},
		{"others read, and it is wanted now", 1, WARM_NOW, false},
	};
	struct warm_bed *f = *state;
	static uint32_t others;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = f->limits.ahead_thread_n = 1;
	f->limits.disk_reads = reads_of_others;
	f->limits.disk_ctx = &others;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct warm_stats s;
		struct warm_result r;
		const char *p = bed_file(f, "yield", 8 * MIB);

		others = cases[i].others;
		bed_start(f);
		r = bed_run(f, (struct warm_job){.id = 1,
						 .kind = WARM_FILE,
						 .path = p,
						 .priority = cases[i].priority});
		warm_stats(f->w, &s);
		f->w = warm_free(f->w);
		if (r.outcome != WARM_DONE || r.bytes_read != 8 * MIB)
			fail_msg("%s: not read", cases[i].name);
		if (cases[i].yields ? s.yielded_n < 32 : s.yielded_n > 0)
			fail_msg("%s: yielded %llu times", cases[i].name,
				 (unsigned long long)s.yielded_n);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, warm_bed_setup, warm_bed_teardown)
	const struct CMUnitTest tests[] = {
		T(test_warm_makes_a_whole_file_resident),
		T(test_warm_reads_the_ranges_and_no_more),
		T(test_warm_stops_at_bytes_max),
		T(test_warm_skips_holes_of_a_huge_sparse_file),
		T(test_warm_skips_what_was_allocated_and_never_written),
		T(test_warm_refuses_what_it_must_not_open),
		T(test_warm_never_opens_a_fifo),
		T(test_warm_follows_symlinks_and_dotdot),
		T(test_warm_caches_entries_and_absences),
		T(test_warm_leaves_times_alone),
		T(test_warm_cancels_and_is_late),
		T(test_warm_hurries_what_had_time),
		T(test_warm_has_files_and_names_in_turn),
		T(test_warm_any_of_those_queued_is_found),
		T(test_warm_names_do_not_wait_for_a_long_read),
		T(test_warm_tells_of_results_once),
		T(test_warm_keeps_what_is_settled_early),
		T(test_warm_keeps_to_its_rate),
		T(test_warm_is_bounded),
		T(test_warm_holds_no_more_than_allowed),
		T(test_warm_yields_to_those_who_read),
		T(test_warm_releases_only_what_no_one_used),
		T(test_warm_releases_nothing_that_was_there_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
