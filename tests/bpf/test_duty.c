// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is known is sampled, or not watched at all; what is not known is noticed at its start. */
#include "support/support.h"

#include "support/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVERY 4
#define STARTS 16

struct tally {
	unsigned starts_n, quiet_n, libc_n, loader_n;
	struct fwm_block_key key;
};

static void observe(void *ctx, const struct obs *o)
{
	struct tally *t = ctx;

	if (o->kind == OBS_EXEC && strstr(o->name, "/true")) {
		t->starts_n++;
		t->quiet_n += (o->flags & OBS_F_QUIET) != 0;
		t->key = block_key_of(&o->file, o->args, o->args_len);
	}
	t->loader_n += o->kind == OBS_OPEN && !o->err && (o->flags & OBS_F_MAPPED);
	t->libc_n += o->kind == OBS_OPEN && !o->err && strstr(o->name, "/libc.so") != NULL;
}

static struct tally drain(struct capture *c)
{
	struct tally t = {0};

	watch_drain(c, observe, &t);
	return t;
}

struct starts {
	unsigned n;
	const char *arg;
};

static void start_true(const void *arg)
{
	const struct starts *s = arg;

	for (unsigned i = 0; i < s->n; i++) {
		if (fork() == 0) {
			execl("/bin/true", "true", s->arg, NULL);
			_exit(127);
		}
		(void)wait(NULL);
	}
}

static void run_true(struct capture *c, unsigned times, const char *arg)
{
	assert_int_equal(watch_run(c, start_true, &(struct starts){.n = times, .arg = arg}), 0);
}

static void test_known_blocks_are_sampled(void **state)
{
	struct capture *c = watch_open((struct capture_opts){WATCH_STARTED});
	struct tally t;
	bool loaders; /* told since 5.17 */

	(void)state;
	run_true(c, STARTS, "known");
	t = drain(c);
	assert_int_equal(t.starts_n, STARTS);
	assert_int_equal(t.libc_n, STARTS);
	assert_int_equal(t.quiet_n, 0);
	loaders = t.loader_n != 0;

	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	run_true(c, STARTS, "known");
	assert_int_equal(drain(c).quiet_n, 0); /* the mode is still to learn all */

	assert_int_equal(capture_set_mode(c, CAPTURE_SAMPLE), 0);
	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	run_true(c, STARTS, "known");
	t = drain(c);
	assert_int_equal(t.starts_n, STARTS); /* starts are told always */
	assert_int_equal(t.quiet_n, STARTS - STARTS / EVERY);
	assert_int_equal(t.libc_n, STARTS / EVERY);
	assert_int_equal(t.loader_n, loaders ? STARTS / EVERY : 0);
	run_true(c, STARTS, "another"); /* the same program, called in another way */
	assert_int_equal(drain(c).libc_n, STARTS);
	capture_close(c);
}

static void test_unknown_programs_wake_a_detached_daemon(void **state)
{
	struct capture *c = watch_open((struct capture_opts){WATCH_STARTED});
	struct pollfd p = {.fd = capture_fd(c), .events = POLLIN};
	struct tally t;

	(void)state;
	run_true(c, 1, "known");
	t = drain(c);
	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	/* That it is known without an argument says nothing of its starts with one. */
	run_true(c, 1, NULL);
	t = drain(c);
	assert_int_equal(t.key.arg, 0);
	assert_int_equal(capture_known_update(c, &t.key, &(struct fwm_known_row){.every = EVERY}),
			 0);
	assert_int_equal(capture_set_mode(c, CAPTURE_DETACHED), 0);
	run_true(c, STARTS, "known");
	assert_int_equal(poll(&p, 1, 200), 0); /* known starts wake nobody */
	t = drain(c);
	assert_int_equal(t.starts_n, STARTS);
	assert_int_equal(t.quiet_n, STARTS);
	assert_int_equal(t.libc_n, 0);

	run_true(c, 1, "unknown");
	assert_int_equal(poll(&p, 1, 2000), 1);
	t = drain(c);
	assert_int_equal(t.starts_n, 1);
	assert_int_equal(t.quiet_n, 0);
	assert_int_equal(capture_set_mode(c, CAPTURE_SAMPLE), 0);
	run_true(c, STARTS, "unknown");
	assert_int_equal(drain(c).libc_n, STARTS);
	capture_close(c);
}

/* --- starts that come as counts --------------------------------------------------------------------- */

#define MAKERS 3
#define MANY 3000

struct folded {
	struct capture *capture;
	struct fwm_block_key key; /* of the last start that was told */
	bool known;		  /* it is to be made foldable when it is told as a quiet one */
	uint64_t told_n, counted_n, ended_n, gaps_n, late_n, foldable_n;
	uint64_t by_maker[MAKERS];
	uint32_t makers[MAKERS];
	uint64_t life_ns;
};

static void count_starts(void *ctx, const struct obs *o)
{
	struct folded *f = ctx;
	bool ours = o->name && strstr(o->name, "/true");

	if (o->kind == OBS_EXEC && o->flags & OBS_F_COUNTED) {
		f->late_n++;
	} else if (o->kind == OBS_EXEC && ours) {
		f->told_n++;
		f->key = block_key_of(&o->file, o->args, o->args_len);
		for (size_t i = 0; i < MAKERS; i++)
			f->by_maker[i] += f->makers[i] == o->ppid;
		if (f->known && o->flags & OBS_F_QUIET) {
			assert_int_equal(capture_fold(f->capture), 0);
			f->foldable_n++;
		}
	} else if (o->kind == OBS_STARTS) {
		assert_true(ours);
		f->counted_n += o->count;
		for (size_t i = 0; i < MAKERS; i++)
			f->by_maker[i] += f->makers[i] == o->pid ? o->count : 0;
	} else if (o->kind == OBS_ENDS) {
		f->ended_n += o->count;
		f->life_ns += o->use.life_ns;
	}
	f->gaps_n += o->kind == OBS_GAP;
}

static void take(struct folded *f)
{
	watch_drain(f->capture, count_starts, f);
	assert_int_equal(capture_take_starts(f->capture, count_starts, f), 0);
}

/* A capture in which /bin/true is known and may be counted, with all hooks on system calls off. */
static void foldable(struct folded *f, uint32_t fold_starts)
{
	*f = (struct folded){.capture = watch_open((struct capture_opts){
				     WATCH_STARTED, .fold_starts = fold_starts})};
	run_true(f->capture, 1, "known");
	take(f);
	assert_int_equal(
		capture_known_update(f->capture, &f->key, &(struct fwm_known_row){.every = EVERY}),
		0);
	assert_int_equal(capture_set_mode(f->capture, CAPTURE_DETACHED), 0);
	f->known = true;
	run_true(f->capture, 1, "known");
	take(f);
	assert_int_equal(f->told_n, 2);
	assert_true(f->foldable_n > 0);
	f->told_n = 0;
}

static void assert_all_counted(struct folded *f)
{
	struct capture_counters n;

	assert_int_equal(capture_counters(f->capture, &n), 0);
	watch_assert_counted(n.hook);
	assert_int_equal(n.unnamed_n, 0);
	assert_int_equal(n.hook[FWM_HOOK_EXEC].folded, f->counted_n);
}

static void test_counts_of_many_starts_are_exact(void **state)
{
	struct folded f;
	struct starts s = {.n = MANY, .arg = "known"};

	(void)state;
	foldable(&f, 2);
	for (size_t i = 0; i < MAKERS; i++)
		f.makers[i] = (uint32_t)watch_start(f.capture, start_true, &s);
	for (size_t i = 0; i < MAKERS; i++) {
		while (waitpid((pid_t)f.makers[i], NULL, WNOHANG) == 0) {
			usleep(20000);
			take(&f);
		}
	}
	take(&f);
	print_message("# of %d starts %llu told, %llu counted\n", MAKERS * MANY,
		      (unsigned long long)f.told_n, (unsigned long long)f.counted_n);
	for (size_t i = 0; i < MAKERS; i++)
		assert_int_equal(f.by_maker[i], MANY);
	assert_int_equal(f.told_n + f.counted_n, MAKERS * MANY);
	assert_int_equal(f.ended_n, f.counted_n - f.late_n);
	assert_true(f.life_ns / f.ended_n > 10000 && f.life_ns / f.ended_n < 1000000000);
	/* In one window of eight each is told, and while the pace is not known yet. */
	assert_true(f.counted_n > MAKERS * MANY / 4);
	assert_true(f.gaps_n > 0);
	assert_all_counted(&f);
	capture_close(f.capture);
}

/* A program that does what the environment says, so that its start is always the same. */
static const char *const does[] = {"bash", "-c", "eval \"$FWM\"", NULL};

static void start_bash(const void *arg)
{
	const struct starts *s = arg;

	for (unsigned i = 0; i < s->n; i++) {
		if (fork() == 0) {
			(void)setenv("FWM", i + 1 < s->n ? ":" : s->arg, 1);
			execv("/bin/bash", (char *const *)does);
			_exit(127);
		}
		(void)wait(NULL);
	}
}

struct late {
	struct folded *folded;
	uint64_t exec_ns, n;
	uint32_t pid, maker, child;
	bool connected, in_time;
};

static void look_late(void *ctx, const struct obs *o)
{
	struct late *l = ctx;
	bool bash = o->name && strstr(o->name, "/bash");

	if (o->kind == OBS_EXEC && bash) {
		l->folded->key = block_key_of(&o->file, o->args, o->args_len);
		if (l->folded->known && o->flags & OBS_F_QUIET && !(o->flags & OBS_F_COUNTED))
			assert_int_equal(capture_fold(l->folded->capture), 0);
	}
	if (o->kind == OBS_EXEC && o->flags & OBS_F_COUNTED) {
		l->n++;
		l->pid = o->pid;
		l->maker = o->ppid;
		l->exec_ns = o->ts_ns;
		assert_true(bash);
	} else if (o->kind == OBS_EXEC && !bash && l->pid && o->ppid == l->pid) {
		l->child = o->pid;
		l->in_time = o->ts_ns > l->exec_ns;
	} else if (o->kind == OBS_CONNECT && l->pid && o->pid == l->pid) {
		l->connected = true;
	}
	l->folded->counted_n += o->kind == OBS_STARTS ? o->count : 0;
}

/* Of many alike starts the last does more: it is told before that. */
static void last_does(const char *what, struct late *l)
{
	struct folded f = {
		.capture = watch_open((struct capture_opts){WATCH_STARTED, .fold_starts = 1})};
	pid_t pid;

	*l = (struct late){.folded = &f};
	assert_int_equal(watch_run(f.capture, start_bash, &(struct starts){.n = 1, .arg = ":"}), 0);
	watch_drain(f.capture, look_late, l);
	assert_int_equal(
		capture_known_update(f.capture, &f.key, &(struct fwm_known_row){.every = EVERY}),
		0);
	assert_int_equal(capture_set_mode(f.capture, CAPTURE_DETACHED), 0);
	f.known = true;
	assert_int_equal(watch_run(f.capture, start_bash, &(struct starts){.n = 1, .arg = ":"}), 0);
	watch_drain(f.capture, look_late, l);
	for (int i = 0; i < 10 && !l->n; i++) { /* the last may fall into a window that is told */
		pid = watch_start(f.capture, start_bash, &(struct starts){.n = 200, .arg = what});
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		watch_drain(f.capture, look_late, l);
	}
	assert_int_equal(l->n, 1);
	assert_int_equal(l->maker, pid);
	assert_int_equal(capture_take_starts(f.capture, look_late, l), 0);
	assert_all_counted(&f);
	/* It is told each time from now on. */
	l->n = 0;
	assert_int_equal(watch_run(f.capture, start_bash, &(struct starts){.n = 300, .arg = ":"}),
			 0);
	f.known = false;
	f.counted_n = 0;
	watch_drain(f.capture, look_late, l);
	assert_int_equal(f.counted_n, 0);
	capture_close(f.capture);
}

static void test_a_counted_start_is_told_before_what_it_starts(void **state)
{
	struct late l;

	(void)state;
	last_does("/bin/true a child; :", &l);
	assert_true(l.child != 0);
	assert_true(l.in_time);
}

static void test_a_counted_start_is_told_before_it_connects(void **state)
{
	struct late l;

	(void)state;
	last_does("exec 3<>/dev/tcp/127.0.0.1/1", &l);
	assert_true(l.connected);
}

static void test_a_counted_start_is_told_when_it_becomes_another(void **state)
{
	struct late l;

	(void)state;
	last_does("exec /bin/true in its place", &l);
	assert_int_equal(l.child, 0);
}

static void test_a_new_program_ends_the_counting(void **state)
{
	struct folded f;
	struct pollfd p;

	(void)state;
	foldable(&f, 2);
	run_true(f.capture, MANY, "known");
	take(&f);
	assert_true(f.counted_n > 0);
	p = (struct pollfd){.fd = capture_fd(f.capture), .events = POLLIN};
	(void)poll(&p, 1, 0);
	run_true(f.capture, 1, "unknown");
	assert_int_equal(poll(&p, 1, 2000), 1);
	f.known = false;
	f.told_n = f.counted_n = 0;
	run_true(f.capture, MANY, "known");
	take(&f);
	assert_int_equal(f.told_n, MANY + 1);
	assert_int_equal(f.counted_n, 0);
	capture_close(f.capture);
}

static void test_few_starts_are_told_each(void **state)
{
	struct folded f;

	(void)state;
	foldable(&f, 1u << 20);
	run_true(f.capture, MANY / 4, "known");
	take(&f);
	assert_int_equal(f.told_n, MANY / 4);
	assert_int_equal(f.counted_n, 0);
	capture_close(f.capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_blocks_are_sampled),
		cmocka_unit_test(test_unknown_programs_wake_a_detached_daemon),
		cmocka_unit_test(test_counts_of_many_starts_are_exact),
		cmocka_unit_test(test_few_starts_are_told_each),
		cmocka_unit_test(test_a_counted_start_is_told_before_what_it_starts),
		cmocka_unit_test(test_a_counted_start_is_told_before_it_connects),
		cmocka_unit_test(test_a_counted_start_is_told_when_it_becomes_another),
		cmocka_unit_test(test_a_new_program_ends_the_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
