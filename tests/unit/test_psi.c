/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pressure from made-up hosts: with and without PSI, cgroup v1, v2, both, none; of the host, of a program's group. */
#include "support/support.h"
#include "support/scratch.h"

#include "sys/psi.h"
#include "sys/target.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[SCRATCH_DIR_MAX];

static int setup(void **state)
{
	(void)state;
	return scratch_make_on_disk(root, "psi");
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(root);
}

static void put(const char *path, const char *text)
{
	char full[1024];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *s = full + strlen(root) + 1; (s = strchr(s, '/')); *s++ = '/') {
		*s = '\0';
		(void)mkdir(full, 0755);
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct pressure read_host(void)
{
	struct pressure pr;
	struct psi *p;

	assert_int_equal(psi_new(root, &p), 0);
	psi_read(p, &pr);
	psi_free(p);
	return pr;
}

static void put_meminfo(void)
{
	put("/proc/meminfo", "MemTotal:       1000000 kB\nMemFree:         1 kB\n"
			     "MemAvailable:    800000 kB\n");
}

static void test_psi_reads_pressure_and_memory(void **state)
{
	struct pressure pr;

	(void)state;
	put_meminfo();
	put("/proc/pressure/io", "some avg10=12.50 avg60=0.1 avg300=0.2 total=3\n"
				 "full avg10=99.00 avg60=0.00 avg300=0.00 total=0\n");
	put("/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	pr = read_host();
	assert_true(pr.io_some_avg10 == 12.5);
	assert_true(pr.mem_some_avg10 == 0);
	assert_true(pr.cpu_some_avg10 < 0); /* not there: unknown, not calm */
	assert_int_equal(pr.mem_total_bytes, 1000000ull * 1024);
	assert_int_equal(pr.mem_available_bytes, 800000ull * 1024);
}

static void test_psi_of_nothing_readable_is_no_memory(void **state)
{
	struct pressure pr = read_host();

	(void)state;
	assert_true(pr.io_some_avg10 < 0 && pr.mem_some_avg10 < 0 && pr.cpu_some_avg10 < 0);
	assert_int_equal(pr.mem_available_bytes, 0);
}

static void test_psi_respects_a_v2_limit_of_a_parent(void **state)
{
	(void)state;
	put_meminfo();
	put("/proc/self/cgroup", "0::/system.slice/forewarmd.service\n");
	put("/sys/fs/cgroup/system.slice/forewarmd.service/memory.max", "max\n");
	put("/sys/fs/cgroup/system.slice/memory.max", "100000000\n");
	put("/sys/fs/cgroup/system.slice/memory.current", "90000000\n");
	put("/sys/fs/cgroup/system.slice/memory.stat",
	    "anon 5\nactive_inactive_file 1\ninactive_file 20000000\n");
	assert_int_equal(read_host().mem_available_bytes, 30000000);
	assert_int_equal(read_host().mem_total_bytes, 100000000);
}

static void test_psi_respects_a_v1_limit_beside_v2(void **state)
{
	(void)state;
	put_meminfo();
	put("/proc/self/cgroup", "7:cpu:/x\n4:memory:/box\n0::/box\n");
	put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "5000000\n");
	put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "6000000\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	assert_int_equal(read_host().mem_available_bytes, 0);
}

static void test_psi_of_the_live_host_is_plausible(void **state)
{
	struct pressure pr;
	struct psi *p;

	(void)state;
	assert_int_equal(psi_new("", &p), 0);
	psi_read(p, &pr);
	psi_free(p);
	assert_true(pr.mem_total_bytes > 0);
	assert_true(pr.mem_available_bytes <= pr.mem_total_bytes);
	assert_true(pr.io_some_avg10 <= 100);
}

#define S 1000000000ull
#define MIB (1ull << 20)

static struct targets *make_targets(void)
{
	struct targets *t;

	assert_int_equal(targets_new(root, 30, 5, &t), 0);
	return t;
}

/* Within ten seconds no more is taken for the programs of a group than it has room for. */
static void test_target_takes_no_more_than_its_group_has_room_for(void **state)
{
	struct targets *t = make_targets();
	uint8_t group;

	(void)state;
	put("/proc/7/cgroup", "0::/box/a\n");
	put("/proc/8/cgroup", "0::/box/a\n");
	put("/proc/9/cgroup", "0::/\n");
	put("/sys/fs/cgroup/box/memory.max", "max\n");
	put("/sys/fs/cgroup/box/memory.high", "20971520\n");
	put("/sys/fs/cgroup/box/memory.current", "15728640\n");
	put("/sys/fs/cgroup/box/memory.stat", "inactive_file 5242880\n"); /* 10 MiB are left */
	put("/sys/fs/cgroup/box/a/memory.max", "max\n");
	assert_int_equal(targets_take(t, 7, 11 * MIB, S, &group), TARGET_FULL);
	assert_int_equal(targets_take(t, 7, 6 * MIB, S, &group), 0);
	assert_int_equal(targets_take(t, 8, 6 * MIB, 2 * S, &group), TARGET_FULL);
	targets_back(t, group, 2 * MIB);
	assert_int_equal(targets_take(t, 8, 6 * MIB, 3 * S, &group), 0);
	assert_int_equal(targets_take(t, 9, 60 * MIB, 3 * S, &group), 0); /* another's */
	assert_int_equal(targets_take(t, 0, 60 * MIB, 3 * S, &group), 0);
	assert_int_equal(targets_take(t, 4711, 60 * MIB, 3 * S, &group), 0);
	assert_int_equal(targets_take(t, 7, 1 * MIB, 7 * S, &group), TARGET_FULL);
	assert_int_equal(targets_take(t, 7, 1 * MIB, 18 * S, &group), 0);
	put("/sys/fs/cgroup/box/memory.current", "25728640\n");
	assert_int_equal(targets_take(t, 7, 1, 19 * S, &group), TARGET_FULL);
	(void)targets_free(t);
}

static void test_target_whose_group_waits_gets_nothing(void **state)
{
	struct targets *t = make_targets();
	uint8_t group;

	(void)state;
	put("/proc/7/cgroup", "4:memory:/one\n0::/two\n");
	put("/sys/fs/cgroup/memory/one/memory.limit_in_bytes", "10485760\n");
	put("/sys/fs/cgroup/memory/one/memory.usage_in_bytes", "0\n");
	put("/sys/fs/cgroup/unified/two/memory.pressure", "some avg10=4.00 avg60=0.0\n");
	put("/sys/fs/cgroup/unified/two/io.pressure", "some avg10=29.00 avg60=0.0\n");
	assert_int_equal(targets_take(t, 7, MIB, S, &group), 0);
	put("/sys/fs/cgroup/unified/two/memory.pressure", "some avg10=6.00 avg60=0.0\n");
	assert_int_equal(targets_take(t, 7, MIB, S + S / 10, &group), 0); /* not looked yet */
	assert_int_equal(targets_take(t, 7, MIB, 2 * S, &group), TARGET_BUSY);
	put("/sys/fs/cgroup/unified/two/memory.pressure", "some avg10=0.00 avg60=0.0\n");
	assert_int_equal(targets_take(t, 7, MIB, 3 * S, &group), 0);
	put("/sys/fs/cgroup/unified/two/io.pressure", "some avg10=31.00 avg60=0.0\n");
	assert_int_equal(targets_take(t, 7, MIB, 4 * S, &group), TARGET_BUSY);
	(void)targets_free(t);
}

/* More groups than are remembered: whoever comes back is found again. */
static void test_targets_of_many_groups(void **state)
{
	struct targets *t = make_targets();
	char path[64], text[64];
	uint8_t group;

	(void)state;
	for (uint64_t i = 0; i < 3ull * TARGET_GROUPS; i++) {
		uint32_t pid = 100 + (uint32_t)i % (TARGET_GROUPS + 8);

		snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
		snprintf(text, sizeof(text), "0::/g%u\n", pid);
		put(path, text);
		snprintf(path, sizeof(path), "/sys/fs/cgroup/g%u/memory.max", pid);
		put(path, pid % 2 ? "max\n" : "4096\n");
		snprintf(path, sizeof(path), "/sys/fs/cgroup/g%u/memory.current", pid);
		put(path, "0\n");
		assert_int_equal(targets_take(t, pid, MIB, i * S, &group),
				 pid % 2 ? 0 : TARGET_FULL);
	}
	(void)targets_free(t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_psi_reads_pressure_and_memory),
		T(test_psi_of_nothing_readable_is_no_memory),
		T(test_psi_respects_a_v2_limit_of_a_parent),
		T(test_psi_respects_a_v1_limit_beside_v2),
		T(test_psi_of_the_live_host_is_plausible),
		T(test_target_takes_no_more_than_its_group_has_room_for),
		T(test_target_whose_group_waits_gets_nothing),
		T(test_targets_of_many_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
