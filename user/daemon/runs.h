/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * runs.h - `forewarm run` as the daemon serves it.
 *
 * Shape    A pool of its own below the control group NAME-run, made at the first request and given up
 *          after some idle time: a host where nobody runs commands pays nothing.
 * Bounds   [pool] max sandboxes; RUNS_PARKED of each kind kept ready while in use.
 * Owner    The daemon owns struct runs, which may be asked for nothing before runs_start().
 * Errors   < 0 -errno after the reason was logged.
 * Threads  The loop's.
 */
#ifndef DAEMON_RUNS_H
#define DAEMON_RUNS_H

#include "api/routes.h"
#include "core/engine.h"
#include "daemon/config.h"
#include "daemon/pools.h"

#include <systemd/sd-event.h>

struct runs;

int runs_new(const struct config *config, struct runs **ret);
void runs_start(struct runs *r, sd_event *loop);
struct runs *runs_free(struct runs *r);
void runs_tick(struct runs *r, uint64_t now_ns, const struct pressure *p);
/* A pools_say_fn; ctx is a struct runs. */
void runs_pool(const void *ctx, struct pools_row *ret);
/* The answer to "run". */
struct routes_hook runs_hook(struct runs *r);

#endif
