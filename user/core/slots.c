// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * slots.c - free slots and changed ones are two queues through the slots themselves.
 *
 * What goes at a limit: the least used of 16 candidates, where use halves with each half-life. The
 * uses are integers and the half-lives are counted from the epoch, so the decay is a shift, done
 * when a slot is touched or compared. Eight candidates are new, found by a hand that passes over
 * all slots in golden-section strides, so that a run of good slots does not fill them; eight are
 * the worst left over from last time. With half the table in use and half churn, that loses none
 * of the useful, where 16 consecutive slots lost a third (tests/unit/test_graph.c).
 * Frequency alone would let established names keep every newcomer out for ever; so whatever was
 * touched within the last quarter-table of insertions is no candidate at all.
 *
 * What changed is a queue of slots, and so is what changed as often before. A slot stays in its queue until it is taken
 * from it, whatever happens to it meanwhile, so neither eviction nor reuse has to search a queue.
 */
#include "core/slots.h"

/* Three days: what is done each weekday outlives a weekend at half its weight. */
#define HALF_LIFE_NS (3ull * 24 * 3600 * 1000000000ull)

enum {
	CANDIDATE_MAX = 16,
	USE_ONE = 256, /* one use, so that six half-lives still tell one from none */
};

/* --- taking and giving back ------------------------------------------------------------------ */

uint32_t slots_take(struct slots *s, struct slot *ret)
{
	uint32_t slot = s->free_head;

	/* Fresh memory is not read before it is written: that would cost a second fault. */
	*ret = (struct slot){.state = SLOT_ALIVE};
	if (slot) {
		const struct slot *old = slots_at(s, slot);

		s->free_head = old->next_free;
		if (!s->free_head)
			s->free_tail = 0;
		ret->next_dirty = old->next_dirty;
		ret->state |= old->state & (SLOT_QUEUED | SLOT_AGAIN);
	} else {
		slot = ++s->top;
	}
	s->used_n++;
	s->insert_seq++;
	return slot;
}

void slots_give(struct slots *s, uint32_t slot)
{
	struct slot *x = slots_at(s, slot);

	x->state &= SLOT_QUEUED | SLOT_AGAIN;
	x->next_free = 0;
	if (s->free_tail)
		slots_at(s, s->free_tail)->next_free = slot;
	else
		s->free_head = slot;
	s->free_tail = slot;
	s->used_n--;
	s->evicted_n++;
}

/* --- changes --------------------------------------------------------------------------------- */

void slots_dirty(struct slots *s, uint32_t slot, bool again)
{
	struct slot *x = slots_at(s, slot);

	x->state |= SLOT_DIRTY;
	if (x->state & SLOT_QUEUED) {
		/* It was another, or could wait until now. */
		s->again_due |= !again && x->state & SLOT_AGAIN;
		return;
	}
	x->state |= (uint8_t)(SLOT_QUEUED | (again ? SLOT_AGAIN : 0));
	x->next_dirty = 0;
	if (s->dirty[again].tail)
		slots_at(s, s->dirty[again].tail)->next_dirty = slot;
	else
		s->dirty[again].head = slot;
	s->dirty[again].tail = slot;
}

static uint32_t next_dirty(struct slots *s, bool again)
{
	uint32_t slot;

	while ((slot = s->dirty[again].head)) {
		struct slot *x = slots_at(s, slot);
		bool dirty = x->state & SLOT_DIRTY;

		s->dirty[again].head = x->next_dirty;
		if (!s->dirty[again].head)
			s->dirty[again].tail = 0;
		x->state &= (uint8_t) ~(SLOT_DIRTY | SLOT_QUEUED | SLOT_AGAIN);
		if (dirty)
			return slot;
	}
	return 0;
}

uint32_t slots_next_dirty(struct slots *s, bool all)
{
	uint32_t slot = next_dirty(s, false);

	if (!slot && (all || s->again_due)) {
		slot = next_dirty(s, true);
		s->again_due = s->again_due && slot;
	}
	return slot;
}

/* --- age ------------------------------------------------------------------------------------- */

static uint32_t epoch_of(uint64_t ts_ns)
{
	return (uint32_t)(ts_ns / HALF_LIFE_NS);
}

static uint32_t use_at(const struct slot *x, uint32_t epoch)
{
	uint32_t halvings = epoch > x->epoch ? epoch - x->epoch : 0;

	return halvings < 32 ? x->use >> halvings : 0;
}

void slots_use_old(struct slots *s, uint32_t slot, uint64_t ts_ns, uint64_t uses)
{
	struct slot *x = slots_at(s, slot);
	uint32_t epoch = epoch_of(ts_ns);
	uint64_t use = use_at(x, epoch) + uses * USE_ONE;

	x->use = use > UINT32_MAX ? UINT32_MAX : (uint32_t)use;
	x->epoch = epoch > x->epoch ? epoch : x->epoch;
}

void slots_use(struct slots *s, uint32_t slot, uint64_t ts_ns, uint64_t uses)
{
	slots_use_old(s, slot, ts_ns, uses);
	slots_at(s, slot)->seq = s->insert_seq;
}

/* --- the least useful ------------------------------------------------------------------------ */

struct candidate {
	uint32_t slot, use;
	uint64_t last_ns;
};

/* Candidates, least useful first. */
struct choice {
	struct candidate c[CANDIDATE_MAX];
	uint32_t n;
	uint32_t young_slot, young_age; /* the one longest untouched, if nothing else will do */
};

static bool less_useful(const struct candidate *a, const struct candidate *b)
{
	return a->use != b->use ? a->use < b->use : a->last_ns < b->last_ns;
}

static void consider(const struct slots *s, const struct slots_among *among, struct choice *ch,
		     uint32_t slot, uint32_t epoch)
{
	const struct slot *x = slots_at(s, slot);
	uint32_t untouched = s->insert_seq - x->seq, i;
	struct candidate c = {.slot = slot, .use = use_at(x, epoch)};

	if (!(x->state & SLOT_ALIVE) || !among->may(among->ctx, slot, &c.last_ns))
		return;
	if (untouched < s->max / 4) {
		if (!ch->young_slot || untouched > ch->young_age) {
			ch->young_slot = slot;
			ch->young_age = untouched;
		}
		return;
	}
	for (i = 0; i < ch->n; i++)
		if (ch->c[i].slot == slot)
			return;
	for (i = ch->n++; i && less_useful(&c, &ch->c[i - 1]); i--)
		ch->c[i] = ch->c[i - 1];
	ch->c[i] = c;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The next number under the hand; top steps visit each once. */
static uint32_t step_hand(struct hand *h, uint32_t top)
{
	if (h->stride_top != top) {
		h->stride_top = top;
		h->stride = (uint32_t)(top * 0.6180339887) | 1;
		while (gcd(h->stride, top) != 1)
			h->stride++;
	}
	h->at = (uint32_t)(((uint64_t)h->at + h->stride) % top);
	return h->at + 1;
}

uint32_t slots_least(const struct slots *s, const struct slots_among *among, struct hand *hand,
		     uint32_t top, uint64_t ts_ns)
{
	uint32_t epoch = epoch_of(ts_ns), kept_n;
	struct choice ch = {0};

	for (uint32_t i = 0; i < hand->kept_n; i++)
		consider(s, among, &ch, hand->kept[i], epoch);
	kept_n = ch.n;
	for (uint32_t i = 0; i < top && ch.n < kept_n + CANDIDATE_MAX - SLOTS_KEEP_MAX; i++) {
		uint32_t at = step_hand(hand, top);

		consider(s, among, &ch, among->slot_of ? among->slot_of(among->ctx, at) : at,
			 epoch);
	}
	hand->kept_n = 0;
	for (uint32_t i = 1; i < ch.n && hand->kept_n < SLOTS_KEEP_MAX; i++)
		hand->kept[hand->kept_n++] = ch.c[i].slot;
	return ch.n ? ch.c[0].slot : ch.young_slot;
}
