// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Everything a generator says it did was observed, exactly as often: see tests/helpers/gen_truth.c.
 */
#include "support/support.h"
#include "support/scratch.h"
#include "support/built.h"

#include "support/sight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROW_MAX 4096

struct row {
	char key[600]; /* KIND ERRNO NAME */
	unsigned n;
};

struct tally {
	struct row rows[ROW_MAX];
	size_t row_n;
	uint32_t subject; /* who connects, and who listens */
	unsigned peers, loopback_n;
};

static void add(struct tally *t, const char *kind, int err, const char *name, uint64_t n)
{
	char key[600];
	size_t i;

	(void)snprintf(key, sizeof(key), "%s %d %s", kind, err, name);
	for (i = 0; i < t->row_n; i++)
		if (!strcmp(t->rows[i].key, key))
			break;
	if (i == t->row_n) {
		assert_true(t->row_n < ROW_MAX);
		strcpy(t->rows[t->row_n++].key, key);
	}
	t->rows[i].n += (unsigned)n;
}

static void observe(void *ctx, const struct obs *o)
{
	struct tally *t = ctx;

	switch (o->kind) {
	case OBS_EXEC:
		add(t, "exec", 0, o->name, 1);
		if (o->script)
			add(t, "script", 0, o->script, 1);
		break;
	case OBS_OPEN:
	case OBS_FOLD: /* the same file again, while calls are not timed */
		add(t, (o->flags & OBS_F_MAPPED) && !o->err ? "loader" : "open", o->err, o->name,
		    o->count);
		break;
	case OBS_CONNECT:
		add(t, "connect", o->err, o->name, 1);
		if (!o->err && !strncmp(o->name, "tcp:", 4)) {
			t->loopback_n++;
			t->peers += o->peer == t->subject;
		}
		break;
	case OBS_LISTEN:
		add(t, "listen", 0, o->name, 1);
		break;
	default:
		break;
	}
}

/* On the calls themselves means: on no tracepoint of system calls, for one of those slows all. */
static void check_costs_nobody_else(struct capture *c)
{
	struct capture_prog progs[64];
	size_t n = capture_progs(c, progs, 64);

	for (size_t i = 0; i < n && capture_tier(c) == CAPTURE_BEST; i++)
		if (!strncmp(progs[i].section, "tp/syscalls/", strlen("tp/syscalls/")))
			assert_int_equal(progs[i].err, -ENOENT);
}

/* untimed: with no hook at the entry of any call. slots: of processes; 0: as many as there are pids. */
static void everything_is_seen(enum capture_tier tier, bool untimed, uint32_t slots)
{
	char dir[SCRATCH_DIR_MAX], tree[80], truth[80];
	struct capture *c = sight_open_on(
		(struct capture_opts){SIGHT_STARTED, .tier = tier, .proc_slots = slots});
	struct tally *t = calloc(1, sizeof(*t));
	struct capture_counters n;
	int go[2], ready[2], status = -1, r = CAPTURE_MORE;
	char byte;
	unsigned wrong = 0, facts = 0, events = 0;
	char *line = NULL;
	size_t line_n = 0;
	FILE *f;
	pid_t pid;

	check_costs_nobody_else(c);
	while (untimed && r == CAPTURE_MORE)
		r = capture_closer(c, false, 0);
	assert_int_equal(scratch_make_in(dir, "/var/tmp", "cover"), 0);
	(void)snprintf(tree, sizeof(tree), "%s/tree", dir);
	(void)snprintf(truth, sizeof(truth), "%s/truth", dir);
	assert_int_equal(mkdir(tree, 0755), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(go[0], 0);
		dup2(ready[1], 1);
		if (tier == CAPTURE_BEST)
			setenv("ON_CALLS", "1", 1);
		if (untimed && r == 0)
			setenv("UNTIMED", "1", 1);
		execl(built_helper("gen_truth"), "gen_truth", tree, truth, NULL);
		_exit(127);
	}
	/* Marked once it runs, so that its own start is not among what it tells. */
	t->subject = (uint32_t)pid;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(capture_mark(c, (uint32_t)pid, FWM_MARK_TARGET), 0);
	assert_int_equal(write(go[1], "", 1), 1);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		sight_drain(c, observe, t);
		usleep(20000);
	}
	sight_drain(c, observe, t);
	assert_int_equal(status, 0);
	assert_int_equal(capture_counters(c, &n), 0);
	f = fopen(truth, "re");
	assert_non_null(f);
	while (getline(&line, &line_n, f) > 0) {
		char kind[16], key[600], name[512];
		int err;
		unsigned want, got = 0;

		if (line[0] == '#') {
			print_message("%s", line);
			continue;
		}
		assert_int_equal(sscanf(line, "%15s %d %u %511[^\n]", kind, &err, &want, name), 4);
		(void)snprintf(key, sizeof(key), "%s %d %s", kind, err, name);
		for (size_t i = 0; i < t->row_n; i++)
			if (!strcmp(t->rows[i].key, key))
				got = t->rows[i].n;
		if (!strcmp(kind, "unnamed"))
			got = (unsigned)n.hook[FWM_HOOK_URING].unreadable;
		facts++;
		events += want;
		if (got != want) {
			wrong++;
			print_message("# %s: %u times, seen %u\n", key, want, got);
		}
	}
	print_message("# %u facts over %u events, %u wrong\n", facts, events, wrong);
	assert_int_equal(wrong, 0);
	assert_true(facts > 30 && events > (built_scale() > 1 ? 500 : 2000));
	assert_int_equal(t->peers,
			 t->loopback_n); /* each loopback connection is joined to its listener */
	assert_true(t->loopback_n > 15);
	sight_assert_counted(n.hook);
	for (int h = 0; h < FWM_HOOK_MAX; h++)
		assert_int_equal(n.hook[h].ring_full, 0);
	free(line);
	fclose(f);
	free(t);
	capture_close(c);
	assert_int_equal(scratch_remove(dir), 0);
}

static void test_everything_is_seen_on_tracepoints(void **state)
{
	(void)state;
	everything_is_seen(CAPTURE_TRACEPOINTS, false, 0);
}

static void test_everything_is_seen_untimed(void **state)
{
	(void)state;
	everything_is_seen(CAPTURE_TRACEPOINTS, true, 0);
}

static void test_everything_is_seen_on_the_calls(void **state)
{
	(void)state;
	everything_is_seen(CAPTURE_BEST, true, 0);
}

/* That a process is a target is known also when another has taken its slot. */
static void test_everything_is_seen_with_few_slots(void **state)
{
	(void)state;
	everything_is_seen(CAPTURE_TRACEPOINTS, true, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_seen_on_tracepoints),
		cmocka_unit_test(test_everything_is_seen_untimed),
		cmocka_unit_test(test_everything_is_seen_on_the_calls),
		cmocka_unit_test(test_everything_is_seen_with_few_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
