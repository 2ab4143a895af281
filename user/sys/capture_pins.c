// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture_pins.c - the folder below /sys/fs/bpf where maps, programs and links can be found.
 *
 * A pinned hook outlives the daemon and goes on costing the host, so who made the folder removes it:
 * the daemon at its end, a child of it when it is killed, else the next start. A lock on the folder says
 * that somebody lives there.
 */
#include "sys/capture_impl.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/lock.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BPF_FS_MAGIC_ 0xcafe4a11u
#define BPF_FS_DIR "/sys/fs/bpf"

/* Unpins all in the directory behind fd, which is closed, and removes dir when it is that one still: a
 * daemon that was started since may have made its own in the same place. */
static int pins_remove_at(int fd, const char *dir)
{
	DIR *d = fdopendir(fd);
	struct stat held, named;
	struct dirent *e;
	bool same;

	if (!d) {
		closep(&fd);
		return fault_errno();
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlinkat(fd, e->d_name, 0); /* what stays makes rmdir fail */
	same = fstat(fd, &held) == 0 && stat(dir, &named) == 0 && held.st_ino == named.st_ino;
	(void)closedir(d);
	return same && rmdir(dir) < 0 ? fault_errno() : 0;
}

int capture_pins_remove(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : fault_errno();
	return pins_remove_at(fd, dir);
}

int capture_pin_dir_make(const struct capture_opts *o, int *ret_fd)
{
	_cleanup_(freep) char *parent = strdup(o->pin_dir);
	struct statfs fs;
	char *slash;
	int r;

	if (!parent)
		return fault(-ENOMEM);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return capture_why(o, -EINVAL,
				   "pin directory '%s' is not a path below a bpf file system",
				   o->pin_dir);
	*slash = 0;
	if (statfs(parent, &fs) < 0)
		return capture_why(o, -errno, "pin directory '%s': %s", parent, strerror(errno));
	if ((uint32_t)fs.f_type != BPF_FS_MAGIC_ && strcmp(parent, BPF_FS_DIR) != 0)
		return capture_why(o, -EINVAL,
				   "pin directory '%s' is not on a bpf file system; choose one "
				   "below " BPF_FS_DIR,
				   o->pin_dir);
	/* Elsewhere it would hide what is there. */
	if ((uint32_t)fs.f_type != BPF_FS_MAGIC_ &&
	    mount("bpf", parent, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return capture_why(o, -errno,
				   "'%s' is no bpf file system and none could be mounted there: %s",
				   parent, strerror(errno));
	if (lock_take(o->pin_dir, O_RDONLY | O_DIRECTORY, ret_fd) == LOCK_TAKEN)
		return capture_why(
			o, -EWOULDBLOCK,
			"pin directory '%s' is another forewarmd's: stop that one, or give this "
			"one other directories",
			o->pin_dir);
	closep(ret_fd);
	*ret_fd = -1;
	r = capture_pins_remove(
		o->pin_dir); /* of one that was killed: its hooks end with their pins */
	if (r < 0)
		return capture_why(o, r, "old pins in '%s' could not be removed: %s", o->pin_dir,
				   strerror(-r));
	if (mkdir(o->pin_dir, 0700) < 0)
		return capture_why(o, -errno, "pin directory '%s': %s", o->pin_dir,
				   strerror(errno));
	r = lock_take(o->pin_dir, O_RDONLY | O_DIRECTORY, ret_fd);
	if (r == LOCK_TAKEN) /* that very moment */
		r = -EWOULDBLOCK;
	return r < 0 ? capture_why(o, r, "pin directory '%s': %s", o->pin_dir, strerror(-r)) : 0;
}

/* A daemon that is killed cannot unpin, and pinned hooks would go on costing the host. So a child waits
 * for the end of the pipe from us, whatever ends us, and removes what is left. It is in a session of
 * its own and deaf to what ends a group. */
int capture_sweeper_start(struct capture *c)
{
	int fds[2], dir = open(c->pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char byte;

	if (dir < 0)
		return fault_errno();
	if (pipe2(fds, O_CLOEXEC) < 0) {
		closep(&dir);
		return fault_errno();
	}
	c->sweeper = fork();
	if (c->sweeper < 0) {
		closep(&dir);
		closep(&fds[0]);
		closep(&fds[1]);
		return fault_errno();
	}
	if (c->sweeper == 0) {
		(void)setsid();
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGTERM, SIG_IGN);
		(void)signal(SIGHUP, SIG_IGN);
		(void)prctl(PR_SET_NAME, "forewarm-sweep");
		/* Nothing of ours may stay open here: not the pipe's other end, nor a link. */
		if (dup2(fds[0], 0) < 0 || dup2(dir, 1) < 0)
			_exit(1);
		if (syscall(SYS_close_range, 2u, ~0u, 0u) < 0)
			for (int fd = 2; fd < 4096; fd++)
				(void)close(fd);
		while (read(0, &byte, 1) < 0 && errno == EINTR)
			;
		(void)pins_remove_at(1, c->pin_dir); /* gone already when we ended well */
		_exit(0);
	}
	closep(&dir);
	closep(&fds[0]);
	c->sweeper_fd = fds[1];
	return 0;
}

void capture_sweeper_end(struct capture *c)
{
	if (c->sweeper <= 0)
		return;
	closep(&c->sweeper_fd);
	while (waitpid(c->sweeper, NULL, 0) < 0 && errno == EINTR)
		;
	c->sweeper = 0;
}

void capture_pin_path(const struct capture *c, const char *kind, const char *name, char *buf,
		      size_t n)
{
	(void)snprintf(buf, n, "%s/%s%s", c->pin_dir, kind, name);
}

int capture_pin_all(struct capture *c, const struct capture_opts *o)
{
	struct bpf_map *map;
	char path[256];
	int r;

	bpf_object__for_each_map(map, c->skel->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		capture_pin_path(c, "", bpf_map__name(map), path, sizeof(path));
		r = bpf_map__pin(map, path);
		if (r < 0)
			return capture_why(o, r, "map %s could not be pinned at '%s': %s",
					   bpf_map__name(map), path, strerror(-r));
	}
	for (size_t i = 0; i < c->prog_n; i++) {
		if (c->progs[i].err)
			continue;
		capture_pin_path(c, "prog_", bpf_program__name(c->progs[i].bpf), path,
				 sizeof(path));
		r = bpf_program__pin(c->progs[i].bpf, path);
		if (r < 0)
			return capture_why(o, r, "program could not be pinned at '%s': %s", path,
					   strerror(-r));
	}
	return 0;
}
