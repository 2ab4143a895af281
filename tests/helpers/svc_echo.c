// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * svc_echo - a service for the tests: echoes what it reads at the sockets it was given.
 *
 *   --notify        says READY=1 when it is up
 *   --delay-ms N    takes so long to be up
 *   --bind PORT     knows no LISTEN_FDS: binds 127.0.0.1:PORT itself
 *   --term          has a SIGTERM handler: serves what it has, then exits 0
 *   --fail          exits 1 at once
 *   --cont          has a SIGCONT handler: ends with 7 when that is run
 *   --child         has a child, which does nothing
 *   --watchdog MS   says WATCHDOG=1 that often
 *   --tick MS       wakes that often for nothing, as many a service does
 *   --timer MS      the same by a timer among its descriptors: it waits without a timeout
 *   --alarm MS      the same by a signal, of which nobody else sees when it comes
 *   --threads N     has so many threads besides, which wait for nothing
 *   --fat MB        has so much memory that its end takes a while
 *
 * A line "who" is answered with "pid uid LISTEN_FDS LISTEN_FDNAMES fd,fd,...", "exit N" ends it with
 * status N, "leave" ends it when its connection has ended, "burn MS" uses the CPU for so long after the answer. Everything else is echoed.
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_FIRST = 3, LISTEN_MAX = 16, FD_MAX = 4096 };

static volatile sig_atomic_t terminated;
static int epoll_fd, listen_n, open_n, leaves, tick_ms = -1, timer_fd = -1, watchdog;
static char is_listen[FD_MAX];

static void on_term(int sig)
{
	(void)sig;
	terminated = 1;
}

static void on_cont(int sig)
{
	(void)sig;
	_exit(7);
}

static void add(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		exit(9);
}

static void pause_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	(void)nanosleep(&ts, NULL);
}

static void start_timer(long ms)
{
	struct timespec every = {ms / 1000, ms % 1000 * 1000000};
	struct itimerspec at = {every, every};

	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer_fd < 0 || timerfd_settime(timer_fd, 0, &at, NULL) < 0)
		exit(8);
	add(timer_fd);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void start_alarm(long ms)
{
	struct timeval every = {ms / 1000, ms % 1000 * 1000};
	struct itimerval at = {every, every};

	(void)signal(SIGALRM, on_alarm);
	(void)setitimer(ITIMER_REAL, &at, NULL);
}

static void grow_fat(size_t mb)
{
	char *at = malloc(mb << 20);

	for (size_t i = 0; at && i < mb << 20; i += 4096)
		((volatile char *)at)[i] = 1;
}

static void *idle(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

	(void)pthread_mutex_lock(&lock);
	for (;;)
		(void)pthread_cond_wait(&never, &lock);
	return arg;
}

static void start_threads(int n)
{
	pthread_t t;

	for (int i = 0; i < n; i++)
		(void)pthread_create(&t, NULL, idle, NULL);
}

static void tell_manager(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path || fd < 0 || strlen(path) >= sizeof(at.sun_path))
		exit(4);
	memcpy(at.sun_path, path, strlen(path) + 1);
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror(path);
		exit(5);
	}
	(void)close(fd);
}

static int bind_self(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4096) < 0) {
		perror("bind");
		exit(6);
	}
	return fd;
}

static size_t who(char *buf, size_t n)
{
	const char *fds = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	size_t at = (size_t)snprintf(buf, n, "%d %d %s %s ", (int)getpid(), (int)getuid(),
				     fds ? fds : "-", names ? names : "-");
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d) && at < n - 16)
			at += (size_t)snprintf(buf + at, n - at, "%s,", e->d_name);
	if (d)
		(void)closedir(d);
	return at + (size_t)snprintf(buf + at, n - at, "\n");
}

static void burn(long ms)
{
	struct timespec a, b;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	do
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms);
}

static void answer(int fd)
{
	struct sockaddr_storage from;
	socklen_t from_n = sizeof(from);
	char buf[4096];
	ssize_t n = recvfrom(fd, buf, sizeof(buf) - 1, 0, (struct sockaddr *)&from, &from_n);
	long after = 0;

	if (n <= 0) {
		if (!is_listen[fd]) {
			(void)close(fd);
			open_n--;
			if (leaves)
				_exit(0);
		}
		return;
	}
	buf[n] = '\0';
	if (strncmp(buf, "exit ", 5) == 0)
		_exit(atoi(buf + 5));
	if (strncmp(buf, "burn ", 5) == 0)
		after = atol(buf + 5);
	leaves |= strcmp(buf, "leave\n") == 0;
	if (strcmp(buf, "who\n") == 0)
		n = (ssize_t)who(buf, sizeof(buf));
	if (is_listen[fd]) /* a datagram */
		(void)sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, from_n);
	else if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
		perror("send");
	burn(after);
}

static void loop(void)
{
	while (!terminated || open_n) {
		struct epoll_event ev[64];
		unsigned long long ticks;
		int n = epoll_wait(epoll_fd, ev, 64, terminated ? 10 : tick_ms);

		if (watchdog)
			tell_manager("WATCHDOG=1");

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd, type = 0, got;
			socklen_t len = sizeof(type);

			if (fd == timer_fd) {
				(void)read(fd, &ticks, sizeof(ticks));
				continue;
			}
			if (!is_listen[fd]) {
				answer(fd);
				continue;
			}
			(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
			if (type == SOCK_DGRAM) {
				answer(fd);
				continue;
			}
			if (terminated) /* leave it to the next one */
				continue;
			got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
			if (got >= 0) {
				add(got);
				open_n++;
			}
		}
	}
}

int main(int argc, char **argv)
{
	int notify = 0, port = 0;
	long delay = 0, timer = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--notify") == 0)
			notify = 1;
		else if (strcmp(argv[i], "--term") == 0)
			(void)signal(SIGTERM, on_term);
		else if (strcmp(argv[i], "--cont") == 0)
			(void)signal(SIGCONT, on_cont);
		else if (strcmp(argv[i], "--child") == 0) {
			if (fork() == 0)
				for (;;)
					(void)pause();
		} else if (strcmp(argv[i], "--fail") == 0)
			return 1;
		else if (strcmp(argv[i], "--delay-ms") == 0 && i + 1 < argc)
			delay = atol(argv[++i]);
		else if (strcmp(argv[i], "--tick") == 0 && i + 1 < argc)
			tick_ms = atoi(argv[++i]);
		else if (strcmp(argv[i], "--watchdog") == 0 && i + 1 < argc)
			watchdog = tick_ms = atoi(argv[++i]);
		else if (strcmp(argv[i], "--timer") == 0 && i + 1 < argc)
			timer = atol(argv[++i]);
		else if (strcmp(argv[i], "--fat") == 0 && i + 1 < argc)
			grow_fat((size_t)atol(argv[++i]));
		else if (strcmp(argv[i], "--alarm") == 0 && i + 1 < argc)
			start_alarm(atol(argv[++i]));
		else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
			start_threads(atoi(argv[++i]));
		else if (strcmp(argv[i], "--bind") == 0 && i + 1 < argc)
			port = atoi(argv[++i]);
		else
			return 2;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (timer)
		start_timer(timer);
	pause_ms(delay);
	if (port) {
		int fd = bind_self(port);

		is_listen[fd] = 1;
		add(fd);
	} else {
		const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

		if (!pid || !fds || atoi(pid) != (int)getpid())
			return 3;
		listen_n = atoi(fds);
		for (int i = 0; i < listen_n; i++) {
			is_listen[LISTEN_FIRST + i] = 1;
			add(LISTEN_FIRST + i);
		}
	}
	if (notify)
		tell_manager("STATUS=up\nREADY=1");
	loop();
	return 0;
}
