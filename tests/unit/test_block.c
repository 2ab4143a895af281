// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which argument tells invocations apart: a table of cases, and arguments nobody should send. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/block.h"

#include <string.h>

static void name_of(const char *exe, const char *script, const char *args, size_t n, char *ret)
{
	struct obs o = {
		.kind = OBS_EXEC, .name = exe, .script = script, .args = args, .args_len = n};

	(void)block_name(&o, ret);
}

static void redact(const char *exe, const char *script, const char *args, size_t n, char *ret,
		   size_t *ret_n)
{
	struct obs o = {
		.kind = OBS_EXEC, .name = exe, .script = script, .args = args, .args_len = n};

	*ret_n = block_redact(&o, ret);
}

static void test_block_names_what_tells_apart(void **state)
{
	static const struct {
		const char *exe, *script;
		const char *argv; /* words between spaces */
		const char *want;
	} cases[] = {
		{"/usr/bin/git", NULL, "git status", "/usr/bin/git status"},
		{"/usr/bin/git", NULL, "git -C /srv -c a=b log --oneline", "/usr/bin/git log"},
		{"/usr/bin/git", NULL, "git --version", "/usr/bin/git"},
		{"/usr/bin/grep", NULL, "grep status file", "/usr/bin/grep"},
		{"/usr/bin/python3.11", NULL, "python3 /srv/report.py --x",
		 "/usr/bin/python3.11 /srv/report.py"},
		{"/usr/bin/python3.11", NULL, "python3 -W ignore -m http.server 80",
		 "/usr/bin/python3.11 -m http.server"},
		{"/usr/bin/python3.11", "/srv/r.py", "python3 r.py",
		 "/usr/bin/python3.11 /srv/r.py"},
		{"/usr/bin/python3.11", NULL, "python3", "/usr/bin/python3.11"},
		{"/usr/bin/dash", NULL, "sh -e build.sh", "/usr/bin/dash build.sh"},
		{"/usr/bin/dash", NULL, "sh -", "/usr/bin/dash"},
		{"/usr/bin/gcc-12", NULL, "gcc -O2 -c a.c -o a.o", "/usr/bin/gcc-12 -c"},
		{"/usr/bin/gcc-12", NULL, "gcc a.o -o a", "/usr/bin/gcc-12"},
		{"/usr/bin/x86_64-linux-gnu-gcc-12", NULL, "gcc -c a.c",
		 "/usr/bin/x86_64-linux-gnu-gcc-12 -c"},
		{"/usr/bin/java", NULL, "java -cp a:b -Xmx1g org.x.Main arg",
		 "/usr/bin/java org.x.Main"},
		{"/usr/bin/java", NULL, "java -jar /srv/a.jar", "/usr/bin/java -jar /srv/a.jar"},
		{"/bin/busybox", NULL, "busybox ls", "/bin/busybox ls"},
		{"/usr/bin/apt-get", NULL, "apt-get -o a=b install gcc",
		 "/usr/bin/apt-get install"},
		{"/usr/bin/timeout", NULL, "timeout -k 5 60 make check", "/usr/bin/timeout make"},
		{"/usr/bin/env", NULL, "env A=b /usr/bin/python3 x", "/usr/bin/env python3"},
		{"/usr/bin/sudo", NULL, "sudo -u me ls", "/usr/bin/sudo ls"},
		{"/usr/bin/nice", NULL, "nice -n 5 gcc", "/usr/bin/nice gcc"},
		{"/usr/bin/env", NULL, "env", "/usr/bin/env"},
		{"/opt/own", "/srv/own.script", "own x", "/opt/own /srv/own.script"},
	};
	char name[BLOCK_NAME_MAX], args[256], short_args[OBS_ARGS_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i].argv) + 1;

		memcpy(args, cases[i].argv, n);
		for (size_t j = 0; j < n; j++)
			if (args[j] == ' ')
				args[j] = '\0';
		name_of(cases[i].exe, cases[i].script, args, n, name);
		if (strcmp(name, cases[i].want) != 0)
			fail_msg("'%s' gave '%s', not '%s'", cases[i].argv, name, cases[i].want);
		/* What is left when the rest is cut tells it apart just as well. */
		redact(cases[i].exe, cases[i].script, args, n, short_args, &n);
		name_of(cases[i].exe, cases[i].script, short_args, n, name);
		if (strcmp(name, cases[i].want) != 0)
			fail_msg("'%s' cut gave '%s', not '%s'", cases[i].argv, name,
				 cases[i].want);
	}
}

static void test_block_redact_leaves_no_secret(void **state)
{
	static const struct {
		const char *exe;
		const char *argv; /* words between bars */
	} cases[] = {
		{"/usr/bin/dash", "sh|-c|curl -u me:SECRET http://x"},
		{"/usr/bin/dash", "sh|-ec|curl -u me:SECRET http://x"},
		{"/usr/bin/perl", "perl|-lne|print 'SECRET'"},
		{"/usr/bin/curl", "curl|-u|me:SECRET"},
		{"/usr/bin/git", "git|-c|http.extraheader=SECRET|fetch|https://SECRET@x"},
		{"/usr/bin/python3", "python3|-c|print('SECRET')"},
		{"/usr/bin/python3", "python3|/srv/x.py|--password=SECRET"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char args[128], cut[OBS_ARGS_MAX], again[OBS_ARGS_MAX];
		size_t args_n = strlen(cases[i].argv) + 1, n, again_n;

		memcpy(args, cases[i].argv, args_n);
		for (char *p = args; (p = strchr(p, '|'));)
			*p++ = '\0';
		redact(cases[i].exe, NULL, args, args_n, cut, &n);
		assert_null(memmem(cut, n, "SECRET", 6));
		redact(cases[i].exe, NULL, args, args_n, again, &again_n);
		assert_int_equal(n, again_n);
		assert_memory_equal(cut, again, n);
	}
}

static void test_block_hides_inline_code(void **state)
{
	static const char args[] = "sh\0-c\0curl -u me:secret https://x";
	char name[BLOCK_NAME_MAX];

	(void)state;
	name_of("/bin/sh", NULL, args, sizeof(args), name);
	assert_null(strstr(name, "secret"));
	assert_non_null(strstr(name, "/bin/sh -c #"));
}

static void test_block_survives_any_arguments(void **state)
{
	char name[BLOCK_NAME_MAX], args[OBS_ARGS_MAX], exe[OBS_NAME_MAX];

	(void)state;
	memset(exe, 'x', sizeof(exe));
	exe[0] = '/';
	exe[sizeof(exe) - 1] = '\0';
	name_of(exe, NULL, NULL, 0, name);
	assert_true(strlen(name) < BLOCK_NAME_MAX);
	memset(args, 'y', sizeof(args)); /* no NUL anywhere */
	name_of("/usr/bin/python3", NULL, args, sizeof(args), name);
	assert_string_equal(name, "/usr/bin/python3");
	args[6] = '\0';
	args[sizeof(args) - 1] = '\0';
	name_of("/usr/bin/python3", NULL, args, sizeof(args), name);
	assert_true(strlen(name) < BLOCK_NAME_MAX);
	name_of("/usr/bin/git", NULL, "git", 3, name);
	assert_string_equal(name, "/usr/bin/git");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_names_what_tells_apart),
		cmocka_unit_test(test_block_redact_leaves_no_secret),
		cmocka_unit_test(test_block_hides_inline_code),
		cmocka_unit_test(test_block_survives_any_arguments),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
