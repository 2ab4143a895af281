/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * huge.h - large memory that is read here and there, in huge pages. Not for the core, which makes
 * no system call: who owns what it allocated asks.
 *
 * Errors   none: what the host does not give stays in small pages.
 * Threads  Any.
 */
#ifndef BASE_HUGE_H
#define BASE_HUGE_H

#include <stddef.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1 */
#endif

/* Memory from at on, which begins a page; its contents stay. */
static inline void huge_ask(void *at, size_t len)
{
	len &= ~(size_t)4095;
	(void)madvise(at, len, MADV_HUGEPAGE); /* for what is not touched yet, and for khugepaged */
	(void)madvise(at, len, MADV_COLLAPSE); /* for what is there already */
}

#endif
