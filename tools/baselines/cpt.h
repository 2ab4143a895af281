/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cpt.h - CPT+: sequences that hold the same items vote for what comes after them.
 *
 * All sequences are kept (their last SPLIT items), with an inverted index of bit sets. A query takes
 * the last WINDOW items as a set, finds the sequences that hold all of them, and counts what stands
 * behind the last of them. While too few vote, the rarest items are left out, one, then two, then
 * more (the noise reduction of CPT+). Streams without an end are cut every CHOP events.
 *
 * Part of tools/baselines.c. Source: Gueniche, Fournier-Viger, Raman, Tseng, PAKDD 2015.
 */
#ifndef BASELINES_CPT_H
#define BASELINES_CPT_H

#include "predictors.h"

enum { CPT_WINDOW = 7, CPT_SPLIT = 12, CPT_CHOP = 20, CPT_VOTES = 8 };

struct cpt {
	uint32_t *items; /* of all sequences */
	size_t item_n, item_cap;
	size_t *from; /* sequence i is items[from[i] .. from[i + 1]) */
	size_t seq_n, seq_cap;
	uint64_t **sets; /* by symbol: sequences that hold it */
	size_t *set_words;
	uint32_t *support;
	size_t symbol_n;
	uint64_t *hit; /* scratch: intersection */
	double *score;
	size_t hit_words;
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
	if (n > CPT_SPLIT) {
		items += n - CPT_SPLIT;
		n = CPT_SPLIT;
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
	size_t n = past->n < CPT_SPLIT ? past->n : CPT_SPLIT;

	cpt_add(p, past->at + past->n - n, n);
}

static bool among(const uint32_t *items, size_t n, uint32_t symbol)
{
	for (size_t k = 0; k < n; k++)
		if (items[k] == symbol)
			return true;
	return false;
}

/* What stands behind the point where all of the items were met votes, but the items themselves. */
static size_t vote(struct cpt *c, size_t seq, const uint32_t *items, size_t n, double weight)
{
	const uint32_t *at = c->items + c->from[seq];
	size_t len = c->from[seq + 1] - c->from[seq], met = 0, votes = 0, i = 0;

	for (; i < len && met < n; i++) {
		bool again = among(at, i, at[i]);

		met += !again && among(items, n, at[i]);
	}
	for (; i < len; i++) {
#ifdef AVOID
		if (among(items, n, at[i]))
			continue;
#endif
		c->score[at[i]] += weight;
		votes++;
	}
	return votes;
}

static size_t ask(struct cpt *c, const uint32_t *items, size_t n, double weight)
{
	size_t words = c->set_words[items[0]], votes = 0;

	if (words > c->hit_words) {
		c->hit = must(realloc(c->hit, words * sizeof(*c->hit)));
		c->hit_words = words;
	}
	if (words)
		memcpy(c->hit, c->sets[items[0]], words * sizeof(*c->hit));
	for (size_t k = 1; k < n; k++) {
		if (c->set_words[items[k]] < words)
			words = c->set_words[items[k]];
		for (size_t w = 0; w < words; w++)
			c->hit[w] &= c->sets[items[k]][w];
	}
	for (size_t w = 0; w < words; w++)
		for (uint64_t bits = c->hit[w]; bits; bits &= bits - 1)
			votes += vote(c, w * 64 + (size_t)__builtin_ctzll(bits), items, n, weight);
	return votes;
}

static void cpt_predict(void *p, const struct past *past, struct ranking *r)
{
	struct cpt *c = p;
	uint32_t items[CPT_WINDOW];
	size_t n = 0, votes = 0;

	for (size_t i = 1; i <= past->n && i <= CPT_WINDOW; i++) {
		uint32_t s = past->at[past->n - i];
		bool twice = false;

		for (size_t k = 0; k < n; k++)
			twice |= items[k] == s;
		if (!twice && c->support[s])
			items[n++] = s;
	}
	if (!n)
		return;
	memset(c->score, 0, (c->symbol_n + 1) * sizeof(*c->score));
	for (; n > 0 && votes < CPT_VOTES; n--) {
		size_t rare = 0;

		votes += ask(c, items, n, (double)n);
		for (size_t k = 1; k < n; k++) /* noise: the rarest item goes */
			if (c->support[items[k]] < c->support[items[rare]])
				rare = k;
		memmove(items + rare, items + rare + 1, (n - rare - 1) * sizeof(*items));
	}
	for (uint32_t s = 1; s <= c->symbol_n; s++)
		if (c->score[s] > 0)
			rank_add(r, s, c->score[s]);
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
