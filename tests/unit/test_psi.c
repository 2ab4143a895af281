/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pressure from made-up hosts: with and without PSI, cgroup v1, v2, both, none. */
#include "support/support.h"

#include "sys/psi.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];

static int rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/psi.%d.XXXXXX", getpid());
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, rm_one, 16, FTW_DEPTH | FTW_PHYS);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_psi_reads_pressure_and_memory),
		T(test_psi_of_nothing_readable_is_no_memory),
		T(test_psi_respects_a_v2_limit_of_a_parent),
		T(test_psi_respects_a_v1_limit_beside_v2),
		T(test_psi_of_the_live_host_is_plausible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
