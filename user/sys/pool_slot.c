// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pool_slot.c - the table of sandboxes: a slot's life from free to free again.
 */
#include "sys/pool_impl.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct sandbox *pool_slot_free(struct pool *p)
{
	for (uint32_t i = 0; i < p->o.sandbox_max; i++)
		if (p->slots[i].sm.state == SANDBOX_EMPTY)
			return &p->slots[i];
	return NULL;
}

struct sandbox *pool_slot_of(struct pool *p, uint32_t id)
{
	for (uint32_t i = 0; i < p->o.sandbox_max; i++)
		if (p->slots[i].sm.state != SANDBOX_EMPTY && p->slots[i].id == id)
			return &p->slots[i];
	return NULL;
}

void pool_slot_close(struct sandbox *sb)
{
	int *fds[] = {&sb->ctl, &sb->init_pidfd, &sb->command_pidfd, &sb->freeze_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0) {
			/* close() does not end the watch when a forked child still has a copy. */
			(void)epoll_ctl(sb->pool->epoll, EPOLL_CTL_DEL, *fds[i], NULL);
			(void)close(*fds[i]);
			*fds[i] = -1;
		}
	for (size_t i = 0; i < sb->upper_n; i++)
		(void)close(sb->uppers[i].fd);
	sb->upper_n = 0;
	sb->pending = sandbox_wire_free(sb->pending);
}

void pool_slot_clear(struct pool *p, struct sandbox *sb)
{
	uint32_t slot = sb->slot;

	*sb = (struct sandbox){.pool = p,
			       .slot = slot,
			       .ctl = -1,
			       .init_pidfd = -1,
			       .command_pidfd = -1,
			       .freeze_fd = -1};
	sm_init(&sb->sm, &sandbox_sm, SANDBOX_EMPTY);
}

void pool_emit(struct sandbox *sb, enum sandbox_event ev, int arg)
{
	if (sb->fn && !sb->pool->closing)
		sb->fn(sb->ctx, sb, ev, arg);
}

void pool_unpark(struct pool *p, struct sandbox *sb)
{
	uint32_t *v = p->parked[sb->net];

	for (uint32_t i = 0; i < p->parked_n[sb->net]; i++)
		if (v[i] == sb->slot) {
			memmove(v + i, v + i + 1, (p->parked_n[sb->net] - i - 1) * sizeof(*v));
			p->parked_n[sb->net]--;
			return;
		}
}

void pool_slot_remove(struct pool *p, struct sandbox *sb)
{
	int err;

	pool_slot_close(sb);
	err = pool_filler_tell(p, BOX_REMOVE, sb->id, 0);
	sb->released = err == 0;
	if (err)
		p->unsent_n++;
}

void pool_slot_gone(struct pool *p, struct sandbox *sb)
{
	bool by_itself = !sb->disowned;

	pool_slot_close(sb);
	p->figures.released_n++;
	if (sb->release_ns)
		sketch_add(&p->figures.release, clock_ns(CLOCK_MONOTONIC) - sb->release_ns);
	pool_emit(sb, SANDBOX_EV_GONE, by_itself);
	sm_move(&sb->sm, sb, SANDBOX_EMPTY);
	pool_slot_clear(p, sb);
}

void pool_slot_kill(struct pool *p, struct sandbox *sb)
{
	/* pid 1's death takes the whole namespace along, frozen members too with the v2 freezer. */
	(void)syscall(SYS_pidfd_send_signal, sb->init_pidfd, SIGKILL, NULL,
		      0); /* dead: its event comes */
	/* Else none dies before it is thawed, and none may run before it is to die: it could take
	 * a connection along. */
	if (p->o.cgroup && cgroup_can(p->o.cgroup, CGROUP_FREEZE) == CGROUP_V1)
		(void)cgroup_group_kill(p->o.cgroup, sb->group); /* gone: as wanted */
}

void pool_slot_release(struct pool *p, struct sandbox *sb, bool asked)
{
	if (sb->sm.state == SANDBOX_EMPTY || sb->sm.state == SANDBOX_RELEASING)
		return;
	if (sb->sm.state == SANDBOX_PARKED)
		pool_unpark(p, sb);
	if (sb->sm.state == SANDBOX_FILLING && sb->background) {
		p->refilling_n[sb->net]--;
		sb->background = false;
	}
	sb->disowned = asked;
	sb->release_ns = clock_ns(CLOCK_MONOTONIC);
	sm_move(&sb->sm, sb, SANDBOX_RELEASING);
	sb->pending = sandbox_wire_free(sb->pending);
	if (sb->init_pidfd >= 0 && !sb->init_gone)
		pool_slot_kill(p, sb);
}
