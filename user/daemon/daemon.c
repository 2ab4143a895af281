// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * daemon.c - the pipeline on one screen: see drain() and the sources it is called from.
 *
 *   capture_drain() -> engine_observe() -> engine_next_action() -> warm_submit() -> engine_result()
 *
 * The ring wakes us above its watermark, and for a program start that the guess table in the
 * kernel says is worth it; else a timer drains it. Nothing on this thread waits for a disk: files
 * are read by the threads of warm, the database is written by the thread of keep. What only the time
 * brings can wait, and is done behind everybody else (sys/behind.h).
 */
#include "daemon/daemon_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sys/capture.h"
#include "sys/layers.h"
#include "sys/procfs.h"

#include <malloc.h>
#include <string.h>
#include <systemd/sd-daemon.h>

/* A drain stops after so many records, so that the other sources get their turn. */
#define DRAIN_MAX 8192
#define TICK_NS (250ull * 1000 * 1000)
/* What is waited for the kernel works out anew each 2 s, of the last 10. */
#define PRESSURE_NS (1000ull * 1000 * 1000)
/* What comes back by the time comes with a drain where one is due so soon: each wakeup finds the caches full of
 * somebody else's. */
#define TOGETHER_NS (100ull * 1000 * 1000)
#define SHARP_NS (1000ull * 1000)
#define LEARN_TAKE_NS (1000ull * 1000 * 1000)
#define LEFT_NS (20ull * 1000 * 1000)

void daemon_observe(void *ctx, const struct obs *seen)
{
	struct daemon *d = ctx;
	struct obs named;
	const struct obs *o = &named;
	int r;

	if (d->may_wait) /* most drains find nothing: those are over sooner than the thread is behind */
		behind_begin(d->behind);
	d->may_wait = false;
	procfs_name(d->naming, seen, &named);
	if (o->kind == OBS_EXEC && naming_get(d->naming, o->pid)[0])
		layers_note(d->layers, naming_get(d->naming, o->pid), o->pid, o->ppid);
	r = engine_observe(d->engine, o);

	d->events_n += o->count;
	if (serve_wants(d->serve, o)) {
		behind_end(d->behind);
		serve_observe(d->serve, o);
	}
	/* A guess is worth most now: much may follow it in the ring, and what is noted below can wait. Before there are
	 * sources nothing is carried out. */
	if (o->kind == OBS_EXEC && d->due)
		daemon_step(d);
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

	daemon_take_results(d); /* what is done is done before it is needed */
	note_left(d);
	do {
		r = capture_drain(d->capture, DRAIN_MAX, daemon_observe, d);
		daemon_step(d); /* also between two batches: a guess is worth most now */
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

/* For who does what can wait, and does no more of it. */
static int again(struct daemon *d, sd_event_source *s, uint64_t in_ns)
{
	int r;

	behind_end(d->behind);
	r = sd_event_source_set_time_relative(s, in_ns / 1000);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_drain(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)usec;
	d->may_wait = true;
	drain(d);
	d->may_wait = false;
	return again(d, s, d->config.drain_ns);
}

/* A start waits: it has its turn now, and what was begun goes on soon. */
static int soon(struct daemon *d, sd_event_source *s)
{
	behind_end(d->behind);
	drain(d);
	return again(d, s, LATER_AGAIN_MS * 1000000ull);
}

static bool start_waits(void *ctx)
{
	return capture_start_waits(((struct daemon *)ctx)->capture);
}

static bool begin(struct daemon *d, struct later *l)
{
	if (!later_begin(l))
		return false;
	behind_begin(d->behind);
	return true;
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

/* --- what the time brings ------------------------------------------------------------------------------
 *
 * Each part returns false when it paused: then the tick goes on with it. */

static bool tick_host(struct daemon *d, const struct pause *pause)
{
	const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	(void)pause; /* some files of /proc and /sys that are open */
	keep_off(d);
	if (now_ns - d->pressure_ns >= PRESSURE_NS) {
		psi_read(d->psi, &d->pressure);
		d->pressure_ns = now_ns;
	}
	disks_tick(d->disks, now_ns);
	layers_tick(d->layers);
	return true;
}

static bool tick_engine(struct daemon *d, const struct pause *pause)
{
	return engine_tick(d->engine, clock_ns(CLOCK_MONOTONIC), &d->pressure, pause) == 0;
}

static bool tick_table(struct daemon *d, const struct pause *pause)
{
	return table_tick(d->table, d->engine, d->capture, clock_ns(CLOCK_MONOTONIC), pause);
}

static bool tick_services(struct daemon *d, const struct pause *pause)
{
	(void)pause;
	behind_end(d->behind); /* what these start must not stay behind */
	serve_tick(d->serve, &d->pressure);
	runs_tick(d->runs, clock_ns(CLOCK_MONOTONIC), &d->pressure);
	daemon_step(d);
	if (d->api)
		(void)api_dispatch(d->api, clock_ns(CLOCK_MONOTONIC));
	return true;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	static bool (*const parts[])(struct daemon *, const struct pause *) = {
		tick_host, tick_engine, tick_table, tick_services};
	struct daemon *d = userdata;
	const struct pause *pause = later_pause(&d->ticks);

	(void)usec;
	if (!begin(d, &d->ticks))
		return soon(d, s);
	do {
		if (!parts[d->tick_part](d, pause))
			return soon(d, s);
		d->tick_part = (d->tick_part + 1) % ARRAY_SIZE(parts);
	} while (d->tick_part && !pause_wanted(pause));
	return d->tick_part ? soon(d, s) : again(d, s, TICK_NS);
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
	if (!begin(d, &d->learns))
		return soon(d, s);
	drain(d); /* the execs and opens that give pids and inodes their names come first */
	r = pageuse_go(&d->pageuse, capture_used_pages(d->capture, &full_n), on_use, d,
		       later_pause(&d->learns), NULL);
	if (r == PAGEUSE_MORE)
		return soon(d, s);
	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "capture: cannot take the used pages: %s",
			    strerror(-r));
	return again(d, s, LEARN_TAKE_NS);
}

static int on_flush(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)usec;
	if (!begin(d, &d->flushes) || !keep_flush(d->keep, d->engine, later_pause(&d->flushes)))
		return soon(d, s);
	daemon_unwatch_cost(d);
	return again(d, s, d->config.flush_ns);
}

static int on_edges(sd_event_source *s, uint64_t usec, void *userdata)
{
	const uint64_t began_ns = clock_ns(CLOCK_MONOTONIC);
	struct daemon *d = userdata;
	uint64_t rest_ns;
	bool done;

	(void)usec;
	if (!begin(d, &d->edges))
		return soon(d, s);
	done = table_edges(d->table, d->engine, d->capture, later_pause(&d->edges));
	d->edges_ns += clock_ns(CLOCK_MONOTONIC) - began_ns;
	if (!done)
		return soon(d, s);
	rest_ns = table_edges_rest(d->edges_ns);
	d->edges_ns = 0;
	return again(d, s, rest_ns);
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

/* late_ns: how much later will do as well. */
static int add_time(struct daemon *d, uint64_t in_ns, uint64_t late_ns,
		    sd_event_time_handler_t handler)
{
	return sd_event_add_time_relative(d->loop, NULL, CLOCK_MONOTONIC, in_ns / 1000,
					  late_ns / 1000, handler, d);
}

int daemon_add_sources(struct daemon *d)
{
	struct later *const later[] = {&d->ticks, &d->learns, &d->flushes, &d->edges};
	int r;

	d->urgent = (struct pause){start_waits, d};
	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		later_init(later[i], d->urgent);
	r = sd_event_add_signal(d->loop, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->loop, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_io(d->loop, NULL, capture_fd(d->capture), EPOLLIN, on_ring, d);
	if (r >= 0)
		r = sd_event_add_defer(d->loop, &d->drain_again, on_drain_again, d);
	if (r >= 0)
		r = daemon_add_results(d);
	if (r >= 0 && d->api)
		r = sd_event_add_io(d->loop, NULL, api_fd(d->api), EPOLLIN, on_api, d);
	if (r >= 0)
		r = add_time(d, d->config.drain_ns, SHARP_NS, on_drain);
	if (r >= 0)
		r = add_time(d, TICK_NS, TOGETHER_NS, on_tick);
	if (r >= 0 && d->learns_pages)
		r = add_time(d, LEARN_TAKE_NS, TOGETHER_NS, on_learn);
	if (r >= 0)
		r = add_time(d, d->config.flush_ns, TOGETHER_NS, on_flush);
	if (r >= 0)
		r = add_time(d, table_edges_rest(0), TOGETHER_NS, on_edges);
	if (r >= 0 && d->options.for_ns)
		r = add_time(d, d->options.for_ns, SHARP_NS, on_end);
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
	(void)table_edges(d->table, d->engine, d->capture, NULL);
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
