// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_sandbox.c - what a sandbox promises to whom runs something in it. */
#include "support/support.h"
#include "support/scratch.h"
#include "support/built.h"

#include "support/box.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
	const char *argv[] = {built_helper("fds"), NULL};
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
	box_expect(&box, "echo /proc/[0-9]*; cat /proc/1/comm", 0,
		   "/proc/1 /proc/2\nforewarm-init\n");
}

/* --- files ---------------------------------------------------------------------------------------- */
static void test_sandbox_writes_stay_in_the_layer(void **state)
{
	char dir[SCRATCH_DIR_MAX], script[256], name[80];
	struct box_result r;
	uint64_t until;

	(void)state;
	assert_int_equal(scratch_make_in(dir, "/var/tmp", "sb"), 0);
	chmod(dir, 0777);
	snprintf(script, sizeof(script),
		 "echo new > %s/n; rm -rf /etc/hostname; echo x >> /etc/passwd; echo; sleep 10",
		 dir);
	box_start_sh(&box, script, &r);
	for (until = box_now_ms() + 5000; !r.out_n && box_now_ms() < until;)
		box_pump(&box, &r, 50);
	snprintf(name, sizeof(name), "%s/n", dir);
	assert_int_not_equal(access(name, F_OK), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(sandbox_upper_ask(r.sb), 0);
	until = box_now_ms() + 5000;
	while (!r.upper_n && box_now_ms() < until)
		box_pump(&box, &r, 50);
	assert_true(r.upper_n >= 1);
	assert_string_equal(r.uppers[0].at, "/");
	assert_int_equal(faccessat(r.uppers[0].fd, name + 1, F_OK, 0), 0);
	assert_int_equal(faccessat(r.uppers[0].fd, "etc/passwd", F_OK, 0), 0);
	box_release(&box, &r);
	assert_int_equal(scratch_remove(dir), 0);
}

static void test_sandbox_layers_are_not_shared(void **state)
{
	(void)state;
	box_expect(&box, "echo mine > /var/tmp/fwm-private; cat /var/tmp/fwm-private", 0, "mine\n");
	box_expect(&box, "cat /var/tmp/fwm-private 2>/dev/null || echo none", 0, "none\n");
	box_expect(&box, "cat /dev/shm/x 2>/dev/null; echo a > /dev/shm/x; cat /dev/shm/x", 0,
		   "a\n");
	box_expect(&box, "cat /dev/shm/x 2>/dev/null || echo none", 0, "none\n");
}

static void test_sandbox_mounts_of_the_command(void **state)
{
	char dir[SCRATCH_DIR_MAX], name[80];
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
	assert_int_equal(scratch_make_in(dir, "/var/tmp", "sb"), 0);
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
	assert_int_equal(scratch_remove(dir), 0);
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
	box_expect(&box, "readlink /proc/self/ns/user | grep -c :", 0, "1\n");
}

static void test_sandbox_private_network_is_a_loopback_only(void **state)
{
	char host[64] = "", script[128];
	struct box_result r;

	(void)state;
	box_expect(&box, "grep -c : /proc/net/dev; grep -o lo /proc/net/dev", 0, "1\nlo\n");
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
		box_expect(&box,
			   "wc -l < /proc/net/tcp; wc -l < /proc/net/unix; wc -l < /proc/net/udp",
			   0, "1\n1\n1\n");
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
	box_start_sh(
		&box,
		"x=; while [ ${#x} -lt 300000 ]; do x=$x$RANDOM$PATH$PATH$PATH; done; echo; sleep "
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
	box_start_sh(&box, "while :; do :; done", &r);
	assert_int_equal(sandbox_thaw(r.sb), SANDBOX_NOT_NOW);
	assert_int_equal(sandbox_freeze(r.sb), 0);
	assert_int_equal(sandbox_state(r.sb), SANDBOX_FROZEN);
	assert_int_equal(sandbox_freeze(r.sb), SANDBOX_NOT_NOW);
	for (int i = 0; i < 1000 && !frozen; i++) {
		assert_int_equal(sandbox_is_frozen(r.sb, &frozen), 0);
		box_nap_ms(1);
	}
	assert_true(frozen);
	sandbox_cpu_ns(r.sb, &c0);
	box_nap_ms(200);
	sandbox_cpu_ns(r.sb, &c1);
	assert_true(c1 - c0 < 5000000);
	assert_int_equal(sandbox_thaw(r.sb), 0);
	assert_int_equal(sandbox_state(r.sb), SANDBOX_ACTIVE);
	for (uint64_t until = box_now_ms() + 10000; c1 - c0 <= 5000000 && box_now_ms() < until;
	     box_nap_ms(10))
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
	box_start_sh(&box, "sleep 100 & sleep 100", &r);
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

static void test_sandbox_takes_a_command_beside(void **state)
{
	const char *argv[] = {"sh", "-c", "touch /run/second", NULL};
	const char *env[] = {"PATH=/bin:/usr/bin", NULL};
	struct sandbox_command c = {.argv = argv, .env = env, .stdio = {-1, -1, -1}};
	struct box_result r;

	(void)state;
	box_start_sh(&box, "until [ -e /run/second ]; do sleep 0.01; done; echo seen", &r);
	assert_int_equal(sandbox_exec_side(r.sb, &c), 0);
	while (!r.exited)
		box_pump(&box, &r, 50);
	box_release(&box, &r);
	assert_string_equal(r.out, "seen\n");
}

static void test_sandbox_init_dying_is_an_event(void **state)
{
	struct box_result r;
	uint64_t until = box_now_ms() + 5000;

	(void)state;
	box_start_sh(&box, "sleep 100", &r);
	assert_int_equal(cgroup_group_kill(box.cgroup, sandbox_group(r.sb)), 0);
	while (!r.gone && box_now_ms() < until)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_sandbox_exit_status_and_output, box_after),
		cmocka_unit_test_teardown(test_sandbox_argv_env_cwd_are_exactly_these, box_after),
		cmocka_unit_test_teardown(test_sandbox_user_group_and_no_capabilities, box_after),
		cmocka_unit_test_teardown(test_sandbox_root_keeps_only_the_capabilities_asked_for,
					  box_after),
		cmocka_unit_test_teardown(test_sandbox_listen_fds_protocol, box_after),
		cmocka_unit_test_teardown(test_sandbox_what_cannot_be_executed_fails_by_errno,
					  box_after),
		cmocka_unit_test_teardown(test_sandbox_environment_larger_than_a_message,
					  box_after),
		cmocka_unit_test_teardown(test_sandbox_rlimits_and_umask, box_after),
		cmocka_unit_test_teardown(test_sandbox_is_alone_in_its_pid_namespace, box_after),
		cmocka_unit_test_teardown(test_sandbox_writes_stay_in_the_layer, box_after),
		cmocka_unit_test_teardown(test_sandbox_layers_are_not_shared, box_after),
		cmocka_unit_test_teardown(test_sandbox_mounts_of_the_command, box_after),
		cmocka_unit_test_teardown(test_sandbox_protect_system, box_after),
		cmocka_unit_test_teardown(test_sandbox_user_namespace, box_after),
		cmocka_unit_test_teardown(test_sandbox_private_network_is_a_loopback_only,
					  box_after),
		cmocka_unit_test_teardown(test_sandbox_recycled_network_keeps_nothing, box_after),
		cmocka_unit_test_teardown(test_sandbox_limits_hold, box_after),
		cmocka_unit_test_teardown(test_sandbox_figures_of_use, box_after),
		cmocka_unit_test_teardown(test_sandbox_freeze_stops_and_thaw_goes_on, box_after),
		cmocka_unit_test_teardown(test_sandbox_release_while_frozen, box_after),
		cmocka_unit_test_teardown(test_sandbox_release_before_it_is_there, box_after),
		cmocka_unit_test_teardown(test_sandbox_takes_a_command_beside, box_after),
		cmocka_unit_test_teardown(test_sandbox_init_dying_is_an_event, box_after),
		cmocka_unit_test_teardown(test_sandbox_filters_of_a_command, box_after),
	};

	return cmocka_run_group_tests_name("sandbox", tests, box_group_setup, box_group_teardown);
}
