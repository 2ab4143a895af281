/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * images.h - what `forewarm images` shows: the container images seen, and where the layers of each are.
 *
 * Owner    The daemon owns the layers; what is shown is borrowed while the answer is made.
 * Threads  The loop's.
 */
#ifndef DAEMON_IMAGES_H
#define DAEMON_IMAGES_H

#include "api/routes.h"
#include "sys/layers.h"

/* The answer to "images". */
struct routes_hook images_hook(struct layers *l);

#endif
