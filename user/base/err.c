// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* err.c - a debug trace of where faults arise; costs one branch when it is off. */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fault_at(int err, const char *file, int line, const char *func)
{
	static int on = -1; /* read once: the environment does not change under a daemon */

	if (on < 0)
		on = getenv("FOREWARM_TRACE_FAULTS") != NULL;
	if (on)
		fprintf(stderr, "fault: %s:%d %s: %s\n", file, line, func, strerror(-err));
	return err;
}
