// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* service_env.c - the environment of a service, as systemd.exec(5) puts it together. */
#include "base/cleanup.h"
#include "base/err.h"
#include "sys/service_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENV_FILE_MAX = 64 * 1024 };

/* The last assignment of a name wins. */
int service_env_put(struct service_env *e, const char *assignment)
{
	size_t n = strlen(assignment) + 1, name_n = strcspn(assignment, "=") + 1;
	char *at = e->text + e->text_n;
	size_t i = 0;

	if (n > RECIPE_TEXT_MAX - e->text_n)
		return fault(-E2BIG);
	while (i < e->item_n && strncmp(e->items[i], assignment, name_n) != 0)
		i++;
	if (i == SERVICE_ENV_MAX)
		return fault(-E2BIG);
	memcpy(at, assignment, n);
	e->text_n += n;
	e->items[i] = at;
	if (i == e->item_n)
		e->items[++e->item_n] = NULL;
	return 0;
}

static int env_set(struct service_env *e, const char *name, const char *value)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s=%s", name, value); /* the recipe bounds both */
	return service_env_put(e, text);
}

static void env_unset(struct service_env *e, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < e->item_n;) {
		bool whole = strchr(name, '=') != NULL;
		const char *item = e->items[i];

		if (whole ? strcmp(item, name) == 0 : strncmp(item, name, n) == 0 && item[n] == '=')
			e->items[i] = e->items[--e->item_n];
		else
			i++;
	}
	e->items[e->item_n] = NULL;
}

/* One line of an EnvironmentFile=: NAME=value, quotes around the value dropped, # and ; comments. */
static int env_line(struct service_env *e, char *line)
{
	char *eq, *end;

	line += strspn(line, " \t");
	if (!*line || *line == '#' || *line == ';')
		return 0;
	eq = strchr(line, '=');
	if (!eq || eq == line)
		return 0; /* systemd too passes over what is no assignment */
	end = line + strlen(line);
	while (end > eq + 1 && strchr(" \t\r", end[-1]))
		*--end = '\0';
	if (end - eq > 2 && (eq[1] == '"' || eq[1] == '\'') && end[-1] == eq[1]) {
		end[-1] = '\0';
		memmove(eq + 1, eq + 2, (size_t)(end - eq - 2));
	}
	return service_env_put(e, line);
}

static int env_file(struct service_env *e, const char *path)
{
	bool optional = *path == '-';
	_cleanup_(fclosep) FILE *f = fopen(path + optional, "re");
	_cleanup_(freep) char *line = NULL;
	size_t room = 0, sum = 0;
	ssize_t n;
	int r;

	if (!f)
		return optional ? 0 : fault_errno();
	while ((n = getline(&line, &room, f)) > 0) {
		sum += (size_t)n;
		if (sum > ENV_FILE_MAX)
			return fault(-E2BIG);
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		r = env_line(e, line);
		if (r < 0)
			return r;
	}
	return 0;
}

/* RUNTIME_DIRECTORY and its kin: the paths, with colons between. */
static int env_dirs(const struct recipe *r, enum unit_dir dir, struct service_env *e)
{
	const struct unit_list *names = &r->unit->dirs[dir].names;
	char text[UNIT_DIRS_MAX * 256];
	size_t n;

	if (!names->item_n)
		return 0;
	n = (size_t)snprintf(text, sizeof(text), "%s=", service_dir_variable(dir));
	for (size_t i = 0; i < names->item_n && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s/%s", i ? ":" : "",
				      service_dir_base(dir), names->items[i]);
	return n < sizeof(text) ? service_env_put(e, text) : fault(-E2BIG);
}

int service_env_make(const struct recipe *r, struct service_env *e)
{
	const struct unit_service *u = r->unit;
	int err = service_env_put(
		e, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

	if (!err)
		err = service_env_put(e, "LANG=C.UTF-8");
	if (!err && u->user) {
		err = env_set(e, "USER", r->user);
		if (!err)
			err = env_set(e, "LOGNAME", r->user);
		if (!err)
			err = env_set(e, "HOME", r->home);
		if (!err)
			err = env_set(e, "SHELL", r->shell);
	}
	if (!err && (u->type == UNIT_TYPE_NOTIFY || u->proxy_set || u->watchdog_ns))
		err = service_env_put(e, "NOTIFY_SOCKET=" SERVICE_NOTIFY_DIR "/notify");
	if (!err && u->watchdog_ns) {
		char text[48];

		(void)snprintf(text, sizeof(text), "WATCHDOG_USEC=%llu",
			       (unsigned long long)u->watchdog_ns / 1000);
		err = service_env_put(e, text);
	}
	for (size_t i = 0; i < UNIT_DIR_MAX && !err; i++)
		err = env_dirs(r, (enum unit_dir)i, e);
	for (size_t i = 0; i < u->environment.item_n && !err; i++)
		err = service_env_put(e, u->environment.items[i]);
	for (size_t i = 0; i < u->environment_files.item_n && !err; i++)
		err = env_file(e, u->environment_files.items[i]);
	for (size_t i = 0; i < u->unset_environment.item_n && !err; i++)
		env_unset(e, u->unset_environment.items[i]);
	return err;
}
