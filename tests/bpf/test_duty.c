// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is known is sampled, or not watched at all; what is not known is noticed at its start. */
#include "support/support.h"

#include "sys/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVERY 4
#define STARTS 16

struct tally {
	unsigned starts_n, quiet_n, libc_n;
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
	t->libc_n += o->kind == OBS_OPEN && !o->err && strstr(o->name, "/libc.so") != NULL;
}

static struct tally drain(struct capture *c)
{
	struct tally t = {0};

	while (capture_drain(c, 4096, observe, &t) == 4096)
		;
	return t;
}

static struct capture *start(void)
{
	static char why[CAPTURE_WHY_MAX];
	struct capture_opts o = {.only_targets = true, .trace_children = true, .why = why};
	struct capture *c = NULL;

	if (geteuid() != 0)
		skip_because("needs root");
	if (capture_open(&o, &c) < 0)
		fail_msg("capture_open: %s", why);
	return c;
}

static void run_true(struct capture *c, unsigned times, const char *arg)
{
	int go[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		for (unsigned i = 0; i < times; i++) {
			pid = fork();
			if (pid == 0) {
				execl("/bin/true", "true", arg, NULL);
				_exit(127);
			}
			(void)waitpid(pid, NULL, 0);
		}
		_exit(0);
	}
	assert_int_equal(capture_mark(c, (uint32_t)pid, FWM_MARK_TARGET), 0);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(go[0]);
	close(go[1]);
}

static void test_known_blocks_are_sampled(void **state)
{
	struct capture *c = start();
	struct tally t;

	(void)state;
	run_true(c, STARTS, "known");
	t = drain(c);
	assert_int_equal(t.starts_n, STARTS);
	assert_int_equal(t.libc_n, STARTS);
	assert_int_equal(t.quiet_n, 0);

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
	run_true(c, STARTS, "another"); /* the same program, called in another way */
	assert_int_equal(drain(c).libc_n, STARTS);
	capture_close(c);
}

static void test_unknown_programs_wake_a_detached_daemon(void **state)
{
	struct capture *c = start();
	struct pollfd p = {.fd = capture_fd(c), .events = POLLIN};
	struct tally t;

	(void)state;
	run_true(c, 1, "known");
	t = drain(c);
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
	assert_int_equal(capture_set_mode(c, CAPTURE_SAMPLE), 0);
	run_true(c, STARTS, "unknown");
	assert_int_equal(drain(c).libc_n, STARTS);
	capture_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_blocks_are_sampled),
		cmocka_unit_test(test_unknown_programs_wake_a_detached_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
