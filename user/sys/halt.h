/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * halt.h - whether a process may be stopped by SIGSTOP where its group would be frozen.
 *
 * Shape    Stopped costs what frozen costs, nothing, but SIGCONT can be sent from within a system call
 *          of the client (resume.h). halt_may(): the process could not tell the difference. It handles
 *          no SIGCONT, nobody traces it, nobody else has stopped it, and each of its threads sleeps in
 *          a call that returns the same after both: the freezers too end it and restart it, or
 *          return EINTR (epoll_wait).
 * Units    start: ticks since boot, as in /proc/PID/stat.
 * Bounds   HALT_THREAD_MAX threads; a process of more is not to be stopped.
 * Errors   Whatever cannot be read says no.
 * Threads  No state.
 * Source   signal(7), "Interruption of system calls and library functions by stop signals".
 */
#ifndef SYS_HALT_H
#define SYS_HALT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { HALT_THREAD_MAX = 16 };

bool halt_may(pid_t pid);
/* Has it a handler for sig? What cannot be read has none. */
bool halt_handles(pid_t pid, int sig);
/* One of its threads is to be killed, by somebody or because another ends the process, and has not got to it:
 * as long as a v1 group is frozen none does. */
bool halt_dies(pid_t pid);
/* After SIGSTOP: has each thread stopped, and in a call as above? HALT_NOT_YET, HALT_WRONG: no. */
enum halt_look { HALT_DONE, HALT_NOT_YET, HALT_WRONG };
enum halt_look halt_look(pid_t pid);
/* Stopped by whomever. */
bool halt_is(pid_t pid);
/* 0: not to be had. */
uint64_t halt_start(pid_t pid);

#endif
