// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sockdiag.c - an accepted connection keeps the port, or the UNIX name, of its listener: that is what
 * is counted. A connection still in the backlog counts too, which errs on the safe side.
 */
#include "sys/sockdiag.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_MAX = 32 * 1024 };

int sockdiag_open(int *ret_fd)
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return fault_errno();
	*ret_fd = fd;
	return 0;
}

static bool name_is(const struct nlmsghdr *h, const struct unit_addr *a)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)), n = strlen(a->path);
	const struct rtattr *at = (const struct rtattr *)(m + 1);

	while (left >= sizeof(*at) && at->rta_len >= sizeof(*at) && at->rta_len <= left) {
		size_t step = RTA_ALIGN(at->rta_len), len = RTA_PAYLOAD(at);
		const char *name = RTA_DATA(at);

		if (at->rta_type == UNIX_DIAG_NAME && a->family == UNIT_ABSTRACT)
			return len == n + 1 && name[0] == '\0' && memcmp(name + 1, a->path, n) == 0;
		if (at->rta_type == UNIX_DIAG_NAME)
			return len >= n && memcmp(name, a->path, n) == 0 &&
			       (len == n || name[n] == '\0');
		left -= step < left ? step : left;
		at = (const struct rtattr *)((const char *)at + step);
	}
	return false;
}

/* Reads the dump to its end. */
static int count_replies(int diag, const struct unit_addr *a, uint32_t *ret_n)
{
	_Alignas(struct nlmsghdr) char buf[REPLY_MAX];
	uint32_t n = 0;

	for (;;) {
		ssize_t got = recv(diag, buf, sizeof(buf), 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return fault_errno();
		}
		for (const struct nlmsghdr *h = (const struct nlmsghdr *)buf; NLMSG_OK(h, got);
		     h = NLMSG_NEXT(h, got)) {
			if (h->nlmsg_type == NLMSG_DONE) {
				*ret_n = n;
				return 0;
			}
			if (h->nlmsg_type == NLMSG_ERROR)
				return fault(((const struct nlmsgerr *)NLMSG_DATA(h))->error);
			n += a->family == UNIT_INET || a->family == UNIT_INET6 || name_is(h, a);
		}
	}
}

static int ask(int diag, void *request, size_t n)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (sendto(diag, request, n, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return fault_errno();
	return 0;
}

static int ask_tcp(int diag, const struct unit_addr *a)
{
	/* "source port >= p and <= p": an operation and its operand each; a miss jumps past the end. */
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 req;
		struct rtattr attr;
		struct inet_diag_bc_op ops[4];
	} m = {
		.h = {.nlmsg_len = sizeof(m),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.req = {.sdiag_family = a->family == UNIT_INET ? AF_INET : AF_INET6,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1 << TCP_ESTABLISHED | 1 << TCP_CLOSE_WAIT},
		.attr = {.rta_len = RTA_LENGTH(sizeof(m.ops)), .rta_type = INET_DIAG_REQ_BYTECODE},
		.ops = {{.code = INET_DIAG_BC_S_GE, .yes = 8, .no = 20},
			{.no = a->port},
			{.code = INET_DIAG_BC_S_LE, .yes = 8, .no = 12},
			{.no = a->port}},
	};

	return ask(diag, &m, sizeof(m));
}

static int ask_unix(int diag)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req req;
	} m = {
		.h = {.nlmsg_len = sizeof(m),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.req = {.sdiag_family = AF_UNIX,
			.udiag_states = 1 << TCP_ESTABLISHED,
			.udiag_show = UDIAG_SHOW_NAME},
	};

	return ask(diag, &m, sizeof(m));
}

int sockdiag_count(int diag, const struct unit_addr *a, uint32_t *ret_n)
{
	int r;

	if (a->type == UNIT_DATAGRAM) {
		*ret_n = 0;
		return 0;
	}
	r = a->family == UNIT_INET || a->family == UNIT_INET6 ? ask_tcp(diag, a) : ask_unix(diag);
	return r < 0 ? r : count_replies(diag, a, ret_n);
}
