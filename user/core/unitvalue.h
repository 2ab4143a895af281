/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * unitvalue.h - the scalar values of unit files: yes, 1h 5min, 20M, 30%, quoted words.
 *
 * Shape    Each reads a whole NUL-terminated text, and nothing but it.
 * Errors   0 done; UNIT_VALUE_BAD: not such a value, *ret untouched.
 * Threads  Pure.
 * Source   systemd.time(7), systemd.resource-control(5), systemd.service(5) "Command lines".
 */
#ifndef CORE_UNITVALUE_H
#define CORE_UNITVALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNIT_VALUE_BAD = 1, UNIT_VALUE_END = 2 /* no further word */ };

int unitvalue_bool(const char *s, bool *ret);
int unitvalue_u64(const char *s, uint64_t max, uint64_t *ret);
int unitvalue_octal(const char *s, uint32_t max, uint32_t *ret);
/* A span; a bare number is in seconds; "infinity" is UINT64_MAX. */
int unitvalue_span_ns(const char *s, uint64_t *ret);
/* A size with a suffix to the base 1024, or "infinity" (UINT64_MAX). */
int unitvalue_size(const char *s, uint64_t *ret);
/* "12.5%" in thousandths: 125. More than 100% is allowed up to max. */
int unitvalue_percent(const char *s, uint32_t max, uint32_t *ret);

/* An IPv4 or IPv6 literal to network order. */
int unitvalue_ipv4(const char *s, uint8_t ret[4]);
int unitvalue_ipv6(const char *s, uint8_t ret[16]);

/* Takes the next word off *text into word[word_n]: '...' and "..." group, a backslash starts a C
 * escape. UNIT_VALUE_END when there is none. *ret_quoted says whether any of it was quoted or
 * escaped. UNIT_VALUE_BAD: an unbalanced quote, an unknown escape or a word too long. */
int unitvalue_word(const char **text, char *word, size_t word_n, bool *ret_quoted);

#endif
