/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * disks.h - does somebody keep the disk a file is on reading?
 *
 * Shape    The "inflight" and "stat" files of the disks that are hardware, kept open. What is stacked on them
 *          (loop, device mapper, md, a file system of several devices) counts as being on all of
 *          them. A disk is busy that was reading for DISKS_BUSY of the time before the last tick, and of
 *          that before: a program that starts reads too, but not for long.
 * Units    ns of CLOCK_MONOTONIC.
 * Bounds   DISK_MAX disks, those of the start; a look is a link and a small file for each, some 5 us.
 * Owner    The caller owns struct disks. root is copied.
 * Errors   < 0 -errno only from disks_new(); a disk that cannot be read, or is gone, has none.
 * Threads  disks_reads() from any, also beside disks_tick(), which is for one at a time.
 * Source   Documentation/ABI/stable/sysfs-block, /sys/block/<disk>/inflight; Documentation/block/stat.rst.
 */
#ifndef SYS_DISKS_H
#define SYS_DISKS_H

#include <stdint.h>
#include <sys/types.h>

enum { DISK_MAX = 32 };
#define DISKS_BUSY 0.5

struct disks;

/* root is put before /sys: "" on a live host, a folder in tests. */
int disks_new(const char *root, struct disks **ret);
struct disks *disks_free(struct disks *d);

void disks_tick(struct disks *d, uint64_t now_ns);

/* Reads that were given to the disk of device dev and are not done, whoever's they are; 0 where it is not
 * busy. */
uint32_t disks_reads(const struct disks *d, dev_t dev);

#endif
