// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* client.c - see client.h. A plain blocking socket: whoever asks has nothing else to do. */
#include "api/client.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { LINE_MAX_BYTES = 8 << 20, STEP = 64 << 10 };

struct client {
	int fd;
	char *buf;
	size_t start, n, max; /* unread bytes are buf[start..n) */
	size_t looked;	      /* of those, bytes known to hold no newline */
};

int client_adopt(int taken, int timeout_ms, struct client **ret)
{
	_cleanup_(closep) int fd = taken;
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct client *c;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return fault_errno();
	c = calloc(1, sizeof(*c));
	if (!c)
		return fault(-ENOMEM);
	c->fd = TAKE_FD(fd);
	*ret = c;
	return 0;
}

int client_open(const char *path, int timeout_ms, struct client **ret)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = -1;

	if (strlen(path) >= sizeof(sa.sun_path))
		return fault(-ENAMETOOLONG);
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return fault_errno();
	return client_adopt(TAKE_FD(fd), timeout_ms, ret);
}

struct client *client_close(struct client *c)
{
	if (!c)
		return NULL;
	closep(&c->fd);
	free(c->buf);
	free(c);
	return NULL;
}

/* A daemon that refuses us closes its end with a line that says why; that line is what counts. */
static bool left_a_reason(int err)
{
	return err == EPIPE || err == ECONNRESET;
}

static int send_with_fds(int fd, const char *line, size_t n, const int *fds, size_t fds_n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FWM_CTL_FD_MAX)];
	} control = {0};
	size_t done = 0;

	while (done < n) {
		struct iovec iov = {(char *)(uintptr_t)line + done, n - done};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t sent;

		if (fds_n && done == 0) {
			struct cmsghdr *h = &control.align;

			m.msg_control = &control;
			m.msg_controllen = CMSG_SPACE(sizeof(int) * fds_n);
			h->cmsg_level = SOL_SOCKET;
			h->cmsg_type = SCM_RIGHTS;
			h->cmsg_len = CMSG_LEN(sizeof(int) * fds_n);
			memcpy(CMSG_DATA(h), fds, sizeof(int) * fds_n);
		}
		sent = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return left_a_reason(errno) ? 0 : fault_errno();
		done += (size_t)sent;
	}
	return 0;
}

int client_ask(struct client *c, const char *cmd, json_t *args, const int *fds, size_t fds_n)
{
	_cleanup_(freep) char *text = NULL;
	json_t *q = json_pack("{s:i, s:s, s:o*}", "v", FWM_CTL_VERSION, "cmd", cmd, "args", args);
	size_t n;

	if (!q || fds_n > FWM_CTL_FD_MAX) {
		json_decref(q);
		return fault(q ? -E2BIG : -ENOMEM);
	}
	text = json_dumps(q, JSON_COMPACT);
	json_decref(q);
	if (!text)
		return fault(-ENOMEM);
	n = strlen(text);
	if (n >= FWM_CTL_REQUEST_MAX)
		return fault(-E2BIG);
	text[n] = '\n'; /* in place of the NUL: it is sent by length */
	return send_with_fds(c->fd, text, n + 1, fds, fds_n);
}

/* The next line, without its newline; borrowed until the next call. */
static int line_next(struct client *c, const char **ret, size_t *ret_n)
{
	for (;;) {
		char *at = c->buf ? c->buf + c->start : NULL;
		char *end = at ? memchr(at + c->looked, '\n', c->n - c->start - c->looked) : NULL;
		ssize_t got;

		if (end) {
			*ret = at;
			*ret_n = (size_t)(end - at);
			c->start += *ret_n + 1;
			c->looked = 0;
			return 0;
		}
		if (c->start) {
			memmove(c->buf, at, c->n - c->start);
			c->n -= c->start;
			c->start = 0;
		}
		c->looked = c->n;
		if (c->n == c->max) {
			char *p;

			if (c->max >= LINE_MAX_BYTES)
				return fault(-EPROTO);
			p = realloc(c->buf, c->max + STEP);
			if (!p)
				return fault(-ENOMEM);
			c->buf = p;
			c->max += STEP;
		}
		got = recv(c->fd, c->buf + c->n, c->max - c->n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fault(errno == EAGAIN ? -ETIMEDOUT : -errno);
		if (got == 0)
			return fault(-ECONNRESET); /* an answer ends with an end */
		c->n += (size_t)got;
	}
}

int client_next(struct client *c, json_t **ret)
{
	const char *line = NULL, *type;
	json_error_t e;
	json_t *o;
	size_t n = 0;
	int r;

	r = line_next(c, &line, &n);
	if (r < 0)
		return r;
	o = json_loadb(line, n, 0, &e);
	type = json_string_value(json_object_get(o, "type"));
	if (!type) {
		json_decref(o);
		return fault(-EPROTO);
	}
	*ret = o;
	return strcmp(type, "end") == 0 || strcmp(type, "error") == 0 ? CLIENT_END : 0;
}

enum fwm_status client_status(const json_t *closing)
{
	json_int_t n = json_integer_value(json_object_get(closing, "status"));
	const char *type = json_string_value(json_object_get(closing, "type"));
	bool error = type && strcmp(type, "error") == 0;

	if (n < (error ? 1 : 0) || n > FWM_STATUS_NOT_FOUND)
		return FWM_STATUS_FAILED;
	return (enum fwm_status)n;
}
