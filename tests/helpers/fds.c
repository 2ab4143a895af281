// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fds.c - prints the descriptors this program was started with, and its LISTEN_ variables. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS"),
		   *names = getenv("LISTEN_FDNAMES");

	for (int fd = 0; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	if (pid)
		printf("%s %s %s", atoi(pid) == getpid() ? "pid" : "not our pid", n ? n : "-",
		       names ? names : "-");
	puts("");
	return 0;
}
