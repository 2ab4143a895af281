// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A tree that is removed: each kind of thing, links that lead out of it, any depth; and whatever call fails,
 * all else goes, the failure is told, no descriptor is left, and a second go removes the rest.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "base/remove.h"
#include "support/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long fail_at, calls_n; /* 0: never */
static const char *busy_name; /* can not be removed */

/* The linker puts these between. */
int __real_openat(int at, const char *name, int flags, ...);
int __wrap_openat(int at, const char *name, int flags, ...);
int __real_unlinkat(int at, const char *name, int flags);
int __wrap_unlinkat(int at, const char *name, int flags);
int __real_renameat2(int from, const char *name, int to, const char *new_name, unsigned flags);
int __wrap_renameat2(int from, const char *name, int to, const char *new_name, unsigned flags);
DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);

static int fails(void)
{
	if (++calls_n != fail_at)
		return 0;
	errno = EIO;
	return 1;
}

int __wrap_openat(int at, const char *name, int flags, ...)
{
	return fails() ? -1 : __real_openat(at, name, flags);
}

int __wrap_unlinkat(int at, const char *name, int flags)
{
	if (busy_name && strcmp(name, busy_name) == 0) {
		errno = EBUSY;
		return -1;
	}
	return fails() ? -1 : __real_unlinkat(at, name, flags);
}

int __wrap_renameat2(int from, const char *name, int to, const char *new_name, unsigned flags)
{
	return fails() ? -1 : __real_renameat2(from, name, to, new_name, flags);
}

DIR *__wrap_fdopendir(int fd)
{
	return fails() ? NULL : __real_fdopendir(fd);
}

struct fixture {
	char dir[SCRATCH_DIR_MAX];
	int fd;
};

static int setup(void **state)
{
	static struct fixture f;

	fail_at = calls_n = 0;
	busy_name = NULL;
	*state = &f;
	if (scratch_make(f.dir, "remove") < 0)
		return -1;
	f.fd = open(f.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close(f->fd);
	return rmdir(f->dir);
}

/* Directories below each other, a file in each, depth of them; t is the first. */
static void grow(const struct fixture *f, unsigned depth)
{
	int at = dup(f->fd);

	for (unsigned i = 0; i < depth; i++) {
		const char *name = i ? "d" : "t";
		int next;

		assert_int_equal(mkdirat(at, name, 0700), 0);
		next = __real_openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		assert_int_equal(mknodat(next, "f", S_IFREG | 0600, 0), 0);
		(void)close(at);
		at = next;
	}
	(void)close(at);
}

static unsigned fds_n(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	while (d && readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static int there(const struct fixture *f, const char *name)
{
	struct stat st;

	return fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_remove_follows_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdirat(f->fd, "out", 0700), 0);
	assert_int_equal(mknodat(f->fd, "out/kept", S_IFREG | 0600, 0), 0);
	grow(f, 3);
	assert_int_equal(symlinkat("../out", f->fd, "t/l"), 0);
	assert_int_equal(symlinkat("../../out/kept", f->fd, "t/d/l"), 0);
	assert_int_equal(symlinkat("nowhere", f->fd, "t/d/none"), 0);
	assert_int_equal(symlinkat("out", f->fd, "link"), 0);
	assert_int_equal(mkfifoat(f->fd, "t/fifo", 0600), 0);
	assert_int_equal(linkat(f->fd, "out/kept", f->fd, "t/second", 0), 0);

	assert_int_equal(remove_tree(f->fd, "t"), 0);
	assert_int_equal(remove_tree(f->fd, "link"), 0);
	assert_int_equal(remove_tree(f->fd, "never"), 0);
	assert_false(there(f, "t") || there(f, "link"));
	assert_true(there(f, "out/kept"));
	assert_int_equal(remove_tree(f->fd, "out"), 0);
}

static void test_remove_takes_any_depth(void **state)
{
	struct fixture *f = *state;
	unsigned before = fds_n();

	for (unsigned depth = 30; depth <= 2000; depth = depth < 40 ? depth + 1 : depth * 7) {
		grow(f, depth);
		assert_int_equal(remove_tree(f->fd, "t"), 0);
		assert_false(there(f, "t"));
	}
	assert_int_equal(fds_n(), before);
}

/* A mount point cannot be removed, nor what is above it. */
static void test_remove_goes_on_after_what_stays(void **state)
{
	struct fixture *f = *state;

	grow(f, 5);
	assert_int_equal(mknodat(f->fd, "t/d/d/stays", S_IFREG | 0600, 0), 0);
	assert_int_equal(mkdirat(f->fd, "t/z", 0700), 0);
	busy_name = "stays";
	assert_int_equal(remove_tree(f->fd, "t"), -EBUSY);
	assert_true(there(f, "t/d/d/stays"));
	assert_false(there(f, "t/f") || there(f, "t/d/f") || there(f, "t/d/d/d") ||
		     there(f, "t/z"));
	busy_name = NULL;
	assert_int_equal(remove_tree(f->fd, "t"), 0);
}

static void test_remove_survives_each_failed_call(void **state)
{
	struct fixture *f = *state;
	unsigned before = fds_n();
	long all;

	grow(f, 70);
	calls_n = 0;
	assert_int_equal(remove_tree(f->fd, "t"), 0);
	all = calls_n;
	assert_true(all > 200);
	for (long at = 1; at <= all; at++) {
		grow(f, 70);
		calls_n = 0;
		fail_at = at;
		assert_int_equal(remove_tree(f->fd, "t"), -EIO);
		assert_int_equal(fds_n(), before);
		fail_at = 0;
		assert_int_equal(remove_tree(f->fd, "t"), 0);
		assert_false(there(f, "t"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_remove_follows_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_takes_any_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_goes_on_after_what_stays, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_remove_survives_each_failed_call, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("remove", tests, NULL, NULL);
}
