// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * plan.c - one number, lambda, says how choosy the planner is.
 *
 * With lambda 1 and an idle host a guess is acted on when p > PRICE_IDLE, whatever its size: value
 * and price both grow with the bytes. That is just above one in three, so that of three scripts which
 * are equally likely none is read until one starts. lambda is the ratio of what was wasted to what
 * came true lately, in bytes, over the ratio we are content with: 1 at 3 wasted for 7 true, a
 * precision of 70 %, and never less; at LAMBDA_MAX only what is nine tenths sure is read: how often a habit
 * held is what core/credit.h counts, and those which hold shall not suffer for those which do not. Of
 * what runs already even a certain guess is refused at LAMBDA_NOW_MAX. Lately is the last WINDOW_BYTES, for a block guessed wrong wastes hundreds of files at once, and must weigh
 * what it read and not how many files that was. What was wasted is forgotten by half in DRIFT_NS, which is how a planner that
 * stopped comes to try again, a little.
 */
#include "core/plan.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/heap.h"

#include <math.h>
#include <stdlib.h>

/* What reading costs others, as a share of the time it takes: on an idle device, and how much more at
 * the limit of pressure. Cold starts make pressure themselves, and are when warming is worth most: so
 * the crowd does not count in full.
 */
#define PRICE_IDLE 0.35
#define PRICE_CROWD 0.5
/* Holding 1 MiB for 1 s costs as much as so many us of waiting: 1 % of reading it at 1 GiB/s. */
#define PRICE_HOLD_US 10.0
#define LAMBDA_MIN 1.0
#define LAMBDA_MAX 2.6
#define LAMBDA_NOW_MAX 16.0
#define DRIFT_NS (300ull * 1000 * 1000 * 1000)
/* Lambda is 1 at so much wasted per byte that came true. */
#define CONTENT (3.0 / 7)
#define WINDOW_BYTES (64.0 * (1 << 20))
/* A guess of no or few bytes is a lookup or two: as dear as so many bytes (COLD_BASE_US). */
#define GUESS_BYTES (48.0 * 1024)
/* A cold access costs at least a lookup: what an ext4 directory block from a virtio disk took here. */
#define COLD_BASE_US 120.0
#define US_PER_MIB_START 2500.0 /* 400 MiB/s until learnt */
#define US_PER_MIB_FAST 250.0	/* 4 GiB/s: no device takes less */
/* Lives of one program differ by a fifth of their mean, gains of programs by a half: which says how many
 * starts it takes to believe what was seen. A program that loses more than twice what the device needs is
 * no better a reason to take the device from others. */
#define GAIN_LIFE_SPREAD 0.2
#define GAIN_SPREAD 0.5
#define GAIN_MAX 2.0

/* What was wasted ahead and not made up for: so much at most, then no more than STAKE_MIN is read at a time, which
 * is some ms of the device's time. A byte that came true makes up for CAME_MAKES_UP wasted ones, so that two of three
 * that come true are enough; time alone makes up for all in DRIFT_NS. With nothing lost STAKE_MAX may be at
 * risk: several of the largest programs. What was unsure is lost as often as not, and that was known: 21 MiB of a
 * compiler read at 0.4 for whatever a shell was to run left no stake for the same at 0.9, when it ran. */
#define LOST_MAX (16.0 * (1 << 20))
#define STAKE_MAX (256.0 * (1 << 20))
#define STAKE_MIN (1.0 * (1 << 20))
#define CAME_MAKES_UP 0.5

struct balance {
	double hit_bytes, wasted_bytes; /* lately; their ratio is lambda */
};

enum { LANES = 6, SERVICE_MAX = 256 };

/* In a lane's key, above the time: so that what is wanted now comes first, however overdue the rest is. */
#define KEY_AHEAD (1ull << 63)

/* What one user waits for; a few may share a lane, and its turns. */
struct lane {
	struct heap queue;
	double served; /* bytes, counted from a common zero while it waits: start-time fair queueing */
};

struct plan {
	struct plan_policy policy;
	struct lane lanes[LANES];
	struct heap services;
	struct plan_stats stats;
	double us_per_mib;
	struct balance balance[2];  /* of what runs, of what is ahead */
	double tokens;		    /* bytes that may be started now */
	double lost_bytes[2];	    /* ahead: of what was sure, of all */
	uint64_t inflight_bytes[2]; /* of what has time, of what is wanted now */
	uint64_t tick_ns;
	bool roomy;
	double crowd; /* 0: idle device .. 1: at the limit of the policy */
};

int plan_new(uint32_t queue_max, const struct plan_policy *policy, struct plan **ret)
{
	_cleanup_(freep) struct plan *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return fault(-ENOMEM);
	for (size_t i = 0; i < LANES && r >= 0; i++)
		r = heap_init(&p->lanes[i].queue, queue_max);
	if (r >= 0)
		r = heap_init(&p->services, queue_max < SERVICE_MAX ? queue_max : SERVICE_MAX);
	if (r < 0) {
		(void)plan_free(TAKE_PTR(p));
		return r;
	}
	p->policy = *policy;
	for (int i = 0; i < 2; i++)
		p->balance[i] = (struct balance){WINDOW_BYTES / 4, CONTENT * WINDOW_BYTES / 4};
	p->us_per_mib = US_PER_MIB_START;
	p->roomy = true;
	p->tokens = (double)policy->bytes_per_s_max;
	*ret = TAKE_PTR(p);
	return 0;
}

struct plan *plan_free(struct plan *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < LANES; i++)
		heap_fini(&p->lanes[i].queue);
	heap_fini(&p->services);
	free(p);
	return NULL;
}

uint64_t plan_bytes(const struct plan *p)
{
	return sizeof(*p) + (LANES * p->lanes[0].queue.entry_max + p->services.entry_max) *
				    sizeof(struct heap_entry);
}

/* As a share of LOST_MAX. */
static double lost(const struct plan *p, enum plan_odds odds)
{
	return p->lost_bytes[odds == PLAN_UNSURE] / LOST_MAX;
}

static double lambda(const struct plan *p, enum plan_odds odds)
{
	const struct balance *b = &p->balance[odds != PLAN_RUNS];
	double asks = fmax(b->wasted_bytes / b->hit_bytes / CONTENT, LAMBDA_MIN);

	if (odds == PLAN_RUNS)
		return fmin(asks, LAMBDA_NOW_MAX);
	asks = fmax(asks, LAMBDA_MIN + (LAMBDA_MAX - LAMBDA_MIN) * lost(p, odds));
	return fmin(asks, LAMBDA_MAX);
}

void plan_stats(const struct plan *p, struct plan_stats *ret)
{
	*ret = p->stats;
	ret->queued_n = p->services.used_n;
	for (size_t i = 0; i < LANES; i++)
		ret->queued_n += p->lanes[i].queue.used_n;
	ret->lambda = lambda(p, PLAN_SURE);
	ret->us_per_mib = p->us_per_mib;
	ret->stake_bytes = plan_stake(p, PLAN_SURE);
	ret->inflight_bytes = p->inflight_bytes[0] + p->inflight_bytes[1];
	ret->budget_bytes = (int64_t)p->tokens;
}

uint64_t plan_stake(const struct plan *p, enum plan_odds odds)
{
	return (uint64_t)fmax(STAKE_MAX * (1 - lost(p, odds)), STAKE_MIN);
}

bool plan_dares(const struct plan *p, const struct plan_item *it)
{
	return it->odds == PLAN_RUNS || !it->bytes ||
	       it->at_risk_bytes + it->bytes <= plan_stake(p, it->odds);
}

void plan_risked(struct plan *p, enum plan_odds odds, uint64_t bytes, bool came)
{
	for (int all = 0; all < 2; all++) {
		double *lost_bytes = &p->lost_bytes[all];

		if (came)
			*lost_bytes = fmax(*lost_bytes - CAME_MAKES_UP * (double)bytes, 0);
		else if (all || odds != PLAN_UNSURE)
			*lost_bytes = fmin(*lost_bytes + (double)bytes, LOST_MAX);
	}
}

void plan_restore(struct plan *p, double lambda)
{
	struct balance *b = &p->balance[1];

	b->wasted_bytes = CONTENT * b->hit_bytes * fmin(fmax(lambda, LAMBDA_MIN), LAMBDA_MAX);
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

double plan_cold_us(const struct plan *p, uint64_t bytes)
{
	return COLD_BASE_US + mib(bytes) * p->us_per_mib;
}

double plan_gain(const struct edge_use *u)
{
	double cold_n = (double)u->cold_n, warm_n = (double)(u->use_n - u->cold_n);
	double cold, warm, lost, device, gain, doubt;

	if (!u->cold_n || u->use_n <= u->cold_n || u->life_sum_ns < u->cold_sum_ns)
		return 1;
	cold = (double)u->cold_sum_ns / 1e3 / cold_n;
	warm = (double)(u->life_sum_ns - u->cold_sum_ns) / 1e3 / warm_n;
	/* What was read was read by cold ones, at a speed that is not known: our own reads, several of which
	 * are in flight, do not tell it. So a loss is small only if even the fastest device would have cost
	 * more, and large only if a slow one would not explain it. */
	lost = fmax(cold - warm, 0);
	device = COLD_BASE_US + mib(u->read_sum_bytes) / cold_n * US_PER_MIB_START;
	if (lost < device) {
		device = COLD_BASE_US + mib(u->read_sum_bytes) / cold_n * US_PER_MIB_FAST;
		gain = fmin(lost / device, 1);
	} else {
		gain = fmin(lost / device, GAIN_MAX);
	}
	/* The mean of what was believed before and what was seen, each by how sure it is. */
	doubt = GAIN_LIFE_SPREAD * warm / device;
	doubt *= doubt * (1 / cold_n + 1 / warm_n);
	return (doubt + gain * GAIN_SPREAD * GAIN_SPREAD) / (doubt + GAIN_SPREAD * GAIN_SPREAD);
}

double plan_value_us(const struct plan *p, double chance, double gain, uint64_t bytes)
{
	/* However much it would bring: what is wrong two times in three is not read. */
	if (chance <= PRICE_IDLE)
		gain = fmin(gain, 1);
	return chance * gain * plan_cold_us(p, bytes);
}

double plan_price_us(const struct plan *p, uint64_t bytes, uint64_t lead_ns)
{
	return plan_cold_us(p, bytes) * (PRICE_IDLE + PRICE_CROWD * p->crowd) +
	       mib(bytes) * (double)lead_ns / 1e9 * PRICE_HOLD_US;
}

bool plan_worth(const struct plan *p, enum plan_odds odds, double value_us, double price_us)
{
	return value_us > lambda(p, odds) * price_us;
}

/* The waiting lane that was served least, of those that have something wanted now if any has; NULL: nothing waits. */
static struct lane *lane_next(struct plan *p)
{
	struct lane *least[2] = {NULL, NULL};

	for (size_t i = 0; i < LANES; i++) {
		struct lane *l = &p->lanes[i];
		uint64_t key, id;
		bool now;

		if (!heap_peek(&l->queue, &key, &id))
			continue;
		now = !(key & KEY_AHEAD);
		if (!least[now] || l->served < least[now]->served)
			least[now] = l;
	}
	return least[1] ? least[1] : least[0];
}

/* Who comes back has no claim to what he did not ask for meanwhile: as much as who waits next, or, where nobody
 * waits, as who had the most. */
static double served_others(struct plan *p)
{
	const struct lane *next = lane_next(p);
	double most = 0;

	for (size_t i = 0; !next && i < LANES; i++)
		most = fmax(most, p->lanes[i].served);
	return next ? next->served : most;
}

int plan_push(struct plan *p, uint32_t uid, bool now, uint64_t need_ns, uint64_t id)
{
	struct lane *l = &p->lanes[uid % LANES];

	if (!l->queue.used_n)
		l->served = fmax(l->served, served_others(p));
	if (!heap_push(&l->queue, need_ns | (now ? 0 : KEY_AHEAD), id)) {
		p->stats.refused_n++;
		return PLAN_FULL;
	}
	return 0;
}

int plan_push_service(struct plan *p, uint64_t need_ns, uint64_t id)
{
	if (heap_push(&p->services, need_ns, id))
		return 0;
	p->stats.refused_n++;
	return PLAN_FULL;
}

static bool pop_service(struct plan *p, uint64_t now_ns, plan_item_fn item, void *ctx,
			uint64_t *ret_id)
{
	struct plan_item it;
	uint64_t need_ns;

	while (heap_pop(&p->services, &need_ns, ret_id)) {
		if (!item(ctx, *ret_id, &it))
			continue;
		if (it.late_ns >= now_ns)
			return true;
		p->stats.late_n++;
	}
	return false;
}

/* A file larger than a second's budget may still go, alone. What is wanted now waits only for what else is: it
 * may borrow of the next second what was spent ahead in this one. */
static bool has_room(const struct plan *p, const struct plan_item *it)
{
	uint64_t inflight = p->inflight_bytes[1] + (it->now ? 0 : p->inflight_bytes[0]);

	return p->tokens > (it->now ? -(double)p->policy.bytes_per_s_max : 0) &&
	       (!inflight || inflight + it->bytes <= p->policy.bytes_inflight_max);
}

bool plan_pop(struct plan *p, uint64_t now_ns, plan_item_fn item, void *ctx, uint64_t *ret_id)
{
	uint64_t need_ns, id;
	struct lane *l;

	if (!p->policy.act)
		return false;
	if (pop_service(p, now_ns, item, ctx, &id)) {
		*ret_id = id;
		return true;
	}
	if (!p->roomy)
		return false;
	while ((l = lane_next(p)) && heap_peek(&l->queue, &need_ns, &id)) {
		struct plan_item it;

		if (!item(ctx, id, &it)) { /* it came true, or expired, before its turn */
			(void)heap_pop(&l->queue, &need_ns, &id);
			continue;
		}
		if (it.late_ns < now_ns || !plan_dares(p, &it) ||
		    !plan_worth(p, it.odds, it.value_us, it.price_us)) {
			if (it.late_ns < now_ns)
				p->stats.late_n++;
			else
				p->stats.unworthy_n++;
			(void)heap_pop(&l->queue, &need_ns, &id);
			continue;
		}
		if (!has_room(p, &it))
			return false;
		(void)heap_pop(&l->queue, &need_ns, &id);
		p->inflight_bytes[it.now] += it.bytes;
		p->tokens -= (double)it.bytes;
		l->served += (double)it.bytes + GUESS_BYTES;
		*ret_id = id;
		return true;
	}
	return false;
}

static double over(double value, double limit)
{
	return value < 0 || limit <= 0 ? 0 : fmin(value / limit, 2);
}

void plan_tick(struct plan *p, uint64_t now_ns, const struct pressure *pr)
{
	uint64_t step_ns = p->tick_ns && now_ns > p->tick_ns ? now_ns - p->tick_ns : 0;
	double rate = (double)p->policy.bytes_per_s_max;

	p->tick_ns = now_ns;
	p->tokens = fmin(p->tokens + rate * (double)step_ns / 1e9, rate);
	for (int i = 0; i < 2; i++) {
		struct balance *b = &p->balance[i];

		if (lambda(p, i ? PLAN_UNSURE : PLAN_RUNS) > 1)
			b->wasted_bytes =
				fmax(b->wasted_bytes * exp2(-(double)step_ns / (double)DRIFT_NS),
				     CONTENT * b->hit_bytes);
	}
	for (int all = 0; all < 2; all++)
		p->lost_bytes[all] =
			fmax(p->lost_bytes[all] - LOST_MAX * (double)step_ns / (double)DRIFT_NS, 0);
	if (!pr)
		return;
	p->crowd = fmax(over(pr->io_some_avg10, p->policy.io_some_max),
			over(pr->mem_some_avg10, p->policy.mem_some_max));
	p->roomy =
		p->crowd < 1 && (pr->mem_total_bytes == 0 ||
				 (double)pr->mem_available_bytes >=
					 p->policy.mem_available_min * (double)pr->mem_total_bytes);
}

void plan_learn(struct plan *p, bool now, uint64_t bytes_planned, uint64_t bytes_read,
		uint64_t took_ns)
{
	uint64_t *inflight = &p->inflight_bytes[now];

	*inflight -= bytes_planned < *inflight ? bytes_planned : *inflight;
	/* What was planned but not read is given back; a small read says little about speed. */
	if (bytes_planned > bytes_read)
		p->tokens = fmin(p->tokens + (double)(bytes_planned - bytes_read),
				 (double)p->policy.bytes_per_s_max);
	if (bytes_read >= 256 * 1024)
		p->us_per_mib += 0.1 * ((double)took_ns / 1e3 / mib(bytes_read) - p->us_per_mib);
}

void plan_feedback(struct plan *p, bool ahead, enum outcome outcome, uint64_t bytes)
{
	struct balance *b = &p->balance[ahead];
	double sum;

	if (!bytes)
		return;
	if (outcome == OUTCOME_WASTED)
		b->wasted_bytes += (double)bytes + GUESS_BYTES;
	else if (outcome == OUTCOME_HIT)
		b->hit_bytes += (double)bytes + GUESS_BYTES;
	sum = b->hit_bytes + b->wasted_bytes;
	if (sum <= WINDOW_BYTES)
		return;
	b->wasted_bytes *= WINDOW_BYTES / sum;
	/* So much is left however much was wasted, or no hit could ever outweigh it again. */
	b->hit_bytes = fmax(b->hit_bytes * WINDOW_BYTES / sum, WINDOW_BYTES / 12);
}
