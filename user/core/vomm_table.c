// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vomm_table.c - where contexts and symbols live.
 *
 * A context is a 32-byte cell found by a 64-bit hash in a bucket of four: no tree, no pointers, so
 * looking one up costs one cache miss whatever its order, and forgetting one costs nothing. Most
 * contexts are followed by one or two symbols; the few with many go on in further cells, found by
 * the hash of the first and a number.
 */
#include "core/vomm_impl.h"

#include <assert.h>
#include <string.h>

struct cell *vomm_cell_make(struct vomm *v, uint64_t hash, uint8_t kind, const struct cell *keep)
{
	struct cell *c = vomm_bucket(v, hash);
	struct cell *left = vomm_cell_find(v, hash); /* by a context that was forgotten */
	struct cell *worst = left;

	for (int i = 0; i < BUCKET && !left; i++) {
		if (!c[i].check) {
			worst = &c[i];
			v->context_n++;
			break;
		}
		if (&c[i] != keep && (!worst || c[i].use < worst->use))
			worst = &c[i];
	}
	if (!left && worst->check) {
		v->context_forgotten_n++;
		/* Who was spared pays for it, so that nothing stays only for what it once was. */
		for (int i = 0; i < BUCKET; i++)
			if (&c[i] != worst && c[i].use)
				c[i].use--;
	}
	memset(worst, 0, sizeof(*worst));
	worst->check = vomm_check(hash);
	worst->kind = kind;
	return worst;
}

/* Of absolute discounting: Ney, Essen, Kneser. */
void vomm_discount(struct vomm *v, uint32_t kind)
{
	float ones = (float)v->count_of_counts[kind][1], twos = (float)v->count_of_counts[kind][2];

	v->discount[kind] = (ones + 1.0f) / (ones + 2.0f * twos + 1.5f);
}

static void edge_bump(struct vomm *v, uint32_t *edge, uint32_t kind)
{
	uint32_t n = *edge & COUNT_MAX;
	uint32_t *ns = v->count_of_counts[kind];

	if (n < 4 && kind < VOMM_CONTEXT_MAX) {
		ns[n]--;
		ns[n + 1]++;
		vomm_discount(v, kind);
	}
	++*edge;
}

/* A count has no room left: halve them all, the small ones first of all to go. */
static void cell_halve(struct vomm *v, struct cell *first, uint64_t hash)
{
	uint32_t *ns = v->count_of_counts[first->kind];
	struct cell *c = first;

	for (uint32_t e = 0;; c = vomm_cell_find(v, vomm_ext_hash(hash, e))) {
		for (int i = 0; c && i < CELL_EDGES; i++) {
			uint32_t was = c->edge[i] & COUNT_MAX, n = was / 2;

			ns[was < 4 ? was : 4]--;
			ns[n < 4 ? n : 4]++;
			c->edge[i] = n ? (c->edge[i] & ~(uint32_t)COUNT_MAX) | n : 0;
		}
		if (e++ == first->ext_n)
			break;
	}
	vomm_discount(v, first->kind);
}

/* Puts the edge at *at to the front of its context. */
static void cell_front(struct cell *first, uint32_t *at)
{
	uint32_t was = first->edge[0];

	if (at == &first->edge[0]) {
		if (first->run < 255)
			first->run++;
		return;
	}
	first->run = 0;
	first->edge[0] = *at;
	*at = was;
}

/* Further cells a context may have: what is no suffix only hints, and is not worth many. */
static uint32_t ext_max(uint32_t kind)
{
	return kind < vomm_spec_n && vomm_specs[kind].suffix ? EXT_MAX : EXT_MAX / 2;
}

void vomm_cell_learn(struct vomm *v, struct cell *first, uint64_t hash, uint32_t symbol)
{
	uint32_t *found = NULL, *free_edge = NULL, *least = NULL;
	struct cell *c = first;

	if (first->use < 255)
		first->use++;
	if (first->edge[0] >> COUNT_BITS == symbol) { /* as mostly */
		edge_bump(v, &first->edge[0], first->kind);
		if ((first->edge[0] & COUNT_MAX) == COUNT_MAX)
			cell_halve(v, first, hash);
		cell_front(first, &first->edge[0]);
		return;
	}
	for (uint32_t e = 0;; c = vomm_cell_find(v, vomm_ext_hash(hash, e))) {
		for (int i = 0; c && i < CELL_EDGES && !found; i++) {
			uint32_t *edge = &c->edge[i];

			if (*edge >> COUNT_BITS == symbol)
				found = edge;
			else if (!*edge && !free_edge)
				free_edge = edge;
			else if (*edge && edge != &first->edge[0] &&
				 (!least || (*edge & COUNT_MAX) < (*least & COUNT_MAX)))
				least = edge;
		}
		if (c && e)
			c->use = first->use;
		if (found || e++ == first->ext_n)
			break;
	}
	if (!found && !free_edge && first->ext_n < ext_max(first->kind)) {
		c = vomm_cell_make(v, vomm_ext_hash(hash, first->ext_n + 1u), 0xff, first);
		c->use = first->use;
		first->ext_n++;
		free_edge = &c->edge[0];
	}
	if (!found) {
		found = free_edge ? free_edge : least;
		if (!free_edge)
			v->successor_forgotten_n++;
		*found = symbol << COUNT_BITS;
	}
	edge_bump(v, found, first->kind);
	if ((*found & COUNT_MAX) == COUNT_MAX)
		cell_halve(v, first, hash);
	cell_front(first, found);
}

static uint32_t symbol_home(const struct vomm *v, uint32_t name)
{
	return (uint32_t)vomm_mix64(name + 0x9e3779b97f4a7c15ull) & v->symbol_mask;
}

void vomm_symbol_prefetch(const struct vomm *v, uint32_t name)
{
	__builtin_prefetch(&v->symbol_index[symbol_home(v, name)]);
}

uint32_t vomm_symbol_find(const struct vomm *v, uint32_t name)
{
	for (uint32_t i = symbol_home(v, name);; i = (i + 1) & v->symbol_mask) {
		uint32_t at = v->symbol_index[i];

		if (!at || v->symbols[at].name == name)
			return at;
	}
}

static void symbol_unindex(struct vomm *v, uint32_t number)
{
	uint32_t i = symbol_home(v, v->symbols[number].name);

	while (v->symbol_index[i] != number)
		i = (i + 1) & v->symbol_mask;
	for (uint32_t j = i;;) { /* close the gap: move back whoever may */
		uint32_t at, home;

		v->symbol_index[i] = 0;
		do {
			j = (j + 1) & v->symbol_mask;
			at = v->symbol_index[j];
			if (!at)
				return;
			home = symbol_home(v, v->symbols[at].name);
		} while (i <= j ? (i < home && home <= j) : (i < home || home <= j));
		v->symbol_index[i] = at;
		i = j;
	}
}

/* The table is full: of the next few in turn, the one seen least, and longest ago, goes. */
static uint32_t symbol_forget(struct vomm *v)
{
	uint32_t worst = 0;

	for (int i = 0; i < 16; i++) {
		const struct symbol *s;

		v->symbol_hand = v->symbol_hand % v->limits.symbol_max + 1;
		s = &v->symbols[v->symbol_hand];
		if (!worst || s->count < v->symbols[worst].count ||
		    (s->count == v->symbols[worst].count &&
		     (uint32_t)v->observed_n - s->last >
			     (uint32_t)v->observed_n - v->symbols[worst].last))
			worst = v->symbol_hand;
	}
	symbol_unindex(v, worst);
	v->count_sum -= v->symbols[worst].count;
	v->symbol_forgotten_n++;
	return worst;
}

uint32_t vomm_symbol_make(struct vomm *v, uint32_t name)
{
	uint32_t number = v->symbol_n < v->limits.symbol_max ? ++v->symbol_n : symbol_forget(v);
	uint32_t i = symbol_home(v, name);

	v->symbols[number] = (struct symbol){.name = name};
	while (v->symbol_index[i])
		i = (i + 1) & v->symbol_mask;
	v->symbol_index[i] = number;
	return number;
}
