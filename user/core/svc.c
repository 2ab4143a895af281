// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * svc.c - what others call. One table (svc_moves.c) says what every event means in every state; timers
 * and the queue (svc_time.c) do the rest.
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
#include "core/svc_impl.h"

#include <assert.h>
#include <stdlib.h>

static const double price_default = 5e-6; /* 100 MB for an hour must save 1.8 s */
static const double p_thaw_default = 0.2; /* a thaw costs about a fifth of what it can save */
/* A start costs about as much CPU as it saves waiting; CPU spent ahead counts a third. */
static const double p_start_default = 0.25;
static const uint64_t memory_default = 16ull << 20, cold_default = 50000000;
static const uint64_t thaw_default = 60000; /* 31-93 us measured with the reply */

static const struct sm_state states[SVC_STATE_MAX] = {
	[SVC_COLD] = {"cold", SM_TO(SVC_STARTING)},
	[SVC_STARTING] = {"starting", SM_TO(SVC_READY) | SM_TO(SVC_ACTIVE) | SM_TO(SVC_RELEASING)},
	[SVC_READY] = {"ready", SM_TO(SVC_ACTIVE) | SM_TO(SVC_FREEZING) | SM_TO(SVC_RELEASING)},
	[SVC_ACTIVE] = {"active", SM_TO(SVC_FREEZING) | SM_TO(SVC_RELEASING)},
	[SVC_FREEZING] = {"freezing", SM_TO(SVC_FROZEN) | SM_TO(SVC_ACTIVE) | SM_TO(SVC_READY) |
					      SM_TO(SVC_RELEASING)},
	[SVC_FROZEN] = {"frozen", SM_TO(SVC_ACTIVE) | SM_TO(SVC_READY) | SM_TO(SVC_RELEASING)},
	[SVC_RELEASING] = {"releasing", SM_TO(SVC_COLD) | SM_TO(SVC_ACTIVE) | SM_TO(SVC_STARTING)},
};

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
		v->cold_known = v->memory_known = true;
	} else {
		v->habit.version = SVC_HABIT_VERSION;
		gaps_init(&v->habit.idle);
		gaps_init(&v->habit.lead);
		v->habit.memory_bytes =
			(double)(c->memory_bytes ? c->memory_bytes : memory_default);
		v->habit.cold_ns = (double)(c->cold_ns ? c->cold_ns : cold_default);
		v->habit.thaw_ns = (double)thaw_default;
	}
	one_learn_window(v);
	one_tick(s, v, now_ns);
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
		one_hold_begin(v, now_ns);
	one_tick(s, v, now_ns);
}

void svc_retire(struct svc *s, uint32_t id, uint64_t now_ns)
{
	struct one *v = &s->ones[id];

	assert(v->used);
	v->retired = true;
	if (state_of(v) != SVC_COLD && state_of(v) != SVC_RELEASING)
		one_release(v, now_ns, SVC_WHY_DROPPED);
	v->waiting_ns = 0;
	one_tick(s, v, now_ns);
}

void svc_event(struct svc *s, uint32_t id, uint64_t now_ns, const struct svc_event *e)
{
	struct one *v = &s->ones[id];

	assert(id < s->limits.service_max && v->used && e->kind < SVC_EV_MAX);
	svc_moves[v->sm.state][e->kind](s, v, now_ns, e);
	one_tick(s, v, now_ns);
	svc_schedule(s, now_ns);
}

void svc_run(struct svc *s, uint64_t now_ns, double pressure)
{
	bool turned = pressure > s->pressure + 0.05 || pressure < s->pressure - 0.05;

	s->pressure = pressure < 0 ? 0 : pressure > 1 ? 1 : pressure;
	for (uint32_t i = 0; i < s->limits.service_max; i++) {
		struct one *v = &s->ones[i];

		if (v->used && (turned || now_ns >= v->timer_ns))
			one_tick(s, v, now_ns);
	}
	if (s->pressure >= 0.9)
		svc_relieve(s, now_ns);
	svc_schedule(s, now_ns);
}

static struct svc_action take(struct one *v, uint32_t id, enum svc_action_kind kind)
{
	v->act_mask &= ~(1u << kind);
	return (struct svc_action){.kind = kind, .id = id, .arg = v->end, .why = v->why};
}

/* Somebody waits for it: nothing that is done for a mere guess may come before. */
static bool next_awaited(struct svc *s, struct svc_action *ret)
{
	for (uint32_t id = 0; id < s->limits.service_max; id++) {
		struct one *v = &s->ones[id];

		if (!v->used || v->why != SVC_WHY_CONNECTION ||
		    !(v->act_mask & (1u << SVC_DO_THAW | 1u << SVC_DO_START)))
			continue;
		*ret = take(v, id, v->act_mask & 1u << SVC_DO_THAW ? SVC_DO_THAW : SVC_DO_START);
		return true;
	}
	return false;
}

bool svc_next(struct svc *s, struct svc_action *ret)
{
	static const enum svc_action_kind order[] = {
		SVC_DO_THAW, SVC_DO_START, SVC_DO_RELEASE, SVC_DO_KILL, SVC_DO_FREEZE, SVC_DO_CHECK,
	};

	if (next_awaited(s, ret))
		return true;
	for (uint32_t n = 0; n < s->limits.service_max; n++) {
		struct one *v = &s->ones[s->cursor];

		for (size_t i = 0; i < ARRAY_SIZE(order) && v->used && v->act_mask; i++) {
			if (!(v->act_mask & (1u << order[i])))
				continue;
			*ret = take(v, s->cursor, order[i]);
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
		.queued = one_is_candidate(s, v, now_ns),
		.guessed = v->guess,
		.resting = state_of(v) == SVC_FROZEN && v->resting,
		.guess_p = v->guess_p,
		.guess_lead_ns = v->guess_lead_ns,
		.lead_ns = gaps_quantile_ns(&v->habit.lead, 0.5),
		.value = state_of(v) == SVC_COLD ? 0 : one_value(v, now_ns),
		.freeze_after_ns = v->c.freeze ? v->window_ns : SVC_NEVER,
		.memory_bytes = v->habit.memory_bytes,
		.cold_ns = v->habit.cold_ns,
		.thaw_ns = v->habit.thaw_ns,
		.cold_known = v->cold_known,
		.memory_known = v->memory_known,
		.figures = v->f,
	};
}

size_t svc_story(const struct svc *s, uint32_t id, struct svc_move ret[SVC_MOVE_MAX])
{
	const struct one *v = &s->ones[id];
	size_t n = v->move_n < SVC_MOVE_MAX ? (size_t)v->move_n : SVC_MOVE_MAX;

	for (size_t i = 0; i < n; i++)
		ret[i] = v->moves[(v->move_n - 1 - i) % SVC_MOVE_MAX];
	return n;
}

void svc_habit(const struct svc *s, uint32_t id, struct svc_habit *ret)
{
	*ret = s->ones[id].habit;
}

bool svc_sound(const struct svc *s)
{
	struct svc_used u = svc_used(s, 0);

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
	static const char *const names[SVC_CLASS_MAX] = {"cold", "thawed", "resting", "predicted",
							 "warm"};

	return class < SVC_CLASS_MAX ? names[class] : "?";
}
