// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* unitaddr.c - addresses as ListenStream= has them. */
#include "core/unit_impl.h"
#include "core/unitvalue.h"

#include <stdio.h>
#include <string.h>

int unit_addr_parse(const char *text, enum unit_sock_type type, struct unit_addr *ret)
{
	struct unit_addr a = {.type = type};
	const char *colon = strrchr(text, ':');
	char host[64];
	uint64_t port;
	size_t n;

	if (*text == '/' || *text == '@') {
		a.family = *text == '/' ? UNIT_UNIX : UNIT_ABSTRACT;
		text += *text == '@';
		n = strlen(text);
		if (n == 0 || n > UNIT_UNIX_MAX ||
		    (a.family == UNIT_UNIX && !unit_is_absolute(text)))
			return UNIT_REFUSED;
		memcpy(a.path, text, n + 1);
		*ret = a;
		return 0;
	}
	if (unitvalue_u64(colon ? colon + 1 : text, UINT16_MAX, &port) || port == 0)
		return UNIT_REFUSED;
	a.port = (uint16_t)port;
	if (!colon) {
		a.family = UNIT_INET6;
		a.port_only = true;
		*ret = a;
		return 0;
	}
	n = (size_t)(colon - text);
	if (*text == '[') {
		if (n < 3 || n - 2 >= sizeof(host) || text[n - 1] != ']')
			return UNIT_REFUSED;
		text++;
		n -= 2;
		a.family = UNIT_INET6;
	} else {
		if (n >= sizeof(host))
			return UNIT_REFUSED;
		a.family = UNIT_INET;
	}
	memcpy(host, text, n);
	host[n] = '\0';
	if (a.family == UNIT_INET ? unitvalue_ipv4(host, a.ip) : unitvalue_ipv6(host, a.ip))
		return UNIT_REFUSED;
	*ret = a;
	return 0;
}

void unit_addr_format(const struct unit_addr *a, char *buf, size_t buf_n)
{
	const uint8_t *ip = a->ip;
	char groups[40] = "";
	size_t n = 0;

	switch (a->family) {
	case UNIT_UNIX:
		(void)snprintf(buf, buf_n, "%s", a->path);
		return;
	case UNIT_ABSTRACT:
		(void)snprintf(buf, buf_n, "@%s", a->path);
		return;
	case UNIT_INET:
		(void)snprintf(buf, buf_n, "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3], a->port);
		return;
	case UNIT_INET6:
		break;
	}
	if (a->port_only) {
		(void)snprintf(buf, buf_n, "%u", a->port);
		return;
	}
	for (int i = 0; i < 16; i += 2)
		n += (size_t)snprintf(groups + n, sizeof(groups) - n, "%s%x", i ? ":" : "",
				      (unsigned)(ip[i] << 8 | ip[i + 1]));
	(void)snprintf(buf, buf_n, "[%s]:%u", groups, a->port);
}

bool unit_addr_equal(const struct unit_addr *a, const struct unit_addr *b)
{
	return a->type == b->type && a->family == b->family && a->port == b->port &&
	       a->port_only == b->port_only && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 &&
	       strcmp(a->path, b->path) == 0;
}
