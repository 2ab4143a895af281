/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * put.h - members of an object of an answer, one line each.
 *
 * Units    as the key says.
 * Errors   none: without memory a member is missing, or the object is NULL and takes none.
 * Threads  any; an object has one owner.
 */
#ifndef API_PUT_H
#define API_PUT_H

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define PUT_UNKNOWN UINT64_MAX

/* {"type": type} */
json_t *put_new(const char *type);
/* At most INT64_MAX, which is what JSON holds here. */
void put_n(json_t *o, const char *key, uint64_t n);
/* Left out when PUT_UNKNOWN: not known, or never. */
void put_known(json_t *o, const char *key, uint64_t n);
void put_mean(json_t *o, const char *key, uint64_t sum, uint64_t n); /* left out without any */
void put_real(json_t *o, const char *key, double d);
void put_bool(json_t *o, const char *key, bool b);
/* Any bytes, see api_string(); null for NULL. */
void put_text(json_t *o, const char *key, const char *s);
void put_object(json_t *o, const char *key, json_t *taken);

#endif
