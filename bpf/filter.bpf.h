/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * filter.bpf.h - the one way to say no, and it comes before any other work.
 */
#ifndef FWM_FILTER_BPF_H
#define FWM_FILTER_BPF_H

#include "maps.bpf.h"

/* The slot is given to another: what was marked must not be forgotten. */
static __always_inline void proc_save(const struct proc *p)
{
	struct fwm_mark m = {.flags = p->flags};
	__u32 tgid = p->tgid;

	if (tgid && m.flags && !p->row)
		bpf_map_update_elem(&marks, &tgid, &m, BPF_ANY);
}

static __noinline int proc_fill(struct proc *p, __u32 tgid)
{
	const struct fwm_mark *m = bpf_map_lookup_elem(&marks, &tgid);

	if (p->tgid != tgid) {
		proc_save(p);
		p->flags = 0;
		p->exec_ns = 0;
		p->exec_tgid = 0;
		p->looks_n = 0;
		p->pages = 0;
	}
	if (m)
		p->flags = m->flags;
	p->row = m != NULL;
	p->epoch = marks_epoch;
	p->tgid = tgid;
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

/* Is this process traced at all? */
static __always_inline bool wanted(__u32 tgid, const struct proc *p)
{
	__u32 flags = p ? p->flags : 0;

	if (tgid == own_tgid || (flags & FWM_MARK_IGNORE))
		return false;
	return !only_targets || (flags & FWM_MARK_TARGET);
}

#endif
