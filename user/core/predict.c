// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * predict.c - guessing: what the blocks that come will need, and what reading that ahead is worth.
 *
 * Each block found brings its working set with it; a file's chance is the block's times the edge's.
 */
#include "core/predict_impl.h"

#define MS (1000ull * 1000)
#define S (1000 * MS)

/* A guess that did not come true after this many times its lead, and this much, is wrong. */
#define EXPIRE_LEADS 4
#define EXPIRE_MIN_NS (3 * S)
#define EXPIRE_MAX_NS (120 * S)
/* A block predicted again and again has its working set looked through once in this time. */
#define REPLAN_NS (200 * MS)
/* By so much more likely, a block is planned again at once: three scripts with a third each, until
 * one of them starts. */
#define SURER 0.1
/* Of a directory's entry there is an inode of 256 bytes for each 40 or so of its name. */
#define SWEEP_FACTOR 6

static uint64_t expiry(uint64_t now_ns, uint64_t lead_ns)
{
	uint64_t window = lead_ns * EXPIRE_LEADS;

	if (window < EXPIRE_MIN_NS)
		window = EXPIRE_MIN_NS;
	if (window > EXPIRE_MAX_NS)
		window = EXPIRE_MAX_NS;
	return now_ns + window;
}

/* One user's habits never make another user's files be read. */
static bool node_allowed(const struct node *dep, uint32_t uid)
{
	return dep->uid == uid || uid == PHASE_ANYONE || (dep->flags & NODE_F_SHARED);
}

static void put_context(struct engine *e, uint32_t run, struct guess *g)
{
	for (size_t i = 0; i < 4 && run != RUN_NONE; i++) {
		g->context[i] = lineage_run(e->lineage, run)->block;
		run = lineage_parent(e->lineage, run);
	}
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

uint64_t candidate_credit(const struct engine *e, uint32_t from, const struct candidate *c,
			  const struct guess *g)
{
	return credit_bytes(e->credit, from, g->via, c->depth ? c->support : g->support);
}

/* May so much be read for this guess? */
static bool within_credit(const struct engine *e, const struct candidate *c, const struct guess *g,
			  uint64_t bytes, struct spent *s)
{
	uint64_t *spent = g->lookup ? &s->looked : &s->read;

	if (!guess_is_ahead(g)) /* it runs already: nothing that has to come first */
		return true;
	bytes = credit_charge(bytes);
	if (*spent + bytes > candidate_credit(e, lineage_run(e->lineage, c->from)->block, c, g))
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

void guess_queue(struct engine *e, struct guess *g, const struct node *dep, uint64_t need_ns)
{
	bool full;

	if (g->due_ns > e->now_ns && heap_push(&e->later, g->due_ns, g->id)) {
		g->decision = DECISION_WAITS;
		return;
	}
	g->due_ns = 0;
	full = dep->kind == NODE_SERVICE
		       ? plan_push_service(e->plan, need_ns, g->id) != 0
		       : plan_push(e->plan, g->uid, g->want == WANT_NOW, need_ns, g->id) != 0;
	g->decision = full ? DECISION_FULL : DECISION_WAITS;
}

static void sooner(struct guess *g, uint64_t need_ns)
{
	if (need_ns < g->made_ns + g->lead_ns)
		g->lead_ns = need_ns > g->made_ns ? need_ns - g->made_ns : 0;
}

void guess_worth(const struct engine *e, struct guess *g, uint64_t bytes, uint64_t lead_ns)
{
	g->value_us = plan_value_us(e->plan, g->p, g->gain, bytes);
	g->price_us = plan_price_us(e->plan, bytes, lead_ns);
}

/* It has waited before, or does: for its turn, then, or to be tried again. */
static bool had_time(const struct guess *g)
{
	return g->decision == DECISION_WAITS || g->decision == DECISION_ACTED ||
	       g->decision == DECISION_FAILED;
}

/* There is a guess of the same already: the better reason counts. g is the other one, which reads so many
 * bytes when trusted. */
static void guess_again(struct engine *e, struct guess *open, const struct guess *g,
			const struct node *dep, uint32_t from, uint64_t bytes, bool trusted)
{
	bool more = open->lookup && !g->lookup, surer = g->p > open->p + SURER || more;
	bool nearer = open->due_ns > g->due_ns, runs = !guess_is_ahead(g) && guess_is_ahead(open);
	bool wider = false;

	if (trusted && !more && !g->lookup && !open->lookup &&
	    plan_worth(e->plan, guess_odds(g), g->value_us, g->price_us))
		wider = guess_also(e, open, g->via) || (g->sweep && !open->sweep);
	if (g->p >= open->p)
		hope(e, open, from);
	if (g->lookup && !open->lookup) { /* its pages are wanted: that is worth no less now */
		book_extend(e->book, open, g->deadline_ns);
		return;
	}
	if (more) { /* now its pages are wanted too */
		open->lookup = false;
		open->sweep = g->sweep;
		open->via = g->via;
	}
	if (wider) {
		bytes = guess_bytes(e, open, dep);
		open->sweep = open->sweep || g->sweep;
	}
	if (g->p > open->p || g->gain > open->gain) {
		open->p = g->p > open->p ? g->p : open->p;
		open->gain = g->gain > open->gain ? g->gain : open->gain;
		guess_worth(e, open, bytes, g->lead_ns);
	}
	book_extend(e->book, open, g->deadline_ns);
	if (guess_wanted(open, (enum want)g->want) && open->acted && !open->done_ns)
		action_hurry(e, open, e->now_ns + g->lead_ns);
	/* Seen to too long ago to be sure, or given up (too late, unworthy, no room): again. What
	 * was not worth it a moment ago may be by now. */
	if (trusted && ((open->acted && (open->done_ns || more || wider)) ||
			(!open->acted && (surer || nearer || runs ||
					  open->queued_ns + e->policy.recheck_ns < e->now_ns)))) {
		if (open->done_ns) { /* what was wanted then is there */
			open->want = g->want;
			open->lead_ns = e->now_ns + g->lead_ns - open->made_ns;
		}
		open->acted = 0;
		open->done_ns = 0;
		if (nearer || !had_time(open))
			open->due_ns = g->due_ns;
		if (runs && !open->bytes_read) { /* what was not read on trust is read without */
			open->block = g->block;
			open->via = g->via;
		}
		open->p = g->p;
		guess_worth(e, open, bytes, g->lead_ns);
		open->queued_ns = e->now_ns;
		sooner(open, e->now_ns + g->lead_ns);
		guess_queue(e, open, dep, e->now_ns + g->lead_ns);
	}
}

static void guess_dep(struct engine *e, uint32_t run, const struct candidate *c,
		      const struct edge *edge, double p, struct spent *spent)
{
	const struct node *dep = graph_node_const(e->graph, edge->to);
	const struct run *rn = lineage_run(e->lineage, run);
	bool lookup = edge->flags & EDGE_F_LOOKUP, sweep = edge->flags & EDGE_F_SWEEP;
	uint64_t wait_ns = 0;
	uint64_t lead_ns, bytes;
	struct guess *open, g;
	uint32_t via;
	bool trusted;

	if (!dep || (dep->flags & NODE_F_TEMP) || (edge->flags & EDGE_F_WRITE) ||
	    !node_allowed(dep, rn->uid))
		return;
	via = candidate_via(e, c, edge);
	if (via != rn->block && dep->kind != NODE_SERVICE && given_up(e, c, via))
		return;
	if (resident_for_block(e, edge->to, via, sweep))
		return;
	if (lookup && looked_seen(e, edge->to))
		return;
	if (c->depth == 0 && lineage_touched(e->lineage, run, edge->to))
		return;
	/* That the host has booted, or somebody come, will not turn out otherwise. */
	if (dep->kind != NODE_SERVICE && !phase_pid(rn->pid))
		wait_ns = candidate_wait_ns(c, edge);
	lead_ns = c->lead_ns + edge_lead_ns(edge);
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
			   .due_ns = wait_ns ? e->now_ns + wait_ns : 0,
			   .lead_ns = lead_ns,
			   .deadline_ns = expiry(e->now_ns, lead_ns)};
	g.want = (uint8_t)guess_want(&g, lead_ns);
	bytes = lookup ? 0 : block_bytes(e, g.via, dep);
	g.gain = via == c->block ? c->gain : block_gain(e, c->block, via);
	guess_worth(e, &g, bytes, lead_ns);
	trusted = dep->kind == NODE_SERVICE ||
		  within_credit(e, c, &g, sweep ? dep->size_bytes * SWEEP_FACTOR : bytes, spent);
	open = book_open_by_dep(e->book, edge->to);
	if (open) {
		guess_again(e, open, &g, dep, c->from, bytes, trusted);
		return;
	}
	put_context(e, run, &g);
	open = guess_enter(e, &g);
	hope(e, open, c->from);
	if (trusted)
		guess_queue(e, open, dep, e->now_ns + lead_ns);
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
	hope(e, guess_enter(e, &g), c->from);
}

/* The working set of block, as c says it will run; runs_n is the number of the run meant. */
static void guess_set(struct engine *e, uint32_t run, const struct candidate *c, uint32_t block,
		      uint64_t run_no, struct spent *spent)
{
	const struct edge *edge;
	uint32_t it = 0;

	while (graph_next_out(e->graph, block, &it, &edge)) {
		double p;

		if (!edge_is_need(edge))
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

	if (!n || !node_allowed(n, rn->uid))
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
	c->gain = block_gain(e, c->parent, c->block);
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

/* What comes after the start of a run: all candidates but the first, which is its own block. */
static void predict_others(struct engine *e, uint32_t run, bool needs)
{
	candidates_of_run(e, run);
	for (size_t i = 1; i < e->candidate_n; i++)
		guess_candidate(e, run, &e->candidates[i], needs);
}

void predict_from(struct engine *e, uint32_t run)
{
	(void)predict_rest(e);
	candidate_of_run(e, run);
	guess_candidate(e, run, &e->candidates[0], true);
	e->rest_run = run;
	e->rest = true;
}

bool predict_rest(struct engine *e)
{
	if (!e->rest)
		return false;
	e->rest = false;
	predict_others(e, e->rest_run, true);
	return true;
}

void predict_programs(struct engine *e, uint32_t run)
{
	predict_others(e, run, false);
}
