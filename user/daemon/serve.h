/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * serve.h - the services the daemon holds sockets for: their pool, their store, their place in the
 *           event loop, and what `forewarm services` and `forewarm pool` show of them.
 *
 * Shape    Opened before anything else that makes threads, started when there is a loop.
 * Bounds   [pool] of the config.
 * Owner    The daemon owns struct serve. Without units, and with nothing left from before, there is
 *          none: every function takes NULL.
 * Errors   < 0 -errno after the reason was logged.
 * Threads  The loop's.
 */
#ifndef DAEMON_SERVE_H
#define DAEMON_SERVE_H

#include "api/routes.h"
#include "core/engine.h"
#include "daemon/config.h"
#include "daemon/pools.h"

#include <systemd/sd-event.h>

struct serve;

int serve_open(const struct config *config, struct serve **ret);
/* Binds, adopts, and takes part in the loop. observed: connections are told of. */
int serve_start(struct serve *s, sd_event *loop, bool observed);
/* keep: what runs is left to the next daemon. */
struct serve *serve_close(struct serve *s, bool keep);

/* A guess to have a service answer; true: it is one of ours, and is or soon will be ready. */
bool serve_prestart(struct serve *s, const struct action *a);
/* Is it a connection to one of ours? Then it is to be observed, which may start something. */
bool serve_wants(const struct serve *s, const struct obs *o);
void serve_observe(struct serve *s, const struct obs *o);
void serve_tick(struct serve *s, const struct pressure *p);

/* The answer to "services". */
struct routes_hook serve_hook(struct serve **s);
/* For "why". */
struct routes_units serve_units(struct serve **s);
/* A pools_say_fn; ctx is a struct serve **. */
void serve_pool(const void *ctx, struct pools_row *ret);

#endif
