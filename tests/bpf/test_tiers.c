// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a kernel may offer to hook open(2) with, the same small program on each: is it told of every open,
 * also while many others wait in theirs, and what does it cost? Told by counts: so many opens that find
 * their file, so many of one that is not there. user/sys/capture_progs.c chooses by the figures, see there;
 * they are in the results, one line a tier, for `make vmtest` to show kernel by kernel, and nothing is
 * asserted of them.
 *
 *   a run       by the kernel's own statistics of the program
 *   an open     of wall time, open and close together, beyond the same without the program
 *   other calls getppid(), likewise: what a tier costs who does not open anything
 */
#include "support/support.h"
#include "support/built.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>

#include "base/cleanup.h"
#include "sys/probe.h"

#if defined(__x86_64__)
#define CALL "__x64_sys_openat"
#else
#define CALL "__arm64_sys_openat"
#endif
#define TRACEFS "/sys/kernel/tracing"

enum {
	OPENS = 500,	/* of each kind, to be told of */
	WAITING = 64,	/* more than a kretprobe has instances for: max(10, 2 a CPU) */
	ROUNDS = 7,	/* with and without the program */
	BATCHES = 20,	/* of a measurement */
	LAPS = 200,	/* of a batch, unless TEST_SCALE says less */
	INSN_MAX = 16,	/* of the program */
	WAIT_MS = 60000 /* at most, for those who wait to wait */
};

enum kind { CLASSIC, RAW, FENTRY, FEXIT, KPROBE, KRETPROBE, KPROBE_MULTI, KRETPROBE_MULTI, LSM };

static const struct tier {
	const char *name, *target;
	enum kind kind;
	bool vain;    /* it is told of lookups in vain too */
	bool limited; /* so many calls at a time, and no more: what is lost is reported */
} tiers[] = {
	{"tp/sys_enter_openat", "syscalls/sys_enter_openat", CLASSIC, true, false},
	{"tp/sys_exit_openat", "syscalls/sys_exit_openat", CLASSIC, true, false},
	/* No typed tracepoint is on the way of an open but the one of every call. */
	{"tp_btf/sys_exit", "sys_exit", RAW, true, false},
	{"fentry", CALL, FENTRY, true, false},
	{"fexit", CALL, FEXIT, true, false},
	{"kprobe", CALL, KPROBE, true, false},
	{"kretprobe", CALL, KRETPROBE, true, true},
	{"kprobe.multi", CALL, KPROBE_MULTI, true, false},
	{"kretprobe.multi", CALL, KRETPROBE_MULTI, true, true},
	{"lsm/file_open", "file_open", LSM, false, false},
};

static struct {
	int map;
	uint64_t *told; /* the map, mapped */
	int prog, link;
	unsigned int laps;
	char dir[64], file[80], none[80], fifo[80];
} t = {.map = -1, .prog = -1, .link = -1};

/* --- the program -------------------------------------------------------------------------------------- */

/* Adds one for each time that we come by. */
static int load(const struct tier *tier)
{
	static const struct {
		enum bpf_prog_type type;
		enum bpf_attach_type attach;
	} by_kind[] = {
		[CLASSIC] = {BPF_PROG_TYPE_TRACEPOINT, 0},
		[RAW] = {BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP},
		[FENTRY] = {BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY},
		[FEXIT] = {BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT},
		[KPROBE] = {BPF_PROG_TYPE_KPROBE, 0},
		[KRETPROBE] = {BPF_PROG_TYPE_KPROBE, 0},
		[KPROBE_MULTI] = {BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI},
		[KRETPROBE_MULTI] = {BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI},
		[LSM] = {BPF_PROG_TYPE_LSM, BPF_LSM_MAC},
	};
	const struct bpf_insn is_open[] = {
		/* args[0], a struct pt_regs *, and in it what call it is */
		{.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_1},
		{.code = BPF_LDX | BPF_MEM | BPF_DW,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_1,
		 .off = 15 * 8 /* orig_ax */},
		{.code = BPF_JMP | BPF_JNE | BPF_K,
		 .dst_reg = BPF_REG_1,
		 .off = 7,
		 .imm = SYS_openat},
	};
	const struct bpf_insn body[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_pid_tgid},
		{.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = 32},
		{.code = BPF_JMP | BPF_JNE | BPF_K,
		 .dst_reg = BPF_REG_0,
		 .off = 4,
		 .imm = getpid()},
		{.code = BPF_LD | BPF_IMM | BPF_DW,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_VALUE,
		 .imm = t.map},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_2,
		 .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = by_kind[tier->kind].attach);
	struct bpf_insn insns[INSN_MAX];
	size_t n = 0;
	int id, fd;

	if (by_kind[tier->kind].type == BPF_PROG_TYPE_TRACING || tier->kind == LSM) {
		id = libbpf_find_vmlinux_btf_id(tier->target, o.expected_attach_type);
		if (id < 0)
			return -ENOENT;
		o.attach_btf_id = (uint32_t)id;
	}
	if (tier->kind == RAW) {
#if !defined(__x86_64__)
		return -ENOTSUP; /* whose registers these are not */
#endif
		memcpy(insns, is_open, sizeof(is_open));
		n = ARRAY_SIZE(is_open);
	}
	memcpy(insns + n, body, sizeof(body));
	n += ARRAY_SIZE(body);
	fd = bpf_prog_load(by_kind[tier->kind].type, "opens", "GPL", insns, n, &o);
	return fd < 0 ? -errno : fd;
}

/* The number that the file ends in; -1: there is none. */
static long long number(const char *dir, const char *name)
{
	_cleanup_(fclosep) FILE *f = NULL;
	char path[160], line[64];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return -1;
	return strtoll(line + strcspn(line, "0123456789"), NULL, 10);
}

static int attach_perf(const struct tier *tier)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .sample_period = 1, .wakeup_events = 1};
	char name[128];
	long long id;
	int fd;

	if (tier->kind == CLASSIC) {
		(void)snprintf(name, sizeof(name), "%s/id", tier->target);
		id = number(TRACEFS "/events", name);
		attr.type = PERF_TYPE_TRACEPOINT;
		attr.config = (uint64_t)id;
	} else {
		id = number("/sys/bus/event_source/devices", "kprobe/type");
		attr.type = (uint32_t)id;
		attr.kprobe_func = (uintptr_t)tier->target;
		if (tier->kind == KRETPROBE)
			attr.config = 1ull << number("/sys/bus/event_source/devices",
						     "kprobe/format/retprobe");
	}
	if (id < 0)
		return -ENOENT;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, t.prog) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		int err = errno;

		(void)close(fd);
		return -err;
	}
	return fd;
}

static int attach(const struct tier *tier)
{
	int fd;

	if (tier->kind == CLASSIC || tier->kind == KPROBE || tier->kind == KRETPROBE)
		return attach_perf(tier);
	if (tier->kind == KPROBE_MULTI || tier->kind == KRETPROBE_MULTI) {
		LIBBPF_OPTS(bpf_link_create_opts, o, .kprobe_multi.cnt = 1,
			    .kprobe_multi.syms = (const char **)&tier->target,
			    .kprobe_multi.flags =
				    tier->kind == KRETPROBE_MULTI ? BPF_F_KPROBE_MULTI_RETURN : 0);

		fd = bpf_link_create(t.prog, 0, BPF_TRACE_KPROBE_MULTI, &o);
	} else {
		fd = bpf_raw_tracepoint_open(NULL, t.prog);
	}
	return fd < 0 ? -errno : fd;
}

/* 0 or -errno. */
static int on(const struct tier *tier)
{
	t.prog = load(tier);
	if (t.prog < 0)
		return t.prog;
	t.link = attach(tier);
	return t.link < 0 ? t.link : 0;
}

static void off(void)
{
	closep(&t.link);
	closep(&t.prog);
	t.link = t.prog = -1;
}

/* --- what it is told of ------------------------------------------------------------------------------- */

static void opens(const char *path, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)syscall(SYS_close, fd);
	}
}

static uint64_t told_of(const char *path, unsigned int n)
{
	uint64_t before = __atomic_load_n(t.told, __ATOMIC_SEQ_CST);

	opens(path, n);
	return __atomic_load_n(t.told, __ATOMIC_SEQ_CST) - before;
}

static struct bpf_prog_info info(void)
{
	struct bpf_prog_info i = {0};
	uint32_t len = sizeof(i);

	(void)bpf_obj_get_info_by_fd(t.prog, &i, &len);
	return i;
}

static bool sleeps(pid_t pid)
{
	_cleanup_(fclosep) FILE *f = NULL;
	char path[64], state = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	return f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && state == 'S';
}

/* WAITING processes inside of open(2): of a FIFO that nobody writes to. */
static bool wait_in_open(pid_t *pids)
{
	for (unsigned int i = 0; i < WAITING; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			(void)open(t.fifo, O_RDONLY | O_CLOEXEC);
			_exit(0);
		}
	}
	for (unsigned int i = 0; i < WAITING; i++)
		for (unsigned int ms = 0; !sleeps(pids[i]); ms++) {
			if (ms == WAIT_MS)
				return false;
			(void)usleep(1000);
		}
	return true;
}

static void wake(const pid_t *pids)
{
	for (unsigned int i = 0; i < WAITING; i++)
		if (pids[i] > 0) {
			(void)kill(pids[i], SIGKILL);
			(void)waitpid(pids[i], NULL, 0);
		}
}

/* --- what it costs ------------------------------------------------------------------------------------ */

static double now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct cost {
	double open_ns, other_ns; /* of one */
};

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The middle of the values is theirs who were not disturbed, where few were; the first quarter, where many. */
static double quantile(double *v, unsigned int n, unsigned int nth)
{
	qsort(v, n, sizeof(*v), ascending);
	return v[n / nth];
}

static struct cost lap(void)
{
	double open_ns[BATCHES], other_ns[BATCHES];

	for (unsigned int b = 0; b < BATCHES; b++) {
		double begin = now_ns(), mid;

		opens(t.file, t.laps);
		mid = now_ns();
		for (unsigned int i = 0; i < t.laps; i++)
			(void)syscall(SYS_getppid);
		open_ns[b] = (mid - begin) / t.laps;
		other_ns[b] = (now_ns() - mid) / t.laps;
	}
	return (struct cost){quantile(open_ns, BATCHES, 4), quantile(other_ns, BATCHES, 4)};
}

/* Beyond what it takes without a program, round about. */
static struct cost cost(const struct tier *tier)
{
	double open_ns[ROUNDS], other_ns[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct cost without, with;

		off();
		(void)lap(); /* what attaching and detaching left behind */
		without = lap();
		if (on(tier) < 0)
			return (struct cost){0};
		(void)lap();
		with = lap();
		open_ns[i] = with.open_ns - without.open_ns;
		other_ns[i] = with.other_ns - without.other_ns;
	}
	return (struct cost){quantile(open_ns, ROUNDS, 2), quantile(other_ns, ROUNDS, 2)};
}

/* By the kernel's statistics, which cost time themselves. */
static double run_ns(void)
{
	_cleanup_(closep) int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct bpf_prog_info before = info(), after;

	(void)stats; /* on until it is closed */
	opens(t.file, t.laps * BATCHES);
	after = info();
	return after.run_cnt > before.run_cnt ? (double)(after.run_time_ns - before.run_time_ns) /
							(double)(after.run_cnt - before.run_cnt)
					      : 0;
}

/* --- results ------------------------------------------------------------------------------------------ */

/* Does the kernel ask programs before it opens? If not, they can be attached all the same. */
static bool lsm_asks(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/sys/kernel/security/lsm", "re");
	char line[256] = "";

	return f && fgets(line, sizeof(line), f) && strstr(line, "bpf");
}

/* As many as there were; fewer only by those that the kernel says it left out, which it does where a program
 * is preempted by itself. */
static bool exact(uint64_t told, uint64_t made, uint64_t left_out)
{
	return told <= made && told + left_out >= made;
}

/* One result; true: it failed. ret_works: it was not skipped. */
static bool try(unsigned int nth, const struct tier *tier, bool *ret_works)
{
	uint64_t found, vain, busy, left_out;
	pid_t pids[WAITING];
	struct cost c;
	double run;
	bool good, waited;
	int err = on(tier);

	*ret_works = false;
	if (err) {
		printf("ok %u - %s # SKIP %s\n", nth, tier->name,
		       err == -ENOENT ? "not in this kernel" : strerror(-err));
		off();
		return false;
	}
	found = told_of(t.file, OPENS);
	vain = told_of(t.none, OPENS);
	if (tier->kind == LSM && !found && !lsm_asks()) {
		printf("ok %u - %s # SKIP loads, but bpf is not in lsm= of this kernel\n", nth,
		       tier->name);
		off();
		return false;
	}
	*ret_works = true;
	waited = wait_in_open(pids);
	busy = told_of(t.file, OPENS);
	left_out = info().recursion_misses;
	wake(pids);
	good = waited && exact(found, OPENS, left_out) &&
	       (tier->vain ? exact(vain, OPENS, left_out) : vain == 0) &&
	       (tier->limited ? busy <= OPENS : exact(busy, OPENS, left_out));
	run = run_ns();
	c = cost(tier);
	off();
	printf("%sok %u - %s: told of %llu/%u opens, %llu/%u in vain, %llu/%u while %u others "
	       "wait; "
	       "%.0f ns a run, %+.0f an open, %+.0f any other call\n",
	       good ? "" : "not ", nth, tier->name, (unsigned long long)found, OPENS,
	       (unsigned long long)vain, OPENS, (unsigned long long)busy, OPENS, WAITING, run,
	       c.open_ns, c.other_ns);
	return !good;
}

/* Does `forewarm probe` say of the tiers what we saw? */
static bool probe_agrees(unsigned int nth, const bool *works)
{
	static const struct {
		const char *item, *tier;
		bool or_unused; /* not so though it works: for another reason, or it cannot be told */
	} said[] = {
		{"fentry, fexit of calls", "fexit", true},
		{"LSM", "lsm/file_open", true},
		{"kprobe", "kprobe", false},
	};
	struct probe_item items[PROBE_MAX];
	size_t n = probe_run(items, PROBE_MAX);
	unsigned int agree = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(said); k++)
			for (size_t j = 0; j < ARRAY_SIZE(tiers); j++) {
				bool ok = items[i].state == PROBE_OK;

				if (strcmp(items[i].name, said[k].item) != 0 ||
				    strcmp(tiers[j].name, said[k].tier) != 0)
					continue;
				agree += ok == works[j] || (works[j] && said[k].or_unused);
				if (ok != works[j])
					printf("# %s: %s\n", items[i].name, items[i].detail);
			}
	printf("%sok %u - the probe says the same\n", agree == ARRAY_SIZE(said) ? "" : "not ", nth);
	return agree != ARRAY_SIZE(said);
}

static bool setup(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = BPF_F_MMAPABLE);
	cpu_set_t one;
	int fd;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	(void)sched_setaffinity(0, sizeof(one), &one); /* only the figures are the better for it */
	t.laps = LAPS / built_scale();
	(void)snprintf(t.dir, sizeof(t.dir), "/tmp/forewarm-tiers-XXXXXX");
	if (!mkdtemp(t.dir))
		return false;
	(void)snprintf(t.file, sizeof(t.file), "%s/file", t.dir);
	(void)snprintf(t.none, sizeof(t.none), "%s/none", t.dir);
	(void)snprintf(t.fifo, sizeof(t.fifo), "%s/fifo", t.dir);
	fd = open(t.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	t.map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "told", sizeof(uint32_t), sizeof(uint64_t), 1,
			       &o);
	if (fd < 0 || t.map < 0 || mkfifo(t.fifo, 0600) < 0)
		return false;
	(void)close(fd);
	t.told = mmap(NULL, (size_t)getpagesize(), PROT_READ, MAP_SHARED, t.map, 0);
	return t.told != MAP_FAILED;
}

int main(void)
{
	bool bad = false, works[ARRAY_SIZE(tiers)];

	if (geteuid() != 0) {
		printf("1..1\nok 1 - tiers # SKIP loading BPF programs takes root\n");
		return 0;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)libbpf_set_print(NULL);
	if (!setup()) {
		printf("1..1\nnot ok 1 - a file, a map: %s\n", strerror(errno));
		return 1;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(tiers); i++)
		bad |= try(i + 1, &tiers[i], &works[i]);
	bad |= probe_agrees(ARRAY_SIZE(tiers) + 1, works);
	(void)unlink(t.file);
	(void)unlink(t.fifo);
	(void)rmdir(t.dir);
	printf("1..%zu\n", ARRAY_SIZE(tiers) + 1);
	return bad;
}
