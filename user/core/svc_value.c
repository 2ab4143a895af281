// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* svc_value.c - what it is worth to hold an instance, and how long to leave it running. */
#include "core/svc_impl.h"

static const uint64_t freeze_min_ns = 10000000; /* no learnt window is shorter */
static const double freeze_pair_s = 200e-6;	/* CPU and delay of a freeze and a thaw, doubled */
static const double freeze_gain = 1e-4;		/* what being frozen is worth if it uses no CPU */
static const uint64_t freeze_horizon_ns = 10000000000;

bool one_is_idle(const struct one *v)
{
	return v->connection_n == 0 && !v->waiting_ns;
}

uint64_t one_idle_age(const struct one *v, uint64_t now_ns)
{
	return since(now_ns, v->idle_since_ns ? v->idle_since_ns : v->added_ns);
}

double one_saving_s(const struct one *v)
{
	double s = (v->habit.cold_ns - v->habit.thaw_ns) / 1e9;

	return s > 1e-6 ? s : 1e-6;
}

double one_memory_mb(const struct one *v)
{
	double mb = v->habit.memory_bytes / 1048576;

	return mb > 0.1 ? mb : 0.1;
}

double svc_spare(const struct svc *s)
{
	return s->pressure < 0.99 ? 1 - s->pressure : 0.01;
}

double svc_price(const struct svc *s)
{
	return s->limits.price / svc_spare(s);
}

static double guess_value(const struct one *v, uint64_t now_ns)
{
	double held_s = (double)since(v->guess_until_ns, now_ns) / 1e9;

	return v->guess_p * one_saving_s(v) / (one_memory_mb(v) * (held_s > 1e-3 ? held_s : 1e-3));
}

double one_habit_value(const struct one *v, uint64_t now_ns)
{
	return gaps_best_rate(&v->habit.idle, one_idle_age(v, now_ns)) * 1e9 * one_saving_s(v) /
	       one_memory_mb(v);
}

/* Of holding an idle instance from now on. */
double one_value(const struct one *v, uint64_t now_ns)
{
	double value = one_habit_value(v, now_ns), guessed;

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

void one_learn_window(struct one *v)
{
	v->window_ns = v->c.freeze_after_ns != SVC_NEVER
			       ? v->c.freeze_after_ns
			       : svc_freeze_window_ns(&v->habit.idle, v->idle_cpu);
	if (v->c.freeze_after_ns == SVC_NEVER && v->c.freeze_max_ns)
		v->window_ns = min_u64(v->window_ns, v->c.freeze_max_ns);
}
