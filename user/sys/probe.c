// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * probe.c - each feature by its smallest use.
 */
#include "sys/probe.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/mountinfo.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

struct list {
	struct probe_item *items;
	size_t n, max;
};

static void add(struct list *l, const char *group, const char *name, enum probe_state state,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void add(struct list *l, const char *group, const char *name, enum probe_state state,
		const char *fmt, ...)
{
	struct probe_item *i;
	va_list ap;

	if (l->n == l->max)
		return;
	i = &l->items[l->n++];
	i->group = group;
	i->state = state;
	(void)snprintf(i->name, sizeof(i->name), "%s", name);
	va_start(ap, fmt);
	(void)vsnprintf(i->detail, sizeof(i->detail), fmt, ap);
	va_end(ap);
}

const char *probe_state_name(enum probe_state s)
{
	static const char *const names[] = {"ok", "degraded", "missing", "absent"};

	return s < ARRAY_SIZE(names) ? names[s] : "?";
}

/* --- programs of one instruction ---------------------------------------------------------------------- */

static int load_tiny(enum bpf_prog_type type, enum bpf_attach_type attach, int btf_id)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = attach,
		    .attach_btf_id = (uint32_t)btf_id);
	int fd = bpf_prog_load(type, NULL, "GPL", insns, ARRAY_SIZE(insns), &o);

	return fd < 0 ? -errno : fd;
}

/* Loads and attaches to a kernel function or typed tracepoint; 0 or -errno. */
static int try_btf(const char *name, enum bpf_prog_type type, enum bpf_attach_type attach)
{
	_cleanup_(closep) int prog = -1, link = -1;
	int id = libbpf_find_vmlinux_btf_id(name, attach);

	if (id < 0)
		return -ENOENT;
	prog = load_tiny(type, attach, id);
	if (prog < 0)
		return prog;
	link = bpf_raw_tracepoint_open(NULL, prog);
	return link < 0 ? -errno : 0;
}

/* Where a program can be preempted, another on the same processor finds it running and is left out, and what
 * both keep per processor is mixed up. On a tracepoint it cannot. */
static bool kernel_preempts(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/sys/kernel/debug/sched/preempt", "re");
	char modes[64];
	struct utsname u;

	if (f && fgets(modes, sizeof(modes), f)) /* "none (voluntary) full" */
		return strstr(modes, "(full)") || strstr(modes, "(lazy)");
	return uname(&u) < 0 || strstr(u.version, "PREEMPT");
}

bool probe_calls(void)
{
	libbpf_print_fn_t old = libbpf_set_print(NULL);
	const char *call = "__x64_sys_openat";
	bool yes = !kernel_preempts() &&
		   try_btf(call, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY) == 0 &&
		   try_btf(call, BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT) == 0;

	(void)libbpf_set_print(old);
	return yes;
}

bool probe_sends(void)
{
	_cleanup_(closep) int fd =
		load_tiny(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, 0);

	return fd >= 0;
}

/* A kprobe without a program: 0 or -errno. */
static int try_kprobe(const char *function)
{
	_cleanup_(fclosep) FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	_cleanup_(closep) int fd = -1;
	struct perf_event_attr attr = {.size = sizeof(attr), .kprobe_func = (uintptr_t)function};

	if (!f || fscanf(f, "%u", &attr.type) != 1)
		return -ENOENT;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

/* Are LSM programs asked? They can be attached where they are not. */
static bool lsm_asked(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/sys/kernel/security/lsm", "re");
	char line[256], *name, *rest = line;

	if (!f || !fgets(line, sizeof(line), f))
		return false;
	while ((name = strsep(&rest, ",\n")))
		if (!strcmp(name, "bpf"))
			return true;
	return false;
}

static const char *tracefs(void)
{
	if (access("/sys/kernel/tracing/events", F_OK) == 0)
		return "/sys/kernel/tracing";
	if (access("/sys/kernel/debug/tracing/events", F_OK) == 0)
		return "/sys/kernel/debug/tracing";
	return NULL;
}

static void kernel(struct list *l)
{
	struct utsname u;
	struct statfs fs;
	_cleanup_(closep) int map = -1;
	const char *t = tracefs();

	(void)uname(&u); /* only fails for a bad pointer */
	add(l, "kernel", "release", PROBE_OK, "%s %s", u.release, u.machine);
	if (geteuid() != 0)
		add(l, "kernel", "root", PROBE_MISSING,
		    "not root: run it with sudo to try the rest");
	else
		add(l, "kernel", "root", PROBE_OK, "yes");
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		add(l, "kernel", "BTF", PROBE_OK, "/sys/kernel/btf/vmlinux");
	else
		add(l, "kernel", "BTF", PROBE_MISSING,
		    "needs a kernel with CONFIG_DEBUG_INFO_BTF=y");
	map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, NULL, 0, 0, 65536, NULL);
	if (map >= 0)
		add(l, "kernel", "ring buffer", PROBE_OK, "yes");
	else
		add(l, "kernel", "ring buffer", PROBE_MISSING,
		    "%s: kernel 5.8 or newer, and CAP_BPF, are needed", strerror(errno));
	if (t)
		add(l, "kernel", "tracefs", PROBE_OK, "%s", t);
	else
		add(l, "kernel", "tracefs", PROBE_MISSING,
		    "mount -t tracefs tracefs /sys/kernel/tracing");
	if (statfs("/sys/fs/bpf", &fs) == 0 && (uint32_t)fs.f_type == 0xcafe4a11u)
		add(l, "kernel", "bpf file system", PROBE_OK, "/sys/fs/bpf");
	else
		add(l, "kernel", "bpf file system", PROBE_DEGRADED,
		    "not mounted on /sys/fs/bpf; forewarmd mounts it");
}

static void hooks(struct list *l)
{
	static const char *const typed[] = {"sched_process_exec", "sched_process_exit",
					    "inet_sock_set_state"};
	static const struct {
		const char *name;
		enum probe_state without;
	} classic[] = {
		{"syscalls/sys_exit_openat", PROBE_MISSING},
		{"syscalls/sys_enter_openat", PROBE_DEGRADED}, /* times them */
		{"syscalls/sys_exit_openat2", PROBE_DEGRADED},
		{"syscalls/sys_exit_open", PROBE_OPTIONAL},
		{"syscalls/sys_exit_creat", PROBE_OPTIONAL},
		{"syscalls/sys_exit_open_by_handle_at", PROBE_DEGRADED},
		{"syscalls/sys_exit_execve", PROBE_DEGRADED},
		{"syscalls/sys_exit_connect", PROBE_DEGRADED},
		{"syscalls/sys_exit_bind", PROBE_DEGRADED},
		{"syscalls/sys_exit_renameat2", PROBE_DEGRADED},
		{"io_uring/io_uring_complete", PROBE_DEGRADED},
	};
	const char *t = tracefs();

	for (size_t i = 0; i < ARRAY_SIZE(typed); i++) {
		int r = try_btf(typed[i], BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP);

		if (r == 0)
			add(l, "hooks", typed[i], PROBE_OK, "typed tracepoint");
		else
			add(l, "hooks", typed[i], PROBE_MISSING, "%s", strerror(-r));
	}
	for (size_t i = 0; i < ARRAY_SIZE(classic); i++) {
		char path[160];

		(void)snprintf(path, sizeof(path), "%s/events/%s/id", t ? t : "", classic[i].name);
		if (access(path, F_OK) == 0)
			add(l, "hooks", classic[i].name, PROBE_OK, "tracepoint");
		else
			add(l, "hooks", classic[i].name, classic[i].without,
			    "no such tracepoint in this kernel");
	}
}

/* What is not used is told all the same: bpf/calls.bpf.h says why. */
static void optional(struct list *l)
{
	int r;

	if (probe_calls())
		add(l, "optional", "fentry, fexit of calls", PROBE_OK,
		    "used: only the calls we watch are slowed");
	else
		add(l, "optional", "fentry, fexit of calls", PROBE_OPTIONAL,
		    "%s; tracepoints are used, which slow every system call a little",
		    kernel_preempts() ? "unsafe in a kernel that is preempted" : "refused");
	r = try_btf("do_filp_open", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY);
	if (r == 0)
		add(l, "optional", "fentry of any function", PROBE_OK, "usable, not used");
	else
		add(l, "optional", "fentry of any function", PROBE_OPTIONAL,
		    "refused (%s), not used", strerror(-r));
	r = try_btf("file_open", BPF_PROG_TYPE_LSM, BPF_LSM_MAC);
	if (r == 0 && lsm_asked())
		add(l, "optional", "LSM", PROBE_OK,
		    "usable, not used: costs what fexit does, is not told of lookups in vain");
	else if (r == 0)
		add(l, "optional", "LSM", PROBE_OPTIONAL, "loads, but needs bpf in lsm=; not used");
	else
		add(l, "optional", "LSM", PROBE_OPTIONAL, "refused (%s), not used", strerror(-r));
	r = try_kprobe("do_filp_open");
	if (r == 0)
		add(l, "optional", "kprobe", PROBE_OK,
		    "usable, not used: at the end of a call it costs more, and loses some");
	else
		add(l, "optional", "kprobe", PROBE_OPTIONAL, "%s, not used",
		    r == -ENOENT ? "not in this kernel" : strerror(-r));
}

/* What no hook shows, and how far: forewarmd(8) has the same list, by the same names. */
static void unseen(struct list *l)
{
	static const struct {
		const char *name, *detail;
	} always[] = {
		{"io_uring without completion",
		 "opens and connects that ask for none on success are counted, not named"},
		{"children of CLONE_PARENT", "the parent they share with who made them is told"},
		{"descriptors passed on",
		 "files received over a socket were opened by another process"},
		{"files the kernel opens", "only programs and their interpreters are seen"},
		{"questions about files",
		 "stat and the like: only 10 s from a start, 2,048 paths of less than 256 bytes"},
		{"programs looked for in vain",
		 "told while calls are timed: at first and cold starts, one second a minute"},
		{"interpreters in between", "of a chain of #! scripts: seen as arguments only"},
#ifdef __x86_64__
		{"32-bit calls",
		 "opens and connects of 32-bit programs are not seen, their starts are"},
#endif
	};

	if (probe_sends())
		add(l, "unseen", "UDP without connect", PROBE_OK,
		    "seen: each address once for a socket, but not from a port the program chose");
	else
		add(l, "unseen", "UDP without connect", PROBE_DEGRADED,
		    "sendto() is not seen: no programs on sendmsg of control groups");
	if (probe_calls())
		add(l, "unseen", "UNIX datagrams by address", PROBE_OK,
		    "seen: each address once for a socket");
	else
		add(l, "unseen", "UNIX datagrams by address", PROBE_DEGRADED,
		    "not seen: that takes fentry");
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_find_vma, NULL) == 1)
		add(l, "unseen", "ELF interpreters", PROBE_OK, "seen");
	else
		add(l, "unseen", "ELF interpreters", PROBE_DEGRADED,
		    "not seen: that takes a kernel from 5.17 on");
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		add(l, "unseen", always[i].name, PROBE_DEGRADED, "%s", always[i].detail);
}

static bool filesystem_known(const char *name)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/filesystems", "re");
	char line[128], have[64];

	while (f && fgets(line, sizeof(line), f))
		if ((sscanf(line, "nodev %63s", have) == 1 || sscanf(line, " %63s", have) == 1) &&
		    !strcmp(have, name))
			return true;
	return false;
}

/* By making one. */
static int user_namespace(void)
{
	struct clone_args ca = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &ca, sizeof(ca));

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -errno;
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static void host(struct list *l)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};
	char dir[256] = "", controllers[256] = "";
	bool v1 = false;
	int err;

	while (f && mountinfo_next(f, &m) == 0) {
		if (!dir[0] && !strcmp(m.type, "cgroup2"))
			(void)snprintf(dir, sizeof(dir), "%s", m.point);
		v1 |= !strcmp(m.type, "cgroup");
	}
	if (!dir[0]) {
		add(l, "host", "cgroup v2", PROBE_DEGRADED,
		    "not mounted: cgroups of processes are unknown");
	} else {
		char path[300];
		_cleanup_(fclosep) FILE *g = NULL;

		(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
		g = fopen(path, "re");
		if (g && fgets(controllers, sizeof(controllers), g))
			controllers[strcspn(controllers, "\n")] = 0;
		if (v1)
			add(l, "host", "cgroup v2", PROBE_DEGRADED,
			    "at %.60s beside v1; controllers: %.60s", dir,
			    controllers[0] ? controllers : "none");
		else
			add(l, "host", "cgroup v2", PROBE_OK, "at %.60s; controllers: %.70s", dir,
			    controllers);
	}
	if (access("/proc/pressure/memory", R_OK) == 0)
		add(l, "host", "pressure (PSI)", PROBE_OK, "/proc/pressure");
	else
		add(l, "host", "pressure (PSI)", PROBE_DEGRADED,
		    "absent: only free memory limits what is warmed");
	errno = 0;
	if (syscall(451 /* cachestat */, -1, NULL, NULL, 0) < 0 && errno != ENOSYS)
		add(l, "host", "cachestat", PROBE_OK, "yes");
	else
		add(l, "host", "cachestat", PROBE_OPTIONAL, "absent (kernel 6.5): mincore is used");
	err = user_namespace();
	if (err == 0)
		add(l, "host", "user namespaces", PROBE_OK, "for PrivateUsers= and run --user");
	else
		add(l, "host", "user namespaces", PROBE_OPTIONAL,
		    "%s: PrivateUsers= and run --user fail", strerror(-err));
	if (filesystem_known("overlay"))
		add(l, "host", "overlay", PROBE_OK, "yes");
	else
		add(l, "host", "overlay", PROBE_DEGRADED,
		    "not loaded: sandboxes get a read-only root");
}

size_t probe_run(struct probe_item *items, size_t max)
{
	struct list l = {.items = items, .max = max};
	libbpf_print_fn_t old = libbpf_set_print(NULL);

	kernel(&l);
	if (geteuid() == 0) {
		hooks(&l);
		optional(&l);
		unseen(&l);
	}
	host(&l);
	(void)libbpf_set_print(old);
	return l.n;
}
