// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pool.c - a pool's own life, and handing out what it holds.
 *
 * A request for a fill is numbered slot + sandbox_max * generation; the filler answers with the
 * sandbox's own number, which names its control groups and is never used again. Everything that
 * takes time happens in the filler or in the new init; the pool sends and receives small messages
 * and never waits for an answer.
 */
#include "sys/pool_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

enum { STUBS = 2 /* half-made, for when nothing is parked: see box/filler.c */ };

DEFINE_CLEANUP(struct pool *, pool_free)

static int pool_alloc(struct pool *p)
{
	p->slots = calloc(p->o.sandbox_max, sizeof(*p->slots));
	for (int n = 0; n < SANDBOX_NET_MAX; n++)
		p->parked[n] = calloc(p->o.sandbox_max, sizeof(*p->parked[n]));
	if (!p->slots || !p->parked[0] || !p->parked[1])
		return fault(-ENOMEM);
	for (uint32_t i = 0; i < p->o.sandbox_max; i++) {
		p->slots[i].slot = i;
		pool_slot_clear(p, &p->slots[i]);
	}
	return 0;
}

int pool_new(const struct pool_options *o, struct pool **ret)
{
	_cleanup_(pool_freep) struct pool *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return fault(-ENOMEM);
	p->o = *o;
	p->epoll = p->timer = p->filler = -1;
	if (!p->o.sandbox_max)
		p->o.sandbox_max = 64;
	if (p->o.sandbox_max > 4000)
		return fault(-EINVAL);
	if (!p->o.layer_bytes_max)
		p->o.layer_bytes_max = 256ull << 20;
	if (!p->o.stub_n)
		p->o.stub_n = STUBS;
	snprintf(p->root, sizeof(p->root), "%s", o->root ? o->root : "/");
	if ((err = pool_alloc(p)) < 0)
		return err;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->epoll < 0 || p->timer < 0)
		return fault_errno();
	if ((err = pool_watch(p, p->timer, ON_TIMER, 0)) < 0 || (err = pool_filler_start(p)) < 0)
		return err;
	pool_refill(p);
	*ret = TAKE_PTR(p);
	return 0;
}

static bool all_empty(const struct pool *p)
{
	for (uint32_t i = 0; i < p->o.sandbox_max; i++)
		if (p->slots[i].sm.state != SANDBOX_EMPTY)
			return false;
	return true;
}

struct pool *pool_free(struct pool *p)
{
	if (!p)
		return NULL;
	p->closing = true;
	p->figures.paused = true;
	if (p->slots && p->filler >= 0) {
		uint64_t until = clock_ns(CLOCK_MONOTONIC) + 5000000000ull;

		for (uint32_t i = 0; i < p->o.sandbox_max; i++)
			pool_slot_release(p, &p->slots[i], true);
		while (!all_empty(p) && clock_ns(CLOCK_MONOTONIC) < until)
			if (pool_wait(p, 100) < 0)
				break;
	}
	pool_filler_stop(p);
	for (uint32_t i = 0; p->slots && i < p->o.sandbox_max; i++)
		pool_slot_close(&p->slots[i]);
	if (p->epoll >= 0)
		(void)close(p->epoll);
	if (p->timer >= 0)
		(void)close(p->timer);
	for (int n = 0; n < SANDBOX_NET_MAX; n++)
		free(p->parked[n]);
	free(p->slots);
	free(p);
	return NULL;
}

static int take_slot(struct pool *p, enum sandbox_net net, struct sandbox **ret)
{
	int other = net == SANDBOX_NET_PRIVATE ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE, r;

	if (p->parked_n[net]) {
		*ret = &p->slots[p->parked[net][--p->parked_n[net]]];
		p->figures.from_parked_n++;
		return 0;
	}
	r = pool_fill(p, net, ret);
	if (r == POOL_FULL && p->parked_n[other]) /* its place is free a moment later */
		pool_slot_release(p, &p->slots[p->parked[other][0]], true);
	if (!r)
		p->figures.fresh_n++;
	return r;
}

/* Its init reads the command when it is ready for one: to a sandbox that is still being made it is
 * sent ahead. */
void pool_send_pending(struct pool *p, struct sandbox *sb)
{
	uint32_t unlimited; /* what this host cannot limit is said of all: cgroup_can() */
	int err = 0;

	if (sb->has_limits && p->o.cgroup)
		err = cgroup_group_limit(p->o.cgroup, sb->group, &sb->pending_limits, &unlimited);
	if (sb->sm.state == SANDBOX_PARKED)
		sm_move(&sb->sm, sb, SANDBOX_STARTING);
	if (!err)
		err = sandbox_wire_send(sb->ctl, sb->pending);
	sb->pending = sandbox_wire_free(sb->pending);
	sb->sent = true;
	if (err) {
		pool_emit(sb, SANDBOX_EV_FAILED, err < 0 ? err : -EIO);
		pool_slot_release(p, sb, true);
	}
}

int pool_take(struct pool *p, enum sandbox_net net, const struct sandbox_command *cmd,
	      sandbox_event_fn fn, void *ctx, struct sandbox **ret)
{
	struct sandbox_wire *w = NULL;
	struct sandbox *sb;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	int r;

	if (p->filler < 0)
		return fault(-EAGAIN);
	r = sandbox_wire_new(cmd, SANDBOX_WIRE_COMMAND, &w);
	if (r < 0)
		return r;
	r = take_slot(p, net, &sb);
	if (r) {
		(void)sandbox_wire_free(w);
		return r;
	}
	sb->fn = fn;
	sb->ctx = ctx;
	sb->times.taken_ns = p->handed_ns = now;
	sb->times.parked = sb->sm.state == SANDBOX_PARKED;
	sb->pending = w;
	if (cmd->limits) {
		sb->pending_limits = *cmd->limits;
		sb->has_limits = true;
	}
	p->figures.handed_out_n++;
	*ret = sb;
	if (sb->sm.state == SANDBOX_PARKED) {
		pool_emit(sb, SANDBOX_EV_HANDED, 0);
		sb->fn = NULL; /* a failure to send is ours to return, not an event */
		pool_send_pending(p, sb);
		sb->fn = fn;
		if (sb->sm.state != SANDBOX_STARTING) {
			sb->fn = NULL;
			return fault(-EIO);
		}
	}
	return 0;
}

void pool_release(struct pool *p, struct sandbox *sb)
{
	pool_slot_release(p, sb, true);
}

void pool_pause(struct pool *p, bool paused)
{
	p->figures.paused = paused;
	if (!paused)
		pool_timer_at(p, clock_ns(CLOCK_MONOTONIC) + 1);
}

void pool_target(struct pool *p, enum sandbox_net net, uint32_t parked)
{
	p->o.parked_target[net] = parked;
	while (p->parked_n[net] > parked)
		pool_slot_release(p, &p->slots[p->parked[net][0]], true);
	pool_timer_at(p, clock_ns(CLOCK_MONOTONIC) + 1);
}

void pool_figures(const struct pool *p, struct pool_figures *ret)
{
	*ret = p->figures;
	memset(ret->state_n, 0, sizeof(ret->state_n));
	for (uint32_t i = 0; i < p->o.sandbox_max; i++)
		ret->state_n[p->slots[i].sm.state]++;
	memcpy(ret->parked_n, p->parked_n, sizeof(ret->parked_n));
	memcpy(ret->target_n, p->o.parked_target, sizeof(ret->target_n));
	ret->refilling_n = p->refilling_n[0] + p->refilling_n[1];
}

struct cgroup_host *pool_cgroup(const struct pool *p)
{
	return p->o.cgroup;
}

void pool_each(struct pool *p, void (*fn)(void *ctx, struct sandbox *sb), void *ctx)
{
	for (uint32_t i = 0; i < p->o.sandbox_max; i++)
		if (p->slots[i].sm.state != SANDBOX_EMPTY)
			fn(ctx, &p->slots[i]);
}
