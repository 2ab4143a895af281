// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What an anonymous trace still says, and what it no longer does. '#' stands for "x" and 8 digits. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/anon.h"
#include "core/block.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct anon anon;

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(anon.secret); i++)
		anon.secret[i] = (uint8_t)(i * 41 + 7);
	return 0;
}

static bool matches(const char *s, const char *pattern)
{
	for (; *pattern; pattern++) {
		if (*pattern != '#') {
			if (*s++ != *pattern)
				return false;
			continue;
		}
		if (*s != 'x' || strspn(s + 1, "0123456789abcdef") < 8)
			return false;
		s += 9;
	}
	return !*s;
}

static void test_anon_keeps_structure_and_hides_names(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"},
		{"/etc/passwd", "/etc/passwd"},
		{"/proc/123/maps", "/proc/*/maps"},
		{"/home/alice/report.py", "/home/#/#.py"},
		{"/home/alice/.ssh/id_rsa", "/home/#/.#/#"},
		{"/home", "/home"},
		{"/homes/alice", "/#/#"},
		{"/srv/shop/libprice.so.1.2", "/srv/#/#.so.1.2"},
		{"/var/lib/billing/db", "/var/lib/#/#"},
		{"/var/lib/dpkg/status", "/var/lib/dpkg/status"},
		{"/opt/acme//x", "/opt/#//#"},
		{"/data/a.verylongext", "/#/#"},
		{"/data/a.b c", "/#/#"},
		{"tcp:127.0.0.1:80", "tcp:127.0.0.1:80"},
		{"udp:[::1]:53", "udp:[::1]:53"},
		{"unix:/run/systemd/notify", "unix:/run/systemd/notify"},
		{"unix:/run/acme.sock", "unix:/run/#.sock"},
		{"unix:@acme", "unix:@#"},
		{"memfd:acme", "#"},
		{"image:0123456789ab:/usr/bin/x", "image:0123456789ab:/usr/bin/x"},
		{"image:0123456789ab:/srv/acme", "image:0123456789ab:/srv/#"},
	};
	char out[OBS_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		anon_name(&anon, cases[i].in, out);
		if (!matches(out, cases[i].out))
			fail_msg("%s gives %s, not %s", cases[i].in, out, cases[i].out);
	}
	anon_name(&anon, "tcp:93.184.216.34:443", out);
	assert_memory_equal(out, "tcp:10.", 7);
	assert_string_equal(strrchr(out, ':'), ":443");
	assert_null(strstr(out, "93.184"));
}

static void test_anon_is_the_same_for_the_same_and_other_for_others(void **state)
{
	char a[OBS_NAME_MAX], b[OBS_NAME_MAX];

	(void)state;
	anon_name(&anon, "/home/alice/report.py", a);
	anon_name(&anon, "/srv/alice/report.py", b);
	assert_string_equal(a + strlen("/home"), b + strlen("/srv"));
	anon_name(&anon, "/home/alice/report2.py", b);
	assert_string_not_equal(a, b);
	for (size_t i = 0; i < sizeof(anon.secret); i++)
		anon.secret[i] = (uint8_t)(i * i + 3);
	anon_name(&anon, "/home/alice/report.py", b);
	assert_string_not_equal(a, b);
	setup(NULL);
	/* Two temporary names of one kind are one. */
	anon_name(&anon, "/tmp/ccXq8f2A.s", a);
	anon_name(&anon, "/tmp/ccPw93bZ.s", b);
	assert_string_equal(a, b);
}

static void test_anon_blocks_stay_told_apart(void **state)
{
	static const char status[] = "git\0status\0-s",
			  commit[] = "git\0commit\0-m\0the secret plan";
	struct obs o = {.kind = OBS_EXEC,
			.name = "/usr/bin/git",
			.args = status,
			.args_len = sizeof(status)};
	struct obs out;
	char one[BLOCK_NAME_MAX], two[BLOCK_NAME_MAX];

	(void)state;
	anon_obs(&anon, &o, &out);
	block_name(&out, one);
	assert_true(matches(one, "/usr/bin/git #"));
	o.args = commit;
	o.args_len = sizeof(commit);
	anon_obs(&anon, &o, &out);
	block_name(&out, two);
	assert_string_not_equal(one, two);
	assert_null(memmem(out.args, out.args_len, "secret", 6));
	assert_null(memmem(out.args, out.args_len, "commit", 6));

	/* A script is the same in the arguments and by itself. */
	o = (struct obs){.kind = OBS_EXEC,
			 .name = "/usr/bin/python3.11",
			 .script = "/srv/report.py",
			 .args = "python3\0/srv/report.py\0--user=alice\0",
			 .args_len = 37,
			 .pid = 5};
	anon_obs(&anon, &o, &out);
	assert_int_equal(out.pid, 5);
	assert_string_equal(out.args, "python3");
	assert_string_equal(out.args + 8, out.script);
	assert_string_equal(out.args + 8 + strlen(out.script) + 1, "--user***");
}

static void test_anon_takes_any_bytes(void **state)
{
	(void)state;
	srandom(5);
	for (int i = 0; i < 20000; i++) {
		static const char alphabet[] = "/./-.*ab:@0x\xff";
		char name[OBS_NAME_MAX], script[OBS_NAME_MAX], args[OBS_ARGS_MAX];
		struct obs o = {.kind = OBS_EXEC, .name = name, .script = script, .args = args},
			   out;
		size_t n = (size_t)random() % (i % 50 ? 60 : OBS_NAME_MAX);

		for (size_t k = 0; k < n; k++)
			name[k] = alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
		name[n] = 0;
		memcpy(script, name, n + 1);
		o.args_len = (size_t)random() % (OBS_ARGS_MAX + 1);
		for (size_t k = 0; k < o.args_len; k++)
			args[k] = alphabet[(size_t)random() % sizeof(alphabet)];
		anon_obs(&anon, &o, &out);
		assert_true(strlen(out.name) < OBS_NAME_MAX && strlen(out.script) < OBS_NAME_MAX);
		assert_true(out.args_len <= OBS_ARGS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_anon_keeps_structure_and_hides_names, setup),
		cmocka_unit_test_setup(test_anon_is_the_same_for_the_same_and_other_for_others,
				       setup),
		cmocka_unit_test_setup(test_anon_blocks_stay_told_apart, setup),
		cmocka_unit_test_setup(test_anon_takes_any_bytes, setup),
	};

	return cmocka_run_group_tests_name("anon", tests, NULL, NULL);
}
