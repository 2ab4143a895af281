// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Unit files: what is read, what is added to it and taken away, quoting and specifiers as systemd has them. */
#include "support/support.h"

#include "support/unit_host.h"
#include "sys/sandbox.h"

#include <errno.h>
#include <string.h>

/* What is bound where, and how; a file system without options. */
static void test_unitfile_reads_binds(void **state)
{
	static const char text[] =
		"[Service]\nExecStart=/bin/srv\nWatchdogSec=1500ms\n"
		"BindPaths=/a -/b:/c /d:/e:norbind\nBindReadOnlyPaths=/d:%S/x:rbind /e\n"
		"BindReadOnlyPaths=\nBindReadOnlyPaths=/f:/g\n"
		"TemporaryFileSystem=/var -/opt\n";
	static const char *const bad[] = {
		"BindPaths=a\n",
		"BindPaths=/a:b\n",
		"BindPaths=/a:/b:bind\n",
		"KillMode=none\n",
		"AmbientCapabilities=CAP_NOTHING\n",
		"AmbientCapabilities=CAP_KILL CAP_NET_ADMIN\n",
		"NoExecPaths=usr\n",
		"BindPaths=/a:/../b\n",
		"TemporaryFileSystem=/a:ro\n",
		"WatchdogSec=soon\n",
		"WatchdogSec=1\nX-Forewarm-Proxy=80\n",
	};
	static const char *const want[] = {"/a",    "/a", "rbind", "-/b",    "/c",
					   "rbind", "/d", "/e",	   "norbind"};
	_cleanup_(unit_freep) struct unit *u = unit_new();
	struct unit_why why;

	(void)state;
	assert_int_equal(unit_host_parse(u, UNIT_SERVICE, text, &why), 0);
	assert_true(u->service.watchdog_ns == 1500000000);
	assert_int_equal(u->service.binds.item_n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(u->service.binds.items[i], want[i]);
	assert_int_equal(u->service.binds_ro.item_n, 3);
	assert_string_equal(u->service.binds_ro.items[1], "/g");
	assert_int_equal(u->service.empty.item_n, 2);
	assert_int_equal(
		unit_host_parse(
			u, UNIT_SERVICE,
			"[Service]\nExecStart=/bin/srv\nKillMode=process\n"
			"AmbientCapabilities=CAP_CHOWN\nAmbientCapabilities=CAP_KILL cap_setuid\n"
			"AmbientCapabilities=~CAP_CHOWN\n",
			&why),
		0);
	assert_int_equal(u->service.kill_mode, UNIT_KILL_PROCESS);
	assert_true(UNIT_CAPS_MAX == sandbox_caps_max());
	assert_true(u->service.ambient == (1ull << 5 | 1ull << 7) && !u->service.caps_set);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char one[160];

		(void)snprintf(one, sizeof(one), "[Service]\nExecStart=/bin/srv\n%s", bad[i]);
		if (unit_host_parse(u, UNIT_SERVICE, one, &why) != UNIT_REFUSED)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void test_unitfile_reads_a_socket(void **state)
{
	static const char text[] = "# a comment\n"
				   "[Unit]\n"
				   "Description=Web of %H, instance %i\n"
				   "\n"
				   "[Socket]\n"
				   "ListenStream=8080\n"
				   "ListenStream=127.0.0.1:81\r\n"
				   "ListenStream = [2001:db8::7]:82 \n"
				   "ListenDatagram=@metrics\n"
				   "ListenSequentialPacket=%t/%p.sock\n"
				   "; another\n"
				   "SocketMode=0660\n"
				   "SocketUser=www-data\n"
				   "Accept=no\n"
				   "Backlog=128\n"
				   "NoDelay=yes\n"
				   "Service=other.service\n"
				   "FileDescriptorName=http\n"
				   "X-Other-Tool=whatever\n"
				   "[X-Section]\nAnything=goes\n"
				   "[Install]\nWantedBy=sockets.target\n";
	static const char *const addrs[] = {"8080", "127.0.0.1:81", "[2001:db8:0:0:0:0:0:7]:82",
					    "@metrics", "/run/web.sock"};
	_cleanup_(unit_freep) struct unit *u = unit_new();
	struct unit_why why;

	(void)state;
	assert_int_equal(unit_host_parse(u, UNIT_SOCKET, text, &why), 0);
	assert_string_equal(u->description, "Web of myhost.example, instance eu-1");
	assert_int_equal(u->socket.listen_n, ARRAY_SIZE(addrs));
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		char buf[160];

		unit_addr_format(&u->socket.listens[i], buf, sizeof(buf));
		assert_string_equal(buf, addrs[i]);
	}
	assert_int_equal(u->socket.listens[3].type, UNIT_DATAGRAM);
	assert_int_equal(u->socket.listens[4].type, UNIT_SEQPACKET);
	assert_int_equal(u->socket.mode, 0660);
	assert_string_equal(u->socket.user, "www-data");
	assert_int_equal(u->socket.backlog, 128);
	assert_true(u->socket.no_delay);
	assert_string_equal(u->socket.service, "other");
	assert_string_equal(u->socket.fd_name, "http");
}

static void test_unitfile_reads_a_service(void **state)
{
	static const char text[] =
		"[Unit]\nAfter=network.target %n\nRequires=web@eu-1.socket\n"
		"[Service]\n"
		"Type=notify\n"
		"ExecStart=-/usr/bin/srv --name='%i of %p' \\\n"
		"  # this line is left out\n"
		"  --dir %S/x $OPTS ${ONE}%%\n"
		"User=nobody\nGroup=nogroup\nSupplementaryGroups=a b\n"
		"Environment=A=1 \"B=two words\" 'C=%t'\n"
		"Environment=D=\n"
		"EnvironmentFile=-/etc/default/srv\n"
		"WorkingDirectory=-/srv\nUMask=0077\n"
		"TimeoutStartSec=1min 30s\nTimeoutStopSec=0\nKillSignal=INT\n"
		"Restart=on-failure\nRestartSec=200ms\n"
		"MemoryMax=1.5G\nTasksMax=infinity\nCPUQuota=150%\nCPUWeight=300\nIOWeight=50\n"
		"PrivateNetwork=yes\nPrivateTmp=on\nPrivateUsers=identity\nProtectSystem="
		"strict\nProtectHome=tmpfs\n"
		"ReadWritePaths=/var/lib/srv -/var/cache/srv\n"
		"ReadWritePaths=/run/srv\n"
		"RestrictAddressFamilies=AF_UNIX AF_INET\n"
		"SystemCallFilter=~@mount ptrace\nSystemCallErrorNumber=EACCES\n"
		"NoNewPrivileges=yes\nStandardOutput=append:/var/log/srv.log\nStandardError=null\n"
		"X-Forewarm-Pool=2\nX-Forewarm-Weight=300\n"
		"X-Forewarm-FreezeAfterSec=20ms\nX-Forewarm-ReleaseAfterSec=infinity\n";
	_cleanup_(unit_freep) struct unit *u = unit_new();
	const struct unit_service *s = &u->service;
	const struct unit_exec *start = &s->execs[UNIT_START].items[0];
	struct unit_why why;

	(void)state;
	assert_int_equal(unit_host_parse(u, UNIT_SERVICE, text, &why), 0);
	assert_int_equal(s->type, UNIT_TYPE_NOTIFY);
	assert_true(start->may_fail);
	assert_string_equal(start->path, "/usr/bin/srv");
	assert_string_equal(start->argv[1], "--name=eu-1 of web");
	assert_string_equal(start->argv[3], "/var/lib/x");
	assert_string_equal(start->argv[5], "${ONE}%");
	assert_null(start->argv[6]);
	assert_string_equal(s->user, "nobody");
	assert_int_equal(s->groups.item_n, 2);
	assert_int_equal(s->environment.item_n, 4);
	assert_string_equal(s->environment.items[1], "B=two words");
	assert_string_equal(s->environment.items[2], "C=/run");
	assert_string_equal(s->environment_files.items[0], "-/etc/default/srv");
	assert_string_equal(s->working_directory, "/srv");
	assert_true(s->working_directory_optional);
	assert_int_equal(s->umask, 0077);
	assert_true(s->timeout_start_ns == 90000000000u);
	assert_true(s->timeout_stop_ns == UNIT_FOREVER);
	assert_int_equal(s->kill_signal, 2);
	assert_int_equal(s->restart, UNIT_RESTART_ON_FAILURE);
	assert_true(s->restart_ns == 200000000u);
	assert_true(s->memory_max == 1536ull << 20);
	assert_true(s->tasks_max == UNIT_NO_LIMIT);
	assert_int_equal(s->cpu_quota, 1500);
	assert_int_equal(s->cpu_weight, 300);
	assert_int_equal(s->io_weight, 50);
	assert_true(s->private_network && s->private_tmp);
	assert_int_equal(s->private_users, UNIT_USERS_IDENTITY);
	assert_int_equal(s->protect_system, UNIT_PROTECT_STRICT);
	assert_int_equal(s->protect_home, UNIT_HOME_TMPFS);
	assert_int_equal(s->read_write.item_n, 3);
	assert_true(s->families_set && !s->families_deny && s->families.item_n == 2);
	assert_true(s->syscalls_set && s->syscalls_deny);
	assert_string_equal(s->syscalls.items[0], "@mount");
	assert_int_equal(s->syscall_errno, EACCES);
	assert_string_equal(s->out_path, "/var/log/srv.log");
	assert_int_equal(s->err, UNIT_OUTPUT_NULL);
	assert_int_equal(s->pool_n, 2);
	assert_int_equal(s->weight, 300);
	assert_true(s->freeze_after_ns == 20000000u && s->freeze);
	assert_false(s->release);
}

/* systemd.unit(5), "Specifiers": %i as it is, %I unescaped. */
static void test_unitfile_specifiers_are_unescaped_as_in_systemd(void **state)
{
	static const struct {
		const char *unit, *text, *want;
	} cases[] = {
		{"a@b", "%n %N %p %i", "a@b.service a@b a b"},
		{"web@srv-www\\x2dold-x\\x20y", "%i", "srv-www\\x2dold-x\\x20y"},
		{"web@srv-www\\x2dold-x\\x20y", "%I", "srv/www-old/x y"},
		{"web@srv-www", "%f", "/srv/www"},
		{"dev-sda\\x2d1", "%p %P %f", "dev-sda\\x2d1 dev/sda-1 /dev/sda-1"},
		{"a-b-c\\x2d@d", "%j %J", "c\\x2d c-"},
		{"a@b\\x2", "%I", "b\\x2"},
		{"a", "[%i%I]", "[]"},
		{"a", "%t %S %C %L %E %T %V",
		 "/run /var/lib /var/cache /var/log /etc /tmp /var/tmp"},
		{"a", "%u %U %g %G %h %s", "root 0 root 0 /root /bin/bash"},
		{"a", "%H %l %m %b %v %a", "myhost.example myhost 0123 4567 6.1 x86-64"},
		{"a", "%o %w [%B] %Y %y",
		 "debian 12 [] /etc/forewarm/services /etc/forewarm/services/a.service"},
		{"a", "100%%", "100%"},
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct unit_why why = {0};
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "[Unit]\nDescription=%s\n[Service]\nExecStart=/x\n", cases[i].text);
		if (unit_parse(u, UNIT_SERVICE, cases[i].unit, &unit_host_here, text, strlen(text),
			       &why))
			fail_msg("%s: %s", cases[i].text, why.text);
		assert_string_equal(u->description, cases[i].want);
	}
}

/* Of several lines the first decides whether a list allows or forbids; later ones add or take away. */
static void test_unitfile_filters_and_sets_add_up(void **state)
{
	static const char text[] =
		"[Service]\nExecStart=/x\nSystemCallFilter=@system-service\n"
		"SystemCallFilter=~@privileged @resources\nSystemCallFilter=bpf\n"
		"CapabilityBoundingSet=CAP_CHOWN CAP_KILL\nCapabilityBoundingSet=cap_setuid\n"
		"CapabilityBoundingSet=~CAP_KILL\nSuccessExitStatus=TEMPFAIL 250 SIGUSR1\n"
		"LimitNOFILE=1024:4096\nLimitCPU=2min\nLimitRTTIME=500\nLimitCORE=infinity\n"
		"ExecStartPre=/a b ; -!/c\nExecStartPre=:d\nTasksMax=99%\nOOMScoreAdjust=-500\n"
		"RuntimeDirectory=a b/c\nRuntimeDirectoryMode=0750\n";
	static const char *const calls[] = {"@system-service", "~@privileged", "~@resources",
					    "bpf"};
	_cleanup_(unit_freep) struct unit *u = unit_new();
	const struct unit_service *s = &u->service;
	const struct unit_execs *pre = &s->execs[UNIT_PRE];
	struct unit_why why;

	(void)state;
	assert_int_equal(unit_host_parse(u, UNIT_SERVICE, text, &why), 0);
	assert_false(s->syscalls_deny);
	assert_int_equal(s->syscalls.item_n, ARRAY_SIZE(calls));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		assert_string_equal(s->syscalls.items[i], calls[i]);
	assert_true(s->caps_set && s->caps == (1u << 0 | 1u << 7));
	assert_true(s->success.code[1] == 1ull << (75 - 64) &&
		    s->success.code[3] >> (250 - 192) & 1);
	assert_true(s->success.signal == 1u << 10);
	assert_true(s->rlimits[UNIT_LIMIT_NOFILE].soft == 1024);
	assert_true(s->rlimits[UNIT_LIMIT_NOFILE].hard == 4096);
	assert_true(s->rlimits[UNIT_LIMIT_CPU].soft == 120);
	assert_true(s->rlimits[UNIT_LIMIT_RTTIME].soft == 500);
	assert_true(s->rlimits[UNIT_LIMIT_CORE].hard == UNIT_NO_LIMIT);
	assert_int_equal(pre->n, 3);
	assert_string_equal(pre->items[0].argv[1], "b");
	assert_null(pre->items[0].argv[2]);
	assert_true(pre->items[1].may_fail && pre->items[1].as_root && !pre->items[2].may_fail);
	assert_true(pre->items[2].verbatim);
	assert_string_equal(pre->items[2].path, "d");
	assert_int_equal(s->tasks_max_share, 990);
	assert_true(s->oom_score_adjust_set && s->oom_score_adjust == -500);
	assert_string_equal(s->dirs[UNIT_DIR_RUN].names.items[1], "b/c");
	assert_int_equal(s->dirs[UNIT_DIR_RUN].mode, 0750);
}

static void test_unitfile_empty_value_resets(void **state)
{
	_cleanup_(unit_freep) struct unit *u = unit_new();
	const struct unit_execs *start = &u->service.execs[UNIT_START];
	struct unit_why why;

	(void)state;
	assert_int_equal(
		unit_host_parse(u, UNIT_SERVICE,
				"[Service]\nExecStart=/old a b\nExecStart=\nExecStart=/new\n"
				"Environment=A=1\nEnvironment=\nEnvironment=B=2\n"
				"UMask=0\nUMask=\nMemoryMax=1M\nMemoryMax=\nUser=a\nUser=\n",
				&why),
		0);
	assert_int_equal(start->n, 1);
	assert_string_equal(start->items[0].path, "/new");
	assert_null(start->items[0].argv[1]);
	assert_int_equal(u->service.environment.item_n, 1);
	assert_int_equal(u->service.umask, 0022);
	assert_true(u->service.memory_max == UNIT_NO_LIMIT);
	assert_null(u->service.user);
}

static int add(struct unit *u, const char *text, struct unit_why *why)
{
	return unit_add(u, &unit_host_here, text, strlen(text), why);
}

/* A drop-in continues the unit, begins without a section, and counts its own lines. */
static void test_unitfile_drop_ins_add_and_reset(void **state)
{
	_cleanup_(unit_freep) struct unit *u = unit_new();
	struct unit_why why = {0};

	(void)state;
	assert_int_equal(unit_begin(u, UNIT_SERVICE, "web.service", &why), 0);
	assert_int_equal(add(u, "[Service]\nExecStart=/old\nEnvironment=A=1\nTasksMax=5", &why), 0);
	assert_int_equal(add(u, "[Service]\nExecStart=\nExecStart=/new %N\n", &why), 0);
	assert_int_equal(add(u, "", &why), 0);
	assert_int_equal(add(u, "[Service]\nEnvironment=B=2\nTasksMax=7\n", &why), 0);
	assert_int_equal(unit_complete(u, &why), 0);
	assert_string_equal(u->service.execs[UNIT_START].items[0].path, "/new");
	assert_string_equal(u->service.execs[UNIT_START].items[0].argv[1], "web");
	assert_int_equal(u->service.environment.item_n, 2);
	assert_true(u->service.tasks_max == 7);
	assert_int_equal(add(u, "\nTasksMax=7\n", &why), UNIT_REFUSED);
	assert_int_equal(why.line, 2);
	assert_int_equal(add(u, "[Service]\nExecStart=\n", &why), 0);
	assert_int_equal(unit_complete(u, &why), UNIT_REFUSED);
	assert_non_null(strstr(why.text, "no ExecStart="));
}

/* systemd.service(5): "Environment=ONE='one' TWO='two two'", "/bin/echo $ONE $TWO ${TWO}". */
static void test_unitfile_variables_expand_as_in_systemd(void **state)
{
	static const char *const env[] = {"ONE=one", "TWO=two two", "Q=a 'b c'", "ONE=last", NULL};
	static const struct {
		const char *command;
		const char *argv[6];
	} cases[] = {
		{"/e $ONE $TWO ${TWO}", {"/e", "last", "two", "two", "two two"}},
		{"/e x$ONE ${ONE}y $$ONE", {"/e", "x$ONE", "lasty", "$ONE"}},
		{"/e $NONE ${NONE} end", {"/e", "", "end"}},
		{"/e $Q ${ONE", {"/e", "a", "b c", "${ONE"}},
		{":/e $ONE", {"/e", "$ONE"}},
		{"@/e $ONE ${ONE}", {"$ONE", "last"}},
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256], buf[256], *argv[8];
		struct unit_why why;
		size_t n = 0;

		(void)snprintf(text, sizeof(text), "[Service]\nExecStart=%s\n", cases[i].command);
		assert_int_equal(unit_host_parse(u, UNIT_SERVICE, text, &why), 0);
		assert_int_equal(unit_expand(&u->service.execs[UNIT_START].items[0], env, buf,
					     sizeof(buf), argv, 8),
				 0);
		for (; cases[i].argv[n]; n++)
			if (!argv[n] || strcmp(argv[n], cases[i].argv[n]) != 0)
				fail_msg("%s: word %zu is '%s'", cases[i].command, n, argv[n]);
		assert_null(argv[n]);
	}
	assert_int_equal(unit_expand(&u->service.execs[UNIT_START].items[0], env, (char[8]){0}, 8,
				     (char *[2]){0}, 2),
			 UNIT_REFUSED);
}

/* An empty Listen...= forgets those before it, of whichever kind. */
static void test_unitfile_empty_listen_forgets_all(void **state)
{
	_cleanup_(unit_freep) struct unit *u = unit_new();
	struct unit_why why;

	(void)state;
	assert_int_equal(
		unit_host_parse(u, UNIT_SOCKET,
				"[Socket]\nListenStream=80\nListenDatagram=81\nListenStream=\n"
				"ListenStream=/a\n",
				&why),
		0);
	assert_int_equal(u->socket.listen_n, 1);
	assert_int_equal(u->socket.listens[0].family, UNIT_UNIX);
	assert_int_equal(unit_host_parse(u, UNIT_SOCKET,
					 "[Socket]\nListenStream=80\nListenStream=80\n", &why),
			 UNIT_REFUSED);
	assert_non_null(strstr(why.text, "twice"));
	assert_int_equal(
		unit_host_parse(u, UNIT_SOCKET, "[Socket]\nListenStream=80\nListenStream=\n", &why),
		UNIT_REFUSED);
	/* A unit that was refused leaves nothing to the next one. */
	assert_int_equal(unit_host_parse(u, UNIT_SOCKET, "[Socket]\nListenDatagram=9\n", &why), 0);
	assert_int_equal(u->socket.listen_n, 1);
	assert_int_equal(u->socket.listens[0].port, 9);
}

static void test_unitfile_reads_conditions(void **state)
{
	static const char text[] = "[Unit]\nConditionPathExists=/gone\nConditionPathExists=\n"
				   "ConditionPathExists=|!/a%i\nAssertPathIsDirectory=/b\n"
				   "ConditionVirtualization=! container\n[Service]\nExecStart=/x\n";
	static const char *const bad[] = {
		"ConditionPathExists=a\n",	"ConditionPathExists=!\n",
		"ConditionPathExists=/%Z\n",	"ConditionVirtualization=kvm\n",
		"Requires=not-here.service\n",	"Requires=%Z.target\n",
		"Requires=\"not-here.target\n",
	};
	static const char *const good[] = {
		"Requires=a.mount dbus.service web@eu-1.socket other.socket\n",
		"Requires=systemd-journald.socket x.slice\n",
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();
	struct unit_why why;
	char one[160];

	(void)state;
	assert_int_equal(unit_host_parse(u, UNIT_SERVICE, text, &why), 0);
	assert_int_equal(u->condition_n, 3);
	assert_string_equal(u->conditions[0].value, "/aeu-1");
	assert_true(u->conditions[0].trigger && u->conditions[0].negate);
	assert_false(u->conditions[0].assert);
	assert_string_equal(u->conditions[1].value, "/b");
	assert_true(u->conditions[1].assert && !u->conditions[1].negate);
	assert_int_not_equal(u->conditions[1].kind, u->conditions[0].kind);
	assert_int_equal(u->conditions[2].kind, UNIT_IF_VIRTUAL);
	assert_true(u->conditions[2].negate && !u->conditions[2].trigger);
	for (size_t i = 0; i < ARRAY_SIZE(bad) + ARRAY_SIZE(good); i++) {
		const bool ok = i >= ARRAY_SIZE(bad);
		const char *line = ok ? good[i - ARRAY_SIZE(bad)] : bad[i];

		(void)snprintf(one, sizeof(one), "[Unit]\n%s[Service]\nExecStart=/x\n", line);
		if (unit_host_parse(u, UNIT_SERVICE, one, &why) != (ok ? 0 : UNIT_REFUSED) ||
		    (!ok && why.line != 2))
			fail_msg("%s: line %u: %s", line, why.line, why.text);
	}
}

/* What goes with a proxy, and what cannot. */
static void test_unitfile_proxy_speaks_for_the_service(void **state)
{
	static const struct {
		const char *more;
		bool ok;
	} cases[] = {
		{"", true},
		{"Type=simple\n", true},
		{"Type=notify\n", false},
		{"WatchdogSec=1\n", false},
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct unit_why why;
		char text[160];

		(void)snprintf(text, sizeof(text),
			       "[Service]\nExecStart=/x\nX-Forewarm-Proxy=8080\n%s", cases[i].more);
		if (unit_host_parse(u, UNIT_SERVICE, text, &why) !=
		    (cases[i].ok ? 0 : UNIT_REFUSED))
			fail_msg("%s: %s", cases[i].more, why.text);
		if (!cases[i].ok)
			continue;
		assert_true(u->service.proxy_set);
		assert_int_equal(u->service.proxy.family, UNIT_INET);
		assert_int_equal(u->service.proxy.port, 8080);
		assert_memory_equal(u->service.proxy.ip, "\x7f\0\0\x01", 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unitfile_reads_binds),
		cmocka_unit_test(test_unitfile_reads_a_socket),
		cmocka_unit_test(test_unitfile_reads_a_service),
		cmocka_unit_test(test_unitfile_specifiers_are_unescaped_as_in_systemd),
		cmocka_unit_test(test_unitfile_filters_and_sets_add_up),
		cmocka_unit_test(test_unitfile_empty_value_resets),
		cmocka_unit_test(test_unitfile_drop_ins_add_and_reset),
		cmocka_unit_test(test_unitfile_variables_expand_as_in_systemd),
		cmocka_unit_test(test_unitfile_empty_listen_forgets_all),
		cmocka_unit_test(test_unitfile_reads_conditions),
		cmocka_unit_test(test_unitfile_proxy_speaks_for_the_service),
	};

	return cmocka_run_group_tests_name("unitfile", tests, NULL, NULL);
}
