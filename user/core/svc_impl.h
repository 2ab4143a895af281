/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * svc_impl.h - one service inside struct svc; only svc*.c include it.
 *
 * Shape    svc.c: what others call. svc_moves.c: what every event means in every state.
 *          svc_time.c: what time alone brings about, and the queue for room. svc_value.c: what
 *          holding an instance is worth. Functions on one service begin with one_.
 */
#ifndef CORE_SVC_IMPL_H
#define CORE_SVC_IMPL_H

#include "core/sm.h"
#include "core/svc.h"

static const uint64_t check_min_ns = 1000000, check_max_ns = 1000000000;
static const uint64_t queue_check_ns = 20000000; /* of who is busy, while somebody waits for room */

struct one {
	bool used, retired, cold_known, memory_known;
	struct svc_config c;
	struct sm sm;
	enum svc_why why;
	uint64_t since_ns, added_ns, timer_ns;
	struct svc_habit habit;

	uint64_t waiting_ns; /* a connection waits since then; 0: none */
	uint64_t adopted_until_ns;
	uint64_t waited_ns; /* one waited since then when the last start failed, or crashed on it */
	uint64_t found_ns;  /* one that it was started for waits since then, and may do so still */
	bool counted;	    /* the one of waited_ns is among class_n */
	bool want;	    /* to be started though nobody waits */
	enum svc_why want_why;

	bool guess, guess_did; /* one is open; it made us start or thaw */
	double guess_p;
	uint64_t guess_made_ns, guess_act_ns, guess_until_ns, guess_lead_ns;

	uint64_t idle_since_ns, quiet_since_ns, last_ns; /* last: latest connection */
	uint64_t checked_ns, next_check_ns, cpu_ns, busy_wait_ns;
	double idle_cpu;
	uint64_t window_ns; /* learnt */
	uint64_t no_freeze_ns;
	uint32_t connection_n;

	uint32_t fail_row_n, short_row_n;
	uint64_t failed_ns, hold_ns;

	uint64_t held_ns; /* running without a connection since; 0: not */
	double vt;	  /* finish tag of its last start */
	uint32_t act_mask;
	enum svc_end end;
	uint64_t room_ns;		   /* for_room since then */
	uint64_t start_ns, spare_until_ns; /* of one that was given up while it started */
	enum svc_why start_why;
	bool for_room, kill_said, resting;
	enum svc_watch watch, watch_said;
	struct svc_figures f;
	struct svc_move moves[SVC_MOVE_MAX];
	uint64_t move_n; /* so far; they are kept in a ring */
};

struct svc {
	struct svc_limits limits;
	struct one *ones;
	uint32_t cursor;
	double vt; /* start tag of the last start */
	double pressure;
};

/* --- small ones -------------------------------------------------------------------------------- */

static inline enum svc_state state_of(const struct one *v)
{
	return (enum svc_state)v->sm.state;
}

static inline uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static inline uint64_t later(uint64_t at_ns, uint64_t by_ns)
{
	return at_ns > SVC_NEVER - by_ns ? SVC_NEVER : at_ns + by_ns;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline void one_blend(double *mean, double value)
{
	*mean += (value - *mean) / 4;
}

/* --- svc_value.c ---------------------------------------------------------------------------------- */

bool one_is_idle(const struct one *v);
uint64_t one_idle_age(const struct one *v, uint64_t now_ns);
/* Of a start. */
double one_saving_s(const struct one *v);
double one_memory_mb(const struct one *v);
/* The share of the host that pressure leaves. */
double svc_spare(const struct svc *s);
/* Lambda, under this pressure. */
double svc_price(const struct svc *s);
/* Of holding an idle instance from now on; by its rhythm alone. */
double one_value(const struct one *v, uint64_t now_ns);
double one_habit_value(const struct one *v, uint64_t now_ns);
void one_learn_window(struct one *v);

/* --- svc_moves.c ---------------------------------------------------------------------------------- */

typedef void (*svc_event_fn)(struct svc *s, struct one *v, uint64_t now_ns,
			     const struct svc_event *e);
extern const svc_event_fn svc_moves[SVC_STATE_MAX][SVC_EV_MAX];

/* Has said that it is to make room. */
static inline void one_give_room(struct one *v, uint64_t now_ns)
{
	v->for_room = true;
	v->room_ns = now_ns;
}

/* An action, for svc_next(). */
void one_say(struct one *v, enum svc_action_kind what);
void one_hold_begin(struct one *v, uint64_t now_ns);
void one_guess_end(struct one *v, uint64_t now_ns, enum svc_outcome outcome);
void one_start(struct svc *s, struct one *v, uint64_t now_ns, enum svc_why why);
void one_release(struct one *v, uint64_t now_ns, enum svc_why why);
void one_thaw(struct one *v, uint64_t now_ns, enum svc_state to, enum svc_why why);
void one_failed(struct one *v, uint64_t now_ns);

/* --- svc_time.c ----------------------------------------------------------------------------------- */

/* Moves that time alone brings about; sets when to look again, and what to poll meanwhile. */
void one_tick(struct svc *s, struct one *v, uint64_t now_ns);
/* Waits for room, or could use it. */
bool one_is_candidate(const struct svc *s, const struct one *v, uint64_t now_ns);
void svc_schedule(struct svc *s, uint64_t now_ns);
/* One at a time, the least valuable first, while the host is short of memory. */
void svc_relieve(struct svc *s, uint64_t now_ns);

struct svc_used {
	uint32_t run_n, start_n;
	uint32_t leaving_n; /* room that is on its way */
	uint32_t waiting_n; /* services that wait for some */
	double bytes;
};
struct svc_used svc_used(const struct svc *s, uint64_t now_ns);

#endif
