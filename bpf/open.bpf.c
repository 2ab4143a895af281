// SPDX-License-Identifier: GPL-2.0-only
/*
 * open.bpf.c - every file opened, and every path looked up in vain.
 *
 *   enter of the call   remembers when, and where the path is
 *   exit of the call    the descriptor leads to the file, or the string to what was missing
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

static __always_inline int open_enter(__u32 hook, __s32 dfd, __u64 text, __u32 oflags, __u32 state)
{
	__u64 id = bpf_get_current_pid_tgid();
	const struct proc *p = proc_get(id >> 32);
	struct pending *s;

	if (!wanted(id >> 32, p) || (p && (p->flags & FWM_MARK_QUIET)))
		return 0;
	s = pending_slot(id);
	if (s)
		pending_put(s, id, hook, dfd, text, oflags, state);
	return 0;
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
	__sync_fetch_and_add(&row->latency_ns, latency_ns);
	row->last_ns = now;
	folds_used = 1;
	return true;
}

/* Sends or folds rec of a hook on a system call, and counts which. file: what it is of, or below. */
static __always_inline int tell(struct fwm_counts *c, void *rec, __u64 size,
				const struct fwm_file *file, const char *path, __u32 err,
				__u64 latency_ns, __u64 now)
{
	__u64 unread = ring_unread();

	if (unread >= fold_bytes && fold(file, path, err, latency_ns, now))
		count_call(c, folded);
	else if (bpf_ringbuf_output(&ring, rec, size, wake_flags(false, unread)))
		count_call(c, ring_full);
	else
		count_call(c, sent);
	return 0;
}

/* A lookup in vain: the path as it was passed, and what it is relative to. */
static __always_inline int miss(struct fwm_counts *c, __u64 id, __u64 now, __u64 latency_ns,
				const struct pending *s, __s64 ret, __u32 flags)
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
	if (m->path[0] != '/' || (s->state & PENDING_IN_ROOT)) {
		if (s->dfd == AT_FDCWD) {
			name_cwd(&m->base);
		} else {
			const struct file *dir = file_of_fd(s->dfd);

			if (dir)
				name_struct_file(dir, &m->base);
		}
		if (m->path[0] == '/')
			flags |= FWM_F_CHROOT;
		if (!m->base.ino) { /* relative to no directory: a bad descriptor */
			count_call(c, unreadable);
			return 0;
		}
	} else if (name_chroot(scratch, &m->base)) {
		flags |= FWM_F_CHROOT;
	}
	m->latency_ns = saturate32(latency_ns);
	m->oflags = s->oflags;
	m->err = -ret;
	m->path_len = n;
	m->mntns = mntns_current();
	hdr_fill(&m->hdr, FWM_EVENT_MISS, offsetof(struct fwm_miss, path) + n, now, id);
	m->hdr.flags = flags;
	return tell(c, m, offsetof(struct fwm_miss, path) + n, &m->base, m->path, -ret, latency_ns,
		    now);
}

static __always_inline int open_exit(__u32 hook, __s64 ret)
{
	__u64 id = bpf_get_current_pid_tgid(), now, latency_ns = 0;
	const struct proc *p = proc_get(id >> 32);
	struct fwm_counts *c = count_call_seen(hook);
	const struct pending *s;
	struct fwm_open e = {};
	const struct file *file;
	int known;

	if (!c)
		return 0;
	if (!wanted(id >> 32, p) || (p && (p->flags & FWM_MARK_QUIET))) {
		count_call(c, filtered);
		return 0;
	}
	now = bpf_ktime_get_ns();
	s = pending_slot(id);
	if (!s || s->pid_tgid != id || s->hook != hook) {
		s = NULL; /* attached in between, or the slot was taken over */
		e.hdr.flags = FWM_F_NO_LATENCY;
	} else {
		latency_ns = now - s->ts_ns;
		e.oflags = s->oflags;
	}
	if (ret < 0) {
		if (!s) {
			count_call(c, unreadable);
			return 0;
		}
		return miss(c, id, now, latency_ns, s, ret, 0);
	}
	file = file_of_fd(ret);
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

CALL_ENTER(open)
{
	return open_enter(FWM_HOOK_OPEN, AT_FDCWD, arg[0], arg[1], 0);
}

CALL_ENTER(creat)
{
	return open_enter(FWM_HOOK_CREAT, AT_FDCWD, arg[0], O_CREAT_WRONLY_TRUNC, 0);
}

CALL_ENTER(openat)
{
	return open_enter(FWM_HOOK_OPENAT, arg[0], arg[1], arg[2], 0);
}

CALL_ENTER(openat2)
{
	struct {
		__u64 flags, mode, resolve;
	} how = {};

	if (bpf_probe_read_user(&how, sizeof(how), (const void *)arg[2]))
		how.flags = 0; /* then the call itself fails with EFAULT */
	return open_enter(FWM_HOOK_OPENAT2, arg[0], arg[1], how.flags,
			  how.resolve & RESOLVE_IN_ROOT ? PENDING_IN_ROOT : 0);
}

CALL_ENTER(open_by_handle_at)
{
	return open_enter(FWM_HOOK_HANDLE, arg[0], 0, arg[2], 0);
}

CALL_EXIT(open)
{
	return open_exit(FWM_HOOK_OPEN, ret);
}

CALL_EXIT(creat)
{
	return open_exit(FWM_HOOK_CREAT, ret);
}

CALL_EXIT(openat)
{
	return open_exit(FWM_HOOK_OPENAT, ret);
}

CALL_EXIT(openat2)
{
	return open_exit(FWM_HOOK_OPENAT2, ret);
}

CALL_EXIT(open_by_handle_at)
{
	return open_exit(FWM_HOOK_HANDLE, ret);
}

/* execve and execveat which failed; which succeeded is told by exec.bpf.c. */
static __always_inline int execve_exit(__s64 ret)
{
	struct fwm_counts *c = count_seen(FWM_HOOK_EXECVE);
	__u64 id = bpf_get_current_pid_tgid(), now;
	const struct pending *s = pending_slot(id);

	if (!c)
		return 0;
	if (ret >= 0 || !wanted(id >> 32, proc_get(id >> 32))) {
		count_one(c, filtered);
		return 0;
	}
	if (!s || s->pid_tgid != id || s->hook != FWM_HOOK_EXECVE) {
		count_one(c, unreadable);
		return 0;
	}
	now = bpf_ktime_get_ns();
	return miss(c, id, now, now - s->ts_ns, s, ret, FWM_F_EXEC);
}

CALL_ENTER(execve)
{
	return open_enter(FWM_HOOK_EXECVE, AT_FDCWD, arg[0], 0, 0);
}

CALL_ENTER(execveat)
{
	return open_enter(FWM_HOOK_EXECVE, arg[0], arg[1], arg[4], 0);
}

CALL_EXIT(execve)
{
	return execve_exit(ret);
}

CALL_EXIT(execveat)
{
	return execve_exit(ret);
}

char LICENSE[] SEC("license") = "GPL";
