// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A real script, real programs, the real daemon: after three runs the files of the later steps are
 * evicted, the first step runs, and they must be resident before those steps start. The script
 * waits at a gate before each later step, so "before" is not a matter of luck.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"
#include "support/job.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES = 3 };

/* Residency is looked at again after 50 ms: evictions behind our back are this test's point. */
static const char *const sets[] = {"plan.recheck=50ms", "plan.io-pressure-max=100%",
				   "plan.memory-pressure-max=100%", NULL};

static void test_later_steps_are_resident_before_they_run(void **state)
{
	struct forewarmd f;
	struct job s;
	struct job_file second_look, third_look;
	bool second = false, third = false;

	(void)state;
	job_init(&f, &s, JOB_STEPS("third"), sets);
	for (int i = 0; i < 3; i++) {
		job_start(&s);
		job_finish(&s);
		usleep(300000); /* the runs are some time apart, as a person's are */
	}
	second_look = job_look(&s, "second");
	third_look = job_look(&s, "third");
	usleep(300000); /* what the daemon expects of the last run has come and gone */
	for (int i = 0; i < TRIES && !(second && third); i++) {
		job_evict(second_look);
		job_evict(third_look);
		assert_true(job_resident(second_look) < 0.1 && job_resident(third_look) < 0.1);
		job_start(
			&s); /* stops at the first gate: nothing of ours has read second or third */
		second = job_wait_resident(second_look);
		third = job_wait_resident(third_look);
		job_finish(&s);
	}
	if (!second || !third)
		forewarmd_show_log(&f);
	assert_true(second);
	assert_true(third);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static bool wait_gone(struct job_file l)
{
	for (int ms = 0; ms < 5000; ms += 10) {
		if (job_resident(l) < 0.1)
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
	struct job s;
	struct job_file second, third;
	bool read_ahead = false, gone = false;
	char path[128];
	int status;

	(void)state;
	job_init(&f, &s, JOB_STEPS("third"), sets);
	second = job_look(&s, "second");
	third = job_look(&s, "third");
	for (int i = 0; i < TRIES && !gone; i++) {
		_cleanup_(closep) int fd = -1;

		for (int k = 0; k < 3; k++) { /* one that was killed taught that it may end early */
			job_start(&s);
			job_finish(&s);
			usleep(300000);
		}
		job_evict(second);
		job_evict(third);
		job_start(&s);
		read_ahead = job_wait_resident(second) && job_wait_resident(third);
		job_path(&s, "third", path);
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
	assert_true(job_resident(third) >= 0.33);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

static void test_a_changed_habit_is_followed(void **state)
{
	struct forewarmd f;
	struct job s;
	struct job_file other_look, third_look;
	bool other = false, third = true;

	(void)state;
	job_init(&f, &s, JOB_STEPS("third"), sets);
	for (int i = 0; i < 6; i++) {
		job_start(&s);
		job_finish(&s);
	}
	job_write(&s, JOB_STEPS("other"));
	for (int i = 0; i < 20; i++) {
		job_start(&s);
		job_finish(&s);
	}
	other_look = job_look(&s, "other");
	third_look = job_look(&s, "third");
	for (int i = 0; i < TRIES && !(other && !third); i++) {
		usleep(300000);
		job_evict(other_look);
		job_evict(third_look);
		job_start(&s);
		other = job_wait_resident(other_look);
		third = job_resident(third_look) > 0.1;
		job_finish(&s);
	}
	if (!other || third)
		forewarmd_show_log(&f);
	assert_true(other);
	assert_false(third);
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_fini(&f);
}

/* One that watches the whole host sees our job too, and reads for it what it thinks right. */
static bool another_watches(pid_t ours)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		_cleanup_(fclosep) FILE *f = NULL;
		char path[320], name[32] = "";

		(void)snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = atoi(e->d_name) > 0 && atoi(e->d_name) != ours ? fopen(path, "re") : NULL;
		found = f && fgets(name, sizeof(name), f) && strcmp(name, "forewarmd\n") == 0;
	}
	if (d)
		(void)closedir(d);
	return found;
}

/* What the daemon learnt of the parts of a file is there again after its restart: the first run then is
 * prepared for by parts. Without, the whole file would be read. */
static void test_parts_are_known_after_a_restart(void **state)
{
	struct forewarmd f;
	struct job s;
	struct job_file look;
	double share = 0;
	bool other;

	(void)state;
	job_init(&f, &s,
		 "cat first >/dev/null\nread x <gate1\n"
		 "dd if=second of=/dev/null bs=65536 skip=16 count=8 2>/dev/null\n"
		 "read x <gate2\n",
		 sets);
	look = job_look(&s, "second");
	for (int i = 0; i < 4; i++) {
		job_evict(look);
		job_start(&s);
		job_finish(&s);
		usleep(300000);
	}
	sleep(2); /* which pages were used is taken from the kernel each second */
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_start(&f, sets);
	for (int i = 0; i < TRIES && share == 0; i++) {
		job_evict(look);
		job_start(&s);
		for (int ms = 0; ms < 3000 && share == 0; ms += 50) {
			usleep(50000);
			share = job_resident(look);
		}
		usleep(300000);
		share = job_resident(look);
		job_finish(&s);
	}
	/* 512 of 3,072 KiB, and what is read ahead of a read() besides. */
	if (share < 0.16 || share > 0.5)
		forewarmd_show_log(&f);
	other = share > 0.5 && another_watches(f.pid);
	if (other) {
		assert_int_equal(forewarmd_stop(&f), 0);
		forewarmd_fini(&f);
		skip_because("another forewarmd watches this host, and may have read the file");
	}
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
