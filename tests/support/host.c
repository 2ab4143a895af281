// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "support/host.h"

#include <stdlib.h>
#include <string.h>

#define STEP_NS 100000ull

struct engine_limits host_limits(void)
{
	return (struct engine_limits){
		.graph = {.node_max = 4096,
			  .edge_max = 16384,
			  .use_max = 4096,
			  .text_bytes_max = 1 << 20},
		.process_max = 512,
		.model_bytes_max = 4 << 20,
		.guess_max = 1024,
	};
}

struct plan_policy host_policy(void)
{
	return (struct plan_policy){.p_min = 0.25,
				    .bytes_per_s_max = 1ull << 30,
				    .bytes_inflight_max = 64 << 20,
				    .io_some_max = 20,
				    .mem_some_max = 10,
				    .mem_available_min = 0.1,
				    .recheck_ns = 1000000000,
				    .act = true};
}

void host_see(struct host *h, struct obs o)
{
	h->now_ns += STEP_NS;
	o.ts_ns = h->now_ns;
	o.uid = h->uid;
	o.count = 1;
	assert_int_equal(h->see ? h->see(h->ctx, &o) : engine_observe(h->engine, &o), 0);
}

int host_setup(void **state)
{
	struct engine_limits limits = host_limits();
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return -1;
	host_init(h, &limits);
	*state = h;
	return 0;
}

int host_teardown(void **state)
{
	host_fini(*state);
	free(*state);
	return 0;
}

void host_begin(struct host *h)
{
	h->now_ns = 1000000000;
	h->next_pid = 100;
	host_see(h, (struct obs){.kind = OBS_FORK, .pid = 1});
	host_see(h, (struct obs){
			    .kind = OBS_EXEC, .pid = 1, .name = "/bin/shell", .flags = OBS_F_SEED});
}

void host_init_with(struct host *h, const struct engine_limits *limits,
		    const struct plan_policy *policy)
{
	*h = (struct host){0};
	assert_int_equal(engine_new(limits, policy, &h->engine), 0);
	engine_wall_offset(h->engine, 1000000000000000000);
	host_begin(h);
}

void host_init(struct host *h, const struct engine_limits *limits)
{
	struct plan_policy policy = host_policy();

	host_init_with(h, limits, &policy);
}

void host_fini(struct host *h)
{
	h->engine = engine_free(h->engine);
}

void host_pass(struct host *h, uint64_t ns)
{
	h->now_ns += ns;
}

uint32_t host_spawn(struct host *h, uint32_t ppid, const char *exe, const char *arg)
{
	uint32_t pid = h->next_pid++;
	char args[256];
	size_t n = (size_t)snprintf(args, sizeof(args), "%s", exe) + 1;

	if (arg)
		n += (size_t)snprintf(args + n, sizeof(args) - n, "%s", arg) + 1;
	host_see(h, (struct obs){.kind = OBS_FORK, .pid = pid, .ppid = ppid});
	host_see(h, (struct obs){.kind = OBS_EXEC,
				 .pid = pid,
				 .ppid = ppid,
				 .flags = h->exec_flags,
				 .name = exe,
				 .args = args,
				 .args_len = n,
				 .file = {.dev = 1,
					  .ino = pid,
					  .size = h->exe_bytes ? h->exe_bytes : 100000}});
	return pid;
}

void host_open(struct host *h, uint32_t pid, const char *path, int err)
{
	uint64_t size = h->file_bytes ? h->file_bytes : 1 << 20;

	host_see(h, (struct obs){.kind = OBS_OPEN,
				 .pid = pid,
				 .name = path,
				 .flags = h->open_flags,
				 .err = err,
				 .latency_ns = 2000,
				 .file = {.dev = 1,
					  .ino = err ? 0 : strlen(path),
					  .size = err ? 0 : size}});
}

void host_list(struct host *h, uint32_t pid, const char *path)
{
	host_see(h, (struct obs){.kind = OBS_OPEN,
				 .pid = pid,
				 .name = path,
				 .flags = OBS_F_DIR,
				 .file = {.dev = 1, .ino = strlen(path), .size = 4096}});
}

void host_look(struct host *h, uint32_t pid, const char *path)
{
	host_see(h,
		 (struct obs){.kind = OBS_OPEN, .pid = pid, .name = path, .flags = OBS_F_LOOKUP});
}

void host_connect(struct host *h, uint32_t pid, const char *service)
{
	host_see(h, (struct obs){
			    .kind = OBS_CONNECT, .pid = pid, .name = service, .latency_ns = 50000});
}

void host_exit(struct host *h, uint32_t pid)
{
	host_see(h, (struct obs){.kind = OBS_EXIT,
				 .pid = pid,
				 .use = {.life_ns = h->life_ns ? h->life_ns : 5000000,
					 .cpu_ns = 2000000,
					 .rss_peak_bytes = 4 << 20,
					 .read_bytes = h->cold ? 1 << 20 : 0}});
}

void host_tick(struct host *h)
{
	struct pressure p = {.mem_available_bytes = 8ull << 30, .mem_total_bytes = 16ull << 30};

	assert_int_equal(engine_tick(h->engine, h->now_ns, &p, NULL), 0);
}

void host_rest(struct host *h, uint64_t ns)
{
	host_pass(h, ns);
	host_tick(h);
}
