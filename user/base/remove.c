// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* remove.c - see remove.h. */
#include "base/remove.h"

#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	DEPTH_MAX = 32,	   /* directories open below each other */
	PASS_MAX = 8,	   /* over one directory: a reader may pass over what is there */
	MOVED_MAX = 65536, /* directories that lay deeper */
};

struct removal {
	int top;
	int err; /* the first */
	unsigned removed_n, moved_n;
};

static void fail(struct removal *r)
{
	if (errno != ENOENT && !r->err)
		r->err = fault_errno();
}

/* What lies too deep goes into the topmost directory, and is found there in its next pass. */
static void move_up(struct removal *r, int at, const char *name)
{
	int e = -1;

	errno = ELOOP;
	while (e < 0 && r->moved_n < MOVED_MAX) {
		char up[32];

		(void)snprintf(up, sizeof(up), ".deep-%u", r->moved_n++);
		e = renameat2(at, name, r->top, up, RENAME_NOREPLACE);
		if (e < 0 && errno != EEXIST)
			break;
	}
	if (e < 0)
		fail(r);
}

static void remove_one(struct removal *r, int at, const char *name, unsigned depth);

static void empty(struct removal *r, int at, const char *name, unsigned depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		fail(r);
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	if (depth == 0)
		r->top = fd;
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			remove_one(r, fd, e->d_name, depth + 1);
	(void)closedir(d);
}

static void remove_one(struct removal *r, int at, const char *name, unsigned depth)
{
	int e = unlinkat(at, name, 0);

	if (e < 0 && errno == EISDIR)
		e = unlinkat(at, name, AT_REMOVEDIR);
	for (int pass = 0; e < 0 && (errno == ENOTEMPTY || errno == EEXIST) && pass < PASS_MAX;
	     pass++) {
		unsigned removed_n = r->removed_n, moved_n = r->moved_n;

		if (depth == DEPTH_MAX) {
			move_up(r, at, name);
			return;
		}
		empty(r, at, name, depth);
		e = unlinkat(at, name, AT_REMOVEDIR);
		if (r->moved_n > moved_n)
			pass = 0;
		else if (r->removed_n == removed_n)
			break;
	}
	if (e < 0)
		fail(r);
	else
		r->removed_n++;
}

int remove_tree(int dir, const char *name)
{
	struct removal r = {0};

	remove_one(&r, dir, name, 0);
	return r.err;
}
