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
	last_script[0] = 0;
	assert_int_equal(event_decode(d, &e, e.hdr.size + 40u, keep, NULL),
			 0); /* in a larger room */
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
	open.hdr.size = sizeof(open.hdr) - 1;
	assert_int_equal(event_decode(d, &open, sizeof(open), keep, NULL), -EBADMSG);
	open.hdr.size = sizeof(open) - 8; /* there is room behind it, but it is too short itself */
	assert_int_equal(event_decode(d, &open, sizeof(open), keep, NULL), -EBADMSG);
	open.hdr.size = sizeof(open);
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

static int fold(struct decoder *d, struct fwm_fold_key key, const char *path, uint64_t timed_n)
{
	struct fwm_fold_row row = {
		.count = 9, .timed_n = timed_n, .latency_ns = 600, .first_ns = 1, .last_ns = 77};

	/* As the kernel leaves it: all of it used, and no NUL, when it was longer. */
	memcpy(row.path, path, strlen(path) < FWM_FOLD_PATH ? strlen(path) + 1 : FWM_FOLD_PATH);
	return fold_decode(d, &key, &row, keep, NULL);
}

/* What was only counted in the kernel: files by their number, what was not there by its name. */
static void test_what_was_folded_is_named_and_counted(void **state)
{
	const struct fwm_fold_key file = {.ino = 2, .dev = 254u << 20 | 1, .tgid = 7},
				  gone = {.path = 5, .tgid = 7, .err = ENOENT},
				  below = {.ino = 1,
					   .dev = 254u << 20 | 1,
					   .path = 5,
					   .err = ENOENT};
	struct fwm_fold_key unknown = file, unknown_dir = below;
	struct decoder *d = fresh();
	char longest[FWM_FOLD_PATH + 1];

	(void)state;
	assert_int_equal(NAME(d, 1, "lib\0usr\0", 0), 0);
	assert_int_equal(NAME(d, 2, "a\0lib\0usr\0", 0), 0);
	assert_int_equal(fold(d, file, "", 3), 0);
	assert_string_equal(last_name, "/usr/lib/a");
	assert_int_equal(last.kind, OBS_FOLD);
	assert_int_equal(last.ts_ns, 77);
	assert_int_equal(last.pid, 7);
	assert_int_equal(last.count, 9);
	assert_int_equal(last.latency_ns, 200);
	assert_int_equal(last.err, 0);
	assert_int_equal(last.file.ino, 2);
	assert_int_equal(fold(d, file, "", 0), 0);
	assert_int_equal(last.latency_ns, 0);
	assert_int_equal(fold(d, gone, "/etc/../x", 1), 0);
	assert_string_equal(last_name, "/x");
	assert_int_equal(last.err, ENOENT);
	assert_int_equal(last.flags, 0);
	assert_int_equal(fold(d, below, "y", 1), 0);
	assert_string_equal(last_name, "/usr/lib/y");
	assert_int_equal(fold(d, gone, "relative to what", 1), DECODE_UNNAMED);
	unknown.ino = unknown_dir.ino = 99;
	assert_int_equal(fold(d, unknown, "", 1), DECODE_UNNAMED);
	assert_int_equal(fold(d, unknown_dir, "y", 1), DECODE_UNNAMED);
	/* One that fills its place may have been longer. */
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[FWM_FOLD_PATH] = 0;
	assert_int_equal(fold(d, gone, longest, 1), 0);
	assert_int_equal(last.flags, OBS_F_CUT);
	assert_int_equal(strlen(last_name), FWM_FOLD_PATH - 1);
	longest[FWM_FOLD_PATH - 2] = 0;
	assert_int_equal(fold(d, gone, longest, 1), 0);
	assert_int_equal(last.flags, 0);
	decoder_free(d);
}

static int exec_in(struct decoder *d, uint32_t mntns, uint64_t image)
{
	struct fwm_exec e = {.hdr = {.kind = FWM_EVENT_EXEC, .tgid = 9},
			     .exe = {.ino = mntns, .dev = 254u << 20 | 1},
			     .mntns = mntns,
			     .image = image,
			     .script_len = sizeof("/job")};

	memcpy(e.text, "/job", sizeof("/job"));
	e.hdr.size = (uint16_t)(offsetof(struct fwm_exec, text) + sizeof("/job"));
	return event_decode(d, &e, e.hdr.size, keep, NULL);
}

static int asked_n;

static int image_of_pid(uint32_t pid, char *buf, size_t n)
{
	asked_n++;
	return pid == 9 ? snprintf(buf, n, "root:looked") : -ESRCH;
}

static int image_of_nobody(uint32_t pid, char *buf, size_t n)
{
	(void)pid, (void)buf, (void)n;
	asked_n++;
	return -ESRCH;
}

/* Files of containers are named with their image, those of the host as they are. */
static void test_files_of_containers_are_named_with_their_image(void **state)
{
	enum { HOST = 100, TOLD = 200, ASKED = 300, GONE = 400 };
	static const uint32_t ns[] = {HOST, TOLD, ASKED, GONE};
	struct decoder *d = fresh();
	struct fwm_miss miss = {
		.hdr = {.kind = FWM_EVENT_MISS}, .err = ENOENT, .path_len = sizeof("/a")};

	(void)state;
	asked_n = 0;
	for (size_t i = 0; i < 4; i++) {
		struct fwm_name e = {.hdr = {.kind = FWM_EVENT_NAME},
				     .file = {.ino = ns[i], .dev = 254u << 20 | 1},
				     .mntns = ns[i],
				     .comps_len = sizeof("x\0bin")};

		memcpy(e.comps, "x\0bin", sizeof("x\0bin"));
		e.hdr.size = (uint16_t)(offsetof(struct fwm_name, comps) + e.comps_len);
		assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), 0);
	}
	/* Nobody told which namespace is the host's: all is taken for its. */
	assert_int_equal(exec_in(d, TOLD, FWM_IMAGE(FWM_IMAGE_ROOT, 0xabcdull << 16)), 0);
	assert_string_equal(last_name, "/bin/x");
	assert_null(last.image);
	decoder_images(d, HOST, image_of_pid);
	assert_int_equal(exec_in(d, HOST, 0), 0);
	assert_string_equal(last_name, "/bin/x");
	assert_string_equal(last_script, "/job");
	assert_string_equal(last.image, "");
	assert_int_equal(exec_in(d, TOLD, FWM_IMAGE(FWM_IMAGE_ROOT, 0xabcdull << 16)), 0);
	assert_string_equal(last_name, "root:00000000abcd:/bin/x");
	assert_string_equal(last_script, "root:00000000abcd:/job");
	assert_string_equal(last.image, "root:00000000abcd");
	assert_int_equal(asked_n, 0);
	assert_int_equal(exec_in(d, ASKED, 0), 0);
	assert_string_equal(last_name, "root:looked:/bin/x");
	assert_int_equal(asked_n, 1);
	/* Gone before it could be asked: not the host's, whosesoever it was; what is known stays known. */
	decoder_images(d, HOST, image_of_nobody);
	assert_int_equal(exec_in(d, GONE, 0), 0);
	assert_string_equal(last_name, "mntns:400:/bin/x");
	assert_int_equal(exec_in(d, ASKED, 0), 0);
	assert_string_equal(last_name, "root:looked:/bin/x");
	assert_int_equal(open_of(d, TOLD), 0);
	assert_string_equal(last_name, "root:00000000abcd:/bin/x");
	assert_int_equal(open_of(d, HOST), 0);
	assert_string_equal(last_name, "/bin/x");
	memcpy(miss.path, "/a", sizeof("/a"));
	miss.hdr.size = (uint16_t)(offsetof(struct fwm_miss, path) + sizeof("/a"));
	miss.mntns = ASKED;
	assert_int_equal(event_decode(d, &miss, miss.hdr.size, keep, NULL), 0);
	assert_string_equal(last_name, "root:looked:/a");
	miss.mntns = 500; /* of which nothing is known */
	assert_int_equal(event_decode(d, &miss, miss.hdr.size, keep, NULL), 0);
	assert_string_equal(last_name, "/a");
	decoder_free(d);
}

static uint32_t peer_at(struct decoder *d, uint16_t family, uint16_t proto, const uint8_t *addr,
			uint32_t netns, uint32_t err)
{
	struct fwm_sock e = {.hdr = {.kind = FWM_EVENT_CONNECT, .size = sizeof(e)},
			     .family = family,
			     .proto = proto,
			     .port = 80,
			     .netns = netns,
			     .err = err};

	memcpy(e.addr, addr, 16);
	assert_int_equal(event_decode(d, &e, sizeof(e), keep, NULL), 0);
	assert_int_equal(last.err, err);
	return last.peer;
}

static void listens(struct decoder *d, uint16_t family, uint16_t proto, const uint8_t *addr,
		    uint32_t pid, bool gone)
{
	struct fwm_sock e = {.hdr = {.kind = FWM_EVENT_LISTEN,
				     .size = sizeof(e),
				     .tgid = pid,
				     .flags = gone ? FWM_F_GONE : 0},
			     .family = family,
			     .proto = proto,
			     .port = 80,
			     .netns = 1};
	unsigned before = got_n;

	memcpy(e.addr, addr, 16);
	assert_int_equal(event_decode(d, &e, sizeof(e), keep, NULL), 0);
	assert_int_equal(got_n - before, !gone);
}

/* Who listens at just that address; on the loopback, who listens at all of them. */
static void test_a_connection_is_to_who_listens_there(void **state)
{
	enum { INET = 2, INET6 = 10, TCP = 6, UDP = 17 };
	static const uint8_t any[16] = {0}, lo[16] = {127, 0, 0, 1}, lo6[16] = {[15] = 1},
			     far[16] = {10, 0, 0, 1};
	struct decoder *d = fresh();

	(void)state;
	assert_int_equal(peer_at(d, INET, TCP, lo, 1, 0), 0);
	listens(d, INET6, TCP, any, 31, false);
	assert_int_equal(peer_at(d, INET, TCP, lo, 1, 0), 31);
	assert_int_equal(peer_at(d, INET6, TCP, lo6, 1, 0), 31);
	listens(d, INET, TCP, any, 41, false);
	assert_int_equal(peer_at(d, INET, TCP, lo, 1, 0), 41);
	assert_int_equal(peer_at(d, INET, UDP, lo, 1, 0), 0);
	assert_int_equal(peer_at(d, INET, TCP, far, 1, 0), 0);
	assert_int_equal(peer_at(d, INET, TCP, lo, 2, 0), 0); /* another network */
	assert_int_equal(peer_at(d, INET, TCP, lo, 1, ECONNREFUSED), 0);
	listens(d, INET, TCP, lo, 51, false);
	assert_int_equal(peer_at(d, INET, TCP, lo, 1, 0), 51);
	listens(d, INET, TCP, far, 61, false);
	assert_int_equal(peer_at(d, INET, TCP, far, 1, 0), 61);
	listens(d, INET, TCP, lo, 51, true);
	assert_int_equal(peer_at(d, INET, TCP, lo, 1, 0), 41);
	listens(d, INET, UDP, any, 71, false);
	assert_int_equal(peer_at(d, INET, UDP, lo, 1, 0), 71);
	assert_int_equal(peer_at(d, INET, TCP, lo, 1, 0), 41);
	decoder_free(d);
}

/* As deep as a name may be, and no deeper. */
static void test_a_path_that_is_too_long_is_cut(void **state)
{
	static char comps[FWM_COMPS_MAX];
	struct decoder *d = fresh();
	struct fwm_miss e = {.hdr = {.kind = FWM_EVENT_MISS},
			     .base = {.ino = 1, .dev = 254u << 20 | 1},
			     .err = ENOENT};
	size_t n = 0, len = FWM_PATH_MAX - 1;

	(void)state;
	while (n + 256 <= sizeof(comps)) { /* 255 bytes each, so that only some of them have room */
		memset(comps + n, 'x', 255);
		n += 256;
	}
	assert_int_equal(name(d, 1, comps, n, 0), 0);
	assert_int_equal(open_of(d, 1), 0);
	assert_true(strlen(last_name) && strlen(last_name) % 256 == 0); /* none is cut in half */
	memset(e.path, 'y', len);
	for (size_t i = 100; i < len - 1; i += 101)
		e.path[i] = '/';
	e.path_len = (uint32_t)len + 1;
	e.hdr.size = (uint16_t)(offsetof(struct fwm_miss, path) + len + 1);
	assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), 0);
	assert_true(last.flags & OBS_F_CUT);
	assert_true(strlen(last_name) < OBS_NAME_MAX);
	assert_memory_equal(last_name, "/xxx", 4);
	decoder_free(d);
}

/* What a started program is told of besides itself: who made it, and its loader, unless it is a quiet start. */
static void test_exec_tells_its_maker_and_its_loader(void **state)
{
	struct fwm_exec e = {.hdr = {.kind = FWM_EVENT_EXEC, .tgid = 9, .ts_ns = 5},
			     .exe = {.ino = 1, .dev = 254u << 20 | 1},
			     .loader = {.ino = 2, .dev = 254u << 20 | 1},
			     .parent = 8};
	static const struct {
		uint32_t flags;
		unsigned n;
	} cases[] = {
		{0, 2},
		{FWM_F_NEW, 3},
		{FWM_F_QUIET, 1},
		{FWM_F_NEW | FWM_F_QUIET, 2},
	};
	struct decoder *d = fresh();

	(void)state;
	e.hdr.size = offsetof(struct fwm_exec, text);
	assert_int_equal(NAME(d, 1, "a\0bin\0", 0), 0);
	assert_int_equal(NAME(d, 2, "ld.so\0lib\0", 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got_n = 0;
		e.hdr.flags = cases[i].flags;
		assert_int_equal(event_decode(d, &e, e.hdr.size, keep, NULL), 0);
		assert_int_equal(got_n, cases[i].n);
		assert_int_equal(last.kind, cases[i].flags & FWM_F_QUIET ? OBS_EXEC : OBS_OPEN);
		assert_string_equal(last_name,
				    cases[i].flags & FWM_F_QUIET ? "/bin/a" : "/lib/ld.so");
		if (last.kind == OBS_OPEN)
			assert_true(last.flags & OBS_F_MAPPED);
	}
	decoder_free(d);
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
		cmocka_unit_test(test_what_was_folded_is_named_and_counted),
		cmocka_unit_test(test_files_of_containers_are_named_with_their_image),
		cmocka_unit_test(test_a_connection_is_to_who_listens_there),
		cmocka_unit_test(test_a_path_that_is_too_long_is_cut),
		cmocka_unit_test(test_exec_tells_its_maker_and_its_loader),
		cmocka_unit_test(test_names_forget_the_oldest_and_nothing_else),
		cmocka_unit_test(test_a_long_path_pushes_out_as_many_as_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
