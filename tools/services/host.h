/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * host.h - the process that holds the services as the daemon does, and what it shows of them.
 *
 * Shape    host_start() writes the units and forks. What the services do is seen in memory shared with
 *          the host, without asking it; what it shall do is a message to it.
 * Units    ns of CLOCK_MONOTONIC; CPU in ns.
 * Owner    The host is a child and ends when its control socket is closed.
 * Errors   none come back: see run.h.
 */
#ifndef SERVICES_HOST_H
#define SERVICES_HOST_H

#include "run.h"

#include "core/svc.h"

enum host_ask { ASK_PREDICT, ASK_RELEASE, ASK_OBSERVED, ASK_CPU };

void host_start(struct run *run);
/* Ends the services and the host, and waits for it. */
void host_stop(struct run *run);
/* at_ns: of ASK_OBSERVED, when the connection was made. */
void host_tell(struct run *run, int k, enum place place, enum host_ask what, uint64_t at_ns);
/* Subject k, OURS or RESTS. The host writes to it while we look. */
const volatile struct svc_view *host_view(int k, enum place place);
/* Waits for the state, 20 s at the most. */
void host_await(int k, enum place place, enum svc_state state);
/* How many of the parked services are frozen. */
int host_frozen_n(void);
/* What the host used itself, and what all sandboxes did. */
void host_cpu(struct run *run, uint64_t *ret_host_ns, uint64_t *ret_boxes_ns);

#endif
