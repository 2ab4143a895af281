// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * replay.c - what the daemon's event loop does, without time: the next thing that happens is the
 * earliest of a tick, a result on its way, and the observation that was handed in.
 */
#include "core/replay.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/heap.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define TICK_NS (250ull * 1000 * 1000) /* the daemon's */
enum { GAP_TICKS_MAX = 240 };

struct pending {
	uint64_t guess_id, bytes, took_ns;
	bool now;
	uint32_t next_free;
};

struct replay {
	struct engine *engine;
	struct replay_host host;
	struct pending *pending; /* slots 1..pending_max; the heap's values */
	uint32_t pending_max, free_head;
	struct heap done; /* by the time it is done */
	uint64_t now_ns, next_tick_ns;
	bool started;
	struct replay_stats stats;
};

DEFINE_CLEANUP(struct replay *, replay_free)

struct replay_host replay_host_default(void)
{
	return (struct replay_host){.latency_ns = 100000,
				    .bytes_per_s = 2000000000,
				    .mem_available_bytes = 8ull << 30,
				    .mem_total_bytes = 16ull << 30};
}

struct engine_limits replay_limits_default(void)
{
	return (struct engine_limits){
		.graph = {.node_max = 12288,
			  .edge_max = 20480,
			  .use_max = 4096,
			  .text_bytes_max = 1536 << 10},
		.model_bytes_max = 4 << 20,
		.process_max = 4096,
		.guess_max = 6144,
	};
}

struct plan_policy replay_policy_default(void)
{
	return (struct plan_policy){.p_min = 0.25,
				    .bytes_per_s_max = 256ull << 20,
				    .bytes_inflight_max = 64ull << 20,
				    .io_some_max = 30,
				    .mem_some_max = 5,
				    .mem_available_min = 0.1,
				    .recheck_ns = 1000000000,
				    .act = true};
}

int replay_new(const struct engine_limits *limits, const struct plan_policy *policy,
	       const struct replay_host *host, struct replay **ret)
{
	_cleanup_(replay_freep) struct replay *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return fault(-ENOMEM);
	r->host = *host;
	r->pending_max = limits->guess_max;
	r->pending = calloc(r->pending_max + 1ull, sizeof(*r->pending));
	if (!r->pending)
		return fault(-ENOMEM);
	for (uint32_t i = 1; i < r->pending_max; i++)
		r->pending[i].next_free = i + 1;
	r->free_head = 1;
	err = heap_init(&r->done, r->pending_max);
	if (err < 0)
		return err;
	err = engine_new(limits, policy, &r->engine);
	if (err < 0)
		return err;
	*ret = TAKE_PTR(r);
	return 0;
}

struct replay *replay_free(struct replay *r)
{
	if (!r)
		return NULL;
	r->engine = engine_free(r->engine);
	heap_fini(&r->done);
	free(r->pending);
	free(r);
	return NULL;
}

/* A decision becomes part of the digest by its values, never by the bytes of a struct: those have
 * padding and pointers. */
static void digest(struct replay *r, const struct action *a)
{
	uint64_t p;
	uint64_t fields[6];

	memcpy(&p, &a->p, sizeof(p));
	fields[0] = (uint64_t)a->kind;
	fields[1] = r->now_ns;
	fields[2] = p;
	fields[3] = a->bytes;
	fields[4] = a->deadline_ns;
	fields[5] = a->uid;
	r->stats.digest = XXH64(fields, sizeof(fields), r->stats.digest); /* chained by the seed */
	if (a->name)
		r->stats.digest = XXH64(a->name, strlen(a->name), r->stats.digest);
}

static int result(struct replay *r, const struct pending *p, int err)
{
	return engine_result(r->engine, &(struct action_result){.guess_id = p->guess_id,
								.err = err,
								.now = p->now,
								.bytes_read = err ? 0 : p->bytes,
								.bytes_planned = p->bytes,
								.done_ns = r->now_ns,
								.took_ns = p->took_ns});
}

static int carry_out(struct replay *r, const struct action *a)
{
	struct pending want = {
		.guess_id = a->guess_id, .bytes = a->bytes, .now = a->priority == WANT_NOW};
	uint32_t slot = r->free_head;
	struct pending *p;

	if (!a->name)
		return 0; /* what is on its way comes back, as from a real disk */
	if (a->kind == ACTION_PRESTART)
		return result(r, &want, ENOENT); /* it holds no service */
	if (!slot)
		return result(r, &want, ECANCELED);
	p = &r->pending[slot];
	r->free_head = p->next_free;
	*p = want;
	if (a->kind != ACTION_WARM)
		p->bytes = 0;
	p->took_ns = r->host.latency_ns;
	if (r->host.bytes_per_s)
		p->took_ns += (uint64_t)((double)p->bytes * 1e9 / (double)r->host.bytes_per_s);
	(void)heap_push(&r->done, r->now_ns + p->took_ns,
			slot); /* a slot was free: there is room */
	return 0;
}

static int step(struct replay *r)
{
	struct action a;
	int err = 0;

	while (err >= 0 && engine_next_action(r->engine, &a)) {
		digest(r, &a);
		r->stats.actions_n[a.kind]++;
		err = carry_out(r, &a);
	}
	return err;
}

static int tick(struct replay *r)
{
	struct pressure p = {.mem_available_bytes = r->host.mem_available_bytes,
			     .mem_total_bytes = r->host.mem_total_bytes};

	r->next_tick_ns += TICK_NS;
	r->stats.ticks_n++;
	return engine_tick(r->engine, r->now_ns, &p, NULL);
}

static int come_back(struct replay *r)
{
	struct pending p;
	uint64_t key, slot;

	(void)heap_pop(&r->done, &key, &slot);
	p = r->pending[slot];
	r->pending[slot].next_free = r->free_head;
	r->free_head = (uint32_t)slot;
	return result(r, &p, 0);
}

/* Everything that happens up to to_ns. */
static int advance(struct replay *r, uint64_t to_ns)
{
	unsigned ticks = 0;
	int err = 0;

	while (err >= 0) {
		uint64_t done_ns = UINT64_MAX, due_ns = engine_due_ns(r->engine), slot;
		bool back = heap_peek(&r->done, &done_ns, &slot) && done_ns <= r->next_tick_ns;
		uint64_t next_ns = back ? done_ns : r->next_tick_ns;
		bool due = due_ns && due_ns < next_ns;

		next_ns = due ? due_ns : next_ns;
		if (next_ns > to_ns)
			break;
		r->now_ns = next_ns > r->now_ns ? next_ns : r->now_ns;
		if (!back && !due && ++ticks > GAP_TICKS_MAX) {
			r->next_tick_ns = to_ns + TICK_NS;
			continue;
		}
		err = due    ? engine_tick(r->engine, r->now_ns, NULL, NULL)
		      : back ? come_back(r)
			     : tick(r);
		if (err >= 0)
			err = step(r);
	}
	if (to_ns > r->now_ns)
		r->now_ns = to_ns;
	return err;
}

int replay_observe(struct replay *r, const struct obs *o)
{
	int err;

	if (!r->started) {
		r->started = true;
		r->now_ns = r->stats.first_ns = o->ts_ns;
		r->next_tick_ns = o->ts_ns + TICK_NS;
	}
	err = advance(r, o->ts_ns); /* one that comes late changes nothing here */
	if (err < 0)
		return err;
	err = engine_observe(r->engine, o);
	if (err < 0)
		return err;
	r->stats.obs_n++;
	if (o->ts_ns > r->stats.last_ns)
		r->stats.last_ns = o->ts_ns;
	return step(r);
}

int replay_pass(struct replay *r, uint64_t ns)
{
	return r->started ? advance(r, r->now_ns + ns) : 0;
}

struct engine *replay_engine(struct replay *r)
{
	return r->engine;
}

uint64_t replay_now_ns(const struct replay *r)
{
	return r->now_ns;
}

void replay_stats(const struct replay *r, struct replay_stats *ret)
{
	*ret = r->stats;
}
