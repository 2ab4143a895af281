// SPDX-License-Identifier: GPL-2.0-only
/*
 * procs.bpf.c - who made whom, without a hook where processes are made.
 *
 * Most processes execute or end before they do anything else, and that record says who made them (FWM_F_NEW). A
 * process is told by itself (FWM_EVENT_FORK) in time before what it does else, and before its parent becomes
 * another program or ends: then who made it could not be told any more.
 *
 * Misses   of a child made with CLONE_PARENT who really made it: the kernel keeps the parent they share.
 */
#include "emit.bpf.h"
#include "filter.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Processes above one, each of which did nothing but make the next. More: counted as unreadable, and the
 * topmost of them is taken to be made by an unknown one. */
#define LEVELS_MAX 6

/* Of one parent. More: counted as unreadable, once. */
#define CHILDREN_MAX 1024

static __always_inline __u64 task_leader(__u64 task)
{
	return (__u64)BPF_CORE_READ((const struct task_struct *)task, group_leader);
}

int owner_save(__u32 tgid, __u32 flags)
{
	struct fwm_mark m = {.flags = flags};

	if (!tgid || tgid & PROC_GONE)
		return 0;
	if (!(marks_seen >> (tgid & 63) & 1))
		__sync_fetch_and_or(&marks_seen, 1ull << (tgid & 63));
	__sync_fetch_and_add(&marks_n, 1);
	if (!bpf_map_update_elem(&marks, &tgid, &m, BPF_NOEXIST))
		return 0;
	__sync_fetch_and_add(&marks_n, -1);
	bpf_map_update_elem(&marks, &tgid, &m, BPF_ANY);
	return 0;
}

int fork_tell(__u64 task)
{
	const struct task_struct *t = (const struct task_struct *)task;
	__u32 tgid = BPF_CORE_READ(t, tgid), slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	struct fwm_counts *c = count_seen(FWM_HOOK_FORK);
	struct fwm_fork *room;

	if (!p || !c)
		return 0;
	/* Its place in the ring is before whatever follows when it is known to be told. */
	room = bpf_ringbuf_reserve(&ring, sizeof(*room), 0);
	if (!room) {
		if (proc_told(p, tgid, 0))
			count_one(c, ring_full);
		else
			count_one(c, filtered);
		return 0;
	}
	*room = (struct fwm_fork){};
	hdr_fill(&room->hdr, FWM_EVENT_FORK, sizeof(*room), bpf_ktime_get_ns(),
		 (__u64)tgid << 32 | tgid);
	room->parent = BPF_CORE_READ(t, real_parent, tgid);
	if (proc_told(p, tgid, 0)) {
		bpf_ringbuf_submit(room, BPF_RB_NO_WAKEUP);
		count_one(c, sent);
	} else {
		bpf_ringbuf_discard(room, BPF_RB_NO_WAKEUP);
		count_one(c, filtered);
	}
	return 0;
}

/* Is it still to be told that this was made? Like the next it is not static because a hook and what it calls
 * have but 512 bytes on the stack, and each of these would add its own to those of who calls it. */
int task_unknown(__u64 task);
__u64 task_above(__u64 task, __u32 n);

int task_unknown(__u64 task)
{
	const struct task_struct *t = (const struct task_struct *)task;
	__u32 tgid = BPF_CORE_READ(t, tgid), slot = tgid & procs_mask;
	const struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	struct proc o = {.owner = p ? *(const volatile __u64 *)&p->owner : 0};
	__u64 start_ns = BPF_CORE_READ(t, start_time);

	if (tgid == own_tgid || TASK_OLD(BPF_CORE_READ(t, flags), start_ns) ||
	    BPF_CORE_READ(t, exit_state))
		return false;
	if (o.tgid == tgid)
		return o.flags & (PROC_NEW | PROC_FOLDED);
	return !proc_gone(tgid, start_ns) && !mark_of(tgid);
}

/* Of one whose maker is known, as far as that can be. */
int one_tell(__u64 task);

int one_tell(__u64 task)
{
	const struct task_struct *t = (const struct task_struct *)task;
	__u32 tgid = BPF_CORE_READ(t, tgid), slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	struct heir h = {};

	if (!p)
		return 0;
	if (p->tgid != tgid) {
		if (!heir_of(&h, BPF_CORE_READ(t, real_parent, tgid)))
			h.flags = only_targets ? 0 : PROC_NEW;
		slot_take(p, tgid, &h, false);
	} else if (p->flags & PROC_FOLDED) {
		return start_late(tgid);
	}
	fork_tell(task);
	return 0;
}

static __always_inline __u64 task_maker(__u64 task)
{
	return task_leader((__u64)BPF_CORE_READ((const struct task_struct *)task, real_parent));
}

__u64 task_above(__u64 task, __u32 n)
{
	__u32 i;

	for (i = 0; i < LEVELS_MAX && i < n; i++)
		task = task_maker(task);
	return task;
}

int proc_tell(__u64 task)
{
	struct fwm_counts *c;
	__u32 n, i;

	task = task_leader(task);
	for (n = 0; n <= LEVELS_MAX; n++)
		if (!task_unknown(task_above(task, n)))
			break;
	if (n > LEVELS_MAX) {
		n = LEVELS_MAX;
		c = count_seen(FWM_HOOK_FORK);
		if (c)
			count_one(c, unreadable);
	}
	for (i = 1; i <= LEVELS_MAX && i <= n; i++)
		one_tell(task_above(task, n - i));
	return 0;
}

int proc_enter(__u32 tgid)
{
	const struct task_struct *t = (const struct task_struct *)bpf_get_current_task();
	const struct fwm_mark *m = mark_of(tgid);
	__u32 slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	struct heir h = {};

	if (!p || (BPF_CORE_READ(t, flags) & (PF_KTHREAD | PF_EXITING)))
		return 0;
	if (!m && BPF_CORE_READ(t, group_leader, start_time) >= begun_ns)
		return proc_tell((__u64)t);
	if (m)
		h.flags = m->flags;
	slot_take(p, tgid, &h, m != NULL);
	return 0;
}

int children_tell(__u64 task)
{
	const struct task_struct *t = (const struct task_struct *)task;
	__u64 head = (__u64)__builtin_preserve_access_index(&t->children), at = head;
	struct fwm_counts *c;
	int i;

	for (i = 0; i < CHILDREN_MAX; i++) {
		const struct list_head *link = (const struct list_head *)at;

		at = (__u64)BPF_CORE_READ(link, next);
		if (at == head || !at)
			return 0;
		proc_tell(at - bpf_core_field_offset(struct task_struct, sibling));
	}
	c = count_seen(FWM_HOOK_FORK);
	if (c)
		count_one(c, unreadable);
	return 0;
}
