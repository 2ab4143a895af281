/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * warm_bed.h - a warming engine and a folder of real files for it, as a test's fixture.
 *
 * What fails here fails the test.
 */
#ifndef TESTS_SUPPORT_WARM_BED_H
#define TESTS_SUPPORT_WARM_BED_H

#include "sys/warm.h"

#define MIB (1ull << 20)
#define PLUG 1000 /* the id of a job that keeps its thread waiting */

struct warm_bed {
	char dir[256];
	struct warm *w;
	struct warm_limits limits; /* for bed_start(); those of the default else */
};

/* A disk-backed folder: TMPDIR, else the build folder; a tmpfs has nothing to warm. */
int warm_bed_setup(void **state);
int warm_bed_teardown(void **state);
void bed_skip_on_tmpfs(struct warm_bed *f);
void bed_start(struct warm_bed *f);

/* A path in the folder; one of the last eight. */
const char *bed_at(struct warm_bed *f, const char *name);
/* A new file there, none of it in memory. */
const char *bed_file(struct warm_bed *f, const char *name, uint64_t bytes);
void bed_evict(const char *path);
/* Reads all of it. */
void bed_use(const char *path);

/* The next result, waited for through the descriptor as the daemon does. */
struct warm_result bed_take(struct warm_bed *f);
struct warm_result bed_run(struct warm_bed *f, struct warm_job j);
/* Starts with a thread that waits for its byte rate, and whoever is queued behind it waits with it. */
void bed_plug(struct warm_bed *f, uint64_t bytes_per_s, uint32_t priority);
/* Until n jobs run. */
void bed_running(struct warm_bed *f, uint32_t n);

#endif
