// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * others.c - messages and connections of strangers, with and without our programs on the sockets.
 */
#include "others.h"

#include "run.h"

#include "../quantile.h"

#include "sys/resume.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { OTHER_N = 20000, OTHER_CALL_N = 2000, OTHER_PAIR_N = 25 };

static int listener(bool unix_socket, struct sockaddr_storage *ret, socklen_t *ret_n)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = AF_UNIX;
	*ret_n = unix_socket ? sizeof(sa_family_t) : sizeof(in); /* UNIX: the kernel finds a name */
	if (!unix_socket)
		memcpy(ret, &in, sizeof(in));
	if (fd < 0 || bind(fd, (struct sockaddr *)ret, *ret_n) < 0 || listen(fd, 16) < 0)
		die("listen");
	*ret_n = sizeof(*ret);
	(void)getsockname(fd, (struct sockaddr *)ret, ret_n);
	return fd;
}

static int call(const struct sockaddr_storage *to, socklen_t n)
{
	const struct linger reset = {.l_onoff = 1}; /* or ports would run out */
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(fd, (const struct sockaddr *)to, n) < 0)
		die("connect");
	return fd;
}

/* ns of a message, and of a connection. */
static void other_ns(bool unix_socket, double *ret_message, double *ret_call)
{
	struct sockaddr_storage a;
	socklen_t n;
	int at = listener(unix_socket, &a, &n), to = call(&a, n), from = accept(at, NULL, NULL);
	const int one = 1;
	uint64_t t0, t1;
	char c = 'x';

	(void)setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* UNIX: no such thing */
	t0 = now_ns();
	for (int i = 0; i < OTHER_N; i++)
		if (send(to, &c, 1, 0) != 1 || recv(from, &c, 1, 0) != 1)
			die("message");
	t1 = now_ns();
	*ret_message = (double)(t1 - t0) / OTHER_N;
	t0 = now_ns();
	for (int i = 0; i < OTHER_CALL_N; i++) {
		int fd = call(&a, n);

		(void)close(accept(at, NULL, NULL));
		(void)close(fd);
	}
	*ret_call = (double)(now_ns() - t0) / OTHER_CALL_N;
	(void)close(to);
	(void)close(from);
	(void)close(at);
}

static void report_other(FILE *ndjson, const char *what, double *without, double *with,
			 double *more)
{
	const double base = quantile(without, OTHER_PAIR_N, 0.5),
		     now = quantile(with, OTHER_PAIR_N, 0.5),
		     by = quantile(more, OTHER_PAIR_N, 0.5);

	(void)printf("%-16s %9.0f ns %9.0f ns %+8.0f ns %+7.1f %%\n", what, base, now, by,
		     100 * by / base);
	if (ndjson)
		(void)fprintf(
			ndjson,
			"{\"bench\":\"sandbox\",\"metric\":\"others' sockets, %s\",\"subject\":"
			"\"forewarm\",\"value\":%.0f,\"unit\":\"ns\",\"baseline\":\"nothing "
			"stopped\",\"ratio\":%.4f,\"n\":%d}\n",
			what, now, 1 + by / base, OTHER_PAIR_N);
}

void others_measure(FILE *ndjson)
{
	static const char *const names[] = {"UNIX message", "UNIX connection", "TCP message",
					    "TCP connection"};
	static double ns[2][4][OTHER_PAIR_N], more[4][OTHER_PAIR_N];
	const struct resume_target nobody = {.pidfd = -1};
	struct sockaddr_storage a;
	socklen_t n;
	int ours = listener(true, &a, &n);

	for (int i = -1; i < OTHER_PAIR_N; i++) /* the first is for practice */
		for (int turn = 0; turn < 2; turn++) {
			int on = (i & 1) ^ turn, to = i < 0 ? 0 : i;
			struct resume *r = NULL;

			if (on &&
			    (resume_open(1, &r) < 0 || resume_arm(r, 0, &ours, 1, &nobody) < 0)) {
				(void)printf("others: this kernel stops no services\n");
				return;
			}
			for (int k = 0; k < 2; k++)
				other_ns(k == 0, &ns[on][2 * k][to], &ns[on][2 * k + 1][to]);
			(void)resume_close(r);
		}
	(void)printf("%-16s %12s %12s %11s %9s\n", "others' sockets", "nothing", "stopped", "more",
		     "");
	for (int k = 0; k < 4; k++) {
		for (int i = 0; i < OTHER_PAIR_N; i++)
			more[k][i] = ns[1][k][i] - ns[0][k][i];
		report_other(ndjson, names[k], ns[0][k], ns[1][k], more[k]);
	}
}
