/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * trust.h - which files need no look, because the kernel would have said if a page of theirs had left.
 *
 * Shape    trust_ask() before a file is warmed: what was verified for the same parts of the file and
 *          was not evicted since needs nothing. trust_begin() when the job is given out, trust_end()
 *          with its result: a file that loses a page in between is not trusted.
 * Bounds   TRUST_JOBS jobs under way; FWM_RESIDENT_MAX files, then it starts over.
 * Owner    The caller owns struct trust.
 * Errors   -ENOMEM at new. Where the kernel has no such tracepoint nothing is ever trusted.
 */
#ifndef DAEMON_TRUST_H
#define DAEMON_TRUST_H

#include "core/engine.h"
#include "sys/capture.h"

enum { TRUST_JOBS = 4096 };

struct trust;

int trust_new(struct capture *c, struct trust **ret);
struct trust *trust_free(struct trust *t);
/* Is all that the action wants of the file in memory? */
bool trust_ask(struct trust *t, const struct action *a, const struct node *file);
void trust_begin(struct trust *t, const struct action *a, const struct node *file);
/* whole: all of it was seen in memory. */
void trust_end(struct trust *t, uint64_t guess_id, bool whole);

#endif
