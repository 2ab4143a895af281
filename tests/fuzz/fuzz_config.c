// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Any bytes as forewarm.conf: taken whole or refused with a reason, and never half taken. */
#include "fuzz/fuzz.h"

#include "base/cleanup.h"
#include "daemon/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(void *ctx, const char *line)
{
	unsigned *n = ctx;

	for (const char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20)
			abort(); /* a line for a person's terminal */
	++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fclosep) FILE *f = NULL;
	struct config c, untouched;
	unsigned said = 0;
	int r;

	if (!size)
		return 0;
	f = fmemopen((void *)(uintptr_t)data, size, "r");
	if (!f)
		return 0;
	memset(&c, 0x5a, sizeof(c));
	untouched = c;
	r = config_read(f, "fuzz", say, &said, &c);
	if ((r == 0) != (said == 0))
		abort();
	if (r != 0 && memcmp(&c, &untouched, sizeof(c)) != 0)
		abort();
	if (r == 0 &&
	    (c.pin_dir[0] != '/' || c.ring_bytes & (c.ring_bytes - 1) ||
	     c.limits.graph.node_max < 64 || !(c.policy.p_min >= 0 && c.policy.p_min <= 1)))
		abort();
	return 0;
}
