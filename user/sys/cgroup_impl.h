/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup_impl.h - what the files of cgroup share; nobody else includes it.
 *
 * Shape    cgroup_find.c makes a cgroup_host of what is mounted; cgroup.c is what is done with it.
 */
#ifndef SYS_CGROUP_IMPL_H
#define SYS_CGROUP_IMPL_H

#include "sys/cgroup.h"

#define CGROUP_FREEZER_HOLD "hold" /* a group of our own in the v1 freezer */

struct cgroup_hier {
	int fd;		       /* our base in it */
	bool v2, aside;	       /* aside: we have moved to a group beside our base */
	char controllers[128]; /* v1: its mount options; v2: what is enabled for children */
	char mount[256], path[512];
};

struct cgroup_host {
	struct cgroup_hier hiers[CGROUP_HIER_MAX];
	size_t hier_n;
	bool has_v2;
	struct {
		enum cgroup_way way;
		uint8_t hier;
	} can[CGROUP_RESOURCE_MAX];
	uint32_t weight;   /* of our base; 0: not set yet */
	int around;	   /* the group it is in, when we are alone there; else -1 */
	int cpu_stat_hier; /* v2 accounts CPU time without any controller */
};

/* cgroup.c: whole small files, path from the directory dir; -errno, marked by who reports it. */
int cgroup_read_at(int dir, const char *path, char *ret, size_t len);
int cgroup_write_at(int dir, const char *path, const char *value);
bool cgroup_exists(int dir, const char *name);

#endif
