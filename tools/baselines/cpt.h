/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cpt.h - CPT+: sequences that hold the same items vote for what comes after them.
 *
 * All sequences are kept (their last items), with an inverted index of bit sets. A query takes the
 * last items as a set, finds the sequences that hold all of them, and lets what stands behind the
 * last of them vote. While too few said anything clear, items are left out as noise, the rarest
 * first, breadth first. Streams without an end are cut every CHOP events.
 *
 * Scores and the three parameters are those of the authors' implementation (IPredict), which sets
 * the parameters for each data set; the defaults are its own. Compression (CCF, CBS) changes no
 * prediction and is left out.
 *
 * Part of tools/baselines.c. Source: Gueniche, Fournier-Viger, Raman, Tseng, PAKDD 2015.
 */
#ifndef BASELINES_CPT_H
#define BASELINES_CPT_H

#include "predictors.h"

#include <math.h>

enum { CPT_WINDOW = 7, CPT_CHOP = 20 };

#define CPT_CLEAR 1.002 /* the best must be so much above the second to be a prediction */

static struct cpt_profile {
	unsigned split; /* items kept of a sequence; 0: all */
	double enough;	/* predictions wanted for each item of the window, beyond one */
	double noise;	/* share of the items that may be noise; 0: the rarest alone */
} cpt_profile = {10, 2, 1};

struct cpt {
	uint32_t *items; /* of all sequences */
	size_t item_n, item_cap;
	size_t *from; /* sequence i is items[from[i] .. from[i + 1]) */
	size_t seq_n, seq_cap;
	uint64_t **sets; /* by symbol: sequences that hold it */
	size_t *set_words;
	uint32_t *support;
	size_t symbol_n;
	/* scratch of a query */
	uint64_t *hit, *visited; /* intersection; sequences that have voted */
	size_t hit_words;
	double *score;	   /* by symbol: logarithm of its product; 0: none */
	uint32_t *touched; /* symbols with a score */
	size_t touched_n;
};

static void *cpt_make(size_t symbol_n, size_t stream_n)
{
	struct cpt *c = must(calloc(1, sizeof(*c)));

	(void)stream_n;
	c->symbol_n = symbol_n;
	c->sets = must(calloc(symbol_n + 1, sizeof(*c->sets)));
	c->set_words = must(calloc(symbol_n + 1, sizeof(*c->set_words)));
	c->support = must(calloc(symbol_n + 1, sizeof(*c->support)));
	c->score = must(calloc(symbol_n + 1, sizeof(*c->score)));
	c->touched = must(calloc(symbol_n + 1, sizeof(*c->touched)));
	c->from = must(calloc(2, sizeof(*c->from)));
	c->seq_cap = 1;
	return c;
}

static void cpt_drop(void *p)
{
	struct cpt *c = p;

	for (size_t i = 0; i <= c->symbol_n; i++)
		free(c->sets[i]);
	free(c->sets);
	free(c->set_words);
	free(c->support);
	free(c->score);
	free(c->items);
	free(c->from);
	free(c->hit);
	free(c->visited);
	free(c->touched);
	free(c);
}

static void set_put(struct cpt *c, uint32_t symbol, size_t seq)
{
	size_t word = seq / 64;

	if (word >= c->set_words[symbol]) {
		size_t n = word + 1 + word / 2;

		c->sets[symbol] = must(realloc(c->sets[symbol], n * sizeof(uint64_t)));
		memset(c->sets[symbol] + c->set_words[symbol], 0,
		       (n - c->set_words[symbol]) * sizeof(uint64_t));
		c->set_words[symbol] = n;
	}
	c->support[symbol] += !(c->sets[symbol][word] >> seq % 64 & 1);
	c->sets[symbol][word] |= 1ull << seq % 64;
}

static void cpt_add(struct cpt *c, const uint32_t *items, size_t n)
{
	if (cpt_profile.split && n > cpt_profile.split) {
		items += n - cpt_profile.split;
		n = cpt_profile.split;
	}
	if (n < 2)
		return;
	if (c->item_n + n > c->item_cap) {
		c->item_cap = c->item_cap * 2 + 4096;
		c->items = must(realloc(c->items, c->item_cap * sizeof(*c->items)));
	}
	if (c->seq_n == c->seq_cap) {
		c->seq_cap *= 2;
		c->from = must(realloc(c->from, (c->seq_cap + 1) * sizeof(*c->from)));
	}
	memcpy(c->items + c->item_n, items, n * sizeof(*items));
	for (size_t i = 0; i < n; i++)
		set_put(c, items[i], c->seq_n);
	c->item_n += n;
	c->from[++c->seq_n] = c->item_n;
}

static void cpt_learn(void *p, const struct past *past, uint32_t symbol)
{
	(void)symbol;
	if (past->n && past->n % CPT_CHOP == 0)
		cpt_add(p, past->at + past->n - CPT_CHOP, CPT_CHOP);
}

static void cpt_end(void *p, const struct past *past)
{
	cpt_add(p, past->at, past->n);
}

static bool among(const uint32_t *items, size_t n, uint32_t symbol)
{
	for (size_t k = 0; k < n; k++)
		if (items[k] == symbol)
			return true;
	return false;
}

/* What stands behind the point where all of the items were met votes; did anything? */
static bool vote(struct cpt *c, size_t seq, const uint32_t *items, size_t n, double weight)
{
	const uint32_t *at = c->items + c->from[seq];
	size_t len = c->from[seq + 1] - c->from[seq], left = 0, i = 0, behind = 1;

	for (size_t k = 0; k < n; k++)
		left += !among(items, k, items[k]);
	for (; i < len && left; i++)
		left -= among(items, n, at[i]) && !among(at, i, at[i]);
	for (; i < len; i++, behind++) {
		if (c->score[at[i]] <= 0)
			c->touched[c->touched_n++] = at[i];
		c->score[at[i]] += log(weight + 1 + 0.0001 / (double)behind);
	}
	return behind > 1;
}

/* Lets all sequences with these items vote that have not voted yet; did anything come of it? */
static bool ask(struct cpt *c, const uint32_t *items, size_t n)
{
	size_t words = c->set_words[items[0]], card = 0;
	bool any = false;

	memcpy(c->hit, c->sets[items[0]], words * sizeof(*c->hit));
	for (size_t k = 1; k < n; k++) {
		if (c->set_words[items[k]] < words)
			words = c->set_words[items[k]];
		for (size_t w = 0; w < words; w++)
			c->hit[w] &= c->sets[items[k]][w];
	}
	for (size_t w = 0; w < words; w++)
		card += (size_t)__builtin_popcountll(c->hit[w]);
	for (size_t w = 0; w < words; w++) {
		uint64_t bits = c->hit[w] & ~c->visited[w];

		c->visited[w] |= bits;
		for (; bits; bits &= bits - 1)
			any |= vote(c, w * 64 + (size_t)__builtin_ctzll(bits), items, n,
				    1.0 / (double)card);
	}
	return any;
}

/* Is one symbol clearly ahead of all with another score? */
static bool is_clear(const struct cpt *c)
{
	double best = 0, second = 0;

	for (size_t i = 0; i < c->touched_n; i++) {
		double x = c->score[c->touched[i]];

		if (x > best) {
			second = best;
			best = x;
		} else if (x < best && x > second) {
			second = x;
		}
	}
	return best > 0 && (second <= 0 || best - second >= log(CPT_CLEAR));
}

/* The items of the window by rising support; ties: the later ones first, as a stable sort by
 * falling support leaves them at its end. */
static size_t noises(const struct cpt *c, const uint32_t *items, unsigned mask, unsigned *ret)
{
	size_t n = 0, may;

	for (unsigned i = 0; i < CPT_WINDOW; i++) {
		size_t at = n;

		if (!(mask >> i & 1))
			continue;
		for (; at > 0 && c->support[items[ret[at - 1]]] >= c->support[items[i]]; at--)
			ret[at] = ret[at - 1];
		ret[at] = i;
		n++;
	}
	may = (size_t)((double)n * cpt_profile.noise);
	return may ? may : 1;
}

static bool ask_mask(struct cpt *c, const uint32_t *items, unsigned mask)
{
	uint32_t some[CPT_WINDOW];
	size_t n = 0;

	for (unsigned i = 0; i < CPT_WINDOW; i++)
		if (mask >> i & 1)
			some[n++] = items[i];
	return n && ask(c, some, n);
}

/* Leaves items out, breadth first, until enough predictions were clear. */
static void ask_all(struct cpt *c, const uint32_t *items, size_t n)
{
	unsigned queue[1 << CPT_WINDOW], from = 0, to = 0, noise[CPT_WINDOW];
	unsigned enough = 1 + (unsigned)((double)n * cpt_profile.enough), clear;
	bool queued[1 << CPT_WINDOW] = {false};

	(void)ask_mask(c, items, queue[to++] = (1u << n) - 1);
	clear = is_clear(c);
	while (from < to && clear < enough) {
		unsigned mask = queue[from++];
		size_t k = noises(c, items, mask, noise);

		while (k-- > 0) { /* the likeliest noise last, as there */
			unsigned less = mask & ~(1u << noise[k]);

			if (!queued[less] && less & (less - 1))
				queue[to++] = less;
			if (!queued[less] && ask_mask(c, items, less))
				clear += is_clear(c);
			queued[less] = true;
		}
	}
}

static void cpt_predict(void *p, const struct past *past, struct ranking *r)
{
	struct cpt *c = p;
	uint32_t items[CPT_WINDOW];
	size_t n = 0, words = (c->seq_n + 63) / 64 * 2 + 2; /* sets grow by halves */

	for (size_t i = past->n < CPT_WINDOW ? past->n : CPT_WINDOW; i > 0; i--)
		if (c->support[past->at[past->n - i]])
			items[n++] = past->at[past->n - i];
	if (!n)
		return;
	if (words > c->hit_words) {
		c->hit = must(realloc(c->hit, words * sizeof(*c->hit)));
		c->visited = must(realloc(c->visited, words * sizeof(*c->visited)));
		c->hit_words = words;
	}
	memset(c->visited, 0, words * sizeof(*c->visited));
	c->touched_n = 0;
	ask_all(c, items, n);
	for (size_t i = 0; i < c->touched_n; i++)
		rank_add(r, c->touched[i], c->score[c->touched[i]]);
	for (size_t i = 0; i < c->touched_n; i++)
		c->score[c->touched[i]] = 0;
	for (size_t i = r->n; i-- > 0;) /* scores to something below 1 */
		r->guesses[i].p /= r->guesses[0].p * 1.01;
}

static size_t cpt_bytes(const void *p)
{
	const struct cpt *c = p;
	size_t bytes = c->item_cap * sizeof(uint32_t) + c->seq_cap * sizeof(size_t);

	for (size_t i = 0; i <= c->symbol_n; i++)
		bytes += c->set_words[i] * sizeof(uint64_t);
	return bytes;
}

#endif
