// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_lull.c - children that wait with a timeout: which of them a connection wakes, and how long they sleep. */
#include "support/support.h"

#include "base/cleanup.h"
#include "sys/lull.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 20 };

static int listens[2];

static void wait_epoll_for(uint32_t events)
{
	struct epoll_event ev = {.events = events};
	int e = epoll_create1(0);

	for (int i = 0; i < 2; i++)
		(void)epoll_ctl(e, EPOLL_CTL_ADD, listens[i], &ev);
	for (;;)
		(void)epoll_wait(e, &ev, 1, TICK_MS);
}

static void wait_epoll(void)
{
	wait_epoll_for(EPOLLIN);
}

static void wait_epoll_to_write(void)
{
	wait_epoll_for(EPOLLPRI);
}

static void wait_poll_of(nfds_t n, short events)
{
	struct pollfd p[2] = {{.fd = listens[0], .events = events},
			      {.fd = listens[1], .events = events}};

	for (;;)
		(void)poll(p, n, TICK_MS);
}

static void wait_poll(void)
{
	wait_poll_of(2, POLLIN);
}

static void wait_poll_one(void)
{
	wait_poll_of(1, POLLIN);
}

static void wait_poll_to_write(void)
{
	wait_poll_of(2, POLLPRI);
}

static void wait_poll_none(void)
{
	wait_poll_of(0, 0);
}

static void wait_select_to(bool read)
{
	for (;;) {
		struct timeval tv = {.tv_usec = TICK_MS * 1000};
		fd_set set;

		FD_ZERO(&set);
		FD_SET(listens[0], &set);
		FD_SET(listens[1], &set);
		(void)select(listens[1] + 1, read ? &set : NULL, NULL, read ? NULL : &set, &tv);
	}
}

static void wait_select(void)
{
	wait_select_to(true);
}

static void wait_select_none(void)
{
	wait_select_to(false);
}

static pid_t start(void (*way)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	way();
	_exit(0);
}

static void finish(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* What it sleeps in; tid 0: it does not come to. */
static struct rest_wait asleep(pid_t pid)
{
	struct rest_wait w = {0};
	struct rest_mark m;

	for (int i = 0; i < 4000; i++) {
		if (rest_look_but(&pid, 1, &m, &w) && w.tid)
			break;
		w.tid = 0;
		(void)usleep(1000);
	}
	return w;
}

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};

		listens[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(listens[i], (struct sockaddr *)&a, sizeof(a.sun_family)) < 0 ||
		    listen(listens[i], 4) < 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)close(listens[0]);
	(void)close(listens[1]);
	return 0;
}

static void skip_without_calls(void)
{
	if (access("/proc/self/syscall", R_OK) < 0 || access("/proc/self/timerslack_ns", R_OK) < 0)
		skip_because("the kernel lists no calls, or no slack");
}

static void test_lull_is_for_who_waits_for_each_socket(void **state)
{
	static const struct {
		const char *name;
		void (*way)(void);
		bool may;
	} rows[] = {
		{"epoll", wait_epoll, true},
		{"epoll for something else", wait_epoll_to_write, false},
		{"poll", wait_poll, true},
		{"poll of one of them", wait_poll_one, false},
		{"poll for something else", wait_poll_to_write, false},
		{"poll of nothing", wait_poll_none, false},
		{"select", wait_select, true},
		{"select for something else", wait_select_none, false},
	};

	(void)state;
	skip_without_calls();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pid_t pid = start(rows[i].way);
		struct rest_wait w = asleep(pid);

		if (w.tid != pid)
			fail_msg("%s: not seen asleep", rows[i].name);
		if (lull_may(&w, listens, 2) != rows[i].may)
			fail_msg("%s: %s", rows[i].name, rows[i].may ? "may not" : "may");
		assert_false(lull_may(&w, listens, 0));
		finish(pid);
	}
}

static uint64_t slack(pid_t pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &ns), 1);
	(void)fclose(f);
	return ns;
}

static void stop(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
}

/* Only the wait in progress is late, and a connection ends it. */
static void put_off_and_called(void (*way)(void))
{
	pid_t pid = start(way);
	struct rest_wait w = asleep(pid);
	struct sockaddr_un a;
	socklen_t n = sizeof(a);
	uint64_t was, runs = 0;
	struct lull l;
	int fd;

	assert_int_equal(w.tid, pid);
	was = slack(pid);
	stop(pid);
	if (lull_put_off(pid, &l) == -EPERM) {
		finish(pid);
		skip_because("the slack of others needs CAP_SYS_NICE");
	}
	assert_int_equal(kill(pid, SIGCONT), 0);
	w = asleep(pid);
	assert_int_equal(w.tid, pid);
	runs = rest_runs(pid, pid);
	lull_end(&l);
	assert_int_equal(slack(pid), was);
	(void)usleep(15 * TICK_MS * 1000);
	assert_int_equal(rest_runs(pid, pid), runs);
	assert_int_equal(getsockname(listens[1], (struct sockaddr *)&a, &n), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, n), 0);
	/* Were it accepted before the child has looked, that would sleep on. */
	for (int i = 0; i < 4000 && rest_runs(pid, pid) == runs; i++)
		(void)usleep(1000);
	(void)usleep(TICK_MS * 1000);
	(void)close(accept(listens[1], NULL, NULL));
	(void)close(fd);
	(void)usleep(TICK_MS * 1000);
	runs = rest_runs(pid, pid);
	(void)usleep(15 * TICK_MS * 1000);
	assert_true(rest_runs(pid, pid) >= runs + 3);
	finish(pid);
}

static void test_lull_sleeps_until_somebody_connects(void **state)
{
	(void)state;
	skip_without_calls();
	put_off_and_called(wait_epoll);
	put_off_and_called(wait_poll);
	put_off_and_called(wait_select);
}

static void test_lull_of_who_did_not_get_to_the_end_is_repaired(void **state)
{
	pid_t pid = start(wait_epoll);
	struct rest_wait w;
	struct lull l;
	uint64_t was;

	(void)state;
	skip_without_calls();
	w = asleep(pid);
	was = slack(pid);
	assert_int_equal(w.tid, pid);
	assert_false(lull_repair(pid));
	stop(pid);
	if (lull_put_off(pid, &l) == -EPERM) {
		finish(pid);
		skip_because("the slack of others needs CAP_SYS_NICE");
	}
	assert_int_not_equal(slack(pid), was);
	assert_true(lull_repair(pid));
	assert_int_equal(slack(pid), was);
	assert_false(lull_repair(pid));
	finish(pid);
	assert_true(lull_put_off(pid, &l) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_SOCKETS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		WITH_SOCKETS(test_lull_is_for_who_waits_for_each_socket),
		WITH_SOCKETS(test_lull_sleeps_until_somebody_connects),
		WITH_SOCKETS(test_lull_of_who_did_not_get_to_the_end_is_repaired),
	};

	return cmocka_run_group_tests_name("lull", tests, NULL, NULL);
}
