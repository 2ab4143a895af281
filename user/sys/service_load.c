// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* service_load.c - from NAME.socket and NAME.service to a service that can be connected to. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/listen.h"
#include "sys/service_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ", NAME" of the service here that has the address; "": none. */
static const char *holder_of(const struct services *s, const struct unit_addr *a)
{
	static char text[UNIT_NAME_MAX + 4];

	for (uint32_t i = 0; i < s->o.limits.service_max; i++)
		for (size_t l = 0; s->all[i].used && l < s->all[i].listen_n; l++)
			if (unit_addr_equal(s->all[i].addrs[l], a)) {
				(void)snprintf(text, sizeof(text), ", %s", s->all[i].name);
				return text;
			}
	return "";
}

/* A socket bound to one of the addresses: one of those an earlier daemon left, or a new one. */
static int take_listen(struct service *v, const struct unit_socket *s, const struct unit_addr *a,
		       struct unit_why *why)
{
	char what[32];
	int fd = -1, r;

	(void)snprintf(what, sizeof(what), "sock%zu", v->listen_n);
	r = service_left(v, what, &fd);
	if (r == 0 && listen_is(fd, a)) {
		v->listens[v->listen_n] = fd;
		v->addrs[v->listen_n++] = a;
		return 0;
	}
	closep(&fd);
	/* A UNIX socket would take the other's name away. */
	r = *holder_of(v->all, a) ? -EADDRINUSE : listen_open(s, a, &fd);
	if (r < 0) {
		char text[160];

		unit_addr_format(a, text, sizeof(text));
		(void)snprintf(why->text, sizeof(why->text), "cannot listen at %.120s: %s%s%.60s",
			       text, strerror(-r), r == -EADDRINUSE ? holder_of(v->all, a) : "",
			       r == -EADDRINUSE && *holder_of(v->all, a) ? " has it" : "");
		return UNIT_REFUSED;
	}
	v->listens[v->listen_n] = fd;
	v->addrs[v->listen_n++] = a;
	service_keep(v, what, fd);
	return 0;
}

/* As systemd has it: a name that cannot be had is no reason not to listen. */
static void make_links(struct service *v, const struct unit *u)
{
	for (size_t i = 0; i < u->socket.symlinks.item_n; i++) {
		int r = listen_link(&u->socket, i);

		if (r < 0)
			service_say(v->all, SERVICES_SAY_WARN,
				    "services: %s.socket: Symlinks=%s: %s", u->name,
				    u->socket.symlinks.items[i], strerror(-r));
	}
}

static int take_listens(struct service *v, struct unit_why *why)
{
	size_t n = 0;
	int r = 0;

	for (size_t k = 0; k < v->units.socket_n; k++) {
		const struct unit *u = v->units.sockets[k];
		char name[256];

		if (u->socket.fd_name)
			(void)snprintf(name, sizeof(name), "%s", u->socket.fd_name);
		else
			(void)snprintf(name, sizeof(name), "%s.socket", u->name);
		for (size_t i = 0; i < u->socket.listen_n && !r; i++) {
			r = take_listen(v, &u->socket, &u->socket.listens[i], why);
			n += (size_t)snprintf(v->fd_names + n, sizeof(v->fd_names) - n, "%s%s",
					      n ? ":" : "", name);
		}
		if (!r)
			make_links(v, u);
	}
	return r;
}

/* Only the service's sandbox sees the directory the socket is in. */
static int open_notify(struct service *v)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char dir[256 + UNIT_NAME_MAX + 16];
	const int one = 1;
	int r = service_left(v, "notify", &v->notify);

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
		service_keep(v, "notify", v->notify);
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
	};
}

struct service service_none(struct services *s)
{
	return (struct service){.all = s,
				.notify = -1,
				.notify_dir = -1,
				.freeze_fd = -1,
				.rest_fd = -1,
				.watchdog_at_ns = SVC_NEVER,
				.page_fd = -1};
}

void service_clear(struct service *v)
{
	for (size_t i = 0; i < v->units.socket_n && !v->used; i++)
		listen_remove(&v->units.sockets[i]->socket);
	for (size_t i = 0; i < v->listen_n; i++)
		closep(&v->listens[i]);
	recipe_clear(&v->recipe);
	if (v->notify_dir >= 0 && !v->used)
		remove_notify(v);
	closep(&v->notify);
	closep(&v->notify_dir);
	closep(&v->freeze_fd);
	closep(&v->page_fd);
	if (v->page)
		(void)munmap(v->page, sizeof(struct page));
	unit_group_clear(&v->units);
	*v = service_none(v->all);
}

/* v is filled in; then the core learns of it and it moves to its own place. */
static int enroll(struct service *v)
{
	struct services *s = v->all;
	struct svc_config c = config_of(s, &v->unit->service);
	struct svc_habit habit;
	enum svc_state state;
	bool known = service_habit_load(v, &habit);
	uint32_t id;
	int r;

	if (!s->o.cgroup || cgroup_can(s->o.cgroup, CGROUP_FREEZE) == CGROUP_NONE)
		c.freeze = false;
	r = svc_add(s->svc, clock_ns(CLOCK_MONOTONIC), &c, known ? &habit : NULL, &id);
	if (r)
		return r;
	s->all[id] = *v;
	*v = service_none(s);
	v = &s->all[id];
	v->recipe.unit = &v->unit->service;
	v->id = id;
	v->used = true;
	s->n++;
	r = services_watch(s, v->notify, id, EPOLLIN);
	if (r < 0)
		return r;
	state = service_adopt(v);
	if (state != SVC_COLD) {
		svc_adopt(s->svc, id, clock_ns(CLOCK_MONOTONIC), state);
		service_watchdog(v, state == SVC_READY || state == SVC_ACTIVE);
		service_say(s, SERVICES_SAY_INFO, "%s: found %s", v->name, svc_state_name(state));
	}
	return 0;
}

static void say_otherwise(void *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say_otherwise(void *ctx, const char *fmt, ...)
{
	const struct service *v = ctx;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is good enough */
	va_end(ap);
	service_say(v->all, SERVICES_SAY_WARN, "%s: %s", v->name, text);
}

/* It may be there by the time it is started; but better to be said now. */
static void warn_missing(const struct service *v)
{
	const struct unit_execs *all = v->unit->service.execs;

	for (size_t phase = 0; phase < UNIT_PHASE_MAX; phase++)
		for (size_t i = 0; i < all[phase].n; i++)
			if (*all[phase].items[i].path == '/' &&
			    access(all[phase].items[i].path, X_OK) < 0)
				service_say(v->all, SERVICES_SAY_WARN, "services: %s: %s: %s",
					    v->name, all[phase].items[i].path, strerror(errno));
}

/* One service and its sockets, which become its own. UNIT_REFUSED: said why. */
static int load_one(struct services *s, struct unit_group *g)
{
	struct service v = service_none(s);
	struct recipe_host host = {.proxy = s->proxy[0] ? s->proxy : NULL, .say = say_otherwise};
	struct unit_why why = {0};
	int r;

	v.units = *g;
	*g = (struct unit_group){0};
	v.unit = v.units.unit;
	(void)snprintf(v.name, sizeof(v.name), "%s", v.units.name);
	warn_missing(&v);
	r = open_notify(&v);
	host.notify_dir = v.notify_dir;
	host.ctx = &v;
	if (!r)
		r = recipe_make(&v.recipe, v.unit, &host, &why);
	if (!r)
		r = take_listens(&v, &why);
	if (!r)
		r = service_open_page(&v);
	if (!r)
		r = enroll(&v);
	if (r == UNIT_REFUSED) {
		service_say(s, SERVICES_SAY_ERROR, "services: %s: %s", v.name, why.text);
		services_add_left(s, v.name, why.text);
	}
	if (r) /* what was kept for it is of no use to the next daemon either */
		service_unkeep_all(&v);
	service_clear(&v);
	return r;
}

void services_add_left(struct services *s, const char *name, const char *why)
{
	struct service_left *left = &s->left[s->left_n];

	if (s->left_n == SERVICES_LEFT_MAX)
		return;
	(void)snprintf(left->name, sizeof(left->name), "%s", name);
	(void)snprintf(left->why, sizeof(left->why), "%s", why);
	s->left_n++;
}

const struct service_left *services_left(const struct services *s, uint32_t i)
{
	return i < s->left_n ? &s->left[i] : NULL;
}

int services_load(struct services *s, const char *dir, uint32_t *ret_refused_n)
{
	uint32_t refused_n = 0;
	int r = unit_groups_read(s, dir, load_one, &refused_n);

	if (r < 0)
		return r;
	r = fdstore_forget_rest(s->o.fdstore);
	if (r < 0)
		return r;
	services_act(s);
	*ret_refused_n = refused_n;
	return 0;
}
