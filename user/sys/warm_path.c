/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm_path.c - see warm_path.h.
 *
 * Why not simply open(path, O_NOFOLLOW | O_NONBLOCK) and look at what came back: that would open the
 * FIFO (its writer sees a reader), the tape (which rewinds), the file on a server that is gone (for
 * ever). An O_PATH descriptor opens nothing, and pins the inode so that nothing can be swapped in
 * between the look and the open.
 *
 * Entering a mount can already ask its server (NFS revalidates the root on the way in), so a mount
 * is classified by its path in mountinfo first. RESOLVE_NO_XDEV tells us, without entering, that
 * there is one.
 */
#include "sys/warm_path.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/mountinfo.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

enum { SYMLINK_MAX = 40, MOUNT_MAX = 16384 };
enum { WALK_STEPWISE = 16 /* not in one go: a symlink or a mount is in the way */ };

struct mount {
	uint64_t id;
	uint32_t dev; /* of its file system, as the kernel has it */
	char *point;
	enum mount_class class;
};

struct mounts {
	pthread_mutex_t lock;
	int fd; /* of mountinfo: POLLPRI when the table changed */
	struct mount *all;
	size_t n;
	bool known;
};

static const struct {
	const char *fs;
	enum mount_class class;
} fs_classes[] = {
	{"ext2", MOUNT_DISK},	   {"ext3", MOUNT_DISK},     {"ext4", MOUNT_DISK},
	{"xfs", MOUNT_DISK},	   {"btrfs", MOUNT_DISK},    {"f2fs", MOUNT_DISK},
	{"overlay", MOUNT_DISK},   {"squashfs", MOUNT_DISK}, {"erofs", MOUNT_DISK},
	{"vfat", MOUNT_DISK},	   {"exfat", MOUNT_DISK},    {"iso9660", MOUNT_DISK},
	{"udf", MOUNT_DISK},	   {"bcachefs", MOUNT_DISK}, {"ntfs3", MOUNT_DISK},
	{"jfs", MOUNT_DISK},	   {"nilfs2", MOUNT_DISK},   {"reiserfs", MOUNT_DISK},
	{"tmpfs", MOUNT_MEMORY},   {"ramfs", MOUNT_MEMORY},  {"rootfs", MOUNT_MEMORY},
	{"nfs", MOUNT_REMOTE},	   {"nfs4", MOUNT_REMOTE},   {"cifs", MOUNT_REMOTE},
	{"smb3", MOUNT_REMOTE},	   {"9p", MOUNT_REMOTE},     {"virtiofs", MOUNT_REMOTE},
	{"ceph", MOUNT_REMOTE},	   {"afs", MOUNT_REMOTE},    {"fuse", MOUNT_REMOTE},
	{"fuseblk", MOUNT_REMOTE}, {"gfs2", MOUNT_REMOTE},   {"ocfs2", MOUNT_REMOTE},
	{"lustre", MOUNT_REMOTE},
};

static enum mount_class class_of(const char *fs)
{
	for (size_t i = 0; i < ARRAY_SIZE(fs_classes); i++)
		if (!strcmp(fs, fs_classes[i].fs))
			return fs_classes[i].class;
	return strncmp(fs, "fuse.", 5) ? MOUNT_OTHER : MOUNT_REMOTE;
}

static void mounts_forget(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->all[i].point);
	free(m->all);
	m->all = NULL;
	m->n = 0;
	m->known = false;
}

static int mounts_load(struct mounts *m)
{
	_cleanup_(fclosep) FILE *f = NULL;
	_cleanup_(closep) int fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_(mountinfo_fini) struct mountinfo mi = {0};
	size_t room = 0;
	int r = 0;

	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return fault_errno();
	f = fdopen(fd, "r");
	if (!f)
		return fault_errno();
	fd = -1;
	mounts_forget(m);
	while (m->n < MOUNT_MAX && (r = mountinfo_next(f, &mi)) == 0) {
		if (m->n == room) {
			struct mount *more = realloc(m->all, (room * 2 + 64) * sizeof(*more));

			if (!more)
				return fault(-ENOMEM);
			m->all = more;
			room = room * 2 + 64;
		}
		m->all[m->n] = (struct mount){mi.id, mi.dev, strdup(mi.point), class_of(mi.type)};
		if (!m->all[m->n].point)
			return fault(-ENOMEM);
		m->n++;
	}
	if (r == -ENOMEM)
		return fault(r);
	m->known = true;
	return 0;
}

/* What is not known is MOUNT_OTHER, and that is refused. */
static void mounts_renew_locked(struct mounts *m)
{
	struct pollfd p = {.fd = m->fd, .events = POLLPRI};

	if (poll(&p, 1, 0) > 0 || !m->known)
		(void)mounts_load(m);
}

static bool may_enter(enum mount_class class, bool remote_fs)
{
	return class != MOUNT_OTHER && (class != MOUNT_REMOTE || remote_fs);
}

/* What is mounted at point; the last one mounted there hides the others. */
static enum mount_class mounts_class(struct mounts *m, const char *point)
{
	enum mount_class class = MOUNT_OTHER;

	pthread_mutex_lock(&m->lock);
	mounts_renew_locked(m);
	for (size_t i = m->n; i-- > 0;) {
		if (strcmp(m->all[i].point, point))
			continue;
		class = m->all[i].class;
		break;
	}
	pthread_mutex_unlock(&m->lock);
	return class;
}

static bool is_below(const char *path, const char *point)
{
	size_t n = strlen(point);

	return n == 1 || (!strncmp(path, point, n) && (path[n] == '/' || !path[n]));
}

/* The mount that path should be on, by its name; false when there is one on the way we do not enter. */
static bool mounts_on_way(struct mounts *m, const char *path, bool remote_fs, struct mount *ret,
			  size_t *ret_point_len)
{
	bool may = true;

	*ret_point_len = 0;
	pthread_mutex_lock(&m->lock);
	mounts_renew_locked(m);
	for (size_t i = 0; i < m->n && may; i++) {
		size_t len;

		if (!is_below(path, m->all[i].point))
			continue;
		may = may_enter(m->all[i].class, remote_fs);
		len = strlen(m->all[i].point);
		if (len < *ret_point_len)
			continue;
		*ret = m->all[i];
		*ret_point_len = len;
	}
	pthread_mutex_unlock(&m->lock);
	ret->point = NULL; /* that is the table's */
	return may && *ret_point_len;
}

int mounts_new(struct mounts **ret)
{
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? fault_errno() : mounts_new_of(fd, ret);
}

int mounts_new_of(int mountinfo_fd, struct mounts **ret)
{
	_cleanup_(freep) struct mounts *m = calloc(1, sizeof(*m));

	if (!m) {
		close(mountinfo_fd);
		return fault(-ENOMEM);
	}
	m->fd = mountinfo_fd;
	pthread_mutex_init(&m->lock, NULL);
	*ret = TAKE_PTR(m);
	return 0;
}

struct mounts *mounts_free(struct mounts *m)
{
	if (!m)
		return NULL;
	mounts_forget(m);
	close(m->fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return NULL;
}

uint32_t mounts_dev(struct mounts *m, int fd)
{
	struct statx x;
	uint32_t dev = 0;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &x) < 0 ||
	    !(x.stx_mask & STATX_MNT_ID))
		return 0;
	pthread_mutex_lock(&m->lock);
	mounts_renew_locked(m);
	for (size_t i = 0; i < m->n && !dev; i++)
		if (m->all[i].id == x.stx_mnt_id)
			dev = m->all[i].dev;
	pthread_mutex_unlock(&m->lock);
	return dev;
}

static int open_path(int dir, const char *name, uint64_t resolve)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH | resolve,
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd >= 0 ? fd : -errno;
}

/* One walk. at is where fd is, as a path without symlinks; rest is what is still to go. */
struct walk {
	int fd, root_fd;
	enum mount_class class;
	bool remote_fs;
	int links_n;
	struct stat st; /* of the end */
	size_t at_len;
	char at[PATH_MAX];
	char rest[PATH_MAX];
};

static int walk_class(struct walk *w, struct mounts *m, int *ret_why)
{
	w->class = mounts_class(m, w->at_len ? w->at : "/");
	if (!may_enter(w->class, w->remote_fs)) {
		*ret_why = EOPNOTSUPP;
		return PATH_REFUSED;
	}
	return 0;
}

static int walk_root(struct walk *w, struct mounts *m, int *ret_why)
{
	if (w->fd >= 0)
		close(w->fd);
	w->at_len = 0;
	w->at[0] = '\0';
	w->fd = w->root_fd < 0 ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)
			       : fcntl(w->root_fd, F_DUPFD_CLOEXEC, 3);
	if (w->fd < 0)
		return fault_errno();
	return walk_class(w, m, ret_why);
}

/* Takes the first component off rest. */
static bool walk_next(struct walk *w, char name[NAME_MAX + 1], int *ret_why)
{
	const char *s = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(s, "/");

	*ret_why = 0;
	if (!len)
		return false;
	if (len > NAME_MAX) {
		*ret_why = ENAMETOOLONG;
		return false;
	}
	memcpy(name, s, len);
	name[len] = '\0';
	memmove(w->rest, s + len, strlen(s + len) + 1);
	return true;
}

static int walk_symlink(struct walk *w, struct mounts *m, int link_fd, int *ret_why)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlinkat(link_fd, "", target, sizeof(target) - 1);

	if (len < 0)
		return fault_errno();
	if (len == 0)
		return PATH_ABSENT;
	target[len] = '\0';
	*ret_why = ELOOP;
	if (++w->links_n > SYMLINK_MAX)
		return PATH_REFUSED;
	*ret_why = ENAMETOOLONG;
	if ((size_t)snprintf(rest, sizeof(rest), "%s%s", target, w->rest) >= sizeof(rest))
		return PATH_REFUSED;
	memcpy(w->rest, rest, strlen(rest) + 1);
	return target[0] == '/' ? walk_root(w, m, ret_why) : 0;
}

/* Goes on at what at names joined with name, which fd is; takes fd. */
static int walk_into(struct walk *w, int fd, const char *name, int *ret_why)
{
	size_t len = strlen(name);

	close(w->fd);
	w->fd = fd;
	if (w->at_len + 1 + len >= sizeof(w->at)) {
		*ret_why = ENAMETOOLONG;
		return PATH_REFUSED;
	}
	w->at[w->at_len++] = '/';
	memcpy(w->at + w->at_len, name, len + 1);
	w->at_len += len;
	return 0;
}

/* ".." from a path without symlinks is that path less its last name: start again from there, since
 * it may lead out of a mount. Counts as a symlink, so that it ends. */
static int walk_up(struct walk *w, struct mounts *m, int *ret_why)
{
	char rest[PATH_MAX];
	char *slash = strrchr(w->at, '/');

	*ret_why = ELOOP;
	if (++w->links_n > SYMLINK_MAX)
		return PATH_REFUSED;
	if (slash)
		*slash = '\0';
	*ret_why = ENAMETOOLONG;
	if ((size_t)snprintf(rest, sizeof(rest), "%s%s", w->at, w->rest) >= sizeof(rest))
		return PATH_REFUSED;
	memcpy(w->rest, rest, strlen(rest) + 1);
	return walk_root(w, m, ret_why);
}

/* Something is mounted at name: look what it is, and only then go in. */
static int walk_cross(struct walk *w, struct mounts *m, const char *name, int *ret_why)
{
	int fd;

	if (w->at_len + strlen(name) + 2 > sizeof(w->at)) {
		*ret_why = ENAMETOOLONG;
		return PATH_REFUSED;
	}
	w->at[w->at_len] = '/';
	memcpy(w->at + w->at_len + 1, name, strlen(name) + 1);
	w->class = mounts_class(m, w->at);
	w->at[w->at_len] = '\0';
	if (!may_enter(w->class, w->remote_fs)) {
		*ret_why = EOPNOTSUPP;
		return PATH_REFUSED;
	}
	fd = open_path(w->fd, name, 0);
	if (fd < 0)
		return fault(fd);
	return walk_into(w, fd, name, ret_why);
}

static int walk_error(int err, int *ret_why)
{
	*ret_why = -err;
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
		return PATH_ABSENT;
	case ENAMETOOLONG:
	case EACCES:
	case ELOOP:
		return PATH_REFUSED;
	default:
		return fault(err);
	}
}

/* One name further. */
static int walk_step(struct walk *w, struct mounts *m, const char *name, bool *ret_jumped,
		     int *ret_why)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	*ret_jumped = true;
	if (!strcmp(name, "."))
		return 0;
	if (!strcmp(name, ".."))
		return walk_up(w, m, ret_why);
	fd = open_path(w->fd, name, RESOLVE_NO_XDEV);
	if (fd == -EXDEV)
		return walk_cross(w, m, name, ret_why);
	if (fd < 0)
		return walk_error(fd, ret_why);
	if (fstat(fd, &st) < 0)
		return fault_errno();
	if (S_ISLNK(st.st_mode))
		return walk_symlink(w, m, fd, ret_why);
	*ret_jumped = false;
	return walk_into(w, TAKE_FD(fd), name, ret_why);
}

/* All of rest at once, which works where it meets neither symlink nor mount: else WALK_STEPWISE. */
static int walk_rest(struct walk *w, bool maybe_cached, bool *ret_cached, int *ret_why)
{
	const uint64_t plain = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
	const char *s = w->rest + strspn(w->rest, "/");
	int fd = -EAGAIN;

	*ret_cached = maybe_cached;
	if (maybe_cached)
		fd = open_path(w->fd, *s ? s : ".", plain | RESOLVE_CACHED);
	if (fd == -EAGAIN || fd == -EINVAL) { /* not cached, or a kernel < 5.12 that cannot say */
		*ret_cached = false;
		fd = open_path(w->fd, *s ? s : ".", plain);
	}
	if (fd == -EXDEV || fd == -ELOOP)
		return WALK_STEPWISE;
	if (fd < 0)
		return walk_error(fd, ret_why);
	/* The last name is not followed, so it may be a symlink after all. */
	if (fstat(fd, &w->st) < 0 || S_ISLNK(w->st.st_mode)) {
		close(fd);
		return WALK_STEPWISE;
	}
	close(w->fd);
	w->fd = fd;
	return 0;
}

/* path, from the root, without asking any file system anything, through whatever is mounted. */
static int open_cached(const struct walk *w, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_CACHED,
	};
	int fd, root = AT_FDCWD;

	if (w->root_fd >= 0) {
		root = w->root_fd;
		how.resolve |= RESOLVE_BENEATH;
		path += strspn(path, "/");
		path = *path ? path : ".";
	}
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	return fd >= 0 ? fd : -errno;
}

/* Is fd on that mount? Asks no server: what is not known of the file stays 0. */
static bool is_on(int fd, const struct mount *on, struct stat *ret)
{
	struct statx x;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID,
		  &x) < 0 ||
	    !(x.stx_mask & STATX_MNT_ID) || x.stx_mnt_id != on->id)
		return false;
	*ret = (struct stat){.st_mode = x.stx_mode,
			     .st_uid = x.stx_uid,
			     .st_size = (off_t)x.stx_size,
			     .st_ino = x.stx_ino,
			     .st_dev = makedev(x.stx_dev_major, x.stx_dev_minor)};
	return true;
}

/*
 * Most paths have no symlink in them, and their mount can be told from the table. What is cached is
 * had in one call then; of the others at least the way to the mount is, since a mount pins its name.
 * Else WALK_STEPWISE, from where w is, or from the root when it is nowhere yet.
 */
static int walk_at_once(struct walk *w, struct mounts *m, bool *ret_cached, int *ret_why)
{
	struct mount on;
	size_t len;
	char cut;
	int fd;

	if (!mounts_on_way(m, w->rest, w->remote_fs, &on, &len) || on.class == MOUNT_REMOTE)
		return WALK_STEPWISE;
	*ret_cached = true;
	fd = open_cached(w, w->rest);
	if (fd == -ENOENT)
		return PATH_ABSENT;
	if (fd < 0 && fd != -EAGAIN)
		return WALK_STEPWISE;
	if (fd >= 0) {
		if (!is_on(fd, &on, &w->st) || S_ISLNK(w->st.st_mode)) {
			close(fd);
			return WALK_STEPWISE;
		}
		w->fd = fd;
		w->class = on.class;
		return 0;
	}
	cut = w->rest[len];
	w->rest[len] = '\0';
	fd = open_cached(w, w->rest);
	w->rest[len] = cut;
	if (fd < 0 || !is_on(fd, &on, &w->st)) {
		closep(&fd);
		return WALK_STEPWISE;
	}
	w->fd = fd;
	w->class = on.class;
	if (len > 1) { /* "/" stays the empty path */
		memcpy(w->at, w->rest, len);
		w->at[len] = '\0';
		w->at_len = len;
		memmove(w->rest, w->rest + len, strlen(w->rest + len) + 1);
	}
	return walk_rest(w, false, ret_cached, ret_why);
}

static int walk(struct walk *w, struct mounts *m, bool *ret_cached, int *ret_why)
{
	char name[NAME_MAX + 1];
	bool jumped = false;
	int r = walk_at_once(w, m, ret_cached, ret_why);

	if (r != WALK_STEPWISE)
		return r;
	r = 0;
	if (w->fd < 0) {
		r = walk_root(w, m, ret_why);
		jumped = true;
	}
	while (!r) {
		if (jumped) {
			r = walk_rest(w, true, ret_cached, ret_why);
			if (r != WALK_STEPWISE)
				return r;
		}
		if (!walk_next(w, name, ret_why))
			return *ret_why ? PATH_REFUSED : fstat(w->fd, &w->st) ? fault_errno() : 0;
		r = walk_step(w, m, name, &jumped, ret_why);
	}
	return r;
}

int path_walk(struct mounts *m, const char *path, bool remote_fs, struct path_end *ret,
	      int *ret_why)
{
	return path_walk_in(m, -1, path, remote_fs, ret, ret_why);
}

int path_walk_in(struct mounts *m, int root_fd, const char *path, bool remote_fs,
		 struct path_end *ret, int *ret_why)
{
	struct walk on_stack, *w = &on_stack;
	size_t len = strnlen(path, PATH_MAX);
	bool cached = false;
	int r, why = 0;

	*ret_why = path[0] == '/' ? ENAMETOOLONG : EINVAL;
	if (path[0] != '/' || len >= PATH_MAX)
		return PATH_REFUSED;
	w->fd = -1;
	w->root_fd = root_fd;
	w->remote_fs = remote_fs;
	w->links_n = 0;
	w->at_len = 0;
	w->at[0] = '\0';
	memcpy(w->rest, path, len + 1);
	r = walk(w, m, &cached, &why);
	ret->cached = cached && w->links_n == 0;
	if (r) {
		closep(&w->fd);
		*ret_why = why;
		return r;
	}
	ret->fd = w->fd;
	ret->class = w->class;
	ret->st = w->st;
	return 0;
}

int path_entry(int dir_fd, const char *name, bool cached)
{
	return open_path(dir_fd, name, RESOLVE_NO_XDEV | (cached ? RESOLVE_CACHED : 0));
}

bool path_look(int dir_fd, const char *name, bool cached)
{
	_cleanup_(closep) int fd = path_entry(dir_fd, name, cached);

	return fd >= 0;
}

int path_open(int path_fd, int flags)
{
	char self[32];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
	fd = open(self, flags | O_CLOEXEC | O_NOATIME);
	/* Not ours and no CAP_FOWNER. readahead() and mincore() leave atime alone anyway; listing a
	 * directory does not. */
	if (fd < 0 && errno == EPERM && !(flags & O_DIRECTORY))
		fd = open(self, flags | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}
