// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * daemon_act.c - what the engine wants done goes to those who do it, and what came of it back to it.
 *
 *   engine_next_action() -> warm_submit() -> warm_next_result() -> engine_result()
 */
#include "daemon/daemon_impl.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

/* Of a file whose used parts are not known yet. Reading all of node's 94 MB made its start slower. */
#define UNKNOWN_BYTES_MAX (16ull << 20)
#define RESULTS_NS (3ull * 1000 * 1000)

static void report(struct daemon *d, const struct action *a, int err)
{
	(void)engine_result(d->engine,
			    &(struct action_result){.guess_id = a->guess_id,
						    .err = err,
						    .now = a->priority == WANT_NOW,
						    .bytes_planned = a->bytes,
						    .done_ns = clock_ns(CLOCK_MONOTONIC)});
}

static void report_resident(struct daemon *d, const struct action *a)
{
	(void)engine_result(d->engine,
			    &(struct action_result){.guess_id = a->guess_id,
						    .resident = true,
						    .now = a->priority == WANT_NOW,
						    .bytes_planned = a->bytes,
						    .done_ns = clock_ns(CLOCK_MONOTONIC)});
}

/* In a container: by the root of one of its processes, or, where none lives, by its layers. */
static void inner(struct daemon *d, const struct action *a, struct warm_job *job)
{
	const char *path = naming_inner(a->name);

	snprintf(job->root_image, sizeof(job->root_image), "%.*s", (int)(path - 1 - a->name),
		 a->name);
	job->root_pid = naming_find(d->naming, job->root_image);
	job->uid = a->uid;
	job->path = path;
}

_Static_assert((int)WANT_NOW == WARM_NOW && (int)WANT_SOON == WARM_SOON &&
		       (int)WANT_LATER == WARM_AHEAD,
	       "an action's priority is its job's");

/* What is planned, whether it was wanted now, and for which control group: a job's tag. */
#define TAG_BYTES ((1ull << 55) - 1)
#define TAG_NOW (1ull << 55)

static uint64_t tag_of(const struct action *a, uint8_t group)
{
	return (a->bytes < TAG_BYTES ? a->bytes : TAG_BYTES) |
	       (a->priority == WANT_NOW ? TAG_NOW : 0) | (uint64_t)group << 56;
}

static uint8_t tag_group(uint64_t tag)
{
	return (uint8_t)(tag >> 56);
}

static void act(struct daemon *d, const struct action *a)
{
	const struct node *dep = graph_node_const(engine_graph_const(d->engine), a->dep);
	struct warm_job job = {.id = a->guess_id,
			       .tag = tag_of(a, UINT8_MAX),
			       .event_ns = a->event_ns,
			       .need_ns = a->need_ns,
			       .priority = (uint32_t)a->priority,
			       .path = a->name,
			       .deadline_ns = a->deadline_ns};
	uint8_t group;
	int r;

	if (a->name && naming_inner(a->name))
		inner(d, a, &job);
	switch (a->kind) {
	case ACTION_CANCEL:
		(void)warm_release(d->warm, a->guess_id);
		return;
	case ACTION_HURRY:
		warm_hurry(d->warm, &job);
		return;
	case ACTION_SETTLE:
		warm_settle(d->warm, a->guess_id);
		return;
	case ACTION_PRESTART:	       /* or no service of ours answers there */
		behind_end(d->behind); /* somebody will wait for it */
		report(d, a, serve_prestart(d->serve, a) ? 0 : ENOENT);
		return;
	case ACTION_WARM:
		if (dep && trust_ask(d->trust, a, dep)) {
			report_resident(d, a);
			return;
		}
		r = targets_take(d->targets, a->pid, a->bytes, clock_ns(CLOCK_MONOTONIC), &group);
		if (r != 0) {
			report(d, a, r < 0 ? -r : r == TARGET_BUSY ? EBUSY : ENOMEM);
			return;
		}
		job.tag = tag_of(a, group);
		if (dep)
			trust_begin(d->trust, a, dep);
		job.kind = WARM_FILE;
		if (a->range_n) {
			job.ranges = a->ranges;
			job.range_n = (uint32_t)a->range_n;
		} else {
			job.bytes_max = UNKNOWN_BYTES_MAX;
		}
		break;
	case ACTION_LOOKUP:
		job.kind = a->sweep ? WARM_SWEEP : a->list ? WARM_DIR : WARM_DENTRY;
		break;
	default:
		return;
	}
	r = warm_submit(d->warm, &job, NULL);
	if (r != 0) {
		targets_back(d->targets, tag_group(job.tag), a->bytes);
		report(d, a, r < 0 ? -r : EAGAIN);
	}
}

/* What has time waits, without anything seen meanwhile. */
static void wait_due(struct daemon *d)
{
	uint64_t due_ns = engine_due_ns(d->engine);

	if (!d->due || due_ns == d->due_ns)
		return;
	d->due_ns = due_ns;
	(void)sd_event_source_set_time(d->due, due_ns / 1000);
	(void)sd_event_source_set_enabled(d->due, due_ns ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* A start has hundreds of needs, and what comes after it has more: the next start does not wait for all of them.
 * What is left is carried out with what it needs, in the order of need, as the ring is read until none waits. */
void daemon_step(struct daemon *d)
{
	struct action a;

	while (engine_next_action(d->engine, &a)) {
		act(d, &a);
		if (pause_wanted(&d->urgent))
			break;
	}
	wait_due(d);
}

void daemon_take_results(struct daemon *d)
{
	struct warm_result w;

	while (warm_next_result(d->warm, &w) == 0) {
		struct action_result r = {.guess_id = w.id,
					  .resident = w.outcome == WARM_RESIDENT,
					  .now = w.tag & TAG_NOW,
					  .bytes_read = w.bytes_read,
					  .bytes_planned = w.tag & TAG_BYTES,
					  .done_ns = w.began_ns + w.took_ns,
					  .took_ns = w.took_ns};

		if (w.outcome == WARM_RELEASED)
			continue;
		if (r.bytes_planned > r.bytes_read)
			targets_back(d->targets, tag_group(w.tag), r.bytes_planned - r.bytes_read);
		firstread_note(d->firstread, w.event_ns, w.first_io_ns);
		firstread_note(d->firstpages, w.event_ns, w.first_pages_ns);
		trust_end(d->trust, w.id,
			  (w.outcome == WARM_DONE || w.outcome == WARM_RESIDENT) &&
				  !w.bytes_missing);
		if (w.outcome == WARM_REFUSED || w.outcome == WARM_CANCELLED ||
		    w.outcome == WARM_GONE || w.outcome == WARM_LATE)
			r.err = w.err ? w.err : ECANCELED;
		(void)engine_result(d->engine, &r);
	}
	daemon_step(d);
}

/* Files of a working set are done one by one; we come for them a few at a time. */
static int on_warm(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct daemon *d = userdata;
	int r;

	(void)fd, (void)revents;
	daemon_take_results(d);
	r = sd_event_source_set_enabled(s, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_time_relative(d->warm_again, RESULTS_NS / 1000);
	return r < 0 ? r : sd_event_source_set_enabled(d->warm_again, SD_EVENT_ONESHOT);
}

static int on_warm_again(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)s, (void)usec;
	daemon_take_results(d);
	return sd_event_source_set_enabled(d->warm_source, SD_EVENT_ON);
}

static int on_due(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)s, (void)usec;
	d->due_ns = 0;
	/* What is only too old can wait for the tick. */
	(void)engine_tick(d->engine, clock_ns(CLOCK_MONOTONIC), NULL, &d->urgent);
	daemon_step(d);
	return 0;
}

int daemon_add_results(struct daemon *d)
{
	int r = sd_event_add_io(d->loop, &d->warm_source, warm_fd(d->warm), EPOLLIN, on_warm, d);

	if (r >= 0)
		r = sd_event_add_time_relative(d->loop, &d->warm_again, CLOCK_MONOTONIC,
					       RESULTS_NS / 1000, 1000, on_warm_again, d);
	if (r >= 0)
		r = sd_event_add_time(d->loop, &d->due, CLOCK_MONOTONIC, 0, 1000, on_due, d);
	return r < 0 ? r : sd_event_source_set_enabled(d->due, SD_EVENT_OFF);
}
