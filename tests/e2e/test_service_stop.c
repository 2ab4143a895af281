// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_service_stop.c - who is stopped rather than frozen, or left as it is, and that nobody can tell.
 *
 * A service of one process is stopped (SIGSTOP) when idle, and resumed from within its client's
 * connect(). Those that could notice are frozen as ever, and all of them answer.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/service_host.h"
#include "sys/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char stops[] = "X-Forewarm-MayRest=no\n";

static bool kernel_has(const char *name)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/kallsyms", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, name))
			return true;
	return false;
}

static bool read_text(const char *path, char *buf, size_t n)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	return f && fgets(buf, (int)n, f);
}

/* SIGCONT from a BPF program: Linux 6.13. */
static bool kernel_resumes(void)
{
	return kernel_has(" bpf_send_signal_task\n");
}

/* It tells of connections: Linux 6.4. */
static bool kernel_rests(void)
{
	return kernel_has(" __traceiter_sk_data_ready\n");
}

static struct unit_addr unit(const char *name, const char *options, const char *more)
{
	char path[128], socket[160], text[512];

	(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, name);
	(void)snprintf(socket, sizeof(socket), "ListenStream=%s\n", path);
	(void)snprintf(text, sizeof(text),
		       "ExecStart=%s %s\nUser=nobody\nX-Forewarm-FreezeAfterSec=5ms\n"
		       "X-Forewarm-ReleaseAfterSec=60s\n%s",
		       host.helper, options, more);
	service_host_unit(&host, name, socket, text);
	return service_addr(path);
}

static void echo_until_frozen(const struct unit_addr *a, const char *name)
{
	uint64_t before = service_host_view(&host, name).figures.freeze_n;
	char got[64];

	if (!service_ask(a, "hello\n", got, sizeof(got), NULL))
		fail_msg("%s: no answer", name);
	assert_string_equal(got, "hello\n");
	service_host_await_freeze(&host, name, before, 4000);
}

/* On a busy host it is at times not yet asleep again when it is idle, and frozen by its group instead. */
static bool echo_until_stopped(const struct unit_addr *a, const char *name)
{
	for (int i = 0; i < 20; i++) {
		echo_until_frozen(a, name);
		if (service_host_in_state(&host, 'T') == 1)
			return true;
	}
	return false;
}

static uint16_t free_port(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	(void)close(fd);
	return ntohs(in.sin_port);
}

static void call_in_vain(const struct sockaddr *to, socklen_t n)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, to, n), -1);
	assert_int_not_equal(errno, EINPROGRESS);
	(void)close(fd);
}

static void test_service_stop_resumes_on_each_connection(void **state)
{
	int stopped_n = 0;
	struct svc_view v;
	struct unit_addr a;

	(void)state;
	if (!kernel_resumes())
		skip_because("the kernel has no bpf_send_signal_task");
	a = unit("one", "", stops);
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < 50; i++) {
		echo_until_frozen(&a, "one");
		stopped_n += service_host_in_state(&host, 'T');
	}
	assert_true(stopped_n >= 25);
	v = service_host_view(&host, "one");
	assert_int_equal(v.figures.start_n, 1);
	/* More, where 5 ms were over before it had answered: then it was resumed once more. */
	assert_true(v.figures.class_n[SVC_CLASS_THAWED] >= 49);
	/* Foretold: resumed by the daemon, ahead. */
	assert_true(echo_until_stopped(&a, "one"));
	assert_true(service_host_predict(&host, "one", 1, 1000000));
	service_host_await(&host, "one", SVC_READY, 2000);
	assert_int_equal(service_host_in_state(&host, 'T'), 0);
	assert_true(echo_until_stopped(&a, "one"));
	service_host_stop(&host);
}

/* Beside a host that goes on working it would be owed time, and preempt its client. */
static void test_service_stop_ends_for_a_guess_when_all_else_is_done(void **state)
{
	int stopped_n = 0;
	struct svc_view v;
	struct unit_addr a;

	(void)state;
	if (!kernel_resumes())
		skip_because("the kernel has no bpf_send_signal_task");
	a = unit("one", "", stops);
	assert_int_equal(service_host_start(&host), 0);
	assert_true(echo_until_stopped(&a, "one"));
	assert_int_equal(service_host_predict_look(&host, "one", 1, 1000000), 1);
	service_host_await(&host, "one", SVC_READY, 2000);
	assert_int_equal(service_host_in_state(&host, 'T'), 0);
	/* Who comes before that finds it as if it had not been foretold. */
	echo_until_frozen(&a, "one");
	for (int i = 0; i < 50; i++) {
		stopped_n += service_host_in_state(&host, 'T');
		assert_true(service_host_predict(&host, "one", 1, 1000000));
		echo_until_frozen(&a, "one");
	}
	assert_true(stopped_n >= 25);
	v = service_host_view(&host, "one");
	assert_int_equal(v.figures.start_n, 1);
	service_host_stop(&host);
}

static void test_service_stop_is_taken_over_by_the_next_daemon(void **state)
{
	struct unit_addr a;

	(void)state;
	if (!kernel_resumes())
		skip_because("the kernel has no bpf_send_signal_task");
	a = unit("one", "", stops);
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(echo_until_stopped(&a, "one"));
		service_host_kill(&host);
		assert_int_equal(service_host_in_state(&host, 'T'), 1);
		assert_int_equal(service_host_start(&host), 0);
		service_host_await(&host, "one", SVC_FROZEN, 4000);
		assert_int_equal(service_host_in_state(&host, 'T'), 1);
	}
	echo_until_frozen(&a, "one");
	assert_int_equal(service_host_view(&host, "one").figures.start_n, 0);
	service_host_stop(&host);
}

/* The same port of another host is not the service's. */
static void test_service_stop_goes_on_while_others_are_called(void **state)
{
	struct sockaddr_in far = {.sin_family = AF_INET};
	struct sockaddr_in6 far6 = {.sin6_family = AF_INET6};
	char listen[64], text[512], socket_text[96];
	uint64_t before;
	struct unit_addr a;

	(void)state;
	if (!kernel_resumes())
		skip_because("the kernel has no bpf_send_signal_task");
	far.sin_port = far6.sin6_port = htons(free_port());
	(void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", ntohs(far.sin_port));
	(void)snprintf(text, sizeof(text),
		       "ExecStart=%s\nUser=nobody\nX-Forewarm-FreezeAfterSec=5ms\n"
		       "X-Forewarm-ReleaseAfterSec=60s\n%s",
		       host.helper, stops);
	a = service_addr(listen);
	(void)snprintf(socket_text, sizeof(socket_text), "ListenStream=%s\n", listen);
	service_host_unit(&host, "one", socket_text, text);
	assert_int_equal(service_host_start(&host), 0);
	assert_true(echo_until_stopped(&a, "one"));
	before = service_host_view(&host, "one").figures.freeze_n;
	/* Groups, to which TCP never sends anything: the kernel refuses after the program was asked. */
	assert_int_equal(inet_pton(AF_INET, "224.0.0.1", &far.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET6, "ff02::1", &far6.sin6_addr), 1);
	call_in_vain((struct sockaddr *)&far, sizeof(far));
	call_in_vain((struct sockaddr *)&far6, sizeof(far6));
	(void)usleep(200000);
	assert_int_equal(service_host_in_state(&host, 'T'), 1);
	assert_int_equal(service_host_view(&host, "one").figures.freeze_n, before);
	echo_until_frozen(&a, "one");
	service_host_stop(&host);
}

/* Who connects while nobody is there to resume it is served by the next daemon. */
static void test_service_stop_forgets_no_connection_of_the_time_between(void **state)
{
	struct sockaddr_storage to;
	struct unit_addr a;
	char got[8] = "";
	socklen_t to_n;
	int fd;

	(void)state;
	a = unit("one", "", stops);
	assert_int_equal(service_host_start(&host), 0);
	echo_until_frozen(&a, "one");
	service_host_kill(&host);
	(void)listen_sockaddr(&a, &to, &to_n);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, to_n), 0);
	assert_int_equal(send(fd, "late\n", 5, MSG_NOSIGNAL), 5);
	assert_int_equal(service_host_start(&host), 0);
	assert_int_equal(recv(fd, got, sizeof(got), 0), 5);
	assert_memory_equal(got, "late\n", 5);
	(void)close(fd);
	service_host_stop(&host);
}

/* It has a handler, it is not alone, it must not: all are frozen by their group, and none notices. */
static void test_service_stop_is_not_for_who_could_tell(void **state)
{
	static const struct {
		const char *name, *options, *more;
	} rows[] = {
		{"handler", "--cont", stops},
		{"child", "--child", stops},
		{"forbidden", "", "X-Forewarm-MayStop=no\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		(void)unit(rows[i].name, rows[i].options, rows[i].more);
	assert_int_equal(service_host_start(&host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct unit_addr a = unit(rows[i].name, rows[i].options, rows[i].more);

		for (int k = 0; k < 3; k++) {
			echo_until_frozen(&a, rows[i].name);
			if (service_host_in_state(&host, 'T'))
				fail_msg("%s was stopped", rows[i].name);
		}
		assert_int_equal(service_host_view(&host, rows[i].name).figures.start_n, 1);
	}
	service_host_stop(&host);
}

/* Without a timer it sleeps by itself: nothing is stopped, and each connection is counted. */
static void test_service_stop_leaves_who_rests(void **state)
{
	uint64_t rested_n = 0;
	struct svc_view v;
	struct unit_addr a;

	(void)state;
	if (!kernel_rests())
		skip_because("the kernel has no sk_data_ready");
	a = unit("one", "", "");
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < 20; i++) {
		echo_until_frozen(&a, "one");
		v = service_host_view(&host, "one");
		assert_true(!v.resting || service_host_in_state(&host, 'T') == 0);
		rested_n += v.resting;
	}
	v = service_host_view(&host, "one");
	assert_int_equal(v.figures.start_n, 1);
	/* On a busy host it is at times not yet asleep again when it is idle, and frozen first. */
	assert_true(rested_n >= 10);
	assert_true(v.figures.rest_n >= rested_n);
	assert_true(v.figures.class_n[SVC_CLASS_RESTING] >= rested_n - 1);
	assert_true(service_host_predict(&host, "one", 1, 1000000));
	service_host_await(&host, "one", SVC_READY, 2000);
	echo_until_frozen(&a, "one");
	/* The next daemon finds it running, and idle. */
	service_host_kill(&host);
	assert_int_equal(service_host_start(&host), 0);
	service_host_await(&host, "one", SVC_FROZEN, 4000);
	echo_until_frozen(&a, "one");
	assert_int_equal(service_host_view(&host, "one").figures.start_n, 0);
	service_host_stop(&host);
}

/* Started by each request, and ended by it while it is being frozen. */
static void ends_each_time(const char *name, const char *options, unsigned times)
{
	struct unit_addr a =
		unit(name, options, "X-Forewarm-MayStop=no\nX-Forewarm-FreezeAfterSec=1ms\n");

	assert_int_equal(service_host_start(&host), 0);
	for (unsigned i = 0; i < times; i++) {
		char got[64];

		assert_true(service_ask(&a, "leave\n", got, sizeof(got), NULL));
		service_host_await(&host, name, SVC_COLD, 4000);
	}
	assert_int_equal(service_host_view(&host, name).figures.start_n, times);
	service_host_stop(&host);
}

/* The init that tells of it is frozen with it. */
static void test_service_stop_does_not_keep_an_end_to_itself(void **state)
{
	(void)state;
	ends_each_time("fat", "--fat 320", 4);
}

/* Of many threads the first that is told to end is gone long before the last: on v1 these stay if they are
 * frozen meanwhile. */
static void test_service_stop_lets_threads_end(void **state)
{
	(void)state;
	ends_each_time("many", "--threads 400", 8);
}

/* Asks it until it is found resting. */
static bool comes_to_rest(const struct unit_addr *a, const char *name, const char *text,
			  const char *answer)
{
	for (int i = 0; i < 20; i++) {
		uint64_t before = service_host_view(&host, name).figures.freeze_n;
		char got[512];

		if (!service_ask(a, text, got, sizeof(got), NULL) || !strstr(got, answer))
			fail_msg("%s: no answer", name);
		service_host_await_freeze(&host, name, before, 8000);
		if (service_host_view(&host, name).resting)
			return true;
	}
	return false;
}

/* Threads, a child, and one that could tell a stop: nobody is stopped. */
static void test_service_stop_leaves_all_of_one_who_rests(void **state)
{
	static const struct {
		const char *name, *options;
	} rows[] = {{"threads", "--threads 20"},
		    {"child", "--child"},
		    {"handler", "--cont"},
		    {"family", "--child --threads 3 --timer 0"}};

	(void)state;
	if (!kernel_rests())
		skip_because("the kernel has no sk_data_ready");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		(void)unit(rows[i].name, rows[i].options, "");
	assert_int_equal(service_host_start(&host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[128];
		struct unit_addr a;

		(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, rows[i].name);
		a = service_addr(path);
		for (int k = 0; k < 3; k++)
			if (!comes_to_rest(&a, rows[i].name, "hello\n", "hello"))
				fail_msg("%s does not rest", rows[i].name);
		assert_int_equal(service_host_in_state(&host, 'T'), 0);
		assert_int_equal(service_host_view(&host, rows[i].name).figures.start_n, 1);
	}
	service_host_stop(&host);
}

/* A thread for each of what waits in a queue. */
static const char python[] =
	"import queue,socket,threading\n"
	"q=queue.Queue()\n"
	"def work():\n"
	" while True:\n"
	"  c=q.get(); c.sendall(b'ok '+c.recv(99)); c.close()\n"
	"for _ in range(4): threading.Thread(target=work,daemon=True).start()\n"
	"s=socket.socket(fileno=3); s.setblocking(True)\n"
	"while True: q.put(s.accept()[0])\n";
static const char node[] =
	"require('net').createServer(c=>c.on('data',d=>c.end('ok '+d))).listen({fd:3})\n";

static void test_service_stop_leaves_real_programs_that_rest(void **state)
{
	static const struct {
		const char *name, *program, *code;
	} rows[] = {{"python", "/usr/bin/python3", python}, {"node", "/usr/bin/node", node}};
	int n = 0;

	(void)state;
	if (!kernel_rests())
		skip_because("the kernel has no sk_data_ready");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[128], file[160], text[512];
		FILE *f;

		if (access(rows[i].program, X_OK) < 0)
			continue;
		n++;
		(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, rows[i].name);
		(void)snprintf(file, sizeof(file), "%s/%s.code", host.dir, rows[i].name);
		f = fopen(file, "we");
		assert_non_null(f);
		assert_true(fputs(rows[i].code, f) >= 0);
		assert_int_equal(fclose(f), 0);
		(void)snprintf(text, sizeof(text),
			       "ExecStart=%s %s\nUser=nobody\nX-Forewarm-FreezeAfterSec=5ms\n"
			       "X-Forewarm-ReleaseAfterSec=60s\n",
			       rows[i].program, file);
		(void)snprintf(file, sizeof(file), "ListenStream=%s\n", path);
		service_host_unit(&host, rows[i].name, file, text);
	}
	if (!n)
		skip_because("neither Python nor Node is installed");
	assert_int_equal(service_host_start(&host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct unit_addr a;
		char path[128];

		if (access(rows[i].program, X_OK) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, rows[i].name);
		a = service_addr(path);
		if (!comes_to_rest(&a, rows[i].name, "hello\n", "ok"))
			fail_msg("%s does not rest", rows[i].name);
		assert_int_equal(service_host_view(&host, rows[i].name).figures.start_n, 1);
	}
	service_host_stop(&host);
}

/* Stopped or frozen, as it was found. */
static void await_down(const char *name)
{
	for (int i = 0; i < 800; i++) {
		struct svc_view v = service_host_view(&host, name);

		if (v.state == SVC_FROZEN && !v.resting)
			return;
		(void)usleep(10000);
	}
	fail_msg("%s is not stopped", name);
}

/* A timer that can be seen, and one that cannot: that one is found out by what it does. */
static void test_service_stop_is_for_who_has_a_timer(void **state)
{
	struct unit_addr seen, hidden;
	char got[64];

	(void)state;
	if (!kernel_resumes())
		skip_because("the kernel has no bpf_send_signal_task");
	seen = unit("seen", "--timer 50", "");
	hidden = unit("hidden", "--alarm 20", "");
	assert_int_equal(service_host_start(&host), 0);
	assert_true(echo_until_stopped(&seen, "seen"));
	assert_int_equal(service_host_view(&host, "seen").figures.rest_n, 0);
	echo_until_frozen(&hidden, "hidden");
	await_down("hidden");
	for (int i = 0; i < 3; i++) {
		assert_true(service_ask(&hidden, "hello\n", got, sizeof(got), NULL));
		assert_string_equal(got, "hello\n");
		await_down("hidden");
	}
	assert_int_equal(service_host_view(&host, "hidden").figures.start_n, 1);
	service_host_stop(&host);
}

/* Of the one svc_echo there is, as /proc has it. */
static unsigned long long of_echo(const char *file, int field)
{
	char path[128], text[128], name[32];
	unsigned long long n[3] = {0};
	glob_t g;

	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/*/%s/sb-*/cgroup.procs", host.group);
	(void)glob(path, 0, NULL, &g); /* none is 0 */
	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/sb-*/cgroup.procs", host.group);
	(void)glob(path, GLOB_APPEND, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		_cleanup_(fclosep) FILE *f = fopen(g.gl_pathv[i], "re");
		int pid;

		while (f && fscanf(f, "%d", &pid) == 1) {
			(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
			if (read_text(path, name, sizeof(name)) &&
			    strcmp(name, "svc_echo\n") == 0) {
				(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
				if (read_text(path, text, sizeof(text)))
					(void)sscanf(text, "%llu %llu %llu", &n[0], &n[1], &n[2]);
			}
		}
	}
	globfree(&g);
	return n[field];
}

/* What has nothing but a timeout sleeps on over it, is not stopped, and has its timeouts back as soon as
 * somebody connects. */
static void puts_a_timeout_off(const char *options, const char *more)
{
	struct sockaddr_storage to;
	struct unit_addr a;
	uint64_t runs;
	socklen_t to_n;
	int fd;

	if (!kernel_rests())
		skip_because("the kernel has no sk_data_ready");
	a = unit("one", options, more);
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < 5; i++) {
		if (!comes_to_rest(&a, "one", "hello\n", "hello"))
			fail_msg("it does not rest");
		assert_int_equal(service_host_in_state(&host, 'T'), 0);
		runs = of_echo("schedstat", 2);
		(void)usleep(200000);
		assert_true(runs > 0);
		assert_int_equal(of_echo("schedstat", 2), runs);
		assert_int_equal(of_echo("timerslack_ns", 0), 50000);
	}
	(void)listen_sockaddr(&a, &to, &to_n);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, to_n), 0);
	(void)usleep(20000);
	runs = of_echo("schedstat", 2);
	(void)usleep(400000);
	assert_true(of_echo("schedstat", 2) >= runs + 5);
	(void)close(fd);
	assert_int_equal(service_host_view(&host, "one").figures.start_n, 1);
	service_host_stop(&host);
}

static void test_service_stop_puts_a_timeout_off(void **state)
{
	(void)state;
	puts_a_timeout_off("--tick 20", "");
}

static void test_service_stop_puts_off_behind_a_proxy(void **state)
{
	(void)state;
	puts_a_timeout_off("--bind 7777 --tick 20", "X-Forewarm-Proxy=7777\nPrivateNetwork=yes\n");
}

/* However it waits, as long as that is for its socket: the last one does not, and is stopped. */
static void test_service_stop_puts_off_only_what_a_connection_ends(void **state)
{
	static const char *const waits[] = {
		"p=select.poll(); p.register(s,select.POLLIN)\nwait=lambda: p.poll(50)\n",
		"p=select.epoll(); p.register(s,select.EPOLLIN)\nwait=lambda: p.poll(.05)\n",
		"wait=lambda: select.select([s],[],[],.05)\n",
		"wait=lambda: time.sleep(.05)\n",
	};
	char name[8] = "0", path[128], file[160], text[512];
	const int n = (int)ARRAY_SIZE(waits);

	(void)state;
	if (!kernel_resumes())
		skip_because("the kernel has no bpf_send_signal_task");
	if (access("/usr/bin/python3", X_OK) < 0)
		skip_because("Python is not installed");
	for (int i = 0; i < n; i++) {
		FILE *f;

		name[0] = (char)('0' + i);
		(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, name);
		(void)snprintf(file, sizeof(file), "%s/%s.py", host.dir, name);
		f = fopen(file, "we");
		assert_non_null(f);
		assert_true(
			fprintf(f,
				"import select,socket,time\n"
				"s=socket.socket(fileno=3); s.setblocking(False)\n%s"
				"while True:\n wait()\n try: c=s.accept()[0]\n"
				" except BlockingIOError: continue\n"
				" c.setblocking(True); c.sendall(b'ok '+c.recv(99)); c.close()\n",
				waits[i]) > 0);
		assert_int_equal(fclose(f), 0);
		(void)snprintf(text, sizeof(text),
			       "ExecStart=/usr/bin/python3 %s\nUser=nobody\n"
			       "X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=60s\n",
			       file);
		(void)snprintf(file, sizeof(file), "ListenStream=%s\n", path);
		service_host_unit(&host, name, file, text);
	}
	assert_int_equal(service_host_start(&host), 0);
	for (int i = 0; i < n; i++) {
		struct unit_addr a;
		char got[64];

		name[0] = (char)('0' + i);
		(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, name);
		a = service_addr(path);
		if (i < n - 1) {
			if (!comes_to_rest(&a, name, "hello\n", "ok"))
				fail_msg("%s: does not rest", waits[i]);
			continue;
		}
		for (int k = 0; k < 2; k++) {
			assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
			await_down(name);
		}
		assert_int_equal(service_host_view(&host, name).figures.rest_n, 0);
	}
	service_host_stop(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_HOST(f) cmocka_unit_test_setup_teardown(f, service_host_before, service_host_after)
		WITH_HOST(test_service_stop_resumes_on_each_connection),
		WITH_HOST(test_service_stop_ends_for_a_guess_when_all_else_is_done),
		WITH_HOST(test_service_stop_is_taken_over_by_the_next_daemon),
		WITH_HOST(test_service_stop_goes_on_while_others_are_called),
		WITH_HOST(test_service_stop_forgets_no_connection_of_the_time_between),
		WITH_HOST(test_service_stop_is_not_for_who_could_tell),
		WITH_HOST(test_service_stop_leaves_who_rests),
		WITH_HOST(test_service_stop_does_not_keep_an_end_to_itself),
		WITH_HOST(test_service_stop_lets_threads_end),
		WITH_HOST(test_service_stop_leaves_all_of_one_who_rests),
		WITH_HOST(test_service_stop_leaves_real_programs_that_rest),
		WITH_HOST(test_service_stop_is_for_who_has_a_timer),
		WITH_HOST(test_service_stop_puts_a_timeout_off),
		WITH_HOST(test_service_stop_puts_off_behind_a_proxy),
		WITH_HOST(test_service_stop_puts_off_only_what_a_connection_ends),
	};

	return cmocka_run_group_tests_name("service-stop", tests, NULL, NULL);
}
