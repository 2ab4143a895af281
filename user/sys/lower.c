// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* lower.c - see lower.h. */
#include "sys/lower.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/mountinfo.h"

#include <stdbool.h>
#include <string.h>

int lower_add(struct lower *l, const char *name)
{
	size_t n = strlen(name) + 1;
	char *more;

	if (l->n >= LOWER_MAX || l->names_len + n > LOWER_TEXT_MAX)
		return -E2BIG; /* of whoever mounted it: not a fault */
	more = realloc(l->names, l->names_len + n);
	if (!more)
		return fault(-ENOMEM);
	memcpy(more + l->names_len, name, n);
	l->names = more;
	l->names_len += n;
	l->n++;
	return 0;
}

const char *lower_next(const struct lower *l, const char *name)
{
	const char *next = name ? name + strlen(name) + 1 : l->names;

	return l->n && next < l->names + l->names_len ? next : NULL;
}

void lower_free(struct lower *l)
{
	free(l->names);
	free(l->upper);
	*l = (struct lower){0};
}

static void lower_freep(struct lower *l)
{
	lower_free(l);
}

/* "A:B", "A::D" where D has data only; a backslash takes the meaning from what follows. Cuts text up. */
static int split(char *text, struct lower *l)
{
	for (char *from = text; *from;) {
		char *to = from, *name = from;
		int r;

		for (; *from && *from != ':'; from++) {
			if (*from == '\\' && from[1])
				from++;
			*to++ = *from;
		}
		from += *from == ':';
		*to = '\0';
		r = *name ? lower_add(l, name) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* The value of option when it is the one called key. */
static const char *value_of(const char *option, size_t n, const char *key)
{
	size_t k = strlen(key);

	return n > k && option[k] == '=' && !strncmp(option, key, k) ? option + k + 1 : NULL;
}

static int option_parse(const char *option, size_t n, struct lower *l)
{
	static const char *const keys[] = {"lowerdir", "lowerdir+", "datadir+", "upperdir"};
	_cleanup_(freep) char *text = NULL;
	const char *value = NULL;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(keys) && !value; k++)
		value = value_of(option, n, keys[k]);
	if (!value)
		return 0;
	n -= (size_t)(value - option);
	text = malloc(n + 1);
	if (!text)
		return fault(-ENOMEM);
	mountinfo_unescape(value, n, text);
	if (k == 1)
		return split(text, l);
	if (k < ARRAY_SIZE(keys))
		return lower_add(l, text);
	free(l->upper);
	l->upper = TAKE_PTR(text);
	return 0;
}

int lower_of_mount(const struct mountinfo *m, struct lower *ret)
{
	_cleanup_(lower_freep) struct lower l = {0};
	int r = 0;

	if (strcmp(m->type, "overlay"))
		return -ENOENT;
	for (const char *option = m->options; *option && !r;) {
		size_t n = strcspn(option, ",");

		r = option_parse(option, n, &l);
		option += n + (option[n] == ',');
	}
	if (!r && !l.upper && !(l.upper = strdup("")))
		r = fault(-ENOMEM);
	if (!r && !l.n)
		r = -ENOENT;
	if (r)
		return r;
	*ret = l;
	l = (struct lower){0};
	return 0;
}

int lower_of_text(const char *text, struct lower *ret)
{
	_cleanup_(lower_freep) struct lower l = {0};
	_cleanup_(freep) char *copy = NULL;
	int r;

	if (strlen(text) >= LOWER_TEXT_MAX)
		return -E2BIG;
	copy = strdup(text);
	r = copy ? split(copy, &l) : fault(-ENOMEM);
	for (const char *name = NULL; !r && (name = lower_next(&l, name));)
		r = name[0] == '/' ? 0 : -EINVAL;
	if (!r && !l.n)
		r = -ENOENT;
	if (r)
		return r;
	*ret = l;
	l = (struct lower){0};
	return 0;
}

int lower_text(const struct lower *l, char *buf, size_t n)
{
	size_t used = 0;

	for (const char *name = NULL; (name = lower_next(l, name));) {
		if (used + 1 < n && used)
			buf[used++] = ':';
		for (const char *s = name; *s; s++) {
			if (used + 3 > n)
				return -E2BIG;
			if (*s == ':' || *s == '\\')
				buf[used++] = '\\';
			buf[used++] = *s;
		}
	}
	if (used >= n)
		return -E2BIG;
	buf[used] = '\0';
	return 0;
}
