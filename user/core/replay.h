/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * replay.h - the engine on a recorded day: virtual time, and a host that carries out its actions.
 *
 * Shape    Observations in; between two of them the engine is ticked, its actions are carried out by
 *          a make-believe host, and their results come back when that host is done. What it
 *          decided is summed up in a digest: same limits, policy, host and observations, same digest.
 * Units    ns of the observations' clock; bytes.
 * Bounds   guess_max actions at a time are on their way; a further one fails with ECANCELED. Of a gap
 *          without observations only the first minute is ticked through.
 * Owner    The caller owns struct replay; the engine in it is borrowed.
 * Errors   < 0 -errno, from the engine.
 * Threads  One owner at a time. No clock, no I/O.
 */
#ifndef CORE_REPLAY_H
#define CORE_REPLAY_H

#include "core/engine.h"
#include "core/obs.h"

#include <stdint.h>

/* Nothing is resident before the engine asks for it; each action takes latency_ns and its bytes at
 * bytes_per_s, beside the others. */
struct replay_host {
	uint64_t latency_ns, bytes_per_s;
	uint64_t mem_available_bytes, mem_total_bytes;
};

struct replay_stats {
	uint64_t obs_n, ticks_n;
	uint64_t actions_n[ACTION_MAX];
	uint64_t first_ns, last_ns; /* of the observations */
	uint64_t digest;
};

struct replay;

/* A disk of 2 GB/s with 100 us, and a host of 16 GiB, half of it free. */
struct replay_host replay_host_default(void);

/* What forewarm.conf has as defaults; a test compares. */
struct engine_limits replay_limits_default(void);
struct plan_policy replay_policy_default(void);

int replay_new(const struct engine_limits *limits, const struct plan_policy *policy,
	       const struct replay_host *host, struct replay **ret);
struct replay *replay_free(struct replay *r);

int replay_observe(struct replay *r, const struct obs *o);
/* Lets ns pass without observations, so that what is open ends. */
int replay_pass(struct replay *r, uint64_t ns);

struct engine *replay_engine(struct replay *r);
/* Where its clock stands. */
uint64_t replay_now_ns(const struct replay *r);
void replay_stats(const struct replay *r, struct replay_stats *ret);

#endif
