/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * probe.h - what this kernel and host can do for us: features are tried, versions never compared.
 *
 * Shape    A list of named facts, each with how it bears on what we do.
 * Bounds   PROBE_MAX items; each detail is one line.
 * Owner    the caller's array.
 * Errors   none: what cannot be tried is an item that says so.
 * Threads  any; loads a few one-instruction programs and closes them again.
 */
#ifndef SYS_PROBE_H
#define SYS_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define PROBE_MAX 96

enum probe_state {
	PROBE_OK,
	PROBE_DEGRADED, /* we run without it, but see or do less */
	PROBE_MISSING,	/* we cannot run without it */
	PROBE_OPTIONAL, /* absent, and not needed */
};

struct probe_item {
	const char *group; /* "kernel", "hooks", "optional", "host" */
	char name[48];
	enum probe_state state;
	char detail[160]; /* what was found, and what to do about it */
};

size_t probe_run(struct probe_item *items, size_t max);
/* Can programs be attached to the functions of system calls themselves (bpf/calls.bpf.h)? */
bool probe_calls(void);
/* Can a program be told of datagrams that name their address? */
bool probe_sends(void);
const char *probe_state_name(enum probe_state s);

#endif
