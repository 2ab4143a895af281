/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel.bpf.h - every kernel type and field the hooks read, and nothing else.
 *
 * Each struct names only the fields used; where they really are is relocated at load time from the
 * running kernel's BTF (CO-RE), so no vmlinux.h and no BTF on the build host are needed. Two
 * flavours of a field that moved stand beside each other with the kernel that moved it.
 */
#ifndef FWM_KERNEL_BPF_H
#define FWM_KERNEL_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <stdbool.h>
#include <stddef.h>

/* What is likely stays together, the rest at the end: between two runs of a hook its code leaves the caches. */
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define AT_FDCWD (-100)
#define AT_EMPTY_PATH 0x1000
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_BINDPORT_LOCK 8
#define EINTR 4
#define EBADF 9
#define EFAULT 14
#define EALREADY 114
#define EINPROGRESS 115
#define EISCONN 106
#define ETIMEDOUT 110
#define ECONNREFUSED 111
#define O_CREAT_WRONLY_TRUNC 01101
#define RESOLVE_IN_ROOT 0x10
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define TMPFS_MAGIC 0x01021994
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
#define PAGE_NONE 0

enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE = 7, TCP_LISTEN = 10 };

/* Structs without a name cannot be looked up by name; their places come from the struct around. */
struct net;
typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	struct net *net;
} possible_net_t;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct file_system_type {
	const char *name;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	void *s_fs_info;
};

struct inode {
	__u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	__s64 i_size;
	__u32 i_generation;
	__s64 i_ctime_sec; /* since 6.11 */
	__u32 i_ctime_nsec;
};

/* Any type of the kernel that begins with 64 bits which are no pointer. */
struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct inode___timespec { /* since 6.6 */
	struct timespec64 __i_ctime;
};

struct inode___ctime { /* before that */
	struct timespec64 i_ctime;
};

struct qstr {
	union {
		struct {
			__u32 hash;
			__u32 len;
		};
		__u64 hash_len;
	};
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/* Overlayfs; in most kernels a module, whose types are known once it is loaded. */
struct ovl_path {
	struct dentry *dentry;
};

struct ovl_entry {
	unsigned int __numlower;
	struct ovl_path __lowerstack[];
};

struct ovl_inode {
	struct inode vfs_inode;
	struct dentry *__upperdentry;
	struct ovl_entry *oe; /* since 6.5 */
};

struct ovl_inode___lowerpath { /* since 5.19 */
	struct ovl_path lowerpath;
};

struct ovl_inode___lower { /* before that */
	struct inode *lower;
};

struct ovl_layer {
	struct vfsmount *mnt;
};

struct ovl_fs {
	unsigned int
		numlayer; /* the writable one, which is the first, counts even when there is none */
	struct ovl_layer *layers;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	struct file *exe_file;
};

struct vm_area_struct {
	struct file *vm_file;
};

/* Where a program starts to run: its ELF interpreter, when it has one. And a call's arguments. */
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long r10, r8, dx, si, di, orig_ax, ip;
#elif defined(__TARGET_ARCH_arm64)
	__u64 regs[31];
	__u64 pc, orig_x0;
	__s32 syscallno;
#elif defined(__TARGET_ARCH_riscv)
	unsigned long epc;
#elif defined(__TARGET_ARCH_powerpc)
	unsigned long nip;
#else
	unsigned long pc;
#endif
};

struct net {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp; /* in the v2 hierarchy */
};

struct cred {
	kuid_t uid;
};

struct list_head {
	struct list_head *next;
};

struct task_io_accounting {
	__u64 read_bytes, write_bytes;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned long min_flt, maj_flt;
	unsigned long maxrss;
	struct task_io_accounting ioac;
	unsigned long long sum_sched_runtime;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

struct task_struct {
	unsigned int flags;
	int pid, tgid;
	int exit_state, exit_code;
	struct sched_entity se;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct list_head children, sibling;
	struct task_struct *group_leader;
	__u64 start_time;
	unsigned long min_flt, maj_flt;
	const struct cred *cred;
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	struct signal_struct *signal;
	struct task_io_accounting ioac;
};

struct linux_binprm {
	const char *filename; /* as asked for */
	const char *interp;   /* what runs in the end; the same pointer unless there was a "#!" */
	int argc;
};

/* io_uring; what a request asks for lies in its first field. */
struct io_cqe {
	int fd; /* until the file is known */
};

struct io_kiocb {
	__u8 opcode;
	__u64 flags; /* before 6.10 of 32 bits */
	struct io_cqe cqe;
};

struct filename {
	const char *name;
};

struct open_how {
	__u64 flags;
};

struct io_open {
	int dfd;
	__u32 file_slot;
	struct filename *filename;
	struct open_how how;
};

struct io_connect {
	void *addr;
	int addr_len;
};

struct io_uring_cqe {
	__s32 res;
};

struct upid {
	int nr;
};

struct pid {
	struct upid numbers[1];
};

struct in6_addr {
	__u8 s6_addr[16];
};

struct sock_common {
	volatile unsigned char skc_state;
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	int sk_err;
	int sk_err_soft;
	__u8 sk_userlocks : 4;
	__u16 sk_protocol;
	struct pid *sk_peer_pid;
};

/* What a program on a control group's sendmsg gets as its struct bpf_sock_addr. */
struct bpf_sock_addr_kern {
	struct sock *sk;
	struct sockaddr *uaddr;
	int uaddrlen;
};

struct socket {
	short type;
	struct sock *sk;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
};

struct unix_sock {
	struct sock sk;
	struct path path;
	struct sock *peer;
};

struct trace_event_raw_sys_enter {
	unsigned long args[6];
};

struct trace_event_raw_sys_exit {
	long ret;
};

#pragma clang attribute pop

#if defined(__TARGET_ARCH_x86)
#define pt_regs_ip(r) ((r)->ip)
#elif defined(__TARGET_ARCH_riscv)
#define pt_regs_ip(r) ((r)->epc)
#elif defined(__TARGET_ARCH_powerpc)
#define pt_regs_ip(r) ((r)->nip)
#else
#define pt_regs_ip(r) ((r)->pc)
#endif

/* Set before load: this kernel has bpf_rdonly_cast() (6.2), so that a read is one guarded load instead of
 * a call that costs ten of them. Only the file that defines PEEKS uses it: libbpf 1.1 cannot link a
 * kernel function that two files declare. */
#ifdef PEEKS
extern const volatile __u32 can_peek;
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
#else
enum { can_peek };
static __always_inline void *bpf_rdonly_cast(const void *obj, __u32 btf_id)
{
	return NULL;
}
#endif

/* The current task; task_typed(): it may be read by plain loads (5.11). */
static __always_inline bool task_typed(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf);
}

static __always_inline struct task_struct *task_now(void)
{
	return task_typed() ? (struct task_struct *)bpf_get_current_task_btf()
			    : (struct task_struct *)bpf_get_current_task();
}

/* As bpf_get_current_pid_tgid() has it, of the current task; a call less. */
static __always_inline __u64 task_id(const struct task_struct *t)
{
	return task_typed() ? (__u64)t->tgid << 32 | (__u32)t->pid : bpf_get_current_pid_tgid();
}

/* What is at a kernel address, 0 when that cannot be read. Only with can_peek. */
static __always_inline __u64 peek64(__u64 addr)
{
	const struct timespec64 *p =
		bpf_rdonly_cast((const void *)addr, bpf_core_type_id_kernel(struct timespec64));

	return (__u64)p->tv_sec;
}

static __always_inline __u32 peek32(__u64 addr)
{
	const struct timespec64 *p =
		bpf_rdonly_cast((const void *)addr, bpf_core_type_id_kernel(struct timespec64));

	return *(const volatile __u32 *)p;
}

/* x & mask where clang may not prove the mask superfluous and drop it: the verifier needs it. */
#define masked(x, mask)                                                                            \
	({                                                                                         \
		__u64 masked_ = (x);                                                               \
		asm volatile("%0 &= %1" : "+r"(masked_) : "i"(mask));                              \
		masked_;                                                                           \
	})

/* Socket addresses as user space passes them: UAPI, never relocated. AF_UNIX has its path, up to
 * 108 bytes, after the family. */
union sockaddr_any {
	__u16 family;
	struct {
		__u16 family, port; /* network order */
		__u32 addr;
	} in;
	struct {
		__u16 family, port;
		__u32 flowinfo;
		__u8 addr[16];
	} in6;
};

#endif
