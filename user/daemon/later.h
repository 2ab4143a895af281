/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * later.h - work that can wait, done in goes between which whoever cannot wait has its turn.
 *
 * Shape    later_begin() says whether to begin a go now; the work then asks later_pause() between its steps. What is
 *          not done by then is left to a go LATER_AGAIN_MS later, or when the loop next wakes after that.
 * Units    of a go its processor time: what is done behind everybody else may stand still for long.
 * Bounds   Nothing is put off without any of it being done more than LATER_MAX times in a row; from then on a go lasts
 *          LATER_GO_NS and at most LATER_STEPS steps, whoever waits.
 * Owner    The caller's memory.
 * Errors   none.
 * Threads  The loop's.
 */
#ifndef DAEMON_LATER_H
#define DAEMON_LATER_H

#include "base/pause.h"

#include <stdint.h>

enum { LATER_MAX = 10, LATER_AGAIN_MS = 2, LATER_GO_NS = 100000, LATER_STEPS = 16 };

struct later {
	struct pause urgent; /* somebody waits who cannot */
	struct pause pause;  /* and this go has lasted long enough */
	uint64_t began_ns;
	unsigned put_off_n, asked_n;
};

/* It stays where it is: the work gets a pointer to it. */
void later_init(struct later *l, struct pause urgent);
/* false: not now, come again. */
bool later_begin(struct later *l);
const struct pause *later_pause(const struct later *l);

#endif
