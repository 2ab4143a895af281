// SPDX-License-Identifier: GPL-2.0-only
/*
 * open.bpf.c - every file opened, and every path looked up in vain.
 *
 *   exit of the call    the descriptor leads to the file, or the string to what was missing
 *   enter of the call   remembers when: only attached while calls are timed
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

static __always_inline struct fwm_fold_row *fold_row(const struct fwm_fold_key *key,
						     const struct fwm_fold_row *fresh)
{
	struct fwm_fold_row *row;

	if (folds_side & 1) {
		row = bpf_map_lookup_elem(&folds1, key);
		if (row)
			return row;
		bpf_map_update_elem(&folds1, key, fresh, BPF_NOEXIST);
		return bpf_map_lookup_elem(&folds1, key);
	}
	row = bpf_map_lookup_elem(&folds0, key);
	if (row)
		return row;
	bpf_map_update_elem(&folds0, key, fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&folds0, key);
}

/* Is the ring under pressure, and was there room to keep this as a count instead of a record? path is
 * of a lookup in vain, else NULL. */
static __noinline bool fold(const struct fwm_file *file, const char *path, __u32 err,
			    __u64 latency_ns, __u64 now)
{
	/* latency_ns 0: it was not timed. */
	__u32 zero = 0, tgid = bpf_get_current_pid_tgid() >> 32, i;
	struct fold_scratch *f = bpf_map_lookup_elem(&fold_scratch, &zero);
	const struct proc *p = proc_get(tgid);
	struct fwm_fold_row *row;

	if (!f)
		return false;
	wake_flags(false, fold_bytes);
	__builtin_memset(f, 0, sizeof(*f));
	f->key.ino = file->ino;
	f->key.dev = file->dev;
	f->key.gen = file->gen;
	f->key.name = file->name;
	f->key.tgid = tgid;
	f->key.err = err;
	f->key.exec_ns = p ? p->exec_ns : 0;
	f->fresh.first_ns = now;
	if (path) {
		__u64 h = 1;

		bpf_probe_read_kernel_str(f->fresh.path, sizeof(f->fresh.path), path);
#pragma unroll
		for (i = 0; i < FWM_FOLD_PATH / 8; i++)
			h = (h ^ ((__u64 *)f->fresh.path)[i]) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
		f->key.path = (__u32)h | 1;
	}
	row = fold_row(&f->key, &f->fresh);
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

	if (!room)
		return -1;
	*room = *e;
	bpf_ringbuf_submit(room, flags);
	return 0;
}

/* Sends or folds rec of a hook on a system call, and counts which. file: what it is of, or below. path:
 * NULL: it is a struct fwm_open. */
static __always_inline int tell(struct fwm_counts *c, void *rec, __u64 size,
				const struct fwm_file *file, const char *path, __u32 err,
				__u64 latency_ns, __u64 now)
{
	__u64 unread = ring_pressure(c, size), flags;

	if (unread >= fold_bytes && fold(file, path, err, latency_ns, now)) {
		count_call(c, folded);
		return 0;
	}
	flags = wake_flags(false, unread);
	if (path ? bpf_ringbuf_output(&ring, rec, size, flags) : open_output(rec, flags))
		count_call(c, ring_full);
	else
		count_call(c, sent);
	return 0;
}

/* A lookup in vain: the path as it was passed, and what it is relative to. */
static __always_inline int miss(struct fwm_counts *c, const struct task_struct *t, __u64 now,
				__u64 latency_ns, const struct call *s, __s64 ret, __u32 flags)
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
	if (n == FWM_PATH_MAX)
		flags |= FWM_F_CUT;
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
	hdr_fill(&m->hdr, FWM_EVENT_MISS, offsetof(struct fwm_miss, path) + n, now, task_id(t));
	m->hdr.flags = flags;
	return tell(c, m, offsetof(struct fwm_miss, path) + n, &m->base, m->path, -ret, latency_ns,
		    now);
}

static __always_inline int open_exit(__u32 hook, const struct pt_regs *r, __s64 ret,
				     struct shape shape)
{
	struct task_struct *t = task_now();
	__u64 id = task_id(t), now, latency_ns = 0;
	const struct proc *p = proc_get(id >> 32);
	struct fwm_counts *c = count_call_seen(hook);
	struct fwm_open e = {};
	const struct file *file;
	struct call call = {};
	struct pending *s;
	bool asked;
	int known;

	if (!c)
		return 0;
	if (!wanted(id >> 32, p) || (p && (p->flags & FWM_MARK_QUIET))) {
		count_call(c, filtered);
		return 0;
	}
	now = bpf_ktime_get_ns();
	s = pending_get(id, hook);
	asked = call_read(&call, hook, t, r, s, shape);
	if (s) {
		latency_ns = now - s->ts_ns;
		pending_end(s);
	} else {
		e.hdr.flags = FWM_F_NO_LATENCY;
	}
	if (ret < 0) {
		if (!asked) {
			count_call(c, unreadable);
			return 0;
		}
		return miss(c, t, now, latency_ns, &call, ret, e.hdr.flags);
	}
	e.oflags = call.oflags;
	file = file_of_fd(t, ret);
	if (!file) { /* another thread closed it already */
		count_call(c, unreadable);
		return 0;
	}
	known = name_struct_file(file, &e.file);
	if (known == NAME_PSEUDO) {
		count_call(c, filtered);
		return 0;
	}
	if (known == NAME_UNREADABLE) {
		count_call(c, unreadable);
		return 0;
	}
	e.latency_ns = saturate32(latency_ns);
	hdr_fill(&e.hdr, FWM_EVENT_OPEN, sizeof(e), now, id);
	return tell(c, &e, sizeof(e), &e.file, NULL, 0, latency_ns, now);
}

/* execve and execveat which failed; which succeeded is told by exec.bpf.c. */
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
	return miss(c, t, now, latency_ns, &call, ret,
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
