// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is known is sampled, or not watched at all; what is not known is noticed at its start. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/sight.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVERY 4
#define STARTS 16

#define TRIES 1000

static int busy; /* what attaching fails with; 0: nothing */
static unsigned tried_n;

struct bpf_link *__real_bpf_program__attach(const struct bpf_program *p);
struct bpf_link *__wrap_bpf_program__attach(const struct bpf_program *p);

struct bpf_link *__wrap_bpf_program__attach(const struct bpf_program *p)
{
	tried_n++;
	errno = busy;
	return busy ? NULL : __real_bpf_program__attach(p);
}

struct tally {
	unsigned starts_n, quiet_n, libc_n, loader_n;
	struct fwm_block_key key;
};

static void observe(void *ctx, const struct obs *o)
{
	struct tally *t = ctx;

	if (o->kind == OBS_EXEC && strstr(o->name, "/true")) {
		t->starts_n++;
		t->quiet_n += (o->flags & OBS_F_QUIET) != 0;
		t->key = block_key_of(&o->file, o->args, o->args_len);
	}
	t->loader_n += o->kind == OBS_OPEN && !o->err && (o->flags & OBS_F_MAPPED);
	t->libc_n += o->kind == OBS_OPEN && !o->err && strstr(o->name, "/libc.so") != NULL;
}

static struct tally drain(struct capture *c)
{
	struct tally t = {0};

	sight_drain(c, observe, &t);
	return t;
}

struct starts {
	unsigned n;
	const char *arg;
};

static void start_true(const void *arg)
{
	const struct starts *s = arg;

	for (unsigned i = 0; i < s->n; i++) {
		if (fork() == 0) {
			execl("/bin/true", "true", s->arg, NULL);
			_exit(127);
		}
		(void)wait(NULL);
	}
}

static void run_true(struct capture *c, unsigned times, const char *arg)
{
	assert_int_equal(sight_run(c, start_true, &(struct starts){.n = times, .arg = arg}), 0);
}

static void test_known_blocks_are_sampled(void **state)
{
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});
	struct tally t;
	bool loaders; /* told since 5.17 */

	(void)state;
	run_true(c, STARTS, "known");
	t = drain(c);
	assert_int_equal(t.starts_n, STARTS);
	assert_int_equal(t.libc_n, STARTS);
	assert_int_equal(t.quiet_n, 0);
	loaders = t.loader_n != 0;

	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	run_true(c, STARTS, "known");
	assert_int_equal(drain(c).quiet_n, 0); /* the mode is still to learn all */

	assert_int_equal(capture_set_mode(c, CAPTURE_SAMPLE), 0);
	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	run_true(c, STARTS, "known");
	t = drain(c);
	assert_int_equal(t.starts_n, STARTS); /* starts are told always */
	assert_int_equal(t.quiet_n, STARTS - STARTS / EVERY);
	assert_int_equal(t.libc_n, STARTS / EVERY);
	assert_int_equal(t.loader_n, loaders ? STARTS / EVERY : 0);
	run_true(c, STARTS, "another"); /* the same program, called in another way */
	assert_int_equal(drain(c).libc_n, STARTS);
	capture_close(c);
}

/* What capture_attach() or whoever calls it returned; until all hooks are on. */
static void attach_all(struct capture *c, int r)
{
	for (int i = 0; r == CAPTURE_MORE && i < TRIES; i++) {
		(void)usleep(2000);
		r = capture_attach(c);
	}
	assert_int_equal(r, 0);
}

static unsigned hooks_off(struct capture *c)
{
	struct capture_prog progs[64];
	size_t n = capture_progs(c, progs, ARRAY_SIZE(progs));
	unsigned off_n = 0;

	assert_true(n <= ARRAY_SIZE(progs));
	for (size_t i = 0; i < n; i++)
		off_n += progs[i].off;
	return off_n;
}

/* A hook that is busy is not waited for: each is tried once a call, until it is on. */
static void test_busy_hooks_are_tried_again(void **state)
{
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});
	unsigned off_n = hooks_off(c), detached_n;
	bool detached;

	(void)state;
	assert_int_equal(capture_set_mode(c, CAPTURE_DETACHED), 0);
	detached_n = hooks_off(c);
	assert_true(detached_n > off_n + 1);
	busy = EBUSY;
	tried_n = 0;
	assert_int_equal(capture_set_mode(c, CAPTURE_SAMPLE), CAPTURE_MORE);
	assert_int_equal(tried_n, detached_n - off_n);
	busy = EEXIST;
	assert_int_equal(capture_attach(c), CAPTURE_MORE);
	assert_int_equal(tried_n, 2 * (detached_n - off_n));
	assert_int_equal(hooks_off(c), detached_n);
	busy = 0;
	attach_all(c, capture_attach(c));
	assert_int_equal(hooks_off(c), off_n);
	do {
		detached = capture_closer(c, false, 0) == CAPTURE_MORE;
	} while (detached);
	if (hooks_off(c) > off_n) { /* else this kernel tells nothing of a call without timing it */
		busy = EBUSY;
		tried_n = 0;
		detached_n = hooks_off(c);
		assert_int_equal(capture_closer(c, true, 0), CAPTURE_MORE);
		assert_int_equal(tried_n, detached_n - off_n);
		busy = 0;
		for (int i = 0; i < TRIES && capture_closer(c, true, 0) == CAPTURE_MORE; i++)
			(void)usleep(2000);
		assert_int_equal(hooks_off(c), off_n);
	}
	capture_close(c);
}

static void test_unknown_programs_wake_a_detached_daemon(void **state)
{
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED});
	struct pollfd p = {.fd = capture_fd(c), .events = POLLIN};
	struct tally t;

	(void)state;
	run_true(c, 1, "known");
	t = drain(c);
	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	/* That it is known without an argument says nothing of its starts with one. */
	run_true(c, 1, NULL);
	t = drain(c);
	assert_int_equal(t.key.arg, 0);
	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	assert_int_equal(capture_set_mode(c, CAPTURE_DETACHED), 0);
	run_true(c, STARTS, "known");
	assert_int_equal(poll(&p, 1, 200), 0); /* known starts wake nobody */
	t = drain(c);
	assert_int_equal(t.starts_n, STARTS);
	assert_int_equal(t.quiet_n, STARTS);
	assert_int_equal(t.libc_n, 0);

	run_true(c, 1, "unknown");
	assert_int_equal(poll(&p, 1, 2000), 1);
	t = drain(c);
	assert_int_equal(t.starts_n, 1);
	assert_int_equal(t.quiet_n, 0);
	attach_all(c, capture_set_mode(c, CAPTURE_SAMPLE));
	run_true(c, STARTS, "unknown");
	assert_int_equal(drain(c).libc_n, STARTS);
	capture_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_blocks_are_sampled),
		cmocka_unit_test(test_busy_hooks_are_tried_again),
		cmocka_unit_test(test_unknown_programs_wake_a_detached_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
