// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * eval.c - the model on a trace, prequentially.
 *
 * A novel symbol costs its share of the novelty mass among the symbols of the trace not yet seen,
 * as a base distribution over the alphabet would have it. Chains: after every event the model
 * names what is needed soon; a name counts once in a stream, from when it was first named. Recall
 * is the share of touches named before, precision the share of names touched later. What came of a
 * name is fed back to the model when it comes, or when the stream ends without it.
 *
 * Again: the trace is learnt once, then measured. The oracle it is held against has seen the trace
 * once too and forgot nothing: it knows after each beginning of a stream, from its very first symbol,
 * what followed how often, and names the three that did most.
 *
 * A stream of a host is told which program was started last before it began: jobs follow jobs.
 */
#include "cli/eval.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/huge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHAIN_GUESSES = 512 };

/* A name in a stream. */
struct named {
	uint64_t key; /* stream + 1, symbol */
	uint64_t t_ns;
	struct vomm_guess guess;
	uint32_t next; /* of the same stream: index + 1 */
	char state;    /* N named, C came after it was named, T touched unnamed */
};

struct run {
	const struct dataset *d;
	const struct eval_options *opt;
	struct vomm *v;
	struct vomm_stream *streams;
	bool *begun;
	bool again;	  /* this is the second time */
	uint32_t started; /* the program start seen last, in any stream */
	float *update_ns, *predict_ns, *lead_ns, *chain_ns;
	uint32_t *next;	 /* event of the same stream, 0: none */
	uint64_t *bytes; /* by symbol: its file, as last seen */
	struct named *named;
	uint32_t *first_named; /* by stream */
	uint32_t named_mask;
	size_t known_n, lead_n, chain_n;
	struct vomm_guess *guesses;
	double lead_within, lead_error;
	struct tally_bins chain_bins;
	struct eval_result res;
};

static struct named *named_at(struct run *r, uint32_t stream, uint32_t symbol)
{
	uint64_t key = (uint64_t)(stream + 1) << 32 | symbol;
	size_t h = (key * 0x9e3779b97f4a7c15ull >> 32) & r->named_mask;

	while (r->named[h].key && r->named[h].key != key)
		h = (h + 1) & r->named_mask;
	r->named[h].key = key;
	return &r->named[h];
}

/* Before the event is learnt: was it named? */
static void chain_touch(struct run *r, const struct dataset_event *e)
{
	struct named *n = named_at(r, e->stream, e->symbol);
	double lead, p50;

	r->res.chain.touched_n++;
	if (!n->state)
		n->state = 'T';
	if (n->state != 'N')
		return;
	n->state = 'C';
	r->res.chain.came_n++;
	lead = (double)(e->t_ns - n->t_ns);
	p50 = (double)n->guess.lead_p50_ns;
	r->res.chain.lead_ms_n += lead >= 1e6;
	r->lead_within +=
		lead >= (double)n->guess.lead_p10_ns && lead <= (double)n->guess.lead_p90_ns;
	r->lead_error += fabs(log2((lead + 1) / (p50 + 1)));
	r->lead_ns[r->lead_n++] = (float)lead;
	tally_bin(&r->chain_bins, n->guess.p, 1);
	vomm_feedback(r->v, &n->guess, true);
}

static void chain_end(struct run *r, uint32_t stream)
{
	for (uint32_t i = r->first_named[stream]; i; i = r->named[i - 1].next) {
		struct named *n = &r->named[i - 1];

		if (n->state != 'N')
			continue;
		r->res.chain.wasted_bytes += r->bytes[(uint32_t)n->key];
		tally_bin(&r->chain_bins, n->guess.p, 0);
		vomm_feedback(r->v, &n->guess, false);
	}
}

static void chain_name(struct run *r, const struct dataset_event *e)
{
	size_t n = 0;
	uint64_t t = clock_ns(CLOCK_MONOTONIC);
	int got = vomm_chain(r->v, &r->streams[e->stream], r->opt->chain_p, r->opt->chain_depth,
			     CHAIN_GUESSES, r->guesses, &n);

	r->chain_ns[r->chain_n++] = (float)(clock_ns(CLOCK_MONOTONIC) - t);
	for (size_t i = 0; !got && i < n; i++) {
		struct named *at = named_at(r, e->stream, r->guesses[i].symbol);

		if (at->state)
			continue;
		at->state = 'N';
		at->t_ns = e->t_ns;
		at->guess = r->guesses[i];
		at->next = r->first_named[e->stream];
		r->first_named[e->stream] = (uint32_t)(at - r->named) + 1;
		r->res.chain.named_n++;
	}
}

/* Follows the single likeliest path and looks whether its last step came true. */
static void look_ahead(struct run *r, size_t at)
{
	const struct dataset_event *events = r->d->events;
	struct vomm_stream s = r->streams[events[at].stream];
	size_t to = at;

	for (uint32_t k = 1; k < r->opt->ahead && to; k++)
		to = r->next[to];
	if (r->opt->ahead > 1 && !to)
		return;
	r->res.ahead_n++;
	for (uint32_t k = 1;; k++) {
		struct vomm_guess g;
		size_t n;

		if (vomm_predict(r->v, &s, 1, &g, &n) != 0)
			return;
		if (k == r->opt->ahead) {
			r->res.ahead_hit_n += g.symbol == events[to].symbol;
			return;
		}
		vomm_advance(r->v, &s, g.symbol, s.last_ns);
	}
}

static void one_event(struct run *r, size_t i)
{
	const struct dataset_event *e = &r->d->events[i];
	struct vomm_stream *s = &r->streams[e->stream];
	bool scored = r->opt->again ? r->again : !r->opt->half_split || i >= r->d->event_n / 2;
	bool frozen = r->opt->half_split && scored, novel;
	struct vomm_guess g[TALLY_GUESSES];
	uint64_t t0, t1;
	size_t n = 0;
	double p;

	if (!r->begun[e->stream]) {
		vomm_stream_init(s, NULL);
		vomm_stream_feature(s, VOMM_BEFORE, r->started);
		r->begun[e->stream] = true;
	}
	if (r->opt->ahead && scored)
		look_ahead(r, i);
	t0 = clock_ns(CLOCK_MONOTONIC);
	if (!scored || vomm_predict(r->v, s, TALLY_GUESSES, g, &n) != 0)
		n = 0;
	t1 = clock_ns(CLOCK_MONOTONIC);
	r->predict_ns[i] = (float)(t1 - t0);
	if (scored)
		tally_event(&r->res.tally, g, n, e->symbol);
	if (e->kind == 'E' && scored)
		tally_event(&r->res.exec, g, n, e->symbol);
	if (r->opt->chain_p > 0)
		chain_touch(r, e);
	if (e->bytes) {
		r->bytes[e->symbol] = e->bytes;
		r->res.chain.sized = true;
	}
	t0 = clock_ns(CLOCK_MONOTONIC);
	if (frozen) {
		p = vomm_prob(r->v, s, e->symbol);
		novel = !vomm_knows(r->v, e->symbol);
		vomm_advance(r->v, s, e->symbol, e->t_ns);
	} else {
		novel = vomm_observe(r->v, s, e->symbol, e->t_ns, &p) == VOMM_NOVEL;
	}
	t1 = clock_ns(CLOCK_MONOTONIC);
	r->update_ns[i] = (float)(t1 - t0);
	if (novel)
		p /= r->known_n < r->d->symbol_n ? (double)(r->d->symbol_n - r->known_n) : 1;
	if (novel && !frozen)
		r->known_n++;
	if (scored) {
		r->res.tally.novel_n += novel;
		tally_cost(&r->res.tally, p);
	}
	vomm_stream_feature(s, VOMM_PROGRAM, e->program);
	vomm_stream_feature(s, VOMM_PARENT, e->parent);
	if (e->kind == 'E')
		r->started = e->symbol;
	if (r->opt->chain_p > 0 && !e->last)
		chain_name(r, e);
	if (r->opt->chain_p > 0 && e->last)
		chain_end(r, e->stream);
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static uint64_t quantile(const float *sorted, size_t n, double q)
{
	return n ? (uint64_t)sorted[(size_t)((double)(n - 1) * q)] : 0;
}

static void sum_up(struct run *r)
{
	struct eval_result *res = &r->res;
	size_t n = r->d->event_n, from = r->opt->half_split ? n / 2 : 0;
	float *predict = r->predict_ns + from;

	for (size_t i = from; i < n; i++)
		res->predict_ns_mean += r->predict_ns[i] / (double)(n - from);
	qsort(r->update_ns, n, sizeof(float), by_value);
	qsort(predict, n - from, sizeof(float), by_value);
	qsort(r->lead_ns, r->lead_n, sizeof(float), by_value);
	qsort(r->chain_ns, r->chain_n, sizeof(float), by_value);
	res->update_ns_p50 = quantile(r->update_ns, n, 0.5);
	res->update_ns_p99 = quantile(r->update_ns, n, 0.99);
	res->predict_ns_p50 = quantile(predict, n - from, 0.5);
	res->predict_ns_p99 = quantile(predict, n - from, 0.99);
	res->bytes = vomm_bytes(r->v);
	res->chain.lead_p10_ns = quantile(r->lead_ns, r->lead_n, 0.1);
	res->chain.lead_p50_ns = quantile(r->lead_ns, r->lead_n, 0.5);
	res->chain.lead_p90_ns = quantile(r->lead_ns, r->lead_n, 0.9);
	res->chain.chain_ns_p50 = quantile(r->chain_ns, r->chain_n, 0.5);
	if (r->lead_n) {
		res->chain.lead_covered = r->lead_within / (double)r->lead_n;
		res->chain.lead_log2_error = r->lead_error / (double)r->lead_n;
	}
	res->chain.ece = tally_ece(&r->chain_bins);
}

static void run_fini(struct run *r)
{
	(void)vomm_free(r->v);
	free(r->streams);
	free(r->begun);
	free(r->update_ns);
	free(r->predict_ns);
	free(r->lead_ns);
	free(r->chain_ns);
	free(r->next);
	free(r->named);
	free(r->first_named);
	free(r->bytes);
	free(r->guesses);
}

static int run_init(struct run *r)
{
	const struct dataset *d = r->d;
	struct vomm_limits limits = {.bytes_max = r->opt->bytes_max};
	uint32_t cells = 1024;
	uint32_t *after;
	int err = vomm_new(&limits, &r->v);

	if (err < 0)
		return err;
	huge_ask(r->v, vomm_bytes(r->v)); /* as the daemon does */
	while (r->opt->chain_p > 0 && cells < d->event_n * 4)
		cells *= 2;
	r->named_mask = cells - 1;
	r->streams = calloc(d->stream_n, sizeof(*r->streams));
	r->begun = calloc(d->stream_n, sizeof(*r->begun));
	r->update_ns = calloc(d->event_n, sizeof(float));
	r->predict_ns = calloc(d->event_n, sizeof(float));
	r->lead_ns = calloc(d->event_n, sizeof(float));
	r->chain_ns = calloc(d->event_n, sizeof(float));
	r->next = calloc(d->event_n, sizeof(*r->next));
	r->named = calloc(cells, sizeof(*r->named));
	r->first_named = calloc(d->stream_n, sizeof(*r->first_named));
	r->bytes = calloc(d->symbol_n + 1, sizeof(*r->bytes));
	r->guesses = calloc(CHAIN_GUESSES, sizeof(*r->guesses));
	after = calloc(d->stream_n, sizeof(*after));
	if (!r->streams || !r->begun || !r->update_ns || !r->predict_ns || !r->lead_ns ||
	    !r->chain_ns || !r->next || !r->named || !r->first_named || !r->bytes || !r->guesses ||
	    !after) {
		free(after);
		return fault(-ENOMEM);
	}
	for (size_t i = d->event_n; i-- > 0;) {
		r->next[i] = after[d->events[i].stream];
		after[d->events[i].stream] = (uint32_t)i;
	}
	free(after);
	return 0;
}

/* What followed after a beginning. */
struct followed {
	uint64_t beginning; /* hash */
	uint32_t symbol, n;
};

static int by_beginning(const void *a, const void *b)
{
	const struct followed *x = a, *y = b;

	if (x->beginning != y->beginning)
		return x->beginning < y->beginning ? -1 : 1;
	return (x->symbol > y->symbol) - (x->symbol < y->symbol);
}

static int by_beginning_most_first(const void *a, const void *b)
{
	const struct followed *x = a, *y = b;

	if (x->beginning != y->beginning)
		return x->beginning < y->beginning ? -1 : 1;
	return (x->n < y->n) - (x->n > y->n);
}

static int oracle(const struct dataset *d, uint64_t *ret_hit3_n)
{
	struct followed *f = calloc(d->event_n, sizeof(*f));
	uint64_t *h = calloc(d->stream_n, sizeof(*h));
	size_t n = 0, rank = 0;

	if (!f || !h) {
		free(f);
		free(h);
		return fault(-ENOMEM);
	}
	for (size_t i = 0; i < d->event_n; i++) {
		const struct dataset_event *e = &d->events[i];
		uint64_t *at = &h[e->stream];

		f[i] = (struct followed){*at, e->symbol, 1};
		*at = (*at + e->symbol) * 0x9e3779b97f4a7c15ull;
		*at ^= *at >> 29;
	}
	qsort(f, d->event_n, sizeof(*f), by_beginning);
	for (size_t i = 0; i < d->event_n; i++) {
		if (n && by_beginning(&f[n - 1], &f[i]) == 0)
			f[n - 1].n++;
		else
			f[n++] = f[i];
	}
	qsort(f, n, sizeof(*f), by_beginning_most_first);
	*ret_hit3_n = 0;
	for (size_t i = 0; i < n; i++) {
		rank = i && f[i].beginning == f[i - 1].beginning ? rank + 1 : 0;
		*ret_hit3_n += rank < 3 ? f[i].n : 0;
	}
	free(f);
	free(h);
	return 0;
}

int eval_run(const struct dataset *d, const struct eval_options *opt, struct eval_result *ret)
{
	struct run r = {.d = d, .opt = opt};
	int err = run_init(&r);

	for (size_t i = 0; err >= 0 && i < d->event_n; i++)
		one_event(&r, i);
	if (err >= 0 && opt->again) {
		memset(r.begun, 0, d->stream_n * sizeof(*r.begun));
		r.again = true;
		for (size_t i = 0; i < d->event_n; i++)
			one_event(&r, i);
		err = oracle(d, &r.res.oracle_hit3_n);
	}
	if (err >= 0) {
		sum_up(&r);
		*ret = r.res;
	}
	run_fini(&r);
	return err < 0 ? err : 0;
}
