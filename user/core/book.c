// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * book.c - the slot of a guess is its id modulo the size of the ring, so an id finds its guess, or finds
 * that it is gone, without an index.
 *
 * Open guesses are linked by age, as few of the newest are open. One that has ended keeps its link to the next
 * older one, so that who goes along may end what he meets. Those that have ended are linked by when they did, for
 * who keeps them comes each second, and there are thousands.
 *
 * The heap holds each open guess once, under the deadline it had when pushed; entries of ended or extended guesses
 * are dropped or pushed again when they come up. Those of ended ones go when it is full, which makes room for as many
 * as may be open: guesses end much sooner than their time is up.
 */
#include "core/book.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/heap.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Recent precision and recall: an ended guess counts half after so many newer ones. */
#define HALF_LIFE_GUESSES 500.0
/* What was restored of them counts as so many. */
#define KEPT_GUESSES 100.0

#define NO_SLOT UINT32_MAX

struct link {
	uint32_t older, newer;	/* slots of open guesses, or NO_SLOT */
	uint32_t before, after; /* likewise of those that ended */
};

struct book {
	struct guess *guesses;
	struct link *links; /* one each */
	uint32_t newest;    /* the slot of the newest open one */
	uint32_t last;	    /* of the one that ended last */
	uint64_t *open_of;  /* by dependency: the id of its open guess, 0 none */
	struct heap expiry;
	uint32_t guess_max, node_max;
	uint64_t next_id, open_n, evicted_n;
	uint64_t at_risk_bytes;	    /* of the open ones */
	struct score sum, kept;	    /* since it was made; and before */
	struct block_score *blocks; /* by graph id; few pages of it are ever touched */
	double good, acted, needed; /* decaying counts behind precision and recall */
	double keep;		    /* what a step leaves of them */
};

int book_new(uint32_t guess_max, uint32_t node_max, struct book **ret)
{
	_cleanup_(freep) struct book *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return fault(-ENOMEM);
	b->guess_max = guess_max;
	b->node_max = node_max;
	b->next_id = 1;
	b->keep = exp2(-1.0 / HALF_LIFE_GUESSES);
	b->newest = b->last = NO_SLOT;
	b->guesses = calloc(guess_max, sizeof(*b->guesses));
	b->links = calloc(guess_max, sizeof(*b->links));
	b->open_of = calloc((size_t)node_max + 1, sizeof(*b->open_of));
	b->blocks = calloc((size_t)node_max + 1, sizeof(*b->blocks));
	r = heap_init(&b->expiry, 2 * guess_max);
	if (r < 0 || !b->blocks || !b->guesses || !b->links || !b->open_of) {
		(void)book_free(TAKE_PTR(b));
		return fault(-ENOMEM);
	}
	*ret = TAKE_PTR(b);
	return 0;
}

struct book *book_free(struct book *b)
{
	if (!b)
		return NULL;
	heap_fini(&b->expiry);
	free(b->guesses);
	free(b->links);
	free(b->open_of);
	free(b->blocks);
	free(b);
	return NULL;
}

uint64_t book_bytes(const struct book *b)
{
	return sizeof(*b) + b->guess_max * (sizeof(*b->guesses) + sizeof(*b->links)) +
	       ((uint64_t)b->node_max + 1) * (sizeof(*b->open_of) + sizeof(*b->blocks)) +
	       b->expiry.entry_max * sizeof(*b->expiry.entries);
}

static bool is_open(const struct guess *g)
{
	return g->id && g->outcome == OUTCOME_OPEN;
}

static void link_newest(struct book *b, uint32_t slot)
{
	struct link *l = &b->links[slot];

	l->older = b->newest;
	l->newer = NO_SLOT;
	if (b->newest != NO_SLOT)
		b->links[b->newest].newer = slot;
	b->newest = slot;
}

static void unlink_slot(struct book *b, uint32_t slot)
{
	const struct link *l = &b->links[slot];

	if (l->older != NO_SLOT)
		b->links[l->older].newer = l->newer;
	if (l->newer != NO_SLOT)
		b->links[l->newer].older = l->older;
	else
		b->newest = l->older;
}

static void link_last(struct book *b, uint32_t slot)
{
	b->links[slot].before = b->last;
	b->links[slot].after = NO_SLOT;
	if (b->last != NO_SLOT)
		b->links[b->last].after = slot;
	b->last = slot;
}

/* Another guess has its place from now on. */
static void forget(struct book *b, uint32_t slot)
{
	const struct link *l = &b->links[slot];

	if (!b->guesses[slot].id)
		return;
	if (l->before != NO_SLOT)
		b->links[l->before].after = l->after;
	if (l->after != NO_SLOT)
		b->links[l->after].before = l->before;
	else
		b->last = l->before;
}

static bool still_open(void *ctx, uint64_t id)
{
	return book_open_by_id(ctx, id);
}

struct guess *book_open(struct book *b, const struct guess *g)
{
	struct guess *slot = &b->guesses[b->next_id % b->guess_max];

	assert(g->dep <= b->node_max && !book_open_by_dep(b, g->dep));
	if (is_open(slot)) {
		book_end(b, slot, slot->bytes_read ? OUTCOME_WASTED : OUTCOME_DROPPED, g->made_ns);
		b->evicted_n++;
	}
	forget(b, (uint32_t)(slot - b->guesses));
	*slot = *g;
	slot->id = b->next_id++;
	slot->outcome = OUTCOME_OPEN;
	link_newest(b, (uint32_t)(slot - b->guesses));
	b->open_of[g->dep] = slot->id;
	b->open_n++;
	b->sum.guesses_n++;
	if (!heap_push(&b->expiry, slot->deadline_ns, slot->id)) {
		heap_keep(&b->expiry, still_open, b);
		(void)heap_push(&b->expiry, slot->deadline_ns, slot->id);
	}
	return slot;
}

struct guess *book_make_room(struct book *b)
{
	struct guess *g = &b->guesses[b->next_id % b->guess_max];

	if (!is_open(g))
		return NULL;
	b->evicted_n++;
	return g;
}

struct guess *book_open_by_id(struct book *b, uint64_t id)
{
	struct guess *g = &b->guesses[id % b->guess_max];

	return g->id == id && is_open(g) ? g : NULL;
}

const struct guess *book_ended_by_id(const struct book *b, uint64_t id)
{
	const struct guess *g = &b->guesses[id % b->guess_max];

	return id && g->id == id && g->outcome != OUTCOME_OPEN ? g : NULL;
}

struct guess *book_open_by_dep(struct book *b, uint32_t dep)
{
	return b->open_of[dep] ? book_open_by_id(b, b->open_of[dep]) : NULL;
}

struct guess *book_open_newest(struct book *b)
{
	return b->newest == NO_SLOT ? NULL : &b->guesses[b->newest];
}

struct guess *book_open_older(struct book *b, const struct guess *g)
{
	uint32_t slot = (uint32_t)(g - b->guesses);

	do
		slot = b->links[slot].older;
	while (slot != NO_SLOT && !is_open(&b->guesses[slot]));
	return slot == NO_SLOT ? NULL : &b->guesses[slot];
}

void book_extend(struct book *b, struct guess *g, uint64_t deadline_ns)
{
	(void)b;
	if (deadline_ns > g->deadline_ns)
		g->deadline_ns = deadline_ns; /* the heap's entry is pushed again when it is due */
}

void book_risk(struct book *b, struct guess *g, uint64_t bytes)
{
	b->at_risk_bytes += bytes - g->risk_bytes;
	g->risk_bytes = bytes;
}

uint64_t book_at_risk(const struct book *b)
{
	return b->at_risk_bytes;
}

void book_restore_guess(struct book *b, const struct guess *g)
{
	struct guess *slot = &b->guesses[b->next_id % b->guess_max];

	assert(g->outcome != OUTCOME_OPEN && !is_open(slot));
	forget(b, (uint32_t)(slot - b->guesses));
	*slot = *g;
	slot->id = b->next_id++;
	slot->risk_bytes = 0;
	link_last(b, (uint32_t)(slot - b->guesses));
}

static void decay(struct book *b)
{
	b->good *= b->keep;
	b->acted *= b->keep;
	b->needed *= b->keep;
}

void book_end(struct book *b, struct guess *g, enum outcome outcome, uint64_t now_ns)
{
	assert(is_open(g) && outcome != OUTCOME_OPEN);
	g->outcome = (uint8_t)outcome;
	g->ended_ns = now_ns;
	book_risk(b, g, 0);
	unlink_slot(b, (uint32_t)(g - b->guesses));
	link_last(b, (uint32_t)(g - b->guesses));
	if (b->open_of[g->dep] == g->id)
		b->open_of[g->dep] = 0;
	b->open_n--;
	if (g->kind == EDGE_EXEC)
		return; /* that a program would run is a means; its files are what is scored */
	b->sum.acted_n += g->acted;
	b->sum.bytes_read += g->bytes_read;
	b->blocks[g->via].bytes_read += g->bytes_read;
	if (outcome == OUTCOME_MISSED || outcome == OUTCOME_LATE)
		return; /* see book_unmet() */
	b->sum.outcome_n[outcome]++;
	b->sum.saved_ns += g->saved_ns;
	b->blocks[g->via].outcome_n[outcome]++;
	b->blocks[g->via].saved_ns += g->saved_ns;
	decay(b);
	switch (outcome) {
	case OUTCOME_HIT:
		b->good++;
		b->acted++;
		b->needed++;
		break;
	case OUTCOME_WASTED:
		b->acted++;
		b->sum.bytes_wasted += g->bytes_read;
		b->blocks[g->via].bytes_wasted += g->bytes_read;
		break;
	default:
		break;
	}
}

void book_late_bytes(struct book *b, uint64_t id, uint64_t bytes, bool *ret_wasted, bool *ret_ahead,
		     uint32_t *ret_block)
{
	struct guess *g = &b->guesses[id % b->guess_max];

	*ret_wasted = false;
	*ret_ahead = g->via != g->block;
	*ret_block = 0;
	if (g->id != id || !bytes)
		return;
	*ret_block = g->block;
	b->sum.bytes_read += bytes;
	b->blocks[g->via].bytes_read += bytes;
	*ret_wasted = g->outcome == OUTCOME_DROPPED || g->outcome == OUTCOME_WASTED;
	if (*ret_wasted) {
		b->sum.bytes_wasted += bytes;
		b->blocks[g->via].bytes_wasted += bytes;
	}
	if (g->outcome == OUTCOME_DROPPED) {
		b->blocks[g->via].outcome_n[OUTCOME_DROPPED]--;
		b->blocks[g->via].outcome_n[OUTCOME_WASTED]++;
		b->sum.outcome_n[OUTCOME_DROPPED]--;
		b->sum.outcome_n[OUTCOME_WASTED]++;
		g->outcome = OUTCOME_WASTED;
		decay(b);
		b->acted++;
	}
	g->bytes_read += bytes;
}

void book_unmet(struct book *b, uint32_t block, enum outcome outcome, uint32_t n, bool cold)
{
	b->blocks[block].outcome_n[cold ? outcome : OUTCOME_RESIDENT] += n;
	b->sum.outcome_n[cold ? outcome : OUTCOME_RESIDENT] += n;
	for (uint32_t i = 0; cold && i < n; i++) {
		decay(b);
		b->needed++;
	}
}

struct guess *book_expired(struct book *b, uint64_t now_ns)
{
	uint64_t key, id;

	while (heap_peek(&b->expiry, &key, &id) && key <= now_ns) {
		struct guess *g = book_open_by_id(b, id);

		(void)heap_pop(&b->expiry, &key, &id);
		if (!g)
			continue;
		if (g->deadline_ns <= now_ns)
			return g;
		(void)heap_push(&b->expiry, g->deadline_ns, id); /* in the room just made */
	}
	return NULL;
}

bool book_next(const struct book *b, uint64_t *it, const struct guess **ret)
{
	uint64_t id = *it ? *it - 1 : b->next_id - 1;

	if (id == 0 || id + b->guess_max < b->next_id)
		return false;
	*ret = &b->guesses[id % b->guess_max];
	*it = id;
	return true;
}

bool book_next_ended(const struct book *b, uint64_t *it, const struct guess **ret)
{
	uint32_t slot = *it ? b->links[*it % b->guess_max].before : b->last;

	if (slot == NO_SLOT || (*it && !book_ended_by_id(b, *it)))
		return false;
	*ret = &b->guesses[slot];
	*it = (*ret)->id;
	return true;
}

void book_block_score(const struct book *b, uint32_t block, struct block_score *ret)
{
	*ret = b->blocks[block];
}

void book_score(const struct book *b, struct score *ret)
{
	double lambda = ret->lambda;

	*ret = b->sum;
	ret->precision = b->acted > 0 ? b->good / b->acted : 0;
	ret->recall = b->needed > 0 ? b->good / b->needed : 0;
	ret->lambda = lambda;
}

void book_restore(struct book *b, const struct score *kept)
{
	b->kept = *kept;
	b->good = KEPT_GUESSES * kept->precision;
	b->acted = kept->precision > 0 ? KEPT_GUESSES : 0;
	b->needed = kept->recall > 0 ? b->good / kept->recall : 0;
}

void book_restore_block(struct book *b, uint32_t block, const struct block_score *kept)
{
	b->blocks[block] = *kept;
}

void book_score_all(const struct book *b, struct score *ret)
{
	book_score(b, ret);
	ret->guesses_n += b->kept.guesses_n;
	ret->acted_n += b->kept.acted_n;
	for (int i = 0; i < OUTCOME_MAX; i++)
		ret->outcome_n[i] += b->kept.outcome_n[i];
	ret->bytes_read += b->kept.bytes_read;
	ret->bytes_wasted += b->kept.bytes_wasted;
	ret->saved_ns += b->kept.saved_ns;
}

uint64_t book_newest(const struct book *b)
{
	return b->next_id - 1;
}

uint64_t book_open_n(const struct book *b)
{
	return b->open_n;
}

uint64_t book_evicted(const struct book *b)
{
	return b->evicted_n;
}
