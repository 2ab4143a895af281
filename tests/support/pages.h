/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* pages.h - what of a file is in memory. */
#ifndef TESTS_SUPPORT_PAGES_H
#define TESTS_SUPPORT_PAGES_H

#include <stdint.h>

/* Bytes, in whole pages; nothing is touched. */
uint64_t pages_of_file(const char *path);

#endif
