/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * text.h - numbers and names as people read and write them.
 *
 * Shape    Pure functions from a value to text in the caller's buffer, and back.
 * Units    bytes in KiB, MiB, GiB (powers of 1024); time in ns, us, ms, s, min, h; shares in %.
 * Bounds   Output is cut at the buffer's end, always NUL-terminated, never in the middle of a
 *          character or of an escape.
 * Owner    Returned pointers are the caller's own buffer.
 * Errors   parse: -EINVAL for what is not such a value, -ERANGE for what does not fit.
 * Trust    text_escape() is what makes a name of a stranger's safe to show on a terminal.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole and nothing but: "64MiB", "64 KiB", "512", "1GiB". */
int text_parse_bytes(const char *s, uint64_t *ret_bytes);
/* "10ms", "2 s", "5min", "1h", "250us"; a bare number only when it is 0. */
int text_parse_ns(const char *s, uint64_t *ret_ns);
/* "12.5%" or "0.125" -> 0.125 */
int text_parse_share(const char *s, double *ret_share);
int text_parse_count(const char *s, uint64_t *ret_n);
/* yes/no, on/off, true/false, 1/0 */
int text_parse_bool(const char *s, bool *ret);

/* "0 B" "1.5 KiB" "20 MiB": at most 8 columns below 1 EiB. */
const char *text_bytes(uint64_t bytes, char *buf, size_t n);
/* "0" "250 ns" "1.5 us" "12 ms" "3.4 s" "5 min" "2.1 h" "3.0 d" */
const char *text_ns(uint64_t ns, char *buf, size_t n);
/* "999" "1.2k" "3.4M" */
const char *text_count(uint64_t count, char *buf, size_t n);

/* s with everything that could move a cursor or confuse a reader as \xHH (control characters,
 * bytes that are not UTF-8) or \u{HHHH} (C1 controls, direction overrides, zero-width characters);
 * a backslash stays as it is. Returns buf. */
const char *text_escape(const char *s, char *buf, size_t n);
/* The length of a valid UTF-8 sequence at s (n bytes there), its code point in *ret; 0 if none. */
size_t text_utf8(const char *s, size_t n, uint32_t *ret_point);
/* Columns of a text on a terminal: one a character, two a wide one of CJK. */
size_t text_columns(const char *s);
/* s, escaped, within columns: digests cut to their first digits, "overlay2/e0f3af585347.../diff", then out of the
 * middle, "/usr/lib/.../cc1", the last name kept as long as possible. */
const char *text_fit(const char *s, size_t columns, char *buf, size_t n);

/* The word of words nearest to s when it is near enough to be a slip of the finger, else NULL. */
const char *text_nearest(const char *s, const char *const *words, size_t words_n);

#endif
