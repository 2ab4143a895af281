// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench_model.c - the model at scale: many events, contexts at the memory limit.
 *
 * The source is a host in small: kinds of jobs, each a fixed sequence of names (some shared by all),
 * run in lineages that interleave; a step is another name one time in 100 and a new one in 400. A
 * run's time is taken by itself, with what reading the clock costs taken off.
 *
 *   bench_model EVENTS CAP_MIB PREDICT_EVERY
 */
#include "base/clock.h"
#include "base/huge.h"
#include "core/vomm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LINEAGES = 32, KINDS = 150, STEPS = 400, NAMES = 20000, SHARED = 300, BINS = 1 << 16 };

struct lineage {
	struct vomm_stream stream;
	uint32_t kind, step, length;
};

/* Times in bins of 16 ns. */
struct times {
	uint64_t bin[BINS], n;
	double sum;
};

static uint64_t seed = 42;

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(((seed >> 32) * n) >> 32);
}

/* The least that two looks at the clock are apart. */
static uint64_t clock_cost(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 10000; i++) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC), d = clock_ns(CLOCK_MONOTONIC) - t;

		least = d < least ? d : least;
	}
	return least;
}

static void times_add(struct times *t, uint64_t ns, uint64_t cost_ns)
{
	ns = ns > cost_ns ? ns - cost_ns : 0;
	t->bin[ns / 16 < BINS ? ns / 16 : BINS - 1]++;
	t->n++;
	t->sum += (double)ns;
}

static uint64_t times_at(const struct times *t, double q)
{
	uint64_t left = (uint64_t)((double)t->n * q);

	for (uint32_t i = 0; i < BINS; i++) {
		if (t->bin[i] > left)
			return i * 16 + 8;
		left -= t->bin[i];
	}
	return BINS * 16;
}

static uint32_t hash(uint32_t x)
{
	x = (x ^ x >> 16) * 0x85ebca6bu;
	x = (x ^ x >> 13) * 0xc2b2ae35u;
	return x ^ x >> 16;
}

static uint32_t name_of(uint32_t kind, uint32_t step)
{
	uint32_t h = hash(kind * STEPS + step);

	return h % 3 == 0 ? (h >> 8) % SHARED : SHARED + (h >> 8) % NAMES;
}

static uint32_t next_name(struct lineage *l, uint32_t i)
{
	if (l->step >= l->length) {
		uint32_t u = dice(KINDS);

		l->kind = (uint32_t)((uint64_t)u * u / KINDS * u /
				     KINDS); /* some are run far more often */
		l->step = 0;
		l->length = 20 + hash(l->kind) % (STEPS - 20);
		vomm_stream_init(&l->stream, NULL);
	}
	if (dice(400) == 0)
		return 1000000 + i;
	if (dice(100) == 0)
		return SHARED + dice(NAMES);
	return name_of(l->kind, l->step++);
}

int main(int argc, char **argv)
{
	static struct lineage lineages[LINEAGES];
	static struct times update, predict;
	uint32_t events, every, hit = 0;
	struct vomm_limits limits = {0};
	uint64_t cost_ns = clock_cost(), began;
	struct vomm_stats st;
	struct vomm *v;

	if (argc != 4) {
		fprintf(stderr, "usage: bench_model EVENTS CAP_MIB PREDICT_EVERY\n");
		return 2;
	}
	events = (uint32_t)strtoul(argv[1], NULL, 10);
	limits.bytes_max = strtoul(argv[2], NULL, 10) << 20;
	every = (uint32_t)strtoul(argv[3], NULL, 10);
	if (!every || vomm_new(&limits, &v) < 0)
		return 1;
	huge_ask(v, vomm_bytes(v)); /* as the daemon does */
	began = clock_ns(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < events; i++) {
		struct lineage *l = &lineages[dice(LINEAGES)];
		uint32_t x = next_name(l, i);
		uint64_t t;

		if (i % every == 0) {
			struct vomm_guess g[10];
			size_t n = 0;

			t = clock_ns(CLOCK_MONOTONIC);
			if (vomm_predict(v, &l->stream, 10, g, &n) != 0)
				n = 0;
			times_add(&predict, clock_ns(CLOCK_MONOTONIC) - t, cost_ns);
			hit += n && g[0].symbol == x;
		}
		t = clock_ns(CLOCK_MONOTONIC);
		(void)vomm_observe(v, &l->stream, x, i, NULL);
		if (i % every) /* without a prediction just made: all of the work is in here */
			times_add(&update, clock_ns(CLOCK_MONOTONIC) - t, cost_ns);
	}
	vomm_stats(v, &st);
	printf("{\"events\":%u,\"cap\":%zu,\"bytes\":%zu,\"contexts\":%u,\"context_max\":%u,"
	       "\"forgotten\":%llu,\"hit1\":%.2f,\"update_ns_p50\":%llu,\"update_ns_p99\":%llu,"
	       "\"predict_ns_p50\":%llu,\"predict_ns_p99\":%llu,\"events_per_s\":%.0f}\n",
	       events, limits.bytes_max, st.bytes, st.context_n, st.context_max,
	       (unsigned long long)st.context_forgotten_n, 100.0 * hit / (double)predict.n,
	       (unsigned long long)times_at(&update, 0.5),
	       (unsigned long long)times_at(&update, 0.99),
	       (unsigned long long)times_at(&predict, 0.5),
	       (unsigned long long)times_at(&predict, 0.99),
	       events / ((double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9));
	(void)vomm_free(v);
	return 0;
}
