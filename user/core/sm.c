// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "core/sm.h"

#include <assert.h>
#include <stddef.h>

void sm_init(struct sm *sm, const struct sm_def *def, uint32_t state)
{
	assert(def->state_n <= 32 && state < def->state_n);
	*sm = (struct sm){.def = def, .state = state};
}

bool sm_may(const struct sm *sm, uint32_t to)
{
	return to < sm->def->state_n && (sm->def->states[sm->state].next_mask & SM_TO(to));
}

void sm_move(struct sm *sm, const void *owner, uint32_t to)
{
	assert(sm_may(sm, to));
	sm->state = to;
	sm->moves_n++;
	assert(!sm->def->invariant || sm->def->invariant(owner, to));
}

static uint32_t closure(const struct sm_def *def, uint32_t from)
{
	uint32_t seen = SM_TO(from), before;

	do {
		before = seen;
		for (uint32_t s = 0; s < def->state_n; s++)
			if (seen & SM_TO(s))
				seen |= def->states[s].next_mask;
	} while (seen != before);
	return seen;
}

bool sm_def_sound(const struct sm_def *def)
{
	uint32_t all = def->state_n == 32 ? UINT32_MAX : SM_TO(def->state_n) - 1;

	if (closure(def, 0) != all)
		return false;
	for (uint32_t s = 0; s < def->state_n; s++)
		if (!def->states[s].name || !(closure(def, s) & SM_TO(def->state_n - 1)))
			return false;
	return true;
}
