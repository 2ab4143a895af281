// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * pool_filler.c - the process that makes sandboxes: started from a sealed memfd, told by messages.
 */
#include "sys/pool_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdmsg.h"
#include "sys/box_image.h"

enum {
	SETUP_TIMEOUT_MS = 10000,
	LEAVE_MS = 3000,
};

static int image_memfd(int *ret_fd)
{
	_cleanup_(closep) int fd = memfd_create("forewarm-fill", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t len = (size_t)(box_image_end - box_image);

	if (fd < 0)
		return fault_errno();
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, box_image + done, len - done);

		if (n < 0)
			return fault_errno();
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return fault_errno();
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Descriptor 3 is its socket, 4 the program; everything else is closed. */
static int filler_spawn(int sock, pid_t *ret_pid)
{
	_cleanup_(closep) int image = -1;
	char *argv[] = {(char *)(uintptr_t) "forewarm-fill", NULL}, *env[] = {NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, all;
	int err = image_memfd(&image), high_sock, high_image;

	if (err < 0)
		return err;
	high_sock = fcntl(sock, F_DUPFD_CLOEXEC, 10); /* out of the way of 3 and 4 */
	high_image = fcntl(image, F_DUPFD_CLOEXEC, 10);
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	err = -posix_spawn_file_actions_init(&fa);
	if (err < 0)
		return fault(err);
	err = -posix_spawnattr_init(&at);
	if (!err) {
		(void)posix_spawnattr_setsigmask(&at, &none);
		(void)posix_spawnattr_setsigdefault(&at, &all);
		(void)posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							    POSIX_SPAWN_SETSID);
		if ((err = -posix_spawn_file_actions_adddup2(&fa, high_sock, 3)) == 0 &&
		    (err = -posix_spawn_file_actions_adddup2(&fa, high_image, 4)) == 0 &&
		    (err = -posix_spawn_file_actions_addclosefrom_np(&fa, 5)) == 0)
			err = -posix_spawn(ret_pid, "/proc/self/fd/4", &fa, &at, argv, env);
		(void)posix_spawnattr_destroy(&at);
	}
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)close(high_sock);
	(void)close(high_image);
	return err < 0 ? fault(err) : 0;
}

ssize_t pool_recv(int sock, void *buf, size_t len, int fds[BOX_FD_MAX], size_t *fd_n)
{
	*fd_n = BOX_FD_MAX;
	return fdmsg_recv(sock, buf, len, fds, fd_n, MSG_DONTWAIT);
}

static int filler_setup(struct pool *p, int sock)
{
	_cleanup_(closep) int first = -1;
	_cleanup_(closep) int second = -1;
	struct box_setup s = {
		.kind = BOX_SETUP, .layer_bytes = p->o.layer_bytes_max, .stub_n = p->o.stub_n};
	struct cgroup_knob knobs[CGROUP_KNOB_MAX];
	int fds[CGROUP_HIER_MAX + 2], err;
	uint32_t unlimited;
	bool v2 = false;

	s.caps_keep = sandbox_caps_max();
	snprintf(s.root, sizeof(s.root), "%s", p->root);
	if (p->o.cgroup) {
		s.hier_n = (uint32_t)cgroup_hiers(p->o.cgroup, fds, &v2);
		s.knob_n = (uint32_t)cgroup_knobs(p->o.cgroup, &p->o.limits, knobs, &unlimited);
	}
	s.v2 = v2;
	for (uint32_t i = 0; i < s.knob_n; i++) {
		s.knobs[i].hier = knobs[i].hier;
		snprintf(s.knobs[i].file, sizeof(s.knobs[i].file), "%s", knobs[i].file);
		snprintf(s.knobs[i].value, sizeof(s.knobs[i].value), "%s", knobs[i].value);
	}
	if ((err = sandbox_filter_default(false, &first)) < 0 ||
	    (err = sandbox_filter_default(true, &second)) < 0)
		return err;
	fds[s.hier_n] = first;
	fds[s.hier_n + 1] = second;
	err = fdmsg_send(sock, &s, sizeof(s), fds, s.hier_n + 2, MSG_DONTWAIT);
	return err < 0 ? fault(err) : 0;
}

int pool_filler_start(struct pool *p)
{
	_cleanup_(closep) int ours = -1;
	_cleanup_(closep) int theirs = -1;
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)ON_FILLER << 32};
	struct pollfd pf;
	struct box_msg m;
	int sv[2], err, fds[BOX_FD_MAX];
	size_t fd_n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return fault_errno();
	ours = sv[0];
	theirs = sv[1];
	if ((err = filler_spawn(theirs, &p->filler_pid)) < 0)
		return err;
	theirs = (close(theirs), -1);
	p->filler = TAKE_FD(ours);
	if ((err = filler_setup(p, p->filler)) < 0)
		return err;
	pf = (struct pollfd){.fd = p->filler, .events = POLLIN};
	if (poll(&pf, 1, SETUP_TIMEOUT_MS) <= 0)
		return fault(-ETIMEDOUT);
	if (pool_recv(p->filler, &m, sizeof(m), fds, &fd_n) != sizeof(m))
		return fault(-EPIPE);
	if (m.kind != BOX_PARKED)
		return fault_at(m.arg < 0 ? m.arg : -EPROTO, "box", 0, m.where);
	p->serial_first = m.serial;
	p->stub_wanted_n = p->o.stub_n;
	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->filler, &ev) < 0 ? fault_errno() : 0;
}

/* Closing its socket makes it remove its stubs and the dead groups, then exit. */
void pool_filler_stop(struct pool *p)
{
	if (p->filler >= 0)
		(void)close(p->filler);
	p->filler = -1;
	for (int ms = 0; p->filler_pid > 0 && waitpid(p->filler_pid, NULL, WNOHANG) == 0; ms++) {
		struct timespec one = {.tv_nsec = 1000000};

		if (ms == LEAVE_MS)
			(void)kill(p->filler_pid,
				   SIGKILL); /* stuck: better our exit than its groups */
		(void)nanosleep(&one, NULL);
	}
	p->filler_pid = 0;
}

int pool_filler_tell(struct pool *p, uint32_t kind, uint32_t id, uint32_t flags)
{
	struct box_msg m = {.kind = kind, .id = id, .flags = flags};

	return send(p->filler, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
