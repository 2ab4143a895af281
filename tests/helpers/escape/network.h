/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* network.h - attempts on sockets, and what else processes talk through. */
#ifndef TESTS_ESCAPE_NETWORK_H
#define TESTS_ESCAPE_NETWORK_H

#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "helpers/escape/escape.h"

static int raw_socket(void)
{
	return OK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int raw_socket6(void)
{
	return OK(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
}

static int packet_socket(void)
{
	return OK(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static int netlink_uevent(void)
{
	return OK(socket(AF_NETLINK, SOCK_DGRAM, 15 /* KOBJECT_UEVENT */));
}

static int vsock(void)
{
	return OK(socket(40 /* AF_VSOCK */, SOCK_STREAM, 0));
}

static int net_configure(void)
{
	struct {
		char name[16];
		short flags;
		char pad[22];
	} ifr = {.name = "lo", .flags = 1 /* UP */};
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	return OK(s) && ioctl(s, 0x8914 /* SIOCSIFFLAGS */, &ifr) == 0;
}

static int connect_unix(const char *path, int abstract)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path + abstract, sizeof(un.sun_path) - 1, "%s", path);
	return OK(s) && connect(s, (struct sockaddr *)&un,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					    (size_t)abstract + strlen(path))) == 0;
}

static int socket_abstract(void)
{
	return connect_unix(arg, 1);
}

static int socket_path(void)
{
	return connect_unix(arg, 0);
}

static int socket_tcp(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arg))};
	int s = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return OK(s) && connect(s, (struct sockaddr *)&in, sizeof(in)) == 0;
}

static int sysv_shm(void)
{
	int id = shmget((key_t)atoi(arg), 0, 0);

	return OK(id);
}

static int posix_queue(void)
{
	return OK(mq_open(arg, O_RDWR));
}

static const struct attempt network_attempts[] = {
	ATTEMPT(raw_socket),	  ATTEMPT(raw_socket6), ATTEMPT(packet_socket),
	ATTEMPT(netlink_uevent),  ATTEMPT(vsock),	ATTEMPT(net_configure),
	ATTEMPT(socket_abstract), ATTEMPT(socket_path), ATTEMPT(socket_tcp),
	ATTEMPT(sysv_shm),	  ATTEMPT(posix_queue),
};

#endif
