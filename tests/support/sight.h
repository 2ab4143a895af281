/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sight.h - a capture of a test's own, and processes it sees from their first step.
 *
 * Owner    The caller closes what it opened, and waits for what it started.
 * Errors   what cannot be had here ends the test as skipped, with the reason; all else fails it (cmocka).
 */
#ifndef TESTS_SUPPORT_SIGHT_H
#define TESTS_SUPPORT_SIGHT_H

#include "support/built.h"
#include "sys/capture.h"

#include <sys/types.h>

typedef void sight_fn(const void *arg);

/* What tells only of processes of sight_start(), and of their children: for a struct capture_opts. */
#define SIGHT_STARTED .only_targets = true, .trace_children = true

/* Skips when not root. o.why is not needed. */
struct capture *sight_open(struct capture_opts o);
/* On exactly o.tier: skips also where there is no such tier. */
struct capture *sight_open_on(struct capture_opts o);

/* A child that does fn(arg), and then ends with 0. */
pid_t sight_start(struct capture *c, sight_fn *fn, const void *arg);
/* To its end, with nothing drained meanwhile; returns its wait status. */
int sight_run(struct capture *c, sight_fn *fn, const void *arg);

/* All there is. */
void sight_drain(struct capture *c, void (*observe)(void *ctx, const struct obs *o), void *ctx);

/* What became of each run of each hook adds up, and nothing was lost uncounted. */
void sight_assert_counted(const struct fwm_counts hooks[FWM_HOOK_MAX]);

#endif
