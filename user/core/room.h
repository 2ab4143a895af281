/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * room.h - what the host's pressure means for what is held and made ahead in sandboxes.
 *
 * Shape    A level from 0, nobody is short of memory, to 1, all that is idle has to go; and whether the
 *          refill of a pool has to wait.
 * Units    Shares of 1.
 * Errors   None: what is unknown (< 0) is no pressure.
 * Threads  Any; nothing is kept.
 */
#ifndef CORE_ROOM_H
#define CORE_ROOM_H

#include "core/engine.h"

#include <stdbool.h>

double room_level(const struct pressure *p);
/* Making sandboxes takes CPU and memory that somebody else waits for. */
bool room_refill_waits(const struct pressure *p);

#endif
