/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * predictors.h - the predictors others have published or ship, as they are described.
 *
 *   last      the last successor of the newest symbol, then the ones before it
 *   order 1   counts of the successors of the newest symbol
 *   pairwise  how often b came within a window after a, for each a of the window, combined as
 *             independent causes: the correlation of pairs that preload keeps (Esfahbod 2006)
 *   AKOM      all k orders, the longest known context alone decides (Pitkow, Pirolli 1999)
 *   PPM-C     orders with escape method C and exclusion (Moffat 1990)
 *   LZ78      the tree of phrases (Ziv, Lempel 1978; Feder et al. 1992)
 *   DG        dependency graph: b within a window after a (Padmanabhan, Mogul 1996)
 *   TDAG      a tree that grows only where it is likely to be, and is asked where it is well
 *             supported (Laird, Saul 1994)
 *   CPT+      see cpt.h (Gueniche et al. 2015)
 *
 * Part of tools/baselines.c.
 */
#ifndef BASELINES_PREDICTORS_H
#define BASELINES_PREDICTORS_H

#include "table.h"

/* Of one stream: everything so far, oldest first. */
struct past {
	const uint32_t *at;
	size_t n;
	uint32_t stream;
};

struct predictor {
	const char *name;
	void *(*make)(size_t symbol_n, size_t stream_n);
	void (*drop)(void *p);
	void (*predict)(void *p, const struct past *past, struct ranking *r);
	double (*probability)(void *p, const struct past *past, uint32_t symbol); /* or NULL */
	void (*learn)(void *p, const struct past *past, uint32_t symbol);
	void (*end)(void *p, const struct past *past); /* of a stream; or NULL */
	size_t (*bytes)(const void *p);
	uint32_t every; /* asked only at each so many-th event: it is too slow for more; 0: all */
};

struct markov {
	struct table t;
	size_t symbol_n;
	uint64_t *at; /* LZ78: phrase of each stream, as the key of its node */
};

enum {
	ORDERS = 5,
	DG_WINDOW = 4,
	PAIR_WINDOW = 10,
	TDAG_DEPTH = 7,
	TDAG_SUPPORT = 4,
	LZ_DEPTH = 8
};

static void *markov_make(size_t symbol_n, size_t stream_n)
{
	struct markov *m = must(calloc(1, sizeof(*m)));

	m->symbol_n = symbol_n;
	m->at = must(calloc(stream_n, sizeof(*m->at)));
	return m;
}

static void markov_drop(void *p)
{
	struct markov *m = p;

	table_fini(&m->t);
	free(m->at);
	free(m);
}

static size_t markov_bytes(const void *p)
{
	return table_bytes(&((const struct markov *)p)->t);
}

/* --- last successor, order 1 --- */

static void last_predict(void *p, const struct past *past, struct ranking *r)
{
	const struct markov *m = p;
	const struct node *n =
		past->n ? table_find(&m->t, context_key(past->at, past->n, 1)) : NULL;

	for (uint32_t i = 0; n && i < n->n && i < r->max; i++)
		rank_add(r, n->edges[i].symbol, 1.0 / (i + 1));
}

static void order1_predict(void *p, const struct past *past, struct ranking *r)
{
	const struct markov *m = p;

	if (past->n)
		rank_below(r, table_find(&m->t, context_key(past->at, past->n, 1)));
}

static void order1_learn(void *p, const struct past *past, uint32_t symbol)
{
	struct markov *m = p;

	if (past->n)
		node_touch(table_make(&m->t, context_key(past->at, past->n, 1)), symbol);
}

/* --- windows: dependency graph, pairwise --- */

static void window_learn(struct markov *m, const struct past *past, uint32_t symbol, size_t window)
{
	for (size_t i = 1; i <= window && i <= past->n; i++) {
		uint32_t from = past->at[past->n - i];
		size_t j = 1;

		while (j < i && past->at[past->n - j] != from)
			j++;
		if (j == i) /* the same one, nearer, was counted */
			node_touch(table_make(&m->t, key_of(2, from)), symbol);
	}
	/* How often it came itself, as the count of symbol 0. */
	node_touch(table_make(&m->t, key_of(2, symbol)), 0);
}

static void dg_learn(void *p, const struct past *past, uint32_t symbol)
{
	window_learn(p, past, symbol, DG_WINDOW);
}

static void pair_learn(void *p, const struct past *past, uint32_t symbol)
{
	window_learn(p, past, symbol, PAIR_WINDOW);
}

static void dg_predict(void *p, const struct past *past, struct ranking *r)
{
	const struct markov *m = p;
	const struct node *n = past->n ? table_find(&m->t, key_of(2, past->at[past->n - 1])) : NULL;
	const struct edge *own = n ? node_edge(n, 0) : NULL;

	for (uint32_t i = 0; own && i < n->n; i++)
		if (n->edges[i].symbol)
			rank_add(r, n->edges[i].symbol,
				 (double)n->edges[i].count / (own->count + 1.0));
}

static void pair_predict(void *p, const struct past *past, struct ranking *r)
{
	const struct markov *m = p;
	static double miss[1 << 20]; /* by symbol: probability that no cause brings it, less 1 */
	static uint32_t seen[1 << 16];
	size_t seen_n = 0;

	for (size_t i = 1; i <= PAIR_WINDOW && i <= past->n; i++) {
		const struct node *n = table_find(&m->t, key_of(2, past->at[past->n - i]));
		const struct edge *own = n ? node_edge(n, 0) : NULL;

		for (uint32_t k = 0; own && k < n->n; k++) {
			uint32_t s = n->edges[k].symbol;
			double q = (double)n->edges[k].count / (own->count + 1.0);

			if (!s || s >= 1 << 20 || seen_n == 1 << 16)
				continue;
			if (miss[s] == 0)
				seen[seen_n++] = s;
			miss[s] = (1 + miss[s]) * (q < 0.999 ? 1 - q : 0.001) - 1;
		}
	}
	for (size_t i = 0; i < seen_n; i++) {
		rank_add(r, seen[i], -miss[seen[i]]);
		miss[seen[i]] = 0;
	}
}

/* --- all k orders --- */

static void akom_predict(void *p, const struct past *past, struct ranking *r)
{
	const struct markov *m = p;

	for (size_t k = past->n < ORDERS ? past->n : ORDERS; k > 0 && r->n < r->max; k--)
		rank_below(r, table_find(&m->t, context_key(past->at, past->n, k)));
}

static void akom_learn(void *p, const struct past *past, uint32_t symbol)
{
	struct markov *m = p;

	for (size_t k = 0; k <= ORDERS && k <= past->n; k++)
		node_touch(table_make(&m->t, context_key(past->at, past->n, k)), symbol);
}

/* --- PPM-C --- */

struct excluded {
	uint32_t symbol[4096];
	size_t n;
};

static bool is_excluded(const struct excluded *x, uint32_t symbol)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->symbol[i] == symbol)
			return true;
	return false;
}

/* Walks down the orders. With symbol its probability is returned, else the guesses are ranked. */
static double ppm_walk(const struct markov *m, const struct past *past, uint32_t symbol,
		       struct ranking *r)
{
	static struct excluded x;
	double left = 1;

	x.n = 0;
	for (size_t k = (past->n < ORDERS ? past->n : ORDERS) + 1; k-- > 0;) {
		const struct node *n = table_find(&m->t, context_key(past->at, past->n, k));
		double total = 0, distinct = 0;

		for (uint32_t i = 0; n && i < n->n; i++) {
			if (is_excluded(&x, n->edges[i].symbol))
				continue;
			total += n->edges[i].count;
			distinct++;
		}
		if (total <= 0)
			continue;
		for (uint32_t i = 0; i < n->n; i++) {
			double q = left * n->edges[i].count / (total + distinct);

			if (is_excluded(&x, n->edges[i].symbol))
				continue;
			if (symbol && n->edges[i].symbol == symbol)
				return q;
			if (r)
				rank_add(r, n->edges[i].symbol, q);
		}
		left *= distinct / (total + distinct);
		for (uint32_t i = 0; k && i < n->n && x.n < 4096; i++)
			if (!is_excluded(&x, n->edges[i].symbol))
				x.symbol[x.n++] = n->edges[i].symbol;
		if (r && r->n == r->max && left < r->guesses[r->n - 1].p)
			break;
	}
	return left / (double)(m->symbol_n > x.n ? m->symbol_n - x.n : 1);
}

static void ppm_predict(void *p, const struct past *past, struct ranking *r)
{
	(void)ppm_walk(p, past, 0, r);
}

static double ppm_probability(void *p, const struct past *past, uint32_t symbol)
{
	return ppm_walk(p, past, symbol, NULL);
}

/* --- LZ78 --- */

/* The longest of the last symbols that is a path of the tree of phrases. */
static uint64_t lz78_place(const struct markov *m, const struct past *past)
{
	for (size_t k = past->n < LZ_DEPTH ? past->n : LZ_DEPTH; k > 0; k--) {
		uint64_t here = 1;
		size_t i = 0;

		while (i < k) {
			const struct node *n = table_find(&m->t, here);

			if (!n || !node_edge(n, past->at[past->n - k + i]))
				break;
			here = key_of(here, past->at[past->n - k + i++]);
		}
		if (i == k && table_find(&m->t, here))
			return here;
	}
	return 1;
}

static void lz78_predict(void *p, const struct past *past, struct ranking *r)
{
	const struct markov *m = p;

	rank_below(r, table_find(&m->t, lz78_place(m, past)));
	rank_below(r, table_find(&m->t, 1));
}

static void lz78_learn(void *p, const struct past *past, uint32_t symbol)
{
	struct markov *m = p;
	uint64_t here = past->n && m->at[past->stream] ? m->at[past->stream] : 1;
	struct node *n = table_make(&m->t, here);
	bool known = node_edge(n, symbol) != NULL;

	node_touch(n, symbol);
	m->at[past->stream] = known ? key_of(here, symbol) : 1;
}

/* --- TDAG --- */

static void tdag_predict(void *p, const struct past *past, struct ranking *r)
{
	const struct markov *m = p;

	for (size_t k = (past->n < TDAG_DEPTH ? past->n : TDAG_DEPTH) + 1;
	     k-- > 0 && r->n < r->max;) {
		const struct node *n = table_find(&m->t, context_key(past->at, past->n, k));

		if (n && (n->total >= TDAG_SUPPORT || !k))
			rank_below(r, n);
	}
}

static void tdag_learn(void *p, const struct past *past, uint32_t symbol)
{
	struct markov *m = p;

	for (size_t k = 0; k <= TDAG_DEPTH && k <= past->n; k++) {
		const struct node *up =
			k ? table_find(&m->t, context_key(past->at, past->n, k - 1)) : NULL;

		/* A node is extended when it was reached often enough. */
		if (k && (!up || up->total < 2))
			break;
		node_touch(table_make(&m->t, context_key(past->at, past->n, k)), symbol);
	}
}

#endif
