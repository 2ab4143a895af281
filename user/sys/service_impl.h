/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * service_impl.h - what the service*.c share; nobody else includes it.
 *
 * Shape    service.c carries out what the core decides. service_load.c: from files to services.
 *          service_keep.c: what outlives the daemon, and finding it. service_start.c: recipes, all of
 *          a unit that can be settled when it is loaded, so that a start is short.
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

/* Shared with the next daemon. Only grows at its end, with a new version. */
struct page {
	uint64_t version;
	uint64_t size;
	uint32_t used; /* a sandbox is there */
	uint32_t box_id, box_net;
	uint32_t starting; /* it has not said that it is ready */
	struct svc_habit habit;
};

struct service {
	struct services *all;
	bool used;
	uint32_t id;
	char name[UNIT_NAME_MAX + 1], fd_name[256], fd_names[UNIT_LISTEN_MAX * 256];
	struct unit *socket, *unit;
	struct recipe recipe;
	int listens[UNIT_LISTEN_MAX];
	size_t listen_n;
	int notify_dir, notify;
	struct page *page;
	int page_fd;

	struct sandbox *box;
	int freeze_fd;
	bool freezing, stopping;
	uint64_t freeze_look_ns, memory_ns;
	uint64_t memory_bytes;
};

struct services {
	struct services_options o;
	char run_dir[256], state_dir[256], proxy[256];
	struct svc *svc;
	struct waker *waker;
	struct service *all; /* by svc id */
	uint32_t n;
	int epoll, timer, diag;
	double pressure;
	uint64_t saved_ns, timer_ns;
	bool acting;
};

/* --- service.c --------------------------------------------------------------------------------------- */

void service_say(struct services *s, enum services_say level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Connections that this service has accepted or that are about to be. */
uint32_t service_connections(struct service *v);
/* A sandbox_event_fn; ctx: the service. */
void service_on_box(void *ctx, struct sandbox *box, enum sandbox_event ev, int arg);
/* Carries out what the core has decided. */
void services_act(struct services *s);
/* what: the service's id, for its notify socket. */
int services_watch(struct services *s, int fd, uint32_t what);

/* --- service_load.c ---------------------------------------------------------------------------------- */

void service_clear(struct service *v);

/* --- service_keep.c ---------------------------------------------------------------------------------- */

/* In the fd store, as NAME.what. */
void service_keep(struct service *v, const char *what, int fd);
int service_left(struct service *v, const char *what, int *ret_fd);
void service_keep_box(struct service *v);
void service_unkeep_box(struct service *v);
void service_unkeep_all(struct service *v);
/* The page an earlier daemon left, or a fresh one. */
int service_open_page(struct service *v);
void service_habit_save(struct service *v);
bool service_habit_load(struct service *v, struct svc_habit *ret);
/* What an earlier daemon left running; SVC_COLD when nothing did. */
enum svc_state service_adopt(struct service *v);

#endif
