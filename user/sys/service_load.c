// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* service_load.c - from NAME.socket and NAME.service to a service that can be connected to. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/listen.h"
#include "sys/service_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The file's text into the unit; UNIT_REFUSED with the reason when it cannot be read. */
static int add_file(struct unit *u, int dir, const char *file, struct unit_why *why)
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
	return unit_add(u, &host, bytes, (size_t)n, why);
}

static int is_drop_in(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && dot != e->d_name && strcmp(dot, ".conf") == 0 && e->d_name[0] != '.';
}

enum { ABOUT_MAX = UNIT_NAME_MAX + 16 + NAME_MAX };

/* The files of FILE.d, by name; about is the one that is read. */
static int add_drop_ins(struct unit *u, int dir, const char *file, char about[ABOUT_MAX],
			struct unit_why *why)
{
	struct dirent **names = NULL;
	int n, r = 0;

	(void)snprintf(about, ABOUT_MAX, "%s.d", file);
	n = scandirat(dir, about, &names, is_drop_in, alphasort);
	if (n < 0 && errno != ENOENT) {
		*why = (struct unit_why){0};
		(void)snprintf(why->text, sizeof(why->text), "%s", strerror(errno));
		return UNIT_REFUSED;
	}
	for (int i = 0; i < n; i++) {
		if (!r) {
			(void)snprintf(about, ABOUT_MAX, "%s.d/%s", file, names[i]->d_name);
			r = add_file(u, dir, about, why);
		}
		free(names[i]);
	}
	free(names);
	return r;
}

/* A unit and its drop-ins; about is the file that is refused. */
static int read_unit(struct unit *u, enum unit_kind kind, int dir, const char *file,
		     char about[ABOUT_MAX], struct unit_why *why)
{
	int r = unit_begin(u, kind, file, why);

	(void)snprintf(about, ABOUT_MAX, "%s", file);
	if (!r)
		r = add_file(u, dir, file, why);
	if (!r)
		r = add_drop_ins(u, dir, file, about, why);
	if (r)
		return r;
	(void)snprintf(about, ABOUT_MAX, "%s", file);
	return unit_complete(u, why);
}

static int load_units(struct service *v, int dir, const char *socket_file, char about[ABOUT_MAX],
		      struct unit_why *why)
{
	char file[UNIT_NAME_MAX + 16];
	int r;

	v->socket = unit_new();
	v->unit = unit_new();
	if (!v->socket || !v->unit)
		return fault(-ENOMEM);
	r = read_unit(v->socket, UNIT_SOCKET, dir, socket_file, about, why);
	if (r)
		return r;
	(void)snprintf(v->name, sizeof(v->name), "%s", v->socket->name);
	(void)snprintf(file, sizeof(file), "%s.service",
		       v->socket->socket.service ? v->socket->socket.service : v->name);
	return read_unit(v->unit, UNIT_SERVICE, dir, file, about, why);
}

/* A socket bound to address i: one of those an earlier daemon left, or a new one. */
static int take_listen(struct service *v, size_t i, struct unit_why *why)
{
	const struct unit_socket *s = &v->socket->socket;
	char what[32];
	int fd = -1, r;

	(void)snprintf(what, sizeof(what), "sock%zu", i);
	r = service_left(v, what, &fd);
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
	service_keep(v, what, fd);
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
		.restart_failed = u->restart == UNIT_RESTART_ON_FAILURE,
		.restart_always = u->restart == UNIT_RESTART_ALWAYS,
	};
}

void service_clear(struct service *v)
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
	bool known = service_habit_load(v, &habit);
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
	r = services_watch(s, v->notify, id);
	if (r < 0)
		return r;
	state = service_adopt(v);
	if (state != SVC_COLD) {
		svc_adopt(s->svc, id, clock_ns(CLOCK_MONOTONIC), state);
		service_say(s, SERVICES_SAY_INFO, "%s: found %s", v->name, svc_state_name(state));
	}
	return 0;
}

/* One pair. UNIT_REFUSED: said why. */
static int load_one(struct services *s, const char *dir_name, int dir, const char *file)
{
	struct service v = {
		.all = s, .notify = -1, .notify_dir = -1, .freeze_fd = -1, .page_fd = -1};
	struct unit_why why = {0};
	char about[ABOUT_MAX] = "";
	int r = load_units(&v, dir, file, about, &why);

	if (!r)
		r = open_notify(&v);
	if (!r)
		r = recipe_make(&v.recipe, v.unit, v.notify_dir, s->proxy[0] ? s->proxy : NULL,
				&why);
	if (!r)
		r = take_listens(&v, &why);
	if (!r)
		r = service_open_page(&v);
	if (!r)
		r = enroll(&v);
	if (r == UNIT_REFUSED && why.line)
		service_say(s, SERVICES_SAY_ERROR, "services: %s/%s:%u: %s", dir_name, about,
			    why.line, why.text);
	else if (r == UNIT_REFUSED)
		service_say(s, SERVICES_SAY_ERROR, "services: %s/%s: %s", dir_name, about,
			    why.text);
	if (r) /* what was kept for it is of no use to the next daemon either */
		service_unkeep_all(&v);
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
	services_act(s);
	*ret_refused_n = refused_n;
	return 0;
}
