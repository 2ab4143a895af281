/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * engine_state.h - what engine.c, needs.c and phase.c (learning) and predict*.c (guessing) share. For these only.
 *
 * Shape    One struct; per-node side facts in an array by graph id; scratch for one prediction.
 * Owner    engine_new() and engine_free() in engine.c.
 */
#ifndef CORE_ENGINE_STATE_H
#define CORE_ENGINE_STATE_H

#include "base/heap.h"
#include "base/index.h"
#include "core/book.h"
#include "core/credit.h"
#include "core/engine.h"
#include "core/lineage.h"
#include "core/needs.h"
#include "core/phase.h"
#include "core/plan.h"
#include "core/use.h"
#include "core/vomm.h"

/* The model's name for "no further program in this run". Blocks get a hash of their name instead, so that
 * symbols mean the same after a restart, whatever ids the graph gives. */
#define SYMBOL_END 1u

enum { CANDIDATE_MAX = 64, WORD_MAX = 8192, ACTION_RANGES = 512 };
/* Guesses told of one block, at most. */
enum { BEST_MAX = 4096 };

struct rank {
	double p;
	uint64_t lead_ns;
	uint32_t dep, at; /* at: in the list ranked */
};

#define LEFT_UNTOLD UINT32_MAX

enum { RESIDENT_FOR = 1 + GUESS_ALSO };

struct node_aux {
	uint64_t
		resident_ns; /* FILE: taken as resident until then, if nothing left memory since left_n */
	uint32_t left_n, looked_left_n; /* as of engine.left_n then */
	uint64_t asked_hope; /* FILE, a directory: the run that asked about entries of it last */
	uint32_t asked_n;    /* about so many */
	uint32_t resident_for[RESIDENT_FOR]; /* FILE: the blocks whose parts of it are */
	uint64_t looked_ns;		     /* FILE: its dentry and inode are */
	uint64_t planned_ns;		     /* BLOCK: its working set was planned until then */
	float planned_p;		     /* BLOCK: as how likely */
	uint32_t symbol;		     /* BLOCK: its name in the model; 0: not yet */
	uint32_t program;		     /* BLOCK: the block of its program alone */
	uint32_t user;			     /* FILE: the block that needed it last */
	uint32_t running_n;		     /* BLOCK: living runs of it, which may not lose it */
	uint32_t idle_n; /* BLOCK: starts since something was read from a disk, for it or by it */
	bool parent;	 /* BLOCK: it was seen to start others */
	/* BLOCK: of its edges made in a run, how many were taken again in a later one: see newcomer(). */
	uint32_t made_now_n, made_last_n, made_n, again_n;
	/* BLOCK: runs of which was told what they ask about, and the newest of those, of node.runs_n. Edges
	 * of what is only asked about count in these: the other runs say nothing of them. */
	uint64_t asking_n, asking_last;
};

/* About an action given out before: see struct action. */
struct word {
	uint64_t id;
	enum action_kind kind;
	enum want want;
	uint64_t event_ns, need_ns;
};

/* A block that may run, and when. */
struct candidate {
	uint32_t block;
	uint32_t from;	 /* the run that is to start it, directly or not */
	uint32_t parent; /* the block that is, directly; 0: not known */
	uint32_t support;
	uint8_t order, depth;
	double p, p_model;
	double gain; /* of its EXEC edge, see plan_gain() */
	uint64_t lead_ns;
	uint64_t soon_ns; /* it was never sooner, lately; 0: it may be any time */
};

struct engine {
	struct engine_limits limits;
	struct plan_policy policy;
	struct graph *graph;
	struct lineage *lineage;
	struct vomm *model;
	struct book *book;
	struct plan *plan;
	struct use *use;
	struct credit *credit;
	struct heap later;	/* guesses that have time, by guess.due_ns */
	uint64_t hope_n;	/* the last number given to a run */
	struct node_aux *aux;	/* by graph id */
	struct index by_symbol; /* symbol -> graph id */
	struct rank ranks[BEST_MAX];
	struct phases phases;
	int64_t wall_offset_ns;
	uint64_t now_ns; /* of the newest observation or tick */
	uint32_t left_n; /* files that left memory so far; LEFT_UNTOLD: nobody counts them */

	struct engine_stats stats;
	/* Guesses that ended with something to release, or to keep, or that have become urgent. */
	struct word words[WORD_MAX];
	uint32_t word_head, word_n;
	struct candidate candidates[CANDIDATE_MAX];
	size_t candidate_n;
	uint32_t rest_run; /* for predict_rest() */
	bool rest;
	struct vomm_guess guesses[CANDIDATE_MAX];
	struct file_range ranges[ACTION_RANGES]; /* of the latest action */
};

/* 0 when no living block has that symbol. */
uint32_t engine_block_of_symbol(struct engine *e, uint32_t symbol);

/* CLOCK_REALTIME of an observation's time. */
uint64_t engine_wall(const struct engine *e, uint64_t ts_ns);
/* The node of that name, seen now. As graph_intern(). */
int engine_intern(struct engine *e, enum node_kind kind, const char *name, const struct obs *o,
		  uint32_t *ret_id);
/* The run is one of block, an invocation of program, from now on. */
void engine_run_is(struct engine *e, struct run *rn, uint32_t block, uint32_t program);
/* Nothing is left of the run. */
void engine_run_gone(struct engine *e, uint32_t run);

/* Guesses from the start of a run what it will need itself; what it will start, and what its parent will start
 * next, and their needs, are left to predict_rest(). */
void predict_from(struct engine *e, uint32_t run);
/* Guesses what was left of the newest start, if anything was. Before anything else is observed, or time passes. */
bool predict_rest(struct engine *e);
/* The same without the needs, where they are known to be in memory: a program that does not come still says
 * something. */
void predict_programs(struct engine *e, uint32_t run);
/* dep was needed by run: ends the open guess for it. known_p is how likely that was, 0: not known. */
void predict_resolve(struct engine *e, uint32_t run, uint32_t dep, double known_p);
/* Another node has the id of dep from now on: the open guess for what it was ends as if it had expired. */
void predict_forget(struct engine *e, uint32_t dep);
/* The run ended: what it was to start, and has not, will not come. */
void predict_hopeless(struct engine *e, uint32_t run);

#endif
