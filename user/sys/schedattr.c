// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* schedattr.c - libc has no names for these calls. */
#include "sys/schedattr.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RESET_ON_FORK = 1 /* SCHED_FLAG_RESET_ON_FORK */, NICE_LOWEST = -20 };

int schedattr_get(pid_t tid, struct schedattr *ret)
{
	*ret = (struct schedattr){.size = sizeof(*ret)};
	return syscall(SYS_sched_getattr, tid, ret, sizeof(*ret), 0u) < 0 ? -errno : 0;
}

int schedattr_set(pid_t tid, const struct schedattr *a)
{
	return syscall(SYS_sched_setattr, tid, a, 0u) < 0 ? -errno : 0;
}

int schedattr_prompt(uint64_t slice_ns, int nicer)
{
	struct schedattr a;
	int32_t nice;
	int r = schedattr_get(0, &a);

	if (r < 0)
		return r;
	if (a.policy != SCHED_OTHER) /* somebody gave it one, and that stays */
		return 0;
	a.flags |= RESET_ON_FORK;
	a.runtime_ns = slice_ns;
	nice = a.nice;
	if (nice <= 0)
		a.nice = nice - nicer < NICE_LOWEST ? NICE_LOWEST : nice - nicer;
	r = schedattr_set(0, &a);
	if (r != -EPERM || a.nice == nice)
		return r;
	a.nice = nice;
	return schedattr_set(0, &a);
}
