// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* target.c - see target.h. */
#include "sys/target.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/memgroup.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS (250ull * 1000 * 1000)
#define PID_NS (1000ull * 1000 * 1000)

struct target {
	char name[MEMGROUP_NAME_MAX]; /* "": free */
	struct memgroup *group;
	uint64_t asked_ns, looked_ns, began_ns;
	uint64_t taken[2]; /* since began_ns, and in half a window before */
	uint64_t room;
	double mem, io;
};

struct pid {
	uint32_t pid;
	uint8_t target;
	uint64_t since_ns;
};

struct targets {
	struct target targets[TARGET_GROUPS];
	struct pid pids[TARGET_PIDS]; /* by pid */
	double io_max, mem_max;
	char root[PATH_MAX / 2];
};

enum { NO_TARGET = UINT8_MAX };

int targets_new(const char *root, double io_max, double mem_max, struct targets **ret)
{
	struct targets *t = calloc(1, sizeof(*t));

	if (!t)
		return fault(-ENOMEM);
	if ((size_t)snprintf(t->root, sizeof(t->root), "%s", root) >= sizeof(t->root)) {
		free(t);
		return fault(-ENAMETOOLONG);
	}
	t->io_max = io_max;
	t->mem_max = mem_max;
	*ret = t;
	return 0;
}

struct targets *targets_free(struct targets *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < TARGET_GROUPS; i++)
		t->targets[i].group = memgroup_free(t->targets[i].group);
	free(t);
	return NULL;
}

/* The one of that name, or in place of the one asked for longest ago. */
static int find(struct targets *t, const char *name, uint8_t *ret)
{
	struct target *at = &t->targets[0];
	int r;

	for (size_t i = 0; i < TARGET_GROUPS; i++) {
		if (!strcmp(t->targets[i].name, name)) {
			*ret = (uint8_t)i;
			return 0;
		}
		if (t->targets[i].asked_ns < at->asked_ns)
			at = &t->targets[i];
	}
	at->group = memgroup_free(at->group);
	*at = (struct target){0};
	for (size_t i = 0; i < TARGET_PIDS; i++)
		if (t->pids[i].target == at - t->targets)
			t->pids[i] = (struct pid){0};
	r = memgroup_new(t->root, name, &at->group);
	if (r < 0)
		return r;
	(void)snprintf(at->name, sizeof(at->name), "%s", name);
	*ret = (uint8_t)(at - t->targets);
	return 0;
}

static int target_of(struct targets *t, uint32_t pid, uint64_t now_ns, uint8_t *ret)
{
	struct pid *p = &t->pids[pid % TARGET_PIDS];
	char name[MEMGROUP_NAME_MAX], proc[16];
	int r;

	*ret = NO_TARGET;
	if (!pid)
		return 0;
	if (p->pid == pid && now_ns - p->since_ns < PID_NS) {
		*ret = p->target;
		return 0;
	}
	(void)snprintf(proc, sizeof(proc), "%u", pid);
	if (!memgroup_name(t->root, proc, name))
		return 0;
	r = find(t, name, ret);
	if (r == 0)
		*p = (struct pid){pid, *ret, now_ns};
	return r;
}

static void look(struct target *g, uint64_t now_ns)
{
	uint64_t half = TARGET_WINDOW_NS / 2, limit;

	if (!g->looked_ns || now_ns - g->looked_ns >= LOOK_NS) {
		g->room = memgroup_room(g->group, &limit);
		memgroup_pressure(g->group, &g->mem, &g->io);
		g->looked_ns = now_ns;
	}
	if (now_ns - g->began_ns >= half) {
		g->taken[1] = now_ns - g->began_ns < 2 * half ? g->taken[0] : 0;
		g->taken[0] = 0;
		g->began_ns = now_ns;
	}
}

int targets_take(struct targets *t, uint32_t pid, uint64_t bytes, uint64_t now_ns,
		 uint8_t *ret_group)
{
	uint64_t taken;
	struct target *g;
	int r = target_of(t, pid, now_ns, ret_group);

	if (r < 0 || *ret_group == NO_TARGET)
		return r;
	g = &t->targets[*ret_group];
	g->asked_ns = now_ns;
	look(g, now_ns);
	if (g->mem > t->mem_max || g->io > t->io_max)
		return TARGET_BUSY;
	taken = g->taken[0] + g->taken[1];
	if (taken > g->room || bytes > g->room - taken)
		return TARGET_FULL;
	g->taken[0] += bytes;
	return 0;
}

void targets_back(struct targets *t, uint8_t group, uint64_t bytes)
{
	struct target *g;

	if (group == NO_TARGET)
		return;
	g = &t->targets[group];
	for (int i = 0; i < 2; i++) {
		uint64_t n = bytes < g->taken[i] ? bytes : g->taken[i];

		g->taken[i] -= n;
		bytes -= n;
	}
}
