// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unitexpand.c - $FOO and ${FOO} in a command, as systemd.service(5) has it. */
#include "core/unit_impl.h"
#include "core/unitvalue.h"

#include <string.h>

struct expand {
	char *buf;
	size_t buf_n, used_n;
	char **argv;
	size_t argv_n, argv_max;
};

static int expand_bytes(struct expand *x, const char *s, size_t n)
{
	if (n >= x->buf_n - x->used_n)
		return UNIT_REFUSED;
	memcpy(x->buf + x->used_n, s, n);
	x->used_n += n;
	return 0;
}

/* Ends the word that begins at from. */
static int expand_end(struct expand *x, size_t from)
{
	if (x->argv_n + 1 >= x->argv_max || x->used_n >= x->buf_n)
		return UNIT_REFUSED;
	x->buf[x->used_n++] = '\0';
	x->argv[x->argv_n++] = x->buf + from;
	x->argv[x->argv_n] = NULL;
	return 0;
}

/* The last assignment wins; "" when there is none. */
static const char *env_get(const char *const *env, const char *name, size_t n)
{
	const char *found = "";

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			found = *env + n + 1;
	return found;
}

/* "$FOO" as a word of its own: the value, split into words, possibly none. */
static int expand_words(struct expand *x, const char *value)
{
	bool quoted;
	int r;

	for (;;) {
		size_t from = x->used_n;

		r = unitvalue_word(&value, x->buf + from, x->buf_n - from, &quoted);
		if (r == UNIT_VALUE_END)
			return 0;
		if (r)
			return UNIT_REFUSED;
		x->used_n += strlen(x->buf + from);
		if (expand_end(x, from))
			return UNIT_REFUSED;
	}
}

static int expand_word(struct expand *x, const char *s, const char *const *env)
{
	size_t from = x->used_n;

	if (s[0] == '$' && unit_is_variable(s + 1, strlen(s + 1)))
		return expand_words(x, env_get(env, s + 1, strlen(s + 1)));
	while (*s) {
		const char *end = s[0] == '$' && s[1] == '{' ? strchr(s, '}') : NULL;
		const char *value;

		if (s[0] == '$' && s[1] == '$') {
			if (expand_bytes(x, "$", 1))
				return UNIT_REFUSED;
			s += 2;
		} else if (end && unit_is_variable(s + 2, (size_t)(end - s - 2))) {
			value = env_get(env, s + 2, (size_t)(end - s - 2));
			if (expand_bytes(x, value, strlen(value)))
				return UNIT_REFUSED;
			s = end + 1;
		} else {
			if (expand_bytes(x, s++, 1))
				return UNIT_REFUSED;
		}
	}
	return expand_end(x, from);
}

int unit_expand(const struct unit_exec *e, const char *const *env, char *buf, size_t buf_n,
		char **argv, size_t argv_max)
{
	struct expand x = {.buf = buf, .buf_n = buf_n, .argv = argv, .argv_max = argv_max};

	if (argv_max == 0)
		return UNIT_REFUSED;
	argv[0] = NULL;
	for (size_t i = 0; e->argv[i]; i++) {
		const char *word = e->argv[i];
		size_t from = x.used_n;
		int r;

		/* argv[0] is never expanded: systemd.service(5). */
		if (i > 0 && !e->verbatim)
			r = expand_word(&x, word, env);
		else
			r = expand_bytes(&x, word, strlen(word)) || expand_end(&x, from);
		if (r)
			return UNIT_REFUSED;
	}
	return 0;
}
