// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * main.c - forewarm: asks forewarmd what it has learnt, and records and replays what it saw.
 *
 * Commands and options are tables: parsing, --help and "did you mean" all come from them.
 */
#include "cli/cli.h"

#include "api/socket.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COUNT_MAX = 1000 /* rows the daemon gives at most */ };

enum value { VALUE_FLAG, VALUE_TEXT, VALUE_COUNT, VALUE_TIME };

/* Which commands take an option. */
enum {
	ALL = 1 << 0,
	ASK = 1 << 1,
	ROWS = 1 << 2,
	FORMAT = 1 << 3,
	FOR = 1 << 4,
	LIVE = 1 << 5,
	TRACE = 1 << 6,
	WHOLE = 1 << 7,
	RAW = 1 << 8 /* parses its own command line */
};

struct option_row {
	int key; /* also the short option when it is a printing character */
	const char *name, *arg, *help;
	enum value value;
	size_t offset;
	unsigned takes;
};

static const struct option_row options[] = {
	{'j', "json", NULL, "one JSON object a line, for programs", VALUE_FLAG,
	 offsetof(struct cli, json), ALL},
	{256, "no-color", NULL, "no colours, as with NO_COLOR in the environment", VALUE_FLAG,
	 offsetof(struct cli, no_color), ALL},
	{'s', "socket", "PATH", "where forewarmd listens (" FWM_CTL_SOCKET_DEFAULT ")", VALUE_TEXT,
	 offsetof(struct cli, socket), ASK},
	{'n', "rows", "N", "at most so many rows, up to 1000", VALUE_COUNT,
	 offsetof(struct cli, rows), ROWS},
	{'f', "format", "FORMAT", "dot, json or graphml", VALUE_TEXT, offsetof(struct cli, format),
	 FORMAT},
	{257, "for", "TIME", "stop after so long, such as 30s", VALUE_TIME,
	 offsetof(struct cli, for_ns), FOR},
	{258, "every", "TIME", "time between two pictures (1s)", VALUE_TIME,
	 offsetof(struct cli, every_ns), LIVE},
	{'1', "once", NULL, "one picture, then stop", VALUE_FLAG, offsetof(struct cli, once), LIVE},
	{'t', "trace", "FILE", "ask what this trace teaches instead of the daemon", VALUE_TEXT,
	 offsetof(struct cli, trace), TRACE},
	{259, "whole-arguments", NULL, "keep all arguments but what looks like a secret",
	 VALUE_FLAG, offsetof(struct cli, all), WHOLE},
	{260, "anonymous", NULL, "other names for all that is not the distribution's", VALUE_FLAG,
	 offsetof(struct cli, anonymous), WHOLE},
	{'h', "help", NULL, "this text", VALUE_FLAG, 0, ALL},
	{'V', "version", NULL, "the version", VALUE_FLAG, 0, ALL},
};

struct command {
	const char *name, *args, *line;
	cli_fn run;
	unsigned takes;
	int args_min, args_max; /* -1: any number, and options after the first are not ours */
	const char *more;	/* for --help */
};

static const struct command commands[] = {
	{"status", "", "what the daemon sees, guesses and costs", cmd_status, ASK | TRACE, 0, 0,
	 ""},
	{"deps", "PROGRAM", "what a program needs", cmd_deps, ASK | TRACE | ROWS, 1, 1,
	 "PROGRAM is a path or the end of one (gcc), with the argument that tells its\n"
	 "runs apart when there is one (\"git status\").\n"},
	{"needs", "FILE-OR-SERVICE", "who needs a file, a service or a program", cmd_needs,
	 ASK | TRACE | ROWS, 1, 1,
	 "A service is tcp:HOST:PORT, udp:HOST:PORT or unix:PATH, or the end of it.\n"},
	{"predict", "PROGRAM", "what would be guessed if a program ran now", cmd_predict,
	 ASK | TRACE | ROWS, 1, 1, ""},
	{"why", "THING", "which guesses were made about it, and what came of them", cmd_why,
	 ASK | TRACE | ROWS, 1, 1, ""},
	{"top", "", "the busiest edges, the newest guesses and our own cost, live", cmd_top,
	 ASK | ROWS | FOR | LIVE, 0, 0, ""},
	{"export", "", "the whole graph", cmd_export, ASK | TRACE | FORMAT, 0, 0, ""},
	{"record", "FILE", "record what programs do into a trace (root)", cmd_record, FOR | WHOLE,
	 1, 1,
	 "Needs no daemon, and ends with Ctrl-C or after --for. FILE - is standard output.\n"},
	{"replay", "FILE", "run the daemon's engine on a trace, in virtual time", cmd_replay, 0, 1,
	 1,
	 "Needs neither root nor a daemon. The digest is of all it decided: the same trace\n"
	 "gives the same digest. FILE - is standard input.\n"},
	{"eval", "TRACE", "how well the model tells what comes next in a trace", cmd_eval, 0, 1, -1,
	 "TRACE: numbers, a sequence a line (SPMF, SPiCe); commands of a shell, one a\n"
	 "line; or a host's t_ns kind pid session arg; plain or gzipped; or a file of\n"
	 "`record`.\n"
	 "After TRACE:\n"
	 "  --again          learn it once, then measure all of it, beside an oracle\n"
	 "  --alone          without the baselines of tools/baselines\n"
	 "  --cap MIB        memory of the model (64)\n"
	 "  --events N, --sequences N   only so many\n"
	 "  --half           learn the first half, freeze, measure the second\n"
	 "  --p P            host: name ahead from this probability on (0.5; 0: none)\n"
	 "  --ahead K        also: is the symbol K steps ahead told exactly?\n"
	 "  --raw            host: temporary names as they are\n"
	 "  --every-touch    host: not only the first touch of a name in a session\n"},
	{"services", "", "the services it holds sockets for, and how connections found them",
	 cmd_services, ASK, 0, 0, ""},
	{"pool", "", "the sandboxes they run in", cmd_pool, ASK, 0, 0, ""},
	{"images", "", "what containers are made of, and where that is on this host", cmd_images,
	 ASK, 0, 0, ""},
	{"run", "[--net] [--rw PATH] [--diff|--commit] COMMAND", "a command in a sandbox", cmd_run,
	 RAW, 1, -1, ""},
	{"probe", "", "what this kernel and host offer, and what is missing (root)", cmd_probe, 0,
	 0, 0, "Needs no daemon. Exit code 1: something is missing that forewarmd needs.\n"},
};

enum { HELP_EXIT_N = 6 };

static const char *const exit_codes[HELP_EXIT_N] = {
	"done",		 "failed",
	"wrong usage",	 "no daemon answers",
	"not permitted", "not found, or several of that name",
};

/* --- signals and clocks ---------------------------------------------------------------------- */

volatile sig_atomic_t cli_stopped;

static void on_signal(int sig)
{
	(void)sig;
	cli_stopped = 1;
}

void cli_catch_signals(void)
{
	const struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: a wait ends */

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* --- saying what is wrong -------------------------------------------------------------------- */

bool cli_error_objects;

static void __attribute__((format(printf, 2, 0)))
say(enum fwm_status status, const char *fmt, va_list ap)
{
	char raw[1024];

	vsnprintf(raw, sizeof(raw), fmt, ap);
	if (cli_error_objects) {
		json_t *o = json_pack("{s:s, s:i, s:o}", "type", "error", "status", (int)status,
				      "message", api_string(raw));

		cli_print_json(o);
		json_decref(o);
	}
	fflush(stdout);
	fprintf(stderr, "forewarm: %s\n", cli_text(raw));
}

int cli_fail(enum fwm_status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(status, fmt, ap);
	va_end(ap);
	return (int)status;
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(FWM_STATUS_USAGE, fmt, ap);
	va_end(ap);
	fprintf(stderr, "forewarm: see `forewarm %s%s--help`\n", cli->command ? cli->command : "",
		cli->command ? " " : "");
	return FWM_STATUS_USAGE;
}

enum fwm_status cli_file_status(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return FWM_STATUS_NOT_FOUND;
	case EACCES:
	case EPERM:
		return FWM_STATUS_FORBIDDEN;
	default:
		return FWM_STATUS_FAILED;
	}
}

/* --- help ------------------------------------------------------------------------------------ */

static void help_options(unsigned takes)
{
	printf("\nOptions:\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_row *o = &options[i];
		char left[40], short_one[8] = "    ";

		if (!(o->takes & takes))
			continue;
		if (o->key < 128)
			snprintf(short_one, sizeof(short_one), "-%c, ", o->key);
		snprintf(left, sizeof(left), "%s--%s%s%s", short_one, o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-21s %s\n", left, o->help);
	}
}

static void help_command(const struct command *c)
{
	printf("usage: forewarm %s%s%s [options]\n\n%c%s.\n%s", c->name, *c->args ? " " : "",
	       c->args, c->line[0] & ~0x20, c->line + 1, c->more);
	help_options(c->takes | ALL);
}

static void help(void)
{
	printf("usage: forewarm COMMAND [options]\n\n"
	       "Asks forewarmd what programs on this host need and what it makes of that.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-9s %s\n", commands[i].name, commands[i].line);
	help_options(ALL | ASK);
	printf("\nExit codes:\n");
	for (int i = 0; i < HELP_EXIT_N; i++)
		printf("  %d  %s\n", i, exit_codes[i]);
	printf("\n`forewarm COMMAND --help` says more; so does forewarm(8).\n");
}

/* --- options --------------------------------------------------------------------------------- */

static int put_option(struct cli *cli, const struct option_row *o, const char *text)
{
	char *field = (char *)cli + o->offset;

	switch (o->value) {
	case VALUE_FLAG:
		*(bool *)field = true;
		return 0;
	case VALUE_TEXT:
		*(const char **)field = text;
		return 0;
	case VALUE_COUNT:
		if (text_parse_count(text, (uint64_t *)field) < 0 || *(uint64_t *)field == 0 ||
		    *(uint64_t *)field > COUNT_MAX)
			return cli_usage(cli, "--%s takes a number from 1 to %d, not '%s'", o->name,
					 COUNT_MAX, text);
		return 0;
	case VALUE_TIME:
		/* A bare number is seconds: people type --for 30. */
		if (text_parse_ns(text, (uint64_t *)field) < 0) {
			if (text_parse_count(text, (uint64_t *)field) < 0 ||
			    *(uint64_t *)field > 1000000000)
				return cli_usage(cli, "--%s takes a time such as 30s, not '%s'",
						 o->name, text);
			*(uint64_t *)field *= 1000000000ull;
		}
		return 0;
	}
	return 0;
}

/* Builds getopt's two tables from ours. */
static void getopt_tables(unsigned takes, bool stop_early, char *ret_short, struct option *ret_long)
{
	size_t n = 0;

	if (stop_early)
		*ret_short++ = '+';
	*ret_short++ = ':'; /* a missing value is ours to report */
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_row *o = &options[i];

		if (!(o->takes & takes))
			continue;
		ret_long[n++] = (struct option){o->name, o->arg ? required_argument : no_argument,
						NULL, o->key};
		if (o->key < 128) {
			*ret_short++ = (char)o->key;
			if (o->arg)
				*ret_short++ = ':';
		}
	}
	ret_long[n] = (struct option){0};
	*ret_short = '\0';
}

enum { PARSE_HELP = -1, PARSE_VERSION = -2 };

static const char *nearest_option(unsigned takes, const char *given)
{
	const char *names[ARRAY_SIZE(options)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].takes & takes)
			names[n++] = options[i].name;
	return text_nearest(given, names, n);
}

static int unknown_option(struct cli *cli, unsigned takes, const char *arg)
{
	const char *near = strncmp(arg, "--", 2) == 0 ? nearest_option(takes, arg + 2) : NULL;

	if (near)
		return cli_usage(cli, "unknown option '%s'; did you mean '--%s'?", arg, near);
	return cli_usage(cli, "unknown option '%s'", arg);
}

/* Returns 0, PARSE_HELP, PARSE_VERSION, or an exit code after saying what was wrong. */
static int parse_options(struct cli *cli, unsigned takes, bool stop_early, int argc, char **argv)
{
	struct option longs[ARRAY_SIZE(options) + 1];
	char shorts[3 * ARRAY_SIZE(options) + 3];
	int key, r;

	getopt_tables(takes, stop_early, shorts, longs);
	optind = 0; /* glibc: scan anew, and reread a leading '+' */
	opterr = 0;
	for (;;) {
		int at = optind ? optind : 1;

		key = getopt_long(argc, argv, shorts, longs, NULL);
		if (key == -1)
			break;
		if (key == 'h')
			return PARSE_HELP;
		if (key == 'V')
			return PARSE_VERSION;
		if (key == ':')
			return cli_usage(cli, "'%s' needs a value", argv[optind - 1]);
		if (key == '?' && optopt && optopt < 128) {
			char one[3] = {'-', (char)optopt, '\0'};

			return unknown_option(cli, takes, one);
		}
		if (key == '?')
			return unknown_option(cli, takes, argv[optind - 1 >= at ? optind - 1 : at]);
		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			if (options[i].key != key)
				continue;
			r = put_option(cli, &options[i], optarg);
			if (r)
				return r;
		}
	}
	return 0;
}

/* --- running --------------------------------------------------------------------------------- */

static const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown_command(struct cli *cli, const char *name)
{
	const char *names[ARRAY_SIZE(commands)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	near = text_nearest(name, names, ARRAY_SIZE(commands));
	if (near)
		return cli_usage(cli, "unknown command '%s'; did you mean '%s'?", name, near);
	return cli_usage(cli, "unknown command '%s'", name);
}

static void look_at_terminal(struct cli *cli)
{
	const char *no_color = getenv("NO_COLOR"), *columns = getenv("COLUMNS");
	struct winsize w = {0};
	uint64_t n = 0;

	cli->tty = isatty(STDOUT_FILENO);
	cli->color = cli->tty && !cli->no_color && !(no_color && *no_color);
	cli->columns = 80;
	if (cli->tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col)
		cli->columns = w.ws_col;
	else if (columns && text_parse_count(columns, &n) == 0 && n >= 40 && n <= 1000)
		cli->columns = (unsigned)n;
}

static int version(void)
{
	puts("forewarm " FWM_VERSION);
	return FWM_STATUS_OK;
}

static int run_command(struct cli *cli, const struct command *c, int argc, char **argv)
{
	int r;

	cli->command = c->name;
	if (c->takes & RAW) {
		cli->argc = argc;
		cli->argv = argv;
		look_at_terminal(cli);
		return c->run(cli);
	}
	r = parse_options(cli, c->takes | ALL, c->args_max < 0, argc, argv);
	if (r == PARSE_VERSION)
		return version();
	if (r == PARSE_HELP) {
		help_command(c);
		return FWM_STATUS_OK;
	}
	if (r)
		return r;
	cli->argc = argc - optind;
	cli->argv = argv + optind;
	if (cli->argc < c->args_min)
		return cli_usage(cli, "%s needs %s", c->name, c->args);
	if (c->args_max >= 0 && cli->argc > c->args_max)
		return cli_usage(cli, "%s: one argument too many: '%s'", c->name,
				 cli->argv[c->args_max]);
	look_at_terminal(cli);
	/* Of `record -` a trace goes to standard output. */
	cli_error_objects = cli->json && !(cli->argc && strcmp(cli->argv[0], "-") == 0);
	return c->run(cli);
}

static int run(int argc, char **argv)
{
	struct cli cli = {.socket = FWM_CTL_SOCKET_DEFAULT, .every_ns = 1000000000};
	const struct command *c;
	int r;

	r = parse_options(&cli, ALL | ASK, true, argc, argv);
	if (r == PARSE_VERSION)
		return version();
	if (r == PARSE_HELP) {
		help();
		return FWM_STATUS_OK;
	}
	if (r)
		return r;
	if (optind == argc) {
		help();
		return FWM_STATUS_USAGE;
	}
	if (strcmp(argv[optind], "help") == 0 && optind + 1 < argc) {
		c = command_named(argv[optind + 1]);
		if (!c)
			return unknown_command(&cli, argv[optind + 1]);
		help_command(c);
		return FWM_STATUS_OK;
	}
	if (strcmp(argv[optind], "help") == 0 || strcmp(argv[optind], "version") == 0) {
		if (argv[optind][0] == 'h')
			help();
		else
			(void)version();
		return FWM_STATUS_OK;
	}
	c = command_named(argv[optind]);
	if (!c)
		return unknown_command(&cli, argv[optind]);
	return run_command(&cli, c, argc - optind, argv + optind);
}

/* A socket or a trace must not become our standard output because the caller closed that. */
static void hold_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
			_exit(FWM_STATUS_FAILED);
}

int main(int argc, char **argv)
{
	int r;

	hold_standard_fds();
	r = run(argc, argv);

	/* A full disk or a closed pipe is found here at the latest. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(FWM_STATUS_FAILED, "standard output: %m");
	return r;
}
