// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Secrets in arguments, one case a line: how it was called, and what may be kept of that. */
#include "support/support.h"

#include "base/cleanup.h"
#include "core/redact.h"

#include <stdlib.h>
#include <string.h>

/* '|' stands for the NUL behind an argument. */
static const struct {
	const char *in, *out;
} cases[] = {
	/* options that say what they are */
	{"app|--password=hunter2|", "app|--password=***|"},
	{"app|--password|hunter2|--verbose|", "app|--password|***|--verbose|"},
	{"app|--password|--verbose|x|", "app|--password|--verbose|x|"},
	{"app|--password-file=/etc/secret|", "app|--password-file=/etc/secret|"},
	{"app|--password-stdin|registry|", "app|--password-stdin|registry|"},
	{"app|--db-password=a=b=c|", "app|--db-password=***|"},
	{"app|--password=|", "app|--password=|"},
	{"app|--PassWord=x|", "app|--PassWord=***|"},
	{"app|--api_key=x|--api-key|y|", "app|--api_key=***|--api-key|***|"},
	{"app|--token|t|--client-secret=s|", "app|--token|***|--client-secret=***|"},
	{"app|--tokenizer=bpe|", "app|--tokenizer=***|"},
	{"app|--key=abc|--keyboard=us|--monkey=1|", "app|--key=***|--keyboard=us|--monkey=1|"},
	{"java|-Djavax.net.ssl.keyStorePassword=changeit|-jar|a.jar|",
	 "java|-Djavax.net.ssl.keyStorePassword=***|-jar|a.jar|"},
	{"env|PGPASSWORD=x|psql|", "env|PGPASSWORD=***|psql|"},
	{"env|AWS_SECRET_ACCESS_KEY=x|AWS_REGION=eu|",
	 "env|AWS_SECRET_ACCESS_KEY=***|AWS_REGION=eu|"},
	/* options of programs */
	{"mysql|-uroot|-pS3cret|shop|", "mysql|-uroot|-p***|shop|"},
	{"/usr/bin/mysqldump|-p|shop|", "/usr/bin/mysqldump|-p|shop|"},
	{"ssh|-p2222|host|", "ssh|-p2222|host|"},
	{"curl|-u|me:pw|http://h/|", "curl|-u|***|http://h/|"},
	{"curl|-ume:pw|http://h/|", "curl|-u***|http://h/|"},
	{"sshpass|-p|pw|ssh|h|", "sshpass|-p|***|ssh|h|"},
	{"sshpass|-ppw|ssh|h|", "sshpass|-p***|ssh|h|"},
	{"redis-cli|-a|pw|get|k|", "redis-cli|-a|***|get|k|"},
	{"openssl|enc|-k|pw|-in|f|", "openssl|enc|-k|***|-in|f|"},
	{"openssl|rsa|-passin|pass:pw|", "openssl|rsa|-passin|***|"},
	{"docker|login|-u|me|-p|pw|", "docker|login|-u|me|-p|***|"},
	{"docker|run|-p8080:80|nginx|", "docker|run|-p8080:80|nginx|"},
	/* URLs */
	{"git|clone|https://me:pw@host/r.git|", "git|clone|https://***@host/r.git|"},
	{"git|clone|https://ghtoken@host/r.git|", "git|clone|https://***@host/r.git|"},
	{"git|clone|ssh://git@host/r.git|", "git|clone|ssh://git@host/r.git|"},
	{"git|clone|git@host:r.git|", "git|clone|git@host:r.git|"},
	{"psql|postgresql://u:p@h:5432/db?x=1|", "psql|postgresql://***@h:5432/db?x=1|"},
	{"app|--db=redis://:pw@h/0|", "app|--db=redis://***@h/0|"},
	{"curl|http://host/a@b|", "curl|http://host/a@b|"},
	/* headers */
	{"curl|-H|Authorization: Bearer abc|u|", "curl|-H|Authorization:***|u|"},
	{"curl|-HX-API-Key: abc|u|", "curl|-HX-API-Key:***|u|"},
	{"curl|--header=authorization: Basic abc|u|", "curl|--header=authorization:***|u|"},
	{"curl|-H|Cookie: sid=1|", "curl|-H|Cookie:***|"},
	{"curl|-H|Accept: text/html|", "curl|-H|Accept: text/html|"},
	/* keys by their look */
	{"app|ghp_0123456789abcdefABCDEF0123456789abcd|", "app|***|"},
	{"app|x=glpat-0123456789abcdefGHIJ|", "app|x=***|"},
	{"app|AKIAIOSFODNN7EXAMPLE|", "app|***|"},
	{"app|eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def-1|", "app|***|"},
	{"app|wJalr7XUtn2FEMI9K7MDENG5bPxRfi3CY|", "app|***|"},
	{"app|d41d8cd98f00b204e9800998ecf8427e|", "app|***|"},
	{"app|sk-1|AKIA|", "app|sk-1|AKIA|"},
	/* what stays */
	{"git|status|", "git|status|"},
	{"python3|/srv/report.py|--since=2024-01-01|",
	 "python3|/srv/report.py|--since=2024-01-01|"},
	{"python3|-m|http.server|8080|", "python3|-m|http.server|8080|"},
	{"java|com.example.VeryLongClassNameForBilling2Service|",
	 "java|com.example.VeryLongClassNameForBilling2Service|"},
	{"cat|/nix/store/0c0z1p3lzk8bz5n0q8x0cm4v5d0mbkgr-hello-2.12/bin/hello|",
	 "cat|/nix/store/0c0z1p3lzk8bz5n0q8x0cm4v5d0mbkgr-hello-2.12/bin/hello|"},
	{"cat|./Wd7Kp2Xq9Lm4Zt8Rv3Bn6Hs.txt|", "cat|./Wd7Kp2Xq9Lm4Zt8Rv3Bn6Hs.txt|"},
	{"gcc|-c|-O2|-march=native|main.c|-o|main.o|",
	 "gcc|-c|-O2|-march=native|main.c|-o|main.o|"},
	{"systemctl|restart|systemd-networkd-wait-online.service|",
	 "systemctl|restart|systemd-networkd-wait-online.service|"},
	{"--password=x|a|", "--password=x|a|"},
	/* odd shapes */
	{"", ""},
	{"|", "|"},
	{"app||x|", "app||x|"},
	{"app|--password||x|", "app|--password||x|"},
	{"app|--password=cut", "app|--password=***"},
	{"app|--password", "app|--password"},
	{"app|=|:|@|://@|--|-|--=x|", "app|=|:|@|://@|--|-|--=x|"},
};

static size_t to_args(const char *text, char *ret)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		ret[i] = (char)(text[i] == '|' ? 0 : text[i]);
	return n;
}

static void test_redact_hides_secrets_and_only_those(void **state)
{
	unsigned failed_n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char in[512], want[512], out[512], shown[513];
		size_t in_n = to_args(cases[i].in, in), want_n = to_args(cases[i].out, want), n;
		unsigned hidden_n = 99;

		n = redact_args(in, in_n, out, sizeof(out), &hidden_n);
		for (size_t k = 0; k < n; k++)
			shown[k] = (char)(out[k] ? out[k] : '|');
		shown[n] = 0;
		if (n != want_n || memcmp(out, want, n) != 0 ||
		    (hidden_n > 0) != (strstr(cases[i].out, "***") != NULL)) {
			print_error("%s\n  gives %s\n  not   %s\n", cases[i].in, shown,
				    cases[i].out);
			failed_n++;
		}
	}
	assert_int_equal(failed_n, 0);
}

static void test_redact_cuts_at_a_whole_argument(void **state)
{
	char in[64], out[64];
	size_t n = to_args("app|--token=x|second|third|", in);

	(void)state;
	for (size_t max = 0; max <= sizeof(out); max++) {
		size_t m;

		memset(out, 0x7e, sizeof(out));
		m = redact_args(in, n, out, max, NULL);
		assert_true(m <= max);
		assert_true(m == 0 || out[m - 1] == 0);
		for (size_t k = max; k < sizeof(out); k++)
			assert_int_equal(out[k], 0x7e);
	}
}

static void test_redact_takes_any_bytes(void **state)
{
	static const char *const bits[] = {
		"--password", "=",  "://",   "@",    "user:pw", "Authorization:",
		"-p",	      "\0", "mysql", "AKIA", "\xff",	"ghp_",
		"a1B2c3D4",   " ",  "/",     "."};
	_cleanup_(freep) char *out = malloc(1024);

	(void)state;
	srandom(11);
	for (int i = 0; i < 50000; i++) {
		_cleanup_(freep) char *in = NULL;
		char text[1024];
		size_t n = 0;

		for (long k = random() % 40; k; k--) {
			const char *b = bits[(size_t)random() % ARRAY_SIZE(bits)];
			size_t len = *b ? strlen(b) : 1;

			memcpy(text + n, b, len);
			n += len;
		}
		in = malloc(n ? n : 1);
		memcpy(in, text, n);
		assert_true(redact_args(in, n, out, (size_t)random() % 1024, NULL) <= 1024);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redact_hides_secrets_and_only_those),
		cmocka_unit_test(test_redact_cuts_at_a_whole_argument),
		cmocka_unit_test(test_redact_takes_any_bytes),
	};

	return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
