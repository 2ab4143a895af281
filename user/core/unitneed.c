// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * unitneed.c - what a unit says of others and of the host.
 *
 * Other units are not started or stopped from here. What one cannot do without (Requires=) must be up
 * whenever the daemon is, or be held here too; what it can do without (Wants=) is noted.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "core/unit_impl.h"
#include "core/unitvalue.h"

#include <string.h>

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), end_n = strlen(end);

	return n > end_n && strcmp(s + n - end_n, end) == 0;
}

/* Whether the unit that is read may count on the other: it is up anyway, or held here. */
static bool is_held(const struct parse *p, const char *name)
{
	/* What the boot has reached, or the manager brings, before it starts us. */
	static const char *const kinds[] = {".target", ".slice", ".mount", ".swap", ".automount"};
	static const char *const up[] = {"dbus.socket",
					 "dbus.service",
					 "systemd-journald.socket",
					 "systemd-journald.service",
					 "systemd-udevd.service",
					 "systemd-tmpfiles-setup.service"};
	const size_t name_n = strlen(p->u->name);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (ends_with(name, kinds[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(up); i++)
		if (strcmp(name, up[i]) == 0)
			return true;
	if (strncmp(name, p->u->name, name_n) == 0 &&
	    (strcmp(name + name_n, ".socket") == 0 || strcmp(name + name_n, ".service") == 0))
		return true;
	for (size_t i = 0; p->host && p->host->held && p->host->held[i]; i++)
		if (strcmp(p->host->held[i], name) == 0)
			return true;
	return false;
}

/* d->max: it can do without. */
int unit_set_need(struct parse *p, const struct directive *d, const char *value)
{
	bool quoted;
	int r;

	while (!(r = unitvalue_word(&value, p->u->word, UNIT_FILE_MAX, &quoted))) {
		const char *name;

		r = unit_text_expand(p, p->u->word, &name);
		if (r)
			return r;
		if (is_held(p, name))
			continue;
		if (!d->max)
			return unit_refuse_value(
				p, d, name,
				"other units are not started or stopped from here, and this one is "
				"not among those here");
		unit_note(p, "%s=%.80s: other units are not started or stopped from here", d->key,
			  name);
	}
	return r == UNIT_VALUE_END ? 0 : unit_refuse_value(p, d, value, "unbalanced quotes");
}

static int check_socket(struct parse *p, const struct directive *d, const char *word)
{
	if (!ends_with(word, ".socket") || !is_held(p, word))
		return unit_refuse_value(p, d, word, "not a socket that is held here");
	return 0;
}

int unit_set_sockets(struct parse *p, const struct directive *d, const char *value)
{
	return unit_set_words(p, d, value, "", check_socket);
}

int unit_set_slice(struct parse *p, const struct directive *d, const char *value)
{
	if (*value && !ends_with(value, ".slice"))
		return unit_refuse_value(p, d, value, "not a slice");
	if (*value)
		unit_note(p, "%s=%.80s: its control group is one of forewarm's", d->key, value);
	return 0;
}

/* StartLimit*= and the like: a number or a span. */
int unit_set_limit(struct parse *p, const struct directive *d, const char *value)
{
	uint64_t v = 0;

	if (*value && unitvalue_span_ns(value, &v))
		return unit_refuse_value(p, d, value, "neither a number nor a time span");
	if (v)
		unit_note(p,
			  "%s=%.40s: one that fails is tried ever more rarely, but never given up",
			  d->key, value);
	return 0;
}

static bool is_virtual(const char *value)
{
	static const char *const all[] = {"yes", "true", "1",	      "no",	      "false",
					  "0",	 "vm",	 "container", "private-users"};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(all[i], value) == 0)
			return true;
	return false;
}

int unit_set_condition(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_condition c = {.kind = (enum unit_condition_kind)d->max,
				   .assert = *d->key == 'A'};
	bool path = c.kind <= UNIT_IF_EXECUTABLE;
	int r;

	if (!*value) {
		p->u->condition_n = 0;
		return 0;
	}
	for (; *value == '|' || *value == '!'; value++) {
		c.trigger |= *value == '|';
		c.negate |= *value == '!';
	}
	value += strspn(value, " \t");
	r = unit_text_expand(p, value, &c.value);
	if (r)
		return r;
	if (!*c.value || (path && *c.value != '/'))
		return unit_refuse_value(p, d, value, path ? "not an absolute path" : "no value");
	if (c.kind == UNIT_IF_VIRTUAL && !is_virtual(c.value))
		return unit_refuse_value(p, d, value,
					 "not one of yes no vm container private-users");
	if (p->u->condition_n == UNIT_CONDITION_MAX)
		return unit_refuse(p, "more than %d conditions", UNIT_CONDITION_MAX);
	p->u->conditions[p->u->condition_n++] = c;
	return 0;
}

/* DeviceAllow=: what every sandbox has. */
int unit_set_device(struct parse *p, const struct directive *d, const char *value)
{
	static const char *const all[] = {"/dev/null",	  "/dev/zero", "/dev/full", "/dev/random",
					  "/dev/urandom", "/dev/tty",  "/dev/ptmx", "char-pts"};
	size_t n = strcspn(value, " \t");

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strlen(all[i]) == n && memcmp(all[i], value, n) == 0)
			return 0;
	return *value ? unit_refuse_value(p, d, value, "a sandbox has no such device") : 0;
}

/* RestrictNamespaces=: a sandbox forbids them all, which is any of these or more. */
int unit_set_namespaces(struct parse *p, const struct directive *d, const char *value)
{
	bool b;

	if (*value && unitvalue_bool(value, &b) == 0 && !b)
		return unit_refuse_value(p, d, value,
					 "cannot be switched off: every sandbox has it");
	return 0;
}
