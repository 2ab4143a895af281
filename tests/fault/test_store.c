// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The store where its file is not well: a full disk loses nothing; a file that is damaged, foreign or
 * newer is set aside and never brings us down.
 */
#include "support/support.h"

#include "support/store_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DAMAGE_N = 60 };
#else
enum { DAMAGE_N = 300 };
#endif

static void test_store_full_disk_loses_nothing(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(4000, 20000),
					    *back = bed_graph(4000, 20000);
	_cleanup_(store_closep) struct store *s = bed_open(0);
	struct rlimit was, tight;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	int refused_n = 0, r;
	void *model;
	size_t n;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	bed_fill(g, 10, 10);
	bed_flush(s, g);
	for (rlim_t kib = 100; kib < 8192; kib += 400) {
		_cleanup_(graph_freep) struct graph *batch = bed_graph(4000, 20000);

		bed_fill(batch, 60, 80);
		tight = (struct rlimit){.rlim_cur = kib * 1024, .rlim_max = was.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
		r = store_begin(s);
		if (!r)
			r = bed_put_changes(s, batch);
		if (!r)
			r = store_commit(s);
		if (r) {
			assert_int_equal(r, -ENOSPC);
			assert_true(strlen(store_message(s)) > 0);
			store_rollback(s);
			refused_n++;
		}
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
		if (r && refused_n == 1) { /* what was there before is there still */
			_cleanup_(graph_freep) struct graph *seen = bed_loaded(s);

			bed_assert_same(g, seen);
		}
	}
	assert_true(refused_n > 0);
	bed_fill(g, 60, 80);
	bed_flush(s, g);
	assert_int_equal(store_load(s, back, &model, &n), 0);
	bed_assert_same(g, back);
	(void)signal(SIGXFSZ, handler);
}

static void test_store_that_cannot_be_opened_says_why(void **state)
{
	struct store *s = NULL;
	char bad[PATH_MAX];

	(void)state;
	snprintf(bad, sizeof(bad), "%s/no/such/bed_dir/f.db", bed_dir);
	assert_int_equal(store_open(bad, bed_aside, &s), -ENOENT);
	assert_int_equal(store_open(bed_dir, bed_aside, &s), -EISDIR);
	memset(bad, 'x', sizeof(bad));
	bad[sizeof(bad) - 1] = 0;
	assert_int_equal(store_open(bad, bed_aside, &s), -ENAMETOOLONG);
	assert_null(s);
}

static void copy_file(const char *from, const char *to)
{
	_cleanup_(fclosep) FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	char buf[65536];
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), in)))
		assert_int_equal(fwrite(buf, 1, n, out), n);
}

static void assert_equal_files(const char *a, const char *b)
{
	_cleanup_(fclosep) FILE *x = fopen(a, "r"), *y = fopen(b, "r");
	int c;

	assert_non_null(x);
	assert_non_null(y);
	do
		assert_int_equal(c = getc(x), getc(y));
	while (c != EOF);
}

static void test_store_sets_a_newer_schema_aside(void **state)
{
	char copy[PATH_MAX], want[PATH_MAX];

	(void)state;
	snprintf(copy, sizeof(copy), "%s/copy", bed_dir);
	for (int i = 1; i <= 2; i++) {
		store_close(bed_open(0));
		bed_sql("PRAGMA user_version = 7");
		copy_file(bed_path, copy);
		store_close(bed_open(STORE_SET_ASIDE));
		snprintf(want, sizeof(want), "%s.newer-schema-7%s", bed_path, i == 1 ? "" : "-2");
		assert_string_equal(bed_aside, want);
		assert_equal_files(bed_aside, copy);
	}
}

static void test_store_sets_foreign_files_aside(void **state)
{
	FILE *f;

	(void)state;
	f = fopen(bed_path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		fputs("Dear diary, this is not a database.\n", f);
	fclose(f);
	store_close(bed_open(STORE_SET_ASIDE));
	assert_non_null(strstr(bed_aside, "forewarm.db.corrupt-20"));
	assert_int_equal(unlink(bed_path), 0);

	bed_sql("CREATE TABLE diary(day)");
	store_close(bed_open(STORE_SET_ASIDE));
	assert_int_equal(unlink(bed_path), 0);

	/* It says it is ours, and lacks a column. */
	bed_sql("PRAGMA application_id = 0x46574d31; PRAGMA user_version = 1;"
		"CREATE TABLE meta(key, value); CREATE TABLE nodes(id);");
	store_close(bed_open(STORE_SET_ASIDE));

	/* Nothing at all is a fresh start. */
	assert_int_equal(truncate(bed_path, 0), 0);
	store_close(bed_open(0));
}

static void damage(uint32_t how)
{
	_cleanup_(closep) int fd = open(bed_path, O_RDWR | O_CLOEXEC);
	struct stat sb;
	char bytes[4096];
	off_t at;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &sb), 0);
	at = random() % sb.st_size;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)random();
	switch (how % 5) {
	case 0: /* a few bytes here and there */
		for (int i = 0; i < 20; i++)
			assert_int_equal(pwrite(fd, bytes + i, 1, random() % sb.st_size), 1);
		break;
	case 1: /* one byte of the first pages: header and schema */
		assert_int_equal(pwrite(fd, bytes, 1, random() % 12288), 1);
		break;
	case 2: /* a page of noise */
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at & ~4095), sizeof(bytes));
		break;
	case 3: /* a page of nothing */
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at & ~4095), sizeof(bytes));
		break;
	default: /* the end is missing */
		assert_int_equal(ftruncate(fd, at), 0);
	}
}

/* Puts g, which may find the file damaged once, then not any more. True: it was set aside for that. */
static bool put_at_last(struct store *s, struct graph *g)
{
	bool set_aside = false;

	for (int try = 0; try < 2; try++) {
		int r = store_begin(s);

		assert_true(r == 0 || r == STORE_SET_ASIDE);
		set_aside |= r == STORE_SET_ASIDE;
		bed_fill(g, 40, 40);
		r = bed_put_changes(s, g);
		if (!r)
			r = store_commit(s);
		if (!r)
			return set_aside;
		assert_int_equal(r, -EUCLEAN);
		store_rollback(s);
	}
	fail_msg("a fresh file fails too: %s", store_message(s));
	return false;
}

static void test_store_survives_damage(void **state)
{
	_cleanup_(graph_freep) struct graph *g = bed_graph(1000, 4000);
	uint32_t at_open_n = 0, later_n = 0, unnoticed_n = 0;
	char sound_dir[SCRATCH_DIR_MAX], sound[PATH_MAX];
	struct store *s = bed_open(0);

	bed_fill(g, 40, 40);
	bed_flush(s, g);
	store_close(s);
	assert_int_equal(scratch_make(sound_dir, "sound"), 0);
	snprintf(sound, sizeof(sound), "%s/copy", sound_dir);
	copy_file(bed_path, sound);
	srandom(42);
	for (uint32_t i = 0; i < DAMAGE_N; i++) {
		_cleanup_(graph_freep) struct graph *back = bed_graph(1000, 4000);
		void *model = NULL;
		size_t n = 0;
		bool later;
		int at_open, at_load;

		assert_int_equal(bed_teardown(state), 0);
		assert_int_equal(bed_setup(state), 0);
		copy_file(sound, bed_path);
		damage(i);
		at_open = store_open(bed_path, bed_aside, &s);
		assert_true(at_open == 0 || at_open == STORE_SET_ASIDE);
		at_load = store_load(s, back, &model, &n);
		assert_true(at_load == 0 || at_load == STORE_SET_ASIDE);
		free(model);
		later = put_at_last(s, back) || at_load == STORE_SET_ASIDE;
		at_open_n += at_open == STORE_SET_ASIDE;
		later_n += later;
		unnoticed_n += !at_open && !later;
		store_close(s);
	}
	printf("# %u damaged files: %u found out at open, %u later, %u not at all\n",
	       (unsigned)DAMAGE_N, at_open_n, later_n, unnoticed_n);
	assert_true(at_open_n > DAMAGE_N / 2);
	assert_int_equal(scratch_remove(sound_dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(test_store_full_disk_loses_nothing),
		BED_TEST(test_store_that_cannot_be_opened_says_why),
		BED_TEST(test_store_sets_a_newer_schema_aside),
		BED_TEST(test_store_sets_foreign_files_aside),
		BED_TEST(test_store_survives_damage),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
