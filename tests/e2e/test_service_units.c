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
#include <unistd.h>

/* "@" in directives and script is the directory of the test; User=nobody unless another is named. */
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
	{"drop_in", "Environment=A=1 B=1\n", "echo $A $B $C", "1 2 3"},
	{"specifiers", "Environment=N=%n P=%p\n", "echo $N $P", "specifiers.service specifiers"},
};

static void expand(const char *text, char *ret, size_t n)
{
	size_t at = 0;

	for (; *text && at + 1 < n; text++)
		if (*text == '@')
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

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
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
	char sock[256], more[512], text[1536], run[512], file[160], helper[160];

	expand(script, run, sizeof(run));
	seen_path(helper, sizeof(helper), "svc_echo", "");
	(void)snprintf(text, sizeof(text), "%s\nexec >/dev/null 2>&1\nexec %s\n", run, helper);
	seen_path(file, sizeof(file), name, ".sh");
	put(file, text);
	expand(directives, more, sizeof(more));
	(void)snprintf(text, sizeof(text),
		       "ExecStart=/bin/sh %s\n%s%sStandardOutput=append:%s/%s.out\n", file,
		       strstr(more, "User=root") ? "" : "User=nobody\n", more, host.dir, name);
	(void)snprintf(sock, sizeof(sock), "ListenStream=%s/%s.sock\n%s", host.dir, name, socket);
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
	put(path, "hidden\n");
	n = readlink("/proc/self/ns/net", net, sizeof(net) - 2);
	assert_true(n > 0);
	memcpy(net + n, "\n", 2);
	file_path(path, sizeof(path), "net", "");
	put(path, net);
	file_path(path, sizeof(path), "env", "");
	put(path, "# a comment\nC=\"from file\"\n");
}

static int setup(void **state)
{
	char path[160], command[640];

	(void)state;
	service_host_setup(&host);
	host.run_max = host.pool_max = ARRAY_SIZE(lines) + 4;
	make_tree();
	(void)snprintf(path, sizeof(path), "/tmp/%stmp", host.group);
	put(path, "tmp\n");
	seen_path(path, sizeof(path), "", "");
	(void)snprintf(command, sizeof(command), "mkdir -m 755 %s && install -m 755 %s %s", path,
		       host.helper, path);
	return system(command);
}

static int teardown(void **state)
{
	char path[160], command[256];

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/%stmp", host.group);
	(void)unlink(path);
	seen_path(path, sizeof(path), "", "");
	(void)snprintf(command, sizeof(command), "rm -r %s", path);
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
	put(path, text);
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
		cmocka_unit_test_setup_teardown(test_service_units_limits_are_set, setup, teardown),
	};

	return cmocka_run_group_tests_name("service-units", tests, NULL, NULL);
}
