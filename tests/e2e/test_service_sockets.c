// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_service_sockets.c - the sockets of a service are as their files say, and all of them are its own. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/service_unit.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_service_sockets_are_as_they_say(void **state)
{
	char path[160];
	struct stat st;

	(void)state;
	service_unit_write("sock",
			   "SocketMode=0640\nSocketUser=nobody\nSocketGroup=daemon\n"
			   "FileDescriptorName=web\n",
			   "", "echo $LISTEN_FDNAMES");
	assert_int_equal(service_host_start(&host), 0);
	service_unit_path(path, sizeof(path), "sock", ".sock");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 1);
	service_unit_ask("sock");
	service_unit_read("sock", ".out", path, sizeof(path));
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
	service_unit_path(path, sizeof(path), "options.py", "");
	scratch_write(path, show_options);
	service_unit_write(name, text, "", "python3 @/options.py");
}

/* What the service finds set at its sockets. */
static void test_service_sockets_have_their_options(void **state)
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
	service_unit_ask("options");
	service_unit_read("options", ".out", got, sizeof(got));
	assert_string_equal(got,
			    "unix 1 1 3\ntcp 3 1 77 7 4 1 1 True reno\nip 33 16 1 131072 65536\n"
			    "backlog 17\nudp 1 1 1 3\nv6 1 33 ::1");
	/* And without: nothing of it comes by itself. */
	service_unit_ask("plain");
	service_unit_read("plain", ".out", got, sizeof(got));
	assert_non_null(strstr(got, "unix 0 0 0\ntcp 0 0 7200 75 9 0 0 False "));
	assert_non_null(strstr(got, "\nudp 0 0 0 0\nv6 "));
}

/* An address nobody has here: only FreeBind= may listen there. */
static void test_service_sockets_free_bind_needs_no_address(void **state)
{
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof(text), "ListenStream=192.0.2.77:%d\n",
		       26000 + (int)getpid() % 6000);
	service_unit_write("bound", text, "", "");
	(void)strncat(text, "FreeBind=yes\n", sizeof(text) - strlen(text) - 1);
	service_unit_write("free", text, "", "");
	assert_int_equal(service_host_start(&host), 1);
	service_unit_ask("free");
}

/* A name that somebody else has is left to him and said; the socket is there, and the other names. */
static void test_service_sockets_links_that_cannot_be_are_said(void **state)
{
	char path[160], text[512], line[256], got[64];
	struct unit_addr a;
	FILE *f;
	int err;

	(void)state;
	service_unit_path(path, sizeof(path), "taken", "");
	scratch_write(path, "somebody's\n");
	(void)snprintf(text, sizeof(text), "Symlinks=%s %s/taken/below %s/deep/er/link\n", path,
		       host.dir, host.dir);
	service_unit_write("linked", text, "", "");
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
	service_unit_path(path, sizeof(path), "deep/er/link", "");
	a = service_addr(path);
	assert_true(service_ask(&a, "again\n", got, sizeof(got), NULL));
	service_unit_read("taken", "", got, sizeof(got));
	assert_string_equal(got, "somebody's");
}

/* All sockets of a service come to it, in the order of their files' names. */
static void test_service_sockets_one_service_has_all_its_sockets(void **state)
{
	char path[160], text[512], got[64], link[160];
	struct unit_addr a;

	(void)state;
	service_unit_path(link, sizeof(link), "link", "");
	(void)snprintf(text, sizeof(text), "Symlinks=%s\n", link);
	service_unit_write("several", text, "Sockets=several.socket several-more.socket\n",
			   "echo $LISTEN_FDS $LISTEN_FDNAMES");
	service_unit_path(path, sizeof(path), "several-more", ".socket");
	(void)snprintf(text, sizeof(text),
		       "[Socket]\nService=several.service\nFileDescriptorName=more\n"
		       "ListenStream=%s/more.sock\n",
		       host.dir);
	scratch_write(path, text);
	/* Nobody leads to this one: said, not refused. */
	service_unit_path(path, sizeof(path), "lonely", ".service");
	scratch_write(path, "[Service]\nExecStart=/bin/true\n");
	assert_int_equal(service_host_start(&host), 0);
	service_unit_path(path, sizeof(path), "more", ".sock");
	a = service_addr(path);
	assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
	a = service_addr(link);
	assert_true(service_ask(&a, "again\n", got, sizeof(got), NULL));
	assert_int_equal(service_host_boxes(&host), 1);
	service_unit_read("several", ".out", got, sizeof(got));
	assert_string_equal(got, "2 more:several.socket");
}

/* NAME@INSTANCE has its text in NAME@, and a template alone is nothing. */
static void test_service_sockets_instances_are_of_a_template(void **state)
{
	char path[160], to[160], got[64];

	(void)state;
	service_unit_write("of@", "", "Environment=I=%i \"J=%I\"\n", "echo $I $J");
	service_unit_path(path, sizeof(path), "of@a-b", ".socket");
	service_unit_path(to, sizeof(to), "of@", ".socket");
	scratch_write(to, "[Socket]\nListenStream=%Y/%i.sock\n");
	assert_int_equal(symlink("of@.socket", path), 0);
	assert_int_equal(service_host_start(&host), 0);
	service_unit_ask("a-b");
	service_unit_read("of@", ".out", got, sizeof(got));
	assert_string_equal(got, "a-b a/b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_service_sockets_are_as_they_say,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_sockets_have_their_options,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_sockets_free_bind_needs_no_address,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_sockets_links_that_cannot_be_are_said,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(
			test_service_sockets_one_service_has_all_its_sockets, service_unit_before,
			service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_sockets_instances_are_of_a_template,
						service_unit_before, service_unit_after),
	};

	return cmocka_run_group_tests_name("service-sockets", tests, NULL, NULL);
}
