// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Unit files: what is refused and on which line, what is only noted, how much there may be of it. */
#include "support/support.h"

#include "support/unit_host.h"

#include <string.h>

struct refusal {
	const char *name;
	enum unit_kind kind;
	const char *text;
	unsigned line;
	const char *says; /* is in the reason */
};

/* What is not honoured is refused, with the line it is on. */
static void test_unitrefuse_tells_line_and_reason(void **state)
{
	static const struct refusal cases[] = {
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
		{"idle weight", UNIT_SERVICE, "[Service]\nCPUWeight=idle\n", 2,
		 "the other services here"},
		{"quota 0", UNIT_SERVICE, "[Service]\nCPUQuota=0%\n", 2, "percentage"},
	};
	_cleanup_(unit_freep) struct unit *u = unit_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct unit_why why;
		int r = unit_host_parse(u, cases[i].kind, cases[i].text, &why);

		if (r != UNIT_REFUSED || why.line != cases[i].line ||
		    !strstr(why.text, cases[i].says))
			fail_msg("%s: result %d, line %u: %s", cases[i].name, r, why.line,
				 why.text);
	}
}

/* Pairs as packages of Debian 12 ship them, comments left out: what is taken as it is, and the line that
 * keeps the others from being half obeyed. */
static void test_unitrefuse_takes_packages_or_tells_why(void **state)
{
	static const struct refusal cases[] = {
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
		int r = unit_parse(u, cases[i].kind, cases[i].name, &unit_host_here, text,
				   strlen(text), &why);

		if (r != (cases[i].says ? UNIT_REFUSED : 0) || why.line != cases[i].line ||
		    (cases[i].says && !strstr(why.text, cases[i].says)))
			fail_msg("%s: result %d, line %u: %s", cases[i].name, r, why.line,
				 why.text);
	}
}

static void test_unitrefuse_what_has_no_effect_is_noted(void **state)
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
	assert_int_equal(unit_host_parse(u, UNIT_SERVICE, text, &why), 0);
	assert_int_equal(u->note_n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(u->notes[i].line, want[i].line);
		assert_non_null(strstr(u->notes[i].text, want[i].says));
	}
}

/* The largest and smallest values that are taken; one beyond each is refused. */
static void test_unitrefuse_bounds(void **state)
{
	static const struct {
		enum unit_kind kind;
		const char *key, *ok, *bad;
	} cases[] = {
		{UNIT_SERVICE, "CPUWeight", "1", "0"},
		{UNIT_SERVICE, "CPUWeight", "10000", "10001"},
		{UNIT_SERVICE, "CPUWeight", "100", "100%"},
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
			if (unit_host_parse(u, cases[i].kind, text, &why) !=
				    (bad ? UNIT_REFUSED : 0) ||
			    (bad && (why.line != 3 || !*why.text)))
				fail_msg("%s=%s: line %u: %s", cases[i].key, value, why.line,
					 why.text);
		}
	}
}

/* So many, and not one more. */
static void test_unitrefuse_lists_have_an_end(void **state)
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
			if (unit_host_parse(u, cases[i].kind, text, &why) !=
				    (over ? UNIT_REFUSED : 0) ||
			    (over && !strstr(why.text, "more than")))
				fail_msg("%s%d more: %s", cases[i].line, over, why.text);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unitrefuse_tells_line_and_reason),
		cmocka_unit_test(test_unitrefuse_takes_packages_or_tells_why),
		cmocka_unit_test(test_unitrefuse_what_has_no_effect_is_noted),
		cmocka_unit_test(test_unitrefuse_bounds),
		cmocka_unit_test(test_unitrefuse_lists_have_an_end),
	};

	return cmocka_run_group_tests_name("unitrefuse", tests, NULL, NULL);
}
