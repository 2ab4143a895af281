// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * proxy.c - two half-pipes a connection, each a pipe that one side fills and the other empties.
 *
 * All descriptors are in one epoll set, edge triggered: a half moves what it can until splice()
 * says EAGAIN on both ends. An end of file is passed on as a shutdown, so that half-closed
 * protocols keep working; the pair goes when both halves have ended or one of them failed.
 */
#include "sys/proxy.h"

#include "base/cleanup.h"
#include "sys/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_MAX = 16, CHUNK = 64 * 1024 };
enum { ON_LISTEN = 1, ON_SIGNAL, ON_FRONT, ON_BACK };

struct half {
	int from, to, pipe[2];
	size_t held; /* bytes in the pipe */
	bool eof, done;
};

struct pair {
	bool used;
	int front, back;
	struct half in, out; /* front to back, back to front */
};

struct proxy {
	int epoll, signal;
	int listens[LISTEN_MAX];
	size_t listen_n, pair_n;
	pid_t child;
	struct sockaddr_storage to;
	socklen_t to_n;
	struct pair pairs[PROXY_PAIR_MAX];
};

static int complain(const char *what)
{
	(void)fprintf(stderr, "forewarm-proxy: %s: %s\n", what, strerror(errno));
	return 1;
}

static int watch(struct proxy *p, int fd, unsigned what, size_t index, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = (uint64_t)what << 32 | index};

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* While all pairs are in use, newcomers stay in the backlog. */
static void listen_more(struct proxy *p, bool more)
{
	for (size_t i = 0; i < p->listen_n; i++) {
		struct epoll_event ev = {.events = more ? EPOLLIN : 0,
					 .data.u64 = (uint64_t)ON_LISTEN << 32 | i};

		(void)epoll_ctl(p->epoll, EPOLL_CTL_MOD, p->listens[i], &ev); /* it is in the set */
	}
}

static void pair_close(struct proxy *p, struct pair *q)
{
	int *fds[] = {&q->front,      &q->back,	       &q->in.pipe[0],
		      &q->in.pipe[1], &q->out.pipe[0], &q->out.pipe[1]};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		closep(fds[i]);
	q->used = false;
	if (p->pair_n-- == PROXY_PAIR_MAX)
		listen_more(p, true);
}

/* Moves what can be moved; < 0 when the half is broken. */
static int half_move(struct half *h)
{
	bool moved = true;

	while (moved && !h->done) {
		ssize_t n;

		moved = false;
		if (!h->eof && h->held < CHUNK) {
			n = splice(h->from, NULL, h->pipe[1], NULL, CHUNK - h->held,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (n == 0)
				h->eof = true;
			else if (n > 0)
				h->held += (size_t)n;
			else if (errno != EAGAIN && errno != EINTR)
				return -errno;
			moved |= n > 0;
		}
		if (h->held) {
			n = splice(h->pipe[0], NULL, h->to, NULL, h->held,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (n > 0)
				h->held -= (size_t)n;
			else if (n < 0 && errno != EAGAIN && errno != EINTR)
				return -errno;
			moved |= n > 0;
		}
		if (h->eof && !h->held) {
			(void)shutdown(h->to,
				       SHUT_WR); /* the other side may be gone: then so be it */
			h->done = true;
		}
	}
	return 0;
}

static void pair_move(struct proxy *p, struct pair *q)
{
	if (half_move(&q->in) < 0 || half_move(&q->out) < 0 || (q->in.done && q->out.done))
		pair_close(p, q);
}

static int connect_back(const struct proxy *p)
{
	int fd = socket(p->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&p->to, p->to_n) == 0 || errno == EINPROGRESS)
		return fd;
	(void)close(fd);
	return -1;
}

static void pair_open(struct proxy *p, int front)
{
	struct pair *q = p->pairs;
	size_t index;

	while (q->used)
		q++;
	index = (size_t)(q - p->pairs);
	*q = (struct pair){.used = true,
			   .front = front,
			   .back = connect_back(p),
			   .in.pipe = {-1, -1},
			   .out.pipe = {-1, -1}};
	if (++p->pair_n == PROXY_PAIR_MAX)
		listen_more(p, false);
	if (q->back < 0 || pipe2(q->in.pipe, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    pipe2(q->out.pipe, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    watch(p, q->front, ON_FRONT, index, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0 ||
	    watch(p, q->back, ON_BACK, index, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0) {
		pair_close(p, q);
		return;
	}
	q->in.from = q->out.to = q->front;
	q->in.to = q->out.from = q->back;
}

static void accept_all(struct proxy *p, int fd)
{
	while (p->pair_n < PROXY_PAIR_MAX) {
		int front = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (front < 0)
			return;
		pair_open(p, front);
	}
}

/* --- the command ------------------------------------------------------------------------------------ */

static int start(struct proxy *p, char **command)
{
	pid_t self = getpid();
	sigset_t none;

	p->child = fork();
	if (p->child < 0)
		return complain("fork");
	if (p->child > 0)
		return 0;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != self) /* it was killed before that */
		_exit(127);
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDNAMES");
	(void)unsetenv("NOTIFY_SOCKET");
	(void)execv(command[0], command);
	(void)complain(command[0]);
	_exit(127);
}

/* The command's end is ours; a request to end goes on to the command. */
static bool ended(struct proxy *p, int *ret_status)
{
	struct signalfd_siginfo si;
	int status;

	while (read(p->signal, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo != SIGCHLD)
			(void)kill(p->child, (int)si.ssi_signo);
	while (waitpid(-1, &status, WNOHANG) == p->child) {
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		return true;
	}
	return false;
}

/* Until it answers; ever more patient, from 0.2 ms up to 20 ms between two tries. */
static int await(struct proxy *p)
{
	struct timespec pause = {.tv_nsec = 200000};
	int status;

	for (;;) {
		int fd = socket(p->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool up = fd >= 0 && connect(fd, (const struct sockaddr *)&p->to, p->to_n) == 0;

		closep(&fd);
		if (up)
			return 0;
		if (ended(p, &status))
			return status ? status : 1;
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < 20000000)
			pause.tv_nsec += pause.tv_nsec / 4;
	}
}

static int loop(struct proxy *p)
{
	struct epoll_event events[64];
	int status;

	for (;;) {
		int n = epoll_wait(p->epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			size_t index = (uint32_t)events[i].data.u64;

			switch (events[i].data.u64 >> 32) {
			case ON_SIGNAL:
				if (ended(p, &status))
					return status;
				break;
			case ON_LISTEN:
				accept_all(p, p->listens[index]);
				break;
			default:
				if (p->pairs[index].used)
					pair_move(p, &p->pairs[index]);
			}
		}
	}
}

static int take_listens(struct proxy *p)
{
	int n = sd_listen_fds(0);

	if (n <= 0 || n > LISTEN_MAX) {
		errno = EINVAL;
		return complain("LISTEN_FDS");
	}
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
			errno = ENOTSUP;
			return complain("only stream sockets can be proxied");
		}
		p->listens[p->listen_n++] = fd;
	}
	return 0;
}

int proxy_main(int argc, char **argv)
{
	static struct proxy p;
	struct unit_addr to;
	sigset_t mask;
	int r;

	if (argc < 5 || strcmp(argv[1], "--to") != 0 || strcmp(argv[3], "--") != 0 ||
	    unit_addr_parse(argv[2], UNIT_STREAM, &to)) {
		(void)fprintf(stderr, "usage: forewarm-proxy --to ADDRESS -- COMMAND [ARG]...\n");
		return 2;
	}
	(void)listen_sockaddr(&to, &p.to, &p.to_n);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	(void)sigaddset(&mask, SIGHUP);
	(void)sigaddset(&mask, SIGQUIT);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	p.signal = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p.signal < 0 || p.epoll < 0)
		return complain("signalfd, epoll");
	r = take_listens(&p);
	if (!r)
		r = start(&p, argv + 4);
	if (!r)
		r = await(&p);
	if (r)
		return r;
	if (watch(&p, p.signal, ON_SIGNAL, 0, EPOLLIN) < 0)
		return complain("epoll");
	for (size_t i = 0; i < p.listen_n; i++)
		if (watch(&p, p.listens[i], ON_LISTEN, i, EPOLLIN) < 0)
			return complain("epoll");
	(void)sd_notify(false, "READY=1"); /* nobody asked: fine */
	return loop(&p);
}
