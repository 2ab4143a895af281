// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The control socket: the protocol, hostile requests, slow and vanishing clients, descriptors. */
#include "support/support.h"
#include "support/scratch.h"

#include "api/client.h"
#include "api/socket.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define S 1000000000ull

struct fixture {
	char dir[SCRATCH_DIR_MAX], path[96];
	struct api *api;
	struct api_call *later;
	unsigned gone_n, calls_n;
	uint64_t now_ns;
};

static void on_gone(struct api_call *call)
{
	struct fixture *f = call->state;

	f->gone_n++;
	f->later = NULL;
}

static int on_answer(void *ctx, struct api_call *call)
{
	struct fixture *f = ctx;
	int r = 0;

	f->calls_n++;
	if (strcmp(call->cmd, "echo") == 0)
		return api_put(call, json_pack("{s:s, s:O, s:i}", "type", "echo", "args",
					       call->args, "uid", (int)call->uid));
	if (strcmp(call->cmd, "many") == 0) {
		int n = (int)json_integer_value(json_object_get(call->args, "n"));

		for (int i = 0; i < 100 && (int)call->it[0] < n && r >= 0; i++)
			r = api_put(call, json_pack("{s:s, s:i}", "type", "row", "i",
						    (int)call->it[0]++));
		return r < 0 ? r : (int)call->it[0] < n ? API_MORE : 0;
	}
	if (strcmp(call->cmd, "huge") == 0) {
		for (int i = 0; i < 1 << 20 && r >= 0; i++)
			r = api_put(call, json_pack("{s:s}", "type", "a row of a certain length"));
		return r;
	}
	if (strcmp(call->cmd, "later") == 0) {
		call->state = f;
		call->gone = on_gone;
		f->later = call;
		return API_LATER;
	}
	if (strcmp(call->cmd, "fd") == 0) {
		_cleanup_(closep) int fd = api_take_fd(call, 0);

		if (fd < 0)
			return fd;
		return write(fd, "hello", 5) == 5 ? 0 : -EIO;
	}
	if (strcmp(call->cmd, "fault") == 0)
		return -EIO;
	return api_fail(call, FWM_STATUS_USAGE, "unknown command '%s'", call->cmd);
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(api_dispatch(f->api, f->now_ns), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(scratch_make_on_disk(f->dir, "api"), 0);
	snprintf(f->path, sizeof(f->path), "%s/run/control.sock", f->dir);
	f->now_ns = 100 * S;
	*state = f;
	return api_open(&(struct api_options){f->path, "no-such-group-here", on_answer, f},
			&f->api);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char run[96];

	f->api = api_close(f->api);
	assert_int_equal(access(f->path, F_OK), -1);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	rmdir(run);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static int raw(struct fixture *f)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, f->path, strlen(f->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	turn(f);
	return fd;
}

/* Sends, lets the server run, and returns what came; *ret_closed when it hung up. */
static const char *talk(struct fixture *f, int fd, const char *text, size_t n, bool *ret_closed)
{
	static char answer[70000];
	size_t used = 0, sent = 0;
	ssize_t got = -1;

	for (int i = 0; i < 50; i++) {
		if (sent < n) {
			ssize_t r = send(fd, text + sent, n - sent, MSG_NOSIGNAL);

			sent += r > 0 ? (size_t)r : 0;
		}
		turn(f);
		got = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);
		used += got > 0 ? (size_t)got : 0;
	}
	answer[used] = '\0';
	*ret_closed = got == 0;
	return answer;
}

static void test_api_answers_over_and_over(void **state)
{
	struct fixture *f = *state;
	struct client *c = NULL;

	assert_int_equal(client_open(f->path, 1000, &c), 0);
	for (int i = 0; i < 3; i++) {
		json_t *o = NULL;

		assert_int_equal(client_ask(c, "echo", json_pack("{s:i}", "x", i), NULL, 0), 0);
		turn(f);
		assert_int_equal(client_next(c, &o), 0);
		assert_int_equal(
			json_integer_value(json_object_get(json_object_get(o, "args"), "x")), i);
		assert_int_equal(json_integer_value(json_object_get(o, "uid")), geteuid());
		json_decref(o);
		assert_int_equal(client_next(c, &o), CLIENT_END);
		assert_string_equal(json_string_value(json_object_get(o, "type")), "end");
		json_decref(o);
	}
	assert_int_equal(api_clients_n(f->api), 1);
	client_close(c);
	turn(f);
	assert_int_equal(api_clients_n(f->api), 0);
}

static void test_api_socket_is_private_and_alone(void **state)
{
	struct fixture *f = *state;
	struct api *second = NULL;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(api_open(&(struct api_options){f->path, NULL, on_answer, f}, &second),
			 -EADDRINUSE);
}

static void test_api_replaces_a_stale_socket(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct api *a = NULL;

	snprintf(path, sizeof(path), "%s/stale.sock", f->dir);
	memcpy(sa.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(api_open(&(struct api_options){path, NULL, on_answer, f}, &a), 0);
	api_close(a);
}

static void test_api_says_what_is_wrong_with_a_request(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"empty line", "\n", "one JSON object"},
		{"not JSON", "deps gcc\n", "one JSON object"},
		{"not an object", "[1,2]\n", "one JSON object"},
		{"cut short", "{\"v\":1,\"cmd\":\"echo\"\n", "one JSON object"},
		{"two objects", "{\"v\":1,\"cmd\":\"echo\"}{}\n", "one JSON object"},
		{"same key twice", "{\"v\":1,\"v\":1,\"cmd\":\"echo\"}\n", "one JSON object"},
		{"no version", "{\"cmd\":\"echo\"}\n", "\\\"v\\\" must be 1"},
		{"newer version", "{\"v\":2,\"cmd\":\"echo\"}\n", "\\\"v\\\" must be 1"},
		{"no command", "{\"v\":1}\n", "\\\"cmd\\\" must be a string"},
		{"command is a number", "{\"v\":1,\"cmd\":7}\n", "\\\"cmd\\\" must be a string"},
		{"args is a list", "{\"v\":1,\"cmd\":\"echo\",\"args\":[]}\n",
		 "\\\"args\\\" must be an object"},
		{"unknown command", "{\"v\":1,\"cmd\":\"x\\u001b[2J\"}\n",
		 "\"unknown command 'x\\u001B[2J'\""},
		{"invalid UTF-8", "{\"v\":1,\"cmd\":\"\xff\xfe\"}\n", "one JSON object"},
		{"a fault", "{\"v\":1,\"cmd\":\"fault\"}\n", "Input/output error"},
		{"a NUL", "{\"v\":1,\"cmd\":\"e\\u0000\"}\n", "one JSON object"},
	};
	struct fixture *f = *state;
	int fd = raw(f);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool closed;
		const char *a = talk(f, fd, cases[i].text, strlen(cases[i].text), &closed);

		if (!strstr(a, cases[i].want) || !strstr(a, "\"type\":\"error\"") || closed)
			fail_msg("%s: closed %d, answer %s", cases[i].name, closed, a);
	}
	close(fd);
}

static void test_api_survives_deep_nesting(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *text = malloc(60002);
	int fd = raw(f);
	bool closed;

	memset(text, '[', 60000);
	text[60000] = '\n';
	assert_non_null(strstr(talk(f, fd, text, 60001, &closed), "one JSON object"));
	close(fd);
}

static void test_api_refuses_an_endless_request(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *text = malloc(200000);
	int fd = raw(f);
	bool closed;
	const char *a;

	memset(text, 'x', 200000);
	a = talk(f, fd, text, 200000, &closed);
	assert_non_null(strstr(a, "at most 65536 bytes"));
	assert_true(closed || api_clients_n(f->api) == 0);
	close(fd);
}

static void test_api_reads_a_request_byte_by_byte(void **state)
{
	static const char text[] = "{\"v\":1,\"cmd\":\"echo\",\"args\":{\"a\":\"b\"}}\n";
	struct fixture *f = *state;
	int fd = raw(f);
	char answer[256] = "";

	for (size_t i = 0; i < strlen(text); i++) {
		assert_int_equal(recv(fd, answer, sizeof(answer), 0), -1);
		assert_int_equal(send(fd, text + i, 1, 0), 1);
		turn(f);
	}
	assert_true(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_non_null(strstr(answer, "{\"a\":\"b\"}"));
	close(fd);
}

static void test_api_answers_pipelined_requests_in_order(void **state)
{
	char text[4096] = "";
	struct fixture *f = *state;
	int fd = raw(f);
	const char *a;
	bool closed;

	for (int i = 0; i < 50; i++)
		snprintf(text + strlen(text), 64,
			 "{\"v\":1,\"cmd\":\"echo\",\"args\":{\"i\":%d}}\n", i);
	a = talk(f, fd, text, strlen(text), &closed);
	for (int i = 0; i < 50; i++) {
		char want[32];

		snprintf(want, sizeof(want), "{\"i\":%d}", i);
		a = strstr(a, want);
		assert_non_null(a);
	}
	close(fd);
}

static void test_api_long_answer_reaches_a_reader_whole(void **state)
{
	struct fixture *f = *state;
	json_t *o = NULL;
	int fd = raw(f), next = 0;
	static char buf[1 << 20];
	size_t used = 0;
	char *line;

	assert_true(send(fd, "{\"v\":1,\"cmd\":\"many\",\"args\":{\"n\":60000}}\n", 41, 0) > 0);
	for (;;) {
		ssize_t got = recv(fd, buf + used, sizeof(buf) - used, 0);

		used += got > 0 ? (size_t)got : 0;
		for (line = buf; memchr(line, '\n', used - (size_t)(line - buf));) {
			char *end = memchr(line, '\n', used - (size_t)(line - buf));

			o = json_loadb(line, (size_t)(end - line), 0, NULL);
			line = end + 1;
			assert_non_null(o);
			if (strcmp(json_string_value(json_object_get(o, "type")), "end") == 0)
				break;
			assert_int_equal(json_integer_value(json_object_get(o, "i")), next++);
			json_decref(o);
			o = NULL;
		}
		if (o)
			break;
		used -= (size_t)(line - buf);
		memmove(buf, line, used);
		assert_int_equal(api_dispatch(f->api, f->now_ns), 0);
	}
	json_decref(o);
	assert_int_equal(next, 60000);
	close(fd);
}

/* Whoever turns the event loop is held up by four steps of a client's answer, not by all of it. */
static void test_api_a_dispatch_is_short(void **state)
{
	static const char ask[] = "{\"v\":1,\"cmd\":\"many\",\"args\":{\"n\":60000}}\n";
	struct fixture *f = *state;
	int fd = raw(f), size = 1 << 20;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	for (int i = 0; i < 50; i++) /* and as many questions at once */
		assert_true(send(fd, ask, strlen(ask), 0) > 0);
	for (int i = 0; i < 100; i++) {
		unsigned before = f->calls_n;
		char buf[65536];

		assert_int_equal(api_dispatch(f->api, f->now_ns), 0);
		assert_true(f->calls_n - before <= 4);
		(void)!recv(fd, buf, sizeof(buf), 0);
	}
	close(fd);
}

static void test_api_drops_a_client_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	int fd = raw(f);
	unsigned calls_n;

	assert_true(send(fd, "{\"v\":1,\"cmd\":\"many\",\"args\":{\"n\":99000000}}\n", 44, 0) > 0);
	turn(f);
	turn(f);
	calls_n = f->calls_n;
	/* Its socket is full and its buffer too: it is not answered further, and costs no more. */
	f->now_ns += 5 * S;
	turn(f);
	assert_true(f->calls_n <= calls_n + 64);
	calls_n = f->calls_n;
	turn(f);
	assert_int_equal(f->calls_n, calls_n);
	assert_int_equal(api_clients_n(f->api), 1);
	f->now_ns += 11 * S;
	turn(f);
	assert_int_equal(api_clients_n(f->api), 0);
	close(fd);
}

static void test_api_drops_half_a_request(void **state)
{
	struct fixture *f = *state;
	int fd = raw(f), idle = raw(f);

	assert_true(send(fd, "{\"v\":1", 6, 0) > 0);
	turn(f);
	f->now_ns += 11 * S;
	turn(f);
	assert_int_equal(api_clients_n(f->api), 1); /* one who asks nothing may stay */
	close(fd);
	close(idle);
}

static void test_api_says_when_an_answer_is_too_long(void **state)
{
	struct fixture *f = *state;
	int fd = raw(f), end = 0;
	static char buf[1 << 20];
	char tail[128] = "";

	assert_true(send(fd, "{\"v\":1,\"cmd\":\"huge\"}\n", 21, 0) > 0);
	for (int i = 0; i < 10000 && !end; i++) {
		ssize_t got = recv(fd, buf, sizeof(buf) - 1, 0);

		if (got > 100)
			memcpy(tail, buf + got - 100, 100);
		end = strstr(tail, "ask for less") != NULL;
		assert_int_equal(api_dispatch(f->api, f->now_ns), 0);
	}
	assert_true(end);
	close(fd);
}

static void test_api_later_ends_at_once_from_outside(void **state)
{
	struct fixture *f = *state;
	struct client *c = NULL;
	json_t *o = NULL;

	assert_int_equal(client_open(f->path, 1000, &c), 0);
	assert_int_equal(client_ask(c, "later", NULL, NULL, 0), 0);
	turn(f);
	assert_non_null(f->later);
	f->now_ns += 100 * S; /* it may take its time */
	turn(f);
	assert_non_null(f->later);
	api_put(f->later, json_pack("{s:s}", "type", "row"));
	api_end(f->later, FWM_STATUS_OK);
	assert_int_equal(f->gone_n, 1);
	/* No dispatch in between: the answer went out by itself. */
	assert_int_equal(client_next(c, &o), 0);
	json_decref(o);
	assert_int_equal(client_next(c, &o), CLIENT_END);
	json_decref(o);
	assert_int_equal(client_ask(c, "later", NULL, NULL, 0), 0);
	turn(f);
	assert_non_null(f->later);
	client_close(c); /* whoever waited is gone */
	turn(f);
	assert_int_equal(f->gone_n, 2);
	assert_int_equal(api_clients_n(f->api), 0);
}

static void test_api_hands_descriptors_over(void **state)
{
	struct fixture *f = *state;
	struct client *c = NULL;
	json_t *o = NULL;
	char got[8] = "";
	int p[2], before, after;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(client_open(f->path, 1000, &c), 0);
	assert_int_equal(client_ask(c, "fd", NULL, &p[1], 1), 0);
	turn(f);
	assert_int_equal(client_next(c, &o), CLIENT_END);
	json_decref(o);
	assert_int_equal(read(p[0], got, 5), 5);
	assert_string_equal(got, "hello");
	/* One nobody asked for is closed with the call. */
	before = dup(0);
	close(before);
	assert_int_equal(client_ask(c, "echo", NULL, (int[]){p[0], p[1], p[0]}, 3), 0);
	turn(f);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	assert_int_equal(client_ask(c, "fd", NULL, NULL, 0), 0);
	turn(f);
	client_close(c);
	close(p[0]);
	close(p[1]);
}

static void test_api_is_bounded_in_clients(void **state)
{
	struct fixture *f = *state;
	int fds[FWM_CTL_CLIENT_MAX], extra;
	bool closed;

	for (int i = 0; i < FWM_CTL_CLIENT_MAX; i++)
		fds[i] = raw(f);
	assert_int_equal(api_clients_n(f->api), FWM_CTL_CLIENT_MAX);
	extra = raw(f);
	assert_non_null(strstr(talk(f, extra, "", 0, &closed), "too many clients"));
	assert_true(closed);
	close(extra);
	/* Silent ones yield after a while. */
	f->now_ns += 6 * S;
	extra = raw(f);
	assert_non_null(
		strstr(talk(f, extra, "{\"v\":1,\"cmd\":\"echo\"}\n", 21, &closed), "echo"));
	assert_int_equal(api_clients_n(f->api), FWM_CTL_CLIENT_MAX);
	close(extra);
	for (int i = 0; i < FWM_CTL_CLIENT_MAX; i++)
		close(fds[i]);
	turn(f);
	assert_int_equal(api_clients_n(f->api), 0);
}

static void test_api_strings_are_always_utf8(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"plain", "\"plain\""},
		{"a\xff"
		 "b",
		 "\"a\\uFFFDb\""},
		{"\xc3\xa9", "\"\\u00E9\""},
		{"\xc0\xaf", "\"\\uFFFD\\uFFFD\""},
		{"\xed\xa0\x80", "\"\\uFFFD\\uFFFD\\uFFFD\""},
		{"\xf0\x9f\x92", "\"\\uFFFD\\uFFFD\\uFFFD\""},
		{"\033[31m\xc2\x9b", "\"\\u001B[31m\\u009B\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *j = api_string(cases[i].in);
		_cleanup_(freep) char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

		json_decref(j);
		assert_string_equal(text, cases[i].want);
	}
	assert_true(json_is_null(api_string(NULL)));
}

#define with_server(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_server(test_api_answers_over_and_over),
		with_server(test_api_socket_is_private_and_alone),
		with_server(test_api_replaces_a_stale_socket),
		with_server(test_api_says_what_is_wrong_with_a_request),
		with_server(test_api_survives_deep_nesting),
		with_server(test_api_refuses_an_endless_request),
		with_server(test_api_reads_a_request_byte_by_byte),
		with_server(test_api_answers_pipelined_requests_in_order),
		with_server(test_api_long_answer_reaches_a_reader_whole),
		with_server(test_api_a_dispatch_is_short),
		with_server(test_api_drops_a_client_that_does_not_read),
		with_server(test_api_drops_half_a_request),
		with_server(test_api_says_when_an_answer_is_too_long),
		with_server(test_api_later_ends_at_once_from_outside),
		with_server(test_api_hands_descriptors_over),
		with_server(test_api_is_bounded_in_clients),
		cmocka_unit_test(test_api_strings_are_always_utf8),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
