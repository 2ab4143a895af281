// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * socket.c - one epoll set behind one descriptor.
 *
 * A client is reading (its request is not whole), being answered (answer() said MORE or LATER), or
 * draining (the answer is whole, the socket is full). Only a reading client is polled for input, so
 * a client that sends without reading fills its own socket buffer, not our memory. Levels, not
 * edges, are polled: a client we leave alone for a while is not forgotten.
 */
#include "api/socket.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdmsg.h"
#include "base/text.h"

#include <assert.h>
#include <grp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum {
	OUT_MAX = 8 << 20,
	OUT_LAST = 4096, /* of it, kept for the line that closes an answer */
	OUT_HIGH = 256 << 10,
	IN_STEP = 4096,
	TURNS_MAX = 2,	  /* for one client in one dispatch; each calls answer() twice at most */
	PEER_GROUPS = 64, /* supplementary groups looked at */
	BACKLOG = 64,
};

#define NS_PER_S 1000000000ull
#define LISTENER UINT32_MAX
#define IDLE_NS (5 * NS_PER_S) /* a silent client older than this yields to a new one */

enum client_state { CLIENT_FREE, CLIENT_READING, CLIENT_ANSWERING, CLIENT_LATER, CLIENT_CLOSING };

struct api_client {
	struct api *api;
	enum client_state state;
	int fd;
	uint32_t index, events;
	uint64_t moved_ns; /* when it last sent or took a byte */
	char *in;
	size_t in_n, in_max;
	char *out;
	size_t out_n, out_done, out_max;
	int fds[FWM_CTL_FD_MAX];
	unsigned fds_n;
	struct ucred peer;
	json_t *request;
	struct api_call call;
	bool broken;  /* the answer did not fit */
	bool closing; /* its last line is being written */
};

struct api {
	struct api_client clients[FWM_CTL_CLIENT_MAX];
	struct api_options options;
	char *path;
	gid_t gid;
	bool have_gid;
	int epoll, listener;
	unsigned clients_n;
	uint64_t now_ns;
};

DEFINE_CLEANUP(struct api *, api_close)

json_t *api_string(const char *s)
{
	_cleanup_(freep) char *clean = NULL;
	json_t *j;
	size_t left, n = 0;

	if (!s)
		return json_null();
	j = json_string(s);
	if (j)
		return j;
	left = strlen(s);
	clean = malloc(3 * left + 1);
	if (!clean)
		return NULL;
	while (left) {
		uint32_t point;
		size_t len = text_utf8(s, left, &point);

		memcpy(clean + n, len ? s : "\xef\xbf\xbd", len ? len : 3);
		n += len ? len : 3;
		s += len ? len : 1;
		left -= len ? len : 1;
	}
	return json_stringn(clean, n);
}

static void client_fds_close(struct api_client *c)
{
	for (unsigned i = 0; i < c->fds_n; i++)
		closep(&c->fds[i]);
	c->fds_n = 0;
}

/* The call is over, however it ended. */
static void call_fini(struct api_client *c)
{
	if (c->call.gone)
		c->call.gone(&c->call);
	if (c->request)
		json_decref(c->request);
	c->request = NULL;
	memset(&c->call, 0, sizeof(c->call));
	client_fds_close(c);
}

static void client_drop(struct api_client *c)
{
	call_fini(c);
	closep(&c->fd); /* leaves the epoll set with it */
	free(c->in);
	free(c->out);
	c->api->clients_n--;
	*c = (struct api_client){.fd = -1};
}

/* --- output --- */

static int out_bytes(struct api_client *c, const char *s, size_t n)
{
	if (c->out_done == c->out_n)
		c->out_done = c->out_n = 0;
	if (c->out_n + n > (c->closing ? OUT_MAX : OUT_MAX - OUT_LAST))
		return -ENOBUFS;
	if (c->out_n + n > c->out_max) {
		size_t max = c->out_max ? c->out_max : IN_STEP;
		char *p;

		while (max < c->out_n + n)
			max *= 2;
		p = realloc(c->out, max);
		if (!p)
			return fault(-ENOMEM);
		c->out = p;
		c->out_max = max;
	}
	memcpy(c->out + c->out_n, s, n);
	c->out_n += n;
	return 0;
}

static int on_dump(const char *s, size_t n, void *client)
{
	return out_bytes(client, s, n) < 0 ? -1 : 0;
}

int api_put(struct api_call *call, json_t *o)
{
	struct api_client *c = call->client;
	size_t before = c->out_n - (c->out_done == c->out_n ? c->out_n : 0);
	int r;

	if (!o)
		return fault(-ENOMEM);
	/* ASCII only: no reader's terminal is reached by a control character of the upper half. */
	r = json_dump_callback(o, on_dump, c, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
	if (r < 0 || out_bytes(c, "\n", 1) < 0) {
		c->out_n = before; /* whole lines or nothing */
		c->broken = true;
		return -ENOBUFS;
	}
	return 0;
}

/* Sends what the socket takes now. false: the client is gone. */
static bool out_flush(struct api_client *c)
{
	while (c->out_done < c->out_n) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_n - c->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->out_done += (size_t)n;
		c->moved_ns = c->api->now_ns;
	}
	if (c->out_max > OUT_HIGH) { /* a long answer's memory is not kept for a short one */
		free(c->out);
		c->out = NULL;
		c->out_max = 0;
	}
	c->out_n = c->out_done = 0;
	return true;
}

/* Polls for what c's state can use. */
static void watch(struct api_client *c)
{
	struct epoll_event ev = {.data.u32 = c->index};
	bool pending = c->out_done < c->out_n;

	if (pending || c->state == CLIENT_ANSWERING || c->state == CLIENT_CLOSING ||
	    (c->state == CLIENT_READING && c->in_n && memchr(c->in, '\n', c->in_n)))
		ev.events = EPOLLOUT;
	else if (c->state == CLIENT_READING)
		ev.events = EPOLLIN;
	else
		ev.events = 0; /* LATER: only the hang-up, which is always reported */
	if (ev.events != c->events && epoll_ctl(c->api->epoll, EPOLL_CTL_MOD, c->fd, &ev) == 0)
		c->events = ev.events;
}

static void close_answer(struct api_client *c, json_t *last)
{
	bool later = c->state == CLIENT_LATER;

	c->closing = true;
	if (api_put(&c->call, last) < 0)
		c->state = CLIENT_CLOSING; /* it will see the end of the stream without an end */
	else if (c->state != CLIENT_CLOSING)
		c->state = CLIENT_READING;
	c->closing = false;
	call_fini(c);
	/* Nobody is dispatching this client now: send at once, or when its socket has room. A client
	 * that is gone is found by its hang-up. */
	if (later && (out_flush(c) || c->state == CLIENT_CLOSING))
		watch(c);
}

int api_fail(struct api_call *call, enum fwm_status status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	close_answer(call->client, json_pack("{s:s, s:i, s:o}", "type", "error", "status",
					     (int)status, "message", api_string(text)));
	return 0;
}

void api_end(struct api_call *call, enum fwm_status status)
{
	close_answer(call->client, json_pack("{s:s, s:i}", "type", "end", "status", (int)status));
}

int api_take_fd(struct api_call *call, unsigned i)
{
	if (i >= call->client->fds_n || call->client->fds[i] < 0)
		return -EBADF;
	return TAKE_FD(call->client->fds[i]);
}

/* --- requests --- */

/* What is wrong in a request that cannot be answered; NULL when nothing. */
static const char *request_mistake(struct api_client *c, const char *line, size_t n)
{
	json_error_t e;
	json_t *v, *cmd, *args;

	c->request = json_loadb(line, n, JSON_REJECT_DUPLICATES, &e);
	if (!c->request || !json_is_object(c->request))
		return "a request is one line with one JSON object";
	v = json_object_get(c->request, "v");
	if (!json_is_integer(v) || json_integer_value(v) != FWM_CTL_VERSION)
		return "\"v\" must be 1: this daemon speaks version 1";
	cmd = json_object_get(c->request, "cmd");
	if (!json_is_string(cmd))
		return "\"cmd\" must be a string";
	args = json_object_get(c->request, "args");
	if (!args) {
		args = json_object();
		if (!args || json_object_set_new(c->request, "args", args) < 0)
			return "out of memory";
	}
	if (!json_is_object(args))
		return "\"args\" must be an object";
	c->call.cmd = json_string_value(cmd);
	c->call.args = args;
	return NULL;
}

/* Calls answer() once, unless the client has enough to read. */
static void answer(struct api_client *c)
{
	struct api *a = c->api;
	int r;

	if (c->out_n - c->out_done > OUT_HIGH)
		return;
	r = a->options.answer(a->options.ctx, &c->call);
	if (c->state != CLIENT_ANSWERING)
		return; /* it failed, or ended, by itself */
	if (c->broken || r == -ENOBUFS) {
		c->broken = false;
		api_fail(&c->call, FWM_STATUS_FAILED,
			 "the answer is longer than %d MiB; ask for less", OUT_MAX >> 20);
	} else if (r == API_LATER) {
		c->state = CLIENT_LATER;
	} else if (r < 0) {
		api_fail(&c->call, FWM_STATUS_FAILED, "%s", strerror(-r));
	} else if (r == 0) {
		api_end(&c->call, FWM_STATUS_OK);
	}
}

static void request(struct api_client *c, const char *line, size_t n)
{
	const char *wrong;

	c->call = (struct api_call){
		.client = c, .uid = c->peer.uid, .gid = c->peer.gid, .pid = (uint32_t)c->peer.pid};
	c->state = CLIENT_ANSWERING;
	wrong = request_mistake(c, line, n);
	if (wrong)
		api_fail(&c->call, FWM_STATUS_USAGE, "%s", wrong);
	else
		answer(c);
}

/* > 0 bytes read, 0 nothing now, < 0 the client is gone. */
static ssize_t receive(struct api_client *c)
{
	size_t fd_n = FWM_CTL_FD_MAX - c->fds_n;
	ssize_t n;

	if (c->in_n == c->in_max) {
		size_t max = c->in_max ? c->in_max * 2 : IN_STEP;
		char *p = realloc(c->in, max); /* the caller holds us to REQUEST_MAX */

		if (!p)
			return fault(-ENOMEM);
		c->in = p;
		c->in_max = max;
	}
	n = fdmsg_recv(c->fd, c->in + c->in_n, c->in_max - c->in_n, c->fds + c->fds_n, &fd_n,
		       MSG_DONTWAIT);
	c->fds_n += (unsigned int)fd_n;
	if (n < 0)
		return n == -EAGAIN ? 0 : n;
	if (n == 0)
		return -ECONNRESET;
	c->in_n += (size_t)n;
	c->moved_ns = c->api->now_ns;
	return n;
}

/* Begins to answer the next request, when it is whole. */
static void next_request(struct api_client *c)
{
	char *end = c->in_n ? memchr(c->in, '\n', c->in_n) : NULL;
	size_t n;

	if (!end && c->in_n < FWM_CTL_REQUEST_MAX)
		return;
	if (!end) {
		c->call.client = c;
		c->state = CLIENT_CLOSING;
		api_fail(&c->call, FWM_STATUS_USAGE, "a request is at most %d bytes long",
			 FWM_CTL_REQUEST_MAX);
		return;
	}
	n = (size_t)(end - c->in);
	request(c, c->in, n);
	c->in_n -= n + 1;
	memmove(c->in, end + 1, c->in_n);
}

/* --- clients --- */

static bool group_allows(const struct api *a, int fd, const struct ucred *peer)
{
	gid_t groups[PEER_GROUPS];
	socklen_t n = sizeof(groups);

	if (!a->have_gid)
		return false;
	if (peer->gid == a->gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
		return false; /* more groups than we look at, or a kernel before 4.13 */
	for (size_t i = 0; i < n / sizeof(gid_t); i++)
		if (groups[i] == a->gid)
			return true;
	return false;
}

/* A slot for a new client: a free one, or that of the client silent for longest. */
static struct api_client *slot(struct api *a)
{
	struct api_client *oldest = NULL;

	for (uint32_t i = 0; i < FWM_CTL_CLIENT_MAX; i++) {
		struct api_client *c = &a->clients[i];

		if (c->state == CLIENT_FREE)
			return c;
		if (c->state == CLIENT_READING && c->out_done == c->out_n &&
		    a->now_ns - c->moved_ns > IDLE_NS &&
		    (!oldest || c->moved_ns < oldest->moved_ns))
			oldest = c;
	}
	if (oldest)
		client_drop(oldest);
	return oldest;
}

static void refuse(int fd, enum fwm_status status, const char *why)
{
	char line[256];
	int n = snprintf(line, sizeof(line),
			 "{\"type\":\"error\",\"status\":%d,\"message\":\"%s\"}\n", (int)status,
			 why);

	(void)send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT); /* then it is closed */
}

static int take_client(struct api *a, int accepted)
{
	_cleanup_(closep) int fd = accepted;
	struct epoll_event ev = {.events = EPOLLIN};
	struct api_client *c;
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return fault_errno();
	if (peer.uid != 0 && peer.uid != geteuid() && !group_allows(a, fd, &peer)) {
		refuse(fd, FWM_STATUS_FORBIDDEN, "only root and the group of the socket may ask");
		return -EBUSY;
	}
	c = slot(a);
	if (!c) {
		refuse(fd, FWM_STATUS_FAILED, "too many clients; try again");
		return -EBUSY;
	}
	*c = (struct api_client){.api = a,
				 .state = CLIENT_READING,
				 .index = (uint32_t)(c - a->clients),
				 .events = EPOLLIN,
				 .peer = peer,
				 .moved_ns = a->now_ns};
	ev.data.u32 = c->index;
	if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		*c = (struct api_client){.fd = -1};
		return fault_errno();
	}
	c->fd = TAKE_FD(fd);
	a->clients_n++;
	return 0;
}

static void accept_all(struct api *a)
{
	for (int i = 0; i < BACKLOG; i++) {
		int fd = accept4(a->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return; /* EAGAIN, or a client that left; out of descriptors: next time */
		(void)take_client(a, fd); /* it was told why not */
	}
}

static void client_run(struct api_client *c, uint32_t events)
{
	if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLIN))) {
		client_drop(c);
		return;
	}
	if (events & EPOLLIN && c->state == CLIENT_READING && receive(c) < 0) {
		client_drop(c);
		return;
	}
	/* Each turn either answers a bit or finds the socket full or nothing to do. */
	for (int i = 0; i < TURNS_MAX; i++) {
		if (c->state == CLIENT_ANSWERING)
			answer(c);
		if (!out_flush(c)) {
			client_drop(c);
			return;
		}
		if (c->out_n)
			break;
		if (c->state == CLIENT_CLOSING) {
			client_drop(c);
			return;
		}
		if (c->state == CLIENT_READING)
			next_request(c);
		if (!c->out_n && c->state != CLIENT_ANSWERING)
			break;
	}
	watch(c);
}

static void drop_stalled(struct api *a)
{
	for (uint32_t i = 0; i < FWM_CTL_CLIENT_MAX; i++) {
		struct api_client *c = &a->clients[i];
		bool waits = c->out_done < c->out_n || c->in_n || c->fds_n;

		if (c->state == CLIENT_FREE ||
		    (c->state == CLIENT_LATER && c->out_done == c->out_n))
			continue;
		if (waits && a->now_ns - c->moved_ns > FWM_CTL_STALL_S * NS_PER_S)
			client_drop(c);
	}
}

int api_dispatch(struct api *a, uint64_t now_ns)
{
	struct epoll_event ev[FWM_CTL_CLIENT_MAX + 1];
	bool accepting = false;
	int n;

	a->now_ns = now_ns;
	n = epoll_wait(a->epoll, ev, FWM_CTL_CLIENT_MAX + 1, 0);
	if (n < 0)
		return errno == EINTR ? 0 : fault_errno();
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 == LISTENER)
			accepting = true;
		else if (a->clients[ev[i].data.u32].state != CLIENT_FREE)
			client_run(&a->clients[ev[i].data.u32], ev[i].events);
	}
	drop_stalled(a);
	/* Last, so that a slot freed above is not taken while an old event names it. */
	if (accepting)
		accept_all(a);
	return 0;
}

/* --- opening --- */

static int somebody_answers(const struct sockaddr_un *sa)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fault_errno();
	return connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN;
}

static int make_dir_of(const char *path)
{
	_cleanup_(freep) char *dir = strdup(path);
	char *slash;

	if (!dir)
		return fault(-ENOMEM);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return fault_errno();
	return 0;
}

/* Until listen() nobody can connect, so the rights are in place before anyone can use them. */
static int listen_at(struct api *a)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = -1;
	int r;

	if (strlen(a->path) >= sizeof(sa.sun_path))
		return fault(-ENAMETOOLONG);
	memcpy(sa.sun_path, a->path, strlen(a->path));
	r = make_dir_of(a->path);
	if (r < 0)
		return r;
	r = somebody_answers(&sa);
	if (r < 0)
		return r;
	if (r)
		return fault(-EADDRINUSE);
	if (unlink(a->path) < 0 && errno != ENOENT)
		return fault_errno();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return fault_errno();
	/* Without the right to give it to the group, it stays our own. */
	if (a->have_gid && chown(a->path, (uid_t)-1, a->gid) < 0)
		a->have_gid = false;
	if (chmod(a->path, a->have_gid ? 0660 : 0600) < 0 || listen(fd, BACKLOG) < 0) {
		r = fault_errno();
		(void)unlink(a->path);
		return r;
	}
	a->listener = TAKE_FD(fd);
	return 0;
}

int api_open(const struct api_options *options, struct api **ret)
{
	_cleanup_(api_closep) struct api *a = calloc(1, sizeof(*a));
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = LISTENER};
	struct group *group;
	int r;

	if (!a)
		return fault(-ENOMEM);
	a->epoll = a->listener = -1;
	for (uint32_t i = 0; i < FWM_CTL_CLIENT_MAX; i++)
		a->clients[i].fd = -1;
	a->options = *options;
	a->path = options->path ? strdup(options->path) : NULL;
	if (options->path && !a->path)
		return fault(-ENOMEM);
	a->options.path = a->path;
	group = options->group ? getgrnam(options->group) : NULL;
	if (group) {
		a->gid = group->gr_gid;
		a->have_gid = true;
	}
	a->options.group = NULL; /* borrowed from the caller, not needed again */
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll < 0)
		return fault_errno();
	if (a->path) {
		r = listen_at(a);
		if (r < 0)
			return r;
		if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->listener, &ev) < 0)
			return fault_errno();
	}
	*ret = TAKE_PTR(a);
	return 0;
}

struct api *api_close(struct api *a)
{
	if (!a)
		return NULL;
	for (uint32_t i = 0; i < FWM_CTL_CLIENT_MAX; i++)
		if (a->clients[i].state != CLIENT_FREE)
			client_drop(&a->clients[i]);
	if (a->listener >= 0)
		(void)unlink(a->path); /* ours: bind made it */
	closep(&a->listener);
	closep(&a->epoll);
	free(a->path);
	free(a);
	return NULL;
}

int api_adopt(struct api *a, int fd)
{
	return take_client(a, fd);
}

int api_fd(const struct api *a)
{
	return a->epoll;
}

unsigned api_clients_n(const struct api *a)
{
	return a->clients_n;
}
