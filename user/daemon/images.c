// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* images.c - the answer to "images": one object each. */
#include "daemon/images.h"

#include "base/clock.h"

#include <time.h>

static json_t *names(const char *text)
{
	json_t *list = json_array();
	struct lower lower = {0};

	if (text && lower_of_text(text, &lower) == 0)
		for (const char *name = NULL; (name = lower_next(&lower, name));)
			(void)json_array_append_new(list, api_string(name));
	lower_free(&lower);
	return list;
}

static int answer(void *ctx, struct api_call *call)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);
	struct layers_kept kept;
	uint32_t it = 0;
	int r = 0;

	while (r == 0 && layers_next(ctx, &it, &kept)) {
		json_t *o = put_new("image");

		put_text(o, "name", kept.image);
		put_n(o, "ago_ns", kept.seen_ns < now_ns ? now_ns - kept.seen_ns : 0);
		put_object(o, "layers", names(kept.text));
		r = api_put(call, o);
	}
	return r;
}

struct routes_hook images_hook(struct layers *l)
{
	return (struct routes_hook){"images", answer, l};
}
