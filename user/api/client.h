/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * client.h - the asking side of the control socket.
 *
 * Shape    open, then any number of: ask, next until it says CLIENT_END.
 * Bounds   Waits at most timeout_ms for each answer line; a line is at most 8 MiB.
 * Owner    The caller owns struct client and each object it gets.
 * Errors   < 0 -errno: -ENOENT, -ECONNREFUSED nobody is there; -EACCES, -EPERM the socket is not for
 *          us; -ECONNRESET the answer was cut off; -EPROTO what came is not of the protocol;
 *          -ETIMEDOUT.
 * Threads  One owner at a time.
 */
#ifndef API_CLIENT_H
#define API_CLIENT_H

#include "forewarm/ctl.h"

#include <stddef.h>

#include <jansson.h>

enum { CLIENT_END = 1 };

struct client;

int client_open(const char *path, int timeout_ms, struct client **ret);
/* The same over a socket that is connected; fd is taken, also when it fails. */
int client_adopt(int fd, int timeout_ms, struct client **ret);
struct client *client_close(struct client *c);

/* args, an object or NULL, is taken. fds stay the caller's. */
int client_ask(struct client *c, const char *cmd, json_t *args, const int *fds, size_t fds_n);

/* One object of the answer. CLIENT_END: *ret is the closing one, of type "end" or "error". */
int client_next(struct client *c, json_t **ret);
/* What a closing object says; an error is never FWM_STATUS_OK, whatever is in it. */
enum fwm_status client_status(const json_t *closing);

#endif
