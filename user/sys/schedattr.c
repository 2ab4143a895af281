// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* schedattr.c - libc has no names for these calls. */
#include "sys/schedattr.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RESET_ON_FORK = 1 }; /* SCHED_FLAG_RESET_ON_FORK */

int schedattr_get(pid_t tid, struct schedattr *ret)
{
	*ret = (struct schedattr){.size = sizeof(*ret)};
	return syscall(SYS_sched_getattr, tid, ret, sizeof(*ret), 0u) < 0 ? -errno : 0;
}

int schedattr_set(pid_t tid, const struct schedattr *a)
{
	return syscall(SYS_sched_setattr, tid, a, 0u) < 0 ? -errno : 0;
}

int schedattr_prompt(uint64_t slice_ns)
{
	struct schedattr a;
	int r = schedattr_get(0, &a);

	if (r < 0)
		return r;
	if (a.policy != SCHED_OTHER) /* somebody gave it one, and that stays */
		return 0;
	a.flags |= RESET_ON_FORK;
	a.runtime_ns = slice_ns;
	return schedattr_set(0, &a);
}
