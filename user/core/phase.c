// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * phase.c - a phase is a run in the lineage whose process never was: so its needs are touched, counted
 * and forgotten as those of a program, and its guesses expire and are scored alike.
 */
#include "core/phase.h"

#include "base/err.h"
#include "core/engine_state.h"

#include <stdio.h>

enum { QUIET_NEEDS = 256 };

static struct phase *phase_free(struct phases *ph)
{
	for (size_t i = 0; i < PHASE_MAX; i++)
		if (!ph->phase[i].end_ns)
			return &ph->phase[i];
	return NULL;
}

static int phase_run(struct engine *e, const char *name, uint32_t uid, uint32_t pid, uint64_t ts_ns,
		     uint32_t *ret_run)
{
	const struct obs o = {.ts_ns = ts_ns, .uid = uid == PHASE_ANYONE ? 0 : uid};
	uint32_t features[VOMM_FEATURE_MAX] = {0}, block, run, ended;
	struct run *rn;
	int r = engine_intern(e, NODE_BLOCK, name, &o, &block);

	if (r)
		return r;
	run = lineage_exec(e->lineage, pid, 0, ts_ns, &ended);
	if (ended != RUN_NONE)
		engine_run_gone(e, ended);
	rn = lineage_run(e->lineage, run);
	engine_run_is(e, rn, block, block);
	rn->uid = uid;
	rn->hope = ++e->hope_n;
	rn->block_run = rn->program_run = ++graph_node(e->graph, block)->runs_n;
	needs_count_run(e, block);
	vomm_stream_init(&rn->stream, features);
	*ret_run = run;
	return 0;
}

static void phase_end(struct engine *e, uint32_t pid)
{
	uint32_t ended;

	lineage_exit(e->lineage, pid, &ended);
	if (ended != RUN_NONE)
		engine_run_gone(e, ended);
}

static int phase_begin(struct engine *e, const char *name, uint32_t uid, uint64_t ts_ns)
{
	struct phases *ph = &e->phases;
	struct phase *p = phase_free(ph);
	uint32_t run;
	int r;

	if (!ph->window_ns || !p)
		return 0;
	r = phase_run(e, name, uid, PHASE_PID(p - ph->phase), ts_ns, &run);
	if (r)
		return r;
	*p = (struct phase){.uid = uid, .end_ns = ts_ns + ph->window_ns};
	ph->open_n++;
	predict_from(e, run);
	return 0;
}

int engine_boot(struct engine *e, uint64_t now_ns)
{
	int r;

	if (now_ns > e->now_ns)
		e->now_ns = now_ns;
	r = phase_begin(e, "boot", PHASE_ANYONE, now_ns);
	return r < 0 ? r : 0;
}

void engine_phases(struct engine *e, uint64_t window_ns, bool logins)
{
	e->phases.window_ns = window_ns;
	e->phases.logins = logins;
}

static bool logs_in(uint32_t uid)
{
	return uid >= PHASE_UID_MIN && uid != 65534 && uid != UINT32_MAX;
}

void phase_enter(struct engine *e, const struct obs *o, uint32_t uid)
{
	struct phases *ph = &e->phases;
	char name[32];
	size_t at = PHASE_USERS;

	if (!ph->logins || !logs_in(uid))
		return;
	for (size_t i = 0; i < PHASE_USERS; i++) {
		if (ph->users[i].runs_n && ph->users[i].uid == uid) {
			ph->users[i].runs_n++;
			return;
		}
		if (!ph->users[i].runs_n && at == PHASE_USERS)
			at = i;
	}
	if (at == PHASE_USERS)
		return;
	ph->users[at].uid = uid;
	ph->users[at].runs_n = 1;
	if (o->flags & OBS_F_SEED) /* logged in before we came */
		return;
	for (size_t i = 0; i < PHASE_MAX; i++)
		if (ph->phase[i].end_ns && ph->phase[i].uid == uid)
			return; /* the same login still, or jobs of cron in a row */
	snprintf(name, sizeof(name), "login:%u", uid);
	(void)phase_begin(e, name, uid, o->ts_ns); /* a full graph: counted there */
}

void phase_leave(struct engine *e, uint32_t uid)
{
	struct phases *ph = &e->phases;

	if (!ph->logins || !logs_in(uid))
		return;
	for (size_t i = 0; i < PHASE_USERS; i++)
		if (ph->users[i].runs_n && ph->users[i].uid == uid) {
			ph->users[i].runs_n--;
			return;
		}
}

/* Is dep, needed by o, news to the phase whose run this is? What was only asked about and is opened now is. */
static bool is_news(const struct engine *e, const struct phase *p, uint32_t run, uint32_t dep,
		    const struct obs *o)
{
	const struct edge *known =
		graph_edge_find(e->graph, lineage_run(e->lineage, run)->block, dep, EDGE_BELOW);
	bool asked = known && known->flags & EDGE_F_LOOKUP;
	bool touched = lineage_touched(e->lineage, run, dep);

	if (o->flags & OBS_F_LOOKUP)
		return !touched && (!known || asked) && p->looked_n < PHASE_LOOKED;
	return (!touched || asked) && p->needs_n < PHASE_NEEDS;
}

int phase_need(struct engine *e, uint32_t dep, const struct obs *o)
{
	struct phases *ph = &e->phases;
	int r = 0;

	for (size_t i = 0; i < PHASE_MAX && ph->open_n && r >= 0; i++) {
		struct phase *p = &ph->phase[i];
		uint32_t run;

		if (!p->end_ns || o->ts_ns > p->end_ns ||
		    (p->uid != PHASE_ANYONE && p->uid != o->uid))
			continue;
		run = lineage_run_of(e->lineage, PHASE_PID(i));
		if (run == RUN_NONE || !is_news(e, p, run, dep, o))
			continue;
		if (o->flags & OBS_F_LOOKUP)
			p->looked_n++;
		else
			p->needs_n++;
		r = needs_take_phase(e, run, dep, o);
	}
	return r;
}

int phase_quiet(struct engine *e, uint32_t block, const struct obs *o)
{
	const struct node *n = graph_node_const(e->graph, block);
	const struct edge *edge;
	uint32_t deps[QUIET_NEEDS], deps_n = 0, it = 0;
	int r = 0;

	while (n && deps_n < QUIET_NEEDS && graph_next_out(e->graph, block, &it, &edge))
		if (edge->kind == EDGE_OPEN && !(edge->flags & (EDGE_F_WRITE | EDGE_F_LOOKUP)) &&
		    edge_chance(e, edge, n->runs_n + 1) >= 0.5)
			deps[deps_n++] = edge->to;
	for (uint32_t i = 0; i < deps_n && r >= 0; i++)
		if (graph_node_const(e->graph, deps[i]))
			r = phase_need(e, deps[i], o);
	return r;
}

void phase_tick(struct engine *e, uint64_t now_ns)
{
	struct phases *ph = &e->phases;

	for (size_t i = 0; i < PHASE_MAX && ph->open_n; i++) {
		if (!ph->phase[i].end_ns || now_ns <= ph->phase[i].end_ns)
			continue;
		ph->phase[i].end_ns = 0;
		ph->open_n--;
		phase_end(e, PHASE_PID(i));
	}
}
