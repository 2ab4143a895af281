/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ranges.c - see ranges.h.
 *
 * Cells live in one pool and are chained in file order. A run is sorted and merged into the chain
 * in one pass: a cell that was used moves its share of runs up, one that was not moves it down, a
 * new one starts at 1/runs. The step is 1/runs for the first runs, an exact mean, and never less
 * than 1/16, so that a habit which ended is below one half after eleven runs. When more of the same
 * run comes, the cells in it get back what its first part took from them.
 */
#include "core/ranges.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_NONE = UINT32_MAX, P_ONE = 65535, RUNS_MEAN = 16, PACK_VERSION = 1 };

#define GAP_MAX (16u << 10)	/* read over a gap as long as that rather than ask twice */
#define PART_MAX (1u << 20)	/* longest part, so that order of first use means something */
#define DROP_BELOW (P_ONE / 64) /* a cell used this seldom is forgotten */

struct cell {
	uint32_t next;
	uint32_t cell : 31;
	uint32_t seen : 1; /* in the newest run */
	uint32_t first_us;
	uint16_t units;
	uint16_t p; /* share of runs, of P_ONE */
};

struct set {
	uint32_t block, file; /* block 0: free */
	uint32_t head, cells_n;
	uint32_t runs_n;
	uint64_t run; /* the newest */
	uint64_t likely_bytes;
	uint32_t older, newer; /* by last learnt */
	bool changed;	       /* since it was handed out for the store */
};

/* A part while it is planned. */
struct part {
	struct file_range range;
	uint32_t first_us;
};

struct ranges {
	struct ranges_limits limits;
	struct index index;
	struct set *sets;
	struct cell *cells;
	uint32_t free_set, free_cell; /* lists, by older and next */
	uint32_t oldest, newest;
	struct ranges_use *uses;	/* of one run, sorted */
	struct part *parts;		/* of one plan */
	uint32_t changed_n, changed_at; /* sets that changed, and where to look for the next */
	struct ranges_stats stats;
};

struct key {
	uint32_t block, file;
};

static uint64_t key_hash(uint32_t block, uint32_t file)
{
	return hash_mix2(block, file);
}

static bool key_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct set *s = &((const struct ranges *)ctx)->sets[slot];
	const struct key *k = key;

	return s->block == k->block && s->file == k->file;
}

static struct set *set_find(const struct ranges *r, uint32_t block, uint32_t file)
{
	const struct key k = {block, file};
	uint32_t slot = index_get(&r->index, key_hash(block, file), key_eq, r, &k);

	return slot == INDEX_NONE ? NULL : &r->sets[slot];
}

/* --- the pools -------------------------------------------------------------------------------- */

static void cell_put_back(struct ranges *r, uint32_t c)
{
	r->cells[c].next = r->free_cell;
	r->free_cell = c;
	r->stats.cells_n--;
}

static void age_unlink(struct ranges *r, struct set *s)
{
	if (s->older != CELL_NONE)
		r->sets[s->older].newer = s->newer;
	else
		r->oldest = s->newer;
	if (s->newer != CELL_NONE)
		r->sets[s->newer].older = s->older;
	else
		r->newest = s->older;
}

static void age_newest(struct ranges *r, struct set *s)
{
	uint32_t slot = (uint32_t)(s - r->sets);

	s->older = r->newest;
	s->newer = CELL_NONE;
	if (r->newest != CELL_NONE)
		r->sets[r->newest].newer = slot;
	else
		r->oldest = slot;
	r->newest = slot;
}

static void cells_clear(struct ranges *r, struct set *s)
{
	while (s->head != CELL_NONE) {
		uint32_t next = r->cells[s->head].next;

		cell_put_back(r, s->head);
		s->head = next;
	}
	s->cells_n = 0;
}

static void set_changed(struct ranges *r, struct set *s)
{
	r->changed_n += !s->changed;
	s->changed = true;
}

static void set_clean(struct ranges *r, struct set *s)
{
	r->changed_n -= s->changed;
	s->changed = false;
}

static void set_drop(struct ranges *r, struct set *s)
{
	uint32_t slot = (uint32_t)(s - r->sets);

	cells_clear(r, s);
	index_del(&r->index, key_hash(s->block, s->file), slot);
	age_unlink(r, s);
	set_clean(r, s);
	s->block = 0;
	s->older = r->free_set;
	r->free_set = slot;
	r->stats.sets_n--;
}

static bool evict_but(struct ranges *r, const struct set *keep)
{
	uint32_t slot = r->oldest;

	if (slot != CELL_NONE && &r->sets[slot] == keep)
		slot = r->sets[slot].newer;
	if (slot == CELL_NONE)
		return false;
	set_drop(r, &r->sets[slot]);
	r->stats.sets_evicted++;
	return true;
}

static uint32_t cell_get(struct ranges *r, const struct set *keep)
{
	uint32_t c;

	if (r->free_cell == CELL_NONE && !evict_but(r, keep))
		return CELL_NONE;
	c = r->free_cell;
	if (c == CELL_NONE)
		return CELL_NONE; /* what went had no cells; seldom, and the next run tries again */
	r->free_cell = r->cells[c].next;
	r->stats.cells_n++;
	return c;
}

static struct set *set_add(struct ranges *r, uint32_t block, uint32_t file)
{
	struct set *s;
	uint32_t slot;

	if (r->free_set == CELL_NONE)
		(void)evict_but(r, NULL);
	slot = r->free_set;
	s = &r->sets[slot];
	r->free_set = s->older;
	*s = (struct set){.block = block, .file = file, .head = CELL_NONE};
	index_put(&r->index, key_hash(block, file), slot);
	age_newest(r, s);
	r->stats.sets_n++;
	return s;
}

int ranges_new(const struct ranges_limits *limits, struct ranges **ret)
{
	struct ranges *r;

	assert(limits->set_max && limits->cell_max);
	r = calloc(1, sizeof(*r));
	if (!r)
		return fault(-ENOMEM);
	r->limits = *limits;
	r->sets = calloc(limits->set_max, sizeof(*r->sets));
	r->cells = calloc(limits->cell_max, sizeof(*r->cells));
	r->uses = calloc(RANGES_SET_CELLS, sizeof(*r->uses));
	r->parts = calloc(RANGES_SET_CELLS, sizeof(*r->parts));
	if (!r->sets || !r->cells || !r->uses || !r->parts ||
	    index_init(&r->index, limits->set_max) < 0) {
		ranges_free(r);
		return fault(-ENOMEM);
	}
	for (uint32_t i = 0; i < limits->set_max; i++)
		r->sets[i].older = i + 1 < limits->set_max ? i + 1 : CELL_NONE;
	for (uint32_t i = 0; i < limits->cell_max; i++)
		r->cells[i].next = i + 1 < limits->cell_max ? i + 1 : CELL_NONE;
	r->oldest = r->newest = CELL_NONE;
	r->stats.bytes = sizeof(*r) + limits->set_max * sizeof(*r->sets) +
			 limits->cell_max * sizeof(*r->cells) +
			 RANGES_SET_CELLS * (sizeof(*r->uses) + sizeof(*r->parts)) +
			 (r->index.mask + 1ull) * sizeof(struct index_cell);
	*ret = r;
	return 0;
}

struct ranges *ranges_free(struct ranges *r)
{
	if (!r)
		return NULL;
	index_fini(&r->index);
	free(r->sets);
	free(r->cells);
	free(r->uses);
	free(r->parts);
	free(r);
	return NULL;
}

/* --- learning --------------------------------------------------------------------------------- */

static int use_by_cell(const void *a, const void *b)
{
	const struct ranges_use *x = a, *y = b;

	return x->cell != y->cell ? (x->cell < y->cell ? -1 : 1) : 0;
}

/* Sorts a run, one entry a cell. Returns how many. */
static size_t run_sort(struct ranges *r, const struct ranges_use *uses, size_t n)
{
	size_t to = 0;

	if (n > RANGES_SET_CELLS) {
		r->stats.cells_dropped += n - RANGES_SET_CELLS;
		n = RANGES_SET_CELLS;
	}
	memcpy(r->uses, uses, n * sizeof(*uses));
	qsort(r->uses, n, sizeof(*r->uses), use_by_cell);
	for (size_t i = 0; i < n; i++) {
		struct ranges_use *last = to ? &r->uses[to - 1] : NULL;

		if (!last || last->cell != r->uses[i].cell) {
			r->uses[to++] = r->uses[i];
			continue;
		}
		last->units |= r->uses[i].units;
		if (r->uses[i].first_us < last->first_us)
			last->first_us = r->uses[i].first_us;
	}
	return to;
}

static void cell_used(struct cell *c, const struct ranges_use *u, uint32_t runs, bool more)
{
	uint32_t p = c->p;

	if (!more)
		p += (P_ONE - p) / runs;
	else if (!c->seen)
		p += P_ONE / runs;
	c->p = (uint16_t)(p < P_ONE ? p : P_ONE);
	if (!c->seen || !more)
		c->first_us = (uint32_t)(((uint64_t)c->first_us * 3 + u->first_us) / 4);
	c->seen = 1;
	c->units |= u->units;
}

/* Returns where the chain goes on. */
static uint32_t *cell_unused(struct ranges *r, struct set *s, uint32_t *at, uint32_t runs)
{
	uint32_t this = *at;
	struct cell *c = &r->cells[this];

	c->seen = 0;
	c->p = (uint16_t)(c->p - c->p / runs);
	if (c->p >= DROP_BELOW)
		return &c->next;
	*at = c->next;
	cell_put_back(r, this);
	s->cells_n--;
	return at;
}

/* A new cell before *at. Returns where the chain goes on. */
static uint32_t *cell_new(struct ranges *r, struct set *s, uint32_t *at, const struct ranges_use *u,
			  uint32_t runs)
{
	uint32_t fresh = s->cells_n < RANGES_SET_CELLS ? cell_get(r, s) : CELL_NONE;

	if (fresh == CELL_NONE) {
		r->stats.cells_dropped++;
		return at;
	}
	r->cells[fresh] = (struct cell){.next = *at,
					.cell = u->cell & INT32_MAX,
					.seen = 1,
					.first_us = u->first_us,
					.units = u->units,
					.p = (uint16_t)(P_ONE / runs)};
	*at = fresh;
	s->cells_n++;
	return &r->cells[fresh].next;
}

static void set_likely(struct ranges *r, struct set *s)
{
	s->likely_bytes = 0;
	for (uint32_t i = s->head; i != CELL_NONE; i = r->cells[i].next)
		if (r->cells[i].p >= P_ONE / 2)
			s->likely_bytes +=
				(uint64_t)__builtin_popcount(r->cells[i].units) * RANGES_UNIT;
}

int ranges_learn(struct ranges *r, uint32_t block, uint32_t file, uint64_t run,
		 const struct ranges_use *uses, size_t n)
{
	struct set *s;
	uint32_t *at, runs;
	size_t i = 0;
	bool more;

	assert(block && file);
	if (!n)
		return 0;
	n = run_sort(r, uses, n);
	s = set_find(r, block, file);
	if (!s)
		s = set_add(r, block, file);
	age_unlink(r, s);
	age_newest(r, s);
	more = s->runs_n && s->run == run;
	s->run = run;
	if (!more && s->runs_n < UINT16_MAX)
		s->runs_n++;
	runs = s->runs_n < RUNS_MEAN ? s->runs_n : RUNS_MEAN;
	at = &s->head;
	while (i < n || *at != CELL_NONE) {
		struct cell *c = *at == CELL_NONE ? NULL : &r->cells[*at];

		if (c && (i == n || c->cell < r->uses[i].cell)) {
			at = more ? &c->next : cell_unused(r, s, at, runs);
		} else if (c && c->cell == r->uses[i].cell) {
			cell_used(c, &r->uses[i++], runs, more);
			at = &c->next;
		} else {
			at = cell_new(r, s, at, &r->uses[i++], runs);
		}
	}
	set_likely(r, s);
	set_changed(r, s);
	return 0;
}

uint64_t ranges_bytes(const struct ranges *r, uint32_t block, uint32_t file)
{
	const struct set *s = set_find(r, block, file);

	return s ? s->likely_bytes : 0;
}

void ranges_forget_id(struct ranges *r, uint32_t id)
{
	for (uint32_t i = 0; i < r->limits.set_max; i++)
		if (r->sets[i].block && (r->sets[i].block == id || r->sets[i].file == id))
			set_drop(r, &r->sets[i]);
}

/* --- planning --------------------------------------------------------------------------------- */

static int part_by_first(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->first_us != y->first_us)
		return x->first_us < y->first_us ? -1 : 1;
	return x->range.off < y->range.off ? -1 : x->range.off > y->range.off;
}

/* Adds [off, off + len) to the parts, to the last one where they are near. With gaps bridged a cell
 * gives three at most; beyond RANGES_SET_CELLS parts, which takes a file used in over 5,000
 * scattered places, the rest of the file is left out. */
static void part_add(struct ranges *r, size_t *n, uint64_t off, uint64_t len, uint32_t first_us)
{
	struct part *last = *n ? &r->parts[*n - 1] : NULL;
	uint64_t end = last ? last->range.off + last->range.len : 0;

	if (last && off - end <= GAP_MAX && off + len - last->range.off <= PART_MAX) {
		last->range.len = off + len - last->range.off;
		if (first_us < last->first_us)
			last->first_us = first_us;
		return;
	}
	if (*n == RANGES_SET_CELLS)
		return;
	r->parts[(*n)++] = (struct part){{off, len}, first_us};
}

static size_t parts_of(struct ranges *r, const struct set *s, uint16_t p_min)
{
	size_t n = 0;

	for (uint32_t i = s->head; i != CELL_NONE; i = r->cells[i].next) {
		const struct cell *c = &r->cells[i];
		uint32_t unit = 0, run;

		while (c->p >= p_min && unit < RANGES_CELL_UNITS) {
			for (; unit < RANGES_CELL_UNITS && !(c->units >> unit & 1); unit++)
				;
			for (run = unit; unit < RANGES_CELL_UNITS && c->units >> unit & 1; unit++)
				;
			if (unit > run)
				part_add(r, &n, (uint64_t)c->cell * RANGES_CELL + run * RANGES_UNIT,
					 (unit - run) * RANGES_UNIT, c->first_us);
		}
	}
	return n;
}

int ranges_plan(struct ranges *r, uint32_t block, uint32_t file, double p_min, uint64_t bytes_max,
		struct file_range *ret, size_t max, size_t *ret_n, uint32_t *ret_first_us)
{
	const struct set *s = set_find(r, block, file);
	size_t n, to = 0;

	if (!s)
		return RANGES_UNKNOWN;
	n = parts_of(r, s, p_min <= 0 ? 0 : p_min >= 1 ? P_ONE : (uint16_t)(p_min * P_ONE));
	qsort(r->parts, n, sizeof(*r->parts), part_by_first);
	for (size_t i = 0; i < n && to < max && bytes_max; i++, to++) {
		ret[to] = r->parts[i].range;
		if (ret[to].len > bytes_max)
			ret[to].len = bytes_max;
		bytes_max -= ret[to].len;
	}
	*ret_n = to;
	if (ret_first_us)
		*ret_first_us = n ? r->parts[0].first_us : 0;
	return 0;
}

bool ranges_next_change(struct ranges *r, uint32_t *ret_block, uint32_t *ret_file)
{
	while (r->changed_n) {
		struct set *s = &r->sets[r->changed_at];

		r->changed_at = (r->changed_at + 1) % r->limits.set_max;
		if (!s->changed)
			continue;
		set_clean(r, s);
		*ret_block = s->block;
		*ret_file = s->file;
		return true;
	}
	return false;
}

void ranges_changed(struct ranges *r, uint32_t block, uint32_t file)
{
	struct set *s = set_find(r, block, file);

	if (s)
		set_changed(r, s);
}

void ranges_changed_all(struct ranges *r)
{
	for (uint32_t i = 0; i < r->limits.set_max; i++)
		if (r->sets[i].block)
			set_changed(r, &r->sets[i]);
}

/* --- as bytes --------------------------------------------------------------------------------- */

static void put32(uint8_t *to, uint32_t x)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(x >> (8 * i));
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
	       (uint32_t)from[3] << 24;
}

int ranges_pack(const struct ranges *r, uint32_t block, uint32_t file, uint8_t *buf, size_t size,
		size_t *ret_len)
{
	const struct set *s = set_find(r, block, file);

	if (!s)
		return RANGES_UNKNOWN;
	*ret_len = RANGES_PACK_HEAD + s->cells_n * (size_t)RANGES_PACK_CELL;
	if (*ret_len > size)
		return -ENOSPC;
	put32(buf, PACK_VERSION << 16 | s->runs_n);
	put32(buf + 4, s->cells_n);
	buf += RANGES_PACK_HEAD;
	for (uint32_t i = s->head; i != CELL_NONE; i = r->cells[i].next, buf += RANGES_PACK_CELL) {
		put32(buf, r->cells[i].cell);
		put32(buf + 4, (uint32_t)r->cells[i].units << 16 | r->cells[i].p);
		put32(buf + 8, r->cells[i].first_us);
	}
	return 0;
}

/* Cells ascend, none is empty, and the length is what the head says. */
static bool pack_valid(const uint8_t *buf, size_t len)
{
	uint32_t n, last = 0;

	if (len < RANGES_PACK_HEAD || get32(buf) >> 16 != PACK_VERSION || !(get32(buf) & 0xffff))
		return false;
	n = get32(buf + 4);
	if (n > RANGES_SET_CELLS || len != RANGES_PACK_HEAD + n * (size_t)RANGES_PACK_CELL)
		return false;
	buf += RANGES_PACK_HEAD;
	for (uint32_t i = 0; i < n; last = get32(buf), i++, buf += RANGES_PACK_CELL)
		if ((i && get32(buf) <= last) || get32(buf) > INT32_MAX || !(get32(buf + 4) >> 16))
			return false;
	return true;
}

int ranges_unpack(struct ranges *r, uint32_t block, uint32_t file, const uint8_t *buf, size_t len)
{
	struct set *s;
	uint32_t *at, n;

	assert(block && file);
	if (!pack_valid(buf, len))
		return fault(-EBADMSG);
	s = set_find(r, block, file);
	if (!s)
		s = set_add(r, block, file);
	cells_clear(r, s);
	set_clean(r, s);
	s->runs_n = get32(buf) & 0xffff;
	n = get32(buf + 4);
	buf += RANGES_PACK_HEAD;
	at = &s->head;
	for (uint32_t i = 0; i < n; i++, buf += RANGES_PACK_CELL) {
		uint32_t c = cell_get(r, s);

		if (c == CELL_NONE) {
			r->stats.cells_dropped += n - i;
			break;
		}
		r->cells[c] = (struct cell){.next = CELL_NONE, /* seen in no run of ours */
					    .cell = get32(buf) & INT32_MAX,
					    .first_us = get32(buf + 8),
					    .units = (uint16_t)(get32(buf + 4) >> 16),
					    .p = (uint16_t)get32(buf + 4)};
		*at = c;
		at = &r->cells[c].next;
		s->cells_n++;
	}
	set_likely(r, s);
	return 0;
}

void ranges_stats(const struct ranges *r, struct ranges_stats *ret)
{
	*ret = r->stats;
}
