/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose turn it is: what a program waits for, before what one may soon wait for, before what has time. */
#include "support/support.h"

#include "base/cleanup.h"
#include "support/warm_bed.h"

#include <unistd.h>

/* Jobs of which all is in memory already, behind a plug in the only thread. */
static void submit_behind_plug(struct warm_bed *f, struct warm_job *jobs, size_t n)
{
	f->limits.thread_n = 1;
	bed_plug(f, 1, WARM_NOW);
	bed_running(f, 1);
	for (size_t i = 0; i < n; i++) {
		jobs[i].path = bed_file(f, "there", 4096);
		bed_use(jobs[i].path);
		assert_int_equal(warm_submit(f->w, &jobs[i], NULL), 0);
	}
}

static void unplug(struct warm_bed *f)
{
	assert_int_equal(warm_cancel(f->w, PLUG), 1);
	assert_int_equal(bed_take(f).id, PLUG);
}

/* Files that may be needed soon, a name that is needed now, and one of those files turns out to be. */
static void test_warm_does_first_what_is_wanted_now(void **state)
{
	struct warm_bed *f = *state;
	struct warm_job jobs[] = {
		{.id = 1, .kind = WARM_FILE, .priority = WARM_SOON},
		{.id = 2, .kind = WARM_FILE, .priority = WARM_SOON},
		{.id = 3, .kind = WARM_DENTRY, .priority = WARM_NOW},
	};
	struct warm_result r;

	bed_skip_on_tmpfs(f);
	submit_behind_plug(f, jobs, ARRAY_SIZE(jobs));
	warm_hurry(f->w,
		   &(struct warm_job){.id = 2, .priority = WARM_NOW, .event_ns = 7, .need_ns = 9});
	unplug(f);
	assert_int_equal(bed_take(f).id, 3);
	r = bed_take(f);
	assert_int_equal(r.id, 2);
	assert_int_equal(r.event_ns, 7);
	assert_int_equal(bed_take(f).id, 1);
}

/* Nothing is made less urgent than it was, nor is the event it was asked for lost. */
static void test_warm_hurries_nothing_to_later(void **state)
{
	struct warm_bed *f = *state;
	struct warm_job jobs[] = {
		{.id = 1, .kind = WARM_FILE, .priority = WARM_SOON},
		{.id = 2, .kind = WARM_FILE, .priority = WARM_NOW, .event_ns = 5},
	};
	struct warm_result r;

	bed_skip_on_tmpfs(f);
	submit_behind_plug(f, jobs, ARRAY_SIZE(jobs));
	warm_hurry(f->w, &(struct warm_job){.id = 2, .priority = WARM_SOON, .event_ns = 7});
	warm_hurry(f->w, &(struct warm_job){.id = 1, .priority = WARM_AHEAD});
	unplug(f);
	r = bed_take(f);
	assert_int_equal(r.id, 2);
	assert_int_equal(r.event_ns, 5);
	assert_int_equal(bed_take(f).id, 1);
}

/* A second program starts while much is still to be read for the first: what it needs next goes first. */
static void test_warm_goes_by_what_is_needed_next(void **state)
{
	struct warm_bed *f = *state;
	struct warm_job jobs[] = {
		{.id = 1, .kind = WARM_FILE, .need_ns = 100, .deadline_ns = UINT64_MAX / 2},
		{.id = 2, .kind = WARM_FILE, .need_ns = 300, .deadline_ns = UINT64_MAX / 2},
		{.id = 3, .kind = WARM_FILE, .need_ns = 200, .deadline_ns = UINT64_MAX},
		{.id = 4, .kind = WARM_FILE, .need_ns = 50, .priority = WARM_SOON},
	};

	bed_skip_on_tmpfs(f);
	submit_behind_plug(f, jobs, ARRAY_SIZE(jobs));
	unplug(f);
	assert_int_equal(bed_take(f).id, 1);
	assert_int_equal(bed_take(f).id, 3);
	assert_int_equal(bed_take(f).id, 2);
	assert_int_equal(bed_take(f).id, 4);
}

/* However many may be needed soon, threads are left for what is needed now; and those come to the former in the
 * end. */
static void test_warm_keeps_a_thread_for_what_is_wanted_now(void **state)
{
	enum { SOON = 4 };
	struct warm_bed *f = *state;
	struct warm_stats s;
	const char *p;

	bed_skip_on_tmpfs(f);
	f->limits.thread_n = 2;
	f->limits.soon_thread_n = 1;
	bed_plug(f, 1, WARM_SOON);
	bed_running(f, 1);
	p = bed_file(f, "there", 4096);
	bed_use(p);
	for (uint64_t id = 1; id <= SOON; id++)
		assert_int_equal(warm_submit(f->w,
					     &(struct warm_job){.id = id,
								.kind = WARM_FILE,
								.path = p,
								.priority = WARM_SOON},
					     NULL),
				 0);
	assert_int_equal(
		warm_submit(f->w, &(struct warm_job){.id = SOON + 1, .kind = WARM_FILE, .path = p},
			    NULL),
		0);
	assert_int_equal(bed_take(f).id, SOON + 1);
	warm_stats(f->w, &s);
	assert_int_equal(s.queued_n, SOON);
	warm_hurry(f->w, &(struct warm_job){.id = SOON});
	assert_int_equal(bed_take(f).id, SOON);
	unplug(f);
	for (uint64_t id = 1; id < SOON; id++)
		assert_int_equal(bed_take(f).id, id);
}

/* Each waits for its own kind at most: a start does not wait until what others may need has come. */
static void test_warm_has_little_of_what_is_soon_under_way(void **state)
{
	static const struct {
		const char *name;
		uint32_t priority;
		bool waits;
	} cases[] = {
		{"wanted soon", WARM_SOON, true},
		{"wanted now", WARM_NOW, false},
	};
	struct warm_bed *f = *state;

	bed_skip_on_tmpfs(f);
	f->limits.soon_inflight_max = f->limits.chunk_bytes = 65536;
	f->limits.inflight_bytes_max = 16 * MIB;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct warm_result r;
		struct warm_stats s;
		const char *p = bed_file(f, "many", 8 * MIB);

		bed_start(f);
		r = bed_run(f, (struct warm_job){.id = 1,
						 .kind = WARM_FILE,
						 .path = p,
						 .priority = cases[i].priority});
		warm_stats(f->w, &s);
		f->w = warm_free(f->w);
		if (r.outcome != WARM_DONE || r.bytes_read != 8 * MIB)
			fail_msg("%s: not read", cases[i].name);
		if (cases[i].waits ? s.inflight_peak[cases[i].priority] > 65536
				   : s.inflight_peak[cases[i].priority] <= 65536)
			fail_msg("%s: %llu bytes under way at once", cases[i].name,
				 (unsigned long long)s.inflight_peak[cases[i].priority]);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, warm_bed_setup, warm_bed_teardown)
	const struct CMUnitTest tests[] = {
		T(test_warm_does_first_what_is_wanted_now),
		T(test_warm_hurries_nothing_to_later),
		T(test_warm_goes_by_what_is_needed_next),
		T(test_warm_keeps_a_thread_for_what_is_wanted_now),
		T(test_warm_has_little_of_what_is_soon_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
