// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * listen.c - every address is given SO_REUSEADDR, so that a restart finds its port free although
 * old connections still linger.
 */
#include "sys/listen.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const int socket_types[] = {
	[UNIT_STREAM] = SOCK_STREAM,
	[UNIT_DATAGRAM] = SOCK_DGRAM,
	[UNIT_SEQPACKET] = SOCK_SEQPACKET,
};

static bool host_has_v6(void)
{
	_cleanup_(closep) int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0;
}

/* What to bind to. */
static socklen_t sockaddr_of(const struct unit_addr *a, struct sockaddr_storage *ret)
{
	struct sockaddr_un *un = (struct sockaddr_un *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	size_t n = strlen(a->path);

	memset(ret, 0, sizeof(*ret));
	switch (a->family) {
	case UNIT_UNIX:
		un->sun_family = AF_UNIX;
		memcpy(un->sun_path, a->path, n + 1);
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	case UNIT_ABSTRACT:
		un->sun_family = AF_UNIX;
		memcpy(un->sun_path + 1, a->path, n);
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	case UNIT_INET6:
		if (a->port_only && !host_has_v6())
			break;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	case UNIT_INET:
		memcpy(&in->sin_addr, a->ip, 4);
		break;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(a->port);
	return sizeof(*in);
}

int listen_sockaddr(const struct unit_addr *a, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	static const uint8_t zero[16];
	struct unit_addr to = *a;

	if (a->family == UNIT_INET6 && memcmp(a->ip, zero, 16) == 0)
		to.ip[15] = 1;
	if (a->family == UNIT_INET && memcmp(a->ip, zero, 4) == 0)
		memcpy(to.ip, "\x7f\0\0\1", 4);
	*ret_len = sockaddr_of(&to, ret);
	return 0;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? fault_errno() : 0;
}

/* At least one, which is what the kernel knows. */
static int seconds(uint64_t ns)
{
	uint64_t s = (ns + 999999999u) / 1000000000u;

	return s > INT32_MAX ? INT32_MAX : (int)s;
}

static int set_options(int fd, const struct unit_socket *s, const struct unit_addr *a, int family)
{
	bool tcp = family != AF_UNIX && a->type == UNIT_STREAM;
	int r = 0;

	if (family != AF_UNIX)
		r = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!r && family == AF_INET6 && s->bind_v6 != UNIT_V6_DEFAULT)
		r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, s->bind_v6 == UNIT_V6_ONLY);
	if (!r && family != AF_UNIX && s->free_bind)
		r = set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (!r && family != AF_UNIX && s->reuse_port)
		r = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!r && tcp && s->no_delay)
		r = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!r && tcp && s->keep_alive)
		r = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (!r && tcp && s->keep_alive_ns)
		r = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(s->keep_alive_ns));
	if (!r && tcp && s->keep_alive_interval_ns)
		r = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(s->keep_alive_interval_ns));
	if (!r && tcp && s->keep_alive_probes)
		r = set(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)s->keep_alive_probes);
	if (!r && tcp && s->defer_accept_ns)
		r = set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds(s->defer_accept_ns));
	if (!r && tcp && s->congestion &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, s->congestion,
		       (socklen_t)strlen(s->congestion)) < 0)
		r = fault_errno();
	if (!r && s->ttl >= 0 && family != AF_UNIX)
		r = set(fd, IPPROTO_IP, IP_TTL, s->ttl);
	if (!r && s->ttl >= 0 && family == AF_INET6)
		r = set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, s->ttl);
	if (!r && s->tos >= 0 && family != AF_UNIX)
		r = set(fd, IPPROTO_IP, IP_TOS, s->tos);
	/* After it: IP_TOS sets a priority too. */
	if (!r && s->priority >= 0)
		r = set(fd, SOL_SOCKET, SO_PRIORITY, s->priority);
	if (!r && s->broadcast)
		r = set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (!r && s->device && family != AF_UNIX &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->device,
		       (socklen_t)strlen(s->device) + 1) < 0)
		r = fault_errno();
	if (!r && s->pass_packet_info && family != AF_UNIX)
		r = set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (!r && s->pass_packet_info && family == AF_INET6)
		r = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (!r && (s->timestamp_us || s->timestamp_ns))
		r = set(fd, SOL_SOCKET, s->timestamp_us ? SO_TIMESTAMP : SO_TIMESTAMPNS, 1);
	if (!r && s->pass_security && family == AF_UNIX)
		r = set(fd, SOL_SOCKET, SO_PASSSEC, 1);
	if (!r && s->pass_credentials && family == AF_UNIX)
		r = set(fd, SOL_SOCKET, SO_PASSCRED, 1);
	if (!r && s->receive_buffer)
		r = set(fd, SOL_SOCKET, SO_RCVBUF,
			s->receive_buffer > INT32_MAX ? INT32_MAX : (int)s->receive_buffer);
	if (!r && s->send_buffer)
		r = set(fd, SOL_SOCKET, SO_SNDBUF,
			s->send_buffer > INT32_MAX ? INT32_MAX : (int)s->send_buffer);
	return r;
}

/* The directories above a path, made if missing. */
static int make_parents(const char *path, mode_t mode)
{
	char dir[PATH_MAX];

	if (strlen(path) >= sizeof(dir))
		return fault(-ENAMETOOLONG);
	for (const char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		memcpy(dir, path, (size_t)(at - path));
		dir[at - path] = '\0';
		if (mkdir(dir, mode) < 0 && errno != EEXIST)
			return fault_errno();
	}
	return 0;
}

static int owner(const struct unit_socket *s, const char *path)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (s->user) {
		const struct passwd *pw = getpwnam(s->user);

		if (!pw)
			return fault(-ESRCH);
		uid = pw->pw_uid;
		gid = pw->pw_gid;
	}
	if (s->group) {
		const struct group *gr = getgrnam(s->group);

		if (!gr)
			return fault(-ESRCH);
		gid = gr->gr_gid;
	}
	if (uid == (uid_t)-1 && gid == (gid_t)-1)
		return 0;
	return lchown(path, uid, gid) < 0 ? fault_errno() : 0;
}

static int bind_path(int fd, const struct unit_socket *s, const struct unit_addr *a,
		     const struct sockaddr_storage *sa, socklen_t len)
{
	struct stat st;
	mode_t was;
	int r = make_parents(a->path, s->directory_mode);

	if (r < 0)
		return r;
	if (lstat(a->path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(a->path); /* left by somebody who is gone; bind() says if not */
	was = umask(0777 & ~s->mode);
	r = bind(fd, (const struct sockaddr *)sa, len) < 0 ? fault_errno() : 0;
	(void)umask(was);
	return r < 0 ? r : owner(s, a->path);
}

int listen_open(const struct unit_socket *s, const struct unit_addr *a, int *ret_fd)
{
	_cleanup_(closep) int fd = -1;
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(a, &sa);
	int r;

	fd = socket(sa.ss_family, socket_types[a->type] | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_errno();
	r = set_options(fd, s, a, sa.ss_family);
	if (r < 0)
		return r;
	if (a->family == UNIT_UNIX)
		r = bind_path(fd, s, a, &sa, len);
	else
		r = bind(fd, (const struct sockaddr *)&sa, len) < 0 ? fault_errno() : 0;
	if (r < 0)
		return r;
	if (a->type != UNIT_DATAGRAM &&
	    listen(fd, s->backlog > INT32_MAX ? INT32_MAX : (int)s->backlog) < 0)
		return fault_errno();
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static const char *unix_path(const struct unit_socket *s)
{
	for (size_t i = 0; i < s->listen_n; i++)
		if (s->listens[i].family == UNIT_UNIX)
			return s->listens[i].path;
	return NULL;
}

int listen_link(const struct unit_socket *s, size_t i)
{
	const char *to = unix_path(s);
	const char *path = s->symlinks.items[i] + strspn(s->symlinks.items[i], "-+");
	struct stat st;
	int r = to ? make_parents(path, s->directory_mode) : 0;

	if (r < 0)
		return r;
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		(void)unlink(path); /* of an earlier start; all else is somebody's */
	return to && symlink(to, path) < 0 ? fault_errno() : 0;
}

void listen_remove(const struct unit_socket *s)
{
	const char *path;
	struct stat st;

	for (size_t i = 0; i < s->listen_n && s->remove_on_stop; i++)
		if (s->listens[i].family == UNIT_UNIX)
			(void)unlink(s->listens[i].path);
	for (size_t i = 0; i < s->symlinks.item_n && s->remove_on_stop; i++) {
		path = s->symlinks.items[i] + strspn(s->symlinks.items[i], "-+");
		if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
			(void)unlink(path);
	}
}

bool listen_is(int fd, const struct unit_addr *a)
{
	struct sockaddr_storage want, have;
	socklen_t want_n = sockaddr_of(a, &want), have_n = sizeof(have), type_n = sizeof(int);
	int type = -1;

	memset(&have, 0, sizeof(have));
	if (getsockname(fd, (struct sockaddr *)&have, &have_n) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_n) < 0)
		return false;
	return type == socket_types[a->type] && have.ss_family == want.ss_family &&
	       have_n == want_n && memcmp(&have, &want, want_n) == 0;
}
