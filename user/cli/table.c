// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* table.c - text for people: escaped, with units, within the width of the terminal. */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 16, BUFFER_BYTES = 4096 };

/* A buffer no other call of the same printf uses. */
static char *buffer(void)
{
	static char buffers[BUFFERS][BUFFER_BYTES];
	static unsigned next;

	return buffers[next++ % BUFFERS];
}

const char *cli_text(const char *s)
{
	return text_escape(s, buffer(), BUFFER_BYTES);
}

const char *cli_fit(const char *s, size_t columns)
{
	return text_fit(s, columns, buffer(), BUFFER_BYTES);
}

const char *cli_ns(uint64_t ns)
{
	return text_ns(ns, buffer(), BUFFER_BYTES);
}

const char *cli_bytes(uint64_t bytes)
{
	return text_bytes(bytes, buffer(), BUFFER_BYTES);
}

const char *cli_count(uint64_t n)
{
	return text_count(n, buffer(), BUFFER_BYTES);
}

const char *cli_percent(double share)
{
	char *b = buffer();

	/* "100 %" is kept for what always happens. */
	snprintf(b, BUFFER_BYTES, share < 1 && share >= 0.995 ? "99 %%" : "%.0f %%", share * 100);
	return b;
}

const char *cli_things(uint64_t n, const char *one)
{
	char *b = buffer(), count[32];

	snprintf(b, BUFFER_BYTES, "%s %s%s", text_count(n, count, sizeof(count)), one,
		 n == 1 ? "" : "s");
	return b;
}

const char *opt_ns(const json_t *o, const char *key)
{
	return has(o, key) ? cli_ns(get_n(o, key)) : "-";
}

const char *opt_bytes(const json_t *o, const char *key)
{
	return has(o, key) ? cli_bytes(get_n(o, key)) : "-";
}

void cli_wrap(const struct cli *cli, const char *s, size_t at, size_t indent)
{
	bool first = true;

	s += strspn(s, " ");
	while (*s) {
		size_t n = strcspn(s, " ");
		char raw[BUFFER_BYTES];
		const char *word;

		snprintf(raw, sizeof(raw), "%.*s", (int)n, s);
		word = cli_text(raw);
		if (!first && at + 1 + text_columns(word) > cli->columns) {
			printf("\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		printf("%s%s", first ? "" : " ", word);
		at += text_columns(word) + !first;
		first = false;
		s += n;
		s += strspn(s, " ");
	}
	putchar('\n');
}

void cli_told(const struct cli *cli, void (*tell)(FILE *f, const json_t *o), const json_t *o,
	      size_t at, size_t indent)
{
	_cleanup_(freep) char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	tell(f, o);
	if (fclose(f) == 0)
		cli_wrap(cli, text, at, indent);
}

/* --- tables ---------------------------------------------------------------------------------- */

struct table {
	const struct cli *cli;
	struct table_column columns[TABLE_COLUMN_MAX];
	size_t columns_n, rows_n, rows_max;
	char **cells; /* rows_n x columns_n */
};

struct table *table_new(const struct cli *cli, const struct table_column *columns, size_t n)
{
	struct table *t = calloc(1, sizeof(*t));

	assert(n <= TABLE_COLUMN_MAX);
	if (!t)
		return NULL;
	t->cli = cli;
	t->columns_n = n;
	memcpy(t->columns, columns, n * sizeof(*columns));
	return t;
}

void table_row(struct table *t, const char *const *cells)
{
	if (!t)
		return;
	if (t->rows_n == t->rows_max) {
		size_t max = t->rows_max ? t->rows_max * 2 : 64;
		char **p = reallocarray(t->cells, max * t->columns_n, sizeof(*p));

		if (!p)
			return;
		t->cells = p;
		t->rows_max = max;
	}
	for (size_t i = 0; i < t->columns_n; i++)
		t->cells[t->rows_n * t->columns_n + i] = strdup(cells[i] ? cells[i] : "-");
	t->rows_n++;
}

size_t table_rows(const struct table *t)
{
	return t ? t->rows_n : 0;
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
	const char *s = t->cells[row * t->columns_n + column];

	return s ? s : "-";
}

static void print_cell(const struct table *t, size_t i, const char *s, size_t width)
{
	size_t have = text_columns(s), pad = have < width ? width - have : 0;
	bool last = i + 1 == t->columns_n;

	if (t->columns[i].align == 'r')
		printf("%*s%s", (int)pad, "", s);
	else
		printf("%s%*s", s, last ? 0 : (int)pad, "");
	printf(last ? "\n" : "  ");
}

static void print_rows(const struct table *t, const size_t *widths)
{
	if (t->cli->color)
		printf("\033[1m");
	for (size_t i = 0; i < t->columns_n; i++) {
		if (i + 1 == t->columns_n && t->cli->color)
			printf("%s\033[0m\n", t->columns[i].title);
		else
			print_cell(t, i, t->columns[i].title, widths[i]);
	}
	for (size_t r = 0; r < t->rows_n; r++)
		for (size_t i = 0; i < t->columns_n; i++)
			print_cell(t, i, cli_fit(cell(t, r, i), widths[i]), widths[i]);
}

void table_print(struct table *t)
{
	size_t widths[TABLE_COLUMN_MAX] = {0}, used = 0;

	if (!t)
		return;
	for (size_t i = 0; i < t->columns_n; i++) {
		widths[i] = text_columns(t->columns[i].title);
		for (size_t r = 0; r < t->rows_n; r++) {
			size_t n = text_columns(cli_text(cell(t, r, i)));

			widths[i] = n > widths[i] ? n : widths[i];
		}
		if (t->columns[i].align != 'f')
			used += widths[i] + 2;
	}
	for (size_t i = 0; i < t->columns_n; i++) {
		size_t left = t->cli->columns > used + 16 ? t->cli->columns - used : 16;

		if (t->columns[i].align == 'f' && widths[i] > left)
			widths[i] = left;
	}
	if (t->rows_n)
		print_rows(t, widths);
	for (size_t i = 0; i < t->rows_n * t->columns_n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}
