// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The slice that a thread asks for: kept while it steps behind, not passed on, and not forced on a policy. */
#include "support/support.h"

#include "support/apart.h"

#include "sys/behind.h"
#include "sys/schedattr.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void skip_without_slices(void)
{
	struct schedattr a;

	assert_int_equal(schedattr_get(0, &a), 0);
	if (a.policy != SCHED_OTHER)
		skip_because("the tests run under a policy of their own");
	if (!a.runtime_ns)
		skip_because("this kernel has no slice for each thread (Linux 6.12)");
}

static int prompt(void)
{
	struct schedattr before, after;

	CHECK(schedattr_get(0, &before) == 0);
	CHECK(before.runtime_ns > SCHEDATTR_PROMPT_NS);
	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, 0) == 0);
	CHECK(schedattr_get(0, &after) == 0);
	CHECK(after.runtime_ns == SCHEDATTR_PROMPT_NS);
	CHECK(after.policy == SCHED_OTHER && after.nice == before.nice);
	return 0;
}

static void test_prompt(void **state)
{
	(void)state;
	skip_without_slices();
	apart(prompt);
}

static int ordinary_child(void)
{
	struct schedattr before, child;
	int status;
	pid_t pid;

	CHECK(schedattr_get(0, &before) == 0);
	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, geteuid() == 0 ? 5 : 0) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(schedattr_get(0, &child) < 0 || child.flags || child.nice < 0 ||
		      child.runtime_ns != before.runtime_ns);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void test_prompt_is_not_passed_on(void **state)
{
	(void)state;
	skip_without_slices();
	apart(ordinary_child);
}

static int nicer(void)
{
	struct schedattr before, after;

	CHECK(setpriority(PRIO_PROCESS, 0, 0) == 0);
	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, 5) == 0);
	CHECK(schedattr_get(0, &after) == 0);
	CHECK(after.nice == -5);
	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, 100) == 0);
	CHECK(schedattr_get(0, &after) == 0);
	CHECK(after.nice == -20);
	CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0);
	CHECK(schedattr_get(0, &before) == 0);
	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, 5) == 0);
	CHECK(schedattr_get(0, &after) == 0);
	CHECK(before.nice == 3 && after.nice == 3);
	return 0;
}

static int nicer_without_the_right(void)
{
	struct schedattr after;

	CHECK(setpriority(PRIO_PROCESS, 0, 0) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, 5) == 0);
	CHECK(schedattr_get(0, &after) == 0);
	CHECK(after.runtime_ns == SCHEDATTR_PROMPT_NS && after.nice == 0);
	return 0;
}

static void test_prompt_is_nicer(void **state)
{
	(void)state;
	skip_without_slices();
	if (geteuid() != 0)
		skip_because("a lower nice value needs root (CAP_SYS_NICE)");
	apart(nicer);
	apart(nicer_without_the_right);
}

static int stays_batch(void)
{
	const struct sched_param p = {0};
	struct schedattr before, after;

	CHECK(sched_setscheduler(0, SCHED_BATCH, &p) == 0);
	CHECK(schedattr_get(0, &before) == 0);
	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, 0) == 0);
	CHECK(schedattr_get(0, &after) == 0);
	CHECK(after.policy == SCHED_BATCH && after.runtime_ns == before.runtime_ns);
	CHECK(after.flags == before.flags);
	return 0;
}

static void test_prompt_leaves_a_policy_alone(void **state)
{
	(void)state;
	apart(stays_batch);
}

static int behind_keeps(void)
{
	struct behind *b = NULL;
	struct schedattr a;
	int r;

	CHECK(schedattr_prompt(SCHEDATTR_PROMPT_NS, 0) == 0);
	r = behind_new(epoll_create1(EPOLL_CLOEXEC), &b);
	if (r == BEHIND_REFUSED)
		return 0;
	CHECK(r == 0);
	behind_begin(b);
	behind_end(b);
	CHECK(schedattr_get(0, &a) == 0);
	CHECK(a.policy == SCHED_OTHER && a.runtime_ns == SCHEDATTR_PROMPT_NS);
	behind_free(b);
	return 0;
}

static void test_prompt_is_kept_behind(void **state)
{
	(void)state;
	skip_without_slices();
	apart(behind_keeps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prompt),
		cmocka_unit_test(test_prompt_is_nicer),
		cmocka_unit_test(test_prompt_is_not_passed_on),
		cmocka_unit_test(test_prompt_leaves_a_policy_alone),
		cmocka_unit_test(test_prompt_is_kept_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
