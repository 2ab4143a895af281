/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lineage.h - who is running what, and whose child it is.
 *
 * Shape    A process belongs to a run: one execution of a block, from its exec to the end of the
 *          last process that has not exec'd something else (a forked subshell is still the
 *          same run). A run knows the run that started it, and has a stream of the model: the
 *          sequence of blocks it started. Each run keeps the set of dependencies it touched.
 * Units    ns of the observations.
 * Bounds   process_max processes, as many runs, touch_max touches, taken at lineage_new(). When full, the
 *          process that was silent longest goes and is counted; touches beyond the bound are
 *          taken as already known and counted.
 * Owner    The caller owns struct lineage. Pointers to runs are borrowed until the next call that is
 *          not const.
 * Errors   -ENOMEM at new; nothing later.
 * Threads  One owner at a time.
 */
#ifndef CORE_LINEAGE_H
#define CORE_LINEAGE_H

#include "core/vomm.h"

#include <stdbool.h>
#include <stdint.h>

#define RUN_NONE UINT32_MAX

struct run {
	uint32_t gen;		 /* counts the uses of this slot; odd: in use */
	uint32_t refs_n;	 /* living processes in it */
	uint32_t block, program; /* graph ids; program == block when nothing tells apart */
	uint32_t parent, parent_gen;
	uint32_t uid, pid;
	uint64_t start_ns;
	uint64_t block_run, program_run; /* which run of the block, of the program, this is */
	/* The same among those of which was told what they ask about; 0: it is none of them. */
	uint64_t block_asking, program_asking;
	uint32_t touch_head;
	uint32_t touched_n;
	uint32_t below_n;	 /* of those, by descendants */
	uint32_t below_looked_n; /* only asked about by descendants */
	uint32_t looked_n;	 /* of those, only asked about */
	uint32_t swept_n;	 /* asked about as entries of a directory that is listed as well */
	uint32_t missed_n;	 /* needs that could have been seen to and were not */
	uint32_t late_n;	 /* that were being seen to when they came */
	/* What is guessed to be started by this run, or by what it execs in its place, bears this number. */
	uint64_t hope;
	uint64_t hope_first; /* the oldest guess that does; 0 none */
	struct vomm_stream stream;
};

struct lineage_stats {
	uint64_t processes_n, processes_evicted, touches_lost;
};

struct lineage;

int lineage_new(uint32_t process_max, uint32_t touch_max, struct lineage **ret);
struct lineage *lineage_free(struct lineage *l);
uint64_t lineage_bytes(const struct lineage *l);
void lineage_stats(const struct lineage *l, struct lineage_stats *ret);

/* The run pid is in, or RUN_NONE; keeps the process from being the silent one. */
uint32_t lineage_run_of(struct lineage *l, uint32_t pid);
struct run *lineage_run(struct lineage *l, uint32_t run);
/* The living run that started this one, or RUN_NONE. */
uint32_t lineage_parent(const struct lineage *l, uint32_t run);

/* pid was made by ppid and is in its run (in none when ppid is unknown). */
void lineage_fork(struct lineage *l, uint32_t pid, uint32_t ppid);
/* pid starts a run of its own. *ret_ended is the run it left, if it was the last in there, to be given
 * to lineage_end() by the caller when it is done with it; else RUN_NONE. */
uint32_t lineage_exec(struct lineage *l, uint32_t pid, uint32_t ppid, uint64_t ts_ns,
		      uint32_t *ret_ended);
/* The process is gone; *ret_ended as above. */
void lineage_exit(struct lineage *l, uint32_t pid, uint32_t *ret_ended);
void lineage_end(struct lineage *l, uint32_t run);
/* Runs that ended because their last process was evicted; call until false. */
bool lineage_next_evicted(struct lineage *l, uint32_t *ret_run);

/* Notes that the run touched dep; false when it had before. */
bool lineage_touch(struct lineage *l, uint32_t run, uint32_t dep);
bool lineage_touched(const struct lineage *l, uint32_t run, uint32_t dep);

#endif
