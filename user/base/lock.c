// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* lock.c - see lock.h. */
#include "base/lock.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <fcntl.h>
#include <sys/file.h>

int lock_take(const char *path, int flags, int *ret_fd)
{
	_cleanup_(closep) int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return fault_errno();
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? LOCK_TAKEN : fault_errno();
	*ret_fd = TAKE_FD(fd);
	return 0;
}
