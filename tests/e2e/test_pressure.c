// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The real daemon on a host that really waits for its disk: what is guessed is not read ahead meanwhile, the
 * guesses say that they wait, or that it became too late, and afterwards they are acted on again.
 *
 * Likewise for a program whose own control group has no room left.
 *
 * The load is some processes that read a file of ours of 3 MiB past the page cache, for some seconds; what is
 * waited for is not told of a control group alone where the first kind of these is mounted, so it is the host's.
 */
#include "support/support.h"
#include "support/built.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"
#include "support/job.h"
#include "support/sight.h"
#include "sys/memgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STALLERS = 6,
	BUILD_MS = 30000,
	FADE_MS = 60000,
	RUNS = 10,
	BUSY_RUNS = 5,
	HABIT_RUNS = 6,
	TRIES = 3
};

/* What the daemon is told, what is waited for: well above; and well below, in percent. */
#define LIMIT "plan.io-pressure-max=15%"
#define HIGH 20.0
#define LOW 10.0

/* Of the control group, and what in it leaves less room than a file of the script has bytes. */
#define LIMIT_TEXT "67108864"
#define HOG_BYTES ((size_t)62 << 20)

static const char *const sets[] = {"plan.recheck=50ms", LIMIT, "plan.memory-pressure-max=100%",
				   NULL};

/* The first figure of the line "some"; < 0: this kernel does not tell. */
static double stalled(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/pressure/io", "re");
	double v;

	return f && fscanf(f, "some avg10=%lf", &v) == 1 ? v : -1;
}

static bool wait_stalled(bool high, int ms)
{
	for (; ms > 0 && (high ? stalled() < HIGH : stalled() > LOW); ms -= 100)
		usleep(100000);
	return ms > 0;
}

/* Waits for the disk, and for nothing else, until it is killed. */
static pid_t staller_start(int fd)
{
	static char buf[1 << 18] __attribute__((aligned(4096)));
	pid_t pid = fork();

	assert_true(pid >= 0);
	while (pid == 0)
		for (off_t at = 0; at < JOB_FILE_BYTES; at += (off_t)sizeof(buf))
			if (pread(fd, buf, sizeof(buf), at) != (ssize_t)sizeof(buf))
				_exit(1);
	return pid;
}

/* false: this file system does not read past its cache. */
static bool stallers_start(const struct job *s, pid_t ret[STALLERS])
{
	_cleanup_(closep) int fd = -1;
	char path[128];

	job_path(s, "other", path);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < STALLERS; i++)
		ret[i] = staller_start(fd);
	return fd >= 0;
}

static void stallers_end(const pid_t pids[STALLERS])
{
	int status;

	for (int i = 0; i < STALLERS; i++) {
		assert_int_equal(kill(pids[i], SIGKILL), 0);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
	}
}

/* What the daemon says of a guess of that file, as the text of a field: of the newest, if *id is 0, which it sets.
 * "": there is none, or it does not say that of it (any more). */
static void why(const struct forewarmd *f, const struct job *s, const char *name, const char *field,
		unsigned long *id, char ret[32])
{
	char command[512], path[128], line[8192], key[32];
	const char *at;
	unsigned long is;
	FILE *p;

	job_path(s, name, path);
	(void)snprintf(key, sizeof(key), "\"%s\":", field);
	(void)snprintf(command, sizeof(command),
		       "%s/forewarm --json --socket %s/run/control.sock why %s -n 100", built_at(),
		       f->dir, path);
	p = popen(command, "re");
	assert_non_null(p);
	ret[0] = '\0';
	while (fgets(line, sizeof(line), p)) {
		at = strstr(line, "\"id\":");
		if (!at || sscanf(at, "\"id\": %lu", &is) != 1 || (*id && is != *id))
			continue;
		*id = is;
		at = strstr(line, key);
		if (at && sscanf(at + strlen(key), " \"%31[a-z]\"", ret) != 1)
			(void)sscanf(at + strlen(key), " %31[0-9]", ret);
		break;
	}
	while (fgets(line, sizeof(line),
		     p)) /* or it would be told to stop before it has said all */
		continue;
	(void)pclose(p);
}

static void give_up(struct forewarmd *f, const char *because)
{
	(void)forewarmd_stop(f);
	forewarmd_fini(f);
	skip_because("%s", because);
}

/* So often that its steps are trusted with more bytes than they have, whatever else the script may do next. */
static void make_habit(struct job *s)
{
	for (int i = 0; i < HABIT_RUNS; i++) {
		job_start(s);
		job_finish(s);
		usleep(300000);
	}
}

/* Is it read ahead, and said to be, in one of some runs? Those in which others made the disk waited for do not
 * count: there it must not be. */
static bool is_read_ahead(struct forewarmd *f, struct job *s, struct job_file look, int runs)
{
	char decision[32];
	unsigned long id;
	bool read = false;

	for (int i = 0, busy = 0; i < runs && !read; i++) {
		if (busy == BUSY_RUNS || !wait_stalled(false, FADE_MS))
			give_up(f, "others keep this host waiting for its disk");
		usleep(1500000); /* the daemon looks each second; and a person's runs are some time apart */
		job_evict(look);
		job_start(s); /* stops at the first gate: nothing of ours has read it */
		for (int ms = 0; ms < 1500 * (int)built_scale() && !read; ms += 50) {
			usleep(50000);
			read = job_resident(look) >= 0.99;
		}
		id = 0;
		why(f, s, "second", "decision", &id, decision);
		if (!read || strcmp(decision, "acted") != 0)
			print_message(
				"# run %d: %s, guess %lu is '%s', the disk is waited for %.0f %%\n",
				i, read ? "read" : "not read", id, decision, stalled());
		read = read && strcmp(decision, "acted") == 0;
		job_finish(s);
		if (!read && stalled() > LOW) {
			busy++;
			i--;
		}
	}
	return read;
}

/* A run that is left to its first steps for so long: the most of the file that was in memory meanwhile, and the
 * least that was waited for the disk. Ends with job_finish(). */
static double most_resident(struct job *s, struct job_file look, int ms, double *ret_stalled)
{
	double share = 0;

	*ret_stalled = stalled();
	usleep(1500000); /* the daemon looks each second */
	job_evict(look);
	job_start(s);
	for (; ms > 0; ms -= 100) {
		usleep(100000);
		share = fmax(share, job_resident(look));
		*ret_stalled = fmin(*ret_stalled, stalled());
	}
	return share;
}

static void test_nothing_is_read_ahead_while_the_disk_is_waited_for(void **state)
{
	char waits[32] = "", outcome[32] = "";
	pid_t stallers[STALLERS];
	struct job_file look;
	struct forewarmd f;
	unsigned long id;
	double share = 0, waited;
	struct job s;

	(void)state;
	job_init(&f, &s, JOB_STEPS("third"), sets);
	look = job_look(&s, "second");
	if (stalled() < 0)
		give_up(&f, "this kernel does not tell what is waited for");
	make_habit(&s);
	assert_true(is_read_ahead(&f, &s, look, RUNS));
	if (!stallers_start(&s, stallers))
		give_up(&f, "this file system does not read past its cache");
	if (!wait_stalled(true, BUILD_MS)) {
		stallers_end(stallers);
		give_up(&f, "this disk is not waited for");
	}
	/* In one of some runs: the moment in which it is guessed is not ours to choose. It is never read. Runs in which
	 * others kept our processes from waiting, by taking the processors, do not count. */
	for (int i = 0, calm = 0;
	     i < TRIES && (strcmp(waits, "waits") || strcmp(outcome, "missed")); i++) {
		double most;

		id = 0;
		most = most_resident(&s, look, 1500, &waited);
		why(&f, &s, "second", "decision", &id, waits);
		job_finish(&s);
		sleep(1); /* drained since */
		why(&f, &s, "second", "outcome", &id, outcome);
		if (waited >= HIGH) {
			share = fmax(share, most);
		} else if (++calm <= BUSY_RUNS) {
			waits[0] = '\0';
			i--;
		} else {
			stallers_end(stallers);
			give_up(&f, "this disk is not waited for all the time");
		}
	}
	stallers_end(stallers);
	if (share > 0.1 || strcmp(waits, "waits") != 0 || strcmp(outcome, "missed") != 0)
		forewarmd_show_log(&f);
	assert_true(share < 0.1);
	assert_string_equal(waits, "waits");
	assert_string_equal(outcome, "missed"); /* and counted */
	assert_true(is_read_ahead(&f, &s, look, RUNS));
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static int put(const char *dir, const char *file, const char *text)
{
	char path[320];
	_cleanup_(closep) int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* A control group of our own for the script, where memory is limited; false: there is none to be had. */
static bool group_make(struct job *s, char dir[256])
{
	char name[MEMGROUP_NAME_MAX], *of_v1;
	const char *limit = "memory.limit_in_bytes", *below = "/sys/fs/cgroup";

	if (!memgroup_name("", "self", name))
		return false;
	of_v1 = strchr(name, '\n') + 1;
	if (access("/sys/fs/cgroup/memory/tasks", F_OK) == 0) {
		below = "/sys/fs/cgroup/memory";
	} else { /* one for processes may not be above one with its own limit */
		limit = "memory.max";
		of_v1 = strcpy(name, "");
	}
	if (!strcmp(of_v1, "/"))
		of_v1 = strcpy(name, "");
	if (snprintf(dir, 256, "%s%s/forewarm-pressure-%d", below, of_v1, (int)getpid()) >= 240 ||
	    mkdir(dir, 0755) < 0)
		return false;
	if (put(dir, limit, LIMIT_TEXT) < 0) {
		(void)rmdir(dir);
		return false;
	}
	(void)snprintf(s->tasks, sizeof(s->tasks), "%s/cgroup.procs", dir);
	return true;
}

/* Holds so much of the group's memory until it is killed. */
static pid_t hog_start(const struct job *s, size_t bytes)
{
	char path[128];
	pid_t pid;

	job_path(s, "hog", path);
	(void)unlink(path);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *p;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		job_join(s);
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			_exit(1);
		memset(p, 1, bytes);
		(void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		for (;;)
			pause();
	}
	for (int ms = 0; ms < 10000 && access(path, F_OK) < 0; ms += 50)
		usleep(50000);
	assert_int_equal(access(path, F_OK), 0);
	return pid;
}

/* No more is read ahead for a program than its own control group has room for. */
static void test_no_more_is_read_ahead_than_the_group_has_room_for(void **state)
{
	static const char *const whatever[] = {"plan.recheck=50ms", "plan.io-pressure-max=100%",
					       "plan.memory-pressure-max=100%", NULL};
	char dir[256], decision[32], err[32] = "";
	struct job_file look;
	double share = 0, waited;
	struct forewarmd f;
	unsigned long id;
	struct job s;
	int status;
	pid_t hog;

	(void)state;
	job_init(&f, &s, JOB_STEPS("third"), whatever);
	if (!group_make(&s, dir))
		give_up(&f, "there is no control group to be had whose memory can be limited");
	look = job_look(&s, "second");
	make_habit(&s);
	assert_true(is_read_ahead(&f, &s, look, RUNS));
	hog = hog_start(&s, HOG_BYTES);
	/* Of several guesses of it the newest may be another than the one that was tried. It is never read. */
	for (int i = 0; i < TRIES && atoi(err) != ENOMEM; i++) {
		id = 0;
		share = fmax(share, most_resident(&s, look, 1000, &waited));
		why(&f, &s, "second", "errno", &id, err);
		why(&f, &s, "second", "decision", &id, decision);
		job_finish(&s);
	}
	assert_int_equal(kill(hog, SIGKILL), 0);
	assert_int_equal(waitpid(hog, &status, 0), hog);
	if (share > 0.1 || atoi(err) != ENOMEM)
		forewarmd_show_log(&f);
	assert_true(share < 0.1);
	if (atoi(err) != ENOMEM)
		fail_msg("not told to have failed, but '%s'", decision);
	usleep(600000);
	assert_true(is_read_ahead(&f, &s, look, RUNS));
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
	for (int i = 0; i < 20 && rmdir(dir) < 0; i++)
		usleep(100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_more_is_read_ahead_than_the_group_has_room_for),
		cmocka_unit_test(test_nothing_is_read_ahead_while_the_disk_is_waited_for),
	};

	return cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
}
