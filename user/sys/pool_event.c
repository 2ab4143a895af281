// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pool_event.c - what the filler and the inits of the sandboxes say, and when they end.
 */
#include "sys/pool_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

enum {
	EVENTS_A_DISPATCH = 64,
	FILLER_AGAIN_NS = 100000000, /* one that could not be started */
};

int pool_watch(struct pool *p, int fd, uint32_t what, uint32_t slot)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)what << 32 | slot};

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? fault_errno() : 0;
}

static void on_parked(struct pool *p, struct sandbox *sb)
{
	struct pool_figures *f = &p->figures;
	uint64_t took;

	sb->times.filled_ns = clock_ns(CLOCK_MONOTONIC);
	took = sb->times.filled_ns - sb->asked_ns;
	f->fill_ns_mean = f->fill_ns_mean ? (f->fill_ns_mean * 15 + took) / 16 : took;
	f->filled_n++;
	p->backoff_ns = 0;
	if (sb->background) {
		p->refilling_n[sb->net]--;
		sb->background = false;
	}
	sm_move(&sb->sm, sb, SANDBOX_PARKED);
	if (sb->sent) {
		sm_move(&sb->sm, sb, SANDBOX_STARTING);
	} else {
		p->parked[sb->net][p->parked_n[sb->net]++] = sb->slot;
	}
}

static void on_failed(struct pool *p, struct sandbox *sb, const struct box_msg *m, bool no_init)
{
	int err = m->arg < 0 ? m->arg : -EIO;

	(void)fault_at(err, "box", 0, m->where);
	if (sb->sm.state == SANDBOX_FILLING) {
		p->figures.failed_n++;
		pool_refill_later(p);
	}
	if (sb->sm.state == SANDBOX_FILLING || sb->sm.state == SANDBOX_STARTING) {
		pool_emit(sb, SANDBOX_EV_FAILED, err);
		pool_slot_release(p, sb, true);
	}
	if (no_init && sb->sm.state == SANDBOX_RELEASING)
		pool_slot_gone(p, sb);
}

static void on_filled(struct pool *p, struct sandbox *sb, uint32_t id, int *fds)
{
	sb->id = id;
	snprintf(sb->group, sizeof(sb->group), "sb-%u", id);
	sb->ctl = TAKE_FD(fds[0]);
	sb->init_pidfd = TAKE_FD(fds[1]);
	if (pool_watch(p, sb->init_pidfd, ON_INIT, sb->slot) < 0 ||
	    pool_watch(p, sb->ctl, ON_CTL, sb->slot) < 0)
		pool_slot_release(p, sb, false);
	if (sb->sm.state == SANDBOX_RELEASING) { /* released while it was being filled */
		pool_slot_kill(p, sb);
	} else if (sb->pending) {
		pool_emit(sb, SANDBOX_EV_HANDED, 0);
		pool_send_pending(p, sb);
	}
}

static struct sandbox *slot_asked(struct pool *p, uint32_t request)
{
	struct sandbox *sb = &p->slots[request % p->o.sandbox_max];

	return sb->sm.state != SANDBOX_EMPTY && sb->request == request ? sb : NULL;
}

static void filler_message(struct pool *p, const struct box_msg *m, int *fds, size_t fd_n)
{
	struct sandbox *sb = m->kind == BOX_REMOVED ? pool_slot_of(p, m->id) : slot_asked(p, m->id);

	if (sb && m->kind == BOX_FILLED && fd_n == 2 && sb->init_pidfd < 0)
		on_filled(p, sb, m->serial, fds);
	else if (sb && m->kind == BOX_REMOVED && sb->sm.state == SANDBOX_RELEASING)
		pool_slot_gone(p, sb);
	else if (sb && m->kind == BOX_FAILED)
		on_failed(p, sb, m, true);
}

/* The filler died: what is filled lives on, what was being filled or removed is asked for again. */
static void filler_lost(struct pool *p)
{
	pool_filler_stop(p);
	p->figures.filler_restart_n++;
	if (pool_filler_start(p) < 0) {
		pool_filler_stop(p);
		pool_timer_at(p, clock_ns(CLOCK_MONOTONIC) + FILLER_AGAIN_NS);
		return;
	}
	for (uint32_t i = 0; i < p->o.sandbox_max; i++) {
		struct sandbox *sb = &p->slots[i];

		if (sb->sm.state == SANDBOX_FILLING && sb->init_pidfd < 0) {
			struct box_msg m = {
				.kind = BOX_FAILED, .arg = -EPIPE, .where = "filler died"};

			on_failed(p, sb, &m, true);
		} else if (sb->sm.state == SANDBOX_RELEASING && sb->released) {
			pool_slot_remove(p, sb);
		}
	}
}

static void on_filler(struct pool *p)
{
	struct box_msg m;
	int fds[BOX_FD_MAX];
	size_t fd_n;

	for (int i = 0; i < EVENTS_A_DISPATCH; i++) {
		ssize_t n = pool_recv(p->filler, &m, sizeof(m), fds, &fd_n);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			filler_lost(p);
			return;
		}
		if (n == sizeof(m))
			filler_message(p, &m, fds, fd_n);
		for (size_t k = 0; k < fd_n; k++)
			if (fds[k] >= 0)
				(void)close(fds[k]);
	}
}

static void on_upper(struct sandbox *sb, const struct box_upper *u, int *fds, size_t fd_n)
{
	for (size_t i = 0; i < sb->upper_n; i++)
		(void)close(sb->uppers[i].fd);
	sb->upper_n = 0;
	for (size_t i = 0; i < fd_n && i < SANDBOX_UPPER_MAX; i++) {
		sb->uppers[i].fd = TAKE_FD(fds[i]);
		snprintf(sb->uppers[i].at, sizeof(sb->uppers[i].at), "%.*s", BOX_PATH_LEN - 1,
			 u->at[i]);
		sb->upper_n++;
	}
	pool_emit(sb, SANDBOX_EV_UPPER, (int)sb->upper_n);
}

/* A wait status: shells and we end with 127 for want of a command. */
enum { NOT_EXECUTED = 127 << 8 };

static void ctl_message(struct pool *p, struct sandbox *sb, const struct box_upper *u, size_t len,
			int *fds, size_t fd_n)
{
	const struct box_msg *m = &u->msg;

	if (sb->sm.state == SANDBOX_RELEASING)
		return;
	if (m->kind == BOX_PARKED && sb->sm.state == SANDBOX_FILLING) {
		on_parked(p, sb);
	} else if (m->kind == BOX_FAILED &&
		   (sb->sm.state == SANDBOX_FILLING || sb->sm.state == SANDBOX_STARTING)) {
		on_failed(p, sb, m, false); /* its id is that of the sandbox: no command ran yet */
	} else if (m->kind == BOX_STARTED && sb->sm.state == SANDBOX_STARTING && fd_n == 1) {
		sb->command_pidfd = TAKE_FD(fds[0]);
		sb->times.started_ns = clock_ns(CLOCK_MONOTONIC);
		sketch_add(sb->times.parked ? &p->figures.exec_parked : &p->figures.exec_fresh,
			   sb->times.started_ns - sb->times.taken_ns);
		sm_move(&sb->sm, sb, SANDBOX_READY);
		pool_emit(sb, SANDBOX_EV_STARTED, m->arg);
	} else if (m->kind == BOX_STARTED && m->id == SANDBOX_WIRE_COMMAND && sb->next &&
		   fd_n == 1) {
		closep(&sb->command_pidfd);
		sb->command_pidfd = TAKE_FD(fds[0]);
		sb->next = false;
		pool_emit(sb, SANDBOX_EV_STARTED, m->arg);
	} else if (m->kind == BOX_FAILED && m->id == SANDBOX_WIRE_COMMAND && sb->next) {
		(void)fault_at(m->arg < 0 ? m->arg : -EIO, "box", 0, m->where);
		sb->next = false;
		sb->exited = true;
		pool_emit(sb, SANDBOX_EV_EXITED, NOT_EXECUTED);
	} else if (m->id == SANDBOX_WIRE_SIDE && (m->kind == BOX_EXITED || m->kind == BOX_FAILED)) {
		pool_emit(sb, SANDBOX_EV_SIDE,
			  m->kind == BOX_FAILED && m->arg >= 0 ? -EIO : m->arg);
	} else if (m->kind == BOX_EXITED && !sb->exited) {
		sb->exited = true;
		sb->times.exited_ns = clock_ns(CLOCK_MONOTONIC);
		sb->times.cpu_ns = m->cpu_ns;
		sb->times.maxrss_bytes = m->maxrss_bytes;
		pool_emit(sb, SANDBOX_EV_EXITED, m->arg);
	} else if (m->kind == BOX_UPPER && len == sizeof(*u)) {
		on_upper(sb, u, fds, fd_n);
	} else if (m->kind == BOX_FAILED) {
		on_failed(p, sb, m, false);
	}
}

static void on_ctl(struct pool *p, struct sandbox *sb)
{
	struct box_upper u;
	int fds[BOX_FD_MAX];
	size_t fd_n;

	while (sb->ctl >= 0) {
		ssize_t n = pool_recv(sb->ctl, &u, sizeof(u), fds, &fd_n);

		if (n == -EAGAIN)
			return;
		if (n <= 0) { /* the init is on its way out; its pidfd tells when all are */
			(void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, sb->ctl, NULL);
			return;
		}
		if (n >= (ssize_t)sizeof(u.msg))
			ctl_message(p, sb, &u, (size_t)n, fds, fd_n);
		for (size_t k = 0; k < fd_n; k++)
			if (fds[k] >= 0)
				(void)close(fds[k]);
	}
}

static void on_init_gone(struct pool *p, struct sandbox *sb)
{
	uint32_t id = sb->id;

	if (sb->ctl >= 0)
		on_ctl(p, sb); /* last words: EXITED, FAILED */
	if (sb->id != id || sb->sm.state == SANDBOX_EMPTY)
		return;
	sb->init_gone = true;
	if (sb->sm.state == SANDBOX_FILLING || sb->sm.state == SANDBOX_STARTING) {
		struct box_msg m = {.arg = -ECHILD, .where = "init died"};

		on_failed(p, sb, &m, false);
	}
	if (sb->sm.state != SANDBOX_RELEASING)
		pool_slot_release(p, sb, false);
	pool_slot_remove(p, sb);
}

/* Of those that were adopted without their command: killed before it had done what follows an end, the pool
 * before this one may have read of it. */
static void tell_ended(struct pool *p)
{
	for (uint32_t i = 0; i < p->o.sandbox_max && p->any_ended; i++) {
		struct sandbox *sb = &p->slots[i];

		if (!sb->ended)
			continue;
		sb->ended = false;
		if (sb->ctl >= 0)
			on_ctl(p, sb); /* or it is still to be read, with its status */
		if (sb->sm.state == SANDBOX_EMPTY || sb->sm.state == SANDBOX_RELEASING ||
		    sb->exited)
			continue;
		sb->exited = true;
		pool_emit(sb, SANDBOX_EV_EXITED, 0);
	}
	p->any_ended = false;
}

static void unsent_retry(struct pool *p)
{
	if (p->filler < 0 && !p->closing)
		filler_lost(p);
	for (uint32_t i = 0; i < p->o.sandbox_max && p->unsent_n && p->filler >= 0; i++) {
		struct sandbox *sb = &p->slots[i];

		if (sb->sm.state == SANDBOX_RELEASING && sb->init_pidfd < 0 && !sb->released &&
		    sb->init_gone) {
			if (pool_filler_tell(p, BOX_REMOVE, sb->id, 0) < 0)
				break;
			sb->released = true;
			p->unsent_n--;
		}
	}
	if (p->unsent_n)
		pool_timer_at(p, clock_ns(CLOCK_MONOTONIC) + POOL_RETRY_NS);
}

int pool_dispatch(struct pool *p)
{
	struct epoll_event evs[EVENTS_A_DISPATCH];
	int n = epoll_wait(p->epoll, evs, EVENTS_A_DISPATCH, 0);

	if (n < 0)
		return errno == EINTR ? 0 : fault_errno();
	for (int i = 0; i < n; i++) {
		uint32_t what = (uint32_t)(evs[i].data.u64 >> 32), slot = (uint32_t)evs[i].data.u64;
		uint64_t ticks;

		if (what == ON_FILLER) {
			on_filler(p);
		} else if (what == ON_TIMER) {
			p->timer_ns = 0;
			(void)!read(p->timer, &ticks, sizeof(ticks)); /* only to make it quiet */
		} else if (what == ON_CTL && p->slots[slot].ctl >= 0) {
			on_ctl(p, &p->slots[slot]);
		} else if (what == ON_INIT && p->slots[slot].init_pidfd >= 0) {
			on_init_gone(p, &p->slots[slot]);
		}
	}
	tell_ended(p);
	unsent_retry(p);
	pool_refill(p);
	return 0;
}

int pool_fd(const struct pool *p)
{
	return p->epoll;
}

int pool_wait(struct pool *p, int timeout_ms)
{
	struct pollfd pf = {.fd = p->epoll, .events = POLLIN};
	int r = poll(&pf, 1, timeout_ms);

	if (r < 0 && errno != EINTR)
		return fault_errno();
	return pool_dispatch(p);
}
