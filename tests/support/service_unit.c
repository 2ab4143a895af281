// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "base/cleanup.h"
#include "support/service_unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

void service_unit_path(char *ret, size_t n, const char *name, const char *end)
{
	assert_true(snprintf(ret, n, "%s/%s%s", host.dir, name, end) < (int)n);
}

/* No directive hides this place, wherever the build and the directory of the test are. */
static void seen_path(char *ret, size_t n, const char *name, const char *end)
{
	assert_true(snprintf(ret, n, "/var/lib/%s/%s%s", host.group, name, end) < (int)n);
}

void service_unit_read(const char *name, const char *end, char *ret, size_t n)
{
	char path[160];
	_cleanup_(closep) int fd = -1;
	ssize_t got;

	service_unit_path(path, sizeof(path), name, end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, ret, n - 1);
	ret[got < 0 ? 0 : got] = '\0';
	while (got > 0 && ret[got - 1] == '\n')
		ret[--got] = '\0';
}

void service_unit_write(const char *name, const char *socket, const char *directives,
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

void service_unit_ask(const char *name)
{
	char path[160], got[64];
	struct unit_addr a;

	service_unit_path(path, sizeof(path), name, ".sock");
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
		service_unit_path(path, sizeof(path), "", dirs[i] + 1);
		assert_int_equal(mkdir(path, 0777), 0);
		assert_int_equal(chmod(path, 0777), 0);
	}
	service_unit_path(path, sizeof(path), "hidden/f", "");
	scratch_write(path, "hidden\n");
	n = readlink("/proc/self/ns/net", net, sizeof(net) - 2);
	assert_true(n > 0);
	memcpy(net + n, "\n", 2);
	service_unit_path(path, sizeof(path), "net", "");
	scratch_write(path, net);
	service_unit_path(path, sizeof(path), "env", "");
	scratch_write(path, "# a comment\nC=\"from file\"\n");
}

int service_unit_before(void **state)
{
	char path[160], command[640];

	(void)state;
	service_host_setup(&host);
	make_tree();
	(void)snprintf(path, sizeof(path), "/tmp/%stmp", host.group);
	scratch_write(path, "tmp\n");
	seen_path(path, sizeof(path), "", "");
	(void)snprintf(command, sizeof(command), "mkdir -m 755 %s && install -m 755 %s %s", path,
		       host.helper, path);
	return system(command);
}

int service_unit_after(void **state)
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
