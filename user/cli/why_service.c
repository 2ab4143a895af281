// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* why_service.c - the story of a service: what brought it into its state, and what came of guesses. */
#include "cli/cli.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

struct word {
	const char *key, *text;
};

/* key's text, or the key itself: a newer daemon may know more. */
static const char *worded(const struct word *words, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i].key, key) == 0)
			return words[i].text;
	return cli_text(key);
}

static const char *reason(const char *why)
{
	static const struct word words[] = {
		{"-", "nobody has connected yet"},
		{"connection", "somebody connected"},
		{"guess", "a connection was foretold"},
		{"habit", "one is due by its own rhythm"},
		{"restart", "Restart= wants it to run"},
		{"idle", "nobody came for longer than it is worth to wait"},
		{"unused", "nobody came as was foretold"},
		{"room", "its place or memory was worth more to another"},
		{"pressure", "the host is short of memory"},
		{"exited", "it ended by itself"},
		{"failed", "it failed"},
		{"timeout", "it took longer than it may"},
		{"dropped", "its unit was removed"},
	};

	return worded(words, ARRAY_SIZE(words), why);
}

static const char *state_of(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, "resting")) ? "resting" : get_text(o, key);
}

static void tell_state(FILE *f, const json_t *o)
{
	static const struct word words[] = {
		{"cold", "does not run"},
		{"starting", "is being started"},
		{"ready", "runs, and nobody has connected since"},
		{"active", "runs"},
		{"freezing", "is being frozen"},
		{"frozen", "is frozen until somebody connects"},
		{"resting", "rests: it sleeps by itself until somebody connects"},
		{"releasing", "is being ended"},
	};

	fprintf(f, "%s: a service at %s.", cli_text(get_text(o, "name")),
		cli_text(get_text(o, "listens")));
	fprintf(f, " For %s it %s, because %s.", cli_ns(get_n(o, "state_ns")),
		worded(words, ARRAY_SIZE(words), state_of(o, "state")), reason(get_text(o, "why")));
	if (json_is_true(json_object_get(o, "queued")))
		fprintf(f, " It is to be started and waits for room.");
	else if (json_is_true(json_object_get(o, "waiting")))
		fprintf(f, " Somebody waits for it.");
	if (get_n(o, "hold_ns"))
		fprintf(f, " After %s it is not started for %s.",
			cli_things(get_n(o, "fail_row_n"), "failure"), cli_ns(get_n(o, "hold_ns")));
	if (has(o, "trouble"))
		fprintf(f, " What went wrong last: %s.", cli_text(get_text(o, "trouble")));
	if (has(o, "guess_p"))
		fprintf(f, " A connection is foretold with probability %.2f, %s after the guess.",
			get_real(o, "guess_p"), cli_ns(get_n(o, "guess_lead_ns")));
}

static void tell_found(FILE *f, const json_t *o)
{
	static const struct word classes[] = {{"cold", "cold"},
					      {"thawed", "frozen"},
					      {"resting", "resting"},
					      {"predicted", "made ready ahead"},
					      {"warm", "running"}};
	const json_t *found = json_object_get(o, "found");
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		const json_t *c = json_object_get(found, classes[i].key);

		if (!get_n(c, "n"))
			continue;
		fprintf(f, "%s %s %s", n++ ? "," : "Connections found it", cli_count(get_n(c, "n")),
			classes[i].text);
		if (get_n(c, "p50_ns") >= 1000) /* less is what is made of nothing */
			fprintf(f, " (after %s)", cli_ns(get_n(c, "p50_ns")));
	}
	fprintf(f, n ? "." : "No connection was seen.");
	fprintf(f, " It was started %s", cli_things(get_n(o, "start_n"), "time"));
	if (has(o, "cold_ns"))
		fprintf(f, ", in %s", cli_ns(get_n(o, "cold_ns")));
	if (get_n(o, "fail_n"))
		fprintf(f, ", and failed %s", cli_things(get_n(o, "fail_n"), "time"));
	if (has(o, "memory_bytes"))
		fprintf(f, "; it holds %s", cli_bytes(get_n(o, "memory_bytes")));
	fprintf(f, ".");
}

static void tell_guesses(FILE *f, const json_t *o)
{
	const json_t *g = json_object_get(o, "guesses");

	if (!get_n(g, "n")) {
		fprintf(f, "No connection to it was foretold.");
		return;
	}
	fprintf(f,
		"Its connections were foretold %s: %s in time, %s too late, %s made ready in vain",
		cli_things(get_n(g, "n"), "time"), cli_count(get_n(g, "hit")),
		cli_count(get_n(g, "late")), cli_count(get_n(g, "wasted")));
	if (get_n(o, "lead_ns"))
		fprintf(f, "; half of those that came, %s ahead", cli_ns(get_n(o, "lead_ns")));
	fprintf(f, ". %.0f MB*s were held ready, %.0f of them in vain.", get_real(o, "held_mbs"),
		get_real(o, "wasted_mbs"));
}

static void print_moves(const struct cli *cli, const json_t *moves)
{
	static const struct table_column columns[] = {{"AGO", 'r'}, {"STATE", 'l'}, {"WHY", 'f'}};
	struct table *t = table_new(cli, columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < json_array_size(moves); i++) {
		const json_t *m = json_array_get(moves, i);
		char why[160];

		(void)snprintf(why, sizeof(why), "%s", reason(get_text(m, "why")));
		if (has(m, "p"))
			(void)snprintf(why, sizeof(why), "%s: probability %.2f, %s ahead",
				       reason(get_text(m, "why")), get_real(m, "p"),
				       cli_ns(get_n(m, "lead_ns")));
		table_row(t, (const char *[]){opt_ns(m, "age_ns"), state_of(m, "to"), why});
	}
	if (table_rows(t))
		printf("\n");
	table_print(t);
}

void why_service(const struct cli *cli, const json_t *o)
{
	cli_told(cli, tell_state, o, 0, 0);
	cli_told(cli, tell_found, o, 0, 0);
	cli_told(cli, tell_guesses, o, 0, 0);
	print_moves(cli, json_object_get(o, "moves"));
	printf("\n");
}
