// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* put.c - see put.h. */
#include "api/put.h"

#include "api/socket.h"

json_t *put_new(const char *type)
{
	return json_pack("{s:s}", "type", type);
}

void put_object(json_t *o, const char *key, json_t *taken)
{
	(void)json_object_set_new(o, key, taken);
}

void put_n(json_t *o, const char *key, uint64_t n)
{
	put_object(o, key, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

void put_known(json_t *o, const char *key, uint64_t n)
{
	if (n != PUT_UNKNOWN)
		put_n(o, key, n);
}

void put_mean(json_t *o, const char *key, uint64_t sum, uint64_t n)
{
	if (n)
		put_n(o, key, sum / n);
}

void put_real(json_t *o, const char *key, double d)
{
	put_object(o, key, json_real(d));
}

void put_bool(json_t *o, const char *key, bool b)
{
	put_object(o, key, json_boolean(b));
}

void put_text(json_t *o, const char *key, const char *s)
{
	put_object(o, key, api_string(s));
}
