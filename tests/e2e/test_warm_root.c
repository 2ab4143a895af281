// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Hundreds of jobs in one container: its table of mounts is not read for each of them, and its root is not held
 * once there is nothing to do in it.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/scratch.h"
#include "sys/procfs.h"
#include "sys/warm.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES = 400, AWAY_MS = 2000 };

static char dir[SCRATCH_DIR_MAX];

static int group_setup(void **state)
{
	(void)state;
	return scratch_make_on_disk(dir, "root");
}

static int group_teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

/* A process whose root is dir, in a mount namespace of its own, until it is killed. */
static pid_t start_box(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount(dir, dir, NULL, MS_BIND, NULL) || chdir(dir) || chroot(".") ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return pid;
}

/* What this process, all its threads, has read by read(): a table of mounts is, a file warmed is not. */
static uint64_t bytes_read(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/io", "re");
	unsigned long long n;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "rchar: %llu", &n), 1);
	return n;
}

static uint64_t table_bytes(pid_t pid)
{
	char path[64], buf[4096];
	uint64_t all = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		all += (uint64_t)n;
	(void)close(fd);
	return all;
}

/* Descriptors of this process that lead to the box's root or its table of mounts. */
static unsigned held(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		char to[512];
		ssize_t len = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);

		if (len <= 0)
			continue;
		to[len] = '\0';
		n += strncmp(to, dir, strlen(dir)) == 0 || strstr(to, "/mountinfo");
	}
	(void)closedir(d);
	return n;
}

static void test_warm_root_is_kept_while_there_are_jobs(void **state)
{
	struct warm_job j = {.id = 1, .kind = WARM_FILE};
	struct warm_limits limits;
	struct warm_result r;
	struct warm *w;
	uint64_t before, table;
	unsigned before_held;
	char path[SCRATCH_DIR_MAX + 32];
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip_because("no mount namespace of our own: not root");
	for (int i = 0; i < FILES; i++) {
		(void)snprintf(path, sizeof(path), "%s/f%d", dir, i);
		scratch_write(path, "text");
	}
	pid = start_box();
	assert_int_equal(procfs_image((uint32_t)pid, j.root_image, sizeof(j.root_image)), 0);
	assert_string_not_equal(j.root_image, "");
	j.root_pid = (uint32_t)pid;
	table = table_bytes(pid);
	assert_true(table > 0);
	warm_limits_default(&limits);
	assert_int_equal(warm_new(&limits, &w), 0);
	before_held = held();
	before = bytes_read();
	for (int i = 0; i < FILES; i++) {
		(void)snprintf(path, sizeof(path), "/f%d", i);
		j.path = path;
		assert_int_equal(warm_submit(w, &j, NULL), 0);
	}
	for (int i = 0; i < FILES; i++) {
		struct pollfd p = {.fd = warm_fd(w), .events = POLLIN};

		while (warm_next_result(w, &r) == WARM_EMPTY)
			assert_int_equal(poll(&p, 1, 10000), 1);
		assert_true(r.outcome == WARM_DONE || r.outcome == WARM_RESIDENT);
	}
	/* Twice for each of the threads, and again from time to time. */
	assert_in_range(bytes_read() - before, 1, FILES / 2 * table);
	for (int ms = 0; held() > before_held && ms < AWAY_MS; ms += 10)
		(void)usleep(10000);
	assert_int_equal(held(), before_held);
	/* Whoever has its number next is not taken for it. */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	j.path = "/f0";
	assert_int_equal(warm_submit(w, &j, NULL), 0);
	while (warm_next_result(w, &r) == WARM_EMPTY)
		(void)usleep(1000);
	assert_int_equal(r.outcome, WARM_REFUSED);
	warm_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warm_root_is_kept_while_there_are_jobs),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
