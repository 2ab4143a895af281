/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * store.h - what was learnt, kept across restarts.
 *
 * Shape    One small set of operations over a backend; SQLite in WAL mode is the embedded one. A
 *          flush is a batch of changes with present totals per node and edge, of this host and
 *          epoch, so that a backend for a fleet can merge instead of overwrite.
 *          Tables: meta, nodes, edges, ranges, model, guesses, scores of all and of blocks, images; views
 *          for people. A file of an older schema is brought up to date when it is opened.
 * Units    ns of CLOCK_REALTIME, bytes, exact counts.
 * Bounds   One transaction a flush. guesses and scores are pruned to what the header of schema.sql
 *          says. Opening checks the file's structure when it is below 128 MiB.
 * Owner    The caller owns struct store; nothing passed in is kept after the call returns.
 * Errors   < 0 -errno (-ENOSPC: disk full; -EBUSY: somebody holds the file; -EUCLEAN: found corrupt).
 *          After a fault in a batch, roll back: nothing of it is in the file, give it again.
 *          STORE_SET_ASIDE: the file was corrupt or of a newer schema; it was renamed, with -wal and
 *          -shm, to NAME.corrupt-YYYYmmddTHHMMSS or NAME.newer-schema-N, and a fresh one opened.
 *          store_open() tells so of what it finds; of what is found later, store_begin() and what
 *          loads do, and go on with the fresh file. A batch that fails then has told it already: see
 *          store_aside().
 * Threads  One thread at a time uses a store.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "core/engine.h"
#include "core/graph.h"

#include <stddef.h>
#include <stdint.h>

enum { STORE_SET_ASIDE = 1 };

struct store;

/* Opens or makes the database at path, readable by owner and group. ret_aside takes PATH_MAX bytes and
 * is filled in with STORE_SET_ASIDE only; *ret is valid then too. */
int store_open(const char *path, char *ret_aside, struct store **ret);
struct store *store_close(struct store *s);

/* Loads the kept nodes and edges into g; ret_model_n bytes of model state into a buffer the caller
 * frees (NULL when none is kept). Rows that make no sense are left out. With STORE_SET_ASIDE g has
 * what could be read and there is no model. */
int store_load(struct store *s, struct graph *g, void **ret_model, size_t *ret_model_n);

/* The kept ranges whose block and file are in g, those learnt last at the end; bytes of n as ranges_pack()
 * makes them, borrowed and not checked. */
typedef void (*store_ranges_fn)(void *ctx, uint32_t block, uint32_t file, const void *bytes,
				size_t n);
int store_load_ranges(struct store *s, const struct graph *g, store_ranges_fn fn, void *ctx);

/* The newest guess_max kept guesses whose block and dependency are in g, the oldest of them first, all ended;
 * times since 1970, and of those that had not come 0. */
typedef void (*store_guess_fn)(void *ctx, const struct guess *guess);
int store_load_guesses(struct store *s, const struct graph *g, uint32_t guess_max,
		       store_guess_fn fn, void *ctx);

/* The kept score, all 0 when there is none, and that of each block in g. */
typedef void (*store_block_score_fn)(void *ctx, uint32_t block, const struct block_score *score);
int store_load_scores(struct store *s, const struct graph *g, store_block_score_fn fn, void *ctx,
		      struct score *ret);

/* Where the layers of container images are, those seen last at the end; not checked. */
typedef void (*store_image_fn)(void *ctx, const char *name, const char *layers, uint64_t seen_ns);
int store_load_images(struct store *s, store_image_fn fn, void *ctx);

int store_begin(struct store *s);
int store_put_node(struct store *s, const struct node *n);
/* An end that is not in the file is put too. */
int store_put_edge(struct store *s, const struct edge *e, const struct node *from,
		   const struct node *to);
/* With its edges. */
int store_del_node(struct store *s, enum node_kind kind, const char *name);
int store_del_edge(struct store *s, enum edge_kind kind, const struct node *from,
		   const struct node *to);
/* Which parts of file block uses, as ranges_pack() makes them. Of all of them those put last are kept. */
int store_put_ranges(struct store *s, const struct node *block, const struct node *file,
		     const void *bytes, size_t n);
/* g->id is unique since the store was opened; putting it again overwrites. */
int store_put_guess(struct store *s, const struct guess *g, const char *block, const char *via,
		    const char *dep, uint64_t made_wall_ns);
int store_put_model(struct store *s, const void *state, size_t n);
/* Sums since ever, as store_load_scores() gives them back. */
int store_put_score(struct store *s, uint64_t wall_ns, const struct score *score);
int store_put_block_score(struct store *s, const struct node *block,
			  const struct block_score *score);
/* Of all of them those seen last are kept. */
int store_put_image(struct store *s, const char *name, const char *layers, uint64_t seen_ns);
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* The path a file was last set aside to, or "". Borrowed. */
const char *store_aside(const struct store *s);
/* Bytes of the database and its write-ahead log on disk. */
uint64_t store_bytes(const struct store *s);
/* The message of the last fault, for a person. Borrowed until the next call. */
const char *store_message(const struct store *s);

#endif
