// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cpus.c - see cpus.h. */
#include "sys/cpus.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOT_BYTES = 512, LINE_BYTES = 256, FIELDS = 8, IDLE = 3, IOWAIT = 4 };

struct cpu {
	uint64_t busy, total; /* in the kernel's units, since boot */
};

struct cpus {
	struct cpu cpus[CPUS_MAX];
	uint64_t all, now;
	uint32_t full_n;
	char *text; /* of the file: its lines of CPUs come first */
	int fd;
};

enum { TEXT_BYTES = (CPUS_MAX + 1) * LINE_BYTES };

int cpus_new(const char *root, uint64_t all, struct cpus **ret)
{
	struct cpus *c = calloc(1, sizeof(*c));
	char path[ROOT_BYTES + 16];

	if (!c || strlen(root) >= ROOT_BYTES || !(c->text = malloc(TEXT_BYTES))) {
		free(c);
		return fault(strlen(root) >= ROOT_BYTES ? -ENAMETOOLONG : -ENOMEM);
	}
	snprintf(path, sizeof(path), "%s/proc/stat", root);
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	c->all = c->now = all;
	*ret = c;
	return 0;
}

struct cpus *cpus_free(struct cpus *c)
{
	if (!c)
		return NULL;
	closep(&c->fd);
	free(c->text);
	free(c);
	return NULL;
}

/* Of "cpu1 1359160 165949 637812 1251715 26798 0 13808 1810 0 0", after the name. */
static struct cpu cpu_read(const char *at)
{
	struct cpu c = {0};
	char *end;

	for (int i = 0; i < FIELDS; i++, at = end) {
		uint64_t v = strtoull(at, &end, 10);

		c.total += v;
		if (i != IDLE && i != IOWAIT)
			c.busy += v;
	}
	return c;
}

/* Was it taken since it was last looked at? */
static bool cpu_taken(struct cpu *cpu, struct cpu now)
{
	const struct cpu was = *cpu;

	*cpu = now;
	return was.total && now.total > was.total &&
	       (double)(now.busy - was.busy) >= CPUS_TAKEN * (double)(now.total - was.total);
}

uint64_t cpus_tick(struct cpus *c)
{
	ssize_t n = c->fd < 0 ? -1 : pread(c->fd, c->text, TEXT_BYTES - 1, 0);
	uint64_t open = c->all;

	c->text[n > 0 ? n : 0] = '\0';
	for (const char *line = c->text; line && !strncmp(line, "cpu", 3);) {
		char *at = (char *)(uintptr_t)line + 3;
		bool one = *at >= '0' && *at <= '9'; /* the first line is of all together */
		unsigned long id = strtoul(at, &at, 10);

		if (one && id < CPUS_MAX && cpu_taken(&c->cpus[id], cpu_read(at)))
			open &= ~(1ull << id);
		line = strchr(line, '\n');
		line += line != NULL;
	}
	c->full_n = open ? 0 : c->full_n + 1;
	if (open)
		c->now = open;
	else if (c->full_n >= CPUS_FULL_TICKS)
		c->now = c->all;
	return c->now;
}

uint64_t cpus_allowed(void)
{
	uint64_t all = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &set) && i >= CPUS_MAX)
			return 0;
		all |= CPU_ISSET(i, &set) ? 1ull << i : 0;
	}
	return all;
}

void cpus_move(uint64_t to)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	cpu_set_t set;

	CPU_ZERO(&set);
	for (size_t i = 0; i < CPUS_MAX; i++)
		if (to >> i & 1)
			CPU_SET(i, &set);
	/* A thread that ends meanwhile, or a CPU that went offline: as it was. */
	while (dir && (e = readdir(dir))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0 && tid != getpid())
			(void)sched_setaffinity(tid, sizeof(set), &set);
	}
	if (dir)
		closedir(dir);
}
