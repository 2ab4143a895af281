// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_run_server.c - commands a stranger asks for over a channel. */
#include "support/support.h"

#include "support/box.h"

#include "base/cleanup.h"
#include "sys/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int memfd_of(const char *bytes, size_t len)
{
	int fd = memfd_create("blob", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

/* A requester of user 4711 with a channel of its own, which it passes back to us. */
static pid_t requester(int *ret_channel, int *ret_out)
{
	static const char blob[] = "/\0id\0-u\0PATH=/bin:/usr/bin";
	int out[2], link[2];
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	pid = fork();
	if (pid == 0) {
		struct run_start st = {.kind = RUN_START,
				       .argc = 2,
				       .envc = 1,
				       .blob_len = sizeof(blob),
				       .umask = 022};
		int sv[2], fds[4], null = open("/dev/null", O_RDWR | O_CLOEXEC);
		struct run_event e = {0};
		size_t fd_n;

		if (setgid(4711) || setuid(4711) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
			_exit(1);
		fds[0] = null;
		fds[1] = fds[2] = out[1];
		fds[3] = memfd_of(blob, sizeof(blob));
		if (run_send(link[1], "", 1, &sv[1], 1) || run_send(sv[0], &st, sizeof(st), fds, 4))
			_exit(2);
		close(sv[1]);
		for (int i = 0; i < 500 && e.kind != RUN_EXITED && e.kind != RUN_FAILED; i++) {
			fd_n = 4;
			if (run_recv(sv[0], &e, sizeof(e), fds, &fd_n) == -EAGAIN)
				box_nap_ms(10);
		}
		_exit(e.kind == RUN_EXITED && e.arg == 0 ? 0 : 3);
	}
	close(out[1]);
	*ret_out = out[0];
	for (int i = 0; i < 500; i++) {
		size_t fd_n = 1;
		char byte;

		if (run_recv(link[0], &byte, 1, ret_channel, &fd_n) == 1 && fd_n == 1)
			break;
		box_nap_ms(10);
	}
	close(link[0]);
	close(link[1]);
	return pid;
}

static void test_run_is_by_the_maker_of_the_channel(void **state)
{
	struct run_server *rs;
	int channel = -1, out, status = -1, null[2];
	char text[64] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(run_server_new(box.pool, NULL, &rs), 0);
	/* Root's own channel in the hands of somebody else; a stream; a stranger's number. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, null), 0);
	assert_int_equal(run_server_add(rs, null[1], 4711, 4711), RUN_REFUSED);
	close(null[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, null), 0);
	assert_int_equal(run_server_add(rs, null[1], 0, 0), RUN_REFUSED);
	close(null[0]);
	pid = requester(&channel, &out);
	assert_int_equal(run_server_add(rs, dup(channel), 0, 0), RUN_REFUSED);
	assert_int_equal(run_server_add(rs, channel, 4711, 4711), 0);
	for (int i = 0; i < 500 && waitpid(pid, &status, WNOHANG) == 0; i++) {
		run_server_dispatch(rs);
		pool_wait(box.pool, 10);
	}
	assert_int_equal(status, 0);
	assert_true(read(out, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "4711\n");
	close(out);
	for (int i = 0; i < 500 && run_server_sessions(rs); i++) {
		run_server_dispatch(rs);
		pool_wait(box.pool, 10);
	}
	assert_int_equal(run_server_sessions(rs), 0);
	rs = run_server_free(rs);
}

/* Messages of a stranger: whatever is wrong with one ends its session and nothing else. */
static void test_run_survives_bad_requests(void **state)
{
	static const char blob[] = "/\0true\0";
	const struct {
		const char *name;
		struct run_start st;
		size_t len, fd_n;
	} cases[] = {
		{"short", {.kind = RUN_START}, 8, 4},
		{"another kind",
		 {.kind = RUN_EXITED, .argc = 1, .blob_len = sizeof(blob)},
		 sizeof(struct run_start),
		 4},
		{"no command",
		 {.kind = RUN_START, .argc = 0, .blob_len = sizeof(blob)},
		 sizeof(struct run_start),
		 4},
		{"no descriptors",
		 {.kind = RUN_START, .argc = 1, .blob_len = sizeof(blob)},
		 sizeof(struct run_start),
		 0},
		{"one too few",
		 {.kind = RUN_START, .argc = 1, .rw_n = 1, .blob_len = sizeof(blob)},
		 sizeof(struct run_start),
		 4},
		{"too many paths",
		 {.kind = RUN_START, .argc = 1, .rw_n = 1u << 31, .blob_len = sizeof(blob)},
		 sizeof(struct run_start),
		 4},
		{"more strings than there are",
		 {.kind = RUN_START, .argc = 1, .envc = 77, .blob_len = sizeof(blob)},
		 sizeof(struct run_start),
		 4},
		{"strings beyond the file",
		 {.kind = RUN_START, .argc = 1, .blob_len = 1 << 20},
		 sizeof(struct run_start),
		 4},
		{"strings beyond all bounds",
		 {.kind = RUN_START, .argc = 1, .blob_len = UINT64_MAX},
		 sizeof(struct run_start),
		 4},
		{"no strings",
		 {.kind = RUN_START, .argc = 1, .blob_len = 0},
		 sizeof(struct run_start),
		 4},
	};
	struct run_server *rs;

	(void)state;
	assert_int_equal(run_server_new(box.pool, NULL, &rs), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int sv[2], null = open("/dev/null", O_RDWR | O_CLOEXEC),
			   fds[4] = {null, null, null, -1};
		struct run_event e = {0};
		size_t fd_n = 4;

		fds[3] = memfd_of(blob, sizeof(blob));
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
		assert_int_equal(run_server_add(rs, sv[1], 0, 0), 0);
		assert_int_equal(run_send(sv[0], &cases[i].st, cases[i].len, fds, cases[i].fd_n),
				 0);
		run_server_dispatch(rs);
		assert_int_equal(run_recv(sv[0], &e, sizeof(e), fds + 0, &fd_n), sizeof(e));
		if (e.kind != RUN_FAILED)
			printf("# %s was taken\n", cases[i].name);
		assert_int_equal(e.kind, RUN_FAILED);
		assert_int_equal(run_server_sessions(rs), 0);
		close(sv[0]);
		close(null);
		close(fds[3]);
	}
	rs = run_server_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_run_is_by_the_maker_of_the_channel, box_after),
		cmocka_unit_test_teardown(test_run_survives_bad_requests, box_after),
	};

	return cmocka_run_group_tests_name("run_server", tests, box_group_setup,
					   box_group_teardown);
}
