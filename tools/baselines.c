// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * baselines.c - what others predict, on the same traces and counted the same way.
 *
 * Prints one object a predictor (NDJSON, members as `forewarm eval --json`). Two protocols: online
 * (guess, score, learn, every event) and --ipredict W,C: sequences in 14 folds, W items of context,
 * one guess, a hit when it is among the last C items; there the model takes part as well.
 */
#include "baselines/cpt.h"
#include "baselines/predictors.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/dataset.h"

#include <getopt.h>
#include <time.h>

enum { FOLDS = 14, SLOW_QUERIES = 2000 };

#define CHAIN_P 0.06 /* paths of less than a quarter of this are not followed */

static const struct predictor predictors[] = {
	{"last", markov_make, markov_drop, last_predict, NULL, order1_learn, NULL, markov_bytes, 0},
	{"order 1", markov_make, markov_drop, order1_predict, NULL, order1_learn, NULL,
	 markov_bytes, 0},
	{"pairwise", markov_make, markov_drop, pair_predict, NULL, pair_learn, NULL, markov_bytes,
	 SLOW_QUERIES},
	{"AKOM", markov_make, markov_drop, akom_predict, NULL, akom_learn, NULL, markov_bytes, 0},
	{"PPM-C", markov_make, markov_drop, ppm_predict, ppm_probability, akom_learn, NULL,
	 markov_bytes, 0},
	{"LZ78", markov_make, markov_drop, lz78_predict, NULL, lz78_learn, NULL, markov_bytes, 0},
	{"DG", markov_make, markov_drop, dg_predict, NULL, dg_learn, NULL, markov_bytes, 0},
	{"TDAG", markov_make, markov_drop, tdag_predict, NULL, tdag_learn, NULL, markov_bytes, 0},
	{"CPT+", cpt_make, cpt_drop, cpt_predict, NULL, cpt_learn, cpt_end, cpt_bytes,
	 SLOW_QUERIES},
};

struct args {
	const char *trace, *only;
	struct dataset_options data;
	bool half;
	unsigned window, last_n; /* ipredict */
	size_t fold_max;	 /* ipredict: only the first so many sequences */
};

/* All streams of a data set, each in one piece. */
struct streams {
	uint32_t *symbols;
	size_t *from; /* stream i: symbols[from[i] .. from[i + 1]) */
	size_t *seen; /* while going through the events: how far the stream is */
};

static void streams_init(struct streams *s, const struct dataset *d)
{
	s->symbols = must(calloc(d->event_n, sizeof(*s->symbols)));
	s->from = must(calloc(d->stream_n + 1, sizeof(*s->from)));
	s->seen = must(calloc(d->stream_n, sizeof(*s->seen)));
	for (size_t i = 0; i < d->event_n; i++)
		s->from[d->events[i].stream + 1]++;
	for (size_t i = 0; i < d->stream_n; i++)
		s->from[i + 1] += s->from[i];
	for (size_t i = 0; i < d->event_n; i++) {
		uint32_t k = d->events[i].stream;

		s->symbols[s->from[k] + s->seen[k]++] = d->events[i].symbol;
	}
	memset(s->seen, 0, d->stream_n * sizeof(*s->seen));
}

static void streams_fini(struct streams *s)
{
	free(s->symbols);
	free(s->from);
	free(s->seen);
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double median(float *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n ? v[n / 2] : 0;
}

static void online(const struct predictor *pr, const struct args *a, const struct dataset *d,
		   struct streams *s)
{
	void *p = pr->make(d->symbol_n, d->stream_n);
	float *predict_ns = must(calloc(d->event_n, sizeof(float)));
	float *update_ns = must(calloc(d->event_n, sizeof(float)));
	size_t every = pr->every && d->event_n > pr->every ? d->event_n / pr->every : 1;
	struct tally t = {0};
	size_t asked = 0, scored = 0;
	double mean = 0;

	memset(s->seen, 0, d->stream_n * sizeof(*s->seen));
	for (size_t i = 0; i < d->event_n; i++) {
		const struct dataset_event *e = &d->events[i];
		struct past past = {s->symbols + s->from[e->stream], s->seen[e->stream]++,
				    e->stream};
		struct vomm_guess g[TALLY_GUESSES];
		struct ranking r = {g, 0, TALLY_GUESSES};
		bool score = !a->half || i >= d->event_n / 2;
		uint64_t t0;

		if (score && i % every == 0) {
			t0 = clock_ns(CLOCK_MONOTONIC);
			pr->predict(p, &past, &r);
			predict_ns[asked++] = (float)(clock_ns(CLOCK_MONOTONIC) - t0);
			tally_event(&t, g, r.n, e->symbol);
		}
		if (score && pr->probability) {
			tally_cost(&t, pr->probability(p, &past, e->symbol));
			scored++;
		}
		if (a->half && score)
			continue;
		t0 = clock_ns(CLOCK_MONOTONIC);
		pr->learn(p, &past, e->symbol);
		update_ns[i] = (float)(clock_ns(CLOCK_MONOTONIC) - t0);
		past.n++;
		if (e->last && pr->end)
			pr->end(p, &past);
	}
	for (size_t i = 0; i < asked; i++)
		mean += predict_ns[i] / (double)asked;
	printf("{\"v\":1,\"type\":\"eval\",\"predictor\":\"%s\",\"n\":%zu,\"hit1\":%.4f,"
	       "\"hit3\":%.4f,\"hit5\":%.4f,\"hit10\":%.4f,\"coverage\":%.4f,",
	       pr->name, (size_t)t.n, tally_hit_percent(&t, 0), tally_hit_percent(&t, 1),
	       tally_hit_percent(&t, 2), tally_hit_percent(&t, 3),
	       t.n ? 100.0 * (double)t.covered_n / (double)t.n : 0);
	if (scored)
		printf("\"bits\":%.6f,\"ece\":%.5f,", t.bits / (double)scored, tally_ece(&t.all));
	printf("\"update_ns_p50\":%.0f,\"predict_ns_p50\":%.0f,\"predict_ns_mean\":%.0f,"
	       "\"bytes\":%zu}\n",
	       median(update_ns, d->event_n), median(predict_ns, asked), mean, pr->bytes(p));
	(void)fflush(stdout); /* the reader shows rows as they come */
	free(predict_ns);
	free(update_ns);
	pr->drop(p);
}

/* --- IPredict's protocol --------------------------------------------------------------------- */

struct folds {
	const struct args *a;
	const struct streams *s;
	size_t *order;
	size_t n; /* sequences long enough */
	size_t symbol_n, stream_n;
};

/* Sequences with at least a context and an end, shuffled always alike. */
static void folds_init(struct folds *f, const struct dataset *d)
{
	uint64_t seed = 1;

	f->order = must(calloc(d->stream_n, sizeof(*f->order)));
	for (size_t i = 0; i < d->stream_n; i++)
		if (f->s->from[i + 1] - f->s->from[i] >= f->a->last_n + f->a->window)
			f->order[f->n++] = i;
	if (f->a->fold_max && f->n > f->a->fold_max)
		f->n = f->a->fold_max;
	for (size_t i = f->n; i > 1; i--) {
		size_t j, t;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		j = (size_t)(seed >> 33) % i;
		t = f->order[i - 1];
		f->order[i - 1] = f->order[j];
		f->order[j] = t;
	}
	f->symbol_n = d->symbol_n;
	f->stream_n = d->stream_n;
}

/* The sequence at place i, and where its context and its end begin. */
struct test {
	const uint32_t *at;
	size_t n, context, end;
};

static struct test test_of(const struct folds *f, size_t i)
{
	size_t k = f->order[i];
	struct test t = {.at = f->s->symbols + f->s->from[k],
			 .n = f->s->from[k + 1] - f->s->from[k]};

	t.end = t.n - f->a->last_n;
	t.context = t.end > f->a->window ? t.end - f->a->window : 0;
	return t;
}

static int is_hit(const struct test *t, const struct vomm_guess *g, size_t n)
{
	for (size_t i = t->end; n && i < t->n; i++)
		if (t->at[i] == g[0].symbol)
			return 1;
	return 0;
}

static int is_hit_of(const struct test *t, const struct vomm_guess *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_hit(t, g + i, 1))
			return 1;
	return 0;
}

static void report(const char *name, const struct folds *f, size_t hit, size_t hit5,
		   uint64_t ask_ns, uint64_t train_ns)
{
	printf("{\"v\":1,\"type\":\"ipredict\",\"predictor\":\"%s\",\"n\":%zu,\"hit1\":%.4f,"
	       "\"hit5\":%.4f,\"predict_ns_mean\":%.0f,\"train_ms\":%.2f}\n",
	       name, f->n, 100.0 * (double)hit / (double)f->n, 100.0 * (double)hit5 / (double)f->n,
	       (double)ask_ns / (double)f->n, (double)train_ns / 1e6 / FOLDS);
	(void)fflush(stdout);
}

static void ipredict(const struct predictor *pr, const struct folds *f)
{
	size_t hit = 0, hit5 = 0;
	uint64_t ask_ns = 0, train_ns = 0;

	for (size_t fold = 0; fold < FOLDS; fold++) {
		void *p = pr->make(f->symbol_n, f->stream_n);
		uint64_t t0 = clock_ns(CLOCK_MONOTONIC);

		for (size_t i = 0; i < f->n; i++) {
			struct test t = test_of(f, i);
			struct past past = {t.at, 0, (uint32_t)f->order[i]};

			if (i * FOLDS / f->n == fold)
				continue;
			for (past.n = 0; past.n < t.n; past.n++)
				pr->learn(p, &past, t.at[past.n]);
			if (pr->end)
				pr->end(p, &past);
		}
		train_ns += clock_ns(CLOCK_MONOTONIC) - t0;
		for (size_t i = 0; i < f->n; i++) {
			struct test t = test_of(f, i);
			struct past past = {t.at + t.context, t.end - t.context,
					    (uint32_t)f->order[i]};
			struct vomm_guess g[5];
			struct ranking r = {g, 0, 5};

			if (i * FOLDS / f->n != fold)
				continue;
			t0 = clock_ns(CLOCK_MONOTONIC);
			pr->predict(p, &past, &r);
			ask_ns += clock_ns(CLOCK_MONOTONIC) - t0;
			hit += (size_t)is_hit(&t, g, r.n);
			hit5 += (size_t)is_hit_of(&t, g, r.n);
		}
		pr->drop(p);
	}
	report(pr->name, f, hit, hit5, ask_ns, train_ns);
}

/* Where the end of a sequence begins, the stream says so: what ends them is another thing than what
 * goes on. */
static void at_end(struct vomm_stream *s)
{
	vomm_stream_feature(s, VOMM_PROGRAM, 1);
	vomm_stream_feature(s, VOMM_BEFORE, 1);
}

/* The stream as it is where it is asked: the window, and the end ahead. */
static struct vomm_stream at_window(const struct vomm *v, const struct test *t)
{
	struct vomm_stream s;

	vomm_stream_init(&s, NULL);
	if (t->context)
		vomm_stream_headless(&s);
	for (size_t k = t->context; k < t->end; k++)
		vomm_advance(v, &s, t->at[k], 0);
	at_end(&s);
	return s;
}

/* First all sequences up to their end, each a stream of its own; then the ends. */
static void model_learn(struct vomm *v, const struct folds *f, size_t i, bool end)
{
	struct test t = test_of(f, i);
	struct vomm_stream s;
	size_t k = 0;

	if (end) {
		s = at_window(v, &t);
		k = t.end;
	} else {
		vomm_stream_init(&s, NULL);
	}
	for (; k < (end ? t.n : t.end); k++)
		(void)vomm_observe(v, &s, t.at[k], 0, NULL);
}

/* What is likeliest to come within the last_n next symbols. */
static size_t model_ask(struct vomm *v, const struct folds *f, const struct test *t,
			struct vomm_guess *ret)
{
	struct vomm_stream s = at_window(v, t);
	struct vomm_guess g[64];
	size_t n = 0;

	if (f->a->last_n == 1 || vomm_chain(v, &s, CHAIN_P, f->a->last_n, 64, g, &n) != 0)
		if (vomm_predict(v, &s, 5, g, &n) != 0)
			return 0;
	n = n < 5 ? n : 5;
	memcpy(ret, g, n * sizeof(*g));
	return n;
}

static void ipredict_model(const struct folds *f)
{
	/* The window is all that anybody sees: longer contexts would be there in training only. */
	struct vomm_limits limits = {.bytes_max = 64 << 20, .order_max = f->a->window};
	size_t hit = 0, hit5 = 0;
	uint64_t ask_ns = 0, train_ns = 0;

	for (size_t fold = 0; fold < FOLDS; fold++) {
		uint64_t t0 = clock_ns(CLOCK_MONOTONIC);
		struct vomm *v;

		if (vomm_new(&limits, &v) < 0)
			exit(1);
		for (size_t i = 0; i < 2 * f->n; i++)
			if (i % f->n * FOLDS / f->n != fold)
				model_learn(v, f, i % f->n, i >= f->n);
		train_ns += clock_ns(CLOCK_MONOTONIC) - t0;
		for (size_t i = 0; i < f->n; i++) {
			struct test t = test_of(f, i);
			struct vomm_guess g[5];
			size_t n;

			if (i * FOLDS / f->n != fold)
				continue;
			t0 = clock_ns(CLOCK_MONOTONIC);
			n = model_ask(v, f, &t, g);
			ask_ns += clock_ns(CLOCK_MONOTONIC) - t0;
			hit += (size_t)is_hit(&t, g, n);
			hit5 += (size_t)is_hit_of(&t, g, n);
		}
		(void)vomm_free(v);
	}
	report("forewarm", f, hit, hit5, ask_ns, train_ns);
}

/* --- main ------------------------------------------------------------------------------------ */

static const struct option longs[] = {
	{"raw", no_argument, NULL, 'r'},
	{"every-touch", no_argument, NULL, 't'},
	{"half", no_argument, NULL, 'H'},
	{"events", required_argument, NULL, 'e'},
	{"sequences", required_argument, NULL, 's'},
	{"ipredict", required_argument, NULL, 'i'},
	{"only", required_argument, NULL, 'o'},
	{"cpt", required_argument, NULL, 'C'},
	{"first", required_argument, NULL, 'f'},
	{0},
};

static bool parse(int argc, char **argv, struct args *a)
{
	int key;

	while ((key = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (key) {
		case 'r':
			a->data.raw_names = true;
			break;
		case 't':
			a->data.every_touch = true;
			break;
		case 'H':
			a->half = true;
			break;
		case 'e':
			a->data.event_max = strtoul(optarg, NULL, 10);
			break;
		case 's':
			a->data.sequence_max = strtoul(optarg, NULL, 10);
			break;
		case 'o':
			a->only = optarg;
			break;
		case 'C':
			if (sscanf(optarg, "%u,%lf,%lf", &cpt_profile.split, &cpt_profile.enough,
				   &cpt_profile.noise) != 3)
				return false;
			break;
		case 'f':
			a->fold_max = strtoul(optarg, NULL, 10);
			break;
		case 'i':
			if (sscanf(optarg, "%u,%u", &a->window, &a->last_n) != 2 || !a->last_n)
				return false;
			break;
		default:
			return false;
		}
	}
	a->trace = argv[optind];
	return a->trace && optind + 1 == argc;
}

int main(int argc, char **argv)
{
	_cleanup_(dataset_freep) struct dataset *d = NULL;
	struct args a = {0};
	struct streams s;
	struct folds f = {.a = &a, .s = &s};
	size_t line = 0;
	int r;

	if (!parse(argc, argv, &a)) {
		fprintf(stderr, "usage: baselines [--raw] [--every-touch] [--half] [--events N] "
				"[--sequences N] [--only NAME] [--ipredict W,C [--first N]] [--cpt "
				"SPLIT,ENOUGH,NOISE] TRACE\n");
		return 2;
	}
	r = dataset_read(a.trace, &a.data, &d, &line);
	if (r < 0) {
		fprintf(stderr, "baselines: %s: line %zu: %s\n", a.trace, line, strerror(-r));
		return 1;
	}
	streams_init(&s, d);
	if (a.last_n) {
		folds_init(&f, d);
		if (!a.only || !strcmp(a.only, "forewarm"))
			ipredict_model(&f);
	}
	for (size_t i = 0; i < sizeof(predictors) / sizeof(predictors[0]); i++) {
		if (a.only && strcmp(a.only, predictors[i].name) != 0)
			continue;
		if (a.last_n)
			ipredict(&predictors[i], &f);
		else
			online(&predictors[i], &a, d, &s);
	}
	free(f.order);
	streams_fini(&s);
	return 0;
}
