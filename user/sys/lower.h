/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lower.h - of which directories an overlay is made, as the kernel writes it into mountinfo.
 *
 * Shape    A line of mountinfo gives the directories, the uppermost first, as whoever mounted it named
 *          them: absolute, or relative to where that one was. Kept they are one text as mount(8)
 *          takes it: joined by ':', with a backslash before ':' and '\' of a name.
 * Bounds   LOWER_MAX directories: of further ones the kernel side tells nothing either; a text of
 *          LOWER_TEXT_MAX bytes.
 * Owner    lower_free() frees what is in it; it takes a zeroed struct.
 * Errors   -ENOENT: no overlay, or nothing is told of what it is made of; -E2BIG; -ENOMEM.
 * Threads  any; no state.
 * Source   ovl_show_options() of fs/overlayfs: "lowerdir=A:B" with octal escapes around those of
 *          mount(2), or one "lowerdir+=A" for each (Linux 6.8), then "datadir+=".
 */
#ifndef SYS_LOWER_H
#define SYS_LOWER_H

#include <stddef.h>
#include <stdint.h>

enum { LOWER_MAX = 127, LOWER_TEXT_MAX = 65536 };

struct lower {
	char *names; /* each with its NUL, one after the other */
	size_t names_len;
	uint32_t n;
	char *upper; /* the writable one, "" where there is none */
};

struct mountinfo;

int lower_of_mount(const struct mountinfo *m, struct lower *ret);
/* The text that is kept; absolute names only. */
int lower_of_text(const char *text, struct lower *ret);
/* Adds a name; -E2BIG when there are enough. */
int lower_add(struct lower *l, const char *name);
/* The name after this one, the first after NULL; NULL after the last. */
const char *lower_next(const struct lower *l, const char *name);
/* Into buf of n bytes. */
int lower_text(const struct lower *l, char *buf, size_t n);
void lower_free(struct lower *l);

#endif
