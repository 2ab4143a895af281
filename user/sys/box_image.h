/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * box_image.h - the filler's program (user/sys/box), linked static and carried as bytes.
 *
 * Owner    Read-only data of this program; pool.c copies it to a sealed memfd.
 */
#ifndef SYS_BOX_IMAGE_H
#define SYS_BOX_IMAGE_H

extern const unsigned char box_image[], box_image_end[];

#endif
