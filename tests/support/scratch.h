/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * scratch.h - a folder of a test's own.
 *
 * Owner    scratch_make() makes it, scratch_remove() takes it away with the files in it.
 * Errors   < 0 -errno; -ENOTEMPTY where there is a folder in it.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

enum { SCRATCH_DIR_MAX = 64 };

/* In memory where that is to be had (for tests to which fsync() is nothing), else in /tmp. */
int scratch_make(char dir[SCRATCH_DIR_MAX], const char *tag);
int scratch_make_on_disk(char dir[SCRATCH_DIR_MAX], const char *tag);
int scratch_remove(const char *dir);

#endif
