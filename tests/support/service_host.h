/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* service_host.h - a process that does for services what the daemon does, to be asked and killed. */
#ifndef TESTS_SUPPORT_SERVICE_HOST_H
#define TESTS_SUPPORT_SERVICE_HOST_H

#include "core/svc.h"
#include "core/unitfile.h"
#include "support/scratch.h"
#include "sys/service.h"

#include <stdbool.h>
#include <sys/types.h>

struct service_host {
	char dir[SCRATCH_DIR_MAX]; /* units; what runs is below run/ and state/ */
	char group[40];
	char helper[256]; /* of tests/helpers/svc_echo */
	uint32_t parked, run_max, pool_max;
	const char *tasks; /* the file "tasks" of a v1 control group to put it in; NULL: none */
	bool managed;	   /* started as a service of manager.h, which has been started */
	pid_t pid;
	bool killed; /* and not started again: the holder, services and groups may be there still */
	int ctl;
};

/* Skips (cmocka) when not root or when nothing can be frozen here. */
void service_host_setup(struct service_host *h);
/* Ends it and the holder, also after a test that failed with the daemon killed. */
void service_host_teardown(struct service_host *h);

/* That of the tests of one program: made before each, ended after it. */
extern struct service_host host;
int service_host_before(void **state);
int service_host_after(void **state);

/* Writes NAME.socket and NAME.service. */
void service_host_unit(struct service_host *h, const char *name, const char *socket,
		       const char *service);
/* Starts a daemon; returns how many units it refused. */
uint32_t service_host_start(struct service_host *h);
/* kill -9: no goodbye. */
void service_host_kill(struct service_host *h);
void service_host_stop(struct service_host *h);

bool service_host_predict(struct service_host *h, const char *name, double p, uint64_t lead_ns);
/* The same; how many processes are stopped when the guess has been taken, and nothing else was done. */
int service_host_predict_look(struct service_host *h, const char *name, double p, uint64_t lead_ns);
struct svc_view service_host_view(struct service_host *h, const char *name);
/* Waits until the service is in that state; fails the test after ms. */
void service_host_await(struct service_host *h, const char *name, enum svc_state state, int ms);
/* Waits until it is frozen once more than before_n times: the state alone may still be the one before
 * a connection, of which the loop is told a millisecond late. */
void service_host_await_freeze(struct service_host *h, const char *name, uint64_t before_n, int ms);
/* Of the pool: how many sandboxes are in use. */
uint32_t service_host_boxes(struct service_host *h);

/* How many of the helper's processes in our sandboxes are in this state, as /proc/PID/stat has it. */
int service_host_in_state(const struct service_host *h, char state);

/* CPU time of all its services since each began. */
uint64_t service_host_cpu_us(struct service_host *h);

/* Connects, says text and takes the answer; "" when refused or cut. took: until the last byte. */
bool service_ask(const struct unit_addr *a, const char *text, char *ret, size_t n,
		 uint64_t *ret_took);
struct unit_addr service_addr(const char *text);

#endif
