// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* serve_view.c - services as JSON. */
#include "daemon/serve_view.h"

#include "api/put.h"

static json_t *view_class(const struct svc_figures *f, enum svc_class class)
{
	json_t *o = json_object();

	put_n(o, "n", f->class_n[class]);
	if (f->class_n[class]) {
		put_n(o, "p50_ns", sketch_quantile(&f->class_delay[class], 0.5));
		put_n(o, "p99_ns", sketch_quantile(&f->class_delay[class], 0.99));
	}
	return o;
}

static json_t *view_guesses(const struct svc_figures *f)
{
	json_t *o = json_object();

	put_n(o, "n", f->guess_n);
	put_n(o, "hit", f->guess_outcome_n[SVC_GUESS_HIT]);
	put_n(o, "late", f->guess_outcome_n[SVC_GUESS_LATE]);
	put_n(o, "wasted", f->guess_outcome_n[SVC_GUESS_WASTED]);
	put_n(o, "dropped", f->guess_outcome_n[SVC_GUESS_DROPPED]);
	return o;
}

json_t *serve_view(const struct service_view *v)
{
	const struct svc_view *s = &v->svc;
	const struct svc_figures *f = &s->figures;
	json_t *o = put_new("service"), *found = json_object();

	put_text(o, "name", v->name);
	if (v->description)
		put_text(o, "description", v->description);
	put_text(o, "listens", v->listens);
	put_text(o, "state", svc_state_name(s->state));
	(void)json_object_set_new(o, "resting", json_boolean(s->resting));
	put_text(o, "why", svc_why_name(s->why));
	put_known(o, "state_ns", v->state_ns);
	put_known(o, "idle_ns", v->idle_ns);
	put_n(o, "connections_n", s->connection_n);
	put_bool(o, "waiting", s->waiting);
	put_bool(o, "queued", s->queued);
	if (s->guessed) {
		put_real(o, "guess_p", s->guess_p);
		put_known(o, "guess_lead_ns", s->guess_lead_ns);
	}
	put_known(o, "lead_ns", s->lead_ns);
	if (v->trouble)
		put_text(o, "trouble", v->trouble);
	put_known(o, "hold_ns", v->hold_ns);
	put_n(o, "fail_row_n", s->fail_row_n);
	put_real(o, "value", s->value);
	put_known(o, "freeze_after_ns", s->freeze_after_ns);
	if (s->memory_known)
		put_n(o, "memory_bytes", (uint64_t)s->memory_bytes);
	if (s->cold_known)
		put_n(o, "cold_ns", (uint64_t)s->cold_ns);
	put_n(o, "thaw_ns", (uint64_t)s->thaw_ns);
	for (int c = 0; c < SVC_CLASS_MAX; c++)
		put_object(found, svc_class_name((enum svc_class)c),
			   view_class(f, (enum svc_class)c));
	put_object(o, "found", found);
	put_object(o, "guesses", view_guesses(f));
	put_n(o, "start_n", f->start_n);
	put_n(o, "fail_n", f->fail_n);
	put_n(o, "freeze_n", f->freeze_n);
	put_n(o, "rest_n", f->rest_n);
	put_n(o, "thaw_n", f->thaw_n);
	put_n(o, "release_n", f->release_n);
	put_n(o, "evict_n", f->evict_n);
	put_real(o, "held_mbs", f->held_mbs);
	put_real(o, "wasted_mbs", f->wasted_mbs);
	return o;
}

json_t *serve_view_moves(const struct service_view *v)
{
	json_t *all = json_array();

	for (size_t i = 0; i < v->move_n; i++) {
		const struct svc_move *m = &v->moves[i];
		json_t *o = json_object();

		put_n(o, "age_ns", m->at_ns);
		put_text(o, "to", svc_state_name(m->to));
		put_text(o, "why", svc_why_name(m->why));
		if (m->to == SVC_FROZEN)
			put_bool(o, "resting", m->resting);
		if (m->why == SVC_WHY_GUESS) {
			put_real(o, "p", m->p);
			put_n(o, "lead_ns", m->lead_ns);
		}
		(void)json_array_append_new(all, o); /* without memory it is missing */
	}
	return all;
}
