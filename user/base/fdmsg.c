// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fdmsg.c - a message over a UNIX socket, with descriptors. */
#include "base/fdmsg.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(FDMSG_MAX * sizeof(int))];
};

int fdmsg_send(int sock, const void *buf, size_t len, const int *fds, size_t fd_n, int flags)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	union control c;
	ssize_t n;

	if (fd_n > FDMSG_MAX)
		return -E2BIG;
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
		n = sendmsg(sock, &m, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

ssize_t fdmsg_recv(int sock, void *buf, size_t len, int *fds, size_t *fd_n, int flags)
{
	struct iovec iov = {buf, len};
	union control c;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &c,
			   .msg_controllen = sizeof(c.buf)};
	size_t room = *fd_n;
	ssize_t n;

	*fd_n = 0;
	do
		n = recvmsg(sock, &m, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		size_t k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < k; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (*fd_n < room)
				fds[(*fd_n)++] = fd;
			else
				(void)close(fd);
		}
	}
	return n;
}
