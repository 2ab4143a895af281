// SPDX-License-Identifier: GPL-2.0-only
/*
 * starts.bpf.c - what is told of starts that were only counted (bpf/starts.bpf.h).
 *
 *   FWM_EVENT_STARTS   the counts of one process, before the next start by it that is told and before it
 *                      becomes another program or ends; the reader takes them out of makers as well
 *   FWM_EVENT_LATE     the start of a process that starts something itself, connects, opens, lives for long
 *                      or had to read from a disk: before what it does. It stays in the counts
 */
#include "emit.bpf.h"
#include "filter.bpf.h"

char LICENSE[] SEC("license") = "GPL";

int maker_enter(__u32 maker)
{
	const struct fwm_mark *m = mark_of(maker);
	struct proc *q = proc_slot(maker);
	struct heir h = {.flags = m ? m->flags : 0};

	if (!q || (q->tgid && !(q->tgid & PROC_GONE)))
		return false;
	slot_take(q, maker, &h, m != NULL);
	return q->tgid == maker;
}

__u32 maker_row(__u32 maker, __u32 start)
{
	struct fwm_maker *m = maker_slot(maker);
	__u32 i;

	if (!m || (m->tgid != maker &&
		   (m->tgid || __sync_val_compare_and_swap(&m->tgid, 0, maker))))
		return FWM_STARTS_TOP;
#pragma unroll
	for (i = 0; i < FWM_STARTS_TOP; i++) {
		__u32 had = *(volatile __u32 *)&m->start[i];

		if (had == start)
			return i;
		if (!had && (!(had = __sync_val_compare_and_swap(&m->start[i], 0, start)) ||
			     had == start))
			return i;
	}
	return FWM_STARTS_TOP;
}

int start_late(__u32 tgid)
{
	struct proc *p = proc_slot(tgid), o, to;
	struct fwm_counts *c;
	struct fwm_late *room;

	if (!p)
		return 0;
	o.owner = *(volatile __u64 *)&p->owner;
	if (o.tgid != tgid || !(o.flags & PROC_FOLDED))
		return 0;
	c = count_seen(FWM_HOOK_STARTS);
	if (!c)
		return 0;
	to.tgid = tgid;
	to.flags = o.flags & ~PROC_FOLDED;
	/* Its place in the ring is before whatever follows when it is known to be told. */
	room = bpf_ringbuf_reserve(&ring, sizeof(*room), 0);
	if (room) {
		hdr_fill(&room->hdr, FWM_EVENT_LATE, sizeof(*room), p->exec_ns,
			 (__u64)tgid << 32 | tgid);
		room->hdr.flags = FWM_F_QUIET;
		room->parent = p->maker;
		room->start = p->start;
	}
	if (__sync_val_compare_and_swap(&p->owner, o.owner, to.owner) != o.owner) {
		if (room)
			bpf_ringbuf_discard(room, BPF_RB_NO_WAKEUP);
		count_one(c, filtered);
		return 0;
	}
	p->last_ino = 0;
	if (room) {
		bpf_ringbuf_submit(room, BPF_RB_NO_WAKEUP);
		count_one(c, sent);
	} else {
		count_one(c, ring_full);
	}
	return 0;
}

int starts_tell(__u32 maker, __u32 gone)
{
	struct proc *q = proc_slot(maker);
	struct fwm_maker *m = maker_slot(maker);
	struct fwm_counts *c = count_seen(FWM_HOOK_STARTS);
	struct fwm_starts *room;
	__u32 i;

	if (!c)
		return 0;
	room = q && m && m->tgid == maker ? bpf_ringbuf_reserve(&ring, sizeof(*room), 0) : NULL;
	if (!room) {
		/* The reader takes them, and frees the place of one that is gone. */
		if (m && gone && m->tgid == maker)
			__sync_val_compare_and_swap(&m->tgid, maker, maker | PROC_GONE);
		count_one(c, filtered);
		return 0;
	}
	if ((q->tgid & ~PROC_GONE) == maker)
		q->makes = gone ? 0 : MAKES_TOLD;
	hdr_fill(&room->hdr, FWM_EVENT_STARTS, sizeof(*room), bpf_ktime_get_ns(),
		 (__u64)maker << 32 | maker);
	room->hdr.flags = 0;
	for (i = 0; i < FWM_STARTS_TOP; i++) {
		struct fwm_maker_row *r = &m->rows[i];
		struct fwm_starts_row *to = &room->rows[i];

		to->start = m->start[i];
		to->zero = 0;
		to->count = __sync_lock_test_and_set(&r->count, 0);
		to->ends_n = __sync_lock_test_and_set(&r->ends_n, 0);
		to->life_ns = __sync_lock_test_and_set(&r->life_ns, 0);
		to->cpu_ns = __sync_lock_test_and_set(&r->cpu_ns, 0);
		if (gone)
			m->start[i] = 0;
	}
	if (gone)
		m->tgid = 0;
	bpf_ringbuf_submit(room, BPF_RB_NO_WAKEUP);
	count_one(c, sent);
	return 0;
}
