// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * waker.c - one epoll set, one lock, one bit a slot.
 *
 * A socket is in the set (EPOLLONESHOT) as long as it is armed and nobody stopped or at rest is behind
 * it; the lock makes arming, thawing and noting one step, so that a slot which the loop has disarmed is
 * never thawed after that. The lock is free on the hot path: the loop holds it for two system calls,
 * when it changes a state.
 *
 * Sockets of who is stopped, rests or runs are in no set: whoever watches a socket is told of each connection
 * by the client itself, in its connect().
 */
#include "sys/waker.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <poll.h>
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
#define SLOT_KICK (UINT32_MAX - 1)
enum { LATE_MS = 1, REST_MS = 10000 };

struct slot {
	bool armed, noted, stopped;
	bool looked_at; /* of a stopped one: by us too, for it cannot accept */
	bool watched;	/* its sockets are in the set */
	int fds[WAKER_SOCKET_MAX];
	size_t fd_n;
	int freeze_fd, pidfd; /* the latter of a stopped one */
	struct waker_note note;
};

struct waker {
	const struct cgroup_host *cgroup;
	struct slot *slots;
	struct resume *resume; /* NULL: none is ever stopped, and none rests */
	uint32_t slot_max, next, stopped_n, look_n;
	int epoll, event, stop, kick;
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
};

static void count_out(struct waker *w, struct slot *s)
{
	w->stopped_n -= s->stopped;
	w->look_n -= s->looked_at;
	s->stopped = s->looked_at = false;
}

static void note(struct waker *w, uint32_t id, uint64_t seen_ns, uint64_t thawed_ns)
{
	struct slot *s = &w->slots[id];

	s->armed = false;
	s->noted = true;
	count_out(w, s);
	s->note = (struct waker_note){.slot = id, .seen_ns = seen_ns, .thawed_ns = thawed_ns};
}

/* True when the loop must be told at once: something has to be started. */
static bool wake(struct waker *w, uint32_t id, uint64_t seen_ns, bool *late)
{
	struct slot *s = &w->slots[id];
	bool noted = false, thawed = false;

	(void)pthread_mutex_lock(&w->lock);
	if (s->armed && !s->stopped) {
		noted = true;
		thawed = s->freeze_fd >= 0 &&
			 cgroup_freeze_write(w->cgroup, s->freeze_fd, false) == 0;
		note(w, id, seen_ns, thawed ? clock_ns(CLOCK_MONOTONIC) : 0);
	}
	(void)pthread_mutex_unlock(&w->lock);
	*late |= noted && thawed;
	return noted && !thawed;
}

static bool has_waiting(const struct slot *s)
{
	struct pollfd p[WAKER_SOCKET_MAX];

	for (size_t i = 0; i < s->fd_n; i++)
		p[i] = (struct pollfd){.fd = s->fds[i], .events = POLLIN};
	return poll(p, s->fd_n, 0) > 0;
}

/* Of all that are looked at, with few calls. */
static bool any_waiting(const struct waker *w)
{
	struct pollfd p[8 * WAKER_SOCKET_MAX];
	nfds_t n = 0;

	for (uint32_t i = 0; i < w->slot_max; i++) {
		const struct slot *s = &w->slots[i];

		for (size_t k = 0; s->looked_at && k < s->fd_n; k++)
			p[n++] = (struct pollfd){.fd = s->fds[k], .events = POLLIN};
		if (n <= ARRAY_SIZE(p) - WAKER_SOCKET_MAX && i + 1 < w->slot_max)
			continue;
		if (n && poll(p, n, 0) > 0)
			return true;
		n = 0;
	}
	return false;
}

/* A stopped service somebody connects to, found by us. Under the lock. */
static void resume_one(struct waker *w, uint32_t id)
{
	struct slot *s = &w->slots[id];
	uint64_t seen = clock_ns(CLOCK_MONOTONIC), done;

	(void)resume_disarm(w->resume, id);
	/* Gone: its end is told elsewhere. Once more if it runs already: that is no signal at all. */
	(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGCONT, NULL, 0);
	done = clock_ns(CLOCK_MONOTONIC);
	note(w, id, seen, done);
}

/* What the kernel has resumed, or seen called. True: it has. Under the lock. */
static bool take_fired(struct waker *w, uint32_t id)
{
	struct slot *s = &w->slots[id];
	uint64_t seen, done;

	if (!s->armed || !s->stopped || !resume_fired(w->resume, id, &seen, &done))
		return false;
	if (s->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGCONT, NULL, 0);
	note(w, id, seen, done);
	return true;
}

/* Of the stopped ones: what the kernel's side has resumed, and what it has missed. True: something. */
static bool look_stopped(struct waker *w)
{
	bool any = false, waits;

	(void)pthread_mutex_lock(&w->lock);
	waits = any_waiting(w);
	for (uint32_t i = 0; i < w->slot_max && w->look_n; i++) {
		struct slot *s = &w->slots[i];

		if (!s->looked_at)
			continue;
		if (take_fired(w, i)) {
			any = true;
		} else if (waits && has_waiting(s)) {
			resume_one(w, i);
			any = true;
		}
	}
	(void)pthread_mutex_unlock(&w->lock);
	return any;
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

/* Has the time come to look at the stopped ones? */
static bool look_due(struct waker *w, uint64_t now_ns, uint64_t *looked_ns)
{
	if (!__atomic_load_n(&w->look_n, __ATOMIC_RELAXED) ||
	    now_ns - *looked_ns < WAKER_LOOK_MS * 1000000ull)
		return false;
	*looked_ns = now_ns;
	return true;
}

/* How long to sleep: nothing stopped any more for a while, and the programs rest. */
static int sleep_ms(struct waker *w)
{
	int ms = -1;

	(void)pthread_mutex_lock(&w->lock);
	if (w->look_n)
		ms = WAKER_LOOK_MS;
	else if (w->resume && !resume_rests(w->resume))
		ms = REST_MS;
	(void)pthread_mutex_unlock(&w->lock);
	return ms;
}

static void rest(struct waker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	if (w->resume && !w->stopped_n)
		resume_rest(w->resume);
	(void)pthread_mutex_unlock(&w->lock);
}

/* What was thawed is told of LATE_MS later: the loop's own work would compete with the service for
 * a processor just while somebody waits for the answer. */
static void *run(void *arg)
{
	struct waker *w = arg;
	struct epoll_event events[16];
	bool late = false;
	uint64_t looked = 0, count;

	(void)prctl(PR_SET_NAME, "forewarm-wake", 0, 0, 0);
	go_first();
	for (;;) {
		int ms = late ? LATE_MS : sleep_ms(w);
		int n = epoll_wait(w->epoll, events, 16, ms);
		uint64_t seen = clock_ns(CLOCK_MONOTONIC);
		bool tell = late && n == 0;

		if (n == 0 && ms == REST_MS)
			rest(w);
		late &= n != 0;
		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == SLOT_STOP)
				return NULL;
			if (events[i].data.u32 == SLOT_KICK)
				(void)read(w->kick, &count, sizeof(count)); /* for the timeout */
			else
				tell |= wake(w, events[i].data.u32, seen, &late);
		}
		if (look_due(w, seen, &looked))
			tell |= look_stopped(w);
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
	struct epoll_event kick = {.events = EPOLLIN, .data.u32 = SLOT_KICK};
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
	w->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)resume_open(slot_max, &w->resume); /* not offered here: then all are frozen */
	if (!w->slots || w->epoll < 0 || w->event < 0 || w->stop < 0 || w->kick < 0 ||
	    epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->stop, &stop) < 0 ||
	    epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->kick, &kick) < 0) {
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
	w->resume = resume_close(w->resume);
	closep(&w->epoll);
	closep(&w->event);
	closep(&w->stop);
	closep(&w->kick);
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
		uint32_t id = (w->next + i) % w->slot_max;
		struct slot *s = &w->slots[id];

		if (!s->noted && !take_fired(w, id))
			continue;
		s->noted = false;
		*ret = s->note;
		w->next = ret->slot + 1;
		found = true;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return found;
}

bool waker_stops(const struct waker *w)
{
	return w->resume && resume_stops(w->resume);
}

bool waker_rests(const struct waker *w)
{
	return w->resume != NULL;
}

/* Into the set, under the lock. */
static int watch(struct waker *w, uint32_t slot)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = slot};
	struct slot *s = &w->slots[slot];

	s->watched = true;
	for (size_t i = 0; i < s->fd_n; i++)
		if (epoll_ctl(w->epoll, EPOLL_CTL_MOD, s->fds[i], &ev) < 0 &&
		    (errno != ENOENT || epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->fds[i], &ev) < 0))
			return fault_errno();
	return 0;
}

static void unwatch(struct waker *w, uint32_t slot)
{
	struct slot *s = &w->slots[slot];

	for (size_t i = 0; s->watched && i < s->fd_n; i++)
		(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->fds[i], NULL); /* closed: out already */
	s->watched = false;
}

/* Whatever it was armed for before, is over. */
static void arm(struct waker *w, uint32_t slot, const int *fds, size_t fd_n)
{
	struct slot *s = &w->slots[slot];

	if (s->armed && s->stopped)
		(void)resume_disarm(w->resume, slot);
	count_out(w, s);
	s->armed = true;
	s->noted = false;
	s->fd_n = fd_n;
	memcpy(s->fds, fds, fd_n * sizeof(*fds));
}

int waker_arm(struct waker *w, uint32_t slot, const int *fds, size_t fd_n, int freeze_fd)
{
	int r;

	if (fd_n > WAKER_SOCKET_MAX)
		return fault(-EINVAL);
	(void)pthread_mutex_lock(&w->lock);
	arm(w, slot, fds, fd_n);
	w->slots[slot].freeze_fd = freeze_fd;
	r = watch(w, slot);
	(void)pthread_mutex_unlock(&w->lock);
	return r;
}

/* Who came before it was armed is found at once, and who came while the kernel was not yet told. */
int waker_arm_stopped(struct waker *w, uint32_t slot, const int *fds, size_t fd_n,
		      const struct resume_target *t)
{
	const uint64_t one = 1;
	struct slot *s = &w->slots[slot];
	bool waits, first;
	int r;

	if (fd_n > WAKER_SOCKET_MAX || !w->resume)
		return fault(-EINVAL);
	(void)pthread_mutex_lock(&w->lock);
	unwatch(w, slot);
	arm(w, slot, fds, fd_n);
	s->stopped = true;
	s->pidfd = t->pidfd;
	s->looked_at = !t->rests;
	first = w->stopped_n++ == 0;
	w->look_n += s->looked_at;
	first |= s->looked_at && w->look_n == 1;
	r = resume_arm(w->resume, slot, fds, fd_n, t);
	waits = r || has_waiting(s);
	if (waits)
		resume_one(w, slot);
	(void)pthread_mutex_unlock(&w->lock);
	if (waits)
		tell_loop(w);
	else if (first)
		(void)write(w->kick, &one, sizeof(one)); /* full: it is readable anyway */
	return r;
}

bool waker_disarm(struct waker *w, uint32_t slot)
{
	struct slot *s = &w->slots[slot];
	bool noted;

	(void)pthread_mutex_lock(&w->lock);
	noted = s->noted;
	unwatch(w, slot);
	if (s->armed && s->stopped)
		noted |= !resume_disarm(w->resume, slot);
	count_out(w, s);
	s->armed = s->noted = false;
	s->freeze_fd = -1;
	(void)pthread_mutex_unlock(&w->lock);
	return noted;
}
