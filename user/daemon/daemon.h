/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * daemon.h - the pipeline: the only place where the modules meet.
 *
 * Shape    kernel ring -> capture -> engine -> plan -> warm | services -> outcomes -> engine, on one
 *          event loop; the store is written by a thread of its own.
 * Bounds   What the config says; each part has its own.
 * Owner    main() owns struct daemon.
 * Errors   < 0 -errno after the reason was logged; DAEMON_REFUSED: the host lacks something, said in
 *          one sentence.
 * Threads  The loop's thread.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/config.h"

#include <stdbool.h>
#include <stdint.h>

enum { DAEMON_REFUSED = 1 };

struct daemon_options {
	const char *config_path;
	uint64_t for_ns;   /* stop by itself after so long; 0: run on */
	uint32_t only_pid; /* watch only this process and what it starts; 0: all */
	bool keep;	   /* leave the pinned maps behind */
};

struct daemon;

int daemon_new(const struct config *config, const struct daemon_options *options,
	       struct daemon **ret);
struct daemon *daemon_free(struct daemon *d);
/* Runs until a signal or the end of for_ns. */
int daemon_run(struct daemon *d);

#endif
