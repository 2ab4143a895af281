/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * naming.h - whose /usr/bin/python3 it is: names of files in containers.
 *
 * Shape    A path is true within its mount namespace only. A process that lives in another one than
 *          the host's has its paths named with what its root is made of: "image:0123456789ab:/usr/
 *          bin/x". That is the same for all containers of one image, so containers that come
 *          and go add nothing to the graph, and never the host's file of the same path. What
 *          engines keep on the host under a container's id is named with '*' in its place.
 *          Services, and what is in /proc, /sys and /dev, keep their names.
 * Bounds   process_max processes in containers, taken by naming_new(); further ones are named as the
 *          host's, and counted. O(length of names).
 * Owner    The caller owns struct naming; a result lives until the next call.
 * Errors   NAMING_ASK.
 * Threads  One owner at a time. Pure: who reads /proc is the caller.
 */
#ifndef CORE_NAMING_H
#define CORE_NAMING_H

#include "core/obs.h"

#include <forewarm/event.h>

#include <stdbool.h>
#include <stdint.h>

enum { NAMING_TEXT_MAX = 32 };

/* This EXEC is in another mount namespace than the host's: say with naming_set() what its root is made
 * of. Without, it has what it had from its parent. The answer cannot be kept for the namespace:
 * a container's begins as the host's, and its number is used again as soon as it is gone. */
enum { NAMING_ASK = 1 };

struct naming;

int naming_new(uint32_t host_mntns, uint32_t process_max, struct naming **ret);
struct naming *naming_free(struct naming *n);

/* Who is where: wants each FORK, EXEC and EXIT, in order. */
int naming_follow(struct naming *n, const struct obs *o);
/* image: "" the host's own, else a text without '/', such as "image:0123456789ab". */
void naming_set(struct naming *n, uint32_t pid, const char *image);
/* "" for a process of the host. Borrowed. */
const char *naming_get(const struct naming *n, uint32_t pid);
/* A living process with that image, 0: none. O(process_max). */
uint32_t naming_find(const struct naming *n, const char *image);
/* o with names that say whose they are. */
void naming_obs(struct naming *n, const struct obs *o, struct obs *ret);
/* Processes known to be in containers; those which found no room. */
uint32_t naming_processes(const struct naming *n, uint64_t *ret_unnamed_n);

/* What the kernel side tells of a root (enum fwm_image), as such a text. false: it could not tell. */
bool naming_image(uint64_t image, char *buf, size_t n);
/* Of such a text, or of a name that begins with one; FWM_IMAGE_HOST for any other. */
enum fwm_image naming_image_kind(const char *name);

/* A path alone, into ret of OBS_NAME_MAX bytes; image as above. */
void naming_path(const char *image, const char *path, char *ret);
/* "image:0123456789ab:/usr/bin/x" -> "/usr/bin/x"; NULL for a name that is the host's. */
const char *naming_inner(const char *name);

#endif
