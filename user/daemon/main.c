// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* main.c - forewarmd: options, config, then the pipeline in daemon.c. */
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/config.h"
#include "daemon/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As documented in forewarmd(8). */
enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED = 4 };

static const char usage_text[] =
	"Usage: forewarmd [OPTION]...\n"
	"Watches this host, learns what programs need next, and has it ready.\n"
	"\n"
	"  -c, --config=FILE   read FILE instead of " CONFIG_PATH_DEFAULT "\n"
	"  -n, --check         check the config and exit\n"
	"  -s, --set=KEY=VALUE set section.key, over the config (plan.act=no)\n"
	"  -f, --for=SECONDS   stop after so long\n"
	"  -o, --only=PID      watch only this process and what it starts\n"
	"  -k, --keep          leave the pinned BPF maps behind at the end\n"
	"  -d, --debug         say more\n"
	"  -h, --help          this text\n"
	"  -p, --print-config  write a config of all keys and their defaults\n"
	"  -V, --version       the version\n"
	"\n"
	"It stays in the foreground; Ctrl-C ends it; `forewarm top` shows what it does.\n"
	"See forewarmd(8).\n";

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, 'n'},
	{"set", required_argument, NULL, 's'},
	{"for", required_argument, NULL, 'f'},
	{"only", required_argument, NULL, 'o'},
	{"keep", no_argument, NULL, 'k'},
	{"debug", no_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{"print-config", no_argument, NULL, 'p'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static void say(void *ctx, const char *line)
{
	(void)ctx;
	log_error("%s", line);
}

static int usage(const char *what, const char *arg)
{
	fprintf(stderr, "forewarmd: %s%s%s\nTry 'forewarmd --help'.\n", what, arg ? ": " : "",
		arg ? arg : "");
	return EXIT_USAGE;
}

/* "section.key=value" becomes a two-line config of its own, so that it is checked like a file's. */
static int set_one(struct config *config, const char *arg)
{
	char text[512];
	const char *dot = strchr(arg, '.'), *eq = strchr(arg, '=');
	_cleanup_(fclosep) FILE *f = NULL;
	int n;

	if (!dot || !eq || eq < dot)
		return usage("--set takes section.key=value", arg);
	n = snprintf(text, sizeof(text), "[%.*s]\n%s\n", (int)(dot - arg), arg, dot + 1);
	if (n >= (int)sizeof(text))
		return usage("--set: value too long", NULL);
	f = fmemopen(text, (size_t)n, "r");
	if (!f || config_apply(f, "--set", say, NULL, config) != 0)
		return EXIT_USAGE;
	return 0;
}

static int parse_for(const char *arg, uint64_t *ret_ns)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || !(s > 0 && s < 1e9))
		return usage("--for takes seconds", arg);
	*ret_ns = (uint64_t)(s * 1e9);
	return 0;
}

static int parse_only(const char *arg, uint32_t *ret_pid)
{
	char *end;
	unsigned long pid = strtoul(arg, &end, 10);

	if (end == arg || *end || !pid || pid > INT32_MAX)
		return usage("--only takes the id of a process", arg);
	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return usage("--only: there is no such process", arg);
	*ret_pid = (uint32_t)pid;
	return 0;
}

int main(int argc, char **argv)
{
	struct daemon_options options = {.config_path = CONFIG_PATH_DEFAULT};
	const char *sets[32];
	size_t sets_n = 0;
	bool check = false, given = false;
	struct config config;
	struct daemon *d = NULL;
	int c, r;

	/* Large blocks go back to the kernel when freed: glibc would otherwise learn from the first one to
	 * keep them (5 MiB of kernel type information, 4 MiB of model per save). */
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	(void)mallopt(M_ARENA_MAX, 2);
	log_setup(LOG_LEVEL_INFO, getenv("JOURNAL_STREAM") != NULL);
	while ((c = getopt_long(argc, argv, ":c:ns:f:o:kdhpV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.config_path = optarg;
			given = true;
			break;
		case 'n':
			check = true;
			break;
		case 's':
			if (sets_n == ARRAY_SIZE(sets))
				return usage("too many --set", NULL);
			sets[sets_n++] = optarg;
			break;
		case 'f':
			r = parse_for(optarg, &options.for_ns);
			if (r)
				return r;
			break;
		case 'o':
			r = parse_only(optarg, &options.only_pid);
			if (r)
				return r;
			break;
		case 'k':
			options.keep = true;
			break;
		case 'd':
			log_setup(LOG_LEVEL_DEBUG, getenv("JOURNAL_STREAM") != NULL);
			break;
		case 'h':
			fputs(usage_text, stdout);
			return EXIT_OK;
		case 'p':
			return config_write_sample(stdout) < 0 || fflush(stdout) ? EXIT_FAILED
										 : EXIT_OK;
		case 'V':
			puts("forewarmd " FWM_VERSION);
			return EXIT_OK;
		case ':':
			return usage("option needs a value", argv[optind - 1]);
		default:
			return usage("unknown option", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage("takes no arguments", argv[optind]);

	config_defaults(&config);
	if (given || access(options.config_path, F_OK) == 0) {
		r = config_load(options.config_path, say, NULL, &config);
		if (r < 0)
			log_error("config: cannot read '%s': %s", options.config_path,
				  strerror(-r));
		if (r != 0)
			return EXIT_USAGE;
	}
	for (size_t i = 0; i < sets_n; i++) {
		r = set_one(&config, sets[i]);
		if (r)
			return r;
	}
	if (check) {
		printf("%s: good\n", given || access(options.config_path, F_OK) == 0
					     ? options.config_path
					     : "defaults");
		return EXIT_OK;
	}
	if (geteuid() != 0) {
		log_error("forewarmd: needs root, to load BPF programs and to read every file's "
			  "pages: "
			  "run it with sudo");
		return EXIT_REFUSED;
	}
	r = daemon_new(&config, &options, &d);
	if (r == 0)
		r = daemon_run(d);
	(void)daemon_free(d);
	return r == 0 ? EXIT_OK : r == DAEMON_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
}
