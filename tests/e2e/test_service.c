// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Services from the outside: clients that know nothing, and a daemon that can be killed. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/built.h"
#include "support/manager.h"
#include "support/service_host.h"
#include "sys/fdstore.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The helper with these options; text goes after ExecStart=. */
static void unit(const char *name, const char *socket, const char *options, const char *more)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "ExecStart=%s %s\nUser=nobody\n%s", host.helper, options,
		       more);
	service_host_unit(&host, name, socket, text);
}

static void at(char *buf, size_t n, const char *name)
{
	(void)snprintf(buf, n, "%s/%s.sock", host.dir, name);
}

static void unix_unit(const char *name, const char *options, const char *more)
{
	char path[128], socket[160];

	at(path, sizeof(path), name);
	(void)snprintf(socket, sizeof(socket), "ListenStream=%s\n", path);
	unit(name, socket, options, more);
}

static struct unit_addr unix_addr(const char *name)
{
	char path[128];

	at(path, sizeof(path), name);
	return service_addr(path);
}

static void echo(const struct unit_addr *a)
{
	char got[256];

	if (!service_ask(a, "hello\n", got, sizeof(got), NULL))
		fail_msg("no answer");
	assert_string_equal(got, "hello\n");
}

static void echo_until_frozen(const struct unit_addr *a, const char *name)
{
	uint64_t before = service_host_view(&host, name).figures.freeze_n;

	echo(a);
	service_host_await_freeze(&host, name, before, 4000);
}

static void test_service_cold_connection_starts_it_as_its_user(void **state)
{
	struct unit_addr a;
	int pid, uid, fds;
	char got[256], names[64];

	(void)state;
	unix_unit("one", "", "");
	assert_int_equal(service_host_start(&host), 0);
	assert_int_equal(service_host_view(&host, "one").state, SVC_COLD);
	a = unix_addr("one");
	assert_true(service_ask(&a, "who\n", got, sizeof(got), NULL));
	assert_int_equal(sscanf(got, "%d %d %d %63s", &pid, &uid, &fds, names), 4);
	assert_int_equal(uid, 65534);
	assert_int_equal(fds, 1);
	assert_string_equal(names, "one.socket");
	/* Standard streams, the socket, its own epoll, this connection: nothing of ours leaked. */
	assert_non_null(strstr(got, " 0,1,2,3,4,5,\n"));
	service_host_await(&host, "one", SVC_ACTIVE, 2000);
	assert_int_equal(service_host_view(&host, "one").figures.class_n[SVC_CLASS_COLD], 1);
}

static void test_service_every_kind_of_socket(void **state)
{
	char socket[512], path[128];
	struct unit_addr addrs[5];

	(void)state;
	at(path, sizeof(path), "many");
	(void)snprintf(socket, sizeof(socket),
		       "ListenStream=%s\nListenStream=127.0.0.1:%d\nListenStream=[::1]:%d\n"
		       "ListenSequentialPacket=@%s\nListenDatagram=127.0.0.1:%d\n",
		       path, 20000 + (int)getpid() % 20000, 20000 + (int)getpid() % 20000, path,
		       20000 + (int)getpid() % 20000);
	unit("many", socket, "",
	     "X-Forewarm-FreezeAfterSec=20ms\nX-Forewarm-ReleaseAfterSec=60s\n");
	assert_int_equal(service_host_start(&host), 0);
	addrs[0] = service_addr(path);
	(void)snprintf(socket, sizeof(socket), "127.0.0.1:%d", 20000 + (int)getpid() % 20000);
	addrs[1] = addrs[4] = service_addr(socket);
	addrs[4].type = UNIT_DATAGRAM;
	(void)snprintf(socket, sizeof(socket), "[::1]:%d", 20000 + (int)getpid() % 20000);
	addrs[2] = service_addr(socket);
	(void)snprintf(socket, sizeof(socket), "@%s", path);
	addrs[3] = service_addr(socket);
	addrs[3].type = UNIT_SEQPACKET;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
			if (round)
				echo_until_frozen(&addrs[i], "many");
			else
				echo(&addrs[i]);
		}
	}
	assert_true(service_host_view(&host, "many").figures.class_n[SVC_CLASS_THAWED] >= 8);
}

static void test_service_idle_is_frozen_and_thawed_by_a_connection(void **state)
{
	struct unit_addr a = unix_addr("fr");
	struct svc_view v;

	(void)state;
	unix_unit("fr", "",
		  "X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=60s\n"
		  "X-Forewarm-MayRest=no\n");
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < 20; i++) {
		echo_until_frozen(&a, "fr");
	}
	v = service_host_view(&host, "fr");
	assert_int_equal(v.figures.class_n[SVC_CLASS_COLD], 1);
	assert_true(v.figures.class_n[SVC_CLASS_THAWED] >= 19);
	assert_int_equal(v.figures.start_n, 1);
}

/* --- by the kernel's own account ------------------------------------------------------------------------ */
static void trace_path(char *ret, size_t n, const char *file)
{
	(void)snprintf(ret, n, "/sys/kernel/tracing/instances/fwm-svc-%d/%s", (int)getpid(), file);
}

static bool trace_put(const char *file, const char *text)
{
	char path[200];
	_cleanup_(closep) int fd = -1;

	trace_path(path, sizeof(path), file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) >= 0;
}

/* What would attach, make or unshare something, by us and all we fork from now on. */
static void trace_begin(void)
{
	static const char *const events[] = {
		"cgroup/cgroup_attach_task", "cgroup/cgroup_transfer_tasks",
		"cgroup/cgroup_mkdir",	     "syscalls/sys_enter_unshare",
		"syscalls/sys_enter_setns",  "syscalls/sys_enter_mount",
		"syscalls/sys_enter_clone3", "syscalls/sys_enter_fsopen"};
	char text[128];

	(void)mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL); /* mounted: EBUSY */
	trace_path(text, sizeof(text), "");
	if (mkdir(text, 0700) < 0)
		skip_because("no tracefs instances here");
	assert_true(trace_put("tracing_on", "0"));
	assert_true(trace_put("options/event-fork", "1"));
	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	assert_true(trace_put("set_event_pid", text));
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		(void)snprintf(text, sizeof(text), "events/%s/enable", events[i]);
		(void)trace_put(text, "1"); /* not every kernel has each of them */
	}
}

static size_t trace_lines(void)
{
	char path[128], line[512];
	size_t n = 0;
	FILE *f;

	trace_path(path, sizeof(path), "trace");
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += *line != '#';
	(void)fclose(f);
	return n;
}

static void trace_end(void)
{
	char path[128];

	(void)trace_put("events/enable", "0");
	trace_path(path, sizeof(path), "");
	(void)rmdir(path);
}

/* Between a request to a frozen service and its reply nothing is attached, made or unshared. The control
 * is one that is started, and the place of its sandbox filled. */
static void test_service_thaw_attaches_and_unshares_nothing(void **state)
{
	struct unit_addr a = unix_addr("warm"), c = unix_addr("cold");
	size_t thaw, cold;

	(void)state;
	unix_unit("warm", "",
		  "X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=60s\n"
		  "X-Forewarm-MayRest=no\n");
	unix_unit("cold", "", "");
	trace_begin();
	assert_int_equal(service_host_start(&host), 0);
	echo_until_frozen(&a, "warm");
	(void)usleep(300000); /* the pool is full again after the first start */
	for (int i = 0; i < 5; i++) {
		uint64_t before = service_host_view(&host, "warm").figures.freeze_n;

		assert_true(trace_put("tracing_on", "1"));
		echo(&a);
		assert_true(trace_put("tracing_on", "0"));
		service_host_await_freeze(&host, "warm", before, 4000);
	}
	thaw = trace_lines();
	assert_true(trace_put("tracing_on", "1"));
	echo(&c);
	for (int i = 0; i < 200 && !trace_lines(); i++)
		(void)usleep(10000);
	cold = trace_lines();
	trace_end();
	assert_true(service_host_view(&host, "warm").figures.class_n[SVC_CLASS_THAWED] >= 5);
	assert_int_equal(thaw, 0);
	assert_true(cold > 0);
}

/* A client that is connected but silent, and work after the answer: both are not idle. */
static void test_service_busy_is_not_frozen(void **state)
{
	struct unit_addr a = unix_addr("busy");
	char got[64];

	(void)state;
	unix_unit("busy", "", "X-Forewarm-FreezeAfterSec=20ms\n");
	assert_int_equal(service_host_start(&host), 0);
	assert_true(service_ask(&a, "burn 400\n", got, sizeof(got), NULL));
	service_host_await(&host, "busy", SVC_ACTIVE, 200); /* its answer may be first */
	for (int i = 0; i < 15; i++) {
		assert_int_equal(service_host_view(&host, "busy").state, SVC_ACTIVE);
		(void)usleep(20000);
	}
	service_host_await(&host, "busy", SVC_FROZEN, 3000);
}

static void test_service_prediction_starts_and_thaws_ahead(void **state)
{
	struct unit_addr a = unix_addr("pre");
	char name[160], path[128];
	struct svc_view v;

	(void)state;
	unix_unit("pre", "--notify --delay-ms 50", "Type=notify\nX-Forewarm-FreezeAfterSec=10ms\n");
	assert_int_equal(service_host_start(&host), 0);
	assert_false(service_host_predict(&host, "tcp:127.0.0.1:9", 0.9, 0));
	assert_true(service_host_predict(&host, "pre", 0.9, 50000000));
	service_host_await(&host, "pre", SVC_READY, 3000);
	echo_until_frozen(&a, "pre");
	at(path, sizeof(path), "pre");
	(void)snprintf(name, sizeof(name), "unix:%s", path);
	assert_true(service_host_predict(&host, name, 0.9, 1000000));
	service_host_await(&host, "pre", SVC_READY, 3000);
	echo_until_frozen(&a, "pre");
	v = service_host_view(&host, "pre");
	assert_int_equal(v.figures.guess_n, 2);
	assert_int_equal(v.figures.class_n[SVC_CLASS_COLD], 0);
	/* Nobody comes: frozen again, and the guess is called wasted. */
	assert_true(service_host_predict(&host, "pre", 0.9, 1000000));
	service_host_await(&host, "pre", SVC_READY, 3000);
	service_host_await(&host, "pre", SVC_FROZEN, 3000);
	assert_true(service_host_view(&host, "pre").figures.guess_outcome_n[SVC_GUESS_WASTED] >= 1);
}

static void test_service_notify_is_waited_for(void **state)
{
	struct unit_addr a = unix_addr("nt");
	uint64_t took;
	char got[64];

	(void)state;
	unix_unit("nt", "--notify --delay-ms 150", "Type=notify\n");
	assert_int_equal(service_host_start(&host), 0);
	assert_true(service_ask(&a, "hello\n", got, sizeof(got), &took));
	assert_true(took > 150000000);
	service_host_await(&host, "nt", SVC_ACTIVE, 2000);
	assert_true(service_host_view(&host, "nt").cold_ns > 50e6);
}

static void test_service_that_knows_no_listen_fds_is_proxied(void **state)
{
	struct unit_addr a = unix_addr("px");
	char got[64];

	(void)state;
	/* In a network of its own: the port is nobody else's business. */
	unix_unit("px", "--bind 7777 --delay-ms 30",
		  "X-Forewarm-Proxy=7777\nPrivateNetwork=yes\nX-Forewarm-FreezeAfterSec=20ms\n");
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < 5; i++) {
		assert_true(service_ask(&a, "through\n", got, sizeof(got), NULL));
		assert_string_equal(got, "through\n");
		service_host_await(&host, "px", SVC_FROZEN, 4000);
	}
	assert_int_equal(service_host_view(&host, "px").figures.start_n, 1);
}

static void test_service_is_released_and_comes_back(void **state)
{
	struct unit_addr a = unix_addr("rel"), t = unix_addr("term");
	struct svc_view v;

	(void)state;
	unix_unit("rel", "", "X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=30ms\n");
	unix_unit("term", "--term",
		  "X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=30ms\n");
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < 5; i++) {
		echo(&a);
		echo(&t);
		service_host_await(&host, "rel", SVC_COLD, 5000);
		service_host_await(&host, "term", SVC_COLD, 5000);
	}
	v = service_host_view(&host, "rel");
	assert_int_equal(v.figures.start_n, 5);
	assert_int_equal(v.figures.release_n, 5);
	assert_int_equal(v.figures.fail_n, 0);
	assert_int_equal(service_host_view(&host, "term").figures.fail_n, 0);
	assert_int_equal(service_host_boxes(&host), 0);
}

static void test_service_crash_loop_heals_and_loses_nobody(void **state)
{
	struct unit_addr a = unix_addr("bad");
	char got[64];
	int ms = 2000;
	pid_t client;

	(void)state;
	unix_unit("bad", "--fail", "RestartSec=20ms\n");
	assert_int_equal(service_host_start(&host), 0);
	client = fork();
	assert_true(client >= 0);
	if (client == 0)
		_exit(!service_ask(&a, "hello\n", got, sizeof(got), NULL));
	/* After 20, 40 and 80 ms: that is not left to what is looked at once a second. */
	while (service_host_view(&host, "bad").fail_row_n < 4 && (ms -= 10) > 0)
		(void)usleep(10000);
	assert_true(ms > 0);
	/* Repaired, and the daemon told so in the hard way: the waiting client is served. */
	service_host_kill(&host);
	unix_unit("bad", "", "");
	assert_int_equal(service_host_start(&host), 0);
	service_host_await(&host, "bad", SVC_ACTIVE, 5000);
	{
		int status = -1;

		assert_true(waitpid(client, &status, 0) == client);
		assert_int_equal(status, 0);
	}
}

static void test_service_exit_and_bad_exit_are_started_anew(void **state)
{
	struct unit_addr a = unix_addr("ex");
	char got[64];

	(void)state;
	unix_unit("ex", "", "RestartSec=10ms\n");
	assert_int_equal(service_host_start(&host), 0);
	echo(&a);
	(void)service_ask(&a, "exit 0", got, sizeof(got), NULL);
	echo(&a);
	assert_int_equal(service_host_view(&host, "ex").figures.fail_n, 0);
	(void)service_ask(&a, "exit 3", got, sizeof(got), NULL);
	echo(&a);
	assert_int_equal(service_host_view(&host, "ex").figures.fail_n, 1);
}

/* The daemon is killed with one service running, one frozen and one cold, and started anew. */
static void survive_kill_9(void)
{
	struct unit_addr a = unix_addr("k1"), b = unix_addr("k2"), c = unix_addr("k3");
	char before[256], after[256], got[64];
	pid_t client;
	int status = -1;

	unix_unit("k1", "", "X-Forewarm-FreezeAfterSec=infinity\n");
	unix_unit("k2", "",
		  "X-Forewarm-FreezeAfterSec=10ms\nX-Forewarm-ReleaseAfterSec=60s\n"
		  "X-Forewarm-MayRest=no\n");
	unix_unit("k3", "", "");
	assert_int_equal(service_host_start(&host), 0);
	assert_true(service_ask(&a, "who\n", before, sizeof(before), NULL));
	echo(&b);
	service_host_await(&host, "k2", SVC_FROZEN, 3000);
	service_host_kill(&host);
	/* The daemon is away: what runs answers, what is frozen or cold waits, nobody is refused. */
	assert_true(service_ask(&a, "who\n", after, sizeof(after), NULL));
	assert_string_equal(before, after);
	client = fork();
	assert_true(client >= 0);
	if (client == 0)
		_exit(!service_ask(&b, "hello\n", got, sizeof(got), NULL) ||
		      !service_ask(&c, "hello\n", got, sizeof(got), NULL));
	(void)usleep(100000);
	assert_int_equal(service_host_start(&host), 0);
	assert_true(waitpid(client, &status, 0) == client);
	assert_int_equal(status, 0);
	assert_true(service_ask(&a, "who\n", after, sizeof(after), NULL));
	assert_string_equal(before, after); /* the same process still */
	assert_int_equal(service_host_view(&host, "k1").figures.start_n, 0);
	assert_int_equal(service_host_view(&host, "k2").figures.start_n, 0);
	service_host_await(&host, "k2", SVC_FROZEN, 3000);
}

static void test_service_survives_kill_9_of_the_daemon(void **state)
{
	(void)state;
	survive_kill_9();
}

/* What the sandbox of that service has said last, read as the daemon would have. */
static void read_end(const char *name)
{
	char run[96], key[64], message[4096];
	struct fdstore *f = NULL;
	struct pollfd p = {.events = POLLIN};

	(void)snprintf(run, sizeof(run), "%s/run", host.dir);
	(void)snprintf(key, sizeof(key), "%s.ctl", name);
	assert_int_equal(fdstore_open(run, &f), 0);
	assert_int_equal(fdstore_take(f, key, &p.fd), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(recv(p.fd, message, sizeof(message), 0) > 0);
	(void)close(p.fd);
	(void)fdstore_close(f, false);
}

/* Which was killed between reading of it and doing something about it. */
static void test_service_whose_end_only_a_killed_daemon_knew_is_started_anew(void **state)
{
	struct unit_addr a = unix_addr("ex");
	char got[64];

	(void)state;
	unix_unit("ex", "", "X-Forewarm-FreezeAfterSec=infinity\n");
	assert_int_equal(service_host_start(&host), 0);
	echo(&a);
	service_host_kill(&host);
	(void)service_ask(&a, "exit 0", got, sizeof(got), NULL);
	read_end("ex");
	assert_int_equal(service_host_start(&host), 0);
	echo(&a);
	assert_int_equal(service_host_view(&host, "ex").figures.start_n, 1);
}

/* Started by a service manager, that keeps the descriptors: there is no holder. */
static void test_service_survives_kill_9_under_a_manager(void **state)
{
	char holder[96];

	(void)state;
	manager_start(host.dir);
	host.managed = true;
	survive_kill_9();
	(void)snprintf(holder, sizeof(holder), "%s/run/fdstore", host.dir);
	assert_int_equal(access(holder, F_OK), -1);
	/* Of each a socket, a notify socket and a page, and three of each of the two sandboxes. */
	assert_true(manager_kept_n() >= 3 * 3 + 2 * 3);
	service_host_stop(&host);
	manager_stop();
}

/* User and system time of a process, in clock ticks of 10 ms. */
static unsigned long ticks_of(pid_t pid)
{
	char path[64];
	unsigned long user = 0, system = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user, &system),
			 2);
	(void)fclose(f);
	return user + system;
}

static void test_service_a_hundred_frozen_cost_nothing(void **state)
{
	enum { N = 100 };
	char name[16], got[512];
	unsigned long before = 0, after = 0, daemon;

	(void)state;
	host.run_max = 120;
	host.pool_max = 140;
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "h%d", i);
		unix_unit(name, "",
			  i % 2 ? "X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=1h\n"
				: "X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=1h\n"
				  "X-Forewarm-MayRest=no\n");
	}
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < N; i++) {
		struct unit_addr a;

		(void)snprintf(name, sizeof(name), "h%d", i);
		a = unix_addr(name);
		assert_true(service_ask(&a, "who\n", got, sizeof(got), NULL));
	}
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "h%d", i);
		service_host_await(&host, name, SVC_FROZEN, 5000);
	}
	daemon = ticks_of(host.pid);
	before = service_host_cpu_us(&host);
	(void)usleep(3000000);
	after = service_host_cpu_us(&host);
	daemon = ticks_of(host.pid) - daemon;
	printf("# %d frozen services used %lu us of CPU in 3 s, the daemon %lu ms\n", N,
	       after - before, daemon * 10);
	assert_true(after - before <
		    3000); /* a tenth of a percent: other than nothing only by mistake */
	/* And the daemon less than 3 % with its test's tick, of a processor of the usual speed. */
	assert_true(daemon * 10 < 90 * built_scale());
}

static void drop_in(const char *unit, const char *text)
{
	char path[200];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s.d", host.dir, unit);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/%s.d/a.conf", host.dir, unit);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_service_unit_that_cannot_be_honoured_is_refused(void **state)
{
	struct unit_addr a = unix_addr("good");

	(void)state;
	unix_unit("good", "", "");
	unix_unit("nouser", "", "User=no-such-user-here\n");
	unix_unit("typo", "", "MemoryMaxx=1G\n");
	unix_unit("nocall", "", "SystemCallFilter=no_such_call\n");
	unix_unit("dropin", "", "");
	drop_in("dropin.socket", "[Socket]\nAccept=yes\n");
	drop_in("good.service", "[Service]\nTasksMax=20\n");
	assert_int_equal(service_host_start(&host), 4);
	echo(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_HOST(f) cmocka_unit_test_setup_teardown(f, service_host_before, service_host_after)
		WITH_HOST(test_service_cold_connection_starts_it_as_its_user),
		WITH_HOST(test_service_every_kind_of_socket),
		WITH_HOST(test_service_idle_is_frozen_and_thawed_by_a_connection),
		WITH_HOST(test_service_thaw_attaches_and_unshares_nothing),
		WITH_HOST(test_service_busy_is_not_frozen),
		WITH_HOST(test_service_prediction_starts_and_thaws_ahead),
		WITH_HOST(test_service_notify_is_waited_for),
		WITH_HOST(test_service_that_knows_no_listen_fds_is_proxied),
		WITH_HOST(test_service_is_released_and_comes_back),
		WITH_HOST(test_service_crash_loop_heals_and_loses_nobody),
		WITH_HOST(test_service_exit_and_bad_exit_are_started_anew),
		WITH_HOST(test_service_survives_kill_9_of_the_daemon),
		WITH_HOST(test_service_whose_end_only_a_killed_daemon_knew_is_started_anew),
		WITH_HOST(test_service_survives_kill_9_under_a_manager),
		WITH_HOST(test_service_a_hundred_frozen_cost_nothing),
		WITH_HOST(test_service_unit_that_cannot_be_honoured_is_refused),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
