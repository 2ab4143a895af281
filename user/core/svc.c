// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * svc.c - one table says what every event means in every state; timers and the queue do the rest.
 *
 * The price lambda ties it together: an instance is worth holding while its value (the best rate at
 * which connections can be expected, times the start it saves, by its memory) is above the
 * price; it is started by itself when the value is well above; pressure raises the price. A guess
 * is the same sum with the probability and the time the guess names.
 *
 * Two ages are kept apart: idle_since (from the last connection, what the rhythm is learnt from)
 * and quiet_since (from the last sign of work, what freezing goes by).
 */
#include "core/svc.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "core/sm.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	FAIL_ROW_MAX = 24, /* the hold is at its maximum long before */
	SHORT_ROW_MAX = 3, /* clean exits at once, one after the other, with somebody waiting */
};

static const double price_default = 5e-6; /* 100 MB for an hour must save 1.8 s */
static const double p_thaw_default = 0.2; /* a thaw costs about a fifth of what it can save */
/* A start costs about as much CPU as it saves waiting; CPU spent ahead counts a third. */
static const double p_start_default = 0.25;
static const double habit_hysteresis = 1.5;
static const uint64_t memory_default = 16ull << 20, cold_default = 50000000;
static const uint64_t thaw_default = 60000;	      /* 31-93 us measured with the reply */
static const uint64_t freeze_min_ns = 10000000;	      /* no learnt window is shorter */
static const uint64_t freeze_confirm_ns = 1000000000; /* a member may sit in the kernel */
static const uint64_t freeze_retry_ns = 60000000000;
static const double freeze_pair_s = 200e-6; /* CPU and delay of a freeze and a thaw, doubled */
static const double freeze_gain = 1e-4;	    /* what being frozen is worth if it uses no CPU */
static const uint64_t freeze_horizon_ns = 10000000000;
static const uint64_t check_min_ns = 1000000, check_max_ns = 1000000000;
static const uint64_t short_run_ns = 1000000000;
static const uint64_t guess_slack_ns = 500000000, guess_max_ns = 600000000000;
static const uint64_t thaw_ahead_ns = 50000000; /* several wake-ups of a busy host */

static const struct sm_state states[SVC_STATE_MAX] = {
	[SVC_COLD] = {"cold", SM_TO(SVC_STARTING)},
	[SVC_STARTING] = {"starting", SM_TO(SVC_READY) | SM_TO(SVC_ACTIVE) | SM_TO(SVC_RELEASING)},
	[SVC_READY] = {"ready", SM_TO(SVC_ACTIVE) | SM_TO(SVC_FREEZING) | SM_TO(SVC_RELEASING)},
	[SVC_ACTIVE] = {"active", SM_TO(SVC_FREEZING) | SM_TO(SVC_RELEASING)},
	[SVC_FREEZING] = {"freezing", SM_TO(SVC_FROZEN) | SM_TO(SVC_ACTIVE) | SM_TO(SVC_READY) |
					      SM_TO(SVC_RELEASING)},
	[SVC_FROZEN] = {"frozen", SM_TO(SVC_ACTIVE) | SM_TO(SVC_READY) | SM_TO(SVC_RELEASING)},
	[SVC_RELEASING] = {"releasing", SM_TO(SVC_COLD) | SM_TO(SVC_ACTIVE)},
};

struct one {
	bool used, retired, cold_known;
	struct svc_config c;
	struct sm sm;
	enum svc_why why;
	uint64_t since_ns, added_ns, timer_ns;
	struct svc_habit habit;

	uint64_t waiting_ns; /* a connection waits since then; 0: none */
	uint64_t adopted_until_ns;
	uint64_t waited_ns; /* one waited since then when the last start failed */
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
	uint32_t act_mask, release_arg;
	bool for_room, kill_said;
	enum svc_watch watch, watch_said;
	struct svc_figures f;
};

struct svc {
	struct svc_limits limits;
	struct one *ones;
	uint32_t cursor;
	double vt; /* start tag of the last start */
	double pressure;
};

/* --- small ones -------------------------------------------------------------------------------- */

static enum svc_state state_of(const struct one *v)
{
	return (enum svc_state)v->sm.state;
}

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static uint64_t later(uint64_t at_ns, uint64_t by_ns)
{
	return at_ns > SVC_NEVER - by_ns ? SVC_NEVER : at_ns + by_ns;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void blend(double *mean, double value)
{
	*mean += (value - *mean) / 4;
}

static void say(struct one *v, enum svc_action_kind what)
{
	if (what == SVC_DO_THAW)
		v->act_mask &= ~(1u << SVC_DO_FREEZE);
	if (what == SVC_DO_FREEZE)
		v->act_mask &= ~(1u << SVC_DO_THAW | 1u << SVC_DO_CHECK);
	if (what == SVC_DO_RELEASE)
		v->act_mask = 0;
	v->act_mask |= 1u << what;
}

static bool is_idle(const struct one *v)
{
	return v->connection_n == 0 && !v->waiting_ns;
}

static uint64_t idle_age(const struct one *v, uint64_t now_ns)
{
	return since(now_ns, v->idle_since_ns ? v->idle_since_ns : v->added_ns);
}

static double saving_s(const struct one *v)
{
	double s = (v->habit.cold_ns - v->habit.thaw_ns) / 1e9;

	return s > 1e-6 ? s : 1e-6;
}

static double memory_mb(const struct one *v)
{
	double mb = v->habit.memory_bytes / 1048576;

	return mb > 0.1 ? mb : 0.1;
}

static double spare(const struct svc *s)
{
	return s->pressure < 0.99 ? 1 - s->pressure : 0.01;
}

static double price_of(const struct svc *s)
{
	return s->limits.price / spare(s);
}

static double guess_value(const struct one *v, uint64_t now_ns)
{
	double held_s = (double)since(v->guess_until_ns, now_ns) / 1e9;

	return v->guess_p * saving_s(v) / (memory_mb(v) * (held_s > 1e-3 ? held_s : 1e-3));
}

static double habit_value(const struct one *v, uint64_t now_ns)
{
	return gaps_best_rate(&v->habit.idle, idle_age(v, now_ns)) * 1e9 * saving_s(v) /
	       memory_mb(v);
}

/* Of holding an idle instance from now on. */
static double value_of(const struct one *v, uint64_t now_ns)
{
	double value = habit_value(v, now_ns), guessed;

	if (v->guess) {
		guessed = guess_value(v, now_ns);
		value = guessed > value ? guessed : value;
	}
	return value;
}

uint64_t svc_freeze_window_ns(const struct gaps *idle, double idle_cpu_share)
{
	double gain = freeze_gain + (idle_cpu_share > 0 ? idle_cpu_share : 0);

	for (uint64_t age = freeze_min_ns; age <= freeze_horizon_ns; age = gaps_next_edge_ns(age))
		if (gaps_remaining_ns(idle, age, freeze_horizon_ns) / 1e9 * gain >= freeze_pair_s)
			return age;
	return freeze_horizon_ns; /* it comes so often that waiting costs nothing */
}

static void learn_window(struct one *v)
{
	v->window_ns = v->c.freeze_after_ns != SVC_NEVER
			       ? v->c.freeze_after_ns
			       : svc_freeze_window_ns(&v->habit.idle, v->idle_cpu);
	if (v->c.freeze_after_ns == SVC_NEVER && v->c.freeze_max_ns)
		v->window_ns = min_u64(v->window_ns, v->c.freeze_max_ns);
}

/* --- what is counted ----------------------------------------------------------------------------- */

static void hold_begin(struct one *v, uint64_t now_ns)
{
	if (!v->held_ns)
		v->held_ns = now_ns;
}

static void hold_end(struct one *v, uint64_t now_ns, bool wasted)
{
	double mbs;

	if (!v->held_ns)
		return;
	mbs = memory_mb(v) * (double)since(now_ns, v->held_ns) / 1e9;
	v->f.held_mbs += mbs;
	if (wasted)
		v->f.wasted_mbs += mbs;
	v->held_ns = 0;
}

static void guess_end(struct one *v, uint64_t now_ns, enum svc_outcome outcome)
{
	if (!v->guess)
		return;
	v->f.guess_outcome_n[outcome]++;
	if (outcome == SVC_GUESS_HIT || outcome == SVC_GUESS_LATE)
		gaps_add(&v->habit.lead, since(now_ns, v->guess_made_ns));
	v->guess = v->guess_did = false;
}

/* The gap that this connection ends is learnt once. */
static void learn_gap(struct one *v, uint64_t at_ns)
{
	if (v->idle_since_ns && at_ns > v->idle_since_ns) {
		gaps_add(&v->habit.idle, at_ns - v->idle_since_ns);
		learn_window(v);
	}
	v->idle_since_ns = 0;
	v->last_ns = max_u64(v->last_ns, at_ns);
}

static void served(struct one *v, enum svc_class class, uint64_t delay_ns)
{
	v->f.class_n[class]++;
	sketch_add(&v->f.class_delay[class], delay_ns);
}

/* --- moves ------------------------------------------------------------------------------------- */

static void enter(struct one *v, uint64_t now_ns, enum svc_state to, enum svc_why why)
{
	sm_move(&v->sm, v, to);
	v->since_ns = now_ns;
	v->why = why;
	v->adopted_until_ns = 0;
	if (to == SVC_READY || to == SVC_ACTIVE) {
		v->quiet_since_ns = v->checked_ns = now_ns;
		v->busy_wait_ns = 0;
		v->next_check_ns =
			later(now_ns, max_u64(check_min_ns, min_u64(v->window_ns, check_max_ns)));
	}
}

static void start(struct svc *s, struct one *v, uint64_t now_ns, enum svc_why why)
{
	say(v, SVC_DO_START);
	v->f.start_n++;
	v->want = v->for_room = v->kill_said = false;
	v->cpu_ns = 0;
	v->connection_n = 0;
	if (v->guess)
		v->guess_did = true;
	if (v->vt < s->vt)
		v->vt = s->vt;
	s->vt = v->vt;
	v->vt += 100.0 / v->c.weight;
	enter(v, now_ns, SVC_STARTING, why);
}

static void release(struct one *v, uint64_t now_ns, enum svc_why why)
{
	v->release_arg = state_of(v) == SVC_FROZEN;
	v->f.release_n++;
	if (why == SVC_WHY_ROOM || why == SVC_WHY_PRESSURE)
		v->f.evict_n++;
	hold_end(v, now_ns, true);
	guess_end(v, now_ns, v->guess_did ? SVC_GUESS_WASTED : SVC_GUESS_DROPPED);
	v->connection_n = 0;
	say(v, SVC_DO_RELEASE);
	enter(v, now_ns, SVC_RELEASING, why);
}

static void freeze(struct one *v, uint64_t now_ns, enum svc_why why)
{
	say(v, SVC_DO_FREEZE);
	enter(v, now_ns, SVC_FREEZING, why);
}

static void thaw(struct one *v, uint64_t now_ns, enum svc_state to, enum svc_why why)
{
	say(v, SVC_DO_THAW);
	v->f.thaw_n++;
	v->for_room = false;
	enter(v, now_ns, to, why);
}

/* Longer after each failure of a row; a minute without one takes one off. */
static void failed(struct one *v, uint64_t now_ns)
{
	uint64_t hold = v->c.restart_ns ? v->c.restart_ns : 1000000;

	while (v->fail_row_n && since(now_ns, v->failed_ns) >= SVC_HEAL_NS) {
		v->fail_row_n--;
		v->failed_ns += SVC_HEAL_NS;
	}
	v->failed_ns = now_ns;
	for (uint32_t i = 0; i < v->fail_row_n && hold < SVC_HOLD_MAX_NS; i++)
		hold *= 2;
	if (v->fail_row_n < FAIL_ROW_MAX)
		v->fail_row_n++;
	v->hold_ns = later(now_ns, min_u64(hold, SVC_HOLD_MAX_NS));
	v->f.fail_n++;
	/* Whoever still waits is seen again when the hold is over. */
	if (v->waiting_ns)
		v->waited_ns = v->waiting_ns;
	v->waiting_ns = 0;
}

/* --- events: (service, now, event) -------------------------------------------------------------- */

typedef void (*event_fn)(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e);

static void ignore(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s, (void)v, (void)now_ns, (void)e;
}

static uint64_t at_of(uint64_t now_ns, const struct svc_event *e)
{
	return e->at_ns && e->at_ns < now_ns ? e->at_ns : now_ns;
}

static void waits(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	if (v->waiting_ns)
		return;
	v->waiting_ns = v->waited_ns ? v->waited_ns : at;
	if (!v->waited_ns) /* else it is the one that the last start left waiting */
		learn_gap(v, at);
}

/* The first connection that READY has waited for. */
static void came(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	served(v, v->guess_did ? SVC_CLASS_PREDICTED : SVC_CLASS_WARM, 0);
	guess_end(v, at, SVC_GUESS_HIT);
	learn_gap(v, at);
	hold_end(v, now_ns, false);
	enter(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
}

static void came_frozen(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	served(v, SVC_CLASS_THAWED, since(now_ns, at));
	if (at < now_ns)
		blend(&v->habit.thaw_ns, (double)since(now_ns, at));
	guess_end(v, at, v->guess_did ? SVC_GUESS_LATE : SVC_GUESS_DROPPED);
	learn_gap(v, at);
	hold_end(v, now_ns, false);
	thaw(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
}

static void seen_active(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	if (at <= v->last_ns)
		return; /* the one that the socket told us of */
	served(v, SVC_CLASS_WARM, 0);
	guess_end(v, at, SVC_GUESS_HIT);
	learn_gap(v, at);
	hold_end(v, now_ns, false);
	/* It may be over before the next look: count the gap from here. */
	v->idle_since_ns = at;
	v->quiet_since_ns = max_u64(v->quiet_since_ns, at);
}

static void seen_ready(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	if (at_of(now_ns, e) > v->last_ns)
		came(s, v, now_ns, e);
}

/* How long before the connection to start: the usual time, and as much again as costs no more than a
 * hundredth of what a start in time saves. Being late costs all of it. */
static uint64_t start_ahead_ns(const struct svc *s, const struct one *v)
{
	double spare_s = 0.01 * saving_s(v) / (price_of(s) * memory_mb(v));

	return (uint64_t)(v->habit.cold_ns * 2 + (spare_s < 60 ? spare_s : 60) * 1e9);
}

static void guessed(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	const struct gaps *lead = &v->habit.lead;
	uint64_t need, early = e->lead_ns, window;

	v->f.guess_n++;
	if (lead->observed >= 4)
		early = min_u64(early, gaps_quantile_ns(lead, 0.05));
	need = state_of(v) == SVC_COLD ? start_ahead_ns(s, v) : thaw_ahead_ns;
	window = later(2 * min_u64(e->lead_ns, guess_max_ns), guess_slack_ns);
	if (lead->observed >= 4)
		window = gaps_quantile_ns(lead, 0.95) * 3 / 2 + 50000000;
	window = min_u64(window, guess_max_ns);
	if (v->guess) { /* one guess more for the same connection */
		v->f.guess_outcome_n[SVC_GUESS_DROPPED]++;
		v->guess_p = e->p > v->guess_p ? e->p : v->guess_p;
		v->guess_act_ns = min_u64(v->guess_act_ns, now_ns + since(early, need));
		v->guess_until_ns = max_u64(v->guess_until_ns, later(now_ns, window));
		return;
	}
	v->guess = true;
	v->guess_did = false;
	v->guess_p = e->p;
	v->guess_made_ns = now_ns;
	v->guess_lead_ns = e->lead_ns;
	v->guess_act_ns = now_ns + since(early, need);
	v->guess_until_ns = later(now_ns, window);
}

static void became_ready(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s, (void)e;
	if (v->cold_known)
		blend(&v->habit.cold_ns, (double)since(now_ns, v->since_ns));
	else
		v->habit.cold_ns = (double)since(now_ns, v->since_ns);
	v->cold_known = true;
	v->waited_ns = 0;
	if (v->waiting_ns) {
		served(v, v->guess_did ? SVC_CLASS_PREDICTED : SVC_CLASS_COLD,
		       since(now_ns, v->waiting_ns));
		guess_end(v, v->waiting_ns, SVC_GUESS_LATE);
		v->waiting_ns = 0;
		enter(v, now_ns, SVC_ACTIVE, v->why);
	} else {
		hold_begin(v, now_ns);
		enter(v, now_ns, SVC_READY, v->why);
	}
}

static void exited_starting(struct svc *s, struct one *v, uint64_t now_ns,
			    const struct svc_event *e)
{
	(void)s, (void)e;
	failed(v, now_ns);
	release(v, now_ns, SVC_WHY_FAILED);
}

static void exited(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	bool in_vain = e->waiting && since(now_ns, v->since_ns) < short_run_ns, crashed;

	(void)s;
	/* Clean, but somebody still waits: the next one already, or has it accepted nobody? */
	v->short_row_n = in_vain ? v->short_row_n + 1 : 0;
	crashed = !e->clean || v->short_row_n >= SHORT_ROW_MAX;
	if (crashed)
		failed(v, now_ns);
	if (v->c.restart_always || (!e->clean && v->c.restart_failed)) {
		v->want = true;
		v->want_why = SVC_WHY_RESTART;
	}
	release(v, now_ns, crashed ? SVC_WHY_FAILED : SVC_WHY_EXITED);
}

/* What a look at an idle instance leads to. */
static void consider(struct svc *s, struct one *v, uint64_t now_ns)
{
	uint64_t quiet = since(now_ns, v->quiet_since_ns);
	bool room = v->for_room;

	v->for_room = false;
	if (!quiet || !is_idle(v) || v->guess)
		return;
	if (v->c.freeze) {
		if (now_ns < v->no_freeze_ns || (quiet < v->window_ns && !room))
			return;
		v->for_room = room;
		freeze(v, now_ns, room ? SVC_WHY_ROOM : SVC_WHY_IDLE);
		return;
	}
	if (v->c.release && (room || (v->c.release_after_ns != SVC_NEVER
					      ? idle_age(v, now_ns) >= v->c.release_after_ns
					      : value_of(v, now_ns) < price_of(s))))
		release(v, now_ns, room ? SVC_WHY_ROOM : SVC_WHY_IDLE);
}

/* When to look again: at the end of the window, or, at long connections, more and more rarely. */
static void plan_check(struct one *v, uint64_t now_ns, bool busy)
{
	uint64_t wait = since(v->window_ns, since(now_ns, v->quiet_since_ns));

	if (busy)
		v->busy_wait_ns = min_u64(max_u64(2 * v->busy_wait_ns, check_min_ns), check_max_ns);
	else
		v->busy_wait_ns = 0;
	wait = max_u64(wait, max_u64(v->busy_wait_ns, check_min_ns));
	v->next_check_ns = later(now_ns, min_u64(wait, check_max_ns));
}

/* Busy: connections, or more CPU than a timer or two would use. */
static void checked(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t span = since(now_ns, v->checked_ns), cpu = since(e->cpu_ns, v->cpu_ns);
	bool worked = cpu > 300000 + span / 100;

	if (e->memory_bytes)
		blend(&v->habit.memory_bytes, (double)e->memory_bytes);
	if (e->connection_n && state_of(v) == SVC_READY) /* it was quicker than the poll */
		came(s, v, now_ns, &(struct svc_event){.at_ns = v->checked_ns + 1});
	if (e->connection_n) {
		if (v->idle_since_ns > v->last_ns)
			learn_gap(v, now_ns);
		v->idle_since_ns = 0;
		hold_end(v, now_ns, false);
	} else if (!v->idle_since_ns && state_of(v) == SVC_ACTIVE) {
		v->idle_since_ns = max_u64(v->last_ns, v->checked_ns);
		hold_begin(v, now_ns);
	}
	if (e->connection_n || worked) {
		v->quiet_since_ns = now_ns;
	} else if (span > 0) {
		blend(&v->idle_cpu, (double)cpu / (double)span);
		learn_window(v);
	}
	v->connection_n = e->connection_n;
	v->cpu_ns = e->cpu_ns;
	v->checked_ns = now_ns;
	plan_check(v, now_ns, e->connection_n > 0);
	consider(s, v, now_ns);
}

static void froze(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s;
	v->f.freeze_n++;
	if (e->memory_bytes)
		blend(&v->habit.memory_bytes, (double)e->memory_bytes);
	if (e->connection_n) {
		/* Accepted in the moment before: nobody may be left half served. */
		served(v, SVC_CLASS_WARM, 0);
		learn_gap(v, now_ns);
		hold_end(v, now_ns, false);
		thaw(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
		v->connection_n = e->connection_n;
		return;
	}
	if (!v->idle_since_ns)
		v->idle_since_ns = v->last_ns;
	hold_begin(v, now_ns);
	enter(v, now_ns, SVC_FROZEN, v->why);
}

static void gone(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s, (void)e;
	v->kill_said = v->for_room = false;
	if (!v->idle_since_ns)
		v->idle_since_ns = v->last_ns;
	enter(v, now_ns, SVC_COLD, v->why);
}

/* A connection was quicker than the release. */
static void kept(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s, (void)e;
	v->f.release_n--;
	served(v, SVC_CLASS_THAWED, 0);
	learn_gap(v, now_ns);
	v->waiting_ns = 0;
	v->kill_said = v->for_room = false;
	enter(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
}

static const event_fn moves[SVC_STATE_MAX][SVC_EV_MAX] = {
	/*             CONNECTION, OBSERVED, GUESS, READY, EXITED, CHECKED, FROZEN, GONE, KEPT */
	[SVC_COLD] = {waits, ignore, guessed, ignore, ignore, ignore, ignore, ignore, ignore},
	[SVC_STARTING] = {waits, ignore, guessed, became_ready, exited_starting, ignore, ignore,
			  ignore, ignore},
	[SVC_READY] = {came, seen_ready, guessed, ignore, exited, checked, ignore, ignore, ignore},
	[SVC_ACTIVE] = {ignore, seen_active, guessed, ignore, exited, checked, ignore, ignore,
			ignore},
	[SVC_FREEZING] = {came_frozen, ignore, guessed, ignore, exited, ignore, froze, ignore,
			  ignore},
	[SVC_FROZEN] = {came_frozen, ignore, guessed, ignore, exited, ignore, ignore, ignore,
			ignore},
	[SVC_RELEASING] = {waits, ignore, guessed, ignore, ignore, ignore, ignore, gone, kept},
};

/* --- time ---------------------------------------------------------------------------------------- */

static uint64_t tick_guess(struct one *v, uint64_t now_ns)
{
	if (!v->guess)
		return SVC_NEVER;
	if (now_ns >= v->guess_until_ns) {
		guess_end(v, now_ns, v->guess_did ? SVC_GUESS_WASTED : SVC_GUESS_DROPPED);
		return SVC_NEVER;
	}
	return now_ns < v->guess_act_ns ? v->guess_act_ns : v->guess_until_ns;
}

static uint64_t next_edge(const struct one *v, uint64_t now_ns)
{
	uint64_t edge = gaps_next_edge_ns(max_u64(idle_age(v, now_ns), check_min_ns));

	return edge == UINT64_MAX ? SVC_NEVER : later(now_ns, since(edge, idle_age(v, now_ns)));
}

static uint64_t tick_cold(struct svc *s, struct one *v, uint64_t now_ns)
{
	uint64_t next = tick_guess(v, now_ns);

	if (now_ns < v->hold_ns)
		return min_u64(next, v->hold_ns);
	if (v->retired || !v->c.prestart || v->habit.idle.observed < 4 || !v->idle_since_ns)
		return next;
	if (v->c.release_after_ns != SVC_NEVER)
		return next; /* who says when it goes does not want it back by itself */
	if (since(now_ns, v->failed_ns) < v->fail_row_n * SVC_HEAL_NS)
		return next; /* nobody asked and it would likely fail again */
	if (!v->want || v->want_why == SVC_WHY_HABIT) {
		v->want = habit_value(v, now_ns) >= habit_hysteresis * price_of(s);
		v->want_why = SVC_WHY_HABIT;
	}
	return min_u64(next, next_edge(v, now_ns));
}

static uint64_t tick_running(struct one *v, uint64_t now_ns)
{
	uint64_t next = tick_guess(v, now_ns);

	if (now_ns >= v->next_check_ns) {
		say(v, SVC_DO_CHECK);
		v->next_check_ns = later(now_ns, check_max_ns); /* again if no answer comes */
	}
	return min_u64(next, v->next_check_ns);
}

static uint64_t tick_frozen(struct svc *s, struct one *v, uint64_t now_ns)
{
	uint64_t next = tick_guess(v, now_ns), age = idle_age(v, now_ns), last;
	bool fixed = v->c.release_after_ns != SVC_NEVER;

	if (v->guess && now_ns >= v->guess_act_ns && v->guess_p >= s->limits.p_thaw_min) {
		v->guess_did = true;
		thaw(v, now_ns, SVC_READY, SVC_WHY_GUESS);
		return v->next_check_ns;
	}
	if (v->for_room) {
		release(v, now_ns, SVC_WHY_ROOM);
		return later(now_ns, v->c.timeout_stop_ns);
	}
	if (!v->c.release || v->guess)
		return next;
	last = fixed ? v->c.release_after_ns : v->c.release_max_ns;
	if ((last && age >= last) || (!fixed && value_of(v, now_ns) < price_of(s))) {
		release(v, now_ns, s->pressure > 0.5 ? SVC_WHY_PRESSURE : SVC_WHY_IDLE);
		return later(now_ns, v->c.timeout_stop_ns);
	}
	if (!fixed)
		next = min_u64(next, next_edge(v, now_ns));
	return last ? min_u64(next, later(now_ns, since(last, age))) : next;
}

/* Moves that time alone brings about; sets when to look again, and what to poll meanwhile. */
static void tick(struct svc *s, struct one *v, uint64_t now_ns)
{
	uint64_t next = SVC_NEVER;

	switch (state_of(v)) {
	case SVC_COLD:
		next = tick_cold(s, v, now_ns);
		break;
	case SVC_STARTING:
		next = later(v->since_ns, v->c.timeout_start_ns);
		if (v->adopted_until_ns)
			next = min_u64(next, v->adopted_until_ns);
		if (now_ns >= next) {
			failed(v, now_ns);
			release(v, now_ns, SVC_WHY_TIMEOUT);
			next = later(now_ns, v->c.timeout_stop_ns);
		}
		break;
	case SVC_READY:
	case SVC_ACTIVE:
		next = tick_running(v, now_ns);
		break;
	case SVC_FREEZING:
		next = later(v->since_ns, freeze_confirm_ns);
		if (v->guess) {
			v->guess_did = true;
			thaw(v, now_ns, SVC_READY, SVC_WHY_GUESS);
			next = v->next_check_ns;
		} else if (now_ns >= next) {
			v->no_freeze_ns = later(now_ns, freeze_retry_ns);
			thaw(v, now_ns, SVC_ACTIVE, SVC_WHY_TIMEOUT);
			next = v->next_check_ns;
		}
		break;
	case SVC_FROZEN:
		next = tick_frozen(s, v, now_ns);
		break;
	case SVC_RELEASING:
		next = later(v->since_ns, v->c.timeout_stop_ns);
		if (now_ns >= next) {
			if (!v->kill_said)
				say(v, SVC_DO_KILL);
			v->kill_said = true;
			next = SVC_NEVER;
		}
		break;
	case SVC_STATE_MAX:
		assert(false);
	}
	v->timer_ns = next;
	switch (state_of(v)) {
	case SVC_COLD:
		v->watch = v->retired || v->waiting_ns || now_ns < v->hold_ns ? SVC_WATCH_NONE
									      : SVC_WATCH_LEVEL;
		break;
	case SVC_STARTING:
		v->watch = v->waiting_ns ? SVC_WATCH_NONE : SVC_WATCH_LEVEL;
		break;
	case SVC_READY:
		v->watch = SVC_WATCH_ONCE;
		break;
	case SVC_FREEZING:
	case SVC_FROZEN:
		v->watch = SVC_WATCH_LEVEL;
		break;
	default:
		v->watch = SVC_WATCH_NONE;
		break;
	}
}

/* --- the queue -------------------------------------------------------------------------------------- */

static bool is_candidate(const struct svc *s, const struct one *v, uint64_t now_ns)
{
	return v->used && !v->retired && state_of(v) == SVC_COLD && now_ns >= v->hold_ns &&
	       (v->waiting_ns || v->want ||
		(v->guess && v->c.prestart && now_ns >= v->guess_act_ns &&
		 v->guess_p * spare(s) >= s->limits.p_start_min));
}

/* Who is next: those with someone waiting in fair order, then the most valuable of the rest. */
static struct one *pick(struct svc *s, uint64_t now_ns, double *ret_value)
{
	struct one *best = NULL;
	double best_value = 0;

	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];
		double value;

		if (!is_candidate(s, v, now_ns))
			continue;
		if (v->waiting_ns) {
			double tag = v->vt > s->vt ? v->vt : s->vt, other;

			other = best ? (best->vt > s->vt ? best->vt : s->vt) : 0;
			if (!best || !best->waiting_ns || tag < other ||
			    (tag == other && v->waiting_ns < best->waiting_ns))
				best = v;
			continue;
		}
		if (best && best->waiting_ns)
			continue;
		value = v->want && v->want_why == SVC_WHY_RESTART ? HUGE_VAL : value_of(v, now_ns);
		if (value >= price_of(s) && (!best || value > best_value)) {
			best = v;
			best_value = value;
		}
	}
	*ret_value = best && best->waiting_ns ? HUGE_VAL : best_value;
	return best;
}

/* The least valuable instance that may be given up for something worth value; NULL: none. */
static struct one *victim(struct svc *s, uint64_t now_ns, double value)
{
	struct one *worst = NULL;
	double worst_value = value / 2;

	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];
		enum svc_state at = state_of(v);
		double its;

		if (!v->used || !v->c.release || !is_idle(v) ||
		    (at != SVC_FROZEN && at != SVC_READY && at != SVC_ACTIVE))
			continue;
		/* What has just served is not given up for a mere guess. */
		if (at != SVC_FROZEN && value < HUGE_VAL)
			continue;
		its = value_of(v, now_ns);
		if (its < worst_value) {
			worst = v;
			worst_value = its;
		}
	}
	return worst;
}

struct used {
	uint32_t run_n, start_n, leaving_n;
	double bytes;
};

static struct used used_of(const struct svc *s)
{
	struct used u = {0};

	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		const struct one *v = &s->ones[i];
		enum svc_state at = state_of(v);

		if (!v->used || at == SVC_COLD)
			continue;
		u.run_n++;
		u.bytes += v->habit.memory_bytes;
		u.start_n += at == SVC_STARTING;
		u.leaving_n += at == SVC_RELEASING || v->for_room;
	}
	return u;
}

static void schedule(struct svc *s, uint64_t now_ns)
{
	for (;;) {
		struct used u = used_of(s);
		double value;
		struct one *v = pick(s, now_ns, &value), *out;
		enum svc_why why;

		if (!v || u.start_n >= s->limits.start_max)
			return;
		/* The only instance may be larger than the limit: better that than never. */
		if (u.run_n < s->limits.run_max &&
		    (u.run_n == 0 ||
		     u.bytes + v->habit.memory_bytes <= (double)s->limits.memory_max_bytes)) {
			why = v->waiting_ns ? SVC_WHY_CONNECTION
			      : v->want	    ? v->want_why
					    : SVC_WHY_GUESS;
			start(s, v, now_ns, why);
			tick(s, v, now_ns);
			continue;
		}
		if (u.leaving_n)
			return; /* room is on its way */
		out = victim(s, now_ns, value);
		if (!out)
			return;
		out->for_room = true;
		if (state_of(out) == SVC_FROZEN) {
			release(out, now_ns, SVC_WHY_ROOM);
		} else {
			guess_end(out, now_ns,
				  out->guess_did ? SVC_GUESS_WASTED : SVC_GUESS_DROPPED);
			out->next_check_ns = now_ns; /* look, freeze, look again, then give up */
		}
		tick(s, out, now_ns);
		return;
	}
}

/* One at a time, the least valuable first, while the host is short of memory. */
static void relieve(struct svc *s, uint64_t now_ns)
{
	struct one *worst = NULL;
	double worst_value = HUGE_VAL;

	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];

		if (!v->used || !v->c.release || state_of(v) != SVC_FROZEN || v->waiting_ns)
			continue;
		if (value_of(v, now_ns) < worst_value) {
			worst = v;
			worst_value = value_of(v, now_ns);
		}
	}
	if (worst) {
		release(worst, now_ns, SVC_WHY_PRESSURE);
		tick(s, worst, now_ns);
	}
}

/* --- public ----------------------------------------------------------------------------------------- */

static bool invariant(const void *owner, uint32_t state)
{
	const struct one *v = owner;

	/* A connection that was told of is not forgotten by freezing over it. */
	return state != SVC_FROZEN || (v->connection_n == 0 && !v->waiting_ns);
}

static const struct sm_def def = {
	.name = "service",
	.states = states,
	.state_n = SVC_STATE_MAX,
	.invariant = invariant,
};

int svc_new(const struct svc_limits *limits, struct svc **ret)
{
	struct svc *s;

	if (!limits->service_max || !limits->run_max || !limits->start_max)
		return fault(-EINVAL);
	s = calloc(1, sizeof(*s));
	if (!s)
		return fault(-ENOMEM);
	s->ones = calloc(limits->service_max, sizeof(*s->ones));
	if (!s->ones) {
		(void)svc_free(s);
		return fault(-ENOMEM);
	}
	s->limits = *limits;
	if (s->limits.price <= 0)
		s->limits.price = price_default;
	if (s->limits.p_thaw_min <= 0)
		s->limits.p_thaw_min = p_thaw_default;
	if (s->limits.p_start_min <= 0)
		s->limits.p_start_min = p_start_default;
	for (uint32_t i = 0; i < limits->service_max; i++)
		sm_init(&s->ones[i].sm, &def, SVC_COLD);
	*ret = s;
	return 0;
}

struct svc *svc_free(struct svc *s)
{
	if (!s)
		return NULL;
	free(s->ones);
	free(s);
	return NULL;
}

static bool habit_valid(const struct svc_habit *h)
{
	return h && h->version == SVC_HABIT_VERSION && gaps_valid(&h->idle) &&
	       gaps_valid(&h->lead) && h->memory_bytes > 0 && h->memory_bytes < 1e15 &&
	       h->cold_ns > 0 && h->cold_ns < 1e15 && h->thaw_ns >= 0 && h->thaw_ns < 1e12;
}

int svc_add(struct svc *s, uint64_t now_ns, const struct svc_config *c,
	    const struct svc_habit *habit, uint32_t *ret_id)
{
	uint32_t id = 0;
	struct one *v;

	while (id < s->limits.service_max && s->ones[id].used)
		id++;
	if (id == s->limits.service_max)
		return SVC_FULL;
	v = &s->ones[id];
	*v = (struct one){.used = true, .c = *c, .added_ns = now_ns, .since_ns = now_ns};
	sm_init(&v->sm, &def, SVC_COLD);
	if (!v->c.weight)
		v->c.weight = 100;
	if (habit_valid(habit)) {
		v->habit = *habit;
		v->cold_known = true;
	} else {
		v->habit.version = SVC_HABIT_VERSION;
		gaps_init(&v->habit.idle);
		gaps_init(&v->habit.lead);
		v->habit.memory_bytes =
			(double)(c->memory_bytes ? c->memory_bytes : memory_default);
		v->habit.cold_ns = (double)(c->cold_ns ? c->cold_ns : cold_default);
		v->habit.thaw_ns = (double)thaw_default;
	}
	learn_window(v);
	tick(s, v, now_ns);
	*ret_id = id;
	return 0;
}

void svc_adopt(struct svc *s, uint32_t id, uint64_t now_ns, enum svc_state state)
{
	struct one *v = &s->ones[id];

	assert(v->used && state_of(v) == SVC_COLD);
	assert(state == SVC_STARTING || state == SVC_READY || state == SVC_ACTIVE ||
	       state == SVC_FROZEN);
	sm_init(&v->sm, &def, state);
	v->since_ns = v->quiet_since_ns = v->checked_ns = now_ns;
	v->next_check_ns = later(now_ns, check_min_ns);
	if (state == SVC_STARTING)
		v->adopted_until_ns = later(now_ns, SVC_ADOPT_NS);
	else
		hold_begin(v, now_ns);
	tick(s, v, now_ns);
}

void svc_drop(struct svc *s, uint32_t id)
{
	assert(s->ones[id].used && state_of(&s->ones[id]) == SVC_COLD);
	s->ones[id].used = false;
}

void svc_retire(struct svc *s, uint32_t id, uint64_t now_ns)
{
	struct one *v = &s->ones[id];

	assert(v->used);
	v->retired = true;
	v->want = false;
	if (state_of(v) != SVC_COLD && state_of(v) != SVC_RELEASING)
		release(v, now_ns, SVC_WHY_DROPPED);
	v->waiting_ns = 0;
	tick(s, v, now_ns);
}

void svc_event(struct svc *s, uint32_t id, uint64_t now_ns, const struct svc_event *e)
{
	struct one *v = &s->ones[id];

	assert(id < s->limits.service_max && v->used && e->kind < SVC_EV_MAX);
	moves[v->sm.state][e->kind](s, v, now_ns, e);
	tick(s, v, now_ns);
	schedule(s, now_ns);
}

void svc_run(struct svc *s, uint64_t now_ns, double pressure)
{
	bool turned = pressure > s->pressure + 0.05 || pressure < s->pressure - 0.05;

	s->pressure = pressure < 0 ? 0 : pressure > 1 ? 1 : pressure;
	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];

		if (v->used && (turned || now_ns >= v->timer_ns))
			tick(s, v, now_ns);
	}
	if (s->pressure >= 0.9)
		relieve(s, now_ns);
	schedule(s, now_ns);
}

bool svc_next(struct svc *s, struct svc_action *ret)
{
	static const enum svc_action_kind order[] = {
		SVC_DO_THAW, SVC_DO_START, SVC_DO_RELEASE, SVC_DO_KILL, SVC_DO_FREEZE, SVC_DO_CHECK,
	};

	for (uint32_t n = 0; n < s->limits.service_max; n++) {
		struct one *v = &s->ones[s->cursor];

		for (size_t i = 0; i < ARRAY_SIZE(order) && v->used && v->act_mask; i++) {
			if (!(v->act_mask & (1u << order[i])))
				continue;
			v->act_mask &= ~(1u << order[i]);
			*ret = (struct svc_action){.kind = order[i],
						   .id = s->cursor,
						   .arg = v->release_arg,
						   .why = v->why};
			return true;
		}
		if (v->used && v->watch != v->watch_said) {
			v->watch_said = v->watch;
			*ret = (struct svc_action){.kind = SVC_DO_WATCH,
						   .id = s->cursor,
						   .arg = v->watch,
						   .why = v->why};
			return true;
		}
		s->cursor = (s->cursor + 1) % s->limits.service_max;
	}
	return false;
}

uint64_t svc_deadline_ns(const struct svc *s)
{
	uint64_t next = SVC_NEVER;

	for (uint32_t i = 0; i < s->limits.service_max; i++)
		if (s->ones[i].used)
			next = min_u64(next, s->ones[i].timer_ns);
	return next;
}

void svc_view(const struct svc *s, uint32_t id, uint64_t now_ns, struct svc_view *ret)
{
	const struct one *v = &s->ones[id];

	*ret = (struct svc_view){
		.state = state_of(v),
		.why = v->why,
		.watch = v->watch,
		.since_ns = v->since_ns,
		.idle_since_ns = v->idle_since_ns,
		.hold_until_ns = v->hold_ns > now_ns ? v->hold_ns : 0,
		.connection_n = v->connection_n,
		.fail_row_n = v->fail_row_n,
		.waiting = v->waiting_ns != 0,
		.queued = is_candidate(s, v, now_ns),
		.guessed = v->guess,
		.guess_p = v->guess_p,
		.guess_lead_ns = v->guess_lead_ns,
		.lead_ns = gaps_quantile_ns(&v->habit.lead, 0.5),
		.value = state_of(v) == SVC_COLD ? 0 : value_of(v, now_ns),
		.freeze_after_ns = v->c.freeze ? v->window_ns : SVC_NEVER,
		.memory_bytes = v->habit.memory_bytes,
		.cold_ns = v->habit.cold_ns,
		.thaw_ns = v->habit.thaw_ns,
		.figures = v->f,
	};
}

void svc_habit(const struct svc *s, uint32_t id, struct svc_habit *ret)
{
	*ret = s->ones[id].habit;
}

bool svc_sound(const struct svc *s)
{
	struct used u = used_of(s);

	assert(u.run_n <= s->limits.run_max && u.start_n <= s->limits.start_max);
	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		const struct one *v = &s->ones[i];
		enum svc_state at = state_of(v);

		if (!v->used)
			continue;
		assert(invariant(v, v->sm.state));
		assert(v->hold_ns <= later(v->failed_ns, SVC_HOLD_MAX_NS));
		assert(v->watch == SVC_WATCH_LEVEL || at != SVC_FROZEN);
		/* Whoever connects to a cold service is seen, unless its hold runs: then the timer is set. */
		assert(at != SVC_COLD || v->watch == SVC_WATCH_LEVEL || v->waiting_ns ||
		       v->retired || v->timer_ns <= v->hold_ns);
		assert(!v->guess_did || v->guess);
	}
	return true;
}

const char *svc_state_name(enum svc_state state)
{
	return state < SVC_STATE_MAX ? states[state].name : "?";
}

const char *svc_why_name(enum svc_why why)
{
	static const char *const names[SVC_WHY_MAX] = {
		"-",	"connection", "guess",	"habit",  "restart", "idle",	"unused",
		"room", "pressure",   "exited", "failed", "timeout", "dropped",
	};

	return why < SVC_WHY_MAX ? names[why] : "?";
}

const char *svc_class_name(enum svc_class class)
{
	static const char *const names[SVC_CLASS_MAX] = {"cold", "thawed", "predicted", "warm"};

	return class < SVC_CLASS_MAX ? names[class] : "?";
}
