// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "support/box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int box_tty = -1;
struct box box;

static const char *const default_env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL};

uint64_t box_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void box_nap_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

void box_setup(struct box *b, uint32_t parked, const struct pool_options *more)
{
	struct pool_options o = more ? *more : (struct pool_options){0};
	struct cgroup_options c = {.enable_controllers = true};
	char name[64];

	memset(b, 0, sizeof(*b));
	if (geteuid() != 0)
		skip_because("sandboxes need root");
	snprintf(name, sizeof(name), "fwm-test-%d", (int)getpid());
	c.name = name;
	assert_int_equal(cgroup_open(&c, &b->cgroup), 0);
	o.cgroup = b->cgroup;
	for (int n = 0; n < SANDBOX_NET_MAX; n++)
		o.parked_target[n] = parked;
	assert_int_equal(pool_new(&o, &b->pool), 0);
}

void box_teardown(struct box *b)
{
	b->pool = pool_free(b->pool);
	if (b->cgroup) {
		assert_int_equal(cgroup_remove_base(b->cgroup), 0);
		b->cgroup = cgroup_close(b->cgroup);
	}
}

void box_wait_parked(struct box *b, enum sandbox_net net, uint32_t n)
{
	uint64_t until = box_now_ms() + 10000;
	struct pool_figures f;

	do {
		pool_wait(b->pool, 20);
		pool_figures(b->pool, &f);
	} while (f.parked_n[net] < n && box_now_ms() < until);
	assert_true(f.parked_n[net] >= n);
}

/* Results a test still waits for: those of a test that failed are gone with its stack. */
static struct box_result *awaited[64];

static struct box_result **awaited_at(const struct box_result *r)
{
	for (size_t i = 0; i < sizeof(awaited) / sizeof(*awaited); i++)
		if (awaited[i] == r)
			return &awaited[i];
	return NULL;
}

void box_await(struct box_result *r)
{
	struct box_result **at = awaited_at(r);

	if (!at)
		at = awaited_at(NULL);
	assert_non_null(at);
	*at = r;
}

static void release_used(void *ctx, struct sandbox *sb)
{
	(void)ctx;
	if (sandbox_state(sb) >= SANDBOX_STARTING)
		sandbox_release(sb);
}

void box_tidy(struct box *b)
{
	struct pool_figures f;
	uint64_t until = box_now_ms() + 10000;

	memset(awaited, 0, sizeof(awaited));
	pool_pause(b->pool, false);
	pool_each(b->pool, release_used, NULL);
	do {
		pool_wait(b->pool, 10);
		pool_figures(b->pool, &f);
	} while (f.state_n[SANDBOX_RELEASING] && box_now_ms() < until);
}

void box_on_event(void *ctx, struct sandbox *sb, enum sandbox_event ev, int arg)
{
	struct box_result *r = ctx;

	if (!awaited_at(r))
		return;
	switch (ev) {
	case SANDBOX_EV_HANDED:
	case SANDBOX_EV_SIDE:
		break;
	case SANDBOX_EV_STARTED:
		r->started = true;
		break;
	case SANDBOX_EV_FAILED:
		r->error = arg;
		break;
	case SANDBOX_EV_EXITED:
		r->exited = true;
		r->status = arg;
		break;
	case SANDBOX_EV_UPPER:
		r->upper_n = sandbox_upper_take(sb, r->uppers);
		break;
	case SANDBOX_EV_GONE:
		r->gone = true;
		r->died = arg;
		r->sb = NULL;
		*awaited_at(r) = NULL;
		break;
	}
}

int box_start_cmd(struct box *b, enum sandbox_net net, struct sandbox_command *cmd,
		  struct box_result *r)
{
	int p[2], err;

	memset(r, 0, sizeof(*r));
	box_await(r);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	cmd->stdio[0] = box_tty;
	cmd->stdio[1] = cmd->stdio[2] = p[1];
	if (!cmd->env)
		cmd->env = default_env;
	err = pool_take(b->pool, net, cmd, box_on_event, r, &r->sb);
	close(p[1]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	r->out_fd = p[0];
	return err;
}

static void drain(struct box_result *r)
{
	ssize_t n;

	while (r->out_fd >= 0 && r->out_n < sizeof(r->out) - 1 &&
	       (n = read(r->out_fd, r->out + r->out_n, sizeof(r->out) - 1 - r->out_n)) > 0)
		r->out_n += (size_t)n;
	r->out[r->out_n] = 0;
}

void box_pump(struct box *b, struct box_result *r, int ms)
{
	drain(r);
	assert_int_equal(pool_wait(b->pool, ms), 0);
	drain(r);
}

void box_release(struct box *b, struct box_result *r)
{
	uint64_t until = box_now_ms() + 10000;

	if (r->sb)
		sandbox_release(r->sb);
	while (!r->gone && box_now_ms() < until)
		box_pump(b, r, 100);
	drain(r);
	close(r->out_fd);
	r->out_fd = -1;
	for (size_t i = 0; i < r->upper_n; i++)
		close(r->uppers[i].fd);
	r->upper_n = 0;
	assert_true(r->gone);
}

void box_run(struct box *b, enum sandbox_net net, struct sandbox_command *cmd, struct box_result *r)
{
	uint64_t until = box_now_ms() + 10000;
	int err = box_start_cmd(b, net, cmd, r);

	if (err) {
		r->error = err;
		close(r->out_fd);
		return;
	}
	while (!r->exited && !r->error && !r->gone && box_now_ms() < until)
		box_pump(b, r, 100);
	box_release(b, r);
}

void box_sh(struct box *b, enum sandbox_net net, uid_t uid, const char *script,
	    struct box_result *r)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct sandbox_command c = {.argv = argv, .uid = uid, .gid = uid, .caps = UINT64_MAX};

	box_run(b, net, &c, r);
}

void box_start(struct box *b, struct sandbox_command *cmd, enum sandbox_net net,
	       struct box_result *r)
{
	uint64_t until = box_now_ms() + 10000;

	assert_int_equal(box_start_cmd(b, net, cmd, r), 0);
	while (!r->started && !r->error && box_now_ms() < until)
		box_pump(b, r, 50);
	assert_true(r->started);
}

void box_start_sh(struct box *b, const char *script, struct box_result *r)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct sandbox_command c = {.argv = argv};

	box_start(b, &c, SANDBOX_NET_PRIVATE, r);
}

void box_expect(struct box *b, const char *script, uid_t uid, const char *want)
{
	struct box_result r;

	box_sh(b, SANDBOX_NET_PRIVATE, uid, script, &r);
	if (strcmp(r.out, want))
		printf("# %s: got '%s', wanted '%s', error %d\n", script, r.out, want, r.error);
	assert_string_equal(r.out, want);
}

int box_group_setup(void **state)
{
	const struct pool_options o = {.sandbox_max = 12};

	(void)state;
	box_setup(&box, 2, &o);
	return 0;
}

int box_group_teardown(void **state)
{
	(void)state;
	box_teardown(&box);
	return 0;
}

int box_after(void **state)
{
	(void)state;
	box_tidy(&box);
	return 0;
}
