// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup.c - one table of ways to each resource, whatever mixture of v1 and v2 is mounted.
 *
 * A resource is limited through v2 when its controller is enabled for our base there, else through
 * the v1 hierarchy that has it, else not at all, and then cgroup_can() says so.
 */
#include "sys/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/mountinfo.h"

#define FREEZER_HOLD "hold" /* a group of our own in the v1 freezer */

struct hier {
	int fd; /* our base in it */
	bool v2;
	char controllers[128]; /* v1: its mount options; v2: what is enabled for children */
	char mount[256], path[512];
};

struct cgroup_host {
	struct hier hiers[CGROUP_HIER_MAX];
	size_t hier_n;
	bool has_v2;
	struct {
		enum cgroup_way way;
		uint8_t hier;
	} can[CGROUP_RESOURCE_MAX];
	int cpu_stat_hier; /* v2 accounts CPU time without any controller */
};

static const char *const resource_names[] = {"memory", "cpu", "pids", "io", "freeze", "kill"};

const char *cgroup_resource_name(enum cgroup_resource r)
{
	return resource_names[r];
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',' || p[-1] == ' ') &&
		    (!p[n] || p[n] == ',' || p[n] == ' ' || p[n] == '\n'))
			return true;
	return false;
}

static int read_at(int dir, const char *path, char *ret, size_t len)
{
	_cleanup_(closep) int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, len - 1);
	if (n < 0)
		return -errno;
	ret[n] = 0;
	return 0;
}

static int write_at(int dir, const char *path, const char *value)
{
	_cleanup_(closep) int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_TRUNC);

	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* --- what is mounted --------------------------------------------------------------------------- */
static bool v1_wanted(const char *options)
{
	static const char *const names[] = {"memory", "cpu", "pids", "blkio", "freezer"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (has_word(options, names[i]))
			return true;
	return false;
}

/* Only the first mount of a hierarchy counts. */
static void add_mount(struct cgroup_host *h, const struct mountinfo *m)
{
	bool v2 = !strcmp(m->type, "cgroup2");
	struct hier *x;

	if (h->hier_n == CGROUP_HIER_MAX)
		return;
	if (!v2 && (strcmp(m->type, "cgroup") || !v1_wanted(m->options)))
		return;
	if (v2 && h->has_v2)
		return;
	for (size_t i = 0; i < h->hier_n; i++)
		if (!v2 && !h->hiers[i].v2 && !strcmp(h->hiers[i].controllers, m->options))
			return;
	x = &h->hiers[h->hier_n];
	if (v2) { /* always hierarchy 0 */
		h->hiers[h->hier_n] = h->hiers[0];
		x = &h->hiers[0];
		h->has_v2 = true;
	}
	h->hier_n++;
	*x = (struct hier){.fd = -1, .v2 = v2};
	snprintf(x->mount, sizeof(x->mount), "%.255s", m->point);
	snprintf(x->controllers, sizeof(x->controllers), "%.*s", (int)sizeof(x->controllers) - 1,
		 v2 ? "" : m->options);
	snprintf(x->path, sizeof(x->path), "%.255s", m->dir); /* until own_path() replaces it */
}

static int find_mounts(struct cgroup_host *h, const char *mountinfo)
{
	_cleanup_(fclosep) FILE *f = fopen(mountinfo, "re");
	_cleanup_(mountinfo_fini) struct mountinfo m = {0};

	if (!f)
		return fault_errno();
	while (mountinfo_next(f, &m) == 0)
		add_mount(h, &m);
	return h->hier_n ? 0 : fault(-ENOENT);
}

/* The group we run in, in hierarchy x, relative to where it is mounted. */
static void own_path(struct hier *x, const char *proc_cgroup)
{
	_cleanup_(fclosep) FILE *f = fopen(proc_cgroup, "re");
	char line[1024], root[512];

	snprintf(root, sizeof(root), "%s", x->path);
	snprintf(x->path, sizeof(x->path), "/");
	while (f && fgets(line, sizeof(line), f)) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = 0;
		list++;
		path[strcspn(path, "\n")] = 0;
		if (x->v2 ? *list != 0 : !*list || !has_word(x->controllers, list)) {
			/* A v1 line names all its controllers: "cpu,cpuacct". */
			char first[32];

			snprintf(first, sizeof(first), "%.*s", (int)strcspn(list, ","), list);
			if (x->v2 || !*first || !has_word(x->controllers, first))
				continue;
		}
		if (strcmp(root, "/") && !strncmp(path, root, strlen(root)))
			path += strlen(root);
		if (strncmp(path, "/..", 3) && *path)
			snprintf(x->path, sizeof(x->path), "%.500s", path);
		return;
	}
}

/* --- our base in each --------------------------------------------------------------------------- */
static int open_base(struct hier *x, const char *base, const char *name)
{
	char path[1024];

	for (int attempt = 0; attempt < 2; attempt++) {
		_cleanup_(closep) int own = -1;

		/* Second try: the root of the hierarchy, when our own group is not to be found. */
		snprintf(path, sizeof(path), "%s/%s", x->mount,
			 attempt ? ""
			 : base	 ? base
				 : x->path);
		own = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (own < 0)
			continue;
		if (mkdirat(own, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		x->fd = openat(own, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (x->fd < 0)
			return -errno;
		snprintf(path, sizeof(path), "%s", attempt ? "/" : base ? base : x->path);
		snprintf(x->path, sizeof(x->path), "%.400s%s%.64s", path,
			 path[strlen(path) - 1] == '/' ? "" : "/", name);
		return 0;
	}
	return -ENOENT;
}

/* v2: below a group with processes, unless it is the root, no controller can be enabled for children.
 * Then we move aside, which helps when we are the only one in it (a service of systemd's). */
static void enable_controllers(struct hier *x)
{
	static const char *const want[] = {"memory", "cpu", "pids", "io"};
	_cleanup_(closep) int own = openat(x->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char have[256] = "", word[32];
	bool moved = false;

	if (own < 0 || read_at(own, "cgroup.controllers", have, sizeof(have)) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		int r;

		if (!has_word(have, want[i]))
			continue;
		snprintf(word, sizeof(word), "+%s", want[i]);
		r = write_at(own, "cgroup.subtree_control", word);
		if (r == -EBUSY && !moved) {
			moved = true;
			if (mkdirat(own, "daemon", 0755) == 0 || errno == EEXIST)
				(void)write_at(own, "daemon/cgroup.procs", "0"); /* tried again: */
			(void)write_at(own, "cgroup.subtree_control",
				       word); /* read back by find_ways() */
		}
		(void)write_at(x->fd, "cgroup.subtree_control", word);
	}
}

static void can(struct cgroup_host *h, enum cgroup_resource r, enum cgroup_way way, size_t hier)
{
	if (h->can[r].way == CGROUP_V2 || (h->can[r].way == CGROUP_V1 && way != CGROUP_V2))
		return;
	h->can[r].way = way;
	h->can[r].hier = (uint8_t)hier;
}

static bool exists(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
}

static void find_ways(struct cgroup_host *h)
{
	h->cpu_stat_hier = -1;
	for (size_t i = 0; i < h->hier_n; i++) {
		struct hier *x = &h->hiers[i];

		if (x->v2) {
			char on[256] = "";

			(void)read_at(x->fd, "cgroup.subtree_control", on,
				      sizeof(on)); /* none, then */
			snprintf(x->controllers, sizeof(x->controllers), "%.120s", on);
			if (has_word(on, "memory"))
				can(h, CGROUP_MEMORY, CGROUP_V2, i);
			if (has_word(on, "cpu"))
				can(h, CGROUP_CPU, CGROUP_V2, i);
			if (has_word(on, "pids"))
				can(h, CGROUP_PIDS, CGROUP_V2, i);
			if (has_word(on, "io") && exists(x->fd, "io.weight"))
				can(h, CGROUP_IO, CGROUP_V2, i);
			if (exists(x->fd, "cgroup.freeze"))
				can(h, CGROUP_FREEZE, CGROUP_V2, i);
			if (exists(x->fd, "cgroup.kill"))
				can(h, CGROUP_KILL, CGROUP_V2, i);
			if (exists(x->fd, "cpu.stat"))
				h->cpu_stat_hier = (int)i;
			continue;
		}
		if (exists(x->fd, "memory.limit_in_bytes"))
			can(h, CGROUP_MEMORY, CGROUP_V1, i);
		if (exists(x->fd, "cpu.cfs_quota_us"))
			can(h, CGROUP_CPU, CGROUP_V1, i);
		if (exists(x->fd, "pids.max"))
			can(h, CGROUP_PIDS, CGROUP_V1, i);
		if (exists(x->fd, "blkio.weight") || exists(x->fd, "blkio.bfq.weight"))
			can(h, CGROUP_IO, CGROUP_V1, i);
		if (exists(x->fd, "freezer.state")) {
			/* Before the v2 one: a thaw moves fewer cache lines and wakes no kernel worker. */
			h->can[CGROUP_FREEZE].way = CGROUP_V1;
			h->can[CGROUP_FREEZE].hier = (uint8_t)i;
		}
	}
}

/* The first v1 group that freezes and the last that thaws have the kernel's code patched, 100 us (the
 * static key freezer_active): an empty group that stays frozen is always one more. */
static void hold_freezer(const struct cgroup_host *h)
{
	int dir = h->hiers[h->can[CGROUP_FREEZE].hier].fd;

	if (h->can[CGROUP_FREEZE].way != CGROUP_V1 ||
	    (mkdirat(dir, FREEZER_HOLD, 0755) < 0 && errno != EEXIST))
		return;
	(void)write_at(dir, FREEZER_HOLD "/freezer.state", "FROZEN"); /* slower without */
}

/* Every hierarchy a sandbox joins costs a write while filling, so those that serve nothing go. */
static void drop_unused(struct cgroup_host *h)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->hier_n; i++) {
		bool used = h->hiers[i].v2;

		for (int r = 0; r < CGROUP_RESOURCE_MAX; r++)
			used |= h->can[r].way != CGROUP_NONE && h->can[r].hier == i;
		if (!used) {
			char up[1024];

			(void)snprintf(up, sizeof(up), "%s/%s", h->hiers[i].mount,
				       h->hiers[i].path);
			(void)close(h->hiers[i].fd);
			(void)rmdir(up); /* another instance may use it */
			continue;
		}
		for (int r = 0; r < CGROUP_RESOURCE_MAX; r++)
			if (h->can[r].hier == i)
				h->can[r].hier = (uint8_t)kept;
		h->hiers[kept++] = h->hiers[i];
	}
	h->hier_n = kept;
}

DEFINE_CLEANUP(struct cgroup_host *, cgroup_close)

int cgroup_open(const struct cgroup_options *o, struct cgroup_host **ret)
{
	_cleanup_(cgroup_closep) struct cgroup_host *h = calloc(1, sizeof(*h));
	const char *name = o->name ? o->name : "forewarm";
	size_t kept = 0;
	int err;

	if (!h)
		return fault(-ENOMEM);
	err = find_mounts(h, o->mountinfo ? o->mountinfo : "/proc/self/mountinfo");
	if (err < 0)
		return err;
	for (size_t i = 0; i < h->hier_n; i++) {
		struct hier *x = &h->hiers[i];

		own_path(x, o->proc_cgroup ? o->proc_cgroup : "/proc/self/cgroup");
		err = open_base(x, o->base, name);
		if (err < 0) { /* read-only or foreign: do without this one */
			if (x->v2)
				h->has_v2 = false;
			continue;
		}
		if (x->v2 && o->enable_controllers)
			enable_controllers(x);
		h->hiers[kept++] = *x;
	}
	h->hier_n = kept;
	if (!kept)
		return fault(err < 0 ? err : -ENOENT);
	find_ways(h);
	drop_unused(h);
	hold_freezer(h);
	*ret = TAKE_PTR(h);
	return 0;
}

struct cgroup_host *cgroup_close(struct cgroup_host *h)
{
	if (!h)
		return NULL;
	for (size_t i = 0; i < h->hier_n; i++)
		if (h->hiers[i].fd >= 0)
			(void)close(h->hiers[i].fd);
	free(h);
	return NULL;
}

int cgroup_remove_base(struct cgroup_host *h)
{
	int r = 0;

	if (h->can[CGROUP_FREEZE].way == CGROUP_V1)
		(void)unlinkat(h->hiers[h->can[CGROUP_FREEZE].hier].fd, FREEZER_HOLD, AT_REMOVEDIR);
	for (size_t i = 0; i < h->hier_n; i++) {
		char path[1024];

		snprintf(path, sizeof(path), "%s/%s", h->hiers[i].mount, h->hiers[i].path);
		if (rmdir(path) < 0 && errno != ENOENT)
			r = CGROUP_BUSY;
	}
	return r;
}

const char *cgroup_layout(const struct cgroup_host *h)
{
	return !h->has_v2 ? "v1" : h->hier_n > 1 ? "hybrid" : "v2";
}

enum cgroup_way cgroup_can(const struct cgroup_host *h, enum cgroup_resource r)
{
	return h->can[r].way;
}

void cgroup_report(const struct cgroup_host *h, char *ret, size_t len)
{
	static const char *const ways[] = {"none", "v1", "v2"};
	size_t n = 0;

	*ret = 0;
	for (int r = 0; r < CGROUP_RESOURCE_MAX && n < len; r++)
		n += (size_t)snprintf(ret + n, len - n, "%s%s %s", r ? ", " : "", resource_names[r],
				      ways[h->can[r].way]);
}

size_t cgroup_hiers(const struct cgroup_host *h, int ret_fds[CGROUP_HIER_MAX], bool *ret_v2)
{
	for (size_t i = 0; i < h->hier_n; i++)
		ret_fds[i] = h->hiers[i].fd;
	*ret_v2 = h->has_v2;
	return h->hier_n;
}

/* --- limits ------------------------------------------------------------------------------------ */
static void knob(const struct cgroup_host *h, enum cgroup_resource r, struct cgroup_knob *k,
		 size_t *n, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

static void knob(const struct cgroup_host *h, enum cgroup_resource r, struct cgroup_knob *k,
		 size_t *n, const char *file, const char *fmt, ...)
{
	va_list ap;

	k += (*n)++;
	k->hier = h->can[r].hier;
	snprintf(k->file, sizeof(k->file), "%s", file);
	va_start(ap, fmt);
	vsnprintf(k->value, sizeof(k->value), fmt, ap);
	va_end(ap);
}

size_t cgroup_knobs(const struct cgroup_host *h, const struct cgroup_limits *l,
		    struct cgroup_knob ret[CGROUP_KNOB_MAX], uint32_t *ret_unlimited)
{
	const bool asked[CGROUP_RESOURCE_MAX] = {l->memory_max_bytes, l->cpu_permille, l->tasks_max,
						 l->io_weight};
	size_t n = 0;

	*ret_unlimited = 0;
	for (enum cgroup_resource r = 0; r < CGROUP_RESOURCE_MAX; r++) {
		bool v2 = h->can[r].way == CGROUP_V2;

		if (!asked[r])
			continue;
		if (h->can[r].way == CGROUP_NONE) {
			*ret_unlimited |= 1u << r;
		} else if (r == CGROUP_MEMORY) {
			knob(h, r, ret, &n, v2 ? "memory.max" : "memory.limit_in_bytes", "%llu",
			     (unsigned long long)l->memory_max_bytes);
		} else if (r == CGROUP_CPU && v2) { /* 100 ms periods, the kernel's default */
			knob(h, r, ret, &n, "cpu.max", "%u 100000", l->cpu_permille * 100);
		} else if (r == CGROUP_CPU) {
			knob(h, r, ret, &n, "cpu.cfs_quota_us", "%u", l->cpu_permille * 100);
		} else if (r == CGROUP_PIDS) {
			knob(h, r, ret, &n, "pids.max", "%u", l->tasks_max);
		} else if (v2) {
			knob(h, r, ret, &n, "io.weight", "default %u", l->io_weight);
		} else {
			bool bfq = exists(h->hiers[h->can[r].hier].fd, "blkio.bfq.weight");
			uint32_t w = l->io_weight < 1	   ? 1
				     : l->io_weight > 1000 ? 1000
							   : l->io_weight;

			knob(h, r, ret, &n, bfq ? "blkio.bfq.weight" : "blkio.weight", "%u",
			     w < 10 ? 10 : w);
		}
	}
	return n;
}

static int gone(int err)
{
	return err == -ENOENT || err == -ENODEV ? CGROUP_GONE : err < 0 ? fault(err) : 0;
}

static int group_write(struct cgroup_host *h, size_t hier, const char *name, const char *file,
		       const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", name, file);
	return write_at(h->hiers[hier].fd, path, value);
}

int cgroup_group_limit(struct cgroup_host *h, const char *name, const struct cgroup_limits *l,
		       uint32_t *ret_unlimited)
{
	struct cgroup_knob k[CGROUP_KNOB_MAX];
	uint32_t unlimited;
	size_t n = cgroup_knobs(h, l, k, &unlimited);
	int err;

	for (size_t i = 0; i < n; i++)
		if ((err = group_write(h, k[i].hier, name, k[i].file, k[i].value)) < 0)
			return gone(err);
	*ret_unlimited = unlimited;
	return 0;
}

int cgroup_freeze_write(const struct cgroup_host *h, int freeze_fd, bool freeze)
{
	bool v2 = h->can[CGROUP_FREEZE].way == CGROUP_V2;
	const char *v = v2 ? (freeze ? "1" : "0") : (freeze ? "FROZEN" : "THAWED");

	return gone(pwrite(freeze_fd, v, strlen(v), 0) < 0 ? -errno : 0);
}

int cgroup_group_freeze_fd(struct cgroup_host *h, const char *name, int *ret_fd)
{
	char path[128];
	int fd;

	if (h->can[CGROUP_FREEZE].way == CGROUP_NONE)
		return fault(-ENOTSUP);
	snprintf(path, sizeof(path), "%s/%s", name,
		 h->can[CGROUP_FREEZE].way == CGROUP_V2 ? "cgroup.freeze" : "freezer.state");
	fd = openat(h->hiers[h->can[CGROUP_FREEZE].hier].fd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return gone(-errno);
	*ret_fd = fd;
	return 0;
}

int cgroup_group_freeze(struct cgroup_host *h, const char *name, bool freeze)
{
	_cleanup_(closep) int fd = -1;
	int r = cgroup_group_freeze_fd(h, name, &fd);

	return r ? r : cgroup_freeze_write(h, fd, freeze);
}

int cgroup_group_frozen(struct cgroup_host *h, const char *name, bool *ret_frozen)
{
	char path[128], text[256];
	bool v2 = h->can[CGROUP_FREEZE].way == CGROUP_V2;
	int err;

	if (h->can[CGROUP_FREEZE].way == CGROUP_NONE)
		return fault(-ENOTSUP);
	snprintf(path, sizeof(path), "%s/%s", name, v2 ? "cgroup.events" : "freezer.state");
	err = read_at(h->hiers[h->can[CGROUP_FREEZE].hier].fd, path, text, sizeof(text));
	if (err < 0)
		return gone(err);
	*ret_frozen = strstr(text, v2 ? "frozen 1" : "FROZEN") != NULL;
	return 0;
}

static int open_procs(struct cgroup_host *h, size_t hier, const char *name, FILE **ret)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", name);
	fd = openat(h->hiers[hier].fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gone(-errno);
	*ret = fdopen(fd, "re");
	if (*ret)
		return 0;
	(void)close(fd);
	return fault(-ENOMEM);
}

int cgroup_group_pids(struct cgroup_host *h, const char *name, pid_t *ret, size_t max,
		      size_t *ret_n)
{
	_cleanup_(fclosep) FILE *f = NULL;
	size_t n = 0;
	int pid, r = open_procs(h, 0, name, &f);

	if (r)
		return r;
	for (; fscanf(f, "%d", &pid) == 1; n++)
		if (n < max)
			ret[n] = pid;
	*ret_n = n;
	return 0;
}

static int kill_members(struct cgroup_host *h, size_t hier, const char *name)
{
	_cleanup_(fclosep) FILE *f = NULL;
	int pid, r = open_procs(h, hier, name, &f);

	if (r)
		return r;
	while (fscanf(f, "%d", &pid) == 1)
		if (pid > 0)
			(void)kill(pid, SIGKILL); /* gone already: what we wanted */
	return 0;
}

int cgroup_group_kill(struct cgroup_host *h, const char *name)
{
	int r;

	if (h->can[CGROUP_KILL].way == CGROUP_V2)
		r = gone(group_write(h, h->can[CGROUP_KILL].hier, name, "cgroup.kill", "1"));
	else
		r = kill_members(h, 0, name);
	if (h->can[CGROUP_FREEZE].way == CGROUP_V1 && !r)
		r = cgroup_group_freeze(h, name, false); /* v1: a frozen task does not die */
	return r;
}

int cgroup_memory_bytes(struct cgroup_host *h, uint64_t *ret)
{
	return cgroup_group_memory_bytes(h, ".", ret);
}

int cgroup_group_memory_bytes(struct cgroup_host *h, const char *name, uint64_t *ret)
{
	char path[128], text[64];
	bool v2 = h->can[CGROUP_MEMORY].way == CGROUP_V2;
	int err;

	if (h->can[CGROUP_MEMORY].way == CGROUP_NONE)
		return fault(-ENOTSUP);
	snprintf(path, sizeof(path), "%s/%s", name,
		 v2 ? "memory.current" : "memory.usage_in_bytes");
	err = read_at(h->hiers[h->can[CGROUP_MEMORY].hier].fd, path, text, sizeof(text));
	if (err < 0)
		return gone(err);
	*ret = strtoull(text, NULL, 10);
	return 0;
}

int cgroup_group_cpu_ns(struct cgroup_host *h, const char *name, uint64_t *ret)
{
	char path[128], text[512], *usec;
	int err;

	if (h->cpu_stat_hier < 0)
		return fault(-ENOTSUP);
	snprintf(path, sizeof(path), "%s/cpu.stat", name);
	err = read_at(h->hiers[h->cpu_stat_hier].fd, path, text, sizeof(text));
	if (err < 0)
		return gone(err);
	usec = strstr(text, "usage_usec ");
	if (!usec)
		return fault(-ENOTSUP);
	*ret = strtoull(usec + 11, NULL, 10) * 1000;
	return 0;
}

int cgroup_group_remove(struct cgroup_host *h, const char *name)
{
	int r = 0;

	for (size_t i = 0; i < h->hier_n; i++)
		if (unlinkat(h->hiers[i].fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
			if (errno != EBUSY && errno != ENOTEMPTY)
				return fault_errno();
			r = CGROUP_BUSY;
		}
	return r;
}

int cgroup_group_each(struct cgroup_host *h, int (*fn)(void *ctx, const char *name), void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < h->hier_n && !r; i++) {
		int fd = openat(h->hiers[i].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd < 0 ? NULL : fdopendir(fd);

		if (!d) {
			if (fd >= 0)
				(void)close(fd);
			return fault_errno();
		}
		for (struct dirent *e; !r && (e = readdir(d));)
			if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
			    strcmp(e->d_name, FREEZER_HOLD) != 0)
				r = fn(ctx, e->d_name);
		(void)closedir(d);
	}
	return r;
}
