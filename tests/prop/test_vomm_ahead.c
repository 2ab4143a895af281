// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes soon, when, and how surely: against every future counted out, and against the times and
 * frequencies that were really seen. */
#include "support/support.h"

#include "core/lead.h"
#include "core/vomm.h"

#include <math.h>
#include <stdlib.h>

static uint64_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(((seed >> 32) * n) >> 32);
}

static struct vomm *model(void)
{
	struct vomm_limits limits = {.bytes_max = 4 << 20};
	struct vomm *v = NULL;

	assert_int_equal(vomm_new(&limits, &v), 0);
	return v;
}

/* --- within a horizon ------------------------------------------------------------------------- */

enum { LETTERS = 4, HORIZON = 4 };

/* Each letter has a favourite next one; the others share a third. */
static uint32_t letter(uint32_t before)
{
	return dice(3) ? (before * 3 + 1) % LETTERS : dice(LETTERS);
}

/* The probability that symbol is among the next horizon ones: all futures, one by one. */
static double all_futures(struct vomm *v, const struct vomm_stream *s, uint32_t symbol,
			  uint32_t horizon)
{
	double p = vomm_prob(v, s, symbol);

	for (uint32_t x = 0; x < LETTERS && horizon > 1; x++) {
		struct vomm_stream then = *s;
		double of_x = vomm_prob(v, s, x);

		if (x == symbol)
			continue;
		vomm_advance(v, &then, x, s->last_ns);
		p += of_x * all_futures(v, &then, symbol, horizon - 1);
	}
	return p;
}

static void check_chain(struct vomm *v, const struct vomm_stream *s, const double *exact)
{
	struct vomm_guess g[LETTERS + 1];
	bool named[LETTERS] = {false};
	size_t n = 0;

	if (vomm_chain(v, s, 0.01, HORIZON, LETTERS + 1, g, &n) != 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		assert_in_range(g[i].symbol, 0, LETTERS - 1);
		assert_false(named[g[i].symbol]); /* each once */
		named[g[i].symbol] = true;
		assert_in_range(g[i].depth, 1, HORIZON);
		assert_true(g[i].p_path >= 0.01);
		assert_true(g[i].p_path < exact[g[i].symbol] + 1e-6);
		assert_true(g[i].p_path > exact[g[i].symbol] - 0.1);
		assert_true(i == 0 || g[i].p <= g[i - 1].p);
	}
	for (uint32_t x = 0; x < LETTERS; x++)
		assert_true(named[x] || exact[x] < 0.02);
}

static void test_vomm_chain_is_the_sum_of_all_futures(void **state)
{
	struct vomm *v = model();
	struct vomm_stream s;
	uint32_t x = 0;

	(void)state;
	seed = 1;
	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < 900; i++) {
		double exact[LETTERS];

		for (uint32_t y = 0; i >= 100 && i % 40 == 0 && y < LETTERS; y++)
			exact[y] = all_futures(v, &s, y, HORIZON);
		if (i >= 100 && i % 40 == 0)
			check_chain(v, &s, exact);
		x = letter(x);
		(void)vomm_observe(v, &s, x, 0, NULL);
	}
	v = vomm_free(v);
}

/* Far more futures than are followed: the likely ones must be. */
static void test_vomm_follows_the_likeliest_futures(void **state)
{
	enum { STEPS = 12, ODD = 9 };
	struct vomm *v = model();
	struct vomm_guess g[6];
	struct vomm_stream s;
	size_t n = 0;

	(void)state;
	seed = 2;
	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < 400 * STEPS; i++) {
		uint32_t x = i % STEPS;

		(void)vomm_observe(v, &s, dice(3) ? x : 100 + x * ODD + dice(ODD), 0, NULL);
	}
	/* As many places as are likely enough, and far more guesses come before them. */
	assert_int_equal(vomm_chain(v, &s, 0.05, 6, 6, g, &n), 0);
	assert_int_equal(n, 6);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(g[i].symbol, i);
		assert_int_equal(g[i].depth, i + 1);
	}
	v = vomm_free(v);
}

/* --- lead times ------------------------------------------------------------------------------- */

static void test_lead_marks_are_within_five_percent(void **state)
{
	(void)state;
	for (double ns = 200; ns < 3.5e9; ns *= 1.013)
		assert_true(fabs((double)lead_ns_of(lead_mark_of((uint64_t)ns)) / ns - 1) < 0.05);
}

/* Between one and eight milliseconds, all octaves alike. */
static uint64_t duration(void)
{
	return (uint64_t)(1e6 * exp2(3.0 * dice(1 << 20) / (1 << 20)));
}

static void test_lead_quantiles_have_their_share_below(void **state)
{
	enum { N = 4000, BEGIN = 500 };
	struct lead_cell cell = {0};
	uint32_t below[3] = {0};

	(void)state;
	seed = 3;
	for (uint32_t i = 0; i < N; i++) {
		uint64_t ns = duration();
		struct lead l;

		if (i >= BEGIN) {
			assert_true(lead_get(&cell, 7, &l));
			assert_true(l.p10_ns <= l.p50_ns && l.p50_ns <= l.p90_ns);
			below[0] += ns < l.p10_ns;
			below[1] += ns < l.p50_ns;
			below[2] += ns < l.p90_ns;
		}
		lead_learn(&cell, 7, ns);
	}
	print_message("%.1f %.1f %.1f %% below\n", 100.0 * below[0] / (N - BEGIN),
		      100.0 * below[1] / (N - BEGIN), 100.0 * below[2] / (N - BEGIN));
	assert_in_range(below[0] * 100 / (N - BEGIN), 6, 14);
	assert_in_range(below[1] * 100 / (N - BEGIN), 45, 55);
	assert_in_range(below[2] * 100 / (N - BEGIN), 86, 94);
}

/* Once it is settled, one odd duration moves it by a mark or two only, whenever it comes. */
static void test_lead_is_steady(void **state)
{
	struct lead_cell cell = {0};

	(void)state;
	for (uint32_t i = 0; i < 700; i++) {
		struct lead_cell odd = cell;
		struct lead before, after;

		lead_learn(&odd, 7, 900000000);
		if (i > 30 && lead_get(&cell, 7, &before) && lead_get(&odd, 7, &after)) {
			assert_true((double)after.p50_ns < 1.1 * (double)before.p50_ns);
			assert_true((double)after.p90_ns < 1.1 * (double)before.p90_ns);
		}
		lead_learn(&cell, 7, 2000000);
	}
}

/* A cell speaks for one pair; another takes it over when it comes instead, again and again. */
static void test_lead_is_of_one_pair(void **state)
{
	struct lead_cell cell = {0};
	struct lead l;
	int n = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		lead_learn(&cell, 7, 1000000);
	assert_false(lead_get(&cell, 8, &l));
	while (!lead_get(&cell, 8, &l) && n++ < 20)
		lead_learn(&cell, 8, 64000000);
	assert_in_range(n, 5, 10);
	assert_false(lead_get(&cell, 7, &l));
	assert_true(l.p50_ns > 60000000);
}

/* Along a chain the quantiles add; what has no time, or goes back in time, is not learnt. */
static void test_vomm_leads_add_up_along_a_chain(void **state)
{
	struct vomm *v = model();
	struct vomm_stream s, after_none = {0}, after_back = {0};
	struct vomm_guess one, two, g[10];
	uint64_t t = 1000;
	size_t n = 0;

	(void)state;
	seed = 4;
	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < 900; i++) {
		t += duration() * (1 + i % 3);
		(void)vomm_observe(v, &s, i % 3, t, NULL);
		(void)vomm_observe(v, &s, 50 + i % 3, 0, NULL); /* no time: none from it */
		after_none = i % 3 ? after_none : s;
		(void)vomm_observe(v, &s, 60 + i % 3, t / 2, NULL);
		after_back = i % 3 ? after_back : s;
		(void)vomm_observe(v, &s, 70 + i % 3, t / 4, NULL); /* back in time */
		s.last_ns = t;
	}
	for (uint32_t i = 0; i < 900; i++) {
		t += duration() * (1 + i % 3);
		(void)vomm_observe(v, &s, i % 3, t, NULL);
	}
	assert_int_equal(vomm_chain(v, &s, 0.3, 2, 4, g, &n), 0);
	assert_int_equal(n, 2);
	one = g[0].depth == 1 ? g[0] : g[1];
	two = g[0].depth == 1 ? g[1] : g[0];
	assert_int_equal(one.symbol, 0);
	assert_int_equal(two.symbol, 1);
	/* 1..8 ms, then 2..16 ms */
	assert_true(one.lead_p10_ns > 1000000 && one.lead_p10_ns < 1700000);
	assert_true(one.lead_p50_ns > 2000000 && one.lead_p50_ns < 4000000);
	assert_true(one.lead_p90_ns > 4700000 && one.lead_p90_ns < 8500000);
	assert_true(two.lead_p10_ns > 3000000 && two.lead_p10_ns < 5100000);
	assert_true(two.lead_p50_ns > 6000000 && two.lead_p50_ns < 12000000);
	assert_true(two.lead_p90_ns > 14000000 && two.lead_p90_ns < 25500000);
	assert_int_equal(vomm_predict(v, &after_none, 10, g, &n), 0);
	assert_int_equal(g[0].symbol, 60);
	assert_int_equal(g[0].lead_p50_ns, 0); /* what it followed had no time */
	assert_int_equal(vomm_predict(v, &after_back, 10, g, &n), 0);
	assert_int_equal(g[0].symbol, 70);
	assert_int_equal(g[0].lead_p50_ns, 0);
	v = vomm_free(v);
}

/* --- calibration ------------------------------------------------------------------------------ */

struct bins {
	double p[10], n[10], hit[10];
};

static void bins_add(struct bins *b, double p, bool hit)
{
	int i = p >= 1 ? 9 : (int)(p * 10);

	b->p[i] += p;
	b->hit[i] += hit;
	b->n[i]++;
}

static double bins_error(const struct bins *b)
{
	double error = 0, n = 0;

	for (int i = 0; i < 10; i++) {
		error += fabs(b->p[i] - b->hit[i]);
		n += b->n[i];
	}
	return error / n;
}

/* Noise of all degrees: of ten symbols the k-th is followed as it mostly is k times in ten. */
static void test_vomm_probabilities_come_true_as_often_as_they_say(void **state)
{
	struct vomm *v = model();
	struct bins first = {0}, all = {0};
	struct vomm_stream s;
	uint32_t x = 0;

	(void)state;
	seed = 5;
	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < 30000; i++) {
		struct vomm_guess g[5];
		uint32_t y = dice(10) < x ? (x + 3) % 10 : dice(10);
		size_t n = 0;

		if (i >= 300 && vomm_predict(v, &s, 5, g, &n) == 0) {
			bins_add(&first, g[0].p, g[0].symbol == y);
			for (size_t k = 0; k < n; k++)
				bins_add(&all, g[k].p, g[k].symbol == y);
		}
		(void)vomm_observe(v, &s, y, 0, NULL);
		x = y;
	}
	print_message("error: first %.4f, all %.4f\n", bins_error(&first), bins_error(&all));
	assert_true(bins_error(&first) < 0.02);
	assert_true(bins_error(&all) < 0.02);
	v = vomm_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vomm_chain_is_the_sum_of_all_futures),
		cmocka_unit_test(test_vomm_follows_the_likeliest_futures),
		cmocka_unit_test(test_lead_marks_are_within_five_percent),
		cmocka_unit_test(test_lead_quantiles_have_their_share_below),
		cmocka_unit_test(test_lead_is_steady),
		cmocka_unit_test(test_lead_is_of_one_pair),
		cmocka_unit_test(test_vomm_leads_add_up_along_a_chain),
		cmocka_unit_test(test_vomm_probabilities_come_true_as_often_as_they_say),
	};

	return cmocka_run_group_tests_name("vomm_ahead", tests, NULL, NULL);
}
