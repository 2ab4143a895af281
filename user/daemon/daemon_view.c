// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * daemon_view.c - what only the daemon knows of itself, for status: memory, CPU, what the hooks cost, what
 * was lost.
 */
#include "daemon/daemon_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "core/firstread.h"
#include "sys/capture.h"

#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>

#define PROG_MAX 64
#define LOOKED_NS (5ull * 1000 * 1000 * 1000) /* `forewarm top` asks each second */

/* Timing costs some 20 ns a run, so the kernel is asked for it only while somebody looks. */
static void watch_own_cost(struct daemon *d)
{
	d->looked_ns = clock_ns(CLOCK_MONOTONIC);
	if (d->stats_fd < 0)
		d->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	/* A kernel before 5.8 or without the right: the cost stays unknown. */
}

void daemon_unwatch_cost(struct daemon *d)
{
	if (d->stats_fd >= 0 && clock_ns(CLOCK_MONOTONIC) - d->looked_ns > LOOKED_NS) {
		closep(&d->stats_fd);
		d->stats_fd = -1;
	}
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

static struct view_first first_of(struct firstread *f, uint64_t now_ns)
{
	struct firstread_view v;

	firstread_view(f, now_ns, LOOKED_NS, &v);
	return (struct view_first){v.starts_n, v.p50_ns, v.p99_ns};
}

void daemon_view(void *ctx, struct view_host *ret)
{
	struct daemon *d = ctx;
	struct capture_counters counters;
	struct warm_stats reads;

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
	ret->first_read = first_of(d->firstread, ret->now_ns);
	ret->first_pages = first_of(d->firstpages, ret->now_ns);
	ret->rows_refused_n = table_refused(d->table);
	ret->contained_n = naming_processes(d->naming, &ret->uncontained_n);
	warm_stats(d->warm, &reads);
	ret->reads_refused_n = reads.full_n;
	ret->reads_forgotten_n = reads.took_lost_n;
	ret->held_bytes = reads.held_bytes;
	bpf_cost(d, ret);
	if (capture_counters(d->capture, &counters) == 0)
		for (int i = 0; i < FWM_HOOK_MAX; i++)
			ret->lost_n += counters.hook[i].ring_full + counters.hook[i].unreadable;
}
