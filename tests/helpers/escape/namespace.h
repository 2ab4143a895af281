/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* namespace.h - attempts on namespaces, mounts and control groups. */
#ifndef TESTS_ESCAPE_NAMESPACE_H
#define TESTS_ESCAPE_NAMESPACE_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helpers/escape/escape.h"

static int unshare_user(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static int unshare_mount(void)
{
	return unshare(CLONE_NEWNS) == 0;
}

static int unshare_net(void)
{
	return unshare(CLONE_NEWNET) == 0;
}

static int unshare_cgroup(void)
{
	return unshare(CLONE_NEWCGROUP) == 0;
}

static int clone_user(void)
{
	pid_t p = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (p == 0)
		_exit(0);
	return OK(p);
}

static int clone3_user(void)
{
	struct {
		unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack,
			stack_size, tls;
	} ca = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	long p = syscall(SYS_clone3, &ca, sizeof(ca));

	if (p == 0)
		_exit(0);
	return OK(p);
}

static int setns_it(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY);

	return OK(fd) && setns(fd, CLONE_NEWUTS) == 0;
}

static int mount_tmpfs(void)
{
	return mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

static int mount_proc(void)
{
	return mount("proc", "/run", "proc", 0, NULL) == 0;
}

static int mount_cgroup(void)
{
	return mount("cgroup2", "/run", "cgroup2", 0, NULL) == 0;
}

static int mount_cgroup_v1(void)
{
	return mount("cgroup", "/run", "cgroup", 0, "memory") == 0;
}

static int mount_bind(void)
{
	return mount("/etc", "/run", NULL, MS_BIND, NULL) == 0;
}

static int mount_remount(void)
{
	(void)mount("/proc", "/proc", NULL, MS_BIND, NULL);
	return mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL) == 0;
}

static int mount_api(void)
{
	return OK(fsopen("tmpfs", 0));
}

static int mount_open_tree(void)
{
	return OK(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE));
}

static int mount_setattr_it(void)
{
	struct mount_attr a = {.attr_clr = MOUNT_ATTR_NOSUID};

	return mount_setattr(AT_FDCWD, "/", 0, &a, sizeof(a)) == 0;
}

static int unmask(void)
{
	struct stat st;

	/* Outside nothing is masked: there it is masked first. */
	if (stat(arg, &st) < 0)
		return 0;
	(void)mount(S_ISDIR(st.st_mode) ? "/etc" : "/dev/null", arg, NULL, MS_BIND, NULL);
	return umount2(arg, MNT_DETACH) == 0;
}

static int chroot_it(void)
{
	return chroot("/") == 0;
}

static int pivot_it(void)
{
	(void)mount("tmpfs", "/run", "tmpfs", 0, NULL);
	return chdir("/run") == 0 && syscall(SYS_pivot_root, ".", ".") == 0;
}

static int cgroup_visible(void)
{
	struct stat st;

	return stat(arg, &st) == 0;
}

static const struct attempt namespace_attempts[] = {
	ATTEMPT(unshare_user),	   ATTEMPT(unshare_mount),   ATTEMPT(unshare_net),
	ATTEMPT(unshare_cgroup),   ATTEMPT(clone_user),	     ATTEMPT(clone3_user),
	ATTEMPT(setns_it),	   ATTEMPT(mount_tmpfs),     ATTEMPT(mount_proc),
	ATTEMPT(mount_cgroup),	   ATTEMPT(mount_cgroup_v1), ATTEMPT(mount_bind),
	ATTEMPT(mount_remount),	   ATTEMPT(mount_api),	     ATTEMPT(mount_open_tree),
	ATTEMPT(mount_setattr_it), ATTEMPT(unmask),	     ATTEMPT(chroot_it),
	ATTEMPT(pivot_it),	   ATTEMPT(cgroup_visible),
};

#endif
