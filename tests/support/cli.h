/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cli.h - the command line run as people run it: through a shell, with all it prints kept.
 *
 * Bounds   max - 1 bytes of output; what is beyond is lost, and ends the command by SIGPIPE.
 */
#ifndef TESTS_CLI_H
#define TESTS_CLI_H

#include <stddef.h>

/* `forewarm ARGS`, standard error in the text too, unknown how wide the terminal is. Returns the wait
 * status. */
int cli_run(char *ret, size_t max, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
