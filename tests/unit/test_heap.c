// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_heap.c - the least key first, and of equal ones the one that came first; against a plain list. */
#include "support/support.h"

#include "base/heap.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAX = 40 };

/* In the order they came. */
struct plain {
	uint64_t key[ENTRY_MAX], value[ENTRY_MAX];
	uint32_t n;
};

static uint32_t least_of(const struct plain *p)
{
	uint32_t least = 0;

	for (uint32_t i = 1; i < p->n; i++)
		if (p->key[i] < p->key[least])
			least = i;
	return least;
}

static void test_heap_gives_the_least_and_the_oldest_first(void **state)
{
	struct plain p = {0};
	struct heap h;
	uint64_t key, value;

	(void)state;
	srandom(3);
	assert_int_equal(heap_init(&h, ENTRY_MAX), 0);
	for (uint64_t step = 0; step < 40000; step++) {
		/* Fuller and emptier by turns, with few keys at times so that many are equal. */
		if ((uint64_t)random() % 100 < (step / 500 % 2 ? 65 : 35)) {
			key = (uint64_t)random() % (step / 2000 % 2 ? 5 : 1000000);
			assert_int_equal(heap_push(&h, key, step), p.n < ENTRY_MAX);
			if (p.n < ENTRY_MAX) {
				p.key[p.n] = key;
				p.value[p.n++] = step;
			}
		} else if (p.n) {
			uint32_t at = least_of(&p);

			assert_true(heap_peek(&h, &key, &value));
			assert_true(key == p.key[at] && value == p.value[at]);
			key = value = 0;
			assert_true(heap_pop(&h, &key, &value));
			assert_true(key == p.key[at] && value == p.value[at]);
			p.n--;
			memmove(p.key + at, p.key + at + 1, (p.n - at) * sizeof(*p.key));
			memmove(p.value + at, p.value + at + 1, (p.n - at) * sizeof(*p.value));
		} else {
			assert_false(heap_peek(&h, &key, &value) || heap_pop(&h, &key, &value));
		}
		assert_int_equal(h.used_n, p.n);
	}
	heap_fini(&h);
	assert_int_equal(h.used_n, 0);
}

static bool odd(void *ctx, uint64_t value)
{
	(void)ctx;
	return value % 2;
}

/* What is kept comes out as it would have, those of one key in the order they went in. */
static void test_heap_keeps_what_it_is_told_to(void **state)
{
	struct heap h;
	uint64_t key, value;

	(void)state;
	assert_int_equal(heap_init(&h, 64), 0);
	for (uint64_t i = 0; i < 64; i++)
		assert_true(heap_push(&h, (63 - i) / 8, i));
	heap_keep(&h, odd, NULL);
	assert_int_equal(h.used_n, 32);
	assert_true(heap_push(&h, 3, 101));
	for (uint64_t i = 0; i < 33; i++) {
		uint64_t at = i < 16 ? i : i - 1;

		assert_true(heap_pop(&h, &key, &value));
		assert_int_equal(key, i == 16 ? 3 : at / 4);
		assert_int_equal(value, i == 16 ? 101 : 56 - at / 4 * 8 + at % 4 * 2 + 1);
	}
	assert_int_equal(h.used_n, 0);
	heap_keep(&h, odd, NULL);
	assert_int_equal(h.used_n, 0);
	heap_fini(&h);
}

static void test_heap_of_none_takes_none(void **state)
{
	struct heap h;
	uint64_t key, value;

	(void)state;
	assert_int_equal(heap_init(&h, 0), 0);
	assert_false(heap_push(&h, 1, 1));
	assert_false(heap_pop(&h, &key, &value));
	heap_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_gives_the_least_and_the_oldest_first),
		cmocka_unit_test(test_heap_keeps_what_it_is_told_to),
		cmocka_unit_test(test_heap_of_none_takes_none),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
