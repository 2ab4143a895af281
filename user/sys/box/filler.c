// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * filler.c - makes sandboxes and removes what is left of them, out of the daemon's way.
 *
 * All that blocks is here: mkdir and rmdir of control groups, net namespaces, forks. Attaching to v1
 * hierarchies is left to the new init, which has to wait for it anyway.
 */
#include "sys/box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NET_MAX = 4096, REMOVE_MAX = 4096 };

static struct {
	int pool;
	struct box_setup setup;
	int hiers[BOX_HIER_MAX];
	struct box_common common;
	struct box_template tmpl;
	int ns_dir, ns_own; /* /proc/self/ns, and our own net namespace */
	/* Net namespaces without an owner: a dead sandbox's is as empty as a new one, its
	 * processes could not configure it. */
	int nets[NET_MAX];
	uint32_t net_n;
	struct {
		uint32_t id;
		int net;
	} live[NET_MAX]; /* which sandbox has which namespace */
	uint32_t live_n;
	uint32_t removes[REMOVE_MAX]; /* groups still busy */
	uint32_t remove_n;
} f;

static int map_filter(int fd, struct box_filter *ret)
{
	struct stat st;
	void *m;

	if (fstat(fd, &st) < 0 || st.st_size % 8 || st.st_size / 8 > UINT16_MAX)
		return -EINVAL;
	ret->len = (uint16_t)(st.st_size / 8);
	if (!ret->len)
		return 0;
	m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (m == MAP_FAILED)
		return -errno;
	ret->insns = m;
	return 0;
}

static int net_new(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = -1, s, err = 0;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		err = -errno;
	if (s >= 0)
		(void)close(s);
	if (!err && (fd = openat(f.ns_dir, "net", O_RDONLY | O_CLOEXEC)) < 0)
		err = -errno;
	if (setns(f.ns_own, CLONE_NEWNET) < 0)
		_exit(3); /* a filler in a sandbox's namespace must not go on */
	return err ? err : fd;
}

static int net_take(void)
{
	return f.net_n ? f.nets[--f.net_n] : net_new();
}

static void net_give(int fd)
{
	if (fd >= 0 && f.net_n < NET_MAX)
		f.nets[f.net_n++] = fd;
	else if (fd >= 0)
		(void)close(fd);
}

static void group_name(uint32_t id, char *ret, size_t len)
{
	snprintf(ret, len, "sb-%u", id);
}

static int write_file(int dir, const char *group, const char *file, const char *value)
{
	char path[96];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

static int groups_make(const char *name, int procs[BOX_HIER_MAX], size_t *procs_n, int *ret_v2)
{
	char path[96];
	int err;

	for (uint32_t h = 0; h < f.setup.hier_n; h++) {
		int v2 = f.setup.v2 && h == 0, fd;

		if (mkdirat(f.hiers[h], name, 0755) < 0 && errno != EEXIST)
			return -errno;
		snprintf(path, sizeof(path), v2 ? "%s" : "%s/cgroup.procs", name);
		fd = openat(f.hiers[h], path,
			    v2 ? O_RDONLY | O_DIRECTORY | O_CLOEXEC : O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (v2)
			*ret_v2 = fd;
		else
			procs[(*procs_n)++] = fd;
	}
	for (uint32_t k = 0; k < f.setup.knob_n; k++) {
		const struct box_knob *b = &f.setup.knobs[k];

		err = write_file(f.hiers[b->hier], name, b->file, b->value);
		if (err < 0 && err != -ENOENT)
			return err;
	}
	return 0;
}

/* 0 when all are gone, -EBUSY while a member still exits. */
static int groups_remove(const char *name)
{
	int busy = 0;

	for (uint32_t h = 0; h < f.setup.hier_n; h++)
		if (unlinkat(f.hiers[h], name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			busy = -EBUSY;
	return busy;
}

static void report(uint32_t kind, uint32_t id, int arg, const char *where, const int *fds,
		   size_t fd_n)
{
	struct box_msg m = {.kind = kind, .id = id, .arg = arg};

	snprintf(m.where, sizeof(m.where), "%s", where);
	if (box_send(f.pool, &m, sizeof(m), fds, fd_n) < 0)
		_exit(0); /* the pool is gone */
}

static void net_forget(uint32_t id)
{
	for (uint32_t i = 0; i < f.live_n; i++)
		if (f.live[i].id == id) {
			net_give(f.live[i].net);
			f.live[i] = f.live[--f.live_n];
			return;
		}
}

static void remove_sandbox(uint32_t id)
{
	char name[32];

	group_name(id, name, sizeof(name));
	if (groups_remove(name) < 0 && f.remove_n < REMOVE_MAX) {
		f.removes[f.remove_n++] = id;
		return;
	}
	net_forget(id);
	report(BOX_REMOVED, id, 0, "", NULL, 0);
}

static void remove_retry(void)
{
	uint32_t n = f.remove_n;

	f.remove_n = 0;
	for (uint32_t i = 0; i < n; i++)
		remove_sandbox(f.removes[i]);
}

static int fill_fork(uint32_t id, int net, const int *procs, size_t procs_n, int v2)
{
	struct clone_args ca = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
	};
	int sv[2], pidfd = -1, fds[2];
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return STEP("socketpair", -errno);
	ca.pidfd = (uint64_t)(uintptr_t)&pidfd;
	if (v2 >= 0) {
		ca.flags |= CLONE_INTO_CGROUP;
		ca.cgroup = (__u64)(unsigned)v2;
	}
	pid = syscall(SYS_clone3, &ca, sizeof(ca));
	if (pid == 0) {
		struct box_self self = {
			.id = id, .ctl = sv[1], .tmpl = &f.tmpl, .common = &f.common};

		init_run(&self, &f.common, net, procs, procs_n);
	}
	if (pid < 0) {
		int err = -errno;

		(void)close(sv[0]);
		(void)close(sv[1]);
		return STEP("clone", err);
	}
	(void)close(sv[1]);
	fds[0] = sv[0];
	fds[1] = pidfd;
	report(BOX_FILLED, id, (int)pid, "", fds, 2);
	(void)close(sv[0]);
	(void)close(pidfd);
	return 0;
}

static void fill(uint32_t id, uint32_t flags)
{
	int procs[BOX_HIER_MAX], v2 = -1, net = -1, err;
	size_t procs_n = 0;
	char name[32];

	group_name(id, name, sizeof(name));
	err = STEP("control group", groups_make(name, procs, &procs_n, &v2));
	if (!err && (flags & BOX_F_NET_PRIVATE)) {
		net = STEP("net namespace", net_take());
		err = net < 0 ? net : 0;
	}
	if (!err)
		err = fill_fork(id, net, procs, procs_n, v2);
	for (size_t i = 0; i < procs_n; i++)
		(void)close(procs[i]);
	if (v2 >= 0)
		(void)close(v2);
	if (err) {
		net_give(net);
		(void)groups_remove(name); /* nothing lives in them */
		report(BOX_FAILED, id, err, box_where, NULL, 0);
	} else if (net >= 0 && f.live_n < NET_MAX) {
		f.live[f.live_n].id = id;
		f.live[f.live_n++].net = net;
	} else if (net >= 0) {
		(void)close(net);
	}
}

static int setup(void)
{
	int fds[BOX_FD_MAX], err;
	size_t fd_n;
	ssize_t n = box_recv(f.pool, &f.setup, sizeof(f.setup), fds, &fd_n);

	if (n != sizeof(f.setup) || f.setup.kind != BOX_SETUP || f.setup.hier_n > BOX_HIER_MAX ||
	    f.setup.knob_n > BOX_KNOB_MAX || fd_n != f.setup.hier_n + 2)
		return STEP("setup message", -EINVAL);
	memcpy(f.hiers, fds, f.setup.hier_n * sizeof(int));
	if ((err = map_filter(fds[fd_n - 2], &f.common.filter1)) < 0 ||
	    (err = map_filter(fds[fd_n - 1], &f.common.filter2)) < 0)
		return STEP("filters", err);
	(void)close(fds[fd_n - 2]);
	(void)close(fds[fd_n - 1]);
	f.common.caps_keep = f.setup.caps_keep;
	f.ns_dir = open("/proc/self/ns", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f.ns_own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (f.ns_dir < 0 || f.ns_own < 0)
		return STEP("/proc/self/ns", -errno);
	f.setup.root[sizeof(f.setup.root) - 1] = 0;
	err = root_template(f.setup.root, &f.tmpl);
	f.tmpl.layer_bytes = f.setup.layer_bytes;
	return err;
}

int filler_run(int pool_fd)
{
	struct box_msg m;
	int fds[BOX_FD_MAX], err;
	size_t fd_n;

	f.pool = pool_fd;
	(void)fcntl(pool_fd, F_SETFD, FD_CLOEXEC);
	(void)umask(0);			/* modes given here are meant */
	(void)signal(SIGCHLD, SIG_IGN); /* a dead init leaves no zombie; the pool has its pidfd */
	(void)signal(SIGPIPE, SIG_IGN);
	err = setup();
	report(err < 0 ? BOX_FAILED : BOX_PARKED, 0, err, box_where, NULL, 0);
	if (err < 0)
		return err;
	for (;;) {
		struct pollfd p = {.fd = pool_fd, .events = POLLIN};
		int r = poll(&p, 1, f.remove_n ? 1 : -1);

		if (f.remove_n)
			remove_retry();
		if (r <= 0)
			continue;
		if (box_recv(pool_fd, &m, sizeof(m), fds, &fd_n) != sizeof(m))
			return 0; /* closed: the pool is gone */
		while (fd_n)
			(void)close(fds[--fd_n]);
		if (m.kind == BOX_FILL)
			fill(m.id, m.flags);
		else if (m.kind == BOX_REMOVE)
			remove_sandbox(m.id);
	}
}
