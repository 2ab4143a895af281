// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The whole of it: a job that in the end asks a service which takes 150 ms to start and is released
 * after each run. The daemon sees the job's programs start, foretells the connection, and the service
 * is up when the client connects. Nothing tells the daemon but the kernel.
 */
#include "support/support.h"
#include "support/built.h"

#include "base/cleanup.h"
#include "support/forewarmd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* RUN_N in a row are judged, the last of at most RUN_MAX: a host that is busy elsewhere for a while may be
 * late with anything. Cold, no run can be as fast as READY_US. */
enum { LEARN_N = 8, RUN_N = 20, RUN_MAX = 60, START_MS = 150, READY_US = 50000 };

static void write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[200];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fchmod(fileno(f), mode), 0);
	assert_int_equal(fclose(f), 0);
}

static void write_all(const struct forewarmd *f, int port)
{
	char text[1024], dir[160];

	(void)snprintf(dir, sizeof(dir), "%s/services", f->dir);
	(void)snprintf(text, sizeof(text), "[Socket]\nListenStream=127.0.0.1:%d\n", port);
	write_file(dir, "slow.socket", text, 0644);
	(void)snprintf(text, sizeof(text),
		       "[Service]\nType=notify\nUser=nobody\n"
		       "ExecStart=%s --notify --delay-ms %d\n"
		       "X-Forewarm-FreezeAfterSec=20ms\nX-Forewarm-ReleaseAfterSec=200ms\n",
		       built_helper("svc_echo"), START_MS);
	write_file(dir, "slow.service", text, 0644);
	(void)snprintf(text, sizeof(text), "#!/bin/sh\n/bin/sleep 0.4\n%s %d\n",
		       built_helper("svc_client"), port);
	write_file(f->dir, "job.sh", text, 0755);
}

/* Runs the job; what its client waited, in us. */
static long job(const struct forewarmd *f)
{
	char path[160], line[64] = "";
	FILE *p;

	(void)snprintf(path, sizeof(path), "%s/job.sh", f->dir);
	p = popen(path, "re");
	assert_non_null(p);
	(void)fgets(line, sizeof(line), p);
	assert_int_equal(pclose(p), 0);
	return atol(line);
}

static void show(const struct forewarmd *f)
{
	char command[400];

	(void)snprintf(command, sizeof(command),
		       "%s/forewarm --socket %s/run/control.sock services | sed 's/^/# /'",
		       built_at(), f->dir);
	(void)fflush(stdout);
	(void)system(command);
}

static void test_service_recurring_job_finds_it_ready(void **state)
{
	/* Whatever else this host does at the moment is not what is tested. */
	static const char *const sets[] = {"plan.io-pressure-max=100%",
					   "plan.memory-pressure-max=100%", NULL};
	struct forewarmd *f = *state;
	long us[RUN_MAX], cold_us = 0, sum_us = 0;
	int ready_n = 0, run_n = 0;

	forewarmd_need();
	forewarmd_init(f);
	write_all(f, 18000 + (int)getpid() % 8000);
	forewarmd_start(f, sets);
	cold_us = job(f);
	assert_true(cold_us > START_MS * 1000);
	for (int i = 1; i < LEARN_N; i++) {
		(void)usleep(500000);
		(void)job(f);
	}
	while (run_n < RUN_N || (ready_n < RUN_N * 9 / 10 && run_n < RUN_MAX)) {
		(void)usleep(500000); /* frozen, then released: every run begins cold */
		us[run_n] = job(f);
		sum_us += us[run_n];
		ready_n += us[run_n] < READY_US;
		if (run_n++ < RUN_N)
			continue;
		sum_us -= us[run_n - 1 - RUN_N];
		ready_n -= us[run_n - 1 - RUN_N] < READY_US;
	}
	show(f);
	printf("# cold %ld us; of %d recurring runs the last %d: %d found it ready, mean %ld us\n",
	       cold_us, run_n, RUN_N, ready_n, sum_us / RUN_N);
	if (ready_n < RUN_N * 9 / 10)
		forewarmd_show_log(f);
	assert_true(ready_n >= RUN_N * 9 / 10);
	assert_int_equal(forewarmd_stop(f), 0);
}

/* The real daemon, gone without a goodbye: who connects meanwhile waits, and is served by the next. */
static void test_service_waits_for_the_next_daemon(void **state)
{
	struct forewarmd *f = *state;
	pid_t client;
	int status = -1;

	forewarmd_need();
	forewarmd_init(f);
	write_all(f, 26000 + (int)getpid() % 6000);
	forewarmd_start(f, NULL);
	assert_true(job(f) > START_MS * 1000);
	forewarmd_kill(f);
	client = fork();
	assert_true(client >= 0);
	if (client == 0)
		_exit(job(f) <= 0); /* it asks 0.4 s from now */
	(void)usleep(600000);
	forewarmd_start(f, NULL);
	assert_true(waitpid(client, &status, 0) == client);
	assert_int_equal(status, 0);
	assert_int_equal(forewarmd_stop(f), 0);
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, forewarmd_setup, forewarmd_teardown)
	const struct CMUnitTest tests[] = {
		WITH(test_service_recurring_job_finds_it_ready),
		WITH(test_service_waits_for_the_next_daemon),
	};

	return cmocka_run_group_tests_name("service-ahead", tests, NULL, NULL);
}
