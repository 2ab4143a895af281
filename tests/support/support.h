/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* support.h - cmocka and the headers it wants before it. Every test includes this first. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Ends the test as skipped; the reason is printed and counted by tools/run-tests.sh. */
#define skip_because(...)                                                                          \
	do {                                                                                       \
		printf("# skip: " __VA_ARGS__);                                                    \
		printf("\n");                                                                      \
		skip();                                                                            \
	} while (0)

#endif
