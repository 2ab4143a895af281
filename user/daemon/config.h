/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * config.h - what an administrator can set, from /etc/forewarm/forewarm.conf.
 *
 * Shape    One table (config.c) names each key with its section, type, range, default and place in
 *          struct config. The file is ini; user/daemon/forewarm.conf is the table with every line
 *          commented out, and a test compares the two.
 * Units    In the file a number carries its unit ("64MiB", "100ms", "20%"); here the field's name
 *          says it.
 * Bounds   A line of the file is at most 196 bytes. Values are checked against the range in the
 *          table before they get here.
 * Owner    Strings are inside the struct; nothing to free.
 * Errors   < 0 -errno: the file could not be read. CONFIG_BAD: it was read and is wrong; each
 *          mistake was said with file and line, and *ret is untouched.
 * Threads  Any.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "core/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_PATH_DEFAULT "/etc/forewarm/forewarm.conf"
#define CONFIG_PATH_MAX 192 /* leaves room for a name below it in sun_path and PATH_MAX */
#define CONFIG_NAME_MAX 64

enum { CONFIG_BAD = 1 };

struct config {
	struct engine_limits limits; /* [graph] [model] [engine] */
	struct plan_policy policy;   /* [plan] */

	/* [capture] */
	uint64_t ring_bytes; /* a power of two */
	uint64_t fresh_ns; /* look closer for so long after the start of a new program; 0: always */
	bool duty;	   /* sample what is well known */
	uint64_t settle_ns; /* detach the open hooks after so long without anything new; 0: never */
	uint64_t drain_ns;  /* longest wait between two drains of the ring */

	bool remote; /* [plan] also files whose server may not answer */

	/* [boot] */
	uint64_t boot_window_ns; /* learn and warm what the first while needs; 0: not */
	uint64_t
		boot_uptime_ns; /* a start of ours counts as a boot so long after the host's; 0: each */
	bool boot_logins;	/* the same for the first program of a user */

	/* [store] */
	uint64_t flush_ns; /* what is lost at most by kill -9 */

	/* [paths] */
	char pin_dir[CONFIG_PATH_MAX];	    /* BPF objects for bpftool */
	char run_dir[CONFIG_PATH_MAX];	    /* socket */
	char state_dir[CONFIG_PATH_MAX];    /* database */
	char services_dir[CONFIG_PATH_MAX]; /* *.socket, *.service */
	char cgroup[CONFIG_NAME_MAX];	    /* name of our subgroup */

	/* [api] */
	char socket_group[CONFIG_NAME_MAX]; /* may talk to the daemon, besides root */

	/* [pool] */
	uint64_t pool_parked_n;	  /* sandboxes kept ready */
	uint64_t pool_max_n;	  /* sandboxes at a time */
	uint64_t idle_freeze_ns;  /* an idle service is frozen after */
	uint64_t idle_release_ns; /* a frozen one is stopped after; 0: never */
};

/* Says one mistake: "FILE:LINE: what, and what is allowed". */
typedef void (*config_say_fn)(void *ctx, const char *line);

void config_defaults(struct config *ret);
/* Defaults, then the file over them. */
int config_load(const char *path, config_say_fn say, void *ctx, struct config *ret);
/* The same from an open stream; name is what mistakes call it. */
int config_read(FILE *f, const char *name, config_say_fn say, void *ctx, struct config *ret);
/* Only what the stream says, over *ret. */
int config_apply(FILE *f, const char *name, config_say_fn say, void *ctx, struct config *ret);
/* Writes the table as the shipped file: each key commented out, with unit, range and effect. */
int config_write_sample(FILE *f);

#endif
