// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service_read.c - the files of a directory, read into units that belong together: a NAME.service and
 * all sockets that lead to it.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "sys/condition.h"
#include "sys/service_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ABOUT_MAX = UNIT_NAME_MAX + 16 + NAME_MAX };

/* A directory of units, and what is asked of the host once for all of them. */
struct unit_files {
	struct unit_host unit;
	struct utsname uts;
	char machine_id[64], boot_id[64], shell[256], directory[PATH_MAX];
	char os[6][64];
	char **held; /* the units of the directory, with suffix, NULL at the end */
	size_t held_n;
	struct services *s;
	const char *name; /* of the directory, for people */
	int dir;
};

static const char *read_line(const char *path, char *buf, size_t n)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, buf, n - 1);

	if (got <= 0)
		return NULL;
	buf[got] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/* os-release(5): what is not in it is empty. */
static void read_release(struct unit_files *h)
{
	static const char *const keys[] = {"ID",	 "VERSION_ID", "BUILD_ID",
					   "VARIANT_ID", "IMAGE_ID",   "IMAGE_VERSION"};
	const char **fields[] = {&h->unit.os_id,      &h->unit.os_version, &h->unit.os_build,
				 &h->unit.os_variant, &h->unit.image_id,   &h->unit.image_version};
	_cleanup_(fclosep) FILE *f = fopen("/etc/os-release", "re");
	char line[512];

	if (!f)
		f = fopen("/usr/lib/os-release", "re");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		*fields[i] = h->os[i];
	while (f && fgets(line, sizeof(line), f)) {
		char *eq = strchr(line, '='), *value;

		if (!eq)
			continue;
		*eq = '\0';
		value = eq + 1 + strspn(eq + 1, "\"'");
		value[strcspn(value, "\"'\n")] = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (strcmp(keys[i], line) == 0)
				(void)snprintf(h->os[i], sizeof(h->os[i]), "%.63s", value);
	}
}

/* As systemd names them, of uname's. */
static const char *architecture(const char *machine)
{
	static const char *const names[][2] = {
		{"x86_64", "x86-64"}, {"aarch64", "arm64"},    {"i686", "x86"},
		{"armv7l", "arm"},    {"ppc64le", "ppc64-le"}, {"riscv64", "riscv64"},
		{"s390x", "s390x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i][0], machine) == 0)
			return names[i][1];
	return machine;
}

static void read_host(struct unit_files *h)
{
	const struct passwd *pw = getpwuid(0);

	(void)uname(&h->uts);
	(void)snprintf(h->shell, sizeof(h->shell), "%s", pw ? pw->pw_shell : "/bin/sh");
	h->unit = (struct unit_host){
		.host_name = h->uts.nodename,
		.kernel = h->uts.release,
		.architecture = architecture(h->uts.machine),
		.shell = h->shell,
		.machine_id = read_line("/etc/machine-id", h->machine_id, sizeof(h->machine_id)),
		.boot_id = read_line("/proc/sys/kernel/random/boot_id", h->boot_id,
				     sizeof(h->boot_id)),
		.directory = realpath(h->name, h->directory),
		.held = (const char *const *)h->held,
	};
	read_release(h);
}

/* --- one unit ------------------------------------------------------------------------------------------ */

static void say_why(struct unit_files *h, const char *about, const struct unit_why *why)
{
	char name[256];

	(void)snprintf(name, sizeof(name), why->line ? "%.230s:%u" : "%.230s", about, why->line);
	services_add_left(h->s, name, why->text);
	if (why->line)
		service_say(h->s, SERVICES_SAY_ERROR, "services: %s/%s:%u: %s", h->name, about,
			    why->line, why->text);
	else
		service_say(h->s, SERVICES_SAY_ERROR, "services: %s/%s: %s", h->name, about,
			    why->text);
}

static int cannot_read(struct unit_why *why)
{
	*why = (struct unit_why){0};
	(void)snprintf(why->text, sizeof(why->text), "%s", strerror(errno));
	return UNIT_REFUSED;
}

/* The file's text into the unit; UNIT_REFUSED with the reason when it cannot be read. */
static int add_file(struct unit_files *h, struct unit *u, const char *file, struct unit_why *why)
{
	static char bytes[UNIT_FILE_MAX + 1];
	_cleanup_(closep) int fd = openat(h->dir, file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
	size_t note = u->note_n;
	int r;

	if (n < 0)
		return cannot_read(why);
	r = unit_add(u, &h->unit, bytes, (size_t)n, why);
	for (; !r && note < u->note_n; note++)
		service_say(h->s, SERVICES_SAY_WARN, "services: %s/%s:%u: %s", h->name, file,
			    u->notes[note].line, u->notes[note].text);
	return r;
}

static int is_drop_in(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && dot != e->d_name && strcmp(dot, ".conf") == 0 && e->d_name[0] != '.';
}

/* The files of FILE.d, by name; about is the one that is read. */
static int add_drop_ins(struct unit_files *h, struct unit *u, const char *file,
			char about[ABOUT_MAX], struct unit_why *why)
{
	struct dirent **names = NULL;
	int n, r = 0;

	(void)snprintf(about, ABOUT_MAX, "%s.d", file);
	n = scandirat(h->dir, about, &names, is_drop_in, alphasort);
	if (n < 0 && errno != ENOENT)
		return cannot_read(why);
	for (int i = 0; i < n; i++) {
		if (!r) {
			(void)snprintf(about, ABOUT_MAX, "%s.d/%s", file, names[i]->d_name);
			r = add_file(h, u, about, why);
		}
		free(names[i]);
	}
	free(names);
	return r;
}

/* "a@b.service" is in a@.service when it has no file of its own. False: no instance. */
static bool template_of(const char *file, char ret[ABOUT_MAX])
{
	const char *at = strchr(file, '@'), *dot = strrchr(file, '.');

	if (!at || !dot || dot <= at + 1)
		return false;
	(void)snprintf(ret, ABOUT_MAX, "%.*s%s", (int)(at + 1 - file), file, dot);
	return true;
}

/* A unit and its drop-ins, said why if it is refused. */
static int read_unit(struct unit_files *h, struct unit *u, enum unit_kind kind, const char *file)
{
	char about[ABOUT_MAX], template[ABOUT_MAX];
	bool instance = template_of(file, template);
	struct unit_why why = {0};
	int r = unit_begin(u, kind, file, &why);

	(void)snprintf(about, ABOUT_MAX, "%s", file);
	if (instance && faccessat(h->dir, file, F_OK, 0) < 0)
		(void)snprintf(about, ABOUT_MAX, "%s", template);
	if (!r)
		r = add_file(h, u, about, &why);
	if (!r && instance)
		r = add_drop_ins(h, u, template, about, &why);
	if (!r)
		r = add_drop_ins(h, u, file, about, &why);
	if (!r) {
		(void)snprintf(about, ABOUT_MAX, "%s", file);
		r = unit_complete(u, &why);
	}
	if (r > 0)
		say_why(h, about, &why);
	return r;
}

/* --- those that belong together -------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), end_n = strlen(end);

	return n > end_n && strcmp(name + n - end_n, end) == 0;
}

static int is_unit_file(const struct dirent *e)
{
	return e->d_name[0] != '.' &&
	       (ends_with(e->d_name, ".socket") || ends_with(e->d_name, ".service"));
}

static bool is_template(const char *name)
{
	return strstr(name, "@.") != NULL;
}

void unit_group_clear(struct unit_group *g)
{
	for (size_t i = 0; i < g->socket_n; i++)
		g->sockets[i] = unit_free(g->sockets[i]);
	g->unit = unit_free(g->unit);
	g->socket_n = 0;
}

/* Reads one socket and puts it to those of its service. 1: left out, and said why. */
static int add_socket(struct unit_files *h, const char *file, struct unit_group *groups,
		      size_t *group_n, size_t group_max)
{
	_cleanup_(unit_freep) struct unit *u = unit_new();
	const struct unit_condition *unmet;
	struct unit_why why = {0};
	char text[256];
	const char *service;
	size_t i = 0, listen_n;
	int r = u ? read_unit(h, u, UNIT_SOCKET, file) : fault(-ENOMEM);

	if (r)
		return r;
	unmet = conditions_unmet(u);
	if (unmet) {
		condition_format(unmet, text, sizeof(text));
		service_say(h->s, SERVICES_SAY_INFO, "services: %s/%s: left out: %s is not met",
			    h->name, file, text);
		return unmet->assert;
	}
	service = u->socket.service ? u->socket.service : u->name;
	while (i < *group_n && strcmp(groups[i].name, service) != 0)
		i++;
	if (i == *group_n) {
		if (i == group_max)
			return fault(-ENOSPC);
		groups[i] = (struct unit_group){0};
		(void)snprintf(groups[i].name, sizeof(groups[i].name), "%s", service);
		(*group_n)++;
	}
	listen_n = u->socket.listen_n;
	for (size_t k = 0; k < groups[i].socket_n; k++)
		listen_n += groups[i].sockets[k]->socket.listen_n;
	if (groups[i].socket_n == UNIT_SOCKET_MAX || listen_n > UNIT_LISTEN_MAX) {
		(void)snprintf(why.text, sizeof(why.text),
			       "%s.service has more than %d sockets or %d addresses", service,
			       UNIT_SOCKET_MAX, UNIT_LISTEN_MAX);
		say_why(h, file, &why);
		return UNIT_REFUSED;
	}
	groups[i].sockets[groups[i].socket_n++] = TAKE_PTR(u);
	return 0;
}

/* Sockets=: each must lead here. */
static int check_sockets(struct unit_files *h, const struct unit_group *g)
{
	const struct unit_list *names = &g->unit->service.sockets;
	struct unit_why why = {0};
	char about[ABOUT_MAX];

	for (size_t i = 0; i < names->item_n; i++) {
		size_t n = strlen(names->items[i]) - strlen(".socket"), k = 0;

		while (k < g->socket_n && (strncmp(g->sockets[k]->name, names->items[i], n) != 0 ||
					   g->sockets[k]->name[n]))
			k++;
		if (k < g->socket_n)
			continue;
		(void)snprintf(why.text, sizeof(why.text),
			       "Sockets=%.80s: it has no Service= that leads here, or was refused",
			       names->items[i]);
		(void)snprintf(about, sizeof(about), "%s.service", g->name);
		say_why(h, about, &why);
		return UNIT_REFUSED;
	}
	return 0;
}

static int read_service(struct unit_files *h, struct unit_group *g)
{
	char file[UNIT_NAME_MAX + 16];
	int r;

	g->unit = unit_new();
	if (!g->unit)
		return fault(-ENOMEM);
	(void)snprintf(file, sizeof(file), "%s.service", g->name);
	r = read_unit(h, g->unit, UNIT_SERVICE, file);
	return r ? r : check_sockets(h, g);
}

/* Said once: such a service is not started by anything here. */
static void say_left(struct unit_files *h, const struct unit_group *groups, size_t group_n)
{
	const char *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < h->held_n; i++) {
		char file[UNIT_NAME_MAX + 16], template[ABOUT_MAX];
		bool led = !ends_with(h->held[i], ".service");

		for (size_t k = 0; k < group_n && !led; k++) {
			(void)snprintf(file, sizeof(file), "%s.service", groups[k].name);
			led = strcmp(file, h->held[i]) == 0 ||
			      (template_of(file, template) && strcmp(template, h->held[i]) == 0);
		}
		if (led)
			continue;
		services_add_left(h->s, h->held[i], "no socket leads to it");
		first = n++ ? first : h->held[i];
	}
	if (n)
		service_say(h->s, SERVICES_SAY_WARN,
			    "services: %s: no .socket leads to %s%s: nothing starts %s here",
			    h->name, first, n > 1 ? " and others" : "", n > 1 ? "them" : "it");
}

static int each_group(struct unit_files *h, struct unit_group *groups, size_t group_n,
		      unit_group_fn fn, uint32_t *refused_n)
{
	int r = 0;

	for (size_t i = 0; i < group_n && r >= 0; i++) {
		r = read_service(h, &groups[i]);
		if (!r)
			r = fn(h->s, &groups[i]);
		*refused_n += r > 0;
	}
	return r < 0 ? r : 0;
}

int unit_groups_read(struct services *s, const char *dir, unit_group_fn fn, uint32_t *refused_n)
{
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(freep) struct unit_group *groups = NULL;
	_cleanup_(freep) struct unit_files *h = calloc(1, sizeof(*h));
	_cleanup_(freep) char **held = NULL;
	struct dirent **names = NULL;
	size_t group_n = 0;
	int n, r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : fault_errno();
	n = scandirat(fd, ".", &names, is_unit_file, alphasort);
	groups = calloc((size_t)(n > 0 ? n : 1), sizeof(*groups));
	held = calloc((size_t)(n > 0 ? n : 0) + 1, sizeof(*held));
	if (n < 0 || !groups || !held || !h)
		return fault(n < 0 ? -errno : -ENOMEM);
	h->s = s;
	h->name = dir;
	h->dir = fd;
	h->held = held;
	for (int i = 0; i < n; i++)
		held[h->held_n++] = names[i]->d_name;
	read_host(h);
	for (int i = 0; i < n && r >= 0; i++) {
		if (!ends_with(names[i]->d_name, ".socket"))
			continue;
		if (is_template(names[i]->d_name)) {
			service_say(s, SERVICES_SAY_INFO,
				    "services: %s/%s: a template: NAME@INSTANCE.socket is loaded",
				    dir, names[i]->d_name);
			continue;
		}
		r = add_socket(h, names[i]->d_name, groups, &group_n, (size_t)n);
		*refused_n += r > 0;
	}
	if (r >= 0) {
		say_left(h, groups, group_n);
		r = each_group(h, groups, group_n, fn, refused_n);
	}
	for (size_t i = 0; i < group_n; i++)
		unit_group_clear(&groups[i]);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return r < 0 ? r : 0;
}
