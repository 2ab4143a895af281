/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * svc.h - the life of on-demand services: when to start, freeze, thaw and release each one.
 *
 * Shape    Events in, actions out; the caller carries the actions out and reports what came of it.
 *
 *                     start             ready                     idle
 *            COLD ------------> STARTING -----> READY / ACTIVE ---------> FREEZING
 *             ^                    | fails        ^        ^                 | no connection
 *             |                    v              | guess  | connection      v
 *             +---------------- RELEASING         +--------+------------- FROZEN
 *                  gone            ^                                        |
 *                                  +----------- no longer worth it ---------+
 *
 *          A FROZEN one that rests was left as it is, for it sleeps by itself until somebody connects.
 *          READY runs and nobody has connected since; ACTIVE has served. An instance is only given
 *          up from FROZEN (nothing can be accepted there and then lost) unless it may not be
 *          frozen. One that starts for a mere guess gives way to a connection that finds no room, if it
 *          is the least valuable. There is no failed state: a crash loop waits longer and longer, up to
 *          SVC_HOLD_MAX_NS, and a minute without a failure forgives one.
 * Units    ns of CLOCK_MONOTONIC, bytes, probabilities. Value is seconds of waiting saved per
 *          MB*s of memory held.
 * Bounds   service_max services; run_max and start_max instances, memory_max bytes for all of
 *          them. Of start_max, if more than one, guesses and habits leave one to connections. For each
 *          that waits one makes room; who takes longer than SVC_LEAVE_NS is not waited for. Every call is O(service_max). Nothing is allocated after svc_new().
 * Owner    The caller owns struct svc. Views are copies.
 * Errors   < 0 -errno; SVC_FULL.
 * Threads  One owner at a time. No clock, lock, global or I/O.
 * Source   Keep-alive by idle-time histogram: Shahrad et al., ATC 2020. Eviction by value per
 *          size: GreedyDual, Fuerst and Sharma, ASPLOS 2021. Fair order: start-time fair queueing,
 *          Goyal, Vin, Cheng, SIGCOMM 1996.
 */
#ifndef CORE_SVC_H
#define CORE_SVC_H

#include "core/gaps.h"
#include "core/sketch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SVC_FULL = 1 /* service_max are there already */ };
enum { SVC_MOVE_MAX = 16 /* remembered of each service */ };

#define SVC_HOLD_MAX_NS 30000000000ull
#define SVC_HEAL_NS 60000000000ull
#define SVC_ADOPT_NS 1000000000ull
#define SVC_LEAVE_NS 250000000ull
#define SVC_NEVER UINT64_MAX

enum svc_state {
	SVC_COLD,
	SVC_STARTING,
	SVC_READY,
	SVC_ACTIVE,
	SVC_FREEZING,
	SVC_FROZEN,
	SVC_RELEASING,
	SVC_STATE_MAX
};

enum svc_action_kind {
	SVC_DO_WATCH, /* poll the listening sockets: arg is an enum svc_watch */
	SVC_DO_START, /* answer with READY or EXITED */
	SVC_DO_THAW,  /* done at once; no answer */
	SVC_DO_FREEZE, /* answer with FROZEN once the kernel says so, connections counted after that */
	SVC_DO_CHECK,	/* answer with CHECKED */
	SVC_DO_RELEASE, /* end it; answer with GONE. arg is an enum svc_end */
	SVC_DO_KILL,	/* it did not end in time */
	SVC_DO_MAX
};

/* Unless it runs, it is ended only if that cuts nobody off; else the answer is KEPT, and it goes on. */
enum svc_end {
	SVC_END_RUNNING,
	SVC_END_FROZEN,	  /* and idle; kept when a connection has thawed it in the meantime */
	SVC_END_STARTING, /* nobody waits for it; kept, with waiting, when somebody does by now, and
			     without when it cannot be told */
};

/* LEVEL: tell of a connection that waits. ONCE: the first one from now on. */
enum svc_watch { SVC_WATCH_NONE, SVC_WATCH_ONCE, SVC_WATCH_LEVEL };

enum svc_event_kind {
	SVC_EV_CONNECTION, /* one waits at the socket */
	SVC_EV_OBSERVED,   /* one was seen being made, at at_ns */
	SVC_EV_GUESS,	   /* one will come with probability p in lead_ns */
	SVC_EV_READY,
	SVC_EV_EXITED, /* clean; restart: start it again; waiting: a connection was left unaccepted */
	SVC_EV_CHECKED, /* connection_n, cpu_ns, memory_bytes */
	SVC_EV_FROZEN, /* connection_n counted after it froze, memory_bytes; resting. Once more when a
			   resting one was frozen after all */
	SVC_EV_GONE,
	SVC_EV_KEPT,
	SVC_EV_MAX
};

struct svc_event {
	enum svc_event_kind kind;
	uint64_t at_ns; /* CONNECTION, OBSERVED: when it came; 0: now */
	double p;
	uint64_t lead_ns;
	bool clean, restart, waiting, resting;
	uint32_t connection_n;
	uint64_t cpu_ns; /* used by the instance in its whole life */
	uint64_t memory_bytes;
};

/* Why the last step was taken. */
enum svc_why {
	SVC_WHY_NONE,
	SVC_WHY_CONNECTION, /* one came */
	SVC_WHY_GUESS,	    /* one was foretold */
	SVC_WHY_HABIT,	    /* one is due by the service's own rhythm */
	SVC_WHY_RESTART,    /* Restart= */
	SVC_WHY_IDLE,	    /* nothing to do for longer than is worth waiting */
	SVC_WHY_UNUSED,	    /* the guess did not come true */
	SVC_WHY_ROOM,	    /* another service is worth more */
	SVC_WHY_PRESSURE,   /* the host needs the memory */
	SVC_WHY_EXITED,	    /* it ended by itself */
	SVC_WHY_FAILED,	    /* it crashed or did not start */
	SVC_WHY_TIMEOUT,    /* it was not ready or not gone in time */
	SVC_WHY_DROPPED,    /* its unit was removed */
	SVC_WHY_MAX
};

/* How a connection found the service. */
enum svc_class {
	SVC_CLASS_COLD,
	SVC_CLASS_THAWED,
	SVC_CLASS_RESTING,
	SVC_CLASS_PREDICTED,
	SVC_CLASS_WARM,
	SVC_CLASS_MAX
};

enum svc_outcome {
	SVC_GUESS_HIT,
	SVC_GUESS_LATE,
	SVC_GUESS_WASTED,
	SVC_GUESS_DROPPED,
	SVC_GUESS_MAX
};

struct svc_limits {
	uint32_t service_max;
	uint32_t run_max, start_max;
	uint64_t memory_max_bytes;
	double price;	    /* lambda: seconds saved that a MB*s must bring; 0: the default, 5e-6 */
	double p_thaw_min;  /* a guess below this does not thaw; 0: the default, 0.2 */
	double p_start_min; /* nor start; grows with pressure; 0: the default, 0.25 */
};

struct svc_config {
	uint32_t weight;
	uint64_t timeout_start_ns, timeout_stop_ns;
	uint64_t freeze_after_ns, release_after_ns; /* SVC_NEVER: learnt */
	uint64_t freeze_max_ns, release_max_ns;	    /* learnt ones are no longer; 0: no matter */
	uint64_t restart_ns;			    /* first hold after a failure */
	uint64_t memory_bytes, cold_ns;		    /* first estimates; 0: 16 MiB, 50 ms */
	bool freeze, release, prestart;
};

struct svc_action {
	enum svc_action_kind kind;
	uint32_t id;
	uint32_t arg;
	enum svc_why why;
};

/* What was learnt of a service: plain bytes, for a file or shared memory. */
struct svc_habit {
	uint64_t version; /* SVC_HABIT_VERSION */
	struct gaps idle; /* from the last connection's end to the next one */
	struct gaps lead; /* from a guess to the connection it foretold */
	double memory_bytes, cold_ns, thaw_ns;
};
#define SVC_HABIT_VERSION 1

struct svc_figures {
	uint64_t class_n[SVC_CLASS_MAX];
	struct sketch class_delay[SVC_CLASS_MAX]; /* what the activation added to the connection */
	uint64_t guess_n, guess_outcome_n[SVC_GUESS_MAX];
	uint64_t start_n, fail_n, freeze_n, thaw_n, release_n, evict_n;
	uint64_t rest_n;   /* of freeze_n: there was nothing to stop */
	double held_mbs;   /* memory x time without a connection, MB*s */
	double wasted_mbs; /* of that: no connection came before it was given up */
};

struct svc_view {
	enum svc_state state;
	enum svc_why why;
	enum svc_watch watch;
	uint64_t since_ns, idle_since_ns, hold_until_ns;
	uint32_t connection_n, fail_row_n;
	bool waiting, queued, guessed;
	bool resting; /* FROZEN, and not held: it sleeps without a timer until somebody connects */
	double guess_p;
	uint64_t guess_lead_ns;
	uint64_t lead_ns; /* half of the guesses that came true were so far ahead; 0: none yet */
	double value;	  /* of keeping it now; 0 when nothing runs */
	uint64_t freeze_after_ns; /* as learnt, from now; SVC_NEVER: not foreseen */
	double memory_bytes, cold_ns, thaw_ns;
	bool cold_known, memory_known; /* measured; else what is assumed until then */
	struct svc_figures figures;
};

/* One of its latest moves. Those that were on the way only, as to FREEZING, give way to where it led. */
struct svc_move {
	uint64_t at_ns;
	enum svc_state to;
	enum svc_why why;
	bool resting;
	double p; /* of the guess, where that is why */
	uint64_t lead_ns;
};

struct svc;

int svc_new(const struct svc_limits *limits, struct svc **ret);
struct svc *svc_free(struct svc *s);

/* A service that is COLD; habit may be NULL. SVC_FULL when there is no place. */
int svc_add(struct svc *s, uint64_t now_ns, const struct svc_config *c,
	    const struct svc_habit *habit, uint32_t *ret_id);
/* After a restart of the daemon: an instance was found in state READY, ACTIVE or FROZEN, or
 * STARTING: then it may have been told to start or not, and has SVC_ADOPT_NS to show it. */
void svc_adopt(struct svc *s, uint32_t id, uint64_t now_ns, enum svc_state state);
/* Gets it to COLD and keeps it there. */
void svc_retire(struct svc *s, uint32_t id, uint64_t now_ns);

void svc_event(struct svc *s, uint32_t id, uint64_t now_ns, const struct svc_event *e);
/* Timers and the queue; pressure from 0 (plenty) to 1 (give up what is idle). */
void svc_run(struct svc *s, uint64_t now_ns, double pressure);
/* The next thing to do, or false. Drain after every svc_event() and svc_run(). */
bool svc_next(struct svc *s, struct svc_action *ret);
/* When svc_run() is due next; SVC_NEVER when nothing is pending. */
uint64_t svc_deadline_ns(const struct svc *s);

/* How long an idle instance would be left running before it is frozen, by what was learnt. */
uint64_t svc_freeze_window_ns(const struct gaps *idle, double idle_cpu_share);

void svc_view(const struct svc *s, uint32_t id, uint64_t now_ns, struct svc_view *ret);
/* Newest first; returns how many. */
size_t svc_story(const struct svc *s, uint32_t id, struct svc_move ret[SVC_MOVE_MAX]);
void svc_habit(const struct svc *s, uint32_t id, struct svc_habit *ret);
/* Asserts what must hold between calls; true so that it can stand in an assert. */
bool svc_sound(const struct svc *s);

const char *svc_state_name(enum svc_state state);
const char *svc_why_name(enum svc_why why);
const char *svc_class_name(enum svc_class class);

#endif
