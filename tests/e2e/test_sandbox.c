// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_sandbox.c - what a sandbox promises to whom runs something in it. */
#include "support/support.h"

#include "support/box.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct box box;

static int setup(void **state)
{
	(void)state;
	box_setup(&box, 2, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	box_teardown(&box);
	return 0;
}

static void test_sandbox_runs_a_command_and_reports_its_exit(void **state)
{
	struct box_result r;

	(void)state;
	box_sh(&box, SANDBOX_NET_PRIVATE, 0,
	       "id; pwd; mount; ls / /dev; echo $$; cat /proc/self/status | grep -E "
	       "'Cap|Sec|NoNew'; cat /proc/self/cgroup; exit 7",
	       &r);
	printf("%s\n err %d\n", r.out, r.error);
	assert_true(r.started);
	assert_true(WIFEXITED(r.status));
	assert_int_equal(WEXITSTATUS(r.status), 7);
	assert_non_null(strstr(r.out, "uid=0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sandbox_runs_a_command_and_reports_its_exit),
	};

	return cmocka_run_group_tests_name("sandbox", tests, setup, teardown);
}
