// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_trust.c - a file is trusted for the parts that were seen in memory, until the kernel says that one has left.
 * The kernel's map is one of the test's own (the linker puts us between).
 */
#include "daemon/trust.h"
#include "support/support.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

DEFINE_CLEANUP(struct trust *, trust_free)

enum { MAP_MAX = 8 };

static struct {
	uint64_t dev, ino, what;
} map[MAP_MAX]; /* ino 0: empty */
static unsigned cleared_n;

int __wrap_capture_resident_get(struct capture *c, uint64_t dev, uint64_t ino, uint64_t *ret_what);
int __wrap_capture_resident_update(struct capture *c, uint64_t dev, uint64_t ino, uint64_t what,
				   bool known);
void __wrap_capture_resident_clear(struct capture *c);

static int place(uint64_t dev, uint64_t ino)
{
	for (int i = 0; i < MAP_MAX; i++)
		if (map[i].ino == ino && (!ino || map[i].dev == dev))
			return i;
	return -1;
}

int __wrap_capture_resident_get(struct capture *c, uint64_t dev, uint64_t ino, uint64_t *ret_what)
{
	int at = place(dev, ino);

	(void)c;
	assert_true(ino);
	if (at < 0)
		return 1;
	*ret_what = map[at].what;
	return 0;
}

int __wrap_capture_resident_update(struct capture *c, uint64_t dev, uint64_t ino, uint64_t what,
				   bool known)
{
	int at = place(dev, ino);

	(void)c;
	if (known != (at >= 0))
		return known ? -ENOENT : -EEXIST;
	if (at < 0)
		at = place(0, 0);
	if (at < 0)
		return -E2BIG;
	map[at].dev = dev;
	map[at].ino = ino;
	map[at].what = what;
	return 0;
}

void __wrap_capture_resident_clear(struct capture *c)
{
	(void)c;
	memset(map, 0, sizeof(map));
	cleared_n++;
}

static void evicted(uint64_t dev, uint64_t ino)
{
	int at = place(dev, ino);

	if (at >= 0)
		map[at].ino = 0;
}

static struct node file_of(uint64_t ino)
{
	return (struct node){.kind = NODE_FILE, .dev = 7, .ino = ino};
}

/* The whole file for 0, else one of its parts. */
static struct action warm(uint64_t guess_id, uint32_t part)
{
	static struct file_range parts[16];
	struct action a = {.kind = ACTION_WARM, .guess_id = guess_id};

	if (part) {
		parts[part] = (struct file_range){.off = part * 4096, .len = 4096};
		a.ranges = &parts[part];
		a.range_n = 1;
	}
	return a;
}

static int setup(void **state)
{
	(void)state;
	memset(map, 0, sizeof(map));
	cleared_n = 0;
	return 0;
}

static bool asks(struct trust *t, uint64_t ino, uint32_t part)
{
	const struct action a = warm(0, part);
	const struct node n = file_of(ino);

	return trust_ask(t, &a, &n);
}

static void begin(struct trust *t, uint64_t guess_id, uint64_t ino, uint32_t part)
{
	const struct action a = warm(guess_id, part);
	const struct node n = file_of(ino);

	trust_begin(t, &a, &n);
}

static void test_trust_what_was_seen_in_memory(void **state)
{
	_cleanup_(trust_freep) struct trust *t = NULL;

	(void)state;
	assert_int_equal(trust_new(NULL, &t), 0);
	assert_false(asks(t, 1, 0));
	begin(t, 5, 1, 0);
	assert_false(asks(t, 1, 0)); /* not before the job says so */
	trust_end(t, 5, true);
	assert_true(asks(t, 1, 0));
	assert_false(asks(t, 1, 1)); /* of its parts nothing was said */
	assert_false(asks(t, 2, 0));
	begin(t, 6, 1, 0);
	trust_end(t, 6, true); /* once more: still one */
	assert_true(asks(t, 1, 0));
	evicted(7, 1);
	assert_false(asks(t, 1, 0));
	assert_false(asks(t, 0, 0)); /* a file that is not known by its number */
	begin(t, 7, 0, 0);
	trust_end(t, 7, true);
	/* Two jobs at once, and one that is given out again after its end. */
	begin(t, 8, 3, 0);
	begin(t, 9, 4, 0);
	trust_end(t, 8, true);
	trust_end(t, 9, true);
	assert_true(asks(t, 3, 0) && asks(t, 4, 0));
	evicted(7, 4);
	begin(t, 9, 4, 0);
	trust_end(t, 9, true);
	assert_true(asks(t, 4, 0));
	assert_int_equal(cleared_n, 0);
}

static void test_trust_not_what_was_not_whole_or_left_meanwhile(void **state)
{
	_cleanup_(trust_freep) struct trust *t = NULL;

	(void)state;
	assert_int_equal(trust_new(NULL, &t), 0);
	begin(t, 5, 1, 0);
	trust_end(t, 5, false);
	assert_false(asks(t, 1, 0));
	begin(t, 6, 1, 0);
	evicted(7, 1); /* while the job was under way */
	trust_end(t, 6, true);
	assert_false(asks(t, 1, 0));
	trust_end(t, 99, true); /* of no job */
	assert_false(asks(t, 1, 0));
	/* Of two jobs for one guess it is not known whose end comes first. */
	begin(t, 8, 1, 0);
	begin(t, 8, 2, 0);
	trust_end(t, 8, true);
	trust_end(t, 8, true);
	assert_false(asks(t, 1, 0) || asks(t, 2, 0));
	/* Its place was taken by a later one. */
	begin(t, 10, 3, 0);
	begin(t, 10 + TRUST_JOBS, 4, 0);
	trust_end(t, 10, true);
	assert_false(asks(t, 3, 0) || asks(t, 4, 0));
	trust_end(t, 10 + TRUST_JOBS, true);
	assert_false(asks(t, 3, 0));
	assert_true(asks(t, 4, 0));
}

/* Four sets of parts of one file take turns; the fifth takes the place of the oldest. */
static void test_trust_remembers_four_sets_of_parts(void **state)
{
	_cleanup_(trust_freep) struct trust *t = NULL;

	(void)state;
	assert_int_equal(trust_new(NULL, &t), 0);
	for (uint32_t part = 1; part <= 4; part++) {
		begin(t, part, 1, part);
		trust_end(t, part, true);
	}
	for (uint32_t part = 1; part <= 4; part++)
		assert_true(asks(t, 1, part));
	assert_false(asks(t, 1, 5) || asks(t, 1, 0));
	begin(t, 4, 1, 4); /* known: it pushes out none */
	trust_end(t, 4, true);
	assert_true(asks(t, 1, 1));
	begin(t, 5, 1, 5);
	trust_end(t, 5, true);
	assert_false(asks(t, 1, 1));
	for (uint32_t part = 2; part <= 5; part++)
		assert_true(asks(t, 1, part));
}

/* No room: all is forgotten, the one that found none too, and whoever is needed comes back. */
static void test_trust_starts_over_when_it_is_full(void **state)
{
	_cleanup_(trust_freep) struct trust *t = NULL;

	(void)state;
	assert_int_equal(trust_new(NULL, &t), 0);
	for (uint32_t ino = 1; ino <= MAP_MAX; ino++) {
		begin(t, ino, ino, 0);
		trust_end(t, ino, true);
	}
	assert_true(asks(t, 1, 0) && asks(t, MAP_MAX, 0));
	begin(t, 100, 100, 0);
	assert_int_equal(cleared_n, 1);
	trust_end(t, 100, true);
	for (uint32_t ino = 1; ino <= MAP_MAX; ino++)
		assert_false(asks(t, ino, 0));
	assert_false(asks(t, 100, 0));
	__wrap_capture_resident_clear(NULL);
	for (uint32_t ino = 1; ino <= MAP_MAX; ino++)
		begin(t, ino, ino, 0);
	begin(t, 102, 102, 0); /* no room */
	begin(t, 103, 102, 0);
	trust_end(t, 102, true); /* it looked before 103 asked to be told */
	assert_false(asks(t, 102, 0));
	trust_end(t, 103, true);
	assert_true(asks(t, 102, 0));
	begin(t, 101, 1, 0);
	trust_end(t, 101, true);
	assert_true(asks(t, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_trust_what_was_seen_in_memory, setup),
		cmocka_unit_test_setup(test_trust_not_what_was_not_whole_or_left_meanwhile, setup),
		cmocka_unit_test_setup(test_trust_remembers_four_sets_of_parts, setup),
		cmocka_unit_test_setup(test_trust_starts_over_when_it_is_full, setup),
	};

	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
