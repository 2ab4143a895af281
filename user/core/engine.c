// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * engine.c - every observation goes to the run it belongs to: what that needs becomes edges of the
 * graph (needs.c) and, when it starts a program, a symbol in its stream. Guessing is in predict.c.
 */
#include "core/engine_state.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "core/block.h"
#include "core/naming.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define TOUCHES_PER_PROCESS 12

static bool symbol_eq(const void *ctx, uint32_t slot, const void *key)
{
	return ((const struct engine *)ctx)->aux[slot].symbol == *(const uint32_t *)key;
}

int engine_new(const struct engine_limits *limits, const struct plan_policy *policy,
	       struct engine **ret)
{
	struct vomm_limits model = {.bytes_max = limits->model_bytes_max};
	struct ranges_limits ranges = {.set_max = 8192, .cell_max = 65536};
	struct engine *e = calloc(1, sizeof(*e));
	uint32_t node_max = limits->graph.node_max;
	int r;

	if (!e)
		return fault(-ENOMEM);
	e->limits = *limits;
	e->left_n = LEFT_UNTOLD;
	e->policy = *policy;
	r = graph_new(&limits->graph, &e->graph);
	if (r >= 0)
		r = lineage_new(limits->process_max, limits->process_max * TOUCHES_PER_PROCESS,
				&e->lineage);
	if (r >= 0)
		r = vomm_new(&model, &e->model);
	if (r >= 0)
		r = book_new(limits->guess_max, node_max, &e->book);
	if (r >= 0)
		r = plan_new(limits->guess_max, policy, &e->plan);
	if (limits->ranges.set_max)
		ranges = limits->ranges;
	if (r >= 0)
		r = use_new(&ranges, node_max, &e->use);
	if (r >= 0)
		r = credit_new(&e->credit);
	if (r >= 0)
		r = heap_init(&e->later, limits->guess_max);
	if (r >= 0)
		r = index_init(&e->by_symbol, node_max);
	if (r >= 0) {
		e->aux = calloc((size_t)node_max + 1, sizeof(*e->aux));
		if (!e->aux)
			r = fault(-ENOMEM);
	}
	if (r < 0) {
		(void)engine_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

struct engine *engine_free(struct engine *e)
{
	if (!e)
		return NULL;
	e->graph = graph_free(e->graph);
	e->lineage = lineage_free(e->lineage);
	e->model = vomm_free(e->model);
	e->book = book_free(e->book);
	e->plan = plan_free(e->plan);
	e->use = use_free(e->use);
	e->credit = credit_free(e->credit);
	heap_fini(&e->later);
	index_fini(&e->by_symbol);
	free(e->aux);
	free(e);
	return NULL;
}

void engine_wall_offset(struct engine *e, int64_t offset_ns)
{
	e->wall_offset_ns = offset_ns;
}

uint64_t engine_wall(const struct engine *e, uint64_t ts_ns)
{
	return (uint64_t)((int64_t)ts_ns + e->wall_offset_ns);
}

/* --- names -------------------------------------------------------------------------------- */

static void aux_forget(struct engine *e, uint32_t id)
{
	struct node_aux *a = &e->aux[id];

	if (a->symbol)
		index_del(&e->by_symbol, a->symbol, id);
	use_node_gone(e->use, id);
	*a = (struct node_aux){0};
}

int engine_intern(struct engine *e, enum node_kind kind, const char *name, const struct obs *o,
		  uint32_t *ret_id)
{
	uint32_t id = graph_find(e->graph, kind, name);
	struct node *n;
	int r;

	if (!id) {
		r = graph_intern(e->graph, kind, name, engine_wall(e, o->ts_ns), &id);
		if (r != 0)
			return r;
		predict_forget(e, id); /* the id may have been another node's */
		aux_forget(e, id);
		graph_node(e->graph, id)->uid = o->uid;
	}
	n = graph_node(e->graph, id);
	n->last_ns = engine_wall(e, o->ts_ns);
	if (n->uid != o->uid) {
		n->uid = o->uid;
		n->flags |= NODE_F_SHARED;
	}
	graph_touch_node(e->graph, id);
	*ret_id = id;
	return 0;
}

static uint32_t symbol_of(struct engine *e, uint32_t block)
{
	const struct node *n = graph_node_const(e->graph, block);
	struct node_aux *a = &e->aux[block];

	if (a->symbol || !n)
		return a->symbol;
	a->symbol = (uint32_t)XXH3_64bits(n->name, n->name_len);
	if (a->symbol <= SYMBOL_END)
		a->symbol = SYMBOL_END + 1;
	if (index_get(&e->by_symbol, a->symbol, symbol_eq, e, &a->symbol) == INDEX_NONE)
		index_put(&e->by_symbol, a->symbol, block);
	else
		a->symbol =
			0; /* two names, one hash: the first keeps it, the other is not predicted */
	return a->symbol;
}

uint32_t engine_block_of_symbol(struct engine *e, uint32_t symbol)
{
	uint32_t id = index_get(&e->by_symbol, symbol, symbol_eq, e, &symbol);
	const struct node *n;

	if (id == INDEX_NONE)
		return 0;
	n = graph_node_const(e->graph, id);
	if (n && n->kind == NODE_BLOCK)
		return id;
	aux_forget(e, id);
	return 0;
}

/* --- observations --------------------------------------------------------------------------- */

/* Not on any disk: nothing to warm, and names without end. */
static bool ignored(const char *path)
{
	static const char *const prefixes[] = {"/proc/", "/sys/", "/dev/", "/memfd:"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return path[0] != '/' && !naming_inner(path);
}

/* A shell that was quiet for long is still running, and what it starts next is its. */
static void keep_running(struct engine *e, uint32_t block, bool begins)
{
	struct node *n = graph_node(e->graph, block);
	struct node_aux *a = &e->aux[block];

	if (begins && !a->running_n++)
		n->flags |= NODE_F_PINNED;
	else if (!begins && !--a->running_n)
		n->flags &= (uint8_t)~NODE_F_PINNED;
}

void engine_run_is(struct engine *e, struct run *rn, uint32_t block, uint32_t program)
{
	rn->block = block;
	rn->program = program;
	keep_running(e, block, true);
	if (program != block)
		keep_running(e, program, true);
}

void engine_run_gone(struct engine *e, uint32_t run)
{
	const struct run *rn = lineage_run(e->lineage, run);

	e->rest = e->rest && e->rest_run != run;
	if (!phase_pid(rn->pid))
		phase_leave(e, rn->uid);
	keep_running(e, rn->block, false);
	if (rn->program != rn->block)
		keep_running(e, rn->program, false);
	lineage_end(e->lineage, run);
}

static void end_run(struct engine *e, uint32_t run, uint64_t ts_ns)
{
	struct run *rn = lineage_run(e->lineage, run);

	if (e->aux[rn->block].parent)
		(void)vomm_observe(e->model, &rn->stream, SYMBOL_END, ts_ns, NULL);
	predict_hopeless(e, run);
	engine_run_gone(e, run);
}

/* The symbol of what the run started last; the first of its stream is its own block. */
static uint32_t newest_child(const struct run *rn)
{
	uint32_t n = rn->stream.length;

	return n > 1 ? rn->stream.history[(n - 1) % VOMM_HISTORY] : 0;
}

/* Of the starts for which nothing has to be done one in so many is guessed from, and the longer that is so the
 * fewer. */
#define READY_EVERY 4
#define READY_EVERY_MAX 64

static bool ready_guessed(uint32_t idle_n)
{
	uint32_t every = READY_EVERY;

	while (every < READY_EVERY_MAX && idle_n >= every * 16)
		every *= 4;
	return idle_n % every == 0;
}

static int observe_exec(struct engine *e, const struct obs *o)
{
	char name[BLOCK_NAME_MAX];
	uint32_t from = lineage_run_of(e->lineage, o->pid), block, program, run, ended;
	size_t program_n = block_name(o, name);
	bool quiet = o->flags & OBS_F_QUIET;
	uint32_t features[VOMM_FEATURE_MAX] = {0};
	struct node *n;
	struct run *rn;
	int r;

	if (from == RUN_NONE)
		from = lineage_run_of(e->lineage, o->ppid);
	r = engine_intern(e, NODE_BLOCK, name, o, &block);
	if (r != 0)
		return r;
	program = block;
	if (name[program_n]) {
		name[program_n] = '\0';
		r = engine_intern(e, NODE_BLOCK, name, o, &program);
		if (r < 0)
			return r;
		if (r > 0 || !graph_node(e->graph, block))
			program = block;
	}
	e->aux[block].program = program;
	if (from != RUN_NONE) {
		struct run *f = lineage_run(e->lineage, from);

		r = needs_take(e, from, EDGE_EXEC, block, o);
		if (r < 0)
			return r;
		features[VOMM_PARENT] = symbol_of(e, f->block);
		features[VOMM_BEFORE] = newest_child(f);
		e->aux[f->block].parent = true;
		if (symbol_of(e, block) && !(o->flags & OBS_F_SEED))
			(void)vomm_observe(e->model, &f->stream, symbol_of(e, block), o->ts_ns,
					   NULL);
	}
	run = lineage_exec(e->lineage, o->pid, o->ppid, o->ts_ns, &ended);
	rn = lineage_run(e->lineage, run);
	if (ended != RUN_NONE) { /* what was hoped of env is hoped of what it became */
		const struct run *before = lineage_run(e->lineage, ended);

		rn->hope = before->hope;
		rn->hope_first = before->hope_first;
		rn->missed_n =
			before->missed_n; /* whether it was cold is known when the process ends */
		rn->late_n = before->late_n;
	} else {
		rn->hope = ++e->hope_n;
	}
	engine_run_is(e, rn, block, program);
	rn->uid = o->uid;
	phase_enter(e, o, o->uid); /* before it leaves what it was: or it would come from nowhere */
	if (ended != RUN_NONE)
		engine_run_gone(e, ended);
	n = graph_node(e->graph, program);
	/* A start whose opens are not reported says nothing about how likely they are. */
	n->runs_n += quiet ? 0 : 1;
	rn->program_run = n->runs_n;
	if (program != block)
		rn->block_run = graph_node(e->graph, block)->runs_n += quiet ? 0 : 1;
	else
		rn->block_run = rn->program_run;
	needs_count_run(e, block);
	if (program != block)
		needs_count_run(e, program);
	use_exec(e->use, o->pid, o->ts_ns, block, program);
	features[VOMM_PROGRAM] = symbol_of(e, block);
	features[VOMM_USER] = o->uid + 1;
	vomm_stream_init(&rn->stream, features);
	vomm_advance(e->model, &rn->stream, features[VOMM_PROGRAM], o->ts_ns);
	/* The image itself is needed first of all, and is so already: it is no guess any more. */
	if (!ignored(o->name)) {
		r = needs_file(e, run,
			       &(struct obs){.kind = OBS_OPEN,
					     .ts_ns = o->ts_ns,
					     .uid = o->uid,
					     .flags = OBS_F_MAPPED | (o->flags & OBS_F_SEED),
					     .count = 1,
					     .file = o->file},
			       o->name);
		if (r < 0)
			return r;
	}
	if (quiet && e->phases.open_n) {
		r = phase_quiet(e, block, o);
		if (r < 0)
			return r;
	}
	/* Nothing will be done for it: now and then is enough to see whether what it starts is what it was. */
	if (o->flags & OBS_F_READY) {
		if (ready_guessed(e->aux[block].idle_n))
			predict_programs(e, run);
	} else if (!(o->flags & OBS_F_SEED)) {
		predict_from(e, run);
	}
	e->aux[block].idle_n++;
	return 0;
}

static bool was_cold(const struct obs_use *use)
{
	return use->read_bytes || use->majflt_n;
}

/* How far up it counts that a program had to read from a disk, and how far back: of what was started before it
 * there, each could have foretold it. */
#define READ_DEPTH 3
#define READ_BEFORE 4

static void not_idle(struct engine *e, uint32_t run)
{
	for (int i = 0; i <= READ_DEPTH && run != RUN_NONE; i++) {
		const struct run *rn = lineage_run(e->lineage, run);
		uint32_t n = rn->stream.length;

		e->aux[rn->block].idle_n = 0;
		for (uint32_t k = 1; i > 0 && k <= READ_BEFORE && k < n; k++)
			e->aux[engine_block_of_symbol(e,
						      rn->stream.history[(n - k) % VOMM_HISTORY])]
				.idle_n = 0;
		run = lineage_parent(e->lineage, run);
	}
}

static int observe_exit(struct engine *e, const struct obs *o)
{
	uint32_t run = lineage_run_of(e->lineage, o->pid), parent, ended;
	struct edge *edge;
	struct run *rn;
	int r = 0;

	if (run != RUN_NONE && o->use.read_bytes)
		not_idle(e, run);
	if (run != RUN_NONE && lineage_run(e->lineage, run)->pid == o->pid) {
		rn = lineage_run(e->lineage, run);
		/* A process that read nothing from storage found all it needed in memory. */
		book_unmet(e->book, rn->block, OUTCOME_MISSED, rn->missed_n, was_cold(&o->use));
		book_unmet(e->book, rn->block, OUTCOME_LATE, rn->late_n, was_cold(&o->use));
		rn->missed_n = rn->late_n = 0;
		parent = lineage_parent(e->lineage, run);
		if (parent != RUN_NONE && o->use.life_ns) {
			r = graph_edge(e->graph, lineage_run(e->lineage, parent)->block, rn->block,
				       EDGE_EXEC, engine_wall(e, o->ts_ns), &edge);
			if (r == 0 && edge->count) { /* 0: it was evicted meanwhile */
				struct edge_use *u = edge->use;

				u->use_n++;
				u->life_sum_ns += o->use.life_ns;
				u->cold_n += was_cold(&o->use);
				u->cold_sum_ns += was_cold(&o->use) ? o->use.life_ns : 0;
				u->cpu_sum_ns += o->use.cpu_ns;
				u->read_sum_bytes += o->use.read_bytes;
				u->write_sum_bytes += o->use.write_bytes;
				u->majflt_sum += o->use.majflt_n;
				u->minflt_sum += o->use.minflt_n;
				if (o->use.rss_peak_bytes > u->rss_peak_bytes)
					u->rss_peak_bytes = o->use.rss_peak_bytes;
			}
		}
	}
	lineage_exit(e->lineage, o->pid, &ended);
	if (ended != RUN_NONE)
		end_run(e, ended, o->ts_ns);
	return r < 0 ? r : 0;
}

static int observe_service(struct engine *e, uint32_t run, const struct obs *o)
{
	uint32_t id;
	int r;

	r = engine_intern(e, NODE_SERVICE, o->name, o, &id);
	if (r != 0)
		return r;
	return needs_take(e, run, o->kind == OBS_LISTEN ? EDGE_LISTEN : EDGE_CONNECT, id, o);
}

static int observe(struct engine *e, const struct obs *o)
{
	struct obs mine;
	uint32_t run;

	switch (o->kind) {
	case OBS_FORK:
		lineage_fork(e->lineage, o->pid, o->ppid);
		return 0;
	case OBS_EXEC:
		return observe_exec(e, o);
	case OBS_EXIT:
		return observe_exit(e, o);
	case OBS_OPEN:
	case OBS_FOLD:
	case OBS_CONNECT:
	case OBS_LISTEN:
		break;
	default:
		return fault(-EINVAL);
	}
	if ((o->kind == OBS_OPEN || o->kind == OBS_FOLD) && ignored(o->name)) {
		e->stats.obs_ignored_n++;
		return 0;
	}
	run = lineage_run_of(e->lineage, o->pid);
	if (run == RUN_NONE) {
		e->stats.obs_orphan_n++;
		return 0;
	}
	mine = *o; /* the kernel tells who a process is at its start only */
	mine.uid = lineage_run(e->lineage, run)->uid;
	if (o->kind == OBS_CONNECT || o->kind == OBS_LISTEN)
		return observe_service(e, run, &mine);
	return needs_file(e, run, &mine, o->name);
}

int engine_observe(struct engine *e, const struct obs *o)
{
	uint32_t run;
	int r;

	if (o->kind <= OBS_NONE || o->kind >= OBS_KIND_MAX)
		return fault(-EINVAL);
	(void)predict_rest(e);
	if (o->ts_ns > e->now_ns)
		e->now_ns = o->ts_ns;
	e->stats.obs_n[o->kind] += o->count ? o->count : 1;
	r = observe(e, o);
	while (lineage_next_evicted(e->lineage, &run))
		engine_run_gone(e, run);
	return r < 0 ? r : 0; /* a full graph is counted there; there is nothing to do about it */
}

void engine_left(struct engine *e, uint32_t left_n)
{
	e->left_n = left_n;
}

int engine_observe_use(struct engine *e, uint32_t pid, uint64_t exec_ns, uint64_t dev, uint64_t ino,
		       const struct ranges_use *uses, size_t n)
{
	int r = use_learn(e->use, pid, exec_ns, dev, ino, uses, n);

	return r < 0 ? r : 0;
}

/* --- views ----------------------------------------------------------------------------------- */

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
	struct lineage_stats l;
	struct plan_stats p;

	*ret = e->stats;
	lineage_stats(e->lineage, &l);
	plan_stats(e->plan, &p);
	graph_stats(e->graph, &ret->graph);
	ret->processes_n = l.processes_n;
	ret->processes_evicted = l.processes_evicted;
	ret->guesses_open_n = book_open_n(e->book);
	ret->guesses_evicted = book_evicted(e->book);
	ret->queue_n = p.queued_n;
	ret->inflight_bytes = p.inflight_bytes;
	ret->score.lambda = ret->score_all.lambda = p.lambda;
	book_score(e->book, &ret->score);
	book_score_all(e->book, &ret->score_all);
	ret->bytes = sizeof(*e) + ret->graph.bytes + lineage_bytes(e->lineage) +
		     vomm_bytes(e->model) + book_bytes(e->book) + plan_bytes(e->plan) +
		     use_memory(e->use) + credit_memory(e->credit) +
		     ((uint64_t)e->limits.graph.node_max + 1) * sizeof(*e->aux) +
		     e->later.entry_max * sizeof(struct heap_entry);
}

void engine_restore_score(struct engine *e, const struct score *kept)
{
	book_restore(e->book, kept);
	plan_restore(e->plan, kept->lambda);
}

uint64_t engine_restore_guess(struct engine *e, const struct guess *kept)
{
	book_restore_guess(e->book, kept);
	return book_newest(e->book);
}

void engine_restore_block_score(struct engine *e, uint32_t block, const struct block_score *kept)
{
	book_restore_block(e->book, block, kept);
}

void engine_block_score(const struct engine *e, uint32_t block, struct block_score *ret)
{
	book_block_score(e->book, block, ret);
}

uint32_t engine_idle_starts(const struct engine *e, uint32_t block)
{
	return e->aux[block].idle_n;
}

struct graph *engine_graph(struct engine *e)
{
	return e->graph;
}

const struct graph *engine_graph_const(const struct engine *e)
{
	return e->graph;
}

struct vomm *engine_model(struct engine *e)
{
	return e->model;
}

struct ranges *engine_ranges(struct engine *e)
{
	return use_ranges(e->use);
}

int engine_restore_ranges(struct engine *e, uint32_t block, uint32_t file, const void *bytes,
			  size_t n)
{
	return use_restore(e->use, block, file, bytes, n);
}

/* "git status" is an invocation of "git", if that is a block too. */
static uint32_t program_of(const struct engine *e, const struct node *n)
{
	char name[BLOCK_NAME_MAX];

	for (size_t i = 1; i < n->name_len && i < sizeof(name); i++) {
		uint32_t id;

		if (n->name[i] != ' ')
			continue;
		memcpy(name, n->name, i);
		name[i] = '\0';
		id = graph_find(e->graph, NODE_BLOCK, name);
		if (id)
			return id;
	}
	return n->id;
}

void engine_restored(struct engine *e)
{
	const struct node *n;
	const struct edge *edge;
	uint32_t it = 0, out;

	while (graph_next_node(e->graph, &it, &n)) {
		if (n->kind != NODE_BLOCK)
			continue;
		(void)symbol_of(e, n->id);
		e->aux[n->id].program = program_of(e, n);
		for (out = 0; graph_next_out(e->graph, n->id, &out, &edge);) {
			e->aux[n->id].parent |= edge->kind == EDGE_EXEC;
			/* Some of it was asked about in the newest of those runs. */
			if (edge->flags & EDGE_F_LOOKUP && edge->run_last > e->aux[n->id].asking_n)
				e->aux[n->id].asking_n = edge->run_last;
		}
	}
}

void engine_model_replace(struct engine *e, struct vomm *v)
{
	(void)vomm_free(e->model);
	e->model = v;
}

bool engine_next_guess(const struct engine *e, uint64_t *it, const struct guess **ret)
{
	return book_next(e->book, it, ret);
}

bool engine_next_ended(const struct engine *e, uint64_t *it, const struct guess **ret)
{
	return book_next_ended(e->book, it, ret);
}

const char *outcome_name(enum outcome o)
{
	static const char *const names[] = {
		[OUTCOME_OPEN] = "open",       [OUTCOME_HIT] = "hit",
		[OUTCOME_LATE] = "late",       [OUTCOME_WASTED] = "wasted",
		[OUTCOME_MISSED] = "missed",   [OUTCOME_RESIDENT] = "resident",
		[OUTCOME_DROPPED] = "dropped",
	};

	return (size_t)o < ARRAY_SIZE(names) ? names[o] : "?";
}

const char *decision_name(enum decision d)
{
	static const char *const names[DECISION_MAX] = {
		[DECISION_NONE] = "none",   [DECISION_WAITS] = "waits",
		[DECISION_ACTED] = "acted", [DECISION_UNWORTHY] = "unworthy",
		[DECISION_LATE] = "late",   [DECISION_UNTRUSTED] = "untrusted",
		[DECISION_FULL] = "full",   [DECISION_FAILED] = "failed",
	};

	return (size_t)d < ARRAY_SIZE(names) ? names[d] : "?";
}
