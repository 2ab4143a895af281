// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * main.c - the filler's entry. The pool executes this program from a sealed memfd with its socket
 * as descriptor 3, so /proc/PID/exe of anything related to a sandbox is never a file of the host.
 */
#include "sys/box/box.h"

#include <sys/prctl.h>

#include "base/fdmsg.h"

const char *box_where = "";

ssize_t box_recv(int fd, void *buf, size_t len, int *fds, size_t *fd_n)
{
	*fd_n = BOX_FD_MAX;
	return fdmsg_recv(fd, buf, len, fds, fd_n, 0);
}

int box_send(int fd, const void *buf, size_t len, const int *fds, size_t fd_n)
{
	return fdmsg_send(fd, buf, len, fds, fd_n, 0);
}

int main(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0,
		    0); /* nothing of ours is for a sandbox to look into */
	(void)prctl(PR_SET_NAME, "forewarm-fill", 0, 0, 0);
	return filler_run(3) < 0;
}
