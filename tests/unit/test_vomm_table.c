// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The model's tables: what was forgotten leaves nothing behind, a load brings back all, or nothing. */
#include "support/support.h"

#include "core/vomm_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool knows(const struct cell *c, uint32_t symbol)
{
	for (int i = 0; i < CELL_EDGES; i++)
		if (c->edge[i] >> COUNT_BITS == symbol)
			return true;
	return false;
}

static void test_vomm_context_begins_anew_where_another_was_forgotten(void **state)
{
	struct vomm_limits limits = {.bytes_max = 2 << 20};
	const uint64_t hash = 0x123456789abcdef1ull;
	struct vomm *v = NULL;
	struct cell *first, *more;
	uint32_t was;

	(void)state;
	assert_int_equal(vomm_new(&limits, &v), 0);
	first = vomm_cell_make(v, hash, 0, NULL);
	for (uint32_t i = 1; i <= CELL_EDGES + 1; i++)
		vomm_cell_learn(v, first, hash, i);
	more = vomm_cell_find(v, vomm_ext_hash(hash, 1));
	assert_non_null(more);
	was = v->context_n;
	first->check = 0; /* forgotten; what it went on in was not */
	first = vomm_cell_make(v, hash, 0, NULL);
	for (uint32_t i = 101; i <= 101 + CELL_EDGES; i++)
		vomm_cell_learn(v, first, hash, i);
	assert_ptr_equal(vomm_cell_find(v, vomm_ext_hash(hash, 1)), more);
	for (uint32_t i = 1; i <= CELL_EDGES + 1; i++)
		assert_false(knows(more, i));
	assert_int_equal(v->context_n, was + 1); /* the first one: nobody uncounted it here */
	assert_int_equal(v->context_forgotten_n, 0);
	v = vomm_free(v);
}

/* --- saved and loaded ------------------------------------------------------------------------- */

static uint32_t seed = 1;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)seed * n) >> 32);
}

struct file {
	char *at;
	size_t len, pos;
};

static int put(void *ctx, const void *bytes, size_t len)
{
	struct file *f = ctx;

	f->at = realloc(f->at, f->len + len);
	memcpy(f->at + f->len, bytes, len);
	f->len += len;
	return 0;
}

static int get(void *ctx, void *bytes, size_t len)
{
	struct file *f = ctx;

	if (f->len - f->pos < len)
		return -EIO;
	memcpy(bytes, f->at + f->pos, len);
	f->pos += len;
	return 0;
}

/* So little memory that every table is full, and has forgotten. */
static const struct vomm_limits tight = {
	.bytes_max = sizeof(struct vomm) + 68000,
	.symbol_max = 60,
};

/* A noisy loop of 50 with something new now and then. */
static uint32_t next_of(uint32_t i)
{
	return dice(10) ? i % 50 : dice(5) ? 100 + dice(30) : 1000 + i;
}

static struct vomm *full_model(struct vomm_stream *s, uint64_t *t)
{
	struct vomm_stats st;
	struct vomm *v = NULL;

	seed = 1;
	assert_int_equal(vomm_new(&tight, &v), 0);
	vomm_stream_init(s, NULL);
	for (uint32_t i = 0; i < 6000; i++)
		(void)vomm_observe(v, s, next_of(i), *t += 1000 + dice(5000), NULL);
	vomm_stats(v, &st);
	assert_int_equal(st.symbol_n, 60);
	assert_true(st.context_forgotten_n > 1000 && st.symbol_forgotten_n > 50);
	assert_true(v->trail_head > 2 * v->trail_mask);
	return v;
}

static int loaded(const struct vomm *v, struct vomm **ret)
{
	struct file f = {0};
	int r = vomm_save(v, put, &f);

	assert_int_equal(r, 0);
	r = vomm_load(&tight, get, &f, ret);
	free(f.at);
	return r;
}

static void same_guesses(struct vomm *v, struct vomm *w, const struct vomm_stream *s)
{
	struct vomm_guess a[16], b[16];
	size_t n = 0, m = 0;

	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	assert_int_equal(vomm_predict(v, s, 10, a, &n), vomm_predict(w, s, 10, b, &m));
	assert_int_equal(n, m);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(vomm_chain(v, s, 0.1, 8, 16, a, &n), vomm_chain(w, s, 0.1, 8, 16, b, &m));
	assert_int_equal(n, m);
	assert_memory_equal(a, b, sizeof(a));
}

static void test_vomm_load_brings_back_every_answer(void **state)
{
	struct vomm_stats of_v, of_w;
	struct vomm_stream s, t;
	uint64_t now = 1000;
	struct vomm *v = full_model(&s, &now), *w = NULL;

	(void)state;
	for (int i = 0; i < 300; i++) { /* what came of chains is kept, too */
		struct vomm_guess g;
		size_t n;

		if (vomm_chain(v, &s, 0.3, 4, 1, &g, &n) == 0)
			vomm_feedback(v, &g, dice(2));
	}
	assert_int_equal(loaded(v, &w), 0);
	vomm_stats(v, &of_v);
	vomm_stats(w, &of_w);
	assert_memory_equal(&of_v, &of_w, sizeof(of_v));
	t = s;
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t x = next_of(i);
		double p, q;

		if (i % 10 == 0)
			same_guesses(v, w, &s);
		now += 1000 + dice(5000);
		assert_int_equal(vomm_observe(v, &s, x, now, &p), vomm_observe(w, &t, x, now, &q));
		assert_true(p == q);
		assert_memory_equal(&s, &t, sizeof(s));
	}
	v = vomm_free(v);
	w = vomm_free(w);
}

/* Each of these has a sound checksum. */
static void test_vomm_refuses_numbers_that_lead_outside(void **state)
{
	struct vomm_stream s;
	uint64_t now = 1000;
	struct vomm *v = full_model(&s, &now), *w = NULL;
	uint32_t *words[] = {
		&v->symbol_n,	     &v->symbol_hand,	   &v->symbol_index[v->symbol_mask],
		&v->symbols[7].name, &v->symbols[7].count, &v->hot[3],
		&v->trail[5].symbol, &v->trail_head,
	};
	struct cell *cell = v->cells;

	(void)state;
	while (!cell->check)
		cell++;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uint32_t was = *words[i];

		*words[i] = words[i] == &v->trail_head ? 0 : was + 100000;
		assert_int_equal(loaded(v, &w), VOMM_REFUSED);
		*words[i] = was;
	}
	cell->ext_n += EXT_MAX + 1;
	assert_int_equal(loaded(v, &w), VOMM_REFUSED);
	cell->ext_n -= EXT_MAX + 1;
	cell->kind ^= 0x40;
	assert_int_equal(loaded(v, &w), VOMM_REFUSED);
	cell->kind ^= 0x40;
	cell->edge[CELL_EDGES - 1] ^= 0xfff00000;
	assert_int_equal(loaded(v, &w), VOMM_REFUSED);
	cell->edge[CELL_EDGES - 1] ^= 0xfff00000;
	v->weight[SETS - 1][SELECT - 1][INPUTS - 1] = NAN;
	assert_int_equal(loaded(v, &w), VOMM_REFUSED);
	v->weight[SETS - 1][SELECT - 1][INPUTS - 1] = 0;
	v->final[FINALS - 1][3] = INFINITY;
	assert_int_equal(loaded(v, &w), VOMM_REFUSED);
	v->final[FINALS - 1][3] = 0;
	assert_null(w);
	assert_int_equal(loaded(v, &w), 0);
	w = vomm_free(w);
	v = vomm_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vomm_load_brings_back_every_answer),
		cmocka_unit_test(test_vomm_refuses_numbers_that_lead_outside),
		cmocka_unit_test(test_vomm_context_begins_anew_where_another_was_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
