// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service.c - carries out what core/svc.h decides, and tells it what came of it.
 *
 * One epoll set: the waker's notes, the notify sockets, one timer. After anything that may have moved a
 * service, act() drains the core's actions; that is the only place where something is done.
 *
 * What must survive kill -9 is in two places. Descriptors are in the fd store under NAME.what: the
 * sockets, the sandbox's three, the notify socket, and a memfd with one page of state that both the
 * dead and the next daemon have mapped; so a state change is a store to memory.
 */
#include "sys/service.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/listen.h"
#include "sys/service_impl.h"
#include "sys/sockdiag.h"
#include "sys/waker.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ON_WAKER UINT32_MAX
#define ON_TIMER (UINT32_MAX - 1)

enum {
	PAGE_VERSION = 1,
	NOTIFY_MAX = 4096,
	EVENT_MAX = 32,
	MEMORY_EVERY_NS = 1000000000,
	STOP_MS = 3000
};
static const uint64_t frozen_poll_ns =
	200000; /* freezing takes 11-31 us when nothing is in the kernel */
static const uint64_t save_every_ns = 60000000000;

/* Shared with the next daemon. Only grows at its end, with a new version. */
struct page {
	uint64_t version;
	uint64_t size;
	uint32_t used; /* a sandbox is there */
	uint32_t box_id, box_net;
	uint32_t starting; /* it has not said that it is ready */
	struct svc_habit habit;
};

struct service {
	struct services *all;
	bool used;
	uint32_t id;
	char name[UNIT_NAME_MAX + 1], fd_name[256], fd_names[UNIT_LISTEN_MAX * 256];
	struct unit *socket, *unit;
	struct recipe recipe;
	int listens[UNIT_LISTEN_MAX];
	size_t listen_n;
	int notify_dir, notify;
	struct page *page;
	int page_fd;

	struct sandbox *box;
	int freeze_fd;
	bool freezing, stopping;
	uint64_t freeze_look_ns, memory_ns;
	uint64_t memory_bytes;
};

struct services {
	struct services_options o;
	char run_dir[256], state_dir[256], proxy[256];
	struct svc *svc;
	struct waker *waker;
	struct service *all; /* by svc id */
	uint32_t n;
	int epoll, timer, diag;
	double pressure;
	uint64_t saved_ns, timer_ns;
	bool acting;
};

static void say(struct services *s, enum services_say level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct services *s, enum services_say level, const char *fmt, ...)
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

/* --- the fd store ---------------------------------------------------------------------------------- */

static void key_of(const struct service *v, const char *what, char *buf, size_t n)
{
	(void)snprintf(buf, n, "%s.%s", v->name, what); /* UNIT_NAME_MAX leaves room */
}

static void keep(struct service *v, const char *what, int fd)
{
	char key[FDSTORE_NAME_MAX + 1];
	int r;

	key_of(v, what, key, sizeof(key));
	r = fdstore_put(v->all->o.fdstore, key, fd);
	if (r < 0)
		say(v->all, SERVICES_SAY_WARN, "%s: '%s' will not outlive the daemon: %s", v->name,
		    what, strerror(-r));
}

static void unkeep(struct service *v, const char *what)
{
	char key[FDSTORE_NAME_MAX + 1];

	key_of(v, what, key, sizeof(key));
	(void)fdstore_remove(v->all->o.fdstore, key); /* the store is gone: so is what it kept */
}

static int left(struct service *v, const char *what, int *ret_fd)
{
	char key[FDSTORE_NAME_MAX + 1];

	key_of(v, what, key, sizeof(key));
	return fdstore_take(v->all->o.fdstore, key, ret_fd);
}

static void keep_box(struct service *v)
{
	if (sandbox_ctl_fd(v->box) < 0)
		return;
	keep(v, "ctl", sandbox_ctl_fd(v->box));
	keep(v, "init", sandbox_init_pidfd(v->box));
	v->page->box_id = sandbox_id(v->box);
	v->page->box_net =
		v->unit->service.private_network ? SANDBOX_NET_PRIVATE : SANDBOX_NET_HOST;
	v->page->starting = 1;
	v->page->used = 1;
}

static void unkeep_all(struct service *v)
{
	for (size_t i = 0; i < v->listen_n; i++) {
		char what[32];

		(void)snprintf(what, sizeof(what), "sock%zu", i);
		unkeep(v, what);
	}
	unkeep(v, "notify");
	unkeep(v, "state");
}

static void unkeep_box(struct service *v)
{
	v->page->used = 0;
	unkeep(v, "ctl");
	unkeep(v, "init");
	unkeep(v, "command");
}

/* --- events from outside ------------------------------------------------------------------------------- */

static void act(struct services *s);

static void tell(struct service *v, struct svc_event e)
{
	svc_event(v->all->svc, v->id, clock_ns(CLOCK_MONOTONIC), &e);
}

/* Connections that this service has accepted or that are about to be. */
static uint32_t connections(struct service *v)
{
	uint32_t sum = 0, n = 0;

	for (size_t i = 0; i < v->listen_n; i++)
		if (sockdiag_count(v->all->diag, &v->socket->socket.listens[i], &n) == 0)
			sum += n;
	return sum;
}

static bool someone_waits(const struct service *v)
{
	struct pollfd p[UNIT_LISTEN_MAX];

	for (size_t i = 0; i < v->listen_n; i++)
		p[i] = (struct pollfd){.fd = v->listens[i], .events = POLLIN};
	return poll(p, v->listen_n, 0) > 0;
}

static uint64_t memory_now(struct service *v)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now - v->memory_ns >= MEMORY_EVERY_NS &&
	    sandbox_memory_bytes(v->box, &v->memory_bytes) == 0)
		v->memory_ns = now;
	return v->memory_bytes;
}

static void box_ready(struct service *v)
{
	if (!v->page->starting)
		return;
	v->page->starting = 0;
	tell(v, (struct svc_event){.kind = SVC_EV_READY});
}

static void box_started(struct service *v)
{
	int r = 0;

	if (v->freeze_fd < 0 && v->all->o.cgroup)
		r = cgroup_group_freeze_fd(v->all->o.cgroup, sandbox_group(v->box), &v->freeze_fd);
	if (r)
		say(v->all, SERVICES_SAY_WARN, "%s: cannot be frozen: %s", v->name,
		    r < 0 ? strerror(-r) : "its control group is gone");
	if (sandbox_pidfd(v->box) >= 0)
		keep(v, "command", sandbox_pidfd(v->box));
	if (v->unit->service.type != UNIT_TYPE_NOTIFY && !v->unit->service.proxy_set)
		box_ready(v);
}

static void box_gone(struct service *v)
{
	(void)waker_disarm(v->all->waker, v->id);
	closep(&v->freeze_fd);
	v->freeze_fd = -1;
	v->box = NULL;
	v->freezing = v->stopping = false;
	unkeep_box(v);
}

static bool clean_exit(const struct service *v, int status)
{
	if (v->unit->service.exec_may_fail)
		return true;
	/* systemd.service(5), SuccessExitStatus=: these four are a clean end too. */
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
	       (WIFSIGNALED(status) && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT ||
					WTERMSIG(status) == SIGHUP || WTERMSIG(status) == SIGPIPE));
}

static void on_box(void *ctx, struct sandbox *box, enum sandbox_event ev, int arg)
{
	struct service *v = ctx;

	if (ev == SANDBOX_EV_HANDED) { /* from here on it may accept: it must outlive us */
		v->box = box;
		keep_box(v);
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
		say(v->all, SERVICES_SAY_WARN, "%s: cannot start '%s': %s", v->name,
		    v->unit->service.exec_path, strerror(-arg));
		tell(v, (struct svc_event){.kind = SVC_EV_EXITED});
		break;
	case SANDBOX_EV_EXITED:
		if (v->stopping) {
			sandbox_release(box);
			break;
		}
		if (!clean_exit(v, arg))
			say(v->all, SERVICES_SAY_WARN, "%s: ended with %s %d", v->name,
			    WIFSIGNALED(arg) ? "signal" : "status",
			    WIFSIGNALED(arg) ? WTERMSIG(arg) : WEXITSTATUS(arg));
		tell(v, (struct svc_event){.kind = SVC_EV_EXITED,
					   .clean = clean_exit(v, arg),
					   .waiting = someone_waits(v)});
		break;
	case SANDBOX_EV_UPPER:
		break;
	case SANDBOX_EV_GONE:
		box_gone(v);
		tell(v, (struct svc_event){.kind = SVC_EV_EXITED, .waiting = someone_waits(v)});
		act(v->all);
		tell(v, (struct svc_event){.kind = SVC_EV_GONE});
		break;
	}
	act(v->all);
}

/* --- actions ------------------------------------------------------------------------------------------ */

static void do_watch(struct service *v, enum svc_watch watch)
{
	bool frozen = v->box && (v->freezing || sandbox_state(v->box) == SANDBOX_FROZEN);
	int r;

	if (watch == SVC_WATCH_NONE || (watch == SVC_WATCH_ONCE && v->all->o.observed)) {
		(void)waker_disarm(v->all->waker, v->id);
		return;
	}
	r = waker_arm(v->all->waker, v->id, v->listens, v->listen_n, frozen ? v->freeze_fd : -1);
	if (r < 0)
		say(v->all, SERVICES_SAY_ERROR, "%s: cannot poll its sockets: %s", v->name,
		    strerror(-r));
}

static void do_start(struct service *v)
{
	int r = recipe_start(&v->recipe, v->all->o.pool, v->listens, v->listen_n, v->fd_names,
			     on_box, v, &v->box);

	v->memory_ns = 0;
	v->stopping = v->freezing = false;
	if (r == 0)
		return;
	if (v->box)
		unkeep_box(v);
	v->box = NULL;
	say(v->all, SERVICES_SAY_WARN, "%s: cannot start: %s", v->name,
	    r == POOL_FULL ? "no sandbox is free"
	    : r < 0	   ? strerror(-r)
			   : "refused");
	tell(v, (struct svc_event){.kind = SVC_EV_EXITED});
}

static void do_freeze(struct service *v)
{
	int r = v->freeze_fd >= 0 ? sandbox_freeze(v->box) : -ENOTSUP;

	if (r) /* not confirmed: the core takes it back when its time is up, and waits a minute */
		return;
	v->freezing = true;
	v->freeze_look_ns = 0;
}

static void do_check(struct service *v)
{
	struct svc_event e = {.kind = SVC_EV_CHECKED, .connection_n = connections(v)};

	(void)sandbox_cpu_ns(v->box, &e.cpu_ns); /* unknown: connections alone decide */
	e.memory_bytes = memory_now(v);
	tell(v, e);
}

/* Whether the command has a handler for the signal; without one it may as well die frozen. */
static bool wants_signal(const struct service *v, int sig)
{
	char path[64], line[256];
	unsigned long long caught = 0;
	int pid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", sandbox_pidfd(v->box));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	fclosep(&f);
	if (pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	fclosep(&f);
	return caught >> (sig - 1) & 1;
}

static void do_release(struct service *v, bool frozen)
{
	int sig = v->unit->service.kill_signal;

	if (!v->box) {
		tell(v, (struct svc_event){.kind = SVC_EV_GONE});
		return;
	}
	v->freezing = false;
	if (frozen && waker_disarm(v->all->waker, v->id)) {
		/* Thawed by a connection while the decision was made: it may be serving already. */
		(void)sandbox_thaw(v->box); /* it is thawed: this is for the books */
		tell(v, (struct svc_event){.kind = SVC_EV_KEPT});
		return;
	}
	if (sandbox_pidfd(v->box) < 0 || sig == SIGKILL || !wants_signal(v, sig) ||
	    sandbox_signal(v->box, sig)) {
		sandbox_release(v->box);
		return;
	}
	v->stopping = true; /* its exit, or SVC_DO_KILL, does the rest */
	if (frozen || sandbox_state(v->box) == SANDBOX_FROZEN)
		(void)sandbox_thaw(v->box); /* cannot: SVC_DO_KILL ends it */
}

static void do_action(struct service *v, const struct svc_action *a)
{
	switch (a->kind) {
	case SVC_DO_WATCH:
		do_watch(v, (enum svc_watch)a->arg);
		break;
	case SVC_DO_START:
		do_start(v);
		break;
	case SVC_DO_THAW:
		v->freezing = false;
		if (v->box && sandbox_thaw(v->box) < 0)
			say(v->all, SERVICES_SAY_ERROR, "%s: cannot be thawed", v->name);
		break;
	case SVC_DO_FREEZE:
		do_freeze(v);
		break;
	case SVC_DO_CHECK:
		if (v->box)
			do_check(v);
		break;
	case SVC_DO_RELEASE:
		do_release(v, a->arg);
		break;
	case SVC_DO_KILL:
		if (v->box)
			sandbox_release(v->box);
		break;
	case SVC_DO_MAX:
		break;
	}
	say(v->all, SERVICES_SAY_DEBUG, "%s: action %d, because of %s", v->name, a->kind,
	    svc_why_name(a->why));
}

static void set_timer(struct services *s)
{
	struct itimerspec at = {0};
	uint64_t next = svc_deadline_ns(s->svc);

	for (uint32_t i = 0; i < s->o.limits.service_max; i++)
		if (s->all[i].used && s->all[i].freezing && s->all[i].freeze_look_ns < next)
			next = s->all[i].freeze_look_ns;
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
		bool frozen = false;
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (!v->used || !v->freezing || now < v->freeze_look_ns)
			continue;
		if (sandbox_is_frozen(v->box, &frozen) == 0 && frozen) {
			v->freezing = false;
			told = true;
			tell(v, (struct svc_event){.kind = SVC_EV_FROZEN,
						   .connection_n = connections(v),
						   .memory_bytes = memory_now(v)});
		} else {
			v->freeze_look_ns = now + frozen_poll_ns;
		}
	}
	return told;
}

/* Actions can cause events and those actions; not on the stack, but in this loop. */
static void act(struct services *s)
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

static void on_waker(struct services *s)
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
		act(s);
	}
}

/* Pid as this process sees it; from the sandbox of this service, and the command if only that may. */
static bool may_notify(const struct service *v, pid_t pid)
{
	char path[64], line[512], group[CGROUP_NAME_LEN + 2];
	bool in = false;
	int main_pid = 0;
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
	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", sandbox_pidfd(v->box));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pid: %d", &main_pid) == 1)
			break;
	fclosep(&f);
	return main_pid == pid;
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
				box_ready(v);
		act(v->all);
	}
}

int services_dispatch(struct services *s)
{
	struct epoll_event events[EVENT_MAX];
	int n = epoll_wait(s->epoll, events, EVENT_MAX, 0);
	uint64_t ticks;

	if (n < 0 && errno != EINTR)
		return fault_errno();
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == ON_WAKER)
			on_waker(s);
		else if (events[i].data.u32 == ON_TIMER)
			(void)read(s->timer, &ticks, sizeof(ticks)); /* what is due is looked up */
		else if (s->all[events[i].data.u32].used)
			on_notify(&s->all[events[i].data.u32]);
	}
	s->timer_ns = 0; /* it may have run out: set it anew */
	svc_run(s->svc, clock_ns(CLOCK_MONOTONIC), s->pressure);
	act(s);
	return 0;
}

/* --- loading ------------------------------------------------------------------------------------------- */

static int watch(struct services *s, int fd, uint32_t what)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = what};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? fault_errno() : 0;
}

/* The file as text; UNIT_REFUSED with the reason when it cannot be read. */
static int read_unit(struct unit *u, enum unit_kind kind, int dir, const char *file,
		     struct unit_why *why)
{
	static char bytes[UNIT_FILE_MAX + 1];
	static char machine_id[64], boot_id[64];
	struct utsname uts = {0};
	struct unit_host host = {uts.nodename, machine_id, boot_id, uts.release};
	_cleanup_(closep) int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	_cleanup_(closep) int m = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int b = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;

	if (n < 0) {
		*why = (struct unit_why){0};
		(void)snprintf(why->text, sizeof(why->text), "%s", strerror(errno));
		return UNIT_REFUSED;
	}
	(void)uname(&uts);
	if (m < 0 || read(m, machine_id, sizeof(machine_id) - 1) <= 0)
		host.machine_id = NULL;
	if (b < 0 || read(b, boot_id, sizeof(boot_id) - 1) <= 0)
		host.boot_id = NULL;
	machine_id[strcspn(machine_id, "\n")] = '\0';
	boot_id[strcspn(boot_id, "\n")] = '\0';
	return unit_parse(u, kind, file, &host, bytes, (size_t)n, why);
}

static int load_units(struct service *v, int dir, const char *socket_file, const char **ret_file,
		      struct unit_why *why)
{
	static char file[UNIT_NAME_MAX + 16];
	int r;

	*ret_file = socket_file;
	v->socket = unit_new();
	v->unit = unit_new();
	if (!v->socket || !v->unit)
		return fault(-ENOMEM);
	r = read_unit(v->socket, UNIT_SOCKET, dir, socket_file, why);
	if (r)
		return r;
	(void)snprintf(v->name, sizeof(v->name), "%s", v->socket->name);
	(void)snprintf(file, sizeof(file), "%s.service",
		       v->socket->socket.service ? v->socket->socket.service : v->name);
	*ret_file = file;
	return read_unit(v->unit, UNIT_SERVICE, dir, file, why);
}

/* A socket bound to address i: one of those an earlier daemon left, or a new one. */
static int take_listen(struct service *v, size_t i, struct unit_why *why)
{
	const struct unit_socket *s = &v->socket->socket;
	char what[32];
	int fd = -1, r;

	(void)snprintf(what, sizeof(what), "sock%zu", i);
	r = left(v, what, &fd);
	if (r == 0 && listen_is(fd, &s->listens[i])) {
		v->listens[v->listen_n++] = fd;
		return 0;
	}
	closep(&fd);
	r = listen_open(s, &s->listens[i], &fd);
	if (r < 0) {
		char text[160];

		unit_addr_format(&s->listens[i], text, sizeof(text));
		(void)snprintf(why->text, sizeof(why->text), "%s: %s", text, strerror(-r));
		return UNIT_REFUSED;
	}
	v->listens[v->listen_n++] = fd;
	keep(v, what, fd);
	return 0;
}

static int take_listens(struct service *v, struct unit_why *why)
{
	size_t n = 0;
	int r = 0;

	if (v->socket->socket.fd_name)
		(void)snprintf(v->fd_name, sizeof(v->fd_name), "%s", v->socket->socket.fd_name);
	else
		(void)snprintf(v->fd_name, sizeof(v->fd_name), "%s.socket", v->name);
	for (size_t i = 0; i < v->socket->socket.listen_n && !r; i++) {
		r = take_listen(v, i, why);
		n += (size_t)snprintf(v->fd_names + n, sizeof(v->fd_names) - n, "%s%s",
				      i ? ":" : "", v->fd_name);
	}
	return r;
}

/* Only the service's sandbox sees the directory the socket is in. */
static int open_notify(struct service *v)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char dir[256 + UNIT_NAME_MAX + 16];
	const int one = 1;
	int r = left(v, "notify", &v->notify);

	(void)snprintf(dir, sizeof(dir), "%s/notify", v->all->run_dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return fault_errno();
	(void)snprintf(dir, sizeof(dir), "%s/notify/%s", v->all->run_dir, v->name);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return fault_errno();
	v->notify_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->notify_dir < 0)
		return fault_errno();
	if (r != 0) {
		/* By the descriptor: the path may be longer than a socket's name can be. */
		(void)snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/notify",
			       v->notify_dir);
		(void)unlinkat(v->notify_dir, "notify", 0);
		v->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (v->notify < 0 || fchmod(v->notify, 0666) < 0 ||
		    bind(v->notify, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
		    fchmodat(v->notify_dir, "notify", 0666, 0) < 0 ||
		    setsockopt(v->notify, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
			return fault_errno();
		keep(v, "notify", v->notify);
	}
	return 0;
}

static void remove_notify(const struct service *v)
{
	char dir[256 + UNIT_NAME_MAX + 16];

	(void)unlinkat(v->notify_dir, "notify", 0);
	(void)snprintf(dir, sizeof(dir), "%s/notify/%s", v->all->run_dir, v->name);
	(void)rmdir(dir);
	(void)snprintf(dir, sizeof(dir), "%s/notify", v->all->run_dir);
	(void)rmdir(dir); /* other services' are still in there, most times */
}

/* The page an earlier daemon left, or a fresh one. */
static int open_page(struct service *v)
{
	int r = left(v, "state", &v->page_fd);
	void *at;

	if (r == 0) {
		struct stat st;

		at = fstat(v->page_fd, &st) == 0 && st.st_size >= (off_t)sizeof(struct page)
			     ? mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED,
				    v->page_fd, 0)
			     : MAP_FAILED;
		if (at != MAP_FAILED) {
			v->page = at;
			if (v->page->version == PAGE_VERSION &&
			    v->page->size == sizeof(struct page))
				return 0;
			(void)munmap(at, sizeof(struct page));
			v->page = NULL;
		}
		closep(&v->page_fd);
	}
	v->page_fd = memfd_create("forewarm-service", MFD_CLOEXEC);
	if (v->page_fd < 0 || ftruncate(v->page_fd, sizeof(struct page)) < 0)
		return fault_errno();
	at = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, v->page_fd, 0);
	if (at == MAP_FAILED)
		return fault_errno();
	v->page = at;
	v->page->version = PAGE_VERSION;
	v->page->size = sizeof(struct page);
	keep(v, "state", v->page_fd);
	return 0;
}

static void habit_path(const struct service *v, char *buf, size_t n)
{
	(void)snprintf(buf, n, "%s/%s.habit", v->all->state_dir, v->name);
}

static void habit_save(struct service *v)
{
	char path[600], temp[608];
	_cleanup_(fclosep) FILE *f = NULL;

	svc_habit(v->all->svc, v->id, &v->page->habit);
	if (!v->all->state_dir[0])
		return;
	habit_path(v, path, sizeof(path));
	(void)snprintf(temp, sizeof(temp), "%s.new", path);
	f = fopen(temp, "we");
	if (!f || fwrite(&v->page->habit, sizeof(v->page->habit), 1, f) != 1 || fflush(f) ||
	    rename(temp, path) < 0)
		say(v->all, SERVICES_SAY_WARN, "%s: cannot write '%s': %s, ignoring", v->name, path,
		    strerror(errno));
}

/* From shared memory if it is newer than what a reboot left on disk. */
static bool habit_load(struct service *v, struct svc_habit *ret)
{
	char path[600];
	_cleanup_(fclosep) FILE *f = NULL;

	if (v->page->habit.version) {
		*ret = v->page->habit;
		return true;
	}
	if (!v->all->state_dir[0])
		return false;
	habit_path(v, path, sizeof(path));
	f = fopen(path, "re");
	return f && fread(ret, sizeof(*ret), 1, f) == 1;
}

/* Whether the init has a child: the command was executed, though nobody has been told yet. */
static bool has_command(int init_pidfd)
{
	char path[64], line[256] = "";
	int pid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", init_pidfd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	fclosep(&f);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	pid = 0;
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclosep(&f);
	return pid > 0;
}

/* Frozen with nobody half served, or running: a freeze that was ordered and not seen through, or with
 * a connection accepted in the moment before, is undone. */
static bool stays_frozen(struct service *v, const char *group)
{
	bool frozen = false;

	if (!v->all->o.cgroup)
		return false;
	if (cgroup_group_frozen(v->all->o.cgroup, group, &frozen) == 0 && frozen &&
	    connections(v) == 0)
		return true;
	(void)cgroup_group_freeze(v->all->o.cgroup, group, false); /* gone: its pidfd tells */
	return false;
}

/* What an earlier daemon left running; SVC_COLD when nothing did. */
static enum svc_state adopt(struct service *v)
{
	struct pool_adopt a = {.id = v->page->box_id,
			       .net = (enum sandbox_net)v->page->box_net,
			       .ctl_fd = -1,
			       .init_pidfd = -1,
			       .command_pidfd = -1};
	char group[CGROUP_NAME_LEN];

	if (!v->page->used)
		return SVC_COLD;
	(void)left(v, "ctl", &a.ctl_fd);
	(void)left(v, "init", &a.init_pidfd);
	(void)left(v, "command", &a.command_pidfd); /* not there: it was about to start */
	(void)snprintf(group, sizeof(group), "sb-%u", a.id);
	if (a.ctl_fd >= 0 && a.init_pidfd >= 0) {
		a.starting = a.command_pidfd < 0 && !has_command(a.init_pidfd);
		a.frozen = !a.starting && stays_frozen(v, group);
		if (pool_adopt(v->all->o.pool, &a, on_box, v, &v->box))
			v->box = NULL;
	}
	if (!v->box) {
		closep(&a.ctl_fd);
		closep(&a.init_pidfd);
		closep(&a.command_pidfd);
		unkeep_box(v);
		return SVC_COLD;
	}
	if (a.starting)
		return SVC_STARTING;
	if (v->all->o.cgroup)
		(void)cgroup_group_freeze_fd(v->all->o.cgroup, group, &v->freeze_fd);
	/* One that had not said it was ready may have said it to nobody: whoever connects waits in the
	 * queue until it is. */
	v->page->starting = 0;
	return a.frozen ? SVC_FROZEN : SVC_ACTIVE;
}

static struct svc_config config_of(const struct services *s, const struct unit_service *u)
{
	return (struct svc_config){
		.weight = u->weight,
		.timeout_start_ns = u->timeout_start_ns,
		.timeout_stop_ns = u->timeout_stop_ns,
		.freeze_after_ns = u->freeze_after_ns,
		.release_after_ns = u->release_after_ns,
		.restart_ns = u->restart_ns,
		.freeze_max_ns = s->o.freeze_max_ns,
		.release_max_ns = s->o.release_max_ns,
		.freeze = u->freeze && (s->o.freeze_max_ns || u->freeze_after_ns != SVC_NEVER),
		.release = u->release && (s->o.release_max_ns || u->release_after_ns != SVC_NEVER),
		.prestart = u->prestart,
		.restart_failed = u->restart == UNIT_RESTART_ON_FAILURE,
		.restart_always = u->restart == UNIT_RESTART_ALWAYS,
	};
}

static void service_clear(struct service *v)
{
	for (size_t i = 0; i < v->listen_n; i++) {
		const struct unit_addr *a = &v->socket->socket.listens[i];

		if (v->socket->socket.remove_on_stop && a->family == UNIT_UNIX && !v->used)
			(void)unlink(a->path);
		closep(&v->listens[i]);
	}
	recipe_clear(&v->recipe);
	if (v->notify_dir >= 0 && !v->used)
		remove_notify(v);
	closep(&v->notify);
	closep(&v->notify_dir);
	closep(&v->freeze_fd);
	closep(&v->page_fd);
	if (v->page)
		(void)munmap(v->page, sizeof(struct page));
	v->socket = unit_free(v->socket);
	v->unit = unit_free(v->unit);
	*v = (struct service){
		.all = v->all, .notify = -1, .notify_dir = -1, .freeze_fd = -1, .page_fd = -1};
}

/* v is filled in; then the core learns of it and it moves to its own place. */
static int enroll(struct service *v)
{
	struct services *s = v->all;
	struct svc_config c = config_of(s, &v->unit->service);
	struct svc_habit habit;
	enum svc_state state;
	bool known = habit_load(v, &habit);
	uint32_t id;
	int r;

	if (!s->o.cgroup || cgroup_can(s->o.cgroup, CGROUP_FREEZE) == CGROUP_NONE)
		c.freeze = false;
	r = svc_add(s->svc, clock_ns(CLOCK_MONOTONIC), &c, known ? &habit : NULL, &id);
	if (r)
		return r;
	s->all[id] = *v;
	*v = (struct service){
		.all = s, .notify = -1, .notify_dir = -1, .freeze_fd = -1, .page_fd = -1};
	v = &s->all[id];
	v->recipe.unit = &v->unit->service;
	v->id = id;
	v->used = true;
	s->n++;
	r = watch(s, v->notify, id);
	if (r < 0)
		return r;
	state = adopt(v);
	if (state != SVC_COLD) {
		svc_adopt(s->svc, id, clock_ns(CLOCK_MONOTONIC), state);
		say(s, SERVICES_SAY_INFO, "%s: found %s", v->name, svc_state_name(state));
	}
	return 0;
}

/* One pair. UNIT_REFUSED: said why. */
static int load_one(struct services *s, const char *dir_name, int dir, const char *file)
{
	struct service v = {
		.all = s, .notify = -1, .notify_dir = -1, .freeze_fd = -1, .page_fd = -1};
	struct unit_why why = {0};
	const char *about = file;
	int r = load_units(&v, dir, file, &about, &why);

	if (!r)
		r = open_notify(&v);
	if (!r)
		r = recipe_make(&v.recipe, v.unit, v.notify_dir, s->proxy[0] ? s->proxy : NULL,
				&why);
	if (!r)
		r = take_listens(&v, &why);
	if (!r)
		r = open_page(&v);
	if (!r)
		r = enroll(&v);
	if (r == UNIT_REFUSED)
		say(s, SERVICES_SAY_ERROR, "services: %s/%s:%u: %s", dir_name, about, why.line,
		    why.text);
	if (r) /* what was kept for it is of no use to the next daemon either */
		unkeep_all(&v);
	service_clear(&v);
	return r;
}

static int is_socket_file(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && dot != e->d_name && strcmp(dot, ".socket") == 0;
}

int services_load(struct services *s, const char *dir, uint32_t *ret_refused_n)
{
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	uint32_t refused_n = 0;
	int n, r = 0;

	if (fd < 0 && errno != ENOENT)
		return fault_errno();
	n = fd < 0 ? 0 : scandirat(fd, ".", &names, is_socket_file, alphasort);
	for (int i = 0; i < n; i++) {
		if (r >= 0)
			r = load_one(s, dir, fd, names[i]->d_name);
		refused_n += r > 0;
		free(names[i]);
	}
	free(names);
	if (n < 0 || r < 0)
		return r < 0 ? r : fault_errno();
	r = fdstore_forget_rest(s->o.fdstore);
	if (r < 0)
		return r;
	act(s);
	*ret_refused_n = refused_n;
	return 0;
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
		s->all[i] = (struct service){
			.all = s, .notify = -1, .notify_dir = -1, .freeze_fd = -1, .page_fd = -1};
	if (!r)
		r = svc_new(&o->limits, &s->svc);
	if (!r)
		r = sockdiag_open(&s->diag);
	if (!r)
		r = waker_new(o->limits.service_max, o->cgroup, &s->waker);
	if (!r)
		r = watch(s, waker_fd(s->waker), ON_WAKER);
	if (!r)
		r = watch(s, s->timer, ON_TIMER);
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
	act(s);
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
			habit_save(&s->all[i]);
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
			unkeep_all(v);
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

	s->pressure = pressure;
	svc_run(s->svc, now, pressure);
	act(s);
	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		if (!s->all[i].used)
			continue;
		if (now - s->saved_ns >= save_every_ns)
			habit_save(&s->all[i]);
		else
			svc_habit(s->svc, i, &s->all[i].page->habit);
	}
	if (now - s->saved_ns >= save_every_ns)
		s->saved_ns = now;
}

/* Whether a connection to "to" ends up at the listener. */
static bool reaches(const struct unit_addr *listener, const struct unit_addr *to)
{
	static const uint8_t zero[16];

	if (listener->family == UNIT_UNIX || listener->family == UNIT_ABSTRACT)
		return listener->family == to->family && strcmp(listener->path, to->path) == 0;
	if (to->family == UNIT_UNIX || to->family == UNIT_ABSTRACT || to->port != listener->port ||
	    (to->type == UNIT_DATAGRAM) != (listener->type == UNIT_DATAGRAM))
		return false;
	if (memcmp(listener->ip, zero, 16) == 0)
		return listener->family == UNIT_INET6 || to->family == UNIT_INET;
	return to->family == listener->family && memcmp(to->ip, listener->ip, 16) == 0;
}

static struct service *find(struct services *s, const char *name)
{
	struct unit_addr to = {0};
	const char *rest = strchr(name, ':');
	bool address = false;

	if (strncmp(name, "tcp:", 4) == 0 || strncmp(name, "unix:", 5) == 0)
		address = unit_addr_parse(rest + 1, UNIT_STREAM, &to) == 0;
	else if (strncmp(name, "udp:", 4) == 0)
		address = unit_addr_parse(rest + 1, UNIT_DATAGRAM, &to) == 0;
	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		struct service *v = &s->all[i];

		if (!v->used)
			continue;
		if (!address && strcmp(v->name, name) == 0)
			return v;
		for (size_t l = 0; address && l < v->socket->socket.listen_n; l++)
			if (reaches(&v->socket->socket.listens[l], &to))
				return v;
	}
	return NULL;
}

bool services_predict(struct services *s, const char *name, double p, uint64_t lead_ns)
{
	struct service *v = find(s, name);

	if (!v)
		return false;
	tell(v, (struct svc_event){.kind = SVC_EV_GUESS, .p = p, .lead_ns = lead_ns});
	act(s);
	return true;
}

bool services_observe(struct services *s, const char *name, uint64_t ts_ns)
{
	struct service *v = find(s, name);

	if (!v)
		return false;
	tell(v, (struct svc_event){.kind = SVC_EV_OBSERVED, .at_ns = ts_ns});
	act(s);
	return true;
}

uint32_t services_n(const struct services *s)
{
	return s->n;
}

void services_parked(const struct services *s, uint32_t parked_n, uint32_t ret[SANDBOX_NET_MAX])
{
	for (int net = 0; net < SANDBOX_NET_MAX; net++)
		ret[net] = 0;
	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		const struct service *v = &s->all[i];
		uint32_t *n;

		if (!v->used)
			continue;
		n = &ret[v->unit->service.private_network ? SANDBOX_NET_PRIVATE : SANDBOX_NET_HOST];
		*n = *n < parked_n ? parked_n : *n;
		if (v->unit->service.pool_n > *n)
			*n = v->unit->service.pool_n;
	}
}

void services_view(const struct services *s, uint32_t i, struct service_view *ret)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	uint32_t id = 0;
	const struct service *v;

	for (;; id++) {
		v = &s->all[id];
		if (v->used && i-- == 0)
			break;
	}
	*ret = (struct service_view){.name = v->name, .description = v->unit->description};
	unit_addr_format(&v->socket->socket.listens[0], ret->listens, sizeof(ret->listens));
	svc_view(s->svc, id, now, &ret->svc);
	ret->state_ns = now - ret->svc.since_ns;
	ret->idle_ns = ret->svc.idle_since_ns ? now - ret->svc.idle_since_ns : SVC_NEVER;
	ret->hold_ns = ret->svc.hold_until_ns ? ret->svc.hold_until_ns - now : 0;
}
