// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * moved.c - files of several names that went with their directory.
 *
 * A directory of the host cannot be renamed in a layer: mv(1) copies what is in it and removes it, and a
 * file in there that has names elsewhere becomes one of its own. Nothing in the layer tells that from a
 * copy that was meant, so it is not undone but said: by its name, or its size and time, for mv keeps both.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/effects.h"

struct gone { /* a name of the host that is deleted, of a file that has others */
	char *path;
	struct stat st;
};

static struct {
	struct gone *v;
	size_t n, room;
} found; /* nftw() passes nothing along */

static int found_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)type, (void)w;
	if (!S_ISREG(st->st_mode) || st->st_nlink < 2 || found.n == EFFECT_MAX)
		return 0;
	if (found.n == found.room) {
		size_t room = found.room ? found.room * 2 : 16;
		struct gone *v = realloc(found.v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		found.v = v;
		found.room = room;
	}
	found.v[found.n] = (struct gone){strdup(path), *st};
	return found.v[found.n].path ? (found.n++, 0) : -ENOMEM;
}

static int by_file(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;

	if (x->st.st_dev != y->st.st_dev)
		return x->st.st_dev < y->st.st_dev ? -1 : 1;
	if (x->st.st_ino != y->st.st_ino)
		return x->st.st_ino < y->st.st_ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

static const char *last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

static bool looks_moved(const struct effects *e, const struct effect *x, const struct gone *g)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (x->op != EFFECT_ADD || !S_ISREG(x->mode) || x->from)
		return false;
	if (strcmp(last_part(x->path), last_part(g->path)) == 0)
		return true;
	if (x->bytes != (uint64_t)g->st.st_size)
		return false;
	fd = effects_source_open(e, x, O_PATH | O_NOFOLLOW);
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_mtim.tv_sec == g->st.st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == g->st.st_mtim.tv_nsec;
}

/* Whether a file of that look is new; of so many names all went with it. */
static bool is_split(const struct effects *e, const struct gone *g, size_t name_n)
{
	if (name_n >= g->st.st_nlink)
		return false;
	for (size_t i = 0; i < e->n; i++)
		if (looks_moved(e, &e->v[i], g))
			return true;
	return false;
}

static bool any_new(const struct effects *e)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->v[i].op == EFFECT_ADD && S_ISREG(e->v[i].mode) && !e->v[i].from)
			return true;
	return false;
}

int effects_split(const struct effects *e, void (*say)(void *ctx, const char *path), void *ctx)
{
	const bool any = any_new(e);
	int r = 0;

	memset(&found, 0, sizeof(found));
	for (size_t i = 0; any && i < e->n && !r; i++)
		if (e->v[i].op == EFFECT_DELETE) /* gone meanwhile: commit_check() tells */
			r = nftw(e->v[i].path, found_one, 16, FTW_PHYS | FTW_MOUNT) == -ENOMEM
				    ? fault(-ENOMEM)
				    : 0;
	if (found.n)
		qsort(found.v, found.n, sizeof(*found.v), by_file);
	for (size_t i = 0, n; i < found.n && !r; i += n) {
		const struct gone *g = &found.v[i];

		for (n = 1; i + n < found.n && found.v[i + n].st.st_dev == g->st.st_dev &&
			    found.v[i + n].st.st_ino == g->st.st_ino;)
			n++;
		if (is_split(e, g, n))
			say(ctx, g->path);
	}
	for (size_t i = 0; i < found.n; i++)
		free(found.v[i].path);
	free(found.v);
	memset(&found, 0, sizeof(found));
	return r;
}
