// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What happened exactly k times must be observed exactly k times, and the counters must add up.
 * The subject is a child which is the only target, so that nothing else on the host can interfere.
 */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "support/sight.h"
#include "sys/procfs.h"
#include "sys/selftest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { END_CODE = 7 };

struct seen {
	char dir[SCRATCH_DIR_MAX];
	uint32_t subject;
	unsigned fork_n, exec_n, exit_n, open_n, miss_n, connect_n, refused_n, listen_n, unix_n;
	unsigned loader_n, peer_n, abstract_n, code_n, arg_n, script_n, cgroup_n;
	uint64_t latency_ns, cgroup;
	char unix_name[256];
};

static void observe(void *ctx, const struct obs *o)
{
	struct seen *s = ctx;

	switch (o->kind) {
	case OBS_FORK:
		s->fork_n++;
		break;
	case OBS_EXEC:
		s->exec_n++;
		if (o->args_len == sizeof("true\0-x") &&
		    !memcmp(o->args, "true\0-x", sizeof("true\0-x")))
			s->arg_n++;
		s->cgroup_n += o->cgroup == s->cgroup;
		if (o->script && strstr(o->script, "/script.sh"))
			s->script_n++;
		break;
	case OBS_EXIT:
		s->exit_n++;
		if (WIFEXITED(o->use.exit_code) && WEXITSTATUS(o->use.exit_code) == END_CODE &&
		    o->use.life_ns && o->use.minflt_n)
			s->code_n++;
		break;
	case OBS_OPEN:
		s->loader_n +=
			(o->flags & OBS_F_MAPPED) && !o->err && strstr(o->name, "/ld-") != NULL;
		if (strncmp(o->name, s->dir, strlen(s->dir)) != 0)
			break;
		if (o->err)
			s->miss_n += o->err == ENOENT && strstr(o->name, "/absent");
		else
			s->open_n++;
		s->latency_ns += o->latency_ns;
		break;
	case OBS_FOLD: /* the same again, while calls are not timed */
		s->open_n += strncmp(o->name, s->dir, strlen(s->dir)) ? 0 : (unsigned)o->count;
		break;
	case OBS_CONNECT:
		s->peer_n += o->peer == s->subject;
		if (!strncmp(o->name, "tcp:127.0.0.1:", 14)) {
			if (o->err)
				s->refused_n += o->err == ECONNREFUSED;
			else
				s->connect_n++;
		}
		if (!strncmp(o->name, "unix:/", 6)) {
			s->unix_n++;
			(void)snprintf(s->unix_name, sizeof(s->unix_name), "%s", o->name);
		}
		s->abstract_n += !strncmp(o->name, "unix:@forewarm-test", 19);
		break;
	case OBS_LISTEN:
		s->listen_n++;
		break;
	default:
		break;
	}
}

static void assert_identity(struct capture *c)
{
	struct capture_counters n;

	assert_int_equal(capture_counters(c, &n), 0);
	sight_assert_counted(n.hook);
	assert_int_equal(n.malformed_n, 0);
	assert_int_equal(n.unnamed_n, 0);
}

static struct capture *shared;

static void ignore(void *ctx, const struct obs *o)
{
	(void)ctx;
	(void)o;
}

/* One for all tests, as an emulated kernel takes seconds to verify and attach the programs: each has a subject of
 * its own, and the counters must add up over all before it too. As it was opened: calls are timed. */
static struct capture *start(void)
{
	static char pin[128];

	(void)snprintf(pin, sizeof(pin), "/sys/fs/bpf/fwm-test-%d", (int)getpid());
	if (!shared)
		shared = sight_open((struct capture_opts){SIGHT_STARTED, .pin_dir = pin});
	while (capture_closer(shared, true, 0) == CAPTURE_MORE) /* CAPTURE_ALWAYS is as well */
		(void)usleep(2000);
	sight_drain(shared, ignore, NULL);
	return shared;
}

static int stop(void **state)
{
	(void)state;
	shared = capture_close(shared);
	return 0;
}

static void run_target(struct capture *c, sight_fn *fn, struct seen *s)
{
	pid_t pid = sight_start(c, fn, s->dir);

	s->subject = (uint32_t)pid;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sight_drain(c, observe, s);
}

#define K 37

static void spawn(const char *path, char *const argv[])
{
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		execv(path, argv);
		_exit(127);
	}
	(void)waitpid(pid, &status, 0);
}

static void do_processes(const void *arg)
{
	const char *dir = arg;
	char script[128];

	for (int i = 0; i < K; i++)
		spawn("/bin/true", (char *[]){"true", "-x", NULL});
	(void)snprintf(script, sizeof(script), "%s/script.sh", dir);
	spawn(script, (char *[]){"script.sh", NULL});
	_exit(END_CODE);
}

/* By its number, which is that of its directory; 0: this host has none mounted. */
static uint64_t own_cgroup(void)
{
	char dir[256], line[512], path[768];
	struct stat st = {0};
	FILE *f = fopen("/proc/self/cgroup", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "0::", 3) || procfs_cgroup2_dir(dir, sizeof(dir)) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s%s", dir, line + 3);
		(void)stat(path, &st);
	}
	(void)fclose(f);
	return st.st_ino;
}

static void test_processes_are_counted(void **state)
{
	struct seen s = {.cgroup = own_cgroup()};
	struct capture *c = start();
	char script[128];

	(void)state;
	assert_int_equal(scratch_make_on_disk(s.dir, "capture"), 0);
	(void)snprintf(script, sizeof(script), "%s/script.sh", s.dir);
	scratch_write(script, "#!/bin/sh\n:\n");
	chmod(script, 0755);
	run_target(c, do_processes, &s);
	assert_int_equal(s.fork_n, K + 1);
	assert_int_equal(s.exec_n, K + 1);
	assert_int_equal(s.arg_n, K);
	if (s.cgroup)
		assert_int_equal(s.cgroup_n, K + 1);
	assert_int_equal(s.loader_n, K + 1);
	assert_int_equal(s.script_n, 1);
	assert_int_equal(s.exit_n, K + 2);
	assert_int_equal(s.code_n, 1);
	assert_identity(c);
	assert_int_equal(scratch_remove(s.dir), 0);
}

static void do_opens(const void *arg)
{
	const char *dir = arg;
	char path[128];
	int at;

	for (int i = 0; i < K; i++) {
		(void)snprintf(path, sizeof(path), "%s/file%d", dir, i);
		close(open(path, O_CREAT | O_RDWR, 0600));
	}
	if (chdir(dir) < 0)
		_exit(1);
	at = open(".", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < K; i++) {
		close(openat(at, "file0", O_RDONLY));
		close(open("./file1", O_RDONLY));
		(void)!open("absent", O_RDONLY);
		(void)!openat(at, "absent2", O_RDONLY);
	}
	(void)!open("/no/such/place", O_RDONLY);
}

static void test_opens_are_counted(void **state)
{
	struct seen s = {0};
	struct capture *c = start();

	(void)state;
	assert_int_equal(scratch_make_on_disk(s.dir, "capture"), 0);
	run_target(c, do_opens, &s);
	assert_int_equal(s.open_n, 3 * K + 1);
	assert_int_equal(s.miss_n, 2 * K);
	assert_true(s.latency_ns > 0);
	assert_identity(c);
	assert_int_equal(scratch_remove(s.dir), 0);
}

static void do_open_own(const void *arg)
{
	const char *dir = arg;
	for (int i = 0; i < K; i++)
		close(open(dir, O_RDONLY | O_DIRECTORY));
	(void)!open("/no/such/place", O_RDONLY);
}

/* What is opened is told all the same, with its time only while that is asked for. */
static void test_calls_are_timed_when_asked(void **state)
{
	struct capture *c = start();
	struct seen s;
	int r;

	(void)state;
	for (int timed = 1; timed >= 0; timed--) {
		do {
			r = capture_closer(c, timed, 0);
		} while (r == CAPTURE_MORE);
		if (r == CAPTURE_ALWAYS) {
			skip_because("this kernel tells nothing of calls that are not timed");
		}
		assert_int_equal(r, 0);
		for (int again = 0; again < 2; again++) {
			s = (struct seen){0};
			assert_int_equal(scratch_make_on_disk(s.dir, "capture"), 0);
			run_target(c, do_open_own, &s);
			assert_int_equal(s.open_n, K);
			assert_int_equal(s.latency_ns > 0, timed);
			assert_int_equal(scratch_remove(s.dir), 0);
			assert_identity(c);
		}
	}
	while ((r = capture_closer(c, true, 0)) == CAPTURE_MORE) /* it ends: see ATTACH_TRIES */
		(void)usleep(2000);
	assert_int_equal(r, 0);
	s = (struct seen){0};
	assert_int_equal(scratch_make_on_disk(s.dir, "capture"), 0);
	run_target(c, do_open_own, &s);
	assert_true(s.latency_ns > 0);
	assert_int_equal(scratch_remove(s.dir), 0);
}

static void do_connects(const void *arg)
{
	const char *dir = arg;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX}, ab = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(in), ab_len;
	int l = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_UNIX, SOCK_STREAM, 0);
	int a = socket(AF_UNIX, SOCK_STREAM, 0), k;

	bind(l, (struct sockaddr *)&in, sizeof(in));
	listen(l, 100);
	getsockname(l, (struct sockaddr *)&in, &len);
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", dir);
	bind(u, (struct sockaddr *)&un, sizeof(un));
	listen(u, 100);
	(void)snprintf(ab.sun_path, sizeof(ab.sun_path), "%cforewarm-test-%d", 0, (int)getpid());
	ab_len = (socklen_t)(sizeof(ab.sun_family) + 1 + strlen(ab.sun_path + 1));
	bind(a, (struct sockaddr *)&ab, ab_len);
	listen(a, 100);
	for (int i = 0; i < K; i++) {
		k = socket(AF_INET, SOCK_STREAM | (i & 1 ? SOCK_NONBLOCK : 0), 0);
		(void)connect(k, (struct sockaddr *)&in, sizeof(in));
		close(k);
		k = socket(AF_UNIX, SOCK_STREAM, 0);
		(void)connect(k, (struct sockaddr *)&un, sizeof(un));
		close(k);
		k = socket(AF_UNIX, SOCK_STREAM, 0);
		(void)connect(k, (struct sockaddr *)&ab, ab_len);
		close(k);
	}
	close(l);
	for (int i = 0; i < K; i++) {
		k = socket(AF_INET, SOCK_STREAM, 0);
		(void)connect(k, (struct sockaddr *)&in, sizeof(in));
		close(k);
	}
	unlink(un.sun_path);
}

static void test_connects_are_counted(void **state)
{
	struct seen s = {0};
	struct capture *c = start();
	char want[128];

	(void)state;
	assert_int_equal(scratch_make_on_disk(s.dir, "capture"), 0);
	run_target(c, do_connects, &s);
	assert_int_equal(s.connect_n, K);
	assert_int_equal(s.refused_n, K);
	assert_int_equal(s.peer_n, 3 * K);
	assert_int_equal(s.unix_n, K);
	assert_int_equal(s.abstract_n, K);
	assert_int_equal(s.listen_n, 3);
	(void)snprintf(want, sizeof(want), "unix:%s/sock", s.dir);
	assert_string_equal(s.unix_name, want);
	assert_identity(c);
	assert_int_equal(scratch_remove(s.dir), 0);
}

static void test_every_hook_sees(void **state)
{
	struct capture *c = start();
	struct selftest t;

	(void)state;
	assert_int_equal(capture_selftest(c, ignore, NULL, &t), 0);
	for (int h = 0; h < FWM_HOOK_MAX; h++)
		if (!t.ok[h])
			fail_msg("%s is blind", hook_name((enum fwm_hook)h));
	assert_int_equal(t.degraded_n, 0);
}

static void test_pins_come_and_go(void **state)
{
	char path[160];

	(void)start();
	(void)snprintf(path, sizeof(path), "/sys/fs/bpf/fwm-test-%d/guesses", (int)getpid());
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof(path), "/sys/fs/bpf/fwm-test-%d/link_on_exec", (int)getpid());
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(stop(state), 0);
	(void)snprintf(path, sizeof(path), "/sys/fs/bpf/fwm-test-%d", (int)getpid());
	assert_int_equal(access(path, F_OK), -1);
}

/* Killed, not closed: hooks that nobody reads must not go on costing the host. */
static void test_nothing_is_left_of_one_that_is_killed(void **state)
{
	char pin[128], path[192];
	struct capture_opts o = {.pin_dir = pin};
	struct capture *c = NULL;
	int up[2];
	char byte;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip_because("needs root");
	(void)snprintf(pin, sizeof(pin), "/sys/fs/bpf/fwm-killed-%d", (int)getpid());
	(void)snprintf(path, sizeof(path), "%s/link_on_exec", pin);
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (capture_open(&o, &c) < 0 || write(up[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(up[1]);
	assert_int_equal(read(up[0], &byte, 1), 1);
	assert_int_equal(access(path, F_OK), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 1000 && access(pin, F_OK) == 0; i++)
		usleep(10000);
	assert_int_equal(access(pin, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processes_are_counted),
		cmocka_unit_test(test_opens_are_counted),
		cmocka_unit_test(test_calls_are_timed_when_asked),
		cmocka_unit_test(test_connects_are_counted),
		cmocka_unit_test(test_every_hook_sees),
		cmocka_unit_test(test_pins_come_and_go),
		cmocka_unit_test(test_nothing_is_left_of_one_that_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, stop);
}
