// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * keep.c - the graph's changes each flush, the model now and then, guesses as they end.
 */
#include "daemon/keep.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "core/vomm.h"
#include "store/store.h"

#include <limits.h>
#include <string.h>
#include <time.h>

struct keep {
	struct store *store;
	struct vomm_limits model;
	int64_t wall_offset_ns;
	uint64_t guess_seen; /* newest guess that was stored as ended, or is older */
	time_t model_s;
};

struct bytes {
	char *data;
	size_t used_n, max_n;
};

static int bytes_read(void *ctx, void *to, size_t len)
{
	struct bytes *b = ctx;

	if (len > b->max_n - b->used_n)
		return fault(-ENODATA);
	memcpy(to, b->data + b->used_n, len);
	b->used_n += len;
	return 0;
}

static int bytes_write(void *ctx, const void *from, size_t len)
{
	struct bytes *b = ctx;

	if (len > b->max_n - b->used_n) {
		size_t max_n = 2 * b->max_n + len;
		char *data = realloc(b->data, max_n);

		if (!data)
			return fault(-ENOMEM);
		b->data = data;
		b->max_n = max_n;
	}
	memcpy(b->data + b->used_n, from, len);
	b->used_n += len;
	return 0;
}

static void load_model(struct keep *k, struct engine *e, void *state, size_t n)
{
	struct bytes b = {.data = state, .max_n = n};
	struct vomm *v = NULL;
	int r = vomm_load(&k->model, bytes_read, &b, &v);

	if (r == 0)
		engine_model_replace(e, v);
	else
		log_warn("store: the kept model does not fit this version or its limits, "
			 "learning it anew");
}

int keep_open(const struct config *config, struct engine *e, struct keep **ret)
{
	char path[CONFIG_PATH_MAX + 16], aside[PATH_MAX] = "";
	struct keep *k = calloc(1, sizeof(*k));
	_cleanup_(freep) void *state = NULL;
	size_t state_n = 0;
	int r;

	if (!k)
		return fault(-ENOMEM);
	k->model.bytes_max = config->limits.model_bytes_max;
	snprintf(path, sizeof(path), "%s/forewarm.db", config->state_dir);
	r = store_open(path, aside, &k->store);
	if (r == STORE_SET_ASIDE)
		log_warn("store: '%s' could not be used and was kept as '%s'; starting fresh", path,
			 aside);
	if (r >= 0)
		r = store_load(k->store, engine_graph(e), &state, &state_n);
	if (r < 0) {
		log_error("store: cannot open '%s': %s", path,
			  k->store ? store_message(k->store) : strerror(-r));
		k->store = store_close(k->store);
		free(k);
		return r;
	}
	if (state)
		load_model(k, e, state, state_n);
	*ret = k;
	return 0;
}

static int put_graph(struct keep *k, struct graph *g)
{
	struct graph_change c;
	int r = 0;

	while (r == 0 && graph_next_change(g, &c)) {
		if (c.node && c.removed)
			r = store_del_node(k->store, c.node->kind, c.node->name);
		else if (c.node)
			r = store_put_node(k->store, c.node);
		else if (!c.removed)
			r = store_put_edge(k->store, c.edge, graph_node_const(g, c.edge->from),
					   graph_node_const(g, c.edge->to));
	}
	return r;
}

static int put_guesses(struct keep *k, struct engine *e, uint64_t wall_offset_ns)
{
	const struct graph *g = engine_graph_const(e);
	uint64_t it = 0, newest = k->guess_seen;
	const struct guess *guess;
	int r = 0;

	while (r == 0 && engine_next_guess(e, &it, &guess) && guess->id > k->guess_seen) {
		const struct node *block = graph_node_const(g, guess->block),
				  *via = graph_node_const(g, guess->via),
				  *dep = graph_node_const(g, guess->dep);

		if (guess->id > newest)
			newest = guess->id;
		if (block && via && dep && guess->outcome != OUTCOME_OPEN && guess->acted)
			r = store_put_guess(k->store, guess, block->name, via->name, dep->name,
					    guess->made_ns + wall_offset_ns);
	}
	k->guess_seen = newest;
	return r;
}

static void put_model(struct keep *k, struct engine *e)
{
	struct bytes b = {0};

	if (vomm_save(engine_model(e), bytes_write, &b) == 0)
		(void)store_put_model(k->store, b.data, b.used_n);
	free(b.data);
}

static void flush(struct keep *k, struct engine *e, bool model)
{
	struct timespec mono, wall;
	uint64_t offset;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	offset = (uint64_t)(wall.tv_sec - mono.tv_sec) * 1000000000ull +
		 (uint64_t)(wall.tv_nsec - mono.tv_nsec);
	r = store_begin(k->store);
	if (r >= 0)
		r = put_graph(k, engine_graph(e));
	if (r >= 0)
		r = put_guesses(k, e, offset);
	if (r >= 0 && model) {
		put_model(k, e);
		k->model_s = mono.tv_sec;
	}
	if (r >= 0)
		r = store_commit(k->store);
	if (r < 0) {
		log_limited(LOG_LEVEL_ERROR, "store: %s", store_message(k->store));
		store_rollback(k->store);
	}
}

void keep_flush(struct keep *k, struct engine *e)
{
	struct timespec mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	flush(k, e, mono.tv_sec - k->model_s >= KEEP_MODEL_S);
}

struct keep *keep_close(struct keep *k, struct engine *e)
{
	if (!k)
		return NULL;
	flush(k, e, true);
	k->store = store_close(k->store);
	free(k);
	return NULL;
}

uint64_t keep_bytes(struct keep *k)
{
	return store_bytes(k->store);
}
