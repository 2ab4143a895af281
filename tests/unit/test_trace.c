// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Traces: what is put comes back field for field; whatever is broken is said with its place. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/obscode.h"
#include "store/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

DEFINE_CLEANUP(struct obs_encoder *, obs_encoder_free)
DEFINE_CLEANUP(struct trace_reader *, trace_read_close)

static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 11;
}

/* Often 0, often small, now and then anything. */
static uint64_t rnd_number(void)
{
	switch (rnd() % 4) {
	case 0:
		return 0;
	case 1:
		return rnd() << (rnd() % 64);
	default:
		return rnd() % 1000;
	}
}

static char texts[4][OBS_NAME_MAX];

static const char *rnd_name(int which, size_t max)
{
	size_t n = (size_t)(rnd() % 20 ? 1 + rnd() % 60 : 1 + rnd() % (max - 1));

	if (rnd() % 3 == 0)
		return "/usr/lib/x86_64-linux-gnu/libc.so.6";
	for (size_t i = 0; i < n; i++)
		texts[which][i] = (char)(1 + rnd() % 255);
	texts[which][n] = 0;
	return texts[which];
}

static void rnd_obs(struct obs *o)
{
	*o = (struct obs){
		.kind = (enum obs_kind)(1 + rnd() % (OBS_KIND_MAX - 1)),
		.err = (int32_t)rnd_number(),
		.ts_ns = rnd() % 50 ? 1000000000 + rnd() % 100000 : rnd_number(),
		.cgroup = rnd_number(),
		.pid = (uint32_t)rnd_number(),
		.ppid = (uint32_t)rnd_number(),
		.uid = (uint32_t)rnd_number(),
		.peer = (uint32_t)rnd_number(),
		.flags = (uint32_t)rnd() % 32,
		.mntns = (uint32_t)rnd_number(),
		.latency_ns = rnd_number(),
		.count = rnd_number(),
		.name = rnd_name(0, OBS_NAME_MAX),
		.file = {rnd_number(), rnd_number(), (uint32_t)rnd_number(), (uint32_t)rnd_number(),
			 rnd_number()},
		.use = {rnd_number(), rnd_number(), rnd_number(), rnd_number(), rnd_number(),
			rnd_number(), rnd_number(), (int32_t)rnd_number()},
	};
	if (rnd() % 2)
		o->script = rnd_name(1, OBS_NAME_MAX);
	if (rnd() % 2) {
		o->args_len = 1 + rnd() % OBS_ARGS_MAX;
		for (size_t i = 0; i < o->args_len; i++)
			texts[2][i] = (char)(rnd() % 5);
		o->args = texts[2];
	}
	if (o->kind == OBS_FORK || o->kind == OBS_EXIT)
		o->name = NULL;
}

static void assert_text(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a)
		assert_string_equal(a, b);
}

static void assert_same(const struct obs *a, const struct obs *b)
{
	struct obs x = *a, y = *b;

	assert_text(a->name, b->name);
	assert_text(a->script, b->script);
	assert_int_equal(a->args_len, b->args_len);
	if (a->args_len)
		assert_memory_equal(a->args, b->args, a->args_len);
	x.name = y.name = x.script = y.script = x.args = y.args = NULL;
	assert_memory_equal(&x, &y, sizeof(x));
}

static void test_obscode_brings_back_any_observation(void **state)
{
	_cleanup_(obs_encoder_freep) struct obs_encoder *e = NULL;
	static struct obs_decoder d;
	const void *frame;
	size_t n;

	(void)state;
	assert_int_equal(obs_encoder_new(&e), 0);
	for (uint64_t round = 0; round < 200; round++) {
		uint64_t start = seed, put_n = 0;
		struct obs o, back;

		obs_encoder_reset(e);
		for (;; put_n++) {
			uint64_t was = seed;
			int r;

			rnd_obs(&o);
			r = obs_encode(e, &o);
			if (r == 0)
				continue;
			assert_int_equal(r, OBSCODE_FULL);
			seed = was;
			break;
		}
		assert_true(put_n > 5);
		n = obs_encoder_frame(e, &frame);
		assert_true(n > OBSCODE_FRAME_MAX / 2);
		obs_decoder_init(&d, frame, n);
		seed = start;
		for (uint64_t i = 0; i < put_n; i++) {
			rnd_obs(&o);
			assert_int_equal(obs_decode(&d, &back), 0);
			assert_same(&o, &back);
		}
		assert_int_equal(obs_decode(&d, &back), OBSCODE_END);
	}
}

static void test_obscode_refuses_what_it_cannot_keep(void **state)
{
	_cleanup_(obs_encoder_freep) struct obs_encoder *e = NULL;
	_cleanup_(freep) char *name = malloc(OBS_NAME_MAX + 1);
	struct obs o = {.kind = OBS_OPEN};
	const void *frame;

	(void)state;
	assert_int_equal(obs_encoder_new(&e), 0);
	assert_int_equal(obs_encode(e, &o), -EINVAL);
	o.name = "";
	assert_int_equal(obs_encode(e, &o), -EINVAL);
	memset(name, 'x', OBS_NAME_MAX);
	name[OBS_NAME_MAX] = 0;
	o.name = name;
	assert_int_equal(obs_encode(e, &o), -EINVAL);
	name[OBS_NAME_MAX - 1] = 0;
	o.kind = OBS_NONE;
	assert_int_equal(obs_encode(e, &o), -EINVAL);
	assert_int_equal(obs_encoder_frame(e, &frame), 0);
	o.kind = OBS_EXEC;
	assert_int_equal(obs_encode(e, &o), 0);
}

static void test_obscode_takes_any_bytes(void **state)
{
	_cleanup_(obs_encoder_freep) struct obs_encoder *e = NULL;
	static struct obs_decoder d;
	const void *frame;
	uint64_t refused_n = 0;
	size_t n;

	(void)state;
	assert_int_equal(obs_encoder_new(&e), 0);
	for (int i = 0; i < 20000; i++) {
		_cleanup_(freep) uint8_t *bytes = NULL;
		struct obs o;
		int r;

		obs_encoder_reset(e);
		for (int k = 0; k < 3; k++) {
			rnd_obs(&o);
			assert_int_equal(obs_encode(e, &o), 0);
		}
		n = obs_encoder_frame(e, &frame);
		n -= rnd() % 3 ? 0 : rnd() % n;
		bytes = malloc(n ? n : 1); /* its own allocation, so that ASan sees its end */
		memcpy(bytes, frame, n);
		for (uint64_t k = rnd() % 4; k && n; k--)
			bytes[rnd() % n] = (uint8_t)rnd();
		obs_decoder_init(&d, bytes, n);
		while ((r = obs_decode(&d, &o)) == 0) {
			assert_true(!o.name || strlen(o.name) < OBS_NAME_MAX);
			assert_true(o.args_len <= OBS_ARGS_MAX);
		}
		assert_true(r == OBSCODE_END || r == -EBADMSG);
		refused_n += r < 0;
	}
	assert_true(refused_n > 5000);
}

/* --- files ------------------------------------------------------------------------------------- */

static int memory_file(void)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* A second descriptor of the same file, at its start. */
static int again(int fd)
{
	char path[64];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, O_RDWR | O_CLOEXEC);
	assert_true(copy >= 0);
	return copy;
}

static const struct trace_info info = {
	.flags = TRACE_F_ANONYMOUS, .wall_offset_ns = -5, .host = 77};

/* count observations from start on; returns a descriptor of the file. */
static int write_trace(uint64_t start, uint64_t count)
{
	int fd = memory_file(), err = 1;
	struct trace_writer *w = NULL;
	struct obs o;

	assert_int_equal(trace_write_open(dup(fd), &info, 0, &w), 0);
	seed = start;
	for (uint64_t i = 0; i < count; i++) {
		rnd_obs(&o);
		assert_int_equal(trace_write_put(w, &o), 0);
		if (i % 100 == 99)
			assert_int_equal(trace_write_flush(w), 0);
	}
	assert_null(trace_write_close(w, &err));
	assert_int_equal(err, 0);
	return fd;
}

static void test_trace_brings_back_what_was_put(void **state)
{
	_cleanup_(closep) int fd = write_trace(5, 3000);
	_cleanup_(trace_read_closep) struct trace_reader *t = NULL;
	struct trace_info back_info;
	struct obs o, back;

	(void)state;
	assert_int_equal(trace_read_open(again(fd), &back_info, NULL, &t), 0);
	assert_int_equal(back_info.flags, info.flags);
	assert_int_equal(back_info.wall_offset_ns, info.wall_offset_ns);
	assert_int_equal(back_info.host, info.host);
	seed = 5;
	for (int i = 0; i < 3000; i++) {
		rnd_obs(&o);
		assert_int_equal(trace_read_next(t, &back), 0);
		assert_same(&o, &back);
	}
	assert_int_equal(trace_read_next(t, &back), TRACE_END);
	assert_int_equal(trace_read_next(t, &back), TRACE_END);
}

static void test_trace_says_where_it_is_damaged(void **state)
{
	_cleanup_(closep) int whole = write_trace(6, 400);
	struct stat sb;
	uint64_t found_n = 0;
	uint8_t *bytes;

	(void)state;
	assert_int_equal(fstat(whole, &sb), 0);
	bytes = mmap(NULL, (size_t)sb.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, whole, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	for (int i = 0; i < 2000; i++) {
		size_t at = (size_t)(rnd() % (uint64_t)(i % 2 ? sb.st_size : 200));
		uint8_t was = bytes[at], other = (uint8_t)(was ^ (1 + rnd() % 255));
		struct trace_reader *t = NULL;
		char message[128] = "";
		struct obs o;
		int r;

		bytes[at] = other;
		r = trace_read_open(again(whole), NULL, message, &t);
		if (!r) {
			while ((r = trace_read_next(t, &o)) == 0)
				;
			/* It is found in the frame that it is in. */
			assert_true(trace_read_offset(t) <= at);
			snprintf(message, sizeof(message), "%s", trace_read_message(t));
			trace_read_close(t);
		}
		assert_int_equal(r, -EBADMSG);
		assert_memory_equal(message, "at byte ", 8);
		found_n++;
		bytes[at] = was;
	}
	assert_int_equal(found_n, 2000);
	(void)munmap(bytes, (size_t)sb.st_size);
}

static void test_trace_cut_off_is_good_up_to_there(void **state)
{
	_cleanup_(closep) int fd = write_trace(7, 1000);
	struct stat sb;
	uint64_t last_n = 1001;
	struct obs o;

	(void)state;
	assert_int_equal(fstat(fd, &sb), 0);
	for (off_t n = sb.st_size - 1; n >= 0; n -= n / 13 + 1) {
		struct trace_reader *t = NULL;
		char message[128];
		uint64_t good_n = 0;
		int r;

		assert_int_equal(ftruncate(fd, n), 0);
		r = trace_read_open(again(fd), NULL, message, &t);
		if (r) {
			assert_int_equal(r, -EBADMSG);
			assert_true(n < 48);
			continue;
		}
		for (; (r = trace_read_next(t, &o)) == 0; good_n++)
			;
		assert_true(r == TRACE_END || r == -EBADMSG);
		assert_true(good_n < last_n && (good_n % 100 == 0 || n > 48));
		last_n = good_n + 1;
		trace_read_close(t);
	}
}

static void test_trace_hostile_length_takes_no_memory(void **state)
{
	_cleanup_(closep) int fd = write_trace(8, 1);
	struct rlimit was, tight;
	uint32_t huge = 0xfffffff0;
	struct trace_reader *t = NULL;
	struct obs o;

	(void)state;
	assert_int_equal(pwrite(fd, &huge, 4, 48), 4);
	assert_int_equal(pwrite(fd, &huge, 4, 52), 4);
	assert_int_equal(getrlimit(RLIMIT_AS, &was), 0);
	assert_int_equal(trace_read_open(again(fd), NULL, NULL, &t), 0);
	tight = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = was.rlim_max};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0); /* nothing more can be had */
#else
	(void)tight;
#endif
	assert_int_equal(trace_read_next(t, &o), -EBADMSG);
	assert_int_equal(setrlimit(RLIMIT_AS, &was), 0);
	assert_string_equal(trace_read_message(t), "at byte 48: a frame of impossible length");
	assert_int_equal(trace_read_offset(t), 48);
	trace_read_close(t);
}

static void test_trace_refuses_other_files(void **state)
{
	static const char *const contents[] = {
		"", "FWMTRAC", "#!/bin/sh: a script is forty-eight bytes long and then some\n"};
	static const char *const said[] = {"at byte 0: the file is empty",
					   "at byte 0: the file ends in the middle",
					   "at byte 0: not a trace of forewarm"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
		struct trace_reader *t = NULL;
		int fd = memory_file();
		char message[128];

		assert_int_equal(pwrite(fd, contents[i], strlen(contents[i]), 0),
				 strlen(contents[i]));
		assert_int_equal(trace_read_open(fd, NULL, message, &t), -EBADMSG);
		assert_string_equal(message, said[i]);
	}
}

static void test_trace_stops_at_its_limit(void **state)
{
	_cleanup_(closep) int fd = memory_file();
	_cleanup_(trace_read_closep) struct trace_reader *t = NULL;
	struct trace_writer *w = NULL;
	uint64_t put_n = 0, got_n = 0;
	struct obs o;
	struct stat sb;
	int r = 0, err = 1;

	(void)state;
	assert_int_equal(trace_write_open(dup(fd), &info, 300000, &w), 0);
	for (; !r && put_n < 100000; put_n++) {
		rnd_obs(&o);
		r = trace_write_put(w, &o);
	}
	assert_int_equal(r, TRACE_FULL);
	assert_int_equal(trace_write_put(w, &o), TRACE_FULL);
	trace_write_close(w, &err);
	assert_int_equal(err, 0);
	assert_int_equal(fstat(fd, &sb), 0);
	assert_in_range(sb.st_size, 200000, 300000);
	assert_int_equal(trace_read_open(again(fd), NULL, NULL, &t), 0);
	while ((r = trace_read_next(t, &o)) == 0)
		got_n++;
	assert_int_equal(r, TRACE_END);
	assert_true(got_n > 100 && got_n < put_n);
}

static void test_trace_tells_a_full_disk(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct trace_writer *w = NULL;

	(void)state;
	if (fd < 0)
		skip_because("no /dev/full");
	assert_int_equal(trace_write_open(fd, &info, 0, &w), -ENOSPC);
}

static void test_trace_is_small_and_fast(void **state)
{
	enum { N = 200000 };
	_cleanup_(closep) int fd = memory_file();
	struct trace_writer *w = NULL;
	struct timespec t0, t1;
	struct obs o = {.kind = OBS_OPEN, .count = 1, .latency_ns = 2000, .uid = 1000};
	char name[128];
	double put_s;

	(void)state;
	assert_int_equal(trace_write_open(dup(fd), &info, 0, &w), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (uint64_t i = 0; i < N; i++) {
		uint64_t which = rnd() % 2000;

		snprintf(name, sizeof(name), "/usr/lib/x86_64-linux-gnu/package-%u/file-%u.so",
			 (unsigned)which / 20, (unsigned)which);
		o.name = name;
		o.ts_ns += rnd() % 100000;
		o.pid = (uint32_t)(5000 + i / 200);
		o.latency_ns = 1000 + rnd() % 10000;
		o.file = (struct obs_file){
			.dev = 66305, .ino = 100000 + which, .mode = 0100644, .size = 4096 * which};
		assert_int_equal(trace_write_put(w, &o), 0);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	put_s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("# %d opens: %.1f bytes and %.0f ns of CPU each\n", N,
	       (double)trace_write_bytes(w) / N, put_s / N * 1e9);
	trace_write_close(w, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_obscode_brings_back_any_observation),
		cmocka_unit_test(test_obscode_refuses_what_it_cannot_keep),
		cmocka_unit_test(test_obscode_takes_any_bytes),
		cmocka_unit_test(test_trace_brings_back_what_was_put),
		cmocka_unit_test(test_trace_says_where_it_is_damaged),
		cmocka_unit_test(test_trace_cut_off_is_good_up_to_there),
		cmocka_unit_test(test_trace_hostile_length_takes_no_memory),
		cmocka_unit_test(test_trace_refuses_other_files),
		cmocka_unit_test(test_trace_stops_at_its_limit),
		cmocka_unit_test(test_trace_tells_a_full_disk),
		cmocka_unit_test(test_trace_is_small_and_fast),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
