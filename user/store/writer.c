// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * writer.c - batches of copied changes, and the thread that puts them into the store.
 *
 * A batch is a buffer of records: what it is, how long, then the structs with their names behind
 * them. It belongs to the caller while it is filled, to the queue after the push, to the thread
 * while it is written; the mutex is held only to pass it on. The batch being written stays at the
 * head of the queue until it is committed, so there is one place to look for what is missing.
 */
#include "store/writer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/store.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_BYTES_MIN = 65536, RETRY_MS = 1000, NAME_BYTES = 4096, NICER = 10 };

enum record_kind {
	RECORD_NODE,
	RECORD_NODE_GONE,
	RECORD_EDGE,
	RECORD_EDGE_GONE,
	RECORD_GUESS,
	RECORD_RANGES,
	RECORD_SCORE,
	RECORD_BLOCK_SCORE,
	RECORD_IMAGE,
};

struct record {
	uint32_t bytes; /* of the whole, a multiple of 8 */
	uint32_t kind;
};

/* The pointers in these are not valid in the buffer; the names follow in order. */
struct edge_record {
	struct edge e;
	struct edge_use use;
	struct node from, to;
};

struct guess_record {
	struct guess g;
	uint64_t made_wall_ns;
};

/* The names and the bytes follow. */
struct ranges_record {
	struct node block, file;
	size_t bytes_n;
};

struct score_record {
	struct score s;
	uint64_t wall_ns;
};

/* The name follows. */
struct block_score_record {
	struct node block;
	struct block_score s;
};

/* The largest record: a guess or an edge with names of full length. */
enum {
	RECORD_BYTES_MAX = sizeof(struct record) + sizeof(struct edge_record) +
			   sizeof(struct guess_record) + 3 * NAME_BYTES + 8
};

struct batch {
	struct batch *next;
	size_t used;
	uint32_t records_n;
	void *model; /* NULL: none */
	size_t model_n;
	unsigned char bytes[] __attribute__((aligned(8)));
};

struct writer {
	struct store *store;
	size_t batch_bytes;
	struct batch *filling; /* the caller's; NULL: none could be had */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t pushed, written; /* CLOCK_MONOTONIC */
	/* Under the mutex: */
	struct batch *head, *tail, *free;
	bool stopping;
	uint32_t lost_n;
	struct writer_stats stats;
	char aside[PATH_MAX]; /* the file that was set aside last */
};

/* --- filling --------------------------------------------------------------------------------- */

struct cursor {
	unsigned char *at;
};

static void write_bytes(struct cursor *c, const void *bytes, size_t n)
{
	memcpy(c->at, bytes, n);
	c->at += n;
}

static void write_name(struct cursor *c, const char *name)
{
	size_t n = strnlen(name, NAME_BYTES - 1);

	write_bytes(c, name, n);
	*c->at++ = 0;
}

static struct cursor record_begin(struct writer *w)
{
	struct batch *b = w->filling;

	assert(b && b->used + RECORD_BYTES_MAX <= w->batch_bytes); /* writer_room() was asked */
	return (struct cursor){b->bytes + b->used + sizeof(struct record)};
}

static void record_end(struct writer *w, struct cursor c, enum record_kind kind)
{
	struct batch *b = w->filling;
	size_t n = ((size_t)(c.at - (b->bytes + b->used)) + 7) & ~7ul;
	struct record r = {.bytes = (uint32_t)n, .kind = kind};

	memcpy(b->bytes + b->used, &r, sizeof(r));
	b->used += n;
	b->records_n++;
}

static struct batch *batch_take(struct writer *w)
{
	struct batch *b;

	(void)pthread_mutex_lock(&w->mutex);
	b = w->free;
	if (b)
		w->free = b->next;
	(void)pthread_mutex_unlock(&w->mutex);
	if (b)
		b->next = NULL;
	return b;
}

bool writer_room(struct writer *w)
{
	if (w->filling && w->filling->used + RECORD_BYTES_MAX > w->batch_bytes)
		writer_push(w);
	if (!w->filling)
		w->filling = batch_take(w);
	return w->filling;
}

bool writer_room_ranges(struct writer *w, size_t n)
{
	if (!writer_room(w) || n > w->batch_bytes - RECORD_BYTES_MAX)
		return false;
	if (w->filling->used + RECORD_BYTES_MAX + n <= w->batch_bytes)
		return true;
	writer_push(w);
	return writer_room(w);
}

void writer_put_change(struct writer *w, const struct graph *g, const struct graph_change *c)
{
	struct cursor at = record_begin(w);

	if (c->node) {
		write_bytes(&at, c->node, sizeof(*c->node));
		write_name(&at, c->node->name);
		record_end(w, at, c->removed ? RECORD_NODE_GONE : RECORD_NODE);
	} else {
		const struct node *from = graph_node_const(g, c->edge->from);
		const struct node *to = graph_node_const(g, c->edge->to);
		struct edge_record r = {.e = *c->edge, .from = *from, .to = *to};

		if (c->edge->use)
			r.use = *c->edge->use;
		write_bytes(&at, &r, sizeof(r));
		write_name(&at, from->name);
		write_name(&at, to->name);
		record_end(w, at, c->removed ? RECORD_EDGE_GONE : RECORD_EDGE);
	}
}

void writer_put_guess(struct writer *w, const struct guess *guess, const char *block,
		      const char *via, const char *dep, uint64_t made_wall_ns)
{
	struct cursor at = record_begin(w);
	struct guess_record r = {.g = *guess, .made_wall_ns = made_wall_ns};

	write_bytes(&at, &r, sizeof(r));
	write_name(&at, block);
	write_name(&at, via);
	write_name(&at, dep);
	record_end(w, at, RECORD_GUESS);
}

void writer_put_ranges(struct writer *w, const struct node *block, const struct node *file,
		       const void *bytes, size_t n)
{
	struct cursor at = record_begin(w);
	struct ranges_record r = {.block = *block, .file = *file, .bytes_n = n};

	assert(w->filling->used + RECORD_BYTES_MAX + n <= w->batch_bytes);
	write_bytes(&at, &r, sizeof(r));
	write_name(&at, block->name);
	write_name(&at, file->name);
	write_bytes(&at, bytes, n);
	record_end(w, at, RECORD_RANGES);
}

void writer_put_score(struct writer *w, uint64_t wall_ns, const struct score *score)
{
	struct cursor at = record_begin(w);
	struct score_record r = {.s = *score, .wall_ns = wall_ns};

	write_bytes(&at, &r, sizeof(r));
	record_end(w, at, RECORD_SCORE);
}

void writer_put_block_score(struct writer *w, const struct node *block,
			    const struct block_score *score)
{
	struct cursor at = record_begin(w);
	struct block_score_record r = {.block = *block, .s = *score};

	write_bytes(&at, &r, sizeof(r));
	write_name(&at, block->name);
	record_end(w, at, RECORD_BLOCK_SCORE);
}

void writer_put_image(struct writer *w, const char *name, const char *layers, uint64_t seen_ns)
{
	struct cursor at = record_begin(w);
	size_t n = strlen(layers) + 1;

	assert(w->filling->used + RECORD_BYTES_MAX + n <= w->batch_bytes);
	write_bytes(&at, &seen_ns, sizeof(seen_ns));
	write_name(&at, name);
	write_bytes(&at, layers, n);
	record_end(w, at, RECORD_IMAGE);
}

void writer_take_model(struct writer *w, void *state, size_t n)
{
	assert(w->filling);
	free(w->filling->model);
	w->filling->model = state;
	w->filling->model_n = n;
}

void writer_push(struct writer *w)
{
	struct batch *b = w->filling;

	if (!b || (!b->records_n && !b->model))
		return;
	w->filling = NULL;
	(void)pthread_mutex_lock(&w->mutex);
	if (w->tail)
		w->tail->next = b;
	else
		w->head = b;
	w->tail = b;
	w->stats.queued_n++;
	(void)pthread_cond_signal(&w->pushed);
	(void)pthread_mutex_unlock(&w->mutex);
}

/* --- writing --------------------------------------------------------------------------------- */

static void read_bytes(struct cursor *c, void *bytes, size_t n)
{
	memcpy(bytes, c->at, n);
	c->at += n;
}

static const char *read_name(struct cursor *c)
{
	const char *name = (const char *)c->at;

	c->at += strlen(name) + 1;
	return name;
}

static int apply_node(struct store *s, struct cursor c, bool gone)
{
	struct node n;

	read_bytes(&c, &n, sizeof(n));
	n.name = read_name(&c);
	return gone ? store_del_node(s, n.kind, n.name) : store_put_node(s, &n);
}

static int apply_edge(struct store *s, struct cursor c, bool gone)
{
	struct edge_record r;

	read_bytes(&c, &r, sizeof(r));
	r.e.use = r.e.kind == EDGE_EXEC ? &r.use : NULL;
	r.from.name = read_name(&c);
	r.to.name = read_name(&c);
	return gone ? store_del_edge(s, r.e.kind, &r.from, &r.to)
		    : store_put_edge(s, &r.e, &r.from, &r.to);
}

static int apply_guess(struct store *s, struct cursor c)
{
	struct guess_record r;
	const char *block, *via, *dep;

	read_bytes(&c, &r, sizeof(r));
	block = read_name(&c);
	via = read_name(&c);
	dep = read_name(&c);
	return store_put_guess(s, &r.g, block, via, dep, r.made_wall_ns);
}

static int apply_ranges(struct store *s, struct cursor c)
{
	struct ranges_record r;

	read_bytes(&c, &r, sizeof(r));
	r.block.name = read_name(&c);
	r.file.name = read_name(&c);
	return store_put_ranges(s, &r.block, &r.file, c.at, r.bytes_n);
}

static int apply_score(struct store *s, struct cursor c)
{
	struct score_record r;

	read_bytes(&c, &r, sizeof(r));
	return store_put_score(s, r.wall_ns, &r.s);
}

static int apply_block_score(struct store *s, struct cursor c)
{
	struct block_score_record r;

	read_bytes(&c, &r, sizeof(r));
	r.block.name = read_name(&c);
	return store_put_block_score(s, &r.block, &r.s);
}

static int apply_image(struct store *s, struct cursor c)
{
	uint64_t seen_ns;
	const char *name;

	read_bytes(&c, &seen_ns, sizeof(seen_ns));
	name = read_name(&c);
	return store_put_image(s, name, read_name(&c), seen_ns);
}

static int apply(struct store *s, struct batch *b)
{
	int r = 0;

	for (size_t at = 0; at < b->used && !r;) {
		struct cursor c = {b->bytes + at + sizeof(struct record)};
		struct record head;

		memcpy(&head, b->bytes + at, sizeof(head));
		switch ((enum record_kind)head.kind) {
		case RECORD_NODE:
		case RECORD_NODE_GONE:
			r = apply_node(s, c, head.kind == RECORD_NODE_GONE);
			break;
		case RECORD_EDGE:
		case RECORD_EDGE_GONE:
			r = apply_edge(s, c, head.kind == RECORD_EDGE_GONE);
			break;
		case RECORD_GUESS:
			r = apply_guess(s, c);
			break;
		case RECORD_RANGES:
			r = apply_ranges(s, c);
			break;
		case RECORD_SCORE:
			r = apply_score(s, c);
			break;
		case RECORD_BLOCK_SCORE:
			r = apply_block_score(s, c);
			break;
		case RECORD_IMAGE:
			r = apply_image(s, c);
			break;
		}
		at += head.bytes;
	}
	if (!r && b->model)
		r = store_put_model(s, b->model, b->model_n);
	return r;
}

static int commit(struct store *s, struct batch *b)
{
	int r = store_begin(s); /* when a file was set aside, the batch goes into the fresh one */

	if (r < 0)
		return r;
	r = apply(s, b);
	if (!r)
		r = store_commit(s);
	if (r)
		store_rollback(s);
	return r;
}

static struct timespec deadline(uint32_t ms)
{
	uint64_t ns = clock_ns(CLOCK_MONOTONIC) + ms * 1000000ull;

	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000)};
}

/* Whatever came of the batch: what was found corrupt is replaced first, and then the disk may be full. */
static void note_aside(struct writer *w)
{
	const char *aside = store_aside(w->store);

	if (strcmp(aside, w->aside) == 0)
		return;
	snprintf(w->aside, sizeof(w->aside), "%s", aside);
	snprintf(w->stats.aside, sizeof(w->stats.aside), "%s", aside);
	w->stats.set_aside_n++;
}

/* What came of the batch at the head. Under the mutex. */
static void note(struct writer *w, const struct batch *b, int r, uint64_t took_ns)
{
	struct writer_stats *st = &w->stats;

	st->fault_last = r < 0 ? r : 0;
	st->store_bytes = store_bytes(w->store);
	note_aside(w);
	if (r < 0) {
		st->faults_n++;
		snprintf(st->message, sizeof(st->message), "%s", store_message(w->store));
		return;
	}
	st->committed_n++;
	st->changes_n += b->records_n;
	st->commit_ns_last = took_ns;
	st->commit_ns_max = took_ns > st->commit_ns_max ? took_ns : st->commit_ns_max;
}

/* The batch at the head is done with. Under the mutex. */
static void pop(struct writer *w)
{
	struct batch *b = w->head;

	w->head = b->next;
	if (!w->head)
		w->tail = NULL;
	free(b->model);
	b->model = NULL;
	b->used = b->records_n = 0;
	b->next = w->free;
	w->free = b;
	w->stats.queued_n--;
	(void)pthread_cond_broadcast(&w->written);
}

/* Nobody waits for what it writes: whoever else wants the CPU goes first. */
static void thread_manners(void)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	(void)pthread_setname_np(pthread_self(), "fwm-store");
	(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
	(void)setpriority(PRIO_PROCESS, (id_t)tid, getpriority(PRIO_PROCESS, (id_t)tid) + NICER);
}

static void *write_batches(void *arg)
{
	struct writer *w = arg;

	thread_manners();
	(void)pthread_mutex_lock(&w->mutex);
	for (;;) {
		struct timespec until;
		struct batch *b;
		uint64_t t0;
		int r;

		while (!w->head && !w->stopping)
			(void)pthread_cond_wait(&w->pushed, &w->mutex);
		b = w->head;
		if (!b)
			break;
		(void)pthread_mutex_unlock(&w->mutex);
		t0 = clock_ns(CLOCK_MONOTONIC);
		r = commit(w->store, b);
		/* A file found corrupt is replaced at the next begin: there is nothing to wait for. */
		if (r == -EUCLEAN)
			r = commit(w->store, b);
		(void)pthread_mutex_lock(&w->mutex);
		note(w, b, r, clock_ns(CLOCK_MONOTONIC) - t0);
		if (r >= 0) {
			pop(w);
		} else if (w->stopping) {
			pop(w);
			w->lost_n++;
		} else {
			until = deadline(RETRY_MS);
			while (!w->stopping &&
			       pthread_cond_timedwait(&w->pushed, &w->mutex, &until) != ETIMEDOUT)
				;
		}
	}
	(void)pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* --- public ---------------------------------------------------------------------------------- */

static void batches_free(struct batch *b)
{
	while (b) {
		struct batch *next = b->next;

		free(b->model);
		free(b);
		b = next;
	}
}

static struct writer *writer_free(struct writer *w)
{
	batches_free(w->filling);
	batches_free(w->free);
	batches_free(w->head);
	free(w);
	return NULL;
}

DEFINE_CLEANUP(struct writer *, writer_free)

/* The thread takes no signals: they are the caller's. */
static int thread_start(struct writer *w)
{
	pthread_condattr_t attr;
	sigset_t all, was;
	int r;

	(void)pthread_mutex_init(&w->mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->pushed, &attr);
	(void)pthread_cond_init(&w->written, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &was);
	r = pthread_create(&w->thread, NULL, write_batches, w);
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	return r ? fault(-r) : 0;
}

int writer_start(struct store *s, const struct writer_limits *limits, struct writer **ret)
{
	_cleanup_(writer_freep) struct writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return fault(-ENOMEM);
	if (limits->batch_max < 1 || limits->batch_bytes < BATCH_BYTES_MIN)
		return fault(-EINVAL);
	w->store = s;
	snprintf(w->aside, sizeof(w->aside), "%s", store_aside(s));
	w->batch_bytes = limits->batch_bytes;
	for (uint32_t i = 0; i < limits->batch_max; i++) {
		struct batch *b = malloc(sizeof(*b) + w->batch_bytes);

		if (!b)
			return fault(-ENOMEM);
		*b = (struct batch){.next = w->free};
		w->free = b;
	}
	r = thread_start(w);
	if (r)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}

struct writer *writer_stop(struct writer *w, uint32_t *ret_lost_n)
{
	if (!w)
		return NULL;
	writer_push(w);
	(void)pthread_mutex_lock(&w->mutex);
	w->stopping = true;
	(void)pthread_cond_broadcast(&w->pushed);
	(void)pthread_mutex_unlock(&w->mutex);
	(void)pthread_join(w->thread, NULL);
	if (ret_lost_n)
		*ret_lost_n = w->lost_n;
	(void)pthread_mutex_destroy(&w->mutex);
	(void)pthread_cond_destroy(&w->pushed);
	(void)pthread_cond_destroy(&w->written);
	return writer_free(w);
}

int writer_flush_wait(struct writer *w, uint32_t timeout_ms)
{
	struct timespec until = deadline(timeout_ms);
	int r = 0;

	(void)pthread_mutex_lock(&w->mutex);
	while (w->head && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&w->written, &w->mutex, &until);
	r = w->head ? WRITER_BEHIND : 0;
	(void)pthread_mutex_unlock(&w->mutex);
	return r;
}

void writer_stats(struct writer *w, struct writer_stats *ret)
{
	(void)pthread_mutex_lock(&w->mutex);
	*ret = w->stats;
	(void)pthread_mutex_unlock(&w->mutex);
}
