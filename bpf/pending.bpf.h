/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pending.bpf.h - what the enter hook of a system call leaves for its exit hook: when it began, and for kernels
 * before 5.15 its arguments.
 */
#ifndef FWM_PENDING_BPF_H
#define FWM_PENDING_BPF_H

#include "maps.bpf.h"

static __always_inline struct pending *pending_slot(__u64 pid_tgid)
{
	__u32 slot = (__u32)pid_tgid & (PENDING_MAX - 1);

	return bpf_map_lookup_elem(&pending, &slot);
}

/* What the enter hook left of this call, or NULL. Not what it left of one that ended while the exit hook
 * was off, and that is as old as the last time calls began to be timed. */
static __always_inline struct pending *pending_get(__u64 id, __u32 hook)
{
	struct pending *s;

	if (likely(!timed_since))
		return NULL;
	s = pending_slot(id);
	return s && s->pid_tgid == id && s->hook == hook && s->ts_ns >= timed_since ? s : NULL;
}

static __always_inline void pending_end(struct pending *s)
{
	s->hook = PENDING_NONE;
}

static __always_inline void pending_put(struct pending *s, __u64 id, __u32 hook, __s32 dfd,
					__u64 text, __u32 oflags, __u32 state)
{
	s->ts_ns = bpf_ktime_get_ns();
	s->text = text;
	s->dfd = dfd;
	s->oflags = oflags;
	s->hook = hook;
	s->state = state;
	s->pid_tgid = id;
}

#endif
