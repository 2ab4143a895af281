// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The configuration: defaults, the shipped file, and what is said about each kind of mistake. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/replay.h"
#include "daemon/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct said {
	char text[4096];
	unsigned lines_n;
};

static void say(void *ctx, const char *line)
{
	struct said *s = ctx;
	size_t used = strlen(s->text);

	snprintf(s->text + used, sizeof(s->text) - used, "%s\n", line);
	s->lines_n++;
}

static int read_text(const char *text, size_t n, struct said *said, struct config *ret)
{
	_cleanup_(fclosep) FILE *f = fmemopen((char *)(uintptr_t)text, n, "r");

	assert_non_null(f);
	memset(said, 0, sizeof(*said));
	return config_read(f, "t.conf", say, said, ret);
}

static void test_config_defaults_are_allowed_values(void **state)
{
	struct config c;

	(void)state;
	config_defaults(&c);
	/* A default that put() refuses would leave its field 0. */
	assert_true(c.ring_bytes >= 64 << 10);
	assert_int_equal(c.limits.graph.node_max, 12288);
	assert_int_equal(c.flush_ns, 1000000000);
	assert_true(c.policy.act);
	assert_true(c.policy.p_min > 0.24 && c.policy.p_min < 0.26);
	assert_true(c.policy.io_some_max > 29.9 && c.policy.io_some_max < 30.1);
	assert_string_equal(c.pin_dir, "/sys/fs/bpf/forewarm");
	assert_string_equal(c.socket_group, "forewarm");
}

static void test_config_shipped_file_is_the_table(void **state)
{
	_cleanup_(freep) char *want = NULL;
	_cleanup_(freep) char *have = calloc(1, 65536);
	_cleanup_(fclosep) FILE *f = fopen("user/daemon/forewarm.conf", "re");
	size_t want_n;
	FILE *m = open_memstream(&want, &want_n);

	(void)state;
	assert_non_null(f);
	assert_non_null(m);
	assert_int_equal(config_write_sample(m), 0);
	fclose(m);
	(void)!fread(have, 1, 65535, f);
	/* When this fails: .output/forewarmd --print-config >user/daemon/forewarm.conf */
	assert_string_equal(have, want);
}

/* The sample with its keys uncommented sets every key to what it is already. */
static void test_config_sample_uncommented_is_the_defaults(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct config a, b;
	struct said said;
	size_t n;
	FILE *m = open_memstream(&text, &n);

	(void)state;
	assert_int_equal(config_write_sample(m), 0);
	fclose(m);
	for (char *p = text; (p = strstr(p, "\n#")); p++)
		if (p[2] != ' ')
			p[1] = ' ';
	/* A leading blank would make it a continuation line, which inih knows. */
	for (char *p = text; (p = strstr(p, "\n "));)
		memmove(p + 1, p + 2, strlen(p + 2) + 1);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	config_defaults(&a);
	if (read_text(text, strlen(text), &said, &b) != 0)
		fail_msg("%s", said.text);
	assert_memory_equal(&a, &b, sizeof(a));
}

static void test_config_takes_all_or_nothing(void **state)
{
	static const char text[] =
		"[capture]\nring = 1 MiB ; inline\ndrain=250us\n"
		"[plan]\nact: off\nprobability-min = 0.5\nio-pressure-max = 12.5%\n"
		"[graph]\nnodes = 100\n[paths]\nrun = /tmp/x y\n";
	struct said said;
	struct config c;

	(void)state;
	/* drain's minimum is 1 ms: refused, and nothing else of the file is taken either. */
	memset(&c, 7, sizeof(c));
	assert_int_equal(read_text(text, strlen(text), &said, &c), CONFIG_BAD);
	assert_int_equal(said.lines_n, 1);
	assert_non_null(strstr(said.text, "t.conf:3: 'drain = 250us': not allowed; give a time"));
	assert_int_equal(c.ring_bytes, 0x0707070707070707ull);
}

static void test_config_takes_good_values(void **state)
{
	static const char text[] = "\xef\xbb\xbf# bom\r\n[capture]\r\nring = 1 MiB ; inline\r\n"
				   "drain=250ms\r\n[plan]\nact: off\nprobability-min = 0.5\n"
				   "io-pressure-max = 12.5%\n[graph]\nnodes = 100\n"
				   "[paths]\nrun = /tmp/x y";
	struct said said;
	struct config c;

	(void)state;
	if (read_text(text, strlen(text), &said, &c) != 0)
		fail_msg("%s", said.text);
	assert_int_equal(c.ring_bytes, 1 << 20);
	assert_int_equal(c.drain_ns, 250000000);
	assert_false(c.policy.act);
	assert_true(c.policy.p_min > 0.49 && c.policy.p_min < 0.51);
	assert_true(c.policy.io_some_max > 12.4 && c.policy.io_some_max < 12.6);
	assert_int_equal(c.limits.graph.node_max, 100);
	assert_string_equal(c.run_dir, "/tmp/x y");
	assert_string_equal(c.state_dir, "/var/lib/forewarm");
}

static void test_config_says_file_line_and_what_is_allowed(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"unknown key", "\n[plan]\nlambda = 1\n",
		 "t.conf:3: unknown key 'lambda' in [plan]; there are: act, "},
		{"near key", "[plan]\nactt = 1\n",
		 "t.conf:2: unknown key 'actt' in [plan]; did you mean 'act'?"},
		{"unknown section", "[nowhere]\nx = 1\n",
		 "t.conf:1: unknown section [nowhere]; there are: capture, "},
		{"empty unknown section", "# x\n[palns]\n", "t.conf:2: unknown section [palns]"},
		{"near section", "[plam]\n", "did you mean [plan]?"},
		{"no section", "ring = 1MiB\n",
		 "t.conf:1: 'ring' stands before the first [section]"},
		{"no unit", "[capture]\ndrain = 100\n",
		 "give a time with us, ms, s, min or h, 1 ms to 10 s"},
		{"not a power of two", "[capture]\nring = 3MiB\n",
		 "a power of two, 64 KiB to 256 MiB"},
		{"too big", "[capture]\nring = 99999999999999999999999999GiB\n",
		 "t.conf:2: 'ring ="},
		{"negative", "[graph]\nnodes = -5\n", "give a whole number, 64 to 4194304"},
		{"hexadecimal", "[capture]\nring = 0x100000\n",
		 "t.conf:2: 'ring = 0x100000': not allowed"},
		{"nan", "[plan]\nprobability-min = nan\n", "give a share in %, 0% to 100%"},
		{"above all", "[plan]\nprobability-min = 101%\n", "0% to 100%"},
		{"bool", "[plan]\nact = maybe\n", "give yes or no"},
		{"relative path", "[paths]\npin = run\n", "give an absolute path"},
		{"path upwards", "[paths]\npin = /run/../etc\n", "without . and .."},
		{"name with slash", "[paths]\ncgroup = a/b\n", "give a name of at most 63"},
		{"empty value", "[paths]\ncgroup =\n", "give a name"},
		{"twice", "[plan]\nact = no\nact = yes\n", "t.conf:3: 'act' is set twice"},
		{"continuation", "[plan]\nact = no\n  yes\n", "t.conf:3: "},
		{"neither", "[plan]\njust words\n", "t.conf:2: 'just words' is neither"},
		{"broken heading", "[plan\nact = no\n", "t.conf:1: a section is written [name]"},
		{"cross", "[pool]\nparked = 9\nmax = 2\n", "parked (9) is above max (2)"},
		{"control characters", "[pl\033[31man]\n", "[pl\\x1b[31man"},
	};
	struct said said;
	struct config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = read_text(cases[i].text, strlen(cases[i].text), &said, &c);

		if (r != CONFIG_BAD || !strstr(said.text, cases[i].want))
			fail_msg("%s: returned %d and said:\n%swanted:\n%s", cases[i].name, r,
				 said.text, cases[i].want);
	}
}

static void test_config_refuses_a_long_line_once(void **state)
{
	char text[2000] = "[plan]\n# ";
	struct said said;
	struct config c;

	(void)state;
	memset(text + strlen(text), 'x', 1000);
	snprintf(text + strlen(text), 32, "\nact = maybe\n");
	assert_int_equal(read_text(text, strlen(text), &said, &c), CONFIG_BAD);
	assert_non_null(strstr(said.text, "t.conf:2: a line is at most"));
	assert_non_null(strstr(said.text, "t.conf:3: 'act = maybe'"));
	assert_int_equal(said.lines_n, 2);
}

/* A replay decides as the daemon does when nobody set anything. */
static void test_config_defaults_are_the_replays(void **state)
{
	struct engine_limits limits = replay_limits_default();
	struct plan_policy policy = replay_policy_default();
	struct config c;

	(void)state;
	config_defaults(&c);
	assert_memory_equal(&c.limits, &limits, sizeof(limits));
	assert_true(c.policy.p_min == policy.p_min && c.policy.io_some_max == policy.io_some_max);
	assert_true(c.policy.mem_some_max == policy.mem_some_max);
	assert_true(c.policy.mem_available_min == policy.mem_available_min);
	assert_int_equal(c.policy.bytes_per_s_max, policy.bytes_per_s_max);
	assert_int_equal(c.policy.bytes_inflight_max, policy.bytes_inflight_max);
	assert_int_equal(c.policy.recheck_ns, policy.recheck_ns);
	assert_int_equal(c.policy.act, policy.act);
}

/* The least that may be set is enough for an engine to start. */
static void test_config_least_limits_make_an_engine(void **state)
{
	static const char text[] = "[graph]\nnodes=64\nedges=64\nexec-edges=64\ntext=64KiB\n"
				   "[model]\nmemory=1MiB\n[engine]\nprocesses=64\nguesses=64\n";
	struct engine *e = NULL;
	struct said said;
	struct config c;

	(void)state;
	if (read_text(text, strlen(text), &said, &c) != 0)
		fail_msg("%s", said.text);
	assert_int_equal(engine_new(&c.limits, &c.policy, &e), 0);
	engine_free(e);
}

static void test_config_missing_file_is_a_fault(void **state)
{
	struct said said = {0};
	struct config c;

	(void)state;
	assert_int_equal(config_load("/nonexistent/forewarm.conf", say, &said, &c), -ENOENT);
	assert_int_equal(config_load("/", say, &said, &c), -EISDIR);
	assert_int_equal(said.lines_n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_defaults_are_allowed_values),
		cmocka_unit_test(test_config_shipped_file_is_the_table),
		cmocka_unit_test(test_config_sample_uncommented_is_the_defaults),
		cmocka_unit_test(test_config_takes_all_or_nothing),
		cmocka_unit_test(test_config_takes_good_values),
		cmocka_unit_test(test_config_says_file_line_and_what_is_allowed),
		cmocka_unit_test(test_config_refuses_a_long_line_once),
		cmocka_unit_test(test_config_defaults_are_the_replays),
		cmocka_unit_test(test_config_least_limits_make_an_engine),
		cmocka_unit_test(test_config_missing_file_is_a_fault),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
