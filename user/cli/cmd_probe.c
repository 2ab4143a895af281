// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_probe.c - what this host offers; looked at here and now, so it needs no daemon, but root. */
#include "cli/cli.h"

#include "api/socket.h"
#include "base/cleanup.h"
#include "sys/probe.h"
#include "sys/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_COLUMNS = 30 };

static void print_item(const struct cli *cli, const struct probe_item *item)
{
	static const char *const colors[] = {
		[PROBE_OK] = "\033[32m",
		[PROBE_DEGRADED] = "\033[33m",
		[PROBE_MISSING] = "\033[31m",
		[PROBE_OPTIONAL] = "\033[2m",
	};
	const char *on = cli->color ? colors[item->state] : "", *off = cli->color ? "\033[0m" : "";

	printf("  %s%-9s%s %-*s ", on, probe_state_name(item->state), off, NAME_COLUMNS,
	       cli_fit(item->name, NAME_COLUMNS));
	cli_wrap(cli, item->detail, 13 + NAME_COLUMNS, 13 + NAME_COLUMNS);
}

static void print_json(const struct probe_item *item)
{
	json_t *o = json_pack("{s:s, s:s, s:o, s:s, s:o}", "type", "probe", "group", item->group,
			      "name", api_string(item->name), "state",
			      probe_state_name(item->state), "detail", api_string(item->detail));

	cli_print_json(o);
	json_decref(o);
}

static void ignore(void *ctx, const struct obs *o)
{
	(void)ctx;
	(void)o;
}

/* Loads the hooks and makes each see something, beside a daemon that may be running. */
static size_t probe_hooks(struct probe_item *items, size_t max)
{
	char why[CAPTURE_WHY_MAX] = "";
	struct capture_opts opts = {.only_targets = true, .ring_bytes = 256 << 10, .why = why};
	struct capture *c = NULL;
	struct selftest t = {0};
	size_t n = 0;
	int r = capture_open(&opts, &c);

	if (r >= 0)
		r = capture_selftest(c, ignore, NULL, &t);
	for (int h = 0; h < FWM_HOOK_MAX && n < max; h++, n++) {
		struct probe_item *i = &items[n];

		*i = (struct probe_item){.group = "self-test",
					 .state = r >= 0 && t.ok[h] ? PROBE_OK : PROBE_DEGRADED};
		snprintf(i->name, sizeof(i->name), "%s", hook_name((enum fwm_hook)h));
		snprintf(i->detail, sizeof(i->detail), "%.*s", (int)sizeof(i->detail) - 1,
			 i->state == PROBE_OK ? "sees"
			 : r < 0 && why[0]    ? why
					      : "sees nothing");
	}
	(void)capture_close(c);
	return n;
}

int cmd_probe(struct cli *cli)
{
	_cleanup_(freep) struct probe_item *items = calloc(PROBE_MAX, sizeof(*items));
	size_t n, counts[PROBE_OPTIONAL + 1] = {0};
	const char *group = "";

	if (!items)
		return cli_fail(FWM_STATUS_FAILED, "out of memory");
	if (geteuid() != 0)
		return cli_fail(FWM_STATUS_FORBIDDEN,
				"probing the kernel takes root: sudo forewarm probe");
	n = probe_run(items, PROBE_MAX);
	n += probe_hooks(items + n, PROBE_MAX - n);
	for (size_t i = 0; i < n && i < PROBE_MAX; i++) {
		counts[items[i].state]++;
		if (cli->json) {
			print_json(&items[i]);
			continue;
		}
		if (strcmp(group, items[i].group) != 0)
			printf("%s%s\n", *group ? "\n" : "", items[i].group);
		group = items[i].group;
		print_item(cli, &items[i]);
	}
	if (cli->json)
		cli_print_end(counts[PROBE_MISSING] ? FWM_STATUS_FAILED : FWM_STATUS_OK);
	else if (counts[PROBE_MISSING])
		printf("\nforewarmd cannot run here: %zu of these are missing.\n",
		       counts[PROBE_MISSING]);
	else
		printf("\nforewarmd can run here%s.\n",
		       counts[PROBE_DEGRADED] ? ", seeing or doing less where it says degraded"
					      : "");
	return counts[PROBE_MISSING] ? FWM_STATUS_FAILED : FWM_STATUS_OK;
}
