// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is only asked about is told, also where the path lies in memory that is not there yet: see
 * tests/helpers/untouched.c.
 */
#include "support/support.h"
#include "support/built.h"

#include "support/sight.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS 60000000000ull

static char dir[] = "/var/tmp/fwm-look-XXXXXX";

struct tally {
	const char *want;
	unsigned n;
};

static void observe(void *ctx, const struct obs *o)
{
	struct tally *t = ctx;

	t->n += o->kind == OBS_OPEN && (o->flags & OBS_F_LOOKUP) && !strcmp(o->name, t->want);
}

static struct fwm_counts looks(struct capture *c)
{
	struct capture_counters n;

	assert_int_equal(capture_counters(c, &n), 0);
	return n.hook[FWM_HOOK_LOOK];
}

struct question {
	char file[64]; /* with the path in it */
	const char *then;
};

static void ask(const void *arg)
{
	const struct question *q = arg;

	if (chdir(dir) == 0)
		execl(built_helper("untouched"), "untouched", q->file, q->then, NULL);
	_exit(127);
}

/* Runs the helper, which asks about path; returns how often that was told, and what became of all looks. */
static unsigned told(struct capture *c, const char *path, const char *then, const char *want,
		     struct fwm_counts *ret)
{
	struct tally t = {.want = want};
	struct question q = {.then = then};
	struct fwm_counts before = looks(c), after;
	int fd;

	(void)snprintf(q.file, sizeof(q.file), "%s/%s", dir, then);
	fd = open(q.file, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, path, strlen(path) + 1), (ssize_t)strlen(path) + 1);
	close(fd);
	assert_int_equal(sight_run(c, ask, &q), 0);
	sight_drain(c, observe, &t);
	after = looks(c);
	assert_int_equal(after.seen, after.filtered + after.unreadable + after.ring_full +
					     after.sent + after.folded);
	ret->unreadable = after.unreadable - before.unreadable;
	ret->seen = after.seen - before.seen;
	unlink(q.file);
	return t.n;
}

static void literals_are_told(enum capture_tier tier)
{
	struct capture *c = sight_open_on((struct capture_opts){SIGHT_STARTED, .tier = tier});
	struct fwm_counts n;
	char want[64];

	assert_int_equal(capture_learn_looks(c, LOOK_NS), 0);
	strcpy(dir, "/var/tmp/fwm-look-XXXXXX");
	assert_non_null(mkdtemp(dir));

	assert_int_equal(told(c, "/nowhere/before-a-look", "look", "/nowhere/before-a-look", &n),
			 1);
	assert_int_equal(n.unreadable, 0);
	(void)snprintf(want, sizeof(want), "%s/beside", dir);
	assert_int_equal(told(c, "beside", "look", want, &n), 1);

	assert_int_equal(told(c, "/nowhere/at-the-end", "end", "/nowhere/at-the-end", &n), 1);
	assert_int_equal(told(c, "/nowhere/gone", "exec", "/nowhere/gone", &n), 1);
	assert_int_equal(told(c, "beside", "move", want, &n), 1);
	assert_int_equal(n.unreadable, 0);
	assert_true(n.seen >= 2);
	capture_close(c);
	assert_int_equal(rmdir(dir), 0);
}

static void test_literals_are_told_on_tracepoints(void **state)
{
	(void)state;
	literals_are_told(CAPTURE_TRACEPOINTS);
}

static void test_literals_are_told_on_the_calls(void **state)
{
	(void)state;
	literals_are_told(CAPTURE_BEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals_are_told_on_tracepoints),
		cmocka_unit_test(test_literals_are_told_on_the_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
