/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * phase.h - the first minutes after a boot or a login, as if they were a program.
 *
 * Shape    A phase is a block without a process, named "boot" or "login:UID": it begins, for a while
 *          everything that is opened (at a login: by that user) counts as needed below it, and it
 *          ends. What it needed in the runs before is guessed when it begins, like that of any
 *          block. A login is the first program of a user of whom nothing ran.
 * Units    ns of the observations.
 * Bounds   PHASE_MAX phases at a time, PHASE_NEEDS needs of one run and
 *          PHASE_LOOKED things asked about, PHASE_USERS users of whom
 *          something runs; more are not told apart and have no login.
 * Owner    The engine; part of engine_state.h, for engine.c and predict*.c only.
 * Threads  As the engine.
 */
#ifndef CORE_PHASE_H
#define CORE_PHASE_H

#include "core/obs.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

enum { PHASE_MAX = 8, PHASE_USERS = 64, PHASE_NEEDS = 2048, PHASE_LOOKED = 1024 };

#define PHASE_ANYONE UINT32_MAX /* a boot is everybody's */
#define PHASE_UID_MIN 1000u	/* below are the system's own users; they do not log in */

struct phase {
	uint32_t uid;
	uint32_t needs_n, looked_n; /* opened; only asked about */
	uint64_t end_ns;	    /* 0: not open */
};

struct phases {
	uint64_t window_ns; /* 0: there are no phases */
	bool logins;
	uint32_t open_n;
	struct phase phase[PHASE_MAX];
	struct {
		uint32_t uid, runs_n; /* living; 0: free */
	} users[PHASE_USERS];
};

/* Processes that are none: of the kernel's, no id is above 2^22. */
#define PHASE_PID(i) (UINT32_MAX - 1 - (uint32_t)(i))
static inline bool phase_pid(uint32_t pid)
{
	return pid >= PHASE_PID(PHASE_MAX - 1);
}

/* A run of uid began; login: and the user had none before. */
void phase_enter(struct engine *e, const struct obs *o, uint32_t uid);
/* One ended. */
void phase_leave(struct engine *e, uint32_t uid);
/* dep was needed by somebody. */
int phase_need(struct engine *e, uint32_t dep, const struct obs *o);
/* Block started, and its opens are not reported: what it most likely needs is taken as needed. */
int phase_quiet(struct engine *e, uint32_t block, const struct obs *o);
void phase_tick(struct engine *e, uint64_t now_ns);

#endif
