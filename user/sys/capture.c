// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture.c - load, attach, pin; then one loop over the ring.
 *
 * Nothing here decides what an event means: records go through core/decode.h and out. The kernel
 * writes without waking us (a wakeup costs 15 times the event), so the reader calls drain on a timer;
 * wake_sent is the kernel's note that it did wake us, cleared before each drain.
 */
#include "sys/capture.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/probe.h"
#include "sys/procfs.h"

/* Generated, not ours to make clean. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "forewarm.skel.h"
#pragma GCC diagnostic pop

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define RING_BYTES_DEFAULT (2u << 20)
#define NAME_MAX_DEFAULT 40960u
#define NAME_SLOTS_PER_SET 4u /* NAME_WAYS in bpf/maps.bpf.h */
#define PROG_MAX 64
#define BPF_FS_MAGIC_ 0xcafe4a11u
#define BPF_FS_DIR "/sys/fs/bpf"
#define ATTACH_TRIES 200
#define ATTACH_AGAIN_US 2000
#define RESEND_NS 1000000000ull /* names are asked for again at most so often */

struct prog {
	struct bpf_program *bpf;
	struct bpf_link *link;
	int err;
	bool calls; /* on a system call: off while detached */
	bool looks; /* of bpf/look.bpf.c: off unless lookups are being learnt */
	bool times; /* at the entry of a call: off unless calls are timed */
	bool pages; /* of bpf/filemap.bpf.c: off unless pages are being learnt */
};

struct capture {
	struct forewarm_bpf *skel;
	struct ring_buffer *ring;
	struct decoder *decoder;
	struct prog progs[PROG_MAX];
	size_t prog_n;
	enum capture_mode mode;
	char *pin_dir;
	bool keep;
	bool fast; /* the hooks on system calls are on the calls themselves */
	bool args; /* the exit of a call still has its arguments */
	bool timed;
	int cgroup_fd;	/* root of the v2 hierarchy; < 0: none, -errno */
	bool resident;	/* the kernel tells what leaves the page cache */
	pid_t sweeper;	/* removes the pins when we are killed */
	int sweeper_fd; /* its end is our end */
	int pins_fd;	/* the folder, locked: nobody else's pins go there meanwhile */
	int cpu_n;
	uint32_t netns;		   /* inode number of ours */
	struct fwm_counts *percpu; /* cpu_n */
	uint64_t unnamed_n, malformed_n, records_n, folded_n, resend_ns;
	/* while draining */
	size_t left;
	obs_fn fn;
	void *ctx;
};

static void (*libbpf_log)(const char *line);

static int libbpf_line(enum libbpf_print_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static int libbpf_line(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[1024];

	if (!libbpf_log || level == LIBBPF_DEBUG)
		return 0;
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = 0;
	libbpf_log(line);
	return 0;
}

static int why(const struct capture_opts *o, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int why(const struct capture_opts *o, int err, const char *fmt, ...)
{
	va_list ap;

	if (o->why) {
		va_start(ap, fmt);
		(void)vsnprintf(o->why, CAPTURE_WHY_MAX, fmt, ap);
		va_end(ap);
	}
	return fault(err);
}

/* --- what must be there first -------------------------------------------------------------------- */

static const char *tracefs_dir(void)
{
	static const char *const dirs[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%s/events", dirs[i]);
		if (access(path, F_OK) == 0)
			return dirs[i];
	}
	if (mount("tracefs", dirs[0], "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		return dirs[0];
	return NULL;
}

static int host_check(const struct capture_opts *o)
{
	if (geteuid() != 0)
		return why(o, -EPERM, "watching the kernel needs root: run it with sudo");
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return why(o, -ENOENT,
			   "this kernel has no BTF (/sys/kernel/btf/vmlinux): one built with "
			   "CONFIG_DEBUG_INFO_BTF=y is needed");
	if (!tracefs_dir())
		return why(o, -ENOENT, "no tracefs: mount -t tracefs tracefs /sys/kernel/tracing");
	return 0;
}

/* Unpins all in the directory behind fd, which is closed, and removes dir when it is that one still: a
 * daemon that was started since may have made its own in the same place. */
static int pins_remove_at(int fd, const char *dir)
{
	DIR *d = fdopendir(fd);
	struct stat held, named;
	struct dirent *e;
	bool same;

	if (!d) {
		closep(&fd);
		return fault_errno();
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlinkat(fd, e->d_name, 0); /* what stays makes rmdir fail */
	same = fstat(fd, &held) == 0 && stat(dir, &named) == 0 && held.st_ino == named.st_ino;
	(void)closedir(d);
	return same && rmdir(dir) < 0 ? fault_errno() : 0;
}

static int pins_remove(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : fault_errno();
	return pins_remove_at(fd, dir);
}

/* Held as long as the descriptor is open. */
static int pins_lock(const char *dir, int *ret_fd)
{
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int pin_dir_make(const struct capture_opts *o, int *ret_fd)
{
	_cleanup_(freep) char *parent = strdup(o->pin_dir);
	struct statfs fs;
	char *slash;
	int r;

	if (!parent)
		return fault(-ENOMEM);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return why(o, -EINVAL, "pin directory '%s' is not a path below a bpf file system",
			   o->pin_dir);
	*slash = 0;
	if (statfs(parent, &fs) < 0)
		return why(o, -errno, "pin directory '%s': %s", parent, strerror(errno));
	if ((uint32_t)fs.f_type != BPF_FS_MAGIC_ && strcmp(parent, BPF_FS_DIR) != 0)
		return why(o, -EINVAL,
			   "pin directory '%s' is not on a bpf file system; choose one "
			   "below " BPF_FS_DIR,
			   o->pin_dir);
	/* Elsewhere it would hide what is there. */
	if ((uint32_t)fs.f_type != BPF_FS_MAGIC_ &&
	    mount("bpf", parent, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return why(o, -errno,
			   "'%s' is no bpf file system and none could be mounted there: %s", parent,
			   strerror(errno));
	if (pins_lock(o->pin_dir, ret_fd) == -EWOULDBLOCK)
		return why(o, -EWOULDBLOCK,
			   "pin directory '%s' is another forewarmd's: stop that one, or give this "
			   "one other directories",
			   o->pin_dir);
	closep(ret_fd);
	*ret_fd = -1;
	r = pins_remove(o->pin_dir); /* of one that was killed: its hooks end with their pins */
	if (r < 0)
		return why(o, r, "old pins in '%s' could not be removed: %s", o->pin_dir,
			   strerror(-r));
	if (mkdir(o->pin_dir, 0700) < 0)
		return why(o, -errno, "pin directory '%s': %s", o->pin_dir, strerror(errno));
	r = pins_lock(o->pin_dir, ret_fd);
	return r < 0 ? why(o, r, "pin directory '%s': %s", o->pin_dir, strerror(-r)) : 0;
}

/* A daemon that is killed cannot unpin, and pinned hooks would go on costing the host. So a child waits
 * for the end of the pipe from us, whatever ends us, and removes what is left. It is in a session of
 * its own and deaf to what ends a group. */
static int sweeper_start(struct capture *c)
{
	int fds[2], dir = open(c->pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char byte;

	if (dir < 0)
		return fault_errno();
	if (pipe2(fds, O_CLOEXEC) < 0) {
		closep(&dir);
		return fault_errno();
	}
	c->sweeper = fork();
	if (c->sweeper < 0) {
		closep(&dir);
		closep(&fds[0]);
		closep(&fds[1]);
		return fault_errno();
	}
	if (c->sweeper == 0) {
		(void)setsid();
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGTERM, SIG_IGN);
		(void)signal(SIGHUP, SIG_IGN);
		(void)prctl(PR_SET_NAME, "forewarm-sweep");
		/* Nothing of ours may stay open here: not the pipe's other end, nor a link. */
		if (dup2(fds[0], 0) < 0 || dup2(dir, 1) < 0)
			_exit(1);
		if (syscall(SYS_close_range, 2u, ~0u, 0u) < 0)
			for (int fd = 2; fd < 4096; fd++)
				(void)close(fd);
		while (read(0, &byte, 1) < 0 && errno == EINTR)
			;
		(void)pins_remove_at(1, c->pin_dir); /* gone already when we ended well */
		_exit(0);
	}
	closep(&dir);
	closep(&fds[0]);
	c->sweeper_fd = fds[1];
	return 0;
}

static void sweeper_end(struct capture *c)
{
	if (c->sweeper <= 0)
		return;
	closep(&c->sweeper_fd);
	while (waitpid(c->sweeper, NULL, 0) < 0 && errno == EINTR)
		;
	c->sweeper = 0;
}

/* --- programs ------------------------------------------------------------------------------------ */

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* On a system call itself: see bpf/calls.bpf.h. */
static bool fast_family(const char *section)
{
	return starts(section, "fentry/") || starts(section, "fexit/");
}

/* Any program on a system call's tracepoint makes every call of the host take the slow way in and out. */
static bool calls_family(const char *section)
{
	return starts(section, "tp/syscalls/") || fast_family(section);
}

/* What is only asked about: "sys_exit_newstat" or "__x64_sys_newstat", and so on. */
static bool looks_family(const char *section)
{
	static const char *const calls[] = {"newstat",	  "newlstat", "newfstatat",
					    "statx",	  "access",   "faccessat",
					    "faccessat2", "readlink", "readlinkat"};
	const char *call = strstr(section, "sys_");

	if (!calls_family(section) || !call)
		return false;
	call += strlen("sys_");
	if (starts(call, "exit_"))
		call += strlen("exit_");
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (!strcmp(call, calls[i]))
			return true;
	return false;
}

static bool times_family(const char *section)
{
	return starts(section, "tp/syscalls/sys_enter_") || starts(section, "fentry/__x64_sys_");
}

/* What bpf/calls.bpf.h reads a call's arguments by when it ends. */
static bool args_exist(const struct btf *btf)
{
#if defined(__x86_64__) || defined(__aarch64__)
	return btf__find_by_name_kind(btf, "bpf_task_pt_regs", BTF_KIND_FUNC) > 0;
#else
	(void)btf;
	return false;
#endif
}

static bool cgroup_family(const char *section)
{
	return starts(section, "cgroup/");
}

static bool pages_family(const char *section)
{
	return strncmp(section, "tp_btf/mm_filemap_", strlen("tp_btf/mm_filemap_")) == 0 &&
	       strcmp(section, "tp_btf/mm_filemap_delete_from_page_cache") != 0;
}

/* Which pages are used: exactly, where the kernel has all three tracepoints (since 6.10 or so); else
 * roughly, from what enters the page cache. */
static bool pages_exist(const struct btf *btf, const char *section)
{
	static const char *const exact[] = {"btf_trace_mm_filemap_get_pages",
					    "btf_trace_mm_filemap_map_pages",
					    "btf_trace_mm_filemap_fault"};
	bool add = strcmp(section, "tp_btf/mm_filemap_add_to_page_cache") == 0;
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (btf__find_by_name_kind(btf, exact[i], BTF_KIND_TYPEDEF) < 0)
			all = false;
	if (add && btf__find_by_name_kind(btf, "btf_trace_mm_filemap_add_to_page_cache",
					  BTF_KIND_TYPEDEF) < 0)
		all = true; /* nothing at all: as if it were not needed */
	return add != all;
}

static const struct btf_type *btf_proto(const struct btf *btf, const char *tracepoint)
{
	char name[80];
	const struct btf_type *t;
	int id;

	(void)snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
	if (id < 0)
		return NULL;
	t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type); /* typedef -> pointer */
	t = t ? btf__type_by_id(btf, t->type) : NULL;
	return t && btf_is_func_proto(t) ? t : NULL;
}

/* Typed tracepoints: there, and for those that changed over time, of the shape our program reads. */
static bool typed_exists(const struct btf *btf, const char *tracepoint)
{
	const struct btf_type *proto = btf_proto(btf, tracepoint), *arg;

	if (!proto)
		return false;
	if (strncmp(tracepoint, "io_uring_submit", 15) != 0)
		return true;
	/* Before 6.0 the first argument is not the request. Parameter 0 is the tracepoint's own. */
	arg = btf_vlen(proto) > 1 ? btf__type_by_id(btf, btf_params(proto)[1].type) : NULL;
	arg = arg && btf_is_ptr(arg) ? btf__type_by_id(btf, arg->type) : NULL;
	return arg && btf_is_struct(arg) &&
	       !strcmp(btf__name_by_offset(btf, arg->name_off), "io_kiocb");
}

static bool function_exists(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* A hook a kernel does not have must not be loaded, or nothing is. */
static bool hook_exists(const struct capture *c, const struct btf *btf, const char *section)
{
	const char *dir = tracefs_dir(), *tp = section + 3;
	char path[160];

	if (cgroup_family(section))
		return c->cgroup_fd >= 0 && probe_sends();
	if (looks_family(section) && !c->args)
		return false;
	if (fast_family(section))
		return function_exists(btf, strchr(section, '/') + 1);
	if (pages_family(section))
		return pages_exist(btf, section);
	if (strncmp(section, "tp_btf/", 7) == 0)
		return typed_exists(btf, section + 7);
	(void)snprintf(path, sizeof(path), "%s/events/%s/id", dir ? dir : "", tp);
	return access(path, F_OK) == 0;
}

static void pin_path(const struct capture *c, const char *kind, const char *name, char *buf,
		     size_t n)
{
	(void)snprintf(buf, n, "%s/%s%s", c->pin_dir, kind, name);
}

static int prog_attach(struct capture *c, struct prog *p)
{
	char path[256];

	if (cgroup_family(bpf_program__section_name(p->bpf)))
		p->link = bpf_program__attach_cgroup(p->bpf, c->cgroup_fd);
	else
		p->link = bpf_program__attach(p->bpf);
	/* Taken off a moment ago, and the kernel has not come to it yet: see prog_detach(). */
	for (int i = 0; !p->link && (errno == EEXIST || errno == EBUSY) && i < ATTACH_TRIES; i++) {
		(void)usleep(ATTACH_AGAIN_US);
		p->link = bpf_program__attach(p->bpf);
	}
	if (!p->link)
		return p->err = -errno;
	p->err = 0;
	if (!c->pin_dir)
		return 0;
	/* Before 5.15 a tracepoint's link is a perf event and cannot be pinned: it ends with us. */
	pin_path(c, "link_", bpf_program__name(p->bpf), path, sizeof(path));
	(void)bpf_link__pin(p->link, path);
	return 0;
}

/* The kernel waits until nobody runs the hook any more, 40-80 ms here, and whoever closes the last reference
 * waits with it. So that shall be the pin's, which a thread of the kernel's own closes. */
static void prog_detach(struct prog *p)
{
	_cleanup_(freep) char *pin = NULL;

	if (!p->link)
		return;
	if (bpf_link__pin_path(p->link))
		pin = strdup(bpf_link__pin_path(p->link)); /* not pinned is fine, and only slower */
	(void)bpf_link__destroy(p->link);
	if (pin)
		(void)unlink(pin);
	p->link = NULL;
}

/* Of a hook that stands in both tiers, is this the one that is not used? fast_X is on_X on the call. */
static bool other_tier(const struct capture *c, const struct btf *btf,
		       const struct bpf_program *bpf)
{
	const char *name = bpf_program__name(bpf);
	const struct bpf_program *fast = bpf;
	char twin[64];

	if (!fast_family(bpf_program__section_name(bpf))) {
		(void)snprintf(twin, sizeof(twin), "fast_%s", name + strlen("on_"));
		fast = bpf_object__find_program_by_name(c->skel->obj, twin);
		if (!fast)
			return false;
	}
	return (c->fast && hook_exists(c, btf, bpf_program__section_name(fast))) != (fast == bpf);
}

static int progs_find(struct capture *c, const struct btf *btf)
{
	struct bpf_program *bpf;

	bpf_object__for_each_program(bpf, c->skel->obj)
	{
		struct prog *p = &c->progs[c->prog_n];

		if (other_tier(c, btf, bpf)) {
			(void)bpf_program__set_autoload(bpf, false);
			continue;
		}
		if (c->prog_n == PROG_MAX)
			return fault(-E2BIG);
		p->bpf = bpf;
		p->calls = calls_family(bpf_program__section_name(bpf));
		p->pages = pages_family(bpf_program__section_name(bpf));
		p->looks = looks_family(bpf_program__section_name(bpf));
		p->times = times_family(bpf_program__section_name(bpf));
		if (!hook_exists(c, btf, bpf_program__section_name(bpf))) {
			p->err = -ENOENT;
			(void)bpf_program__set_autoload(bpf, false);
		}
		c->prog_n++;
	}
	return 0;
}

static int progs_attach(struct capture *c, const struct capture_opts *o)
{
	size_t attached_n = 0;
	int last = -ENOENT;

	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (p->err || p->pages || p->looks)
			continue;
		if (prog_attach(c, p) == 0)
			attached_n++;
		else
			last = p->err;
		if (p->bpf == c->skel->progs.on_evict)
			c->resident = p->link != NULL;
	}
	if (!attached_n)
		return why(o, last, "no hook could be attached: %s", strerror(-last));
	return 0;
}

static int pin_all(struct capture *c, const struct capture_opts *o)
{
	struct bpf_map *map;
	char path[256];
	int r;

	bpf_object__for_each_map(map, c->skel->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		pin_path(c, "", bpf_map__name(map), path, sizeof(path));
		r = bpf_map__pin(map, path);
		if (r < 0)
			return why(o, r, "map %s could not be pinned at '%s': %s",
				   bpf_map__name(map), path, strerror(-r));
	}
	for (size_t i = 0; i < c->prog_n; i++) {
		if (c->progs[i].err)
			continue;
		pin_path(c, "prog_", bpf_program__name(c->progs[i].bpf), path, sizeof(path));
		r = bpf_program__pin(c->progs[i].bpf, path);
		if (r < 0)
			return why(o, r, "program could not be pinned at '%s': %s", path,
				   strerror(-r));
	}
	return 0;
}

/* --- the ring ------------------------------------------------------------------------------------ */

static int record(void *ctx, void *rec, size_t n)
{
	struct capture *c = ctx;
	int r = event_decode(c->decoder, rec, n, c->fn, c->ctx);
	const struct fwm_open *open = rec;
	uint64_t events_n = 1;

	if (r >= 0 && open->hdr.kind == FWM_EVENT_OPEN && open->hdr.flags & FWM_F_AGAIN) {
		events_n = open->latency_ns;
		c->folded_n += events_n;
	} else {
		c->records_n++;
	}
	if (r < 0)
		c->malformed_n++;
	else if (r == DECODE_UNNAMED)
		c->unnamed_n += events_n;
	return --c->left ? 0 : -EAGAIN; /* stops the loop with this record consumed */
}

/* Empties the side of the fold maps that is being written, after turning the hooks to the other. */
static int folds_drain(struct capture *c)
{
	uint32_t side = c->skel->bss->folds_side & 1;
	int fd = bpf_map__fd(side ? c->skel->maps.folds1 : c->skel->maps.folds0);
	struct fwm_fold_key key, next;
	struct fwm_fold_row row;
	bool more;

	__atomic_store_n(&c->skel->bss->folds_side, side ^ 1, __ATOMIC_SEQ_CST);
	/* Waits for all that runs with preemption off or in an RCU section, so for every hook. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		return fault_errno();
	more = bpf_map_get_next_key(fd, NULL, &key) == 0;
	while (more) {
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (bpf_map_lookup_elem(fd, &key, &row) == 0) {
			c->folded_n += row.count;
			if (fold_decode(c->decoder, &key, &row, c->fn, c->ctx) > 0)
				c->unnamed_n += row.count;
			(void)bpf_map_delete_elem(fd, &key); /* we are its only user now */
		}
		key = next;
	}
	return 0;
}

/* Some paths were not known: have the kernel resolve and send each again when it is next opened. */
static void names_resend(struct capture *c)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now - c->resend_ns < RESEND_NS)
		return;
	c->resend_ns = now;
	__atomic_add_fetch(&c->skel->data->name_epoch, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&c->skel->data->name_inval, 1, __ATOMIC_SEQ_CST);
}

int capture_drain(struct capture *c, size_t budget, obs_fn fn, void *ctx)
{
	uint64_t unnamed_n = c->unnamed_n;
	int r;

	if (!budget)
		return 0;
	c->left = budget;
	c->fn = fn;
	c->ctx = ctx;
	__atomic_store_n(&c->skel->bss->wake_sent, 0, __ATOMIC_SEQ_CST);
	r = ring_buffer__consume(c->ring);
	if (r < 0 && r != -EAGAIN)
		return fault(r);
	r = (int)(budget - c->left);
	if (c->left)
		__atomic_store_n(&c->skel->bss->ring_pressed, 0, __ATOMIC_SEQ_CST);
	/* Names first: what was folded was opened before this moment, and so was named before. */
	if (c->left && __atomic_exchange_n(&c->skel->bss->folds_used, 0, __ATOMIC_SEQ_CST)) {
		int f = folds_drain(c);

		if (f < 0)
			return f;
	}
	if (c->unnamed_n != unnamed_n)
		names_resend(c);
	return r;
}

int capture_fd(const struct capture *c)
{
	return ring_buffer__epoll_fd(c->ring);
}

int capture_counters(struct capture *c, struct capture_counters *ret)
{
	struct capture_counters out = {.unnamed_n = c->unnamed_n,
				       .malformed_n = c->malformed_n,
				       .records_n = c->records_n,
				       .folded_n = c->folded_n,
				       .names = *decoder_names(c->decoder)};
	uint64_t lost;

	for (uint32_t h = 0; h < FWM_HOOK_MAX; h++) {
		struct fwm_counts *sum = &out.hook[h];

		if (bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.counts), &h, c->percpu) < 0)
			return fault_errno();
		for (int cpu = 0; cpu < c->cpu_n; cpu++) {
			const struct fwm_counts *v = &c->percpu[cpu];

			sum->seen += v->seen;
			sum->filtered += v->filtered;
			sum->unreadable += v->unreadable;
			sum->ring_full += v->ring_full;
			sum->sent += v->sent;
			sum->folded += v->folded;
		}
	}
	lost = __atomic_load_n(&c->skel->bss->again_lost, __ATOMIC_SEQ_CST);
	out.hook[FWM_HOOK_OPENAT].folded -= lost;
	out.hook[FWM_HOOK_OPENAT].ring_full += lost;
	*ret = out;
	return 0;
}

/* --- what the hooks look up ---------------------------------------------------------------------- */

int capture_detach_step(struct capture *c)
{
	/* Exits first: an enter without its exit leaves a note nobody reads, the other way round a failure
	 * would be told as unreadable. Programs stand with their enters first in each file. */
	for (size_t i = c->prog_n; i-- > 0;) {
		struct prog *p = &c->progs[i];

		if (!p->link || !(p->calls || p->pages))
			continue;
		prog_detach(p);
		return CAPTURE_MORE;
	}
	return 0;
}

static void timed_from_now(struct capture *c, bool on)
{
	uint64_t since = on ? clock_ns(CLOCK_MONOTONIC) : 0;

	__atomic_store_n(&c->skel->bss->timed_since, since, __ATOMIC_SEQ_CST);
	c->timed = on;
}

int capture_attach(struct capture *c)
{
	int r = 0;

	/* What was renamed or mounted meanwhile was not seen. */
	__atomic_add_fetch(&c->skel->data->name_inval, 1, __ATOMIC_SEQ_CST);
	timed_from_now(c, c->timed);
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (p->err || p->link || !(p->calls || p->pages) ||
		    ((p->times || p->pages) && !c->timed) ||
		    (p->pages && !c->skel->bss->learn_ns) || (p->looks && !c->skel->bss->look_ns))
			continue;
		if (prog_attach(c, p) < 0)
			r = fault(p->err);
	}
	return r;
}

void capture_wake_new(struct capture *c)
{
	__atomic_store_n(&c->skel->bss->wake_new, 1, __ATOMIC_SEQ_CST);
}

int capture_closer(struct capture *c, bool on, uint32_t wake_starts)
{
	if (!c->args)
		return CAPTURE_ALWAYS;
	__atomic_store_n(&c->skel->bss->wake_starts, on ? 0 : wake_starts, __ATOMIC_SEQ_CST);
	if (on != c->timed)
		timed_from_now(c, on);
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (!(p->times || (p->pages && c->skel->bss->learn_ns)) || p->err ||
		    on == (p->link != NULL))
			continue;
		if (!on) {
			prog_detach(p);
			return CAPTURE_MORE;
		}
		if (c->mode != CAPTURE_DETACHED && prog_attach(c, p) < 0)
			return fault(p->err);
	}
	return 0;
}

int capture_set_mode(struct capture *c, enum capture_mode mode)
{
	int r = 0;

	c->skel->bss->sampling = mode != CAPTURE_LEARN;
	c->skel->bss->wake_unknown = mode == CAPTURE_DETACHED;
	if (mode == CAPTURE_DETACHED) {
		while (capture_detach_step(c) == CAPTURE_MORE)
			;
	} else if (c->mode == CAPTURE_DETACHED) {
		r = capture_attach(c);
	}
	c->mode = mode;
	return r;
}

int capture_learn_pages(struct capture *c, uint64_t for_ns)
{
	int n = 0;

	__atomic_store_n(&c->skel->bss->learn_ns, for_ns, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (!p->pages || p->err)
			continue;
		if (!for_ns)
			prog_detach(p);
		else if (!p->link && prog_attach(c, p) < 0)
			return fault(p->err);
		n++;
	}
	return n ? 0 : CAPTURE_NO_PAGES;
}

int capture_learn_looks(struct capture *c, uint64_t for_ns)
{
	__atomic_store_n(&c->skel->bss->look_ns, for_ns, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (!p->looks || p->err)
			continue;
		if (!for_ns)
			prog_detach(p);
		else if (!p->link && prog_attach(c, p) < 0)
			return fault(p->err);
	}
	return 0;
}

int capture_used_pages(const struct capture *c, uint64_t *ret_full_n)
{
	*ret_full_n = __atomic_load_n(&c->skel->bss->used_full, __ATOMIC_SEQ_CST);
	return bpf_map__fd(c->skel->maps.used_pages);
}

static int table_update(const struct bpf_map *map, const void *key, const void *row)
{
	int fd = bpf_map__fd(map);

	if (row)
		return bpf_map_update_elem(fd, key, row, BPF_ANY) < 0 ? fault_errno() : 0;
	if (bpf_map_delete_elem(fd, key) < 0 && errno != ENOENT)
		return fault_errno();
	return 0;
}

int capture_guesses_update(struct capture *c, const struct fwm_block_key *key,
			   const struct fwm_guess_row *row)
{
	return table_update(c->skel->maps.guesses, key, row);
}

int capture_resident_update(struct capture *c, uint64_t dev, uint64_t ino, uint64_t what,
			    bool known)
{
	struct fwm_resident_key key = resident_key_of(dev, ino);
	int r;

	if (!c->resident)
		return CAPTURE_NO_PAGES;
	r = bpf_map__update_elem(c->skel->maps.resident, &key, sizeof(key), &what, sizeof(what),
				 known ? BPF_EXIST : BPF_ANY);
	return r == -ENOENT ? CAPTURE_NO_PAGES : r < 0 ? fault(r) : 0;
}

int capture_resident_get(struct capture *c, uint64_t dev, uint64_t ino, uint64_t *ret_what)
{
	struct fwm_resident_key key = resident_key_of(dev, ino);

	if (!c->resident || bpf_map__lookup_elem(c->skel->maps.resident, &key, sizeof(key),
						 ret_what, sizeof(*ret_what), 0) < 0)
		return CAPTURE_NO_PAGES;
	return 0;
}

void capture_resident_clear(struct capture *c)
{
	struct fwm_resident_key key, next;
	bool more = c->resident &&
		    bpf_map__get_next_key(c->skel->maps.resident, NULL, &next, sizeof(next)) == 0;

	while (more) {
		key = next;
		more = bpf_map__get_next_key(c->skel->maps.resident, &key, &next, sizeof(next)) ==
		       0;
		(void)bpf_map__delete_elem(c->skel->maps.resident, &key, sizeof(key), 0);
	}
}

int capture_known_update(struct capture *c, const struct fwm_block_key *key,
			 const struct fwm_known_row *row)
{
	return table_update(c->skel->maps.known, key, row);
}

int capture_edges_update(struct capture *c, uint32_t id, const struct fwm_edge_row *row)
{
	return table_update(c->skel->maps.edges, &id, row);
}

int capture_mark(struct capture *c, uint32_t tgid, uint32_t flags)
{
	struct fwm_mark m = {.flags = flags};
	int r = table_update(c->skel->maps.marks, &tgid, &m); /* 0 too: no row says nothing */

	__atomic_add_fetch(&c->skel->data->marks_epoch, 1, __ATOMIC_SEQ_CST);
	return r;
}

void capture_seed(struct capture *c, const struct obs *o)
{
	if (o->kind == OBS_LISTEN)
		decoder_listen(c->decoder, o->name, c->netns, o->pid);
}

enum capture_tier capture_tier(const struct capture *c)
{
	return c->fast ? CAPTURE_BEST : CAPTURE_TRACEPOINTS;
}

int capture_switch(struct capture *c, const char *name, bool on)
{
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (strcmp(bpf_program__name(p->bpf), name) != 0)
			continue;
		if (on && !p->link && !p->err)
			return prog_attach(c, p);
		if (!on)
			prog_detach(p);
		return 0;
	}
	return -ENOENT;
}

size_t capture_progs(struct capture *c, struct capture_prog *progs, size_t max)
{
	for (size_t i = 0; i < c->prog_n && i < max; i++) {
		const struct prog *p = &c->progs[i];
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (!p->err)
			(void)bpf_obj_get_info_by_fd(bpf_program__fd(p->bpf), &info,
						     &len); /* else zeros */
		progs[i] = (struct capture_prog){.name = bpf_program__name(p->bpf),
						 .section = bpf_program__section_name(p->bpf),
						 .err = p->err,
						 .off = !p->err && !p->link,
						 .id = info.id,
						 .missed_n = info.recursion_misses,
						 .run_n = info.run_cnt,
						 .run_ns = info.run_time_ns};
	}
	return c->prog_n;
}

/* --- open and close ------------------------------------------------------------------------------ */

/* The types of a file system that is a module are known once it is loaded: asking for it loads it. */
static void overlay_load(void)
{
	int fd = (int)syscall(SYS_fsopen, "overlay", 1u /* FSOPEN_CLOEXEC */);

	closep(&fd);
}

static int load(struct capture *c, const struct capture_opts *o, uint32_t name_max)
{
	const struct btf_type *proto;
	struct btf *btf;
	uint32_t root_dev = 0;
	uint64_t root_ino = 0;
	uint32_t ring_bytes = o->ring_bytes ? o->ring_bytes : RING_BYTES_DEFAULT, sets = 1;
	struct stat st;
	int r;

	if (o->image_of)
		overlay_load();
	c->fast = o->tier == CAPTURE_BEST && probe_calls();
	c->skel = forewarm_bpf__open();
	if (!c->skel)
		return why(o, -errno, "the kernel programs could not be read: %s", strerror(errno));
	c->skel->rodata->own_tgid = o->own_tgid ? o->own_tgid : (uint32_t)getpid();
	c->skel->rodata->own_children = o->trace_children;
	c->skel->rodata->only_targets = o->only_targets;
	if (o->image_of && stat("/proc/self/ns/mnt", &st) == 0)
		c->skel->rodata->host_mntns = (uint32_t)st.st_ino;
	(void)procfs_root(&root_dev, &root_ino); /* none: no root is the host's */
	c->skel->rodata->host_root_dev = root_dev;
	c->skel->rodata->host_root_ino = root_ino;
	c->skel->rodata->keep_pseudo = o->keep_pseudo;
	c->skel->rodata->wake_bytes = ring_bytes / 4;
	c->skel->rodata->fold_bytes = ring_bytes / 4 * 3;
	/* We must remember what the kernel takes us to know: half as many there as here. */
	while (sets * 2 * NAME_SLOTS_PER_SET <= name_max / 2)
		sets *= 2;
	c->skel->rodata->name_sets_mask = sets - 1;
	if (o->proc_slots) {
		c->skel->rodata->procs_mask = o->proc_slots - 1;
		r = bpf_map__set_max_entries(c->skel->maps.procs, o->proc_slots);
		if (r < 0)
			return why(o, r, "processes remembered in the kernel: %s", strerror(-r));
	}
	r = bpf_map__set_max_entries(c->skel->maps.names, sets);
	if (r < 0)
		return why(o, r, "paths remembered in the kernel: %s", strerror(-r));
	r = bpf_map__set_max_entries(c->skel->maps.ring, ring_bytes);
	if (r < 0)
		return why(o, r, "ring of %u bytes: %s", ring_bytes, strerror(-r));
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return why(o, -errno, "the kernel's BTF could not be read: %s", strerror(errno));
	c->args = args_exist(btf);
	proto = btf_proto(btf, "io_uring_complete");
	c->skel->rodata->can_peek =
		btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	c->skel->rodata->uring_cqe = proto && btf_vlen(proto) == 4;
	r = progs_find(c, btf);
	btf__free(btf);
	if (r < 0)
		return r;
	r = forewarm_bpf__load(c->skel);
	if (r < 0)
		return why(o, r, "the kernel refused the programs: %s (forewarm probe shows which)",
			   strerror(-r));
	return 0;
}

static int cgroup_open(void)
{
	char dir[256];
	int fd;

	if (procfs_cgroup2_dir(dir, sizeof(dir)) < 0)
		return -ENOENT;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int capture_open(const struct capture_opts *o, struct capture **ret)
{
	_cleanup_(freep) struct capture *c = calloc(1, sizeof(*c));
	uint32_t name_max = o->name_max ? o->name_max : NAME_MAX_DEFAULT;
	struct stat st;
	int r;

	if (!c)
		return fault(-ENOMEM);
	c->pins_fd = -1;
	if (o->why)
		o->why[0] = 0;
	libbpf_log = o->log;
	(void)libbpf_set_print(libbpf_line);
	r = host_check(o);
	if (r < 0)
		return r;
	c->cpu_n = libbpf_num_possible_cpus();
	if (c->cpu_n < 0)
		return why(o, c->cpu_n, "the number of CPUs could not be read");
	c->cgroup_fd = cgroup_open();
	c->percpu = calloc((size_t)c->cpu_n, sizeof(*c->percpu));
	r = c->percpu ? decoder_new(name_max, name_max * 3, (uint32_t)sysconf(_SC_PAGESIZE),
				    &c->decoder)
		      : fault(-ENOMEM);
	if (r >= 0 && o->pin_dir) {
		r = pin_dir_make(o, &c->pins_fd);
		/* Named only once it is ours: what is named is removed at the end. */
		c->pin_dir = r < 0 ? NULL : strdup(o->pin_dir);
		if (r >= 0 && !c->pin_dir)
			r = fault(-ENOMEM);
		if (r >= 0 && !o->keep)
			r = sweeper_start(c);
	}
	if (r >= 0)
		r = load(c, o, name_max);
	if (r >= 0) {
		c->ring = ring_buffer__new(bpf_map__fd(c->skel->maps.ring), record, c, NULL);
		if (!c->ring)
			r = why(o, -errno, "the ring could not be mapped: %s", strerror(errno));
	}
	if (r >= 0)
		r = progs_attach(c, o);
	if (r >= 0 && o->pin_dir)
		r = pin_all(c, o);
	if (r < 0) {
		(void)capture_close(TAKE_PTR(c));
		return r;
	}
	timed_from_now(c, true);
	c->keep = o->keep;
	if (c->skel->rodata->host_mntns)
		decoder_images(c->decoder, c->skel->rodata->host_mntns, o->image_of);
	c->netns = stat("/proc/self/ns/net", &st) == 0 ? (uint32_t)st.st_ino : 0;
	*ret = TAKE_PTR(c);
	return 0;
}

struct capture *capture_close(struct capture *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->prog_n; i++) {
		if (c->keep && c->progs[i].link)
			bpf_link__disconnect(c->progs[i].link); /* the pin holds it */
		if (!c->keep)
			prog_detach(&c->progs[i]);
		else
			(void)bpf_link__destroy(c->progs[i].link);
	}
	ring_buffer__free(c->ring);
	forewarm_bpf__destroy(c->skel);
	closep(&c->cgroup_fd);
	if (c->pin_dir && !c->keep)
		(void)pins_remove(
			c->pin_dir); /* what cannot be removed now is, at the next start */
	closep(&c->pins_fd);
	sweeper_end(c);
	(void)decoder_free(c->decoder);
	free(c->percpu);
	free(c->pin_dir);
	free(c);
	return NULL;
}
