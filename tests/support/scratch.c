// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int make(char dir[SCRATCH_DIR_MAX], const char *parent, const char *tag)
{
	snprintf(dir, SCRATCH_DIR_MAX, "%s/forewarm-%s.%d.XXXXXX", parent, tag, (int)getpid());
	return mkdtemp(dir) ? 0 : -errno;
}

int scratch_make(char dir[SCRATCH_DIR_MAX], const char *tag)
{
	return make(dir, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", tag);
}

int scratch_make_on_disk(char dir[SCRATCH_DIR_MAX], const char *tag)
{
	return make(dir, "/tmp", tag);
}

int scratch_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	return rmdir(dir) ? -errno : 0;
}
