/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * table.h - what the baselines share: contexts with counted successors, growing without bound.
 *
 * Part of tools/baselines.c. They are for comparison, so simple comes before fast and frugal; an
 * allocation that fails ends the program.
 */
#ifndef BASELINES_TABLE_H
#define BASELINES_TABLE_H

#include "core/tally.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>

struct edge {
	uint32_t symbol, count;
};

struct node {
	uint64_t key;
	struct edge *edges; /* in order of arrival, newest moved to the front by table_touch() */
	uint32_t n, cap, total;
};

struct table {
	struct node *nodes; /* [0] unused */
	uint32_t *cells;
	size_t n, cap;
};

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "baselines: out of memory\n");
		exit(1);
	}
	return p;
}

static uint64_t key_of(uint64_t h, uint64_t x)
{
	h = (h ^ (x + 0x9e3779b97f4a7c15ull)) * 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

/* Of the last n symbols. */
static uint64_t context_key(const uint32_t *past, size_t past_n, size_t n)
{
	uint64_t h = n + 1;

	for (size_t i = 0; i < n; i++)
		h = key_of(h, past[past_n - 1 - i]);
	return h;
}

static void table_grow(struct table *t)
{
	t->cap = t->cap ? t->cap * 2 : 1024;
	t->nodes = must(realloc(t->nodes, (t->cap + 1) * sizeof(*t->nodes)));
	free(t->cells);
	t->cells = must(calloc(t->cap * 2, sizeof(*t->cells)));
	for (size_t i = 1; i <= t->n; i++) {
		size_t h = t->nodes[i].key & (t->cap * 2 - 1);

		while (t->cells[h])
			h = (h + 1) & (t->cap * 2 - 1);
		t->cells[h] = (uint32_t)i;
	}
}

static struct node *table_find(const struct table *t, uint64_t key)
{
	size_t h;

	if (!t->cap)
		return NULL;
	h = key & (t->cap * 2 - 1);
	while (t->cells[h] && t->nodes[t->cells[h]].key != key)
		h = (h + 1) & (t->cap * 2 - 1);
	return t->cells[h] ? &t->nodes[t->cells[h]] : NULL;
}

static struct node *table_make(struct table *t, uint64_t key)
{
	struct node *n = table_find(t, key);
	size_t h;

	if (n)
		return n;
	if (t->n == t->cap)
		table_grow(t);
	h = key & (t->cap * 2 - 1);
	while (t->cells[h])
		h = (h + 1) & (t->cap * 2 - 1);
	t->cells[h] = (uint32_t)++t->n;
	t->nodes[t->n] = (struct node){.key = key};
	return &t->nodes[t->n];
}

static struct edge *node_edge(const struct node *n, uint32_t symbol)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (n->edges[i].symbol == symbol)
			return &n->edges[i];
	return NULL;
}

/* Counts the symbol; it becomes the first edge. */
static void node_touch(struct node *n, uint32_t symbol)
{
	struct edge *e = node_edge(n, symbol), now;

	if (!e) {
		if (n->n == n->cap) {
			n->cap = n->cap ? n->cap * 2 : 2;
			n->edges = must(realloc(n->edges, n->cap * sizeof(*n->edges)));
		}
		e = &n->edges[n->n++];
		*e = (struct edge){.symbol = symbol};
	}
	now = *e;
	now.count++;
	n->total++;
	memmove(n->edges + 1, n->edges, (size_t)((char *)e - (char *)n->edges));
	n->edges[0] = now;
}

static size_t table_bytes(const struct table *t)
{
	size_t bytes = t->cap * (sizeof(struct node) + 2 * sizeof(uint32_t));

	for (size_t i = 1; i <= t->n; i++)
		bytes += t->nodes[i].cap * sizeof(struct edge);
	return bytes;
}

static void table_fini(struct table *t)
{
	for (size_t i = 1; i <= t->n; i++)
		free(t->nodes[i].edges);
	free(t->nodes);
	free(t->cells);
	*t = (struct table){0};
}

/* --- ranked lists ---------------------------------------------------------------------------- */

struct ranking {
	struct vomm_guess *guesses; /* likeliest first */
	size_t n, max;
};

/* Puts a symbol where its p belongs, unless it is there already. */
static void rank_add(struct ranking *r, uint32_t symbol, double p)
{
	size_t at;

	for (size_t i = 0; i < r->n; i++)
		if (r->guesses[i].symbol == symbol)
			return;
	if (r->n == r->max && p <= r->guesses[r->n - 1].p)
		return;
	at = r->n < r->max ? r->n++ : r->n - 1;
	for (; at > 0 && r->guesses[at - 1].p < p; at--)
		r->guesses[at] = r->guesses[at - 1];
	r->guesses[at] = (struct vomm_guess){.symbol = symbol, .p = p};
}

/* The successors of n by count, all below the p of those already there. */
static void rank_below(struct ranking *r, const struct node *n)
{
	double top = r->n ? r->guesses[r->n - 1].p * 0.999 : 1;

	for (uint32_t i = 0; n && i < n->n; i++)
		rank_add(r, n->edges[i].symbol, top * n->edges[i].count / n->total);
}

#endif
