// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The real daemon does what can wait behind everybody else, and nothing else is behind: what it starts, and what
 * is to be done at once where no processor is ever idle.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"
#include "support/job.h"
#include "support/sight.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOG_MAX = 128, LEARN_RUNS = 3, STARTS = 3, WAIT_MS = 20000, IDLE_S = 4 };

static const char *const sets[] = {"plan.recheck=50ms", "plan.io-pressure-max=100%",
				   "plan.memory-pressure-max=100%", NULL};

/* How much the daemon says it has lost; -1: it does not say. */
static long lost_n(const struct forewarmd *f)
{
	char command[256], line[16384];
	const char *at;
	long n = -1;
	FILE *p;

	(void)snprintf(command, sizeof(command),
		       "%s/forewarm --json --socket %s/run/control.sock status", getenv("FWM_OUT"),
		       f->dir);
	p = popen(command, "re");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p)) {
		at = strstr(line, "\"lost_n\":");
		if (at)
			n = strtol(at + strlen("\"lost_n\":"), NULL, 10);
	}
	(void)pclose(p);
	return n;
}

/* --- who is behind --------------------------------------------------------------------------------- */

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512], *at;
	_cleanup_(fclosep) FILE *f = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f) || !(at = strrchr(text, ')')))
		return -1;
	return (pid_t)strtol(at + 4, NULL, 10); /* ") S 123" */
}

static bool descends(pid_t pid, pid_t from)
{
	while (pid > 1 && pid != from)
		pid = parent_of(pid);
	return pid == from;
}

static bool is_idle(pid_t tid)
{
	int policy = sched_getscheduler(tid);

	return policy >= 0 && (policy & ~SCHED_RESET_ON_FORK) == SCHED_IDLE;
}

/* Threads of the process under SCHED_IDLE, but for its first if that is the daemon. */
static unsigned idle_threads(pid_t pid, const struct forewarmd *f)
{
	char path[64];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0 && tid != f->pid && is_idle(tid)) {
			print_message("# thread %d of %d is SCHED_IDLE\n", (int)tid, (int)pid);
			n++;
		}
	}
	if (d)
		(void)closedir(d);
	return n;
}

/* Of all that the daemon has started and runs; *ret_n: how many processes that are. */
static unsigned idle_below(const struct forewarmd *f, unsigned *ret_n)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	*ret_n = 0;
	while ((e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid <= 0 || !descends(pid, f->pid))
			continue;
		*ret_n += pid != f->pid;
		n += idle_threads(pid, f);
	}
	(void)closedir(d);
	return n;
}

static bool seen_behind(const struct forewarmd *f)
{
	for (int us = 0; us < WAIT_MS * 1000; us += 100) {
		if (is_idle(f->pid))
			return true;
		if (us % 1000 == 0)
			(void)access("/nowhere", F_OK); /* something to be told */
		usleep(100);
	}
	return false;
}

static void test_behind_is_the_loop_and_nobody_else(void **state)
{
	char command[512];
	struct forewarmd f;
	unsigned n;

	(void)state;
	forewarmd_need();
	forewarmd_init(&f);
	forewarmd_start(&f, NULL);
	assert_true(seen_behind(&f));
	(void)snprintf(command, sizeof(command),
		       "%s/forewarm run --socket %s/run/control.sock sh -c '"
		       "set -- $(sed \"s/.*) //\" /proc/self/stat); test ${39} = 0'",
		       getenv("FWM_OUT"), f.dir);
	if (system(command) != 0)
		forewarmd_show_log(&f);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < 10; i++) {
		usleep(100000);
		assert_int_equal(idle_below(&f, &n), 0);
		assert_true(n > 0); /* sandboxes wait for the next one */
	}
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

/* --- where no processor is idle ---------------------------------------------------------------------- */

static int hogs_start(pid_t pids[HOG_MAX])
{
	long n = 2 * sysconf(_SC_NPROCESSORS_ONLN);

	if (n > HOG_MAX)
		n = HOG_MAX;
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		while (pids[i] == 0)
			;
	}
	return (int)n;
}

static void hogs_end(const pid_t pids[HOG_MAX], int n)
{
	int status;

	for (int i = 0; i < n; i++)
		assert_int_equal(kill(pids[i], SIGKILL), 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
}

static bool start_is_foretold(struct job *s, struct job_file look)
{
	bool read = false;

	usleep(600000); /* runs of a person are some time apart */
	job_evict(look);
	job_start(s);
	for (int ms = 0; ms < 2000 * (int)built_scale() && !read; ms += 10) {
		usleep(10000);
		read = job_resident(look) >= 0.99;
	}
	job_finish(s);
	return read;
}

static void test_behind_keeps_no_guess_waiting(void **state)
{
	int hog_n, read_n = 0;
	pid_t hogs[HOG_MAX];
	struct job_file look;
	struct forewarmd f;
	struct job s;

	(void)state;
	job_init(&f, &s, JOB_STEPS("third"), sets);
	look = job_look(&s, "second");
	for (int i = 0; i < LEARN_RUNS; i++)
		(void)start_is_foretold(&s, look);
	hog_n = hogs_start(hogs);
	for (int i = 0; i < STARTS + 2 && read_n < STARTS; i++)
		read_n += start_is_foretold(&s, look);
	hogs_end(hogs, hog_n);
	if (read_n < STARTS)
		forewarmd_show_log(&f);
	assert_int_equal(read_n, STARTS);
	assert_int_equal(lost_n(&f), 0);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

/* --- where nothing happens ---------------------------------------------------------------------------- */

/* Of the loop's thread, and of the one that fetches it. */
static long waits_n(pid_t pid)
{
	char path[64], line[128], name[32] = "";
	struct dirent *e;
	long sum = 0, n;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		_cleanup_(fclosep) FILE *f = NULL;

		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)pid,
			       e->d_name);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "Name: %31s", name) != 1 &&
			    sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 &&
			    (atoi(e->d_name) == pid || !strcmp(name, "forewarm-fetch")))
				sum += n;
	}
	(void)closedir(d);
	return sum;
}

/* Ten drains a second, and with them what else the time brings: 17 wakeups where each came by itself. */
static void test_behind_comes_together(void **state)
{
	struct forewarmd f;
	long before, n;

	(void)state;
	forewarmd_need();
	forewarmd_init(&f);
	f.only_us = true;
	forewarmd_start(&f, NULL);
	usleep(1000000);
	before = waits_n(f.pid);
	usleep(IDLE_S * 1000000);
	n = waits_n(f.pid) - before;
	print_message("# %ld wakeups in %d s\n", n, IDLE_S);
	assert_true(before > 0 && n > 0);
	assert_true(n < 13 * IDLE_S);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behind_is_the_loop_and_nobody_else),
		cmocka_unit_test(test_behind_keeps_no_guess_waiting),
		cmocka_unit_test(test_behind_comes_together),
	};

	return cmocka_run_group_tests_name("behind", tests, NULL, NULL);
}
