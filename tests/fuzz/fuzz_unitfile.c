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

	CHECK(u->service.execs[UNIT_START].n == 1);
	for (size_t p = 0; p < UNIT_PHASE_MAX; p++) {
		for (size_t i = 0; i < u->service.execs[p].n; i++) {
			const struct unit_exec *e = &u->service.execs[p].items[i];

			CHECK(e->path[0] == '/' || !strchr(e->path, '/'));
			CHECK(e->argv[0]);
			if (unit_expand(e, env, buf, sizeof(buf), argv, ARRAY_SIZE(argv)))
				continue;
			for (size_t w = 0; argv[w]; w++)
				CHECK(argv[w] >= buf &&
				      argv[w] + strlen(argv[w]) < buf + sizeof(buf));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct unit *u;
	static const char *const held[] = {"a.socket", NULL};
	static const struct unit_host host = {.host_name = "h.i",
					      .machine_id = "m",
					      .kernel = "v",
					      .directory = "/d",
					      .held = held};

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
