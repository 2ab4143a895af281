/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * names.bpf.h - which file is this, and does user space have its path?
 *
 * The common answer (yes) costs three reads of kernel memory and one array lookup; the other calls
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

static __always_inline int name_file(const struct dentry *dentry, __u64 mnt,
				     const struct inode *inode, struct fwm_file *ret)
{
	struct dentry_head d;
	unsigned long ino;
	__u32 gen, set_no, i;
	struct name_set *set;

	if (bpf_core_read(&ino, sizeof(ino), &inode->i_ino) ||
	    bpf_core_read(&gen, sizeof(gen), &inode->i_generation) || dentry_head_read(&d, dentry))
		return NAME_UNREADABLE;
	ret->ino = ino;
	ret->gen = gen;
	set_no = name_set_of((__u64)dentry);
	set = bpf_map_lookup_elem(&names, &set_no);
	if (!set)
		return NAME_UNREADABLE;
#pragma unroll
	for (i = 0; i < NAME_WAYS; i++) {
		const struct name_slot *s = &set->way[i];

		if (s->dentry == (__u64)dentry && s->mnt == mnt && s->parent == d.parent &&
		    s->hash_len == d.hash_len && s->ino == ino && s->gen == gen &&
		    s->inval == name_inval && !(s->flags & NAME_SLOT_DELETED) == !!d.pprev) {
			ret->dev = s->dev;
			ret->name = chain_name(s->chain);
			return s->flags & NAME_SLOT_PSEUDO ? NAME_PSEUDO : NAME_KNOWN;
		}
	}
	{
		const struct name_scratch *scratch;
		__u32 zero = 0;
		int r = name_send((__u64)dentry, mnt, (__u64)inode);

		scratch = bpf_map_lookup_elem(&name_scratch, &zero);
		if (!scratch)
			return NAME_UNREADABLE;
		ret->dev = scratch->rec.file.dev;
		ret->name = scratch->rec.file.name;
		return r;
	}
}

/* The same for an open file, and for a directory of a process. */
static __always_inline int name_struct_file(const struct file *file, struct fwm_file *ret)
{
	struct {
		__u64 mnt;
		const struct dentry *dentry;
	} p;
	const struct inode *inode;

	if (bpf_core_read(&p, sizeof(p), &file->f_path) ||
	    bpf_core_read(&inode, sizeof(inode), &file->f_inode))
		return NAME_UNREADABLE;
	return name_file(p.dentry, p.mnt, inode, ret);
}

static __always_inline int name_path(const struct path *path, struct fwm_file *ret)
{
	struct {
		__u64 mnt;
		const struct dentry *dentry;
	} p;
	const struct inode *inode;
	const struct dentry *dentry;

	if (bpf_probe_read_kernel(&p, sizeof(p), path))
		return NAME_UNREADABLE;
	dentry = p.dentry;
	if (bpf_core_read(&inode, sizeof(inode), &dentry->d_inode) || !inode)
		return NAME_UNREADABLE;
	return name_file(dentry, p.mnt, inode, ret);
}

static __always_inline const struct file *file_of_fd(__s64 fd)
{
	struct task_struct *t;
	const struct fdtable *fdt;
	struct file **fds;
	const struct file *file = NULL;
	unsigned int max;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		t = (struct task_struct *)bpf_get_current_task_btf();
		fdt = t->files->fdt;
		max = fdt->max_fds;
		fds = fdt->fd;
	} else {
		t = (struct task_struct *)bpf_get_current_task();
		fdt = BPF_CORE_READ(t, files, fdt);
		max = BPF_CORE_READ(fdt, max_fds);
		fds = BPF_CORE_READ(fdt, fd);
	}
	if (fd < 0 || (__u64)fd >= max)
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), fds + fd))
		return NULL;
	return file;
}

/* The mount namespace of the current process. */
static __always_inline __u32 mntns_current(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		return ((struct task_struct *)bpf_get_current_task_btf())->nsproxy->mnt_ns->ns.inum;
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), nsproxy, mnt_ns,
			     ns.inum);
}

/* The socket behind a descriptor of the current process, or NULL. */
static __always_inline const struct sock *sock_of_fd(__s32 fd)
{
	const struct file *file = file_of_fd(fd);
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

/* The working directory of the current process. */
static __always_inline int name_cwd(struct fwm_file *ret)
{
	struct fs_struct *fs;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		fs = ((struct task_struct *)bpf_get_current_task_btf())->fs;
	else
		fs = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), fs);
	return name_path((const struct path *)((__u64)fs + bpf_core_field_offset(fs->pwd)), ret);
}

/* The root of the current process when that is not the root of its mount namespace: true. */
static __always_inline bool name_chroot(struct fwm_file *ret)
{
	const struct mount *m, *up;
	struct {
		__u64 mnt;
		const struct dentry *dentry;
	} root;
	const struct vfsmount *mnt;
	const struct dentry *mnt_root;
	struct fs_struct *fs;
	const struct path *p;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		fs = ((struct task_struct *)bpf_get_current_task_btf())->fs;
	else
		fs = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), fs);
	p = (const struct path *)((__u64)fs + bpf_core_field_offset(fs->root));
	if (bpf_probe_read_kernel(&root, sizeof(root), p))
		return false;
	mnt = (const struct vfsmount *)root.mnt;
	m = (const struct mount *)(root.mnt - bpf_core_field_offset(struct mount, mnt));
	if (bpf_core_read(&up, sizeof(up), &m->mnt_parent) ||
	    bpf_core_read(&mnt_root, sizeof(mnt_root), &mnt->mnt_root))
		return false;
	if (up == m && mnt_root == root.dentry)
		return false;
	return name_path(p, ret) <= NAME_UNSENT;
}

#endif
