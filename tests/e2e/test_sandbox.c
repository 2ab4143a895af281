// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_sandbox.c - what a sandbox and its pool promise to whom runs something in them. */
#include "support/support.h"

#include "support/box.h"

#include "base/cleanup.h"
#include "sys/run.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct box box;

static int setup(void **state)
{
	const struct pool_options o = {.sandbox_max = 12};

	(void)state;
	box_setup(&box, 2, &o);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	box_teardown(&box);
	return 0;
}

/* What a failed test left would fail those after it. */
static int tidy(void **state)
{
	(void)state;
	box_tidy(&box);
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void nap_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* A sandbox that stays: cmd started, its result pumped until STARTED. */
static void start(struct sandbox_command *c, enum sandbox_net net, struct box_result *r)
{
	uint64_t until = now_ms() + 10000;

	assert_int_equal(box_start_cmd(&box, net, c, r), 0);
	while (!r->started && !r->error && now_ms() < until)
		box_pump(&box, r, 50);
	assert_true(r->started);
}

static void start_sh(const char *script, struct box_result *r)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct sandbox_command c = {.argv = argv};

	start(&c, SANDBOX_NET_PRIVATE, r);
}

static void expect(const char *script, uid_t uid, const char *want)
{
	struct box_result r;

	box_sh(&box, SANDBOX_NET_PRIVATE, uid, script, &r);
	if (strcmp(r.out, want))
		printf("# %s: got '%s', wanted '%s', error %d\n", script, r.out, want, r.error);
	assert_string_equal(r.out, want);
}

/* --- what a command gets ------------------------------------------------------------------------ */
static void test_sandbox_exit_status_and_output(void **state)
{
	struct box_result r;

	(void)state;
	box_sh(&box, SANDBOX_NET_PRIVATE, 0, "echo out; echo err >&2; exit 7", &r);
	assert_true(r.started);
	assert_false(r.died);
	assert_int_equal(WEXITSTATUS(r.status), 7);
	assert_string_equal(r.out, "out\nerr\n");
	box_sh(&box, SANDBOX_NET_PRIVATE, 0, "kill -9 $$", &r);
	assert_true(WIFSIGNALED(r.status));
	assert_int_equal(WTERMSIG(r.status), SIGKILL);
}

static void test_sandbox_argv_env_cwd_are_exactly_these(void **state)
{
	const char *argv[] = {"one name",
			      "-c",
			      "pwd; echo \"$0|$1|$2\"; tr '\\0' '\\n' < /proc/$$/environ | sort",
			      "zero",
			      "a b",
			      "",
			      NULL};
	const char *env[] = {"A=1", "PATH=/bin:/usr/bin", "Z=x y", NULL};
	struct sandbox_command c = {.argv = argv, .env = env, .path = "/bin/sh", .cwd = "/var/tmp"};
	struct box_result r;

	(void)state;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_string_equal(r.out, "/var/tmp\nzero|a b|\nA=1\nPATH=/bin:/usr/bin\nZ=x y\n");
}

static void test_sandbox_user_group_and_no_capabilities(void **state)
{
	const char *argv[] = {"sh", "-c",
			      "id -u; id -g; id -G; grep -E 'Cap(Eff|Prm|Bnd)' /proc/self/status",
			      NULL};
	const gid_t groups[] = {4242, 77};
	struct sandbox_command c = {
		.argv = argv, .uid = 4711, .gid = 4242, .groups = groups, .group_n = 2};
	struct box_result r;

	(void)state;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_non_null(strstr(r.out, "4711\n4242\n4242 77\n"));
	assert_non_null(strstr(r.out, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000"));
}

static void test_sandbox_root_keeps_only_the_capabilities_asked_for(void **state)
{
	const char *argv[] = {"grep", "CapEff", "/proc/self/status", NULL};
	struct sandbox_command c = {.argv = argv};
	struct box_result r;

	(void)state;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_string_equal(r.out, "CapEff:\t0000000000000000\n");
	c.caps = 1ull << CAP_CHOWN | 1ull << CAP_SYS_ADMIN | 1ull << CAP_NET_RAW;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_string_equal(r.out, "CapEff:\t0000000000000001\n");
}

static void test_sandbox_listen_fds_protocol(void **state)
{
	const char *argv[] = {box_helper("fds"), NULL};
	const char *env[] = {"PATH=/bin:/usr/bin", "LISTEN_PID=1", "LISTEN_FDS=9", NULL};
	int fds[3];
	struct sandbox_command c = {
		.argv = argv, .env = env, .listen = fds, .listen_n = 3, .listen_names = "a:b:c"};
	struct box_result r;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true((fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	assert_string_equal(r.out, "0 1 2 3 4 5 pid 3 a:b:c\n");
}

static void test_sandbox_what_cannot_be_executed_fails_by_errno(void **state)
{
	const struct {
		const char *name, *argv0, *cwd;
		int error;
	} cases[] = {
		{"no such file", "/nonexistent/x", NULL, -ENOENT},
		{"not in PATH", "nonexistent-command", NULL, -ENOENT},
		{"not executable", "/etc/passwd", NULL, -EACCES},
		{"a directory", "/etc", NULL, -EACCES},
		{"no such directory to be in", "true", "/nonexistent", -ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *argv[] = {cases[i].argv0, NULL};
		struct sandbox_command c = {.argv = argv, .cwd = cases[i].cwd};
		struct box_result r;

		box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
		if (r.error != cases[i].error || r.started)
			printf("# %s: %d\n", cases[i].name, r.error);
		assert_int_equal(r.error, cases[i].error);
		assert_false(r.started);
	}
}

static void test_sandbox_environment_larger_than_a_message(void **state)
{
	const char *argv[] = {"sh", "-c", "echo ${#A} ${#B} ${#C}", NULL};
	static char a[100000], b[100000], c_[100000];
	const char *env[] = {a, b, c_, "PATH=/bin", NULL};
	struct sandbox_command c = {.argv = argv, .env = env};
	struct box_result r;

	(void)state;
	memset(a, 'x', sizeof(a) - 1);
	memset(b, 'y', sizeof(b) - 1);
	memset(c_, 'z', sizeof(c_) - 1);
	memcpy(a, "A=", 2);
	memcpy(b, "B=", 2);
	memcpy(c_, "C=", 2);
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_string_equal(r.out, "99997 99997 99997\n");
}

static void test_sandbox_rlimits_and_umask(void **state)
{
	const char *argv[] = {"sh", "-c", "ulimit -n; ulimit -c; umask", NULL};
	const struct sandbox_rlimit l[] = {{RLIMIT_NOFILE, {77, 88}},
					   {RLIMIT_CORE, {0, 0}},
					   {RLIMIT_NPROC, {RLIM_INFINITY, RLIM_INFINITY}}};
	struct sandbox_command c = {.argv = argv, .rlimits = l, .rlimit_n = 3, .umask = 027};
	struct box_result r;

	(void)state;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_string_equal(r.out, "77\n0\n0027\n");
}

static void test_sandbox_is_alone_in_its_pid_namespace(void **state)
{
	(void)state;
	expect("echo /proc/[0-9]*; cat /proc/1/comm", 0, "/proc/1 /proc/2\nforewarm-init\n");
}

/* --- files ---------------------------------------------------------------------------------------- */
static void test_sandbox_writes_stay_in_the_layer(void **state)
{
	char dir[] = "/var/tmp/fwm-sb.XXXXXX", script[256], name[64];
	struct box_result r;
	uint64_t until;

	(void)state;
	assert_non_null(mkdtemp(dir));
	chmod(dir, 0777);
	snprintf(script, sizeof(script),
		 "echo new > %s/n; rm -rf /etc/hostname; echo x >> /etc/passwd; echo; sleep 10",
		 dir);
	start_sh(script, &r);
	for (until = now_ms() + 5000; !r.out_n && now_ms() < until;)
		box_pump(&box, &r, 50);
	snprintf(name, sizeof(name), "%s/n", dir);
	assert_int_not_equal(access(name, F_OK), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(sandbox_upper_ask(r.sb), 0);
	until = now_ms() + 5000;
	while (!r.upper_n && now_ms() < until)
		box_pump(&box, &r, 50);
	assert_true(r.upper_n >= 1);
	assert_string_equal(r.uppers[0].at, "/");
	assert_int_equal(faccessat(r.uppers[0].fd, name + 1, F_OK, 0), 0);
	assert_int_equal(faccessat(r.uppers[0].fd, "etc/passwd", F_OK, 0), 0);
	box_release(&box, &r);
	rmdir(dir);
}

static void test_sandbox_layers_are_not_shared(void **state)
{
	(void)state;
	expect("echo mine > /var/tmp/fwm-private; cat /var/tmp/fwm-private", 0, "mine\n");
	expect("cat /var/tmp/fwm-private 2>/dev/null || echo none", 0, "none\n");
	expect("cat /dev/shm/x 2>/dev/null; echo a > /dev/shm/x; cat /dev/shm/x", 0, "a\n");
	expect("cat /dev/shm/x 2>/dev/null || echo none", 0, "none\n");
}

static void test_sandbox_mounts_of_the_command(void **state)
{
	char dir[] = "/var/tmp/fwm-sb.XXXXXX", name[64];
	const char *script = "cd /data && echo w > w && cat w; cd /ro && cat w && { echo x > x || "
			     "echo refused; }; "
			     "touch /usr/x || echo usr; ls /etc | wc -l; cat /etc/passwd | wc -c; "
			     "ls /scratch | wc -l; "
			     "touch /scratch/t && echo scratch; cat /one";
	const char *argv[] = {"sh", "-c", script, NULL};
	int fd, file;
	struct sandbox_mount m[] = {
		{.kind = SANDBOX_MOUNT_BIND, .path = "/data"},
		{.kind = SANDBOX_MOUNT_BIND_RO, .path = "/ro"},
		{.kind = SANDBOX_MOUNT_BIND_RO, .path = "/new/place/one"},
		{.kind = SANDBOX_MOUNT_RO, .path = "/usr", .fd = -1},
		{.kind = SANDBOX_MOUNT_HIDE, .path = "/etc/passwd", .fd = -1},
		{.kind = SANDBOX_MOUNT_TMPFS, .path = "/var/tmp", .fd = -1},
		{.kind = SANDBOX_MOUNT_RO, .path = "/nonexistent", .fd = -1, .optional = true},
	};
	struct sandbox_command c = {
		.argv = argv, .mounts = m, .mount_n = ARRAY_SIZE(m), .caps = UINT64_MAX};
	struct box_result r;

	(void)state;
	argv[2] = "cd /data && echo w > w && cat w; cat /ro/w; echo x 2>/dev/null > /ro/x || echo "
		  "ro; "
		  "touch /usr/x 2>/dev/null || echo usr; wc -c < /etc/passwd; ls /var/tmp; "
		  "touch /var/tmp/t && echo tmp; cat /new/place/one";
	assert_non_null(mkdtemp(dir));
	assert_true((fd = open(dir, O_PATH | O_CLOEXEC)) >= 0);
	assert_true((file = open("/proc/sys/kernel/ostype", O_PATH | O_CLOEXEC)) >= 0);
	m[0].fd = m[1].fd = fd;
	m[2].fd = file;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	close(fd);
	close(file);
	assert_string_equal(r.out, "w\nw\nro\nusr\n0\ntmp\nLinux\n");
	snprintf(name, sizeof(name), "%s/w", dir);
	assert_int_equal(access(name, F_OK), 0);
	unlink(name);
	rmdir(dir);
	m[6].optional = false;
	m[0].kind = m[1].kind = m[2].kind = SANDBOX_MOUNT_RO;
	m[0].path = m[1].path = m[2].path = "/usr";
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_int_equal(r.error, -ENOENT);
}

static void test_sandbox_protect_system(void **state)
{
	const char *script = "for d in /usr /etc /var/tmp; do touch $d/x 2>/dev/null && echo -n 1 "
			     "|| echo -n 0; done";
	const char *argv[] = {"sh", "-c", script, NULL};
	static const char *const want[] = {"111", "011", "001", "000"};

	(void)state;
	for (int p = SANDBOX_PROTECT_NO; p <= SANDBOX_PROTECT_STRICT; p++) {
		struct sandbox_command c = {.argv = argv, .protect = (enum sandbox_protect)p};
		struct box_result r;

		box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
		assert_string_equal(r.out, want[p]);
	}
}

/* --- network -------------------------------------------------------------------------------------- */
/* Root and the command's own user, no capability over the host's files, and the bounding set of any
 * other command. */
static void test_sandbox_user_namespace(void **state)
{
	static const char script[] =
		"readlink /proc/self/ns/user; cat /proc/self/uid_map | tr -s ' '; id -u; "
		"grep CapBnd /proc/self/status; stat -c %U:%u /var/tmp /bin | sort -u; "
		"cat /etc/shadow >/dev/null 2>&1 && echo read; chown 4712 /tmp/own 2>/dev/null && "
		"echo given; "
		"unshare -m true 2>/dev/null && echo unshared";
	const char *argv[] = {"sh", "-c", script, NULL};
	struct sandbox_command c = {.argv = argv, .users = SANDBOX_USERS_SELF, .caps = UINT64_MAX};
	struct box_result r, plain;
	char host[64] = "", want[32];
	pid_t p = fork();
	int status = 0;

	(void)state;
	if (p == 0)
		_exit(unshare(CLONE_NEWUSER) < 0);
	waitpid(p, &status, 0);
	if (status)
		skip_because("this host permits no user namespaces");
	assert_true(readlink("/proc/self/ns/user", host, sizeof(host) - 1) > 0);
	box_sh(&box, SANDBOX_NET_PRIVATE, 0, "grep CapBnd /proc/self/status", &plain);
	for (uid_t uid = 0; uid <= 4711; uid += 4711) {
		c.uid = c.gid = uid;
		box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
		if (r.error || !r.exited)
			printf("# uid %u: error %d, %s\n", uid, r.error, r.out);
		assert_true(r.exited && !r.error);
		assert_null(strstr(r.out, host));
		assert_non_null(strstr(r.out, "user:["));
		assert_non_null(strstr(r.out, " 0 0 1\n"));
		snprintf(want, sizeof(want), " %u %u 1\n", uid, uid);
		assert_non_null(strstr(r.out, want));
		snprintf(want, sizeof(want), "\n%u\n", uid);
		assert_non_null(strstr(r.out, want));
		assert_non_null(strstr(r.out, plain.out)); /* CapBnd */
		assert_null(strstr(r.out, "given"));
		assert_null(strstr(r.out, "unshared"));
		assert_int_equal(strstr(r.out, "read\n") != NULL, uid == 0);
	}
	c.users = SANDBOX_USERS_IDENTITY;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_non_null(strstr(r.out, " 0 0 65536\n"));
	assert_null(strstr(r.out, host));
	expect("readlink /proc/self/ns/user | grep -c :", 0, "1\n");
}

static void test_sandbox_private_network_is_a_loopback_only(void **state)
{
	char host[64] = "", script[128];
	struct box_result r;

	(void)state;
	expect("grep -c : /proc/net/dev; grep -o lo /proc/net/dev", 0, "1\nlo\n");
	assert_true(readlink("/proc/self/ns/net", host, sizeof(host) - 1) > 0);
	snprintf(script, sizeof(script),
		 "[ \"$(readlink /proc/self/ns/net)\" = '%s' ] && echo same", host);
	box_sh(&box, SANDBOX_NET_HOST, 0, script, &r);
	assert_string_equal(r.out, "same\n");
	box_sh(&box, SANDBOX_NET_PRIVATE, 0, script, &r);
	assert_string_equal(r.out, "");
}

/* A recycled net namespace must look new. */
static void test_sandbox_recycled_network_keeps_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++)
		expect("wc -l < /proc/net/tcp; wc -l < /proc/net/unix; wc -l < /proc/net/udp", 0,
		       "1\n1\n1\n");
}

/* --- limits ---------------------------------------------------------------------------------------- */
static void test_sandbox_limits_hold(void **state)
{
	const char *argv[] = {"python3", "-c", "x = bytearray(200 << 20); print(len(x))", NULL};
	const struct cgroup_limits l = {
		.memory_max_bytes = 48 << 20, .tasks_max = 12, .cpu_permille = 200};
	struct sandbox_command c = {.argv = argv, .limits = &l};
	struct box_result r;

	(void)state;
	if (cgroup_can(box.cgroup, CGROUP_MEMORY) == CGROUP_NONE)
		skip_because("this host cannot limit memory by control groups");
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_null(strstr(r.out, "209715200"));
	argv[0] = "sh";
	argv[1] = "-c";
	argv[2] = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 3 & done 2>&1; echo all";
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	assert_non_null(strstr(r.out, "annot fork"));
}

static void test_sandbox_figures_of_use(void **state)
{
	struct box_result r;
	uint64_t bytes = 0, cpu = 0;

	(void)state;
	start_sh("x=; while [ ${#x} -lt 300000 ]; do x=$x$RANDOM$PATH$PATH$PATH; done; echo; sleep "
		 "10",
		 &r);
	for (int i = 0; i < 100 && !r.out_n; i++)
		box_pump(&box, &r, 50);
	assert_int_equal(sandbox_cpu_ns(r.sb, &cpu), 0);
	assert_true(cpu > 0);
	if (cgroup_can(box.cgroup, CGROUP_MEMORY) != CGROUP_NONE) {
		assert_int_equal(sandbox_memory_bytes(r.sb, &bytes), 0);
		assert_true(bytes > 0);
	}
	box_release(&box, &r);
}

/* --- life ------------------------------------------------------------------------------------------ */
static void test_sandbox_freeze_stops_and_thaw_goes_on(void **state)
{
	struct box_result r;
	uint64_t c0, c1;
	bool frozen = false;

	(void)state;
	start_sh("while :; do :; done", &r);
	assert_int_equal(sandbox_thaw(r.sb), SANDBOX_NOT_NOW);
	assert_int_equal(sandbox_freeze(r.sb), 0);
	assert_int_equal(sandbox_state(r.sb), SANDBOX_FROZEN);
	assert_int_equal(sandbox_freeze(r.sb), SANDBOX_NOT_NOW);
	for (int i = 0; i < 1000 && !frozen; i++) {
		assert_int_equal(sandbox_is_frozen(r.sb, &frozen), 0);
		nap_ms(1);
	}
	assert_true(frozen);
	sandbox_cpu_ns(r.sb, &c0);
	nap_ms(200);
	sandbox_cpu_ns(r.sb, &c1);
	assert_true(c1 - c0 < 5000000);
	assert_int_equal(sandbox_thaw(r.sb), 0);
	assert_int_equal(sandbox_state(r.sb), SANDBOX_ACTIVE);
	for (uint64_t until = now_ms() + 10000; c1 - c0 <= 5000000 && now_ms() < until; nap_ms(10))
		sandbox_cpu_ns(r.sb, &c1);
	assert_true(c1 - c0 > 5000000);
	assert_int_equal(sandbox_signal(r.sb, SIGTERM), 0);
	while (!r.exited)
		box_pump(&box, &r, 50);
	assert_int_equal(WTERMSIG(r.status), SIGTERM);
	box_release(&box, &r);
}

static void test_sandbox_release_while_frozen(void **state)
{
	struct box_result r;

	(void)state;
	start_sh("sleep 100 & sleep 100", &r);
	assert_int_equal(sandbox_freeze(r.sb), 0);
	box_release(&box, &r);
	assert_false(r.died);
}

static void test_sandbox_release_before_it_is_there(void **state)
{
	const char *argv[] = {"sleep", "100", NULL};
	struct sandbox_command c = {.argv = argv};
	struct box_result r;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(box_start_cmd(&box, SANDBOX_NET_PRIVATE, &c, &r), 0);
		box_release(&box, &r);
		assert_false(r.died);
	}
}

static void test_sandbox_takes_a_second_command(void **state)
{
	const char *argv[] = {"sh", "-c", "touch /run/second", NULL};
	const char *env[] = {"PATH=/bin:/usr/bin", NULL};
	struct sandbox_command c = {.argv = argv, .env = env, .stdio = {-1, -1, -1}};
	struct box_result r;

	(void)state;
	start_sh("until [ -e /run/second ]; do sleep 0.01; done; echo seen", &r);
	assert_int_equal(sandbox_exec_more(r.sb, &c), 0);
	while (!r.exited)
		box_pump(&box, &r, 50);
	box_release(&box, &r);
	assert_string_equal(r.out, "seen\n");
}

static void test_sandbox_init_dying_is_an_event(void **state)
{
	struct box_result r;
	uint64_t until = now_ms() + 5000;

	(void)state;
	start_sh("sleep 100", &r);
	assert_int_equal(cgroup_group_kill(box.cgroup, sandbox_group(r.sb)), 0);
	while (!r.gone && now_ms() < until)
		box_pump(&box, &r, 50);
	assert_true(r.gone);
	assert_true(r.died);
	close(r.out_fd);
}

static void test_sandbox_filters_of_a_command(void **state)
{
	const char *calls[] = {"mkdir", "mkdirat"}, *bad;
	const int families[] = {AF_UNIX};
	const struct sandbox_filter_options deny = {.calls = calls,
						    .call_n = 2,
						    .deny_calls = true,
						    .families = families,
						    .family_n = 1};
	const char *service[] = {"@system-service"}, *wrong[] = {"@system-service", "nosuchcall"};
	const struct sandbox_filter_options allow = {.calls = service, .call_n = 1};
	const struct sandbox_filter_options unknown = {.calls = wrong, .call_n = 2};
	const char *script =
		"mkdir /run/d 2>/dev/null && echo made; "
		"python3 -u -c 'import socket; socket.socket(socket.AF_UNIX); print(\"unix\"); "
		"socket.socket(socket.AF_INET)' 2>&1 | tail -1 | cut -d: -f1";
	const char *argv[] = {"sh", "-c", script, NULL};
	struct sandbox_command c = {.argv = argv};
	struct sandbox_filter *f = NULL;
	struct box_result r;

	(void)state;
	assert_int_equal(sandbox_filter_new(&unknown, &f, &bad), -EINVAL);
	assert_string_equal(bad, "nosuchcall");
	assert_int_equal(sandbox_filter_new(&deny, &f, &bad), 0);
	c.filter = f;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	f = sandbox_filter_free(f);
	assert_string_equal(r.out, "OSError\n");
	assert_int_equal(sandbox_filter_new(&allow, &f, &bad), 0);
	c.filter = f;
	box_run(&box, SANDBOX_NET_PRIVATE, &c, &r);
	f = sandbox_filter_free(f);
	assert_string_equal(r.out, "made\nunix\n");
}

/* --- the pool ----------------------------------------------------------------------------------------- */
static void test_pool_hands_out_parked_then_fresh_then_is_full(void **state)
{
	const char *argv[] = {"sleep", "100", NULL};
	struct sandbox_command c = {.argv = argv};
	static struct box_result r[16];
	struct pool_figures a, b;
	int n = 0, err;

	(void)state;
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 2);
	box_wait_parked(&box, SANDBOX_NET_HOST, 2);
	pool_pause(box.pool, true);
	pool_figures(box.pool, &a);
	do
		err = box_start_cmd(&box, SANDBOX_NET_PRIVATE, &c, &r[n]);
	while (!err && ++n < 16);
	assert_int_equal(err, POOL_FULL);
	close(r[n].out_fd);
	assert_int_equal(n, 10); /* of 12, two are parked with the host's network */
	pool_figures(box.pool, &b);
	assert_int_equal(b.from_parked_n - a.from_parked_n, 2);
	assert_int_equal(b.fresh_n - a.fresh_n, 8);
	for (int i = 0; i < n; i++)
		while (!r[i].started && !r[i].error)
			box_pump(&box, &r[i], 100);
	for (int i = 0; i < n; i++)
		box_release(&box, &r[i]);
	pool_pause(box.pool, false);
}

static void test_pool_pause_target_and_drain(void **state)
{
	struct pool_figures f;

	(void)state;
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 2);
	pool_pause(box.pool, true);
	pool_drain(box.pool);
	for (int i = 0; i < 10; i++)
		pool_wait(box.pool, 20);
	pool_figures(box.pool, &f);
	assert_int_equal(f.parked_n[0] + f.parked_n[1], 0);
	assert_true(f.paused);
	pool_target(box.pool, SANDBOX_NET_PRIVATE, 4);
	pool_pause(box.pool, false);
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 4);
	pool_target(box.pool, SANDBOX_NET_PRIVATE, 2);
	box_wait_parked(&box, SANDBOX_NET_HOST, 2);
	pool_figures(box.pool, &f);
	assert_int_equal(f.parked_n[SANDBOX_NET_PRIVATE], 2);
}

static void test_pool_refill_keeps_its_budget(void **state)
{
	struct pool_options o = {.cgroup = box.cgroup,
				 .sandbox_max = 200,
				 .parked_target = {100, 0},
				 .refill_permille = 50};
	struct pool_figures f;
	struct pool *p;
	uint64_t t0;
	double spent;

	(void)state;
	t0 = now_ms();
	assert_int_equal(pool_new(&o, &p), 0);
	while (now_ms() - t0 < 1000)
		pool_wait(p, 50);
	pool_figures(p, &f);
	spent = (double)f.filled_n * (double)f.fill_ns_mean / 1e6 / (double)(now_ms() - t0);
	p = pool_free(p);
	assert_true(f.filled_n > 0);
	assert_true(f.budget_wait_n > 0);
	if (spent > 0.15) /* wall time of fills, on a busy machine more than their CPU time */
		printf("# %llu fills of %.1f ms in 1 s\n", (unsigned long long)f.filled_n,
		       (double)f.fill_ns_mean / 1e6);
	assert_true(f.filled_n < 100);
}

static pid_t child_named(const char *comm)
{
	char cmd[128], out[32] = "";
	FILE *f;

	snprintf(cmd, sizeof(cmd), "ps --ppid %d -o pid=,comm= | awk '$2==\"%s\"{print $1; exit}'",
		 (int)getpid(), comm);
	f = popen(cmd, "r");
	if (fgets(out, sizeof(out), f) == NULL)
		out[0] = 0;
	pclose(f);
	return (pid_t)atoi(out);
}

static void test_pool_survives_the_death_of_its_filler(void **state)
{
	struct box_result r, after;
	struct pool_figures f;
	pid_t filler;

	(void)state;
	start_sh("echo before; sleep 1; echo after", &r);
	filler = child_named("forewarm-fill");
	assert_true(filler > 0);
	kill(filler, SIGKILL);
	for (int i = 0; i < 100; i++) {
		pool_wait(box.pool, 20);
		pool_figures(box.pool, &f);
		if (f.filler_restart_n)
			break;
	}
	assert_int_equal(f.filler_restart_n, 1);
	box_sh(&box, SANDBOX_NET_PRIVATE, 0, "echo new", &after);
	assert_string_equal(after.out, "new\n");
	while (!r.exited)
		box_pump(&box, &r, 50);
	box_release(&box, &r);
	assert_string_equal(r.out, "before\nafter\n");
	/* What the dead one had half-made. */
	assert_true(pool_sweep(box.pool) >= 0);
	box_wait_parked(&box, SANDBOX_NET_PRIVATE, 2);
}

static void test_pool_adopts_what_another_left(void **state)
{
	struct pool_options o = {.cgroup = box.cgroup};
	struct pool_adopt a;
	struct box_result r;
	struct pool *p;
	static struct box_result adopted;
	struct box other = {.cgroup = box.cgroup};

	(void)state;
	assert_int_equal(pool_new(&o, &p), 0);
	start_sh("sleep 0.5; exit 9", &r);
	a = (struct pool_adopt){.id = sandbox_id(r.sb),
				.ctl_fd = dup(sandbox_ctl_fd(r.sb)),
				.init_pidfd = dup(sandbox_init_pidfd(r.sb)),
				.command_pidfd = dup(sandbox_pidfd(r.sb))};
	pool_disown(box.pool, r.sb);
	close(r.out_fd);
	memset(&adopted, 0, sizeof(adopted));
	other.pool = p;
	adopted.out_fd = -1;
	box_await(&adopted);
	assert_int_equal(pool_adopt(p, &a, box_on_event, &adopted, &adopted.sb), 0);
	assert_int_equal(sandbox_freeze(adopted.sb), 0);
	assert_int_equal(sandbox_thaw(adopted.sb), 0);
	while (!adopted.exited)
		box_pump(&other, &adopted, 100);
	assert_int_equal(WEXITSTATUS(adopted.status), 9);
	box_release(&other, &adopted);
	p = pool_free(p);
}

static int count_one(void *ctx, const char *name)
{
	(void)name;
	++*(int *)ctx;
	return 0;
}

static int groups(struct cgroup_host *h)
{
	int n = 0;

	cgroup_group_each(h, count_one, &n);
	return n;
}

static size_t entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static size_t lines(const char *file)
{
	FILE *f = fopen(file, "re");
	size_t n = 0;
	int c;

	while (f && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

struct held {
	size_t fds, filler_fds, mounts, groups_n;
};

static struct held held_now(void)
{
	char filler_dir[64];

	snprintf(filler_dir, sizeof(filler_dir), "/proc/%d/fd", (int)child_named("forewarm-fill"));
	return (struct held){.fds = entries("/proc/self/fd"),
			     .filler_fds = entries(filler_dir),
			     .mounts = lines("/proc/self/mountinfo"),
			     .groups_n = (size_t)groups(box.cgroup)};
}

static bool all_parked(void)
{
	struct pool_figures f;

	pool_wait(box.pool, 20);
	pool_figures(box.pool, &f);
	return f.parked_n[0] == 2 && f.parked_n[1] == 2 && f.state_n[SANDBOX_EMPTY] == 8;
}

/* Of a pool at rest: parked what is to be, and the filler has its two stubs again. */
static struct held held_at_rest(void)
{
	uint64_t until = now_ms() + 10000;
	struct held h = {0}, last;
	int same_n = 0;

	while (same_n < 5 && now_ms() < until) {
		last = h;
		same_n = all_parked() ? same_n + 1 : 0;
		h = held_now();
		if (memcmp(&h, &last, sizeof(h)) != 0)
			same_n = 0;
	}
	assert_true(same_n == 5);
	return h;
}

static int pid_of(int pidfd)
{
	char path[64], line[128];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Pid:", 4))
			pid = atoi(line + 4);
	if (f)
		fclose(f);
	return pid;
}

static int child_of(int pid)
{
	char path[64];
	int child = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	if (!f)
		skip_because("no /proc/PID/task/TID/children");
	if (fscanf(f, "%d", &child) != 1)
		child = 0;
	fclose(f);
	return child;
}

static void find_child(void *ctx, struct sandbox *sb)
{
	int *child = ctx;

	child[sandbox_id(sb) % 64] = child_of(pid_of(sandbox_init_pidfd(sb)));
}

static void kill_child(void *ctx, struct sandbox *sb)
{
	int child = child_of(pid_of(sandbox_init_pidfd(sb)));

	(void)ctx;
	assert_true(child > 0);
	assert_int_equal(kill(child, SIGKILL), 0);
}

/* The process that becomes a parked sandbox's command is there before; what cannot be that one, for
 * what the init has to do first, is made then; and so is all when it died meanwhile. */
static void test_pool_command_is_the_process_made_ahead(void **state)
{
	const struct sandbox_mount tmp = {.kind = SANDBOX_MOUNT_TMPFS, .path = "/mnt", .fd = -1};
	const char *argv[] = {"sleep", "1000", NULL};
	struct {
		const char *name;
		struct sandbox_command c;
		bool is_that;
	} cases[] = {
		{"plain", {.argv = argv}, true},
		{"another user", {.argv = argv, .uid = 4711, .gid = 4711}, true},
		{"a mount", {.argv = argv, .mounts = &tmp, .mount_n = 1}, false},
		{"a user namespace", {.argv = argv, .users = SANDBOX_USERS_SELF}, false},
		{"the caller's terminal", {.argv = argv, .keep_tty = true}, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int child[64] = {0};
		struct box_result r;

		(void)held_at_rest();
		pool_each(box.pool, find_child, child);
		assert_int_equal(box_start_cmd(&box, SANDBOX_NET_PRIVATE, &cases[i].c, &r), 0);
		while (!r.started && !r.error)
			box_pump(&box, &r, 100);
		if (r.error || (pid_of(sandbox_pidfd(r.sb)) == child[sandbox_id(r.sb) % 64]) !=
				       cases[i].is_that)
			fail_msg("%s: error %d", cases[i].name, r.error);
		assert_true(child[sandbox_id(r.sb) % 64] > 0);
		box_release(&box, &r);
	}
	(void)held_at_rest();
	pool_each(box.pool, kill_child, NULL);
	for (int i = 0; i < 2; i++)
		expect("echo in", 0, "in\n");
}

/* A host without control groups: isolated all the same, and what is missing is said. */
static void test_pool_without_control_groups(void **state)
{
	struct pool_options o = {.parked_target = {1, 0}};
	struct box other = {0};
	struct box_result r;
	const char *argv[] = {"sleep", "100", NULL};
	struct sandbox_command c = {.argv = argv};
	uint64_t bytes;

	(void)state;
	assert_int_equal(pool_new(&o, &other.pool), 0);
	box_sh(&other, SANDBOX_NET_PRIVATE, 0, "echo in; exit 3", &r);
	assert_string_equal(r.out, "in\n");
	assert_int_equal(WEXITSTATUS(r.status), 3);
	assert_int_equal(box_start_cmd(&other, SANDBOX_NET_PRIVATE, &c, &r), 0);
	while (!r.started && !r.error)
		box_pump(&other, &r, 50);
	assert_int_equal(sandbox_freeze(r.sb), -ENOTSUP);
	assert_int_equal(sandbox_memory_bytes(r.sb, &bytes), -ENOTSUP);
	assert_int_equal(sandbox_state(r.sb), SANDBOX_READY);
	box_release(&other, &r);
	other.pool = pool_free(other.pool);
}

/* The owner is killed: parked inits see their sockets close, the filler takes the groups away. */
static void test_pool_leaves_nothing_when_its_owner_is_killed(void **state)
{
	struct cgroup_options c = {.enable_controllers = true};
	struct cgroup_host *h;
	char name[64], byte;
	int ready[2], n = -1;
	pid_t pid;

	(void)state;
	snprintf(name, sizeof(name), "fwm-test-kill-%d", (int)getpid());
	c.name = name;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(cgroup_open(&c, &h), 0);
	pid = fork();
	if (pid == 0) {
		struct pool_options o = {.cgroup = h, .parked_target = {3, 3}};
		struct pool_figures f;
		struct pool *p;

		if (pool_new(&o, &p) < 0)
			_exit(1);
		do {
			pool_wait(p, 50);
			pool_figures(p, &f);
		} while (f.parked_n[0] < 3 || f.parked_n[1] < 3);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(groups(h) > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 300 && (n = groups(h)) > 0; i++)
		nap_ms(10);
	assert_int_equal(n, 0);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(cgroup_remove_base(h), 0);
	h = cgroup_close(h);
}

/* The filler keeps the net namespaces of dead sandboxes for new ones: as many as were ever alive
 * together. */
static void use_all_at_once(void)
{
	enum { ALL_N = 12 };
	struct box_result r[ALL_N];

	pool_target(box.pool, SANDBOX_NET_HOST, 0);
	pool_target(box.pool, SANDBOX_NET_PRIVATE, 0);
	box_tidy(&box);
	for (int i = 0; i < ALL_N; i++)
		start_sh("sleep 1000", &r[i]);
	for (int i = 0; i < ALL_N; i++)
		box_release(&box, &r[i]);
	pool_target(box.pool, SANDBOX_NET_HOST, 2);
	pool_target(box.pool, SANDBOX_NET_PRIVATE, 2);
}

/* FWM_CYCLES=10000 for the whole of it; the benchmark does that too. */
static void test_pool_leaks_nothing_over_many_cycles(void **state)
{
	size_t n = getenv("FWM_CYCLES") ? strtoul(getenv("FWM_CYCLES"), NULL, 10) : 300;
	struct held before, after;
	size_t bad = 0;

	(void)state;
	use_all_at_once();
	before = held_at_rest();
	for (size_t i = 0; i < n; i++) {
		const char *argv[] = {"true", NULL};
		struct sandbox_command c = {.argv = argv};
		struct box_result r;

		if (i % 10 == 9)
			argv[0] = "nonexistent";
		box_run(&box, i % 2 ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE, &c, &r);
		bad += i % 10 == 9 ? r.error != -ENOENT : !r.exited;
	}
	assert_int_equal(bad, 0);
	after = held_at_rest();
	assert_int_equal(after.fds, before.fds);
	assert_int_equal(after.mounts, before.mounts);
	assert_int_equal(after.groups_n, before.groups_n);
	assert_int_equal(after.filler_fds, before.filler_fds);
}

/* --- forewarm run ------------------------------------------------------------------------------------ */
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
				nap_ms(10);
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
		nap_ms(10);
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

/* --- the hot path, by the kernel's own account ------------------------------------------------------ */
static bool put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Adds the pid of each parked init, and of its child, to a list for the kernel. */
static void put_pid(void *ctx, struct sandbox *sb)
{
	char *list = ctx;
	int pid = pid_of(sandbox_init_pidfd(sb));

	snprintf(list + strlen(list), 32, " %d %d", pid, child_of(pid));
}

/* Of us, the filler, the parked inits, and all they fork: others on this host make sandboxes too. */
static void trace_only_ours(const char *dir)
{
	char file[256], pids[512];

	snprintf(pids, sizeof(pids), "%d %d", (int)getpid(), (int)child_named("forewarm-fill"));
	pool_each(box.pool, put_pid, pids);
	snprintf(file, sizeof(file), "%s/options/event-fork", dir);
	assert_true(put(file, "1"));
	snprintf(file, sizeof(file), "%s/set_event_pid", dir);
	assert_true(put(file, pids));
}

static void test_pool_hot_path_forks_attaches_and_unshares_nothing(void **state)
{
	static const char *const events[] = {
		"cgroup/cgroup_attach_task", "cgroup/cgroup_transfer_tasks",
		"cgroup/cgroup_mkdir",	     "syscalls/sys_enter_unshare",
		"syscalls/sys_enter_setns",  "syscalls/sys_enter_mount",
		"syscalls/sys_enter_clone3", "syscalls/sys_enter_fsopen",
		"sched/sched_process_fork"};
	char dir[128], file[256], line[512];
	size_t seen = 0, control = 0;
	struct box_result r[2];
	const char *argv[] = {"true", NULL};
	struct sandbox_command c = {.argv = argv};
	FILE *f;

	(void)state;
	(void)mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL); /* mounted: EBUSY */
	snprintf(dir, sizeof(dir), "/sys/kernel/tracing/instances/fwm-test-%d", (int)getpid());
	if (mkdir(dir, 0700) < 0)
		skip_because("no tracefs instances here");
	(void)held_at_rest();
	trace_only_ours(dir);
	pool_pause(box.pool, true); /* the refill may attach what it likes, but not now */
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(file, sizeof(file), "%s/events/%s/enable", dir, events[i]);
		put(file, "1");
	}
	/* Two from the pool: nothing of ours may show; then one fresh, the control, which must. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			box_start_cmd(&box, i ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE, &c, &r[i]),
			0);
		while (!r[i].exited)
			box_pump(&box, &r[i], 100);
	}
	snprintf(file, sizeof(file), "%s/trace_marker", dir);
	put(file, "fwm-control");
	pool_drain(box.pool);
	expect("true", 0, "");
	expect("true", 0, "");
	expect("true", 0, "");
	snprintf(file, sizeof(file), "%s/trace", dir);
	f = fopen(file, "re");
	for (bool after = false; f && fgets(line, sizeof(line), f);) {
		after |= strstr(line, "fwm-control") != NULL;
		if (*line == '#' || strstr(line, "tracing_mark_write"))
			continue;
		*(after ? &control : &seen) += 1;
		if (!after)
			printf("# %s", line);
	}
	if (f)
		fclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(file, sizeof(file), "%s/events/%s/enable", dir, events[i]);
		put(file, "0");
	}
	rmdir(dir);
	pool_pause(box.pool, false);
	box_release(&box, &r[0]);
	box_release(&box, &r[1]);
	assert_int_equal(seen, 0);
	assert_true(control > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_sandbox_exit_status_and_output, tidy),
		cmocka_unit_test_teardown(test_sandbox_argv_env_cwd_are_exactly_these, tidy),
		cmocka_unit_test_teardown(test_sandbox_user_group_and_no_capabilities, tidy),
		cmocka_unit_test_teardown(test_sandbox_root_keeps_only_the_capabilities_asked_for,
					  tidy),
		cmocka_unit_test_teardown(test_sandbox_listen_fds_protocol, tidy),
		cmocka_unit_test_teardown(test_sandbox_what_cannot_be_executed_fails_by_errno,
					  tidy),
		cmocka_unit_test_teardown(test_sandbox_environment_larger_than_a_message, tidy),
		cmocka_unit_test_teardown(test_sandbox_rlimits_and_umask, tidy),
		cmocka_unit_test_teardown(test_sandbox_is_alone_in_its_pid_namespace, tidy),
		cmocka_unit_test_teardown(test_sandbox_writes_stay_in_the_layer, tidy),
		cmocka_unit_test_teardown(test_sandbox_layers_are_not_shared, tidy),
		cmocka_unit_test_teardown(test_sandbox_mounts_of_the_command, tidy),
		cmocka_unit_test_teardown(test_sandbox_protect_system, tidy),
		cmocka_unit_test_teardown(test_sandbox_user_namespace, tidy),
		cmocka_unit_test_teardown(test_sandbox_private_network_is_a_loopback_only, tidy),
		cmocka_unit_test_teardown(test_sandbox_recycled_network_keeps_nothing, tidy),
		cmocka_unit_test_teardown(test_sandbox_limits_hold, tidy),
		cmocka_unit_test_teardown(test_sandbox_figures_of_use, tidy),
		cmocka_unit_test_teardown(test_sandbox_freeze_stops_and_thaw_goes_on, tidy),
		cmocka_unit_test_teardown(test_sandbox_release_while_frozen, tidy),
		cmocka_unit_test_teardown(test_sandbox_release_before_it_is_there, tidy),
		cmocka_unit_test_teardown(test_sandbox_takes_a_second_command, tidy),
		cmocka_unit_test_teardown(test_sandbox_init_dying_is_an_event, tidy),
		cmocka_unit_test_teardown(test_sandbox_filters_of_a_command, tidy),
		cmocka_unit_test_teardown(test_pool_hands_out_parked_then_fresh_then_is_full, tidy),
		cmocka_unit_test_teardown(test_pool_pause_target_and_drain, tidy),
		cmocka_unit_test_teardown(test_pool_refill_keeps_its_budget, tidy),
		cmocka_unit_test_teardown(test_pool_survives_the_death_of_its_filler, tidy),
		cmocka_unit_test_teardown(test_pool_adopts_what_another_left, tidy),
		cmocka_unit_test_teardown(test_pool_command_is_the_process_made_ahead, tidy),
		cmocka_unit_test_teardown(test_pool_without_control_groups, tidy),
		cmocka_unit_test_teardown(test_pool_leaves_nothing_when_its_owner_is_killed, tidy),
		cmocka_unit_test_teardown(test_pool_leaks_nothing_over_many_cycles, tidy),
		cmocka_unit_test_teardown(test_run_is_by_the_maker_of_the_channel, tidy),
		cmocka_unit_test_teardown(test_run_survives_bad_requests, tidy),
		cmocka_unit_test_teardown(test_pool_hot_path_forks_attaches_and_unshares_nothing,
					  tidy),
	};

	return cmocka_run_group_tests_name("sandbox", tests, setup, teardown);
}
