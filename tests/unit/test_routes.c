// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_routes.c - questions and their answers: which thing is meant, what is told of it, and what is no question. */
#include "support/support.h"

#include "api/routes.h"
#include "base/cleanup.h"
#include "support/ask.h"
#include "support/host.h"

#include <forewarm/ctl.h>

#include <stdlib.h>
#include <string.h>

struct fixture {
	struct host host;
	struct routes routes;
	struct api *api;
	json_t *lines[200];
	size_t line_n;
};

static void host_view(void *ctx, struct view_host *ret)
{
	const struct host *h = ctx;

	*ret = (struct view_host){.version = "t", .now_ns = h->now_ns, .wall_ns = h->now_ns};
}

/* /bin/job needs /etc/a always and /etc/b every other time; /sbin/job needs /etc/a. */
static int setup(void **state)
{
	struct engine_limits limits = host_limits();
	struct fixture *f = calloc(1, sizeof(*f));

	host_init(&f->host, &limits);
	for (int i = 0; i < 8; i++) {
		uint32_t pid = host_spawn(&f->host, 1, "/bin/job", NULL);

		host_open(&f->host, pid, "/etc/a", 0);
		if (i % 2)
			host_open(&f->host, pid, "/etc/b", 0);
		host_connect(&f->host, pid, "tcp:127.0.0.1:80");
		host_exit(&f->host, pid);
		host_rest(&f->host, 100000000000ull);
		pid = host_spawn(&f->host, 1, "/sbin/job", NULL);
		host_open(&f->host, pid, "/etc/a", 0);
		host_exit(&f->host, pid);
		host_rest(&f->host, 100000000000ull);
	}
	f->routes = (struct routes){.engine = f->host.engine, .host = host_view, .ctx = &f->host};
	*state = f;
	return api_open(&(struct api_options){.answer = routes_answer, .ctx = &f->routes}, &f->api);
}

static void forget(struct fixture *f)
{
	while (f->line_n)
		json_decref(f->lines[--f->line_n]);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	forget(f);
	api_close(f->api);
	host_fini(&f->host);
	free(f);
	return 0;
}

/* Asks; the answer's lines, but for the closing one, are kept. Its status. */
static int ask(struct fixture *f, const char *cmd, const char *args)
{
	char question[512], *answer;
	int status = -1;

	forget(f);
	snprintf(question, sizeof(question), "{\"v\":1,\"cmd\":\"%s\",\"args\":{%s}}\n", cmd, args);
	answer = ask_api(f->api, f->host.now_ns, question);
	for (char *line = strtok(answer, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *o = json_loads(line, 0, NULL), *s = json_object_get(o, "status");

		assert_non_null(o);
		if (s) {
			assert_int_equal(status, -1); /* it is the last */
			status = (int)json_integer_value(s);
			json_decref(o);
			continue;
		}
		assert_true(status == -1 && f->line_n < ARRAY_SIZE(f->lines));
		f->lines[f->line_n++] = o;
	}
	return status;
}

static const char *text(const struct fixture *f, size_t line, const char *key)
{
	const char *s =
		line < f->line_n ? json_string_value(json_object_get(f->lines[line], key)) : NULL;

	return s ? s : "none";
}

static json_int_t number(const struct fixture *f, size_t line, const char *key)
{
	const json_t *v = line < f->line_n ? json_object_get(f->lines[line], key) : NULL;

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

/* The lines from first on are of this type and have these in the member. */
static void lines_are(const struct fixture *f, size_t first, const char *type, const char *key,
		      const char *const *want)
{
	size_t i = 0;

	for (; want[i]; i++)
		if (strcmp(text(f, first + i, "type"), type) != 0 ||
		    strcmp(text(f, first + i, key), want[i]) != 0)
			fail_msg("line %zu: %s %s", first + i, text(f, first + i, "type"),
				 text(f, first + i, key));
}

#define LINES(f, first, type, key, ...)                                                            \
	lines_are(f, first, type, key, (const char *const[]){__VA_ARGS__, NULL})

static void test_routes_tell_what_a_thing_needs(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "deps", "\"name\":\"/bin/job\""), FWM_STATUS_OK);
	assert_int_equal(f->line_n, 5);
	assert_string_equal(text(f, 0, "type"), "block");
	/* Most often first, of equals in the order they came to be known. */
	LINES(f, 1, "edge", "to", "/bin/job", "/etc/a", "tcp:127.0.0.1:80", "/etc/b");
	assert_true(json_real_value(json_object_get(f->lines[4], "share")) == 0.5);
	assert_int_equal(ask(f, "deps", "\"name\":\"/bin/job\",\"rows\":2"), FWM_STATUS_OK);
	assert_int_equal(f->line_n, 4);
	LINES(f, 1, "edge", "to", "/bin/job", "/etc/a");
	assert_string_equal(text(f, 3, "type"), "more");
	assert_int_equal(number(f, 3, "rows_n"), 2);
	assert_int_equal(ask(f, "deps", "\"name\":\"/bin/job\",\"rows\":4"), FWM_STATUS_OK);
	assert_int_equal(f->line_n, 5); /* that was all */
	assert_int_equal(ask(f, "needs", "\"name\":\"/etc/a\""), FWM_STATUS_OK);
	assert_string_equal(text(f, 0, "type"), "file");
	LINES(f, 1, "edge", "from", "/bin/job", "/sbin/job");
	assert_int_equal(ask(f, "needs", "\"name\":\":80\""), FWM_STATUS_OK);
	assert_string_equal(text(f, 0, "name"), "tcp:127.0.0.1:80");
	LINES(f, 1, "edge", "from", "/bin/job");
	assert_int_equal(ask(f, "predict", "\"name\":\"/bin/job\",\"rows\":3"), FWM_STATUS_OK);
	assert_int_equal(f->line_n, 4);
	LINES(f, 1, "prediction", "dep", "/bin/job", "/etc/a", "tcp:127.0.0.1:80");
}

static void test_routes_ask_back_what_is_meant(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "deps", "\"name\":\"job\""), FWM_STATUS_NOT_FOUND);
	LINES(f, 0, "candidate", "name", "/bin/job", "/sbin/job");
	assert_int_equal(f->line_n, 2);
	assert_int_equal(ask(f, "deps", "\"name\":\"nobody\""), FWM_STATUS_NOT_FOUND);
	assert_int_equal(f->line_n, 0);
	/* The program and its file have one name: both are told of. */
	assert_int_equal(ask(f, "why", "\"name\":\"/bin/job\",\"rows\":1"), FWM_STATUS_OK);
	assert_string_equal(text(f, 0, "type"), "block");
	assert_string_equal(text(f, 1, "type"), "file");
	assert_string_equal(text(f, 0, "name"), text(f, 1, "name"));
}

static void test_routes_tell_why_of_a_thing_and_no_other(void **state)
{
	struct fixture *f = *state;
	json_int_t last = INT64_MAX;
	size_t guess_n;

	assert_int_equal(ask(f, "why", "\"name\":\"/etc/b\""), FWM_STATUS_OK);
	assert_string_equal(text(f, 0, "name"), "/etc/b");
	for (size_t i = 1; i < f->line_n; i++) { /* newest first */
		assert_string_equal(text(f, i, "type"), "guess");
		assert_string_equal(text(f, i, "dep"), "/etc/b");
		assert_true(number(f, i, "id") < last);
		last = number(f, i, "id");
	}
	guess_n = f->line_n - 1;
	assert_in_range(guess_n, 3, 20);
	assert_int_equal(ask(f, "why", "\"name\":\"/etc/b\",\"rows\":2"), FWM_STATUS_OK);
	assert_int_equal(f->line_n, 4);
	assert_string_equal(text(f, 3, "type"), "more");
	assert_int_equal(number(f, 3, "rows_n"), guess_n - 2);
	/* Of a program: those it made, and those made for it. */
	assert_int_equal(ask(f, "why", "\"name\":\"/sbin/job\""), FWM_STATUS_OK);
	for (size_t i = 2; i < f->line_n; i++)
		assert_true(!strcmp(text(f, i, "block"), "/sbin/job") ||
			    !strcmp(text(f, i, "via"), "/sbin/job") ||
			    !strcmp(text(f, i, "dep"), "/sbin/job"));
	assert_true(f->line_n > 4);
}

static void test_routes_tell_what_is_on_top(void **state)
{
	struct fixture *f = *state;
	char since[64];
	size_t i;

	assert_int_equal(ask(f, "top", "\"rows\":2"), FWM_STATUS_OK);
	assert_int_equal(f->line_n, 5);
	assert_string_equal(text(f, 0, "type"), "status");
	LINES(f, 1, "edge", "to", "/bin/job", "/sbin/job");
	LINES(f, 3, "guess", "type", "guess", "guess");
	assert_true(number(f, 3, "id") > number(f, 4, "id")); /* the newest */
	/* Only what was taken since then, that moment included. */
	assert_int_equal(ask(f, "top", ""), FWM_STATUS_OK);
	for (i = 1; strcmp(text(f, i, "to"), "/etc/b") != 0; i++)
		assert_string_equal(text(f, i, "type"), "edge");
	for (int later = 0; later < 2; later++) {
		static json_int_t last_ns;
		bool found = false;

		if (!later)
			last_ns = number(f, i, "last_wall_ns");
		snprintf(since, sizeof(since), "\"since_wall_ns\":%lld",
			 (long long)(last_ns + later));
		assert_int_equal(ask(f, "top", since), FWM_STATUS_OK);
		for (size_t k = 1; k < f->line_n; k++)
			found |= !strcmp(text(f, k, "type"), "edge") &&
				 !strcmp(text(f, k, "from"), "/bin/job") &&
				 !strcmp(text(f, k, "to"), "/etc/b");
		assert_int_equal(found, !later);
	}
}

static void test_routes_take_only_what_they_know(void **state)
{
	static const struct {
		const char *cmd, *args;
		int status;
	} cases[] = {
		{"status", "", FWM_STATUS_OK},
		{"status", "\"name\":\"x\"", FWM_STATUS_USAGE},
		{"nothing", "", FWM_STATUS_USAGE},
		{"deps", "", FWM_STATUS_USAGE},
		{"deps", "\"name\":\"\"", FWM_STATUS_USAGE},
		{"deps", "\"name\":5", FWM_STATUS_USAGE},
		{"deps", "\"name\":\"/bin/job\",\"rows\":1000", FWM_STATUS_OK},
		{"deps", "\"name\":\"/bin/job\",\"rows\":1001", FWM_STATUS_USAGE},
		{"deps", "\"name\":\"/bin/job\",\"rows\":0", FWM_STATUS_USAGE},
		{"deps", "\"name\":\"/bin/job\",\"rows\":-1", FWM_STATUS_USAGE},
		{"deps", "\"name\":\"/bin/job\",\"rows\":\"1\"", FWM_STATUS_USAGE},
		{"deps", "\"name\":\"/bin/job\",\"since_wall_ns\":1", FWM_STATUS_USAGE},
		{"top", "\"since_wall_ns\":0", FWM_STATUS_OK},
		{"top", "\"since_wall_ns\":-1", FWM_STATUS_USAGE},
		{"top", "\"since_wall_ns\":1.5", FWM_STATUS_USAGE},
		{"top", "\"since_wall_ns\":\"1\"", FWM_STATUS_USAGE},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = ask(f, cases[i].cmd, cases[i].args);

		if (status != cases[i].status)
			fail_msg("%s {%s}: %d", cases[i].cmd, cases[i].args, status);
	}
}

#define ROUTES_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROUTES_TEST(test_routes_tell_what_a_thing_needs),
		ROUTES_TEST(test_routes_ask_back_what_is_meant),
		ROUTES_TEST(test_routes_tell_why_of_a_thing_and_no_other),
		ROUTES_TEST(test_routes_tell_what_is_on_top),
		ROUTES_TEST(test_routes_take_only_what_they_know),
	};

	return cmocka_run_group_tests_name("routes-answers", tests, NULL, NULL);
}
