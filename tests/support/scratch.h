/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * scratch.h - a folder of a test's own, and what is written into it.
 *
 * Owner    scratch_make() makes it, scratch_remove() takes it away with all that is in it.
 * Errors   < 0 -errno; scratch_write() fails the test (cmocka).
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

enum { SCRATCH_DIR_MAX = 64 };

/* In memory where that is to be had (for tests to which fsync() is nothing), else in /tmp. */
int scratch_make(char dir[SCRATCH_DIR_MAX], const char *tag);
int scratch_make_on_disk(char dir[SCRATCH_DIR_MAX], const char *tag);
int scratch_make_in(char dir[SCRATCH_DIR_MAX], const char *parent, const char *tag);
/* Follows no link and enters nothing that is mounted. What was never made, or is gone, is no error. */
int scratch_remove(const char *dir);

/* A file with this text and nothing else, to be read by all. */
void scratch_write(const char *path, const char *text);

#endif
