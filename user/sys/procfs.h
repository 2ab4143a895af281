/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * procfs.h - what already ran before the daemon started.
 *
 * Shape    One FORK and one EXEC observation, flagged OBS_F_SEED, for each living process that has an
 *          executable, in the order they were started, so that parents come before children.
 * Bounds   65,536 processes; a process that goes away meanwhile is left out.
 * Owner    Strings live until the callback returns.
 * Errors   < 0 -errno when /proc cannot be listed; what is unreadable of one process is left out.
 * Threads  Any; blocks for some 20 us a process.
 */
#ifndef SYS_PROCFS_H
#define SYS_PROCFS_H

#include "core/decode.h"

/* root is put before /proc: "" on a live host. Returns how many processes there were. */
int procfs_seed(const char *root, obs_fn fn, void *ctx);

#endif
