// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* lull.c - what a wait is for stands in its arguments: of epoll in fdinfo, of the others in its memory. */
#include "sys/lull.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static const uint64_t lull_ns = LULL_S * 1000000000ull;

/* --- what a wait is for ----------------------------------------------------------------------------- */

struct inodes {
	uint64_t ino[LULL_WAIT_MAX];
	size_t n;
};

static void add(struct inodes *s, uint64_t ino)
{
	if (s->n < LULL_WAIT_MAX)
		s->ino[s->n++] = ino;
}

static void add_fd(struct inodes *s, pid_t pid, int fd)
{
	char path[64], to[64];
	unsigned long long ino = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return;
	to[n] = '\0';
	if (sscanf(to, "socket:[%llu]", &ino) == 1)
		add(s, ino);
}

/* "tfd:  5 events:  19 data: 5  pos:0 ino:2a3f sdev:9" */
static void of_epoll(struct inodes *s, pid_t pid, int fd)
{
	_cleanup_(fclosep) FILE *f = NULL;
	char path[64], line[256];

	(void)snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long ino = 0;
		unsigned int events = 0;
		const char *at = strstr(line, " ino:");

		if (sscanf(line, "tfd: %*d events: %x", &events) == 1 && (events & EPOLLIN) && at &&
		    sscanf(at, " ino:%llx", &ino) == 1)
			add(s, ino);
	}
}

static bool memory(pid_t pid, uint64_t at, void *ret, size_t n)
{
	_cleanup_(closep) int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && pread(fd, ret, n, (off_t)at) == (ssize_t)n;
}

static void of_poll(struct inodes *s, pid_t pid, uint64_t at, uint64_t n)
{
	struct pollfd p[LULL_WAIT_MAX];

	if (!n || n > LULL_WAIT_MAX || !memory(pid, at, p, n * sizeof(*p)))
		return;
	for (size_t i = 0; i < n; i++)
		if (p[i].fd >= 0 && p[i].events & POLLIN)
			add_fd(s, pid, p[i].fd);
}

static void of_select(struct inodes *s, pid_t pid, uint64_t at, uint64_t n)
{
	fd_set set;

	if (!n || n > FD_SETSIZE || !at || !memory(pid, at, &set, (n + 63) / 64 * 8))
		return;
	for (int fd = 0; fd < (int)n; fd++)
		if (FD_ISSET(fd, &set))
			add_fd(s, pid, fd);
}

static void waits_for(const struct rest_wait *w, struct inodes *ret)
{
	switch (w->call) {
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		of_epoll(ret, w->pid, (int)w->args[0]);
		break;
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		of_poll(ret, w->pid, w->args[0], w->args[1]);
		break;
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
		of_select(ret, w->pid, w->args[1], w->args[0]);
		break;
	default:
		break;
	}
}

bool lull_may(const struct rest_wait *w, const int *listens, size_t listen_n)
{
	struct inodes s = {.n = 0};

	waits_for(w, &s);
	for (size_t i = 0; i < listen_n; i++) {
		struct stat st;
		size_t k = 0;

		if (fstat(listens[i], &st) < 0)
			return false;
		while (k < s.n && s.ino[k] != st.st_ino)
			k++;
		if (k == s.n)
			return false;
	}
	return listen_n > 0;
}

static bool listens_at(int fd, const struct sockaddr_storage *at)
{
	struct sockaddr_storage a = {0};
	const struct sockaddr_un *un = (const void *)&a, *to = (const void *)at;
	socklen_t n = sizeof(a), on_n = sizeof(int);
	int on = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &on_n) < 0 || !on ||
	    getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return false;
	if (at->ss_family == AF_UNIX)
		return a.ss_family == AF_UNIX &&
		       memcmp(un->sun_path, to->sun_path, sizeof(un->sun_path)) == 0;
	return (a.ss_family == AF_INET || a.ss_family == AF_INET6) && /* IPv6: the same place */
	       ((const struct sockaddr_in *)&a)->sin_port ==
		       ((const struct sockaddr_in *)at)->sin_port;
}

int lull_listener(pid_t pid, const struct sockaddr_storage *at)
{
	_cleanup_(closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	const struct dirent *e;
	char path[64];
	int found = -1;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = pidfd < 0 ? NULL : opendir(path);
	while (d && found < 0 && (e = readdir(d))) {
		char to[16];

		if (e->d_name[0] == '.' || readlinkat(dirfd(d), e->d_name, to, sizeof(to)) < 8 ||
		    memcmp(to, "socket:[", 8) != 0)
			continue;
		found = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(e->d_name), 0);
		if (found >= 0 && !listens_at(found, at))
			closep(&found);
	}
	if (d)
		(void)closedir(d);
	return found;
}

/* --- how late it may be -------------------------------------------------------------------------------- */

static bool slack_get(pid_t tid, uint64_t *ret)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", (int)tid);
	if (procfs_text(path, text, sizeof(text)) <= 0)
		return false;
	*ret = strtoull(text, NULL, 10);
	return true;
}

/* 0: what the thread began with. */
static int slack_set(pid_t tid, uint64_t ns)
{
	_cleanup_(closep) int fd = -1;
	char path[64], text[32];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)ns);

	(void)snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", (int)tid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, (size_t)n) == n ? 0 : fault_errno();
}

int lull_put_off(pid_t tid, struct lull *ret)
{
	ret->tid = tid;
	if (!slack_get(tid, &ret->slack_ns))
		return fault(-ESRCH);
	return slack_set(tid, lull_ns);
}

void lull_end(const struct lull *l)
{
	(void)slack_set(l->tid, l->slack_ns); /* ended: it went with it */
}

bool lull_repair(pid_t pid)
{
	const struct dirent *e;
	bool any = false;
	char path[64];
	uint64_t ns;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		pid_t tid = atoi(e->d_name);

		if (tid > 0 && slack_get(tid, &ns) && ns == lull_ns)
			any |= slack_set(tid, 0) == 0;
	}
	if (d)
		(void)closedir(d);
	return any;
}
