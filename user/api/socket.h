/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * socket.h - the daemon's control socket: who may ask, how much, and how answers go out.
 *
 * Shape    A server inside somebody's event loop: watch api_fd(), call api_dispatch() when it is
 *          readable and at least each second. The protocol is in forewarm/ctl.h. What a request
 *          means is answer()'s business (routes.h); it writes objects with api_put() and returns.
 * Units    ns of any clock that does not go back.
 * Bounds   FWM_CTL_CLIENT_MAX clients; FWM_CTL_REQUEST_MAX bytes in, 8 MiB out per client, and
 *          above 256 KiB out answer() is not called again before the client has read. A client that
 *          neither reads nor finishes its request for FWM_CTL_STALL_S is dropped. Nothing here
 *          blocks: no call waits for a client.
 * Owner    The caller owns struct api. struct api_call lives from answer() to its end: until answer()
 *          returns 0 or a fault, or, after API_LATER, until api_end(), api_fail() or gone().
 * Errors   < 0 -errno. api_open(): -EADDRINUSE when somebody answers there already.
 * Threads  One.
 */
#ifndef API_SOCKET_H
#define API_SOCKET_H

#include "forewarm/ctl.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

enum {
	API_MORE = 1,  /* answer() wants to be called again when there is room */
	API_LATER = 2, /* the call stays open; api_put() and api_end() come from elsewhere */
};

struct api;
struct api_client;

struct api_call {
	const char *cmd;
	json_t *args; /* an object, maybe empty; borrowed */
	uint32_t uid, gid, pid;
	uint64_t it[4];			     /* answer()'s own, 0 in the first call */
	void *state;			     /* the same, with gone() to free it; NULL at first */
	void (*gone)(struct api_call *call); /* called once however the call ends, when set */
	struct api_client *client;
};

typedef int (*api_answer_fn)(void *ctx, struct api_call *call);

struct api_options {
	const char
		*path; /* of the socket; its directory is made when missing (0755). NULL: none, see
			      api_adopt() */
	const char *group; /* members may ask, besides root and our own user; NULL: nobody */
	api_answer_fn answer;
	void *ctx;
};

int api_open(const struct api_options *options, struct api **ret);
struct api *api_close(struct api *a);
int api_fd(const struct api *a);
int api_dispatch(struct api *a, uint64_t now_ns);
/* Takes a connected stream socket as a client; -EBUSY: there are too many, or it may not ask. */
int api_adopt(struct api *a, int fd);
unsigned api_clients_n(const struct api *a);

/* Sends o, which is taken, also on failure. -ENOBUFS: the answer is too long; return it. */
int api_put(struct api_call *call, json_t *o);
/* Closes an answer early, with a reason for the person who asked. Returns 0, for answer() to
 * return. */
int api_fail(struct api_call *call, enum fwm_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Closes an answer after API_LATER. */
void api_end(struct api_call *call, enum fwm_status status);
/* Moves the i-th descriptor that came with the request to the caller; -EBADF when there is none. */
int api_take_fd(struct api_call *call, unsigned i);

/* A string of a stranger's as JSON: what is not UTF-8 becomes U+FFFD. NULL gives null. */
json_t *api_string(const char *s);

#endif
