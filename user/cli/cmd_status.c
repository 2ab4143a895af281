// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_status.c - status, and the generic tables of what the daemon's other parts tell. */
#include "cli/cli.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static void print_cost(const json_t *cost)
{
	double up_s = (double)get_n(cost, "up_ns") / 1e9;
	double cpu_s = (double)get_n(cost, "cpu_ns") / 1e9;

	if (!has(cost, "rss_bytes"))
		return; /* a trace has no daemon */
	printf("  cost        %s of memory, %.2f %% of a CPU", cli_bytes(get_n(cost, "rss_bytes")),
	       up_s > 0 ? 100 * cpu_s / up_s : 0);
	if (get_n(cost, "bpf_runs_n"))
		printf(", %.0f ns an event",
		       (double)get_n(cost, "bpf_ns") / (double)get_n(cost, "bpf_runs_n"));
	if (has(cost, "store_bytes"))
		printf(", %s on disk", cli_bytes(get_n(cost, "store_bytes")));
	printf("\n");
}

void cli_print_score(const json_t *s)
{
	const json_t *o = json_object_get(s, "outcomes");

	printf("  guesses     %s made, %s acted on\n", cli_count(get_n(s, "guesses_n")),
	       cli_count(get_n(s, "acted_n")));
	printf("  outcomes    %s hit, %s late, %s wasted, %s were there already\n",
	       cli_count(get_n(o, "hit")), cli_count(get_n(o, "late")),
	       cli_count(get_n(o, "wasted")), cli_count(get_n(o, "resident")));
	printf("  lately      precision %s, recall %s; asks %.2g of value per price\n",
	       cli_percent(get_real(s, "precision")), cli_percent(get_real(s, "recall")),
	       get_real(s, "lambda"));
	printf("  benefit     %s saved; %s read ahead, %s of it in vain\n",
	       cli_ns(get_n(s, "saved_ns")), cli_bytes(get_n(s, "bytes_read")),
	       cli_bytes(get_n(s, "bytes_wasted")));
}

/* Since the database was made, where that is longer than the daemon runs. */
static void print_score_all(const json_t *all, const json_t *s)
{
	const json_t *o = json_object_get(all, "outcomes");

	if (!all || get_n(all, "acted_n") == get_n(s, "acted_n"))
		return;
	printf("  in all      %s acted on: %s hit, %s late, %s wasted; %s saved\n",
	       cli_count(get_n(all, "acted_n")), cli_count(get_n(o, "hit")),
	       cli_count(get_n(o, "late")), cli_count(get_n(o, "wasted")),
	       cli_ns(get_n(all, "saved_ns")));
	printf("              %s read ahead, %s of it in vain\n",
	       cli_bytes(get_n(all, "bytes_read")), cli_bytes(get_n(all, "bytes_wasted")));
}

static void print_pressure(const json_t *p)
{
	if (!get_n(p, "mem_total_bytes"))
		return;
	printf("  host        %s of %s available", cli_bytes(get_n(p, "mem_available_bytes")),
	       cli_bytes(get_n(p, "mem_total_bytes")));
	if (has(p, "io_some_avg10"))
		printf("; stalled: I/O %.1f %%, memory %.1f %%, CPU %.1f %%",
		       get_real(p, "io_some_avg10"), get_real(p, "mem_some_avg10"),
		       get_real(p, "cpu_some_avg10"));
	printf("\n");
}

/* What was left out since there was no room for it: what is bounded must say so when it is full. */
static void print_refused(const json_t *cost)
{
	uint64_t rows_n = get_n(cost, "rows_refused_n"), named_n = get_n(cost, "uncontained_n");

	if (rows_n)
		printf("  no room     for %s of the tables in the kernel\n",
		       cli_things(rows_n, "row"));
	if (get_n(cost, "reads_refused_n"))
		printf("  no room     for %s, with too many waiting\n",
		       cli_things(get_n(cost, "reads_refused_n"), "read"));
	if (get_n(cost, "reads_forgotten_n"))
		printf("  no room     to remember %s: kept if they were wrong\n",
		       cli_things(get_n(cost, "reads_forgotten_n"), "read"));
	if (named_n)
		printf("  no room     for the container of %s processes: taken for the host's\n",
		       cli_count(named_n));
}

static void each_status(void *ctx, json_t *o)
{
	const json_t *cost = json_object_get(o, "cost"), *obs = json_object_get(o, "observed");
	const json_t *graph = json_object_get(o, "graph"),
		     *first = json_object_get(o, "first_read");

	(void)ctx;
	if (!is_type(o, "status"))
		return;
	if (has(cost, "rss_bytes"))
		printf("forewarmd %s, up %s%s\n", cli_text(get_text(o, "version")),
		       cli_ns(get_n(cost, "up_ns")),
		       json_is_true(json_object_get(o, "acting")) ? ""
								  : ", only learning (act = no)");
	else
		printf("a trace of %s\n", cli_ns(get_n(cost, "up_ns")));
	printf("  events      %s: %s runs, %s opens, %s connects",
	       cli_count(get_n(cost, "events_n")),
	       cli_count(get_n(obs, "exec") + get_n(obs, "starts")), cli_count(get_n(obs, "open")),
	       cli_count(get_n(obs, "connect")));
	if (has(cost, "lost_n"))
		printf("; %s lost", cli_count(get_n(cost, "lost_n")));
	printf("\n");
	if (get_n(obs, "starts"))
		printf("  counted     %s of these runs, of known programs while much was started\n",
		       cli_count(get_n(obs, "starts")));
	if (has(cost, "degraded"))
		printf("  degraded    these hooks see nothing: %s (sudo forewarm probe)\n",
		       cli_text(get_text(cost, "degraded")));
	print_refused(cost);
	printf("  known       %s programs, files, services; %s dependencies; %s processes",
	       cli_count(get_n(graph, "nodes_n")), cli_count(get_n(graph, "edges_n")),
	       cli_count(get_n(o, "processes_n")));
	if (get_n(o, "contained_n"))
		printf(", %s in containers", cli_count(get_n(o, "contained_n")));
	printf("\n");
	cli_print_score(json_object_get(o, "score"));
	print_score_all(json_object_get(o, "score_all"), json_object_get(o, "score"));
	if (first)
		printf("  first read  %s after a program's start, p99 %s, of %s\n",
		       cli_ns(get_n(first, "p50_ns")), cli_ns(get_n(first, "p99_ns")),
		       cli_things(get_n(first, "starts_n"), "start"));
	print_cost(cost);
	print_pressure(json_object_get(o, "pressure"));
}

int cmd_status(struct cli *cli)
{
	return cli_ask(cli, "status", NULL, each_status, NULL);
}
