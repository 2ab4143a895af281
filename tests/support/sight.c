// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* sight.c - a process waits at its gate until it was marked, so that none of its steps goes unseen. */
#include "support/support.h"

#include "support/sight.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRAIN_EVENTS = 4096 };

struct capture *sight_open(struct capture_opts o)
{
	char why[CAPTURE_WHY_MAX] = "";
	struct capture *c = NULL;

	if (geteuid() != 0)
		skip_because("needs root");
	o.why = why;
	if (capture_open(&o, &c) < 0)
		fail_msg("capture_open: %s", why);
	return c;
}

struct capture *sight_open_on(struct capture_opts o)
{
	struct capture *c = sight_open(o);

	if (o.tier != capture_tier(c)) {
		(void)capture_close(c);
		skip_because("this kernel allows no program on the calls themselves");
	}
	return c;
}

pid_t sight_start(struct capture *c, sight_fn *fn, const void *arg)
{
	int gate[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(126);
		fn(arg);
		_exit(0);
	}
	assert_int_equal(capture_mark(c, (uint32_t)pid, FWM_MARK_TARGET), 0);
	assert_int_equal(write(gate[1], "", 1), 1);
	close(gate[0]);
	close(gate[1]);
	return pid;
}

int sight_run(struct capture *c, sight_fn *fn, const void *arg)
{
	pid_t pid = sight_start(c, fn, arg);
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

void sight_drain(struct capture *c, void (*observe)(void *ctx, const struct obs *o), void *ctx)
{
	while (capture_drain(c, DRAIN_EVENTS, observe, ctx) == DRAIN_EVENTS)
		;
}

void sight_assert_counted(const struct fwm_counts hooks[FWM_HOOK_MAX])
{
	for (int h = 0; h < FWM_HOOK_MAX; h++) {
		const struct fwm_counts *v = &hooks[h];

		if (v->seen != v->filtered + v->unreadable + v->ring_full + v->sent + v->folded)
			fail_msg("hook %d: seen %lu, filtered %lu, unreadable %lu, full %lu, sent "
				 "%lu, folded %lu",
				 h, (unsigned long)v->seen, (unsigned long)v->filtered,
				 (unsigned long)v->unreadable, (unsigned long)v->ring_full,
				 (unsigned long)v->sent, (unsigned long)v->folded);
	}
}
