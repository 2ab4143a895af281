/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pause.h - a question that long work asks between its steps: is something waiting that cannot?
 *
 * Shape    Who starts the work says what to ask; who does it asks after each step, never before the first, so that
 *          the work ends though the answer is yes each time. What is left it does when it is called again.
 * Owner    Borrowed for the call.
 * Errors   none.
 * Threads  of who does the work.
 */
#ifndef BASE_PAUSE_H
#define BASE_PAUSE_H

#include <stdbool.h>

struct pause {
	bool (*wanted)(void *ctx);
	void *ctx;
};

/* p may be NULL: never. */
static inline bool pause_wanted(const struct pause *p)
{
	return p && p->wanted(p->ctx);
}

#endif
