// SPDX-License-Identifier: GPL-2.0-only
/*
 * names.bpf.c - the path of a file, from its dentry and mount to the root, not from the string some
 * program passed.
 *
 * Sees     mount crossings, bind mounts, overlay, chroot (the path is the one outside of it, up to
 *          the root of the mount namespace), names up to PATH_MAX, 2,048 components.
 * Misses   nothing is locked: a rename at this very moment can mix old and new components. The
 *          rename also moves name_inval, so the next open resolves again.
 */
#include "calls.bpf.h"
#include "emit.bpf.h"
#include "names.bpf.h"

/* Components and mount crossings: PATH_MAX of "/a/a/a" has 2,047. */
#define WALK_MAX 2100
/* Kernels before 5.17 have no bpf_loop(), and the verifier must unroll. */
#define WALK_MAX_UNROLLED 160

static __always_inline const struct mount *mount_of(__u64 mnt)
{
	return (const struct mount *)(mnt - bpf_core_field_offset(struct mount, mnt));
}

static __always_inline long walk_step_do(struct walk *w, struct name_scratch *s)
{
	struct dentry_head *d = &s->step;
	__u32 len, pos;

	if (w->dentry == w->mnt_root) {
		const struct mount *m = mount_of(w->mnt), *up;

		if (bpf_core_read(&up, sizeof(up), &m->mnt_parent))
			goto lost;
		if (up == m) {
			const struct mnt_namespace *ns;

			if (!bpf_core_read(&ns, sizeof(ns), &m->mnt_ns) && ns)
				bpf_core_read(&s->rec.mntns, sizeof(s->rec.mntns), &ns->ns.inum);
			w->done = 1;
			return 1;
		}
		if (bpf_core_read(&w->dentry, 8, &m->mnt_mountpoint))
			goto lost;
		w->mnt = (__u64)up + bpf_core_field_offset(struct mount, mnt);
		if (bpf_core_read(&w->mnt_root, 8, &up->mnt.mnt_root))
			goto lost;
		w->chain = (w->chain ^ w->mnt) * 0x9e3779b97f4a7c15ull;
		return 0;
	}
	if (dentry_head_read(d, w->dentry))
		goto lost;
	len = d->hash_len >> 32;
	pos = w->pos;
	if (len > 255 || pos >= FWM_PATH_MAX) {
		w->flags |= FWM_F_CUT;
		w->done = 1;
		return 1;
	}
	/* pos < 4096 and len <= 255 keep the copy and its NUL within FWM_COMPS_MAX = 4352. */
	if (bpf_probe_read_kernel(&s->rec.comps[pos], len, (const void *)d->name))
		goto lost;
	s->rec.comps[pos + len] = 0;
	w->pos = pos + len + 1;
	w->chain = (w->chain ^ (__u64)w->dentry ^ d->hash_len) * 0x9e3779b97f4a7c15ull;
	if (d->parent ==
	    (__u64)w->dentry) /* a root, but not of a mount: memfd, pipes, lazy umount */
		goto lost;
	w->dentry = (const struct dentry *)d->parent;
	return 0;
lost:
	w->flags |= FWM_F_LOST;
	w->done = 1;
	return 1;
}

static long walk_step(__u32 i, void *unused)
{
	__u32 zero = 0;
	struct name_scratch *s = bpf_map_lookup_elem(&name_scratch, &zero);

	return s ? walk_step_do(&s->walk, s) : 1;
}

static __always_inline bool is_pseudo(__u64 magic)
{
	switch (magic) {
	case 0x9fa0:	 /* proc */
	case 0x62656572: /* sysfs */
	case 0x27e0eb:	 /* cgroup */
	case 0x63677270: /* cgroup2 */
	case 0x1cd1:	 /* devpts */
	case 0x74726163: /* tracefs */
	case 0x64626720: /* debugfs */
	case 0xcafe4a11: /* bpf */
	case 0x73636673: /* securityfs */
	case 0xf97cff8c: /* selinuxfs */
	case 0x534f434b: /* sockfs */
	case 0x50495045: /* pipefs */
	case 0x09041934: /* anon_inodefs */
	case 0x6e736673: /* nsfs */
	case 0x19800202: /* mqueue */
	case 0x62656570: /* configfs */
	case 0xde5e81e4: /* efivarfs */
	case 0x42494e4d: /* binfmt_misc */
		return true;
	default:
		return false;
	}
}

/* The way of this set which holds the file, else the one to give up. */
static __always_inline __u32 way_pick(const struct name_set *set, __u64 dentry, __u64 mnt,
				      struct name_scratch *s)
{
	__u32 i, way = NAME_WAYS;

#pragma unroll
	for (i = 0; i < NAME_WAYS; i++)
		if (set->way[i].dentry == dentry && set->way[i].mnt == mnt)
			way = i;
	if (way < NAME_WAYS)
		return way;
		/* The first that is free: whoever looks for it comes by that one first. */
#pragma unroll
	for (i = NAME_WAYS; i-- > 0;)
		if (!set->way[i].dentry)
			way = i;
	if (way < NAME_WAYS)
		return way;
	return s->victim++ & (NAME_WAYS - 1);
}

/* What is told of the file itself, and where the walk begins. In a frame of its own. */
static __noinline int name_read(struct name_scratch *s, const struct dentry *leaf, __u64 mnt,
				const struct inode *inode)
{
	const struct super_block *sb;
	unsigned long magic, ino;
	__u16 mode;

	s->walk = (struct walk){.dentry = leaf, .mnt = mnt, .chain = mnt};
	s->rec.mntns = 0;
	if (bpf_core_read(&sb, sizeof(sb), &inode->i_sb) ||
	    bpf_core_read(&magic, sizeof(magic), &sb->s_magic) ||
	    bpf_core_read(&s->rec.file.dev, 4, &sb->s_dev) ||
	    bpf_core_read(&s->rec.file.gen, 4, &inode->i_generation) ||
	    bpf_core_read(&ino, sizeof(ino), &inode->i_ino) ||
	    bpf_core_read(&s->rec.size, 8, &inode->i_size) ||
	    bpf_core_read(&mode, sizeof(mode), &inode->i_mode) ||
	    dentry_head_read(&s->leaf, leaf) ||
	    bpf_core_read(&s->walk.mnt_root, 8, &((const struct vfsmount *)mnt)->mnt_root))
		return -1;
	s->walk.leaf_root = s->walk.mnt_root;
	s->rec.file.ino = ino;
	s->rec.mode = mode;
	s->rec.magic = magic;
	return 0;
}

/* The dentry below that an overlay's inode stands for, where nothing was written to it: the last of its
 * stack is the one with the data. */
static __always_inline const struct dentry *overlay_lower(const struct ovl_inode *o)
{
	const struct ovl_inode___lowerpath *path = (const void *)o;
	const struct dentry *d = NULL;
	const struct ovl_entry *oe;
	__u64 n;

	if (bpf_core_field_exists(path->lowerpath))
		return BPF_CORE_READ(path, lowerpath.dentry);
	if (!bpf_core_field_exists(o->oe))
		return NULL;
	oe = BPF_CORE_READ(o, oe);
	n = BPF_CORE_READ(oe, __numlower);
	if (n && bpf_probe_read_kernel(
			 &d, sizeof(d),
			 (const char *)oe + bpf_core_field_offset(struct ovl_entry, __lowerstack) +
				 (n - 1) * bpf_core_type_size(struct ovl_path) +
				 bpf_core_field_offset(struct ovl_path, dentry)))
		return NULL;
	return d;
}

/* Pages belong to the file below. */
static __noinline int overlay_real(struct fwm_name *rec, __u64 inode)
{
	const struct ovl_inode___lower *old;
	const struct inode *real = NULL;
	const struct ovl_inode *o;
	const struct dentry *d;

	rec->real_ino = 0;
	rec->real_dev = 0;
	if (rec->magic != OVERLAYFS_SUPER_MAGIC || (rec->mode & S_IFMT) != S_IFREG ||
	    !bpf_core_type_exists(struct ovl_inode))
		return 0;
	o = (const struct ovl_inode *)(inode - bpf_core_field_offset(struct ovl_inode, vfs_inode));
	old = (const void *)o;
	d = BPF_CORE_READ(o, __upperdentry);
	if (!d)
		d = overlay_lower(o);
	if (d)
		real = BPF_CORE_READ(d, d_inode);
	else if (bpf_core_field_exists(old->lower))
		real = BPF_CORE_READ(old, lower);
	if (!real)
		return 0;
	rec->real_ino = BPF_CORE_READ(real, i_ino);
	rec->real_dev = BPF_CORE_READ(real, i_sb, s_dev);
	return 0;
}

__attribute__((noinline)) int name_send(__u64 dentry, __u64 mnt, __u64 inode)
{
	const struct dentry *leaf = (const struct dentry *)dentry;
	struct name_scratch *s;
	struct fwm_counts *c;
	struct name_slot *slot;
	struct name_set *set;
	struct dentry_head *d;
	struct walk *w;
	__u32 zero = 0, set_no = name_set_of(dentry), inval = name_inval, size, flags, deleted;

	s = bpf_map_lookup_elem(&name_scratch, &zero);
	set = bpf_map_lookup_elem(&names, &set_no);
	c = count_seen(FWM_HOOK_NAME);
	if (!s || !set || !c)
		return NAME_UNREADABLE;
	d = &s->leaf;
	w = &s->walk;
	if (name_read(s, leaf, mnt, (const struct inode *)inode)) {
		count_one(c, unreadable);
		return NAME_UNREADABLE;
	}
	slot = &set->way[way_pick(set, dentry, mnt, s) & (NAME_WAYS - 1)];
	overlay_real(&s->rec, inode);
	if (!keep_pseudo && is_pseudo(s->rec.magic)) {
		count_one(c, filtered);
		flags = NAME_SLOT_PSEUDO | (d->pprev ? 0 : NAME_SLOT_DELETED);
		goto keep;
	}
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop)) {
		bpf_loop(WALK_MAX, walk_step, NULL, 0);
	} else {
		__u32 i;

		for (i = 0; i < WALK_MAX_UNROLLED; i++)
			if (walk_step_do(w, s))
				break;
	}
	if (!w->done)
		w->flags |= FWM_F_CUT;
	/* A root has no hash chain to be in either. */
	if (!d->pprev && leaf != w->leaf_root) {
		deleted = NAME_SLOT_DELETED;
		if (d->parent != dentry || (w->flags & FWM_F_LOST))
			w->flags |= FWM_F_DELETED;
		w->chain = (w->chain ^ deleted) * 0x9e3779b97f4a7c15ull;
	}
	s->rec.file.name = chain_name(w->chain);
	flags = NAME_SLOT_EPOCH(name_epoch) | (d->pprev ? 0 : NAME_SLOT_DELETED);
	if (slot->dentry == dentry && slot->mnt == mnt && slot->parent == d->parent &&
	    slot->hash_len == d->hash_len && slot->ino == s->rec.file.ino &&
	    slot->gen == s->rec.file.gen && slot->chain == w->chain && slot->flags == flags) {
		slot->inval = inval; /* something was renamed, but nothing on our way */
		count_one(c, filtered);
		return NAME_KNOWN;
	}
	size = offsetof(struct fwm_name, comps) + (w->pos & 0x1fff);
	if (size > sizeof(struct fwm_name))
		size = sizeof(struct fwm_name);
	hdr_fill(&s->rec.hdr, FWM_EVENT_NAME, size, bpf_ktime_get_ns(), bpf_get_current_pid_tgid());
	s->rec.hdr.flags = w->flags;
	s->rec.comps_len = size - offsetof(struct fwm_name, comps);
	if (bpf_ringbuf_output(&ring, &s->rec, size, wake_flags(false, ring_unread()))) {
		count_one(c, ring_full);
		return NAME_UNSENT;
	}
	count_one(c, sent);
keep:
	/* Not one store: another CPU that reads a half-written slot finds it different and resolves
	 * again, because dentry is invalid from first to last. */
	*(volatile __u64 *)&slot->dentry = 1;
	slot->mnt = mnt;
	slot->parent = d->parent;
	slot->hash_len = d->hash_len;
	slot->ino = s->rec.file.ino;
	slot->gen = s->rec.file.gen;
	slot->dev = s->rec.file.dev;
	slot->chain = w->chain;
	slot->inval = inval;
	slot->flags = flags;
	*(volatile __u64 *)&slot->dentry = dentry;
	return flags & NAME_SLOT_PSEUDO ? NAME_PSEUDO : NAME_KNOWN;
}

/* Anything that can change the path of a file already known. */
static __always_inline int inval(long ret)
{
	struct fwm_counts *c = count_seen(FWM_HOOK_RENAME);

	if (!c)
		return 0;
	if (ret >= 0)
		__sync_fetch_and_add(&name_inval, 1);
	count_one(c, filtered);
	return 0;
}

#define INVAL_HOOK(call)                                                                           \
	CALL_EXIT(call)                                                                            \
	{                                                                                          \
		return inval(ret);                                                                 \
	}

INVAL_HOOK(rename)
INVAL_HOOK(renameat)
INVAL_HOOK(renameat2)
INVAL_HOOK(mount)
INVAL_HOOK(umount)
INVAL_HOOK(move_mount)
INVAL_HOOK(pivot_root)

char LICENSE[] SEC("license") = "GPL";
