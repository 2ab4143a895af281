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
#include <ftw.h>
#include <limits.h>
#include <linux/limits.h>
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
static int open_below(int dir, const char *path, int flags)
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

int effects_open_parent(const char *path, const char **ret_name)
{
	_cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash = strrchr(path, '/');
	char dir[4096];

	if (root < 0)
		return fault_errno();
	*ret_name = slash + 1;
	if ((size_t)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path) >= sizeof(dir))
		return fault(-ENAMETOOLONG);
	return open_below(root, dir, O_PATH | O_DIRECTORY);
}

int effects_fail(struct effects *e, const char *path, int err)
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
		x->ino = st->st_ino;
		x->nlink = S_ISDIR(st->st_mode) ? 1 : (uint32_t)st->st_nlink;
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

/* The owner's own attributes and access lists are part of a file; the overlay's marks are not, and
 * others need rights that a commit must not exercise. */
bool effects_xattr_kept(const char *name)
{
	return (!strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13)) ||
	       !strncmp(name, "system.posix_acl_", 17);
}

static size_t xattrs_kept(int fd, char *names)
{
	ssize_t n = flistxattr(fd, names, XATTR_LIST_MAX);
	size_t kept = 0;

	for (char *p = names; n > 0 && p < names + n; p += strlen(p) + 1)
		kept += effects_xattr_kept(p);
	return kept;
}

static bool same_xattrs(int a, int b)
{
	static char names[XATTR_LIST_MAX], other[XATTR_LIST_MAX], x[XATTR_SIZE_MAX],
		y[XATTR_SIZE_MAX];
	size_t left = xattrs_kept(a, names);

	if (left != xattrs_kept(b, other))
		return false;
	for (char *p = names; left; p += strlen(p) + 1) {
		ssize_t n, m;

		if (!effects_xattr_kept(p))
			continue;
		left--;
		n = fgetxattr(a, p, x, sizeof(x));
		m = fgetxattr(b, p, y, sizeof(y));
		if (n < 0 || n != m || memcmp(x, y, (size_t)n))
			return false;
	}
	return true;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Opened for writing is copied up, written or not: only what differs is a change. A directory's time
 * only follows what is in it. */
static bool unchanged(int dir, const char *name, const struct stat *st, const char *host,
		      const struct stat *old)
{
	_cleanup_(closep) int a = -1;
	_cleanup_(closep) int b = -1;

	if (st->st_mode != old->st_mode || st->st_uid != old->st_uid || st->st_gid != old->st_gid)
		return false;
	if (S_ISLNK(st->st_mode)) {
		char x[4096], y[4096];
		ssize_t n = readlinkat(dir, name, x, sizeof(x)), m = readlink(host, y, sizeof(y));

		return n == m && n > 0 && !memcmp(x, y, (size_t)n);
	}
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return true; /* a pipe or socket of the same owner and mode */
	if (S_ISREG(st->st_mode) &&
	    (st->st_size != old->st_size || !same_time(&st->st_mtim, &old->st_mtim)))
		return false;
	a = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	b = open(host, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (S_ISDIR(st->st_mode) && (a < 0 || b < 0))
		return true; /* not ours to look into, and as it was by all that shows */
	return a >= 0 && b >= 0 && (S_ISDIR(st->st_mode) || same_bytes(a, b)) && same_xattrs(a, b);
}

static bool opaque(int dir)
{
	char v[2];

	return (fgetxattr(dir, "user.overlay.opaque", v, sizeof(v)) == 1 ||
		fgetxattr(dir, "trusted.overlay.opaque", v, sizeof(v)) == 1) &&
	       v[0] == 'y';
}

/* --- what it was ------------------------------------------------------------------------------------ */
/* The overlay marks what it copied up with the handle of what lay below; struct ovl_fb of
 * fs/overlayfs/overlayfs.h: 21 bytes, of which the third is the length and the fifth the type, then
 * the handle. */
enum { ORIGIN_HEAD = 21, ORIGIN_MAX = 256 };

struct origin {
	size_t i; /* of the effect */
	ssize_t n;
	uint8_t bytes[ORIGIN_MAX];
};

struct search {
	struct effects *e;
	struct origin *v;
	size_t n;
};

static ssize_t origin(int fd, uint8_t ret[ORIGIN_MAX])
{
	ssize_t n = fgetxattr(fd, "user.overlay.origin", ret, ORIGIN_MAX);

	return n >= 0 ? n : fgetxattr(fd, "trusted.overlay.origin", ret, ORIGIN_MAX);
}

/* It was copied up from below, so there was something below when the command first wrote to it. */
static bool copied_up(int dir, const char *name, const struct stat *st)
{
	_cleanup_(closep) int fd = -1;
	uint8_t o[ORIGIN_MAX];

	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return false;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && origin(fd, o) >= 0;
}

/* As in the layer, but for its name? */
static bool same_as(const struct effects *e, const struct effect *x, const char *host,
		    const struct stat *old)
{
	const char *name = strrchr(x->path, '/') + 1;
	_cleanup_(closep) int dir = -1;
	char up[4096];
	struct stat st;

	if ((size_t)snprintf(up, sizeof(up), "%.*s", (int)(name - x->path - (ptrdiff_t)x->at_n),
			     x->path + x->at_n) >= sizeof(up))
		return false;
	dir = open_below(e->layers[x->layer].fd, up, O_RDONLY | O_DIRECTORY);
	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       unchanged(dir, name, &st, host, old);
}

static struct search *searched; /* nftw() passes nothing along */

/* Is this file of the host what one in the layer was copied from? */
static int found_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	struct {
		struct file_handle head;
		uint8_t bytes[MAX_HANDLE_SZ];
	} h = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount_id;

	(void)type, (void)w;
	if (!S_ISREG(st->st_mode) || name_to_handle_at(AT_FDCWD, path, &h.head, &mount_id, 0) < 0)
		return 0;
	for (size_t i = 0; i < searched->n; i++) {
		const struct origin *o = &searched->v[i];
		struct effect *x = &searched->e->v[o->i];

		/* Of several names its own is the one to be kept. */
		if ((x->from && strcmp(path, x->path)) ||
		    o->n - ORIGIN_HEAD < (ssize_t)h.head.handle_bytes ||
		    o->bytes[4] != h.head.handle_type ||
		    memcmp(o->bytes + ORIGIN_HEAD, h.head.f_handle, h.head.handle_bytes))
			continue;
		free(x->from);
		x->from = strdup(path);
		if (!x->from)
			return -ENOMEM;
		x->lost = false;
		x->from_ino = st->st_ino;
		x->from_nlink = (uint32_t)st->st_nlink;
		x->same = same_as(searched->e, x, path, st);
	}
	return 0;
}

static int origins_new(struct effects *e, struct search *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++)
		n += e->v[i].copied && S_ISREG(e->v[i].mode);
	ret->v = calloc(n + 1, sizeof(*ret->v));
	if (!ret->v)
		return fault(-ENOMEM);
	ret->e = e;
	for (size_t i = 0; i < e->n && ret->n < n; i++) {
		struct origin *o = &ret->v[ret->n];
		_cleanup_(closep) int fd = -1;

		if (!e->v[i].copied || !S_ISREG(e->v[i].mode))
			continue;
		fd = effects_source_open(e, &e->v[i], O_RDONLY | O_NOFOLLOW);
		o->i = i;
		o->n = fd < 0 ? -1 : origin(fd, o->bytes);
		ret->n += o->n > ORIGIN_HEAD;
	}
	return 0;
}

/* What was copied is at the same name still, or below one that is gone or changed, or it got another
 * name beside the one it has; else it is lost. */
static int find_origins(struct effects *e)
{
	struct search s = {0};
	int r = origins_new(e, &s);

	searched = &s;
	for (size_t i = 0; i < e->n && s.n && !r; i++)
		if (e->v[i].op == EFFECT_DELETE ||
		    (e->v[i].op == EFFECT_CHANGE && !S_ISDIR(e->v[i].mode)))
			r = nftw(e->v[i].path, found_one, 16, FTW_PHYS | FTW_MOUNT);
	for (size_t i = 0; i < e->kept_n && s.n && !r; i++)
		r = nftw(e->kept[i], found_one, 16, FTW_PHYS | FTW_MOUNT);
	searched = NULL;
	free(s.v);
	return r == -ENOMEM ? fault(r)
			    : 0; /* a name that is gone meanwhile: commit_check() tells */
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

static int keep(struct effects *e, const char *path)
{
	struct todo t = {e->kept, e->kept_n, e->kept_room};
	int r = push(&t, path);

	e->kept = t.v;
	e->kept_n = t.n;
	e->kept_room = t.room;
	return r;
}

static int read_entry(struct effects *e, size_t layer, int dir, const char *name, const char *path,
		      struct todo *todo)
{
	struct stat st, old;
	bool existed;
	int r = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return effects_fail(e, path, fault_errno());
	existed = lstat(path, &old) == 0;
	if (whiteout(&st))
		return existed ? add(e, EFFECT_DELETE, layer, path, NULL) : 0;
	if (existed && S_ISDIR(old.st_mode) != S_ISDIR(st.st_mode)) {
		r = add(e, EFFECT_DELETE, layer, path, NULL);
		existed = false;
	}
	if (!r && !existed) {
		r = add(e, EFFECT_ADD, layer, path, &st);
		if (!r)
			e->v[e->n - 1].copied = e->v[e->n - 1].lost = copied_up(dir, name, &st);
	} else if (!r && !unchanged(dir, name, &st, path, &old)) {
		r = add(e, EFFECT_CHANGE, layer, path, &st);
		if (!r && S_ISREG(st.st_mode)) {
			e->v[e->n - 1].copied = copied_up(dir, name, &st);
			e->v[e->n - 1].old_nlink = (uint32_t)old.st_nlink;
		}
	} else if (!r && S_ISREG(st.st_mode) && st.st_nlink > 1) {
		r = keep(e, path);
	}
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
	int fd = open_below(e->layers[layer].fd, host + at_n, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return effects_fail(e, host, fd < 0 ? fault(fd) : fault_errno());
	}
	for (struct dirent *x; !r && (x = readdir(d));) {
		char path[4096];

		if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", strcmp(host, "/") ? host : "",
				     x->d_name) >= sizeof(path))
			r = effects_fail(e, host, fault(-ENAMETOOLONG));
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

/* Linux marks the root of a layer that has an index since 6.6; before, there may be one or not. */
static bool indexed(int layer)
{
	return fgetxattr(layer, "user.overlay.uuid", NULL, 0) > 0 ||
	       fgetxattr(layer, "trusted.overlay.uuid", NULL, 0) > 0;
}

int effects_read(const struct effect_layer *layers, size_t layer_n, struct effects *ret)
{
	struct effects e = {.layers = layers, .layer_n = layer_n};
	struct todo todo = {0};
	int r = 0;

	e.indexed = true;
	for (size_t i = 0; i < layer_n && !r; i++) {
		e.indexed &= indexed(layers[i].fd);
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
	if (!r)
		r = find_origins(&e);
	*ret = e; /* also on a fault: where it happened */
	return r;
}

int effects_source_open(const struct effects *e, const struct effect *x, int flags)
{
	return open_below(e->layers[x->layer].fd, x->path + x->at_n, flags);
}

void effects_free(struct effects *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->v[i].path);
		free(e->v[i].from);
	}
	for (size_t i = 0; i < e->kept_n; i++)
		free(e->kept[i]);
	free(e->kept);
	free(e->v);
	*e = (struct effects){0};
}
