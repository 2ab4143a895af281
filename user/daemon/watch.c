// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * watch.c - the mode as a function of how long nothing was new.
 *
 *   SAMPLE -> DETACHED   nothing new for settle_ns, and attached for as long
 *   DETACHED -> SAMPLE   an unknown program started, or RESAMPLE settle times have passed
 */
#include "daemon/watch.h"

#include "base/err.h"
#include "sys/procfs.h"

#include <stdlib.h>

#define RESAMPLE 10
#define STARTED_MAX 64

static const struct duty_limits duty_limits = {
	.block_max = 4096,   /* 112 KiB */
	.need_max = 65536,   /* 256 KiB */
	.process_max = 4096, /* 64 KiB */
	.calm_n = 16, /* a habit counts as one after that many repetitions, and a few for doubt */
	.every_max = 16,
};

struct watch {
	struct duty *duty;
	struct capture *capture;
	enum capture_mode mode;
	uint64_t settle_ns, since_ns;
	uint32_t started[STARTED_MAX]; /* unknown programs while the hooks were off */
	size_t started_n;
	bool coming_on;	 /* of the hooks for SAMPLE not all were attached when that was tried */
	bool coming_off; /* some hooks are detached already, on the way to DETACHED */
};

int watch_new(struct capture *c, uint64_t settle_ns, struct watch **ret)
{
	struct duty_limits limits = duty_limits;
	struct watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return fault(-ENOMEM);
	limits.settle_ns = settle_ns;
	w->capture = c;
	w->settle_ns = settle_ns;
	r = duty_new(&limits, &w->duty);
	if (r >= 0)
		r = capture_set_mode(c, CAPTURE_SAMPLE);
	if (r < 0) {
		(void)watch_free(w);
		return r;
	}
	w->mode = CAPTURE_SAMPLE;
	*ret = w;
	return 0;
}

struct watch *watch_free(struct watch *w)
{
	if (!w)
		return NULL;
	(void)duty_free(w->duty);
	free(w);
	return NULL;
}

void watch_observe(struct watch *w, const struct obs *o)
{
	struct fwm_block_key key;
	struct fwm_known_row row;

	if (w->mode == CAPTURE_DETACHED && o->kind == OBS_EXEC &&
	    !(o->flags & (OBS_F_QUIET | OBS_F_SEED)) && w->started_n < STARTED_MAX)
		w->started[w->started_n++] = o->pid;
	if (duty_observe(w->duty, o, &key, &row) != DUTY_CHANGED)
		return;
	/* A full table is no fault: that block is then reported at each start. */
	(void)capture_known_update(w->capture, &key, row.every ? &row : NULL);
}

/* Something new while the hooks were being taken off. */
static int come_back(struct watch *w, uint64_t now_ns)
{
	int r = capture_attach(w->capture);

	w->coming_off = false;
	w->coming_on = r != 0;
	w->since_ns = now_ns;
	return r < 0 ? r : 0;
}

static int change(struct watch *w, enum capture_mode mode, uint64_t now_ns)
{
	if (mode == w->mode)
		return capture_attach(w->capture);
	w->mode = mode;
	w->since_ns = now_ns;
	return capture_set_mode(w->capture, mode);
}

int watch_step(struct watch *w, uint64_t now_ns, obs_fn fn, void *ctx)
{
	bool settled = w->settle_ns && duty_settled(w->duty, now_ns);
	uint64_t in_mode_ns = now_ns - w->since_ns;
	enum capture_mode mode = w->mode;
	int r;

	if (!w->since_ns)
		w->since_ns = now_ns;
	else if (mode == CAPTURE_DETACHED && (w->started_n || in_mode_ns > RESAMPLE * w->settle_ns))
		mode = CAPTURE_SAMPLE;
	else if (mode == CAPTURE_SAMPLE && w->coming_off && !settled)
		return come_back(w, now_ns);
	else if (mode == CAPTURE_SAMPLE && settled && in_mode_ns > w->settle_ns)
		mode = CAPTURE_DETACHED;
	if (mode == w->mode && !w->coming_on)
		return 0;
	if (mode == CAPTURE_DETACHED && capture_detach_step(w->capture) == CAPTURE_MORE) {
		w->coming_off = true;
		return 0;
	}
	w->coming_off = false;
	r = change(w, mode, now_ns);
	w->coming_on = r != 0;
	if (r == CAPTURE_MORE)
		return 0;
	for (size_t i = 0; i < w->started_n; i++)
		(void)procfs_maps(w->started[i], now_ns, fn,
				  ctx); /* gone already: nothing to tell */
	w->started_n = 0;
	return r;
}

bool watch_leaving(const struct watch *w)
{
	return w->coming_off || w->mode == CAPTURE_DETACHED;
}
