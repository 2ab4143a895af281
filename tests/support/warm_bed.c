// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* warm_bed.c - see warm_bed.h. */
#include "support/warm_bed.h"

#include "support/scratch.h"
#include "support/support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

int warm_bed_setup(void **state)
{
	struct warm_bed *f = calloc(1, sizeof(*f));
	const char *base = getenv("FWM_OUT") ? getenv("FWM_OUT") : ".";
	char real[200];

	if (!f || !realpath(base, real))
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/warm.%d.XXXXXX", real, getpid());
	if (!mkdtemp(f->dir))
		return -1;
	warm_limits_default(&f->limits);
	*state = f;
	return 0;
}

int warm_bed_teardown(void **state)
{
	struct warm_bed *f = *state;

	warm_free(f->w);
	(void)scratch_remove(f->dir);
	free(f);
	return 0;
}

const char *bed_at(struct warm_bed *f, const char *name)
{
	static char buf[8][512];
	static int i;

	i = (i + 1) % 8;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", f->dir, name);
	return buf[i];
}

void bed_start(struct warm_bed *f)
{
	assert_int_equal(warm_new(&f->limits, &f->w), 0);
}

void bed_evict(const char *path)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

const char *bed_file(struct warm_bed *f, const char *name, uint64_t bytes)
{
	const char *path = bed_at(f, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	static char block[65536];

	assert_true(fd >= 0);
	memset(block, 'x', sizeof(block));
	for (uint64_t o = 0; o < bytes; o += sizeof(block)) {
		size_t n = bytes - o < sizeof(block) ? (size_t)(bytes - o) : sizeof(block);

		assert_int_equal(write(fd, block, n), n);
	}
	assert_int_equal(fsync(fd), 0);
	close(fd);
	bed_evict(path);
	return path;
}

void bed_use(const char *path)
{
	static char block[65536];
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	while (read(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

struct warm_result bed_take(struct warm_bed *f)
{
	struct pollfd p = {.fd = warm_fd(f->w), .events = POLLIN};
	struct warm_result r;
	int got;

	while ((got = warm_next_result(f->w, &r)) == WARM_EMPTY)
		assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(got, 0);
	return r;
}

struct warm_result bed_run(struct warm_bed *f, struct warm_job j)
{
	assert_int_equal(warm_submit(f->w, &j, NULL), 0);
	return bed_take(f);
}

void bed_skip_on_tmpfs(struct warm_bed *f)
{
	struct statfs s;

	assert_int_equal(statfs(f->dir, &s), 0);
	if (s.f_type == 0x01021994)
		skip_because("%s is on tmpfs, where everything is resident", f->dir);
}

void bed_plug(struct warm_bed *f, uint64_t bytes_per_s, uint32_t priority)
{
	struct warm_job j = {.id = PLUG, .kind = WARM_FILE, .priority = priority};

	f->limits.bytes_per_s = bytes_per_s;
	bed_start(f);
	j.path = bed_file(f, "plug", MIB);
	assert_int_equal(warm_submit(f->w, &j, NULL), 0);
}

void bed_running(struct warm_bed *f, uint32_t n)
{
	struct warm_stats s;

	do
		warm_stats(f->w, &s);
	while (s.running_n != n && usleep(1000) == 0);
}
