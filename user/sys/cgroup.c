// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup.c - one table of ways to each resource, whatever mixture of v1 and v2 is mounted.
 *
 * A resource is limited through v2 when its controller is enabled for our base there, else through
 * the v1 hierarchy that has it, else not at all, and then cgroup_can() says so.
 */
#include "sys/cgroup_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

static const char *const resource_names[] = {"memory", "cpu", "pids", "io", "freeze", "kill"};

const char *cgroup_resource_name(enum cgroup_resource r)
{
	return resource_names[r];
}
int cgroup_read_at(int dir, const char *path, char *ret, size_t len)
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

int cgroup_write_at(int dir, const char *path, const char *value)
{
	_cleanup_(closep) int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_TRUNC);

	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}
bool cgroup_exists(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
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

enum { WEIGHT_MAX = 10000 };

/* systemd's conversion, within what the kernel takes. */
static uint32_t shares_of(uint32_t weight)
{
	uint64_t shares = (uint64_t)weight * 1024 / 100;

	return shares < 2 ? 2 : shares > 262144 ? 262144 : (uint32_t)shares;
}

/* What is more than v2 knows is as much as it knows. */
static void weight_knob(const struct cgroup_host *h, struct cgroup_knob *k, size_t *n,
			uint32_t weight)
{
	bool v2 = h->can[CGROUP_CPU].way == CGROUP_V2;

	knob(h, CGROUP_CPU, k, n, v2 ? "cpu.weight" : "cpu.shares", "%u",
	     !v2		   ? shares_of(weight)
	     : weight > WEIGHT_MAX ? WEIGHT_MAX
				   : weight);
}

static void cpu_knobs(const struct cgroup_host *h, struct cgroup_knob *k, size_t *n,
		      const struct cgroup_limits *l)
{
	if (l->cpu_weight)
		weight_knob(h, k, n, l->cpu_weight);
	if (!l->cpu_permille)
		return;
	if (h->can[CGROUP_CPU].way == CGROUP_V2) /* 100 ms periods, the kernel's default */
		knob(h, CGROUP_CPU, k, n, "cpu.max", "%u 100000", l->cpu_permille * 100);
	else
		knob(h, CGROUP_CPU, k, n, "cpu.cfs_quota_us", "%u", l->cpu_permille * 100);
}

size_t cgroup_knobs(const struct cgroup_host *h, const struct cgroup_limits *l,
		    struct cgroup_knob ret[CGROUP_KNOB_MAX], uint32_t *ret_unlimited)
{
	const bool asked[CGROUP_RESOURCE_MAX] = {
		l->memory_max_bytes, l->cpu_permille || l->cpu_weight, l->tasks_max, l->io_weight};
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
		} else if (r == CGROUP_CPU) {
			cpu_knobs(h, ret, &n, l);
		} else if (r == CGROUP_PIDS) {
			knob(h, r, ret, &n, "pids.max", "%u", l->tasks_max);
		} else if (v2) {
			knob(h, r, ret, &n, "io.weight", "default %u", l->io_weight);
		} else {
			bool bfq = cgroup_exists(h->hiers[h->can[r].hier].fd, "blkio.bfq.weight");
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
	return cgroup_write_at(h->hiers[hier].fd, path, value);
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

/* Whether the group around ours weighs what a group does by itself or, since we gave it that, what ours does.
 * Another weight is somebody's will, to bind all of us. */
static bool is_ours_to_weigh(const struct cgroup_host *h, const struct cgroup_knob *k,
			     const struct cgroup_knob *usual)
{
	char around[32] = "", base[32] = "";

	if (h->around < 0 || cgroup_read_at(h->around, k->file, around, sizeof(around)) < 0 ||
	    cgroup_read_at(h->hiers[k->hier].fd, k->file, base, sizeof(base)) < 0)
		return false;
	around[strcspn(around, "\n")] = base[strcspn(base, "\n")] = 0;
	return !strcmp(around, base) || !strcmp(around, usual->value);
}

int cgroup_weigh(struct cgroup_host *h, uint32_t weight)
{
	struct cgroup_knob k[2];
	size_t n = 0;
	bool around;
	int err;

	if (h->can[CGROUP_CPU].way == CGROUP_NONE)
		return CGROUP_GONE;
	if (weight == h->weight)
		return 0;
	weight_knob(h, k, &n, weight);
	weight_knob(h, k, &n, CGROUP_WEIGHT_USUAL);
	around = is_ours_to_weigh(h, &k[0], &k[1]);
	err = group_write(h, k[0].hier, ".", k[0].file, k[0].value);
	if (err < 0)
		return gone(err);
	if (around) /* not ours any more: then it binds us, no more */
		(void)cgroup_write_at(h->around, k[0].file, k[0].value);
	h->weight = weight;
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
	err = cgroup_read_at(h->hiers[h->can[CGROUP_FREEZE].hier].fd, path, text, sizeof(text));
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
	err = cgroup_read_at(h->hiers[h->can[CGROUP_MEMORY].hier].fd, path, text, sizeof(text));
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
	err = cgroup_read_at(h->hiers[h->cpu_stat_hier].fd, path, text, sizeof(text));
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
			    strcmp(e->d_name, CGROUP_FREEZER_HOLD) != 0)
				r = fn(ctx, e->d_name);
		(void)closedir(d);
	}
	return r;
}
