// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The control socket when memory runs out: the n-th allocation of JSON fails, for each n there is.
 * Whoever asked gets a closing line or the end of the connection, nothing leaks (the sanitizer build
 * looks), and the next question is answered as if nothing had been.
 */
#include "support/support.h"

#include "api/routes.h"
#include "base/cleanup.h"
#include "support/ask.h"
#include "support/host.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static long fail_at, allocations; /* 0: never */

static void *failing_malloc(size_t n)
{
	return ++allocations == fail_at ? NULL : malloc(n);
}

static void host_view(void *ctx, struct view_host *ret)
{
	const struct host *h = ctx;

	*ret = (struct view_host){.version = "t", .now_ns = h->now_ns, .wall_ns = h->now_ns};
}

struct fixture {
	struct host host;
	struct routes routes;
	struct api *api;
};

static int setup(void **state)
{
	struct engine_limits limits = host_limits();
	struct fixture *f = calloc(1, sizeof(*f));

	json_set_alloc_funcs(failing_malloc, free);
	host_init(&f->host, &limits);
	for (int i = 0; i < 4; i++) {
		uint32_t pid = host_spawn(&f->host, 1, "/bin/job", NULL);

		host_open(&f->host, pid, "/etc/\xff.conf", 0);
		host_connect(&f->host, pid, "tcp:127.0.0.1:80");
		host_exit(&f->host, pid);
		host_exit(&f->host, host_spawn(&f->host, 1, "/sbin/job", NULL));
	}
	f->routes = (struct routes){.engine = f->host.engine, .host = host_view, .ctx = &f->host};
	*state = f;
	return api_open(&(struct api_options){.answer = routes_answer, .ctx = &f->routes}, &f->api);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	api_close(f->api);
	host_fini(&f->host);
	free(f);
	return 0;
}

static const char *ask(const struct fixture *f, const char *question)
{
	return ask_api(f->api, f->host.now_ns, question);
}

static void test_routes_survive_each_failed_allocation(void **state)
{
	static const char *const questions[] = {
		"{\"v\":1,\"cmd\":\"status\"}\n",
		"{\"v\":1,\"cmd\":\"deps\",\"args\":{\"name\":\"/bin/job\"}}\n",
		"{\"v\":1,\"cmd\":\"deps\",\"args\":{\"name\":\"job\"}}\n",
		"{\"v\":1,\"cmd\":\"needs\",\"args\":{\"name\":\":80\"}}\n",
		"{\"v\":1,\"cmd\":\"predict\",\"args\":{\"name\":\"/bin/job\"}}\n",
		"{\"v\":1,\"cmd\":\"why\",\"args\":{\"name\":\"/bin/job\"}}\n",
		"{\"v\":1,\"cmd\":\"top\"}\n",
		"{\"v\":1,\"cmd\":\"export\"}\n",
		"{\"v\":1,\"cmd\":\"nothing\"}\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		_cleanup_(freep) char *good = NULL;
		long n;

		fail_at = allocations = 0;
		good = strdup(ask(f, questions[i]));
		n = allocations;
		assert_true(n > 5 && strstr(good, "\"status\":"));
		for (long at = 1; at <= n; at++) {
			const char *got;

			allocations = 0;
			fail_at = at;
			got = ask(f, questions[i]);
			/* Whole lines, whatever is missing in them. */
			assert_true(!*got || got[strlen(got) - 1] == '\n');
			fail_at = 0;
			if (at % 16 == 0)
				assert_string_equal(ask(f, questions[i]), good);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_routes_survive_each_failed_allocation, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
