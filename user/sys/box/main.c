// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * main.c - the filler's entry. The pool executes this program from a sealed memfd with its socket
 * as descriptor 3, so /proc/PID/exe of anything related to a sandbox is never a file of the host.
 */
#include "sys/box/box.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

const char *box_where = "";

ssize_t box_recv(int fd, void *buf, size_t len, int *fds, size_t *fd_n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(BOX_FD_MAX * sizeof(int))];
	} c;
	struct iovec iov = {buf, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	m.msg_control = &c;
	m.msg_controllen = sizeof(c.buf);
	*fd_n = 0;
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		size_t k;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(h), k * sizeof(int));
		*fd_n = k;
	}
	return n;
}

int box_send(int fd, const void *buf, size_t len, const int *fds, size_t fd_n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(BOX_FD_MAX * sizeof(int))];
	} c;
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd_n) {
		struct cmsghdr *h;

		memset(&c, 0, CMSG_SPACE(fd_n * sizeof(int)));
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(fd_n * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(fd_n * sizeof(int));
		memcpy(CMSG_DATA(h), fds, fd_n * sizeof(int));
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int main(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0,
		    0); /* nothing of ours is for a sandbox to look into */
	(void)prctl(PR_SET_NAME, "forewarm-fill", 0, 0, 0);
	return filler_run(3) < 0;
}
