// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whom a connection resumes: who listens there now, however the client names it, and nobody else. */
#include "support/support.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "sys/halt.h"
#include "sys/resume.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	struct resume *resume;
	struct resume_target target; /* a stopped process */
	char dir[SCRATCH_DIR_MAX];
};

static int setup(void **state)
{
	static struct fixture f;
	int status;

	f = (struct fixture){0};
	assert_int_equal(scratch_make_on_disk(f.dir, "resume"), 0);
	f.target.pid = fork();
	assert_true(f.target.pid >= 0);
	if (f.target.pid == 0)
		for (;;)
			(void)pause();
	f.target.start = halt_start(f.target.pid);
	assert_int_equal(kill(f.target.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(f.target.pid, &status, WUNTRACED), f.target.pid);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->resume = resume_close(f->resume);
	(void)kill(f->target.pid, SIGKILL);
	(void)waitpid(f->target.pid, NULL, 0);
	return scratch_remove(f->dir);
}

static void open_or_skip(struct fixture *f)
{
	int r = resume_open(2, &f->resume);

	if (r == -EPERM)
		skip_because("needs root");
	if (r < 0 || !resume_stops(f->resume))
		skip_because("the kernel has no bpf_send_signal_task");
}

static struct sockaddr_un named(const struct fixture *f, char name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%c", f->dir, name);
	return a;
}

static int listens(const struct fixture *f, char name)
{
	struct sockaddr_un a = named(f, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void calls(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)a, sizeof(*a)), 0);
	(void)close(fd);
}

static bool fired(struct fixture *f, uint32_t slot)
{
	uint64_t seen, done;

	return resume_fired(f->resume, slot, &seen, &done);
}

static void await_running(const struct fixture *f)
{
	for (int i = 0; i < 4000 && halt_is(f->target.pid); i++)
		(void)usleep(1000);
	assert_false(halt_is(f->target.pid));
}

static void test_resume_forgets_a_socket_with_its_slot(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un to_a, to_b;
	int a, b;

	open_or_skip(f);
	to_a = named(f, 'a');
	to_b = named(f, 'b');
	a = listens(f, 'a');
	b = listens(f, 'b');
	assert_int_equal(resume_arm(f->resume, 1, &a, 1, &f->target), 0);
	assert_true(resume_disarm(f->resume, 1));
	assert_int_equal(resume_arm(f->resume, 1, &b, 1, &f->target), 0);
	calls(&to_a);
	assert_false(fired(f, 1));
	assert_true(halt_is(f->target.pid));
	calls(&to_b);
	await_running(f);
	assert_true(fired(f, 1));
	(void)close(a);
	(void)close(b);
}

static void test_resume_knows_a_socket_by_other_names(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "../a"};
	char below[80], was[512];
	int a;

	open_or_skip(f);
	a = listens(f, 'a');
	assert_int_equal(resume_arm(f->resume, 0, &a, 1, &f->target), 0);
	assert_non_null(getcwd(was, sizeof(was)));
	(void)snprintf(below, sizeof(below), "%s/below", f->dir);
	assert_int_equal(mkdir(below, 0700), 0);
	assert_int_equal(chdir(below), 0);
	calls(&to);
	assert_int_equal(chdir(was), 0);
	(void)rmdir(below);
	await_running(f);
	assert_true(fired(f, 0));
	(void)close(a);
}

static void test_resume_comes_back_from_rest(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un to;
	int a;

	open_or_skip(f);
	to = named(f, 'a');
	a = listens(f, 'a');
	assert_true(resume_rests(f->resume));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(resume_arm(f->resume, 0, &a, 1, &f->target), 0);
		assert_false(resume_rests(f->resume));
		calls(&to);
		assert_true(fired(f, 0));
		assert_int_equal(kill(f->target.pid, SIGSTOP), 0);
		resume_rest(f->resume);
		assert_true(resume_rests(f->resume));
	}
	(void)close(a);
}

/* As at the same port of two addresses: whom it is for is known later. */
static void test_resume_finds_each_of_the_same_name(void **state)
{
	struct fixture *f = *state;
	struct resume_target nobody = {.pidfd = -1};
	struct sockaddr_un to;
	int a;

	open_or_skip(f);
	to = named(f, 'a');
	a = listens(f, 'a');
	assert_int_equal(resume_arm(f->resume, 0, &a, 1, &nobody), 0);
	assert_int_equal(resume_arm(f->resume, 1, &a, 1, &f->target), 0);
	calls(&to);
	assert_true(fired(f, 0));
	assert_true(fired(f, 1));
	(void)close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_FIXTURE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		WITH_FIXTURE(test_resume_forgets_a_socket_with_its_slot),
		WITH_FIXTURE(test_resume_knows_a_socket_by_other_names),
		WITH_FIXTURE(test_resume_comes_back_from_rest),
		WITH_FIXTURE(test_resume_finds_each_of_the_same_name),
	};

	return cmocka_run_group_tests_name("resume", tests, NULL, NULL);
}
