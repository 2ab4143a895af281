// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/scratch.h"
#include "support/support.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int scratch_make_in(char dir[SCRATCH_DIR_MAX], const char *parent, const char *tag)
{
	snprintf(dir, SCRATCH_DIR_MAX, "%s/forewarm-%s-%d-XXXXXX", parent, tag, (int)getpid());
	return mkdtemp(dir) ? 0 : -errno;
}

int scratch_make(char dir[SCRATCH_DIR_MAX], const char *tag)
{
	return scratch_make_in(dir, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", tag);
}

int scratch_make_on_disk(char dir[SCRATCH_DIR_MAX], const char *tag)
{
	return scratch_make_in(dir, "/tmp", tag);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int scratch_remove(const char *dir)
{
	if (!dir[0] || nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0)
		return 0;
	return errno == ENOENT ? 0 : -errno;
}

void scratch_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fchmod(fileno(f), 0644), 0);
	assert_int_equal(fclose(f), 0);
}
