// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * later.c - see later.h.
 */
#include "daemon/later.h"

#include "base/clock.h"

/* The clock is a system call, of more than 1 us here: it is looked at only when somebody waits, and then not for each
 * step. */
static bool go_over(void *ctx)
{
	struct later *l = ctx;

	return pause_wanted(&l->urgent) && ++l->asked_n % LATER_STEPS == 0 &&
	       clock_ns(CLOCK_THREAD_CPUTIME_ID) - l->began_ns >= LATER_GO_NS;
}

void later_init(struct later *l, struct pause urgent)
{
	*l = (struct later){.urgent = urgent, .pause = {go_over, l}};
}

bool later_begin(struct later *l)
{
	if (pause_wanted(&l->urgent) && l->put_off_n < LATER_MAX) {
		l->put_off_n++;
		return false;
	}
	l->put_off_n = 0;
	l->began_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return true;
}

const struct pause *later_pause(const struct later *l)
{
	return &l->pause;
}
