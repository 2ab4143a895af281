/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lull.h - puts off the timeout in which a service sleeps, so that it sleeps until somebody connects.
 *
 * Shape    The kernel may let a wait run out late by its thread's timer slack, as that is when the wait
 *          begins. lull_put_off() gives a thread of a stopped process a slack of LULL_S; the process is
 *          continued, the thread begins its wait anew, and lull_end() gives it back what it had: only the
 *          wait in progress is late. What ends it, a connection first of all, does so as ever, and
 *          costs nothing: there is nobody to resume. lull_may() is asked before: it must be a wait that a
 *          connection ends, whatever socket it comes to.
 * Units    Slack in ns, as in /proc/PID/timerslack_ns.
 * Bounds   LULL_WAIT_MAX descriptors in one wait.
 * Errors   < 0 -errno; lull_may(): whatever cannot be read says no.
 * Threads  No state.
 * Source   proc_pid_timerslack_ns(5), Linux 4.6; fdinfo of epoll in proc_pid_fdinfo(5).
 */
#ifndef SYS_LULL_H
#define SYS_LULL_H

#include "sys/rest.h"

#include <sys/socket.h>

enum { LULL_S = 3600, LULL_WAIT_MAX = 256 };

/* Does w end when somebody connects to any of these sockets, whichever it is? */
bool lull_may(const struct rest_wait *w, const int *listens, size_t listen_n);

/* The socket of pid that listens there, whatever address of this host it is bound to; < 0: none. */
int lull_listener(pid_t pid, const struct sockaddr_storage *at);

struct lull {
	pid_t tid;
	uint64_t slack_ns; /* what it had */
};

/* < 0: it is not put off. */
int lull_put_off(pid_t tid, struct lull *ret);
void lull_end(const struct lull *l);
/* Of a process with which somebody did not get to the end. True: its waits are to begin anew. */
bool lull_repair(pid_t pid);

#endif
