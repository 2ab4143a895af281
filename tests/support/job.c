// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* job.c - see job.h. */
#include "support/support.h"

#include "support/job.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void job_path(const struct job *s, const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", s->dir, name);
}

static void write_data(const struct job *s, const char *name)
{
	static char block[1 << 16];
	char path[128];
	_cleanup_(closep) int fd = -1;

	job_path(s, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	memset(block, name[0], sizeof(block));
	for (int i = 0; i < JOB_FILE_BYTES; i += (int)sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
}

void job_write(const struct job *s, const char *text)
{
	char path[128];
	_cleanup_(fclosep) FILE *f = NULL;

	job_path(s, "job.sh", path);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\ncd %s\n%s", s->dir, text);
	assert_int_equal(fchmod(fileno(f), 0755), 0);
}

struct job_file job_look(const struct job *s, const char *name)
{
	struct job_file l;
	char path[128];

	job_path(s, name, path);
	l.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(l.fd >= 0);
	l.map = mmap(NULL, JOB_FILE_BYTES, PROT_READ, MAP_SHARED, l.fd, 0);
	assert_ptr_not_equal(l.map, MAP_FAILED);
	return l;
}

void job_evict(struct job_file l)
{
	assert_int_equal(posix_fadvise(l.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

double job_resident(struct job_file l)
{
	static unsigned char pages[JOB_FILE_BYTES / 4096];
	size_t n = 0;

	assert_int_equal(mincore(l.map, JOB_FILE_BYTES, pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		n += pages[i] & 1;
	return (double)n / sizeof(pages);
}

void job_join(const struct job *s)
{
	int fd = open(s->tasks, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(126);
	(void)close(fd);
}

void job_start(struct job *s)
{
	char path[128];

	job_path(s, "job.sh", path);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		if (s->tasks[0])
			job_join(s);
		execl(path, path, NULL);
		_exit(127);
	}
}

void job_pass(const struct job *s, const char *gate)
{
	char path[128];
	_cleanup_(closep) int fd = -1;

	job_path(s, gate, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "\n", 1), 1);
}

void job_finish(struct job *s)
{
	int status;

	job_pass(s, "gate1");
	job_pass(s, "gate2");
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, 0);
}

void job_init(struct forewarmd *f, struct job *s, const char *text, const char *const *sets)
{
	char gate[128];

	forewarmd_need();
	forewarmd_init(f);
	f->only_us = true; /* other programs of the host run sha256sum, too */
	snprintf(s->dir, sizeof(s->dir), "%s/job", f->dir);
	s->tasks[0] = '\0';
	assert_int_equal(mkdir(s->dir, 0755), 0);
	job_path(s, "gate1", gate);
	assert_int_equal(mkfifo(gate, 0600), 0);
	job_path(s, "gate2", gate);
	assert_int_equal(mkfifo(gate, 0600), 0);
	write_data(s, "first");
	write_data(s, "second");
	write_data(s, "third");
	write_data(s, "other");
	job_write(s, text);
	forewarmd_start(f, sets);
}

bool job_wait_resident(struct job_file l)
{
	for (int ms = 0; ms < 5000; ms += 10) {
		if (job_resident(l) >= 0.99)
			return true;
		usleep(10000);
	}
	return false;
}
