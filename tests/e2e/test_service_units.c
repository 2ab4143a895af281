// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_service_units.c - what a directive says is what a service gets.
 *
 * Each line of the table is a service whose program is a script. A client's connection starts it. Where a
 * directive takes something away there is a line without it too, which must find it.
 */
#include "support/support.h"

#include "support/manager.h"
#include "support/service_unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* "@" as service_unit.h has it. */
static const struct line {
	const char *name, *directives, *script, *want;
} lines[] = {
	{"user", "", "id -un", "nobody"},
	{"root", "User=root\n", "id -u", "0"},
	{"group", "Group=daemon\n", "id -gn", "daemon"},
	{"groups", "SupplementaryGroups=adm games\n", "id -Gn | grep -cw 'adm games'", "1"},
	{"environment", "Environment=A=1 \"B=two words\"\n", "echo \"$A|$B\"", "1|two words"},
	{"environment_file", "EnvironmentFile=@/env\n", "echo $C", "from file"},
	{"environment_unset", "Environment=A=1\nUnsetEnvironment=A\n", "echo ${A-none}", "none"},
	{"working_directory", "WorkingDirectory=/usr\n", "pwd", "/usr"},
	{"umask", "UMask=0027\n", "umask", "0027"},
	{"nofile", "LimitNOFILE=123\n", "ulimit -n", "123"},
	{"no_new_privileges", "", "grep NoNewPrivs /proc/self/status | tr -d '\\t'",
	 "NoNewPrivs:1"},
	{"no_capabilities", "", "grep CapEff /proc/self/status | tr -d '\\t'",
	 "CapEff:0000000000000000"},
	{"listen_fds", "", "echo $LISTEN_FDS $LISTEN_FDNAMES", "1 listen_fds.socket"},
	{"blocking_sockets", "", "sed -n '/flags/s/.*[^0-7]//p' /proc/self/fdinfo/3",
	 "02"}, /* O_RDWR alone */
	{"network", "", "readlink /proc/self/ns/net | cmp -s - @/net && echo same", "same"},
	{"private_network", "PrivateNetwork=yes\n", "grep -c : /proc/net/dev", "1"},
	{"users", "", "grep -c . /proc/self/uid_map; cut -b 1-22 /proc/self/uid_map | tr -d ' '",
	 "1\n00"},
	{"private_users", "PrivateUsers=yes\n", "grep -c . /proc/self/uid_map", "2"},
	{"private_users_identity", "PrivateUsers=identity\n",
	 "grep -o '[0-9]*$' /proc/self/uid_map", "65536"},
	{"tmp", "", "cat /tmp/@tmp", "tmp"},
	{"private_tmp", "PrivateTmp=yes\n", "cat /tmp/@tmp 2>/dev/null || ls -A /tmp | wc -l", "0"},
	{"system", "User=root\n",
	 "for d in /usr /etc /var; do (: >$d/fwm-x) 2>/dev/null && echo rw || echo ro; done",
	 "rw\nrw\nrw"},
	{"protect_system", "User=root\nProtectSystem=yes\n",
	 "for d in /usr /etc /var; do (: >$d/fwm-x) 2>/dev/null && echo rw || echo ro; done",
	 "ro\nrw\nrw"},
	{"protect_system_full", "User=root\nProtectSystem=full\n",
	 "for d in /usr /etc /var; do (: >$d/fwm-x) 2>/dev/null && echo rw || echo ro; done",
	 "ro\nro\nrw"},
	{"protect_system_strict", "User=root\nProtectSystem=strict\n",
	 "for d in /usr /etc /var; do (: >$d/fwm-x) 2>/dev/null && echo rw || echo ro; done",
	 "ro\nro\nro"},
	{"home", "User=root\n", "test -e /root && (: >/root/fwm-x) 2>/dev/null && echo rw", "rw"},
	{"protect_home", "User=root\nProtectHome=yes\n", "ls -A /root 2>/dev/null | wc -l", "0"},
	{"protect_home_tmpfs", "User=root\nProtectHome=tmpfs\n", "ls -A /root | wc -l", "0"},
	{"protect_home_read_only", "User=root\nProtectHome=read-only\n",
	 "(: >/root/fwm-x) 2>/dev/null || echo ro", "ro"},
	{"no_paths", "", "(echo new >@/rw/a) 2>/dev/null; (: >@/ro/a) && cat @/hidden/f", "hidden"},
	{"read_write_paths", "ProtectSystem=strict\nReadWritePaths=@/rw\n",
	 "echo new >@/rw/f; (: >@/ro/a) 2>/dev/null || echo ro", "ro"},
	{"read_only_paths", "ReadOnlyPaths=@/ro\n", "(: >@/ro/a) 2>/dev/null || echo ro", "ro"},
	{"inaccessible_paths", "InaccessiblePaths=@/hidden\n",
	 "cat @/hidden/f 2>/dev/null || echo no", "no"},
	{"optional_paths", "ReadOnlyPaths=-@/nosuch\nInaccessiblePaths=-@/nosuch\n", "echo up",
	 "up"},
	{"bind_paths", "BindPaths=@/hidden:@/rw/in @/hidden\n",
	 "cat @/rw/in/f; (: >@/hidden/new) && (: >@/rw/in/more) && ls -x @/hidden",
	 "hidden\nf  more  new"},
	{"bind_read_only_paths", "BindReadOnlyPaths=@/ro:@/hidden -@/nosuch @/env:/opt/env\n",
	 "ls @/hidden | wc -l; (: >@/hidden/a) 2>/dev/null || echo ro; tail -n 1 /opt/env",
	 "0\nro\nC=\"from file\""},
	{"bind_recursive", "User=root\nBindReadOnlyPaths=/sys:@/rw/sys\n",
	 "test -n \"$(ls @/rw/sys/fs/cgroup)\" && echo more", "more"},
	{"bind_alone", "User=root\nBindReadOnlyPaths=/sys:@/rw/sys:norbind\n",
	 "test -d @/rw/sys/fs/cgroup && ls @/rw/sys/fs/cgroup | wc -l", "0"},
	{"exec", "", "cp /bin/true @/rw/t && @/rw/t && echo ran", "ran"},
	{"no_exec_paths", "NoExecPaths=@/rw -@/nosuch\n",
	 "cp /bin/true @/rw/t && @/rw/t 2>/dev/null || echo no; /bin/true && echo ran", "no\nran"},
	/* What is named more closely wins, and what the service makes is below it too. */
	{"exec_paths",
	 "NoExecPaths=/ /var/lib/@texec\nExecPaths=/bin /usr -/lib -/lib64 /var/lib -@/nosuch\n"
	 "StateDirectory=@texec\nCacheDirectory=@texec\n",
	 "for d in $STATE_DIRECTORY $CACHE_DIRECTORY @/rw; do cp /bin/true $d/t; $d/t 2>/dev/null "
	 "|| echo no; done",
	 "no\nno\nno"},
	{"temporary_file_system", "User=root\nTemporaryFileSystem=@/hidden @/rw/made\n",
	 "ls -A @/hidden | wc -l; stat -c '%a %U' @/hidden; (: >@/hidden/a) && ls @/hidden; "
	 "stat -f -c %T @/rw/made",
	 "0\n755 root\na\ntmpfs"},
	{"watchdog", "WatchdogSec=1min\n", "echo $WATCHDOG_USEC ${NOTIFY_SOCKET:+told}",
	 "60000000 told"},
	{"families", "",
	 "bash -c ': </dev/tcp/127.0.0.1/9' 2>&1 | grep -q 'Address family' || echo there",
	 "there"},
	{"restrict_address_families", "RestrictAddressFamilies=AF_UNIX\n",
	 "bash -c ': </dev/tcp/127.0.0.1/9' 2>&1 | grep -q 'Address family' && echo none", "none"},
	{"calls", "", "mkdir @/rw/calls && echo made", "made"},
	{"system_call_filter", "SystemCallFilter=~mkdir mkdirat\n",
	 "mkdir @/rw/filter 2>&1 | grep -c 'not permitted'", "1"},
	{"system_call_error", "SystemCallFilter=~mkdir mkdirat\nSystemCallErrorNumber=EACCES\n",
	 "mkdir @/rw/filter 2>&1 | grep -c denied", "1"},
	{"standard_error", "StandardError=append:@/err\n", "echo said >&2", ""},
	{"standard_error_follows", "", "echo said >&2", "said"},
	{"rlimits", "LimitNOFILE=100:200\nLimitCORE=0\nLimitSTACK=1M:2M\n",
	 "ulimit -n; ulimit -Hn; ulimit -c; ulimit -s", "100\n200\n0\n1024"},
	{"nice", "Nice=5\n", "nice", "5"},
	{"oom_score", "OOMScoreAdjust=300\n", "cat /proc/self/oom_score_adj", "300"},
	{"sigpipe", "", "sed -n '/SigIgn/s/.*\\(....\\)/\\1/p' /proc/self/status", "1000"},
	{"sigpipe_kills", "IgnoreSIGPIPE=no\n",
	 "sed -n '/SigIgn/s/.*\\(....\\)/\\1/p' /proc/self/status", "0000"},
	{"non_blocking", "NonBlocking=yes\n", "sed -n '/flags/s/.*[^0-7]//p' /proc/self/fdinfo/3",
	 "04002"},
	{"bounding", "User=root\n", "grep CapBnd /proc/self/status | tr -d '\\t'",
	 "CapBnd:00000000000004fb"},
	{"bounding_set", "User=root\nCapabilityBoundingSet=CAP_CHOWN CAP_SYS_ADMIN\n",
	 "grep CapBnd /proc/self/status | tr -d '\\t'", "CapBnd:0000000000000001"},
	{"bounding_set_empty", "CapabilityBoundingSet=\n",
	 "grep CapBnd /proc/self/status | tr -d '\\t'", "CapBnd:0000000000000000"},
	{"no_ambient", "PrivateNetwork=yes\n",
	 "python3 -c 'import socket; socket.socket().bind((\"\", 80))' 2>/dev/null || echo no",
	 "no"},
	{"ambient", "PrivateNetwork=yes\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n",
	 "python3 -c 'import socket; socket.socket().bind((\"\", 80)); print(80)'; "
	 "grep -E 'Cap(Inh|Eff|Amb)' /proc/self/status | tr -d '\t'",
	 "80\nCapInh:0000000000000400\nCapEff:0000000000000400\nCapAmb:0000000000000400"},
	{"ambient_bounded",
	 "CapabilityBoundingSet=CAP_KILL\nAmbientCapabilities=CAP_NET_BIND_SERVICE CAP_KILL\n",
	 "grep -E 'Cap(Bnd|Amb)' /proc/self/status | tr -d '\t'",
	 "CapBnd:0000000000000020\nCapAmb:0000000000000020"},
	{"ambient_users", "PrivateUsers=yes\nAmbientCapabilities=CAP_CHOWN\n",
	 "grep CapAmb /proc/self/status | tr -d '\t'", "CapAmb:0000000000000001"},
	{"personality", "", "setarch linux32 true && echo any", "any"},
	{"lock_personality", "LockPersonality=yes\n",
	 "setarch linux32 true 2>/dev/null || echo one", "one"},
	{"write_execute", "", "python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7); print(7)'",
	 "7"},
	{"memory_deny_write_execute", "MemoryDenyWriteExecute=yes\n",
	 "python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)' 2>/dev/null || echo none", "none"},
	/* A priority there is none of is looked at before the right to have it. */
	{"realtime", "",
	 "python3 -c 'import os; os.sched_setscheduler(0, 1, os.sched_param(200))' 2>&1 | "
	 "grep -o 'Errno [0-9]*'",
	 "Errno 22"},
	{"restrict_realtime", "RestrictRealtime=yes\n",
	 "python3 -c 'import os; os.sched_setscheduler(0, 1, os.sched_param(200))' 2>&1 | "
	 "grep -o 'Errno [0-9]*'",
	 "Errno 1"},
	{"proc", "", "test -d /proc/1 && test -e /proc/meminfo && echo all", "all"},
	{"protect_proc", "ProtectProc=invisible\n", "test -d /proc/1 || echo hidden", "hidden"},
	{"proc_subset", "ProcSubset=pid\n", "test -e /proc/meminfo || echo pids", "pids"},
	{"allow_list",
	 "SystemCallFilter=@@system-service\nSystemCallFilter=~mkdir mkdirat\n"
	 "RestrictAddressFamilies=AF_UNIX AF_INET\nRestrictAddressFamilies=~AF_INET\n",
	 "mkdir @/rw/filter 2>&1 | grep -c 'not permitted'; "
	 "bash -c ': </dev/tcp/127.0.0.1/9' 2>&1 | grep -q 'Address family' && echo none",
	 "1\nnone"},
	{"conditions",
	 "[Unit]\nConditionPathExists=/etc/passwd\nConditionPathExistsGlob=!/no{such,body}*\n"
	 "ConditionPathIsDirectory=|/nosuch\nConditionUser=|root\n"
	 "ConditionFileIsExecutable=/bin/sh\nConditionCapability=CAP_SYS_ADMIN\n[Service]\n",
	 "echo met", "met"},
	{"exec_start_pre",
	 "User=root\nExecStartPre=/bin/sh -c 'echo one >/run/pre' ; -/bin/false\n"
	 "ExecStartPre=sh -c 'echo two >>/run/pre'\n",
	 "cat /run/pre", "one\ntwo"},
	{"exec_start_pre_user", "ExecStartPre=/bin/sh -c 'id -un >/tmp/who'\n", "cat /tmp/who",
	 "nobody"},
	{"exec_start_pre_root", "ExecStartPre=!/bin/sh -c 'id -un >/run/who'\n",
	 "cat /run/who; id -un", "root\nnobody"},
	{"permissions_start_only",
	 "PermissionsStartOnly=yes\nExecStartPre=/bin/sh -c 'id -un >/run/who'\n",
	 "cat /run/who; id -un", "root\nnobody"},
	{"around",
	 "ReadWritePaths=@/rw\nExecStartPost=/bin/sh -c 'echo ${MAINPID} >@/rw/post'\n"
	 "ExecStop=/bin/sh -c 'echo ${MAINPID} >@/rw/stop'\n",
	 "echo $$ >@/rw/main", ""},
	{"kill_all", "ReadWritePaths=@/rw\n",
	 "sh -c 'trap \"sleep 0.3; echo told >@/rw/all; exit\" TERM; while :; do sleep 1; done' &",
	 ""},
	{"kill_mixed", "ReadWritePaths=@/rw\nKillMode=mixed\n",
	 "sh -c 'trap \"echo told >@/rw/mixed; exit\" TERM; while :; do sleep 1; done' &", ""},
	{"kill_process", "ReadWritePaths=@/rw\nKillMode=process\nTimeoutStopSec=2\n",
	 "sh -c 'trap \"echo told >@/rw/process; exit\" TERM\n"
	 "while kill -0 '$$' 2>/dev/null; do sleep 0.1; done; echo alone >@/rw/process' &",
	 ""},
	{"runtime_directory", "RuntimeDirectory=@trun\nRuntimeDirectoryMode=0750\n",
	 "echo mine >$RUNTIME_DIRECTORY/f && stat -c '%U %a' /run/@trun", "nobody 750"},
	{"runtime_directory_preserve", "RuntimeDirectory=@tkept\nRuntimeDirectoryPreserve=yes\n",
	 "echo mine >/run/@tkept/f && cat /run/@tkept/f", "mine"},
	{"state_directory", "ProtectSystem=strict\nStateDirectory=@tstate/a @tstate/b\n",
	 "echo $STATE_DIRECTORY | sed s,/var/lib/@tstate,S,g; stat -c '%U %a' /var/lib/@tstate/b; "
	 "echo mine >/var/lib/@tstate/a/f",
	 "S/a:S/b\nnobody 755"},
	{"cache_directory", "CacheDirectory=@tcache\n", "stat -c %U $CACHE_DIRECTORY", "nobody"},
	{"logs_directory", "LogsDirectory=@tlogs\nLogsDirectoryMode=02750\n",
	 "stat -c '%U %a' $LOGS_DIRECTORY", "nobody 2750"},
	{"configuration_directory", "ConfigurationDirectory=@tconf\n",
	 "stat -c %U $CONFIGURATION_DIRECTORY; "
	 "(: >$CONFIGURATION_DIRECTORY/f) 2>/dev/null || echo ro",
	 "root\nro"},
	{"drop_in", "Environment=A=1 B=1\n", "echo $A $B $C", "1 2 3"},
	{"specifiers", "Environment=N=%n P=%p\n", "echo $N $P", "specifiers.service specifiers"},
};

static void put_drop_in(const char *unit, const char *name, const char *text)
{
	char path[160];

	service_unit_path(path, sizeof(path), unit, ".d");
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	(void)snprintf(path, sizeof(path), "%s/%s.d/%s", host.dir, unit, name);
	scratch_write(path, text);
}

/* Whether a name that begins with the test's group is below dir on the host. */
static bool on_host(const char *dir, const char *end)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s%s", dir, host.group, end);
	return access(path, F_OK) == 0;
}

/* What is done around and at the end of a service's life. */
static void after_the_stop(void)
{
	char main_pid[64], got[64];

	assert_true(on_host("/run", "trun"));
	service_host_stop(&host);
	service_unit_read("rw/main", "", main_pid, sizeof(main_pid));
	assert_true(atoi(main_pid) > 0);
	service_unit_read("rw/post", "", got, sizeof(got));
	assert_string_equal(got, main_pid);
	service_unit_read("rw/stop", "", got, sizeof(got));
	assert_string_equal(got, main_pid);
	service_unit_read("rw/all", "", got, sizeof(got));
	assert_string_equal(got, "told");
	service_unit_read("rw/mixed", "", got, sizeof(got));
	assert_string_equal(got, "");
	service_unit_read("rw/process", "", got, sizeof(got));
	assert_string_equal(got, "alone");
	assert_false(on_host("/run", "trun"));
	assert_true(on_host("/run", "tkept/f"));
	assert_true(on_host("/var/lib", "tstate/a/f"));
}

static void test_service_units_get_what_they_say(void **state)
{
	size_t bad = 0;

	(void)state;
	host.run_max = host.pool_max = ARRAY_SIZE(lines) + 4;
	put_drop_in("drop_in.service", "20-b.conf", "[Service]\nEnvironment=B=2\n");
	put_drop_in("drop_in.service", "10-a.conf", "[Service]\nEnvironment=B=9 C=3\n");
	put_drop_in("drop_in.service", "30-c.conf.orig", "Not=Read\n");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		service_unit_write(lines[i].name, "", lines[i].directives, lines[i].script);
	assert_int_equal(service_host_start(&host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char got[256];

		service_unit_ask(lines[i].name);
		service_unit_read(lines[i].name, ".out", got, sizeof(got));
		if (strcmp(got, lines[i].want) == 0)
			continue;
		printf("# %s: got '%s', wanted '%s'\n", lines[i].name, got, lines[i].want);
		bad++;
	}
	assert_int_equal(bad, 0);
	after_the_stop();
	{
		char got[64];

		/* What is written there is really written; all else was not. */
		service_unit_read("rw/f", "", got, sizeof(got));
		assert_string_equal(got, "new");
		service_unit_read("rw/a", "", got, sizeof(got));
		assert_string_equal(got, "");
		service_unit_read("err", "", got, sizeof(got));
		assert_string_equal(got, "said");
	}
}

/* How many files of that name in these of its groups hold that value. */
static int knobs_in(const char *groups, const char *files, const char *value)
{
	char command[512], line[32] = "";
	FILE *f;

	(void)snprintf(command, sizeof(command),
		       "find /sys/fs/cgroup -path '*/%s/%s' \\( %s \\) -exec grep -lx '%s' {} + "
		       "2>/dev/null | "
		       "wc -l",
		       host.group, groups, files, value);
	f = popen(command, "re");
	assert_non_null(f);
	(void)fgets(line, sizeof(line), f);
	(void)pclose(f);
	return atoi(line);
}

static int knobs(const char *files, const char *value)
{
	return knobs_in("sb-*", files, value);
}

/* How many of them weigh so much. */
static int weigh(const char *groups, const char *shares, const char *weight)
{
	return knobs_in(groups, "-name cpu.shares", shares) +
	       knobs_in(groups, "-name cpu.weight", weight);
}

static void test_service_units_limits_are_set(void **state)
{
	struct cgroup_options o = {.name = host.group};
	struct cgroup_host *h = NULL;
	enum cgroup_way memory, cpu, pids, io;

	(void)state;
	service_unit_write("limits", "",
			   "MemoryMax=48M\nTasksMax=77\nCPUQuota=50%\nCPUWeight=300\nIOWeight=57\n",
			   "");
	assert_int_equal(service_host_start(&host), 0);
	service_unit_ask("limits");
	assert_int_equal(cgroup_open(&o, &h), 0);
	memory = cgroup_can(h, CGROUP_MEMORY);
	cpu = cgroup_can(h, CGROUP_CPU);
	pids = cgroup_can(h, CGROUP_PIDS);
	io = cgroup_can(h, CGROUP_IO);
	h = cgroup_close(h);
	printf("# limits by: memory %d, cpu %d, pids %d, io %d (0 none, 1 v1, 2 v2)\n", memory, cpu,
	       pids, io);
	if (memory)
		assert_int_equal(
			knobs("-name memory.limit_in_bytes -o -name memory.max", "50331648"), 1);
	if (cpu)
		assert_int_equal(
			knobs("-name cpu.cfs_quota_us -o -name cpu.max", "50000\\( 100000\\)\\?"),
			1);
	if (cpu)
		assert_int_equal(weigh("sb-*", "3072", "300"), 1);
	if (pids)
		assert_int_equal(knobs("-name pids.max", "77"), 1);
	if (io)
		assert_int_equal(knobs("-name blkio.weight -o -name blkio.bfq.weight -o -name "
				       "io.weight",
				       "\\(default \\)\\?57"),
				 1);
}

/* The group that all of them are in. */
static void await_together(const char *shares, const char *weight)
{
	for (int i = 0; i < 1000; i++) {
		if (weigh("cpu.*", shares, weight) == 1)
			return;
		(void)service_host_boxes(&host); /* its loop goes round */
		(void)usleep(10000);
	}
	fail_msg("together they do not weigh %s, or %s on v2", shares, weight);
}

static void read_line(const char *path, char *ret, int n)
{
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	assert_non_null(fgets(ret, n, f));
	ret[strcspn(ret, "\n")] = '\0';
	(void)fclose(f);
}

/* A connection that stays. */
static int connect_to(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	service_unit_path(at.sun_path, sizeof(at.sun_path), name, ".sock");
	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void test_service_units_weigh_what_they_say_and_together_their_sum(void **state)
{
	struct cgroup_options o = {.name = host.group};
	struct cgroup_host *h = NULL;
	bool can;
	int fd, passing;

	(void)state;
	assert_int_equal(cgroup_open(&o, &h), 0);
	can = cgroup_can(h, CGROUP_CPU) != CGROUP_NONE;
	h = cgroup_close(h);
	if (!can)
		skip_because("this host cannot share out its processors");
	service_unit_write("two", "", "CPUWeight=200\nX-Forewarm-FreezeAfterSec=infinity\n", "");
	service_unit_write("three", "",
			   "CPUWeight=300\nX-Forewarm-FreezeAfterSec=20ms\n"
			   "X-Forewarm-ReleaseAfterSec=infinity\n",
			   "");
	service_unit_write("passing", "",
			   "X-Forewarm-FreezeAfterSec=20ms\n"
			   "X-Forewarm-ReleaseAfterSec=20ms\n",
			   "");
	assert_int_equal(service_host_start(&host), 0);
	await_together("1024", "100");
	service_unit_ask("two");
	await_together("2048", "200");
	fd = connect_to("three");
	await_together("5120", "500");
	assert_int_equal(weigh("sb-*", "2048", "200"), 1);
	assert_int_equal(weigh("sb-*", "3072", "300"), 1);
	(void)close(fd);
	service_host_await(&host, "three", SVC_FROZEN, 5000);
	await_together("2048", "200");
	fd = connect_to("three");
	await_together("5120", "500");
	passing = connect_to("passing");
	await_together("6144", "600");
	(void)close(passing);
	service_host_await(&host, "passing", SVC_COLD, 10000);
	await_together("5120", "500");
	(void)close(fd);
}

/* As a service of systemd's, whose group is its own: that is what weighs against the rest of the host. */
static void test_service_units_weigh_the_same_from_a_group_of_the_daemons_own(void **state)
{
	char own[96], shares[128], tasks[128], got[32];

	(void)state;
	(void)snprintf(own, sizeof(own), "/sys/fs/cgroup/cpu/%s-own", host.group);
	(void)snprintf(shares, sizeof(shares), "%s/cpu.shares", own);
	(void)snprintf(tasks, sizeof(tasks), "%s/tasks", own);
	if (mkdir(own, 0755) < 0 || access(shares, W_OK) < 0) {
		(void)rmdir(own);
		skip_because("needs the v1 controller cpu, mounted by itself");
	}
	manager_start(host.dir); /* else it has a process that outlives it, also in that group */
	host.managed = true;
	host.tasks = tasks;
	service_unit_write("half", "", "CPUWeight=50\nX-Forewarm-FreezeAfterSec=infinity\n", "");
	assert_int_equal(service_host_start(&host), 0);
	service_unit_ask("half");
	await_together("512", "50");
	read_line(shares, got, sizeof(got));
	assert_string_equal(got, "512");
	service_host_stop(&host);
	manager_stop();
	read_line(shares, got, sizeof(got));
	assert_string_equal(got, "1024");
	assert_int_equal(rmdir(own), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_service_units_get_what_they_say,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_units_limits_are_set,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(
			test_service_units_weigh_what_they_say_and_together_their_sum,
			service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(
			test_service_units_weigh_the_same_from_a_group_of_the_daemons_own,
			service_unit_before, service_unit_after),
	};

	return cmocka_run_group_tests_name("service-units", tests, NULL, NULL);
}
