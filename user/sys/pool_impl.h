/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pool_impl.h - what the files of the pool share; nobody else includes it.
 *
 * Shape    pool.c has the pool's life and the hand-out; pool_slot.c the table of sandboxes; pool_refill.c
 *          when to fill; pool_event.c what is told of them; pool_filler.c the filler process and messages
 *          with descriptors; pool_restart.c what outlives a daemon.
 * Owner    struct pool is pool_new()'s.
 */
#ifndef SYS_POOL_IMPL_H
#define SYS_POOL_IMPL_H

#include "sys/pool.h"
#include "sys/sandbox_impl.h"

/* What an epoll event is about: the kind in the upper half, the slot in the lower. */
enum { ON_FILLER = 1, ON_TIMER, ON_CTL, ON_INIT };

struct pool {
	struct pool_options o;
	char root[BOX_PATH_LEN];
	struct sandbox *slots;
	uint32_t generation;
	uint32_t serial_first;		   /* of the filler that runs now */
	uint32_t *parked[SANDBOX_NET_MAX]; /* slots, newest last: its pages are the warmest */
	uint32_t parked_n[SANDBOX_NET_MAX];
	uint32_t refilling_n[SANDBOX_NET_MAX];
	int epoll, timer, filler;
	pid_t filler_pid;
	bool closing, any_ended;
	uint64_t next_fill_ns, backoff_ns, timer_ns, handed_ns;
	uint32_t unsent_n;
	uint32_t stub_wanted_n; /* the filler has so many fewer than it may */
	struct pool_figures figures;
};

/* pool.c */
/* Sends the command an init waits for, and its limits; one that cannot be told is released. */
void pool_send_pending(struct pool *p, struct sandbox *sb);

/* pool_slot.c */
struct sandbox *pool_slot_free(struct pool *p);
struct sandbox *pool_slot_of(struct pool *p, uint32_t id);
void pool_slot_close(struct sandbox *sb);
void pool_slot_clear(struct pool *p, struct sandbox *sb);
void pool_unpark(struct pool *p, struct sandbox *sb);
void pool_emit(struct sandbox *sb, enum sandbox_event ev, int arg);
/* On its way out. asked: not by itself. */
void pool_slot_release(struct pool *p, struct sandbox *sb, bool asked);
void pool_slot_kill(struct pool *p, struct sandbox *sb);
/* No process is left: the groups go, then the slot is free. */
void pool_slot_remove(struct pool *p, struct sandbox *sb);
void pool_slot_gone(struct pool *p, struct sandbox *sb);

/* pool_refill.c */
#define POOL_RETRY_NS 1000000 /* of a message the filler's socket had no room for */
/* Asks for a sandbox. POOL_FULL: no slot is free. */
int pool_fill(struct pool *p, enum sandbox_net net, struct sandbox **ret);
/* Asks for what is missing, as far as the budget goes. */
void pool_refill(struct pool *p);
/* A fill failed: the next one waits, longer each time. */
void pool_refill_later(struct pool *p);
/* pool_dispatch() has something to do then. */
void pool_timer_at(struct pool *p, uint64_t at_ns);

/* pool_event.c */
int pool_watch(struct pool *p, int fd, uint32_t what, uint32_t slot);

/* pool_filler.c: p->filler is its socket, -1 when there is none */
int pool_filler_start(struct pool *p);
void pool_filler_stop(struct pool *p);
/* -EAGAIN: no room in its socket now */
int pool_filler_tell(struct pool *p, uint32_t kind, uint32_t id, uint32_t flags);
/* Never waits. */
ssize_t pool_recv(int sock, void *buf, size_t len, int fds[BOX_FD_MAX], size_t *fd_n);

#endif
