// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When a job first asked the disk for something, on a file system with nothing in memory (root). */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/scratch.h"
#include "sys/warm.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

static char dir[SCRATCH_DIR_MAX];

/* Its caches go with it. */
static void mounted_anew(void)
{
	char command[512];

	(void)umount(dir);
	(void)snprintf(command, sizeof(command), "mount -o loop,noatime %s.img %s", dir, dir);
	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	char command[1024];

	(void)state;
	if (scratch_make_on_disk(dir, "first") != 0 || unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -1;
	(void)snprintf(command, sizeof(command),
		       "truncate -s 32M %s.img && mke2fs -qF -t ext4 %s.img && "
		       "mount -o loop %s.img %s && mkdir -p %s/a/b && "
		       "head -c 65536 /dev/zero >%s/a/b/c",
		       dir, dir, dir, dir, dir, dir);
	return system(command);
}

static int teardown(void **state)
{
	char image[SCRATCH_DIR_MAX + 8];

	(void)state;
	(void)umount(dir);
	(void)snprintf(image, sizeof(image), "%s.img", dir);
	(void)unlink(image);
	return scratch_remove(dir);
}

static void test_first_io_is_of_names_as_well(void **state)
{
	static const struct {
		const char *name, *path;
		enum warm_kind kind;
		bool anew, io, pages;
	} cases[] = {
		{"a name", "a/b/c", WARM_DENTRY, true, true, false},
		{"it is known", "a/b/c", WARM_DENTRY, false, false, false},
		{"its pages are not", "a/b/c", WARM_FILE, false, true, true},
		{"they are", "a/b/c", WARM_FILE, false, false, false},
		{"a name that is not there", "a/b/d", WARM_DENTRY, true, true, false},
		{"a name on the way to pages", "a/b/c", WARM_FILE, true, true, true},
		{"a directory", "a/b", WARM_DIR, true, true, false},
	};
	struct warm_limits limits;
	struct warm_result r;
	struct warm *w;

	(void)state;
	warm_limits_default(&limits);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[SCRATCH_DIR_MAX + 16];
		struct pollfd p;

		if (cases[i].anew)
			mounted_anew();
		assert_int_equal(warm_new(&limits, &w), 0);
		(void)snprintf(path, sizeof(path), "%s/%s", dir, cases[i].path);
		assert_int_equal(
			warm_submit(
				w, &(struct warm_job){.id = 1, .kind = cases[i].kind, .path = path},
				NULL),
			0);
		p = (struct pollfd){.fd = warm_fd(w), .events = POLLIN};
		assert_int_equal(poll(&p, 1, 20000), 1);
		assert_int_equal(warm_next_result(w, &r), 0);
		warm_free(w);
		if ((r.first_io_ns != 0) != cases[i].io ||
		    (r.first_pages_ns != 0) != cases[i].pages)
			fail_msg("%s: asked %d, for pages %d", cases[i].name, r.first_io_ns != 0,
				 r.first_pages_ns != 0);
		if (r.first_pages_ns)
			assert_true(r.first_io_ns <= r.first_pages_ns);
		if (r.first_io_ns)
			assert_in_range(r.first_io_ns, r.began_ns, r.began_ns + r.took_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_io_is_of_names_as_well, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
