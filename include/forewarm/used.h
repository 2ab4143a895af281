/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * used.h - which pages of which file a process used: summed up in the kernel, taken by the daemon.
 *
 * Shape    One row for each 64 pages of a file that a process touched in the first learn_ns after
 *          its exec, in the hash map "used_pages". The daemon takes rows out; it never adds any.
 * Units    us since the exec; pages of the kernel's page size.
 * Bounds   FWM_USED_MAX rows between two visits of the daemon; what finds no room is counted.
 */
#ifndef FWM_USED_H
#define FWM_USED_H

#include <linux/types.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

#define FWM_USED_MAX 32768
#define FWM_USED_PAGES 64 /* of a row */

struct fwm_used_key {
	__u64 exec_ns; /* ts_ns of the exec record of this process */
	__u64 ino;
	__u32 dev;   /* as the kernel has it: major << 20 | minor */
	__u32 tgid;  /* who executed then; a child of it may have used the pages */
	__u32 gen;   /* of the inode */
	__u32 group; /* page index / FWM_USED_PAGES */
};

struct fwm_used_row {
	__u64 pages;	/* bit i: page i of the group */
	__u32 first_us; /* first touch of any of them */
	__u32 flags;	/* FWM_USED_* */
};
#define FWM_USED_ROUGH (1u << 0) /* seen entering the page cache, perhaps only read ahead */

_Static_assert(sizeof(struct fwm_used_key) == 32, "fwm_used_key is ABI");
_Static_assert(sizeof(struct fwm_used_row) == 16, "fwm_used_row is ABI");

#pragma GCC diagnostic pop

#endif /* FWM_USED_H */
