/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * procfs.h - what already ran before the first hook was attached, and where a process is contained.
 *
 * Shape    Every running process as an OBS_EXEC, the files mapped into it as OBS_OPEN, and the
 *          services it listens on as OBS_LISTEN, all with OBS_F_SEED.
 * Bounds   one line, one path and one table of at most 4,096 sockets at a time.
 * Owner    strings of an observation live until the callback returns.
 * Errors   < 0 -errno: /proc itself cannot be read. A process that vanishes meanwhile is left out.
 * Threads  any; no state.
 */
#ifndef SYS_PROCFS_H
#define SYS_PROCFS_H

#include "core/obs.h"

typedef void (*procfs_fn)(void *ctx, const struct obs *o);

/* cgroup2_dir: where the v2 hierarchy is mounted, or NULL; skip: a process to leave out; only: 0, or a process:
 * nothing but that and what descends from it. */
int procfs_seed(const char *cgroup2_dir, uint32_t skip, uint32_t only, procfs_fn fn, void *ctx);

/* The first n - 1 bytes of a small file and a NUL: how many, or -errno, which is no fault. */
int procfs_text(const char *path, char *buf, size_t n);

/* The files mapped into one process, as OBS_OPEN at ts_ns. Nothing when it is gone. */
int procfs_maps(uint32_t pid, uint64_t ts_ns, procfs_fn fn, void *ctx);

/* Where the v2 hierarchy is mounted; buf of n bytes. -ENOENT: nowhere. */
int procfs_cgroup2_dir(char *buf, size_t n);

/* What the root directory of a process is made of: "" the host's own, else "image:HASH" for an
 * overlay (the same for all containers of one image) or "root:HASH" for anything else. What the
 * kernel side tells in FWM_EVENT_EXEC, for processes that ran before; where layers cannot be reached
 * from here the hash is one of their names, and differs. */
int procfs_image(uint32_t pid, char *buf, size_t n);

struct mountinfo;

/* What is mounted as the root of a process; false: not to be had. */
bool procfs_root_mount(uint32_t pid, struct mountinfo *ret);
/* A layer that an engine makes for one container, "ID-init/diff": not part of what its image is. */
bool procfs_layer_is_own(const char *path);

struct naming;

/* The host's root directory as the kernel has it. */
int procfs_root(uint32_t *ret_dev, uint64_t *ret_ino);
/* The mount namespace that is the host's: process 1's, or our own when that cannot be read. */
uint32_t procfs_host_mntns(void);
/* o with names that say whose they are (core/naming.h); asks /proc about each program that
 * starts in another mount namespace than the host's. */
void procfs_name(struct naming *n, const struct obs *o, struct obs *ret);

#endif
