// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pool_restart.c - sandboxes that outlive a daemon: taken over, let go, or removed as nobody's.
 */
#include "sys/pool_impl.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

enum { SERIALS_A_FILLER = 1 << 20 /* numbers from its first which may be its stubs */ };

int pool_adopt(struct pool *p, const struct pool_adopt *a, sandbox_event_fn fn, void *ctx,
	       struct sandbox **ret)
{
	struct sandbox *sb = pool_slot_free(p);
	int err;

	if (!sb)
		return POOL_FULL;
	if (pool_slot_of(p, a->id))
		return fault(-EEXIST);
	sb->id = a->id;
	sb->net = a->net;
	sb->fn = fn;
	sb->ctx = ctx;
	snprintf(sb->group, sizeof(sb->group), "sb-%u", a->id);
	if ((err = pool_watch(p, a->init_pidfd, ON_INIT, sb->slot)) < 0)
		return err;
	if ((err = pool_watch(p, a->ctl_fd, ON_CTL, sb->slot)) < 0) {
		(void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, a->init_pidfd, NULL);
		return err;
	}
	sb->ctl = a->ctl_fd;
	sb->init_pidfd = a->init_pidfd;
	sb->command_pidfd = a->command_pidfd;
	sb->frozen_by = a->stopped ? FROZEN_BY_SIGNAL : FROZEN_BY_GROUP;
	sm_move(&sb->sm, sb,
		a->frozen     ? SANDBOX_FROZEN
		: a->starting ? SANDBOX_STARTING
			      : SANDBOX_READY);
	sb->ended = a->command_pidfd >= 0 && sandbox_pid_of(a->command_pidfd) == 0;
	if (sb->ended) { /* its init may have told nobody but who is gone */
		p->any_ended = true;
		pool_timer_at(p, clock_ns(CLOCK_MONOTONIC) + 1);
	}
	*ret = sb;
	return 0;
}

/* Its socket must be held by somebody else by now, or its init ends. */
void pool_disown(struct pool *p, struct sandbox *sb)
{
	if (sb->sm.state == SANDBOX_PARKED)
		pool_unpark(p, sb);
	pool_slot_close(sb);
	pool_slot_clear(p, sb);
}

struct sweep {
	struct pool *p;
	int n;
};

static int sweep_one(void *ctx, const char *name)
{
	struct sweep *s = ctx;
	unsigned id;

	if (sscanf(name, "sb-%u", &id) != 1 || pool_slot_of(s->p, id) ||
	    id - s->p->serial_first < SERIALS_A_FILLER)
		return 0;
	(void)cgroup_group_kill(s->p->o.cgroup, name); /* gone or empty: as wanted */
	for (int i = 0; i < 200; i++) {
		struct timespec ms = {.tv_nsec = 1000000};

		if (cgroup_group_remove(s->p->o.cgroup, name) == 0)
			break;
		(void)nanosleep(&ms, NULL); /* members still exit; only ever at start */
	}
	s->n++;
	return 0;
}

int pool_sweep(struct pool *p)
{
	struct sweep s = {.p = p};
	int r = p->o.cgroup ? cgroup_group_each(p->o.cgroup, sweep_one, &s) : 0;

	return r < 0 ? r : s.n;
}
