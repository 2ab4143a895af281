// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_pool.c - pool: the sandboxes that wait, how soon one is handed out, and what they cost. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1024 };

struct listing {
	const struct cli *cli;
	struct table *pools, *states;
	char notes[TEXT_MAX * 4];
	size_t notes_n;
};

static void note(struct listing *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct listing *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->notes + l->notes_n, sizeof(l->notes) - l->notes_n, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(l->notes) - l->notes_n)
		l->notes_n += (size_t)n;
}

static uint64_t used(const json_t *states)
{
	static const char *const names[] = {"starting", "ready", "active", "frozen"};
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		n += get_n(states, names[i]);
	return n;
}

static void limits(struct listing *l, const json_t *o)
{
	const json_t *missing = json_object_get(o, "unlimited");
	const char *sep = "";
	json_t *x;
	size_t i;

	note(l, "%s: limits by %s", get_text(o, "name"), get_text(o, "limits"));
	if (json_array_size(missing))
		note(l, "; this host cannot limit ");
	json_array_foreach(missing, i, x)
	{
		note(l, "%s%s", sep, json_string_value(x));
		sep = ", ";
	}
	if (has(o, "kept_by"))
		note(l, "; kept over a restart by the %s", get_text(o, "kept_by"));
	note(l, "\n");
}

static void each_pool(void *ctx, json_t *o)
{
	struct listing *l = ctx;
	const json_t *states = json_object_get(o, "states");
	char ready[32], in_use[32], max[32], handed[32], fresh[32], p50[32], p99[32], memory[32];

	if (!is_type(o, "pool"))
		return;
	if (has(o, "none")) {
		note(l, "%s: no pool now: %s\n", get_text(o, "name"), get_text(o, "none"));
		return;
	}
	snprintf(ready, sizeof(ready), "%" PRIu64 "+%" PRIu64, get_n(o, "parked_private_n"),
		 get_n(o, "parked_host_n"));
	snprintf(in_use, sizeof(in_use), "%" PRIu64, used(states));
	snprintf(max, sizeof(max), "%" PRIu64, get_n(o, "max_n"));
	snprintf(handed, sizeof(handed), "%s", cli_count(get_n(o, "handed_out_n")));
	snprintf(fresh, sizeof(fresh), "%s", cli_count(get_n(o, "fresh_n")));
	snprintf(p50, sizeof(p50), "%s", opt_ns(o, "exec_p50_ns"));
	snprintf(p99, sizeof(p99), "%s", opt_ns(o, "exec_p99_ns"));
	snprintf(memory, sizeof(memory), "%s", opt_bytes(o, "memory_bytes"));
	table_row(l->pools,
		  (const char *[]){get_text(o, "name"), ready, in_use, max, get_text(o, "refill"),
				   handed, fresh, p50, p99, memory});
	note(l, "%s: %s filled in %s each, %s failed", get_text(o, "name"),
	     cli_count(get_n(o, "filled_n")), cli_ns(get_n(o, "fill_ns")),
	     cli_count(get_n(o, "failed_n")));
	if (has(o, "exec_fresh_p50_ns"))
		note(l, "; made when asked for %s", opt_ns(o, "exec_fresh_p50_ns"));
	if (has(o, "release_p50_ns"))
		note(l, "; given up in %s", opt_ns(o, "release_p50_ns"));
	note(l, "\n");
	limits(l, o);
}

int cmd_pool(struct cli *cli)
{
	/* READY: with a network of their own + with the host's; HANDED: out; to execve done. */
	static const struct table_column columns[] = {
		{"POOL", 'f'},	 {"READY", 'l'}, {"USED", 'r'},	    {"MAX", 'r'}, {"REFILL", 'l'},
		{"HANDED", 'r'}, {"FRESH", 'r'}, {"EXEC p50", 'r'}, {"p99", 'r'}, {"MEMORY", 'r'}};
	struct listing l = {.cli = cli,
			    .pools = table_new(cli, columns, sizeof(columns) / sizeof(*columns))};
	int r = cli_ask(cli, "pool", NULL, each_pool, &l);

	table_print(l.pools);
	for (char *line = l.notes, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		cli_wrap(cli, line, 0, 2);
	}
	return r;
}
