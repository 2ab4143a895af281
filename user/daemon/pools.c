// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* pools.c - the answer to "pool": what is ready, what was handed out and how soon, what it costs. */
#include "daemon/pools.h"

#include <stdio.h>
#include <string.h>

static void put_quantiles(json_t *o, const char *what, const struct sketch *s)
{
	char key[32];

	if (!sketch_quantile(s, 0.5)) /* none yet */
		return;
	(void)snprintf(key, sizeof(key), "%s_p50_ns", what);
	put_n(o, key, sketch_quantile(s, 0.5));
	(void)snprintf(key, sizeof(key), "%s_p99_ns", what);
	put_n(o, key, sketch_quantile(s, 0.99));
}

static const char *refill_text(const struct pool_figures *f)
{
	bool wanted = false, any = false;

	for (int n = 0; n < SANDBOX_NET_MAX; n++) {
		wanted |= f->parked_n[n] < f->target_n[n];
		any |= f->target_n[n] != 0;
	}
	return f->paused	? "paused"
	       : f->refilling_n ? "filling"
	       : wanted		? "waiting"
	       : any		? "full"
				: "off";
}

static void put_limits(json_t *o, struct cgroup_host *h)
{
	json_t *missing = json_array();
	char text[256] = "none";
	uint64_t bytes;

	if (h)
		cgroup_report(h, text, sizeof(text));
	put_text(o, "limits", text);
	for (int r = 0; r < CGROUP_KILL; r++) /* without it they are killed one by one */
		if (!h || cgroup_can(h, (enum cgroup_resource)r) == CGROUP_NONE)
			(void)json_array_append_new(missing, json_string(cgroup_resource_name(
								     (enum cgroup_resource)r)));
	put_object(o, "unlimited", missing);
	if (h && cgroup_memory_bytes(h, &bytes) == 0)
		put_n(o, "memory_bytes", bytes);
}

static void put_figures(json_t *o, const struct pool_figures *f)
{
	json_t *states = json_object();

	for (int i = SANDBOX_FILLING; i < SANDBOX_STATE_MAX; i++)
		put_n(states, sandbox_state_name((enum sandbox_state)i), f->state_n[i]);
	put_object(o, "states", states);
	put_n(o, "parked_private_n", f->parked_n[SANDBOX_NET_PRIVATE]);
	put_n(o, "parked_host_n", f->parked_n[SANDBOX_NET_HOST]);
	put_n(o, "wanted_private_n", f->target_n[SANDBOX_NET_PRIVATE]);
	put_n(o, "wanted_host_n", f->target_n[SANDBOX_NET_HOST]);
	put_n(o, "filled_n", f->filled_n);
	put_n(o, "handed_out_n", f->handed_out_n);
	put_n(o, "from_parked_n", f->from_parked_n);
	put_n(o, "fresh_n", f->fresh_n);
	put_n(o, "released_n", f->released_n);
	put_n(o, "failed_n", f->failed_n);
	put_n(o, "fill_ns", f->fill_ns_mean);
	put_n(o, "budget_wait_n", f->budget_wait_n);
	put_text(o, "refill", refill_text(f));
	put_bool(o, "paused", f->paused);
	put_quantiles(o, "exec", &f->exec_parked);
	put_quantiles(o, "exec_fresh", &f->exec_fresh);
	put_quantiles(o, "release", &f->release);
}

static json_t *view(const struct pools_row *row)
{
	json_t *o = put_new("pool");
	struct pool_figures f;

	put_text(o, "name", row->name);
	if (row->max_n)
		put_n(o, "max_n", row->max_n);
	if (!row->pool) {
		put_text(o, "none", row->none);
		return o;
	}
	pool_figures(row->pool, &f);
	put_figures(o, &f);
	put_limits(o, row->cgroup);
	if (row->kept_by)
		put_text(o, "kept_by", row->kept_by);
	return o;
}

static int answer(void *ctx, struct api_call *call)
{
	const struct pools *p = ctx;
	int r = 0;

	for (size_t i = 0; i < p->n && r == 0; i++) {
		struct pools_row row = {0};

		p->of[i].say(p->of[i].ctx, &row);
		r = api_put(call, view(&row));
	}
	return r;
}

struct routes_hook pools_hook(struct pools *p)
{
	return (struct routes_hook){"pool", answer, p};
}
