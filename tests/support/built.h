/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * built.h - where what was built lies, and how slow this machine is, as tools/run-tests.sh says.
 *
 * Owner    What is returned is static, until the next call.
 */
#ifndef TESTS_BUILT_H
#define TESTS_BUILT_H

/* FWM_OUT; without it the folder that holds this test's tests/. */
const char *built_at(void);
/* Path of a program of tests/helpers. */
const char *built_helper(const char *name);

/* How many times slower than usual: TEST_SCALE, at least 1. */
unsigned built_scale(void);

#endif
