/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fuzz.h - what a fuzz target defines; tests/fuzz/fuzz_NAME.c includes this and nothing calls it but
 * replay.c or libFuzzer.
 *
 * A target takes any bytes, returns 0, keeps nothing between runs, and prints nothing.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What must hold whatever the input; unlike assert(), in every build. */
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Once, before the first input; optional. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

#endif
