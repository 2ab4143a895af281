// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service_run.c - the commands of a service, from ExecStartPre= to the last signal.
 *
 * All run in the one sandbox: those before ExecStart= one after the other in its place, those after it
 * and ExecStop= beside it. The core knows of none of this: to it a service starts, is ready, ends.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "sys/condition.h"
#include "sys/halt.h"
#include "sys/service_impl.h"
#include "sys/waker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PID_MAX = 256 };

static const char *const phase_names[UNIT_PHASE_MAX] = {"ExecStartPre", "ExecStart",
							"ExecStartPost", "ExecStop"};

static const struct unit_execs *execs(const struct service *v, enum unit_phase phase)
{
	return &v->unit->service.execs[phase];
}

static const struct unit_exec *current(const struct service *v)
{
	return &execs(v, v->phase)->items[v->exec_i];
}

/* --- what an exit means -------------------------------------------------------------------------------- */

static bool in_set(const struct unit_statuses *s, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	return WIFSIGNALED(status) ? s->signal >> WTERMSIG(status) & 1
				   : s->code[code / 64] >> code % 64 & 1;
}

static bool clean_exit(const struct service *v, int status)
{
	if (execs(v, UNIT_START)->items[0].may_fail || in_set(&v->unit->service.success, status))
		return true;
	/* systemd.service(5), SuccessExitStatus=: these four are a clean end too. */
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
	       (WIFSIGNALED(status) && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT ||
					WTERMSIG(status) == SIGHUP || WTERMSIG(status) == SIGPIPE));
}

static bool wants_restart(const struct service *v, int status)
{
	const struct unit_service *u = &v->unit->service;
	const bool clean = clean_exit(v, status);

	if (in_set(&u->restart_prevent, status))
		return false;
	if (in_set(&u->restart_force, status))
		return true;
	switch (u->restart) {
	case UNIT_RESTART_NO:
		return false;
	case UNIT_RESTART_ON_SUCCESS:
		return clean;
	case UNIT_RESTART_ON_FAILURE:
		return !clean;
	case UNIT_RESTART_ON_WATCHDOG:
		return v->abandoned;
	case UNIT_RESTART_ON_ABNORMAL:
		return !clean && WIFSIGNALED(status);
	case UNIT_RESTART_ON_ABORT:
		return !clean && WIFSIGNALED(status) && !v->abandoned;
	case UNIT_RESTART_ALWAYS:
		return true;
	}
	return false;
}

static void say_end(struct service *v, const char *what, int status)
{
	service_trouble(v, "%s%sended with %s %d", what, *what ? "= " : "",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* --- one command after the other ------------------------------------------------------------------------ */

/* Its pid in its own pid namespace: the last of NSpid. 0: it has ended. */
static int pid_inside(const struct service *v)
{
	pid_t pid = v->box ? sandbox_pid_of(sandbox_pidfd(v->box)) : 0;
	_cleanup_(fclosep) FILE *f = NULL;
	char path[64], line[256];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = pid > 0 ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		const char *last = strrchr(line, '\t');

		if (strncmp(line, "NSpid:", 6) == 0 && last)
			return atoi(last);
	}
	return 0;
}

static int hand_out(void *ctx, const struct sandbox_command *c)
{
	struct service *v = ctx;

	return pool_take(v->all->o.pool,
			 v->unit->service.private_network ? SANDBOX_NET_PRIVATE : SANDBOX_NET_HOST,
			 c, service_on_box, v, &v->box);
}

static int hand_next(void *ctx, const struct sandbox_command *c)
{
	return sandbox_exec_next(((struct service *)ctx)->box, c);
}

static int hand_side(void *ctx, const struct sandbox_command *c)
{
	return sandbox_exec_side(((struct service *)ctx)->box, c);
}

static int run(struct service *v, recipe_fn fn)
{
	const bool beside = v->phase > UNIT_START;
	const struct recipe_run r = {
		.exec = current(v),
		.phase = v->phase,
		.first = fn == hand_out,
		.listens = v->listens,
		.listen_n = v->listen_n,
		.listen_names = v->fd_names,
		.main_pid = beside ? pid_inside(v) : 0,
	};
	int e = recipe_run(&v->recipe, &r, fn, v);

	v->side = beside && e == 0;
	return e;
}

static void failed(struct service *v)
{
	v->failed = true;
	service_tell(v, (struct svc_event){.kind = SVC_EV_EXITED});
}

static void say_cannot(struct service *v, int err)
{
	service_trouble(v, "%s=%s: %s", phase_names[v->phase], current(v)->path,
			strerror(err < 0 ? -err : EBUSY));
}

/* The one after the current before the service itself; there is one. */
static void next_in_place(struct service *v)
{
	int e;

	if (v->phase == UNIT_PRE && ++v->exec_i == execs(v, UNIT_PRE)->n) {
		v->phase = UNIT_START;
		v->exec_i = 0;
	}
	e = run(v, hand_next);
	if (!e)
		return;
	say_cannot(v, e);
	failed(v);
}

static void pre_exited(struct service *v, int status)
{
	if (status == 0 || current(v)->may_fail) {
		next_in_place(v);
		return;
	}
	say_end(v, phase_names[UNIT_PRE], status);
	failed(v);
}

static void ready(struct service *v)
{
	v->phase = UNIT_START;
	v->exec_i = 0;
	v->page->starting = 0;
	service_watchdog(v, true);
	service_tell(v, (struct svc_event){.kind = SVC_EV_READY});
}

static bool runs_all_signals(const struct service *v)
{
	return v->unit->service.kill_mode == UNIT_KILL_ALL && v->all->o.cgroup;
}

/* All but its init; -1: that cannot be told. */
static int members(const struct service *v, pid_t ret[PID_MAX])
{
	pid_t init = sandbox_pid_of(sandbox_init_pidfd(v->box)), all[PID_MAX];
	size_t n = 0;
	int kept = 0;

	if (!v->all->o.cgroup ||
	    cgroup_group_pids(v->all->o.cgroup, sandbox_group(v->box), all, PID_MAX, &n) != 0)
		return -1;
	for (size_t i = 0; i < n && i < PID_MAX; i++)
		if (all[i] != init)
			ret[kept++] = all[i];
	return kept;
}

bool service_has_left(const struct service *v)
{
	pid_t pids[PID_MAX];

	return v->unit->service.kill_mode == UNIT_KILL_PROCESS && v->box && members(v, pids) > 1;
}

/* Those of its processes that its signal is for. */
static size_t signalled(const struct service *v, pid_t ret[PID_MAX])
{
	int n = runs_all_signals(v) ? members(v, ret) : -1;

	if (n >= 0)
		return (size_t)n;
	ret[0] = sandbox_pid_of(sandbox_pidfd(v->box));
	return ret[0] > 0;
}

/* Whether one of them has a handler for the signal, or others are to outlive it; else they may as well die
 * frozen. */
static bool wants_signal(const struct service *v, int sig)
{
	pid_t pids[PID_MAX];
	size_t n = signalled(v, pids);

	if (service_has_left(v))
		return true;
	for (size_t i = 0; i < n; i++)
		if (halt_handles(pids[i], sig))
			return true;
	return false;
}

/* Its exit, or SVC_DO_KILL, does the rest. */
static void end_by_signal(struct service *v)
{
	int sig = v->unit->service.kill_signal;
	pid_t pids[PID_MAX];
	size_t n = signalled(v, pids);

	for (size_t i = 0; i < n; i++)
		(void)kill(pids[i], sig); /* gone meanwhile: as wanted */
	if (n == 0)
		sandbox_release(v->box);
}

void service_rest(struct service *v)
{
	pid_t pids[PID_MAX];
	int n;

	closep(&v->rest_fd);
	v->rest_fd = -1;
	if (!v->box)
		return;
	n = v->unit->service.kill_mode == UNIT_KILL_MIXED ? 0 : members(v, pids);
	for (int i = 0; i < n && v->rest_fd < 0; i++)
		v->rest_fd = (int)syscall(SYS_pidfd_open, pids[i], 0); /* gone: the next one */
	if (v->rest_fd < 0 ||
	    services_watch(v->all, v->rest_fd, v->id | SERVICES_ON_REST, EPOLLIN) < 0)
		sandbox_release(v->box);
}

/* After ExecStop=: it may be gone by now. */
static void stop_done(struct service *v)
{
	v->phase = UNIT_START;
	v->exec_i = 0;
	if (v->main_gone && v->unit->service.kill_mode == UNIT_KILL_PROCESS)
		service_rest(v);
	else if (v->main_gone || !wants_signal(v, v->unit->service.kill_signal))
		sandbox_release(v->box);
	else
		end_by_signal(v);
}

/* The one after the current, or what follows all of them. */
static void next_beside(struct service *v)
{
	void (*const done)(struct service *) = v->phase == UNIT_POST ? ready : stop_done;

	while (++v->exec_i < execs(v, v->phase)->n) {
		int e = run(v, hand_side);

		if (!e)
			return;
		say_cannot(v, e);
		if (v->phase == UNIT_POST && !current(v)->may_fail) {
			failed(v);
			return;
		}
	}
	done(v);
}

static void first_beside(struct service *v, enum unit_phase phase)
{
	v->phase = phase;
	v->exec_i = (size_t)-1;
	next_beside(v);
}

static void side_exited(struct service *v, int status)
{
	const bool bad = status && v->side && !current(v)->may_fail;

	if (!v->side)
		return;
	v->side = false;
	if (bad && status < 0)
		say_cannot(v, status);
	else if (bad)
		say_end(v, phase_names[v->phase], status);
	if (bad && v->phase == UNIT_POST)
		failed(v);
	else
		next_beside(v);
}

void service_is_ready(struct service *v)
{
	if (!v->page->starting || v->phase != UNIT_START)
		return;
	if (execs(v, UNIT_POST)->n)
		first_beside(v, UNIT_POST);
	else
		ready(v);
}

/* --- its sandbox ------------------------------------------------------------------------------------------ */

static void box_started(struct service *v)
{
	int r = 0;

	if (v->phase != UNIT_START)
		return;
	if (v->freeze_fd < 0 && v->all->o.cgroup)
		r = cgroup_group_freeze_fd(v->all->o.cgroup, sandbox_group(v->box), &v->freeze_fd);
	if (r)
		service_say(v->all, SERVICES_SAY_WARN, "%s: cannot be frozen: %s", v->name,
			    r < 0 ? strerror(-r) : "its control group is gone");
	if (sandbox_pidfd(v->box) >= 0) {
		service_keep(v, "command", sandbox_pidfd(v->box));
		service_watch_end(v);
	}
	if (v->unit->service.type != UNIT_TYPE_NOTIFY && !v->unit->service.proxy_set)
		service_is_ready(v);
}

static void box_exited(struct service *v, int status)
{
	if (v->phase == UNIT_PRE) {
		pre_exited(v, status);
		return;
	}
	v->main_gone = true;
	if (v->stopping) {
		if (!v->side) /* else ExecStop= still has something to do */
			service_rest(v);
		return;
	}
	v->failed = true;
	if (!clean_exit(v, status) && !v->abandoned)
		say_end(v, "", status);
	service_tell(v, (struct svc_event){.kind = SVC_EV_EXITED,
					   .clean = clean_exit(v, status),
					   .restart = wants_restart(v, status),
					   .waiting = service_is_awaited(v)});
}

static void box_gone(struct service *v)
{
	enum unit_preserve keep = v->unit->service.preserve;

	(void)waker_disarm(v->all->waker, v->id);
	closep(&v->freeze_fd);
	closep(&v->rest_fd);
	v->freeze_fd = v->rest_fd = -1;
	v->box = NULL;
	services_weigh(v->all);
	v->abandoned = false;
	service_watchdog(v, false);
	if (keep == UNIT_PRESERVE_NO || (keep == UNIT_PRESERVE_RESTART && !v->failed))
		service_dirs_remove(v);
	v->freezing = v->thaw_due = v->stopping = v->failed = v->side = false;
	service_unkeep_box(v);
}

void service_on_box(void *ctx, struct sandbox *box, enum sandbox_event ev, int arg)
{
	struct service *v = ctx;

	if (ev == SANDBOX_EV_HANDED) { /* from here on it may accept: it must outlive us */
		v->box = box;
		service_keep_box(v);
		return;
	}
	if (box != v->box)
		return;
	switch (ev) {
	case SANDBOX_EV_HANDED:
		return;
	case SANDBOX_EV_STARTED:
		box_started(v);
		break;
	case SANDBOX_EV_FAILED:
		service_trouble(v, "cannot start '%s': %s", current(v)->path, strerror(-arg));
		failed(v);
		break;
	case SANDBOX_EV_EXITED:
		box_exited(v, arg);
		break;
	case SANDBOX_EV_SIDE:
		side_exited(v, arg);
		break;
	case SANDBOX_EV_UPPER:
		break;
	case SANDBOX_EV_GONE:
		box_gone(v);
		service_tell(v, (struct svc_event){.kind = SVC_EV_EXITED,
						   .restart = wants_restart(v, SIGKILL),
						   .waiting = service_is_awaited(v)});
		services_act(v->all);
		service_tell(v, (struct svc_event){.kind = SVC_EV_GONE});
		break;
	}
	services_act(v->all);
}

/* --- start and stop --------------------------------------------------------------------------------------- */

void service_start(struct service *v)
{
	const struct unit_condition *unmet = conditions_unmet(v->unit);
	char text[256];
	int r;

	v->memory_ns = 0;
	v->stopping = v->freezing = v->failed = v->side = v->main_gone = false;
	v->restless_until_ns = v->restless_ns = 0;
	v->phase = execs(v, UNIT_PRE)->n ? UNIT_PRE : UNIT_START;
	v->exec_i = 0;
	if (unmet) {
		condition_format(unmet, text, sizeof(text));
		service_trouble(v, "not started: %s is not met", text);
		service_tell(v, (struct svc_event){.kind = SVC_EV_EXITED});
		return;
	}
	r = run(v, hand_out);
	if (r == 0)
		return;
	if (v->box)
		service_unkeep_box(v);
	v->box = NULL;
	service_trouble(v, "cannot start: %s",
			r == POOL_FULL ? "no sandbox is free"
			: r < 0	       ? strerror(-r)
				       : "refused");
	service_tell(v, (struct svc_event){.kind = SVC_EV_EXITED});
}

/* It starts and nobody waited for it. False: somebody does by now, or that cannot be told. */
static bool stop_starting(struct service *v)
{
	struct svc_event e = {.kind = SVC_EV_KEPT};
	bool still;

	if (v->phase == UNIT_PRE) /* none of those has the sockets; who waits at them waits on */
		return true;
	still = service_pin(v);
	e.waiting = waker_disarm(v->all->waker, v->id) || service_connections(v) > 0;
	if (still && !e.waiting)
		return true;
	(void)sandbox_thaw(v->box); /* it was not frozen: as it should be */
	service_tell(v, e);
	return false;
}

void service_stop(struct service *v, enum svc_end how)
{
	bool frozen = how == SVC_END_FROZEN;
	int sig = v->unit->service.kill_signal;
	bool by_command, kept;

	if (!v->box) {
		service_tell(v, (struct svc_event){.kind = SVC_EV_GONE});
		return;
	}
	v->freezing = false;
	if (how == SVC_END_STARTING && !stop_starting(v))
		return;
	kept = frozen && sandbox_is_resting(v->box) && sandbox_pidfd(v->box) >= 0 &&
	       !service_pin(v);
	if (frozen && (waker_disarm(v->all->waker, v->id) || kept)) {
		/* Thawed by a connection while the decision was made: it may be serving already. */
		(void)sandbox_thaw(v->box); /* it is thawed: this is for the books */
		service_tell(v, (struct svc_event){.kind = SVC_EV_KEPT});
		return;
	}
	frozen |= sandbox_state(v->box) == SANDBOX_FROZEN;
	by_command = execs(v, UNIT_STOP)->n && !v->page->starting && !v->main_gone;
	if (!by_command && (sandbox_pidfd(v->box) < 0 || !wants_signal(v, sig))) {
		sandbox_release(v->box);
		return;
	}
	v->stopping = true;
	if (!by_command)
		end_by_signal(v);
	if (frozen)
		(void)sandbox_thaw(v->box); /* cannot: SVC_DO_KILL ends it */
	if (by_command)
		first_beside(v, UNIT_STOP);
}
