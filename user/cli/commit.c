// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * commit.c - effects applied to the host: staged, placed, tidied.
 *
 * A new directory is staged as a whole under one temporary name, with all that is in it, and comes
 * into place by one rename; everything else has a temporary name of its own in its directory. A change
 * is an exchange of the two names, so the old version is at hand until the end. Only a file that has
 * other names on the host is written to where it is, when the command did so.
 */
#include "cli/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/remove.h"

enum { SYNC_EACH_MAX = 32 /* files; above, the file systems as a whole */ };

enum step { STEP_NONE, STEP_STAGED, STEP_PLACED };

struct item {
	enum step step;
	bool inner;	/* in a new directory, which brings it into place */
	bool two_steps; /* the file system exchanges no names: the old one is at aside */
	bool lost;	/* could not be taken back: what it was stays at before */
	char *staged;	/* absolute; of a deletion: where the old thing waits to be removed */
	char *aside;
	char *content;	 /* of a file that is written to where it is: what goes into it, */
	char *before;	 /* and what was in it */
	struct stat old; /* of a directory whose owner or mode changes */
};

struct name { /* one of several of a file in its layer */
	uint8_t layer;
	uint64_t ino;
	size_t i;
};

struct commit {
	struct effects *e;
	struct item *v;
	struct name *names;
	size_t name_n;
	commit_say_fn say;
	void *ctx;
	bool sync_each;
};

/* --- removing ---------------------------------------------------------------------------------- */
static int remove_path(const char *path)
{
	const char *name;
	_cleanup_(closep) int parent = effects_open_parent(path, &name);

	return parent < 0 ? parent : remove_tree(parent, name);
}

/* --- staging ----------------------------------------------------------------------------------- */
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
	if (fstat(fd, &now) < 0 ||
	    (((now.st_mode ^ st->st_mode) & 07777) &&
	     fchmod(fd, st->st_mode & (S_ISDIR(st->st_mode) ? 07777 : 01777)) < 0) ||
	    futimens(fd, times) < 0)
		return fault_errno();
	return 0;
}

static int put_xattrs(int from, int to)
{
	static char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
	ssize_t n = flistxattr(to, names, sizeof(names));

	for (char *p = names; n > 0 && p < names + n; p += strlen(p) + 1)
		if (effects_xattr_kept(p) && fgetxattr(from, p, NULL, 0) < 0 && errno == ENODATA &&
		    fremovexattr(to, p) < 0)
			return fault_errno();
	n = flistxattr(from, names, sizeof(names));
	if (n < 0)
		return errno == ENOTSUP ? 0 : fault_errno();
	for (char *p = names; p < names + n; p += strlen(p) + 1) {
		ssize_t len;

		if (!effects_xattr_kept(p))
			continue;
		len = fgetxattr(from, p, value, sizeof(value));
		if (len < 0 || fsetxattr(to, p, value, (size_t)len, 0) < 0)
			return fault_errno();
	}
	return 0;
}

static int copy_range(int from, int to, off_t at, off_t end)
{
	static char buf[256 << 10];

	while (at < end) {
		size_t want = (size_t)(end - at) < sizeof(buf) ? (size_t)(end - at) : sizeof(buf);
		ssize_t n = pread(from, buf, want, at);

		if (n <= 0)
			return n < 0 ? fault_errno() : fault(-EIO);
		for (ssize_t done = 0; done < n;) {
			ssize_t k = pwrite(to, buf + done, (size_t)(n - done), at + done);

			if (k < 0)
				return fault_errno();
			done += k;
		}
		at += n;
	}
	return 0;
}

/* Holes stay holes. */
static int copy_bytes(int from, int to, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;
		int err;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0) /* cannot tell: all of it */
			data = at;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole <= data || hole > size)
			hole = size;
		if ((err = copy_range(from, to, data, hole)) < 0)
			return err;
		at = hole;
	}
	return ftruncate(to, size) < 0 ? fault_errno() : 0;
}

/* Content, attributes and metadata of from, which is as st says; to is empty. */
static int copy_file(int from, const struct stat *st, int to, bool sync)
{
	int err = copy_bytes(from, to, st->st_size);

	if (!err)
		err = put_xattrs(from, to);
	if (!err)
		err = put_metadata(to, st);
	if (!err && sync && fdatasync(to) < 0)
		err = fault_errno();
	return err;
}

static int stage_copy(struct commit *c, int from, int parent, const char *name)
{
	_cleanup_(closep) int to = -1;
	struct stat st;

	if (fstat(from, &st) < 0)
		return fault_errno();
	to = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return fault_errno();
	return copy_file(from, &st, to, c->sync_each);
}

static int stage_file(struct commit *c, const struct effect *x, int parent, const char *name)
{
	_cleanup_(closep) int from = effects_source_open(c->e, x, O_RDONLY | O_NOFOLLOW);

	return from < 0 ? fault(from) : stage_copy(c, from, parent, name);
}

static int stage_link(struct commit *c, const struct effect *x, int parent, const char *name)
{
	_cleanup_(closep) int from = effects_source_open(c->e, x, O_PATH | O_NOFOLLOW);
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (from < 0)
		return fault(from);
	n = readlinkat(from, "", target, sizeof(target) - 1);
	if (n < 0 || fstat(from, &st) < 0)
		return fault_errno();
	target[n] = 0;
	if (symlinkat(target, parent, name) < 0)
		return fault_errno();
	(void)fchownat(parent, name, st.st_uid, st.st_gid,
		       AT_SYMLINK_NOFOLLOW); /* whose a link is grants nothing */
	return 0;
}

static int stage_dir(int parent, const char *name)
{
	/* All else comes when what goes into it is there. */
	return mkdirat(parent, name, 0700) < 0 ? fault_errno() : 0;
}

static int stage_fifo(struct commit *c, const struct effect *x, int parent, const char *name)
{
	_cleanup_(closep) int from = effects_source_open(c->e, x, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (from < 0)
		return fault(from);
	if (fstat(from, &st) < 0 || mkfifoat(parent, name, 0600) < 0)
		return fault_errno();
	(void)fchownat(parent, name, st.st_uid, st.st_gid,
		       AT_SYMLINK_NOFOLLOW); /* ours, then: the mode says who may */
	return fchmodat(parent, name, st.st_mode & 0777, 0) < 0 ? fault_errno() : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->i < y->i ? -1 : x->i > y->i;
}

static int names_new(struct commit *c)
{
	c->names = calloc(c->e->n + 1, sizeof(*c->names));
	if (!c->names)
		return fault(-ENOMEM);
	for (size_t i = 0; i < c->e->n; i++) {
		const struct effect *x = &c->e->v[i];

		if (x->op != EFFECT_DELETE && x->nlink > 1)
			c->names[c->name_n++] = (struct name){x->layer, x->ino, i};
	}
	qsort(c->names, c->name_n, sizeof(*c->names), by_name);
	return 0;
}

/* One file by several names in the layer is one here too: true when it is now. */
static bool stage_again(struct commit *c, const struct effect *x, int parent, const char *name)
{
	size_t low = 0, high = c->name_n, self = (size_t)(x - c->e->v);
	const struct name key = {x->layer, x->ino, 0};
	_cleanup_(closep) int dir = -1;
	const char *first;

	if (x->nlink <= 1)
		return false;
	while (low < high) { /* the first of these */
		size_t mid = (low + high) / 2;

		if (by_name(&c->names[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == c->name_n || c->names[low].i >= self)
		return false;
	dir = effects_open_parent(c->v[c->names[low].i].staged, &first);
	/* Another file system: a copy then. */
	return dir >= 0 && linkat(dir, first, parent, name, 0) == 0;
}

static const char *last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* A name nobody has beside path. */
static char *beside(const char *path)
{
	static unsigned n;
	char *s = NULL;

	if (asprintf(&s, "%.*s/.forewarm-%d-%u", (int)(strrchr(path, '/') - path), path,
		     (int)getpid(), n++) < 0)
		return NULL;
	return s;
}

/* What a file gets that is written to where it is, and what it has: beside it until all is done. */
static int stage_write(struct commit *c, const struct effect *x, struct item *it, int host)
{
	const char *content;
	_cleanup_(closep) int parent = -1;
	int err;

	it->content = beside(it->staged);
	it->before = beside(it->staged);
	if (!it->content || !it->before)
		return fault(-ENOMEM);
	parent = effects_open_parent(it->content, &content);
	if (parent < 0)
		return fault(parent);
	err = stage_file(c, x, parent, content);
	return err < 0 ? err : stage_copy(c, host, parent, last_part(it->before));
}

enum { STAGE_COPY = 1 /* a new file it is, then */ };

/* The file itself under its new name, or to be written to where it is: all its other names stay its
 * names, as when the command itself does that. */
static int stage_itself(struct commit *c, const struct effect *x, struct item *it, int parent,
			const char *name)
{
	const char *old;
	_cleanup_(closep) int dir = -1;
	_cleanup_(closep) int host = -1;
	bool moves = x->from && strcmp(x->from, x->path);
	struct stat st;

	if (!x->from || (!x->same && (x->from_nlink <= 1 || it->inner)))
		return STAGE_COPY;
	dir = effects_open_parent(x->from, &old);
	if (dir < 0)
		return STAGE_COPY;
	if (!x->same) {
		host = openat(dir, old, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (host < 0 || fstat(host, &st) < 0 || st.st_ino != x->from_ino)
			return STAGE_COPY;
	}
	/* Another file system, or not ours to link: a copy. */
	if (moves && linkat(dir, old, parent, name, 0) < 0)
		return STAGE_COPY;
	if (moves &&
	    (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != x->from_ino))
		return fault(-ESTALE); /* swapped by somebody just now */
	return x->same ? 0 : stage_write(c, x, it, host);
}

static int stage_what(struct commit *c, const struct effect *x, struct item *it, int parent,
		      const char *name)
{
	int r;

	if (S_ISDIR(x->mode))
		return stage_dir(parent, name);
	r = S_ISREG(x->mode) ? stage_itself(c, x, it, parent, name) : STAGE_COPY;
	if (r <= 0)
		return r;
	if (x->from_nlink > 1 || (x->old_nlink > 1 && !c->e->indexed))
		c->say(c->ctx, x->from ? x->from : x->path,
		       "has other names, which keep what it was");
	if (stage_again(c, x, parent, name))
		return 0;
	if (S_ISREG(x->mode))
		return stage_file(c, x, parent, name);
	if (S_ISLNK(x->mode))
		return stage_link(c, x, parent, name);
	return stage_fifo(c, x, parent, name);
}

static int stage_one(struct commit *c, size_t i)
{
	const struct effect *x = &c->e->v[i], *up = commit_new_parent(c->e, x->path);
	struct item *it = &c->v[i];
	const char *name;
	_cleanup_(closep) int parent = -1;

	it->inner = up != NULL;
	if (!up)
		it->staged = beside(x->path);
	else if (asprintf(&it->staged, "%s%s", c->v[up - c->e->v].staged, strrchr(x->path, '/')) <
		 0)
		it->staged = NULL;
	if (!it->staged)
		return fault(-ENOMEM);
	if (x->op == EFFECT_DELETE || (x->op == EFFECT_CHANGE && S_ISDIR(x->mode)))
		return 0;
	if (S_ISSOCK(x->mode)) {
		c->say(c->ctx, x->path, "is a socket: passed over");
		return 0;
	}
	parent = effects_open_parent(it->staged, &name);
	if (parent < 0)
		return fault(parent);
	it->step = STEP_STAGED; /* also when half of it is there: to be removed */
	return stage_what(c, x, it, parent, name);
}

/* New directories, deepest first: writing into them is over. */
static int finish_dirs(struct commit *c)
{
	for (size_t i = c->e->n; i-- > 0;) {
		const struct effect *x = &c->e->v[i];
		_cleanup_(closep) int from = -1;
		_cleanup_(closep) int parent = -1;
		_cleanup_(closep) int to = -1;
		const char *name;
		struct stat st;
		int err;

		if (c->v[i].step != STEP_STAGED || !S_ISDIR(x->mode))
			continue;
		from = effects_source_open(c->e, x, O_RDONLY | O_DIRECTORY);
		parent = effects_open_parent(c->v[i].staged, &name);
		if (from < 0 || parent < 0)
			return effects_fail(c->e, x->path, fault(from < 0 ? from : parent));
		to = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = to < 0 || fstat(from, &st) < 0 ? fault_errno() : put_xattrs(from, to);
		if (!err)
			err = put_metadata(to, &st);
		if (err < 0)
			return effects_fail(c->e, x->path, err);
	}
	return 0;
}

/* Many small files: one sync of each file system is cheaper than one of each file. */
static int sync_all(struct commit *c)
{
	dev_t last = 0;

	for (size_t i = 0; !c->sync_each && i < c->e->n; i++) {
		_cleanup_(closep) int fd = -1;
		struct stat st;

		if (c->v[i].step != STEP_STAGED || c->v[i].inner || S_ISLNK(c->e->v[i].mode) ||
		    S_ISFIFO(c->e->v[i].mode))
			continue;
		fd = open(c->v[i].staged, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev == last)
			continue; /* write-only for us: the kernel writes it in its own time */
		last = st.st_dev;
		if (syncfs(fd) < 0)
			return effects_fail(c->e, c->e->v[i].path, fault_errno());
	}
	return 0;
}

/* --- placing ----------------------------------------------------------------------------------- */
/* Owner, mode and attributes of a directory that stays where it is. */
static int place_dir(struct commit *c, const struct effect *x, struct item *it, int parent,
		     const char *name)
{
	_cleanup_(closep) int from = effects_source_open(c->e, x, O_RDONLY | O_DIRECTORY);
	_cleanup_(closep) int to =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int err;

	if (from < 0)
		return fault(from);
	if (to < 0 || fstat(to, &it->old) < 0 || fstat(from, &st) < 0)
		return fault_errno();
	err = put_xattrs(from, to);
	st.st_atim.tv_nsec = st.st_mtim.tv_nsec = UTIME_OMIT;
	return err < 0 ? err : put_metadata(to, &st);
}

static int place_change(struct item *it, int parent, const char *name)
{
	const char *tmp = last_part(it->staged);
	int err;

	if (renameat2(parent, tmp, parent, name, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return fault_errno();
	it->aside = beside(it->staged);
	if (!it->aside)
		return fault(-ENOMEM);
	it->two_steps = true;
	if (renameat(parent, name, parent, last_part(it->aside)) < 0)
		return fault_errno();
	if (renameat2(parent, tmp, parent, name, RENAME_NOREPLACE) == 0)
		return 0;
	err = fault_errno();
	(void)renameat(parent, last_part(it->aside), parent, name);
	return err;
}

/* All names of a file show it at once; what it was is at aside until the end. */
static int write_through(int parent, const char *name, const char *content)
{
	_cleanup_(closep) int from =
		openat(parent, content, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	_cleanup_(closep) int to =
		openat(parent, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (from < 0 || to < 0 || fstat(from, &st) < 0 || ftruncate(to, 0) < 0)
		return fault_errno();
	return copy_file(from, &st, to, true);
}

static void take_back(struct commit *c, size_t i);

static int place_write(struct commit *c, size_t i, int parent, const char *name)
{
	struct item *it = &c->v[i];
	int err = write_through(parent, name, last_part(it->content));

	if (err < 0) {
		take_back(c, i);
		return err;
	}
	return 0;
}

static bool written_at_its_place(const struct effect *x, const struct item *it)
{
	return it->content && !strcmp(x->from, x->path);
}

static int place_one(struct commit *c, size_t i)
{
	const struct effect *x = &c->e->v[i];
	struct item *it = &c->v[i];
	const char *name;
	_cleanup_(closep) int parent = -1;
	int err = 0;

	if (it->inner || S_ISSOCK(x->mode))
		return 0;
	parent = effects_open_parent(x->path, &name);
	if (parent < 0)
		return fault(parent);
	if (x->op == EFFECT_CHANGE && S_ISDIR(x->mode)) {
		err = place_dir(c, x, it, parent, name);
	} else if (written_at_its_place(x, it)) {
		err = 0;
	} else if (x->op == EFFECT_CHANGE) {
		err = place_change(it, parent, name);
	} else if (x->op == EFFECT_ADD) {
		if (renameat2(parent, last_part(it->staged), parent, name, RENAME_NOREPLACE) < 0)
			err = fault_errno();
	} else if (renameat2(parent, name, parent, last_part(it->staged), RENAME_NOREPLACE) < 0) {
		err = errno == ENOENT ? 0 : fault_errno(); /* gone already, as wanted */
	}
	if (err < 0)
		return err;
	it->step = STEP_PLACED;
	return it->content ? place_write(c, i, parent, name) : 0;
}

/* The reverse of place_one(); what fails here is said, there is nothing else to be done. */
static void take_back(struct commit *c, size_t i)
{
	const struct effect *x = &c->e->v[i];
	struct item *it = &c->v[i];
	const char *name;
	_cleanup_(closep) int parent = effects_open_parent(x->path, &name);
	const char *tmp = last_part(it->staged);
	int r = 0;

	if (parent >= 0 && it->content && write_through(parent, name, last_part(it->before)) < 0) {
		it->lost = true;
		r = -1;
	}
	if (parent < 0) {
		r = -1;
	} else if (written_at_its_place(x, it)) {
		; /* its name is as it was */
	} else if (x->op == EFFECT_CHANGE && S_ISDIR(x->mode)) {
		_cleanup_(closep) int fd =
			openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		r = fd < 0 ? -1 : put_metadata(fd, &it->old);
	} else if (x->op == EFFECT_CHANGE && !it->two_steps) {
		r = renameat2(parent, tmp, parent, name, RENAME_EXCHANGE);
	} else if (x->op == EFFECT_CHANGE) {
		r = renameat(parent, name, parent, tmp);
		if (r == 0)
			r = renameat(parent, last_part(it->aside), parent, name);
	} else if (x->op == EFFECT_ADD) {
		r = renameat(parent, name, parent, tmp);
	} else {
		r = renameat2(parent, tmp, parent, name, RENAME_NOREPLACE);
		if (r < 0 && errno == ENOENT)
			r = 0;
	}
	if (r < 0)
		c->say(c->ctx, x->path, "was committed and could not be taken back");
	it->step = x->op == EFFECT_DELETE ? STEP_NONE : STEP_STAGED;
}

/* --- all of it ------------------------------------------------------------------------------------ */
/* What is left under temporary names: the new things of a commit that failed, else the old ones. */
static void tidy(struct commit *c, bool failed)
{
	for (size_t i = 0; i < c->e->n; i++) {
		struct item *it = &c->v[i];
		const struct effect *x = &c->e->v[i];
		bool old =
			!failed && it->step == STEP_PLACED &&
			(x->op == EFFECT_DELETE || (x->op == EFFECT_CHANGE && !S_ISDIR(x->mode)));
		const char *left = it->two_steps && !failed ? it->aside : it->staged;

		if (!it->inner && (old || (failed && it->step == STEP_STAGED)) &&
		    remove_path(left) < 0)
			c->say(c->ctx, left, "could not be removed");
		if (it->content && remove_path(it->content) < 0)
			c->say(c->ctx, it->content, "could not be removed");
		if (it->lost)
			c->say(c->ctx, it->before, "is what it was");
		else if (it->before && remove_path(it->before) < 0)
			c->say(c->ctx, it->before, "could not be removed");
		free(it->staged);
		free(it->aside);
		free(it->content);
		free(it->before);
	}
	free(c->names);
	free(c->v);
}

static void say_split(void *ctx, const char *path)
{
	const struct commit *c = ctx;

	c->say(c->ctx, path,
	       "has other names, which keep what it was: moved, it is a file of its own");
}

static int stage_all(struct commit *c, bool (*stop)(void *ctx))
{
	int r = names_new(c);

	if (!r)
		r = effects_split(c->e, say_split, c);
	for (size_t i = 0; i < c->e->n && !r; i++) {
		r = stop(c->ctx) ? COMMIT_STOPPED : stage_one(c, i);
		if (r < 0)
			r = effects_fail(c->e, c->e->v[i].path, r);
	}
	if (!r)
		r = finish_dirs(c);
	return r ? r : sync_all(c);
}

int commit_apply(struct effects *e, bool (*stop)(void *ctx), commit_say_fn say, void *ctx)
{
	struct commit c = {.e = e, .say = say, .ctx = ctx, .sync_each = e->n <= SYNC_EACH_MAX};
	size_t i = 0;
	int r;

	c.v = calloc(e->n + 1, sizeof(*c.v));
	if (!c.v)
		return effects_fail(e, "", fault(-ENOMEM));
	r = stage_all(&c, stop);
	if (!r && stop(ctx))
		r = COMMIT_STOPPED;
	for (; i < e->n && !r; i++) {
		r = place_one(&c, i);
		if (r < 0) {
			r = effects_fail(e, e->v[i].path, r);
			break;
		}
	}
	while (r && i-- > 0)
		if (c.v[i].step == STEP_PLACED)
			take_back(&c, i);
	tidy(&c, r != 0);
	return r;
}
