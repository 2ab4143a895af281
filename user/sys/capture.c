// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture.c - open and close; between them one loop over the ring.
 *
 * Nothing here decides what an event means: records go through core/decode.h and out. The kernel
 * writes without waking us (a wakeup costs 15 times the event), so the reader calls drain on a timer;
 * wake_sent is the kernel's note that it did wake us, cleared before each drain.
 */
#include "sys/capture_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "sys/probe.h"
#include "sys/procfs.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define RING_BYTES_DEFAULT (2u << 20)
#define NAME_MAX_DEFAULT 40960u
#define NAME_SLOTS_PER_SET 4u	/* NAME_WAYS in bpf/maps.bpf.h */
#define RESEND_NS 1000000000ull /* names are asked for again at most so often */

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

int capture_why(const struct capture_opts *o, int err, const char *fmt, ...)
{
	va_list ap;

	if (o->why) {
		va_start(ap, fmt);
		(void)vsnprintf(o->why, CAPTURE_WHY_MAX, fmt, ap);
		va_end(ap);
	}
	return fault(err);
}

static int host_check(const struct capture_opts *o)
{
	if (geteuid() != 0)
		return capture_why(o, -EPERM, "watching the kernel needs root: run it with sudo");
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return capture_why(
			o, -ENOENT,
			"this kernel has no BTF (/sys/kernel/btf/vmlinux): one built with "
			"CONFIG_DEBUG_INFO_BTF=y is needed");
	if (!capture_tracefs_dir())
		return capture_why(o, -ENOENT,
				   "no tracefs: mount -t tracefs tracefs /sys/kernel/tracing");
	return 0;
}

/* --- the ring ------------------------------------------------------------------------------------ */

static int record(void *ctx, void *rec, size_t n)
{
	struct capture *c = ctx;
	const struct fwm_open *open = rec; /* of a struct fwm_miss the same is there */
	uint64_t events_n = 1;
	int r;

	if (n >= sizeof(open->hdr) && open->hdr.flags & FWM_F_WAITS)
		c->awaited_n++; /* who takes it does what it waits for */
	r = event_decode(c->decoder, rec, n, c->fn, c->ctx);
	if (r >= 0 && open->hdr.flags & FWM_F_AGAIN &&
	    (open->hdr.kind == FWM_EVENT_OPEN || open->hdr.kind == FWM_EVENT_MISS)) {
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

bool capture_start_waits(const struct capture *c)
{
	return (int32_t)(__atomic_load_n(&c->skel->bss->waits_n, __ATOMIC_RELAXED) - c->awaited_n) >
	       0;
}

bool capture_woken(const struct capture *c)
{
	return __atomic_load_n(&c->skel->bss->wake_sent, __ATOMIC_SEQ_CST);
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

void capture_seed(struct capture *c, const struct obs *o)
{
	if (o->kind == OBS_LISTEN)
		decoder_listen(c->decoder, o->name, c->netns, o->pid);
}

enum capture_tier capture_tier(const struct capture *c)
{
	return c->fast ? CAPTURE_BEST : CAPTURE_TRACEPOINTS;
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
		return capture_why(o, -errno, "the kernel programs could not be read: %s",
				   strerror(errno));
	c->skel->rodata->own_tgid = o->own_tgid ? o->own_tgid : (uint32_t)getpid();
	c->skel->rodata->own_children = o->trace_children;
	c->skel->rodata->only_targets = o->only_targets;
	c->skel->rodata->arguments_only = o->arguments_only;
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
			return capture_why(o, r, "processes remembered in the kernel: %s",
					   strerror(-r));
	}
	r = bpf_map__set_max_entries(c->skel->maps.names, sets);
	if (r < 0)
		return capture_why(o, r, "paths remembered in the kernel: %s", strerror(-r));
	r = bpf_map__set_max_entries(c->skel->maps.ring, ring_bytes);
	if (r < 0)
		return capture_why(o, r, "ring of %u bytes: %s", ring_bytes, strerror(-r));
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return capture_why(o, -errno, "the kernel's BTF could not be read: %s",
				   strerror(errno));
	c->args = capture_args_exist(btf);
	proto = capture_btf_proto(btf, "io_uring_complete");
	c->skel->rodata->can_peek =
		btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	c->skel->rodata->uring_cqe = proto && btf_vlen(proto) == 4;
	r = capture_progs_find(c, btf);
	btf__free(btf);
	if (r < 0)
		return r;
	r = forewarm_bpf__load(c->skel);
	if (r < 0)
		return capture_why(
			o, r, "the kernel refused the programs: %s (forewarm probe shows which)",
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
		return capture_why(o, c->cpu_n, "the number of CPUs could not be read");
	c->cgroup_fd = cgroup_open();
	c->percpu = calloc((size_t)c->cpu_n, sizeof(*c->percpu));
	r = c->percpu ? decoder_new(name_max, name_max * 3, (uint32_t)sysconf(_SC_PAGESIZE),
				    &c->decoder)
		      : fault(-ENOMEM);
	if (r >= 0 && o->pin_dir) {
		r = capture_pin_dir_make(o, &c->pins_fd);
		/* Named only once it is ours: what is named is removed at the end. */
		c->pin_dir = r < 0 ? NULL : strdup(o->pin_dir);
		if (r >= 0 && !c->pin_dir)
			r = fault(-ENOMEM);
		if (r >= 0 && !o->keep)
			r = capture_sweeper_start(c);
	}
	if (r >= 0)
		r = load(c, o, name_max);
	if (r >= 0) {
		c->ring = ring_buffer__new(bpf_map__fd(c->skel->maps.ring), record, c, NULL);
		if (!c->ring)
			r = capture_why(o, -errno, "the ring could not be mapped: %s",
					strerror(errno));
	}
	if (r >= 0)
		r = capture_progs_attach(c, o);
	if (r >= 0 && o->pin_dir)
		r = capture_pin_all(c, o);
	if (r < 0) {
		(void)capture_close(TAKE_PTR(c));
		return r;
	}
	c->skel->data->begun_ns = clock_ns(CLOCK_MONOTONIC);
	capture_timed_from_now(c, true);
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
			capture_prog_detach(&c->progs[i]);
		else
			(void)bpf_link__destroy(c->progs[i].link);
	}
	ring_buffer__free(c->ring);
	forewarm_bpf__destroy(c->skel);
	closep(&c->cgroup_fd);
	if (c->pin_dir && !c->keep)
		(void)capture_pins_remove(
			c->pin_dir); /* what cannot be removed now is, at the next start */
	closep(&c->pins_fd);
	capture_sweeper_end(c);
	(void)decoder_free(c->decoder);
	free(c->percpu);
	free(c->pin_dir);
	free(c);
	return NULL;
}
