// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_graph.c - deps, needs, predict: one thing and its edges, one table a kind of edge. */
#include "cli/cli.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The kinds of edges that are shown alike, in the order of their tables. */
enum { TOUCH_MAX = 4 };
static const struct {
	const char *kind, *out, *in;
} touches[TOUCH_MAX] = {
	{"connect", "CONNECTS TO", "IS CONNECTED TO BY"},
	{"listen", "ANSWERS AT", "IS ANSWERED BY"},
	{"open", "OPENS", "IS OPENED BY"},
	{"below", "PROGRAMS BELOW IT NEED", "IS NEEDED BELOW"},
};

struct listing {
	struct cli *cli;
	struct table *runs, *candidates, *rows, *touches[TOUCH_MAX];
	bool incoming;
	uint64_t more;
};

/* --- what all three print ------------------------------------------------------------------- */

static void print_thing(const struct listing *l, const json_t *o)
{
	const char *type = get_text(o, "type");

	printf("%s\n", cli_fit(get_text(o, "name"), l->cli->columns));
	if (strcmp(type, "block") == 0) {
		printf("  program, run %s, last %s ago; needs %s\n\n",
		       cli_things(get_n(o, "runs_n"), "time"), cli_ns(get_n(o, "idle_ns")),
		       cli_things(get_n(o, "needs_n"), "thing"));
		return;
	}
	printf("  %s%s", has(o, "directory") ? "directory" : type,
	       has(o, "absent") ? " that is not there" : "");
	if (!has(o, "absent") && get_n(o, "size_bytes"))
		printf(", %s", cli_bytes(get_n(o, "size_bytes")));
	printf(", last needed %s ago, by %s\n\n", cli_ns(get_n(o, "idle_ns")),
	       cli_things(get_n(o, "needed_by_n"), "program"));
}

static void row_candidate(struct listing *l, const json_t *o)
{
	static const struct table_column columns[] = {{"TIMES", 'r'}, {"KIND", 'l'}, {"NAME", 'f'}};

	if (!l->candidates)
		l->candidates = table_new(l->cli, columns, ARRAY_SIZE(columns));
	table_row(l->candidates, (const char *[]){cli_count(get_n(o, "runs_n")),
						  get_text(o, "kind"), get_text(o, "name")});
}

/* "libc.so.6", "x (absent)", "x (2 of 9 failed)" */
static const char *edge_name(const struct listing *l, const json_t *o)
{
	static char name[4200];
	const char *s = get_text(o, l->incoming ? "from" : "to");
	uint64_t fail_n = get_n(o, "fail_n");

	if (has(o, "absent") && !l->incoming)
		snprintf(name, sizeof(name), "%s (absent)", s);
	else if (fail_n && fail_n < get_n(o, "count"))
		snprintf(name, sizeof(name), "%s (%" PRIu64 " of %" PRIu64 " failed)", s, fail_n,
			 get_n(o, "count"));
	else if (fail_n)
		snprintf(name, sizeof(name), "%s (%s)", s, strerror((int)get_n(o, "errno")));
	else
		return s;
	return name;
}

static void row_run(struct listing *l, const json_t *o)
{
	static const struct table_column out[] = {
		{"SHARE", 'r'}, {"LEAD", 'r'}, {"COLD", 'r'}, {"WARM", 'r'},
		{"CPU", 'r'},	{"RSS", 'r'},  {"READ", 'r'}, {"RUNS", 'f'},
	};
	static const struct table_column in[] = {
		{"SHARE", 'r'}, {"LEAD", 'r'}, {"COLD", 'r'}, {"WARM", 'r'},
		{"CPU", 'r'},	{"RSS", 'r'},  {"READ", 'r'}, {"IS RUN BY", 'f'},
	};

	if (!l->runs)
		l->runs = table_new(l->cli, l->incoming ? in : out, ARRAY_SIZE(out));
	table_row(l->runs,
		  (const char *[]){cli_percent(get_real(o, "share")), opt_ns(o, "lead_mean_ns"),
				   opt_ns(o, "cold_mean_ns"), opt_ns(o, "warm_mean_ns"),
				   opt_ns(o, "cpu_mean_ns"), opt_bytes(o, "rss_peak_bytes"),
				   opt_bytes(o, "read_mean_bytes"), edge_name(l, o)});
}

static void row_touch(struct listing *l, const char *kind, const json_t *o)
{
	size_t i = 0;

	while (i + 1 < TOUCH_MAX && strcmp(kind, touches[i].kind) != 0)
		i++;
	if (!l->touches[i]) {
		const struct table_column columns[] = {
			{"SHARE", 'r'}, {"LEAD", 'r'},
			{"P50", 'r'},	{"P99", 'r'},
			{"TIMES", 'r'}, {l->incoming ? touches[i].in : touches[i].out, 'f'},
		};

		l->touches[i] = table_new(l->cli, columns, ARRAY_SIZE(columns));
	}
	table_row(l->touches[i],
		  (const char *[]){cli_percent(get_real(o, "share")), opt_ns(o, "lead_mean_ns"),
				   opt_ns(o, "latency_p50_ns"), opt_ns(o, "latency_p99_ns"),
				   cli_count(get_n(o, "count")), edge_name(l, o)});
}

static void row_prediction(struct listing *l, const json_t *o)
{
	static const struct table_column columns[] = {
		{"P", 'r'},	{"LEAD", 'r'}, {"SEEN", 'r'},
		{"WORTH", 'r'}, {"KIND", 'l'}, {"WILL NEED", 'f'},
	};
	char name[8300];

	if (!l->rows)
		l->rows = table_new(l->cli, columns, ARRAY_SIZE(columns));
	if (has(o, "via"))
		snprintf(name, sizeof(name), "%s (for %s)", get_text(o, "dep"), get_text(o, "via"));
	else
		snprintf(name, sizeof(name), "%s%s", get_text(o, "dep"),
			 has(o, "absent") ? " (absent)" : "");
	table_row(l->rows,
		  (const char *[]){cli_percent(get_real(o, "p")), cli_ns(get_n(o, "lead_ns")),
				   cli_count(get_n(o, "support")),
				   cli_ns((uint64_t)(get_real(o, "value_us") * 1000)),
				   get_text(o, "kind"), name});
}

static void each_object(void *ctx, json_t *o)
{
	struct listing *l = ctx;
	const char *kind = get_text(o, "kind");

	if (is_type(o, "candidate"))
		row_candidate(l, o);
	else if (is_type(o, "more"))
		l->more += get_n(o, "rows_n");
	else if (is_type(o, "prediction"))
		row_prediction(l, o);
	else if (!is_type(o, "edge"))
		print_thing(l, o);
	else if (strcmp(kind, "exec") == 0)
		row_run(l, o);
	else
		row_touch(l, kind, o);
}

static int list(struct cli *cli, const char *cmd, bool incoming)
{
	struct listing l = {.cli = cli, .incoming = incoming};
	struct table *tables[3 + TOUCH_MAX];
	json_t *args = json_pack("{s:s}", "name", cli->argv[0]);
	bool first = true;
	int r;

	if (!args)
		return cli_usage(cli, "a name must be UTF-8");
	if (cli->rows)
		json_object_set_new(args, "rows", json_integer((json_int_t)cli->rows));
	r = cli_ask(cli, cmd, args, each_object, &l);
	tables[0] = l.candidates;
	tables[1] = l.runs;
	memcpy(tables + 2, l.touches, sizeof(l.touches));
	tables[2 + TOUCH_MAX] = l.rows;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (table_rows(tables[i]) && !first)
			putchar('\n');
		first = first && !table_rows(tables[i]);
		table_print(tables[i]);
	}
	if (l.more)
		printf("\n%s more; see them with --rows\n", cli_count(l.more));
	if (r == FWM_STATUS_OK && first && !cli->json)
		printf("  nothing %s yet\n", incoming ? "needs it" : "is known of its needs");
	return r;
}

int cmd_deps(struct cli *cli)
{
	return list(cli, "deps", false);
}

int cmd_needs(struct cli *cli)
{
	return list(cli, "needs", true);
}

int cmd_predict(struct cli *cli)
{
	return list(cli, "predict", false);
}
