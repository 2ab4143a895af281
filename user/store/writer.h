/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * writer.h - the thread that writes the store, and the bounded queue to it.
 *
 * Shape    The caller copies changes into a batch and pushes it; the thread commits batches in order,
 *          each as one transaction. A batch that fails stays first in the queue and is tried
 *          again each second, so a full disk loses nothing: the queue fills, writer_room() says
 *          no, and the caller's changes stay marked where they are.
 * Bounds   batch_max batches of batch_bytes each (at least 64 KiB), taken by writer_start();
 *          besides, the model states that were handed over.
 * Owner    The writer has the store from writer_start() to writer_stop(). Everything put is copied,
 *          except for a model state, which is taken.
 * Errors   < 0 -errno. Faults of the store do not come back here: they are in struct writer_stats.
 * Threads  All calls from one thread, the one that is not the writer's.
 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "core/engine.h"
#include "core/graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct writer;

enum { WRITER_BEHIND = 1 /* time was over before the queue was empty */ };

struct writer_limits {
	uint32_t batch_max;
	size_t batch_bytes;
};

struct writer_stats {
	uint64_t committed_n, changes_n; /* batches, and what was in them */
	uint64_t faults_n, set_aside_n;
	uint64_t commit_ns_last, commit_ns_max;
	uint64_t store_bytes;
	uint32_t queued_n;
	int fault_last;	   /* -errno of the batch that waits, 0 when none does */
	char message[256]; /* of the last fault */
	char aside[256];   /* where a file was last set aside to */
};

int writer_start(struct store *s, const struct writer_limits *limits, struct writer **ret);
/* Commits what is queued, trying each batch once more, and ends the thread; *ret_lost_n, when not NULL,
 * is how many batches could not be committed. Takes NULL. The store is the caller's again. */
struct writer *writer_stop(struct writer *w, uint32_t *ret_lost_n);

/* Is there room for one more of anything? Ask before each put: a put without room is a bug. When the
 * present batch is full, it is pushed. */
bool writer_room(struct writer *w);
/* The same for ranges, or layers, of n bytes; never where a batch is smaller than that. */
bool writer_room_ranges(struct writer *w, size_t n);
void writer_put_change(struct writer *w, const struct graph *g, const struct graph_change *c);
void writer_put_guess(struct writer *w, const struct guess *guess, const char *block,
		      const char *via, const char *dep, uint64_t made_wall_ns);
void writer_put_ranges(struct writer *w, const struct node *block, const struct node *file,
		       const void *bytes, size_t n);
void writer_put_score(struct writer *w, uint64_t wall_ns, const struct score *score);
void writer_put_block_score(struct writer *w, const struct node *block,
			    const struct block_score *score);
void writer_put_image(struct writer *w, const char *name, const char *layers, uint64_t seen_ns);
/* state is from malloc() and is freed by the writer. A state in the present batch is replaced. */
void writer_take_model(struct writer *w, void *state, size_t n);

/* Hands over the present batch; an empty one is not. */
void writer_push(struct writer *w);
/* 0 when all that was pushed is committed, WRITER_BEHIND after timeout_ms. */
int writer_flush_wait(struct writer *w, uint32_t timeout_ms);
void writer_stats(struct writer *w, struct writer_stats *ret);

#endif
