/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * run.h - one run of bench_services: who is asked, where each one answers, how often.
 *
 * Shape    A folder of the run's own holds the sockets' paths, the units, and the programs written for it.
 *          A subject answers in four places: as our service, as a plain process, behind
 *          systemd-socket-activate, and as a service that may rest.
 * Bounds   SUBJECT_N subjects, ROUND_MAX rounds, PARKED_MAX idle services.
 * Owner    One run a process: the programs' paths and the ports are the process's.
 * Errors   none come back: what the bench cannot do without ends it, and says so.
 */
#ifndef SERVICES_RUN_H
#define SERVICES_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { SUBJECT_N = 4, ROUND_MAX = 2000, PARKED_MAX = 200, PARKED_HZ = 20 };
/* Whose socket. */
enum place { OURS, PLAIN, SYSTEMD, RESTS, PLACE_N };

struct subject {
	const char *name, *request;
	bool unix_socket;
	const char *argv[6];
};

struct run {
	char dir[64], group[40];
	int ctl; /* to the host */
	pid_t host, plain[SUBJECT_N];
	int rounds, cold_rounds, parked_n;
	bool group_only; /* frozen by their control group, never stopped */
	FILE *ndjson;	 /* NULL: the table only */
};

extern const struct subject subjects[SUBJECT_N];

/* Names what failed and why (errno), and ends the process. */
_Noreturn void die(const char *what);
uint64_t now_ns(void);
void sleep_ns(uint64_t ns);

/* Makes the folder, what is run in it, and finds the ports. self is argv[0]: the built programs are found
 * from there. */
void run_init(struct run *run, const char *self);
void run_fini(struct run *run);
/* The program that answers, and that wakes every so many ms when its arguments are "--tick MS". */
const char *echo_program(void);
/* Where subject k answers, as ListenStream= says it and as connect() wants it. */
void listens_at(const struct run *run, int k, enum place place, char *buf, size_t n);
void address(const struct run *run, int k, enum place place, struct sockaddr_storage *ret,
	     socklen_t *ret_n);
void write_file(const char *path, const char *text);

#endif
