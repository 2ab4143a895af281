/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * psi.c - see psi.h.
 *
 * The files of /proc stay open and are read again from their start, which opens nothing on the
 * event loop. Our cgroup's limits are found once, see memgroup.h.
 */
#include "sys/psi.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/memgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct psi {
	int cpu_fd, io_fd, memory_fd, meminfo_fd;
	struct memgroup *group; /* we are in; NULL: not told */
	char root[PATH_MAX / 2];
};

static int open_proc(const struct psi *p, const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/proc%s", p->root, name); /* root is half as long */
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* "MemAvailable:   24418304 kB" */
static uint64_t field_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

int psi_new(const char *root, struct psi **ret)
{
	struct psi *p = calloc(1, sizeof(*p));
	char name[MEMGROUP_NAME_MAX];
	int r = 0;

	if (!p)
		return fault(-ENOMEM);
	if ((size_t)snprintf(p->root, sizeof(p->root), "%s", root) >= sizeof(p->root)) {
		free(p);
		return fault(-ENAMETOOLONG);
	}
	p->cpu_fd = open_proc(p, "/pressure/cpu");
	p->io_fd = open_proc(p, "/pressure/io");
	p->memory_fd = open_proc(p, "/pressure/memory");
	p->meminfo_fd = open_proc(p, "/meminfo");
	if (memgroup_name(root, "self", name))
		r = memgroup_new(root, name, &p->group);
	if (r < 0)
		(void)psi_free(p);
	else
		*ret = p;
	return r;
}

struct psi *psi_free(struct psi *p)
{
	if (!p)
		return NULL;
	closep(&p->cpu_fd);
	closep(&p->io_fd);
	closep(&p->memory_fd);
	closep(&p->meminfo_fd);
	p->group = memgroup_free(p->group);
	free(p);
	return NULL;
}

void psi_read(struct psi *p, struct pressure *ret)
{
	char buf[8192];
	uint64_t room, limit = 0;

	*ret = (struct pressure){
		.mem_some_avg10 = memgroup_some_avg10(p->memory_fd),
		.io_some_avg10 = memgroup_some_avg10(p->io_fd),
		.cpu_some_avg10 = memgroup_some_avg10(p->cpu_fd),
	};
	if (memgroup_slurp(p->meminfo_fd, buf, sizeof(buf))) {
		ret->mem_available_bytes = field_kib(buf, "MemAvailable:");
		ret->mem_total_bytes = field_kib(buf, "MemTotal:");
	}
	room = p->group ? memgroup_room(p->group, &limit) : UINT64_MAX;
	if (room >= ret->mem_available_bytes)
		return;
	ret->mem_available_bytes = room;
	/* Of a small group on a large host nothing would ever be a share to speak of. */
	ret->mem_total_bytes = limit;
}
