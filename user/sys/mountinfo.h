/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * mountinfo.h - what is mounted, a line of /proc/PID/mountinfo after the other.
 *
 * Shape    "36 35 98:0 /dir /point rw,noatime master:1 - ext3 /dev/root rw": the words somebody asks for.
 *          A space, tab, newline or backslash in a name is written as \ooo.
 * Bounds   one line at a time, of any length.
 * Owner    mountinfo_fini() frees what is in it; it takes a zeroed struct. Its texts live until the next
 *          mountinfo_next().
 * Errors   < 0 -errno: the process is gone, no memory; not marked as a fault. MOUNTINFO_END.
 * Threads  any; no state.
 * Source   proc(5); show_mountinfo() in fs/proc_namespace.c.
 */
#ifndef SYS_MOUNTINFO_H
#define SYS_MOUNTINFO_H

#include <stdint.h>
#include <stdio.h>

enum { MOUNTINFO_END = 1 };

struct mountinfo {
	uint64_t id;
	uint32_t dev;		 /* of its file system, as the kernel has it */
	const char *dir, *point; /* which directory of it, and where that is */
	const char *type;
	const char *options; /* of the file system; still with \ooo, as one may mean a comma */
	char *line;	     /* all of it as it was read, without its end */
	char *words;	     /* what the others point into */
	size_t line_room, words_room;
};

/* What is no line of a mountinfo is left out. */
int mountinfo_next(FILE *f, struct mountinfo *m);
void mountinfo_fini(struct mountinfo *m);

/* n bytes of s without \ooo and with a NUL, into to of n + 1 bytes, which may be s. */
void mountinfo_unescape(const char *s, size_t n, char *to);

#endif
