/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What leaves a process changed for good is tried in one of its own.
 */
#ifndef TESTS_SUPPORT_APART_H
#define TESTS_SUPPORT_APART_H

#include <stdio.h>

/* Runs it in a child and returns what it returns, 0 to 255; a test that sees it die has failed. */
int apart_status(int (*what)(void));
/* It must return 0. */
void apart(int (*what)(void));

/* In such a function: returns CHECK_FAILED, after saying where, unless c holds. */
#define CHECK_FAILED 1
#define CHECK(c)                                                                                   \
	do {                                                                                       \
		if (!(c)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c);                    \
			return CHECK_FAILED;                                                       \
		}                                                                                  \
	} while (0)

#endif
