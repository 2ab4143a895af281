// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * More than the reader can take: counts stay exact, nothing is lost uncounted, and soon all is told
 * again. And more names and processes than there is room for: memory stays what it is.
 */
#include "support/support.h"
#include "support/scratch.h"
#include "support/built.h"

#include "support/sight.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES 50
#define ROUNDS 1000
#define ABSENT 10
#define ABSENT_ROUNDS 500

struct tally {
	char dir[SCRATCH_DIR_MAX];
	uint64_t open[FILES], open_folded, miss[ABSENT];
	uint64_t folded;  /* of whatever file: programs look twice for what a host has not */
	uint64_t slow_ns; /* how long each record takes the reader */
	uint32_t gone;	  /* the process that ended last */
	unsigned late_n;  /* told of it after its end */
};

static struct timespec now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t;
}

static double since(struct timespec a)
{
	struct timespec b = now();

	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void observe(void *ctx, const struct obs *o)
{
	struct tally *t = ctx;
	size_t n = strlen(t->dir);
	unsigned k;

	t->folded += o->kind == OBS_FOLD ? o->count : 0;
	if ((o->kind == OBS_OPEN || o->kind == OBS_FOLD) && !strncmp(o->name, t->dir, n)) {
		if (!o->err && sscanf(o->name + n, "/file%u", &k) == 1 && k < FILES) {
			t->open[k] += o->count;
			t->open_folded += o->kind == OBS_FOLD ? o->count : 0;
		}
		if (o->err && sscanf(o->name + n, "/absent%u", &k) == 1 && k < ABSENT)
			t->miss[k] += o->count;
		t->late_n += o->pid == t->gone;
	}
	if (o->kind == OBS_EXIT)
		t->gone = o->pid;
	for (struct timespec a = now(); t->slow_ns && since(a) * 1e9 < (double)t->slow_ns;)
		;
}

static struct capture *start(uint32_t ring_bytes)
{
	return sight_open(
		(struct capture_opts){SIGHT_STARTED, .ring_bytes = ring_bytes, .name_max = 8192});
}

static void hammer(const void *dir)
{
	char path[128];

	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < FILES; k++) {
			(void)snprintf(path, sizeof(path), "%s/file%d", (const char *)dir, k);
			close(open(path, O_RDONLY));
		}
		for (int k = 0; k < ABSENT && i < ABSENT_ROUNDS; k++) {
			(void)snprintf(path, sizeof(path), "%s/absent%d", (const char *)dir, k);
			(void)!open(path, O_RDONLY);
		}
	}
}

static void light(const void *dir)
{
	char path[128];

	for (int k = 0; k < FILES; k++) {
		(void)snprintf(path, sizeof(path), "%s/file%d", (const char *)dir, k);
		close(open(path, O_RDONLY));
	}
}

static void run(struct capture *c, sight_fn *fn, struct tally *t)
{
	pid_t pid = sight_start(c, fn, t->dir);

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		sight_drain(c, observe, t);
		usleep(1000);
	}
	sight_drain(c, observe, t);
}

/* pause: nothing is drained while the generator runs; else all is, but slowly. */
static void overload(bool pause, uint64_t slow_ns)
{
	struct tally t = {.slow_ns = slow_ns};
	struct capture *c = start(256 << 10);
	struct capture_counters n, before;
	struct timespec end;
	uint64_t lost = 0;
	char path[128];
	int status;
	pid_t pid;

	assert_int_equal(scratch_make_in(t.dir, "/var/tmp", "over"), 0);
	for (int k = 0; k < FILES; k++) {
		(void)snprintf(path, sizeof(path), "%s/file%d", t.dir, k);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	pid = sight_start(c, hammer, t.dir);
	while (waitpid(pid, &status, pause ? 0 : WNOHANG) == 0)
		(void)capture_drain(c, 64, observe, &t);
	end = now();
	t.slow_ns = 0;
	sight_drain(c, observe, &t);
	assert_int_equal(capture_counters(c, &n), 0);
	print_message("# %lu opens: %lu told, %lu folded\n",
		      (unsigned long)n.hook[FWM_HOOK_OPENAT].seen,
		      (unsigned long)n.hook[FWM_HOOK_OPENAT].sent,
		      (unsigned long)n.hook[FWM_HOOK_OPENAT].folded);
	for (int k = 0; k < FILES; k++)
		assert_int_equal(t.open[k], ROUNDS);
	for (int k = 0; k < ABSENT; k++)
		assert_int_equal(t.miss[k], ABSENT_ROUNDS);
	assert_true(t.open_folded > 0);
	assert_int_equal(n.unnamed_n, 0);
	sight_assert_counted(n.hook);
	for (int h = 0; h < FWM_HOOK_MAX; h++)
		lost += n.hook[h].ring_full;
	assert_int_equal(lost, 0);

	/* Back to normal: every single open is told again. */
	before = n;
	pid = sight_start(c, light, t.dir);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	sight_drain(c, observe, &t);
	assert_true(since(end) < 1.0);
	assert_int_equal(capture_counters(c, &n), 0);
	assert_int_equal(n.hook[FWM_HOOK_OPENAT].sent - before.hook[FWM_HOOK_OPENAT].sent, FILES);
	assert_int_equal(n.hook[FWM_HOOK_OPENAT].folded, before.hook[FWM_HOOK_OPENAT].folded);
	capture_close(c);
	assert_int_equal(scratch_remove(t.dir), 0);
}

static void test_counts_stay_exact_when_nobody_reads(void **state)
{
	(void)state;
	overload(true, 0);
}

static void test_counts_stay_exact_when_the_reader_is_slow(void **state)
{
	(void)state;
	/* 50,000 records a second, of more than 250,000 */
	overload(false, 20000 * built_scale());
}

/* --- more than any table holds ---------------------------------------------------------------------- */

#define DISTINCT (2 * FWM_FOLDS_MAX)

static void miss_n(const char *dir, int n)
{
	char path[128];

	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/missing%d", dir, i);
		(void)!open(path, O_RDONLY);
	}
}

static void miss_all(const void *dir)
{
	miss_n(dir, DISTINCT);
}

static void miss_some(const void *dir)
{
	miss_n(dir, FILES);
}

struct missed {
	const char *dir;
	uint64_t n;
};

static void observe_missed(void *ctx, const struct obs *o)
{
	struct missed *m = ctx;

	if ((o->kind == OBS_OPEN || o->kind == OBS_FOLD) && o->err &&
	    !strncmp(o->name, m->dir, strlen(m->dir)))
		m->n += o->count;
}

/* Each of another name, while nobody reads: neither the ring nor the folds have room for them. */
static void test_what_is_lost_is_counted(void **state)
{
	char dir[SCRATCH_DIR_MAX];
	struct missed m = {.dir = dir};
	struct capture *c = start(64 << 10);
	struct capture_counters n;
	const struct fwm_counts *v = &n.hook[FWM_HOOK_OPENAT];
	uint64_t lost, told;

	(void)state;
	assert_int_equal(scratch_make_in(dir, "/var/tmp", "over"), 0);
	assert_int_equal(sight_run(c, miss_all, dir), 0);
	sight_drain(c, observe_missed, &m);
	assert_int_equal(capture_counters(c, &n), 0);
	print_message("# %lu opens: %lu told, %lu folded, %lu lost\n", (unsigned long)v->seen,
		      (unsigned long)v->sent, (unsigned long)v->folded,
		      (unsigned long)v->ring_full);
	assert_true(v->ring_full > 0 && v->sent > 0 && v->folded > 0);
	assert_int_equal(m.n + v->ring_full, DISTINCT);
	assert_int_equal(v->seen, v->filtered + v->unreadable + v->ring_full + v->sent + v->folded);

	/* Once it is read again, nothing more is lost. */
	lost = v->ring_full;
	told = m.n;
	assert_int_equal(sight_run(c, miss_some, dir), 0);
	sight_drain(c, observe_missed, &m);
	assert_int_equal(capture_counters(c, &n), 0);
	assert_int_equal(v->ring_full, lost);
	assert_int_equal(m.n, told + FILES);
	capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

/* --- the same file again ---------------------------------------------------------------------------- */

#define AGAIN 5000

static void open_n(const char *dir, unsigned file, unsigned n)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/file%u", dir, file);
	while (n--)
		close(open(path, O_RDONLY));
}

/* Ends with its last count not told yet; so does the program it was before. */
static void again_and_again(const void *dir)
{
	char path[128];

	open_n(dir, 0, AGAIN);
	open_n(dir, 1, AGAIN / 2);
	open_n(dir, 0, AGAIN);
	if (fork() == 0) {
		(void)snprintf(path, sizeof(path), "%s/file2", (const char *)dir);
		open_n(dir, 2, AGAIN);
		execl("/bin/cat", "cat", path, NULL);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void *wait_for_ever(void *unused)
{
	(void)unused;
	(void)pause();
	return NULL;
}

static void again_with_threads(const void *dir)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)
		open_n(dir, 3, AGAIN / 10);
}

static void test_a_file_opened_again_and_again_is_counted(void **state)
{
	struct tally t = {0};
	struct capture *c = start(0);
	struct capture_counters n;
	const struct fwm_counts *v = &n.hook[FWM_HOOK_OPENAT];
	uint64_t folded;
	char path[128];

	(void)state;
	while (capture_closer(c, false, 0) == CAPTURE_MORE) /* each is told while calls are timed */
		;
	assert_int_equal(scratch_make_in(t.dir, "/var/tmp", "over"), 0);
	for (int k = 0; k < 4; k++) {
		(void)snprintf(path, sizeof(path), "%s/file%d", t.dir, k);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	run(c, again_and_again, &t);
	assert_int_equal(t.open[0], 2 * AGAIN);
	assert_int_equal(t.open[1], AGAIN / 2);
	assert_int_equal(t.open[2], AGAIN + 1);
	assert_int_equal(t.late_n, 0);
	assert_int_equal(capture_counters(c, &n), 0);
	print_message("# %lu opens: %lu told, %lu counted\n", (unsigned long)v->seen,
		      (unsigned long)v->sent, (unsigned long)v->folded);
	assert_int_equal(v->folded, t.folded);
	assert_int_equal(n.folded_n, v->folded);
	assert_true(t.open_folded > AGAIN);
	assert_int_equal(v->seen, v->filtered + v->unreadable + v->sent + v->folded);
	folded = v->folded;
	run(c, again_with_threads, &t);
	assert_int_equal(t.open[3], AGAIN / 10);
	assert_int_equal(capture_counters(c, &n), 0);
	assert_int_equal(v->folded, folded);
	capture_close(c);
	assert_int_equal(scratch_remove(t.dir), 0);
}

static void look_for(const char *dir, unsigned file, unsigned n)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/absent%u", dir, file);
	while (n--)
		(void)!open(path, O_RDONLY);
}

/* Likewise, for what is not there; and of the last, for one relative to two folders. */
static void in_vain_again_and_again(const void *dir)
{
	char path[128];

	look_for(dir, 0, AGAIN);
	look_for(dir, 1, AGAIN / 2);
	look_for(dir, 0, AGAIN);
	open_n(dir, 0, AGAIN);
	look_for(dir, 0, 1);
	if (fork() == 0) {
		(void)snprintf(path, sizeof(path), "%s/absent2", (const char *)dir);
		look_for(dir, 2, AGAIN);
		close(STDERR_FILENO);
		execl("/bin/cat", "cat", path, NULL);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	for (int i = 0; i < 2; i++) {
		if (chdir(i ? dir : "/") < 0)
			_exit(1);
		look_for(".", 3, AGAIN);
	}
}

static void test_what_is_looked_for_again_and_again_is_counted(void **state)
{
	struct tally t = {0};
	struct capture *c = start(0);
	struct capture_counters n;
	const struct fwm_counts *v = &n.hook[FWM_HOOK_OPENAT];
	char path[128];

	(void)state;
	while (capture_closer(c, false, 0) == CAPTURE_MORE)
		;
	assert_int_equal(scratch_make_in(t.dir, "/var/tmp", "over"), 0);
	(void)snprintf(path, sizeof(path), "%s/file0", t.dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	run(c, in_vain_again_and_again, &t);
	assert_int_equal(t.miss[0], 2 * AGAIN + 1);
	assert_int_equal(t.miss[1], AGAIN / 2);
	assert_int_equal(t.miss[2], AGAIN + 1);
	assert_int_equal(t.miss[3], AGAIN);
	assert_int_equal(t.open[0], AGAIN);
	assert_int_equal(t.late_n, 0);
	assert_int_equal(capture_counters(c, &n), 0);
	assert_int_equal(n.folded_n, v->folded);
	assert_true(v->folded > 5 * AGAIN);
	assert_int_equal(v->seen, v->filtered + v->unreadable + v->sent + v->folded);
	capture_close(c);
	assert_int_equal(scratch_remove(t.dir), 0);
}

/* --- memory -------------------------------------------------------------------------------------- */

static unsigned long scale(void)
{
	const char *s = getenv("SOAK");

	return s ? strtoul(s, NULL, 10)
		 : 1; /* SOAK=50: a million paths opened, a million more in vain, 50,000 processes */
}

static void many(const char *dir, unsigned long first, unsigned long paths, unsigned long pids)
{
	char path[160];

	for (unsigned long i = first; i < first + paths; i++) {
		(void)snprintf(path, sizeof(path), "%s/a-name-of-some-length-%lu", dir, i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		unlink(path);
		(void)snprintf(path, sizeof(path), "/a-place-that-is-not/there-%lu", i);
		(void)!open(path, O_RDONLY);
	}
	for (unsigned long i = 0; i < pids; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		(void)waitpid(pid, NULL, 0);
	}
}

static void warm_up(const void *dir)
{
	many(dir, 0, 10000, 500);
}

static void soak(const void *dir)
{
	many(dir, 10000, 20000 * scale(), 1000 * scale());
}

static unsigned long rss_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "VmRSS: %lu", &kib);
	fclose(f);
	return kib;
}

static void test_memory_stays_flat(void **state)
{
	struct tally t = {0};
	struct capture *c = start(0);
	struct capture_counters n;
	unsigned long before, after;

	(void)state;
	assert_int_equal(scratch_make(t.dir, "soak"), 0);
	run(c, warm_up, &t);
	before = rss_kib();
	run(c, soak, &t);
	after = rss_kib();
	assert_int_equal(capture_counters(c, &n), 0);
	print_message("# RSS %lu KiB, then %lu after %lu paths and %lu processes\n", before, after,
		      (unsigned long)n.hook[FWM_HOOK_OPENAT].seen,
		      (unsigned long)n.hook[FWM_HOOK_EXIT].seen);
	assert_true(after * 10 <= before * 11);
	capture_close(c);
	assert_int_equal(scratch_remove(t.dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_stay_exact_when_nobody_reads),
		cmocka_unit_test(test_counts_stay_exact_when_the_reader_is_slow),
		cmocka_unit_test(test_what_is_lost_is_counted),
		cmocka_unit_test(test_what_is_looked_for_again_and_again_is_counted),
		cmocka_unit_test(test_a_file_opened_again_and_again_is_counted),
		cmocka_unit_test(test_memory_stays_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
