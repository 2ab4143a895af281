// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * root.c - what a sandbox sees: an overlay over the host's root, its own /proc, a private /dev.
 *
 * The filler leaves the host's mounts once: it pivots into a small stage (lower, sys, dev, empty),
 * so a sandbox's mount namespace is a copy of a handful of mounts, whatever the host has mounted.
 * Every mount is made through descriptors and attached to a target opened without following links:
 * there is no string path an attacker could race with, and no untrusted code runs yet anyway.
 */
#include "sys/box/box.h"
#include "sys/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* Where a stub has its /proc and /dev until there is a root to move them to. */
#define STUB_PROC "stub-proc"
#define STUB_DEV "stub-dev"

static int fs_mount(const char *type, const char *const *keys, unsigned attrs)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC), mnt = -1, err = 0;

	if (fs < 0)
		return -errno;
	for (; *keys && !err; keys += 2)
		if (fsconfig(fs, keys[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, keys[0],
			     keys[1], 0) < 0)
			err = -errno;
	if (!err && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		err = -errno;
	if (!err) {
		mnt = fsmount(fs, FSMOUNT_CLOEXEC, attrs);
		if (mnt < 0)
			err = -errno;
	}
	(void)close(fs);
	return err ? err : mnt;
}

static int tree_clone(int dirfd, const char *path, uint64_t attrs, int recursive)
{
	struct mount_attr a = {.attr_set = attrs, .propagation = MS_PRIVATE};
	unsigned rec = recursive ? AT_RECURSIVE : 0;
	int fd = open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | rec);

	if (fd < 0)
		return -errno;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | rec, &a, sizeof(a)) < 0) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return fd;
}

/* Opens path below rootfd: never out of it, never through a magic link. */
int root_open_in(int rootfd, const char *path, int make_dir)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	char part[BOX_PATH_LEN];

	if (fd >= 0 || errno != ENOENT || !make_dir)
		return fd >= 0 ? fd : -errno;
	if (strlen(path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (const char *p = path;;) {
		int up;
		const char *slash;

		p += strspn(p, "/");
		slash = strchr(p, '/');
		snprintf(part, sizeof(part), "%.*s",
			 slash ? (int)(slash - path) : (int)strlen(path), path);
		fd = (int)syscall(SYS_openat2, rootfd, part, &how, sizeof(how));
		if (fd < 0 && errno == ENOENT) {
			char parent[BOX_PATH_LEN + 1];
			char *cut;

			snprintf(parent, sizeof(parent), "/%s", part);
			cut = strrchr(parent, '/');
			*cut = 0;
			up = (int)syscall(SYS_openat2, rootfd, *parent ? parent : "/", &how,
					  sizeof(how));
			if (up < 0)
				return -errno;
			if (mkdirat(up, cut + 1, 0755) < 0 && errno != EEXIST) {
				int err = -errno;

				(void)close(up);
				return err;
			}
			(void)close(up);
			fd = (int)syscall(SYS_openat2, rootfd, part, &how, sizeof(how));
		}
		if (fd < 0)
			return -errno;
		if (!slash || !slash[1])
			return fd;
		(void)close(fd);
		p = slash;
	}
}

/* Attaches mount mnt (taken) at path below the mount or directory rootfd. */
static int attach(int mnt, int rootfd, const char *path)
{
	int at, err = 0;

	if (mnt < 0)
		return mnt;
	at = root_open_in(rootfd, path, 1);
	if (at < 0)
		err = at;
	else if (move_mount(mnt, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		err = -errno;
	if (at >= 0)
		(void)close(at);
	if (err) {
		(void)close(mnt);
		return err;
	}
	return mnt;
}

/* Disk file systems mounted below the root get an overlay each; kernel interfaces and /run do not
 * show up inside at all. */
static int wanted_extra(const char *at, const char *type)
{
	static const char *const types[] = {"ext2",  "ext3", "ext4",	 "xfs",	  "btrfs",  "f2fs",
					    "tmpfs", "zfs",  "squashfs", "erofs", "overlay"};
	static const char *const not_below[] = {"/proc", "/sys", "/dev", "/run"};

	for (size_t i = 0; i < sizeof(not_below) / sizeof(*not_below); i++) {
		size_t n = strlen(not_below[i]);

		if (!strncmp(at, not_below[i], n) && (!at[n] || at[n] == '/'))
			return 0;
	}
	if (!strcmp(at, "/") || strpbrk(at, ",:\\ \n"))
		return 0; /* characters overlay's option string cannot carry */
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(type, types[i]))
			return 1;
	return 0;
}

static void find_extras(const char *root, struct box_template *t)
{
	FILE *f = strcmp(root, "/") ? NULL : fopen("/proc/self/mountinfo", "re");
	struct mountinfo m = {0};

	while (f && mountinfo_next(f, &m) == 0) {
		size_t at_n = strlen(m.point);
		struct stat st;
		uint32_t i;

		if (!wanted_extra(m.point, m.type) || at_n >= BOX_PATH_LEN)
			continue;
		if (stat(m.point, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		for (i = 0; i < t->extra_n && strcmp(t->extras[i].at, m.point); i++)
			;
		if (i == t->extra_n && t->extra_n < BOX_EXTRA_MAX)
			memcpy(t->extras[t->extra_n++].at, m.point, at_n + 1);
	}
	mountinfo_fini(&m);
	if (f)
		(void)fclose(f);
}

static int make_dev(int stage)
{
	static const struct {
		const char *name;
		unsigned minor;
		unsigned major;
	} nodes[] = {{"null", 3, 1},   {"zero", 5, 1},	  {"full", 7, 1},
		     {"random", 8, 1}, {"urandom", 9, 1}, {"tty", 0, 5}};
	static const char *const links[] = {"pts/ptmx",	       "ptmx",	"/proc/self/fd",   "fd",
					    "/proc/self/fd/0", "stdin", "/proc/self/fd/1", "stdout",
					    "/proc/self/fd/2", "stderr"};
	const char *const keys[] = {"mode", "755", "size", "64k", NULL};
	int dev =
		attach(STEP("dev", fs_mount("tmpfs", keys, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)),
		       stage, "dev");

	if (dev < 0)
		return dev;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666,
			    makedev(nodes[i].major, nodes[i].minor)) < 0)
			return STEP("mknod", -errno);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i += 2)
		if (symlinkat(links[i], dev, links[i + 1]) < 0)
			return STEP("dev links", -errno);
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0)
		return STEP("dev dirs", -errno);
	(void)close(dev);
	return 0;
}

/* user.overlay.* lets the requester, not only root, read what was deleted and replaced. */
static int tmpfs_has_user_xattr(int dirfd)
{
	int fd = openat(dirfd, "empty", O_RDONLY | O_CLOEXEC), ok;

	if (fd < 0)
		return 0;
	ok = fsetxattr(fd, "user.forewarm", "1", 1, 0) == 0;
	(void)fremovexattr(fd, "user.forewarm"); /* only there when it was set */
	(void)close(fd);
	return ok;
}

/* Without, the kernel would do without an index as well, and log it each time. */
static int has_handles(int dirfd)
{
	struct {
		struct file_handle head;
		char bytes[MAX_HANDLE_SZ];
	} h = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount_id;

	return name_to_handle_at(dirfd, "", &h.head, &mount_id, AT_EMPTY_PATH) == 0;
}

/* What of /proc is read-only, and what does not show; has_names() finds which there are. */
static const char *const proc_ro[] = {"sys", "sysrq-trigger", "irq", "bus", "fs", NULL};
static const char *const proc_files[] = {
	"kcore",      "keys",	    "kmsg",	   "timer_list", "latency_stats", "sched_debug",
	"kpagecount", "kpageflags", "kpagecgroup", "slabinfo",	 "vmallocinfo",	  NULL};
static const char *const proc_dirs[] = {"acpi", "scsi", "asound", "driver", NULL};

static uint32_t has_names(int dir, const char *const *names)
{
	uint32_t has = 0;

	for (uint32_t i = 0; names[i]; i++)
		if (faccessat(dir, names[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			has |= 1u << i;
	return has;
}

/* Not by what our own /proc shows, which may hide more (subset=, hidepid=). */
static int find_proc(struct box_template *t)
{
	const char *const keys[] = {NULL};
	int proc = fs_mount("proc", keys, (unsigned)ATTR_SAFE | MOUNT_ATTR_NOEXEC);

	if (proc < 0)
		return proc;
	t->proc_ro = has_names(proc, proc_ro);
	t->proc_files = has_names(proc, proc_files);
	t->proc_dirs = has_names(proc, proc_dirs);
	(void)close(proc);
	return 0;
}

/* Puts a mount of the stage, with the attributes it has, over each name of dir in has. */
static int cover(int dir, const char *const *names, uint32_t has, const char *mount)
{
	for (uint32_t i = 0; names[i]; i++) {
		int m, r;

		if (!(has >> i & 1))
			continue;
		m = open_tree(AT_FDCWD, mount, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (m < 0)
			return -errno;
		r = move_mount(m, "", dir, names[i], MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
		(void)close(m);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Each name over itself, with attrs. */
static int protect(int dir, const char *const *names, uint32_t has, uint64_t attrs)
{
	for (uint32_t i = 0; names[i]; i++) {
		int m, r;

		if (!(has >> i & 1))
			continue;
		m = tree_clone(dir, names[i], attrs, 0);
		if (m < 0)
			return m;
		r = move_mount(m, "", dir, names[i], MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
		(void)close(m);
		if (r < 0)
			return r;
	}
	return 0;
}

/* /run is not shown, but resolv.conf often is a link into it: that one file is. -1: no such thing. */
static int find_resolv(struct box_template *t)
{
	char path[4096];

	if (!realpath("/etc/resolv.conf", path) || strncmp(path, "/run/", 5) ||
	    strlen(path) >= sizeof(t->resolv))
		return -1;
	memcpy(t->resolv, path, strlen(path) + 1);
	return tree_clone(AT_FDCWD, path, ATTR_SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, 0);
}

/* An empty file at path below the directory or mount rootfd. */
static int make_file(int rootfd, const char *path)
{
	char dir[BOX_PATH_LEN];
	char *slash;
	int up, fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	*slash = 0;
	up = root_open_in(rootfd, *dir ? dir : "/", 1);
	if (up < 0)
		return up;
	fd = openat(up, slash + 1, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	(void)close(up);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

/* Once, in the filler: leaves the host's mounts behind. */
int root_template(const char *root, struct box_template *t)
{
	const char *const keys[] = {"mode", "755", "size", "1m", NULL};
	static const char *const dirs[] = {"lower", "up",    "new",	"dev",
					   "sys",   "empty", STUB_PROC, STUB_DEV};
	static const char *const hide[] = {"firmware", "kernel/security", "kernel/debug",
					   "kernel/tracing", NULL};
	int lower, sys, stage, extras[BOX_EXTRA_MAX], resolv, cover_fd, err;
	char name[16];

	memset(t, 0, sizeof(*t));
	find_extras(root, t);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return STEP("unshare mounts", -errno);
	lower = STEP("clone root", tree_clone(AT_FDCWD, root, ATTR_SAFE | MOUNT_ATTR_RDONLY, 0));
	if (lower < 0)
		return lower;
	t->handles = has_handles(lower);
	for (uint32_t i = 0; i < t->extra_n; i++) {
		extras[i] = tree_clone(AT_FDCWD, t->extras[i].at, ATTR_SAFE | MOUNT_ATTR_RDONLY, 0);
		t->extras[i].handles = extras[i] >= 0 && has_handles(extras[i]);
	}
	sys = tree_clone(AT_FDCWD, "/sys", ATTR_SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, 0);
	resolv = find_resolv(t);
	stage = STEP("stage", fs_mount("tmpfs", keys, ATTR_SAFE));
	if (stage < 0)
		return stage;
	if (move_mount(stage, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return STEP("stage at /proc", -errno);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		if (mkdirat(stage, dirs[i], 0755) < 0)
			return STEP("stage dirs", -errno);
	if (fchdir(stage) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return STEP("leave the host's root", -errno);
	if ((lower = STEP("lower", attach(lower, stage, "lower"))) < 0)
		return lower;
	(void)close(lower);
	for (uint32_t i = 0, n = t->extra_n; i < n; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		if (extras[i] >= 0)
			extras[i] = attach(extras[i], stage, name);
		if (extras[i] < 0)
			t->extras[i].at[0] =
				0; /* unmounted meanwhile: the directory below it shows */
		else
			(void)close(extras[i]);
	}
	t->has_sys = sys >= 0 && (sys = attach(sys, stage, "sys")) >= 0;
	if (resolv < 0 || make_file(stage, "/resolv") < 0 ||
	    (resolv = attach(resolv, stage, "resolv")) < 0)
		t->resolv[0] = 0; /* names are not resolved inside, then */
	else
		(void)close(resolv);
	t->userxattr = tmpfs_has_user_xattr(stage);
	if ((err = make_dev(stage)) < 0)
		return err;
	/* What is put over names that are not to be seen: cloned as they are, for every sandbox. */
	cover_fd = tree_clone(AT_FDCWD, "/empty", ATTR_SAFE | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,
			      0);
	if ((cover_fd = STEP("empty", attach(cover_fd, stage, "empty"))) < 0)
		return cover_fd;
	(void)close(cover_fd);
	cover_fd = tree_clone(AT_FDCWD, "/dev/null",
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, 0);
	if ((err = STEP("null", make_file(stage, "/null"))) < 0 ||
	    (cover_fd = STEP("null", attach(cover_fd, stage, "null"))) < 0)
		return err < 0 ? err : cover_fd;
	(void)close(cover_fd);
	if ((err = STEP("proc", find_proc(t))) < 0)
		return err;
	return t->has_sys ? STEP("masked /sys", cover(sys, hide, has_names(sys, hide), "/empty"))
			  : 0;
}

static int build_proc(const struct box_template *t, int stage)
{
	const char *const keys[] = {NULL};
	uint64_t safe = ATTR_SAFE | MOUNT_ATTR_NOEXEC;
	int proc = attach(STEP("proc", fs_mount("proc", keys, (unsigned)safe)), stage, STUB_PROC);
	int err;

	if (proc < 0)
		return proc;
	err = STEP("read-only /proc", protect(proc, proc_ro, t->proc_ro, safe | MOUNT_ATTR_RDONLY));
	if (!err)
		err = STEP("masked /proc", cover(proc, proc_files, t->proc_files, "/null"));
	if (!err)
		err = STEP("masked /proc", cover(proc, proc_dirs, t->proc_dirs, "/empty"));
	return err < 0 ? err : proc; /* the caller dies on an error */
}

static int build_dev(int stage, int up)
{
	const char *const pts_keys[] = {"newinstance", NULL,	   "gid", "5", "mode",
					"620",	       "ptmxmode", "666", NULL};
	int dev = attach(tree_clone(AT_FDCWD, "/dev",
				    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, 0),
			 stage, STUB_DEV);
	int fd;

	if (dev < 0)
		return STEP("dev", dev);
	fd = STEP("devpts",
		  attach(fs_mount("devpts", pts_keys, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), dev,
			 "pts"));
	if (fd >= 0) {
		(void)close(fd);
		fd = STEP("shm", attach(tree_clone(up, "shm", ATTR_SAFE | MOUNT_ATTR_NOEXEC, 0),
					dev, "shm"));
	}
	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? fd : dev;
}

/* In a stub: all that does not need the root, so that a request waits for less. */
int root_prepare(const struct box_template *t, struct box_self *self)
{
	char size[32];
	const char *const up_keys[] = {"mode", "755", "size", size, "nr_inodes", "200k", NULL};
	int stage = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), up;

	/* Descriptors of the filler name mounts of its namespace; paths name the copies in ours. */
	if (stage < 0)
		return STEP("stage", -errno);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)t->layer_bytes);
	up = STEP("layer", attach(fs_mount("tmpfs", up_keys, ATTR_SAFE), stage, "up"));
	if (up < 0)
		return up;
	if (mkdirat(up, "run", 0755) < 0 || mkdirat(up, "shm", 0) < 0 ||
	    fchmodat(up, "shm", 01777, 0) < 0)
		return STEP("layer dirs", -errno);
	if ((self->proc = build_proc(t, stage)) < 0)
		return self->proc;
	if ((self->dev = build_dev(stage, up)) < 0)
		return self->dev;
	self->up = up;
	(void)close(stage);
	return 0;
}

/* One overlay: lower is a path of the stage, nr numbers its layer. */
static int build_overlay(const struct box_template *t, int up, const char *lower, uint32_t nr,
			 int handles, int *ret_upper)
{
	char u[16], w[16], upath[32], wpath[32];
	/* index: a file that has several names below is one file inside too. */
	const char *keys[] = {"lowerdir",  lower, "upperdir", upath,
			      "workdir",   wpath, "index",    handles ? "on" : "off",
			      "userxattr", NULL,  NULL};
	struct stat st;

	snprintf(u, sizeof(u), "u%u", nr);
	snprintf(w, sizeof(w), "w%u", nr);
	snprintf(upath, sizeof(upath), "/up/%s", u);
	snprintf(wpath, sizeof(wpath), "/up/%s", w);
	if (!t->userxattr)
		keys[8] = NULL;
	if (stat(lower, &st) < 0 || mkdirat(up, u, 0755) < 0 || mkdirat(up, w, 0700) < 0)
		return -errno;
	*ret_upper = openat(up, u, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_upper < 0 || fchmod(*ret_upper, st.st_mode & 07777) < 0 ||
	    fchown(*ret_upper, st.st_uid, st.st_gid) < 0)
		return -errno;
	return fs_mount("overlay", keys, ATTR_SAFE);
}

/* A new overlay knows no name yet, and the first look at each costs a lookup in every layer: what
 * nearly every program needs is looked up now rather than between request and execve. */
void root_warm_names(int (*more)(const struct box_self *self), const struct box_self *self)
{
	static const char *const names[] = {
		"/bin/sh",
		"/usr/bin/env",
		"/usr/local/bin/x",
		"/usr/sbin/x",
		"/etc/ld.so.cache",
		"/etc/ld.so.preload",
		"/lib64/ld-linux-x86-64.so.2",
		"/lib/ld-linux-aarch64.so.1",
		"/lib/x86_64-linux-gnu/libc.so.6",
		"/lib/aarch64-linux-gnu/libc.so.6",
		"/usr/lib/locale/locale-archive",
		"/etc/passwd",
		"/tmp",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !more(self); i++)
		(void)access(names[i], F_OK); /* not being there is worth knowing too */
}

/* In the new init: builds the root over what is prepared, and moves into it. */
int root_build(const struct box_template *t, struct box_self *self)
{
	int up = self->up, root, fd, err, stage = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (stage < 0)
		return STEP("stage", -errno);
	root = STEP("overlay", build_overlay(t, up, "/lower", 0, t->handles, &self->uppers[0]));
	if (root < 0 || (root = STEP("root", attach(root, stage, "new"))) < 0)
		return root;
	self->upper_n = 1;
	for (uint32_t i = 0; i < t->extra_n; i++) {
		char lower[16];

		if (!t->extras[i].at[0])
			continue;
		snprintf(lower, sizeof(lower), "/m%u", i);
		fd = self->upper_n == BOX_UPPER_MAX
			     ? -ENOSPC
			     : build_overlay(t, up, lower, i + 1, t->extras[i].handles,
					     &self->uppers[self->upper_n]);
		if (fd < 0) /* cannot be a lower layer (depth, no d_type): visible, read-only */
			fd = tree_clone(AT_FDCWD, lower, ATTR_SAFE | MOUNT_ATTR_RDONLY, 0);
		else
			self->upper_of[self->upper_n++] = i;
		fd = attach(fd, root, t->extras[i].at);
		if (fd >= 0)
			(void)close(fd);
	}
	if ((err = STEP("proc", attach(self->proc, root, "proc"))) < 0 ||
	    (err = STEP("dev", attach(self->dev, root, "dev"))) < 0)
		return err;
	(void)close(self->proc);
	(void)close(self->dev);
	fd = STEP("run", attach(tree_clone(up, "run", ATTR_SAFE, 0), root, "run"));
	if (fd < 0)
		return fd;
	(void)close(fd);
	if (t->resolv[0] && make_file(root, t->resolv) == 0) {
		fd = attach(tree_clone(AT_FDCWD, "/resolv", 0, 0), root, t->resolv);
		if (fd >= 0)
			(void)close(fd);
	}
	if (t->has_sys) {
		fd = STEP("sys", attach(tree_clone(AT_FDCWD, "/sys", 0, 1), root, "sys"));
		if (fd < 0)
			return fd;
		(void)close(fd);
	}
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return STEP("pivot_root", -errno);
	(void)close(root);
	(void)close(up);
	return 0;
}

/* The working directory is the old root still, and the only way to it. Unmounting waits for an RCU
 * period of all CPUs: 0.1 ms, or several on a busy machine. */
int root_leave_stage(void)
{
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return STEP("leave the stage", -errno);
	return 0;
}
