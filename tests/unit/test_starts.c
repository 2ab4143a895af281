// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A start that was kept is what its number says, in its phase and the one that follows. */
#include "support/support.h"

#include "core/starts.h"

#include <string.h>

struct seen {
	struct obs o[32];
	char names[32][64];
	size_t n;
};

static void see(void *ctx, const struct obs *o)
{
	struct seen *s = ctx;

	assert_true(s->n < 32);
	s->o[s->n] = *o;
	snprintf(s->names[s->n], sizeof(s->names[0]), "%s", o->name ? o->name : "");
	s->n++;
}

static const struct fwm_foldable_key key = {.ino = 7, .dev = 1, .name = 2, .args = 3, .uid = 4};

static uint32_t keep(struct starts *s, const char *name, const struct fwm_foldable_key *k)
{
	struct obs o = {.kind = OBS_EXEC,
			.pid = 100,
			.ppid = 1,
			.uid = 4,
			.count = 1,
			.latency_ns = 5,
			.flags = OBS_F_READY,
			.name = name,
			.args = "x\0y",
			.args_len = 4,
			.file = {.ino = 7}};

	return starts_keep(s, &o, k);
}

static void test_counts_are_told_of_what_was_kept(void **state)
{
	struct fwm_starts e = {.hdr = {.ts_ns = 9, .tgid = 50}};
	struct fwm_late late = {.hdr = {.ts_ns = 3, .tgid = 60}, .parent = 50};
	struct starts *s = NULL;
	struct seen seen = {0};
	uint32_t start;

	(void)state;
	assert_int_equal(starts_new(&s), 0);
	assert_int_equal(keep(s, "/bin/x", &key), 0); /* no phase */
	(void)starts_phase(s);
	start = keep(s, "/bin/x", &key);
	assert_true(start != 0);
	assert_int_equal(keep(s, "/bin/x", &key), start);
	assert_memory_equal(starts_key(s, start), &key, sizeof(key));

	e.rows[2] = (struct fwm_starts_row){
		.start = start, .count = 5, .ends_n = 4, .life_ns = 40, .cpu_ns = 8};
	assert_int_equal(starts_decode(s, &e, see, &seen), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.o[0].kind, OBS_GAP);
	assert_int_equal(seen.o[1].kind, OBS_STARTS);
	assert_int_equal(seen.o[1].count, 5);
	assert_int_equal(seen.o[1].uid, 4);
	assert_string_equal(seen.names[1], "/bin/x");
	assert_memory_equal(seen.o[1].args, "x\0y", 4);
	assert_int_equal(seen.o[2].kind, OBS_ENDS);
	assert_int_equal(seen.o[2].count, 4);
	assert_int_equal(seen.o[2].use.life_ns, 40);
	for (size_t i = 0; i < seen.n; i++) {
		assert_int_equal(seen.o[i].pid, 50);
		assert_int_equal(seen.o[i].ts_ns, 9);
	}

	seen.n = 0;
	late.start = start;
	assert_int_equal(starts_late_decode(s, &late, see, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.o[0].kind, OBS_FORK);
	assert_int_equal(seen.o[1].kind, OBS_EXEC);
	assert_int_equal(seen.o[1].flags, OBS_F_QUIET | OBS_F_COUNTED);
	assert_int_equal(seen.o[1].pid, 60);
	assert_int_equal(seen.o[1].ppid, 50);
	starts_free(s);
}

static void test_numbers_hold_for_two_phases(void **state)
{
	struct fwm_starts e = {.hdr = {.tgid = 50}};
	struct starts *s = NULL;
	struct seen seen = {0};
	uint32_t first, again;

	(void)state;
	assert_int_equal(starts_new(&s), 0);
	assert_int_equal(starts_phase(s), 1);
	first = keep(s, "/bin/x", &key);
	assert_int_equal(FWM_START_PHASE(first), 1);
	assert_int_equal(starts_phase(s), 2);
	assert_non_null(starts_key(s, first));
	again = keep(s, "/bin/x", &key);
	assert_true(again && again != first);
	(void)starts_phase(s);
	assert_null(starts_key(s, first));
	assert_non_null(starts_key(s, again));
	e.rows[0] = (struct fwm_starts_row){.start = first, .count = 1};
	e.rows[1] = (struct fwm_starts_row){.start = again, .count = 1};
	assert_int_equal(starts_decode(s, &e, see, &seen), DECODE_UNNAMED);
	assert_int_equal(seen.n, 2); /* the gap, and the one that is known */
	starts_free(s);
}

static void test_what_cannot_be_kept_is_told(void **state)
{
	struct fwm_foldable_key other = key;
	char name[STARTS_TEXT + 1];
	struct starts *s = NULL;
	unsigned kept_n = 0;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(starts_new(&s), 0);
	(void)starts_phase(s);
	assert_int_equal(keep(s, name, &key), 0);
	for (uint32_t i = 0; i < 4 * STARTS_MAX; i++) {
		other.ino = 1000 + i;
		kept_n += keep(s, "/bin/x", &other) != 0;
	}
	assert_true(kept_n > STARTS_MAX / 2 && kept_n <= STARTS_MAX);
	assert_null(starts_key(s, 0));
	assert_null(starts_key(s, UINT32_MAX));
	starts_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_are_told_of_what_was_kept),
		cmocka_unit_test(test_numbers_hold_for_two_phases),
		cmocka_unit_test(test_what_cannot_be_kept_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
