// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Containers of an image of three layers, one after the other: when the next one's runtime starts, and no process
 * of the image lives nor is its root mounted, what its program will read is read ahead from the layers. The
 * runtime (helpers/container.c) waits at a gate before it makes the container.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"
#include "support/job.h"
#include "support/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES = 8, LOOK_US = 300000 /* most programs live long enough to be looked at */ };

static const char *const sets[] = {"plan.recheck=50ms", "plan.io-pressure-max=100%",
				   "plan.memory-pressure-max=100%", NULL};

static struct forewarmd f = {.pid = -1, .notify_fd = -1};
static struct job job;
static int input = -1;
static struct job_file hidden, data, more;

/* Layer LAYER, made when it is not there, has that file. */
static void write_data(const char *layer, const char *name)
{
	static char block[1 << 16];
	char path[128];
	int fd;

	job_path(&job, layer, path);
	(void)mkdir(path, 0755);
	snprintf(path + strlen(path), 32, "/%s", name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	memset(block, 'x', sizeof(block));
	for (int n = 0; n < JOB_FILE_BYTES; n += (int)sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

static void make_layers(void)
{
	char cmd[1024];

	write_data("one", "data");
	write_data("two:2", "data");
	write_data("three", "more");
	/* The program and its libraries are the lowest. */
	snprintf(cmd, sizeof(cmd),
		 "cp --parents -L /bin/cat $(ldd /bin/cat | grep -o '/[^ ]*') %s/one && mkfifo "
		 "%s/gate && "
		 "cp %s/tests/helpers/container %s/launch",
		 job.dir, job.dir, getenv("FWM_OUT") ? getenv("FWM_OUT") : ".output", job.dir);
	assert_int_equal(system(cmd), 0);
}

/* As an engine names many layers: from where they are. The program ends when we close its input. */
static void start(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	job.pid = fork();
	assert_true(job.pid >= 0);
	if (job.pid) {
		close(ends[0]);
		input = ends[1];
		return;
	}
	if (chdir(job.dir) || !freopen("/dev/null", "w", stdout) || dup2(ends[0], 0) < 0)
		_exit(126);
	execl("./launch", "launch", "gate", ".", "three:two\\:2:one", "/bin/cat", "/data", "/more",
	      "-", NULL);
	_exit(127);
}

static int finish(void)
{
	const char *scale = getenv("TEST_SCALE"); /* set on slow machines */
	char path[128];
	int fd, status;

	job_path(&job, "gate", path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	usleep(LOOK_US * (scale ? (unsigned)atoi(scale) : 1));
	close(input);
	assert_int_equal(waitpid(job.pid, &status, 0), job.pid);
	return status;
}

static void give_up(void)
{
	int status;

	assert_int_equal(kill(job.pid, SIGKILL), 0);
	assert_int_equal(waitpid(job.pid, &status, 0), job.pid);
	close(input);
}

/* A runtime starts: is what the program will read there before the gate is opened? No process of the image lives
 * meanwhile, nor between two tries. On a fast disk a young habit is not worth the reading: each try goes to its
 * end and is one more to learn from. */
static bool foretold(void)
{
	bool there = false;

	for (int i = 0; i < TRIES && !there; i++) {
		job_evict(data);
		job_evict(more);
		job_evict(hidden);
		assert_true(job_resident(data) < 0.1 && job_resident(more) < 0.1);
		start();
		there = job_wait_resident(data) && job_wait_resident(more);
		assert_true(job_resident(hidden) < 0.1);
		assert_int_equal(finish(), 0);
	}
	return there;
}

static void show(void)
{
	char cmd[1024];

	forewarmd_show_log(&f);
	snprintf(cmd, sizeof(cmd),
		 "c='%s/forewarm --socket %s/run/control.sock'; $c images; $c deps launch; "
		 "for n in $($c why /data --json | grep -o 'image:[^\"]*' | sort -u); do $c why "
		 "\"$n\"; done",
		 getenv("FWM_OUT") ? getenv("FWM_OUT") : ".output", f.dir);
	(void)!system(cmd);
}

static void test_an_image_is_warmed_while_none_of_it_lives(void **state)
{
	bool there;

	(void)state;
	for (int i = 0; i < 4; i++) {
		start();
		assert_int_equal(finish(), 0);
	}
	there = foretold();
	if (!there)
		show();
	assert_true(there);
}

/* Where its layers are is kept with what was learnt. */
static void test_it_is_so_after_a_restart(void **state)
{
	(void)state;
	assert_int_equal(forewarmd_stop(&f), 0);
	forewarmd_start(&f, sets);
	assert_true(foretold());
}

/* That files in layers are worth reading rests on this. */
static void test_an_overlay_has_the_pages_of_its_layers(void **state)
{
	static char buf[64 << 10];
	int status;

	(void)state;
	job_evict(data);
	assert_int_equal(pread(data.fd, buf, sizeof(buf), 0), sizeof(buf));
	job.pid = fork();
	if (job.pid == 0) {
		char path[128];

		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    chdir(job.dir) || mkdir("seen", 0755) ||
		    mount("overlay", "seen", "overlay", MS_RDONLY, "lowerdir=three:two\\:2:one"))
			_exit(2);
		job_path(&job, "seen/data", path);
		_exit(pages_of_file(path) >= sizeof(buf) ? 0 : 1);
	}
	assert_int_equal(waitpid(job.pid, &status, 0), job.pid);
	assert_int_equal(status, 0);
}

/* Of the same name and not the same directory: another image, of which nothing is known. */
static void test_a_layer_replaced_is_left_alone(void **state)
{
	struct job_file other;
	char path[128], was[128];

	(void)state;
	job_path(&job, "two:2", path);
	job_path(&job, "was", was);
	assert_int_equal(rename(path, was), 0);
	write_data("two:2", "data");
	other = job_look(&job, "two:2/data");
	usleep(1200000); /* what was open of it is closed */
	job_evict(data);
	job_evict(other);
	start();
	usleep(1000000);
	assert_true(job_resident(other) < 0.1);
	assert_true(job_resident(data) < 0.1);
	give_up();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int group_setup(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	forewarmd_init(&f);
	snprintf(job.dir, sizeof(job.dir), "%s/image", f.dir);
	mkdir(job.dir, 0755);
	make_layers();
	data = job_look(&job, "two:2/data");
	more = job_look(&job, "three/more");
	hidden = job_look(&job, "one/data");
	start();
	if (finish() != 0) /* before there is a daemon to learn from it */
		return 0;
	f.only_us = true;
	forewarmd_start(&f, sets);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	if (f.pid > 0)
		(void)forewarmd_stop(&f);
	if (job.dir[0])
		(void)nftw(job.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	forewarmd_fini(&f);
	return 0;
}

/* Before each. */
static int need(void **state)
{
	(void)state;
	forewarmd_need();
	if (f.pid < 0)
		skip_because("no container can be made here");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_an_image_is_warmed_while_none_of_it_lives, need),
		cmocka_unit_test_setup(test_it_is_so_after_a_restart, need),
		cmocka_unit_test_setup(test_an_overlay_has_the_pages_of_its_layers, need),
		cmocka_unit_test_setup(test_a_layer_replaced_is_left_alone, need),
	};

	return cmocka_run_group_tests_name("image ahead", tests, group_setup, group_teardown);
}
