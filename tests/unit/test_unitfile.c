// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Unit files: what is read, what is refused and on which line, quoting as systemd has it. */
#include "support/support.h"

#include "core/unitfile.h"
#include "sys/sandbox.h"

#include <errno.h>
#include <string.h>

static const char *const held[] = {"web@eu-1.socket", "virtlockd.socket", "other.socket", NULL};
static const struct unit_host host = {.host_name = "myhost.example",
				      .machine_id = "0123",
				      .boot_id = "4567",
				      .kernel = "6.1",
				      .architecture = "x86-64",
				      .shell = "/bin/bash",
				      .os_id = "debian",
				      .os_version = "12",
				      .os_build = "",
				      .directory = "/etc/forewarm/services",
				      .held = held};

static int parse(struct unit *u, enum unit_kind kind, const char *text, struct unit_why *why)
{
	*why = (struct unit_why){0};
	return unit_parse(u, kind, "web@eu-1", &host, text, strlen(text), why);
}

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
	assert_int_equal(parse(u, UNIT_SERVICE, text, &why), 0);
	assert_true(u->service.watchdog_ns == 1500000000);
	assert_int_equal(u->service.binds.item_n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(u->service.binds.items[i], want[i]);
	assert_int_equal(u->service.binds_ro.item_n, 3);
	assert_string_equal(u->service.binds_ro.items[1], "/g");
	assert_int_equal(u->service.empty.item_n, 2);
	assert_int_equal(
		parse(u, UNIT_SERVICE,
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
		if (parse(u, UNIT_SERVICE, one, &why) != UNIT_REFUSED)
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
	assert_int_equal(parse(u, UNIT_SOCKET, text, &why), 0);
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
		"MemoryMax=1.5G\nTasksMax=infinity\nCPUQuota=150%\nIOWeight=50\n"
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
	assert_int_equal(parse(u, UNIT_SERVICE, text, &why), 0);
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

/* What is not honoured is refused, with the line it is on. */
static void test_unitfile_refuses_with_line_and_reason(void **state)
{
	static const struct {
		const char *name;
		enum unit_kind kind;
		const char *text;
		unsigned line;
		const char *says;
	} cases[] = {
		{"unknown directive", UNIT_SERVICE, "[Service]\nExecStart=/x\nNoSuch=1\n", 3,
		 "NoSuch"},
		{"known to systemd, not to us", UNIT_SERVICE, "[Service]\nIPAddressDeny=any\n", 2,
		 "not supported"},
		{"our own, misspelt", UNIT_SERVICE, "[Service]\nX-Forewarm-Pols=1\n", 2, "Pols"},
		{"wrong section", UNIT_SERVICE, "[Service]\nListenStream=1\n", 2, "[Service]"},
		{"wrong file", UNIT_SOCKET, "[Unit]\n[Service]\n", 2, ".socket"},
		{"no section", UNIT_SOCKET, "\n\nListenStream=1\n", 3, "before the first"},
		{"no assignment", UNIT_SOCKET, "[Socket]\nListenStream\n", 2, "KEY=VALUE"},
		{"half a section", UNIT_SOCKET, "[Socket\n", 1, "section"},
		{"accept", UNIT_SOCKET, "[Socket]\nAccept=yes\n", 2, "not supported"},
		{"port 0", UNIT_SOCKET, "[Socket]\nListenStream=0\n", 2, "PORT"},
		{"port too large", UNIT_SOCKET, "[Socket]\nListenStream=65536\n", 2, "PORT"},
		{"host name", UNIT_SOCKET, "[Socket]\nListenStream=localhost:80\n", 2, "PORT"},
		{"relative path", UNIT_SOCKET, "[Socket]\nListenStream=run/x\n", 2, "PORT"},
		{"climbing path", UNIT_SOCKET, "[Socket]\nListenStream=/run/../x\n", 2, "PORT"},
		{"path too long", UNIT_SOCKET,
		 "[Socket]\nListenStream=/"
		 "0123456789012345678901234567890123456789012345678901234567"
		 "8901234567890123456789012345678901234567890123456789\n",
		 2, "PORT"},
		{"TCP packets", UNIT_SOCKET, "[Socket]\nListenSequentialPacket=80\n", 2, "UNIX"},
		{"twice", UNIT_SOCKET, "[Socket]\nListenStream=80\nListenStream=80\n", 3, "twice"},
		{"nothing to listen on", UNIT_SOCKET, "[Socket]\n", 0, "ListenStream"},
		{"bad specifier", UNIT_SOCKET, "[Socket]\nListenStream=/run/%r\n", 2, "%r"},
		{"specifier cut", UNIT_SOCKET, "[Socket]\nListenStream=/run/x%\n", 2, "specifier"},
		{"oneshot", UNIT_SERVICE, "[Service]\nType=oneshot\n", 2, "Type=oneshot"},
		{"odd type", UNIT_SERVICE, "[Service]\nType=magic\n", 2, "unknown value"},
		{"no command", UNIT_SERVICE, "[Service]\nUser=a\n", 0, "ExecStart"},
		{"relative command", UNIT_SERVICE, "[Service]\nExecStart=./srv\n", 2, "absolute"},
		{"privileged command", UNIT_SERVICE, "[Service]\nExecStart=+/x\n", 2, "rights"},
		{"two commands", UNIT_SERVICE, "[Service]\nExecStart=/x\nExecStart=/y\n", 3,
		 "twice"},
		{"two in a line", UNIT_SERVICE, "[Service]\nExecStart=/x ; /y\n", 2, "several"},
		{"open quote", UNIT_SERVICE, "[Service]\nExecStart=/x 'a\n", 2, "quotes"},
		{"odd escape", UNIT_SERVICE, "[Service]\nExecStart=/x a\\q\n", 2, "escape"},
		{"line of a continuation", UNIT_SERVICE, "[Service]\nUser=a\\\nb\\\nc\nNoSuch=1\n",
		 2, "User"},
		{"less isolation", UNIT_SERVICE, "[Service]\nNoNewPrivileges=no\n", 2,
		 "switched off"},
		{"more isolation than there is", UNIT_SERVICE, "[Service]\nRemainAfterExit=yes\n",
		 2, "not supported"},
		{"users of its own", UNIT_SERVICE, "[Service]\nPrivateUsers=full\n", 2,
		 "PrivateUsers"},
		{"not a bool", UNIT_SERVICE, "[Service]\nPrivateTmp=maybe\n", 2, "neither"},
		{"not a size", UNIT_SERVICE, "[Service]\nMemoryMax=12X\n", 2, "size"},
		{"size overflow", UNIT_SERVICE, "[Service]\nMemoryMax=99999999999E\n", 2, "size"},
		{"bad environment", UNIT_SERVICE, "[Service]\nEnvironment=1A=b\n", 2, "NAME=VALUE"},
		{"bad user", UNIT_SERVICE, "[Service]\nUser=a b\n", 2, "name of a user"},
		{"needs another unit", UNIT_SERVICE, "[Unit]\nRequires=postgresql.service\n", 2,
		 "other units"},
		{"socket of another", UNIT_SERVICE, "[Service]\nSockets=nosuch.socket\n", 2,
		 "nosuch.socket"},
		{"not a limit", UNIT_SERVICE, "[Service]\nLimitNOFILE=4:2\n", 2, "SOFT:HARD"},
		{"nice beyond", UNIT_SERVICE, "[Service]\nNice=20\n", 2, "-20 to 19"},
		{"not a capability", UNIT_SERVICE, "[Service]\nCapabilityBoundingSet=CAP_FLY\n", 2,
		 "CAP_FLY"},
		{"directory with a way out", UNIT_SERVICE, "[Service]\nStateDirectory=a/../b\n", 2,
		 "relative"},
		{"absolute directory", UNIT_SERVICE, "[Service]\nRuntimeDirectory=/run/x\n", 2,
		 "relative"},
		{"links to nothing", UNIT_SOCKET, "[Socket]\nListenStream=80\nSymlinks=/run/x\n", 0,
		 "Symlinks"},
		{"condition of a kind of machine", UNIT_SERVICE,
		 "[Unit]\nConditionVirtualization=docker\n", 2, "container"},
		{"device", UNIT_SERVICE, "[Service]\nDeviceAllow=/dev/kvm rw\n", 2, "/dev/kvm"},
		{"not a status", UNIT_SERVICE, "[Service]\nSuccessExitStatus=256\n", 2, "256"},
		{"bad errno", UNIT_SERVICE, "[Service]\nSystemCallErrorNumber=EFUN\n", 2,
		 "unknown"},
		{"quota 0", UNIT_SERVICE, "[Service]\nCPUQuota=0%\n", 2, "percentage"},
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct unit_why why;
		int r = parse(u, cases[i].kind, cases[i].text, &why);

		if (r != UNIT_REFUSED || why.line != cases[i].line ||
		    !strstr(why.text, cases[i].says))
			fail_msg("%s: result %d, line %u: %s", cases[i].name, r, why.line,
				 why.text);
	}
}

/* Pairs as packages of Debian 12 ship them, comments left out: what is taken as it is, and the line that
 * keeps the others from being half obeyed. */
static void test_unitfile_packages_are_taken_or_refused(void **state)
{
	static const struct {
		const char *name;
		enum unit_kind kind;
		const char *text;
		unsigned line;
		const char *says;
	} cases[] = {
		{"cups.socket", UNIT_SOCKET,
		 "[Unit]\nDescription=CUPS Scheduler\nPartOf=cups.service\n\n[Socket]\n"
		 "ListenStream=/run/cups/cups.sock\n\n[Install]\nWantedBy=sockets.target\n",
		 0, NULL},
		{"cups.service", UNIT_SERVICE,
		 "[Unit]\nDescription=CUPS Scheduler\nDocumentation=man:cupsd(8)\n"
		 "After=network.target nss-user-lookup.target "
		 "nslcd.service\nRequires=cups.socket\n\n"
		 "[Service]\nExecStart=/usr/sbin/cupsd -l\nType=notify\nRestart=on-failure\n\n\n"
		 "[Install]\nAlso=cups.socket cups.path\nWantedBy=printer.target\n",
		 0, NULL},
		{"pcscd.service", UNIT_SERVICE,
		 "[Unit]\nDescription=PC/SC Smart Card Daemon\nRequires=pcscd.socket\n"
		 "Documentation=man:pcscd(8)\n\n[Service]\n"
		 "ExecStart=/usr/sbin/pcscd --foreground --auto-exit $PCSCD_ARGS\n"
		 "ExecReload=/usr/sbin/pcscd --hotplug\nEnvironmentFile=-/etc/default/pcscd\n\n"
		 "[Install]\nAlso=pcscd.socket\n",
		 0, NULL},
		{"rpcbind.socket", UNIT_SOCKET,
		 "[Unit]\nDescription=RPCbind Server Activation Socket\nDefaultDependencies=no\n"
		 "RequiresMountsFor=/run/rpcbind\n\n[Socket]\nListenStream=/run/rpcbind.sock\n",
		 0, NULL},
		{"virtlockd.service", UNIT_SERVICE,
		 "[Unit]\nRequires=virtlockd.socket\nBefore=libvirtd.service\n\n[Service]\n"
		 "EnvironmentFile=-/etc/default/virtlockd\nExecStart=/usr/sbin/virtlockd $ARGS\n"
		 "ExecReload=/bin/kill -USR1 $MAINPID\nOOMScoreAdjust=-900\nLimitNOFILE=16384\n",
		 0, NULL},
		{"clamav-daemon.service", UNIT_SERVICE,
		 "[Unit]\nConditionPathExistsGlob=/var/lib/clamav/main.{c[vl]d,inc}\n"
		 "Requires=%N.socket\n\n[Service]\nExecStart=/usr/sbin/clamd --foreground=true\n"
		 "StandardOutput=syslog\nTimeoutStartSec=420\nPrivateDevices=yes\n",
		 0, NULL},
		{"mpd.service", UNIT_SERVICE,
		 "[Service]\nType=notify\nExecStart=/usr/bin/mpd --systemd $MPDCONF\n"
		 "LimitRTPRIO=40\nLimitRTTIME=infinity\nLimitMEMLOCK=64M\nProtectSystem=yes\n"
		 "RestrictNamespaces=yes\n",
		 0, NULL},
		{"podman.service", UNIT_SERVICE,
		 "[Unit]\nRequires=podman.socket\nAfter=podman.socket\nStartLimitIntervalSec=0\n\n"
		 "[Service]\nDelegate=true\nType=exec\nKillMode=process\n"
		 "ExecStart=/usr/bin/podman $LOGGING system service\n",
		 7, "Delegate"},
		{"tangd.socket", UNIT_SOCKET,
		 "[Unit]\nDescription=Tang Server "
		 "socket\n\n[Socket]\nListenStream=80\nAccept=true\n",
		 6, "Accept=true"},
		{"lxd.service", UNIT_SERVICE,
		 "[Unit]\nAfter=network-online.target lxcfs.service lxd.socket\n"
		 "Requires=network-online.target lxcfs.service lxd.socket\n",
		 3, "lxcfs.service"},
		{"docker.service", UNIT_SERVICE,
		 "[Unit]\nAfter=network-online.target docker.socket firewalld.service\n"
		 "Wants=network-online.target containerd.service\nRequires=docker.socket\n\n"
		 "[Service]\nType=notify\nExecStart=/usr/sbin/dockerd -H fd://\n"
		 "LimitNOFILE=infinity\nTasksMax=infinity\nDelegate=yes\nKillMode=process\n",
		 11, "Delegate"},
		{"dovecot.service", UNIT_SERVICE,
		 "[Unit]\nAfter=local-fs.target network-online.target\n\n[Service]\nType=notify\n"
		 "ExecStart=/usr/sbin/dovecot -F\nExecReload=/usr/bin/doveadm reload\n"
		 "ExecStop=/usr/bin/doveadm stop\nPrivateTmp=true\nNonBlocking=yes\n"
		 "ProtectSystem=full\nCapabilityBoundingSet=CAP_CHOWN CAP_KILL\n",
		 0, NULL},
		{"ssh.socket", UNIT_SOCKET,
		 "[Unit]\nBefore=sockets.target\nConditionPathExists=!/etc/ssh/"
		 "sshd_not_to_be_run\n\n"
		 "[Socket]\nListenStream=22\nAccept=no\n",
		 0, NULL},
		{"ssh.service", UNIT_SERVICE,
		 "[Service]\nEnvironmentFile=-/etc/default/ssh\nExecStartPre=/usr/sbin/sshd -t\n"
		 "ExecStart=/usr/sbin/sshd -D $SSHD_OPTS\nKillMode=process\n",
		 0, NULL},
		{"redis-server.service", UNIT_SERVICE,
		 "[Service]\nType=notify\nExecStart=/usr/bin/redis-server /etc/redis/redis.conf "
		 "--supervised systemd --daemonize no\nUser=redis\nUMask=007\nNoExecPaths=/\n"
		 "ExecPaths=/usr/bin/redis-server /usr/lib /lib\nCapabilityBoundingSet=\n",
		 0, NULL},
		{"mariadb.service", UNIT_SERVICE,
		 "[Service]\nExecStart=/usr/sbin/mariadbd\nPrivateNetwork=false\n"
		 "CapabilityBoundingSet=CAP_IPC_LOCK CAP_DAC_OVERRIDE\n"
		 "AmbientCapabilities=CAP_IPC_LOCK\n",
		 5, "CAP_IPC_LOCK"},
		{"uuidd.service", UNIT_SERVICE,
		 "[Service]\nExecStart=/usr/sbin/uuidd --socket-activation\nUser=uuidd\n"
		 "ProtectSystem=strict\nPrivateUsers=yes\nMemoryDenyWriteExecute=yes\n"
		 "SystemCallFilter=@default @file-system\nLockPersonality=yes\n",
		 0, NULL},
		{"systemd-networkd.service", UNIT_SERVICE,
		 "[Service]\nExecStart=!!/lib/systemd/systemd-networkd\nWatchdogSec=3min\n"
		 "AmbientCapabilities=CAP_NET_ADMIN\n",
		 4, "AmbientCapabilities"},
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		struct unit_why why = {0};
		int r = unit_parse(u, cases[i].kind, cases[i].name, &host, text, strlen(text),
				   &why);

		if (r != (cases[i].says ? UNIT_REFUSED : 0) || why.line != cases[i].line ||
		    (cases[i].says && !strstr(why.text, cases[i].says)))
			fail_msg("%s: result %d, line %u: %s", cases[i].name, r, why.line,
				 why.text);
	}
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
		if (unit_parse(u, UNIT_SERVICE, cases[i].unit, &host, text, strlen(text), &why))
			fail_msg("%s: %s", cases[i].text, why.text);
		assert_string_equal(u->description, cases[i].want);
	}
}

static void test_unitfile_what_has_no_effect_is_noted(void **state)
{
	static const char text[] =
		"[Unit]\nWants=network.target other.socket containerd.service\n"
		"Conflicts=shutdown.target\nStartLimitBurst=3\n"
		"StartLimitIntervalSec=0\n[Service]\nExecStart=/x\nSlice=a.slice\n";
	static const struct {
		unsigned line;
		const char *says;
	} want[] = {{2, "containerd.service"}, {4, "never given up"}, {8, "a.slice"}};
	_cleanup_(unit_freep) struct unit *u = unit_new();
	struct unit_why why;

	(void)state;
	assert_int_equal(parse(u, UNIT_SERVICE, text, &why), 0);
	assert_int_equal(u->note_n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(u->notes[i].line, want[i].line);
		assert_non_null(strstr(u->notes[i].text, want[i].says));
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
	assert_int_equal(parse(u, UNIT_SERVICE, text, &why), 0);
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
	assert_int_equal(parse(u, UNIT_SERVICE,
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
	return unit_add(u, &host, text, strlen(text), why);
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
		assert_int_equal(parse(u, UNIT_SERVICE, text, &why), 0);
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

/* The largest and smallest values that are taken; one beyond each is refused. */
static void test_unitfile_bounds(void **state)
{
	static const struct {
		enum unit_kind kind;
		const char *key, *ok, *bad;
	} cases[] = {
		{UNIT_SERVICE, "IOWeight", "1", "0"},
		{UNIT_SERVICE, "IOWeight", "10000", "10001"},
		{UNIT_SERVICE, "OOMScoreAdjust", "-1000", "-1001"},
		{UNIT_SERVICE, "OOMScoreAdjust", "1000", "1001"},
		{UNIT_SERVICE, "Nice", "-20", "-21"},
		{UNIT_SERVICE, "Nice", "19", "20"},
		{UNIT_SERVICE, "UMask", "0777", "1000"},
		{UNIT_SERVICE, "UMask", "00000777", "000000777"},
		{UNIT_SERVICE, "RuntimeDirectoryMode", "7777", "10000"},
		{UNIT_SERVICE, "RuntimeDirectoryMode", "0", "8"},
		{UNIT_SERVICE, "LimitNOFILE", "2:2", "3:2"},
		{UNIT_SOCKET, "ListenStream", "1", "0"},
		{UNIT_SOCKET, "ListenStream", "65535", "65536"},
		{UNIT_SOCKET, "ListenSequentialPacket", "/a", "80"},
		{UNIT_SOCKET, "FileDescriptorName", "!~", "a b"},
		{UNIT_SOCKET, "FileDescriptorName", "a", "a:b"},
		{UNIT_SOCKET, "FileDescriptorName", "a", "\x7f"},
		{UNIT_SOCKET, "FileDescriptorName", "%i", "%Z"},
		{UNIT_SOCKET, "Service", "a.service", ".service"},
		{UNIT_SOCKET, "Service", "a.service", "a.socket"},
		{UNIT_SOCKET, "Service", "%i.service", "%Z.service"},
		{UNIT_SOCKET, "Service", "a.service", "a/b.service"},
		{UNIT_SERVICE, "Type", "notify", "notified"},
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const bool service = cases[i].kind == UNIT_SERVICE;

		for (int bad = 0; bad < 2; bad++) {
			const char *value = bad ? cases[i].bad : cases[i].ok;
			struct unit_why why;
			char text[200];

			(void)snprintf(text, sizeof(text), "%s\n%s=%s\n",
				       service ? "[Service]\nExecStart=/x"
					       : "[Socket]\nListenStream=/sock",
				       cases[i].key, value);
			if (parse(u, cases[i].kind, text, &why) != (bad ? UNIT_REFUSED : 0) ||
			    (bad && (why.line != 3 || !*why.text)))
				fail_msg("%s=%s: line %u: %s", cases[i].key, value, why.line,
					 why.text);
		}
	}
}

/* So many, and not one more. */
static void test_unitfile_lists_have_an_end(void **state)
{
	static const struct {
		enum unit_kind kind;
		const char *line;
		int max;
	} cases[] = {
		{UNIT_SOCKET, "ListenStream=%d\n", UNIT_LISTEN_MAX},
		{UNIT_SERVICE, "[Unit]\nConditionPathExists=/%d\n", UNIT_CONDITION_MAX},
		{UNIT_SERVICE, "Environment=A=%d\n", UNIT_ENV_MAX},
		{UNIT_SERVICE, "ExecStartPre=/bin/%d\n", UNIT_EXEC_MAX},
		{UNIT_SERVICE, "ReadWritePaths=/%d\n", UNIT_PATH_MAX},
		{UNIT_SERVICE, "RuntimeDirectory=a%d\n", UNIT_DIRS_MAX},
	};
	static char text[8192];
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int over = 0; over < 2; over++) {
			struct unit_why why;
			size_t n = (size_t)snprintf(text, sizeof(text), "%s",
						    cases[i].kind == UNIT_SERVICE
							    ? "[Service]\nExecStart=/x\n"
							    : "[Socket]\n");

			for (int k = 1; k <= cases[i].max + over; k++) {
				/* The format is the table's own. */
				const char *at = strchr(cases[i].line, '%');

				n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s%d\n",
						      (int)(at - cases[i].line), cases[i].line, k);
			}
			assert_true(n < sizeof(text));
			if (parse(u, cases[i].kind, text, &why) != (over ? UNIT_REFUSED : 0) ||
			    (over && !strstr(why.text, "more than")))
				fail_msg("%s%d more: %s", cases[i].line, over, why.text);
		}
}

/* An empty Listen...= forgets those before it, of whichever kind. */
static void test_unitfile_empty_listen_forgets_all(void **state)
{
	_cleanup_(unit_freep) struct unit *u = unit_new();
	struct unit_why why;

	(void)state;
	assert_int_equal(parse(u, UNIT_SOCKET,
			       "[Socket]\nListenStream=80\nListenDatagram=81\nListenStream=\n"
			       "ListenStream=/a\n",
			       &why),
			 0);
	assert_int_equal(u->socket.listen_n, 1);
	assert_int_equal(u->socket.listens[0].family, UNIT_UNIX);
	assert_int_equal(
		parse(u, UNIT_SOCKET, "[Socket]\nListenStream=80\nListenStream=80\n", &why),
		UNIT_REFUSED);
	assert_non_null(strstr(why.text, "twice"));
	assert_int_equal(parse(u, UNIT_SOCKET, "[Socket]\nListenStream=80\nListenStream=\n", &why),
			 UNIT_REFUSED);
	/* A unit that was refused leaves nothing to the next one. */
	assert_int_equal(parse(u, UNIT_SOCKET, "[Socket]\nListenDatagram=9\n", &why), 0);
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
	assert_int_equal(parse(u, UNIT_SERVICE, text, &why), 0);
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
		if (parse(u, UNIT_SERVICE, one, &why) != (ok ? 0 : UNIT_REFUSED) ||
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
		if (parse(u, UNIT_SERVICE, text, &why) != (cases[i].ok ? 0 : UNIT_REFUSED))
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
		cmocka_unit_test(test_unitfile_refuses_with_line_and_reason),
		cmocka_unit_test(test_unitfile_packages_are_taken_or_refused),
		cmocka_unit_test(test_unitfile_specifiers_are_unescaped_as_in_systemd),
		cmocka_unit_test(test_unitfile_what_has_no_effect_is_noted),
		cmocka_unit_test(test_unitfile_filters_and_sets_add_up),
		cmocka_unit_test(test_unitfile_empty_value_resets),
		cmocka_unit_test(test_unitfile_drop_ins_add_and_reset),
		cmocka_unit_test(test_unitfile_variables_expand_as_in_systemd),
		cmocka_unit_test(test_unitfile_bounds),
		cmocka_unit_test(test_unitfile_lists_have_an_end),
		cmocka_unit_test(test_unitfile_empty_listen_forgets_all),
		cmocka_unit_test(test_unitfile_reads_conditions),
		cmocka_unit_test(test_unitfile_proxy_speaks_for_the_service),
	};

	return cmocka_run_group_tests_name("unitfile", tests, NULL, NULL);
}
