// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* svc_moves.c - what every event means in every state: the table is at the end. */
#include "core/svc_impl.h"

enum {
	FAIL_ROW_MAX = 24, /* the hold is at its maximum long before */
	SHORT_ROW_MAX = 3, /* clean exits at once, one after the other, with somebody waiting */
};

static const uint64_t short_run_ns = 1000000000;
static const uint64_t guess_slack_ns = 500000000, guess_max_ns = 600000000000;
static const uint64_t left_ns = 1000000000;	/* several wake-ups of a busy host */
static const uint64_t spare_ns = 5000000;	/* until a start is asked again to make room */
static const uint64_t thaw_ahead_ns = 50000000; /* several wake-ups of a busy host */

void one_say(struct one *v, enum svc_action_kind what)
{
	if (what == SVC_DO_THAW)
		v->act_mask &= ~(1u << SVC_DO_FREEZE);
	if (what == SVC_DO_FREEZE)
		v->act_mask &= ~(1u << SVC_DO_THAW | 1u << SVC_DO_CHECK);
	if (what == SVC_DO_RELEASE)
		v->act_mask = 0;
	v->act_mask |= 1u << what;
}

/* --- what is counted ----------------------------------------------------------------------------- */

void one_hold_begin(struct one *v, uint64_t now_ns)
{
	if (!v->held_ns)
		v->held_ns = now_ns;
}

static void one_hold_end(struct one *v, uint64_t now_ns, bool wasted)
{
	double mbs;

	if (!v->held_ns)
		return;
	mbs = one_memory_mb(v) * (double)since(now_ns, v->held_ns) / 1e9;
	v->f.held_mbs += mbs;
	if (wasted)
		v->f.wasted_mbs += mbs;
	v->held_ns = 0;
}

void one_guess_end(struct one *v, uint64_t now_ns, enum svc_outcome outcome)
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
		one_learn_window(v);
	}
	v->idle_since_ns = 0;
	v->last_ns = max_u64(v->last_ns, at_ns);
}

/* 0: could not be told. What was assumed has no part in it. */
static void learn_memory(struct one *v, uint64_t bytes)
{
	if (bytes && v->memory_known)
		one_blend(&v->habit.memory_bytes, (double)bytes);
	else if (bytes)
		v->habit.memory_bytes = (double)bytes;
	v->memory_known = v->memory_known || bytes;
}

static void served(struct one *v, enum svc_class class, uint64_t delay_ns)
{
	v->f.class_n[class]++;
	sketch_add(&v->f.class_delay[class], delay_ns);
}

/* --- moves ------------------------------------------------------------------------------------- */

/* When to look for the first time. While a guess stands there is nothing to decide, and the look would
 * take a processor just when the client comes. */
static uint64_t first_check_ns(const struct one *v, uint64_t now_ns, enum svc_state to)
{
	uint64_t wait =
		to == SVC_READY && v->guess ? since(v->guess_until_ns, now_ns) : v->window_ns;

	return later(now_ns, max_u64(check_min_ns, min_u64(wait, check_max_ns)));
}

static void remember(struct one *v, uint64_t now_ns, enum svc_state to, enum svc_why why)
{
	struct svc_move *last = &v->moves[(v->move_n + SVC_MOVE_MAX - 1) % SVC_MOVE_MAX];
	bool arrived = v->move_n && ((last->to == SVC_FREEZING && to == SVC_FROZEN) ||
				     (last->to == SVC_RELEASING && to == SVC_COLD));
	bool guess = why == SVC_WHY_GUESS && v->guess;

	if (!arrived)
		last = &v->moves[v->move_n++ % SVC_MOVE_MAX];
	*last = (struct svc_move){.at_ns = now_ns,
				  .to = to,
				  .why = why,
				  .resting = v->resting,
				  .p = guess ? v->guess_p : 0,
				  .lead_ns = guess ? v->guess_lead_ns : 0};
}

static void enter(struct one *v, uint64_t now_ns, enum svc_state to, enum svc_why why)
{
	sm_move(&v->sm, v, to);
	remember(v, now_ns, to, why);
	v->since_ns = now_ns;
	v->why = why;
	v->adopted_until_ns = 0;
	if (to == SVC_READY || to == SVC_ACTIVE) {
		v->quiet_since_ns = v->checked_ns = now_ns;
		v->busy_wait_ns = 0;
		v->next_check_ns = first_check_ns(v, now_ns, to);
	}
}

void one_start(struct svc *s, struct one *v, uint64_t now_ns, enum svc_why why)
{
	one_say(v, SVC_DO_START);
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

void one_release(struct one *v, uint64_t now_ns, enum svc_why why)
{
	v->end = state_of(v) == SVC_FROZEN			      ? SVC_END_FROZEN
		 : state_of(v) == SVC_STARTING && why == SVC_WHY_ROOM ? SVC_END_STARTING
								      : SVC_END_RUNNING;
	v->start_ns = v->since_ns;
	v->start_why = v->why;
	v->f.release_n++;
	if (why == SVC_WHY_ROOM || why == SVC_WHY_PRESSURE)
		v->f.evict_n++;
	one_hold_end(v, now_ns, true);
	if (v->end != SVC_END_STARTING) /* else it is not said yet that it goes */
		one_guess_end(v, now_ns, v->guess_did ? SVC_GUESS_WASTED : SVC_GUESS_DROPPED);
	v->connection_n = 0;
	one_say(v, SVC_DO_RELEASE);
	enter(v, now_ns, SVC_RELEASING, why);
}

static void one_freeze(struct one *v, uint64_t now_ns, enum svc_why why)
{
	v->resting = false;
	one_say(v, SVC_DO_FREEZE);
	enter(v, now_ns, SVC_FREEZING, why);
}

void one_thaw(struct one *v, uint64_t now_ns, enum svc_state to, enum svc_why why)
{
	one_say(v, SVC_DO_THAW);
	v->f.thaw_n += !v->resting;
	v->for_room = v->resting = false;
	enter(v, now_ns, to, why);
}

/* Longer after each failure of a row; a minute without one takes one off. */
void one_failed(struct one *v, uint64_t now_ns)
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

static void ignore(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s, (void)v, (void)now_ns, (void)e;
}

static uint64_t at_of(uint64_t now_ns, const struct svc_event *e)
{
	return e->at_ns && e->at_ns < now_ns ? e->at_ns : now_ns;
}

/* The one that the last start left waiting: it is seen as soon as anybody is. */
static bool is_left(const struct one *v, uint64_t at)
{
	return v->waited_ns && since(at, max_u64(v->hold_ns, v->since_ns)) < left_ns;
}

static void waits(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	if (v->waiting_ns)
		return;
	if (is_left(v, at)) {
		v->waiting_ns = v->waited_ns;
		return;
	}
	v->waiting_ns = at;
	v->waited_ns = 0;
	v->counted = false;
	learn_gap(v, at);
}

/* It is there now; that it is taken up shows later. */
static void found(struct one *v, uint64_t since_ns, enum svc_class class, uint64_t delay_ns)
{
	if (!v->counted)
		served(v, class, delay_ns);
	v->found_ns = since_ns;
	v->waited_ns = 0;
	v->counted = false;
}

/* The first connection that READY has waited for. */
static void came(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	if (!is_left(v, at)) {
		v->counted = false;
		learn_gap(v, at);
	}
	found(v, is_left(v, at) ? v->waited_ns : at,
	      v->guess_did ? SVC_CLASS_PREDICTED : SVC_CLASS_WARM, 0);
	one_guess_end(v, at, SVC_GUESS_HIT);
	one_hold_end(v, now_ns, false);
	enter(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
}

static void came_frozen(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	served(v, v->resting ? SVC_CLASS_RESTING : SVC_CLASS_THAWED, since(now_ns, at));
	if (at < now_ns && !v->resting)
		one_blend(&v->habit.thaw_ns, (double)since(now_ns, at));
	one_guess_end(v, at, v->guess_did ? SVC_GUESS_LATE : SVC_GUESS_DROPPED);
	learn_gap(v, at);
	one_hold_end(v, now_ns, false);
	one_thaw(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
}

static void seen_active(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t at = at_of(now_ns, e);

	(void)s;
	if (at <= v->last_ns)
		return; /* the one that the socket told us of */
	served(v, SVC_CLASS_WARM, 0);
	one_guess_end(v, at, SVC_GUESS_HIT);
	learn_gap(v, at);
	one_hold_end(v, now_ns, false);
	/* It may be over before the next look: count the gap from here. */
	v->idle_since_ns = at;
	v->quiet_since_ns = max_u64(v->quiet_since_ns, at);
	v->next_check_ns =
		min_u64(v->next_check_ns, later(now_ns, max_u64(check_min_ns, v->window_ns)));
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
	double spare_s = 0.01 * one_saving_s(v) / (svc_price(s) * one_memory_mb(v));

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
		one_blend(&v->habit.cold_ns, (double)since(now_ns, v->since_ns));
	else
		v->habit.cold_ns = (double)since(now_ns, v->since_ns);
	v->cold_known = true;
	if (v->waiting_ns) {
		found(v, v->waiting_ns, v->guess_did ? SVC_CLASS_PREDICTED : SVC_CLASS_COLD,
		      since(now_ns, v->waiting_ns));
		one_guess_end(v, v->waiting_ns, SVC_GUESS_LATE);
		v->waiting_ns = 0;
		enter(v, now_ns, SVC_ACTIVE, v->why);
	} else {
		one_hold_begin(v, now_ns);
		enter(v, now_ns, SVC_READY, v->why);
	}
}

static void exited_starting(struct svc *s, struct one *v, uint64_t now_ns,
			    const struct svc_event *e)
{
	(void)s, (void)e;
	one_failed(v, now_ns);
	one_release(v, now_ns, SVC_WHY_FAILED);
}

static void exited(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	bool in_vain = e->waiting && since(now_ns, v->since_ns) < short_run_ns, crashed;

	(void)s;
	/* Clean, but somebody still waits: the next one already, or has it accepted nobody? */
	v->short_row_n = in_vain ? v->short_row_n + 1 : 0;
	crashed = !e->clean || v->short_row_n >= SHORT_ROW_MAX;
	if (crashed)
		one_failed(v, now_ns);
	if (crashed && e->waiting && v->found_ns) {
		v->waited_ns = v->found_ns;
		v->counted = true;
	}
	v->found_ns = 0;
	if (e->restart) {
		v->want = true;
		v->want_why = SVC_WHY_RESTART;
	}
	one_release(v, now_ns, crashed ? SVC_WHY_FAILED : SVC_WHY_EXITED);
}

/* What a look at an idle instance leads to. */
static void consider(struct svc *s, struct one *v, uint64_t now_ns)
{
	uint64_t quiet = since(now_ns, v->quiet_since_ns);
	bool room = v->for_room;

	v->for_room = false;
	if (!quiet || !one_is_idle(v) || v->guess)
		return;
	if (v->c.freeze) {
		if (now_ns < v->no_freeze_ns || (quiet < v->window_ns && !room))
			return;
		v->for_room = room;
		one_freeze(v, now_ns, room ? SVC_WHY_ROOM : SVC_WHY_IDLE);
		return;
	}
	if (v->c.release && (room || (v->c.release_after_ns != SVC_NEVER
					      ? one_idle_age(v, now_ns) >= v->c.release_after_ns
					      : one_value(v, now_ns) < svc_price(s))))
		one_release(v, now_ns, room ? SVC_WHY_ROOM : SVC_WHY_IDLE);
}

/* When an idle one can next be frozen or given up. Without an age for that, its value is looked at. */
static uint64_t idle_wait_ns(const struct one *v, uint64_t now_ns)
{
	uint64_t wait = since(v->window_ns, since(now_ns, v->quiet_since_ns));

	if (v->c.freeze)
		wait = max_u64(wait, since(v->no_freeze_ns, now_ns));
	else if (v->c.release && v->c.release_after_ns != SVC_NEVER)
		wait = max_u64(wait, since(v->c.release_after_ns, one_idle_age(v, now_ns)));
	else
		wait = check_max_ns;
	return v->guess ? max_u64(wait, since(v->guess_until_ns, now_ns)) : wait;
}

/* When to look again: when there may be something to do, or, at long connections, more and more rarely. */
static void plan_check(struct one *v, uint64_t now_ns, bool busy)
{
	uint64_t wait = idle_wait_ns(v, now_ns);

	v->busy_wait_ns =
		busy ? min_u64(max_u64(2 * v->busy_wait_ns, check_min_ns), check_max_ns) : 0;
	if (busy)
		wait = max_u64(since(v->window_ns, since(now_ns, v->quiet_since_ns)),
			       v->busy_wait_ns);
	v->next_check_ns = later(now_ns, min_u64(max_u64(wait, check_min_ns), check_max_ns));
}

/* Busy: connections, or more CPU than a timer or two would use. */
static void checked(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	uint64_t span = since(now_ns, v->checked_ns), cpu = since(e->cpu_ns, v->cpu_ns);
	bool worked = cpu > 300000 + span / 100;

	learn_memory(v, e->memory_bytes);
	if (e->connection_n && state_of(v) == SVC_READY) /* it was quicker than the poll */
		came(s, v, now_ns, &(struct svc_event){.at_ns = v->checked_ns + 1});
	if (e->connection_n) {
		if (v->idle_since_ns > v->last_ns)
			learn_gap(v, now_ns);
		v->idle_since_ns = 0;
		one_hold_end(v, now_ns, false);
	} else {
		v->found_ns = 0;
	}
	if (!e->connection_n && !v->idle_since_ns && state_of(v) == SVC_ACTIVE) {
		v->idle_since_ns = max_u64(v->last_ns, v->checked_ns);
		one_hold_begin(v, now_ns);
	}
	if (e->connection_n || worked) {
		v->quiet_since_ns = now_ns;
	} else if (span > 0) {
		one_blend(&v->idle_cpu, (double)cpu / (double)span);
		one_learn_window(v);
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
	v->f.rest_n += e->resting;
	v->resting = e->resting;
	learn_memory(v, e->memory_bytes);
	if (e->connection_n) {
		/* Accepted in the moment before: nobody may be left half served. */
		served(v, SVC_CLASS_WARM, 0);
		learn_gap(v, now_ns);
		one_hold_end(v, now_ns, false);
		one_thaw(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
		v->connection_n = e->connection_n;
		return;
	}
	if (!v->idle_since_ns)
		v->idle_since_ns = v->last_ns;
	one_hold_begin(v, now_ns);
	if (state_of(v) != SVC_FROZEN)
		enter(v, now_ns, SVC_FROZEN, v->why);
}

static void gone(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s, (void)e;
	v->kill_said = v->for_room = false;
	if (v->end == SVC_END_STARTING) {
		one_guess_end(v, now_ns, v->guess_did ? SVC_GUESS_WASTED : SVC_GUESS_DROPPED);
		v->vt -= 100.0 / v->c.weight; /* it had nothing of its turn */
	}
	v->end = SVC_END_RUNNING;
	if (!v->idle_since_ns)
		v->idle_since_ns = v->last_ns;
	enter(v, now_ns, SVC_COLD, v->why);
}

/* Somebody waits for what was to make room for another, or it cannot be told yet: it starts on. */
static void kept_starting(struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	v->f.evict_n--;
	v->kill_said = v->for_room = false;
	v->spare_until_ns = later(now_ns, spare_ns);
	v->watch_said = SVC_WATCH_NONE; /* the sockets are not polled any more */
	enter(v, now_ns, SVC_STARTING, v->start_why);
	v->since_ns = v->start_ns;
	if (e->waiting)
		waits(NULL, v, now_ns, e);
}

/* A connection was quicker than the release. */
static void kept(struct svc *s, struct one *v, uint64_t now_ns, const struct svc_event *e)
{
	(void)s;
	v->f.release_n--;
	if (v->end == SVC_END_STARTING) {
		kept_starting(v, now_ns, e);
		return;
	}
	served(v, v->resting ? SVC_CLASS_RESTING : SVC_CLASS_THAWED, 0);
	learn_gap(v, now_ns);
	v->waiting_ns = 0;
	v->kill_said = v->for_room = v->resting = false;
	enter(v, now_ns, SVC_ACTIVE, SVC_WHY_CONNECTION);
}

const svc_event_fn svc_moves[SVC_STATE_MAX][SVC_EV_MAX] = {
	/*             CONNECTION, OBSERVED, GUESS, READY, EXITED, CHECKED, FROZEN, GONE, KEPT */
	[SVC_COLD] = {waits, ignore, guessed, ignore, ignore, ignore, ignore, ignore, ignore},
	[SVC_STARTING] = {waits, ignore, guessed, became_ready, exited_starting, ignore, ignore,
			  ignore, ignore},
	[SVC_READY] = {came, seen_ready, guessed, ignore, exited, checked, ignore, ignore, ignore},
	[SVC_ACTIVE] = {ignore, seen_active, guessed, ignore, exited, checked, ignore, ignore,
			ignore},
	[SVC_FREEZING] = {came_frozen, ignore, guessed, ignore, exited, ignore, froze, ignore,
			  ignore},
	[SVC_FROZEN] = {came_frozen, ignore, guessed, ignore, exited, ignore, froze, ignore,
			ignore},
	[SVC_RELEASING] = {waits, ignore, guessed, ignore, ignore, ignore, ignore, gone, kept},
};
