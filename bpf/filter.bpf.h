/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * filter.bpf.h - the one way to say no, and it comes before any other work.
 */
#ifndef FWM_FILTER_BPF_H
#define FWM_FILTER_BPF_H

#include "maps.bpf.h"

/* What is known of a process; fills the slot from marks when it holds another one. */
static __always_inline struct proc *proc_get(__u32 tgid)
{
	__u32 slot = tgid & (PROCS_MAX - 1);
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	struct fwm_mark *m;

	if (!p)
		return NULL;
	if (p->tgid == tgid && p->epoch == marks_epoch)
		return p;
	if (p->tgid != tgid) {
		p->exec_ns = 0;
		p->exec_tgid = 0;
		p->looks_n = 0;
		p->pages = 0;
	}
	m = bpf_map_lookup_elem(&marks, &tgid);
	p->flags = m ? m->flags : 0;
	p->epoch = marks_epoch;
	p->tgid = tgid;
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
