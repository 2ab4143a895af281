/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * proxy.h - stands before a service that does not know LISTEN_FDS.
 *
 * Shape    Runs inside the service's sandbox, with the service's rights, as the parent of the
 *          service: takes the listening sockets, starts the command, waits until it answers at its
 *          own address, says READY=1, and from then on copies bytes both ways with splice(2).
 *          Frozen, thawed and ended together with the service.
 * Bounds   PROXY_PAIR_MAX connections at a time; more wait in the backlog. A pair holds two pipes.
 * Errors   An exit status: the command's own, 128 + signal, or 1 with a line on stderr.
 * Threads  One.
 */
#ifndef SYS_PROXY_H
#define SYS_PROXY_H

enum { PROXY_PAIR_MAX = 512 };

/* argv: --to ADDRESS -- COMMAND ARG... */
int proxy_main(int argc, char **argv);

#endif
