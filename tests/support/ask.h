/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ask.h - a question to an api without a daemon around it, as a client of its socket has it.
 *
 * Owner    the answer lives until the next question; whoever asked may cut it up.
 * Errors   the test fails; an answer over 256 KiB is one that was cut.
 */
#ifndef TESTS_ASK_H
#define TESTS_ASK_H

#include "api/socket.h"

#include <stdint.h>

/* question: a line with its end. All lines of the answer; the client is gone by then. */
char *ask_api(struct api *api, uint64_t now_ns, const char *question);

#endif
