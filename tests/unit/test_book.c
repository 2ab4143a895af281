// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_book.c - guesses from their beginning to their end, and what of it is counted where. */
#include "support/support.h"

#include "core/book.h"

#include "base/cleanup.h"

DEFINE_CLEANUP(struct book *, book_free)

enum { GUESS_MAX = 4, NODE_MAX = 20, BLOCK = 1, VIA = 2 };

static struct book *book_of(void)
{
	struct book *b = NULL;

	assert_int_equal(book_new(GUESS_MAX, NODE_MAX, &b), 0);
	return b;
}

static struct guess *opened(struct book *b, uint32_t dep, uint64_t deadline_ns)
{
	return book_open(b, &(struct guess){.kind = EDGE_OPEN,
					    .block = BLOCK,
					    .via = VIA,
					    .dep = dep,
					    .outcome = OUTCOME_HIT, /* whatever it came as */
					    .acted = 1,
					    .deadline_ns = deadline_ns});
}

static struct score score_of(const struct book *b)
{
	struct score s = {.lambda = 1.5};

	book_score(b, &s);
	assert_true(s.lambda == 1.5); /* it is not the book's */
	return s;
}

static struct block_score block_of(const struct book *b, uint32_t block)
{
	struct block_score s;

	book_block_score(b, block, &s);
	return s;
}

static void test_book_keeps_what_is_open(void **state)
{
	_cleanup_(book_freep) struct book *b = book_of();
	struct guess *g = opened(b, 5, 100);
	const struct guess *seen;
	uint64_t it = 0;

	(void)state;
	assert_int_equal(g->id, 1);
	assert_int_equal(g->outcome, OUTCOME_OPEN);
	assert_int_equal(book_newest(b), 1);
	assert_int_equal(book_open_n(b), 1);
	assert_ptr_equal(book_open_by_dep(b, 5), g);
	assert_ptr_equal(book_open_by_id(b, 1), g);
	assert_null(book_open_by_dep(b, 6));
	assert_null(book_open_by_id(b, 2));
	book_risk(b, g, 1000);
	book_risk(b, opened(b, 6, 100), 500);
	assert_int_equal(book_at_risk(b), 1500);
	book_risk(b, g, 200);
	assert_int_equal(book_at_risk(b), 700);
	book_end(b, g, OUTCOME_HIT, 50);
	assert_int_equal(book_at_risk(b), 500);
	assert_int_equal(g->ended_ns, 50);
	assert_null(book_open_by_dep(b, 5));
	assert_null(book_open_by_id(b, 1));
	assert_int_equal(book_open_n(b), 1);
	/* Newest first, those that ended too, as long as there is room. */
	assert_true(book_next(b, &it, &seen) && seen->dep == 6);
	assert_true(book_next(b, &it, &seen) && seen->dep == 5);
	assert_false(book_next(b, &it, &seen));
	for (uint32_t dep = 7; dep < 7 + GUESS_MAX; dep++)
		(void)opened(b, dep, 100);
	assert_int_equal(book_evicted(b), 1); /* the one that was open */
	assert_int_equal(score_of(b).outcome_n[OUTCOME_DROPPED], 1);
	it = 0;
	for (uint32_t dep = 6 + GUESS_MAX; dep > 6; dep--)
		assert_true(book_next(b, &it, &seen) && seen->dep == dep);
	assert_false(book_next(b, &it, &seen));
	assert_int_equal(score_of(b).guesses_n, 6);
}

/* In the order of their ends, each when it is due, those that were put off later, and those that ended never. */
static void test_book_tells_what_has_expired(void **state)
{
	_cleanup_(book_freep) struct book *b = book_of();
	struct guess *late = opened(b, 5, 300), *put_off = opened(b, 6, 100),
		     *ended = opened(b, 7, 50), *first = opened(b, 8, 200);

	(void)state;
	book_extend(b, put_off, 250);
	book_extend(b, put_off, 120); /* only later is possible */
	assert_int_equal(put_off->deadline_ns, 250);
	assert_null(book_expired(b, 49));
	book_end(b, ended, OUTCOME_HIT, 49);
	assert_null(book_expired(b, 199));
	assert_ptr_equal(book_expired(b, 200), first);
	book_end(b, first, OUTCOME_DROPPED, 200);
	assert_null(book_expired(b, 249));
	assert_ptr_equal(book_expired(b, 1000), put_off);
	book_end(b, put_off, OUTCOME_DROPPED, 1000);
	assert_ptr_equal(book_expired(b, 1000), late);
	book_end(b, late, OUTCOME_DROPPED, 1000);
	assert_null(book_expired(b, UINT64_MAX));
}

/* However many have come and ended in the time one is given, it ends. */
static void test_book_tells_what_has_expired_among_many(void **state)
{
	_cleanup_(book_freep) struct book *b = book_of();
	struct guess *g;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		book_end(b, opened(b, 5, 1000 + i), OUTCOME_HIT, i);
	g = opened(b, 6, 300);
	assert_ptr_equal(book_expired(b, 300), g);
	book_end(b, g, OUTCOME_DROPPED, 300);
	assert_null(book_expired(b, UINT64_MAX));
}

static void test_book_counts_by_outcome_and_block(void **state)
{
	_cleanup_(book_freep) struct book *b = book_of();
	struct guess *g = opened(b, 5, 100);
	struct score s;
	struct block_score of;

	(void)state;
	assert_true(score_of(b).precision == 0 && score_of(b).recall == 0);
	g->bytes_read = 1000;
	g->saved_ns = 7;
	book_end(b, g, OUTCOME_HIT, 50);
	g = opened(b, 5, 100);
	g->bytes_read = 300;
	book_end(b, g, OUTCOME_WASTED, 60);
	book_end(b, opened(b, 5, 100), OUTCOME_MISSED, 70); /* counted once it is known to be one */
	book_unmet(b, VIA, OUTCOME_MISSED, 2, true);
	book_unmet(b, VIA, OUTCOME_LATE, 1, true);
	book_unmet(b, VIA, OUTCOME_MISSED, 4, false);
	g = opened(b, 6, 100);
	g->kind = EDGE_EXEC;
	book_end(b, g, OUTCOME_WASTED, 80); /* a means: not scored */
	s = score_of(b);
	of = block_of(b, VIA);
	assert_int_equal(s.acted_n, 3);
	assert_int_equal(s.outcome_n[OUTCOME_HIT], 1);
	assert_int_equal(s.outcome_n[OUTCOME_WASTED], 1);
	assert_int_equal(s.outcome_n[OUTCOME_MISSED], 2);
	assert_int_equal(s.outcome_n[OUTCOME_LATE], 1);
	assert_int_equal(s.outcome_n[OUTCOME_RESIDENT], 4);
	for (int i = 0; i < OUTCOME_MAX; i++)
		assert_int_equal(of.outcome_n[i], s.outcome_n[i]);
	assert_int_equal(s.bytes_read, 1300);
	assert_int_equal(s.bytes_wasted, 300);
	assert_int_equal(s.saved_ns, 7);
	assert_int_equal(of.bytes_read, 1300);
	assert_int_equal(of.bytes_wasted, 300);
	assert_int_equal(of.saved_ns, 7);
	assert_true(s.precision > 0.49 && s.precision < 0.51); /* 1 of 2 that were acted on */
	assert_true(s.recall > 0.24 && s.recall < 0.26);       /* 1 of 4 that were needed, cold */
	assert_int_equal(block_of(b, BLOCK).bytes_read, 0);
}

/* Read for one that had ended: of one that came to something it is a cost, of one that was dropped a waste. */
static void test_book_takes_bytes_that_come_late(void **state)
{
	_cleanup_(book_freep) struct book *b = book_of();
	struct guess *hit = opened(b, 5, 100), *dropped = opened(b, 6, 100);
	bool wasted, ahead;
	uint32_t block;

	(void)state;
	book_end(b, hit, OUTCOME_HIT, 50);
	book_end(b, dropped, OUTCOME_DROPPED, 50);
	book_late_bytes(b, hit->id, 100, &wasted, &ahead, &block);
	assert_true(!wasted && ahead && block == BLOCK);
	assert_int_equal(score_of(b).bytes_read, 100);
	assert_int_equal(block_of(b, VIA).bytes_read, 100);
	assert_int_equal(block_of(b, VIA).bytes_wasted, 0);
	assert_int_equal(score_of(b).outcome_n[OUTCOME_HIT], 1);
	assert_true(score_of(b).precision == 1);
	for (uint32_t i = 0; i < 2; i++) { /* in two pieces: it is one waste */
		book_late_bytes(b, dropped->id, 30, &wasted, &ahead, &block);
		assert_true(wasted && ahead && block == BLOCK);
		assert_int_equal(score_of(b).outcome_n[OUTCOME_DROPPED], 0);
		assert_int_equal(score_of(b).outcome_n[OUTCOME_WASTED], 1);
		assert_int_equal(block_of(b, VIA).outcome_n[OUTCOME_DROPPED], 0);
		assert_int_equal(block_of(b, VIA).outcome_n[OUTCOME_WASTED], 1);
		assert_int_equal(block_of(b, VIA).bytes_wasted, 30 * (i + 1));
		assert_int_equal(score_of(b).bytes_wasted, 30 * (i + 1));
		assert_int_equal(dropped->bytes_read, 30 * (i + 1));
	}
	assert_true(score_of(b).precision > 0.49 && score_of(b).precision < 0.51);
	book_late_bytes(b, dropped->id, 0, &wasted, &ahead, &block);
	assert_true(!wasted && block == 0);
	book_late_bytes(b, 99, 30, &wasted, &ahead, &block); /* too old to be known */
	assert_true(!wasted && block == 0);
	assert_int_equal(score_of(b).bytes_read, 160);
}

static void test_book_goes_on_from_what_was_kept(void **state)
{
	_cleanup_(book_freep) struct book *b = book_of();
	const struct score kept = {.guesses_n = 50,
				   .acted_n = 40,
				   .outcome_n = {0, 11, 12, 13, 14, 15, 16},
				   .bytes_read = 1000,
				   .bytes_wasted = 100,
				   .saved_ns = 10,
				   .precision = 0.8,
				   .recall = 0.5};
	const struct block_score of = {.bytes_read = 77};
	const struct guess *seen;
	struct score all = {0};
	uint64_t it = 0;

	(void)state;
	book_restore(b, &kept);
	book_restore_block(b, VIA, &of);
	book_restore_guess(b, &(struct guess){.id = 1000, .dep = 9, .outcome = OUTCOME_HIT});
	book_end(b, opened(b, 5, 100), OUTCOME_HIT, 50);
	assert_true(book_next(b, &it, &seen) && seen->dep == 5);
	assert_true(book_next(b, &it, &seen) && seen->dep == 9 && seen->id == 1);
	assert_false(book_next(b, &it, &seen));
	assert_int_equal(score_of(b).guesses_n, 1); /* since it was made */
	assert_true(score_of(b).precision > 0.8 && score_of(b).precision < 0.81);
	assert_true(score_of(b).recall > 0.5 && score_of(b).recall < 0.51);
	assert_int_equal(block_of(b, VIA).bytes_read, 77);
	assert_int_equal(block_of(b, VIA).outcome_n[OUTCOME_HIT], 1);
	book_score_all(b, &all);
	assert_int_equal(all.guesses_n, 51);
	assert_int_equal(all.acted_n, 41);
	for (int i = 0; i < OUTCOME_MAX; i++)
		assert_int_equal(all.outcome_n[i], kept.outcome_n[i] + (i == OUTCOME_HIT));
	assert_true(all.bytes_read == 1000 && all.bytes_wasted == 100 && all.saved_ns == 10);
	assert_true(book_bytes(b) > NODE_MAX * sizeof(struct block_score));
}

static void assert_ended(const struct book *b, const uint64_t *ids, size_t n)
{
	const struct guess *seen;
	uint64_t it = 0;

	for (size_t i = 0; i < n; i++) {
		assert_true(book_next_ended(b, &it, &seen));
		assert_int_equal(seen->id, ids[i]);
	}
	assert_false(book_next_ended(b, &it, &seen));
}

static void test_book_tells_what_ended_last(void **state)
{
	_cleanup_(book_freep) struct book *b = book_of();
	struct guess *first, *second;

	(void)state;
	assert_ended(b, NULL, 0);
	book_restore_guess(b, &(struct guess){.id = 1000, .dep = 9, .outcome = OUTCOME_HIT});
	first = opened(b, 5, 100);
	second = opened(b, 6, 100);
	(void)opened(b, 7, 100);
	assert_ended(b, (const uint64_t[]){1}, 1);
	book_end(b, second, OUTCOME_HIT, 50);
	book_end(b, first, OUTCOME_HIT, 50);
	assert_ended(b, (const uint64_t[]){2, 3, 1}, 3);
	(void)opened(b, 8, 100); /* in the place of the oldest one of them */
	assert_ended(b, (const uint64_t[]){2, 3}, 2);
	(void)opened(b, 5, 100); /* of the newest */
	assert_ended(b, (const uint64_t[]){3}, 1);
	(void)opened(b, 6, 100); /* of the only one */
	assert_ended(b, NULL, 0);
	(void)opened(b, 9, 100); /* of one that was open */
	assert_ended(b, NULL, 0);
	book_end(b, book_open_by_dep(b, 8), OUTCOME_HIT, 60);
	assert_ended(b, (const uint64_t[]){5}, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_book_keeps_what_is_open),
		cmocka_unit_test(test_book_tells_what_has_expired),
		cmocka_unit_test(test_book_tells_what_has_expired_among_many),
		cmocka_unit_test(test_book_counts_by_outcome_and_block),
		cmocka_unit_test(test_book_takes_bytes_that_come_late),
		cmocka_unit_test(test_book_goes_on_from_what_was_kept),
		cmocka_unit_test(test_book_tells_what_ended_last),
	};

	return cmocka_run_group_tests_name("book", tests, NULL, NULL);
}
