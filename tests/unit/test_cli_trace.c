// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * forewarm replay and --trace on a trace made here: twice the same, what it teaches at 80 columns,
 * and what a damaged one gets.
 */
#include "support/support.h"
#include "support/cli.h"
#include "support/scratch.h"

#include "base/cleanup.h"
#include "store/trace.h"
#include "support/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define S 1000000000ull

struct fixture {
	char dir[SCRATCH_DIR_MAX], path[96];
	struct trace_writer *w;
	struct host host;
};

static int put(void *ctx, const struct obs *o)
{
	return trace_write_put(((struct fixture *)ctx)->w, o);
}

static void build(struct host *h)
{
	uint32_t make = host_spawn(h, 1, "/usr/bin/make", NULL), cc;

	host_open(h, make, "/srv/Makefile", 0);
	host_pass(h, 60000000);
	cc = host_spawn(h, make, "/usr/libexec/cc1", NULL);
	host_open(h, cc, "/usr/include/stdio.h", 0);
	host_open(h, cc, "/srv/stdio.h", ENOENT);
	host_exit(h, cc);
	host_exit(h, make);
	host_pass(h, 30 * S);
}

static int setup(void **state)
{
	struct trace_info info = {.wall_offset_ns = 1000000000000000000};
	struct fixture *f = calloc(1, sizeof(*f));
	int err = 0;

	if (scratch_make_on_disk(f->dir, "trace"))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/t", f->dir);
	f->host = (struct host){.see = put,
				.ctx = f,
				.cold = true,
				.life_ns = 80000000,
				.file_bytes = 4 << 20,
				.exe_bytes = 1 << 20};
	if (trace_write_open(open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600), &info, 0, &f->w) <
	    0)
		return -1;
	host_begin(&f->host);
	for (int i = 0; i < 12; i++)
		build(&f->host);
	f->w = trace_write_close(f->w, &err);
	*state = f;
	return err;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	int r = scratch_remove(f->dir);

	free(f);
	return r;
}

static int run(const char *args, const char *path, char *ret, size_t max)
{
	int status = cli_run(ret, max, "%s %s", args, path);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_cli_replay_is_the_same_twice(void **state)
{
	struct fixture *f = *state;
	char a[4096], b[4096];

	assert_int_equal(run("replay", f->path, a, sizeof(a)), 0);
	assert_int_equal(run("replay", f->path, b, sizeof(b)), 0);
	assert_string_equal(a, b);
	assert_non_null(strstr(a, ": 110 observations of 5."));
	assert_non_null(strstr(a, "\n  digest      "));
	assert_int_equal(run("replay --json", f->path, a, sizeof(a)), 0);
	assert_non_null(strstr(a, "{\"type\":\"replay\",\"observations_n\":110,"));
	assert_non_null(strstr(a, "\n{\"type\":\"end\",\"status\":0}\n"));
}

/* What was named ahead and never came is told in bytes too: the compiler and a header, this time. */
static void test_cli_eval_counts_the_bytes_that_were_for_nothing(void **state)
{
	struct trace_info info = {.wall_offset_ns = 1000000000000000000};
	struct fixture *f = *state;
	char path[128], with[192], got[8192];
	uint32_t make;
	int err = 0;

	snprintf(path, sizeof(path), "%s2", f->path);
	assert_int_equal(
		trace_write_open(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), &info, 0, &f->w),
		0);
	for (int i = 0; i < 30; i++)
		build(&f->host);
	make = host_spawn(&f->host, 1, "/usr/bin/make", NULL);
	host_open(&f->host, make, "/srv/Makefile", 0);
	host_exit(&f->host, make);
	f->w = trace_write_close(f->w, &err);
	snprintf(with, sizeof(with), "%s --alone --json", path);
	assert_int_equal(run("eval", with, got, sizeof(got)), 0);
	assert_non_null(strstr(got, "\"wasted_bytes\":5242880"));
	snprintf(with, sizeof(with), "%s --alone", path);
	assert_int_equal(run("eval", with, got, sizeof(got)), 0);
	assert_non_null(strstr(got, "for nothing, 5.0 MiB.\n"));
	unlink(path);
}

static void test_cli_a_trace_answers_questions(void **state)
{
	static const char want[] =
		"/usr/bin/make\n"
		"  program, run 12 times, last 61 ms ago; needs 3 things\n"
		"\n"
		"SHARE   LEAD   COLD  WARM     CPU      RSS     READ  RUNS\n"
		"100 %  60 ms  80 ms     -  2.0 ms  4.0 MiB  1.0 MiB  /usr/libexec/cc1\n"
		"\n"
		"SHARE    LEAD     P50     P99  TIMES  OPENS\n"
		"100 %       0       -       -     12  /usr/bin/make\n"
		"100 %  100 us  1.8 us  1.8 us     12  /srv/Makefile\n";
	struct fixture *f = *state;
	char got[8192];

	assert_int_equal(run("deps make --trace", f->path, got, sizeof(got)), 0);
	got[strlen(want)] = '\0'; /* what is needed below follows */
	assert_string_equal(got, want);
	assert_int_equal(run("needs /srv/stdio.h --trace", f->path, got, sizeof(got)), 0);
	assert_non_null(strstr(got, "file that is not there"));
	/* The one that is there, not the one that was looked up in vain. */
	assert_int_equal(run("why stdio.h -n 3 --trace", f->path, got, sizeof(got)), 0);
	assert_int_equal(strncmp(got, "/usr/include/stdio.h: a file", 28), 0);
	assert_non_null(strstr(got, "Hit: it was needed"));
	assert_int_equal(run("status --trace", f->path, got, sizeof(got)), 0);
	assert_int_equal(strncmp(got, "a trace of ", 11), 0);
}

static void test_cli_a_damaged_trace_is_an_error_with_its_place(void **state)
{
	struct fixture *f = *state;
	char got[4096], path[128];
	unsigned char bytes[4096];
	size_t n;
	FILE *in = fopen(f->path, "rb");

	n = fread(bytes, 1, sizeof(bytes), in);
	fclose(in);
	assert_true(n > 100 && n < sizeof(bytes));
	snprintf(path, sizeof(path), "%s.bad", f->path);
	for (size_t at = 0; at < n; at += 1 + n / 40) {
		for (int cut = 0; cut < 2; cut++) {
			FILE *o = fopen(path, "wb");
			int r;

			bytes[at] ^= 0x55;
			fwrite(bytes, 1, cut ? at : n, o);
			bytes[at] ^= 0x55;
			fclose(o);
			r = run("replay", path, got, sizeof(got));
			if (r != 1 || !strstr(got, "byte ") ||
			    strchr(got, '\n') != strrchr(got, '\n'))
				if (!(cut && at == 48 && r == 0))
					fail_msg("byte %zu of %zu, cut %d: exit %d: %s", at, n, cut,
						 r, got);
		}
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cli_replay_is_the_same_twice),
		cmocka_unit_test(test_cli_eval_counts_the_bytes_that_were_for_nothing),
		cmocka_unit_test(test_cli_a_trace_answers_questions),
		cmocka_unit_test(test_cli_a_damaged_trace_is_an_error_with_its_place),
	};

	return cmocka_run_group_tests_name("cli_trace", tests, setup, teardown);
}
