/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * run.h - `forewarm run`: a sandbox handed to whoever may ask, over a socket of its own.
 *
 * Shape    The requester makes a SOCK_SEQPACKET pair, keeps one end and gives the other to the server
 *          (with a "run" request on the control socket, or directly when it is root and no daemon runs).
 *          requester: RUN_START with its stdio, a memfd of strings and the paths to keep writable
 *          server:    RUN_STARTED with a pidfd, RUN_EXITED, RUN_LAYER with the layers, or RUN_FAILED
 *          Closing the channel gives the sandbox up at any time.
 * Units    ns, bytes.
 * Bounds   RUN_SESSION_MAX sessions; RUN_RW_MAX writable paths; SANDBOX_COMMAND_MAX bytes of strings.
 * Owner    run_server_add() takes the channel. The requester owns what it receives.
 * Errors   < 0 -errno. RUN_REFUSED: the channel is not the requester's own.
 * Threads  The event loop's; nothing blocks.
 * Trust    The command runs as the maker of the channel, by the kernel's word (SO_PEERCRED,
 *          SO_PEERGROUPS), who must be the one who asked. Every length is checked; strings are copied
 *          before they are looked at.
 */
#ifndef SYS_RUN_H
#define SYS_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys/pool.h"

enum {
	RUN_SESSION_MAX = 64,
	RUN_RW_MAX = 16,
	RUN_PATH_LEN = 256,
	RUN_REFUSED = 1,
};

enum run_kind { RUN_START = 1, RUN_STARTED, RUN_FAILED, RUN_EXITED, RUN_LAYER };
enum {
	RUN_F_NET = 1 << 0,
	RUN_F_LAYER = 1 << 1, /* what it wrote is wanted */
	RUN_F_USERS = 1 << 2, /* a user namespace of its own */
};

/* fds: stdin, stdout, stderr, memfd, rw_n paths. The memfd holds NUL-ended strings: the working
 * directory, rw_n paths, argc arguments, envc variables. */
struct run_start {
	uint32_t kind, flags, umask, argc, envc, rw_n;
	uint64_t blob_len;
};

struct run_event {
	uint32_t kind;
	int32_t arg; /* STARTED: pid inside; FAILED: -errno; EXITED: wait status; LAYER: how many */
	uint64_t took_ns, cpu_ns, maxrss_bytes;	  /* STARTED: until executed; EXITED */
	uint32_t parked, pad;			  /* STARTED: it came out of the pool */
	char at[SANDBOX_UPPER_MAX][RUN_PATH_LEN]; /* LAYER: where each is mounted */
};

struct run_server;

/* pool is borrowed; limits NULL: the pool's. */
int run_server_new(struct pool *pool, const struct cgroup_limits *limits, struct run_server **ret);
struct run_server *run_server_free(struct run_server *rs);
int run_server_fd(const struct run_server *rs);
void run_server_dispatch(struct run_server *rs);
/* uid and gid: of whoever asked. Takes channel in every case. */
int run_server_add(struct run_server *rs, int channel, uid_t uid, gid_t gid);
uint32_t run_server_sessions(const struct run_server *rs);

/* Messages with descriptors, for both sides; *fd_n is room, then count. -EAGAIN: nothing there; 0: closed. */
int run_send(int channel, const void *buf, size_t len, const int *fds, size_t fd_n);
ssize_t run_recv(int channel, void *buf, size_t len, int *fds, size_t *fd_n);

#endif
