// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* room.c - thresholds, and what they are of. */
#include "core/room.h"

#define FREE_LOW 0.2	  /* of all memory: below, idle services begin to go */
#define FREE_LEAST 0.05	  /* none is left */
#define STALLED_MOST 20.0 /* percent of the time that tasks wait for memory: the same */
#define CPU_BUSY 60.0	  /* percent of the time that somebody waits for a CPU */
#define REFILL_LEVEL 0.3

double room_level(const struct pressure *p)
{
	double level = 0, stalled = p->mem_some_avg10 / STALLED_MOST;

	if (p->mem_total_bytes)
		level = (FREE_LOW - (double)p->mem_available_bytes / (double)p->mem_total_bytes) /
			(FREE_LOW - FREE_LEAST);
	if (stalled > level)
		level = stalled;
	return level < 0 ? 0 : level > 1 ? 1 : level;
}

bool room_refill_waits(const struct pressure *p)
{
	return room_level(p) > REFILL_LEVEL || p->cpu_some_avg10 > CPU_BUSY;
}
