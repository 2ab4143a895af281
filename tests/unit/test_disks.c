// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which disk a device is on, and how many reads it has, from a /sys of our own. */
#include "support/support.h"
#include "support/scratch.h"

#include "sys/disks.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define S 1000000000ull

static char root[SCRATCH_DIR_MAX];

static void shell(const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && %s", root, command);
	assert_int_equal(system(line), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(scratch_make_on_disk(root, "disks"), 0);
	shell("mkdir -p sys/dev/block sys/block/sda/device sys/block/sdaa/device sys/block/loop0");
	shell("echo '       3       70' >sys/block/sda/inflight");
	shell("echo '       5        0' >sys/block/sdaa/inflight");
	shell("echo '      90        0' >sys/block/loop0/inflight");
	shell("for d in sda sdaa; do echo '100 0 800 40 7 0 56 9000 0 1 2' >sys/block/$d/stat; "
	      "done");
	shell("ln -s ../../devices/pci/block/sda sys/dev/block/8:0");
	shell("ln -s ../../devices/pci/block/sda/sda1 sys/dev/block/8:1");
	shell("ln -s ../../devices/pci/block/sdaa/sdaa2 sys/dev/block/65:162");
	shell("ln -s ../../devices/virtual/block/loop0 sys/dev/block/7:0");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(root);
}

static void test_disks_reads_are_of_the_disk_below(void **state)
{
	static const struct {
		const char *name;
		unsigned int major, minor;
		uint32_t reads;
	} cases[] = {
		{"a whole disk", 8, 0, 3},
		{"a partition", 8, 1, 3},
		{"of a disk whose name is longer", 65, 162, 5},
		{"a loop device: on any of them", 7, 0, 8},
		{"no block device, as btrfs has it", 0, 35, 8},
	};
	struct disks *d;

	(void)state;
	assert_int_equal(disks_new(root, &d), 0);
	disks_tick(d, 10 * S);
	assert_int_equal(disks_reads(d, makedev(8, 1)), 0); /* for how long is not known yet */
	shell("for d in sda sdaa; do echo '900 0 800 170 7 0 56 9000 0 1 2' >sys/block/$d/stat; "
	      "done");
	disks_tick(d, 10 * S + S / 4);
	assert_int_equal(disks_reads(d, makedev(8, 1)), 0); /* it may be a program that starts */
	shell("for d in sda sdaa; do echo '990 0 800 300 7 0 56 9000 0 1 2' >sys/block/$d/stat; "
	      "done");
	disks_tick(d, 10 * S + S / 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (disks_reads(d, makedev(cases[i].major, cases[i].minor)) != cases[i].reads)
			fail_msg("%s", cases[i].name);
	shell("echo '       0       70' >sys/block/sda/inflight");
	assert_int_equal(disks_reads(d, makedev(8, 1)), 0);
	assert_null(disks_free(d));
}

/* A program that starts reads for a moment: that is no reason to give way. */
static void test_disks_reads_are_of_a_busy_disk(void **state)
{
	struct disks *d;

	(void)state;
	assert_int_equal(disks_new(root, &d), 0);
	disks_tick(d, 10 * S);
	for (unsigned int i = 1; i <= 3; i++) { /* ms of reading, of 250: 140, 120, 140 */
		static const char *const stat[] = {"", "180", "300", "440"};
		char line[80];

		snprintf(line, sizeof(line), "echo '900 0 800 %s 7 0 56' >sys/block/sda/stat",
			 stat[i]);
		shell(line);
		disks_tick(d, 10 * S + i * S / 4);
		assert_int_equal(disks_reads(d, makedev(8, 1)), 0);
	}
	shell("echo '990 0 800 570 7 0 56 9000 0 1 2' >sys/block/sda/stat");
	disks_tick(d, 11 * S);
	assert_int_equal(disks_reads(d, makedev(8, 1)), 3);
	assert_int_equal(disks_reads(d, makedev(65, 162)), 0); /* that one does nothing */
	disks_tick(d, 12 * S);
	assert_int_equal(disks_reads(d, makedev(8, 1)), 0);
	assert_null(disks_free(d));
}

static void test_disks_of_a_host_without_any(void **state)
{
	struct disks *d;

	(void)state;
	assert_int_equal(disks_new("/tmp/fwm-no-such-place", &d), 0);
	assert_int_equal(disks_reads(d, makedev(8, 1)), 0);
	assert_null(disks_free(d));
	assert_null(disks_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_disks_reads_are_of_the_disk_below, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_disks_reads_are_of_a_busy_disk, setup,
						teardown),
		cmocka_unit_test(test_disks_of_a_host_without_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
