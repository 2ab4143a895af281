// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A daemon that is to watch one process and what it starts knows nothing of the others that ran before it. */
#include "support/support.h"

#include "support/built.h"
#include "support/forewarmd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FOUND = 0, NOT_FOUND = 5 };

static void copy_of_sleep(const struct forewarmd *f, const char *name, char *ret, size_t n)
{
	char command[400];

	assert_true(snprintf(ret, n, "%s/%s", f->dir, name) < (int)n);
	(void)snprintf(command, sizeof(command), "cp /bin/sleep %s", ret);
	assert_int_equal(system(command), 0);
}

/* Its maker has ended: somebody else's. */
static pid_t start_orphan(const char *exe)
{
	char command[400], line[32] = "";
	FILE *p;

	(void)snprintf(command, sizeof(command), "%s 600 >/dev/null 2>&1 & echo $!", exe);
	p = popen(command, "re");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	(void)pclose(p);
	return (pid_t)strtol(line, NULL, 10);
}

static pid_t start_child(const char *exe)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		execl(exe, exe, "600", (char *)NULL);
		_exit(127);
	}
	return pid;
}

static int asked(const struct forewarmd *f, const char *exe)
{
	char command[500];
	int status;

	(void)snprintf(command, sizeof(command),
		       "%s/forewarm --socket %s/run/control.sock deps %s >/dev/null 2>&1",
		       built_at(), f->dir, exe);
	status = system(command);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_only_lists_no_other(void **state)
{
	struct forewarmd *f = *state;
	char ours[200], theirs[200];
	pid_t child, orphan;

	forewarmd_need();
	forewarmd_init(f);
	copy_of_sleep(f, "ours", ours, sizeof(ours));
	copy_of_sleep(f, "theirs", theirs, sizeof(theirs));
	child = start_child(ours);
	orphan = start_orphan(theirs);
	assert_true(orphan > 1);
	usleep(100000); /* both are executed by then, for one which is not is called as we are */
	f->only_us = true;
	forewarmd_start(f, NULL);
	assert_int_equal(asked(f, ours), FOUND);
	assert_int_equal(asked(f, theirs), NOT_FOUND);
	assert_int_equal(forewarmd_stop(f), 0);
	/* Without that both are known. */
	f->only_us = false;
	forewarmd_start(f, NULL);
	assert_int_equal(asked(f, theirs), FOUND);
	assert_int_equal(forewarmd_stop(f), 0);
	(void)kill(orphan, SIGKILL);
	(void)kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_lists_no_other, forewarmd_setup,
						forewarmd_teardown),
	};

	return cmocka_run_group_tests_name("only", tests, NULL, NULL);
}
