/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * watch.h - a capture of a test's own, and processes it sees from their first step.
 *
 * Owner    The caller closes what it opened, and waits for what it started.
 * Errors   what cannot be had here ends the test as skipped, with the reason; all else fails it (cmocka).
 */
#ifndef TESTS_SUPPORT_WATCH_H
#define TESTS_SUPPORT_WATCH_H

#include "support/built.h"
#include "sys/capture.h"

#include <sys/types.h>

typedef void watch_fn(const void *arg);

/* What tells only of processes of watch_start(), and of their children: for a struct capture_opts. */
#define WATCH_STARTED .only_targets = true, .trace_children = true

/* Skips when not root. o.why is not needed. */
struct capture *watch_open(struct capture_opts o);
/* On exactly o.tier: skips also where there is no such tier. */
struct capture *watch_open_on(struct capture_opts o);

/* A child that does fn(arg), and then ends with 0. */
pid_t watch_start(struct capture *c, watch_fn *fn, const void *arg);
/* To its end, with nothing drained meanwhile; returns its wait status. */
int watch_run(struct capture *c, watch_fn *fn, const void *arg);

/* All there is. */
void watch_drain(struct capture *c, void (*observe)(void *ctx, const struct obs *o), void *ctx);

/* What became of each run of each hook adds up, and nothing was lost uncounted. */
void watch_assert_counted(const struct fwm_counts hooks[FWM_HOOK_MAX]);

#endif
