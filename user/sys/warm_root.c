// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * warm_root.c - the root of a container that one thread is at.
 *
 * A start brings hundreds of jobs in the same container. To find out whose root it is and what is mounted
 * there, the kernel writes its table of mounts twice: 3 us for each mount, where a name that is cached is
 * opened in 5 us. Who mounted that root could not take it away while it is open, so it is kept for no other
 * job in between, not while there is none, and not for long.
 */
#include "sys/warm_impl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sys/procfs.h"
#include "sys/warm_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOT_KEEP_NS (50ull * 1000 * 1000)

void warm_root_close(struct warm_root *r)
{
	if (!warm_root_is_open(r))
		return;
	(void)close(r->fd);
	mounts_free(r->mounts);
	*r = (struct warm_root)WARM_ROOT_NONE;
}

static bool is_of(const struct warm_root *r, uint32_t pid, const char *image)
{
	return warm_root_is_open(r) && r->pid == pid && strcmp(r->image, image) == 0;
}

void warm_root_leave(struct warm_root *r, uint32_t pid, const char *image)
{
	if (!is_of(r, pid, image) || clock_ns(CLOCK_MONOTONIC) >= r->until_ns)
		warm_root_close(r);
}

/* /proc/PID, once open, is of that process for ever: as it can be asked for its root after it was looked at,
 * it was the one. */
int warm_root_open(struct warm_root *r, uint32_t pid, const char *image)
{
	_cleanup_(closep) int proc = -1, root = -1;
	char path[32], is[WARM_IMAGE_MAX];
	int mountinfo, err;

	warm_root_leave(r, pid, image);
	if (warm_root_is_open(r))
		return 0;
	snprintf(path, sizeof(path), "/proc/%u", pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	err = proc < 0 ? -ESRCH : procfs_image(pid, is, sizeof(is));
	if (err < 0 || strncmp(is, image, sizeof(is)) != 0)
		return -ESRCH;
	root = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mountinfo = openat(proc, "mountinfo", O_RDONLY | O_CLOEXEC);
	if (root < 0 || mountinfo < 0) {
		closep(&mountinfo);
		return -ESRCH;
	}
	err = mounts_new_of(mountinfo, &r->mounts);
	if (err < 0)
		return err;
	r->fd = TAKE_FD(root);
	r->pid = pid;
	snprintf(r->image, sizeof(r->image), "%s", image);
	r->until_ns = clock_ns(CLOCK_MONOTONIC) + ROOT_KEEP_NS;
	return 0;
}
