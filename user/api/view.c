// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* view.c - see view.h. */
#include "api/view.h"

#include "api/put.h"
#include "api/socket.h"
#include "base/cleanup.h"

#include <string.h>

const char *view_node_kind(enum node_kind k)
{
	static const char *const names[NODE_KIND_MAX] = {"none", "block", "file", "service"};

	return k < NODE_KIND_MAX ? names[k] : "none";
}

static const char *edge_kind_name(enum edge_kind k)
{
	static const char *const names[EDGE_KIND_MAX] = {"none",    "exec",   "open",
							 "connect", "listen", "below"};

	return k < EDGE_KIND_MAX ? names[k] : "none";
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
	json_t *o = put_new(view_node_kind(n->kind));

	put_text(o, "name", n->name);
	put_n(o, "first_wall_ns", n->first_ns);
	put_n(o, "last_wall_ns", n->last_ns);
	put_n(o, "idle_ns", wall_ns > n->last_ns ? wall_ns - n->last_ns : 0);
	put_n(o, "needs_n", own_edges(g, n->id, graph_next_out));
	put_n(o, "needed_by_n", own_edges(g, n->id, graph_next_in));
	if (n->kind == NODE_BLOCK) {
		put_n(o, "runs_n", n->runs_n);
		put_n(o, "uid", n->uid);
	}
	if (n->kind == NODE_FILE) {
		put_n(o, "size_bytes", n->size_bytes);
		if (n->flags & NODE_F_ABSENT)
			put_bool(o, "absent", true);
		if (n->flags & NODE_F_DIR)
			put_bool(o, "directory", true);
		if (n->flags & NODE_F_TEMP)
			put_bool(o, "temporary", true);
	}
	return o;
}

/* What is asked about is told of some runs only: of as many as the likeliest of it was seen in. */
static uint64_t asking_runs(const struct graph *g, uint32_t block)
{
	const struct edge *e;
	uint64_t runs_n = 0;
	uint32_t it = 0;

	while (graph_next_out(g, block, &it, &e))
		if (e->flags & EDGE_F_LOOKUP && e->runs_n > runs_n)
			runs_n = e->runs_n;
	return runs_n;
}

double view_share(const struct graph *g, const struct edge *e, struct view_asking *asking)
{
	const struct node *from = graph_node_const(g, e->from);
	uint64_t runs_n = from ? from->runs_n : 0;

	if (!runs_n)
		return 0;
	if (e->flags & EDGE_F_LOOKUP) {
		if (asking->block != e->from)
			*asking = (struct view_asking){e->from, asking_runs(g, e->from)};
		runs_n = asking->runs_n;
	}
	/* An edge of a run still going may be counted before the run is. */
	return e->runs_n >= runs_n ? 1 : (double)e->runs_n / (double)runs_n;
}

/* A guess may outlive the nodes it is about, and their ids may be others' by then. */
static const char *block_name_of(const struct graph *g, uint32_t id)
{
	const struct node *n = graph_node_const(g, id);

	return n && n->kind == NODE_BLOCK ? n->name : NULL;
}

json_t *view_edge(const struct graph *g, const struct edge *e, double share)
{
	const struct node *to = graph_node_const(g, e->to);
	json_t *o = put_new("edge");

	put_text(o, "kind", edge_kind_name(e->kind));
	put_text(o, "from", name_of(g, e->from));
	put_text(o, "to", name_of(g, e->to));
	put_text(o, "to_kind", to ? view_node_kind(to->kind) : "none");
	put_n(o, "count", e->count);
	put_n(o, "runs_n", e->runs_n);
	put_real(o, "share", share);
	if (e->fail_n)
		put_n(o, "fail_n", e->fail_n);
	if (e->errno_last)
		put_n(o, "errno", (uint64_t)e->errno_last);
	put_mean(o, "latency_mean_ns", e->latency_sum_ns, e->count);
	if (e->latency_sum_ns) {
		put_n(o, "latency_p50_ns", sketch_quantile(&e->latency, 0.50));
		put_n(o, "latency_p99_ns", sketch_quantile(&e->latency, 0.99));
	}
	put_mean(o, "lead_mean_ns", e->lead_sum_ns, e->lead_n);
	put_n(o, "first_wall_ns", e->first_ns);
	put_n(o, "last_wall_ns", e->last_ns);
	if (to && to->kind == NODE_FILE)
		put_n(o, "size_bytes", to->size_bytes);
	if (to && to->flags & NODE_F_ABSENT)
		put_bool(o, "absent", true);
	if (e->use && e->use->use_n) {
		const struct edge_use *u = e->use;

		put_n(o, "use_n", u->use_n);
		put_mean(o, "life_mean_ns", u->life_sum_ns, u->use_n);
		put_n(o, "cold_n", u->cold_n);
		put_mean(o, "cold_mean_ns", u->cold_sum_ns, u->cold_n);
		if (u->use_n > u->cold_n && u->life_sum_ns > u->cold_sum_ns)
			put_mean(o, "warm_mean_ns", u->life_sum_ns - u->cold_sum_ns,
				 u->use_n - u->cold_n);
		put_mean(o, "cpu_mean_ns", u->cpu_sum_ns, u->use_n);
		put_n(o, "rss_peak_bytes", u->rss_peak_bytes);
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
	put_text(o, "kind", edge_kind_name(guess->kind));
	if (dep && dep->flags & NODE_F_ABSENT)
		put_bool(o, "absent", true);
	if (guess->lookup)
		put_bool(o, "lookup", true);
	put_real(o, "p", guess->p);
	put_n(o, "support", guess->support);
	put_n(o, "order", guess->order);
	put_n(o, "lead_ns", guess->lead_ns);
	put_real(o, "value_us", guess->value_us);
	put_real(o, "price_us", guess->price_us);
	put_real(o, "gain", guess->gain);
}

json_t *view_prediction(const struct graph *g, const struct guess *guess)
{
	json_t *o = put_new("prediction");

	put_guess(o, g, guess);
	return o;
}

/* later - from, when there is a later. Of a guess kept from before the host's start both are below 0. */
static void put_after(json_t *o, const char *key, uint64_t later_ns, uint64_t from_ns)
{
	if ((int64_t)(later_ns - from_ns) >= 0 && later_ns)
		put_n(o, key, later_ns - from_ns);
}

json_t *view_guess(const struct graph *g, const struct guess *guess, const struct view_host *h)
{
	json_t *o = put_new("guess"), *context = json_array();

	put_n(o, "id", guess->id);
	put_guess(o, g, guess);
	put_text(o, "outcome", outcome_name(guess->outcome));
	put_bool(o, "acted", guess->acted);
	put_text(o, "decision", decision_name(guess->decision));
	if (guess->decision == DECISION_FAILED)
		put_n(o, "errno", (uint64_t)guess->err);
	put_n(o, "uid", guess->uid);
	put_n(o, "pid", guess->pid);
	put_after(o, "age_ns", h->now_ns, guess->made_ns);
	put_n(o, "made_wall_ns", guess->made_ns + (h->wall_ns - h->now_ns));
	put_after(o, "deadline_after_ns", guess->deadline_ns, guess->made_ns);
	put_after(o, "acted_after_ns", guess->acted_ns, guess->made_ns);
	put_after(o, "done_after_ns", guess->done_ns, guess->made_ns);
	put_after(o, "ended_after_ns", guess->ended_ns, guess->made_ns);
	if (guess->bytes_read)
		put_n(o, "bytes_read", guess->bytes_read);
	if (guess->saved_ns)
		put_n(o, "saved_ns", guess->saved_ns);
	for (size_t i = 0; i < ARRAY_SIZE(guess->context) && guess->context[i]; i++)
		(void)json_array_append_new(context,
					    api_string(block_name_of(g, guess->context[i])));
	put_object(o, "context", context);
	return o;
}

/* --- status ---------------------------------------------------------------------------------- */

static json_t *cost_of(const struct view_host *h)
{
	json_t *o = put_new("cost");

	put_n(o, "up_ns", h->up_ns);
	put_n(o, "events_n", h->events_n);
	put_known(o, "lost_n", h->lost_n);
	put_known(o, "cpu_ns", h->cpu_ns);
	put_known(o, "rss_bytes", h->rss_bytes);
	put_known(o, "bpf_runs_n", h->bpf_runs_n);
	put_known(o, "bpf_ns", h->bpf_ns);
	put_known(o, "store_bytes", h->store_bytes);
	put_n(o, "rows_refused_n", h->rows_refused_n);
	put_n(o, "uncontained_n", h->uncontained_n);
	put_n(o, "reads_refused_n", h->reads_refused_n);
	put_n(o, "reads_forgotten_n", h->reads_forgotten_n);
	put_n(o, "held_bytes", h->held_bytes);
	if (h->degraded)
		put_text(o, "degraded", h->degraded);
	return o;
}

static double part_of(uint64_t part, uint64_t all)
{
	return all ? (double)part / (double)all : 0;
}

/* What became of guesses and of what was read for them. */
static void put_outcomes(json_t *o, const uint64_t n[OUTCOME_MAX], uint64_t bytes_read,
			 uint64_t bytes_wasted, uint64_t saved_ns)
{
	json_t *outcomes = json_object();

	for (int i = 0; i < OUTCOME_MAX; i++)
		put_n(outcomes, outcome_name((enum outcome)i), n[i]);
	put_object(o, "outcomes", outcomes);
	put_n(o, "bytes_read", bytes_read);
	put_n(o, "bytes_wasted", bytes_wasted);
	put_n(o, "saved_ns", saved_ns);
	if (bytes_read)
		put_real(o, "precision_bytes", 1 - part_of(bytes_wasted, bytes_read));
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
		put_real(o, "precision", part_of(n[OUTCOME_HIT], acted));
	if (needed)
		put_real(o, "recall", part_of(n[OUTCOME_HIT], needed));
	return o;
}

json_t *view_score(const struct score *s)
{
	json_t *o = json_object();

	put_n(o, "guesses_n", s->guesses_n);
	put_n(o, "acted_n", s->acted_n);
	put_outcomes(o, s->outcome_n, s->bytes_read, s->bytes_wasted, s->saved_ns);
	put_real(o, "precision", s->precision);
	put_real(o, "recall", s->recall);
	put_real(o, "lambda", s->lambda);
	return o;
}

static json_t *view_pressure(const struct pressure *p)
{
	json_t *o = json_object();

	put_n(o, "mem_available_bytes", p->mem_available_bytes);
	put_n(o, "mem_total_bytes", p->mem_total_bytes);
	if (p->mem_some_avg10 >= 0)
		put_real(o, "mem_some_avg10", p->mem_some_avg10);
	if (p->io_some_avg10 >= 0)
		put_real(o, "io_some_avg10", p->io_some_avg10);
	if (p->cpu_some_avg10 >= 0)
		put_real(o, "cpu_some_avg10", p->cpu_some_avg10);
	return o;
}

static void put_first(json_t *o, const char *key, const struct view_first *f)
{
	json_t *first;

	if (!f->starts_n)
		return;
	first = json_object();
	put_n(first, "starts_n", f->starts_n);
	put_n(first, "p50_ns", f->p50_ns);
	put_n(first, "p99_ns", f->p99_ns);
	put_object(o, key, first);
}

json_t *view_status(const struct engine_stats *s, const struct view_host *h)
{
	static const char *const kinds[OBS_KIND_MAX] = {"none", "fork",	   "exec",   "exit",
							"open", "connect", "listen", "fold"};
	json_t *o = put_new("status"), *obs = json_object(), *graph = json_object();

	put_text(o, "version", h->version);
	put_n(o, "wall_ns", h->wall_ns);
	put_bool(o, "acting", h->acting);
	put_object(o, "cost", cost_of(h));
	for (int i = OBS_FORK; i < OBS_KIND_MAX; i++)
		put_n(obs, kinds[i], s->obs_n[i]);
	put_object(o, "observed", obs);
	put_n(graph, "nodes_n", s->graph.nodes_n);
	put_n(graph, "edges_n", s->graph.edges_n);
	put_n(graph, "bytes", s->graph.bytes);
	put_n(graph, "nodes_evicted", s->graph.nodes_evicted);
	put_n(graph, "edges_evicted", s->graph.edges_evicted);
	put_object(o, "graph", graph);
	put_n(o, "processes_n", s->processes_n);
	put_n(o, "contained_n", h->contained_n);
	put_n(o, "processes_evicted", s->processes_evicted);
	put_n(o, "guesses_open_n", s->guesses_open_n);
	put_n(o, "queue_n", s->queue_n);
	put_n(o, "inflight_bytes", s->inflight_bytes);
	put_n(o, "engine_bytes", s->bytes);
	put_object(o, "score", view_score(&s->score));
	put_object(o, "score_all", view_score(&s->score_all));
	put_object(o, "pressure", view_pressure(&h->pressure));
	put_first(o, "first_read", &h->first_read);
	put_first(o, "first_pages", &h->first_pages);
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

/* A file that nobody opened: asked about by a name that leads elsewhere (/lib/libc.so.6), or not there. */
static bool only_asked(const struct graph *g, const struct node *n)
{
	const struct edge *e;
	uint32_t it = 0;

	if (n->kind != NODE_FILE || n->flags & NODE_F_ABSENT)
		return n->flags & NODE_F_ABSENT;
	while (graph_next_in(g, n->id, &it, &e))
		if (!(e->flags & EDGE_F_LOOKUP))
			return false;
	return it != 0;
}

/* How well name fits, 0: not at all. What was only asked about gives way to what was used. */
static int fits(const struct graph *g, const struct node *n, const char *name, size_t name_n)
{
	enum level l = match(n, name, name_n);

	return l == LEVEL_NONE ? 0 : 2 * (int)l - (l < LEVEL_WHOLE && only_asked(g, n));
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
		int l = kinds & (1u << n->kind) ? fits(g, n, name, name_n) : 0;
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
