/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * layers_impl.h - what the files of layers share; nobody else includes it.
 *
 * Shape    layers.c finds and remembers where the layers of an image are, layers_walk.c looks a path up
 *          in them.
 * Threads  struct layer_dirs is not changed once made, but for the number of its holders.
 */
#ifndef SYS_LAYERS_IMPL_H
#define SYS_LAYERS_IMPL_H

#include "sys/layers.h"

#include <stdatomic.h>

struct layer_dirs {
	atomic_uint held_n;
	uint32_t n;
	struct {
		int fd; /* O_PATH */
		enum mount_class class;
	} of[LOWER_MAX]; /* the uppermost first */
};

#endif
