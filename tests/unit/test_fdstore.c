// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What was put is there for the next one, whether this one closed, was killed, or had a manager. */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "sys/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[SCRATCH_DIR_MAX];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(scratch_make_on_disk(dir, "fdstore"), 0);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("INVOCATION_ID");
	return 0;
}

/* Ends the holder that a test left. */
static int teardown(void **state)
{
	struct fdstore *f = NULL;
	char path[96];

	(void)state;
	assert_int_equal(fdstore_open(dir, &f), 0);
	assert_null(fdstore_close(f, true));
	(void)snprintf(path, sizeof(path), "%s/fdstore", dir);
	for (int i = 0; i < 500 && access(path, F_OK) == 0; i++)
		(void)usleep(10000);
	assert_int_equal(access(path, F_OK), -1); /* it has gone, and taken its socket along */
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static int file_with(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static void assert_holds(struct fdstore *f, const char *name, const char *text)
{
	_cleanup_(closep) int fd = -1;
	char got[64] = "";

	assert_int_equal(fdstore_take(f, name, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(pread(fd, got, sizeof(got) - 1, 0) >= 0);
	assert_string_equal(got, text);
}

static void put(struct fdstore *f, const char *name, const char *text)
{
	_cleanup_(closep) int fd = file_with(text);

	assert_int_equal(fdstore_put(f, name, fd), 0);
}

static void test_fdstore_keeps_over_close(void **state)
{
	struct fdstore *f = NULL;
	int fd = -1;

	(void)state;
	assert_int_equal(fdstore_open(dir, &f), 0);
	assert_string_equal(fdstore_kind(f), "holder");
	put(f, "a.sock0", "one");
	put(f, "a.state", "two");
	put(f, "gone", "three");
	put(f, "a.state", "newer"); /* replaces */
	assert_int_equal(fdstore_remove(f, "gone"), 0);
	assert_int_equal(fdstore_remove(f, "never.was"), 0);
	assert_int_equal(fdstore_take(f, "a.sock0", &fd), FDSTORE_NONE); /* only of earlier ones */
	assert_null(fdstore_close(f, false));

	assert_int_equal(fdstore_open(dir, &f), 0);
	assert_holds(f, "a.sock0", "one");
	assert_int_equal(fdstore_take(f, "a.sock0", &fd), FDSTORE_NONE); /* taken */
	assert_int_equal(fdstore_take(f, "gone", &fd), FDSTORE_NONE);
	assert_int_equal(fdstore_forget_rest(f), 1); /* a.state */
	assert_null(fdstore_close(f, false));

	assert_int_equal(fdstore_open(dir, &f), 0);
	assert_holds(f, "a.sock0", "one"); /* what was taken stays kept */
	assert_int_equal(fdstore_take(f, "a.state", &fd), FDSTORE_NONE);
	assert_null(fdstore_close(f, false));
}

static void test_fdstore_keeps_over_kill_9(void **state)
{
	struct fdstore *f = NULL;
	int status;
	pid_t pid;

	(void)state;
	for (int round = 0; round < 20; round++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			char name[32];

			if (fdstore_open(dir, &f) < 0)
				_exit(1);
			(void)snprintf(name, sizeof(name), "round%d", round);
			put(f, name, name);
			(void)kill(getpid(), SIGKILL); /* at once: what sendmsg() took is safe */
		}
		assert_true(waitpid(pid, &status, 0) == pid);
		assert_true(WIFSIGNALED(status));
	}
	assert_int_equal(fdstore_open(dir, &f), 0);
	for (int round = 0; round < 20; round++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "round%d", round);
		assert_holds(f, name, name);
	}
	assert_null(fdstore_close(f, false));
}

/* The next one may ask while the holder still has to hear what the last one said. */
static void test_fdstore_has_heard_all_before_it_answers(void **state)
{
	enum { ROUND_N = 200, NAME_N = 20 };
	struct fdstore *f = NULL;
	char name[32], text[32];

	(void)state;
	for (int round = 0; round < ROUND_N; round++) {
		assert_int_equal(fdstore_open(dir, &f), 0);
		(void)snprintf(text, sizeof(text), "%d", round);
		for (int i = 0; i < NAME_N; i++) {
			(void)snprintf(name, sizeof(name), "n%d", i);
			put(f, name, text);
		}
		assert_null(fdstore_close(f, false));
		assert_int_equal(fdstore_open(dir, &f), 0);
		for (int i = 0; i < NAME_N; i++) {
			(void)snprintf(name, sizeof(name), "n%d", i);
			assert_holds(f, name, text);
		}
		assert_null(fdstore_close(f, false));
	}
}

/* A holder that was told to end is as good as none. */
static void test_fdstore_opens_while_the_last_holder_ends(void **state)
{
	struct fdstore *f = NULL;
	int fd = -1;

	(void)state;
	for (int round = 0; round < 100; round++) {
		assert_int_equal(fdstore_open(dir, &f), 0);
		assert_int_equal(fdstore_take(f, "x", &fd), FDSTORE_NONE);
		put(f, "x", "x");
		assert_null(fdstore_close(f, true));
	}
	assert_int_equal(fdstore_open(dir, &f), 0);
	assert_null(fdstore_close(f, false));
}

static void test_fdstore_refuses_odd_names(void **state)
{
	static const char *const names[] = {"", "a b", "a:b", "a\nb", "\xc3\xa4"};
	_cleanup_(closep) int fd = file_with("x");
	struct fdstore *f = NULL;
	char name[FDSTORE_NAME_MAX + 2];

	(void)state;
	assert_int_equal(fdstore_open(dir, &f), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(fdstore_put(f, names[i], fd), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(fdstore_put(f, name, fd), -EINVAL);
	name[sizeof(name) - 2] = '\0';
	assert_int_equal(fdstore_put(f, name, fd), 0);
	assert_null(fdstore_close(f, false));
	assert_int_equal(fdstore_open(dir, &f), 0);
	assert_holds(f, name, "x");
	assert_null(fdstore_close(f, false));
}

static void test_fdstore_speaks_to_a_manager(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	_cleanup_(closep) int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct fdstore *f = NULL;
	char text[256];
	ssize_t n;

	(void)state;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	assert_int_equal(bind(manager, (struct sockaddr *)&at, sizeof(at)), 0);
	(void)setenv("NOTIFY_SOCKET", at.sun_path, 1);
	(void)setenv("INVOCATION_ID", "0123", 1);
	assert_int_equal(fdstore_open(dir, &f), 0);
	assert_string_equal(fdstore_kind(f), "manager");
	put(f, "web.sock0", "x");
	n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=web.sock0");
	n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, "FDSTORE=1\nFDNAME=web.sock0");
	assert_null(fdstore_close(f, false));
	(void)unlink(at.sun_path);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("INVOCATION_ID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fdstore_keeps_over_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fdstore_keeps_over_kill_9, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fdstore_has_heard_all_before_it_answers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_fdstore_opens_while_the_last_holder_ends,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_fdstore_refuses_odd_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fdstore_speaks_to_a_manager, setup, teardown),
	};

	return cmocka_run_group_tests_name("fdstore", tests, NULL, NULL);
}
