// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/built.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *built_at(void)
{
	static char at[400];
	ssize_t n;

	if (getenv("FWM_OUT"))
		return getenv("FWM_OUT");
	n = readlink("/proc/self/exe", at, sizeof(at) - 1); /* OUT/tests/KIND/test_x */
	assert_true(n > 0);
	at[n] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(at, '/') = '\0';
	return at;
}

const char *built_helper(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/tests/helpers/%s", built_at(), name);
	return path;
}

unsigned built_scale(void)
{
	const char *s = getenv("TEST_SCALE");

	return s && atoi(s) > 0 ? (unsigned)atoi(s) : 1;
}
