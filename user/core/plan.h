/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * plan.h - which guesses are worth acting on, in which order, and when to stop.
 *
 * Shape    value = p x the time a cold access would cost a program, by what its starts cost cold and
 *          warm as far as that is learnt; price = what getting it ready takes from the host: its time at the device, dearer the busier the device is, and the memory it
 *          holds. A guess is acted on while value > lambda x price. lambda rises with what was
 *          wasted, falls with what came true, and drifts back to 1, so that a planner that has
 *          stopped tries again. There is one for what runs already and one for what has yet to
 *          start, so that wrong guesses of the one do not stop the other. What cannot run now waits, the most urgent first, and is dropped
 *          when it is too late. lambda asks how sure a guess is; the stake bounds how much is lost by what was
 *          sure and is not any more: at most so many bytes of programs that have yet to start are read at a time,
 *          fewer the more was wasted lately, and of the least next to none. What was unsure and did not come says
 *          nothing of what is sure: that loses its stake by its own losses alone.
 * Units    us for value and price, bytes, ns.
 * Bounds   queue_max waiting entries; one more is refused and counted.
 * Owner    The caller owns struct plan.
 * Errors   -ENOMEM at new; PLAN_FULL.
 * Threads  One owner at a time.
 * Source   Value against price: the design of this project; additive increase and multiplicative
 *          decrease of lambda's inverse as in TCP (Chiu and Jain 1989).
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum { PLAN_FULL = 1 };

/* Of a program that runs; of one that has yet to start and is at least as likely to as not; of a less likely one. */
enum plan_odds { PLAN_RUNS, PLAN_SURE, PLAN_UNSURE };

struct plan_stats {
	uint64_t queued_n, refused_n, late_n, unworthy_n;
	double lambda; /* of what has yet to start and is sure */
	double us_per_mib;
	uint64_t stake_bytes;	 /* likewise */
	uint64_t inflight_bytes; /* given out, without a result yet */
	int64_t budget_bytes;	 /* may be given out now; < 0: what is wanted now has borrowed */
};

struct plan;

int plan_new(uint32_t queue_max, const struct plan_policy *policy, struct plan **ret);
struct plan *plan_free(struct plan *p);
uint64_t plan_bytes(const struct plan *p);
void plan_stats(const struct plan *p, struct plan_stats *ret);

/* What one cold access to so many bytes costs a program here, as learnt from plan_learn(). */
double plan_cold_us(const struct plan *p, uint64_t bytes);
/* What programs lost by starting cold, for the time the device needs for what they read: 1 until something is
 * learnt, 0 where a cold start takes no longer than a warm one. */
double plan_gain(const struct edge_use *u);
/* Of a guess with chance p, for a program with that gain. */
double plan_value_us(const struct plan *p, double chance, double gain, uint64_t bytes);
double plan_price_us(const struct plan *p, uint64_t bytes, uint64_t lead_ns);
bool plan_worth(const struct plan *p, enum plan_odds odds, double value_us, double price_us);

/* Queues guess id, needed at need_ns by a program of user uid; now: one that has started. */
int plan_push(struct plan *p, uint32_t uid, bool now, uint64_t need_ns, uint64_t id);
/* The same for one that nothing is read for, a service: who runs the services knows what they cost, so
 * it is taken whatever was wasted on files, and however busy the device is. */
int plan_push_service(struct plan *p, uint64_t need_ns, uint64_t id);

struct plan_item {
	uint64_t bytes, late_ns; /* of no use after late_ns */
	double value_us, price_us;
	enum plan_odds odds;
	bool now;		/* a program that has started waits for it */
	uint64_t at_risk_bytes; /* by all others that are ahead: they are open */
};
/* How many bytes may be at risk, and whether this may be added to them. */
uint64_t plan_stake(const struct plan *p, enum plan_odds odds);
bool plan_dares(const struct plan *p, const struct plan_item *it);
/* What so many of those were read for came, or did not; read or still under way. */
void plan_risked(struct plan *p, enum plan_odds odds, uint64_t bytes, bool came);

/* Tells what guess id is about; false when it has ended meanwhile. */
typedef bool (*plan_item_fn)(void *ctx, uint64_t id, struct plan_item *ret);
/* Takes the most urgent guess that is still worth it, of the user who was given least lately; false when there is
 * none, or no room now. What is wanted now goes before all that is not, and is bounded as if it were alone: by as
 * many bytes under way again, and by what a second's budget leaves of the next one's. */
bool plan_pop(struct plan *p, uint64_t now_ns, plan_item_fn item, void *ctx, uint64_t *ret_id);

/* Refills the byte budget and takes note of the host's room. */
void plan_tick(struct plan *p, uint64_t now_ns, const struct pressure *pr);
/* What an action came to, now as its item said: teaches the device's speed and frees the bytes in flight. */
void plan_learn(struct plan *p, bool now, uint64_t bytes_planned, uint64_t bytes_read,
		uint64_t took_ns);
/* An ended guess moves lambda. */
void plan_feedback(struct plan *p, bool ahead, enum outcome outcome, uint64_t bytes);
/* As choosy about what is ahead as another was. */
void plan_restore(struct plan *p, double lambda);

#endif
