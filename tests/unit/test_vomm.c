// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The model's promises: sums, memory, bits that survive a save, streams that do not disturb. */
#include "support/support.h"

#include "core/vomm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t seed = 1;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)seed * n) >> 32);
}

static struct vomm *model(size_t bytes_max)
{
	struct vomm_limits limits = {.bytes_max = bytes_max};
	struct vomm *v = NULL;

	assert_int_equal(vomm_new(&limits, &v), 0);
	assert_true(vomm_bytes(v) <= bytes_max);
	return v;
}

/* A noisy loop: mostly the next of eight, sometimes any of n. */
static uint32_t noisy(uint32_t i, uint32_t n)
{
	return dice(8) ? 100 + i % 8 : 200 + dice(n);
}

static void test_vomm_sums_to_one_with_novelty(void **state)
{
	struct vomm *v = model(2 << 20);
	struct vomm_stream s;

	(void)state;
	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < 3000; i++) {
		if (i % 50 == 0) {
			double sum = vomm_novelty(v, &s);

			for (uint32_t x = 0; x < 1000 && i; x++)
				if (vomm_prob(v, &s, x) != vomm_novelty(v, &s))
					sum += vomm_prob(v, &s, x);
			assert_float_equal(sum, 1.0, 1e-4);
		}
		(void)vomm_observe(v, &s, noisy(i, 40), i, NULL);
	}
	vomm_free(v);
}

static void test_vomm_learns_a_loop_and_puts_the_likeliest_first(void **state)
{
	struct vomm *v = model(2 << 20);
	struct vomm_guess g[4];
	struct vomm_stream s;
	size_t n = 0;

	(void)state;
	vomm_stream_init(&s, NULL);
	assert_int_equal(vomm_predict(v, &s, 4, g, &n), VOMM_COLD);
	for (uint32_t i = 0; i < 400; i++)
		(void)vomm_observe(v, &s, i % 7, i * 1000, NULL);
	assert_int_equal(vomm_predict(v, &s, 4, g, &n), 0);
	assert_int_equal(g[0].symbol, 400 % 7);
	assert_true(g[0].p > 0.98);
	for (size_t i = 1; i < n; i++)
		assert_true(g[i].p <= g[i - 1].p);
	vomm_free(v);
}

struct buffer {
	char *at;
	size_t len, pos;
};

static int put(void *ctx, const void *bytes, size_t len)
{
	struct buffer *b = ctx;

	b->at = realloc(b->at, b->len + len);
	memcpy(b->at + b->len, bytes, len);
	b->len += len;
	return 0;
}

static int get(void *ctx, void *bytes, size_t len)
{
	struct buffer *b = ctx;

	if (b->len - b->pos < len)
		return -EIO;
	memcpy(bytes, b->at + b->pos, len);
	b->pos += len;
	return 0;
}

static void test_vomm_saves_and_loads_bit_for_bit(void **state)
{
	struct vomm_limits limits = {.bytes_max = 2 << 20};
	struct vomm *v = model(2 << 20), *w = NULL;
	struct buffer b = {0};
	struct vomm_stream s, t;

	(void)state;
	vomm_stream_init(&s, NULL);
	for (uint32_t i = 0; i < 5000; i++)
		(void)vomm_observe(v, &s, noisy(i, 300), i * 100, NULL);
	assert_int_equal(vomm_save(v, put, &b), 0);
	assert_int_equal(vomm_load(&limits, get, &b, &w), 0);
	t = s;
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t x = noisy(i, 300);
		double p, q;

		assert_int_equal(vomm_observe(v, &s, x, i * 100, &p),
				 vomm_observe(w, &t, x, i * 100, &q));
		assert_true(p == q);
	}
	w = vomm_free(w);
	for (int i = 0; i < 200; i++) { /* any damaged byte is noticed */
		size_t at = (size_t)dice((uint32_t)b.len);

		b.at[at] = (char)(b.at[at] ^ (1 << dice(8)));
		b.pos = 0;
		assert_int_equal(vomm_load(&limits, get, &b, &w), VOMM_REFUSED);
		b.at[at] = (char)~b.at[at];
	}
	b.pos = 0;
	b.len /= 2;
	assert_int_equal(vomm_load(&limits, get, &b, &w), -EIO);
	assert_null(w);
	vomm_free(v);
	free(b.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vomm_sums_to_one_with_novelty),
		cmocka_unit_test(test_vomm_learns_a_loop_and_puts_the_likeliest_first),
		cmocka_unit_test(test_vomm_saves_and_loads_bit_for_bit),
	};

	return cmocka_run_group_tests_name("vomm", tests, NULL, NULL);
}
