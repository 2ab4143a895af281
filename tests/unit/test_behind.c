// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A thread that steps behind everybody else, and comes back: at its end, for what arrives, and in time. */
#include "support/support.h"

#include "support/apart.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sys/behind.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* For as long as nothing is wrong this is never waited for. */
#define PATIENCE_NS (20ull * 1000 * 1000 * 1000)
#define ROUNDS 5000

struct bed {
	struct behind *behind;
	int loop, event;
};

static void bed_init(struct bed *b)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int r;

	b->loop = epoll_create1(EPOLL_CLOEXEC);
	b->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(b->loop >= 0 && b->event >= 0);
	assert_int_equal(epoll_ctl(b->loop, EPOLL_CTL_ADD, b->event, &ev), 0);
	r = behind_new(b->loop, &b->behind);
	if (r == BEHIND_REFUSED)
		skip_because("no right to return from SCHED_IDLE (CAP_SYS_NICE)");
	if (r == BEHIND_OWN)
		skip_because("the tests run under a policy of their own");
	assert_int_equal(r, 0);
}

static void bed_fini(struct bed *b)
{
	assert_null(behind_free(b->behind));
	closep(&b->loop);
	closep(&b->event);
}

static void arrives(const struct bed *b)
{
	const uint64_t one = 1;

	assert_int_equal(write(b->event, &one, sizeof(one)), sizeof(one));
}

static void taken(const struct bed *b)
{
	uint64_t count;

	assert_int_equal(read(b->event, &count, sizeof(count)), sizeof(count));
}

struct look {
	pid_t tid;
	bool seen, over;
};

static void *look(void *arg)
{
	struct look *l = arg;

	while (!__atomic_load_n(&l->over, __ATOMIC_RELAXED)) {
		if (sched_getscheduler(l->tid) == SCHED_IDLE)
			__atomic_store_n(&l->seen, true, __ATOMIC_RELAXED);
		usleep(100);
	}
	return NULL;
}

/* Begins. Did it go? Told by another thread, for where no processor is idle it may be back before it can tell; and
 * tried again, for there the other one may look too late. */
static bool goes(struct behind *b)
{
	struct look l = {.tid = gettid()};
	uint64_t begun = clock_ns(CLOCK_MONOTONIC), tried = begun, now = begun;
	pthread_t t;

	while (pthread_create(&t, NULL, look, &l) != 0 && now - begun < PATIENCE_NS) {
		now = clock_ns(CLOCK_MONOTONIC);
		usleep(1000);
	}
	for (behind_begin(b);
	     !__atomic_load_n(&l.seen, __ATOMIC_RELAXED) && now - begun < PATIENCE_NS;
	     now = clock_ns(CLOCK_MONOTONIC)) {
		if (now - tried < 2 * BEHIND_LATE_MS * 1000000ull)
			continue;
		behind_end(b);
		behind_begin(b);
		tried = now;
	}
	__atomic_store_n(&l.over, true, __ATOMIC_RELAXED);
	(void)pthread_join(t, NULL);
	return l.seen;
}

/* Works until it was fetched. */
static void work(void)
{
	uint64_t begun = clock_ns(CLOCK_MONOTONIC);

	while (sched_getscheduler(0) == SCHED_IDLE &&
	       clock_ns(CLOCK_MONOTONIC) - begun < PATIENCE_NS)
		;
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

static void test_behind_only_meanwhile(void **state)
{
	struct bed b;

	(void)state;
	for (int i = 0; i < 3; i++) {
		bed_init(&b);
		assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
		assert_true(goes(b.behind));
		behind_begin(b.behind);
		if (i < 2)
			behind_end(b.behind);
		else
			bed_fini(&b);
		assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
		if (i < 2) {
			behind_end(b.behind);
			bed_fini(&b);
		}
	}
	behind_begin(NULL);
	behind_end(NULL);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

static void *arrive(void *arg)
{
	arrives(arg);
	return NULL;
}

static void test_behind_is_fetched_for_what_arrives(void **state)
{
	struct bed b;
	pthread_t t;

	(void)state;
	bed_init(&b);
	for (int i = 0; i < 3; i++) {
		behind_begin(b.behind);
		assert_int_equal(pthread_create(&t, NULL, arrive, &b), 0);
		work();
		assert_int_equal(pthread_join(t, NULL), 0);
		behind_end(b.behind);
		taken(&b);
	}
	bed_fini(&b);
}

static void test_behind_is_fetched_for_what_was_there(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	arrives(&b);
	for (int i = 0; i < 3; i++) {
		behind_begin(b.behind);
		work();
		behind_end(b.behind);
	}
	bed_fini(&b);
}

/* And then it stays for a while. */
static void test_behind_not_for_long(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	behind_begin(b.behind);
	work();
	behind_end(b.behind);
	behind_begin(b.behind);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	behind_end(b.behind);
	assert_true(goes(b.behind));
	bed_fini(&b);
}

struct storm {
	struct bed bed;
	bool over;
};

static void *storm(void *arg)
{
	struct storm *s = arg;
	uint64_t count;

	for (unsigned i = 0; !__atomic_load_n(&s->over, __ATOMIC_RELAXED); i++) {
		if (i % 3 == 0)
			arrives(&s->bed);
		else if (i % 3 == 1)
			(void)read(s->bed.event, &count, sizeof(count));
		else
			sched_yield();
	}
	return NULL;
}

/* Whenever it is fetched, at its end it is back. */
static void test_behind_is_always_back(void **state)
{
	struct storm s = {0};
	pthread_t t;

	(void)state;
	bed_init(&s.bed);
	assert_int_equal(pthread_create(&t, NULL, storm, &s), 0);
	for (int i = 0; i < ROUNDS; i++) {
		behind_begin(s.bed.behind);
		behind_end(s.bed.behind);
		assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	}
	__atomic_store_n(&s.over, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(t, NULL), 0);
	bed_fini(&s.bed);
}

static int new_one(struct behind **ret)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);

	return behind_new(loop, ret);
}

static int limit_only(rlim_t limit)
{
	const struct rlimit only = {limit, limit};
	const cap_value_t nice = CAP_SYS_NICE;
	cap_t c = cap_get_proc();
	int r = setrlimit(RLIMIT_NICE, &only);

	if (!c || cap_set_flag(c, CAP_EFFECTIVE, 1, &nice, CAP_CLEAR) < 0 || cap_set_proc(c) < 0)
		r = -1;
	(void)cap_free(c);
	return r;
}

static int given_policy(void)
{
	const struct sched_param p = {0};
	struct behind *b = NULL;

	CHECK(sched_setscheduler(0, SCHED_BATCH, &p) == 0);
	CHECK(new_one(&b) == BEHIND_OWN && !b);
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
	return 0;
}

static int given_later(void)
{
	const struct sched_param p = {0};
	struct behind *b = NULL;
	int r = new_one(&b);

	if (r == BEHIND_REFUSED)
		return 0;
	CHECK(r == 0);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &p) == 0);
	behind_begin(b);
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
	behind_end(b);
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
	return 0;
}

static int given_nice(void)
{
	struct behind *b = NULL;
	int r;

	CHECK(setpriority(PRIO_PROCESS, 0, 17) == 0);
	r = new_one(&b);
	if (r == BEHIND_REFUSED)
		return 0;
	CHECK(r == 0);
	CHECK(goes(b));
	behind_end(b);
	CHECK(sched_getscheduler(0) == SCHED_OTHER && getpriority(PRIO_PROCESS, 0) < 19);
	return 0;
}

static int refused(void)
{
	struct behind *b = NULL;

	CHECK(limit_only(0) == 0);
	CHECK(new_one(&b) == BEHIND_REFUSED && !b);
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	return 0;
}

/* Enough for who has no capability: to be as nice as 0. */
static int by_limit(void)
{
	struct behind *b = NULL;

	if (limit_only(20) < 0)
		return 0; /* not root */
	CHECK(new_one(&b) == 0);
	CHECK(goes(b));
	behind_end(b);
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	return 0;
}

static void test_behind_leaves_what_was_given(void **state)
{
	(void)state;
	apart(given_policy);
	apart(given_later);
	apart(given_nice);
}

static void test_behind_only_who_may_return(void **state)
{
	(void)state;
	apart(refused);
	apart(by_limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behind_only_meanwhile),
		cmocka_unit_test(test_behind_is_fetched_for_what_arrives),
		cmocka_unit_test(test_behind_is_fetched_for_what_was_there),
		cmocka_unit_test(test_behind_not_for_long),
		cmocka_unit_test(test_behind_is_always_back),
		cmocka_unit_test(test_behind_leaves_what_was_given),
		cmocka_unit_test(test_behind_only_who_may_return),
	};

	return cmocka_run_group_tests_name("behind", tests, NULL, NULL);
}
