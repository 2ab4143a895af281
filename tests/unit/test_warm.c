/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The warming engine on real files: what it makes resident, what it refuses, what it gives back. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/pages.h"
#include "support/scratch.h"
#include "sys/warm.h"

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

#define MIB (1ull << 20)
#define PLUG 1000 /* the id of a job that keeps its thread waiting */

struct fix {
	char dir[256];
	struct warm *w;
	struct warm_limits limits;
};

/* A disk-backed folder: TMPDIR, else the build folder; a tmpfs has nothing to warm. */
static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	const char *base = getenv("FWM_OUT") ? getenv("FWM_OUT") : ".";
	char real[200];

	if (!f || !realpath(base, real))
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/warm.%d.XXXXXX", real, getpid());
	if (!mkdtemp(f->dir))
		return -1;
	warm_limits_default(&f->limits);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	warm_free(f->w);
	(void)scratch_remove(f->dir);
	free(f);
	return 0;
}

static const char *at(struct fix *f, const char *name)
{
	static char buf[8][512];
	static int i;

	i = (i + 1) % 8;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", f->dir, name);
	return buf[i];
}

static void start(struct fix *f)
{
	assert_int_equal(warm_new(&f->limits, &f->w), 0);
}

static void evict(const char *path)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

static const char *file(struct fix *f, const char *name, uint64_t bytes)
{
	const char *path = at(f, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	static char block[65536];

	assert_true(fd >= 0);
	memset(block, 'x', sizeof(block));
	for (uint64_t o = 0; o < bytes; o += sizeof(block)) {
		size_t n = bytes - o < sizeof(block) ? (size_t)(bytes - o) : sizeof(block);

		assert_int_equal(write(fd, block, n), n);
	}
	assert_int_equal(fsync(fd), 0);
	close(fd);
	evict(path);
	return path;
}

static void use(const char *path)
{
	static char block[65536];
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	while (read(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

/* The next result, waited for through the descriptor as the daemon does. */
static struct warm_result take(struct fix *f)
{
	struct pollfd p = {.fd = warm_fd(f->w), .events = POLLIN};
	struct warm_result r;
	int got;

	while ((got = warm_next_result(f->w, &r)) == WARM_EMPTY)
		assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(got, 0);
	return r;
}

static struct warm_result run(struct fix *f, struct warm_job j)
{
	assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	return take(f);
}

static void skip_on_tmpfs(struct fix *f)
{
	struct statfs s;

	assert_int_equal(statfs(f->dir, &s), 0);
	if (s.f_type == 0x01021994)
		skip_because("%s is on tmpfs, where everything is resident", f->dir);
}

static void test_warm_makes_a_whole_file_resident(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	const char *p;

	skip_on_tmpfs(f);
	start(f);
	p = file(f, "big", 24 * MIB + 777);
	assert_int_equal(pages_of_file(p), 0);
	r = run(f, (struct warm_job){.id = 7, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.id, 7);
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_missing, 0);
	assert_int_equal(r.bytes_read, 24 * MIB + 4096);
	assert_int_equal(pages_of_file(p), 24 * MIB + 4096);
	r = run(f, (struct warm_job){.id = 8, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.outcome, WARM_RESIDENT);
	assert_int_equal(r.bytes_read, 0);
}

static void test_warm_reads_the_ranges_and_no_more(void **state)
{
	const struct file_range ranges[] = {{12 * MIB, 128 << 10}, {100, 5000}, {30 * MIB, MIB}};
	struct fix *f = *state;
	struct warm_result r;
	const char *p;

	skip_on_tmpfs(f);
	start(f);
	p = file(f, "parts", 16 * MIB);
	r = run(f, (struct warm_job){
			   .id = 1, .kind = WARM_FILE, .path = p, .ranges = ranges, .range_n = 3});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_read, (128 << 10) + 8192);
	assert_int_equal(pages_of_file(p), (128 << 10) + 8192);
}

static void test_warm_stops_at_bytes_max(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	const char *p;

	skip_on_tmpfs(f);
	start(f);
	p = file(f, "big", 8 * MIB);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p, .bytes_max = 3 * MIB});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.err, EFBIG);
	assert_int_equal(pages_of_file(p), 3 * MIB);
}

static void test_warm_skips_holes_of_a_huge_sparse_file(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	const char *p;
	int fd;

	skip_on_tmpfs(f);
	start(f);
	p = file(f, "sparse", MIB);
	fd = open(p, O_WRONLY);
	assert_int_equal(ftruncate(fd, 8ll << 40), 0);
	assert_int_equal(pwrite(fd, "end", 3, 4ll << 40), 3);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	evict(p);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.bytes_wanted, MIB + 4096);
	assert_int_equal(r.bytes_missing, 0);
	assert_true(r.took_ns < 5000000000ull);
}

static void test_warm_refuses_what_it_must_not_open(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	char deep[5000];

	start(f);
	assert_int_equal(mkfifo(at(f, "fifo"), 0644), 0);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = at(f, "fifo")});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = "/dev/null"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = "/proc/kcore"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = run(f, (struct warm_job){
			   .id = 1, .kind = WARM_FILE, .path = "/proc/self/root/etc/passwd"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = f->dir});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = "relative"});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = ""});
	assert_int_equal(r.outcome, WARM_REFUSED);
	memset(deep, 'a', sizeof(deep) - 1);
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = deep});
	assert_int_equal(r.outcome, WARM_REFUSED);
	assert_int_equal(symlink("loop", at(f, "loop")), 0);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = at(f, "loop")});
	assert_int_equal(r.outcome, WARM_REFUSED);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = at(f, "not there")});
	assert_int_equal(r.outcome, WARM_GONE);
}

static void test_warm_never_opens_a_fifo(void **state)
{
	struct fix *f = *state;

	start(f);
	assert_int_equal(mkfifo(at(f, "fifo"), 0644), 0);
	for (int i = 0; i < 50; i++) {
		run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = at(f, "fifo")});
		/* A writer that does not block finds a reader only if someone has it open. */
		assert_int_equal(open(at(f, "fifo"), O_WRONLY | O_NONBLOCK), -1);
		assert_int_equal(errno, ENXIO);
	}
}

static void test_warm_follows_symlinks_and_dotdot(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	const char *p;

	skip_on_tmpfs(f);
	start(f);
	p = file(f, "real", MIB);
	assert_int_equal(mkdir(at(f, "sub"), 0755), 0);
	assert_int_equal(symlink("../real", at(f, "sub/up")), 0);
	assert_int_equal(symlink(at(f, "sub/up"), at(f, "abs")), 0);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = at(f, "abs")});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(pages_of_file(p), MIB);
	evict(p);
	r = run(f, (struct warm_job){
			   .id = 1, .kind = WARM_FILE, .path = at(f, "sub/.././/sub/../real")});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(pages_of_file(p), MIB);
}

static void test_warm_caches_entries_and_absences(void **state)
{
	struct fix *f = *state;
	struct warm_result r;

	start(f);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = at(f, "no/such/thing")});
	assert_int_equal(r.err, ENOENT);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = at(f, "nothing")});
	assert_int_equal(r.outcome, WARM_DONE);
	assert_int_equal(r.err, ENOENT);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = at(f, "nothing")});
	assert_int_equal(r.outcome, WARM_RESIDENT);
	assert_int_equal(r.err, ENOENT);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = f->dir});
	assert_int_equal(r.outcome, WARM_RESIDENT);
	assert_int_equal(r.err, 0);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_DIR, .path = f->dir});
	assert_int_equal(r.outcome, WARM_DONE);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_DIR, .path = "/proc"});
	assert_int_equal(r.outcome, WARM_REFUSED);
}

static void test_warm_leaves_times_alone(void **state)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct fix *f = *state;
	struct stat st;
	const char *p;

	start(f);
	p = file(f, "old", MIB);
	assert_int_equal(utimensat(AT_FDCWD, p, old, 0), 0);
	run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p});
	run(f, (struct warm_job){.id = 1, .kind = WARM_DENTRY, .path = p});
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(utimensat(AT_FDCWD, f->dir, old, 0), 0);
	run(f, (struct warm_job){.id = 1, .kind = WARM_DIR, .path = f->dir});
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
}

/* Starts with a thread that waits for its byte rate, and whoever is queued behind it waits with it. */
static void plug(struct fix *f, uint64_t bytes_per_s, uint32_t priority)
{
	struct warm_job j = {.id = PLUG, .kind = WARM_FILE, .priority = priority};

	f->limits.bytes_per_s = bytes_per_s;
	start(f);
	j.path = file(f, "plug", MIB);
	assert_int_equal(warm_submit(f->w, &j, NULL), 0);
}

static void test_warm_cancels_and_is_late(void **state)
{
	struct fix *f = *state;
	uint32_t n[WARM_OUTCOME_MAX] = {0};
	const char *p;

	skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	plug(f, 1, 0);
	p = file(f, "big", 8 * MIB);
	use(p);
	for (uint64_t i = 0; i < 100; i++) {
		struct warm_job j = {.id = i % 2 + 1, .kind = WARM_FILE, .path = p};

		assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	}
	assert_int_equal(warm_cancel(f->w, 1), 50);
	assert_int_equal(warm_cancel(f->w, 3), 0);
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	for (int i = 0; i < 101; i++) {
		struct warm_result r = take(f);

		n[r.outcome]++;
		assert_int_equal(r.outcome == WARM_CANCELLED, r.id == 1 || r.id == PLUG);
	}
	assert_int_equal(n[WARM_CANCELLED], 51);
	assert_int_equal(n[WARM_RESIDENT], 50);
	assert_int_equal(
		run(f, (struct warm_job){.id = 9, .kind = WARM_FILE, .path = p, .deadline_ns = 1})
			.outcome,
		WARM_LATE);
}

static void test_warm_hurries_what_had_time(void **state)
{
	enum { JOBS = 40 };
	struct fix *f = *state;
	const char *p;
	char name[16];

	skip_on_tmpfs(f);
	f->limits.thread_n = f->limits.ahead_thread_n = 1;
	plug(f, 1, 1);
	for (uint64_t i = 1; i <= JOBS; i++) {
		snprintf(name, sizeof(name), "hurry%d", (int)i);
		p = file(f, name, MIB);
		use(p);
		assert_int_equal(
			warm_submit(f->w,
				    &(struct warm_job){
					    .id = i, .kind = WARM_FILE, .path = p, .priority = 1},
				    NULL),
			0);
	}
	warm_hurry(f->w, JOBS);
	assert_int_equal(take(f).id, JOBS); /* it was the last */
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	for (int i = 1; i < JOBS; i++)
		assert_int_not_equal(take(f).id, JOBS);
}

static void running(struct fix *f, uint32_t n)
{
	struct warm_stats s;

	do
		warm_stats(f->w, &s);
	while (s.running_n != n && usleep(1000) == 0);
}

enum { NAMES = 40, FILES = 8 };

/* Each later one is due sooner, names have the ids from 1, files those after them. */
static void names_and_files(struct fix *f)
{
	const char *p = file(f, "there", 4096);

	use(p);
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
	struct fix *f = *state;

	skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	plug(f, 1, 0);
	running(f, 1);
	names_and_files(f);
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	assert_int_equal(take(f).id, PLUG);
	for (uint64_t i = 0; i < FILES; i++) {
		assert_int_equal(take(f).id, NAMES - i); /* the last to have its turn was a file */
		assert_int_equal(take(f).id, NAMES + FILES - i);
	}
	for (uint64_t i = FILES; i < NAMES; i++)
		assert_int_equal(take(f).id, NAMES - i);
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
	struct fix *f = *state;
	uint32_t left_n = 0;
	const char *p;

	skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	f->limits.ahead_thread_n = 0;
	plug(f, 1, 0);
	running(f, 1);
	p = file(f, "there", 4096);
	srandom(1);
	for (int i = 0; i < QUEUED; i++) {
		struct queued q = {.id = 1 + (uint64_t)random() % IDS,
				   .deadline_ns = UINT64_MAX / 2 + (uint64_t)random() % 100,
				   .priority = (uint32_t)random() % 2};
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
			warm_hurry(f->w, id);
		if (id % 5)
			continue;
		for (int n = warm_cancel(f->w, id); n > 0; n--) {
			struct warm_result r = take(f);

			assert_true(r.id == id && r.outcome == WARM_CANCELLED);
		}
	}
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	assert_int_equal(take(f).id, PLUG);
	qsort(left, left_n, sizeof(left[0]), by_turn);
	for (uint32_t i = 0; i < left_n; i++)
		assert_int_equal(take(f).cookie, left[i].cookie);
}

/* While a thread is at a file for long, the other has the names done. */
static void test_warm_names_do_not_wait_for_a_long_read(void **state)
{
	struct fix *f = *state;

	skip_on_tmpfs(f);
	f->limits.thread_n = 2;
	plug(f, 1, 0);
	assert_int_equal(warm_submit(f->w,
				     &(struct warm_job){.id = PLUG + 1,
							.kind = WARM_FILE,
							.path = file(f, "second plug", MIB)},
				     NULL),
			 0);
	running(f, 2);
	names_and_files(f);
	assert_int_equal(warm_cancel(f->w, PLUG + 1), 1);
	assert_int_equal(take(f).id, PLUG + 1);
	for (uint64_t i = 0; i < NAMES; i++)
		assert_int_equal(take(f).id, NAMES - i);
	for (uint64_t i = 0; i < FILES; i++)
		assert_int_equal(take(f).id, NAMES + FILES - i);
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	assert_int_equal(take(f).id, PLUG);
}

/* Settled before it was read: it stays all the same. */
static void test_warm_keeps_what_is_settled_early(void **state)
{
	struct fix *f = *state;
	const char *p;

	skip_on_tmpfs(f);
	f->limits.thread_n = 1;
	plug(f, 16 * MIB, 0);
	p = file(f, "early", 2 * MIB);
	assert_int_equal(
		warm_submit(f->w, &(struct warm_job){.id = 7, .kind = WARM_FILE, .path = p}, NULL),
		0);
	warm_settle(f->w, 7);
	(void)warm_cancel(f->w, PLUG);
	assert_int_equal(take(f).id, PLUG);
	assert_int_equal(take(f).bytes_read, 2 * MIB);
	assert_int_equal(warm_release(f->w, 7), 0);
	assert_int_equal(take(f).bytes_read, 0);
	assert_int_equal(pages_of_file(p), 2 * MIB);
}

static void test_warm_keeps_to_its_rate(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	const char *p;

	skip_on_tmpfs(f);
	f->limits.bytes_per_s = 20 * MIB;
	start(f);
	p = file(f, "big", 12 * MIB);
	r = run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.outcome, WARM_DONE);
	/* 12 MiB at 20 MiB/s, less a burst of 2 MiB: half a second. */
	assert_true(r.took_ns > 450000000);
	assert_true(r.took_ns < 3000000000ull);
}

static void test_warm_is_bounded(void **state)
{
	struct fix *f = *state;
	struct warm_job j = {.id = 1, .kind = WARM_DENTRY, .path = "/"};
	struct warm_stats st;

	f->limits.job_max = 5;
	start(f);
	for (int i = 0; i < 5; i++)
		assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	assert_int_equal(warm_submit(f->w, &j, NULL), WARM_FULL);
	for (int i = 0; i < 5; i++)
		take(f);
	assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	take(f);
	warm_stats(f->w, &st);
	assert_int_equal(st.submitted_n, 6);
	assert_int_equal(st.full_n, 1);
}

static void test_warm_holds_no_more_than_allowed(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	const char *p;

	skip_on_tmpfs(f);
	f->limits.held_bytes_max = 4 * MIB;
	start(f);
	p = file(f, "a", 3 * MIB);
	assert_int_equal(run(f, (struct warm_job){.id = 1, .kind = WARM_FILE, .path = p}).outcome,
			 WARM_DONE);
	p = file(f, "b", 3 * MIB);
	r = run(f, (struct warm_job){.id = 2, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.err, EDQUOT);
	assert_int_equal(pages_of_file(p), MIB);
	warm_settle(f->w, 1);
	r = run(f, (struct warm_job){.id = 3, .kind = WARM_FILE, .path = p});
	assert_int_equal(r.err, 0);
	assert_int_equal(pages_of_file(p), 3 * MIB);
}

static struct warm_result release(struct fix *f, uint64_t id)
{
	struct warm_result r;

	assert_int_equal(warm_release(f->w, id), 0);
	r = take(f);
	assert_int_equal(r.outcome, WARM_RELEASED);
	return r;
}

static void test_warm_releases_only_what_no_one_used(void **state)
{
	struct fix *f = *state;
	struct warm_result r;
	static char buf[1 << 20];
	const char *p;
	char *map;
	int fd;

	skip_on_tmpfs(f);
	start(f);
	p = file(f, "wrong", 8 * MIB);
	run(f, (struct warm_job){.id = 5, .kind = WARM_FILE, .path = p});
	r = release(f, 5);
	if (r.err == EPERM)
		skip_because("no CAP_SYS_ADMIN: /proc/kpageflags is hidden");
	assert_int_equal(pages_of_file(p), 0);
	/* A host that reclaims pages may have taken some of them before. */
	assert_in_range(r.bytes_read, 7 * MIB, 8 * MIB);

	/* Someone reads 1 MiB, maps and touches another, and keeps a third mapped. */
	run(f, (struct warm_job){.id = 6, .kind = WARM_FILE, .path = p});
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
	struct fix *f = *state;
	static char buf[1 << 20];
	const char *p;
	int fd;

	skip_on_tmpfs(f);
	start(f);
	p = file(f, "half", 4 * MIB);
	fd = open(p, O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	close(fd);
	run(f, (struct warm_job){.id = 5, .kind = WARM_FILE, .path = p});
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
		{"nobody else reads", 0, 1, false},
		{"others read", 1, 1, true},
		{"others read, and it is wanted now", 1, 0, false},
	};
	struct fix *f = *state;
	static uint32_t others;

	skip_on_tmpfs(f);
	f->limits.thread_n = f->limits.ahead_thread_n = 1;
	f->limits.disk_reads = reads_of_others;
	f->limits.disk_ctx = &others;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct warm_stats s;
		struct warm_result r;
		const char *p = file(f, "yield", 8 * MIB);

		others = cases[i].others;
		start(f);
		r = run(f, (struct warm_job){.id = 1,
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
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_warm_makes_a_whole_file_resident),
		T(test_warm_reads_the_ranges_and_no_more),
		T(test_warm_stops_at_bytes_max),
		T(test_warm_skips_holes_of_a_huge_sparse_file),
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
