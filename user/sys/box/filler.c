// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * filler.c - makes sandboxes and removes what is left of them, out of the daemon's way.
 *
 * All that blocks is here: mkdir and rmdir of control groups, net namespaces, forks. An init is born
 * into its v2 group (CLONE_INTO_CGROUP) and joins its v1 groups by writing 0 to their "tasks" file: a
 * write to cgroup.procs would wait 11 ms for an RCU period with cgroup_mutex held, which delays every
 * mkdir, rmdir and thaw on the host meanwhile. A thread that moves only itself needs no such wait
 * (cgroup_procs_write_start() in kernel/cgroup/cgroup.c), and an init has one thread.
 * A few inits without a root and a network ("stubs") are kept ready, so that a fresh sandbox has less
 * left to do: an overlay, and moving the /proc and /dev of the stub below it. The pool says when one is
 * made, which knows what else goes on.
 */
#include "sys/box/box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NET_MAX = 4096, REMOVE_MAX = 4096, STUB_MAX = 16 };

struct stub {
	uint32_t serial;
	int ctl, pidfd;
};

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
	struct stub stubs[STUB_MAX];
	uint32_t stub_n, first, serial;
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

static int groups_make(const char *name, int tasks[BOX_HIER_MAX], size_t *tasks_n, int *ret_v2)
{
	char path[96];
	int err;

	for (uint32_t h = 0; h < f.setup.hier_n; h++) {
		int v2 = f.setup.v2 && h == 0, fd;

		if (mkdirat(f.hiers[h], name, 0755) < 0)
			return -errno;
		snprintf(path, sizeof(path), v2 ? "%s" : "%s/tasks", name);
		fd = openat(f.hiers[h], path,
			    v2 ? O_RDONLY | O_DIRECTORY | O_CLOEXEC : O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (v2)
			*ret_v2 = fd;
		else
			tasks[(*tasks_n)++] = fd;
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

static int leave(void);

static void report(uint32_t kind, uint32_t id, uint32_t serial, int arg, const char *where,
		   const int *fds, size_t fd_n)
{
	struct box_msg m = {.kind = kind, .id = id, .serial = serial, .arg = arg};

	snprintf(m.where, sizeof(m.where), "%s", where);
	if (box_send(f.pool, &m, sizeof(m), fds, fd_n) < 0)
		_exit(leave());
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
	report(BOX_REMOVED, id, id, 0, "", NULL, 0);
}

static void remove_retry(void)
{
	uint32_t n = f.remove_n;

	f.remove_n = 0;
	for (uint32_t i = 0; i < n; i++)
		remove_sandbox(f.removes[i]);
}

/* A new init in its own groups and namespaces, which waits for a BOX_FILL. */
static int stub_fork(uint32_t serial, const int *tasks, size_t tasks_n, int v2, struct stub *ret)
{
	struct clone_args ca = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
	};
	int sv[2], pidfd = -1;
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
			.id = serial, .ctl = sv[1], .tmpl = &f.tmpl, .common = &f.common};

		init_run(&self, tasks, tasks_n);
	}
	(void)close(sv[1]);
	if (pid < 0) {
		int err = -errno;

		(void)close(sv[0]);
		return STEP("clone", err);
	}
	*ret = (struct stub){.serial = serial, .ctl = sv[0], .pidfd = pidfd};
	return 0;
}

static int stub_new(struct stub *ret)
{
	int tasks[BOX_HIER_MAX], v2 = -1, err;
	uint32_t serial = ++f.serial;
	size_t tasks_n = 0;
	char name[32];

	group_name(serial, name, sizeof(name));
	err = STEP("control group", groups_make(name, tasks, &tasks_n, &v2));
	if (!err)
		err = stub_fork(serial, tasks, tasks_n, v2, ret);
	for (size_t i = 0; i < tasks_n; i++)
		(void)close(tasks[i]);
	if (v2 >= 0)
		(void)close(v2);
	if (err)
		(void)groups_remove(name); /* nothing lives in them */
	return err;
}

static void stub_drop(struct stub *s)
{
	(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0); /* dead: as wanted */
	(void)close(s->ctl);
	(void)close(s->pidfd);
	if (f.remove_n < REMOVE_MAX)
		f.removes[f.remove_n++] = s->serial;
}

/* Oldest first: it has been attached the longest. */
static int stub_take(struct stub *ret)
{
	if (!f.stub_n)
		return stub_new(ret);
	*ret = f.stubs[0];
	memmove(f.stubs, f.stubs + 1, --f.stub_n * sizeof(*f.stubs));
	return 0;
}

static void fill(uint32_t request, uint32_t flags)
{
	struct box_msg m = {.kind = BOX_FILL, .flags = flags};
	struct stub s;
	int net = -1, fds[2], err = stub_take(&s);

	if (!err && (flags & BOX_F_NET_PRIVATE)) {
		net = STEP("net namespace", net_take());
		err = net < 0 ? net : 0;
	}
	if (err) {
		report(BOX_FAILED, request, 0, err, box_where, NULL, 0);
		return;
	}
	(void)box_send(s.ctl, &m, sizeof(m), &net,
		       net >= 0); /* a stub that died: its pidfd tells the pool */
	fds[0] = s.ctl;
	fds[1] = s.pidfd;
	report(BOX_FILLED, request, s.serial, 0, "", fds, 2);
	(void)close(s.ctl);
	(void)close(s.pidfd);
	if (net >= 0 && f.live_n < NET_MAX) {
		f.live[f.live_n].id = s.serial;
		f.live[f.live_n++].net = net;
	} else if (net >= 0) {
		(void)close(net);
	}
}

/* One at a time, so that a request waits for one at most. */
static void top_up(void)
{
	if (f.stub_n < f.setup.stub_n && stub_new(&f.stubs[f.stub_n]) == 0)
		f.stub_n++;
}

/* Not of the next filler, which may be making its first ones at this moment. */
static int is_ours(const char *number)
{
	return (uint32_t)strtoul(number, NULL, 10) - f.first <= f.serial - f.first;
}

/* The pool is gone. Parked inits end by themselves when their sockets close; sandboxes somebody else
 * holds live on, and their groups with them: those are EBUSY. */
static int remove_if_dead(uint32_t hier)
{
	int fd = openat(f.hiers[hier], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), left = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; d && (e = readdir(d));)
		if (!strncmp(e->d_name, "sb-", 3) && is_ours(e->d_name + 3) &&
		    unlinkat(f.hiers[hier], e->d_name, AT_REMOVEDIR) < 0)
			left++;
	if (d)
		(void)closedir(d);
	return left;
}

static int leave(void)
{
	int left = 1;

	while (f.stub_n)
		stub_drop(&f.stubs[--f.stub_n]);
	for (int i = 0; i < 200 && left; i++) { /* 400 ms: what has not exited by then is alive */
		left = 0;
		for (uint32_t h = 0; h < f.setup.hier_n; h++)
			left += remove_if_dead(h);
		if (left)
			(void)usleep(2000);
	}
	return 0;
}

/* Once, for all sandboxes: it takes a system call for each capability. Ours stay, they are not gained
 * by execve. */
static int bound_caps(uint64_t keep)
{
	for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (!(keep >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

/* For us and, inherited, for all that comes: a filter of each init's own would cost 0.15 ms a fill. */
static int confine(const struct box_filter *first)
{
	struct sock_fprog prog = {.len = first->len,
				  .filter = (struct sock_filter *)(uintptr_t)first->insns};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (prog.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return -errno;
	return 0;
}

static int setup(void)
{
	struct box_filter first = {0};
	int fds[BOX_FD_MAX], err;
	size_t fd_n;
	ssize_t n = box_recv(f.pool, &f.setup, sizeof(f.setup), fds, &fd_n);

	if (n != sizeof(f.setup) || f.setup.kind != BOX_SETUP || f.setup.hier_n > BOX_HIER_MAX ||
	    f.setup.knob_n > BOX_KNOB_MAX || fd_n != f.setup.hier_n + 2)
		return STEP("setup message", -EINVAL);
	memcpy(f.hiers, fds, f.setup.hier_n * sizeof(int));
	if ((err = map_filter(fds[fd_n - 2], &first)) < 0 ||
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
	if ((err = STEP("bounding set", bound_caps(f.common.caps_keep))) < 0)
		return err;
	err = root_template(f.setup.root, &f.tmpl);
	f.tmpl.layer_bytes = f.setup.layer_bytes;
	if (f.setup.stub_n > STUB_MAX)
		f.setup.stub_n = STUB_MAX;
	/* Not the numbers of an earlier filler: its groups may still be there. */
	if (getrandom(&f.serial, sizeof(f.serial), 0) < 0)
		return STEP("getrandom", -errno);
	f.serial &= 0x3fffffff;
	f.first = f.serial;
	return err ? err : STEP("seccomp", confine(&first));
}

int filler_run(int pool_fd)
{
	struct box_msg m;
	int fds[BOX_FD_MAX], err;
	size_t fd_n;

	f.pool = pool_fd;
	(void)fcntl(pool_fd, F_SETFD, FD_CLOEXEC);
	(void)close(4);			/* our own program, see pool.c */
	(void)umask(0);			/* modes given here are meant */
	(void)signal(SIGCHLD, SIG_IGN); /* a dead init leaves no zombie; the pool has its pidfd */
	(void)signal(SIGPIPE, SIG_IGN);
	err = setup();
	report(err < 0 ? BOX_FAILED : BOX_PARKED, 0, f.serial, err, box_where, NULL, 0);
	if (err < 0)
		return err;
	for (;;) {
		struct pollfd p = {.fd = pool_fd, .events = POLLIN};
		int r = poll(&p, 1, f.remove_n ? 1 : -1 /* for ever */);

		if (f.remove_n)
			remove_retry();
		if (r <= 0)
			continue;
		if (box_recv(pool_fd, &m, sizeof(m), fds, &fd_n) != sizeof(m))
			return leave();
		while (fd_n)
			(void)close(fds[--fd_n]);
		if (m.kind == BOX_FILL)
			fill(m.id, m.flags);
		else if (m.kind == BOX_REMOVE)
			remove_sandbox(m.id);
		else if (m.kind == BOX_STUB)
			top_up();
	}
}
