// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* procfs.c - /proc/PID/{stat,status,exe,cmdline} of every process, sorted by start time. */
#include "sys/procfs.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PROCESS_MAX 65536

struct entry {
	uint64_t start_ticks; /* since boot */
	uint32_t pid, ppid, uid;
};

static void closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

static ssize_t read_file(const char *root, uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[PATH_MAX];
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/proc/%u/%s", root, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* False when the process is gone. */
static bool read_entry(const char *root, struct entry *e)
{
	char buf[4096], *p;

	if (read_file(root, e->pid, "stat", buf, sizeof(buf)) <= 0)
		return false;
	p = strrchr(buf, ')'); /* the name before it may hold anything */
	if (!p || sscanf(p + 1,
			 " %*c %u %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			 "%*d %*d %lu",
			 &e->ppid, &e->start_ticks) != 2)
		return false;
	if (read_file(root, e->pid, "status", buf, sizeof(buf)) <= 0)
		return false;
	p = strstr(buf, "\nUid:");
	return p && sscanf(p + 5, "%*u %u", &e->uid) == 1;
}

static int by_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->start_ticks != y->start_ticks)
		return x->start_ticks < y->start_ticks ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void tell(const char *root, const struct entry *e, uint64_t now_ns, obs_fn fn, void *ctx)
{
	char path[PATH_MAX], exe[PATH_MAX], args[OBS_ARGS_MAX];
	struct obs o = {.kind = OBS_FORK,
			.ts_ns = now_ns,
			.pid = e->pid,
			.ppid = e->ppid,
			.uid = e->uid,
			.flags = OBS_F_SEED,
			.count = 1};
	struct stat st;
	ssize_t n;

	fn(ctx, &o);
	snprintf(path, sizeof(path), "%s/proc/%u/exe", root, e->pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0 || exe[0] != '/')
		return; /* a kernel thread, or gone */
	exe[n] = '\0';
	o.kind = OBS_EXEC;
	o.name = exe;
	if (stat(path, &st) == 0)
		o.file = (struct obs_file){.dev = st.st_dev,
					   .ino = st.st_ino,
					   .mode = st.st_mode,
					   .size = (uint64_t)st.st_size};
	n = read_file(root, e->pid, "cmdline", args, sizeof(args));
	if (n > 0) {
		o.args = args;
		o.args_len = (size_t)n;
	}
	fn(ctx, &o);
}

int procfs_seed(const char *root, obs_fn fn, void *ctx)
{
	_cleanup_(closedirp) DIR *d = NULL;
	_cleanup_(freep) struct entry *list = NULL;
	char path[PATH_MAX];
	struct timespec ts;
	struct dirent *de;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/proc", root);
	d = opendir(path);
	list = calloc(PROCESS_MAX, sizeof(*list));
	if (!d || !list)
		return fault_errno();
	while (n < PROCESS_MAX && (de = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		list[n].pid = (uint32_t)strtoul(de->d_name, NULL, 10);
		n += read_entry(root, &list[n]);
	}
	qsort(list, n, sizeof(*list), by_start);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	for (size_t i = 0; i < n; i++)
		tell(root, &list[i], (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec, fn,
		     ctx);
	return (int)n;
}
