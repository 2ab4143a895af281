/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * host.h - a make-believe host for tests of the core: a clock that is told the time, and short calls that
 * feed an engine, or whoever else takes observations, what a real host would.
 *
 * Units    ns; each call moves the clock by 100 us unless it says otherwise.
 * Owner    The engine is the caller's to free.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include "core/engine.h"

#include <stdbool.h>

struct host {
	struct engine *engine;
	uint64_t now_ns;
	uint32_t next_pid, uid;
	uint32_t exec_flags;			    /* OBS_F_* of what starts */
	bool cold;				    /* processes that end had to read from disk */
	uint64_t life_ns;			    /* of processes that end; 0: 5 ms */
	uint64_t file_bytes;			    /* of what is opened; 0: 1 MiB */
	uint32_t open_flags;			    /* of host_open(): OBS_F_ */
	uint64_t exe_bytes;			    /* of what is executed; 0: 100,000 */
	int (*see)(void *ctx, const struct obs *o); /* takes it instead of the engine; 0 */
	void *ctx;
};

struct engine_limits host_limits(void);
struct plan_policy host_policy(void);
/* Starts with a living shell, pid 1, that is known to the engine. */
void host_init(struct host *h, const struct engine_limits *limits);
/* Instead of host_policy(). */
void host_init_with(struct host *h, const struct engine_limits *limits,
		    const struct plan_policy *policy);
void host_fini(struct host *h);
/* Fixtures: *state is one with host_limits(). */
int host_setup(void **state);
int host_teardown(void **state);
#define WITH_HOST(t) cmocka_unit_test_setup_teardown(t, host_setup, host_teardown)
/* The same with h->see, and no engine. */
void host_begin(struct host *h);

/* Anything, now; time, user and a count of 1 where there is none are filled in. */
void host_see(struct host *h, struct obs o);

void host_pass(struct host *h, uint64_t ns);
/* A child of ppid that runs exe (with one argument, or NULL); its pid. */
uint32_t host_spawn(struct host *h, uint32_t ppid, const char *exe, const char *arg);
void host_open(struct host *h, uint32_t pid, const char *path, int err);
/* Opens a directory, to list it. */
void host_list(struct host *h, uint32_t pid, const char *path);
/* Asks about it, as stat() does. */
void host_look(struct host *h, uint32_t pid, const char *path);
void host_connect(struct host *h, uint32_t pid, const char *service);
void host_exit(struct host *h, uint32_t pid);
void host_tick(struct host *h);
/* Nothing happens for so long, and what was guessed before comes to its end. */
void host_rest(struct host *h, uint64_t ns);

#endif
