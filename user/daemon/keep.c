// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * keep.c - the graph's changes each flush, the model now and then, guesses as they end.
 */
#include "daemon/keep.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/huge.h"
#include "base/log.h"
#include "core/vomm.h"
#include "store/store.h"
#include "store/writer.h"

#include <limits.h>
#include <string.h>
#include <time.h>

/* A flush is some hundred changes of 300 bytes on a busy host; a compile's first run some thousand. */
#define BATCH_BYTES (256 * 1024)
#define BATCHES_MAX 4
/* Of a model's state, beside what it is in memory. */
#define HEAD_BYTES 4096
#define PAGE_BYTES 4096 /* no host has smaller ones */
/* For one queue, at the end. */
#define CLOSE_WAIT_MS 5000
/* Of the guesses about which nothing was done, so many newest ones are put at a flush: there can be thousands. */
#define UNDONE_MAX 8
#define GUESSES_LOADED_MAX 1024

struct bytes {
	char *data;
	size_t used_n, max_n;
};

struct keep {
	struct store *store;
	struct writer *writer;
	struct layers *layers;
	struct vomm_limits model;
	uint64_t ended_id; /* the guess that had ended last when they were put */
	uint64_t guess_it,
		newest_id; /* where that goes on, when there was no room for all; and its first */
	uint64_t model_ns; /* when the model was put */
	uint64_t scores_ns, counts_ns; /* and when scores were, and all that changed in the graph */
	uint64_t observed_n;	       /* what the model had learnt then */
	uint64_t ranges_ns;	       /* when ranges were put */
	uint32_t *scored; /* by graph id of a block: what its score came to when it was put */
	size_t scored_n;
	bool graph_waits;   /* not all of it had room the last time */
	bool again;	    /* all that is in memory is to be put again */
	size_t part;	    /* of the flush under way, where it goes on; 0: there is none */
	struct bytes state; /* of the model, while room for it is made ready */
	size_t state_ready_n;
	uint32_t
		score_at; /* the node whose score was looked at last, while that part is under way */
	uint8_t packed[RANGES_PACK_MAX];
	uint64_t kept_id; /* the last guess of those that were loaded */
	struct writer_stats said;
};

/* What came of a part of a flush. */
enum put {
	PUT_ALL,
	PUT_NO_ROOM, /* the rest stays marked where it is, and goes at the next flush */
	PUT_PAUSED,  /* the same, and goes on soon */
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

static void load_ranges(void *ctx, uint32_t block, uint32_t file, const void *bytes, size_t n)
{
	(void)engine_restore_ranges(ctx, block, file, bytes,
				    n); /* no ranges: they are learnt anew */
}

static void load_block_score(void *ctx, uint32_t block, const struct block_score *score)
{
	engine_restore_block_score(ctx, block, score);
}

struct guess_loading {
	struct engine *engine;
	uint64_t id, wall_offset_ns;
};

/* Times before the host's start are there modulo 2^64, so that their differences are right. */
static void load_guess(void *ctx, const struct guess *kept)
{
	struct guess_loading *l = ctx;
	struct guess g = *kept;
	uint64_t *const times[] = {&g.made_ns, &g.deadline_ns, &g.acted_ns, &g.done_ns,
				   &g.ended_ns};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (*times[i])
			*times[i] -= l->wall_offset_ns;
	l->id = engine_restore_guess(l->engine, &g);
}

static int load_guesses(struct keep *k, struct engine *e, uint32_t guess_max)
{
	struct guess_loading l = {.engine = e,
				  .wall_offset_ns =
					  clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC)};
	int r = store_load_guesses(k->store, engine_graph(e),
				   guess_max / 2 < GUESSES_LOADED_MAX ? guess_max / 2
								      : GUESSES_LOADED_MAX,
				   load_guess, &l);

	k->kept_id = l.id;
	return r;
}

static void load_image(void *ctx, const char *name, const char *text, uint64_t seen_ns)
{
	layers_restore(ctx, &(struct layers_kept){name, text, seen_ns});
}

static uint64_t model_observed(struct engine *e)
{
	struct vomm_stats stats;

	vomm_stats(engine_model(e), &stats);
	return stats.observed_n;
}

/* The file is a fresh one: all that is in memory goes into it. */
static void put_all_again(struct keep *k, struct engine *e)
{
	graph_changed_all(engine_graph(e));
	ranges_changed_all(engine_ranges(e));
	layers_changed(k->layers, NULL);
	memset(k->scored, 0, k->scored_n * sizeof(*k->scored));
	k->ended_id = k->kept_id = k->guess_it = k->observed_n = 0;
	k->again = true;
}

/* The file that was set aside, and what now begins. */
static void tell_aside(const char *aside)
{
	log_warn("store: the database could not be used any more and was kept as '%s'; what is in "
		 "memory goes into a fresh one",
		 aside);
}

/* What of the file could be read, into the engine; what was found corrupt then is set aside. */
static int load(struct keep *k, struct engine *e, uint32_t guess_max, void **ret_model,
		size_t *ret_model_n)
{
	struct graph *g = engine_graph(e);
	struct score score;
	int r = store_load(k->store, g, ret_model, ret_model_n);

	if (r >= 0)
		r = store_load_ranges(k->store, g, load_ranges, e);
	if (r >= 0)
		r = store_load_scores(k->store, g, load_block_score, e, &score);
	if (r >= 0)
		engine_restore_score(e, &score);
	if (r >= 0)
		r = load_guesses(k, e, guess_max);
	if (r >= 0)
		r = store_load_images(k->store, load_image, k->layers);
	if (r >= 0)
		engine_restored(e);
	return r;
}

int keep_open(const struct config *config, struct engine *e, struct layers *l, struct keep **ret)
{
	char path[CONFIG_PATH_MAX + 16], aside[PATH_MAX] = "";
	struct keep *k = calloc(1, sizeof(*k));
	_cleanup_(freep) void *state = NULL;
	size_t state_n = 0;
	bool afresh;
	int r;

	if (k) {
		k->scored_n = (size_t)config->limits.graph.node_max + 1;
		k->scored = calloc(k->scored_n, sizeof(*k->scored));
	}
	if (!k || !k->scored) {
		free(k);
		return fault(-ENOMEM);
	}
	k->layers = l;
	k->model.bytes_max = config->limits.model_bytes_max;
	snprintf(path, sizeof(path), "%s/forewarm.db", config->state_dir);
	r = store_open(path, aside, &k->store);
	if (r == STORE_SET_ASIDE)
		log_warn("store: '%s' could not be used and was kept as '%s'; starting fresh", path,
			 aside);
	if (r >= 0)
		r = load(k, e, config->limits.guess_max, &state, &state_n);
	afresh = r >= 0 && strcmp(store_aside(k->store), aside) != 0;
	if (afresh)
		tell_aside(store_aside(k->store));
	if (r >= 0)
		r = writer_start(k->store,
				 &(struct writer_limits){.batch_max = BATCHES_MAX,
							 .batch_bytes = BATCH_BYTES},
				 &k->writer);
	if (r < 0) {
		log_error("store: cannot open '%s': %s", path,
			  k->store ? store_message(k->store) : strerror(-r));
		k->store = store_close(k->store);
		free(k->scored);
		free(k);
		return r;
	}
	if (state)
		load_model(k, e, state, state_n);
	k->observed_n = model_observed(e);
	if (afresh)
		put_all_again(k, e);
	huge_ask(engine_model(e), vomm_bytes(engine_model(e)));
	k->model_ns = k->ranges_ns = k->scores_ns = k->counts_ns = clock_ns(CLOCK_MONOTONIC);
	*ret = k;
	return 0;
}

static enum put put_graph(struct keep *k, struct graph *g, bool counts, const struct pause *pause)
{
	struct graph_change c;

	while (writer_room(k->writer)) {
		if (!(counts ? graph_next_change(g, &c) : graph_next_news(g, &c)))
			return PUT_ALL;
		writer_put_change(k->writer, g, &c);
		if (pause_wanted(pause))
			return PUT_PAUSED;
	}
	return PUT_NO_ROOM;
}

/* Which parts of files are used. */
static enum put put_ranges(struct keep *k, struct engine *e, const struct pause *pause)
{
	const struct graph *g = engine_graph_const(e);
	struct ranges *ranges = engine_ranges(e);
	uint32_t block, file;

	while (writer_room(k->writer)) {
		const struct node *b, *f;
		size_t n;

		if (!ranges_next_change(ranges, &block, &file))
			return PUT_ALL;
		b = graph_node_const(g, block);
		f = graph_node_const(g, file);
		if (!b || !f || b->kind != NODE_BLOCK || f->kind != NODE_FILE ||
		    ranges_pack(ranges, block, file, k->packed, sizeof(k->packed), &n) != 0)
			continue; /* the graph let go of it */
		if (!writer_room_ranges(k->writer, n)) {
			ranges_changed(ranges, block, file);
			return PUT_NO_ROOM;
		}
		writer_put_ranges(k->writer, b, f, k->packed, n);
		if (pause_wanted(pause))
			return PUT_PAUSED;
	}
	return PUT_NO_ROOM;
}

/* Was something done about it that changed anything? */
static bool was_done(const struct guess *g)
{
	return g->acted && !g->resident && g->outcome != OUTCOME_DROPPED;
}

/* Those that have ended since the last flush, from the newest on: all about which something was done, some of the
 * others. What a program needs is guesses of its own, so that nothing is done about a program says nothing. False when
 * some are left for the next time. */
static bool put_guesses(struct keep *k, struct engine *e)
{
	const uint64_t wall_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	const struct graph *g = engine_graph_const(e);
	bool rest = k->guess_it != 0;
	uint64_t it = k->guess_it;
	const struct guess *guess;
	unsigned undone_n = 0;

	if (!rest)
		k->newest_id = 0;
	for (; engine_next_ended(e, &it, &guess) && guess->id != k->ended_id &&
	       guess->id > k->kept_id;
	     k->guess_it = it) {
		const struct node *block, *via, *dep;

		k->newest_id = k->newest_id ? k->newest_id : guess->id;
		if (!was_done(guess) &&
		    (guess->decision == DECISION_NONE || undone_n++ >= UNDONE_MAX))
			continue;
		block = graph_node_const(g, guess->block);
		via = graph_node_const(g, guess->via);
		dep = graph_node_const(g, guess->dep);
		if (!block || !via || !dep)
			continue;
		if (!writer_room(k->writer))
			return false;
		writer_put_guess(k->writer, guess, block->name, via->name, dep->name,
				 guess->made_ns + wall_offset_ns);
	}
	k->ended_id = k->newest_id ? k->newest_id : k->ended_id;
	k->guess_it = k->observed_n = 0;
	return !rest; /* else those that ended since are left */
}

/* What has no room is changed still. */
static void put_images(struct keep *k)
{
	struct layers_kept c;

	while (layers_next_change(k->layers, &c)) {
		if (!writer_room_ranges(k->writer, strlen(c.text) + 1)) {
			layers_changed(k->layers, c.image);
			return;
		}
		writer_put_image(k->writer, c.image, c.text, c.seen_ns);
	}
}

/* Room for the model's state, a few pages at a time: to have 4 MiB of memory that nobody has used takes longer than to
 * fill it. */
static enum put ready_state(struct keep *k, const struct vomm *v, const struct pause *pause)
{
	struct bytes *b = &k->state;

	if (!b->data) {
		*b = (struct bytes){.max_n = vomm_bytes(v) + HEAD_BYTES};
		b->data = malloc(b->max_n);
		k->state_ready_n = 0;
	}
	while (b->data && k->state_ready_n < b->max_n) {
		*(volatile char *)(b->data + k->state_ready_n) = 0;
		k->state_ready_n += PAGE_BYTES;
		if (pause_wanted(pause))
			return PUT_PAUSED;
	}
	return b->data ? PUT_ALL : PUT_NO_ROOM;
}

/* As it is at one moment, or it would be of no use. */
static enum put put_model(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	uint64_t since_ns = clock_ns(CLOCK_MONOTONIC) - k->model_ns, observed_n = model_observed(e);
	struct vomm *v = engine_model(e);
	enum put put;

	if (!all && since_ns < KEEP_MODEL_MAX_S * 1000000000ull &&
	    (observed_n - k->observed_n) * KEEP_MODEL_SHARE < observed_n)
		return PUT_ALL;
	if (observed_n == k->observed_n || !writer_room(k->writer))
		return PUT_NO_ROOM;
	put = ready_state(k, v, pause);
	if (put == PUT_PAUSED)
		return put;
	if (put == PUT_ALL && vomm_save(v, bytes_write, &k->state) == 0) {
		writer_take_model(k->writer, TAKE_PTR(k->state.data), k->state.used_n);
		k->observed_n = observed_n;
		k->model_ns += since_ns;
	}
	freep(&k->state.data);
	k->state = (struct bytes){0};
	return PUT_ALL;
}

/* The writer cannot say what went wrong itself: only the daemon logs. */
static void tell_faults(struct keep *k, struct engine *e)
{
	struct writer_stats s;

	writer_stats(k->writer, &s);
	if (s.faults_n > k->said.faults_n)
		log_limited(LOG_LEVEL_ERROR,
			    "store: %s; what was learnt is kept in memory and tried again",
			    s.message);
	else if (k->said.fault_last && !s.fault_last)
		log_info("store: writing again, nothing was lost");
	if (s.set_aside_n > k->said.set_aside_n) {
		tell_aside(s.aside);
		put_all_again(k, e);
	}
	k->said = s;
}

/* A node that took the place of another has its score. */
static bool put_block_score(struct keep *k, struct engine *e, const struct node *n)
{
	struct block_score s;
	uint32_t sum = 0;

	if (n->kind != NODE_BLOCK)
		return true;
	engine_block_score(e, n->id, &s);
	for (int i = 0; i < OUTCOME_MAX; i++)
		sum += s.outcome_n[i];
	sum += (uint32_t)(s.bytes_read / 4096 + s.bytes_wasted / 4096);
	if (sum == k->scored[n->id])
		return true;
	if (!writer_room(k->writer))
		return false;
	writer_put_block_score(k->writer, n, &s);
	k->scored[n->id] = sum;
	return true;
}

static bool due(uint64_t since_ns, uint64_t each_s)
{
	return clock_ns(CLOCK_MONOTONIC) - since_ns >= each_s * 1000000000ull;
}

/* --- a flush ----------------------------------------------------------------------------------------
 *
 * Each part returns false when it paused: then the flush goes on with it. */

static bool part_model(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	return (!all && !due(k->scores_ns, KEEP_MODEL_S)) ||
	       put_model(k, e, all, pause) != PUT_PAUSED;
}

/* Sums of all and of each block. They are few, and what has no room waits for the next time. */
static bool part_scores(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	struct engine_stats stats;
	const struct node *n;

	if (!all && !due(k->scores_ns, KEEP_MODEL_S))
		return true;
	if (!k->score_at) {
		engine_stats(e, &stats);
		if (writer_room(k->writer))
			writer_put_score(k->writer, clock_ns(CLOCK_REALTIME), &stats.score_all);
	}
	while (graph_next_node(engine_graph_const(e), &k->score_at, &n) && put_block_score(k, e, n))
		if (n->kind == NODE_BLOCK && pause_wanted(pause))
			return false;
	k->score_at = 0;
	k->scores_ns = clock_ns(CLOCK_MONOTONIC);
	return true;
}

static bool part_images(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	(void)e, (void)all, (void)pause; /* an image is a line, and seldom new */
	put_images(k);
	return true;
}

/* What had no room the last time. */
static bool part_waiting(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	enum put put = k->graph_waits ? put_graph(k, engine_graph(e), false, pause) : PUT_ALL;

	(void)all;
	k->graph_waits = put != PUT_ALL;
	return put != PUT_PAUSED;
}

static bool part_guesses(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	(void)all, (void)pause; /* they are put from the newest on */
	(void)put_guesses(k, e);
	return true;
}

static bool part_news(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	enum put put;

	(void)all;
	if (k->graph_waits)
		return true;
	put = put_graph(k, engine_graph(e), false, pause);
	k->graph_waits = put == PUT_NO_ROOM;
	return put != PUT_PAUSED;
}

static bool part_counts(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	enum put put;

	if (!all && !due(k->counts_ns, KEEP_COUNTS_S))
		return true;
	put = put_graph(k, engine_graph(e), true, pause);
	if (put == PUT_ALL)
		k->counts_ns = clock_ns(CLOCK_MONOTONIC);
	return put != PUT_PAUSED;
}

/* A block that runs again and again changes its ranges each time: its last word is enough. */
static bool part_ranges(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	enum put put;

	if (!all && !due(k->ranges_ns, KEEP_RANGES_S))
		return true;
	put = put_ranges(k, e, pause);
	if (put == PUT_ALL)
		k->ranges_ns = clock_ns(CLOCK_MONOTONIC);
	return put != PUT_PAUSED;
}

static bool flush(struct keep *k, struct engine *e, bool all, const struct pause *pause)
{
	/* First what cannot wait: the ring of guesses goes on, while the graph keeps what has no room. */
	static bool (*const parts[])(struct keep *, struct engine *, bool, const struct pause *) = {
		part_model,   part_scores, part_images, part_waiting,
		part_guesses, part_news,   part_counts, part_ranges,
	};

	do {
		if (!parts[k->part](k, e, all, pause))
			return false;
		k->part = (k->part + 1) % ARRAY_SIZE(parts);
	} while (k->part && !pause_wanted(pause));
	if (k->part)
		return false;
	writer_push(k->writer);
	tell_faults(k, e);
	return true;
}

bool keep_flush(struct keep *k, struct engine *e, const struct pause *pause)
{
	return flush(k, e, false, pause);
}

/* There is no next time: what has no room waits, unless nothing gets written at all. */
static void put_at_last(struct keep *k, struct engine *e)
{
	bool behind = false;

	k->again = false;
	while (!behind && (put_graph(k, engine_graph(e), true, NULL) != PUT_ALL ||
			   put_ranges(k, e, NULL) != PUT_ALL || !put_guesses(k, e)))
		behind = writer_flush_wait(k->writer, CLOSE_WAIT_MS) != 0;
	writer_push(k->writer);
	(void)writer_flush_wait(k->writer, CLOSE_WAIT_MS); /* else the rest has no room */
	k->part = 0;
	k->score_at = 0;
	(void)flush(k, e, true, NULL);
	if (!behind)
		(void)writer_flush_wait(k->writer, CLOSE_WAIT_MS);
	tell_faults(k, e);
}

struct keep *keep_close(struct keep *k, struct engine *e)
{
	uint32_t lost_n = 0;

	if (!k)
		return NULL;
	if (k->writer) {
		put_at_last(k, e);
		if (k->again) /* into the fresh file */
			put_at_last(k, e);
		k->writer = writer_stop(k->writer, &lost_n);
		if (lost_n)
			log_error("store: %u batches of what was learnt could not be written",
				  (unsigned)lost_n);
	}
	k->store = store_close(k->store);
	free(k->state.data);
	free(k->scored);
	free(k);
	return NULL;
}

uint64_t keep_bytes(struct keep *k)
{
	struct writer_stats s;

	writer_stats(k->writer, &s);
	return s.store_bytes;
}
