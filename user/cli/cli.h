/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cli.h - what every subcommand of forewarm is given, and how it answers a person or a program.
 *
 * Shape    main.c has the table of commands; each cmd_*.c has one or more functions of it. A command
 *          gets its options parsed (struct cli) and returns an exit code. With --json everything
 *          on standard output is NDJSON; without, tables and sentences that fit the terminal.
 * Units    As in forewarm/ctl.h.
 * Owner    struct cli is main's; its strings are argv's.
 * Errors   A command says what went wrong in one sentence on standard error (cli_fail) and
 *          returns an enum fwm_status. Names of strangers' go through cli_text() before a person
 *          sees them.
 * Threads  One.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "forewarm/ctl.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

struct cli {
	const char *command;
	/* options */
	const char *socket, *trace, *format;
	bool json, no_color, all, once, anonymous;
	uint64_t rows;	 /* 0: the command's default */
	uint64_t for_ns; /* 0: until interrupted */
	uint64_t every_ns;
	/* what is left of the command line */
	int argc;
	char **argv;
	/* where it goes */
	bool tty, color;
	unsigned columns;
};

typedef int (*cli_fn)(struct cli *cli);

/* "forewarm: message" on standard error, and as an object on standard output where cli_error_objects
 * says so; returns status. */
extern bool cli_error_objects;
int cli_fail(enum fwm_status status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for wrong usage, with where to read on. */
int cli_usage(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The exit code for a file that cannot be opened; err: errno. */
enum fwm_status cli_file_status(int err);

/* --- asking (ask.c) --- */

/* Called for each object of an answer but the closing one; o is borrowed. */
typedef void (*cli_each_fn)(void *ctx, json_t *o);

/* Asks the daemon, or the trace given by --trace; args is taken. With --json prints what comes and
 * calls nothing. Returns the answer's status, after saying what was wrong. */
int cli_ask(struct cli *cli, const char *cmd, json_t *args, cli_each_fn each, void *ctx);
/* One object as a line of NDJSON on standard output; o is borrowed. */
void cli_print_json(const json_t *o);
/* The last object, where there is no error to tell. */
void cli_print_end(int status);
/* Says why the daemon cannot be asked; returns the exit code. */
int cli_unreachable(const struct cli *cli, int err);

/* --- members of objects: 0, "" or -1 when missing (ask.c) --- */

uint64_t get_n(const json_t *o, const char *key);
double get_real(const json_t *o, const char *key);
const char *get_text(const json_t *o, const char *key);
bool has(const json_t *o, const char *key);
bool is_type(const json_t *o, const char *type);

/* --- text (table.c); each returns one of a few static buffers, good for one printf --- */

const char *cli_text(const char *s);		    /* escaped */
const char *cli_fit(const char *s, size_t columns); /* escaped and shortened in the middle */
const char *cli_ns(uint64_t ns);
const char *cli_bytes(uint64_t bytes);
const char *cli_count(uint64_t n);
const char *cli_percent(double share);
/* "1 program", "1.2k programs" */
const char *cli_things(uint64_t n, const char *one);
/* As above, or "-" when o has no such member. */
const char *opt_ns(const json_t *o, const char *key);
const char *opt_bytes(const json_t *o, const char *key);

/* Prints s, escaped, from column at on, broken between words so that it fits; further lines begin at
 * column indent. Ends the line. */
void cli_wrap(const struct cli *cli, const char *s, size_t at, size_t indent);

/* Prints what tell() writes of o, wrapped likewise: names in it may be of any length. */
void cli_told(const struct cli *cli, void (*tell)(FILE *f, const json_t *o), const json_t *o,
	      size_t at, size_t indent);

/* --- tables (table.c) --- */

struct table_column {
	const char *title;
	char align; /* 'l', 'r', or 'f': left, and given what width is left */
};

struct table;

/* At most TABLE_COLUMN_MAX columns, one of them 'f'. */
enum { TABLE_COLUMN_MAX = 10 };
struct table *table_new(const struct cli *cli, const struct table_column *columns, size_t n);
/* One string a column, copied; NULL is "-". Names are escaped here. */
void table_row(struct table *t, const char *const *cells);
size_t table_rows(const struct table *t);
/* Prints, when there is a row, and frees. */
void table_print(struct table *t);

/* --- shared by commands --- */

/* A service, of `why` (why_service.c). */
void why_service(const struct cli *cli, const json_t *o);
/* What the guesses led to; s is a "score" (cmd_status.c). */
void cli_print_score(const json_t *s);
/* Serves the questions of one client at fd from what the trace at path teaches an engine, until it
 * hangs up; for a process of its own (cmd_replay.c). Returns an exit code. */
int cli_serve_trace(const char *path, int fd);
/* Set once SIGINT or SIGTERM came, after cli_catch_signals() (main.c). */
extern volatile sig_atomic_t cli_stopped;
void cli_catch_signals(void);

/* --- commands --- */

int cmd_status(struct cli *cli);
int cmd_probe(struct cli *cli);
int cmd_deps(struct cli *cli);
int cmd_needs(struct cli *cli);
int cmd_predict(struct cli *cli);
int cmd_why(struct cli *cli);
int cmd_top(struct cli *cli);
int cmd_export(struct cli *cli);
int cmd_record(struct cli *cli);
int cmd_replay(struct cli *cli);
int cmd_eval(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_pool(struct cli *cli);
int cmd_services(struct cli *cli);
int cmd_images(struct cli *cli);

#endif
