// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * baseline.c - starts the subjects' programs as a host without us would.
 */
#include "baseline.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

const char baseline_activator[] = "/usr/bin/systemd-socket-activate";
static int activated_says = -1;

pid_t baseline_start_at(const struct sockaddr_storage *a, socklen_t n, const char *const *argv)
{
	int one = 1, fd;
	pid_t pid;

	fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* UNIX: no such thing */
	if (fd < 0 || bind(fd, (const struct sockaddr *)a, n) < 0 || listen(fd, 4096) < 0)
		die("listen");
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid == 0) {
		char text[16];

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Like any service. Of the client's session it would be in its autogroup (sched(7)), where
		 * the kernel shares out its turns otherwise than between two services. */
		(void)setsid();
		(void)dup2(fd, 3); /* fd is 3 itself at times: then close-on-exec has to go */
		(void)fcntl(3, F_SETFD, 0);
		(void)close_range(4, ~0u, 0);
		(void)snprintf(text, sizeof(text), "%d", (int)getpid());
		(void)setenv("LISTEN_PID", text, 1);
		(void)setenv("LISTEN_FDS", "1", 1);
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(fd);
	return pid;
}

pid_t baseline_start(const struct run *run, int k)
{
	struct sockaddr_storage a;
	socklen_t n;

	(void)address(run, k, PLAIN, &a, &n);
	return baseline_start_at(&a, n, subjects[k].argv);
}

void baseline_stop(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

pid_t baseline_activate(const struct run *run, int k)
{
	const struct subject *s = &subjects[k];
	const char *argv[9] = {baseline_activator, "-l"};
	char at[128], said[512];
	int p[2], argc = 3;
	pid_t pid;
	ssize_t n;

	listens_at(run, k, SYSTEMD, at, sizeof(at));
	argv[2] = at;
	for (int i = 0; s->argv[i]; i++)
		argv[argc++] = s->argv[i];
	if (pipe2(p, O_CLOEXEC) < 0)
		die("pipe");
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(p[1], STDERR_FILENO);
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(p[1]);
	/* What it says when its socket listens; what it says later goes nowhere. */
	n = read(p[0], said, sizeof(said) - 1);
	said[n < 0 ? 0 : n] = '\0';
	if (!strstr(said, "istening")) {
		baseline_stop(pid);
		pid = -1;
	}
	activated_says = p[0];
	return pid;
}

void baseline_deactivate(const struct run *run, int k, pid_t pid)
{
	char at[128];

	baseline_stop(pid);
	(void)close(activated_says);
	listens_at(run, k, SYSTEMD, at, sizeof(at));
	if (subjects[k].unix_socket)
		(void)unlink(at);
}
