// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes are a unit or refused with a reason, and everything read from them lies in its bounds.
 */
#include "fuzz/fuzz.h"

#include "core/unitfile.h"

#include <string.h>

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
