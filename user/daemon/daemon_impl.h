/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * daemon_impl.h - what the files of the daemon itself share; nobody else includes it.
 *
 * Shape    daemon.c is the pipeline and the sources it is called from; daemon_act.c carries out what the
 *          engine decides; daemon_open.c makes the parts and undoes them; daemon_view.c says what the
 *          daemon costs.
 * Owner    struct daemon is daemon_new()'s.
 * Threads  The loop's.
 */
#ifndef DAEMON_IMPL_H
#define DAEMON_IMPL_H

#include "daemon/daemon.h"

#include "api/routes.h"
#include "api/socket.h"
#include "core/engine.h"
#include "core/firstread.h"
#include "core/fresh.h"
#include "core/naming.h"
#include "daemon/keep.h"
#include "daemon/later.h"
#include "daemon/runs.h"
#include "daemon/serve.h"
#include "daemon/table.h"
#include "daemon/trust.h"
#include "daemon/watch.h"
#include "sys/behind.h"
#include "sys/capture.h"
#include "sys/cpus.h"
#include "sys/disks.h"
#include "sys/layers.h"
#include "sys/pageuse.h"
#include "sys/psi.h"
#include "sys/target.h"
#include "sys/warm.h"

#include <systemd/sd-event.h>

struct daemon {
	struct config config;
	struct daemon_options options;
	sd_event *loop;
	struct behind *behind; /* NULL: nothing steps behind anybody */
	bool may_wait;	       /* what is seen next can: step behind then */
	struct engine *engine;
	struct capture *capture;
	struct warm *warm;
	struct disks *disks;
	struct cpus *cpus; /* NULL: a host with one, or too many */
	uint64_t cpus_now;
	struct psi *psi;
	struct targets *targets;
	struct keep *keep;
	struct table *table;
	struct trust *trust;
	struct naming *naming;
	struct layers *layers;
	struct serve *serve;
	struct runs *runs;
	struct pools pools;
	struct routes_hook hooks[5];
	struct watch *watch; /* NULL: everything is watched */
	struct fresh *fresh;
	struct api *api;
	struct routes routes;
	int lock_fd, state_fd;
	int stats_fd;	    /* while it is open the kernel times BPF programs, all of the host's */
	uint64_t looked_ns; /* when somebody last asked what we cost */
	uint64_t start_ns, events_n;
	struct pause urgent;			    /* a start waits for us */
	struct later ticks, learns, flushes, edges; /* what can wait */
	size_t tick_part;			    /* of the tick under way, where it goes on */
	struct pageuse pageuse;
	uint64_t edges_ns; /* a round of those took so long until now */
	sd_event_source *drain_again;
	sd_event_source *warm_source, *warm_again; /* results: either waits for them or pauses */
	sd_event_source *due;			   /* of what has time, at due_ns; 0: nothing has */
	uint64_t due_ns;
	struct firstread *firstread, *firstpages; /* of anything, and of a file's pages */
	struct pressure pressure;
	uint64_t pressure_ns; /* when it was read */
	uint64_t left_ns;     /* when the engine was last told what left memory */
	bool learns_pages;
	char degraded[256]; /* hooks the self-test found blind, "" for none */
};

/* daemon.c: sources of the loop; what was seen, now or at the start */
int daemon_add_sources(struct daemon *d);
void daemon_observe(void *ctx, const struct obs *seen);
void daemon_seed(void *ctx, const struct obs *o);

/* daemon_act.c */
/* Carries out what the engine wants done now. */
void daemon_step(struct daemon *d);
/* Tells the engine what came of it, and carries out what follows from that. */
void daemon_take_results(struct daemon *d);
int daemon_add_results(struct daemon *d);

/* daemon_view.c */
void daemon_view(void *ctx, struct view_host *ret);
/* Timing of the hooks ends when nobody asked for it lately. */
void daemon_unwatch_cost(struct daemon *d);

#endif
