// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * waker.c - one epoll set, one lock, one bit a slot.
 *
 * Sockets are in the set once for all (EPOLLONESHOT) and re-armed; the lock makes arming, thawing
 * and noting one step, so that a slot which the loop has disarmed is never thawed after that. The
 * lock is free on the hot path: the loop holds it for two system calls, when it changes a state.
 */
#include "sys/waker.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOT_STOP UINT32_MAX
enum { LATE_MS = 1 };

struct slot {
	bool armed, noted;
	int fds[WAKER_SOCKET_MAX];
	size_t fd_n;
	int freeze_fd;
	struct waker_note note;
};

struct waker {
	const struct cgroup_host *cgroup;
	struct slot *slots;
	uint32_t slot_max, next;
	int epoll, event, stop;
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
};

/* True when the loop must be told at once: something has to be started. */
static bool wake(struct waker *w, uint32_t id, uint64_t seen_ns, bool *late)
{
	struct slot *s = &w->slots[id];
	bool note = false, thawed = false;

	(void)pthread_mutex_lock(&w->lock);
	if (s->armed) {
		s->armed = false;
		s->noted = note = true;
		s->note = (struct waker_note){.slot = id, .seen_ns = seen_ns};
		if (s->freeze_fd >= 0 && cgroup_freeze_write(w->cgroup, s->freeze_fd, false) == 0) {
			s->note.thawed_ns = clock_ns(CLOCK_MONOTONIC);
			thawed = true;
		}
	}
	(void)pthread_mutex_unlock(&w->lock);
	*late |= note && thawed;
	return note && !thawed;
}

static void tell_loop(const struct waker *w)
{
	const uint64_t one = 1;

	(void)write(w->event, &one, sizeof(one)); /* full: it is readable anyway */
}

/* Ahead of ordinary work: it runs for microseconds, and somebody waits for each of them; without the
 * right to it the thread stays an ordinary one. Two things that seem faster are not (virtual machine,
 * 200 ms of quiet). By a real-time policy it would wake where it last ran and not where the client is,
 * 60-80 us later. With a slice shorter than the client's it would thaw in the middle of connect(): the
 * service accepts, finds no request yet, and is woken a second time, elsewhere, 40-70 us later. */
static void go_first(void)
{
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -19);
}

/* What was thawed is told of LATE_MS later: the loop's own work would compete with the service for
 * a processor just while somebody waits for the answer. */
static void *run(void *arg)
{
	struct waker *w = arg;
	struct epoll_event events[16];
	bool late = false;

	(void)prctl(PR_SET_NAME, "forewarm-wake", 0, 0, 0);
	go_first();
	for (;;) {
		int n = epoll_wait(w->epoll, events, 16, late ? LATE_MS : -1);
		uint64_t seen = clock_ns(CLOCK_MONOTONIC);
		bool tell = n == 0;

		late &= n != 0;
		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == SLOT_STOP)
				return NULL;
			tell |= wake(w, events[i].data.u32, seen, &late);
		}
		if (tell)
			tell_loop(w);
	}
}

static int start_thread(struct waker *w)
{
	sigset_t all, was;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &was);
	r = -pthread_create(&w->thread, NULL, run, w);
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (r < 0)
		return fault(r);
	w->runs = true;
	return 0;
}

int waker_new(uint32_t slot_max, const struct cgroup_host *cgroup, struct waker **ret)
{
	struct epoll_event stop = {.events = EPOLLIN, .data.u32 = SLOT_STOP};
	struct waker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return fault(-ENOMEM);
	w->cgroup = cgroup;
	w->slot_max = slot_max;
	(void)pthread_mutex_init(&w->lock, NULL);
	w->slots = calloc(slot_max, sizeof(*w->slots));
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!w->slots || w->epoll < 0 || w->event < 0 || w->stop < 0 ||
	    epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->stop, &stop) < 0) {
		(void)waker_free(w);
		return fault(-ENOMEM);
	}
	r = start_thread(w);
	if (r < 0) {
		(void)waker_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct waker *waker_free(struct waker *w)
{
	const uint64_t one = 1;

	if (!w)
		return NULL;
	if (w->runs) {
		(void)write(w->stop, &one, sizeof(one)); /* a fresh counter has room */
		(void)pthread_join(w->thread, NULL);
	}
	closep(&w->epoll);
	closep(&w->event);
	closep(&w->stop);
	(void)pthread_mutex_destroy(&w->lock);
	free(w->slots);
	free(w);
	return NULL;
}

int waker_fd(const struct waker *w)
{
	return w->event;
}

bool waker_take(struct waker *w, struct waker_note *ret)
{
	uint64_t count;
	bool found = false;

	(void)read(w->event, &count, sizeof(count)); /* empty: look all the same */
	(void)pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i < w->slot_max && !found; i++) {
		struct slot *s = &w->slots[(w->next + i) % w->slot_max];

		if (!s->noted)
			continue;
		s->noted = false;
		*ret = s->note;
		w->next = ret->slot + 1;
		found = true;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return found;
}

int waker_arm(struct waker *w, uint32_t slot, const int *fds, size_t fd_n, int freeze_fd)
{
	struct slot *s = &w->slots[slot];
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = slot};
	int r = 0;

	if (fd_n > WAKER_SOCKET_MAX)
		return fault(-EINVAL);
	(void)pthread_mutex_lock(&w->lock);
	s->armed = true;
	s->noted = false;
	s->freeze_fd = freeze_fd;
	s->fd_n = fd_n;
	memcpy(s->fds, fds, fd_n * sizeof(*fds));
	for (size_t i = 0; i < fd_n && !r; i++)
		if (epoll_ctl(w->epoll, EPOLL_CTL_MOD, fds[i], &ev) < 0 &&
		    (errno != ENOENT || epoll_ctl(w->epoll, EPOLL_CTL_ADD, fds[i], &ev) < 0))
			r = fault_errno();
	(void)pthread_mutex_unlock(&w->lock);
	return r;
}

bool waker_disarm(struct waker *w, uint32_t slot)
{
	struct slot *s = &w->slots[slot];
	bool noted;
	struct epoll_event none = {.events = EPOLLONESHOT, /* an error is told once */
				   .data.u32 = slot};

	(void)pthread_mutex_lock(&w->lock);
	if (s->armed)
		for (size_t i = 0; i < s->fd_n; i++)
			(void)epoll_ctl(w->epoll, EPOLL_CTL_MOD, s->fds[i],
					&none); /* closed: out already */
	noted = s->noted;
	s->armed = s->noted = false;
	s->freeze_fd = -1;
	(void)pthread_mutex_unlock(&w->lock);
	return noted;
}
