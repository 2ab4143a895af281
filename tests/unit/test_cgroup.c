// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * test_cgroup.c - pure v2, pure v1, hybrid and mixtures, from recorded mountinfo over plain files.
 *
 * A directory tree stands in for the hierarchies: files that the kernel would provide in each group
 * are made by the test in our base and in the group, so what is written into which file shows.
 */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "sys/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[SCRATCH_DIR_MAX];

static const char *path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static const char *path(const char *fmt, ...)
{
	static char ret[4][512];
	static int at;
	char *p = ret[at++ % 4];
	int n = snprintf(p, 512, "%s/", dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p + n, 512 - (size_t)n, fmt, ap);
	va_end(ap);
	return p;
}

static const char *get(const char *file)
{
	static char text[512];
	FILE *f = fopen(file, "re");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static void makedirs(const char *p)
{
	char buf[512];

	snprintf(buf, sizeof(buf), "%s", p);
	for (char *s = buf + 1; *s; s++)
		if (*s == '/') {
			*s = 0;
			mkdir(buf, 0755);
			*s = '/';
		}
	mkdir(buf, 0755);
}

static int setup(void **state)
{
	(void)state;
	return scratch_make_on_disk(dir, "cgroup");
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

struct mounted {
	const char *type, *at, *options, *own; /* own: the group of the process in it */
};

/* Writes mountinfo and /proc/self/cgroup for these mounts and makes the own groups. */
static int open_host(const struct mounted *m, size_t n, struct cgroup_host **ret)
{
	struct cgroup_options o = {.name = "fw"};
	FILE *mi = fopen(path("mountinfo"), "we"), *pc = fopen(path("cgroup"), "we");

	fprintf(mi, "21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
	for (size_t i = 0; i < n; i++) {
		bool v2 = !strcmp(m[i].type, "cgroup2");

		fprintf(mi, "%zu 21 0:%zu / %s/%s rw,relatime - %s %s rw,%s\n", 30 + i, 30 + i, dir,
			m[i].at, m[i].type, m[i].type, m[i].options);
		if (v2)
			fprintf(pc, "0::%s\n", m[i].own);
		else
			fprintf(pc, "%zu:%s:%s\n", n - i + 1, m[i].options, m[i].own);
		makedirs(path("%s%s/fw", m[i].at, m[i].own));
	}
	fclose(mi);
	fclose(pc);
	o.mountinfo = path("mountinfo");
	o.proc_cgroup = path("cgroup");
	return cgroup_open(&o, ret);
}

static void files(const char *group, const char *const *names)
{
	makedirs(path("%s", group));
	for (; *names; names++)
		scratch_write(path("%s/%s", group, *names), "");
}

static const char *const v2_files[] = {"cgroup.freeze", "cgroup.kill",	  "cpu.stat", "memory.max",
				       "cpu.max",	"cpu.weight",	  "pids.max", "io.weight",
				       "cgroup.events", "memory.current", NULL};
static const char *const v1_memory[] = {"memory.limit_in_bytes", "memory.usage_in_bytes", NULL};
static const char *const v1_cpu[] = {"cpu.cfs_quota_us", "cpu.shares", NULL};
static const char *const v1_pids[] = {"pids.max", NULL};
static const char *const v1_blkio[] = {"blkio.bfq.weight", NULL};
static const char *const v1_freezer[] = {"freezer.state", NULL};

static const struct cgroup_limits limits = {.memory_max_bytes = 64 << 20,
					    .cpu_permille = 500,
					    .tasks_max = 33,
					    .cpu_weight = 300,
					    .io_weight = 50};

static void test_cgroup_pure_v2_limits_all(void **state)
{
	const struct mounted m[] = {{"cgroup2", "cg", "nsdelegate", "/system.slice/fw.service"}};
	struct cgroup_host *h;
	char report[256];
	uint32_t unlimited = 99;

	(void)state;
	files("cg/system.slice/fw.service/fw", v2_files);
	scratch_write(path("cg/system.slice/fw.service/fw/cgroup.subtree_control"),
		      "cpu io memory pids\n");
	assert_int_equal(open_host(m, 1, &h), 0);
	assert_string_equal(cgroup_layout(h), "v2");
	cgroup_report(h, report, sizeof(report));
	assert_string_equal(report, "memory v2, cpu v2, pids v2, io v2, freeze v2, kill v2");
	files("cg/system.slice/fw.service/fw/g", v2_files);
	assert_int_equal(cgroup_group_limit(h, "g", &limits, &unlimited), 0);
	assert_int_equal(unlimited, 0);
	assert_string_equal(get(path("cg/system.slice/fw.service/fw/g/memory.max")), "67108864");
	assert_string_equal(get(path("cg/system.slice/fw.service/fw/g/cpu.max")), "50000 100000");
	assert_string_equal(get(path("cg/system.slice/fw.service/fw/g/cpu.weight")), "300");
	assert_string_equal(get(path("cg/system.slice/fw.service/fw/g/pids.max")), "33");
	assert_string_equal(get(path("cg/system.slice/fw.service/fw/g/io.weight")), "default 50");
	h = cgroup_close(h);
}

static void test_cgroup_v2_without_controllers_says_what_it_cannot(void **state)
{
	const struct mounted m[] = {{"cgroup2", "cg", "", "/"}};
	struct cgroup_host *h;
	uint32_t unlimited = 0;

	(void)state;
	files("cg/fw", (const char *const[]){"cgroup.freeze", "cgroup.kill", "cpu.stat", NULL});
	scratch_write(path("cg/fw/cgroup.subtree_control"), "\n");
	assert_int_equal(open_host(m, 1, &h), 0);
	assert_int_equal(cgroup_can(h, CGROUP_MEMORY), CGROUP_NONE);
	assert_int_equal(cgroup_can(h, CGROUP_FREEZE), CGROUP_V2);
	makedirs(path("cg/fw/g"));
	assert_int_equal(cgroup_group_limit(h, "g", &limits, &unlimited), 0);
	assert_int_equal(unlimited, 1u << CGROUP_MEMORY | 1u << CGROUP_CPU | 1u << CGROUP_PIDS |
					    1u << CGROUP_IO);
	h = cgroup_close(h);
}

static int never(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 1;
}

static void test_cgroup_hybrid_takes_each_where_it_is(void **state)
{
	const struct mounted m[] = {
		{"cgroup", "cpu", "cpu", "/a"},	      {"cgroup", "cpuacct", "cpuacct", "/a"},
		{"cgroup", "memory", "memory", "/b"}, {"cgroup", "freezer", "freezer", "/"},
		{"cgroup", "pids", "pids", "/"},      {"cgroup2", "unified", "", "/"},
		{"cgroup", "sd", "name=systemd", "/"}};
	struct cgroup_host *h;
	char report[256];
	uint32_t unlimited;
	int fds[CGROUP_HIER_MAX];
	bool v2;

	(void)state;
	files("cpu/a/fw", v1_cpu);
	files("memory/b/fw", v1_memory);
	files("freezer/fw", v1_freezer);
	files("pids/fw", v1_pids);
	files("unified/fw",
	      (const char *const[]){"cgroup.freeze", "cgroup.kill", "cpu.stat", NULL});
	scratch_write(path("unified/fw/cgroup.subtree_control"), "hugetlb\n");
	assert_int_equal(open_host(m, ARRAY_SIZE(m), &h), 0);
	assert_string_equal(cgroup_layout(h), "hybrid");
	cgroup_report(h, report, sizeof(report));
	assert_string_equal(report, "memory v1, cpu v1, pids v1, io none, freeze v1, kill v2");
	/* cpuacct serves nothing: no sandbox joins it. */
	assert_int_equal(cgroup_hiers(h, fds, &v2), 5);
	assert_true(v2);
	/* An empty group is always frozen beside the others, and is none of them. */
	assert_int_equal(access(path("freezer/fw/hold"), F_OK), 0);
	assert_int_equal(cgroup_group_each(h, never, NULL), 0);
	files("cpu/a/fw/g", v1_cpu);
	files("memory/b/fw/g", v1_memory);
	files("pids/fw/g", v1_pids);
	assert_int_equal(cgroup_group_limit(h, "g", &limits, &unlimited), 0);
	assert_int_equal(unlimited, 1u << CGROUP_IO);
	assert_string_equal(get(path("memory/b/fw/g/memory.limit_in_bytes")), "67108864");
	assert_string_equal(get(path("cpu/a/fw/g/cpu.cfs_quota_us")), "50000");
	assert_string_equal(get(path("cpu/a/fw/g/cpu.shares")), "3072");
	assert_string_equal(get(path("pids/fw/g/pids.max")), "33");
	/* Killed by v2, and thawed so that it can die. */
	files("unified/fw/g", (const char *const[]){"cgroup.kill", NULL});
	files("freezer/fw/g", v1_freezer);
	assert_int_equal(cgroup_group_freeze(h, "g", true), 0);
	assert_string_equal(get(path("freezer/fw/g/freezer.state")), "FROZEN");
	assert_int_equal(cgroup_group_kill(h, "g"), 0);
	assert_string_equal(get(path("unified/fw/g/cgroup.kill")), "1");
	assert_string_equal(get(path("freezer/fw/g/freezer.state")), "THAWED");
	(void)cgroup_remove_base(h); /* plain files are not removed with their directory */
	assert_int_equal(access(path("freezer/fw/hold"), F_OK), -1);
	h = cgroup_close(h);
}

static void test_cgroup_pure_v1_with_comounted_cpu_and_freezer(void **state)
{
	const struct mounted m[] = {{"cgroup", "cpu,cpuacct", "cpu,cpuacct", "/x"},
				    {"cgroup", "memory", "memory", "/"},
				    {"cgroup", "freezer", "freezer", "/"},
				    {"cgroup", "blkio", "blkio", "/"}};
	struct cgroup_host *h;
	char report[256];
	uint32_t unlimited;
	bool frozen;

	(void)state;
	files("cpu,cpuacct/x/fw", v1_cpu);
	files("memory/fw", v1_memory);
	files("freezer/fw", v1_freezer);
	files("blkio/fw", v1_blkio);
	assert_int_equal(open_host(m, ARRAY_SIZE(m), &h), 0);
	assert_string_equal(cgroup_layout(h), "v1");
	cgroup_report(h, report, sizeof(report));
	assert_string_equal(report, "memory v1, cpu v1, pids none, io v1, freeze v1, kill none");
	files("cpu,cpuacct/x/fw/g", v1_cpu);
	files("memory/fw/g", v1_memory);
	files("freezer/fw/g", v1_freezer);
	files("blkio/fw/g", v1_blkio);
	assert_int_equal(cgroup_group_limit(h, "g", &limits, &unlimited), 0);
	assert_int_equal(unlimited, 1u << CGROUP_PIDS);
	assert_string_equal(get(path("blkio/fw/g/blkio.bfq.weight")), "50");
	assert_int_equal(cgroup_group_freeze(h, "g", true), 0);
	assert_string_equal(get(path("freezer/fw/g/freezer.state")), "FROZEN");
	assert_int_equal(cgroup_group_frozen(h, "g", &frozen), 0);
	assert_true(frozen);
	assert_int_equal(cgroup_group_freeze(h, "g", false), 0);
	assert_string_equal(get(path("freezer/fw/g/freezer.state")), "THAWED");
	h = cgroup_close(h);
}

/* The smallest and the largest, a neutral one and an odd one. */
static void test_cgroup_a_weight_is_shares_on_v1(void **state)
{
	static const struct {
		uint32_t weight;
		const char *shares, *v2;
	} cases[] = {{1, "10", "1"},
		     {33, "337", "33"},
		     {100, "1024", "100"},
		     {10000, "102400", "10000"}};
	const struct mounted v1[] = {{"cgroup", "cpu", "cpu", "/"}},
			     v2[] = {{"cgroup2", "cg", "", "/"}};
	struct cgroup_knob k[CGROUP_KNOB_MAX];
	struct cgroup_host *h;
	uint32_t unlimited = 0;

	(void)state;
	files("cpu/fw", v1_cpu);
	files("cg/fw", v2_files);
	scratch_write(path("cg/fw/cgroup.subtree_control"), "cpu\n");
	for (int way = CGROUP_V1; way <= CGROUP_V2; way++) {
		assert_int_equal(open_host(way == CGROUP_V1 ? v1 : v2, 1, &h), 0);
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct cgroup_limits l = {.cpu_weight = cases[i].weight};

			/* No quota was asked for. */
			assert_int_equal(cgroup_knobs(h, &l, k, &unlimited), 1);
			assert_int_equal(unlimited, 0);
			assert_string_equal(k[0].file,
					    way == CGROUP_V1 ? "cpu.shares" : "cpu.weight");
			assert_string_equal(k[0].value,
					    way == CGROUP_V1 ? cases[i].shares : cases[i].v2);
		}
		h = cgroup_close(h);
	}
}

static void test_cgroup_the_base_weighs_what_it_is_told(void **state)
{
	const struct mounted v1[] = {{"cgroup", "cpu", "cpu", "/"}},
			     v2[] = {{"cgroup2", "cg", "", "/"}};
	struct cgroup_host *h;

	(void)state;
	files("cpu/fw", v1_cpu);
	files("cg/fw", v2_files);
	scratch_write(path("cg/fw/cgroup.subtree_control"), "cpu\n");
	assert_int_equal(open_host(v1, 1, &h), 0);
	assert_int_equal(cgroup_weigh(h, 450), 0);
	assert_string_equal(get(path("cpu/fw/cpu.shares")), "4608");
	assert_int_equal(cgroup_weigh(h, 128 * 10000), 0);
	assert_string_equal(get(path("cpu/fw/cpu.shares")), "262144");
	h = cgroup_close(h);
	assert_int_equal(open_host(v2, 1, &h), 0);
	assert_int_equal(cgroup_weigh(h, 450), 0);
	assert_string_equal(get(path("cg/fw/cpu.weight")), "450");
	/* Not written once more. */
	scratch_write(path("cg/fw/cpu.weight"), "untouched");
	assert_int_equal(cgroup_weigh(h, 450), 0);
	assert_string_equal(get(path("cg/fw/cpu.weight")), "untouched");
	assert_int_equal(cgroup_weigh(h, 128 * 10000), 0);
	assert_string_equal(get(path("cg/fw/cpu.weight")), "10000");
	h = cgroup_close(h);
}

/* The group our base is in: who is there, what it weighs, and what the base does. */
static void test_cgroup_a_group_of_ours_alone_weighs_what_the_base_does(void **state)
{
	static const struct {
		const char *name, *others, *own, *weight, *base, *then, *at_last;
	} cases[] = {
		{"nobody else", "", "/x/fw.service", "1024", "1024", "4608", "1024"},
		{"somebody else", "1\n", "/x/fw.service", "1024", "1024", "1024", "1024"},
		{"given a weight", "", "/x/fw.service", "512", "1024", "512", "512"},
		{"of an earlier daemon", "", "/x/fw.service", "9216", "9216", "4608", "1024"},
		{"the root", "", "/", "1024", "1024", "1024", "1024"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *own = cases[i].own;
		const struct mounted m[] = {{"cgroup", "cpu", "cpu", own}};
		struct cgroup_host *h;
		char text[64];

		files(path("cpu%s/fw", own) + strlen(dir) + 1, v1_cpu);
		(void)snprintf(text, sizeof(text), "%d\n%s", (int)getpid(), cases[i].others);
		scratch_write(path("cpu%s/cgroup.procs", own), text);
		scratch_write(path("cpu%s/cpu.shares", own), cases[i].weight);
		scratch_write(path("cpu%s/fw/cpu.shares", own), cases[i].base);
		assert_int_equal(open_host(m, 1, &h), 0);
		assert_int_equal(cgroup_weigh(h, 450), 0);
		printf("# %s\n", cases[i].name);
		assert_string_equal(get(path("cpu%s/cpu.shares", own)), cases[i].then);
		(void)cgroup_remove_base(h); /* plain files are not removed with their directory */
		assert_string_equal(get(path("cpu%s/cpu.shares", own)), cases[i].at_last);
		h = cgroup_close(h);
	}
}

static void test_cgroup_a_weight_that_nothing_weighs_by_is_told(void **state)
{
	const struct mounted m[] = {{"cgroup", "pids", "pids", "/"}};
	const struct cgroup_limits l = {.cpu_weight = 300};
	struct cgroup_knob k[CGROUP_KNOB_MAX];
	struct cgroup_host *h;
	uint32_t unlimited = 0;

	(void)state;
	files("pids/fw", v1_pids);
	assert_int_equal(open_host(m, 1, &h), 0);
	assert_int_equal(cgroup_knobs(h, &l, k, &unlimited), 0);
	assert_int_equal(unlimited, 1u << CGROUP_CPU);
	assert_int_equal(cgroup_weigh(h, 300), CGROUP_GONE);
	h = cgroup_close(h);
}

static void test_cgroup_v2_freeze_kill_and_readings(void **state)
{
	const struct mounted m[] = {{"cgroup2", "cg", "", "/"}};
	struct cgroup_host *h;
	uint64_t v;
	bool b;

	(void)state;
	files("cg/fw", v2_files);
	scratch_write(path("cg/fw/cgroup.subtree_control"), "memory\n");
	assert_int_equal(open_host(m, 1, &h), 0);
	files("cg/fw/g", v2_files);
	assert_int_equal(cgroup_group_freeze(h, "g", true), 0);
	assert_string_equal(get(path("cg/fw/g/cgroup.freeze")), "1");
	scratch_write(path("cg/fw/g/cgroup.events"), "populated 1\nfrozen 0\n");
	assert_int_equal(cgroup_group_frozen(h, "g", &b), 0);
	assert_false(b);
	scratch_write(path("cg/fw/g/cgroup.events"), "populated 0\nfrozen 1\n");
	assert_int_equal(cgroup_group_frozen(h, "g", &b), 0);
	assert_true(b);
	assert_int_equal(cgroup_group_kill(h, "g"), 0);
	assert_string_equal(get(path("cg/fw/g/cgroup.kill")), "1");
	scratch_write(path("cg/fw/g/memory.current"), "123456\n");
	assert_int_equal(cgroup_group_memory_bytes(h, "g", &v), 0);
	assert_int_equal(v, 123456);
	scratch_write(path("cg/fw/g/cpu.stat"), "usage_usec 5000\nuser_usec 1\n");
	assert_int_equal(cgroup_group_cpu_ns(h, "g", &v), 0);
	assert_int_equal(v, 5000000);
	assert_int_equal(cgroup_group_freeze(h, "nosuch", true), CGROUP_GONE);
	assert_int_equal(cgroup_group_kill(h, "nosuch"), CGROUP_GONE);
	assert_int_equal(cgroup_group_memory_bytes(h, "nosuch", &v), CGROUP_GONE);
	h = cgroup_close(h);
}

static void test_cgroup_a_container_sees_its_own_root_as_mounted(void **state)
{
	struct cgroup_options o = {.name = "fw"};
	struct cgroup_host *h;
	FILE *f = fopen(path("mountinfo"), "we");

	(void)state;
	/* The mount shows a subtree: field 4 is not "/", and /proc/self/cgroup starts with it. */
	fprintf(f, "30 21 0:30 /docker/abc %s/cg rw - cgroup2 cgroup rw\n", dir);
	fclose(f);
	scratch_write(path("cgroup"), "0::/docker/abc/inner\n");
	files("cg/inner/fw", v2_files);
	scratch_write(path("cg/inner/fw/cgroup.subtree_control"), "");
	o.mountinfo = path("mountinfo");
	o.proc_cgroup = path("cgroup");
	assert_int_equal(cgroup_open(&o, &h), 0);
	assert_int_equal(mkdir(path("cg/inner/fw/g"), 0755), 0);
	assert_int_equal(cgroup_group_remove(h, "g"), 0);
	assert_int_not_equal(access(path("cg/inner/fw/g"), F_OK), 0);
	h = cgroup_close(h);
}

/* As a second cgroup_open() of the daemon finds it. */
static void test_cgroup_who_has_moved_aside_weighs_little_there(void **state)
{
	struct cgroup_options o = {.name = "fw", .enable_controllers = true};
	struct cgroup_host *h;
	FILE *f = fopen(path("mountinfo"), "we");

	(void)state;
	fprintf(f, "30 21 0:30 / %s/cg rw - cgroup2 cgroup rw\n", dir);
	fclose(f);
	scratch_write(path("cgroup"), "0::/fw.service/daemon\n");
	files("cg/fw.service/fw", v2_files);
	files("cg/fw.service/daemon", v2_files);
	files("cg/fw.service",
	      (const char *const[]){"cgroup.procs", "cgroup.subtree_control", NULL});
	scratch_write(path("cg/fw.service/cgroup.controllers"), "cpu io\n");
	scratch_write(path("cg/fw.service/fw/cgroup.subtree_control"), "");
	o.mountinfo = path("mountinfo");
	o.proc_cgroup = path("cgroup");
	assert_int_equal(cgroup_open(&o, &h), 0);
	h = cgroup_close(h);
	assert_string_equal(get(path("cg/fw.service/daemon/cpu.weight")), "50");
	assert_string_equal(get(path("cg/fw.service/daemon/io.weight")), "default 20");
	assert_int_equal(access(path("cg/fw.service/daemon/fw"), F_OK), -1);
	/* With somebody else around, it is a group like any other. */
	scratch_write(path("cg/fw.service/cgroup.procs"), "1\n");
	o.mountinfo = path("mountinfo");
	o.proc_cgroup = path("cgroup");
	assert_int_equal(cgroup_open(&o, &h), 0);
	h = cgroup_close(h);
	assert_int_equal(access(path("cg/fw.service/daemon/fw"), F_OK), 0);
}

static void test_cgroup_no_groups_at_all_is_a_fault(void **state)
{
	struct cgroup_options o = {0};
	struct cgroup_host *h;

	(void)state;
	scratch_write(path("mountinfo"),
		      "21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\ngarbage\n - \n");
	o.mountinfo = path("mountinfo");
	assert_int_equal(cgroup_open(&o, &h), -ENOENT);
	o.mountinfo = path("nosuch");
	assert_int_equal(cgroup_open(&o, &h), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cgroup_pure_v2_limits_all, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_cgroup_v2_without_controllers_says_what_it_cannot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_hybrid_takes_each_where_it_is, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_pure_v1_with_comounted_cpu_and_freezer,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_a_weight_is_shares_on_v1, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_cgroup_a_group_of_ours_alone_weighs_what_the_base_does, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_the_base_weighs_what_it_is_told, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_a_weight_that_nothing_weighs_by_is_told,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_v2_freeze_kill_and_readings, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_cgroup_a_container_sees_its_own_root_as_mounted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_who_has_moved_aside_weighs_little_there,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_cgroup_no_groups_at_all_is_a_fault, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
