// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What an answer costs on a large graph: steps of walks over edges, counted (the linker puts us between),
 * are a few for each edge. A program that asked about 100,000 files is the worst case.
 */
#include "support/support.h"

#include "api/routes.h"
#include "base/cleanup.h"
#include "support/host.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { FILES = 100000, RUNS = 40, STEPS_MAX = 8 * FILES };

static uint64_t steps_n;

bool __real_graph_next_out(const struct graph *g, uint32_t from, uint32_t *it,
			   const struct edge **ret);
bool __wrap_graph_next_out(const struct graph *g, uint32_t from, uint32_t *it,
			   const struct edge **ret);
bool __real_graph_next_in(const struct graph *g, uint32_t to, uint32_t *it,
			  const struct edge **ret);
bool __wrap_graph_next_in(const struct graph *g, uint32_t to, uint32_t *it,
			  const struct edge **ret);

bool __wrap_graph_next_out(const struct graph *g, uint32_t from, uint32_t *it,
			   const struct edge **ret)
{
	assert_true(steps_n++ < 10 * STEPS_MAX); /* no need to wait for the end */
	return __real_graph_next_out(g, from, it, ret);
}

bool __wrap_graph_next_in(const struct graph *g, uint32_t to, uint32_t *it, const struct edge **ret)
{
	steps_n++;
	return __real_graph_next_in(g, to, it, ret);
}

static void host_view(void *ctx, struct view_host *ret)
{
	(void)ctx;
	*ret = (struct view_host){.version = "t"};
}

struct fixture {
	struct engine *engine;
	struct routes routes;
	struct api *api;
	uint32_t program;
	bool churn; /* files come, and so others go, while an answer is read */
	uint32_t new_n;
	uint8_t told_n[FILES];
};

/* /bin/sweep ran RUNS times; it asked about file i in 1 + i % (RUNS / 2) of the half that was told. */
static int setup(void **state)
{
	struct engine_limits limits = host_limits();
	struct plan_policy policy = host_policy();
	struct fixture *f = calloc(1, sizeof(*f));
	struct graph *g;

	limits.graph.node_max = limits.graph.edge_max = FILES + 1000;
	limits.graph.text_bytes_max = FILES * 64;
	assert_int_equal(engine_new(&limits, &policy, &f->engine), 0);
	g = engine_graph(f->engine);
	assert_int_equal(graph_intern(g, NODE_BLOCK, "/bin/sweep", 1, &f->program), 0);
	graph_node(g, f->program)->runs_n = RUNS;
	for (uint32_t i = 0; i < FILES; i++) {
		struct edge *e;
		char name[32];
		uint32_t file;

		snprintf(name, sizeof(name), "/srv/%u", i);
		assert_int_equal(graph_intern(g, NODE_FILE, name, 1, &file), 0);
		assert_int_equal(graph_edge(g, f->program, file, EDGE_OPEN, 1, &e), 0);
		e->flags = EDGE_F_LOOKUP;
		e->count = e->runs_n = 1 + i % (RUNS / 2);
	}
	f->routes = (struct routes){.engine = f->engine, .host = host_view};
	*state = f;
	return api_open(&(struct api_options){.answer = routes_answer, .ctx = &f->routes}, &f->api);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	api_close(f->api);
	engine_free(f->engine);
	free(f);
	return 0;
}

/* What came of a question: its edges, by the sum of their shares, and the end of the answer. */
struct told {
	uint64_t edges_n;
	double share_sum;
	char last[256];
};

static void take_line(struct fixture *f, struct told *t, const char *line)
{
	const char *share = strstr(line, "\"share\":"), *to = strstr(line, "\"to\":\"/srv/");

	if (strstr(line, "\"type\":\"edge\"") && share) {
		t->edges_n++;
		t->share_sum += strtod(share + strlen("\"share\":"), NULL);
		if (to)
			f->told_n[strtoul(to + strlen("\"to\":\"/srv/"), NULL, 10)]++;
	}
	snprintf(t->last, sizeof(t->last), "%.*s", (int)sizeof(t->last) - 1, line);
}

static void churn(struct fixture *f)
{
	struct graph *g = engine_graph(f->engine);

	for (int i = 0; i < 20; i++) {
		char name[32];
		struct edge *e;
		uint32_t file;

		snprintf(name, sizeof(name), "/new/%u", f->new_n++);
		assert_int_equal(graph_intern(g, NODE_FILE, name, 2, &file), 0);
		assert_int_equal(graph_edge(g, f->program, file, EDGE_OPEN, 2, &e), 0);
	}
}

static struct told ask(struct fixture *f, const char *question)
{
	static char text[1 << 20];
	struct told t = {0};
	size_t used = 0;
	ssize_t n = 1;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(api_adopt(f->api, ends[1]), 0);
	assert_int_equal(send(ends[0], question, strlen(question), 0), strlen(question));
	steps_n = 0;
	while (n != 0 && !strstr(t.last, "\"type\":\"end\"") && !strstr(t.last, "\"error\"")) {
		char *line = text, *end;

		if (f->churn)
			churn(f);
		assert_int_equal(api_dispatch(f->api, 1), 0);
		n = recv(ends[0], text + used, sizeof(text) - 1 - used, 0);
		used += n > 0 ? (size_t)n : 0;
		for (; (end = memchr(line, '\n', used - (size_t)(line - text))); line = end + 1) {
			*end = '\0';
			take_line(f, &t, line);
		}
		used -= (size_t)(line - text);
		memmove(text, line, used);
	}
	close(ends[0]);
	return t;
}

static void test_routes_walk_each_edge_a_few_times(void **state)
{
	static const struct {
		const char *name, *question;
		uint64_t edges_n;
	} cases[] = {
		{"export", "{\"v\":1,\"cmd\":\"export\"}\n", FILES},
		{"deps",
		 "{\"v\":1,\"cmd\":\"deps\",\"args\":{\"name\":\"/bin/sweep\",\"rows\":1000}}\n",
		 1000},
		{"needs", "{\"v\":1,\"cmd\":\"needs\",\"args\":{\"name\":\"/srv/7\"}}\n", 1},
		{"top", "{\"v\":1,\"cmd\":\"top\",\"args\":{\"rows\":1000}}\n", 1000},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct told t = ask(f, cases[i].question);

		if (t.edges_n != cases[i].edges_n || steps_n > STEPS_MAX ||
		    !strstr(t.last, "\"status\":0"))
			fail_msg("%s: %lu edges in %lu steps, and last '%s'", cases[i].name,
				 (unsigned long)t.edges_n, (unsigned long)steps_n, t.last);
		/* Of the runs that were told, not of all: the likeliest was in each of them. */
		if (t.edges_n == FILES)
			assert_true(t.share_sum / FILES > 0.524 && t.share_sum / FILES < 0.526);
	}
}

static void test_routes_export_tells_nothing_twice(void **state)
{
	struct fixture *f = *state;
	struct told t;

	memset(f->told_n, 0, sizeof(f->told_n));
	f->churn = true;
	t = ask(f, "{\"v\":1,\"cmd\":\"export\"}\n");
	assert_non_null(strstr(t.last, "\"status\":0"));
	assert_true(t.edges_n > FILES / 2);
	for (uint32_t i = 0; i < FILES; i++)
		assert_in_range(f->told_n[i], 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_walk_each_edge_a_few_times),
		cmocka_unit_test(test_routes_export_tells_nothing_twice),
	};

	return cmocka_run_group_tests_name("routes_work", tests, setup, teardown);
}
