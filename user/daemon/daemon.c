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
#include "daemon/daemon.h"

#include "api/routes.h"
#include "api/socket.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/engine.h"
#include "core/firstread.h"
#include "core/fresh.h"
#include "core/naming.h"
#include "core/vomm.h"
#include "daemon/keep.h"
#include "daemon/runs.h"
#include "daemon/serve.h"
#include "daemon/table.h"
#include "daemon/trust.h"
#include "daemon/watch.h"
#include "sys/capture.h"
#include "sys/confine.h"
#include "sys/cpus.h"
#include "sys/disks.h"
#include "sys/pageuse.h"
#include "sys/procfs.h"
#include "sys/psi.h"
#include "sys/selftest.h"
#include "sys/warm.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

/* A drain stops after so many records, so that the other sources get their turn. */
#define DRAIN_MAX 8192
/* Paths that stand for file numbers, some 130 bytes each; an unknown one is asked for again. */
#define NAME_MAX_N 8192
#define PROG_MAX 64
#define LOOKED_NS (5ull * 1000 * 1000 * 1000) /* `forewarm top` asks each second */
#define EDGES_NS (5000ull * 1000 * 1000)
#define TICK_NS (250ull * 1000 * 1000)
/* What a program uses is learnt for so long after its start, and taken from the kernel each second. */
#define LEARN_NS (10ull * 1000 * 1000 * 1000)
#define FRESH_BLOCKS 16384 /* 16 KiB */
#define FRESH_EVERY_NS (60ull * 1000 * 1000 * 1000)
#define FRESH_SAMPLE_NS (1000ull * 1000 * 1000)
#define LEARN_TAKE_NS (1000ull * 1000 * 1000)
/* Of a file whose used parts are not known yet. Reading all of node's 94 MB made its start slower. */
#define UNKNOWN_BYTES_MAX (16ull << 20)

/* A read of 4 KiB that meets two reads of 512 KiB waits some 0.3 ms for them here. */
#define AHEAD_INFLIGHT (1ull << 20)
#define RESULTS_NS (3ull * 1000 * 1000)
enum { NOW_THREADS = 6, AHEAD_THREADS = 4, AHEAD_NICE = 19 };

struct daemon {
	struct config config;
	struct daemon_options options;
	sd_event *loop;
	struct engine *engine;
	struct capture *capture;
	struct warm *warm;
	struct disks *disks;
	struct cpus *cpus; /* NULL: a host with one, or too many */
	uint64_t cpus_now;
	struct psi *psi;
	struct keep *keep;
	struct table *table;
	struct trust *trust;
	struct naming *naming;
	struct serve *serve;
	struct runs *runs;
	struct pools pools;
	struct routes_hook hooks[4];
	struct watch *watch; /* NULL: everything is watched */
	struct fresh *fresh;
	struct api *api;
	struct routes routes;
	int lock_fd, state_fd;
	int stats_fd;	    /* while it is open the kernel times BPF programs, all of the host's */
	uint64_t looked_ns; /* when somebody last asked what we cost */
	uint64_t start_ns, events_n;
	sd_event_source *warm_source, *warm_again; /* results: either waits for them or pauses */
	struct firstread *firstread;
	struct pressure pressure;
	bool learns_pages;
	char degraded[256]; /* hooks the self-test found blind, "" for none */
};

/* Timing costs some 20 ns a run, so the kernel is asked for it only while somebody looks. */
static void watch_own_cost(struct daemon *d)
{
	d->looked_ns = clock_ns(CLOCK_MONOTONIC);
	if (d->stats_fd < 0)
		d->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	/* A kernel before 5.8 or without the right: the cost stays unknown. */
}

static void unwatch_own_cost(struct daemon *d)
{
	if (d->stats_fd >= 0 && clock_ns(CLOCK_MONOTONIC) - d->looked_ns > LOOKED_NS) {
		closep(&d->stats_fd);
		d->stats_fd = -1;
	}
}

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

static void act(struct daemon *d, const struct action *a)
{
	const struct node *dep = graph_node_const(engine_graph_const(d->engine), a->dep);
	struct warm_job job = {.id = a->guess_id,
			       .tag = a->bytes,
			       .event_ns = a->event_ns,
			       .priority = a->priority,
			       .path = a->name,
			       .deadline_ns = a->deadline_ns};
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
	if (r != 0)
		report(d, a, r < 0 ? -r : EAGAIN);
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
					  .bytes_planned = w.tag,
					  .done_ns = w.began_ns + w.took_ns,
					  .took_ns = w.took_ns};

		if (w.outcome == WARM_RELEASED)
			continue;
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

static void on_obs(void *ctx, const struct obs *seen)
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

static void on_seed(void *ctx, const struct obs *o)
{
	struct daemon *d = ctx;

	capture_seed(d->capture, o);
	on_obs(ctx, o);
}

/* How closely: times and pages only while there is something to learn from them. */
static void look_closer(struct daemon *d)
{
	bool on = fresh_wanted(d->fresh, clock_ns(CLOCK_MONOTONIC)) &&
		  !(d->watch && watch_leaving(d->watch));
	int r = capture_closer(d->capture, on,
			       FWM_FIRST_STARTS); /* to be continued, or not possible */

	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "capture: calls cannot be timed: %s", strerror(-r));
}

static void drain(struct daemon *d)
{
	int r;

	take_results(d); /* what is done is done before it is needed */
	do {
		r = capture_drain(d->capture, DRAIN_MAX, on_obs, d);
		step(d); /* also between two batches: a guess is worth most now */
	} while (r == DRAIN_MAX);
	if (r < 0)
		log_limited(LOG_LEVEL_ERROR, "capture: cannot read the ring: %s", strerror(-r));
	r = d->watch ? watch_step(d->watch, clock_ns(CLOCK_MONOTONIC), on_obs, d) : 0;
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
	unwatch_own_cost(d);
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

/* --- start and end --------------------------------------------------------------------------- */

static int make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST) {
		log_error("daemon: cannot make '%s': %s", path, strerror(errno));
		return fault_errno();
	}
	return 0;
}

/* The file locked is the one that has the name: a daemon that ends removes it. */
static bool lock_is_at(int fd, const char *path)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
	       held.st_ino == named.st_ino;
}

static int take_lock(struct daemon *d)
{
	char path[CONFIG_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/lock", d->config.run_dir);
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0) {
		log_error("daemon: cannot open '%s': %s", path, strerror(errno));
		return fault_errno();
	}
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0 || !lock_is_at(d->lock_fd, path)) {
		closep(&d->lock_fd);
		d->lock_fd = -1;
		log_error(
			"daemon: another forewarmd runs with '%s': stop it, or give this one other "
			"directories (--set paths.run=...)",
			d->config.run_dir);
		return DAEMON_REFUSED;
	}
	return 0;
}

/* The database is one daemon's at a time, too. */
static int lock_state(struct daemon *d)
{
	d->state_fd = open(d->config.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->state_fd < 0) {
		log_error("daemon: cannot open '%s': %s", d->config.state_dir, strerror(errno));
		return fault_errno();
	}
	if (flock(d->state_fd, LOCK_EX | LOCK_NB) < 0) {
		log_error(
			"daemon: another forewarmd keeps what it learns in '%s': stop it, or give "
			"this one another directory (--set paths.state=...)",
			d->config.state_dir);
		return DAEMON_REFUSED;
	}
	return 0;
}

static void drop_lock(struct daemon *d)
{
	char path[CONFIG_PATH_MAX + 16];

	if (d->lock_fd < 0)
		return;
	snprintf(path, sizeof(path), "%s/lock", d->config.run_dir);
	(void)unlink(path);
	closep(&d->lock_fd);
	/* Left in place when somebody else put something there. */
	(void)rmdir(d->config.run_dir);
}

static int add_time(struct daemon *d, uint64_t in_ns, sd_event_time_handler_t handler)
{
	/* An accuracy of 1 ms: with sd-event's default of 250 ms a drain would come late. */
	return sd_event_add_time_relative(d->loop, NULL, CLOCK_MONOTONIC, in_ns / 1000, 1000,
					  handler, d);
}

/* Before any thread is made: each inherits this, and a signal that one of them took would end us. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL); /* fails for bad arguments only */
	signal(SIGPIPE, SIG_IGN);
}

static int add_sources(struct daemon *d)
{
	int r;

	r = sd_event_add_signal(d->loop, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->loop, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_io(d->loop, NULL, capture_fd(d->capture), EPOLLIN, on_ring, d);
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

static uint64_t own_rss(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/statm", "re");
	unsigned long size, rss;

	if (!f || fscanf(f, "%lu %lu", &size, &rss) != 2)
		return VIEW_UNKNOWN;
	return (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Sums over the programs; the kernel counts runs only while somebody asked it to. */
static void bpf_cost(struct daemon *d, struct view_host *ret)
{
	struct capture_prog progs[PROG_MAX];
	size_t n = capture_progs(d->capture, progs, PROG_MAX);

	ret->bpf_runs_n = ret->bpf_ns = 0;
	for (size_t i = 0; i < n && i < PROG_MAX; i++) {
		ret->bpf_runs_n += progs[i].run_n;
		ret->bpf_ns += progs[i].run_ns;
	}
	if (!ret->bpf_runs_n)
		ret->bpf_runs_n = ret->bpf_ns = VIEW_UNKNOWN;
}

static void host_view(void *ctx, struct view_host *ret)
{
	struct daemon *d = ctx;
	struct capture_counters counters;
	struct firstread_view first;

	watch_own_cost(d);
	*ret = (struct view_host){
		.version = FWM_VERSION,
		.now_ns = clock_ns(CLOCK_MONOTONIC),
		.wall_ns = clock_ns(CLOCK_REALTIME),
		.events_n = d->events_n,
		.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.rss_bytes = own_rss(),
		.store_bytes = keep_bytes(d->keep),
		.degraded = d->degraded[0] ? d->degraded : NULL,
		.acting = d->config.policy.act,
		.pressure = d->pressure,
	};
	ret->up_ns = ret->now_ns - d->start_ns;
	firstread_view(d->firstread, ret->now_ns, LOOKED_NS, &first);
	ret->rows_refused_n = table_refused(d->table);
	ret->contained_n = naming_processes(d->naming, &ret->uncontained_n);
	ret->first_read_n = first.starts_n;
	ret->first_read_p50_ns = first.p50_ns;
	ret->first_read_p99_ns = first.p99_ns;
	bpf_cost(d, ret);
	if (capture_counters(d->capture, &counters) == 0)
		for (int i = 0; i < FWM_HOOK_MAX; i++)
			ret->lost_n += counters.hook[i].ring_full + counters.hook[i].unreadable;
}

static int open_api(struct daemon *d)
{
	char path[CONFIG_PATH_MAX + 16];
	size_t n = 0;
	int r;

	snprintf(path, sizeof(path), "%s/control.sock", d->config.run_dir);
	d->pools = (struct pools){.of = {{serve_pool, &d->serve}, {runs_pool, d->runs}}, .n = 2};
	d->hooks[n++] = serve_hook(&d->serve);
	d->hooks[n++] = runs_hook(d->runs);
	d->hooks[n] = pools_hook(&d->pools); /* and the last one stays empty */
	d->routes = (struct routes){
		.engine = d->engine, .host = host_view, .ctx = d, .hooks = d->hooks};
	r = api_open(&(struct api_options){.path = path,
					   .group = d->config.socket_group,
					   .answer = routes_answer,
					   .ctx = &d->routes},
		     &d->api);
	if (r < 0)
		log_error("api: cannot listen at '%s': %s", path, strerror(-r));
	return r;
}

static void libbpf_says(const char *line)
{
	log_debug("libbpf: %s", line);
}

static int open_capture(struct daemon *d)
{
	char why[CAPTURE_WHY_MAX] = "";
	struct capture_opts opts = {.pin_dir = d->config.pin_dir,
				    .ring_bytes = (uint32_t)d->config.ring_bytes,
				    .name_max = NAME_MAX_N,
				    .keep = d->options.keep,
				    .image_of = procfs_image,
				    .only_targets = d->options.only_pid != 0,
				    .why = why,
				    .log = libbpf_says};
	int r;

	r = capture_open(&opts, &d->capture);
	if (r < 0) {
		log_error("capture: %s; 'forewarm probe' shows what this kernel offers",
			  why[0] ? why : strerror(-r));
		return DAEMON_REFUSED;
	}
	if (d->options.only_pid) {
		r = capture_mark(d->capture, d->options.only_pid, FWM_MARK_TARGET);
		if (r < 0) {
			log_error("capture: cannot watch process %u: %s", d->options.only_pid,
				  strerror(-r));
			return r;
		}
	}
	if (d->config.policy.act) /* after a boot first starts are what is worth most */
		capture_wake_new(d->capture);
	r = capture_learn_looks(d->capture, LEARN_NS);
	if (r < 0)
		log_warn("capture: what programs only ask about (stat) is not seen: %s, ignoring",
			 strerror(-r));
	r = capture_learn_pages(d->capture, LEARN_NS);
	d->learns_pages = r == 0;
	if (r != 0)
		log_warn("capture: this kernel does not tell which pages are used%s%s; large files "
			 "are warmed from their start",
			 r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	return 0;
}

/* A tracer that loaded and is blind looks healthy: make each hook see something now. */
static void self_test(struct daemon *d)
{
	struct selftest t;
	size_t n = 0;
	int r = capture_selftest(d->capture, on_obs, d, &t);

	if (r < 0) {
		log_warn("capture: no self-test: %s, ignoring", strerror(-r));
		return;
	}
	for (int h = 0; h < FWM_HOOK_MAX; h++)
		if (!t.ok[h] && n < sizeof(d->degraded))
			n += (size_t)snprintf(d->degraded + n, sizeof(d->degraded) - n, "%s%s",
					      n ? ", " : "", hook_name((enum fwm_hook)h));
	if (n)
		log_warn("capture: degraded, these hooks see nothing: %s; 'forewarm probe' shows "
			 "more",
			 d->degraded);
}

/* A restart in the middle of a day is no boot. */
static void booted(struct daemon *d)
{
	uint64_t up_ns = clock_ns(CLOCK_BOOTTIME);

	if (!d->config.boot_uptime_ns || up_ns < d->config.boot_uptime_ns)
		(void)engine_boot(d->engine, clock_ns(CLOCK_MONOTONIC)); /* full graph: counted */
}

static uint32_t disk_reads(void *ctx, dev_t dev)
{
	return disks_reads(ctx, dev);
}

int daemon_new(const struct config *config, const struct daemon_options *options,
	       struct daemon **ret)
{
	char cgroups[CONFIG_PATH_MAX];
	struct fresh_limits fresh = {.block_max = FRESH_BLOCKS,
				     .starts_n = FWM_FIRST_STARTS,
				     .every_ns = FRESH_EVERY_NS,
				     .sample_ns = FRESH_SAMPLE_NS};
	struct warm_limits warm;
	struct daemon *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return fault(-ENOMEM);
	*ret = d; /* half-built is fine for daemon_free() */
	block_signals();
	d->config = *config;
	d->options = *options;
	d->lock_fd = d->state_fd = d->stats_fd = -1;
	d->start_ns = clock_ns(CLOCK_MONOTONIC);
	r = confine_self();
	if (r < 0)
		log_warn("daemon: cannot give up all rights it does not need: %s, ignoring",
			 strerror(-r));
	r = make_dir(config->run_dir, 0755);
	if (r == 0)
		r = make_dir(config->state_dir, 0700);
	if (r == 0)
		r = take_lock(d);
	if (r == 0)
		r = lock_state(d);
	if (r != 0)
		return r;
	/* Forks: before there are threads and much memory. Without it there are no services, and said so. */
	(void)serve_open(config, &d->serve);
	r = engine_new(&config->limits, &config->policy, &d->engine);
	if (r < 0) {
		log_error("engine: not enough memory for the limits in the config");
		return r;
	}
	engine_wall_offset(d->engine,
			   (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC)));
	engine_phases(d->engine, config->boot_window_ns, config->boot_logins);
	r = table_new(config->limits.graph.node_max, config->policy.recheck_ns, &d->table);
	if (r < 0)
		return r;
	r = naming_new(procfs_host_mntns(), config->limits.process_max, &d->naming);
	if (r < 0)
		return r;
	r = keep_open(config, d->engine, &d->keep);
	if (r < 0)
		return r;
	r = open_capture(d);
	if (r != 0)
		return r;
	r = trust_new(d->capture, &d->trust);
	if (r >= 0)
		r = firstread_new(&d->firstread);
	if (r < 0)
		return r;
	fresh.for_ns = d->config.fresh_ns;
	r = fresh_new(&fresh, clock_ns(CLOCK_MONOTONIC), &d->fresh);
	if (r < 0) {
		log_error("daemon: cannot start: %s", strerror(-r));
		return r;
	}
	r = d->config.duty ? watch_new(d->capture, d->config.settle_ns, &d->watch) : 0;
	if (r < 0) {
		log_error("capture: cannot sample: %s", strerror(-r));
		return r;
	}
	r = procfs_seed(procfs_cgroup2_dir(cgroups, sizeof(cgroups)) == 0 ? cgroups : NULL,
			(uint32_t)getpid(), on_seed, d);
	if (r < 0)
		log_warn("procfs: cannot list what already runs: %s, ignoring", strerror(-r));
	self_test(d);
	warm_limits_default(&warm);
	warm.bytes_per_s = config->policy.bytes_per_s_max;
	warm.inflight_bytes_max = config->policy.bytes_inflight_max;
	warm.remote_fs = config->remote;
	warm.thread_n = NOW_THREADS;
	warm.ahead_thread_n = AHEAD_THREADS;
	warm.ahead_inflight_max = AHEAD_INFLIGHT;
	warm.ahead_nice = AHEAD_NICE;
	r = disks_new("", &d->disks);
	if (r < 0)
		return r;
	d->cpus_now = cpus_allowed();
	if (d->cpus_now & (d->cpus_now - 1))
		r = cpus_new("", d->cpus_now, &d->cpus);
	if (r < 0)
		return r;
	warm.disk_reads = disk_reads;
	warm.disk_ctx = d->disks;
	/* What is held is page cache, which the kernel takes back when it needs it. */
	warm.held_bytes_max =
		(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;
	r = warm_new(&warm, &d->warm);
	if (r >= 0)
		r = psi_new("", &d->psi);
	if (r < 0) {
		log_error("daemon: cannot start: %s", strerror(-r));
		return r;
	}
	r = runs_new(config, &d->runs);
	if (r >= 0)
		r = open_api(d);
	if (r < 0)
		return r;
	r = sd_event_default(&d->loop);
	if (r < 0) {
		log_error("daemon: no event loop: %s", strerror(-r));
		return fault(r);
	}
	booted(d);
	runs_start(d->runs, d->loop);
	if (serve_start(d->serve, d->loop, true) < 0) {
		log_warn("services: left out");
		d->serve = serve_close(d->serve, true);
	}
	return add_sources(d);
}

struct daemon *daemon_free(struct daemon *d)
{
	if (!d)
		return NULL;
	d->api = api_close(d->api);
	d->runs = runs_free(d->runs);
	d->serve = serve_close(d->serve, d->options.keep);
	d->watch = watch_free(d->watch);
	d->fresh = fresh_free(d->fresh);
	d->capture = capture_close(d->capture);
	d->warm = warm_free(d->warm);
	d->disks = disks_free(d->disks);
	d->cpus = cpus_free(d->cpus);
	d->psi = psi_free(d->psi);
	d->keep = keep_close(d->keep, d->engine);
	d->table = table_free(d->table);
	d->trust = trust_free(d->trust);
	d->firstread = firstread_free(d->firstread);
	d->naming = naming_free(d->naming);
	d->engine = engine_free(d->engine);
	d->warm_source = sd_event_source_unref(d->warm_source);
	d->warm_again = sd_event_source_unref(d->warm_again);
	d->loop = sd_event_unref(d->loop);
	closep(&d->stats_fd);
	drop_lock(d);
	closep(&d->state_fd);
	free(d);
	return NULL;
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
