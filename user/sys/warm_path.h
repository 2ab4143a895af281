/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm_path.h - part of warm: from a hostile path to a safe file descriptor.
 *
 * Shape    First the whole path in one openat2() that follows no symlink and crosses no mount; where
 *          that does not do, component by component: a symlink is read and walked by the same
 *          rules, a mount is looked up in /proc/self/mountinfo *before* it is entered, so that a
 *          server that does not answer is never asked. The walk ends in an O_PATH descriptor,
 *          which opens nothing; path_open() then opens that very inode.
 *          In a container it is the root of one of its processes, and that process's mounts.
 * Bounds   PATH_MAX bytes, 40 symlinks (the kernel's own limit), MOUNT_MAX mounts known.
 * Errors   < 0 -errno; > 0 a PATH_ outcome.
 * Threads  any; struct mounts has its own lock.
 */
#ifndef SYS_WARM_PATH_H
#define SYS_WARM_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum {
	PATH_ABSENT = 1,  /* no such entry; that it is absent is now cached */
	PATH_REFUSED = 2, /* on a file system we do not touch, or not a path: *ret_why says which */
};

enum mount_class {
	MOUNT_OTHER,  /* kernel interfaces, unknown: refused */
	MOUNT_DISK,   /* local, with a page cache worth warming */
	MOUNT_MEMORY, /* tmpfs and its like: always resident */
	MOUNT_REMOTE, /* network and FUSE: can block for ever */
};

struct mounts;

int mounts_new(struct mounts **ret);
/* Those of another process, from its mountinfo, which is taken whatever the return. */
int mounts_new_of(int mountinfo_fd, struct mounts **ret);
struct mounts *mounts_free(struct mounts *m);
/* The device of the file system that fd is on, as the kernel has it: that of the mount, where stat(2) tells that
 * of a volume of it. 0: not known. */
uint32_t mounts_dev(struct mounts *m, int fd);

struct path_end {
	int fd; /* O_PATH, of the caller */
	enum mount_class class;
	struct stat st;
	bool cached; /* every part of the path was in the dentry cache before */
};

/* PATH_REFUSED sets *ret_why to an errno. On PATH_ABSENT only ret->cached is set. */
int path_walk(struct mounts *m, const char *path, bool remote_fs, struct path_end *ret,
	      int *ret_why);
/* The same below root_fd, an O_PATH descriptor of a directory that is never left, whatever symlinks and
 * ".." say; m is of the process whose root that is. root_fd < 0: our own root. */
int path_walk_in(struct mounts *m, int root_fd, const char *path, bool remote_fs,
		 struct path_end *ret, int *ret_why);

/* Looks up an entry of a directory: its inode is in memory then. Enters no mount, follows no symlink, opens
 * nothing. cached: asks no file system; was it in memory? */
bool path_look(int dir_fd, const char *name, bool cached);

/* That entry as an O_PATH descriptor, of a symlink the symlink; or -errno. */
int path_entry(int dir_fd, const char *name, bool cached);

/* Opens what the O_PATH descriptor stands for; no name is looked up again. */
int path_open(int path_fd, int flags);

#endif
