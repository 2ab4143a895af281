/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's account of used pages: exactly what a program touched, and nothing it did not. */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "sys/capture.h"
#include "sys/pageuse.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <forewarm/used.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_PAGES = 1024, PAGE = 4096, MANY = 4000 };

static char path[512];
static struct capture *capture;
static uint8_t used[FILE_PAGES];
static uint32_t first_us[FILE_PAGES];
static bool rough;

/* What the subject does with the file: three reads, one by a child, then two touches of a mapping. */
static int subject(const char *file)
{
	static char buf[2 * PAGE];
	int fd = open(file, O_RDONLY);
	volatile char *map;
	char sum;
	pid_t pid;

	if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		return 1;
	if (pread(fd, buf, PAGE, 0) != PAGE || pread(fd, buf, 2 * PAGE, 100 * PAGE) != 2 * PAGE ||
	    pread(fd, buf, 10, 200 * PAGE + PAGE - 4) != 10)
		return 2;
	pid = fork();
	if (pid == 0)
		_exit(pread(fd, buf, PAGE, 300 * PAGE) != PAGE);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return 4;
	usleep(20000);
	map = mmap(NULL, FILE_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 3;
	(void)madvise((void *)(uintptr_t)map, FILE_PAGES * PAGE, MADV_RANDOM);
	sum = map[608 * PAGE];
	sum = (char)(sum + map[912 * PAGE]);
	return sum == 'y';
}

static void collect(void *ctx, const struct pageuse_run *run)
{
	const struct stat *st = ctx;

	if (run->ino != st->st_ino)
		return;
	rough = rough || run->rough;
	for (size_t i = 0; i < run->uses_n; i++)
		for (uint32_t u = 0; u < RANGES_CELL_UNITS; u++) {
			uint32_t page = run->uses[i].cell * RANGES_CELL_UNITS + u;

			if (!(run->uses[i].units >> u & 1))
				continue;
			assert_in_range(page, 0, FILE_PAGES - 1);
			used[page] = 1;
			first_us[page] = run->uses[i].first_us;
		}
}

/* Runs the subject and fills used; returns how many pages that is. */
static int run_subject(void)
{
	char *const argv[] = {(char *)"/proc/self/exe", (char *)"subject", path, NULL};
	int status, n = 0;
	uint64_t full;
	struct stat st;
	pid_t pid = fork();

	if (pid == 0) {
		execv(argv[0], argv);
		_exit(9);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat(path, &st), 0);
	memset(used, 0, sizeof(used));
	assert_int_equal(pageuse_take(capture_used_pages(capture, &full), collect, &st, NULL), 0);
	assert_int_equal(full, 0);
	for (int i = 0; i < FILE_PAGES; i++)
		n += used[i];
	return n;
}

static int group_setup(void **state)
{
	const char *out = getenv("FWM_OUT");
	char why[CAPTURE_WHY_MAX] = "";
	const struct capture_opts opts = {.why = why, .trace_children = true};
	static char block[PAGE];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/pageuse.%d", out ? out : "/var/tmp", getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < FILE_PAGES; i++)
		if (write(fd, block, PAGE) != PAGE)
			return -1;
	if (fsync(fd) || close(fd))
		return -1;
	if (geteuid() == 0 && capture_open(&opts, &capture) < 0) {
		printf("# %s\n", why);
		return -1;
	}
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	capture_close(capture);
	return unlink(path);
}

static void need_exact(uint64_t for_ns)
{
	int r;

	if (!capture)
		skip_because("not root");
	r = capture_learn_pages(capture, for_ns);
	if (r == CAPTURE_NO_PAGES)
		skip_because("this kernel has no mm_filemap tracepoints");
	assert_int_equal(r, 0);
	run_subject();
	if (rough)
		skip_because("this kernel only tells what enters the page cache");
}

static void test_pageuse_sees_exactly_what_was_touched(void **state)
{
	(void)state;
	need_exact(10000000000ull);
	run_subject();
	for (int i = 0; i < 608; i++) /* read(): to the page, no read-ahead */
		assert_int_equal(used[i], i == 0 || i == 100 || i == 101 || i == 200 || i == 201 ||
						  i == 300 /* a child that executed nothing */);
	assert_int_equal(used[608], 1);
	assert_int_equal(used[912], 1);
	for (int i = 608; i < FILE_PAGES; i++) /* a fault maps at most the 16 pages around it */
		assert_true(!used[i] || i / 16 == 608 / 16 || i / 16 == 912 / 16);
	assert_true(first_us[608] >= first_us[0] + 20000);
}

static void test_pageuse_learns_only_the_first_while(void **state)
{
	(void)state;
	need_exact(10000000);
	/* The subject naps 20 ms before it maps. */
	run_subject();
	assert_int_equal(used[608], 0);
	assert_int_equal(used[912], 0);
}

static void test_pageuse_off_sees_nothing(void **state)
{
	(void)state;
	need_exact(10000000000ull);
	assert_int_equal(capture_learn_pages(capture, 0), 0);
	assert_int_equal(run_subject(), 0);
}

struct named {
	const char *path;
	struct obs_file file;
};

static void name_it(void *ctx, const struct obs *o)
{
	struct named *n = ctx;

	if (o->kind == OBS_OPEN && strcmp(o->name, n->path) == 0)
		n->file = o->file;
}

static void find_it(void *ctx, const struct pageuse_run *run)
{
	const struct obs_file **f = ctx;

	if (*f && run->ino == (*f)->real_ino && run->dev == (*f)->real_dev && run->uses_n)
		*f = NULL;
}

/* The kernel tells the pages of the file below: the name must lead there. Upper and lower alike. */
static void test_pageuse_of_an_overlay_has_a_name(void **state)
{
	static const char *const below[] = {"lower", "upper"};
	char *const argv[] = {(char *)"/proc/self/exe", (char *)"subject", path, NULL};
	char dir[SCRATCH_DIR_MAX], command[2048], was[512];
	uint64_t full;

	(void)state;
	need_exact(10000000000ull);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		skip_because("no mount namespace of our own");
	snprintf(was, sizeof(was), "%s", path);
	assert_int_equal(scratch_make_in(dir, "/var/tmp", "overlay"), 0);
	for (size_t i = 0; i < 2; i++) {
		struct named named = {.path = path};
		const struct obs_file *left = &named.file;
		int status;
		pid_t pid;

		snprintf(command, sizeof(command),
			 "mkdir -p %s/lower %s/upper %s/work %s/at && cp %s %s/%s/data%zu && sync "
			 "%s/%s/data%zu && mount -t overlay overlay -o "
			 "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work %s/at",
			 dir, dir, dir, dir, was, dir, below[i], i, dir, below[i], i, dir, dir, dir,
			 dir);
		if (system(command) != 0)
			skip_because("an overlay cannot be mounted");
		snprintf(path, sizeof(path), "%s/at/data%zu", dir, i);
		/* A ring that others filled meanwhile would keep the subject's open as a count. */
		while (capture_drain(capture, 1000000, name_it, &named) == 1000000)
			;
		pid = fork();
		if (pid == 0) {
			execv(argv[0], argv);
			_exit(9);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		while (capture_drain(capture, 1000000, name_it, &named) == 1000000)
			;
		assert_int_not_equal(named.file.real_ino, 0);
		assert_int_equal(
			pageuse_take(capture_used_pages(capture, &full), find_it, &left, NULL), 0);
		assert_null(left);
		snprintf(command, sizeof(command), "umount %s/at", dir);
		assert_int_equal(system(command), 0);
	}
	assert_int_equal(scratch_remove(dir), 0);
	snprintf(path, sizeof(path), "%s", was);
}

static void collect_group(void *ctx, const struct pageuse_run *run)
{
	uint8_t *seen = ctx;

	assert_in_range(run->ino, 1, MANY);
	assert_int_equal(run->uses_n, 1);
	seen[run->ino - 1]++;
}

static int map_of_many(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "used_many", sizeof(struct fwm_used_key),
				sizeof(struct fwm_used_row), MANY, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void put_rows(int fd, uint64_t from, uint64_t end)
{
	for (uint64_t i = from; i < end; i++)
		assert_int_equal(bpf_map_update_elem(fd, &(struct fwm_used_key){.ino = i},
						     &(struct fwm_used_row){.pages = 1}, BPF_ANY),
				 0);
}

/* More than one visit of the kernel's takes: none is lost, none is told twice. */
static void test_many_rows_are_taken_in_one_visit(void **state)
{
	_cleanup_(closep) int fd = map_of_many();
	static uint8_t seen[MANY];
	size_t runs_n = 0;

	(void)state;
	put_rows(fd, 1, MANY + 1);
	assert_int_equal(pageuse_take(fd, collect_group, seen, &runs_n), 0);
	assert_int_equal(runs_n, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(pageuse_take(fd, collect_group, seen, &runs_n), 0);
	assert_int_equal(runs_n, 0);
}

static bool yes(void *ctx)
{
	(void)ctx;
	return true;
}

/* One run a go, also of what comes meanwhile: none is lost, none is told twice. */
static void test_rows_are_told_in_goes(void **state)
{
	const struct pause always = {.wanted = yes};
	_cleanup_(closep) int fd = map_of_many();
	static uint8_t seen[MANY];
	struct pageuse p = {0};
	size_t runs_n = 0, told_n = 0;
	int r;

	(void)state;
	put_rows(fd, 1, MANY / 2);
	do {
		r = pageuse_go(&p, fd, collect_group, seen, &always, &runs_n);
		assert_true(r == 0 || r == PAGEUSE_MORE);
		assert_true(runs_n <= 1);
		told_n += runs_n;
		if (told_n == 10)
			put_rows(fd, MANY / 2, MANY + 1);
	} while (r == PAGEUSE_MORE);
	assert_int_equal(told_n, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen[i], 1);
	assert_null(p.rows);
	assert_null(p.uses);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pageuse_sees_exactly_what_was_touched),
		cmocka_unit_test(test_pageuse_learns_only_the_first_while),
		cmocka_unit_test(test_pageuse_off_sees_nothing),
		cmocka_unit_test(test_pageuse_of_an_overlay_has_a_name),
		cmocka_unit_test(test_many_rows_are_taken_in_one_visit),
		cmocka_unit_test(test_rows_are_told_in_goes),
	};

	if (argc == 3 && !strcmp(argv[1], "subject"))
		return subject(argv[2]);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
