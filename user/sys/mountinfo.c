// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * mountinfo.c - see mountinfo.h. Part of the box too: libc only.
 */
#include "sys/mountinfo.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

void mountinfo_unescape(const char *s, size_t n, char *to)
{
	for (const char *end = s + n; s < end; to++) {
		bool octal = end - s >= 4 && s[0] == '\\' && is_octal(s + 1);

		*to = octal ? (char)(s[1] * 64 + s[2] * 8 + s[3] - '0' * 73) : *s;
		s += octal ? 4 : 1;
	}
	*to = '\0';
}

/* Cuts line up. */
static bool parse(char *line, struct mountinfo *ret)
{
	char *rest = line, *words[5];
	unsigned major_, minor_;

	for (size_t i = 0; i < 5; i++)
		if (!(words[i] = strsep(&rest, " ")))
			return false;
	if (sscanf(words[2], "%u:%u", &major_, &minor_) != 2 || !rest ||
	    !(rest = strstr(rest, " - ")))
		return false;
	rest += 3;
	/* The name of the source can be any, or none; of the options no byte is a space. */
	ret->options = strrchr(rest, ' ');
	ret->options = ret->options ? ret->options + 1 : "";
	ret->type = strsep(&rest, " ");
	ret->id = strtoull(words[0], NULL, 10);
	ret->dev = (uint32_t)major_ << 20 | minor_;
	mountinfo_unescape(words[3], strlen(words[3]), words[3]);
	mountinfo_unescape(words[4], strlen(words[4]), words[4]);
	ret->dir = words[3];
	ret->point = words[4];
	return true;
}

int mountinfo_next(FILE *f, struct mountinfo *m)
{
	do {
		errno = 0;
		if (getline(&m->line, &m->line_room, f) < 0)
			return errno ? -errno : MOUNTINFO_END;
		m->line[strcspn(m->line, "\n")] = '\0';
		if (m->words_room < m->line_room) {
			free(m->words);
			m->words_room = 0;
			m->words = malloc(m->line_room);
			if (!m->words)
				return -ENOMEM;
			m->words_room = m->line_room;
		}
		memcpy(m->words, m->line, strlen(m->line) + 1);
	} while (!parse(m->words, m));
	return 0;
}

void mountinfo_fini(struct mountinfo *m)
{
	free(m->line);
	free(m->words);
	*m = (struct mountinfo){0};
}
