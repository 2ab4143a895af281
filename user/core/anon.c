// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* anon.c - a path is walked component by component, an argument is a path, an option or a word. */
#include "core/anon.h"

#include "base/ascii.h"
#include "base/cleanup.h"
#include "core/naming.h"
#include "core/template.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

_Static_assert(ANON_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "long enough for xxhash");

/* Below these, names are those of the distribution. */
static const char *const public_trees[] = {
	"/usr",		"/lib",	     "/lib32",	      "/lib64",	      "/libx32",	"/bin",
	"/sbin",	"/etc",	     "/proc",	      "/sys",	      "/dev",		"/boot",
	"/run/systemd", "/run/dbus", "/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt",
};

/* Of these the name alone says nothing. */
static const char *const public_folders[] = {
	"/home",      "/root",	  "/tmp",	"/var", "/var/tmp",  "/var/lib",  "/var/log",
	"/var/cache", "/var/run", "/var/spool", "/run", "/run/user", "/run/lock", "/opt",
	"/srv",	      "/mnt",	  "/media",	"/nix", "/snap",
};

enum { EXTENSION_MAX = 6 };

struct output {
	char *buf;
	size_t used, max; /* max: without the NUL */
};

static void put(struct output *o, const char *s, size_t n)
{
	n = n < o->max - o->used ? n : o->max - o->used;
	memcpy(o->buf + o->used, s, n);
	o->used += n;
}

static void put_text(struct output *o, const char *s)
{
	put(o, s, strlen(s));
}

/* Begins with a letter, as the name of a command does. */
static void put_hash(const struct anon *a, struct output *o, const char *s, size_t n)
{
	char text[16];

	snprintf(text, sizeof(text), "x%08x",
		 (unsigned)XXH3_64bits_withSecret(s, n, a->secret, sizeof(a->secret)));
	put_text(o, text);
}

/* Where the extension of a component begins, or its end: ".py", ".so.6" and all behind ".so". */
static size_t extension_of(const char *s, size_t n)
{
	const char *so = memmem(s, n, ".so", 3);
	size_t i = n, k;

	if (so && so > s && (so + 3 == s + n || so[3] == '.'))
		return (size_t)(so - s);
	while (i && s[i - 1] != '.')
		i--;
	if (i < 2 || n - i == 0 || n - i >= EXTENSION_MAX)
		return n;
	for (k = i; k < n && ascii_is_alnum(s[k]); k++)
		;
	return k == n ? i - 1 : n;
}

static void put_component(const struct anon *a, struct output *o, const char *s, size_t n)
{
	size_t ext = extension_of(s, n);

	if (n == 0 || (n <= 2 && s[0] == '.' && s[n - 1] == '.')) {
		put(o, s, n);
		return;
	}
	if (s[0] == '.')
		put_text(o, ".");
	put_hash(a, o, s, ext);
	put(o, s + ext, n - ext);
}

/* How much of path may stay as it is. */
static size_t public_length(const char *path)
{
	size_t longest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(public_trees); i++) {
		size_t n = strlen(public_trees[i]);

		if (strncmp(path, public_trees[i], n) == 0 && (path[n] == '/' || !path[n]))
			return strlen(path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(public_folders); i++) {
		size_t n = strlen(public_folders[i]);

		if (strncmp(path, public_folders[i], n) == 0 && (path[n] == '/' || !path[n]) &&
		    n > longest)
			longest = n;
	}
	return longest;
}

static void put_path(const struct anon *a, struct output *o, const char *path)
{
	char template[OBS_NAME_MAX];
	const char *s;

	if (template_of(path, template, sizeof(template)) && !strstr(path, "*"))
		path = template;
	s = path + public_length(path);
	put(o, path, (size_t)(s - path));
	while (*s) {
		size_t n = strcspn(s, "/");

		put_component(a, o, s, n);
		s += n;
		if (*s == '/')
			put(o, s++, 1);
	}
}

/* "127.0.0.1:80" or "[fe80::1]:80": the host's own stays, others become private ones. */
static void put_address(const struct anon *a, struct output *o, const char *s)
{
	const char *port = strrchr(s, ':');
	size_t n = port ? (size_t)(port - s) : strlen(s);
	uint64_t h = XXH3_64bits_withSecret(s, n, a->secret, sizeof(a->secret));
	char text[48];

	if (strncmp(s, "127.", 4) == 0 || strncmp(s, "[::1]", 5) == 0 ||
	    strncmp(s, "0.0.0.0", 7) == 0 || strncmp(s, "[::]", 4) == 0) {
		put_text(o, s);
		return;
	}
	if (s[0] == '[')
		snprintf(text, sizeof(text), "[fd00::%x:%x]", (unsigned)(h & 0xffff),
			 (unsigned)(h >> 16 & 0xffff));
	else
		snprintf(text, sizeof(text), "10.%u.%u.%u", (unsigned)(h & 255),
			 (unsigned)(h >> 8 & 255), (unsigned)(h >> 16 & 255));
	put_text(o, text);
	if (port)
		put_text(o, port);
}

static void put_name(const struct anon *a, struct output *o, const char *name)
{
	static const char *const schemes[] = {"tcp:", "udp:"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (strncmp(name, schemes[i], 4) == 0) {
			put(o, name, 4);
			put_address(a, o, name + 4);
			return;
		}
	}
	if (naming_inner(name)) { /* which image it is, is a hash already */
		put(o, name, (size_t)(naming_inner(name) - name));
		name = naming_inner(name);
	}
	if (strncmp(name, "unix:", 5) == 0) {
		put(o, name, 5);
		name += 5;
	}
	if (name[0] == '/') {
		put_path(a, o, name);
		return;
	}
	if (name[0] == '@')
		put_text(o, "@");
	put_hash(a, o, name, strlen(name));
}

/* The length of "-x" or "--some-option" at the beginning, 0 for anything else. */
static size_t option_length(const char *s)
{
	size_t n = 2;

	if (s[0] != '-' || !ascii_is_alnum(s[1]))
		return s[0] == '-' && s[1] == '-' && ascii_is_alnum(s[2])
			       ? 2 + strspn(s + 2, "abcdefghijklmnopqrstuvwxyz0123456789-")
			       : 0;
	return n;
}

static void put_arg(const struct anon *a, struct output *o, const char *s)
{
	size_t n = option_length(s);

	if (n) {
		put(o, s, n);
		if (s[n])
			put_text(o, "***");
	} else if (s[0] == '-' && (!s[1] || strcmp(s, "--") == 0)) {
		put_text(o, s);
	} else if (s[0] == '/') {
		put_path(a, o, s);
	} else if (strchr(s, '/')) {
		for (size_t len; *s; s += len) {
			len = strcspn(s, "/");
			put_component(a, o, s, len);
			if (s[len] == '/')
				put(o, s + len++, 1);
		}
	} else if (*s) {
		put_component(a, o, s, strlen(s));
	}
}

static size_t put_args(const struct anon *a, const struct obs *in, char *ret)
{
	struct output o = {.buf = ret, .max = OBS_ARGS_MAX - 1};
	char arg[OBS_ARGS_MAX + 1];

	for (size_t at = 0; at < in->args_len && o.used < o.max;) {
		size_t n = strnlen(in->args + at, in->args_len - at);

		memcpy(arg, in->args + at, n);
		arg[n] = 0;
		if (at == 0 && arg[0] != '/' && !strchr(arg, '/'))
			put_text(&o,
				 arg); /* the program's name, which is told by its path anyway */
		else
			put_arg(a, &o, arg);
		if (at + n < in->args_len)
			put(&o, "", 1);
		at += n + 1;
	}
	return o.used;
}

void anon_name(const struct anon *a, const char *name, char *ret)
{
	struct output o = {.buf = ret, .max = OBS_NAME_MAX - 1};

	put_name(a, &o, name);
	ret[o.used] = 0;
}

void anon_obs(struct anon *a, const struct obs *o, struct obs *ret)
{
	*ret = *o;
	if (o->name) {
		anon_name(a, o->name, a->name);
		ret->name = a->name;
	}
	if (o->script) {
		anon_name(a, o->script, a->script);
		ret->script = a->script;
	}
	if (o->args && o->args_len <= OBS_ARGS_MAX) {
		ret->args_len = put_args(a, o, a->args);
		ret->args = a->args;
	}
}
