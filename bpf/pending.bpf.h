/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pending.bpf.h - what the enter hook of a system call leaves for its exit hook.
 */
#ifndef FWM_PENDING_BPF_H
#define FWM_PENDING_BPF_H

#include "maps.bpf.h"

static __always_inline struct pending *pending_slot(__u64 pid_tgid)
{
	__u32 slot = (__u32)pid_tgid & (PENDING_MAX - 1);

	return bpf_map_lookup_elem(&pending, &slot);
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
