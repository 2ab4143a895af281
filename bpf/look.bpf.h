/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * look.bpf.h - a path that was asked about and could not be read yet: see bpf/look.bpf.c.
 */
#ifndef FWM_LOOK_BPF_H
#define FWM_LOOK_BPF_H

#include "emit.bpf.h"

/* Tells what the current process owes. Takes numbers, see name_send(). */
int look_read_again(__u32 tgid);

static __always_inline struct owed *look_owed(__u32 tgid)
{
	__u32 slot = tgid & (OWED_MAX - 1);
	struct owed *o = bpf_map_lookup_elem(&owed, &slot);

	return o && o->tgid == tgid ? o : NULL;
}

static __always_inline void look_pay(__u32 tgid)
{
	if (look_owed(tgid))
		look_read_again(tgid);
}

static __always_inline void look_lost(void)
{
	struct fwm_counts *c = count_seen(FWM_HOOK_LOOK);

	if (c)
		count_one(c, unreadable);
}

static __always_inline void look_drop(__u32 tgid)
{
	struct owed *o = look_owed(tgid);

	if (!o)
		return;
	o->tgid = 0;
	look_lost();
}

#endif
