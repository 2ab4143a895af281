// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A file noted as resident stays noted until one of its pages leaves the page cache, by whatever way. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/sight.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct file {
	char path[64];
	int fd;
	uint64_t dev, ino;
};

static void make(struct file *f)
{
	static char block[1 << 16];
	struct stat st;

	snprintf(f->path, sizeof(f->path), "/var/tmp/forewarm-evict-XXXXXX");
	f->fd = mkstemp(f->path);
	assert_true(f->fd >= 0);
	memset(block, 'x', sizeof(block));
	assert_int_equal(write(f->fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(f->fd), 0);
	assert_int_equal(fstat(f->fd, &st), 0);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
}

static void test_evict_takes_back_what_was_noted(void **state)
{
	struct capture *c = sight_open((struct capture_opts){0});
	struct file kept, dropped, cut;
	uint32_t left_before_n = 0, left_n = 0;
	uint64_t what = 0;
	int r;

	(void)state;
	make(&kept);
	make(&dropped);
	make(&cut);
	r = capture_resident_update(c, kept.dev, kept.ino, 7, false);
	if (r == CAPTURE_NO_PAGES) {
		capture_close(c);
		skip_because("this kernel has no tracepoint mm_filemap_delete_from_page_cache");
	}
	assert_int_equal(r, 0);
	assert_int_equal(capture_resident_left(c, &left_before_n), 0);
	assert_int_equal(capture_resident_update(c, dropped.dev, dropped.ino, 7, false), 0);
	assert_int_equal(capture_resident_update(c, cut.dev, cut.ino, 7, false), 0);
	assert_int_equal(posix_fadvise(dropped.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(ftruncate(cut.fd, 4096), 0);

	assert_int_equal(capture_resident_get(c, kept.dev, kept.ino, &what), 0);
	assert_int_equal(what, 7);
	assert_int_equal(capture_resident_get(c, dropped.dev, dropped.ino, &what),
			 CAPTURE_NO_PAGES);
	assert_int_equal(capture_resident_get(c, cut.dev, cut.ino, &what), CAPTURE_NO_PAGES);
	assert_int_equal(capture_resident_left(c, &left_n), 0);
	assert_true(left_n - left_before_n >= 2);
	/* What was evicted while a job was under way must not come back with its result. */
	assert_int_equal(capture_resident_update(c, dropped.dev, dropped.ino, 8, true),
			 CAPTURE_NO_PAGES);
	assert_int_equal(capture_resident_update(c, kept.dev, kept.ino, 8, true), 0);
	capture_resident_clear(c);
	assert_int_equal(capture_resident_get(c, kept.dev, kept.ino, &what), CAPTURE_NO_PAGES);
	capture_close(c);
	unlink(kept.path);
	unlink(dropped.path);
	unlink(cut.path);
	close(kept.fd);
	close(dropped.fd);
	close(cut.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evict_takes_back_what_was_noted),
	};

	return cmocka_run_group_tests_name("evict", tests, NULL, NULL);
}
