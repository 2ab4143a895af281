// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * capture_progs.c - which programs this kernel can run, and putting each on its hook and off again.
 *
 * A program is chosen by the name of its section: whether its hook is there is asked before it is
 * loaded, for the kernel refuses all of them because of one. Of a hook that stands in both tiers
 * (on a call's tracepoint, on the call itself) one is loaded.
 */
#include "sys/capture_impl.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/probe.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* A hook that was taken off is busy for 40-80 ms here, and it is tried at each drain, each 2 ms by who waits for it. */
#define ATTACH_TRIES 1000
#define ATTACH_AGAIN_US 2000

const char *capture_tracefs_dir(void)
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

/* At the entry of a call, to time it; and where an exec in vain is told, which each start pays for. */
static bool times_family(const char *section)
{
	return starts(section, "tp/syscalls/sys_enter_") || starts(section, "fentry/__x64_sys_") ||
	       starts(section, "tp/syscalls/sys_exit_exec") ||
	       starts(section, "fexit/__x64_sys_exec");
}

/* What bpf/calls.bpf.h reads a call's arguments by when it ends. */
bool capture_args_exist(const struct btf *btf)
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

const struct btf_type *capture_btf_proto(const struct btf *btf, const char *tracepoint)
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
	const struct btf_type *proto = capture_btf_proto(btf, tracepoint), *arg;

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
	const char *dir = capture_tracefs_dir(), *tp = section + 3;
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

int capture_prog_attach(struct capture *c, struct prog *p)
{
	char path[256];
	int err;

	if (cgroup_family(bpf_program__section_name(p->bpf)))
		p->link = bpf_program__attach_cgroup(p->bpf, c->cgroup_fd);
	else
		p->link = bpf_program__attach(p->bpf);
	err = p->link ? 0 : errno;
	/* Taken off a moment ago, and the kernel has not come to it yet: see capture_prog_detach(). */
	if ((err == EEXIST || err == EBUSY) && ++p->busy_n < ATTACH_TRIES)
		return CAPTURE_MORE;
	p->busy_n = 0;
	p->err = -err;
	if (err)
		return p->err;
	if (!c->pin_dir)
		return 0;
	/* Before 5.15 a tracepoint's link is a perf event and cannot be pinned: it ends with us. */
	capture_pin_path(c, "link_", bpf_program__name(p->bpf), path, sizeof(path));
	(void)bpf_link__pin(p->link, path);
	return 0;
}

int capture_prog_attach_wait(struct capture *c, struct prog *p)
{
	int r;

	while ((r = capture_prog_attach(c, p)) == CAPTURE_MORE)
		(void)usleep(ATTACH_AGAIN_US);
	return r;
}

/* The kernel waits until nobody runs the hook any more, 40-80 ms here, and whoever closes the last reference
 * waits with it. So that shall be the pin's, which a thread of the kernel's own closes. */
void capture_prog_detach(struct prog *p)
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

int capture_progs_find(struct capture *c, const struct btf *btf)
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

int capture_progs_attach(struct capture *c, const struct capture_opts *o)
{
	size_t attached_n = 0;
	int last = -ENOENT;

	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (p->err || p->pages || p->looks)
			continue;
		if (capture_prog_attach_wait(c, p) == 0)
			attached_n++;
		else
			last = p->err;
		if (p->bpf == c->skel->progs.on_evict)
			c->resident = p->link != NULL;
	}
	if (!attached_n)
		return capture_why(o, last, "no hook could be attached: %s", strerror(-last));
	return 0;
}

int capture_switch(struct capture *c, const char *name, bool on)
{
	for (size_t i = 0; i < c->prog_n; i++) {
		struct prog *p = &c->progs[i];

		if (strcmp(bpf_program__name(p->bpf), name) != 0)
			continue;
		if (on && !p->link && !p->err)
			return capture_prog_attach_wait(c, p);
		if (!on)
			capture_prog_detach(p);
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
