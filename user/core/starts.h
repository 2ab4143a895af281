/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * starts.h - program starts that the kernel may only count: what each of its numbers stands for.
 *
 * Shape    A start that was told is kept under a number; what is told by that number later is it again. Numbers
 *          are given anew in each phase, and hold in the one that follows, for what is still on its way then.
 * Bounds   STARTS_MAX in a phase, with STARTS_TEXT bytes of names each; 600 KiB, touched as far as it is used.
 * Owner    The caller owns struct starts. What is handed on lives until the next phase but one.
 * Errors   < 0 -errno; DECODE_UNNAMED: a number that stands for nothing, and nothing was handed on.
 * Threads  One owner at a time. No clock, global or I/O.
 */
#ifndef CORE_STARTS_H
#define CORE_STARTS_H

#include "core/decode.h"

enum { STARTS_MAX = FWM_FOLDABLE_MAX, STARTS_TEXT = 256 };

struct starts;

int starts_new(struct starts **ret);
struct starts *starts_free(struct starts *s);

/* A phase begins; its number is in all that are given in it. */
uint32_t starts_phase(struct starts *s);
/* The number of this OBS_EXEC, which is what the hook knows by key; 0: it is not kept. */
uint32_t starts_keep(struct starts *s, const struct obs *o, const struct fwm_foldable_key *key);
/* What the hook knows it by; NULL: nothing. */
const struct fwm_foldable_key *starts_key(const struct starts *s, uint32_t start);

/* Counts of starts by maker: an OBS_STARTS and an OBS_ENDS each, where there are any. */
int starts_rows(const struct starts *s, uint32_t maker, uint64_t ts_ns,
		const struct fwm_starts_row rows[FWM_STARTS_TOP], obs_fn fn, void *ctx);
/* FWM_EVENT_STARTS: an OBS_GAP before them. */
int starts_decode(const struct starts *s, const struct fwm_starts *e, obs_fn fn, void *ctx);
/* FWM_EVENT_LATE: the start as it was told once, with OBS_F_COUNTED. */
int starts_late_decode(const struct starts *s, const struct fwm_late *e, obs_fn fn, void *ctx);

#endif
