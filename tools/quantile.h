/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * quantile.h - the value below which a share of the measured ones lies; for the benchmarks.
 *
 * Shape    Nearest rank: always a value that was measured.
 * Errors   0 of nothing.
 */
#ifndef TOOLS_QUANTILE_H
#define TOOLS_QUANTILE_H

#include <stddef.h>
#include <stdlib.h>

static inline int quantile_order(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts v. */
static inline double quantile(double *v, size_t n, double share)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), quantile_order);
	return v[(size_t)(share * (double)(n - 1) + 0.5)];
}

#endif
