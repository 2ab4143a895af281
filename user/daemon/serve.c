// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * serve.c - wiring of the pool and the services, and what is asked of them.
 *
 * Memory pressure is one number for the services: from the share of memory that is available, and
 * from how long tasks waited for memory lately, whichever is worse.
 */
#include "daemon/serve.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "core/room.h"
#include "daemon/serve_view.h"
#include "sys/service.h"

#include <dirent.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { SERVICE_MAX = 256, START_MAX = 4, REFILL_PERMILLE = 50 };

struct serve {
	struct config config;
	struct fdstore *store;
	struct cgroup_host *cgroup;
	struct pool *pool;
	struct services *services;
	char proxy[CONFIG_PATH_MAX + 96];
};

static void on_say(void *ctx, enum services_say level, const char *text)
{
	static const enum log_level levels[] = {
		[SERVICES_SAY_DEBUG] = LOG_LEVEL_DEBUG,
		[SERVICES_SAY_INFO] = LOG_LEVEL_INFO,
		[SERVICES_SAY_WARN] = LOG_LEVEL_WARN,
		[SERVICES_SAY_ERROR] = LOG_LEVEL_ERROR,
	};

	(void)ctx;
	log_limited(levels[level], "%s", text);
}

static bool has_units(const char *dir)
{
	DIR *d = opendir(dir);
	bool any = false;

	for (struct dirent *e; d && !any && (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');

		any = dot && (strcmp(dot, ".socket") == 0 || strcmp(dot, ".service") == 0);
	}
	if (d)
		(void)closedir(d);
	return any;
}

int serve_open(const struct config *config, struct serve **ret)
{
	char left[CONFIG_PATH_MAX + 16];
	struct serve *s;
	int r;

	(void)snprintf(left, sizeof(left), "%s/fdstore", config->run_dir);
	if (!has_units(config->services_dir) && access(left, F_OK) < 0)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return fault(-ENOMEM);
	s->config = *config;
	r = fdstore_open(config->run_dir, &s->store);
	if (r < 0) {
		log_error("services: no place to keep sockets over a restart: %s", strerror(-r));
		(void)serve_close(s, false);
		return r;
	}
	*ret = s;
	return 0;
}

/* Beside the daemon's own program, or where `make install` puts it. */
static const char *find_proxy(struct serve *s)
{
	char self[CONFIG_PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	(void)snprintf(s->proxy, sizeof(s->proxy), "%s/tools/forewarm-proxy", self);
	if (access(s->proxy, X_OK) < 0)
		(void)snprintf(s->proxy, sizeof(s->proxy), "%s/../libexec/forewarm/forewarm-proxy",
			       self);
	return access(s->proxy, X_OK) < 0 ? NULL : s->proxy;
}

static int open_pool(struct serve *s)
{
	struct cgroup_options c = {.name = s->config.cgroup, .enable_controllers = true};
	struct pool_options p = {.sandbox_max = (uint32_t)s->config.pool_max_n,
				 .refill_permille = REFILL_PERMILLE};
	char report[256];
	int r = cgroup_open(&c, &s->cgroup);

	if (r < 0) {
		log_warn("services: no control groups: %s; nothing is limited or frozen",
			 strerror(-r));
	} else {
		cgroup_report(s->cgroup, report, sizeof(report));
		log_info("services: limits by %s", report);
	}
	p.cgroup = s->cgroup;
	r = pool_new(&p, &s->pool);
	if (r < 0)
		log_error("services: cannot make sandboxes: %s", strerror(-r));
	return r;
}

static int on_pool(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	const struct serve *s = userdata;
	int r = pool_dispatch(s->pool);

	(void)source, (void)fd, (void)revents;
	if (r < 0)
		log_limited(LOG_LEVEL_ERROR, "pool: %s", strerror(-r));
	return 0;
}

static int on_services(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	const struct serve *s = userdata;
	int r = services_dispatch(s->services);

	(void)source, (void)fd, (void)revents;
	if (r < 0)
		log_limited(LOG_LEVEL_ERROR, "services: %s", strerror(-r));
	return 0;
}

static int load(struct serve *s, bool observed)
{
	char state[CONFIG_PATH_MAX + 16];
	struct sysinfo si;
	struct services_options o = {
		.pool = s->pool,
		.cgroup = s->cgroup,
		.fdstore = s->store,
		.limits = {.service_max = SERVICE_MAX,
			   .run_max = (uint32_t)s->config.pool_max_n,
			   .start_max = START_MAX,
			   .memory_max_bytes = UINT64_MAX},
		.freeze_max_ns = s->config.idle_freeze_ns,
		.release_max_ns = s->config.idle_release_ns,
		.run_dir = s->config.run_dir,
		.state_dir = state,
		.proxy = find_proxy(s),
		.observed = observed,
		.say = on_say,
	};
	uint32_t refused_n = 0, parked[SANDBOX_NET_MAX];
	int r;

	if (sysinfo(&si) == 0) /* half of the host: the rest is others' */
		o.limits.memory_max_bytes = (uint64_t)si.totalram * si.mem_unit / 2;
	(void)snprintf(state, sizeof(state), "%s", s->config.state_dir);
	r = services_new(&o, &s->services);
	if (r >= 0)
		r = services_load(s->services, s->config.services_dir, &refused_n);
	if (r < 0) {
		log_error("services: cannot load '%s': %s", s->config.services_dir, strerror(-r));
		return r;
	}
	r = pool_sweep(s->pool);
	if (r > 0)
		log_info("pool: removed %d sandboxes nobody needs any more", r);
	services_parked(s->services, (uint32_t)s->config.pool_parked_n, parked);
	for (int net = 0; net < SANDBOX_NET_MAX; net++)
		pool_target(s->pool, (enum sandbox_net)net, parked[net]);
	log_info("services: %u ready to be asked, %u refused; sockets are kept by the %s",
		 services_n(s->services), refused_n, fdstore_kind(s->store));
	return 0;
}

int serve_start(struct serve *s, sd_event *loop, bool observed)
{
	int r;

	if (!s)
		return 0;
	r = open_pool(s);
	if (r >= 0)
		r = load(s, observed);
	if (r < 0)
		return r;
	r = sd_event_add_io(loop, NULL, pool_fd(s->pool), EPOLLIN, on_pool, s);
	if (r >= 0)
		r = sd_event_add_io(loop, NULL, services_fd(s->services), EPOLLIN, on_services, s);
	if (r < 0)
		log_error("services: cannot join the event loop: %s", strerror(-r));
	return r < 0 ? fault(r) : 0;
}

struct serve *serve_close(struct serve *s, bool keep)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	if (!s)
		return NULL;
	s->services = services_free(s->services, keep);
	s->pool = pool_free(s->pool);
	for (int i = 0; s->cgroup && !keep && i < 100; i++) {
		if (cgroup_remove_base(s->cgroup) <= 0)
			break;
		(void)nanosleep(&pause, NULL); /* the last members still exit */
	}
	s->cgroup = cgroup_close(s->cgroup);
	s->store = fdstore_close(s->store, !keep);
	free(s);
	return NULL;
}

/* --- what comes from the rest of the daemon --------------------------------------------------------- */

bool serve_prestart(struct serve *s, const struct action *a)
{
	return s && s->services && services_predict(s->services, a->name, a->p, a->lead_ns);
}

bool serve_wants(const struct serve *s, const struct obs *o)
{
	/* A connection that is queued is EINPROGRESS to a client that does not wait. */
	return s && s->services && o->kind == OBS_CONNECT && !(o->flags & OBS_F_SEED) &&
	       (o->err == 0 || o->err == EINPROGRESS) && services_has(s->services, o->name);
}

void serve_observe(struct serve *s, const struct obs *o)
{
	(void)services_observe(s->services, o->name, o->ts_ns);
}

void serve_tick(struct serve *s, const struct pressure *p)
{
	if (!s || !s->services)
		return;
	pool_pause(s->pool, room_refill_waits(p));
	services_tick(s->services, room_level(p));
}

/* --- views ----------------------------------------------------------------------------------------------- */

static int answer_services(void *ctx, struct api_call *call)
{
	struct serve *s = *(struct serve **)ctx;
	struct service_view v;
	int r = 0;

	for (uint32_t i = 0; s && s->services && i < services_n(s->services) && r == 0; i++) {
		services_view(s->services, i, &v);
		r = api_put(call, serve_view(&v));
	}
	for (uint32_t i = 0; s && s->services && services_left(s->services, i) && r == 0; i++) {
		json_t *o = put_new("unit");

		put_text(o, "name", services_left(s->services, i)->name);
		put_text(o, "why", services_left(s->services, i)->why);
		r = api_put(call, o);
	}
	return r;
}

/* A refused unit's name has the line: "web.service:3". */
static bool put_left(struct serve *s, struct api_call *call, const char *name)
{
	size_t n = strlen(name);
	bool any = false;

	for (uint32_t i = 0; services_left(s->services, i); i++) {
		const struct service_left *l = services_left(s->services, i);
		json_t *o;

		if (strncmp(l->name, name, n) != 0 || !strchr(":.", l->name[n]))
			continue;
		o = put_new("unit");
		put_text(o, "name", l->name);
		put_text(o, "why", l->why);
		(void)api_put(call, o); /* fails once and for all: the next one says so */
		any = true;
	}
	return any;
}

static bool put_unit(void *ctx, struct api_call *call, const char *name)
{
	struct serve *s = *(struct serve **)ctx;
	struct service_view v;
	json_t *o;

	if (!s || !s->services)
		return false;
	if (!services_find(s->services, name, &v))
		return put_left(s, call, name);
	o = serve_view(&v);
	put_object(o, "moves", serve_view_moves(&v));
	(void)api_put(call, o);
	return true;
}

static bool unit_reaches(void *ctx, const char *name, const char *address)
{
	const struct serve *s = *(struct serve **)ctx;

	return services_reaches(s->services, name, address);
}

struct routes_units serve_units(struct serve **s)
{
	return (struct routes_units){put_unit, unit_reaches, s};
}

void serve_pool(const void *ctx, struct pools_row *ret)
{
	const struct serve *s = *(struct serve *const *)ctx;

	*ret = (struct pools_row){.name = "services", .none = "there are no services"};
	if (!s)
		return;
	ret->max_n = s->config.pool_max_n;
	ret->pool = s->pool;
	ret->cgroup = s->cgroup;
	ret->kept_by = fdstore_kind(s->store);
	if (!s->pool)
		ret->none = "it could not be made";
}

struct routes_hook serve_hook(struct serve **s)
{
	return (struct routes_hook){"services", answer_services, s};
}
