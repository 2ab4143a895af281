/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * psi.h - what the host has to spare right now.
 *
 * Shape    Pressure stall information, memory available, and the room left in our own memory cgroup
 *          (page cache we read in is charged to it), as the planner's struct pressure. Where a group's
 *          limit leaves less than the host has, that limit is all the memory there is.
 * Units    bytes; percent of time over the last ten seconds, < 0: this kernel does not tell.
 * Bounds   five small files a call, about 60 us.
 * Owner    The caller owns struct psi. root is copied.
 * Errors   < 0 -errno only from psi_new(); psi_read() reports what it could not read as unknown,
 *          and memory as none available.
 * Threads  One owner at a time.
 * Source   Documentation/accounting/psi.rst; MemAvailable: Documentation/filesystems/proc.rst.
 */
#ifndef SYS_PSI_H
#define SYS_PSI_H

#include "core/engine.h"

struct psi;

/* root is put before /proc and the cgroup mounts: "" on a live host, a folder in tests. */
int psi_new(const char *root, struct psi **ret);
struct psi *psi_free(struct psi *p);

void psi_read(struct psi *p, struct pressure *ret);

#endif
