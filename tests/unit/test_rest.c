// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_rest.c - children in the ways that programs wait: which of them sleep by themselves. */
#include "support/support.h"

#include "base/cleanup.h"
#include "sys/rest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MS = 3000, LONG_MS = REST_LONG_S * 1000 };

static int duct[2]; /* of the child; the test's own end wakes it */

static void wait_epoll(int timeout_ms)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int e = epoll_create1(0);

	(void)epoll_ctl(e, EPOLL_CTL_ADD, duct[0], &ev);
	(void)epoll_wait(e, &ev, 1, timeout_ms);
}

static void wait_poll(int timeout_ms)
{
	struct pollfd p = {.fd = duct[0], .events = POLLIN};

	(void)poll(&p, 1, timeout_ms);
}

static void wait_select(int timeout_ms)
{
	struct timeval tv = {.tv_sec = timeout_ms / 1000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(duct[0], &set);
	(void)select(duct[0] + 1, &set, NULL, NULL, timeout_ms < 0 ? NULL : &tv);
}

static void wait_read(int arg)
{
	char c;

	(void)arg;
	(void)!read(duct[0], &c, 1);
}

static void wait_recv(int arg)
{
	int sv[2];
	char c;

	(void)arg;
	(void)socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	(void)recv(sv[0], &c, 1, 0);
}

static void wait_accept(int arg)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)arg;
	(void)listen(fd, 1);
	(void)accept(fd, NULL, NULL);
}

static void wait_signal(int timeout_ms)
{
	struct timespec ts = {.tv_sec = timeout_ms / 1000};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigtimedwait(&set, NULL, timeout_ms < 0 ? NULL : &ts);
}

static void wait_pause(int arg)
{
	(void)arg;
	(void)pause();
}

static void wait_sleep(int arg)
{
	(void)sleep((unsigned)arg / 1000);
}

static void wait_futex(int timeout_ms)
{
	struct timespec ts = {.tv_sec = timeout_ms / 1000};
	int word = 0;

	(void)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, timeout_ms < 0 ? NULL : &ts, NULL,
		      0);
}

static void wait_child(int arg)
{
	const pid_t self = getpid();

	(void)arg;
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == self) /* else it was killed before that, and nobody would end us */
			wait_read(0);
		_exit(0);
	}
	(void)wait(NULL);
}

static void arm_timerfd(long first_ms, long every_ms)
{
	struct itimerspec at = {.it_value = {first_ms / 1000, first_ms % 1000 * 1000000},
				.it_interval = {every_ms / 1000, every_ms % 1000 * 1000000}};

	(void)timerfd_settime(timerfd_create(CLOCK_MONOTONIC, 0), 0, &at, NULL);
	wait_epoll(-1);
}

static void wait_timerfd(int first_ms)
{
	arm_timerfd(first_ms, 0);
}

static void wait_timerfd_every(int every_ms)
{
	arm_timerfd(SHORT_MS, every_ms);
}

static void wait_timer(int arg)
{
	timer_t t;

	(void)arg;
	(void)timer_create(CLOCK_MONOTONIC, NULL, &t);
	wait_poll(-1);
}

static void *run_waiter(void *arg)
{
	wait_futex(arg ? SHORT_MS : -1);
	return NULL;
}

/* One thread waits for ever, another one so long. */
static void wait_threads(int timeout_ms)
{
	pthread_t t;

	(void)pthread_create(&t, NULL, run_waiter, NULL);
	(void)pthread_create(&t, NULL, run_waiter, timeout_ms < 0 ? NULL : &t);
	wait_epoll(-1);
}

static void spin(int arg)
{
	(void)arg;
	for (;;)
		__asm__ volatile("");
}

static void wait_stopped(int arg)
{
	(void)arg;
	(void)raise(SIGSTOP);
}

static pid_t start(void (*way)(int), int arg)
{
	pid_t pid;

	assert_int_equal(pipe2(duct, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		way(arg);
		wait_pause(0); /* it was woken */
		_exit(0);
	}
	return pid;
}

static void finish(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(duct[0]);
	(void)close(duct[1]);
}

/* Does it rest, or come to within the time? */
static bool rests(pid_t pid, int ms, struct rest_mark *ret)
{
	for (int i = 0; i < ms; i++) {
		if (rest_look(&pid, 1, ret))
			return true;
		(void)usleep(1000);
	}
	return false;
}

/* It is asleep, or spins: what is seen then is for good. */
static void await_settled(pid_t pid)
{
	struct rest_mark a, b;

	for (int i = 0; i < 200; i++) {
		(void)rest_mark(&pid, 1, &a);
		(void)usleep(20000);
		if (rest_mark(&pid, 1, &b) && a.runs == b.runs)
			return;
	}
}

static void test_rest_knows_what_sleeps_by_itself(void **state)
{
	static const struct {
		const char *name;
		void (*way)(int);
		int arg;
		bool rests;
	} rows[] = {
		{"epoll", wait_epoll, -1, true},
		{"epoll, short", wait_epoll, SHORT_MS, false},
		{"epoll, long", wait_epoll, LONG_MS, true},
		{"poll", wait_poll, -1, true},
		{"poll, short", wait_poll, SHORT_MS, false},
		{"select", wait_select, -1, true},
		{"select, short", wait_select, SHORT_MS, false},
		{"read", wait_read, 0, true},
		{"recv", wait_recv, 0, true},
		{"accept", wait_accept, 0, true},
		{"sigwait", wait_signal, -1, true},
		{"sigtimedwait", wait_signal, SHORT_MS, false},
		{"pause", wait_pause, 0, true},
		{"sleep", wait_sleep, SHORT_MS, false},
		{"futex", wait_futex, -1, true},
		{"futex, short", wait_futex, SHORT_MS, false},
		{"wait", wait_child, 0, true},
		{"timerfd not set", wait_timerfd, 0, true},
		{"timerfd", wait_timerfd, SHORT_MS, false},
		{"timerfd, long", wait_timerfd, 2 * LONG_MS, true},
		{"timerfd, soon and then rarely", wait_timerfd_every, LONG_MS, true},
		{"timerfd, often", wait_timerfd_every, SHORT_MS, false},
		{"POSIX timer", wait_timer, 0, false},
		{"threads", wait_threads, -1, true},
		{"threads, one of them short", wait_threads, SHORT_MS, false},
		{"spins", spin, 0, false},
		{"stopped", wait_stopped, 0, false},
	};

	(void)state;
	if (access("/proc/self/syscall", R_OK) < 0 || access("/proc/self/timers", R_OK) < 0)
		skip_because("the kernel does not list calls and timers");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rest_mark m;
		pid_t pid = start(rows[i].way, rows[i].arg);

		if (!rows[i].rests)
			await_settled(pid);
		if (rests(pid, rows[i].rests ? 4000 : 1, &m) != rows[i].rests)
			fail_msg("%s: %s", rows[i].name, rows[i].rests ? "no rest" : "rests");
		finish(pid);
	}
}

static void test_rest_mark_tells_who_has_run(void **state)
{
	struct rest_mark a, b;
	pid_t pid = start(wait_epoll, -1), both[2];

	(void)state;
	if (!rests(pid, 4000, &a)) {
		finish(pid);
		skip_because("the kernel does not list calls, or counts no runs");
	}
	(void)usleep(20000); /* it may have been on its way to sleep */
	assert_true(rest_mark(&pid, 1, &a));
	(void)usleep(20000);
	assert_true(rest_mark(&pid, 1, &b));
	assert_true(a.runs == b.runs && a.cpu_ns == b.cpu_ns);
	assert_int_equal(write(duct[1], "x", 1), 1);
	for (int i = 0; i < 4000 && a.runs == b.runs; i++) {
		(void)usleep(1000);
		assert_true(rest_mark(&pid, 1, &b));
	}
	assert_true(a.runs != b.runs);
	/* Another one more, or less. */
	both[0] = pid;
	both[1] = getpid();
	assert_true(rest_mark(both, 2, &a));
	assert_true(rest_mark(both, 1, &b));
	assert_true(a.runs != b.runs && a.cpu_ns > b.cpu_ns);
	assert_false(rest_look(both, 2, &a)); /* we run */
	finish(pid);
	assert_false(rest_mark(&pid, 1, &a));
	assert_false(rest_look(&pid, 0, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rest_knows_what_sleeps_by_itself),
		cmocka_unit_test(test_rest_mark_tells_who_has_run),
	};

	return cmocka_run_group_tests_name("rest", tests, NULL, NULL);
}
