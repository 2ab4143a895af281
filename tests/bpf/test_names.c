// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A path is resolved once for each file, and not for each open of it: a file is known by its device, inode
 * and generation, so that one which takes another's place is told anew.
 */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "support/sight.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct subject {
	char dir[SCRATCH_DIR_MAX], path[96];
	unsigned open_n;
	uint64_t ino; /* of the last that was told */
	int times;    /* how often the child opens it */
	bool replace; /* with a new file in its place each time */
};

static void observe(void *ctx, const struct obs *o)
{
	struct subject *s = ctx;

	if ((o->kind != OBS_OPEN && o->kind != OBS_FOLD) || !o->name || strcmp(o->name, s->path))
		return;
	s->open_n += (unsigned)o->count;
	s->ino = o->file.ino;
}

static void do_opens(const void *arg)
{
	const struct subject *s = arg;

	for (int i = 0; i < s->times; i++) {
		if (s->replace)
			(void)unlink(s->path);
		(void)close(open(s->path, O_RDWR | O_CREAT, 0600));
	}
}

static uint64_t resolved_n(struct capture *c)
{
	struct capture_counters n;

	assert_int_equal(capture_counters(c, &n), 0);
	sight_assert_counted(n.hook);
	assert_int_equal(n.unnamed_n, 0);
	return n.hook[FWM_HOOK_NAME].seen;
}

static struct capture *start(struct subject *s)
{
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});

	*s = (struct subject){0};
	assert_int_equal(scratch_make_on_disk(s->dir, "names"), 0);
	snprintf(s->path, sizeof(s->path), "%s/file", s->dir);
	return c;
}

static void run(struct capture *c, struct subject *s, int times)
{
	s->times = times;
	s->open_n = 0;
	assert_int_equal(sight_run(c, do_opens, s), 0);
	sight_drain(c, observe, s);
	assert_int_equal(s->open_n, times);
}

static void finish(struct capture *c, struct subject *s)
{
	assert_int_equal(scratch_remove(s->dir), 0);
	capture_close(c);
}

static void test_a_path_is_resolved_once(void **state)
{
	struct subject s;
	struct capture *c = start(&s);
	uint64_t before;

	(void)state;
	run(c, &s, 1);
	before = resolved_n(c);
	run(c, &s, 200);
	/* Again only when somebody on this host renamed or mounted something meanwhile. */
	assert_in_range(resolved_n(c) - before, 0, 100);
	finish(c, &s);
}

/* Whatever number the file system gives it: the old one's again, with another generation, or a new one. */
static void test_a_file_in_anothers_place_is_told_anew(void **state)
{
	struct subject s;
	struct capture *c = start(&s);
	struct stat st;

	(void)state;
	run(c, &s, 1);
	s.replace = true;
	for (int i = 0; i < 20; i++) {
		run(c, &s, 3);
		assert_int_equal(stat(s.path, &st), 0);
		assert_int_equal(s.ino, st.st_ino);
		(void)resolved_n(c); /* nothing was without a name */
	}
	finish(c, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_path_is_resolved_once),
		cmocka_unit_test(test_a_file_in_anothers_place_is_told_anew),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
