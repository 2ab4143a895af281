// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * init.c - pid 1 of a sandbox: attaches, builds its root, gives up what it will not need, parks.
 *
 * It lives as long as somebody holds the other end of its socket; when that closes it exits, and with
 * it, by the kernel's rule for pid 1, everything in the sandbox.
 */
#include "sys/box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_MAX = 64, FD_CTL = 3, FD_RULESET = 4, FD_UPPER = 5 };

/* From linux/landlock.h of ABI 6, newer than the oldest headers we build with. */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset_attr {
	uint64_t access_fs, access_net, scoped;
};

static struct {
	pid_t pid;
	uint32_t id;
} children[CHILD_MAX]; /* whose exit is to be reported */
static char message[BOX_MSG_MAX] __attribute__((aligned(8)));

static _Noreturn void die(const struct box_self *self, int err, const char *where)
{
	struct box_msg m = {.kind = BOX_FAILED, .id = self->id, .arg = err};

	snprintf(m.where, sizeof(m.where), "%s", where);
	(void)box_send(self->ctl, &m, sizeof(m), NULL, 0); /* the pool sees the exit anyway */
	_exit(1);
}

/* A ruleset that allows everything below our root except making device nodes, and whose scope cuts
 * off signals and abstract sockets to the outside. What is not below our root (a leaked descriptor,
 * /proc/PID/exe or root of a process outside) is thereby denied. */
static int ruleset_new(void)
{
	struct ruleset_attr a = {0};
	struct landlock_path_beneath_attr p = {0};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	size_t size = sizeof(uint64_t);
	int fd;

	if (abi < 1)
		return -1; /* reported by the probe; the other walls stand */
	a.access_fs = (1ull << 13) - 1;
	if (abi >= 2)
		a.access_fs |= 1ull << 13; /* REFER */
	if (abi >= 3)
		a.access_fs |= 1ull << 14; /* TRUNCATE */
	if (abi >= 4)
		size = 2 * sizeof(uint64_t);
	if (abi >= 5)
		a.access_fs |= 1ull << 15; /* IOCTL_DEV */
	if (abi >= 6) {
		a.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
		size = 3 * sizeof(uint64_t);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
	if (fd < 0)
		return -errno;
	p.allowed_access = a.access_fs & ~(uint64_t)(LANDLOCK_ACCESS_FS_MAKE_CHAR |
						     LANDLOCK_ACCESS_FS_MAKE_BLOCK);
	p.parent_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p.parent_fd < 0 ||
	    syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &p, 0) < 0) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	(void)close(p.parent_fd);
	return fd;
}

/* Only our own few descriptors stay, at fixed numbers. */
static int keep_fds(struct box_self *self)
{
	int keep[2 + BOX_UPPER_MAX], null;
	uint32_t n = 2 + self->upper_n;

	keep[0] = self->ctl;
	keep[1] = self->ruleset;
	memcpy(keep + 2, self->uppers, self->upper_n * sizeof(int));
	for (uint32_t i = 0; i < n; i++)
		if (keep[i] >= 0 && (keep[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, 64)) < 0)
			return -errno;
	for (uint32_t i = 0; i < n; i++)
		if (keep[i] < 0)
			(void)close(FD_CTL + (int)i);
		else if (dup3(keep[i], FD_CTL + (int)i, O_CLOEXEC) < 0)
			return -errno;
	if (syscall(SYS_close_range, FD_CTL + n, ~0u, 0) < 0)
		return -errno;
	self->ctl = FD_CTL;
	self->ruleset = self->ruleset < 0 ? -1 : FD_RULESET;
	for (uint32_t i = 0; i < self->upper_n; i++)
		self->uppers[i] = FD_UPPER + (int)i;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (dup3(null, i, O_CLOEXEC) < 0)
			return -errno;
	(void)close(null);
	return 0;
}

/* A root command gets at most the bounding set, which the filler has cut down already; we keep what
 * launching needs besides. */
static int drop_caps(uint64_t keep)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	uint64_t own = keep | 1ull << CAP_SYS_ADMIN | 1ull << CAP_SETPCAP | 1ull << CAP_SETUID |
		       1ull << CAP_SETGID | 1ull << CAP_SETFCAP |	/* to map root, users.c */
		       1ull << CAP_SYS_RESOURCE | 1ull << CAP_SYS_NICE; /* Limit*=, Nice= */
	struct __user_cap_data_struct d[2];

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	if (syscall(SYS_capget, &h, d) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(own >> (32 * i));
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

/* SIGCHLD for children, SIGIO for the socket. Blocked; the launched command gets an empty mask. */
static int signals(const struct box_self *self, sigset_t *ret_wait)
{
	struct sigaction sa = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};

	(void)signal(SIGPIPE, SIG_DFL);
	if (sigaction(SIGCHLD, &sa, NULL) < 0)
		return -errno;
	(void)sigemptyset(ret_wait);
	(void)sigaddset(ret_wait, SIGCHLD);
	(void)sigaddset(ret_wait, SIGIO);
	if (sigprocmask(SIG_SETMASK, ret_wait, NULL) < 0 ||
	    fcntl(self->ctl, F_SETOWN, getpid()) < 0 || fcntl(self->ctl, F_SETFL, O_ASYNC) < 0)
		return -errno;
	return 0;
}

static void reap(const struct box_self *self)
{
	struct rusage ru;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &ru)) > 0)
		for (int i = 0; i < CHILD_MAX; i++)
			if (children[i].pid == pid) {
				struct box_msg m = {
					.kind = BOX_EXITED, .id = children[i].id, .arg = status};

				m.cpu_ns = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) *
						   1000000000ull +
					   (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) *
						   1000ull;
				m.maxrss_bytes = (uint64_t)ru.ru_maxrss * 1024;
				children[i].pid = 0;
				(void)box_send(self->ctl, &m, sizeof(m), NULL,
					       0); /* nobody there: next read ends us */
			}
}

static void report_start(const struct box_self *self, const struct box_start *st, int err,
			 pid_t pid, int pidfd)
{
	struct box_msg m = {.kind = BOX_STARTED, .id = st->id};

	if (err < 0) {
		m.kind = BOX_FAILED;
		m.arg = err;
		snprintf(m.where, sizeof(m.where), "%s", box_where);
	} else {
		m.arg = pid;
		for (int i = 0; i < CHILD_MAX; i++)
			if (!children[i].pid) {
				children[i].pid = pid;
				children[i].id = m.id;
				break;
			}
	}
	(void)box_send(self->ctl, &m, sizeof(m), &pidfd, err < 0 ? 0 : 1); /* as above */
	if (pidfd >= 0)
		(void)close(pidfd);
}

static void start(const struct box_self *self, size_t len, int *fds, size_t fd_n)
{
	struct box_start *st = (struct box_start *)message;
	pid_t pid = 0;
	int pidfd = -1, err = launch(self, st, len, fds, fd_n, &pid, &pidfd);

	report_start(self, st, err, pid, pidfd);
}

/* The child made ahead has the socket to itself: its messages are no signals to us meanwhile. */
static void make_ahead(const struct box_self *self)
{
	if (fcntl(self->ctl, F_SETFL, 0) < 0 || launch_ahead(self, message, sizeof(message)) < 0)
		(void)fcntl(self->ctl, F_SETFL, O_ASYNC); /* without one, then */
}

/* True while it has. */
static int left_to_ahead(const struct box_self *self)
{
	struct box_start *st;
	pid_t pid = 0;
	int pidfd = -1, r = launch_ahead_end(&st, &pid, &pidfd);

	if (r == LAUNCH_WAITS)
		return 1;
	(void)fcntl(self->ctl, F_SETFL, O_ASYNC); /* it is open: cannot fail */
	if (r <= 0)
		report_start(self, st, r, pid, pidfd);
	return 0;
}

static void upper(const struct box_self *self)
{
	struct box_upper u = {
		.msg = {.kind = BOX_UPPER, .id = self->id, .arg = (int)self->upper_n}};

	snprintf(u.at[0], sizeof(u.at[0]), "/");
	for (uint32_t i = 1; i < self->upper_n; i++)
		snprintf(u.at[i], sizeof(u.at[0]), "%s", self->tmpl->extras[self->upper_of[i]].at);
	(void)box_send(self->ctl, &u, sizeof(u), self->uppers, self->upper_n); /* as above */
}

static int waited_for(const struct box_self *self)
{
	struct pollfd p = {.fd = self->ctl, .events = POLLIN};

	return poll(&p, 1, 0) != 0; /* or it hung up */
}

static void answer(const struct box_self *self)
{
	int fds[BOX_FD_MAX];
	size_t fd_n;
	ssize_t n = box_recv(self->ctl, message, sizeof(message), fds, &fd_n);

	if (n < (ssize_t)sizeof(uint32_t))
		_exit(0);
	switch (*(uint32_t *)message) {
	case BOX_START:
		if (n >= (ssize_t)sizeof(struct box_start))
			start(self, (size_t)n, fds, fd_n);
		break;
	case BOX_UPPER:
		upper(self);
		break;
	default:
		break;
	}
	while (fd_n)
		(void)close(fds[--fd_n]);
}

/* Waits for signals, not in poll(): who sleeps there is woken by being frozen and by being thawed, on
 * a processor of its own and before the command, whose client waits for it. This sleep is frozen as
 * it is (TASK_FREEZABLE, v1 freezer). */
static _Noreturn void park(const struct box_self *self, const sigset_t *wait_set)
{
	int ahead = !waited_for(self);

	if (ahead)
		make_ahead(self);
	for (;;) {
		ahead = ahead && left_to_ahead(self);
		while (!ahead && waited_for(self))
			answer(self);
		if (!ahead) /* else its end would be taken for a stranger's, and not be told */
			reap(self);
		(void)sigwaitinfo(wait_set, NULL);
	}
}

/* Attaches and prepares, then waits for the word to build; holds nothing of the filler's meanwhile. */
static int stub(struct box_self *self, const int *tasks_fds, size_t tasks_n)
{
	int fds[BOX_FD_MAX], net = -1, err;
	struct box_msg m;
	size_t fd_n;

	for (size_t i = 0; i < tasks_n; i++)
		if (write(tasks_fds[i], "0", 1) < 0)
			die(self, -errno, "attach to control group");
	if (unshare(CLONE_NEWCGROUP) < 0)
		die(self, -errno, "cgroup namespace");
	if (self->ctl != FD_CTL && dup3(self->ctl, FD_CTL, O_CLOEXEC) < 0)
		die(self, -errno, "descriptors");
	self->ctl = FD_CTL;
	if (syscall(SYS_close_range, FD_CTL + 1, ~0u, 0) < 0)
		die(self, -errno, "descriptors");
	if ((err = root_prepare(self->tmpl, self)) < 0)
		die(self, err, box_where);
	if (box_recv(self->ctl, &m, sizeof(m), fds, &fd_n) != sizeof(m) || m.kind != BOX_FILL)
		_exit(0);
	if (fd_n)
		net = fds[0];
	return net;
}

_Noreturn void init_run(struct box_self *self, const int *tasks_fds, size_t tasks_n)
{
	const struct box_common *c = self->common;
	struct box_msg parked = {.kind = BOX_PARKED, .id = self->id};
	sigset_t wait_set;
	int err, net;

	(void)prctl(PR_SET_NAME, "forewarm-init", 0, 0, 0);
	net = stub(self, tasks_fds, tasks_n);
	if (net >= 0 && setns(net, CLONE_NEWNET) < 0)
		die(self, -errno, "net namespace");
	if ((err = root_build(self->tmpl, self)) < 0)
		die(self, err, box_where);
	self->ruleset = ruleset_new();
	if ((err = keep_fds(self)) < 0)
		die(self, err, "descriptors");
	if (setsid() < 0 || (err = signals(self, &wait_set)) < 0)
		die(self, -EIO, "session and signals");
	(void)umask(022);
	if ((err = drop_caps(c->caps_keep)) < 0)
		die(self, err, "capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		die(self, -errno, "no_new_privs");
	if (self->ruleset < 0)
		parked.flags = 1; /* no Landlock on this kernel */
	/* The pool is told before the last steps: they overlap with its answer, and a command that
	 * is already there is not executed before them either. */
	if (box_send(self->ctl, &parked, sizeof(parked), NULL, 0) < 0)
		_exit(1);
	if ((err = root_leave_stage()) < 0)
		die(self, err, box_where);
	root_warm_names(waited_for, self);
	park(self, &wait_set);
}
