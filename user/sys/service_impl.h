/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * service_impl.h - what the service*.c share; nobody else includes it.
 *
 * Shape    service.c carries out what the core decides. service_ask.c: what is asked of it.
 *          service_load.c: from files to services. service_keep.c: what outlives the daemon, and finding
 *          it. service_start.c: recipes, all of a unit that can be settled when it is loaded, so that a
 *          start is short; with service_env.c and service_dirs.c, what is made anew at each start.
 *          service_run.c: its commands, one after the other, from ExecStartPre= to the last signal.
 *          service_down.c: an idle one rests, is stopped or frozen.
 */
#ifndef SYS_SERVICE_IMPL_H
#define SYS_SERVICE_IMPL_H

#include "core/unitfile.h"
#include "sys/rest.h"
#include "sys/sandbox.h"
#include "sys/service.h"

enum {
	RECIPE_GROUP_MAX = 64,
	RECIPE_MOUNT_MAX = 48,
	RECIPE_TEXT_MAX = 256 * 1024,
	UNIT_SOCKET_MAX = 8,
	SERVICES_LEFT_MAX = 32,
};

/* A service and the sockets that lead to it. */
struct unit_group {
	char name[UNIT_NAME_MAX + 1]; /* of the service */
	struct unit *unit, *sockets[UNIT_SOCKET_MAX];
	size_t socket_n;
};

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
	size_t mount_n, late_n;		   /* the last late_n come after what is in dir_paths */
	char *dir_paths[RECIPE_MOUNT_MAX]; /* of RuntimeDirectory= and so on, to be mounted too */
	size_t dir_n;
	struct sandbox_rlimit rlimits[UNIT_LIMIT_MAX];
	size_t rlimit_n;
	char proxy_path[256], proxy_to[160];
};

/* What a recipe is made with. */
struct recipe_host {
	int notify_dir;	   /* bound into the sandbox */
	const char *proxy; /* path of the proxy's program or NULL */
	/* Something will be otherwise than the unit says. */
	void (*say)(void *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
	void *ctx;
};

/* UNIT_REFUSED: *ret_why says what the host does not have. */
int recipe_make(struct recipe *r, const struct unit *u, const struct recipe_host *host,
		struct unit_why *ret_why);
void recipe_clear(struct recipe *r);

/* One of a unit's commands. */
struct recipe_run {
	const struct unit_exec *exec;
	enum unit_phase phase;
	bool first;	    /* in its sandbox */
	const int *listens; /* for UNIT_START */
	size_t listen_n;
	const char *listen_names;
	int main_pid; /* inside, for $MAINPID; 0: none yet */
};
typedef int (*recipe_fn)(void *ctx, const struct sandbox_command *c);
/* Calls fn with the command, which lasts as long as the call; < 0 or what fn returns. */
int recipe_run(const struct recipe *r, const struct recipe_run *run, recipe_fn fn, void *ctx);

/* --- service_env.c ----------------------------------------------------------------------------------- */

enum { SERVICE_ENV_MAX = 512 };

struct service_env {
	char *text; /* RECIPE_TEXT_MAX bytes, of the caller */
	size_t text_n;
	const char *items[SERVICE_ENV_MAX + 1];
	size_t item_n;
};

int service_env_make(const struct recipe *r, struct service_env *e);
/* The last assignment of a name wins. */
int service_env_put(struct service_env *e, const char *assignment);

/* --- service_dirs.c ---------------------------------------------------------------------------------- */

struct service;
const char *service_dir_base(enum unit_dir d);
const char *service_dir_variable(enum unit_dir d);
/* Their paths into the recipe. */
int service_dirs_plan(struct recipe *r, struct unit_why *ret_why);
/* Makes them; ret_fds gets one for each path of the recipe, ret_n how many, on failure too. */
int service_dirs_make(const struct recipe *r, int ret_fds[RECIPE_MOUNT_MAX], size_t *ret_n);
/* Those that do not outlive a stop. */
void service_dirs_remove(const struct service *v);

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
	char name[UNIT_NAME_MAX + 1], fd_names[UNIT_LISTEN_MAX * 256];
	struct unit_group units;
	const struct unit *unit; /* the service of these */
	struct recipe recipe;
	int listens[UNIT_LISTEN_MAX];
	const struct unit_addr *addrs[UNIT_LISTEN_MAX]; /* what each is bound to */
	size_t listen_n;
	int notify_dir, notify;
	struct page *page;
	int page_fd;

	struct sandbox *box;
	enum unit_phase phase; /* of the command that runs, or ran last */
	size_t exec_i;	       /* which of them */
	int freeze_fd;
	bool freezing, stopping;
	bool thaw_due;	/* for a guess: at the end of the next services_dispatch() */
	bool failed;	/* it is released for what it did, not for our sake */
	int rest_fd;	/* pidfd of one that is waited for when the main process has ended */
	bool side;	/* one of ExecStartPost=, ExecStop= runs beside it */
	bool main_gone; /* ExecStart= has ended */
	/* Of one that rests: its mark when looked at last, and when it lay down. */
	struct rest_mark rest, rest_first;
	uint64_t rest_since_ns, rest_look_ns, rest_wait_ns;
	/* The thread whose timeout is to be put off, and when it has been, how often it had run. */
	pid_t lull_pid, lull_tid;
	uint64_t lull_runs, thawed_ns; /* 0: it has not been */
	uint32_t lull_fail_n;	       /* in a row */
	bool never_lull;
	uint64_t restless_until_ns, restless_ns; /* it ran too much to rest: until when, how long */
	uint64_t freeze_look_ns, memory_ns;
	uint64_t memory_bytes;
	uint64_t watchdog_at_ns; /* when it must have said WATCHDOG=1; SVC_NEVER: need not */
	bool abandoned;		 /* it has not, and was told to end */
	char trouble[160];	 /* the last that went wrong */
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
	bool acting, dispatching;
	struct service_left left[SERVICES_LEFT_MAX]; /* the first ones */
	size_t left_n;
};

/* --- service.c --------------------------------------------------------------------------------------- */

void service_say(struct services *s, enum services_say level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A warning that begins with its name, and that its view shows until it is well again. */
void service_trouble(struct service *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Its time until the next WATCHDOG=1 begins, or ends. */
void service_watchdog(struct service *v, bool on);
/* Whether something waits at one of its sockets. */
bool service_is_awaited(const struct service *v);
/* Connections that this service has accepted or that are about to be. */
uint32_t service_connections(struct service *v);
/* The same, and one more for what may not be disturbed for another reason. */
uint32_t service_uses(struct service *v);
void service_tell(struct service *v, struct svc_event e);
void service_watch(struct service *v, enum svc_watch watch);
/* What they all weigh together is set; one that has begun or ended. */
void services_weigh(struct services *s);
/* What the waker's thread has seen and done. */
void services_take_notes(struct services *s);
/* Carries out what the core has decided. */
void services_act(struct services *s);
/* In epoll's data, with a service's id: its rest_fd; its main process has ended. */
#define SERVICES_ON_REST 0x40000000u
#define SERVICES_ON_END 0x20000000u
/* what: the service's id, for its notify socket; events: of epoll. */
int services_watch(struct services *s, int fd, uint32_t what, uint32_t events);

/* --- service_down.c ---------------------------------------------------------------------------------- */

/* Rests, is stopped or frozen, whatever is mildest; it may not have taken effect yet. */
int service_put_down(struct service *v);
/* It has. False: not yet, or it is put down in another way now. */
bool service_is_down(struct service *v);
/* What rests may accept while its end is decided: first it is stopped or frozen. False: not at once, or
 * somebody has connected. */
bool service_pin(struct service *v);
/* It is not to rest for a while. */
bool service_is_restless(const struct service *v);
/* Its end is known from its init. If that was frozen meanwhile, it is to be thawed. */
void service_watch_end(struct service *v);
void service_ended(struct service *v);
/* What an earlier daemon has begun with its timeouts is undone. */
void service_mend(struct service *v);
/* From time to time: has it run? */
void service_look_resting(struct service *v);

/* --- service_run.c ----------------------------------------------------------------------------------- */

/* A sandbox_event_fn; ctx: the service. */
void service_on_box(void *ctx, struct sandbox *box, enum sandbox_event ev, int arg);
void service_start(struct service *v);
/* It is ready, unless ExecStartPost= is still to be run. */
void service_is_ready(struct service *v);
void service_stop(struct service *v, enum svc_end how);
/* The main process has ended at our word: the others got it too, or are to end by themselves, and are given
 * their time. */
void service_rest(struct service *v);
/* KillMode=process, and somebody else than the main process runs: neither to be stopped nor ended. */
bool service_has_left(const struct service *v);

/* --- service_load.c ---------------------------------------------------------------------------------- */

/* Of no unit yet, and with no descriptor open. */
struct service service_none(struct services *s);
void service_clear(struct service *v);
void services_add_left(struct services *s, const char *name, const char *why);

/* --- service_read.c ---------------------------------------------------------------------------------- */

/* g may be taken: cleared by who takes it. UNIT_REFUSED: said why. */
typedef int (*unit_group_fn)(struct services *s, struct unit_group *g);
void unit_group_clear(struct unit_group *g);
int unit_groups_read(struct services *s, const char *dir, unit_group_fn fn, uint32_t *refused_n);

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
