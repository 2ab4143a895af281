// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * service_dirs.c - RuntimeDirectory=, StateDirectory= and their kin.
 *
 * They are the host's, made at each start as systemd does and shown to the service at the same place,
 * writable but for ConfigurationDirectory=. Every step is taken from the directory above, following no
 * link: a service that owns one of them could put one there.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/remove.h"
#include "sys/service_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 32 };

static const struct {
	const char *base, *variable;
} kinds[UNIT_DIR_MAX] = {
	[UNIT_DIR_RUN] = {"/run", "RUNTIME_DIRECTORY"},
	[UNIT_DIR_STATE] = {"/var/lib", "STATE_DIRECTORY"},
	[UNIT_DIR_CACHE] = {"/var/cache", "CACHE_DIRECTORY"},
	[UNIT_DIR_LOGS] = {"/var/log", "LOGS_DIRECTORY"},
	[UNIT_DIR_CONFIG] = {"/etc", "CONFIGURATION_DIRECTORY"},
};

const char *service_dir_base(enum unit_dir d)
{
	return kinds[d].base;
}

const char *service_dir_variable(enum unit_dir d)
{
	return kinds[d].variable;
}

int service_dirs_plan(struct recipe *r, struct unit_why *ret_why)
{
	for (size_t i = 0; i < UNIT_DIR_CONFIG; i++) {
		const struct unit_list *names = &r->unit->dirs[i].names;

		for (size_t k = 0; k < names->item_n; k++) {
			if (r->mount_n + r->dir_n == RECIPE_MOUNT_MAX) {
				(void)snprintf(ret_why->text, sizeof(ret_why->text),
					       "more than %d paths to mount", RECIPE_MOUNT_MAX);
				return UNIT_REFUSED;
			}
			if (asprintf(&r->dir_paths[r->dir_n], "%s/%s", kinds[i].base,
				     names->items[k]) < 0)
				return fault(-ENOMEM);
			r->dir_n++;
		}
	}
	return 0;
}

static int open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? fault_errno() : fd;
}

/* What is in it, as deep as there are directories, to the owner; systemd does so when it was another's.
 * dir is taken. */
static int give(int dir, uid_t uid, gid_t gid, int depth)
{
	DIR *d = fdopendir(dir);
	int r = 0;

	if (!d) {
		(void)close(dir);
		return fault_errno();
	}
	for (struct dirent *e; !r && (e = readdir(d));) {
		struct stat st;
		int sub;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* gone */
		/* A second name of somebody's file is not ours to give away. */
		if ((S_ISDIR(st.st_mode) || st.st_nlink == 1) &&
		    fchownat(dirfd(d), e->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			r = fault_errno();
		if (r || !S_ISDIR(st.st_mode))
			continue;
		sub = depth < DEPTH_MAX ? open_dir(dirfd(d), e->d_name) : -1;
		r = sub < 0 ? 0 : give(sub, uid, gid, depth + 1);
	}
	(void)closedir(d);
	return r;
}

/* The directory below base, made with its parents; *ret_fd is for the mount. */
static int make_one(const struct recipe *r, enum unit_dir kind, const char *name, int *ret_fd)
{
	const bool config = kind == UNIT_DIR_CONFIG;
	const mode_t mode = r->unit->dirs[kind].mode;
	const char *base = kinds[kind].base;
	_cleanup_(closep) int at = -1;
	struct stat st;

	/* A small image has no /var/cache until somebody needs it. */
	if (mkdir(base, 0755) < 0 && errno != EEXIST)
		return fault_errno();
	at = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return fault_errno();
	while (*name) {
		size_t n = strcspn(name, "/");
		char part[256];
		int next;

		(void)snprintf(part, sizeof(part), "%.*s", (int)n, name);
		name += n + strspn(name + n, "/");
		if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
			return fault_errno();
		next = open_dir(at, part);
		if (next < 0)
			return next;
		closep(&at);
		at = next;
	}
	if (fstat(at, &st) < 0)
		return fault_errno();
	if (!config && (st.st_uid != r->uid || st.st_gid != r->gid)) {
		int copy = fchown(at, r->uid, r->gid) < 0 ? -1 : fcntl(at, F_DUPFD_CLOEXEC, 3);
		int e = copy < 0 ? fault_errno() : give(copy, r->uid, r->gid, 0);

		if (e < 0)
			return e;
	}
	if ((st.st_mode & 07777) != mode && fchmod(at, mode) < 0)
		return fault_errno();
	*ret_fd = TAKE_FD(at);
	return 0;
}

int service_dirs_make(const struct recipe *r, int ret_fds[RECIPE_MOUNT_MAX], size_t *ret_n)
{
	size_t n = 0;
	int e = 0, fd = -1;

	for (size_t i = 0; i < UNIT_DIR_MAX && !e; i++) {
		const struct unit_list *names = &r->unit->dirs[i].names;

		for (size_t k = 0; k < names->item_n && !e; k++) {
			e = make_one(r, (enum unit_dir)i, names->items[k], &fd);
			if (!e && i < UNIT_DIR_CONFIG)
				ret_fds[n++] = fd;
			else if (!e)
				closep(&fd);
		}
	}
	*ret_n = n;
	return e;
}

void service_dirs_remove(const struct service *v)
{
	const struct unit_list *names = &v->recipe.unit->dirs[UNIT_DIR_RUN].names;
	_cleanup_(closep) int run = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; run >= 0 && i < names->item_n; i++) {
		const char *slash = strrchr(names->items[i], '/');
		_cleanup_(closep) int up = -1;
		char path[256];
		bool socket_in = false;

		/* Where a socket of its own is, clients still connect to it. */
		(void)snprintf(path, sizeof(path), "/run/%s/", names->items[i]);
		for (size_t k = 0; k < v->listen_n; k++)
			socket_in |= strncmp(v->addrs[k]->path, path, strlen(path)) == 0;
		if (socket_in)
			continue;
		(void)snprintf(path, sizeof(path), "%.*s",
			       slash ? (int)(slash - names->items[i]) : 1,
			       slash ? names->items[i] : ".");
		up = open_dir(run, path);
		if (up >= 0) /* what is busy stays */
			(void)remove_tree(up, slash ? slash + 1 : names->items[i]);
	}
}
