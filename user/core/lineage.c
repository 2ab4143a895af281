// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * lineage.c - two tables (processes, runs) and one pool of touches.
 *
 * Processes hang in one list, the most recently heard of first: the tail is what goes when the table is
 * full. A run is freed by lineage_end() only, so that the engine can still read it when it ends;
 * references to a run carry the generation of its slot, so a stale one is seen.
 */
#include "core/lineage.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NIL UINT32_MAX
/* Runs without a process: one between exec and lineage_end(), and those evicted in the same call. */
#define RUN_SPARE 8

struct proc {
	uint32_t pid;
	uint32_t run;
	uint32_t older, newer; /* list by last sign of life; older links the free list too */
};

struct touch {
	uint32_t run, dep;
	uint32_t next; /* of the same run, or free */
};

struct lineage {
	struct proc *procs;
	struct run *runs;
	struct touch *touches;
	uint32_t *free_runs, *evicted;
	struct index by_pid, by_touch;
	uint32_t process_max, touch_max, run_max;
	uint32_t free_proc, free_touch, free_runs_n, evicted_n;
	uint32_t newest, oldest;
	struct lineage_stats stats;
};

static bool pid_eq(const void *ctx, uint32_t slot, const void *key)
{
	return ((const struct lineage *)ctx)->procs[slot].pid == *(const uint32_t *)key;
}

static bool touch_eq(const void *ctx, uint32_t slot, const void *key)
{
	const struct touch *t = &((const struct lineage *)ctx)->touches[slot], *k = key;

	return t->run == k->run && t->dep == k->dep;
}

int lineage_new(uint32_t process_max, uint32_t touch_max, struct lineage **ret)
{
	_cleanup_(freep) struct lineage *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return fault(-ENOMEM);
	l->process_max = process_max;
	l->touch_max = touch_max;
	l->run_max = process_max + RUN_SPARE;
	l->procs = calloc(process_max, sizeof(*l->procs));
	l->runs = calloc(l->run_max, sizeof(*l->runs));
	l->touches = calloc(touch_max, sizeof(*l->touches));
	l->free_runs = calloc(l->run_max, sizeof(*l->free_runs));
	l->evicted = calloc(l->run_max, sizeof(*l->evicted));
	r = index_init(&l->by_pid, process_max);
	if (r >= 0)
		r = index_init(&l->by_touch, touch_max);
	if (r < 0 || !l->procs || !l->runs || !l->touches || !l->free_runs || !l->evicted) {
		(void)lineage_free(TAKE_PTR(l));
		return r < 0 ? r : fault(-ENOMEM);
	}
	for (uint32_t i = 0; i < process_max; i++)
		l->procs[i].older = i + 1 < process_max ? i + 1 : NIL;
	for (uint32_t i = 0; i < touch_max; i++)
		l->touches[i].next = i + 1 < touch_max ? i + 1 : NIL;
	for (uint32_t i = 0; i < l->run_max; i++)
		l->free_runs[l->free_runs_n++] = l->run_max - 1 - i;
	l->newest = l->oldest = NIL;
	*ret = TAKE_PTR(l);
	return 0;
}

struct lineage *lineage_free(struct lineage *l)
{
	if (!l)
		return NULL;
	index_fini(&l->by_pid);
	index_fini(&l->by_touch);
	free(l->procs);
	free(l->runs);
	free(l->touches);
	free(l->free_runs);
	free(l->evicted);
	free(l);
	return NULL;
}

uint64_t lineage_bytes(const struct lineage *l)
{
	return sizeof(*l) + l->process_max * sizeof(*l->procs) +
	       l->run_max * (sizeof(*l->runs) + 2 * sizeof(uint32_t)) +
	       l->touch_max * sizeof(*l->touches) +
	       ((uint64_t)l->by_pid.mask + l->by_touch.mask + 2) * sizeof(struct index_cell);
}

void lineage_stats(const struct lineage *l, struct lineage_stats *ret)
{
	*ret = l->stats;
	ret->processes_n = l->by_pid.used_n;
}

static void list_del(struct lineage *l, uint32_t p)
{
	struct proc *e = &l->procs[p];

	if (e->newer == NIL)
		l->newest = e->older;
	else
		l->procs[e->newer].older = e->older;
	if (e->older == NIL)
		l->oldest = e->newer;
	else
		l->procs[e->older].newer = e->newer;
}

static void list_add(struct lineage *l, uint32_t p)
{
	l->procs[p].newer = NIL;
	l->procs[p].older = l->newest;
	if (l->newest != NIL)
		l->procs[l->newest].newer = p;
	else
		l->oldest = p;
	l->newest = p;
}

static uint32_t proc_find(struct lineage *l, uint32_t pid)
{
	uint32_t p = index_get(&l->by_pid, pid, pid_eq, l, &pid);

	if (p != INDEX_NONE && l->newest != p) {
		list_del(l, p);
		list_add(l, p);
	}
	return p;
}

/* Takes a process out of its run; true when it was the last one there. */
static bool run_leave(struct lineage *l, uint32_t run)
{
	struct run *r;

	if (run == RUN_NONE)
		return false;
	r = &l->runs[run];
	assert(r->refs_n > 0);
	return --r->refs_n == 0;
}

static void proc_del(struct lineage *l, uint32_t p)
{
	list_del(l, p);
	index_del(&l->by_pid, l->procs[p].pid, p);
	l->procs[p].older = l->free_proc;
	l->free_proc = p;
}

static uint32_t proc_add(struct lineage *l, uint32_t pid)
{
	uint32_t p;

	if (l->by_pid.used_n == l->process_max) {
		uint32_t run = l->procs[l->oldest].run;

		if (run_leave(l, run))
			l->evicted[l->evicted_n++] = run;
		proc_del(l, l->oldest);
		l->stats.processes_evicted++;
	}
	p = l->free_proc;
	l->free_proc = l->procs[p].older;
	l->procs[p] = (struct proc){.pid = pid, .run = RUN_NONE};
	index_put(&l->by_pid, pid, p);
	list_add(l, p);
	return p;
}

uint32_t lineage_run_of(struct lineage *l, uint32_t pid)
{
	uint32_t p = proc_find(l, pid);

	return p == INDEX_NONE ? RUN_NONE : l->procs[p].run;
}

struct run *lineage_run(struct lineage *l, uint32_t run)
{
	assert(run < l->run_max && (l->runs[run].gen & 1));
	return &l->runs[run];
}

uint32_t lineage_parent(const struct lineage *l, uint32_t run)
{
	const struct run *r = &l->runs[run];

	if (r->parent == RUN_NONE || l->runs[r->parent].gen != r->parent_gen)
		return RUN_NONE;
	return r->parent;
}

void lineage_fork(struct lineage *l, uint32_t pid, uint32_t ppid)
{
	uint32_t parent = proc_find(l, ppid), run, p, ended;

	lineage_exit(l, pid, &ended); /* an exit we did not see: the number is used again */
	if (ended != RUN_NONE)
		l->evicted[l->evicted_n++] = ended;
	run = parent == INDEX_NONE ? RUN_NONE : l->procs[parent].run;
	if (run != RUN_NONE)
		l->runs[run].refs_n++; /* before proc_add, which may evict the parent */
	p = proc_add(l, pid);
	l->procs[p].run = run;
}

uint32_t lineage_exec(struct lineage *l, uint32_t pid, uint32_t ppid, uint64_t ts_ns,
		      uint32_t *ret_ended)
{
	uint32_t p, old, parent, new;
	struct run *r;

	p = proc_find(l, pid);
	if (p == INDEX_NONE) {
		lineage_fork(l, pid, ppid);
		p = proc_find(l, pid);
	}
	old = l->procs[p].run;
	assert(l->free_runs_n > 0);
	new = l->free_runs[--l->free_runs_n];
	r = &l->runs[new];
	*r = (struct run){.gen = r->gen + 1, .refs_n = 1, .pid = pid, .start_ns = ts_ns};
	r->touch_head = NIL;
	r->parent = RUN_NONE;
	l->procs[p].run = new;
	*ret_ended = run_leave(l, old) ? old : RUN_NONE;
	/* A program that execs another in its place hands it its own parent. */
	parent = *ret_ended != RUN_NONE ? lineage_parent(l, old) : old;
	if (parent != RUN_NONE) {
		r->parent = parent;
		r->parent_gen = l->runs[parent].gen;
	}
	return new;
}

void lineage_exit(struct lineage *l, uint32_t pid, uint32_t *ret_ended)
{
	uint32_t p = proc_find(l, pid), run;

	*ret_ended = RUN_NONE;
	if (p == INDEX_NONE)
		return;
	run = l->procs[p].run;
	if (run_leave(l, run))
		*ret_ended = run;
	proc_del(l, p);
}

void lineage_end(struct lineage *l, uint32_t run)
{
	struct run *r = &l->runs[run];

	assert((r->gen & 1) && r->refs_n == 0);
	while (r->touch_head != NIL) {
		uint32_t t = r->touch_head;
		struct touch *e = &l->touches[t];

		r->touch_head = e->next;
		index_del(&l->by_touch, hash_mix2(e->run, e->dep), t);
		e->next = l->free_touch;
		l->free_touch = t;
	}
	r->gen++;
	l->free_runs[l->free_runs_n++] = run;
}

bool lineage_next_evicted(struct lineage *l, uint32_t *ret_run)
{
	if (!l->evicted_n)
		return false;
	*ret_run = l->evicted[--l->evicted_n];
	return true;
}

bool lineage_touched(const struct lineage *l, uint32_t run, uint32_t dep)
{
	struct touch key = {.run = run, .dep = dep};

	return index_get(&l->by_touch, hash_mix2(run, dep), touch_eq, l, &key) != INDEX_NONE;
}

bool lineage_touch(struct lineage *l, uint32_t run, uint32_t dep)
{
	struct run *r = lineage_run(l, run);
	uint32_t t;

	if (lineage_touched(l, run, dep))
		return false;
	if (l->by_touch.used_n == l->touch_max) {
		l->stats.touches_lost++;
		return false;
	}
	t = l->free_touch;
	l->free_touch = l->touches[t].next;
	l->touches[t] = (struct touch){.run = run, .dep = dep, .next = r->touch_head};
	r->touch_head = t;
	r->touched_n++;
	index_put(&l->by_touch, hash_mix2(run, dep), t);
	return true;
}
