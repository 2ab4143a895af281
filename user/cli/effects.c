// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * effects.c - the layer of an overlay, read back as additions, changes and deletions.
 *
 * What overlayfs leaves in its upper directory: a new or changed file as it is, a deletion as a
 * character device 0/0, a directory that hides what was below as one with the attribute "opaque".
 */
#include "cli/effects.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

/* --- paths ------------------------------------------------------------------------------------- */
static int open_beneath(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (__u64)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	while (*path == '/')
		path++;
	fd = (int)syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* The directory of an absolute path on the host; no component may be a link. */
static int open_parent(const char *path, const char **ret_name)
{
	_cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash = strrchr(path, '/');
	char dir[4096];

	if (root < 0)
		return fault_errno();
	*ret_name = slash + 1;
	if ((size_t)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path) >= sizeof(dir))
		return fault(-ENAMETOOLONG);
	return open_beneath(root, dir, O_RDONLY | O_DIRECTORY);
}

static int fail(struct effects *e, const char *path, int err)
{
	snprintf(e->where, sizeof(e->where), "%.500s", path);
	return err;
}

/* --- reading the layers ---------------------------------------------------------------------------- */
static int add(struct effects *e, enum effect_op op, size_t layer, const char *path,
	       const struct stat *st)
{
	struct effect *x;

	if (e->n == EFFECT_MAX)
		return fault(-E2BIG);
	if (e->n == e->room) {
		size_t room = e->room ? e->room * 2 : 64;

		x = realloc(e->v, room * sizeof(*x));
		if (!x)
			return fault(-ENOMEM);
		e->v = x;
		e->room = room;
	}
	x = &e->v[e->n];
	*x = (struct effect){.op = (char)op, .layer = (uint8_t)layer};
	if (st) {
		x->mode = st->st_mode;
		x->bytes = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
	}
	x->at_n = strcmp(e->layers[layer].at, "/") ? strlen(e->layers[layer].at) : 0;
	x->path = strdup(path);
	if (!x->path)
		return fault(-ENOMEM);
	e->n++;
	return 0;
}

static bool same_bytes(int a, int b)
{
	char x[16384], y[16384];

	for (;;) {
		ssize_t n = read(a, x, sizeof(x)), m = 0;

		while (n > 0 && m < n) {
			ssize_t k = read(b, y + m, (size_t)(n - m));

			if (k <= 0)
				return false;
			m += k;
		}
		if (n < 0)
			return false;
		if (n == 0)
			return read(b, y, 1) == 0;
		if (memcmp(x, y, (size_t)n))
			return false;
	}
}

/* Opened for writing is copied up, written or not: only what differs is a change. */
static bool unchanged(int dir, const char *name, const struct stat *st, const char *host,
		      const struct stat *old)
{
	_cleanup_(closep) int a = -1;
	_cleanup_(closep) int b = -1;

	if (st->st_mode != old->st_mode || st->st_uid != old->st_uid || st->st_gid != old->st_gid)
		return false;
	if (S_ISDIR(st->st_mode))
		return true;
	if (S_ISLNK(st->st_mode)) {
		char x[4096], y[4096];
		ssize_t n = readlinkat(dir, name, x, sizeof(x)), m = readlink(host, y, sizeof(y));

		return n == m && n > 0 && !memcmp(x, y, (size_t)n);
	}
	if (!S_ISREG(st->st_mode) || st->st_size != old->st_size)
		return false;
	a = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	b = open(host, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return a >= 0 && b >= 0 && same_bytes(a, b);
}

static bool opaque(int dir)
{
	char v[2];

	return (fgetxattr(dir, "user.overlay.opaque", v, sizeof(v)) == 1 ||
		fgetxattr(dir, "trusted.overlay.opaque", v, sizeof(v)) == 1) &&
	       v[0] == 'y';
}

static bool whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Directories still to be read. */
struct todo {
	char **v;
	size_t n, room;
};

static int push(struct todo *t, const char *path)
{
	if (t->n == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		char **v = realloc(t->v, room * sizeof(*v));

		if (!v)
			return fault(-ENOMEM);
		t->v = v;
		t->room = room;
	}
	t->v[t->n] = strdup(path);
	return t->v[t->n] ? (t->n++, 0) : fault(-ENOMEM);
}

static int read_entry(struct effects *e, size_t layer, int dir, const char *name, const char *path,
		      struct todo *todo)
{
	struct stat st, old;
	bool existed;
	int r = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, path, fault_errno());
	existed = lstat(path, &old) == 0;
	if (whiteout(&st))
		return existed ? add(e, EFFECT_DELETE, layer, path, NULL) : 0;
	if (existed && S_ISDIR(old.st_mode) != S_ISDIR(st.st_mode)) {
		r = add(e, EFFECT_DELETE, layer, path, NULL);
		existed = false;
	}
	if (!r && !existed)
		r = add(e, EFFECT_ADD, layer, path, &st);
	else if (!r && !unchanged(dir, name, &st, path, &old))
		r = add(e, EFFECT_CHANGE, layer, path, &st);
	return !r && S_ISDIR(st.st_mode) ? push(todo, path) : r;
}

/* An opaque directory hides all that was below and is not in the layer itself. */
static int read_hidden(struct effects *e, size_t layer, int dir, const char *host)
{
	DIR *d = opendir(host);
	int r = 0;

	for (struct dirent *x; d && !r && (x = readdir(d));) {
		char path[4096];
		struct stat st;

		if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..") ||
		    fstatat(dir, x->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", host, x->d_name) >= sizeof(path))
			r = fault(-ENAMETOOLONG);
		else
			r = add(e, EFFECT_DELETE, layer, path, NULL);
	}
	if (d)
		(void)closedir(d);
	return r;
}

static int read_dir(struct effects *e, size_t layer, const char *host, struct todo *todo)
{
	size_t at_n = strcmp(e->layers[layer].at, "/") ? strlen(e->layers[layer].at) : 0;
	int fd = open_beneath(e->layers[layer].fd, host + at_n, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return fail(e, host, fd < 0 ? fault(fd) : fault_errno());
	}
	for (struct dirent *x; !r && (x = readdir(d));) {
		char path[4096];

		if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", strcmp(host, "/") ? host : "",
				     x->d_name) >= sizeof(path))
			r = fail(e, host, fault(-ENAMETOOLONG));
		else
			r = read_entry(e, layer, dirfd(d), x->d_name, path, todo);
	}
	if (!r && opaque(dirfd(d)))
		r = read_hidden(e, layer, dirfd(d), host);
	(void)closedir(d);
	return r;
}

/* By path, and a deletion before what takes its place. */
static int by_path(const void *a, const void *b)
{
	const struct effect *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	return c ? c : (y->op == EFFECT_DELETE) - (x->op == EFFECT_DELETE);
}

int effects_read(const struct effect_layer *layers, size_t layer_n, struct effects *ret)
{
	struct effects e = {.layers = layers, .layer_n = layer_n};
	struct todo todo = {0};
	int r = 0;

	for (size_t i = 0; i < layer_n && !r; i++) {
		r = push(&todo, layers[i].at);
		while (!r && todo.n) {
			_cleanup_(freep) char *path = todo.v[--todo.n];

			r = read_dir(&e, i, path, &todo);
		}
	}
	while (todo.n)
		free(todo.v[--todo.n]);
	free(todo.v);
	if (e.n)
		qsort(e.v, e.n, sizeof(*e.v), by_path);
	*ret = e; /* also on a fault: where it happened */
	return r;
}

void effects_free(struct effects *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].path);
	free(e->v);
	*e = (struct effects){0};
}

/* --- before committing --------------------------------------------------------------------------- */
static int source_open(const struct effects *e, const struct effect *x, int flags)
{
	return open_beneath(e->layers[x->layer].fd, x->path + x->at_n, flags);
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
	fd = source_open(e, x, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return "cannot be read";
	return fgetxattr(fd, "security.capability", NULL, 0) > 0 ? "has file capabilities" : NULL;
}

size_t effects_check(struct effects *e, uint64_t begin_wall_ns,
		     void (*say)(void *ctx, const char *path, const char *why), void *ctx)
{
	size_t bad = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct effect *x = &e->v[i];
		const char *why = forbidden(e, x), *name;
		_cleanup_(closep) int parent = open_parent(x->path, &name);
		struct stat st;

		if (!why && parent == -ELOOP)
			why = "lies behind a symbolic link";
		if (!why && parent >= 0 && faccessat(parent, ".", W_OK, AT_EACCESS) < 0)
			why = "is in a directory you may not write";
		if (!why && parent >= 0 && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISDIR(st.st_mode) &&
		    (uint64_t)st.st_ctim.tv_sec * 1000000000ull + (uint64_t)st.st_ctim.tv_nsec >=
			    begin_wall_ns)
			why = "was changed outside meanwhile";
		if (why) {
			say(ctx, x->path, why);
			bad++;
		}
	}
	return bad;
}

/* --- committing ------------------------------------------------------------------------------------ */
/* Removes name below dir, whatever it is, following nothing. Directories are emptied one level at a
 * time by coming back to them, so depth costs no stack. */
static int remove_tree(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return fault_errno();
	while (unlinkat(dir, name, AT_REMOVEDIR) < 0) {
		_cleanup_(closep) int at = -1;
		DIR *d;
		bool any = false;
		int fd;

		if (errno != ENOTEMPTY && errno != EEXIST)
			return fault_errno();
		/* Down to a directory that has no directory in it, emptying files on the way. */
		at = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		for (bool deeper = true; at >= 0 && deeper;) {
			char sub[256] = "";

			deeper = false;
			fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			d = fd < 0 ? NULL : fdopendir(fd);
			if (!d)
				return fault_errno();
			for (struct dirent *x; (x = readdir(d));) {
				if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
					continue;
				if (unlinkat(at, x->d_name, 0) == 0 ||
				    unlinkat(at, x->d_name, AT_REMOVEDIR) == 0)
					any = true;
				else if (errno == ENOTEMPTY || errno == EEXIST)
					snprintf(sub, sizeof(sub), "%s", x->d_name);
				else {
					int err = fault_errno();

					(void)closedir(d);
					return err;
				}
			}
			(void)closedir(d);
			if (*sub) {
				fd = openat(at, sub,
					    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
				(void)close(at);
				at = fd;
				deeper = fd >= 0;
			}
		}
		if (at < 0 || !any)
			return fault(-EBUSY);
	}
	return 0;
}

/* Owner first: changing it clears mode bits. */
static int put_metadata(int fd, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};
	struct stat now;

	if (fstat(fd, &now) < 0)
		return fault_errno();
	if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) &&
	    fchown(fd, st->st_uid, st->st_gid) < 0)
		return fault_errno();
	if (fchmod(fd, st->st_mode & 01777) < 0 || futimens(fd, times) < 0)
		return fault_errno();
	return 0;
}

/* user.* except the overlay's own; others need rights that a commit must not exercise. */
static int put_xattrs(int from, int to)
{
	char names[16384], value[4096];
	ssize_t n = flistxattr(from, names, sizeof(names));

	for (char *p = names; n > 0 && p < names + n; p += strlen(p) + 1) {
		ssize_t len;

		if (strncmp(p, "user.", 5) || !strncmp(p, "user.overlay.", 13))
			continue;
		len = fgetxattr(from, p, value, sizeof(value));
		if (len < 0 || fsetxattr(to, p, value, (size_t)len, 0) < 0)
			return fault_errno();
	}
	return 0;
}

static int copy_bytes(int from, int to)
{
	for (;;) {
		char buf[65536];
		ssize_t n = read(from, buf, sizeof(buf));

		if (n <= 0)
			return n < 0 ? fault_errno() : 0;
		for (ssize_t at = 0; at < n;) {
			ssize_t k = write(to, buf + at, (size_t)(n - at));

			if (k < 0)
				return fault_errno();
			at += k;
		}
	}
}

static void temporary_name(char ret[64])
{
	static unsigned n;

	snprintf(ret, 64, ".forewarm-%d-%u", (int)getpid(), n++);
}

/* Written aside, then renamed over: renameat2 refuses to replace what an addition did not see. */
static int put_file(const struct effects *e, const struct effect *x, int parent, const char *name)
{
	_cleanup_(closep) int from = source_open(e, x, O_RDONLY | O_NOFOLLOW);
	_cleanup_(closep) int to = -1;
	char tmp[64];
	struct stat st;
	int err;

	if (from < 0)
		return fault(from);
	if (fstat(from, &st) < 0)
		return fault_errno();
	temporary_name(tmp);
	to = openat(parent, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return fault_errno();
	err = copy_bytes(from, to);
	if (!err)
		err = put_xattrs(from, to);
	if (!err)
		err = put_metadata(to, &st);
	if (!err && fdatasync(to) < 0)
		err = fault_errno();
	if (!err &&
	    renameat2(parent, tmp, parent, name, x->op == EFFECT_ADD ? RENAME_NOREPLACE : 0) < 0)
		err = fault_errno();
	if (err)
		(void)unlinkat(parent, tmp, 0); /* the fault is what matters */
	return err;
}

static int put_link(const struct effects *e, const struct effect *x, int parent, const char *name)
{
	_cleanup_(closep) int from = source_open(e, x, O_PATH | O_NOFOLLOW);
	char target[4096], tmp[64];
	ssize_t n;

	if (from < 0)
		return fault(from);
	n = readlinkat(from, "", target, sizeof(target) - 1);
	if (n < 0)
		return fault_errno();
	target[n] = 0;
	temporary_name(tmp);
	if (symlinkat(target, parent, tmp) < 0)
		return fault_errno();
	if (renameat2(parent, tmp, parent, name, x->op == EFFECT_ADD ? RENAME_NOREPLACE : 0) < 0) {
		int err = fault_errno();

		(void)unlinkat(parent, tmp, 0);
		return err;
	}
	return 0;
}

static int put_dir(const struct effects *e, const struct effect *x, int parent, const char *name)
{
	_cleanup_(closep) int from = source_open(e, x, O_RDONLY | O_DIRECTORY);
	_cleanup_(closep) int to = -1;
	struct stat st, now;

	if (from < 0)
		return fault(from);
	if (fstat(from, &st) < 0)
		return fault_errno();
	if (x->op == EFFECT_ADD && mkdirat(parent, name, 0700) < 0)
		return fault_errno();
	to = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fstat(to, &now) < 0)
		return fault_errno();
	if ((now.st_uid != st.st_uid || now.st_gid != st.st_gid) &&
	    fchown(to, st.st_uid, st.st_gid) < 0)
		return fault_errno();
	/* Its own mode comes when all that goes into it is there. */
	return fchmod(to, (st.st_mode & 07777) | 0700) < 0 ? fault_errno() : 0;
}

static int finish_dir(const struct effects *e, const struct effect *x)
{
	const char *name;
	_cleanup_(closep) int parent = open_parent(x->path, &name);
	_cleanup_(closep) int to = -1;

	(void)e;
	if (parent < 0)
		return fault(parent);
	to = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return to < 0 || fchmod(to, x->mode & 07777) < 0 ? fault_errno() : 0;
}

static int apply(const struct effects *e, const struct effect *x)
{
	const char *name;
	_cleanup_(closep) int parent = open_parent(x->path, &name);

	if (parent < 0)
		return fault(parent);
	if (x->op == EFFECT_DELETE)
		return remove_tree(parent, name);
	if (S_ISDIR(x->mode))
		return put_dir(e, x, parent, name);
	if (S_ISREG(x->mode))
		return put_file(e, x, parent, name);
	if (S_ISLNK(x->mode))
		return put_link(e, x, parent, name);
	if (S_ISFIFO(x->mode))
		return mkfifoat(parent, name, x->mode & 0777) < 0 ? fault_errno() : 0;
	return 0; /* a socket: its server is gone */
}

int effects_commit(struct effects *e, size_t *ret_n)
{
	*ret_n = 0;
	for (size_t i = 0; i < e->n; i++) {
		int err = apply(e, &e->v[i]);

		if (err < 0)
			return fail(e, e->v[i].path, err);
		++*ret_n;
	}
	for (size_t i = e->n; i-- > 0;)
		if (e->v[i].op != EFFECT_DELETE && S_ISDIR(e->v[i].mode)) {
			int err = finish_dir(e, &e->v[i]);

			if (err < 0)
				return fail(e, e->v[i].path, err);
		}
	return 0;
}
