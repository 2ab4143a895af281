// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The model against sources whose best possible prediction is known, and habits that change. */
#include "support/support.h"

#include "core/vomm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(((seed >> 32) * n) >> 32);
}

static double unit(void)
{
	return dice(1u << 30) / (double)(1u << 30);
}

static struct vomm *model(size_t bytes_max)
{
	struct vomm_limits limits = {.bytes_max = bytes_max};
	struct vomm *v = NULL;

	assert_int_equal(vomm_new(&limits, &v), 0);
	return v;
}

/* --- order-k sources ------------------------------------------------------------------------- */

enum { LETTERS = 4, CONTEXTS = 1024 /* LETTERS ^ 5 */ };

struct source {
	double p[CONTEXTS][LETTERS];
	uint32_t context, context_n;
};

static void source_init(struct source *s, int order)
{
	s->context_n = 1;
	for (int i = 0; i < order; i++)
		s->context_n *= LETTERS;
	s->context = 0;
	for (uint32_t c = 0; c < s->context_n; c++) {
		double sum = 0;

		/* Skewed, so that there is a best guess worth finding. */
		for (int x = 0; x < LETTERS; x++)
			sum += s->p[c][x] = pow(unit(), 6) + 0.01;
		for (int x = 0; x < LETTERS; x++)
			s->p[c][x] /= sum;
	}
}

static uint32_t source_next(struct source *s)
{
	double u = unit();
	uint32_t x = 0;

	while (x + 1 < LETTERS && u >= s->p[s->context][x])
		u -= s->p[s->context][x++];
	return x;
}

static void source_step(struct source *s, uint32_t x)
{
	s->context = (s->context * LETTERS + x) % s->context_n;
}

static uint32_t source_best(const struct source *s)
{
	uint32_t best = 0;

	for (uint32_t x = 1; x < LETTERS; x++)
		if (s->p[s->context][x] > s->p[s->context][best])
			best = x;
	return best;
}

static void test_vomm_is_within_a_point_of_bayes_on_order_k_sources(void **state)
{
	enum { N = 120000, LEARN = 80000 };
	static struct source src;

	(void)state;
	for (int order = 0; order <= 5; order++) {
		struct vomm *v = model(16 << 20);
		uint32_t hit = 0, bayes = 0;
		double bits = 0, best_bits = 0;
		struct vomm_stream s;

		seed = (uint64_t)order + 11;
		source_init(&src, order);
		vomm_stream_init(&s, NULL);
		for (uint32_t i = 0; i < N; i++) {
			uint32_t x = source_next(&src);
			struct vomm_guess g;
			size_t n = 0;
			double p;

			if (i >= LEARN) {
				if (vomm_predict(v, &s, 1, &g, &n) == 0)
					hit += g.symbol == x;
				bayes += source_best(&src) == x;
				best_bits -= log2(src.p[src.context][x]);
			}
			(void)vomm_observe(v, &s, x, 0, &p);
			if (i >= LEARN)
				bits -= log2(p);
			source_step(&src, x);
		}
		print_message("order %d: %.2f %% right of %.2f %%, %.3f bits of %.3f\n", order,
			      100.0 * hit / (N - LEARN), 100.0 * bayes / (N - LEARN),
			      bits / (N - LEARN), best_bits / (N - LEARN));
		assert_true(100.0 * (bayes - (double)hit) / (N - LEARN) < 1.0);
		assert_true((bits - best_bits) / (N - LEARN) < 0.06);
		vomm_free(v);
	}
}

/* --- lineages -------------------------------------------------------------------------------- */

/* Two programs' habits: each a cycle of its own, now and then an odd symbol; some names are shared. */
static uint32_t habit(uint32_t who, uint32_t i)
{
	uint32_t step = i % (who ? 17 : 23);

	if (dice(20) == 0)
		return 900 + dice(10);
	return step % 5 == 0 ? 700 + step % 3 : 100 * (who + 1) + step;
}

static double alone(uint32_t who, uint32_t n)
{
	struct vomm *v = model(4 << 20);
	struct vomm_stream s;
	uint32_t hit = 0;

	seed = 5 + who;
	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t x = habit(who, i);
		struct vomm_guess g;
		size_t k;

		if (vomm_predict(v, &s, 1, &g, &k) == 0)
			hit += g.symbol == x;
		(void)vomm_observe(v, &s, x, 0, NULL);
	}
	vomm_free(v);
	return 100.0 * hit / n;
}

static void test_vomm_interleaved_lineages_predict_as_well_as_alone(void **state)
{
	enum { N = 6000 };
	double apart[2] = {alone(0, N), alone(1, N)};
	struct vomm *v = model(4 << 20);
	uint32_t hit[2] = {0}, at[2] = {0};
	struct vomm_stream s[2];
	uint64_t seeds[3] = {5, 6, 77};

	(void)state;
	vomm_stream_init(&s[0], NULL);
	vomm_stream_init(&s[1], NULL);
	while (at[0] < N || at[1] < N) {
		struct vomm_guess g;
		uint32_t who, x;
		size_t k;

		seed = seeds[2];
		who = dice(2);
		seeds[2] = seed;
		if (at[who] == N)
			who = !who;
		seed = seeds[who]; /* each goes on as it did alone */
		x = habit(who, at[who]++);
		seeds[who] = seed;
		if (vomm_predict(v, &s[who], 1, &g, &k) == 0)
			hit[who] += g.symbol == x;
		(void)vomm_observe(v, &s[who], x, 0, NULL);
	}
	for (int i = 0; i < 2; i++) {
		print_message("alone %.2f, interleaved %.2f\n", apart[i], 100.0 * hit[i] / N);
		assert_true(100.0 * hit[i] / N > apart[i] - 1);
	}
	vomm_free(v);
}

/* --- drift ----------------------------------------------------------------------------------- */

/* Right guesses in one run of a job: step i of n is symbol base + order[i], one in 20 is odd. */
static double job(struct vomm *v, const uint32_t *order, uint32_t n)
{
	struct vomm_stream s;
	uint32_t hit = 0;

	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t x = dice(20) ? order[i] : 5000 + dice(50);
		struct vomm_guess g;
		size_t k;

		if (vomm_predict(v, &s, 1, &g, &k) == 0)
			hit += g.symbol == x;
		(void)vomm_observe(v, &s, x, 0, NULL);
	}
	return 100.0 * hit / n;
}

static void test_vomm_learns_a_new_habit_within_twenty_repetitions(void **state)
{
	enum { STEPS = 60 };
	uint32_t order[STEPS];
	struct vomm *v = model(4 << 20);
	double soon = 0, steady = 0;

	(void)state;
	seed = 3;
	for (uint32_t i = 0; i < STEPS; i++)
		order[i] = 100 + i;
	for (int i = 0; i < 300; i++)
		(void)job(v, order, STEPS);
	for (uint32_t i = STEPS; i > 1; i--) { /* the same names in another order: the hard case */
		uint32_t j = dice(i), t = order[i - 1];

		order[i - 1] = order[j];
		order[j] = t;
	}
	for (int i = 0; i < 20; i++)
		(void)job(v, order, STEPS);
	for (int i = 0; i < 5; i++)
		soon += job(v, order, STEPS) / 5;
	for (int i = 0; i < 200; i++)
		(void)job(v, order, STEPS);
	for (int i = 0; i < 20; i++)
		steady += job(v, order, STEPS) / 20;
	print_message("after 20 repetitions %.1f, steady %.1f\n", soon, steady);
	assert_true(soon >= 0.9 * steady);
	vomm_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vomm_is_within_a_point_of_bayes_on_order_k_sources),
		cmocka_unit_test(test_vomm_interleaved_lineages_predict_as_well_as_alone),
		cmocka_unit_test(test_vomm_learns_a_new_habit_within_twenty_repetitions),
	};

	return cmocka_run_group_tests_name("vomm_sources", tests, NULL, NULL);
}
