// SPDX-License-Identifier: GPL-2.0-only
/*
 * look.bpf.c - what a program only asks about: stat, access, readlink, in its first seconds.
 *
 *   entry of the calls      the path as it was passed; whether it is there does not matter, for having
 *                          the answer in memory costs the same lookups either way
 *
 * Such calls come by the ten thousand, mostly the same ones again: a path is sent once a process, as a
 * FWM_EVENT_MISS with FWM_F_LOOKUP, and LOOKS_MAX paths a process at most. A process past look_ns, a
 * well known one (QUIET) and everyone while look_ns is 0 cost an array lookup and are not counted;
 * with the open hooks these are detached when nothing is new.
 *
 * A literal of the program lies in its file, and the page of it may not be mapped yet: then the call itself
 * is about to have it brought in. Such a look is owed, and told at the next one of the process or at its end;
 * only there it is counted as seen.
 *
 * Sees     stat, lstat, newfstatat, statx, access, faccessat, faccessat2, readlink, readlinkat.
 * Misses   paths of FWM_LOOK_PATH bytes and more; 32-bit programs. What is asked of a descriptor (fstat)
 *          is no lookup.
 */
#include "calls.bpf.h"
#include "emit.bpf.h"
#include "filter.bpf.h"
#include "look.bpf.h"
#include "names.bpf.h"

#define FWM_LOOK_PATH 256
#define LOOKS_MAX 2048
#define OWED_NS 1000000000ull /* later its memory may serve for something else */
#define SEEN_MAX 32768	      /* power of two */

/* Paths told already: hashes over exec and path, one place each. One that was pushed out by another is
 * told again, which does no harm. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SEEN_MAX);
	__type(key, __u32);
	__type(value, __u64);
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

static __always_inline __u64 path_hash(const char *path, __u64 h)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < FWM_LOOK_PATH / 8; i++)
		h = (h ^ ((const __u64 *)path)[i]) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
	return h;
}

/* The directory a relative path starts from, as a pointer to tell it from another by. */
static __always_inline __u64 base_mark(__s32 dfd)
{
	if (dfd != AT_FDCWD)
		return (__u64)file_of_fd(dfd);
	return (__u64)BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), fs, pwd.dentry);
}

/* What a path is relative to; false: to nothing that can be named. base: not 0: what base_mark() was when
 * the path was passed. */
static __always_inline bool look_base(struct miss_scratch *s, struct fwm_miss *m, __s32 dfd,
				      __u64 base)
{
	const struct file *dir;

	m->base = (struct fwm_file){};
	if (m->path[0] == '/') {
		if (name_chroot(s, &m->base))
			m->hdr.flags |= FWM_F_CHROOT;
		return true;
	}
	if (base && base != base_mark(dfd))
		return false;
	if (dfd == AT_FDCWD) {
		name_cwd(&m->base);
	} else {
		dir = file_of_fd(dfd);
		if (dir)
			name_struct_file(dir, &m->base);
	}
	return m->base.ino;
}

/* Was the same told of this exec already? It is from now on. */
static __always_inline bool look_seen(const struct proc *p, const struct fwm_miss *m)
{
	__u64 h = path_hash(m->path, p->exec_ns ^ (__u64)p->exec_tgid << 32 ^ m->base.ino), *seen;
	__u32 slot = (__u32)h & (SEEN_MAX - 1);

	seen = bpf_map_lookup_elem(&looked, &slot);
	if (!seen || *seen == h)
		return true;
	*seen = h;
	return false;
}

/* The path cannot be read yet. One place for a process, so the one owed before is lost. */
static __noinline int look_owe(__s32 dfd, __u64 text)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, slot = tgid & (OWED_MAX - 1);
	struct owed *o = bpf_map_lookup_elem(&owed, &slot);

	if (!o)
		return 0;
	if (o->tgid)
		look_lost();
	/* Another CPU that reads it half written finds no owner, or another one. */
	*(volatile __u32 *)&o->tgid = 0;
	o->dfd = dfd;
	o->text = text;
	o->base = base_mark(dfd);
	o->ts_ns = bpf_ktime_get_ns();
	*(volatile __u32 *)&o->tgid = tgid;
	return 0;
}

/* owed: it could not be read before, and base is what it was relative to then. */
static __noinline int look_send(__s32 dfd, __u64 text, __u64 base, bool owed_before)
{
	__u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	struct proc *p = proc_get(id >> 32);
	struct fwm_counts *c;
	__u32 zero = 0;
	struct miss_scratch *scratch = bpf_map_lookup_elem(&miss_scratch, &zero);
	struct fwm_miss *m;
	long n;

	if (!scratch || !p)
		return 0;
	m = &scratch->rec;
	__builtin_memset(m->path, 0, FWM_LOOK_PATH);
	n = bpf_probe_read_user_str(m->path, FWM_LOOK_PATH, (const void *)text);
	if (n < 0) {
		if (owed_before)
			look_lost();
		else
			look_owe(dfd, text);
		return 0;
	}
	c = count_seen(FWM_HOOK_LOOK);
	if (!c)
		return 0;
	m->hdr.flags = FWM_F_LOOKUP | FWM_F_NO_LATENCY;
	if (n <= 1 || n == FWM_LOOK_PATH || kernels_own(m->path) ||
	    !look_base(scratch, m, dfd, base) || look_seen(p, m) || ring_unread() >= fold_bytes) {
		count_one(c, filtered);
		return 0;
	}
	p->looks_n++;
	m->latency_ns = 0;
	m->oflags = 0;
	m->err = 0;
	m->zero = 0;
	m->path_len = n;
	m->mntns = mntns_current();
	m->hdr.ts_ns = now;
	m->hdr.tgid = id >> 32;
	m->hdr.tid = (__u32)id;
	n = masked(n, 0x1ff);
	m->hdr.size = offsetof(struct fwm_miss, path) + n;
	m->hdr.kind = FWM_EVENT_MISS;
	return emit(c, m, offsetof(struct fwm_miss, path) + n, false);
}

__attribute__((noinline)) int look_read_again(__u32 tgid)
{
	struct owed *o = look_owed(tgid);
	__u64 text, base, since;
	__s32 dfd;

	if (!o)
		return 0;
	text = *(volatile __u64 *)&o->text;
	base = *(volatile __u64 *)&o->base;
	since = *(volatile __u64 *)&o->ts_ns;
	dfd = *(volatile __s32 *)&o->dfd;
	if (*(volatile __u32 *)&o->tgid != tgid)
		return 0;
	*(volatile __u32 *)&o->tgid = 0;
	if (bpf_ktime_get_ns() - since < OWED_NS)
		look_send(dfd, text, base, true);
	else
		look_lost();
	return 0;
}

static __always_inline int look(__s32 dfd, __u64 text)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, slot = tgid & (PROCS_MAX - 1);
	const struct proc *p = bpf_map_lookup_elem(&procs, &slot);

	if (!look_ns || !text || !p || p->tgid != tgid || !p->exec_ns ||
	    (p->flags & FWM_MARK_QUIET) || p->looks_n >= LOOKS_MAX ||
	    bpf_ktime_get_ns() - p->exec_ns > look_ns || !wanted(tgid, p))
		return 0;
	look_pay(tgid);
	return look_send(dfd, text, 0, false);
}

CALL_ENTER(newstat)
{
	return look(AT_FDCWD, arg[0]);
}

CALL_ENTER(newlstat)
{
	return look(AT_FDCWD, arg[0]);
}

CALL_ENTER(newfstatat)
{
	return look(arg[0], arg[1]);
}

CALL_ENTER(statx)
{
	return look(arg[0], arg[1]);
}

CALL_ENTER(access)
{
	return look(AT_FDCWD, arg[0]);
}

CALL_ENTER(faccessat)
{
	return look(arg[0], arg[1]);
}

CALL_ENTER(faccessat2)
{
	return look(arg[0], arg[1]);
}

CALL_ENTER(readlink)
{
	return look(AT_FDCWD, arg[0]);
}

CALL_ENTER(readlinkat)
{
	return look(arg[0], arg[1]);
}

char LICENSE[] SEC("license") = "GPL";
