/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * selftest.h - does each hook really see? A tracer that loaded and is blind must say so.
 *
 * Shape    A child of ours makes one call for each hook, with names nobody else uses; each must
 *          come back through the ring as an observation. Other observations are handed on.
 * Bounds   takes at most two seconds; one child, nothing left behind.
 * Errors   < 0 -errno: the test itself could not run.
 * Threads  the owner of the capture.
 */
#ifndef SYS_SELFTEST_H
#define SYS_SELFTEST_H

#include "sys/capture.h"

struct selftest {
	bool ok[FWM_HOOK_MAX];
	uint32_t degraded_n; /* hooks which are not ok */
};

int capture_selftest(struct capture *c, obs_fn fn, void *ctx, struct selftest *ret);
/* "sched_process_exec", "openat", ...: what a hook is called in front of people. */
const char *hook_name(enum fwm_hook hook);

#endif
