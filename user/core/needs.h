/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * needs.h - what a run needs becomes edges: of its block, of its program, of those that started it.
 *
 * Shape    A need is counted once a run and edge, however often it is taken. A file is opened, or only
 *          asked about; asked about entry by entry, a directory is swept, and that is one need. What
 *          a block does not need each time is told to up to three runs above it as well.
 * Units    ns of the observations; chances in [0, 1].
 * Bounds   those of the graph and the lineage; O(1) a need.
 * Owner    The engine; for engine.c, phase.c and predict.c only.
 * Errors   as the graph: < 0 -errno; > 0 GRAPH_FULL, counted there.
 * Threads  As the engine.
 */
#ifndef CORE_NEEDS_H
#define CORE_NEEDS_H

#include "core/graph.h"
#include "core/obs.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

/* Another run of block begins. */
void needs_count_run(struct engine *e, uint32_t block);
/* The run needed dep: its block's edge, and its program's when that is another. */
int needs_take(struct engine *e, uint32_t run, enum edge_kind kind, uint32_t dep,
	       const struct obs *o);
/* The run opened path, or asked about it. */
int needs_file(struct engine *e, uint32_t run, const struct obs *o, const char *path);
/* Somebody needed dep while the run, a phase, was open. */
int needs_take_phase(struct engine *e, uint32_t run, uint32_t dep, const struct obs *o);
/* The chance that run number `run` of the edge's block takes it, given all runs before. */
double edge_chance(const struct engine *e, const struct edge *edge, uint64_t run);
/* Was it told what the latest run of block asked about? */
bool needs_asking_told(const struct engine *e, uint32_t block);

#endif
