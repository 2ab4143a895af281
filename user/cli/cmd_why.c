// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_why.c - the story of each guess about a thing: from what, how sure, what was done, what came. */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct telling {
	struct cli *cli;
	struct table *candidates;
	unsigned things_n, guesses_n;
	uint64_t more;
	bool unit; /* what was asked for is none of the services */
};

static void print_thing(const json_t *o)
{
	const json_t *score = json_object_get(o, "score");
	const json_t *came = json_object_get(score, "outcomes");

	printf("%s: ", cli_text(get_text(o, "name")));
	if (is_type(o, "block"))
		printf("a program, run %s", cli_things(get_n(o, "runs_n"), "time"));
	else if (has(o, "absent"))
		printf("a file that is not there");
	else if (is_type(o, "file"))
		printf("a %s", has(o, "directory") ? "directory" : "file");
	else
		printf("a service");
	if (get_n(o, "size_bytes") && !has(o, "absent"))
		printf(" of %s", cli_bytes(get_n(o, "size_bytes")));
	printf(", needed by %s.\n", cli_things(get_n(o, "needed_by_n"), "program"));
	if (get_n(score, "bytes_read"))
		printf("So far: %s hit, %s late, %s wasted; %s read ahead, %s of it in vain; %s "
		       "saved.\n",
		       cli_count(get_n(came, "hit")), cli_count(get_n(came, "late")),
		       cli_count(get_n(came, "wasted")), cli_bytes(get_n(score, "bytes_read")),
		       cli_bytes(get_n(score, "bytes_wasted")), cli_ns(get_n(score, "saved_ns")));
}

/* "after B after A": the lineage, latest first, without the block itself. */
static void tell_context(FILE *f, const json_t *o)
{
	json_t *context = json_object_get(o, "context"), *name;
	size_t i;

	json_array_foreach(context, i, name)
	{
		const char *s = json_string_value(name);

		if (!s || (i == 0 && strcmp(s, get_text(o, "block")) == 0))
			continue;
		fprintf(f, ", after %s", cli_text(s));
	}
}

static void tell_guess(FILE *f, const json_t *o)
{
	const char *kind = get_text(o, "kind"), *dep = get_text(o, "dep"), *does = " would open ";
	const char *via = has(o, "via") ? get_text(o, "via") : "it";

	if (strcmp(kind, "exec") == 0)
		does = " would run ";
	else if (strcmp(kind, "connect") == 0)
		does = " would connect to ";
	else if (has(o, "absent"))
		does = " would look in vain for ";
	else if (has(o, "lookup"))
		does = " would ask about ";
	if (strcmp(via, dep) == 0) /* a later step itself */
		fprintf(f, "guessed that %s would run", cli_text(dep));
	else
		fprintf(f, "guessed that %s%s%s", cli_text(via), does, cli_text(dep));
	if (get_n(o, "lead_ns"))
		fprintf(f, " %s later", cli_ns(get_n(o, "lead_ns")));
	fprintf(f, ", with probability %.2f", get_real(o, "p"));
	if (get_n(o, "support"))
		fprintf(f, "; that context was seen %s", cli_things(get_n(o, "support"), "time"));
	fprintf(f, ".");
}

static void tell_when(FILE *f, const json_t *o)
{
	fprintf(f, "%s ago, when %s ran", cli_ns(get_n(o, "age_ns")),
		cli_text(get_text(o, "block")));
	tell_context(f, o);
	fprintf(f, ":");
}

static void print_guess_made(const struct cli *cli, const json_t *o)
{
	printf("\n");
	cli_told(cli, tell_when, o, 0, 0);
	printf("  ");
	cli_told(cli, tell_guess, o, 2, 2);
}

/* Why nothing was done. */
static void tell_undone(FILE *f, const json_t *o)
{
	static const struct {
		const char *decision, *text;
	} rows[] = {
		{"none", "it is what the program needs that is made ready"},
		{"waits", "it was not due yet, or its turn had not come, as when the host is busy "
			  "or the budget used up"},
		{"unworthy", "it was not worth its price"},
		{"late", "its time had passed when its turn came"},
		{"untrusted",
		 "the habit is too young, or failed too often, to read so much for it"},
		{"full", "too many others waited"},
	};
	const char *decision = get_text(o, "decision");
	int err = (int)get_n(o, "errno");

	fprintf(f, "Nothing was done about it");
	if (strcmp(decision, "failed") == 0 && err == EBUSY)
		fprintf(f, ": the program's control group waited for memory or a disk as it was");
	else if (strcmp(decision, "failed") == 0 && err == ENOMEM)
		fprintf(f, ": the program's control group had no room for so much");
	else if (strcmp(decision, "failed") == 0)
		fprintf(f, ": it was tried, and that failed: %s", strerror(err));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(decision, rows[i].decision) == 0)
			fprintf(f, ": %s", rows[i].text);
	if (strcmp(decision, "none") != 0)
		fprintf(f, " (worth %s, ", cli_ns((uint64_t)(get_real(o, "value_us") * 1000)));
	if (strcmp(decision, "none") != 0)
		fprintf(f, "price %s)", cli_ns((uint64_t)(get_real(o, "price_us") * 1000)));
	fprintf(f, ".");
}

static void print_guess_act(const struct cli *cli, const json_t *o)
{
	if (!json_is_true(json_object_get(o, "acted"))) {
		printf("  ");
		cli_told(cli, tell_undone, o, 2, 2);
		return;
	}
	printf("  Made ready");
	if (has(o, "done_after_ns"))
		printf(" %s after the guess", cli_ns(get_n(o, "done_after_ns")));
	if (has(o, "bytes_read"))
		printf(", %s read", cli_bytes(get_n(o, "bytes_read")));
	printf(".\n");
}

static void print_guess_outcome(const struct cli *cli, const json_t *o)
{
	static const struct {
		const char *outcome, *color, *text;
	} rows[] = {
		{"open", "", "Not decided yet"},
		{"hit", "\033[32m", "Hit: it was needed"},
		{"right", "", "The guess was right: it was needed"},
		{"late", "\033[33m", "Late: it was needed before it was ready"},
		{"wasted", "\033[31m", "Wasted: it was not needed in time"},
		{"missed", "\033[33m", "Missed: it was needed"},
		{"resident", "", "It was needed and there already: nothing spent, nothing saved"},
		{"dropped", "", "It was not needed either"},
	};
	const char *outcome = get_text(o, "outcome");

	if (strcmp(outcome, "hit") == 0 && !json_is_true(json_object_get(o, "acted")))
		outcome = "right";
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(outcome, rows[i].outcome) != 0)
			continue;
		printf("  %s%s%s", cli->color ? rows[i].color : "", rows[i].text,
		       cli->color && rows[i].color[0] ? "\033[0m" : "");
		break;
	}
	if (has(o, "ended_after_ns") &&
	    (strcmp(outcome, "hit") == 0 || strcmp(outcome, "right") == 0 ||
	     strcmp(outcome, "missed") == 0))
		printf(" %s after the guess", cli_ns(get_n(o, "ended_after_ns")));
	if (get_n(o, "saved_ns"))
		printf("; about %s saved", cli_ns(get_n(o, "saved_ns")));
	printf(".\n");
}

static void each_object(void *ctx, json_t *o)
{
	static const struct table_column columns[] = {{"TIMES", 'r'}, {"KIND", 'l'}, {"NAME", 'f'}};
	struct telling *t = ctx;

	if (is_type(o, "candidate")) {
		if (!t->candidates)
			t->candidates = table_new(t->cli, columns, ARRAY_SIZE(columns));
		table_row(t->candidates,
			  (const char *[]){cli_count(get_n(o, "runs_n")), get_text(o, "kind"),
					   get_text(o, "name")});
	} else if (is_type(o, "more")) {
		t->more = get_n(o, "rows_n");
	} else if (is_type(o, "guess")) {
		t->guesses_n++;
		print_guess_made(t->cli, o);
		print_guess_act(t->cli, o);
		print_guess_outcome(t->cli, o);
	} else if (is_type(o, "unit")) { /* one that is refused, or that no socket leads to */
		const char *name = cli_text(get_text(o, "name"));

		printf("%s: ", name);
		cli_wrap(t->cli, get_text(o, "why"), text_columns(name) + 2, 2);
		t->unit = true;
	} else if (has(o, "moves")) {
		why_service(t->cli, o);
	} else {
		t->things_n++;
		print_thing(o);
	}
}

int cmd_why(struct cli *cli)
{
	struct telling t = {.cli = cli};
	json_t *args = json_pack("{s:s, s:I}", "name", cli->argv[0], "rows",
				 (json_int_t)(cli->rows ? cli->rows : 10));
	int r;

	if (!args)
		return cli_usage(cli, "a name must be UTF-8");
	r = cli_ask(cli, "why", args, each_object, &t);
	table_print(t.candidates);
	if (r != FWM_STATUS_OK || cli->json)
		return r;
	if (!t.guesses_n && !t.unit)
		printf("%sNo guess about it is remembered: it was not seen often enough to be "
		       "guessed, or\nits guesses were forgotten for newer ones.\n",
		       t.things_n ? "\n" : "");
	if (t.more)
		printf("\n%s older guesses; see them with --rows.\n", cli_count(t.more));
	return r;
}
