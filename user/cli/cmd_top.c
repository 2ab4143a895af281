// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cmd_top.c - one screen, renewed each second: rates since the last picture, not since the start.
 *
 * On a terminal the screen is drawn over; elsewhere each picture is one line, so that a log of it
 * can be read. With --json each picture is the daemon's answer as it came.
 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

struct picture {
	json_t *status;
	json_t *programs, *edges, *guesses; /* arrays */
};

static void picture_fini(struct picture *p)
{
	json_decref(p->status);
	json_decref(p->programs);
	json_decref(p->edges);
	json_decref(p->guesses);
	*p = (struct picture){0};
}

static void each_object(void *ctx, json_t *o)
{
	struct picture *p = ctx;

	if (is_type(o, "status"))
		p->status = json_incref(o);
	else if (is_type(o, "block"))
		json_array_append(p->programs, o);
	else if (is_type(o, "edge"))
		json_array_append(p->edges, o);
	else if (is_type(o, "guess"))
		json_array_append(p->guesses, o);
}

/* --- rates ----------------------------------------------------------------------------------- */

struct rates {
	double events_per_s, cpu_share, bpf_share;
	double ns_per_event; /* of BPF; 0 unknown */
};

static double difference(const json_t *now, const json_t *before, const char *key)
{
	return (double)get_n(now, key) - (double)get_n(before, key);
}

/* Between two pictures; since the daemon's start when there is only one. */
static struct rates rates_of(const struct picture *now, const struct picture *before)
{
	const json_t *a = json_object_get(now->status, "cost");
	const json_t *b = before->status ? json_object_get(before->status, "cost") : NULL;
	double ns = difference(a, b, "up_ns"), runs = difference(a, b, "bpf_runs_n");
	struct rates r = {0};

	if (ns <= 0)
		return r;
	r.events_per_s = difference(a, b, "events_n") * 1e9 / ns;
	r.cpu_share = difference(a, b, "cpu_ns") / ns;
	r.bpf_share = difference(a, b, "bpf_ns") / ns;
	r.ns_per_event = runs > 0 ? difference(a, b, "bpf_ns") / runs : 0;
	return r;
}

static uint64_t count_before(const struct picture *before, const json_t *edge)
{
	json_t *o;
	size_t i;

	json_array_foreach(before->edges, i, o)
	{
		if (strcmp(get_text(o, "from"), get_text(edge, "from")) == 0 &&
		    strcmp(get_text(o, "to"), get_text(edge, "to")) == 0 &&
		    strcmp(get_text(o, "kind"), get_text(edge, "kind")) == 0)
			return get_n(o, "count");
	}
	return get_n(edge, "count");
}

/* --- drawing --------------------------------------------------------------------------------- */

static void draw_line(const struct picture *p, const struct rates *r)
{
	const json_t *cost = json_object_get(p->status, "cost");
	const json_t *score = json_object_get(p->status, "score");
	const json_t *out = json_object_get(score, "outcomes");

	printf("%s: %.0f events/s, %s edges, %s guesses, %s acted on, %s hit, %s saved; "
	       "cost %.1f %% CPU, %s",
	       cli_ns(get_n(cost, "up_ns")), r->events_per_s,
	       cli_count(get_n(json_object_get(p->status, "graph"), "edges_n")),
	       cli_count(get_n(score, "guesses_n")), cli_count(get_n(score, "acted_n")),
	       cli_count(get_n(out, "hit")), cli_ns(get_n(score, "saved_ns")), 100 * r->cpu_share,
	       cli_bytes(get_n(cost, "rss_bytes")));
	if (r->ns_per_event > 0)
		printf(", %.0f ns a kernel event", r->ns_per_event);
	printf("\n");
	fflush(stdout);
}

static void draw_head(const struct cli *cli, const struct picture *p, const struct rates *r)
{
	const char *bold = cli->color ? "\033[1m" : "", *plain = cli->color ? "\033[0m" : "";
	const json_t *cost = json_object_get(p->status, "cost");
	const json_t *score = json_object_get(p->status, "score");
	const json_t *out = json_object_get(score, "outcomes");
	const json_t *graph = json_object_get(p->status, "graph");

	printf("%sforewarm%s  up %s, %s%.0f events/s%s, %s lost\n", bold, plain,
	       cli_ns(get_n(cost, "up_ns")), bold, r->events_per_s, plain,
	       cli_count(get_n(cost, "lost_n")));
	printf("knows     %s programs, files and services, %s%s edges%s\n",
	       cli_count(get_n(graph, "nodes_n")), bold, cli_count(get_n(graph, "edges_n")), plain);
	printf("guesses   %s%s%s made, %s acted on\n", bold, cli_count(get_n(score, "guesses_n")),
	       plain, cli_count(get_n(score, "acted_n")));
	printf("outcomes  %s%s hit%s, %s late, %s wasted, %s were there already\n", bold,
	       cli_count(get_n(out, "hit")), plain, cli_count(get_n(out, "late")),
	       cli_count(get_n(out, "wasted")), cli_count(get_n(out, "resident")));
	printf("benefit   %s%s saved%s; %s read ahead, %s of it in vain\n", bold,
	       cli_ns(get_n(score, "saved_ns")), plain, cli_bytes(get_n(score, "bytes_read")),
	       cli_bytes(get_n(score, "bytes_wasted")));
	printf("own cost  %.1f %% of a CPU, %s", 100 * r->cpu_share,
	       cli_bytes(get_n(cost, "rss_bytes")));
	if (has(cost, "bpf_ns"))
		printf("; in the kernel %.2f %%, %.0f ns an event", 100 * r->bpf_share,
		       r->ns_per_event);
	printf("\n\n");
}

static void draw_programs(const struct cli *cli, const struct picture *p, size_t rows)
{
	static const struct table_column columns[] = {
		{"HIT", 'r'},  {"LATE", 'r'},  {"WASTED", 'r'},	 {"READ", 'r'},
		{"VAIN", 'r'}, {"SAVED", 'r'}, {"PROGRAM", 'f'},
	};
	struct table *t = table_new(cli, columns, ARRAY_SIZE(columns));
	json_t *o;
	size_t i;

	json_array_foreach(p->programs, i, o)
	{
		const json_t *score = json_object_get(o, "score");
		const json_t *out = json_object_get(score, "outcomes");

		if (i >= rows)
			break;
		table_row(t, (const char *[]){
				     cli_count(get_n(out, "hit")), cli_count(get_n(out, "late")),
				     cli_count(get_n(out, "wasted")),
				     cli_bytes(get_n(score, "bytes_read")),
				     cli_bytes(get_n(score, "bytes_wasted")),
				     cli_ns(get_n(score, "saved_ns")), get_text(o, "name")});
	}
	table_print(t);
	if (i)
		printf("\n");
}

static void draw_edges(const struct cli *cli, const struct picture *p, const struct picture *before,
		       size_t rows)
{
	static const struct table_column columns[] = {
		{"TIMES", 'r'},	  {"NEW", 'r'},	 {"P50", 'r'},
		{"PROGRAM", 'l'}, {"KIND", 'l'}, {"NEEDS", 'f'},
	};
	struct table *t = table_new(cli, columns, ARRAY_SIZE(columns));
	json_t *o;
	size_t i;

	json_array_foreach(p->edges, i, o)
	{
		uint64_t count = get_n(o, "count");

		if (i >= rows)
			break;
		table_row(t, (const char *[]){cli_count(count),
					      cli_count(count - count_before(before, o)),
					      opt_ns(o, "latency_p50_ns"),
					      cli_fit(get_text(o, "from"), cli->columns / 4),
					      get_text(o, "kind"), get_text(o, "to")});
	}
	table_print(t);
}

/* A guess that came true without anything having been done was right, and hit nothing. */
static const char *outcome_of(const json_t *o)
{
	const char *outcome = get_text(o, "outcome");

	return strcmp(outcome, "hit") == 0 && !json_is_true(json_object_get(o, "acted")) ? "right"
											 : outcome;
}

static void draw_guesses(const struct cli *cli, const struct picture *p, size_t rows)
{
	static const struct table_column columns[] = {
		{"AGE", 'r'},	{"P", 'r'},	  {"OUTCOME", 'l'},
		{"SAVED", 'r'}, {"PROGRAM", 'l'}, {"GUESS", 'f'},
	};
	struct table *t = table_new(cli, columns, ARRAY_SIZE(columns));
	json_t *o;
	size_t i;

	json_array_foreach(p->guesses, i, o)
	{
		if (i >= rows)
			break;
		table_row(t, (const char *[]){cli_ns(get_n(o, "age_ns")),
					      cli_percent(get_real(o, "p")), outcome_of(o),
					      opt_ns(o, "saved_ns"),
					      cli_fit(get_text(o, "block"), cli->columns / 4),
					      get_text(o, "dep")});
	}
	if (table_rows(t))
		printf("\n");
	table_print(t);
}

/* Rows of each of the three tables that fit the terminal below the head. */
static size_t rows_that_fit(const struct cli *cli)
{
	struct winsize w = {0};

	if (cli->rows)
		return cli->rows;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row < 20)
		return 8;
	return (size_t)(w.ws_row - 13) / 3;
}

static void draw(const struct cli *cli, const struct picture *p, const struct picture *before)
{
	struct rates r = rates_of(p, before);
	size_t rows = rows_that_fit(cli);

	if (!cli->tty && !cli->once) {
		draw_line(p, &r);
		return;
	}
	if (!cli->once)
		printf("\033[H\033[J"); /* home, clear below: no flicker of a cleared screen */
	draw_head(cli, p, &r);
	draw_programs(cli, p, rows);
	draw_edges(cli, p, before, rows);
	draw_guesses(cli, p, rows);
	fflush(stdout);
}

/* --- the loop -------------------------------------------------------------------------------- */

static int take_picture(struct cli *cli, uint64_t since_ns, struct picture *ret)
{
	json_t *args = json_pack("{s:I, s:I}", "since_wall_ns", (json_int_t)since_ns, "rows",
				 (json_int_t)(cli->rows ? cli->rows : 40));

	*ret = (struct picture){
		.programs = json_array(), .edges = json_array(), .guesses = json_array()};
	return cli_ask(cli, "top", args, each_object, ret);
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = {(time_t)(ns / 1000000000ull), (long)(ns % 1000000000ull)};

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL); /* a signal ends it too */
}

int cmd_top(struct cli *cli)
{
	_cleanup_(picture_fini) struct picture before = {0};
	uint64_t start = clock_ns(CLOCK_MONOTONIC), next = start, since = 0;
	bool full_screen = cli->tty && !cli->once && !cli->json;
	int r = 0;

	cli_catch_signals();
	if (cli->every_ns < 100000000)
		cli->every_ns = 100000000; /* ten pictures a second cost the daemon enough */
	if (full_screen)
		printf("\033[?1049h\033[?25l"); /* the other screen, no cursor */
	while (!cli_stopped) {
		_cleanup_(picture_fini) struct picture now = {0};
		uint64_t asked = clock_ns(CLOCK_REALTIME);

		r = take_picture(cli, since, &now);
		if (r != FWM_STATUS_OK)
			break;
		if (!cli->json && now.status)
			draw(cli, &now, &before);
		if (cli->json)
			fflush(stdout);
		picture_fini(&before);
		before = now;
		now = (struct picture){0};
		since = asked;
		next += cli->every_ns;
		if (cli->once || (cli->for_ns && next > start + cli->for_ns))
			break;
		sleep_until(next);
	}
	if (full_screen) {
		printf("\033[?25h\033[?1049l");
		if (before.status) { /* what was on the screen last stays readable */
			struct picture none = {0};
			struct rates rates = rates_of(&before, &none);

			draw_head(cli, &before, &rates);
		}
	}
	return r;
}
