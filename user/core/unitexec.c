// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unitexec.c - ExecStart= and its kin: one command after the other, as systemd.service(5) has them. */
#include "base/err.h"
#include "core/unit_impl.h"
#include "core/unitvalue.h"

#include <string.h>

/* Prefixes of the command; those that ask for the daemon's rights are refused. */
static int exec_prefix(struct parse *p, const struct directive *d, const char **word,
		       struct unit_exec *e, bool *ret_arg0)
{
	for (;; (*word)++) {
		switch (**word) {
		case '-':
			e->may_fail = true;
			break;
		case ':':
			e->verbatim = true;
			break;
		case '@':
			*ret_arg0 = true;
			break;
		case '!':
			/* Twice it is for systems without ambient capabilities only. */
			if ((*word)[1] == '!')
				(*word)++;
			else
				e->as_root = true;
			break;
		case '+':
		case '|':
			return unit_refuse_value(p, d, *word,
						 "a service never runs with the daemon's rights");
		default:
			return 0;
		}
	}
}

static int first_word(struct parse *p, const struct directive *d, const char *item,
		      struct unit_exec *e)
{
	if (strchr(item, '/') ? !unit_is_absolute(item) : !*item)
		return unit_refuse_value(p, d, item, "neither an absolute path nor a plain name");
	e->path = item;
	return 0;
}

/* One command off *value; UNIT_VALUE_END in *ret_end when it was the last. */
static int take_command(struct parse *p, const struct directive *d, const char **value,
			bool *ret_end)
{
	struct unit_service *s = &p->u->service;
	struct unit_execs *all = &s->execs[d->max];
	struct unit_exec e = {0};
	size_t from = s->words.item_n;
	bool quoted, arg0 = false;
	int r;

	for (;;) {
		const char *word = p->u->word, *item;

		r = unitvalue_word(value, p->u->word, UNIT_FILE_MAX, &quoted);
		*ret_end = r == UNIT_VALUE_END;
		if (r == UNIT_VALUE_END)
			break;
		if (r == UNIT_VALUE_BAD)
			return unit_refuse_value(p, d, *value,
						 "unbalanced quotes or unknown escape");
		if (!quoted && strcmp(word, ";") == 0)
			break;
		if (!e.path && (r = exec_prefix(p, d, &word, &e, &arg0)))
			return r;
		r = unit_text_expand(p, word, &item);
		if (!r && !e.path) {
			r = first_word(p, d, item, &e);
			if (!r && arg0)
				continue;
		}
		if (!r)
			r = unit_list_add(p, d, &s->words, item);
		if (!r && s->words.item_n - from > UNIT_ARG_MAX)
			r = unit_refuse(p, "%s= has more than %d words", d->key, UNIT_ARG_MAX);
		if (r)
			return r;
	}
	if (s->words.item_n == from)
		return unit_refuse_value(p, d, *value, "no command");
	if (all->n == UNIT_EXEC_MAX)
		return unit_refuse(p, "more than %d %s=", UNIT_EXEC_MAX, d->key);
	e.argv = s->words.items + from;
	all->items[all->n++] = e;
	return unit_list_add(p, d, &s->words, NULL);
}

int unit_set_exec(struct parse *p, const struct directive *d, const char *value)
{
	struct unit_execs *all = &p->u->service.execs[d->max];
	bool end = false;
	int r = 0;

	if (!*value) {
		all->n = 0;
		return 0;
	}
	while (!r && !end) {
		if (d->max == UNIT_START && all->n)
			return unit_refuse(
				p, "%s= is there twice; only Type=oneshot has several commands",
				d->key);
		r = take_command(p, d, &value, &end);
	}
	return r;
}
