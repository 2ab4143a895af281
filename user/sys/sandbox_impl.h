/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sandbox_impl.h - what pool.c and sandbox.c share; nobody else includes it.
 *
 * Shape    A slot of the pool's table; free slots are EMPTY.
 */
#ifndef SYS_SANDBOX_IMPL_H
#define SYS_SANDBOX_IMPL_H

#include "core/sm.h"
#include "sys/box/proto.h"
#include "sys/pool.h"
#include "sys/sandbox.h"

struct sandbox_wire { /* a START message on its way */
	char *bytes;
	size_t len;
	int fds[BOX_FD_MAX];
	size_t fd_n;
};

/* Whose message it is: the command's, or that of one beside it. */
enum { SANDBOX_WIRE_COMMAND = 1, SANDBOX_WIRE_SIDE = 2 };

struct sandbox {
	struct sm sm;
	struct pool *pool;
	uint32_t id, slot, request; /* id: 0 until the filler has given it one */
	enum sandbox_net net;
	int ctl, init_pidfd, command_pidfd, freeze_fd;
	bool sent /* its command */, exited, init_gone, released, disowned, background;
	bool next;  /* another command was sent, and nothing is known of it yet */
	bool ended; /* its command had, before it was adopted */
	/* Where it is FROZEN. */
	enum { FROZEN_BY_GROUP, FROZEN_BY_SIGNAL, FROZEN_BY_ITSELF } frozen_by;
	char group[CGROUP_NAME_LEN];
	sandbox_event_fn fn;
	void *ctx;
	struct sandbox_wire *pending; /* for when it is parked */
	struct cgroup_limits pending_limits;
	bool has_limits;
	struct sandbox_times times;
	struct sandbox_upper uppers[SANDBOX_UPPER_MAX];
	size_t upper_n;
	uint64_t asked_ns, release_ns;
};

extern const struct sm_def sandbox_sm;

/* sandbox.c: encodes cmd; what is passed along is duplicated or opened anew. */
int sandbox_wire_new(const struct sandbox_command *cmd, uint32_t id, struct sandbox_wire **ret);
struct sandbox_wire *sandbox_wire_free(struct sandbox_wire *w);
int sandbox_wire_send(int ctl, struct sandbox_wire *w);

/* filter.c: the two parts of the default filter, as bytes of struct sock_filter. */
int sandbox_filter_default(bool launcher_part, int *ret_memfd);
size_t sandbox_filter_memfds(const struct sandbox_filter *f, const int **ret);

/* pool.c */
void pool_release(struct pool *p, struct sandbox *sb);

#endif
