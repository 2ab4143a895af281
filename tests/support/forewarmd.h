/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * forewarmd.h - a real daemon with directories of its own, for end-to-end tests.
 *
 * Shape    forewarmd_start() forks $FWM_OUT/forewarmd with a fresh directory below /var/tmp and a pin
 *          directory named after us, and waits until it says READY. stop ends it with SIGTERM and
 *          says how it ended; fini removes what it left.
 * Bounds   A minute to get ready, and one to end, TEST_SCALE times as long on a slow machine; then it is killed
 *          and the test fails.
 */
#ifndef TESTS_FOREWARMD_H
#define TESTS_FOREWARMD_H

#include "support/scratch.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct forewarmd {
	char dir[SCRATCH_DIR_MAX]; /* holds run/ state/ services/ log */
	char pins[96];		   /* below /sys/fs/bpf */
	pid_t pid;
	int notify_fd;
	bool only_us; /* set between init and start: watches this process and what it starts, nothing else */
};

/* Makes the directories. */
void forewarmd_init(struct forewarmd *f);
/* sets: NULL-ended "section.key=value", may be NULL. */
void forewarmd_start(struct forewarmd *f, const char *const *sets);
/* Ends it; its wait status. */
int forewarmd_stop(struct forewarmd *f);
void forewarmd_kill(struct forewarmd *f);
/* Ends it and what it left to the next one; removes the directories. */
void forewarmd_fini(struct forewarmd *f);
/* Fixtures: *state is one that the test calls forewarmd_init() for. Nothing is left of it if the test fails. */
int forewarmd_setup(void **state);
int forewarmd_teardown(void **state);
/* Prints the daemon's log, for a failing test. */
void forewarmd_show_log(const struct forewarmd *f);

/* Skips the test where there is no root or no BTF. */
void forewarmd_need(void);

#endif
