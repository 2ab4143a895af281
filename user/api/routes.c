// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* routes.c - see routes.h. Each handler reads its arguments through the table's row, so that none
 * of them meets one that is missing, too long or of another kind. */
#include "api/routes.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_BYTES_MAX = 4095,
	ROWS_MAX = 1000,
	ROWS_DEFAULT = 50,
	CANDIDATES_MAX = 20,
	/* A step. It fits what an answer may hold unread, even if every name is 4,095 control characters. */
	EXPORT_NODES = 64,
	EXPORT_EDGES = 128,
};

enum arg_type { ARG_NAME, ARG_ROWS, ARG_TIME };

struct arg {
	const char *name;
	enum arg_type type;
	bool required;
};

struct args {
	const char *name;
	size_t rows;
	uint64_t since_ns;
};

struct route {
	const char *cmd;
	struct arg args[3];
	int (*answer)(const struct routes *r, struct api_call *call, const struct args *a);
};

/* --- finding what is meant ------------------------------------------------------------------- */

static int candidates(const struct graph *g, struct api_call *call, const uint32_t *ids, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		const struct node *node = graph_node_const(g, ids[i]);
		json_t *o = json_pack(
			"{s:s, s:s, s:o, s:I}", "type", "candidate", "kind",
			view_node_kind(node->kind), "name", api_string(node->name), "runs_n",
			(json_int_t)(node->kind == NODE_BLOCK ? node->runs_n : node->in_n));

		r = api_put(call, o);
	}
	return r;
}

static json_t *thing_at(const struct routes *r, uint32_t id, uint64_t wall_ns)
{
	const struct graph *g = engine_graph_const(r->engine);
	const struct node *n = graph_node_const(g, id);
	struct block_score score;
	json_t *o = view_node(g, n, wall_ns);

	if (n->kind == NODE_BLOCK) {
		engine_block_score(r->engine, id, &score);
		(void)json_object_set_new(o, "score", view_block_score(&score));
	}
	return o;
}

static json_t *thing(const struct routes *r, uint32_t id)
{
	struct view_host host = {0};

	r->host(r->ctx, &host);
	return thing_at(r, id, host.wall_ns);
}

enum { NOT_ONE = 1 /* the call is answered: no such name, or several */ };

/* The ids called name; all of one name, such as the block and the file /usr/bin/git. */
static int find(const struct routes *r, struct api_call *call, const char *name, unsigned kinds,
		uint32_t ret_ids[CANDIDATES_MAX], size_t *ret_n)
{
	const struct graph *g = engine_graph_const(r->engine);
	size_t n = view_find(g, name, kinds, ret_ids, CANDIDATES_MAX), shown;
	bool same = true;
	int err;

	if (n == 0) {
		(void)api_fail(call, FWM_STATUS_NOT_FOUND, "nothing called '%s' was seen yet",
			       name);
		return NOT_ONE;
	}
	shown = n < CANDIDATES_MAX ? n : CANDIDATES_MAX;
	for (size_t i = 1; i < shown; i++)
		same = same && strcmp(graph_node_const(g, ret_ids[i])->name,
				      graph_node_const(g, ret_ids[0])->name) == 0;
	if (same) {
		*ret_n = shown;
		return 0;
	}
	err = candidates(g, call, ret_ids, shown);
	if (err < 0)
		return err;
	(void)api_fail(call, FWM_STATUS_NOT_FOUND, "'%s' may be any of %zu names; say more of it",
		       name, n);
	return NOT_ONE;
}

/* --- answers --------------------------------------------------------------------------------- */

static int answer_status(const struct routes *r, struct api_call *call, const struct args *a)
{
	struct engine_stats stats;
	struct view_host host = {0};

	(void)a;
	engine_stats(r->engine, &stats);
	r->host(r->ctx, &host);
	return api_put(call, view_status(&stats, &host));
}

/* An edge and what it is ordered by. */
struct ranked {
	const struct edge *e;
	double key, share;
};

static int by_key(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	/* The same order each time, whatever qsort() does. */
	if (x->e->from != y->e->from)
		return x->e->from < y->e->from ? -1 : 1;
	return x->e->to < y->e->to ? -1 : x->e->to > y->e->to;
}

static int put_ranked(const struct graph *g, struct api_call *call, struct ranked *rows, size_t n,
		      size_t max)
{
	int r = 0;

	if (n)
		qsort(rows, n, sizeof(*rows), by_key);
	for (size_t i = 0; i < n && i < max && r >= 0; i++)
		r = api_put(call, view_edge(g, rows[i].e, rows[i].share));
	if (n > max && r >= 0)
		r = api_put(call, json_pack("{s:s, s:I}", "type", "more", "rows_n",
					    (json_int_t)(n - max)));
	return r;
}

typedef bool (*walk_fn)(const struct graph *g, uint32_t id, uint32_t *it, const struct edge **ret);

/* The edges of node id in one direction, by share of runs, then by how soon they are needed. */
static int put_edges(const struct routes *host, struct api_call *call, uint32_t id, walk_fn walk,
		     size_t max)
{
	const struct graph *g = engine_graph_const(host->engine);
	const struct node *node = graph_node_const(g, id);
	size_t n = 0, room = (size_t)(walk == graph_next_out ? node->out_n : node->in_n) + 1;
	_cleanup_(freep) struct ranked *rows = calloc(room, sizeof(*rows));
	struct view_asking asking = {0};
	const struct edge *e;
	uint32_t it = 0;
	int r;

	if (!rows)
		return -ENOMEM;
	r = api_put(call, thing(host, id));
	while (r >= 0 && n < room && walk(g, id, &it, &e)) {
		double lead_s = e->lead_n ? (double)e->lead_sum_ns / (double)e->lead_n / 1e9 : 1e6;
		double share = view_share(g, e, &asking);

		/* Shares differ by 1/runs at least; lead only decides between equal ones. */
		rows[n++] = (struct ranked){e, share * 1e6 - lead_s / (1 + lead_s), share};
	}
	return r < 0 ? r : put_ranked(g, call, rows, n, max);
}

static int answer_deps(const struct routes *r, struct api_call *call, const struct args *a)
{
	uint32_t ids[CANDIDATES_MAX];
	size_t n = 0;
	int err = find(r, call, a->name, VIEW_BLOCKS, ids, &n);

	if (err)
		return err < 0 ? err : 0;
	return put_edges(r, call, ids[0], graph_next_out, a->rows);
}

static int answer_needs(const struct routes *r, struct api_call *call, const struct args *a)
{
	uint32_t ids[CANDIDATES_MAX];
	size_t n = 0;
	int err = find(r, call, a->name, VIEW_BLOCKS | VIEW_FILES | VIEW_SERVICES, ids, &n);

	for (size_t i = 0; i < n && err >= 0; i++)
		err = put_edges(r, call, ids[i], graph_next_in, a->rows);
	return err < 0 ? err : 0;
}

static int answer_predict(const struct routes *r, struct api_call *call, const struct args *a)
{
	const struct graph *g = engine_graph_const(r->engine);
	_cleanup_(freep) struct guess *guesses = NULL;
	uint32_t ids[CANDIDATES_MAX];
	size_t n = 0;
	int err = find(r, call, a->name, VIEW_BLOCKS, ids, &n);

	if (err)
		return err < 0 ? err : 0;
	guesses = calloc(a->rows, sizeof(*guesses));
	if (!guesses)
		return -ENOMEM;
	err = api_put(call, thing(r, ids[0]));
	n = engine_predict_block(r->engine, ids[0], guesses, a->rows);
	for (size_t i = 0; i < n && err >= 0; i++)
		err = api_put(call, view_prediction(g, &guesses[i]));
	return err;
}

static bool concerns(const struct guess *guess, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (guess->dep == ids[i] || guess->via == ids[i] || guess->block == ids[i])
			return true;
	return false;
}

/* The addresses of the unit called name, as the graph knows them, behind the n there are; the new n. */
static size_t add_addresses(const struct routes *r, const char *name, uint32_t ids[CANDIDATES_MAX],
			    size_t n)
{
	const struct graph *g = engine_graph_const(r->engine);
	const struct node *node;
	uint32_t it = 0;

	while (n < CANDIDATES_MAX && graph_next_node(g, &it, &node))
		if (node->kind == NODE_SERVICE && r->units.reaches(r->units.ctx, name, node->name))
			ids[n++] = node->id;
	return n;
}

/* What is meant by name: one thing, a unit, or both. NOT_ONE as find(). */
static int find_or_unit(const struct routes *r, struct api_call *call, const char *name,
			uint32_t ids[CANDIDATES_MAX], size_t *ret_n)
{
	const unsigned kinds = VIEW_BLOCKS | VIEW_FILES | VIEW_SERVICES;
	const struct graph *g = engine_graph_const(r->engine);
	size_t n;

	if (!r->units.put || !r->units.put(r->units.ctx, call, name))
		return find(r, call, name, kinds, ids, ret_n);
	n = view_find(g, name, kinds, ids, CANDIDATES_MAX);
	*ret_n = add_addresses(r, name, ids,
			       n == 1 && graph_node_const(g, ids[0])->kind != NODE_SERVICE);
	return 0;
}

/* The guesses about a thing, newest first, after the thing itself. */
static int answer_why(const struct routes *r, struct api_call *call, const struct args *a)
{
	const struct graph *g = engine_graph_const(r->engine);
	struct view_host host = {0};
	uint32_t ids[CANDIDATES_MAX];
	const struct guess *guess;
	size_t n = 0, shown = 0, all = 0;
	uint64_t it = 0;
	int err = find_or_unit(r, call, a->name, ids, &n);

	if (err)
		return err < 0 ? err : 0;
	r->host(r->ctx, &host);
	for (size_t i = 0; i < n && err >= 0; i++)
		err = api_put(call, thing(r, ids[i]));
	while (err >= 0 && engine_next_guess(r->engine, &it, &guess)) {
		if (!concerns(guess, ids, n))
			continue;
		all++;
		if (shown < a->rows) {
			err = api_put(call, view_guess(g, guess, &host));
			shown++;
		}
	}
	if (all > shown && err >= 0)
		err = api_put(call, json_pack("{s:s, s:I}", "type", "more", "rows_n",
					      (json_int_t)(all - shown)));
	return err;
}

/* A program, and how many guesses acted on for it came to something or nothing. */
struct scored {
	uint32_t block;
	uint64_t acted_n;
};

static int by_acted(const void *a, const void *b)
{
	const struct scored *x = a, *y = b;

	if (x->acted_n != y->acted_n)
		return x->acted_n > y->acted_n ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

/* Each program's score, most acted on first. */
static int put_scores(const struct routes *r, struct api_call *call, size_t rows, uint64_t wall_ns)
{
	const struct graph *g = engine_graph_const(r->engine);
	_cleanup_(freep) struct scored *scored = NULL;
	struct engine_stats stats;
	const struct node *node;
	uint32_t at = 0;
	size_t n = 0;
	int err = 0;

	engine_stats(r->engine, &stats);
	scored = calloc(stats.graph.nodes_n + 1, sizeof(*scored));
	if (!scored)
		return -ENOMEM;
	while (n < stats.graph.nodes_n && graph_next_node(g, &at, &node)) {
		struct block_score s;

		if (node->kind != NODE_BLOCK)
			continue;
		engine_block_score(r->engine, node->id, &s);
		scored[n].block = node->id;
		scored[n].acted_n = (uint64_t)s.outcome_n[OUTCOME_HIT] + s.outcome_n[OUTCOME_LATE] +
				    s.outcome_n[OUTCOME_WASTED];
		n += scored[n].acted_n > 0;
	}
	if (n)
		qsort(scored, n, sizeof(*scored), by_acted);
	for (size_t i = 0; i < n && i < rows && err >= 0; i++)
		err = api_put(call, thing_at(r, scored[i].block, wall_ns));
	return err;
}

/* The score of programs; the edges taken since the time given, most often taken first; the newest
 * guesses. */
static int answer_top(const struct routes *r, struct api_call *call, const struct args *a)
{
	const struct graph *g = engine_graph_const(r->engine);
	_cleanup_(freep) struct ranked *rows = NULL;
	struct engine_stats stats;
	struct view_asking asking = {0};
	struct view_host host = {0};
	const struct guess *guess;
	const struct node *node;
	const struct edge *e;
	uint32_t at = 0, it;
	uint64_t guess_it = 0;
	size_t n = 0;
	int err;

	engine_stats(r->engine, &stats);
	r->host(r->ctx, &host);
	rows = calloc(stats.graph.edges_n + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	while (graph_next_node(g, &at, &node)) {
		it = 0;
		while (n < stats.graph.edges_n && graph_next_out(g, node->id, &it, &e))
			if (e->last_ns >= a->since_ns)
				rows[n++] = (struct ranked){e, (double)e->count,
							    view_share(g, e, &asking)};
	}
	err = api_put(call, view_status(&stats, &host));
	if (err >= 0)
		err = put_scores(r, call, a->rows, host.wall_ns);
	if (n && err >= 0)
		qsort(rows, n, sizeof(*rows), by_key);
	for (size_t i = 0; i < n && i < a->rows && err >= 0; i++)
		err = api_put(call, view_edge(g, rows[i].e, rows[i].share));
	for (size_t i = 0; i < a->rows && err >= 0; i++) {
		if (!engine_next_guess(r->engine, &guess_it, &guess))
			break;
		err = api_put(call, view_guess(g, guess, &host));
	}
	return err;
}

/* Where an export stands, in call->it: in the edges of node, or after them. */
enum { EXPORT_NODE, EXPORT_EDGE_TO /* 0: after them */, EXPORT_EDGE_KIND, EXPORT_ASKING };

/* The edges of the node an export stands at, or those which are left of them; at most max. */
static int export_edges(const struct graph *g, struct api_call *call, size_t max, size_t *ret_n)
{
	uint32_t from = (uint32_t)call->it[EXPORT_NODE], to = (uint32_t)call->it[EXPORT_EDGE_TO];
	uint32_t it = graph_out_at(g, from, to, (enum edge_kind)call->it[EXPORT_EDGE_KIND]);
	struct view_asking asking = {0};
	const struct edge *e = NULL;
	size_t n = 0;
	int err = 0;

	call->it[EXPORT_EDGE_TO] = 0;
	*ret_n = 0;
	if (to && !it)
		return 0; /* it went meanwhile */
	if (to && call->it[EXPORT_ASKING])
		asking = (struct view_asking){from, call->it[EXPORT_ASKING]};
	while (n < max && err >= 0 && graph_next_out(g, from, &it, &e)) {
		err = api_put(call, view_edge(g, e, view_share(g, e, &asking)));
		n++;
	}
	if (n == max) {
		call->it[EXPORT_EDGE_TO] = e->to;
		call->it[EXPORT_EDGE_KIND] = e->kind;
		call->it[EXPORT_ASKING] = asking.runs_n;
	}
	*ret_n = n;
	return err;
}

/* All nodes, each followed by its edges; in steps, so the whole is not of one moment. When the edge goes
 * at which a step ended, the rest of its node's are left out. */
static int answer_export(const struct routes *r, struct api_call *call, const struct args *a)
{
	const struct graph *g = engine_graph_const(r->engine);
	uint32_t at = (uint32_t)call->it[EXPORT_NODE];
	struct view_host host = {0};
	const struct node *node;
	size_t n = 0, edges_n = 0;
	int err = 0;

	(void)a;
	r->host(r->ctx, &host);
	if (call->it[EXPORT_EDGE_TO])
		err = export_edges(g, call, EXPORT_EDGES, &edges_n);
	for (int i = 0; i < EXPORT_NODES && edges_n < EXPORT_EDGES && err >= 0; i++) {
		if (!graph_next_node(g, &at, &node))
			return 0;
		call->it[EXPORT_NODE] = at;
		err = api_put(call, thing_at(r, at, host.wall_ns));
		if (err >= 0)
			err = export_edges(g, call, EXPORT_EDGES - edges_n, &n);
		edges_n += n;
	}
	return err < 0 ? err : API_MORE;
}

#define NAME                                                                                       \
	{                                                                                          \
		"name", ARG_NAME, true                                                             \
	}
#define ROWS                                                                                       \
	{                                                                                          \
		"rows", ARG_ROWS, false                                                            \
	}

static const struct route routes[] = {
	{"status", {{0}}, answer_status},
	{"deps", {NAME, ROWS}, answer_deps},
	{"needs", {NAME, ROWS}, answer_needs},
	{"predict", {NAME, ROWS}, answer_predict},
	{"why", {NAME, ROWS}, answer_why},
	{"top", {{"since_wall_ns", ARG_TIME, false}, ROWS}, answer_top},
	{"export", {{0}}, answer_export},
};

/* --- arguments ------------------------------------------------------------------------------- */

enum { ARGS_BAD = 1 };

/* Takes one argument into *ret; ARGS_BAD when v is not what it may be. */
static int take_arg(const struct arg *arg, const json_t *v, struct args *ret)
{
	json_int_t n = json_integer_value(v);

	switch (arg->type) {
	case ARG_NAME:
		if (!json_is_string(v) || !json_string_length(v) ||
		    json_string_length(v) > NAME_BYTES_MAX)
			return ARGS_BAD;
		ret->name = json_string_value(v);
		return 0;
	case ARG_ROWS:
		if (!json_is_integer(v) || n < 1 || n > ROWS_MAX)
			return ARGS_BAD;
		ret->rows = (size_t)n;
		return 0;
	case ARG_TIME:
		if (!json_is_integer(v) || n < 0)
			return ARGS_BAD;
		ret->since_ns = (uint64_t)n;
		return 0;
	}
	return ARGS_BAD;
}

static const struct arg *arg_named(const struct route *route, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(route->args) && route->args[i].name; i++)
		if (strcmp(route->args[i].name, name) == 0)
			return &route->args[i];
	return NULL;
}

/* Reads call's arguments by the route's row; ARGS_BAD: the call is answered. */
static int read_args(const struct route *route, struct api_call *call, struct args *ret)
{
	static const char *const allowed[] = {
		[ARG_NAME] = "a string of 1 to 4095 bytes",
		[ARG_ROWS] = "a number from 1 to 1000",
		[ARG_TIME] = "a time in ns",
	};
	const char *key;
	json_t *v;

	*ret = (struct args){.rows = ROWS_DEFAULT};
	json_object_foreach(call->args, key, v)
	{
		const struct arg *arg = arg_named(route, key);

		if (!arg) {
			(void)api_fail(call, FWM_STATUS_USAGE, "'%s' takes no argument '%s'",
				       route->cmd, key);
			return ARGS_BAD;
		}
		if (take_arg(arg, v, ret)) {
			(void)api_fail(call, FWM_STATUS_USAGE, "'%s' of '%s' must be %s", arg->name,
				       route->cmd, allowed[arg->type]);
			return ARGS_BAD;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(route->args) && route->args[i].name; i++)
		if (route->args[i].required && !json_object_get(call->args, route->args[i].name)) {
			(void)api_fail(call, FWM_STATUS_USAGE, "'%s' needs an argument '%s'",
				       route->cmd, route->args[i].name);
			return ARGS_BAD;
		}
	return 0;
}

int routes_answer(void *ctx, struct api_call *call)
{
	const struct routes *r = ctx;
	struct args args;

	for (const struct routes_hook *h = r->hooks; h && h->cmd; h++)
		if (strcmp(h->cmd, call->cmd) == 0)
			return h->answer(h->ctx, call);
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(routes[i].cmd, call->cmd) != 0)
			continue;
		if (read_args(&routes[i], call, &args) != 0)
			return 0;
		return routes[i].answer(r, call, &args);
	}
	return api_fail(call, FWM_STATUS_USAGE, "this daemon does not know '%s'", call->cmd);
}
