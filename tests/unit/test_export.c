// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * forewarm export on names that want to be something else: quotes, tags, control characters, bytes
 * that are no UTF-8. Each format is read back by somebody else's reader, or ours for dot.
 */
#include "support/support.h"
#include "support/cli.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "store/trace.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const hostile[] = {
	"/srv/quo\"te",
	"/srv/back\\slash\\",
	"/srv/<tag>&amp;",
	"/srv/]]>",
	"/srv/new\nline",
	"/srv/tab\there",
	"/srv/esc\x1b[31mred",
	"/srv/bell\x07\x01\x1f\x7f",
	"/srv/\xff\xfe\x80",
	"/srv/\xc3\xa4\xe2\x82",
	"/srv/\xef\xbf\xbe",
	"/srv/\xc2\x85\xe2\x80\xa8",
	"/srv/-->",
	"/srv/\\\"",
	"/srv/'$(reboot)`x`",
	"/srv/ \"]; b -> c [x=\"",
};

static char dir[SCRATCH_DIR_MAX], path[96];

static int setup(void **state)
{
	struct trace_writer *w = NULL;
	struct trace_info info = {0};
	uint64_t now_ns = 50000000000;
	int err = 0;

	(void)state;
	if (scratch_make_on_disk(dir, "export"))
		return -1;
	snprintf(path, sizeof(path), "%s/t", dir);
	err = trace_write_open(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), &info, 0, &w);
	if (err)
		return err;
	for (uint32_t run = 0; run < 3; run++) {
		for (uint32_t i = 0; i < ARRAY_SIZE(hostile); i++) {
			uint32_t pid = 1000 + run * 100 + i;
			struct obs o = {.kind = OBS_FORK, .pid = pid, .ppid = 1, .count = 1};

			o.ts_ns = now_ns += 1000000;
			err |= trace_write_put(w, &o);
			o.kind = OBS_EXEC;
			o.name = hostile[i];
			o.ts_ns = now_ns += 1000000;
			o.file = (struct obs_file){
				.dev = 1, .ino = i + 1, .mode = 0100755, .size = 9};
			err |= trace_write_put(w, &o);
			o.kind = OBS_OPEN;
			for (uint32_t k = 0; k < ARRAY_SIZE(hostile); k++) {
				o.name = hostile[k];
				o.ts_ns = now_ns += 100000;
				o.file.ino = k + 1;
				err |= trace_write_put(w, &o);
			}
			o = (struct obs){.kind = OBS_EXIT, .pid = pid, .ts_ns = now_ns += 1000000};
			err |= trace_write_put(w, &o);
		}
	}
	(void)trace_write_close(w, NULL);
	return err;
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

/* What forewarm export --format=FORMAT prints, through `filter` when it is not "". */
static char *export_as(const char *format, const char *filter, int *ret_status)
{
	const size_t max = 4 << 20;
	char *text = malloc(max);

	assert_non_null(text);
	*ret_status = cli_run(text, max, "export --format=%s --trace %s %s", format, path, filter);
	return text;
}

static void test_export_json_is_json(void **state)
{
	int status;
	_cleanup_(freep) char *text = export_as("json", "", &status);
	unsigned edges_n = 0, others_n = 0;

	(void)state;
	assert_int_equal(status, 0);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_error_t e;
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, &e);
		const char *type;

		if (!o)
			fail_msg("%s: %s", e.text, line);
		type = json_string_value(json_object_get(o, "type"));
		assert_non_null(type);
		edges_n += strcmp(type, "edge") == 0;
		others_n++;
		for (const char *c = line; *c; c++)
			assert_true((unsigned char)*c >= 0x20);
		json_decref(o);
	}
	assert_true(edges_n >= ARRAY_SIZE(hostile) * ARRAY_SIZE(hostile));
	assert_true(others_n > edges_n);
}

/* A quoted string of dot: returns what follows it, or NULL. */
static const char *skip_quoted(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s && *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s == '\\' && !*++s)
			return NULL;
	}
	return *s ? s + 1 : NULL;
}

static void test_export_dot_is_dot(void **state)
{
	int status;
	_cleanup_(freep) char *text = export_as("dot", "", &status);
	unsigned nodes_n = 0, edges_n = 0;
	char *line = strtok(text, "\n");

	(void)state;
	assert_int_equal(status, 0);
	assert_string_equal(line, "digraph forewarm {");
	for (; (line = strtok(NULL, "\n"));) {
		const char *label = strstr(line, "[label="), *rest;
		unsigned from, to;

		if (!label) { /* nothing else holds a name */
			assert_null(strstr(line, "/srv/"));
			continue;
		}
		if (sscanf(line, " n%u -> n%u [", &from, &to) == 2)
			edges_n++;
		else if (sscanf(line, " n%u [", &from) == 1)
			nodes_n++;
		else
			fail_msg("neither node nor edge: %s", line);
		rest = skip_quoted(label + 7);
		if (!rest)
			fail_msg("not a quoted string: %s", line);
		if (strspn(rest, " shapetyl=bxnoicdg") + 2 != strlen(rest) ||
		    strcmp(rest + strlen(rest) - 2, "];") != 0)
			fail_msg("a name got out of its quotes: %s", line);
	}
	assert_true(nodes_n >= ARRAY_SIZE(hostile) && nodes_n <= 4 * ARRAY_SIZE(hostile));
	assert_true(edges_n >= ARRAY_SIZE(hostile) * ARRAY_SIZE(hostile));
}

static void test_export_graphml_is_xml(void **state)
{
	static const char read_back[] =
		"| python3 -c '\n"
		"import sys, xml.etree.ElementTree as t\n"
		"ns = \"{http://graphml.graphdrawing.org/xmlns}\"\n"
		"g = t.fromstring(sys.stdin.buffer.read()).find(ns + \"graph\")\n"
		"nodes = {n.get(\"id\") for n in g.findall(ns + \"node\")}\n"
		"edges = g.findall(ns + \"edge\")\n"
		"names = [d.text for n in g for d in n if d.get(\"key\") == \"name\"]\n"
		"ok = all(e.get(a) in nodes for e in edges for a in (\"source\", \"target\"))\n"
		"ok = ok and any(\"<tag>&amp;\" in n for n in names)\n"
		"print(ok, len(nodes), len(edges))'";
	int status;
	unsigned nodes_n = 0, edges_n = 0;
	_cleanup_(freep) char *text = NULL;

	(void)state;
	if (system("python3 -c 'import xml.etree.ElementTree' 2>/dev/null") != 0)
		skip_because("python3 is not installed: nobody to read the XML");
	text = export_as("graphml", read_back, &status);
	if (sscanf(text, "True %u %u", &nodes_n, &edges_n) != 2)
		fail_msg("%s", text);
	assert_true(nodes_n >= ARRAY_SIZE(hostile));
	assert_true(edges_n >= ARRAY_SIZE(hostile) * ARRAY_SIZE(hostile));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_export_json_is_json),
		cmocka_unit_test(test_export_dot_is_dot),
		cmocka_unit_test(test_export_graphml_is_xml),
	};

	return cmocka_run_group_tests_name("export", tests, setup, teardown);
}
