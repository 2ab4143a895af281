/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * target.h - may so much be read ahead for a program, as its own control group goes?
 *
 * Shape    The kernel charges a page to the group of whoever reads it in first: here to the daemon's, whose
 *          limits are in sys/psi.h, and there it stays when the program uses it. So what is read ahead
 *          takes nothing from the program's group; it would give that group memory, and time of a disk, beyond
 *          its limits. Hence: no more is read ahead for the programs of a group within TARGET_WINDOW_NS than
 *          it could hold itself (memory.max, memory.high or the v1 limit, of it and all above, less what it
 *          cannot drop at once); and nothing while it waits for memory or disks longer than the host may.
 *          What a program reads itself is between it and its group.
 * Units    bytes, ns of CLOCK_MONOTONIC, percent.
 * Bounds   TARGET_GROUPS groups, those asked for last; each is looked at four times a second at most, see
 *          sys/memgroup.h; and the groups of the TARGET_PIDS processes asked for last, for a second.
 * Owner    The caller owns struct targets. root is copied.
 * Errors   < 0 -errno; > 0 a TARGET_ outcome. Of a process that is gone, or of none, nothing is known: it may.
 * Threads  One owner at a time.
 */
#ifndef SYS_TARGET_H
#define SYS_TARGET_H

#include <stdint.h>

enum { TARGET_BUSY = 1, TARGET_FULL = 2 };
enum { TARGET_GROUPS = 32, TARGET_PIDS = 64 };
#define TARGET_WINDOW_NS (10ull * 1000 * 1000 * 1000)

struct targets;

/* io_max, mem_max: of the host, see struct plan_policy. root as in psi_new(). */
int targets_new(const char *root, double io_max, double mem_max, struct targets **ret);
struct targets *targets_free(struct targets *t);

/* For a process pid, 0: of none. *ret_group is for targets_back(). */
int targets_take(struct targets *t, uint32_t pid, uint64_t bytes, uint64_t now_ns,
		 uint8_t *ret_group);
/* So much of it was not read. */
void targets_back(struct targets *t, uint8_t group, uint64_t bytes);

#endif
