/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * service.h - predictive socket activation: units in, a connection never refused.
 *
 * Shape    services_load() reads NAME.socket + NAME.service pairs, binds their sockets (or finds them
 *          in the fd store) and from then on carries out what core/svc.h decides: start in a
 *          sandbox of the pool, freeze, thaw, release. The sockets stay ours: whoever connects waits in
 *          the kernel's queue, never at a closed door. A frozen service is thawed by the waker's thread
 *          (waker.h), everything else is the event loop's. Who is thawed for a guess is so at the end of
 *          the next services_dispatch(), which is due at once: before the loop sleeps, and after what it
 *          does besides. A client that comes earlier does not wait for it.
 * Units    ns of CLOCK_MONOTONIC.
 * Bounds   limits.service_max services.
 * Owner    services_new() to services_free(). Options are copied; pool, cgroup and fdstore are
 *          borrowed and outlive it. Views are borrowed until the next call that is not const.
 * Errors   < 0 -errno. A unit that cannot be honoured is said through options.say and counted.
 * Threads  The event loop's.
 * Trust    A service runs as its User= in a sandbox, never with our rights. What it says at its notify
 *          socket is believed only from its own processes.
 * Source   sd_listen_fds(3), sd_notify(3), systemd.service(5), systemd.socket(5).
 */
#ifndef SYS_SERVICE_H
#define SYS_SERVICE_H

#include "core/svc.h"
#include "sys/fdstore.h"
#include "sys/pool.h"

enum services_say { SERVICES_SAY_DEBUG, SERVICES_SAY_INFO, SERVICES_SAY_WARN, SERVICES_SAY_ERROR };

struct services_options {
	struct pool *pool;
	struct cgroup_host *cgroup;
	struct fdstore *fdstore;
	struct svc_limits limits;
	uint64_t freeze_max_ns, release_max_ns; /* of learnt windows; 0: that is not done at all */
	const char *run_dir;			/* exists; notify sockets are made below */
	const char *state_dir; /* habits are kept below, over a reboot; NULL: not kept */
	const char *proxy;     /* the proxy's program; NULL: X-Forewarm-Proxy= is refused */
	bool observed;	       /* services_observe() will be told of connections: then no running
				  service is polled, which would cost its client 60 us */
	void (*say)(void *ctx, enum services_say level, const char *text);
	void *ctx;
};

struct service_view {
	const char *name, *description;
	char listens[160]; /* the first address, and how many more */
	uint64_t state_ns, idle_ns,
		hold_ns;     /* in its state, without connection, until it is tried */
	const char *trouble; /* what went wrong, while it fails; NULL: nothing */
	struct svc_view svc;
	struct svc_move moves[SVC_MOVE_MAX]; /* at_ns: how long ago */
	size_t move_n;
};

/* A unit that is not among the services: refused, or a .service that no socket leads to. */
struct service_left {
	char name[256], why[256];
};

struct services;

int services_new(const struct services_options *o, struct services **ret);
/* keep: leave what runs to the next daemon (the fd store has it); else release it. */
struct services *services_free(struct services *s, bool keep);

/* Loads every pair in dir, adopts what an earlier daemon left of it, and forgets the rest. */
int services_load(struct services *s, const char *dir, uint32_t *ret_refused_n);

/* The one descriptor to watch for reading; then services_dispatch(). The pool is dispatched by its
 * own descriptor. */
int services_fd(const struct services *s);
int services_dispatch(struct services *s);
/* Memory pressure from 0 to 1, now and then; also keeps the habits. */
void services_tick(struct services *s, double pressure);

/* "tcp:127.0.0.1:80", "udp:[::1]:53", "unix:/run/x", "unix:@x", or the name of a unit: will be
 * connected to. False: none of ours. */
bool services_predict(struct services *s, const char *name, double p, uint64_t lead_ns);
/* Is it one of ours, by such a name? */
bool services_has(const struct services *s, const char *name);
/* Such a connection was seen being made, at ts_ns. */
bool services_observe(struct services *s, const char *name, uint64_t ts_ns);

uint32_t services_n(const struct services *s);
/* How many sandboxes of each kind should be kept parked: as the units say, and parked_n of each kind
 * that any service uses. */
void services_parked(const struct services *s, uint32_t parked_n, uint32_t ret[SANDBOX_NET_MAX]);
/* The i-th of those that are not among them, in the order they were read; NULL: no more. */
const struct service_left *services_left(const struct services *s, uint32_t i);
/* The i-th of services_n(). */
void services_view(const struct services *s, uint32_t i, struct service_view *ret);
/* The one called so, as above or with its suffix; false: none is. */
bool services_find(const struct services *s, const char *name, struct service_view *ret);
/* Whether who connects to the address gets to the service called so. */
bool services_reaches(const struct services *s, const char *name, const char *address);

#endif
