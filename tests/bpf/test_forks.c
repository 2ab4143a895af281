// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who made whom, in every order in which two processes can act, turn into programs and end: each one that does
 * anything is told once, with the process that really made it, while that one is still what it was then.
 */
#include "support/support.h"

#include "support/sight.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ABSENT "/fwm-forks-absent"
#define PID_MAX (1 << 22)

enum { FACT_MAX = 4096, EVENT_MAX = 65536, SHORT_N = 1000, CROWD_N = 40, DEPTH = 4 };

/* What the subject did, written down by itself. */
struct fact {
	uint32_t pid, parent;
};

struct truth {
	atomic_uint fact_n, orphans_n, reused_n;
	struct fact facts[FACT_MAX];
};

static struct truth *truth;

static void fact(pid_t pid, pid_t parent)
{
	truth->facts[atomic_fetch_add(&truth->fact_n, 1)] =
		(struct fact){(uint32_t)pid, (uint32_t)parent};
}

/* --- what the subject does --------------------------------------------------------------------------- */

static void act(void)
{
	(void)open(ABSENT, O_RDONLY | O_CLOEXEC);
}

static void become_true(void)
{
	execl("/bin/true", "true", NULL);
	_exit(127);
}

/* The child of the caller, noted down before it does anything. */
static pid_t made(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		fact(getpid(), parent);
	return pid;
}

static void wait_for(pid_t pid)
{
	(void)waitpid(pid, NULL, 0);
}

static void each_first_step(void)
{
	static char *const argv[] = {(char *)"true", NULL};
	extern char **environ;
	pid_t pid = made();

	if (pid == 0)
		_exit(0);
	wait_for(pid);
	pid = made();
	if (pid == 0)
		become_true();
	wait_for(pid);
	pid = made();
	if (pid == 0) {
		act();
		become_true();
	}
	wait_for(pid);
	pid = vfork();
	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	fact(pid, getpid());
	wait_for(pid);
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0) {
		fact(pid, getpid());
		wait_for(pid);
	}
}

/* Acts once its parent is gone. */
static void orphan(pid_t parent, bool becomes)
{
	while (getppid() == parent)
		usleep(1000);
	act();
	atomic_fetch_add(&truth->orphans_n, 1);
	if (becomes)
		become_true();
	_exit(0);
}

/* Its parent ends before it did anything; n of them. Returns how many there will be. */
static unsigned orphans(unsigned n, bool reaped_here, bool becomes)
{
	pid_t pid = made();

	if (pid == 0) {
		pid_t self = getpid();

		for (unsigned i = 0; i < n; i++)
			if (made() == 0)
				orphan(self, becomes);
		_exit(0);
	}
	wait_for(pid);
	if (reaped_here)
		while (waitpid(-1, NULL, 0) > 0)
			;
	return n;
}

/* Each does nothing but make the next, and the last acts. */
static void chain(int depth)
{
	pid_t pid = made();

	if (pid == 0) {
		if (depth > 1)
			chain(depth - 1);
		else
			act();
		_exit(0);
	}
	wait_for(pid);
}

/* Returns when the other end is closed: by an exec, or an end. */
static void until_closed(int fd[2])
{
	char byte;

	close(fd[1]);
	while (read(fd[0], &byte, 1) < 0 && errno == EINTR)
		;
}

static void *fork_and_exec(void *fd)
{
	if (made() == 0) {
		until_closed(fd);
		act();
		_exit(0);
	}
	execl("/bin/sleep", "sleep", "0.1", NULL);
	_exit(127);
}

/* Its parent, by its only thread or by another, is another program when it first acts. */
static void parent_executes(bool thread)
{
	int fd[2];
	pid_t pid;
	pthread_t t;

	if (pipe2(fd, O_CLOEXEC) < 0)
		_exit(1);
	pid = made();
	if (pid == 0) {
		if (!thread)
			(void)fork_and_exec(fd);
		if (pthread_create(&t, NULL, fork_and_exec, fd) == 0)
			(void)pthread_join(t, NULL);
		_exit(1);
	}
	close(fd[0]);
	close(fd[1]);
	wait_for(pid);
}

static void *fork_and_end(void *fd)
{
	pid_t pid = made();

	if (pid == 0) {
		until_closed(fd);
		act();
		_exit(0);
	}
	return (void *)(intptr_t)pid;
}

static void thread_ends(void)
{
	int fd[2];
	void *pid = NULL;
	pthread_t t;

	if (pipe2(fd, O_CLOEXEC) < 0 || pthread_create(&t, NULL, fork_and_end, fd) != 0)
		_exit(1);
	(void)pthread_join(t, &pid);
	close(fd[0]);
	close(fd[1]);
	wait_for((pid_t)(intptr_t)pid);
}

/* The number of a process that is gone is given to the child of another. */
static void number_again(void)
{
	for (int i = 0; i < 50; i++) {
		char text[16];
		pid_t old = made(), pid;
		int fd;

		if (old == 0)
			_exit(0);
		wait_for(old);
		pid = made();
		if (pid == 0) {
			fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
			(void)snprintf(text, sizeof(text), "%d", old - 1);
			if (fd < 0 || write(fd, text, strlen(text)) < 0)
				_exit(0);
			pid = made();
			if (pid == 0) {
				act();
				_exit(0);
			}
			truth->reused_n += pid == old;
			wait_for(pid);
			_exit(0);
		}
		wait_for(pid);
		if (truth->reused_n)
			return;
	}
}

static void do_forks(const void *arg)
{
	unsigned left = 0;

	(void)arg;
	each_first_step();
	left += orphans(1, false, false);
	left += orphans(1, false, true);
	left += orphans(CROWD_N, false, false);
	chain(DEPTH);
	parent_executes(false);
	parent_executes(true);
	thread_ends();
	number_again();
	for (int i = 0; i < SHORT_N; i++) {
		pid_t pid = made();

		if (pid == 0)
			_exit(0);
		wait_for(pid);
	}
	while (atomic_load(&truth->orphans_n) < left)
		usleep(1000);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)orphans(2, true, true);
}

/* --- what was told ------------------------------------------------------------------------------------ */

struct event {
	enum obs_kind kind;
	uint32_t pid, ppid;
	bool ours;
};

struct story {
	struct event *events;
	size_t n;
};

static void keep(void *ctx, const struct obs *o)
{
	struct story *s = ctx;

	assert_true(s->n < EVENT_MAX);
	s->events[s->n++] = (struct event){.kind = o->kind,
					   .pid = o->pid,
					   .ppid = o->ppid,
					   .ours = o->name && !strcmp(o->name, ABSENT)};
}

struct life {
	bool known, executed;
	unsigned acts_n;
};

/* Each event is of a process that was told, and each that was told is so of a parent which still is what it
 * was. Returns how many broke that. */
static unsigned disorder(const struct story *s, uint32_t subject)
{
	struct life *lives = calloc(PID_MAX, sizeof(*lives));
	unsigned wrong = 0;

	assert_non_null(lives);
	lives[subject].known = true;
	for (size_t i = 0; i < s->n; i++) {
		const struct event *e = &s->events[i];
		struct life *l = &lives[e->pid];
		bool bad = false;

		if (e->kind == OBS_FORK) {
			bad = l->known || !lives[e->ppid].known || lives[e->ppid].executed;
			*l = (struct life){.known = true};
		} else {
			bad = !l->known;
			l->executed |= e->kind == OBS_EXEC;
			if (e->kind == OBS_EXIT)
				*l = (struct life){0};
		}
		if (bad && wrong++ < 10)
			print_message("# event %zu: kind %d of %u, made by %u\n", i, e->kind,
				      e->pid, e->ppid);
	}
	free(lives);
	return wrong;
}

static unsigned untold(const struct story *s)
{
	unsigned wrong = 0;

	for (unsigned f = 0; f < truth->fact_n; f++) {
		const struct fact *want = &truth->facts[f];
		unsigned told_n = 0, done_n = 0;

		for (unsigned i = 0; i < truth->fact_n;
		     i++) /* a number may come back to a parent */
			done_n += !memcmp(&truth->facts[i], want, sizeof(*want));
		for (size_t i = 0; i < s->n; i++)
			told_n += s->events[i].kind == OBS_FORK && s->events[i].pid == want->pid &&
				  s->events[i].ppid == want->parent;
		if (told_n != done_n && wrong++ < 10)
			print_message("# %u made by %u: told %u times of %u\n", want->pid,
				      want->parent, told_n, done_n);
	}
	return wrong;
}

static unsigned count(const struct story *s, enum obs_kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->events[i].kind == kind;
	return n;
}

static void forks_are_told(uint32_t slots)
{
	struct story s = {.events = calloc(EVENT_MAX, sizeof(*s.events))};
	struct capture *c = sight_open((struct capture_opts){SIGHT_STARTED, .proc_slots = slots});
	struct capture_counters n;
	pid_t pid;

	assert_non_null(s.events);
	truth = mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_true(truth != MAP_FAILED);
	pid = sight_start(c, do_forks, NULL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* The last orphans may end after it. */
	for (int i = 0; i < 500 && count(&s, OBS_EXIT) < truth->fact_n + 1; i++) {
		usleep(10000);
		sight_drain(c, keep, &s);
	}
	print_message("# %u processes, %zu events, a number used again %u times\n", truth->fact_n,
		      s.n, truth->reused_n);
	assert_int_equal(disorder(&s, (uint32_t)pid), 0);
	assert_int_equal(untold(&s), 0);
	assert_int_equal(count(&s, OBS_FORK), truth->fact_n);
	assert_int_equal(count(&s, OBS_EXIT), truth->fact_n + 1);
	assert_int_equal(capture_counters(c, &n), 0);
	sight_assert_counted(n.hook);
	assert_int_equal(n.hook[FWM_HOOK_FORK].unreadable, 0);
	/* Most are told with what they do first. */
	assert_true(n.hook[FWM_HOOK_FORK].sent < truth->fact_n / 4);
	(void)munmap(truth, sizeof(*truth));
	free(s.events);
	capture_close(c);
}

static void test_each_is_told_once_and_in_time(void **state)
{
	(void)state;
	forks_are_told(0);
}

static void test_each_is_told_with_few_slots(void **state)
{
	(void)state;
	forks_are_told(4);
}

/* What the tracer starts itself is not told, nor what outlives that. */
static void test_own_are_never_told(void **state)
{
	struct story s = {.events = calloc(EVENT_MAX, sizeof(*s.events))};
	struct capture *c = sight_open((struct capture_opts){0});

	(void)state;
	assert_non_null(s.events);
	truth = mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_true(truth != MAP_FAILED);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that it can be waited for */
	each_first_step();
	chain(DEPTH);
	(void)orphans(3, true, true);
	parent_executes(false);
	sight_drain(c, keep, &s);
	assert_true(truth->fact_n > 10);
	for (size_t i = 0; i < s.n; i++) {
		assert_false(s.events[i].ours);
		for (unsigned f = 0; f < truth->fact_n; f++)
			if (s.events[i].pid == truth->facts[f].pid)
				fail_msg("%u is our own: kind %d", s.events[i].pid,
					 s.events[i].kind);
	}
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0);
	(void)munmap(truth, sizeof(*truth));
	free(s.events);
	capture_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_told_once_and_in_time),
		cmocka_unit_test(test_each_is_told_with_few_slots),
		cmocka_unit_test(test_own_are_never_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
