// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cmd_record.c - what the hooks see, into a file; a recorder of its own, beside the daemon or without.
 *
 * It sees everything the daemon would: what runs already, then each event. Arguments are cut to what
 * names a program, so that a trace can be given away more lightly; paths are whole.
 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "core/anon.h"
#include "core/block.h"
#include "core/naming.h"
#include "store/trace.h"
#include "sys/capture.h"
#include "sys/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { DRAIN_MAX = 8192, POLL_MS = 50, PROCESS_MAX = 16384 };

struct recording {
	struct capture *capture;
	struct trace_writer *trace;
	bool whole;	   /* keep all arguments */
	struct anon *anon; /* other names for all; NULL: as they are */
	struct naming *naming;
	uint64_t obs_n;
	int err;
};

static void recording_fini(struct recording *r)
{
	r->trace = trace_write_close(r->trace, NULL);
	r->capture = capture_close(r->capture);
	r->naming = naming_free(r->naming);
	free(r->anon); /* and its secret: nobody can undo the names */
}

static void on_obs(void *ctx, const struct obs *seen)
{
	struct recording *r = ctx;
	struct obs o, other;
	char args[OBS_ARGS_MAX];
	int err;

	procfs_name(r->naming, seen, &o);
	if (o.kind == OBS_EXEC && !r->whole) {
		o.args_len = block_redact(&o, args);
		o.args = args;
	}
	if (r->anon)
		anon_obs(r->anon, &o, &other);
	err = trace_write_put(r->trace, r->anon ? &other : &o);
	if (err < 0 && !r->err)
		r->err = err;
	r->obs_n++;
}

static void on_seed(void *ctx, const struct obs *o)
{
	struct recording *r = ctx;

	capture_seed(r->capture, o);
	on_obs(ctx, o);
}

static int open_anon(struct recording *r)
{
	r->anon = calloc(1, sizeof(*r->anon));
	if (!r->anon || getrandom(r->anon->secret, sizeof(r->anon->secret), 0) !=
				(ssize_t)sizeof(r->anon->secret))
		return cli_fail(FWM_STATUS_FAILED, "no random bytes to be had: %m");
	return FWM_STATUS_OK;
}

static int open_file(const struct cli *cli, struct recording *r)
{
	struct trace_info info = {
		.flags = cli->anonymous ? TRACE_F_ANONYMOUS : 0,
		.wall_offset_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC))};
	const char *path = cli->argv[0];
	bool out = strcmp(path, "-") == 0;
	int fd, err;

	if (out && isatty(STDOUT_FILENO))
		return cli_fail(FWM_STATUS_USAGE, "a trace is nothing for a terminal");
	/* Names of files of all users: for root's eyes. */
	fd = out ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
		 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return cli_fail(cli_file_status(errno), "%s: %m", path);
	err = trace_write_open(fd, &info, 0, &r->trace);
	if (err < 0)
		return cli_fail(FWM_STATUS_FAILED, "%s: %s", path, strerror(-err));
	return FWM_STATUS_OK;
}

static int open_hooks(struct recording *r)
{
	char why[CAPTURE_WHY_MAX] = "", cgroup2[256];
	struct capture_opts opts = {.image_of = procfs_image, .why = why};
	int err;

	err = naming_new(procfs_host_mntns(), PROCESS_MAX, &r->naming);
	if (err < 0)
		return cli_fail(FWM_STATUS_FAILED, "%s", strerror(-err));
	err = capture_open(&opts, &r->capture);
	if (err < 0)
		return cli_fail(FWM_STATUS_FORBIDDEN,
				"%s; `forewarm probe` shows what this kernel offers",
				why[0] ? why : strerror(-err));
	err = procfs_seed(procfs_cgroup2_dir(cgroup2, sizeof(cgroup2)) == 0 ? cgroup2 : NULL,
			  (uint32_t)getpid(), 0, on_seed, r);
	if (err < 0)
		return cli_fail(FWM_STATUS_FAILED, "/proc: %s", strerror(-err));
	return FWM_STATUS_OK;
}

static int drain(struct recording *r)
{
	int n;

	do
		n = capture_drain(r->capture, DRAIN_MAX, on_obs, r);
	while (n == DRAIN_MAX && !r->err);
	return n < 0 ? n : r->err;
}

static uint64_t lost_n(struct recording *r)
{
	struct capture_counters c;
	uint64_t n = 0;

	if (capture_counters(r->capture, &c) == 0)
		for (int i = 0; i < FWM_HOOK_MAX; i++)
			n += c.hook[i].ring_full + c.hook[i].unreadable;
	return n;
}

/* To standard error, and to standard output for programs unless the trace goes there. */
static void sum_up(const struct cli *cli, struct recording *r, uint64_t bytes, uint64_t took_ns)
{
	json_t *o;

	if (!cli->json) {
		fprintf(stderr, "forewarm: recorded %s in %s: %s, %s lost\n",
			cli_things(r->obs_n, "observation"), cli_ns(took_ns), cli_bytes(bytes),
			cli_count(lost_n(r)));
		return;
	}
	o = json_pack("{s:s, s:I, s:I, s:I, s:I}", "type", "recorded", "observations_n",
		      (json_int_t)r->obs_n, "lost_n", (json_int_t)lost_n(r), "bytes",
		      (json_int_t)bytes, "took_ns", (json_int_t)took_ns);
	if (strcmp(cli->argv[0], "-") != 0) {
		cli_print_json(o);
		cli_print_end(FWM_STATUS_OK);
	}
	json_decref(o);
}

int cmd_record(struct cli *cli)
{
	_cleanup_(recording_fini) struct recording r = {.whole = cli->all};
	uint64_t start, bytes;
	int status, err = 0;

	if (geteuid() != 0)
		return cli_fail(FWM_STATUS_FORBIDDEN,
				"recording takes root: sudo forewarm record %s", cli->argv[0]);
	status = open_file(cli, &r);
	if (status == FWM_STATUS_OK && cli->anonymous)
		status = open_anon(&r);
	if (status == FWM_STATUS_OK)
		status = open_hooks(&r);
	if (status != FWM_STATUS_OK)
		return status;
	cli_catch_signals();
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "forewarm: recording; Ctrl-C ends it\n");
	start = clock_ns(CLOCK_MONOTONIC);
	while (!cli_stopped && err >= 0) {
		struct pollfd p = {capture_fd(r.capture), POLLIN, 0};

		if (cli->for_ns && clock_ns(CLOCK_MONOTONIC) - start >= cli->for_ns)
			break;
		(void)poll(&p, 1, POLL_MS); /* a signal ends it, as does the time */
		err = drain(&r);
	}
	if (err >= 0)
		err = drain(&r);
	if (err >= 0)
		err = trace_write_flush(r.trace);
	bytes = trace_write_bytes(r.trace);
	if (err >= 0)
		r.trace = trace_write_close(r.trace, &err);
	if (err < 0)
		return cli_fail(FWM_STATUS_FAILED, "%s: %s", cli->argv[0], strerror(-err));
	sum_up(cli, &r, bytes, clock_ns(CLOCK_MONOTONIC) - start);
	return FWM_STATUS_OK;
}
