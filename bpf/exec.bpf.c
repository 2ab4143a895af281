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
	__u64 head =
		(__u64)bpf_get_current_task() + bpf_core_field_offset(struct task_struct, children);

	return (__u64)task->children.next == head;
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
		if (t->group_leader->start_time < begun_ns)
			return false;
		parent = t->real_parent;
		maker = parent->tgid;
		if (heir_of(h, maker))
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
 * to be its afterwards. */
static __always_inline struct proc *proc_of_end(__u32 tgid, struct task_struct *task)
{
	__u32 slot = tgid & procs_mask;
	struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	bool alone = children_none(task);

	if (p && p->tgid != tgid)
		proc_fill(p, tgid, task);
	else if (p && p->epoch != marks_epoch)
		marks_again(p, tgid);
	if (!alone) {
		if (p && (p->flags & PROC_NEW))
			proc_tell((__u64)bpf_get_current_task());
		children_tell((__u64)bpf_get_current_task());
	}
	return p;
}

/* Is the start of this block worth waking the daemon for, and how well is it known? */
static __always_inline bool block_wakes(const struct fwm_exec *e, __u32 arg, __u32 *ret_quiet,
					__u32 *ret_ready)
{
	struct fwm_block_key key = {.ino = e->exe.ino, .dev = e->exe.dev, .arg = arg};
	bool ask = sampling || wake_unknown, wake;
	struct fwm_guess_row *g = bpf_map_lookup_elem(&guesses, &key);
	__u32 left = left_n;
	struct fwm_known_row *k = ask ? bpf_map_lookup_elem(&known, &key) : NULL;

	if (arg && !g) { /* what is told of the program whatever its argument */
		key.arg = 0;
		g = bpf_map_lookup_elem(&guesses, &key);
	}
	/* Without a row nobody has looked yet what it needs: so it is after a start of the daemon. */
	wake = wake_new;
	if (g) {
		wake = g->wake == FWM_WAKE_YES || (g->wake != FWM_WAKE_NO && g->left_n != left);
		*ret_ready = g->wake == FWM_WAKE_LEFT && !wake;
		if (g->wake != FWM_WAKE_NO && g->left_n != left)
			g->left_n = left; /* one wakeup for all that left until now */
	}
	if (!k || !k->every || !sampling)
		return wake || (wake_unknown && (!k || !k->every));
	/* With the open hooks off nothing known is reported; else one start out of so many, and each that
	 * is acted upon, for its outcome must be seen. */
	if (wake_unknown)
		*ret_quiet = 1;
	else
		*ret_quiet = !wake && k->starts_n++ % k->every != 0; /* a lost update is harmless */
	return wake;
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
static __always_inline __u32 starts_count(const struct fwm_file *exe, __u32 arg)
{
	__u64 h = (exe->ino ^ (__u64)exe->dev << 32 ^ arg) * 0x9e3779b97f4a7c15ull;
	__u32 place = (h >> 40) & (PAGE_STARTS_MAX - 1), *n;

	n = bpf_map_lookup_elem(&page_starts, &place);
	return n ? ++*n : 1; /* a lost update is harmless */
}

/* Puts the program into the slot of the process, and QUIET as this start wants it. */
static __always_inline void proc_exec(struct proc *p, __u32 tgid, __u64 now, __u32 quiet,
				      bool pages)
{
	struct fwm_mark m = {};

	if (!p || p->tgid != tgid)
		return;
	p->exec_ns = now;
	p->exec_tgid = tgid;
	p->looks_n = 0;
	p->last_ino = 0;
	p->pages = pages;
	m.flags = (p->flags & ~FWM_MARK_QUIET) | (quiet ? FWM_MARK_QUIET : 0);
	if (m.flags == p->flags)
		return;
	p->flags = m.flags;
	if (p->row)
		bpf_map_update_elem(&marks, &tgid, &m, BPF_ANY);
}

/* Which loader a program was last started with: to look for it takes 450 of 1,800 ns. A rename, a mount,
 * another root or a changed program is seen at once; that a loader was removed and made anew in its place, or
 * a link on the way to it, after LOADER_NS. Per CPU, where this program never runs within itself. */
#define LOADERS_MAX 256 /* power of two */
#define LOADER_NS 1000000000ull

struct loader {
	struct fwm_file exe;
	__u64 changed;
	__u64 root_mnt, root_dentry;
	__u64 until_ns;
	__u32 mntns, inval, epoch, zero;
	struct fwm_file file; /* all 0: there is none */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOADERS_MAX);
	__type(key, __u32);
	__type(value, struct loader);
} loaders SEC(".maps");

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

static __always_inline bool same_file(const struct fwm_file *a, const struct fwm_file *b)
{
	return a->ino == b->ino && a->name == b->name && a->dev == b->dev && a->gen == b->gen;
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

/* e->exe and e->mntns are filled in, e->loader is empty. */
static __always_inline void loader(struct task_struct *task, struct fwm_exec *e,
				   const struct file *exe, __u64 now)
{
	__u32 key = ((e->exe.ino * 0x9e3779b97f4a7c15ull) >> 40) & (LOADERS_MAX - 1);
	__u32 inval = name_inval, epoch = name_epoch;
	struct place root = {};
	struct loader *l;
	__u64 when;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_find_vma) ||
	    !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return;
	l = bpf_map_lookup_elem(&loaders, &key);
	if (!l || place_of_root(task, (struct place *)e->text, &root))
		return;
	when = changed(exe->f_inode);
	if (now < l->until_ns && same_file(&l->exe, &e->exe) && l->changed == when &&
	    l->root_dentry == root.dentry && l->root_mnt == root.mnt && l->mntns == e->mntns &&
	    l->inval == inval && l->epoch == epoch) {
		e->loader = l->file;
		return;
	}
	l->until_ns = 0;
	if (loader_find(task, exe, &e->loader) != NAME_KNOWN)
		return;
	*l = (struct loader){.exe = e->exe,
			     .changed = when,
			     .root_mnt = root.mnt,
			     .root_dentry = root.dentry,
			     .until_ns = now + LOADER_NS,
			     .mntns = e->mntns,
			     .inval = inval,
			     .epoch = epoch,
			     .file = e->loader};
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct fwm_counts *c = count_call_seen(FWM_HOOK_EXEC);
	__u64 id = task_id(task), now = bpf_ktime_get_ns();
	unsigned long arg_start, arg_end;
	struct file *exe_file;
	struct pending *s;
	__u32 zero = 0, len, arg = 0, quiet = 0, ready = 0, tgid = id >> 32, starts_n = ~0u;
	struct fwm_exec *e;
	struct proc *p;
	long n;
	bool urgent;

	e = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!c || !e)
		return 0;
	p = proc_of_end(tgid, task);
	if (p && p->again_n) /* by the program it was until now */
		again_tell(p, now);
	if (!wanted(tgid, p)) {
		proc_exec(p, tgid, now, 0, false);
		count_call(c, filtered);
		return 0;
	}
	e->exe = e->loader = e->cwd = (struct fwm_file){};
	e->hdr.flags = 0;
	exe_file = task->mm->exe_file;
	if (!exe_file ||
	    name_typed_file(exe_file, (struct place *)e->text, &e->exe) == NAME_UNREADABLE) {
		count_call(c, unreadable);
		return 0;
	}
	e->cgroup = bpf_get_current_cgroup_id();
	e->parent = task->real_parent->tgid;
	e->uid = task->cred->uid.val;
	e->mntns = task->nsproxy->mnt_ns->ns.inum;
	loader(task, e, exe_file, now);

	/* A thread which executes takes the id of its leader: the slot was filled under its own. */
	s = pending_get((id & ~0xffffffffull) | (__u32)old_pid, FWM_HOOK_EXECVE);
	e->latency_ns = s ? saturate32(now - s->ts_ns) : 0;
	if (s)
		pending_end(s);

	arg_start = task->mm->arg_start;
	arg_end = task->mm->arg_end;
	len = arg_end - arg_start;
	if (arg_end - arg_start > FWM_ARGS_MAX) {
		len = FWM_ARGS_MAX;
		e->hdr.flags |= FWM_F_CUT;
	}
	/* The pages were written a moment ago; if they are gone already there are no arguments. */
	len = masked(len, 0x3ff);
	if (bpf_probe_read_user(e->text, len, (const void *)arg_start))
		len = 0;
	e->args_len = len;

	/* The room of the script's path serves to measure argv[0]; what follows it is argv[1]. */
	e->text[len] = 0;
	n = bprm->argc < 2
		    ? 0
		    : bpf_probe_read_kernel_str(&e->text[FWM_ARGS_MAX], FWM_ARGS_MAX, e->text);
	if (n > 0 && n < FWM_ARGS_MAX && n < len) {
		union fwm_arg_head head = {};

		if (bpf_probe_read_kernel_str(head.text, sizeof(head.text), &e->text[n]) > 0)
			arg = fwm_arg_hash(&head);
	}

	e->script_len = 0;
	if (bprm->filename != bprm->interp) {
		n = bpf_probe_read_kernel_str(&e->text[len], FWM_PATH_MAX, bprm->filename);
		if (n > 0) {
			e->script_len = n;
			if (e->text[len] != '/')
				name_cwd(task, &e->cwd);
			len += masked(n, 0x1fff);
		}
	}
	urgent = block_wakes(e, arg, &quiet, &ready);
	e->image = 0;
	if (host_mntns && e->mntns != host_mntns) {
		e->image = image(exe_file);
		urgent |= !e->image; /* somebody has to look before it is gone */
	}
	if (!quiet && (learn_ns || wake_starts))
		starts_n = starts_count(&e->exe, arg);
	urgent |= starts_n <= wake_starts;
	proc_exec(p, tgid, now, quiet,
		  !quiet && learn_ns &&
			  (starts_n <= FWM_FIRST_STARTS || starts_n % PAGE_EVERY == 0));
	if (quiet)
		e->hdr.flags |= FWM_F_QUIET;
	if (ready)
		e->hdr.flags |= FWM_F_READY;
	if (p && proc_told(p, tgid, 0))
		e->hdr.flags |= FWM_F_NEW;
	hdr_fill(&e->hdr, FWM_EVENT_EXEC, offsetof(struct fwm_exec, text) + len, now, id);
	len = masked(offsetof(struct fwm_exec, text) + len, 0x1fff);
	if (len > sizeof(*e))
		len = sizeof(*e);
	return emit(c, e, len, urgent);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct fwm_counts *c = count_call_seen(FWM_HOOK_EXIT);
	__u32 tgid = task->tgid;
	__u64 now = bpf_ktime_get_ns();
	struct task_struct *leader;
	struct signal_struct *sig;
	struct fwm_exit e = {};
	struct proc *p;
	bool want;

	if (!c)
		return 0;
	sig = task->signal;
	leader = task->group_leader;
	if (sig->live.counter != 0 || (task->flags & PF_KTHREAD)) {
		/* When all threads end the kernel may give them to init. */
		if (!children_none(task))
			children_tell((__u64)bpf_get_current_task());
		count_call(c, filtered);
		return 0;
	}
	/* Two threads ended at once, and each saw that it was the last. */
	if (proc_gone(tgid, leader->start_time)) {
		count_call(c, filtered);
		return 0;
	}
	p = proc_of_end(tgid, task);
	want = wanted(tgid, p);
	if (p && p->tgid == tgid) {
		if (marks_n)
			mark_drop(tgid);
		if (p->again_n)
			again_tell(p, now);
		p->exec_ns = now;
		if (proc_told(p, tgid, PROC_GONE))
			e.hdr.flags |= FWM_F_NEW;
	}
	if (!want) {
		count_call(c, filtered);
		return 0;
	}
	/* Threads that are gone were added to the signal struct; what is left to add is this one, and
	 * its leader when that is another and waits as a zombie. */
	e.life_ns = now - leader->start_time;
	e.cpu_ns = sig->sum_sched_runtime + task->se.sum_exec_runtime;
	e.rss_peak = sig->maxrss;
	e.read_bytes = sig->ioac.read_bytes + task->ioac.read_bytes;
	e.write_bytes = sig->ioac.write_bytes + task->ioac.write_bytes;
	e.majflt_n = sig->maj_flt + task->maj_flt;
	e.minflt_n = sig->min_flt + task->min_flt;
	if (leader != task) {
		e.cpu_ns += leader->se.sum_exec_runtime;
		e.read_bytes += leader->ioac.read_bytes;
		e.write_bytes += leader->ioac.write_bytes;
		e.majflt_n += leader->maj_flt;
		e.minflt_n += leader->min_flt;
	}
	e.exit_code = task->exit_code;
	e.parent = task->real_parent->tgid;
	hdr_fill(&e.hdr, FWM_EVENT_EXIT, sizeof(e), now, (__u64)tgid << 32 | (__u32)task->pid);
	return emit(c, &e, sizeof(e), false);
}

char LICENSE[] SEC("license") = "GPL";
