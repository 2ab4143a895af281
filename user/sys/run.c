// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* run.c - sessions of `forewarm run`: from a channel to a sandbox and back. */
#include "sys/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdmsg.h"

enum { FD_MAX = 4 + RUN_RW_MAX, GROUP_MAX = 256, FIXED_FDS = 4 };

struct session {
	struct run_server *rs; /* NULL: free */
	int channel;
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUP_MAX];
	size_t group_n;
	struct sandbox *sb;
	bool started, wants_layer;
	uint64_t asked_ns;
	struct sandbox_upper uppers[SANDBOX_UPPER_MAX];
	size_t upper_n;
};

struct run_server {
	struct pool *pool;
	struct cgroup_limits limits;
	bool has_limits;
	int epoll;
	struct session sessions[RUN_SESSION_MAX];
};

/* --- messages --------------------------------------------------------------------------------- */
int run_send(int channel, const void *buf, size_t len, const int *fds, size_t fd_n)
{
	int err = fdmsg_send(channel, buf, len, fds, fd_n, MSG_DONTWAIT);

	return err < 0 ? fault(err) : 0;
}

ssize_t run_recv(int channel, void *buf, size_t len, int *fds, size_t *fd_n)
{
	return fdmsg_recv(channel, buf, len, fds, fd_n, MSG_DONTWAIT);
}

static void tell(struct session *s, uint32_t kind, int arg, const int *fds, size_t fd_n)
{
	struct run_event e = {.kind = kind, .arg = arg};

	if (s->sb) {
		const struct sandbox_times *t = sandbox_times(s->sb);

		e.took_ns = (kind == RUN_EXITED ? t->exited_ns : t->started_ns) - t->taken_ns;
		e.parked = t->parked;
		e.cpu_ns = t->cpu_ns;
		e.maxrss_bytes = t->maxrss_bytes;
	}
	for (size_t i = 0; kind == RUN_LAYER && i < s->upper_n; i++)
		snprintf(e.at[i], sizeof(e.at[i]), "%s", s->uppers[i].at);
	if (s->channel >= 0)
		(void)run_send(s->channel, &e, sizeof(e), fds, fd_n); /* gone: its hang-up comes */
}

/* --- life of a session --------------------------------------------------------------------------- */
static void uppers_close(struct session *s)
{
	while (s->upper_n)
		(void)close(s->uppers[--s->upper_n].fd);
}

/* Ends when both the channel and the sandbox are gone. */
static void session_end(struct session *s)
{
	if (s->channel >= 0 || s->sb)
		return;
	uppers_close(s);
	*s = (struct session){.channel = -1};
}

static void channel_close(struct session *s)
{
	if (s->channel >= 0) {
		(void)epoll_ctl(s->rs->epoll, EPOLL_CTL_DEL, s->channel, NULL);
		(void)close(s->channel);
	}
	s->channel = -1;
	if (s->sb)
		sandbox_release(s->sb);
	session_end(s);
}

static void hand_over_layer(struct session *s)
{
	int fds[SANDBOX_UPPER_MAX];

	for (size_t i = 0; i < s->upper_n; i++)
		fds[i] = s->uppers[i].fd;
	tell(s, RUN_LAYER, (int)s->upper_n, fds, s->upper_n);
	uppers_close(s);
}

static void on_event(void *ctx, struct sandbox *sb, enum sandbox_event ev, int arg)
{
	struct session *s = ctx;
	int pidfd = sandbox_pidfd(sb);

	switch (ev) {
	case SANDBOX_EV_HANDED:
	case SANDBOX_EV_SIDE:
		break;
	case SANDBOX_EV_STARTED:
		tell(s, RUN_STARTED, arg, &pidfd, 1);
		break;
	case SANDBOX_EV_FAILED:
		tell(s, RUN_FAILED, arg, NULL, 0);
		break;
	case SANDBOX_EV_EXITED:
		tell(s, RUN_EXITED, arg, NULL, 0);
		if (!s->wants_layer || sandbox_upper_ask(sb))
			sandbox_release(sb);
		break;
	case SANDBOX_EV_UPPER:
		/* What still runs in there is killed first, so that the layer is at rest. */
		s->upper_n = sandbox_upper_take(sb, s->uppers);
		sandbox_release(sb);
		break;
	case SANDBOX_EV_GONE:
		if (arg)
			tell(s, RUN_FAILED, -ECHILD, NULL, 0);
		s->sb = NULL;
		if (s->upper_n)
			hand_over_layer(s);
		session_end(s);
		break;
	}
}

/* --- RUN_START ------------------------------------------------------------------------------------ */
static int read_blob(int fd, uint64_t len, char **ret)
{
	_cleanup_(freep) char *blob = NULL;

	if (len == 0 || len > SANDBOX_COMMAND_MAX)
		return fault(-E2BIG);
	blob = malloc(len);
	if (!blob)
		return fault(-ENOMEM);
	for (uint64_t at = 0;
	     at < len;) { /* a copy: the sender could still change or cut the file */
		ssize_t n = pread(fd, blob + at, len - at, (off_t)at);

		if (n <= 0)
			return fault(n < 0 ? -errno : -EBADMSG);
		at += (uint64_t)n;
	}
	if (blob[len - 1])
		return fault(-EBADMSG);
	*ret = TAKE_PTR(blob);
	return 0;
}

static const char **strings(const char **p, const char *end, uint32_t n)
{
	const char **v = calloc((size_t)n + 1, sizeof(*v));

	for (uint32_t i = 0; v && i < n; i++) {
		if (*p >= end) {
			free(v);
			return NULL;
		}
		v[i] = *p;
		*p += strlen(*p) + 1; /* the blob ends in a NUL */
	}
	return v;
}

static int command_take(struct session *s, const struct run_start *st, const int *fds,
			const char *blob)
{
	_cleanup_(freep) const char **head = NULL;
	_cleanup_(freep) const char **argv = NULL;
	_cleanup_(freep) const char **env = NULL;
	const char *p = blob, *end = blob + st->blob_len;
	struct sandbox_mount mounts[RUN_RW_MAX];
	struct sandbox_command c = {
		.stdio = {fds[0], fds[1], fds[2]},
		.uid = s->uid,
		.gid = s->gid,
		.groups = s->groups,
		.group_n = s->group_n,
		.caps = sandbox_caps_max(),
		.umask = st->umask & 0777,
		.mounts = mounts,
		.mount_n = st->rw_n,
		.limits = s->rs->has_limits ? &s->rs->limits : NULL,
		.users = st->flags & RUN_F_USERS ? SANDBOX_USERS_SELF : SANDBOX_USERS_HOST,
	};
	int r;

	head = strings(&p, end, 1 + st->rw_n);
	argv = head ? strings(&p, end, st->argc) : NULL;
	env = argv ? strings(&p, end, st->envc) : NULL;
	if (!env)
		return fault(-EBADMSG);
	c.cwd = head[0];
	c.argv = argv;
	c.env = env;
	for (uint32_t i = 0; i < st->rw_n; i++)
		mounts[i] = (struct sandbox_mount){
			.kind = SANDBOX_MOUNT_BIND, .path = head[1 + i], .fd = fds[FIXED_FDS + i]};
	s->wants_layer = st->flags & RUN_F_LAYER;
	r = pool_take(s->rs->pool, st->flags & RUN_F_NET ? SANDBOX_NET_HOST : SANDBOX_NET_PRIVATE,
		      &c, on_event, s, &s->sb);
	return r == POOL_FULL ? -EBUSY : r;
}

static int start(struct session *s, const struct run_start *st, size_t len, const int *fds,
		 size_t fd_n)
{
	_cleanup_(freep) char *blob = NULL;
	int err;

	if (len != sizeof(*st) || st->kind != RUN_START || s->started || st->rw_n > RUN_RW_MAX ||
	    fd_n != FIXED_FDS + st->rw_n || st->argc == 0 || st->argc > SANDBOX_COMMAND_MAX / 2 ||
	    st->envc > SANDBOX_COMMAND_MAX / 2)
		return fault(-EBADMSG);
	s->started = true;
	if ((err = read_blob(fds[3], st->blob_len, &blob)) < 0)
		return err;
	return command_take(s, st, fds, blob);
}

static void on_channel(struct session *s)
{
	struct run_start st;
	int fds[FD_MAX], err;
	size_t fd_n = ARRAY_SIZE(fds);
	ssize_t n = run_recv(s->channel, &st, sizeof(st), fds, &fd_n);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		channel_close(s);
		return;
	}
	err = start(s, &st, (size_t)n, fds, fd_n);
	while (fd_n)
		(void)close(fds[--fd_n]);
	if (err < 0) {
		tell(s, RUN_FAILED, err, NULL, 0);
		channel_close(s);
	}
}

/* --- the server ------------------------------------------------------------------------------------- */
int run_server_new(struct pool *pool, const struct cgroup_limits *limits, struct run_server **ret)
{
	struct run_server *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return fault(-ENOMEM);
	rs->pool = pool;
	if (limits)
		rs->limits = *limits;
	rs->has_limits = limits != NULL;
	rs->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (rs->epoll < 0) {
		free(rs);
		return fault_errno();
	}
	for (int i = 0; i < RUN_SESSION_MAX; i++)
		rs->sessions[i].channel = -1;
	*ret = rs;
	return 0;
}

/* Call it before the pool is freed; sandboxes still in use are released by the pool. */
struct run_server *run_server_free(struct run_server *rs)
{
	if (!rs)
		return NULL;
	for (int i = 0; i < RUN_SESSION_MAX; i++)
		if (rs->sessions[i].rs) {
			channel_close(&rs->sessions[i]);
			uppers_close(&rs->sessions[i]);
		}
	for (int i = 0; i < 500 && run_server_sessions(rs); i++)
		if (pool_wait(rs->pool, 10) < 0)
			break;
	(void)close(rs->epoll);
	free(rs);
	return NULL;
}

int run_server_fd(const struct run_server *rs)
{
	return rs->epoll;
}

uint32_t run_server_sessions(const struct run_server *rs)
{
	uint32_t n = 0;

	for (int i = 0; i < RUN_SESSION_MAX; i++)
		n += rs->sessions[i].rs != NULL;
	return n;
}

void run_server_dispatch(struct run_server *rs)
{
	struct epoll_event evs[16];
	int n = epoll_wait(rs->epoll, evs, ARRAY_SIZE(evs), 0);

	for (int i = 0; i < n; i++) {
		struct session *s = &rs->sessions[evs[i].data.u32];

		if (s->channel >= 0)
			on_channel(s);
	}
}

/* The command will run as who made the channel: that has to be who asked, and not someone whose
 * socket came into the asker's hands. */
static int identify(struct session *s, uid_t uid, gid_t gid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(s->channel, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return fault_errno();
	if (cred.uid != uid || cred.gid != gid || cred.pid <= 0)
		return RUN_REFUSED;
	s->uid = uid;
	s->gid = gid;
	len = sizeof(s->groups);
	if (getsockopt(s->channel, SOL_SOCKET, SO_PEERGROUPS, s->groups, &len) == 0)
		s->group_n = len / sizeof(gid_t);
	else if (errno == ERANGE)
		return fault(-E2BIG);
	return 0;
}

int run_server_add(struct run_server *rs, int channel, uid_t uid, gid_t gid)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct session *s = NULL;
	int type = 0, r;
	socklen_t len = sizeof(type);

	for (uint32_t i = 0; i < RUN_SESSION_MAX && !s; i++)
		if (!rs->sessions[i].rs) {
			s = &rs->sessions[i];
			ev.data.u32 = i;
		}
	if (!s || getsockopt(channel, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		(void)close(channel);
		return s ? RUN_REFUSED : fault(-EBUSY);
	}
	*s = (struct session){.channel = channel};
	r = identify(s, uid, gid);
	if (!r && epoll_ctl(rs->epoll, EPOLL_CTL_ADD, channel, &ev) < 0)
		r = fault_errno();
	if (r) {
		(void)close(channel);
		*s = (struct session){.channel = -1};
		return r;
	}
	s->rs = rs;
	return 0;
}
