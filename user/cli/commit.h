/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * commit.h - does what effects.h lists: all of it, or nothing.
 *
 * Shape    commit_check() finds what must not be committed. commit_apply() first writes everything
 *          new beside its place (a disk that is full is noticed here), then renames each into place,
 *          the old one aside, and removes the old ones last. A fault or a wish to stop on the way
 *          takes back what was done. Each file is the old one or the new one at any moment; but one that
 *          keeps its other names on the host is written to where it is, a copy of it beside.
 * Units    Wall clock ns for "changed meanwhile".
 * Owner    Nothing is kept.
 * Errors   < 0 -errno, with the path in effects.where. COMMIT_STOPPED: as stop() wished.
 * Threads  One.
 * Trust    By the caller's own rights, following no link. Set-user-id files and devices are refused,
 *          sockets passed over: their server is gone.
 * Limit    A kill -9 in between leaves names that begin with ".forewarm-" beside the files.
 */
#ifndef CLI_COMMIT_H
#define CLI_COMMIT_H

#include "cli/effects.h"

enum { COMMIT_STOPPED = 1 };

typedef void (*commit_say_fn)(void *ctx, const char *path, const char *why);

/* A time such that the kernel stamps what is changed from now on with it or a later one, and what was
 * changed before with an earlier one: waits for the clock to tick, some ms. */
uint64_t commit_begin_ns(void);
/* Calls say for each reason not to commit: changed on the host since begin_ns, set-user-id, ...
 * Returns how many there were. */
size_t commit_check(struct effects *e, uint64_t begin_ns, commit_say_fn say, void *ctx);
/* stop is asked between two files; say is called for what was passed over or could not be removed
 * after all was in place. */
int commit_apply(struct effects *e, bool (*stop)(void *ctx), commit_say_fn say, void *ctx);

/* --- for commit.c --- */

/* The addition of the directory that path lies in; NULL: it is there. */
const struct effect *commit_new_parent(const struct effects *e, const char *path);

#endif
