// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_replay.c - a trace through the engine, in virtual time; and questions to what it learnt. */
#include "cli/cli.h"

#include "api/routes.h"
#include "api/socket.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "core/replay.h"
#include "store/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define AFTER_NS (60ull * 1000 * 1000 * 1000) /* in which open guesses end */

struct replaying {
	struct replay *replay;
	struct trace_info info;
};

static void replaying_fini(struct replaying *r)
{
	r->replay = replay_free(r->replay);
}

static void reader_closep(struct trace_reader **t)
{
	*t = trace_read_close(*t);
}

static int run_through(const char *path, struct trace_reader *t, struct replay *replay)
{
	struct obs o;
	int err;

	for (;;) {
		err = trace_read_next(t, &o);
		if (err < 0)
			return cli_fail(FWM_STATUS_FAILED, "%s: damaged at byte %" PRIu64 ": %s",
					path, trace_read_offset(t), trace_read_message(t));
		if (err == TRACE_END)
			return FWM_STATUS_OK;
		err = replay_observe(replay, &o);
		if (err < 0)
			return cli_fail(FWM_STATUS_FAILED, "%s: before byte %" PRIu64 ": %s", path,
					trace_read_offset(t), strerror(-err));
	}
}

/* Feeds the whole trace; says what is wrong. */
static int replay_file(const char *path, struct replaying *ret)
{
	const struct engine_limits limits = replay_limits_default();
	const struct plan_policy policy = replay_policy_default();
	const struct replay_host host = replay_host_default();
	_cleanup_(reader_closep) struct trace_reader *t = NULL;
	char message[128] = "";
	int fd, err;

	fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				    : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cli_fail(cli_file_status(errno), "%s: %m", path);
	err = trace_read_open(fd, &ret->info, message, &t);
	if (err < 0)
		return cli_fail(FWM_STATUS_FAILED, "%s: %s", path,
				message[0] ? message : strerror(-err));
	err = replay_new(&limits, &policy, &host, &ret->replay);
	if (err < 0)
		return cli_fail(FWM_STATUS_FAILED, "%s", strerror(-err));
	engine_wall_offset(replay_engine(ret->replay), ret->info.wall_offset_ns);
	return run_through(path, t, ret->replay);
}

/* --- the summary ----------------------------------------------------------------------------- */

static void print_summary(const char *path, const struct replay_stats *s, const json_t *score)
{
	const uint64_t *n = s->actions_n;

	printf("%s: %s of %s\n", cli_text(path), cli_things(s->obs_n, "observation"),
	       cli_ns(s->last_ns - s->first_ns));
	printf("  decided     to read %s, look up %s, start %s; %s withdrawn\n",
	       cli_things(n[ACTION_WARM], "file"), cli_things(n[ACTION_LOOKUP], "name"),
	       cli_things(n[ACTION_PRESTART], "service"), cli_count(n[ACTION_CANCEL]));
	cli_print_score(score);
	printf("  digest      %016" PRIx64 "\n", s->digest);
}

int cmd_replay(struct cli *cli)
{
	_cleanup_(replaying_fini) struct replaying r = {0};
	struct engine_stats stats;
	struct replay_stats s;
	char digest[20];
	json_t *score, *o;
	int status, err;

	status = replay_file(cli->argv[0], &r);
	if (status != FWM_STATUS_OK)
		return status;
	err = replay_pass(r.replay, AFTER_NS);
	if (err < 0)
		return cli_fail(FWM_STATUS_FAILED, "%s: %s", cli->argv[0], strerror(-err));
	replay_stats(r.replay, &s);
	engine_stats(replay_engine(r.replay), &stats);
	score = view_score(&stats.score);
	if (!cli->json) {
		print_summary(cli->argv[0], &s, score);
		json_decref(score);
		return FWM_STATUS_OK;
	}
	snprintf(digest, sizeof(digest), "%016" PRIx64, s.digest);
	o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:s}", "type", "replay",
		      "observations_n", (json_int_t)s.obs_n, "span_ns",
		      (json_int_t)(s.last_ns - s.first_ns), "warm_n",
		      (json_int_t)s.actions_n[ACTION_WARM], "lookup_n",
		      (json_int_t)s.actions_n[ACTION_LOOKUP], "prestart_n",
		      (json_int_t)s.actions_n[ACTION_PRESTART], "cancel_n",
		      (json_int_t)s.actions_n[ACTION_CANCEL], "score", score, "digest", digest);
	cli_print_json(o);
	json_decref(o);
	cli_print_end(FWM_STATUS_OK);
	return FWM_STATUS_OK;
}

/* --- --trace --------------------------------------------------------------------------------- */

/* The host of a trace is as old as its last observation; no daemon, so no cost. */
static void host_view(void *ctx, struct view_host *ret)
{
	const struct replaying *r = ctx;
	struct replay_stats s;

	replay_stats(r->replay, &s);
	*ret = (struct view_host){
		.version = FWM_VERSION,
		.now_ns = replay_now_ns(r->replay),
		.up_ns = s.last_ns - s.first_ns,
		.events_n = s.obs_n,
		.lost_n = VIEW_UNKNOWN,
		.cpu_ns = VIEW_UNKNOWN,
		.rss_bytes = VIEW_UNKNOWN,
		.bpf_runs_n = VIEW_UNKNOWN,
		.bpf_ns = VIEW_UNKNOWN,
		.store_bytes = VIEW_UNKNOWN,
		.acting = true,
		.pressure = {.mem_some_avg10 = -1, .io_some_avg10 = -1, .cpu_some_avg10 = -1}};
	ret->wall_ns = ret->now_ns + (uint64_t)r->info.wall_offset_ns;
}

int cli_serve_trace(const char *path, int fd)
{
	_cleanup_(replaying_fini) struct replaying r = {0};
	struct routes routes = {.host = host_view, .ctx = &r};
	struct api *api = NULL;
	int status = replay_file(path, &r), err;

	if (status != FWM_STATUS_OK)
		return status;
	routes.engine = replay_engine(r.replay);
	err = api_open(&(struct api_options){.answer = routes_answer, .ctx = &routes}, &api);
	if (err >= 0)
		err = api_adopt(api, fd);
	while (err >= 0 && api_clients_n(api)) {
		struct pollfd p = {api_fd(api), POLLIN, 0};

		(void)poll(&p, 1, 1000);
		err = api_dispatch(api, clock_ns(CLOCK_MONOTONIC));
	}
	api_close(api);
	return err < 0 ? FWM_STATUS_FAILED : FWM_STATUS_OK;
}
