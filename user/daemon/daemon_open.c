// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * daemon_open.c - the daemon's parts, made one after the other, and undone in the order they depend on
 * each other. What cannot be had is said here, once, and what the daemon can do without is left out.
 */
#include "daemon/daemon_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"
#include "base/log.h"
#include "daemon/images.h"
#include "sys/confine.h"
#include "sys/procfs.h"
#include "sys/schedattr.h"
#include "sys/selftest.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Paths that stand for file numbers, some 130 bytes each; an unknown one is asked for again. */
#define NAME_MAX_N 8192
/* What a program uses is learnt for so long after its start, and taken from the kernel each second. */
#define LEARN_NS (10ull * 1000 * 1000 * 1000)
#define FRESH_BLOCKS 16384 /* 96 KiB */
/* Half of what a kernel reads ahead where nobody told it otherwise: less are directories, and single pages. */
#define FRESH_COLD_BYTES (64ull * 1024)
#define FRESH_EVERY_NS (60ull * 1000 * 1000 * 1000)
#define FRESH_SAMPLE_NS (1000ull * 1000 * 1000)
/* A read of 4 KiB that meets two reads of 512 KiB waits some 0.3 ms for them here. */
#define AHEAD_INFLIGHT (1ull << 20)
/* Some 2 ms of the disk here, which one read of 256 KiB at a time keeps as busy as one of 16 MiB: 1 GB/s either way.
 * What is wanted now waits for no more than that. */
#define SOON_INFLIGHT (2ull << 20)
/* Whose layers are remembered: a path for each layer, a few KiB an image. */
#define IMAGES_MAX 256
enum { NOW_THREADS = 6, SOON_THREADS = 4, AHEAD_THREADS = 4, AHEAD_NICE = 19 };

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
	int r;

	snprintf(path, sizeof(path), "%s/lock", d->config.run_dir);
	r = lock_take(path, O_RDWR | O_CREAT, &d->lock_fd);
	if (r < 0) {
		log_error("daemon: cannot open '%s': %s", path, strerror(-r));
		return r;
	}
	if (r == LOCK_TAKEN || !lock_is_at(d->lock_fd, path)) {
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
	int r = lock_take(d->config.state_dir, O_RDONLY | O_DIRECTORY, &d->state_fd);

	if (r < 0) {
		log_error("daemon: cannot open '%s': %s", d->config.state_dir, strerror(-r));
		return r;
	}
	if (r == LOCK_TAKEN) {
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

static int open_api(struct daemon *d)
{
	char path[CONFIG_PATH_MAX + 16];
	size_t n = 0;
	int r;

	snprintf(path, sizeof(path), "%s/control.sock", d->config.run_dir);
	d->pools = (struct pools){.of = {{serve_pool, &d->serve}, {runs_pool, d->runs}}, .n = 2};
	d->hooks[n++] = serve_hook(&d->serve);
	d->hooks[n++] = runs_hook(d->runs);
	d->hooks[n++] = images_hook(d->layers);
	d->hooks[n] = pools_hook(&d->pools); /* and the last one stays empty */
	d->routes = (struct routes){.engine = d->engine,
				    .host = daemon_view,
				    .ctx = d,
				    .hooks = d->hooks,
				    .units = serve_units(&d->serve)};
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
				    .arguments_only = true,
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
	int r = capture_selftest(d->capture, daemon_observe, d, &t);

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

/* The directories and the locks on them. */
static int open_dirs(struct daemon *d)
{
	int r = make_dir(d->config.run_dir, 0755);

	if (r == 0)
		r = make_dir(d->config.state_dir, 0700);
	if (r == 0)
		r = take_lock(d);
	return r ? r : lock_state(d);
}

/* What is learnt, and what was kept of it. */
static int open_core(struct daemon *d)
{
	const struct config *c = &d->config;
	int r = engine_new(&c->limits, &c->policy, &d->engine);

	if (r < 0) {
		log_error("engine: not enough memory for the limits in the config");
		return r;
	}
	engine_wall_offset(d->engine,
			   (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC)));
	engine_phases(d->engine, c->boot_window_ns, c->boot_logins);
	r = table_new(c->limits.graph.node_max, c->policy.recheck_ns, &d->table);
	if (r >= 0)
		r = naming_new(procfs_host_mntns(), c->limits.process_max, &d->naming);
	if (r >= 0)
		r = layers_new(IMAGES_MAX, c->remote, &d->layers);
	if (r >= 0)
		r = keep_open(c, d->engine, d->layers, &d->keep);
	return r < 0 ? r : 0;
}

/* What is seen, from the hooks and of what runs already. */
static int open_sight(struct daemon *d)
{
	struct fresh_limits fresh = {.block_max = FRESH_BLOCKS,
				     .starts_n = FWM_FIRST_STARTS,
				     .cold_bytes = FRESH_COLD_BYTES,
				     .for_ns = d->config.fresh_ns,
				     .every_ns = FRESH_EVERY_NS,
				     .sample_ns = FRESH_SAMPLE_NS};
	char cgroups[CONFIG_PATH_MAX];
	int r = open_capture(d);

	if (r != 0)
		return r;
	r = trust_new(d->capture, &d->trust);
	if (r >= 0)
		r = firstread_new(&d->firstread);
	if (r == 0)
		r = firstread_new(&d->firstpages);
	if (r < 0)
		return r;
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
			(uint32_t)getpid(), d->options.only_pid, daemon_seed, d);
	if (r < 0)
		log_warn("procfs: cannot list what already runs: %s, ignoring", strerror(-r));
	self_test(d);
	return 0;
}

/* What reads ahead, and what tells it to hold back. */
static int open_warm(struct daemon *d)
{
	const struct plan_policy *policy = &d->config.policy;
	struct warm_limits warm;
	int r;

	warm_limits_default(&warm);
	warm.bytes_per_s = policy->bytes_per_s_max;
	warm.inflight_bytes_max = policy->bytes_inflight_max;
	warm.remote_fs = d->config.remote;
	warm.thread_n = NOW_THREADS;
	warm.soon_thread_n = SOON_THREADS;
	warm.ahead_thread_n = AHEAD_THREADS;
	warm.soon_inflight_max = SOON_INFLIGHT;
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
	warm.layers = d->layers;
	/* What is held is page cache, which the kernel takes back when it needs it. */
	warm.held_bytes_max =
		(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;
	r = warm_new(&warm, &d->warm);
	if (r >= 0)
		r = psi_new("", &d->psi);
	if (r >= 0)
		r = targets_new("", d->config.policy.io_some_max, d->config.policy.mem_some_max,
				&d->targets);
	if (r < 0)
		log_error("daemon: cannot start: %s", strerror(-r));
	return r < 0 ? r : 0;
}

/* A start waits for the loop; but what it has found to be read first is read before it goes on. */
#define PROMPT_NS (4 * SCHEDATTR_PROMPT_NS)
/* A start that comes once the loop has had its share of late, with all processors busy, would wait some ms for those
 * who have not. The loop takes some 3 % of a processor. */
enum { LOOP_NICER = 5 };

/* Once there are no more threads to be made, nor processes of ours. */
static void open_behind(struct daemon *d)
{
	int r;

	(void)schedattr_prompt(PROMPT_NS, LOOP_NICER);
	r = behind_new(sd_event_get_fd(d->loop), &d->behind);
	if (r == BEHIND_OWN)
		log_info("daemon: runs under the scheduling policy it was given");
	else if (r == BEHIND_REFUSED)
		log_warn("daemon: what can wait competes with everybody else for the processors: "
			 "no right "
			 "to return from SCHED_IDLE (CAP_SYS_NICE)");
	else if (r < 0)
		log_warn(
			"daemon: what can wait competes with everybody else for the processors: %s",
			strerror(-r));
}

int daemon_new(const struct config *config, const struct daemon_options *options,
	       struct daemon **ret)
{
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
	r = open_dirs(d);
	if (r != 0)
		return r;
	/* Forks: before there are threads and much memory. Without it there are no services, and said so. */
	(void)serve_open(config, &d->serve);
	r = open_core(d);
	if (r == 0)
		r = open_sight(d);
	if (r == 0)
		r = open_warm(d);
	if (r == 0)
		r = runs_new(config, &d->runs);
	if (r == 0)
		r = open_api(d);
	if (r != 0)
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
	r = daemon_add_sources(d);
	if (r == 0)
		open_behind(d);
	return r;
}

struct daemon *daemon_free(struct daemon *d)
{
	if (!d)
		return NULL;
	d->behind = behind_free(d->behind);
	pageuse_fini(&d->pageuse);
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
	d->targets = targets_free(d->targets);
	d->keep = keep_close(d->keep, d->engine);
	d->table = table_free(d->table);
	d->trust = trust_free(d->trust);
	d->firstread = firstread_free(d->firstread);
	d->firstpages = firstread_free(d->firstpages);
	d->naming = naming_free(d->naming);
	d->layers = layers_free(d->layers);
	d->engine = engine_free(d->engine);
	d->warm_source = sd_event_source_unref(d->warm_source);
	d->drain_again = sd_event_source_unref(d->drain_again);
	d->warm_again = sd_event_source_unref(d->warm_again);
	d->due = sd_event_source_unref(d->due);
	d->loop = sd_event_unref(d->loop);
	closep(&d->stats_fd);
	drop_lock(d);
	closep(&d->state_fd);
	free(d);
	return NULL;
}
