// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A script that only asks whether files are there, on a file system that was mounted a moment ago, so
 * that no directory entry and no inode of it is in memory: after it has run a few times, they are
 * there before it asks. Whether an entry is in memory is asked with RESOLVE_CACHED, which fails
 * rather than to look at the disk.
 *
 * The file system is a private one in a file; nothing else on the host is touched.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/built.h"
#include "support/forewarmd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* LEARN_MS: what was asked is learnt while it is mounted still. */
enum { FILES = 500, DIRS = 20, RUNS = 4, TRIES = 10, LEARN_MS = 300, WAIT_MS = 3000 };

struct disk {
	char image[128], at[128], script[128], gate[128];
};

static int shell(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void mount_it(const struct disk *d)
{
	char command[400];

	snprintf(command, sizeof(command), "mount -o loop,noatime %s %s 2>/dev/null", d->image,
		 d->at);
	if (shell(command) != 0)
		skip_because("a file system in a file cannot be mounted here");
}

static void unmount_it(const struct disk *d)
{
	int r = -1;

	/* A loop device lets go of its file a moment after the unmount. */
	for (int ms = 0; ms < 3000 && r < 0; ms += 20) {
		r = umount(d->at);
		if (r < 0)
			usleep(20000);
	}
	assert_int_equal(r, 0);
}

static void path_of(const struct disk *d, int i, char ret[160])
{
	snprintf(ret, 160, "%s/d%d/f%d%s", d->at, i % DIRS, i, i % 5 ? "" : ".absent");
}

static void make_disk(struct disk *d, const char *dir)
{
	char command[600], path[200];

	snprintf(d->image, sizeof(d->image), "%s/image", dir);
	snprintf(d->at, sizeof(d->at), "%s/at", dir);
	snprintf(d->script, sizeof(d->script), "%s/ask.sh", dir);
	snprintf(d->gate, sizeof(d->gate), "%s/gate", dir);
	snprintf(command, sizeof(command),
		 "truncate -s 64M %s && mkfs.ext4 -q -F %s 2>/dev/null && mkdir %s", d->image,
		 d->image, d->at);
	if (shell(command) != 0)
		skip_because("no mkfs.ext4");
	mount_it(d);
	for (int i = 0; i < DIRS; i++) {
		snprintf(path, sizeof(path), "%s/d%d", d->at, i);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	for (int i = 0; i < FILES; i++) {
		_cleanup_(closep) int fd = -1;

		if (i % 5 == 0) /* asked about in vain */
			continue;
		path_of(d, i, path);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		assert_true(fd >= 0);
	}
	unmount_it(d);
	assert_int_equal(mkfifo(d->gate, 0600), 0);
}

static void make_script(const struct disk *d)
{
	_cleanup_(fclosep) FILE *f = fopen(d->script, "we");
	char path[160];

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nread x <%s\nn=0\n", d->gate);
	for (int i = 0; i < FILES; i++) {
		path_of(d, i, path);
		fprintf(f, "[ -e %s ] && n=$((n+1))\n", path);
	}
	fprintf(f, "[ $n = %d ]\n", FILES - FILES / 5);
	assert_int_equal(fchmod(fileno(f), 0755), 0);
}

static pid_t start(const struct disk *d)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		execl(d->script, d->script, NULL);
		_exit(127);
	}
	return pid;
}

/* Lets the script ask; how long that took. */
static double finish(const struct disk *d, pid_t pid)
{
	struct timespec a, b;
	int status, fd = open(d->gate, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(status, 0);
	return (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
}

/* How many of the paths can be looked up without the disk. */
static int cached(const struct disk *d)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
	char path[160];
	int n = 0;

	for (int i = 0; i < FILES; i++) {
		long fd;

		path_of(d, i, path);
		fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
		if (fd < 0 && errno == EINVAL)
			skip_because("this kernel cannot say what is cached");
		n += fd >= 0 || errno == ENOENT;
		if (fd >= 0)
			close((int)fd);
	}
	return n;
}

static void test_what_is_only_asked_about_is_in_memory(void **state)
{
	static const char *const sets[] = {"plan.recheck=50ms", "plan.io-pressure-max=100%",
					   "plan.memory-pressure-max=100%", NULL};
	double cold_ms, warm_ms = 0;
	struct forewarmd f;
	struct disk d;
	int n = 0;

	(void)state;
	forewarmd_need();
	forewarmd_init(&f);
	make_disk(&d, f.dir);
	make_script(&d);
	mount_it(&d);
	assert_int_equal(cached(&d), 0);
	cold_ms = finish(&d, start(&d)); /* before anybody watches */
	unmount_it(&d);
	forewarmd_start(&f, sets);
	for (int i = 0; i < RUNS; i++) {
		mount_it(&d);
		(void)finish(&d, start(&d));
		usleep(LEARN_MS * 1000 * built_scale());
		unmount_it(&d);
	}
	for (int i = 0; i < TRIES && n < FILES * 9 / 10; i++) {
		pid_t pid;

		usleep(LEARN_MS * 1000 * built_scale());
		mount_it(&d);
		pid = start(&d); /* waits at its gate and has asked nothing */
		for (int ms = 0; ms < WAIT_MS * (int)built_scale() && n < FILES * 9 / 10;
		     ms += 100) {
			usleep(100000);
			n = cached(&d);
		}
		warm_ms = finish(&d, pid);
		unmount_it(&d);
	}
	printf("# %d of %d entries in memory before they were asked for; asking took %.1f ms "
	       "cold, %.1f ms then\n",
	       n, FILES, cold_ms, warm_ms);
	if (n < FILES * 9 / 10)
		forewarmd_show_log(&f);
	assert_true(n >= FILES * 9 / 10);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_only_asked_about_is_in_memory),
	};

	return cmocka_run_group_tests_name("stat", tests, NULL, NULL);
}
