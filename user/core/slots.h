/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * slots.h - the slots of a full-size table: taken and given back, what changed in order, and which one
 * is the least useful.
 *
 * Shape    The caller's array of records, each of which begins with a struct slot; slots are numbered
 *          from 1, 0 is none. A slot given back is taken again as late as possible. How useful one is:
 *          its uses, halved every three days.
 * Units    ts_ns is ns of CLOCK_REALTIME.
 * Bounds   max slots. slots_least() looks at CANDIDATE_MAX of them, or at all where fewer will do.
 *          What was touched within the last max/4 new ones goes only when there is nothing else.
 * Owner    The array and what stands in it are the caller's.
 * Errors   none: the caller makes room before it takes.
 * Threads  One owner at a time.
 * Source   Sampled eviction with a kept pool of candidates, as in Redis' approximated LRU.
 */
#ifndef CORE_SLOTS_H
#define CORE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLOTS_KEEP_MAX = 8 };

enum {
	SLOT_ALIVE = 1,
	SLOT_DIRTY = 2,
	SLOT_QUEUED = 4,
	SLOT_AGAIN = 8 /* in the second queue; what the caller adds is from 16 on */
};

/* What a record begins with. */
struct slot {
	uint32_t use;	/* as of epoch */
	uint32_t epoch; /* half-lives since 1970 */
	uint32_t seq;	/* insertions there had been when it was last touched */
	uint32_t next_dirty, next_free;
	uint8_t state; /* SLOT_* */
};

/* Finds candidates among 1..top of an array. */
struct hand {
	uint32_t at, stride, stride_top;       /* stride: coprime to stride_top */
	uint32_t kept[SLOTS_KEEP_MAX], kept_n; /* slots that were candidates */
};

struct slots {
	char *base; /* the array; [0] is unused */
	size_t size;
	uint32_t max, top; /* top: the highest slot ever used */
	uint32_t used_n;
	uint32_t free_head, free_tail;
	struct {
		uint32_t head, tail;
	} dirty[2];	/* what has news; what only has more of the same */
	bool again_due; /* something that has news is in the second */
	uint32_t insert_seq;
	uint64_t evicted_n;
	struct hand hand;
};

static inline struct slot *slots_at(const struct slots *s, uint32_t slot)
{
	return (struct slot *)(void *)(s->base + slot * s->size);
}

static inline bool slots_full(const struct slots *s)
{
	return s->used_n == s->max;
}

static inline bool slots_alive(const struct slots *s, uint32_t slot)
{
	return slot && slot <= s->top && slots_at(s, slot)->state & SLOT_ALIVE;
}

/* A slot, and what its record has to begin with; not to be called when full. */
uint32_t slots_take(struct slots *s, struct slot *ret);
void slots_give(struct slots *s, uint32_t slot);

/* Queues it for slots_next_dirty(), unless it waits there already; again: it can wait. */
void slots_dirty(struct slots *s, uint32_t slot, bool again);
/* The one longest dirty and still alive, of those that cannot wait, then, if all are asked for, of the others; 0: none.
 * It is clean from then on. */
uint32_t slots_next_dirty(struct slots *s, bool all);

void slots_use(struct slots *s, uint32_t slot, uint64_t ts_ns, uint64_t uses);
/* The same, for what does not make it young again. */
void slots_use_old(struct slots *s, uint32_t slot, uint64_t ts_ns, uint64_t uses);

/* What may go. */
struct slots_among {
	const void *ctx;
	/* May this one go, and when was it last touched? Breaks ties. Asked of living ones only. */
	bool (*may)(const void *ctx, uint32_t slot, uint64_t *ret_last_ns);
	/* Where not every slot is looked at: the slot of number at, 1..top. NULL: that itself. */
	uint32_t (*slot_of)(const void *ctx, uint32_t at);
};

/* The least useful one found among `top`, or 0; the next worst are kept in the hand for next time. */
uint32_t slots_least(const struct slots *s, const struct slots_among *among, struct hand *hand,
		     uint32_t top, uint64_t ts_ns);

#endif
