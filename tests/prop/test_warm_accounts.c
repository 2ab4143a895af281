// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Real files are read, hurried, settled, released and cancelled, and cut or deleted meanwhile, in random order. Each
 * job has its one result; when all have come nothing is under way or queued, nothing is held but what is remembered,
 * and no descriptor is left.
 */
#include "support/support.h"

#include "base/clock.h"
#include "support/census.h"
#include "support/warm_bed.h"
#include "sys/warm_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEEDS = 4, STEPS = 250, FILES = 12, GUESSES = 24, JOBS_MAX = 64 };

struct bench {
	struct warm_bed *bed;
	uint64_t seed, state;
	uint64_t submitted_n, released_n, got_n, got_released_n;
	bool got[STEPS * 4];
};

#define check(b, what)                                                                             \
	do {                                                                                       \
		if (!(what))                                                                       \
			fail_msg("seed %llu: not %s", (unsigned long long)(b)->seed, #what);       \
	} while (0)

static uint32_t draw(struct bench *b, uint32_t below)
{
	b->state = b->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(b->state >> 33) % below;
}

static const char *path_of(struct bench *b)
{
	char name[16];
	uint32_t n = draw(b, FILES + 2); /* two are directories' or nobody's */

	snprintf(name, sizeof(name), n < FILES ? "f%u" : n == FILES ? "." : "none", n);
	return bed_at(b->bed, name);
}

static void take(struct bench *b, bool all)
{
	struct warm_result r;

	while (all ? b->got_n < b->submitted_n : draw(b, 4) > 0) {
		if (all) {
			r = bed_take(b->bed);
		} else if (warm_next_result(b->bed->w, &r) != 0) {
			return;
		}
		check(b, r.cookie && r.cookie < sizeof(b->got) && !b->got[r.cookie]);
		check(b, r.bytes_read <= r.bytes_wanted);
		b->got[r.cookie] = true;
		b->got_n++;
		b->got_released_n += r.outcome == WARM_RELEASED;
	}
}

static void submit(struct bench *b)
{
	const struct file_range parts[] = {{0, 100000}, {MIB / 2, MIB}, {300000, 50000}};
	struct warm_job j = {.id = draw(b, GUESSES),
			     .kind = draw(b, 4) ? WARM_FILE : draw(b, WARM_SWEEP + 1),
			     .priority = draw(b, WARM_RANKS),
			     .need_ns = draw(b, 1000),
			     .path = path_of(b)};
	int r;

	if (!draw(b, 4))
		j.deadline_ns = clock_ns(CLOCK_MONOTONIC) + draw(b, 5) * 1000000;
	if (!draw(b, 4))
		j.bytes_max = 1 + draw(b, MIB);
	if (!draw(b, 3)) {
		j.ranges = parts;
		j.range_n = 1 + draw(b, 3);
	}
	r = warm_submit(b->bed->w, &j, NULL);
	check(b, r == 0 || r == WARM_FULL);
	b->submitted_n += r == 0;
}

static void spoil(struct bench *b)
{
	const char *path = path_of(b);
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	switch (draw(b, 4)) {
	case 0:
		(void)unlink(path);
		break;
	case 1:
		(void)!truncate(path, draw(b, 3) * 100000);
		break;
	default:
		bed_evict(path);
	}
}

static void step(struct bench *b)
{
	struct warm *w = b->bed->w;
	const struct warm_job as = {
		.id = draw(b, GUESSES), .priority = draw(b, WARM_RANKS), .path = ""};
	char name[16];
	int r;

	switch (draw(b, 12)) {
	case 0:
		warm_hurry(w, &as);
		break;
	case 1:
		warm_settle(w, as.id);
		break;
	case 2:
		(void)warm_cancel(w, as.id);
		break;
	case 3:
		r = warm_release(w, as.id);
		check(b, r == 0 || r == WARM_FULL);
		b->submitted_n += r == 0;
		b->released_n += r == 0;
		break;
	case 4:
		spoil(b);
		break;
	case 5:
		snprintf(name, sizeof(name), "f%u", draw(b, FILES));
		(void)bed_file(b->bed, name, draw(b, 4) * 700000 + 1);
		break;
	case 6:
		take(b, false);
		break;
	default:
		submit(b);
	}
}

static void check_idle(struct bench *b)
{
	const struct warm *w = b->bed->w;
	uint64_t held = 0;
	struct warm_stats s;
	const struct took *t;

	bed_running(b->bed, 0);
	warm_stats(b->bed->w, &s);
	check(b, s.queued_n == 0 && s.results_n == 0);
	check(b, s.submitted_n == b->submitted_n);
	check(b, b->got_n == b->submitted_n && b->got_released_n == b->released_n);
	check(b, w->inflight_bytes == 0);
	for (int i = 0; i < WARM_RANKS; i++)
		check(b, w->inflight_of[i] == 0);
	for (int i = 0; i < LANE_N; i++) {
		check(b, w->lanes[i].soon_n == 0);
		for (int k = 0; k < WORK_N; k++)
			check(b, w->lanes[i].queues[k].running_n == 0);
	}
	TAILQ_FOREACH(t, &w->tooks, by_age)
	held += t->bytes;
	check(b, s.held_bytes == held);
	for (uint32_t id = 0; id < GUESSES; id++)
		warm_settle(b->bed->w, id);
	check(b, w->held_bytes == 0 && TAILQ_EMPTY(&w->tooks));
}

static void run_seed(struct warm_bed *f, uint64_t seed)
{
	struct bench b = {.bed = f, .seed = seed, .state = seed * 2654435761u};
	size_t fds = census_entries("/proc/self/fd");
	char name[16];

	for (uint32_t i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		(void)bed_file(f, name, i * 400000 + 1);
	}
	f->limits.job_max = JOBS_MAX;
	f->limits.took_max = seed % 2 ? 8 : 1024;
	f->limits.chunk_bytes = 128 << 10;
	f->limits.inflight_bytes_max = MIB;
	f->limits.held_bytes_max = seed % 3 ? 1ull << 30 : 4 * MIB;
	f->limits.soon_thread_n = 1;
	bed_start(f);
	for (int i = 0; i < STEPS; i++)
		step(&b);
	take(&b, true);
	check_idle(&b);
	f->w = warm_free(f->w);
	check(&b, census_entries("/proc/self/fd") == fds);
}

static void test_warm_accounts_balance(void **state)
{
	struct warm_bed *f = *state;

	bed_skip_on_tmpfs(f);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(f, seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_warm_accounts_balance, warm_bed_setup,
						warm_bed_teardown),
	};

	return cmocka_run_group_tests_name("warm accounts", tests, NULL, NULL);
}
