// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* runs.c - wiring of the pool behind `forewarm run`. */
#include "daemon/runs.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "core/room.h"
#include "sys/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
	RUNS_PARKED = 2,
	REFILL_PERMILLE = 50, /* of one core, in the background */
	TASKS_MAX = 4096,     /* of one command: a fork bomb ends there */
};
#define IDLE_NS (600ull * 1000 * 1000 * 1000)

struct runs {
	char group[CONFIG_NAME_MAX + 8];
	uint32_t max;
	sd_event *loop;
	struct cgroup_host *cgroup;
	struct pool *pool;
	struct run_server *server;
	sd_event_source *sources[2];
	uint64_t used_ns; /* 0: since the last tick */
};

int runs_new(const struct config *config, struct runs **ret)
{
	struct runs *r = calloc(1, sizeof(*r));

	if (!r)
		return fault(-ENOMEM);
	(void)snprintf(r->group, sizeof(r->group), "%s-run", config->cgroup);
	r->max = (uint32_t)config->pool_max_n;
	*ret = r;
	return 0;
}

void runs_start(struct runs *r, sd_event *loop)
{
	r->loop = loop;
}

static int on_pool(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	const struct runs *r = userdata;
	int err = pool_dispatch(r->pool);

	(void)s, (void)fd, (void)revents;
	if (err < 0)
		log_limited(LOG_LEVEL_ERROR, "run: pool: %s", strerror(-err));
	return 0;
}

static int on_server(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	const struct runs *r = userdata;

	(void)s, (void)fd, (void)revents;
	run_server_dispatch(r->server);
	return 0;
}

static void shut(struct runs *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->sources); i++)
		r->sources[i] = sd_event_source_unref(r->sources[i]);
	r->server = run_server_free(r->server);
	r->pool = pool_free(r->pool);
	if (r->cgroup && cgroup_remove_base(r->cgroup))
		log_warn("run: control groups '%s' are left, ignoring", r->group);
	r->cgroup = cgroup_close(r->cgroup);
}

static int open_up(struct runs *r)
{
	struct cgroup_limits limits = {.tasks_max = TASKS_MAX};
	struct cgroup_options c = {.name = r->group, .enable_controllers = true};
	struct pool_options p = {.sandbox_max = r->max,
				 .refill_permille = REFILL_PERMILLE,
				 .parked_target = {RUNS_PARKED, RUNS_PARKED}};
	struct sysinfo si;
	int err;

	if (r->server)
		return 0;
	if (sysinfo(&si) == 0) /* half of the host: the rest is others' */
		limits.memory_max_bytes = (uint64_t)si.totalram * si.mem_unit / 2;
	p.limits = limits;
	err = cgroup_open(&c, &r->cgroup);
	if (err < 0)
		log_warn("run: no control groups: %s; nothing is limited", strerror(-err));
	p.cgroup = r->cgroup;
	err = pool_new(&p, &r->pool);
	if (err >= 0)
		(void)pool_sweep(r->pool); /* what a daemon that was killed left */
	if (err >= 0)
		err = run_server_new(r->pool, NULL, &r->server);
	if (err >= 0)
		err = sd_event_add_io(r->loop, &r->sources[0], pool_fd(r->pool), EPOLLIN, on_pool,
				      r);
	if (err >= 0)
		err = sd_event_add_io(r->loop, &r->sources[1], run_server_fd(r->server), EPOLLIN,
				      on_server, r);
	if (err < 0) {
		log_error("run: cannot make sandboxes: %s", strerror(-err));
		shut(r);
		return err;
	}
	return 0;
}

struct runs *runs_free(struct runs *r)
{
	if (r) {
		shut(r);
		free(r);
	}
	return NULL;
}

void runs_tick(struct runs *r, uint64_t now_ns, const struct pressure *p)
{
	if (!r->server)
		return;
	pool_pause(r->pool, room_refill_waits(p));
	if (run_server_sessions(r->server) || !r->used_ns)
		r->used_ns = now_ns;
	else if (now_ns - r->used_ns > IDLE_NS)
		shut(r);
}

static int answer(void *ctx, struct api_call *call)
{
	struct runs *r = ctx;
	int channel = api_take_fd(call, 0), err;

	if (channel < 0)
		return api_fail(call, FWM_STATUS_USAGE, "a channel must come with the request");
	err = r->loop ? open_up(r) : fault(-EAGAIN);
	if (err < 0) {
		(void)close(channel);
		return api_fail(call, FWM_STATUS_FAILED, "no sandbox: %s", strerror(-err));
	}
	r->used_ns = 0;
	err = run_server_add(r->server, channel, call->uid, call->gid);
	if (err > 0)
		return api_fail(call, FWM_STATUS_FORBIDDEN, "the channel is somebody else's");
	if (err < 0)
		return api_fail(call, FWM_STATUS_FAILED, "no sandbox: %s", strerror(-err));
	return 0;
}

void runs_pool(const void *ctx, struct pools_row *ret)
{
	const struct runs *r = ctx;

	*ret = (struct pools_row){.name = "run",
				  .max_n = r->max,
				  .pool = r->pool,
				  .cgroup = r->cgroup,
				  .none = "made at the first 'forewarm run'"};
}

struct routes_hook runs_hook(struct runs *r)
{
	return (struct routes_hook){"run", answer, r};
}
