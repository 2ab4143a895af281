/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * actions.h - what the engine of a make-believe host asks for, kept to be looked at, and programs that
 * several tests run there.
 */
#ifndef TESTS_SUPPORT_ACTIONS_H
#define TESTS_SUPPORT_ACTIONS_H

#include "support/host.h"

struct action_list {
	struct action actions[512];
	char names[512][128];
	size_t n;
};

/* All that is asked for now, instead of what was there. */
void actions_take(struct host *h, struct action_list *ret);
/* NULL: not in it. Borrowed. */
const struct action *actions_find(const struct action_list *l, enum action_kind kind,
				  const char *name);
/* Carries every action out at once; `resident` says that nothing had to be read. */
void actions_finish(struct host *h, const struct action_list *l, bool resident);
/* Both. */
void actions_carry_out(struct host *h, struct action_list *l, bool resident);
/* Starts a program of process 1; l is what is asked for because of that. */
uint32_t actions_of_start(struct host *h, struct action_list *l, const char *exe, const char *arg);

/* A program with a library and a config file that is not there; a script of three of them. */
void host_run_tool(struct host *h, uint32_t ppid, const char *exe);
void host_run_script(struct host *h, const char *third);

/* What was decided about the last guess of that path. */
enum decision host_decision(const struct host *h, const char *path);

#endif
