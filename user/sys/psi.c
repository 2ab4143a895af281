/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * psi.c - see psi.h.
 *
 * The files of /proc stay open and are read again from their start, which opens nothing on the
 * event loop. Our cgroup's limit and usage are found once: v2 by the "0::" line of
 * /proc/self/cgroup, v1 by its "memory" line; a host may have both, or neither, and the smaller
 * room counts. Walking up would count the limits of parents too; that is done at start only, to
 * find the tightest group.
 */
#include "sys/psi.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_MAX = 16 };

/* One memory cgroup with a limit above us. */
struct group {
	int limit_fd, usage_fd, stat_fd;
};

struct psi {
	int cpu_fd, io_fd, memory_fd, meminfo_fd;
	struct group groups[GROUP_MAX];
	int groups_n;
	char root[PATH_MAX / 2];
};

/* Opens root/mount/dir/name; any of the last three may be "". */
static int open_at(const struct psi *p, const char *mount, const char *dir, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s%s%s%s", p->root, mount, dir, name) >=
	    sizeof(path))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The whole small file, NUL-terminated; false when there is none. */
static bool slurp(int fd, char *buf, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size - 1, 0);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* "some avg10=0.30 avg60=..." */
static double some_avg10(int fd)
{
	char buf[256], *at;

	if (!slurp(fd, buf, sizeof(buf)))
		return -1;
	at = strstr(buf, "some avg10=");
	return at ? strtod(at + strlen("some avg10="), NULL) : -1;
}

/* "MemAvailable:   24418304 kB" */
static uint64_t field_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

/* "inactive_file 123" of memory.stat, at the start of a line. */
static uint64_t field_bytes(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = text; (at = strstr(at, name)); at += len)
		if ((at == text || at[-1] == '\n') && at[len] == ' ')
			return strtoull(at + len, NULL, 10);
	return 0;
}

/* Room in one group: its limit, less what it uses, plus what it can drop at once. UINT64_MAX: no
 * limit ("max" on v2, a number beyond all memory on v1). */
static uint64_t group_room(const struct group *g)
{
	char buf[8192];
	uint64_t limit, usage, idle = 0;

	if (!slurp(g->limit_fd, buf, sizeof(buf)) || !strncmp(buf, "max", 3))
		return UINT64_MAX;
	limit = strtoull(buf, NULL, 10);
	if (limit >= 1ull << 60 || !slurp(g->usage_fd, buf, sizeof(buf)))
		return UINT64_MAX;
	usage = strtoull(buf, NULL, 10);
	if (slurp(g->stat_fd, buf, sizeof(buf)))
		idle = field_bytes(buf, "inactive_file");
	if (idle > usage)
		idle = usage;
	return limit > usage - idle ? limit - (usage - idle) : 0;
}

/* Where the limits of one cgroup version are. */
static const struct hierarchy {
	const char *mount, *limit, *usage;
} v2 = {"/sys/fs/cgroup", "/memory.max", "/memory.current"},
  v2_beside_v1 = {"/sys/fs/cgroup/unified", "/memory.max", "/memory.current"},
  v1 = {"/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes"};

/* Our group and all above it. One without a limit file is the root, or has no memory controller. */
static void groups_add(struct psi *p, const struct hierarchy *h, const char *group)
{
	char dir[PATH_MAX], *slash;

	if ((size_t)snprintf(dir, sizeof(dir), "%s", group) >= sizeof(dir))
		return;
	do {
		struct group *g = &p->groups[p->groups_n];

		if (p->groups_n == GROUP_MAX)
			return;
		g->limit_fd = open_at(p, h->mount, dir, h->limit);
		if (g->limit_fd >= 0) {
			g->usage_fd = open_at(p, h->mount, dir, h->usage);
			g->stat_fd = open_at(p, h->mount, dir, "/memory.stat");
			p->groups_n++;
		}
		slash = strrchr(dir, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
}

/* "4:cpu,memory:/a/b" or "0::/a/b" */
static void groups_find(struct psi *p)
{
	_cleanup_(closep) int fd = open_at(p, "/proc", "/self", "/cgroup");
	char buf[8192], *save = NULL;

	if (!slurp(fd, buf, sizeof(buf)))
		return;
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		if (!strcmp(line, "0:")) {
			groups_add(p, &v2, group);
			groups_add(p, &v2_beside_v1, group);
		} else if (strstr(names + 1, "memory")) {
			groups_add(p, &v1, group);
		}
	}
}

int psi_new(const char *root, struct psi **ret)
{
	struct psi *p = calloc(1, sizeof(*p));

	if (!p)
		return fault(-ENOMEM);
	if ((size_t)snprintf(p->root, sizeof(p->root), "%s", root) >= sizeof(p->root)) {
		free(p);
		return fault(-ENAMETOOLONG);
	}
	p->cpu_fd = open_at(p, "/proc", "/pressure", "/cpu");
	p->io_fd = open_at(p, "/proc", "/pressure", "/io");
	p->memory_fd = open_at(p, "/proc", "/pressure", "/memory");
	p->meminfo_fd = open_at(p, "/proc", "", "/meminfo");
	groups_find(p);
	*ret = p;
	return 0;
}

struct psi *psi_free(struct psi *p)
{
	if (!p)
		return NULL;
	closep(&p->cpu_fd);
	closep(&p->io_fd);
	closep(&p->memory_fd);
	closep(&p->meminfo_fd);
	for (int i = 0; i < p->groups_n; i++) {
		closep(&p->groups[i].limit_fd);
		closep(&p->groups[i].usage_fd);
		closep(&p->groups[i].stat_fd);
	}
	free(p);
	return NULL;
}

void psi_read(struct psi *p, struct pressure *ret)
{
	char buf[8192];

	*ret = (struct pressure){
		.mem_some_avg10 = some_avg10(p->memory_fd),
		.io_some_avg10 = some_avg10(p->io_fd),
		.cpu_some_avg10 = some_avg10(p->cpu_fd),
	};
	if (slurp(p->meminfo_fd, buf, sizeof(buf))) {
		ret->mem_available_bytes = field_kib(buf, "MemAvailable:");
		ret->mem_total_bytes = field_kib(buf, "MemTotal:");
	}
	for (int i = 0; i < p->groups_n; i++) {
		uint64_t room = group_room(&p->groups[i]);

		if (room < ret->mem_available_bytes)
			ret->mem_available_bytes = room;
	}
}
