/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * waker.h - thaws a frozen service the moment somebody connects to it.
 *
 * Shape    A thread of its own polls listening sockets. When one has something waiting, it thaws the
 *          service the socket belongs to, if that is frozen, and leaves a note for the event loop,
 *          which learns of it through waker_fd() and waker_take(). So the way from a connection to a
 *          running service never waits for what the event loop is busy with. One that is stopped
 *          rather than frozen is resumed in the kernel (resume.h), and the thread only looks every
 *          WAKER_LOOK_MS: what the kernel's side may miss is late, not lost. Who rests is not looked at:
 *          waker_take() finds that somebody has connected, whenever it is next asked.
 * Units    ns of CLOCK_MONOTONIC.
 * Bounds   slot_max services of WAKER_SOCKET_MAX sockets each; a slot has at most one note
 *          pending, so none is ever lost.
 * Owner    waker_new() to waker_free(). Descriptors are borrowed until waker_disarm().
 * Errors   < 0 -errno.
 * Threads  The event loop calls; the thread inside does nothing but poll, write and note.
 */
#ifndef SYS_WAKER_H
#define SYS_WAKER_H

#include "sys/cgroup.h"
#include "sys/resume.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAKER_SOCKET_MAX = 16, WAKER_LOOK_MS = 250 };

struct waker;

struct waker_note {
	uint32_t slot;
	uint64_t seen_ns;   /* when the poll returned */
	uint64_t thawed_ns; /* when the write that thaws had returned; 0: nothing was frozen */
};

int waker_new(uint32_t slot_max, const struct cgroup_host *cgroup, struct waker **ret);
struct waker *waker_free(struct waker *w);

/* Readable when there are notes. */
int waker_fd(const struct waker *w);
/* The next note, or false; without one at waker_fd() too, of who was stopped or rested. A slot is disarmed when its note was written. */
bool waker_take(struct waker *w, struct waker_note *ret);

/* Tell of the next thing that waits at any of fds; freeze_fd: thaw through it first, or -1. */
int waker_arm(struct waker *w, uint32_t slot, const int *fds, size_t fd_n, int freeze_fd);
/* The same for a stopped service, or one that rests, where this kernel can do that. */
bool waker_stops(const struct waker *w);
bool waker_rests(const struct waker *w);
int waker_arm_stopped(struct waker *w, uint32_t slot, const int *fds, size_t fd_n,
		      const struct resume_target *t);
/* After this the thread touches none of the slot's descriptors; a note not yet taken is dropped.
 * True: there was one, and if it was frozen or stopped it no longer is. */
bool waker_disarm(struct waker *w, uint32_t slot);

#endif
