// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The real daemon on a host that really waits for its disk: what is guessed is not read ahead meanwhile, the
 * guesses say that they wait, or that it became too late, and afterwards they are acted on again.
 *
 * The load is some processes that read a file of ours of 3 MiB past the page cache, for some seconds; what is
 * waited for is not told of a control group alone where the first kind of these is mounted, so it is the host's.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"
#include "support/job.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STALLERS = 6, BUILD_MS = 30000, FADE_MS = 60000, RUNS = 10 };

/* What the daemon is told, what is waited for: well above; and well below, in percent. */
#define LIMIT "plan.io-pressure-max=15%"
#define HIGH 20.0
#define LOW 10.0

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
 * "": there is none. */
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
		       "%s/forewarm --json --socket %s/run/control.sock why %s -n 100",
		       getenv("FWM_OUT"), f->dir, path);
	p = popen(command, "re");
	assert_non_null(p);
	ret[0] = '\0';
	while (fgets(line, sizeof(line), p)) {
		at = strstr(line, "\"id\":");
		if (ret[0] || !at || sscanf(at, "\"id\": %lu", &is) != 1 || (*id && is != *id))
			continue;
		at = strstr(line, key);
		assert_non_null(at);
		(void)sscanf(at + strlen(key), " \"%31[a-z]\"", ret);
		*id = is;
	}
	(void)pclose(p);
}

static void give_up(struct forewarmd *f, const char *because)
{
	(void)forewarmd_stop(f);
	forewarmd_fini(f);
	skip_because("%s", because);
}

/* Is it read ahead, and said to be, in one of some runs? */
static bool is_read_ahead(const struct forewarmd *f, struct job *s, struct job_file look, int runs)
{
	char decision[32];
	unsigned long id;
	bool read = false;

	for (int i = 0; i < runs && !read; i++) {
		usleep(300000); /* the runs are some time apart, as a person's are */
		job_evict(look);
		job_start(s); /* stops at the first gate: nothing of ours has read it */
		for (int ms = 0; ms < 1500 && !read; ms += 50) {
			usleep(50000);
			read = job_resident(look) >= 0.99;
		}
		id = 0;
		why(f, s, "second", "decision", &id, decision);
		read = read && strcmp(decision, "acted") == 0;
		job_finish(s);
	}
	return read;
}

static void test_nothing_is_read_ahead_while_the_disk_is_waited_for(void **state)
{
	char waits[32], outcome[32];
	pid_t stallers[STALLERS];
	struct job_file look;
	struct forewarmd f;
	unsigned long id = 0;
	double share = 0;
	struct job s;

	(void)state;
	job_init(&f, &s, JOB_STEPS("third"), sets);
	look = job_look(&s, "second");
	if (stalled() < 0)
		give_up(&f, "this kernel does not tell what is waited for");
	if (!wait_stalled(false, FADE_MS))
		give_up(&f, "others keep this host waiting for its disk");
	assert_true(is_read_ahead(&f, &s, look, RUNS));
	if (!stallers_start(&s, stallers))
		give_up(&f, "this file system does not read past its cache");
	if (!wait_stalled(true, BUILD_MS)) {
		stallers_end(stallers);
		give_up(&f, "this disk is not waited for");
	}
	usleep(600000); /* the daemon looks four times a second */
	job_evict(look);
	job_start(&s);
	for (int i = 0; i < 15; i++) {
		usleep(100000);
		share = job_resident(look) > share ? job_resident(look) : share;
	}
	why(&f, &s, "second", "decision", &id, waits);
	job_finish(&s);
	sleep(1); /* drained since */
	why(&f, &s, "second", "outcome", &id, outcome);
	stallers_end(stallers);
	if (share > 0.1 || strcmp(waits, "waits") != 0 || strcmp(outcome, "missed") != 0)
		forewarmd_show_log(&f);
	assert_true(share < 0.1);
	assert_string_equal(waits, "waits");
	assert_string_equal(outcome, "missed"); /* and counted */
	if (!wait_stalled(false, FADE_MS))
		give_up(&f, "others keep this host waiting for its disk");
	usleep(600000);
	assert_true(is_read_ahead(&f, &s, look, RUNS));
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_read_ahead_while_the_disk_is_waited_for),
	};

	return cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
}
