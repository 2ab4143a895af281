// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A lock on a file or a folder: one holder, until its descriptor is closed. */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>

static void test_lock_has_one_holder(void **state)
{
	char dir[SCRATCH_DIR_MAX], path[SCRATCH_DIR_MAX + 8];
	int held = -1, fd = -1;

	(void)state;
	assert_int_equal(scratch_make_on_disk(dir, "lock"), 0);
	snprintf(path, sizeof(path), "%s/lock", dir);
	assert_int_equal(lock_take(path, O_RDWR, &held), -ENOENT);
	for (int i = 0; i < 2; i++) {
		const char *what = i ? dir : path;
		int flags = i ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT;

		assert_int_equal(lock_take(what, flags, &held), 0);
		assert_int_equal(lock_take(what, flags, &fd), LOCK_TAKEN);
		assert_int_equal(fd, -1); /* untouched */
		closep(&held);
		assert_int_equal(lock_take(what, flags, &held), 0);
		closep(&held);
	}
	assert_int_equal(scratch_remove(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock_has_one_holder),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
