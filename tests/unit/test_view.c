// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_view.c - what names find, and what is told of a guess and of the daemon, member by member. */
#include "support/support.h"

#include "api/view.h"
#include "base/cleanup.h"

#include <string.h>

DEFINE_CLEANUP(struct graph *, graph_free)

static void json_unrefp(json_t **p)
{
	json_decref(*p);
}

static struct graph *graph_of(void)
{
	const struct graph_limits l = {
		.node_max = 200, .edge_max = 200, .use_max = 100, .text_bytes_max = 1 << 16};
	struct graph *g = NULL;

	assert_int_equal(graph_new(&l, &g), 0);
	return g;
}

/* A node that ran so often, or that so many need. */
static uint32_t add(struct graph *g, enum node_kind kind, const char *name, uint32_t n)
{
	uint32_t id = 0, user = 0;

	assert_int_equal(graph_intern(g, kind, name, 1, &id), 0);
	if (kind == NODE_BLOCK)
		graph_node(g, id)->runs_n = n;
	for (uint32_t i = 0; kind != NODE_BLOCK && i < n; i++) {
		char of[32];
		struct edge *e;

		snprintf(of, sizeof(of), "/sbin/user %u", i);
		assert_int_equal(graph_intern(g, NODE_BLOCK, of, 1, &user), 0);
		assert_int_equal(graph_edge(g, user, id, EDGE_OPEN, 1, &e), 0);
	}
	return id;
}

/* Finds want, in this order, and no others. */
static void finds(const struct graph *g, const char *name, unsigned kinds, const char *const *want)
{
	uint32_t ids[8];
	size_t n = view_find(g, name, kinds, ids, ARRAY_SIZE(ids)), i = 0;

	for (; want[i]; i++)
		if (i >= n || strcmp(graph_node_const(g, ids[i])->name, want[i]) != 0)
			fail_msg("'%s': %s is not at %zu of %zu", name, want[i], i, n);
	if (i != n)
		fail_msg("'%s': %zu, not %zu", name, n, i);
}

#define FINDS(g, name, kinds, ...) finds(g, name, kinds, (const char *const[]){__VA_ARGS__, NULL})

static void test_view_finds_by_the_best_level(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	const unsigned all = VIEW_BLOCKS | VIEW_FILES | VIEW_SERVICES;
	uint32_t ids[2];

	(void)state;
	(void)add(g, NODE_BLOCK, "/usr/bin/git status", 3);
	(void)add(g, NODE_BLOCK, "/usr/bin/git log", 9);
	(void)add(g, NODE_BLOCK, "/usr/bin/x86_64-linux-gnu-gcc-12 -c", 1);
	(void)add(g, NODE_FILE, "/src/git/status.c", 1);
	(void)add(g, NODE_FILE, "/src/x/status.c", 2);
	(void)add(g, NODE_FILE, "/tmp/cc*.s", 1);
	(void)add(g, NODE_SERVICE, "tcp:127.0.0.1:5432", 1);
	(void)add(g, NODE_FILE, "git", 1);
	/* The whole name is all that counts, if there is one. */
	FINDS(g, "git", all, "git");
	/* The end of a program, most often run first. */
	FINDS(g, "git", VIEW_BLOCKS, "/usr/bin/git log", "/usr/bin/git status");
	FINDS(g, "git status", all, "/usr/bin/git status");
	FINDS(g, "status.c", all, "/src/x/status.c", "/src/git/status.c");
	FINDS(g, "git/status.c", all, "/src/git/status.c");
	FINDS(g, "/status.c", all, "/src/x/status.c", "/src/git/status.c");
	FINDS(g, ":5432", all, "tcp:127.0.0.1:5432");
	FINDS(g, "5432", all, "tcp:127.0.0.1:5432");
	/* Not from the middle of a part, unless nothing fits better. */
	FINDS(g, "gcc", all, "/usr/bin/x86_64-linux-gnu-gcc-12 -c");
	FINDS(g, "tatus.c", all, "/src/x/status.c", "/src/git/status.c");
	finds(g, "t", VIEW_BLOCKS, (const char *const[]){NULL});
	finds(g, "5432", VIEW_FILES, (const char *const[]){NULL});
	finds(g, "", all, (const char *const[]){NULL});
	/* Made-up names, of which only the rest is known. */
	FINDS(g, "/tmp/ccXyZ.s", all, "/tmp/cc*.s");
	FINDS(g, "ccXyZ.s", all, "/tmp/cc*.s");
	finds(g, "/tmp/cca/b.s", all, (const char *const[]){NULL});
	finds(g, "/tmp/cca.sh", all, (const char *const[]){NULL});
	/* How many there are is told, however few are wanted, and these are the weightiest. */
	assert_int_equal(view_find(g, "status.c", all, ids, 1), 2);
	assert_string_equal(graph_node_const(g, ids[0])->name, "/src/x/status.c");
}

/* Asked about by another name, or not there: what was opened is meant. */
static void test_view_prefers_what_was_opened(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	uint32_t asked = add(g, NODE_FILE, "/lib/libc.so.6", 5), it = 0,
		 gone = add(g, NODE_FILE, "/opt/libc.so.6", 7), used;
	const struct edge *e;

	(void)state;
	used = add(g, NODE_FILE, "/usr/lib/libc.so.6", 1);
	graph_node(g, gone)->flags |= NODE_F_ABSENT;
	while (graph_next_in(g, asked, &it, &e))
		graph_edge_note(g, e->from, asked, EDGE_OPEN)->flags |= EDGE_F_LOOKUP;
	FINDS(g, "libc.so.6", VIEW_FILES, "/usr/lib/libc.so.6");
	FINDS(g, "/lib/libc.so.6", VIEW_FILES,
	      "/lib/libc.so.6"); /* by its whole name all the same */
	graph_node(g, used)->flags |= NODE_F_ABSENT;
	assert_int_equal(view_find(g, "libc.so.6", VIEW_FILES, &it, 1), 3);
}

static json_int_t number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static const char *text(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_string(v) ? json_string_value(v) : "none";
}

static void test_view_guess_tells_its_times_from_when_it_was_made(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	const struct view_host h = {.now_ns = 5000, .wall_ns = 1005000};
	struct guess guess = {.id = 7,
			      .kind = EDGE_OPEN,
			      .outcome = OUTCOME_HIT,
			      .acted = 1,
			      .decision = DECISION_FAILED,
			      .err = 13,
			      .uid = 1000,
			      .pid = 42,
			      .made_ns = 1000,
			      .deadline_ns = 1900,
			      .acted_ns = 1000,
			      .done_ns = 1600,
			      .bytes_read = 4096,
			      .saved_ns = 77};
	json_t *o;

	(void)state;
	guess.block = guess.context[0] = add(g, NODE_BLOCK, "/bin/a", 1);
	guess.via = add(g, NODE_BLOCK, "/bin/b", 1);
	guess.dep = add(g, NODE_FILE, "/f", 1);
	guess.context[1] = guess.dep; /* by now another's number */
	o = view_guess(g, &guess, &h);
	assert_int_equal(number(o, "id"), 7);
	assert_string_equal(text(o, "block"), "/bin/a");
	assert_string_equal(text(o, "via"), "/bin/b");
	assert_string_equal(text(o, "dep"), "/f");
	assert_string_equal(text(o, "dep_kind"), "file");
	assert_string_equal(text(o, "kind"), "open");
	assert_null(json_object_get(o, "absent"));
	assert_true(json_is_true(json_object_get(o, "acted")));
	assert_int_equal(number(o, "errno"), 13);
	assert_int_equal(number(o, "uid"), 1000);
	assert_int_equal(number(o, "pid"), 42);
	assert_int_equal(number(o, "age_ns"), 4000);
	assert_int_equal(number(o, "made_wall_ns"), 1001000);
	assert_int_equal(number(o, "deadline_after_ns"), 900);
	assert_int_equal(number(o, "acted_after_ns"), 0); /* at once */
	assert_int_equal(number(o, "done_after_ns"), 600);
	assert_null(json_object_get(o, "ended_after_ns")); /* not yet */
	assert_int_equal(number(o, "bytes_read"), 4096);
	assert_int_equal(number(o, "saved_ns"), 77);
	assert_int_equal(json_array_size(json_object_get(o, "context")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "context"), 0)),
			    "/bin/a");
	assert_false(json_is_string(json_array_get(json_object_get(o, "context"), 1)));
	json_decref(o);
	guess.decision = DECISION_LATE;
	guess.via = guess.block;
	guess.deadline_ns = 999; /* kept from before a start of the host */
	graph_node(g, guess.dep)->flags |= NODE_F_ABSENT;
	o = view_guess(g, &guess, &h);
	assert_null(json_object_get(o, "via"));
	assert_null(json_object_get(o, "errno"));
	assert_null(json_object_get(o, "deadline_after_ns"));
	assert_true(json_is_true(json_object_get(o, "absent")));
	json_decref(o);
}

static void test_view_status_tells_all_that_is_known(void **state)
{
	struct engine_stats s = {.obs_n = {0, 1, 2, 3, 4, 5, 6, 7},
				 .processes_n = 11,
				 .processes_evicted = 12,
				 .guesses_open_n = 13,
				 .queue_n = 14,
				 .inflight_bytes = 66,
				 .bytes = 15,
				 .graph = {.nodes_n = 21,
					   .edges_n = 22,
					   .bytes = 23,
					   .nodes_evicted = 24,
					   .edges_evicted = 25},
				 .score = {.guesses_n = 31, .acted_n = 32, .bytes_read = 33},
				 .score_all = {.guesses_n = 41}};
	struct view_host h = {.version = "1.2",
			      .wall_ns = 51,
			      .up_ns = 52,
			      .events_n = 53,
			      .lost_n = VIEW_UNKNOWN,
			      .cpu_ns = 55,
			      .rss_bytes = 56,
			      .bpf_runs_n = 57,
			      .bpf_ns = 58,
			      .store_bytes = 59,
			      .rows_refused_n = 60,
			      .uncontained_n = 61,
			      .reads_refused_n = 62,
			      .reads_forgotten_n = 63,
			      .held_bytes = 64,
			      .contained_n = 65,
			      .acting = true,
			      .pressure = {71, 72, 0, -1, 2.5}};
	static const char want[] =
		"{\"type\":\"status\",\"version\":\"1.2\",\"wall_ns\":51,\"acting\":true,\"cost\":{"
		"\"type\":\"cost\",\"up_ns\":52,\"events_n\":53,\"cpu_ns\":55,\"rss_bytes\":56,"
		"\"bpf_runs_n\":57,\"bpf_ns\":58,\"store_bytes\":59,\"rows_refused_n\":60,"
		"\"uncontained_n\":61,\"reads_refused_n\":62,\"reads_forgotten_n\":63,"
		"\"held_bytes\":64},\"observed\":{\"fork\":1,\"exec\":2,\"exit\":3,\"open\":4,"
		"\"connect\":5,\"listen\":6,\"fold\":7},\"graph\":{\"nodes_n\":21,\"edges_n\":22,"
		"\"bytes\":23,\"nodes_evicted\":24,\"edges_evicted\":25},\"processes_n\":11,"
		"\"contained_n\":65,\"processes_evicted\":12,\"guesses_open_n\":13,\"queue_n\":14,"
		"\"inflight_bytes\":66,"
		"\"engine_bytes\":15,\"score\":";
	_cleanup_(freep) char *got = NULL;
	_cleanup_(json_unrefp) json_t *first = view_status(&s, &h), *second = NULL;
	const json_t *pressure = json_object_get(first, "pressure"), *score;

	(void)state;
	got = json_dumps(first, JSON_COMPACT);
	if (strncmp(got, want, sizeof(want) - 1) != 0)
		fail_msg("%s", got);
	score = json_object_get(first, "score");
	assert_int_equal(number(score, "guesses_n"), 31);
	assert_int_equal(number(score, "acted_n"), 32);
	assert_int_equal(number(score, "bytes_read"), 33);
	assert_int_equal(number(json_object_get(first, "score_all"), "guesses_n"), 41);
	assert_int_equal(number(pressure, "mem_available_bytes"), 71);
	assert_int_equal(number(pressure, "mem_total_bytes"), 72);
	assert_true(json_real_value(json_object_get(pressure, "mem_some_avg10")) == 0);
	assert_non_null(json_object_get(pressure, "mem_some_avg10"));
	assert_null(json_object_get(pressure, "io_some_avg10"));
	assert_true(json_real_value(json_object_get(pressure, "cpu_some_avg10")) == 2.5);
	assert_null(json_object_get(first, "first_read"));
	assert_null(json_object_get(first, "first_pages"));
	h.degraded = "openat";
	h.first_read = (struct view_first){81, 82, 83};
	h.first_pages = (struct view_first){84, 85, 86};
	second = view_status(&s, &h);
	assert_string_equal(text(json_object_get(second, "cost"), "degraded"), "openat");
	assert_int_equal(number(json_object_get(second, "first_read"), "starts_n"), 81);
	assert_int_equal(number(json_object_get(second, "first_read"), "p50_ns"), 82);
	assert_int_equal(number(json_object_get(second, "first_read"), "p99_ns"), 83);
	assert_int_equal(number(json_object_get(second, "first_pages"), "starts_n"), 84);
	assert_int_equal(number(json_object_get(second, "first_pages"), "p99_ns"), 86);
}

static void test_view_node_and_edge_tell_what_they_are(void **state)
{
	_cleanup_(graph_freep) struct graph *g = graph_of();
	uint32_t block = add(g, NODE_BLOCK, "/bin/a", 4), file = add(g, NODE_FILE, "/f", 2);
	struct node *n = graph_node(g, file);
	struct edge *e;
	json_t *o;

	(void)state;
	n->size_bytes = 123;
	n->first_ns = 10;
	n->last_ns = 20;
	n->flags |= NODE_F_DIR;
	o = view_node(g, n, 50);
	assert_string_equal(text(o, "type"), "file");
	assert_string_equal(text(o, "name"), "/f");
	assert_int_equal(number(o, "idle_ns"), 30);
	assert_int_equal(number(o, "needed_by_n"), 2);
	assert_int_equal(number(o, "needs_n"), 0);
	assert_int_equal(number(o, "size_bytes"), 123);
	assert_int_equal(number(o, "runs_n"), -1);
	assert_true(json_is_true(json_object_get(o, "directory")));
	assert_null(json_object_get(o, "absent"));
	json_decref(o);
	o = view_node(g, graph_node_const(g, block), 50);
	assert_string_equal(text(o, "type"), "block");
	assert_int_equal(number(o, "runs_n"), 4);
	assert_int_equal(number(o, "size_bytes"), -1);
	json_decref(o);
	assert_int_equal(graph_edge(g, block, file, EDGE_OPEN, 1, &e), 0);
	e->count = 4;
	e->runs_n = 3;
	e->latency_sum_ns = 400;
	e->lead_sum_ns = 90;
	e->lead_n = 3;
	o = view_edge(g, e, 0.75);
	assert_string_equal(text(o, "kind"), "open");
	assert_string_equal(text(o, "from"), "/bin/a");
	assert_string_equal(text(o, "to"), "/f");
	assert_string_equal(text(o, "to_kind"), "file");
	assert_int_equal(number(o, "count"), 4);
	assert_int_equal(number(o, "runs_n"), 3);
	assert_true(json_real_value(json_object_get(o, "share")) == 0.75);
	assert_int_equal(number(o, "latency_mean_ns"), 100);
	assert_int_equal(number(o, "lead_mean_ns"), 30);
	assert_int_equal(number(o, "size_bytes"), 123);
	assert_null(json_object_get(o, "fail_n"));
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view_finds_by_the_best_level),
		cmocka_unit_test(test_view_prefers_what_was_opened),
		cmocka_unit_test(test_view_guess_tells_its_times_from_when_it_was_made),
		cmocka_unit_test(test_view_status_tells_all_that_is_known),
		cmocka_unit_test(test_view_node_and_edge_tell_what_they_are),
	};

	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
