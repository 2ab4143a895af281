/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * names.bpf.h - which file is this, and does user space have its path?
 *
 * The common answer (yes) costs some loads of kernel memory and one array lookup; the other calls
 * name_send() in bpf/names.bpf.c, which walks dentries and mounts to the root.
 */
#ifndef FWM_NAMES_BPF_H
#define FWM_NAMES_BPF_H

#include "maps.bpf.h"

enum name_result {
	NAME_KNOWN,	 /* the record may be sent */
	NAME_PSEUDO,	 /* on a pseudo file system nobody asked for */
	NAME_UNSENT,	 /* the ring was full: send the record all the same, it counts */
	NAME_UNREADABLE, /* no such file, or its memory could not be read */
};

/* Resolves the path of a file and sends it. All arguments are kernel pointers as numbers, because
 * a global function, verified once for all callers, takes nothing else on old kernels.
 * Returns enum name_result. */
int name_send(__u64 dentry, __u64 mnt, __u64 inode);

#define field_addr(ptr, field) ((__u64)__builtin_preserve_access_index(&(ptr)->field))

static __always_inline int place_of_path(__u64 path, struct place *ret)
{
	const struct path *p = (const struct path *)path;
	const struct dentry *d;

	if (can_peek) {
		ret->mnt = peek64(field_addr(p, mnt));
		ret->dentry = peek64(field_addr(p, dentry));
		d = (const struct dentry *)ret->dentry;
		ret->inode = peek64(field_addr(d, d_inode));
	} else {
		if (bpf_core_read(&ret->mnt, 8, &p->mnt) ||
		    bpf_core_read(&ret->dentry, 8, &p->dentry))
			return -1;
		d = (const struct dentry *)ret->dentry;
		if (bpf_core_read(&ret->inode, 8, &d->d_inode))
			return -1;
	}
	return ret->inode ? 0 : -1;
}

static __always_inline int place_of_file(const struct file *f, struct place *ret)
{
	struct {
		__u64 mnt, dentry;
	} path;

	if (can_peek) {
		ret->mnt = peek64(field_addr(f, f_path.mnt));
		ret->dentry = peek64(field_addr(f, f_path.dentry));
		ret->inode = peek64(field_addr(f, f_inode));
	} else {
		if (bpf_core_read(&path, sizeof(path), &f->f_path) ||
		    bpf_core_read(&ret->inode, 8, &f->f_inode))
			return -1;
		ret->mnt = path.mnt;
		ret->dentry = path.dentry;
	}
	return ret->inode ? 0 : -1;
}

static __always_inline int dentry_head_read(struct dentry_head *ret, const struct dentry *d)
{
	/* The three have been neighbours in every kernel so far: one read. */
	if (bpf_core_field_offset(d->d_name) == bpf_core_field_offset(d->d_parent) + 8 &&
	    bpf_core_field_offset(d->d_parent) == bpf_core_field_offset(d->d_hash.pprev) + 8)
		return bpf_probe_read_kernel(ret, sizeof(*ret),
					     (const char *)d +
						     bpf_core_field_offset(d->d_hash.pprev));
	if (bpf_core_read(&ret->pprev, 8, &d->d_hash.pprev) ||
	    bpf_core_read(&ret->parent, 8, &d->d_parent))
		return -1;
	return bpf_core_read(&ret->hash_len, 16, &d->d_name);
}

static __always_inline __u32 chain_name(__u64 chain)
{
	return (__u32)(chain ^ chain >> 32);
}

static __always_inline __u32 name_set_of(__u64 dentry)
{
	/* Fibonacci hashing; dentries are at least 64 bytes apart. */
	return (__u32)(((dentry >> 6) * 0x9e3779b97f4a7c15ull) >> 40) & name_sets_mask;
}

/* The fields that tell a file from the one its slot was filled for. */
struct file_head {
	__u64 ino, pprev, parent, hash_len;
	__u32 gen;
};

static __always_inline int file_head_read(struct file_head *ret, const struct place *at)
{
	const struct inode *inode = (const struct inode *)at->inode;
	const struct dentry *dentry = (const struct dentry *)at->dentry;
	struct dentry_head d;
	unsigned long ino;

	if (can_peek) {
		ret->ino = peek64(field_addr(inode, i_ino));
		ret->gen = peek32(field_addr(inode, i_generation));
		ret->pprev = peek64(field_addr(dentry, d_hash.pprev));
		ret->parent = peek64(field_addr(dentry, d_parent));
		ret->hash_len = peek64(field_addr(dentry, d_name));
		return 0;
	}
	if (bpf_core_read(&ino, sizeof(ino), &inode->i_ino) ||
	    bpf_core_read(&ret->gen, sizeof(ret->gen), &inode->i_generation) ||
	    dentry_head_read(&d, dentry))
		return -1;
	ret->ino = ino;
	ret->pprev = d.pprev;
	ret->parent = d.parent;
	ret->hash_len = d.hash_len;
	return 0;
}

static __always_inline int name_known(const struct place *at, const struct file_head *f,
				      struct fwm_file *ret)
{
	const struct name_scratch *scratch;
	__u32 set_no, i, zero = 0;
	struct name_set *set;
	int r;

	ret->ino = f->ino;
	ret->gen = f->gen;
	set_no = name_set_of(at->dentry);
	set = bpf_map_lookup_elem(&names, &set_no);
	if (!set)
		return NAME_UNREADABLE;
#pragma clang loop unroll(disable)
	for (i = 0; i < NAME_WAYS; i++) {
		const struct name_slot *s = &set->way[i];

		if (likely(s->dentry == at->dentry) && likely(s->mnt == at->mnt) &&
		    likely(s->parent == f->parent) && likely(s->hash_len == f->hash_len) &&
		    likely(s->ino == f->ino) && likely(s->gen == f->gen) &&
		    likely(s->inval == name_inval) &&
		    likely(!(s->flags & NAME_SLOT_DELETED) == !!f->pprev)) {
			ret->dev = s->dev;
			ret->name = chain_name(s->chain);
			return unlikely(s->flags & NAME_SLOT_PSEUDO) ? NAME_PSEUDO : NAME_KNOWN;
		}
	}
	r = name_send(at->dentry, at->mnt, at->inode);
	scratch = bpf_map_lookup_elem(&name_scratch, &zero);
	if (!scratch)
		return NAME_UNREADABLE;
	ret->dev = scratch->rec.file.dev;
	ret->name = scratch->rec.file.name;
	return r;
}

static __always_inline int name_place(const struct place *at, struct fwm_file *ret)
{
	struct file_head f;

	return file_head_read(&f, at) ? NAME_UNREADABLE : name_known(at, &f, ret);
}

static __always_inline int name_struct_file(const struct file *file, struct fwm_file *ret)
{
	struct place at;

	return place_of_file(file, &at) ? NAME_UNREADABLE : name_place(&at, ret);
}

static __always_inline int name_path(const struct path *path, struct fwm_file *ret)
{
	struct place at;

	return place_of_path((__u64)path, &at) ? NAME_UNREADABLE : name_place(&at, ret);
}

static __always_inline const struct file *file_of_fd(const struct task_struct *t, __s64 fd)
{
	const struct fdtable *fdt;
	struct file **fds;
	const struct file *file = NULL;
	unsigned int max;

	if (task_typed()) {
		fdt = t->files->fdt;
		max = fdt->max_fds;
		fds = fdt->fd;
	} else {
		fdt = BPF_CORE_READ(t, files, fdt);
		max = BPF_CORE_READ(fdt, max_fds);
		fds = BPF_CORE_READ(fdt, fd);
	}
	if (fd < 0 || (__u64)fd >= max)
		return NULL;
	if (can_peek)
		return (const struct file *)peek64((__u64)fds + (__u64)fd * sizeof(*fds));
	if (bpf_probe_read_kernel(&file, sizeof(file), fds + fd))
		return NULL;
	return file;
}

/* The mount namespace of a process. */
static __always_inline __u32 mntns_of(const struct task_struct *t)
{
	return task_typed() ? t->nsproxy->mnt_ns->ns.inum
			    : BPF_CORE_READ(t, nsproxy, mnt_ns, ns.inum);
}

/* The socket behind a descriptor of the current process, or NULL. */
static __always_inline const struct sock *sock_of_fd(__s32 fd)
{
	const struct file *file = file_of_fd(task_now(), fd);
	const struct inode *inode;
	const struct socket *so;
	const struct sock *sk;
	__u16 mode;

	if (!file || bpf_core_read(&inode, sizeof(inode), &file->f_inode) ||
	    bpf_core_read(&mode, sizeof(mode), &inode->i_mode) || (mode & S_IFMT) != S_IFSOCK ||
	    bpf_core_read(&so, sizeof(so), &file->private_data) ||
	    bpf_core_read(&sk, sizeof(sk), &so->sk))
		return NULL;
	return sk;
}

static __always_inline const struct fs_struct *fs_of(const struct task_struct *t)
{
	return task_typed() ? t->fs : BPF_CORE_READ(t, fs);
}

/* The working directory of a process. */
static __always_inline int name_cwd(const struct task_struct *t, struct fwm_file *ret)
{
	return name_path((const struct path *)((__u64)fs_of(t) +
					       bpf_core_field_offset(struct fs_struct, pwd)),
			 ret);
}

/* Where the task's type is known, by plain loads. The verifier forgets that these are pointers, with which it
 * allows no arithmetic, once they were in a map: room. */
static __always_inline int place_of_root(const struct task_struct *t, volatile struct place *room,
					 struct place *ret)
{
	const struct fs_struct *fs = fs_of(t);

	if (!task_typed())
		return place_of_path((__u64)fs + bpf_core_field_offset(struct fs_struct, root),
				     ret);
	room->mnt = (__u64)fs->root.mnt;
	room->dentry = (__u64)fs->root.dentry;
	room->inode = (__u64)fs->root.dentry->d_inode;
	ret->mnt = room->mnt;
	ret->dentry = room->dentry;
	ret->inode = room->inode;
	return ret->inode ? 0 : -1;
}

/* The root of a process when that is not the root of its mount namespace: true. */
static __always_inline bool name_chroot(const struct task_struct *t, struct miss_scratch *s,
					struct fwm_file *ret)
{
	__u32 inval = name_inval;
	const struct vfsmount *mnt;
	const struct dentry *mnt_root;
	const struct mount *m, *up;
	int r = NAME_KNOWN;
	struct place at;

	if (place_of_root(t, &s->room, &at))
		return false;
	if (s->root_inval != inval || s->root_mnt != at.mnt || s->root_dentry != at.dentry) {
		s->root_inval = 0;
		mnt = (const struct vfsmount *)at.mnt;
		m = (const struct mount *)(at.mnt - bpf_core_field_offset(struct mount, mnt));
		if (bpf_core_read(&up, sizeof(up), &m->mnt_parent) ||
		    bpf_core_read(&mnt_root, sizeof(mnt_root), &mnt->mnt_root))
			return false;
		s->root = (struct fwm_file){};
		s->chroot = up != m || (__u64)mnt_root != at.dentry;
		if (s->chroot)
			r = name_place(&at, &s->root);
		if (r == NAME_KNOWN)
			s->root_inval = inval;
		else if (r == NAME_UNREADABLE)
			s->chroot = 0;
		s->root_mnt = at.mnt;
		s->root_dentry = at.dentry;
	}
	*ret = s->root;
	return s->chroot;
}

#endif
