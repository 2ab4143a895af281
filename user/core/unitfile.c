// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * unitfile.c - lines into keys, keys through one table (unittable.c) into fields.
 *
 * A reader gets the value with blanks trimmed; an empty value puts the default back, as systemd has it.
 */
#include "core/unitfile.h"

#include "base/err.h"
#include "core/unit_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int assign(struct parse *p, const char *key, const char *value)
{
	struct directive d;
	bool known = false;

	if (unit_directive(p->section, key, &d, &known)) {
		if (!*value && unit_put_default(p, &d))
			return 0;
		return d.set(p, &d, value);
	}
	if (known)
		return unit_refuse(p, "%.60s= does not belong in [%s]", key, p->section);
	if (strncmp(key, "X-", 2) == 0 && strncmp(key, "X-Forewarm-", 11) != 0)
		return 0;
	return unit_refuse(p, "directive '%.80s' is not supported", key);
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

static int section(struct parse *p, char *line)
{
	size_t n = strlen(line);
	const char *own = p->u->kind == UNIT_SOCKET ? "Socket" : "Service";

	if (n < 3 || line[n - 1] != ']' || n - 2 >= sizeof(p->section))
		return unit_refuse(p, "'%.60s' is not a section", line);
	memcpy(p->section, line + 1, n - 2);
	p->section[n - 2] = '\0';
	if (strcmp(p->section, "Unit") != 0 && strcmp(p->section, "Install") != 0 &&
	    strncmp(p->section, "X-", 2) != 0 && strcmp(p->section, own) != 0)
		return unit_refuse(p, "section [%.60s] does not belong in a .%s file", p->section,
				   p->u->kind == UNIT_SOCKET ? "socket" : "service");
	return 0;
}

/* One logical line, continuations joined. */
static int logical_line(struct parse *p, char *line)
{
	char *eq;

	line = trim(line);
	if (!*line)
		return 0;
	if (*line == '[')
		return section(p, line);
	eq = strchr(line, '=');
	if (!eq || eq == line)
		return unit_refuse(p, "'%.60s' is neither a section nor KEY=VALUE", line);
	if (!p->section[0])
		return unit_refuse(p, "'%.60s' is before the first section", line);
	*eq = '\0';
	if (strncmp(p->section, "X-", 2) == 0)
		return 0; /* sections for others */
	return assign(p, trim(line), trim(eq + 1));
}

/* Whether the last byte of the line is a backslash that is not itself escaped. */
static bool is_continued(const char *s, size_t n)
{
	bool escaped = false;

	for (size_t i = 0; i < n; i++)
		escaped = !escaped && s[i] == '\\';
	return escaped;
}

/* Physical lines into logical ones. A comment inside a continued line is left out, as systemd
 * does; the line a fault is reported at is the one its logical line began on. */
static int lines(struct parse *p, const char *bytes, size_t byte_n)
{
	char *line = p->u->line;
	size_t at = 0, n = 0;
	unsigned physical = 0;
	bool open = false;

	if (byte_n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
		at = 3; /* a byte order mark */
	while (at < byte_n) {
		const char *from = bytes + at, *to = memchr(from, '\n', byte_n - at);
		size_t len = to ? (size_t)(to - from) : byte_n - at, blank = 0;
		int r;

		physical++;
		at += len + 1;
		if (len && from[len - 1] == '\r')
			len--;
		while (blank < len && (from[blank] == ' ' || from[blank] == '\t'))
			blank++;
		if (blank < len && (from[blank] == '#' || from[blank] == ';'))
			continue;
		if (!open) {
			p->line = physical;
			n = 0;
		}
		memcpy(line + n, from, len);
		n += len;
		/* What was joined before ends in the blank its backslash became. */
		open = is_continued(line + n - len, len);
		if (open) {
			line[n - 1] = ' ';
			continue;
		}
		line[n] = '\0';
		r = logical_line(p, line);
		if (r)
			return r;
	}
	if (!open)
		return 0;
	line[n] = '\0';
	return logical_line(p, line);
}

static size_t unix_n(const struct unit_socket *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->listen_n; i++)
		n += s->listens[i].family == UNIT_UNIX;
	return n;
}

/* What only the whole file can tell. */
static int complete(struct parse *p)
{
	const struct unit *u = p->u;

	p->line = 0;
	if (u->kind == UNIT_SOCKET && u->socket.listen_n == 0)
		return unit_refuse(p,
				   "no ListenStream=, ListenDatagram= or ListenSequentialPacket=");
	if (u->kind == UNIT_SERVICE && !u->service.execs[UNIT_START].n)
		return unit_refuse(p, "no ExecStart=");
	if (u->kind == UNIT_SOCKET && u->socket.symlinks.item_n && unix_n(&u->socket) != 1)
		return unit_refuse(p,
				   "Symlinks= needs one UNIX socket in the file system to lead to");
	if (u->kind == UNIT_SERVICE && u->service.proxy_set && u->service.watchdog_ns)
		return unit_refuse(p,
				   "X-Forewarm-Proxy= is for services that know no WatchdogSec=");
	if (u->kind == UNIT_SERVICE && u->service.proxy_set && u->service.type == UNIT_TYPE_NOTIFY)
		return unit_refuse(
			p, "X-Forewarm-Proxy= is for services that do not know Type=notify");
	return 0;
}

static int take_name(struct parse *p, const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@\\";
	const char *suffix = p->u->kind == UNIT_SOCKET ? ".socket" : ".service";
	size_t n = strlen(name), suffix_n = strlen(suffix);

	if (n > suffix_n && strcmp(name + n - suffix_n, suffix) == 0)
		n -= suffix_n;
	if (n == 0 || n > UNIT_NAME_MAX || name[0] == '.' || strspn(name, allowed) < n)
		return unit_refuse(p, "'%.80s' is not a name for a unit", name);
	p->u->name = unit_text_put(p->u, name, n);
	return 0;
}

/* --- public -------------------------------------------------------------------------------- */

struct unit *unit_new(void)
{
	struct unit *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->text = malloc(TEXT_MAX);
	u->line = malloc(UNIT_FILE_MAX + 1);
	u->word = malloc(UNIT_FILE_MAX + 1);
	u->items = calloc(unit_items_max(), sizeof(*u->items));
	if (!u->text || !u->line || !u->word || !u->items)
		return unit_free(u);
	return u;
}

struct unit *unit_free(struct unit *u)
{
	if (!u)
		return NULL;
	free(u->text);
	free(u->line);
	free(u->word);
	free(u->items);
	free(u);
	return NULL;
}

int unit_begin(struct unit *u, enum unit_kind kind, const char *name, struct unit_why *ret_why)
{
	struct parse p = {.u = u, .why = ret_why};

	u->kind = kind;
	u->text_n = 0;
	u->name = NULL;
	unit_defaults(u);
	return take_name(&p, name);
}

int unit_add(struct unit *u, const struct unit_host *host, const char *bytes, size_t byte_n,
	     struct unit_why *ret_why)
{
	struct parse p = {.u = u, .host = host, .why = ret_why};

	if (byte_n > UNIT_FILE_MAX)
		return unit_refuse(&p, "longer than %d bytes", UNIT_FILE_MAX);
	if (memchr(bytes, '\0', byte_n))
		return unit_refuse(&p, "has a NUL byte");
	return lines(&p, bytes, byte_n);
}

int unit_complete(struct unit *u, struct unit_why *ret_why)
{
	struct parse p = {.u = u, .why = ret_why};

	return complete(&p);
}

int unit_parse(struct unit *u, enum unit_kind kind, const char *name, const struct unit_host *host,
	       const char *bytes, size_t byte_n, struct unit_why *ret_why)
{
	int r = unit_begin(u, kind, name, ret_why);

	if (!r)
		r = unit_add(u, host, bytes, byte_n, ret_why);
	return r ? r : unit_complete(u, ret_why);
}
