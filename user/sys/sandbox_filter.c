// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sandbox_filter.c - which system calls are let through, compiled by libseccomp to bytes.
 *
 * The default filter has two parts. The first, large one is installed once by the filler on itself, so
 * that every init and command inherits it for nothing (0.15 ms and some pages each otherwise); it has to
 * let the filler make namespaces and the init mount. The second is a handful of instructions, installed
 * in the command, and takes that away again.
 *
 * What is not listed fails with ENOSYS, so that a libc falls back as it would on an older kernel; what
 * is known and refused, and the calls of a foreign ABI, fail with EPERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/sandbox_impl.h"

struct sandbox_filter {
	int memfds[SANDBOX_FILTER_MAX];
	size_t memfd_n;
};

#define NS_FLAGS                                                                                   \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)
#define NS_TIME 0x80u /* CLONE_NEWTIME: means something else to clone(2) */

/* In systemd's grouping, so that SystemCallFilter= can name the groups. */
static const struct {
	const char *name, *calls;
} groups[] = {
	{"@default", "brk clock_getres clock_gettime clock_nanosleep exit exit_group futex "
		     "futex_waitv get_robust_list "
		     "get_thread_area getegid geteuid getgid getgroups getpgid getpgrp getpid "
		     "getppid getrandom getresgid "
		     "getresuid getrlimit getsid gettid gettimeofday getuid membarrier mmap mmap2 "
		     "mprotect mseal munmap "
		     "nanosleep pause prlimit64 restart_syscall rseq rt_sigreturn "
		     "sched_getaffinity sched_yield "
		     "set_robust_list set_thread_area set_tid_address sigreturn time ugetrlimit "
		     "cacheflush arch_prctl "
		     "riscv_flush_icache riscv_hwprobe uretprobe futex_wait futex_wake "
		     "futex_requeue map_shadow_stack"},
	{"@aio", "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit"},
	{"@basic-io", "_llseek close close_range dup dup2 dup3 lseek pread64 preadv preadv2 "
		      "pwrite64 pwritev pwritev2 read "
		      "readv write writev"},
	{"@file-system", "access chdir chmod close creat faccessat faccessat2 fallocate fchdir "
			 "fchmod fchmodat fchmodat2 fcntl "
			 "fcntl64 fgetxattr flistxattr fremovexattr fsetxattr fstat fstat64 "
			 "fstatat64 fstatfs fstatfs64 "
			 "ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr "
			 "getxattrat inotify_add_watch "
			 "inotify_init inotify_init1 inotify_rm_watch lgetxattr link linkat "
			 "listxattr listxattrat llistxattr "
			 "lremovexattr lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat munmap "
			 "newfstatat open openat openat2 "
			 "readlink readlinkat removexattr removexattrat rename renameat renameat2 "
			 "rmdir setxattr setxattrat "
			 "stat stat64 statfs statfs64 statx symlink symlinkat truncate truncate64 "
			 "unlink unlinkat utime "
			 "utimensat utimes file_getattr statmount listmount"},
	{"@io-event", "_newselect epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 "
		      "epoll_wait eventfd eventfd2 "
		      "poll ppoll pselect6 select"},
	{"@ipc", "ipc memfd_create mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend "
		 "mq_unlink msgctl msgget "
		 "msgrcv msgsnd pipe pipe2 process_madvise semctl semget semop semtimedop shmat "
		 "shmctl shmdt shmget"},
	{"@network-io", "accept accept4 bind connect getpeername getsockname getsockopt listen "
			"recv recvfrom recvmmsg recvmsg "
			"send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair"},
	{"@process", "capget execve execveat fork getrusage kill pidfd_open pidfd_send_signal "
		     "prctl rt_sigqueueinfo "
		     "rt_tgsigqueueinfo swapcontext tgkill times tkill vfork wait4 waitid waitpid"},
	{"@signal", "rt_sigaction rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait "
		    "sigaction sigaltstack signal "
		    "signalfd signalfd4 sigpending sigprocmask sigsuspend"},
	{"@sync", "fdatasync fsync msync sync sync_file_range syncfs arm_sync_file_range"},
	{"@timer", "alarm getitimer setitimer timer_create timer_delete timer_getoverrun "
		   "timer_gettime timer_settime "
		   "timerfd_create timerfd_gettime timerfd_settime"},
	{"@chown", "chown chown32 fchown fchown32 fchownat lchown lchown32"},
	{"@setuid", "setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid "
		    "setresgid32 setresuid setresuid32 "
		    "setreuid setreuid32 setuid setuid32"},
	{"@memlock", "mlock mlock2 mlockall munlock munlockall"},
	{"@resources", "ioprio_set sched_setaffinity sched_setattr sched_setparam "
		       "sched_setscheduler setpriority setrlimit "
		       "mbind set_mempolicy"},
	{"@sandbox", "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp"},
	{"@other", "capset copy_file_range fadvise64 fadvise64_64 flock get_mempolicy getcpu "
		   "getpriority ioprio_get "
		   "madvise mincore mremap readahead remap_file_pages sched_get_priority_max "
		   "sched_get_priority_min "
		   "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sendfile "
		   "sendfile64 setfsgid "
		   "setfsuid setpgid setsid splice sysinfo tee umask uname vmsplice cachestat "
		   "pkey_alloc pkey_free "
		   "pkey_mprotect setfsgid32 setfsuid32 memfd_secret process_mrelease ioctl"},
	/* Known to systemd's units, refused here in any case. */
	{"@clock", "adjtimex clock_adjtime clock_settime settimeofday"},
	{"@module", "delete_module finit_module init_module"},
	{"@mount", "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree "
		   "pivot_root umount "
		   "umount2"},
	{"@raw-io",
	 "ioperm iopl pciconfig_iobase pciconfig_read pciconfig_write s390_pci_mmio_read"},
	{"@reboot", "kexec_file_load kexec_load reboot"},
	{"@swap", "swapoff swapon"},
	{"@keyring", "add_key keyctl request_key"},
	{"@debug", "lookup_dcookie perf_event_open process_vm_readv process_vm_writev ptrace kcmp"},
	{"@cpu-emulation", "modify_ldt subpage_prot switch_endian vm86 vm86old"},
	{"@obsolete",
	 "_sysctl afs_syscall create_module nfsservctl query_module uselib ustat sysfs"},
	{"@privileged-other", "acct bpf fanotify_init fanotify_mark name_to_handle_at "
			      "open_by_handle_at quotactl quotactl_fd setdomainname "
			      "sethostname syslog vhangup userfaultfd io_uring_setup "
			      "io_uring_enter io_uring_register setns "
			      "pidfd_getfd move_pages migrate_pages set_mempolicy_home_node "
			      "open_tree_attr lsm_set_self_attr"},
};

enum { ALLOWED_GROUPS = 17 }; /* the groups up to @other */

/* systemd's composite groups, over those above. */
static const struct {
	const char *name, *of;
} composites[] = {
	{"@system-service", "@default @aio @basic-io @chown @file-system @io-event @ipc @keyring "
			    "@memlock @network-io @process @resources "
			    "@setuid @signal @sync @timer @other @sandbox"},
	{"@privileged", "@chown @clock @module @raw-io @reboot @swap @privileged-other"},
	{"@known", "@system-service @privileged @mount @debug @cpu-emulation @obsolete"},
};

static int each_word(const char *list, int (*fn)(void *ctx, const char *word), void *ctx)
{
	char word[64];
	int r = 0;

	while (*list && !r) {
		size_t n = strcspn(list, " ");

		if (n && n < sizeof(word)) {
			memcpy(word, list, n);
			word[n] = 0;
			r = fn(ctx, word);
		}
		list += n + strspn(list + n, " ");
	}
	return r;
}

struct adder {
	scmp_filter_ctx ctx;
	uint32_t action;
};

/* Calls that are let through with certain arguments only, see add_conditional(). */
static bool conditional(const char *word)
{
	static const char *const names[] = {"clone",  "clone3",	     "unshare",	 "setns",
					    "socket", "personality", "prlimit64"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(word, names[i]))
			return true;
	return false;
}

static int add_word(void *ctx, const char *word)
{
	struct adder *a = ctx;
	int nr = seccomp_syscall_resolve_name(word), r;

	if (nr == __NR_SCMP_ERROR || nr < 0 || conditional(word))
		return 0; /* not on this architecture, or unknown to this libseccomp */
	r = seccomp_rule_add(a->ctx, a->action, nr, 0);
	return r == -EEXIST ? 0 : r;
}

static int export(scmp_filter_ctx ctx, int *ret_memfd)
{
	_cleanup_(closep) int fd = memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return fault_errno();
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return fault(r);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return fault_errno();
	*ret_memfd = TAKE_FD(fd);
	return 0;
}

static void ctx_free(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int ctx_new(uint32_t action, scmp_filter_ctx *ret)
{
	scmp_filter_ctx c = seccomp_init(action);
	int r;

	if (!c)
		return fault(-ENOMEM);
	/* A foreign ABI (32-bit on a 64-bit kernel) is a second set of doors: shut. The tree instead
	 * of a chain makes a call cost log2 of the number of rules. */
	r = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
	if (!r)
		r = seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r) /* launch.c sets no_new_privs */
		r = seccomp_attr_set(c, SCMP_FLTATR_CTL_NNP, 0);
	if (r < 0) {
		seccomp_release(c);
		return fault(r);
	}
	*ret = c;
	return 0;
}

static int add_conditional(scmp_filter_ctx c)
{
	static const unsigned personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
	int r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				 SCMP_A0(SCMP_CMP_MASKED_EQ, NS_FLAGS, 0));

	if (!r) /* one's own limits, not the init's */
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
				     SCMP_A0(SCMP_CMP_EQ, 0));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
				     SCMP_A0(SCMP_CMP_NE, 0));
	for (size_t i = 0; i < ARRAY_SIZE(personalities) && !r; i++)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
				     SCMP_A0(SCMP_CMP_EQ, personalities[i]));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_INET));
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_INET6));
	if (!r) /* getifaddrs(3) */
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, 0));
	for (int family = 0; family <= AF_NETLINK && !r; family++) {
		if (family == AF_UNIX || family == AF_INET || family == AF_INET6)
			continue;
		if (family == AF_NETLINK)
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 2,
					     SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
					     SCMP_A2(SCMP_CMP_NE, 0));
		else
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
					     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
	}
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
	return r;
}

/* What only filler and init may do, see box/: the first part lets it through, the second does not. */
#define LAUNCHER_CALLS                                                                             \
	"fsopen fsconfig fsmount fspick open_tree move_mount mount_setattr pivot_root umount2"
static const int launcher_ns[] = {SCMP_SYS(clone3), SCMP_SYS(unshare), SCMP_SYS(setns)};

static int default_first(int *ret_memfd)
{
	_cleanup_(ctx_free) scmp_filter_ctx c = NULL;
	struct adder a = {.action = SCMP_ACT_ALLOW};
	int r = ctx_new(SCMP_ACT_ERRNO(ENOSYS), &c);

	if (r < 0)
		return r;
	a.ctx = c;
	for (size_t i = 0; i < ARRAY_SIZE(groups) && !r; i++) {
		if (i == ALLOWED_GROUPS)
			a.action = SCMP_ACT_ERRNO(EPERM);
		if (!strcmp(groups[i].name, "@mount"))
			continue;
		r = each_word(groups[i].calls, add_word, &a);
	}
	if (!r)
		r = each_word("mount umount chroot", add_word, &a);
	a.action = SCMP_ACT_ALLOW;
	if (!r)
		r = each_word(LAUNCHER_CALLS, add_word, &a);
	for (size_t i = 0; i < ARRAY_SIZE(launcher_ns) && !r; i++)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, launcher_ns[i], 0);
	if (!r)
		r = add_conditional(c);
	return r < 0 ? fault(r) : export(c, ret_memfd);
}

static int default_second(int *ret_memfd)
{
	/* Characters typed into a terminal one shares: CVE-2017-5226; TIOCLINUX pastes likewise. */
	static const unsigned long ioctls[] = {TIOCSTI, TIOCLINUX};
	static const unsigned flags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,    CLONE_NEWUSER,
					 CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP, NS_TIME};
	_cleanup_(ctx_free) scmp_filter_ctx c = NULL;
	struct adder a = {.action = SCMP_ACT_ERRNO(EPERM)};
	int r = ctx_new(SCMP_ACT_ALLOW, &c);

	if (r < 0)
		return r;
	a.ctx = c;
	r = each_word(LAUNCHER_CALLS, add_word, &a);
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setns), 0);
	if (!r) /* flags cannot be seen: libc falls back to clone() */
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; i < ARRAY_SIZE(flags) && !r; i++)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	for (size_t i = 0; i < ARRAY_SIZE(ioctls) && !r;
	     i++) /* the kernel looks at 32 bits of it */
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, ioctls[i]));
	return r < 0 ? fault(r) : export(c, ret_memfd);
}

int sandbox_filter_default(bool launcher_part, int *ret_memfd)
{
	return launcher_part ? default_second(ret_memfd) : default_first(ret_memfd);
}

/* --- filters of a command ------------------------------------------------------------------------ */

enum { CALL_MAX = 1024 };

/* What the list comes to, by number. */
struct call_set {
	bool in[CALL_MAX];
	bool put; /* what becomes of a name that is met */
	const char **ret_bad;
};

static int set_word(void *ctx, const char *word)
{
	struct call_set *s = ctx;
	int nr = seccomp_syscall_resolve_name(word);

	/* Those with conditions: the default filter keeps its own on top. */
	if (nr >= 0 && nr < CALL_MAX && !conditional(word))
		s->in[nr] = s->put;
	return 0;
}

static int set_name(void *ctx, const char *name)
{
	struct call_set *s = ctx;
	int nr;

	/* Composites contain groups and groups contain calls: two levels, so the recursion ends. */
	for (size_t i = 0; i < ARRAY_SIZE(composites); i++)
		if (!strcmp(composites[i].name, name))
			return each_word(composites[i].of, set_name, s);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (!strcmp(groups[i].name, name))
			return each_word(groups[i].calls, set_word, s);
	nr = seccomp_syscall_resolve_name(name);
	if (*name == '@' || nr == __NR_SCMP_ERROR)
		return -EINVAL;
	if (nr >= 0 && nr < CALL_MAX) /* below 0: not on this architecture */
		s->in[nr] = s->put;
	return 0;
}

static int set_calls(const struct sandbox_filter_options *o, struct call_set *s)
{
	/* What execve and every libc start needs, as systemd adds them to an allow list too. */
	static const char *const always[] = {
		"@default", "execve", "execveat", "clone",  "clone3",  "rt_sigreturn", "seccomp",
		"prctl",    "read",   "close",	  "socket", "unshare", "personality",  "prlimit64"};
	int r = 0;

	for (size_t i = 0; i < o->call_n && !r; i++) {
		bool out = *o->calls[i] == '~';

		s->put = !out;
		r = set_name(s, o->calls[i] + out);
		if (r == -EINVAL)
			*s->ret_bad = o->calls[i] + out;
	}
	s->put = true;
	for (size_t i = 0; i < ARRAY_SIZE(always) && !r && !o->deny_calls; i++)
		r = set_name(s, always[i]);
	return r;
}

/* The one of the calls: it allows what is listed, or forbids it. */
static int calls_program(const struct sandbox_filter_options *o, const char **ret_bad, int *ret_fd)
{
	const uint32_t refuse = SCMP_ACT_ERRNO((uint32_t)(o->call_errno ? o->call_errno : EPERM));
	_cleanup_(ctx_free) scmp_filter_ctx c = NULL;
	struct call_set s = {.ret_bad = ret_bad};
	int r = ctx_new(o->deny_calls ? SCMP_ACT_ALLOW : refuse, &c);

	if (!r)
		r = set_calls(o, &s);
	for (int nr = 0; nr < CALL_MAX && !r; nr++) {
		if (s.in[nr])
			r = seccomp_rule_add(c, o->deny_calls ? refuse : SCMP_ACT_ALLOW, nr, 0);
		if (r == -EEXIST || r == -EDOM || r == -EACCES)
			r = 0;
	}
	return r < 0 ? fault(r) : export(c, ret_fd);
}

static int add_families(scmp_filter_ctx c, const struct sandbox_filter_options *o)
{
	int r = 0;

	if (!o->family_n)
		return 0;
	for (int family = 0; family < AF_MAX && !r; family++) {
		bool named = false;

		for (size_t i = 0; i < o->family_n; i++)
			named |= o->families[i] == family;
		if (named == o->deny_families)
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
					     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
	}
	return r;
}

/* Others than these three the default filter refuses anyway. */
static int add_personality(scmp_filter_ctx c)
{
	static const unsigned personalities[] = {8, 0x20000, 0x20008};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(personalities) && !r; i++)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(personality), 1,
				     SCMP_A0(SCMP_CMP_EQ, personalities[i]));
	return r;
}

static int add_realtime(scmp_filter_ctx c)
{
	static const int policies[] = {1 /* FIFO */, 2 /* RR */, 6 /* DEADLINE */};
	int r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(sched_setattr), 0);

	/* With SCHED_RESET_ON_FORK, and without. */
	for (size_t i = 0; i < ARRAY_SIZE(policies) && !r; i++)
		r = seccomp_rule_add(
			c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(sched_setscheduler), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffff, (scmp_datum_t)policies[i]));
	return r;
}

static int add_write_execute(scmp_filter_ctx c)
{
	static const int maps[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2)};
	static const int protects[] = {SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect)};
	int r = 0;

	for (size_t i = 0; i < 2 && !r; i++) {
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), maps[i], 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC,
					     PROT_WRITE | PROT_EXEC));
		if (r == -EDOM) /* not on this architecture */
			r = 0;
		if (!r)
			r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), protects[i], 1,
					     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	}
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(shmat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, SHM_EXEC, SHM_EXEC));
	return r;
}

/* The one of all that looks at arguments: an allow list of calls could not be narrowed again. */
static int arguments_program(const struct sandbox_filter_options *o, int *ret_fd)
{
	_cleanup_(ctx_free) scmp_filter_ctx c = NULL;
	int r = ctx_new(SCMP_ACT_ALLOW, &c);

	if (!r)
		r = add_families(c, o);
	if (!r && o->lock_personality)
		r = add_personality(c);
	if (!r && o->restrict_realtime)
		r = add_realtime(c);
	if (!r && o->deny_write_execute)
		r = add_write_execute(c);
	return r < 0 ? fault(r) : export(c, ret_fd);
}

int sandbox_filter_new(const struct sandbox_filter_options *o, struct sandbox_filter **ret,
		       const char **ret_bad)
{
	struct sandbox_filter *f = calloc(1, sizeof(*f));
	int r = 0;

	*ret_bad = "";
	if (!f)
		return fault(-ENOMEM);
	if (o->family_n || o->lock_personality || o->restrict_realtime || o->deny_write_execute)
		r = arguments_program(o, &f->memfds[f->memfd_n++]);
	if (!r && o->call_n)
		r = calls_program(o, ret_bad, &f->memfds[f->memfd_n++]);
	if (r < 0) {
		f->memfd_n--; /* it was not made */
		(void)sandbox_filter_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

struct sandbox_filter *sandbox_filter_free(struct sandbox_filter *f)
{
	for (size_t i = 0; f && i < f->memfd_n; i++)
		(void)close(f->memfds[i]);
	free(f);
	return NULL;
}

size_t sandbox_filter_memfds(const struct sandbox_filter *f, const int **ret)
{
	*ret = f->memfds;
	return f->memfd_n;
}
