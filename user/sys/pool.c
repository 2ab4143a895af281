// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pool.c - the table of sandboxes, the filler's messages, and the refill within its budget.
 *
 * A request for a fill is numbered slot + sandbox_max * generation; the filler answers with the
 * sandbox's own number, which names its control groups and is never used again. Everything that
 * takes time happens in the filler or in the new init; the pool sends and receives small messages
 * and never waits for an answer.
 */
#include "sys/pool_impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

enum {
	REFILL_INFLIGHT_MAX = 4,    /* two cores' worth of work in the background, twice */
	STUBS = 2,		    /* half-made, for when nothing is parked: see box/filler.c */
	RETRY_NS = 1000000,	    /* of a message the filler's socket had no room for */
	BACKOFF_NS_MIN = 100000000, /* after a fill that failed, doubling */
	STUB_GAP_NS = 1000000,	    /* a request that comes is first */
	EVENTS_A_DISPATCH = 64,
};
#define BACKOFF_NS_MAX 5000000000ull
#define FILL_NS_GUESS 1500000 /* until the first has been measured */
/* What was handed out starts first: a fill at the same time takes a core from it, and doubled the
 * time of a short command on two. While half of the parked ones are left there is time. */
#define AFTER_HAND_OUT_NS 4000000

/* --- slots --------------------------------------------------------------------------------------- */
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

static struct sandbox *slot_asked(struct pool *p, uint32_t request)
{
	struct sandbox *sb = &p->slots[request % p->o.sandbox_max];

	return sb->sm.state != SANDBOX_EMPTY && sb->request == request ? sb : NULL;
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

static void emit(struct sandbox *sb, enum sandbox_event ev, int arg)
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

/* No process is left: the groups go, then the slot is free. */
static void slot_remove(struct pool *p, struct sandbox *sb)
{
	int err;

	pool_slot_close(sb);
	err = pool_filler_tell(p, BOX_REMOVE, sb->id, 0);
	sb->released = err == 0;
	if (err)
		p->unsent_n++;
}

static void slot_gone(struct pool *p, struct sandbox *sb)
{
	bool by_itself = !sb->disowned;

	pool_slot_close(sb);
	p->figures.released_n++;
	if (sb->release_ns)
		sketch_add(&p->figures.release, clock_ns(CLOCK_MONOTONIC) - sb->release_ns);
	emit(sb, SANDBOX_EV_GONE, by_itself);
	sm_move(&sb->sm, sb, SANDBOX_EMPTY);
	pool_slot_clear(p, sb);
}

static void slot_kill(struct pool *p, struct sandbox *sb)
{
	/* pid 1's death takes the whole namespace along, frozen members too with the v2 freezer. */
	(void)syscall(SYS_pidfd_send_signal, sb->init_pidfd, SIGKILL, NULL,
		      0); /* dead: its event comes */
	/* Else none dies before it is thawed, and none may run before it is to die: it could take
	 * a connection along. */
	if (p->o.cgroup && cgroup_can(p->o.cgroup, CGROUP_FREEZE) == CGROUP_V1)
		(void)cgroup_group_kill(p->o.cgroup, sb->group); /* gone: as wanted */
}

static void slot_release(struct pool *p, struct sandbox *sb, bool asked)
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
		slot_kill(p, sb);
}

void pool_release(struct pool *p, struct sandbox *sb)
{
	slot_release(p, sb, true);
}

/* --- filling -------------------------------------------------------------------------------------- */
static int fill_begin(struct pool *p, enum sandbox_net net, struct sandbox **ret)
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

static void timer_at(struct pool *p, uint64_t at_ns)
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

/* In the background: a few at a time, and each fill's cost is paid for by waiting. */
static void refill(struct pool *p)
{
	uint64_t cost = p->figures.fill_ns_mean ? p->figures.fill_ns_mean : FILL_NS_GUESS;

	for (int net = 0; net < SANDBOX_NET_MAX && !p->figures.paused; net++)
		while (refill_wanted(p, net)) {
			uint64_t now = clock_ns(CLOCK_MONOTONIC);
			struct sandbox *sb;

			if (p->refilling_n[0] + p->refilling_n[1] >= REFILL_INFLIGHT_MAX)
				return;
			if (refill_can_wait(p, net, now)) {
				timer_at(p, p->handed_ns + AFTER_HAND_OUT_NS);
				break;
			}
			if (now < p->next_fill_ns) {
				p->figures.budget_wait_n++;
				timer_at(p, p->next_fill_ns);
				return;
			}
			if (fill_begin(p, (enum sandbox_net)net, &sb))
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
		timer_at(p, at);
		return;
	}
	if (pool_filler_tell(p, BOX_STUB, 0, 0) < 0) {
		timer_at(p, now + RETRY_NS);
		return;
	}
	p->stub_wanted_n--;
	if (p->o.refill_permille)
		p->next_fill_ns = now + cost * 1000 / p->o.refill_permille;
	if (p->stub_wanted_n)
		timer_at(p, now + STUB_GAP_NS);
}

/* Its init reads the command when it is ready for one: to a sandbox that is still being made it is
 * sent ahead. */
static void send_pending(struct pool *p, struct sandbox *sb)
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
		emit(sb, SANDBOX_EV_FAILED, err < 0 ? err : -EIO);
		slot_release(p, sb, true);
	}
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
		p->backoff_ns = p->backoff_ns ? p->backoff_ns * 2 : BACKOFF_NS_MIN;
		if (p->backoff_ns > BACKOFF_NS_MAX)
			p->backoff_ns = BACKOFF_NS_MAX;
		p->next_fill_ns = clock_ns(CLOCK_MONOTONIC) + p->backoff_ns;
	}
	if (sb->sm.state == SANDBOX_FILLING || sb->sm.state == SANDBOX_STARTING) {
		emit(sb, SANDBOX_EV_FAILED, err);
		slot_release(p, sb, true);
	}
	if (no_init && sb->sm.state == SANDBOX_RELEASING)
		slot_gone(p, sb);
}

/* --- messages -------------------------------------------------------------------------------------- */
int pool_watch(struct pool *p, int fd, uint32_t what, uint32_t slot)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)what << 32 | slot};

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? fault_errno() : 0;
}

static void on_filled(struct pool *p, struct sandbox *sb, uint32_t id, int *fds)
{
	sb->id = id;
	snprintf(sb->group, sizeof(sb->group), "sb-%u", id);
	sb->ctl = TAKE_FD(fds[0]);
	sb->init_pidfd = TAKE_FD(fds[1]);
	if (pool_watch(p, sb->init_pidfd, ON_INIT, sb->slot) < 0 ||
	    pool_watch(p, sb->ctl, ON_CTL, sb->slot) < 0)
		slot_release(p, sb, false);
	if (sb->sm.state == SANDBOX_RELEASING) { /* released while it was being filled */
		slot_kill(p, sb);
	} else if (sb->pending) {
		emit(sb, SANDBOX_EV_HANDED, 0);
		send_pending(p, sb);
	}
}

static void filler_message(struct pool *p, const struct box_msg *m, int *fds, size_t fd_n)
{
	struct sandbox *sb = m->kind == BOX_REMOVED ? pool_slot_of(p, m->id) : slot_asked(p, m->id);

	if (sb && m->kind == BOX_FILLED && fd_n == 2 && sb->init_pidfd < 0)
		on_filled(p, sb, m->serial, fds);
	else if (sb && m->kind == BOX_REMOVED && sb->sm.state == SANDBOX_RELEASING)
		slot_gone(p, sb);
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
		timer_at(p, clock_ns(CLOCK_MONOTONIC) + BACKOFF_NS_MIN);
		return;
	}
	for (uint32_t i = 0; i < p->o.sandbox_max; i++) {
		struct sandbox *sb = &p->slots[i];

		if (sb->sm.state == SANDBOX_FILLING && sb->init_pidfd < 0) {
			struct box_msg m = {
				.kind = BOX_FAILED, .arg = -EPIPE, .where = "filler died"};

			on_failed(p, sb, &m, true);
		} else if (sb->sm.state == SANDBOX_RELEASING && sb->released) {
			slot_remove(p, sb);
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
	emit(sb, SANDBOX_EV_UPPER, (int)sb->upper_n);
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
	} else if (m->kind == BOX_STARTED && sb->sm.state == SANDBOX_STARTING && fd_n == 1) {
		sb->command_pidfd = TAKE_FD(fds[0]);
		sb->times.started_ns = clock_ns(CLOCK_MONOTONIC);
		sketch_add(sb->times.parked ? &p->figures.exec_parked : &p->figures.exec_fresh,
			   sb->times.started_ns - sb->times.taken_ns);
		sm_move(&sb->sm, sb, SANDBOX_READY);
		emit(sb, SANDBOX_EV_STARTED, m->arg);
	} else if (m->kind == BOX_STARTED && m->id == SANDBOX_WIRE_COMMAND && sb->next &&
		   fd_n == 1) {
		closep(&sb->command_pidfd);
		sb->command_pidfd = TAKE_FD(fds[0]);
		sb->next = false;
		emit(sb, SANDBOX_EV_STARTED, m->arg);
	} else if (m->kind == BOX_FAILED && m->id == SANDBOX_WIRE_COMMAND && sb->next) {
		(void)fault_at(m->arg < 0 ? m->arg : -EIO, "box", 0, m->where);
		sb->next = false;
		sb->exited = true;
		emit(sb, SANDBOX_EV_EXITED, NOT_EXECUTED);
	} else if (m->id == SANDBOX_WIRE_SIDE && (m->kind == BOX_EXITED || m->kind == BOX_FAILED)) {
		emit(sb, SANDBOX_EV_SIDE, m->kind == BOX_FAILED && m->arg >= 0 ? -EIO : m->arg);
	} else if (m->kind == BOX_EXITED && !sb->exited) {
		sb->exited = true;
		sb->times.exited_ns = clock_ns(CLOCK_MONOTONIC);
		sb->times.cpu_ns = m->cpu_ns;
		sb->times.maxrss_bytes = m->maxrss_bytes;
		emit(sb, SANDBOX_EV_EXITED, m->arg);
	} else if (m->kind == BOX_UPPER && len == sizeof(*u)) {
		on_upper(sb, u, fds, fd_n);
	} else if (m->kind == BOX_FAILED && m->id /* 0: of sandbox_exec_more() */) {
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
	uint32_t moves = sb->sm.moves_n, id = sb->id;

	if (sb->ctl >= 0)
		on_ctl(p, sb); /* last words: EXITED, FAILED */
	if (sb->id != id || sb->sm.state == SANDBOX_EMPTY)
		return;
	(void)moves;
	sb->init_gone = true;
	if (sb->sm.state == SANDBOX_FILLING || sb->sm.state == SANDBOX_STARTING) {
		struct box_msg m = {.arg = -ECHILD, .where = "init died"};

		on_failed(p, sb, &m, false);
	}
	if (sb->sm.state != SANDBOX_RELEASING)
		slot_release(p, sb, false);
	slot_remove(p, sb);
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
		timer_at(p, clock_ns(CLOCK_MONOTONIC) + RETRY_NS);
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
	unsent_retry(p);
	refill(p);
	refill_stubs(p);
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

/* --- life ------------------------------------------------------------------------------------------ */
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
	refill(p);
	refill_stubs(p);
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
			slot_release(p, &p->slots[i], true);
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

/* --- hand-out --------------------------------------------------------------------------------------- */
static int take_slot(struct pool *p, enum sandbox_net net, struct sandbox **ret)
{
	int other = net == SANDBOX_NET_PRIVATE ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE, r;

	if (p->parked_n[net]) {
		*ret = &p->slots[p->parked[net][--p->parked_n[net]]];
		p->figures.from_parked_n++;
		return 0;
	}
	r = fill_begin(p, net, ret);
	if (r == POOL_FULL && p->parked_n[other]) /* its place is free a moment later */
		slot_release(p, &p->slots[p->parked[other][0]], true);
	if (!r)
		p->figures.fresh_n++;
	return r;
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
	r = sandbox_wire_new(cmd, SANDBOX_WIRE_COMMAND, true, &w);
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
		emit(sb, SANDBOX_EV_HANDED, 0);
		sb->fn = NULL; /* a failure to send is ours to return, not an event */
		send_pending(p, sb);
		sb->fn = fn;
		if (sb->sm.state != SANDBOX_STARTING) {
			sb->fn = NULL;
			return fault(-EIO);
		}
	}
	return 0;
}

void pool_pause(struct pool *p, bool paused)
{
	p->figures.paused = paused;
	if (!paused)
		timer_at(p, clock_ns(CLOCK_MONOTONIC) + 1);
}

void pool_target(struct pool *p, enum sandbox_net net, uint32_t parked)
{
	p->o.parked_target[net] = parked;
	while (p->parked_n[net] > parked)
		slot_release(p, &p->slots[p->parked[net][0]], true);
	timer_at(p, clock_ns(CLOCK_MONOTONIC) + 1);
}

void pool_drain(struct pool *p)
{
	for (int net = 0; net < SANDBOX_NET_MAX; net++)
		while (p->parked_n[net])
			slot_release(p, &p->slots[p->parked[net][0]], true);
	for (uint32_t i = 0; i < p->o.sandbox_max; i++)
		if (p->slots[i].sm.state == SANDBOX_FILLING && p->slots[i].background)
			slot_release(p, &p->slots[i], true);
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
