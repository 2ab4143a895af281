// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service.c - carries out what core/svc.h decides, and tells it what came of it.
 *
 * One epoll set: the waker's notes, the notify sockets, one timer. After anything that may have moved a
 * service, services_act() drains the core's actions; that is the only place where something is done.
 */
#include "sys/service.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/halt.h"
#include "sys/listen.h"
#include "sys/service_impl.h"
#include "sys/sockdiag.h"
#include "sys/waker.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ON_WAKER UINT32_MAX
#define ON_TIMER (UINT32_MAX - 1)

enum { NOTIFY_MAX = 4096, EVENT_MAX = 32, MEMORY_EVERY_NS = 1000000000, STOP_MS = 3000 };
static const uint64_t frozen_poll_ns =
	200000; /* freezing takes 11-31 us when nothing is in the kernel */
static const uint64_t restless_poll_ns = 1000000;
static const uint64_t save_every_ns = 60000000000;

void service_say(struct services *s, enum services_say level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!s->o.say)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is good enough */
	va_end(ap);
	s->o.say(s->o.ctx, level, text);
}

void service_trouble(struct service *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(v->trouble, sizeof(v->trouble), fmt, ap); /* cut is good enough */
	va_end(ap);
	service_say(v->all, SERVICES_SAY_WARN, "%s: %s", v->name, v->trouble);
}

/* --- events from outside ------------------------------------------------------------------------------- */

void service_tell(struct service *v, struct svc_event e)
{
	svc_event(v->all->svc, v->id, clock_ns(CLOCK_MONOTONIC), &e);
}

bool service_is_awaited(const struct service *v)
{
	struct pollfd p[UNIT_LISTEN_MAX];

	for (size_t i = 0; i < v->listen_n; i++)
		p[i] = (struct pollfd){.fd = v->listens[i], .events = POLLIN};
	return poll(p, v->listen_n, 0) > 0;
}

/* The kernel lists no UNIX connection that was not accepted: those are asked of the socket. */
uint32_t service_connections(struct service *v)
{
	uint32_t sum = 0, n = 0;

	for (size_t i = 0; i < v->listen_n; i++)
		if (sockdiag_count(v->all->diag, v->addrs[i], &n) == 0)
			sum += n;
	return sum || !service_is_awaited(v) ? sum : 1;
}

uint32_t service_uses(struct service *v)
{
	return service_connections(v) + service_has_left(v);
}

static uint64_t memory_now(struct service *v)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now - v->memory_ns >= MEMORY_EVERY_NS &&
	    sandbox_memory_bytes(v->box, &v->memory_bytes) == 0)
		v->memory_ns = now;
	return v->memory_bytes;
}

/* --- actions ------------------------------------------------------------------------------------------ */

static int arm_stopped(struct service *v)
{
	struct resume_target t = {.pidfd = sandbox_pidfd(v->box)};

	if (sandbox_is_resting(v->box)) {
		t = (struct resume_target){.pidfd = -1, .rests = true};
		return waker_arm_stopped(v->all->waker, v->id, v->listens, v->listen_n, &t);
	}
	t.pid = sandbox_pid_of(t.pidfd);
	t.start = t.pid > 0 ? halt_start(t.pid) : 0; /* ended: its event comes */
	return waker_arm_stopped(v->all->waker, v->id, v->listens, v->listen_n, &t);
}

void service_watch(struct service *v, enum svc_watch watch)
{
	bool frozen = v->box && (v->freezing || sandbox_state(v->box) == SANDBOX_FROZEN);
	int r;

	if (watch == SVC_WATCH_NONE || (watch == SVC_WATCH_ONCE && v->all->o.observed)) {
		(void)waker_disarm(v->all->waker, v->id);
		return;
	}
	if (frozen && (sandbox_is_stopped(v->box) || sandbox_is_resting(v->box)))
		r = arm_stopped(v);
	else
		r = waker_arm(v->all->waker, v->id, v->listens, v->listen_n,
			      frozen ? v->freeze_fd : -1);
	if (r < 0)
		service_say(v->all, SERVICES_SAY_ERROR, "%s: cannot poll its sockets: %s", v->name,
			    strerror(-r));
}

static void do_freeze(struct service *v)
{
	/* Not confirmed: the core takes it back when its time is up, and waits a minute. */
	if (service_put_down(v))
		return;
	v->freezing = true;
	v->freeze_look_ns = 0;
}

static void do_check(struct service *v)
{
	struct svc_event e = {.kind = SVC_EV_CHECKED, .connection_n = service_uses(v)};

	(void)sandbox_cpu_ns(v->box, &e.cpu_ns); /* unknown: connections alone decide */
	e.memory_bytes = memory_now(v);
	service_tell(v, e);
}

static void thaw(struct service *v)
{
	v->thaw_due = false;
	if (v->box && sandbox_thaw(v->box) < 0)
		service_say(v->all, SERVICES_SAY_ERROR, "%s: cannot be thawed", v->name);
	v->thawed_ns = clock_ns(CLOCK_MONOTONIC);
}

/* What is stopped for a guess has time, and is thawed when this process has nothing else to do: beside whoever
 * runs on, it would be owed processor time when it sleeps again. Then it preempts its client in the midst
 * of connect(), finds no request yet, and is woken a second time: a tenth of what a Python service takes.
 * Until then its sockets are watched as they were while it was down, so no client waits for this. */
static void thaw_due(struct services *s)
{
	bool any = false;

	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		struct service *v = &s->all[i];
		bool came;

		if (!v->used || !v->thaw_due)
			continue;
		thaw(v);
		came = waker_disarm(s->waker, i);
		if (came)
			service_tell(v, (struct svc_event){.kind = SVC_EV_CONNECTION});
		else
			service_watch(v, SVC_WATCH_ONCE);
		any |= came;
	}
	if (any)
		services_act(s);
}

static bool may_wait(const struct service *v, const struct svc_action *a)
{
	return a->why == SVC_WHY_GUESS && v->box && !sandbox_is_resting(v->box);
}

static void do_action(struct service *v, const struct svc_action *a)
{
	bool watch_once = a->kind == SVC_DO_WATCH && a->arg == SVC_WATCH_ONCE;

	if (v->thaw_due && !watch_once)
		thaw(v);
	switch (a->kind) {
	case SVC_DO_WATCH:
		if (!v->thaw_due) /* else until then a connection thaws it */
			service_watch(v, (enum svc_watch)a->arg);
		break;
	case SVC_DO_START:
		service_start(v);
		services_weigh(v->all); /* it is on its way */
		break;
	case SVC_DO_THAW:
		v->freezing = false;
		v->thaw_due = may_wait(v, a);
		if (!v->thaw_due)
			thaw(v);
		service_watchdog(v, true);
		break;
	case SVC_DO_FREEZE:
		do_freeze(v);
		break;
	case SVC_DO_CHECK:
		if (v->box)
			do_check(v);
		break;
	case SVC_DO_RELEASE:
		service_stop(v, (enum svc_end)a->arg);
		break;
	case SVC_DO_KILL:
		if (v->box)
			sandbox_release(v->box);
		break;
	case SVC_DO_MAX:
		break;
	}
	service_say(v->all, SERVICES_SAY_DEBUG, "%s: action %d, because of %s", v->name, a->kind,
		    svc_why_name(a->why));
}

static uint32_t weight_of(const struct service *v)
{
	uint32_t weight = v->unit->service.cpu_weight;

	return weight ? weight : CGROUP_WEIGHT_USUAL;
}

/* What systemd would give them together: each its own against all others of the host. Who rests, is stopped
 * or frozen uses no CPU and is not counted, or those that run would get its share besides their own. When it
 * is thawed its client waits, so it is counted at the next tick; until then they weigh no less than it does,
 * or than a service that says nothing. */
void services_weigh(struct services *s)
{
	uint32_t running = 0, asleep = 0, least;

	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		const struct service *v = &s->all[i];

		if (!v->used || !v->box)
			continue;
		if (sandbox_state(v->box) != SANDBOX_FROZEN)
			running += weight_of(v);
		else if (asleep < weight_of(v))
			asleep = weight_of(v);
	}
	least = (running || asleep) && asleep < CGROUP_WEIGHT_USUAL ? asleep : CGROUP_WEIGHT_USUAL;
	if (s->o.cgroup) /* cannot: cgroup_can() says so */
		(void)cgroup_weigh(s->o.cgroup, running < least ? least : running);
}

static void set_timer(struct services *s)
{
	struct itimerspec at = {0};
	uint64_t next = svc_deadline_ns(s->svc);

	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		const struct service *v = &s->all[i];

		if (v->used && v->freezing && v->freeze_look_ns < next)
			next = v->freeze_look_ns;
		if (v->used && v->watchdog_at_ns < next)
			next = v->watchdog_at_ns;
		if (v->used && v->thaw_due && !s->dispatching)
			next = 0;
	}
	if (next == s->timer_ns)
		return;
	s->timer_ns = next;
	if (next != SVC_NEVER) {
		at.it_value.tv_sec = (time_t)(next / 1000000000);
		at.it_value.tv_nsec = (long)(next % 1000000000) + (next == 0);
	}
	(void)timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &at, NULL); /* valid by construction */
}

/* Asks the kernel about freezes that were ordered; soon again when it has not got there yet. */
static bool look_frozen(struct services *s)
{
	bool told = false;
	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		struct service *v = &s->all[i];
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (!v->used || !v->freezing || now < v->freeze_look_ns)
			continue;
		if (service_is_down(v)) {
			v->freezing = false;
			told = true;
			service_tell(v, (struct svc_event){.kind = SVC_EV_FROZEN,
							   .connection_n = service_uses(v),
							   .resting = sandbox_is_resting(v->box),
							   .memory_bytes = memory_now(v)});
		} else {
			v->freeze_look_ns =
				now + (service_is_restless(v) ? restless_poll_ns : frozen_poll_ns);
		}
	}
	return told;
}

/* Actions can cause events and those actions; not on the stack, but in this loop. */
void services_act(struct services *s)
{
	struct svc_action a;

	if (s->acting)
		return;
	s->acting = true;
	do {
		while (svc_next(s->svc, &a))
			do_action(&s->all[a.id], &a);
	} while (look_frozen(s));
	s->acting = false;
	set_timer(s);
}

/* --- what comes in ------------------------------------------------------------------------------------ */

void services_take_notes(struct services *s)
{
	struct waker_note note;

	while (waker_take(s->waker, &note)) {
		struct service *v = &s->all[note.slot];

		if (!v->used)
			continue;
		/* As of the moment it was thawed: what came after is not the client's delay. */
		svc_event(s->svc, v->id,
			  note.thawed_ns ? note.thawed_ns : clock_ns(CLOCK_MONOTONIC),
			  &(struct svc_event){.kind = SVC_EV_CONNECTION, .at_ns = note.seen_ns});
		services_act(s);
	}
}

/* Pid as this process sees it; from the sandbox of this service, and the command if only that may. */
static bool may_notify(const struct service *v, pid_t pid)
{
	char path[64], line[512], group[CGROUP_NAME_LEN + 2];
	bool in = false;
	FILE *f;

	if (!v->box || pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	(void)snprintf(group, sizeof(group), "/%s", sandbox_group(v->box));
	f = fopen(path, "re");
	while (f && !in && fgets(line, sizeof(line), f)) {
		size_t n = strcspn(line, "\n"), g = strlen(group);

		in = n >= g && memcmp(line + n - g, group, g) == 0;
	}
	fclosep(&f);
	if (!in || !v->unit->service.main_only || sandbox_pidfd(v->box) < 0)
		return in;
	return sandbox_pid_of(sandbox_pidfd(v->box)) == pid;
}

static void on_notify(struct service *v)
{
	char text[NOTIFY_MAX + 1];
	struct iovec iov = {text, NOTIFY_MAX};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct ucred))];
	} control;

	for (;;) {
		struct msghdr h = {.msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = &control,
				   .msg_controllen = sizeof(control.buf)};
		ssize_t n = recvmsg(v->notify, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		struct ucred peer = {0};

		if (n < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
				memcpy(&peer, CMSG_DATA(c), sizeof(peer));
		text[n] = '\0';
		if (!may_notify(v, peer.pid))
			continue;
		for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			if (strcmp(line, "READY=1") == 0)
				service_is_ready(v);
			else if (strcmp(line, "WATCHDOG=1") == 0)
				service_watchdog(v,
						 v->watchdog_at_ns != SVC_NEVER && !v->abandoned);
		services_act(v->all);
	}
}

void service_watchdog(struct service *v, bool on)
{
	uint64_t span = v->unit->service.watchdog_ns, now = clock_ns(CLOCK_MONOTONIC);

	v->watchdog_at_ns = !on || !span || span > SVC_NEVER - now ? SVC_NEVER : now + span;
}

/* Aborted, so that it leaves a trace, and killed if that does not end it. */
static void look_watchdogs(struct services *s)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		struct service *v = &s->all[i];

		if (!v->used || now < v->watchdog_at_ns)
			continue;
		v->watchdog_at_ns = SVC_NEVER;
		if (!v->box || v->freezing || sandbox_state(v->box) == SANDBOX_FROZEN)
			continue;
		if (v->abandoned) {
			sandbox_release(v->box);
			continue;
		}
		service_trouble(v, "no WATCHDOG=1 for %llu ms",
				(unsigned long long)v->unit->service.watchdog_ns / 1000000);
		v->abandoned = true;
		if (sandbox_signal(v->box, SIGABRT) == 0)
			v->watchdog_at_ns =
				now + (v->unit->service.timeout_stop_ns < SVC_NEVER - now
					       ? v->unit->service.timeout_stop_ns
					       : 0);
	}
}

int services_dispatch(struct services *s)
{
	struct epoll_event events[EVENT_MAX];
	int n = epoll_wait(s->epoll, events, EVENT_MAX, 0);
	uint64_t ticks;

	if (n < 0 && errno != EINTR)
		return fault_errno();
	s->dispatching = true;
	services_take_notes(s);
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == ON_WAKER)
			continue;
		else if (events[i].data.u32 == ON_TIMER)
			(void)read(s->timer, &ticks, sizeof(ticks)); /* what is due is looked up */
		else if (events[i].data.u32 & SERVICES_ON_REST)
			service_rest(&s->all[events[i].data.u32 & ~SERVICES_ON_REST]);
		else if (events[i].data.u32 & SERVICES_ON_END)
			service_ended(&s->all[events[i].data.u32 & ~SERVICES_ON_END]);
		else if (s->all[events[i].data.u32].used)
			on_notify(&s->all[events[i].data.u32]);
	}
	look_watchdogs(s);
	s->timer_ns = 0; /* it may have run out: set it anew */
	svc_run(s->svc, clock_ns(CLOCK_MONOTONIC), s->pressure);
	services_act(s);
	s->dispatching = false;
	thaw_due(s);
	return 0;
}

int services_watch(struct services *s, int fd, uint32_t what, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u32 = what};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? fault_errno() : 0;
}

/* --- public -------------------------------------------------------------------------------------------- */

int services_new(const struct services_options *o, struct services **ret)
{
	struct services *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return fault(-ENOMEM);
	s->o = *o;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->diag = -1;
	s->timer_ns = SVC_NEVER;
	(void)snprintf(s->run_dir, sizeof(s->run_dir), "%s", o->run_dir);
	(void)snprintf(s->state_dir, sizeof(s->state_dir), "%s", o->state_dir ? o->state_dir : "");
	(void)snprintf(s->proxy, sizeof(s->proxy), "%s", o->proxy ? o->proxy : "");
	s->all = calloc(o->limits.service_max, sizeof(*s->all));
	r = !s->all || s->epoll < 0 || s->timer < 0 ? fault(-ENOMEM) : 0;
	for (uint32_t i = 0; !r && i < o->limits.service_max; i++)
		s->all[i] = service_none(s);
	if (!r)
		r = svc_new(&o->limits, &s->svc);
	if (!r)
		r = sockdiag_open(&s->diag);
	if (!r)
		r = waker_new(o->limits.service_max, o->cgroup, &s->waker);
	if (!r)
		r = services_watch(s, waker_fd(s->waker), ON_WAKER, EPOLLIN);
	if (!r)
		r = services_watch(s, s->timer, ON_TIMER, EPOLLIN);
	if (r < 0) {
		(void)services_free(s, false);
		return r;
	}
	*ret = s;
	return 0;
}

/* Ends what runs: each by its own signal and within STOP_MS together, then by force. */
static void stop_all(struct services *s)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + STOP_MS * 1000000ull;
	bool forced = false;

	for (uint32_t i = 0; i < s->o.limits.service_max; i++)
		if (s->all[i].used)
			svc_retire(s->svc, i, clock_ns(CLOCK_MONOTONIC));
	services_act(s);
	for (;;) {
		struct pollfd p = {.fd = s->epoll, .events = POLLIN};
		bool any = false;

		for (uint32_t i = 0; i < s->o.limits.service_max; i++)
			any |= s->all[i].used && s->all[i].box;
		if (!any || (forced && clock_ns(CLOCK_MONOTONIC) > until))
			return;
		if (clock_ns(CLOCK_MONOTONIC) > until) {
			forced = true;
			until += STOP_MS * 1000000ull;
			for (uint32_t i = 0; i < s->o.limits.service_max; i++)
				if (s->all[i].used && s->all[i].box)
					sandbox_release(s->all[i].box);
		}
		(void)pool_wait(s->o.pool, 10);
		if (poll(&p, 1, 0) > 0)
			(void)services_dispatch(s);
	}
}

struct services *services_free(struct services *s, bool keep_running)
{
	if (!s)
		return NULL;
	for (uint32_t i = 0; s->waker && i < s->o.limits.service_max; i++)
		if (s->all[i].used)
			service_habit_save(&s->all[i]);
	if (s->waker && !keep_running)
		stop_all(s);
	s->waker = waker_free(s->waker);
	for (uint32_t i = 0; s->all && i < s->o.limits.service_max; i++) {
		struct service *v = &s->all[i];

		if (!v->used)
			continue;
		if (v->box)
			pool_disown(s->o.pool, v->box); /* or the pool's end would be its end */
		/* A manager forgets by itself at a stop, and knows it from a restart. */
		if (!keep_running && strcmp(fdstore_kind(s->o.fdstore), "holder") == 0)
			service_unkeep_all(v);
		v->used = keep_running;
		service_clear(v);
	}
	s->svc = svc_free(s->svc);
	closep(&s->epoll);
	closep(&s->timer);
	closep(&s->diag);
	free(s->all);
	free(s);
	return NULL;
}

int services_fd(const struct services *s)
{
	return s->epoll;
}

void services_tick(struct services *s, double pressure)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	services_take_notes(s);
	for (uint32_t i = 0; i < s->o.limits.service_max; i++)
		if (s->all[i].used)
			service_look_resting(&s->all[i]);
	s->pressure = pressure;
	svc_run(s->svc, now, pressure);
	services_act(s);
	services_weigh(s);
	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		if (!s->all[i].used)
			continue;
		if (now - s->saved_ns >= save_every_ns)
			service_habit_save(&s->all[i]);
		else
			svc_habit(s->svc, i, &s->all[i].page->habit);
	}
	if (now - s->saved_ns >= save_every_ns)
		s->saved_ns = now;
}
