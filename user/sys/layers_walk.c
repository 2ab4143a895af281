// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * layers_walk.c - a path of a container in the layers of its image, as ovl_lookup() of fs/overlayfs does it.
 */
#include "sys/layers_impl.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { SYMLINK_MAX = 40 };
enum { LOOK_DIR = 16, LOOK_FILE, LOOK_LINK };

/* A directory of the image: those of the layers that make it up, the uppermost first. */
struct merged {
	uint32_t n;
	bool borrowed; /* the layers themselves, which are not ours to close */
	int fd[LOWER_MAX];
	uint8_t layer[LOWER_MAX];
};

/* at is where the merged directory is, as a path without symlinks; rest is what is still to go. */
struct walk {
	const struct layer_dirs *layers;
	struct merged in;
	bool cached;
	int links_n;
	size_t at_len;
	char at[PATH_MAX];
	char rest[PATH_MAX];
};

static void merged_close(struct merged *m)
{
	for (uint32_t i = 0; !m->borrowed && i < m->n; i++)
		close(m->fd[i]);
	m->n = 0;
}

/* An overlay's mark on a file or directory: the first byte of its value, 1: of none or a long one, 0: no mark. */
static char mark_of(int path_fd, const char *name)
{
	static const char *const spaces[] = {"trusted", "user"};
	char self[32], full[64], value[256];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		ssize_t n;

		snprintf(full, sizeof(full), "%s.overlay.%s", spaces[i], name);
		n = getxattr(self, full, value, sizeof(value));
		if (n > 0)
			return value[0];
		if (n == 0 || errno == ERANGE)
			return 1;
	}
	return 0;
}

static bool is_whiteout(int fd, const struct stat *st)
{
	return (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0)) ||
	       (S_ISREG(st->st_mode) && st->st_size == 0 && mark_of(fd, "whiteout"));
}

static int entry_open(struct walk *w, int dir, const char *name)
{
	int fd = path_entry(dir, name, true);

	if (fd != -EAGAIN && fd != -EINVAL)
		return fd;
	w->cached = false;
	return path_entry(dir, name, false);
}

/* What one layer has of an entry that layers above may have made a directory of. 0: look further down. */
static int look_in(struct walk *w, uint32_t i, const char *name, struct merged *dirs,
		   struct path_end *ret, int *ret_why)
{
	uint8_t layer = w->in.layer[i];
	_cleanup_(closep) int fd = entry_open(w, w->in.fd[i], name);
	struct stat st;

	*ret_why = -fd;
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd == -EXDEV || fd == -EACCES || fd == -ENAMETOOLONG ? PATH_REFUSED
									    : fault(fd);
	if (fstat(fd, &st) < 0)
		return fault_errno();
	*ret_why = ENOENT;
	if (is_whiteout(fd, &st) || (dirs->n && !S_ISDIR(st.st_mode)))
		return dirs->n ? LOOK_DIR : PATH_ABSENT;
	*ret_why = EOPNOTSUPP; /* moved here from elsewhere: images are not made so */
	if (!S_ISLNK(st.st_mode) && i + 1 < w->in.n && mark_of(fd, "redirect"))
		return PATH_REFUSED;
	if (S_ISDIR(st.st_mode)) {
		bool opaque = i + 1 == w->in.n || mark_of(fd, "opaque") == 'y';

		dirs->layer[dirs->n] = layer;
		dirs->fd[dirs->n++] = TAKE_FD(fd);
		return opaque ? LOOK_DIR : 0;
	}
	/* Of a file whose owner or mode alone was changed the data is further down. */
	if (S_ISREG(st.st_mode) && i + 1 < w->in.n && mark_of(fd, "metacopy"))
		return 0;
	*ret = (struct path_end){.class = w->layers->of[layer].class, .st = st};
	ret->fd = TAKE_FD(fd);
	return S_ISLNK(st.st_mode) ? LOOK_LINK : LOOK_FILE;
}

/* An entry of the directory the walk is in: LOOK_DIR with those that make it up, LOOK_FILE or LOOK_LINK with what
 * it is, PATH_ABSENT, PATH_REFUSED. */
static int look(struct walk *w, const char *name, struct merged *dirs, struct path_end *ret,
		int *ret_why)
{
	int r = 0;

	dirs->n = 0;
	dirs->borrowed = false;
	for (uint32_t i = 0; i < w->in.n && !r; i++)
		r = look_in(w, i, name, dirs, ret, ret_why);
	if (!r)
		r = dirs->n ? LOOK_DIR : PATH_ABSENT;
	if (r != LOOK_DIR)
		merged_close(dirs);
	return r;
}

static void walk_root(struct walk *w)
{
	merged_close(&w->in);
	w->at_len = 0;
	w->at[0] = '\0';
	w->in.borrowed = true;
	w->in.n = w->layers->n;
	for (uint32_t i = 0; i < w->in.n; i++) {
		w->in.fd[i] = w->layers->of[i].fd;
		w->in.layer[i] = (uint8_t)i;
	}
}

/* Goes on with path before what is still to go; counts, so that it ends. */
static int walk_before(struct walk *w, const char *path, int *ret_why)
{
	char rest[PATH_MAX];

	*ret_why = ELOOP;
	if (++w->links_n > SYMLINK_MAX)
		return PATH_REFUSED;
	*ret_why = ENAMETOOLONG;
	if ((size_t)snprintf(rest, sizeof(rest), "%s%s", path, w->rest) >= sizeof(rest))
		return PATH_REFUSED;
	memcpy(w->rest, rest, strlen(rest) + 1);
	return 0;
}

/* ".." of a path without symlinks is that path less its last name; above the root is the root. */
static int walk_up(struct walk *w, int *ret_why)
{
	char *slash = strrchr(w->at, '/');
	int r;

	if (slash)
		*slash = '\0';
	r = walk_before(w, w->at, ret_why);
	walk_root(w);
	return r;
}

static int walk_link(struct walk *w, int fd, int *ret_why)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return fault_errno();
	if (n == 0)
		return PATH_ABSENT;
	target[n] = '\0';
	if (target[0] == '/')
		walk_root(w);
	return walk_before(w, target, ret_why);
}

static int walk_into(struct walk *w, const char *name, const struct merged *dirs, int *ret_why)
{
	size_t n = strlen(name);

	merged_close(&w->in);
	w->in = *dirs;
	*ret_why = ENAMETOOLONG;
	if (w->at_len + 1 + n >= sizeof(w->at))
		return PATH_REFUSED;
	w->at[w->at_len++] = '/';
	memcpy(w->at + w->at_len, name, n + 1);
	w->at_len += n;
	return 0;
}

/* Takes the first name off rest; false: there is none, or why not. */
static bool walk_next(struct walk *w, char name[NAME_MAX + 1], int *ret_why)
{
	const char *s = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(s, "/");

	*ret_why = n > NAME_MAX ? ENAMETOOLONG : 0;
	if (!n || n > NAME_MAX)
		return false;
	memcpy(name, s, n);
	name[n] = '\0';
	memmove(w->rest, s + n, strlen(s + n) + 1);
	return true;
}

/* One name further. LOOK_FILE: the end. */
static int walk_step(struct walk *w, const char *name, struct path_end *ret, int *ret_why)
{
	struct path_end end = {.fd = -1};
	struct merged dirs;
	int r;

	if (!strcmp(name, "."))
		return 0;
	if (!strcmp(name, ".."))
		return walk_up(w, ret_why);
	r = look(w, name, &dirs, &end, ret_why);
	if (r == LOOK_DIR)
		return walk_into(w, name, &dirs, ret_why);
	if (r == LOOK_LINK) {
		r = walk_link(w, end.fd, ret_why);
		close(end.fd);
	} else if (r == LOOK_FILE && w->rest[0]) { /* "file/" and "file/name" lead nowhere */
		close(end.fd);
		*ret_why = ENOTDIR;
		r = PATH_ABSENT;
	} else if (r == LOOK_FILE) {
		*ret = end;
	}
	return r;
}

/* The directory the walk ended in. */
static int end_dir(struct walk *w, struct layers_end *ret)
{
	struct path_end end = {.class = w->layers->of[w->in.layer[0]].class};

	if (fstat(w->in.fd[0], &end.st) < 0)
		return fault_errno();
	ret->more_n = 0;
	for (uint32_t i = 0; i < w->in.n; i++) {
		int fd = w->in.borrowed ? fcntl(w->in.fd[i], F_DUPFD_CLOEXEC, 3) : w->in.fd[i];

		if (i == 0)
			end.fd = fd;
		else if (fd >= 0)
			ret->more[ret->more_n++] = fd;
	}
	w->in.n = 0; /* now the caller's */
	ret->end = end;
	return end.fd < 0 ? fault(-EMFILE) : 0;
}

int layers_walk(const struct layer_dirs *d, const char *path, struct layers_end *ret, int *ret_why)
{
	struct walk on_stack, *w = &on_stack;
	size_t len = strnlen(path, PATH_MAX);
	struct path_end end = {.fd = -1};
	char name[NAME_MAX + 1];
	int r = 0;

	*ret_why = path[0] == '/' ? ENAMETOOLONG : EINVAL;
	if (path[0] != '/' || len >= PATH_MAX)
		return PATH_REFUSED;
	w->layers = d;
	w->cached = true;
	w->links_n = 0;
	w->in.n = 0;
	w->in.borrowed = true;
	memcpy(w->rest, path, len + 1);
	walk_root(w);
	while (!r && walk_next(w, name, ret_why))
		r = walk_step(w, name, &end, ret_why);
	if (!r)
		r = *ret_why ? PATH_REFUSED : end_dir(w, ret);
	ret->end.cached = w->cached && w->links_n == 0;
	if (r == LOOK_FILE) {
		end.cached = ret->end.cached;
		ret->end = end;
		ret->more_n = 0;
		r = 0;
	}
	merged_close(&w->in);
	return r;
}

void layers_end_close(struct layers_end *e)
{
	closep(&e->end.fd);
	for (uint32_t i = 0; i < e->more_n; i++)
		close(e->more[i]);
	e->more_n = 0;
}
