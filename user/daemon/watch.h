/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * watch.h - how closely the host is watched: all of it, samples of what is known, or starts only.
 *
 * Shape    Follows the observations with core/duty.h and tells the hooks: blocks that are well known
 *          are sampled, and when nothing has been new for a while the open hooks are detached. A
 *          program that is not known brings them back at its start; what it had loaded by then is
 *          read from /proc. Meanwhile starts of what is known and starts nothing itself may come as
 *          counts, while there are many (capture_fold()).
 * Bounds   as in core/duty.h; 64 programs to look up at a time.
 * Owner    The caller owns struct watch; the capture outlives it.
 * Errors   < 0 -errno.
 * Threads  the owner of the capture.
 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include "core/duty.h"
#include "sys/capture.h"

struct watch;

/* settle_ns: without anything new for so long the open hooks are detached; 0: never. */
int watch_new(struct capture *c, uint64_t settle_ns, struct watch **ret);
struct watch *watch_free(struct watch *w);
void watch_observe(struct watch *w, const struct obs *o);
/* After a drain: changes the mode when there is reason to. What a new program had loaded before the hooks
 * were back goes to fn. */
int watch_step(struct watch *w, uint64_t now_ns, obs_fn fn, void *ctx);
/* No hook on a system call is wanted, though some may still be there. */
bool watch_leaving(const struct watch *w);

#endif
