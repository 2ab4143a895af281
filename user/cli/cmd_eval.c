// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cmd_eval.c - forewarm eval TRACE: how well would the model have told what came next?
 *
 * The baselines are no part of forewarm: a program of its own (tools/baselines, beside the binary or
 * named by FOREWARM_BASELINES) runs them on the same trace and prints one object a predictor, which
 * are shown beside ours. Without it ours stands alone, and it is said.
 */
#include "cli/cli.h"

#include "cli/eval.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct eval_args {
	const char *trace;
	struct dataset_options data;
	struct eval_options run;
	bool alone; /* without baselines */
};

enum { CAP_MIB = 64, CAP_MIB_MAX = 65536 };

static const struct option longs[] = {
	{"raw", no_argument, NULL, 'r'},	  {"every-touch", no_argument, NULL, 't'},
	{"half", no_argument, NULL, 'H'},	  {"again", no_argument, NULL, 'A'},
	{"alone", no_argument, NULL, 'a'},	  {"cap", required_argument, NULL, 'c'},
	{"events", required_argument, NULL, 'e'}, {"sequences", required_argument, NULL, 's'},
	{"p", required_argument, NULL, 'p'},	  {"ahead", required_argument, NULL, 'k'},
	{"json", no_argument, NULL, 'j'},	  {0},
};

static int number(const struct cli *cli, const char *text, uint64_t *ret)
{
	if (text_parse_count(text, ret) < 0)
		return cli_usage(cli, "'%s' is no number", text);
	return 0;
}

static int probability(const struct cli *cli, const char *text, double *ret)
{
	if (text_parse_share(text, ret) < 0 || *ret > 1)
		return cli_usage(cli, "--p takes a probability from 0 to 1, not '%s'", text);
	return 0;
}

static int parse(struct cli *cli, struct eval_args *a)
{
	uint64_t n = 0;
	int key, r = 0;

	*a = (struct eval_args){.trace = cli->argv[0]};
	a->run = (struct eval_options){
		.bytes_max = (size_t)CAP_MIB << 20, .chain_p = 0.5, .chain_depth = 64};
	optind = 0;
	while (!r && (key = getopt_long(cli->argc, cli->argv, "", longs, NULL)) != -1) {
		if (strchr("cesk", key))
			r = number(cli, optarg, &n);
		switch (key) {
		case 'r':
			a->data.raw_names = true;
			break;
		case 't':
			a->data.every_touch = true;
			break;
		case 'H':
			a->run.half_split = true;
			break;
		case 'A':
			a->run.again = true;
			a->run.chain_p = 0;
			break;
		case 'a':
			a->alone = true;
			break;
		case 'j':
			cli->json = true;
			break;
		case 'c':
			if (!r && (n == 0 || n > CAP_MIB_MAX))
				r = cli_usage(cli, "--cap takes MiB from 1 to %d, not '%s'",
					      CAP_MIB_MAX, optarg);
			a->run.bytes_max = (size_t)n << 20;
			break;
		case 'e':
			a->data.event_max = n;
			break;
		case 's':
			a->data.sequence_max = n;
			break;
		case 'k':
			a->run.ahead = (uint32_t)n;
			break;
		case 'p':
			r = probability(cli, optarg, &a->run.chain_p);
			break;
		default:
			return cli_usage(cli, "eval: '%s' is no option, or lacks its value",
					 cli->argv[optind - 1]);
		}
	}
	if (!r && a->run.again && (a->run.half_split || a->run.chain_p > 0))
		r = cli_usage(cli, "--again goes with neither --half nor --p");
	if (!r && optind < cli->argc)
		r = cli_usage(cli, "one trace at a time");
	return r;
}

/* --- ours as an object: the same members as tools/baselines prints ---------------------------- */

static json_t *object_of(const struct dataset *d, const struct eval_args *a,
			 const struct eval_result *res)
{
	const struct tally *t = &res->tally;
	double n = (double)t->n;
	json_t *o = json_pack(
		"{s:i s:s s:s s:I s:I s:I s:f s:f s:f s:f s:f s:f s:f s:f s:f}", "v", 1, "type",
		"eval", "predictor", "forewarm", "n", (json_int_t)t->n, "streams",
		(json_int_t)d->stream_n, "symbols", (json_int_t)d->symbol_n, "hit1",
		tally_hit_percent(t, 0), "hit3", tally_hit_percent(t, 1), "hit5",
		tally_hit_percent(t, 2), "hit10", tally_hit_percent(t, 3), "bits", t->bits / n,
		"novel", 100 * (double)t->novel_n / n, "coverage", 100 * (double)t->covered_n / n,
		"ece", tally_ece(&t->all), "ece_first", tally_ece(&t->first));

	if (!o)
		return NULL;
	json_object_update_new(o, json_pack("{s:I s:I s:I s:I s:f s:I}", "update_ns_p50",
					    (json_int_t)res->update_ns_p50, "update_ns_p99",
					    (json_int_t)res->update_ns_p99, "predict_ns_p50",
					    (json_int_t)res->predict_ns_p50, "predict_ns_p99",
					    (json_int_t)res->predict_ns_p99, "predict_ns_mean",
					    res->predict_ns_mean, "bytes", (json_int_t)res->bytes));
	if (res->ahead_n)
		json_object_update_new(
			o, json_pack("{s:i s:f}", "ahead", (int)a->run.ahead, "ahead_hit",
				     100 * (double)res->ahead_hit_n / (double)res->ahead_n));
	if (a->run.again)
		json_object_update_new(
			o, json_pack("{s:f}", "oracle_hit3", 100 * (double)res->oracle_hit3_n / n));
	if (res->exec.n)
		json_object_update_new(o,
				       json_pack("{s:I s:f s:f}", "exec_n", (json_int_t)res->exec.n,
						 "exec_hit1", tally_hit_percent(&res->exec, 0),
						 "exec_hit5", tally_hit_percent(&res->exec, 2)));
	return o;
}

static json_t *chain_object(const struct eval_args *a, const struct eval_chain *c)
{
	json_t *o = json_pack("{s:i s:s s:s s:f s:f s:f s:I s:I s:I s:I s:f s:f s:f s:f s:I}", "v",
			      1, "type", "chain", "predictor", "forewarm", "p", a->run.chain_p,
			      "recall", 100 * (double)c->came_n / (double)c->touched_n, "precision",
			      c->named_n ? 100 * (double)c->came_n / (double)c->named_n : 0,
			      "wasted", (json_int_t)(c->named_n - c->came_n), "lead_ns_p10",
			      (json_int_t)c->lead_p10_ns, "lead_ns_p50", (json_int_t)c->lead_p50_ns,
			      "lead_ns_p90", (json_int_t)c->lead_p90_ns, "ahead_1ms",
			      100 * (double)c->lead_ms_n / (double)c->touched_n, "lead_covered",
			      100 * c->lead_covered, "lead_log2_error", c->lead_log2_error, "ece",
			      c->ece, "chain_ns_p50", (json_int_t)c->chain_ns_p50);

	if (o && c->sized)
		json_object_set_new(o, "wasted_bytes", json_integer((json_int_t)c->wasted_bytes));
	return o;
}

/* --- the table ---------------------------------------------------------------------------------*/

static const char *cell_real(const json_t *o, const char *key, const char *fmt, char *buf, size_t n)
{
	if (!has(o, key))
		return NULL;
	/* fmt is one of three literals below */
	if (!strcmp(fmt, "%.1f"))
		(void)snprintf(buf, n, "%.1f", get_real(o, key));
	else
		(void)snprintf(buf, n, "%.3f", get_real(o, key));
	return buf;
}

static void add_row(struct table *t, const json_t *o)
{
	char b[7][24];

	table_row(t, (const char *const[]){
			     get_text(o, "predictor"),
			     cell_real(o, "hit1", "%.1f", b[0], sizeof(b[0])),
			     cell_real(o, "hit3", "%.1f", b[1], sizeof(b[1])),
			     cell_real(o, "hit10", "%.1f", b[2], sizeof(b[2])),
			     cell_real(o, "bits", "%.3f", b[3], sizeof(b[3])),
			     cell_real(o, "coverage", "%.1f", b[4], sizeof(b[4])),
			     cell_real(o, "ece", "%.3f", b[5], sizeof(b[5])),
			     opt_ns(o, "update_ns_p50"),
			     opt_ns(o, "predict_ns_p50"),
			     opt_bytes(o, "bytes"),
		     });
}

/* The program with the baselines, or false. */
static bool find_baselines(char *ret, size_t size)
{
	const char *named = getenv("FOREWARM_BASELINES");
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (named) {
		(void)snprintf(ret, size, "%s", named);
		return access(ret, X_OK) == 0;
	}
	if (n <= 0)
		return false;
	exe[n] = 0;
	slash = strrchr(exe, '/');
	if (!slash)
		return false;
	(void)snprintf(ret, size, "%.*s/tools/baselines", (int)(slash - exe), exe);
	return access(ret, X_OK) == 0;
}

/* Starts path on the same trace; its output. */
static FILE *start_baselines(const char *path, const struct eval_args *a, pid_t *ret_pid)
{
	char events[32], sequences[32];
	const char *argv[12] = {path, a->trace, "--events", events, "--sequences", sequences};
	size_t n = 6;
	int fds[2];

	(void)snprintf(events, sizeof(events), "%zu", a->data.event_max);
	(void)snprintf(sequences, sizeof(sequences), "%zu", a->data.sequence_max);
	if (a->data.raw_names)
		argv[n++] = "--raw";
	if (a->data.every_touch)
		argv[n++] = "--every-touch";
	if (a->run.half_split)
		argv[n++] = "--half";
	if (pipe(fds) < 0)
		return NULL;
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)close(fds[0]);
		(void)close(fds[1]);
		(void)execv(path, (char *const *)argv);
		_exit(127);
	}
	(void)close(fds[1]);
	if (*ret_pid < 0) {
		(void)close(fds[0]);
		return NULL;
	}
	return fdopen(fds[0], "r");
}

static int baselines(struct cli *cli, const struct eval_args *a, struct table *t)
{
	_cleanup_(fclosep) FILE *f = NULL;
	char path[PATH_MAX + 32];
	char line[4096];
	int status = 0;
	pid_t pid = 0;

	if (!find_baselines(path, sizeof(path))) {
		fprintf(stderr,
			"forewarm: no baselines beside this: tools/baselines is not here\n");
		return 0;
	}
	f = start_baselines(path, a, &pid);
	if (!f)
		return cli_fail(FWM_STATUS_FAILED, "cannot start %s", path);
	while (fgets(line, sizeof(line), f)) {
		json_t *o = json_loads(line, 0, NULL);

		if (o && cli->json)
			cli_print_json(o);
		else if (o)
			add_row(t, o);
		json_decref(o);
	}
	if (waitpid(pid, &status, 0) < 0 || status)
		return cli_fail(FWM_STATUS_FAILED, "%s failed", path);
	return 0;
}

static void print_chain(const struct eval_args *a, const struct eval_chain *c)
{
	printf("\nNamed ahead at probability %.2f and more: %.1f %% of the touches;\n"
	       "%.1f %% of the names came, %llu were for nothing%s%s.\n"
	       "Lead %s / %s / %s (p10/p50/p90), %.0f %% of leads within theirs;\n"
	       "%.1f %% of the touches were known 1 ms ahead.\n"
	       "Calibration error %.3f; %s a chain.\n",
	       a->run.chain_p, 100 * (double)c->came_n / (double)c->touched_n,
	       c->named_n ? 100 * (double)c->came_n / (double)c->named_n : 0,
	       (unsigned long long)(c->named_n - c->came_n), c->sized ? ", " : "",
	       c->sized ? cli_bytes(c->wasted_bytes) : "", cli_ns(c->lead_p10_ns),
	       cli_ns(c->lead_p50_ns), cli_ns(c->lead_p90_ns), 100 * c->lead_covered,
	       100 * (double)c->lead_ms_n / (double)c->touched_n, c->ece, cli_ns(c->chain_ns_p50));
}

static int show(struct cli *cli, const struct eval_args *a, const struct dataset *d,
		const struct eval_result *res)
{
	static const struct table_column columns[] = {
		{"PREDICTOR", 'f'}, {"HIT@1", 'r'}, {"@3", 'r'},  {"@10", 'r'},
		{"BITS", 'r'},	    {"COVER", 'r'}, {"ECE", 'r'}, {"UPDATE", 'r'},
		{"PREDICT", 'r'},   {"BYTES", 'r'},
	};
	json_t *o = object_of(d, a, res);
	struct table *t = table_new(cli, columns, ARRAY_SIZE(columns));
	int r = 0;

	if (!o || !t)
		return cli_fail(FWM_STATUS_FAILED, "out of memory");
	if (!cli->json) {
		printf("%s:%s%zu events of %zu streams, %zu symbols, %.2f %% novel\n\n",
		       cli_text(a->trace), strlen(a->trace) > 16 ? "\n" : " ", d->event_n,
		       d->stream_n, d->symbol_n,
		       100 * (double)res->tally.novel_n / (double)res->tally.n);
		add_row(t, o);
	} else {
		cli_print_json(o);
	}
	json_decref(o);
	if (!a->alone && !a->run.again) /* they go through a trace once */
		r = baselines(cli, a, t);
	table_print(t);
	if (res->chain.touched_n && cli->json) {
		o = chain_object(a, &res->chain);
		cli_print_json(o);
		json_decref(o);
	} else if (res->chain.touched_n) {
		print_chain(a, &res->chain);
	}
	if (res->exec.n && !cli->json)
		printf("Program starts: hit@1 %.1f, hit@5 %.1f of %llu.\n",
		       tally_hit_percent(&res->exec, 0), tally_hit_percent(&res->exec, 2),
		       (unsigned long long)res->exec.n);
	if (a->run.again && !cli->json)
		printf("Seen once before: hit@3 %.1f, that is %.1f %% of an oracle's %.1f.\n",
		       tally_hit_percent(&res->tally, 1),
		       tally_hit_percent(&res->tally, 1) * (double)res->tally.n /
			       (double)res->oracle_hit3_n,
		       100 * (double)res->oracle_hit3_n / (double)res->tally.n);
	if (res->ahead_n && !cli->json)
		printf("Exactly %u ahead: %.1f %%.\n", a->run.ahead,
		       100 * (double)res->ahead_hit_n / (double)res->ahead_n);
	if (cli->json && !r)
		cli_print_end(FWM_STATUS_OK);
	return r;
}

/* What is wrong with the trace. */
static int unreadable(const char *path, size_t line, int err)
{
	enum fwm_status status = cli_file_status(-err);

	if (err == -ENODATA)
		return cli_fail(status, "%s: no event in it", path);
	if (err == -EBADMSG)
		return cli_fail(status,
				"%s: line %zu: of no form that `forewarm eval --help` names", path,
				line);
	if (err == -EIO)
		return cli_fail(status, "%s: damaged from line %zu on", path, line);
	if (err == -EFBIG)
		return cli_fail(status, "%s: more than %u events; take the first with --events",
				path, DATASET_EVENT_MAX);
	return cli_fail(status, "%s: %s", path, strerror(-err));
}

int cmd_eval(struct cli *cli)
{
	_cleanup_(dataset_freep) struct dataset *d = NULL;
	struct eval_result res = {0};
	struct eval_args a;
	size_t line = 0;
	int r = parse(cli, &a);

	if (r)
		return r;
	cli_error_objects = cli->json;
	r = dataset_read(a.trace, &a.data, &d, &line);
	if (r < 0)
		return unreadable(a.trace, line, r);
	if (d->form != DATASET_HOST && d->form != DATASET_TRACE)
		a.run.chain_p = 0;
	r = eval_run(d, &a.run, &res);
	if (r < 0)
		return cli_fail(FWM_STATUS_FAILED, "eval: %s", strerror(-r));
	return show(cli, &a, d, &res);
}
