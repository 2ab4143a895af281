// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * paired - by how much a quantile, or the mean, of a time changes from one way to another.
 *
 *   paired [each] Q|mean|trimmed A1 B1 A2 B2 ...
 *
 * Each file holds numbers, one a line: what was measured one way and, right beside it, the other way. Prints
 * "A B change low high": the figure over all of A and over all of B, by how many percent it differs,
 * and the 95 % interval of that, from resampling whole pairs: what one pair shares (a busy moment of
 * the host, the work done) is no evidence twice. The draws are the same at each call. Trimmed: the mean of
 * what is left without the tenth of the pairs that differ most upwards, and that downwards, as where
 * the host did something else during one half of a pair. Each: the change is that of each pair for itself, its
 * ratio, and the mean of those with a tenth cut at each end; where the slowest percent of all is that of a few
 * bad moments, which met one way or the other, this asks all pairs alike.
 *
 * Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 2000 };

/* How often each value was measured in one file. */
struct times {
	uint32_t *of; /* index of a value */
	uint32_t *count;
	uint32_t n;
};

struct sample {
	uint32_t *values;
	size_t n, room;
};

static uint32_t *values; /* each one that occurs, ascending */
static uint32_t values_n;
static uint64_t *sum; /* of one draw, by value */

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void *room(void *p, size_t n, size_t each)
{
	p = reallocarray(p, n ? n : 1, each);
	if (!p) {
		fprintf(stderr, "paired: no memory\n");
		exit(1);
	}
	return p;
}

static struct sample sample_read(const char *path)
{
	struct sample s = {0};
	FILE *f = fopen(path, "re");
	uint32_t v;

	while (f && fscanf(f, "%u", &v) == 1) {
		if (s.n == s.room)
			s.values = room(s.values, s.room = s.room ? s.room * 2 : 1024, sizeof(v));
		s.values[s.n++] = v;
	}
	if (!f || !feof(f) || !s.n) {
		fprintf(stderr, "paired: no numbers in %s\n", path);
		exit(1);
	}
	fclose(f);
	qsort(s.values, s.n, sizeof(v), by_value);
	return s;
}

static struct times times_of(const struct sample *s)
{
	struct times t = {room(NULL, s->n, sizeof(uint32_t)), room(NULL, s->n, sizeof(uint32_t)),
			  0};

	for (size_t i = 0; i < s->n; i++) {
		const uint32_t *at =
			bsearch(&s->values[i], values, values_n, sizeof(*values), by_value);

		if (i && s->values[i] == s->values[i - 1]) {
			t.count[t.n - 1]++;
			continue;
		}
		t.of[t.n] = (uint32_t)(at - values);
		t.count[t.n++] = 1;
	}
	return t;
}

/* q < 0: the mean. times[i * step] is taken weight[i] times. */
static double figure(const struct times *times, size_t step, const uint32_t *weight, size_t pairs,
		     double q)
{
	uint64_t n = 0, below = 0;
	double total = 0;

	memset(sum, 0, values_n * sizeof(*sum));
	for (size_t i = 0; i < pairs; i++)
		for (uint32_t k = 0; weight[i] && k < times[i * step].n; k++)
			sum[times[i * step].of[k]] +=
				(uint64_t)weight[i] * times[i * step].count[k];
	for (uint32_t v = 0; v < values_n; v++) {
		n += sum[v];
		total += (double)sum[v] * values[v];
	}
	if (q < 0)
		return total / (double)n;
	for (uint32_t v = 0; v < values_n; v++)
		if ((double)(below += sum[v]) > q * (double)(n - 1))
			return values[v];
	return values[values_n - 1];
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The geometric mean of the ratios drawn, a tenth cut at each end. Sorts them. */
static double ratios_change(double *logs, size_t n)
{
	size_t cut = n / 10;
	double total = 0;

	qsort(logs, n, sizeof(*logs), by_size);
	for (size_t i = cut; i < n - cut; i++)
		total += logs[i];
	return (exp(total / (double)(n - 2 * cut)) - 1) * 100;
}

/* Of each pair by itself: the logarithm of B / A. */
static double *ratios_of(const struct times *times, size_t pairs, double q)
{
	double *logs = room(NULL, pairs, sizeof(*logs));
	const uint32_t one = 1;

	for (size_t i = 0; i < pairs; i++)
		logs[i] = log(fmax(figure(&times[2 * i + 1], 2, &one, 1, q), 1) /
			      fmax(figure(&times[2 * i], 2, &one, 1, q), 1));
	return logs;
}

static double change(double a, double b)
{
	return a > 0 ? (b - a) * 100 / a : 0;
}

struct pair {
	double more; /* B than A, by the means */
	size_t i;
};

static int by_more(const void *a, const void *b)
{
	const double x = ((const struct pair *)a)->more, y = ((const struct pair *)b)->more;

	return x < y ? -1 : x > y;
}

static double mean_of(const struct sample *s)
{
	double total = 0;

	for (size_t i = 0; i < s->n; i++)
		total += s->values[i];
	return total / (double)s->n;
}

static struct pair *pairs_by_more(const struct sample *samples, size_t pairs)
{
	struct pair *p = room(NULL, pairs, sizeof(*p));

	for (size_t i = 0; i < pairs; i++)
		p[i] = (struct pair){mean_of(&samples[2 * i + 1]) - mean_of(&samples[2 * i]), i};
	qsort(p, pairs, sizeof(*p), by_more);
	return p;
}

/* Takes a tenth of the weight away from each end. */
static void trim(uint32_t *weight, const struct pair *order, size_t pairs)
{
	for (int end = 0; end < 2; end++) {
		size_t cut = pairs / 10;

		for (size_t n = 0; n < pairs && cut; n++) {
			uint32_t *w = &weight[order[end ? pairs - 1 - n : n].i];
			uint32_t part = *w < cut ? *w : (uint32_t)cut;

			*w -= part;
			cut -= part;
		}
	}
}

int main(int argc, char **argv)
{
	size_t files = argc > 2 ? (size_t)argc - 2 : 0, pairs = files / 2, all = 0;
	uint64_t state = 88172645463325252ull;
	static double changes[DRAWS];
	struct sample *samples;
	struct pair *order = NULL;		      /* of trimmed */
	double *ratios = NULL, *drawn = NULL, by = 0; /* of each */
	struct times *times;
	uint32_t *weight;
	double q, a, b;
	bool trimmed, each = argc > 1 && !strcmp(argv[1], "each");
	char *end;

	if (each) {
		argc--, argv++;
		files = argc > 2 ? (size_t)argc - 2 : 0;
		pairs = files / 2;
	}

	q = argc > 1 ? strtod(argv[1], &end) : -1;
	trimmed = argc > 1 && !strcmp(argv[1], "trimmed");
	if (argc > 1 && (trimmed || !strcmp(argv[1], "mean")))
		q = -1;
	else if (argc > 1 && (end == argv[1] || *end || q < 0 || q > 1))
		files = 0;
	if (!pairs || files % 2) {
		fprintf(stderr, "usage: paired [each] QUANTILE|mean|trimmed A1 B1 A2 B2 ...\n");
		return 2;
	}
	samples = room(NULL, files, sizeof(*samples));
	times = room(NULL, files, sizeof(*times));
	weight = room(NULL, pairs, sizeof(*weight));
	for (size_t i = 0; i < files; i++) {
		samples[i] = sample_read(argv[i + 2]);
		values = room(values, all + samples[i].n, sizeof(*values));
		memcpy(values + all, samples[i].values, samples[i].n * sizeof(*values));
		all += samples[i].n;
	}
	qsort(values, all, sizeof(*values), by_value);
	for (size_t i = 0; i < all; i++)
		if (!i || values[i] != values[values_n - 1])
			values[values_n++] = values[i];
	sum = room(NULL, values_n, sizeof(*sum));
	for (size_t i = 0; i < files; i++)
		times[i] = times_of(&samples[i]);

	if (trimmed)
		order = pairs_by_more(samples, pairs);
	for (size_t i = 0; i < pairs; i++)
		weight[i] = 1;
	if (trimmed)
		trim(weight, order, pairs);
	a = figure(times, 2, weight, pairs, q);
	b = figure(times + 1, 2, weight, pairs, q);
	by = change(a, b);
	if (each) {
		ratios = ratios_of(times, pairs, q);
		drawn = room(NULL, pairs, sizeof(*drawn));
		memcpy(drawn, ratios, pairs * sizeof(*drawn));
		by = ratios_change(drawn, pairs);
	}
	for (int d = 0; d < DRAWS; d++) {
		if (each) {
			for (size_t i = 0; i < pairs; i++) {
				state ^= state << 13, state ^= state >> 7, state ^= state << 17;
				drawn[i] = ratios[(state >> 11) % pairs];
			}
			changes[d] = ratios_change(drawn, pairs);
			continue;
		}
		memset(weight, 0, pairs * sizeof(*weight));
		for (size_t i = 0; i < pairs; i++) {
			state ^= state << 13, state ^= state >> 7, state ^= state << 17;
			weight[(state >> 11) % pairs]++;
		}
		if (trimmed)
			trim(weight, order, pairs);
		changes[d] = change(figure(times, 2, weight, pairs, q),
				    figure(times + 1, 2, weight, pairs, q));
	}
	qsort(changes, DRAWS, sizeof(*changes), by_size);
	printf("%.0f %.0f %+.1f %+.1f %+.1f\n", a, b, by, changes[DRAWS * 25 / 1000],
	       changes[DRAWS - 1 - DRAWS * 25 / 1000]);
	return 0;
}
