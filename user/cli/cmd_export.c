// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cmd_export.c - the graph for other programs: NDJSON as it comes, Graphviz, GraphML.
 *
 * The daemon names the ends of an edge; dot and GraphML want each node once with an id, so ids are
 * given here, in the order names are first met.
 */
#include "cli/cli.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct writer {
	json_t *ids; /* "kind name" -> id */
	bool graphml, opened;
};

/* name in a double-quoted string of dot, or in XML text. */
static void print_quoted(const char *name, bool xml)
{
	const char *s = cli_text(name);

	for (; *s; s++) {
		if (!xml && (*s == '"' || *s == '\\'))
			printf("\\%c", *s);
		else if (xml && *s == '&')
			printf("&amp;");
		else if (xml && *s == '<')
			printf("&lt;");
		else if (xml && *s == '>')
			printf("&gt;");
		else if (xml && *s == '"')
			printf("&quot;");
		else if (xml &&
			 (strncmp(s, "\xef\xbf\xbe", 3) == 0 || strncmp(s, "\xef\xbf\xbf", 3) == 0))
			/* U+FFFE and U+FFFF: characters, but none of XML's */
			printf("\\xef\\xbf\\x%02x", (unsigned char)(s += 2)[0]);
		else
			putchar(*s);
	}
}

static void print_node(const struct writer *w, json_int_t id, const char *kind, const char *name)
{
	static const char *const shapes[][2] = {
		{"block", "box"}, {"file", "note"}, {"service", "ellipse"}};

	if (w->graphml) {
		printf("  <node id=\"n%" JSON_INTEGER_FORMAT "\"><data key=\"kind\">%s</data>"
		       "<data key=\"name\">",
		       id, kind);
		print_quoted(name, true);
		printf("</data></node>\n");
		return;
	}
	printf("  n%" JSON_INTEGER_FORMAT " [label=\"", id);
	print_quoted(name, false);
	printf("\"");
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (strcmp(kind, shapes[i][0]) == 0)
			printf(" shape=%s", shapes[i][1]);
	printf("];\n");
}

/* The node's id; a new one is printed. */
static json_int_t node_id(struct writer *w, const char *kind, const char *name)
{
	char key[4200];
	json_t *have;
	json_int_t id;

	snprintf(key, sizeof(key), "%s %s", kind, name);
	have = json_object_get(w->ids, key);
	if (have)
		return json_integer_value(have);
	id = (json_int_t)json_object_size(w->ids) + 1;
	json_object_set_new(w->ids, key, json_integer(id));
	print_node(w, id, kind, name);
	return id;
}

static void print_edge(struct writer *w, const json_t *o)
{
	json_int_t from = node_id(w, "block", get_text(o, "from"));
	json_int_t to = node_id(w, get_text(o, "to_kind"), get_text(o, "to"));
	double share = get_real(o, "share");

	if (w->graphml) {
		printf("  <edge source=\"n%" JSON_INTEGER_FORMAT
		       "\" target=\"n%" JSON_INTEGER_FORMAT
		       "\"><data key=\"edge\">%s</data><data key=\"count\">%" PRIu64
		       "</data><data key=\"share\">%.4f</data><data key=\"latency\">%" PRIu64
		       "</data><data key=\"lead\">%" PRIu64 "</data></edge>\n",
		       from, to, get_text(o, "kind"), get_n(o, "count"), share,
		       get_n(o, "latency_mean_ns"), get_n(o, "lead_mean_ns"));
		return;
	}
	printf("  n%" JSON_INTEGER_FORMAT " -> n%" JSON_INTEGER_FORMAT " [label=\"%s %s\"%s];\n",
	       from, to, get_text(o, "kind"), cli_percent(share),
	       strcmp(get_text(o, "kind"), "exec") == 0 ? " style=bold" : "");
}

/* Only when there is an answer: a failure leaves no half document behind. */
static void open_document(struct writer *w)
{
	static const char *const keys[][3] = {
		{"name", "node", "string"},  {"kind", "node", "string"},
		{"edge", "edge", "string"},  {"count", "edge", "long"},
		{"share", "edge", "double"}, {"latency", "edge", "long"},
		{"lead", "edge", "long"},
	};

	if (w->opened)
		return;
	w->opened = true;
	if (!w->graphml) {
		printf("digraph forewarm {\n  rankdir=LR;\n");
		return;
	}
	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	       "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		printf(" <key id=\"%s\" for=\"%s\" attr.name=\"%s\" attr.type=\"%s\"/>\n",
		       keys[i][0], keys[i][1], keys[i][0], keys[i][2]);
	printf(" <graph edgedefault=\"directed\">\n");
}

static void each_object(void *ctx, json_t *o)
{
	struct writer *w = ctx;

	open_document(w);
	if (is_type(o, "edge"))
		print_edge(w, o);
	else
		(void)node_id(w, get_text(o, "type"), get_text(o, "name"));
}

int cmd_export(struct cli *cli)
{
	struct writer w = {0};
	const char *format = cli->format ? cli->format : "json";
	int r;

	if (strcmp(format, "json") == 0 || cli->json) {
		cli->json = true;
		return cli_ask(cli, "export", NULL, NULL, NULL);
	}
	w.graphml = strcmp(format, "graphml") == 0;
	if (!w.graphml && strcmp(format, "dot") != 0)
		return cli_usage(cli, "--format is dot, json or graphml, not '%s'", format);
	w.ids = json_object();
	r = cli_ask(cli, "export", NULL, each_object, &w);
	if (r == FWM_STATUS_OK)
		open_document(&w);
	if (w.opened)
		printf(w.graphml ? " </graph>\n</graphml>\n" : "}\n");
	json_decref(w.ids);
	return r;
}
