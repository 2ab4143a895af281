// SPDX-License-Identifier: GPL-2.0-only
/*
 * open.bpf.c - every file opened, and every path looked up in vain.
 *
 *   exit of the call    the descriptor leads to the file, or the string to what was missing
 *   enter of the call   remembers when: only attached while calls are timed, as are those of exec
 *
 * Sees     open, creat, openat, openat2, open_by_handle_at.
 * Misses   those of 32-bit programs on a 64-bit kernel, on either tier; opens by io_uring (see
 *          uring.bpf.c), files opened by the kernel itself (exec.bpf.c has the ones of an image),
 *          descriptors passed over a socket.
 */
#define PEEKS
#include "calls.bpf.h"
#include "emit.bpf.h"
#include "filter.bpf.h"
#include "names.bpf.h"
#include "pending.bpf.h"

const volatile __u32 can_peek = 0;

/* Which argument is what; NO_ARG: none. */
#define NO_ARG (-1)
struct shape {
	__s8 dfd, text, oflags;
};

/* What a call was asked for. */
struct call {
	__u64 text;
	__s32 dfd;
	__u32 oflags;
	bool in_root; /* openat2 with RESOLVE_IN_ROOT */
};

static __always_inline void call_shape(struct call *ret, __u32 hook, const unsigned long *arg,
				       struct shape shape)
{
	struct {
		__u64 flags, mode, resolve;
	} how = {};

	ret->dfd = shape.dfd == NO_ARG ? AT_FDCWD : arg[shape.dfd];
	ret->text = shape.text == NO_ARG ? 0 : arg[shape.text];
	ret->oflags = shape.oflags == NO_ARG ? 0 : arg[shape.oflags];
	ret->in_root = false;
	if (hook == FWM_HOOK_CREAT)
		ret->oflags = O_CREAT_WRONLY_TRUNC;
	if (hook != FWM_HOOK_OPENAT2)
		return;
	if (bpf_probe_read_user(&how, sizeof(how), (const void *)arg[shape.oflags]))
		how.flags = 0; /* then the call itself fails with EFAULT */
	ret->oflags = how.flags;
	ret->in_root = how.resolve & RESOLVE_IN_ROOT;
}

static __always_inline int open_enter(__u32 hook, const unsigned long *arg, struct shape shape)
{
	__u64 id = bpf_get_current_pid_tgid();
	const struct proc *p = proc_get(id >> 32);
	struct pending *s;
	struct call call;

	if (!wanted(id >> 32, p) || (p && (p->flags & FWM_MARK_QUIET)))
		return 0;
	s = pending_slot(id);
	if (!s)
		return 0;
	call_shape(&call, hook, arg, shape);
	pending_put(s, id, hook, call.dfd, call.text, call.oflags,
		    call.in_root ? PENDING_IN_ROOT : 0);
	return 0;
}

/* What was asked for, by the registers or by what the enter hook left; false: it cannot be told. */
static __always_inline bool call_read(struct call *ret, __u32 hook, struct task_struct *t,
				      const struct pt_regs *r, const struct pending *s,
				      struct shape shape)
{
	unsigned long arg[5];

	if (call_args(t, r, arg)) {
		call_shape(ret, hook, arg, shape);
		return true;
	}
	if (!s)
		return false;
	ret->text = s->text;
	ret->dfd = s->dfd;
	ret->oflags = s->oflags;
	ret->in_root = s->state & PENDING_IN_ROOT;
	return true;
}

static __always_inline struct fwm_fold_row *fold_find(__u32 side, const struct fwm_fold_key *key)
{
	return side ? bpf_map_lookup_elem(&folds1, key) : bpf_map_lookup_elem(&folds0, key);
}

static __always_inline struct fwm_fold_row *fold_make(__u32 side, const struct fwm_fold_key *key,
						      const struct fwm_fold_row *fresh)
{
	if (side)
		bpf_map_update_elem(&folds1, key, fresh, BPF_NOEXIST);
	else
		bpf_map_update_elem(&folds0, key, fresh, BPF_NOEXIST);
	return fold_find(side, key); /* another CPU may have been faster */
}

/* Of as much of a path as a row keeps; len: without its NUL, what follows that is not looked at. */
static __always_inline __u32 fold_path_hash(const char *path, __u32 len)
{
	__u64 h = len, w;
	__u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < FWM_FOLD_PATH / 8 && i * 8 < len; i++) {
		w = ((const __u64 *)path)[i];
		if (len - i * 8 < 8)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			w &= ~0ull >> (64 - (len & 7) * 8);
#else
			w &= ~0ull << (64 - (len & 7) * 8);
#endif
		h = (h ^ w) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
	}
	return (__u32)h | 1;
}

/* Is the ring under pressure, and was there room to keep this as a count instead of a record? m: of a
 * lookup in vain, else NULL. */
static __noinline bool fold(const struct fwm_file *file, const struct fwm_miss *m, __u64 latency_ns,
			    __u64 now)
{
	/* latency_ns 0: it was not timed. */
	__u32 zero = 0, tgid = task_id(task_now()) >> 32, side = folds_side & 1;
	struct fold_scratch *f = bpf_map_lookup_elem(&fold_scratch, &zero);
	__u32 slot = tgid & procs_mask; /* filled by the caller, but two may share it */
	const struct proc *p = bpf_map_lookup_elem(&procs, &slot);
	struct fwm_fold_row *row;

	if (!f)
		return false;
	wake_flags(false, fold_bytes);
	f->key = (struct fwm_fold_key){.ino = file->ino,
				       .dev = file->dev,
				       .gen = file->gen,
				       .name = file->name,
				       .tgid = tgid,
				       .exec_ns = p && p->tgid == tgid ? p->exec_ns : 0};
	if (m) {
		__u32 len = m->path_len - 1;

		f->key.err = m->err;
		f->key.path =
			fold_path_hash(m->path, len < FWM_FOLD_PATH ? len : FWM_FOLD_PATH - 1);
	}
	row = fold_find(side, &f->key);
	if (!row) {
		__builtin_memset(&f->fresh, 0, sizeof(f->fresh));
		f->fresh.first_ns = now;
		if (m)
			bpf_probe_read_kernel_str(f->fresh.path, sizeof(f->fresh.path), m->path);
		row = fold_make(side, &f->key, &f->fresh);
	}
	if (!row)
		return false;
	__sync_fetch_and_add(&row->count, 1);
	if (latency_ns) {
		__sync_fetch_and_add(&row->timed_n, 1);
		__sync_fetch_and_add(&row->latency_ns, latency_ns);
	}
	row->last_ns = now;
	folds_used = 1;
	return true;
}

/* A copy of a size known beforehand, without a call for it. */
static __always_inline long open_output(const struct fwm_open *e, __u64 flags)
{
	struct fwm_open *room = bpf_ringbuf_reserve(&ring, sizeof(*room), 0);

	if (unlikely(!room))
		return -1;
	*room = *e;
	bpf_ringbuf_submit(room, flags);
	return 0;
}

/* Sends or folds rec of a hook on a system call, and counts which. file: what it is of, or below. m: rec,
 * NULL: that is a struct fwm_open. */
static __always_inline int tell(struct fwm_counts *c, void *rec, __u64 size,
				const struct fwm_file *file, const struct fwm_miss *m,
				__u64 latency_ns, __u64 now)
{
	__u64 unread = ring_pressure(c, size), flags;

	if (unlikely(unread >= fold_bytes) && fold(file, m, latency_ns, now)) {
		count_call(c, folded);
		return 0;
	}
	flags = wake_flags(false, unread);
	if (m ? bpf_ringbuf_output(&ring, rec, size, flags) : open_output(rec, flags))
		count_call(c, ring_full);
	else
		count_call(c, sent);
	return 0;
}

#define O_WRITES 01103 /* O_WRONLY | O_RDWR | O_CREAT | O_TRUNC */
/* After so long it is told again: a quarter of a second, or two and a half, as the kernel is built. */
#define AGAIN_JIFFIES 256

/* Of m, but for its header: what was looked for, where, and what came of it. */
static __always_inline __u64 miss_hash(const struct fwm_miss *m, __u32 flags)
{
	__u64 h = ((__u64)m->base.ino ^ (__u64)m->base.name << 32 ^ m->base.dev) *
		  0x9e3779b97f4a7c15ull;
	__u32 i;

	h = (h ^ ((__u64)m->mntns << 32 | m->err << 8 | flags)) * 0x9e3779b97f4a7c15ull;
	h = (h ^ ((__u64)m->oflags << 32 | m->path_len)) * 0x9e3779b97f4a7c15ull;
	h ^= h >> 32;
#pragma clang loop unroll(disable)
	for (i = 0; i < MISSED_PATH / 8 && i * 8 < m->path_len; i++) {
		__u64 w = ((const __u64 *)m->path)[i];
		__u32 left = m->path_len - i * 8;

		if (left < 8) /* what follows its NUL is of another path */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			w &= ~0ull >> (64 - left * 8);
#else
			w &= ~0ull << (64 - left * 8);
#endif
		h = (h ^ w) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
	}
	return h | 1;
}

/* Keeps m, which is repeated, until it is told how often; false: there is no place for it. */
static __noinline bool miss_keep(struct proc *p, const struct fwm_miss *m, __u32 flags)
{
	__u32 tgid = p->tgid, slot = tgid & (MISSED_MAX - 1);
	struct missed *to = bpf_map_lookup_elem(&missed, &slot);

	if (!to || (to->tgid != tgid && __sync_val_compare_and_swap(&to->tgid, 0, tgid) != 0))
		return false;
	__builtin_memcpy(to, m, offsetof(struct missed, tgid));
	to->hdr.flags = flags;
	p->last_gen = 1;
	return true;
}

/* The same in vain as a moment ago, by the same process, as again() has it for opens. */
static __always_inline bool miss_again(const struct task_struct *t, struct proc *p,
				       const struct fwm_miss *m, __u32 flags)
{
	__u64 now = bpf_jiffies64(), h;

	if (!task_typed())
		return false;
	h = m->path_len > MISSED_PATH ? 0 : miss_hash(m, flags);
	if (h && p->last_ino == h && p->last_dev == LAST_MISS &&
	    now - p->told_jiffies < AGAIN_JIFFIES && t->signal->live.counter == 1 &&
	    (p->last_gen || miss_keep(p, m, flags))) {
		__sync_fetch_and_add(&p->again_n, 1);
		return true;
	}
	if (p->again_n)
		again_tell(p, 0);
	p->last_ino = h;
	p->last_dev = LAST_MISS;
	p->last_gen = 0;
	p->told_jiffies = now;
	return false;
}

/* A lookup in vain: the path as it was passed, and what it is relative to. p: whose, where one that is repeated
 * is only counted; else NULL. now 0: as it is told. */
static __always_inline int miss(struct fwm_counts *c, const struct task_struct *t, struct proc *p,
				__u64 now, __u64 latency_ns, const struct call *s, __s64 ret,
				__u32 flags)
{
	__u32 zero = 0;
	struct miss_scratch *scratch = bpf_map_lookup_elem(&miss_scratch, &zero);
	struct fwm_miss *m;
	long n;

	if (!scratch) {
		count_call(c, unreadable);
		return 0;
	}
	/* A handle, or no address of a path, or no directory: nothing was looked up. */
	if (!s->text || ret == -EFAULT || ret == -EBADF) {
		count_call(c, filtered);
		return 0;
	}
	m = &scratch->rec;
	n = bpf_probe_read_user_str(m->path, sizeof(m->path), (const void *)s->text);
	if (n <= 0 || n > FWM_PATH_MAX) {
		count_call(c, unreadable);
		return 0;
	}
	n = masked(n, 0x1fff); /* what the verifier of 6.1 forgets */
	if (n >= FWM_PATH_MAX) {
		n = FWM_PATH_MAX;
		flags |= FWM_F_CUT;
	}
	m->base = (struct fwm_file){};
	if (m->path[0] != '/' || s->in_root) {
		if (s->dfd == AT_FDCWD) {
			name_cwd(t, &m->base);
		} else {
			const struct file *dir = file_of_fd(t, s->dfd);

			if (dir)
				name_struct_file(dir, &m->base);
		}
		if (m->path[0] == '/')
			flags |= FWM_F_CHROOT;
		if (!m->base.ino) { /* relative to no directory: a bad descriptor */
			count_call(c, unreadable);
			return 0;
		}
	} else if (name_chroot(t, scratch, &m->base)) {
		flags |= FWM_F_CHROOT;
	}
	m->latency_ns = saturate32(latency_ns);
	m->oflags = s->oflags;
	m->err = -ret;
	m->path_len = n;
	m->mntns = mntns_of(t);
	if (p && miss_again(t, p, m, flags)) {
		count_call(c, folded);
		return 0;
	}
	if (!now)
		now = bpf_ktime_get_ns();
	hdr_fill(&m->hdr, FWM_EVENT_MISS, offsetof(struct fwm_miss, path) + n, now, task_id(t));
	m->hdr.flags = flags;
	return tell(c, m, offsetof(struct fwm_miss, path) + n, &m->base, m, latency_ns, now);
}

/* The same file as a moment ago, by the same process: that teaches nothing but how often. Told before the
 * process opens anything else. can: not while calls are timed; nor of a process with threads, for whom no lock
 * is taken here. */
static __always_inline bool again(bool can, const struct task_struct *t, struct proc *p,
				  const struct fwm_file *file)
{
	__u64 now = bpf_jiffies64();

	if (!p || !task_typed())
		return false;
	if (can && p->last_ino == file->ino && p->last_name == file->name &&
	    p->last_dev == file->dev && p->last_gen == file->gen &&
	    now - p->told_jiffies < AGAIN_JIFFIES && t->signal->live.counter == 1) {
		__sync_fetch_and_add(&p->again_n, 1);
		return true;
	}
	if (unlikely(p->again_n))
		again_tell(p, 0);
	p->last_ino = can ? file->ino : 0;
	p->last_dev = file->dev;
	p->last_gen = file->gen;
	p->last_name = file->name;
	p->told_jiffies = now;
	return false;
}

static __always_inline int open_exit(__u32 hook, const struct pt_regs *r, __s64 ret,
				     struct shape shape)
{
	struct task_struct *t = task_now();
	__u64 id = task_id(t), now = 0, latency_ns = 0;
	struct proc *p = proc_get(id >> 32);
	struct fwm_counts *c = count_call_seen(hook);
	struct fwm_open e = {};
	const struct file *file;
	struct call call = {};
	struct pending *s;
	bool asked, once;
	int known;

	if (!c)
		return 0;
	if (unlikely(!wanted(id >> 32, p)) || (p && unlikely(p->flags & FWM_MARK_QUIET))) {
		count_call(c, filtered);
		return 0;
	}
	s = pending_get(id, hook);
	asked = call_read(&call, hook, t, r, s, shape);
	if (unlikely(s)) {
		now = bpf_ktime_get_ns();
		latency_ns = now - s->ts_ns;
		pending_end(s);
	} else {
		e.hdr.flags = FWM_F_NO_LATENCY;
	}
	if (unlikely(ret < 0)) {
		if (!asked) {
			count_call(c, unreadable);
			return 0;
		}
		once = hook != FWM_HOOK_OPENAT || s || !p || !task_typed();
		if (once && p && p->again_n)
			again_tell(p, now);
		return miss(c, t, once ? NULL : p, now, latency_ns, &call, ret, e.hdr.flags);
	}
	e.oflags = call.oflags;
	file = file_of_fd(t, ret);
	if (unlikely(!file)) { /* another thread closed it already */
		count_call(c, unreadable);
		return 0;
	}
	known = name_struct_file(file, &e.file);
	if (unlikely(known == NAME_PSEUDO)) {
		count_call(c, filtered);
		return 0;
	}
	if (unlikely(known == NAME_UNREADABLE)) {
		count_call(c, unreadable);
		return 0;
	}
	if (again(hook == FWM_HOOK_OPENAT && !s && asked && known == NAME_KNOWN &&
			  !(call.oflags & O_WRITES),
		  t, p, &e.file)) {
		count_call(c, folded);
		return 0;
	}
	if (!s)
		now = bpf_ktime_get_ns();
	e.latency_ns = saturate32(latency_ns);
	hdr_fill(&e.hdr, FWM_EVENT_OPEN, sizeof(e), now, id);
	return tell(c, &e, sizeof(e), &e.file, NULL, latency_ns, now);
}

/* execve and execveat which failed; which succeeded is told by exec.bpf.c. Attached only while calls are looked
 * at closer: every start comes by. */
static __always_inline int execve_exit(const struct pt_regs *r, __s64 ret, struct shape shape)
{
	struct fwm_counts *c = count_seen(FWM_HOOK_EXECVE);
	struct task_struct *t = task_now();
	__u64 id = task_id(t), now, latency_ns = 0;
	struct pending *s;
	struct call call;

	if (!c)
		return 0;
	if (ret >= 0 || !wanted(id >> 32, proc_get(id >> 32))) {
		count_one(c, filtered);
		return 0;
	}
	s = pending_get(id, FWM_HOOK_EXECVE);
	if (!call_read(&call, FWM_HOOK_EXECVE, t, r, s, shape)) {
		count_one(c, unreadable);
		return 0;
	}
	now = bpf_ktime_get_ns();
	if (s) {
		latency_ns = now - s->ts_ns;
		pending_end(s);
	}
	return miss(c, t, NULL, now, latency_ns, &call, ret,
		    FWM_F_EXEC | (latency_ns ? 0 : FWM_F_NO_LATENCY));
}

#define CALL(call, hook, ...)                                                                      \
	CALL_ENTER(call)                                                                           \
	{                                                                                          \
		return open_enter(hook, arg, (struct shape){__VA_ARGS__});                         \
	}                                                                                          \
	CALL_EXIT(call)                                                                            \
	{                                                                                          \
		return hook == FWM_HOOK_EXECVE                                                     \
			       ? execve_exit(r, ret, (struct shape){__VA_ARGS__})                  \
			       : open_exit(hook, r, ret, (struct shape){__VA_ARGS__});             \
	}

CALL(openat, FWM_HOOK_OPENAT, 0, 1, 2) /* first: it is what programs use */
CALL(open, FWM_HOOK_OPEN, NO_ARG, 0, 1)
CALL(creat, FWM_HOOK_CREAT, NO_ARG, 0, NO_ARG)
CALL(openat2, FWM_HOOK_OPENAT2, 0, 1, 2)
CALL(open_by_handle_at, FWM_HOOK_HANDLE, 0, NO_ARG, 2)
CALL(execve, FWM_HOOK_EXECVE, NO_ARG, 0, NO_ARG)
CALL(execveat, FWM_HOOK_EXECVE, 0, 1, 4)

char LICENSE[] SEC("license") = "GPL";
