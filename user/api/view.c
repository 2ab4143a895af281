// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* view.c - see view.h. */
#include "api/view.h"

#include "api/socket.h"
#include "base/cleanup.h"

#include <string.h>

const char *view_node_kind(enum node_kind k)
{
	static const char *const names[NODE_KIND_MAX] = {"none", "block", "file", "service"};

	return k < NODE_KIND_MAX ? names[k] : "none";
}

const char *view_edge_kind(enum edge_kind k)
{
	static const char *const names[EDGE_KIND_MAX] = {"none",    "exec",   "open",
							 "connect", "listen", "below"};

	return k < EDGE_KIND_MAX ? names[k] : "none";
}

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static void put(json_t *o, const char *key, uint64_t n)
{
	(void)json_object_set_new(o, key, number(n)); /* -1 without memory: a member is missing */
}

static void put_known(json_t *o, const char *key, uint64_t n)
{
	if (n != VIEW_UNKNOWN)
		put(o, key, n);
}

static void put_real(json_t *o, const char *key, double d)
{
	(void)json_object_set_new(o, key, json_real(d));
}

static void put_text(json_t *o, const char *key, const char *s)
{
	(void)json_object_set_new(o, key, api_string(s));
}

static void put_mean(json_t *o, const char *key, uint64_t sum, uint64_t n)
{
	if (n)
		put(o, key, sum / n);
}

static json_t *typed(const char *type)
{
	return json_pack("{s:s}", "type", type);
}

static const char *name_of(const struct graph *g, uint32_t id)
{
	const struct node *n = id ? graph_node_const(g, id) : NULL;

	return n ? n->name : NULL;
}

/* --- nodes and edges ------------------------------------------------------------------------- */

typedef bool (*walk_fn)(const struct graph *g, uint32_t id, uint32_t *it, const struct edge **ret);

/* Edges of node id in one direction that are its own. */
static uint64_t own_edges(const struct graph *g, uint32_t id, walk_fn walk)
{
	const struct edge *e;
	uint32_t it = 0;
	uint64_t n = 0;

	while (walk(g, id, &it, &e))
		n += e->kind != EDGE_BELOW;
	return n;
}

json_t *view_node(const struct graph *g, const struct node *n, uint64_t wall_ns)
{
	json_t *o = typed(view_node_kind(n->kind));

	put_text(o, "name", n->name);
	put(o, "first_wall_ns", n->first_ns);
	put(o, "last_wall_ns", n->last_ns);
	put(o, "idle_ns", wall_ns > n->last_ns ? wall_ns - n->last_ns : 0);
	put(o, "needs_n", own_edges(g, n->id, graph_next_out));
	put(o, "needed_by_n", own_edges(g, n->id, graph_next_in));
	if (n->kind == NODE_BLOCK) {
		put(o, "runs_n", n->runs_n);
		put(o, "uid", n->uid);
	}
	if (n->kind == NODE_FILE) {
		put(o, "size_bytes", n->size_bytes);
		if (n->flags & NODE_F_ABSENT)
			(void)json_object_set_new(o, "absent", json_true());
		if (n->flags & NODE_F_DIR)
			(void)json_object_set_new(o, "directory", json_true());
		if (n->flags & NODE_F_TEMP)
			(void)json_object_set_new(o, "temporary", json_true());
	}
	return o;
}

double view_share(const struct graph *g, const struct edge *e)
{
	const struct node *from = graph_node_const(g, e->from);

	if (!from || !from->runs_n)
		return 0;
	/* An edge of a run still going may be counted before the run is. */
	return e->runs_n >= from->runs_n ? 1 : (double)e->runs_n / (double)from->runs_n;
}

/* A guess may outlive the nodes it is about, and their ids may be others' by then. */
static const char *block_name_of(const struct graph *g, uint32_t id)
{
	const struct node *n = graph_node_const(g, id);

	return n && n->kind == NODE_BLOCK ? n->name : NULL;
}

json_t *view_edge(const struct graph *g, const struct edge *e)
{
	const struct node *to = graph_node_const(g, e->to);
	json_t *o = typed("edge");

	put_text(o, "kind", view_edge_kind(e->kind));
	put_text(o, "from", name_of(g, e->from));
	put_text(o, "to", name_of(g, e->to));
	put_text(o, "to_kind", to ? view_node_kind(to->kind) : "none");
	put(o, "count", e->count);
	put(o, "runs_n", e->runs_n);
	put_real(o, "share", view_share(g, e));
	if (e->fail_n)
		put(o, "fail_n", e->fail_n);
	if (e->errno_last)
		put(o, "errno", (uint64_t)e->errno_last);
	put_mean(o, "latency_mean_ns", e->latency_sum_ns, e->count);
	if (e->latency_sum_ns) {
		put(o, "latency_p50_ns", sketch_quantile(&e->latency, 0.50));
		put(o, "latency_p99_ns", sketch_quantile(&e->latency, 0.99));
	}
	put_mean(o, "lead_mean_ns", e->lead_sum_ns, e->lead_n);
	put(o, "first_wall_ns", e->first_ns);
	put(o, "last_wall_ns", e->last_ns);
	if (to && to->kind == NODE_FILE)
		put(o, "size_bytes", to->size_bytes);
	if (to && to->flags & NODE_F_ABSENT)
		(void)json_object_set_new(o, "absent", json_true());
	if (e->use && e->use->use_n) {
		const struct edge_use *u = e->use;

		put(o, "use_n", u->use_n);
		put_mean(o, "life_mean_ns", u->life_sum_ns, u->use_n);
		put(o, "cold_n", u->cold_n);
		put_mean(o, "cold_mean_ns", u->cold_sum_ns, u->cold_n);
		if (u->use_n > u->cold_n && u->life_sum_ns > u->cold_sum_ns)
			put_mean(o, "warm_mean_ns", u->life_sum_ns - u->cold_sum_ns,
				 u->use_n - u->cold_n);
		put_mean(o, "cpu_mean_ns", u->cpu_sum_ns, u->use_n);
		put(o, "rss_peak_bytes", u->rss_peak_bytes);
		put_mean(o, "read_mean_bytes", u->read_sum_bytes, u->use_n);
		put_mean(o, "write_mean_bytes", u->write_sum_bytes, u->use_n);
		put_real(o, "majflt_mean", (double)u->majflt_sum / (double)u->use_n);
		put_real(o, "minflt_mean", (double)u->minflt_sum / (double)u->use_n);
	}
	return o;
}

/* --- guesses --------------------------------------------------------------------------------- */

static void put_guess(json_t *o, const struct graph *g, const struct guess *guess)
{
	const struct node *dep = graph_node_const(g, guess->dep);

	put_text(o, "block", block_name_of(g, guess->block));
	if (guess->via && guess->via != guess->block)
		put_text(o, "via", block_name_of(g, guess->via));
	put_text(o, "dep", dep ? dep->name : NULL);
	put_text(o, "dep_kind", dep ? view_node_kind(dep->kind) : "none");
	put_text(o, "kind", view_edge_kind(guess->kind));
	if (dep && dep->flags & NODE_F_ABSENT)
		(void)json_object_set_new(o, "absent", json_true());
	if (guess->lookup)
		(void)json_object_set_new(o, "lookup", json_true());
	put_real(o, "p", guess->p);
	put(o, "support", guess->support);
	put(o, "order", guess->order);
	put(o, "lead_ns", guess->lead_ns);
	put_real(o, "value_us", guess->value_us);
	put_real(o, "price_us", guess->price_us);
}

json_t *view_prediction(const struct graph *g, const struct guess *guess)
{
	json_t *o = typed("prediction");

	put_guess(o, g, guess);
	return o;
}

/* later - from, when there is a later. */
static void put_after(json_t *o, const char *key, uint64_t later_ns, uint64_t from_ns)
{
	if (later_ns >= from_ns && later_ns)
		put(o, key, later_ns - from_ns);
}

json_t *view_guess(const struct graph *g, const struct guess *guess, const struct view_host *h)
{
	json_t *o = typed("guess"), *context = json_array();

	put(o, "id", guess->id);
	put_guess(o, g, guess);
	put_text(o, "outcome", outcome_name(guess->outcome));
	(void)json_object_set_new(o, "acted", json_boolean(guess->acted));
	put_text(o, "decision", decision_name(guess->decision));
	if (guess->decision == DECISION_FAILED)
		put(o, "errno", (uint64_t)guess->err);
	put(o, "uid", guess->uid);
	put(o, "pid", guess->pid);
	put_after(o, "age_ns", h->now_ns, guess->made_ns);
	put(o, "made_wall_ns", guess->made_ns + (h->wall_ns - h->now_ns));
	put_after(o, "deadline_after_ns", guess->deadline_ns, guess->made_ns);
	put_after(o, "acted_after_ns", guess->acted_ns, guess->made_ns);
	put_after(o, "done_after_ns", guess->done_ns, guess->made_ns);
	put_after(o, "ended_after_ns", guess->ended_ns, guess->made_ns);
	if (guess->bytes_read)
		put(o, "bytes_read", guess->bytes_read);
	if (guess->saved_ns)
		put(o, "saved_ns", guess->saved_ns);
	for (size_t i = 0; i < ARRAY_SIZE(guess->context) && guess->context[i]; i++)
		(void)json_array_append_new(context,
					    api_string(block_name_of(g, guess->context[i])));
	(void)json_object_set_new(o, "context", context);
	return o;
}

/* --- status ---------------------------------------------------------------------------------- */

json_t *view_cost(const struct view_host *h)
{
	json_t *o = typed("cost");

	put(o, "up_ns", h->up_ns);
	put(o, "events_n", h->events_n);
	put_known(o, "lost_n", h->lost_n);
	put_known(o, "cpu_ns", h->cpu_ns);
	put_known(o, "rss_bytes", h->rss_bytes);
	put_known(o, "bpf_runs_n", h->bpf_runs_n);
	put_known(o, "bpf_ns", h->bpf_ns);
	put_known(o, "store_bytes", h->store_bytes);
	if (h->degraded)
		json_object_set_new(o, "degraded", json_string(h->degraded));
	return o;
}

static double share(uint64_t part, uint64_t all)
{
	return all ? (double)part / (double)all : 0;
}

/* What became of guesses and of what was read for them. */
static void put_outcomes(json_t *o, const uint64_t n[OUTCOME_MAX], uint64_t bytes_read,
			 uint64_t bytes_wasted, uint64_t saved_ns)
{
	json_t *outcomes = json_object();

	for (int i = 0; i < OUTCOME_MAX; i++)
		put(outcomes, outcome_name((enum outcome)i), n[i]);
	(void)json_object_set_new(o, "outcomes", outcomes);
	put(o, "bytes_read", bytes_read);
	put(o, "bytes_wasted", bytes_wasted);
	put(o, "saved_ns", saved_ns);
	if (bytes_read)
		put_real(o, "precision_bytes", 1 - share(bytes_wasted, bytes_read));
}

json_t *view_block_score(const struct block_score *s)
{
	uint64_t n[OUTCOME_MAX], acted, needed;
	json_t *o = json_object();

	for (int i = 0; i < OUTCOME_MAX; i++)
		n[i] = s->outcome_n[i];
	acted = n[OUTCOME_HIT] + n[OUTCOME_WASTED];
	needed = n[OUTCOME_HIT] + n[OUTCOME_LATE] + n[OUTCOME_MISSED];
	put_outcomes(o, n, s->bytes_read, s->bytes_wasted, s->saved_ns);
	if (acted)
		put_real(o, "precision", share(n[OUTCOME_HIT], acted));
	if (needed)
		put_real(o, "recall", share(n[OUTCOME_HIT], needed));
	return o;
}

json_t *view_score(const struct score *s)
{
	json_t *o = json_object();

	put(o, "guesses_n", s->guesses_n);
	put(o, "acted_n", s->acted_n);
	put_outcomes(o, s->outcome_n, s->bytes_read, s->bytes_wasted, s->saved_ns);
	put_real(o, "precision", s->precision);
	put_real(o, "recall", s->recall);
	put_real(o, "lambda", s->lambda);
	return o;
}

static json_t *view_pressure(const struct pressure *p)
{
	json_t *o = json_object();

	put(o, "mem_available_bytes", p->mem_available_bytes);
	put(o, "mem_total_bytes", p->mem_total_bytes);
	if (p->mem_some_avg10 >= 0)
		put_real(o, "mem_some_avg10", p->mem_some_avg10);
	if (p->io_some_avg10 >= 0)
		put_real(o, "io_some_avg10", p->io_some_avg10);
	if (p->cpu_some_avg10 >= 0)
		put_real(o, "cpu_some_avg10", p->cpu_some_avg10);
	return o;
}

json_t *view_status(const struct engine_stats *s, const struct view_host *h)
{
	static const char *const kinds[OBS_KIND_MAX] = {"none", "fork",	   "exec",   "exit",
							"open", "connect", "listen", "fold"};
	json_t *o = typed("status"), *obs = json_object(), *graph = json_object();

	put_text(o, "version", h->version);
	put(o, "wall_ns", h->wall_ns);
	(void)json_object_set_new(o, "acting", json_boolean(h->acting));
	(void)json_object_set_new(o, "cost", view_cost(h));
	for (int i = OBS_FORK; i < OBS_KIND_MAX; i++)
		put(obs, kinds[i], s->obs_n[i]);
	(void)json_object_set_new(o, "observed", obs);
	put(graph, "nodes_n", s->graph.nodes_n);
	put(graph, "edges_n", s->graph.edges_n);
	put(graph, "bytes", s->graph.bytes);
	put(graph, "nodes_evicted", s->graph.nodes_evicted);
	put(graph, "edges_evicted", s->graph.edges_evicted);
	(void)json_object_set_new(o, "graph", graph);
	put(o, "processes_n", s->processes_n);
	put(o, "processes_evicted", s->processes_evicted);
	put(o, "guesses_open_n", s->guesses_open_n);
	put(o, "queue_n", s->queue_n);
	put(o, "engine_bytes", s->bytes);
	(void)json_object_set_new(o, "score", view_score(&s->score));
	(void)json_object_set_new(o, "score_all", view_score(&s->score_all));
	(void)json_object_set_new(o, "pressure", view_pressure(&h->pressure));
	if (h->first_read_n) {
		json_t *first = json_object();

		put(first, "starts_n", h->first_read_n);
		put(first, "p50_ns", h->first_read_p50_ns);
		put(first, "p99_ns", h->first_read_p99_ns);
		(void)json_object_set_new(o, "first_read", first);
	}
	return o;
}

/* --- finding --------------------------------------------------------------------------------- */

enum level { LEVEL_NONE, LEVEL_PART, LEVEL_PROGRAM, LEVEL_END, LEVEL_WHOLE };

/* Whether name is what the n bytes at s stand for: a '*' in them, put there in place of the random
 * part of a temporary name, is any text within one part of a path. */
static bool stands_for(const char *s, size_t n, const char *name)
{
	const char *end = s + n, *star = NULL, *resume = NULL;

	for (;;) {
		if (s < end && *s == '*') {
			star = ++s;
			resume = name;
		} else if (s == end && !*name) {
			return true;
		} else if (s < end && *name && *s == *name) {
			s++;
			name++;
		} else if (star && *resume && *resume != '/') {
			s = star;
			name = ++resume;
		} else {
			return false;
		}
	}
}

/* Whether a part of the n bytes at s can begin at at. */
static bool part_begins(const char *s, size_t at)
{
	return at == 0 || strchr("/: @", s[at - 1]) || strchr("/:@", s[at]);
}

/* Whether the n bytes at s end in name, at the start of a part. */
static bool ends_in(const char *s, size_t n, const char *name, size_t name_n)
{
	if (memchr(s, '*', n)) {
		for (size_t at = 0; at < n; at++)
			if (part_begins(s, at) && stands_for(s + at, n - at, name))
				return true;
		return false;
	}
	return name_n <= n && memcmp(s + n - name_n, name, name_n) == 0 &&
	       part_begins(s, n - name_n);
}

/* A block's program: its name up to the blank before its argument. A blank in the path itself is
 * taken for that, and the block is then found by its whole name only. */
static size_t program_n(const struct node *n)
{
	return n->kind == NODE_BLOCK ? strcspn(n->name, " ") : n->name_len;
}

static enum level match(const struct node *n, const char *name, size_t name_n)
{
	size_t program = program_n(n);
	const char *last, *hit;

	if (n->name_len == name_n && memcmp(n->name, name, name_n) == 0)
		return LEVEL_WHOLE;
	if (ends_in(n->name, n->name_len, name, name_n))
		return LEVEL_END;
	if (ends_in(n->name, program, name, name_n))
		return LEVEL_PROGRAM;
	last = memrchr(n->name, '/', program);
	hit = strstr(last ? last : n->name, name);
	return hit && name_n >= 2 ? LEVEL_PART : LEVEL_NONE;
}

static uint64_t weight(const struct node *n)
{
	return n->kind == NODE_BLOCK ? n->runs_n : n->in_n;
}

/* How well name fits, 0: not at all. What was only looked up in vain gives way to what is there. */
static int fits(const struct node *n, const char *name, size_t name_n)
{
	enum level l = match(n, name, name_n);

	return l == LEVEL_NONE ? 0 : 2 * (int)l - (l < LEVEL_WHOLE && n->flags & NODE_F_ABSENT);
}

size_t view_find(const struct graph *g, const char *name, unsigned kinds, uint32_t *ret_ids,
		 size_t max)
{
	size_t name_n = strlen(name), found = 0, kept = 0;
	int best = 1;
	const struct node *n;
	uint32_t it = 0;

	if (!name_n)
		return 0;
	while (graph_next_node(g, &it, &n)) {
		int l = kinds & (1u << n->kind) ? fits(n, name, name_n) : 0;
		size_t at;

		if (l < best)
			continue;
		if (l > best) {
			best = l;
			found = kept = 0;
		}
		found++;
		/* Insertion into the short list of the weightiest. */
		for (at = kept; at > 0; at--) {
			const struct node *above = graph_node_const(g, ret_ids[at - 1]);

			if (weight(above) >= weight(n))
				break;
			if (at < max)
				ret_ids[at] = ret_ids[at - 1];
		}
		if (at < max) {
			ret_ids[at] = n->id;
			kept += kept < max;
		}
	}
	return found;
}
