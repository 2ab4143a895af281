/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * credit.h - how many bytes may be read on the word of one habit: "after this block comes that one".
 *
 * Shape    A habit is a pair of blocks: the one that is running, and the one it is to start. A habit
 *          seen once may have CREDIT_FIRST bytes read for it. Each time it holds it may have four times as
 *          many, up to CREDIT_MAX; each time it does not, a sixteenth: so what holds two times in
 *          three keeps its credit, and what is less sure loses it. Below CREDIT_MIN nothing is
 *          read, but the guesses go on, at last those of programs alone, and a habit that comes back
 *          is trusted again.
 * Units    bytes.
 * Bounds   CREDIT_PAIRS pairs, in a table in which a pair has one place: one that was pushed out
 *          starts again from the number of runs it was seen in.
 * Owner    The caller owns struct credit. Ids are graph ids.
 * Errors   -ENOMEM at new; nothing later.
 * Threads  One owner at a time.
 * Source   Slow start and multiplicative decrease: Jacobson, Congestion avoidance and control (1988).
 */
#ifndef CORE_CREDIT_H
#define CORE_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

enum { CREDIT_PAIRS = 16384 };

#define CREDIT_MIN (64ull << 10)
#define CREDIT_FIRST (1ull << 20)
#define CREDIT_MAX (128ull << 20)

struct credit;

int credit_new(struct credit **ret);
struct credit *credit_free(struct credit *c);
uint64_t credit_memory(const struct credit *c);

/* What may be read for `next` while `from` runs; support is how often that was seen. */
uint64_t credit_bytes(const struct credit *c, uint32_t from, uint32_t next, uint64_t support);
/* So often in vain that it is as low as it can be. */
bool credit_spent(const struct credit *c, uint32_t from, uint32_t next);
/* It came, or did not come while it could have. */
void credit_outcome(struct credit *c, uint32_t from, uint32_t next, uint64_t support, bool came);

#endif
