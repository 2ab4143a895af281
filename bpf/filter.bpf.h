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

/* The slot is given to another: what was marked and counted must not be forgotten. */
static __always_inline void proc_save(struct proc *p)
{
	struct fwm_mark m = {.flags = p->flags};
	__u32 tgid = p->tgid;

	if (tgid && m.flags && !p->row)
		bpf_map_update_elem(&marks, &tgid, &m, BPF_ANY);
	if (p->again_n)
		again_tell(p, 0);
}

static __always_inline void proc_own(struct proc *p, __u32 tgid, __u32 flags)
{
	struct proc o = {.tgid = tgid, .flags = flags};

	*(volatile __u64 *)&p->owner = o.owner;
}

static __noinline int proc_fill(struct proc *p, __u32 tgid)
{
	const struct fwm_mark *m = bpf_map_lookup_elem(&marks, &tgid);
	__u32 flags = p->flags;

	if (p->tgid != tgid) {
		proc_save(p);
		p->last_ino = 0;
		flags = 0;
		p->exec_ns = 0;
		p->exec_tgid = 0;
		p->looks_n = 0;
		p->pages = 0;
	}
	p->row = m != NULL;
	p->epoch = marks_epoch;
	proc_own(p, tgid, m ? m->flags : flags);
	return 0;
}

/* What is known of a process; fills the slot from marks when it holds another one. */
static __always_inline struct proc *proc_get(__u32 tgid)
{
	__u32 slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);

	if (p && (p->tgid != tgid || p->epoch != marks_epoch))
		proc_fill(p, tgid);
	return p;
}

/* Of a process that has just lost its slot. */
static __noinline __u32 flags_saved(__u32 tgid)
{
	const struct fwm_mark *m = bpf_map_lookup_elem(&marks, &tgid);

	return m ? m->flags : 0;
}

/* p: proc_get(tgid), whoever has it by now. */
static __always_inline __u32 proc_flags(__u32 tgid, const struct proc *p)
{
	struct proc o = {.owner = p ? *(const volatile __u64 *)&p->owner : 0};

	return p && o.tgid != tgid ? flags_saved(tgid) : o.flags;
}

/* Is this process traced at all? */
static __always_inline bool wanted(__u32 tgid, const struct proc *p)
{
	__u32 flags = proc_flags(tgid, p);

	if (tgid == own_tgid || (flags & FWM_MARK_IGNORE))
		return false;
	return !only_targets || (flags & FWM_MARK_TARGET);
}

#endif
