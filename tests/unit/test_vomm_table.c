// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a forgotten context left behind is not taken for what follows a new one. */
#include "support/support.h"

#include "core/vomm_impl.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vomm_context_begins_anew_where_another_was_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
