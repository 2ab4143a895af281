/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lock.h - a file or a folder that belongs to one process at a time.
 *
 * Owner    The descriptor is the caller's, and the lock its holder's as long as it is open.
 * Errors   < 0 -errno; > 0 LOCK_TAKEN.
 * Threads  Any.
 * Source   flock(2): it ends with the process, whatever ends that.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

enum { LOCK_TAKEN = 1 /* somebody else has it */ };

/* Opens path with these flags of open(2), made with mode 0600 if it is to be, and locks it; never waits. */
int lock_take(const char *path, int flags, int *ret_fd);

#endif
