// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * idle.c - reads what the always-on ones and the host used in MEASURED_S seconds.
 */
#include "idle.h"

#include "baseline.h"
#include "host.h"

#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { MEASURED_S = 3 };

static uint64_t cpu_of(const pid_t *pids, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++) {
		char path[64];
		unsigned long long ns = 0;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pids[i]);
		f = fopen(path, "re");
		if (!f || fscanf(f, "%llu", &ns) != 1)
			die(path);
		(void)fclose(f);
		sum += ns;
	}
	return sum;
}

static void report_cpu(struct run *run, const char *subject, uint64_t ns, uint64_t base_ns)
{
	const double share = (double)ns / (MEASURED_S * 1e7);

	(void)printf("  %-32s %8.3f %% of a processor\n", subject, share);
	if (run->ndjson)
		(void)fprintf(run->ndjson,
			      "{\"bench\":\"sandbox\",\"metric\":\"CPU of %d idle services\","
			      "\"subject\":\"%s\",\"value\":%.4f,\"unit\":\"%%\",\"baseline\":"
			      "\"always-on\",\"ratio\":%.5f,\"n\":%d}\n",
			      run->parked_n, subject, share,
			      base_ns ? (double)ns / (double)base_ns : 1.0, run->parked_n);
}

void idle_measure(struct run *run)
{
	static pid_t pids[PARKED_MAX];
	const char *const argv[] = {echo_program(), "--tick", "50", NULL};
	uint64_t until, host0, host1, box0, box1, plain;

	_Static_assert(PARKED_HZ == 20, "a tick is 50 ms");
	(void)host_frozen_n(); /* counted from here on */
	for (int i = 0; i < run->parked_n; i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX}, p = a;
		struct sockaddr_storage at = {0};
		char c = 'x';
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/parked%d", run->dir, i);
		(void)snprintf(p.sun_path, sizeof(p.sun_path), "%s/plain%d", run->dir, i);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || send(fd, &c, 1, 0) != 1 ||
		    recv(fd, &c, 1, 0) != 1)
			die(a.sun_path);
		(void)close(fd);
		memcpy(&at, &p, sizeof(p));
		pids[i] = baseline_start_at(&at, sizeof(p), argv);
	}
	for (until = now_ns() + 20000000000ull;
	     host_frozen_n() < run->parked_n && now_ns() < until;)
		sleep_ns(10000000);
	sleep_ns(200000000);
	host_cpu(run, &host0, &box0);
	plain = cpu_of(pids, run->parked_n);
	sleep_ns(MEASURED_S * 1000000000ull);
	plain = cpu_of(pids, run->parked_n) - plain;
	host_cpu(run, &host1, &box1);
	(void)printf("%d idle services (%d frozen), each waking %d times a second for nothing:\n",
		     run->parked_n, host_frozen_n(), PARKED_HZ);
	report_cpu(run, "always-on", plain, 0);
	report_cpu(run, "frozen", box1 - box0, plain);
	report_cpu(run, "the process that holds them", host1 - host0, plain);
	for (int i = 0; i < run->parked_n; i++) {
		baseline_stop(pids[i]);
	}
}
