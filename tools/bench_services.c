// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench_services - what a client of an on-demand service waits for its first byte.
 *
 *   bench_services [--rounds N] [--cold N] [--ndjson FILE] [--only SUBJECT] [--quiet MS[,MS...]]
 *                  [--parked N] [--group]
 *   bench_services --others
 *
 * Subjects: a C echo server over a UNIX socket and over TCP, Python's http.server and Node's http over
 * TCP. Six ways, one after the other in every round, with the same time of quiet between two requests to
 * a service:
 *
 *   always-on  a plain process, never frozen, started before the run (the baseline)
 *   predicted  our service, frozen; told of the connection a little ahead (thawed by then)
 *   frozen     our service, frozen; thawed by the connection itself
 *   resting    our service, idle, and left asleep because it sleeps without a timer (as services are by
 *              default: those of the other rows must not); skipped for those that have timers
 *   cold       our service, released; started by the connection itself
 *   activated  systemd-socket-activate holds the socket and starts the program at the connection: the
 *              same cold start without a sandbox, by the tool that socket activation is known from
 *
 * The time is from before connect() to the first byte of the answer. Services are stopped or
 * frozen as the host allows; --group: always by their control group. Frozen, resting and predicted is
 * what the service's own count confirms for each request: how many found it so is reported when not all
 * did. /always is the median of the ratios to the always-on request of the same round, with its
 * interval. Rounds of less than 100 ms of quiet are four times as many.
 *
 * Last, N services (default 100) that wake 20 times a second for nothing: the CPU they use in
 * 3 seconds when always on, when frozen, and that of the host which watches their sockets.
 *
 * --others: what sockets that are none of ours pay while a service is stopped: a message, and a connection
 * from connect() to close(), with and without our programs in turn.
 *
 * services/run.h: who is asked, and where; host.h and baseline.h: both sides of the comparison;
 * first_byte.h, idle.h, others.h: the three measurements.
 */
#include "services/baseline.h"
#include "services/first_byte.h"
#include "services/host.h"
#include "services/idle.h"
#include "services/others.h"
#include "services/run.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUIET_MAX = 8 };

/* Interrupted: the host still ends its services, its holder and its control groups. */
static struct run *interrupted;

static void on_signal(int sig)
{
	(void)sig;
	host_stop(interrupted);
	_exit(130);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
						{"cold", required_argument, NULL, 'c'},
						{"ndjson", required_argument, NULL, 'n'},
						{"only", required_argument, NULL, 'o'},
						{"quiet", required_argument, NULL, 'q'},
						{"parked", required_argument, NULL, 'p'},
						{"group", no_argument, NULL, 'g'},
						{"others", no_argument, NULL, 'O'},
						{0}};
	struct run run = {.rounds = 60, .cold_rounds = 12, .parked_n = 100};
	int quiets[QUIET_MAX] = {2, 20, 200}, quiet_n = 3, opt;
	const char *only = NULL;
	bool only_others = false;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) > 0) {
		if (opt == 'r')
			run.rounds = atoi(optarg) < ROUND_MAX ? atoi(optarg) : ROUND_MAX;
		else if (opt == 'c')
			run.cold_rounds = atoi(optarg) < ROUND_MAX ? atoi(optarg) : ROUND_MAX;
		else if (opt == 'n')
			run.ndjson = fopen(optarg, "ae");
		else if (opt == 'o')
			only = optarg;
		else if (opt == 'p')
			run.parked_n = atoi(optarg) < PARKED_MAX ? atoi(optarg) : PARKED_MAX;
		else if (opt == 'g')
			run.group_only = true;
		else if (opt == 'O')
			only_others = true;
		else if (opt == 'q') {
			quiet_n = 0;
			for (char *w = strtok(optarg, ","); w && quiet_n < QUIET_MAX;
			     w = strtok(NULL, ","))
				quiets[quiet_n++] = atoi(w);
		} else
			return 2;
	}
	if (only_others) {
		others_measure(run.ndjson);
		return 0;
	}
	run_init(&run, argv[0]);
	host_start(&run);
	interrupted = &run;
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	first_byte_head();
	for (int k = 0; k < SUBJECT_N; k++) {
		if (only && strcmp(only, subjects[k].name) != 0)
			continue;
		if (access(subjects[k].argv[0], X_OK) < 0) {
			(void)printf("%-12s skipped: %s is not installed\n", subjects[k].name,
				     subjects[k].argv[0]);
			continue;
		}
		run.plain[k] = baseline_start(&run, k);
		for (int q = 0; q < quiet_n; q++)
			first_byte_measure(&run, k, quiets[q]);
		baseline_stop(run.plain[k]);
	}
	if (run.parked_n > 0)
		idle_measure(&run);
	host_stop(&run);
	run_fini(&run);
	return 0;
}