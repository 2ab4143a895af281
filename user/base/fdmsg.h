/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fdmsg.h - a message over a UNIX socket, with descriptors.
 *
 * Bounds   FDMSG_MAX descriptors a message, the kernel's own bound.
 * Owner    Sent ones stay the sender's; received ones are the receiver's, close-on-exec. What there is
 *          no room for is closed.
 * Errors   -errno, not marked as a fault: a peer that is gone is for the caller to judge.
 */
#ifndef BASE_FDMSG_H
#define BASE_FDMSG_H

#include <stddef.h>
#include <sys/types.h>

enum { FDMSG_MAX = 253 /* SCM_MAX_FD in include/net/scm.h */ };

/* flags: of sendmsg(2) and recvmsg(2). 0 or -errno; a signal does not interrupt it. */
int fdmsg_send(int sock, const void *buf, size_t len, const int *fds, size_t fd_n, int flags);
/* Bytes received, 0 at the end. *fd_n: room for descriptors, then how many came. */
ssize_t fdmsg_recv(int sock, void *buf, size_t len, int *fds, size_t *fd_n, int flags);

#endif
