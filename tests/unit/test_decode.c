// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What each record becomes, and that anything else is refused. */
#include "support/support.h"

#include "core/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static struct obs last;
static unsigned got_n;
static char last_name[OBS_NAME_MAX], last_script[OBS_NAME_MAX];

static void keep(void *ctx, const struct obs *o)
{
	(void)ctx;
	last = *o;
	got_n++;
	last_name[0] = last_script[0] = 0;
	if (o->name)
		strcpy(last_name, o->name);
	if (o->script)
		strcpy(last_script, o->script);
}

static struct decoder *fresh(void)
{
	struct decoder *d = NULL;

	got_n = 0;
	assert_int_equal(decoder_new(64, 400, 4096, &d), 0);
	return d;
}

static int name(struct decoder *d, uint64_t ino, const char *comps, size_t len, uint32_t flags)
{
	struct fwm_name e = {.hdr = {.kind = FWM_EVENT_NAME, .flags = flags},
			     .file = {.ino = ino, .dev = 254u << 20 | 1},
			     .size = 100,
			     .mode = 0100755,
			     .comps_len = (uint32_t)len};

	memcpy(e.comps, comps, len);
	e.hdr.size = (uint16_t)(offsetof(struct fwm_name, comps) + len);
	return event_decode(d, &e, e.hdr.size, keep, NULL);
}

#define NAME(d, ino, comps, flags) name(d, ino, comps, sizeof(comps) - 1, flags)

static int open_as(struct decoder *d, uint64_t ino, uint32_t oflags)
{
	struct fwm_open e = {
		.hdr = {.kind = FWM_EVENT_OPEN, .size = sizeof(e), .tgid = 7, .ts_ns = 5},
		.file = {.ino = ino, .dev = 254u << 20 | 1},
		.latency_ns = 9,
		.oflags = oflags};

	return event_decode(d, &e, sizeof(e), keep, NULL);
}

static int open_of(struct decoder *d, uint64_t ino)
{
	return open_as(d, ino, 1);
}

static void test_paths_are_put_together_from_the_leaf(void **state)
{
	static const struct {
		const char *what, *comps;
		size_t len;
		uint32_t flags;
		const char *want;
	} cases[] = {
		{"three components", "ls\0bin\0usr\0", 11, 0, "/usr/bin/ls"},
		{"the root", "", 0, 0, "/"},
		{"deleted", "f\0tmp\0", 6, FWM_F_DELETED, "/tmp/f (deleted)"},
		{"memfd", "memfd:x\0", 8, FWM_F_DELETED | FWM_F_LOST, "/memfd:x (deleted)"},
	};
	struct decoder *d = fresh();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(name(d, i + 1, cases[i].comps, cases[i].len, cases[i].flags), 0);
		assert_int_equal(open_of(d, i + 1), 0);
		if (strcmp(last_name, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].what, last_name);
	}
	assert_int_equal(last.kind, OBS_OPEN);
	assert_int_equal(last.pid, 7);
	assert_int_equal(last.latency_ns, 9);
	assert_int_equal(last.flags, OBS_F_WRITE);
	assert_int_equal(last.file.dev, 254 << 8 | 1); /* as stat(2) has it */
	decoder_free(d);
}

/* A database is opened for writing, and most of all read: so it is needed. */
static void test_an_open_tells_whether_what_is_there_counts(void **state)
{
	static const struct {
		const char *what;
		uint32_t oflags, want;
	} cases[] = {
		{"read", O_RDONLY | O_CLOEXEC, 0},
		{"a database", O_RDWR | O_CREAT, OBS_F_WRITE | OBS_F_UPDATE},
		{"a lock", O_RDONLY | O_CREAT, OBS_F_WRITE | OBS_F_UPDATE},
		{"appended", O_WRONLY | O_APPEND, OBS_F_WRITE},
		{"written anew", O_RDWR | O_TRUNC, OBS_F_WRITE},
		{"made", O_RDWR | O_CREAT | O_EXCL, OBS_F_WRITE},
	};
	struct decoder *d = fresh();

	(void)state;
	assert_int_equal(NAME(d, 1, "f\0tmp\0", 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(open_as(d, 1, cases[i].oflags), 0);
		if (last.flags != cases[i].want ||
		    obs_produces(&last) != (cases[i].want == OBS_F_WRITE))
			fail_msg("%s: %x", cases[i].what, last.flags);
	}
	decoder_free(d);
}

static void test_the_same_file_again_is_a_count(void **state)
{
	struct fwm_open e = {.hdr = {.kind = FWM_EVENT_OPEN,
				     .size = sizeof(e),
				     .tgid = 7,
				     .ts_ns = 5,
				     .flags = FWM_F_AGAIN},
			     .file = {.ino = 1, .dev = 254u << 20 | 1},
			     .latency_ns = 4711};
	struct decoder *d = fresh();

	(void)state;
	assert_int_equal(name(d, 1, "f\0tmp\0", 6, 0), 0);
	assert_int_equal(event_decode(d, &e, sizeof(e), keep, NULL), 0);
	assert_int_equal(last.kind, OBS_FOLD);
	assert_string_equal(last_name, "/tmp/f");
	assert_int_equal(last.count, 4711);
	assert_int_equal(last.latency_ns, 0);
	decoder_free(d);
}

static void test_the_same_in_vain_again_is_a_count(void **state)
{
	struct fwm_miss e = {.hdr = {.kind = FWM_EVENT_MISS, .flags = FWM_F_AGAIN},
			     .err = ENOENT,
			     .path_len = sizeof("/a"),
			     .path = "/a",
			     .latency_ns = 4711};
	struct decoder *d = fresh();

	(void)state;
	e.hdr.size = offsetof(struct fwm_miss, path) + sizeof("/a");
	assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), 0);
	assert_int_equal(last.kind, OBS_FOLD);
	assert_int_equal(last.err, ENOENT);
	assert_string_equal(last_name, "/a");
	assert_int_equal(last.count, 4711);
	assert_int_equal(last.latency_ns, 0);
	e.latency_ns = 0;
	assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), -EBADMSG);
	decoder_free(d);
}

static void test_an_unnamed_file_is_an_outcome(void **state)
{
	struct decoder *d = fresh();

	(void)state;
	assert_int_equal(open_of(d, 99), DECODE_UNNAMED);
	assert_int_equal(got_n, 0);
	decoder_free(d);
}

static void test_a_miss_is_made_absolute(void **state)
{
	static const struct {
		const char *what;
		uint64_t base;
		const char *path, *want;
	} cases[] = {
		{"absolute", 0, "/a//b/./c", "/a/b/c"},
		{"relative", 1, "x/y", "/usr/lib/x/y"},
		{"dots", 1, "../x", "/usr/x"},
		{"dots beyond the root", 1, "../../../../x", "/x"},
		{"chroot", 1, "/etc/passwd", "/usr/lib/etc/passwd"},
	};
	struct decoder *d = fresh();

	(void)state;
	assert_int_equal(NAME(d, 1, "lib\0usr\0", 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fwm_miss e = {.hdr = {.kind = FWM_EVENT_MISS},
				     .err = ENOENT,
				     .path_len = (uint32_t)strlen(cases[i].path) + 1};

		if (cases[i].base)
			e.base = (struct fwm_file){.ino = cases[i].base, .dev = 254u << 20 | 1};
		strcpy(e.path, cases[i].path);
		e.hdr.size = (uint16_t)(offsetof(struct fwm_miss, path) + e.path_len);
		assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), 0);
		if (strcmp(last_name, cases[i].want) != 0 || last.err != ENOENT)
			fail_msg("%s: %s", cases[i].what, last_name);
		assert_false(last.flags & (OBS_F_LOOKUP | OBS_F_MAPPED));
		/* Told while calls are looked at closer, as what is only asked about. */
		e.hdr.flags = FWM_F_EXEC;
		assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), 0);
		assert_true(last.flags & OBS_F_LOOKUP && last.flags & OBS_F_MAPPED);
		assert_int_equal(last.err, ENOENT);
	}
	decoder_free(d);
}

static void test_services_are_named(void **state)
{
	static const struct {
		const char *what;
		uint16_t family, proto, port;
		uint8_t addr[16];
		const char *path;
		uint16_t path_len;
		const char *want;
	} cases[] = {
		{"v4", 2, 6, 80, {127, 0, 0, 1}, "", 0, "tcp:127.0.0.1:80"},
		{"v6 loopback", 10, 17, 53, {[15] = 1}, "", 0, "udp:[::1]:53"},
		{"v6 any", 10, 6, 53, {0}, "", 0, "tcp:[::]:53"},
		{"v6", 10, 6, 1, {0x20, 1, 0xd, 0xb8, [15] = 5}, "", 0, "tcp:[2001:db8::5]:1"},
		{"v6 one zero",
		 10,
		 6,
		 1,
		 {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0, 0, 7, 0, 8},
		 "",
		 0,
		 "tcp:[1:2:3:4:5:0:7:8]:1"},
		{"v4 mapped", 10, 6, 22, {[10] = 255, 255, 10, 0, 0, 1}, "", 0, "tcp:10.0.0.1:22"},
		{"path", 1, 0, 0, {0}, "/run/x", 7, "unix:/run/x"},
		{"abstract", 1, 0, 0, {0}, "\0a\0b", 4, "unix:@a@b"},
	};
	struct decoder *d = fresh();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fwm_sock e = {.hdr = {.kind = FWM_EVENT_CONNECT, .size = sizeof(e)},
				     .family = cases[i].family,
				     .proto = cases[i].proto,
				     .port = cases[i].port,
				     .path_len = cases[i].path_len};

		memcpy(e.addr, cases[i].addr, 16);
		memcpy(e.path, cases[i].path, cases[i].path_len);
		assert_int_equal(event_decode(d, &e, sizeof(e), keep, NULL), 0);
		if (strcmp(last_name, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].what, last_name);
	}
	decoder_free(d);
}

static void test_exec_has_args_script_and_a_key(void **state)
{
	static const char args[] = "sh\0/srv/job";
	static const char script[] = "job";
	struct fwm_exec e = {.hdr = {.kind = FWM_EVENT_EXEC, .tgid = 9},
			     .exe = {.ino = 2, .dev = 254u << 20 | 1},
			     .cwd = {.ino = 1, .dev = 254u << 20 | 1},
			     .args_len = sizeof(args),
			     .script_len = sizeof(script)};
	struct decoder *d = fresh();
	struct fwm_block_key key;
	union fwm_arg_head head = {"/srv/job"};

	(void)state;
	assert_int_equal(NAME(d, 1, "srv\0", 0), 0);
	assert_int_equal(NAME(d, 2, "dash\0bin\0", 0), 0);
	memcpy(e.text, args, sizeof(args));
	memcpy(e.text + sizeof(args), script, sizeof(script));
	e.hdr.size = (uint16_t)(offsetof(struct fwm_exec, text) + sizeof(args) + sizeof(script));
	assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), 0);
	assert_string_equal(last_name, "/bin/dash");
	assert_string_equal(last_script, "/srv/job");
	assert_int_equal(last.args_len, sizeof(args));
	key = block_key_of(&last.file, args, sizeof(args));
	assert_int_equal(key.ino, 2);
	assert_int_equal(key.dev, 254u << 20 | 1); /* back to how the kernel has it */
	assert_int_equal(key.arg, fwm_arg_hash(&head));
	assert_int_equal(block_key_of(&last.file, "sh", 3).arg, 0);
	decoder_free(d);
}

static void keep_kinds(void *ctx, const struct obs *o)
{
	struct obs *kept = ctx;

	assert_true(got_n < 2);
	kept[got_n++] = *o;
}

static void test_the_first_of_a_process_says_who_made_it(void **state)
{
	struct fwm_exit e = {.hdr = {.kind = FWM_EVENT_EXIT,
				     .size = sizeof(e),
				     .tgid = 9,
				     .ts_ns = 5,
				     .flags = FWM_F_NEW},
			     .parent = 8,
			     .life_ns = 3};
	struct fwm_fork f = {
		.hdr = {.kind = FWM_EVENT_FORK, .size = sizeof(f), .tgid = 9, .ts_ns = 5},
		.parent = 8};
	struct obs got[2];
	struct decoder *d = fresh();

	(void)state;
	assert_int_equal(event_decode(d, &e, sizeof(e), keep_kinds, got), 0);
	assert_int_equal(got_n, 2);
	assert_int_equal(got[0].kind, OBS_FORK);
	assert_int_equal(got[1].kind, OBS_EXIT);
	assert_int_equal(got[1].use.life_ns, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(got[i].pid, 9);
		assert_int_equal(got[i].ppid, 8);
		assert_int_equal(got[i].ts_ns, 5);
		assert_int_equal(got[i].flags, 0);
	}
	got_n = 0;
	e.hdr.flags = 0;
	assert_int_equal(event_decode(d, &e, sizeof(e), keep_kinds, got), 0);
	assert_int_equal(got_n, 1);
	assert_int_equal(got[0].kind, OBS_EXIT);
	assert_int_equal(event_decode(d, &f, sizeof(f), keep_kinds, got), 0);
	assert_int_equal(got[1].kind, OBS_FORK);
	assert_int_equal(got[1].ppid, 8);
	decoder_free(d);
}

static void test_what_is_no_record_is_refused(void **state)
{
	struct decoder *d = fresh();
	struct fwm_open open = {.hdr = {.kind = FWM_EVENT_OPEN, .size = sizeof(open)}};
	struct fwm_sock sock = {.hdr = {.kind = FWM_EVENT_CONNECT, .size = sizeof(sock)},
				.family = 1,
				.path_len = FWM_SUN_MAX + 1};

	(void)state;
	assert_int_equal(event_decode(d, &open, 3, keep, NULL), -EBADMSG);
	assert_int_equal(event_decode(d, &open, sizeof(open) - 8, keep, NULL), -EBADMSG);
	open.hdr.kind = FWM_EVENT_KIND_MAX;
	assert_int_equal(event_decode(d, &open, sizeof(open), keep, NULL), -EBADMSG);
	open.hdr.kind = FWM_EVENT_NONE;
	assert_int_equal(event_decode(d, &open, sizeof(open), keep, NULL), -EBADMSG);
	assert_int_equal(event_decode(d, &sock, sizeof(sock), keep, NULL), -EBADMSG);
	assert_int_equal(name(d, 1, "no NUL at the end", 17, 0), -EBADMSG);
	assert_int_equal(got_n, 0);
	decoder_free(d);
}

/* Against the plainest thing that could work: an array of everything ever told. */
static void test_names_forget_the_oldest_and_nothing_else(void **state)
{
	enum { N = 16, ALL = 64, STEPS = 20000 };
	static char want[ALL][OBS_NAME_MAX];
	static uint64_t used[ALL];
	struct names *n = NULL;
	uint64_t rng = 1;
	char buf[OBS_NAME_MAX];
	size_t len;

	(void)state;
	assert_int_equal(names_new(N, 4000, &n), 0);
	for (uint64_t step = 1; step <= STEPS; step++) {
		uint32_t i;

		rng = rng * 6364136223846793005u + 1442695040888963407u;
		i = (uint32_t)(rng >> 33) % ALL;
		struct names_key key = {.ino = i, .dev = 1};

		if (rng >> 60 & 1) {
			len = (rng >> 40) % 200;
			memset(want[i], 'a' + (int)(step % 26), len);
			want[i][len] = 0;
			assert_int_equal(names_put(n, &key, &(struct names_info){.size = step},
						   want[i], len),
					 0);
			used[i] = step;
		} else {
			unsigned newer = 0;
			int r = names_get(n, &key, buf, &len, NULL);

			for (uint32_t k = 0; k < ALL; k++)
				newer += used[k] > used[i];
			assert_int_equal(r, used[i] && newer < N ? 0 : NAMES_UNKNOWN);
			if (r == 0) {
				assert_string_equal(buf, want[i]);
				used[i] = step;
			} else {
				used[i] = 0;
			}
		}
	}
	assert_true(names_stats(n)->evicted_n > 0);
	names_free(n);
}

static void test_a_long_path_pushes_out_as_many_as_it_needs(void **state)
{
	struct names *n = NULL;
	char text[4096], buf[OBS_NAME_MAX];
	size_t len;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(names_new(100, 150, &n), 0);
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(names_put(n, &(struct names_key){.ino = i},
					   &(struct names_info){0}, text, 28),
				 0);
	assert_int_equal(
		names_put(n, &(struct names_key){.ino = 100}, &(struct names_info){0}, text, 4095),
		0);
	assert_int_equal(names_get(n, &(struct names_key){.ino = 100}, buf, &len, NULL), 0);
	assert_int_equal(len, 4095);
	assert_int_equal(
		names_put(n, &(struct names_key){.ino = 100}, &(struct names_info){0}, text, 4096),
		-ENAMETOOLONG);
	assert_int_equal(names_get(n, &(struct names_key){.ino = 0}, buf, &len, NULL),
			 NAMES_UNKNOWN);
	/* 150 chunks hold the long one (147) and three of the newest short ones. */
	assert_int_equal(names_get(n, &(struct names_key){.ino = 49}, buf, &len, NULL), 0);
	assert_int_equal(names_get(n, &(struct names_key){.ino = 46}, buf, &len, NULL),
			 NAMES_UNKNOWN);
	names_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_are_put_together_from_the_leaf),
		cmocka_unit_test(test_an_open_tells_whether_what_is_there_counts),
		cmocka_unit_test(test_the_same_file_again_is_a_count),
		cmocka_unit_test(test_the_same_in_vain_again_is_a_count),
		cmocka_unit_test(test_an_unnamed_file_is_an_outcome),
		cmocka_unit_test(test_a_miss_is_made_absolute),
		cmocka_unit_test(test_services_are_named),
		cmocka_unit_test(test_exec_has_args_script_and_a_key),
		cmocka_unit_test(test_the_first_of_a_process_says_who_made_it),
		cmocka_unit_test(test_what_is_no_record_is_refused),
		cmocka_unit_test(test_names_forget_the_oldest_and_nothing_else),
		cmocka_unit_test(test_a_long_path_pushes_out_as_many_as_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
