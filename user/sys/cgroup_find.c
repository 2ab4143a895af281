// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup_find.c - what is mounted, our own directory in each hierarchy, and what can be limited by which.
 */
#include "sys/cgroup_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/mountinfo.h"

#define LEAF "daemon" /* where we move aside to */
#define LEAF_CPU_WEIGHT "50"
#define LEAF_IO_WEIGHT "default 20"

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',' || p[-1] == ' ') &&
		    (!p[n] || p[n] == ',' || p[n] == ' ' || p[n] == '\n'))
			return true;
	return false;
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
	struct cgroup_hier *x;

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
	*x = (struct cgroup_hier){.fd = -1, .v2 = v2};
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
static void own_path(struct cgroup_hier *x, const char *proc_cgroup)
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

/* Whether the group has no process of its own, or no other than this one. */
static bool is_alone(int dir)
{
	char text[64], own[32];

	if (cgroup_read_at(dir, "cgroup.procs", text, sizeof(text)) < 0)
		return false;
	snprintf(own, sizeof(own), "%d\n", (int)getpid());
	return !*text || !strcmp(text, own);
}

/* Where an earlier cgroup_open() of this process has moved it aside, the group it was in is meant. */
static void leave_leaf(struct cgroup_hier *x)
{
	char path[1024], *leaf = strrchr(x->path, '/');
	_cleanup_(closep) int around = -1;

	if (!x->v2 || !leaf || strcmp(leaf + 1, LEAF) != 0)
		return;
	snprintf(path, sizeof(path), "%s/%.*s", x->mount, (int)(leaf - x->path), x->path);
	around = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (around < 0 || !is_alone(around))
		return;
	x->aside = true;
	leaf[leaf == x->path] = 0;
}

/* --- our base in each --------------------------------------------------------------------------- */
static int open_base(struct cgroup_hier *x, const char *name)
{
	char path[1024];

	for (int attempt = 0; attempt < 2; attempt++) {
		_cleanup_(closep) int own = -1;

		/* Second try: the root of the hierarchy, when our own group is not to be found. */
		snprintf(path, sizeof(path), "%s/%s", x->mount, attempt ? "" : x->path);
		own = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (own < 0)
			continue;
		if (mkdirat(own, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		x->fd = openat(own, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (x->fd < 0)
			return -errno;
		snprintf(path, sizeof(path), "%s", attempt ? "/" : x->path);
		snprintf(x->path, sizeof(x->path), "%.400s%s%.64s", path,
			 path[strlen(path) - 1] == '/' ? "" : "/", name);
		return 0;
	}
	return -ENOENT;
}

/* v2: below a group with processes, unless it is the root, no controller can be enabled for children.
 * Then we move aside, which helps when we are the only one in it (a service of systemd's). There this process
 * weighs little: the services come before who only guesses what they need. */
static void enable_controllers(struct cgroup_hier *x)
{
	static const char *const want[] = {"memory", "cpu", "pids", "io"};
	_cleanup_(closep) int own = openat(x->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char have[256] = "", word[32];

	if (own < 0 || cgroup_read_at(own, "cgroup.controllers", have, sizeof(have)) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		int r;

		if (!has_word(have, want[i]))
			continue;
		snprintf(word, sizeof(word), "+%s", want[i]);
		r = cgroup_write_at(own, "cgroup.subtree_control", word);
		if (r == -EBUSY && !x->aside) {
			x->aside = true;
			if (mkdirat(own, LEAF, 0755) == 0 || errno == EEXIST)
				(void)cgroup_write_at(own, LEAF "/cgroup.procs",
						      "0"); /* tried again: */
			(void)cgroup_write_at(own, "cgroup.subtree_control",
					      word); /* read back by find_ways() */
		}
		(void)cgroup_write_at(x->fd, "cgroup.subtree_control", word);
	}
	if (!x->aside)
		return;
	(void)cgroup_write_at(own, LEAF "/cpu.weight", LEAF_CPU_WEIGHT); /* not enabled, then */
	(void)cgroup_write_at(own, LEAF "/io.weight", LEAF_IO_WEIGHT);
}

static void can(struct cgroup_host *h, enum cgroup_resource r, enum cgroup_way way, size_t hier)
{
	if (h->can[r].way == CGROUP_V2 || (h->can[r].way == CGROUP_V1 && way != CGROUP_V2))
		return;
	h->can[r].way = way;
	h->can[r].hier = (uint8_t)hier;
}

static void find_ways(struct cgroup_host *h)
{
	h->cpu_stat_hier = -1;
	for (size_t i = 0; i < h->hier_n; i++) {
		struct cgroup_hier *x = &h->hiers[i];

		if (x->v2) {
			char on[256] = "";

			(void)cgroup_read_at(x->fd, "cgroup.subtree_control", on,
					     sizeof(on)); /* none, then */
			snprintf(x->controllers, sizeof(x->controllers), "%.120s", on);
			if (has_word(on, "memory"))
				can(h, CGROUP_MEMORY, CGROUP_V2, i);
			if (has_word(on, "cpu"))
				can(h, CGROUP_CPU, CGROUP_V2, i);
			if (has_word(on, "pids"))
				can(h, CGROUP_PIDS, CGROUP_V2, i);
			if (has_word(on, "io") && cgroup_exists(x->fd, "io.weight"))
				can(h, CGROUP_IO, CGROUP_V2, i);
			if (cgroup_exists(x->fd, "cgroup.freeze"))
				can(h, CGROUP_FREEZE, CGROUP_V2, i);
			if (cgroup_exists(x->fd, "cgroup.kill"))
				can(h, CGROUP_KILL, CGROUP_V2, i);
			if (cgroup_exists(x->fd, "cpu.stat"))
				h->cpu_stat_hier = (int)i;
			continue;
		}
		if (cgroup_exists(x->fd, "memory.limit_in_bytes"))
			can(h, CGROUP_MEMORY, CGROUP_V1, i);
		if (cgroup_exists(x->fd, "cpu.cfs_quota_us"))
			can(h, CGROUP_CPU, CGROUP_V1, i);
		if (cgroup_exists(x->fd, "pids.max"))
			can(h, CGROUP_PIDS, CGROUP_V1, i);
		if (cgroup_exists(x->fd, "blkio.weight") ||
		    cgroup_exists(x->fd, "blkio.bfq.weight"))
			can(h, CGROUP_IO, CGROUP_V1, i);
		if (cgroup_exists(x->fd, "freezer.state")) {
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
	    (mkdirat(dir, CGROUP_FREEZER_HOLD, 0755) < 0 && errno != EEXIST))
		return;
	(void)cgroup_write_at(dir, CGROUP_FREEZER_HOLD "/freezer.state",
			      "FROZEN"); /* slower without */
}

/* In a group that nobody else is in, as a service of systemd's, ours weighs only against ourselves: that group
 * must weigh the same. */
static void find_around(struct cgroup_host *h)
{
	const struct cgroup_hier *x = &h->hiers[h->can[CGROUP_CPU].hier];
	_cleanup_(closep) int around = -1;

	if (h->can[CGROUP_CPU].way == CGROUP_NONE || !strchr(x->path + 1, '/')) /* in the root */
		return;
	around = openat(x->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (around >= 0 && is_alone(around))
		h->around = TAKE_FD(around);
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
	h->around = -1;
	err = find_mounts(h, o->mountinfo ? o->mountinfo : "/proc/self/mountinfo");
	if (err < 0)
		return err;
	for (size_t i = 0; i < h->hier_n; i++) {
		struct cgroup_hier *x = &h->hiers[i];

		own_path(x, o->proc_cgroup ? o->proc_cgroup : "/proc/self/cgroup");
		leave_leaf(x);
		err = open_base(x, name);
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
	find_around(h);
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
	closep(&h->around);
	free(h);
	return NULL;
}

int cgroup_remove_base(struct cgroup_host *h)
{
	int r = 0;

	if (h->weight)
		(void)cgroup_weigh(h, CGROUP_WEIGHT_USUAL);
	if (h->can[CGROUP_FREEZE].way == CGROUP_V1)
		(void)unlinkat(h->hiers[h->can[CGROUP_FREEZE].hier].fd, CGROUP_FREEZER_HOLD,
			       AT_REMOVEDIR);
	for (size_t i = 0; i < h->hier_n; i++) {
		char path[1024];

		snprintf(path, sizeof(path), "%s/%s", h->hiers[i].mount, h->hiers[i].path);
		if (rmdir(path) < 0 && errno != ENOENT)
			r = CGROUP_BUSY;
	}
	return r;
}
