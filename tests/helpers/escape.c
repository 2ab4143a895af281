// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * escape.c - one attempt to reach out of a sandbox, by name.
 *
 *   escape NAME PID ARG     exit 0: it worked, 1: refused (says how), 2: cannot be tried here,
 *                           3: refused by ENOSYS
 *
 * PID is a process to go for, ARG depends on the attempt. test_isolation.c runs each outside first,
 * where it must work, then inside. Attempts go no further than needed to know: a file that could
 * be opened for writing is not written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/escape/file.h"
#include "helpers/escape/kernel.h"
#include "helpers/escape/namespace.h"
#include "helpers/escape/network.h"
#include "helpers/escape/process.h"
#include "helpers/escape/take.h"

static const struct {
	const struct attempt *attempts;
	size_t n;
} families[] = {
#define FAMILY(f)                                                                                  \
	{                                                                                          \
		f, sizeof(f) / sizeof(*(f))                                                        \
	}
	FAMILY(process_attempts), FAMILY(namespace_attempts), FAMILY(file_attempts),
	FAMILY(kernel_attempts),  FAMILY(network_attempts),   FAMILY(take_attempts),
};

static int exit_of(int (*fn)(void))
{
	int r;

	errno = 0;
	r = fn();
	if (r == 0)
		printf("%s\n", strerror(errno));
	return r < 0 ? 2 : r ? 0 : errno == ENOSYS ? 3 : 1;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	pid = atoi(argv[2]);
	arg = argv[3];
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		for (size_t k = 0; k < families[i].n; k++)
			if (!strcmp(families[i].attempts[k].name, argv[1]))
				return exit_of(families[i].attempts[k].fn);
	printf("no such attempt\n");
	return 2;
}
