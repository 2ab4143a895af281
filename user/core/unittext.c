// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unittext.c - texts with their specifiers, lists, and why a line was refused. */
#include "core/unit_impl.h"

#include "base/ascii.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int unit_refuse(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	p->why->line = p->line;
	va_start(ap, fmt);
	(void)vsnprintf(p->why->text, sizeof(p->why->text), fmt, ap); /* cut is good enough */
	va_end(ap);
	return UNIT_REFUSED;
}

void unit_note(struct parse *p, const char *fmt, ...)
{
	struct unit_note *n = &p->u->notes[p->u->note_n];
	char text[224];
	va_list ap;

	if (p->u->note_n == UNIT_NOTE_MAX)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is good enough */
	va_end(ap);
	n->line = p->line;
	n->text = unit_text_put(p->u, text, strlen(text));
	p->u->note_n += n->text != NULL;
}

int unit_refuse_value(struct parse *p, const struct directive *d, const char *value,
		      const char *want)
{
	return unit_refuse(p, "%s=%.80s: %s", d->key, value, want);
}

void *unit_field(struct parse *p, const struct directive *d)
{
	return (char *)p->u + d->at;
}

const char *unit_text_put(struct unit *u, const char *s, size_t n)
{
	char *at = u->text + u->text_n;

	if (n >= TEXT_MAX - u->text_n)
		return NULL;
	memcpy(at, s, n);
	at[n] = '\0';
	u->text_n += n + 1;
	return at;
}

/* systemd-escape(1), undone: "-" is a slash, \x2d a byte. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		int high = s[0] == '\\' && s[1] == 'x' ? ascii_hex(s[2]) : -1;
		int low = high >= 0 ? ascii_hex(s[3]) : -1;

		if (low >= 0 && high * 16 + low) {
			*out++ = (char)(high * 16 + low);
			s += 3;
		} else {
			*out++ = *s == '-' ? '/' : *s;
		}
	}
	*out = '\0';
}

/* The part of a name NAME@INSTANCE that the specifier asks for; the capital of it unescaped. */
static void name_part(const char *name, char which, char *buf, size_t buf_n)
{
	const char *at = strchr(name, '@');
	const char *from = name, *to = at ? at : name + strlen(name);

	if (which == 'i' || which == 'I' || (which == 'f' && at && at[1])) {
		from = at ? at + 1 : to;
		to = from + strlen(from);
	}
	if (which == 'j' || which == 'J') {
		for (const char *c = from; c < to; c++)
			if (*c == '-')
				from = c + 1;
	}
	if (which == 'f')
		*buf++ = '/', buf_n--;
	(void)snprintf(buf, buf_n, "%.*s", (int)(to - from), from); /* a name has its maximum */
	if (which == 'I' || which == 'P' || which == 'J' || which == 'f')
		unescape(buf);
	if (which == 'f' && *buf == '/') /* of an absolute path, escaped as such */
		memmove(buf, buf + 1, strlen(buf));
}

/* The unit's file name: %n; with the directory it is in %y. */
static const char *unit_file(const struct parse *p, const char *dir, char *buf, size_t buf_n)
{
	int n = snprintf(buf, buf_n, "%s%s%s.%s", dir, *dir ? "/" : "", p->u->name,
			 p->u->kind == UNIT_SOCKET ? "socket" : "service");

	return (size_t)n < buf_n ? buf : NULL;
}

/* Of the host: NULL when we cannot say. */
static const char *host_specifier(const struct parse *p, char c, char *buf, size_t buf_n)
{
	const struct unit_host *h = p->host;

	if (!h)
		return NULL;
	switch (c) {
	case 'H':
	case 'q': /* without a pretty name it is the name */
		return h->host_name;
	case 'l':
		(void)snprintf(buf, buf_n, "%.*s", (int)strcspn(h->host_name, "."), h->host_name);
		return buf;
	case 'm':
		return h->machine_id;
	case 'b':
		return h->boot_id;
	case 'v':
		return h->kernel;
	case 'a':
		return h->architecture;
	case 's':
		return h->shell;
	case 'o':
		return h->os_id;
	case 'w':
		return h->os_version;
	case 'B':
		return h->os_build;
	case 'W':
		return h->os_variant;
	case 'M':
		return h->image_id;
	case 'A':
		return h->image_version;
	case 'Y':
		return h->directory;
	case 'y':
		return h->directory ? unit_file(p, h->directory, buf, buf_n) : NULL;
	default:
		return NULL;
	}
}

/* What %c stands for, in buf; NULL when we cannot say. */
static const char *specifier(const struct parse *p, char c, char *buf, size_t buf_n)
{
	static const struct {
		char c;
		const char *text;
	} fixed[] = {
		{'%', "%"},
		{'t', "/run"},
		{'S', "/var/lib"},
		{'C', "/var/cache"},
		{'L', "/var/log"},
		{'E', "/etc"},
		{'T', "/tmp"},
		{'V', "/var/tmp"},
		/* Of the service manager, not of User=: systemd.unit(5), "Specifiers". */
		{'u', "root"},
		{'U', "0"},
		{'g', "root"},
		{'G', "0"},
		{'h', "/root"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (fixed[i].c == c)
			return fixed[i].text;
	switch (c) {
	case 'n':
		return unit_file(p, "", buf, buf_n);
	case 'N':
		return p->u->name;
	case 'p':
	case 'P':
	case 'i':
	case 'I':
	case 'j':
	case 'J':
	case 'f':
		name_part(p->u->name, c, buf, buf_n);
		return buf;
	default:
		return host_specifier(p, c, buf, buf_n);
	}
}

/* Stores s with its specifiers replaced. */
int unit_text_expand(struct parse *p, const char *s, const char **ret)
{
	struct unit *u = p->u;
	size_t from = u->text_n, n = from;

	for (; *s; s++) {
		char buf[UNIT_PATH_BYTES];
		const char *piece = s;
		size_t piece_n = 1;

		if (*s == '%') {
			s++;
			piece = specifier(p, *s, buf, sizeof(buf));
			if (!*s || !piece)
				return unit_refuse(p, "specifier '%%%.1s' is not supported", s);
			piece_n = strlen(piece);
		}
		if (piece_n >= TEXT_MAX - n)
			return unit_refuse(p, "the unit's texts are longer than %d bytes",
					   TEXT_MAX);
		memcpy(u->text + n, piece, piece_n);
		n += piece_n;
	}
	u->text[n++] = '\0';
	u->text_n = n;
	*ret = u->text + from;
	return 0;
}

int unit_list_add(struct parse *p, const struct directive *d, struct unit_list *l, const char *item)
{
	if (l->item_n == l->item_max)
		return unit_refuse(p, "%s= has more than %zu entries", d->key, l->item_max);
	l->items[l->item_n++] = item;
	l->items[l->item_n] = NULL;
	return 0;
}

void unit_list_clear(struct unit_list *l)
{
	l->item_n = 0;
	l->items[0] = NULL;
}

void unit_list_init(struct unit *u, struct unit_list *l, size_t item_max)
{
	l->items = u->items + u->item_n;
	l->item_max = item_max;
	u->item_n += item_max + 1;
	unit_list_clear(l);
}

bool unit_is_absolute(const char *path)
{
	if (*path != '/')
		return false;
	for (const char *c = path; (c = strstr(c, "/..")); c += 3)
		if (c[3] == '\0' || c[3] == '/')
			return false; /* it could leave what it seems to be in */
	return true;
}

bool unit_is_user(const char *name)
{
	size_t n = strlen(name);

	/* useradd(8): what a name may be, and a number may be an id. */
	return n > 0 && n < 256 && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       n;
}

bool unit_is_variable(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		if (c != '_' && !ascii_is_alpha(c) && !(i > 0 && ascii_is_digit(c)))
			return false;
	}
	return n > 0;
}
