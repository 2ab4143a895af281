// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "support/pages.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t pages_of_file(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(freep) unsigned char *in = NULL;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n, there = 0;
	struct stat st;
	void *map;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	n = ((size_t)st.st_size + page - 1) / page;
	in = calloc(n, 1);
	map = mmap(NULL, n * page, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mincore(map, n * page, in), 0);
	for (size_t i = 0; i < n; i++)
		there += in[i] & 1;
	assert_int_equal(munmap(map, n * page), 0);
	return there * page;
}
