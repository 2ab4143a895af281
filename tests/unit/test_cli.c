// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The command line against a daemon's side that has watched a make-believe host: what it prints at
 * 80 columns, that names of strangers' reach no terminal raw, and its exit codes.
 */
#include "support/support.h"
#include "support/cli.h"
#include "support/scratch.h"

#include "api/client.h"
#include "api/routes.h"
#include "base/cleanup.h"
#include "support/host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define WALL_NS 1000000000000000000ull
#define LONG_PATH                                                                                  \
	"/usr/lib/a-very-long-directory-name/another-very-long-directory-name/and-yet-another/"    \
	"libx.so"

struct fixture {
	char dir[SCRATCH_DIR_MAX], path[96];
	pid_t server;
};

static void host_view(void *ctx, struct view_host *ret)
{
	struct host *h = ctx;

	*ret = (struct view_host){.version = "9.9.9",
				  .now_ns = h->now_ns,
				  .wall_ns = h->now_ns + WALL_NS,
				  .up_ns = h->now_ns,
				  .events_n = 4242,
				  .cpu_ns = h->now_ns / 1000,
				  .rss_bytes = 12 << 20,
				  .bpf_runs_n = 10000,
				  .bpf_ns = 4210000,
				  .store_bytes = VIEW_UNKNOWN,
				  .rows_refused_n = 3,
				  .reads_refused_n = 1,
				  .reads_forgotten_n = 4,
				  .contained_n = 5,
				  .uncontained_n = 2,
				  .acting = true,
				  .pressure = {.mem_available_bytes = 1ull << 30,
					       .mem_total_bytes = 2ull << 30,
					       .io_some_avg10 = 1.25}};
}

#define REFUSED "/srv/asked"

/* Carries out what the engine asks for, at once; but one thing is refused. */
static void act(struct host *h)
{
	struct action a;

	while (engine_next_action(h->engine, &a))
		if (a.name)
			(void)engine_result(
				h->engine,
				&(struct action_result){.guess_id = a.guess_id,
							.err = strcmp(a.name, REFUSED) ? 0 : EACCES,
							.bytes_read = a.bytes,
							.done_ns = h->now_ns,
							.took_ns = 1000000});
}

static void compile(struct host *h, bool with_odd_names)
{
	uint32_t make = host_spawn(h, 1, "/usr/bin/make", NULL), gcc, cc1;

	host_open(h, make, "/srv/Makefile", 0);
	act(h);
	host_pass(h, 5000000);
	gcc = host_spawn(h, make, "/usr/bin/gcc", "-c");
	act(h);
	host_open(h, gcc, "/etc/gcc.conf", ENOENT);
	cc1 = host_spawn(h, gcc, "/usr/libexec/cc1", NULL);
	act(h);
	host_pass(h, 40000000);
	host_open(h, cc1, LONG_PATH, 0);
	host_open(h, cc1, "/usr/include/stdio.h", 0);
	host_connect(h, cc1, "tcp:127.0.0.1:5432");
	if (with_odd_names) {
		host_open(h, cc1, "/tmp/\033]0;owned\007\033[2Jx", 0);
		host_open(h, cc1,
			  "/tmp/\xff\xfe\xc2\x9b"
			  "2J",
			  0);
		host_open(h, cc1,
			  "/tmp/\xe2\x80\xae"
			  "gnp.exe",
			  0);
	}
	host_exit(h, cc1);
	host_exit(h, gcc);
	host_exit(h, make);
	host_pass(h, 20000000000ull);
	host_tick(h);
	act(h);
}

static void ask(struct host *h)
{
	uint32_t pid = host_spawn(h, 1, "/opt/bin/asker", NULL);

	act(h);
	host_look(h, pid, REFUSED);
	host_look(
		h, pid,
		"/include/stdio.h"); /* a link's name for it: who asks for stdio.h means the other */
	host_exit(h, pid);
	host_rest(h, 20000000000ull);
}

/* As daemon/serve.c answers; the second has everything at its longest. */
static int answer_services(void *ctx, struct api_call *call)
{
	static const char *const services[] = {
		"{'type':'service','name':'web','state':'frozen','why':'idle','state_ns':"
		"12000000000,"
		"'memory_bytes':9437184,'found':{'cold':{'n':1,'p50_ns':41000000,'p99_ns':41000000}"
		","
		"'thawed':{'n':12,'p50_ns':61000,'p99_ns':120000},"
		"'predicted':{'n':20,'p50_ns':0,'p99_ns':0}},"
		"'guesses':{'n':22,'hit':20,'late':1,'wasted':1},'lead_ns':250000000,"
		"'held_mbs':830.4,'wasted_mbs':12.2}",
		"{'type':'service','name':'a-service-with-a-name-that-nobody-could-ever-remember',"
		"'state':'releasing','waiting':true,'why':'connection','state_ns':86399000000000,"
		"'memory_bytes':1073741823999,'found':{'cold':{'n':123456789,"
		"'p50_ns':12345678901,'p99_ns':98765432109}},"
		"'guesses':{'n':1234567,'hit':1000000,'late':100000,'wasted':134567},"
		"'lead_ns':59999999999,'held_mbs':123456789.0,'wasted_mbs':12345678.0}",
	};
	int r = 0;

	(void)ctx;
	for (size_t i = 0; i < ARRAY_SIZE(services) && r == 0; i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%s", services[i]);
		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		r = api_put(call, json_loads(text, 0, NULL));
	}
	return r;
}

static void serve(const char *path)
{
	static const struct routes_hook hooks[] = {{"services", answer_services, NULL}, {0}};
	struct engine_limits limits = host_limits();
	struct api *api = NULL;
	struct routes routes;
	struct host h;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	host_init(&h, &limits);
	for (int i = 0; i < 3; i++)
		ask(&h);
	for (int i = 0; i < 12; i++)
		compile(&h, i % 4 == 3);
	host_exit(&h, host_spawn(&h, 1, "/opt/bin/make", NULL));
	host_exit(&h, host_spawn(&h, 1, "/bin/dash", "/tmp/tmp.Qx7vB2nW1k/job.sh"));
	routes = (struct routes){.engine = h.engine, .host = host_view, .ctx = &h, .hooks = hooks};
	if (api_open(&(struct api_options){path, NULL, routes_answer, &routes}, &api) < 0)
		_exit(1);
	for (;;) {
		struct pollfd p = {api_fd(api), POLLIN, 0};

		(void)poll(&p, 1, 1000);
		if (api_dispatch(api, h.now_ns) < 0)
			_exit(1);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (scratch_make_on_disk(f->dir, "cli"))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->dir);
	fflush(stdout);
	f->server = fork();
	if (f->server == 0)
		serve(f->path);
	*state = f;
	/* Its name is there a moment before it listens. */
	for (int i = 0; i < 1000; i++) {
		struct client *c = NULL;

		if (client_open(f->path, 1000, &c) == 0) {
			(void)client_close(c);
			return 0;
		}
		poll(NULL, 0, 10);
	}
	return -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kill(f->server, SIGKILL);
	waitpid(f->server, NULL, 0);
	assert_int_equal(scratch_remove(f->dir), 0);
	free(f);
	return 0;
}

/* Runs forewarm with args against the fixture's socket; standard error is in the text too. */
static int run(const struct fixture *f, const char *args, char *ret, size_t max)
{
	int status = cli_run(ret, max, "--socket %s %s", f->path, args);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect(const struct fixture *f, const char *args, int status, const char *text)
{
	char got[16384];
	int r = run(f, args, got, sizeof(got));

	/* What is needed below may follow; how much of it is learnt is the engine's business. */
	if (r != status || strncmp(got, text, strlen(text)) != 0 ||
	    (got[strlen(text)] && !strstr(got + strlen(text), "BELOW")))
		fail_msg("forewarm %s: exit %d, wanted %d; printed:\n%s---- wanted:\n%s----", args,
			 r, status, got, text);
}

static void test_cli_services_fit_80_columns(void **state)
{
	char got[16384], *line = got;

	assert_int_equal(run(*state, "services", got, sizeof(got)), 0);
	printf("%s", got);
	for (char *end; (end = strchr(line, '\n')); line = end + 1)
		if (end - line > 80)
			fail_msg("%td columns: %.*s", end - line, (int)(end - line), line);
	for (const char *const *w = (const char *const[]){"web", "frozen", "releasing waited for",
							  "thawed", "predicted", "FORETOLD",
							  "WASTED MB*s", "12345678", NULL};
	     *w; w++)
		if (!strstr(got, *w))
			fail_msg("'%s' is not in:\n%s", *w, got);
	assert_int_equal(run(*state, "services --json", got, sizeof(got)), 0);
	assert_non_null(strstr(got, "\"wasted_mbs\""));
	assert_non_null(strstr(got, "\"why\""));
	assert_non_null(strstr(got, "\"p99_ns\""));
}

static void test_cli_deps_at_80_columns(void **state)
{
	expect(*state, "deps cc1 -n 5", 0,
	       "/usr/libexec/cc1\n"
	       "  program, run 12 times, last 20 s ago; needs 7 things\n"
	       "\n"
	       "SHARE   LEAD    P50    P99  TIMES  CONNECTS TO\n"
	       "100 %  40 ms  56 us  56 us     12  tcp:127.0.0.1:5432\n"
	       "\n"
	       "SHARE   LEAD     P50     P99  TIMES  OPENS\n"
	       "100 %      0       -       -     12  /usr/libexec/cc1\n"
	       "100 %  40 ms  1.8 us  1.8 us     12  /usr/lib/.../and-yet-another/libx.so\n"
	       "100 %  40 ms  1.8 us  1.8 us     12  /usr/include/stdio.h\n"
	       " 25 %  40 ms  1.8 us  1.8 us      3  /tmp/\\x1b]0;owned\\x07\\x1b[2Jx\n"
	       "\n"
	       "2 more; see them with --rows\n");
}

static void test_cli_names_by_their_end(void **state)
{
	expect(*state, "needs :5432", 0,
	       "tcp:127.0.0.1:5432\n"
	       "  service, last needed 20 s ago, by 1 program\n"
	       "\n"
	       "SHARE   LEAD    P50    P99  TIMES  IS CONNECTED TO BY\n"
	       "100 %  40 ms  56 us  56 us     12  /usr/libexec/cc1\n");
	expect(*state, "deps make", 5,
	       "forewarm: 'make' may be any of 2 names; say more of it\n"
	       "TIMES  KIND   NAME\n"
	       "   12  block  /usr/bin/make\n"
	       "    1  block  /opt/bin/make\n");
	expect(*state, "deps nothing-like-it", 5,
	       "forewarm: nothing called 'nothing-like-it' was seen yet\n");
}

/* The random part of a temporary name is not kept, but what a person has in front of him is found. */
static void test_cli_finds_what_has_a_temporary_name(void **state)
{
	char got[4096];

	assert_int_equal(run(*state, "deps /tmp/tmp.Qx7vB2nW1k/job.sh", got, sizeof(got)), 0);
	assert_non_null(strstr(got, "program, run 1 time, "));
	assert_int_equal(run(*state, "deps /tmp/tmp.Qx7vB2nW1k/jab.sh", got, sizeof(got)), 5);
}

static const char *const asks[] = {
	"status",
	"deps /usr/libexec/cc1",
	"needs stdio.h",
	"predict gcc",
	"why stdio.h",
	"top --once",
	"export --format=dot",
	"deps make",
	"why cc1 -n 3",
	"why 5432",
	"needs owned",
	"top --for 1s",
	"export --format=graphml",
	"predict /usr/bin/make",
	"deps '\033[31m'",
};

static void test_cli_lets_no_control_character_through(void **state)
{
	char got[1 << 16];

	for (size_t i = 0; i < ARRAY_SIZE(asks); i++)
		for (int json = 0; json < 2; json++) {
			char args[128];

			snprintf(args, sizeof(args), "%s%s", asks[i], json ? " --json" : "");
			(void)run(*state, args, got, sizeof(got));
			assert_true(strlen(got) > 10);
			for (const unsigned char *p = (unsigned char *)got; *p; p++)
				if ((*p < 0x20 && *p != '\n') || *p == 0x7f ||
				    (*p == 0xc2 && p[1] < 0xa0) ||
				    (*p == 0xe2 && p[1] == 0x80 && p[2] == 0xae))
					fail_msg("forewarm %s: byte %#x in:\n%s", args, *p, got);
		}
}

static void test_cli_tables_fit_80_columns(void **state)
{
	char got[1 << 16];

	for (size_t i = 0; i < ARRAY_SIZE(asks); i++) {
		if (strstr(asks[i], "export") || strstr(asks[i], "why") ||
		    strstr(asks[i], "status") || strstr(asks[i], "--for"))
			continue; /* not tables */
		(void)run(*state, asks[i], got, sizeof(got));
		for (char *line = strtok(got, "\n"); line; line = strtok(NULL, "\n"))
			if (strlen(line) > 80 && !strstr(line, "forewarm:"))
				fail_msg("forewarm %s: %zu columns: %s", asks[i], strlen(line),
					 line);
	}
}

/* Every line of --json is an object with a type, and the last one closes. */
static void test_cli_json_is_ndjson(void **state)
{
	static char got[1 << 20];

	for (size_t i = 0; i < ARRAY_SIZE(asks); i++) {
		char args[128], *line;
		const char *type = "";

		snprintf(args, sizeof(args), "%s --json", asks[i]);
		(void)run(*state, args, got, sizeof(got));
		for (line = strtok(got, "\n"); line; line = strtok(NULL, "\n")) {
			json_t *o = json_loads(line, 0, NULL);
			static char last[32];

			if (strncmp(line, "forewarm:", 9) == 0)
				continue; /* standard error */
			if (!o || !json_is_string(json_object_get(o, "type")))
				fail_msg("forewarm %s: %s", args, line);
			snprintf(last, sizeof(last), "%s",
				 json_string_value(json_object_get(o, "type")));
			type = last;
			json_decref(o);
		}
		assert_true(strcmp(type, "end") == 0 || strcmp(type, "error") == 0);
	}
}

static void test_cli_why_tells_the_story(void **state)
{
	char got[16384];

	assert_int_equal(run(*state, "why stdio.h", got, sizeof(got)), 0);
	assert_non_null(
		strstr(got, "/usr/include/stdio.h: a file of 1.0 MiB, needed by 1 program.\n"));
	for (char *p = got; (p = strstr(p, "\n  ")); p++) /* unwrapped */
		memmove(p, p + 2, strlen(p + 2) + 1), *p = ' ';
	assert_non_null(
		strstr(got, " guessed that /usr/libexec/cc1 would open /usr/include/stdio.h "));
	assert_non_null(strstr(got, " later, with probability "));
	assert_non_null(strstr(got, "Made ready"));
	assert_non_null(strstr(got, "Hit: it was needed"));
	assert_int_equal(run(*state, "why cc1", got, sizeof(got)), 0);
	for (char *p = got; (p = strstr(p, "\n  ")); p++)
		memmove(p, p + 2, strlen(p + 2) + 1), *p = ' ';
	assert_non_null(strstr(got, " guessed that /usr/libexec/cc1 would run "));
	assert_null(strstr(got, " /usr/libexec/cc1 would run /usr/libexec/cc1"));
}

static void test_cli_why_tells_what_was_not_done(void **state)
{
	char got[16384];

	assert_int_equal(run(*state, "why " REFUSED, got, sizeof(got)), 0);
	for (char *p = got; (p = strstr(p, "\n  ")); p++) /* unwrapped */
		memmove(p, p + 2, strlen(p + 2) + 1), *p = ' ';
	assert_non_null(strstr(got, " guessed that it would ask about " REFUSED " "));
	assert_non_null(strstr(got, "Nothing was done about it: it was tried, and that failed: "
				    "Permission denied (worth "));
	assert_int_equal(run(*state, "why " REFUSED " --json", got, sizeof(got)), 0);
	assert_non_null(strstr(got, "\"decision\":\"failed\",\"errno\":13"));
	assert_non_null(strstr(got, "\"lookup\":true"));
}

static void test_cli_pictures_of_top(void **state)
{
	char got[16384];
	int lines = 0;

	assert_int_equal(run(*state, "top --for 1s --every 250ms", got, sizeof(got)), 0);
	for (char *p = got; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 5);
	assert_non_null(strstr(got, " events/s, "));
	assert_non_null(strstr(got, " hit, "));
}

/* The same object as `why` gives for that program. */
static void test_cli_top_scores_each_program(void **state)
{
	char top[65536], why[65536], *at, *end;

	assert_int_equal(run(*state, "top --once --json", top, sizeof(top)), 0);
	at = strstr(top, "{\"type\":\"block\"");
	assert_non_null(at);
	end = strchr(at, '\n');
	assert_non_null(end);
	*end = '\0';
	at = strstr(at, "\"score\":{\"outcomes\":{");
	assert_non_null(at);
	assert_int_equal(run(*state, "why /usr/libexec/cc1 --json", why, sizeof(why)), 0);
	assert_non_null(strstr(why, at));
	assert_int_equal(run(*state, "top --once", top, sizeof(top)), 0);
	at = strstr(top, "WASTED");
	assert_non_null(at);
	assert_non_null(strstr(at, "/usr/libexec/cc1\n"));
}

/* What has a bound says so when it was reached. */
static void test_cli_status_tells_what_was_refused(void **state)
{
	char got[4096];

	assert_int_equal(run(*state, "status", got, sizeof(got)), 0);
	assert_non_null(strstr(got, "\n  no room     for 3 rows of the tables in the kernel\n"));
	assert_non_null(strstr(got, "\n  no room     for the container of 2 processes: taken for "
				    "the host's\n"));
	assert_non_null(strstr(got, "\n  no room     for 1 read, with too many waiting\n"));
	assert_non_null(
		strstr(got, "\n  no room     to remember 4 reads: kept if they were wrong\n"));
	assert_non_null(strstr(got, " processes, 5 in containers\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cli_top_scores_each_program),
		cmocka_unit_test(test_cli_status_tells_what_was_refused),
		cmocka_unit_test(test_cli_services_fit_80_columns),
		cmocka_unit_test(test_cli_deps_at_80_columns),
		cmocka_unit_test(test_cli_names_by_their_end),
		cmocka_unit_test(test_cli_finds_what_has_a_temporary_name),
		cmocka_unit_test(test_cli_lets_no_control_character_through),
		cmocka_unit_test(test_cli_tables_fit_80_columns),
		cmocka_unit_test(test_cli_json_is_ndjson),
		cmocka_unit_test(test_cli_why_tells_the_story),
		cmocka_unit_test(test_cli_why_tells_what_was_not_done),
		cmocka_unit_test(test_cli_pictures_of_top),
	};

	return cmocka_run_group_tests_name("cli", tests, setup, teardown);
}
