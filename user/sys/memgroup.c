// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * memgroup.c - see memgroup.h.
 *
 * A process is in one v2 group, by the "0::" line of its cgroup file, and where the first kind is mounted in
 * one v1 group of memory, by its "memory" line. The name is both. Walking up counts the limits of parents.
 */
#include "sys/memgroup.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/procfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_MAX = 16 };

/* One group with a limit. */
struct group {
	int limit_fd, high_fd, usage_fd, stat_fd;
};

struct memgroup {
	struct group groups[GROUP_MAX];
	int groups_n;
	int mem_fd, io_fd; /* pressure of the innermost */
	const char *root;  /* while it is made */
};

bool memgroup_slurp(int fd, char *buf, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size - 1, 0);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

double memgroup_some_avg10(int fd)
{
	char buf[256], *at;

	if (!memgroup_slurp(fd, buf, sizeof(buf)))
		return -1;
	at = strstr(buf, "some avg10=");
	return at ? strtod(at + strlen("some avg10="), NULL) : -1;
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

/* UINT64_MAX: none ("max" on v2, a number beyond all memory on v1). */
static uint64_t limit_of(int fd)
{
	char buf[64];
	uint64_t limit;

	if (!memgroup_slurp(fd, buf, sizeof(buf)) || !strncmp(buf, "max", 3))
		return UINT64_MAX;
	limit = strtoull(buf, NULL, 10);
	return limit >= 1ull << 60 ? UINT64_MAX : limit;
}

/* Room in one group: its limit, less what it uses, plus what it can drop at once. */
static uint64_t group_room(const struct group *g, uint64_t *ret_limit)
{
	uint64_t limit = limit_of(g->limit_fd), high = limit_of(g->high_fd), usage, idle = 0;
	char buf[8192];

	if (high < limit)
		limit = high;
	if (limit == UINT64_MAX || !memgroup_slurp(g->usage_fd, buf, sizeof(buf)))
		return UINT64_MAX;
	usage = strtoull(buf, NULL, 10);
	if (memgroup_slurp(g->stat_fd, buf, sizeof(buf)))
		idle = field_bytes(buf, "inactive_file");
	if (idle > usage)
		idle = usage;
	*ret_limit = limit;
	return limit > usage - idle ? limit - (usage - idle) : 0;
}

/* Where the files of one cgroup version are. */
static const struct hierarchy {
	const char *mount, *limit, *high, *usage;
} v2 = {"/sys/fs/cgroup", "/memory.max", "/memory.high", "/memory.current"},
  v2_beside_v1 = {"/sys/fs/cgroup/unified", "/memory.max", "/memory.high", "/memory.current"},
  v1 = {"/sys/fs/cgroup/memory", "/memory.limit_in_bytes", NULL, "/memory.usage_in_bytes"};

/* NULL for a name: there is no such file. */
static int open_in(const struct memgroup *m, const struct hierarchy *h, const char *dir,
		   const char *name)
{
	char path[PATH_MAX];

	if (!name || (size_t)snprintf(path, sizeof(path), "%s%s%s%s", m->root, h->mount, dir,
				      name) >= sizeof(path))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The group and all above it. One without a limit file is the root, or has no memory controller. */
static void add_limits(struct memgroup *m, const struct hierarchy *h, const char *group)
{
	char dir[MEMGROUP_NAME_MAX], *slash;

	(void)snprintf(dir, sizeof(dir), "%s", group);
	do {
		struct group *g = &m->groups[m->groups_n];

		if (m->groups_n == GROUP_MAX)
			return;
		g->limit_fd = open_in(m, h, dir, h->limit);
		if (g->limit_fd >= 0) {
			g->high_fd = open_in(m, h, dir, h->high);
			g->usage_fd = open_in(m, h, dir, h->usage);
			g->stat_fd = open_in(m, h, dir, "/memory.stat");
			m->groups_n++;
		}
		slash = strrchr(dir, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
}

/* What the whole host waits for is not told here. */
static void add_pressure(struct memgroup *m, const struct hierarchy *h, const char *group)
{
	if (m->mem_fd >= 0 || !strcmp(group, "/"))
		return;
	m->mem_fd = open_in(m, h, group, "/memory.pressure");
	m->io_fd = open_in(m, h, group, "/io.pressure");
}

/* The path in a line of /proc/PID/cgroup ("4:cpu,memory:/a/b", "0::/a/b") that says where memory is counted;
 * NULL: it does not. */
static char *memory_line(char *line, bool *ret_v2)
{
	char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

	if (!group)
		return NULL;
	*group = '\0';
	*ret_v2 = !strncmp(line, "0:", 2);
	return *ret_v2 || strstr(names + 1, "memory") ? group + 1 : NULL;
}

bool memgroup_name(const char *root, const char *proc, char ret[MEMGROUP_NAME_MAX])
{
	char path[PATH_MAX], buf[8192], *save = NULL, *group;
	const char *of_v1 = "", *of_v2 = "";
	bool two;

	if ((size_t)snprintf(path, sizeof(path), "%s/proc/%s/cgroup", root, proc) >= sizeof(path))
		return false;
	if (procfs_text(path, buf, sizeof(buf)) < 0)
		return false;
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		group = memory_line(line, &two);
		if (group && two)
			of_v2 = group;
		else if (group)
			of_v1 = group;
	}
	/* No path has a line's end in it. */
	return (size_t)snprintf(ret, MEMGROUP_NAME_MAX, "%s\n%s", of_v2, of_v1) < MEMGROUP_NAME_MAX;
}

int memgroup_new(const char *root, const char *name, struct memgroup **ret)
{
	const char *of_v1 = strchr(name, '\n');
	char of_v2[MEMGROUP_NAME_MAX];
	struct memgroup *m = calloc(1, sizeof(*m));

	if (!m)
		return fault(-ENOMEM);
	m->root = root;
	m->mem_fd = m->io_fd = -1;
	(void)snprintf(of_v2, sizeof(of_v2), "%.*s", of_v1 ? (int)(of_v1 - name) : 0, name);
	if (of_v2[0]) {
		add_limits(m, &v2, of_v2);
		add_limits(m, &v2_beside_v1, of_v2);
		add_pressure(m, &v2, of_v2);
		add_pressure(m, &v2_beside_v1, of_v2);
	}
	if (of_v1 && of_v1[1])
		add_limits(m, &v1, of_v1 + 1);
	m->root = NULL;
	*ret = m;
	return 0;
}

struct memgroup *memgroup_free(struct memgroup *g)
{
	if (!g)
		return NULL;
	for (int i = 0; i < g->groups_n; i++) {
		closep(&g->groups[i].limit_fd);
		closep(&g->groups[i].high_fd);
		closep(&g->groups[i].usage_fd);
		closep(&g->groups[i].stat_fd);
	}
	closep(&g->mem_fd);
	closep(&g->io_fd);
	free(g);
	return NULL;
}

uint64_t memgroup_room(const struct memgroup *g, uint64_t *ret_limit)
{
	uint64_t room = UINT64_MAX;

	for (int i = 0; i < g->groups_n; i++) {
		uint64_t limit, one = group_room(&g->groups[i], &limit);

		if (one >= room)
			continue;
		room = one;
		*ret_limit = limit;
	}
	return room;
}

void memgroup_pressure(const struct memgroup *g, double *ret_mem, double *ret_io)
{
	*ret_mem = memgroup_some_avg10(g->mem_fd);
	*ret_io = memgroup_some_avg10(g->io_fd);
}
