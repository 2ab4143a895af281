/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * listen.h - the sockets a .socket unit asks for, bound and listening.
 *
 * Shape    One call makes one socket; another tells whether a socket kept elsewhere is that one.
 * Owner    The caller owns the descriptor (close-on-exec, blocking).
 * Errors   < 0 -errno: from socket, bind, listen or chown.
 * Threads  Any; listen_open() changes the umask of the process for a moment, so one at a time.
 * Source   systemd.socket(5): what each option sets, directories made with DirectoryMode=, a
 *          stale UNIX socket removed before the bind.
 */
#ifndef SYS_LISTEN_H
#define SYS_LISTEN_H

#include "core/unitfile.h"

#include <stdbool.h>
#include <sys/socket.h>

int listen_open(const struct unit_socket *s, const struct unit_addr *a, int *ret_fd);
/* Whether fd is bound to this address, as listen_open() would have it. */
bool listen_is(int fd, const struct unit_addr *a);
/* The i-th of Symlinks= to its UNIX socket. -EEXIST: something else has that name. */
int listen_link(const struct unit_socket *s, size_t i);
/* RemoveOnStop=: its names in the file system. */
void listen_remove(const struct unit_socket *s);
/* The address for connect(2); a wildcard becomes the loopback. */
int listen_sockaddr(const struct unit_addr *a, struct sockaddr_storage *ret, socklen_t *ret_len);

#endif
