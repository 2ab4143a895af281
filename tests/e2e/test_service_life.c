// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* test_service_life.c - when a service starts, is ended and comes up again, as its file says. */
#include "support/support.h"

#include "support/service_unit.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* KillMode=process: what else of it runs is to outlive it, so it is neither frozen nor ended. */
static void test_service_life_work_of_its_own_keeps_it(void **state)
{
	static const char *const modes[] = {"mixed", "process"};
	char more[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		(void)snprintf(more, sizeof(more), "KillMode=%s\nX-Forewarm-FreezeAfterSec=20ms\n",
			       modes[i]);
		service_unit_write(modes[i], "", more, "sleep 600 &");
	}
	service_unit_write("nothing", "", more, "true");
	(void)service_host_start(&host);
	service_unit_ask("process");
	service_unit_ask("mixed");
	service_unit_ask("nothing");
	service_host_await(&host, "mixed", SVC_FROZEN, 5000);
	service_host_await(&host, "nothing", SVC_FROZEN, 5000);
	usleep(1200000); /* more than the time between two looks */
	assert_int_equal(service_host_view(&host, "process").state, SVC_ACTIVE);
	assert_int_equal(service_host_view(&host, "process").figures.freeze_n, 0);
	service_host_stop(&host);
}

/* One that does not say WATCHDOG=1 is ended, and started anew for who asks; one that does lives, and while
 * it is frozen nothing is expected of it. */
static void test_service_life_watchdog_ends_who_is_silent(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "silent" : "told";
		char sock[256], text[512];

		(void)snprintf(sock, sizeof(sock), "ListenStream=%s/%s.sock\n", host.dir, name);
		(void)snprintf(text, sizeof(text),
			       "ExecStart=%s %s\nUser=nobody\nWatchdogSec=%s\nRestartSec=1ms\n"
			       "X-Forewarm-FreezeAfterSec=%s\n",
			       host.helper, i ? "" : "--watchdog 200", i ? "1s" : "2s",
			       i ? "infinity" : "300ms");
		service_host_unit(&host, name, sock, text);
	}
	assert_int_equal(service_host_start(&host), 0);
	service_unit_ask("told");
	service_unit_ask("silent");
	service_host_await(&host, "silent", SVC_COLD, 10000);
	assert_int_equal(service_host_view(&host, "silent").figures.fail_n, 1);
	service_unit_ask("silent");
	service_host_await(&host, "told", SVC_FROZEN, 10000);
	(void)usleep(2500000); /* more than it has, frozen */
	service_unit_ask("told");
	assert_int_equal(service_host_view(&host, "told").figures.fail_n, 0);
	assert_int_equal(service_host_view(&host, "told").figures.start_n, 1);
}

/* Who connects waits until the conditions are met. */
static void test_service_life_conditions_are_waited_for(void **state)
{
	char gate[160], path[160], got[64];
	struct unit_addr a;
	pid_t pid;

	(void)state;
	service_unit_write("gated", "[Unit]\nConditionPathExists=!@/nosuch\n",
			   "[Unit]\nConditionPathExists=@/gate\n[Service]\nRestartSec=20ms\n",
			   "echo up");
	service_unit_write("never", "[Unit]\nConditionPathExists=/nosuch\n", "", "");
	assert_int_equal(service_host_start(&host), 0);
	service_unit_path(path, sizeof(path), "never", ".sock");
	assert_int_equal(access(path, F_OK), -1);
	service_unit_path(gate, sizeof(gate), "gate", "");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)usleep(150000);
		scratch_write(gate, "open\n");
		_exit(0);
	}
	service_unit_path(path, sizeof(path), "gated", ".sock");
	a = service_addr(path);
	assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
	assert_string_equal(got, "hello\n");
	assert_true(waitpid(pid, NULL, 0) == pid);
}

/* A command that fails before or after it keeps a service from being ready, until it does not. */
static void test_service_life_pre_that_fails_is_tried_again(void **state)
{
	char path[160], got[64];
	struct unit_addr a;

	(void)state;
	service_unit_write(
		"retry", "",
		"RestartSec=20ms\nReadWritePaths=@/rw\n"
		"ExecStartPre=/bin/sh -c 'echo x >>@/rw/tries; test `wc -l <@/rw/tries` -ge 3'\n",
		"echo up");
	assert_int_equal(service_host_start(&host), 0);
	service_unit_path(path, sizeof(path), "retry", ".sock");
	a = service_addr(path);
	assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
	service_unit_read("rw/tries", "", got, sizeof(got));
	assert_string_equal(got, "x\nx\nx");
	service_unit_read("retry", ".out", got, sizeof(got));
	assert_string_equal(got, "up");
}

/* Restart= and the statuses: it comes up again by itself, or waits for the next connection. */
static void test_service_life_restart_as_they_say(void **state)
{
	static const struct {
		const char *name, *directives, *end;
		bool again;
	} all[] = {
		{"no", "", "exit 1", false},
		{"on_failure", "Restart=on-failure\n", "exit 1", true},
		{"on_failure_clean", "Restart=on-failure\n", "exit 0", false},
		{"on_failure_success", "Restart=on-failure\nSuccessExitStatus=7 SIGUSR1\n",
		 "exit 7", false},
		{"prevented", "Restart=always\nRestartPreventExitStatus=7\n", "exit 7", false},
		{"forced", "RestartForceExitStatus=7\n", "exit 7", true},
		{"on_success", "Restart=on-success\n", "exit 0", true},
		{"on_abort", "Restart=on-abort\n", "exit 1", false},
		{"on_abort_signal", "Restart=on-abort\n", "kill -SEGV $$", true},
	};
	char got[64], more[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char script[256];

		(void)snprintf(more, sizeof(more),
			       "RestartSec=10ms\nReadWritePaths=@/rw\n"
			       "X-Forewarm-FreezeAfterSec=infinity\n"
			       "X-Forewarm-ReleaseAfterSec=infinity\n%s",
			       all[i].directives);
		(void)snprintf(script, sizeof(script),
			       "echo x >>@/rw/%s; test `wc -l <@/rw/%s` -ge 2 || { "
			       "python3 -c 'import socket; s = socket.socket(fileno=3); "
			       "s.accept()[0].send(b\"once\")'; %s; }",
			       all[i].name, all[i].name, all[i].end);
		service_unit_write(all[i].name, "", more, script);
	}
	assert_int_equal(service_host_start(&host), 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char path[160];
		struct unit_addr a;

		service_unit_path(path, sizeof(path), all[i].name, ".sock");
		a = service_addr(path);
		assert_true(service_ask(&a, "hello\n", got, sizeof(got), NULL));
		assert_string_equal(got, "once");
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		(void)snprintf(more, sizeof(more), "rw/%s", all[i].name);
		if (all[i].again)
			service_host_await(&host, all[i].name, SVC_READY, 5000);
		else
			service_host_await(&host, all[i].name, SVC_COLD, 5000);
		/* Ready is when it is executed: it may not have written yet. */
		for (int k = 0; k < 500; k++) {
			service_unit_read(more, "", got, sizeof(got));
			if (strcmp(got, all[i].again ? "x\nx" : "x") == 0)
				break;
			(void)usleep(10000);
		}
		if (strcmp(got, all[i].again ? "x\nx" : "x") != 0)
			fail_msg("%s: started '%s'", all[i].name, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_service_life_work_of_its_own_keeps_it,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_life_watchdog_ends_who_is_silent,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_life_conditions_are_waited_for,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_life_pre_that_fails_is_tried_again,
						service_unit_before, service_unit_after),
		cmocka_unit_test_setup_teardown(test_service_life_restart_as_they_say,
						service_unit_before, service_unit_after),
	};

	return cmocka_run_group_tests_name("service-life", tests, NULL, NULL);
}
