// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * daemon.c - the pipeline on one screen: see step() and the sources it is called from.
 *
 *   capture_drain() -> engine_observe() -> engine_next_action() -> warm_submit() -> engine_result()
 *
 * The ring wakes us above its watermark, and for a program start that the guess table in the
 * kernel says is worth it; else a timer drains it. Nothing on this thread waits for a disk: files
 * are read by the threads of warm, the database is written by the thread of keep.
 */
#include "daemon/daemon_impl.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sys/capture.h"
#include "sys/pageuse.h"
#include "sys/procfs.h"

#include <malloc.h>
#include <string.h>
#include <systemd/sd-daemon.h>

/* A drain stops after so many records, so that the other sources get their turn. */
#define DRAIN_MAX 8192
#define EDGES_NS (5000ull * 1000 * 1000)
#define TICK_NS (250ull * 1000 * 1000)
#define LEARN_TAKE_NS (1000ull * 1000 * 1000)
/* Of a file whose used parts are not known yet. Reading all of node's 94 MB made its start slower. */
#define UNKNOWN_BYTES_MAX (16ull << 20)
#define RESULTS_NS (3ull * 1000 * 1000)
#define LEFT_NS (20ull * 1000 * 1000)

/* --- actions and outcomes -------------------------------------------------------------------- */

static void report(struct daemon *d, const struct action *a, int err)
{
	(void)engine_result(d->engine,
			    &(struct action_result){.guess_id = a->guess_id,
						    .err = err,
						    .bytes_planned = a->bytes,
						    .done_ns = clock_ns(CLOCK_MONOTONIC)});
}

static void report_resident(struct daemon *d, const struct action *a)
{
	(void)engine_result(d->engine,
			    &(struct action_result){.guess_id = a->guess_id,
						    .resident = true,
						    .bytes_planned = a->bytes,
						    .done_ns = clock_ns(CLOCK_MONOTONIC)});
}

/* In a container: by the root of one of its processes. false: none lives. */
static bool inner(struct daemon *d, const struct action *a, struct warm_job *job)
{
	const char *path = naming_inner(a->name);

	snprintf(job->root_image, sizeof(job->root_image), "%.*s", (int)(path - 1 - a->name),
		 a->name);
	job->root_pid = naming_find(d->naming, job->root_image);
	job->uid = a->uid;
	job->path = path;
	return job->root_pid;
}

/* What is planned, and for which control group: a job's tag. */
#define TAG_BYTES ((1ull << 56) - 1)

static uint64_t tag_of(uint64_t bytes, uint8_t group)
{
	return (bytes < TAG_BYTES ? bytes : TAG_BYTES) | (uint64_t)group << 56;
}

static uint8_t tag_group(uint64_t tag)
{
	return (uint8_t)(tag >> 56);
}

static void act(struct daemon *d, const struct action *a)
{
	const struct node *dep = graph_node_const(engine_graph_const(d->engine), a->dep);
	struct warm_job job = {.id = a->guess_id,
			       .tag = tag_of(a->bytes, UINT8_MAX),
			       .event_ns = a->event_ns,
			       .priority = a->priority,
			       .path = a->name,
			       .deadline_ns = a->deadline_ns};
	uint8_t group;
	int r;

	if (a->name && naming_inner(a->name) && !inner(d, a, &job)) {
		report(d, a, ESRCH);
		return;
	}
	switch (a->kind) {
	case ACTION_CANCEL:
		(void)warm_release(d->warm, a->guess_id);
		return;
	case ACTION_HURRY:
		warm_hurry(d->warm, a->guess_id);
		return;
	case ACTION_SETTLE:
		warm_settle(d->warm, a->guess_id);
		return;
	case ACTION_PRESTART: /* or no service of ours answers there */
		report(d, a, serve_prestart(d->serve, a) ? 0 : ENOENT);
		return;
	case ACTION_WARM:
		if (dep && trust_ask(d->trust, a, dep)) {
			report_resident(d, a);
			return;
		}
		r = targets_take(d->targets, a->pid, a->bytes, clock_ns(CLOCK_MONOTONIC), &group);
		if (r != 0) {
			report(d, a, r < 0 ? -r : r == TARGET_BUSY ? EBUSY : ENOMEM);
			return;
		}
		job.tag = tag_of(a->bytes, group);
		if (dep)
			trust_begin(d->trust, a, dep);
		job.kind = WARM_FILE;
		if (a->range_n) {
			job.ranges = a->ranges;
			job.range_n = (uint32_t)a->range_n;
		} else {
			job.bytes_max = UNKNOWN_BYTES_MAX;
		}
		break;
	case ACTION_LOOKUP:
		job.kind = a->sweep ? WARM_SWEEP : a->list ? WARM_DIR : WARM_DENTRY;
		break;
	default:
		return;
	}
	r = warm_submit(d->warm, &job, NULL);
	if (r != 0) {
		targets_back(d->targets, tag_group(job.tag), a->bytes);
		report(d, a, r < 0 ? -r : EAGAIN);
	}
}

/* Carries out what the engine wants done now. */
static void step(struct daemon *d)
{
	struct action a;

	while (engine_next_action(d->engine, &a))
		act(d, &a);
}

static void take_results(struct daemon *d)
{
	struct warm_result w;

	while (warm_next_result(d->warm, &w) == 0) {
		struct action_result r = {.guess_id = w.id,
					  .resident = w.outcome == WARM_RESIDENT,
					  .bytes_read = w.bytes_read,
					  .bytes_planned = w.tag & TAG_BYTES,
					  .done_ns = w.began_ns + w.took_ns,
					  .took_ns = w.took_ns};

		if (w.outcome == WARM_RELEASED)
			continue;
		if (r.bytes_planned > r.bytes_read)
			targets_back(d->targets, tag_group(w.tag), r.bytes_planned - r.bytes_read);
		firstread_note(d->firstread, w.event_ns, w.first_io_ns);
		trust_end(d->trust, w.id,
			  (w.outcome == WARM_DONE || w.outcome == WARM_RESIDENT) &&
				  !w.bytes_missing);
		if (w.outcome == WARM_REFUSED || w.outcome == WARM_CANCELLED ||
		    w.outcome == WARM_GONE || w.outcome == WARM_LATE)
			r.err = w.err ? w.err : ECANCELED;
		(void)engine_result(d->engine, &r);
	}
	step(d);
}

/* Files of a working set are done one by one; we come for them a few at a time. */
static int on_warm(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct daemon *d = userdata;
	int r;

	(void)fd, (void)revents;
	take_results(d);
	r = sd_event_source_set_enabled(s, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_time_relative(d->warm_again, RESULTS_NS / 1000);
	return r < 0 ? r : sd_event_source_set_enabled(d->warm_again, SD_EVENT_ONESHOT);
}

static int on_warm_again(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)s, (void)usec;
	take_results(d);
	return sd_event_source_set_enabled(d->warm_source, SD_EVENT_ON);
}

/* --- observations ---------------------------------------------------------------------------- */

void daemon_observe(void *ctx, const struct obs *seen)
{
	struct daemon *d = ctx;
	struct obs named;
	const struct obs *o = &named;
	int r;

	procfs_name(d->naming, seen, &named);
	r = engine_observe(d->engine, o);

	d->events_n += o->count;
	serve_observe(d->serve, o);
	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "engine: an observation of kind %d was refused: %s",
			    (int)o->kind, strerror(-r));
	if (d->watch)
		watch_observe(d->watch, o);
	fresh_observe(d->fresh, o);
	if (o->kind == OBS_EXEC && !(o->flags & OBS_F_SEED))
		table_note(d->table, d->engine, d->capture, o);
}

void daemon_seed(void *ctx, const struct obs *o)
{
	struct daemon *d = ctx;

	capture_seed(d->capture, o);
	daemon_observe(ctx, o);
}

/* How closely: times, pages and what is only asked about while there is something to learn from them. */
static void look_closer(struct daemon *d)
{
	bool on = fresh_wanted(d->fresh, clock_ns(CLOCK_MONOTONIC)) &&
		  !(d->watch && watch_leaving(d->watch));
	int r = capture_closer(d->capture, on,
			       FWM_FIRST_STARTS); /* to be continued, or not possible */

	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "capture: calls cannot be timed: %s", strerror(-r));
}

/* Not at each drain: where files leave memory all the time each start would have all it needs looked through. */
static void note_left(struct daemon *d)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint32_t left_n;

	if (now_ns - d->left_ns < LEFT_NS || capture_resident_left(d->capture, &left_n) != 0)
		return;
	d->left_ns = now_ns;
	engine_left(d->engine, left_n);
}

static void drain(struct daemon *d)
{
	int r;

	take_results(d); /* what is done is done before it is needed */
	note_left(d);
	do {
		r = capture_drain(d->capture, DRAIN_MAX, daemon_observe, d);
		step(d); /* also between two batches: a guess is worth most now */
	} while (r == DRAIN_MAX);
	if (capture_woken(d->capture)) /* after the other sources had their turn */
		(void)sd_event_source_set_enabled(d->drain_again, SD_EVENT_ONESHOT);
	if (r < 0)
		log_limited(LOG_LEVEL_ERROR, "capture: cannot read the ring: %s", strerror(-r));
	r = d->watch ? watch_step(d->watch, clock_ns(CLOCK_MONOTONIC), daemon_observe, d) : 0;
	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "capture: open hooks cannot be attached again: %s",
			    strerror(-r));
	look_closer(d);
}

static int on_ring(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	(void)s, (void)fd, (void)revents;
	drain(userdata);
	return 0;
}

static int on_drain_again(sd_event_source *s, void *userdata)
{
	(void)s;
	drain(userdata);
	return 0;
}

static int again(sd_event_source *s, uint64_t in_ns)
{
	int r = sd_event_source_set_time_relative(s, in_ns / 1000);

	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_drain(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)usec;
	drain(d);
	return again(s, d->config.drain_ns);
}

/* The threads that read and write, off the CPUs that others need. */
static void keep_off(struct daemon *d)
{
	uint64_t to = d->cpus ? cpus_tick(d->cpus) : d->cpus_now;

	if (to == d->cpus_now)
		return;
	cpus_move(to);
	d->cpus_now = to;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)usec;
	keep_off(d);
	psi_read(d->psi, &d->pressure);
	disks_tick(d->disks, clock_ns(CLOCK_MONOTONIC));
	(void)engine_tick(d->engine, clock_ns(CLOCK_MONOTONIC), &d->pressure);
	table_tick(d->table, d->engine, d->capture, clock_ns(CLOCK_MONOTONIC));
	serve_tick(d->serve, &d->pressure);
	runs_tick(d->runs, clock_ns(CLOCK_MONOTONIC), &d->pressure);
	step(d);
	if (d->api)
		(void)api_dispatch(d->api, clock_ns(CLOCK_MONOTONIC));
	return again(s, TICK_NS);
}

static void on_use(void *ctx, const struct pageuse_run *u)
{
	struct daemon *d = ctx;

	(void)engine_observe_use(d->engine, u->tgid, u->exec_ns, u->dev, u->ino, u->uses,
				 u->uses_n);
}

static int on_learn(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;
	uint64_t full_n;
	int r;

	(void)usec;
	drain(d); /* the execs and opens that give pids and inodes their names come first */
	r = pageuse_take(capture_used_pages(d->capture, &full_n), on_use, d, NULL);
	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "capture: cannot take the used pages: %s",
			    strerror(-r));
	return again(s, LEARN_TAKE_NS);
}

static int on_flush(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)usec;
	keep_flush(d->keep, d->engine);
	daemon_unwatch_cost(d);
	return again(s, d->config.flush_ns);
}

static int on_edges(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)usec;
	table_edges(d->table, d->engine, d->capture);
	return again(s, EDGES_NS);
}

static int on_api(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct daemon *d = userdata;

	(void)s, (void)fd, (void)revents;
	return api_dispatch(d->api, clock_ns(CLOCK_MONOTONIC));
}

static int on_end(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)usec, (void)userdata;
	return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int add_time(struct daemon *d, uint64_t in_ns, sd_event_time_handler_t handler)
{
	/* An accuracy of 1 ms: with sd-event's default of 250 ms a drain would come late. */
	return sd_event_add_time_relative(d->loop, NULL, CLOCK_MONOTONIC, in_ns / 1000, 1000,
					  handler, d);
}

int daemon_add_sources(struct daemon *d)
{
	int r;

	r = sd_event_add_signal(d->loop, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->loop, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_io(d->loop, NULL, capture_fd(d->capture), EPOLLIN, on_ring, d);
	if (r >= 0)
		r = sd_event_add_defer(d->loop, &d->drain_again, on_drain_again, d);
	if (r >= 0)
		r = sd_event_add_io(d->loop, &d->warm_source, warm_fd(d->warm), EPOLLIN, on_warm,
				    d);
	if (r >= 0)
		r = sd_event_add_time_relative(d->loop, &d->warm_again, CLOCK_MONOTONIC,
					       RESULTS_NS / 1000, 1000, on_warm_again, d);
	if (r >= 0 && d->api)
		r = sd_event_add_io(d->loop, NULL, api_fd(d->api), EPOLLIN, on_api, d);
	if (r >= 0)
		r = add_time(d, d->config.drain_ns, on_drain);
	if (r >= 0)
		r = add_time(d, TICK_NS, on_tick);
	if (r >= 0 && d->learns_pages)
		r = add_time(d, LEARN_TAKE_NS, on_learn);
	if (r >= 0)
		r = add_time(d, d->config.flush_ns, on_flush);
	if (r >= 0)
		r = add_time(d, EDGES_NS, on_edges);
	if (r >= 0 && d->options.for_ns)
		r = add_time(d, d->options.for_ns, on_end);
	if (r >= 0)
		r = sd_event_set_watchdog(d->loop, true);
	if (r < 0)
		log_error("daemon: cannot set up the event loop: %s", strerror(-r));
	return r < 0 ? r : 0;
}

int daemon_run(struct daemon *d)
{
	struct engine_stats s;
	int r;

	engine_stats(d->engine, &s);
	log_info("forewarmd " FWM_VERSION " watches: %u nodes and %u edges known, %s",
		 s.graph.nodes_n, s.graph.edges_n,
		 d->config.policy.act ? "warming is on" : "guessing only");
	/* Loading the programs took some 20 MiB for the kernel's type information: give it back. */
	(void)malloc_trim(0);
	(void)sd_notify(0, "READY=1\nSTATUS=watching");
	r = sd_event_loop(d->loop);
	(void)sd_notify(0, "STOPPING=1");
	if (r < 0)
		log_error("daemon: the event loop ended: %s", strerror(-r));
	drain(d);
	return r < 0 ? r : 0;
}
