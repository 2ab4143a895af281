/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pool.h - sandboxes kept ready, so that handing one out costs what a bare spawn costs.
 *
 * Shape    One filler process (a small static program executed from a sealed memfd) makes sandboxes
 *          in the background and removes what is left of them; the pool only sends it messages. One
 *          epoll descriptor is all the event loop has to watch. What was handed out has the machine to
 *          itself for some ms before its place is filled, while half of the parked ones are left.
 *            EMPTY -> FILLING -> PARKED -> STARTING -> READY -> FROZEN <-> ACTIVE -> RELEASING
 * Units    ns of CLOCK_MONOTONIC; the budget in thousandths of one core.
 * Bounds   sandbox_max sandboxes in all states together; parked_target[] of them parked.
 * Owner    pool_new() to pool_free(), which releases every sandbox that was not disowned.
 * Errors   < 0 -errno; POOL_FULL when sandbox_max are in use.
 * Threads  The event loop's. No call blocks except pool_new(), pool_free() and pool_wait().
 * Source   Measured (tools/bench-sandbox.sh): namespaces, overlay, /proc and Landlock cost 1-2 ms; from
 *          hand-out to the end of an empty command 0.6-0.8 ms, of a bare spawn 0.5-0.7.
 */
#ifndef SYS_POOL_H
#define SYS_POOL_H

#include "core/sketch.h"
#include "sys/sandbox.h"

enum {
	POOL_FULL = 1, /* sandbox_max reached: release something or wait */
};

struct pool_options {
	struct cgroup_host *cgroup; /* borrowed; NULL: no limits, freezing refused with -ENOTSUP */
	const char *root;	    /* lower directory, default "/" */
	uint32_t sandbox_max;	    /* default 64 */
	uint32_t parked_target[SANDBOX_NET_MAX];
	uint32_t refill_permille; /* of one core for background refill; 0: no limit */
	uint32_t stub_n;	  /* half-made for when nothing is parked; default 2 */
	uint64_t layer_bytes_max; /* of the layer of changes, /dev/shm and /run; default 256 MiB */
	struct cgroup_limits limits; /* of a sandbox whose command names none */
};

struct pool_figures {
	uint32_t state_n[SANDBOX_STATE_MAX];
	uint32_t parked_n[SANDBOX_NET_MAX], target_n[SANDBOX_NET_MAX];
	uint32_t refilling_n; /* in the background, now */
	uint64_t filled_n, handed_out_n, from_parked_n, fresh_n, released_n;
	uint64_t failed_n; /* fills that came to nothing */
	uint64_t filler_restart_n;
	uint64_t fill_ns_mean;	/* from asked to parked, moving average of 16 */
	uint64_t budget_wait_n; /* times the refill waited for its budget */
	bool paused;
	/* From hand-out to execve done, out of the pool or made when asked for; from release until
	 * nothing is left. */
	struct sketch exec_parked, exec_fresh, release;
};

struct pool;

int pool_new(const struct pool_options *o, struct pool **ret);
struct pool *pool_free(struct pool *p);

/* The one descriptor to watch for reading; then call pool_dispatch(). */
int pool_fd(const struct pool *p);
int pool_dispatch(struct pool *p);
/* For programs without a loop: waits up to timeout_ms, then dispatches. */
int pool_wait(struct pool *p, int timeout_ms);

/* Hands a sandbox to cmd: a parked one if there is one, else one is made fresh, ahead of the
 * refill. Nothing is written to a cgroup.procs and no namespace is made when it was parked. Events
 * come from pool_dispatch() only, but for HANDED, which may come before this returns. POOL_FULL: none to be had. */
int pool_take(struct pool *p, enum sandbox_net net, const struct sandbox_command *cmd,
	      sandbox_event_fn fn, void *ctx, struct sandbox **ret);

/* No refill while paused: memory or CPU pressure. Hand-outs go on. */
void pool_pause(struct pool *p, bool paused);
/* Of net; those parked beyond it are given up at once. */
void pool_target(struct pool *p, enum sandbox_net net, uint32_t parked);

void pool_figures(const struct pool *p, struct pool_figures *ret);
struct cgroup_host *pool_cgroup(const struct pool *p);
/* Calls fn for each sandbox that is not EMPTY. */
void pool_each(struct pool *p, void (*fn)(void *ctx, struct sandbox *sb), void *ctx);

/* After a restart: takes over a sandbox from descriptors kept elsewhere (see sandbox_ctl_fd()).
 * Takes the descriptors on success. frozen: the state it was left in. A command that has ended in the
 * meantime is told of as EXITED, with status 0 if who has read the true one is gone. */
struct pool_adopt {
	uint32_t id;
	enum sandbox_net net;
	int ctl_fd, init_pidfd, command_pidfd; /* command_pidfd may be -1 */
	bool frozen, stopped,
		starting; /* stopped: frozen, by SIGSTOP; starting: STARTED or FAILED is still to come */
};
int pool_adopt(struct pool *p, const struct pool_adopt *a, sandbox_event_fn fn, void *ctx,
	       struct sandbox **ret);
/* The pool forgets the sandbox without killing it: before a planned restart. */
void pool_disown(struct pool *p, struct sandbox *sb);
/* Kills and removes what earlier instances left in our control groups and nobody adopted. Call
 * after the adoptions. Returns how many groups there were. */
int pool_sweep(struct pool *p);

#endif
