/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sm.h - state machines as data: what may follow what is a table, not the code around it.
 *
 * Shape    A definition names its states and gives each a mask of the states that may follow.
 *          A machine is a definition and the state it is in.
 * Bounds   at most 32 states. No allocation.
 * Owner    The definition is static and outlives every machine.
 * Errors   A move the table does not allow is our bug and asserts; sm_may() asks first.
 * Threads  One owner at a time.
 * Source   the manner of dqlite's lib/sm.h: moves as data, an invariant after every move.
 */
#ifndef CORE_SM_H
#define CORE_SM_H

#include <stdbool.h>
#include <stdint.h>

struct sm_state {
	const char *name;
	uint32_t next_mask; /* SM_TO(state) of every state that may follow */
};

#define SM_TO(state) (1u << (state))

struct sm_def {
	const char *name;
	const struct sm_state *states;
	uint32_t state_n;
	/* Holds for the owner in its new state; NULL: nothing to check. */
	bool (*invariant)(const void *owner, uint32_t state);
};

struct sm {
	const struct sm_def *def;
	uint32_t state;
	uint32_t moves_n; /* wraps; a change tells that something moved */
};

void sm_init(struct sm *sm, const struct sm_def *def, uint32_t state);
bool sm_may(const struct sm *sm, uint32_t to);
/* Moves, then checks the invariant; both failures assert. */
void sm_move(struct sm *sm, const void *owner, uint32_t to);
/* Every state can be reached from the first and can reach the last: for tests. */
bool sm_def_sound(const struct sm_def *def);

#endif
