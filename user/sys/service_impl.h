/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * service_impl.h - what service.c and service_start.c share; nobody else includes it.
 *
 * Shape    recipe: all of a unit that can be settled when it is loaded, so that a start is short.
 */
#ifndef SYS_SERVICE_IMPL_H
#define SYS_SERVICE_IMPL_H

#include "core/unitfile.h"
#include "sys/sandbox.h"
#include "sys/service.h"

enum { RECIPE_GROUP_MAX = 64, RECIPE_MOUNT_MAX = 48, RECIPE_TEXT_MAX = 256 * 1024 };

/* Where a service finds its notify socket and the proxy. */
#define SERVICE_NOTIFY_DIR "/run/forewarm/notify"
#define SERVICE_PROXY_DIR "/run/forewarm/libexec"

struct recipe {
	const struct unit_service *unit;
	uid_t uid;
	gid_t gid;
	gid_t groups[RECIPE_GROUP_MAX];
	size_t group_n;
	char user[64], home[256], shell[256];
	struct sandbox_filter *filter;
	struct cgroup_limits limits;
	struct sandbox_mount mounts[RECIPE_MOUNT_MAX]; /* their descriptors are ours */
	size_t mount_n;
	struct sandbox_rlimit rlimit;
	bool has_rlimit;
	char proxy_path[256], proxy_to[160];
};

/* UNIT_REFUSED: *ret_why says what the host does not have. notify_dir: bound into the sandbox;
 * proxy: path of the proxy's program or NULL. */
int recipe_make(struct recipe *r, const struct unit *u, int notify_dir, const char *proxy,
		struct unit_why *ret_why);
void recipe_clear(struct recipe *r);

/* Hands a sandbox to the service. POOL_FULL as pool_take(). */
int recipe_start(const struct recipe *r, struct pool *pool, const int *listens, size_t listen_n,
		 const char *listen_names, sandbox_event_fn fn, void *ctx, struct sandbox **ret);

#endif
