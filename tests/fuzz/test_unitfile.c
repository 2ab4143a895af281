// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes are a unit or refused with a reason, and everything read from them lies in its bounds.
 * As a unit test: seeds, and ROUND_N mutations of them from a fixed random seed. With
 * -DFWM_LIBFUZZER -fsanitize=fuzzer it is a libFuzzer target.
 */
#include "support/support.h"

#include "core/unitfile.h"

#include <stdlib.h>
#include <string.h>

enum { ROUND_N = 20000, INPUT_MAX = 4096 };

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void check_socket(const struct unit *u)
{
	CHECK(u->socket.listen_n > 0 && u->socket.listen_n <= UNIT_LISTEN_MAX);
	for (size_t i = 0; i < u->socket.listen_n; i++) {
		const struct unit_addr *a = &u->socket.listens[i];
		struct unit_addr again = {0};
		char text[160];

		unit_addr_format(a, text, sizeof(text));
		CHECK(unit_addr_parse(text, a->type, &again) == 0);
		CHECK(unit_addr_equal(a, &again));
	}
}

static void check_service(const struct unit *u)
{
	static const char *const env[] = {"A=b c 'd'", "FOO=", NULL};
	char buf[512], *argv[16];

	CHECK(u->service.exec_path && u->service.exec_path[0] == '/');
	CHECK(u->service.argv.item_n <= UNIT_ARG_MAX);
	CHECK(!u->service.argv.items[u->service.argv.item_n]);
	if (unit_expand(&u->service, env, buf, sizeof(buf), argv, ARRAY_SIZE(argv)) == 0) {
		for (size_t i = 0; argv[i]; i++)
			CHECK(argv[i] >= buf && argv[i] + strlen(argv[i]) < buf + sizeof(buf));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct unit *u;
	static const struct unit_host host = {"h", "m", "b", "v"};

	if (!u)
		u = unit_new();
	CHECK(u);
	for (int kind = UNIT_SOCKET; kind <= UNIT_SERVICE; kind++) {
		struct unit_why why = {0};
		int r = unit_parse(u, (enum unit_kind)kind, "x@y", &host, (const char *)data, size,
				   &why);

		CHECK(r == 0 || r == UNIT_REFUSED);
		if (r) {
			CHECK(why.text[0] && memchr(why.text, 0, sizeof(why.text)));
			continue;
		}
		if (kind == UNIT_SOCKET)
			check_socket(u);
		else
			check_service(u);
	}
	return 0;
}

#ifndef FWM_LIBFUZZER
static const char *const seeds[] = {
	"[Socket]\nListenStream=80\nListenStream=/run/%p.sock\nListenDatagram=@x\n",
	"[Socket]\nListenStream=[::1]:80\nListenStream=1.2.3.4:5\nAccept=no\nBacklog=5\n",
	"[Service]\nExecStart=/bin/x 'a b' \"c\" \\x41 ${A} $A $$ ; %n\nType=notify\n",
	"[Unit]\nAfter=network.target\n[Service]\nExecStart=@/x y \\\n# c\n z\nUser=a\n"
	"Environment=A=b 'C=d e'\nMemoryMax=10%\nCPUQuota=5%\nTimeoutSec=1min 2s\n",
	"[Service]\nExecStart=/x\nSystemCallFilter=~@a b\nReadWritePaths=-/a /b\n"
	"X-Forewarm-Proxy=8080\nX-Forewarm-FreezeAfterSec=auto\nStandardOutput=append:/x\n",
};
static const char *const tokens[] = {
	"\\\n",
	"=",
	"[",
	"]",
	"%",
	"%%",
	"%i",
	"'",
	"\"",
	"\\u12",
	"\\x",
	"~",
	"$",
	"${",
	"}",
	"\n",
	"ListenStream=",
	"ExecStart=",
	"infinity",
	"99999999999999999999",
	"::",
	"@",
	"/..",
	"\xff",
};

static void test_unitfile_survives_mutations(void **state)
{
	uint8_t in[INPUT_MAX];

	(void)state;
	srandom(20);
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
		LLVMFuzzerTestOneInput((const uint8_t *)seeds[i], strlen(seeds[i]));
	for (int round = 0; round < ROUND_N; round++) {
		const char *seed = seeds[(size_t)random() % ARRAY_SIZE(seeds)];
		size_t n = strlen(seed);

		memcpy(in, seed, n);
		for (long m = random() % 6; m >= 0; m--) {
			const char *t = tokens[(size_t)random() % ARRAY_SIZE(tokens)];
			size_t at = (size_t)random() % (n + 1), t_n = strlen(t);

			switch (random() % 4) {
			case 0: /* another byte */
				if (at < n)
					in[at] = (uint8_t)random();
				break;
			case 1: /* a token in between */
				if (n + t_n < INPUT_MAX) {
					memmove(in + at + t_n, in + at, n - at);
					memcpy(in + at, t, t_n);
					n += t_n;
				}
				break;
			case 2: /* cut */
				n = at;
				break;
			default: /* a stretch twice */
				if (2 * n - at < INPUT_MAX) {
					memcpy(in + n, in + at, n - at);
					n += n - at;
				}
				break;
			}
		}
		LLVMFuzzerTestOneInput(in, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unitfile_survives_mutations),
	};

	return cmocka_run_group_tests_name("unitfile-fuzz", tests, NULL, NULL);
}
#endif
