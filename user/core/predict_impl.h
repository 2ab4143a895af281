/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * predict_impl.h - what the files of predict share. For these only.
 *
 * Shape    predict.c makes the guesses, from the candidates of predict_next.c and the parts of files of
 *          predict_parts.c; predict_act.c has them carried out and judges them; predict_told.c makes some
 *          for whoever asks, and forgets them.
 * Units    ns, bytes, probabilities in [0, 1].
 * Bounds   CANDIDATE_MAX candidates, of one prediction at a time: engine.candidates.
 */
#ifndef CORE_PREDICT_IMPL_H
#define CORE_PREDICT_IMPL_H

#include "core/engine_state.h"
#include "core/lead.h"

/* Bytes of an inode, a directory block, a small file: what the device reads for it at least. */
#define LOOKUP_BYTES (16ull << 10)
/* What is needed that soon is next after what is needed now. */
#define SOON_NS (50ull * 1000 * 1000)

static inline uint64_t edge_lead_ns(const struct edge *edge)
{
	return edge->lead_n ? edge->lead_sum_ns / edge->lead_n : 0;
}

/* Never sooner, lately; of one that was restored, and not taken since, the mean. */
static inline uint64_t edge_soon_ns(const struct edge *edge)
{
	return edge->soon ? lead_ns_of(edge->soon) : edge_lead_ns(edge);
}

static inline bool edge_is_need(const struct edge *edge)
{
	return edge->kind == EDGE_OPEN || edge->kind == EDGE_CONNECT || edge->kind == EDGE_BELOW;
}

/* Of a program that has yet to start, or of the one that runs. */
static inline bool guess_is_ahead(const struct guess *g)
{
	return g->via != g->block;
}

/* That something less likely did not come says nothing of what is sure. */
#define LIKELY 0.5

static inline enum plan_odds guess_odds(const struct guess *g)
{
	return !guess_is_ahead(g) ? PLAN_RUNS : g->p >= LIKELY ? PLAN_SURE : PLAN_UNSURE;
}

static inline enum want guess_want(const struct guess *g, uint64_t lead_ns)
{
	return !guess_is_ahead(g) ? WANT_NOW : lead_ns <= SOON_NS ? WANT_SOON : WANT_LATER;
}

/* Is that more urgent than it was? */
static inline bool guess_wanted(struct guess *g, enum want want)
{
	bool sooner = want < g->want;

	g->want = sooner ? (uint8_t)want : g->want;
	return sooner;
}

/* What is never needed within so long need not be read at once: what turns out not to come meanwhile was
 * not read in vain. What is left is enough for the largest programs from a slow disk. */
#define WAIT_SHARE 3
#define WAIT_MIN_NS (20ull * 1000 * 1000)
#define WAIT_MAX_NS (150ull * 1000 * 1000)

/* So long what c needs by that edge has time before it is read. */
static inline uint64_t candidate_wait_ns(const struct candidate *c, const struct edge *edge)
{
	uint64_t soon_ns = c->soon_ns + (edge->kind == EDGE_BELOW ? edge_soon_ns(edge) : 0);
	uint64_t wait_ns = soon_ns / WAIT_SHARE;

	return wait_ns < WAIT_MIN_NS ? 0 : wait_ns > WAIT_MAX_NS ? WAIT_MAX_NS : wait_ns;
}

/* --- predict_next.c ------------------------------------------------------------------------------ */

/* Fills e->candidates: the block of run alone. */
void candidate_of_run(struct engine *e, uint32_t run);
/* Fills e->candidates: the block of run, what it starts at any depth, and what its parent starts next. */
void candidates_of_run(struct engine *e, uint32_t run);
/* Fills e->candidates: block, and what it starts at any depth. */
void candidates_of_block(struct engine *e, uint32_t block);
/* The block that will need it: for what is needed below c, the one that did last time. */
uint32_t candidate_via(struct engine *e, const struct candidate *c, const struct edge *edge);
/* us that a cold start of block costs more than a warm one: where parent starts it, else wherever it is
 * started. */
double block_gain(const struct engine *e, uint32_t parent, uint32_t block);

/* --- predict_parts.c ----------------------------------------------------------------------------- */

/* What has to be read of a file for block: the parts learnt, else all of it. */
uint64_t block_bytes(const struct engine *e, uint32_t block, const struct node *dep);
/* The same for all that are to use it: about what the one that uses most of it does. */
uint64_t guess_bytes(const struct engine *e, const struct guess *g, const struct node *dep);
/* Into e->ranges: the parts all of them use, by first use, those of the first block first. 0: not known. */
size_t guess_ranges(struct engine *e, const struct guess *g);
/* Block will use it too. Does it need parts of the file that were not asked for? What is known of neither
 * is read from its start, for whomever. */
bool guess_also(struct engine *e, struct guess *g, uint32_t block);
/* A moment ago, as far as is known. */
bool resident_seen(const struct engine *e, uint32_t dep);
/* Seen resident a moment ago, the parts that block uses. */
bool resident_for_block(const struct engine *e, uint32_t dep, uint32_t block, bool sweep);
/* Its entry and inode: a moment ago, or since when nothing has left memory. */
bool looked_seen(const struct engine *e, uint32_t dep);
/* It is now, for all that g is needed by. */
void resident_for_guess(struct engine *e, const struct guess *g);

/* --- predict.c ----------------------------------------------------------------------------------- */

/* Even a lookup is a read or two. */
static inline uint64_t credit_charge(uint64_t bytes)
{
	return bytes < LOOKUP_BYTES ? LOOKUP_BYTES : bytes;
}

/* Bytes that may be read for a guess of c on trust, as from starts what c says. */
uint64_t candidate_credit(const struct engine *e, uint32_t from, const struct candidate *c,
			  const struct guess *g);
/* Hands g to the plan when it is due; without room it is counted, and not acted on. */
void guess_queue(struct engine *e, struct guess *g, const struct node *dep, uint64_t need_ns);
/* Of g, whose p and gain are known, when it reads so many bytes in so much time. */
void guess_worth(const struct engine *e, struct guess *g, uint64_t bytes, uint64_t lead_ns);

/* --- predict_act.c ------------------------------------------------------------------------------- */

/* Enters g in the book; the guess that gives way to it ends as one that has expired does. */
struct guess *guess_enter(struct engine *e, const struct guess *g);
/* A word about an action given out before. Without room it stays unsaid: then more is read than needed, or
 * later. */
void action_say(struct engine *e, uint64_t guess_id, enum action_kind kind);
/* It is more urgent than when it was given out: as g says by now. */
void action_hurry(struct engine *e, const struct guess *g, uint64_t need_ns);

#endif
