// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Every form of trace that forewarm eval reads, templates of temporary names, quantiles of leads. */
#include "support/support.h"

#include "core/lead.h"
#include "core/tally.h"
#include "core/template.h"
#include "store/dataset.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* Writes text to a file of its own, gzipped or not; the caller unlinks and frees. */
static char *file_of(const char *text, bool packed)
{
	char *path = strdup("/tmp/fwm-dataset.XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	if (packed) {
		gzFile f = gzdopen(fd, "wb");

		assert_int_equal(gzwrite(f, text, (unsigned)strlen(text)), (int)strlen(text));
		assert_int_equal(gzclose(f), Z_OK);
	} else {
		assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
		close(fd);
	}
	return path;
}

static struct dataset *read_text(const char *text, const struct dataset_options *opt, bool packed)
{
	char *path = file_of(text, packed);
	struct dataset *d = NULL;
	size_t line = 0;

	assert_int_equal(dataset_read(path, opt, &d, &line), 0);
	unlink(path);
	free(path);
	return d;
}

static void test_dataset_knows_every_form(void **state)
{
	static const struct {
		const char *name, *text;
		enum dataset_form form;
		size_t events, streams, symbols;
	} cases[] = {
		{"a sequence a line", "6 6 63\n42 6\n", DATASET_LINES, 5, 2, 3},
		{"SPMF with its marks", "1 -1 2 -1 -2\n3 -1 1 -1 -2\n", DATASET_LINES, 4, 2, 3},
		{"SPiCe", "2 20\n3 7 8 7\n2 0 7\n", DATASET_SPICE, 5, 2, 3},
		{"a shell", "cd\nls\n\ncd\nls -l\n", DATASET_SHELL, 4, 1, 3},
		{"a host",
		 "# t_ns\tkind\tpid\tsession\targ\n"
		 "1\tF\t9\t-1\t10\n2\tE\t10\t5\t/bin/a\n3\tO\t10\t5\t/tmp/ccA1b2C3.s\n"
		 "4\to\t10\t5\t/none\n5\tO\t10\t5\t/tmp/ccZ9y8X7.s\n6\tC\t10\t6\t127.0.0.1:80\n",
		 DATASET_HOST, 3, 2, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dataset_options opt = {0};
		struct dataset *d;

		print_message("%s\n", cases[i].name);
		d = read_text(cases[i].text, &opt, i % 2);
		assert_int_equal(d->form, cases[i].form);
		assert_int_equal(d->event_n, cases[i].events);
		assert_int_equal(d->stream_n, cases[i].streams);
		assert_int_equal(d->symbol_n, cases[i].symbols + (i == 4)); /* a program too */
		assert_true(d->events[d->event_n - 1].last);
		dataset_free(d);
	}
}

static void test_dataset_counts_first_touches_and_raw_names(void **state)
{
	static const char text[] =
		"1\tE\t10\t5\t/bin/a\n2\tO\t10\t5\t/tmp/ccA1b2C3.s\n"
		"3\tO\t10\t5\t/tmp/ccZ9y8X7.s\n4\tO\t10\t5\t/x\n5\tO\t10\t5\t/x\n";
	struct dataset_options raw = {.raw_names = true}, all = {.every_touch = true};
	struct dataset *d = read_text(text, &raw, false);

	(void)state;
	assert_int_equal(d->event_n, 4);
	assert_true(d->events[0].program != 0 && d->events[0].program == d->events[3].program);
	dataset_free(d);
	d = read_text(text, &all, false);
	assert_int_equal(d->event_n, 5);
	assert_int_equal(d->events[1].symbol, d->events[2].symbol);
	dataset_free(d);
}

static void test_dataset_refuses_what_is_not_there_or_is_empty(void **state)
{
	struct dataset_options opt = {0};
	struct dataset *d = NULL;
	size_t line;
	char *empty = file_of("", false), *broken = file_of("1\tE\n", false);

	(void)state;
	assert_int_equal(dataset_read("/nonexistent/x", &opt, &d, &line), -ENOENT);
	assert_int_equal(dataset_read(empty, &opt, &d, &line), -ENODATA);
	assert_int_equal(dataset_read(broken, &opt, &d, &line), -EBADMSG);
	assert_null(d);
	unlink(empty);
	unlink(broken);
	free(empty);
	free(broken);
}

static void test_template_finds_made_up_parts_and_leaves_names(void **state)
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{"/tmp/ccmqRMoa.s", "/tmp/cc*.s"},
		{"/tmp/b32e3j28", "/tmp/*"},
		{"/proc/1234/maps", "/proc/*/maps"},
		{"/proc/self/maps", "/proc/self/maps"},
		{"/srv/b/CMakeFiles/TryCompile-OL9KTh/x.c", "/srv/b/CMakeFiles/TryCompile-*/x.c"},
		{"/srv/b/CMakeCache.txt.tmp48a78", "/srv/b/CMakeCache.txt.tmp*"},
		{"CMakeFiles/cmTC_1f3c7.dir/link.txt", "CMakeFiles/cmTC_*.dir/link.txt"},
		{"/home/u/.npm/_logs/2026-11-22T07_14_01_994Z-debug-0.log",
		 "/home/u/.npm/_logs/*-debug-0.log"},
		/* names that only look odd */
		{"/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"},
		{"/usr/src/CMakeLists.txt", "/usr/src/CMakeLists.txt"},
		{"/usr/src/runtime/asm_ppc64x.s", "/usr/src/runtime/asm_ppc64x.s"},
		{"/usr/share/schemas/2019-12-02/a.json", "/usr/share/schemas/2019-12-02/a.json"},
		{"/etc/ld.so.cache", "/etc/ld.so.cache"},
		{"/usr/include/c++/12/bits/stl_algo.h", "/usr/include/c++/12/bits/stl_algo.h"},
		{"unix:/run/systemd/journal/socket", "unix:/run/systemd/journal/socket"},
		{"", ""},
	};
	char out[256], small[8];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned n = template_of(cases[i].name, out, sizeof(out));

		print_message("%s -> %s\n", cases[i].name, out);
		assert_string_equal(out, cases[i].want);
		assert_int_equal(n > 0, strcmp(cases[i].name, cases[i].want) != 0);
	}
	(void)template_of("/usr/lib/long", small, sizeof(small));
	assert_string_equal(small, "/usr/li");
}

static void test_lead_quantiles_hold_their_shares(void **state)
{
	struct lead_cell cell = {0};
	struct lead l;
	unsigned inside = 0, below = 0, n = 0;
	uint32_t seed = 9;

	(void)state;
	assert_false(lead_get(&cell, 7, &l));
	for (int i = 0; i < 4000; i++) {
		double u = 0;
		uint64_t ns;

		for (int k = 0; k < 12; k++) { /* nearly normal, in octaves */
			seed = seed * 1664525u + 1013904223u;
			u += (seed >> 8) / (double)(1 << 24);
		}
		ns = (uint64_t)(1e6 * exp2(u - 6));
		if (i > 500) {
			assert_true(lead_get(&cell, 7, &l));
			inside += ns >= l.p10_ns && ns <= l.p90_ns;
			below += ns < l.p50_ns;
			n++;
		}
		lead_learn(&cell, 7, ns);
	}
	print_message("%.3f within p10..p90, %.3f below p50\n", inside / (double)n,
		      below / (double)n);
	assert_true(inside / (double)n > 0.70 && inside / (double)n < 0.90);
	assert_true(fabs(below / (double)n - 0.5) < 0.08);
	for (uint64_t ns = 1; ns < 4000000000u; ns = ns * 3 / 2 + 1)
		assert_true(fabs(log2((double)lead_ns_of(lead_mark_of(ns)) / (double)ns)) < 0.6);
}

static void test_tally_counts_ranks_and_calibration(void **state)
{
	struct vomm_guess g[2] = {{.symbol = 5, .p = 0.75}, {.symbol = 6, .p = 0.25}};
	struct tally t = {0};

	(void)state;
	for (int i = 0; i < 4; i++)
		tally_event(&t, g, 2, i < 3 ? 5 : 6);
	tally_event(&t, NULL, 0, 7);
	assert_int_equal(t.hit_n[0], 3);
	assert_int_equal(t.hit_n[1], 4);
	assert_int_equal(t.covered_n, 4);
	assert_float_equal(tally_ece(&t.all), 0, 1e-9);
	assert_float_equal(tally_hit_percent(&t, 0), 60, 1e-9);
	tally_cost(&t, 0.25);
	assert_float_equal(t.bits, 2, 1e-9);
}

/* Real jobs, recorded: learnt once, then run again exactly so. */
static void test_vomm_knows_a_job_the_second_time(void **state)
{
	struct vomm_limits limits = {.bytes_max = 8 << 20};
	struct dataset_options opt = {0};
	size_t line, known = 0, first3 = 0, n = 0;
	struct dataset *d = NULL;
	struct vomm_stream *streams;
	struct vomm *v = NULL;

	(void)state;
	if (access("tests/data/jobs.tsv.gz", R_OK) != 0)
		skip_because("no tests/data/jobs.tsv.gz in the working folder");
	assert_int_equal(dataset_read("tests/data/jobs.tsv.gz", &opt, &d, &line), 0);
	assert_int_equal(vomm_new(&limits, &v), 0);
	streams = calloc(d->stream_n, sizeof(*streams));
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < d->stream_n; i++)
			vomm_stream_init(&streams[i], NULL);
		for (size_t i = 0; i < d->event_n; i++) {
			const struct dataset_event *e = &d->events[i];
			struct vomm_stream *s = &streams[e->stream];
			struct vomm_guess g[10];
			size_t k = 0, at;

			if (e->stream >= d->stream_n / 4) /* the first round only */
				continue;
			if (pass && vomm_predict(v, s, 10, g, &k) != 0)
				k = 0;
			for (at = 0; at < k && g[at].symbol != e->symbol; at++)
				;
			n += (size_t)pass;
			known += pass && at < k;
			first3 += pass && at < k && at < 3;
			(void)vomm_observe(v, s, e->symbol, e->t_ns, NULL);
			vomm_stream_feature(s, VOMM_PROGRAM, e->program);
			vomm_stream_feature(s, VOMM_PARENT, e->parent);
		}
	}
	print_message("second run: %.1f %% of %zu first touches in the top ten, %.1f %% in the "
		      "top three\n",
		      100.0 * (double)known / (double)n, n, 100.0 * (double)first3 / (double)n);
	assert_true((double)known >= 0.9 * (double)n);
	assert_true((double)first3 >= 0.9 * (double)n);
	free(streams);
	vomm_free(v);
	dataset_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dataset_knows_every_form),
		cmocka_unit_test(test_dataset_counts_first_touches_and_raw_names),
		cmocka_unit_test(test_dataset_refuses_what_is_not_there_or_is_empty),
		cmocka_unit_test(test_template_finds_made_up_parts_and_leaves_names),
		cmocka_unit_test(test_lead_quantiles_hold_their_shares),
		cmocka_unit_test(test_tally_counts_ranks_and_calibration),
		cmocka_unit_test(test_vomm_knows_a_job_the_second_time),
	};

	return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
