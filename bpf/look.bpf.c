// SPDX-License-Identifier: GPL-2.0-only
/*
 * look.bpf.c - what a program only asks about: stat, access, readlink, in its first seconds.
 *
 *   exit of the calls      the path as it was passed; whether it is there does not matter, for having
 *                          the answer in memory costs the same lookups either way. Not the entry: there
 *                          a literal of the program may lie in a page that is not mapped yet
 *
 * Such calls come by the ten thousand, mostly the same ones again: a path is sent once a process, as a
 * FWM_EVENT_MISS with FWM_F_LOOKUP, and LOOKS_MAX paths a process at most. A process past look_ns, a
 * well known one (QUIET) and everyone while look_ns is 0 cost an array lookup and are not counted.
 * Attached only while calls are looked at closer: of a process that lives for half a millisecond they took
 * a third of what all hooks take.
 *
 * Sees     stat, lstat, newfstatat, statx, access, faccessat, faccessat2, readlink, readlinkat.
 * Misses   paths of FWM_LOOK_PATH bytes and more; 32-bit programs; all before kernel 5.15. What is asked
 *          of a descriptor (fstat) is no lookup.
 */
#include "calls.bpf.h"
#include "emit.bpf.h"
#include "filter.bpf.h"
#include "names.bpf.h"

#define FWM_LOOK_PATH 256
#define LOOKS_MAX 768
#define SEEN_MAX 32768 /* power of two */
#define SEEN_PER_PROC 1024

/* Paths told already: hashes over exec and path, one place each, those of one process near each other. One
 * that was pushed out by another is told again, which does no harm. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SEEN_MAX);
	__type(key, __u32);
	__type(value, __u32);
} looked SEC(".maps");

/* Look for so long after an exec; 0: not at all. Written by the daemon while running. */
__u64 look_ns = 0;

static __always_inline bool begins(const char *path, __u64 with, __u64 mask)
{
	return ((*(const __u64 *)path) & mask) == with;
}

/* "/proc/", "/sys/" and "/dev/" as the first bytes of a little endian word. */
static __always_inline bool kernels_own(const char *path)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return begins(path, 0x2f636f72702full, 0xffffffffffffull) ||
	       begins(path, 0x2f7379732full, 0xffffffffffull) ||
	       begins(path, 0x2f7665642full, 0xffffffffffull);
#else
	return false;
#endif
}

/* n: its bytes; the rest of the last word is zero. Not unrolled: most are short, and code must be fetched too. */
static __always_inline __u64 path_hash(const char *path, __u32 n, __u64 h)
{
	__u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < FWM_LOOK_PATH / 8 && i * 8 < n; i++)
		h = (h ^ ((const __u64 *)path)[i]) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
	return h;
}

/* What a path is relative to; false: to nothing that can be named. */
static __always_inline bool look_base(struct miss_scratch *s, struct fwm_miss *m, __s32 dfd)
{
	const struct task_struct *t = task_now();
	const struct file *dir;

	m->base = (struct fwm_file){};
	if (m->path[0] == '/') {
		if (name_chroot(t, s, &m->base))
			m->hdr.flags |= FWM_F_CHROOT;
		return true;
	}
	if (dfd == AT_FDCWD) {
		name_cwd(t, &m->base);
	} else {
		dir = file_of_fd(t, dfd);
		if (dir)
			name_struct_file(dir, &m->base);
	}
	return m->base.ino;
}

/* Was the same told of this exec already? It is from now on. */
static __always_inline bool look_seen(const struct proc *p, const struct fwm_miss *m, __u32 n)
{
	__u64 h = path_hash(m->path, n, p->exec_ns ^ (__u64)p->exec_tgid << 32 ^ m->base.ino);
	__u32 slot = (p->exec_tgid * SEEN_PER_PROC + (h & (SEEN_PER_PROC - 1))) & (SEEN_MAX - 1);
	__u32 mark = (h >> 32) | 1, *seen = bpf_map_lookup_elem(&looked, &slot);

	if (!seen)
		return true;
	/* Of its first there is nothing to be fetched. */
	if ((p->looks_n || p->exec_tgid != p->tgid) && *seen == mark)
		return true;
	*seen = mark;
	return false;
}

static __noinline int look_send(struct proc *p, __s32 dfd, __u64 text, __u64 now)
{
	__u64 id = task_id(task_now());
	struct fwm_counts *c = count_seen(FWM_HOOK_LOOK);
	__u32 zero = 0;
	struct miss_scratch *scratch = bpf_map_lookup_elem(&miss_scratch, &zero);
	struct fwm_miss *m;
	long n;

	if (!c || !scratch)
		return 0;
	m = &scratch->rec;
	__builtin_memset(m->path, 0, FWM_LOOK_PATH);
	n = bpf_probe_read_user_str(m->path, FWM_LOOK_PATH, (const void *)text);
	if (n < 0) {
		count_one(c, unreadable);
		return 0;
	}
	m->hdr.flags = FWM_F_LOOKUP | FWM_F_NO_LATENCY;
	if (n <= 1 || n == FWM_LOOK_PATH || kernels_own(m->path) || !look_base(scratch, m, dfd) ||
	    look_seen(p, m, n) || ring_pressure(c, 0) >= fold_bytes) {
		count_one(c, filtered);
		return 0;
	}
	p->looks_n++;
	m->latency_ns = 0;
	m->oflags = 0;
	m->err = 0;
	m->zero = 0;
	m->path_len = n;
	m->mntns = mntns_of(task_now());
	m->hdr.ts_ns = now;
	m->hdr.tgid = id >> 32;
	m->hdr.tid = (__u32)id;
	n = masked(n, 0x1ff);
	m->hdr.size = offsetof(struct fwm_miss, path) + n;
	m->hdr.kind = FWM_EVENT_MISS;
	return emit(c, m, offsetof(struct fwm_miss, path) + n, false);
}

/* at: has its directory in the argument before the path. flags: which argument may have AT_EMPTY_PATH, so
 * that it asks about a descriptor; 0: none. */
static __always_inline int look(const struct pt_regs *r, long ret, bool at, __u32 flags)
{
	struct task_struct *t = task_now();
	__u32 tgid = task_id(t) >> 32;
	struct proc *p = look_ns ? proc_peek(tgid) : NULL;
	unsigned long arg[5];
	__u64 now;

	if (!p || !p->exec_ns || (p->flags & FWM_MARK_QUIET) || p->looks_n >= LOOKS_MAX ||
	    !wanted(tgid, p) || ret == -EFAULT || ret == -EBADF || !call_args(t, r, arg) ||
	    !arg[at] || (flags && (arg[flags] & AT_EMPTY_PATH)))
		return 0;
	now = bpf_ktime_get_ns(); /* last: it costs more than all of these */
	if (now - p->exec_ns > look_ns)
		return 0;
	return look_send(p, at ? arg[0] : AT_FDCWD, arg[at], now);
}

#define LOOK(call, at, flags)                                                                      \
	CALL_EXIT(call)                                                                            \
	{                                                                                          \
		return look(r, ret, at, flags);                                                    \
	}

LOOK(newstat, false, 0)
LOOK(newlstat, false, 0)
LOOK(newfstatat, true, 3)
LOOK(statx, true, 2)
LOOK(access, false, 0)
LOOK(faccessat, true, 0)
LOOK(faccessat2, true, 3)
LOOK(readlink, false, 0)
LOOK(readlinkat, true, 0)

char LICENSE[] SEC("license") = "GPL";
