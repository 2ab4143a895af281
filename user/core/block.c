// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * block.c - four families of programs take an argument that decides what they will need:
 *
 *   interpreters   the first argument that is not an option is the program; -c/-e code is inline,
 *                  -m a module, java's -jar an archive.
 *   multi-commands the first word that is not an option is the command; some options before it
 *                  take a value (git -C DIR).
 *   wrappers       start another program (timeout, sudo, env): what that is.
 *   modal tools    an option decides (gcc -c compiles, without it links).
 *
 * Everything else is one block however it is called: `grep foo` and `grep bar` need the same.
 */
#include "core/block.h"

#include "base/cleanup.h"
#include "core/template.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

struct family {
	const char *stem;	/* base name; a version behind it is ignored (python3.11) */
	const char *code;	/* INTERPRETER: options whose value is inline code */
	const char *module;	/* INTERPRETER: options whose value names a module or archive */
	const char *with_value; /* other options which take a value, each between spaces */
};

static const struct family interpreters[] = {
	{"python", " -c ", " -m ", " -W -X --check-hash-based-pycs "},
	{"pypy", " -c ", " -m ", " -W -X "},
	{"perl", " -e -E ", " -M ", " -I "},
	{"ruby", " -e ", NULL, " -r -I -C "},
	{"node", " -e --eval -p --print ", NULL, " -r --require --import --loader "},
	{"nodejs", " -e --eval -p --print ", NULL, " -r --require --import --loader "},
	{"bash", " -c ", NULL, " -o +o -O +O --rcfile --init-file "},
	{"dash", " -c ", NULL, " -o +o "},
	{"sh", " -c ", NULL, " -o +o "},
	{"zsh", " -c ", NULL, " -o +o "},
	{"ksh", " -c ", NULL, " -o +o "},
	{"php", " -r ", NULL, " -d -c "},
	{"lua", " -e ", NULL, " -l "},
	{"luajit", " -e ", NULL, " -l "},
	{"java", NULL, " -jar --module -m ", " -cp -classpath --class-path -p --module-path "},
	{"guile", " -c ", NULL, " -L -l "},
	{"tclsh", NULL, NULL, NULL},
	{"Rscript", " -e ", NULL, NULL},
};

static const struct family commands[] = {
	{"git", NULL, NULL, " -C -c --git-dir --work-tree --namespace --exec-path "},
	{"apt", NULL, NULL, " -o -c -t "},
	{"apt-get", NULL, NULL, " -o -c -t "},
	{"apt-cache", NULL, NULL, " -o -c "},
	{"apt-config", NULL, NULL, " -o -c "},
	{"bpftool", NULL, NULL, NULL},
	{"cargo", NULL, NULL, " --config -C -Z --color "},
	{"docker", NULL, NULL, " -H --host -c --context -l "},
	{"podman", NULL, NULL, " --root --runroot "},
	{"dotnet", NULL, NULL, NULL},
	{"go", NULL, NULL, " -C "},
	{"helm", NULL, NULL, " -n --namespace "},
	{"ip", NULL, NULL, " -n -netns -f -family "},
	{"kubectl", NULL, NULL, " -n --namespace --context --kubeconfig "},
	{"npm", NULL, NULL, " --prefix -w "},
	{"npx", NULL, NULL, NULL},
	{"yarn", NULL, NULL, NULL},
	{"pnpm", NULL, NULL, NULL},
	{"openssl", NULL, NULL, NULL},
	{"pip", NULL, NULL, NULL},
	{"svn", NULL, NULL, NULL},
	{"hg", NULL, NULL, " -R "},
	{"systemctl", NULL, NULL, " -H -M -t -p -s -n -o "},
	{"loginctl", NULL, NULL, NULL},
	{"terraform", NULL, NULL, NULL},
	{"forewarm", NULL, NULL, " --socket "},
};

#define WRAPPER_POSITIONAL_MAX 1

static const struct wrapper {
	const char *stem, *with_value;
	int positional_n; /* of its own, before the command */
} wrappers[] = {
	{"timeout", " -k --kill-after -s --signal ", 1},
	{"env", " -u --unset -C --chdir ", 0}, /* NAME=VALUE is passed over everywhere */
	{"sudo", " -u -g -h -p -U -C -D -R -T ", 0},
	{"doas", " -u -C ", 0},
	{"nice", " -n ", 0},
	{"ionice", " -c -n -P -p -u ", 0},
	{"nohup", NULL, 0},
	{"setsid", NULL, 0},
	{"stdbuf", " -i -o -e ", 0},
	{"time", " -f -o ", 0},
	{"xargs", " -I -L -n -P -s -a -d -E ", 0},
	{"flock", " -w --wait --timeout -E ", 1},
	{"taskset", " -p ", 1},
	{"chrt", " -T -P -D ", 1},
	{"strace", " -e -o -p -s -a -b -E -O -S -u -P ", 0},
	{"chroot", NULL, 1},
	{"setpriv", NULL, 0},
	{"runuser", " -u -g -G ", 0},
	{"unshare", NULL, 0},
};

/* Modes which the option itself names. */
static const struct {
	const char *stem;
	const char *modes;
} modal[] = {
	{"gcc", " -c -E -S -M -MM "},
	{"g++", " -c -E -S -M -MM "},
	{"cc", " -c -E -S -M -MM "},
	{"c++", " -c -E -S -M -MM "},
	{"clang", " -c -E -S -cc1 "},
	{"clang++", " -c -E -S -cc1 "},
	{"x86_64-linux-gnu-gcc", " -c -E -S "},
	{"x86_64-linux-gnu-g++", " -c -E -S "},
	{"aarch64-linux-gnu-gcc", " -c -E -S "},
	{"aarch64-linux-gnu-g++", " -c -E -S "},
	{"tar", " -c -x -t cf xf tf czf xzf cJf xJf -cf -xf -tf -czf -xzf "},
	{"dpkg", " -i -l -L -S -s --install --unpack --configure --list --status "},
};

/* "python3.11" is python, "gcc-12" gcc; "x86_64-linux-gnu-gcc-12" has a row of its own. */
static bool stem_is(const char *base, const char *stem)
{
	size_t n;

	if (base[0] != stem[0]) /* most of them: each start is compared with all */
		return false;
	n = strlen(stem);
	if (strncmp(base, stem, n) != 0)
		return false;
	base += n;
	return base[strspn(base, "0123456789.-")] == '\0';
}

static bool in_list(const char *list, const char *word)
{
	size_t n = strlen(word);

	if (!list || !n)
		return false;
	for (const char *p = list; (p = strstr(p, word)) != NULL; p++)
		if (p > list && p[-1] == ' ' && p[n] == ' ')
			return true;
	return false;
}

/* The argument after a, or NULL. argv ends where args_len says, a last one without NUL is left out. */
static const char *next_arg(const struct obs *o, const char *a)
{
	const char *end = o->args + o->args_len;
	size_t n;

	if (!o->args || !o->args_len)
		return NULL;
	if (a) {
		n = strnlen(a, (size_t)(end - a));
		if (a + n + 1 >= end)
			return NULL;
		a += n + 1;
	} else {
		a = o->args;
	}
	return memchr(a, '\0', (size_t)(end - a)) ? a : NULL;
}

/* A word that can be a command's name and is not somebody's data. */
static bool is_command_word(const char *a)
{
	size_t n = strspn(a, "abcdefghijklmnopqrstuvwxyz0123456789-_:");

	return n > 0 && n <= 32 && a[n] == '\0' && a[0] >= 'a' && a[0] <= 'z';
}

static void hash_text(const char *text, char ret[16])
{
	snprintf(ret, 16, "#%08x", (unsigned int)XXH3_64bits(text, strlen(text)));
}

/* "-ec" is "-c" too, and perl's "-ne" "-e": the last letter of a few takes the value. */
static bool is_code(const char *options, const char *a)
{
	size_t n = strspn(a, "-abcdefghijklmnopqrstuvwxyz");
	char last[] = {'-', '\0', '\0'};

	if (in_list(options, a))
		return true;
	if (a[0] != '-' || a[1] == '-' || n < 3 || n > 4 || a[n])
		return false;
	last[1] = a[n - 1];
	return in_list(options, last);
}

/* What tells an interpreter's runs apart; false when nothing does. */
static bool interpreter_arg(const struct obs *o, const struct family *f, char *ret, size_t max)
{
	const char *a = next_arg(o, NULL), *v;
	char hash[16];

	if (o->script) {
		snprintf(ret, max, "%s", o->script);
		return true;
	}
	while (a && (a = next_arg(o, a)) != NULL) {
		if (is_code(f->code, a)) {
			v = next_arg(o, a);
			if (!v)
				return false;
			hash_text(v, hash);
			snprintf(ret, max, "%s %s", a, hash);
			return true;
		}
		if (in_list(f->module, a)) {
			v = next_arg(o, a);
			if (!v)
				return false;
			snprintf(ret, max, "%s %s", a, v);
			return true;
		}
		if (in_list(f->with_value, a)) {
			a = next_arg(o, a);
			continue;
		}
		if (strcmp(a, "--") == 0 || a[0] == '+' || (a[0] == '-' && a[1]))
			continue;
		if (a[0] == '-') /* standard input */
			return false;
		snprintf(ret, max, "%s", a);
		return true;
	}
	return false;
}

static bool command_arg(const struct obs *o, const struct family *f, char *ret, size_t max)
{
	const char *a = next_arg(o, NULL);

	while (a && (a = next_arg(o, a)) != NULL) {
		if (in_list(f->with_value, a)) {
			a = next_arg(o, a);
			continue;
		}
		if (a[0] == '-')
			continue;
		if (!is_command_word(a))
			return false;
		snprintf(ret, max, "%s", a);
		return true;
	}
	return false;
}

static const struct wrapper *wrapper_of(const char *base)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++)
		if (stem_is(base, wrappers[i].stem))
			return &wrappers[i];
	return NULL;
}

/* Base name of the command a wrapper starts. */
static bool wrapper_arg(const struct obs *o, const struct wrapper *w, char *ret, size_t max)
{
	const char *a = next_arg(o, NULL), *slash;
	int positional_n = w->positional_n;

	while (a && (a = next_arg(o, a)) != NULL) {
		if (in_list(w->with_value, a)) {
			a = next_arg(o, a);
			continue;
		}
		if (a[0] == '-' || !a[0] || strchr(a, '=') || positional_n-- > 0)
			continue;
		slash = strrchr(a, '/');
		snprintf(ret, max, "%s", slash && slash[1] ? slash + 1 : a);
		return true;
	}
	return false;
}

static bool modal_arg(const struct obs *o, const char *modes, char *ret, size_t max)
{
	const char *a = next_arg(o, NULL);

	while (a && (a = next_arg(o, a)) != NULL) {
		if (in_list(modes, a)) {
			snprintf(ret, max, "%s", a);
			return true;
		}
	}
	return false;
}

static bool telling_arg(const struct obs *o, const char *base, char *ret, size_t max)
{
	if (strcmp(base, "busybox") == 0) /* it is called by the applet's name */
		return command_arg(o, &(struct family){0}, ret, max);
	if (stem_is(base, "awk") || stem_is(base, "mawk") || stem_is(base, "gawk"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(interpreters); i++)
		if (stem_is(base, interpreters[i].stem))
			return interpreter_arg(o, &interpreters[i], ret, max);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (stem_is(base, commands[i].stem))
			return command_arg(o, &commands[i], ret, max);
	if (wrapper_of(base))
		return wrapper_arg(o, wrapper_of(base), ret, max);
	for (size_t i = 0; i < ARRAY_SIZE(modal); i++)
		if (stem_is(base, modal[i].stem))
			return modal_arg(o, modal[i].modes, ret, max);
	if (o->script) { /* an interpreter we have no row for */
		snprintf(ret, max, "%s", o->script);
		return true;
	}
	return false;
}

size_t block_name(const struct obs *o, char name[BLOCK_NAME_MAX])
{
	char arg[OBS_ARGS_MAX + OBS_NAME_MAX], steady[OBS_NAME_MAX], hash[16];
	const char *slash = strrchr(o->name, '/');
	size_t prog_n = strnlen(o->name, BLOCK_NAME_MAX);
	int n;

	if (prog_n >= BLOCK_NAME_MAX - 16) {
		hash_text(o->name, hash);
		n = snprintf(name, BLOCK_NAME_MAX, "%.*s%s", BLOCK_NAME_MAX - 32, o->name, hash);
		return (size_t)n;
	}
	if (!telling_arg(o, slash ? slash + 1 : o->name, arg, sizeof(arg))) {
		memcpy(name, o->name, prog_n + 1);
		return prog_n;
	}
	/* A script in a temporary folder is the same script in the next one. */
	if (strlen(arg) < sizeof(steady) && template_of(arg, steady, sizeof(steady)))
		n = snprintf(name, BLOCK_NAME_MAX, "%s %s", o->name, steady);
	else
		n = snprintf(name, BLOCK_NAME_MAX, "%s %s", o->name, arg);
	if (n >= BLOCK_NAME_MAX) {
		hash_text(arg, hash);
		snprintf(name + BLOCK_NAME_MAX - 16, 16, "%s", hash);
	}
	return prog_n;
}

size_t block_redact(const struct obs *o, char args[OBS_ARGS_MAX])
{
	char arg[OBS_ARGS_MAX + OBS_NAME_MAX];
	const char *slash = strrchr(o->name, '/'), *base = slash ? slash + 1 : o->name;
	size_t n = strnlen(base, 64); /* what is longer is not needed for the name */
	char *blank;
	size_t arg_n;

	memcpy(args, base, n);
	args[n++] = '\0';
	if (o->script || !telling_arg(o, base, arg, sizeof(arg)))
		return n;
	arg_n = strlen(arg);
	if (n + arg_n + 1 + 2 * WRAPPER_POSITIONAL_MAX > OBS_ARGS_MAX)
		return n;
	/* timeout's seconds are gone, but the command is still its second argument. */
	for (int i = 0; wrapper_of(base) && i < wrapper_of(base)->positional_n; i++) {
		args[n++] = '.';
		args[n++] = '\0';
	}
	/* "-m module" were two arguments; a path with a blank in it was one. */
	blank = arg[0] == '-' ? strchr(arg, ' ') : NULL;
	if (blank)
		*blank = '\0';
	memcpy(args + n, arg, arg_n + 1);
	return n + arg_n + 1;
}
