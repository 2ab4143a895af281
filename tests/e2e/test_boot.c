// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is always read soon after the daemon starts, and soon after a user's first program, is in memory
 * before anybody asks for it the next time. The daemon is restarted in place of the host; the user
 * is a number nobody has.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"

#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_BYTES = 2 << 20, ROUNDS = 3, USER = 41234 };

static char path[128];

static void write_data(const struct forewarmd *f)
{
	static char block[1 << 16];
	_cleanup_(closep) int fd = -1;

	snprintf(path, sizeof(path), "%s/data", f->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < FILE_BYTES; i += (int)sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
}

/* Lets go of the file after it was evicted, so that the next file of that name is looked at. */
static double resident(bool evict)
{
	static unsigned char pages[FILE_BYTES / 4096];
	static int fd = -1;
	static void *map;
	size_t n = 0;

	if (fd < 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
		assert_ptr_not_equal(map, MAP_FAILED);
	}
	if (evict)
		assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(mincore(map, FILE_BYTES, pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		n += pages[i] & 1;
	if (evict && fd >= 0) {
		(void)munmap(map, FILE_BYTES);
		closep(&fd);
		fd = -1;
	}
	return (double)n / sizeof(pages);
}

static void run(uid_t uid, const char *exe, const char *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		if (dup2(null, 1) < 0 ||
		    (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid))))
			_exit(126);
		execl(exe, exe, arg, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool comes(void)
{
	for (int ms = 0; ms < 5000; ms += 50) {
		if (resident(false) >= 0.99)
			return true;
		usleep(50000);
	}
	return false;
}

/* Each start of the daemon counts as a boot, and the window is short. */
static const char *const sets[] = {"boot.uptime=0",
				   "boot.window=1s",
				   "plan.recheck=50ms",
				   "plan.io-pressure-max=100%",
				   "plan.memory-pressure-max=100%",
				   NULL};

static void test_boot_has_what_it_needs(void **state)
{
	struct forewarmd f;

	(void)state;
	forewarmd_need();
	forewarmd_init(&f);
	write_data(&f);
	for (int i = 0; i < ROUNDS; i++) {
		forewarmd_start(&f, sets);
		run(0, "/usr/bin/cksum", path);
		usleep(300000);
		assert_int_equal(forewarmd_stop(&f), 0);
	}
	(void)resident(true);
	assert_true(resident(false) < 0.1);
	forewarmd_start(&f, sets);
	if (!comes()) {
		forewarmd_show_log(&f);
		fail_msg("%.0f %% in memory", 100 * resident(false));
	}
	(void)resident(true);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static void test_boot_can_be_switched_off(void **state)
{
	static const char *const off[] = {"boot.uptime=0", "boot.window=0", NULL};
	struct forewarmd f;

	(void)state;
	forewarmd_need();
	forewarmd_init(&f);
	write_data(&f);
	for (int i = 0; i < 2; i++) {
		forewarmd_start(&f, off);
		run(0, "/usr/bin/cksum", path);
		usleep(300000);
		assert_int_equal(forewarmd_stop(&f), 0);
	}
	(void)resident(true);
	forewarmd_start(&f, off);
	sleep(2);
	assert_true(resident(false) < 0.1);
	(void)resident(true);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static void test_login_has_what_it_needs(void **state)
{
	struct forewarmd f;
	bool there = false;

	(void)state;
	forewarmd_need();
	forewarmd_init(&f);
	write_data(&f);
	f.only_us = true;
	forewarmd_start(&f, sets);
	for (int i = 0; i < ROUNDS; i++) {
		run(USER, "/usr/bin/true", NULL);
		run(USER, "/usr/bin/cksum", path);
		sleep(2); /* the window of that login is over */
	}
	for (int i = 0; i < 5 && !there; i++) {
		(void)resident(true);
		assert_true(resident(false) < 0.1);
		run(USER, "/usr/bin/true", NULL);
		there = comes();
		if (!there) { /* a login like the others, to learn from */
			run(USER, "/usr/bin/cksum", path);
			sleep(2);
		}
	}
	if (!there)
		forewarmd_show_log(&f);
	assert_true(there);
	(void)resident(true);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot_has_what_it_needs),
		cmocka_unit_test(test_boot_can_be_switched_off),
		cmocka_unit_test(test_login_has_what_it_needs),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
