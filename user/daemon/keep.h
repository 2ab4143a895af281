/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * keep.h - the engine's memory on disk: loads it at start, hands what changed to the writer.
 *
 * Shape    keep_flush() copies what changed since the last one into a batch for the writer's thread,
 *          and never waits for the disk. When the writer is behind, what changed stays marked
 *          in the engine and goes next time. One more of what was often seen goes each KEEP_COUNTS_S, the model
 *          after KEEP_MODEL_S, when there is so much more in it, which parts of files are used each KEEP_RANGES_S,
 *          and all of it at the end.
 * Owner    The caller owns struct keep.
 * Errors   keep_open(): < 0 when there is no database to be had. A full disk later is logged once a
 *          minute; the daemon goes on.
 * Threads  The loop's thread; the writer has its own.
 */
#ifndef DAEMON_KEEP_H
#define DAEMON_KEEP_H

#include "base/pause.h"
#include "core/engine.h"
#include "daemon/config.h"
#include "sys/layers.h"

#include <stdbool.h>
#include <stdint.h>

/* What a kill -9 takes from the model: of what it knows a KEEP_MODEL_SHAREth, or KEEP_MODEL_MAX_S, at most. A state of
 * 4 MiB is 1 ms of the loop, 30 ms of the writer's thread and 0.6 to 1.4 MB on the disk. */
#define KEEP_MODEL_S 15
#define KEEP_MODEL_SHARE 16
#define KEEP_MODEL_MAX_S 300
#define KEEP_RANGES_S 10
#define KEEP_COUNTS_S 10

struct keep;

/* Opens the database in config's state_dir and loads it into e, and where layers are into l, which outlives it. */
int keep_open(const struct config *config, struct engine *e, struct layers *l, struct keep **ret);
/* Flushes everything, the model too, and waits for it. */
struct keep *keep_close(struct keep *k, struct engine *e);
/* false: it paused, and goes on with the next call, also after the engine saw more. Whole at once are the model and the
 * guesses that have ended. */
bool keep_flush(struct keep *k, struct engine *e, const struct pause *pause);
/* Bytes on disk. */
uint64_t keep_bytes(struct keep *k);

#endif
