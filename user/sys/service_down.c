// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service_down.c - how an idle service is put down, by what is mildest, and how that is made sure of.
 *
 * What sleeps by itself is left to rest (rest.h), and so is what has nothing but a timeout, which is put off
 * (lull.h); another process that is alone is stopped (halt.h), the others are frozen with their control
 * group. All but the last are confirmed after the deed: what has run in between is looked at anew. What
 * rests goes on being looked at, and may run a little.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "sys/halt.h"
#include "sys/listen.h"
#include "sys/lull.h"
#include "sys/service_impl.h"
#include "sys/waker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { PROCESS_MAX = 32, DOWN_LOOK_MAX = 200, LULL_LOOK_MAX = 40, LULL_FAIL_MAX = 8 };

static const uint64_t rest_look_min_ns = 1000000000, rest_look_max_ns = 64000000000;
static const uint64_t restless_min_ns = 60000000000, restless_max_ns = 3600000000000;
/* What may be used while resting: some timers of many seconds, and that at all. To stop a service and
 * to resume it takes some 50 us. */
static const uint64_t rest_use_ns = 500000, rest_share = 100000;
/* A timeout that was put off and has run out all the same is put off again, unless it was too soon. */
static const uint64_t lull_min_ns = 60000000000;
static const uint64_t lull_answer_ns =
	50000000; /* within which whoever is called has begun to run */

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Its processes without the init; 0: too many, or not to be had. */
static size_t processes(struct service *v, pid_t ret[PROCESS_MAX])
{
	pid_t all[PROCESS_MAX + 1], init = sandbox_pid_of(sandbox_init_pidfd(v->box));
	size_t n = 0, kept = 0;

	if (!v->all->o.cgroup || init <= 0 ||
	    cgroup_group_pids(v->all->o.cgroup, sandbox_group(v->box), all, PROCESS_MAX + 1, &n) ||
	    n > PROCESS_MAX + 1)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (all[i] != init && kept < PROCESS_MAX)
			ret[kept++] = all[i];
	return kept + 1 == n ? kept : 0;
}

/* Of datagrams the kernel's side tells nothing. */
static bool has_datagrams(const struct service *v)
{
	for (size_t i = 0; i < v->listen_n; i++)
		if (v->addrs[i]->type == UNIT_DATAGRAM)
			return true;
	return false;
}

static bool has_ended(const struct service *v)
{
	struct pollfd p = {.fd = sandbox_pidfd(v->box), .events = POLLIN};

	return p.fd >= 0 && poll(&p, 1, 0) > 0;
}

void service_watch_end(struct service *v)
{
	if (sandbox_pidfd(v->box) >= 0) /* cannot be watched: seen when it is thawed */
		(void)services_watch(v->all, sandbox_pidfd(v->box), v->id | SERVICES_ON_END,
				     EPOLLIN | EPOLLONESHOT); /* once, for then it stays so */
}

void service_ended(struct service *v)
{
	if (!v->box || !has_ended(v) || sandbox_state(v->box) != SANDBOX_FROZEN)
		return;
	v->freezing = false;
	(void)sandbox_thaw(v->box); /* cannot: seen when somebody connects */
}

/* Its timeout is put off, and it has slept since. */
static bool is_lulled(const struct service *v)
{
	return v->lull_runs && rest_runs(v->lull_pid, v->lull_tid) == v->lull_runs;
}

/* Whatever it waits for, it begins anew. */
static void nudge(pid_t pid)
{
	(void)kill(pid, SIGSTOP); /* ended: nothing is left to be nudged */
	(void)kill(pid, SIGCONT);
}

void service_mend(struct service *v)
{
	pid_t pids[PROCESS_MAX], main = sandbox_pid_of(sandbox_pidfd(v->box));
	size_t n = processes(v, pids);

	for (size_t i = 0; i < n; i++)
		if (lull_repair(pids[i]) && !(pids[i] == main && sandbox_is_stopped(v->box)))
			nudge(pids[i]);
}

/* Who waits with a timeout is woken by whoever connects: to the service, or by its proxy to what it is the
 * proxy of. */
static bool may_lull(const struct service *v, const struct rest_wait *but)
{
	const struct unit_service *u = &v->unit->service;
	_cleanup_(closep) int inner = -1;
	struct sockaddr_storage at = {0};
	socklen_t n;

	if (v->never_lull || !halt_may(but->pid))
		return false;
	if (!u->proxy_set)
		return lull_may(but, v->listens, v->listen_n);
	if (listen_sockaddr(&u->proxy, &at, &n) < 0)
		return false;
	inner = lull_listener(but->pid, &at);
	return inner >= 0 && lull_may(but, &inner, 1);
}

static bool await_stop(pid_t pid)
{
	enum halt_look look = HALT_NOT_YET;

	(void)kill(pid, SIGSTOP); /* ended: seen there */
	for (int i = 0; i < LULL_LOOK_MAX && look == HALT_NOT_YET; i++) {
		(void)usleep(50);
		look = halt_look(pid);
	}
	return look == HALT_DONE;
}

/* It is stopped, now or already: then it goes on to where it waited, and there its timeout is late. False:
 * it does not sleep again at once, or somebody has come. The slack says to the next daemon who did it. */
static bool lull(struct service *v, bool stopped)
{
	pid_t pids[PROCESS_MAX], tid = v->lull_tid;
	struct rest_wait but = {0};
	bool slept = false;
	struct lull l;

	if (lull_put_off(tid, &l) < 0) {
		v->never_lull = true;
		return false;
	}
	stopped = stopped || await_stop(v->lull_pid);
	(void)kill(v->lull_pid, SIGCONT);
	for (int i = 0; stopped && i < LULL_LOOK_MAX && !slept; i++) {
		(void)usleep(50);
		slept = rest_look_but(pids, processes(v, pids), &v->rest, &but) && but.tid == tid;
	}
	v->lull_runs = slept ? rest_runs(v->lull_pid, tid) : 0;
	lull_end(&l);
	slept = slept && v->lull_runs && service_connections(v) == 0;
	v->lull_fail_n = slept ? 0 : v->lull_fail_n + 1;
	v->never_lull |= v->lull_fail_n >= LULL_FAIL_MAX;
	return slept;
}

/* One that nobody connects to but the proxy need not be resumed by a client. */
static int lull_inner(struct service *v)
{
	if (lull(v, false))
		return sandbox_rest(v->box);
	nudge(v->lull_pid);
	return -ENOTSUP;
}

/* Rests, or is stopped to have its timeout put off. < 0: neither. */
static int lay_down(struct service *v, pid_t main, const pid_t *pids, size_t n)
{
	const bool lulled = is_lulled(v);
	struct rest_wait but;

	if (!v->unit->service.may_rest || now_ns() < v->restless_until_ns ||
	    !rest_look_but(pids, n, &v->rest, &but))
		return -ENOTSUP;
	if (lulled && but.tid == v->lull_tid)
		return sandbox_rest(v->box);
	v->lull_runs = 0;
	if (!but.tid)
		return sandbox_rest(v->box);
	if (!may_lull(v, &but))
		return -ENOTSUP;
	v->lull_pid = but.pid;
	v->lull_tid = but.tid;
	return but.pid == main ? sandbox_stop(v->box) : lull_inner(v);
}

static int put_down(struct service *v, bool may_rest)
{
	const struct unit_service *u = &v->unit->service;
	pid_t pids[PROCESS_MAX], pid = sandbox_pid_of(sandbox_pidfd(v->box));
	size_t n = u->may_stop && waker_rests(v->all->waker) && pid > 0 && !has_datagrams(v)
			   ? processes(v, pids)
			   : 0;
	int r = -ENOTSUP;

	if (has_ended(v))
		return -ESRCH; /* its init is about to tell */
	if (n && may_rest)
		r = lay_down(v, pid, pids, n);
	if (!r)
		return 0;
	v->lull_tid = 0;
	v->lull_runs = 0;
	if (n == 1 && pids[0] == pid && waker_stops(v->all->waker) && halt_may(pid))
		r = sandbox_stop(v->box);
	if (r && v->freeze_fd >= 0)
		r = sandbox_freeze(v->box);
	return r;
}

/* Somebody has connected, and that has not woken it. */
static void rouse_lulled(struct service *v)
{
	if (!is_lulled(v) || now_ns() < v->thawed_ns + lull_answer_ns || !service_connections(v))
		return;
	v->never_lull = true;
	v->lull_runs = 0;
	nudge(v->lull_pid);
}

static void lull_or_stop(struct service *v)
{
	bool lulled = lull(v, true);

	(void)sandbox_thaw(v->box); /* it may be by now */
	if (lulled)
		(void)sandbox_rest(v->box);
	else if (put_down(v, false))
		nudge(v->lull_pid);
	service_watch(v, SVC_WATCH_LEVEL);
}

int service_put_down(struct service *v)
{
	return put_down(v, true);
}

/* Has it slept on since it was found asleep? Else it is looked at anew. */
static bool is_resting(struct service *v)
{
	pid_t pids[PROCESS_MAX];
	struct rest_mark mark;

	if (rest_mark(pids, processes(v, pids), &mark) && mark.runs == v->rest.runs) {
		v->rest_first = mark;
		v->rest_since_ns = now_ns();
		v->rest_wait_ns = rest_look_min_ns;
		v->rest_look_ns = v->rest_since_ns + v->rest_wait_ns;
		return true;
	}
	(void)sandbox_thaw(v->box); /* for the books */
	(void)put_down(v, true);    /* cannot: the core takes it back in time */
	service_watch(v, SVC_WATCH_LEVEL);
	return false;
}

/* What was stopped and should not have been, for what it did in the meantime, runs on and is frozen the
 * other way. */
static bool is_stopped(struct service *v)
{
	pid_t pids[PROCESS_MAX];

	switch (halt_look(sandbox_pid_of(sandbox_pidfd(v->box)))) {
	case HALT_NOT_YET:
		return false;
	case HALT_DONE:
		if (v->lull_tid && !v->lull_runs) {
			lull_or_stop(v);
			return false;
		}
		if (processes(v, pids) == 1)
			return true;
		break;
	case HALT_WRONG:
		break;
	}
	if (sandbox_thaw(v->box) == 0 && v->freeze_fd >= 0)
		(void)sandbox_freeze(v->box); /* cannot: the core takes it back in time */
	service_watch(v, SVC_WATCH_LEVEL);
	return false;
}

/* Frozen in the midst of its end, which on v1 it stays: the kernel freezes a thread before it lets it die. */
static bool dies(struct service *v)
{
	pid_t pids[PROCESS_MAX];
	size_t n;

	if (!v->all->o.cgroup || cgroup_can(v->all->o.cgroup, CGROUP_FREEZE) != CGROUP_V1)
		return false;
	if (halt_dies(sandbox_pid_of(sandbox_pidfd(v->box))))
		return true;
	n = processes(v, pids);
	for (size_t i = 0; i < n; i++)
		if (halt_dies(pids[i]))
			return true;
	return false;
}

static bool is_frozen(struct service *v)
{
	bool frozen = false;

	if (sandbox_state(v->box) != SANDBOX_FROZEN) { /* it was let go, to die */
		if (!has_ended(v) && !dies(v))
			(void)sandbox_freeze(v->box); /* cannot: the core takes it back in time */
		return false;
	}
	if (sandbox_is_frozen(v->box, &frozen) < 0 || !frozen)
		return false;
	if (!dies(v))
		return true;
	(void)sandbox_thaw(v->box); /* cannot: the core takes it back in time */
	return false;
}

bool service_is_down(struct service *v)
{
	if (sandbox_is_resting(v->box))
		return is_resting(v);
	if (sandbox_is_stopped(v->box))
		return is_stopped(v);
	return is_frozen(v);
}

bool service_pin(struct service *v)
{
	bool down = false;

	(void)sandbox_thaw(v->box); /* for the books */
	if (put_down(v, false))
		return false;
	for (int i = 0; i < DOWN_LOOK_MAX; i++) {
		if (sandbox_is_frozen(v->box, &down) == 0 && down)
			return service_connections(v) == 0;
		(void)usleep(20);
	}
	return false;
}

bool service_is_restless(const struct service *v)
{
	return now_ns() < v->restless_until_ns;
}

/* It has run, and lies down again by itself: that may be, if it was little. */
static bool rests_again(struct service *v)
{
	pid_t pids[PROCESS_MAX];
	struct rest_mark mark;
	struct rest_wait but;
	uint64_t used;

	if (!rest_look_but(pids, processes(v, pids), &mark, &but) ||
	    (but.tid && (but.tid != v->lull_tid || !is_lulled(v))))
		return false;
	used = mark.cpu_ns > v->rest_first.cpu_ns ? mark.cpu_ns - v->rest_first.cpu_ns : 0;
	if (used > rest_use_ns + (now_ns() - v->rest_since_ns) / rest_share)
		return false;
	v->rest = mark;
	return true;
}

/* What rests has run: somebody has connected, or it has a timer or another visitor that nobody could see,
 * and is stopped after all. */
static void rouse(struct service *v)
{
	bool called = service_connections(v) > 0, again;

	if (!called && rests_again(v))
		return;
	if (waker_disarm(v->all->waker, v->id) || called) {
		service_tell(v, (struct svc_event){.kind = SVC_EV_CONNECTION});
		return;
	}
	again = v->lull_runs && now_ns() - v->rest_since_ns >= lull_min_ns;
	if (!again) {
		v->restless_ns = v->restless_ns * 2 < restless_min_ns	? restless_min_ns
				 : v->restless_ns * 2 < restless_max_ns ? v->restless_ns * 2
									: restless_max_ns;
		v->restless_until_ns = now_ns() + v->restless_ns;
	}
	(void)sandbox_thaw(v->box); /* for the books */
	v->freezing = put_down(v, again) == 0;
	v->freeze_look_ns = 0;
	if (!v->freezing)
		(void)sandbox_rest(v->box); /* it cannot be; it sleeps most of the time */
	service_watch(v, SVC_WATCH_LEVEL);
}

/* More and more rarely: what has slept for long sleeps on. */
void service_look_resting(struct service *v)
{
	pid_t pids[PROCESS_MAX];
	struct rest_mark mark;
	uint64_t now = now_ns();

	if (v->box && v->lull_runs && sandbox_state(v->box) != SANDBOX_FROZEN)
		rouse_lulled(v);
	if (!v->box || v->freezing || !sandbox_is_resting(v->box) || now < v->rest_look_ns ||
	    now < v->restless_until_ns)
		return;
	v->rest_wait_ns =
		v->rest_wait_ns * 2 < rest_look_max_ns ? v->rest_wait_ns * 2 : rest_look_max_ns;
	v->rest_look_ns = now + v->rest_wait_ns;
	if (!rest_mark(pids, processes(v, pids), &mark) || mark.runs != v->rest.runs)
		rouse(v);
}
