/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * census.h - what of the host's things are there, counted before and after: for tests and benchmarks.
 *
 * Shape    Header only: tools do not link tests/support.
 */
#ifndef TESTS_CENSUS_H
#define TESTS_CENSUS_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>

#include "sys/cgroup.h"

struct census {
	size_t groups, mounts, fds;
};

static inline size_t census_entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static inline size_t census_lines(const char *file)
{
	FILE *f = fopen(file, "re");
	size_t n = 0;
	int c;

	while (f && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static inline int census_count_group(void *ctx, const char *name)
{
	(void)name;
	++*(size_t *)ctx;
	return 0;
}

static inline size_t census_groups(struct cgroup_host *h)
{
	size_t n = 0;

	(void)cgroup_group_each(h, census_count_group, &n);
	return n;
}

/* Ours: the groups below h, the mounts we see, our descriptors. */
static inline struct census census_take(struct cgroup_host *h)
{
	return (struct census){.groups = census_groups(h),
			       .mounts = census_lines("/proc/self/mountinfo"),
			       .fds = census_entries("/proc/self/fd")};
}

#endif
