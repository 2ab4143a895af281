// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* commit_check.c - what stands against a commit: looked for before anything is touched. */
#include "cli/commit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { DEPTH_MAX = 256 /* of a directory that is deleted, when it is looked through */ };

uint64_t commit_begin_ns(void)
{
	struct timespec from, now;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &from); /* cannot fail with this clock */
	do {
		const struct timespec pause = {.tv_nsec = 200000};

		(void)nanosleep(&pause, NULL);
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec == from.tv_sec && now.tv_nsec == from.tv_nsec);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* --- before ------------------------------------------------------------------------------------ */
static bool since(const struct stat *st, uint64_t begin_ns)
{
	return (uint64_t)st->st_ctim.tv_sec * 1000000000ull + (uint64_t)st->st_ctim.tv_nsec >=
	       begin_ns;
}

static const char *forbidden(const struct effects *e, const struct effect *x)
{
	_cleanup_(closep) int fd = -1;

	if (x->op == EFFECT_DELETE)
		return NULL;
	if (S_ISREG(x->mode) && (x->mode & (S_ISUID | S_ISGID)))
		return "is set-user-id or set-group-id";
	if (S_ISCHR(x->mode) || S_ISBLK(x->mode))
		return "is a device";
	if (!S_ISREG(x->mode))
		return NULL;
	fd = effects_source_open(e, x, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return "cannot be read";
	return fgetxattr(fd, "security.capability", NULL, 0) > 0 ? "has file capabilities" : NULL;
}

/* Why the directory name of dir must not go as a whole, NULL when it may. */
static const char *tree_kept(int dir, const char *name, uint64_t begin_ns)
{
	DIR *at[DEPTH_MAX];
	const char *why = NULL;
	int depth = 0, fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	at[0] = fd < 0 ? NULL : fdopendir(fd);
	if (!at[0])
		return "cannot be looked through";
	while (depth >= 0 && !why) {
		struct dirent *x = readdir(at[depth]);
		struct stat st;
		int in = dirfd(at[depth]);

		if (!x) {
			(void)closedir(at[depth--]);
			continue;
		}
		if (!strcmp(x->d_name, ".") && fstat(in, &st) == 0) {
			if (since(&st, begin_ns))
				why = "was changed outside meanwhile";
			else if (faccessat(in, ".", W_OK | X_OK, AT_EACCESS) < 0)
				why = "has a directory in it you may not write";
			continue;
		}
		if (!strcmp(x->d_name, "..") ||
		    fstatat(in, x->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (since(&st, begin_ns))
			why = "has in it what was changed outside meanwhile";
		if (why || !S_ISDIR(st.st_mode))
			continue;
		if (depth + 1 == DEPTH_MAX) {
			why = "has directories in it too deep to be looked through";
			continue;
		}
		fd = openat(in, x->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		at[depth + 1] = fd < 0 ? NULL : fdopendir(fd);
		if (at[depth + 1])
			depth++;
		else
			why = "has a directory in it that cannot be looked through";
	}
	while (depth >= 0)
		(void)closedir(at[depth--]);
	return why;
}

static int by_path(const void *key, const void *x)
{
	return strcmp(key, ((const struct effect *)x)->path);
}

const struct effect *commit_new_parent(const struct effects *e, const char *path)
{
	const struct effect *x;
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	x = bsearch(dir, e->v, e->n, sizeof(*e->v), by_path);
	if (x && x->op == EFFECT_DELETE && x + 1 < e->v + e->n && !strcmp(x[1].path, dir))
		x++; /* what takes its place */
	return x && x->op == EFFECT_ADD && S_ISDIR(x->mode) ? x : NULL;
}

/* Below at lies a mount the sandbox did not see: what it changed was another directory. */
static bool elsewhere(int parent, const char *at)
{
	struct statx a, b;

	return statx(parent, "", AT_EMPTY_PATH, STATX_MNT_ID, &a) == 0 &&
	       statx(AT_FDCWD, at, 0, STATX_MNT_ID, &b) == 0 &&
	       (a.stx_mask & b.stx_mask & STATX_MNT_ID) && a.stx_mnt_id != b.stx_mnt_id;
}

static const char *refused(const struct effects *e, const struct effect *x, uint64_t begin_ns)
{
	const char *why = forbidden(e, x), *name;
	_cleanup_(closep) int parent = -1;
	struct stat st;

	if (why || commit_new_parent(e, x->path))
		return why;
	if (x->lost)
		return "was removed outside meanwhile";
	parent = effects_open_parent(x->path, &name);
	if (parent == -ELOOP)
		return "lies behind a symbolic link";
	if (parent == -ENOENT || parent == -ENOTDIR)
		return "is in a directory that was removed outside meanwhile";
	if (parent < 0)
		return "is in a directory you may not enter";
	if (elsewhere(parent, e->layers[x->layer].at))
		return "is on a mount that the sandbox did not see";
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		st.st_mode = 0;
	if (x->op == EFFECT_CHANGE && S_ISDIR(x->mode)) /* its owner or mode; times follow others */
		return S_ISDIR(st.st_mode) ? NULL : "is no directory any more";
	if (faccessat(parent, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return "is in a directory you may not write";
	if (x->op == EFFECT_DELETE && S_ISDIR(st.st_mode))
		return tree_kept(parent, name, begin_ns);
	return st.st_mode && since(&st, begin_ns) ? "was changed outside meanwhile" : NULL;
}

size_t commit_check(struct effects *e, uint64_t begin_ns, commit_say_fn say, void *ctx)
{
	size_t bad = 0;

	for (size_t i = 0; i < e->n; i++) {
		const char *why = refused(e, &e->v[i], begin_ns);

		if (why) {
			say(ctx, e->v[i].path, why);
			bad++;
		}
	}
	return bad;
}
