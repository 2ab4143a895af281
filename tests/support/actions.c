// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/support.h"

#include "support/actions.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

#define S 1000000000ull

void actions_take(struct host *h, struct action_list *ret)
{
	ret->n = 0;
	while (ret->n < ARRAY_SIZE(ret->actions) &&
	       engine_next_action(h->engine, &ret->actions[ret->n])) {
		struct action *a = &ret->actions[ret->n];

		snprintf(ret->names[ret->n], sizeof(ret->names[0]), "%s", a->name ? a->name : "");
		a->name = ret->names[ret->n++];
	}
}

const struct action *actions_find(const struct action_list *l, enum action_kind kind,
				  const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->actions[i].kind == kind && strcmp(l->actions[i].name, name) == 0)
			return &l->actions[i];
	return NULL;
}

/* Carries every action out at once; `resident` says that nothing had to be read. */
void actions_finish(struct host *h, const struct action_list *l, bool resident)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!l->actions[i].name[0]) /* a word about an earlier one */
			continue;
		assert_int_equal(
			engine_result(h->engine,
				      &(struct action_result){
					      .guess_id = l->actions[i].guess_id,
					      .resident = resident,
					      .now = l->actions[i].priority == WANT_NOW,
					      .bytes_read = resident ? 0 : l->actions[i].bytes,
					      .bytes_planned = l->actions[i].bytes,
					      .done_ns = h->now_ns,
					      .took_ns = 1000000}),
			0);
	}
}

/* What is asked for is done at once. */
void actions_carry_out(struct host *h, struct action_list *l, bool resident)
{
	actions_take(h, l);
	actions_finish(h, l, resident);
}

/* Starts a program of process 1; l is what is asked for because of that. */
uint32_t actions_of_start(struct host *h, struct action_list *l, const char *exe, const char *arg)
{
	uint32_t pid;

	actions_take(h, l);
	pid = host_spawn(h, 1, exe, arg);
	actions_take(h, l);
	return pid;
}

void host_run_tool(struct host *h, uint32_t ppid, const char *exe)
{
	uint32_t pid = host_spawn(h, ppid, exe, NULL);
	char path[128];

	snprintf(path, sizeof(path), "/lib%s.so", exe);
	host_open(h, pid, path, 0);
	snprintf(path, sizeof(path), "/etc%s.conf", exe);
	host_open(h, pid, path, ENOENT);
	host_exit(h, pid);
}

/* A script of three tools, each with a library and a config file that is not there. */
void host_run_script(struct host *h, const char *third)
{
	uint32_t pid = host_spawn(h, 1, "/bin/dash", "/srv/job.sh");

	host_run_tool(h, pid, "/bin/one");
	host_pass(h, 20000000);
	host_run_tool(h, pid, "/bin/two");
	host_pass(h, 20000000);
	host_run_tool(h, pid, third);
	host_exit(h, pid);
	host_rest(h, 10 * S);
}

/* What was decided about the newest guess of that file. */
enum decision host_decision(const struct host *h, const char *path)
{
	uint32_t id = graph_find(engine_graph_const(h->engine), NODE_FILE, path);
	const struct guess *g;
	uint64_t it = 0;

	while (engine_next_guess(h->engine, &it, &g))
		if (g->dep == id)
			return g->decision;
	return DECISION_MAX;
}
