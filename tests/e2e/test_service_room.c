// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_service_room.c - more services than places: who gets one, who gives one up, and that nobody who
 * connects is refused, by real services.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "support/service_host.h"
#include "sys/listen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MANY_N = 6, ROUND_N = 10 };

static struct unit_addr addr_of(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, name);
	return service_addr(path);
}

/* Each start is written down in the file "order". */
static void unit(const char *name, const char *options, const char *more)
{
	char socket[160], text[1024];

	(void)snprintf(socket, sizeof(socket), "ListenStream=%s/%s.sock\n", host.dir, name);
	(void)snprintf(text, sizeof(text),
		       "ExecStartPre=/bin/sh -c 'echo %s >>%s/out/order'\nExecStart=%s %s\n"
		       "User=nobody\nReadWritePaths=%s/out\nX-Forewarm-FreezeAfterSec=5ms\n%s",
		       name, host.dir, host.helper, options, host.dir, more);
	service_host_unit(&host, name, socket, text);
}

static void make_out(void)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/out", host.dir);
	assert_int_equal(mkdir(path, 0777), 0);
	assert_int_equal(chmod(path, 0777), 0);
}

static void read_order(char *ret, size_t n)
{
	char path[96];
	_cleanup_(fclosep) FILE *f = NULL;
	size_t got;

	(void)snprintf(path, sizeof(path), "%s/out/order", host.dir);
	f = fopen(path, "re");
	got = f ? fread(ret, 1, n - 1, f) : 0;
	ret[got] = '\0';
	for (char *c = ret; *c; c++)
		if (*c == '\n')
			*c = ' ';
}

static void await_order(const char *want)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 5000000000;
	char order[256];

	do {
		read_order(order, sizeof(order));
		if (strcmp(order, want) == 0)
			return;
		(void)usleep(500);
	} while (clock_ns(CLOCK_MONOTONIC) < until);
	assert_string_equal(order, want);
}

static void echo(const char *name)
{
	struct unit_addr a = addr_of(name);
	char got[64];

	if (!service_ask(&a, "hello\n", got, sizeof(got), NULL) || strcmp(got, "hello\n") != 0)
		fail_msg("%s: no answer", name);
}

static int busy = -1;

/* A connection to stay: its service is busy with it. */
static void stay(const char *name)
{
	struct unit_addr a = addr_of(name);
	struct sockaddr_storage to;
	socklen_t to_n;
	char got[8] = "";

	(void)listen_sockaddr(&a, &to, &to_n);
	busy = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(busy >= 0);
	assert_int_equal(connect(busy, (struct sockaddr *)&to, to_n), 0);
	assert_true(send(busy, "here\n", 5, MSG_NOSIGNAL) == 5);
	assert_true(recv(busy, got, sizeof(got), 0) == 5);
}

/* Asks from a process of its own, which exits with 0 if it was answered. */
static pid_t ask_beside(const char *name)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct unit_addr a = addr_of(name);
		char got[64];

		closep(&busy); /* or it would not end with ours */
		_exit(!service_ask(&a, "hello\n", got, sizeof(got), NULL) ||
		      strcmp(got, "hello\n") != 0);
	}
	return pid;
}

static void answered(pid_t pid)
{
	int status = 0;

	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
}

static void await_queued(const char *name)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 5000000000;

	while (!service_host_view(&host, name).queued) {
		if (clock_ns(CLOCK_MONOTONIC) > until)
			fail_msg("%s is %s and does not wait for room", name,
				 svc_state_name(service_host_view(&host, name).state));
		(void)usleep(500);
	}
}

/* There is one place, and a service that starts for a guess has it; quick is the other. */
static void guess_slow(const char *flags)
{
	make_out();
	host.run_max = 1;
	unit("slow", flags, "Type=notify\n");
	unit("quick", "", "");
	assert_int_equal(service_host_start(&host), 0);
	assert_true(service_host_predict(&host, "slow", 0.9, 100000000));
}

/* The start for a guess takes a second and a half and has the only place: who connects does not wait for it. */
static void test_service_room_guessed_start_gives_way(void **state)
{
	struct svc_view v;

	(void)state;
	guess_slow("--notify --delay-ms 1500");
	await_order("slow ");
	echo("quick");
	v = service_host_view(&host, "slow");
	assert_int_equal(v.figures.evict_n, 1);
	assert_int_equal(v.figures.fail_n, 0);
	assert_int_equal(v.figures.guess_outcome_n[SVC_GUESS_WASTED], 1);
	assert_false(v.cold_known); /* it never was ready */
	/* Nothing is wrong with it: it is started when it is asked for. */
	echo("slow");
	await_order("slow quick slow ");
}

/* Somebody has come for what was foretold: it is not given up, whoever else waits. */
static void test_service_room_start_that_came_true_stays(void **state)
{
	pid_t own, other;

	(void)state;
	guess_slow("--notify --delay-ms 300");
	own = ask_beside("slow");
	service_host_await(&host, "slow", SVC_STARTING, 2000);
	while (!service_host_view(&host, "slow").waiting)
		(void)usleep(500);
	other = ask_beside("quick");
	answered(own);
	answered(other);
	await_order("slow quick ");
	assert_int_equal(service_host_view(&host, "slow").figures.class_n[SVC_CLASS_PREDICTED], 1);
}

/* What was started for a guess and is ready goes too, after a last look. */
static void test_service_room_guessed_ready_gives_way(void **state)
{
	(void)state;
	make_out();
	host.run_max = 1;
	unit("one", "", "X-Forewarm-FreezeAfterSec=60s\n");
	unit("two", "", "X-Forewarm-FreezeAfterSec=60s\n");
	assert_int_equal(service_host_start(&host), 0);
	assert_true(service_host_predict(&host, "one", 0.9, 1000000000));
	service_host_await(&host, "one", SVC_READY, 3000);
	echo("two");
	assert_int_equal(service_host_view(&host, "one").figures.evict_n, 1);
	echo("one"); /* and so does what has just served */
	assert_int_equal(service_host_view(&host, "two").figures.evict_n, 1);
}

/* Six services and two places, and always somebody for each: all are answered. */
static void test_service_room_queue_answers_everybody(void **state)
{
	pid_t pids[MANY_N];
	char name[] = "m0";
	uint64_t evict_n = 0;

	(void)state;
	make_out();
	host.run_max = 2;
	for (int i = 0; i < MANY_N; i++) {
		name[1] = (char)('0' + i);
		unit(name, i % 3 == 1 ? "--term" : "", "");
	}
	assert_int_equal(service_host_start(&host), 0);
	for (int round = 0; round < ROUND_N; round++) {
		for (int i = 0; i < MANY_N; i++) {
			name[1] = (char)('0' + i);
			if (i == round % MANY_N) /* and a guess that is wrong, in between */
				(void)service_host_predict(&host, "m0", 0.9, 1000000);
			pids[i] = ask_beside(name);
		}
		for (int i = 0; i < MANY_N; i++)
			answered(pids[i]);
		assert_in_range(service_host_boxes(&host), 0, 2);
	}
	for (int i = 0; i < MANY_N; i++) {
		struct svc_view v;

		name[1] = (char)('0' + i);
		v = service_host_view(&host, name);
		evict_n += v.figures.evict_n;
		assert_int_equal(v.figures.fail_n, 0);
		assert_int_equal(v.fail_row_n, 0);
	}
	assert_true(evict_n >= ROUND_N * (MANY_N - 2) / 2);
}

/* Who had less than his weight's share is next, and of equals who came first. */
static void test_service_room_queue_is_in_order(void **state)
{
	pid_t light, heavy, first, second;

	(void)state;
	make_out();
	host.run_max = 1;
	unit("busy", "", "");
	unit("light", "", "X-Forewarm-Weight=10\n");
	unit("heavy", "", "X-Forewarm-Weight=1000\n");
	unit("first", "", "");
	unit("second", "", "");
	assert_int_equal(service_host_start(&host), 0);
	echo("light"); /* both have had a turn */
	echo("heavy");
	stay("busy");
	light = ask_beside("light");
	await_queued("light");
	heavy = ask_beside("heavy");
	await_queued("heavy");
	assert_int_equal(service_host_view(&host, "busy").state, SVC_ACTIVE);
	closep(&busy);
	answered(heavy);
	answered(light);
	stay("busy");
	first = ask_beside("first");
	await_queued("first");
	second = ask_beside("second");
	await_queued("second");
	closep(&busy);
	answered(first);
	answered(second);
	await_order("light heavy busy heavy light busy first second ");
}

/* Nobody comes for what was foretold: at the end of its time, not before, it is frozen, then released. */
static void test_service_room_wrong_guess_is_given_back(void **state)
{
	uint64_t from, ready, took;
	struct svc_view v;

	(void)state;
	make_out();
	unit("vain", "", "X-Forewarm-ReleaseAfterSec=100ms\n");
	assert_int_equal(service_host_start(&host), 0);
	from = clock_ns(CLOCK_MONOTONIC);
	assert_true(service_host_predict(&host, "vain", 0.9, 100000000));
	service_host_await(&host, "vain", SVC_READY, 3000);
	ready = clock_ns(CLOCK_MONOTONIC) - from;
	service_host_await(&host, "vain", SVC_COLD, 6000);
	took = clock_ns(CLOCK_MONOTONIC) - from;
	v = service_host_view(&host, "vain");
	printf("# ready after %llu ms, released after %llu ms\n",
	       (unsigned long long)ready / 1000000, (unsigned long long)took / 1000000);
	/* Twice the lead and half a second, by svc_moves.c. */
	assert_in_range(took, 700000000, 6000000000);
	assert_int_equal(v.why, SVC_WHY_IDLE);
	assert_int_equal(v.figures.freeze_n, 1);
	assert_int_equal(v.figures.release_n, 1);
	assert_int_equal(v.figures.guess_outcome_n[SVC_GUESS_WASTED], 1);
	assert_true(v.figures.wasted_mbs > 0);
	assert_int_equal(service_host_boxes(&host), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_host_before, service_host_after)
		TEST(test_service_room_guessed_start_gives_way),
		TEST(test_service_room_start_that_came_true_stays),
		TEST(test_service_room_guessed_ready_gives_way),
		TEST(test_service_room_queue_answers_everybody),
		TEST(test_service_room_queue_is_in_order),
		TEST(test_service_room_wrong_guess_is_given_back),
#undef TEST
	};

	return cmocka_run_group_tests_name("service-room", tests, NULL, NULL);
}
