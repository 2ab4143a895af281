// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The exec hook looks the table of guesses up: the start of a block that is worth acting on wakes the
 * reader, another one waits in the ring until it is drained anyway. Only what we start is traced.
 */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "core/block.h"
#include "support/sight.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAKE_MS = 5000, QUIET_MS = 300 };

struct seen {
	struct fwm_block_key key; /* of the last start */
	unsigned exec_n;
	uint32_t flags;
	size_t args_len;
	char args[64];
};

static void observe(void *ctx, const struct obs *o)
{
	struct seen *s = ctx;

	if (o->kind != OBS_EXEC)
		return;
	s->exec_n++;
	s->flags = o->flags;
	s->key = block_key_of(&o->file, o->args, o->args_len);
	s->args_len = o->args_len;
	memcpy(s->args, o->args, o->args_len < sizeof(s->args) ? o->args_len : sizeof(s->args));
}

static bool woken(struct capture *c, int ms)
{
	struct pollfd p = {.fd = capture_fd(c), .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static unsigned drain_all(struct capture *c, struct seen *s)
{
	s->exec_n = 0;
	sight_drain(c, observe, s);
	assert_false(woken(c, 0)); /* epoll forgets a wakeup when it looks and finds nothing */
	return s->exec_n;
}

static void copy_true(const char *to)
{
	char command[200];

	snprintf(command, sizeof(command), "cp /bin/true %s", to);
	assert_int_equal(system(command), 0);
}

/* In a new file; path: as mkstemp() has it. */
static void make_true(char *path)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	(void)close(fd);
	copy_true(path);
}

struct start {
	const char *path, *arg;
};

static void start(const void *arg)
{
	const struct start *s = arg;

	execl(s->path, s->path, s->arg, (char *)NULL);
	_exit(127);
}

static void run(struct capture *c, const char *path, const char *arg)
{
	assert_int_equal(sight_run(c, start, &(struct start){path, arg}), 0);
}

static void test_wake_only_for_what_is_worth_acting_on(void **state)
{
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});
	char dir[SCRATCH_DIR_MAX], path[2][80];
	struct fwm_guess_row row = {.guess_n = 0};
	struct fwm_block_key key[2], whatever;
	struct seen s = {0};

	(void)state;
	assert_int_equal(scratch_make_on_disk(dir, "wake"), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%d", dir, i);
		copy_true(path[i]);
		run(c, path[i], "report");
		assert_false(woken(c, QUIET_MS)); /* nothing is known of it */
		assert_int_equal(drain_all(c, &s), 1);
		key[i] = s.key;
		assert_true(key[i].ino && key[i].arg);
		row.wake = i == 1;
		assert_int_equal(capture_guesses_update(c, &key[i], &row), 0);
	}
	run(c, path[0], "report");
	assert_false(woken(c, QUIET_MS));
	assert_int_equal(drain_all(c, &s), 1);
	run(c, path[1], "report");
	assert_true(woken(c, WAKE_MS));
	assert_int_equal(drain_all(c, &s), 1);
	run(c, path[1], "other"); /* the block is the invocation, not the file */
	assert_false(woken(c, QUIET_MS));
	assert_int_equal(drain_all(c, &s), 1);
	whatever = key[1];
	whatever.arg = 0;
	assert_int_equal(capture_guesses_update(c, &whatever, &row), 0);
	run(c, path[1], "other");
	assert_true(woken(c, WAKE_MS));
	assert_int_equal(drain_all(c, &s), 1);
	assert_int_equal(capture_guesses_update(c, &whatever, NULL), 0);
	assert_int_equal(capture_guesses_update(c, &key[1], NULL), 0);
	run(c, path[1], "report");
	assert_false(woken(c, QUIET_MS));
	assert_int_equal(drain_all(c, &s), 1);
	capture_wake_new(c);
	run(c, path[1], "report");
	assert_true(woken(c, WAKE_MS));
	assert_int_equal(drain_all(c, &s), 1);
	run(c, path[0], "report"); /* it has a row, and that says no */
	assert_false(woken(c, QUIET_MS));
	assert_int_equal(drain_all(c, &s), 1);
	/* Only if something left memory since. */
	if (capture_resident_left(c, &row.left_n) == 0) {
		row.wake = FWM_WAKE_LEFT;
		assert_int_equal(capture_guesses_update(c, &key[0], &row), 0);
		run(c, path[0], "report");
		assert_false(woken(c, QUIET_MS));
		assert_int_equal(drain_all(c, &s), 1);
		assert_true(s.flags & OBS_F_READY);
		capture_resident_clear(c);
		run(c, path[0], "report");
		assert_true(woken(c, WAKE_MS));
		assert_int_equal(drain_all(c, &s), 1);
		assert_false(s.flags & OBS_F_READY);
		run(c, path[0], "report"); /* that was one wakeup for what left */
		assert_false(woken(c, QUIET_MS));
		assert_int_equal(drain_all(c, &s), 1);
		row.wake = FWM_WAKE_AGAIN;
		assert_int_equal(capture_resident_left(c, &row.left_n), 0);
		assert_int_equal(capture_guesses_update(c, &key[0], &row), 0);
		run(c, path[0], "report");
		assert_false(woken(c, QUIET_MS));
		assert_int_equal(drain_all(c, &s), 1);
		assert_false(s.flags & OBS_F_READY); /* what it needs is to be looked after */
		capture_resident_clear(c);
		run(c, path[0], "report");
		assert_true(woken(c, WAKE_MS));
		assert_int_equal(drain_all(c, &s), 1);
		row.wake = FWM_WAKE_IDLE;
		assert_int_equal(capture_resident_left(c, &row.left_n), 0);
		assert_int_equal(capture_guesses_update(c, &key[0], &row), 0);
		for (int i = 0; i < 3; i++) {
			if (i == 1) /* it is to be looked after, but that can wait */
				capture_resident_clear(c);
			run(c, path[0], "report");
			assert_false(woken(c, QUIET_MS));
			assert_int_equal(drain_all(c, &s), 1);
			assert_int_equal(!(s.flags & OBS_F_READY), i == 1);
		}
	}
	(void)capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

struct named {
	const char *path, *name, *arg;
};

static void start_named(const void *arg)
{
	const struct named *n = arg;

	execl(n->path, n->name, n->arg, (char *)NULL);
	_exit(127);
}

/* The hook finds the argument, and tells all of them, whatever stands before it and however much that is. */
static void test_the_argument_is_found_behind_any_name(void **state)
{
	static const char *const args[] = {
		"report", "", "with-more-letters-than-the-hook-makes-a-difference-by-and-some"};
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});
	char path[] = "/tmp/forewarm-wake-XXXXXX", name[160];
	struct fwm_guess_row row = {.wake = FWM_WAKE_YES};
	struct seen s = {0}, again = {0};

	(void)state;
	make_true(path);
	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		struct named n = {path, "x", args[i]};

		assert_int_equal(sight_run(c, start_named, &n), 0);
		assert_int_equal(drain_all(c, &s), 1);
		assert_int_equal(capture_guesses_update(c, &s.key, &row), 0);
		/* Of some 120 bytes of arguments, and less, a record is made in another way. */
		for (size_t len = 1; len < sizeof(name); len += len == 18 ? 30 : 1) {
			memset(name, 'n', len);
			name[len] = 0;
			n.name = name;
			assert_int_equal(sight_run(c, start_named, &n), 0);
			assert_true(woken(c, WAKE_MS));
			assert_int_equal(drain_all(c, &again), 1);
			assert_memory_equal(&again.key, &s.key, sizeof(s.key));
		}
		assert_int_equal(capture_guesses_update(c, &s.key, NULL), 0);
	}
	(void)capture_close(c);
	(void)unlink(path);
}

/* argv[0] alone is not read for who does not ask for it; what it was started as is told all the same, and so are
 * arguments. */
static void test_a_name_without_arguments_is_told_to_who_asks(void **state)
{
	static const char both[] = "x\0report";

	(void)state;
	for (int only = 0; only < 2; only++) {
		struct capture *c = sight_open(
			(struct capture_opts){SIGHT_STARTED, .arguments_only = only == 1});
		char path[] = "/tmp/forewarm-wake-XXXXXX";
		struct seen s = {0}, alone = {0};

		make_true(path);
		assert_int_equal(sight_run(c, start_named, &(struct named){path, "x", "report"}),
				 0);
		assert_int_equal(drain_all(c, &s), 1);
		assert_int_equal(s.args_len, sizeof(both));
		assert_memory_equal(s.args, both, sizeof(both));
		assert_int_equal(sight_run(c, start_named, &(struct named){path, "x", NULL}), 0);
		assert_int_equal(drain_all(c, &alone), 1);
		assert_int_equal(alone.args_len, only ? 0 : sizeof("x"));
		assert_memory_equal(alone.args, only ? "" : "x", alone.args_len);
		assert_int_equal(alone.key.ino, s.key.ino);
		assert_int_equal(alone.key.arg, 0);
		(void)capture_close(c);
		(void)unlink(path);
	}
}

struct meanwhile {
	struct capture *c;
	const char *path;
	unsigned exec_n;
};

static void start_meanwhile(void *ctx, const struct obs *o)
{
	struct meanwhile *m = ctx;

	if (o->kind == OBS_EXEC && !m->exec_n++)
		run(m->c, m->path, "second");
}

/* What is worth a wakeup, and comes while the reader takes what was, is taken with it, and its wakeup is of no
 * use: the next one must be. */
static void test_a_wakeup_during_a_drain_is_not_the_last(void **state)
{
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});
	char path[] = "/tmp/forewarm-wake-XXXXXX";
	struct meanwhile m = {c, path, 0};
	struct seen s = {0};

	(void)state;
	make_true(path);
	capture_wake_new(c);
	run(c, path, "first");
	assert_true(woken(c, WAKE_MS));
	do
		assert_true(capture_drain(c, 1000, start_meanwhile, &m) >= 0);
	while (capture_woken(c));
	assert_int_equal(m.exec_n, 2);
	(void)woken(c, 0);
	run(c, path, "third");
	assert_true(woken(c, WAKE_MS));
	assert_int_equal(drain_all(c, &s), 1);
	(void)capture_close(c);
	(void)unlink(path);
}

struct waits {
	struct capture *c;
	const char *path;
	unsigned exec_n;
	bool waits[4];
};

/* While the second is taken another one starts. */
static void note_waits(void *ctx, const struct obs *o)
{
	struct waits *w = ctx;

	if (o->kind != OBS_EXEC)
		return;
	w->waits[w->exec_n++ % ARRAY_SIZE(w->waits)] = capture_start_waits(w->c);
	if (w->exec_n != 2)
		return;
	run(w->c, w->path, "third");
	w->waits[1] |= !capture_start_waits(w->c);
}

/* Whoever takes a start is told whether another one is behind it, and not of one for which nothing is done. */
static void test_a_start_waits_until_it_is_taken(void **state)
{
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});
	char path[] = "/tmp/forewarm-wake-XXXXXX", longer[400];
	struct waits w = {.c = c, .path = path};
	struct fwm_guess_row row = {.wake = FWM_WAKE_NO};
	struct seen s = {0};

	(void)state;
	make_true(path);
	run(c, path, "first");
	assert_false(capture_start_waits(c)); /* nobody asked for it */
	assert_int_equal(drain_all(c, &s), 1);
	capture_wake_new(c);
	run(c, path, "first");
	assert_true(capture_start_waits(c));
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	run(c, path, longer); /* its record is made in another way */
	sight_drain(c, note_waits, &w);
	assert_int_equal(w.exec_n, 3);
	assert_true(w.waits[0]);
	assert_false(w.waits[1]);
	assert_false(w.waits[2]);
	assert_false(capture_start_waits(c));
	assert_int_equal(capture_guesses_update(c, &s.key, &row), 0);
	run(c, path, "first"); /* it has a row, and that says no */
	assert_false(capture_start_waits(c));
	(void)capture_close(c);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wake_only_for_what_is_worth_acting_on),
		cmocka_unit_test(test_the_argument_is_found_behind_any_name),
		cmocka_unit_test(test_a_name_without_arguments_is_told_to_who_asks),
		cmocka_unit_test(test_a_wakeup_during_a_drain_is_not_the_last),
		cmocka_unit_test(test_a_start_waits_until_it_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
