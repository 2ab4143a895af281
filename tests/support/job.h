/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * job.h - a script of real programs that stops at a gate (a FIFO) before each later step, a daemon that
 * watches it, and what of the script's files is in memory.
 *
 * Bounds   four files of JOB_FILE_BYTES in the daemon's folder: "first", "second", "third", "other". Evicts
 *          these only, one by one with POSIX_FADV_DONTNEED.
 * Errors   what cannot be had fails the test (cmocka).
 */
#ifndef TESTS_SUPPORT_JOB_H
#define TESTS_SUPPORT_JOB_H

#include "support/forewarmd.h"

#include <stdbool.h>
#include <sys/types.h>

enum { JOB_FILE_BYTES = 3 << 20 };

struct job {
	char dir[80];
	char tasks[288]; /* of the control group it is to run in; "": ours */
	pid_t pid;
};

/* A mapping nothing is read through: looking at it is no open, which the daemon would see as a need. */
struct job_file {
	void *map;
	int fd;
};

#define JOB_STEPS(last)                                                                            \
	"cat first >/dev/null\n"                                                                   \
	"read x <gate1\n"                                                                          \
	"sha256sum second >/dev/null\n"                                                            \
	"read x <gate2\n"                                                                          \
	"wc -c " last " >/dev/null; cksum " last " >/dev/null\n"

/* Starts the daemon, with sets; it watches us and what we start only. Skips where there can be none. */
void job_init(struct forewarmd *f, struct job *s, const char *text, const char *const *sets);
void job_path(const struct job *s, const char *name, char ret[128]);
/* Another text for the script. */
void job_write(const struct job *s, const char *text);

void job_start(struct job *s);
/* What calls it is in the group of s->tasks from now on, or ends with 126. */
void job_join(const struct job *s);
/* Lets it pass "gate1" or "gate2". A line for the next one must not be read at this one. */
void job_pass(const struct job *s, const char *gate);
/* Both, to its end. */
void job_finish(struct job *s);

struct job_file job_look(const struct job *s, const char *name);
void job_evict(struct job_file l);
/* Share of the file's pages that are in memory. */
double job_resident(struct job_file l);
/* false: not within 5 s. */
bool job_wait_resident(struct job_file l);

#endif
