// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * needs.c - see needs.h.
 *
 * An edge's chance forgets exponentially by runs of its block, not by time: a program run once a
 * year is known as well as one run each second. It is computed on touch, from p_last and the number
 * of runs since; there is no sweep.
 */
#include "core/needs.h"

#include "base/cleanup.h"
#include "core/engine_state.h"
#include "core/lead.h"
#include "core/naming.h"
#include "core/template.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One run weighs at least this much against all before: 20 runs without leave 8 %. */
#define FORGET_MIN 0.12
#define CHANCE_NEW 0.75 /* of a need seen once, by a block of which no more is known */
/* Of a run: what find(1) asks about in one is gone through in order anyway, and is not worth the room. */
#define LOOKED_MAX 512
/* A directory of which so many entries are asked about is swept, if it is listed too: its entries are not kept
 * one by one, but that all of them are wanted. Who asks about so many things sweeps what it lists. */
#define SWEEP_MIN 4
#define SWEEP_MANY 256
#define UNSWEPT_MAX 8

/* --- edges -------------------------------------------------------------------------------- */

static double forget(const struct edge *edge)
{
	return fmax(FORGET_MIN, 1.0 / ((double)edge->runs_n + 1.5));
}

/*
 * How likely a need that was seen in one run only comes again, as it went with this block so far: a
 * compiler's header comes again, what a checksum program reads does not. Edges made in the present
 * run and the one before have not had their chance yet and do not count.
 */
static double newcomer(const struct engine *e, uint32_t block)
{
	const struct node_aux *a = &e->aux[block];

	return fmin(1, (a->again_n + 2 * CHANCE_NEW) / (a->made_n + 2.0));
}

void needs_count_run(struct engine *e, uint32_t block)
{
	struct node_aux *a = &e->aux[block];

	a->made_n += a->made_last_n;
	a->made_last_n = a->made_now_n;
	a->made_now_n = 0;
	if (a->made_n > 256) { /* forget by halves */
		a->made_n /= 2;
		a->again_n /= 2;
	}
}

/* As edge_chance(), run being counted as the edge counts. */
static double chance_at(const struct engine *e, const struct edge *edge, uint64_t run)
{
	uint64_t idle_n = run > edge->run_last + 1 ? run - edge->run_last - 1 : 0;
	double p = edge->runs_n == 1 ? newcomer(e, edge->from) : edge->p_last;

	return p * pow(1 - forget(edge), (double)idle_n);
}

double edge_chance(const struct engine *e, const struct edge *edge, uint64_t run)
{
	const struct node_aux *a = &e->aux[edge->from];

	return chance_at(e, edge,
			 edge->flags & EDGE_F_LOOKUP ? a->asking_n + (a->asking_last != run) : run);
}

bool needs_asking_told(const struct engine *e, uint32_t block)
{
	const struct node *n = graph_node_const(e->graph, block);

	return n && e->aux[block].asking_last == n->runs_n;
}

/* The first that is told of what the run, or one below it, asks about. That is only told while calls are
 * looked at closer, or of a sample of the starts: a run of which nothing is told says nothing. */
static void asking(struct engine *e, struct run *rn)
{
	struct node_aux *block = &e->aux[rn->block], *program = &e->aux[rn->program];

	if (rn->block_asking)
		return;
	block->asking_last = rn->block_run;
	rn->block_asking = rn->program_asking = ++block->asking_n;
	if (program == block)
		return;
	program->asking_last = rn->program_run;
	rn->program_asking = ++program->asking_n;
}

/* What p_last becomes when run number `run` takes the edge. */
static double edge_chance_taken(const struct engine *e, const struct edge *edge, uint64_t run)
{
	double p = edge->runs_n ? chance_at(e, edge, run) : CHANCE_NEW;

	return edge->runs_n ? p + forget(edge) * (1 - p) : p;
}

struct taken {
	enum edge_kind kind;
	uint32_t dep;
	const struct obs *o;
	uint64_t lead_ns;
	bool first; /* in this run */
};

/* It does more with dep than ask about it, in some run: that it asked first is no news then. */
static bool opens(const struct engine *e, uint32_t block, uint32_t dep, enum edge_kind kind)
{
	const struct edge *edge = graph_edge_find(e->graph, block, dep, kind);

	return edge && !(edge->flags & EDGE_F_LOOKUP);
}

/* n more of ns each; 0: not timed, which counts as the mean of those that were, whenever they were, so that
 * latency_sum_ns is that mean times count. */
static void take_latency(struct edge *edge, uint64_t ns, uint64_t n)
{
	uint64_t before = edge->count - n;

	if (ns)
		sketch_add(&edge->latency, ns);
	else if (before)
		ns = edge->latency_sum_ns / before;
	if (!edge->latency_sum_ns)
		edge->latency_sum_ns = ns * before;
	edge->latency_sum_ns += ns * n;
}

/* How a run opens a file first tells what is wanted of it: what it writes, and then reads, is in memory. */
static uint8_t flags_taken(const struct edge *edge, const struct obs *o, bool first)
{
	uint8_t flags = edge->flags & EDGE_F_SWEEP;

	if (!first && edge->runs_n && !(edge->flags & EDGE_F_LOOKUP))
		return flags | (edge->flags & EDGE_F_WRITE);
	if (obs_produces(o))
		return flags | EDGE_F_WRITE;
	return flags | (o->flags & OBS_F_LOOKUP ? EDGE_F_LOOKUP : 0);
}

/* What was only asked about so far is opened by run number run_no: from now on that is what is counted. */
static void opened_first(const struct engine *e, struct edge *edge, uint64_t run_no)
{
	uint64_t asking_n = e->aux[edge->from].asking_n;
	uint64_t idle_n = asking_n > edge->run_last ? asking_n - edge->run_last : 0;

	edge->run_last = run_no > idle_n ? run_no - idle_n : 0;
}

/* Counts one use of block -> dep; *ret_p is how likely it was, 0 when it was not known. */
static int take_edge(struct engine *e, uint32_t block, uint64_t run_no, const struct taken *t,
		     double *ret_p)
{
	const struct obs *o = t->o;
	uint64_t n = o->count ? o->count : 1;
	bool lookup = o->flags & OBS_F_LOOKUP;
	struct edge *edge;
	int r;

	if (lookup && opens(e, block, t->dep, t->kind))
		return 0;
	r = graph_edge(e->graph, block, t->dep, t->kind, engine_wall(e, o->ts_ns), &edge);
	if (r != 0)
		return r;
	edge->count += n;
	edge->last_ns = engine_wall(e, o->ts_ns);
	edge->errno_last = o->err;
	edge->fail_n += o->err != 0;
	if (edge->flags & EDGE_F_LOOKUP && !lookup)
		opened_first(e, edge, run_no);
	edge->flags = flags_taken(edge, o, t->first);
	take_latency(edge, o->latency_ns, n);
	if (t->first) {
		e->aux[block].made_now_n += edge->runs_n == 0;
		e->aux[block].again_n += edge->runs_n == 1;
		*ret_p = edge->runs_n ? chance_at(e, edge, run_no) : 0;
		edge->p_last = edge_chance_taken(e, edge, run_no);
		edge->run_last = run_no;
		edge->runs_n++;
		edge->lead_sum_ns += t->lead_ns;
		edge->lead_n++;
		edge->soon = lead_least(edge->soon, t->lead_ns);
	}
	return 0;
}

/* Marks a touch by a descendant in the lineage's table: a graph id never has this bit. */
#define BELOW_BIT (1u << 31)
/* How far up a need is told, and by how old runs: a script wants to know, a login shell does not. */
#define BELOW_DEPTH 3
#define BELOW_AGE_NS (600ull * 1000 * 1000 * 1000)
#define BELOW_MAX 1024
#define BELOW_KNOWN 0.7
#define BELOW_RUNS 8
/* What so many blocks need (libc) is known without its ancestors, and mostly in memory. */
#define BELOW_IN_MAX 64
/* What is only asked about is cheap, and there is much of it: so many of one run, and so many for one above. */
#define BELOW_LOOKED 64
#define BELOW_LOOKED_MAX 256

/* A program like sha256sum needs another file each time; which one, the script above it knows. */
static int take_below(struct engine *e, uint32_t run, uint32_t dep, const struct obs *o)
{
	const struct node *n = graph_node_const(e->graph, dep);
	bool lookup = o->flags & OBS_F_LOOKUP;
	int r = 0;

	if (n->in_n > BELOW_IN_MAX || (n->flags & NODE_F_TEMP) || o->kind == OBS_LISTEN ||
	    (lookup && lineage_run(e->lineage, run)->looked_n > BELOW_LOOKED))
		return 0;
	for (int i = 0; i < BELOW_DEPTH && r >= 0; i++) {
		struct taken t = {.kind = EDGE_BELOW, .dep = dep, .o = o};
		struct run *up;
		double p = 0;

		run = lineage_parent(e->lineage, run);
		if (run == RUN_NONE)
			break;
		up = lineage_run(e->lineage, run);
		if (o->ts_ns - up->start_ns > BELOW_AGE_NS || up->below_n >= BELOW_MAX)
			continue;
		if (lookup && (up->below_looked_n >= BELOW_LOOKED_MAX ||
			       opens(e, up->block, dep, EDGE_BELOW)))
			continue;
		t.first = lineage_touch(e->lineage, run, dep | BELOW_BIT);
		t.lead_ns = o->ts_ns - up->start_ns;
		up->below_n += t.first && !lookup;
		up->below_looked_n += t.first && lookup;
		if (lookup)
			asking(e, up);
		r = take_edge(e, up->block, lookup ? up->block_asking : up->block_run, &t, &p);
		if (!graph_node_const(e->graph, dep)) /* a full graph let go of it */
			break;
	}
	return r;
}

/* Touches it. */
static struct taken taken_by(struct engine *e, uint32_t run, enum edge_kind kind, uint32_t dep,
			     const struct obs *o)
{
	uint64_t start_ns = lineage_run(e->lineage, run)->start_ns;

	return (struct taken){.kind = kind,
			      .dep = dep,
			      .o = o,
			      .lead_ns = o->ts_ns > start_ns ? o->ts_ns - start_ns : 0,
			      .first = lineage_touch(e->lineage, run, dep)};
}

/* The run needed dep: its block's edge, and its program's when that is another. */
int needs_take(struct engine *e, uint32_t run, enum edge_kind kind, uint32_t dep,
	       const struct obs *o)
{
	struct run *rn = lineage_run(e->lineage, run);
	struct taken t = taken_by(e, run, kind, dep, o);
	const struct edge *known = graph_edge_find(e->graph, rn->block, dep, kind);
	bool lookup = o->flags & OBS_F_LOOKUP;
	/* Asked about in this run already, as never before, and opened now: that is the need. */
	bool more = !t.first && known && known->flags & EDGE_F_LOOKUP && !lookup;
	double p = 0, program_p = 0;
	int r;

	r = take_edge(e, rn->block, lookup ? rn->block_asking : rn->block_run, &t, &p);
	if (r >= 0 && rn->program != rn->block)
		r = take_edge(e, rn->program, lookup ? rn->program_asking : rn->program_run, &t,
			      &program_p);
	if (r < 0)
		return r;
	if (!(t.first || more) || (o->flags & OBS_F_SEED) || !graph_node_const(e->graph, dep))
		return 0;
	if (t.first)
		predict_resolve(e, run, dep, p);
	if (kind == EDGE_EXEC)
		return 0;
	if (!lookup)
		e->aux[dep].user = rn->block;
	/* What the block needs each time is known from itself, whoever starts it. */
	if (rn->block_run >= BELOW_RUNS && p >= BELOW_KNOWN)
		return 0;
	return take_below(e, run, dep, o);
}

int needs_take_phase(struct engine *e, uint32_t run, uint32_t dep, const struct obs *o)
{
	struct run *rn = lineage_run(e->lineage, run);
	bool lookup = o->flags & OBS_F_LOOKUP;
	struct taken t = taken_by(e, run, EDGE_BELOW, dep, o);
	double p = 0;
	int r;

	if (lookup)
		asking(e, rn);
	r = take_edge(e, rn->block, lookup ? rn->block_asking : rn->block_run, &t, &p);
	return r < 0 ? r : 0;
}

/* --- files --------------------------------------------------------------------------------- */

/* The run's block, and its program, sweep dir. */
static void sweeps(struct engine *e, const struct run *rn, uint32_t dir)
{
	const uint32_t blocks[] = {rn->block, rn->program};

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		const struct edge *known = graph_edge_find(e->graph, blocks[i], dir, EDGE_OPEN);
		struct edge *edge;

		/* Asked for each entry: what is known need not be stored again. */
		if (!known || (known->flags & EDGE_F_SWEEP && !known->unswept_n))
			continue;
		edge = graph_edge_note(e->graph, blocks[i], dir, EDGE_OPEN);
		edge->flags |= EDGE_F_SWEEP;
		edge->unswept_n = 0;
	}
}

static bool is_swept(const struct engine *e, const struct run *rn, uint32_t dir)
{
	const struct edge *edge = graph_edge_find(e->graph, rn->block, dir, EDGE_OPEN);

	return edge && edge->flags & EDGE_F_SWEEP;
}

/* The run asks about path. Is that as an entry of a directory it sweeps? Then it is no need of its own. */
static bool sweep(struct engine *e, uint32_t run, const char *path)
{
	struct run *rn = lineage_run(e->lineage, run);
	const char *slash = strrchr(path, '/');
	char name[OBS_NAME_MAX];
	const struct node *n;
	struct node_aux *a;
	uint32_t dir;

	if (!slash || slash == path || (size_t)(slash - path) >= sizeof(name))
		return false;
	memcpy(name, path, (size_t)(slash - path));
	name[slash - path] = '\0';
	dir = graph_find(e->graph, NODE_FILE, name);
	n = dir ? graph_node_const(e->graph, dir) : NULL;
	if (!n || !(n->flags & NODE_F_DIR))
		return false;
	a = &e->aux[dir];
	if (a->asked_hope != rn->hope)
		a->asked_n = 0;
	a->asked_hope = rn->hope;
	a->asked_n++;
	if (!is_swept(e, rn, dir) &&
	    (a->asked_n < SWEEP_MIN || !lineage_touched(e->lineage, run, dir)))
		return false;
	sweeps(e, rn, dir);
	rn->swept_n++;
	return true;
}

/* The run lists dir. Programs differ in whether they ask about the entries before or after. */
static void list(struct engine *e, uint32_t run, uint32_t dir)
{
	const struct run *rn = lineage_run(e->lineage, run);
	const struct node_aux *a = &e->aux[dir];
	uint32_t asked_n = a->asked_hope == rn->hope ? a->asked_n : 0;
	bool swept = is_swept(e, rn, dir);
	struct edge *edge;

	if (asked_n >= (swept ? 1 : SWEEP_MIN) || rn->looked_n + rn->swept_n >= SWEEP_MANY) {
		sweeps(e, rn, dir);
	} else if (swept && rn->block_asking) {
		edge = graph_edge_note(e->graph, rn->block, dir, EDGE_OPEN);
		if (edge && ++edge->unswept_n >= UNSWEPT_MAX)
			edge->flags &= (uint8_t)~EDGE_F_SWEEP;
	}
}

/* Not touched when it is opened too, or its opening would not count as a need any more. */
static int lookup(struct engine *e, uint32_t run, uint32_t id, const struct obs *o)
{
	struct run *rn = lineage_run(e->lineage, run);
	int r;

	if (rn->looked_n >= LOOKED_MAX || opens(e, rn->block, id, EDGE_OPEN))
		return 0;
	rn->looked_n += !lineage_touched(e->lineage, run, id);
	if (o->err == ENOENT || o->err == ENOTDIR)
		graph_node(e->graph, id)->flags |= NODE_F_ABSENT;
	r = needs_take(e, run, EDGE_OPEN, id, o);
	if (r < 0 || !e->phases.open_n || o->flags & OBS_F_SEED || !graph_node(e->graph, id))
		return r;
	return phase_need(e, id, o);
}

/* A name that was made up for what is made now, or was made before: the next one of its kind is the same. Which
 * a file is that is only read cannot be told from its name. */
static bool temporary(const struct engine *e, const struct obs *o, const char *path,
		      char ret[OBS_NAME_MAX])
{
	const char *inner = naming_inner(path), *slash = strrchr(path, '/'), *steady;
	char template[OBS_NAME_MAX];
	const struct node *n;
	int len;

	inner = inner ? inner : path;
	if (!slash || (!obs_produces(o) && !template_folder(inner)))
		return false;
	(void)template_of(inner, template, sizeof(template));
	steady = strrchr(template, '/');
	if (!steady || strcmp(steady, slash) == 0)
		return false;
	len = snprintf(ret, OBS_NAME_MAX, "%.*s%s", (int)(slash - path), path, steady);
	if (len >= OBS_NAME_MAX)
		return false;
	n = graph_node_const(e->graph, graph_find(e->graph, NODE_FILE, ret));
	return obs_produces(o) || (n && n->flags & NODE_F_TEMP);
}

int needs_file(struct engine *e, uint32_t run, const struct obs *o, const char *path)
{
	char steady[OBS_NAME_MAX];
	bool temp = temporary(e, o, path, steady);
	struct node *n;
	uint32_t id;
	int r;

	path = temp ? steady : path;
	if (o->flags & OBS_F_LOOKUP)
		asking(e, lineage_run(e->lineage, run));
	if (o->flags & OBS_F_LOOKUP && sweep(e, run, path))
		return 0;
	r = engine_intern(e, NODE_FILE, path, o, &id);
	if (r != 0)
		return r;
	if (o->flags & OBS_F_LOOKUP)
		return lookup(e, run, id, o);
	n = graph_node(e->graph, id);
	n->flags &= (uint8_t) ~(NODE_F_ABSENT | NODE_F_DIR);
	if (temp)
		n->flags |= NODE_F_TEMP;
	if (o->err == ENOENT || o->err == ENOTDIR)
		n->flags |= NODE_F_ABSENT;
	else if (o->flags & OBS_F_DIR)
		n->flags |= NODE_F_DIR;
	if (o->file.ino && !temp) {
		bool below = o->file.real_ino; /* pages come and go by that name */

		n->dev = below ? o->file.real_dev : o->file.dev;
		n->ino = below ? o->file.real_ino : o->file.ino;
		n->size_bytes = o->file.size;
		use_file(e->use, id, n->dev, n->ino);
	}
	r = needs_take(e, run, EDGE_OPEN, id, o);
	n = graph_node(e->graph, id);
	if (r >= 0 && n && n->flags & NODE_F_DIR && !(o->flags & OBS_F_SEED))
		list(e, run, id);
	if (r < 0 || !e->phases.open_n || !n || (n->flags & NODE_F_TEMP) || o->flags & OBS_F_SEED ||
	    obs_produces(o))
		return r;
	return phase_need(e, id, o);
}
