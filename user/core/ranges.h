/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ranges.h - which parts of which file a block really uses.
 *
 * Units    bytes.
 */
#ifndef CORE_RANGES_H
#define CORE_RANGES_H

#include <stdint.h>

/* A part of a file. */
struct file_range {
	uint64_t off, len;
};

#endif
