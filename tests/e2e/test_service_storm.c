// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Thousands of connections while everything around them changes: services freeze, are released, are
 * killed while they wait frozen, predictions come true and do not, and the daemon is killed with -9
 * and started again. Nobody is refused, nobody loses an answer, and nothing is left over.
 *
 * STORM=N makes it N connections; the default is 10000, fewer on a machine as slow as TEST_SCALE says.
 */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/built.h"
#include "support/service_host.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENT_N = 4, NAME_N = 4 };

struct tally { /* shared by the clients */
	volatile uint32_t asked_n, lost_n, stop;
};

static const char *const names[NAME_N] = {"a", "b", "c", "d"};

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)*seed * below) >> 32);
}

static void write_units(struct unit_addr addrs[NAME_N])
{
	static const char *const more[NAME_N] = {
		("X-Forewarm-FreezeAfterSec=1ms\nX-Forewarm-ReleaseAfterSec=60s\n"
		 "X-Forewarm-MayRest=no\n"),
		("X-Forewarm-FreezeAfterSec=2ms\nX-Forewarm-ReleaseAfterSec=20ms\n"
		 "X-Forewarm-MayStop=no\n"),
		"X-Forewarm-FreezeAfterSec=5ms\nX-Forewarm-ReleaseAfterSec=50ms\nType=notify\n",
		"X-Forewarm-FreezeAfterSec=3ms\nX-Forewarm-ReleaseAfterSec=30ms\n",
	};
	static const char *const options[NAME_N] = {"", "", "--notify", "--term"};

	for (int i = 0; i < NAME_N; i++) {
		char socket[160], text[512], path[128];

		if (i == 3)
			(void)snprintf(path, sizeof(path), "127.0.0.1:%d",
				       24000 + (int)getpid() % 8000);
		else
			(void)snprintf(path, sizeof(path), "%s/%s.sock", host.dir, names[i]);
		(void)snprintf(socket, sizeof(socket), "ListenStream=%s\n", path);
		(void)snprintf(text, sizeof(text),
			       "ExecStart=%s %s\nUser=nobody\nRestartSec=5ms\n%s", host.helper,
			       options[i], more[i]);
		service_host_unit(&host, names[i], socket, text);
		addrs[i] = service_addr(path);
	}
}

/* Asks until the storm is over; every answer must be the question. */
static void client(struct tally *t, const struct unit_addr addrs[NAME_N], uint32_t seed,
		   uint32_t max)
{
	char text[32], got[64];

	for (uint32_t i = 0;
	     !t->stop && __atomic_add_fetch(&t->asked_n, 1, __ATOMIC_RELAXED) <= max; i++) {
		uint32_t who = draw(&seed, NAME_N);

		(void)snprintf(text, sizeof(text), "%u.%u\n", seed, i);
		if (!service_ask(&addrs[who], text, got, sizeof(got), NULL) ||
		    strcmp(text, got) != 0) {
			(void)fprintf(stderr, "# lost: service %s, sent %s", names[who], text);
			(void)__atomic_add_fetch(&t->lost_n, 1, __ATOMIC_RELAXED);
		}
		if (draw(&seed, 3) == 0)
			(void)usleep(draw(&seed, 40000));
	}
	_exit(0);
}

/* Control groups of ours in any hierarchy. */
static unsigned groups_left(void)
{
	char command[160], line[64] = "";
	FILE *f;

	(void)snprintf(command, sizeof(command),
		       "find /sys/fs/cgroup -maxdepth 4 -type d -path '*%s*' | wc -l", host.group);
	f = popen(command, "re");
	assert_non_null(f);
	(void)fgets(line, sizeof(line), f);
	(void)pclose(f);
	return (unsigned)atoi(line);
}

static void storm(uint32_t max)
{
	uint32_t seed = 5, kill_n = 0, tick = 0, stopped_n = 0;
	struct unit_addr addrs[NAME_N];
	pid_t clients[CLIENT_N];
	struct tally *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	assert_true(t != MAP_FAILED);
	write_units(addrs);
	assert_int_equal(service_host_start(&host), 0);
	(void)fflush(NULL);
	for (int i = 0; i < CLIENT_N; i++) {
		clients[i] = fork();
		assert_true(clients[i] >= 0);
		if (clients[i] == 0)
			client(t, addrs, 100 + (uint32_t)i, max);
	}
	while (t->asked_n < max) {
		(void)usleep(20000);
		(void)service_host_predict(&host, names[draw(&seed, NAME_N)], 0.9,
					   draw(&seed, 20) * 1000000);
		if (++tick % 12 == 0) {
			service_host_kill(&host);
			stopped_n += (uint32_t)service_host_in_state(&host, 'T');
			kill_n++;
			(void)usleep(draw(&seed, 100000));
			assert_int_equal(service_host_start(&host), 0);
		}
	}
	for (int i = 0; i < CLIENT_N; i++) {
		assert_true(waitpid(clients[i], &status, 0) == clients[i]);
		assert_int_equal(status, 0);
	}
	printf("# %u connections, daemon killed %u times, with %u services stopped; %u lost or "
	       "refused\n",
	       max, kill_n, stopped_n, t->lost_n);
	assert_int_equal(t->lost_n, 0);
	service_host_stop(&host);
	assert_int_equal(groups_left(), 0);
	(void)munmap(t, sizeof(*t));
}

static uint32_t storm_n(void)
{
	const char *given = getenv("STORM");

	return given ? (uint32_t)atoi(given) : 10000 / built_scale();
}

static void test_service_storm_loses_nobody(void **state)
{
	(void)state;
	storm(storm_n());
}

/* Half as many places as services: those who connect have them taken from each other and from guesses. */
static void test_service_storm_loses_nobody_without_room(void **state)
{
	(void)state;
	host.run_max = NAME_N / 2;
	storm(storm_n() / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_service_storm_loses_nobody,
						service_host_before, service_host_after),
		cmocka_unit_test_setup_teardown(test_service_storm_loses_nobody_without_room,
						service_host_before, service_host_after),
	};

	return cmocka_run_group_tests_name("service-storm", tests, NULL, NULL);
}
