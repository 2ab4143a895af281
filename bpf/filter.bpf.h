/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * filter.bpf.h - the one way to say no, and it comes before any other work.
 */
#ifndef FWM_FILTER_BPF_H
#define FWM_FILTER_BPF_H

#include "emit.bpf.h"

/* Of a lookup in vain, n times more; its place is free then. */
static __always_inline long missed_tell(struct proc *p, __u32 n, __u64 now)
{
	__u32 tgid = p->tgid, slot = tgid & (MISSED_MAX - 1), size;
	struct missed *m = bpf_map_lookup_elem(&missed, &slot);
	long r;

	p->last_gen = 0;
	if (!m || m->tgid != tgid)
		return -1;
	size = offsetof(struct missed, path) + m->path_len;
	if (size > offsetof(struct missed, tgid))
		size = offsetof(struct missed, tgid);
	m->latency_ns = n;
	hdr_fill(&m->hdr, FWM_EVENT_MISS, size, now, (__u64)tgid << 32 | tgid);
	m->hdr.flags |= FWM_F_AGAIN;
	r = bpf_ringbuf_output(&ring, m, size, BPF_RB_NO_WAKEUP);
	*(volatile __u32 *)&m->tgid = 0;
	return r;
}

/* How often a process opened its last file again, or looked for it in vain, which was kept as a count. now 0:
 * at some time before this. Of two processes that share a slot, and take it from each other at this very
 * moment, one open may be told of the other's file. */
static __noinline int again_tell(struct proc *p, __u64 now)
{
	__u32 n = __sync_lock_test_and_set(&p->again_n, 0);
	struct fwm_open *room;

	if (!n)
		return 0;
	if (!now)
		now = bpf_ktime_get_ns();
	if (p->last_dev == LAST_MISS) {
		if (missed_tell(p, n, now))
			__sync_fetch_and_add(&again_lost, n);
		return 0;
	}
	room = bpf_ringbuf_reserve(&ring, sizeof(*room), 0);
	if (!room) {
		__sync_fetch_and_add(&again_lost, n);
		return 0;
	}
	*room = (struct fwm_open){.file = {.ino = p->last_ino,
					   .dev = p->last_dev,
					   .gen = p->last_gen,
					   .name = p->last_name},
				  .latency_ns = n};
	hdr_fill(&room->hdr, FWM_EVENT_OPEN, sizeof(*room), now, (__u64)p->tgid << 32 | p->tgid);
	room->hdr.flags = FWM_F_AGAIN;
	bpf_ringbuf_submit(room, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Can there be a row of this process in marks? To look for one there takes as long as a tenth of its start. */
static __always_inline bool mark_likely(__u32 tgid)
{
	return marks_n && (marks_seen >> (tgid & 63) & 1);
}

/* What the daemon said of a process, and what was known of one that lost its slot. */
static __always_inline struct fwm_mark *mark_of(__u32 tgid)
{
	return mark_likely(tgid) ? bpf_map_lookup_elem(&marks, &tgid) : NULL;
}

/* A slot is given to another: what is known of its owner must not be forgotten, not for a moment. In
 * bpf/procs.bpf.c. */
int owner_save(__u32 tgid, __u32 flags);

static __always_inline void mark_drop(__u32 tgid)
{
	if (mark_likely(tgid) && !bpf_map_delete_elem(&marks, &tgid))
		__sync_fetch_and_add(&marks_n, -1);
}

static __always_inline struct proc *proc_slot(__u32 tgid)
{
	__u32 slot = tgid & procs_mask;

	return bpf_map_lookup_elem(&procs, &slot);
}

static __always_inline struct fwm_maker *maker_slot(__u32 tgid)
{
	__u32 slot = tgid & (FWM_MAKERS_MAX - 1);

	return bpf_map_lookup_elem(&makers, &slot);
}

/* In bpf/starts.bpf.c. Tells of the start of a process that was only counted; who comes first does. */
int start_late(__u32 tgid);
/* Fills the slot of one that makes others, and of which nothing is to be told; false: another has it. */
int maker_enter(__u32 maker);
/* The row of this start in the place of who makes it; FWM_STARTS_TOP: there is no room. Not inlined, to be verified
 * once. */
__u32 maker_row(__u32 maker, __u32 start);
/* Tells what a process started that was only counted. gone: and it starts nothing more. */
int starts_tell(__u32 maker, __u32 gone);

/* What a process has from the one that made it, until it executes something itself. */
struct heir {
	__u64 exec_ns;
	__u32 exec_tgid;
	__u32 flags; /* FWM_MARK_*, PROC_NEW, HEIR_PAGES */
};
#define HEIR_PAGES (1u << 30) /* as struct proc has it; here it saves what the stack is short of */

#define MARKS_HANDED_ON (FWM_MARK_IGNORE | FWM_MARK_TARGET | FWM_MARK_QUIET)

/* false: the maker has not been told itself. */
static __always_inline bool heir_of(struct heir *h, __u32 maker)
{
	__u32 slot = maker & procs_mask;
	const struct proc *q = bpf_map_lookup_elem(&procs, &slot);
	struct proc o = {.owner = q ? *(const volatile __u64 *)&q->owner : 0};
	const struct fwm_mark *m;

	*h = (struct heir){};
	if (unlikely(maker == own_tgid)) {
		h->flags = own_children ? 0 : FWM_MARK_IGNORE;
		return true;
	}
	if (likely(q) && likely(o.tgid == maker) && likely(!(o.flags & (PROC_NEW | PROC_FOLDED)))) {
		h->exec_ns = q->exec_ns;
		h->exec_tgid = q->exec_tgid;
		h->flags = o.flags;
		m = likely(q->epoch == marks_epoch) ? NULL : mark_of(maker);
	} else {
		m = q && o.tgid == maker && (o.flags & PROC_FOLDED) ? NULL : mark_of(maker);
		if (!m)
			return false;
	}
	h->flags = (m ? m->flags : h->flags) & MARKS_HANDED_ON;
	if (!(h->flags & FWM_MARK_IGNORE) && (!only_targets || (h->flags & FWM_MARK_TARGET)))
		h->flags |= PROC_NEW;
	if (h->exec_tgid && q && q->pages)
		h->flags |= HEIR_PAGES;
	return true;
}

/* Gives the slot to a process that is not in it; to nobody when two others fight for it. */
static __always_inline void slot_take(struct proc *p, __u32 tgid, const struct heir *h, bool row)
{
	struct proc o = {.tgid = tgid, .flags = h->flags & ~HEIR_PAGES};
	__u64 own = o.owner;
	int i;

	if (p->again_n)
		again_tell(p, 0);
	if (unlikely(p->flags & PROC_FOLDED))
		start_late(p->tgid);
	if (unlikely(p->makes))
		starts_tell(p->tgid & ~PROC_GONE, true);
	p->makes = 0;
	p->last_ino = 0;
	p->exec_ns = h->exec_ns;
	p->exec_tgid = h->exec_tgid;
	p->pages = !!(h->flags & HEIR_PAGES);
	p->looks_n = 0;
	p->row = row;
	p->epoch = marks_epoch;
#pragma unroll
	for (i = 0; i < 3; i++) {
		o.owner = *(volatile __u64 *)&p->owner;
		if (o.tgid == tgid) /* its parent was faster */
			return;
		owner_save(o.tgid, o.flags);
		if (__sync_val_compare_and_swap(&p->owner, o.owner, own) == o.owner)
			return;
	}
}

/* Tells that the process of this slot was made; who comes first does. In bpf/procs.bpf.c, like all that takes a
 * task as a number: of one that need not be the current one. */
int fork_tell(__u64 task);
/* Fills the slot of a process and of those that made it, as far as they have none, and tells of them. */
int proc_tell(__u64 task);
/* The same of the current process, of which nothing may be to be told. */
int proc_enter(__u32 tgid);
/* The same for all that a thread made. */
int children_tell(__u64 task);

/* Is it older than the hooks, or none of user space? Then nothing is to be told of it. */
#define TASK_OLD(flags, start_ns) ((start_ns) < begun_ns || ((flags)&PF_KTHREAD))

/* The daemon changed marks, of this process or another. */
static __always_inline void marks_again(struct proc *p, __u32 tgid)
{
	const struct fwm_mark *m = mark_of(tgid);

	p->row = m != NULL;
	p->epoch = marks_epoch;
	if (m)
		p->flags = m->flags | (p->flags & (PROC_NEW | PROC_FOLDED));
}

/* What is known of the current process; fills its slot when that holds another one. */
static __always_inline struct proc *proc_get(__u32 tgid)
{
	__u32 slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);

	if (p && unlikely(p->tgid != tgid))
		proc_enter(tgid);
	else if (p && unlikely(p->epoch != marks_epoch))
		marks_again(p, tgid);
	if (p && unlikely(p->flags & PROC_FOLDED))
		start_late(tgid);
	return p;
}

/* The same where a slot is only filled when nobody living has it. */
static __always_inline struct proc *proc_peek(__u32 tgid)
{
	__u32 slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);

	if (p && p->tgid != tgid && (!p->tgid || p->tgid & PROC_GONE))
		proc_enter(tgid);
	return p && p->tgid == tgid ? p : NULL;
}

/* From now on it is known that this process was made; true: by what the caller sends next. gone: and it is no
 * more. */
static __always_inline bool proc_told(struct proc *p, __u32 tgid, __u32 gone)
{
	struct proc o = {.owner = *(volatile __u64 *)&p->owner}, to;

	if (o.tgid != tgid || (!gone && !(o.flags & PROC_NEW)))
		return false;
	to.owner = o.owner;
	to.tgid |= gone;
	to.flags &= ~PROC_NEW;
	if (__sync_val_compare_and_swap(&p->owner, o.owner, to.owner) == o.owner)
		return o.flags & PROC_NEW;
	/* Its parent told of it at this very moment, or another took the slot. */
	to.flags = o.flags & ~PROC_NEW;
	o.flags = to.flags;
	if (gone)
		__sync_val_compare_and_swap(&p->owner, o.owner, to.owner);
	return false;
}

/* Has its end been told? As long as nobody takes the slot. */
static __always_inline bool proc_gone(__u32 tgid, __u64 start_ns)
{
	__u32 slot = tgid & procs_mask;
	const struct proc *p = bpf_map_lookup_elem(&procs, &slot);

	return p && p->tgid == (tgid | PROC_GONE) && start_ns <= p->exec_ns;
}

/* Of a process that has just lost its slot. */
static __noinline __u32 flags_saved(__u32 tgid)
{
	const struct fwm_mark *m = mark_of(tgid);

	return m ? m->flags : 0;
}

/* p: proc_get(tgid), whoever has it by now. */
static __always_inline __u32 proc_flags(__u32 tgid, const struct proc *p)
{
	struct proc o = {.owner = p ? *(const volatile __u64 *)&p->owner : 0};

	return p && unlikely((o.tgid & ~PROC_GONE) != tgid) ? flags_saved(tgid) : o.flags;
}

/* Is this process traced at all? */
static __always_inline bool wanted(__u32 tgid, const struct proc *p)
{
	__u32 flags = proc_flags(tgid, p);

	if (unlikely(tgid == own_tgid) || unlikely(flags & FWM_MARK_IGNORE))
		return false;
	return !only_targets || (flags & FWM_MARK_TARGET);
}

#endif
