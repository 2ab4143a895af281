// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pool_refill.c - when sandboxes are made that nobody has asked for yet.
 *
 * A few at a time, each fill's cost paid for by waiting, and not while what was handed out starts.
 */
#include "sys/pool_impl.h"

#include <sys/timerfd.h>

#include "base/clock.h"
#include "base/err.h"

enum {
	REFILL_INFLIGHT_MAX = 4,    /* two cores' worth of work in the background, twice */
	BACKOFF_NS_MIN = 100000000, /* after a fill that failed, doubling */
	STUB_GAP_NS = 1000000,	    /* a request that comes is first */
};
#define BACKOFF_NS_MAX 5000000000ull
#define FILL_NS_GUESS 1500000 /* until the first has been measured */
/* What was handed out starts first: a fill at the same time takes a core from it, and doubled the
 * time of a short command on two. While half of the parked ones are left there is time. */
#define AFTER_HAND_OUT_NS 4000000

int pool_fill(struct pool *p, enum sandbox_net net, struct sandbox **ret)
{
	struct sandbox *sb = pool_slot_free(p);
	int err;

	if (!sb)
		return POOL_FULL;
	sb->request = sb->slot + p->o.sandbox_max * (p->generation++ & 0xfffff);
	sb->net = net;
	err = pool_filler_tell(p, BOX_FILL, sb->request,
			       net == SANDBOX_NET_PRIVATE ? BOX_F_NET_PRIVATE : 0);
	if (err < 0)
		return fault(err);
	sb->asked_ns = clock_ns(CLOCK_MONOTONIC);
	if (p->stub_wanted_n < p->o.stub_n)
		p->stub_wanted_n++;
	sm_move(&sb->sm, sb, SANDBOX_FILLING);
	*ret = sb;
	return 0;
}

static bool refill_wanted(const struct pool *p, int net)
{
	return p->parked_n[net] + p->refilling_n[net] < p->o.parked_target[net];
}

void pool_timer_at(struct pool *p, uint64_t at_ns)
{
	struct itimerspec its = {0};

	if (p->timer_ns && p->timer_ns <= at_ns)
		return;
	p->timer_ns = at_ns;
	its.it_value.tv_sec = (time_t)(at_ns / 1000000000ull);
	its.it_value.tv_nsec = (long)(at_ns % 1000000000ull);
	(void)timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &its, NULL); /* valid by construction */
}

static bool refill_can_wait(const struct pool *p, int net, uint64_t now)
{
	return now < p->handed_ns + AFTER_HAND_OUT_NS &&
	       p->parked_n[net] * 2 >= p->o.parked_target[net];
}

static void refill_parked(struct pool *p)
{
	uint64_t cost = p->figures.fill_ns_mean ? p->figures.fill_ns_mean : FILL_NS_GUESS;

	for (int net = 0; net < SANDBOX_NET_MAX && !p->figures.paused; net++)
		while (refill_wanted(p, net)) {
			uint64_t now = clock_ns(CLOCK_MONOTONIC);
			struct sandbox *sb;

			if (p->refilling_n[0] + p->refilling_n[1] >= REFILL_INFLIGHT_MAX)
				return;
			if (refill_can_wait(p, net, now)) {
				pool_timer_at(p, p->handed_ns + AFTER_HAND_OUT_NS);
				break;
			}
			if (now < p->next_fill_ns) {
				p->figures.budget_wait_n++;
				pool_timer_at(p, p->next_fill_ns);
				return;
			}
			if (pool_fill(p, (enum sandbox_net)net, &sb))
				return; /* full or no room in the socket: the next event tries again */
			sb->background = true;
			p->refilling_n[net]++;
			if (p->o.refill_permille)
				p->next_fill_ns = now + cost * 1000 / p->o.refill_permille;
		}
}

/* The last of what the filler does, never beside a hand-out: at its price of one fill. */
static void refill_stubs(struct pool *p)
{
	uint64_t cost = p->figures.fill_ns_mean ? p->figures.fill_ns_mean : FILL_NS_GUESS;
	uint64_t now = clock_ns(CLOCK_MONOTONIC), at = p->handed_ns + AFTER_HAND_OUT_NS;

	if (!p->stub_wanted_n || p->figures.paused || p->filler < 0)
		return;
	if (at < p->next_fill_ns)
		at = p->next_fill_ns;
	if (p->refilling_n[0] + p->refilling_n[1] || refill_wanted(p, 0) || refill_wanted(p, 1))
		return; /* its end is an event */
	if (now < at) {
		pool_timer_at(p, at);
		return;
	}
	if (pool_filler_tell(p, BOX_STUB, 0, 0) < 0) {
		pool_timer_at(p, now + POOL_RETRY_NS);
		return;
	}
	p->stub_wanted_n--;
	if (p->o.refill_permille)
		p->next_fill_ns = now + cost * 1000 / p->o.refill_permille;
	if (p->stub_wanted_n)
		pool_timer_at(p, now + STUB_GAP_NS);
}

void pool_refill(struct pool *p)
{
	refill_parked(p);
	refill_stubs(p);
}

void pool_refill_later(struct pool *p)
{
	p->backoff_ns = p->backoff_ns ? p->backoff_ns * 2 : BACKOFF_NS_MIN;
	if (p->backoff_ns > BACKOFF_NS_MAX)
		p->backoff_ns = BACKOFF_NS_MAX;
	p->next_fill_ns = clock_ns(CLOCK_MONOTONIC) + p->backoff_ns;
}
