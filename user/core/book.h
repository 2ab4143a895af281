/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * book.h - every guess, from when it is made to what became of it, and the sums.
 *
 * Shape    A ring of the newest guess_max guesses, open or ended; at most one open guess a
 *          dependency (a second one for the same raises the first's probability); a heap of the
 *          times at which open ones expire.
 * Units    ns of the observations, bytes, probabilities in [0, 1].
 * Bounds   guess_max guesses, node_max dependencies. A guess still open when its place is needed
 *          ends as if it had expired, and is counted in book_evicted().
 * Owner    The caller owns struct book. Pointers to guesses are borrowed until the next book_open().
 * Errors   -ENOMEM at new; nothing later.
 * Threads  One owner at a time.
 */
#ifndef CORE_BOOK_H
#define CORE_BOOK_H

#include "core/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct book;

int book_new(uint32_t guess_max, uint32_t node_max, struct book **ret);
struct book *book_free(struct book *b);
uint64_t book_bytes(const struct book *b);

/* Enters a copy of g with a fresh id as the open guess for g->dep, to expire at g->deadline_ns. A
 * guess whose place it takes while still open ends as if it had expired. */
struct guess *book_open(struct book *b, const struct guess *g);
/* The open guess whose place the next one takes, counted in book_evicted(): for who has more to do at its end than
 * book_open() does. NULL: there is none. */
struct guess *book_make_room(struct book *b);
/* NULL when the id is too old or ended. */
struct guess *book_open_by_id(struct book *b, uint64_t id);
/* NULL when the id is too old, or open. */
const struct guess *book_ended_by_id(const struct book *b, uint64_t id);
struct guess *book_open_by_dep(struct book *b, uint32_t dep);
/* Open guesses from the newest to the oldest; NULL at the end. g may have ended since it was come to, as others may,
 * but none may have been opened. */
struct guess *book_open_newest(struct book *b);
struct guess *book_open_older(struct book *b, const struct guess *g);
/* Moves the end of an open guess; only later is possible. */
void book_extend(struct book *b, struct guess *g, uint64_t deadline_ns);
/* So many bytes are read on the word of an open guess, instead of as many as before; of none once it has ended. */
void book_risk(struct book *b, struct guess *g, uint64_t bytes);
uint64_t book_at_risk(const struct book *b); /* of all open guesses */
/* Ends an open guess and adds it to the score. */
void book_end(struct book *b, struct guess *g, enum outcome outcome, uint64_t now_ns);
/* The next open guess whose deadline is past, not ended yet; NULL at the end. */
struct guess *book_expired(struct book *b, uint64_t now_ns);
/* Bytes that arrived for a guess after it had ended: those of one that was dropped are wasted after all,
 * *ret_wasted says so. *ret_block gave rise to it; 0: it is not known any more. */
void book_late_bytes(struct book *b, uint64_t id, uint64_t bytes, bool *ret_wasted, bool *ret_ahead,
		     uint32_t *ret_block);
/* n needs of block came out as MISSED, or LATE. Whether they were cold is known when their process ends; until then
 * book_end() does not count them. What was in memory all the same is RESIDENT. */
void book_unmet(struct book *b, uint32_t block, enum outcome outcome, uint32_t n, bool cold);

/* Enters one that ended before this book was made, for book_next() and book_next_ended() only. Before any is opened. */
void book_restore_guess(struct book *b, const struct guess *g);

bool book_next(const struct book *b, uint64_t *it, const struct guess **ret);
/* Those that ended, the last one first. */
bool book_next_ended(const struct book *b, uint64_t *it, const struct guess **ret);
/* Of a node that is gone: of its successor at that id, as well. */
void book_block_score(const struct book *b, uint32_t block, struct block_score *ret);
void book_score(const struct book *b, struct score *ret);
/* What was counted before this book was made: goes into book_score_all(), into the recent precision and recall
 * with a weight soon outgrown, and into the blocks' own. */
void book_restore(struct book *b, const struct score *kept);
void book_restore_block(struct book *b, uint32_t block, const struct block_score *kept);
/* With what was restored. */
void book_score_all(const struct book *b, struct score *ret);
/* The id given out last; 0 none. */
uint64_t book_newest(const struct book *b);
uint64_t book_open_n(const struct book *b);
uint64_t book_evicted(const struct book *b);

#endif
