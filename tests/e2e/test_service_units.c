// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_service_units.c - what a directive says is what a service gets.
 *
 * Each line of the table is a service whose program is a script: it writes what it finds to its standard
 * output, a file, and then serves. A client's connection starts it. Where a directive takes something
 * away there is a line without it too, which must find it.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/service_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* "@" in directives and script is the directory of the test, "@t" its group and a t, "@@" itself; User=nobody unless another is named. */
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

static void expand(const char *text, char *ret, size_t n)
{
	size_t at = 0;

	for (; *text && at + 1 < n; text++)
		if (text[0] == '@' && text[1] == '@')
			ret[at++] = *++text;
		else if (*text == '@')
			at += (size_t)snprintf(ret + at, n - at, "%s",
					       text[1] == 't' ? host.group : host.dir);
		else
			ret[at++] = *text;
	ret[at < n ? at : n - 1] = '\0';
}

static void file_path(char *ret, size_t n, const char *name, const char *end)
{
	assert_true(snprintf(ret, n, "%s/%s%s", host.dir, name, end) < (int)n);
}

/* No directive hides this place, wherever the build and the directory of the test are. */
static void seen_path(char *ret, size_t n, const char *name, const char *end)
{
	assert_true(snprintf(ret, n, "/var/lib/%s/%s%s", host.group, name, end) < (int)n);
}

static void get_file(const char *name, const char *end, char *ret, size_t n)
{
	char path[160];
	_cleanup_(closep) int fd = -1;
	ssize_t got;

	file_path(path, sizeof(path), name, end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, ret, n - 1);
	ret[got < 0 ? 0 : got] = '\0';
	while (got > 0 && ret[got - 1] == '\n')
		ret[--got] = '\0';
}

static void write_unit(const char *name, const char *socket, const char *directives,
		       const char *script)
{
	char sock[1024], more[640], text[1536], run[640], file[160], helper[160];
	char script_socket[800];

	expand(script, run, sizeof(run));
	seen_path(helper, sizeof(helper), "svc_echo", "");
	(void)snprintf(text, sizeof(text), "%s\nexec >/dev/null 2>&1\nexec %s\n", run, helper);
	seen_path(file, sizeof(file), name, ".sh");
	scratch_write(file, text);
	expand(directives, more, sizeof(more));
	(void)snprintf(text, sizeof(text),
		       "ExecStart=/bin/sh %s\n%s%sStandardOutput=append:%s/%s.out\n", file,
		       strstr(more, "User=root") ? "" : "User=nobody\n", more, host.dir, name);
	expand(socket, script_socket, sizeof(script_socket));
	(void)snprintf(sock, sizeof(sock), "ListenStream=%s/%s.sock\n%s", host.dir, name,
		       script_socket);
	service_host_unit(&host, name, sock, text);
}

static void ask(const char *name)
{
	char path[160], got[64];
	struct unit_addr a;

	file_path(path, sizeof(path), name, ".sock");
	a = service_addr(path);
	if (!service_ask(&a, "hello\n", got, sizeof(got), NULL) || strcmp(got, "hello\n") != 0)
		fail_msg("%s: no answer", name);
}

static void make_tree(void)
{
	static const char *const dirs[] = {"/rw", "/ro", "/hidden"};
	char path[160], net[64];
	ssize_t n;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		file_path(path, sizeof(path), "", dirs[i] + 1);
		assert_int_equal(mkdir(path, 0777), 0);
		assert_int_equal(chmod(path, 0777), 0);
	}
	file_path(path, sizeof(path), "hidden/f", "");
	scratch_write(path, "hidden\n");
	n = readlink("/proc/self/ns/net", net, sizeof(net) - 2);
	assert_true(n > 0);
	memcpy(net + n, "\n", 2);
	file_path(path, sizeof(path), "net", "");
	scratch_write(path, net);
	file_path(path, sizeof(path), "env", "");
	scratch_write(path, "# a comment\nC=\"from file\"\n");
}

static int setup(void **state)
{
	char path[160], command[640];

	(void)state;
	service_host_setup(&host);
	host.run_max = host.pool_max = ARRAY_SIZE(lines) + 4;
	make_tree();
	(void)snprintf(path, sizeof(path), "/tmp/%stmp", host.group);
	scratch_write(path, "tmp\n");
	seen_path(path, sizeof(path), "", "");
	(void)snprintf(command, sizeof(command), "mkdir -m 755 %s && install -m 755 %s %s", path,
		       host.helper, path);
	return system(command);
}

static int teardown(void **state)
{
	char path[160], command[640];

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/%stmp", host.group);
	(void)unlink(path);
	seen_path(path, sizeof(path), "", "");
	(void)snprintf(command, sizeof(command),
		       "rm -rf %s /run/%st* /var/lib/%st* /var/cache/%st* /var/log/%st* /etc/%st*",
		       path, host.group, host.group, host.group, host.group, host.group);
	assert_int_equal(system(command), 0);
	service_host_teardown(&host);
	return 0;
}

static void put_drop_in(const char *unit, const char *name, const char *text)
{
	char path[160];

	file_path(path, sizeof(path), unit, ".d");
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
	get_file("rw/main", "", main_pid, sizeof(main_pid));
	assert_true(atoi(main_pid) > 0);
	get_file("rw/post", "", got, sizeof(got));
	assert_string_equal(got, main_pid);
	get_file("rw/stop", "", got, sizeof(got));
	assert_string_equal(got, main_pid);
	get_file("rw/all", "", got, sizeof(got));
	assert_string_equal(got, "told");
	get_file("rw/mixed", "", got, sizeof(got));
	assert_string_equal(got, "");
	get_file("rw/process", "", got, sizeof(got));
	assert_string_equal(got, "alone");
	assert_false(on_host("/run", "trun"));
	assert_true(on_host("/run", "tkept/f"));
	assert_true(on_host("/var/lib", "tstate/a/f"));
}

static void test_service_units_get_what_they_say(void **state)
{
	size_t bad = 0;

	(void)state;
	put_drop_in("drop_in.service", "20-b.conf", "[Service]\nEnvironment=B=2\n");
	put_drop_in("drop_in.service", "10-a.conf", "[Service]\nEnvironment=B=9 C=3\n");
	put_drop_in("drop_in.service", "30-c.conf.orig", "Not=Read\n");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		write_unit(lines[i].name, "", lines[i].directives, lines[i].script);
	assert_int_equal(service_host_start(&host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char got[256];

		ask(lines[i].name);
		get_file(lines[i].name, ".out", got, sizeof(got));
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
		get_file("rw/f", "", got, sizeof(got));
		assert_string_equal(got, "new");
		get_file("rw/a", "", got, sizeof(got));
		assert_string_equal(got, "");
		get_file("err", "", got, sizeof(got));
		assert_string_equal(got, "said");
	}
}

static void test_service_units_sockets_are_as_they_say(void **state)
{
	char path[160];
	struct stat st;

	(void)state;
	write_unit("sock",
		   "SocketMode=0640\nSocketUser=nobody\nSocketGroup=daemon\n"
		   "FileDescriptorName=web\n",
		   "", "echo $LISTEN_FDNAMES");
	assert_int_equal(service_host_start(&host), 0);
	file_path(path, sizeof(path), "sock", ".sock");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 1);
	ask("sock");
	get_file("sock", ".out", path, sizeof(path));
	assert_string_equal(path, "web");
}

/* By fd, level and option as the kernel numbers them; the backlog of a listener is in its TCP_INFO. */
static const char show_options[] =
	"import socket,struct\n"
	"import os\n"
	"s = {fd: socket.socket(fileno=os.dup(fd)) for fd in (3, 4, 5, 6)}\n"
	"g = lambda fd, l, n: s[fd].getsockopt(l, n)\n"
	"print('unix', g(3, 1, 16), g(3, 1, 34), g(3, 1, 12))\n"
	"print('tcp', g(4, 1, 12), g(4, 1, 9), g(4, 6, 4), g(4, 6, 5), g(4, 6, 6), g(4, 6, 1), "
	"g(4, 1, 15),\n"
	"      g(4, 6, 9) >= 3, s[4].getsockopt(6, 13, 16).rstrip(bytes(1)).decode())\n"
	"print('ip', g(4, 0, 2), g(4, 0, 1), g(4, 0, 15), g(4, 1, 8), g(4, 1, 7))\n"
	"print('backlog', struct.unpack_from('I', s[4].getsockopt(6, 11, 104), 28)[0])\n"
	"print('udp', g(5, 1, 6), g(5, 0, 8), g(5, 1, 35), g(5, 1, 12))\n"
	"print('v6', g(6, 41, 26), g(6, 41, 16), s[6].getsockname()[0])\n";

static void write_options_unit(const char *name, const char *more, int port)
{
	char text[640], path[160];

	(void)snprintf(text, sizeof(text),
		       "ListenStream=127.0.0.1:%d\nListenDatagram=127.0.0.1:%d\n"
		       "ListenStream=[::1]:%d\n%s",
		       port, port, port, more);
	file_path(path, sizeof(path), "options.py", "");
	scratch_write(path, show_options);
	write_unit(name, text, "", "python3 @/options.py");
}

/* What the service finds set at its sockets. */
static void test_service_units_socket_options_are_set(void **state)
{
	int port = 26000 + (int)getpid() % 6000;
	char got[512];

	(void)state;
	write_options_unit("plain", "", port);
	write_options_unit(
		"options",
		"PassCredentials=yes\nPassSecurity=yes\nPriority=3\nKeepAlive=yes\n"
		"KeepAliveTimeSec=77\nKeepAliveIntervalSec=7\nKeepAliveProbes=4\nNoDelay=yes\n"
		"ReusePort=yes\nDeferAcceptSec=3\nTCPCongestion=reno\nIPTTL=33\nIPTOS=low-delay\n"
		"FreeBind=yes\nReceiveBuffer=64K\nSendBuffer=32K\nBacklog=17\nBroadcast=yes\n"
		"PassPacketInfo=yes\nTimestamping=ns\nBindIPv6Only=ipv6-only\n",
		port + 1);
	assert_int_equal(service_host_start(&host), 0);
	ask("options");
	get_file("options", ".out", got, sizeof(got));
	assert_string_equal(got,
			    "unix 1 1 3\ntcp 3 1 77 7 4 1 1 True reno\nip 33 16 1 131072 65536\n"
			    "backlog 17\nudp 1 1 1 3\nv6 1 33 ::1");
	/* And without: nothing of it comes by itself. */
	ask("plain");
	get_file("plain", ".out", got, sizeof(got));
	assert_non_null(strstr(got, "unix 0 0 0\ntcp 0 0 7200 75 9 0 0 False "));
	assert_non_null(strstr(got, "\nudp 0 0 0 0\nv6 "));
}

/* An address nobody has here: only FreeBind= may listen there. */
static void test_service_units_free_bind_needs_no_address(void **state)
{
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof(text), "ListenStream=192.0.2.77:%d\n",
		       26000 + (int)getpid() % 6000);
	write_unit("bound", text, "", "");
	(void)strncat(text, "FreeBind=yes\n", sizeof(text) - strlen(text) - 1);
	write_unit("free", text, "", "");
	assert_int_equal(service_host_start(&host), 1);
	ask("free");
}

/* A name that somebody else has is left to him and said; the socket is there, and the other names. */
static void test_service_units_links_that_cannot_be_are_said(void **state)
{
	char path[160], text[512], line[256], got[64];
	struct unit_addr a;
	FILE *f;
	int err;

	(void)state;
	file_path(path, sizeof(path), "taken", "");
	scratch_write(path, "somebody's\n");
	(void)snprintf(text, sizeof(text), "Symlinks=%s %s/taken/below %s/deep/er/link\n", path,
		       host.dir, host.dir);
	write_unit("linked", text, "", "");
	f = tmpfile();
	assert_non_null(f);
	(void)fflush(stderr);
	err = dup(STDERR_FILENO);
	assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
	assert_int_equal(service_host_start(&host), 0);
	assert_true(dup2(err, STDERR_FILENO) >= 0);
	(void)close(err);
	rewind(f);
	text[0] = '\0';
	while (fgets(line, sizeof(line), f))
		(void)strncat(text, line, sizeof(text) - strlen(text) - 1);
	(void)fclose(f);
	if (!strstr(text, "/taken: File exists") || !strstr(text, "/taken/below: Not a directory"))
		fail_msg("said: '%s'", text);
	file_path(path, sizeof(path), "deep/er/link", "");
	a = service_addr(path);
	assert_true(service_ask(&a, "again\n", got, sizeof(got), NULL));
	get_file("taken", "", got, sizeof(got));
	assert_string_equal(got, "somebody's");
}

/* One that does not say WATCHDOG=1 is ended, and started anew for who asks; one that does lives, and while
 * it is frozen nothing is expected of it. */
/* KillMode=process: what else of it runs is to outlive it, so it is neither frozen nor ended. */
static void test_service_units_work_of_its_own_keeps_it(void **state)
{
	static const char *const modes[] = {"mixed", "process"};
	char more[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		(void)snprintf(more, sizeof(more), "KillMode=%s\nX-Forewarm-FreezeAfterSec=20ms\n",
			       modes[i]);
		write_unit(modes[i], "", more, "sleep 600 &");
	}
	write_unit("nothing", "", more, "true");
	(void)service_host_start(&host);
	ask("process");
	ask("mixed");
	ask("nothing");
	service_host_await(&host, "mixed", SVC_FROZEN, 5000);
	service_host_await(&host, "nothing", SVC_FROZEN, 5000);
	usleep(1200000); /* more than the time between two looks */
	assert_int_equal(service_host_view(&host, "process").state, SVC_ACTIVE);
	assert_int_equal(service_host_view(&host, "process").figures.freeze_n, 0);
	service_host_stop(&host);
}

static void test_service_units_watchdog_ends_who_is_silent(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "silent" : "told";
		char sock[256], text[512];

		(void)snprintf(sock, sizeof(sock), "ListenStream=%s/%s.sock\n", host.dir, name);
		(void)snprintf(text, sizeof(text),
			       "ExecStart=%s %s\nUser=nobody\nWatchdogSec=%s\nRestartSec=1ms\n"
			       "X-Forewarm-FreezeAfterSec=%s\n",
			       host.helper, i ? "" : "--watchdog 200", i ? "1s" : "2s",
			       i ? "infinity" : "300ms");
		service_host_unit(&host, name, sock, text);
	}
	assert_int_equal(service_host_start(&host), 0);
	ask("told");
	ask("silent");
	service_host_await(&host, "silent", SVC_COLD, 10000);
	assert_int_equal(service_host_view(&host, "silent").figures.fail_n, 1);
	ask("silent");
	service_host_await(&host, "told", SVC_FROZEN, 10000);
	(void)usleep(2500000); /* more than it has, frozen */
	ask("told");
	assert_int_equal(service_host_view(&host, "told").figures.fail_n, 0);
	assert_int_equal(service_host_view(&host, "told").figures.start_n, 1);
}

/* All sockets of a service come to it, in the order of their files' names. */
static void test_service_units_one_service_has_all_its_sockets(void **state)
{
	char path[160], text[512], got[64], link[160];
	struct unit_addr a;

	(void)state;
	file_path(link, sizeof(link), "link", "");
	(void)snprintf(text, sizeof(text), "Symlinks=%s\n", link);
	write_unit("several", text, "Sockets=several.socket several-more.socket\n",
		   "echo $LISTEN_FDS $LISTEN_FDNAMES");
	file_path(path, sizeof(path), "several-more", ".socket");
	(void)snprintf(text, sizeof(text),
		       "[Socket]\nService=several.service\nFileDescriptorName=more\n"
		       "ListenStream=%s/more.sock\n",
		       host.dir);
	scratch_write(path, text);
	/* Nobody leads to this one: said, not refused. */
	file_path(path, sizeof(path), "lonely", ".service");
	scratch_write(path, "[Service]\nExecStart=/bin/true\n");
	assert_int_equal(service_host_start(&host), 0);
	file_path(path, sizeof(path), "more", ".sock");
	a = service_addr(path);
	assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
	a = service_addr(link);
	assert_true(service_ask(&a, "again\n", got, sizeof(got), NULL));
	assert_int_equal(service_host_boxes(&host), 1);
	get_file("several", ".out", got, sizeof(got));
	assert_string_equal(got, "2 more:several.socket");
}

/* NAME@INSTANCE has its text in NAME@, and a template alone is nothing. */
static void test_service_units_instances_are_of_a_template(void **state)
{
	char path[160], to[160], got[64];

	(void)state;
	write_unit("of@", "", "Environment=I=%i \"J=%I\"\n", "echo $I $J");
	file_path(path, sizeof(path), "of@a-b", ".socket");
	file_path(to, sizeof(to), "of@", ".socket");
	scratch_write(to, "[Socket]\nListenStream=%Y/%i.sock\n");
	assert_int_equal(symlink("of@.socket", path), 0);
	assert_int_equal(service_host_start(&host), 0);
	ask("a-b");
	get_file("of@", ".out", got, sizeof(got));
	assert_string_equal(got, "a-b a/b");
}

/* Who connects waits until the conditions are met. */
static void test_service_units_conditions_are_waited_for(void **state)
{
	char gate[160], path[160], got[64];
	struct unit_addr a;
	pid_t pid;

	(void)state;
	write_unit("gated", "[Unit]\nConditionPathExists=!@/nosuch\n",
		   "[Unit]\nConditionPathExists=@/gate\n[Service]\nRestartSec=20ms\n", "echo up");
	write_unit("never", "[Unit]\nConditionPathExists=/nosuch\n", "", "");
	assert_int_equal(service_host_start(&host), 0);
	file_path(path, sizeof(path), "never", ".sock");
	assert_int_equal(access(path, F_OK), -1);
	file_path(gate, sizeof(gate), "gate", "");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)usleep(150000);
		scratch_write(gate, "open\n");
		_exit(0);
	}
	file_path(path, sizeof(path), "gated", ".sock");
	a = service_addr(path);
	assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
	assert_string_equal(got, "hello\n");
	assert_true(waitpid(pid, NULL, 0) == pid);
}

/* A command that fails before or after it keeps a service from being ready, until it does not. */
static void test_service_units_pre_that_fails_is_tried_again(void **state)
{
	char path[160], got[64];
	struct unit_addr a;

	(void)state;
	write_unit(
		"retry", "",
		"RestartSec=20ms\nReadWritePaths=@/rw\n"
		"ExecStartPre=/bin/sh -c 'echo x >>@/rw/tries; test `wc -l <@/rw/tries` -ge 3'\n",
		"echo up");
	assert_int_equal(service_host_start(&host), 0);
	file_path(path, sizeof(path), "retry", ".sock");
	a = service_addr(path);
	assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
	get_file("rw/tries", "", got, sizeof(got));
	assert_string_equal(got, "x\nx\nx");
	get_file("retry", ".out", got, sizeof(got));
	assert_string_equal(got, "up");
}

/* Restart= and the statuses: it comes up again by itself, or waits for the next connection. */
static void test_service_units_restart_as_they_say(void **state)
{
	static const struct {
		const char *name, *directives, *end;
		bool again;
	} all[] = {
		{"no", "", "exit 1", false},
		{"on_failure", "Restart=on-failure\n", "exit 1", true},
		{"on_failure_clean", "Restart=on-failure\n", "exit 0", false},
		{"on_failure_success", "Restart=on-failure\nSuccessExitStatus=7 SIGUSR1\n",
		 "exit 7", false},
		{"prevented", "Restart=always\nRestartPreventExitStatus=7\n", "exit 7", false},
		{"forced", "RestartForceExitStatus=7\n", "exit 7", true},
		{"on_success", "Restart=on-success\n", "exit 0", true},
		{"on_abort", "Restart=on-abort\n", "exit 1", false},
		{"on_abort_signal", "Restart=on-abort\n", "kill -SEGV $$", true},
	};
	char got[64], more[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char script[256];

		(void)snprintf(more, sizeof(more),
			       "RestartSec=10ms\nReadWritePaths=@/rw\n"
			       "X-Forewarm-FreezeAfterSec=infinity\n"
			       "X-Forewarm-ReleaseAfterSec=infinity\n%s",
			       all[i].directives);
		(void)snprintf(script, sizeof(script),
			       "echo x >>@/rw/%s; test `wc -l <@/rw/%s` -ge 2 || { "
			       "python3 -c 'import socket; s = socket.socket(fileno=3); "
			       "s.accept()[0].send(b\"once\")'; %s; }",
			       all[i].name, all[i].name, all[i].end);
		write_unit(all[i].name, "", more, script);
	}
	assert_int_equal(service_host_start(&host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char path[160];
		struct unit_addr a;

		file_path(path, sizeof(path), all[i].name, ".sock");
		a = service_addr(path);
		assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
		assert_string_equal(got, "once");
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		(void)snprintf(more, sizeof(more), "rw/%s", all[i].name);
		if (all[i].again)
			service_host_await(&host, all[i].name, SVC_READY, 5000);
		else
			service_host_await(&host, all[i].name, SVC_COLD, 5000);
		/* Ready is when it is executed: it may not have written yet. */
		for (int k = 0; k < 500; k++) {
			get_file(more, "", got, sizeof(got));
			if (strcmp(got, all[i].again ? "x\nx" : "x") == 0)
				break;
			(void)usleep(10000);
		}
		if (strcmp(got, all[i].again ? "x\nx" : "x") != 0)
			fail_msg("%s: started '%s'", all[i].name, got);
	}
}

/* How many files of that name in its groups hold that value. */
static int knobs(const char *files, const char *value)
{
	char command[512], line[32] = "";
	FILE *f;

	(void)snprintf(command, sizeof(command),
		       "find /sys/fs/cgroup -path '*/%s*/sb-*' \\( %s \\) -exec grep -lx '%s' {} + "
		       "2>/dev/null | "
		       "wc -l",
		       host.group, files, value);
	f = popen(command, "re");
	assert_non_null(f);
	(void)fgets(line, sizeof(line), f);
	(void)pclose(f);
	return atoi(line);
}

static void test_service_units_limits_are_set(void **state)
{
	struct cgroup_options o = {.name = host.group};
	struct cgroup_host *h = NULL;
	enum cgroup_way memory, cpu, pids, io;

	(void)state;
	write_unit("limits", "", "MemoryMax=48M\nTasksMax=77\nCPUQuota=50%\nIOWeight=57\n", "");
	assert_int_equal(service_host_start(&host), 0);
	ask("limits");
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
	if (pids)
		assert_int_equal(knobs("-name pids.max", "77"), 1);
	if (io)
		assert_int_equal(knobs("-name blkio.weight -o -name blkio.bfq.weight -o -name "
				       "io.weight",
				       "\\(default \\)\\?57"),
				 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_service_units_get_what_they_say, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_service_units_sockets_are_as_they_say, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_service_units_socket_options_are_set, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_service_units_free_bind_needs_no_address,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_service_units_links_that_cannot_be_are_said,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_service_units_work_of_its_own_keeps_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_service_units_watchdog_ends_who_is_silent,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_service_units_one_service_has_all_its_sockets,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_service_units_instances_are_of_a_template,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_service_units_conditions_are_waited_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_service_units_pre_that_fails_is_tried_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_service_units_restart_as_they_say, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_service_units_limits_are_set, setup, teardown),
	};

	return cmocka_run_group_tests_name("service-units", tests, NULL, NULL);
}
