// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The index against a plain array, over random puts and deletes that collide on purpose. */
#include "support/support.h"

#include "base/index.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 512 };

static bool eq(const void *ctx, uint32_t slot, const void *key)
{
	const uint64_t *keys = ctx;

	return keys[slot] == *(const uint64_t *)key;
}

static void test_index_equals_a_plain_array(void **state)
{
	uint64_t keys[KEY_MAX] = {0};
	bool present[KEY_MAX] = {0};
	struct index ix = {0};

	(void)state;
	assert_int_equal(index_init(&ix, KEY_MAX), 0);
	srandom(7);
	for (uint32_t i = 0; i < KEY_MAX; i++)
		keys[i] = i * 977;
	for (int step = 0; step < 200000; step++) {
		uint32_t k = (uint32_t)random() % KEY_MAX;
		/* Seven hash values for 512 keys: every probe chain is long and shared. */
		uint64_t h = keys[k] % (step < 100000 ? 7 : UINT64_MAX);

		if (step == 100000) { /* the hash function changes: start over */
			index_clear(&ix);
			memset(present, 0, sizeof(present));
		}
		if (present[k])
			index_del(&ix, h, k);
		else
			index_put(&ix, h, k);
		present[k] = !present[k];
		for (uint32_t j = 0; j < KEY_MAX; j += 37) {
			uint64_t hj = keys[j] % (step < 100000 ? 7 : UINT64_MAX);

			assert_int_equal(index_get(&ix, hj, eq, keys, &keys[j]),
					 present[j] ? j : INDEX_NONE);
		}
	}
	index_fini(&ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index_equals_a_plain_array),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
