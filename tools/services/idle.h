/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * idle.h - what many services cost that wake for nothing: always on, and parked.
 *
 * Shape    run->parked_n of them, each waking PARKED_HZ times a second; three rows.
 * Units    % of one processor.
 * Errors   none come back: see run.h.
 */
#ifndef SERVICES_IDLE_H
#define SERVICES_IDLE_H

#include "run.h"

void idle_measure(struct run *run);

#endif
