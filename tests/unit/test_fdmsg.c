// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_fdmsg.c - descriptors over a socket: as sent, close-on-exec, and none lost or left open. */
#include "support/support.h"
#include "support/census.h"

#include "base/fdmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
}

static void test_fdmsg_brings_what_was_sent(void **state)
{
	int sv[2], p[2], got[3];
	struct stat a, b;
	size_t n = 3;
	char text[8];

	(void)state;
	pair(sv);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fdmsg_send(sv[0], "two", 4, p, 2, 0), 0);
	assert_int_equal(fdmsg_recv(sv[1], text, sizeof(text), got, &n, 0), 4);
	assert_string_equal(text, "two");
	assert_int_equal(n, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fstat(p[i], &a) | fstat(got[i], &b), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		close(p[i]);
		close(got[i]);
	}
	close(sv[0]);
	close(sv[1]);
}

static void test_fdmsg_closes_what_there_is_no_room_for(void **state)
{
	int sv[2], many[FDMSG_MAX], got[2];
	size_t n = 2, fds;
	char byte;

	(void)state;
	pair(sv);
	for (size_t i = 0; i < FDMSG_MAX; i++)
		many[i] = sv[0];
	fds = census_entries("/proc/self/fd");
	assert_int_equal(fdmsg_send(sv[0], "", 1, many, FDMSG_MAX, 0), 0);
	assert_int_equal(fdmsg_recv(sv[1], &byte, 1, got, &n, 0), 1);
	assert_int_equal(n, 2);
	assert_int_equal(census_entries("/proc/self/fd"), fds + 2);
	close(got[0]);
	close(got[1]);
	close(sv[0]);
	close(sv[1]);
}

static void test_fdmsg_errors_are_told(void **state)
{
	int sv[2], many[FDMSG_MAX + 1] = {0}, got;
	size_t n = 1;
	char byte;

	(void)state;
	pair(sv);
	assert_int_equal(fdmsg_send(sv[0], "", 1, many, FDMSG_MAX + 1, 0), -E2BIG);
	assert_int_equal(fdmsg_recv(sv[1], &byte, 1, &got, &n, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(n, 0);
	close(sv[0]);
	assert_int_equal(fdmsg_recv(sv[1], &byte, 1, &got, &n, 0), 0);
	assert_int_equal(fdmsg_send(sv[1], "", 1, NULL, 0, 0), -EPIPE);
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fdmsg_brings_what_was_sent),
		cmocka_unit_test(test_fdmsg_closes_what_there_is_no_room_for),
		cmocka_unit_test(test_fdmsg_errors_are_told),
	};

	return cmocka_run_group_tests_name("fdmsg", tests, NULL, NULL);
}
