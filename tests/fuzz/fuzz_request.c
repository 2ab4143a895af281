// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes at the control socket, over a real connection to the real routes and an engine that has
 * seen a little. What comes back is whole lines of JSON, each with a type, whatever was asked.
 */
#include "fuzz/fuzz.h"

#include "api/routes.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct engine *engine;
static struct api *api;
static struct routes routes;
static struct sockaddr_un sa = {.sun_family = AF_UNIX};
static uint64_t now_ns = 1;

static void host(void *ctx, struct view_host *ret)
{
	(void)ctx;
	*ret = (struct view_host){.version = "fuzz", .now_ns = now_ns, .wall_ns = now_ns};
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void observe(enum obs_kind kind, const char *name)
{
	struct obs o = {.kind = kind, .pid = 2, .ppid = 1, .name = name, .count = 1};

	o.ts_ns = ++now_ns;
	must(engine_observe(engine, &o) == 0);
}

static void see_something(void)
{
	const struct engine_limits limits = {
		.graph = {.node_max = 64, .edge_max = 64, .use_max = 64, .text_bytes_max = 65536},
		.process_max = 64,
		.model_bytes_max = 1 << 20,
		.guess_max = 64};
	const struct plan_policy policy = {.p_min = 0.2, .recheck_ns = 1};

	must(engine_new(&limits, &policy, &engine) == 0);
	for (int i = 0; i < 3; i++) {
		observe(OBS_FORK, NULL);
		observe(OBS_EXEC, i % 2 ? "/bin/a" : "/usr/bin/\xff\033b");
		observe(OBS_OPEN, "/etc/a.conf");
		observe(OBS_CONNECT, "tcp:127.0.0.1:80");
		observe(OBS_EXIT, NULL);
	}
}

static pid_t named_by;

static void name_gone(void)
{
	if (getpid() == named_by) /* not each child that runs a file of inputs */
		(void)unlink(sa.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	/* The name is ours alone: a run beside this one has another pid. */
	named_by = getpid();
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/fwm-fuzz-%d.sock", (int)named_by);
	see_something();
	routes = (struct routes){.engine = engine, .host = host};
	must(api_open(&(struct api_options){sa.sun_path, NULL, routes_answer, &routes}, &api) == 0);
	must(atexit(name_gone) == 0);
	return 0;
}

static void turn(int n)
{
	for (int i = 0; i < n; i++)
		must(api_dispatch(api, now_ns += 1000) == 0);
}

/* Whole lines, each an object with a type. */
static void check_answer(const char *s, size_t n)
{
	while (n) {
		const char *end = memchr(s, '\n', n);
		json_t *o;

		if (!end)
			return; /* cut by our buffer, or by the end of the connection */
		o = json_loadb(s, (size_t)(end - s), 0, NULL);
		must(json_is_string(json_object_get(o, "type")));
		json_decref(o);
		n -= (size_t)(end - s) + 1;
		s = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	static char answer[1 << 18];
	size_t got = 0;
	ssize_t r;

	must(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	turn(2);
	(void)send(fd, data, size, MSG_NOSIGNAL);
	turn(4);
	/* Whatever came before, an end of line closes it, and the server is still there. */
	(void)send(fd, "\n{\"v\":1,\"cmd\":\"status\"}\n", 25, MSG_NOSIGNAL);
	for (int i = 0; i < 8; i++) {
		turn(2);
		r = recv(fd, answer + got, sizeof(answer) - got, 0);
		got += r > 0 ? (size_t)r : 0;
	}
	check_answer(answer, got);
	closep(&fd);
	fd = -1;
	turn(2);
	must(api_clients_n(api) == 0);
	return 0;
}
