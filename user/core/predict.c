// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * predict.c - guessing: which blocks come next, what they will need, and what is to be done.
 *
 * Blocks come from two sources. The graph's exec edges say what a block that has just started will start
 * itself, at any depth. The model says, from the sequence of programs a run has started so far,
 * what it starts next. Each block found brings its working set with it; a file's chance is the
 * block's times the edge's.
 *
 * A file seen resident a moment ago is not guessed again: on a host that does the same things all
 * day nearly every guess would be of this kind, and each would cost an open and a mincore.
 */
#include "core/engine_state.h"

#include <string.h>

#define MS (1000ull * 1000)
#define S (1000 * MS)

/* A guess that did not come true after this many times its lead, and this much, is wrong. */
#define EXPIRE_LEADS 4
#define EXPIRE_MIN_NS (3 * S)
#define EXPIRE_MAX_NS (120 * S)
/* A block predicted again and again has its working set looked through once in this time. */
#define REPLAN_NS (200 * MS)
/* Parts of a file that fewer of the runs used, of those that used the file at all, are left alone. */
#define RANGE_P_MIN 0.4
/* By so much more likely, a block is planned again at once: three scripts with a third each, until
 * one of them starts. */
#define SURER 0.1
#define LIKELY 0.5
/* What is needed that soon is as urgent as what is needed now. */
#define SOON_NS (50 * MS)
/* Of an inode, a directory block, a small file: what the device reads for it at least. */
#define LOOKUP_BYTES (16ull << 10)
/* Of a directory's entry there is an inode of 256 bytes for each 40 or so of its name. */
#define SWEEP_FACTOR 6
/* Guesses looked through when a run ends; what is older expires by its time. */
#define HOPELESS_MAX 4096
#define CHAIN_STEPS 12
#define DEPTH_MAX 6
#define USERS_MAX 64 /* looked at, of those that need one file */

static void candidate_add(struct engine *e, const struct candidate *c)
{
	for (size_t i = 0; i < e->candidate_n; i++) {
		struct candidate *old = &e->candidates[i];

		if (old->block != c->block)
			continue;
		if (c->p > old->p)
			*old = *c;
		return;
	}
	if (e->candidate_n < CANDIDATE_MAX)
		e->candidates[e->candidate_n++] = *c;
}

static uint64_t edge_lead(const struct edge *edge)
{
	return edge->lead_n ? edge->lead_sum_ns / edge->lead_n : 0;
}

/* Adds what the candidates from `first` on start themselves, breadth first. */
static void descend(struct engine *e, size_t first)
{
	for (size_t i = first; i < e->candidate_n; i++) {
		const struct candidate c = e->candidates[i];
		const struct node *n = graph_node_const(e->graph, c.block);
		const struct edge *edge;
		uint32_t it = 0;

		if (!n || c.depth >= DEPTH_MAX)
			continue;
		while (graph_next_out(e->graph, c.block, &it, &edge)) {
			double p;

			if (edge->kind != EDGE_EXEC || edge->to == c.block)
				continue;
			p = c.p * edge_chance(e, edge, n->runs_n + 1);
			if (p < e->policy.p_min)
				continue;
			candidate_add(e, &(struct candidate){
						 .block = edge->to,
						 .from = c.from,
						 .parent = c.block,
						 .support = (uint32_t)edge->runs_n,
						 .order = c.order,
						 .depth = (uint8_t)(c.depth + 1),
						 .p = p,
						 .lead_ns = c.lead_ns + edge_lead(edge),
					 });
		}
	}
}

/* What the run will start next, given what it has started so far. */
static void add_next(struct engine *e, uint32_t run)
{
	const struct run *rn = lineage_run(e->lineage, run);
	size_t n = 0, first = e->candidate_n;

	if (vomm_chain(e->model, &rn->stream, e->policy.p_min, CHAIN_STEPS, CANDIDATE_MAX,
		       e->guesses, &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct vomm_guess *g = &e->guesses[i];
		uint32_t block = g->symbol == SYMBOL_END ? 0 : engine_block_of_symbol(e, g->symbol);

		if (!block)
			continue;
		candidate_add(e, &(struct candidate){
					 .block = block,
					 .from = run,
					 .parent = rn->block,
					 .support = g->support,
					 .order = (uint8_t)g->order,
					 .depth = 1,
					 .p = g->p,
					 .p_model = g->p_path,
					 .lead_ns = g->lead_p50_ns,
				 });
	}
	descend(e, first);
}

static uint64_t expiry(uint64_t now_ns, uint64_t lead_ns)
{
	uint64_t window = lead_ns * EXPIRE_LEADS;

	if (window < EXPIRE_MIN_NS)
		window = EXPIRE_MIN_NS;
	if (window > EXPIRE_MAX_NS)
		window = EXPIRE_MAX_NS;
	return now_ns + window;
}

static bool is_need(const struct edge *edge)
{
	return edge->kind == EDGE_OPEN || edge->kind == EDGE_CONNECT || edge->kind == EDGE_BELOW;
}

/* The block that needed dep last, by its edges: after a restart there is nothing else to go by. One whose
 * parts of the file are known comes before one that has it open for some other reason. */
static uint32_t user_of(const struct engine *e, uint32_t dep)
{
	const struct edge *edge, *last = NULL;
	bool last_ranged = false;
	uint32_t it = 0;

	for (int i = 0; i < USERS_MAX && graph_next_in(e->graph, dep, &it, &edge); i++) {
		bool ranged;

		if (!is_need(edge) || edge->kind == EDGE_BELOW)
			continue;
		ranged = use_bytes(e->use, edge->from, 0, dep) > 0;
		if (last && (last_ranged > ranged ||
			     (last_ranged == ranged && edge->last_ns <= last->last_ns)))
			continue;
		last = edge;
		last_ranged = ranged;
	}
	return last ? last->from : 0;
}

/* The block that will need it: for what is needed below c, the one that did last time. */
static uint32_t via_of(struct engine *e, const struct candidate *c, const struct edge *edge)
{
	struct node_aux *a = &e->aux[edge->to];
	const struct node *n;

	if (edge->kind != EDGE_BELOW)
		return c->block;
	if (!a->user)
		a->user = user_of(e, edge->to);
	n = graph_node_const(e->graph, a->user);
	return n && n->kind == NODE_BLOCK ? a->user : c->block;
}

/* What a cold start of block costs more than a warm one: where parent starts it, else wherever it is started. */
static double gain_of(const struct engine *e, uint32_t parent, uint32_t block)
{
	const struct edge *edge =
		parent ? graph_edge_find(e->graph, parent, block, EDGE_EXEC) : NULL;
	struct edge_use all = {0};
	uint32_t it = 0;

	if (edge && edge->use->cold_n && edge->use->cold_n < edge->use->use_n)
		return plan_gain(edge->use);
	for (int i = 0; i < USERS_MAX && graph_next_in(e->graph, block, &it, &edge); i++) {
		if (edge->kind != EDGE_EXEC)
			continue;
		all.use_n += edge->use->use_n;
		all.life_sum_ns += edge->use->life_sum_ns;
		all.cold_n += edge->use->cold_n;
		all.cold_sum_ns += edge->use->cold_sum_ns;
		all.read_sum_bytes += edge->use->read_sum_bytes;
	}
	return plan_gain(&all);
}

/* One user's habits never make another user's files be read. */
static bool allowed(const struct node *dep, uint32_t uid)
{
	return dep->uid == uid || uid == PHASE_ANYONE || (dep->flags & NODE_F_SHARED);
}

/* What has to be read of a file for block: the parts learnt, else all of it. */
static uint64_t needed_bytes(const struct engine *e, uint32_t block, const struct node *dep)
{
	uint64_t bytes;

	if (dep->flags & (NODE_F_ABSENT | NODE_F_DIR))
		return 0;
	bytes = use_bytes(e->use, block, e->aux[block].program, dep->id);
	return bytes && bytes < dep->size_bytes ? bytes : dep->size_bytes;
}

/* The same for all that are to use it: about what the one that uses most of it does. */
static uint64_t guess_bytes(const struct engine *e, const struct guess *g, const struct node *dep)
{
	uint64_t most = g->lookup ? 0 : needed_bytes(e, g->via, dep);

	for (size_t i = 0; !g->lookup && i < GUESS_ALSO && g->also[i]; i++) {
		uint64_t bytes = needed_bytes(e, g->also[i], dep);

		most = bytes > most ? bytes : most;
	}
	return most;
}

/* The parts all of them use, by first use, those of the first block first. 0: not known. */
static size_t guess_ranges(struct engine *e, const struct guess *g)
{
	size_t n = 0;

	if (use_plan(e->use, g->via, e->aux[g->via].program, g->dep, RANGE_P_MIN, e->ranges,
		     ACTION_RANGES, &n) != 0)
		return 0;
	for (size_t i = 0; i < GUESS_ALSO && g->also[i]; i++)
		(void)use_plan_also(e->use, g->also[i], e->aux[g->also[i]].program, g->dep,
				    RANGE_P_MIN, e->ranges, ACTION_RANGES, &n);
	return n;
}

/* Block will use it too. Does it need parts of the file that were not asked for? What is known of neither
 * is read from its start, for whomever. */
static bool guess_also(struct engine *e, struct guess *g, uint32_t block)
{
	uint32_t program = e->aux[block].program;
	size_t i = 0, n;

	if (g->via == block || !use_bytes(e->use, block, program, g->dep))
		return false;
	for (; i < GUESS_ALSO && g->also[i]; i++)
		if (g->also[i] == block)
			return false;
	if (i == GUESS_ALSO)
		return false;
	n = guess_ranges(e, g);
	if (!n)
		return false;
	g->also[i] = block;
	return use_plan_also(e->use, block, program, g->dep, RANGE_P_MIN, e->ranges, ACTION_RANGES,
			     &n) > 0;
}

#define SWEPT UINT32_MAX /* in place of a block: of a directory, all entries are */

/* That an entry or an absence was dropped is not told: these go by the time alone. */
static bool seen_resident(const struct engine *e, uint32_t dep)
{
	const struct node *n = graph_node_const(e->graph, dep);
	const struct node_aux *a = &e->aux[dep];

	return a->resident_ns > e->now_ns &&
	       (a->left_n == e->left_n || (n && n->flags & (NODE_F_ABSENT | NODE_F_DIR)));
}

/* Seen resident a moment ago, the parts that block uses. */
static bool is_resident(const struct engine *e, uint32_t dep, uint32_t block, bool sweep)
{
	const struct node_aux *a = &e->aux[dep];

	if (!seen_resident(e, dep))
		return false;
	if (sweep)
		return a->resident_for[0] == SWEPT;
	for (size_t i = 0; i < RESIDENT_FOR; i++)
		if (a->resident_for[i] == block)
			return true;
	return !use_bytes(e->use, block, e->aux[block].program, dep);
}

/* It is, for all that g is needed by. */
static void note_resident(struct engine *e, const struct guess *g)
{
	struct node_aux *a = &e->aux[g->dep];

	a->left_n = e->left_n;
	a->resident_for[0] = g->sweep ? SWEPT : g->via;
	memcpy(&a->resident_for[1], g->also, sizeof(g->also));
}

static void put_context(struct engine *e, uint32_t run, struct guess *g)
{
	for (size_t i = 0; i < 4 && run != RUN_NONE; i++) {
		g->context[i] = lineage_run(e->lineage, run)->block;
		run = lineage_parent(e->lineage, run);
	}
}

/* Of a program that has yet to start, or of the one that runs. */
static bool is_ahead(const struct guess *g)
{
	return g->via != g->block;
}

/* A word about an action given out before. Without room it stays unsaid: then more is read than needed, or
 * later. */
static void say(struct engine *e, uint64_t guess_id, enum action_kind kind)
{
	uint32_t at = (e->word_head + e->word_n) % WORD_MAX;

	if (e->word_n == WORD_MAX)
		return;
	e->words[at].id = guess_id;
	e->words[at].kind = kind;
	e->word_n++;
}

/* The run g is hoped of, the surest one if several: when that ends, so does g. */
static void hope(struct engine *e, struct guess *g, uint32_t from)
{
	struct run *rn = lineage_run(e->lineage, from);

	g->from = rn->block;
	g->from_pid = phase_pid(rn->pid) ? 0 : rn->pid;
	g->hope = rn->hope;
	if (!rn->hope_first || g->id < rn->hope_first)
		rn->hope_first = g->id;
}

/* Bytes of the credit of one candidate: what is only looked up does not take the place of what is read, nor the
 * other way round. */
struct spent {
	uint64_t read, looked;
};

/* Even a lookup is a read or two. */
static uint64_t charged(uint64_t bytes)
{
	return bytes < LOOKUP_BYTES ? LOOKUP_BYTES : bytes;
}

static uint64_t credit_for(const struct engine *e, uint32_t from, const struct candidate *c,
			   const struct guess *g)
{
	return credit_bytes(e->credit, from, g->via, c->depth ? c->support : g->support);
}

/* May so much be read for this guess? */
static bool within_credit(const struct engine *e, const struct candidate *c, const struct guess *g,
			  uint64_t bytes, struct spent *s)
{
	uint64_t *spent = g->lookup ? &s->looked : &s->read;

	if (!is_ahead(g)) /* it runs already: nothing that has to come first */
		return true;
	bytes = charged(bytes);
	if (*spent + bytes > credit_for(e, lineage_run(e->lineage, c->from)->block, c, g))
		return false;
	*spent += bytes;
	return true;
}

/* block was hoped for in vain time and again: it is hoped for on, but what it would need is not even looked
 * through. */
static bool given_up(const struct engine *e, const struct candidate *c, uint32_t block)
{
	return credit_spent(e->credit, lineage_run(e->lineage, c->from)->block, block);
}

/* Without room it is counted, and not acted on. */
static void queue(struct engine *e, struct guess *g, const struct node *dep, uint64_t need_ns)
{
	bool full = dep->kind == NODE_SERVICE ? plan_push_service(e->plan, need_ns, g->id) != 0
					      : plan_push(e->plan, g->uid, need_ns, g->id) != 0;

	g->decision = full ? DECISION_FULL : DECISION_WAITS;
}

static void sooner(struct guess *g, uint64_t need_ns)
{
	if (need_ns < g->made_ns + g->lead_ns)
		g->lead_ns = need_ns > g->made_ns ? need_ns - g->made_ns : 0;
}

/* Of g, whose p and gain are known, when it reads so many bytes in so much time. */
static void put_worth(const struct engine *e, struct guess *g, uint64_t bytes, uint64_t lead_ns)
{
	g->value_us = plan_value_us(e->plan, g->p, g->gain, bytes);
	g->price_us = plan_price_us(e->plan, bytes, lead_ns);
}

static void guess_dep(struct engine *e, uint32_t run, const struct candidate *c,
		      const struct edge *edge, double p, struct spent *spent)
{
	const struct node *dep = graph_node_const(e->graph, edge->to);
	const struct run *rn = lineage_run(e->lineage, run);
	bool lookup = edge->flags & EDGE_F_LOOKUP, sweep = edge->flags & EDGE_F_SWEEP;
	uint64_t lead_ns, bytes;
	struct guess *open, g;
	uint32_t via;
	bool trusted;

	if (!dep || (dep->flags & NODE_F_TEMP) || (edge->flags & EDGE_F_WRITE) ||
	    !allowed(dep, rn->uid))
		return;
	via = via_of(e, c, edge);
	if (via != rn->block && dep->kind != NODE_SERVICE && given_up(e, c, via))
		return;
	if (is_resident(e, edge->to, via, sweep))
		return;
	if (lookup && e->aux[edge->to].looked_ns > e->now_ns)
		return;
	if (c->depth == 0 && lineage_touched(e->lineage, run, edge->to))
		return;
	lead_ns = c->lead_ns + edge_lead(edge);
	g = (struct guess){.block = rn->block,
			   .via = via,
			   .dep = edge->to,
			   .kind = edge->kind,
			   .order = c->order,
			   .uid = rn->uid == PHASE_ANYONE ? dep->uid : rn->uid,
			   .pid = phase_pid(rn->pid) ? 0 : rn->pid,
			   .lookup = lookup,
			   .sweep = sweep,
			   .p = p,
			   .support = edge->runs_n,
			   .made_ns = e->now_ns,
			   .queued_ns = e->now_ns,
			   .lead_ns = lead_ns,
			   .deadline_ns = expiry(e->now_ns, lead_ns)};
	bytes = lookup ? 0 : needed_bytes(e, g.via, dep);
	g.gain = via == c->block ? c->gain : gain_of(e, c->block, via);
	put_worth(e, &g, bytes, lead_ns);
	trusted = dep->kind == NODE_SERVICE ||
		  within_credit(e, c, &g, sweep ? dep->size_bytes * SWEEP_FACTOR : bytes, spent);
	open = book_open_by_dep(e->book, edge->to);
	if (open) { /* two reasons for the same: the better one counts */
		bool more = open->lookup && !lookup, surer = p > open->p + SURER || more;
		bool wider = false;

		if (trusted && !more && !lookup && !open->lookup &&
		    plan_worth(e->plan, is_ahead(&g), g.value_us, g.price_us))
			wider = guess_also(e, open, via) || (sweep && !open->sweep);
		if (p >= open->p)
			hope(e, open, c->from);
		if (lookup && !open->lookup) { /* its pages are wanted: that is worth no less now */
			book_extend(e->book, open, g.deadline_ns);
			return;
		}
		if (more) { /* now its pages are wanted too */
			open->lookup = false;
			open->sweep = sweep;
			open->via = via;
		}
		if (wider) {
			bytes = guess_bytes(e, open, dep);
			open->sweep = open->sweep || sweep;
		}
		if (p > open->p || g.gain > open->gain) {
			open->p = p > open->p ? p : open->p;
			open->gain = g.gain > open->gain ? g.gain : open->gain;
			put_worth(e, open, bytes, lead_ns);
		}
		book_extend(e->book, open, g.deadline_ns);
		if (open->acted && !open->done_ns && open->has_time &&
		    (!is_ahead(&g) || lead_ns <= SOON_NS)) {
			open->has_time = false;
			say(e, open->id, ACTION_HURRY);
		}
		/* Seen to too long ago to be sure, or given up (too late, unworthy, no room): again. What
		 * was not worth it a moment ago may be by now. */
		if (trusted && ((open->acted && (open->done_ns || more || wider)) ||
				(!open->acted &&
				 (surer || open->queued_ns + e->policy.recheck_ns < e->now_ns)))) {
			open->acted = 0;
			open->done_ns = 0;
			open->p = p;
			put_worth(e, open, bytes, lead_ns);
			open->queued_ns = e->now_ns;
			sooner(open, e->now_ns + lead_ns);
			queue(e, open, dep, e->now_ns + lead_ns);
		}
		return;
	}
	put_context(e, run, &g);
	open = book_open(e->book, &g);
	hope(e, open, c->from);
	if (trusted)
		queue(e, open, dep, e->now_ns + lead_ns);
	else
		open->decision = DECISION_UNTRUSTED;
}

static void guess_block(struct engine *e, uint32_t run, const struct candidate *c)
{
	const struct run *rn = lineage_run(e->lineage, run);
	struct guess g = {.block = rn->block,
			  .via = c->block,
			  .dep = c->block,
			  .kind = EDGE_EXEC,
			  .order = c->order,
			  .uid = rn->uid,
			  .pid = rn->pid,
			  .p = c->p,
			  .p_model = c->p_model,
			  .support = c->support,
			  .made_ns = e->now_ns,
			  .lead_ns = c->lead_ns,
			  .deadline_ns = expiry(e->now_ns, c->lead_ns)};
	struct guess *open = book_open_by_dep(e->book, c->block);

	if (open) {
		if (c->p >= open->p)
			hope(e, open, c->from);
		open->p = c->p > open->p ? c->p : open->p;
		book_extend(e->book, open, g.deadline_ns);
		return;
	}
	put_context(e, run, &g);
	hope(e, book_open(e->book, &g), c->from);
}

/* The working set of block, as c says it will run; runs_n is the number of the run meant. */
static void guess_set(struct engine *e, uint32_t run, const struct candidate *c, uint32_t block,
		      uint64_t run_no, struct spent *spent)
{
	const struct edge *edge;
	uint32_t it = 0;

	while (graph_next_out(e->graph, block, &it, &edge)) {
		double p;

		if (!is_need(edge))
			continue;
		p = c->p * edge_chance(e, edge, run_no);
		if (p >= e->policy.p_min)
			guess_dep(e, run, c, edge, p, spent);
	}
}

static void guess_candidate(struct engine *e, uint32_t run, struct candidate *c, bool needs)
{
	const struct run *rn = lineage_run(e->lineage, run);
	const struct node *n = graph_node_const(e->graph, c->block);
	uint32_t program = e->aux[c->block].program;
	struct spent spent = {0};
	uint64_t run_no;

	if (!n || !allowed(n, rn->uid))
		return;
	if (c->depth > 0) {
		guess_block(e, run, c);
		if (!needs || given_up(e, c, c->block))
			return;
		if (e->aux[c->block].planned_ns > e->now_ns &&
		    c->p <= e->aux[c->block].planned_p + SURER)
			return;
		e->aux[c->block].planned_ns = e->now_ns + REPLAN_NS;
		e->aux[c->block].planned_p = (float)c->p;
	}
	c->gain = gain_of(e, c->parent, c->block);
	/* The block that is running has been counted already; the others would be their next run. */
	run_no = n->runs_n + (c->depth > 0);
	guess_set(e, run, c, c->block, run_no, &spent);
	/* Of an invocation that is new, its program's needs are the best there is. */
	if (run_no <= 1 && program && program != c->block) {
		n = graph_node_const(e->graph, program);
		if (n)
			guess_set(e, run, c, program, n->runs_n + (c->depth > 0), &spent);
	}
}

static void predict(struct engine *e, uint32_t run, bool needs)
{
	const struct run *rn = lineage_run(e->lineage, run);
	uint32_t parent = lineage_parent(e->lineage, run);

	e->candidate_n = 0;
	candidate_add(
		e, &(struct candidate){.block = rn->block,
				       .from = run,
				       .parent = parent == RUN_NONE
							 ? 0
							 : lineage_run(e->lineage, parent)->block,
				       .p = 1});
	descend(e, 0);
	if (parent != RUN_NONE)
		add_next(e, parent);
	for (size_t i = needs ? 0 : 1; i < e->candidate_n; i++)
		guess_candidate(e, run, &e->candidates[i], needs);
}

void predict_from(struct engine *e, uint32_t run)
{
	predict(e, run, true);
}

void predict_programs(struct engine *e, uint32_t run)
{
	predict(e, run, false);
}

/* --- outcomes -------------------------------------------------------------------------------- */

static void settle(struct engine *e, struct guess *g, enum outcome outcome)
{
	bool release = g->acted && g->kind != EDGE_EXEC &&
		       (outcome == OUTCOME_WASTED || (outcome == OUTCOME_DROPPED && !g->resident));

	bool keep = g->acted && (outcome == OUTCOME_HIT || outcome == OUTCOME_LATE) &&
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
		plan_risked(e->plan, g->risk_bytes, false);
	else if (is_ahead(g)) /* what is under way may turn out to have been there */
		plan_risked(e->plan, g->bytes_read, true);
	book_end(e->book, g, outcome, e->now_ns);
	if (g->kind != EDGE_EXEC)
		plan_feedback(e->plan, is_ahead(g), outcome, g->bytes_read);
	if (release || keep)
		say(e, g->id, release ? ACTION_CANCEL : ACTION_SETTLE);
}

void predict_resolve(struct engine *e, uint32_t run, uint32_t dep, double known_p)
{
	struct guess *g = book_open_by_dep(e->book, dep);
	struct run *rn = lineage_run(e->lineage, run);

	if (!g) {
		if (graph_node_const(e->graph, dep)->kind == NODE_BLOCK && known_p > 0)
			credit_outcome(e->credit, rn->block, dep, 1, true); /* later than thought */
		rn->missed_n += known_p >= e->policy.p_min && !seen_resident(e, dep) &&
				graph_node_const(e->graph, dep)->kind == NODE_FILE;
		return;
	}
	if (g->kind == EDGE_EXEC) {
		settle(e, g, OUTCOME_HIT);
	} else if (!g->acted && !g->bytes_read) {
		rn->missed_n++;
		settle(e, g, OUTCOME_MISSED);
	} else if (!g->done_ns && !g->bytes_read) {
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

/* Ends the guesses of a run that has ended: what starts are left when exec is set, else what those not
 * started would have needed. */
static void hopeless(struct engine *e, const struct run *rn, bool exec)
{
	uint64_t id = book_newest(e->book), n = 0;

	for (; id >= rn->hope_first && n < HOPELESS_MAX; id--, n++) {
		struct guess *g = book_open_by_id(e->book, id), *start;

		if (!g || g->hope != rn->hope || (g->kind == EDGE_EXEC) != exec)
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

int engine_tick(struct engine *e, uint64_t now_ns, const struct pressure *p)
{
	struct guess *g;

	if (now_ns > e->now_ns)
		e->now_ns = now_ns;
	plan_tick(e->plan, e->now_ns, p);
	phase_tick(e, e->now_ns);
	while ((g = book_expired(e->book, e->now_ns)) != NULL)
		settle(e, g, unneeded(e, g));
	return 0;
}

static bool plan_item(void *ctx, uint64_t id, struct plan_item *ret)
{
	struct engine *e = ctx;
	struct guess *g = book_open_by_id(e->book, id);
	const struct node *dep = g ? graph_node_const(e->graph, g->dep) : NULL;

	if (!dep || g->acted)
		return false;
	*ret = (struct plan_item){.bytes = guess_bytes(e, g, dep),
				  .late_ns = g->deadline_ns,
				  .value_us = g->value_us,
				  .price_us = g->price_us,
				  .ahead = is_ahead(g),
				  .at_risk_bytes = book_at_risk(e->book) - g->risk_bytes};
	/* As plan_pop() is about to judge. */
	g->decision = g->deadline_ns < e->now_ns  ? DECISION_LATE
		      : !plan_dares(e->plan, ret) ? DECISION_UNTRUSTED
		      : plan_worth(e->plan, is_ahead(g), g->value_us, g->price_us)
			      ? DECISION_WAITS
			      : DECISION_UNWORTHY;
	return true;
}

bool engine_next_action(struct engine *e, struct action *ret)
{
	const struct node *dep;
	struct guess *g;
	uint64_t id;
	bool lookup;

	if (e->word_n) {
		*ret = (struct action){.kind = e->words[e->word_head].kind,
				       .guess_id = e->words[e->word_head].id};
		e->word_head = (e->word_head + 1) % WORD_MAX;
		e->word_n--;
		return true;
	}
	if (!plan_pop(e->plan, e->now_ns, plan_item, e, &id))
		return false;
	g = book_open_by_id(e->book, id);
	dep = graph_node_const(e->graph, g->dep);
	lookup = g->lookup || (dep->flags & (NODE_F_ABSENT | NODE_F_DIR));
	g->acted = 1;
	g->decision = DECISION_ACTED;
	g->acted_ns = e->now_ns;
	*ret = (struct action){
		.kind = dep->kind == NODE_SERVICE ? ACTION_PRESTART
			: lookup		  ? ACTION_LOOKUP
						  : ACTION_WARM,
		.list = !g->lookup && (dep->flags & NODE_F_DIR) && !(dep->flags & NODE_F_ABSENT),
		.sweep = g->sweep && (dep->flags & NODE_F_DIR) && !(dep->flags & NODE_F_ABSENT),
		.guess_id = g->id,
		.event_ns = is_ahead(g) ? 0 : g->queued_ns,
		.block = g->via,
		.dep = g->dep,
		.name = dep->name,
		.p = g->p,
		.bytes = guess_bytes(e, g, dep),
		.deadline_ns = g->deadline_ns,
		.lead_ns = g->made_ns + g->lead_ns > e->now_ns ? g->made_ns + g->lead_ns - e->now_ns
							       : 0,
		.uid = g->uid,
		.pid = g->from_pid,
		.ranges = e->ranges};
	if (is_ahead(g))
		book_risk(e->book, g, g->bytes_read + ret->bytes);
	g->has_time = is_ahead(g) && ret->lead_ns > SOON_NS;
	ret->priority = g->has_time;
	if (ret->kind == ACTION_WARM)
		ret->range_n = guess_ranges(e, g);
	return true;
}

int engine_result(struct engine *e, const struct action_result *r)
{
	struct guess *g = book_open_by_id(e->book, r->guess_id);
	bool wasted, ahead;
	uint32_t block = 0;
	uint64_t *until;

	plan_learn(e->plan, r->bytes_planned, r->bytes_read, r->took_ns);
	if (!g) { /* it was needed, or given up, while this was under way */
		book_late_bytes(e->book, r->guess_id, r->bytes_read, &wasted, &ahead, &block);
		e->aux[block].idle_n = 0; /* 0: of no block */
		if (wasted)
			plan_feedback(e->plan, ahead, OUTCOME_WASTED, r->bytes_read);
		return 0;
	}
	if (r->err) {
		g->acted = 0; /* nothing was made ready, so nothing can have been wasted */
		book_risk(e->book, g, g->bytes_read);
		g->decision = DECISION_FAILED;
		g->err = r->err;
		return 0;
	}
	if (r->bytes_read || graph_node_const(e->graph, g->dep)->kind == NODE_SERVICE)
		e->aux[g->block].idle_n = 0;
	g->done_ns = r->done_ns;
	g->bytes_read += r->bytes_read;
	if (is_ahead(g))
		book_risk(e->book, g, g->bytes_read);
	g->resident = r->resident && !g->bytes_read;
	g->saved_ns += r->resident ? 0 : r->took_ns;
	/* A service is not there for some time because it once was: it may be released at any moment, and
	 * whoever holds it knows best whether a guess needs anything done. */
	if (graph_node_const(e->graph, g->dep)->kind == NODE_SERVICE)
		return 0;
	if (!g->lookup)
		note_resident(e, g);
	until = g->lookup ? &e->aux[g->dep].looked_ns : &e->aux[g->dep].resident_ns;
	if (r->done_ns + e->policy.recheck_ns > *until)
		*until = r->done_ns + e->policy.recheck_ns;
	return 0;
}

/* Is a before b: likelier, or as likely and sooner? */
static bool rank_before(const struct rank *a, const struct rank *b)
{
	return a->p != b->p ? a->p > b->p : a->lead_ns < b->lead_ns;
}

/* Would one like that be among the best? */
static bool rank_wanted(const struct engine *e, size_t used_n, size_t max, const struct rank *r)
{
	return used_n < max || rank_before(r, &e->ranks[max - 1]);
}

/* Puts g among the used_n best, most likely first, then the soonest; of one dependency only the likelier guess stays.
 * Moves its rank alone: list is in no order. Returns the new number. */
static size_t put_best(struct engine *e, struct guess *list, size_t used_n, size_t max,
		       const struct guess *g)
{
	struct rank r = {.p = g->p, .lead_ns = g->lead_ns, .dep = g->dep};
	size_t at;

	if (!rank_wanted(e, used_n, max, &r))
		return used_n;
	for (at = 0; at < used_n && e->ranks[at].dep != g->dep; at++)
		;
	if (at < used_n && e->ranks[at].p >= g->p)
		return used_n;
	if (at == used_n && used_n == max)
		at = max - 1;
	r.at = at < used_n ? e->ranks[at].at : (uint32_t)used_n++;
	for (; at > 0 && rank_before(&r, &e->ranks[at - 1]); at--)
		e->ranks[at] = e->ranks[at - 1];
	e->ranks[at] = r;
	list[r.at] = *g;
	return used_n;
}

/* Puts list in the order of the ranks. */
static void sort_best(struct engine *e, struct guess *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct guess first = list[i];
		size_t to = i, from = e->ranks[i].at;

		for (; from != i; from = e->ranks[from].at) {
			list[to] = list[from];
			e->ranks[to].at = (uint32_t)to;
			to = from;
		}
		list[to] = first;
		e->ranks[to].at = (uint32_t)to;
	}
}

/* What would become of a guess of c that reads so many bytes, were it made now. */
static enum decision decision_on(const struct engine *e, const struct guess *g,
				 const struct candidate *c, uint64_t bytes)
{
	if (is_ahead(g) &&
	    (credit_for(e, g->block, c, g) < charged(bytes) || plan_stake(e->plan) < bytes))
		return DECISION_UNTRUSTED;
	return plan_worth(e->plan, is_ahead(g), g->value_us, g->price_us) ? DECISION_NONE
									  : DECISION_UNWORTHY;
}

size_t engine_predict_block(struct engine *e, uint32_t block, struct guess *ret, size_t max)
{
	const struct node *n = graph_node_const(e->graph, block);
	size_t used_n = 0;

	if (!n || n->kind != NODE_BLOCK || !max)
		return 0;
	max = max < BEST_MAX ? max : BEST_MAX;
	e->candidate_n = 0;
	candidate_add(e, &(struct candidate){.block = block, .p = 1});
	descend(e, 0);
	for (size_t i = 0; i < e->candidate_n; i++) {
		const struct candidate *c = &e->candidates[i];
		struct guess g = {.block = block,
				  .via = c->block,
				  .dep = c->block,
				  .kind = EDGE_EXEC,
				  .p = c->p,
				  .gain = gain_of(e, c->parent, c->block),
				  .support = c->support,
				  .lead_ns = c->lead_ns};
		const struct edge *edge;
		uint64_t bytes;
		uint32_t it = 0;

		n = graph_node_const(e->graph, c->block);
		if (c->depth > 0)
			used_n = put_best(e, ret, used_n, max, &g);
		while (graph_next_out(e->graph, c->block, &it, &edge)) {
			const struct node *dep = graph_node_const(e->graph, edge->to);

			g.p = c->p * edge_chance(e, edge, n->runs_n + 1);
			if (!is_need(edge) || !dep || g.p < e->policy.p_min)
				continue;
			g.dep = edge->to;
			g.kind = edge->kind;
			g.support = edge->runs_n;
			g.lead_ns = c->lead_ns + edge_lead(edge);
			if (!rank_wanted(e, used_n, max,
					 &(struct rank){.p = g.p, .lead_ns = g.lead_ns}))
				continue;
			g.lookup = edge->flags & EDGE_F_LOOKUP;
			g.via = via_of(e, c, edge);
			bytes = g.lookup ? 0 : needed_bytes(e, g.via, dep);
			put_worth(e, &g, bytes, g.lead_ns);
			g.decision = dep->kind == NODE_SERVICE
					     ? DECISION_NONE
					     : (uint8_t)decision_on(e, &g, c, bytes);
			used_n = put_best(e, ret, used_n, max, &g);
		}
	}
	sort_best(e, ret, used_n);
	return used_n;
}
