// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * users.c - a user namespace for one command.
 *
 * The command's process shares the init's memory until it executes, and such a process cannot unshare
 * its user namespace. So a process of its own is made in a new one, the init, which has the rights,
 * writes what is mapped, and the command's process joins it through the pidfd.
 */
#include "sys/box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int map_write(pid_t pid, const char *file, uint32_t id, int identity)
{
	char path[64], text[64];
	int fd, n, err = 0;

	if (identity)
		n = snprintf(text, sizeof(text), "0 0 65536\n");
	else if (id)
		n = snprintf(text, sizeof(text), "0 0 1\n%u %u 1\n", id, id);
	else
		n = snprintf(text, sizeof(text), "0 0 1\n");
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) != n)
		err = -errno;
	(void)close(fd);
	return err;
}

int users_new(const struct box_start *st, struct users *ret)
{
	int identity = (st->flags & BOX_F_USERS_IDENTITY) != 0, pidfd = -1, ready[2], err;
	struct clone_args ca = {
		.flags = CLONE_NEWUSER | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
	};
	char byte;
	long pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	pid = syscall(SYS_clone3, &ca, sizeof(ca));
	if (pid == 0) {
		/* Who is not dumpable cannot be joined. Nothing of a command has run yet in here
		 * that could look, unless this is for sandbox_exec_side() or _next(). */
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		(void)!write(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	err = pid < 0 ? -errno : 0;
	(void)close(ready[1]);
	if (!err) {
		*ret = (struct users){.pid = (pid_t)pid, .pidfd = pidfd};
		if (read(ready[0], &byte, 1) != 1)
			err = -EIO;
	}
	(void)close(ready[0]);
	if (!err)
		err = map_write(ret->pid, "uid_map", st->uid, identity);
	return err ? err : map_write(ret->pid, "gid_map", st->gid, identity);
}

int users_enter(const struct users *u)
{
	return (int)syscall(SYS_setns, u->pidfd, CLONE_NEWUSER);
}

/* Its end is reaped with the others'. */
void users_end(struct users *u)
{
	if (!u->pid)
		return;
	(void)syscall(SYS_pidfd_send_signal, u->pidfd, SIGKILL, NULL, 0); /* dead: as wanted */
	(void)close(u->pidfd);
	*u = (struct users){0};
}
