// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * predict_act.c - what is done about the guesses made, and what became of them.
 */
#include "core/predict_impl.h"

/* Guesses looked through when a run ends; what is older expires by its time. */
#define HOPELESS_MAX 4096

static void say(struct engine *e, const struct word *word)
{
	if (e->word_n == WORD_MAX)
		return;
	e->words[(e->word_head + e->word_n) % WORD_MAX] = *word;
	e->word_n++;
}

void action_say(struct engine *e, uint64_t guess_id, enum action_kind kind)
{
	say(e, &(struct word){.id = guess_id, .kind = kind});
}

void action_hurry(struct engine *e, const struct guess *g, uint64_t need_ns)
{
	say(e, &(struct word){.id = g->id,
			      .kind = ACTION_HURRY,
			      .want = (enum want)g->want,
			      .event_ns = g->want == WANT_NOW ? e->now_ns : 0,
			      .need_ns = need_ns});
}

/* Something was read for g, or will be, though it may have been asked for again since. */
static bool has_taken(const struct guess *g)
{
	return g->acted || g->under_way_n || g->bytes_read;
}

static void settle(struct engine *e, struct guess *g, enum outcome outcome)
{
	bool taken = has_taken(g), there = g->resident && !g->under_way_n;
	bool release = taken && g->kind != EDGE_EXEC &&
		       (outcome == OUTCOME_WASTED || (outcome == OUTCOME_DROPPED && !there));
	bool keep = taken &&
		    (outcome == OUTCOME_HIT || outcome == OUTCOME_LATE ||
		     (outcome == OUTCOME_RESIDENT && !there)) &&
		    (g->kind == EDGE_OPEN || g->kind == EDGE_BELOW);

	if (outcome != OUTCOME_HIT)
		g->saved_ns = 0;
	/* That something unlikely did not come says nothing. */
	if (g->kind == EDGE_EXEC && (outcome == OUTCOME_HIT || g->p >= LIKELY))
		credit_outcome(e->credit, g->from, g->via, g->support, outcome == OUTCOME_HIT);
	if (release)
		e->aux[g->dep].resident_ns = 0; /* it is about to go */
	if (g->p_model > 0)			/* a program the model said would run: did it? */
		vomm_feedback(e->model, &(struct vomm_guess){.p_path = g->p_model},
			      outcome == OUTCOME_HIT);
	if (outcome == OUTCOME_WASTED || outcome == OUTCOME_DROPPED)
		plan_risked(e->plan, guess_odds(g), g->risk_bytes, false);
	else if (guess_is_ahead(g)) /* what is under way may turn out to have been there */
		plan_risked(e->plan, guess_odds(g), g->bytes_read, true);
	book_end(e->book, g, outcome, e->now_ns);
	if (g->kind != EDGE_EXEC)
		plan_feedback(e->plan, guess_is_ahead(g), outcome, g->bytes_read);
	if (release || keep)
		action_say(e, g->id, release ? ACTION_CANCEL : ACTION_SETTLE);
}

void predict_resolve(struct engine *e, uint32_t run, uint32_t dep, double known_p)
{
	struct guess *g = book_open_by_dep(e->book, dep);
	struct run *rn = lineage_run(e->lineage, run);

	if (!g) {
		if (graph_node_const(e->graph, dep)->kind == NODE_BLOCK && known_p > 0)
			credit_outcome(e->credit, rn->block, dep, 1, true); /* later than thought */
		rn->missed_n += known_p >= e->policy.p_min && !resident_seen(e, dep) &&
				graph_node_const(e->graph, dep)->kind == NODE_FILE;
		return;
	}
	if (g->kind == EDGE_EXEC) {
		settle(e, g, OUTCOME_HIT);
	} else if (!has_taken(g)) {
		rn->missed_n++;
		settle(e, g, OUTCOME_MISSED);
	} else if (!g->done_ns && !g->saved_ns) {
		rn->late_n++;
		settle(e, g, OUTCOME_LATE);
	} else {
		settle(e, g, g->resident ? OUTCOME_RESIDENT : OUTCOME_HIT);
	}
}

/* What becomes of a guess that nothing came of. */
static enum outcome unneeded(const struct engine *e, const struct guess *g)
{
	/* It may have been asked about all the same. */
	if (g->lookup && !needs_asking_told(e, g->via))
		return OUTCOME_DROPPED;
	return g->bytes_read ? OUTCOME_WASTED : OUTCOME_DROPPED;
}

struct guess *guess_enter(struct engine *e, const struct guess *g)
{
	struct guess *old = book_make_room(e->book);

	if (old)
		settle(e, old, unneeded(e, old));
	return book_open(e->book, g);
}

void predict_forget(struct engine *e, uint32_t dep)
{
	struct guess *g = book_open_by_dep(e->book, dep);

	if (g)
		settle(e, g, unneeded(e, g));
}

/* Ends the guesses of a run that has ended: what starts are left when exec is set, else what those not
 * started would have needed. */
static void hopeless(struct engine *e, const struct run *rn, bool exec)
{
	uint64_t newest = book_newest(e->book);
	struct guess *g = book_open_newest(e->book);

	for (; g && g->id >= rn->hope_first && newest - g->id < HOPELESS_MAX;
	     g = book_open_older(e->book, g)) {
		const struct guess *start;

		if (g->hope != rn->hope || (g->kind == EDGE_EXEC) != exec)
			continue;
		start = book_open_by_dep(e->book, g->via);
		if (start && start->hope == rn->hope)
			settle(e, g, unneeded(e, g));
	}
}

/* What was started, and has not needed all it was thought to, has its time. */
void predict_hopeless(struct engine *e, uint32_t run)
{
	const struct run *rn = lineage_run(e->lineage, run);

	if (!rn->hope_first)
		return;
	hopeless(e, rn, false);
	hopeless(e, rn, true);
}

int engine_tick(struct engine *e, uint64_t now_ns, const struct pressure *p,
		const struct pause *pause)
{
	struct guess *g;

	(void)predict_rest(e);
	if (now_ns > e->now_ns)
		e->now_ns = now_ns;
	plan_tick(e->plan, e->now_ns, p);
	phase_tick(e, e->now_ns);
	while ((g = book_expired(e->book, e->now_ns)) != NULL) {
		settle(e, g, unneeded(e, g));
		if (pause_wanted(pause))
			return ENGINE_MORE;
	}
	return 0;
}

/* The guess that waits until then; NULL: it has ended, or was queued for a better reason. */
static struct guess *guess_due(struct engine *e, uint64_t due_ns, uint64_t id)
{
	struct guess *g = book_open_by_id(e->book, id);

	return g && !g->acted && g->due_ns == due_ns && graph_node_const(e->graph, g->dep) ? g
											   : NULL;
}

uint64_t engine_due_ns(struct engine *e)
{
	uint64_t due_ns, id;

	while (heap_peek(&e->later, &due_ns, &id)) {
		if (guess_due(e, due_ns, id))
			return due_ns;
		(void)heap_pop(&e->later, &due_ns, &id);
	}
	return 0;
}

static void queue_due(struct engine *e)
{
	uint64_t due_ns, id;

	while (heap_peek(&e->later, &due_ns, &id) && due_ns <= e->now_ns) {
		struct guess *g = guess_due(e, due_ns, id);

		(void)heap_pop(&e->later, &due_ns, &id);
		if (!g)
			continue;
		g->due_ns = 0;
		g->queued_ns = e->now_ns;
		guess_queue(e, g, graph_node_const(e->graph, g->dep), g->made_ns + g->lead_ns);
	}
}

/* Until it is thought to be needed. */
static uint64_t left_ns(const struct engine *e, const struct guess *g)
{
	uint64_t need_ns = g->made_ns + g->lead_ns;

	return need_ns > e->now_ns ? need_ns - e->now_ns : 0;
}

static bool plan_item(void *ctx, uint64_t id, struct plan_item *ret)
{
	struct engine *e = ctx;
	struct guess *g = book_open_by_id(e->book, id);
	const struct node *dep = g ? graph_node_const(e->graph, g->dep) : NULL;

	if (!dep || g->acted)
		return false;
	(void)guess_wanted(g,
			   guess_want(g, left_ns(e, g))); /* what it counts as until its result */
	*ret = (struct plan_item){.bytes = guess_bytes(e, g, dep),
				  .late_ns = g->deadline_ns,
				  .value_us = g->value_us,
				  .price_us = g->price_us,
				  .odds = guess_odds(g),
				  .now = g->want == WANT_NOW,
				  .at_risk_bytes = book_at_risk(e->book) - g->risk_bytes};
	/* As plan_pop() is about to judge. */
	g->decision = g->deadline_ns < e->now_ns  ? DECISION_LATE
		      : !plan_dares(e->plan, ret) ? DECISION_UNTRUSTED
		      : plan_worth(e->plan, guess_odds(g), g->value_us, g->price_us)
			      ? DECISION_WAITS
			      : DECISION_UNWORTHY;
	return true;
}

static bool next_action(struct engine *e, struct action *ret)
{
	const struct node *dep;
	struct guess *g;
	uint64_t id;
	bool lookup;

	if (e->word_n) {
		const struct word *said = &e->words[e->word_head];

		*ret = (struct action){.kind = said->kind,
				       .guess_id = said->id,
				       .event_ns = said->event_ns,
				       .need_ns = said->need_ns,
				       .priority = said->want};
		e->word_head = (e->word_head + 1) % WORD_MAX;
		e->word_n--;
		return true;
	}
	queue_due(e);
	if (!plan_pop(e->plan, e->now_ns, plan_item, e, &id))
		return false;
	g = book_open_by_id(e->book, id);
	dep = graph_node_const(e->graph, g->dep);
	lookup = g->lookup || (dep->flags & (NODE_F_ABSENT | NODE_F_DIR));
	g->acted = 1;
	g->under_way_n++;
	g->decision = DECISION_ACTED;
	g->acted_ns = e->now_ns;
	*ret = (struct action){
		.kind = dep->kind == NODE_SERVICE ? ACTION_PRESTART
			: lookup		  ? ACTION_LOOKUP
						  : ACTION_WARM,
		.list = !g->lookup && (dep->flags & NODE_F_DIR) && !(dep->flags & NODE_F_ABSENT),
		.sweep = g->sweep && (dep->flags & NODE_F_DIR) && !(dep->flags & NODE_F_ABSENT),
		.guess_id = g->id,
		.priority = (enum want)g->want,
		.event_ns = guess_is_ahead(g) ? 0 : g->queued_ns,
		.block = g->via,
		.dep = g->dep,
		.name = dep->name,
		.p = g->p,
		.bytes = guess_bytes(e, g, dep),
		.deadline_ns = g->deadline_ns,
		.lead_ns = left_ns(e, g),
		.need_ns = g->made_ns + g->lead_ns,
		.uid = g->uid,
		.pid = g->from_pid,
		.ranges = e->ranges};
	if (guess_is_ahead(g))
		book_risk(e->book, g, g->bytes_read + ret->bytes);
	if (ret->kind == ACTION_WARM)
		ret->range_n = guess_ranges(e, g);
	return true;
}

/* What has started waits for what it needs already; what comes after it is guessed while that is read. */
bool engine_next_action(struct engine *e, struct action *ret)
{
	while (!next_action(e, ret))
		if (!predict_rest(e))
			return false;
	return true;
}

/* What g is about was in memory then. */
static void seen_there(struct engine *e, const struct guess *g, uint64_t done_ns)
{
	struct node_aux *a = &e->aux[g->dep];
	uint64_t *until = g->lookup ? &a->looked_ns : &a->resident_ns;

	if (g->lookup)
		a->looked_left_n = e->left_n;
	else
		resident_for_guess(e, g);
	if (done_ns + e->policy.recheck_ns > *until)
		*until = done_ns + e->policy.recheck_ns;
}

/* Of what a program needs right after its start most is needed before it can be told that it is there. It is so all
 * the same, and at the next start need not be looked at again; but for what is given back. */
static void came_true_seen(struct engine *e, const struct action_result *r)
{
	const struct guess *g = book_ended_by_id(e->book, r->guess_id);
	const struct node *dep = g ? graph_node_const(e->graph, g->dep) : NULL;

	if (!dep || dep->kind != NODE_FILE || dep->first_ns > engine_wall(e, g->made_ns) ||
	    g->outcome == OUTCOME_WASTED || g->outcome == OUTCOME_DROPPED)
		return;
	seen_there(e, g, r->done_ns);
}

int engine_result(struct engine *e, const struct action_result *r)
{
	struct guess *g = book_open_by_id(e->book, r->guess_id);
	const struct node *dep;
	bool wasted, ahead;
	uint32_t block = 0;

	plan_learn(e->plan, r->now, r->bytes_planned, r->bytes_read, r->took_ns);
	if (!g) { /* it was needed, or given up, while this was under way */
		book_late_bytes(e->book, r->guess_id, r->bytes_read, &wasted, &ahead, &block);
		e->aux[block].idle_n = 0; /* 0: of no block */
		if (wasted)
			plan_feedback(e->plan, ahead, OUTCOME_WASTED, r->bytes_read);
		if (!r->err)
			came_true_seen(e, r);
		return 0;
	}
	if (g->under_way_n)
		g->under_way_n--;
	g->bytes_read += r->bytes_read;
	if (guess_is_ahead(g))
		book_risk(e->book, g, g->bytes_read);
	if (r->bytes_read)
		e->aux[g->block].idle_n = 0;
	if (r->err) { /* it was not made ready, but part of it may have been read */
		g->acted = 0;
		g->decision = DECISION_FAILED;
		g->err = r->err;
		return 0;
	}
	dep = graph_node_const(e->graph, g->dep); /* NULL: a full graph let go of it meanwhile */
	if (dep && dep->kind == NODE_SERVICE)
		e->aux[g->block].idle_n = 0;
	g->done_ns = r->done_ns;
	g->resident = r->resident && !g->bytes_read;
	g->saved_ns += r->resident ? 0 : r->took_ns;
	/* A service is not there for some time because it once was: it may be released at any moment, and
	 * whoever holds it knows best whether a guess needs anything done. */
	if (dep && dep->kind != NODE_SERVICE)
		seen_there(e, g, r->done_ns);
	return 0;
}
