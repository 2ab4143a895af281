/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* file.h - attempts on devices, and what of /proc and /sys is not for a sandbox. */
#ifndef TESTS_ESCAPE_FILE_H
#define TESTS_ESCAPE_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "helpers/escape/escape.h"

static int device(const char *dir, mode_t kind, unsigned major_, unsigned minor_)
{
	char path[256];
	int r;

	snprintf(path, sizeof(path), "%s/fwm-node", dir);
	(void)unlink(path);
	r = mknod(path, kind | 0600, makedev(major_, minor_));
	(void)unlink(path);
	return r == 0;
}

static int device_block(void)
{
	return device("/var/tmp", S_IFBLK, 7, 77);
}

static int device_char(void)
{
	return device("/var/tmp", S_IFCHR, 1, 1);
}

static int device_in_run(void)
{
	return device("/run", S_IFCHR, 1, 1);
}

static int device_in_dev(void)
{
	return device("/dev", S_IFCHR, 1, 1);
}

static int device_open(void)
{
	return OK(open(arg, O_RDONLY | O_NONBLOCK));
}

static int device_fuse(void)
{
	return OK(open("/dev/fuse", O_RDWR));
}

static int read_something(const char *path)
{
	char some[64];
	int fd = open(path, O_RDONLY);

	return OK(fd) && read(fd, some, sizeof(some)) > 0;
}

static int masked_read(void)
{
	return read_something(arg);
}

static int file_write(void)
{
	return OK(open(arg, O_WRONLY));
}

static const struct attempt file_attempts[] = {
	ATTEMPT(device_block), ATTEMPT(device_char), ATTEMPT(device_in_run), ATTEMPT(device_in_dev),
	ATTEMPT(device_open),  ATTEMPT(device_fuse), ATTEMPT(masked_read),   ATTEMPT(file_write),
};

#endif
