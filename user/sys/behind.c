// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * behind.c - the loop's thread goes, and comes back by itself; the other one only ever fetches it back.
 *
 * So it does not matter if it is fetched too late, when it is there already. Too early is while it has said
 * that it goes and has not gone yet: then it is asked for again. What arrived before it said so is found
 * all the same, as the descriptor is readable then.
 *
 * Either way the nice value changes, too: only then the kernel looks at once whose turn it is.
 */
#include "sys/behind.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/schedattr.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

enum { AT_LOOP, AT_TIMER, AT_STOP };
enum { NICE_LEAST = 19, NICE_FIRST = -19, NAP_NS = 50000 };

enum where {
	HERE,
	GOING, /* as good as gone, for who fetches it must wait for that */
	BEHIND,
};

struct behind {
	struct schedattr own; /* what the thread was when it went; under the lock */
	pthread_mutex_t lock;
	pid_t tid;
	enum where where; /* written by that thread alone */
	bool late;	  /* it was fetched because it took too long */
	uint64_t hold_ns, until_ns;
	int loop, epoll, timer, stop;
	pthread_t thread;
	int tried; /* what came of the trial */
	bool runs;
	pthread_barrier_t ready;
};

static struct schedattr attr_idle(const struct schedattr *own)
{
	struct schedattr a = *own;

	a.policy = SCHED_IDLE;
	a.nice = NICE_LEAST;
	return a;
}

/* --- the thread that fetches ----------------------------------------------------------------------- */

/* May who goes come back? It takes CAP_SYS_NICE or a limit, and nobody who tried it himself would need to know. */
static int try_out(const struct schedattr *own)
{
	const struct schedattr idle = attr_idle(own);
	int r = schedattr_set(0, &idle);

	if (r == 0)
		r = schedattr_set(0, own);
	return r == 0 ? 0 : BEHIND_REFUSED;
}

static void fetch(struct behind *b, bool late)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	enum where where;
	struct schedattr own;

	while ((where = __atomic_load_n(&b->where, __ATOMIC_SEQ_CST)) == GOING)
		(void)nanosleep(&nap, NULL);
	if (where == HERE)
		return;
	if (late)
		__atomic_store_n(&b->late, true, __ATOMIC_SEQ_CST);
	(void)pthread_mutex_lock(&b->lock);
	own = b->own;
	(void)pthread_mutex_unlock(&b->lock);
	(void)schedattr_set(b->tid, &own); /* was tried out */
}

static void *run(void *arg)
{
	struct behind *b = arg;
	struct epoll_event events[4];
	uint64_t count;

	(void)prctl(PR_SET_NAME, "forewarm-fetch", 0, 0, 0);
	b->tried = try_out(&b->own);
	/* It runs for microseconds, when somebody waits; without the right to it, like everybody. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE_FIRST);
	(void)pthread_barrier_wait(&b->ready);
	for (;;) {
		int n = epoll_wait(b->epoll, events, ARRAY_SIZE(events), -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == AT_STOP)
				return NULL;
			if (events[i].data.u32 == AT_LOOP)
				fetch(b, false);
			else if (read(b->timer, &count, sizeof(count)) > 0) /* else set again */
				fetch(b, true);
		}
	}
}

static int start_thread(struct behind *b)
{
	sigset_t all, was;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &was);
	r = -pthread_create(&b->thread, NULL, run, b);
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (r < 0)
		return fault(r);
	b->runs = true;
	(void)pthread_barrier_wait(&b->ready);
	return b->tried;
}

/* --- the thread of the loop -------------------------------------------------------------------------- */

static int watch(struct behind *b, int op, int fd, uint32_t events, uint32_t at)
{
	struct epoll_event ev = {.events = events, .data.u32 = at};

	return epoll_ctl(b->epoll, op, fd, &ev) < 0 ? fault_errno() : 0;
}

int behind_new(int loop_fd, struct behind **ret)
{
	struct behind *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return fault(-ENOMEM);
	b->tid = (pid_t)syscall(SYS_gettid);
	b->loop = loop_fd;
	(void)pthread_mutex_init(&b->lock, NULL);
	(void)pthread_barrier_init(&b->ready, NULL, 2);
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	b->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = b->epoll < 0 || b->timer < 0 || b->stop < 0 ? fault_errno() : 0;
	if (r == 0)
		r = watch(b, EPOLL_CTL_ADD, b->loop, EPOLLONESHOT, AT_LOOP);
	if (r == 0)
		r = watch(b, EPOLL_CTL_ADD, b->timer, EPOLLIN, AT_TIMER);
	if (r == 0)
		r = watch(b, EPOLL_CTL_ADD, b->stop, EPOLLIN, AT_STOP);
	if (r == 0 && schedattr_get(0, &b->own) < 0)
		r = BEHIND_REFUSED;
	if (r == 0 && b->own.policy != SCHED_OTHER)
		r = BEHIND_OWN;
	if (r == 0)
		r = start_thread(b);
	if (r != 0) {
		(void)behind_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

struct behind *behind_free(struct behind *b)
{
	const uint64_t one = 1;

	if (!b)
		return NULL;
	behind_end(b);
	if (b->runs) {
		(void)write(b->stop, &one, sizeof(one)); /* a fresh counter has room */
		(void)pthread_join(b->thread, NULL);
	}
	closep(&b->epoll);
	closep(&b->timer);
	closep(&b->stop);
	(void)pthread_barrier_destroy(&b->ready);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
	return NULL;
}

static void set_where(struct behind *b, enum where where)
{
	__atomic_store_n(&b->where, where, __ATOMIC_SEQ_CST);
}

void behind_begin(struct behind *b)
{
	const struct itimerspec late = {.it_value.tv_nsec = BEHIND_LATE_MS * 1000000};
	struct schedattr idle, own;

	if (!b || b->where != HERE || clock_ns(CLOCK_MONOTONIC) < b->until_ns ||
	    schedattr_get(0, &own) < 0 || own.policy != SCHED_OTHER)
		return;
	(void)pthread_mutex_lock(&b->lock); /* who may be about to fetch us for the last time */
	b->own = own;
	(void)pthread_mutex_unlock(&b->lock);
	idle = attr_idle(&own);
	(void)timerfd_settime(b->timer, 0, &late, NULL);
	__atomic_store_n(&b->late, false, __ATOMIC_SEQ_CST);
	set_where(b, GOING);
	if (watch(b, EPOLL_CTL_MOD, b->loop, EPOLLIN | EPOLLONESHOT, AT_LOOP) < 0 ||
	    schedattr_set(0, &idle) < 0) {
		set_where(b, HERE);
		return;
	}
	set_where(b, BEHIND);
}

void behind_end(struct behind *b)
{
	const struct itimerspec never = {0};

	if (!b || b->where == HERE)
		return;
	(void)schedattr_set(0, &b->own); /* was tried out */
	set_where(b, HERE);
	(void)watch(b, EPOLL_CTL_MOD, b->loop, EPOLLONESHOT, AT_LOOP);
	(void)timerfd_settime(b->timer, 0, &never, NULL); /* would wake the other one for nothing */
	if (!__atomic_load_n(&b->late, __ATOMIC_SEQ_CST)) {
		b->hold_ns = 0;
		return;
	}
	b->hold_ns = b->hold_ns ? b->hold_ns * 2 : BEHIND_HOLD_S * NS_PER_S;
	if (b->hold_ns > BEHIND_HOLD_MAX_S * NS_PER_S)
		b->hold_ns = BEHIND_HOLD_MAX_S * NS_PER_S;
	b->until_ns = clock_ns(CLOCK_MONOTONIC) + b->hold_ns;
}
