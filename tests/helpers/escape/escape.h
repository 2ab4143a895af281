/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * escape.h - what an attempt is given and answers; one program includes the families of them once each.
 *
 * Shape    A function without arguments: 1 it worked, 0 refused (errno), -1 not to be tried here.
 */
#ifndef TESTS_ESCAPE_H
#define TESTS_ESCAPE_H

struct attempt {
	const char *name;
	int (*fn)(void);
};

static int pid;		/* whom to go for */
static const char *arg; /* depends on the attempt */

/* A descriptor or a count that is not negative is a success. */
#define OK(x) ((long)(x) >= 0)
#define ATTEMPT(f)                                                                                 \
	{                                                                                          \
#f, f                                                                              \
	}

#endif
