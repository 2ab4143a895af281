/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sockdiag.h - how many connections a listening address has accepted or is about to.
 *
 * Shape    One netlink socket; one dump a question, filtered by the kernel where it can.
 * Bounds   A dump of TCP walks the host's table of connections (about 0.1 ms on a quiet host), one of
 *          UNIX all its sockets: ask before freezing, not in a loop.
 * Owner    sockdiag_open() to sockdiag_close().
 * Errors   < 0 -errno.
 * Threads  One owner at a time.
 * Source   sock_diag(7); inet_diag.h's byte code as ss(8) sends it.
 */
#ifndef SYS_SOCKDIAG_H
#define SYS_SOCKDIAG_H

#include "core/unitfile.h"

#include <stdint.h>

int sockdiag_open(int *ret_fd);
/* Established or half closed by the peer; 0 for datagrams. */
int sockdiag_count(int diag, const struct unit_addr *a, uint32_t *ret_n);

#endif
