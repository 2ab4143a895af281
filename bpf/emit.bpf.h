/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * emit.bpf.h - the one way out of a hook: sent, or counted as something else.
 */
#ifndef FWM_EMIT_BPF_H
#define FWM_EMIT_BPF_H

#include "maps.bpf.h"

/* Adds one. Atomic although the slot is per CPU: a hook in an interrupt may come between. */
#define count_one(c, field) __sync_fetch_and_add(&(c)->field, 1)
/* The same where one program alone counts, that of one system call or step of a process: it never runs within
 * itself on one CPU, for a tracepoint has preemption off and the kernel refuses a trampoline to recurse. */
#define count_call(c, field) (((volatile struct fwm_counts *)(c))->field++)

/* The counters of a hook, with this run counted as seen. Only a bug makes it NULL. */
static __always_inline struct fwm_counts *count_seen(__u32 hook)
{
	struct fwm_counts *c = bpf_map_lookup_elem(&counts, &hook);

	if (c)
		count_one(c, seen);
	return c;
}

static __always_inline struct fwm_counts *count_call_seen(__u32 hook)
{
	struct fwm_counts *c = bpf_map_lookup_elem(&counts, &hook);

	if (c)
		count_call(c, seen);
	return c;
}

static __always_inline __u64 ring_unread(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
}

/* Bytes unread, 0 for few. Asked for with one event in 16 of a CPU, and with each while it is much: what
 * comes in between is small against what is left above fold_bytes. */
static __always_inline __u64 ring_pressure(const struct fwm_counts *c, __u64 size)
{
	__u64 unread;

	if (likely(!ring_pressed) && size <= 512 && likely(c->sent & 15))
		return 0;
	unread = ring_unread();
	if (ring_pressed != (unread >= fold_bytes))
		ring_pressed = unread >= fold_bytes;
	return unread;
}

/* Wake the reader now, once until it drains, when so much is unread or it cannot wait. */
static __always_inline __u64 wake_flags(bool urgent, __u64 unread)
{
	if (likely(!urgent) && likely(unread < wake_bytes))
		return BPF_RB_NO_WAKEUP;
	if (wake_sent)
		return BPF_RB_NO_WAKEUP;
	wake_sent = 1;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void hdr_fill(struct fwm_hdr *h, __u16 kind, __u64 size, __u64 ts_ns,
				     __u64 pid_tgid)
{
	h->ts_ns = ts_ns;
	h->tgid = pid_tgid >> 32;
	h->tid = (__u32)pid_tgid;
	h->size = size;
	h->kind = kind;
}

/* Sends rec, size bytes, and counts what came of it. */
static __always_inline int emit(struct fwm_counts *c, void *rec, __u64 size, bool urgent)
{
	if (bpf_ringbuf_output(&ring, rec, size,
			       wake_flags(urgent, urgent ? 0 : ring_pressure(c, size))))
		count_one(c, ring_full);
	else
		count_one(c, sent);
	return 0;
}

static __always_inline __u32 saturate32(__u64 ns)
{
	return ns > 0xffffffffull ? 0xffffffffu : ns;
}

#endif
