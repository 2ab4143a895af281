// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* apart.c - see apart.h. */
#include "support/support.h"

#include "support/apart.h"

#include <sys/wait.h>
#include <unistd.h>

int apart_status(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("it died: status %#x", status);
	return WEXITSTATUS(status);
}

void apart(int (*what)(void))
{
	assert_int_equal(apart_status(what), 0);
}
