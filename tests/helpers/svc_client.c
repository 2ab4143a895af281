// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* svc_client PORT - asks 127.0.0.1:PORT once and prints the microseconds from connect() to the answer. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timespec a, b;
	char c[8];

	if (argc != 2 || fd < 0)
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[1]));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || send(fd, "hi\n", 3, 0) != 3 ||
	    recv(fd, c, sizeof(c), 0) != 3) {
		perror("svc_client");
		return 1;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	(void)printf("%lld\n",
		     (long long)(b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	return 0;
}
