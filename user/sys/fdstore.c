// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fdstore.c - what is left is asked for once, at open; after that things only go the other way.
 *
 * The holder is forked, not executed: there is no second program to find, and it has to be there
 * before anything worth hiding is in memory. A message is a name and at most one descriptor; once
 * sendmsg() has returned, the descriptor is in the holder's queue and safe from our death.
 */
#include "sys/fdstore.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdmsg.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

enum op { OP_PUT = 1, OP_REMOVE, OP_LIST, OP_ITEM, OP_LAST, OP_END };
enum { CLIENT_MAX = 4, REPLY_MS = 5000, OPEN_TRIES = 3 };

struct message {
	uint32_t op;
	char name[FDSTORE_NAME_MAX + 1];
};

struct kept {
	char *name;
	int fd;
};

struct fdstore {
	int sock;	   /* to the holder; -1: the manager keeps */
	struct kept *left; /* from before, not yet taken */
	size_t left_n;
};

static bool is_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > FDSTORE_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
			return false;
	return true;
}

/* --- messages ------------------------------------------------------------------------------------ */

static int tell(int sock, enum op op, const char *name, int fd)
{
	struct message m = {.op = op};
	int r;

	if (name)
		memcpy(m.name, name, strlen(name) + 1);
	r = fdmsg_send(sock, &m, sizeof(m), &fd, fd >= 0 ? 1 : 0, 0);
	return r < 0 ? fault(r) : 0;
}

/* The caller owns *ret_fd; -1 when none came along. */
static int hear(int sock, struct message *ret, int *ret_fd, int flags)
{
	size_t fd_n = 1;
	ssize_t n;

	*ret_fd = -1;
	n = fdmsg_recv(sock, ret, sizeof(*ret), ret_fd, &fd_n, flags);
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < 0)
		return fault((int)n);
	if (n == 0)
		return -ECONNRESET;
	if (n != sizeof(*ret) || ret->name[FDSTORE_NAME_MAX]) {
		closep(ret_fd);
		return fault(-EPROTO);
	}
	return 0;
}

static struct kept *kept_find(struct kept *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

static void kept_drop(struct kept *v, size_t *n, struct kept *k)
{
	(void)close(k->fd);
	free(k->name);
	*k = v[--*n];
}

/* Takes fd. */
static int kept_add(struct kept *v, size_t *n, const char *name, int fd)
{
	struct kept *old = kept_find(v, *n, name);

	if (old)
		kept_drop(v, n, old);
	if (*n == FDSTORE_MAX) {
		(void)close(fd);
		return -ENOSPC;
	}
	v[*n] = (struct kept){.name = strdup(name), .fd = fd};
	if (!v[*n].name) {
		(void)close(fd);
		return -ENOMEM;
	}
	(*n)++;
	return 0;
}

/* --- the holder -------------------------------------------------------------------------------------- */

struct holder {
	int listening;
	int clients[CLIENT_MAX];
	bool asked[CLIENT_MAX]; /* for the list */
	struct kept kept[FDSTORE_MAX];
	size_t kept_n;
	bool end;
};

static void holder_accept(struct holder *h)
{
	struct ucred peer = {0};
	socklen_t n = sizeof(peer);
	int fd = accept4(h->listening, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	    (peer.uid == 0 || peer.uid == geteuid())) {
		for (size_t i = 0; i < CLIENT_MAX; i++) {
			if (h->clients[i] < 0) {
				h->clients[i] = fd;
				return;
			}
		}
	}
	(void)close(fd);
}

static int holder_list(const struct holder *h, int client)
{
	int r = 0;

	for (size_t i = 0; i < h->kept_n && r == 0; i++)
		r = tell(client, OP_ITEM, h->kept[i].name, h->kept[i].fd);
	return r < 0 ? r : tell(client, OP_LAST, NULL, -1);
}

/* One message. -EAGAIN: there is none. */
static int holder_hear(struct holder *h, size_t client)
{
	struct message m;
	int fd = -1, r = hear(h->clients[client], &m, &fd, MSG_DONTWAIT);
	struct kept *k = r < 0 ? NULL : kept_find(h->kept, h->kept_n, m.name);

	switch (r < 0 ? 0 : m.op) {
	case 0:
		break;
	case OP_PUT:
		if (fd >= 0)
			(void)kept_add(h->kept, &h->kept_n, m.name, TAKE_FD(fd));
		break;
	case OP_REMOVE:
		if (k)
			kept_drop(h->kept, &h->kept_n, k);
		break;
	case OP_LIST:
		h->asked[client] = true;
		break;
	case OP_END:
		h->end = true;
		break;
	default:
		r = -EPROTO;
	}
	closep(&fd);
	return r;
}

static void holder_drop(struct holder *h, size_t client)
{
	(void)close(h->clients[client]);
	h->clients[client] = -1;
	h->asked[client] = false;
}

static void holder_hear_all(struct holder *h)
{
	for (size_t i = 0; i < CLIENT_MAX; i++) {
		int r = h->clients[i] < 0 ? -EAGAIN : 0;

		while (r == 0)
			r = holder_hear(h, i);
		if (r != -EAGAIN)
			holder_drop(h, i);
	}
}

/* What was sent by one that has died is heard before the next one is told what there is. */
static void holder_answer(struct holder *h)
{
	holder_hear_all(h); /* when a list was asked for, all that had been sent before is here */
	for (size_t i = 0; i < CLIENT_MAX; i++) {
		if (h->clients[i] < 0 || !h->asked[i])
			continue;
		h->asked[i] = false;
		if (holder_list(h, h->clients[i]) < 0)
			holder_drop(h, i);
	}
}

static void holder_loop(int listening)
{
	static struct holder h; /* of this process alone */

	h.listening = listening;
	for (size_t i = 0; i < CLIENT_MAX; i++)
		h.clients[i] = -1;
	while (!h.end) {
		struct pollfd p[CLIENT_MAX + 1] = {{.fd = listening, .events = POLLIN}};

		for (size_t i = 0; i < CLIENT_MAX; i++)
			p[i + 1] = (struct pollfd){.fd = h.clients[i], .events = POLLIN};
		if (poll(p, CLIENT_MAX + 1, -1) < 0)
			continue;
		holder_answer(&h);
		if (p[0].revents)
			holder_accept(&h);
	}
}

/* Away from the daemon's session, signals, directory and descriptors; all but one of them. */
static _Noreturn void holder_main(int listening, const char *path)
{
	sigset_t none;
	int fd;

	(void)setsid();
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, s == SIGTERM || s == SIGINT || s == SIGHUP || s == SIGPIPE
					? SIG_IGN
					: SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_NAME, "forewarm-hold", 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)chdir("/");
	fd = open("/dev/null", O_RDWR);
	if (dup2(listening, 3) < 0)
		_exit(1);
	for (int i = 0; i < 3; i++)
		(void)dup2(fd, i);
	(void)close_range(4, ~0u, 0);
	holder_loop(3);
	(void)unlink(path);
	_exit(0);
}

static int address(const char *dir, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/fdstore", dir) >=
	    (int)sizeof(ret->sun_path))
		return fault(-ENAMETOOLONG);
	return 0;
}

static int holder_spawn(const struct sockaddr_un *at)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (fd < 0)
		return fault_errno();
	(void)unlink(at->sun_path); /* nobody answered there */
	/* 0600 from the first moment: fchmod() before bind() is what bind() creates it with. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ||
	    listen(fd, CLIENT_MAX) < 0)
		return fault_errno();
	pid = fork();
	if (pid < 0)
		return fault_errno();
	if (pid == 0) {
		pid = fork(); /* twice: it is nobody's child to wait for */
		if (pid == 0)
			holder_main(fd, at->sun_path);
		_exit(pid < 0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int holder_connect(const char *dir, int *ret_fd)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	const struct timeval limit = {.tv_sec = REPLY_MS / 1000};
	int r = address(dir, &at);

	if (r < 0)
		return r;
	if (fd < 0)
		return fault_errno();
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		r = holder_spawn(&at);
		if (r < 0)
			return r;
		if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
			return fault_errno();
	}
	/* The holder answers at once or is not ours. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return fault_errno();
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* --- public -------------------------------------------------------------------------------------------- */

static int list_holder(struct fdstore *f)
{
	int r = tell(f->sock, OP_LIST, NULL, -1);

	while (r >= 0) {
		_cleanup_(closep) int fd = -1;
		struct message m;

		r = hear(f->sock, &m, &fd, 0);
		if (r < 0)
			break;
		if (m.op == OP_LAST)
			return 0;
		if (m.op == OP_ITEM && fd >= 0 && is_name(m.name))
			r = kept_add(f->left, &f->left_n, m.name, TAKE_FD(fd));
	}
	return r;
}

/* One that was told to end may be the one that answers: it resets, and the next try makes another. */
static int open_holder(struct fdstore *f, const char *dir)
{
	int r = -ECONNRESET;

	for (int i = 0; i < OPEN_TRIES && (r == -ECONNRESET || r == -EPIPE); i++) {
		closep(&f->sock);
		f->sock = -1;
		r = holder_connect(dir, &f->sock);
		if (r >= 0)
			r = list_holder(f);
	}
	return r;
}

static int list_manager(struct fdstore *f)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(true, &names), r = 0;

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* cannot fail on an open descriptor */
		if (is_name(names[i]) && r >= 0)
			r = kept_add(f->left, &f->left_n, names[i], fd);
		else
			(void)close(fd);
		free(names[i]);
	}
	free(names);
	return n < 0 ? fault(n) : r;
}

/* FDSTORE= is silently dropped by a manager that was not told to keep any; systemd tells its
 * services how many it keeps (since 254), and older ones leave it to the unit file. */
static bool manager_keeps(void)
{
	const char *max = getenv("FDSTORE");

	return getenv("NOTIFY_SOCKET") && (!max || atoi(max) > 0) && getenv("INVOCATION_ID");
}

int fdstore_open(const char *dir, struct fdstore **ret)
{
	struct fdstore *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return fault(-ENOMEM);
	f->sock = -1;
	f->left = calloc(FDSTORE_MAX, sizeof(*f->left));
	if (!f->left) {
		(void)fdstore_close(f, false);
		return fault(-ENOMEM);
	}
	if (manager_keeps())
		r = list_manager(f);
	else
		r = open_holder(f, dir);
	if (r < 0) {
		(void)fdstore_close(f, false);
		return r;
	}
	*ret = f;
	return 0;
}

struct fdstore *fdstore_close(struct fdstore *f, bool end)
{
	if (!f)
		return NULL;
	if (end && f->sock >= 0)
		(void)tell(f->sock, OP_END, NULL, -1); /* gone already: what was wanted */
	while (f->left_n)
		kept_drop(f->left, &f->left_n, f->left);
	closep(&f->sock);
	free(f->left);
	free(f);
	return NULL;
}

const char *fdstore_kind(const struct fdstore *f)
{
	return f->sock < 0 ? "manager" : "holder";
}

int fdstore_put(struct fdstore *f, const char *name, int fd)
{
	char text[FDSTORE_NAME_MAX + 64];
	int r;

	if (!is_name(name))
		return fault(-EINVAL);
	if (f->sock >= 0)
		return tell(f->sock, OP_PUT, name, fd);
	/* The manager adds a second one under the same name instead of replacing the first. */
	r = fdstore_remove(f, name);
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	r = sd_pid_notify_with_fds(0, false, text, &fd, 1);
	return r < 0 ? fault(r) : 0;
}

int fdstore_remove(struct fdstore *f, const char *name)
{
	char text[FDSTORE_NAME_MAX + 64];
	int r;

	if (!is_name(name))
		return fault(-EINVAL);
	if (f->sock >= 0)
		return tell(f->sock, OP_REMOVE, name, -1);
	(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	r = sd_notify(false, text);
	return r < 0 ? fault(r) : 0;
}

int fdstore_take(struct fdstore *f, const char *name, int *ret_fd)
{
	struct kept *k = kept_find(f->left, f->left_n, name);

	if (!k)
		return FDSTORE_NONE;
	*ret_fd = k->fd;
	free(k->name);
	*k = f->left[--f->left_n];
	return 0;
}

int fdstore_forget_rest(struct fdstore *f)
{
	int n = 0, r;

	while (f->left_n) {
		r = fdstore_remove(f, f->left[0].name);
		if (r < 0)
			return r;
		kept_drop(f->left, &f->left_n, f->left);
		n++;
	}
	return n;
}
