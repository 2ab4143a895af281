/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * err.h - the one error convention, and the mark a fault gets where it is born.
 *
 * Errors   < 0  -errno, a fault: forwarded unchanged, never compared.
 *            0  done.
 *          > 0  an outcome of the module, an enumerator in its header: handled by the direct
 *               caller, never forwarded.
 *          Success outputs (ret_*) are untouched unless 0 is returned.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>

/* Returns err (< 0) after printing where it arose when FOREWARM_TRACE_FAULTS is in the environment. */
int fault_at(int err, const char *file, int line, const char *func);

#define fault(err) fault_at((err), __FILE__, __LINE__, __func__)
#define fault_errno() fault_at(errno ? -errno : -EIO, __FILE__, __LINE__, __func__)

#endif
