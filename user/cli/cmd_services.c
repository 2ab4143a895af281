// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_services.c - services: what waits to be asked, how it was found, and what it cost. */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

struct listing {
	struct table *states, *found, *guesses;
	json_t *trouble, *left; /* of [name, text] */
	uint64_t n;
};

/* "cold", or with what is going on beside it. What rests is frozen to all but the reader. */
static const char *state_text(const json_t *o)
{
	static char text[64];
	const char *more = json_is_true(json_object_get(o, "queued"))	 ? " queued"
			   : json_is_true(json_object_get(o, "waiting")) ? " waited for"
			   : has(o, "guess_p")				 ? " foretold"
			   : get_n(o, "hold_ns")			 ? " backing off"
									 : "";

	snprintf(text, sizeof(text), "%s%s",
		 json_is_true(json_object_get(o, "resting")) ? "resting" : get_text(o, "state"),
		 more);
	return text;
}

/* Less than a microsecond is what the sketch makes of nothing. */
static const char *delay_text(const json_t *c, const char *key)
{
	return has(c, key) && get_n(c, key) < 1000 ? "none" : opt_ns(c, key);
}

static void row_found(struct table *t, const json_t *o, const char *class)
{
	const json_t *c = json_object_get(json_object_get(o, "found"), class);
	char n[32], p50[32], p99[32];

	if (!get_n(c, "n"))
		return;
	snprintf(n, sizeof(n), "%s", cli_count(get_n(c, "n")));
	snprintf(p50, sizeof(p50), "%s", delay_text(c, "p50_ns"));
	snprintf(p99, sizeof(p99), "%s", delay_text(c, "p99_ns"));
	table_row(t, (const char *[]){get_text(o, "name"), class, n, p50, p99});
}

/* What was done ahead, and what holding it ready cost. */
static void row_guesses(struct table *t, const json_t *o)
{
	const json_t *g = json_object_get(o, "guesses");
	char hits[32], late[32], wasted[32], lead[32], held[32], waste[32];

	if (!get_n(g, "hit") && !get_n(g, "late") && !get_n(g, "wasted") &&
	    get_real(o, "wasted_mbs") < 0.5)
		return;
	snprintf(hits, sizeof(hits), "%s", cli_count(get_n(g, "hit")));
	snprintf(late, sizeof(late), "%s", cli_count(get_n(g, "late")));
	snprintf(wasted, sizeof(wasted), "%s", cli_count(get_n(g, "wasted")));
	snprintf(lead, sizeof(lead), "%s", get_n(o, "lead_ns") ? opt_ns(o, "lead_ns") : "-");
	snprintf(held, sizeof(held), "%.0f", get_real(o, "held_mbs"));
	snprintf(waste, sizeof(waste), "%.0f", get_real(o, "wasted_mbs"));
	table_row(t, (const char *[]){get_text(o, "name"), hits, late, wasted, lead, held, waste});
}

static void add_note(json_t *notes, const json_t *o, const char *key)
{
	(void)json_array_append_new(notes,
				    json_pack("[s, s]", get_text(o, "name"), get_text(o, key)));
}

/* A text may be long, and its end is what matters: over several lines. */
static void print_notes(const struct cli *cli, const char *title, json_t *notes, bool apart)
{
	if (json_array_size(notes))
		printf("%s%s\n", apart ? "\n" : "", title);
	for (size_t i = 0; i < json_array_size(notes); i++) {
		const json_t *note = json_array_get(notes, i);
		const char *name = cli_text(json_string_value(json_array_get(note, 0)));

		printf("%s  ", name);
		cli_wrap(cli, json_string_value(json_array_get(note, 1)), text_columns(name) + 2,
			 2);
	}
	json_decref(notes);
}

static void each_service(void *ctx, json_t *o)
{
	static const char *const classes[] = {"cold", "thawed", "resting", "predicted", "warm"};
	struct listing *l = ctx;
	char state[64], since[32], memory[32];

	if (is_type(o, "unit"))
		add_note(l->left, o, "why");
	if (!is_type(o, "service"))
		return;
	l->n++;
	snprintf(state, sizeof(state), "%s", state_text(o));
	snprintf(since, sizeof(since), "%s", opt_ns(o, "state_ns"));
	/* Of a cold one it is what it would take. */
	if (strcmp(get_text(o, "state"), "cold") == 0)
		snprintf(memory, sizeof(memory), "-");
	else
		snprintf(memory, sizeof(memory), "%s", opt_bytes(o, "memory_bytes"));
	table_row(l->states,
		  (const char *[]){get_text(o, "name"), state, get_text(o, "why"), since, memory});
	if (has(o, "trouble"))
		add_note(l->trouble, o, "trouble");
	row_guesses(l->guesses, o);
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		row_found(l->found, o, classes[i]);
}

int cmd_services(struct cli *cli)
{
	static const struct table_column states[] = {
		{"SERVICE", 'f'}, {"STATE", 'l'}, {"WHY", 'l'}, {"FOR", 'r'}, {"MEMORY", 'r'}};
	static const struct table_column guesses[] = {
		{"SERVICE", 'f'}, {"FORETOLD", 'r'},  {"LATE", 'r'},	   {"IN VAIN", 'r'},
		{"LEAD", 'r'},	  {"HELD MB*s", 'r'}, {"WASTED MB*s", 'r'}};
	static const struct table_column found[] = {{"SERVICE", 'f'},
						    {"CONNECTION FOUND IT", 'l'},
						    {"TIMES", 'r'},
						    {"DELAY p50", 'r'},
						    {"p99", 'r'}};
	struct listing l = {.trouble = json_array(),
			    .left = json_array(),
			    .states = table_new(cli, states, ARRAY_SIZE(states)),
			    .found = table_new(cli, found, ARRAY_SIZE(found)),
			    .guesses = table_new(cli, guesses, ARRAY_SIZE(guesses))};
	int r = cli_ask(cli, "services", NULL, each_service, &l);
	size_t left_n = json_array_size(l.left);

	table_print(l.states);
	print_notes(cli, "FAILS", l.trouble, true);
	if (table_rows(l.found))
		printf("\n");
	table_print(l.found);
	if (table_rows(l.guesses))
		printf("\n");
	table_print(l.guesses);
	print_notes(cli, "NOT STARTED HERE", l.left, l.n > 0);
	if (r == FWM_STATUS_OK && !cli->json && !l.n && !left_n)
		printf("no services: see forewarm.service(5)\n");
	return r;
}
