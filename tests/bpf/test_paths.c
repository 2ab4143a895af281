// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The path we tell is the path readlink(2) of the descriptor tells, over thousands of opens by every
 * kind of path: see tests/helpers/gen_paths.c.
 */
#include "support/support.h"
#include "support/scratch.h"
#include "support/built.h"

#include "support/sight.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPENS 8000 /* divided by TEST_SCALE, which a slow machine sets */
#define SHARE_MIN 0.999

struct compare {
	FILE *told; /* what was observed, a line an open */
	uint32_t worker;
	unsigned told_n;
};

static void observe(void *ctx, const struct obs *o)
{
	struct compare *c = ctx;

	/* OBS_FOLD: the same again, which is only counted while calls are not timed. */
	if ((o->kind != OBS_OPEN && o->kind != OBS_FOLD) || o->err || (o->flags & OBS_F_MAPPED))
		return;
	for (uint64_t i = 0; i < o->count; i++)
		fprintf(c->told, "%u %s\n", o->pid, o->name);
	c->told_n += (unsigned)o->count;
}

struct job {
	char tree[80], truth[80];
	unsigned opens_n;
};

static void generate(const void *arg)
{
	const struct job *j = arg;
	char opens[16];

	(void)snprintf(opens, sizeof(opens), "%u", j->opens_n);
	execl(built_helper("gen_paths"), "gen_paths", j->tree, opens, getenv("SEED") ?: "1",
	      j->truth, NULL);
	_exit(127);
}

/* untimed: with no hook at the entry of any call. */
static void paths_are_those_of_readlink(enum capture_tier tier, bool untimed)
{
	char dir[SCRATCH_DIR_MAX];
	struct capture *c = sight_open_on((struct capture_opts){SIGHT_STARTED, .tier = tier});
	struct job job = {.opens_n = OPENS / built_scale()};
	struct compare cmp = {.told = tmpfile()};
	struct capture_counters n;
	int status = -1;
	unsigned same = 0, all = 0;
	char *want = NULL, *got = NULL;
	size_t want_n = 0, got_n = 0;
	FILE *f;
	pid_t pid;

	while (untimed && capture_closer(c, false, 0) == CAPTURE_MORE)
		;
	assert_int_equal(scratch_make_in(dir, "/var/tmp", "paths"), 0);
	(void)snprintf(job.tree, sizeof(job.tree), "%s/tree", dir);
	(void)snprintf(job.truth, sizeof(job.truth), "%s/truth", dir);
	assert_int_equal(mkdir(job.tree, 0755), 0);
	pid = sight_start(c, generate, &job);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		sight_drain(c, observe, &cmp);
		usleep(20000);
	}
	sight_drain(c, observe, &cmp);
	assert_int_equal(status, 0);

	/* Both are in the order the one worker opened. */
	f = fopen(job.truth, "re");
	assert_non_null(f);
	assert_true(getline(&want, &want_n, f) > 0);
	cmp.worker = (uint32_t)strtoul(want, NULL, 10);
	rewind(cmp.told);
	while (getline(&want, &want_n, f) > 0) {
		bool more;

		do {
			more = getline(&got, &got_n, cmp.told) > 0;
		} while (more && strtoul(got, NULL, 10) != cmp.worker);
		all++;
		if (more && !strcmp(strchr(got, ' ') + 1, want))
			same++;
		else if (all - same <= 5)
			print_message("# open %u was %.200s# told as %.200s", all, want,
				      more ? got : "nothing\n");
	}
	assert_int_equal(capture_counters(c, &n), 0);
	print_message("# %u of %u paths equal, %lu resolved for %lu different\n", same, all,
		      (unsigned long)n.hook[FWM_HOOK_NAME].seen, (unsigned long)n.names.told_n);
	assert_true(all >= job.opens_n);
	assert_true(same >= all * SHARE_MIN);
	assert_int_equal(n.unnamed_n, 0);
	free(want);
	free(got);
	fclose(f);
	fclose(cmp.told);
	capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

static void test_paths_are_those_of_readlink_on_tracepoints(void **state)
{
	(void)state;
	paths_are_those_of_readlink(CAPTURE_TRACEPOINTS, false);
}

static void test_paths_are_those_of_readlink_untimed(void **state)
{
	(void)state;
	paths_are_those_of_readlink(CAPTURE_TRACEPOINTS, true);
}

static void test_paths_are_those_of_readlink_on_the_calls(void **state)
{
	(void)state;
	paths_are_those_of_readlink(CAPTURE_BEST, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_are_those_of_readlink_on_tracepoints),
		cmocka_unit_test(test_paths_are_those_of_readlink_untimed),
		cmocka_unit_test(test_paths_are_those_of_readlink_on_the_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
