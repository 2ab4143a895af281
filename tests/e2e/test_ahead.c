// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A real script, real programs, the real daemon: after three runs the files of the later steps are
 * evicted, the first step runs, and they must be resident before those steps start. The script
 * waits at a gate (a FIFO) before each later step, so "before" is not a matter of luck.
 *
 * Evicts its own files only, one by one with POSIX_FADV_DONTNEED.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_BYTES = 3 << 20, TRIES = 3 };

struct script {
	char dir[80];
	pid_t pid;
};

static void path_of(const struct script *s, const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", s->dir, name);
}

static void write_data(const struct script *s, const char *name)
{
	static char block[1 << 16];
	char path[128];
	_cleanup_(closep) int fd = -1;

	path_of(s, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	memset(block, name[0], sizeof(block));
	for (int i = 0; i < FILE_BYTES; i += (int)sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
}

static void write_script(const struct script *s, const char *text)
{
	char path[128];
	_cleanup_(fclosep) FILE *f = NULL;

	path_of(s, "job.sh", path);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\ncd %s\n%s", s->dir, text);
	assert_int_equal(fchmod(fileno(f), 0755), 0);
}

/* A mapping nothing is read through: looking at it is no open, which the daemon would see as a need. */
struct look {
	void *map;
	int fd;
};

static struct look look_at(const struct script *s, const char *name)
{
	struct look l;
	char path[128];

	path_of(s, name, path);
	l.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(l.fd >= 0);
	l.map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, l.fd, 0);
	assert_ptr_not_equal(l.map, MAP_FAILED);
	return l;
}

static void evict(struct look l)
{
	assert_int_equal(posix_fadvise(l.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/* Share of the file's pages that are in memory. */
static double resident(struct look l)
{
	static unsigned char pages[FILE_BYTES / 4096];
	size_t n = 0;

	assert_int_equal(mincore(l.map, FILE_BYTES, pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		n += pages[i] & 1;
	return (double)n / sizeof(pages);
}

static void start(struct script *s)
{
	char path[128];

	path_of(s, "job.sh", path);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		execl(path, path, NULL);
		_exit(127);
	}
}

/* Lets the script pass one gate. Each gate is a FIFO of its own: a line for the next one must not be
 * read at this one. */
static void pass(const struct script *s, const char *gate)
{
	char path[128];
	_cleanup_(closep) int fd = -1;

	path_of(s, gate, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "\n", 1), 1);
}

static void finish(struct script *s)
{
	int status;

	pass(s, "gate1");
	pass(s, "gate2");
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, 0);
}

static void init(struct forewarmd *f, struct script *s, const char *text)
{
	/* Residency is looked at again after 50 ms: evictions behind our back are this test's point. */
	static const char *const sets[] = {"plan.recheck=50ms", "plan.io-pressure-max=100%",
					   "plan.memory-pressure-max=100%", NULL};
	char gate[128];

	forewarmd_need();
	forewarmd_init(f);
	snprintf(s->dir, sizeof(s->dir), "%s/job", f->dir);
	assert_int_equal(mkdir(s->dir, 0755), 0);
	path_of(s, "gate1", gate);
	assert_int_equal(mkfifo(gate, 0600), 0);
	path_of(s, "gate2", gate);
	assert_int_equal(mkfifo(gate, 0600), 0);
	write_data(s, "first");
	write_data(s, "second");
	write_data(s, "third");
	write_data(s, "other");
	write_script(s, text);
	forewarmd_start(f, sets);
}

static bool wait_resident(struct look l)
{
	for (int ms = 0; ms < 5000; ms += 10) {
		if (resident(l) >= 0.99)
			return true;
		usleep(10000);
	}
	return false;
}

#define STEPS(last)                                                                                \
	"cat first >/dev/null\n"                                                                   \
	"read x <gate1\n"                                                                          \
	"sha256sum second >/dev/null\n"                                                            \
	"read x <gate2\n"                                                                          \
	"wc -c " last " >/dev/null; cksum " last " >/dev/null\n"

static void test_later_steps_are_resident_before_they_run(void **state)
{
	struct forewarmd f;
	struct script s;
	struct look second_look, third_look;
	bool second = false, third = false;

	(void)state;
	init(&f, &s, STEPS("third"));
	for (int i = 0; i < 3; i++) {
		start(&s);
		finish(&s);
		usleep(300000); /* the runs are some time apart, as a person's are */
	}
	second_look = look_at(&s, "second");
	third_look = look_at(&s, "third");
	usleep(300000); /* what the daemon expects of the last run has come and gone */
	for (int i = 0; i < TRIES && !(second && third); i++) {
		evict(second_look);
		evict(third_look);
		assert_true(resident(second_look) < 0.1 && resident(third_look) < 0.1);
		start(&s); /* stops at the first gate: nothing of ours has read second or third */
		second = wait_resident(second_look);
		third = wait_resident(third_look);
		finish(&s);
	}
	if (!second || !third)
		forewarmd_show_log(&f);
	assert_true(second);
	assert_true(third);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static bool wait_gone(struct look l)
{
	for (int ms = 0; ms < 5000; ms += 10) {
		if (resident(l) < 0.1)
			return true;
		usleep(10000);
	}
	return false;
}

/* The script ends before the steps that were foreseen: what was read for them is let go, but for what somebody
 * read meanwhile. */
static void test_what_was_read_in_vain_is_let_go(void **state)
{
	static char buf[1 << 20];
	struct forewarmd f;
	struct script s;
	struct look second, third;
	bool read_ahead = false, gone = false;
	char path[128];
	int status;

	(void)state;
	init(&f, &s, STEPS("third"));
	second = look_at(&s, "second");
	third = look_at(&s, "third");
	for (int i = 0; i < TRIES && !gone; i++) {
		_cleanup_(closep) int fd = -1;

		for (int k = 0; k < 3; k++) { /* one that was killed taught that it may end early */
			start(&s);
			finish(&s);
			usleep(300000);
		}
		evict(second);
		evict(third);
		start(&s);
		read_ahead = wait_resident(second) && wait_resident(third);
		path_of(&s, "third", path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(read(fd, buf, sizeof(buf)), sizeof(buf));
		assert_int_equal(kill(s.pid, SIGKILL), 0);
		assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
		gone = read_ahead && wait_gone(second);
	}
	if (!gone)
		forewarmd_show_log(&f);
	assert_true(read_ahead);
	assert_true(gone);
	assert_true(resident(third) >= 0.33);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static void test_a_changed_habit_is_followed(void **state)
{
	struct forewarmd f;
	struct script s;
	struct look other_look, third_look;
	bool other = false, third = true;

	(void)state;
	init(&f, &s, STEPS("third"));
	for (int i = 0; i < 6; i++) {
		start(&s);
		finish(&s);
	}
	write_script(&s, STEPS("other"));
	for (int i = 0; i < 20; i++) {
		start(&s);
		finish(&s);
	}
	other_look = look_at(&s, "other");
	third_look = look_at(&s, "third");
	/* Other programs of the host use wc and cksum too: what counts is that a run goes by the new habit. */
	for (int i = 0; i < TRIES && !(other && !third); i++) {
		usleep(300000);
		evict(other_look);
		evict(third_look);
		start(&s);
		other = wait_resident(other_look);
		third = resident(third_look) > 0.1;
		finish(&s);
	}
	if (!other || third)
		forewarmd_show_log(&f);
	assert_true(other);
	assert_false(third);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

/* What the daemon learnt of the parts of a file is there again after its restart: the first run then is
 * prepared for by parts. Without, the whole file would be read. */
static void test_parts_are_known_after_a_restart(void **state)
{
	static const char *const sets[] = {"plan.recheck=50ms", "plan.io-pressure-max=100%",
					   "plan.memory-pressure-max=100%", NULL};
	struct forewarmd f;
	struct script s;
	struct look look;
	double share = 0;

	(void)state;
	init(&f, &s,
	     "cat first >/dev/null\nread x <gate1\n"
	     "dd if=second of=/dev/null bs=65536 skip=16 count=8 2>/dev/null\n"
	     "read x <gate2\n");
	look = look_at(&s, "second");
	for (int i = 0; i < 4; i++) {
		evict(look);
		start(&s);
		finish(&s);
		usleep(300000);
	}
	sleep(2); /* which pages were used is taken from the kernel each second */
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_start(&f, sets);
	for (int i = 0; i < TRIES && share == 0; i++) {
		evict(look);
		start(&s);
		for (int ms = 0; ms < 3000 && share == 0; ms += 50) {
			usleep(50000);
			share = resident(look);
		}
		usleep(300000);
		share = resident(look);
		finish(&s);
	}
	/* 512 of 3,072 KiB, and what is read ahead of a read() besides. */
	if (share < 0.16 || share > 0.5)
		forewarmd_show_log(&f);
	assert_true(share >= 0.16);
	assert_true(share <= 0.5);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static void test_nothing_is_left_behind(void **state)
{
	struct forewarmd f;
	char path[128];

	(void)state;
	forewarmd_need();
	forewarmd_init(&f);
	forewarmd_start(&f, NULL);
	assert_int_equal(access(f.pins, F_OK), 0);
	assert_int_equal(forewarmd_stop(&f), 0);
	assert_int_not_equal(access(f.pins, F_OK), 0);
	snprintf(path, sizeof(path), "%s/run/control.sock", f.dir);
	assert_int_not_equal(access(path, F_OK), 0);
	forewarmd_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_steps_are_resident_before_they_run),
		cmocka_unit_test(test_what_was_read_in_vain_is_let_go),
		cmocka_unit_test(test_a_changed_habit_is_followed),
		cmocka_unit_test(test_parts_are_known_after_a_restart),
		cmocka_unit_test(test_nothing_is_left_behind),
	};

	return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
