/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * routes.h - what can be asked of the daemon, as a table.
 *
 * Shape    routes_answer() is the answer() of socket.h. Questions about the engine are answered
 *          here from its views; those about its siblings (probe, pool, services, run) by hooks the
 *          daemon gives, because only it may know them all.
 * Bounds   A name is at most 4095 bytes, a limit at most 1000 rows; export comes in steps.
 * Owner    struct routes is the caller's and outlives the socket.
 * Errors   A request that does not fit its row of the table is answered with what the row allows.
 */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/socket.h"
#include "api/view.h"
#include "core/engine.h"

/* Answers call as answer() of socket.h does; call->args were not checked. */
typedef int (*routes_hook_fn)(void *ctx, struct api_call *call);

struct routes_hook {
	const char *cmd; /* NULL ends a list */
	routes_hook_fn answer;
	void *ctx;
};

/* What listens under a name of its own, other than its addresses: services. */
struct routes_units {
	/* Puts what is known of the one called so, which may also be one of its addresses; false: there is
	 * none, and nothing is put. */
	bool (*put)(void *ctx, struct api_call *call, const char *name);
	/* Whether who connects to the address gets to the one called so. */
	bool (*reaches)(void *ctx, const char *name, const char *address);
	void *ctx;
};

struct routes {
	struct engine *engine;
	void (*host)(void *ctx, struct view_host *ret); /* fills in all of *ret */
	void *ctx;
	const struct routes_hook *hooks; /* looked at first; NULL: none */
	struct routes_units units;	 /* put is NULL: there are none */
};

/* ctx is a struct routes. */
int routes_answer(void *ctx, struct api_call *call);

#endif
