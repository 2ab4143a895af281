/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * remove.h - a file or a whole directory removed.
 *
 * Bounds   A fixed number of descriptors and frames, however deep it is: what lies deeper than these
 *          reach is first moved up into the directory that is removed.
 * Errors   < 0 -errno, the first there was; all else is removed all the same. What is not there is no
 *          error.
 * Trust    Whoever may write in it may do so meanwhile. No link is followed, and nothing is entered that
 *          is mounted: a mount point stays, -EBUSY.
 * Threads  Any.
 */
#ifndef BASE_REMOVE_H
#define BASE_REMOVE_H

int remove_tree(int dir, const char *name);

#endif
