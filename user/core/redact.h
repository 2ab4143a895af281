/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * redact.h - arguments without the secrets people put there.
 *
 * Shape    argv in, argv out, each secret replaced by "***": values of options whose name says what
 *          they are (--password=, --token), passwords glued to an option (mysql -pSECRET), user
 *          and password in URLs, Authorization and like headers, tokens known by their
 *          prefix, and long strings that look like nothing but a key.
 * Bounds   What does not fit ret_max is cut after a whole argument. O(bytes).
 * Errors   none. Rather too much goes than too little; paths stay.
 * Threads  Pure.
 * Source   The options are those of the programs' manuals; the prefixes those their makers publish
 *          for secret scanning.
 */
#ifndef CORE_REDACT_H
#define CORE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

/* args: each argument with its NUL, from argv[0]; the last may be cut and lack it. Returns how many
 * bytes were written to ret; *ret_hidden_n, when not NULL, is how many secrets went. */
size_t redact_args(const char *args, size_t args_len, char *ret, size_t ret_max,
		   unsigned *ret_hidden_n);

#endif
