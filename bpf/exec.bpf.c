// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec.bpf.c - the lives of processes: turned into a program, gone; made: see bpf/procs.bpf.c.
 *
 *   tp_btf/sched_process_exec   after the point of no return, so a failed execve() is never seen
 *                               here and needs no pairing
 *   tp_btf/sched_process_exit   the last thread of a process, with what all of them used
 */
#include "emit.bpf.h"
#include "filter.bpf.h"
#include "names.bpf.h"
#include "pending.bpf.h"

__u64 layer_add(__u64 hash, __u64 layer);

/* Of an overlay, directories to tell images apart by; engines make at most about as many. */
#define LAYERS_MAX 128

static __always_inline bool children_none(struct task_struct *task)
{
	return (__u64)task->children.next ==
	       (__u64)__builtin_preserve_access_index(&task->children);
}

/* Who made the current process; false: that is not to be told. As heir_of() by plain loads, for this comes with
 * each start of a program. */
static __always_inline bool heir_now(struct heir *h, struct task_struct *t)
{
	struct task_struct *parent;
	__u32 maker, flags;
	__u64 start_ns, at;

	*h = (struct heir){};
	if (task_typed()) {
		if (unlikely(t->group_leader->start_time < begun_ns))
			return false;
		parent = t->real_parent;
		maker = parent->tgid;
		if (likely(heir_of(h, maker)))
			return true;
		flags = parent->flags;
		start_ns = parent->group_leader->start_time;
	} else {
		if (BPF_CORE_READ(t, group_leader, start_time) < begun_ns)
			return false;
		maker = BPF_CORE_READ(t, real_parent, tgid);
		if (heir_of(h, maker))
			return true;
		flags = BPF_CORE_READ(t, real_parent, flags);
		start_ns = BPF_CORE_READ(t, real_parent, group_leader, start_time);
	}
	if (!TASK_OLD(flags, start_ns) && !bpf_core_read(&at, sizeof(at), &t->real_parent)) {
		proc_tell(at);
		if (heir_of(h, maker))
			return true;
	}
	h->flags = only_targets ? 0 : PROC_NEW;
	return true;
}

/* Its slot, for heir_now(). */
static __always_inline void maker_touch(struct task_struct *t)
{
	__u32 slot = task_typed() ? t->real_parent->tgid & procs_mask : 0;
	const struct proc *q = bpf_map_lookup_elem(&procs, &slot);

	if (q)
		(void)*(const volatile __u64 *)&q->owner;
}

/* Like proc_enter(), with what is to be told left to the caller: see proc_told(). */
static __noinline int proc_fill(struct proc *p, __u32 tgid, struct task_struct *t)
{
	const struct fwm_mark *m = mark_of(tgid);
	struct heir h = {};

	if (m)
		h.flags = m->flags;
	else
		heir_now(&h, t);
	slot_take(p, tgid, &h, m != NULL);
	return 0;
}

/* The current process, in its last moment as what it was: tells of those it made, which nobody could tell
 * to be its afterwards, and of what it opened again. */
static __always_inline void proc_end(struct proc *p, __u32 tgid, struct task_struct *task,
				     __u64 now)
{
	if (p->tgid != tgid)
		proc_fill(p, tgid, task);
	else if (p->epoch != marks_epoch)
		marks_again(p, tgid);
	if (!children_none(task)) {
		if (p->flags & PROC_NEW)
			proc_tell((__u64)bpf_get_current_task());
		children_tell((__u64)bpf_get_current_task());
	}
	if (p->again_n && p->tgid == tgid)
		again_tell(p, now);
}

/* Docker gives each container a layer of its own below the writable one. */
static __always_inline bool layer_is_own(const struct dentry *root)
{
	const struct dentry *above = BPF_CORE_READ(root, d_parent);
	__u32 len = BPF_CORE_READ(above, d_name.len);
	char end[5];

	return len > 5 &&
	       !bpf_probe_read_kernel(end, 5, BPF_CORE_READ(above, d_name.name) + len - 5) &&
	       end[0] == '-' && end[1] == 'i' && end[2] == 'n' && end[3] == 'i' && end[4] == 't';
}

/* hash with one layer added. Not static: verified once, and not for every turn of the loop that calls it. */
__u64 layer_add(__u64 hash, __u64 layer)
{
	const struct vfsmount *mnt;
	const struct dentry *root;

	if (!bpf_core_type_exists(struct ovl_layer))
		return hash;
	mnt = BPF_CORE_READ((const struct ovl_layer *)layer, mnt);
	root = BPF_CORE_READ(mnt, mnt_root);
	if (!root || layer_is_own(root))
		return hash;
	return fwm_image_hash(hash, BPF_CORE_READ(mnt, mnt_sb, s_dev),
			      BPF_CORE_READ(root, d_inode, i_ino));
}

/* sb: of an overlay. */
static __noinline __u64 layers_image(const struct super_block *sb)
{
	const struct ovl_fs *o = (const struct ovl_fs *)BPF_CORE_READ(sb, s_fs_info);
	__u64 layers = (__u64)BPF_CORE_READ(o, layers), hash = 1;
	__u32 n = BPF_CORE_READ(o, numlayer), i;

	for (i = 1; i < LAYERS_MAX && i < n; i++)
		hash = layer_add(hash, layers + i * bpf_core_type_size(struct ovl_layer));
	/* Over the host's root alone, as our sandboxes are: the host's own files. */
	if (n == 2 && hash == fwm_image_hash(1, host_root_dev, host_root_ino))
		return FWM_IMAGE(FWM_IMAGE_HOST, 0);
	return FWM_IMAGE(FWM_IMAGE_OVERLAY, hash);
}

/* What the root of the current process is made of, told here because it may be gone with its last
 * process before anybody else can look. */
static __noinline __u64 image(const struct file *exe)
{
	struct fs_struct *fs = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), fs);
	const struct vfsmount *mnt = BPF_CORE_READ(fs, root.mnt);
	const struct super_block *sb = BPF_CORE_READ(mnt, mnt_sb);
	unsigned long magic = BPF_CORE_READ(sb, s_magic);
	__u32 dev = BPF_CORE_READ(sb, s_dev);
	__u64 ino = BPF_CORE_READ(fs, root.dentry, d_inode, i_ino);

	if (dev == host_root_dev && ino == host_root_ino)
		return FWM_IMAGE(FWM_IMAGE_HOST, 0);
	if (magic == OVERLAYFS_SUPER_MAGIC) {
		if (!bpf_core_type_exists(struct ovl_fs))
			return FWM_IMAGE(FWM_IMAGE_UNKNOWN, 0);
		return layers_image(sb);
	}
	if (magic == TMPFS_MAGIC) {
		mnt = BPF_CORE_READ(exe, f_path.mnt);
		dev = BPF_CORE_READ(mnt, mnt_sb, s_dev);
		ino = BPF_CORE_READ(mnt, mnt_root, d_inode, i_ino);
	}
	return FWM_IMAGE(FWM_IMAGE_ROOT, fwm_image_hash(1, dev, ino));
}

/* In its first runs, and then in one of so many, what a block uses of its files is learnt. */
#define PAGE_EVERY 16

/* Counts the starts of a block. Two that share a place are one here. */
static __always_inline __u32 starts_count(__u64 ino, __u32 dev, __u32 arg)
{
	__u64 h = (ino ^ (__u64)dev << 32 ^ arg) * 0x9e3779b97f4a7c15ull;
	__u32 place = (h >> 40) & (PAGE_STARTS_MAX - 1), *n;

	n = bpf_map_lookup_elem(&page_starts, &place);
	return n ? ++*n : 1; /* a lost update is harmless */
}

/* Puts the program into the slot of the process, and flags: as this start wants them, with PROC_NEW where that
 * it was made is still to be told, and HEIR_PAGES. false: another has the slot. */
static __noinline int slot_claim(struct proc *p, __u32 tgid, __u32 flags, __u64 now)
{
	struct heir h = {.exec_ns = now, .exec_tgid = tgid, .flags = flags};
	struct fwm_mark m = {.flags = flags & ~(HEIR_PAGES | PROC_NEW)};

	if (p->tgid != tgid)
		slot_take(p, tgid, &h, false);
	if (p->tgid != tgid)
		return false;
	p->exec_ns = now;
	p->exec_tgid = tgid;
	p->looks_n = 0;
	p->last_ino = 0;
	p->pages = !!(flags & HEIR_PAGES);
	if (m.flags != (p->flags & ~PROC_NEW)) {
		p->flags = m.flags | (p->flags & PROC_NEW);
		if (p->row)
			bpf_map_update_elem(&marks, &tgid, &m, BPF_ANY);
	}
	return true;
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

/* When the inode was last changed, whatever of it. */
static __always_inline __u64 changed(const struct inode *i)
{
	const struct inode___timespec *t = (const void *)i;
	const struct inode___ctime *c = (const void *)i;

	/* 2^30 ns are more than a second; above them 6.13 keeps a flag. */
	if (bpf_core_field_exists(i->i_ctime_sec))
		return (__u64)i->i_ctime_sec << 30 ^ (i->i_ctime_nsec & 0x3fffffff);
	if (bpf_core_field_exists(t->__i_ctime))
		return (__u64)t->__i_ctime.tv_sec << 30 ^ t->__i_ctime.tv_nsec;
	if (bpf_core_field_exists(c->i_ctime))
		return (__u64)c->i_ctime.tv_sec << 30 ^ c->i_ctime.tv_nsec;
	return 0;
}

static long loader_vma(struct task_struct *task, struct vm_area_struct *vma, __u64 *ret)
{
	*ret = (__u64)vma->vm_file;
	return 0;
}

/* The file the first instruction is in: ld.so for most, the program itself when it is static. The
 * helpers came with 5.15 and 5.17; before that the loader is not reported. Not a function of its own: with what
 * it calls that took 544 bytes of stack, and older kernels allow 512. */
static __always_inline int loader_find(struct task_struct *task, const struct file *exe,
				       struct fwm_file *ret)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u64 file = 0;

	if (bpf_find_vma(task, pt_regs_ip(regs), loader_vma, &file, 0) || !file)
		return NAME_UNREADABLE;
	if (file == (__u64)exe)
		return NAME_KNOWN;
	return name_struct_file((const struct file *)file, ret);
}

/* Looks for what a program that starts is, and its loader, and keeps it in l. file: of it; d, i: what that has.
 * Returns enum name_result of the program. */
static __always_inline int start_find(struct start *l, struct task_struct *task,
				      const struct file *file, const struct dentry *d,
				      const struct inode *i, __u32 mntns, __u64 now)
{
	/* Of what was in a map the verifier forgets that it is a pointer. */
	volatile struct start *room = l;
	struct file_head head;
	__u32 inval = name_inval;
	struct place at;
	int known;

	l->until_ns = 0;
	l->told = 0;
	l->starts_n = 0;
	head.ino = i->i_ino;
	head.gen = i->i_generation;
	head.hash_len = (__u64)d->d_name.len << 32 | d->d_name.hash;
	room->parent = (__u64)d->d_parent;
	room->changed = (__u64)d->d_hash.pprev;
	head.parent = room->parent;
	head.pprev = room->changed;
	room->mnt = (__u64)file->f_path.mnt;
	room->dentry = (__u64)d;
	room->root_mnt = (__u64)i;
	at.mnt = room->mnt;
	at.dentry = room->dentry;
	at.inode = room->root_mnt;
	l->loader.dev = l->loader.name = 0;
	known = name_known(&at, &head, &l->loader); /* not on the stack, which is full */
	l->ino = head.ino;
	l->gen = head.gen;
	l->dev = l->loader.dev;
	l->name = l->loader.name;
	l->loader = (struct fwm_file){};
	if (known == NAME_UNREADABLE)
		return known;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_find_vma) &&
	    bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs) &&
	    loader_find(task, file, &l->loader) != NAME_KNOWN)
		return known;
	if (known != NAME_KNOWN || !head.pprev)
		return known;
	l->hash_len = head.hash_len;
	l->changed = changed(i);
	room->root_mnt = (__u64)task->fs->root.mnt;
	room->root_dentry = (__u64)task->fs->root.dentry;
	l->mntns = mntns;
	l->inval = inval;
	l->until_ns = now + LOADER_NS;
	return known;
}

/* Is that still so, until l->until_ns? */
static __always_inline bool start_same(const struct start *l, const struct task_struct *task,
				       const struct file *file, const struct dentry *d,
				       const struct inode *i, __u32 mntns)
{
	const struct fs_struct *fs = task->fs;

	return likely(l->dentry == (__u64)d) && likely(l->mnt == (__u64)file->f_path.mnt) &&
	       likely(l->inval == name_inval) && likely(l->mntns == mntns) &&
	       likely(l->ino == i->i_ino) && likely(l->gen == i->i_generation) &&
	       likely(l->changed == changed(i)) && likely(l->parent == (__u64)d->d_parent) &&
	       likely(d->d_hash.pprev) &&
	       likely(l->hash_len == ((__u64)d->d_name.len << 32 | d->d_name.hash)) &&
	       likely(l->root_mnt == (__u64)fs->root.mnt) &&
	       likely(l->root_dentry == (__u64)fs->root.dentry);
}

/* What the daemon says of a block. Keeps it in l, and returns START_* for this start. */
static __always_inline __u32 start_ask(struct start *l, __u32 arg, __u32 tables, bool ask)
{
	struct fwm_block_key key = {.ino = l->ino, .dev = l->dev, .arg = arg};
	struct fwm_guess_row *g = bpf_map_lookup_elem(&guesses, &key);
	struct fwm_known_row *k = ask ? bpf_map_lookup_elem(&known, &key) : NULL;
	__u32 left = left_n, told = START_TOLD | (ask ? START_ASKED : 0), now;

	if (arg && !g) { /* what is told of the program whatever its argument */
		key.arg = 0;
		g = bpf_map_lookup_elem(&guesses, &key);
	}
	if (k && k->every)
		told |= START_KNOWN;
	if (!g) /* Nobody has looked yet what it needs: so it is after a start of the daemon. */
		told |= wake_new ? START_WAKES : 0;
	else if (g->wake == FWM_WAKE_YES)
		told |= START_WAKES;
	else if (g->wake == FWM_WAKE_LEFT || g->wake == FWM_WAKE_IDLE)
		told |= START_READY;
	now = told;
	if (g && g->wake != FWM_WAKE_NO && g->left_n != left) {
		g->left_n = left; /* one wakeup for all that left until now */
		now = told & ~START_READY;
		if (g->wake != FWM_WAKE_IDLE)
			now |= START_WAKES;
	}
	if (l->arg != arg)
		l->starts_n = 0;
	l->arg = arg;
	l->left_n = left;
	l->tables = tables;
	l->told = told;
	/* One start out of so many, and each that is acted upon, for its outcome must be seen. */
	if (k && k->every && sampling && !wake_unknown && !(now & START_WAKES) &&
	    k->starts_n++ % k->every != 0) /* a lost update is harmless */
		now |= START_SKIP;
	return now;
}

/* As bpf_get_current_cgroup_id() has it. */
static __always_inline __u64 cgroup_of(const struct task_struct *t)
{
	return task_typed() && bpf_core_field_exists(t->cgroups) ? t->cgroups->dfl_cgrp->kn->id
								 : bpf_get_current_cgroup_id();
}

/* A record with few arguments and no script: written where it is sent from. */
#define EXEC_SMALL 120
#define EXEC_SMALL_SIZE (offsetof(struct fwm_exec, text) + EXEC_SMALL)

/* Of argv[1], which follows argv[0]. text: of len, with a NUL more. */
static __always_inline __u32 arg_of(const char *text, __u32 len)
{
	union fwm_arg_head head;
	__u32 zero = 0;
	long n = bpf_probe_read_kernel_str(head.text, sizeof(head.text), text);

	/* Longer: its end is looked for where there is room, that of the path of a script. */
	if (unlikely(n == sizeof(head.text))) {
		struct fwm_exec *room = bpf_map_lookup_elem(&exec_scratch, &zero);

		n = !room ? 0
			  : bpf_probe_read_kernel_str(&room->text[FWM_ARGS_MAX], FWM_ARGS_MAX,
						      text);
	}
	head = (union fwm_arg_head){};
	if (n <= 0 || n >= len ||
	    bpf_probe_read_kernel_str(head.text, sizeof(head.text), text + n) <= 0)
		return 0;
	return fwm_arg_hash(&head);
}

/* The arguments of any start, and the path of a script. Returns the bytes of both. */
static __always_inline __u32 exec_text(struct fwm_exec *e, struct task_struct *task,
				       const struct linux_binprm *bprm, __u32 *ret_arg)
{
	unsigned long arg_start = task->mm->arg_start, arg_end = task->mm->arg_end;
	__u32 len = arg_end - arg_start;
	long n;

	e->hdr.flags = 0;
	e->cwd = (struct fwm_file){};
	if (arg_end - arg_start > FWM_ARGS_MAX) {
		len = FWM_ARGS_MAX;
		e->hdr.flags |= FWM_F_CUT;
	}
	len = masked(len, 0x3ff);
	if (bpf_probe_read_user(e->text, len, (const void *)arg_start))
		len = 0;
	e->args_len = len;
	e->text[len] = 0;
	if (bprm->argc > 1)
		*ret_arg = arg_of(e->text, len);
	e->script_len = 0;
	if (bprm->filename == bprm->interp)
		return len;
	n = bpf_probe_read_kernel_str(&e->text[len], FWM_PATH_MAX, bprm->filename);
	if (n <= 0)
		return len;
	e->script_len = n;
	if (e->text[len] != '/')
		name_cwd(task, &e->cwd);
	return len + masked(n, 0x1fff);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	__u32 tgid = task->tgid, slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	struct fwm_counts *c;
	__u32 zero = 0, len, key, flags, mntns, arg = 0, quiet = 0, told, tables, starts_n = ~0u;
	bool ask, mine, owned = true, pages, urgent, same;
	struct proc o, to;
	const struct file *exe_file;
	const struct dentry *d;
	const struct inode *inode;
	unsigned long arg_start, arg_len;
	struct fwm_exec *e, *room = NULL;
	struct pending *s;
	struct start *l;
	__u64 wake, now;

	/* What is likely to be out of the caches is asked for first, all of it at once: to read the clock waits until
	 * it is there. */
	maker_touch(task);
	exe_file = task->mm->exe_file;
	d = exe_file->f_path.dentry;
	inode = exe_file->f_inode;
	key = ((inode->i_ino * 0x9e3779b97f4a7c15ull) >> 40) & (STARTS_MAX - 1);
	l = bpf_map_lookup_elem(&starts, &key);
	if (!p || !l)
		return 0;
	(void)*(volatile __u64 *)&p->owner;
	mntns = task->nsproxy->mnt_ns->ns.inum;
	same = start_same(l, task, exe_file, d, inode, mntns);
	c = count_call_seen(FWM_HOOK_EXEC);
	if (!c)
		return 0;
	now = bpf_ktime_get_ns();
	o.owner = *(volatile __u64 *)&p->owner;
	mine = o.tgid == tgid;
	if (unlikely(p->again_n) || unlikely(!children_none(task)) ||
	    (mine ? unlikely(p->epoch != marks_epoch)
		  : unlikely(o.tgid && !(o.tgid & PROC_GONE)) || unlikely(mark_likely(tgid)))) {
		proc_end(p, tgid, task, now);
		o.owner = *(volatile __u64 *)&p->owner;
		owned = o.tgid == tgid;
		flags = owned ? o.flags : flags_saved(tgid);
	} else if (mine) {
		flags = o.flags;
	} else {
		struct heir h;

		p->row = 0;
		p->epoch = marks_epoch;
		heir_now(&h, task);
		flags = h.flags & ~HEIR_PAGES;
	}
	if (unlikely(tgid == own_tgid) || unlikely(flags & FWM_MARK_IGNORE) ||
	    (only_targets && unlikely(!(flags & FWM_MARK_TARGET)))) {
		if (owned)
			slot_claim(p, tgid, flags & ~FWM_MARK_QUIET, now);
		count_call(c, filtered);
		return 0;
	}

	barrier_var(d); /* or the check would be taken to be superfluous */
	barrier_var(inode);
	if (unlikely(!d) || unlikely(!inode))
		goto unreadable;
	if (unlikely(!same || now >= l->until_ns) &&
	    start_find(l, task, exe_file, d, inode, mntns, now) == NAME_UNREADABLE)
		goto unreadable;

	arg_start = task->mm->arg_start;
	arg_len = task->mm->arg_end - arg_start;
	/* From here to where it is sent nothing else may be sent. */
	if (likely(arg_len < EXEC_SMALL) && likely(bprm->filename == bprm->interp))
		room = bpf_ringbuf_reserve(&ring, EXEC_SMALL_SIZE, 0);
	if (likely(room)) {
		e = room;
		e->hdr.flags = 0;
		e->cwd = (struct fwm_file){};
		e->script_len = 0;
		len = masked(arg_len, 0x7f);
		if (len > EXEC_SMALL - 1)
			len = EXEC_SMALL - 1;
		/* The pages were written a moment ago; if they are gone already there are no arguments. */
		if ((arguments_only && bprm->argc == 1) ||
		    bpf_probe_read_user(e->text, len, (const void *)arg_start))
			len = 0;
		e->args_len = len;
		e->text[len] = 0;
		if (bprm->argc > 1)
			arg = arg_of(e->text, len);
	} else {
		e = bpf_map_lookup_elem(&exec_scratch, &zero);
		if (!e)
			goto unreadable;
		len = exec_text(e, task, bprm, &arg);
	}
	e->exe = (struct fwm_file){.ino = l->ino, .dev = l->dev, .gen = l->gen, .name = l->name};
	e->loader = l->loader;
	e->cgroup = cgroup_of(task);
	e->parent = task->real_parent->tgid;
	e->uid = task->cred->uid.val;
	e->mntns = mntns;
	e->zero = 0;

	/* A thread which executes takes the id of its leader: the slot was filled under its own. */
	s = pending_get((__u64)tgid << 32 | (__u32)old_pid, FWM_HOOK_EXECVE);
	e->latency_ns = s ? saturate32(now - s->ts_ns) : 0;
	if (unlikely(s))
		pending_end(s);

	ask = sampling || wake_unknown;
	tables = tables_n[fwm_tables_of(l->ino)];
	told = l->told;
	if (unlikely(!(told & START_TOLD)) || unlikely(l->arg != arg) ||
	    unlikely(l->tables != tables) || unlikely(l->left_n != left_n) ||
	    (ask &&
	     (unlikely(!(told & START_ASKED)) || unlikely(!wake_unknown && (told & START_KNOWN)))))
		told = start_ask(l, arg, tables, ask);
	urgent = told & START_WAKES;
	if (sampling && (told & START_KNOWN))
		/* With the open hooks off nothing known is reported. */
		quiet = wake_unknown || (told & START_SKIP);
	else if (wake_unknown)
		urgent = true;

	e->image = 0;
	if (host_mntns && unlikely(mntns != host_mntns)) {
		e->image = image(task->mm->exe_file);
		urgent |= !e->image; /* somebody has to look before it is gone */
	}
	if (!quiet && (learn_ns || wake_starts)) {
		if (likely(l->starts_n >= PAGE_EVERY) && likely(l->starts_n > wake_starts))
			starts_n = ++l->starts_n;
		else
			l->starts_n = starts_n = starts_count(l->ino, l->dev, arg);
		urgent |= starts_n <= wake_starts;
	}
	pages = !quiet && learn_ns && (starts_n <= FWM_FIRST_STARTS || starts_n % PAGE_EVERY == 0);
	if (quiet)
		e->hdr.flags |= FWM_F_QUIET;
	if ((told & START_READY))
		e->hdr.flags |= FWM_F_READY;

	to.tgid = tgid;
	to.flags = (flags & ~(FWM_MARK_QUIET | PROC_NEW)) | (quiet ? FWM_MARK_QUIET : 0);
	if (likely(owned) && (likely(!p->row) || to.flags == (flags & ~PROC_NEW))) {
		p->exec_ns = now;
		p->exec_tgid = tgid;
		p->looks_n = 0;
		p->last_ino = 0;
		p->pages = pages;
		owned = false;
		if (o.owner == to.owner ||
		    likely(__sync_val_compare_and_swap(&p->owner, o.owner, to.owner) == o.owner))
			e->hdr.flags |= flags & PROC_NEW ? FWM_F_NEW : 0;
		else
			owned = true;
	}
	if (unlikely(owned) &&
	    slot_claim(p, tgid, to.flags | (flags & PROC_NEW) | (pages ? HEIR_PAGES : 0), now) &&
	    proc_told(p, tgid, 0))
		e->hdr.flags |= FWM_F_NEW;

	len = masked(offsetof(struct fwm_exec, text) + len, 0x1fff);
	hdr_fill(&e->hdr, FWM_EVENT_EXEC, len, now, (__u64)tgid << 32 | (__u32)task->pid);
	if (urgent) {
		e->hdr.flags |= FWM_F_WAITS;
		__sync_fetch_and_add(&waits_n, 1);
	}
	wake = wake_flags(urgent, urgent ? 0 : ring_pressure(c, len));
	if (likely(room)) {
		bpf_ringbuf_submit(room, wake);
		count_call(c, sent);
		return 0;
	}
	if (len > sizeof(*e))
		len = sizeof(*e);
	if (bpf_ringbuf_output(&ring, e, len, wake)) {
		count_call(c, ring_full);
		if (urgent)
			__sync_fetch_and_add(&waits_n, -1);
	} else {
		count_call(c, sent);
	}
	return 0;
unreadable:
	if (p->tgid != tgid)
		proc_fill(p, tgid, task);
	count_call(c, unreadable);
	return 0;
}

/* The slot of a process that ends: nobody's any more. Returns whether its record tells that it was made. */
static __always_inline bool exit_slot(struct proc *p, __u32 tgid, __u64 now)
{
	if (p->tgid != tgid)
		return false;
	mark_drop(tgid);
	p->exec_ns = now;
	return proc_told(p, tgid, PROC_GONE);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct fwm_counts *c = count_call_seen(FWM_HOOK_EXIT);
	__u32 tgid = task->tgid, slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	__u64 now = bpf_ktime_get_ns(), start_ns;
	struct task_struct *leader;
	struct signal_struct *sig;
	struct fwm_exit *e;
	__u32 flags;

	if (!c || !p)
		return 0;
	sig = task->signal;
	leader = task->group_leader;
	if (unlikely(sig->live.counter != 0) || unlikely(task->flags & PF_KTHREAD)) {
		/* When all threads end the kernel may give them to init. */
		if (!children_none(task))
			children_tell((__u64)bpf_get_current_task());
		goto filtered;
	}
	start_ns = leader->start_time;
	/* Two threads ended at once, and each saw that it was the last. */
	if (unlikely(p->tgid == (tgid | PROC_GONE)) && start_ns <= p->exec_ns)
		goto filtered;
	if (unlikely(p->tgid != tgid) || unlikely(p->again_n) ||
	    unlikely(p->epoch != marks_epoch) || unlikely(!children_none(task)))
		proc_end(p, tgid, task, now);
	if (unlikely(!wanted(tgid, p))) {
		exit_slot(p, tgid, now);
		goto filtered;
	}
	/* Its place in the ring is before whatever follows when it is known to be told. */
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	flags = exit_slot(p, tgid, now) ? FWM_F_NEW : 0;
	if (unlikely(!e)) {
		count_call(c, ring_full);
		return 0;
	}
	/* Threads that are gone were added to the signal struct; what is left to add is this one, and
	 * its leader when that is another and waits as a zombie. */
	e->life_ns = now - start_ns;
	e->cpu_ns = sig->sum_sched_runtime + task->se.sum_exec_runtime;
	e->rss_peak = sig->maxrss;
	e->read_bytes = sig->ioac.read_bytes + task->ioac.read_bytes;
	e->write_bytes = sig->ioac.write_bytes + task->ioac.write_bytes;
	e->majflt_n = sig->maj_flt + task->maj_flt;
	e->minflt_n = sig->min_flt + task->min_flt;
	if (unlikely(leader != task)) {
		e->cpu_ns += leader->se.sum_exec_runtime;
		e->read_bytes += leader->ioac.read_bytes;
		e->write_bytes += leader->ioac.write_bytes;
		e->majflt_n += leader->maj_flt;
		e->minflt_n += leader->min_flt;
	}
	e->exit_code = task->exit_code;
	e->parent = task->real_parent->tgid;
	hdr_fill(&e->hdr, FWM_EVENT_EXIT, sizeof(*e), now, (__u64)tgid << 32 | (__u32)task->pid);
	e->hdr.flags = flags;
	bpf_ringbuf_submit(e, wake_flags(false, ring_pressure(c, sizeof(*e))));
	count_call(c, sent);
	return 0;
filtered:
	count_call(c, filtered);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
