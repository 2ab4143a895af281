/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * engine.h - the pure heart: observations in, decisions out.
 *
 * Shape    observe -> lineage -> graph + model -> guesses -> plan -> actions -> outcomes -> score.
 *          The daemon, `forewarm replay` and the tests drive the same engine; the same
 *          observations, ticks and results give the same actions, bit for bit.
 * Units    ns of the observation's clock (CLOCK_MONOTONIC live, virtual in replay); bytes;
 *          probabilities in [0, 1]; value and price in microseconds.
 * Bounds   struct engine_limits; nothing is allocated after engine_new().
 * Owner    The caller owns struct engine. Names and views are borrowed until the next call that is
 *          not const.
 * Errors   < 0 -errno, a fault.
 * Threads  One owner at a time. No clock, lock, global or I/O.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "base/pause.h"
#include "core/graph.h"
#include "core/obs.h"
#include "core/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vomm;

struct engine_limits {
	struct graph_limits graph;
	uint32_t process_max; /* living processes known at a time */
	uint32_t model_bytes_max;
	uint32_t guess_max; /* guesses kept: open ones, and the newest ended ones for `why` */
	struct ranges_limits ranges; /* all 0: 8,192 sets of 65,536 cells together */
};

/* What the host has to spare; from PSI and meminfo, given by whoever ticks. */
struct pressure {
	uint64_t mem_available_bytes, mem_total_bytes;
	double mem_some_avg10, io_some_avg10, cpu_some_avg10; /* PSI, percent; < 0 unknown */
};

struct plan_policy {
	double p_min;		  /* guesses below are not planned */
	uint64_t bytes_per_s_max; /* warming budget */
	uint64_t bytes_inflight_max;
	double io_some_max, mem_some_max; /* PSI some avg10, percent, above which nothing starts */
	double mem_available_min;	  /* share of memory that stays free */
	uint64_t recheck_ns;		  /* a file seen resident is taken to be so for this long */
	bool act;			  /* false: guess and score, but do nothing */
};

enum action_kind {
	ACTION_NONE,
	ACTION_WARM,	 /* have the pages of file name resident */
	ACTION_LOOKUP,	 /* have its dentry and inode cached, or its absence */
	ACTION_PRESTART, /* have the service name answer */
	ACTION_CANCEL,	 /* the guess is dead: stop, and release what it took */
	ACTION_HURRY, /* what is left of what the guess is about is more urgent now: see priority */
	ACTION_SETTLE, /* the guess came true: what it took is not ours to release */
	ACTION_MAX
};

/* How urgent it is: an action's priority. */
enum want {
	WANT_NOW,   /* a program that has started needs it */
	WANT_SOON,  /* so may one that is about to start */
	WANT_LATER, /* there is time */
};

/* Something to do now. name is borrowed. */
struct action {
	enum action_kind kind;
	uint64_t guess_id;
	uint64_t
		event_ns; /* when the program started that needs it, or this was due; 0: it has yet to */
	uint32_t block, dep; /* graph ids: who will need what */
	const char *name;    /* path, or service; NULL: a word about an action given out before */
	double p;
	uint64_t bytes;	      /* expected; 0 unknown */
	uint64_t deadline_ns; /* of no use after */
	uint64_t lead_ns;     /* expected from now to the need */
	uint64_t need_ns;     /* when that is */
	uint32_t uid;	      /* on whose behalf */
	uint32_t pid;	      /* a process that will need it, or start who does; 0: not known */
	enum want priority;
	bool list;			 /* LOOKUP: of a directory whose entries will be read */
	bool sweep;			 /* LOOKUP: and each of which will be asked about */
	const struct file_range *ranges; /* WARM: the parts of it, by first use; borrowed */
	size_t range_n;			 /* 0: not known, so all of it or what seems right */
};

enum outcome {
	OUTCOME_OPEN,
	OUTCOME_HIT,	  /* was made ready, then needed */
	OUTCOME_LATE,	  /* needed before it was ready */
	OUTCOME_WASTED,	  /* made ready, not needed in time */
	OUTCOME_MISSED,	  /* needed and guessed or guessable, but not acted on */
	OUTCOME_RESIDENT, /* needed, but was there already: nothing spent, nothing saved */
	OUTCOME_DROPPED,  /* never acted on and never needed */
	OUTCOME_MAX
};

/* Why nothing was done about a guess, or that something was. */
enum decision {
	DECISION_NONE,	/* of a program: what it needs are guesses of their own */
	DECISION_WAITS, /* for its time, or its turn: the host is busy, or the budget is used up */
	DECISION_ACTED, /* an action was given out */
	DECISION_UNWORTHY,  /* its value is below lambda times its price */
	DECISION_LATE,	    /* its time had passed when its turn came */
	DECISION_UNTRUSTED, /* more than may be read on the word of so young a habit */
	DECISION_FULL,	    /* too many wait */
	DECISION_FAILED,    /* it was tried: see err */
	DECISION_MAX
};

/* What came of an action, from whoever carried it out. */
struct action_result {
	uint64_t guess_id;
	int32_t err;   /* 0 done; errno when it could not be */
	bool resident; /* nothing had to be read */
	bool now;      /* the action's priority was WANT_NOW, when it was given out */
	uint64_t bytes_read;
	uint64_t bytes_planned; /* the action's bytes: the guess may have ended meanwhile */
	uint64_t done_ns, took_ns;
};

enum { GUESS_ALSO = 3 };

/* One guess, with all that `why` shows. */
struct guess {
	uint64_t id;
	uint32_t block; /* the block whose start or step gave rise to it */
	uint32_t via;	/* the next block it is needed by; == block for its own working set */
	uint32_t
		also[GUESS_ALSO]; /* other blocks it is needed by, each for its own parts; 0 ends */
	uint32_t dep;		  /* what it says will be needed */
	uint8_t kind;		  /* enum edge_kind */
	uint8_t outcome;	  /* enum outcome */
	uint8_t acted;		  /* an action was given out */
	uint8_t under_way_n;	  /* actions given out, without a result yet */
	uint8_t order;		  /* length of the context that made it */
	uint8_t decision;	  /* enum decision, the latest */
	int32_t err;		  /* DECISION_FAILED: errno */
	bool resident;		  /* acted on, and nothing had to be read */
	uint8_t want;		  /* enum want, the most urgent it has been */
	bool lookup; /* it will only be asked about (stat): dentry and inode are enough */
	bool sweep;  /* of a directory: so will be its entries */
	uint32_t uid, pid;
	double p;
	double p_model;	  /* EXEC: of the model's path, before feedback; 0: not the model's guess */
	uint64_t support; /* times that context was seen */
	uint64_t made_ns, lead_ns, deadline_ns;
	uint64_t queued_ns; /* when it was last handed to the plan */
	uint64_t due_ns;    /* nothing is done before: it is never needed so soon; 0: at once */
	uint64_t acted_ns, done_ns, ended_ns; /* 0: not yet */
	uint64_t bytes_read, saved_ns;
	uint64_t
		risk_bytes; /* read for what has yet to start, or to be read: in vain, if that does not come */
	double value_us, price_us;
	double gain;	     /* what its program loses by starting cold, see core/plan.h */
	uint32_t context[4]; /* the blocks it was guessed from, latest first; 0 ends */
	/* The block that is to start `via`, and the number of its run: when that has ended, via will not
	 * come. 0: whoever starts it. */
	uint32_t from;
	uint32_t from_pid; /* the process of that run; 0: none */
	uint64_t hope;
};

struct score {
	uint64_t guesses_n, acted_n;
	uint64_t outcome_n[OUTCOME_MAX];
	uint64_t bytes_read, bytes_wasted;
	uint64_t saved_ns;
	double precision, recall; /* recent: exponential, half-life 500 ended guesses */
	double lambda;		  /* value asked for per price */
};

/* What came of the guesses about the needs of one block, with what was restored. */
struct block_score {
	uint32_t outcome_n[OUTCOME_MAX];
	uint64_t bytes_read, bytes_wasted, saved_ns;
};

struct engine_stats {
	uint64_t obs_n[OBS_KIND_MAX];
	uint64_t obs_ignored_n; /* of things that are not on disk: /proc, /sys, /dev, memfd */
	uint64_t obs_orphan_n;	/* of processes not known */
	uint64_t processes_n, processes_evicted;
	uint64_t guesses_open_n, guesses_evicted, queue_n;
	uint64_t inflight_bytes; /* of actions given out, without a result yet */
	uint64_t bytes;		 /* all memory of the engine, graph and model included */
	struct graph_stats graph;
	struct score score;
	struct score score_all; /* with what was restored */
};

struct engine;

int engine_new(const struct engine_limits *limits, const struct plan_policy *policy,
	       struct engine **ret);
struct engine *engine_free(struct engine *e);

/* What to add to an observation's time to get CLOCK_REALTIME ns. */
void engine_wall_offset(struct engine *e, int64_t offset_ns);

/* Learns what is needed in the first window_ns after a boot, and, with logins, after the first program of
 * a user of whom nothing ran; 0: neither. Before the first observation. */
void engine_phases(struct engine *e, uint64_t window_ns, bool logins);
/* The host has booted a moment ago: guesses what it always needs now. After what was kept is loaded. */
int engine_boot(struct engine *e, uint64_t now_ns);

int engine_observe(struct engine *e, const struct obs *o);
/* The process that was executed at exec_ns used these parts of a file; from sys/pageuse.h. What
 * belongs to no block or file that is known is ignored. */
int engine_observe_use(struct engine *e, uint32_t pid, uint64_t exec_ns, uint64_t dev, uint64_t ino,
		       const struct ranges_use *uses, size_t n);
/* So many files that were read or found in memory have left it since, counted by whoever can tell: what was seen to
 * be there before this changed is looked at again. */
void engine_left(struct engine *e, uint32_t left_n);
/* Ends guesses that are too old, plans what waits; call at least each second. ENGINE_MORE: it paused before all had
 * ended, call again. */
int engine_tick(struct engine *e, uint64_t now_ns, const struct pressure *p,
		const struct pause *pause);
enum { ENGINE_MORE = 1 };
/* When the next of what has time is due, 0: none: then engine_tick(), which may be without pressure. */
uint64_t engine_due_ns(struct engine *e);
/* The next thing to do, or false. Asked right after a start was observed, what that needs comes before the work of
 * guessing what follows; else that is done with the next observation or tick. */
bool engine_next_action(struct engine *e, struct action *ret);
int engine_result(struct engine *e, const struct action_result *r);

void engine_stats(const struct engine *e, struct engine_stats *ret);
void engine_block_score(const struct engine *e, uint32_t block, struct block_score *ret);
/* Starts of block since something was read from a disk on account of one: ahead, by it, or by what it
 * started. */
uint32_t engine_idle_starts(const struct engine *e, uint32_t block);
struct graph *engine_graph(struct engine *e);
const struct graph *engine_graph_const(const struct engine *e);
struct vomm *engine_model(struct engine *e);
/* Which parts of files blocks use, by graph ids, for a store. */
struct ranges *engine_ranges(struct engine *e);
int engine_restore_ranges(struct engine *e, uint32_t block, uint32_t file, const void *bytes,
			  size_t n);
/* What came of guesses before this engine was made. */
void engine_restore_score(struct engine *e, const struct score *kept);
/* One that ended then, for engine_next_guess() and engine_next_ended(); the oldest first, before any observation.
 * Returns its id. */
uint64_t engine_restore_guess(struct engine *e, const struct guess *kept);
void engine_restore_block_score(struct engine *e, uint32_t block, const struct block_score *kept);
/* After the graph was loaded: knows its blocks by their names in the model again. */
void engine_restored(struct engine *e);
/* Puts a loaded model in the place of the present one; v is the engine's from here on. */
void engine_model_replace(struct engine *e, struct vomm *v);

/* What would be guessed if block ran now with no history, most likely first: its working set and
 * what follows; decision says what would not be acted on as things are, and why, due_ns is from its start. Returns how many were written
 * to ret. */
size_t engine_predict_block(struct engine *e, uint32_t block, struct guess *ret, size_t max);
/* Guesses newest first, open and ended. Start with *it = 0; false at the end. */
bool engine_next_guess(const struct engine *e, uint64_t *it, const struct guess **ret);
/* Likewise those that ended, the last one first; false too when the one at *it was forgotten meanwhile. */
bool engine_next_ended(const struct engine *e, uint64_t *it, const struct guess **ret);

const char *outcome_name(enum outcome o);
const char *decision_name(enum decision d);

#endif
