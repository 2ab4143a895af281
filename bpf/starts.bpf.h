/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * starts.bpf.h - what is remembered of the starts of programs: so that one is not looked for again, and so that
 * one of which all is known is only counted while much is started.
 *
 * Counted (folded) is a start that the reader put into foldable and that nothing in guesses wants to know of, of
 * a process that was not told yet, while all hooks on system calls are off because all that runs is known
 * (folding), and in the FOLD_WINDOWS - 1 of FOLD_WINDOWS windows in which not each is told anyway. How many a host
 * starts at the pace of a person is told each. What is counted is in makers; see bpf/starts.bpf.c for the
 * process that does more than was expected.
 */
#ifndef FWM_STARTS_BPF_H
#define FWM_STARTS_BPF_H

#include "filter.bpf.h"

static __always_inline bool children_none(struct task_struct *task)
{
	return (__u64)task->children.next ==
	       (__u64)__builtin_preserve_access_index(&task->children);
}

/* What was found at the last start of a program: where nothing of what it was found by is another, it is not
 * looked for again, for that took 500 of 1,600 ns. A rename, a mount, another root or a changed
 * program is seen at once, as is what the daemon says of the block; that a loader was removed and made anew in its
 * place, or a link on the way to it, after LOADER_NS. Per CPU, where this program never runs within itself. */
#define STARTS_MAX 256 /* power of two */
#define LOADER_NS 1000000000ull

struct start {
	__u64 dentry, mnt, parent, hash_len; /* of the program */
	__u64 ino, changed;
	__u64 root_mnt, root_dentry;
	__u64 until_ns; /* 0: nothing was found */
	__u32 gen, dev, name;
	__u32 mntns;
	__u32 inval;
	__u64 args; /* of it as it was told last: fwm_args_hash(), 0: not looked at */
	/* Of it with this argument. */
	__u32 arg;
	__u32 told;   /* START_*; 0: nothing */
	__u32 left_n; /* then */
	__u32 tables; /* and of tables_n */
	__u32 starts_n;
	struct fwm_file loader; /* all 0: there is none */
};
#define START_TOLD (1u << 0)
#define START_WAKES (1u << 1) /* it is worth waking the daemon for */
#define START_READY (1u << 2)
#define START_ASKED (1u << 3) /* known was looked at, */
#define START_KNOWN (1u << 4) /* and has it */
#define START_SKIP (1u << 5)  /* its opens are not reported this time */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STARTS_MAX);
	__type(key, __u32);
	__type(value, struct start);
} starts SEC(".maps");

/* What is known of a start with these arguments. Per CPU, likewise. */
#define KNOWN_STARTS_MAX 256 /* power of two */

struct known_start {
	__u64 ino, args, changed;
	__u32 dev, name, uid;
	__u32 start;  /* as in foldable; 0: nothing is known */
	__u32 left_n; /* then */
	__u32 tables; /* and of tables_n */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN_STARTS_MAX);
	__type(key, __u32);
	__type(value, struct known_start);
} known_starts SEC(".maps");

/* Windows are told by the clock alone, so that nobody has to wake for them. */
#define FOLD_WINDOW_SHIFT 28 /* 268 ms */
#define FOLD_WINDOWS 8	     /* power of two */
#define FOLD_LIFE_NS 1000000000ull /* who lived longer is told of at its end */

/* Of the window: a lost update is harmless. */
__u64 fold_window = 0;
__u32 fold_window_n = 0;
__u32 fold_paced = 0;

/* One more start: is this a time to count it? */
static __always_inline bool fold_time(__u64 now)
{
	__u64 window = now >> FOLD_WINDOW_SHIFT;

	if (unlikely(window != fold_window)) {
		/* Once begun it goes on down to half the pace. */
		fold_paced = window == fold_window + 1 &&
			     fold_window_n >= (fold_paced ? fold_starts / 2 : fold_starts);
		fold_window_n = 0;
		fold_window = window;
	}
	fold_window_n++;
	return fold_paced && (window & (FOLD_WINDOWS - 1));
}

/* len: < FWM_FOLD_ARGS. Not inlined: the stack of who calls it is full. */
static __noinline __u64 args_hash(unsigned long from, __u32 len)
{
	__u64 words[FWM_FOLD_ARGS / 8] = {};

	if (bpf_probe_read_user(words, masked(len, FWM_FOLD_ARGS - 1), (const void *)from))
		return 0;
	return fwm_args_hash(words);
}

static __always_inline bool known_same(const struct known_start *k, const struct start *l,
				       __u64 args, __u32 uid)
{
	return likely(k->args == args) && likely(k->ino == l->ino) && likely(k->dev == l->dev) &&
	       likely(k->name == l->name) && likely(k->uid == uid) &&
	       likely(k->changed == l->changed) &&
	       likely(k->tables == tables_n[fwm_tables_of(l->ino)]) &&
	       likely(k->left_n == left_n) && likely(FWM_START_PHASE(k->start) == folding);
}

/* The last start of this program that was told was like this one, and worth nothing to anybody. */
static __always_inline bool last_alike(const struct start *l, __u64 args)
{
	return l->args == args && (l->told & START_KNOWN) && !(l->told & START_WAKES) &&
	       l->tables == tables_n[fwm_tables_of(l->ino)] && l->left_n == left_n;
}

/* The number of a start that may be counted; 0: it is to be told. */
static __always_inline __u32 known_start(const struct start *l, __u64 args, __u32 uid)
{
	__u32 place = ((args ^ l->ino) * 0x9e3779b97f4a7c15ull) >> 40 & (KNOWN_STARTS_MAX - 1);
	struct known_start *k = bpf_map_lookup_elem(&known_starts, &place);
	struct fwm_foldable_key key;
	__u32 *start;

	if (!k)
		return 0;
	if (likely(known_same(k, l, args, uid)))
		return k->start;
	if (!last_alike(l, args))
		return 0;
	key = (struct fwm_foldable_key){
		.ino = l->ino, .dev = l->dev, .name = l->name, .args = args, .uid = uid};
	start = bpf_map_lookup_elem(&foldable, &key);
	if (!start || FWM_START_PHASE(*start) != folding)
		return 0;
	k->start = *start;
	k->ino = l->ino;
	k->args = args;
	k->changed = l->changed;
	k->dev = l->dev;
	k->name = l->name;
	k->uid = uid;
	k->left_n = left_n;
	k->tables = tables_n[fwm_tables_of(l->ino)];
	return k->start;
}

/* Counts the start of the process of this slot; false: it is to be told. owner: as it is now. */
static __always_inline bool start_fold(struct proc *p, __u64 owner, __u32 tgid, __u32 flags,
				       __u32 start, __u32 maker, __u64 now)
{
	struct proc *q = proc_slot(maker), to;
	struct fwm_maker *m = maker_slot(maker);
	__u32 row;

	if (!q || !m || unlikely(!(flags & PROC_NEW)) ||
	    (unlikely(q->tgid != maker) && !maker_enter(maker)))
		return false;
	row = maker_row(maker, start);
	if (unlikely(row >= FWM_STARTS_TOP))
		return false;
	p->exec_ns = now;
	p->exec_tgid = tgid;
	p->looks_n = 0;
	p->pages = 0;
	p->start = start;
	p->maker = maker;
	p->last_dev = row;
	to.tgid = tgid;
	to.flags = (flags & ~PROC_NEW) | FWM_MARK_QUIET | PROC_FOLDED;
	/* Before it can be told by another, whose maker ends. */
	__sync_fetch_and_add(&m->rows[row & (FWM_STARTS_TOP - 1)].count, 1);
	if (q->makes != MAKES_UNTOLD)
		q->makes = MAKES_UNTOLD;
	if (unlikely(!folded_ever))
		folded_ever = 1;
	if (likely(__sync_val_compare_and_swap(&p->owner, owner, to.owner) == owner))
		return true;
	p->last_ino = 0;
	__sync_fetch_and_add(&m->rows[row & (FWM_STARTS_TOP - 1)].count, -1);
	return false;
}

/* The end of such a process; false: more is to be told of it. */
static __always_inline bool exit_fold(struct proc *p, struct task_struct *task,
				      const struct signal_struct *sig, __u64 life_ns, __u64 now)
{
	struct proc o = {.owner = *(volatile __u64 *)&p->owner}, to;
	__u32 start = p->start, maker = p->maker, row = p->last_dev & (FWM_STARTS_TOP - 1);
	struct fwm_maker *m = maker_slot(maker);

	/* What it had to read from a disk tells that it was not as ready as it was known. */
	if (unlikely(!children_none(task)) || unlikely(life_ns > FOLD_LIFE_NS) ||
	    unlikely(task->group_leader != task) || unlikely(p->makes) || unlikely(p->again_n) ||
	    unlikely(sig->ioac.read_bytes + task->ioac.read_bytes) ||
	    unlikely(sig->maj_flt + task->maj_flt))
		return false;
	mark_drop(o.tgid);
	p->exec_ns = now;
	to.tgid = o.tgid | PROC_GONE;
	to.flags = o.flags & ~PROC_FOLDED;
	if (__sync_val_compare_and_swap(&p->owner, o.owner, to.owner) != o.owner)
		return false;
	if (likely(m) && likely(m->tgid == maker) && likely(m->start[row] == start)) {
		__sync_fetch_and_add(&m->rows[row].ends_n, 1);
		__sync_fetch_and_add(&m->rows[row].life_ns, life_ns);
		__sync_fetch_and_add(&m->rows[row].cpu_ns,
				     sig->sum_sched_runtime + task->se.sum_exec_runtime);
	}
	return true;
}

/* A start by this process is told: what it started before comes before that. */
static __always_inline void starts_before(__u32 maker)
{
	const struct proc *q = proc_slot(maker);

	if (q && q->tgid == maker && unlikely(q->makes == MAKES_UNTOLD))
		starts_tell(maker, false);
}

#endif
