/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* svc_bed.h - services on a made-up clock, and what they want done as text. */
#ifndef TESTS_SVC_BED_H
#define TESTS_SVC_BED_H

#include "support/support.h"

#include "base/cleanup.h"
#include "core/svc.h"

#include <string.h>

#define MS 1000000ull
#define SEC 1000000000ull

static const struct svc_limits limits = {
	.service_max = 4, .run_max = 2, .start_max = 2, .memory_max_bytes = 1ull << 30};
static const struct svc_config config = {
	.weight = 100,
	.timeout_start_ns = 5 * SEC,
	.timeout_stop_ns = 2 * SEC,
	.freeze_after_ns = 20 * MS,
	.release_after_ns = 60 * SEC,
	.restart_ns = 100 * MS,
	.freeze = true,
	.release = true,
	.prestart = true,
};

DEFINE_CLEANUP(struct svc *, svc_free)

static inline bool near(double a, double b)
{
	return a > b * 0.999 - 1e-9 && a < b * 1.001 + 1e-9;
}

/* What is assumed of each held for so long, in MB*s. */
#define HELD(ns) (16.0 * (double)(ns) / 1e9)

/* All that is to be done now, as text: "start0 watch0=2 ". */
static inline const char *todo(struct svc *s)
{
	static const char *const names[] = {"watch", "start",	"thaw", "freeze",
					    "check", "release", "kill"};
	static char text[512];
	struct svc_action a;
	size_t n = 0;

	assert_true(svc_sound(s));
	text[0] = '\0';
	while (svc_next(s, &a)) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", names[a.kind], a.id);
		if (a.kind == SVC_DO_WATCH)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "=%u", a.arg);
		n += (size_t)snprintf(text + n, sizeof(text) - n, " ");
		assert_true(n < sizeof(text));
	}
	return text;
}

#define send(s, id, now, ...) svc_event((s), (id), (now), &(struct svc_event){__VA_ARGS__})

static inline struct svc_view view_of(const struct svc *s, uint32_t id, uint64_t now)
{
	struct svc_view v;

	svc_view(s, id, now, &v);
	return v;
}

static inline struct svc *with_one(const struct svc_config *c)
{
	struct svc *s = NULL;
	uint32_t id;

	assert_int_equal(svc_new(&limits, &s), 0);
	assert_int_equal(svc_add(s, 0, c, NULL, &id), 0);
	assert_int_equal(id, 0);
	assert_string_equal(todo(s), "watch0=2 ");
	return s;
}

#endif
