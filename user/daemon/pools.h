/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pools.h - what `forewarm pool` shows: a row for each pool of sandboxes the daemon may have.
 *
 * Shape    Each owner of a pool says what it has (pools_say_fn); pools_hook() answers for all.
 * Owner    The daemon owns struct pools; rows are borrowed while the answer is made.
 * Threads  The loop's.
 */
#ifndef DAEMON_POOLS_H
#define DAEMON_POOLS_H

#include "api/routes.h"
#include "sys/pool.h"

enum { POOLS_MAX = 2 };

struct pools_row {
	const char *name;
	struct pool *pool; /* NULL: there is none now */
	struct cgroup_host *cgroup;
	uint64_t max_n;
	const char *kept_by; /* over a restart; NULL: nobody */
	const char *none;    /* why there is no pool */
};

typedef void (*pools_say_fn)(const void *ctx, struct pools_row *ret);

struct pools {
	struct {
		pools_say_fn say;
		const void *ctx;
	} of[POOLS_MAX];
	size_t n;
};

/* The answer to "pool". */
struct routes_hook pools_hook(struct pools *p);

#endif
