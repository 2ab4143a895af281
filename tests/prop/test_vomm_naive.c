// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The model against a second one, tests/support/plain_vomm.h, that shares no code with it: both must
 * give every symbol the same probability after every event, to the last bit.
 */
#include "support/support.h"

#include "support/plain_vomm.h"

#include <stdlib.h>
#include <string.h>

static uint64_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(((seed >> 32) * n) >> 32);
}

static void test_vomm_arithmetic_is_as_exact_as_it_says(void **state)
{
	(void)state;
	for (float x = -40; x < 40; x += 0.0137f) {
		assert_true(fabs((double)power_of_two(x) / exp2((double)x) - 1) < 2e-7);
		assert_true(power_of_two(x) == mix_exp2(x) && squash(x) == mix_squash(x));
	}
	for (float p = 1e-5f; p < 0.9999f; p += 0.00037f) {
		assert_true(fabs((double)log_two(p) - log2((double)p)) < 2e-5);
		assert_true(log_two(p) == mix_log2(p) && stretch(p) == mix_stretch(p));
	}
}

/* --- side by side ----------------------------------------------------------------------------- */

enum { NAMES_MAX = 400, ODD_NAME = 77777 };

/* The next symbol of a stream. */
typedef uint32_t (*next_fn)(uint32_t who, uint32_t i);

struct scenario {
	const char *name;
	next_fn next;
	uint32_t events, streams, names;
	uint32_t every; /* all symbols are compared after so many events */
	uint32_t symbol_max, order_max;
	bool tight; /* so little memory that contexts drive each other out */
	bool moves; /* features change, streams begin anew or only advance */
};

static uint32_t any_of_three(uint32_t who, uint32_t i)
{
	(void)who, (void)i;
	return 10 + dice(3);
}

/* Two always, one of them now and then followed by a third: counts reach their limit. */
static uint32_t long_run(uint32_t who, uint32_t i)
{
	(void)who;
	return dice(300) == 0 ? dice(20) : 30 + i % 2;
}

static uint32_t noisy_loop(uint32_t who, uint32_t i)
{
	return dice(8) ? 100 + (i * (who + 1)) % 9 : dice(40);
}

static uint32_t many_after_one(uint32_t who, uint32_t i)
{
	(void)who;
	return i % 2 ? 1 + dice(dice(2) ? 20 : 250) : 0;
}

static uint32_t mostly_new(uint32_t who, uint32_t i)
{
	(void)who;
	return dice(3) ? dice(12) : i % NAMES_MAX;
}

/* A cycle, and after a while another cycle of the same symbols. */
static uint32_t habit_changes(uint32_t who, uint32_t i)
{
	(void)who;
	return dice(25) == 0 ? 50 + dice(5) : i < 250 ? i % 13 : (i * 5) % 13;
}

static const struct scenario scenarios[] = {
	{"any of three", any_of_three, 600, 1, 20, 1, 0, 0, false, false},
	{"any of three, short contexts", any_of_three, 600, 1, 20, 1, 0, 3, false, false},
	{"a noisy loop", noisy_loop, 800, 1, 120, 3, 0, 0, false, false},
	{"lineages with features", noisy_loop, 1500, 3, 120, 5, 0, 0, false, true},
	{"a habit changes", habit_changes, 600, 1, 60, 5, 0, 0, false, false},
	{"counts are halved", long_run, 8900, 1, 40, 50, 0, 2, false, false},
	{"many after one", many_after_one, 900, 1, 260, 20, 0, 3, false, false},
	{"symbols are forgotten", mostly_new, 600, 1, 400, 10, 30, 4, false, false},
	{"contexts drive each other out", noisy_loop, 2500, 2, 120, 10, 60, 0, true, true},
	{"all is forgotten", mostly_new, 1000, 2, 400, 20, 50, 12, true, true},
};

static struct plain naive;
static struct plain_view view;

static void compare_all(struct vomm *v, const struct vomm_stream *s, const struct scenario *sc,
			uint32_t at)
{
	double sum = plain_chance(&naive, &view, 0);
	struct vomm_guess g[10];
	uint32_t likelier = 0;
	size_t n = 0;

	assert_true(vomm_prob(v, s, UINT32_MAX) == sum);
	for (uint32_t i = 0; i <= sc->names; i++) {
		uint32_t name = i < sc->names ? i : ODD_NAME, number = plain_number(&naive, name);
		double ours = vomm_prob(v, s, name), plain = plain_chance(&naive, &view, number);

		if (ours != plain)
			fail_msg("%s, event %u: symbol %u has %.9g, plainly %.9g", sc->name, at,
				 name, ours, plain);
		sum += number ? plain : 0;
	}
	assert_float_equal(sum, 1, 2e-5);
	if (vomm_predict(v, s, 10, g, &n) != 0)
		n = 0;
	assert_int_equal(n, least_of(view.choice_n, 10));
	for (size_t i = 0; i < n; i++)
		assert_true(g[i].p ==
			    plain_chance(&naive, &view, plain_number(&naive, g[i].symbol)));
	for (uint32_t k = 0; n && k < view.choice_n; k++)
		likelier += plain_chance(&naive, &view, view.choice[k].number) > g[n - 1].p;
	assert_true(n == 0 || likelier < n);
}

static void compare_memory(const struct vomm *v, const struct scenario *sc)
{
	struct vomm_stats st;

	vomm_stats(v, &st);
	assert_int_equal(st.context_n, naive.place_n);
	assert_int_equal(st.context_forgotten_n, naive.driven_out);
	assert_int_equal(st.symbol_n, naive.known_n);
	assert_int_equal(st.observed_n, naive.observed);
	assert_true(!sc->tight || st.context_forgotten_n > 1000);
	assert_true(!sc->symbol_max || sc->next != mostly_new || st.symbol_forgotten_n > 50);
	assert_true(sc->next != many_after_one || st.successor_forgotten_n > 50);
}

/* What happens to a stream between two events. */
static void move(struct vomm *v, struct vomm_stream *s, struct plain_stream *t)
{
	uint32_t what = dice(40), which = dice(VOMM_FEATURE_MAX), value = dice(4), name = dice(9);

	if (what == 0) {
		vomm_stream_init(s, NULL);
		memset(t, 0, sizeof(*t));
	} else if (what == 1) {
		vomm_stream_headless(s);
		t->headless = true;
	} else if (what < 6) {
		vomm_stream_feature(s, which, value);
		t->feature[which] = value;
	} else if (what == 6) {
		vomm_advance(v, s, 100 + name, 0);
		plain_advance(&naive, t, 100 + name);
	}
}

static void run(const struct scenario *sc)
{
	struct vomm_limits limits = {.bytes_max = sc->tight ? sizeof(struct vomm) + 68000 : 4 << 20,
				     .order_max = sc->order_max,
				     .symbol_max = sc->symbol_max};
	static struct plain_stream plain[STREAMS];
	struct vomm_stream streams[STREAMS];
	struct vomm *v = NULL;
	struct plain_sizes size;

	seed = sc->events + sc->names;
	assert_int_equal(vomm_new(&limits, &v), 0);
	size = (struct plain_sizes){v->bucket_n, v->limits.symbol_max, v->limits.order_max,
				    v->trail_mask + 1, v->trail_index_mask + 1};
	plain_begin(&naive, &size);
	memset(plain, 0, sizeof(plain));
	for (uint32_t i = 0; i < STREAMS; i++)
		vomm_stream_init(&streams[i], NULL);
	for (uint32_t i = 0; i < sc->events; i++) {
		uint32_t who = dice(sc->streams), x = sc->next(who, i);
		struct vomm_stream *s = &streams[who];
		double p, q;

		if (sc->moves)
			move(v, s, &plain[who]);
		plain_look(&naive, &plain[who], &view);
		if (i % sc->every == 0)
			compare_all(v, s, sc, i);
		(void)vomm_observe(v, s, x, 0, &p);
		q = plain_observe(&naive, &plain[who], x, &view);
		if (p != q)
			fail_msg("%s, event %u: %u came at %.9g, plainly %.9g", sc->name, i, x, p,
				 q);
	}
	compare_memory(v, sc);
	v = vomm_free(v);
}

static void test_vomm_is_bit_for_bit_what_a_plain_one_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		run(&scenarios[i]);
		print_message("%s: %u places, %u driven out\n", scenarios[i].name, naive.place_n,
			      naive.driven_out);
	}
}

/* Two streams whose contexts are all alike, but not what they saw before: asked one after the other,
 * each gets an answer of its own. */
static void test_vomm_tells_streams_of_equal_contexts_apart(void **state)
{
	struct vomm_limits limits = {.bytes_max = 4 << 20};
	struct vomm_stream a, b;
	struct vomm *v = NULL;
	double of_a, of_b;

	(void)state;
	assert_int_equal(vomm_new(&limits, &v), 0);
	vomm_stream_init(&a, NULL);
	for (uint32_t i = 0; i < 600; i++)
		(void)vomm_observe(v, &a, i % 10, 0, NULL);
	vomm_stream_init(&a, NULL);
	b = a;
	vomm_advance(v, &a, 7, 0);
	vomm_advance(v, &b, 8, 0);
	for (uint32_t i = 0; i < 30; i++) {
		vomm_advance(v, &a, 300 + i, 0);
		vomm_advance(v, &b, 300 + i, 0);
	}
	of_b = vomm_prob(v, &b, 8);
	(void)vomm_prob(v, &a, 100); /* another situation in between */
	of_a = vomm_prob(v, &a, 8);
	assert_true(vomm_prob(v, &b, 8) == of_b);
	assert_true(of_a != of_b);
	v = vomm_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vomm_tells_streams_of_equal_contexts_apart),
		cmocka_unit_test(test_vomm_arithmetic_is_as_exact_as_it_says),
		cmocka_unit_test(test_vomm_is_bit_for_bit_what_a_plain_one_is),
	};

	return cmocka_run_group_tests_name("vomm_naive", tests, NULL, NULL);
}
