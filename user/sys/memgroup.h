/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * memgroup.h - the control group of a process: what memory it leaves, and how long its members wait.
 *
 * Shape    The limits of the group and of all above it, v2 (memory.max, memory.high), v1
 *          (memory.limit_in_bytes), or both; and the pressure of the v2 group itself, which also a hierarchy
 *          without controllers tells. Found once; the files stay open.
 * Units    bytes; percent of time over the last ten seconds.
 * Bounds   16 groups with a limit; a look is two or three small files for each, some 50 us in all.
 * Owner    The caller owns struct memgroup.
 * Errors   < 0 -errno only from memgroup_new(); what cannot be read is no limit, and no pressure.
 * Threads  One owner at a time.
 * Source   Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, accounting/psi.rst.
 */
#ifndef SYS_MEMGROUP_H
#define SYS_MEMGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEMGROUP_NAME_MAX = 512 };

struct memgroup;

/* Names the groups a process is in, to tell them from those of another. proc: "self" or a pid; root as in
 * psi_new(). false: there is no such process, or the name is too long. */
bool memgroup_name(const char *root, const char *proc, char ret[MEMGROUP_NAME_MAX]);
/* The groups of that name. */
int memgroup_new(const char *root, const char *name, struct memgroup **ret);
struct memgroup *memgroup_free(struct memgroup *g);

/* Below the tightest limit, with what can be dropped at once; UINT64_MAX: there is no limit, and
 * *ret_limit is untouched. */
uint64_t memgroup_room(const struct memgroup *g, uint64_t *ret_limit);
/* Its members, some of them, waited for memory, for a disk; < 0: not told. */
void memgroup_pressure(const struct memgroup *g, double *ret_mem, double *ret_io);

/* The whole small file, NUL-terminated; false when there is none. */
bool memgroup_slurp(int fd, char *buf, size_t size);
/* "some avg10=0.30 avg60=..." of an open file; < 0: not told. */
double memgroup_some_avg10(int fd);

#endif
