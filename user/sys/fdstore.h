/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fdstore.h - descriptors that outlive the daemon: nobody is refused while it is away.
 *
 * Shape    Named descriptors, kept by the service manager (FDSTORE of sd_notify(3)) when there is one
 *          that offers it, else by a holder: a process of ours that does nothing but keep them and
 *          hand them to the next daemon over a socket in the run directory.
 * Bounds   FDSTORE_MAX descriptors, names of at most FDSTORE_NAME_MAX bytes, printable, no ':'.
 * Owner    fdstore_open() to fdstore_close(). put and take work on duplicates: what the caller passes
 *          stays the caller's, what it gets is the caller's.
 * Errors   < 0 -errno; FDSTORE_NONE.
 * Threads  The event loop's. fdstore_open() forks: call it before threads and secrets.
 * Trust    The holder serves its own user (or root) only, told by SO_PEERCRED; the socket is 0600.
 *          It runs no code but the loop in this file.
 */
#ifndef SYS_FDSTORE_H
#define SYS_FDSTORE_H

#include <stdbool.h>
#include <stddef.h>

enum { FDSTORE_NONE = 1 /* no such name */ };
enum { FDSTORE_MAX = 2048, FDSTORE_NAME_MAX = 250 };

struct fdstore;

/* Finds what an earlier daemon left. dir: where the holder's socket is; it must exist. */
int fdstore_open(const char *dir, struct fdstore **ret);
/* end: the holder goes too, and with it everything that is kept. */
struct fdstore *fdstore_close(struct fdstore *f, bool end);

/* "manager" or "holder". */
const char *fdstore_kind(const struct fdstore *f);

/* Kept from now on, over any kill -9; replaces what had the name. */
int fdstore_put(struct fdstore *f, const char *name, int fd);
int fdstore_remove(struct fdstore *f, const char *name);
/* A descriptor that was left by an earlier daemon; it stays kept. */
int fdstore_take(struct fdstore *f, const char *name, int *ret_fd);
/* Removes what was left and has not been taken. Returns how many there were. */
int fdstore_forget_rest(struct fdstore *f);

#endif
