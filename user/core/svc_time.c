// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* svc_time.c - what time alone brings about, who is started next, and who has to make room. */
#include "core/svc_impl.h"

#include <assert.h>
#include <math.h>

static const double habit_hysteresis = 1.5;
static const uint64_t freeze_confirm_ns = 1000000000; /* a member may sit in the kernel */
static const uint64_t freeze_retry_ns = 60000000000;

/* --- time ---------------------------------------------------------------------------------------- */

static uint64_t tick_guess(struct one *v, uint64_t now_ns)
{
	if (!v->guess)
		return SVC_NEVER;
	if (now_ns >= v->guess_until_ns) {
		one_guess_end(v, now_ns, v->guess_did ? SVC_GUESS_WASTED : SVC_GUESS_DROPPED);
		return SVC_NEVER;
	}
	return now_ns < v->guess_act_ns ? v->guess_act_ns : v->guess_until_ns;
}

static uint64_t next_edge(const struct one *v, uint64_t now_ns)
{
	uint64_t edge = gaps_next_edge_ns(max_u64(one_idle_age(v, now_ns), check_min_ns));

	return edge == UINT64_MAX ? SVC_NEVER : later(now_ns, since(edge, one_idle_age(v, now_ns)));
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
		v->want = one_habit_value(v, now_ns) >= habit_hysteresis * svc_price(s);
		v->want_why = SVC_WHY_HABIT;
	}
	return min_u64(next, next_edge(v, now_ns));
}

static uint64_t tick_running(struct one *v, uint64_t now_ns)
{
	uint64_t next = tick_guess(v, now_ns);

	if (now_ns >= v->next_check_ns) {
		one_say(v, SVC_DO_CHECK);
		v->next_check_ns = later(now_ns, check_max_ns); /* again if no answer comes */
	}
	return min_u64(next, v->next_check_ns);
}

static uint64_t tick_frozen(struct svc *s, struct one *v, uint64_t now_ns)
{
	uint64_t next = tick_guess(v, now_ns), age = one_idle_age(v, now_ns), last;
	bool fixed = v->c.release_after_ns != SVC_NEVER;

	if (v->guess && now_ns >= v->guess_act_ns && v->guess_p >= s->limits.p_thaw_min) {
		v->guess_did = true;
		one_thaw(v, now_ns, SVC_READY, SVC_WHY_GUESS);
		return v->next_check_ns;
	}
	if (v->for_room) {
		one_release(v, now_ns, SVC_WHY_ROOM);
		return later(now_ns, v->c.timeout_stop_ns);
	}
	if (!v->c.release || v->guess)
		return next;
	last = fixed ? v->c.release_after_ns : v->c.release_max_ns;
	if ((last && age >= last) || (!fixed && one_value(v, now_ns) < svc_price(s))) {
		one_release(v, now_ns, s->pressure > 0.5 ? SVC_WHY_PRESSURE : SVC_WHY_IDLE);
		return later(now_ns, v->c.timeout_stop_ns);
	}
	if (!fixed)
		next = min_u64(next, next_edge(v, now_ns));
	return last ? min_u64(next, later(now_ns, since(last, age))) : next;
}

/* Moves that time alone brings about; sets when to look again, and what to poll meanwhile. */
void one_tick(struct svc *s, struct one *v, uint64_t now_ns)
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
			one_failed(v, now_ns);
			one_release(v, now_ns, SVC_WHY_TIMEOUT);
			next = later(now_ns, v->c.timeout_stop_ns);
		} else if (now_ns < v->spare_until_ns) {
			next = min_u64(next, v->spare_until_ns);
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
			one_thaw(v, now_ns, SVC_READY, SVC_WHY_GUESS);
			next = v->next_check_ns;
		} else if (now_ns >= next) {
			v->no_freeze_ns = later(now_ns, freeze_retry_ns);
			one_thaw(v, now_ns, SVC_ACTIVE, SVC_WHY_TIMEOUT);
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
				one_say(v, SVC_DO_KILL);
			v->kill_said = true;
			next = SVC_NEVER;
		} else if (since(now_ns, v->since_ns) < SVC_LEAVE_NS) {
			next = min_u64(next, later(v->since_ns, SVC_LEAVE_NS));
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

bool one_is_candidate(const struct svc *s, const struct one *v, uint64_t now_ns)
{
	return v->used && !v->retired && state_of(v) == SVC_COLD && now_ns >= v->hold_ns &&
	       (v->waiting_ns || v->want ||
		(v->guess && v->c.prestart && now_ns >= v->guess_act_ns &&
		 v->guess_p * svc_spare(s) >= s->limits.p_start_min));
}

/* Who is next: those with someone waiting in fair order, then the most valuable of the rest. */
static struct one *pick(struct svc *s, uint64_t now_ns, double *ret_value)
{
	struct one *best = NULL;
	double best_value = 0;

	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];
		double value;

		if (!one_is_candidate(s, v, now_ns))
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
		value = v->want && v->want_why == SVC_WHY_RESTART ? HUGE_VAL : one_value(v, now_ns);
		if (value >= svc_price(s) && (!best || value > best_value)) {
			best = v;
			best_value = value;
		}
	}
	*ret_value = best && best->waiting_ns ? HUGE_VAL : best_value;
	return best;
}

/* What has just served, or is about to be ready, is not given up for a mere guess. */
static bool may_give_up(const struct one *v, uint64_t now_ns, bool for_connection)
{
	if (!v->used || !v->c.release || v->for_room || !one_is_idle(v))
		return false;
	switch (state_of(v)) {
	case SVC_FROZEN:
		return true;
	case SVC_READY:
	case SVC_ACTIVE: /* it is frozen first, so that nobody is cut off */
		return for_connection && (!v->c.freeze || now_ns >= v->no_freeze_ns);
	case SVC_STARTING: /* one that was adopted may be ready long since */
		return for_connection && !v->adopted_until_ns && now_ns >= v->spare_until_ns;
	default:
		return false;
	}
}

/* The least valuable instance that may be given up for something worth value; NULL: none. */
static struct one *victim(struct svc *s, uint64_t now_ns, double value, bool starting)
{
	struct one *worst = NULL;
	double worst_value = value / 2;

	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];
		double its;

		if (!may_give_up(v, now_ns, value == HUGE_VAL) ||
		    (starting && state_of(v) != SVC_STARTING))
			continue;
		its = one_value(v, now_ns);
		if (its < worst_value) {
			worst = v;
			worst_value = its;
		}
	}
	return worst;
}

static bool is_leaving(const struct one *v, uint64_t now_ns)
{
	return (state_of(v) == SVC_RELEASING && since(now_ns, v->since_ns) < SVC_LEAVE_NS) ||
	       (v->for_room && since(now_ns, v->room_ns) < SVC_LEAVE_NS);
}

struct svc_used svc_used(const struct svc *s, uint64_t now_ns)
{
	struct svc_used u = {0};

	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		const struct one *v = &s->ones[i];
		enum svc_state at = state_of(v);

		u.waiting_n += one_is_candidate(s, v, now_ns) && v->waiting_ns;
		if (!v->used || at == SVC_COLD)
			continue;
		u.run_n++;
		u.bytes += v->habit.memory_bytes;
		u.start_n +=
			at == SVC_STARTING || (at == SVC_RELEASING && v->end == SVC_END_STARTING);
		u.leaving_n += is_leaving(v, now_ns);
	}
	return u;
}

/* One place is left to whoever connects next: a start for a mere guess would keep it waiting for all of
 * its own time. */
static bool may_start(const struct svc *s, const struct one *v, uint32_t start_n)
{
	uint32_t max = s->limits.start_max;

	return start_n < (v->waiting_ns || max == 1 ? max : max - 1);
}

/* It goes at once, or after a last look: nobody may be cut off. */
static void make_room(struct svc *s, struct one *out, uint64_t now_ns)
{
	one_give_room(out, now_ns);
	if (state_of(out) == SVC_FROZEN || state_of(out) == SVC_STARTING) {
		one_release(out, now_ns, SVC_WHY_ROOM);
	} else {
		one_guess_end(out, now_ns, out->guess_did ? SVC_GUESS_WASTED : SVC_GUESS_DROPPED);
		out->next_check_ns = now_ns; /* look, freeze, look again, then give up */
	}
	one_tick(s, out, now_ns);
}

/* All are busy and somebody waits: whoever ends is to be seen soon. */
static void look_sooner(struct svc *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];

		if (!v->used || (state_of(v) != SVC_READY && state_of(v) != SVC_ACTIVE))
			continue;
		v->next_check_ns = min_u64(v->next_check_ns, later(now_ns, queue_check_ns));
		v->timer_ns = min_u64(v->timer_ns, v->next_check_ns);
	}
}

void svc_schedule(struct svc *s, uint64_t now_ns)
{
	for (;;) {
		struct svc_used u = svc_used(s, now_ns);
		double value;
		struct one *v = pick(s, now_ns, &value), *out;
		bool may, room;

		if (!v)
			return;
		may = may_start(s, v, u.start_n);
		/* The only instance may be larger than the limit: better that than never. */
		room = u.run_n < s->limits.run_max &&
		       (u.run_n == 0 ||
			u.bytes + v->habit.memory_bytes <= (double)s->limits.memory_max_bytes);
		if (may && room) {
			one_start(s, v, now_ns,
				  v->waiting_ns ? SVC_WHY_CONNECTION
				  : v->want	? v->want_why
						: SVC_WHY_GUESS);
			one_tick(s, v, now_ns);
			continue;
		}
		if ((!may && !v->waiting_ns) || u.leaving_n >= (v->waiting_ns ? u.waiting_n : 1))
			return;
		out = victim(s, now_ns, value, !may);
		if (!out) {
			if (v->waiting_ns && !room)
				look_sooner(s, now_ns);
			return;
		}
		make_room(s, out, now_ns);
	}
}

/* One at a time, the least valuable first, while the host is short of memory: what one that goes gives
 * back is seen before the next has to. */
void svc_relieve(struct svc *s, uint64_t now_ns)
{
	struct one *worst = NULL;
	double worst_value = HUGE_VAL;

	if (svc_used(s, now_ns).leaving_n)
		return;
	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];

		if (!v->used || !v->c.release || state_of(v) != SVC_FROZEN || v->waiting_ns)
			continue;
		if (one_value(v, now_ns) < worst_value) {
			worst = v;
			worst_value = one_value(v, now_ns);
		}
	}
	if (worst) {
		one_release(worst, now_ns, SVC_WHY_PRESSURE);
		one_tick(s, worst, now_ns);
	}
}
