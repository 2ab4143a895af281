// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture_aside.c - hooks put on and taken off by a thread of its own. In a reader that did so itself single
 * calls took 5 to 916 ms with next to no work: the kernel puts none on while it takes one off, and waits
 * there for everybody; and programs that started meanwhile had nothing read for them.
 *
 * One piece of work at a time, of hooks that nobody else touches until it is done. When they are on, capture_fd() is
 * readable; what comes off has time, and leaves room in between for what is wanted on again.
 */
#include "sys/capture_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* So long after a hook came off the kernel is done with it, and puts all on in 3 ms: a new program's first opens
 * are not to be missed for waking a thread. */
#define QUIET_NS 1000000000ull

enum { NICE_FIRST = -19 };

struct aside {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct prog *todo[PROG_MAX];
	size_t n;
	int done_fd;
	int err;	 /* the last one nobody was told of */
	uint64_t off_ns; /* when one came off */
	bool on, busy, stop;
};

static int put(struct capture *c, struct prog *const *todo, size_t n, bool on)
{
	int err = 0;

	for (size_t i = 0; i < n; i++)
		if (!on)
			capture_prog_detach(todo[i]);
		else if (capture_prog_attach(c, todo[i]) < 0)
			err = todo[i]->err;
	return err;
}

static void *run(void *arg)
{
	struct capture *c = arg;
	struct aside *a = c->aside;

	(void)prctl(PR_SET_NAME, "forewarm-hooks", 0, 0, 0);
	/* What it does takes waiting, not work; without the right to it, like everybody. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE_FIRST);
	(void)pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		int err;

		if (!a->busy) {
			(void)pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&a->lock);
		err = put(c, a->todo, a->n, a->on);
		(void)pthread_mutex_lock(&a->lock);
		a->err = err ? err : a->err;
		a->busy = false;
		if (!a->on)
			a->off_ns = clock_ns(CLOCK_MONOTONIC);
		if (a->on)
			(void)eventfd_write(a->done_fd, 1); /* full: then it is readable as well */
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

int capture_aside_start(struct capture *c)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct aside *a = calloc(1, sizeof(*a));
	sigset_t all, was;
	int r;

	if (!a)
		return fault(-ENOMEM);
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_cond_init(&a->changed, NULL);
	a->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = a->done_fd < 0 || epoll_ctl(ring_buffer__epoll_fd(c->ring), EPOLL_CTL_ADD, a->done_fd,
					&ev) < 0
		    ? fault_errno()
		    : 0;
	c->aside = a;
	if (r == 0) {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &was);
		r = -pthread_create(&a->thread, NULL, run, c);
		(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	}
	if (r == 0)
		return 0;
	c->aside = NULL;
	closep(&a->done_fd);
	free(a);
	return fault(r);
}

void capture_aside_end(struct capture *c)
{
	struct aside *a = c->aside;

	if (!a)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->stop = true;
	(void)pthread_cond_signal(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	(void)pthread_join(a->thread, NULL);
	c->aside = NULL;
	closep(&a->done_fd);
	(void)pthread_cond_destroy(&a->changed);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

bool capture_aside_busy(struct capture *c)
{
	bool busy;

	if (!c->aside)
		return false;
	(void)pthread_mutex_lock(&c->aside->lock);
	busy = c->aside->busy;
	(void)pthread_mutex_unlock(&c->aside->lock);
	return busy;
}

int capture_aside_err(struct capture *c)
{
	struct aside *a = c->aside;
	int err;

	if (!a)
		return 0;
	(void)pthread_mutex_lock(&a->lock);
	err = a->err;
	a->err = 0;
	(void)pthread_mutex_unlock(&a->lock);
	return err < 0 ? fault(err) : 0;
}

void capture_aside_seen(struct capture *c)
{
	eventfd_t n;

	if (c->aside)
		(void)eventfd_read(c->aside->done_fd, &n);
}

int capture_progs_put(struct capture *c, struct prog *const *todo, size_t n, bool on)
{
	struct aside *a = c->aside;
	int err;

	if (!a || (on && clock_ns(CLOCK_MONOTONIC) - a->off_ns > QUIET_NS)) {
		err = put(c, todo, n, on);
		return err < 0 ? fault(err) : 0;
	}
	(void)pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < n; i++)
		a->todo[i] = todo[i];
	a->n = n;
	a->on = on;
	a->busy = true;
	(void)pthread_cond_signal(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
	return CAPTURE_MORE;
}
