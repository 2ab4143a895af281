/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * table.h - keeps the pinned guess map in step with the engine.
 *
 * Shape    After a program start table_note() writes the row of its block, when there is reason to: the
 *          first starts, then every 16th, or when it becomes worth waking for. The exec hook
 *          looks the row up to decide whether this start wakes the daemon at once; a person
 *          reads it with bpftool; of a block for whose starts nothing has to be done it is written anew each
 *          10 s at most, but for what decides about the wakeup. table_edges() rewrites the rows of `edges`: the
 *          edges taken most often.
 * Bounds   One start time a graph node; TABLE_BUSY blocks that are not worth waking for because they are
 *          started again and again, of more than that the next start after a pause may come late; rows as in forewarm/table.h. A full map is left as it is.
 * Owner    The caller owns struct table.
 * Errors   -ENOMEM at new. What the map refuses is counted in table_refused().
 */
#ifndef DAEMON_TABLE_H
#define DAEMON_TABLE_H

#include "base/pause.h"
#include "core/engine.h"
#include "sys/capture.h"

struct table;

enum { TABLE_BUSY = 1024 };

/* recheck_ns as in struct plan_policy. */
int table_new(uint32_t node_max, uint64_t recheck_ns, struct table **ret);
struct table *table_free(struct table *t);
/* o is an EXEC observation the engine has seen. */
void table_note(struct table *t, struct engine *e, struct capture *c, const struct obs *o);
/* Of the next two: false: it paused, and goes on with the next call, also after the engine saw more. */
/* What was started often and is no more is worth waking for again; call several times a second. */
bool table_tick(struct table *t, struct engine *e, struct capture *c, uint64_t now_ns,
		const struct pause *pause);
/* Some 1 ms for a full graph; call each few seconds. */
bool table_edges(struct table *t, struct engine *e, struct capture *c, const struct pause *pause);
/* How long after a round of table_edges() that took so long the next one is to begin. */
uint64_t table_edges_rest(uint64_t took_ns);
uint64_t table_refused(const struct table *t);

#endif
